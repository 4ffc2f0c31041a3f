//! The back end over the fake gateway (s3.md §11).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{
    Failure, Gate, STAMP, UID, backend, backend_with, components, create, cx, id, order, request, resource,
    usage_components,
};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_backend_croit::{RadosGwBackend, testing::SeedUser};
use waldur_sdk::{
    ErrorClass, ErrorKind, Result,
    backend::{
        Aspects, CreateRequest, DeleteRequest, LimitChange, OptionChange, Origin, Outcome, Progress, Removed,
        ResourceBackend as _, Status, Verified,
    },
    rest::TransportErrorKind,
    settings::AccountingType,
    types::{BackendId, JsonObject, Limit, Limits},
};

const GIB: i64 = 1 << 30;

fn quotas(gate: &Gate) -> [(bool, i64, i64); 2] {
    let (user, bucket) = gate.fake.quota(UID).unwrap();
    [user, bucket].map(|quota| (quota.enabled, quota.max_size, quota.max_objects))
}

fn server_error() -> Failure {
    Failure::Status(500, String::new())
}

fn count(log: &[String], pattern: &str) -> usize {
    log.iter().filter(|line| line.contains(pattern)).count()
}

async fn delete(backend: &RadosGwBackend) -> Result<Removed> {
    match backend.delete(&cx(), &DeleteRequest::new(order(), resource(json!({})), id())).await? {
        Progress::Done(removed) => Ok(Verified::into_inner(removed)),
        Progress::Pending { .. } => panic!("nothing takes longer here"),
    }
}

async fn set_limits(backend: &RadosGwBackend, limits: Limits) -> Result<Limits> {
    match backend.set_limits(&cx(), &LimitChange::new(resource(json!({})), id(), limits)).await? {
        Progress::Done(limits) => Ok(Verified::into_inner(limits)),
        Progress::Pending { .. } => panic!("nothing takes longer here"),
    }
}

async fn update_options(backend: &RadosGwBackend, new: Value) -> Result<()> {
    let object = |value: Value| JsonObject::from(value.as_object().unwrap().clone());
    let old = object(json!({ "storage_limit": 100 }));
    match backend
        .update_options(&cx(), &OptionChange::new(order(), resource(json!({})), id(), old, object(new)))
        .await?
    {
        Progress::Done(()) => Ok(()),
        Progress::Pending { .. } => panic!("nothing takes longer here"),
    }
}

fn limits(storage: u32, objects: u32) -> Limits {
    [("s3_storage", storage), ("s3_objects", objects)]
        .map(|(name, amount)| (name.to_owned(), Limit::At(amount.into())))
        .into()
}

#[tokio::test(start_paused = true)]
async fn s02_create_sets_both_quotas_from_the_customers_limits() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 107_374_182_400, 10_000); 2]);
    let made = gate.fake.user(UID).unwrap();
    assert_eq!((made.email.as_str(), made.display_name.as_str(), made.keys.len()), (STAMP, "My bucket", 1));
    // Three dependent calls: user with its key, both quotas, proof.
    let log = gate.take_log();
    assert_eq!(log.len(), 3, "{log:#?}");
    assert!(gate.fake.unmodelled().is_empty() && gate.fake.unsigned_requests() == 0);
    assert!(gate.fake.duplicate_stamps().is_empty() && gate.fake.orphans(&[UID]).is_empty());

    // The newer names of the options win, numbers may be text.
    let gate = Gate::new();
    let options = json!({ "storage_limit": 1, "max_storage_limit": "2", "max_object_limit": 3.0, "object_limit": 9 });
    create(&common::backend(gate.clone()), &request(options)).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 2 * GIB, 3); 2]);
}

#[tokio::test(start_paused = true)]
async fn s03_without_enforcement_no_quota_is_touched() {
    let gate = Gate::new();
    let components = components(AccountingType::Usage, &json!({ "enforce_limits": false }));
    let backend = backend_with(gate.clone(), json!({}), &components);
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    assert_eq!(count(&gate.take_log(), "quota"), 0);
}

