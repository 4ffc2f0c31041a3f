//! What is different on croit (s3.md §11, croit-api.md).

use crate::common::{
    Failure, GIB, Gate, STAMP, TOKEN, UID, Upon, components, count, create, cx, delete, id, limits, now,
    published_key_works, quotas, request, resource, set_limits, update_options, usage_components,
};
use serde_json::{Value, json};
use waldur_backend_croit::{
    S3Backend,
    testing::{FakeCroit, FakeRadosGw, SeedUser},
};
use waldur_sdk::{
    Error, ErrorClass, ErrorKind,
    backend::{Aspects, Inspection, Origin, Removed, ResourceBackend as _},
    rest::TransportErrorKind,
    settings::AccountingType,
    types::BackendId,
};

fn backend(gate: &Gate) -> S3Backend {
    gate.backend(json!({}), &usage_components())
}

fn with(gate: &Gate, more: Value) -> S3Backend {
    gate.backend(more, &usage_components())
}

/// Nothing was asked that croit does not have, and nobody came in without the token.
fn is_well_behaved(gate: &Gate) {
    assert!(gate.fake.unmodelled().is_empty(), "{:?}", gate.fake.unmodelled());
    assert_eq!((gate.fake.unsigned_requests(), gate.fake.rejected_signatures()), (0, 0));
    assert!(gate.fake.duplicate_stamps().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s02_a_creation_on_croit_costs_three_calls_and_a_look() {
    let gate = Gate::croit();
    let order = request(json!({ "storage_limit": 100, "object_limit": 10_000 }));
    let created = create(&backend(&gate), &order).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 107_374_182_400, 10_000); 2]);
    let expected = [
        "POST /api/s3/users".to_owned(),
        format!("PUT /api/s3/users/{UID}/quota"),
        format!("PUT /api/s3/users/{UID}/bucket-quota"),
        "GET /api/s3/users".to_owned(),
        format!("GET /api/s3/users/{UID}/keys"),
    ];
    assert_eq!(gate.take_log(), expected);
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.display_name.as_str(), user.keys.len()), (STAMP, "My bucket", 1));
    assert_eq!(published_key_works(&gate.fake, &json!(created.metadata)), Some(true));
    is_well_behaved(&gate);
}

