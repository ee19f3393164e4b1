//! Every way to prove ourselves.

use std::{path::PathBuf, process::Command};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use keyferry_azure::{AzureKeyVault, ClientId, ConfigError, CredentialConfig};
use keyferry_crypto::vault::{VaultCause, VaultError};
use keyferry_emulator::{Application, Certificate, FederatedIssuer, Order, RsaKey};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

use crate::world::{self, CLIENT, SECRET, VAULT, World, data_key, pkcs8, tenant};

async fn wraps(world: &World, credential: CredentialConfig) -> Result<(), VaultCause> {
    tries(world, credential).await.map_err(|error| error.cause())
}

async fn tries(world: &World, credential: CredentialConfig) -> Result<(), VaultError> {
    let vault = AzureKeyVault::new(&world.config(credential)).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.map(drop)
}

fn file(directory: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
async fn a_secret() {
    let world = World::new().await;
    assert_eq!(wraps(&world, world::secret()).await, Ok(()));
    let wrong = CredentialConfig::Secret(keyferry_azure::ClientSecret::new("another".into()));
    assert_eq!(wraps(&world, wrong).await, Err(VaultCause::AppSecretInvalid));
}

#[tokio::test]
async fn a_secret_file_is_read_for_every_token() {
    let (world, directory) = (World::new().await, tempfile::tempdir().unwrap());
    let path = file(&directory, "secret", &format!("{SECRET}\n"));
    let vault = AzureKeyVault::new(&world.config(CredentialConfig::SecretFile(path))).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    file(&directory, "secret", "wrong\n");
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap(); // by the token that is there
    world.order(Order::RotateSigningKey { forget_old: true }); // which is rejected now
    let refused = vault.wrap(&tenant(VAULT), &data_key()).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::AppSecretInvalid);
}

/// A certificate with the key of all tests, and its PEM files.
fn certificate(directory: &TempDir) -> (Certificate, CredentialConfig) {
    let key = rcgen::KeyPair::try_from(pkcs8().as_slice()).unwrap();
    let parameters = rcgen::CertificateParams::new(vec!["keyferry.test".into()]).unwrap();
    let pem = parameters.self_signed(&key).unwrap().pem();
    let credential = CredentialConfig::Certificate {
        certificate_file: file(directory, "certificate.pem", &pem),
        key_file: file(directory, "key.pem", &key.serialize_pem()),
    };
    (Certificate { pem }, credential)
}

#[tokio::test]
async fn a_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, credential) = certificate(&directory);
    let application = Application {
        certificates: vec![certificate],
        ..Application::default()
    };
    let world = World::with(VAULT, application).await;
    assert_eq!(wraps(&world, credential).await, Ok(()));
}

#[tokio::test]
async fn a_certificate_that_is_not_registered() {
    let directory = tempfile::tempdir().unwrap();
    let (_, credential) = certificate(&directory);
    let world = World::new().await;
    assert_eq!(wraps(&world, credential).await, Err(VaultCause::AppAssertionInvalid));
}

