//! Amounts that go down (core.md §4.5; faults.md rows 136, 137).

use waldur_sdk::{process::UsageOutcome, testing::waldur::Generation};

use crate::usage::{BOTH, NOVEMBER, OCTOBER, World, assert_outcome, month, november, rows};

fn world(generation: Generation) -> (World, waldur_sdk::types::ResourceUuid) {
    let world = World::new(generation);
    let resource = world.resource("res");
    world.reported(resource, NOVEMBER, "cpu", "10.00");
    world.reported(resource, NOVEMBER, "mem", "5.00");
    (world, resource)
}

#[tokio::test(start_paused = true)]
async fn c50_less_than_stored_holds_the_month_up() {
    for generation in BOTH {
        let (world, resource) = world(generation);
        world.used("res", "cpu", "9.99");
        world.used("res", "mem", "6");
        world.user_used("res", "ann", "mem", "6");
        let report = world.run().await;
        assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::Anomaly));
        let decrease = &month(&report, NOVEMBER).decreases[0];
        assert_eq!(
            (decrease.component.as_str(), decrease.stored.to_string(), decrease.measured.to_string()),
            ("cpu", "10".to_owned(), "9.99".to_owned())
        );
        assert_eq!(world.writes(), [""; 0]);
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "10.00"), ("mem", "5.00")]));
        assert!(!report.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn c50_only_the_component_that_went_down_is_left_out_if_so_wanted() {
    for generation in BOTH {
        let (world, resource) = world(generation);
        world.used("res", "cpu", "9.99");
        world.used("res", "mem", "6");
        for component in ["cpu", "mem"] {
            world.user_used("res", "ann", component, "1");
        }
        let omitting = || world.agent().policy(|policy| policy.omit_anomalous_components = true);
        let report = omitting().run().await;
        assert_eq!(november(&report), "submitted");
        assert_eq!(world.sent(), ["mem 6.00"]);
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "10.00"), ("mem", "6.00")]));
        assert!(world.shares(resource, "cpu").is_empty(), "its users' shares are left out as well");
        assert_eq!(world.shares(resource, "mem")["ann"], "1.00");
        // The rest is in Waldur now; a new share of it still goes out.
        world.waldur.forget_requests();
        world.user_used("res", "ann", "mem", "2");
        let report = omitting().run().await;
        assert_eq!((november(&report).as_str(), month(&report, NOVEMBER).users.sent), ("unchanged", 1));
        assert_eq!(world.sent(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn c50_nothing_left_is_an_anomaly_again() {
    let (world, _) = world(Generation::V8);
    world.used("res", "cpu", "9");
    let report = world.agent().policy(|policy| policy.omit_anomalous_components = true).run().await;
    assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::Anomaly));
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn c50_an_anomaly_of_a_past_month_does_not_stop_the_current_one() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.reported(resource, OCTOBER, "cpu", "10");
    world.used_in("res", OCTOBER, "cpu", "9");
    world.used("res", "cpu", "1");
    let report = world.run().await;
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Anomaly));
    assert_eq!(november(&report), "submitted");
}

#[tokio::test(start_paused = true)]
async fn f136_a_gauge_that_may_go_down_is_followed() {
    for generation in BOTH {
        let (world, resource) = world(generation);
        for amount in ["12", "9.99", "0", "3"] {
            world.used("res", "cpu", amount);
            world.used("res", "mem", "5");
            let report = world.agent().decreasing().run().await;
            assert_eq!(november(&report), "submitted", "{amount}");
        }
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "3.00"), ("mem", "5.00")]));
    }
}

/// The reporter adds no segments: it keeps what Waldur has, and says in its losses how far the counter is behind. What
/// was used until it has caught up is lost, unless the back end itself adds up what it counted before.
#[tokio::test(start_paused = true)]
async fn f137_a_counter_that_begins_anew_is_flagged_until_it_has_caught_up() {
    let (world, resource) = world(Generation::V8);
    let reporter = world.agent().build();
    for (amount, outcome) in [("0", "amounts went down"), ("4", "amounts went down"), ("10.5", "submitted")] {
        world.used("res", "cpu", amount);
        let report = reporter.run_once(&waldur_sdk::backend::OpContext::new("run")).await.unwrap();
        assert_eq!(november(&report), outcome, "{amount}");
        let behind = format!("2026-11: cpu: {amount} was measured, but Waldur has 10");
        let told = report.losses().iter().any(|line| line.ends_with(&behind));
        assert_eq!(told, outcome != "submitted", "{:?}", report.losses());
    }
    assert_eq!(world.stored(resource, NOVEMBER)["cpu"], ["10.50"]);
}
