//! Pausing as suspension (s3.md §8).

use serde_json::{Value, json};
use waldur_backend_croit::settings::S3Settings;
use waldur_sdk::{
    backend::{CreateRequest, MarketplaceResource, ResourceBackend as _, Status},
    process::{Change, MembershipReport},
    settings::{BackendSettings, problems},
    testing::waldur::Generation,
    types::{BackendId, OrderUuid, ResourceUuid, Uuid},
};

use crate::{
    common::cx,
    world::{World, clean_pass, pass},
};

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

/// The mark that a user of this resource has while Waldur suspends it.
fn mark(resource: ResourceUuid) -> String {
    format!(" (paused by Waldur, {})", resource.hex())
}

fn name(world: &World) -> String {
    world.gate.fake.user("u-1").unwrap().display_name
}

#[tokio::test(start_paused = true)]
async fn what_a_customer_calls_a_resource_lifts_no_suspension() {
    let (world, resource) = stored();
    let backend = world.gate.backend(on_request(), &world.components());
    for name in ["x (paused by Waldur)", "x (paused by Waldur, 00000000000000000000000000000001)"] {
        world
            .gate
            .fake
            .edit_user("u-1", |edit| (*edit.suspended, *edit.display_name) = (true, name.to_owned()))
            .unwrap();
        for _twice in 0..2 {
            pass(&world.agent(on_request())).await;
            assert!(!can_read(&world), "{name}");
        }
    }
    // Nor does any user begin with the mark, whatever its resource is called.
    let mut made = MarketplaceResource::new(resource, world.offering, "x", "u-9");
    for (called, name) in [
        (format!("Data{0}{0}", mark(resource)), "Data"),
        (format!("Data{}\n", mark(resource)), "Data"),
        (mark(resource), "(paused by Waldur, "),
        ("Data (paused by Waldur)".to_owned(), "Data (paused by Waldur)"),
    ] {
        made.name = called;
        let id = BackendId::new("u-9").unwrap();
        drop(backend.create(&cx(), &CreateRequest::new(OrderUuid::new(Uuid::nil()), made.clone(), id)).await.unwrap());
        let user = world.gate.fake.user("u-9").unwrap().display_name;
        assert!(user.starts_with(name) && !user.ends_with(&mark(resource)), "{user}");
        world.gate.fake.remove_user("u-9");
    }
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_somebody_made_void_lifts_no_later_suspension() {
    let (world, resource) = stored();
    let (agent, before) = (world.agent(on_request()), name(&world));
    world.waldur.change_resource(resource, |resource| resource.paused(true));
    clean_pass(&agent).await;
    assert!(name(&world).ends_with(&mark(resource)));
    // The pause ends, and somebody enables the user before the next pass.
    world.waldur.change_resource(resource, |resource| resource.paused(false));
    world.gate.fake.edit_user("u-1", |edit| *edit.suspended = false).unwrap();
    world.gateway_writes();
    clean_pass(&agent).await;
    assert_eq!((name(&world), world.gateway_writes().len()), (before, 1));
    clean_pass(&agent).await;
    assert!(world.gateway_writes().is_empty());
    // Months later.
    world.gate.fake.edit_user("u-1", |edit| *edit.suspended = true).unwrap();
    for _twice in 0..2 {
        pass(&agent).await;
        assert!(!can_read(&world));
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspension_of_ours_ends_where_pauses_are_not_to_suspend_any_more() {
    for paused in [true, false] {
        let (world, resource) = stored();
        let before = name(&world);
        world.waldur.change_resource(resource, |resource| resource.paused(true));
        clean_pass(&world.agent(on_request())).await;
        assert!(!can_read(&world));
        world.waldur.change_resource(resource, |resource| resource.paused(paused));
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        assert!(can_read(&world) && name(&world) == before);
        world.gateway_writes();
        clean_pass(&agent).await;
        assert!(world.gateway_writes().is_empty());
        // But not the operator's.
        world.gate.fake.edit_user("u-1", |edit| *edit.suspended = true).unwrap();
        clean_pass(&agent).await;
        assert!(!can_read(&world));
    }
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
