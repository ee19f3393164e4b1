//! What was pasted, freed from what clings to it.

use super::{MAX_ANSWER, Refusal};

/// The value in a text: without spaces, invisible characters, quotes and a comma around it, and with nothing in it that
/// no answer can have.
pub(super) fn value(text: &str) -> Result<&str, Refusal> {
    if text.len() > MAX_ANSWER {
        return Err(long(text));
    }
    let value = unwrapped(text);
    if value.is_empty() {
        return Err(Refusal::Empty);
    }
    if is_key_material(value) {
        return Err(Refusal::KeyMaterial);
    }
    if is_document(value) {
        return Err(Refusal::Document);
    }
    if value.contains("...") || value.contains('…') {
        return Err(Refusal::CutOff);
    }
    if value.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(Refusal::InnerSpace);
    }
    if value.chars().any(is_quote) {
        return Err(Refusal::Quotes);
    }
    Ok(value)
}

/// Refuses an example's brackets. (A GUID may be in braces, so this is not for every field.)
pub(super) fn without_brackets(value: &str) -> Result<&str, Refusal> {
    if value.contains(['<', '>', '{', '}']) {
        return Err(Refusal::Placeholder);
    }
    Ok(value)
}

/// Refuses what is not ASCII.
pub(super) fn ascii(value: &str) -> Result<&str, Refusal> {
    match value.chars().find(|c| !c.is_ascii()) {
        Some(foreign) => Err(Refusal::ForeignCharacter(foreign)),
        None => Ok(value),
    }
}

fn long(text: &str) -> Refusal {
    if is_key_material(text.trim_start()) {
        Refusal::KeyMaterial
    } else {
        Refusal::TooLong
    }
}

/// Peels until nothing more comes off: a comma may be behind a quote, and a space between them.
fn unwrapped(text: &str) -> &str {
    let mut value = text;
    loop {
        let trimmed = value.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
        let peeled = unquoted(trimmed.trim_end_matches([',', ';']));
        if peeled == value {
            return value;
        }
        value = peeled;
    }
}

fn unquoted(text: &str) -> &str {
    let inner = QUOTES
        .iter()
        .find_map(|&(open, close)| text.strip_prefix(open)?.strip_suffix(close));
    inner.unwrap_or(text)
}

fn is_quote(c: char) -> bool {
    QUOTES.iter().any(|&(open, close)| c == open || c == close)
}

/// Zero-width characters, marks of direction and the byte order mark: what word processors and chats leave behind.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

fn is_key_material(value: &str) -> bool {
    value.contains("-----BEGIN") || (value.starts_with('{') && value.contains("\"kty\""))
}

fn is_document(value: &str) -> bool {
    value.starts_with(['{', '[']) && value.contains('"')
}

const QUOTES: [(char, char); 8] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('“', '”'),
    ('„', '“'),
    ('‘', '’'),
    ('‚', '‘'),
    ('«', '»'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clings_to_a_value_comes_off() {
        for text in [
            "acme",
            " acme\n",
            "\u{FEFF}acme\u{200B}",
            "\"acme\"",
            " 'acme' ",
            "“acme”",
            "\"acme\",",
            "`acme`;",
            "\u{00A0}\" acme \"\u{00A0},\r\n",
        ] {
            assert_eq!(value(text), Ok("acme"), "{text:?}");
        }
    }

    #[test]
    fn what_is_in_the_middle_stays_and_is_refused() {
        assert_eq!(value("ac me"), Err(Refusal::InnerSpace));
        assert_eq!(value("ac\u{0}me"), Err(Refusal::InnerSpace));
        assert_eq!(value("\"acme"), Err(Refusal::Quotes));
        assert_eq!(value("ac'me"), Err(Refusal::Quotes));
        assert_eq!(value(" \"\" "), Err(Refusal::Empty));
    }

    #[test]
    fn a_private_key_is_known_for_what_it_is_whatever_its_length() {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}", "A".repeat(MAX_ANSWER));
        assert_eq!(value(&pem), Err(Refusal::KeyMaterial));
        assert_eq!(value(r#"{ "kty": "RSA", "d": "…" }"#), Err(Refusal::KeyMaterial));
    }
}
