//! The configuration: who we are to Entra, how patient we are, and where hosts really are.

mod endpoints;
pub mod seconds;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use keyferry_crypto::id::Cloud;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Unexpected},
};
use uuid::Uuid;
use zeroize::Zeroizing;

pub(crate) use self::endpoints::is_resource_name;
pub use self::endpoints::{Location, NetworkIdError, PrivateEndpointsConfig, SubnetId};
use crate::overrides::Overrides;

/// How customers' directories and vaults are reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureConfig {
    /// The cloud in which the application is registered. Its credential is never shown to another cloud's Entra.
    #[serde(default)]
    pub cloud: Cloud,
    /// The multi-tenant application's client id.
    pub client_id: ClientId,
    /// How the application proves itself.
    pub credential: CredentialConfig,
    /// The applications that stand for Keyferry in other clouds. One for each cloud at most.
    #[serde(default)]
    pub other_clouds: Vec<Registration>,
    /// A PEM file of certificates to trust besides the operating system's.
    #[serde(default)]
    pub extra_roots_file: Option<PathBuf>,
    /// The same, inline.
    #[serde(default)]
    pub extra_roots_pem: Option<String>,
    /// Where hosts really are: a name, which stands for itself and for everything below it, to an address. The longest
    /// name wins. Certificates are checked against the host's own name all the same.
    #[serde(default)]
    pub overrides: BTreeMap<String, SocketAddr>,
    /// How long to wait.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How often to try.
    #[serde(default)]
    pub retries: Retries,
    /// The longest that an access token is used, however long Entra lets it live. A customer that removes our principal
    /// is obeyed within this time at the latest.
    #[serde(
        default = "default_token_max_age",
        rename = "token_max_age_seconds",
        with = "seconds"
    )]
    pub token_max_age: Duration,
    /// How near to come to vaults' limits, and when to leave one alone that does not answer.
    #[serde(default)]
    pub limits: Limits,
    /// Where our private endpoints to customers' vaults are made. Without it, there are none.
    #[serde(default)]
    pub private_endpoints: Option<PrivateEndpointsConfig>,
}

/// An application in one cloud.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The cloud.
    pub cloud: Cloud,
    /// The application's client id there.
    pub client_id: ClientId,
    /// How it proves itself there.
    pub credential: CredentialConfig,
}

/// An application's client id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub Uuid);

/// How the application proves itself to Entra. Files are read anew for every token, so what is rotated on disk is in use
/// with the next token.
#[derive(Clone, Debug)]
pub enum CredentialConfig {
    /// A client secret in the configuration.
    Secret(ClientSecret),
    /// A client secret in a file; white space around it is not part of it.
    SecretFile(PathBuf),
    /// A certificate that is registered with the application; its key signs an assertion for every token.
    Certificate {
        /// PEM: the certificate.
        certificate_file: PathBuf,
        /// PEM: its RSA private key, PKCS#8 or PKCS#1.
        key_file: PathBuf,
    },
    /// A federated credential whose assertion a platform keeps in a file: Kubernetes' workload identity.
    WorkloadIdentity {
        /// The file that holds the JWT.
        token_file: PathBuf,
    },
    /// A federated credential whose assertion is a managed identity's token.
    ManagedIdentity {
        /// The client id of a user-assigned identity; the system-assigned one if absent.
        identity: Option<ClientId>,
    },
}

/// A client secret. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct ClientSecret(Zeroizing<String>);

/// How long to wait for the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection, TLS included.
    #[serde(rename = "connect_seconds", with = "seconds")]
    pub connect: Duration,
    /// For one exchange: connection, request and the whole answer.
    #[serde(rename = "try_seconds", with = "seconds")]
    pub per_try: Duration,
    /// For an operation with all its tries and the token it needs.
    #[serde(rename = "total_seconds", with = "seconds")]
    pub total: Duration,
}

/// How often to try what failed and may be over in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Tries in all, the first one included. At least 1.
    pub attempts: u32,
    /// The pause after the first try; each further one doubles it. Between half of it and all of it is waited.
    #[serde(rename = "base_seconds", with = "seconds")]
    pub base: Duration,
    /// The longest pause of our own choosing.
    #[serde(rename = "cap_seconds", with = "seconds")]
    pub cap: Duration,
    /// The longest `Retry-After` that is waited for. When asked for more we give up and pass it on.
    #[serde(rename = "retry_after_cap_seconds", with = "seconds")]
    pub retry_after_cap: Duration,
}

