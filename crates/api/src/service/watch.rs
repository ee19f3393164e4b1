//! The watch over customers' keys, wired to what it works with.

use std::sync::Arc;

use keyferry_azure::AzureKeyVault;
use keyferry_crypto::{id::TenantId, sealer::Sealer};
use keyferry_health::{KeyWatch, Keys, Parts, Tenants};
use keyferry_onboarding::Onboardings;
use keyferry_registry::{KeyStore, Registry, Store};

use crate::{clock, config::Config};

/// A watch of these parts.
pub(super) fn over_keys(
    config: &Config,
    store: &Arc<dyn Store>,
    registry: &Arc<Registry>,
    sealer: &Arc<Sealer>,
    vault: &Arc<AzureKeyVault>,
    onboardings: Option<&Arc<Onboardings>>,
) -> Arc<KeyWatch> {
    let (vault, onboardings) = (Arc::clone(vault), onboardings.cloned());
    let parts = Parts {
        store: Arc::clone(store) as Arc<dyn KeyStore>,
        registry: Arc::clone(registry) as Arc<dyn Tenants>,
        sealer: Arc::clone(sealer) as Arc<dyn Keys>,
        share_among: Box::new(move |replicas| vault.share_among(replicas)),
        doubt_endpoint: Box::new(move |tenant| {
            if let Some(onboardings) = onboardings.clone() {
                tokio::spawn(async move { doubt(&onboardings, tenant).await });
            }
        }),
        try_timeout: config.azure.timeouts.per_try,
        confirmation: config.vaults.confirmation,
        clock: clock::system(),
    };
    KeyWatch::new(parts, config.health, &host_name(), env!("CARGO_PKG_VERSION"))
}

/// Has a tenant's private endpoint looked at. If that cannot be noted, it is looked at by its schedule.
async fn doubt(onboardings: &Onboardings, tenant: TenantId) {
    if let Err(error) = onboardings.look_soon(tenant).await {
        tracing::debug!(%tenant, %error, "a private endpoint is not looked at ahead of time");
    }
}

/// What people know this replica by.
fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
