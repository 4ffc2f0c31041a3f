//! Orders that the back end finishes later (core.md §2.8).

use std::sync::Arc;

use crate::orders::{Agent, BOTH, World, assert_deferred, assert_done, assert_erred, error, limits};
use async_trait::async_trait;
use serde_json::json;
use waldur_sdk::{
    ErrorClass, ErrorKind, Result,
    backend::{
        CreateRequest, Created, OpContext, Override, PendingOrders, PendingWork, Progress, Removed, ResourceBackend,
        ResourceState as Found, Settled, Verified,
    },
    process::OrderOutcome,
    testing::{
        Faults, op, status,
        waldur::{Generation, OrderState, ResourceState},
    },
    types::{BackendId, Limits, OrderType, OrderUuid},
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
    assert_eq!(world.resource(order).backend_id, "", "nothing was made under it");
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

#[tokio::test(start_paused = true)]
async fn c30_an_update_of_everything_goes_on_step_by_step_and_loses_none() {
    // Limits of the order's own, and those of the plan where it names none.
    for (ordered, cpu, mem) in [(&[("cpu", 6), ("mem", 9)][..], 6, 9), (&[], 20, 8)] {
        let world = World::selling(Generation::V8, |offering| {
            offering.plan("small", |plan| plan.quota("cpu", 2)).plan("large", |plan| plan.quota("cpu", 20))
        });
        let large = world.waldur.plan(world.offering, "large");
        let resource = world.existing("res");
        let order = world.waldur.order_on(resource).switch_plan(large).limits(ordered.iter().copied());
        let order = order.attributes(json!({ "old_options": {}, "new_options": { "tier": "fast" } })).pending();
        let mut handles = Vec::new();
        for _ in ["options", "plan", "limits"] {
            let handle = begin(&world, order).await;
            assert_goes_on(&world, order, &patient(&world).run_one().await.outcome);
            assert_eq!(world.order(order).backend_id, handle, "nothing is begun while it runs");
            world.service.finish_job(&handle);
            handles.push(handle);
        }
        assert_done(&patient(&world).run_one().await);
        assert_eq!(world.service.jobs(), handles, "three of them");
        let object = world.object("res");
        assert_eq!((&object.options["tier"], object.plan), (&json!("fast"), Some(large)));
        assert_eq!((object.limits["cpu"], object.limits["mem"]), (Some(cpu), Some(mem)));
        assert_eq!(world.resource(order).plan, Some(large));
    }
}

#[tokio::test(start_paused = true)]
async fn f157_what_a_job_says_it_did_is_read_back() {
    // A change of limits.
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    let update = world.waldur.order_on(resource).update_limits([("cpu", 5), ("mem", 8)]).pending();
    let handle = begin(&world, update).await;
    world.service.finish_job(&handle);
    world.service.put("res", world.object_of(resource, 4, 8));
    let report = patient(&world).run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).kind(), ErrorKind::Inconsistent);
    assert!(world.order(update).error_message.contains("cpu was set to 5 but reads 4"));
    assert_eq!(world.resource(update).limits, limits(4, 8));

    // A creation whose object has no limits.
    let world = World::new(Generation::V8);
    let create = world.create("Res").pending();
    let handle = begin(&world, create).await;
    world.service.finish_job(&handle);
    world.service.seed("res", Some(world.waldur.resource_of(create)));
    let report = patient(&world).run_one().await;
    assert_erred(&report);
    assert!(world.order(create).error_message.contains("reads unlimited"), "{}", world.order(create).error_message);

    // A removal, and a soft end.
    for soft in [false, true] {
        for honest in [true, false] {
            let world = World::new(Generation::V8);
            let resource = world.existing("res");
            let terminate = world.waldur.order_on(resource).terminate().pending();
            let agent = || patient(&world).policy(move |policy| policy.soft_delete = soft);
            assert_goes_on(&world, terminate, &agent().run_one().await.outcome);
            world.service.finish_job(&world.order(terminate).backend_id);
            if honest {
                assert_done(&agent().run_one().await);
                assert_eq!(world.ids().len(), usize::from(soft));
            } else {
                world.service.put("res", world.object_of(resource, 4, 8));
                let report = agent().run_one().await;
                assert_erred(&report);
                assert_eq!(error(&report).kind(), ErrorKind::Inconsistent);
            }
        }
    }
}

/// Says the same of whatever it is asked about.
struct Says(Arc<dyn ResourceBackend>, fn(&BackendId, &PendingWork) -> Result<Settled>);

#[async_trait]
impl Override for Says {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.0
    }
    fn pending(&self) -> Option<&dyn PendingOrders> {
        Some(self)
    }
}

#[async_trait]
impl PendingOrders for Says {
    async fn check(&self, _cx: &OpContext, work: &PendingWork) -> Result<Progress<Settled>> {
        (self.1)(&BackendId::new("res")?, work).map(Progress::Done)
    }
}

fn created(id: &BackendId, work: &PendingWork) -> Result<Settled> {
    let mut found = Found::new(id.clone());
    found.stamp = Some(work.resource.stamp());
    let request = CreateRequest::new(work.order, work.resource.clone(), id.clone());
    Verified::created(Created::default(), &request, Some(&found)).map(Settled::Created)
}

fn limited(id: &BackendId, _work: &PendingWork) -> Result<Settled> {
    Verified::limits(&Limits::new(), &Found::new(id.clone())).map(Settled::Limits)
}

fn removed(id: &BackendId, _work: &PendingWork) -> Result<Settled> {
    Verified::removed(id, Removed::Deleted, None).map(Settled::Removed)
}

#[tokio::test(start_paused = true)]
async fn a_word_that_does_not_fit_the_order_is_no_proof() {
    type Word = fn(&BackendId, &PendingWork) -> Result<Settled>;
    let options: Word = |_, _| Ok(Settled::Options);
    let plan: Word = |_, _| Ok(Settled::Plan);
    let table: [(OrderType, &[Word]); 3] = [
        (OrderType::Create, &[options, plan, limited, removed]),
        // Of options alone: there are no limits that could have been set.
        (OrderType::Update, &[created, limited, removed]),
        (OrderType::Terminate, &[created, options, plan, limited]),
    ];
    for (kind, words) in table {
        for (number, word) in words.iter().copied().enumerate() {
            let world = World::new(Generation::V8);
            let order = match kind {
                OrderType::Create => world.create("Res"),
                OrderType::Update => {
                    world.waldur.order_on(world.existing("res")).update_options(&json!({ "tier": "fast" }))
                }
                _ => world.waldur.order_on(world.existing("res")).terminate(),
            };
            let order = order.backend_id("job-1").executing();
            let report = world.agent().overriding(move |inner| Says(inner, word)).run_one().await;
            assert_erred(&report);
            assert_eq!(error(&report).kind(), ErrorKind::Inconsistent, "{kind} {number}");
            assert_eq!((world.state(order), world.service.writes()), (OrderState::Erred, 0), "{kind} {number}");
        }
    }
}
