//! What is published about a user (s3.md §9).

use std::collections::BTreeMap;

use crate::common::{
    Failure, GIB, Gate, On, STAMP, UID, backend, create, cx, id, request, resource, server_error, usage_components,
};
use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    ErrorClass,
    backend::{Aspects, Inspection, ResourceBackend as _},
    rest::TransportErrorKind,
};

#[tokio::test(start_paused = true)]
async fn s20_metadata_has_the_shape_that_offerings_know() {
    let gate = Gate::new();
    gate.fake.mint_next("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    let backend = backend(gate.clone());
    let request = request(json!({ "storage_limit": 100, "object_limit": 10_000 }));
    let created = create(&backend, &request).await.unwrap();
    let credentials = json!({
        "access_key": "AKIAIOSFODNN7EXAMPLE", "secret_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "endpoint": "http://localhost:7480", "region": "default",
    });
    let quota = json!({ "enabled": true, "maxSize": 107_374_182_400_u64, "maxObjects": 10_000 });
    let mut expected = json!({
        "s3_credentials": credentials,
        "storage_summary": { "bucket_count": 0, "total_size_bytes": 0, "total_objects": 0, "buckets": [] },
        "quotas": { "bucket_quota": quota, "user_quota": quota },
        "s3_endpoint": "http://localhost:7480", "s3_region": "default", "s3_user": UID,
    });
    assert_eq!(serde_json::to_value(&created.metadata).unwrap(), expected);
    assert_eq!(
        (created.endpoints[0].name.as_str(), created.endpoints[0].url.as_str()),
        ("S3 endpoint", "http://localhost:7480")
    );

    gate.fake.create_bucket(UID, "my-bucket").unwrap();
    gate.fake.put_object(UID, "my-bucket", "a", 5_000).unwrap();
    gate.fake.put_object(UID, "my-bucket", "b", 1).unwrap();
    expected["storage_summary"] = json!({
        "bucket_count": 1, "total_size_bytes": 5_001, "total_objects": 2,
        "buckets": [{ "name": "my-bucket", "size_bytes": 5_001, "objects": 2 }],
    });
    let states = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL)).await;
    let metadata = states[&id()].as_ref().unwrap().as_ref().unwrap().metadata.clone().unwrap();
    assert_eq!(serde_json::to_value(&metadata).unwrap(), expected);
    // What is published already stays published when a second key comes.
    let first = "AKIAIOSFODNN7EXAMPLE";
    gate.fake.mint_next("AAAA-BEFORE-IT", "another-secret");
    backend.radosgw().unwrap().keys().mint(&waldur_backend_croit::radosgw::Uid::new(UID).unwrap()).await.unwrap();
    let mut again = request.clone();
    again.resource.metadata = metadata;
    assert_eq!(create(&backend, &again).await.unwrap().metadata["s3_credentials"]["access_key"], first);
    // Without a ceiling.
    let gate = Gate::new();
    let created = create(&crate::common::backend(gate), &crate::common::request(json!({}))).await.unwrap();
    let none = json!({ "enabled": false, "maxSize": -1, "maxObjects": -1 });
    assert_eq!(created.metadata["quotas"], json!({ "bucket_quota": none, "user_quota": none }));
}

