//! Calls and time (performance.md §3, §5).

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use waldur_backend_croit::S3Backend;
use waldur_sdk::{
    backend::{Aspects, Inspection, LimitChange, MarketplaceResource, ResourceBackend as _, ResourceState},
    process::SyncOutcome,
    rest::Http,
    settings::AccountingType,
    testing::{Counting, Counts, Latency, waldur::Generation},
    types::BackendId,
};

use crate::{
    common::{Failure, On, croit_settings, cx, environment, limits, now, settings},
    world::{World, clean_pass, pass},
};

/// In so many passes each of many users has its turn.
const ROUND: u64 = 30;

#[tokio::test(start_paused = true)]
async fn f158_a_pass_with_nothing_to_change_writes_nothing_to_either_side() {
    for resources in [5, 31] {
        let world = World::new(Generation::V8);
        world.resources_in_step(resources).await;
        let agent = world.agent(json!({}));
        world.waldur.forget_requests();
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
    world.resources_in_step(1000).await;
    let round_trip = Duration::from_millis(50);
    let (waldur, gateway) = (Counting::new(world.waldur.clone()), Counting::new(world.gate.clone()));
    let slow_waldur = Latency::new(waldur.clone(), environment(), round_trip);
    let slow_gateway = Latency::new(gateway.clone(), environment(), round_trip);
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

/// So many users have their turn in a pass over a thousand.
const TURN: u64 = 1000_u64.div_ceil(ROUND);

#[tokio::test(start_paused = true)]
async fn a_pass_over_a_thousand_resources_costs_pages_and_a_share_and_takes_a_second_at_most() {
    let [(cold, first), (warm, second)] = of_a_thousand(On::RadosGw).await;
    // A process that has just begun reads each, and what is stored by those whose turn it is.
    assert_eq!(cold.total - cold.of("users.list"), 1000 + TURN, "{cold}");
    assert!(first <= Duration::from_millis(7_500), "{first:?}");
    // The list of users, and two readings of each whose turn it is.
    assert_eq!(warm.total - warm.of("users.list"), 2 * TURN, "{warm}");
    assert!(warm.of("users.list") <= 2, "{warm}");
    assert!(second <= Duration::from_secs(1), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn on_croit_a_pass_over_a_thousand_resources_costs_one_list_and_a_share_and_takes_a_second_at_most() {
    // A process that has just begun pays no more.
    for (counts, elapsed) in of_a_thousand(On::Croit).await {
        assert_eq!((counts.total, counts.of("users.all")), (1 + 2 * TURN, 1), "{counts}");
        // Ten pages of Waldur's in three waves, the list, and two calls at once of each of 34, eight at a time.
        assert_eq!(elapsed, Duration::from_millis(50 * (3 + 1 + TURN.div_ceil(8))));
    }
}

/// A pass that writes the metadata of each resource whose turn it is: the lists of everybody, and the time.
async fn of_changed_metadata(resources: usize, round_trip: Duration) -> (u64, Duration) {
    let world = World::on(On::Croit, Generation::V8, AccountingType::Usage);
    drop(world.resources(resources));
    let gateway = Counting::new(world.gate.clone());
    let slow_waldur = Latency::new(world.waldur.clone(), environment(), round_trip);
    let agent = world.agent_over(slow_waldur, gateway.clone(), json!({}));
    let begin = Instant::now();
    clean_pass(&agent).await;
    let elapsed = begin.elapsed();
    // Of a few each has its turn.
    assert_eq!(world.waldur.writes().len(), if resources <= 16 { resources } else { resources.div_ceil(30) });
    (gateway.counts().of("users.all"), elapsed)
}

#[tokio::test(start_paused = true)]
async fn a_pass_on_croit_lists_everybody_once_and_once_more_for_every_ten_seconds_that_it_takes() {
    for resources in [2, 16, 100] {
        let (lists, _) = of_changed_metadata(resources, Duration::from_millis(50)).await;
        assert_eq!(lists, 1, "{resources}");
    }
    let (lists, elapsed) = of_changed_metadata(16, Duration::from_secs(8)).await;
    assert!((2..=1 + elapsed.as_secs() / 10).contains(&lists), "{lists} {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn the_list_of_a_pass_shows_nothing_that_was_written_since_and_nobody_who_is_gone() {
    let world = World::on(On::Croit, Generation::V8, AccountingType::Limit);
    let resources = world.resources(3);
    let backend = world.gate.backend(json!({}), &world.components());
    let ids = ["u-0", "u-1", "u-2"].map(|id| BackendId::new(id).unwrap());
    // How many objects are allowed, as it would be published, and the lists that it took to know.
    let look = async |id: &BackendId| {
        world.gate.take_log();
        let state =
            backend.inspect(&cx(), &Inspection::of(std::slice::from_ref(id), Aspects::ALL)).await.remove(id).unwrap();
        let objects = |state: ResourceState| json!(state.metadata)["quotas"]["user_quota"]["maxObjects"].as_u64();
        let lists = world.gate.take_log().iter().filter(|line| *line == "GET /api/s3/users").count();
        (state.unwrap().map(objects), lists)
    };
    backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    assert_eq!(look(&ids[0]).await, (Some(Some(7)), 0));

    // What this process has written is seen, and then as good as before.
    let side = MarketplaceResource::new(resources[1], world.offering, "u-1", "u-1");
    tokio::time::advance(Duration::from_secs(1)).await;
    drop(backend.set_limits(&cx(), &LimitChange::new(side, ids[1].clone(), limits(9, 9))).await.unwrap());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(look(&ids[1]).await, (Some(Some(9)), 1));
    assert_eq!(look(&ids[1]).await, (Some(Some(9)), 0));

    // What others do is seen ten seconds later at the latest; who is gone, at once, and each time anew.
    world.set_quota("u-0", 5);
    world.gate.fake.remove_user("u-2");
    assert_eq!(look(&ids[0]).await, (Some(Some(7)), 0));
    assert_eq!(look(&ids[2]).await.0, None, "it has no keys to be listed");
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(look(&ids[0]).await, (Some(Some(5)), 1));
    assert_eq!((look(&ids[2]).await, look(&ids[2]).await), ((None, 1), (None, 1)));
}

#[tokio::test(start_paused = true)]
async fn processes_that_live_for_one_pass_look_at_all_users_in_the_end() {
    for on in [On::RadosGw, On::Croit] {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        world.resources(17);
        let ids: Vec<BackendId> = (0..17).map(|number| BackendId::new(format!("u-{number}")).unwrap()).collect();
        let mut told = BTreeSet::new();
        for pass in 0..45 {
            let moment = move || now() + jiff::SignedDuration::from_mins(5 * pass);
            let http = Http::new(world.gate.clone()).with_environment(environment().with_wall(moment));
            let settings = if on == On::Croit { croit_settings(json!({})) } else { settings(json!({})) };
            let backend = S3Backend::new(http, settings, &world.components()).unwrap();
            let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter();
            let close = states.filter(|(_, state)| state.as_ref().unwrap().as_ref().unwrap().metadata.is_some());
            let close: Vec<_> = close.map(|(id, _)| id).collect();
            assert_eq!(close.len(), 1, "{on:?}");
            told.extend(close);
        }
        assert_eq!(told.len(), 17, "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn absence_is_believed_when_the_user_itself_was_asked_for() {
    let world = World::new(Generation::V8);
    drop(world.resources(50));
    let agent = world.agent(json!({}));
    clean_pass(&agent).await;
    world.gate.fake.remove_user("u-13");
    world.gate.take_log();
    let report = pass(&agent).await;
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Missing)), 1);
    assert!(world.gate.take_log().iter().any(|line| line == "GET /admin/user?uid=u-13"));
    // Where nobody is let in, nobody is asked for.
    world.gate.fail("list=", 9, Failure::Status(403, r#"{"Code":"InvalidAccessKeyId"}"#.to_owned()));
    world.gate.take_log();
    let report = pass(&agent).await;
    let synced = report.count(|outcome| matches!(outcome, SyncOutcome::Synced));
    assert!(synced <= 2, "at most those whose turn it is: {synced}");
    assert!(world.gate.take_log().len() < 10);
    world.gate.mend();
    // A list that cannot be read is no list, and is told of.
    world.gate.fail("list=", 9, Failure::Status(200, "<html>".to_owned()));
    let report = pass(&agent).await;
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Synced)), 49);
    let warnings: Vec<_> = report.resources.iter().flat_map(|resource| &resource.warnings).collect();
    assert!(warnings.len() == 1 && warnings[0].error.message().contains("list of users"), "{warnings:?}");
    world.gate.mend();
    // Nor is a list that cannot be had a proof of anything.
    world.gate.fail("list=", 9, crate::common::server_error());
    let report = pass(&agent).await;
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Synced)), 49);
}
