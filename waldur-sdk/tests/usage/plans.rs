//! Several rows of one component: what a change of plan within the month leaves (core.md §4.5, §8 #15).

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use waldur_sdk::{
    backend::OpContext,
    testing::{Faults, op, status, waldur::Generation, when},
    types::ResourceUuid,
};

use crate::{
    layers::Before,
    usage::{BOTH, NOVEMBER, World, month, november, rows},
};

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

#[tokio::test(start_paused = true)]
async fn c51_a_process_that_may_not_read_plans_does_not_guess_where_another_reported() {
    let denied = |world: &World| {
        let denial = status(403).json(&json!({ "detail": "No." }));
        Faults::new(world.waldur.clone()).on(op("component_usages.plan_periods"), denial)
    };
    for switches in [true, false] {
        let (world, resource) = if switches { switching(Generation::V8) } else { switched(Generation::V8) };
        world.used("res", "cpu", "12");
        let report = world.agent().waldur(denied(&world)).run().await;
        assert!(november(&report).starts_with("refused: component_usages.plan_periods"), "{report:#?}");
        assert_eq!(world.billed(resource), if switches { 4 } else { 10 }.into());
    }
    // What this process reported itself, on the plan that the resource is on, is no riddle.
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    let reporter = world.agent().waldur(denied(&world)).build();
    for amount in ["4", "7"] {
        world.used("res", "cpu", amount);
        assert_eq!(november(&reporter.run_once(&OpContext::new("run")).await.unwrap()), "submitted");
    }
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "7.00")]));
    // Whoever does not watch for changes of plans has said so.
    world.used("res", "cpu", "9");
    let careless = world.agent().waldur(denied(&world)).policy(|policy| policy.watch_plan_changes = false);
    assert_eq!(november(&careless.run().await), "submitted");
}

impl World {
    fn switch(&self, resource: ResourceUuid, plan: &str) {
        self.clock.set(&self.clock.now().checked_add(jiff::SignedDuration::from_hours(1)).unwrap().to_string());
        self.waldur.switch_plan(resource, self.waldur.plan(self.offering, plan));
    }

