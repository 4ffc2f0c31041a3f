//! The order processor over the gateway: what one order costs, and what is left when processes die, futures are dropped,
//! agents meet and writes are lost.

use futures_util::future::join;
use serde_json::json;
use waldur_backend_croit::testing::Quota;
use waldur_sdk::{
    backend::OpContext,
    process::{OrderOutcome, OrderReport},
    settings::AccountingType,
    testing::{
        Bounds, Counting, Interleaving, Scenario as _,
        conformance::{self, Scene, Verdict, Work, World},
        interleave, kill_points,
        waldur::{OrderState, ResourceState},
    },
};

use crate::{
    common::{GIB, Gate, On, components, create, environment, limits, published_key_works, request},
    conformance::Gateway,
};

/// The work on a system that suits it.
fn scene(on: On, work: Work) -> Scene<'static, Gateway> {
    Scene::new(work, move || Gateway::for_work(on, work))
}

async fn ready(on: On, work: Work) -> World<Gateway> {
    scene(on, work).ready().await.unwrap()
}

/// One pass of one agent.
async fn pass(world: &World<Gateway>) -> OrderReport {
    world.pass().await.unwrap().orders.remove(0)
}

async fn survive(on: On) {
    let verdicts = conformance::orders(|| Gateway::on(on)).await;
    assert!(verdicts.passed(), "{verdicts}");
    let skipped = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Passed);
    let skipped: Vec<_> = skipped.map(|(check, _)| *check).collect();
    // Nothing is paused unless the operator says so; options are where ceilings are the customer's own.
    assert_eq!(skipped, ["order_to_update_options", "order_to_restore_what_is_paused"], "{verdicts}");
}

#[tokio::test(start_paused = true)]
async fn orders_on_a_gateway_survive_deaths_drops_losses_and_company() {
    survive(On::RadosGw).await;
}

#[tokio::test(start_paused = true)]
async fn orders_on_croit_survive_deaths_drops_losses_and_company() {
    survive(On::Croit).await;
}

#[tokio::test(start_paused = true)]
async fn so_do_options_pauses_and_purges() {
    let (suspends, purges) = (json!({ "suspend_on_pause": true }), json!({ "delete_mode": "purge" }));
    for on in [On::RadosGw, On::Croit] {
        assert_eq!(scene(on, Work::UpdateOptions).check().await, Verdict::Passed, "{on:?}");
        let purging = Scene::new(Work::TerminateUsed, || Gateway::on(on).with(purges.clone()));
        assert_eq!(purging.check().await, Verdict::Passed, "{on:?}");
        let world = purging.ready().await.unwrap();
        pass(&world).await;
        assert_eq!(world.waldur.resource_view(world.resource).state, ResourceState::Terminated, "{on:?}");
    }
    let paused = Scene::new(Work::RestorePaused, || Gateway::on(On::RadosGw).with(suspends.clone()));
    assert_eq!(paused.check().await, Verdict::Passed);
}

#[tokio::test(start_paused = true)]
async fn a_creation_may_die_in_its_recovery_too() {
    for on in [On::RadosGw, On::Croit] {
        let sweep = kill_points(&scene(on, Work::Create), &bounds().with_faults(2)).await.unwrap();
        assert!(sweep.runs > 40, "{on:?}: {} runs", sweep.runs);
    }
}

/// On which storage, which order, and the call of which a write is acknowledged and not kept.
const LOSSES: [(On, Work, &str); 13] = [
    (On::RadosGw, Work::Create, "user.create"),
    (On::RadosGw, Work::Create, "quota.set"),
    (On::RadosGw, Work::RestoreUnmarked, "user.modify"),
    (On::RadosGw, Work::RestoreUnmarked, "quota.set"),
    (On::RadosGw, Work::UpdateLimits, "quota.set"),
    (On::RadosGw, Work::UpdateOptions, "quota.set"),
    (On::RadosGw, Work::Terminate, "user.delete"),
    (On::RadosGw, Work::TerminateUsed, "user.delete"),
    (On::Croit, Work::Create, "user.create"),
    (On::Croit, Work::Create, "quota.set"),
    (On::Croit, Work::UpdateLimits, "quota.set"),
    (On::Croit, Work::Terminate, "user.delete"),
    (On::Croit, Work::TerminateUsed, "user.delete"),
];

#[tokio::test(start_paused = true)]
async fn a_lost_write_changes_no_outcome_whoever_dies_or_meets_then() {
    for (on, work, lost) in LOSSES {
        let purging = || Gateway::for_work(on, work).with(json!({ "delete_mode": "purge" }));
        let mut seen = Vec::new();
        for losses in [0, 1] {
            let world = Scene::new(work, purging).ready().await.unwrap();
            let fake = &world.subject.gate.fake;
            fake.lose_writes(lost, losses);
            let before = fake.request_count(lost);
            let outcome = pass(&world).await.outcome;
            assert!(matches!(outcome, OrderOutcome::Done), "{on:?} {work:?} {lost}: {outcome}");
            seen.push((world.seen(), fake.request_count(lost) - before));
        }
        assert_eq!(seen[0].0, seen[1].0, "{on:?} {work:?} {lost}");
        assert!(seen[0].1 < seen[1].1, "{on:?} {work:?} {lost} was not written again");
        let losing = Scene::new(work, || purging().losing(lost));
        kill_points(&losing, &bounds()).await.unwrap();
        interleave(&losing, &Interleaving::random(7, 3), &bounds()).await.unwrap();
    }
}

