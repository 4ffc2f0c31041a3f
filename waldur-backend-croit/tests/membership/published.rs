//! What is published stays what it is (s3.md §4, §9).

use std::sync::Arc;

use serde_json::{Value, json};
use waldur_sdk::{
    backend::{OpContext, ResourceBackend, layers},
    client::{AgentMode, WaldurClient},
    process::{KeyProcessor, MembershipReport, OrderProcessor, RotationOutcome},
    rest::Http,
    settings::AccountingType,
    testing::waldur::{ApiKeyState, Generation},
    types::ResourceUuid,
};

use crate::{
    common::{Failure, On, environment, published_key_works},
    world::{World, clean_pass, pass},
};

const BOTH: [On; 2] = [On::RadosGw, On::Croit];

/// The key of the order: it comes after all others.
const FIRST: &str = "ZZZZZZZZZZZZZZZZZZZZ";

fn metadata(world: &World, resource: ResourceUuid) -> Value {
    serde_json::to_value(world.waldur.resource_view(resource).backend_metadata).unwrap()
}

fn client(world: &World) -> WaldurClient {
    let http = Http::new(world.waldur.clone()).with_environment(environment());
    let client = WaldurClient::builder(world.waldur.base_url()).http(http).token(world.waldur.token());
    client.agent_mode(AgentMode::OrderProcess).build().unwrap()
}

fn both() -> Value {
    json!({ "credentials_mode": "both", "naming": "processor" })
}

fn backend(world: &World) -> Arc<dyn ResourceBackend> {
    // As an agent has it: with something around it.
    Arc::new(layers::limit(world.gate.backend(both(), &world.components()), 8))
}

/// A resource that was ordered.
async fn ordered(world: &World) -> ResourceUuid {
    world.gate.fake.mint_next(FIRST, "first-secret");
    let order = world.waldur.order(world.offering).create_resource("Res");
    let order = order.resource(|resource| resource.slug("res")).pending();
    let orders = OrderProcessor::new(client(world), backend(world), world.offering);
    let orders = orders.with_components(world.components());
    for _cycle in 0..3 {
        orders.run_once(&OpContext::new("orders")).await.unwrap();
    }
    world.waldur.resource_of(order)
}

