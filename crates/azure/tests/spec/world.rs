//! An emulated Azure with one customer, and our view of it.

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

use keyferry_azure::{
    AzureConfig, AzureKeyVault, ClientId, ClientSecret, CredentialConfig,
    config::{Retries, Timeouts},
};
use keyferry_crypto::{
    id::{DirectoryId, KekId, KeyRef, TenantId, VaultResource},
    secret::DataKey,
    tenant::{Route, SealingPolicy, TenantKeys, VersionPolicy},
    vault::{VaultCause, VaultError, WrappedDataKey},
};
use keyferry_emulator::{
    Application, Assignment, Emulator, EmulatorConfig, Fault, FaultOrder, Operation, Order, Role, RsaKey, Scope,
    Secret, VaultOptions,
};
use uuid::Uuid;

pub(crate) const CLIENT: Uuid = Uuid::from_u128(0x11);
pub(crate) const DIRECTORY: Uuid = Uuid::from_u128(0x22);
pub(crate) const VAULT: &str = "acme.vault.azure.net";
const SECOND: &str = "acme-second.vault.azure.net";
pub(crate) const ENTRA: &str = "login.microsoftonline.com";
pub(crate) const MANAGER: &str = "management.azure.com";
pub(crate) const KEY: &str = "kek";
pub(crate) const SECRET: &str = "a pretend secret";

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    pub(crate) principal: Uuid,
}

impl World {
    /// A customer whose vault holds a key that we may use.
    pub(crate) async fn new() -> Self {
        Self::with(VAULT, application()).await
    }

    pub(crate) async fn with(vault: &str, application: Application) -> Self {
        let config = EmulatorConfig {
            signing_key: Some(pkcs8().clone()),
            ..EmulatorConfig::default()
        };
        let emulator = Emulator::start(config).await.unwrap();
        emulator
            .order(Order::RegisterApplication {
                client_id: CLIENT,
                application,
            })
            .unwrap();
        emulator.order(Order::CreateDirectory { directory: DIRECTORY }).unwrap();
        let mut world = Self {
            emulator,
            principal: Uuid::nil(),
        };
        world.principal = world.consent();
        world.order(Order::CreateVault {
            host: vault.into(),
            directory: DIRECTORY,
            options: VaultOptions::default(),
        });
        world.order(world.assignment(vault, true));
        world.import(vault);
        world
    }

    pub(crate) fn order(&self, order: Order) {
        self.emulator.order(order).unwrap();
    }

    pub(crate) fn consent(&self) -> Uuid {
        self.consent_to(CLIENT)
    }

    pub(crate) fn consent_to(&self, client_id: Uuid) -> Uuid {
        let consent = Order::Consent {
            directory: DIRECTORY,
            client_id,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: 0,
        };
        self.emulator.order(consent).unwrap()["oid"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    }

    /// A directory that consented to us and has nothing to do with the customer's vault.
    pub(crate) fn second_directory(&self) -> DirectoryId {
        let directory = Uuid::from_u128(0x23);
        self.order(Order::CreateDirectory { directory });
        self.order(Order::Consent {
            directory,
            client_id: CLIENT,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: 0,
        });
        DirectoryId(directory)
    }

    pub(crate) fn assignment(&self, vault: &str, is_given: bool) -> Order {
        let (host, assignment) = (
            vault.to_owned(),
            Assignment {
                principal: self.principal,
                role: Role::CryptoServiceEncryptionUser,
                scope: Scope::Vault,
            },
        );
        if is_given {
            Order::Assign {
                host,
                assignment,
                works_after_seconds: 0,
            }
        } else {
            Order::Unassign { host, assignment }
        }
    }

    /// Gives our principal one more role on the vault.
    pub(crate) fn assign(&self, role: Role) {
        self.order(Order::Assign {
            host: VAULT.into(),
            assignment: Assignment {
                principal: self.principal,
                role,
                scope: Scope::Vault,
            },
            works_after_seconds: 0,
        });
    }

    /// Makes a version of the key.
    pub(crate) fn import(&self, vault: &str) {
        self.import_key(vault, pkcs8());
    }

    /// Makes a version of the key out of this one.
    pub(crate) fn import_key(&self, vault: &str, pkcs8: &[u8]) {
        self.order(Order::ImportKey {
            host: vault.into(),
            name: KEY.into(),
            pkcs8: base64_simd::URL_SAFE_NO_PAD.encode_to_string(pkcs8),
        });
    }

    /// Another vault of the customer's, with a key that we may use.
    pub(crate) fn second_vault(&self) -> &'static str {
        self.order(Order::CreateVault {
            host: SECOND.into(),
            directory: DIRECTORY,
            options: VaultOptions::default(),
        });
        self.order(self.assignment(SECOND, true));
        self.import(SECOND);
        SECOND
    }

    pub(crate) fn fault(&self, operation: Operation, fault: Fault, times: Option<u64>) {
        let host = host_of(operation);
        self.order(Order::Fault {
            fault: FaultOrder {
                times,
                ..FaultOrder::always(host, Some(operation), fault)
            },
        });
    }

    pub(crate) fn set_key(&self, enabled: Option<bool>, key_ops: Option<&[&str]>, exp: Option<i64>) {
        self.order(Order::SetKey {
            host: VAULT.into(),
            name: KEY.into(),
            version: String::new(),
            enabled,
            nbf: None,
            exp,
            key_ops: key_ops.map(|ops| ops.iter().map(|op| (*op).to_owned()).collect()),
        });
    }

