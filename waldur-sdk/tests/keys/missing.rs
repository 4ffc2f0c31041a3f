//! Keys for resources that were there before their customers were to have any (core.md §2.11).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    live,
    orders::{World, environment},
    parts, processor, reported,
};
use serde_json::json;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{MarketplaceResource, OpContext, Overridden, Override, ResourceBackend},
    process::{KeyPolicy, KeyProcessor, MissingKeys, ServedOffering},
    testing::{
        Faults, op, status,
        waldur::{Generation, ResourceState},
        when,
    },
    types::{BackendId, ResourceUuid},
};

fn few(keys: KeyProcessor) -> KeyProcessor {
    let mut policy = KeyPolicy::default();
    policy.provisions_per_pass = 2;
    keys.with_policy(policy)
}

async fn pass(keys: &KeyProcessor) -> MissingKeys {
    keys.provision_missing(&OpContext::new("missing")).await.unwrap()
}

fn older(world: &World, number: usize) -> Vec<ResourceUuid> {
    (0..number)
        .map(|number| {
            let id = format!("res-{number}");
            let resource = world.existing(&id);
            world.service.seed_key(&id, format!("shown-{number}"));
            resource
        })
        .collect()
}

/// Another resource, whose keys Waldur lists.
fn listed(world: &World) {
    let resource = world.existing("listed");
    for client_id in ["one", "two"] {
        world.service.seed_key("listed", client_id);
        world.waldur.api_key(resource, client_id).create();
    }
}

