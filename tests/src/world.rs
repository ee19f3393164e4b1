//! An Azure with a platform and its customers, and the configuration of a Keyferry that serves them.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use base64_simd::URL_SAFE_NO_PAD;
use keyferry_client::{ClientCredentials, NewTenant, Policy, TokenSource};
use keyferry_emulator::{
    Application, Assignment, Emulator, EmulatorConfig, Fault, FaultOrder, Operation, Order, Role, RsaKey, Scope,
    Secret, VaultOptions,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Credential, Database, Keyferry, Pace, command, output_of};

/// The name of every customer's key.
pub const KEY: &str = "kek";
/// Keyferry's own client secret.
pub const SECRET: &str = "the-application-secret-of-keyferry";
/// Where customers' vaults are, as only Azure's own words tell it.
pub const LOCATION: &str = "planted-location";
/// The host of Entra.
const ENTRA: &str = "login.microsoftonline.com";

const PLATFORM: Uuid = Uuid::from_u128(0xa1);
const KEYFERRY: Uuid = Uuid::from_u128(0xa2);
const SERVICE: Uuid = Uuid::from_u128(0xa3);
const OPERATOR: Uuid = Uuid::from_u128(0xa4);

/// Everything around a Keyferry.
pub struct World {
    /// Azure.
    pub emulator: Emulator,
    /// Where tenants are kept.
    pub database: Database,
    dir: TempDir,
    /// What is added to the configuration, as TOML.
    pub extra: String,
    /// The registry's URL, if not the database's own.
    pub registry_url: Option<String>,
    /// How long Keyferry waits for one answer of Azure's. Shorter only where none will come.
    pub try_seconds: u32,
    /// How calls are tried again, as TOML.
    pub retries: String,
    credential: String,
    secrets: Vec<(&'static str, Vec<u8>)>,
    service: TokenSource,
    operator: TokenSource,
}

/// Where one replica is, and where it finds what it needs.
#[derive(Clone, Debug)]
pub struct Site {
    /// Where it serves.
    pub listen: SocketAddr,
    /// The registry's URL.
    pub registry: String,
    /// Where Azure answers.
    pub azure: SocketAddr,
    /// How fast it lives; as it comes if absent.
    pub pace: Option<Pace>,
}

/// A customer whose key Keyferry may use.
pub struct Customer {
    /// Its name in URLs.
    pub slug: String,
    /// Its directory.
    pub directory: Uuid,
    /// Its vault.
    pub vault: String,
    /// Keyferry's principal in its directory.
    pub principal: Uuid,
}

impl World {
    /// A platform without customers, on a registry that has its schema.
    pub async fn new(database: Database) -> Self {
        Self::with(database, Credential::Secret).await
    }

