//! What was stored how long: gigabyte-days, from a series of readings (s3.md §6.2). In decimals throughout.
//!
//! A reading holds until the next one: storage keeps its size until somebody writes or deletes. A gap holds the reading
//! before it, since it is the statistics that paused and not the customer's data; before the first reading there is
//! nothing. The last reading holds for one step, which is the shortest time between two readings: statistics that stopped
//! for good must not go on billing, and no more because they paused before.

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

const SECONDS_PER_DAY: i64 = 86_400;

/// The unit-days that the readings make within `window`, rounded half up to two places; `factor` is how many bytes the
/// unit has. `None` when there is nothing to tell it from: less than two readings, no time between them, or gaps alone.
///
/// # Errors
/// `Inconsistent` when the readings are not in the order of time or one is negative; `InvalidRequest` when the result is
/// beyond all decimals.
pub fn unit_days(samples: &[Sample], window: Range<Timestamp>, factor: UnitFactor) -> Result<Option<Decimal>> {
    let Some(end) = end(samples)? else { return Ok(None) };
    let window = window.start.as_second()..window.end.as_second();
    let ends = samples.iter().skip(1).map(|next| next.at).chain([end]);
    let mut held = None;
    let mut byte_seconds = Decimal::ZERO;
    for (sample, end) in samples.iter().zip(ends) {
        held = sample.bytes.or(held);
        let seconds = end.min(window.end).saturating_sub(sample.at.max(window.start)).max(0);
        let Some(bytes) = held.filter(|_| seconds > 0) else { continue };
        let more = bytes.checked_mul(seconds.into());
        byte_seconds = more.and_then(|more| byte_seconds.checked_add(more)).ok_or_else(out_of_range)?;
    }
    let divisor = factor.decimal().checked_mul(SECONDS_PER_DAY.into());
    let days = divisor.and_then(|divisor| byte_seconds.checked_div(divisor)).ok_or_else(out_of_range)?;
    Ok(Some(half_up(days)))
}

/// Rounded to two places, half up.
pub(crate) fn half_up(amount: Decimal) -> Decimal {
    amount.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// Until when the last reading holds; `None` when nothing can be told from the readings.
fn end(samples: &[Sample]) -> Result<Option<i64>> {
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
    let (Some(step), Some(last)) = (steps.min(), samples.last()) else { return Ok(None) };
    let measurable = samples.iter().any(|sample| sample.bytes.is_some());
    Ok(measurable.then(|| last.at.saturating_add(step)))
}

fn out_of_range() -> Error {
    Error::new(ErrorKind::InvalidRequest, "the sum of the readings is out of range")
}
