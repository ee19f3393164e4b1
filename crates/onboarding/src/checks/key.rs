//! Is the key one that we can work with?

use keyferry_azure::{KeyDescription, probe::RotationPolicy};
use keyferry_crypto::{
    tenant::{Route, VersionPolicy},
    vault::{VaultCause, VaultError},
};
use keyferry_registry::onboarding::{CheckName, Observed};
use time::{Duration, OffsetDateTime};

use super::{Looking, Seen, read::rotation, trouble};
use crate::finding::{Kind, With as _};

/// Below this no key is accepted.
const MIN_BITS: usize = 2048;
/// An expiry this near is warned of.
const EXPIRY_NOTICE: Duration = Duration::days(30);

pub(super) async fn look(
    looking: &Looking<'_>,
    seen: &Seen,
    described: Option<&Result<KeyDescription, VaultError>>,
    policy: Option<&Result<RotationPolicy, VaultError>>,
    route: Route,
) -> Observed {
    let Some(key) = &looking.subject.key else {
        return Kind::KeyNotTold.observed();
    };
    if !seen.passed(CheckName::Vault) {
        return Kind::KeyNotSeen.observed();
    }
    let observed = match described {
        None => return Kind::KeyNotSeen.observed(),
        Some(Ok(described)) => {
            let terms = Terms {
                now: looking.now,
                advised_bits: looking.config.recommended_key_bits,
                version: &looking.subject.version,
            };
            let observed = judged(described, &terms);
            match policy {
                Some(Ok(policy)) => observed.with("rotation", rotation(policy)),
                Some(Err(_)) | None => observed,
            }
        }
        Some(Err(error)) => match (error.cause(), &looking.subject.version) {
            // To see the key needs access, which is another check's.
            (VaultCause::RoleMissing | VaultCause::AccessPolicyMissing | VaultCause::AccessDenied, _) => {
                return Kind::KeyNotSeen.observed();
            }
            (VaultCause::KeyNotFound, VersionPolicy::Pinned(version)) if is_there(looking, route).await => {
                let gone = Kind::KeyVersionNotFound.observed().with("version", version);
                gone.told_by(error.evidence())
            }
            _ => trouble::found(looking, error),
        },
    };
    observed.with("key", &key.name)
}

/// Whether the key has any version.
async fn is_there(looking: &Looking<'_>, route: Route) -> bool {
    let (Some(directory), Some(key)) = (looking.subject.directory, &looking.subject.key) else {
        return false;
    };
    let newest = looking.parts.azure.describe(directory, key, None, route).await;
    newest.is_ok()
}

/// What a key is judged by.
struct Terms<'a> {
    now: OffsetDateTime,
    advised_bits: u32,
    version: &'a VersionPolicy,
}

/// What a key is, as its vault describes it. The first that is wrong is told.
fn judged(key: &KeyDescription, terms: &Terms<'_>) -> Observed {
    let missing: Vec<_> = ["wrapKey", "unwrapKey"]
        .into_iter()
        .filter(|needed| !key.operations.iter().any(|operation| operation == needed))
        .collect();
    let kind = match (key.rsa_bits, key.not_before, key.expires) {
        (None, ..) => Kind::KeyNotRsa,
        (Some(bits), ..) if bits < MIN_BITS => Kind::KeyTooShort,
        _ if !key.is_enabled && *terms.version == VersionPolicy::FollowLatest => Kind::KeyDisabled,
        _ if !key.is_enabled => Kind::KeyVersionDisabled,
        _ if !missing.is_empty() => Kind::KeyOperationsMissing,
        (_, Some(not_before), _) if terms.now < not_before => Kind::KeyNotYetValid,
        (_, _, Some(expires)) if expires <= terms.now => Kind::KeyExpired,
        (_, _, Some(expires)) if expires <= terms.now + EXPIRY_NOTICE => Kind::KeyExpiresSoon,
        (Some(bits), ..) if bits < terms.advised_bits as usize => Kind::KeySmall,
        _ => Kind::KeyGood,
    };
    let mut observed = kind
        .observed()
        .with("version", &key.kek.version)
        .with("advised", terms.advised_bits)
        .with("protection", if key.is_in_hsm { "hsm" } else { "software" });
    observed = match terms.version {
        VersionPolicy::FollowLatest => observed.with("pinned", "no"),
        VersionPolicy::Pinned(version) => observed.with("pinned", version),
    };
    if let Some(bits) = key.rsa_bits {
        observed = observed.with("bits", bits);
    }
    if let Some(not_before) = key.not_before {
        observed = observed.with("not_before", super::rfc3339(not_before));
    }
    if let Some(expires) = key.expires {
        observed = observed.with("expires", super::rfc3339(expires));
    }
    if !missing.is_empty() {
        observed = observed.with("missing", missing.join(" and "));
    }
    observed
}

