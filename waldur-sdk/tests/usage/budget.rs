//! What a run costs (performance.md §3, §5 P1, P2, P4).

use std::time::Duration;

use tokio::time::Instant;
use waldur_sdk::{
    backend::OpContext,
    process::UsageOutcome,
    testing::{Counting, Latency, waldur::Generation},
};

use crate::usage::{BOTH, NOVEMBER, OCTOBER, World};

const RESOURCES: u64 = 1000;
const RTT: Duration = Duration::from_millis(50);

/// The page that each server gives to whoever asks for 300.
fn page(generation: Generation) -> u64 {
    match generation {
        Generation::V2024 => 300,
        Generation::V8 => 100,
    }
}

fn world(generation: Generation, resources: u64) -> World {
    let world = World::new(generation);
    for number in 0..resources {
        let id = format!("res-{number}");
        let resource = world.resource(&id);
        for month in [OCTOBER, NOVEMBER] {
            world.used_in(&id, month, "cpu", "5");
        }
        world.reported(resource, OCTOBER, "cpu", "5");
        world.reported(resource, NOVEMBER, "cpu", "5");
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_run_in_which_nothing_changed_costs_pages_and_writes_nothing() {
    for generation in BOTH {
        let world = world(generation, RESOURCES);
        let (waldur, service) = (Counting::new(world.waldur.clone()), Counting::new(world.service.clone()));
        let slow_waldur = Latency::new(waldur.clone(), world.environment(), RTT);
        let slow_service = Latency::new(service.clone(), world.environment(), RTT);
        let agent = world.agent().waldur(slow_waldur).service(slow_service);
        let begin = Instant::now();
        let report = agent.run().await;
        let elapsed = begin.elapsed();
        assert_eq!(report.count(|end| matches!(end, UsageOutcome::Unchanged)), 2 * 1000);
        let pages = RESOURCES.div_ceil(page(generation));
        // Resources, two months of one component each, the offering.
        assert_eq!(waldur.counts().total, pages + 2 * pages + 1, "{}", waldur.counts());
        assert_eq!(service.counts().total, 2, "one question for each month");
        assert_eq!((waldur.counts().writes, service.counts().writes), (0, 0));
        assert!(elapsed <= Duration::from_secs(1), "{generation:?}: {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_adds_one_report() {
    // Some pages of them are enough to tell one request from one for each page.
    const RESOURCES: u64 = 310;
    for generation in BOTH {
        let world = world(generation, RESOURCES);
        let waldur = Counting::new(world.waldur.clone());
        let slow = Latency::new(waldur.clone(), world.environment(), RTT);
        let reporter = world.agent().policy(|policy| policy.reporting_periods = 1).waldur(slow).build();
        reporter.run_once(&OpContext::new("first")).await.unwrap();
        // The plans of each are looked at once, with the first change of the month.
        for (changed, looked_at, amount) in [(RESOURCES, RESOURCES, "6"), (10, 0, "7")] {
            for number in 0..changed {
                world.used(&format!("res-{number}"), "cpu", amount);
            }
            waldur.reset();
            reporter.run_once(&OpContext::new("run")).await.unwrap();
            let counts = waldur.counts();
            let pages = RESOURCES.div_ceil(page(generation));
            assert_eq!(counts.total, 2 * pages + 1 + changed + looked_at, "{counts}");
            assert_eq!((counts.writes, counts.of("component_usages.set_usage")), (changed, changed));
            if changed > 8 {
                assert_eq!(counts.peak_in_flight, 8);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_report_of_a_month_is_one_request_for_each_resource() {
    let world = World::new(Generation::V8);
    for number in 0..100 {
        world.resource(&format!("res-{number}"));
        world.used(&format!("res-{number}"), "cpu", "1");
    }
    let waldur = Counting::new(world.waldur.clone());
    world.agent().waldur(waldur.clone()).run().await;
    // One page of resources, one empty page of each month, the offering.
    assert_eq!(waldur.counts().total, 4 + 100, "{}", waldur.counts());
}

#[tokio::test(start_paused = true)]
async fn users_cost_one_listing_for_each_month_and_one_of_their_accounts() {
    let world = World::new(Generation::V8);
    for number in 0..50 {
        let id = format!("res-{number}");
        world.resource(&id);
        world.used(&id, "cpu", "1");
        world.user_used(&id, "ann", "cpu", "1");
    }
    world.run().await;
    let waldur = Counting::new(world.waldur.clone());
    world.agent().waldur(waldur.clone()).run().await;
    let counts = waldur.counts();
    assert_eq!(counts.writes, 0);
    assert_eq!(counts.total, 4 + 2, "{counts}");
}
