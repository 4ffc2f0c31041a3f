//! Replacing keys (core.md §2.11).

use std::collections::BTreeSet;

use crate::{
    assert_none_unknown, live,
    orders::{Edited, World},
    processor, reported, with_keys,
};
use waldur_sdk::{
    ErrorKind,
    backend::OpContext,
    process::{KeyPolicy, KeyRotation, RotationOutcome},
    testing::{Action, Faults, hang, op, status, waldur::ApiKeyState},
    types::{ApiKeyUuid, ResourceUuid, Timestamp},
};

/// A world whose key `one` is to be replaced.
fn asked() -> (World, ResourceUuid, ApiKeyUuid) {
    let world = World::new(waldur_sdk::testing::waldur::Generation::V8);
    let resource = world.existing("res");
    for client_id in ["one", "two"] {
        world.service.seed_key("res", client_id);
    }
    let key = world.waldur.api_key(resource, "one").create();
    world.waldur.api_key(resource, "two").create();
    world.waldur.request_rotation(key);
    (world, resource, key)
}

async fn rotate(world: &World, resource: ResourceUuid, key: ApiKeyUuid, faults: Faults) -> KeyRotation {
    let keys = processor(world, faults, world.service.clone());
    keys.rotate(&OpContext::new("event"), key, resource, Some("one")).await
}

fn states(world: &World, resource: ResourceUuid) -> Vec<ApiKeyState> {
    world.waldur.api_keys(resource).into_iter().map(|(_, state)| state).collect()
}

#[tokio::test(start_paused = true)]
async fn c32_a_rotation_hands_the_new_key_over_and_leaves_the_sibling() {
    let (world, resource, key) = asked();
    let report = rotate(&world, resource, key, Faults::new(world.waldur.clone())).await;
    assert!(matches!(report.outcome, RotationOutcome::Rotated), "{report:#?}");
    assert_eq!(states(&world, resource), [ApiKeyState::Ok; 2]);
    assert_eq!(live(&world, "res"), BTreeSet::from(["key-0001".to_owned(), "two".to_owned()]));
    assert_none_unknown(&world, resource, "res");
    assert_eq!(world.waldur.api_key_secret(key).0, world.service.keys("res")["key-0001"]);
    // The event comes twice: the second time nobody asks any more.
    let again = rotate(&world, resource, key, Faults::new(world.waldur.clone())).await;
    assert!(matches!(again.outcome, RotationOutcome::NotWanted));
    assert_eq!(world.service.keys_made(), 1);
}

#[tokio::test(start_paused = true)]
async fn c32_a_failed_set_key_after_rotation_ends_in_set_erred() {
    for code in [400, 500, 503] {
        let (world, resource, key) = asked();
        let faults = Faults::new(world.waldur.clone()).on(op("api_keys.set_key"), status(code));
        let report = rotate(&world, resource, key, faults).await;
        assert!(matches!(report.outcome, RotationOutcome::Erred(_)), "{code}: {report:#?}");
        assert_eq!(states(&world, resource), [ApiKeyState::Erred, ApiKeyState::Ok]);
        // The new one is nobody's, and gone.
        assert_eq!(live(&world, "res"), BTreeSet::from(["two".to_owned()]));
        assert!(!world.waldur.api_key_secret(key).1.is_empty());
        // Asked for again, it is replaced although the old one is gone.
        world.waldur.request_rotation(key);
        let report = rotate(&world, resource, key, Faults::new(world.waldur.clone())).await;
        assert!(matches!(report.outcome, RotationOutcome::Rotated));
        assert_none_unknown(&world, resource, "res");
    }
}

