//! Orders that the back end finishes later (core.md §2.8).

use crate::orders::{Agent, BOTH, World, assert_deferred, assert_done, assert_erred, error};
use waldur_sdk::{
    ErrorClass,
    process::OrderOutcome,
    testing::{
        Faults, op, status,
        waldur::{Generation, OrderState, ResourceState},
    },
    types::OrderUuid,
};

/// An agent over a back end whose work goes on as jobs of the service.
fn patient(world: &World) -> Agent {
    world.agent().memory(|memory| memory.with_jobs().with_members())
}

#[track_caller]
fn assert_goes_on(world: &World, order: OrderUuid, outcome: &OrderOutcome) {
    assert!(matches!(outcome, OrderOutcome::Executing), "{outcome}");
    assert_eq!(world.state(order), OrderState::Executing);
}

/// Runs until the job of the order is known to Waldur, and says which it is.
async fn begin(world: &World, order: OrderUuid) -> String {
    let report = patient(world).run_one().await;
    assert_goes_on(world, order, &report.outcome);
    let handle = world.order(order).backend_id;
    assert_eq!(world.service.jobs().last(), Some(&handle));
    handle
}

#[tokio::test(start_paused = true)]
async fn c29_the_orders_back_end_id_means_nothing_to_a_back_end_that_finishes_at_once() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").backend_id("ticket-4711").pending();
        assert_done(&world.agent().run_one().await);
        assert_eq!((world.state(order), world.service.made()), (OrderState::Done, 1));
        assert_eq!(world.order(order).backend_id, "ticket-4711");
        assert_eq!(world.count("orders.set_backend_id"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn c30_work_that_goes_on_is_asked_about_until_it_ends() {
    // Pending, then done: of every kind of order.
    let world = World::new(Generation::V8);
    world.member("ann");
    let create = world.create("Res").pending();
    let handle = begin(&world, create).await;
    assert_eq!(world.resource(create).backend_id, "res", "known before there is an object");
    assert_goes_on(&world, create, &patient(&world).run_one().await.outcome);
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
    assert_eq!((world.state(create), world.resource(create).state), (OrderState::Done, ResourceState::Ok));
    assert_eq!(world.object("res").members.into_iter().collect::<Vec<_>>(), ["site-ann"]);
    assert_eq!(world.resource(create).backend_metadata["object_id"], "res");

    let resource = world.waldur.resource_of(create);
    let update = world.waldur.order_on(resource).update_limits([("cpu", 5), ("mem", 8)]).pending();
    let handle = begin(&world, update).await;
    assert_eq!(world.object("res").limits["cpu"], Some(4));
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
    assert_eq!(world.object("res").limits["cpu"], Some(5));

    let terminate = world.waldur.order_on(resource).terminate().pending();
    let handle = begin(&world, terminate).await;
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
    assert_eq!(world.resource(terminate).state, ResourceState::Terminated);

    let restore = world.waldur.order_on(resource).restore().pending();
    let handle = begin(&world, restore).await;
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
    assert_eq!((world.resource(restore).state, world.ids()), (ResourceState::Ok, vec!["res".to_owned()]));

    // And gone once more: the handle of the first removal does not stand for the second.
    let terminate = world.waldur.order_on(resource).terminate().pending();
    let handle = begin(&world, terminate).await;
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
    assert!(world.ids().is_empty());
}

#[tokio::test(start_paused = true)]
async fn work_that_fails_errs_the_order_and_an_outage_does_not() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let handle = begin(&world, order).await;
    let down = Faults::new(world.service.clone()).on(op("jobs.get"), status(503));
    let report = patient(&world).service(down).run_one().await;
    assert_deferred(&report);
    assert_eq!(error(&report).class(), ErrorClass::Transient);
    assert_eq!(world.state(order), OrderState::Executing);
    world.service.fail_job(&handle);
    assert_erred(&patient(&world).run_one().await);
    assert_eq!(world.resource(order).state, ResourceState::Erred);
    assert!(world.order(order).error_message.contains("could not carry out"));
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_runs_already_is_taken_over() {
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    let first = world.waldur.order_on(resource).terminate().pending();
    let handle = begin(&world, first).await;
    // The order's mark is lost, or another order came after it: the same work.
    world.waldur.set_order_state(first, OrderState::Canceled);
    let second = world.waldur.order_on(resource).terminate().pending();
    assert_eq!(begin(&world, second).await, handle);
    assert_eq!(world.service.jobs().len(), 1);
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_was_not_written_begins_no_second_work() {
    // Killed, or refused, between the begin of the work and the order's mark.
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let faults = Faults::new(world.waldur.clone()).on(op("orders.set_backend_id"), status(503));
    let report = patient(&world).sending_once().waldur(faults).run_one().await;
    assert_deferred(&report);
    assert_eq!((world.order(order).backend_id.as_str(), world.service.jobs().len()), ("", 1));
    let handle = begin(&world, order).await;
    assert_eq!(world.service.jobs(), std::slice::from_ref(&handle));
    world.service.finish_job(&handle);
    assert_done(&patient(&world).run_one().await);
    assert_eq!(world.service.made(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_no_mark_cannot_be_waited_with() {
    let world = World::new(Generation::V2024);
    let order = world.create("Res").pending();
    let report = patient(&world).run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).class(), ErrorClass::Unsupported);
    assert!(world.order(order).error_message.contains("too old"), "{}", world.order(order).error_message);
}
