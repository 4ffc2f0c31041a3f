//! The whole report, from croit to Waldur: the calls and the time (performance.md §3, §5).

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use waldur_backend_croit::{
    S3Backend,
    testing::{FakeCroit, SeedUser},
};
use waldur_sdk::{
    backend::{OpContext, Period},
    client::{AgentMode, WaldurClient},
    process::{ServedOffering, UsageOutcome, UsagePolicy, UsageReporter},
    rest::{Http, HttpTransport},
    settings::Components,
    testing::{
        Counting, Latency,
        waldur::{Billing, FakeWaldur, Generation},
    },
    types::{Date, Timestamp},
};

use crate::{
    common::{GIB, TOKEN, croit_settings, environment, usage_components},
    croit::{GB, gigabytes},
};

/// Early in a month: what a report costs does not depend on how many points a series has, but a fake that draws a thousand
/// of them does.
fn early() -> Timestamp {
    "2026-11-01T02:00:00Z".parse().unwrap()
}

/// Later in it: the month before is over for good.
fn next_day() -> Timestamp {
    "2026-11-02T02:00:00Z".parse().unwrap()
}

/// Reports of resources of which nothing changed, of so many months in each: `amounts` of components are known. The calls
/// to croit of each report, how many were on their way at once, and the time.
async fn reports<const RUNS: usize>(
    resources: u64,
    months: u8,
    wall: fn() -> Timestamp,
    model: Value,
    components: &Components,
    amounts: &[(&str, u32)],
) -> [(u64, usize, Duration); RUNS] {
    let waldur = FakeWaldur::new(Generation::V2024).with_wall(wall);
    let offering = amounts
        .iter()
        .fold(waldur.offering().name("S3"), |offering, (component, _)| offering.component(*component, Billing::Usage));
    let offering = offering.create();
    let croit = FakeCroit::builder().token(TOKEN).clock(wall).build();
    let month = Period::containing(Date::constant(2026, 11, 1)).first_day();
    for number in 0..resources {
        let uid = format!("u-{number}");
        croit.gateway().add_user(SeedUser::new(&uid)).unwrap();
        croit.gateway().create_bucket(&uid, &uid).unwrap();
        croit.gateway().put_object(&uid, &uid, "object", 3 * GIB.unsigned_abs()).unwrap();
        croit.stores(&uid, "2026-10-20T00:00:00Z".parse().unwrap(), 120 * GB);
        let resource =
            waldur.resource(offering).name(uid.as_str()).slug(uid.as_str()).backend_id(uid.as_str()).create();
        for (component, amount) in amounts {
            for period in
                [month, Period::containing(month).previous().first_day()].into_iter().take(usize::from(months))
            {
                let amount = if period == month { *amount } else { OCTOBER };
                waldur.reported(resource, component, period, amount.into());
            }
        }
    }
    let round_trip = Duration::from_millis(50);
    let (asked, called) = (Counting::new(waldur.clone()), Counting::new(croit.clone()));
    let slow = [asked.clone(), called.clone()].map(|side| Latency::new(side, environment(), round_trip));
    let [slow_waldur, slow_croit] = slow;
    let http = |way: Latency| Http::new(way).with_environment(environment().with_wall(wall));
    let client = WaldurClient::builder(waldur.base_url()).http(http(slow_waldur)).token(waldur.token());
    let client = client.agent_mode(AgentMode::Report).build().unwrap();
    let backend = S3Backend::new(http(slow_croit), croit_settings(model), components).unwrap();
    let mut policy = UsagePolicy::default();
    assert_eq!(policy.reporting_periods, 2, "what a site has unless it chooses");
    policy.reporting_periods = months;
    let offering = ServedOffering::new(client, Arc::new(backend), offering).with_components(components.clone());
    let reporter = offering.usage().with_policy(policy);
    let mut runs = [(0, 0, Duration::ZERO); RUNS];
    for run in &mut runs {
        asked.reset();
        called.reset();
        let begin = Instant::now();
        let report = reporter.run_once(&OpContext::new("report")).await.unwrap();
        let elapsed = begin.elapsed();
        let unchanged = report.count(|end| matches!(end, UsageOutcome::Unchanged));
        assert_eq!(u64::try_from(unchanged), Ok(resources * u64::from(months)), "{:?}", report.resources.first());
        let (asked, called) = (asked.counts(), called.counts());
        assert_eq!((asked.writes, called.writes), (0, 0), "{asked}\n{called}");
        *run = (called.total, called.peak_in_flight, elapsed);
    }
    runs
}

