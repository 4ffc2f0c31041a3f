//! Objects that exist, are gone, or cannot be seen: Create and Restore once more, and Terminate (core.md §2.5, §2.10).

use std::{sync::Arc, time::Duration};

use crate::orders::{
    Asked, BOTH, Doctored, OnRequest, PROJECT, World, assert_deferred, assert_done, assert_erred, environment, error,
    limited, limits, warned,
};
use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{MarketplaceResource, OpContext, Origin, ResourceBackend, Status},
    process::{FollowUp, Leftover, LeftoverOutcome, OrderOutcome, OrderPolicy, OrderProcessor, OrderRunReport},
    rest::TransportErrorKind,
    settings::{AccountingType, Component, Components},
    testing::{
        Faults, Latency, MemoryBackend, Override, any, op, status,
        waldur::{Generation, OrderState, ResourceState},
    },
    types::{BackendId, ResourceUuid, Uuid},
};

#[tokio::test(start_paused = true)]
async fn c20_an_object_that_is_there_gets_what_it_lacks_and_the_order_completes() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").resource(|resource| resource.slug("res").backend_id("res")).executing();
        // A dead process had made it, but for its limits.
        world.service.seed("res", Some(world.waldur.resource_of(order)));
        assert_done(&world.agent().run_one().await);
        assert_eq!(world.service.made(), 0);
        assert_eq!(world.object("res").limits, world.object_of(world.waldur.resource_of(order), 4, 8).limits);
        assert_eq!(world.resource(order).backend_metadata["object_id"], "res");

        // An id from elsewhere, an object from before there were stamps.
        let order = world.create("Old").resource(|resource| resource.slug("new-name").backend_id("old")).executing();
        world.service.seed("old", None);
        assert_done(&world.agent().run_one().await);
        assert_eq!((world.service.made(), world.state(order)), (0, OrderState::Done));
        assert_eq!(world.object("old").limits["cpu"], Some(4));
    }
}

