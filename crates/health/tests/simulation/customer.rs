//! The customer's vault: it takes its time, throttles, hangs, refuses for a moment, cannot be reached, rotates, and refuses for good.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_crypto::{
    id::KekId,
    secret::DataKey,
    tenant::{TenantKeys, VersionPolicy},
    vault::{KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{dice::Dice, gate::Gate, trace};

pub(crate) struct Customer {
    seed: u64,
    /// How long a call may take.
    try_limit: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    newest: u8,
    withdrawn: Option<VaultCause>,
    /// The versions that are taken away by themselves, and why.
    withdrawn_versions: BTreeMap<u8, VaultCause>,
    /// Each that there is just now, as often as there is.
    troubles: Vec<Trouble>,
    /// How often each replica has made each kind of call.
    calls: BTreeMap<(usize, &'static str), u64>,
    /// What became of the calls of each replica.
    ended: BTreeMap<usize, Vec<Outcome>>,
}

/// A call that a replica made, and whose end it has seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// The version that was to unwrap; none if something else was asked.
    pub(crate) unwrapping: Option<u8>,
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    pub(crate) failure: Option<VaultCause>,
}

impl Outcome {
    /// Whether the vault said neither yes nor no.
    pub(crate) fn is_in_vain(&self) -> bool {
        self.failure.is_some_and(|cause| !cause.is_refusal())
    }
}

/// What is wrong with a vault, or the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It answers as late as it may.
    Slow,
    Hangs,
    Throttles,
    Fails,
    /// One in so many of its machines, in percent, refuses what the others grant.
    Disagrees(VaultCause, u64),
    /// That machine has no way there.
    Cut(usize),
}