/// GB-days of 120 GB from the 20th on.
const OCTOBER: u32 = 1440;

#[tokio::test(start_paused = true)]
async fn a_report_of_a_thousand_resources_on_croit_costs_a_list_and_a_call_each_and_takes_eight_seconds_at_most() {
    let most = Duration::from_secs(8);
    let amounts = [("s3_storage", 3), ("s3_objects", 1)];
    let [(calls, peak, elapsed)] = reports(1000, 1, early, json!({}), &usage_components(), &amounts).await;
    assert_eq!((calls, peak), (1 + 1000, 8));
    assert!(elapsed <= most, "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_report_of_gb_days_of_a_thousand_resources_takes_eight_seconds_at_most() {
    let most = Duration::from_secs(8);
    // Two hours of 120 GB.
    let model = json!({ "usage_model": "gb_days" });
    let [(calls, peak, elapsed)] = reports(1000, 1, early, model, &gigabytes(), &[("s3_storage", 10)]).await;
    assert_eq!((calls, peak), (1 + 1000, 8));
    assert!(elapsed <= most, "{elapsed:?}");
}

/// With the month before, as is reported unless a site chooses otherwise.
#[tokio::test(start_paused = true)]
async fn a_month_that_is_over_is_measured_once_and_then_known() {
    let model = json!({ "usage_model": "gb_days" });
    // 26 hours of 120 GB.
    let [first, second] = reports(32, 2, next_day, model.clone(), &gigabytes(), &[("s3_storage", 130)]).await;
    assert_eq!((first.0, first.1), (2 + 2 * 32, 16), "two months beside each other");
    assert_eq!((second.0, second.1), (1 + 32, 8));
    let most = Duration::from_millis(500);
    assert!(first.2 <= most && second.2 <= most, "{first:?} {second:?}");
    // While croit may be late with the month's last readings it is measured again.
    let [first, second] = reports(3, 2, early, model, &gigabytes(), &[("s3_storage", 10)]).await;
    assert_eq!((first.0, second.0), (2 + 2 * 3, 2 + 2 * 3));
}

#[tokio::test(start_paused = true)]
async fn what_croit_did_not_measure_is_among_the_losses() {
    let waldur = FakeWaldur::new(Generation::V8).with_wall(next_day);
    let offering = waldur.offering().name("S3").component("s3_storage", Billing::Usage).create();
    waldur.resource(offering).name("u-1").slug("u-1").backend_id("u-1").create();
    let croit = FakeCroit::builder().token(TOKEN).clock(next_day).build();
    croit.gateway().add_user(SeedUser::new("u-1")).unwrap();
    croit.stores("u-1", "2026-10-20T00:00:00Z".parse().unwrap(), 120 * GB);
    croit.stop_measuring("u-1", "2026-11-01T12:00:00Z".parse().unwrap());
    let http = |way: Arc<dyn HttpTransport>| Http::new(way).with_environment(environment().with_wall(next_day));
    let client = WaldurClient::builder(waldur.base_url()).http(http(Arc::new(waldur.clone()))).token(waldur.token());
    let model = json!({ "usage_model": "gb_days" });
    let backend = S3Backend::new(http(Arc::new(croit)), croit_settings(model), &gigabytes()).unwrap();
    let reporter = UsageReporter::new(client.build().unwrap(), Arc::new(backend), offering);
    let report = reporter.run_once(&OpContext::new("report")).await.unwrap();
    assert_eq!(report.count(|end| matches!(end, UsageOutcome::Submitted)), 2, "as far as it is known");
    let losses: Vec<_> = report.losses().into_iter().filter(|line| line.contains("has no readings")).collect();
    assert!(losses.len() == 1 && losses[0].contains("2026-11: croit has no readings of 13 hours"), "{losses:?}");
}
