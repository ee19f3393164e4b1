//! The customer's answers in the document.

use keyferry_crypto::{
    id::{Cloud, DirectoryId, KeyName, VaultHost, VaultResource},
    tenant::VersionPolicy,
};
use serde::{Deserialize, Serialize};

use crate::{error::RegistryError, onboarding::Answers};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::onboarding) struct AnswersDocument {
    directory: Option<DirectoryId>,
    vault: Option<VaultHost>,
    key: Option<KeyName>,
    version: VersionPolicy,
    resource: Option<VaultResource>,
}

impl From<&Answers> for AnswersDocument {
    fn from(answers: &Answers) -> Self {
        Self {
            directory: answers.directory,
            vault: answers.vault.clone(),
            key: answers.key.clone(),
            version: answers.version.clone(),
            resource: answers.resource.clone(),
        }
    }
}

impl AnswersDocument {
    /// The answers of an onboarding in `cloud`: no vault of another is ever connected to.
    pub(in crate::onboarding) fn read(self, cloud: Cloud) -> Result<Answers, RegistryError> {
        if self.vault.as_ref().is_some_and(|vault| vault.cloud() != cloud) {
            return Err(RegistryError::Corrupt("answers"));
        }
        Ok(Answers {
            directory: self.directory,
            vault: self.vault,
            key: self.key,
            version: self.version,
            resource: self.resource,
        })
    }
}
