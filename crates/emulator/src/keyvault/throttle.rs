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
    /// Whether it goes on until another is ordered, however long that takes.
    held: bool,
}

impl Throttle {
    /// Begins both windows of a vault anew, with so much of each spent.
    pub(crate) fn begin(&self, host: &str, crypto: u32, other: u32, held: bool) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, spent) in [(Kind::Crypto, crypto), (Kind::Other, other)] {
            windows.insert((host.to_owned(), kind), Window::new(spent, held));
        }
    }

    /// Spends the request's weight, or refuses it.
    pub(crate) fn admit(&self, vault: &Vault, route: &Route) -> Result<(), Refusal> {
        let (kind, weight) = weight(vault, route);
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows
            .entry((vault.host.clone(), kind))
            .or_insert_with(|| Window::new(0, false));
        if !window.held && window.began.elapsed() >= WINDOW {
            *window = Window::new(0, false);
        }
        if window.spent.saturating_add(weight) > BUDGET {
            return Err(Refusal::throttled(None));
        }
        window.spent += weight;
        Ok(())
    }
}

impl Window {
    fn new(spent: u32, held: bool) -> Self {
        Self {
            began: Instant::now(),
            spent,
            held,
        }
    }
}

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
    (Kind::Crypto, price(version.key.bits(), version.kty != "RSA"))
}

/// What a key of that size costs. Ten seconds buy 4000 operations with RSA-2048 in software and 2000 in an HSM, 1000 and
/// 500 with RSA-3072, 500 and 250 with RSA-4096.
fn price(bits: usize, hsm: bool) -> u32 {
    let software = match bits {
        ..=2048 => 1,
        2049..=3072 => 4,
        _ => 8,
    };
    if hsm { 2 * software } else { software }
}

const WINDOW: Duration = Duration::from_secs(10);
const BUDGET: u32 = 4000;

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::world::VaultOptions;

    #[test]
    fn ten_seconds_buy_what_azure_documents() {
        let limits = [(2048, 4000, 2000), (3072, 1000, 500), (4096, 500, 250)];
        for (bits, software, hsm) in limits {
            assert_eq!(BUDGET / price(bits, false), software);
            assert_eq!(BUDGET / price(bits, true), hsm);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_vault_that_spent_its_budget_waits_for_the_next_window_and_others_do_not() {
        let vault = |host| Vault::new(host, Uuid::nil(), VaultOptions::default());
        let (one, other) = (vault("one.vault.azure.net"), vault("other.vault.azure.net"));
        let (throttle, route) = (Throttle::default(), Route::other());
        for _ in 0..4000 {
            throttle.admit(&one, &route).unwrap();
        }
        tokio::time::advance(Duration::from_millis(9_999)).await;
        throttle.admit(&one, &route).unwrap_err();
        throttle.admit(&other, &route).unwrap();
        tokio::time::advance(Duration::from_millis(1)).await;
        throttle.admit(&one, &route).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_is_held_does_not_end_until_another_is_begun() {
        let vault = Vault::new("one.vault.azure.net", Uuid::nil(), VaultOptions::default());
        let (throttle, route) = (Throttle::default(), Route::other());
        throttle.begin(&vault.host, 0, BUDGET - 1, true);
        throttle.admit(&vault, &route).unwrap();
        tokio::time::advance(2 * WINDOW).await;
        throttle.admit(&vault, &route).unwrap_err();
        throttle.begin(&vault.host, 0, BUDGET, false);
        throttle.admit(&vault, &route).unwrap_err();
        tokio::time::advance(WINDOW).await;
        throttle.admit(&vault, &route).unwrap();
    }
}
