//! Who and what there is in `keyferry dev`: the platform's directory with its services, a customer with a vault, and a customer
//! who has nothing yet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use keyferry_emulator::{Application, Assignment, Emulator, Order, Role, Scope, Secret, VaultOptions};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::home::{CLIENT_SECRET, Home, LINK_KEY};
use crate::{access::Access, failure::Failure};

/// The demo customer.
pub(super) const TENANT: &str = "acme";
/// Its vault.
pub(super) const VAULT: &str = "acme-demo.vault.azure.net";
/// Its key.
pub(super) const KEY: &str = "customer-key";
/// The customer who is to be onboarded.
pub(super) const NEWCOMER: &str = "globex";
/// The size of the demo customer's key.
const KEY_BITS: u32 = 3072;
/// What the platform is called, where customers see it.
const PLATFORM_NAME: &str = "Example SaaS";

/// Where everything is, in this start.
#[derive(Clone, Copy)]
pub(super) struct Places {
    /// The API, and customers' pages.
    pub(super) service: SocketAddr,
    /// All of Azure's hosts.
    pub(super) azure: SocketAddr,
    /// The emulator's pages for people.
    pub(super) portal: SocketAddr,
}

/// Ids and secrets, drawn at the first start.
#[derive(Serialize, Deserialize)]
pub(super) struct World {
    platform: Uuid,
    customer: Uuid,
    #[serde(default = "Uuid::new_v4")]
    newcomer: Uuid,
    #[serde(default = "Uuid::new_v4")]
    subscription: Uuid,
    #[serde(default = "draw_secret")]
    link_key: String,
    keyferry: Identity,
    service: Identity,
    operator: Identity,
}

#[derive(Serialize, Deserialize)]
struct Identity {
    client_id: Uuid,
    secret: String,
}

impl Identity {
    fn draw() -> Self {
        Self {
            client_id: Uuid::new_v4(),
            secret: draw_secret(),
        }
    }
}

fn draw_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

impl World {
    /// Brings the emulator to this world, whatever of it is there already. Makes an RSA key at the first start.
    pub(super) fn settle(emulator: &Emulator, home: &Home, places: Places) -> Result<Self, Failure> {
        let world = home.read_json("world.json")?.unwrap_or_else(Self::draw);
        home.write_json("world.json", &world)?;
        home.write(CLIENT_SECRET, world.keyferry.secret.as_bytes())?;
        home.write(LINK_KEY, world.link_key.as_bytes())?;
        world.settle_directories(emulator, places)?;
        world.settle_network(emulator)?;
        world.settle_vault(emulator)?;
        Ok(world)
    }

    fn draw() -> Self {
        Self {
            platform: Uuid::new_v4(),
            customer: Uuid::new_v4(),
            newcomer: Uuid::new_v4(),
            subscription: Uuid::new_v4(),
            link_key: draw_secret(),
            keyferry: Identity::draw(),
            service: Identity::draw(),
            operator: Identity::draw(),
        }
    }

    pub(super) fn customer_directory(&self) -> Uuid {
        self.customer
    }

    /// What the API's scope begins with: the identifier URI that Entra proposes for a registration.
    fn identifier_uri(&self) -> String {
        format!("api://{}", self.keyferry.client_id)
    }

    fn settle_directories(&self, emulator: &Emulator, places: Places) -> Result<(), Failure> {
        let directories = [
            (self.platform, PLATFORM_NAME),
            (self.customer, "Acme"),
            (self.newcomer, "Globex"),
        ];
        for (directory, name) in directories {
            let display_name = name.to_owned();
            order(emulator, Order::CreateDirectory { directory })?;
            order(
                emulator,
                Order::NameDirectory {
                    directory,
                    display_name,
                },
            )?;
        }
        // Long enough to be seen waiting, short enough to be waited for.
        let propagation = Order::SetPropagation {
            consent_seconds: 5,
            role_seconds: 15,
        };
        order(emulator, propagation)?;
        let consent_uri = format!("{}/onboarding/consent", places.public_url());
        let registrations = [
            (
                &self.keyferry,
                PLATFORM_NAME,
                Some(self.identifier_uri()),
                vec![consent_uri],
            ),
            (&self.service, "A service of the platform's", None, vec![]),
            (&self.operator, "An operator", None, vec![]),
        ];
        for (Identity { client_id, secret }, name, identifier_uri, redirect_uris) in registrations {
            let application = Application {
                display_name: Some(name.to_owned()),
                redirect_uris,
                identifier_uri,
                secrets: vec![Secret {
                    value: secret.clone(),
                    expired: false,
                }],
                ..Application::default()
            };
            order(
                emulator,
                Order::RegisterApplication {
                    client_id: *client_id,
                    application,
                },
            )?;
        }
        let grants: [(&Identity, &[&str]); 2] = [
            (&self.service, &["Keyferry.Seal", "Keyferry.Open", "Keyferry.Rewrap"]),
            (&self.operator, &["Keyferry.Operator"]),
        ];
        for (identity, roles) in grants {
            let roles = roles.iter().map(|role| (*role).to_owned()).collect();
            let (directory, client_id, resource) = (self.platform, identity.client_id, self.identifier_uri());
            order(
                emulator,
                Order::Consent {
                    directory,
                    client_id,
                    resource,
                    roles,
                    usable_after_seconds: 0,
                },
            )?;
        }
        Ok(())
    }

