//! Gigabyte-days from a series of readings.

use std::ops::Range;

use proptest::prelude::*;
use waldur_backend_croit::metering::gb_days::{PAUSE, Sample, unit_days};
use waldur_sdk::{
    ErrorKind, Result,
    backend::Period,
    settings::TimeZone,
    types::{Date, Decimal, Timestamp, UnitFactor},
};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// croit's native step.
const STEP: i64 = 180;
const GB: i64 = 1_000_000_000;

fn november() -> Range<Timestamp> {
    Period::containing(Date::constant(2026, 11, 22)).bounds(&TimeZone::UTC).unwrap()
}

fn start() -> i64 {
    november().start.as_second()
}

fn gigabytes() -> UnitFactor {
    UnitFactor::new(GB.into()).unwrap()
}

fn days(samples: &[Sample]) -> Option<Decimal> {
    amount(samples, november())
}

fn amount(samples: &[Sample], window: Range<Timestamp>) -> Option<Decimal> {
    unit_days(samples, window, gigabytes()).unwrap().map(|days| days.amount)
}

/// Of how many hours there is no proof.
fn unproven(samples: &[Sample]) -> i64 {
    unit_days(samples, november(), gigabytes()).unwrap().unwrap().unproven / HOUR
}

fn some(text: &str) -> Option<Decimal> {
    text.parse().ok()
}

fn gb(at: i64, gigabytes: i64) -> Sample {
    Sample::new(start() + at, (gigabytes * GB).into())
}

fn gap(at: i64) -> Sample {
    Sample::gap(start() + at)
}

#[test]
fn s30_a_hundred_gigabytes_for_ten_days_are_a_thousand() {
    let samples: Vec<Sample> = (0..10 * DAY / STEP).map(|number| gb(number * STEP, 100)).collect();
    assert_eq!(days(&samples), some("1000.00"));
    // Half of the time nothing.
    let samples = [gb(0, 100), gb(5 * DAY, 0), gb(10 * DAY, 0)];
    assert_eq!(days(&samples), some("500"));
    // A month before which and after which there are readings too: only what lies in it counts.
    let samples = [gb(-10 * DAY, 100), gb(0, 100), gb(10 * DAY, 100), gb(20 * DAY, 10), gb(30 * DAY, 7)];
    assert_eq!(days(&samples), some("2100"), "20 days of 100 and 10 days of 10");
}

#[test]
fn s31_a_gap_holds_the_reading_before_it_and_a_beginning_of_gaps_counts_nothing() {
    let pause = [gb(0, 480), gap(HOUR), gap(3 * HOUR), gb(6 * HOUR, 0), gb(7 * HOUR, 0)];
    assert_eq!((days(&pause), pause[3].at - pause[0].at), (some("120"), PAUSE));
    let late = [gap(0), gap(4 * DAY), gb(5 * DAY, 100), gb(6 * DAY, 0)];
    assert_eq!(days(&late), some("100"));
}

#[test]
fn s31_of_a_long_gap_counts_what_both_sides_of_it_prove() {
    // 480 GB until the 10th, and nothing is known of ten days: removed with all data, and made anew.
    let steady = |days: Range<i64>, gigabytes| (days.start * 24..days.end * 24).map(move |n| gb(n * HOUR, gigabytes));
    let between = (10 * 24..20 * 24).map(|number| gap(number * HOUR));
    let series =
        |after: i64| steady(0..10, 480).chain(between.clone()).chain(steady(20..30, after)).collect::<Vec<_>>();
    assert_eq!(days(&series(0)), some("4800"), "and not 9600");
    assert_eq!(days(&series(480)), some("14400"), "which it was most likely all the time");
    assert_eq!(days(&series(48)), some("5760"));
    assert_eq!(days(&series(4800)), some("57600"), "no more than was there before");
    assert_eq!(unproven(&series(480)), 10 * 24);
    // Points that are left out are a gap as well.
    let without: Vec<_> = steady(0..10, 480).chain(steady(20..30, 0)).collect();
    assert_eq!((days(&without), unproven(&without)), (some("4800"), 10 * 24));
    assert_eq!(unproven(&steady(0..30, 480).collect::<Vec<_>>()), 0);
}

