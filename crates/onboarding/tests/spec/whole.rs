//! From the link to the tenant, whatever comes between.

use std::time::Duration;

use keyferry_crypto::{
    id::{Cloud, TenantId},
    tenant::{Route, VersionPolicy},
};
use keyferry_emulator::{Fault, Operation, Order, VaultOptions};
use keyferry_onboarding::{
    Change, NewOnboarding, OnboardingError, Typed,
    finding::{Audience, Kind, Step},
    intake::{Field, Refusal},
    link::LinkError,
};
use keyferry_registry::{
    RegistryError,
    onboarding::{CheckName, CheckStatus, EndpointPolicy, Stage},
};

use crate::world::{DIRECTORY, ENTRA, KEY, VAULT, World, answers, found, later, new, now, token};

#[tokio::test]
async fn a_customer_that_does_all_as_asked_becomes_a_tenant_of_the_same_id() {
    let world = World::ready().await;
    let (opened, link) = world.open_with(EndpointPolicy::Off, Typed::default()).await;
    let behind = world.onboardings.behind(&token(&link)).await.unwrap();
    assert_eq!(behind.tenant, opened.tenant);
    let first = world.verify(opened.tenant).await;
    assert_eq!(found(&first, CheckName::Directory), Kind::DirectoryNotTold);
    world.onboardings.answer(opened.tenant, answers()).await.unwrap();
    let active = world.verify(opened.tenant).await;
    assert!(matches!(active.stage, Stage::Active { .. }), "{:?}", active.checks);
    for step in Step::ALL {
        assert_eq!(step.status(&active), CheckStatus::Passed, "{step:?}");
    }
    let tenant = world.registry.tenant(&"acme".parse().unwrap()).await.unwrap().unwrap();
    assert_eq!(tenant.keys.tenant, opened.tenant);
    assert_eq!(tenant.keys.current.to_string(), format!("https://{VAULT}/keys/{KEY}"));
    assert_eq!(tenant.keys.route, Route::Public);
}

#[tokio::test]
async fn a_restart_after_every_round_loses_nothing() {
    let mut world = World::new().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.verify(opened.tenant).await;
    world.restart();
    world.consent();
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(onboarding.answers, opened.answers);
    world.restart();
    world.assign(keyferry_emulator::Role::CryptoServiceEncryptionUser);
    let active = world.verify(opened.tenant).await;
    assert!(matches!(active.stage, Stage::Active { .. }));
    world.restart();
    let again = world.verify(opened.tenant).await;
    assert_eq!(again.stage, active.stage, "made a tenant once");
}

#[tokio::test]
async fn a_failing_check_takes_no_tenant_out_of_use() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.verify(opened.tenant).await;
    world.set_key(|key| key.enabled = Some(false));
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Key), Kind::KeyDisabled);
    assert!(matches!(onboarding.stage, Stage::Active { .. }));
}

#[tokio::test]
async fn what_is_refused_is_told_by_field_and_nothing_of_the_rest_is_kept() {
    let world = World::new().await;
    let (opened, _) = world.open_with(EndpointPolicy::Off, Typed::default()).await;
    let typed = Typed {
        directory: Some("contoso.example".into()),
        vault: Some("https://acme.vault.azure.net.evil.example/".into()),
        ..answers()
    };
    let refused = world.onboardings.answer(opened.tenant, typed).await.unwrap_err();
    let OnboardingError::Answers(refused) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(refused[0], (Field::Directory, Refusal::DomainName));
    assert_eq!(refused[1].0, Field::Vault);
    let kept = world.onboardings.find(&opened.slug).await.unwrap().unwrap();
    assert_eq!(kept.answers, opened.answers);
}

#[tokio::test]
async fn another_vault_leaves_no_version_and_no_resource_of_the_one_before() {
    let world = World::new().await;
    let typed = Typed {
        key: Some(format!("https://{VAULT}/keys/{KEY}/{}", "a".repeat(32))),
        ..answers()
    };
    let (opened, _) = world.open_with(EndpointPolicy::Off, typed).await;
    let other = |resource: Option<&str>| Typed {
        vault: Some("https://other.vault.azure.net/".into()),
        resource: resource.map(str::to_owned),
        ..Typed::default()
    };
    let refused = world.onboardings.answer(opened.tenant, other(None)).await.unwrap_err();
    assert!(matches!(refused, OnboardingError::Answers(fields) if fields == [(Field::Resource, Refusal::OtherVault)]));
    let after = world.onboardings.answer(opened.tenant, other(Some(""))).await.unwrap();
    assert_eq!(after.answers.resource, None);
    assert_eq!(after.answers.version, VersionPolicy::FollowLatest);
    assert_eq!(after.answers.key.unwrap().as_str(), KEY);
}

