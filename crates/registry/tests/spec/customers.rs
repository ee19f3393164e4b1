//! Onboardings to try things on.

use std::collections::BTreeMap;

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KekId, TenantId},
    tenant::{SealingPolicy, VersionPolicy},
    vault::Evidence,
};
use keyferry_registry::{
    Idempotency, IdempotencyKey, Revision, Store,
    onboarding::{
        Actor, Answers, Canary, Check, CheckName, CheckStatus, Endpoint, EndpointPolicy, EndpointState, Event, Finding,
        Link, Observed, Onboarding, PendingConsent, Schedule, Stage,
    },
};
use uuid::Uuid;

use crate::{
    stores::{at, clock},
    world::{key, slug},
};

/// An onboarding as it is opened, due at once.
pub fn onboarding(name: &str) -> Onboarding {
    Onboarding {
        tenant: TenantId::generate(),
        slug: slug(name),
        display_name: "Acme & Söhne".parse().expect("a name"),
        cloud: Cloud::Public,
        policy: SealingPolicy::default(),
        endpoint_policy: EndpointPolicy::Off,
        allows_public_path: false,
        answers: Answers::default(),
        confirmed_directory: None,
        canary: None,
        endpoint: None,
        was_private: false,
        checks: BTreeMap::new(),
        link: Link {
            serial: 1,
            expires_at: at(3_600),
        },
        consent: None,
        stage: Stage::Open,
        schedule: Schedule {
            due_at: Some(clock()),
            idle_rounds: 0,
        },
        revision: Revision(0),
        created_at: clock(),
        updated_at: clock(),
    }
}

/// An onboarding of which all is known that may be.
pub fn complete(name: &str) -> Onboarding {
    let version = "0123456789abcdef0123456789abcdef".parse().expect("a version");
    let resource = "/subscriptions/5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11/resourceGroups/eu/providers/Microsoft.KeyVault/vaults/acme";
    let check = |status, evidence| {
        let values = [("role".to_owned(), "Key Vault Reader".to_owned())].into();
        let slug = "role-missing".to_owned();
        Check {
            observed: Observed {
                status,
                finding: Finding { slug, values },
                evidence,
            },
            checked_at: at(20),
            since: at(10),
            attempts: 3,
        }
    };
    let evidence = Evidence {
        status: Some(403),
        code: Some("ForbiddenByRbac".to_owned()),
        request_id: Some("r-1".to_owned()),
    };
    let statuses = CheckStatus::ALL.into_iter().cycle();
    let checks = CheckName::ALL.into_iter().zip(statuses);
    Onboarding {
        endpoint_policy: EndpointPolicy::Required,
        allows_public_path: true,
        answers: Answers {
            directory: Some(DirectoryId(Uuid::from_u128(7))),
            vault: Some(key("kek").vault),
            key: Some(key("kek").name),
            version: VersionPolicy::Pinned(version),
            resource: Some(resource.parse().expect("a resource id")),
        },
        canary: Some(Canary {
            kek: KekId {
                key: key("kek"),
                version: "0123456789abcdef0123456789abcdef".parse().expect("a version"),
            },
            wrapped: vec![1, 2, 255].into(),
            digest: [7; 32],
        }),
        endpoint: Some(Endpoint {
            name: "keyferry-acme-1".to_owned(),
            target: resource.parse().expect("a resource id"),
            state: EndpointState::Approved,
            description: Some("Willkommen".to_owned()),
            address: Some([10, 0, 4, 5].into()),
            is_proven: true,
            since: at(5),
        }),
        checks: checks
            .map(|(name, status)| (name, check(status, Some(evidence.clone()))))
            .collect(),
        consent: Some(PendingConsent {
            nonce_digest: [9; 32],
            expires_at: at(600),
        }),
        schedule: Schedule {
            due_at: Some(at(60)),
            idle_rounds: 4,
        },
        ..onboarding(name)
    }
}

/// Something that happened.
pub fn event(kind: &'static str) -> Event {
    Event {
        at: clock(),
        actor: Actor::Customer,
        kind,
        details: [("answer".to_owned(), "vault".to_owned())].into(),
    }
}

/// An idempotency key, for a request of that fingerprint.
pub fn idempotency(key: &str, request: u8) -> Idempotency {
    Idempotency {
        key: IdempotencyKey::parse(key).expect("a key"),
        fingerprint: [request; 32],
    }
}

/// Opens an onboarding.
pub async fn opened(store: &dyn Store, onboarding: &Onboarding) -> Onboarding {
    let opened = store.open(onboarding, &event("opened"), None).await;
    opened.expect("opened").onboarding
}

/// The onboarding as it is once it is done.
pub fn active(onboarding: &Onboarding) -> Onboarding {
    Onboarding {
        stage: Stage::Active { since: clock() },
        ..onboarding.clone()
    }
}