    /// The same, with a Keyferry that proves itself in that way.
    pub async fn with(database: Database, credential: Credential) -> Self {
        let config = EmulatorConfig {
            signing_key: Some(pkcs8().clone()),
            ..EmulatorConfig::default()
        };
        let emulator = Emulator::start(config).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), emulator.ca_pem()).unwrap();
        let made = credential.make(dir.path(), &emulator, PLATFORM).await;
        let world = Self {
            try_seconds: 15,
            retries: "attempts = 2, base_seconds = 0.01, cap_seconds = 0.02, retry_after_cap_seconds = 1".into(),
            credential: made.configured,
            secrets: made.secrets,
            service: tokens(&emulator, SERVICE),
            operator: tokens(&emulator, OPERATOR),
            emulator,
            database,
            dir,
            extra: String::new(),
            registry_url: None,
        };
        world.platform(made.application);
        let migrated = output_of(command().args(["migrate", "--url", &world.database.url()]));
        assert!(
            migrated.status.success(),
            "{}",
            String::from_utf8_lossy(&migrated.stderr)
        );
        world
    }

    fn platform(&self, keyferry: Application) {
        self.order(Order::CreateDirectory { directory: PLATFORM });
        self.order(Order::RegisterApplication {
            client_id: KEYFERRY,
            application: Application {
                identifier_uri: Some("api://keyferry".into()),
                ..keyferry
            },
        });
        for client_id in [SERVICE, OPERATOR] {
            let application = Application {
                secrets: vec![Secret {
                    value: SECRET.into(),
                    expired: false,
                }],
                ..Application::default()
            };
            self.order(Order::RegisterApplication { client_id, application });
        }
        self.consent(
            PLATFORM,
            SERVICE,
            &["Keyferry.Seal", "Keyferry.Open", "Keyferry.Rewrap"],
        );
        self.consent(PLATFORM, OPERATOR, &["Keyferry.Operator"]);
    }

    /// Has something happen in Azure.
    pub fn order(&self, order: Order) {
        self.emulator.order(order).unwrap();
    }

    fn consent(&self, directory: Uuid, client_id: Uuid, roles: &[&str]) -> Uuid {
        let consent = Order::Consent {
            directory,
            client_id,
            resource: "api://keyferry".into(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            usable_after_seconds: 0,
        };
        let answer = self.emulator.order(consent).unwrap();
        answer["oid"].as_str().unwrap().parse().unwrap()
    }

    /// A customer with a directory, a vault and a key, who has given Keyferry what it needs, but is no tenant yet.
    #[must_use]
    pub fn customer(&self, slug: &str) -> Customer {
        let (directory, vault) = (Uuid::new_v4(), format!("{slug}-vault.vault.azure.net"));
        self.order(Order::CreateDirectory { directory });
        let principal = self.consent(directory, KEYFERRY, &[]);
        let customer = Customer {
            slug: slug.to_owned(),
            directory,
            vault,
            principal,
        };
        self.order(Order::CreateVault {
            host: customer.vault.clone(),
            directory,
            options: VaultOptions {
                location: LOCATION.into(),
                throttled: false,
                ..VaultOptions::default()
            },
        });
        self.order(customer.assignment(true));
        self.new_version(&customer);
        customer
    }

    /// Has keys looked at when a tenant is made, and then no more: for whoever counts calls.
    pub fn look_seldom(&mut self) {
        self.extra.push_str(
            "[health]\nperiod_seconds = 3600\nidle_period_seconds = 3600\nversion_period_seconds = 86400\nhearing_seconds = 60\n",
        );
    }

    /// Waits until a tenant's key was looked at for the first time, was found healthy, and every replica has heard so.
    pub async fn is_looked_at(&self, keyferry: &Keyferry, slug: &str) {
        let admin = self.admin(keyferry);
        let mut told = None;
        crate::eventually("the key is found healthy, and its version is told", async || {
            let events = admin.key_events(slug, None, 100).await.unwrap().events;
            told = events
                .iter()
                .find(|event| event.kind == "version")
                .map(|event| event.revision);
            told.is_some() && admin.key(slug).await.unwrap().state == "healthy"
        })
        .await;
        crate::eventually("every replica has heard", async || {
            let replicas = admin.replicas().await.unwrap();
            replicas.iter().all(|replica| Some(replica.followed) >= told)
        })
        .await;
    }

    /// A customer who is a tenant.
    pub async fn tenant(&self, keyferry: &Keyferry, slug: &str, policy: Option<Policy>) -> Customer {
        let customer = self.customer(slug);
        let created = self.admin(keyferry).create(&customer.registration(policy), None).await;
        created.unwrap();
        customer
    }

    /// Makes a version of a customer's key.
    pub fn new_version(&self, customer: &Customer) {
        drop(self.import_version(customer, pkcs8()));
    }

    /// The RSA key that is behind every customer's versions, but for those that are imported.
    #[must_use]
    pub fn customers_key() -> Arc<RsaKey> {
        Arc::new(RsaKey::from_pkcs8(pkcs8()).unwrap())
    }

    /// Makes one of an RSA key (PKCS#8). Answers its identifier.
    #[must_use]
    pub fn import_version(&self, customer: &Customer, pkcs8: &[u8]) -> String {
        let import = Order::ImportKey {
            host: customer.vault.clone(),
            name: KEY.into(),
            pkcs8: URL_SAFE_NO_PAD.encode_to_string(pkcs8),
        };
        let imported = self.emulator.order(import).unwrap();
        imported["kid"].as_str().unwrap().to_owned()
    }

    /// How often Entra was asked for a token.
    #[must_use]
    pub fn tokens_asked(&self) -> u64 {
        self.emulator.count(ENTRA, Operation::Token)
    }

    /// Has Entra's token endpoint go wrong until faults are cleared.
    pub fn fault_of_entra(&self, fault: Fault) {
        let fault = FaultOrder::always(ENTRA, Some(Operation::Token), fault);
        self.order(Order::Fault { fault });
    }

    /// Has an operation of a vault (of Entra, if it is one of Entra's) go wrong until faults are cleared.
    pub fn fault(&self, customer: &Customer, operation: Operation, fault: Fault) {
        let host = if operation == Operation::Token {
            ENTRA
        } else {
            &customer.vault
        };
        let fault = FaultOrder::always(host, Some(operation), fault);
        self.order(Order::Fault { fault });
    }

    /// Has Keyferry's own secret expire, or be good again.
    pub fn set_own_secret_expired(&self, expired: bool) {
        self.order(Order::SetSecretsExpired {
            client_id: KEYFERRY,
            expired,
        });
    }

    /// How often a vault was asked an operation.
    #[must_use]
    pub fn count(&self, customer: &Customer, operation: Operation) -> u64 {
        self.emulator.count(&customer.vault, operation)
    }

    /// Starts a replica, and waits until it is ready.
    pub async fn start(&self) -> Keyferry {
        let keyferry = Keyferry::start(&self.write_config());
        let client = keyferry.client(self.service.clone());
        crate::eventually("the service is ready", async || client.is_ready().await).await;
        keyferry
    }

    /// A platform service's tokens.
    #[must_use]
    pub fn service(&self) -> TokenSource {
        self.service.clone()
    }

    /// A platform service's token, as text.
    pub async fn service_token(&self) -> String {
        text_of(&self.service).await
    }

    /// An operator's token, as text.
    pub async fn operator_token(&self) -> String {
        text_of(&self.operator).await
    }

    /// What Keyferry proves itself with and nobody may see, each with its name.
    #[must_use]
    pub fn secrets(&self) -> Vec<(&'static str, Vec<u8>)> {
        self.secrets.clone()
    }

    /// A platform service's view of a tenant.
    #[must_use]
    pub fn data(&self, keyferry: &Keyferry, slug: &str) -> keyferry_client::TenantClient {
        keyferry.client(self.service.clone()).tenant(slug)
    }

    /// An operator's view.
    #[must_use]
    pub fn admin(&self, keyferry: &Keyferry) -> keyferry_client::Admin {
        self.operator_client(keyferry).admin()
    }

    /// A client with an operator's tokens.
    #[must_use]
    pub fn operator_client(&self, keyferry: &Keyferry) -> keyferry_client::Client {
        keyferry.client(self.operator.clone())
    }

    /// The platform's directory.
    #[must_use]
    pub fn platform_directory(&self) -> Uuid {
        PLATFORM
    }

    /// Keyferry's principal in the platform's own directory, made if it is not there.
    #[must_use]
    pub fn own_principal(&self) -> Uuid {
        self.consent(PLATFORM, KEYFERRY, &[])
    }

    /// How Keyferry proves itself, as configured.
    #[must_use]
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Writes a file for the configuration to name.
    #[must_use]
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// The client id of Keyferry's own application.
    #[must_use]
    pub fn application_id(&self) -> Uuid {
        KEYFERRY
    }

    /// Writes an operator's access file, for the command.
    #[must_use]
    pub fn operator_access(&self, keyferry: &Keyferry) -> PathBuf {
        self.access(keyferry, OPERATOR, "operator.json")
    }

    /// Writes a platform service's access file, for the command.
    #[must_use]
    pub fn service_access(&self, keyferry: &Keyferry) -> PathBuf {
        self.access(keyferry, SERVICE, "service.json")
    }

    fn access(&self, keyferry: &Keyferry, client_id: Uuid, name: &str) -> PathBuf {
        let access = serde_json::json!({
            "server": keyferry.url("/"),
            "token_endpoint": format!("https://{ENTRA}/{PLATFORM}/oauth2/v2.0/token"),
            "client_id": client_id,
            "client_secret": SECRET,
            "scope": "api://keyferry/.default",
            "ca_file": self.ca_file(),
            "connect": self.emulator.https_addr(),
        });
        let path = self.dir.path().join(name);
        std::fs::write(&path, access.to_string()).unwrap();
        path
    }

    /// The certificate of the emulator's authority.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Where a replica is of which nothing else is said: on a free port, and with the shortest ways.
    #[must_use]
    pub fn site(&self) -> Site {
        Site {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            registry: self.registry_url.clone().unwrap_or_else(|| self.database.url()),
            azure: self.emulator.https_addr(),
            pace: None,
        }
    }

    /// Writes the configuration file.
    #[must_use]
    pub fn write_config(&self) -> PathBuf {
        self.file("keyferry.toml", self.config(&self.site()).as_bytes())
    }

    /// The configuration of a replica there.
    #[must_use]
    pub fn config(&self, site: &Site) -> String {
        let Site {
            listen,
            registry: url,
            azure,
            pace,
        } = site;
        let (try_seconds, pace_of_registry, pace_of_azure, pace_of_tables) = match pace {
            Some(pace) => (pace.try_seconds, pace.registry(), pace.azure(), pace.tables()),
            None => (f64::from(self.try_seconds), String::new(), String::new(), String::new()),
        };
        format!(
            r#"{extra}
{pace_of_tables}
[http]
listen = "{listen}"

[registry]
url = "{url}"
{pace_of_registry}

[azure]
{pace_of_azure}
client_id = "{KEYFERRY}"
credential = {credential}
extra_roots_file = "{ca}"
timeouts = {{ try_seconds = {try_seconds}, total_seconds = {total_seconds} }}
retries = {{ {retries} }}

[azure.overrides]
"vault.azure.net" = "{azure}"
"login.microsoftonline.com" = "{azure}"
"management.azure.com" = "{azure}"
"vault.azure.cn" = "{azure}"
"login.chinacloudapi.cn" = "{azure}"

[auth]
directories = ["{PLATFORM}"]
audiences = ["{KEYFERRY}"]
"#,
            extra = self.extra,
            retries = self.retries,
            total_seconds = 3.0 * try_seconds,
            credential = self.credential,
            ca = self.ca_file().display(),
        )
    }
}

