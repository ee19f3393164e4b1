//! An emulator with a customer's directory, an application that asks to be let in, and what a service of it gets to see.

use keyferry_emulator::{Application, Emulator, EmulatorConfig, Order, Secret, VaultOptions};
use reqwest::{Client, StatusCode, redirect};
use serde_json::Value;
use uuid::Uuid;

use crate::browser::Browser;

pub(crate) const DIRECTORY: Uuid = Uuid::from_u128(0xd1d1_d1d1_0000_4000_8000_0000_0000_0001);
pub(crate) const APPLICATION: Uuid = Uuid::from_u128(0xa1a1_a1a1_0000_4000_8000_0000_0000_0001);
pub(crate) const REDIRECT: &str = "https://keyferry.example/onboarding/consent?from=entra";
pub(crate) const HOST: &str = "acme.vault.azure.net";
pub(crate) const LOGIN: &str = "https://login.microsoftonline.com";
/// Longer than any test.
pub(crate) const A_DAY: u32 = 86_400;

pub(crate) struct World {
    pub(crate) emulator: Emulator,
    /// Trusts the emulator, finds it by Azure's names, and follows no redirects.
    pub(crate) azure: Client,
    pub(crate) browser: Browser,
}

impl World {
    /// A directory and an application that was not let in.
    pub(crate) async fn start() -> Self {
        Self::with(EmulatorConfig::default()).await
    }

    pub(crate) async fn with(config: EmulatorConfig) -> Self {
        let config = EmulatorConfig {
            portal: Some(([127, 0, 0, 1], 0).into()),
            ..config
        };
        let emulator = Emulator::start(config).await.unwrap();
        let azure = Client::builder()
            .tls_certs_merge([reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap()])
            .resolve(HOST, emulator.https_addr())
            .resolve("login.microsoftonline.com", emulator.https_addr())
            .resolve("management.azure.com", emulator.https_addr())
            .redirect(redirect::Policy::none())
            .no_proxy()
            .build()
            .unwrap();
        let browser = Browser::new(&format!("http://{}", emulator.portal_addr().unwrap()), None);
        let world = Self {
            emulator,
            azure,
            browser,
        };
        world.order(Order::CreateDirectory { directory: DIRECTORY });
        world.order(Order::NameDirectory {
            directory: DIRECTORY,
            display_name: "Acme & <Sons>".into(),
        });
        world.order(Order::RegisterApplication {
            client_id: APPLICATION,
            application: Application {
                display_name: Some("Keyferry".into()),
                redirect_uris: vec![REDIRECT.into()],
                secrets: vec![Secret {
                    value: "pretend".into(),
                    expired: false,
                }],
                ..Application::default()
            },
        });
        world
    }

    /// The same with a vault that has the key `k`, and the application let in. Answers the principal's object id.
    pub(crate) async fn with_vault() -> (Self, Uuid) {
        let world = Self::start().await;
        world.order(Order::CreateVault {
            host: HOST.into(),
            directory: DIRECTORY,
            options: VaultOptions::default(),
        });
        let key = Order::CreateKey {
            host: HOST.into(),
            name: "k".into(),
            bits: 2048,
        };
        world.order(key);
        let oid = world.consent(0);
        (world, oid)
    }

    pub(crate) fn order(&self, order: Order) -> Value {
        self.emulator.order(order).unwrap()
    }

    pub(crate) fn consent(&self, usable_after_seconds: u32) -> Uuid {
        let consent = Order::Consent {
            directory: DIRECTORY,
            client_id: APPLICATION,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds,
        };
        self.order(consent)["oid"].as_str().unwrap().parse().unwrap()
    }

    /// A token for vaults, or the code of Entra's refusal.
    pub(crate) async fn token(&self) -> Result<String, u64> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &APPLICATION.to_string()),
            ("client_secret", "pretend"),
            ("scope", "https://vault.azure.net/.default"),
        ];
        let url = format!("{LOGIN}/{DIRECTORY}/oauth2/v2.0/token");
        let answer = self.azure.post(url).form(&form).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        match body["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => Err(body["error_codes"][0].as_u64().unwrap()),
        }
    }

    /// What the application gets when it asks its vault: the status, and the inner code of a refusal.
    pub(crate) async fn asks(&self, path: &str) -> (StatusCode, String, Value) {
        let url = format!("https://{HOST}{path}?api-version=7.6");
        let token = self.token().await.unwrap();
        let answer = self.azure.get(url).bearer_auth(token).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        let inner = body["error"]["innererror"]["code"].as_str().unwrap_or_default();
        (status, inner.to_owned(), body)
    }

    /// The same in short.
    pub(crate) async fn reads_key(&self) -> (u16, String) {
        let (status, inner, _) = self.asks("/keys/k").await;
        (status.as_u16(), inner)
    }
}

/// What `reads_key` answers of a key that can be read.
pub(crate) fn allowed() -> (u16, String) {
    (200, String::new())
}

pub(crate) fn forbidden(inner: &str) -> (u16, String) {
    (403, inner.to_owned())
}
