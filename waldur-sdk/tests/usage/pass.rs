//! One run: what is reported, and what is not sent again (core.md §4.1 to §4.4).

use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    backend::{Cancellation, OpContext},
    process::UsageOutcome,
    testing::{
        MemoryBackend,
        waldur::{Generation, ResourceState},
    },
    types::ResourceUuid,
};

use crate::usage::{BOTH, NOVEMBER, OCTOBER, World, assert_outcome, month, november, rows};

#[tokio::test(start_paused = true)]
async fn what_was_measured_is_reported() {
    for generation in BOTH {
        let world = World::new(generation);
        let resource = world.resource("res");
        world.used("res", "cpu", "12.5");
        world.used("res", "mem", "3");
        let report = world.run().await;
        assert_eq!(november(&report), "submitted");
        assert!(report.is_clean(), "{report:#?}");
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "12.50"), ("mem", "3.00")]));
        assert_eq!(world.writes(), ["component_usages.set_usage"]);
        let body = world.bodies("component_usages.set_usage").remove(0);
        assert_eq!(body["resource"], json!(resource.hex()));
        assert!(body["date"].as_str().unwrap().starts_with("2026-11-22T10:00:0"), "{body}");
        assert!(body.get("missing_usage_policy").is_none() && body.get("plan_period").is_none());
        assert_outcome(&report, OCTOBER, |outcome| matches!(outcome, UsageOutcome::NotYet));
        let ours = report.resources[0].clone();
        assert_eq!((ours.resource, ours.resource_name.as_str(), ours.stale_runs), (resource, "res", 0));
    }
}

