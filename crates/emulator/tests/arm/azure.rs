//! An emulator with us in it, who make private endpoints, and a customer, who has a vault.

use std::net::{Ipv4Addr, SocketAddr};

use keyferry_emulator::{
    Application, Assignment, Decision, Emulator, EmulatorConfig, Order, Role, RsaKey, Scope, Secret, VaultOptions,
};
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

pub const MANAGER: &str = "management.azure.com";
pub const ENTRA: &str = "login.microsoftonline.com";
pub const HOST: &str = "acme.vault.azure.net";
pub const GROUP: &str = "keyferry";
pub const NETWORK_VERSION: &str = "2024-05-01";
pub const VAULT_VERSION: &str = "2026-02-01";
const SECRET: &str = "pretend";

pub struct Azure {
    pub emulator: Emulator,
    pub ours: Party,
    pub customer: Party,
    pub subscription: Uuid,
    pub subnet: String,
}

/// A directory, with the principal of an application of ours in it.
#[derive(Clone, Copy)]
pub struct Party {
    pub directory: Uuid,
    pub client_id: Uuid,
    pub oid: Uuid,
}

/// A resource manager's answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["error"]["code"].as_str().unwrap())
    }
}

impl Azure {
    /// A subscription with a subnet that we may use, a vault, and the right to read it.
    pub async fn start() -> Self {
        Self::over(Emulator::start(EmulatorConfig::default()).await.unwrap())
    }

    pub fn over(emulator: Emulator) -> Self {
        let client_id = Uuid::new_v4();
        let secret = Secret {
            value: SECRET.into(),
            expired: false,
        };
        let application = Application {
            secrets: vec![secret],
            ..Application::default()
        };
        let order = |order| emulator.order(order).unwrap();
        order(Order::RegisterApplication { client_id, application });
        let party = || {
            let directory = Uuid::new_v4();
            order(Order::CreateDirectory { directory });
            let oid = order(Order::Consent {
                directory,
                client_id,
                resource: String::new(),
                roles: Vec::new(),
                usable_after_seconds: 0,
            });
            let oid = oid["oid"].as_str().unwrap().parse().unwrap();
            Party {
                directory,
                client_id,
                oid,
            }
        };
        let (ours, customer) = (party(), party());
        let subscription = Uuid::new_v4();
        order(Order::CreateSubscription {
            subscription,
            directory: ours.directory,
        });
        let subnet = order(Order::CreateNetwork {
            subscription,
            resource_group: GROUP.into(),
            virtual_network: "vn".into(),
            subnet: "endpoints".into(),
            location: "westeurope".into(),
        });
        order(Order::SetNetworkContributor {
            subscription,
            resource_group: GROUP.into(),
            principal: ours.oid,
            holds: true,
        });
        let azure = Self {
            ours,
            customer,
            subscription,
            subnet: subnet["subnet"].as_str().unwrap().to_owned(),
            emulator,
        };
        azure.vault(HOST, VaultOptions::default());
        azure
    }

    pub fn order(&self, order: Order) {
        self.emulator.order(order).unwrap();
    }

    pub fn vault(&self, host: &str, options: VaultOptions) {
        let directory = self.customer.directory;
        self.order(Order::CreateVault {
            host: host.into(),
            directory,
            options,
        });
    }

    /// Gives our principal at the customer's a role on the vault.
    pub fn assign(&self, role: Role) {
        self.order(Order::Assign {
            host: HOST.into(),
            assignment: Assignment {
                principal: self.customer.oid,
                role,
                scope: Scope::Vault,
            },
            works_after_seconds: 0,
        });
    }

    /// Puts a key into the vault.
    pub fn import(&self, name: &str) {
        let key = RsaKey::generate(2048).unwrap();
        self.order(Order::ImportKey {
            host: HOST.into(),
            name: name.into(),
            pkcs8: base64_simd::URL_SAFE_NO_PAD.encode_to_string(key.pkcs8()),
        });
    }

