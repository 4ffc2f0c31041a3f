//! The order processor over Harbor: what one order costs, what Waldur is told, and what is left when processes die, futures
//! are dropped and agents meet.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use waldur_backend_harbor::testing::{Image, SeedProject};
use waldur_sdk::{
    backend::OpContext,
    process::{OrderOutcome, OrderReport},
    testing::{
        Counting, Scenario as _,
        conformance::{self, Scene, Verdict, Work, World},
        waldur::{OrderState, ResourceState},
    },
};

use crate::{
    common::{GIB, backend_with, pass_time},
    conformance::Registry,
    membership::sync,
};

const NAME: &str = "waldur-res";
const GROUP: &str = "waldur-example--1";
const GROUP_NOTE: &str = "waldur-group-waldur-example--1";

async fn ready(work: Work) -> World<Registry> {
    Scene::new(work, Registry::new).ready().await.unwrap()
}

/// One pass of one agent.
async fn pass(world: &World<Registry>) -> OrderReport {
    world.pass().await.unwrap().orders.remove(0)
}

#[tokio::test(start_paused = true)]
async fn orders_on_a_registry_survive_deaths_drops_and_company() {
    let verdicts = conformance::orders(Registry::new).await;
    assert!(verdicts.passed(), "{verdicts}");
    // Nothing is sold by options.
    let skipped: Vec<_> = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Passed).collect();
    assert!(matches!(skipped[..], [("order_to_update_options", _)]), "{verdicts}");
}