/// No fake keeps anything of a read.
fn bounds() -> Bounds {
    Bounds::default().with_environment(environment()).around_writes()
}

#[tokio::test(start_paused = true)]
async fn creates_that_overlap_on_the_gateway_publish_a_key_that_works() {
    // Both answer 200 there, each with a key of its own, and one record stands (see `testing`).
    let gate = Gate::new();
    let backend = || gate.backend(json!({}), &components(AccountingType::Limit, &json!({})));
    let (one, other, request) = (backend(), backend(), request(json!({})).with_limits(limits(100, 10_000)));
    let (first, second) = join(create(&one, &request), create(&other, &request)).await;
    assert_eq!(gate.fake.request_count("user.create"), 2);
    for created in [first, second] {
        let metadata = json!(created.unwrap().metadata);
        assert_eq!(published_key_works(&gate.fake, &metadata), Some(true));
    }
    assert_eq!(gate.fake.users().len(), 1);
}

/// A quota of GiB and objects, for a user and for each of its buckets.
fn ceiling(gib: i64, objects: i64) -> (Quota, Quota) {
    let mut quota = Quota::default();
    (quota.enabled, quota.max_size, quota.max_objects) = (true, gib * GIB, objects);
    (quota, quota)
}

#[tokio::test(start_paused = true)]
async fn every_order_leaves_both_quotas_as_ordered_and_a_key_that_opens() {
    for on in [On::RadosGw, On::Croit] {
        for (work, quotas) in [
            (Work::Create, ceiling(100, 10_000)),
            (Work::CreateOnAnOldServer, ceiling(100, 10_000)),
            (Work::Restore, ceiling(100, 10_000)),
            (Work::UpdateLimits, ceiling(250, 20_000)),
            (Work::UpdateOptions, ceiling(7, 7)),
        ] {
            let world = ready(on, work).await;
            pass(&world).await;
            let id = world.waldur.resource_view(world.resource).backend_id;
            assert_eq!(world.subject.gate.fake.quota(&id), Some(quotas), "{on:?} {work:?}");
            assert_eq!(world.seen().published, "Some(true)", "{on:?} {work:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s38_an_order_that_changes_one_option_changes_both_quotas_and_nothing_else() {
    let mut world = ready(On::RadosGw, Work::UpdateOptions).await;
    pass(&world).await;
    world.order = world.waldur.order_on(world.resource).update_options(&json!({ "storage_limit": 200 })).pending();
    let fake = &world.subject.gate.fake;
    let before = fake.request_count("quota.set");
    let report = pass(&world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    // The order came with the plan's quotas.
    let resource = world.waldur.resource_view(world.resource);
    assert_eq!(resource.limits.len(), 0);
    assert_eq!(fake.quota(&resource.backend_id), Some(ceiling(200, 7)));
    assert_eq!(fake.request_count("quota.set"), before + 1);
}

#[tokio::test(start_paused = true)]
async fn s05_the_operator_is_told_that_nothing_has_a_ceiling() {
    let world = scene(On::RadosGw, Work::UpdateOptions).world();
    world.waldur.set_order_state(world.order, OrderState::Canceled);
    let seed = world.waldur.order(world.offering).create_resource("Data").attributes(json!({ "colour": "blue" }));
    seed.resource(|resource| resource.slug("data")).pending();
    let report = pass(&world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.warnings[0].step, "create");
    let told = report.warnings[0].error.to_string();
    assert!(told.contains("no ceiling") && told.contains("colour") && !told.contains("blue"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_create_order_takes_seven_round_trips_after_the_listing_and_an_idle_run_writes_nothing() {
    // On croit two quotas in place of one write.
    for (on, work, depth) in
        [(On::RadosGw, Work::Create, 8), (On::RadosGw, Work::CreateOnAnOldServer, 8), (On::Croit, Work::Create, 9)]
    {
        let world = ready(on, work).await;
        let waldur = Counting::new(world.waldur.clone());
        let backend = world.subject.over(waldur.around(world.subject.gate.clone()));
        let agent = world.processor(waldur.clone(), backend).unwrap();
        let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
        assert!(matches!(report.orders.first().unwrap().outcome, OrderOutcome::Done), "{report:?}");
        let counts = waldur.counts();
        assert_eq!(counts.depth, depth, "the listing and seven more, or eight\n{counts}");
        waldur.reset();
        assert!(agent.run_once(&OpContext::new("idle")).await.unwrap().orders.is_empty());
        let idle = waldur.counts();
        assert_eq!((idle.writes, idle.depth), (0, 1), "{idle}");
    }
}
