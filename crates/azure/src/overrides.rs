//! Where hosts really are, where DNS would say otherwise or nothing: private endpoints, and an emulator.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::config::ConfigError;

/// Addresses by name. A name stands for itself and for everything below it; the longest one wins. Changes hold for the next
/// request, whatever connections are open. The port is the address's.
#[derive(Debug, Default)]
pub struct Overrides {
    addresses: RwLock<HashMap<String, SocketAddr>>,
    changes: AtomicU64,
}

impl Overrides {
    /// Sends a host, or all hosts below a suffix, to `address`.
    pub fn set(&self, name: &str, address: SocketAddr) -> Result<(), ConfigError> {
        let name = plain(name)?;
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        if addresses.insert(name, address) != Some(address) {
            self.changes.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    /// Leaves a name to DNS again, or to a shorter name's address.
    pub fn remove(&self, name: &str) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        if addresses.remove(&name.to_ascii_lowercase()).is_some() {
            self.changes.fetch_add(1, Ordering::Release);
        }
    }

    /// Where `host` is, if it is named here.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<SocketAddr> {
        let addresses = self.addresses.read().unwrap_or_else(PoisonError::into_inner);
        let host = host.to_ascii_lowercase();
        let mut name = host.as_str();
        loop {
            if let Some(address) = addresses.get(name) {
                return Some(*address);
            }
            (_, name) = name.split_once('.')?;
        }
    }

    /// How many changes there were: a client that was built before the last one has connections to where hosts were.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }
}

fn plain(name: &str) -> Result<String, ConfigError> {
    let labels = |name: &str| {
        name.split('.').all(|label| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    };
    if labels(name) {
        Ok(name.to_ascii_lowercase())
    } else {
        Err(ConfigError::Override(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn the_longest_name_wins() {
        let overrides = Overrides::default();
        overrides.set("vault.azure.net", at(1)).unwrap();
        overrides.set("Acme.vault.azure.net", at(2)).unwrap();
        assert_eq!(overrides.find("acme.vault.azure.net"), Some(at(2)));
        assert_eq!(overrides.find("ACME.VAULT.azure.net"), Some(at(2)));
        assert_eq!(overrides.find("other.vault.azure.net"), Some(at(1)));
        assert_eq!(overrides.find("login.microsoftonline.com"), None);
        assert_eq!(overrides.find("notvault.azure.net"), None);
        overrides.remove("acme.vault.azure.net");
        assert_eq!(overrides.find("acme.vault.azure.net"), Some(at(1)));
    }

    #[test]
    fn only_a_real_change_counts_as_one() {
        let overrides = Overrides::default();
        overrides.set("a.b", at(1)).unwrap();
        overrides.set("a.b", at(1)).unwrap();
        overrides.remove("b");
        assert_eq!(overrides.changes(), 1);
        overrides.set("a.b", at(2)).unwrap();
        assert_eq!(overrides.changes(), 2);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in [
            "",
            ".vault.azure.net",
            "*.vault.azure.net",
            "https://x",
            "a..b",
            "a.b:443",
        ] {
            assert!(Overrides::default().set(name, at(1)).is_err(), "{name}");
        }
    }
}
