//! Runs in trouble: credentials refused, Waldur down, a deadline, a wrong address (faults.md rows 28, 41, 44, 52).

use std::time::Duration;

use tokio::time::Instant;
use waldur_sdk::{
    ErrorKind,
    backend::OpContext,
    process::{UsageOutcome, UsageRunReport},
    rest::Environment,
    testing::{Counting, Faults, Latency, hang, op, path, status, waldur::Generation, when},
    types::ResourceUuid,
};

use crate::usage::{NOVEMBER, World, period, rows};

const SECOND: Duration = Duration::from_secs(1);

fn seeded(resources: usize) -> (World, Vec<ResourceUuid>) {
    let world = World::new(Generation::V8);
    let seed = |number: usize| {
        let id = format!("res-{number}");
        let resource = world.resource(&id);
        world.used(&id, "cpu", "10");
        resource
    };
    let resources = (0..resources).map(seed).collect();
    (world, resources)
}

fn late(world: &World) -> Environment {
    world.environment()
}

/// How November came out, of all resources.
fn november(report: &UsageRunReport) -> Vec<&UsageOutcome> {
    let months = report.outcomes().filter(|month| month.period == period(NOVEMBER));
    months.map(|month| &month.outcome).collect()
}

fn deferred(report: &UsageRunReport, kind: ErrorKind) -> usize {
    let is_so = |outcome: &&&UsageOutcome| matches!(outcome, UsageOutcome::Deferred(error) if error.kind() == kind);
    november(report).iter().filter(is_so).count()
}

#[tokio::test(start_paused = true)]
async fn f044_sec51_after_refused_credentials_no_further_usage_is_sent() {
    let (world, _) = seeded(200);
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage"), status(401));
    let waldur = Latency::new(faults.clone(), late(&world), SECOND / 100);
    let report = world.agent().waldur(waldur).policy(|policy| policy.concurrency = 8).run().await;
    assert_eq!((faults.acted(), deferred(&report, ErrorKind::Unauthenticated)), (8, 200));
    assert!(!report.is_clean());
    let told = november(&report).iter().filter(|outcome| outcome.to_string().contains("refused before")).count();
    assert_eq!(told, 192, "told why");
    // A new login, and all of it goes out.
    assert!(world.run().await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn f041_a_waldur_that_takes_no_usage_is_asked_a_few_times_and_the_run_ends() {
    for (fault, kind) in [(503, ErrorKind::Unavailable), (0, ErrorKind::Timeout)] {
        let (world, _) = seeded(300);
        let matcher = op("component_usages.set_usage");
        let faults = Faults::new(world.waldur.clone());
        let faults = if fault == 0 { faults.on(matcher, hang()) } else { faults.on(matcher, status(fault)) };
        let waldur = Counting::new(faults.clone());
        let begun = Instant::now();
        let report = world.agent().random(u64::MAX).waldur(waldur.clone()).run().await;
        assert_eq!(deferred(&report, kind), 300, "{fault}");
        // Eight resources to the end of their time, and eight more.
        assert!(faults.acted() <= 120, "{fault}: {}", waldur.counts());
        assert!(begun.elapsed() <= 1500 * SECOND, "{fault}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_seconds_is_over_within_the_run() {
    let (world, resources) = seeded(100);
    let up_at = Instant::now() + 10 * SECOND;
    let down = op("component_usages.set_usage").and(when("down", move |_| Instant::now() < up_at));
    let faults = Faults::new(world.waldur.clone()).on(down, status(503));
    let report = world.agent().random(u64::MAX).sending_once().waldur(faults).run().await;
    assert!(report.is_clean(), "{:?}", november(&report));
    assert!(resources.iter().all(|resource| world.stored(*resource, NOVEMBER) == rows([("cpu", "10.00")])));
}

#[tokio::test(start_paused = true)]
async fn f028_what_a_deadline_left_over_comes_first_in_the_next_run() {
    let (world, resources) = seeded(6);
    let two = [resources[0].hex(), resources[1].hex()];
    let hanging = op("component_usages.set_usage").and(when("of two", move |request| {
        two.iter().any(|resource| String::from_utf8_lossy(request.body()).contains(resource.as_str()))
    }));
    let faults = Faults::new(world.waldur.clone()).on(hanging, hang());
    let reporter = world.agent().waldur(faults).policy(|policy| policy.concurrency = 2).build();
    let run = async || {
        let cx = OpContext::new("run").with_deadline(Some((Instant::now() + 5 * SECOND).into_std()));
        reporter.run_once(&cx).await.unwrap()
    };
    let served = || {
        let has = |place: &usize| !world.stored(resources[*place], NOVEMBER).is_empty();
        (0..6).filter(has).collect::<Vec<_>>()
    };
    run().await;
    assert_eq!(served(), [0; 0], "the first two take all the time there is");
    run().await;
    assert_eq!(served(), [2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn f052_a_wrong_base_url_is_a_mistake_in_the_settings_and_reports_nothing() {
    for page in ["<html>404 Not Found</html>", "The requested resource was not found on this server."] {
        let (world, _) = seeded(1);
        let lost = Faults::new(world.waldur.clone()).on(path("/api/"), status(404).body("text/html", page));
        let error = world.agent().waldur(lost).build().run_once(&OpContext::new("run")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("base URL"), "{error}");
        assert_eq!(world.writes(), [""; 0]);
    }
}