#[tokio::test(start_paused = true)]
async fn c32_older_resources_get_keys_a_few_in_each_pass_and_lose_none() {
    let world = World::new(Generation::V8);
    let resources = older(&world, 5);
    // One has what it needs, one has half of it, and one is gone.
    for client_id in ["one", "two"] {
        world.service.seed_key("res-0", client_id);
        world.waldur.api_key(resources[0], client_id).create();
    }
    world.service.seed_key("res-1", "half");
    world.waldur.api_key(resources[1], "half").create();
    world.waldur.change_resource(resources[2], |row| row.state(ResourceState::Terminated));
    let keys = few(processor(&world, world.waldur.clone(), world.service.clone()));
    let first = pass(&keys).await;
    assert_eq!((first.provisions.len(), first.left), (2, 1));
    let second = pass(&keys).await;
    assert_eq!((second.provisions.len(), second.left), (1, 0));
    for number in [0, 1, 3, 4] {
        let (id, shown) = (format!("res-{number}"), format!("shown-{number}"));
        let (live, reported) = (live(&world, &id), reported(&world, resources[number]));
        assert_eq!(reported.len(), 2, "{id}");
        // What customers had stays, as they may use it.
        assert_eq!(live.difference(&reported).cloned().collect::<BTreeSet<_>>(), BTreeSet::from([shown]), "{id}");
        assert!(live.is_superset(&reported), "{id}: {live:?} {reported:?}");
    }
    assert_eq!((reported(&world, resources[2]).len(), world.service.keys_made()), (0, 5));
    // Nothing waits, and for an hour nobody asks.
    world.waldur.forget_requests();
    assert!(pass(&keys).await.provisions.is_empty());
    assert_eq!(world.waldur.requests().len(), 0);
    environment().sleep(Duration::from_hours(2)).await;
    assert!(pass(&keys).await.provisions.is_empty());
    assert_eq!(world.waldur.requests().len(), 2, "keys and resources");
    world.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn c32_a_list_that_is_not_whole_gives_nobody_keys() {
    for list in ["api_keys.list", "provider_resources.list"] {
        let world = World::new(Generation::V8);
        older(&world, 3);
        let faults = Faults::new(world.waldur.clone()).on(op(list), status(500));
        let keys = few(processor(&world, faults, world.service.clone()));
        keys.provision_missing(&OpContext::new("missing")).await.unwrap_err();
        assert_eq!(world.service.keys_made(), 0, "{list}");
    }
}

#[tokio::test(start_paused = true)]
async fn c32_what_passes_is_tried_again_and_stops_no_other() {
    let world = World::new(Generation::V8);
    let resources = older(&world, 2);
    listed(&world);
    let faults = Faults::new(world.service.clone()).on(op("keys.mint").nth(1), status(503));
    let keys = few(processor(&world, world.waldur.clone(), faults));
    let first = pass(&keys).await;
    assert_eq!((first.provisions.len(), first.left), (2, 1));
    let second = pass(&keys).await;
    assert_eq!((second.provisions.len(), second.left), (1, 0));
    for (number, resource) in resources.into_iter().enumerate() {
        assert_eq!(reported(&world, resource).len(), 2);
        assert!(live(&world, &format!("res-{number}")).is_superset(&reported(&world, resource)));
    }
}

#[tokio::test(start_paused = true)]
async fn c32_a_server_without_keys_is_asked_once() {
    let world = World::new(Generation::V2024);
    older(&world, 2);
    let keys = few(processor(&world, world.waldur.clone(), world.service.clone()));
    for _pass in 0..2 {
        assert!(pass(&keys).await.provisions.is_empty());
    }
    assert_eq!((world.waldur.requests().len(), world.service.keys_made()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn c32_keys_that_waldur_takes_and_does_not_list_do_not_grow_in_number() {
    let world = World::new(Generation::V8);
    older(&world, 5);
    let nothing = status(200).header("x-result-count", "0").json(&json!([]));
    let faults = Faults::new(world.waldur.clone()).on(op("api_keys.list"), nothing);
    let mut keys = few(processor(&world, faults, world.service.clone()));
    let mut made = Vec::new();
    for hour in 0..8 {
        let report = pass(&keys).await;
        assert_eq!(report.left, 0, "{hour}");
        for (_, outcome) in &report.provisions {
            assert_eq!(outcome.as_ref().unwrap().warnings.len(), 1, "{report:?}");
        }
        made.push(world.service.keys_made());
        environment().sleep(Duration::from_mins(61)).await;
        // A back end that was built anew brings no new memory.
        let (http, backend) = parts(world.waldur.clone(), world.service.clone());
        keys = keys.with_offering(&ServedOffering::new(world.client(http), backend, world.offering));
    }
    assert_eq!(made, [1, 2, 3, 4, 5, 5, 5, 5], "one in each look, and one for each resource");
}

#[tokio::test(start_paused = true)]
async fn c32_a_list_that_lags_is_waited_for() {
    let world = World::new(Generation::V8);
    let resources = older(&world, 3);
    // The first two are before anything was made.
    let nothing = || status(200).header("x-result-count", "0").json(&json!([]));
    let faults = Faults::new(world.waldur.clone());
    let faults = faults.on(op("api_keys.list").nth(3), nothing()).on(op("api_keys.list").nth(4), nothing());
    let report = pass(&processor(&world, faults, world.service.clone())).await;
    assert_eq!((report.provisions.len(), report.left), (3, 0));
    for (_, outcome) in &report.provisions {
        assert!(outcome.as_ref().unwrap().warnings.is_empty(), "{report:?}");
    }
    assert!(resources.iter().all(|resource| reported(&world, *resource).len() == 2));
}

#[tokio::test(start_paused = true)]
async fn f044_refused_credentials_end_the_pass_over_resources_without_keys() {
    for is_listed in [false, true] {
        let world = World::new(Generation::V8);
        older(&world, 25);
        if is_listed {
            listed(&world);
        }
        let faults = Faults::new(world.service.clone()).on(op("keys.mint"), status(401));
        let keys = processor(&world, world.waldur.clone(), faults);
        for _pass in 0..2 {
            let report = pass(&keys).await;
            assert_eq!((report.provisions.len(), report.left), (if is_listed { 4 } else { 1 }, 25), "{is_listed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f041_a_back_end_that_is_down_ends_the_pass_over_resources_without_keys() {
    let world = World::new(Generation::V8);
    older(&world, 25);
    listed(&world);
    let service = world.service.clone();
    let faults = Faults::new(service.clone()).on(op("keys.mint").first(4), status(503));
    let keys = processor(&world, world.waldur.clone(), faults);
    let report = pass(&keys).await;
    assert_eq!((report.provisions.len(), report.left, service.keys_made()), (4, 25, 0));
    let report = pass(&keys).await;
    assert_eq!((report.provisions.len(), report.left, service.keys_made()), (20, 5, 40));
}

#[tokio::test(start_paused = true)]
async fn c32_a_resource_that_ended_before_its_turn_lacks_nothing() {
    let world = World::new(Generation::V8);
    let resources = older(&world, 5);
    let gone = resources[4].hex();
    let gone = when("gone", move |request| request.uri().path().contains(&gone)).and(op("provider_resources.get"));
    let faults = Faults::new(world.waldur.clone()).on(gone, status(404).json(&json!({ "detail": "Not found." })));
    let keys = few(processor(&world, faults, world.service.clone()));
    let mut provisions = pass(&keys).await.provisions;
    for resource in &resources {
        world.waldur.change_resource(*resource, |row| row.state(ResourceState::Terminated));
    }
    let made = world.service.keys_made();
    for _pass in 0..2 {
        provisions.extend(pass(&keys).await.provisions);
    }
    assert_eq!((provisions.len(), world.service.keys_made()), (5, made));
    for (resource, outcome) in &provisions {
        assert!(outcome.as_ref().unwrap().warnings.is_empty(), "{resource}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c32_rights_that_were_missing_are_not_waited_for_for_a_day() {
    let world = World::new(Generation::V8);
    let resources = older(&world, 1);
    let faults = Faults::new(world.service.clone()).on(op("keys.mint").first(2), status(403));
    let keys = processor(&world, world.waldur.clone(), faults);
    for made in [0, 0, 2] {
        assert_eq!(pass(&keys).await.provisions.len(), 1);
        assert_eq!(reported(&world, resources[0]).len(), made);
        environment().sleep(Duration::from_mins(61)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn c32_the_keys_of_an_order_processor_remember_from_pass_to_pass() {
    let world = World::new(Generation::V8);
    older(&world, 5);
    let orders = world.agent().memory(waldur_sdk::testing::MemoryBackend::with_keys).build();
    for (turn, left) in [(5, 0), (0, 0)] {
        world.waldur.forget_requests();
        let report = pass(&orders.keys()).await;
        assert_eq!((report.provisions.len(), report.left), (turn, left));
        assert_eq!(world.waldur.requests().is_empty(), turn == 0, "nobody asks for an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn c32_who_is_refused_keys_is_told_so_once_a_day_and_stands_in_nobodys_way() {
    let world = World::new(Generation::V8);
    let resources = older(&world, 5);
    let last = resources.iter().enumerate().max_by_key(|(_, resource)| **resource).map(|(number, _)| number).unwrap();
    for (number, _) in resources.iter().enumerate().filter(|(number, _)| *number != last) {
        world.service.put(format!("res-{number}"), world.object_of(resources[last], 4, 8));
    }
    let keys = few(processor(&world, world.waldur.clone(), world.service.clone()));
    let mut told = Vec::new();
    for _hour in 0..4 {
        told.extend(pass(&keys).await.provisions.into_iter().map(|(resource, _)| resource));
        environment().sleep(Duration::from_mins(61)).await;
    }
    assert_eq!(told.len(), 5, "each once: {told:?}");
    assert_eq!(reported(&world, resources[last]).len(), 2);
    environment().sleep(Duration::from_hours(24)).await;
    assert_eq!(pass(&keys).await.provisions.len(), 2, "it may be mended by now");
}

/// Cannot tell which keys may be pruned.
struct Untold(Arc<dyn ResourceBackend>, Error);

#[async_trait]
impl Override for Untold {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.0
    }
    async fn keys_prunable(
        &self,
        _: &OpContext,
        _: &MarketplaceResource,
        _: &BackendId,
    ) -> Result<Option<BTreeSet<String>>> {
        Err(self.1.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn c32_keys_that_cannot_be_told_are_not_known_to_be_many_unless_nothing_can_be_told() {
    let of = |kind| Error::new(kind, "no list of keys");
    let cases = [
        // It is not known which one is published.
        (Error::not_ready("which of them?"), 2),
        (of(ErrorKind::Inconsistent).with_retryable(true), 2),
        (of(ErrorKind::Decode), 2),
        (of(ErrorKind::PermissionDenied), 2),
        (of(ErrorKind::Unavailable), 0),
        (of(ErrorKind::Timeout), 0),
        (of(ErrorKind::Unauthenticated), 0),
        (of(ErrorKind::Cancelled), 0),
        (of(ErrorKind::DeadlineExceeded), 0),
    ];
    for (untold, made) in cases {
        let world = World::new(Generation::V8);
        let resource = older(&world, 1)[0];
        let (http, backend) = parts(world.waldur.clone(), world.service.clone());
        let backend = Arc::new(Overridden(Untold(backend, untold.clone())));
        let report = pass(&KeyProcessor::new(world.client(http), backend, world.offering)).await;
        assert_eq!((reported(&world, resource).len(), world.service.keys("res-0").len()), (made, 1 + made), "{untold}");
        let deferred = report.provisions[0].1.as_ref().unwrap().deferred.as_ref();
        assert_eq!(deferred.map(Error::kind), (made == 0).then_some(untold.kind()));
        assert_eq!(report.left, usize::from(made == 0), "{untold}");
        assert!(live(&world, "res-0").contains("shown-0"));
    }
}
