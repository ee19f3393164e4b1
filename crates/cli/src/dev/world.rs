//! Who and what there is in `keyferry dev`: the platform's directory with its services, and a customer with a vault.

use std::net::SocketAddr;

use keyferry_emulator::{Application, Assignment, Emulator, Order, Role, Scope, Secret, VaultOptions};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::home::{CLIENT_SECRET, Home};
use crate::{access::Access, failure::Failure};

/// The demo customer.
pub(super) const TENANT: &str = "acme";
/// Its vault.
pub(super) const VAULT: &str = "acme-demo.vault.azure.net";
/// Its key.
pub(super) const KEY: &str = "customer-key";
/// The size of the demo customer's key.
const KEY_BITS: u32 = 3072;

/// Ids and secrets, drawn at the first start.
#[derive(Serialize, Deserialize)]
pub(super) struct World {
    platform: Uuid,
    customer: Uuid,
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
            secret: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
        }
    }
}

impl World {
    /// Brings the emulator to this world, whatever of it is there already. Makes an RSA key at the first start.
    pub(super) fn settle(emulator: &Emulator, home: &Home) -> Result<Self, Failure> {
        let world = home.read_json("world.json")?.unwrap_or_else(Self::draw);
        home.write_json("world.json", &world)?;
        home.write(CLIENT_SECRET, world.keyferry.secret.as_bytes())?;
        world.settle_directories(emulator)?;
        world.settle_vault(emulator)?;
        Ok(world)
    }

    fn draw() -> Self {
        Self {
            platform: Uuid::new_v4(),
            customer: Uuid::new_v4(),
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

    fn settle_directories(&self, emulator: &Emulator) -> Result<(), Failure> {
        for directory in [self.platform, self.customer] {
            order(emulator, Order::CreateDirectory { directory })?;
        }
        let registrations = [
            (&self.keyferry, Some(self.identifier_uri())),
            (&self.service, None),
            (&self.operator, None),
        ];
        for (Identity { client_id, secret }, uri) in registrations {
            let application = Application {
                identifier_uri: uri,
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

    /// The customer consents, makes a vault, assigns the two roles and makes a key. The key comes last: where it is, all the
    /// rest was done, and stays as it is with all that was done to it since. Where it is not, an earlier start was cut
    /// off, and each step is done again, which changes nothing where it was done.
    fn settle_vault(&self, emulator: &Emulator) -> Result<(), Failure> {
        let host = VAULT.to_owned();
        if emulator.has_key(&host, KEY) {
            return Ok(());
        }
        let (directory, client_id) = (self.customer, self.keyferry.client_id);
        let consent = Order::Consent {
            directory,
            client_id,
            resource: String::new(),
            roles: Vec::new(),
            usable_after_seconds: 0,
        };
        let principal = order(emulator, consent)?["oid"]
            .as_str()
            .and_then(|oid| oid.parse().ok())
            .ok_or_else(|| Failure::start("the emulator names no principal"))?;
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
    pub(super) fn config(&self, home: &Home, listen: SocketAddr, azure: SocketAddr, log: &str) -> String {
        let quoted = |text: &dyn std::fmt::Display| serde_json::Value::from(text.to_string()).to_string();
        format!(
            r#"# Written by `keyferry dev` at each start.
[http]
listen = "{listen}"

[registry]
url = {database}

[azure]
client_id = "{application}"
credential = {{ type = "client-secret", secret_file = {secret} }}
extra_roots_file = {ca}

[azure.overrides]
"vault.azure.net" = "{azure}"
"login.microsoftonline.com" = "{azure}"

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
            log = quoted(&log),
        )
    }

    /// Writes the access files of the service and of the operator; answers the service's.
    pub(super) fn access(&self, home: &Home, service: SocketAddr, azure: SocketAddr) -> Result<Access, Failure> {
        let access = |identity: &Identity| -> Result<Access, Failure> {
            let endpoint = format!("https://login.microsoftonline.com/{}/oauth2/v2.0/token", self.platform);
            Ok(Access {
                server: format!("http://{service}").parse().map_err(Failure::start)?,
                token_endpoint: endpoint.parse().map_err(Failure::start)?,
                client_id: identity.client_id.to_string(),
                client_secret: identity.secret.clone(),
                scope: format!("{}/.default", self.identifier_uri()),
                ca_file: Some(home.ca()),
                connect: Some(azure),
            })
        };
        home.write_json("operator.json", &access(&self.operator)?)?;
        let service = access(&self.service)?;
        home.write_json("service.json", &service)?;
        Ok(service)
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
