//! Does the directory exist in that cloud?

use keyferry_registry::onboarding::Observed;

use super::{Looking, trouble};
use crate::{
    finding::{Kind, With as _},
    intake::cloud_name,
};

pub(super) async fn look(looking: &Looking<'_>) -> Observed {
    let Some(directory) = looking.subject.directory else {
        return Kind::DirectoryNotTold.observed();
    };
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
