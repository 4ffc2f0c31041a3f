//! What goes wrong (core.md §4.4, §4.7; faults.md rows 37, 134 to 149; security.md S46, S47).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::Request;
use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    backend::{Capabilities, OpContext, Period, ResourceBackend, Usage},
    process::{ResourceUsageReport, UsageOutcome, UsageReporter},
    rest::Http,
    testing::{
        Action, Counting, Faults, MemoryBackend, Overridden, Override, op, status,
        waldur::{Generation, ResourceState},
        when,
    },
    types::BackendId,
};

use crate::{
    layers::{Before, Panicking, Rows},
    usage::{BOTH, NOVEMBER, OCTOBER, World, assert_outcome, month, november, rows},
};

fn world(generation: Generation) -> World {
    let world = World::new(generation);
    world.resource("res");
    world.used("res", "cpu", "10");
    world
}

#[tokio::test(start_paused = true)]
async fn f037_a_back_end_that_fails_is_never_zero() {
    let faults: [(&str, Action); 7] = [
        ("500", status(500).into()),
        ("403", status(403).into()),
        ("a page", Action::html()),
        ("cut short", Action::truncate()),
        ("of another sort", Action::replace_body("{\"usage\": []}")),
        ("an empty list", Action::replace_body("[]")),
        ("nulls", Action::replace_body("[{\"id\": \"res\", \"usage\": null}]")),
    ];
    for (name, fault) in faults {
        for generation in BOTH {
            let world = world(generation);
            let broken = Faults::new(world.service.clone()).on(op("usage.list"), fault.clone());
            let report = world.agent().service(broken.clone()).run().await;
            assert!(broken.idle_rules().is_empty(), "{name}");
            assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::Unreadable(_)));
            assert_eq!(world.writes(), [""; 0], "{name}");
            assert!(!report.is_clean());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f037_waldur_that_cannot_be_read_is_told_nothing() {
    for broken in ["component_usages.list", "provider_offerings.get", "provider_resources.summaries"] {
        let world = world(Generation::V8);
        let matcher = match broken {
            "provider_resources.summaries" => op("provider_resources.list"),
            name => op(name),
        };
        let faults = Faults::new(world.waldur.clone()).on(matcher, status(500));
        let reporter = world.agent().waldur(faults).build();
        match reporter.run_once(&OpContext::new("run")).await {
            Ok(report) => assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::Deferred(_))),
            Err(error) => assert_eq!(error.kind(), waldur_sdk::ErrorKind::Server, "{broken}"),
        }
        assert_eq!(world.writes(), [""; 0], "{broken}");
    }
}

#[tokio::test(start_paused = true)]
async fn f134_how_long_usage_could_not_be_read_is_counted() {
    let world = world(Generation::V8);
    world.resource("fine");
    world.used("fine", "cpu", "1");
    let reporter = world.agent().build();
    let run = async || reporter.run_once(&OpContext::new("run")).await.unwrap();
    world.service.fail_usage("res", true);
    for runs in 1..=3 {
        let report = run().await;
        assert_eq!(report.stalest(), runs);
        let fine = report.resources.iter().find(|row| row.resource_name == "fine").unwrap();
        assert_eq!(fine.stale_runs, 0);
    }
    world.service.fail_usage("res", false);
    assert_eq!(run().await.stalest(), 0);
    // Left out of the answer is not read either.
    world.service.omit_usage("res", true);
    assert_eq!(run().await.stalest(), 1);
    assert_eq!(world.sent(), ["cpu 1.00", "cpu 10.00"]);
}

