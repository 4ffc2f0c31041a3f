//! What a new resource gets (core.md §2.11).

use std::collections::BTreeSet;

use crate::{
    assert_none_unknown, live,
    orders::{Agent, Steps, World, assert_deferred, assert_done, warned},
    processor, reported, with_keys,
};
use waldur_sdk::{
    backend::OpContext,
    process::{FollowUp, OrderOutcome, OrderReport},
    rest::TransportErrorKind,
    testing::{
        Action, Faults, hang, op, status,
        waldur::{ApiKeyState, Generation, OrderState},
    },
    types::{OrderUuid, ResourceUuid},
};

fn with_facet(agent: Agent) -> Agent {
    agent.memory(waldur_sdk::testing::MemoryBackend::with_keys)
}

fn reviews(report: &OrderReport) -> bool {
    report.follow_ups.iter().any(|follow_up| matches!(follow_up, FollowUp::ReviewKeys { .. }))
}

/// A resource whose Create order was cut short after its object was made.
fn resumed() -> (World, OrderUuid, ResourceUuid) {
    let world = World::new(Generation::V8);
    let order = world.create("Res").resource(|resource| resource.backend_id("res")).executing();
    let resource = world.waldur.resource_of(order);
    world.service.put("res", world.object_of(resource, 4, 8));
    (world, order, resource)
}

#[tokio::test(start_paused = true)]
async fn c32_a_new_resource_gets_two_keys_with_its_order() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let steps = Steps::default();
    let report = with_facet(world.agent()).cx(|cx| cx.with_progress(steps.clone())).run_one().await;
    assert_done(&report);
    assert!(report.warnings.is_empty() && report.follow_ups.is_empty(), "{report:#?}");
    let resource = world.waldur.resource_of(order);
    let keys = world.waldur.api_keys(resource);
    assert_eq!(keys.len(), 2);
    assert!(keys.iter().all(|(_, state)| *state == ApiKeyState::Ok));
    assert_none_unknown(&world, resource, "res");
    // Both secrets as the back end made them, and before the order was done.
    let bodies: Vec<_> =
        world.waldur.requests().into_iter().filter(|r| r.operation == Some("api_keys.report_created")).collect();
    assert_eq!(bodies.len(), 2);
    for (client_id, secret) in world.service.keys("res") {
        assert!(bodies.iter().any(|r| r.body["client_id"] == client_id && r.body["api_key"] == secret));
    }
    assert_eq!(world.writes().last(), Some(&"orders.set_state_done"));
    let steps = steps.seen();
    let place = |step: &str| steps.iter().position(|seen| seen == step).unwrap();
    assert!(place("api keys") < place("done"));
}

#[tokio::test(start_paused = true)]
async fn c32_two_known_keys_are_enough_and_others_go() {
    let (world, _, resource) = resumed();
    for client_id in ["one", "two"] {
        world.service.seed_key("res", client_id);
        world.waldur.api_key(resource, client_id).create();
    }
    world.service.seed_key("res", "stray");
    assert_done(&with_facet(world.agent()).run_one().await);
    assert_eq!(world.service.keys_made(), 0);
    assert_eq!(live(&world, "res"), BTreeSet::from(["one".to_owned(), "two".to_owned()]));
    assert_none_unknown(&world, resource, "res");
}

