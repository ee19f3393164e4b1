//! Sealing and opening, large messages away from the threads that serve everyone else.

use std::sync::Arc;

use keyferry_crypto::{
    context::EncryptionContext,
    sealer::{Content, Opened, Sealed, SealerError},
    secret::SecretBytes,
};
use keyferry_registry::tenant::Tenant;
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{
    app::App,
    problem::{Kind, Problem},
};

/// Seals `plaintext` for `tenant`.
pub(crate) async fn seal(
    app: &App,
    tenant: &Tenant,
    content: Content,
    context: EncryptionContext,
    plaintext: SecretBytes,
) -> Result<Sealed, Problem> {
    if plaintext.len() <= LIGHT {
        return Ok(app
            .sealer()
            .seal(&tenant.keys, content, &context, plaintext.expose())
            .await?);
    }
    let (sealer, keys) = (Arc::clone(app.sealer()), tenant.keys.clone());
    elsewhere(async move { sealer.seal(&keys, content, &context, plaintext.expose()).await }).await
}

/// Opens `envelope` for `tenant`.
pub(crate) async fn open(
    app: &App,
    tenant: &Tenant,
    content: Content,
    context: EncryptionContext,
    envelope: SecretBytes,
) -> Result<Opened, Problem> {
    if envelope.len() <= LIGHT {
        return Ok(app
            .sealer()
            .open(&tenant.keys, content, &context, envelope.expose())
            .await?);
    }
    let (sealer, keys) = (Arc::clone(app.sealer()), tenant.keys.clone());
    elsewhere(async move { sealer.open(&keys, content, &context, envelope.expose()).await }).await
}

/// Runs `work` on a thread of its own.
async fn elsewhere<T: Send + 'static>(
    work: impl Future<Output = Result<T, SealerError>> + Send + 'static,
) -> Result<T, Problem> {
    let runtime = Handle::current();
    match spawn_blocking(move || runtime.block_on(work)).await {
        Ok(done) => Ok(done?),
        // It panicked, or the runtime is going down.
        Err(_) => Err(Problem::new(Kind::Internal)),
    }
}

/// Up to this many bytes take well under a millisecond.
const LIGHT: usize = 1 << 20;
