//! What the registry does by itself: it notices when its database has lost changes, and purges what was deleted.

use keyferry_client::{Context, Tenant};
use keyferry_emulator::Operation;
use keyferry_tests::{Database, World, eventually};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// A failover to a server that lagged: the last registration is lost, and its revision given to a suspension.
#[tokio::test]
async fn a_suspension_holds_even_if_its_revision_was_anothers_before_a_failover() {
    for database in Database::each().await {
        let mut world = World::new(database).await;
        world.look_seldom();
        let keyferry = world.start().await;
        let context = Context::new();
        for slug in ["acme", "lost"] {
            world.tenant(&keyferry, slug, None).await;
        }
        let globex = world.tenant(&keyferry, "globex", None).await;
        world.is_looked_at(&keyferry, "globex").await;
        let data = world.data(&keyferry, "globex");
        let key = data.generate_data_key(&context).await.unwrap();
        data.unwrap(&key.wrapped_key, &context).await.unwrap();
        let unwraps = world.count(&globex, Operation::UnwrapKey);
        data.unwrap(&key.wrapped_key, &context).await.unwrap();
        assert_eq!(
            world.count(&globex, Operation::UnwrapKey),
            unwraps,
            "the key is in memory"
        );

        let later = world.admin(&keyferry).get("globex").await.unwrap().revision;
        // As a server has it that never heard of them: past what keeps a hand from the rows.
        let past_all = match world.database {
            Database::Sqlite(_) => "pragma foreign_keys = off",
            Database::Postgres(_) => "set session_replication_role = replica",
        };
        let history = format!(
            "{past_all};
             delete from key_health where tenant_id = (select id from tenants where slug = 'lost');
             delete from key_events;
             delete from tenants where slug = 'lost';
             update tenants set revision = {later} - 1 where slug = 'globex';
             update tenants set status = 'suspended', revision = {later} where slug = 'acme'"
        );
        world.database.execute(&history).await;
        let acme = world.data(&keyferry, "acme");
        eventually("the suspension holds", async || {
            let refused = acme.generate_data_key(&context).await.map(drop);
            refused.is_err_and(|error| error.problem().unwrap().slug() == "tenant-suspended")
        })
        .await;
        let lost = world.data(&keyferry, "lost").generate_data_key(&context).await;
        assert_eq!(
            lost.map(drop).unwrap_err().problem().unwrap().slug(),
            "tenant-not-found"
        );
        data.unwrap(&key.wrapped_key, &context).await.unwrap();
        assert_eq!(
            world.count(&globex, Operation::UnwrapKey),
            unwraps + 1,
            "no key is kept"
        );
        let log = String::from_utf8(keyferry.log()).unwrap();
        let told = log
            .lines()
            .filter(|line| line.contains("has lost changes"))
            .collect::<Vec<_>>();
        assert!(
            told.len() == 1 && told[0].contains("ERROR"),
            "the operator is told, once: {told:?}"
        );
    }
}

#[tokio::test]
async fn a_deleted_tenant_can_be_taken_back_for_as_long_as_is_configured() {
    let mut world = World::new(Database::sqlite()).await;
    world.extra = "[admin]\ndeletion_window_seconds = 3600\n".into();
    let keyferry = world.start().await;
    world.tenant(&keyferry, "acme", None).await;
    let admin = world.admin(&keyferry);
    let registered = admin.get("acme").await.unwrap();
    let deleted = admin.delete(&registered).await.unwrap();
    let asked_at = time(deleted.purge_at.as_ref().unwrap()) - Duration::HOUR;
    assert!((time(&registered.created_at)..=time(&deleted.updated_at)).contains(&asked_at));
    assert_eq!(admin.resume(&deleted).await.unwrap().status, "active");
}

#[tokio::test]
async fn a_tenant_past_its_window_is_purged_by_whichever_replica_runs() {
    for database in Database::each().await {
        let mut world = World::new(database).await;
        world.extra = "[admin]\ndeletion_window_seconds = 0\n".into();
        let first = world.start().await;
        let acme = world.tenant(&first, "acme", None).await;
        let admin = world.admin(&first);
        let deleted = admin.delete(&admin.get("acme").await.unwrap()).await.unwrap();
        // A replica looks when it starts.
        let _second = world.start().await;
        let data = world.data(&first, "acme");
        eventually("the tenant is gone from the first, too", async || {
            let refused = data.generate_data_key(&Context::new()).await.map(drop);
            refused.is_err_and(|error| error.problem().unwrap().slug() == "tenant-not-found")
        })
        .await;
        let next: Tenant = admin.create(&acme.registration(None), None).await.unwrap();
        assert_ne!(next.id, deleted.id, "the slug is free for another");
        data.generate_data_key(&Context::new()).await.unwrap();
    }
}

fn time(text: &str) -> OffsetDateTime {
    OffsetDateTime::parse(text, &Rfc3339).unwrap()
}
