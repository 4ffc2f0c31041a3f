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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it fails")]

    use jiff::SignedDuration;

    use super::*;

    /// Zones that change their clocks, some at midnight and some by half an hour, and those farthest from UTC.
    const ZONES: [&str; 7] = [
        "Europe/Tallinn",
        "America/St_Johns",
        "America/Havana",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
    ];

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Each hour of four years, and the moments about the ends of months.
    fn instants(zone: &TimeZone) -> Vec<Timestamp> {
        let start: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let mut all: Vec<_> = (0..4 * 366 * 24).map(|hour| start + SignedDuration::from_hours(hour)).collect();
        let mut period = month(start, zone);
        for _ in 0..48 {
            let end = period.bounds(zone).unwrap().end;
            all.extend([end - SignedDuration::from_nanos(1), end]);
            period = period.next();
        }
        all
    }

    #[test]
    fn f093_a_report_names_an_instant_of_its_month_in_utc_and_in_the_zone() {
        for name in ZONES {
            let zone = zone(name);
            for now in instants(&zone) {
                let local = month(now, &zone);
                for period in [local, local.previous()] {
                    let utc = month(now, &TimeZone::UTC);
                    match place(period, now) {
                        Placement::Current(date) => assert!(date == now && utc == period, "{name} {now}"),
                        Placement::Past(date) => {
                            assert!(utc > period, "{name} {now}");
                            assert_eq!((month(date, &TimeZone::UTC), month(date, &zone)), (period, period), "{name}");
                        }
                        // East of Greenwich, for some hours.
                        Placement::NotBegun => assert!(period == local && utc == local.previous(), "{name} {now}"),
                    }
                }
            }
        }
    }

    #[test]
    fn f139_every_instant_is_in_the_month_whose_bounds_hold_it() {
        for name in ZONES {
            let zone = zone(name);
            for now in instants(&zone) {
                let period = month(now, &zone);
                assert!(period.bounds(&zone).unwrap().contains(&now), "{name} {now}");
                assert!(!period.next().bounds(&zone).unwrap().contains(&now), "{name} {now}");
            }
        }
    }

    #[test]
    fn f139_a_window_is_of_whole_months_without_gaps() {
        let current = Period::containing(jiff::civil::date(2026, 1, 31));
        let months = window(current, 12);
        assert_eq!((months.len(), months.last()), (12, Some(&current)));
        assert!(months.iter().zip(months.iter().skip(1)).all(|(month, next)| month.next() == *next));
    }
}
