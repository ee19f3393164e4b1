//! A service on a vault, a registry and an issuer of the test's own, and a few tenants.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use http::Method;
use keyferry_api::{
    Service,
    app::Parts,
    bound::Bound,
    caller::Callers,
    clock,
    config::{AdminConfig, AuthConfig, CallerConfig, EventsConfig, HttpConfig, TelemetryConfig},
    events::Events,
    telemetry::Metrics,
};
use keyferry_azure::{AzureConfig, AzureKeyVault, ClientId, ClientSecret, CredentialConfig};
use keyferry_crypto::{
    id::{DirectoryId, KeyRef},
    sealer::{Sealer, SealerLimits},
    tenant::{SealingPolicy, VersionPolicy},
    vault::KeyVault,
};
use keyferry_health::{HealthConfig, KeyWatch};
use keyferry_onboarding::{OnboardingConfig, Onboardings};
use keyferry_registry::{Changed, Clock, DatabaseUrl, NewTenant, Registry, RegistryLimits, Store, Tenant};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{
    issuer::{AUDIENCE, DIRECTORY, Issuer},
    reply::Reply,
    vault::FakeVault,
};

/// A caller that is confined to the tenant `acme`.
pub(crate) const CONFINED: Uuid = Uuid::from_u128(0xc1);
/// A caller that is confined to three tenants, of which only `acme` and `initech` exist.
pub(crate) const CONFINED_TO_SEVERAL: Uuid = Uuid::from_u128(0xc2);
/// Our application, as customers know it.
pub(crate) const APPLICATION: Uuid = Uuid::from_u128(0xa1);
/// Where customers' browsers reach the service.
pub(crate) const PUBLIC_URL: &str = "https://keys.example.com";
/// Every role that the data plane knows.
pub(crate) const DATA: [&str; 3] = ["Keyferry.Seal", "Keyferry.Open", "Keyferry.Rewrap"];
pub(crate) const OPERATOR: &str = "Keyferry.Operator";

pub(crate) struct World {
    service: Option<Service>,
    addr: SocketAddr,
    ops_addr: SocketAddr,
    pub(crate) vault: Arc<FakeVault>,
    pub(crate) issuer: Issuer,
    /// What the service keeps, for what cannot be brought about from outside.
    pub(crate) store: Arc<dyn Store>,
    http: reqwest::Client,
    _tasks: JoinSet<()>,
    dir: TempDir,
}

/// What a world is made of.
pub(crate) struct Setup {
    pub(crate) issuer: Issuer,
    pub(crate) clock: Clock,
    pub(crate) has_database: bool,
    pub(crate) has_onboarding: bool,
    /// Whether customers' keys are looked at, often.
    pub(crate) is_watched: bool,
    pub(crate) events: Option<EventsConfig>,
    pub(crate) http: HttpConfig,
}

impl Setup {
    pub(crate) async fn usual() -> Self {
        let http = HttpConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            ..HttpConfig::default()
        };
        Self {
            issuer: Issuer::start().await,
            clock: clock::system(),
            has_database: true,
            has_onboarding: true,
            is_watched: false,
            events: None,
            http,
        }
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A world whose service has other limits.
    pub(crate) async fn with(change: impl FnOnce(&mut HttpConfig)) -> Self {
        let mut setup = Setup::usual().await;
        change(&mut setup.http);
        let world = Self::of(setup).await;
        world.is_ready().await;
        world
    }

