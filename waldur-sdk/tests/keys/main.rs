//! Keys of customers and imports, between a Waldur and a back end in memory.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../support/orders.rs"]
mod orders;

mod deadlines;
mod import;
mod missing;
mod others;
mod provision;
mod rotate;
mod sweeps;

use std::{collections::BTreeSet, sync::Arc};

use orders::{World, environment};
use waldur_sdk::{
    backend::ResourceBackend,
    process::KeyProcessor,
    rest::{Http, HttpTransport},
    testing::{MemoryBackend, waldur::Generation},
    types::{ResourceUuid, Timestamp},
};

/// The first halves of the keys that are live.
fn live(world: &World, id: &str) -> BTreeSet<String> {
    world.service.keys(id).into_keys().collect()
}

/// The first halves of the keys that Waldur was told of.
fn reported(world: &World, resource: ResourceUuid) -> BTreeSet<String> {
    world.waldur.api_keys(resource).into_iter().map(|(client_id, _)| client_id).collect()
}

/// What must hold at the end of everything (security.md S12): the live keys are the reported ones.
#[track_caller]
fn assert_none_unknown(world: &World, resource: ResourceUuid, id: &str) {
    assert_eq!(live(world, id), reported(world, resource), "live and reported keys differ");
}

/// A clock of the tests' choice, long after everything that the fake seeds.
fn noon() -> Timestamp {
    "2026-01-01T12:00:00Z".parse().unwrap()
}

/// Pipelines to both sides with the tests' clocks.
fn parts(waldur: impl HttpTransport, service: impl HttpTransport) -> (Http, Arc<dyn ResourceBackend>) {
    let environment = environment().with_wall(noon);
    let backend = MemoryBackend::over(service, environment.clone()).unwrap().with_keys();
    (Http::new(waldur).with_environment(environment), Arc::new(backend))
}

/// A processor of keys over layers or none.
fn processor(world: &World, waldur: impl HttpTransport, service: impl HttpTransport) -> KeyProcessor {
    let (http, backend) = parts(waldur, service);
    KeyProcessor::new(world.client(http), backend, world.offering)
}

/// A world with a resource in use that has two keys, `one` and `two`, on both sides.
fn with_keys() -> (World, ResourceUuid) {
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    for client_id in ["one", "two"] {
        world.service.seed_key("res", client_id);
        world.waldur.api_key(resource, client_id).create();
    }
    (world, resource)
}
