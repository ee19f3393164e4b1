//! `keyferry tenant …`

mod drill;
mod health;
mod key;
mod look;

use clap::{Args, Subcommand};
use keyferry_client::{Admin, Client, FormerKey, NewTenant, Tenant as Shown, TenantChange, key::KeyHealth};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    access::AccessOptions,
    failure::Failure,
    onboarding::{self, Named, Unfinished},
    output::Output,
    policy::{self, DEFAULT_POLICY, PolicyOptions},
};

/// Registers and administrates tenants.
#[derive(Args, Debug)]
pub(crate) struct Tenant {
    #[command(flatten)]
    access: AccessOptions,
    /// How results are printed
    #[arg(long, value_enum, default_value_t, global = true)]
    output: Output,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Register a customer: open its onboarding, and print the link for its administrator (as `onboarding open`)
    Register(onboarding::Open),
    /// Register a tenant whose customer has done its part already, without onboarding
    Create(Create),
    /// List tenants, ordered by slug
    List,
    /// Show a tenant, or how far its onboarding is
    Show(Named),
    /// Show how a tenant's key is, or follow it
    Health(health::Health),
    /// Have a tenant's key looked at now, and show what is found
    Look(look::Look),
    /// Measure how soon nothing opens any more once the customer takes its key away, and print a report of it
    Drill(Box<drill::Drill>),
    /// Make a new link to the customer's page, and make those before it void (as `onboarding link`)
    Link(Named),
    /// Make all of its onboarding's checks now (as `onboarding verify`)
    Verify(Named),
    /// Follow its onboarding live, until it is active (as `onboarding watch`)
    Watch(onboarding::Watch),
    /// Change a tenant; what is left out stays
    Update(Update),
    /// Stop a tenant's use; its data opens again after `resume`
    Suspend(Named),
    /// Take a tenant into use again, also out of deletion
    Resume(Named),
    /// Delete a tenant, once its safety window is over
    Delete(Named),
}

/// A tenant, and how its key is.
#[derive(Serialize)]
struct WithHealth {
    #[serde(flatten)]
    tenant: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_health: Option<KeyHealth>,
}

#[derive(Args, Debug)]
struct Create {
    /// The tenant's slug: 1 to 63 lower-case letters, digits and hyphens
    slug: String,
    /// Its name for people; the slug if left out
    #[arg(long)]
    display_name: Option<String>,
    /// The customer's Entra tenant ID
    #[arg(long)]
    directory_id: String,
    /// The cloud: public, china or us-government
    #[arg(long, default_value = "public")]
    cloud: String,
    /// The customer's vault: acme.vault.azure.net, or its URI
    #[arg(long)]
    vault: String,
    /// The key's name in it
    #[arg(long)]
    key_name: String,
    /// Stay at this version; follows the latest if left out
    #[arg(long)]
    key_version: Option<String>,
    #[command(flatten)]
    policy: PolicyOptions,
    /// Makes it safe to run the same command again; a random one if left out
    #[arg(long)]
    idempotency_key: Option<String>,
}

#[derive(Args, Debug)]
struct Update {
    #[command(flatten)]
    named: Named,
    /// Its name for people
    #[arg(long)]
    display_name: Option<String>,
    /// The customer's Entra tenant ID, corrected
    #[arg(long)]
    directory_id: Option<String>,
    /// Another vault; the key before still opens what it wrapped
    #[arg(long)]
    vault: Option<String>,
    /// Another key; the one before still opens what it wrapped
    #[arg(long)]
    key_name: Option<String>,
    /// Stay at this version
    #[arg(long, conflicts_with = "follow_latest")]
    key_version: Option<String>,
    /// Follow the latest version
    #[arg(long)]
    follow_latest: bool,
    /// Drop a former key, as `show` prints it: what it wrapped opens no more. May be given several times
    #[arg(long, value_name = "KEY")]
    drop_former_key: Vec<String>,
    #[command(flatten)]
    policy: PolicyOptions,
}

impl Tenant {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let client = self.access.client()?;
        let admin = client.admin();
        let tenant = match self.act {
            Act::Register(open) => return onboarding::Act::Open(open).run(&client, self.output).await,
            Act::Link(named) => return onboarding::Act::Link(named).run(&client, self.output).await,
            Act::Verify(named) => return onboarding::Act::Verify(named).run(&client, self.output).await,
            Act::Watch(watch) => return onboarding::Act::Watch(watch).run(&client, self.output).await,
            Act::List => return list(&admin, self.output).await,
            Act::Show(Named { slug }) => return show(&client, &slug, self.output).await,
            Act::Health(health) => return health.run(&admin, self.output).await,
            Act::Look(look) => return look.run(&admin, self.output).await,
            Act::Drill(drill) => return drill.run(&client, self.output).await,
            Act::Create(create) => create.run(&admin).await?,
            Act::Update(update) => update.run(&admin).await?,
            Act::Suspend(Named { slug }) => admin.suspend(&admin.get(&slug).await?).await?,
            Act::Resume(Named { slug }) => admin.resume(&admin.get(&slug).await?).await?,
            Act::Delete(Named { slug }) => admin.delete(&admin.get(&slug).await?).await?,
        };
        self.output.fields(&tenant, &fields(&tenant));
        Ok(())
    }
}