impl Customer {
    /// What registers this customer.
    #[must_use]
    pub fn registration(&self, policy: Option<Policy>) -> NewTenant {
        NewTenant {
            slug: self.slug.clone(),
            display_name: format!("Customer {}", self.slug),
            directory_id: self.directory.to_string(),
            cloud: "public".into(),
            vault: self.vault.clone(),
            key_name: KEY.into(),
            key_version: None,
            policy,
        }
    }

    /// Gives Keyferry's principal its role, or takes it away.
    #[must_use]
    pub fn assignment(&self, is_given: bool) -> Order {
        let host = self.vault.clone();
        let assignment = Assignment {
            principal: self.principal,
            role: Role::CryptoUser,
            scope: Scope::Vault,
        };
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

    /// Enables or disables the latest version of the key, or limits its operations.
    #[must_use]
    pub fn set_key(&self, enabled: Option<bool>, key_ops: Option<&[&str]>) -> Order {
        Order::SetKey {
            host: self.vault.clone(),
            name: KEY.into(),
            version: String::new(),
            enabled,
            nbf: None,
            exp: None,
            key_ops: key_ops.map(|ops| ops.iter().map(|op| (*op).to_owned()).collect()),
        }
    }

    /// The withdrawal of consent.
    #[must_use]
    pub fn withdraw_consent(&self) -> Order {
        Order::WithdrawConsent {
            directory: self.directory,
            client_id: KEYFERRY,
        }
    }

    /// Enables or disables Keyferry's principal, or has Conditional Access block it.
    #[must_use]
    pub fn set_principal(&self, enabled: bool, blocked: bool) -> Order {
        Order::SetPrincipal {
            directory: self.directory,
            client_id: KEYFERRY,
            enabled,
            blocked,
        }
    }
}

/// The data key that an envelope carries, unwrapped as the customer could, with its RSA key.
#[must_use]
pub fn data_key_of(envelope: &str) -> Vec<u8> {
    let key = RsaKey::from_pkcs8(pkcs8()).unwrap();
    key.decrypt("RSA-OAEP-256", &wrapped_data_key_of(envelope)).unwrap()
}

/// The wrapped data key that an envelope carries.
#[must_use]
pub fn wrapped_data_key_of(envelope: &str) -> Vec<u8> {
    let envelope = URL_SAFE_NO_PAD.decode_to_vec(envelope).unwrap();
    // In CBOR: the label -65539, and the head of a string of 256 bytes, which is what an RSA key of 2048 bits wraps to.
    let head = [0x3a, 0x00, 0x01, 0x00, 0x02, 0x59, 0x01, 0x00];
    let start = envelope.windows(head.len()).position(|window| window == head).unwrap() + head.len();
    envelope.get(start..start + 256).unwrap().to_vec()
}

async fn text_of(tokens: &TokenSource) -> String {
    let TokenSource::ClientCredentials(credentials) = tokens else {
        unreachable!("made so in new")
    };
    credentials.token().await.unwrap().expose().to_owned()
}

fn tokens(emulator: &Emulator, client_id: Uuid) -> TokenSource {
    let http = http_client_to(emulator);
    let endpoint = format!("https://{ENTRA}/{PLATFORM}/oauth2/v2.0/token").parse().unwrap();
    let scope = "api://keyferry/.default".to_owned();
    let credentials = ClientCredentials::new(http, endpoint, client_id.to_string(), SECRET.to_owned(), scope);
    TokenSource::ClientCredentials(Arc::new(credentials))
}

fn http_client_to(emulator: &Emulator) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
    let builder = reqwest::Client::builder().no_proxy().add_root_certificate(certificate);
    builder.resolve(ENTRA, emulator.https_addr()).build().unwrap()
}

/// One RSA key for all customers: making them is slow.
fn pkcs8() -> &'static Vec<u8> {
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    KEY.get_or_init(|| RsaKey::generate(2048).unwrap().pkcs8().to_vec())
}
