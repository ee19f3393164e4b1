//! Which of Azure's services answers at a host.

use crate::{arm, entra};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// A login host.
    Entra,
    /// The resource manager.
    ResourceManager,
    /// A vault or a Managed HSM, there or not.
    KeyVault,
}

impl Service {
    /// The service at this host.
    pub(crate) fn at(host: &str) -> Self {
        if entra::is_login_host(host) {
            Self::Entra
        } else if arm::is_manager(host) {
            Self::ResourceManager
        } else {
            Self::KeyVault
        }
    }
}
