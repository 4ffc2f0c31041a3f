//! Several rows of one component: what a change of plan within the month leaves (core.md §4.5, §8 #15).

use serde_json::json;
use waldur_sdk::{
    backend::OpContext,
    testing::{Faults, op, status, waldur::Generation},
    types::ResourceUuid,
};

use crate::usage::{BOTH, NOVEMBER, World, month, november, rows};

/// A resource that was on the small plan for 4 and is on the large one, for which 6 were reported.
fn switched(generation: Generation) -> (World, ResourceUuid) {
    let (world, resource) = switching(generation);
    world.reported(resource, NOVEMBER, "cpu", "6");
    (world, resource)
}

/// The same, with nothing reported since.
fn switching(generation: Generation) -> (World, ResourceUuid) {
    let world = World::new(generation);
    world.clock.set("2026-11-02T00:00:00Z");
    let resource = world.resource("res");
    world.reported(resource, NOVEMBER, "cpu", "4");
    world.clock.set("2026-11-10T00:00:00Z");
    let large = world.waldur.plan(world.offering, "Large");
    world.waldur.switch_plan(resource, large);
    world.clock.set("2026-11-22T10:00:00Z");
    (world, resource)
}

#[tokio::test(start_paused = true)]
async fn c51_reporting_continues_and_the_rows_add_up_to_what_was_measured() {
    for generation in BOTH {
        let (world, resource) = switched(generation);
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "4.00"), ("cpu", "6.00")]), "{generation:?}");
        world.used("res", "cpu", "10");
        let report = world.run().await;
        assert_eq!(november(&report), "unchanged");
        assert_eq!(month(&report, NOVEMBER).split, ["cpu"]);
        assert_eq!(world.writes(), [""; 0]);
        world.used("res", "cpu", "12.5");
        assert_eq!(november(&world.run().await), "submitted");
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "4.00"), ("cpu", "8.50")]));
        assert_eq!(november(&world.run().await), "unchanged");
        world.used("res", "cpu", "12");
        assert_eq!(november(&world.run().await), "amounts went down");
    }
}

#[tokio::test(start_paused = true)]
async fn c51_the_first_report_after_a_change_of_plan_is_not_billed_twice() {
    for generation in BOTH {
        // Known to this process, or not.
        for fresh in [true, false] {
            let world = World::new(generation);
            let resource = world.resource("res");
            world.used("res", "cpu", "4");
            let reporter = world.agent().build();
            reporter.run_once(&OpContext::new("before")).await.unwrap();
            world.clock.set("2026-11-23T10:00:00Z");
            world.waldur.switch_plan(resource, world.waldur.plan(world.offering, "Large"));
            world.used("res", "cpu", "10");
            let reporter = if fresh { world.agent().build() } else { reporter };
            for outcome in ["submitted", "unchanged"] {
                let report = reporter.run_once(&OpContext::new("after")).await.unwrap();
                assert_eq!(november(&report), outcome, "{generation:?} {fresh}");
            }
            assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "4.00"), ("cpu", "6.00")]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c51_a_gauge_that_falls_below_the_old_plan_takes_from_both() {
    let (world, resource) = switched(Generation::V8);
    world.used("res", "cpu", "3");
    assert_eq!(november(&world.agent().decreasing().run().await), "submitted");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "3.00"), ("cpu", "0.00")]));
}

#[tokio::test(start_paused = true)]
async fn c51_rows_that_cannot_be_told_apart_are_left_alone() {
    let (world, resource) = switched(Generation::V8);
    world.used("res", "cpu", "12");
    let faults = Faults::new(world.waldur.clone())
        .on(op("component_usages.plan_periods"), status(403).json(&json!({ "detail": "No." })));
    let report = world.agent().waldur(faults).run().await;
    assert!(november(&report).starts_with("refused: component_usages.plan_periods"), "{report:#?}");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "4.00"), ("cpu", "6.00")]));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_plan_is_looked_for_once_in_the_life_of_a_process() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.reported(resource, NOVEMBER, "cpu", "1");
    let reporter = world.agent().build();
    for amount in ["2", "3", "4"] {
        world.used("res", "cpu", amount);
        reporter.run_once(&OpContext::new("run")).await.unwrap();
    }
    assert_eq!(world.sent(), ["cpu 2.00", "cpu 3.00", "cpu 4.00"]);
    assert_eq!(world.bodies("component_usages.plan_periods").len(), 1);
    let careless = world.agent().policy(|policy| policy.watch_plan_changes = false).build();
    world.used("res", "cpu", "5");
    careless.run_once(&OpContext::new("run")).await.unwrap();
    assert_eq!(world.bodies("component_usages.plan_periods").len(), 1);
}
