//! What is published stays what it is (s3.md §4, §9).

use std::sync::Arc;

use serde_json::{Value, json};
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    backend::{OpContext, ResourceBackend, layers},
    client::{AgentMode, WaldurClient},
    process::{KeyProcessor, MembershipReport, RotationOutcome, ServedOffering},
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
    let offering = ServedOffering::new(client(world), backend(world), world.offering);
    let orders = offering.with_components(world.components()).orders();
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
        // Another process, which remembers nothing. While the customer has no API keys, the pair is all there is.
        let agent = world.agent(json!({ "credentials_mode": "api_keys" }));
        let report = pass(&agent).await;
        assert_eq!((warned(&report), metadata(&world, resource)), (vec!["metadata"], before.clone()), "{on:?}");
        provision(&world, "api_keys").await;
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
            for client_id in ["one", "two"] {
                world.waldur.api_key(*resource, client_id).create();
            }
        }
        clean_pass(&world.agent(json!({ "credentials_mode": "api_keys" }))).await;
        for resource in &resources {
            let metadata = metadata(&world, *resource);
            assert!(metadata.get("s3_credentials").is_none() && metadata["theirs"] == 1, "{on:?}");
        }
    }
}

/// Gives keys to resources without any.
async fn provision(world: &World, mode: &str) {
    let backend = world.gate.backend(json!({ "credentials_mode": mode }), &world.components());
    let keys = KeyProcessor::new(client(world), Arc::new(backend), world.offering);
    keys.provision_missing(&OpContext::new("keys")).await.unwrap();
}

/// How many keys the customer of a user can get in with: what is published, and what Waldur hands over.
fn ways_in(world: &World, resource: ResourceUuid, uid: &str) -> usize {
    let live: Vec<_> = world.gate.fake.user(uid).unwrap().keys.into_iter().map(|key| key.access_key).collect();
    let handed_over = world.waldur.api_keys(resource).into_iter().filter(|(key, _)| live.contains(key)).count();
    handed_over + usize::from(published_key_works(&world.gate.fake, &metadata(world, resource)) == Some(true))
}