#[tokio::test(start_paused = true)]
async fn so_they_do_where_absence_is_hidden_and_what_is_full_may_go() {
    for work in [Work::Terminate, Work::TerminateUsed, Work::Restore] {
        let scene = Scene::new(work, Registry::strict);
        assert_eq!(scene.check().await, Verdict::Passed, "{work:?}");
        let world = scene.ready().await.unwrap();
        let outcome = pass(&world).await.outcome;
        assert!(matches!(outcome, OrderOutcome::Done), "{work:?}: {outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stranger_keeps_a_project_and_members_get_theirs() {
    for work in [Work::Create, Work::CreateOnAnOldServer, Work::Restore] {
        let world = ready(work).await;
        pass(&world).await;
        assert_eq!(world.subject.gate.fake.roles_by_claim(NAME, &[GROUP]), [2], "{work:?}");
    }
    let world = ready(Work::CreateTaken).await;
    pass(&world).await;
    assert!(world.subject.gate.fake.roles_by_claim(NAME, &[GROUP]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn h01_what_waldur_is_told_of_a_new_project() {
    let world = ready(Work::Create).await;
    pass(&world).await;
    let resource = world.waldur.resource_view(world.resource);
    assert_eq!(resource.backend_id, NAME);
    let metadata = &resource.backend_metadata;
    let id = world.subject.gate.fake.project(NAME).unwrap().id;
    assert_eq!((&metadata["harbor_project_id"], &metadata["oidc_group"]), (&json!(id), &json!(GROUP)));
    assert_eq!(resource.endpoints[0].url, format!("http://localhost:8080/harbor/projects/{id}"));
    assert_eq!(json!(resource.limits), json!({ "storage": 20 }));
}

#[tokio::test(start_paused = true)]
async fn h13_an_order_whose_name_is_a_strangers_fails_with_a_word_to_the_customer() {
    let world = ready(Work::CreateTaken).await;
    let report = pass(&world).await;
    let OrderOutcome::Erred(error) = &report.outcome else { panic!("{}", report.outcome) };
    assert!(error.customer_message().is_some(), "{error}");
    let told = world.waldur.order_view(world.order).error_message;
    assert!(told.contains("already exist") && !told.contains("deadbeef"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn h13_an_order_that_is_refused_opens_no_strangers_project() {
    let world = Scene::new(Work::Create, || Registry { limits: 2_000_000, ..Registry::new() }).ready().await.unwrap();
    let fake = &world.subject.gate.fake;
    fake.add_project(SeedProject::new(NAME).quota(3 * GIB).group("strangers", 1).used(5)).unwrap();
    let before = fake.project(NAME);
    let report = pass(&world).await;
    assert!(matches!(report.outcome, OrderOutcome::Erred(_)), "{}", report.outcome);
    assert_eq!(world.waldur.resource_view(world.resource).backend_id, "");
    for _pass in 0..2 {
        pass_time(Duration::from_secs(70 * 60)).await;
        let backend = backend_with(fake.clone(), fake, json!({}));
        let sync = sync(&world.waldur, world.waldur.clone(), backend, world.offering);
        sync.run_once(&OpContext::new("pass")).await.unwrap();
    }
    assert_eq!(fake.project(NAME), before);
}

#[tokio::test(start_paused = true)]
async fn h23_an_order_to_delete_what_is_full_fails() {
    let world = ready(Work::TerminateUsed).await;
    world.subject.gate.fake.push(NAME, "a/b", Image::new("v1").layer("a/b", 5)).unwrap();
    let report = pass(&world).await;
    assert!(matches!(report.outcome, OrderOutcome::Erred(_)), "{}", report.outcome);
    let told = world.waldur.order_view(world.order).error_message;
    assert!(told.contains("still contains 2 repositories"), "{told}");
    assert_eq!(world.subject.gate.fake.repositories_of(NAME).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_for_less_than_is_stored_is_done_with_a_warning() {
    for (gib, warnings) in [(3, 0), (9, 1)] {
        let scene = Scene::new(Work::UpdateLimits, || Registry { other: 5, ..Registry::new() });
        let world = scene.ready().await.unwrap();
        world.subject.gate.fake.push(NAME, "data", Image::new("v1").layer("data", gib << 30)).unwrap();
        let report = pass(&world).await;
        assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
        assert_eq!(world.subject.gate.fake.quota_of(NAME).unwrap().hard, 5 * GIB);
        let told: Vec<_> = report.warnings.iter().map(|warning| (warning.step, warning.error.to_string())).collect();
        assert_eq!(told.len(), warnings, "{told:?}");
        assert!(told.iter().all(|(step, text)| *step == "limits" && text.contains("9663676416 bytes")), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn h27_without_a_back_end_id_there_is_nothing_to_delete() {
    let mut world = Scene::new(Work::Create, Registry::new).world();
    world.waldur.set_order_state(world.order, OrderState::Canceled);
    world.waldur.change_resource(world.resource, |row| row.state(ResourceState::Ok));
    world.order = world.waldur.order_on(world.resource).terminate().pending();
    let report = pass(&world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    assert!(world.subject.gate.fake.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h29_a_restore_order_scales_up_what_was_scaled_down() {
    let world = ready(Work::RestorePaused).await;
    let fake = &world.subject.gate.fake;
    assert!(fake.project(NAME).unwrap().allowlist.iter().any(|note| note == "waldur-downscaled"));
    let report = pass(&world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    assert_eq!(fake.quota_of(NAME).unwrap().hard, 20 * GIB);
    let stamp = format!("waldur-resource-{}", world.resource.hex());
    assert_eq!(fake.project(NAME).unwrap().allowlist, [stamp.as_str(), GROUP_NOTE]);
}

#[tokio::test(start_paused = true)]
async fn a_new_project_takes_seven_round_trips_after_the_listing_and_an_idle_run_writes_nothing() {
    for group_exists in [true, false] {
        for work in [Work::Create, Work::CreateOnAnOldServer] {
            let world = ready(work).await;
            let fake = &world.subject.gate.fake;
            if group_exists {
                fake.add_group(GROUP, 3).unwrap();
            }
            let waldur = Counting::new(world.waldur.clone());
            let backend = backend_with(waldur.around(fake.clone()), fake, json!({}));
            let agent = world.processor(waldur.clone(), Arc::new(backend)).unwrap();
            let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
            assert!(matches!(report.orders.first().unwrap().outcome, OrderOutcome::Done), "{report:?}");
            let counts = waldur.counts();
            assert_eq!(counts.depth, 8, "the listing and seven more\n{counts}");
            let harbor: u64 = fake.requests().values().sum();
            assert_eq!(harbor, if group_exists { 6 } else { 7 }, "{counts}");
            waldur.reset();
            assert!(agent.run_once(&OpContext::new("idle")).await.unwrap().orders.is_empty());
            let idle = waldur.counts();
            assert_eq!((idle.writes, idle.depth), (0, 1), "{idle}");
        }
    }
}