#[tokio::test(start_paused = true)]
async fn c49_a_second_run_reports_nothing_and_sub_cent_noise_is_no_change() {
    for generation in BOTH {
        let world = World::new(generation);
        let resource = world.resource("res");
        world.used("res", "cpu", "10.004");
        let reporter = world.agent().build();
        reporter.run_once(&OpContext::new("first")).await.unwrap();
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "10.00")]));
        for noise in ["10.004", "9.996", "10.0000000001", "10.005"] {
            world.used("res", "cpu", noise);
            let report = reporter.run_once(&OpContext::new("again")).await.unwrap();
            assert_eq!(november(&report), "unchanged", "{noise}");
        }
        assert_eq!(world.writes().len(), 1);
        // A fresh process knows no more than Waldur does.
        assert_eq!(november(&world.run().await), "unchanged");
        assert_eq!(world.writes().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn c49_a_component_that_appears_or_vanishes_is_a_change() {
    let world = World::new(Generation::V8);
    world.resource("res");
    world.used("res", "cpu", "1");
    let reporter = world.agent().build();
    let run = async || reporter.run_once(&OpContext::new("run")).await.unwrap();
    run().await;
    world.used("res", "mem", "2");
    assert_eq!(november(&run().await), "submitted");
    world.service.forget_usage("res", NOVEMBER);
    world.used("res", "cpu", "1");
    assert_eq!(november(&run().await), "submitted");
    assert_eq!(world.sent(), ["cpu 1.00", "cpu 1.00, mem 2.00", "cpu 1.00"]);
    // Waldur keeps the row of what is not measured any more: that is no news for ever.
    assert_eq!(november(&run().await), "unchanged");
    assert_eq!(world.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn c54_an_explicit_zero_is_reported_and_no_word_is_not() {
    for generation in BOTH {
        let world = World::new(generation);
        let (zero, silent) = (world.resource("zero"), world.resource("silent"));
        world.used("zero", "cpu", "0");
        let report = world.run().await;
        assert_eq!(report.count(|outcome| matches!(outcome, UsageOutcome::Submitted)), 1);
        assert_eq!(world.sent(), ["cpu 0.00"]);
        assert_eq!(world.stored(zero, NOVEMBER), rows([("cpu", "0.00")]));
        assert_eq!(world.stored(silent, NOVEMBER), rows([]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_waldur_does_not_bill_by_usage_is_not_sent() {
    for generation in BOTH {
        let world = World::new(generation);
        let resource = world.resource("res");
        for component in ["cpu", "node", "setup", "moon"] {
            world.used("res", component, "1");
        }
        let report = world.run().await;
        let november = month(&report, NOVEMBER);
        assert!(matches!(november.outcome, UsageOutcome::Submitted), "{november:#?}");
        assert_eq!((november.unknown.join(" "), november.unbilled.join(" ")), ("moon".into(), "node setup".into()));
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "1.00")]));
        let losses = report.losses().join("\n");
        for component in ["moon", "node", "setup"] {
            assert!(losses.contains(&format!("2026-11: {component}: ")), "{losses}");
        }
        // Nothing but those: there is nothing to say.
        world.service.forget_usage("res", NOVEMBER);
        world.used("res", "node", "1");
        world.waldur.forget_requests();
        let report = world.run().await;
        assert_eq!(crate::usage::november(&report), "nothing measured");
        assert!(!report.is_clean(), "something was used, and nobody is billed");
        // That October is not counted, too.
        assert_eq!(report.losses().len(), 3, "{:?}", report.losses());
        assert_eq!(world.writes(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_resources_in_use_with_a_name_are_measured() {
    let world = World::new(Generation::V8);
    for (id, state) in [("creating", ResourceState::Creating), ("gone", ResourceState::Terminated)] {
        let resource = world.resource(id);
        world.waldur.change_resource(resource, |row| row.state(state));
        world.used(id, "cpu", "1");
    }
    let nameless = world.waldur.resource(world.offering).create();
    let report = world.run().await;
    assert_eq!(report.resources.iter().map(|row| row.resource).collect::<Vec<_>>(), [nameless]);
    assert!(report.resources[0].periods.is_empty() && report.is_clean());
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_back_end_that_measures_nothing_is_skipped_quietly() {
    let world = World::new(Generation::V8);
    world.resource("res");
    let environment = world.environment();
    let http = waldur_sdk::rest::Http::new(world.waldur.clone()).with_environment(environment);
    let backend = std::sync::Arc::new(MemoryBackend::new(&world.service).unwrap());
    let reporter = waldur_sdk::process::UsageReporter::new(world.client(http), backend, world.offering);
    let report = reporter.run_once(&OpContext::new("none")).await.unwrap();
    assert!(report.no_source && report.is_clean());
    assert_eq!(world.waldur.requests().len(), 0);
    let resource = ResourceUuid::new(waldur_sdk::types::Uuid::nil());
    let error = reporter.report_resource(&OpContext::new("none"), resource).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_says_what_it_would_report() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.used("res", "cpu", "5");
    world.user_used("res", "ann", "cpu", "5");
    world.used_in("res", OCTOBER, "cpu", "4");
    let report = world.agent().policy(|policy| policy.dry_run = true).run().await;
    let months: Vec<_> =
        report.outcomes().map(|month| (month.outcome.to_string(), month.submitted["cpu"].to_string())).collect();
    assert_eq!(months, [("dry run".into(), "4".into()), ("dry run".to_owned(), "5".to_owned())]);
    assert_eq!(month(&report, NOVEMBER).users.sent, 1);
    assert_eq!(world.writes(), [""; 0]);
    assert_eq!(world.stored(resource, NOVEMBER), rows([]));
}

#[tokio::test(start_paused = true)]
async fn one_resource_is_reported_by_itself() {
    for generation in BOTH {
        let world = World::new(generation);
        let (one, other) = (world.resource("one"), world.resource("other"));
        world.used("one", "cpu", "1");
        world.used("other", "cpu", "2");
        let reporter = world.agent().build();
        let report = reporter.report_resource(&OpContext::new("event"), one).await.unwrap();
        assert!(matches!(report.periods.last().unwrap().outcome, UsageOutcome::Submitted), "{report:#?}");
        assert_eq!(world.stored(one, NOVEMBER), rows([("cpu", "1.00")]));
        assert_eq!(world.stored(other, NOVEMBER), rows([]));
        let second = world.waldur.offering().create();
        let stranger = world.waldur.resource(second).backend_id("one").create();
        let error = reporter.report_resource(&OpContext::new("event"), stranger).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        world.assert_sound();
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_asked_to_stop_reports_no_more() {
    let world = World::new(Generation::V8);
    for number in 0..20 {
        world.resource(&format!("res-{number}"));
        world.used(&format!("res-{number}"), "cpu", "1");
    }
    let stop = Cancellation::default();
    stop.cancel();
    let report = world.agent().cx(|cx| cx.with_cancellation(stop)).run().await;
    assert_eq!(report.count(|outcome| matches!(outcome, UsageOutcome::Deferred(_))), 20);
    assert_eq!(world.writes(), [""; 0]);
    let report = world.run().await;
    assert_eq!(report.count(|outcome| matches!(outcome, UsageOutcome::Submitted)), 20);
}

#[test]
fn the_settings_file_says_how_usage_is_reported() {
    let tree = json!({
        "timezone": "UTC", "reporting_periods": 3,
        "offerings": [{
            "name": "o", "waldur_api_url": "https://waldur.example.org/api/", "waldur_api_token": "t",
            "waldur_offering_uuid": "000000e1-0000-4000-8000-0000000000e1", "backend_type": "memory",
            "reporting_backend": "memory", "omit_anomalous_usage_components": true,
        }],
    });
    let (agent, _) = waldur_sdk::settings::AgentSettings::from_value(&tree).unwrap();
    let policy = waldur_sdk::process::UsagePolicy::from_settings(&agent, &agent.offerings[0]);
    assert_eq!((policy.reporting_periods, policy.omit_anomalous_components), (3, true));
    assert_eq!(policy.timezone, agent.timezone);
    let plain = waldur_sdk::process::UsagePolicy::default();
    assert_eq!((plain.reporting_periods, plain.concurrency, plain.dry_run, plain.per_user), (2, 8, false, true));
}
