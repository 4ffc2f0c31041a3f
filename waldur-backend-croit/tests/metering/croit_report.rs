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
    process::{UsageOutcome, UsagePolicy, UsageReporter},
    rest::Http,
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

/// A report of a thousand resources of which nothing changed: `amounts` of components are known.
async fn of_a_thousand(model: Value, components: &Components, amounts: &[(&str, u32)]) -> (u64, Duration) {
    let waldur = FakeWaldur::new(Generation::V2024).with_wall(early);
    let offering = amounts
        .iter()
        .fold(waldur.offering().name("S3"), |offering, (component, _)| offering.component(*component, Billing::Usage));
    let offering = offering.create();
    let croit = FakeCroit::builder().token(TOKEN).clock(early).build();
    let month = Period::containing(Date::constant(2026, 11, 1)).first_day();
    for number in 0..1000 {
        let uid = format!("u-{number}");
        croit.gateway().add_user(SeedUser::new(&uid)).unwrap();
        croit.gateway().create_bucket(&uid, &uid).unwrap();
        croit.gateway().put_object(&uid, &uid, "object", 3 * GIB.unsigned_abs()).unwrap();
        croit.stores(&uid, "2026-10-20T00:00:00Z".parse().unwrap(), 120 * GB);
        let resource =
            waldur.resource(offering).name(uid.as_str()).slug(uid.as_str()).backend_id(uid.as_str()).create();
        for (component, amount) in amounts {
            waldur.reported(resource, component, month, (*amount).into());
        }
    }
    let round_trip = Duration::from_millis(50);
    let (asked, called) = (Counting::new(waldur.clone()), Counting::new(croit.clone()));
    let slow = [asked.clone(), called.clone()].map(|side| Latency::new(side, environment(), round_trip));
    let [slow_waldur, slow_croit] = slow;
    let http = |way: Latency| Http::new(way).with_environment(environment().with_wall(early));
    let client = WaldurClient::builder(waldur.base_url()).http(http(slow_waldur)).token(waldur.token());
    let client = client.agent_mode(AgentMode::Report).build().unwrap();
    let backend = S3Backend::new(http(slow_croit), croit_settings(model), components).unwrap();
    let mut policy = UsagePolicy::default();
    policy.reporting_periods = 1;
    let reporter = UsageReporter::new(client, Arc::new(backend), offering).with_policy(policy);
    let reporter = reporter.with_components(components.clone());
    let begin = Instant::now();
    let report = reporter.run_once(&OpContext::new("report")).await.unwrap();
    let elapsed = begin.elapsed();
    assert_eq!(report.count(|end| matches!(end, UsageOutcome::Unchanged)), 1000, "{:?}", report.resources.first());
    let (asked, called) = (asked.counts(), called.counts());
    assert_eq!((asked.writes, called.writes, called.peak_in_flight), (0, 0, 8), "{asked}\n{called}");
    (called.total, elapsed)
}

#[tokio::test(start_paused = true)]
async fn a_report_of_a_thousand_resources_on_croit_costs_a_list_and_a_call_each_and_takes_eight_seconds_at_most() {
    let most = Duration::from_secs(8);
    let (calls, elapsed) = of_a_thousand(json!({}), &usage_components(), &[("s3_storage", 3), ("s3_objects", 1)]).await;
    assert_eq!(calls, 1 + 1000);
    assert!(elapsed <= most, "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_report_of_gb_days_of_a_thousand_resources_takes_eight_seconds_at_most() {
    let most = Duration::from_secs(8);
    // Two hours of 120 GB.
    let model = json!({ "usage_model": "gb_days" });
    let (calls, elapsed) = of_a_thousand(model, &gigabytes(), &[("s3_storage", 10)]).await;
    assert_eq!(calls, 1 + 1000);
    assert!(elapsed <= most, "{elapsed:?}");
}
