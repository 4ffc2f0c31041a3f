//! Resources that are not this offering's, or not in use (core.md §2.11): an event is a hint, and a filter may be ignored.

use serde_json::json;

use crate::{live, orders::World, processor, with_keys};
use waldur_sdk::{
    ErrorKind,
    backend::OpContext,
    process::RotationOutcome,
    testing::{
        Faults, any, op, status,
        waldur::{ApiKeyState, Generation, ResourceState},
    },
    types::{ApiKeyUuid, ResourceUuid},
};

/// A world in which `res` is an object of ours, and another resource has its id and a key to be replaced.
fn stray(other_offering: bool, state: ResourceState) -> (World, ResourceUuid, ApiKeyUuid) {
    let world = World::new(Generation::V8);
    world.existing("res");
    for client_id in ["one", "two"] {
        world.service.seed_key("res", client_id);
    }
    let offering = if other_offering { world.waldur.offering().name("Other").create() } else { world.offering };
    let resource = world.waldur.resource(offering).backend_id("res").state(state).create();
    let key = world.waldur.api_key(resource, "one").state(ApiKeyState::Updating).create();
    (world, resource, key)
}

#[tokio::test(start_paused = true)]
async fn c32_keys_of_another_offering_are_neither_pruned_nor_replaced() {
    let cases = [
        (true, ResourceState::Ok),
        (false, ResourceState::Creating),
        (false, ResourceState::Terminating),
        (false, ResourceState::Terminated),
    ];
    for (other_offering, state) in cases {
        let (world, resource, key) = stray(other_offering, state);
        let service = Faults::new(world.service.clone()).on(any(), status(500));
        // The filter by offering is ignored.
        let row = json!([{
            "uuid": key, "resource_uuid": resource, "resource_backend_id": "res", "client_id": "one",
            "state": "Updating", "modified": "2026-01-01T09:00:00Z",
        }]);
        let waldur = Faults::new(world.waldur.clone()).on(op("api_keys.list"), status(200).json(&row));
        let keys = processor(&world, waldur, service.clone());
        let report = keys.rotate(&OpContext::new("event"), key, resource, Some("one")).await;
        let stuck = keys.reconcile_stuck(&OpContext::new("keys")).await.unwrap();
        assert_eq!(stuck.rotations.len(), 1);
        for rotation in stuck.rotations.iter().chain([&report]) {
            let RotationOutcome::Refused(error) = &rotation.outcome else { panic!("{state}: {rotation:#?}") };
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        }
        let provided = keys.provision(&OpContext::new("review"), resource).await.unwrap_err();
        assert_eq!(provided.kind(), ErrorKind::InvalidRequest);
        assert_eq!((service.acted(), live(&world, "res").len()), (0, 2), "{state}");
        assert!(world.waldur.writes().is_empty(), "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn c32_a_resource_whose_offering_nobody_tells_is_left_alone() {
    let (world, resource) = with_keys();
    let key = world.waldur.api_key(resource, "three").state(ApiKeyState::Updating).create();
    for answer in [status(200).json(&json!({ "uuid": resource, "backend_id": "res", "state": "OK" })), not_found()] {
        let service = Faults::new(world.service.clone()).on(any(), status(500));
        let waldur = Faults::new(world.waldur.clone()).on(op("provider_resources.get"), answer);
        let keys = processor(&world, waldur, service.clone());
        let report = keys.rotate(&OpContext::new("event"), key, resource, Some("three")).await;
        assert!(matches!(report.outcome, RotationOutcome::Refused(_)), "{report:#?}");
        keys.provision(&OpContext::new("review"), resource).await.unwrap_err();
        assert_eq!(service.acted(), 0);
        assert!(world.waldur.writes().is_empty());
    }
}

fn not_found() -> waldur_sdk::testing::layers::Answer {
    status(404).json(&json!({ "detail": "No Resource matches the given query." }))
}