#[tokio::test(start_paused = true)]
async fn f135_less_than_nothing_is_no_measurement() {
    for (total, user) in [("-0.001", "0"), ("-5", "0"), ("10", "-1")] {
        let world = World::new(Generation::V8);
        let resource = world.resource("res");
        world.used("res", "cpu", total);
        world.used("res", "mem", "1");
        world.user_used("res", "ann", "cpu", user);
        let report = world.run().await;
        let error = match &month(&report, NOVEMBER).outcome {
            UsageOutcome::Unreadable(error) => error.to_string(),
            other => panic!("{other}"),
        };
        assert!(error.contains("cpu: the back end measured -"), "{error}");
        assert_eq!(world.stored(resource, NOVEMBER), rows([]), "not even what looks right");
        assert_eq!(report.stalest(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn c57_a_resource_in_a_wrong_state_costs_one_attempt_and_no_time() {
    for generation in BOTH {
        let world = world(generation);
        let resource = world.resource("erred");
        world.used("erred", "cpu", "1");
        world.waldur.change_resource(resource, |row| row.state(ResourceState::Erred));
        let begin = Instant::now();
        let report = world.run().await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
        let erred = report.resources.iter().find(|row| row.resource == resource).unwrap();
        let last = erred.periods.last().unwrap();
        assert!(
            matches!(&last.outcome, UsageOutcome::WrongState(error) if error.message().contains("not in valid state"))
        );
        assert_eq!(last.attempts, 1);
        assert_eq!(world.bodies("component_usages.set_usage").len(), 2);
        assert_eq!(report.count(|end| matches!(end, UsageOutcome::Submitted)), 1);
        // Mended, it is reported.
        world.waldur.change_resource(resource, |row| row.state(ResourceState::Ok));
        world.run().await;
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "1.00")]));
    }
}

