//! However calls, faults and requests fall together, nothing is sealed or opened later after a withdrawal than is promised. Each
//! run is made up from a number, and told by it when it fails.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use keyferry_crypto::{
    assurance::Assurance,
    id::KekId,
    news::Refusal,
    sealer::{Sealed, Sealer, SealerLimits},
    secret::DataKey,
    tenant::TenantKeys,
    vault::{Call, Evidence, KeyVault, Urgency, VaultCause, VaultError, WrappedDataKey},
};
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::fake::{FakeVault, MINUTE, open, seal, tenant_with};

const SEEDS: u64 = 40;

/// How long the vault's word counts, and what was heard.
const PERIOD: Duration = Duration::from_secs(30);
const HEARING: Duration = Duration::from_secs(10);
/// How long a refusal is confirmed.
const CONFIRMATION: Duration = Duration::from_secs(3);
/// The longest that a call takes.
const CALL: Duration = Duration::from_secs(2);
/// How long some of the vault's machines still grant what was taken away.
const SPREADING: Duration = Duration::from_secs(4);

const CAUSES: [VaultCause; 6] = [
    VaultCause::KeyDisabled,
    VaultCause::KeyNotFound,
    VaultCause::RoleMissing,
    VaultCause::AccessDenied,
    VaultCause::FirewallDenied,
    VaultCause::ConsentMissing,
];

/// Numbers that follow from a seed (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn is_one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_millis(self.roll(u64::try_from(most.as_millis()).unwrap() + 1))
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.roll(choices.len() as u64)).unwrap()]
    }
}

/// A vault of many machines, far away, whose customer takes its key away.
struct Vault {
    inner: Arc<FakeVault>,
    world: Mutex<World>,
}

struct World {
    dice: Dice,
    withdrawal: Option<(Instant, VaultCause)>,
    /// Whether wraps are left to us.
    leaves_wraps: bool,
    /// Whether some machines refuse by mistake, and whether the vault is away: only before the withdrawal.
    has_doubtful: bool,
    is_away: bool,
}