fn workload_token(subject: &str) -> String {
    let claims = json!({
        "iss": "https://cluster.test", "sub": subject, "aud": "api://AzureADTokenExchange", "exp": 4_000_000_000_u64,
    });
    let header = Header {
        kid: Some("cluster".into()),
        ..Header::new(Algorithm::RS256)
    };
    let key = rcgen::KeyPair::try_from(pkcs8().as_slice()).unwrap().serialize_pem();
    encode(&header, &claims, &EncodingKey::from_rsa_pem(key.as_bytes()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_workload_identitys_token_file() {
    let (n, e) = RsaKey::from_pkcs8(pkcs8()).unwrap().modulus_and_exponent();
    let application = Application {
        federated: vec![FederatedIssuer {
            issuer: "https://cluster.test".into(),
            subject: "system:serviceaccount:keyferry:keyferry".into(),
            audience: "api://AzureADTokenExchange".into(),
            jwks: Some(json!({"keys": [{"kty": "RSA", "kid": "cluster", "n": n, "e": e}]})),
        }],
        ..Application::default()
    };
    let (world, directory) = (World::with(VAULT, application).await, tempfile::tempdir().unwrap());
    let good = file(
        &directory,
        "good",
        &workload_token("system:serviceaccount:keyferry:keyferry"),
    );
    let token_file = |token_file| CredentialConfig::WorkloadIdentity { token_file };
    assert_eq!(wraps(&world, token_file(good)).await, Ok(()));
    let other = file(
        &directory,
        "other",
        &workload_token("system:serviceaccount:other:other"),
    );
    let refused = tries(&world, token_file(other)).await.unwrap_err();
    assert_eq!(refused.cause(), VaultCause::AppAssertionInvalid);
    assert_eq!(refused.evidence().code.as_deref(), Some("AADSTS50012"));
}

/// The SDK takes the identity's endpoint from the environment alone, so this test runs itself in a process that has it.
#[tokio::test]
async fn a_managed_identity() {
    const IDENTITY: Uuid = Uuid::from_u128(0x44);
    if let Ok(ca) = std::env::var("KEYFERRY_SPEC_CA") {
        return wraps_by_identity(&ca, IDENTITY).await;
    }
    let world = World::new().await;
    // A managed identity is a principal of its directory, and its tokens are about that.
    let subject = world.consent_to(IDENTITY).to_string();
    let application = Application {
        federated: vec![FederatedIssuer {
            issuer: format!("https://login.microsoftonline.com/{}/v2.0", world::DIRECTORY),
            subject,
            audience: "api://AzureADTokenExchange".into(),
            jwks: None,
        }],
        ..Application::default()
    };
    world.order(Order::RegisterApplication {
        client_id: CLIENT,
        application,
    });
    let endpoint = format!(
        "http://{}/managed-identity/{}/{IDENTITY}",
        world.emulator.control_addr(),
        world::DIRECTORY
    );
    let run = tokio::task::spawn_blocking({
        let (ca, https, control) = (
            world.emulator.ca_pem().to_owned(),
            world.emulator.https_addr().to_string(),
            world.emulator.control_addr().to_string(),
        );
        move || {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "credentials::a_managed_identity"])
                .env("KEYFERRY_SPEC_CA", ca)
                .env("KEYFERRY_SPEC_HTTPS", https)
                .env("KEYFERRY_SPEC_CONTROL", control)
                .env("IDENTITY_ENDPOINT", endpoint)
                .env("IDENTITY_HEADER", "a pretend header")
                .output()
                .unwrap()
        }
    });
    let run = run.await.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
    assert!(world.count(keyferry_emulator::Operation::WrapKey) >= 2);
}

async fn wraps_by_identity(ca: &str, identity: Uuid) {
    let credential = CredentialConfig::ManagedIdentity {
        identity: Some(ClientId(identity)),
    };
    let https = std::env::var("KEYFERRY_SPEC_HTTPS").unwrap().parse().unwrap();
    let mut config = keyferry_azure::AzureConfig::new(ClientId(CLIENT), credential);
    config.extra_roots_pem = Some(ca.to_owned());
    config.overrides = ["azure.net", "microsoftonline.com"]
        .map(|name| (name.to_owned(), https))
        .into();
    let vault = AzureKeyVault::new(&config).unwrap();
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
    // Entra refuses what the identity's token was signed with, and the vault what Entra's was: both must be had anew.
    let control = std::env::var("KEYFERRY_SPEC_CONTROL").unwrap();
    let order = Order::RotateSigningKey { forget_old: true };
    let ordered = reqwest::Client::new()
        .post(format!("http://{control}/orders"))
        .json(&order);
    assert!(ordered.send().await.unwrap().status().is_success());
    vault.wrap(&tenant(VAULT), &data_key()).await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_the_start() {
    let (world, directory) = (World::new().await, tempfile::tempdir().unwrap());
    let new = |credential| AzureKeyVault::new(&world.config(credential)).unwrap_err();
    let missing = CredentialConfig::SecretFile(directory.path().join("missing"));
    assert!(matches!(new(missing), ConfigError::File { .. }));
    let empty = CredentialConfig::SecretFile(file(&directory, "empty", " \n"));
    assert!(matches!(new(empty), ConfigError::Content(..)));
    let token_file = file(&directory, "token", "not a token");
    assert!(matches!(
        new(CredentialConfig::WorkloadIdentity { token_file }),
        ConfigError::Content(..)
    ));
    let certificate = CredentialConfig::Certificate {
        certificate_file: file(&directory, "c.pem", "no"),
        key_file: file(&directory, "k.pem", "no"),
    };
    assert!(matches!(new(certificate), ConfigError::Content(..)));
    let mut config = world.config(world::secret());
    config.retries.attempts = 0;
    assert!(matches!(
        AzureKeyVault::new(&config),
        Err(ConfigError::Zero("retries.attempts"))
    ));
}
