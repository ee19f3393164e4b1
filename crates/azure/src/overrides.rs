//! Where hosts really are, where DNS would say otherwise or nothing: private endpoints, and an emulator.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{PoisonError, RwLock},
};

use crate::config::ConfigError;

/// Addresses by name. A name stands for itself and for everything below it; the longest one wins. Changes hold for the next
/// request, whatever connections are open. The port is the address's.
#[derive(Debug, Default)]
pub struct Overrides(RwLock<HashMap<String, Entry>>);

/// What is said of a name. It stays when it says nothing any more, for the count.
#[derive(Debug, Default)]
struct Entry {
    address: Option<SocketAddr>,
    changes: u64,
}

impl Overrides {
    /// Sends a host, or all hosts below a suffix, to `address`.
    pub fn set(&self, name: &str, address: SocketAddr) -> Result<(), ConfigError> {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.entry(plain(name)?).or_default().say(Some(address));
        Ok(())
    }

    /// Leaves a name to DNS again, or to a shorter name's address.
    pub fn remove(&self, name: &str) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(&name.to_ascii_lowercase()) {
            entry.say(None);
        }
    }

    /// Where `host` is, if it is named here.
    #[must_use]
    pub fn find(&self, host: &str) -> Option<SocketAddr> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let host = host.to_ascii_lowercase();
        names(&host).find_map(|name| entries.get(name)?.address)
    }

    /// How many changes `host` has seen, its own and those of shorter names. A connection that was made after fewer may
    /// lead to where the host was.
    pub(crate) fn changes(&self, host: &str) -> u64 {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let host = host.to_ascii_lowercase();
        names(&host)
            .filter_map(|name| entries.get(name))
            .map(|entry| entry.changes)
            .sum()
    }
}

impl Entry {
    fn say(&mut self, address: Option<SocketAddr>) {
        if self.address != address {
            self.address = address;
            self.changes += 1;
        }
    }
}

/// A host's own name, then the shorter ones above it.
fn names(host: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(host), |name| name.split_once('.').map(|(_, above)| above))
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
    fn a_host_sees_the_changes_of_its_own_name_and_of_those_above() {
        let overrides = Overrides::default();
        let seen =
            || ["acme.vault.azure.net", "other.vault.azure.net", "azure.net"].map(|host| overrides.changes(host));
        assert_eq!(seen(), [0, 0, 0]);
        overrides.set("vault.azure.net", at(1)).unwrap();
        overrides.set("Acme.vault.azure.net", at(1)).unwrap();
        assert_eq!(seen(), [2, 1, 0]);
        overrides.set("acme.vault.azure.net", at(1)).unwrap(); // no change
        overrides.remove("nobody.vault.azure.net");
        assert_eq!(seen(), [2, 1, 0]);
        overrides.remove("acme.vault.azure.net");
        overrides.remove("acme.vault.azure.net");
        assert_eq!(seen(), [3, 1, 0]);
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
