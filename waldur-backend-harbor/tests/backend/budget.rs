//! Calls and time (performance.md §3, §5). The floors of performance.md, 18 calls for a report of a thousand projects and 14
//! for a pass over their members, are those of the listings on a Waldur of 2024: eight pages of 300 rows, or four, and ten of
//! Harbor's. The offering's own look, at what it sells, comes on top of a report, as performance.md counts it: in every run,
//! whatever is measured.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;
use waldur_backend_harbor::testing::{FakeHarbor, SeedProject};
use waldur_sdk::{
    backend::{Aspects, Inspection, OpContext, PassIds, Period, ResourceBackend as _, Usage},
    client::WaldurClient,
    process::{ServedOffering, SyncOutcome, UsageOutcome, UsagePolicy, UsageReporter},
    testing::{
        Counting, Latency,
        waldur::{Billing, FakeWaldur, Generation},
    },
    types::{BackendId, Date, Decimal, OfferingUuid},
};

use crate::{
    common::{GIB, backend_with, components, cx, environment, http, id, now, pass_time},
    membership::{assert_synced, sync},
};

const RTT: Duration = Duration::from_millis(50);
const CYCLE: Duration = Duration::from_secs(300);

/// So many resources in step on both sides, in projects of ten. `library` is among the projects of Harbor.
struct World {
    waldur: FakeWaldur,
    harbor: FakeHarbor,
    offering: OfferingUuid,
}

fn world(generation: Generation, resources: usize) -> World {
    let waldur = FakeWaldur::new(generation).with_wall(now);
    let offering = waldur.offering().component("storage", Billing::Limit).create();
    let harbor = FakeHarbor::builder().clock(now).build();
    let month: Date = "2026-11-01".parse().unwrap();
    let created = "2026-11-22T12:00:00Z";
    let mut project = waldur.default_project();
    for number in 0..resources {
        let name = format!("waldur-r{number:05}");
        let team = number / 10;
        if number % 10 == 0 {
            project = waldur.project(&format!("Team {team}")).slug(format!("team-{team}")).create();
        }
        let group = format!("waldur-team-{team}");
        let resource = waldur.resource(offering).name(&name).slug(&name).backend_id(&name).project(project);
        let resource = resource.limits([("storage", 20_u32)]).create();
        let stamp = format!("waldur-resource-{}", resource.hex());
        let seed = SeedProject::new(&name).quota(20 * GIB).tolerates(&stamp).used(1 << 30).group(&group, 2);
        let id = harbor.add_project(seed).unwrap().id;
        let metadata = json!({
            "harbor_project_id": id, "harbor_project_name": name, "docker_login": "localhost:8080",
            "harbor_url": format!("http://localhost:8080/harbor/projects/{id}"), "repository_count": 1,
            "storage_used_bytes": 1_u64 << 30, "quota_bytes": 20 * GIB, "creation_time": created, "oidc_group": group,
        });
        waldur.change_resource(resource, |seed| seed.backend_metadata(metadata));
        waldur.reported(resource, "storage", month, Decimal::ONE);
    }
    World { waldur, harbor, offering }
}

impl World {
    fn reporter(&self, waldur: &Counting, harbor: &Counting) -> UsageReporter {
        let waldur = Latency::new(waldur.clone(), environment(), RTT);
        let harbor = Latency::new(harbor.clone(), environment(), RTT);
        let client = WaldurClient::builder(self.waldur.base_url()).token(self.waldur.token());
        let client = client.http(http(waldur)).build().unwrap();
        let backend = Arc::new(backend_with(harbor, &self.harbor, json!({})));
        let mut policy = UsagePolicy::default();
        policy.reporting_periods = 1;
        ServedOffering::new(client, backend, self.offering).with_components(components()).usage().with_policy(policy)
    }
}

/// Each Waldur, and how many pages a list of a thousand rows has there: a server of 2024 gives 300 rows at a time, one of
/// today 100.
const WALDURS: [(Generation, u64); 2] = [(Generation::V2024, 4), (Generation::V8, 10)];

#[tokio::test(start_paused = true)]
async fn a_report_of_a_thousand_projects_takes_the_pages_of_its_lists_and_no_second() {
    for (generation, pages) in WALDURS {
        report_of_a_thousand(generation, 2 * pages + 1).await;
    }
}

