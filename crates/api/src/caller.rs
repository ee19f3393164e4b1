//! Who is calling: bearer tokens (JWT) from the platform's own Entra directories.
//!
//! A token is verified once and then known by its SHA-256 until it expires, at most for a configured time. A caller has the
//! roles that its token names and no other; a token without roles may do nothing.

mod keys;
mod token;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request};
use keyferry_registry::tenant::Slug;
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::{keys::Directories, token::Claims};
use crate::{
    app::App,
    clock::Clock,
    config::AuthConfig,
    problem::{Kind, Problem},
};

/// An application that Entra vouched for.
#[derive(Debug)]
pub struct Caller {
    application: Uuid,
    roles: Roles,
    tenants: Option<Arc<HashSet<Slug>>>,
    expires_at: OffsetDateTime,
}

/// What a caller may do: an application role of Keyferry's registration in Entra.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// `Keyferry.Seal`: generate-data-key, wrap, encrypt.
    Seal = 1,
    /// `Keyferry.Open`: unwrap, decrypt.
    Open = 2,
    /// `Keyferry.Rewrap`: rewrap.
    Rewrap = 4,
    /// `Keyferry.Operator`: administration.
    Operator = 8,
    /// `Keyferry.Reader`: reading what administration shows.
    Reader = 16,
}

/// A set of roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Roles(u8);

/// Verifies tokens.
pub struct Callers {
    directories: Directories,
    audiences: Vec<String>,
    leeway: time::Duration,
    confined: HashMap<Uuid, Arc<HashSet<Slug>>>,
    verified: Cache<[u8; 32], Verified>,
    token_ttl: Duration,
    clock: Clock,
    counts: Counts,
}

/// A token's caller, and until when its signature is believed without being verified again.
#[derive(Clone)]
struct Verified {
    caller: Arc<Caller>,
    until: Instant,
}

/// What became of tokens, for metrics.
#[derive(Default)]
struct Counts {
    recalled: AtomicU64,
    verified: AtomicU64,
    refused: AtomicU64,
}

/// What became of tokens since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokenStats {
    pub(crate) recalled: u64,
    pub(crate) verified: u64,
    pub(crate) refused: u64,
}

impl Caller {
    /// The caller's application id.
    #[must_use]
    pub fn application(&self) -> Uuid {
        self.application
    }

    /// Fails unless the caller has one of these roles.
    pub(crate) fn require(&self, any_of: &[Role]) -> Result<(), Problem> {
        if any_of.iter().any(|&role| self.roles.contain(role)) {
            return Ok(());
        }
        let names: Vec<_> = any_of.iter().map(|role| role.name()).collect();
        Err(Problem::because(
            Kind::CallerRoleMissing,
            format!("This operation needs the application role {}.", names.join(" or ")),
        ))
    }

    /// Whether that tenant exists for this caller.
    pub(crate) fn may_serve(&self, tenant: &Slug) -> bool {
        self.confined_to().is_none_or(|tenants| tenants.contains(tenant))
    }

    /// The slugs of the only tenants that exist for this caller, if it is confined.
    pub(crate) fn confined_to(&self) -> Option<&HashSet<Slug>> {
        self.tenants.as_deref()
    }
}

impl Role {
    const ALL: [Self; 5] = [Self::Seal, Self::Open, Self::Rewrap, Self::Operator, Self::Reader];

    /// The role's value in Keyferry's registration, and in a token's `roles`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Seal => "Keyferry.Seal",
            Self::Open => "Keyferry.Open",
            Self::Rewrap => "Keyferry.Rewrap",
            Self::Operator => "Keyferry.Operator",
            Self::Reader => "Keyferry.Reader",
        }
    }
}

impl Roles {
    /// The roles of those names; names of nothing here are none of our business.
    fn named(names: &[String]) -> Self {
        let known = Role::ALL
            .into_iter()
            .filter(|role| names.iter().any(|name| name == role.name()));
        Self(known.fold(0, |all, role| all | role as u8))
    }