impl Create {
    async fn run(self, admin: &Admin) -> Result<Shown, Failure> {
        let new = NewTenant {
            display_name: self.display_name.unwrap_or_else(|| self.slug.clone()),
            slug: self.slug,
            directory_id: self.directory_id,
            cloud: self.cloud,
            vault: self.vault,
            key_name: self.key_name,
            key_version: self.key_version,
            policy: self.policy.over(DEFAULT_POLICY),
        };
        let key = self.idempotency_key.unwrap_or_else(|| Uuid::new_v4().to_string());
        Ok(admin.create(&new, Some(&key)).await?)
    }
}

impl Update {
    async fn run(self, admin: &Admin) -> Result<Shown, Failure> {
        let read = admin.get(&self.named.slug).await?;
        let key_version = if self.follow_latest {
            Some("latest".to_owned())
        } else {
            self.key_version
        };
        let change = TenantChange {
            display_name: self.display_name,
            directory_id: self.directory_id,
            former_keys: kept(&read.former_keys, &self.drop_former_key)?,
            vault: self.vault,
            key_name: self.key_name,
            key_version,
            policy: self.policy.over(read.policy),
        };
        Ok(admin.update(&read, &change).await?)
    }
}

/// The former keys without those to drop; `None` if there are none to drop.
fn kept(former: &[FormerKey], dropped: &[String]) -> Result<Option<Vec<FormerKey>>, Failure> {
    if let Some(unknown) = dropped
        .iter()
        .find(|dropped| !former.iter().any(|key| address(key) == **dropped))
    {
        return Err(Failure::usage(format!(
            "{unknown} is no former key of this tenant: `keyferry tenant show` lists them"
        )));
    }
    let kept = former.iter().filter(|key| !dropped.contains(&address(key)));
    Ok((!dropped.is_empty()).then(|| kept.cloned().collect()))
}

/// Shows a tenant, or the onboarding that is to become one.
async fn show(client: &Client, slug: &str, output: Output) -> Result<(), Failure> {
    match client.admin().get(slug).await {
        Ok(tenant) => {
            let (key_health, mut fields) = (key_health(client, slug).await, fields(&tenant));
            if let Some(key) = &key_health {
                fields.push(("health", format!("{} since {}", key::state(key), key.since)));
            }
            output.fields(&WithHealth { tenant, key_health }, &fields);
        }
        Err(error) if onboarding::is_absent(&error) => {
            // That there is no tenant is the answer where there is no onboarding either.
            let Ok(found) = client.onboardings().get(slug).await else {
                return Err(error.into());
            };
            let unfinished = Unfinished::new(&found);
            output.text(&unfinished, || unfinished.text());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// How a tenant's key is, if that can be told: the tenant is shown in any case.
async fn key_health(client: &Client, slug: &str) -> Option<KeyHealth> {
    match client.admin().key(slug).await {
        Ok(key) => Some(key),
        Err(error) => {
            eprintln!("keyferry: how its key is cannot be told: {error}");
            None
        }
    }
}

async fn list(admin: &Admin, output: Output) -> Result<(), Failure> {
    output.rows(&all(admin).await?, &["SLUG", "STATUS", "KEY", "NAME"], |tenant| {
        vec![
            tenant.slug.clone(),
            tenant.status.clone(),
            current_key(tenant),
            tenant.display_name.clone(),
        ]
    });
    Ok(())
}

/// All tenants, ordered by slug.
async fn all(admin: &Admin) -> Result<Vec<Shown>, Failure> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let page = admin.list(cursor.as_deref(), 100).await?;
        all.extend(page.tenants);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    Ok(all)
}

fn fields(tenant: &Shown) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("slug", tenant.slug.clone()),
        ("id", tenant.id.clone()),
        ("name", tenant.display_name.clone()),
        (
            "status",
            match &tenant.purge_at {
                Some(purge_at) => format!("{} until {purge_at}", tenant.status),
                None => tenant.status.clone(),
            },
        ),
        ("directory", tenant.directory_id.clone()),
        ("key", current_key(tenant)),
        ("version", tenant.key_version.clone()),
        ("former keys", former_keys(tenant)),
    ];
    fields.extend(policy::fields(&tenant.policy));
    fields.extend([
        ("revision", tenant.revision.to_string()),
        ("registered", tenant.created_at.clone()),
        ("changed", tenant.updated_at.clone()),
    ]);
    fields
}

fn former_keys(tenant: &Shown) -> String {
    let keys: Vec<_> = tenant.former_keys.iter().map(address).collect();
    keys.join(", ")
}

fn address(key: &FormerKey) -> String {
    format!("https://{}/keys/{}", key.vault, key.key_name)
}

fn current_key(tenant: &Shown) -> String {
    format!("https://{}/keys/{}", tenant.vault, tenant.key_name)
}