    pub fn decide(&self, endpoint: &str, decision: Decision) {
        self.order(Order::DecideConnection {
            host: HOST.into(),
            connection: endpoint.into(),
            decision,
            description: String::new(),
        });
    }

    /// A client for whom one host is at that address.
    pub fn client(&self, host: &str, at: SocketAddr) -> Client {
        let ca = Certificate::from_pem(self.emulator.ca_pem().as_bytes()).unwrap();
        Client::builder()
            .tls_certs_only([ca])
            .resolve(host, at)
            .no_proxy()
            .build()
            .unwrap()
    }

    pub fn at(&self, address: Ipv4Addr) -> SocketAddr {
        SocketAddr::from((address, self.emulator.https_addr().port()))
    }

    /// A token of a party's directory for what is at a host.
    pub async fn token(&self, party: Party, resource: &str) -> String {
        let form = [
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", party.client_id.to_string()),
            ("client_secret", SECRET.to_owned()),
            ("scope", format!("{resource}/.default")),
        ];
        let client = self.client(ENTRA, self.emulator.https_addr());
        let url = format!("https://{ENTRA}/{}/oauth2/v2.0/token", party.directory);
        let answer = client.post(url).form(&form).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        body["access_token"].as_str().unwrap().to_owned()
    }

    /// A request to a resource manager, by a party's token for it.
    pub async fn ask(&self, party: Party, method: Method, url: &str, body: Option<&Value>) -> Answer {
        let host = url.split('/').nth(2).unwrap().to_owned();
        let token = self.token(party, &format!("https://{host}")).await;
        self.ask_with(Some(&token), method, url, body).await
    }

    pub async fn ask_with(&self, token: Option<&str>, method: Method, url: &str, body: Option<&Value>) -> Answer {
        let host = url.split('/').nth(2).unwrap();
        let client = self.client(host, self.emulator.https_addr());
        let mut request = client.request(method, url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        answer(request.send().await.unwrap()).await
    }

    pub fn endpoint_url(&self, name: &str) -> String {
        let subscription = self.subscription;
        format!(
            "https://{MANAGER}/subscriptions/{subscription}/resourceGroups/{GROUP}/providers/Microsoft.Network/privateEndpoints/{name}?api-version={NETWORK_VERSION}"
        )
    }

    /// What a PUT says that wants an endpoint to the vault of that resource id.
    pub fn wish(&self, target: &str) -> Value {
        json!({
            "location": "westeurope",
            "properties": {
                "subnet": {"id": self.subnet},
                "manualPrivateLinkServiceConnections": [{
                    "name": "byok-acme",
                    "properties": {"privateLinkServiceId": target, "groupIds": ["vault"], "requestMessage": "Keyferry asks"},
                }],
            },
        })
    }

    pub async fn put(&self, name: &str, wish: &Value) -> Answer {
        self.ask(self.ours, Method::PUT, &self.endpoint_url(name), Some(wish))
            .await
    }

    pub async fn get(&self, name: &str) -> Answer {
        self.ask(self.ours, Method::GET, &self.endpoint_url(name), None).await
    }

    /// A provisioned endpoint to the vault, pending, and its address.
    pub async fn endpoint(&self, name: &str) -> Ipv4Addr {
        let made = self.put(name, &self.wish(&vault_id("acme"))).await;
        assert_eq!(made.status, 201, "{made:?}");
        for state in ["Updating", "Succeeded"] {
            assert_eq!(self.get(name).await.body["properties"]["provisioningState"], state);
        }
        let there = self.get(name).await;
        let dns = &there.body["properties"]["customDnsConfigs"][0];
        assert_eq!(dns["fqdn"], HOST);
        dns["ipAddresses"][0].as_str().unwrap().parse().unwrap()
    }
}

/// The resource id of a vault that was made without saying where.
pub fn vault_id(name: &str) -> String {
    format!(
        "/subscriptions/5ab50000-0000-4000-8000-000000000001/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/{name}"
    )
}

pub async fn answer(response: Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap()
    };
    Answer { status, headers, body }
}