#[tokio::test]
async fn of_an_active_one_no_key_is_answered_any_more() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.verify(opened.tenant).await;
    let typed = Typed {
        key: Some("other".into()),
        ..Typed::default()
    };
    let refused = world.onboardings.answer(opened.tenant, typed).await;
    assert!(matches!(refused, Err(OnboardingError::Stage("active"))));
}

#[tokio::test]
async fn a_link_is_good_until_it_expires_is_revoked_or_gives_way() {
    let world = World::new().await;
    let (opened, first) = world.open(EndpointPolicy::Off).await;
    let (_, second) = world.onboardings.new_link(&opened.slug).await.unwrap();
    let behind = async |link| world.onboardings.behind(&token(link)).await;
    assert!(matches!(behind(&first).await, Err(LinkError::Expired)));
    assert!(behind(&second).await.is_ok());
    world.onboardings.revoke_link(&opened.slug).await.unwrap();
    assert!(matches!(behind(&second).await, Err(LinkError::Expired)));
    let (_, third) = world.onboardings.new_link(&opened.slug).await.unwrap();
    assert!(behind(&third).await.is_ok());
    later(Duration::from_hours(14 * 24));
    assert!(matches!(behind(&third).await, Err(LinkError::Expired)));
}

#[tokio::test]
async fn a_change_for_an_older_revision_is_refused() {
    let world = World::new().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let change = || Change {
        allows_public_path: Some(true),
        ..Change::default()
    };
    let at = Some(opened.revision);
    let changed = world.onboardings.change(&opened.slug, at, change()).await.unwrap();
    assert!(changed.allows_public_path && changed.revision > opened.revision);
    let again = Change {
        allows_public_path: Some(false),
        ..Change::default()
    };
    let refused = world.onboardings.change(&opened.slug, at, again).await;
    assert!(matches!(
        refused,
        Err(OnboardingError::Registry(RegistryError::Conflict))
    ));
}

#[tokio::test]
async fn one_that_is_given_up_ends_and_frees_its_name() {
    let world = World::new().await;
    let (opened, link) = world.open(EndpointPolicy::Off).await;
    world.onboardings.close(&opened.slug, None).await.unwrap();
    let closed = world.verify(opened.tenant).await;
    assert!(matches!(closed.stage, Stage::Closed { .. }));
    assert!(matches!(
        world.onboardings.behind(&token(&link)).await,
        Err(LinkError::Closed)
    ));
    world
        .onboardings
        .open(new(EndpointPolicy::Off, Typed::default()), None)
        .await
        .unwrap();
}

#[tokio::test]
async fn one_whose_tenant_is_in_use_is_not_given_up() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.verify(opened.tenant).await;
    let refused = world.onboardings.close(&opened.slug, None).await;
    assert!(matches!(refused, Err(OnboardingError::Stage("active"))));
}

#[tokio::test]
async fn what_happened_is_kept_and_tells_no_answer() {
    let world = World::ready().await;
    let (opened, _) = world.open_with(EndpointPolicy::Off, Typed::default()).await;
    world.onboardings.answer(opened.tenant, answers()).await.unwrap();
    let active = world.verify(opened.tenant).await;
    let history = world.onboardings.history(&active, None, 100).await.unwrap();
    let kinds: Vec<_> = history.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.first(), Some(&"activated"));
    assert_eq!(&kinds[kinds.len() - 2..], ["answered", "opened"]);
    let all = format!("{history:?}");
    assert!(!all.contains(VAULT) && !all.contains(&DIRECTORY.to_string()));
}

#[tokio::test]
async fn whoever_asks_while_the_checks_are_made_gets_the_same_round() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.order(Order::ResetCalls);
    let (one, other) = tokio::join!(world.verify(opened.tenant), world.verify(opened.tenant));
    assert_eq!(one.revision, other.revision);
}

#[tokio::test]
async fn what_is_due_is_done_without_being_asked() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let mut changes = world.onboardings.changes();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(std::sync::Arc::clone(&world.onboardings).run(stop.clone()));
    loop {
        let changed: TenantId = changes.recv().await.unwrap();
        assert_eq!(changed, opened.tenant);
        let onboarding = world.onboardings.find(&opened.slug).await.unwrap().unwrap();
        if let Stage::Active { .. } = onboarding.stage {
            break;
        }
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_check_that_was_never_made_is_pending() {
    let world = World::new().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let told = world.onboardings.told(&opened, CheckName::Wrap, Audience::Customer);
    assert_eq!((told.status, told.slug.as_str()), (CheckStatus::Pending, "not-checked"));
}

#[tokio::test]
async fn an_answer_that_comes_during_a_round_is_kept_and_looked_at() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.fault(ENTRA, Some(Operation::Discovery), Fault::Latency { millis: 600_000 });
    world.order(Order::ResetCalls);
    let onboardings = std::sync::Arc::clone(&world.onboardings);
    let round = tokio::spawn(async move { onboardings.verify(opened.tenant).await });
    while world.emulator.count(ENTRA, Operation::Discovery) == 0 {
        tokio::task::yield_now().await;
    }
    let other = Typed {
        key: Some("other".into()),
        ..Typed::default()
    };
    world.onboardings.answer(opened.tenant, other).await.unwrap();
    world.order(Order::ClearFaults);
    let after = round.await.unwrap().unwrap();
    assert_eq!(after.answers.key.as_ref().unwrap().as_str(), "other");
    assert_eq!(found(&after, CheckName::Key), Kind::KeyNotFound);
}