#[tokio::test(start_paused = true)]
async fn s04_one_limit_sets_one_ceiling() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "object_limit": 10_000, "storage_limit": 0 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, -1, 10_000); 2]);
}

#[tokio::test(start_paused = true)]
async fn s05_no_limits_set_no_quota_and_are_told_of() {
    use std::sync::{Arc, Mutex};
    struct Steps(Arc<Mutex<Vec<&'static str>>>);
    impl waldur_sdk::backend::ProgressObserver for Steps {
        fn on_step(&self, step: &waldur_sdk::backend::Step<'_>) {
            self.0.lock().unwrap().push(step.step);
        }
    }
    let gate = Gate::new();
    let backend = backend(gate.clone());
    let steps = Arc::default();
    let told = cx().with_progress(Steps(Arc::clone(&steps)));
    let Progress::Done(_done) = backend.create(&told, &request(json!({ "colour": "blue" }))).await.unwrap() else {
        panic!("nothing takes longer here")
    };
    assert_eq!(count(&gate.take_log(), "quota"), 0);
    assert!(steps.lock().unwrap().contains(&"no ceiling"));
}

#[tokio::test(start_paused = true)]
async fn unusable_limits_are_refused_before_anything_is_made() {
    for bad in [json!(-5), json!("ten"), json!(1.5), json!([1]), json!(true), json!("1e30"), json!(u64::MAX)] {
        let gate = Gate::new();
        let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": bad }))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Rejected, "{bad}: {error}");
        assert!(error.customer_message().is_some());
        assert!(gate.take_log().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn ordered_limits_are_ceilings_and_no_option_overrules_them() {
    let gate = Gate::new();
    let backend = backend_with(gate.clone(), json!({}), &components(AccountingType::Limit, &json!({})));
    let request = request(json!({ "storage_limit": 999 })).with_limits(limits(100, 10_000));
    create(&backend, &request).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 100 * GIB, 10_000); 2]);
    let state = backend.get(&cx(), &id()).await.unwrap().unwrap();
    assert_eq!(state.limits, limits(100, 10_000));

    // A change names what it changes; 0 is a ceiling, and -1 is none.
    let one: Limits = [("s3_storage".to_owned(), Limit::At(0_u32.into()))].into();
    set_limits(&backend, one).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 0, 10_000); 2]);
    let none: Limits = [("s3_storage".to_owned(), Limit::Unlimited)].into();
    set_limits(&backend, none.clone()).await.unwrap();
    assert_eq!(quotas(&gate), [(true, -1, 10_000); 2]);

    // What is so already is not written again.
    gate.take_log();
    assert_eq!(set_limits(&backend, none.clone()).await.unwrap()["s3_storage"], Limit::Unlimited);
    assert_eq!(gate.take_log(), [format!("GET /admin/user?uid={UID}")]);
}

#[tokio::test(start_paused = true)]
async fn a_user_that_was_closed_by_a_soft_deletion_opens_when_it_is_restored() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    set_limits(&backend, limits(0, 0)).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 0, 0); 2]);
    create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
}