#[tokio::test(start_paused = true)]
async fn s21_nobody_is_locked_out_by_a_change_of_the_mode() {
    for on in BOTH {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let stamped = world.resource("u-1", 7);
        let unstamped = world.waldur.resource(world.offering).name("waldur_u").slug("u").backend_id("waldur_u");
        let unstamped = unstamped.options(json!({ "storage_limit": 7, "object_limit": 7 })).create();
        world.user("waldur_u", "", 7);
        clean_pass(&world.agent(json!({}))).await;
        let agent = world.agent(json!({ "credentials_mode": "api_keys" }));
        for turn in 0..3 {
            pass(&agent).await;
            assert!(ways_in(&world, stamped, "u-1") > 0 && ways_in(&world, unstamped, "waldur_u") > 0, "{on:?} {turn}");
            provision(&world, "api_keys").await;
        }
        // Who has API keys has nothing published any more; whose user cannot have any keeps what there is, and it is told.
        assert!(metadata(&world, stamped).get("s3_credentials").is_none());
        assert_eq!((ways_in(&world, stamped, "u-1"), ways_in(&world, unstamped, "waldur_u")), (2, 1), "{on:?}");
        let report = pass(&agent).await;
        let of_unstamped = report.resources.iter().find(|report| report.resource == unstamped).unwrap();
        assert_eq!(of_unstamped.warnings.len(), 1, "{on:?}: {report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn s21_a_customers_own_key_is_never_published() {
    // A user of ceph_s3 1.0.7: two keys, both of which Waldur lists, and no setting that says so.
    for (on, mode) in BOTH.into_iter().flat_map(|on| [None, Some("both")].map(|mode| (on, mode))) {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resource = world.waldur.resource(world.offering).name("u-1").slug("u-1").backend_id("u-1").create();
        let user = SeedUser::new("u-1").email(&format!("waldur-{}-u-1@invalid", resource.hex()));
        world.gate.fake.add_user(user.key("ONE", "secret-of-one").key("TWO", "secret-of-two")).unwrap();
        for client_id in ["ONE", "TWO"] {
            world.waldur.api_key(resource, client_id).create();
        }
        let agent = world.agent(mode.map_or(json!({}), |mode| json!({ "credentials_mode": mode })));
        let report = pass(&agent).await;
        assert_eq!(warned(&report).len(), 1, "{report:#?}");
        assert!(
            metadata(&world, resource)["s3_user"] == "u-1"
                && metadata(&world, resource).get("s3_credentials").is_none()
        );
        clean_pass(&agent).await;
        let published = metadata(&world, resource);
        assert!(!published.to_string().contains("secret-of-"), "{published}");
        // One was made for that.
        assert_eq!(published_key_works(&world.gate.fake, &published), Some(true), "{on:?} {mode:?}");
        assert_eq!(ways_in(&world, resource, "u-1"), 3, "{on:?} {mode:?}");
        clean_pass(&agent).await;
        assert_eq!(world.gate.fake.user("u-1").unwrap().keys.len(), 3, "one, and no more");
        // Keys that are listed again are pruned as ever, and none of these is.
        provision(&world, "both").await;
        assert_eq!(ways_in(&world, resource, "u-1"), 3, "{on:?} {mode:?}");
    }
}

/// Published, and taken away by the operator since.
const LEAKED: &str = "LEAKED";

#[tokio::test(start_paused = true)]
async fn s21_a_published_key_that_is_gone_leaves_waldur_though_others_are_there() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| ["metadata", "both"].map(|mode| (on, mode))) {
        for others in [&["ONE", "TWO"][..], &["ONE"]] {
            let world = World::on(on, Generation::V8, AccountingType::Usage);
            let resource = world.waldur.resource(world.offering).name("u-1").slug("u-1").backend_id("u-1").create();
            let user = SeedUser::new("u-1").email(&format!("waldur-{}-u-1@invalid", resource.hex()));
            let user = others.iter().fold(user, |user, key| user.key(key, format!("secret-of-{key}")));
            world.gate.fake.add_user(user).unwrap();
            for client_id in others {
                world.waldur.api_key(resource, *client_id).create();
            }
            let shown = json!({ "s3_credentials": { "access_key": LEAKED, "secret_key": "s" } });
            world.waldur.change_resource(resource, |row| row.backend_metadata(shown));
            // A process that did not publish it.
            let agent = world.agent(json!({ "credentials_mode": mode }));
            pass(&agent).await;
            let published = metadata(&world, resource);
            assert!(published.get("s3_credentials").is_none(), "{on:?} {mode} {others:?}: {published}");
            pass(&agent).await;
            let works = published_key_works(&world.gate.fake, &metadata(&world, resource));
            // A single one may be any customer's.
            assert_eq!(works, (others.len() == 2).then_some(true), "{on:?} {mode} {others:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_made_holds_nothing_up() {
    for on in BOTH {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resource = world.resource("u-1", 7);
        let agent = world.agent(json!({}));
        clean_pass(&agent).await;
        take_keys(&world, "u-1").await;
        let put = if on == On::Croit { "PUT /api/s3/users/u-1/keys" } else { "PUT /admin/user?key" };
        world.gate.fail(put, 99, Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned()));
        for by_hand in [100, 1] {
            world.set_quota("u-1", by_hand);
            let report = pass(&agent).await;
            assert!(!report.is_clean(), "{on:?}");
            assert_eq!(world.quota("u-1"), (7, 7), "{on:?} {by_hand}");
            // It takes two looks to believe that there is no key.
            minutes(5).await;
        }
        world.gate.mend();
        pass(&agent).await;
        clean_pass(&agent).await;
        assert_eq!(published_key_works(&world.gate.fake, &metadata(&world, resource)), Some(true), "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_users_those_whose_keys_cannot_be_made_take_nobodys_turn() {
    let world = World::on(On::Croit, Generation::V8, AccountingType::Usage);
    let resources = world.resources(31);
    for number in 0..31 {
        take_keys(&world, &format!("u-{number}")).await;
    }
    world.gate.fail("PUT /api/s3/users/", u32::MAX, Failure::Status(403, String::new()));
    let agent = world.agent(json!({}));
    // Each has two turns: it takes two looks to believe that there is no key.
    for _pass in 0..32 {
        pass(&agent).await;
        minutes(5).await;
    }
    let is_shown = |resource: &&ResourceUuid| metadata(&world, **resource).get("s3_user").is_some();
    assert_eq!(resources.iter().filter(is_shown).count(), 31);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_taken_away_by_hand_is_replaced_by_another() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| ["metadata", "both"].map(|mode| (on, mode))) {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resource = world.resource("u-1", 7);
        clean_pass(&world.agent(json!({}))).await;
        let uid = waldur_backend_croit::radosgw::Uid::new("u-1").unwrap();
        let leaked = waldur_backend_croit::radosgw::AccessKeyId::new("KEYUX1").unwrap();
        let operator = crate::common::client(world.gate.fake.clone());
        operator.keys().delete(&uid, &leaked).await.unwrap();
        // Another process than the one that published it.
        let agent = world.agent(json!({ "credentials_mode": mode }));
        assert_eq!(warned(&pass(&agent).await), ["inspect"], "{on:?} {mode}");
        minutes(5).await;
        pass(&agent).await;
        clean_pass(&agent).await;
        assert_eq!(published_key_works(&world.gate.fake, &metadata(&world, resource)), Some(true), "{on:?} {mode}");
        clean_pass(&agent).await;
        assert_eq!(world.gate.fake.user("u-1").unwrap().keys.len(), 1);
    }
}

async fn minutes(minutes: u64) {
    environment().sleep(std::time::Duration::from_mins(minutes)).await;
}

/// Takes all keys of a user away by hand.
async fn take_keys(world: &World, uid: &str) {
    let operator = crate::common::client(world.gate.fake.clone());
    let user = waldur_backend_croit::radosgw::Uid::new(uid).unwrap();
    for key in world.gate.fake.user(uid).unwrap().keys {
        let key = waldur_backend_croit::radosgw::AccessKeyId::new(key.access_key).unwrap();
        operator.keys().delete(&user, &key).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_users_a_key_that_could_not_be_made_is_made_in_the_next_pass_and_published_in_the_one_after() {
    for on in BOTH {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let resources = world.resources(20);
        // Whoever has its turn in the first pass shows by what is published of it.
        let agent = world.agent(json!({}));
        pass(&agent).await;
        let is_shown = |resource: &&ResourceUuid| metadata(&world, **resource).get("s3_credentials").is_some();
        assert_eq!(resources.iter().filter(is_shown).count(), 1, "{on:?}");
        let number = resources.iter().position(|resource| is_shown(&resource)).unwrap();
        let (resource, uid) = (resources[number], format!("u-{number}"));
        take_keys(&world, &uid).await;
        let agent = world.agent(json!({}));
        pass(&agent).await;
        minutes(5).await;
        let put =
            if on == On::Croit { format!("PUT /api/s3/users/{uid}/keys") } else { "PUT /admin/user?key".to_owned() };
        world.gate.fail(&put, 1, Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned()));
        pass(&agent).await;
        assert_eq!(world.gate.fake.user(&uid).unwrap().keys.len(), 0, "{on:?}: it could not be made");
        minutes(5).await;
        pass(&agent).await;
        assert_eq!(world.gate.fake.user(&uid).unwrap().keys.len(), 1, "{on:?}: it was tried again");
        assert!(metadata(&world, resource).get("s3_credentials").is_none(), "{on:?}: two passes have found none");
        minutes(5).await;
        pass(&agent).await;
        assert_eq!(published_key_works(&world.gate.fake, &metadata(&world, resource)), Some(true), "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_croit_does_not_show_for_a_moment_stay_published() {
    for mode in ["metadata", "both"] {
        let world = World::on(On::Croit, Generation::V8, AccountingType::Usage);
        let resource = world.resource("u-1", 7);
        let agent = world.agent(json!({ "credentials_mode": mode }));
        clean_pass(&agent).await;
        let before = metadata(&world, resource);
        // However often it is asked meanwhile.
        world.gate.fail("GET /api/s3/users/u-1/keys", u32::MAX, Failure::Status(200, "[]".to_owned()));
        for _pass in 0..2 {
            assert_eq!(warned(&pass(&agent).await), ["inspect"], "{mode}");
            assert_eq!(metadata(&world, resource), before, "{mode}");
        }
        world.gate.mend();
        minutes(5).await;
        clean_pass(&agent).await;
        assert_eq!(metadata(&world, resource), before, "{mode}");
        assert_eq!(world.gate.fake.user("u-1").unwrap().keys.len(), 1, "{mode}: none is made that nobody has");
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
