//! The time is up, anywhere between minting a key and handing it over.

use std::time::Duration;

use waldur_sdk::{
    backend::OpContext,
    process::{KeyProcessor, RotationOutcome},
    testing::{Latency, waldur::ApiKeyState},
};

use crate::{
    common::environment,
    world::{BOTH, World},
};

const ROUND_TRIP: Duration = Duration::from_secs(2);

fn due_in(seconds: u64) -> OpContext {
    let deadline = environment().instant() + Duration::from_secs(seconds);
    OpContext::new("in a hurry").with_deadline(Some(deadline))
}

/// A processor over a network that takes time on both sides.
fn slow(world: &World) -> KeyProcessor {
    let waldur = Latency::new(world.waldur.clone(), environment(), ROUND_TRIP);
    let gateway = Latency::new(world.gate.clone(), environment(), ROUND_TRIP);
    world.keys(waldur, gateway)
}

#[tokio::test(start_paused = true)]
async fn sec12_a_deadline_within_any_call_of_a_provision_ends_with_two_known_keys() {
    for on in BOTH {
        let mut cut = 0;
        for seconds in 1.. {
            let (world, resource) = World::with_keys(on, &[], &[]);
            let first = slow(&world).provision(&due_in(seconds), resource).await;
            let deferred = first.as_ref().map_or(true, |report| report.deferred.is_some());
            if let Ok(report) = &first {
                let unknown = world.live().difference(&world.reported(resource)).count();
                // A key whose making was not answered is nobody's, and said to be.
                assert!(unknown == 0 || report.needs_review, "{seconds} s: {report:#?}");
            }
            for _twice in 0..2 {
                slow(&world).provision(&OpContext::new("later"), resource).await.unwrap();
            }
            world.assert_two_known(resource);
            if !deferred {
                break;
            }
            cut += 1;
        }
        assert!(cut > 4, "the deadline cut {cut} times only");
    }
}

#[tokio::test(start_paused = true)]
async fn sec12_a_deadline_within_any_call_of_a_rotation_ends_with_two_known_keys() {
    for on in BOTH {
        let mut cut = 0;
        for seconds in 1.. {
            let (world, resource) = World::with_keys(on, &["one", "two"], &["two"]);
            let key = world.waldur.api_key(resource, "one").state(ApiKeyState::Updating).create();
            let first = slow(&world).rotate(&due_in(seconds), key, resource, Some("one")).await;
            if matches!(first.outcome, RotationOutcome::Rotated) {
                world.assert_two_known(resource);
                break;
            }
            cut += 1;
            let again = slow(&world).rotate(&OpContext::new("later"), key, resource, Some("one")).await;
            assert!(matches!(again.outcome, RotationOutcome::Rotated), "{seconds} s: {first:#?} {again:#?}");
            assert!(world.live().contains("two"), "the sibling");
            world.assert_two_known(resource);
        }
        assert!(cut > 4, "the deadline cut {cut} times only");
    }
}