impl World {
    fn answer(&mut self, call: Call) -> Result<(), VaultError> {
        match self.withdrawal {
            Some((_, _)) if call == Call::Wrap && self.leaves_wraps => Ok(()),
            Some((since, cause)) if since.elapsed() >= SPREADING || self.dice.is_one_in(2) => Err(cause.into()),
            None if self.is_away => Err(VaultCause::Timeout.into()),
            None if self.has_doubtful && self.dice.is_one_in(3) => Err(VaultCause::RoleMissing.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl Vault {
    /// The vault makes up its mind somewhere on the way.
    async fn call(&self, call: Call) -> Result<(), VaultError> {
        let [there, back] = {
            let dice = &mut self.world.lock().unwrap().dice;
            let most = dice.of(&[CALL / 100, CALL / 2]);
            [dice.up_to(most), dice.up_to(most)]
        };
        sleep(there).await;
        let answer = self.world.lock().unwrap().answer(call);
        sleep(back).await;
        answer
    }
}

#[async_trait]
impl KeyVault for Vault {
    async fn wrap(&self, tenant: &TenantKeys, key: &DataKey, urgency: Urgency) -> Result<WrappedDataKey, VaultError> {
        self.call(Call::Wrap).await?;
        self.inner.wrap(tenant, key, urgency).await
    }

    async fn unwrap(&self, tenant: &TenantKeys, key: &WrappedDataKey, urgency: Urgency) -> Result<DataKey, VaultError> {
        self.call(Call::Unwrap).await?;
        self.inner.unwrap(tenant, key, urgency).await
    }

    async fn newest(&self, tenant: &TenantKeys, urgency: Urgency) -> Result<KekId, VaultError> {
        self.inner.newest(tenant, urgency).await
    }

    fn forget(&self, _: &TenantKeys) {}
}

/// One run. When the customer withdrew its key, from when on nothing may be served, and when something was served last.
struct Run {
    seed: u64,
    dice: Dice,
    vault: Arc<Vault>,
    sealer: Arc<Sealer>,
    tenant: TenantKeys,
    sealed: Vec<Sealed>,
    requests: JoinSet<Option<Instant>>,
}

impl Run {
    async fn begin(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let inner = FakeVault::new();
        let vault = Arc::new(Vault {
            inner: Arc::clone(&inner),
            world: Mutex::new(World {
                dice: Dice(dice.roll(u64::MAX)),
                withdrawal: None,
                leaves_wraps: dice.is_one_in(3),
                has_doubtful: false,
                is_away: false,
            }),
        });
        let assurance = Assurance {
            period: PERIOD,
            hearing: HEARING,
        };
        let limits = SealerLimits {
            confirmation: CONFIRMATION,
            assurance: Some(assurance),
            ..SealerLimits::default()
        };
        let messages = dice.of(&[1, 5, 1_000_000]);
        let tenant = tenant_with(|policy| {
            policy.cache_ttl = MINUTE * 60;
            policy.lease_max_age = MINUTE * 60;
            policy.lease_max_messages = messages;
        });
        let elsewhere = crate::fake::replica(&inner);
        let mut sealed = vec![];
        for number in 0..6 {
            if number % 2 == 0 {
                inner.rotates();
            }
            elsewhere.evict(tenant.tenant);
            sealed.push(seal(&elsewhere, &tenant).await.unwrap());
        }
        let sealer = Sealer::new(Arc::clone(&vault) as Arc<dyn KeyVault>, limits);
        Self {
            seed,
            dice,
            vault,
            sealer: Arc::new(sealer),
            tenant,
            sealed,
            requests: JoinSet::new(),
        }
    }

    fn world(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.vault.world.lock().unwrap());
    }

    /// Others look at the key, under every version.
    fn hears(&self) {
        let versions: Vec<_> = self.sealed.iter().map(|sealed| sealed.kek.clone()).collect();
        self.sealer.watch_versions(self.tenant.tenant, &versions);
        self.sealer.heard(Instant::now());
    }

    /// Requests, one after another or at once, until then.
    async fn requests_until(&mut self, end: Instant, mut meanwhile: impl FnMut(&mut Self)) {
        let pause = self.dice.of(&[500, 2_000, 10_000]);
        while Instant::now() < end {
            meanwhile(self);
            for _ in 0..self.dice.roll(4) {
                let (sealer, tenant) = (Arc::clone(&self.sealer), self.tenant.clone());
                if self.dice.is_one_in(3) {
                    self.requests
                        .spawn(async move { seal(&sealer, &tenant).await.is_ok().then(Instant::now) });
                } else {
                    let which = usize::try_from(self.dice.roll(6)).unwrap();
                    let sealed = self.sealed[which].clone();
                    self.requests
                        .spawn(async move { open(&sealer, &tenant, &sealed).await.is_ok().then(Instant::now) });
                }
            }
            if self.dice.is_one_in(50) {
                self.sealer.evict(self.tenant.tenant);
            }
            let next = Instant::now() + self.dice.up_to(Duration::from_millis(pause));
            sleep_until(next.min(end)).await;
        }
    }

    /// When something was served last.
    async fn last_served(&mut self) -> Option<Instant> {
        let mut last = None;
        while let Some(served) = self.requests.join_next().await {
            last = last.max(served.unwrap());
        }
        last
    }

    /// Good and bad times before the withdrawal.
    async fn live(&mut self) {
        for _ in 0..3 {
            let (is_away, has_doubtful) = (self.dice.is_one_in(4), self.dice.is_one_in(4));
            self.world(|world| (world.is_away, world.has_doubtful) = (is_away, has_doubtful));
            let end = Instant::now() + self.dice.up_to(MINUTE);
            let is_heard = self.dice.is_one_in(2);
            self.requests_until(end, |run| {
                if is_heard {
                    run.hears();
                }
            })
            .await;
        }
    }

    fn withdraw(&mut self) -> (Instant, VaultCause) {
        let withdrawal = (Instant::now(), self.dice.of(&CAUSES));
        self.world(|world| world.withdrawal = Some(withdrawal));
        withdrawal
    }

    /// Another replica was refused.
    fn obey(&self, cause: VaultCause) {
        for sealed in &self.sealed {
            let refusal = Refusal {
                call: Call::Unwrap,
                key: sealed.kek.key.clone(),
                version: Some(sealed.kek.version.clone()),
                cause,
                evidence: Evidence::default(),
            };
            self.sealer.obey(&self.tenant, &refusal);
        }
    }

    fn check(&self, withdrawn: Instant, last: Option<Instant>, bound: Duration) {
        let late = last.map_or(Duration::ZERO, |last| last.saturating_duration_since(withdrawn));
        assert!(
            late <= bound,
            "seed {}: served {late:?} after the withdrawal",
            self.seed
        );
    }
}

fn each_seed<F: Future<Output = ()>>(run: impl Fn(u64) -> F) {
    for seed in 0..SEEDS {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(run(seed));
    }
}

#[test]
fn a_deaf_replica_obeys_within_the_period_a_call_and_the_confirmation() {
    each_seed(async |seed| {
        let mut run = Run::begin(seed).await;
        run.live().await;
        // What was heard just now still counts for a while.
        run.hears();
        let (withdrawn, _) = run.withdraw();
        let bound = HEARING.max(SPREADING + PERIOD) + CALL + CONFIRMATION;
        run.requests_until(withdrawn + bound * 2, |_| {}).await;
        let last = run.last_served().await;
        run.check(withdrawn, last, bound);
    });
}

#[test]
fn a_replica_that_hears_obeys_when_it_is_told() {
    each_seed(async |seed| {
        let mut run = Run::begin(seed).await;
        run.live().await;
        let (withdrawn, cause) = run.withdraw();
        let told = withdrawn + SPREADING + run.dice.up_to(MINUTE);
        run.requests_until(told, |run| run.hears()).await;
        run.obey(cause);
        let earlier = run.last_served().await;
        run.requests_until(told + MINUTE, |run| run.hears()).await;
        let last = run.last_served().await;
        assert_eq!(last, None, "seed {}: though it was told", run.seed);
        run.check(told, earlier, CALL + CALL + CONFIRMATION);
    });
}

#[test]
fn a_replica_that_is_told_early_is_not_led_astray_by_a_machine_that_is_late() {
    each_seed(async |seed| {
        let mut run = Run::begin(seed).await;
        run.live().await;
        let (withdrawn, cause) = run.withdraw();
        let told = withdrawn + run.dice.up_to(SPREADING);
        run.requests_until(told, |run| run.hears()).await;
        run.obey(cause);
        let bound = SPREADING + PERIOD + CALL + CONFIRMATION;
        run.requests_until(withdrawn + bound * 2, |run| run.hears()).await;
        let last = run.last_served().await;
        run.check(withdrawn, last, bound);
    });
}

#[test]
fn a_key_that_is_left_to_us_serves_on() {
    each_seed(async |seed| {
        let mut run = Run::begin(seed).await;
        run.live().await;
        run.world(|world| (world.is_away, world.has_doubtful) = (false, false));
        run.last_served().await;
        // Refusals are remembered for a moment, had some been taken for real.
        sleep(MINUTE).await;
        let end = Instant::now() + MINUTE;
        run.requests_until(end, |_| {}).await;
        while let Some(request) = run.requests.join_next().await {
            assert!(request.unwrap().is_some(), "seed {seed}: refused for nothing");
        }
    });
}
