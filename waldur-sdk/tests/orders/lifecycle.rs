//! An order from its first look to its end (core.md §2.1 to §2.4).

use std::time::Duration;

use crate::orders::{BOTH, Doctored, OnRequest, World, assert_deferred, assert_done, assert_erred, error, warned};
use serde_json::json;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Capabilities, CreateRequest, Evaluation, PendingOrder},
    process::{FollowUp, OrderOutcome},
    rest::TransportErrorKind,
    testing::{
        Action, Faults, MemoryBackend, op, status,
        waldur::{Generation, OrderState, ResourceState},
    },
};

#[tokio::test(start_paused = true)]
async fn c07_accept_approves_reads_again_and_provisions() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let report = world.agent().run_one().await;
        assert_done(&report);
        assert_eq!(world.state(order), OrderState::Done);
        assert_eq!(world.resource(order).state, ResourceState::Ok);
        assert_eq!(world.body("orders.approve_by_provider"), json!({}));
        let steps: Vec<_> = world.waldur.requests().iter().filter_map(|request| request.operation).collect();
        let place = |step| steps.iter().position(|other| *other == step).unwrap();
        assert!(place("orders.approve_by_provider") < place("orders.state"));
        assert!(place("provider_resources.set_backend_id") < place("orders.set_state_done"));
        assert_eq!(steps.last(), Some(&"orders.set_state_done"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_approval_that_takes_effect_later_is_waited_for_and_given_once() {
    for generation in BOTH {
        let world = World::new(generation);
        let waldur = world.waldur.clone().with_approval_delay(3);
        let order = world.create("Res").pending();
        let report = world.agent().waldur(waldur).run_one().await;
        assert_done(&report);
        assert_eq!(world.state(order), OrderState::Done);
        assert_eq!(world.count("orders.approve_by_provider"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_left_for_another_state_after_approval_is_not_provisioned() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    // The approval is carried out, and the order withdrawn before it is read again.
    let withdrawn = json!({ "uuid": order.hex(), "state": "canceled" });
    let faults = Faults::new(world.waldur.clone()).on(op("orders.state"), status(200).json(&withdrawn));
    let report = world.agent().waldur(faults.clone()).run_one().await;
    assert!(matches!(&report.outcome, OrderOutcome::AlreadyFinished(state) if state.as_str() == "canceled"));
    assert_eq!(world.service.writes(), 0);
    assert_eq!(faults.idle_rules(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn c08_reject_only_rejects_and_pending_writes_nothing() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let undecided = |inner| Doctored::new(inner).deciding(|_| Ok(Evaluation::Pending));
        let report = world.agent().overriding(undecided).run_one().await;
        assert!(matches!(report.outcome, OrderOutcome::AwaitingDecision));
        assert_eq!(world.writes(), Vec::<&str>::new());
        assert_eq!(world.state(order), OrderState::PendingProvider);

        let reject = |_: &PendingOrder| Ok(Evaluation::Reject { comment: Some("No space left.".to_owned()) });
        let report = world.agent().overriding(move |inner| Doctored::new(inner).deciding(reject)).run_one().await;
        assert!(matches!(report.outcome, OrderOutcome::Rejected));
        assert_eq!(world.writes(), ["orders.reject_by_provider"]);
        assert_eq!(world.state(order), OrderState::Rejected);
        if generation == Generation::V8 {
            assert_eq!(world.order(order).provider_rejection_comment, "No space left.");
        }
        assert_eq!(world.service.writes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn c09_a_failed_evaluation_or_approval_leaves_the_order_pending() {
    for generation in BOTH {
        for broken in [
            |_| Err(Error::new(ErrorKind::NotFound, "no such policy")),
            |_| Err(Error::new(ErrorKind::Other, "a bug")),
            |_| panic!("a bug"),
        ] as [fn(&PendingOrder) -> Result<Evaluation>; 3]
        {
            let world = World::new(generation);
            let order = world.create("Res").pending();
            let report = world.agent().overriding(move |inner| Doctored::new(inner).deciding(broken)).run_one().await;
            assert_deferred(&report);
            assert_eq!(world.writes(), Vec::<&str>::new());
            assert_eq!(world.state(order), OrderState::PendingProvider);
        }
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let refusal = status(404).json(&json!({ "detail": "No Order matches the given query." }));
        let faults = Faults::new(world.waldur.clone()).on(op("orders.approve_by_provider"), refusal);
        let report = world.agent().waldur(faults).run_one().await;
        assert_deferred(&report);
        assert_eq!(world.writes(), Vec::<&str>::new());
        assert_eq!(world.state(order), OrderState::PendingProvider);
        assert_eq!(report.attempts, 1, "a 404 is no passing failure");
    }
}

#[tokio::test(start_paused = true)]
async fn c10_passing_failures_never_change_the_order() {
    let failures: [fn() -> Action; 3] = [
        || status(503).into(),
        || status(429).header("retry-after", 1).into(),
        || TransportErrorKind::Interrupted.into(),
    ];
    for generation in BOTH {
        for failure in failures {
            for step in ["orders.approve_by_provider", "orders.state", "provider_resources.set_backend_id"] {
                let world = World::new(generation);
                let order = world.create("Res").pending();
                let faults = Faults::new(world.waldur.clone()).on(op(step), failure());
                let report = world.agent().sending_once().waldur(faults.clone()).run_one().await;
                assert_deferred(&report);
                assert_eq!(report.attempts, 10, "{step}");
                assert!(faults.acted() >= 10, "{step}");
                assert_eq!(world.count("orders.set_state_erred"), 0, "{step}");
                let pending = step == "orders.approve_by_provider";
                let expected = if pending { OrderState::PendingProvider } else { OrderState::Executing };
                assert_eq!(world.state(order), expected, "{step}");
                // Once the trouble is over, the next pass goes on from there.
                assert_done(&world.agent().run_one().await);
                assert_eq!(world.service.made(), 1, "{step}");
            }
        }
    }
    // In evaluation, and on the back end's side.
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let unavailable = |_: &PendingOrder| Err(Error::new(ErrorKind::Unavailable, "come back later"));
    let report = world.agent().overriding(move |inner| Doctored::new(inner).deciding(unavailable)).run_one().await;
    assert_deferred(&report);
    assert_eq!((report.attempts, world.state(order)), (10, OrderState::PendingProvider));
    let faults = Faults::new(world.service.clone()).on(op("objects.create"), status(503));
    let report = world.agent().sending_once().service(faults).run_one().await;
    assert_deferred(&report);
    assert_eq!((report.attempts, world.state(order)), (10, OrderState::Executing));
}

#[tokio::test(start_paused = true)]
async fn success_in_the_tenth_attempt_is_success() {
    let world = World::new(Generation::V8);
    world.create("Res").executing();
    let faults = Faults::new(world.service.clone()).on(op("objects.create").first(9), status(503));
    let report = world.agent().sending_once().service(faults.clone()).run_one().await;
    assert_done(&report);
    assert_eq!((report.attempts, faults.acted()), (10, 9));
}

#[tokio::test(start_paused = true)]
async fn a_failed_second_reading_is_an_attempt_like_any_other() {
    let world = World::new(Generation::V8);
    world.create("Res").executing();
    let service = Faults::new(world.service.clone()).on(op("objects.create").nth(1), status(503));
    let waldur = Faults::new(world.waldur.clone()).on(op("orders.get").first(3), status(502));
    let report = world.agent().sending_once().service(service).waldur(waldur.clone()).run_one().await;
    assert_done(&report);
    assert_eq!((report.attempts, waldur.acted()), (5, 3));
}

#[tokio::test(start_paused = true)]
async fn attempts_end_after_a_minute_and_wait_as_long_as_the_server_asks() {
    let begin = tokio::time::Instant::now();
    let world = World::new(Generation::V8);
    world.create("Res").executing();
    let busy = status(429).header("retry-after", 17);
    let faults = Faults::new(world.service.clone()).on(op("objects.create"), busy);
    let report = world.agent().sending_once().service(faults.clone()).run_one().await;
    assert_deferred(&report);
    // At 0, 17, 34 and 51 s; at 68 s the minute is over.
    assert_eq!((report.attempts, faults.acted()), (4, 4));
    assert_eq!(begin.elapsed(), Duration::from_secs(51));
    // Longer than the whole minute is not slept at all.
    let busy = status(429).header("retry-after", 3600);
    let faults = Faults::new(world.service.clone()).on(op("objects.create"), busy);
    let report = world.agent().sending_once().service(faults).run_one().await;
    assert_eq!(report.attempts, 1);
    assert_eq!(begin.elapsed(), Duration::from_secs(51));
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_the_minute_holds_with_the_longest_of_them() {
    // The policy alone: jitter at its most.
    let world = World::new(Generation::V8);
    world.create("Res").executing();
    let begin = tokio::time::Instant::now();
    let faults = Faults::new(world.service.clone()).on(op("objects.create"), status(503));
    let report = world.agent().sending_once().jitter(u64::MAX).service(faults).run_one().await;
    assert_deferred(&report);
    // 1, 2, 4, 8, 15, 15 s, up to rounding; the next would end after the minute.
    assert_eq!(report.attempts, 7);
    let elapsed = begin.elapsed();
    assert!(elapsed > Duration::from_secs(44) && elapsed < Duration::from_secs(60), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn c11_a_refusal_or_a_back_end_error_errs_the_order_with_message_and_traceback() {
    for generation in BOTH {
        // Waldur refuses.
        let world = World::new(generation);
        let order = world.create("Res").executing();
        let refusal = status(403).json(&json!({ "detail": "You do not have permission to perform this action." }));
        let faults = Faults::new(world.waldur.clone()).on(op("provider_resources.set_backend_id"), refusal);
        let report = world.agent().waldur(faults).run_one().await;
        assert_erred(&report);
        let view = world.order(order);
        assert_eq!(view.state, OrderState::Erred);
        assert!(view.error_message.contains("You do not have permission"), "{}", view.error_message);
        assert!(view.error_traceback.contains("set_backend_id"), "{}", view.error_traceback);
        assert_eq!(world.resource(order).state, ResourceState::Erred);

        // The back end refuses.
        let world = World::new(generation);
        let order = world.create("Res").executing();
        let refusal = status(400).json(&json!({ "code": "InvalidLimit" }));
        let faults = Faults::new(world.service.clone()).on(op("objects.limits"), refusal);
        let report = world.agent().service(faults).run_one().await;
        assert_erred(&report);
        let view = world.order(order);
        assert_eq!(view.error_message, "objects.limits: the server answered 400 Bad Request (InvalidLimit)");
        assert!(view.error_traceback.contains("PUT http://localhost/objects/{id}/limits"), "{}", view.error_traceback);
        assert_eq!(report.attempts, 1);
    }
}

/// Fails with a chain of causes, or in words for the customer.
fn chained() -> Error {
    let cause = Error::new(ErrorKind::Other, "cannot reach host-17.internal");
    Error::new(ErrorKind::Other, "the volume was not made").with_operation("volumes.create").with_source(cause)
}

async fn texts(exposed: bool, failure: fn(&CreateRequest) -> Result<()>) -> (String, String) {
    let world = World::new(Generation::V8);
    let order = world.create("Res").executing();
    let agent = world
        .agent()
        .overriding(move |inner| Doctored::new(inner).creating(failure))
        .policy(|policy| policy.expose_error_details = exposed);
    assert_erred(&agent.run_one().await);
    let view = world.order(order);
    (view.error_message, view.error_traceback)
}

#[tokio::test(start_paused = true)]
async fn c12_sec08_hidden_details_leave_the_customers_words_and_one_sentence() {
    let (message, traceback) = texts(true, |_| Err(chained())).await;
    assert_eq!(message, "volumes.create: the volume was not made");
    assert_eq!(traceback, "volumes.create: the volume was not made\ncaused by: cannot reach host-17.internal");

    let (message, traceback) = texts(false, |_| Err(chained())).await;
    assert!(message.starts_with("Internal backend error") && message.contains("contact"), "{message}");
    assert!(!message.contains("volume") && !message.contains("host-17"), "{message}");
    assert_eq!(traceback, "");

    let refused: fn(&CreateRequest) -> Result<()> =
        |_| Err(Error::rejected("Your project may not have more than 5 volumes.").with_source(chained()));
    let (message, traceback) = texts(false, refused).await;
    assert_eq!(message, "Your project may not have more than 5 volumes.");
    assert_eq!(traceback, "");
    let (message, traceback) = texts(true, refused).await;
    assert_eq!(message, "Your project may not have more than 5 volumes.");
    assert!(traceback.contains("host-17.internal"));
}

#[tokio::test(start_paused = true)]
async fn texts_are_cut_at_64_kib_on_a_character() {
    let long: fn(&CreateRequest) -> Result<()> =
        |_| Err(Error::new(ErrorKind::Other, "ü".repeat(50_000)).with_source(Error::config("x\0y")));
    let (message, traceback) = texts(true, long).await;
    for text in [&message, &traceback] {
        assert!(text.len() <= 64 * 1024 && text.len() > 64 * 1024 - 16, "{}", text.len());
        assert!(text.starts_with('ü') && !text.contains('\0'));
    }
}

#[tokio::test(start_paused = true)]
async fn c13_without_preflight_no_orders_are_listed() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let down =
        Faults::new(world.service.clone()).on(op("health"), status(401).json(&json!({ "code": "Unauthorized" })));
    let wary = Capabilities::default().with_preflight();
    let report = world.agent().service(down.clone()).memory(move |memory| memory.with_capabilities(wary)).run().await;
    assert_eq!(report.not_ready.as_ref().map(Error::kind), Some(ErrorKind::Unauthenticated));
    assert!(report.orders.is_empty() && !report.is_clean());
    assert_eq!(world.waldur.requests().len(), 0);
    // A back end that does not ask for it is not pinged.
    let report = world.agent().service(down.clone()).run_one().await;
    assert_done(&report);
    assert_eq!((down.acted(), world.state(order)), (1, OrderState::Done));
}

#[tokio::test(start_paused = true)]
async fn c14_an_order_that_was_finished_elsewhere_is_not_ended_again() {
    for generation in BOTH {
        for ended in [OrderState::Done, OrderState::Erred] {
            let world = World::new(generation);
            let order = world.create("Res").executing();
            let waldur = world.waldur.clone();
            // Somebody ends it while the object is made.
            let service =
                OnRequest::new(world.service.clone(), "objects.limits", move || waldur.set_order_state(order, ended));
            let report = world.agent().service(service).run_one().await;
            assert!(matches!(report.outcome, OrderOutcome::AlreadyFinished(_)), "{}", report.outcome);
            assert_eq!(world.count("orders.set_state_done") + world.count("orders.set_state_erred"), 0);
            assert_eq!(world.state(order), ended);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_after_the_end_does_not_fell_a_finished_order() {
    // set_state_erred has no guard on the server's side (recorded: 144_erred_from_done).
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").executing();
        let waldur = world.waldur.clone();
        let broken = Faults::new(world.service.clone()).on(op("objects.limits"), status(400));
        let service = OnRequest::new(broken, "objects.limits", move || waldur.set_order_state(order, OrderState::Done));
        let report = world.agent().service(service).run_one().await;
        assert!(matches!(report.outcome, OrderOutcome::AlreadyFinished(_)), "{}", report.outcome);
        assert_eq!(world.count("orders.set_state_erred"), 0);
        assert_eq!(world.state(order), OrderState::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn c15_a_member_who_cannot_be_added_does_not_fail_the_order() {
    for generation in BOTH {
        let world = World::new(generation);
        world.member("ann");
        world.member("bob");
        world.service.refuse_member("site-ann");
        let order = world.create("Res").pending();
        let report = world.agent().memory(MemoryBackend::with_members).run_one().await;
        assert_done(&report);
        assert_eq!(world.state(order), OrderState::Done);
        assert_eq!(world.count("orders.set_state_erred"), 0);
        let resource = world.waldur.resource_of(order);
        let project = Some(world.waldur.default_project());
        assert_eq!(report.follow_ups, [FollowUp::SyncMembers { resource, project }]);
        assert_eq!(warned(&report), ["grant access"]);
        let members: Vec<_> = world.object("res").members.into_iter().collect();
        assert_eq!(members, ["site-bob"]);
    }
}

#[tokio::test(start_paused = true)]
async fn f129_sec07_a_panic_of_the_back_end_ends_its_order_alone() {
    let world = World::new(Generation::V8);
    let panics: fn(&CreateRequest) -> Result<()> = |request| {
        assert!(request.backend_id.as_str() != "bad", "the password is p4ss");
        Ok(())
    };
    let (bad, good) = (world.create("Bad").executing(), world.create("Good").executing());
    let report = world.agent().overriding(move |inner| Doctored::new(inner).creating(panics)).run().await;
    assert_eq!((world.state(bad), world.state(good)), (OrderState::Erred, OrderState::Done));
    let failed = report.orders.iter().find(|order| order.order == bad).unwrap();
    assert!(error(failed).message().contains("panicked"));
    assert!(!format!("{failed:?}").contains("p4ss"), "what a panic says is not repeated");
    assert!(!world.order(bad).error_message.contains("p4ss"));
}
