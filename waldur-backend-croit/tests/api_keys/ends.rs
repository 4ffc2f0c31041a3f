//! What is left of keys when a resource ends and its user stays, and who gets keys that had none.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    backend::OpContext,
    process::{OrderOutcome, OrderPolicy},
    testing::{
        Faults, op, status,
        waldur::{OrderState, ResourceState},
    },
};

use crate::{
    common::{On, environment},
    world::{BOTH, World},
};

fn softly() -> OrderPolicy {
    let mut policy = OrderPolicy::default();
    policy.soft_delete = true;
    policy
}

/// A resource in use in a mode, with the keys `one` and `two` of Waldur's, and one in the metadata.
fn in_use(on: On, mode: &'static str) -> (World, waldur_sdk::types::ResourceUuid) {
    let (world, resource) = World::with_keys(on, &["one", "shown", "two"], &["one", "two"]);
    let shown = json!({ "s3_credentials": { "access_key": "shown", "secret_key": "secret-of-shown" } });
    world.waldur.change_resource(resource, |row| row.backend_metadata(shown));
    (world.in_mode(mode), resource)
}

#[tokio::test(start_paused = true)]
async fn sec12_a_soft_end_leaves_no_key_but_where_there_are_none_of_waldurs() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| ["api_keys", "both", "metadata"].map(|mode| (on, mode))) {
        for told in [true, false] {
            let (world, resource) = in_use(on, mode);
            if !told {
                // Nobody knows which one is published.
                world.waldur.change_resource(resource, |row| row.backend_metadata(json!({})));
            }
            // A removal may be acknowledged and lost.
            world.fake().lose_writes("key.delete", 1);
            let order = world.waldur.order_on(resource).terminate().pending();
            let orders = world.orders(world.waldur.clone(), world.gate.clone()).with_policy(softly());
            let report = orders.run_once(&OpContext::new("orders")).await.unwrap();
            assert!(matches!(report.orders[0].outcome, OrderOutcome::Done), "{on:?} {mode}: {report:?}");
            assert_eq!(world.waldur.order_view(order).state, OrderState::Done);
            // The README says so of the last one: what is published has no list of keys to go with.
            let left = if mode == "metadata" { 3 } else { 0 };
            assert_eq!(world.live().len(), left, "{on:?} {mode}");
            assert_eq!(world.waldur.resource_view(resource).state, ResourceState::Terminated);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_soft_end_is_not_reported_while_a_key_may_be_left() {
    for on in BOTH {
        let (world, resource) = in_use(on, "both");
        world.gate.fail("DELETE", 99, crate::common::server_error());
        let order = world.waldur.order_on(resource).terminate().pending();
        let orders = world.orders(world.waldur.clone(), world.gate.clone()).with_policy(softly());
        orders.run_once(&OpContext::new("orders")).await.unwrap();
        assert_ne!(world.waldur.order_view(order).state, OrderState::Done, "{on:?}");
        world.gate.mend();
        for _cycle in 0..3 {
            orders.run_once(&OpContext::new("orders")).await.unwrap();
        }
        assert_eq!((world.waldur.order_view(order).state, world.live()), (OrderState::Done, BTreeSet::new()), "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sec12_a_soft_end_tells_of_the_keys_that_it_may_not_take() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| ["api_keys", "both"].map(|mode| (on, mode))) {
        let world = World::new(on).in_mode(mode);
        let resource = world.waldur.resource(world.offering).name("u").slug("u").backend_id("waldur-u").create();
        world.fake().add_user(SeedUser::new("waldur-u").key("theirs", "secret-of-theirs")).unwrap();
        let order = world.waldur.order_on(resource).terminate().pending();
        let orders = world.orders(world.waldur.clone(), world.gate.clone()).with_policy(softly());
        let report = orders.run_once(&OpContext::new("orders")).await.unwrap();
        assert_eq!(world.waldur.order_view(order).state, OrderState::Done, "{on:?} {mode}: {report:?}");
        let told: Vec<_> = report.orders[0].warnings.iter().map(|warning| warning.step).collect();
        assert_eq!((told, world.live_of("waldur-u").len()), (vec!["take keys"], 1), "{on:?} {mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn resources_from_before_there_were_api_keys_get_some_and_keep_their_own() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| ["api_keys", "both"].map(|mode| (on, mode))) {
        let (world, resource) = World::with_keys(on, &["old"], &[]);
        let unstamped = world.waldur.resource(world.offering).name("u").slug("u").backend_id("waldur-u").create();
        world.fake().add_user(SeedUser::new("waldur-u").key("theirs", "secret-of-theirs")).unwrap();
        let world = world.in_mode(mode);
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let report = keys.provision_missing(&OpContext::new("keys")).await.unwrap();
        assert_eq!((report.provisions.len(), report.left), (2, 0), "{on:?} {mode}");
        assert_eq!(world.reported(resource).len(), 2);
        assert_eq!(world.live().difference(&world.reported(resource)).collect::<Vec<_>>(), ["old"], "{on:?} {mode}");
        // Nobody hands out keys of a user that is not the resource's beyond doubt.
        assert_eq!((world.reported(unstamped).len(), world.live_of("waldur-u").len()), (0, 1));
        world.assert_sound();
    }
}

#[tokio::test(start_paused = true)]
async fn c32_keys_that_waldur_takes_and_does_not_list_do_not_grow_in_number_whoever_makes_them() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| ["api_keys", "both"].map(|mode| (on, mode))) {
        let world = World::new(on).in_mode(mode);
        for number in 0..8 {
            let uid = format!("u-{number}");
            let resource = world.waldur.resource(world.offering).name(&uid).slug(&uid).backend_id(&uid).create();
            let user = SeedUser::new(&uid).email(&format!("waldur-{}-{uid}@invalid", resource.hex()));
            let old = format!("OLD{number}");
            world.fake().add_user(user.key(&old, "secret-of-theirs")).unwrap();
            let shown = json!({ "s3_credentials": { "access_key": old, "secret_key": "secret-of-theirs" } });
            world.waldur.change_resource(resource, |row| row.backend_metadata(shown));
        }
        let nothing = status(200).header("x-result-count", "0").json(&json!([]));
        let waldur = Faults::new(world.waldur.clone()).on(op("api_keys.list"), nothing);
        let live = || world.fake().users().into_iter().map(|user| user.keys.len()).collect::<Vec<_>>();
        let total = || live().into_iter().sum::<usize>();
        // A process for each pass, every half an hour.
        for run in 1..=48 {
            let before = total();
            let report = world.keys(waldur.clone(), world.gate.clone());
            report.provision_missing(&OpContext::new("keys")).await.unwrap();
            assert!(total() - before <= 1, "{on:?} {mode} {run}");
            environment().sleep(Duration::from_mins(30)).await;
        }
        // With `both` the published one is not among them.
        let most = if mode == "both" { 5 } else { 4 };
        assert!(live().into_iter().all(|number| number <= most), "{on:?} {mode}: {:?}", live());
        assert!(live().contains(&most), "{on:?} {mode}: {:?}", live());
    }
}

#[tokio::test(start_paused = true)]
async fn who_cannot_have_api_keys_keeps_none_from_who_can() {
    for on in BOTH {
        let world = World::new(on);
        let seed = |number: usize| {
            let uid = format!("waldur-{number}");
            let resource = world.waldur.resource(world.offering).name(&uid).slug(&uid).backend_id(&uid).create();
            (resource, uid)
        };
        let resources: BTreeMap<_, _> = (0..26).map(seed).collect();
        let (last, its) = resources.last_key_value().unwrap();
        for uid in resources.values() {
            let stamp = format!("waldur-{}-{uid}@invalid", last.hex());
            let user = SeedUser::new(uid).key(&format!("KEY-{uid}"), "secret-of-theirs");
            world.fake().add_user(if uid == its { user.email(&stamp) } else { user }).unwrap();
        }
        // Processes that live for a single pass.
        for place in [0, 9, 18] {
            world.keys_from(place).provision_missing(&OpContext::new("keys")).await.unwrap();
        }
        assert_eq!(world.reported(*last).len(), 2, "{on:?}");
        assert_eq!(world.fake().users().iter().map(|user| user.keys.len()).sum::<usize>(), 28, "{on:?}");
        world.assert_sound();
    }
}
