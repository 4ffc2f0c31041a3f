//! The time is up, anywhere between minting a key and handing it over.

use std::time::Duration;

use crate::{
    assert_none_unknown, live,
    orders::{World, environment},
    processor, reported, with_keys,
};
use waldur_sdk::{
    backend::OpContext,
    process::{KeyProcessor, RotationOutcome},
    testing::{
        Action, Faults, Latency, hang, op,
        waldur::{ApiKeyState, Generation},
    },
    types::{ApiKeyUuid, ResourceUuid},
};

const ROUND_TRIP: Duration = Duration::from_secs(2);

fn due_in(seconds: u64) -> OpContext {
    let deadline = environment().instant() + Duration::from_secs(seconds);
    OpContext::new("in a hurry").with_deadline(Some(deadline))
}

/// A processor over a network that takes time on both sides.
fn slow(world: &World) -> KeyProcessor {
    let waldur = Latency::new(world.waldur.clone(), environment(), ROUND_TRIP);
    let service = Latency::new(world.service.clone(), environment(), ROUND_TRIP);
    processor(world, waldur, service)
}

fn without_keys() -> (World, ResourceUuid) {
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    (world, resource)
}

fn asked() -> (World, ResourceUuid, ApiKeyUuid) {
    let (world, resource) = with_keys();
    world.service.seed_key("res", "three");
    let key = world.waldur.api_key(resource, "three").state(ApiKeyState::Updating).create();
    (world, resource, key)
}

fn unknown(world: &World, resource: ResourceUuid) -> usize {
    live(world, "res").difference(&reported(world, resource)).count()
}

#[tokio::test(start_paused = true)]
async fn sec12_a_deadline_within_any_call_of_a_provision_leaves_no_key_unknown() {
    let mut cut = 0;
    for seconds in 1.. {
        let (world, resource) = without_keys();
        let first = slow(&world).provision(&due_in(seconds), resource).await;
        let deferred = first.as_ref().map_or(true, |report| report.deferred.is_some());
        if let Ok(report) = &first {
            // A key whose making was not answered is nobody's, and said to be.
            assert!(unknown(&world, resource) == 0 || report.needs_review, "{seconds} s: {report:#?}");
            assert!(report.reported.iter().all(|key| reported(&world, resource).contains(key)));
        }
        for _twice in 0..2 {
            slow(&world).provision(&OpContext::new("later"), resource).await.unwrap();
        }
        assert_none_unknown(&world, resource, "res");
        assert_eq!(live(&world, "res").len(), 2, "{seconds} s");
        if !deferred {
            break;
        }
        cut += 1;
    }
    assert!(cut > 4, "the deadline cut {cut} times only");
}

#[tokio::test(start_paused = true)]
async fn sec12_a_deadline_within_any_call_of_a_rotation_leaves_no_key_unknown() {
    let mut cut = 0;
    for seconds in 1.. {
        let (world, resource, key) = asked();
        let first = slow(&world).rotate(&due_in(seconds), key, resource, Some("three")).await;
        if matches!(first.outcome, RotationOutcome::Rotated) {
            assert_none_unknown(&world, resource, "res");
            break;
        }
        cut += 1;
        let place = format!("{seconds} s: {first:#?}");
        assert!(matches!(first.outcome, RotationOutcome::Deferred(_)), "{place}");
        let again = slow(&world).rotate(&OpContext::new("later"), key, resource, Some("three")).await;
        assert!(matches!(again.outcome, RotationOutcome::Rotated), "{place} {again:#?}");
        assert_none_unknown(&world, resource, "res");
    }
    assert!(cut > 4, "the deadline cut {cut} times only");
}

#[tokio::test(start_paused = true)]
async fn f122_a_key_in_hand_is_handed_over_or_taken_back_after_the_deadline() {
    for committed in [true, false] {
        let lost = || if committed { Action::commit_then(hang()) } else { hang().into() };
        let (world, resource) = without_keys();
        let faults = Faults::new(world.waldur.clone()).on(op("api_keys.report_created").nth(1), lost());
        let keys = processor(&world, faults.clone(), world.service.clone());
        let report = keys.provision(&due_in(10), resource).await.unwrap();
        assert_eq!((faults.acted(), report.deferred.is_some()), (1, true), "{report:#?}");
        assert_eq!(report.reported.len(), usize::from(committed));
        assert_none_unknown(&world, resource, "res");

        let (world, resource, key) = asked();
        let faults = Faults::new(world.waldur.clone()).on(op("api_keys.set_key").from(1), lost());
        let keys = processor(&world, faults, world.service.clone());
        let report = keys.rotate(&due_in(10), key, resource, Some("three")).await;
        assert_eq!(matches!(report.outcome, RotationOutcome::Rotated), committed, "{report:#?}");
        assert_eq!(unknown(&world, resource), 0, "{report:#?}");
    }
}
