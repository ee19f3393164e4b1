//! Text as a literal of each language. Whatever the text is, the literal is one token and its value is the text, except
//! that characters which a reader cannot see, line breaks among them, are replaced or left out first: nobody should run
//! what looks other than it is.

use std::fmt;

/// A word for a POSIX shell, in single quotes.
pub(super) struct Shell(String);

/// A string of Bicep, in single quotes.
pub(super) struct Bicep(String);

/// A string of HCL, in double quotes.
pub(super) struct Hcl(String);

/// The rest of a comment's line, in any of these languages.
pub(super) struct Comment(String);

impl Shell {
    pub(super) fn new(text: &str) -> Self {
        Self(visible(text))
    }
}

impl Bicep {
    pub(super) fn new(text: &str) -> Self {
        Self(visible(text))
    }
}

impl Hcl {
    pub(super) fn new(text: &str) -> Self {
        Self(visible(text))
    }
}

impl Comment {
    pub(super) fn new(text: &str) -> Self {
        Self(visible(text))
    }
}

impl fmt::Display for Shell {
    /// POSIX 2.2.2: within single quotes every character stands for itself, and a single quote cannot be there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Bicep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for c in self.0.chars() {
            match c {
                '\\' | '\'' | '$' => write!(f, "\\{c}")?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("'")
    }
}

impl fmt::Display for Hcl {
    /// `$` and `%` are written by number. HCL's own `$${` is for a lone `${`, and leaves open what `$$${` would be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '\\' | '"' => write!(f, "\\{c}")?,
                '$' | '%' => write!(f, "\\u{:04x}", u32::from(c))?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

impl fmt::Display for Comment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Line breaks and control characters become spaces; what turns the direction of writing or has no width goes.
fn visible(text: &str) -> String {
    let spaced = text.chars().map(|c| {
        let breaks = matches!(c, '\u{2028}' | '\u{2029}');
        if c.is_control() || breaks { ' ' } else { c }
    });
    spaced
        .filter(|c| !matches!(c, '\u{00AD}' | '\u{061C}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_what_their_language_reads_back() {
        let text = r#"O'Neil & "Sons" ${HOME} $(id) `id` \ %{if}"#;
        assert_eq!(
            Shell::new(text).to_string(),
            r#"'O'\''Neil & "Sons" ${HOME} $(id) `id` \ %{if}'"#
        );
        assert_eq!(
            Bicep::new(text).to_string(),
            r#"'O\'Neil & "Sons" \${HOME} \$(id) `id` \\ %{if}'"#
        );
        assert_eq!(
            Hcl::new(text).to_string(),
            r#""O'Neil & \"Sons\" \u0024{HOME} \u0024(id) `id` \\ \u0025{if}""#
        );
    }

    #[test]
    fn what_cannot_be_seen_is_not_there() {
        let text = "a\nb\r\u{0}c\u{2028}d\u{202e}e\u{200b}f\u{85}g";
        for literal in [
            Shell::new(text).to_string(),
            Bicep::new(text).to_string(),
            Hcl::new(text).to_string(),
            format!("'{}'", Comment::new(text)),
        ] {
            assert_eq!(&literal[1..literal.len() - 1], "a b  c def g");
        }
    }
}
