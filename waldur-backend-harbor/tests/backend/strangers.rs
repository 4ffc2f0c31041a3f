//! What keeps an agent off the projects of strangers, and off what nobody can prove to be its own, through whole passes.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, Permission, SeedProject, SeedRobot};
use waldur_sdk::{
    backend::{OpContext, ResourceBackend as _, Surroundings},
    client::WaldurClient,
    process::{OrderOutcome, OrderProcessor, ServedOffering, SyncOutcome},
    testing::{
        Faults, op, status,
        waldur::{Billing, FakeWaldur, Generation, OrderState, ResourceState},
    },
    types::{OfferingUuid, ResourceUuid},
};

use crate::{
    common::{
        self, ALWAYS, Failure, GIB, Gate, backend, backend_with, components, count, cx, http, id, now, pass_time,
    },
    membership::{GROUP, NAME, Site, assert_synced, sync, taken_over},
};

const CYCLE: Duration = Duration::from_secs(300);
const TURN: Duration = Duration::from_secs(70 * 60);

fn orders(waldur: &FakeWaldur, harbor: &FakeHarbor, offering: OfferingUuid) -> OrderProcessor {
    let client = WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(http(waldur.clone()));
    let backend = backend_with(harbor.clone(), harbor, json!({}));
    ServedOffering::new(client.build().unwrap(), Arc::new(backend), offering).with_components(components()).orders()
}

/// A Waldur in which a project is ordered that [`NAME`] would be the name of.
fn ordered() -> (FakeWaldur, OfferingUuid, ResourceUuid) {
    let waldur = FakeWaldur::new(Generation::V8).with_wall(now);
    let offering = waldur.offering().component("storage", Billing::Limit).create();
    let project = waldur.project("Team").slug("team").create();
    let order = waldur.order(offering).create_resource("Images").project(project).limits([("storage", 20_u32)]);
    let order = order.resource(|resource| resource.slug("images")).pending();
    let resource = waldur.order_view(order).resource;
    (waldur, offering, resource)
}

#[tokio::test(start_paused = true)]
async fn h13_a_robot_that_may_only_list_opens_no_strangers_project_once_it_may_more() {
    // In the first attempt, or in one after an attempt that reserved the name and came to nothing.
    for is_down_first in [false, true] {
        robot_that_may_only_list(is_down_first).await;
    }
}

async fn robot_that_may_only_list(is_down_first: bool) {
    let (waldur, offering, resource) = ordered();
    let may_list = vec![Permission::system(&["project:list", "quota:list"])];
    let harbor = FakeHarbor::builder().clock(now).robot(SeedRobot::system("waldur", may_list));
    let harbor = harbor.configure(|settings| {
        "adminonly".clone_into(&mut settings.project_creation_restriction);
        settings.head_needs_right = false;
    });
    let harbor = harbor.build();
    harbor.add_project(SeedProject::new(NAME).quota(3 * GIB).group("strangers", 1)).unwrap();
    let before = harbor.project(NAME);
    let login = harbor.robot_login().to_owned();
    if is_down_first {
        harbor.edit_robot(&login, |robot| *robot.disabled = true);
        orders(&waldur, &harbor, offering).run_once(&cx()).await.unwrap();
        assert_eq!(waldur.resource_view(resource).backend_id, NAME);
        harbor.edit_robot(&login, |robot| *robot.disabled = false);
    }
    let report = orders(&waldur, &harbor, offering).run_once(&cx()).await.unwrap();
    assert!(matches!(report.orders[0].outcome, OrderOutcome::Erred(_)), "{}", report.orders[0].outcome);
    assert_eq!(waldur.resource_view(resource).backend_id, "");
    // The operator grants what the order's error named.
    harbor.edit_robot(&login, |robot| *robot.permissions = Permission::needed());
    for _pass in 0..2 {
        pass_time(TURN).await;
        let backend = backend_with(harbor.clone(), &harbor, json!({}));
        sync(&waldur, waldur.clone(), backend, offering).run_once(&cx()).await.unwrap();
    }
    assert_eq!(harbor.project(NAME), before);
}

#[tokio::test(start_paused = true)]
async fn what_was_published_is_not_given_up_when_it_may_not_be_read_any_more() {
    let (waldur, offering, resource) = ordered();
    let harbor = FakeHarbor::builder().clock(now).robot(SeedRobot::system("waldur", Permission::needed()));
    let harbor =
        harbor.configure(|settings| "adminonly".clone_into(&mut settings.project_creation_restriction)).build();
    let faults = Faults::new(waldur.clone()).on(op("orders.set_state_done"), status(502));
    let client = WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(http(faults));
    let backend = backend_with(harbor.clone(), &harbor, json!({}));
    let first = OrderProcessor::new(client.build().unwrap(), Arc::new(backend), offering);
    first.run_once(&cx()).await.unwrap();
    assert_eq!(waldur.resource_view(resource).backend_metadata["harbor_project_name"], NAME);
    let login = harbor.robot_login().to_owned();
    harbor.edit_robot(&login, |robot| *robot.permissions = vec![Permission::system(&["project:list", "quota:list"])]);
    let report = orders(&waldur, &harbor, offering).run_once(&cx()).await.unwrap();
    assert!(matches!(report.orders[0].outcome, OrderOutcome::Erred(_)), "{}", report.orders[0].outcome);
    assert_eq!(waldur.resource_view(resource).backend_id, NAME, "people may be using it");
}

