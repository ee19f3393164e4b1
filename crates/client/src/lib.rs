//! A typed client of the Keyferry API.
//!
//! The command, the tests and the load test use it; so may any service written in Rust. Keys, plaintexts and tokens are
//! wiped when dropped and never shown.
//!
//! ```no_run
//! # async fn example() -> Result<(), keyferry_client::Error> {
//! use keyferry_client::{Client, Context, Secret};
//!
//! let client = Client::new("https://keyferry.internal".parse().unwrap(), "a token".to_owned().into())?;
//! let acme = client.tenant("acme");
//! let context = Context::from([("table".to_owned(), "payroll".to_owned())]);
//! let sealed = acme.encrypt(&Secret::from(b"1,000,000".to_vec()), &context).await?;
//! let opened = acme.decrypt(&sealed.ciphertext, &context).await?;
//! assert_eq!(opened.plaintext.expose(), b"1,000,000");
//! # Ok(())
//! # }
//! ```

mod admin;
mod data;
mod error;
pub mod key;
pub mod onboarding;
mod secret;
mod token;
mod transport;

pub use self::{
    admin::{Admin, FormerKey, NewTenant, Policy, Tenant, TenantChange, TenantPage},
    data::{BatchItem, Context, DataKey, Envelope, Opened, OpenedKey, Rewrapped, Sealed, SealedKey, TenantClient},
    error::{Error, Fault, FieldError, Problem, Upstream},
    secret::{LinkUrl, Secret, Token},
    token::{ClientCredentials, TokenSource},
    transport::{Client, http_client},
};