/// What is done for the vaults' sake before they ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The share of a vault's documented limit that is left to others: the customer's own use of the vault among it. At least 0,
    /// less than 1.
    pub quota_margin: f64,
    /// The longest that a call waits for its turn where a vault's limit is near.
    #[serde(rename = "wait_seconds", with = "seconds")]
    pub wait: Duration,
    /// After so many calls in a row without an answer, a vault is not asked for a while. At least 1.
    pub breaker_failures: u32,
    /// For how long at first; each call in vain doubles it. Between half of it and all of it is paused.
    #[serde(rename = "breaker_pause_seconds", with = "seconds")]
    pub breaker_pause: Duration,
    /// The longest such pause.
    #[serde(rename = "breaker_longest_seconds", with = "seconds")]
    pub breaker_longest: Duration,
}

impl Timeouts {
    /// How long a vault is silent that can be said not to answer: for a whole try, or for half of an operation where that is
    /// shorter.
    pub(crate) fn of_a_vault(&self) -> Duration {
        self.per_try.min(self.total / 2)
    }
}

impl AzureConfig {
    /// The public cloud, with that application, and defaults for all else.
    #[must_use]
    pub fn new(client_id: ClientId, credential: CredentialConfig) -> Self {
        Self {
            cloud: Cloud::Public,
            client_id,
            credential,
            other_clouds: Vec::new(),
            extra_roots_file: None,
            extra_roots_pem: None,
            overrides: BTreeMap::new(),
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            token_max_age: default_token_max_age(),
            limits: Limits::default(),
            private_endpoints: None,
        }
    }

    /// What no single field's type can say: limits that let nothing through or that are no limits, and names. Reads no file.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self {
            timeouts,
            retries,
            limits:
                Limits {
                    quota_margin,
                    wait,
                    breaker_failures,
                    breaker_pause,
                    breaker_longest,
                },
            ..
        } = *self;
        let limits = [
            ("timeouts.connect_seconds", timeouts.connect),
            ("timeouts.try_seconds", timeouts.per_try),
            ("timeouts.total_seconds", timeouts.total),
            ("token_max_age_seconds", self.token_max_age),
            ("limits.breaker_pause_seconds", breaker_pause),
            ("limits.breaker_longest_seconds", breaker_longest),
        ];
        let pauses = [
            ("retries.base_seconds", retries.base),
            ("retries.cap_seconds", retries.cap),
            ("retries.retry_after_cap_seconds", retries.retry_after_cap),
            ("limits.wait_seconds", wait),
        ];
        if let Some((name, _)) = limits.iter().find(|(_, limit)| limit.is_zero()) {
            return Err(ConfigError::Zero(name));
        }
        if retries.attempts == 0 {
            return Err(ConfigError::Zero("retries.attempts"));
        }
        if breaker_failures == 0 {
            return Err(ConfigError::Zero("limits.breaker_failures"));
        }
        if !(0.0..1.0).contains(&quota_margin) {
            return Err(ConfigError::Margin);
        }
        if let Some((name, _)) = limits.iter().chain(&pauses).find(|(_, time)| *time > LONGEST) {
            return Err(ConfigError::TooLong(name));
        }
        let mut clouds: Vec<_> = self.other_clouds.iter().map(|other| other.cloud).collect();
        while let Some(cloud) = clouds.pop() {
            if cloud == self.cloud || clouds.contains(&cloud) {
                return Err(ConfigError::CloudTwice);
            }
        }
        let overrides = Overrides::default();
        let mut named = self.overrides.iter();
        named.try_for_each(|(name, address)| overrides.set(name, *address))
    }
}

/// The longest time that can be configured. Beyond it lies no patience, but a mistake in the unit, and at last the end of the
/// clock's numbers.
const LONGEST: Duration = Duration::from_hours(24);

impl ClientSecret {
    /// Takes a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret, for the one call that needs it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

impl Default for Timeouts {
    /// 3 seconds to connect, 8 for a try, 20 in all.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            per_try: Duration::from_secs(8),
            total: Duration::from_secs(20),
        }
    }
}

impl Default for Retries {
    /// Four tries with pauses of up to 0.5, 1 and 2 seconds; a `Retry-After` of up to 10 seconds is waited for.
    fn default() -> Self {
        Self {
            attempts: 4,
            base: Duration::from_millis(500),
            cap: Duration::from_secs(4),
            retry_after_cap: Duration::from_secs(10),
        }
    }
}

impl Default for Limits {
    /// A fifth of a vault's limit is left to others, and a second is waited for a turn. A vault that did not answer 5 times in a
    /// row is left alone for 1 second, then up to 30.
    fn default() -> Self {
        Self {
            quota_margin: 0.2,
            wait: Duration::from_secs(1),
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(1),
            breaker_longest: Duration::from_secs(30),
        }
    }
}

fn default_token_max_age() -> Duration {
    Duration::from_mins(45)
}

