//! Calls and time (performance.md §3, §5).

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    backend::{Aspects, ResourceBackend as _},
    process::SyncOutcome,
    settings::AccountingType,
    testing::{Counting, Counts, Latency, waldur::Generation},
    types::BackendId,
};

use crate::{
    common::{On, cx, environment},
    world::{World, clean_pass, pass},
};

/// In so many passes each of many users has its turn.
const ROUND: u64 = 30;

#[tokio::test(start_paused = true)]
async fn f158_a_pass_with_nothing_to_change_writes_nothing_to_either_side() {
    for resources in [5, 50] {
        let world = World::new(Generation::V8);
        world.resources(resources);
        let agent = world.agent(json!({}));
        // What is published for the first time.
        clean_pass(&agent).await;
        world.waldur.forget_requests();
        world.gateway_writes();
        for _ in 0..ROUND + 2 {
            clean_pass(&agent).await;
        }
        assert!(world.waldur.writes().is_empty(), "{:?}", world.waldur.writes());
        assert_eq!(world.gateway_writes(), Vec::<String>::new());
    }
}

/// A pass of a process that has just begun, and the one after it, where nothing is to be written: the calls to the storage,
/// and the time.
async fn of_a_thousand(on: On) -> [(Counts, Duration); 2] {
    // The server with the smaller pages.
    let world = World::on(on, Generation::V8, AccountingType::Usage);
    world.resources(1000);
    let round_trip = Duration::from_millis(50);
    let (waldur, gateway) = (Counting::new(world.waldur.clone()), Counting::new(world.gate.clone()));
    let slow_waldur = Latency::new(waldur.clone(), environment(), round_trip);
    let slow_gateway = Latency::new(gateway.clone(), environment(), round_trip);
    world.publish().await;
    let agent = world.agent_over(slow_waldur, slow_gateway, json!({}));
    let measured = async || {
        waldur.reset();
        gateway.reset();
        let begin = Instant::now();
        let report = pass(&agent).await;
        let elapsed = begin.elapsed();
        assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Synced)), 1000);
        let (waldur, gateway) = (waldur.counts(), gateway.counts());
        assert_eq!((waldur.total, waldur.writes, gateway.writes), (10, 0, 0), "{waldur}\n{gateway}");
        (gateway, elapsed)
    };
    [measured().await, measured().await]
}

#[tokio::test(start_paused = true)]
async fn a_pass_over_a_thousand_resources_costs_pages_and_a_share_and_takes_a_second_at_most() {
    let [(cold, first), (warm, second)] = of_a_thousand(On::RadosGw).await;
    // A process that has just begun looks at each: two readings, and no list.
    assert_eq!((cold.total, cold.of("users.list")), (2 * 1000, 0), "{cold}");
    assert!(first <= Duration::from_secs(14), "{first:?}");
    // The list of users, and two readings of each whose turn it is.
    assert_eq!(warm.total - warm.of("users.list"), 2 * 1000_u64.div_ceil(ROUND), "{warm}");
    assert!(warm.of("users.list") <= 2, "{warm}");
    assert!(second <= Duration::from_secs(1), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn on_croit_a_pass_over_a_thousand_resources_costs_one_list_and_a_share_and_takes_about_a_second() {
    let [(cold, first), (warm, second)] = of_a_thousand(On::Croit).await;
    // The list for every portion, and two readings of each.
    assert_eq!(cold.total - cold.of("users.all"), 2 * 1000, "{cold}");
    assert!(cold.of("users.all") <= 10, "{cold}");
    assert!(first <= Duration::from_secs(14), "{first:?}");
    assert_eq!((warm.total, warm.of("users.all")), (1 + 2 * 1000_u64.div_ceil(ROUND), 1), "{warm}");
    // Ten pages of Waldur's, the list, and two calls in a row of each of 34, eight at a time.
    assert!(second <= Duration::from_millis(1050), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_just_begun_asks_for_a_portion_at_a_time() {
    for on in [On::RadosGw, On::Croit] {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        world.resources(120);
        let backend = world.gate.backend(json!({}), &world.components());
        let reads_singly = || backend.capabilities().reads_singly;
        assert!(reads_singly(), "{on:?}: what is kept of many close looks does not grow with them");
        let ids: Vec<BackendId> = (0..120).map(|number| BackendId::new(format!("u-{number}")).unwrap()).collect();
        let (first, rest) = ids.split_at(40);
        backend.inspect(&cx(), first, Aspects::ALL).await;
        assert!(!reads_singly(), "{on:?}: the list is asked once for all");
        // The portions that are left of the first cycle, and the cycles after it.
        for portion in rest.chunks(40) {
            let states = backend.inspect(&cx(), portion, Aspects::ALL).await;
            assert!(states.values().all(|state| state.as_ref().unwrap().as_ref().unwrap().metadata.is_some()));
        }
        let mut told = BTreeSet::new();
        for _ in 0..ROUND {
            let states = backend.inspect(&cx(), &ids, Aspects::ALL).await.into_iter();
            let close = states.filter(|(_, state)| state.as_ref().unwrap().as_ref().unwrap().metadata.is_some());
            let close: Vec<_> = close.map(|(id, _)| id).collect();
            assert_eq!(close.len(), 4, "{on:?}");
            told.extend(close);
        }
        assert_eq!(told.len(), 120, "{on:?}: each had its turn");
    }
}

#[tokio::test(start_paused = true)]
async fn absence_is_believed_when_the_user_itself_was_asked_for() {
    let world = World::new(Generation::V8);
    world.resources(50);
    let agent = world.agent(json!({}));
    clean_pass(&agent).await;
    world.gate.fake.remove_user("u-13");
    world.gate.take_log();
    let report = pass(&agent).await;
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Missing)), 1);
    assert!(world.gate.take_log().iter().any(|line| line == "GET /admin/user?uid=u-13"));
    // Nor is a list that cannot be had a proof of anything.
    world.gate.fail("list=", 9, crate::common::server_error());
    let report = pass(&agent).await;
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Synced)), 49);
}