    /// The platform's own side of private endpoints: a subscription with a subnet, where Keyferry may make them.
    fn settle_network(&self, emulator: &Emulator) -> Result<(), Failure> {
        let (subscription, directory) = (self.subscription, self.platform);
        order(
            emulator,
            Order::CreateSubscription {
                subscription,
                directory,
            },
        )?;
        let network = Order::CreateNetwork {
            subscription,
            resource_group: GROUP.to_owned(),
            virtual_network: NETWORK.to_owned(),
            subnet: SUBNET.to_owned(),
            location: LOCATION.to_owned(),
        };
        order(emulator, network)?;
        let principal = self.principal(emulator, directory)?;
        let contributor = Order::SetNetworkContributor {
            subscription,
            resource_group: GROUP.to_owned(),
            principal,
            holds: true,
        };
        order(emulator, contributor).map(drop)
    }

    /// Has a directory consent to Keyferry; answers the principal that it has there.
    fn principal(&self, emulator: &Emulator, directory: Uuid) -> Result<Uuid, Failure> {
        let consent = Order::Consent {
            directory,
            client_id: self.keyferry.client_id,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: 0,
        };
        order(emulator, consent)?["oid"]
            .as_str()
            .and_then(|oid| oid.parse().ok())
            .ok_or_else(|| Failure::start("the emulator names no principal"))
    }

    /// The customer consents, makes a vault, assigns the two roles and makes a key. The key comes last: where it is, all the
    /// rest was done, and stays as it is with all that was done to it since. Where it is not, an earlier start was cut
    /// off, and each step is done again, which changes nothing where it was done.
    fn settle_vault(&self, emulator: &Emulator) -> Result<(), Failure> {
        let host = VAULT.to_owned();
        if emulator.has_key(&host, KEY) {
            return Ok(());
        }
        let directory = self.customer;
        let principal = self.principal(emulator, directory)?;
        let vault = Order::CreateVault {
            host: host.clone(),
            directory,
            options: VaultOptions::default(),
        };
        order(emulator, vault)?;
        for role in [Role::CryptoUser, Role::Reader] {
            assign(emulator, principal, role)?;
        }
        let key = Order::CreateKey {
            host,
            name: KEY.to_owned(),
            bits: KEY_BITS,
        };
        order(emulator, key).map(drop)
    }

    /// The configuration that `keyferry serve` would be given.
    pub(super) fn config(&self, home: &Home, places: Places, log: &str) -> String {
        let Places { service, azure, portal } = places;
        let quoted = |text: &dyn std::fmt::Display| serde_json::Value::from(text.to_string()).to_string();
        format!(
            r#"# Written by `keyferry dev` at each start.
[http]
listen = "{service}"

[registry]
url = {database}

[azure]
client_id = "{application}"
credential = {{ type = "client-secret", secret_file = {secret} }}
extra_roots_file = {ca}

[azure.overrides]
"vault.azure.net" = "{azure}"
"login.microsoftonline.com" = "{azure}"
"management.azure.com" = "{azure}"

[azure.private_endpoints]
directory = "{platform}"
subscription = "{subscription}"
resource_group = "{GROUP}"
location = "{LOCATION}"
subnet = "/subscriptions/{subscription}/resourceGroups/{GROUP}/providers/Microsoft.Network/virtualNetworks/{NETWORK}/subnets/{SUBNET}"
port = {port}

[onboarding]
public_url = "{public_url}"
signing_key_file = {link_key}
platform_name = "{PLATFORM_NAME}"
sign_in_url = "http://{portal}/"
consent_patience_seconds = 60
role_patience_seconds = 60

[auth]
directories = ["{platform}"]
audiences = ["{application}"]

[telemetry]
log = {log}
"#,
            database = quoted(&home.database()),
            application = self.keyferry.client_id,
            secret = quoted(&home.client_secret().display()),
            ca = quoted(&home.ca().display()),
            platform = self.platform,
            subscription = self.subscription,
            port = azure.port(),
            public_url = places.public_url(),
            link_key = quoted(&home.link_key().display()),
            log = quoted(&log),
        )
    }

    /// Writes the access files of the service and of the operator; answers the service's.
    pub(super) fn access(&self, home: &Home, places: Places) -> Result<Access, Failure> {
        let access = |identity: &Identity| -> Result<Access, Failure> {
            let endpoint = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", self.platform);
            Ok(Access {
                server: places.public_url().parse().map_err(Failure::start)?,
                token_endpoint: endpoint.parse().map_err(Failure::start)?,
                client_id: identity.client_id.to_string(),
                client_secret: identity.secret.clone(),
                scope: format!("{}/.default", self.identifier_uri()),
                ca_file: Some(home.ca()),
                connect: Some(places.azure),
            })
        };
        home.write_json("operator.json", &access(&self.operator)?)?;
        let service = access(&self.service)?;
        home.write_json("service.json", &service)?;
        Ok(service)
    }
}

impl Places {
    /// Where the service is for browsers and callers.
    fn public_url(self) -> String {
        let mut addr = self.service;
        match addr.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => addr.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => addr.set_ip(Ipv6Addr::LOCALHOST.into()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
        format!("http://{addr}")
    }
}

/// Gives a principal a role on the vault, once.
fn assign(emulator: &Emulator, principal: Uuid, role: Role) -> Result<(), Failure> {
    let (host, scope) = (VAULT.to_owned(), Scope::Vault);
    let assignment = Assignment { principal, role, scope };
    let unassign = Order::Unassign {
        host: host.clone(),
        assignment: assignment.clone(),
    };
    order(emulator, unassign)?;
    let assign = Order::Assign {
        host,
        assignment,
        works_after_seconds: 0,
    };
    order(emulator, assign).map(drop)
}

fn order(emulator: &Emulator, order: Order) -> Result<serde_json::Value, Failure> {
    emulator.order(order).map_err(Failure::start)
}

/// Where private endpoints are made.
const GROUP: &str = "keyferry";
const NETWORK: &str = "keyferry";
const SUBNET: &str = "private-endpoints";
const LOCATION: &str = "westeurope";