/// A credential as it is written. One table of all fields and not one for each type, so that every field is asked for as
/// what it is: as text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialText {
    r#type: CredentialType,
    secret: Option<ClientSecret>,
    secret_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    token_file: Option<PathBuf>,
    identity: Option<ClientId>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CredentialType {
    ClientSecret,
    Certificate,
    WorkloadIdentity,
    ManagedIdentity,
}

impl CredentialType {
    /// The fields that belong to it.
    fn fields(self) -> &'static str {
        match self {
            Self::ClientSecret => "exactly one of secret and secret_file, and nothing else",
            Self::Certificate => "certificate_file and key_file, and nothing else",
            Self::WorkloadIdentity => "token_file, and nothing else",
            Self::ManagedIdentity => "identity or nothing",
        }
    }
}

impl CredentialText {
    /// The credential, if it has the fields of its type and no other.
    fn credential(self) -> Option<CredentialConfig> {
        use CredentialType::{Certificate, ClientSecret, ManagedIdentity, WorkloadIdentity};
        let files = [
            &self.secret_file,
            &self.certificate_file,
            &self.key_file,
            &self.token_file,
        ];
        let files = files.into_iter().flatten().count();
        let given = files + usize::from(self.secret.is_some()) + usize::from(self.identity.is_some());
        match (self.r#type, given) {
            (ClientSecret, 1) => match self.secret {
                Some(secret) => Some(CredentialConfig::Secret(secret)),
                None => self.secret_file.map(CredentialConfig::SecretFile),
            },
            (Certificate, 2) => Some(CredentialConfig::Certificate {
                certificate_file: self.certificate_file?,
                key_file: self.key_file?,
            }),
            (WorkloadIdentity, 1) => Some(CredentialConfig::WorkloadIdentity {
                token_file: self.token_file?,
            }),
            (ManagedIdentity, _) if given == usize::from(self.identity.is_some()) => {
                Some(CredentialConfig::ManagedIdentity {
                    identity: self.identity,
                })
            }
            (ClientSecret | Certificate | WorkloadIdentity | ManagedIdentity, _) => None,
        }
    }
}

impl<'de> Deserialize<'de> for CredentialConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = CredentialText::deserialize(deserializer)?;
        let expected = text.r#type.fields();
        text.credential()
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("other fields"), &expected))
    }
}

