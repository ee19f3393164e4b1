//! Envelopes, data keys, leases and the cache of unwrapped data keys.
//!
//! A platform seals its customers' data. Each customer, a *tenant*, keeps an RSA key, the *key encryption key* (KEK), in a
//! vault of its own. A message is sealed under a random *data key*, which the tenant's vault has wrapped under the KEK;
//! the *envelope* carries it along. To open the message, the vault must unwrap it. So a customer that withdraws its key
//! withdraws its data. [`Sealer`](sealer::Sealer) is the whole use case; [`KeyVault`](vault::KeyVault) is the one joint
//! where a key service is attached. This crate knows no HTTP, no SQL and no Azure, and is usable as a library:
//!
//! ```
//! # use std::sync::Arc;
//! # use keyferry_crypto::{context::EncryptionContext, sealer::*, tenant::TenantKeys, vault::KeyVault};
//! # async fn example(vault: Arc<dyn KeyVault>, tenant: TenantKeys) -> Result<(), Box<dyn std::error::Error>> {
//! let sealer = Sealer::new(vault, SealerLimits::default());
//! let context = EncryptionContext::new([("app".into(), "payroll".into())].into())?;
//! let sealed = sealer.seal(&tenant, Content::Data, &context, b"a salary").await?;
//! let opened = sealer.open(&tenant, Content::Data, &context, &sealed.envelope).await?;
//! assert_eq!(opened.plaintext.expose(), b"a salary");
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised, and against whom
//!
//! - **Who reads or changes stored envelopes** learns lengths, content types, KEK identifiers and which messages share a
//!   data key; nothing more, and every changed bit is refused. There is one encoding of each envelope.
//! - **Another tenant**, even with the same KEK in the same vault, cannot open an envelope, cached data key or not: tenant
//!   and encryption context are authenticated with every message, and the tenant in every key commitment. A KEK named by
//!   an envelope is used only if it is registered for the tenant.
//! - **A caller** of the right tenant with the wrong encryption context, or who takes a key for data, opens nothing.
//! - **A customer** who withdraws its key is obeyed within its cache TTL, counted from when its vault last gave the key;
//!   and at once where the refusal is noticed, here or, told by [`Sealer::obey`](sealer::Sealer::obey), elsewhere. What was
//!   asked before an eviction never answers what comes after it. With an [`Assurance`](assurance::Assurance), what is held is
//!   used without asking the vault only while others are heard to watch over the key, or for as long as the vault's own word
//!   counts; else the vault is asked first, and only if it gives no answer is the key used to its TTL: unavailable is not
//!   revoked. A refusal that may pass as it came is asked about again for a few seconds, and fails closed: what it would
//!   withdraw is used by nobody meanwhile.
//!   Only an unwrap gives a key: that a vault wraps proves nothing. So nothing is kept for opening for having been wrapped,
//!   and nothing is sealed, nor rewrapped, under a version of a key that the vault has not unwrapped with for longer than
//!   the tenant lets a lease last.
//! - **Who knows a data key**, the customer among them, cannot make an envelope that opens to different texts under
//!   different keys: envelopes commit to their data key.
//!
//! Not promised: anything against who reads this process's memory while it works. Keys are wiped when they are dropped,
//! and dropped two to three seconds after their expiry or eviction, so that memory read later does not hold them; copies
//! that compiler and kernel make (registers, stack, swap) are out of our hands.
//!
//! Nor is time counted while the machine stands still, suspended or paused: all is forgotten within a second of the wall
//! clock being set right, and until then a key is as old as it was. ([`Sealer::maintain`](sealer::Sealer::maintain) sees to
//! both, and must run.)
//!
//! # How it is made
//!
//! From the inside out: `aead` and `kdf` are the primitives, `commitment` and `binding` what is authenticated, `cbor` and
//! `envelope` the format (`docs/envelope.md`), `message` one message given its data key. `held`, `cache` and `lease` are
//! data keys in memory, `refusals` what was refused a moment ago, `versions` which version of a key is which, `standing` and
//! `flight` what makes eviction sudden and misses cheap, `assurance` what is known of the watch over the keys, `question` what
//! fails closed until it is known, `calls` what bounds the misses, `troubles` what keeps the log short, `news` what other
//! replicas want to know, `standstill` what notices that time was lost, and `keyring` joins them to the vault. Time is tokio's,
//! so that a test can turn it.

pub mod assurance;
pub mod canary;
pub mod context;
pub mod id;
pub mod news;
pub mod sealer;
pub mod secret;
pub mod tenant;
pub mod vault;

mod aead;
mod arrival;
mod binding;
mod cache;
mod calls;
mod cbor;
mod commitment;
mod envelope;
mod flight;
mod held;
mod jitter;
mod kdf;
mod keyring;
mod lease;
mod message;
mod moment;
mod question;
mod random;
mod refusals;
mod standing;
mod standstill;
mod stats;
mod troubles;
mod turns;
#[cfg(test)]
mod vectors;
mod versions;