#[tokio::test(start_paused = true)]
async fn the_key_that_is_published_stays_so_while_others_come_and_go() {
    for on in BOTH {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resource = ordered(&world).await;
        let holds = |when: &str| {
            let metadata = metadata(&world, resource);
            assert_eq!(metadata["s3_credentials"]["access_key"], FIRST, "{on:?} {when}");
            assert_eq!(published_key_works(&world.gate.fake, &metadata), Some(true), "{on:?} {when}");
            let keys = world.gate.fake.user("waldur-res").unwrap().keys;
            assert_eq!(keys.len(), 1 + world.waldur.api_keys(resource).len(), "{on:?} {when}: {keys:?}");
        };
        holds("ordered");
        for _process in 0..2 {
            let agent = world.agent(both());
            for _pass in 0..2 {
                clean_pass(&agent).await;
                holds("passed");
            }
        }
        let key = world.waldur.api_key(resource, "gone").state(ApiKeyState::Updating).create();
        let keys = KeyProcessor::new(client(&world), backend(&world), world.offering);
        let rotation = keys.rotate(&OpContext::new("rotate"), key, resource, Some("gone")).await;
        assert!(matches!(rotation.outcome, RotationOutcome::Rotated), "{rotation:?}");
        holds("rotated");
        clean_pass(&world.agent(both())).await;
        holds("passed again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_there_no_more_is_replaced_by_one_that_is() {
    let world = World::new(Generation::V8);
    let resource = world.resource("u-1", 7);
    world.waldur.change_resource(resource, |row| {
        row.backend_metadata(json!({ "s3_credentials": { "access_key": "GONE", "secret_key": "s" } }))
    });
    clean_pass(&world.agent(json!({}))).await;
    assert_eq!(metadata(&world, resource)["s3_credentials"]["access_key"], "KEYUX1");
}

#[tokio::test(start_paused = true)]
async fn s21_a_published_secret_goes_with_the_change_of_the_mode_whoever_published_it() {
    for on in BOTH {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resource = world.resource("u-1", 7);
        world.waldur.change_resource(resource, |row| row.backend_metadata(json!({ "theirs": 1 })));
        clean_pass(&world.agent(json!({}))).await;
        let before = metadata(&world, resource);
        assert_eq!(published_key_works(&world.gate.fake, &before), Some(true));
        // Another process, which remembers nothing.
        let agent = world.agent(json!({ "credentials_mode": "api_keys" }));
        clean_pass(&agent).await;
        let after = metadata(&world, resource);
        let mut wanted = before;
        wanted.as_object_mut().unwrap().remove("s3_credentials");
        assert_eq!(after, wanted, "{on:?}");
        assert!(after["theirs"] == 1 && !after.to_string().contains("secret-of-u-1"));
        world.waldur.forget_requests();
        clean_pass(&agent).await;
        assert!(world.waldur.writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn s21_of_many_resources_published_secrets_go_at_once() {
    for on in BOTH {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let secret = json!({ "s3_credentials": { "access_key": "K", "secret_key": "s" }, "theirs": 1 });
        let resources: Vec<_> = (0..40).map(|number| world.resource(&format!("u-{number}"), 7)).collect();
        for resource in &resources {
            world.waldur.change_resource(*resource, |row| row.backend_metadata(secret.clone()));
        }
        clean_pass(&world.agent(json!({ "credentials_mode": "api_keys" }))).await;
        for resource in &resources {
            let metadata = metadata(&world, *resource);
            assert!(metadata.get("s3_credentials").is_none() && metadata["theirs"] == 1, "{on:?}");
        }
    }
}

fn warned(report: &MembershipReport) -> Vec<&'static str> {
    report.resources[0].warnings.iter().map(|warning| warning.step).collect()
}

#[tokio::test(start_paused = true)]
async fn s22_a_summary_that_cannot_be_read_pushes_nothing_and_holds_nothing_up() {
    for (on, accounting) in
        BOTH.into_iter().flat_map(|on| [AccountingType::Usage, AccountingType::Limit].map(|kind| (on, kind)))
    {
        let world = World::on(on, Generation::V8, accounting);
        let resource = world.resource("u-1", 7);
        world.gate.fake.create_bucket("u-1", "photos").unwrap();
        world.gate.fake.put_object("u-1", "photos", "cat", 100).unwrap();
        let settings = if on == On::RadosGw { json!({ "suspend_on_pause": true }) } else { json!({}) };
        let who_published = world.agent(settings.clone());
        clean_pass(&who_published).await;
        let before = metadata(&world, resource);
        assert_eq!(before["storage_summary"]["total_size_bytes"], 100);
        let (croit, what) = (on == On::Croit, ["GET /admin/bucket", "/users/u-1/buckets"]);
        world.gate.fail(what[usize::from(croit)], 99, Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned()));
        // Nothing else to tell: nothing is written.
        world.waldur.forget_requests();
        let agent = world.agent(settings);
        for agent in [&who_published, &agent] {
            assert_eq!(warned(&pass(agent).await), ["inspect"], "{on:?}");
            assert!(world.waldur.writes().is_empty() && metadata(&world, resource) == before);
        }
        // Everything else goes on.
        world.set_quota("u-1", 100);
        pass(&agent).await;
        assert_eq!(world.quota("u-1"), (7, 7), "{on:?} {accounting:?}");
        world.waldur.change_resource(resource, |row| row.paused(true));
        pass(&agent).await;
        assert_eq!(world.gate.fake.user("u-1").unwrap().suspended, !croit);
        pass(&agent).await;
        assert_eq!(metadata(&world, resource), before);
        world.gate.mend();
        clean_pass(&agent).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_read_push_nothing_and_hold_nothing_up() {
    let world = World::on(On::Croit, Generation::V8, AccountingType::Limit);
    let resource = world.resource("u-1", 7);
    clean_pass(&world.agent(json!({}))).await;
    let before = metadata(&world, resource);
    world.gate.fail("/users/u-1/keys", 99, Failure::Status(403, String::new()));
    world.set_quota("u-1", 100);
    let report = pass(&world.agent(json!({}))).await;
    assert_eq!(warned(&report), ["inspect"]);
    assert_eq!((world.quota("u-1"), metadata(&world, resource)), ((7, 7), before));
}
