//! Requests that are lost, carried out unseen, refused or contradicted (faults.md §4.3, §4.4).

use std::time::Duration;

use crate::orders::{BOTH, OnRequest, World, assert_deferred, assert_done, assert_erred, error, limits};
use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::OpContext,
    process::OrderOutcome,
    rest::TransportErrorKind,
    testing::{
        Action, Counting, Due, Faults, any, hang, op, status,
        waldur::{Generation, OrderState, ResourceState},
    },
};

/// One pass over a pending Create order, with a fault between the agent and its back end; the order ends well, with one
/// object, whatever the fault was.
async fn create_in_spite_of(operation: &'static str, fault: impl Into<Action>) {
    let fault = fault.into();
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let faults = Faults::new(world.service.clone()).on(op(operation).nth(1), fault.clone());
        let report = world.agent().service(faults.clone()).run_one().await;
        assert_done(&report);
        faults.settle().await;
        assert_eq!(faults.idle_rules(), Vec::<String>::new());
        assert_eq!((world.service.made(), world.ids()), (1, vec!["res".to_owned()]));
        assert_eq!(world.object("res"), world.object_of(world.waldur.resource_of(order), 4, 8));
        assert_eq!((world.state(order), world.resource(order).state), (OrderState::Done, ResourceState::Ok));
    }
}

#[tokio::test(start_paused = true)]
async fn f021_a_creation_that_never_arrived_is_made_once() {
    create_in_spite_of("objects.create", hang()).await;
    create_in_spite_of("objects.create", TransportErrorKind::Interrupted).await;
}

#[tokio::test(start_paused = true)]
async fn f022_a_creation_that_arrived_and_was_not_answered_is_adopted() {
    create_in_spite_of("objects.create", Action::commit_then(hang())).await;
    create_in_spite_of("objects.limits", Action::commit_then(hang())).await;
}

