//! A soft end: the object stays, and nobody keeps a way to it (core.md §2.10).

use std::collections::BTreeSet;

use crate::orders::{Agent, OnRequest, World, assert_deferred, assert_done, assert_erred, error};
use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    testing::{
        Faults, MemoryBackend, op, status,
        waldur::{ApiKeyState, Generation, OrderState, ResourceState},
    },
    types::{OrderUuid, ResourceUuid, Uuid},
};

/// A resource with two members and three keys, of which Waldur knows two; and the order that ends it.
fn ending() -> (World, ResourceUuid, OrderUuid) {
    let world = World::new(Generation::V8);
    world.member("ann");
    let resource = world.existing("res");
    let mut object = world.object_of(resource, 4, 8);
    object.members = ["site-ann", "by-hand"].map(str::to_owned).into();
    world.service.put("res", object);
    for client_id in ["one", "two", "by-hand"] {
        world.service.seed_key("res", client_id);
    }
    for client_id in ["one", "two"] {
        world.waldur.api_key(resource, client_id).create();
    }
    let order = world.waldur.order_on(resource).terminate().pending();
    (world, resource, order)
}

fn softly(world: &World) -> Agent {
    let agent = world.agent().memory(|memory| memory.with_members().with_keys().with_status());
    agent.policy(|policy| policy.soft_delete = true)
}

fn members(world: &World) -> Vec<String> {
    world.object("res").members.into_iter().collect()
}

fn keys(world: &World) -> BTreeSet<String> {
    world.service.keys("res").into_keys().collect()
}

#[tokio::test(start_paused = true)]
async fn c24_a_soft_end_takes_members_and_keys_and_a_restore_gives_both_again() {
    let (world, resource, order) = ending();
    // Access goes before the limits do.
    let looking = world.clone();
    let look = move || assert_eq!((members(&looking), keys(&looking)), (vec![], BTreeSet::new()));
    assert_done(&softly(&world).service(OnRequest::new(world.service.clone(), "objects.limits", look)).run_one().await);
    assert_eq!(world.resource(order).state, ResourceState::Terminated);
    assert_eq!((members(&world), keys(&world)), (vec![], BTreeSet::new()));
    assert_eq!(world.object("res").limits, world.object_of(resource, 0, 0).limits);

    // Waldur still lists two keys, which are dead.
    world.waldur.order_on(resource).restore().pending();
    assert_done(&softly(&world).run_one().await);
    assert_eq!(members(&world), ["site-ann"]);
    let listed = world.waldur.api_keys(resource);
    assert!(listed.iter().all(|(_, state)| *state == ApiKeyState::Ok));
    assert_eq!((keys(&world).len(), listed.into_iter().map(|(client_id, _)| client_id).collect()), (2, keys(&world)));
}

#[tokio::test(start_paused = true)]
async fn c24_what_is_not_ours_keeps_everything() {
    let (world, _, _) = ending();
    let mut object = world.object("res");
    object.stamp = Some(ResourceUuid::new(Uuid::from_u128(0x0bad)));
    world.service.put("res", object);
    let report = softly(&world).run_one().await;
    assert_erred(&report);
    assert_eq!(error(&report).kind(), ErrorKind::Foreign);
    assert_eq!((world.service.writes(), members(&world).len(), keys(&world).len()), (0, 2, 3));
}

#[tokio::test(start_paused = true)]
async fn c24_of_an_object_without_a_stamp_only_the_keys_that_waldur_knows_go() {
    let (world, _, _) = ending();
    let mut object = world.object("res");
    object.stamp = None;
    world.service.put("res", object);
    assert_done(&softly(&world).run_one().await);
    assert_eq!(keys(&world), BTreeSet::from(["by-hand".into()]));
    assert_eq!(members(&world), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn c24_a_soft_end_is_not_reported_before_nobody_has_access() {
    // Whose first answer counts: whether the object is there is found out before.
    for (broken, first) in [("objects.get", 2), ("members.remove", 1), ("keys.list", 1), ("keys.remove", 1)] {
        let (world, _, order) = ending();
        let faults = Faults::new(world.service.clone()).on(op(broken).from(first), status(503));
        assert_deferred(&softly(&world).service(faults).run_one().await);
        assert_eq!(world.state(order), OrderState::Executing, "{broken}");
        assert_eq!(world.object("res").limits["cpu"], Some(4), "{broken}");
        assert_done(&softly(&world).run_one().await);
        assert_eq!((members(&world), keys(&world)), (vec![], BTreeSet::new()), "{broken}");
    }
    // For good: the customer sees that it did not end.
    let (world, _, order) = ending();
    let refusal = status(403).json(&json!({ "code": "Forbidden" }));
    let faults = Faults::new(world.service.clone()).on(op("members.remove"), refusal);
    assert_erred(&softly(&world).service(faults).run_one().await);
    assert_eq!((world.state(order), world.object("res").limits["cpu"]), (OrderState::Erred, Some(4)));
}

#[tokio::test(start_paused = true)]
async fn c24_protected_accounts_and_back_ends_that_decide_for_themselves_keep_members() {
    let (world, _, _) = ending();
    let protect = |policy: &mut waldur_sdk::process::OrderPolicy| {
        policy.protected_usernames.insert("by-hand".into());
        assert!(!format!("{policy:?}").contains("by-hand"));
    };
    assert_done(&softly(&world).policy(protect).run_one().await);
    assert_eq!(members(&world), ["by-hand"]);

    let (world, _, _) = ending();
    let own = waldur_sdk::backend::Capabilities::default().with_skip_team_diff();
    let memory = move |memory: MemoryBackend| memory.with_members().with_keys().with_capabilities(own);
    assert_done(&softly(&world).memory(memory).run_one().await);
    assert_eq!(members(&world).len(), 2);
}
