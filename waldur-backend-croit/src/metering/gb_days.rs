//! Gigabyte-days: how much was stored for how long, from a series of readings (s3.md §6.2). In decimals throughout.
//!
//! | in the series | what counts |
//! |---|---|
//! | before the first reading | nothing |
//! | a reading | it holds until the next one: storage keeps its size until somebody writes or deletes |
//! | a gap of at most [`PAUSE`] | the reading before it: it is the statistics that paused, not the customer's data |
//! | a longer gap | the smaller of the two readings around it: the user may have been removed with all its data, and made anew. The result tells how long such gaps were |
//! | after the last reading | one more step, which is the shortest time between two points. Statistics that stopped for good must not go on billing, whether the series ends there or goes on in gaps |
//!
//! If the statistics begin again, the amount grows and never shrinks.

use std::ops::Range;

use rust_decimal::{Decimal, RoundingStrategy};
use waldur_sdk::{
    Error, ErrorKind, Result,
    types::{Timestamp, UnitFactor},
};

/// One reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When, in seconds since 1970.
    pub at: i64,
    /// Bytes; `None` for a gap.
    pub bytes: Option<Decimal>,
}

impl Sample {
    /// A reading.
    pub fn new(at: i64, bytes: Decimal) -> Self {
        Self { at, bytes: Some(bytes) }
    }

    /// A gap.
    pub fn gap(at: i64) -> Self {
        Self { at, bytes: None }
    }
}

/// The longest gap that the reading before it bridges, in seconds: six hours.
pub const PAUSE: i64 = 6 * 60 * 60;

const SECONDS_PER_DAY: i64 = 86_400;

/// What was stored how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitDays {
    /// Units times days, rounded half up to two places.
    pub amount: Decimal,
    /// For how many seconds there is no proof, from the first reading on.
    pub unproven: i64,
}

/// The unit-days that the readings make within `window`; `factor` is how many bytes the unit has. `None` when that
/// cannot be known: fewer than two points, no time between them, or nothing but gaps.
///
/// # Errors
/// `Inconsistent` when the readings are not in the order of time or one is negative; `InvalidRequest` when the result is
/// beyond all decimals.
pub fn unit_days(samples: &[Sample], window: Range<Timestamp>, factor: UnitFactor) -> Result<Option<UnitDays>> {
    let Some(step) = step(samples)? else { return Ok(None) };
    let readings: Vec<_> = samples.iter().filter_map(|sample| Some((sample.at, sample.bytes?))).collect();
    let mut sum = Sum::within(window.start.as_second()..window.end.as_second());
    for pair in readings.windows(2) {
        let [(at, bytes), (next, following)] = *pair else { continue };
        if next.saturating_sub(at) <= PAUSE.max(step) {
            sum.add(at..next, bytes)?;
        } else {
            // As it was held when it was the last one.
            let held = at.saturating_add(step);
            sum.add(at..held, bytes)?;
            sum.add(held..next, bytes.min(following))?;
            sum.doubt(held..next);
        }
    }
    let Some((at, bytes)) = readings.last().copied() else { return Ok(None) };
    let held = at.saturating_add(step);
    sum.add(at..held, bytes)?;
    if sum.window.end.saturating_sub(held) > PAUSE {
        sum.doubt(held..sum.window.end);
    }
    let divisor = factor.decimal().checked_mul(SECONDS_PER_DAY.into());
    let days = divisor.and_then(|divisor| sum.byte_seconds.checked_div(divisor)).ok_or_else(out_of_range)?;
    Ok(Some(UnitDays { amount: half_up(days), unproven: sum.unproven }))
}

/// What has been added up within a window.
struct Sum {
    window: Range<i64>,
    byte_seconds: Decimal,
    unproven: i64,
}

impl Sum {
    fn within(window: Range<i64>) -> Self {
        Self { window, byte_seconds: Decimal::ZERO, unproven: 0 }
    }

    fn add(&mut self, time: Range<i64>, bytes: Decimal) -> Result<()> {
        let seconds = self.seconds(&time);
        if seconds > 0 {
            let more = bytes.checked_mul(seconds.into());
            let sum = more.and_then(|more| self.byte_seconds.checked_add(more));
            self.byte_seconds = sum.ok_or_else(out_of_range)?;
        }
        Ok(())
    }

    fn doubt(&mut self, time: Range<i64>) {
        self.unproven = self.unproven.saturating_add(self.seconds(&time));
    }

    /// How much of a time lies in the window.
    fn seconds(&self, time: &Range<i64>) -> i64 {
        time.end.min(self.window.end).saturating_sub(time.start.max(self.window.start)).max(0)
    }
}

/// Rounded to two places, half up.
pub(crate) fn half_up(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// The shortest time between two points; `None` when nothing can be told from them.
fn step(samples: &[Sample]) -> Result<Option<i64>> {
    let wrong = |text: &str| Err(Error::new(ErrorKind::Inconsistent, text));
    if samples.windows(2).any(|pair| matches!(pair, [one, next] if next.at < one.at)) {
        return wrong("the readings are not in the order of time");
    }
    if samples.iter().filter_map(|sample| sample.bytes).any(|bytes| bytes.is_sign_negative() && !bytes.is_zero()) {
        return wrong("a reading is less than nothing");
    }
    let steps = samples.windows(2).filter_map(|pair| match pair {
        [one, next] => Some(next.at.saturating_sub(one.at)).filter(|step| *step > 0),
        _ => None,
    });
    Ok(steps.min())
}

fn out_of_range() -> Error {
    Error::new(ErrorKind::InvalidRequest, "the sum of the readings is out of range")
}
