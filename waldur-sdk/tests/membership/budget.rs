//! Calls and time (performance.md §3, §5; faults.md row 158).

use std::time::Duration;

use tokio::time::Instant;
use waldur_sdk::testing::{Counting, Latency, MemoryBackend, MemoryObject, waldur::Generation};

use crate::world::{MINUTE, Site, assert_synced, pass_time, run};

const RTT: Duration = Duration::from_millis(50);

/// Many resources that are in step on both sides, in so many projects, each with so many members.
fn in_step(site: &Site, resources: usize, projects: usize, members: usize) {
    let mut names = Vec::new();
    for project in 0..projects {
        let uuid = site.waldur().project(&format!("p{project}")).create();
        let team: Vec<String> = (0..members).map(|member| format!("p{project}m{member}")).collect();
        for name in &team {
            site.member_of(uuid, name);
        }
        names.push((uuid, team));
    }
    for number in 0..resources {
        let (project, team) = match names.len() {
            0 => (site.project(), &[] as &[String]),
            some => (names[number % some].0, names[number % some].1.as_slice()),
        };
        let team: Vec<&str> = team.iter().map(String::as_str).collect();
        site.resource_in(project, &format!("r{number:05}"), &team);
    }
}

#[tokio::test(start_paused = true)]
async fn f158_a_pass_with_nothing_to_change_writes_nothing() {
    let site = Site::new(Generation::V8);
    in_step(&site, 120, 12, 3);
    site.waldur().service_account(site.project(), "svc").create();
    let whole = |memory: MemoryBackend| memory.with_roles().with_status().with_user_limits();
    let agent = site.agent().memory(whole).build();
    run(&agent).await;
    site.writes();
    let before = site.service().writes();
    for _ in 0..3 {
        pass_time(5 * MINUTE).await;
        assert_synced(&run(&agent).await);
    }
    assert_eq!((site.writes(), site.service().writes()), (Vec::new(), before));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_resources_without_members_take_pages_and_no_second() {
    for (generation, page) in [(Generation::V8, 100), (Generation::V2024, 300)] {
        let site = Site::new(generation);
        in_step(&site, 1000, 0, 0);
        let waldur = Counting::new(Latency::new(site.waldur().clone(), site.environment(), RTT));
        let service = Counting::new(Latency::new(site.service().clone(), site.environment(), RTT));
        let agent = site.agent().memory(MemoryBackend::with_status).waldur(waldur.clone()).service(service.clone());
        let agent = agent.build();
        if generation == Generation::V2024 {
            // What this server lacks is found out in the first pass, and costs nothing afterwards.
            run(&agent).await;
            waldur.reset();
            service.reset();
        }
        let begin = Instant::now();
        assert_synced(&run(&agent).await);
        assert!(begin.elapsed() <= Duration::from_secs(1), "{:?}", begin.elapsed());
        // The list of resources; the listing of objects.
        let (waldur, service) = (waldur.counts(), service.counts());
        assert_eq!((waldur.total, waldur.writes), (1000_u64.div_ceil(page), 0), "{waldur}");
        assert_eq!((service.total, service.writes), (10, 0), "{service}");
    }
}

#[tokio::test(start_paused = true)]
async fn members_take_one_team_for_each_project_and_the_lists_of_accounts() {
    let site = Site::new(Generation::V8);
    in_step(&site, 1000, 40, 5);
    let waldur = Counting::new(Latency::new(site.waldur().clone(), site.environment(), RTT));
    let service = Counting::new(Latency::new(site.service().clone(), site.environment(), RTT));
    let agent = site.agent().waldur(waldur.clone()).service(service.clone()).build();
    let begin = Instant::now();
    assert_synced(&run(&agent).await);
    let counts = waldur.counts();
    // Resources, accounts, service and course accounts, what is exposed, teams.
    assert_eq!((counts.total, counts.writes), (10 + 2 + 2 + 1 + 40, 0), "{counts}");
    assert_eq!(service.counts().total, 20, "objects and members, each from one listing: {}", service.counts());
    // Ten pages of resources in three waves; five waves of teams.
    assert!(begin.elapsed() <= Duration::from_millis(600), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn one_change_costs_one_look_and_one_write_whatever_the_number_of_resources() {
    let site = Site::new(Generation::V8);
    in_step(&site, 300, 10, 2);
    let agent = site.agent().build();
    run(&agent).await;
    site.waldur().forget_requests();
    run(&agent).await;
    let quiet = site.waldur().requests().len();
    site.edit("r00007", |object: &mut MemoryObject| {
        object.members.pop_first();
    });
    site.waldur().forget_requests();
    let before = site.service().writes();
    run(&agent).await;
    assert_eq!((site.waldur().requests().len(), site.service().writes() - before), (quiet + 1, 1));
}

#[tokio::test(start_paused = true)]
async fn more_resources_cost_their_pages_and_no_more() {
    let mut calls = Vec::new();
    for resources in [200, 1200] {
        let site = Site::new(Generation::V8);
        in_step(&site, resources, 10, 3);
        let service = Counting::new(site.service().clone());
        let agent = site.agent().service(service.clone()).build();
        site.waldur().forget_requests();
        assert_synced(&run(&agent).await);
        calls.push((site.waldur().requests().len(), service.counts().total));
    }
    // Pages grow with the resources, everything else stays.
    assert_eq!(calls[1].0 - calls[0].0, 10);
    assert_eq!((calls[0].1, calls[1].1), (4, 24));
}