#[tokio::test(start_paused = true)]
async fn s22_buckets_that_cannot_be_read_are_told_of_and_what_is_published_of_them_stays() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    gate.fail("GET /admin/bucket", 99, server_error());
    let mut resource = resource(json!({}));
    let before = json!({ "bucket_count": 7 });
    resource.metadata.insert("storage_summary".to_owned(), before.clone());
    let records: BTreeMap<_, _> = [(id(), resource)].into();
    let states = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::ALL).with_records(&records)).await;
    let state = states[&id()].as_ref().unwrap().as_ref().unwrap();
    assert_eq!(state.metadata.as_ref().unwrap()["storage_summary"], before);
    assert!(state.warnings.len() == 1 && state.warnings[0].class() == ErrorClass::Transient, "{state:?}");
    // Who does not ask for it does not pay for it.
    gate.take_log();
    let states = backend.inspect(&cx(), &Inspection::of(&[id()], Aspects::EXISTENCE)).await;
    assert!(states[&id()].as_ref().unwrap().as_ref().unwrap().warnings.is_empty());
    assert_eq!(gate.take_log().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn s07_of_somebody_elses_user_neither_keys_nor_buckets_are_asked_for() {
    for on in [On::RadosGw, On::Croit] {
        let strangers = [
            // By its name, by another resource's stamp, by a stamp that is not this user's.
            ("alice", ""),
            (UID, "waldur-00000000000000000000000000000bad-waldur_org_proj_12345678@invalid"),
            (UID, "waldur-123456789abcdef0123456789abcdef0-somebody_else@invalid"),
        ];
        for (uid, email) in strangers {
            let gate = Gate::on(on);
            gate.fake.add_user(SeedUser::new(uid).email(email).key("THEIRKEY", "canary-of-a-stranger")).unwrap();
            let id = waldur_sdk::types::BackendId::new(uid).unwrap();
            let records: BTreeMap<_, _> = [(id.clone(), resource(json!({})))].into();
            let backend = gate.backend(json!({}), &usage_components());
            let states = backend
                .inspect(&cx(), &Inspection::of(std::slice::from_ref(&id), Aspects::ALL).with_records(&records))
                .await;
            let state = states[&id].as_ref().unwrap().as_ref().unwrap();
            assert!(state.metadata.is_none() && state.withdrawn.is_empty() && state.warnings.is_empty(), "{state:?}");
            let log = gate.take_log();
            assert!(log.len() == 1 && !log[0].contains("/keys") && !log[0].contains("bucket"), "{log:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_does_not_fail_for_statistics_of_buckets() {
    let unread = [
        Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned()),
        Failure::Transport(TransportErrorKind::Timeout),
        // A bucket that does not say what it holds: unknown is not 0.
        Failure::Status(200, format!(r#"[{{"bucket":"photos","owner":"{UID}"}}]"#)),
    ];
    for failure in unread {
        let gate = Gate::new();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
        gate.fake.create_bucket(UID, "photos").unwrap();
        let backend = backend(gate.clone());
        let mut request = request(json!({ "storage_limit": 5 }));
        gate.fail("GET /admin/bucket", 9, failure);
        let created = create(&backend, &request).await.unwrap();
        assert_eq!(created.metadata["s3_credentials"]["access_key"], "OURKEY");
        assert_eq!(created.metadata["quotas"]["user_quota"]["maxSize"], 5 * GIB);
        assert_eq!((&created.metadata["s3_user"], created.endpoints.len()), (&json!(UID), 1));
        assert!(created.metadata.get("storage_summary").is_none());
        let told: Vec<_> = created.warnings.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].contains("no new storage summary"), "{told:?}");
        // What is published already stays.
        let before = json!({ "bucket_count": 7 });
        request.resource.metadata.insert("storage_summary".to_owned(), before.clone());
        assert_eq!(create(&backend, &request).await.unwrap().metadata["storage_summary"], before);
    }
}

#[tokio::test(start_paused = true)]
async fn s39_no_secret_is_in_an_error_or_a_debug_text() {
    let canary = "canary-secret-of-the-customer";
    let gate = Gate::new();
    gate.fake.mint_next("CUSTOMERKEY", canary);
    let backend = backend(gate.clone());
    let mut texts = Vec::new();
    let created = create(&backend, &request(json!({}))).await.unwrap();
    texts.push(format!("{created:?} {backend:?} {:?}", backend.radosgw().unwrap()));
    let found =
        backend.radosgw().unwrap().users().get_with_keys(&waldur_backend_croit::radosgw::Uid::new(UID).unwrap()).await;
    texts.push(format!("{found:?}"));
    // Answers that hold a secret and cannot be used.
    let echo = format!(r#"{{"Code":"InvalidArgument","secret_key":"{canary}"}}"#);
    let broken = format!(r#"[{{"user":"{UID}","access_key":"CUSTOMERKEY","secret_key":"{canary}""#);
    let wrong = format!(r#"{{"user_id":"{UID}","max_buckets":"x","keys":[{{"secret_key":"{canary}"}}]}}"#);
    for failure in [Failure::Status(400, echo), Failure::Status(200, broken), Failure::Status(200, wrong)] {
        gate.fail("GET /admin/user", 1, failure);
        let error = backend.get(&cx(), &id()).await.unwrap_err();
        texts.push(format!("{error} {error:?} {:?} {:#?}", error.chain(), error.http()));
    }
    for text in texts {
        assert!(!text.contains(canary) && !text.contains(crate::common::SECRET_KEY), "{text}");
    }
    // Nor in a URL: the gateway keeps its request lines.
    assert!(gate.take_log().iter().all(|line| !line.contains(canary) && !line.contains("secret-key")));
}
