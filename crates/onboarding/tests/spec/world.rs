//! An emulated Azure, a store, and the use case between them.

use std::{
    cell::Cell,
    io::Write as _,
    sync::{Arc, OnceLock},
    time::Duration,
};

use keyferry_azure::{
    AzureConfig, AzureKeyVault, ClientId, ClientSecret, CredentialConfig, PrivateEndpoints,
    config::{Retries, Timeouts},
};
use keyferry_crypto::{
    id::{Cloud, TenantId},
    tenant::SealingPolicy,
};
use keyferry_emulator::{
    Application, Assignment, Emulator, EmulatorConfig, Fault, FaultOrder, Network, Operation, Order, Role, RsaKey,
    Scope, Secret, VaultOptions,
};
use keyferry_onboarding::{NewOnboarding, OnboardingConfig, Onboardings, Parts, Typed, finding::Kind, link::LinkToken};
use keyferry_registry::{
    DatabaseUrl, Registry, RegistryLimits, Store,
    onboarding::{CheckName, EndpointPolicy, Onboarding},
};
use time::OffsetDateTime;
use url::Url;
use uuid::Uuid;

pub(crate) const CLIENT: Uuid = Uuid::from_u128(0x11);
pub(crate) const DIRECTORY: Uuid = Uuid::from_u128(0x22);
const HOME: Uuid = Uuid::from_u128(0x77);
const SUBSCRIPTION: Uuid = Uuid::from_u128(0x5ab);
pub(crate) const VAULT: &str = "acme.vault.azure.net";
pub(crate) const ENTRA: &str = "login.microsoftonline.com";
pub(crate) const KEY: &str = "kek";
pub(crate) const RESOURCE: &str = "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/acme";

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) onboardings: Arc<Onboardings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Arc<dyn Store>,
    config: AzureConfig,
    onboarding_config: OnboardingConfig,
    _files: tempfile::TempDir,
}

thread_local! {
    static TURNED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// The wall clock, as far as the test has turned it.
#[expect(
    clippy::disallowed_methods,
    reason = "the emulator's keys and tokens have real times"
)]
pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc() + TURNED.get()
}

/// Turns the clock.
pub(crate) fn later(by: Duration) {
    TURNED.set(TURNED.get() + by);
}

impl World {
    /// A platform that can make private endpoints, and a customer's directory with a vault and a key, where nobody has
    /// consented to anything.
    pub(crate) async fn new() -> Self {
        Self::with(VaultOptions::default()).await
    }

    pub(crate) async fn with(options: VaultOptions) -> Self {
        let emulator = Emulator::start(EmulatorConfig {
            signing_key: Some(pkcs8().clone()),
            ..EmulatorConfig::default()
        });
        let emulator = emulator.await.unwrap();
        let order = |order: Order| emulator.order(order).unwrap();
        order(Order::RegisterApplication {
            client_id: CLIENT,
            application: Application {
                secrets: vec![Secret {
                    value: SECRET.into(),
                    expired: false,
                }],
                ..Application::default()
            },
        });
        order(Order::CreateDirectory { directory: DIRECTORY });
        order(Order::CreateVault {
            host: VAULT.into(),
            directory: DIRECTORY,
            options,
        });
        order(Order::ImportKey {
            host: VAULT.into(),
            name: KEY.into(),
            pkcs8: base64_simd::URL_SAFE_NO_PAD.encode_to_string(pkcs8()),
        });
        let config = our_subscription(&emulator);
        let files = tempfile::tempdir().unwrap();
        let signing_key_file = files.path().join("signing.key");
        let mut file = std::fs::File::create(&signing_key_file).unwrap();
        file.write_all(&[0x5a; 32]).unwrap();
        let onboarding_config = format!(
            "public_url = 'https://keys.example.com'\nplatform_name = 'Contoso Cloud'\nsigning_key_file = '{}'\nrecommended_key_bits = 2048",
            signing_key_file.display()
        );
        let onboarding_config: OnboardingConfig = toml::from_str(&onboarding_config).unwrap();
        let url: DatabaseUrl = format!("sqlite:{}", files.path().join("registry.db").display())
            .parse()
            .unwrap();
        keyferry_registry::migrate(&url).await.unwrap();
        let store = keyferry_registry::connect(&url, now).unwrap();
        let registry = Registry::new(Arc::clone(&store) as _, RegistryLimits::default());
        let onboardings = replica(&store, &registry, &config, &onboarding_config);
        Self {
            emulator,
            onboardings,
            registry,
            store,
            config,
            onboarding_config,
            _files: files,
        }
    }