#[tokio::test(start_paused = true)]
async fn f146_a_report_whose_answer_got_lost_is_found_and_not_sent_again() {
    for generation in BOTH {
        let world = world(generation);
        let faults = Faults::new(world.waldur.clone())
            .on(op("component_usages.set_usage").nth(1), Action::commit_then(status(504)));
        let report = world.agent().sending_once().waldur(faults.clone()).run().await;
        assert!(faults.idle_rules().is_empty());
        assert_eq!((november(&report).as_str(), month(&report, NOVEMBER).attempts), ("unchanged", 2));
        assert_eq!(world.sent(), ["cpu 10.00"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_passing_failure_is_tried_again_and_a_lasting_one_not() {
    let world = world(Generation::V8);
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage").first(3), status(503));
    let report = world.agent().sending_once().waldur(faults).run().await;
    assert_eq!((november(&report).as_str(), month(&report, NOVEMBER).attempts), ("submitted", 4));

    let world = crate::faults::world(Generation::V8);
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage"), status(403));
    let report = world.agent().sending_once().waldur(faults).run().await;
    assert_eq!(month(&report, NOVEMBER).attempts, 1);
    assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::Refused(_)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_waldur_does_not_take_as_long_as_there_are_resources() {
    let world = World::new(Generation::V8);
    for number in 0..200 {
        world.resource(&format!("res-{number}"));
        world.used(&format!("res-{number}"), "cpu", "1");
    }
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage"), status(503));
    // Pauses as long as they can be.
    let environment = world.environment().with_random(|| u64::MAX);
    let http = waldur_sdk::rest::Http::new(faults).with_environment(environment);
    let http = http.with_retry(waldur_sdk::rest::RetryPolicy::none());
    let memory = waldur_sdk::testing::MemoryBackend::new(&world.service).unwrap().with_usage();
    let reporter = waldur_sdk::process::UsageReporter::new(world.client(http), Arc::new(memory), world.offering);
    let begin = Instant::now();
    let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
    assert_eq!(report.count(|end| matches!(end, UsageOutcome::Deferred(_))), 200);
    assert!(begin.elapsed() <= Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(world.run().await.count(|end| matches!(end, UsageOutcome::Submitted)), 200);
}

#[tokio::test(start_paused = true)]
async fn f147_a_resource_that_ends_between_reading_and_reporting_is_skipped() {
    for generation in BOTH {
        let world = world(generation);
        world.resource("other");
        world.used("other", "cpu", "2");
        let resource = world.service.object("res").unwrap().stamp.unwrap();
        let waldur = world.waldur.clone();
        let ends = move || waldur.change_resource(resource, |row| row.state(ResourceState::Terminated));
        let transport = Before::new(&world.waldur, "component_usages.set_usage", ends);
        let report = world.agent().waldur(transport).run().await;
        assert_eq!(report.count(|end| matches!(end, UsageOutcome::WrongState(_))), 1);
        assert_eq!(report.count(|end| matches!(end, UsageOutcome::Submitted)), 1);
        assert!(report.is_clean());
    }
    for gone in [404, 409] {
        let world = world(Generation::V8);
        let refusal = status(gone).json(&json!({ "detail": "Gone." }));
        let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage"), refusal);
        let report = world.agent().waldur(faults).run().await;
        assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::WrongState(_)));
        assert!(!report.is_clean(), "a resource that was listed and is not there");
    }
}

#[tokio::test(start_paused = true)]
async fn f129_a_back_end_that_panics_over_one_month_leaves_the_other_alone() {
    let world = world(Generation::V8);
    world.used_in("res", OCTOBER, "cpu", "9");
    let report = world.agent().service(Panicking(world.service.clone(), OCTOBER)).run().await;
    let error = match &month(&report, OCTOBER).outcome {
        UsageOutcome::Unreadable(error) => error.to_string(),
        other => panic!("{other}"),
    };
    assert!(error.contains("panicked") && !error.contains("secret"), "{error}");
    assert_eq!(november(&report), "submitted");
    assert_eq!(world.sent(), ["cpu 10.00"]);
}

#[tokio::test(start_paused = true)]
async fn sec47_usage_of_an_id_that_two_resources_have_is_billed_to_neither() {
    for generation in BOTH {
        let world = world(generation);
        let twin = world.waldur.resource(world.offering).name("twin").slug("twin").backend_id("res").create();
        world.resource("other");
        world.used("other", "cpu", "1");
        let report = world.run().await;
        assert_eq!(report.count(|end| matches!(end, UsageOutcome::Submitted)), 1);
        let unreadable = report.resources.iter().filter(|row| row.resource_name != "other");
        for resource in unreadable {
            let outcome = &resource.periods.last().unwrap().outcome;
            assert!(outcome.to_string().contains("several resources have this back-end id"), "{outcome}");
        }
        assert_eq!((world.sent(), report.is_clean(), report.stalest()), (vec!["cpu 1.00".to_owned()], false, 1));
        // One of them alone is no better off.
        let alone = world.agent().build().report_resource(&OpContext::new("event"), twin).await.unwrap();
        assert!(matches!(alone.periods.last().unwrap().outcome, UsageOutcome::Unreadable(_)), "{alone:#?}");
        assert_eq!(world.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn any_answer_of_waldur_ends_an_outage() {
    let world = World::new(Generation::V8);
    let [down, refused, up] = ["a", "b", "c"].map(|id| world.resource(id).hex());
    for id in ["a", "b", "c"] {
        world.used(id, "cpu", "1");
    }
    let about = |uuid: String| {
        when("a report about one", move |request: &Request<Bytes>| {
            String::from_utf8_lossy(request.body()).contains(&uuid)
        })
    };
    let faults = Faults::new(world.waldur.clone())
        .on(about(down), status(503))
        .on(about(refused), status(403))
        .on(about(up).first(2), status(503));
    let agent = world.agent().sending_once().policy(|policy| {
        policy.concurrency = 1;
        policy.retry.max_attempts = 1000;
        policy.retry.initial_backoff = Duration::from_secs(10);
    });
    // Pauses that last.
    let report = agent.random(u64::MAX).waldur(faults).run().await;
    let ends: Vec<_> = report.resources.iter().map(|row| row.periods.last().unwrap().outcome.to_string()).collect();
    assert!(ends[0].starts_with("deferred: ") && ends[1].starts_with("refused: "), "{ends:?}");
    assert_eq!(ends[2], "submitted", "it has as much time as the first had");
}

#[tokio::test(start_paused = true)]
async fn f148_a_first_report_that_cannot_be_read_makes_no_row() {
    let world = world(Generation::V8);
    let resource = world.service.object("res").unwrap().stamp.unwrap();
    world.service.fail_usage("res", true);
    world.run().await;
    assert!(world.waldur.usage_of(resource).is_empty());
    world.service.fail_usage("res", false);
    world.run().await;
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "10.00")]));
}

#[tokio::test(start_paused = true)]
async fn f149_a_member_that_is_missing_is_not_zero() {
    let bodies = [
        // No total; a total without the component; a component that says nothing.
        (r#"[{"id": "res", "usage": {"users": {}}}]"#, "not counted yet"),
        (r#"[{"id": "res", "usage": {"total": {}}}]"#, "nothing measured"),
        (r#"[{"id": "res", "usage": {"total": {"cpu": null}}}]"#, "nothing measured"),
        (r#"[{"id": "res", "usage": {"total": {"cpu": "much"}}}]"#, "unreadable: "),
        (r#"[{"id": "res", "usage": {"total": {"cpu": [1]}}}]"#, "unreadable: "),
    ];
    for (body, outcome) in bodies {
        let world = world(Generation::V8);
        let faults = Faults::new(world.service.clone()).on(op("usage.list"), Action::replace_body(body));
        let report = world.agent().service(faults).run().await;
        assert!(november(&report).starts_with(outcome), "{body}: {}", november(&report));
        assert_eq!(world.writes(), [""; 0], "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn f150_one_of_300_resources_fails_and_the_others_do_not() {
    let world = World::new(Generation::V8);
    for number in 0..300 {
        world.resource(&format!("res-{number}"));
        world.used(&format!("res-{number}"), "cpu", "1");
    }
    let unlucky = world.service.object("res-217").unwrap().stamp.unwrap();
    // First refused, then down, then well.
    for answer in [Some(400), Some(503), None] {
        let about = when("a report about one", move |request: &Request<Bytes>| {
            String::from_utf8_lossy(request.body()).contains(&unlucky.hex())
        });
        let faults = Faults::new(world.waldur.clone());
        let faults = if let Some(answer) = answer { faults.on(about, status(answer)) } else { faults };
        let already = world.sent().len();
        let report = world.agent().waldur(faults).run().await;
        assert_eq!(report.resources.len(), 300);
        let bad = |row: &&ResourceUsageReport| row.periods.iter().any(|month| !month.outcome.is_good());
        let failed: Vec<_> = report.resources.iter().filter(bad).collect();
        let names: Vec<_> = failed.iter().map(|row| (row.resource, row.resource_name.as_str())).collect();
        let expected = if answer.is_some() { vec![(unlucky, "res-217")] } else { Vec::new() };
        assert_eq!((names, report.is_clean()), (expected, answer.is_none()), "{answer:?}");
        let sent = if answer == Some(400) { 299 } else { usize::from(answer.is_none()) };
        assert_eq!(report.count(|end| matches!(end, UsageOutcome::Submitted)), sent, "{answer:?}");
        assert_eq!(world.sent().len() - already, sent, "only what is missing: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sec46_a_listing_that_is_not_proven_whole_is_not_taken_for_all_there_is() {
    let world = World::new(Generation::V8);
    let (one, two) = (world.resource("one"), world.resource("two"));
    for (id, resource) in [("one", one), ("two", two)] {
        world.reported(resource, NOVEMBER, "cpu", "5");
        world.used(id, "cpu", "4");
    }
    // A row of the listing of all that is broken: whose it is cannot be told.
    let rows = json!([{ "uuid": 7, "type": "cpu" }]).to_string();
    let all = when("the listing of all", |request: &Request<Bytes>| {
        let query = request.uri().query().unwrap_or_default();
        request.uri().path().ends_with("/marketplace-component-usages/") && query.contains("offering_uuid")
    });
    let faults = Faults::new(world.waldur.clone()).on(all, Action::replace_body(rows));
    let counting = Counting::new(faults);
    let report = world.agent().policy(|policy| policy.reporting_periods = 1).waldur(counting.clone()).run().await;
    // All twice, since the list is shorter than its count; then each by itself, so that the guard against decreases is not
    // blind.
    assert_eq!(report.count(|end| matches!(end, UsageOutcome::Anomaly)), 2, "{report:#?}");
    assert_eq!(counting.counts().of("component_usages.list"), 4);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn sec47_nothing_is_billed_without_positive_evidence() {
    for generation in BOTH {
        let world = World::new(generation);
        let ids = ["failing", "left-out", "uncounted", "partial", "zero"];
        let resources = ids.map(|id| world.resource(id));
        for (id, resource) in ids.into_iter().zip(resources) {
            world.reported(resource, NOVEMBER, "mem", "4");
            if id != "uncounted" {
                world.used(id, "cpu", "0");
            }
        }
        world.service.fail_usage("failing", true);
        world.service.omit_usage("left-out", true);
        world.used("zero", "mem", "4");
        world.run().await;
        let stored = resources.map(|resource| world.stored(resource, NOVEMBER));
        let untouched = rows([("mem", "4.00")]);
        assert_eq!(stored[..3], [untouched.clone(), untouched.clone(), untouched], "{generation:?}");
        // Zero where zero was measured, and nothing about what was not.
        assert_eq!(stored[3], rows([("cpu", "0.00"), ("mem", "4.00")]));
        assert_eq!(stored[4], rows([("cpu", "0.00"), ("mem", "4.00")]));
        let mut sent = world.sent();
        sent.sort();
        assert_eq!(sent, ["cpu 0.00", "cpu 0.00, mem 4.00"]);
    }
}

/// Somebody wrote an id of another offering's object into a resource.
#[tokio::test(start_paused = true)]
async fn nobody_is_billed_what_carries_anothers_stamp() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.used("res", "cpu", "9");
    let mut object = world.service.object("res").unwrap();
    object.stamp = Some(waldur_sdk::types::ResourceUuid::new(waldur_sdk::types::Uuid::from_u128(0x0bad)));
    world.service.put("res", object.clone());
    let report = world.run().await;
    assert_outcome(
        &report,
        NOVEMBER,
        |end| matches!(end, UsageOutcome::Unreadable(error) if error.kind() == waldur_sdk::ErrorKind::Foreign),
    );
    assert!(!report.is_clean() && world.writes().is_empty());
    // Of what carries none, as many objects do, the recorded id counts.
    object.stamp = None;
    world.service.put("res", object);
    assert_eq!(november(&world.run().await), "submitted");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "9.00")]));
}

/// Measures objects that have numbers, of which one is published with the resource.
struct Numbered {
    inner: MemoryBackend,
    number: Option<u64>,
    goes_by_it: bool,
}

#[async_trait]
impl Override for Numbered {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }
    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::default();
        if self.goes_by_it { capabilities.with_published_ids() } else { capabilities }
    }
    async fn usage_measure(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        let mut answers = self.inner.usage().unwrap().usage(cx, ids, period).await;
        for usage in answers.values_mut() {
            if let Usage::Measured(report) = usage {
                let number = self.number.map(|number| number.to_string());
                *report = report.clone().with_stamp(None).with_published_id("service_object_id", number);
            }
        }
        answers
    }
}

#[tokio::test(start_paused = true)]
async fn f149_a_name_that_was_given_to_another_object_is_told_by_the_published_number() {
    // (what is published, the object's number, whether the back end goes by it, whether it is billed)
    let cases = [
        (json!({ "service_object_id": 7 }), Some(7), true, true),
        (json!({ "service_object_id": " 7 " }), Some(7), true, true),
        (json!({ "service_object_id": 7, "other_id": 8 }), Some(8), true, false),
        (json!({ "service_object_id": "8" }), Some(7), true, false),
        (json!({ "service_object_id": 8 }), None, true, true),
        (json!({ "service_object_id": null }), Some(7), true, true),
        (json!({}), Some(7), true, true),
        // Metadata are not asked for then, and the word of the back end is what there is.
        (json!({ "service_object_id": 8 }), Some(7), false, true),
    ];
    for (published, number, goes_by_it, is_billed) in cases {
        for alone in [false, true] {
            let world = World::new(Generation::V8);
            let resource = world.resource("res");
            world.used("res", "cpu", "9");
            world.waldur.change_resource(resource, |seed| seed.backend_metadata(published.clone()));
            let http = Http::new(world.service.clone()).with_environment(world.environment());
            let inner = MemoryBackend::through(http).unwrap().with_usage();
            let backend = Overridden(Numbered { inner, number, goes_by_it });
            let waldur = world.client(Http::new(world.waldur.clone()).with_environment(world.environment()));
            let reporter = UsageReporter::new(waldur, Arc::new(backend), world.offering);
            if alone {
                reporter.report_resource(&OpContext::new("one"), resource).await.unwrap();
            } else {
                reporter.run_once(&OpContext::new("all")).await.unwrap();
            }
            let case = format!("{published} {number:?} {goes_by_it} {alone}");
            assert_eq!(world.stored(resource, NOVEMBER).is_empty(), !is_billed, "{case}");
            let asks = world.waldur.requests().iter().any(|request| {
                request.query.iter().any(|(name, value)| name == "field" && value == "backend_metadata")
            });
            assert_eq!(asks, goes_by_it, "{case}");
            world.assert_sound();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f092_a_component_that_cannot_be_read_holds_up_no_other() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.used("res", "cpu", "9");
    world.used("res", "mem", "2");
    let odd = Rows(world.waldur.clone(), "provider_offerings.get", |offering: &mut serde_json::Value| {
        for component in offering["components"].as_array_mut().unwrap() {
            if component["type"] == "cpu" {
                component["unit_factor"] = json!("n/a");
            }
        }
    });
    let report = world.agent().waldur(odd).run().await;
    assert_eq!(november(&report), "submitted");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("mem", "2.00")]));
    let november = month(&report, NOVEMBER);
    assert_eq!((november.unbilled.clone(), november.losses().len()), (vec!["cpu".to_owned()], 1));
}
