//! Which calls are made, in which order, and for whom none.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_croit::{
    radosgw::{AccessKeyId, Uid},
    testing::SeedUser,
};
use waldur_sdk::{
    ErrorKind, Result,
    backend::{OpContext, ResourceBackend as _},
    process::RotationOutcome,
    rest::{Complete, HttpTransport, TransportError},
    testing::{Faults, complete, op, status, waldur::ApiKeyState},
};

use crate::{
    common::{ACCESS_KEY, Failure, Gate, On, SECRET_KEY, count, cx, id, resource, usage_components},
    world::{BOTH, UID, World},
};

fn names(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn known(keys: &[&str]) -> Complete<String> {
    complete(keys.iter().map(|key| (*key).to_owned()).collect())
}

#[tokio::test(start_paused = true)]
async fn s27_the_new_key_is_there_before_the_old_one_goes_and_the_sibling_stays() {
    for on in BOTH {
        let (world, resource) = World::with_keys(on, &["one", "three", "two"], &["one", "two"]);
        let key = world.waldur.api_key(resource, "three").state(ApiKeyState::Updating).create();
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let rotation = keys.rotate(&OpContext::new("rotate"), key, resource, Some("three")).await;
        assert!(matches!(rotation.outcome, RotationOutcome::Rotated), "{rotation:?}");
        let log = world.gate.take_log();
        let place = |method: &str| log.iter().position(|line| line.starts_with(method)).unwrap();
        assert!(place("PUT ") < place("DELETE "), "{log:#?}");
        assert_eq!(count(&log, "DELETE"), 1);
        assert!(world.live().is_superset(&names(&["one", "two"])) && !world.live().contains("three"));
        assert_eq!(world.live(), world.reported(resource));
        let (secret, _) = world.waldur.api_key_secret(key);
        let handed_over = |key: &String| world.fake().login(key, &secret.clone().into()).is_ok();
        assert_eq!(world.live().iter().filter(|key| handed_over(key)).count(), 1, "what was handed over works");
        // A key that is gone already is replaced all the same.
        let (world, resource) = World::with_keys(on, &["two"], &["two"]);
        let key = world.waldur.api_key(resource, "gone").state(ApiKeyState::Updating).create();
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let rotation = keys.rotate(&OpContext::new("rotate"), key, resource, Some("gone")).await;
        assert!(matches!(rotation.outcome, RotationOutcome::Rotated), "{rotation:?}");
        // croit is asked, and says that it has no such key; the gateway showed its keys before.
        assert_eq!(count(&world.gate.take_log(), "DELETE"), usize::from(on == On::Croit));
        world.assert_two_known(resource);
    }
}

#[tokio::test(start_paused = true)]
async fn s28_what_waldur_knows_is_unknown_so_nothing_is_pruned() {
    for on in BOTH {
        let (world, resource) = World::with_keys(on, &["one", "stray"], &["one"]);
        let broken = Faults::new(world.waldur.clone()).on(op("api_keys.list"), status(500));
        let report = world.keys(broken, world.gate.clone()).provision(&OpContext::new("keys"), resource).await.unwrap();
        assert!(report.needs_review && report.pruned == 0, "{report:?}");
        assert!(world.live().is_superset(&names(&["one", "stray"])));
        // Once the list can be had, what is not on it goes.
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let report = keys.provision(&OpContext::new("keys"), resource).await.unwrap();
        assert!(report.pruned == 1 && !world.live().contains("stray"), "{report:?}");
        assert_eq!(world.live(), world.reported(resource));
    }
}

#[tokio::test(start_paused = true)]
async fn s29_the_second_key_fails_and_the_first_one_is_handed_over() {
    for on in BOTH {
        let (world, resource) = World::with_keys(on, &[], &[]);
        let refused = Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned());
        world.gate.fail_after(1, "PUT ", 9, refused);
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let report = keys.provision(&OpContext::new("keys"), resource).await.unwrap();
        assert!(report.reported.len() == 1 && report.needs_review, "{report:?}");
        assert_eq!((world.live(), world.live().len()), (world.reported(resource), 1));
        world.gate.mend();
        keys.provision(&OpContext::new("keys"), resource).await.unwrap();
        world.assert_two_known(resource);
    }
}

