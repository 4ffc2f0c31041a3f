//! Months: which ones a run covers, and how Waldur is told which one is meant (core.md §4.2, §4.3). Nothing here reads a
//! clock.

use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::backend::Period;

/// The month of an instant.
pub(super) fn month(at: Timestamp, zone: &TimeZone) -> Period {
    Period::containing(at.to_zoned(zone.clone()).date())
}

/// `count` months that end with `current`, oldest first.
pub(super) fn window(current: Period, count: u8) -> Vec<Period> {
    let mut months: Vec<_> =
        std::iter::successors(Some(current), |month| Some(month.previous())).take(count.clamp(1, 12).into()).collect();
    months.reverse();
    months
}

/// How a month is named in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// The month that it is, for Waldur too.
    Current(Timestamp),
    /// A month that is over for Waldur.
    Past(Timestamp),
    /// A month that has not begun for Waldur, which counts in UTC: it begins within hours.
    NotBegun,
}

/// An instant that lies in `period` for everybody, whatever their zones. The first midnight of a month, east of
/// Greenwich, is still the month before in UTC.
pub(super) fn place(period: Period, now: Timestamp) -> Placement {
    let current = month(now, &TimeZone::UTC);
    match period.cmp(&current) {
        std::cmp::Ordering::Equal => Placement::Current(now),
        std::cmp::Ordering::Greater => Placement::NotBegun,
        std::cmp::Ordering::Less => {
            let noon = period.first_day().saturating_add(14.days()).at(12, 0, 0, 0);
            let noon = noon.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp());
            noon.map_or(Placement::NotBegun, Placement::Past)
        }
    }
}