#[tokio::test(start_paused = true)]
async fn on_a_project_of_which_only_the_name_is_known_no_group_gets_a_role() {
    let site = taken_over();
    site.waldur.change_resource(site.resource, |row| row.backend_metadata(json!({})));
    let before = site.gate.fake.project(NAME).unwrap();
    let mut told = 0;
    for _pass in 0..4 {
        match &site.pass().await.resources[0].outcome {
            SyncOutcome::Deferred(error) if error.message().contains("harbor_project_id") => told += 1,
            SyncOutcome::Synced => {}
            other => panic!("{other}"),
        }
    }
    assert!(told >= 3, "{told}");
    let after = site.gate.fake.project(NAME).unwrap();
    assert_eq!((after.groups(), &after.allowlist), (before.groups(), &before.allowlist));
    assert_eq!(site.waldur.resource_view(site.resource).state, ResourceState::Ok, "nobody blames the resource");
    // Not even what is written to it makes it the resource's.
    site.waldur.change_resource(site.resource, |row| row.downscaled(true));
    site.pass().await;
    site.waldur.change_resource(site.resource, |row| row.downscaled(false));
    site.pass().await;
    let after = site.gate.fake.project(NAME).unwrap();
    assert_eq!((after.groups(), &after.allowlist), (before.groups(), &before.allowlist));
    // Somebody has looked, and says that it is.
    site.waldur.change_resource(site.resource, |row| row.backend_metadata(json!({ "harbor_project_id": before.id })));
    assert_synced(&site.pass().await);
    assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_right_that_the_account_lacks_is_told_once_in_a_turn_and_fells_no_resource() {
    for refused in
        ["GET /projects/waldur-images/members", "POST /projects/waldur-images/members", "PUT /projects/waldur-images "]
    {
        let site = taken_over();
        site.gate.fail(refused, ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
        let agent = sync(&site.waldur, site.waldur.clone(), site.backend.clone(), site.offering);
        let mut deferred = 0;
        for _cycle in 0..48 {
            pass_time(CYCLE).await;
            let report = agent.run_once(&OpContext::new("pass")).await.unwrap();
            match &report.resources[0].outcome {
                SyncOutcome::Synced => {}
                SyncOutcome::Deferred(error) => {
                    assert!(error.message().contains("does not permit"), "{error}");
                    deferred += 1;
                }
                other => panic!("{refused}: {other}"),
            }
        }
        let asked = count(&site.gate.take_log(), refused);
        assert!((3..=5).contains(&deferred) && asked <= 2 * deferred, "{refused}: {deferred} turns, {asked} requests");
        assert_eq!(site.waldur.resource_view(site.resource).state, ResourceState::Ok);
        site.gate.mend();
        for _cycle in 0..13 {
            pass_time(CYCLE).await;
            agent.run_once(&OpContext::new("pass")).await.unwrap();
        }
        assert_eq!(site.gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)], "{refused}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_is_none_of_the_identity_providers_is_told_of_and_not_noted() {
    let gate = Gate::new();
    gate.fake.add_group(common::GROUP, 2).unwrap();
    // Bound by hand, or by the plugin.
    let seed = SeedProject::new(common::NAME).quota(GIB).group(common::GROUP, 2).tolerates(common::STAMP);
    gate.fake.add_project(seed).unwrap();
    let mut told = 0;
    for _cycle in 0..24 {
        pass_time(CYCLE).await;
        let about = Surroundings::new(common::resource());
        match backend(&gate).upkeep().unwrap().sync_project(&cx(), &id(common::NAME), &about).await {
            Err(error) if error.message().contains("type 2") => told += 1,
            outcome => outcome.unwrap(),
        }
    }
    assert!(told >= 1);
    assert_eq!(gate.fake.project(common::NAME).unwrap().allowlist, [common::STAMP]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_restores_with_less_gives_that_and_not_what_waldur_had_on_record() {
    for (ordered, small) in [(1_u32, true), (2, false)] {
        let site = Site::new(20, 2);
        site.gate.fake.set_quota(NAME, GIB);
        let mut list = site.gate.fake.project(NAME).unwrap().allowlist;
        list.push("waldur-downscaled".to_owned());
        site.gate.fake.set_allowlist(NAME, &list.iter().map(String::as_str).collect::<Vec<_>>());
        let order = site.waldur.order_on(site.resource).restore().limits([("storage", ordered)]).pending();
        orders(&site.waldur, &site.gate.fake, site.offering).run_once(&cx()).await.unwrap();
        assert_eq!(site.waldur.order_view(order).state, OrderState::Done, "{small}");
        let project = site.gate.fake.project(NAME).unwrap();
        assert_eq!(project.quota.unwrap().hard, i64::from(ordered) * GIB);
        assert!(!project.allowlist.contains(&"waldur-downscaled".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_nobody_can_finish_is_taken_back_by_whichever_attempt_finds_so() {
    let (waldur, offering, resource) = ordered();
    let harbor = FakeHarbor::builder().clock(now).build();
    // An attempt died when it had made the project, and its group is of another kind since.
    harbor.add_group(GROUP, 2).unwrap();
    let born = SeedProject::new(NAME).quota(20 * GIB).auto_scan(&format!("waldur-resource-{}", resource.hex()));
    harbor.add_project(born).unwrap();
    waldur.change_resource(resource, |row| row.backend_id(NAME));
    let report = orders(&waldur, &harbor, offering).run_once(&cx()).await.unwrap();
    assert!(matches!(report.orders[0].outcome, OrderOutcome::Erred(_)), "{}", report.orders[0].outcome);
    assert_eq!((harbor.project(NAME), waldur.resource_view(resource).backend_id.as_str()), (None, ""));
}
