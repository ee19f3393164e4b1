//! A search for secrets, in whatever way they may be written.

use std::collections::HashSet;

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use hyper::body::Bytes;
use serde_json::json;

/// Things that must show nowhere, each with the name it is reported by.
pub(super) struct Planted(pub(super) Vec<(&'static str, Vec<u8>)>);

impl Planted {
    /// Every writing of every secret that is in a text.
    pub(super) fn found_in(&self, text: &[u8]) -> Vec<String> {
        let found = self.0.iter().flat_map(|(name, secret)| {
            let writings = writings(secret);
            let shown = writings.into_iter().filter(|(_, writing)| contains(text, writing));
            shown
                .map(move |(form, _)| format!("{name} in {form}"))
                .collect::<Vec<_>>()
        });
        found.collect()
    }
}

pub(super) fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Every writing of a secret: as it is, as text with escapes, as numbers, and in base64 of either alphabet at any offset.
fn writings(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let escaped = secret.escape_ascii().to_string();
    let bytes = format!("{:?}", Bytes::copy_from_slice(secret));
    let mut all = vec![
        ("plain text", secret.to_vec()),
        // As text, and as a JSON string that holds such a text.
        ("escapes", escaped.clone().into_bytes()),
        ("escapes in JSON", in_json(&escaped)),
        ("escapes of `Bytes`", inner(&bytes).into()),
        ("escapes of `Bytes` in JSON", in_json(inner(&bytes))),
        ("hexadecimal", joined(secret, "", |byte| format!("{byte:02x}"))),
        (
            "upper-case hexadecimal",
            joined(secret, "", |byte| format!("{byte:02X}")),
        ),
        // As `Debug` prints bytes, and as JSON does.
        ("a list of numbers", joined(secret, ", ", u8::to_string)),
        ("a list in JSON", joined(secret, ",", u8::to_string)),
    ];
    for offset in 0..3 {
        // Inside longer data only the groups in the middle are the same.
        let padded: Vec<u8> = std::iter::repeat_n(0, offset).chain(secret.iter().copied()).collect();
        for (form, encoded) in [
            ("base64url", URL_SAFE_NO_PAD.encode_to_string(&padded)),
            ("base64", STANDARD.encode_to_string(&padded)),
        ] {
            let whole_groups = encoded.trim_end_matches('=').len() / 4 * 4;
            let middle = encoded.get(4..whole_groups.saturating_sub(4)).unwrap();
            all.push((form, middle.as_bytes().to_vec()));
        }
    }
    // Of a secret that is plain text several are the same.
    let mut known = HashSet::new();
    all.retain(|(_, writing)| known.insert(writing.clone()));
    all
}

fn joined(secret: &[u8], between: &str, write: impl Fn(&u8) -> String) -> Vec<u8> {
    secret.iter().map(write).collect::<Vec<_>>().join(between).into_bytes()
}

/// What `Bytes` shows between `b"` and `"`.
fn inner(shown: &str) -> &str {
    shown.strip_prefix("b\"").unwrap().strip_suffix('"').unwrap()
}

/// A text as a JSON string has it between its quotes.
fn in_json(text: &str) -> Vec<u8> {
    let quoted = serde_json::to_string(text).unwrap();
    quoted.get(1..quoted.len() - 1).unwrap().into()
}

#[test]
fn what_is_not_there_is_not_found() {
    let planted = Planted(vec![("key", b"a secret that is planted".to_vec())]);
    assert_eq!(planted.found_in(b"nothing"), Vec::<String>::new());
    assert_eq!(planted.found_in(b"x a secret that is planted x"), ["key in plain text"]);
}

#[test]
fn every_writing_is_found() {
    // Bytes of every kind: control characters, quotes, a backslash, letters, and what is no text.
    let secret: Vec<u8> = b"\0\t\n\r\"'\\az"
        .iter()
        .copied()
        .chain((0..40).map(|n: u8| n.wrapping_mul(37) ^ 0xf8))
        .collect();
    let planted = Planted(vec![("key", secret.clone())]);
    let surrounded = |before: &str| [before.as_bytes(), &secret, b"and more"].concat();
    let shown = format!("{:?}", Bytes::from(surrounded("before")));
    let mut written = vec![
        ("plain text", secret.clone()),
        ("escapes", secret.escape_ascii().to_string().into_bytes()),
        (
            "escapes in JSON",
            json!({"text": secret.escape_ascii().to_string()})
                .to_string()
                .into_bytes(),
        ),
        ("escapes of `Bytes`", shown.clone().into_bytes()),
        (
            "escapes of `Bytes` in JSON",
            json!({"bytes": shown}).to_string().into_bytes(),
        ),
        (
            "hexadecimal",
            joined(&surrounded("x"), "", |byte| format!("{byte:02x}")),
        ),
        (
            "upper-case hexadecimal",
            joined(&surrounded("x"), "", |byte| format!("{byte:02X}")),
        ),
        ("a list of numbers", format!("{:?}", surrounded("x")).into_bytes()),
        ("a list in JSON", serde_json::to_vec(&surrounded("x")).unwrap()),
    ];
    for before in ["", "x", "xy"] {
        written.push((
            "base64url",
            URL_SAFE_NO_PAD.encode_to_string(surrounded(before)).into_bytes(),
        ));
        written.push(("base64", STANDARD.encode_to_string(surrounded(before)).into_bytes()));
    }
    for (form, text) in &written {
        let found = planted.found_in(&[b"before ", text.as_slice(), b" after"].concat());
        assert!(found.contains(&format!("key in {form}")), "{form}: {found:?}");
    }
    let forms: HashSet<_> = written.iter().map(|(form, _)| *form).collect();
    assert!(
        writings(&secret).iter().all(|(form, _)| forms.contains(form)),
        "none is left out"
    );
}
