//! Fields that are written as text and are something else.

use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected},
};
use zeroize::Zeroizing;

/// Parses text, or says what was expected. What was found is not told: it may be a secret.
pub(super) fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, D::Error> {
    let text = Zeroizing::new(String::deserialize(deserializer)?);
    parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("text"), &expected))
}
