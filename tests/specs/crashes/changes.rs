//! A process dies while tenants are changed, suspended and deleted.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use keyferry_client::{Admin, Error, FormerKey, Policy, Tenant, TenantChange};
use keyferry_tests::{Database, KEY, World};

/// Changes that are under way, or still to come, when the process is killed.
const TENANTS: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_a_kill_meets_was_made_whole_or_not_at_all() {
    for database in Database::each().await {
        let world = World::new(database).await;
        let mut tenants = registered(&world).await;
        for kind in [Kind::Update, Kind::Suspend, Kind::Delete] {
            tenants = killed_while(&world, kind, tenants).await;
        }
    }
}

/// Every change of a tenant there is but its resumption, which is a suspension's other direction.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Update,
    Suspend,
    Delete,
}

type Tenants = BTreeMap<String, Tenant>;

impl Kind {
    async fn ask(self, admin: &Admin, tenant: &Tenant) -> Result<Tenant, Error> {
        match self {
            Self::Update => admin.update(tenant, &change()).await,
            Self::Suspend => admin.suspend(tenant).await,
            Self::Delete => admin.delete(tenant).await,
        }
    }

    /// What it makes of a tenant, whole; `now` tells when that was.
    fn made_of(self, before: &Tenant, now: &Tenant) -> Tenant {
        let mut made = Tenant {
            revision: now.revision,
            updated_at: now.updated_at.clone(),
            ..before.clone()
        };
        match self {
            Self::Update => {
                let changed = change();
                made.display_name = changed.display_name.unwrap();
                made.key_name = changed.key_name.unwrap();
                made.policy = changed.policy.unwrap();
                made.former_keys = vec![FormerKey {
                    vault: before.vault.clone(),
                    key_name: KEY.into(),
                }];
            }
            Self::Suspend => made.status = "suspended".into(),
            Self::Delete => {
                made.status = "deleting".into();
                made.purge_at = Some(now.purge_at.clone().unwrap_or_default());
            }
        }
        made
    }
}

/// A change of many columns.
fn change() -> TenantChange {
    TenantChange {
        display_name: Some("Changed".into()),
        key_name: Some("next".into()),
        policy: Some(Policy {
            cache_ttl_seconds: 1,
            lease_max_age_seconds: 2,
            lease_max_messages: 3,
            outage_grace_seconds: 4,
        }),
        ..TenantChange::default()
    }
}

/// Changes all tenants, while the process is killed early, later and late. Answers them changed.
async fn killed_while(world: &World, kind: Kind, before: Tenants) -> Tenants {
    let mut known = before.clone();
    let mut was_met = false;
    for confirmations in [1, 8, 16] {
        let keyferry = world.start().await;
        let admin = world.admin(&keyferry);
        let pending: Vec<_> = known
            .values()
            .filter(|tenant| before[&tenant.slug] == **tenant)
            .collect();
        let mut outcomes = asked(kind, &admin, pending);
        let mut answered = Vec::new();
        for _ in 0..confirmations {
            answered.push(outcomes.next().await.unwrap().unwrap());
        }
        keyferry.kill();
        while let Some(outcome) = outcomes.next().await {
            was_met |= outcome.is_err();
            answered.extend(outcome);
        }
        drop(outcomes);
        known.extend(answered.into_iter().map(|tenant| (tenant.slug.clone(), tenant)));
        known = is_whole(world, kind, &before, &known).await;
    }
    assert!(was_met, "the kill came in the middle: {kind:?}");
    let keyferry = world.start().await;
    let admin = world.admin(&keyferry);
    let pending = known
        .values()
        .filter(|tenant| before[&tenant.slug] == **tenant)
        .collect();
    let last: Vec<_> = asked(kind, &admin, pending).map(Result::unwrap).collect().await;
    known.extend(last.into_iter().map(|tenant| (tenant.slug.clone(), tenant)));
    for (slug, tenant) in &known {
        assert_eq!(*tenant, kind.made_of(&before[slug], tenant), "{kind:?}");
    }
    known
}

/// What was answered is there. Of the others each is as it was before, or changed in all that was asked. Answers them as
/// they are.
async fn is_whole(world: &World, kind: Kind, before: &Tenants, answered: &Tenants) -> Tenants {
    let keyferry = world.start().await;
    let now = listed(&world.admin(&keyferry)).await;
    assert_eq!(now.len(), TENANTS);
    for (slug, tenant) in &now {
        let before = &before[slug];
        if answered[slug] == *before {
            let made = kind.made_of(before, tenant);
            assert!(
                *tenant == *before || (*tenant == made && tenant.revision > before.revision),
                "{kind:?}: {tenant:?}"
            );
        } else {
            assert_eq!(*tenant, answered[slug], "{kind:?} was answered");
        }
    }
    now
}

fn asked<'a>(
    kind: Kind,
    admin: &'a Admin,
    tenants: Vec<&'a Tenant>,
) -> impl futures::Stream<Item = Result<Tenant, Error>> + Unpin + 'a {
    let requests = stream::iter(tenants).map(move |tenant| kind.ask(admin, tenant));
    Box::pin(requests.buffer_unordered(8))
}

async fn registered(world: &World) -> Tenants {
    let keyferry = world.start().await;
    for number in 0..TENANTS {
        world.tenant(&keyferry, &format!("tenant-{number}"), None).await;
    }
    listed(&world.admin(&keyferry)).await
}

async fn listed(admin: &Admin) -> Tenants {
    let page = admin.list(None, 1_000).await.unwrap();
    page.tenants
        .into_iter()
        .map(|tenant| (tenant.slug.clone(), tenant))
        .collect()
}