#[tokio::test(start_paused = true)]
async fn c32_whatever_fails_in_a_rotation_is_told() {
    // (where, on which side)
    let places = [("provider_resources.get", true), ("keys.mint", false), ("objects.get", false)];
    for (operation, on_waldur) in places {
        let (world, resource, key) = asked();
        let fault = |inner: Faults, here: bool| if here { inner.on(op(operation), status(500)) } else { inner };
        let waldur = fault(Faults::new(world.waldur.clone()), on_waldur);
        let service = fault(Faults::new(world.service.clone()), !on_waldur);
        let keys = processor(&world, waldur, service);
        let report = keys.rotate(&OpContext::new("event"), key, resource, Some("one")).await;
        assert!(matches!(report.outcome, RotationOutcome::Erred(_)), "{operation}: {report:#?}");
        assert_eq!(states(&world, resource), [ApiKeyState::Erred, ApiKeyState::Ok], "{operation}");
        assert_eq!(live(&world, "res"), BTreeSet::from(["one".to_owned(), "two".to_owned()]), "{operation}");
    }
    // Without a list the event's own word counts, and nothing is pruned.
    let (world, resource, key) = asked();
    world.service.seed_key("res", "old");
    let faults = Faults::new(world.waldur.clone()).on(op("api_keys.list"), status(403));
    let report = rotate(&world, resource, key, faults).await;
    assert!(matches!(report.outcome, RotationOutcome::Rotated), "{report:#?}");
    assert!(live(&world, "res").contains("old"));
    // And without that, nobody knows which one.
    let (world, resource, key) = asked();
    let faults = Faults::new(world.waldur.clone()).on(op("api_keys.list"), status(403));
    let keys = processor(&world, faults, world.service.clone());
    let report = keys.rotate(&OpContext::new("event"), key, resource, None).await;
    assert!(matches!(&report.outcome, RotationOutcome::Erred(error) if error.kind() == ErrorKind::InvalidRequest));
}

