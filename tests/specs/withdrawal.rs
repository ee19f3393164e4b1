//! A customer takes its key away from a process that is hot: one that holds data keys, seals and opens with them all the time.

use keyferry_client::{Context, Policy, Secret, TenantClient};
use keyferry_emulator::{Assignment, Network, Operation, Order, Role, Scope};
use keyferry_tests::{Customer, Database, KEY, Keyferry, World, eventually};

/// Short, so that nobody waits long.
const SHORT: Policy = Policy {
    cache_ttl_seconds: 2,
    lease_max_age_seconds: 2,
    lease_max_messages: 1_000_000,
    outage_grace_seconds: 0,
};

/// A process that has sealed and opened a moment ago.
struct Hot {
    world: World,
    acme: Customer,
    data: TenantClient,
    sealed: String,
    _keyferry: Keyferry,
}

impl Hot {
    async fn start(policy: Policy) -> Self {
        let world = World::new(Database::sqlite()).await;
        let keyferry = start_with_short_lived_tokens(&world).await;
        let acme = world.tenant(&keyferry, "acme", Some(policy)).await;
        let data = world.data(&keyferry, "acme");
        let sealed = seal(&data).await.unwrap();
        open(&data, &sealed).await.unwrap();
        Self {
            world,
            acme,
            data,
            sealed,
            _keyferry: keyferry,
        }
    }

    /// Neither seals nor opens any more, for this reason.
    async fn goes_dark(&self, slug: &str) {
        let is_refused = |refused: &Result<String, String>| refused.as_ref().is_err_and(|told| told == slug);
        eventually("what is sealed does not open", async || {
            is_refused(&open(&self.data, &self.sealed).await)
        })
        .await;
        eventually("nothing is sealed", async || is_refused(&seal(&self.data).await)).await;
        for _ in 0..20 {
            assert_eq!(open(&self.data, &self.sealed).await.unwrap_err(), slug);
            assert_eq!(seal(&self.data).await.unwrap_err(), slug);
        }
    }

    /// Does both again, by itself.
    async fn comes_back(&self) {
        eventually("what was sealed opens", async || {
            open(&self.data, &self.sealed).await.is_ok()
        })
        .await;
        eventually("it is sealed again", async || seal(&self.data).await.is_ok()).await;
    }
}

/// A replica that asks Entra for a new token as soon as one is a second old.
async fn start_with_short_lived_tokens(world: &World) -> Keyferry {
    let path = world.write_config();
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config.replace("[azure]\n", "[azure]\ntoken_max_age_seconds = 1\n");
    std::fs::write(&path, config).unwrap();
    let keyferry = Keyferry::start(&path);
    let client = keyferry.client(world.service());
    eventually("the service is ready", async || client.is_ready().await).await;
    keyferry
}

/// An envelope, or the slug of the problem.
async fn seal(data: &TenantClient) -> Result<String, String> {
    let sealed = data.encrypt(&Secret::from(b"payroll".to_vec()), &Context::new()).await;
    sealed.map(|sealed| sealed.ciphertext).map_err(|error| slug(&error))
}

async fn open(data: &TenantClient, sealed: &str) -> Result<String, String> {
    let opened = data
        .decrypt(sealed, &Context::new())
        .await
        .map_err(|error| slug(&error))?;
    assert_eq!(opened.plaintext.expose(), b"payroll");
    Ok(opened.key_id)
}

fn slug(error: &keyferry_client::Error) -> String {
    error.problem().unwrap().slug().to_owned()
}

#[tokio::test]
async fn a_disabled_key_darkens_a_hot_process() {
    let hot = Hot::start(SHORT).await;
    hot.world.order(hot.acme.set_key(Some(false), None));
    hot.goes_dark("key-disabled").await;
    hot.world.order(hot.acme.set_key(Some(true), None));
    hot.comes_back().await;
}

#[tokio::test]
async fn a_deleted_key_darkens_a_hot_process() {
    let hot = Hot::start(SHORT).await;
    let (host, name) = (hot.acme.vault.clone(), KEY.to_owned());
    hot.world.order(Order::DeleteKey {
        host: host.clone(),
        name: name.clone(),
    });
    hot.goes_dark("key-not-found").await;
    hot.world.order(Order::RecoverKey { host, name });
    hot.comes_back().await;
}