#[test]
fn s32_a_single_reading_measures_nothing() {
    assert_eq!(days(&[]), None);
    assert_eq!(days(&[gb(0, 100)]), None);
    assert_eq!(days(&[gb(0, 100), gb(0, 100)]), None, "nor do two of the same instant");
    assert_eq!(days(&[gb(0, 0), gb(STEP, 0)]), some("0"), "two readings of nothing are a true zero");
}

#[test]
fn s33_gaps_alone_measure_nothing() {
    assert_eq!(days(&[gap(0), gap(STEP), gap(2 * STEP)]), None);
}

#[test]
fn s34_statistics_that_stopped_bill_one_step_and_no_more() {
    let now = Timestamp::from_second(start() + 10 * DAY).unwrap();
    let samples: Vec<Sample> = (0..=7 * DAY / STEP).map(|number| gb(number * STEP, 480)).collect();
    let window = november().start..now;
    // 7 days of 480 GB, and one step of 180 s: a GB-day.
    assert_eq!(amount(&samples, window.clone()), some("3361.00"));
    let just_now = Timestamp::from_second(start() + 7 * DAY + 90).unwrap();
    assert_eq!(amount(&samples, november().start..just_now), some("3360.50"), "never beyond the end of the window");
    // Whether croit ends the series, or goes on with nothing in it.
    let padded: Vec<Sample> =
        samples.iter().copied().chain((1..3 * DAY / STEP).map(|n| gap(7 * DAY + n * STEP))).collect();
    assert_eq!(amount(&padded, window), some("3361.00"));
    assert_eq!((unproven(&padded), unproven(&samples)), (23 * 24 - 1, 23 * 24 - 1), "all but a step");
    // Once there is a reading again, they were held all the time.
    let resumed: Vec<Sample> = padded.into_iter().chain([gb(10 * DAY, 480)]).collect();
    assert_eq!(days(&resumed), some("4801.00"));
}

#[test]
fn s34_a_pause_before_the_last_reading_is_no_step() {
    // Left out by croit, and not a null: three days of nothing, one reading, and the end.
    let samples = [gb(0, 480), gb(STEP, 480), gb(2 * STEP, 480), gb(3 * DAY, 480)];
    assert_eq!(days(&samples), some("1441.00"), "three days of 480 GB, and one step of 180 s");
}

#[test]
fn readings_that_cannot_be_right_are_errors() {
    let kind = |samples: &[Sample]| unit_days(samples, november(), gigabytes()).unwrap_err().kind();
    assert_eq!(kind(&[gb(STEP, 1), gb(0, 1), gb(2 * STEP, 1)]), ErrorKind::Inconsistent, "back in time");
    assert_eq!(kind(&[gb(0, 1), gb(STEP, -1)]), ErrorKind::Inconsistent, "negative");
    assert_eq!(kind(&[Sample::new(start(), Decimal::MAX), gb(DAY, 1)]), ErrorKind::InvalidRequest);
}

#[test]
fn the_month_is_that_of_the_zone_and_rounding_is_half_up() {
    let zone = TimeZone::get("Europe/Tallinn").unwrap();
    let window = Period::containing(Date::constant(2026, 11, 22)).bounds(&zone).unwrap();
    assert_eq!(start() - window.start.as_second(), 2 * 3600);
    // Two hours of October in UTC are November here.
    let samples = [gb(-2 * HOUR, 12), gb(0, 0), gb(DAY, 0)];
    assert_eq!(amount(&samples, window), some("1.00"));
    assert_eq!(days(&samples), some("0"));
    // 0.125 and 0.005 go up, where half to even would not.
    let eighth = [gb(0, 1), gb(DAY / 8, 0), gb(DAY / 4, 0)];
    assert_eq!(days(&eighth), some("0.13"));
    assert_eq!(days(&[gb(0, 1), gb(DAY / 200, 0), gb(DAY, 0)]), some("0.01"));
}

/// Series of the tests below are of minutes: second by second would take too long.
const MINUTE: i64 = 60;