    /// A customer that has done everything right.
    pub(crate) async fn ready() -> Self {
        let world = Self::new().await;
        world.consent();
        world.assign(Role::CryptoServiceEncryptionUser);
        world
    }

    /// The same service, begun anew with nothing but what is stored.
    pub(crate) fn restart(&mut self) {
        self.registry = Registry::new(Arc::clone(&self.store) as _, RegistryLimits::default());
        self.onboardings = replica(&self.store, &self.registry, &self.config, &self.onboarding_config);
    }

    /// Another replica of the service, on the same store.
    pub(crate) fn replica(&self) -> Arc<Onboardings> {
        let registry = Registry::new(Arc::clone(&self.store) as _, RegistryLimits::default());
        replica(&self.store, &registry, &self.config, &self.onboarding_config)
    }

    /// One that makes no private endpoints.
    pub(crate) fn replica_without_endpoints(&self) -> Arc<Onboardings> {
        let registry = Registry::new(Arc::clone(&self.store) as _, RegistryLimits::default());
        let mut config = self.config.clone();
        config.private_endpoints = None;
        replica(&self.store, &registry, &config, &self.onboarding_config)
    }

    /// The same, for browsers that find Entra there.
    pub(crate) fn signing_in_at(&self, address: &str) -> Arc<Onboardings> {
        let config = OnboardingConfig {
            sign_in_url: Some(address.parse().unwrap()),
            ..self.onboarding_config.clone()
        };
        replica(&self.store, &self.registry, &self.config, &config)
    }

    pub(crate) fn order(&self, order: Order) -> String {
        let made = self.emulator.order(order).unwrap();
        made["oid"].as_str().unwrap_or_default().to_owned()
    }

    /// Consents, and answers our principal's object id.
    pub(crate) fn consent(&self) -> Uuid {
        let consent = Order::Consent {
            directory: DIRECTORY,
            client_id: CLIENT,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: 0,
        };
        self.order(consent).parse().unwrap()
    }

    pub(crate) fn assign(&self, role: Role) {
        self.order(Order::Assign {
            host: VAULT.into(),
            assignment: Assignment {
                principal: self.consent(),
                role,
                scope: Scope::Vault,
            },
            works_after_seconds: 0,
        });
    }

    pub(crate) fn unassign(&self, role: Role) {
        self.order(Order::Unassign {
            host: VAULT.into(),
            assignment: Assignment {
                principal: self.consent(),
                role,
                scope: Scope::Vault,
            },
        });
    }

    pub(crate) fn set_key(&self, change: impl FnOnce(&mut KeyState)) {
        let mut state = KeyState::default();
        change(&mut state);
        self.order(Order::SetKey {
            host: VAULT.into(),
            name: KEY.into(),
            version: String::new(),
            enabled: state.enabled,
            nbf: state.nbf,
            exp: state.exp,
            key_ops: state.key_ops,
        });
    }

    pub(crate) fn network(&self, network: Network) {
        self.order(Order::SetNetwork {
            host: VAULT.into(),
            network,
        });
    }

    pub(crate) fn fault(&self, host: &str, operation: Option<Operation>, fault: Fault) {
        self.order(Order::Fault {
            fault: FaultOrder::always(host, operation, fault),
        });
    }

    /// Opens an onboarding with all answers.
    pub(crate) async fn open(&self, endpoint_policy: EndpointPolicy) -> (Onboarding, Url) {
        self.open_with(endpoint_policy, answers()).await
    }

    pub(crate) async fn open_with(&self, endpoint_policy: EndpointPolicy, typed: Typed) -> (Onboarding, Url) {
        let (opened, url) = self.onboardings.open(new(endpoint_policy, typed), None).await.unwrap();
        (opened.onboarding, url)
    }

    pub(crate) async fn verify(&self, tenant: TenantId) -> Onboarding {
        self.onboardings.verify(tenant).await.unwrap()
    }

    /// Has the checks made until the endpoint stands so, as often as Azure takes.
    pub(crate) async fn verify_until(&self, tenant: TenantId, is_so: impl Fn(&Onboarding) -> bool) -> Onboarding {
        let mut onboarding = self.verify(tenant).await;
        for _ in 0..50 {
            if is_so(&onboarding) {
                return onboarding;
            }
            onboarding = self.verify(tenant).await;
        }
        panic!(
            "it never came to be so: {:?} {:?}",
            onboarding.endpoint, onboarding.checks
        );
    }
}