#[tokio::test(start_paused = true)]
async fn f122_a_lost_answer_of_a_rotation_leaves_no_key_unknown() {
    for operation in ["api_keys.set_key", "keys.mint", "keys.remove", "api_keys.list", "api_keys.set_erred"] {
        for lost in [|| Action::commit_then(hang()), || Action::commit_then(status(504))] {
            let (world, resource, key) = asked();
            let waldur = Faults::new(world.waldur.clone()).on(op(operation).nth(1), lost());
            let service = Faults::new(world.service.clone()).on(op(operation).nth(1), lost());
            let keys = processor(&world, waldur, service);
            let first = keys.rotate(&OpContext::new("event"), key, resource, Some("one")).await;
            if !matches!(first.outcome, RotationOutcome::Rotated) {
                world.waldur.request_rotation(key);
                let again = keys.rotate(&OpContext::new("event"), key, resource, Some("one")).await;
                assert!(matches!(again.outcome, RotationOutcome::Rotated), "{operation}: {first:#?} {again:#?}");
            }
            assert_eq!(states(&world, resource), [ApiKeyState::Ok; 2], "{operation}");
            assert_none_unknown(&world, resource, "res");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c32_stuck_rotations_are_found_after_half_an_hour() {
    let (world, resource) = with_keys();
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let waiting = |client_id: &str, since: &str| {
        world.service.seed_key("res", client_id);
        world.waldur.api_key(resource, client_id).state(ApiKeyState::Updating).modified(at(since))
    };
    // The tests' clock says noon.
    let stuck = waiting("stuck", "2026-01-01T11:29:59Z").create();
    waiting("fresh", "2026-01-01T11:30:00Z").create();
    let nameless = waiting("nameless", "2026-01-01T10:00:00Z").without_client_id().create();
    let bare = world.waldur.resource(world.offering).backend_id("").create();
    let homeless = world.waldur.api_key(bare, "x").state(ApiKeyState::Updating).modified(at("2026-01-01T09:00:00Z"));
    let homeless = homeless.create();

    let keys = processor(&world, world.waldur.clone(), world.service.clone());
    let report = keys.reconcile_stuck(&OpContext::new("keys")).await.unwrap();
    assert_eq!(report.rotations.iter().map(|rotation| rotation.key).collect::<Vec<_>>(), [stuck]);
    assert!(matches!(report.rotations[0].outcome, RotationOutcome::Rotated), "{report:#?}");
    let skipped: Vec<_> = report.skipped.iter().map(|(key, _)| *key).collect();
    assert_eq!(skipped, [nameless, homeless]);
    assert_eq!(world.service.keys_made(), 1);
    assert!(report.unreadable.is_empty() && report.listing_gap.is_none());
    // With one row that has no first half, nobody knows what is known.
    assert!(live(&world, "res").contains("fresh") && reported(&world, resource).contains("fresh"));

    let again = keys.reconcile_stuck(&OpContext::new("keys")).await.unwrap();
    assert!(again.rotations.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_and_a_stopped_one_change_nothing() {
    let (world, resource, key) = asked();
    let mut policy = KeyPolicy::default();
    policy.dry_run = true;
    let keys = processor(&world, world.waldur.clone(), world.service.clone()).with_policy(policy);
    let report = keys.rotate(&OpContext::new("dry"), key, resource, Some("one")).await;
    assert!(matches!(report.outcome, RotationOutcome::DryRun));
    let bare = world.existing("bare");
    for (resource, planned) in [(resource, 0), (bare, 2)] {
        assert_eq!(keys.provision(&OpContext::new("dry"), resource).await.unwrap().planned, planned);
    }
    assert_eq!(world.service.writes(), 0);
    let stop = waldur_sdk::backend::Cancellation::default();
    stop.cancel();
    let keys = processor(&world, world.waldur.clone(), world.service.clone());
    let cx = OpContext::new("stopped").with_cancellation(stop);
    let report = keys.rotate(&cx, key, resource, Some("one")).await;
    assert!(matches!(report.outcome, RotationOutcome::Deferred(_)));
    assert_eq!(states(&world, resource)[0], ApiKeyState::Updating);
    assert!(world.waldur.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn sec12_no_secret_is_in_what_a_rotation_says() {
    for code in [400, 500] {
        let (world, resource, key) = asked();
        // An answer that repeats what it was sent.
        let echo = status(code).json(&serde_json::json!({ "api_key": ["s3cr3t-0001 is too short"] }));
        let faults = Faults::new(world.waldur.clone()).on(op("api_keys.set_key"), echo);
        let report = rotate(&world, resource, key, faults).await;
        let RotationOutcome::Erred(error) = &report.outcome else { panic!("{report:#?}") };
        let said = format!(
            "{report:?} {report:#?} {error} {} {}",
            error.chain().join(" "),
            world.waldur.api_key_secret(key).1
        );
        assert!(!said.contains("s3cr3t"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn f122_a_replacement_that_may_have_been_handed_over_is_not_taken_back() {
    for (second, lost) in [(503, hang()), (403, status(504).into())] {
        let (world, resource, key) = asked();
        let faults = Faults::new(world.waldur.clone())
            .on(op("api_keys.set_key"), Action::commit_then(lost))
            .on(op("api_keys.list").from(2), status(second));
        let report = rotate(&world, resource, key, faults).await;
        assert!(matches!(report.outcome, RotationOutcome::Deferred(_)), "{report:#?}");
        assert!(report.warnings.iter().any(|warning| warning.step == "api keys"));
        // Waldur has it, and it works.
        assert_eq!(world.waldur.api_key_secret(key).0, world.service.keys("res")["key-0001"]);
        assert_none_unknown(&world, resource, "res");
    }
    // It was not: the key goes on waiting, and the next look ends it.
    let (world, resource, key) = asked();
    let faults = Faults::new(world.waldur.clone())
        .on(op("api_keys.set_key"), status(504))
        .on(op("api_keys.list").from(2), status(503));
    let report = rotate(&world, resource, key, faults).await;
    assert!(matches!(report.outcome, RotationOutcome::Deferred(_)), "{report:#?}");
    let again = rotate(&world, resource, key, Faults::new(world.waldur.clone())).await;
    assert!(matches!(again.outcome, RotationOutcome::Rotated), "{again:#?}");
    assert_none_unknown(&world, resource, "res");
}

#[tokio::test(start_paused = true)]
async fn f122_a_row_without_a_state_and_with_the_new_first_half_is_handed_over() {
    let (world, resource, key) = asked();
    let stateless = Edited(world.waldur.clone(), "api_keys.list", |rows: &mut serde_json::Value| {
        for row in rows.as_array_mut().unwrap() {
            row.as_object_mut().unwrap().remove("state").unwrap();
        }
    });
    let lost = Faults::new(stateless).on(op("api_keys.set_key"), Action::commit_then(hang()));
    let report = rotate(&world, resource, key, lost).await;
    assert!(matches!(report.outcome, RotationOutcome::Rotated), "{report:#?}");
    assert_none_unknown(&world, resource, "res");
}

#[tokio::test(start_paused = true)]
async fn f122_an_event_that_comes_again_while_the_list_is_down_replaces_nothing() {
    let (world, resource, key) = asked();
    rotate(&world, resource, key, Faults::new(world.waldur.clone())).await;
    let secret = world.waldur.api_key_secret(key).0;
    for down in [status(503).into(), Action::html(), Action::truncate()] {
        let faults = Faults::new(world.waldur.clone()).on(op("api_keys.list"), down);
        let again = rotate(&world, resource, key, faults).await;
        assert!(matches!(again.outcome, RotationOutcome::Deferred(_)), "{again:#?}");
    }
    assert_eq!((world.service.keys_made(), world.waldur.api_key_secret(key).0), (1, secret));
    assert_eq!(states(&world, resource), [ApiKeyState::Ok; 2]);
    assert_none_unknown(&world, resource, "res");
}