#[tokio::test(start_paused = true)]
async fn c32_an_unknown_list_mints_all_and_prunes_nothing() {
    // Empty: a Restore, whose keys may be older than the list.
    for begun_before in [false, true] {
        let world = World::new(Generation::V8);
        let resource = world.existing("res");
        world.service.seed_key("res", "old");
        let order = world.waldur.order_on(resource).restore();
        let _order = if begun_before { order.executing() } else { order.pending() };
        let report = with_facet(world.agent()).run_one().await;
        assert_done(&report);
        assert_eq!((world.service.keys_made(), reported(&world, resource).len()), (2, 2));
        assert!(live(&world, "res").contains("old"));
        // An attempt that was cut short may have left a key, which looks like an old one.
        assert_eq!(reviews(&report), begun_before);
        // Whoever looks finds a list that is known: by its letter the others go.
        let keys = processor(&world, world.waldur.clone(), world.service.clone());
        let looked = keys.provision(&OpContext::new("review"), resource).await.unwrap();
        assert_eq!((looked.pruned, looked.reported.len(), looked.needs_review), (1, 0, false));
        assert_none_unknown(&world, resource, "res");
    }

    // A row without its first half.
    let (world, _, resource) = resumed();
    world.service.seed_key("res", "old");
    world.waldur.api_key(resource, "").without_client_id().create();
    let report = with_facet(world.agent()).run_one().await;
    assert_done(&report);
    assert_eq!((world.service.keys_made(), world.waldur.api_keys(resource).len()), (2, 3));
    assert!(live(&world, "res").contains("old"));
    assert!(reviews(&report), "somebody has to look which is which");

    // No list at all: not now, and not for us.
    for code in [500, 403] {
        let (world, order, resource) = resumed();
        world.service.seed_key("res", "old");
        world.waldur.api_key(resource, "old").create();
        let faults = Faults::new(world.waldur.clone()).on(op("api_keys.list"), status(code));
        let report = with_facet(world.agent()).waldur(faults).run_one().await;
        assert_done(&report);
        assert_eq!(world.service.keys_made(), 2, "{code}");
        assert!(live(&world, "res").contains("old"));
        assert!(reviews(&report) && warned(&report).contains(&"api keys"), "{report:#?}");
        assert_eq!(world.state(order), OrderState::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn c32_a_failed_prune_still_mints() {
    let (world, _, resource) = resumed();
    world.service.seed_key("res", "one");
    world.service.seed_key("res", "stray");
    world.waldur.api_key(resource, "one").create();
    let faults = Faults::new(world.service.clone()).on(op("keys.list"), status(500));
    let report = with_facet(world.agent()).service(faults).run_one().await;
    assert_done(&report);
    assert_eq!((warned(&report), world.service.keys_made()), (vec!["prune api keys"], 1));
    assert_eq!(reported(&world, resource).len(), 2);
    assert!(reviews(&report));
    // The next look mends it.
    let mended = processor(&world, world.waldur.clone(), world.service.clone());
    let mended = mended.provision(&OpContext::new("review"), resource).await.unwrap();
    assert_eq!((mended.pruned, mended.reported.len(), mended.needs_review), (1, 0, false));
    assert_none_unknown(&world, resource, "res");
}

#[tokio::test(start_paused = true)]
async fn f122_a_key_that_waldur_does_not_take_is_taken_back() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let faults = Faults::new(world.waldur.clone()).on(op("api_keys.report_created"), status(403));
    let report = with_facet(world.agent()).waldur(faults).run_one().await;
    // Best effort: the resource is there and the order done.
    assert_done(&report);
    assert!(reviews(&report) && warned(&report) == ["api keys"], "{report:#?}");
    assert_eq!(world.service.keys_made(), 1, "no second one is tried");
    assert!(live(&world, "res").is_empty());
    let resource = world.waldur.resource_of(order);
    let keys = processor(&world, world.waldur.clone(), world.service.clone());
    let later = keys.provision(&OpContext::new("review"), resource).await.unwrap();
    assert_eq!(later.reported.len(), 2);
    assert_none_unknown(&world, resource, "res");
}

#[tokio::test(start_paused = true)]
async fn f122_a_report_that_fails_for_now_keeps_the_order_and_leaves_no_key() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let faults = Faults::new(world.waldur.clone()).on(op("api_keys.report_created"), status(503));
    let report = with_facet(world.agent()).waldur(faults).run_one().await;
    assert_deferred(&report);
    assert_eq!(world.state(order), OrderState::Executing);
    assert!(live(&world, "res").is_empty(), "each that was made was taken back");
    assert_done(&with_facet(world.agent()).run_one().await);
    let resource = world.waldur.resource_of(order);
    assert_eq!(reported(&world, resource).len(), 2);
    assert_none_unknown(&world, resource, "res");
}

#[tokio::test(start_paused = true)]
async fn f122_a_lost_answer_makes_no_key_unknown() {
    let lost: [fn() -> Action; 4] = [
        || Action::commit_then(hang()),
        || Action::commit_then(status(504)),
        || TransportErrorKind::Interrupted.into(),
        || hang().into(),
    ];
    for operation in ["api_keys.report_created", "keys.mint", "keys.remove", "keys.list", "api_keys.list"] {
        for (case, lost) in lost.iter().enumerate() {
            for nth in 1..=2 {
                let world = World::new(Generation::V8);
                let order = world.create("Res").pending();
                let waldur = Faults::new(world.waldur.clone()).on(op(operation).nth(nth), lost());
                let service = Faults::new(world.service.clone()).on(op(operation).nth(nth), lost());
                let mut report = with_facet(world.agent()).waldur(waldur).service(service).run_one().await;
                if matches!(report.outcome, OrderOutcome::Deferred(_)) {
                    // Waiting for an answer took the minute that a pass has for an order.
                    report = with_facet(world.agent()).run_one().await;
                }
                let place = format!("{operation} {case} {nth}: {report:#?}");
                assert_done(&report);
                let resource = world.waldur.resource_of(order);
                assert_eq!(world.waldur.api_keys(resource).len(), 2, "{place}");
                assert_eq!(live(&world, "res"), reported(&world, resource), "{place}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_without_keys_gets_none_and_is_asked_once() {
    let world = World::new(Generation::V2024);
    for name in ["One", "Two"] {
        world.create(name).pending();
    }
    let processor = with_facet(world.agent()).policy(|policy| policy.concurrency = 1).build();
    let report = processor.run_once(&OpContext::new("old")).await.unwrap();
    assert_eq!(report.orders.len(), 2);
    for order in &report.orders {
        assert_done(order);
        assert!(!reviews(order));
    }
    let said: Vec<_> = report.orders.iter().flat_map(warned).filter(|step| *step == "api keys").collect();
    assert_eq!(said.len(), 1);
    assert_eq!(world.service.keys_made(), 0);
    let stuck = processor.keys().reconcile_stuck(&OpContext::new("old")).await.unwrap();
    assert!(stuck.rotations.is_empty());
    assert_eq!(world.count("api_keys.list"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_review_brings_keys_to_their_number() {
    let (world, resource) = with_keys();
    world.service.seed_key("res", "stray");
    let keys = processor(&world, world.waldur.clone(), world.service.clone());
    let report = keys.provision(&OpContext::new("review"), resource).await.unwrap();
    assert_eq!((report.pruned, report.reported.len(), report.warnings.len()), (1, 0, 0));
    assert_none_unknown(&world, resource, "res");
    // Once more: nothing is written.
    world.waldur.forget_requests();
    keys.provision(&OpContext::new("review"), resource).await.unwrap();
    assert!(world.waldur.writes().is_empty());
}
