//! Each of a customer's mistakes ends in a finding of its own, with its own next action.

use std::{collections::BTreeMap, time::Duration};

use keyferry_emulator::{Fault, Network, Operation, Order, Role};
use keyferry_onboarding::{
    Typed,
    finding::{Audience, Kind, evidence},
};
use keyferry_registry::onboarding::{CheckName, CheckStatus, EndpointPolicy, Onboarding, Stage};
use uuid::Uuid;

use crate::world::{CLIENT, DIRECTORY, ENTRA, KEY, RESOURCE, VAULT, World, answers, found, later, now};

/// What is found in a customer's set-up that was right, and then was not.
async fn after(mistake: impl FnOnce(&World)) -> (World, Onboarding) {
    let world = World::ready().await;
    mistake(&world);
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let onboarding = world.verify(opened.tenant).await;
    (world, onboarding)
}

async fn ends_in(check: CheckName, kind: Kind, mistake: impl FnOnce(&World)) {
    let (world, onboarding) = after(mistake).await;
    assert_eq!(found(&onboarding, check), kind, "{:?}", onboarding.checks);
    let is_open = matches!(onboarding.stage, Stage::Open);
    assert_eq!(
        is_open,
        onboarding.checks[&check].observed.status != CheckStatus::Passed
    );
    let told = world.onboardings.told(&onboarding, check, Audience::Customer);
    assert!(told.next.is_some() && !told.text.contains("(unknown)"), "{told:?}");
    let told = world.onboardings.told(&onboarding, check, Audience::Operator);
    assert!(told.next.is_some() && !told.text.contains("(unknown)"), "{told:?}");
}

async fn with_answers(check: CheckName, kind: Kind, typed: Typed) {
    let world = World::ready().await;
    let (opened, _) = world.open_with(EndpointPolicy::Off, typed).await;
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, check), kind, "{:?}", onboarding.checks);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_said_to_be_none() {
    let typed = Typed {
        directory: Some(Uuid::from_u128(0x99).to_string()),
        ..answers()
    };
    with_answers(CheckName::Directory, Kind::DirectoryUnknown, typed).await;
}

#[tokio::test]
async fn a_vault_in_another_directory_is_said_to_live_there() {
    let elsewhere = Uuid::from_u128(0x23);
    ends_in(CheckName::Vault, Kind::VaultOtherDirectory, |world| {
        world.order(Order::CreateDirectory { directory: elsewhere });
        world.order(Order::MoveVault {
            host: VAULT.into(),
            directory: elsewhere,
        });
    })
    .await;
}

#[tokio::test]
async fn each_way_of_not_letting_us_in_is_told_from_the_others() {
    let principal = |enabled, blocked| Order::SetPrincipal {
        directory: DIRECTORY,
        client_id: CLIENT,
        enabled,
        blocked,
    };
    ends_in(CheckName::Consent, Kind::ConsentMissing, |world| {
        world.order(Order::WithdrawConsent {
            directory: DIRECTORY,
            client_id: CLIENT,
        });
    })
    .await;
    ends_in(CheckName::Consent, Kind::PrincipalDisabled, |world| {
        world.order(principal(false, false));
    })
    .await;
    ends_in(CheckName::Consent, Kind::ConditionalAccess, |world| {
        world.order(principal(true, true));
    })
    .await;
    ends_in(CheckName::Consent, Kind::KeyVaultUnknownThere, |world| {
        world.order(Order::SetLacksKeyVault {
            directory: DIRECTORY,
            lacks: true,
        });
    })
    .await;
}

#[tokio::test]
async fn entras_own_trouble_is_waited_for() {
    ends_in(CheckName::Consent, Kind::EntraUnavailable, |world| {
        world.fault(ENTRA, Some(Operation::Token), Fault::Status { status: 503 });
    })
    .await;
    ends_in(CheckName::Consent, Kind::EntraThrottled, |world| {
        world.fault(ENTRA, Some(Operation::Token), Fault::Throttle { retry_after: None });
    })
    .await;
}

