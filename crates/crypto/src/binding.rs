//! What a ciphertext is bound to: its content type, its tenant and its encryption context, encoded so that no two
//! places ever share an encoding.

use crate::{cbor::Writer, context::EncryptionContext, envelope::Content, id::TenantId};

/// Where a message belongs. It opens there and nowhere else.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) content: Content,
    pub(crate) context: &'a EncryptionContext,
}

impl Place<'_> {
    /// The `Enc_structure` of RFC 9052 §5.3: `["Encrypt", protected header, external_aad]`. The cipher authenticates it.
    pub(crate) fn enc_structure(&self) -> Vec<u8> {
        let external_aad = self.external_aad();
        let mut structure = Writer::with_capacity(64 + external_aad.len());
        structure
            .array(3)
            .text("Encrypt")
            .bytes(self.content.protected_header())
            .bytes(&external_aad);
        structure.finish()
    }

    /// `[tenant id, encryption context]`. An empty context is an empty map.
    fn external_aad(&self) -> Vec<u8> {
        let entries = self.context.entries();
        let mut aad = Writer::with_capacity(32 + 64 * entries.len());
        aad.array(2).bytes(self.tenant.as_bytes()).map(entries.len() as u64);
        for (key, value) in in_deterministic_order(entries) {
            aad.text(key).text(value);
        }
        aad.finish()
    }
}

/// RFC 8949 §4.2.1 orders a map by its keys' encodings, and a text's encoding begins with its length.
fn in_deterministic_order<'a>(entries: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by_key(|(key, _)| (key.len(), *key));
    entries
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use uuid::Uuid;

    use super::*;

    fn aad(tenant: u128, entries: &[(&str, &str)]) -> Vec<u8> {
        let map: BTreeMap<_, _> = entries.iter().map(|&(key, value)| (key.into(), value.into())).collect();
        let context = EncryptionContext::new(map).unwrap();
        let place = Place {
            tenant: TenantId(Uuid::from_u128(tenant)),
            content: Content::Data,
            context: &context,
        };
        place.external_aad()
    }

    #[test]
    fn an_empty_context_is_an_empty_map() {
        let mut expected = vec![0x82, 0x50];
        expected.extend([0; 15]);
        expected.extend([7, 0xa0]);
        assert_eq!(aad(7, &[]), expected);
    }

    #[test]
    fn shorter_keys_come_first() {
        let tail = [0xa3, 0x61, b'b', 0x60, 0x62, b'a', b'a', 0x60, 0x62, b'a', b'b', 0x60];
        assert!(aad(0, &[("ab", ""), ("b", ""), ("aa", "")]).ends_with(&tail));
    }

    #[test]
    fn what_is_moved_between_key_and_value_is_another_context() {
        assert_ne!(aad(0, &[("ab", "c")]), aad(0, &[("a", "bc")]));
        assert_ne!(aad(0, &[("a", "b"), ("c", "d")]), aad(0, &[("a", "bcd")]));
        assert_ne!(aad(0, &[]), aad(0, &[("a", "")]));
        assert_ne!(aad(0, &[]), aad(1, &[]));
    }
}