#[tokio::test(start_paused = true)]
async fn f023_a_creation_that_arrives_late_makes_no_second_object() {
    for due in [Due::Calls(1), Due::Calls(2), Due::Calls(4), Due::Settle] {
        create_in_spite_of("objects.create", Action::fail_then_commit(TransportErrorKind::Timeout, due)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn f038_a_creation_that_was_carried_out_and_answered_with_500_is_adopted() {
    create_in_spite_of("objects.create", Action::commit_then(status(500))).await;
}

#[tokio::test(start_paused = true)]
async fn f035_an_order_that_is_told_to_come_back_tomorrow_does_not_wait_here() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let tomorrow = status(429).header("retry-after", 86_400);
        let faults = Faults::new(world.service.clone()).on(op("objects.create").first(1), tomorrow);
        let begin = Instant::now();
        let report = world.agent().service(faults.clone()).run_one().await;
        assert_deferred(&report);
        let reason = error(&report);
        assert_eq!((reason.kind(), reason.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(86_400))));
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
        assert_eq!((world.state(order), faults.acted()), (OrderState::Executing, 1));
        assert_done(&world.agent().service(faults).run_one().await);
        assert_eq!(world.service.made(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn f040_a_502_on_recording_the_id_is_repeated_and_leaves_no_orphan() {
    for generation in BOTH {
        for fault in [status(502).into(), Action::commit_then(status(502))] {
            let world = World::new(generation);
            let order = world.create("Res").pending();
            let write = op("provider_resources.set_backend_id");
            let faults = Faults::new(world.waldur.clone()).on(write.nth(1), fault);
            let counting = Counting::new(faults.clone());
            assert_done(&world.agent().waldur(counting.clone()).run_one().await);
            assert_eq!((faults.acted(), counting.counts().of("provider_resources.set_backend_id")), (1, 2));
            assert_eq!((world.resource(order).backend_id.as_str(), world.ids()), ("res", vec!["res".to_owned()]));
            assert_eq!((world.service.made(), world.count("orders.set_state_erred")), (1, 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f042_a_creation_that_was_carried_out_and_answered_with_504_is_adopted() {
    create_in_spite_of("objects.create", Action::commit_then(status(504))).await;
    // The same for each write to Waldur, on the way there and on the way back.
    let writes = [
        "orders.approve_by_provider",
        "provider_resources.set_backend_id",
        "provider_resources.set_backend_metadata",
        "provider_resources.set_limits",
        "provider_resources.set_endpoints",
        "orders.set_state_done",
    ];
    let faults: [fn() -> Action; 4] =
        [|| status(504).into(), || Action::commit_then(status(504)), || hang().into(), || Action::commit_then(hang())];
    for write in writes {
        for fault in faults {
            let world = World::new(Generation::V8);
            let order = world.create("Res").pending();
            let faults = Faults::new(world.waldur.clone()).on(op(write).nth(1), fault());
            let agent = world.agent().waldur(faults.clone());
            let agent = agent.memory(|memory| memory.with_endpoint("https://s.example").with_ceiling("cpu", 3));
            let report = agent.run_one().await;
            assert!(faults.idle_rules().is_empty(), "{write}");
            if matches!(report.outcome, OrderOutcome::Deferred(_)) {
                // An approval is sent once; waiting for its answer took the minute that a pass has for an order.
                let agent =
                    world.agent().memory(|memory| memory.with_endpoint("https://s.example").with_ceiling("cpu", 3));
                assert_done(&agent.run_one().await);
                assert_eq!(write, "orders.approve_by_provider");
            }
            assert_eq!(world.state(order), OrderState::Done, "{write}: {}", report.outcome);
            let resource = world.resource(order);
            assert_eq!((resource.state, resource.backend_id.as_str()), (ResourceState::Ok, "res"), "{write}");
            assert_eq!(resource.endpoint("memory"), Some("https://s.example/res"), "{write}");
            assert_eq!((resource.limits, world.service.made()), (limits(3, 8), 1), "{write}");
            assert_eq!(world.count("orders.set_state_erred"), 0, "{write}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_that_was_carried_out_unseen_is_not_repeated() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let faults =
        Faults::new(world.waldur.clone()).on(op("orders.reject_by_provider"), Action::commit_then(status(504)));
    let reject = |_: &_| Ok(waldur_sdk::backend::Evaluation::Reject { comment: None });
    let agent =
        world.agent().waldur(faults).overriding(move |inner| crate::orders::Doctored::new(inner).deciding(reject));
    let report = agent.run_one().await;
    assert!(matches!(&report.outcome, OrderOutcome::AlreadyFinished(state) if state.as_str() == "rejected"));
    assert_eq!((world.state(order), world.count("orders.reject_by_provider")), (OrderState::Rejected, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_whose_report_was_carried_out_unseen_is_reported_once() {
    for generation in BOTH {
        for fault in [Action::commit_then(status(504)), status(504).into()] {
            let world = World::new(generation);
            let order = world.create("Res").pending();
            let service = Faults::new(world.service.clone()).on(op("objects.create"), status(403));
            let waldur = Faults::new(world.waldur.clone()).on(op("orders.set_state_erred").nth(1), fault);
            let report = world.agent().service(service).waldur(waldur.clone()).run_one().await;
            assert_erred(&report);
            assert_eq!(error(&report).kind(), ErrorKind::PermissionDenied);
            assert_eq!((world.state(order), world.count("orders.set_state_erred")), (OrderState::Erred, 1));
            assert!(waldur.idle_rules().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f047_a_right_that_is_missing_is_named_and_the_order_is_not_done() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let refusal = status(403).json(&json!({ "code": "AccessDenied" }));
        let faults = Faults::new(world.service.clone()).on(op("objects.create"), refusal);
        let report = world.agent().service(faults).run_one().await;
        assert_erred(&report);
        assert_eq!(error(&report).kind(), ErrorKind::PermissionDenied);
        let message = world.order(order).error_message;
        assert_eq!(message, "objects.create: the server answered 403 Forbidden (AccessDenied)");
    }
}

#[tokio::test(start_paused = true)]
async fn f048_rights_on_a_new_object_may_take_a_moment() {
    create_in_spite_of("objects.get", status(403).json(&json!({ "code": "AccessDenied" }))).await;
    let world = World::new(Generation::V8);
    world.create("Res").pending();
    let faults = Faults::new(world.service.clone()).on(op("objects.get"), status(403));
    let report = world.agent().service(faults.clone()).run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).kind(), ErrorKind::PermissionDenied, "it never came");
    assert!(faults.acted() > 3);
}

#[tokio::test(start_paused = true)]
async fn f050_a_new_object_may_take_a_moment_to_show() {
    create_in_spite_of("objects.get", status(404).json(&json!({ "code": "NoSuchObject" }))).await;
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let missing = status(404).json(&json!({ "code": "NoSuchObject" }));
    let faults = Faults::new(world.service.clone()).on(op("objects.get"), missing);
    let report = world.agent().service(faults.clone()).run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).kind(), ErrorKind::Inconsistent);
    assert!(world.order(order).error_message.contains("created but cannot be read"));
    assert!(faults.acted() > 3);
}

#[tokio::test(start_paused = true)]
async fn f057_a_refused_end_is_looked_into() {
    for generation in BOTH {
        // Another agent was faster.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let waldur = world.waldur.clone();
        let faster = move || waldur.set_order_state(order, OrderState::Done);
        let transport = OnRequest::new(world.waldur.clone(), "orders.set_state_done", faster);
        assert_done(&world.agent().waldur(transport).run_one().await);
        assert_eq!(world.count("orders.set_state_erred"), 0);

        // The order reads executing all the same: a replica may lag. It is not failed for that.
        for (refusal, kind) in [(status(409), ErrorKind::Conflict), (status(400), ErrorKind::InvalidRequest)] {
            let world = World::new(generation);
            let order = world.create("Res").pending();
            let refusal = refusal.json(&json!({ "detail": "Valid states for operation: executing." }));
            let faults = Faults::new(world.waldur.clone()).on(op("orders.set_state_done"), refusal);
            let report = world.agent().waldur(faults).run_one().await;
            assert_deferred(&report);
            assert_eq!((error(&report).kind(), report.attempts), (kind, 1));
            assert!(!report.outcome.is_good(), "somebody should know");
            assert_eq!(world.state(order), OrderState::Executing);
            assert_done(&world.agent().run_one().await);
            assert_eq!(world.service.made(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f062_other_kinds_of_success_are_success_if_the_reading_agrees() {
    for (operation, code) in
        [("projects.ensure", 200), ("objects.create", 200), ("objects.create", 202), ("objects.limits", 202)]
    {
        create_in_spite_of(operation, Action::commit_then(status(code))).await;
    }
    for generation in BOTH {
        for operation in ["orders.approve_by_provider", "provider_resources.set_backend_id", "orders.set_state_done"] {
            for code in [201, 202, 204] {
                let world = World::new(generation);
                let order = world.create("Res").pending();
                let faults = Faults::new(world.waldur.clone()).on(op(operation), Action::commit_then(status(code)));
                assert_done(&world.agent().waldur(faults).run_one().await);
                assert_eq!(world.state(order), OrderState::Done);
            }
        }
    }
    // It is none if it does not: accepted, and nothing happened.
    let world = World::new(Generation::V8);
    world.create("Res").pending();
    let faults = Faults::new(world.service.clone()).on(op("objects.create"), status(202));
    let report = world.agent().service(faults).run_one().await;
    assert_erred(&report);
}

/// Something else than Waldur, or than the service, answers every request well: a captive portal, another product.
#[tokio::test(start_paused = true)]
async fn f070_the_json_of_another_product_stops_the_run_and_changes_nothing() {
    let portal = || status(200).json(&json!({ "status": "ok", "data": { "items": [] } }));
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let elsewhere = Faults::new(world.waldur.clone()).on(any(), portal());
        let failure =
            world.agent().waldur(elsewhere.clone()).build().run_once(&OpContext::new("test")).await.unwrap_err();
        assert_eq!((failure.kind(), failure.class()), (ErrorKind::Decode, ErrorClass::NotReady));
        assert!(elsewhere.acted() > 0);
        assert_eq!((world.writes(), world.ids()), (Vec::new(), Vec::new()));

        // Behind the back end: what answers is neither an object nor its absence, so the order waits.
        let elsewhere = Faults::new(world.service.clone()).on(any(), portal());
        let report = world.agent().service(elsewhere).run_one().await;
        assert_deferred(&report);
        assert_eq!(error(&report).kind(), ErrorKind::Decode);
        assert_eq!((world.state(order), world.ids()), (OrderState::Executing, Vec::new()));
        assert_done(&world.agent().run_one().await);
    }
}

/// Two replicas behind one address, one of them late: every other look shows what was before the creation.
#[tokio::test(start_paused = true)]
async fn f074_a_replica_that_lags_is_waited_for() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let late = status(404).json(&json!({ "code": "NoSuchObject" }));
        let get = op("objects.get");
        let replicas = Faults::new(world.service.clone()).on(get.clone().nth(1), late.clone()).on(get.nth(3), late);
        let report = world.agent().service(replicas.clone()).run_one().await;
        assert_done(&report);
        assert!(replicas.acted() > 0);
        assert_eq!((world.service.made(), world.ids()), (1, vec!["res".to_owned()]));
        assert_eq!(world.object("res"), world.object_of(world.waldur.resource_of(order), 4, 8));

        // The same for a removal: the late replica still shows what is gone.
        let resource = world.waldur.resource_of(order);
        let end = world.waldur.order_on(resource).terminate().pending();
        let before = status(200).json(&json!({
            "id": "res", "stamp": resource, "limits": { "cpu": 4, "mem": 8 }, "status": "active", "project": null,
        }));
        let replicas = Faults::new(world.service.clone()).on(op("objects.get").nth(2), before);
        let report = world.agent().service(replicas.clone()).run_one().await;
        assert_done(&report);
        assert_eq!(replicas.acted(), 1, "the look after the removal was the late one");
        assert_eq!((world.state(end), world.ids()), (OrderState::Done, Vec::new()));
    }
}