#[tokio::test]
async fn a_removed_role_darkens_a_hot_process() {
    let hot = Hot::start(SHORT).await;
    hot.world.order(hot.acme.assignment(false));
    hot.goes_dark("role-missing").await;
    hot.world.order(hot.acme.assignment(true));
    hot.comes_back().await;
}

#[tokio::test]
async fn withdrawn_consent_darkens_a_hot_process_once_its_token_is_old() {
    let hot = Hot::start(SHORT).await;
    hot.world.order(hot.acme.withdraw_consent());
    hot.goes_dark("consent-missing").await;
}

#[tokio::test]
async fn a_firewall_darkens_a_hot_process() {
    let hot = Hot::start(SHORT).await;
    let network = |network| Order::SetNetwork {
        host: hot.acme.vault.clone(),
        network,
    };
    hot.world.order(network(Network::Firewall(Vec::new())));
    hot.goes_dark("firewall-denied").await;
    hot.world.order(network(Network::Open));
    hot.comes_back().await;
}

/// Reader may read the key; and whoever may read a key may wrap with it.
#[tokio::test]
async fn the_right_to_unwrap_taken_alone_darkens_a_hot_process_though_wraps_succeed() {
    for lease_max_messages in [SHORT.lease_max_messages, 1] {
        let policy = Policy {
            lease_max_messages,
            ..SHORT
        };
        let hot = Hot::start(policy).await;
        hot.world.order(Order::Assign {
            host: hot.acme.vault.clone(),
            assignment: Assignment {
                principal: hot.acme.principal,
                role: Role::Reader,
                scope: Scope::Vault,
            },
            works_after_seconds: 0,
        });
        hot.world.order(hot.acme.assignment(false));
        hot.goes_dark("role-missing").await;
        // Longer than a refusal is remembered, with nobody who opens to notice it again.
        let wraps = hot.world.count(&hot.acme, Operation::WrapKey);
        eventually("the vault was asked to wrap again, and again", async || {
            assert_eq!(seal(&hot.data).await.unwrap_err(), "role-missing");
            hot.world.count(&hot.acme, Operation::WrapKey) >= wraps + 2
        })
        .await;
        let unwraps = hot.world.count(&hot.acme, Operation::UnwrapKey);
        eventually("the vault was asked to unwrap again", async || {
            assert_eq!(open(&hot.data, &hot.sealed).await.unwrap_err(), "role-missing");
            hot.world.count(&hot.acme, Operation::UnwrapKey) > unwraps
        })
        .await;
        hot.world.order(hot.acme.assignment(true));
        hot.comes_back().await;
    }
}

#[tokio::test]
async fn an_expired_key_seals_no_more_and_opens_from_the_cache_as_before() {
    let hot = Hot::start(Policy {
        cache_ttl_seconds: 3600,
        ..SHORT
    })
    .await;
    let expiry = |exp| Order::SetKey {
        host: hot.acme.vault.clone(),
        name: KEY.into(),
        version: String::new(),
        enabled: None,
        nbf: None,
        exp: Some(exp),
        key_ops: None,
    };
    hot.world.order(expiry(1));
    eventually("nothing is sealed", async || {
        seal(&hot.data).await.is_err_and(|told| told == "key-not-usable")
    })
    .await;
    let wraps = hot.world.count(&hot.acme, Operation::WrapKey);
    let unwraps = hot.world.count(&hot.acme, Operation::UnwrapKey);
    eventually("the vault was asked to wrap again", async || {
        assert_eq!(seal(&hot.data).await.unwrap_err(), "key-not-usable");
        open(&hot.data, &hot.sealed).await.unwrap();
        hot.world.count(&hot.acme, Operation::WrapKey) > wraps
    })
    .await;
    for _ in 0..20 {
        open(&hot.data, &hot.sealed).await.unwrap();
    }
    assert_eq!(hot.world.count(&hot.acme, Operation::UnwrapKey), unwraps);
    hot.world.order(expiry(4_102_444_800));
    hot.comes_back().await;
}