    fn contain(self, role: Role) -> bool {
        self.0 & role as u8 != 0
    }
}

impl Callers {
    /// Verifies tokens of the configured directories, whose keys are fetched with `http`.
    #[must_use]
    pub fn new(config: &AuthConfig, http: &reqwest::Client, clock: Clock) -> Self {
        let confined = config.callers.iter().map(|caller| {
            let tenants = caller.tenants.iter().cloned().collect();
            (caller.application, Arc::new(tenants))
        });
        Self {
            directories: Directories::new(config, http),
            audiences: config.audiences.iter().map(ToString::to_string).collect(),
            leeway: config.leeway.try_into().unwrap_or(time::Duration::ZERO),
            confined: confined.collect(),
            verified: Cache::new(usize::try_from(config.tokens).unwrap_or(usize::MAX)),
            token_ttl: config.token_ttl,
            clock,
            counts: Counts::default(),
        }
    }

    /// Keeps the signing keys fresh until cancelled.
    pub async fn run(&self, cancel: CancellationToken) {
        self.directories.run(cancel).await;
    }

    /// Whether every directory's signing keys are there.
    #[must_use]
    pub fn are_ready(&self) -> bool {
        self.directories.are_ready()
    }

    pub(crate) fn stats(&self) -> TokenStats {
        TokenStats {
            recalled: self.counts.recalled.load(Relaxed),
            verified: self.counts.verified.load(Relaxed),
            refused: self.counts.refused.load(Relaxed),
        }
    }

    /// The caller whose token a request carries.
    pub(crate) async fn identify(&self, headers: &HeaderMap) -> Result<Arc<Caller>, Problem> {
        let token = bearer(headers)?;
        let hash: [u8; 32] = Sha256::digest(token).into();
        let now = (self.clock)();
        let moment = Instant::now();
        if let Some(Verified { caller, until }) = self.verified.get(&hash)
            && moment < until
        {
            self.counts.recalled.fetch_add(1, Relaxed);
            if now < caller.expires_at {
                return Ok(caller);
            }
            return Err(Problem::new(Kind::TokenExpired));
        }
        let verified = self.verify(token, now).await;
        let count = if verified.is_ok() {
            &self.counts.verified
        } else {
            &self.counts.refused
        };
        count.fetch_add(1, Relaxed);
        let caller = Arc::new(verified?);
        let verified = Verified {
            caller: Arc::clone(&caller),
            until: moment.checked_add(self.token_ttl).unwrap_or(moment),
        };
        self.verified.insert(hash, verified);
        Ok(caller)
    }

    async fn verify(&self, token: &[u8], now: OffsetDateTime) -> Result<Caller, Problem> {
        let (directory, kid) = token::unverified(token)?;
        let directory = self.directories.get(directory).ok_or_else(token::not_accepted)?;
        let key = directory.key(&kid).await?;
        let claims = Claims::verified(token, &key, directory.issuer(), directory.id(), &self.audiences)?;
        let expires_at = claims.valid_until(now, self.leeway)?;
        let application = claims.application()?;
        Ok(Caller {
            application,
            roles: Roles::named(&claims.roles),
            tenants: self.confined.get(&application).cloned(),
            expires_at,
        })
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callers")
    }
}

/// Some caller that Entra vouched for, whatever it may do.
impl FromRequestParts<App> for Arc<Caller> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut request::Parts, app: &App) -> Result<Self, Problem> {
        app.callers().identify(&parts.headers).await
    }
}

/// The token of the one `authorization` header (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Result<&[u8], Problem> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let value = all.next().ok_or_else(|| Problem::new(Kind::TokenMissing))?;
    if all.next().is_some() {
        return Err(token::not_accepted());
    }
    let (scheme, token) = value
        .as_bytes()
        .split_at_checked(SCHEME.len())
        .ok_or_else(token::not_accepted)?;
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.len() > MAX_TOKEN {
        return Err(token::not_accepted());
    }
    Ok(token)
}

const SCHEME: &[u8] = b"bearer ";
/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 16 << 10;