/// What is changed of a key.
#[derive(Default)]
pub(crate) struct KeyState {
    pub(crate) enabled: Option<bool>,
    pub(crate) nbf: Option<i64>,
    pub(crate) exp: Option<i64>,
    pub(crate) key_ops: Option<Vec<String>>,
}

pub(crate) fn new(endpoint_policy: EndpointPolicy, typed: Typed) -> NewOnboarding {
    NewOnboarding {
        slug: "acme".parse().unwrap(),
        display_name: "Acme".parse().unwrap(),
        cloud: Cloud::Public,
        policy: SealingPolicy::default(),
        endpoint_policy,
        allows_public_path: false,
        typed,
    }
}

/// What a customer types that makes no mistake.
pub(crate) fn answers() -> Typed {
    Typed {
        directory: Some(DIRECTORY.to_string()),
        vault: Some(format!("https://{VAULT}/")),
        key: Some(KEY.into()),
        resource: Some(RESOURCE.into()),
    }
}

/// What a check found.
pub(crate) fn found(onboarding: &Onboarding, check: CheckName) -> Kind {
    let made = onboarding.checks.get(&check);
    made.unwrap_or_else(|| panic!("{check:?} was not made"))
        .observed
        .finding
        .slug
        .parse()
        .unwrap()
}

/// The token in a link.
pub(crate) fn token(link: &Url) -> LinkToken {
    LinkToken::from_path(link.path_segments().unwrap().next_back().unwrap())
}

fn replica(
    store: &Arc<dyn Store>,
    registry: &Arc<Registry>,
    config: &AzureConfig,
    onboarding_config: &OnboardingConfig,
) -> Arc<Onboardings> {
    let azure = Arc::new(AzureKeyVault::new(config).unwrap());
    let parts = Parts {
        store: Arc::clone(store),
        registry: Arc::clone(registry),
        endpoints: PrivateEndpoints::new(config, &azure),
        azure,
        applications: vec![(Cloud::Public, CLIENT), (Cloud::China, CLIENT)],
        clock: now,
    };
    Onboardings::new(parts, onboarding_config.clone()).unwrap()
}

/// Our own subscription, where we may make endpoints.
fn our_subscription(emulator: &Emulator) -> AzureConfig {
    let order = |order: Order| emulator.order(order).unwrap();
    order(Order::CreateDirectory { directory: HOME });
    let made = order(Order::Consent {
        directory: HOME,
        client_id: CLIENT,
        resource: String::new(),
        roles: Vec::new(),
        usable_after_seconds: 0,
    });
    order(Order::CreateSubscription {
        subscription: SUBSCRIPTION,
        directory: HOME,
    });
    order(Order::CreateNetwork {
        subscription: SUBSCRIPTION,
        resource_group: "keyferry".into(),
        virtual_network: "hub".into(),
        subnet: "pe".into(),
        location: "westeurope".into(),
    });
    order(Order::SetNetworkContributor {
        subscription: SUBSCRIPTION,
        resource_group: "keyferry".into(),
        principal: made["oid"].as_str().unwrap().parse().unwrap(),
        holds: true,
    });
    let (port, names) = (
        emulator.https_addr().port(),
        ["azure.net", "azure.com", "microsoftonline.com", "chinacloudapi.cn"],
    );
    let endpoints = format!(
        r#"
        directory = "{HOME}"
        subscription = "{SUBSCRIPTION}"
        resource_group = "keyferry"
        location = "westeurope"
        subnet = "/subscriptions/{SUBSCRIPTION}/resourceGroups/keyferry/providers/Microsoft.Network/virtualNetworks/hub/subnets/pe"
        port = {port}
        "#
    );
    let credential = CredentialConfig::Secret(ClientSecret::new(SECRET.into()));
    AzureConfig {
        extra_roots_pem: Some(emulator.ca_pem().to_owned()),
        overrides: names.map(|name| (name.to_owned(), emulator.https_addr())).into(),
        timeouts: Timeouts {
            connect: Duration::from_secs(30),
            per_try: Duration::from_secs(30),
            total: Duration::from_mins(2),
        },
        retries: Retries {
            attempts: 1,
            base: Duration::from_millis(2),
            cap: Duration::from_millis(4),
            retry_after_cap: Duration::from_secs(1),
        },
        private_endpoints: Some(toml::from_str(&endpoints).unwrap()),
        ..AzureConfig::new(ClientId(CLIENT), credential)
    }
}

const SECRET: &str = "a pretend secret";

/// One RSA key for all: making them is slow.
pub(crate) fn pkcs8() -> &'static Vec<u8> {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| RsaKey::generate(2048).unwrap().pkcs8().to_vec())
}