#[tokio::test]
async fn our_own_fault_is_told_to_the_operator_and_not_to_the_customer() {
    let (world, onboarding) = after(|world| {
        world.order(Order::SetSecretsExpired {
            client_id: CLIENT,
            expired: true,
        });
    })
    .await;
    let told = |audience| world.onboardings.told(&onboarding, CheckName::Consent, audience);
    let (customer, operator) = (told(Audience::Customer), told(Audience::Operator));
    assert_eq!(
        (customer.slug.as_str(), operator.slug.as_str()),
        ("our-side", "our-secret-expired")
    );
    assert!(operator.text.contains("AADSTS7000222") && !customer.text.contains("secret"));
    let evidence = |audience| evidence(&onboarding, CheckName::Consent, audience);
    assert!(evidence(Audience::Customer).is_none());
    assert_eq!(
        evidence(Audience::Operator).unwrap().code.as_deref(),
        Some("AADSTS7000222")
    );
}

#[tokio::test]
async fn each_way_of_not_reaching_the_vault_is_told_from_the_others() {
    ends_in(CheckName::Vault, Kind::VaultFirewall, |world| {
        world.network(Network::Firewall(vec!["192.0.2.1".parse().unwrap()]));
    })
    .await;
    ends_in(CheckName::Vault, Kind::VaultClosed, |world| {
        world.network(Network::Closed);
    })
    .await;
    ends_in(CheckName::Vault, Kind::VaultUnreachable, |world| {
        world.fault(VAULT, None, Fault::Reset);
    })
    .await;
    ends_in(CheckName::Vault, Kind::VaultFailing, |world| {
        world.fault(VAULT, None, Fault::Status { status: 503 });
    })
    .await;
    ends_in(CheckName::Vault, Kind::VaultThrottled, |world| {
        world.fault(VAULT, None, Fault::Throttle { retry_after: None });
    })
    .await;
    ends_in(CheckName::Vault, Kind::VaultAnswerOdd, |world| {
        world.fault(VAULT, None, Fault::Nonsense);
    })
    .await;
    ends_in(CheckName::Vault, Kind::VaultCertificate, |world| {
        world.order(Order::SetCertificateExpired {
            host: VAULT.into(),
            expired: true,
        });
    })
    .await;
}

#[tokio::test]
async fn each_thing_that_is_wrong_with_a_key_is_told_from_the_others() {
    let at = now().unix_timestamp();
    ends_in(CheckName::Key, Kind::KeyNotFound, |world| {
        world.order(Order::DeleteKey {
            host: VAULT.into(),
            name: KEY.into(),
        });
    })
    .await;
    ends_in(CheckName::Key, Kind::KeyDisabled, |world| {
        world.set_key(|key| key.enabled = Some(false));
    })
    .await;
    ends_in(CheckName::Key, Kind::KeyExpired, |world| {
        world.set_key(|key| key.exp = Some(at - 60));
    })
    .await;
    ends_in(CheckName::Key, Kind::KeyExpiresSoon, |world| {
        world.set_key(|key| key.exp = Some(at + 29 * 24 * 3600));
    })
    .await;
    ends_in(CheckName::Key, Kind::KeyNotYetValid, |world| {
        world.set_key(|key| key.nbf = Some(at + 3600));
    })
    .await;
    ends_in(CheckName::Key, Kind::KeyOperationsMissing, |world| {
        world.set_key(|key| key.key_ops = Some(vec!["sign".into(), "wrapKey".into()]));
    })
    .await;
}

#[tokio::test]
async fn a_pinned_version_that_is_not_there_is_told_from_a_key_that_is_not() {
    let pinned = |name: &str| Typed {
        key: Some(format!("https://{VAULT}/keys/{name}/{}", "a".repeat(32))),
        ..answers()
    };
    with_answers(CheckName::Key, Kind::KeyVersionNotFound, pinned(KEY)).await;
    with_answers(CheckName::Key, Kind::KeyNotFound, pinned("other")).await;
}

#[tokio::test]
async fn a_missing_role_is_waited_for_and_then_asked_for() {
    let world = World::new().await;
    world.consent();
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let first = world.verify(opened.tenant).await;
    assert_eq!(found(&first, CheckName::Wrap), Kind::NoAccessYet);
    later(Duration::from_mins(14));
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Wrap), Kind::NoAccessYet);
    assert_eq!(
        onboarding.checks[&CheckName::Wrap].since,
        first.checks[&CheckName::Wrap].since
    );
    later(Duration::from_mins(2));
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Wrap), Kind::NoAccess);
    let told = world.onboardings.told(&onboarding, CheckName::Wrap, Audience::Customer);
    assert!(told.text.contains(&world.consent().to_string()), "{told:?}");
    assert!(told.commands.unwrap().contains("az role assignment create"));
    world.assign(Role::CryptoUser);
    assert_eq!(found(&world.verify(opened.tenant).await, CheckName::Wrap), Kind::Wraps);
}

