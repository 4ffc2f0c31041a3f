//! Calls and time (performance.md §3, §5).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    process::SyncOutcome,
    settings::AccountingType,
    testing::{Counting, Latency, waldur::Generation},
};

use crate::{
    common::{On, environment},
    world::{World, clean_pass, pass},
};

/// In so many passes each of many users has its turn.
const ROUND: u64 = 30;

#[tokio::test(start_paused = true)]
async fn f158_a_pass_with_nothing_to_change_writes_nothing_to_either_side() {
    for resources in [5, 50] {
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

#[tokio::test(start_paused = true)]
async fn a_pass_over_a_thousand_resources_costs_pages_and_a_share_and_takes_a_second_at_most() {
    // The server with the smaller pages.
    let world = World::new(Generation::V8);
    world.resources_in_step(1000).await;
    let round_trip = Duration::from_millis(50);
    let (waldur, gateway) = (Counting::new(world.waldur.clone()), Counting::new(world.gate.clone()));
    let slow_waldur = Latency::new(waldur.clone(), environment(), round_trip);
    let slow_gateway = Latency::new(gateway.clone(), environment(), round_trip);
    let agent = world.agent_over(slow_waldur, slow_gateway, json!({}));
    pass(&agent).await;
    waldur.reset();
    gateway.reset();
    let begin = Instant::now();
    let report = pass(&agent).await;
    let elapsed = begin.elapsed();
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Synced)), 1000);
    let (waldur, gateway) = (waldur.counts(), gateway.counts());
    assert_eq!((waldur.total, waldur.writes), (10, 0), "{waldur}");
    // The list of users, and two readings of each whose turn it is.
    assert_eq!(gateway.total - gateway.of("users.list"), 2 * 1000_u64.div_ceil(ROUND), "{gateway}");
    assert!(gateway.of("users.list") <= 2 && gateway.writes == 0, "{gateway}");
    assert!(elapsed <= Duration::from_secs(1), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn on_croit_a_pass_costs_one_list_and_a_share() {
    let world = World::on(On::Croit, Generation::V8, AccountingType::Usage);
    world.resources_in_step(90).await;
    let gateway = Counting::new(world.gate.clone());
    let agent = world.agent_over(world.waldur.clone(), gateway.clone(), json!({}));
    clean_pass(&agent).await;
    gateway.reset();
    clean_pass(&agent).await;
    let counts = gateway.counts();
    assert_eq!((counts.total, counts.writes), (1 + 2 * 90_u64.div_ceil(ROUND), 0), "{counts}");
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
    // Nor is a list that cannot be had a proof of anything.
    world.gate.fail("list=", 9, crate::common::server_error());
    let report = pass(&agent).await;
    assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Synced)), 49);
}
