//! Ratios on a noisy machine: both sides in turn, in slices too short for the machine to change its mood in between.

use std::{io, time::Duration};

use crate::driver::Driver;

/// How long each side runs at a time.
const SLICE: Duration = Duration::from_millis(60);
/// How far the echo may be from itself before the run is thrown away.
const SELF_TOLERANCE: f64 = 0.05;

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    /// Requests answered by the measured side for each answered by the echo: the median over all turns.
    pub median: f64,
    /// The quartiles of the same.
    pub quartiles: (f64, f64),
    /// The echo against itself in the same run.
    pub echo_to_echo: f64,
    /// What the echo answered in a second, to see how far the machine was from its usual self.
    pub echo_per_second: f64,
}

impl Ratio {
    /// Whether the machine held still enough for the figure to count.
    #[must_use]
    pub fn counts(&self) -> bool {
        (self.echo_to_echo - 1.0).abs() <= SELF_TOLERANCE
    }
}

/// Compares `measured` with `echo` over `turns` turns of echo, measured, echo.
pub async fn compare(echo: &mut Driver, measured: &mut Driver, turns: usize) -> io::Result<Ratio> {
    let (mut ratios, mut first, mut second) = (Vec::with_capacity(turns), 0, 0);
    for _ in 0..turns {
        let before = echo.saturate(SLICE).await?;
        let here = measured.saturate(SLICE).await?;
        let after = echo.saturate(SLICE).await?;
        ratios.push(here as f64 / ((before + after) as f64 / 2.0));
        first += before;
        second += after;
    }
    ratios.sort_by(f64::total_cmp);
    Ok(Ratio {
        median: ratios[turns / 2],
        quartiles: (ratios[turns / 4], ratios[turns * 3 / 4]),
        echo_to_echo: first as f64 / second as f64,
        echo_per_second: (first + second) as f64 / (2 * turns) as f64 / SLICE.as_secs_f64(),
    })
}
