//! Pausing as suspension (s3.md §8).

use serde_json::{Value, json};
use waldur_backend_croit::settings::S3Settings;
use waldur_sdk::{
    backend::Status,
    process::{MembershipReport, membership::Change},
    settings::{BackendSettings, problems},
    testing::waldur::Generation,
    types::ResourceUuid,
};

use crate::world::{World, clean_pass, pass};

fn on_request() -> Value {
    json!({ "suspend_on_pause": true })
}

fn statuses(report: &MembershipReport) -> Vec<Status> {
    let changes = report.resources.iter().flat_map(|resource| &resource.changes);
    changes.filter_map(|change| if let Change::Status(status) = change { Some(*status) } else { None }).collect()
}

/// A resource whose customer has stored something.
fn stored() -> (World, ResourceUuid) {
    let world = World::new(Generation::V8);
    let resource = world.resource("u-1", 7);
    world.gate.fake.create_bucket("u-1", "photos").unwrap();
    world.gate.fake.put_object("u-1", "photos", "cat", 100).unwrap();
    (world, resource)
}

fn can_read(world: &World) -> bool {
    world.gate.fake.get_object("u-1", "photos", "cat").is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_paused_resource_is_closed_to_reading_and_open_again_afterwards() {
    let (world, resource) = stored();
    let name = world.gate.fake.user("u-1").unwrap().display_name;
    let agent = world.agent(on_request());
    clean_pass(&agent).await;
    for _twice in 0..2 {
        world.waldur.change_resource(resource, |resource| resource.paused(true));
        world.gateway_writes();
        assert_eq!(statuses(&clean_pass(&agent).await), [Status::Paused]);
        assert!(!can_read(&world));
        assert_eq!(world.gateway_writes().len(), 1, "one write");
        assert!(statuses(&clean_pass(&agent).await).is_empty(), "it is paused");
        assert!(world.gateway_writes().is_empty());
        world.waldur.change_resource(resource, |resource| resource.paused(false));
        assert_eq!(statuses(&clean_pass(&agent).await), [Status::Active]);
        assert!(can_read(&world) && world.gateway_writes().len() == 1);
        assert_eq!(world.gate.fake.user("u-1").unwrap().display_name, name);
    }
}

#[tokio::test(start_paused = true)]
async fn another_agent_knows_who_suspended_the_user() {
    let (world, resource) = stored();
    world.waldur.change_resource(resource, |resource| resource.paused(true));
    clean_pass(&world.agent(on_request())).await;
    world.waldur.change_resource(resource, |resource| resource.paused(false));
    clean_pass(&world.agent(on_request())).await;
    assert!(can_read(&world), "the mark is with the user, not in a process");
}

#[tokio::test(start_paused = true)]
async fn a_suspension_by_the_operator_is_never_lifted() {
    let (world, resource) = stored();
    let agent = world.agent(on_request());
    clean_pass(&agent).await;
    world.gate.fake.edit_user("u-1", |edit| *edit.suspended = true).unwrap();
    world.gateway_writes();
    let report = pass(&agent).await;
    let warned = report.resources[0].warnings.iter().any(|warning| warning.step == "status");
    assert!(warned && !can_read(&world), "{report:#?}");
    // Nor after a pause of Waldur's in between, which has nothing to add to it.
    for paused in [true, false] {
        world.waldur.change_resource(resource, |resource| resource.paused(paused));
        pass(&agent).await;
        assert!(!can_read(&world), "{paused}");
    }
    assert!(world.gateway_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn pausing_changes_nothing_unless_it_is_asked_for() {
    let (world, resource) = stored();
    world.waldur.change_resource(resource, |resource| resource.paused(true));
    clean_pass(&world.agent(json!({}))).await;
    assert!(can_read(&world) && world.gateway_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn downscaling_has_no_word_and_lifts_a_pause() {
    let (world, resource) = stored();
    let agent = world.agent(on_request());
    world.waldur.change_resource(resource, |resource| resource.paused(true));
    clean_pass(&agent).await;
    world.waldur.change_resource(resource, |resource| resource.paused(false).downscaled(true));
    for _twice in 0..2 {
        let report = pass(&agent).await;
        assert!(report.resources[0].warnings.iter().any(|warning| warning.step == "status"), "{report:#?}");
        assert!(can_read(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspension_that_was_acknowledged_and_lost_is_written_again() {
    let (world, resource) = stored();
    world.gate.fake.lose_writes("user.modify", 1);
    world.waldur.change_resource(resource, |resource| resource.paused(true));
    clean_pass(&world.agent(on_request())).await;
    assert!(!can_read(&world));
}

#[tokio::test(start_paused = true)]
async fn a_strangers_user_is_not_suspended() {
    let world = World::new(Generation::V8);
    let resource = world.waldur.resource(world.offering).name("u-1").slug("u-1").backend_id("u-1").paused(true);
    resource.create();
    world.user("u-1", "waldur-00000000000000000000000000000001-u-1@invalid", 5);
    pass(&world.agent(on_request())).await;
    assert!(!world.gate.fake.user("u-1").unwrap().suspended && world.gateway_writes().is_empty());
}

#[test]
fn croit_cannot_suspend_and_says_so_at_the_start() {
    let tree = json!({
        "flavour": "croit", "api_url": "https://croit.example.org", "token": "t", "suspend_on_pause": true,
    });
    let (settings, _) = BackendSettings::from_value("backend_settings", &tree).unwrap();
    let error = settings.read(S3Settings::read).unwrap_err();
    let paths: Vec<_> = problems(&error).iter().map(|problem| problem.path().to_owned()).collect();
    assert_eq!(paths, ["backend_settings.suspend_on_pause"]);
}
