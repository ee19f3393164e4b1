//! Why what was got through a customer's key a while ago may still be used.

use std::time::Duration;

/// What a sealer needs to be assured of before it uses a data key or lease that it holds: either that somebody watches the
/// tenant's key and would be heard (it was told by [`Sealer::heard`](crate::sealer::Sealer::heard) within `hearing`, and not by
/// [`Sealer::mistrust`](crate::sealer::Sealer::mistrust) that the tenant is not watched), or that the vault itself has unwrapped
/// for the tenant, here, within `period`. If neither, the vault is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assurance {
    /// How long the vault's own word counts.
    pub period: Duration,
    /// How long it counts that others were heard.
    pub hearing: Duration,
}