#[tokio::test(start_paused = true)]
async fn s06_a_user_of_ours_is_adopted_and_brought_to_what_was_ordered() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
    let backend = backend(gate.clone());
    let created = create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
    let keys = gate.fake.user(UID).unwrap().keys;
    assert_eq!((keys.len(), keys[0].secret_key.expose_secret()), (1, "our-secret"));
    assert_eq!(created.metadata["s3_credentials"]["access_key"], "OURKEY");

    // A stamp with dashes is the Python plugin's.
    let dashed = "waldur-12345678-9abc-def0-1234-56789abcdef0-waldur_org_proj_12345678@invalid";
    gate.fake.edit_user(UID, |user| dashed.clone_into(user.email)).unwrap();
    create(&backend, &request(json!({ "storage_limit": 5 }))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn f054_a_taken_name_is_ours_if_the_stamp_says_so() {
    // Whatever the gateway calls taken: the name, or the address that holds the stamp.
    for code in ["UserAlreadyExists", "EmailExists"] {
        let gate = Gate::new();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
        gate.fail("PUT /admin/user?uid=", 1, Failure::Status(409, format!(r#"{{"Code":"{code}"}}"#)));
        let created = create(&backend(gate.clone()), &request(json!({ "object_limit": 5 }))).await.unwrap();
        assert_eq!(quotas(&gate), [(true, -1, 5); 2]);
        // It had no key, so it got one.
        let key = &gate.fake.user(UID).unwrap().keys[0];
        assert_eq!(created.metadata["s3_credentials"]["access_key"], key.access_key.as_str());
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_was_lost_is_finished_and_not_repeated() {
    let failures = [
        server_error(),
        Failure::Status(502, "<html>bad gateway</html>".to_owned()),
        Failure::Status(504, String::new()),
        Failure::Transport(TransportErrorKind::Timeout),
        Failure::Transport(TransportErrorKind::Interrupted),
        Failure::Status(200, "{\"tenant\":\"\",\"user_".to_owned()),
    ];
    for failure in failures {
        let gate = Gate::new();
        gate.lose_answer("PUT /admin/user?uid=", 1, failure);
        let created = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap();
        assert_eq!(gate.fake.request_count("user.create"), 1);
        assert_eq!(gate.fake.users().len(), 1);
        assert_eq!(quotas(&gate), [(true, 5 * GIB, -1); 2]);
        let key = &gate.fake.user(UID).unwrap().keys[0];
        assert_eq!(created.metadata["s3_credentials"]["access_key"], key.access_key.as_str());
    }
    // An attempt that came to nothing is left for the next cycle, and then made once.
    let gate = Gate::new();
    gate.fail("PUT /admin/user?uid=", 1, server_error());
    let backend = backend(gate.clone());
    let error = create(&backend, &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(gate.fake.users().is_empty());
    create(&backend, &request(json!({}))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn s07_a_foreign_user_is_not_adopted() {
    let foreign = [
        "alice@example.org",
        "",
        // Another resource's stamp, another user's stamp, and something that only looks like one.
        "waldur-00000000000000000000000000000bad-waldur_org_proj_12345678@invalid",
        "waldur-123456789abcdef0123456789abcdef0-somebody_else@invalid",
        "waldur-nonsense@invalid",
    ];
    for email in foreign {
        let gate = Gate::new();
        let canary = "canary-secret-of-a-stranger";
        gate.fake.add_user(SeedUser::new(UID).email(email).key("THEIRKEY", canary)).unwrap();
        let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
        assert!(matches!(error.class(), ErrorClass::Foreign | ErrorClass::Duplicate), "{email}: {error}");
        assert!(!format!("{error:?} {:?}", error.chain()).contains("THEIRKEY"));
        let log = gate.take_log();
        assert_eq!(log.len(), 2, "asked and looked, changed nothing: {log:?}");
        assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn f055_a_foreign_user_is_neither_changed_nor_deleted() {
    let gate = Gate::new();
    let stranger = "waldur-00000000000000000000000000000bad-waldur_org_proj_12345678@invalid";
    gate.fake.add_user(SeedUser::new(UID).email(stranger).key("THEIRKEY", "secret")).unwrap();
    let backend = backend_with(gate.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    let refused = [
        create(&backend, &request(json!({}))).await.unwrap_err(),
        set_limits(&backend, limits(1, 1)).await.unwrap_err(),
        update_options(&backend, json!({ "storage_limit": 1 })).await.unwrap_err(),
        delete(&backend).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.class(), ErrorClass::Foreign);
        assert!(error.message().contains(UID), "{error}");
    }
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.keys.len()), (stranger, 1));
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);

    // A name that is not ours, without a stamp: whatever Waldur recorded, it is not deleted.
    let other = BackendId::new("alice").unwrap();
    gate.fake.add_user(SeedUser::new("alice")).unwrap();
    let request = DeleteRequest::new(order(), resource(json!({})), other);
    assert_eq!(backend.delete(&cx(), &request).await.unwrap_err().class(), ErrorClass::Foreign);
    assert!(gate.fake.user("alice").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_user_from_before_stamps_is_adopted_only_when_recorded_and_stamped_then() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap();
    let backend = backend(gate.clone());
    let error = create(&backend, &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign);
    create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.keys.len()), (STAMP, 1));
    // An address of somebody's own is left alone.
    gate.fake.edit_user(UID, |user| "alice@example.org".clone_into(user.email)).unwrap();
    create(&backend, &request(json!({})).with_origin(Origin::Recorded)).await.unwrap();
    assert_eq!(gate.fake.user(UID).unwrap().email, "alice@example.org");
}

#[tokio::test(start_paused = true)]
async fn s08_a_user_that_cannot_be_read_is_not_adopted() {
    // The specification says `Duplicate`. That would make the processor go on to the next name and release this one:
    // if the user is our own, from an attempt that broke off, it would be orphaned. Waiting loses nothing.
    let denied = || Failure::Status(403, r#"{"Code":"AccessDenied"}"#.to_owned());
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP)).unwrap();
    gate.fail("GET /admin/user?uid=", 1, denied());
    let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::NotReady, ErrorClass::NotReady), "{error}");
    assert!(error.message().contains(&format!("{UID} exists, and cannot be read")), "{error}");
    assert!(error.chain().iter().any(|line| line.contains("capability")), "{:?}", error.chain());
    assert_eq!(gate.take_log().len(), 2, "asked and looked, touched nothing");
    let user = gate.fake.user(UID).unwrap();
    assert_eq!((user.email.as_str(), user.keys.len()), (STAMP, 0));
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
    // Nor is it given up when the answer of its own creation was lost.
    let lost = Gate::new();
    lost.lose_answer("PUT /admin/user?uid=", 1, server_error());
    lost.fail("GET /admin/user?uid=", 1, denied());
    let error = create(&backend(lost.clone()), &request(json!({}))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotReady, "{error}");
    create(&backend(lost.clone()), &request(json!({}))).await.unwrap();
    assert_eq!(lost.fake.users().len(), 1);
    // An outage says nothing about the name: the order waits, and no second user is made under another name.
    gate.fail("GET /admin/user?uid=", 9, server_error());
    let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(quotas(&gate), [(false, -1, -1); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_quota_that_reads_otherwise_is_an_error() {
    let gate = Gate::new();
    // Accepted, and not carried out.
    gate.fail("quota=", 1, Failure::Status(200, String::new()));
    let error = create(&backend(gate.clone()), &request(json!({ "storage_limit": 5 }))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent, "{error}");
}

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
    let states = backend.inspect(&cx(), &[id()], Aspects::ALL).await;
    let metadata = states[&id()].as_ref().unwrap().as_ref().unwrap().metadata.clone().unwrap();
    assert_eq!(serde_json::to_value(&metadata).unwrap(), expected);
    // What is published already stays published when a second key comes.
    let first = "AKIAIOSFODNN7EXAMPLE";
    gate.fake.mint_next("AAAA-BEFORE-IT", "another-secret");
    backend.client().keys().mint(&waldur_backend_croit::client::Uid::new(UID).unwrap()).await.unwrap();
    let mut again = request.clone();
    again.resource.metadata = metadata;
    assert_eq!(create(&backend, &again).await.unwrap().metadata["s3_credentials"]["access_key"], first);
    // Without a ceiling.
    let gate = Gate::new();
    let created = create(&common::backend(gate), &common::request(json!({}))).await.unwrap();
    let none = json!({ "enabled": false, "maxSize": -1, "maxObjects": -1 });
    assert_eq!(created.metadata["quotas"], json!({ "bucket_quota": none, "user_quota": none }));
}

#[tokio::test(start_paused = true)]
async fn s22_metadata_that_cannot_be_read_is_an_error_and_never_less_metadata() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    gate.fail("GET /admin/bucket", 9, server_error());
    let states = backend.inspect(&cx(), &[id()], Aspects::ALL).await;
    assert!(states[&id()].as_ref().is_err_and(|error| error.class() == ErrorClass::Transient));
    // Who does not ask for it does not pay for it.
    let states = backend.inspect(&cx(), &[id()], Aspects::EXISTENCE).await;
    assert!(states[&id()].as_ref().unwrap().is_some());
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
        // What is published already stays.
        let before = json!({ "bucket_count": 7 });
        request.resource.metadata.insert("storage_summary".to_owned(), before.clone());
        assert_eq!(create(&backend, &request).await.unwrap().metadata["storage_summary"], before);
    }
}

#[tokio::test(start_paused = true)]
async fn s24_deleting_what_is_gone_succeeds() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    create(&backend, &request(json!({}))).await.unwrap();
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
    assert_eq!(delete(&backend).await.unwrap(), Removed::AlreadyAbsent);
    assert!(gate.fake.users().is_empty());
    // An answer that is lost changes nothing about that.
    create(&backend, &request(json!({}))).await.unwrap();
    gate.lose_answer("DELETE", 1, Failure::Transport(TransportErrorKind::Interrupted));
    delete(&backend).await.unwrap();
    assert!(gate.fake.users().is_empty());
    // A proxy's word is no proof.
    gate.fail("GET /admin/user", 1, Failure::Status(404, "<html>nothing here</html>".to_owned()));
    assert_eq!(delete(&backend).await.unwrap_err().kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn s25_a_user_with_buckets_is_kept_unless_purging_was_chosen() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    for bucket in ["photos", "videos"] {
        gate.fake.create_bucket(UID, bucket).unwrap();
    }
    gate.fake.put_object(UID, "photos", "a", 5).unwrap();
    let error = delete(&backend).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    assert!(error.customer_message().unwrap().contains("2 buckets"), "{error}");
    assert_eq!(gate.fake.get_object(UID, "photos", "a"), Ok(5));
    let purging = backend_with(gate.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    assert_eq!(delete(&purging).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty() && gate.fake.buckets(UID).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_user_without_a_stamp_is_never_purged() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap();
    gate.fake.create_bucket(UID, "photos").unwrap();
    gate.fake.put_object(UID, "photos", "a", 5).unwrap();
    let purging = backend_with(gate.clone(), json!({ "delete_mode": "purge" }), &usage_components());
    let error = delete(&purging).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert!(error.customer_message().unwrap().contains("1 bucket."), "{error}");
    assert_eq!(gate.fake.get_object(UID, "photos", "a"), Ok(5));
    assert_eq!(count(&gate.take_log(), "purge-data=true"), 0);
    // An empty one goes.
    gate.fake.remove_object(UID, "photos", "a").unwrap();
    gate.fake.delete_bucket(UID, "photos").unwrap();
    assert_eq!(delete(&purging).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.users().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s26_an_id_that_leaves_its_place_is_refused_before_any_request() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    for text in ["../v2", "a/b", "..", "acme$bob", "a b", "a?b=c"] {
        let id = BackendId::new(text).unwrap();
        let change = LimitChange::new(resource(json!({})), id.clone(), limits(1, 1));
        let errors = [
            backend.get(&cx(), &id).await.unwrap_err(),
            backend.create(&cx(), &CreateRequest::new(order(), resource(json!({})), id.clone())).await.unwrap_err(),
            backend.delete(&cx(), &DeleteRequest::new(order(), resource(json!({})), id.clone())).await.unwrap_err(),
            backend.set_limits(&cx(), &change).await.unwrap_err(),
            backend.inspect(&cx(), std::slice::from_ref(&id), Aspects::ALL).await.remove(&id).unwrap().unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.kind() == ErrorKind::Config), "{text}: {errors:?}");
    }
    assert!(gate.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn s38_a_changed_option_changes_both_quotas_and_keeps_the_other_ceiling() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({ "storage_limit": 100, "object_limit": 10_000 }))).await.unwrap();
    update_options(&backend, json!({ "storage_limit": 200 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 200 * GIB, 10_000); 2]);
    // 0 takes a ceiling away.
    update_options(&backend, json!({ "object_limit": 0 })).await.unwrap();
    assert_eq!(quotas(&gate), [(true, 200 * GIB, -1); 2]);
    // Nothing of ours changed: nothing is even read.
    gate.take_log();
    update_options(&backend, json!({ "colour": "red" })).await.unwrap();
    assert!(gate.take_log().is_empty());
    assert_eq!(
        update_options(&backend, json!({ "storage_limit": "lots" })).await.unwrap_err().class(),
        ErrorClass::Rejected
    );
}

#[tokio::test(start_paused = true)]
async fn s39_no_secret_is_in_an_error_or_a_debug_text() {
    let canary = "canary-secret-of-the-customer";
    let gate = Gate::new();
    gate.fake.mint_next("CUSTOMERKEY", canary);
    let backend = backend(gate.clone());
    let mut texts = Vec::new();
    let created = create(&backend, &request(json!({}))).await.unwrap();
    texts.push(format!("{created:?} {backend:?} {:?}", backend.client()));
    let found = backend.client().users().get_with_keys(&waldur_backend_croit::client::Uid::new(UID).unwrap()).await;
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
        assert!(!text.contains(canary) && !text.contains(common::SECRET_KEY), "{text}");
    }
    // Nor in a URL: the gateway keeps its request lines.
    assert!(gate.take_log().iter().all(|line| !line.contains(canary) && !line.contains("secret-key")));
}

#[tokio::test(start_paused = true)]
async fn s40_ping_lists_users_and_a_refusal_is_an_error() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    backend.ping(&cx()).await.unwrap();
    assert_eq!(gate.take_log(), ["GET /admin/user?list=&max-entries=1"]);
    gate.fail("list=", 1, Failure::Status(403, r#"{"Code":"InvalidAccessKeyId"}"#.to_owned()));
    assert_eq!(backend.ping(&cx()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    gate.fail("list=", 1, Failure::Status(401, String::new()));
    assert!(backend.ping(&cx()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_names_the_missing_right_and_changes_nothing() {
    use waldur_backend_croit::testing::{Caps, FakeRadosGw};
    let fake = |caps: &str| {
        let caps: Caps = caps.parse().unwrap();
        FakeRadosGw::builder().admin(common::ACCESS_KEY, common::SECRET_KEY).clock(common::now).admin_caps(caps).build()
    };
    let outcome = async |caps: &str, check: &str| {
        let gate = Gate::over(fake(caps));
        let findings = backend(gate.clone()).diagnose(&cx()).await;
        assert!(gate.fake.users().is_empty());
        let finding = findings.iter().find(|finding| finding.check == check).unwrap();
        (finding.outcome, finding.remedy.clone().unwrap_or_default())
    };
    for check in ["users=read", "users=write", "buckets=read"] {
        assert_eq!(outcome("users=*;buckets=read", check).await.0, Outcome::Passed);
        let (missing, remedy) = outcome("zone=read", check).await;
        assert_eq!(missing, Outcome::Failed);
        assert!(remedy.contains(check), "{remedy}");
    }
    assert_eq!(outcome("users=read;buckets=read", "users=write").await.0, Outcome::Failed);
    assert_eq!(outcome("users=*;buckets=read", "clock").await.0, Outcome::Passed);
    assert_eq!(outcome("users=*", "credentials_mode").await.0, Outcome::Warning);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_user_is_paused_and_stays_so() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).suspended()).unwrap();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    assert_eq!(backend.get(&cx(), &id()).await.unwrap().unwrap().status, Status::Paused);
    assert!(gate.fake.user(UID).unwrap().suspended);
}

#[tokio::test(start_paused = true)]
async fn users_of_ours_can_be_imported_and_strangers_cannot() {
    let gate = Gate::new();
    for uid in [UID, "waldur_other", "alice", "acme$waldur_tenant", "waldur_odd user"] {
        gate.fake.add_user(SeedUser::new(uid)).unwrap();
    }
    let backend = backend_with(gate.clone(), json!({}), &components(AccountingType::Limit, &json!({})));
    let mut found = backend.importer().unwrap().list(&cx()).await.unwrap().into_items();
    found.sort_by_key(|item| item.backend_id.to_string());
    let ids: Vec<_> = found.iter().map(|item| item.backend_id.as_str()).collect();
    assert_eq!(ids, [UID, "waldur_other"]);
    assert_eq!(found[0].limits["s3_storage"], Limit::Unlimited);
}