    pub(crate) fn count(&self, operation: Operation) -> u64 {
        self.emulator.count(host_of(operation), operation)
    }

    /// A configuration that finds the emulator where Azure would be, and pauses for no longer than it must between tries.
    pub(crate) fn config(&self, credential: CredentialConfig) -> AzureConfig {
        AzureConfig {
            extra_roots_pem: Some(self.emulator.ca_pem().to_owned()),
            overrides: self.overrides(),
            timeouts: Timeouts {
                connect: Duration::from_secs(30),
                per_try: Duration::from_secs(30),
                total: Duration::from_mins(2),
            },
            retries: Retries {
                attempts: 3,
                base: Duration::from_millis(2),
                cap: Duration::from_millis(4),
                retry_after_cap: Duration::from_secs(1),
            },
            ..AzureConfig::new(ClientId(CLIENT), credential)
        }
    }

    pub(crate) fn overrides(&self) -> BTreeMap<String, std::net::SocketAddr> {
        let names = [
            "azure.net",
            "azure.com",
            "microsoftonline.com",
            "azure.cn",
            "chinacloudapi.cn",
        ];
        names.map(|name| (name.to_owned(), self.emulator.https_addr())).into()
    }

    pub(crate) fn vault(&self) -> AzureKeyVault {
        AzureKeyVault::new(&self.config(secret())).unwrap()
    }

    /// A client that tries once. It waits for as long as a slow machine may need, or for less if nothing will come.
    pub(crate) fn once(&self, fault: &Fault) -> AzureKeyVault {
        let mut config = self.config(secret());
        config.retries.attempts = 1;
        if *fault == Fault::Hang {
            config.timeouts.per_try = Duration::from_secs(2);
        }
        AzureKeyVault::new(&config).unwrap()
    }
}

/// Who is asked for it.
fn host_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Token | Operation::Discovery => ENTRA,
        Operation::PutPrivateEndpoint
        | Operation::GetPrivateEndpoint
        | Operation::DeletePrivateEndpoint
        | Operation::GetVault => MANAGER,
        _ => VAULT,
    }
}

impl Drop for World {
    /// A fault that was not met as often as it was ordered is one that its test did not try.
    fn drop(&mut self) {
        let orders = self.emulator.faults();
        let unmet: Vec<_> = orders.iter().filter(|order| order.times.is_some()).collect();
        assert!(std::thread::panicking() || unmet.is_empty(), "not met: {unmet:?}");
    }
}

/// Whether a client has used the vault before. One that has not sends its first request without token and body, to be
/// told by the vault where to get a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Cold,
    Warm,
}

impl Client {
    pub(crate) const BOTH: [Self; 2] = [Self::Cold, Self::Warm];

    /// Has the client unwrap, if it is to be a warm one; and then forgets what was asked.
    pub(crate) async fn prepare(self, world: &World, vault: &AzureKeyVault, wrapped: &WrappedDataKey) {
        if self == Self::Warm {
            vault.unwrap(&tenant(VAULT), wrapped).await.unwrap();
        }
        world.order(Order::ResetCalls);
    }
}

/// A data key under the customer's key, wrapped before things went wrong.
pub(crate) async fn wrapped(world: &World) -> WrappedDataKey {
    world.vault().wrap(&tenant(VAULT), &data_key()).await.unwrap()
}

pub(crate) async fn unwrap_cause(vault: &AzureKeyVault, wrapped: &WrappedDataKey) -> VaultCause {
    unwrap_error(vault, wrapped).await.cause()
}

pub(crate) async fn unwrap_error(vault: &AzureKeyVault, wrapped: &WrappedDataKey) -> VaultError {
    vault.unwrap(&tenant(VAULT), wrapped).await.unwrap_err()
}

pub(crate) fn secret() -> CredentialConfig {
    CredentialConfig::Secret(ClientSecret::new(SECRET.into()))
}

pub(crate) fn application() -> Application {
    Application {
        secrets: vec![Secret {
            value: SECRET.into(),
            expired: false,
        }],
        ..Application::default()
    }
}

pub(crate) fn tenant(vault: &str) -> TenantKeys {
    TenantKeys {
        tenant: TenantId(Uuid::from_u128(0x33)),
        directory: DirectoryId(DIRECTORY),
        current: KeyRef {
            vault: vault.parse().unwrap(),
            name: KEY.parse().unwrap(),
        },
        version: VersionPolicy::FollowLatest,
        former: Vec::new(),
        policy: SealingPolicy::default(),
        route: Route::Public,
    }
}

pub(crate) fn pinned(kek: &KekId) -> TenantKeys {
    TenantKeys {
        version: VersionPolicy::Pinned(kek.version.clone()),
        ..tenant(VAULT)
    }
}

pub(crate) fn data_key() -> DataKey {
    DataKey::from_unwrapped(vec![7; 32]).unwrap()
}

/// One RSA key for all: making them is slow.
pub(crate) fn pkcs8() -> &'static Vec<u8> {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| RsaKey::generate(2048).unwrap().pkcs8().to_vec())
}

/// The resource id of a vault that was made without saying where.
pub(crate) fn resource(name: &str) -> VaultResource {
    let id = format!(
        "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/{name}"
    );
    id.parse().unwrap()
}
