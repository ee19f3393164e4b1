//! Randomness comes from the operating system and from nowhere else: no generator of our own, nothing to seed, nothing
//! that a fork or a snapshot of the machine could repeat.

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoRandomness;

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandomness> {
    getrandom::fill(bytes).map_err(|_| NoRandomness)
}

/// `N` random bytes that are no secret.
pub(crate) fn array<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}
