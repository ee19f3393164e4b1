//! Golden vectors: what was sealed yesterday, and elsewhere, opens today. They were made by another implementation.

use serde::Deserialize;
use serde_json::from_str;

use crate::{
    binding::Place,
    commitment::Commitment,
    context::EncryptionContext,
    envelope::{Content, Envelope, Wrapping},
    id::{DataKeyId, TenantId},
    kdf::ContentKey,
    message::{self, Fresh},
    secret::DataKey,
};

#[derive(Deserialize)]
struct Vectors {
    seal: Vec<Vector>,
    rewrap: Rewrapped,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    tenant: TenantId,
    content: String,
    context: std::collections::BTreeMap<String, String>,
    plaintext: Hex,
    kek: String,
    data_key: Hex,
    kid: Hex,
    salt: Hex,
    iv: Hex,
    wrapped: Hex,
    commitment: Hex,
    content_key: Hex,
    commitment_info: Hex,
    kdf_context: Hex,
    external_aad: Hex,
    enc_structure: Hex,
    envelope: Hex,
}

#[derive(Deserialize)]
struct Rewrapped {
    of: String,
    kek: String,
    wrapped: Hex,
    commitment: Hex,
    envelope: Hex,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hex(Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16);
        (0..text.len()).step_by(2).map(byte).collect::<Result<_, _>>().map(Self)
    }
}

impl Hex {
    fn text(&self) -> String {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
    }

    fn array<const N: usize>(&self) -> &[u8; N] {
        self.0[..].try_into().unwrap()
    }
}

impl Vector {
    fn data_key(&self) -> DataKey {
        DataKey::from_unwrapped(self.data_key.0.clone()).unwrap()
    }

    fn wrapping(&self) -> Wrapping<'_> {
        Wrapping {
            kid: DataKeyId(*self.kid.array()),
            kek: &self.kek,
            wrapped: &self.wrapped.0,
            commitment: self.commitment.array(),
        }
    }

    fn context(&self) -> EncryptionContext {
        EncryptionContext::new(self.context.clone()).unwrap()
    }

    fn place<'a>(&self, context: &'a EncryptionContext) -> Place<'a> {
        let content = match self.content.as_str() {
            "key" => Content::Key,
            "data" => Content::Data,
            other => panic!("no such content: {other}"),
        };
        Place {
            tenant: self.tenant,
            content,
            context,
        }
    }
}

fn vectors() -> Vectors {
    from_str(include_str!("../../../tests/vectors/envelope.json")).unwrap()
}

#[test]
fn sealing_gives_the_golden_envelopes() {
    for vector in vectors().seal {
        let fresh = Fresh {
            iv: *vector.iv.array(),
            salt: *vector.salt.array(),
        };
        let (context, data_key) = (vector.context(), vector.data_key());
        let place = vector.place(&context);
        let sealed = message::seal(&place, &data_key, &vector.wrapping(), &fresh, &vector.plaintext.0).unwrap();
        assert_eq!(sealed, vector.envelope.0, "{}", vector.name);
    }
}

#[test]
fn golden_envelopes_open() {
    for vector in vectors().seal {
        let envelope = Envelope::parse(&vector.envelope.0).unwrap();
        assert_eq!(envelope.wrapping, vector.wrapping(), "{}", vector.name);
        let context = vector.context();
        let opened = message::open(&vector.place(&context), &vector.data_key(), &envelope);
        assert_eq!(opened.as_deref(), Ok(&vector.plaintext.0[..]), "{}", vector.name);
    }
}

#[test]
fn each_step_gives_the_golden_bytes() {
    for vector in vectors().seal {
        let data_key = vector.data_key();
        let content_key = ContentKey::derive(&data_key, vector.salt.array());
        assert_eq!(content_key.expose(), vector.content_key.array(), "{}", vector.name);
        let commitment = Commitment::to(&data_key, vector.tenant, DataKeyId(*vector.kid.array()), &vector.kek);
        assert_eq!(commitment.as_bytes(), vector.commitment.array(), "{}", vector.name);
        let context = vector.context();
        assert_eq!(
            vector.place(&context).enc_structure(),
            vector.enc_structure.0,
            "{}",
            vector.name
        );
    }
}

