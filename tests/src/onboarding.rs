//! A Keyferry that onboards customers, and a customer's administrator with a browser that does what it is told.

use std::fmt::Write;

use keyferry_client::onboarding::{Answers, Check, NewOnboarding, Onboarding, Onboardings, Opened, Typed};
use keyferry_emulator::{Decision, Order};
use reqwest::{Client, RequestBuilder, header, redirect};
use url::Url;
use uuid::Uuid;

use crate::{Answer, Customer, KEY, Keyferry, World};

/// Where customers reach the service, as far as it knows.
pub const PUBLIC_URL: &str = "https://keys.example.test";

/// What signs links and states.
pub const SIGNING_KEY: &[u8; 48] = b"the-planted-signing-key-of-links-and-of-states-!";

const SUBSCRIPTION: Uuid = Uuid::from_u128(0x0a5e);
const GROUP: &str = "private-endpoints";

/// How onboarding is set up where it is not as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How long a missing role is taken for one that spreads, in seconds.
    pub role_patience: u32,
    /// How long a missing principal is, once consent came back.
    pub consent_patience: u32,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            role_patience: 900,
            consent_patience: 3_600,
        }
    }
}

impl World {
    /// Has Keyferry onboard customers, with private endpoints in a network of the platform's.
    pub fn offer_onboarding(&mut self, setup: Setup) {
        let principal = self.own_principal();
        let subscription = Order::CreateSubscription {
            subscription: SUBSCRIPTION,
            directory: self.platform_directory(),
        };
        self.order(subscription);
        let network = Order::CreateNetwork {
            subscription: SUBSCRIPTION,
            resource_group: GROUP.into(),
            virtual_network: "keyferry".into(),
            subnet: "endpoints".into(),
            location: "westeurope".into(),
        };
        let subnet = self.emulator.order(network).unwrap();
        let subnet = subnet["subnet"].as_str().unwrap();
        self.order(Order::SetNetworkContributor {
            subscription: SUBSCRIPTION,
            resource_group: GROUP.into(),
            principal,
            holds: true,
        });
        let signing_key = self.file("signing-key", SIGNING_KEY);
        let Setup {
            role_patience,
            consent_patience,
        } = setup;
        let (application, credential) = (self.application_id(), self.credential().to_owned());
        let (directory, port) = (self.platform_directory(), self.emulator.https_addr().port());
        write!(
            self.extra,
            r#"
[onboarding]
public_url = "{PUBLIC_URL}"
signing_key_file = "{signing_key}"
platform_name = "Example SaaS"
recommended_key_bits = 2048
role_patience_seconds = {role_patience}
consent_patience_seconds = {consent_patience}

[azure.private_endpoints]
directory = "{directory}"
subscription = "{SUBSCRIPTION}"
resource_group = "{GROUP}"
location = "westeurope"
subnet = "{subnet}"
port = {port}

[[azure.other_clouds]]
cloud = "china"
client_id = "{application}"
credential = {credential}
"#,
            signing_key = signing_key.display(),
        )
        .unwrap();
    }

    /// An operator's view of onboardings.
    #[must_use]
    pub fn onboardings(&self, keyferry: &Keyferry) -> Onboardings {
        self.operator_client(keyferry).onboardings()
    }

    /// Opens an onboarding for a customer, with all its answers.
    pub async fn open(&self, keyferry: &Keyferry, customer: &Customer) -> Opened {
        let new = customer.onboarding();
        self.onboardings(keyferry).open(&new, None).await.unwrap()
    }

    /// Decides about the only connection of a customer's vault that can be decided about.
    pub fn decide(&self, customer: &Customer, endpoint: &str, decision: Decision) {
        self.order(Order::DecideConnection {
            host: customer.vault.clone(),
            connection: endpoint.to_owned(),
            decision,
            description: "as agreed".into(),
        });
    }
}

impl Customer {
    /// What opens its onboarding, all answers included, without a private endpoint.
    #[must_use]
    pub fn onboarding(&self) -> NewOnboarding {
        NewOnboarding {
            slug: self.slug.clone(),
            display_name: format!("Customer {}", self.slug),
            cloud: "public".into(),
            policy: None,
            endpoint_policy: None,
            allows_public_path: None,
            answers: self.answers(),
        }
    }

    /// Its answers.
    #[must_use]
    pub fn answers(&self) -> Typed {
        Typed {
            directory_id: Some(self.directory.to_string()),
            vault: Some(format!("https://{}/", self.vault)),
            key: Some(KEY.into()),
            vault_resource_id: None,
        }
    }

    /// The resource id of its vault.
    #[must_use]
    pub fn resource_id(&self) -> String {
        let (subscription, name) = (
            Uuid::from_u128(0x5ab5_0000_0000_4000_8000_0000_0000_0001),
            self.vault_name(),
        );
        format!("/subscriptions/{subscription}/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/{name}")
    }

    /// The name of its vault.
    #[must_use]
    pub fn vault_name(&self) -> &str {
        self.vault.split('.').next().unwrap()
    }
}

/// A check of an onboarding, by its name.
#[must_use]
pub fn check<'a>(onboarding: &'a Onboarding, name: &str) -> &'a Check {
    let found = onboarding.checks.iter().find(|check| check.check == name);
    found.unwrap_or_else(|| panic!("no check {name} in {onboarding:?}"))
}

/// All findings, for the message of a test that failed.
#[must_use]
pub fn findings(onboarding: &Onboarding) -> String {
    let all = onboarding.checks.iter().map(|check| {
        let said = check.evidence.as_ref().and_then(|evidence| evidence.code.clone());
        format!("{}={} {}", check.check, check.finding, said.unwrap_or_default())
    });
    format!("{}: {}", onboarding.stage, all.collect::<Vec<_>>().join(", "))
}

/// Whether all answers are as they were given.
#[must_use]
pub fn has_all(answers: &Answers, customer: &Customer) -> bool {
    answers.directory_id.as_deref() == Some(customer.directory.to_string().as_str())
        && answers.vault.as_deref() == Some(customer.vault.as_str())
        && answers.key_name.as_deref() == Some(KEY)
}

/// A browser of a customer's administrator: it follows no redirect by itself, so that a test sees where it would go.
pub struct Browser {
    http: Client,
    keyferry: Url,
}

impl Browser {
    /// One that reaches that replica under its public name.
    #[must_use]
    pub fn new(keyferry: &Keyferry) -> Self {
        let builder = Client::builder().no_proxy().redirect(redirect::Policy::none());
        Self {
            http: builder.build().unwrap(),
            keyferry: keyferry.url("/"),
        }
    }

    /// Opens an address of the service's.
    pub async fn get(&self, address: &str) -> Answer {
        Answer::to(self.http.get(self.at(address))).await
    }

    /// Sends a form as the page itself does.
    pub async fn post(&self, address: &str, fields: &[(&str, &str)]) -> Answer {
        Answer::to(self.form(address, fields).header(header::ORIGIN, PUBLIC_URL)).await
    }

    /// A form that no page vouches for.
    pub fn form(&self, address: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        self.http.post(self.at(address)).form(fields)
    }

    /// Where an address under the public name really is.
    fn at(&self, address: &str) -> Url {
        let path = address.strip_prefix(PUBLIC_URL).unwrap_or(address);
        self.keyferry.join(path).unwrap()
    }
}

impl Answer {
    /// Where it redirects to.
    #[must_use]
    pub fn location(&self) -> String {
        let location = self.headers.get(header::LOCATION);
        let location = location.unwrap_or_else(|| panic!("{}: {}", self.status, self.body));
        location.to_str().unwrap().to_owned()
    }
}