    /// A world that is not waited for until it is ready.
    pub(crate) async fn of(setup: Setup) -> Self {
        let Setup { issuer, clock, .. } = setup;
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir, setup.has_database).await;
        let (vault, http) = (FakeVault::new(), reqwest::Client::new());
        let metrics = Metrics::new(&TelemetryConfig::default()).unwrap();
        let registry = Registry::new(store.clone(), RegistryLimits::default());
        let onboardings = setup
            .has_onboarding
            .then(|| onboardings(&dir, store.clone(), &registry, clock));
        let sealer = sealer(&vault);
        let watch = setup.is_watched.then(|| watch(&store, &registry, &sealer, clock));
        let mut tasks = JoinSet::new();
        if !setup.is_watched {
            tasks.spawn(evict_what_changes(Arc::clone(&sealer), registry.changes()));
        }
        let parts = Parts {
            sealer,
            registry,
            store: Arc::clone(&store),
            watch,
            alive: HealthConfig::default().alive(),
            vaults: None,
            bound: Bound::new(&HealthConfig::default(), Duration::from_secs(3), Duration::from_secs(8)),
            events: setup
                .events
                .map(|events| Arc::new(Events::new(&events, &auth(&issuer), &http, clock).unwrap())),
            callers: Arc::new(Callers::new(&auth(&issuer), &http, clock)),
            onboardings,
            page: keyferry_api::config::PageConfig::default(),
            metrics: Arc::new(metrics),
            clock,
        };
        let service = Service::serve(parts, &setup.http, &AdminConfig::default())
            .await
            .unwrap();
        Self {
            addr: service.addr(),
            ops_addr: service.ops_addr(),
            service: Some(service),
            vault,
            issuer,
            store,
            http,
            _tasks: tasks,
            dir,
        }
    }

    /// What the service keeps, for what happened by another clock.
    pub(crate) fn store_by(&self, clock: Clock) -> Arc<dyn Store> {
        keyferry_registry::connect(&database(&self.dir, "registry.db"), clock).unwrap()
    }

    /// Waits until both the tenants and the signing keys are read.
    pub(crate) async fn is_ready(&self) {
        while Reply::to(self.ops("/readyz")).await.status != 200 {}
    }

    /// Asks, with that authorization, for something that any caller who may seal can have.
    pub(crate) async fn ask(&self, authorization: &str) -> Reply {
        let request = self.call(Method::POST, "/v1/tenants/acme/generate-data-key");
        Reply::to(request.header("authorization", authorization).json(&json!({}))).await
    }

    /// The same, with that token.
    pub(crate) async fn ask_with(&self, token: &str) -> Reply {
        self.ask(&format!("Bearer {token}")).await
    }

    /// A request to the API, without a token.
    pub(crate) fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.addr))
    }

    /// A request to where machines ask.
    pub(crate) fn ops(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("http://{}{path}", self.ops_addr))
    }

    /// A request that machines do not make.
    pub(crate) fn posts_to_ops(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("http://{}{path}", self.ops_addr))
    }

    /// A request of a data plane's caller with every role there.
    pub(crate) fn data(&self, path: &str) -> RequestBuilder {
        self.call(Method::POST, &format!("/v1/tenants/{path}"))
            .bearer_auth(self.issuer.token(&DATA))
    }

    /// A request of an operator.
    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, &format!("/v1/admin/tenants{path}"))
            .bearer_auth(self.issuer.token(&[OPERATOR]))
    }

    /// A request of an operator about onboardings.
    pub(crate) fn onboarding(&self, method: Method, path: &str) -> RequestBuilder {
        self.call(method, &format!("/v1/admin/onboardings{path}"))
            .bearer_auth(self.issuer.token(&[OPERATOR]))
    }

    /// Opens an onboarding, and answers it with its link.
    pub(crate) async fn opens(&self, slug: &str) -> Value {
        let request = json!({"slug": slug, "display_name": "A customer to be"});
        Reply::to(self.onboarding(Method::POST, "").json(&request))
            .await
            .with(201)
    }

    /// Does a data operation.
    pub(crate) async fn does(&self, path: &str, body: &Value) -> Reply {
        Reply::to(self.data(path).json(body)).await
    }

    /// Registers a tenant that has a directory and a vault of its own.
    pub(crate) async fn register(&self, slug: &str, policy: Value) -> Value {
        let mut request = registration(slug);
        request["policy"] = policy;
        Reply::to(self.admin(Method::POST, "").json(&request)).await.with(201)
    }

    /// An envelope of that tenant's that holds a key.
    pub(crate) async fn wrapped_key(&self, tenant: &str) -> String {
        let made = self.does(&format!("{tenant}/generate-data-key"), &json!({})).await;
        made.with(200)["wrapped_key"].as_str().unwrap().to_owned()
    }

    /// An envelope of that tenant's that holds data.
    pub(crate) async fn ciphertext(&self, tenant: &str) -> String {
        let made = self
            .does(&format!("{tenant}/encrypt"), &json!({"plaintext": "cGF5cm9sbA"}))
            .await;
        made.with(200)["ciphertext"].as_str().unwrap().to_owned()
    }

    /// Where the API is served.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The service, to be stopped.
    pub(crate) fn take_service(&mut self) -> Service {
        self.service.take().unwrap()
    }
}

/// What registers a tenant.
pub(crate) fn registration(slug: &str) -> Value {
    json!({
        "slug": slug, "display_name": "A customer", "directory_id": Uuid::new_v4(),
        "vault": format!("v-{slug}.vault.azure.net"), "key_name": "kek",
    })
}