#[tokio::test(start_paused = true)]
async fn c21_a_restored_resource_is_made_again_under_its_id_with_its_members() {
    for generation in BOTH {
        let world = World::new(generation);
        world.member("ann");
        let resource = world.existing("res");
        let other = world.existing("other");
        world.service.lose("res");
        world.waldur.change_resource(resource, |row| row.state(ResourceState::Terminated));
        let order = world.waldur.order_on(resource).restore().pending();
        let report = world.agent().memory(|memory| memory.with_members().with_status()).run_one().await;
        assert_done(&report);
        let mut expected = world.object_of(resource, 4, 8);
        expected.members.insert("site-ann".to_owned());
        assert_eq!(world.object("res"), expected);
        assert_eq!(world.object("other"), world.object_of(other, 4, 8));
        assert_eq!((world.resource(order).state, world.service.made()), (ResourceState::Ok, 1));
        assert_eq!(world.count("provider_resources.set_backend_id"), 0);
        assert!(report.follow_ups.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn c22_an_object_that_cannot_be_seen_is_not_made() {
    for generation in BOTH {
        for outage in [status(503), status(404).body("text/html", "<html>no backend</html>"), status(401)] {
            let world = World::new(generation);
            let order = world.create("Res").resource(|resource| resource.slug("res").backend_id("res")).executing();
            let faults = Faults::new(world.service.clone()).on(any(), outage);
            let report = world.agent().service(faults).run_one().await;
            assert_deferred(&report);
            assert_eq!(world.state(order), OrderState::Executing);
            assert_eq!((world.service.made(), world.writes()), (0, vec![]));
        }
        let world = World::new(generation);
        let order = world.waldur.order_on(world.existing("res")).terminate().executing();
        let faults = Faults::new(world.service.clone()).on(any(), TransportErrorKind::Connect);
        assert_deferred(&world.agent().service(faults).run_one().await);
        assert_eq!(world.state(order), OrderState::Executing, "an outage is no absence");
        assert_eq!(world.ids(), ["res"]);
    }
}

#[tokio::test(start_paused = true)]
async fn c24_soft_delete_zeroes_limits_and_restore_brings_them_back() {
    for generation in BOTH {
        let world = World::new(generation);
        let resource = world.existing("res");
        world.service.put("res", {
            let mut object = world.object_of(resource, 4, 8);
            "paused".clone_into(&mut object.status);
            object
        });
        let order = world.waldur.order_on(resource).terminate().pending();
        assert_done(&world.agent().policy(|policy| policy.soft_delete = true).run_one().await);
        assert_eq!(world.resource(order).state, ResourceState::Terminated);
        let object = world.object("res");
        assert_eq!((object.limits["cpu"], object.limits["mem"]), (Some(0), Some(0)));
        assert!(world.service.projects().contains(PROJECT));

        let order = world.waldur.order_on(resource).restore().pending();
        assert_done(&world.agent().memory(MemoryBackend::with_status).run_one().await);
        assert_eq!(world.object("res"), world.object_of(resource, 4, 8), "limits and status are back");
        assert_eq!((world.resource(order).limits, world.service.made()), (limits(4, 8), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn soft_delete_knows_components_from_either_side_and_leaves_fixed_ones() {
    let world = World::new(Generation::V8);
    let resource = world.waldur.resource(world.offering).backend_id("res").limits([("mem", 8), ("seats", 2)]).create();
    world.service.put("res", world.object_of(resource, 4, 8));
    let asked = Asked::default();
    let telling = asked.clone();
    world.waldur.order_on(resource).terminate().pending();
    // `cpu` is configured and has no limit in Waldur, `mem` the other way round, `seats` is what the plan says.
    let components: Components =
        limited(["cpu"]).iter().cloned().chain([Component::new("seats", AccountingType::Fixed)]).collect();
    let report = world
        .agent()
        .components(components)
        .policy(|policy| policy.soft_delete = true)
        .overriding(move |inner| Doctored::new(inner).telling(&telling))
        .run_one()
        .await;
    assert_done(&report);
    let changes = asked.limits.lock().unwrap();
    assert_eq!(changes[0].limits.keys().collect::<Vec<_>>(), ["cpu", "mem"]);
    assert_eq!(world.object("res").limits.into_values().collect::<Vec<_>>(), [Some(0), Some(0)]);
}

#[tokio::test(start_paused = true)]
async fn c25_what_is_not_there_is_not_deleted_and_the_project_goes_with_its_last_resource() {
    for generation in BOTH {
        // Never made.
        let world = World::new(generation);
        let resource = world.waldur.resource(world.offering).slug("res").create();
        let order = world.waldur.order_on(resource).terminate().pending();
        assert_done(&world.agent().run_one().await);
        assert_eq!((world.resource(order).state, world.service.writes()), (ResourceState::Terminated, 0));

        // Gone already.
        let world = World::new(generation);
        let resource = world.existing("res");
        world.service.lose("res");
        let order = world.waldur.order_on(resource).terminate().pending();
        let faults = Faults::new(world.service.clone()).on(op("objects.delete"), status(500));
        assert_done(&world.agent().service(faults.clone()).run_one().await);
        assert_eq!((world.state(order), faults.acted()), (OrderState::Done, 0));

        // A sibling keeps the project; the last one takes it along.
        let world = World::new(generation);
        let (first, last) = (world.existing("first"), world.existing("last"));
        world.waldur.order_on(first).terminate().pending();
        assert_done(&world.agent().run_one().await);
        assert_eq!(world.ids(), ["last"]);
        assert!(world.service.projects().contains(PROJECT));
        world.waldur.order_on(last).terminate().pending();
        assert_done(&world.agent().run_one().await);
        assert!(world.service.objects().is_empty() && world.service.projects().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn f058_an_object_that_may_not_go_yet_keeps_its_order_from_being_done() {
    for generation in BOTH {
        let world = World::new(generation);
        let resource = world.existing("res");
        let order = world.waldur.order_on(resource).terminate().pending();
        let full = status(412).body("application/json", r#"{"code":"NotEmpty"}"#);
        let faults = Faults::new(world.service.clone()).on(op("objects.delete"), full);
        let report = world.agent().service(faults).policy(|policy| policy.expose_error_details = false).run_one().await;
        assert_erred(&report);
        assert_eq!(world.resource(order).state, ResourceState::Ok);
        assert_eq!(world.ids(), ["res"]);
        assert!(world.order(order).error_message.contains("still holds data"), "{}", world.order(order).error_message);
    }
}

#[tokio::test(start_paused = true)]
async fn f113_an_object_that_somebody_removes_meanwhile_is_not_done() {
    for generation in BOTH {
        // While it is made.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let service = world.service.clone();
        let removed = OnRequest::new(world.service.clone(), "objects.limits", move || service.lose("res"));
        let report = world.agent().service(removed).run_one().await;
        assert_erred(&report);
        assert_eq!(error(&report).kind(), ErrorKind::NotFound);
        assert_ne!(world.state(order), OrderState::Done);
        // While it is changed.
        let world = World::new(generation);
        let order = world.waldur.order_on(world.existing("res")).update_limits([("cpu", 5), ("mem", 8)]).pending();
        world.service.lose("res");
        let report = world.agent().run_one().await;
        assert_erred(&report);
        assert!(world.order(order).error_message.contains("res does not exist"));
        assert_eq!(world.resource(order).limits, limits(4, 8));
    }
}

#[tokio::test(start_paused = true)]
async fn f115_an_order_that_is_withdrawn_while_its_object_is_made_leaves_word_of_it() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let (resource, waldur) = (world.waldur.resource_of(order), world.waldur.clone());
        let withdrawn = move || {
            waldur.set_order_state(order, OrderState::Canceled);
            waldur.change_resource(resource, |row| row.state(ResourceState::Terminated));
        };
        let service = OnRequest::new(world.service.clone(), "objects.create", withdrawn);
        let report = world.agent().service(service).run_one().await;
        assert!(matches!(&report.outcome, OrderOutcome::AlreadyFinished(state) if state.as_str() == "canceled"));
        let backend_id = report.backend_id.clone().unwrap();
        assert_eq!(report.follow_ups, [FollowUp::RemoveLeftover { resource, backend_id }]);
        assert_eq!(warned(&report), ["leftover"]);
        assert_eq!(world.state(order), OrderState::Canceled);
        assert_eq!(world.ids(), ["res"], "one reading is not enough to remove anything by");

        // Ended by another agent: the resource is in use, and nothing is left over.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let (resource, waldur) = (world.waldur.resource_of(order), world.waldur.clone());
        let finished = move || {
            waldur.set_order_state(order, OrderState::Done);
            waldur.change_resource(resource, |row| row.state(ResourceState::Ok));
        };
        let service = OnRequest::new(world.service.clone(), "objects.create", finished);
        let report = world.agent().service(service).run_one().await;
        assert!(report.follow_ups.is_empty() && report.warnings.is_empty(), "{report:#?}");
    }
}

/// An order of something new that is withdrawn while the object is made, and the processor that has had it in a pass.
async fn with_leftover(adjust: impl FnOnce(&mut OrderPolicy)) -> (World, ResourceUuid, OrderProcessor) {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let (resource, waldur) = (world.waldur.resource_of(order), world.waldur.clone());
    let withdrawn = move || {
        waldur.set_order_state(order, OrderState::Canceled);
        waldur.change_resource(resource, |row| row.state(ResourceState::Terminated));
    };
    let service = OnRequest::new(world.service.clone(), "objects.create", withdrawn);
    let processor = world.agent().service(service).policy(adjust).build();
    let report = processor.run_once(&OpContext::new("first")).await.unwrap();
    assert!(!report.is_clean() && report.follow_ups().count() == 1 && report.leftovers.is_empty(), "{report:#?}");
    (world, resource, processor)
}

#[tokio::test(start_paused = true)]
async fn f115_what_a_withdrawn_order_left_is_removed_by_the_next_pass_if_nobody_wants_it_still() {
    let next = async |processor: &OrderProcessor| processor.run_once(&OpContext::new("next")).await.unwrap();
    let (world, resource, processor) = with_leftover(|_| {}).await;
    let report = next(&processor).await;
    assert!(
        matches!(report.leftovers[..], [Leftover { outcome: LeftoverOutcome::Removed, resource: of, .. }] if of == resource)
    );
    assert!(report.is_clean() && world.ids().is_empty(), "{report:#?}");
    assert!(next(&processor).await.leftovers.is_empty(), "once");

    // In use again meanwhile.
    let (world, resource, processor) = with_leftover(|_| {}).await;
    world.waldur.change_resource(resource, |row| row.state(ResourceState::Ok));
    let report = next(&processor).await;
    assert!(matches!(report.leftovers[0].outcome, LeftoverOutcome::Wanted) && report.is_clean(), "{report:#?}");
    assert_eq!(world.ids(), ["res"]);
}

#[tokio::test(start_paused = true)]
async fn f115_what_cannot_be_removed_is_told_of_in_every_pass() {
    let next = async |processor: &OrderProcessor| processor.run_once(&OpContext::new("next")).await.unwrap();
    let left = |report: &OrderRunReport| match &report.leftovers[..] {
        [Leftover { outcome: LeftoverOutcome::Left(error), .. }] => error.kind(),
        other => panic!("{other:?}"),
    };
    // Where terminated resources keep their objects; of somebody else by now; while Waldur cannot be asked.
    let (kept, _, keeps) = with_leftover(|policy| policy.soft_delete = true).await;
    let (strange, _, processor) = with_leftover(|_| {}).await;
    let mut object = strange.object("res");
    object.stamp = Some(ResourceUuid::new(Uuid::from_u128(7)));
    strange.service.put("res", object);
    for _ in 0..2 {
        for (world, processor, kind) in
            [(&kept, &keeps, ErrorKind::Inconsistent), (&strange, &processor, ErrorKind::Foreign)]
        {
            let report = next(processor).await;
            assert_eq!((left(&report), report.is_clean()), (kind, false));
            assert_eq!(world.ids(), ["res"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f115_what_was_left_comes_after_the_orders_and_an_outage_is_met_once() {
    for (code, kind) in [(503, ErrorKind::Unavailable), (401, ErrorKind::Unauthenticated)] {
        let world = World::new(Generation::V8);
        let orders = ["One", "Two", "Three"].map(|name| world.create(name).pending());
        let waldur = world.waldur.clone();
        let withdrawn = move || {
            for order in orders {
                waldur.set_order_state(order, OrderState::Canceled);
                waldur.change_resource(waldur.resource_of(order), |row| row.state(ResourceState::Terminated));
            }
        };
        let down = Faults::new(world.service.clone()).on(op("objects.delete"), status(code));
        let service = OnRequest::new(down.clone(), "objects.create", withdrawn);
        // All three are under way by then.
        let slow = Latency::new(service, environment(), Duration::from_millis(10));
        let processor = world.agent().service(slow).sending_once().build();
        let first = processor.run_once(&OpContext::new("first")).await.unwrap();
        assert_eq!(first.follow_ups().count(), 3, "{first:#?}");
        let order = world.create("New").pending();
        let before = world.waldur.requests().len();
        let report = processor.run_once(&OpContext::new("next")).await.unwrap();
        assert_eq!(world.state(order), OrderState::Done);
        assert_eq!(world.waldur.requests()[before].operation, Some("orders.list"));
        let left = |left: &Leftover| matches!(&left.outcome, LeftoverOutcome::Left(error) if error.kind() == kind);
        assert!(report.leftovers.len() == 3 && report.leftovers.iter().all(left), "{report:#?}");
        assert_eq!(down.acted(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_created_for_a_resource_that_is_terminated() {
    for gone in [ResourceState::Terminating, ResourceState::Terminated] {
        let world = World::new(Generation::V8);
        let order = world.create("Res").executing();
        world.waldur.change_resource(world.waldur.resource_of(order), |row| row.state(gone));
        let report = world.agent().run_one().await;
        assert!(matches!(&report.outcome, OrderOutcome::NeedsAttention(_)), "{}", report.outcome);
        assert!(!report.outcome.is_good(), "no later pass will do better");
        assert_eq!((world.service.writes(), world.writes()), (0, vec![]));
        assert!(error(&report).message().contains("terminated"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_asks_for_the_orders_limits_or_else_the_resources() {
    let world = World::new(Generation::V8);
    for (ordered, expected) in [(Some(5), 5), (None, 4)] {
        let id = format!("res-{expected}");
        let resource = world.existing(&id);
        world.waldur.change_resource(resource, |row| row.state(ResourceState::Terminated));
        let order = world.waldur.order_on(resource).restore().limits(ordered.map(|cpu| ("cpu", cpu)));
        order.pending();
        let asked = Asked::default();
        let telling = asked.clone();
        let agent = world.agent().overriding(move |inner| Doctored::new(inner).telling(&telling));
        assert_done(&agent.run_one().await);
        let creation = asked.creations.lock().unwrap()[0].clone();
        assert_eq!(creation.limits["cpu"].to_waldur(), expected.into());
        assert_eq!(creation.origin, Origin::Recorded);
        assert_eq!(world.object(&id).limits["cpu"], Some(u64::try_from(expected).unwrap()));
    }
}

/// A back end whose object somebody else has closed.
struct Locked(Arc<dyn ResourceBackend>);

#[async_trait]
impl Override for Locked {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.0
    }
    async fn set_status(&self, _: &OpContext, _: &MarketplaceResource, _: &BackendId, _: Status) -> Result<()> {
        Err(Error::unsupported("lifting a suspension of somebody else's"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_restoration_of_what_somebody_else_has_closed_is_done_and_says_so() {
    let world = World::new(Generation::V8);
    let create = world.create("Res").pending();
    assert_done(&world.agent().run_one().await);
    let resource = world.waldur.resource_of(create);
    world.waldur.order_on(resource).terminate().pending();
    assert_done(&world.agent().run_one().await);
    let restore = world.waldur.order_on(resource).restore().pending();
    let report = world.agent().memory(MemoryBackend::with_status).overriding(Locked).run_one().await;
    assert_done(&report);
    assert!(warned(&report).contains(&"status"), "{:?}", report.warnings);
    assert_eq!(world.state(restore), OrderState::Done);
}
