//! What is told of a field that was refused: its place and what was expected, never what was found, which may be a secret.

use std::borrow::Cow;

use serde_path_to_error::Path;
use toml::de::Error;

use super::ConfigError;

/// A refusal of the field at `path`.
pub(super) fn of(path: &Path, error: &Error) -> ConfigError {
    ConfigError::Field {
        field: path.to_string(),
        message: harmless(error.message()).into_owned(),
    }
}

/// What may be told of a message that can quote a value. Serde's messages end with what was expected, which is text of
/// ours; fields' names are no secrets.
fn harmless(message: &str) -> Cow<'_, str> {
    if ["missing field `", "duplicate field `", "unknown field `"]
        .iter()
        .any(|start| message.starts_with(start))
    {
        return Cow::Borrowed(message);
    }
    match expectation(message) {
        Some(expected) => Cow::Owned(format!("not acceptable, expected {expected}")),
        None => Cow::Borrowed("not acceptable"),
    }
}

/// What should have been there, in words for whoever writes the file.
fn expectation(message: &str) -> Option<&str> {
    // These two libraries say what is wrong, not what would be right.
    if message.starts_with("UUID parsing failed") {
        return Some("a UUID");
    }
    if message == "invalid socket address syntax" {
        return Some("an IP address with a port");
    }
    let is_serdes = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant `",
    ]
    .iter()
    .any(|start| message.starts_with(start));
    let (_, expected) = message.rsplit_once(", expected ").filter(|_| is_serdes)?;
    Some(match expected {
        "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        structure if structure.starts_with("struct ") => "a table",
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_never_told_and_what_was_expected_is() {
        for (message, told) in [
            ("missing field `auth`", "missing field `auth`"),
            (
                "unknown field `port`, expected one of `listen`, `tls`",
                "unknown field `port`, expected one of `listen`, `tls`",
            ),
            (
                "invalid type: string \"s3cret\", expected struct RegistryConfig",
                "not acceptable, expected a table",
            ),
            (
                "invalid type: integer `530`, expected a string",
                "not acceptable, expected a string",
            ),
            (
                "invalid value: string \"s3cret, expected s3cret\", expected u64",
                "not acceptable, expected a whole number, 0 or more",
            ),
            (
                "unknown variant `s3cret`, expected `json` or `text`",
                "not acceptable, expected `json` or `text`",
            ),
            (
                "UUID parsing failed: invalid character: found `s` at 1",
                "not acceptable, expected a UUID",
            ),
            ("s3cret is bad, expected s3cret", "not acceptable"),
            ("s3cret", "not acceptable"),
        ] {
            assert_eq!(harmless(message), told);
        }
    }
}