fn tenant(slug: &str, vault: &str) -> Tenant {
    let new = NewTenant {
        slug: slug.parse().unwrap(),
        display_name: "A customer".parse().unwrap(),
        directory: DirectoryId(Uuid::from_u128(0xe1)),
        cloud: keyferry_crypto::id::Cloud::Public,
        key: KeyRef {
            vault: format!("{vault}.vault.azure.net").parse().unwrap(),
            name: "kek".parse().unwrap(),
        },
        version: VersionPolicy::FollowLatest,
        policy: SealingPolicy::default(),
    };
    Tenant::new(new, clock::system()()).unwrap()
}

/// A store of three tenants; or one whose database cannot be opened.
async fn store(dir: &TempDir, has_database: bool) -> Arc<dyn Store> {
    let file = if has_database {
        "registry.db"
    } else {
        "nowhere/registry.db"
    };
    let url = database(dir, file);
    let store = keyferry_registry::connect(&url, clock::system()).unwrap();
    if has_database {
        keyferry_registry::migrate(&url).await.unwrap();
        for (slug, vault) in [("acme", "shared"), ("globex", "shared"), ("initech", "initech")] {
            store.create(&tenant(slug, vault), None).await.unwrap();
        }
    }
    store
}

fn database(dir: &TempDir, file: &str) -> DatabaseUrl {
    format!("sqlite:{}", dir.path().join(file).display()).parse().unwrap()
}

/// Onboardings whose customers' directories and vaults nobody can reach.
fn onboardings(dir: &TempDir, store: Arc<dyn Store>, registry: &Arc<Registry>, clock: Clock) -> Arc<Onboardings> {
    let secret = CredentialConfig::Secret(ClientSecret::new("not-a-secret".to_owned()));
    let mut azure = AzureConfig::new(ClientId(APPLICATION), secret);
    for host in ["login.microsoftonline.com", "vault.azure.net"] {
        azure.overrides.insert(host.to_owned(), ([127, 0, 0, 1], 1).into());
    }
    let signing_key_file = dir.path().join("signing-key");
    std::fs::write(&signing_key_file, [7; 32]).unwrap();
    let config: OnboardingConfig = serde_json::from_value(json!({
        "public_url": PUBLIC_URL, "signing_key_file": signing_key_file, "platform_name": "Example Platform",
    }))
    .unwrap();
    let parts = keyferry_onboarding::Parts {
        store,
        registry: Arc::clone(registry),
        azure: Arc::new(AzureKeyVault::new(&azure).unwrap()),
        endpoints: None,
        applications: vec![(keyferry_crypto::id::Cloud::Public, APPLICATION)],
        clock,
    };
    Onboardings::new(parts, config).unwrap()
}

fn sealer(vault: &Arc<FakeVault>) -> Arc<Sealer> {
    let vault = Arc::clone(vault) as Arc<dyn KeyVault>;
    Arc::new(Sealer::new(vault, SealerLimits::default()))
}

/// A watch that takes no long time for anything.
fn watch(store: &Arc<dyn Store>, registry: &Arc<Registry>, sealer: &Arc<Sealer>, clock: Clock) -> Arc<KeyWatch> {
    let parts = keyferry_health::Parts {
        store: Arc::clone(store) as _,
        registry: Arc::clone(registry) as _,
        sealer: Arc::clone(sealer) as _,
        share_among: Box::new(|_| {}),
        doubt_endpoint: Box::new(|_| {}),
        try_timeout: Duration::from_secs(8),
        confirmation: Duration::from_secs(3),
        clock,
    };
    let config = json!({"period_seconds": 0.2, "idle_period_seconds": 0.2});
    KeyWatch::new(parts, serde_json::from_value(config).unwrap(), "here", "1.2.3")
}

/// What a watch does besides, where there is none: it would ask vaults for more than the test does.
async fn evict_what_changes(sealer: Arc<Sealer>, mut changes: Receiver<Changed>) {
    loop {
        match changes.recv().await {
            Ok(Changed::Tenant(tenant)) => sealer.evict(tenant),
            Ok(Changed::Everything) | Err(RecvError::Lagged(_)) => sealer.evict_all(),
            Ok(Changed::Key(_) | Changed::Heard(..)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn auth(issuer: &Issuer) -> AuthConfig {
    let confined = |application, tenants: &[&str]| CallerConfig {
        application,
        tenants: tenants.iter().map(|slug| slug.parse().unwrap()).collect(),
    };
    let config = json!({"directories": [DIRECTORY], "audiences": [AUDIENCE], "authority": issuer.origin()});
    AuthConfig {
        callers: vec![
            confined(CONFINED, &["acme"]),
            confined(CONFINED_TO_SEVERAL, &["umbrella", "initech", "acme"]),
        ],
        ..serde_json::from_value(config).unwrap()
    }
}