impl Customer {
    pub(crate) fn new(seed: u64, try_limit: Duration) -> Arc<Self> {
        let state = State {
            newest: 1,
            ..State::default()
        };
        Arc::new(Self {
            seed,
            try_limit,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn withdraws(&self, cause: VaultCause) {
        self.state().withdrawn = Some(cause);
    }

    pub(crate) fn gives_back(&self) {
        self.state().withdrawn = None;
    }

    /// Takes a version away that is not the newest: of those, the one in this place, counted round. Which; none if there is none.
    pub(crate) fn withdraws_former(&self, place: usize, cause: VaultCause) -> Option<u8> {
        let mut state = self.state();
        let former = (1..state.newest).nth(place % usize::from(state.newest - 1).max(1))?;
        state.withdrawn_versions.insert(former, cause);
        Some(former)
    }

    pub(crate) fn gives_version_back(&self, version: u8) {
        self.state().withdrawn_versions.remove(&version);
    }

    pub(crate) fn rotates(&self) {
        self.state().newest += 1;
    }

    pub(crate) fn begins(&self, trouble: Trouble) {
        self.state().troubles.push(trouble);
    }

    pub(crate) fn ends(&self, trouble: Trouble) {
        let mut state = self.state();
        let place = state.troubles.iter().position(|other| *other == trouble);
        state.troubles.remove(place.expect("it was there"));
    }

    /// What became of the calls of a replica, in the order in which they ended.
    pub(crate) fn ended(&self, replica: usize) -> Vec<Outcome> {
        self.state().ended.get(&replica).cloned().unwrap_or_default()
    }

    /// The vault as a replica on a machine reaches it.
    pub(crate) fn reached_by(self: &Arc<Self>, replica: usize, machine: usize, gate: &Arc<Gate>) -> Arc<dyn KeyVault> {
        Arc::new(Reached {
            customer: Arc::clone(self),
            replica,
            machine,
            gate: Arc::clone(gate),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("unpoisoned")
    }
}

impl State {
    /// What the vault says at this moment; nothing if it says nothing.
    fn answer(&self, machine: usize, version: Option<u8>, dice: &mut Dice) -> Option<Result<(), VaultError>> {
        let has = |trouble| self.troubles.contains(&trouble);
        if has(Trouble::Cut(machine)) || has(Trouble::Hangs) {
            // Some networks say so, others say nothing.
            return dice.chance(50).then(|| Err(VaultCause::ConnectionFailed.into()));
        }
        if has(Trouble::Throttles) && dice.chance(80) {
            return Some(Err(VaultCause::Throttled.into()));
        }
        if has(Trouble::Fails) {
            return Some(Err(VaultCause::VaultFailed.into()));
        }
        if let Some(cause) = self.withdrawn {
            return Some(Err(cause.into()));
        }
        if let Some(cause) = version.and_then(|version| self.withdrawn_versions.get(&version)) {
            return Some(Err((*cause).into()));
        }
        for trouble in &self.troubles {
            if let Trouble::Disagrees(cause, percent) = trouble
                && dice.chance(*percent)
            {
                return Some(Err((*cause).into()));
            }
        }
        Some(Ok(()))
    }

    fn latency(&self, try_limit: Duration, dice: &mut Dice) -> Duration {
        let most = if self.troubles.contains(&Trouble::Slow) {
            try_limit / 2
        } else {
            QUICK
        };
        dice.between(Duration::from_millis(1), most)
    }
}

struct Reached {
    customer: Arc<Customer>,
    replica: usize,
    machine: usize,
    gate: Arc<Gate>,
}

impl Reached {
    /// A call: on its way, decided, on its way back, within the time that a call may take.
    async fn call<T>(
        &self,
        what: &'static str,
        unwrapping: Option<u8>,
        then: impl FnOnce(u8) -> T,
    ) -> Result<T, VaultError> {
        let (began, try_limit) = (Instant::now(), self.customer.try_limit);
        self.gate.passes().await;
        let mut dice = self.dice(what);
        let (there, back) = {
            let state = self.customer.state();
            (state.latency(try_limit, &mut dice), state.latency(try_limit, &mut dice))
        };
        let answered = async {
            sleep(there).await;
            let (answer, newest) = {
                let state = self.customer.state();
                (state.answer(self.machine, unwrapping, &mut dice), state.newest)
            };
            let Some(answer) = answer else {
                return std::future::pending().await;
            };
            sleep(back).await;
            answer.map(|()| then(newest))
        };
        let answer = timeout(try_limit, answered).await;
        let answer = answer.unwrap_or_else(|_| Err(VaultCause::Timeout.into()));
        self.gate.passes().await;
        let failure = answer.as_ref().err().map(VaultError::cause);
        let ended = Outcome {
            unwrapping,
            began,
            ended: Instant::now(),
            failure,
        };
        self.customer.state().ended.entry(self.replica).or_default().push(ended);
        trace::note(format_args!("replica {}: {what}: {failure:?}", self.replica));
        answer
    }

    fn dice(&self, what: &'static str) -> Dice {
        let mut state = self.customer.state();
        let nth = state.calls.entry((self.replica, what)).or_default();
        *nth += 1;
        Dice::for_the((self.replica, what, *nth), self.customer.seed)
    }
}

#[async_trait]
impl KeyVault for Reached {
    async fn wrap(
        &self,
        tenant: &TenantKeys,
        data_key: &DataKey,
        urgency: Urgency,
    ) -> Result<WrappedDataKey, VaultError> {
        let what = ["wrap for the watch", "wrap", "wrap ahead", "wrap in bulk"][place(urgency)];
        let kek = self.call(what, None, |newest| version(tenant, newest)).await?;
        let mut bytes = vec![PAD; MODULUS];
        for (byte, plain) in bytes.iter_mut().zip(data_key.expose()) {
            *byte ^= plain;
        }
        Ok(WrappedDataKey {
            kek,
            bytes: bytes.into(),
        })
    }

    async fn unwrap(&self, _: &TenantKeys, wrapped: &WrappedDataKey, urgency: Urgency) -> Result<DataKey, VaultError> {
        let what = ["unwrap for the watch", "unwrap", "unwrap ahead", "unwrap in bulk"][place(urgency)];
        self.call(what, Some(number(&wrapped.kek)), |_| ()).await?;
        let plain = wrapped.bytes[..32].iter().map(|byte| byte ^ PAD).collect();
        Ok(DataKey::from_unwrapped(plain).expect("32 bytes"))
    }

    async fn newest(&self, tenant: &TenantKeys, _: Urgency) -> Result<KekId, VaultError> {
        self.call("newest", None, |newest| version(tenant, newest)).await
    }

    fn forget(&self, _: &TenantKeys) {}
}

fn place(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Watch => 0,
        Urgency::Request => 1,
        Urgency::Background => 2,
        Urgency::Bulk => 3,
    }
}

/// The version that the tenant's policy names.
fn version(tenant: &TenantKeys, newest: u8) -> KekId {
    KekId {
        key: tenant.current.clone(),
        version: match &tenant.version {
            VersionPolicy::FollowLatest => format!("{newest:032x}").parse().expect("a version"),
            VersionPolicy::Pinned(version) => version.clone(),
        },
    }
}

/// Which version it is, counted from 1 on.
pub(crate) fn number(kek: &KekId) -> u8 {
    u8::from_str_radix(kek.version.as_str(), 16).expect("a version of this vault")
}

const QUICK: Duration = Duration::from_millis(60);
const MODULUS: usize = 256;
const PAD: u8 = 0x5a;
