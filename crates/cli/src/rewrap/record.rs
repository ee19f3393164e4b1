//! A line of the input, and its place for a new envelope.

use std::{fmt, ops::Range};

use keyferry_client::{Envelope, Problem};
use serde::{
    Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A line with an envelope. All of it but the envelope stays as it is, to the byte.
#[derive(Debug)]
pub(super) struct Record {
    text: String,
    /// Where the envelope is, its quotes included.
    place: Range<usize>,
    /// The envelope.
    pub(super) envelope: Envelope,
}

/// A line of the output.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) text: String,
    /// Whether the envelope is the one that it was: under the newest version already.
    pub(super) is_unchanged: bool,
}

/// A line that is not in the output, and why.
#[derive(Debug, Serialize)]
pub(super) struct Reject {
    /// Which line of the input, counted from 1.
    pub(super) line: u64,
    /// In short: a problem's slug, or `not-an-object`, `no-envelope`, `two-envelopes`, `line-too-long`.
    reason: String,
    /// In a sentence.
    detail: String,
    /// The problem, if it was Keyferry that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<Box<Problem>>,
}

/// Why a line has nothing to rewrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    NotAnObject,
    NoEnvelope,
    TwoEnvelopes,
    TooLong,
}

impl Record {
    /// Finds the envelope in a line.
    pub(super) fn parse(line: Vec<u8>) -> Result<Self, Flaw> {
        let text = String::from_utf8(line).map_err(|_| Flaw::NotAnObject)?;
        let mut json = serde_json::Deserializer::from_str(&text);
        let found = json.deserialize_map(Fields).map_err(|_| Flaw::NotAnObject)?;
        json.end().map_err(|_| Flaw::NotAnObject)?;
        let [(kind, raw)] = found.as_slice() else {
            return Err(match found.len() {
                0 => Flaw::NoEnvelope,
                _ => Flaw::TwoEnvelopes,
            });
        };
        let envelope: String = serde_json::from_str(raw.get()).map_err(|_| Flaw::NoEnvelope)?;
        // The raw value is a part of the text.
        let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
        let place = start..start + raw.get().len();
        let envelope = kind(envelope);
        Ok(Self { text, place, envelope })
    }

    /// The line with another envelope of the same kind, or nothing if it is of the other.
    pub(super) fn with(&self, rewrapped: &Envelope) -> Option<Rewritten> {
        let new = match (&self.envelope, rewrapped) {
            (Envelope::WrappedKey(_), Envelope::WrappedKey(new))
            | (Envelope::Ciphertext(_), Envelope::Ciphertext(new)) => new,
            (Envelope::WrappedKey(_), Envelope::Ciphertext(_)) | (Envelope::Ciphertext(_), Envelope::WrappedKey(_)) => {
                return None;
            }
        };
        let before = self.text.get(..self.place.start)?;
        let after = self.text.get(self.place.end..)?;
        Some(Rewritten {
            text: format!("{before}{}{after}", serde_json::to_string(new).ok()?),
            is_unchanged: *rewrapped == self.envelope,
        })
    }
}

impl Reject {
    /// A line with nothing to rewrap.
    pub(super) fn flawed(line: u64, flaw: Flaw) -> Self {
        let (reason, detail) = flaw.told();
        Self {
            line,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
            problem: None,
        }
    }

    /// A line that Keyferry refused.
    pub(super) fn refused(line: u64, problem: Box<Problem>) -> Self {
        Self {
            line,
            reason: problem.slug().to_owned(),
            detail: problem.detail.clone(),
            problem: Some(problem),
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: {}", self.line, self.reason, self.detail)
    }
}

impl Flaw {
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::NotAnObject => ("not-an-object", "The line is no JSON object."),
            Self::NoEnvelope => (
                "no-envelope",
                "The line has neither `wrapped_key` nor `ciphertext`, or it is no text.",
            ),
            Self::TwoEnvelopes => (
                "two-envelopes",
                "The line has more than one of `wrapped_key` and `ciphertext`.",
            ),
            Self::TooLong => ("line-too-long", "The line is longer than 8 MiB."),
        }
    }
}

/// Which kind of envelope a text is.
type Kind = fn(String) -> Envelope;

/// Reads an object, and of it only what may be an envelope. `null` is none.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Kind, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Self::Value = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let value: &RawValue = map.next_value()?;
            let kind: Kind = match name.as_str() {
                "wrapped_key" => Envelope::WrappedKey,
                "ciphertext" => Envelope::Ciphertext,
                _ => continue,
            };
            if value.get() != "null" {
                found.push((kind, value));
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Record, Flaw> {
        Record::parse(line.as_bytes().to_vec())
    }

    #[test]
    fn everything_but_the_envelope_stays_as_it_is_to_the_byte() {
        for (line, expected) in [
            (
                r#"{"id": 7,  "wrapped_key":"old", "n":1.50e2,"id":8, "ü":"\u00fc" }"#,
                r#"{"id": 7,  "wrapped_key":"new", "n":1.50e2,"id":8, "ü":"\u00fc" }"#,
            ),
            (
                "{\"wrapped\\u005fkey\" : \"\\u006fld\"}\r",
                "{\"wrapped\\u005fkey\" : \"new\"}\r",
            ),
            (
                r#"{"x":{"wrapped_key":"inner"},"ciphertext":null,"wrapped_key":"old"}"#,
                r#"{"x":{"wrapped_key":"inner"},"ciphertext":null,"wrapped_key":"new"}"#,
            ),
        ] {
            let record = parsed(line).unwrap();
            assert_eq!(record.envelope, Envelope::WrappedKey("old".into()), "{line}");
            let new = record.with(&Envelope::WrappedKey("new".into()));
            assert_eq!(
                new.map(|new| (new.text, new.is_unchanged)),
                Some((expected.to_owned(), false))
            );
            assert!(record.with(&record.envelope).unwrap().is_unchanged);
            assert!(record.with(&Envelope::Ciphertext("new".into())).is_none());
        }
    }

    #[test]
    fn a_line_without_exactly_one_envelope_is_refused_with_the_reason() {
        for (line, flaw) in [
            ("garbage", Flaw::NotAnObject),
            (r#"["wrapped_key"]"#, Flaw::NotAnObject),
            (r#"{"wrapped_key":"a"} {"wrapped_key":"b"}"#, Flaw::NotAnObject),
            (r#"{"wrapped_key":"a""#, Flaw::NotAnObject),
            (r#"{"id":7}"#, Flaw::NoEnvelope),
            (r#"{"wrapped_key":7}"#, Flaw::NoEnvelope),
            (r#"{"wrapped_key":null}"#, Flaw::NoEnvelope),
            (r#"{"wrapped_key":"a","ciphertext":"b"}"#, Flaw::TwoEnvelopes),
            (r#"{"wrapped_key":"a","wrapped_key":"b"}"#, Flaw::TwoEnvelopes),
        ] {
            assert_eq!(parsed(line).unwrap_err(), flaw, "{line}");
        }
        assert_eq!(Record::parse(vec![b'{', 0xff, b'}']).unwrap_err(), Flaw::NotAnObject);
    }
}