#[tokio::test]
async fn reader_alone_sees_the_key_and_cannot_unwrap() {
    let world = World::new().await;
    world.assign(Role::Reader);
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Key), Kind::KeyGood);
    assert_eq!(found(&onboarding, CheckName::Wrap), Kind::CannotUnwrapYet);
}

#[tokio::test]
async fn in_an_access_policy_vault_a_policy_is_asked_for_and_no_role() {
    let (world, onboarding) = after(|world| {
        world.order(Order::SetAccessPolicies {
            host: VAULT.into(),
            access_policies: Some(BTreeMap::new()),
        });
    })
    .await;
    assert_eq!(found(&onboarding, CheckName::Wrap), Kind::PolicyMissingYet);
    let told = world.onboardings.told(&onboarding, CheckName::Wrap, Audience::Customer);
    let commands = told.commands.unwrap();
    assert!(commands.contains("az keyvault set-policy") && !commands.contains("az role assignment create"));
}

#[tokio::test]
async fn what_is_not_protected_is_told_and_holds_nothing_up() {
    let (world, onboarding) = after(|_| ()).await;
    assert_eq!(found(&onboarding, CheckName::Protection), Kind::PurgePossible);
    let told = world
        .onboardings
        .told(&onboarding, CheckName::Protection, Audience::Customer);
    assert!(told.commands.unwrap().contains("--enable-purge-protection"));
    assert!(matches!(onboarding.stage, Stage::Active { .. }));
}

#[tokio::test]
async fn more_than_we_need_is_told_with_the_command_that_narrows_it() {
    let world = World::new().await;
    world.assign(Role::CryptoUser);
    world.assign(Role::Reader);
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::LeastPrivilege), Kind::PrivilegeMore);
    assert_eq!(found(&onboarding, CheckName::Read), Kind::Reads);
    let told = world
        .onboardings
        .told(&onboarding, CheckName::LeastPrivilege, Audience::Customer);
    assert!(told.text.contains("sign with the key"), "{told:?}");
    assert!(told.commands.unwrap().contains("az role assignment delete"));
}

#[tokio::test]
async fn a_policy_that_stays_away_is_asked_for_after_the_wait() {
    let (world, onboarding) = after(|world| {
        world.order(Order::SetAccessPolicies {
            host: VAULT.into(),
            access_policies: Some(BTreeMap::new()),
        });
    })
    .await;
    later(Duration::from_mins(16));
    let onboarding = world.verify(onboarding.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Wrap), Kind::PolicyMissing);
}

#[tokio::test]
async fn once_in_use_a_role_that_is_taken_away_is_missing_at_once() {
    let world = World::new().await;
    world.assign(Role::CryptoUser);
    let (opened, _) = world.open(EndpointPolicy::Off).await;
    assert!(matches!(world.verify(opened.tenant).await.stage, Stage::Active { .. }));
    world.unassign(Role::CryptoUser);
    let onboarding = world.verify(opened.tenant).await;
    assert_eq!(found(&onboarding, CheckName::Wrap), Kind::NoAccess);
}

#[tokio::test]
async fn a_resource_that_is_not_told_or_not_there_is_asked_for() {
    let with = async |resource: Option<String>| {
        let world = World::ready().await;
        let typed = Typed { resource, ..answers() };
        let (opened, _) = world.open_with(EndpointPolicy::Required, typed).await;
        let onboarding = world.verify(opened.tenant).await;
        assert_eq!(onboarding.stage, Stage::Open);
        found(&onboarding, CheckName::PrivateEndpoint)
    };
    assert_eq!(with(None).await, Kind::EndpointNeedsResource);
    let elsewhere = RESOURCE.replace("/customer/", "/elsewhere/");
    assert_eq!(with(Some(elsewhere)).await, Kind::EndpointTargetUnknown);
}