/// What the rectangles add up to, minute by minute.
fn by_hand(samples: &[Sample], window: &Range<Timestamp>) -> Decimal {
    let step = samples.windows(2).map(|pair| pair[1].at - pair[0].at).min().unwrap();
    let readings: Vec<_> = samples.iter().filter_map(|sample| Some((sample.at, sample.bytes?))).collect();
    let reading = |moment: i64| {
        let Some((at, bytes)) = readings.iter().rev().find(|(at, _)| *at <= moment).copied() else {
            return Decimal::ZERO;
        };
        let is_held = moment < at + step;
        match readings.iter().find(|(next, _)| *next > moment) {
            Some((next, _)) if is_held || next - at <= PAUSE.max(step) => bytes,
            Some((_, following)) => bytes.min(*following),
            None if is_held => bytes,
            None => Decimal::ZERO,
        }
    };
    let moments = (window.start.as_second()..window.end.as_second()).step_by(60);
    moments.map(reading).sum::<Decimal>() * Decimal::from(MINUTE) / Decimal::from(DAY)
}

/// Points of which no two are closer to each other than the first two, as croit's are.
fn series() -> impl Strategy<Value = Vec<Sample>> {
    prop::collection::vec((1..150_i64, prop::option::of(0..10_000_u32)), 2..12).prop_map(|steps| {
        let mut at = start() - 60 * MINUTE;
        let first = [at, at + MINUTE].map(Sample::gap);
        at += MINUTE;
        let sample = |(step, bytes): (i64, Option<u32>)| {
            at += step * MINUTE;
            Sample { at, bytes: bytes.map(Decimal::from) }
        };
        first.into_iter().chain(steps.into_iter().map(sample)).collect()
    })
}

fn minutes(minutes: i64) -> Timestamp {
    Timestamp::from_second(start() + minutes * MINUTE).unwrap()
}

fn measure(samples: &[Sample], window: Range<Timestamp>) -> Result<Option<Decimal>> {
    // A unit that is small enough for every byte to count.
    Ok(unit_days(samples, window, UnitFactor::new(Decimal::new(1, 2)).unwrap())?.map(|days| days.amount))
}

proptest! {
    #[test]
    fn the_sum_is_that_of_every_minute(samples in series(), length in 1..1500_i64) {
        let window = november().start..minutes(length);
        let found = measure(&samples, window.clone()).unwrap();
        let measurable = samples.iter().any(|sample| sample.bytes.is_some());
        prop_assert_eq!(found.is_some(), measurable);
        if let Some(found) = found {
            let wanted = by_hand(&samples, &window) * Decimal::from(100);
            prop_assert!((found - wanted).abs() <= Decimal::new(5, 3), "{} {}", found, wanted);
        }
    }

    #[test]
    fn two_halves_of_a_month_are_the_month(samples in series(), cut in 0..1500_i64) {
        let (from, to) = (november().start, minutes(2000));
        let cut = minutes(cut);
        if let Some(whole) = measure(&samples, from..to).unwrap() {
            let halves = measure(&samples, from..cut).unwrap().unwrap() + measure(&samples, cut..to).unwrap().unwrap();
            prop_assert!((whole - halves).abs() <= Decimal::new(1, 2), "{} {}", whole, halves);
        }
    }

    #[test]
    fn usage_never_goes_down_as_the_month_goes_on(samples in series(), earlier in 0..1500_i64, later in 0..1500_i64) {
        let until = |minute: i64| {
            let seen: Vec<Sample> = samples.iter().filter(|sample| sample.at <= start() + minute * MINUTE).copied().collect();
            measure(&seen, november().start..minutes(minute)).unwrap()
        };
        let (earlier, later) = (until(earlier.min(later)), until(earlier.max(later)));
        if let Some(earlier) = earlier {
            prop_assert!(later.unwrap() >= earlier);
        }
    }

    #[test]
    fn nothing_panics(samples in prop::collection::vec(
        (any::<i64>(), prop::option::of(any::<i64>())), 0..8), begin in any::<i32>(), end in any::<i32>()) {
        let sample = |(at, bytes): (i64, Option<i64>)| Sample { at, bytes: bytes.map(Decimal::from) };
        let mut samples: Vec<Sample> = samples.into_iter().map(sample).collect();
        let window = Timestamp::from_second(begin.into()).unwrap()..Timestamp::from_second(end.into()).unwrap();
        let _ = unit_days(&samples, window.clone(), gigabytes());
        samples.sort_by_key(|sample| sample.at);
        let _ = unit_days(&samples, window, gigabytes());
    }
}