impl<'de> Deserialize<'de> for ClientSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Why a configuration was refused. The text is for whoever wrote it, and holds no secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file that is named cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file or an inline text does not hold what it should.
    #[error("{0} does not hold {1}")]
    Content(String, &'static str),
    /// A limit that lets nothing through.
    #[error("{0} must be more than zero")]
    Zero(&'static str),
    /// A time that is longer than a day.
    #[error("{0} must be at most a day")]
    TooLong(&'static str),
    /// A margin that leaves nothing, or that is none.
    #[error("limits.quota_margin must be at least 0 and less than 1")]
    Margin,
    /// Two applications for one cloud.
    #[error("two applications for one cloud")]
    CloudTwice,
    /// A name that no host can have.
    #[error("`{0}` in overrides is not a host name or a suffix of one")]
    Override(String),
    /// The operating system's trusted certificates cannot be had, or TLS cannot be set up.
    #[error("the HTTPS client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The managed identity cannot be used here.
    #[error("there is no managed identity that can be used here")]
    ManagedIdentity,
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "client_id = \"11111111-1111-4111-8111-111111111111\"\n";

    fn parse(text: &str) -> Result<AzureConfig, toml::de::Error> {
        toml::from_str(&format!("{CLIENT}{text}"))
    }

    #[test]
    fn every_credential_can_be_written() {
        let read = |text: &str| parse(&format!("credential = {text}")).unwrap().credential;
        let secret = read(r#"{ type = "client-secret", secret = "planted" }"#);
        assert!(matches!(secret, CredentialConfig::Secret(secret) if secret.expose() == "planted"));
        let file = read(r#"{ type = "client-secret", secret_file = "/run/secret" }"#);
        assert!(matches!(file, CredentialConfig::SecretFile(path) if path.as_os_str() == "/run/secret"));
        let certificate = read(r#"{ type = "certificate", certificate_file = "c.pem", key_file = "k.pem" }"#);
        assert!(matches!(certificate, CredentialConfig::Certificate { .. }));
        let workload = read(r#"{ type = "workload-identity", token_file = "/var/run/token" }"#);
        assert!(matches!(workload, CredentialConfig::WorkloadIdentity { .. }));
        let managed = read(r#"{ type = "managed-identity" }"#);
        assert!(matches!(managed, CredentialConfig::ManagedIdentity { identity: None }));
    }

    #[test]
    fn a_secret_is_given_in_exactly_one_way() {
        for credential in [
            r#"{ type = "client-secret" }"#,
            r#"{ type = "client-secret", secret = "a", secret_file = "b" }"#,
        ] {
            let error = parse(&format!("credential = {credential}")).unwrap_err().to_string();
            assert!(error.contains("exactly one of secret and secret_file"), "{error}");
        }
    }

    #[test]
    fn what_is_unknown_is_refused() {
        let credential = "credential = { type = \"managed-identity\" }\n";
        assert!(parse(&format!("{credential}tenant = 1")).is_err());
        assert!(parse(&format!("{credential}timeouts = {{ idle_seconds = 1 }}")).is_err());
        assert!(parse("credential = { type = \"managed-identity\", secret = \"x\" }").is_err());
        assert!(parse("credential = { type = \"password\", secret = \"x\" }").is_err());
    }

    #[test]
    fn durations_are_seconds_and_may_be_fractions() {
        let config = parse(
            "credential = { type = \"managed-identity\" }\ntoken_max_age_seconds = 600\n[timeouts]\ntry_seconds = 0.25",
        )
        .unwrap();
        assert_eq!(config.token_max_age, Duration::from_mins(10));
        assert_eq!(config.timeouts.per_try, Duration::from_millis(250));
        assert_eq!(config.timeouts.total, Timeouts::default().total);
        assert!(parse("credential = { type = \"managed-identity\" }\ntoken_max_age_seconds = -1").is_err());
    }

    #[test]
    fn every_time_is_more_than_nothing_and_at_most_a_day_or_may_be_nothing_where_it_is_a_pause() {
        const DAY: Duration = Duration::from_hours(24);
        type Field = fn(&mut AzureConfig) -> &mut Duration;
        let fields: [(&str, Field, bool); 10] = [
            ("timeouts.connect_seconds", |config| &mut config.timeouts.connect, false),
            ("timeouts.try_seconds", |config| &mut config.timeouts.per_try, false),
            ("timeouts.total_seconds", |config| &mut config.timeouts.total, false),
            ("token_max_age_seconds", |config| &mut config.token_max_age, false),
            ("retries.base_seconds", |config| &mut config.retries.base, true),
            ("retries.cap_seconds", |config| &mut config.retries.cap, true),
            (
                "retries.retry_after_cap_seconds",
                |config| &mut config.retries.retry_after_cap,
                true,
            ),
            ("limits.wait_seconds", |config| &mut config.limits.wait, true),
            (
                "limits.breaker_pause_seconds",
                |config| &mut config.limits.breaker_pause,
                false,
            ),
            (
                "limits.breaker_longest_seconds",
                |config| &mut config.limits.breaker_longest,
                false,
            ),
        ];
        for (name, field, is_pause) in fields {
            let with = |time| {
                let mut config = parse("credential = { type = \"managed-identity\" }").unwrap();
                *field(&mut config) = time;
                config.check()
            };
            assert!(with(DAY).is_ok(), "{name}");
            for long in [DAY + Duration::from_nanos(1), Duration::MAX] {
                assert!(
                    matches!(with(long), Err(ConfigError::TooLong(named)) if named == name),
                    "{name}"
                );
            }
            match with(Duration::ZERO) {
                Ok(()) => assert!(is_pause, "{name}"),
                Err(error) => assert!(
                    !is_pause && matches!(error, ConfigError::Zero(named) if named == name),
                    "{name}"
                ),
            }
        }
    }

    #[test]
    fn a_margin_leaves_something_and_a_breaker_opens_after_something() {
        let with = |change: fn(&mut Limits)| {
            let mut config = parse("credential = { type = \"managed-identity\" }").unwrap();
            change(&mut config.limits);
            config.check()
        };
        assert!(with(|limits| limits.quota_margin = 0.0).is_ok());
        assert!(with(|limits| limits.quota_margin = 0.99).is_ok());
        for wrong in [
            with(|limits| limits.quota_margin = 1.0),
            with(|limits| limits.quota_margin = -0.1),
            with(|limits| limits.quota_margin = f64::NAN),
        ] {
            assert!(matches!(wrong, Err(ConfigError::Margin)), "{wrong:?}");
        }
        let never = with(|limits| limits.breaker_failures = 0);
        assert!(matches!(never, Err(ConfigError::Zero("limits.breaker_failures"))));
    }

    #[test]
    fn a_secret_does_not_show_in_a_debug_print() {
        let config = parse(r#"credential = { type = "client-secret", secret = "planted" }"#).unwrap();
        assert!(!format!("{config:?}").contains("planted"));
    }
}