/// With the project that every Harbor has, there are a thousand.
async fn report_of_a_thousand(generation: Generation, calls: u64) {
    let world = world(generation, 999);
    let (waldur, harbor) = (Counting::new(world.waldur.clone()), Counting::new(world.harbor.clone()));
    let reporter = world.reporter(&waldur, &harbor);
    let begin = Instant::now();
    let report = reporter.run_once(&OpContext::new("report")).await.unwrap();
    let elapsed = begin.elapsed();
    assert_eq!(report.count(|outcome| matches!(outcome, UsageOutcome::Unchanged)), 999);
    let (waldur, harbor) = (waldur.counts(), harbor.counts());
    assert_eq!(harbor.total, 10, "{harbor}");
    assert_eq!(waldur.of("provider_offerings.get"), 1);
    assert_eq!(waldur.total, calls, "{generation:?}: {waldur}");
    assert_eq!((waldur.writes, harbor.writes), (0, 0));
    assert!(elapsed <= Duration::from_secs(1), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn membership_of_a_thousand_projects_takes_the_pages_of_its_lists_and_no_second_when_nothing_changed() {
    let [(generation, pages), _] = WALDURS;
    membership_of_a_thousand(generation, pages).await;
}

#[tokio::test(start_paused = true)]
async fn membership_of_a_thousand_projects_takes_no_second_on_a_waldur_of_today_either() {
    let [_, (generation, pages)] = WALDURS;
    membership_of_a_thousand(generation, pages).await;
}

async fn membership_of_a_thousand(generation: Generation, calls: u64) {
    let world = world(generation, 999);
    let (waldur, harbor) = (Counting::new(world.waldur.clone()), Counting::new(world.harbor.clone()));
    let slow = Latency::new(harbor.clone(), environment(), RTT);
    let backend = backend_with(slow, &world.harbor, json!({}));
    let slow = Latency::new(waldur.clone(), environment(), RTT);
    let agent = sync(&world.waldur, slow, backend, world.offering);
    // In the first pass both listings are read, and it is learnt what this server lacks.
    agent.run_once(&OpContext::new("first")).await.unwrap();
    waldur.reset();
    harbor.reset();
    let begin = Instant::now();
    assert_synced(&agent.run_once(&OpContext::new("steady")).await.unwrap());
    let elapsed = begin.elapsed();
    let (seen, registry) = (waldur.counts(), harbor.counts());
    assert_eq!((registry.total, registry.of("quotas.list")), (10, 10), "{registry}");
    assert_eq!(seen.total, calls, "{generation:?}: {seen}");
    assert_eq!((seen.writes, registry.writes), (0, 0));
    assert!(elapsed <= Duration::from_secs(1), "{elapsed:?}");
    // In the next cycle it is the turn of a twelfth of the projects: their groups are looked at, and nothing else.
    waldur.reset();
    harbor.reset();
    pass_time(CYCLE).await;
    let begin = Instant::now();
    assert_synced(&agent.run_once(&OpContext::new("a cycle later")).await.unwrap());
    let elapsed = begin.elapsed();
    let (seen, registry) = (waldur.counts(), harbor.counts());
    let looks = registry.of("members.group");
    assert_eq!((seen.total, registry.total - looks), (calls, 10), "{seen}\n{registry}");
    assert!((1..=999 / 12 + 25).contains(&looks), "{registry}");
    assert_eq!((seen.writes, registry.writes), (0, 0));
    assert!(elapsed <= Duration::from_secs(1), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn among_three_thousand_projects_a_thousand_cost_their_pages_and_the_others_nothing_else() {
    let world = world(Generation::V2024, 1000);
    for number in 0..1999 {
        world.harbor.add_project(SeedProject::new(&format!("foreign-{number:05}")).quota(GIB)).unwrap();
    }
    let (waldur, harbor) = (Counting::new(world.waldur.clone()), Counting::new(world.harbor.clone()));
    let reporter = world.reporter(&waldur, &harbor);
    let begin = Instant::now();
    let report = reporter.run_once(&OpContext::new("report")).await.unwrap();
    let elapsed = begin.elapsed();
    assert_eq!(report.count(|outcome| matches!(outcome, UsageOutcome::Unchanged)), 1000);
    let (seen, registry) = (waldur.counts(), harbor.counts());
    // ceil(N/300) twice, ceil(M/100), and the look at the offering.
    assert_eq!((registry.total, seen.total), (30, 4 + 4 + 1), "{seen}\n{registry}");
    assert_eq!((seen.writes, registry.writes), (0, 0));
    assert!(elapsed <= Duration::from_secs(1), "{elapsed:?}");
    // What a synchronisation asks the registry: both listings, and from then on the one of quotas.
    let backend = backend_with(Latency::new(harbor.clone(), environment(), RTT), &world.harbor, json!({}));
    let ids: Vec<BackendId> = (0..1000).map(|number| id(&format!("waldur-r{number:05}"))).collect();
    for pages in [60, 30] {
        harbor.reset();
        let begin = Instant::now();
        let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
        assert!(states.len() == 1000 && states.values().all(|state| matches!(state, Ok(Some(_)))));
        assert_eq!(harbor.counts().total, pages, "{}", harbor.counts());
        assert!(begin.elapsed() <= Duration::from_secs(1), "{:?}", begin.elapsed());
    }
    // Nothing is remembered of the others.
    let remembered = format!("{backend:?}");
    assert!(remembered.contains("waldur-r00999") && !remembered.contains("foreign-"));
}

/// More than a portion of a pass.
const MANY: usize = 8;

#[tokio::test(start_paused = true)]
async fn the_portions_of_a_pass_have_one_listing_and_the_next_pass_has_its_own() {
    let fake = FakeHarbor::builder().clock(now).build();
    let ids: Vec<BackendId> = (0..MANY).map(|number| id(&format!("waldur-r{number}"))).collect();
    for id in &ids {
        fake.add_project(SeedProject::new(id.as_str()).quota(GIB)).unwrap();
    }
    let harbor = Counting::new(fake.clone());
    let backend = backend_with(harbor.clone(), &fake, json!({}));
    let quota = async |id: &BackendId, pass: &PassIds| {
        let inspection = Inspection::of(std::slice::from_ref(id), Aspects::ALL).in_pass(pass);
        let mut states = backend.inspect(&cx(), &inspection).await;
        assert_eq!(states.len(), 1);
        states.remove(id).unwrap().unwrap().unwrap().limits["storage"]
    };
    let pass = PassIds::new(ids.iter().cloned());
    let before = quota(&ids[0], &pass).await;
    assert_eq!(harbor.counts().total, 2, "{}", harbor.counts());
    for id in &ids {
        assert!(fake.set_quota(id.as_str(), 7 * GIB));
    }
    for id in &ids[1..] {
        assert_eq!(quota(id, &pass).await, before);
    }
    assert_eq!(harbor.counts().total, 2, "{}", harbor.counts());
    let next = PassIds::new(ids.iter().cloned());
    assert_ne!(quota(&ids[0], &next).await, before);
    assert_eq!(harbor.counts().total, 3, "{}", harbor.counts());
    // Whoever asks for itself is told what is.
    let alone = backend.inspect(&cx(), &Inspection::of(&ids[..1], Aspects::ALL)).await;
    assert_ne!(alone[&ids[0]].as_ref().unwrap().as_ref().unwrap().limits["storage"], before);
}

#[tokio::test(start_paused = true)]
async fn every_project_is_looked_at_once_an_hour_and_a_twelfth_of_them_in_a_cycle() {
    let world = world(Generation::V2024, 108);
    let harbor = Counting::new(world.harbor.clone());
    let backend = backend_with(harbor.clone(), &world.harbor, json!({}));
    let agent = sync(&world.waldur, world.waldur.clone(), backend, world.offering);
    // The last cycle of an hour: turns come later by one in the next.
    pass_time(11 * CYCLE).await;
    agent.run_once(&OpContext::new("first")).await.unwrap();
    let mut looks = Vec::new();
    let mut others = Vec::new();
    for _cycle in 0..12 {
        harbor.reset();
        pass_time(CYCLE).await;
        agent.run_once(&OpContext::new("cycle")).await.unwrap();
        let counts = harbor.counts();
        looks.push(counts.of("members.group"));
        others.push(counts.of("quotas.list") + counts.of("projects.list"));
    }
    assert_eq!(looks.iter().sum::<u64>(), 108, "{looks:?}");
    assert!(looks.iter().all(|looks| (1..=25).contains(looks)), "{looks:?}");
    // Two pages of quotas in each, and two of projects once an hour.
    assert_eq!(others.iter().sum::<u64>(), 12 * 2 + 2, "{others:?}");
    // One that is gone costs the proof of it, and no listing.
    world.harbor.remove_project("waldur-r00007");
    harbor.reset();
    let report = agent.run_once(&OpContext::new("gone")).await.unwrap();
    let missing = report.resources.iter().filter(|resource| matches!(resource.outcome, SyncOutcome::Missing));
    assert_eq!(missing.count(), 1);
    assert_eq!(harbor.counts().total, 2 + 2, "{}", harbor.counts());
    // Where Harbor treats that question as reading, it takes lists to prove it.
    world.harbor.configure(|settings| settings.head_needs_right = true);
    world.harbor.remove_project("waldur-r00008");
    harbor.reset();
    agent.run_once(&OpContext::new("gone")).await.unwrap();
    assert_eq!(harbor.counts().total, 2 + 5, "{}", harbor.counts());
}

#[tokio::test(start_paused = true)]
async fn a_few_of_a_large_registry_are_read_by_themselves_once_its_size_is_known() {
    let world = world(Generation::V2024, 1100);
    let harbor = Counting::new(world.harbor.clone());
    let backend = backend_with(harbor.clone(), &world.harbor, json!({}));
    let ids: Vec<BackendId> = (0..6).map(|number| id(&format!("waldur-r{number:05}"))).collect();
    let november = Period::containing(Date::constant(2026, 11, 22));
    let measure = async |ids: &[BackendId]| {
        harbor.reset();
        let usage = backend.usage().unwrap().usage(&cx(), ids, november).await;
        assert!(usage.len() == ids.len() && usage.values().all(|usage| matches!(usage, Usage::Measured(_))));
        harbor.counts().total
    };
    // Twelve pages: five projects take ten calls.
    assert_eq!(measure(&ids[..1]).await, 12);
    assert_eq!((measure(&ids[..1]).await, measure(&ids[..5]).await, measure(&ids).await), (2, 10, 12));
    harbor.reset();
    let states = backend.inspect(&cx(), &Inspection::of(&ids[..5], Aspects::ALL)).await;
    assert!(states.values().all(|state| matches!(state, Ok(Some(_)))));
    assert_eq!(harbor.counts().total, 10);
}

#[tokio::test(start_paused = true)]
async fn many_projects_that_are_gone_are_asked_about_once_an_hour() {
    let world = world(Generation::V2024, 200);
    for number in 0..150 {
        world.harbor.remove_project(&format!("waldur-r{number:05}"));
    }
    let harbor = Counting::new(world.harbor.clone());
    let backend = backend_with(harbor.clone(), &world.harbor, json!({}));
    let ids: Vec<BackendId> = (0..200).map(|number| id(&format!("waldur-r{number:05}"))).collect();
    let look = async || {
        harbor.reset();
        let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
        let gone = states.values().filter(|state| matches!(state, Ok(None))).count();
        (gone, harbor.counts().total)
    };
    let (gone, first) = look().await;
    assert!(gone == 150 && first >= 150, "{gone}, {first}");
    assert_eq!(look().await, (150, 1), "the quotas");
    // One is there again.
    world.harbor.add_project(SeedProject::new("waldur-r00007").quota(GIB)).unwrap();
    assert_eq!(look().await, (149, 1 + 2));
    assert_eq!(look().await, (149, 1));
    pass_time(Duration::from_secs(3600)).await;
    let (gone, anew) = look().await;
    assert!(gone == 149 && anew >= 149, "{gone}, {anew}");
}

#[tokio::test(start_paused = true)]
#[ignore = "seven seconds of a debug build: `cargo test -p waldur-backend-harbor --test backend -- --ignored`"]
async fn ten_thousand_projects_stay_within_their_period() {
    let world = world(Generation::V2024, 10_000);
    let harbor = Counting::new(world.harbor.clone());
    let slow = Latency::new(harbor.clone(), environment(), RTT);
    let backend = backend_with(slow, &world.harbor, json!({}));
    let slow = Latency::new(world.waldur.clone(), environment(), RTT);
    let agent = sync(&world.waldur, slow, backend, world.offering);
    let begin = Instant::now();
    assert_synced(&agent.run_once(&OpContext::new("cycle")).await.unwrap());
    let (elapsed, counts) = (begin.elapsed(), harbor.counts());
    // The dearest pass that there is: both listings, and a twelfth of the projects by themselves.
    assert_eq!((counts.of("quotas.list"), counts.of("projects.list")), (101, 101), "{counts}");
    assert_eq!(counts.total, 202 + counts.of("members.group"), "{counts}");
    assert!(counts.of("members.group") <= 1000, "{counts}");
    assert!(elapsed < Duration::from_secs(15), "{elapsed:?}");
    harbor.reset();
    let ids: Vec<BackendId> = (0..10_000).map(|number| id(&format!("waldur-r{number:05}"))).collect();
    let source = backend_with(Latency::new(harbor.clone(), environment(), RTT), &world.harbor, json!({}));
    let begin = Instant::now();
    let usage = source.usage().unwrap().usage(&cx(), &ids, Period::containing(Date::constant(2026, 11, 22))).await;
    assert!(usage.values().all(|usage| matches!(usage, Usage::Measured(_))) && usage.len() == 10_000);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(harbor.counts().total, 101);
}
