//! What a tenant allows to be done with it, without any store.

use std::time::Duration;

use keyferry_crypto::{id::KeyRef, tenant::VersionPolicy};
use keyferry_registry::{ChangeError, TenantStatus};

use crate::{
    stores::at,
    world::{key, tenant},
};

#[test]
fn a_key_changes_within_its_cloud_and_stays_to_open() {
    let mut acme = tenant("acme");
    let china = KeyRef {
        vault: "acme.vault.azure.cn".parse().expect("a host"),
        name: "kek".parse().expect("a name"),
    };
    assert_eq!(
        acme.change_key(china, VersionPolicy::FollowLatest),
        Err(ChangeError::OtherCloud)
    );
    for n in 0..16 {
        acme.change_key(key(&format!("k{n}")), VersionPolicy::FollowLatest)
            .expect("changed");
    }
    assert_eq!(
        acme.change_key(key("one-more"), VersionPolicy::FollowLatest),
        Err(ChangeError::TooManyFormerKeys)
    );
    acme.change_key(key("k3"), VersionPolicy::FollowLatest)
        .expect("going back to a former key needs no more room");
    assert_eq!(acme.keys.current, key("k3"));
    assert_eq!(acme.keys.former.len(), 16);
    assert!(!acme.keys.former.contains(&key("k3")));
}

#[test]
fn deleting_again_does_not_move_the_end_and_resuming_takes_it_back() {
    let mut acme = tenant("acme");
    acme.delete(at(0), Duration::from_secs(10));
    acme.delete(at(5), Duration::from_secs(10));
    assert_eq!(acme.status, TenantStatus::Deleting { purge_at: at(10) });
    assert_eq!(acme.suspend(), Err(ChangeError::Deleting));
    acme.resume();
    assert_eq!(acme.status, TenantStatus::Active);
}