    /// What November comes to on the bill.
    fn billed(&self, resource: ResourceUuid) -> waldur_sdk::types::Decimal {
        self.waldur.usage_of(resource).iter().map(|row| row.amount).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn c51_a_run_that_reports_nothing_after_a_change_of_plan_does_not_hide_it() {
    for generation in BOTH {
        for quiet in ["unchanged", "unreadable", "amounts went down", "not counted yet", "refused", "dry run"] {
            for fresh in [true, false] {
                let world = World::new(generation);
                let resource = world.resource("res");
                world.used("res", "cpu", "10");
                let refusing = op("component_usages.set_usage").nth(2);
                let faults = Faults::new(world.waldur.clone()).on(refusing, status(403));
                let agent = || if quiet == "refused" { world.agent().waldur(faults.clone()) } else { world.agent() };
                let reporter = agent().build();
                let run = async || november(&reporter.run_once(&OpContext::new("run")).await.unwrap());
                assert_eq!(run().await, "submitted");
                world.switch(resource, "Large");
                match quiet {
                    "unreadable" => world.service.fail_usage("res", true),
                    "amounts went down" => world.used("res", "cpu", "9"),
                    "not counted yet" => world.service.forget_usage("res", NOVEMBER),
                    "refused" | "dry run" => world.used("res", "cpu", "10.5"),
                    _ => {}
                }
                let dry = reporter.clone().with_policy({
                    let mut policy = waldur_sdk::process::UsagePolicy::default();
                    policy.dry_run = quiet == "dry run";
                    policy
                });
                let outcome = november(&dry.run_once(&OpContext::new("quiet")).await.unwrap());
                assert!(outcome.starts_with(quiet), "{outcome}");
                world.service.fail_usage("res", false);
                world.used("res", "cpu", "11");
                let reporter = if fresh { world.agent().build() } else { reporter };
                for outcome in ["submitted", "unchanged"] {
                    let report = reporter.run_once(&OpContext::new("growth")).await.unwrap();
                    assert_eq!(november(&report), outcome, "{generation:?} {quiet} {fresh}");
                }
                let want = rows([("cpu", "10.00"), ("cpu", "1.00")]);
                assert_eq!(world.stored(resource, NOVEMBER), want, "{generation:?} {quiet} {fresh}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c51_there_and_back_between_two_runs_is_billed_once() {
    for generation in BOTH {
        for amounts in [&["10"][..], &["10", "11"], &["10", "11", "11.5"]] {
            let world = World::new(generation);
            let resource = world.resource("res");
            let reporter = world.agent().build();
            let run = async |amount: &str| {
                world.used("res", "cpu", amount);
                november(&reporter.run_once(&OpContext::new("run")).await.unwrap())
            };
            for amount in amounts {
                assert_eq!(run(amount).await, "submitted");
            }
            world.switch(resource, "Large");
            world.switch(resource, "Small");
            assert_eq!(run("12").await, "submitted");
            assert_eq!(world.billed(resource), 12.into(), "{generation:?} {amounts:?}");
            assert_eq!(run("13.25").await, "submitted");
            assert_eq!(world.billed(resource).to_string(), "13.25");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c51_a_change_of_plan_between_reading_and_reporting_is_billed_once() {
    for generation in BOTH {
        for known in [true, false] {
            let world = World::new(generation);
            let resource = world.resource("res");
            world.reported(resource, NOVEMBER, "cpu", "10");
            let twin = world.clone();
            let switching = move || twin.switch(resource, "Large");
            let before = Before::new(&world.waldur, "component_usages.set_usage", switching);
            let reporter = world.agent().waldur(before).build();
            let amounts = if known { &["11", "12", "13"][..] } else { &["13"] };
            for amount in amounts {
                world.used("res", "cpu", amount);
                let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
                assert_eq!(november(&report), "submitted", "{generation:?} {amount}");
            }
            assert_eq!(world.billed(resource), 13.into(), "{generation:?} {known}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c51_a_change_of_plan_that_was_seen_is_no_guess_when_waldur_does_not_tell_the_plans() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.used("res", "cpu", "10");
    let faults = Faults::new(world.waldur.clone())
        .on(op("component_usages.plan_periods"), status(403).json(&json!({ "detail": "No." })));
    let reporter = world.agent().waldur(faults).build();
    let run = async || november(&reporter.run_once(&OpContext::new("run")).await.unwrap());
    assert_eq!(run().await, "submitted");
    // On the same plan it goes on.
    world.used("res", "cpu", "11");
    assert_eq!(run().await, "submitted");
    world.switch(resource, "Large");
    world.used("res", "cpu", "12");
    for _again in 0..2 {
        assert!(run().await.starts_with("refused: component_usages.plan_periods"));
    }
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "11.00")]));
    // Somebody who may read them reports the rest.
    assert_eq!(november(&world.run().await), "submitted");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "11.00"), ("cpu", "1.00")]));
}

#[tokio::test(start_paused = true)]
async fn c51_plans_that_make_no_sense_are_no_reason_to_bill_the_whole_beside_a_row() {
    let bodies =
        ["[]", "<html>", "{}", r#"[{"uuid": "00000000000000000000000000000001", "start": "2026-11-01T00:00:00Z"}]"#];
    for body in bodies {
        let (world, resource) = switching(Generation::V8);
        world.used("res", "cpu", "12");
        let faults = Faults::new(world.waldur.clone())
            .on(op("component_usages.plan_periods"), waldur_sdk::testing::Action::replace_body(body));
        let report = world.agent().waldur(faults).run().await;
        assert!(!report.is_clean(), "{body}");
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "4.00")]), "{body}");
    }
}

/// The final amounts of a month go out once; a plan period that was read long ago must not be the only try.
#[tokio::test(start_paused = true)]
async fn c51_a_month_that_is_over_is_refused_for_good_only_by_what_was_read_just_now() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    let refusing = Arc::new(AtomicBool::new(false));
    let reporter = {
        let (refusing, plans) = (refusing.clone(), Arc::new(Mutex::new(None)));
        // A server that takes nothing for the plan period that was reported to first.
        let closed = when("a report to a period that is over", move |request: &http::Request<bytes::Bytes>| {
            let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let Some(plan) = body["plan_period"].as_str().map(str::to_owned) else { return false };
            let mut first = plans.lock().unwrap();
            let first = first.get_or_insert_with(|| plan.clone());
            refusing.load(Ordering::Relaxed) && *first == plan
        });
        let refusal = status(400).json(&json!({ "plan_period": ["It is over."] }));
        let faults = Faults::new(world.waldur.clone()).on(closed, refusal);
        world.agent().waldur(faults).build()
    };
    let run = async || reporter.run_once(&OpContext::new("run")).await.unwrap();
    for amount in ["1", "2"] {
        world.used("res", "cpu", amount);
        assert_eq!(november(&run().await), "submitted");
    }
    world.switch(resource, "Large");
    world.switch(resource, "Small");
    world.used("res", "cpu", "5");
    world.clock.set("2026-12-02T10:00:00Z");
    refusing.store(true, Ordering::Relaxed);
    let report = run().await;
    assert_eq!(month(&report, NOVEMBER).outcome.to_string(), "submitted", "{report:#?}");
    assert_eq!(world.billed(resource), 5.into());
}

/// What is refused by plans that were read for it is not sent again and again.
#[tokio::test(start_paused = true)]
async fn c51_a_month_that_is_over_and_refused_by_fresh_plans_is_not_sent_again() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.reported(resource, NOVEMBER, "cpu", "1");
    world.used("res", "cpu", "5");
    world.clock.set("2026-12-02T10:00:00Z");
    let faults = Faults::new(world.waldur.clone())
        .on(op("component_usages.set_usage"), status(400).json(&json!({ "plan_period": ["It is over."] })));
    let reporter = world.agent().waldur(faults.clone()).build();
    for _again in 0..3 {
        let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
        assert!(month(&report, NOVEMBER).outcome.to_string().starts_with("refused"), "{report:#?}");
    }
    assert_eq!(faults.acted(), 1);
}
