//! Key Vault's documented limits: per vault and ten seconds, weighted by what the key costs.
//! <https://learn.microsoft.com/azure/key-vault/general/service-limits>

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Route, error::Refusal};
use crate::{calls::Operation, world::Vault};

/// What each vault has spent of its window.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<(String, Kind), Window>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Crypto,
    Other,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    spent: u32,
}

impl Throttle {
    /// Spends the request's weight, or refuses it.
    pub(crate) fn admit(&self, vault: &Vault, route: &Route) -> Result<(), Refusal> {
        let (kind, weight) = weight(vault, route);
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry((vault.host.clone(), kind)).or_insert_with(|| Window {
            began: Instant::now(),
            spent: 0,
        });
        if window.began.elapsed() >= WINDOW {
            *window = Window {
                began: Instant::now(),
                spent: 0,
            };
        }
        if window.spent + weight > BUDGET {
            return Err(Refusal::throttled(None));
        }
        window.spent += weight;
        Ok(())
    }
}

/// A key's cost: RSA-2048 4000 in software and 2000 in an HSM, RSA-3072 1000 and 500, RSA-4096 500 and 250.
fn weight(vault: &Vault, route: &Route) -> (Kind, u32) {
    let crypto = matches!(
        route.operation,
        Operation::Encrypt
            | Operation::Decrypt
            | Operation::WrapKey
            | Operation::UnwrapKey
            | Operation::Sign
            | Operation::Verify
    );
    let version = vault.keys.get(&route.name).and_then(|key| key.version(&route.version));
    let (true, Some(version)) = (crypto, version) else {
        return (Kind::Other, 1);
    };
    let software = match version.key.bits() {
        ..=2048 => 1,
        2049..=3072 => 4,
        _ => 8,
    };
    (Kind::Crypto, if version.kty == "RSA" { software } else { 2 * software })
}

const WINDOW: Duration = Duration::from_secs(10);
const BUDGET: u32 = 4000;
