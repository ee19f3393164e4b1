//! The ways in which Keyferry can prove to Entra who it is.

use std::path::Path;

use keyferry_emulator::{Application, Certificate, Emulator, FederatedIssuer, Order, RsaKey, Secret};
use uuid::Uuid;

use crate::world::SECRET;

/// How Keyferry proves itself. The managed identity is left out: it is asked for over a network that only Azure has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// By a client secret in a file.
    Secret,
    /// By a certificate whose key is in a file.
    Certificate,
    /// By a token in a file, of an issuer whose tokens the application takes for its own.
    TokenFile,
}

/// What a credential is made of.
pub(crate) struct Made {
    /// The application's side of it.
    pub(crate) application: Application,
    /// Keyferry's side of it: the value of `credential` in its configuration.
    pub(crate) configured: String,
    /// What nobody may see, each with its name.
    pub(crate) secrets: Vec<(&'static str, Vec<u8>)>,
}

impl Credential {
    /// Makes one for an application, with its files in `dir`; `directory` is where a token's issuer is at home.
    pub(crate) async fn make(self, dir: &Path, emulator: &Emulator, directory: Uuid) -> Made {
        let file = |name: &str, content: &str| {
            let path = dir.join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        match self {
            Self::Secret => Made {
                application: Application {
                    secrets: vec![Secret {
                        value: SECRET.into(),
                        expired: false,
                    }],
                    ..Application::default()
                },
                configured: format!(
                    r#"{{ type = "client-secret", secret_file = "{}" }}"#,
                    file("secret", SECRET)
                ),
                secrets: vec![("the application's secret", SECRET.into())],
            },
            Self::Certificate => {
                let key = RsaKey::generate(2048).unwrap();
                let pair = rcgen::KeyPair::try_from(key.pkcs8()).unwrap();
                let certificate = rcgen::CertificateParams::new(vec!["keyferry.test".into()]).unwrap();
                let (pem, key_pem) = (certificate.self_signed(&pair).unwrap().pem(), pair.serialize_pem());
                // A line of the file is enough of the key; the whole is also looked for, as the bytes that it stands for.
                let lines = key_pem.lines().filter(|line| !line.starts_with('-') && line.len() > 40);
                let mut secrets: Vec<_> = lines
                    .map(|line| ("a line of the certificate's key", line.into()))
                    .collect();
                secrets.push(("the certificate's key", key.pkcs8().to_vec()));
                Made {
                    configured: format!(
                        r#"{{ type = "certificate", certificate_file = "{}", key_file = "{}" }}"#,
                        file("certificate.pem", &pem),
                        file("key.pem", &key_pem),
                    ),
                    application: Application {
                        certificates: vec![Certificate { pem }],
                        ..Application::default()
                    },
                    secrets,
                }
            }
            Self::TokenFile => {
                let identity = Uuid::new_v4();
                let consent = Order::Consent {
                    directory,
                    client_id: identity,
                    resource: String::new(),
                    roles: Vec::new(),
                    usable_after_seconds: 0,
                };
                let subject = emulator.order(consent).unwrap()["oid"].as_str().unwrap().to_owned();
                let audience = "api://AzureADTokenExchange";
                let token = token_of(emulator, directory, identity, audience).await;
                Made {
                    application: Application {
                        federated: vec![FederatedIssuer {
                            issuer: format!("https://login.microsoftonline.com/{directory}/v2.0"),
                            subject,
                            audience: audience.into(),
                            jwks: None,
                        }],
                        ..Application::default()
                    },
                    configured: format!(
                        r#"{{ type = "workload-identity", token_file = "{}" }}"#,
                        file("token", &token)
                    ),
                    secrets: vec![("the token in the file", token.into_bytes())],
                }
            }
        }
    }
}

/// A token of the emulator's, as an identity of a machine gets it.
async fn token_of(emulator: &Emulator, directory: Uuid, identity: Uuid, audience: &str) -> String {
    let url = format!(
        "http://{}/managed-identity/{directory}/{identity}?resource={audience}",
        emulator.control_addr()
    );
    let http = keyferry_client::http_client([]).build().unwrap();
    let answer: serde_json::Value = http.get(url).send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}