#[test]
fn rewrapping_gives_the_golden_envelope() {
    let vectors = vectors();
    let rewrap = &vectors.rewrap;
    let vector = vectors.seal.iter().find(|vector| vector.name == rewrap.of).unwrap();
    let kid = DataKeyId(*vector.kid.array());
    let commitment = Commitment::to(&vector.data_key(), vector.tenant, kid, &rewrap.kek);
    assert_eq!(commitment.as_bytes(), rewrap.commitment.array());
    let wrapping = Wrapping {
        kid,
        kek: &rewrap.kek,
        wrapped: &rewrap.wrapped.0,
        commitment: commitment.as_bytes(),
    };
    assert_eq!(
        Envelope::parse(&vector.envelope.0).unwrap().rewrapped(&wrapping),
        rewrap.envelope.0
    );
}

#[test]
fn the_worked_example_is_the_first_golden_vector() {
    let document = include_str!("../../../docs/envelope.md").replace('\n', "");
    let vector = &vectors().seal[0];
    let shown = [
        &vector.plaintext,
        &vector.data_key,
        &vector.kid,
        &vector.salt,
        &vector.iv,
        &vector.commitment_info,
        &vector.commitment,
        &vector.kdf_context,
        &vector.content_key,
        &vector.external_aad,
        &vector.enc_structure,
    ];
    for hex in shown.map(Hex::text) {
        assert!(document.contains(&hex), "{hex}");
    }
    let text = base64_simd::URL_SAFE_NO_PAD.encode_to_string(&vector.envelope.0);
    assert!(document.contains(&text), "{text}");
}

/// As long as an envelope is that holds so many bytes, under a key of that modulus with an identifier of `kek` bytes.
fn envelope_len(content: Content, kek: usize, modulus: usize, plaintext: usize) -> usize {
    let (kek, wrapped) = ("k".repeat(kek), vec![0; modulus]);
    let wrapping = Wrapping {
        kid: DataKeyId([0; 16]),
        kek: &kek,
        wrapped: &wrapped,
        commitment: &[0; 32],
    };
    let context = EncryptionContext::default();
    let place = Place {
        tenant: TenantId(uuid::Uuid::nil()),
        content,
        context: &context,
    };
    let data_key = DataKey::from_unwrapped(vec![0; 32]).unwrap();
    let fresh = Fresh {
        iv: [0; 12],
        salt: [0; 32],
    };
    let sealed = message::seal(&place, &data_key, &wrapping, &fresh, &vec![0; plaintext]).unwrap();
    let wasted = sealed.capacity() - sealed.len();
    assert!(wasted <= 128, "{wasted} wasted");
    sealed.len()
}

/// Plaintexts at both ends of each column of the table in docs/envelope.md, "Sizes"; and how long the head is there.
const COLUMNS: [([usize; 2], usize); 4] = [([0, 7], 1), ([8, 239], 2), ([240, 65_519], 3), ([65_520, 100_000], 5)];

#[test]
fn the_overhead_is_as_documented() {
    let document = include_str!("../../../docs/envelope.md");
    for (kek, modulus) in [("RSA-2048", 256), ("RSA-3072", 384), ("RSA-4096", 512)] {
        let row = document.lines().find(|line| line.starts_with(&format!("| {kek} |")));
        let told: Vec<usize> = row
            .unwrap()
            .split('|')
            .filter_map(|cell| cell.trim().parse().ok())
            .collect();
        assert_eq!(told.len(), COLUMNS.len());
        for (told, (plaintexts, _)) in told.into_iter().zip(COLUMNS) {
            for len in plaintexts {
                assert_eq!(
                    envelope_len(Content::Data, 78, modulus, len) - len,
                    told,
                    "{kek}, {len}"
                );
            }
        }
    }
}

#[test]
fn the_length_is_by_the_documented_formula() {
    for (plaintexts, head) in COLUMNS {
        for (len, kek) in plaintexts.into_iter().zip([24, 255]) {
            let data = 193 + head + len + kek + 256;
            assert_eq!(envelope_len(Content::Data, kek, 256, len), data, "{len}, {kek}");
            assert_eq!(envelope_len(Content::Key, kek, 256, len), data - 1, "{len}, {kek}");
        }
    }
}