#[tokio::test(start_paused = true)]
async fn s21_an_order_hands_keys_over_and_publishes_none() {
    for on in BOTH {
        let world = World::new(on);
        let order = world.waldur.order(world.offering).create_resource("Res").resource(|resource| resource.slug("res"));
        let order = order.pending();
        let report = world.orders(world.waldur.clone(), world.gate.clone()).run_once(&OpContext::new("orders")).await;
        assert!(report.unwrap().is_clean());
        let resource = world.waldur.resource_of(order);
        assert_eq!((world.live_of("waldur-res"), world.live_of("waldur-res").len()), (world.reported(resource), 2));
        let published = json!(world.waldur.resource_view(resource).backend_metadata).to_string();
        assert!(published.contains("s3_endpoint") && !published.contains("s3_credentials"), "{published}");
        world.assert_sound();
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_offered_where_the_settings_say_so() {
    for (mode, offered) in [("metadata", false), ("api_keys", true), ("both", true)] {
        let backend = World::new(On::RadosGw).backend(mode, Gate::new());
        assert_eq!(backend.keys().is_some(), offered, "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_a_user_without_the_resources_stamp_are_not_touched() {
    for on in BOTH {
        let stamps = [
            ("", "no stamp, whatever its name"),
            ("waldur-00000000000000000000000000000001-waldur_org_proj_12345678@invalid", "another's"),
            ("somebody@example.org", "a person's"),
        ];
        for (email, what) in stamps {
            let gate = Gate::on(on);
            let user = SeedUser::new(crate::common::UID).key("old", "secret-of-old");
            let user = if email.is_empty() { user } else { user.email(email) };
            gate.fake.add_user(user).unwrap();
            let backend = gate.backend(json!({ "credentials_mode": "api_keys" }), &usage_components());
            let (keys, side) = (backend.keys().unwrap(), resource(json!({})));
            let errors = [
                keys.mint(&cx(), &side, &id()).await.unwrap_err(),
                keys.rotate(&cx(), &side, &id(), "old").await.unwrap_err(),
                keys.prune(&cx(), &side, &id(), &known(&[])).await.unwrap_err(),
                keys.revoke(&cx(), &side, &id(), "old").await.unwrap_err(),
            ];
            assert!(errors.iter().all(|error| error.kind() == ErrorKind::Foreign), "{what}: {errors:?}");
            let log = gate.take_log();
            assert!(log.iter().all(|line| line.starts_with("GET")), "{what}: {log:#?}");
            assert_eq!(gate.fake.user(crate::common::UID).unwrap().keys.len(), 1, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s26_a_key_or_user_that_no_path_may_hold_is_refused_before_any_call() {
    for on in BOTH {
        let (world, resource) = World::with_keys(on, &["one"], &["one"]);
        let backend = world.backend("api_keys", world.gate.clone());
        let keys = backend.keys().unwrap();
        let side = waldur_sdk::backend::MarketplaceResource::new(resource, world.offering, "res", "res");
        let uid = waldur_sdk::types::BackendId::new(UID).unwrap();
        for bad in ["..", "", "a/b", "a?b", "a$b", &"x".repeat(256)] {
            assert_eq!(keys.revoke(&cx(), &side, &uid, bad).await.unwrap_err().kind(), ErrorKind::Config, "{bad}");
            assert_eq!(keys.rotate(&cx(), &side, &uid, bad).await.unwrap_err().kind(), ErrorKind::Config, "{bad}");
        }
        let dots = waldur_sdk::types::BackendId::new("../v2").unwrap();
        assert_eq!(keys.mint(&cx(), &side, &dots).await.unwrap_err().kind(), ErrorKind::Config);
        assert!(world.gate.take_log().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_in_the_metadata_is_known_to_customers_and_not_pruned() {
    for on in BOTH {
        let gate = Gate::on(on);
        let user = SeedUser::new(crate::common::UID).email(crate::common::STAMP);
        let user = user.key("one", "secret-of-one").key("published", "secret-of-published").key("stray", "s");
        gate.fake.add_user(user).unwrap();
        let prune = async |mode: &str, published: &str| {
            let backend = gate.backend(json!({ "credentials_mode": mode }), &usage_components());
            let mut side = resource(json!({}));
            let credentials = json!({ "s3_credentials": { "access_key": published } });
            side.metadata = credentials.as_object().unwrap().clone().into();
            backend.keys().unwrap().prune(&cx(), &side, &id(), &known(&["one"])).await
        };
        let error = prune("both", "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotReady, "any of them may be the one that is about to be published");
        assert_eq!(gate.fake.user(crate::common::UID).unwrap().keys.len(), 3);
        assert_eq!(prune("both", "published").await.unwrap(), 1);
        assert_eq!(gate.fake.user(crate::common::UID).unwrap().keys.len(), 2);
        assert_eq!(prune("api_keys", "published").await.unwrap(), 1, "where none is published, it is like any other");
    }
}

#[tokio::test(start_paused = true)]
async fn one_key_that_stays_leaves_none_of_the_others() {
    for on in BOTH {
        let (world, resource) = World::with_keys(on, &["one", "stray-1", "stray-2", "stray-3", "two"], &["one", "two"]);
        let refused = Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned());
        let delete = if on == On::Croit { "keys/stray-2" } else { "access-key=stray-2" };
        world.gate.fail(delete, 1, refused);
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let report = keys.provision(&OpContext::new("keys"), resource).await.unwrap();
        assert!(report.needs_review, "{report:?}");
        assert_eq!(world.live(), names(&["one", "two", "stray-2"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_acknowledged_and_lost_is_made_again() {
    let (world, resource) = World::with_keys(On::RadosGw, &["one", "three", "two"], &["one", "two"]);
    let key = world.waldur.api_key(resource, "three").state(ApiKeyState::Updating).create();
    world.fake().lose_writes("key.create", 1);
    world.fake().lose_writes("key.delete", 1);
    let keys = world.keys(world.waldur.clone(), world.gate.clone());
    let rotation = keys.rotate(&OpContext::new("rotate"), key, resource, Some("three")).await;
    assert!(matches!(rotation.outcome, RotationOutcome::Rotated), "{rotation:?}");
    assert_eq!((world.live(), world.live().len()), (world.reported(resource), 3));
    assert!(!world.live().contains("three"));
}

#[tokio::test(start_paused = true)]
async fn sec12_a_key_whose_answer_was_lost_is_taken_back_by_its_name() {
    let (world, resource) = World::with_keys(On::RadosGw, &[], &[]);
    world.gate.lose_answer("PUT /admin/user?key=", 99, Failure::Status(200, "[]".to_owned()));
    let keys = world.keys(world.waldur.clone(), world.gate.clone());
    let report = keys.provision(&OpContext::new("keys"), resource).await.unwrap();
    assert!(report.reported.is_empty(), "{report:?}");
    assert!(world.live().is_empty(), "{:?}", world.live());
}

#[tokio::test(start_paused = true)]
async fn sec12_no_secret_is_in_debug_or_errors() {
    let (world, resource) = World::with_keys(On::RadosGw, &["one", "two"], &["one", "two"]);
    let backend = world.backend("api_keys", world.gate.clone());
    let side = waldur_sdk::backend::MarketplaceResource::new(resource, world.offering, "res", "res");
    let uid = waldur_sdk::types::BackendId::new(UID).unwrap();
    let issued = backend.keys().unwrap().mint(&cx(), &side, &uid).await.unwrap();
    assert!(world.fake().login(&issued.client_id, &issued.secret).is_ok());
    let mut shown = format!("{issued:?} {backend:?}");
    let echo = format!(r#"{{"Code":"UnknownError","Message":"{}"}}"#, issued.secret.expose_secret());
    world.gate.lose_answer("PUT /admin/user?key=", 1, Failure::Status(200, echo));
    let error = backend.keys().unwrap().mint(&cx(), &side, &uid).await.unwrap_err();
    shown.extend([format!("{error:?}"), error.to_string()].into_iter().chain(error.chain()));
    for secret in [issued.secret.expose_secret(), SECRET_KEY, "secret-of-one"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!world.gate.take_log().iter().any(|line| line.contains("secret-key=") || line.contains(ACCESS_KEY)));
}

#[tokio::test(start_paused = true)]
async fn s27_a_removal_whose_answers_are_all_lost_leaves_the_new_key() {
    for on in BOTH {
        let (world, resource) = World::with_keys(on, &["one", "two"], &["two"]);
        let key = world.waldur.api_key(resource, "one").state(ApiKeyState::Updating).create();
        world.gate.lose_answer("DELETE", 99, Failure::Status(504, String::new()));
        let keys = world.keys(world.waldur.clone(), world.gate.clone());
        let rotation = keys.rotate(&OpContext::new("rotate"), key, resource, Some("one")).await;
        assert!(matches!(rotation.outcome, RotationOutcome::Rotated), "{on:?}: {rotation:?}");
        assert!(!world.live().contains("one"), "{on:?}");
        world.assert_two_known(resource);
    }
}

#[tokio::test(start_paused = true)]
async fn s27_where_nothing_can_be_read_neither_key_is_taken() {
    for (on, reads_before) in [(On::RadosGw, 3), (On::Croit, 2)] {
        let (world, resource) = World::with_keys(on, &["one", "two"], &["one", "two"]);
        let side = waldur_sdk::backend::MarketplaceResource::new(resource, world.offering, "res", "res");
        let uid = waldur_sdk::types::BackendId::new(UID).unwrap();
        let backend = world.backend("api_keys", world.gate.clone());
        let keys = backend.keys().unwrap();
        world.gate.lose_answer("DELETE", 99, Failure::Status(504, String::new()));
        world.gate.fail_after(reads_before, "GET", 99, crate::common::server_error());
        keys.rotate(&cx(), &side, &uid, "one").await.unwrap_err();
        let live = world.live();
        assert!(live.len() == 2 && !live.contains("one"), "{on:?}: the new one is left for pruning: {live:?}");
        // One that does hold sends the new one away.
        world.gate.mend();
        let (world, resource) = World::with_keys(on, &["one", "two"], &["one", "two"]);
        let side = waldur_sdk::backend::MarketplaceResource::new(resource, world.offering, "res", "res");
        let backend = world.backend("api_keys", world.gate.clone());
        world.gate.fail("DELETE", 4, crate::common::server_error());
        backend.keys().unwrap().rotate(&cx(), &side, &uid, "one").await.unwrap_err();
        assert_eq!(world.live(), names(&["one", "two"]), "{on:?}");
    }
}

/// A Waldur where another process provisions the resource between the list of keys and whatever the asker does next.
#[derive(Clone)]
struct Meanwhile {
    inner: waldur_sdk::testing::waldur::FakeWaldur,
    other: waldur_sdk::process::KeyProcessor,
    resource: waldur_sdk::types::ResourceUuid,
    done: Arc<AtomicBool>,
}

#[async_trait]
impl HttpTransport for Meanwhile {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_list = request.method() == http::Method::GET && request.uri().path().contains("resource-api-keys");
        let answer = self.inner.send(request).await;
        if is_list && !self.done.swap(true, Ordering::Relaxed) {
            self.other.provision(&OpContext::new("other"), self.resource).await.unwrap();
        }
        answer
    }
}

#[tokio::test(start_paused = true)]
async fn s27_a_key_that_another_process_reports_meanwhile_is_not_pruned() {
    for on in BOTH {
        for rotates in [false, true] {
            let (world, resource) = World::with_keys(on, &["one", "stray"], &["one"]);
            let other = world.keys(world.waldur.clone(), world.gate.clone());
            let (inner, done) = (world.waldur.clone(), Arc::new(AtomicBool::new(false)));
            let keys = world.keys(Meanwhile { inner, other, resource, done: done.clone() }, world.gate.clone());
            if rotates {
                let key = world.waldur.api_key(resource, "gone").state(ApiKeyState::Updating).create();
                keys.rotate(&OpContext::new("rotate"), key, resource, Some("gone")).await;
            } else {
                keys.provision(&OpContext::new("keys"), resource).await.unwrap();
            }
            assert!(done.load(Ordering::Relaxed), "the other one was there");
            let (live, reported) = (world.live(), world.reported(resource));
            assert!(reported.iter().all(|key| key == "gone" || live.contains(key)), "{on:?}: {live:?} {reported:?}");
            assert!(live.len() >= 2 && !live.contains("stray"), "{on:?}: {live:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_subusers_are_neither_published_nor_pruned() {
    for on in BOTH {
        let gate = Gate::on(on);
        let user = SeedUser::new(crate::common::UID).email(crate::common::STAMP);
        let user = user.subuser_key("app", "AAPP", "secret-of-app").key("one", "secret-of-one");
        gate.fake.add_user(user).unwrap();
        let backend = |mode: &str| gate.backend(json!({ "credentials_mode": mode }), &usage_components());
        let request = crate::common::request(json!({}));
        let created = crate::common::create(&backend("metadata"), &request).await.unwrap();
        assert_eq!(created.metadata["s3_credentials"]["access_key"], "one", "{on:?}");
        let (uid, stray) = (Uid::new(crate::common::UID).unwrap(), AccessKeyId::new("stray").unwrap());
        crate::common::client(gate.fake.clone()).keys().create(&uid, &stray).await.unwrap();
        let keys = backend("api_keys");
        let keys = keys.keys().unwrap();
        let side = resource(json!({}));
        assert_eq!(keys.prunable(&cx(), &side, &id()).await.unwrap(), Some(names(&["one", "stray"])), "{on:?}");
        assert_eq!(keys.prune(&cx(), &side, &id(), &known(&["one"])).await.unwrap(), 1, "{on:?}");
        assert_eq!(gate.fake.user(crate::common::UID).unwrap().keys.len(), 2, "{on:?}");
    }
}