#[cfg(test)]
mod tests {
    use keyferry_crypto::id::{Cloud, KekId, KeyRef, VaultHost};
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-07-01 12:00 UTC);
    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    fn good() -> KeyDescription {
        let vault = VaultHost::parse(Cloud::Public, "acme.vault.azure.net").unwrap();
        let name = "kek".parse().unwrap();
        KeyDescription {
            kek: KekId {
                key: KeyRef { vault, name },
                version: VERSION.parse().unwrap(),
            },
            rsa_bits: Some(3072),
            is_in_hsm: false,
            is_enabled: true,
            not_before: None,
            expires: None,
            operations: vec!["wrapKey".into(), "unwrapKey".into()],
            recovery_level: None,
        }
    }

    fn found(key: &KeyDescription, version: &VersionPolicy) -> Kind {
        let terms = Terms {
            now: NOW,
            advised_bits: 3072,
            version,
        };
        Kind::of(&judged(key, &terms).finding).unwrap()
    }

    #[test]
    fn a_key_is_judged_by_the_first_thing_that_is_wrong_with_it() {
        let with = |change: fn(&mut KeyDescription)| {
            let mut key = good();
            change(&mut key);
            found(&key, &VersionPolicy::FollowLatest)
        };
        let day = Duration::DAY;
        assert_eq!(with(|_| ()), Kind::KeyGood);
        assert_eq!(with(|key| key.rsa_bits = None), Kind::KeyNotRsa);
        assert_eq!(with(|key| key.rsa_bits = Some(2047)), Kind::KeyTooShort);
        assert_eq!(with(|key| key.rsa_bits = Some(2048)), Kind::KeySmall);
        assert_eq!(with(|key| key.is_enabled = false), Kind::KeyDisabled);
        assert_eq!(with(|key| drop(key.operations.pop())), Kind::KeyOperationsMissing);
        assert_eq!(with(|key| key.not_before = Some(NOW)), Kind::KeyGood);
        assert_eq!(
            with(|key| key.not_before = Some(NOW + Duration::SECOND)),
            Kind::KeyNotYetValid
        );
        assert_eq!(with(|key| key.expires = Some(NOW)), Kind::KeyExpired);
        assert_eq!(
            with(|key| key.expires = Some(NOW + Duration::SECOND)),
            Kind::KeyExpiresSoon
        );
        assert_eq!(
            with(|key| key.expires = Some(NOW + Duration::days(30))),
            Kind::KeyExpiresSoon
        );
        let mut later = good();
        later.expires = Some(NOW + EXPIRY_NOTICE + day);
        assert_eq!(found(&later, &VersionPolicy::FollowLatest), Kind::KeyGood);
    }

    #[test]
    fn of_a_pinned_version_it_is_the_version_that_is_disabled() {
        let mut key = good();
        key.is_enabled = false;
        let pinned = VersionPolicy::Pinned(VERSION.parse().unwrap());
        assert_eq!(found(&key, &pinned), Kind::KeyVersionDisabled);
    }

    #[test]
    fn which_operation_is_missing_is_said() {
        let mut key = good();
        key.operations = vec!["sign".into()];
        let terms = Terms {
            now: NOW,
            advised_bits: 3072,
            version: &VersionPolicy::FollowLatest,
        };
        let values = judged(&key, &terms).finding.values;
        assert_eq!(values["missing"], "wrapKey and unwrapKey");
    }
}
