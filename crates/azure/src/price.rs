//! What calls cost, in the units of Key Vault's documented limits: one that uses an RSA-2048 key in software costs 1.
//! <https://learn.microsoft.com/azure/key-vault/general/service-limits>

use keyferry_crypto::id::KeyRef;
use moka::{policy::EvictionPolicy, sync::Cache};

use crate::key::KeyDescription;

/// Keys that are remembered at most.
const MAX_KEYS: u64 = 100_000;

/// What is known of keys, and so what a call with one costs.
#[derive(Debug)]
pub(crate) struct Prices(Cache<KeyRef, Sort>);

/// What a key's vault has told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sort {
    /// The length of what it last wrapped, or of its modulus.
    bytes: Option<usize>,
    /// Whether it is known to be in hardware.
    is_in_hsm: bool,
}

impl Prices {
    pub(crate) fn new() -> Self {
        let kept = Cache::builder().max_capacity(MAX_KEYS);
        Self(kept.eviction_policy(EvictionPolicy::lru()).build())
    }

    /// What it costs to wrap with a key. One that is not known yet costs as much as the largest.
    pub(crate) fn of_wrap(&self, key: &KeyRef) -> u32 {
        let Sort { bytes, is_in_hsm } = self.sort(key);
        units(bytes.unwrap_or(LARGEST), is_in_hsm)
    }

    /// What it costs to unwrap so many bytes with a key: they are as long as the modulus of the version that wrapped them.
    pub(crate) fn of_unwrap(&self, key: &KeyRef, bytes: usize) -> u32 {
        units(bytes, self.sort(key).is_in_hsm)
    }

    /// Learns from a wrap how large the key is.
    pub(crate) fn learn_size(&self, key: &KeyRef, bytes: usize) {
        let known = self.sort(key);
        self.learn(
            key,
            Sort {
                bytes: Some(bytes),
                ..known
            },
        );
    }

    /// Learns from a description how large the key is, and where.
    pub(crate) fn learn_description(&self, description: &KeyDescription) {
        let told = Sort {
            bytes: description.rsa_bits.map(|bits| bits.div_ceil(8)),
            is_in_hsm: description.is_in_hsm,
        };
        self.learn(&description.kek.key, told);
    }

    fn sort(&self, key: &KeyRef) -> Sort {
        self.0.get(key).unwrap_or_default()
    }

    fn learn(&self, key: &KeyRef, told: Sort) {
        if self.0.get(key) != Some(told) {
            self.0.insert(key.clone(), told);
        }
    }
}

/// RSA-4096's modulus.
const LARGEST: usize = 512;

/// Ten seconds buy 4,000 calls with RSA-2048, 1,000 with RSA-3072 and 500 with RSA-4096, and half as many in hardware.
fn units(bytes: usize, is_in_hsm: bool) -> u32 {
    let in_software = match bytes {
        ..=256 => 1,
        257..=384 => 4,
        _ => 8,
    };
    if is_in_hsm { 2 * in_software } else { in_software }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyRef {
        KeyRef {
            vault: "acme.vault.azure.net".parse().unwrap(),
            name: "kek".parse().unwrap(),
        }
    }

    fn described(rsa_bits: usize, is_in_hsm: bool) -> KeyDescription {
        let version = "0123456789abcdef0123456789abcdef".parse().unwrap();
        KeyDescription {
            kek: keyferry_crypto::id::KekId { key: key(), version },
            rsa_bits: Some(rsa_bits),
            is_in_hsm,
            is_enabled: true,
            not_before: None,
            expires: None,
            operations: Vec::new(),
            recovery_level: None,
        }
    }

    #[test]
    fn ten_seconds_buy_what_azure_documents() {
        for (bits, software, hsm) in [(2048, 4000, 2000), (3072, 1000, 500), (4096, 500, 250)] {
            for (is_in_hsm, calls) in [(false, software), (true, hsm)] {
                let prices = Prices::new();
                prices.learn_description(&described(bits, is_in_hsm));
                assert_eq!(4000 / prices.of_wrap(&key()), calls);
                assert_eq!(4000 / prices.of_unwrap(&key(), bits / 8), calls);
            }
        }
    }

    #[test]
    fn a_key_that_is_not_known_costs_as_much_as_the_largest_until_it_wrapped() {
        let prices = Prices::new();
        assert_eq!(prices.of_wrap(&key()), 8);
        prices.learn_size(&key(), 256);
        assert_eq!(prices.of_wrap(&key()), 1);
    }

    #[test]
    fn a_wrap_tells_nothing_of_where_a_key_is() {
        let prices = Prices::new();
        prices.learn_description(&described(2048, true));
        prices.learn_size(&key(), 512);
        assert_eq!(prices.of_wrap(&key()), 16);
        assert_eq!(prices.of_unwrap(&key(), 256), 2, "an old version may be smaller");
    }
}
