//! Does the directory exist in that cloud, and is it this customer's?
//!
//! Whoever holds a link may type any directory, and where another customer has authorized us and granted us access, all checks would
//! pass on that one's key. So a directory that is another's too waits for an operator's word, and nothing behind it is looked at.

use keyferry_registry::onboarding::{Observed, Stage};

use super::{Looking, trouble};
use crate::{
    finding::{Kind, With as _},
    intake::cloud_name,
};

pub(super) async fn look(looking: &Looking<'_>) -> Observed {
    let Some(directory) = looking.subject.directory else {
        return Kind::DirectoryNotTold.observed();
    };
    let onboarding = looking.onboarding;
    if onboarding.stage == Stage::Open && onboarding.confirmed_directory != Some(directory) {
        match looking
            .parts
            .store
            .is_directory_shared(directory, onboarding.tenant)
            .await
        {
            Ok(false) => {}
            Ok(true) => return Kind::DirectoryHeld.observed(),
            Err(error) => {
                tracing::warn!(?error, "whose else a directory is cannot be found out");
                return Kind::OurCheckBroke.observed();
            }
        }
    }
    let azure = &looking.parts.azure;
    match azure.directory_exists(looking.subject.cloud, directory).await {
        Ok(true) => Kind::DirectoryFound.observed(),
        Err(error) => trouble::found(looking, &error),
        Ok(false) => {
            let others = looking.parts.applications.iter().map(|(cloud, _)| *cloud);
            for cloud in others.filter(|cloud| *cloud != looking.subject.cloud) {
                if let Ok(true) = azure.directory_exists(cloud, directory).await {
                    let name = cloud_name(cloud);
                    return Kind::DirectoryInOtherCloud.observed().with("cloud", name);
                }
            }
            Kind::DirectoryUnknown.observed()
        }
    }
}
