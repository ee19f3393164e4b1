//! How the customer's page looks.

use serde::{Deserialize, Deserializer};

use super::text;

/// The platform's colours on the customer's page.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PageConfig {
    /// The colour of buttons and of what is done: `#rrggbb`.
    pub accent: Colour,
    /// The colour of text on it. The two must differ enough to be read: a contrast of at least 4.5 (WCAG 2.2, 1.4.3).
    pub on_accent: Colour,
}

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl PageConfig {
    /// Whether text can be read on the accent.
    pub(super) fn is_readable(&self) -> bool {
        self.accent.contrast(self.on_accent) >= READABLE
    }
}

impl Colour {
    /// Takes `#rrggbb`.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }

    /// The contrast of two colours, 1 to 21 (WCAG 2.2, "contrast ratio").
    fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl<'de> Deserialize<'de> for Colour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::parsed(deserializer, "a colour: #rrggbb", Self::parse)
    }
}

impl Default for PageConfig {
    /// White on a blue.
    fn default() -> Self {
        Self {
            accent: Colour([0x0b, 0x57, 0xa4]),
            on_accent: Colour([0xff; 3]),
        }
    }
}

/// The least contrast of text of any size.
const READABLE: f64 = 4.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_digits_and_nothing_else() {
        assert_eq!(
            Colour::parse("#0b57A4").map(|colour| colour.to_string()).as_deref(),
            Some("#0b57a4")
        );
        for text in ["0b57a4", "#0b5", "#0b57a4ff", "#+b57a4", "red", "#0b57a4;}", ""] {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }

    #[test]
    fn contrast_is_what_the_guideline_says() {
        let contrast = |one, other| Colour::parse(one).unwrap().contrast(Colour::parse(other).unwrap());
        assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001);
        assert!((contrast("#777777", "#ffffff") - 4.478).abs() < 0.001);
        assert!((contrast("#767676", "#ffffff") - 4.542).abs() < 0.001);
        assert!(PageConfig::default().is_readable());
    }
}
