//! Texts with gaps, and what fills them.

use std::collections::BTreeMap;

/// What a finding says: what was found, and what to do next, with gaps like `{vault}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) text: &'static str,
    pub(super) next: Option<&'static str>,
}

/// What was found, and what to do.
pub(super) const fn say(text: &'static str, next: &'static str) -> Words {
    Words { text, next: Some(next) }
}

/// What was found. There is nothing to do.
pub(super) const fn note(text: &'static str) -> Words {
    Words { text, next: None }
}

/// Fills a text's gaps. A value that is not known reads as such; one that has nothing to say leaves no space behind.
pub(super) fn filled(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            break;
        };
        out.push_str(before);
        out.push_str(values.get(name).map_or("(unknown)", String::as_str));
        rest = behind;
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_once_and_what_fills_them_has_none() {
        let values = BTreeMap::from([
            ("key".to_owned(), "{vault}".to_owned()),
            ("followed".to_owned(), String::new()),
        ]);
        assert_eq!(
            filled("The key {key}. {followed} End.", &values),
            "The key {vault}. End."
        );
        assert_eq!(filled("{vault}", &values), "(unknown)");
        assert_eq!(filled("an open { brace", &values), "an open { brace");
    }
}
