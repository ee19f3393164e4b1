//! How long a database is waited for.

use std::time::Duration;

use crate::error::RegistryError;

/// Bounds what the database bounds only while it is there: a connection whose other end went away without a word would keep
/// whoever asks waiting for as long as TCP does, and nobody would hear of a suspension or a withdrawal.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
    let late = |_| RegistryError::Unavailable(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?
}

/// More than a connection and a statement may take together.
const PATIENCE: Duration = Duration::from_secs(10);