#[tokio::test(start_paused = true)]
async fn s03_s04_s05_ceilings_on_croit_are_those_that_were_chosen() {
    let gate = Gate::croit();
    create(&backend(&gate), &request(json!({ "object_limit": 7 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, -1, 7); 2]);

    for (more, told) in [(json!({}), 1), (json!({ "enforce_limits": false }), 0)] {
        let gate = Gate::croit();
        let backend = gate.backend(json!({}), &components(AccountingType::Usage, &more));
        let chosen = if told == 1 { json!({}) } else { json!({ "storage_limit": 5 }) };
        let created = create(&backend, &request(chosen)).await.unwrap();
        assert_eq!(count(&gate.take_log(), "quota"), 0);
        assert_eq!(created.warnings.len(), told);
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_croit_answers_with_nothing_is_read_back() {
    let croit = FakeCroit::builder().token(crate::common::TOKEN).clock(crate::common::now).silent_creates().build();
    let gate = Gate::over_croit(croit);
    create(&backend(&gate), &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    assert_eq!(gate.fake.request_count("user.create"), 1);
}

#[tokio::test(start_paused = true)]
async fn s06_a_user_of_ours_on_croit_keeps_its_keys_when_it_is_adopted() {
    for mode in ["metadata", "api_keys", "both"] {
        let gate = Gate::croit();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
        let backend = with(&gate, json!({ "credentials_mode": mode }));
        create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
        assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
        assert_eq!(gate.fake.user(UID).unwrap().keys.len(), 1, "{mode}");
        assert_eq!(gate.fake.request_count("key.delete"), 0, "{mode}");
    }
    // One that has none is given one.
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
    let created = create(&backend(&gate), &request(json!({}))).await.unwrap();
    assert_eq!(published_key_works(&gate.fake, &json!(created.metadata)), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_user_from_before_there_were_stamps_is_taken_over_and_stays_without() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap();
    let recorded = request(json!({ "storage_limit": 5 })).with_origin(Origin::Recorded);
    create(&backend(&gate), &recorded).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    assert_eq!(gate.fake.user(UID).unwrap().email, "");
    let reserved = request(json!({ "storage_limit": 5 }));
    assert_eq!(create(&backend(&gate), &reserved).await.unwrap_err().class(), ErrorClass::Foreign);
}

#[tokio::test(start_paused = true)]
async fn s07_a_strangers_user_on_croit_is_left_alone_and_its_keys_are_not_read() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email("stranger@example.org").key("THEIRS", "canary-secret")).unwrap();
    let error = create(&backend(&gate), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign);
    let log = gate.take_log();
    assert_eq!((count(&log, "key"), count(&log, "quota")), (0, 0), "{log:?}");
    assert!(!format!("{error:?} {:?}", error.chain()).contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn s08_a_taken_name_on_croit_that_cannot_be_read_is_nobodys_yet() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    gate.fail("GET /api/s3/users", u32::MAX, Failure::Status(403, "{}".to_owned()));
    let error = create(&backend(&gate), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotReady, "{error}");
    assert_eq!(gate.fake.users().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn s09_a_taken_name_that_croit_calls_a_fault_is_a_taken_name() {
    let croit = FakeCroit::builder().token(crate::common::TOKEN).clock(crate::common::now).conflicts_are_faults();
    let gate = Gate::over_croit(croit.build());
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    create(&backend(&gate), &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    assert_eq!(gate.fake.request_count("user.create"), 1, "it is no fault, and is not repeated");

    gate.fake.edit_user(UID, |user| "stranger@example.org".clone_into(user.email)).unwrap();
    let error = create(&backend(&gate), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign);
}

#[tokio::test(start_paused = true)]
async fn a_creation_on_croit_whose_answer_was_lost_is_finished_and_not_repeated() {
    let failures = [
        Failure::Status(500, r#"{"code":500,"message":"backend timeout"}"#.to_owned()),
        Failure::Status(502, "<html>bad gateway</html>".to_owned()),
        Failure::Status(200, "<html>log in</html>".to_owned()),
        Failure::Transport(TransportErrorKind::Timeout),
        Failure::Transport(TransportErrorKind::Interrupted),
    ];
    for failure in failures {
        let gate = Gate::croit();
        gate.lose_answer("POST", 1, failure);
        create(&backend(&gate), &request(json!({ "storage_limit": 5 }))).await.unwrap();
        assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
        assert_eq!((gate.fake.request_count("user.create"), gate.fake.users().len()), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn s20_s21_keys_of_croit_are_published_or_taken_away() {
    for (mode, keys) in [("metadata", 1), ("api_keys", 0), ("both", 1)] {
        let gate = Gate::croit();
        let backend = with(&gate, json!({ "credentials_mode": mode, "s3_endpoint": "https://s3.example.org" }));
        let created =
            create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
        assert_eq!(gate.fake.user(UID).unwrap().keys.len(), keys, "{mode}");
        let quota = json!({ "enabled": true, "maxSize": 107_374_182_400_i64, "maxObjects": 10_000 });
        let metadata = json!(created.metadata);
        assert_eq!(metadata["quotas"], json!({ "user_quota": quota, "bucket_quota": quota }));
        assert_eq!(metadata["s3_endpoint"], "https://s3.example.org");
        assert_eq!(created.endpoints[0].url, "https://s3.example.org");
        assert_eq!(metadata.get("s3_credentials").is_some(), keys == 1, "{mode}");
        let states = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await;
        let shown = json!(states[&id()].as_ref().unwrap().as_ref().unwrap().metadata);
        assert_eq!(shown, metadata, "the same at every reading");
        is_well_behaved(&gate);
    }
}

#[tokio::test(start_paused = true)]
async fn s22_metadata_on_croit_that_cannot_be_read_is_told_of_and_nothing_made_of_it() {
    let gate = Gate::croit();
    let backend = backend(&gate);
    create(&backend, &request(json!({}))).await.unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    gate.fake.put_object(UID, "photos", "a", 1234).unwrap();
    let read = async || backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await.remove(&id()).unwrap();
    let summary = json!(read().await.unwrap().unwrap().metadata.unwrap())["storage_summary"].clone();
    let bucket = json!({ "name": "photos", "size_bytes": 1234, "objects": 1 });
    let expected = json!({ "bucket_count": 1, "total_size_bytes": 1234, "total_objects": 1, "buckets": [bucket] });
    assert_eq!(summary, expected);
    gate.croit.forget_statistics("photos");
    let state = read().await.unwrap().unwrap();
    assert!(state.metadata.is_some_and(|metadata| !metadata.contains_key("storage_summary")), "unknown is not 0");
    assert_eq!(state.warnings.iter().map(Error::kind).collect::<Vec<_>>(), [ErrorKind::Inconsistent]);
    gate.fail("/keys", u32::MAX, Failure::Status(403, "{}".to_owned()));
    let state = read().await.unwrap().unwrap();
    assert!(state.metadata.is_none() && state.warnings.len() == 2, "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn s24_s25_a_user_on_croit_is_deleted_when_it_owns_nothing() {
    let gate = Gate::croit();
    let backend = backend(&gate);
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    create(&backend, &request(json!({}))).await.unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    gate.take_log();
    let error = delete(&backend).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    assert!(error.customer_message().unwrap().contains("1 bucket."), "{error}");
    assert_eq!(count(&gate.take_log(), "DELETE"), 1, "a refusal is no fault, and is not repeated");
    gate.fake.delete_bucket(UID, "photos").unwrap();
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty());
    is_well_behaved(&gate);
}

#[tokio::test(start_paused = true)]
async fn s25_an_outage_that_speaks_of_buckets_is_no_refusal() {
    let gate = Gate::croit();
    let backend = backend(&gate);
    create(&backend, &request(json!({}))).await.unwrap();
    for (text, requests) in [
        ("timeout while listing buckets", 4),
        // Not repeated by itself, but by the next run: there are none any more.
        ("Unable to remove user with buckets.", 1),
    ] {
        let body = json!({ "code": 500, "message": text }).to_string();
        gate.fail("DELETE /api/s3/users", 4, Failure::Status(500, body));
        gate.take_log();
        let error = delete(&backend).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Transient, "{text}: {error}");
        assert!(!error.to_string().contains("0 buckets"), "{error}");
        assert_eq!(count(&gate.take_log(), "DELETE"), requests, "{text}");
        gate.mend();
    }
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
}

#[tokio::test(start_paused = true)]
async fn s26_an_id_that_could_change_a_path_never_reaches_croit() {
    let gate = Gate::croit();
    let backend = backend(&gate);
    for hostile in ["../v2", "..", ".", "a/b", "a?b", "a$b", "a%2fb", "a b"] {
        let Ok(hostile) = BackendId::new(hostile) else { continue };
        assert_eq!(backend.get(&cx(), &hostile).await.unwrap_err().kind(), ErrorKind::Config, "{hostile}");
    }
    assert!(gate.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s38_changes_on_croit_keep_the_other_ceiling_and_cost_nothing_twice() {
    let gate = Gate::croit();
    let backend = backend(&gate);
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    update_options(&backend, json!({ "storage_limit": 200 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 200 * GIB, 10_000); 2]);
    update_options(&backend, json!({ "storage_limit": 0, "object_limit": 0 })).await.unwrap();
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    gate.take_log();
    update_options(&backend, json!({ "storage_limit": 0 })).await.unwrap();
    assert_eq!(gate.take_log(), ["GET /api/s3/users"]);
}

#[tokio::test(start_paused = true)]
async fn sizes_that_croit_rounds_up_are_what_was_ordered() {
    let gate = Gate::croit();
    let mut all: Vec<_> = components(AccountingType::Limit, &json!({})).iter().cloned().collect();
    // 5 GB are no whole number of KiB.
    all[0].unit_factor = waldur_sdk::types::UnitFactor::new(1_000_000_000.into()).unwrap();
    assert_eq!(all[0].name, "s3_objects", "by name");
    all[1].unit_factor = waldur_sdk::types::UnitFactor::new(1_000_000_000.into()).unwrap();
    all[0].unit_factor = waldur_sdk::types::UnitFactor::ONE;
    let backend = gate.backend(json!({}), &all.into_iter().collect());
    create(&backend, &request(json!({})).with_limits(limits(5, 7))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5_000_000_512, 7); 2]);
    gate.take_log();
    set_limits(&backend, limits(5, 7)).await.unwrap();
    assert_eq!(gate.take_log(), ["GET /api/s3/users"], "what is so already is not written");
}

#[tokio::test(start_paused = true)]
async fn s40_ping_on_croit_lists_users_and_an_expired_token_is_said_to_be_one() {
    let gate = Gate::croit();
    let backend = backend(&gate);
    backend.ping(&cx()).await.unwrap();
    create(&backend, &request(json!({}))).await.unwrap();
    gate.croit.expire_token();
    let error = backend.ping(&cx()).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Unauthenticated, ErrorClass::NotReady));
    assert!(error.message().contains("expires"), "{error}");
    // Nobody concludes anything about the user from that.
    assert_eq!(backend.get(&cx(), &id()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(delete(&backend).await.unwrap_err().class(), ErrorClass::NotReady);
    let findings = backend.diagnose(&cx()).await;
    assert!(findings.iter().any(|finding| format!("{finding:?}").contains("expires")), "{findings:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_list_of_users_proves_nothing() {
    for answer in ["<html>log in</html>", "{}", "null", "[{\"uid\":", "", r#"{"users":[]}"#] {
        let gate = Gate::croit();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
        gate.fail("GET /api/s3/users", u32::MAX, Failure::Status(200, answer.to_owned()));
        let backend = backend(&gate);
        assert!(backend.get(&cx(), &id()).await.is_err(), "{answer}");
        assert!(delete(&backend).await.is_err(), "{answer}");
        assert_eq!(gate.fake.users().len(), 1);
    }
    // A user among several that cannot be read is unknown; the others are known.
    let rows =
        json!([{ "uid": UID, "suspended": "perhaps" }, { "uid": "other" }, { "uid": "twice" }, { "uid": "twice" }]);
    let gate = Gate::croit();
    gate.fail("/keys", u32::MAX, Failure::Status(404, r#"{"code":404,"message":"no such user"}"#.to_owned()));
    gate.fail("GET /api/s3/users", u32::MAX, Failure::Status(200, rows.to_string()));
    let ids =
        [id(), BackendId::new("other").unwrap(), BackendId::new("gone").unwrap(), BackendId::new("twice").unwrap()];
    let states = backend(&gate).inspect(&cx(), &Inspection::of(&ids, Aspects::EXISTENCE)).await;
    assert_eq!(states[&ids[0]].as_ref().unwrap_err().kind(), ErrorKind::Inconsistent);
    assert!(states[&ids[1]].as_ref().unwrap().is_some());
    assert!(states[&ids[2]].as_ref().unwrap().is_none());
    assert_eq!(states[&ids[3]].as_ref().unwrap_err().kind(), ErrorKind::Inconsistent);
}

#[tokio::test(start_paused = true)]
async fn placement_class_and_tenant_of_the_settings_are_the_users() {
    let gate = Gate::croit();
    let more = json!({ "default_tenant": "acme", "default_placement": "fast", "default_storage_class": "COLD",
        "delete_mode": "purge" });
    let backend = with(&gate, more);
    create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
    let full = format!("acme${UID}");
    let user = gate.fake.user(&full).unwrap();
    assert_eq!((user.uid.as_str(), user.user_quota.max_size), (full.as_str(), 5 * GIB));
    gate.fake.create_bucket(&full, "photos").unwrap();
    gate.fake.put_object(&full, "photos", "a", 5).unwrap();
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(&full).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_user_in_a_tenant_is_found_whichever_way_the_list_names_it() {
    let fake = FakeRadosGw::builder().clock(now).build();
    let croit = FakeCroit::builder().token(TOKEN).clock(now).gateway(fake).tenants_in_names().build();
    let gate = Gate::over_croit(croit);
    let backend = with(&gate, json!({ "default_tenant": "acme" }));
    create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(gate.fake.user(&format!("acme${UID}")).unwrap().user_quota.max_size, 5 * GIB);
    assert!(backend.get(&cx(), &id()).await.unwrap().is_some());
    // One of another tenant is somebody else.
    gate.fake.add_user(SeedUser::new("other$waldur_b")).unwrap();
    assert!(backend.get(&cx(), &BackendId::new("waldur_b").unwrap()).await.unwrap().is_none());
    // Both at once cannot be told apart.
    gate.fake.add_user(SeedUser::new(UID)).unwrap();
    assert_eq!(backend.get(&cx(), &id()).await.unwrap_err().kind(), ErrorKind::Inconsistent);
    gate.fake.remove_user(UID);
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
}

#[tokio::test(start_paused = true)]
async fn f051_a_user_that_was_made_in_another_tenant_is_not_absent() {
    let fake = FakeRadosGw::builder().clock(now).build();
    let croit = FakeCroit::builder().token(TOKEN).clock(now).gateway(fake).tenants_in_names().build();
    let gate = Gate::over_croit(croit);
    create(&with(&gate, json!({ "default_tenant": "acme" })), &request(json!({}))).await.unwrap();
    for tenant in [json!({}), json!({ "default_tenant": "other" })] {
        let backend = with(&gate, tenant);
        let found = backend.get(&cx(), &id()).await;
        for error in [found.unwrap_err(), delete(&backend).await.unwrap_err()] {
            assert_eq!((error.kind(), error.class()), (ErrorKind::Inconsistent, ErrorClass::Transient), "{error}");
            assert!(error.message().contains("default_tenant"), "{error}");
        }
        assert_eq!(gate.fake.users().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn f051_with_a_namesake_in_another_tenant_absence_takes_two_lists() {
    let fake = FakeRadosGw::builder().clock(now).build();
    let croit = FakeCroit::builder().token(TOKEN).clock(now).gateway(fake).tenants_in_names().build();
    let gate = Gate::over_croit(croit);
    gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
    let namesake = format!("other${UID}");
    gate.fail("GET /api/s3/users", 1, Failure::Status(200, json!([{ "uid": namesake }]).to_string()));
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::Deleted, "the list lagged once");
    gate.fake.add_user(SeedUser::new(&namesake)).unwrap();
    gate.take_log();
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::AlreadyAbsent);
    assert_eq!(gate.take_log(), ["GET /api/s3/users"; 2]);
    assert!(gate.fake.user(&namesake).is_some());
}

#[tokio::test(start_paused = true)]
async fn f051_a_404_to_the_keys_of_a_user_that_is_listed_says_nothing_of_the_user() {
    let gate = Gate::croit();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    let keys = format!("GET /api/s3/users/{UID}/keys");
    let gone = Failure::Status(404, r#"{"code":404,"message":"no such user"}"#.to_owned());
    gate.fail(&keys, u32::MAX, gone);
    let backend = with(&gate, json!({ "credentials_mode": "both" }));
    let state = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await.remove(&id()).unwrap();
    let state = state.unwrap().unwrap();
    assert_eq!(state.warnings.len(), 1, "{state:?}");
    assert!(state.metadata.is_none() && state.withdrawn.is_empty(), "{state:?}");
    let known = waldur_sdk::testing::complete(Vec::new());
    let error = backend.keys().unwrap().prune(&cx(), &resource(json!({})), &id(), &known).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent, "{error}");
    // One that went away since it was listed is gone.
    gate.mend();
    let fake = gate.fake.clone();
    let way = Upon::new(&gate, "/keys", 0, move || {
        fake.remove_user(UID);
    });
    let backend = gate.backend_over(way, json!({}), &usage_components());
    let state = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await.remove(&id()).unwrap();
    assert!(state.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn no_users_are_made_that_are_never_found_again() {
    let fake = FakeRadosGw::builder().clock(now).build();
    let croit = FakeCroit::builder().token(TOKEN).clock(now).gateway(fake).build();
    let gate = Gate::over_croit(croit);
    let backend = with(&gate, json!({ "default_tenant": "acme" }));
    // A list that names it in a third way.
    gate.fail("GET /api/s3/users", 99, Failure::Status(200, "[]".to_owned()));
    let error = create(&backend, &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotReady, "{error}");
    assert!(error.message().contains("default_tenant"), "{error}");
    let mut other = request(json!({}));
    other.backend_id = BackendId::new("waldur_other").unwrap();
    let error = create(&backend, &other).await.unwrap_err();
    assert!(error.class() == ErrorClass::NotReady && error.message().contains(UID), "{error}");
    assert_eq!(gate.fake.users().len(), 1, "one, and no more");
    // Mended: everybody has a turn again.
    gate.mend();
    create(&backend, &request(json!({}))).await.unwrap();
    create(&backend, &other).await.unwrap();
}

/// The order of the hidden user is cancelled, so that it is never made by its own.
#[tokio::test(start_paused = true)]
async fn a_user_that_was_hidden_keeps_nobody_from_being_made_for_ever() {
    for is_listed in [true, false] {
        let fake = FakeRadosGw::builder().clock(now).build();
        let croit = FakeCroit::builder().token(TOKEN).clock(now).gateway(fake).build();
        let gate = Gate::over_croit(croit);
        let backend = with(&gate, json!({ "default_tenant": "acme" }));
        gate.fail("GET /api/s3/users", 99, Failure::Status(200, "[]".to_owned()));
        create(&backend, &request(json!({}))).await.unwrap_err();
        let mut other = request(json!({}));
        other.backend_id = BackendId::new("waldur_other").unwrap();
        create(&backend, &other).await.unwrap_err();
        if !is_listed {
            // Somebody removes it, and that shows nowhere.
            let users = gate.fake.users();
            gate.fake.remove_user(&users[0].uid);
        }
        gate.mend();
        let at_once = create(&backend, &other).await;
        assert_eq!(at_once.is_ok(), is_listed);
        tokio::time::sleep(std::time::Duration::from_hours(1)).await;
        create(&backend, &other).await.unwrap();
    }
}

/// Its order waits, and is tried in every pass.
#[tokio::test(start_paused = true)]
async fn the_order_of_a_hidden_user_stops_others_for_an_hour_and_not_for_ever() {
    let croit = FakeCroit::builder().token(TOKEN).clock(now);
    let gate = Gate::over_croit(croit.gateway(FakeRadosGw::builder().clock(now).build()).build());
    let backend = with(&gate, json!({ "default_tenant": "acme" }));
    // Nothing of its kind is ever listed.
    gate.fake.add_user(SeedUser::new(&format!("acme${UID}")).email(STAMP)).unwrap();
    gate.fail("GET /api/s3/users", 1_000, Failure::Status(200, "[]".to_owned()));
    let mut other = request(json!({}));
    other.backend_id = BackendId::new("waldur_other").unwrap();
    let hidden = async || create(&backend, &request(json!({}))).await.unwrap_err().class();
    for _pass in 0..12 {
        assert_eq!(hidden().await, ErrorClass::NotReady);
        let error = create(&backend, &other).await.unwrap_err();
        assert!(error.message().contains(UID) && gate.fake.users().len() == 1, "{error}");
        tokio::time::sleep(std::time::Duration::from_mins(5)).await;
    }
    assert_eq!(hidden().await, ErrorClass::NotReady);
    // The next one has its turn; if it is hidden, too, that is an hour more.
    let error = create(&backend, &other).await.unwrap_err();
    assert!(!error.message().contains(UID), "{error}");
    assert_eq!(gate.fake.users().len(), 2);
    let mut third = request(json!({}));
    third.backend_id = BackendId::new("waldur_third").unwrap();
    let error = create(&backend, &third).await.unwrap_err();
    assert!(error.message().contains("waldur_other") && gate.fake.users().len() == 2, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_users_are_looked_at_by_one_list() {
    let gate = Gate::croit();
    let ids: Vec<_> = (0..1000).map(|number| BackendId::new(format!("waldur_u{number:04}")).unwrap()).collect();
    for id in &ids {
        gate.fake.add_user(SeedUser::new(id.as_str())).unwrap();
    }
    let mut aspects = Aspects::EXISTENCE;
    aspects.limits = true;
    let states = backend(&gate).inspect(&cx(), &Inspection::of(&ids, aspects)).await;
    assert!(states.len() == 1000 && states.values().all(|state| matches!(state, Ok(Some(_)))));
    assert_eq!(gate.take_log(), ["GET /api/s3/users"]);
}

#[tokio::test(start_paused = true)]
async fn users_of_ours_on_croit_can_be_imported() {
    let gate = Gate::croit();
    for uid in ["waldur_a", "waldur-b", "alice", "waldur_c"] {
        gate.fake.add_user(SeedUser::new(uid)).unwrap();
    }
    let backend = gate.backend(json!({}), &components(AccountingType::Limit, &json!({})));
    let list = backend.importer().unwrap().list(&cx()).await.unwrap().into_items();
    let mut names: Vec<_> = list.iter().map(|item| item.backend_id.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["waldur-b", "waldur_a", "waldur_c"]);
    assert_eq!(gate.take_log(), ["GET /api/s3/users"]);
}

#[tokio::test(start_paused = true)]
async fn f050_f074_a_list_of_croits_that_lags_is_waited_for() {
    // A new user that does not show yet, in a list that is whole otherwise.
    let gate = Gate::croit();
    gate.fail("GET /api/s3/users", 3, Failure::Status(200, "[]".to_owned()));
    create(&backend(&gate), &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    assert_eq!((gate.fake.request_count("user.create"), gate.fake.users().len()), (1, 1));

    // Quotas that show late are not written twice; a deletion that shows late is one.
    let before = json!([{ "uid": UID, "email": STAMP, "userQuota": null, "bucketQuota": null }]).to_string();
    let settled = || {
        let gate = Gate::croit();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
        gate
    };
    let gate = settled();
    gate.fail_after(1, "GET /api/s3/users", 3, Failure::Status(200, before.clone()));
    update_options(&backend(&gate), json!({ "storage_limit": 5 })).await.unwrap();
    assert_eq!((quotas(&gate), gate.fake.request_count("quota.set")), ([(true, 5 * GIB, -1); 2], 2));
    let gate = settled();
    gate.fail_after(1, "GET /api/s3/users", 3, Failure::Status(200, before));
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::Deleted);
    assert_eq!(gate.fake.request_count("user.delete"), 1);

    // What never shows is no success.
    let gate = Gate::croit();
    gate.fake.lose_writes("user.create", u32::MAX);
    let error = create(&backend(&gate), &request(json!({}))).await.unwrap_err();
    assert_eq!((error.kind(), gate.fake.request_count("user.create")), (ErrorKind::Inconsistent, 3), "{error}");
    let gate = settled();
    gate.fake.lose_writes("quota.set", u32::MAX);
    let error = update_options(&backend(&gate), json!({ "storage_limit": 5 })).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent, "{error}");
}