#[tokio::test]
async fn two_replicas_make_one_tenant() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let other = world.replica();
    let (one, two) = tokio::join!(world.onboardings.verify(opened.tenant), other.verify(opened.tenant));
    for onboarding in [one.unwrap(), two.unwrap()] {
        assert!(matches!(onboarding.stage, Stage::Active { .. }));
    }
    let history = world.onboardings.history(&opened, None, 100).await.unwrap();
    assert_eq!(history.iter().filter(|event| event.kind == "activated").count(), 1);
}

#[tokio::test]
async fn once_its_tenant_is_purged_it_ends() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.verify(opened.tenant).await;
    let mut tenant = world.registry.find(&opened.slug).await.unwrap().unwrap();
    tenant.delete(now(), Duration::from_hours(1));
    world.registry.save(&tenant).await.unwrap();
    let kept = world.verify(opened.tenant).await;
    assert!(matches!(kept.stage, Stage::Active { .. }), "it can still be taken back");
    later(Duration::from_hours(2));
    assert_eq!(world.store.purge().await.unwrap(), 1);
    let ended = world
        .verify_until(opened.tenant, |onboarding| {
            matches!(onboarding.stage, Stage::Closed { .. })
        })
        .await;
    assert_eq!(ended.tenant, opened.tenant);
}

#[tokio::test]
async fn of_an_active_one_the_tenants_present_key_is_looked_at() {
    let world = World::ready().await;
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    world.verify(opened.tenant).await;
    let mut tenant = world.registry.find(&opened.slug).await.unwrap().unwrap();
    let mut key = tenant.keys.current.clone();
    key.name = "other".parse().unwrap();
    tenant.change_key(key, VersionPolicy::FollowLatest).unwrap();
    world.registry.save(&tenant).await.unwrap();
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Key), Kind::KeyNotFound);
    assert_eq!(
        onboarding.checks[&CheckName::Key].observed.finding.values["key"],
        "other"
    );
}

#[tokio::test]
async fn a_cloud_where_we_are_not_and_an_endpoint_that_cannot_be_had_are_refused_at_once() {
    let world = World::new().await;
    let open = async |cloud, endpoint_policy| {
        let new = NewOnboarding {
            cloud,
            ..new(endpoint_policy, Typed::default())
        };
        world.onboardings.open(new, None).await.map(drop)
    };
    let refused = open(Cloud::UsGovernment, EndpointPolicy::Off).await;
    assert!(matches!(refused, Err(OnboardingError::CloudNotServed)));
    // Ours are in the public cloud, and lead nowhere else.
    let refused = open(Cloud::China, EndpointPolicy::Required).await;
    assert!(matches!(refused, Err(OnboardingError::NoEndpoints)));
    open(Cloud::China, EndpointPolicy::Optional).await.unwrap();
}

#[tokio::test]
async fn one_whose_vault_hangs_holds_no_other_up() {
    let world = World::ready().await;
    world.order(Order::CreateVault {
        host: "slow.vault.azure.net".into(),
        directory: DIRECTORY,
        options: VaultOptions::default(),
    });
    world.fault("slow.vault.azure.net", None, Fault::Hang);
    let slow = NewOnboarding {
        slug: "slow".parse().unwrap(),
        ..new(
            EndpointPolicy::Off,
            Typed {
                vault: Some("slow".into()),
                resource: None,
                ..answers()
            },
        )
    };
    world.onboardings.open(slow, None).await.unwrap();
    let (quick, _) = world.open(EndpointPolicy::Off).await;
    let mut changes = world.onboardings.changes();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(std::sync::Arc::clone(&world.onboardings).run(stop.clone()));
    while changes.recv().await.unwrap() != quick.tenant {}
    let onboarding = world.onboardings.find(&quick.slug).await.unwrap().unwrap();
    assert!(matches!(onboarding.stage, Stage::Active { .. }));
    stop.cancel();
    running.await.unwrap();
}
