//! The typed client: what it sends, what it reads, what it refuses to say.

use crate::common::{Gate, admin, body, client, client_with, endpoint, environment, lines, refused, user};
use futures_util::future::join_all;
use serde_json::json;
use waldur_backend_croit::radosgw::{
    AccessKeyId, BucketName, Cap, CapKind, CapPerm, Freshness, InitialKey, MaxBuckets, NewUser, PageSize, Quota,
    QuotaObjects, QuotaSize, Quotas, RadosGwClient, Removed, Tenant, Uid, UsageQuery, UserChange, error,
};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    rest::{Http, RetryPolicy, TransportErrorKind},
    testing::{Answer, ScriptedTransport},
    types::Timestamp,
};

fn alice() -> Uid {
    Uid::new("alice").unwrap()
}

fn quota(bytes: u64, objects: u64) -> Quota {
    Quota::new(QuotaSize::at_most(bytes).unwrap(), QuotaObjects::at_most(objects).unwrap())
}

#[tokio::test(start_paused = true)]
async fn every_call_has_the_form_that_the_gateway_takes() {
    let alice_object = user("alice", json!({}));
    let keys = json!([{ "user": "alice", "access_key": "KEY1", "secret_key": "s" }]);
    let with_key = user("alice", json!({ "keys": keys }));
    let empty = || Answer::status(200);
    let script = ScriptedTransport::new()
        .then(Answer::json(&alice_object)) // create
        .then(Answer::json(&alice_object)) // modify
        .then(Answer::json(&alice_object)) // suspend
        .then(empty()) // delete
        .then(empty()) // delete with data
        .then(Answer::json(&alice_object)) // stats
        .then(Answer::json(&alice_object)) // stats now
        .then(Answer::json(&with_key)) // keys.create reads
        .then(Answer::json(&keys))
        .then(Answer::json(&keys)) // mint
        .then(Answer::json(&with_key)) // keys.delete reads
        .then(empty())
        .then(Answer::json(&json!([{ "type": "users", "perm": "*" }])))
        .then(Answer::json(&json!([])))
        .then(empty()) // quotas
        .then(empty())
        .then(empty())
        .then(empty()) // bucket quota
        .then(empty()) // link
        .then(empty()) // delete bucket
        .then(empty())
        .then(body(r#"{"entries":[],"summary":[]}"#));
    let client = client(script.clone());
    let new = NewUser::new(alice(), "Alice & Co + Söhne").unwrap().with_email("a@b.c").unwrap();
    let new = new.with_max_buckets(MaxBuckets::Unlimited).with_placement("fast/COLD").unwrap();
    let caps = [Cap::new(CapKind::Users, CapPerm::All), Cap::new(CapKind::Buckets, CapPerm::Read)];
    let key = AccessKeyId::new("KEY1").unwrap();
    client.users().create(&new.with_caps(caps.to_vec()).unwrap()).await.unwrap();
    let change = UserChange::default().with_display_name("New").unwrap().with_max_buckets(MaxBuckets::Forbidden);
    client.users().modify(&alice(), &change).await.unwrap();
    client.users().set_suspended(&alice(), true).await.unwrap();
    client.users().delete(&alice()).await.unwrap();
    client.users().delete_with_data(&alice()).await.unwrap();
    client.users().get_with_stats(&alice(), Freshness::Cached).await.unwrap();
    client.users().get_with_stats(&alice(), Freshness::Now).await.unwrap();
    client.keys().create(&alice(), &key).await.unwrap();
    client.keys().mint(&alice()).await.unwrap();
    assert_eq!(client.keys().delete(&alice(), &key).await.unwrap(), Removed::Now);
    client.caps().add(&alice(), &caps).await.unwrap();
    client.caps().remove(&alice(), &caps).await.unwrap();
    client.quotas().set(&alice(), Quotas::new(quota(1 << 40, 5), Quota::UNLIMITED)).await.unwrap();
    client.quotas().set_user(&alice(), quota(0, 7)).await.unwrap();
    client.quotas().set_bucket(&alice(), Quota::UNLIMITED).await.unwrap();
    let bucket = BucketName::new("photos").unwrap().in_tenant(Tenant::new("acme").unwrap());
    client.buckets().set_quota(&bucket, &alice(), quota(9, 0)).await.unwrap();
    client.buckets().link(&bucket, &alice()).await.unwrap();
    client.buckets().delete(&bucket).await.unwrap();
    client.buckets().delete_with_objects(&bucket).await.unwrap();
    let (start, end): (Timestamp, Timestamp) =
        ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-12-01T00:00:00.5Z".parse().unwrap());
    client.usage().read(&UsageQuery::default().of(alice()).between(start, end)).await.unwrap();

    let expected = [
        "PUT /admin/user?uid=alice&display-name=Alice%20%26%20Co%20%2B%20S%C3%B6hne&email=a%40b.c&max-buckets=0\
         &default-placement=fast%2FCOLD&user-caps=users%3D%2A%3Bbuckets%3Dread&generate-key=false",
        "POST /admin/user?uid=alice&display-name=New&max-buckets=-1&generate-key=false",
        "POST /admin/user?uid=alice&suspended=true&generate-key=false",
        "DELETE /admin/user?uid=alice&purge-data=false",
        "DELETE /admin/user?uid=alice&purge-data=true",
        "GET /admin/user?uid=alice&stats=true",
        "GET /admin/user?uid=alice&stats=true&sync=true",
        "GET /admin/user?uid=alice",
        "PUT /admin/user?key=&uid=alice&access-key=KEY1&generate-key=true",
        "PUT /admin/user?key=&uid=alice&generate-key=true",
        "GET /admin/user?uid=alice",
        "DELETE /admin/user?key=&uid=alice&access-key=KEY1",
        "PUT /admin/user?caps=&uid=alice&user-caps=users%3D%2A%3Bbuckets%3Dread",
        "DELETE /admin/user?caps=&uid=alice&user-caps=users%3D%2A%3Bbuckets%3Dread",
        "PUT /admin/user?quota=&uid=alice",
        "PUT /admin/user?quota=&uid=alice&quota-type=user&max-size=0&max-objects=7&enabled=true",
        "PUT /admin/user?quota=&uid=alice&quota-type=bucket&max-size=-1&max-objects=-1&enabled=false",
        "PUT /admin/bucket?quota=&uid=alice&bucket=acme%2Fphotos&max-size=9&max-objects=0&enabled=true",
        "PUT /admin/bucket?bucket=acme%2Fphotos&uid=alice",
        "DELETE /admin/bucket?bucket=acme%2Fphotos&purge-objects=false",
        "DELETE /admin/bucket?bucket=acme%2Fphotos&purge-objects=true",
        "GET /admin/usage?uid=alice&start=2026-11-01T00%3A00%3A00Z&end=2026-12-01T00%3A00%3A00Z",
    ];
    assert_eq!(lines(&script), expected);
    let both = script.requests()[14].text();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&both).unwrap(),
        json!({
            "user_quota": { "enabled": true, "check_on_raw": false, "max_size": 1_u64 << 40, "max_objects": 5 },
            "bucket_quota": { "enabled": false, "check_on_raw": false, "max_size": -1, "max_objects": -1 },
        })
    );
    assert_eq!(script.requests()[14].header("x-amz-content-sha256"), Some("UNSIGNED-PAYLOAD"));
    assert_eq!(script.unused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_method_goes_below_the_admin_api_and_is_signed() {
    let script = ScriptedTransport::new().then(Answer::json(&json!({ "info": {} })));
    let call = client(script.clone()).rest().get("info.get", "/info", &[]).query("format", "json");
    call.send_unit().await.unwrap();
    assert_eq!(lines(&script), ["GET /admin/info"]);
    assert!(script.requests()[0].authorization().unwrap().starts_with("AWS4-HMAC-SHA256 "));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_could_break_out_of_its_place_is_refused_before_any_request() {
    let long = "x".repeat(256);
    for name in ["", ".", "..", "a/b", "../v2", "tenant$x", "$x", "a\0b", "a\nb", "a b", "ü", "a?b", "%2e", &long] {
        for error in [
            Uid::new(name).unwrap_err(),
            BucketName::new(name).unwrap_err(),
            AccessKeyId::new(name).unwrap_err(),
            Tenant::new(name).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(name.len() < 4 || !error.to_string().contains(name), "{error}");
        }
    }
    assert!(Uid::new("x".repeat(255)).is_ok());
    assert!(Tenant::new("a-b").is_err() && Tenant::new("a.b").is_err() && Tenant::new("a_b").is_ok());
    for text in ["", "  ", "a\nb", "a\0b"] {
        assert!(NewUser::new(alice(), text).is_err());
        assert!(NewUser::new(alice(), "Alice").unwrap().with_email(text).is_err());
    }
    assert!(PageSize::new(0).is_err() && PageSize::new(1001).is_err());
    let unknown = [Cap::new(CapKind::from("future"), CapPerm::Read)];
    assert!(client(ScriptedTransport::new()).caps().add(&alice(), &unknown).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_tenants_user_is_addressed_by_its_whole_name() {
    let script = ScriptedTransport::new().then(Answer::json(&user("carol", json!({ "tenant": "acme" }))));
    let uid = Uid::new("carol").unwrap().in_tenant(Tenant::new("acme").unwrap());
    assert!(client(script.clone()).users().get(&uid).await.unwrap().is_some());
    assert_eq!(lines(&script), ["GET /admin/user?uid=acme%24carol"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_user_is_not_taken() {
    let script = ScriptedTransport::new().then(Answer::json(&user("bob", json!({}))));
    let error = client(script).users().get(&alice()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn f051_only_the_gateways_own_word_proves_absence() {
    let absent = ScriptedTransport::new().then(refused(404, error::NO_SUCH_USER));
    assert!(client(absent).users().get(&alice()).await.unwrap().is_none());
    let not_found = |answer: Answer| async move {
        let script = ScriptedTransport::new().then(answer.clone()).then(answer);
        let client = client(script);
        (client.users().get(&alice()).await.unwrap_err(), client.users().delete(&alice()).await.unwrap_err())
    };
    let page = Answer::status(404).with_header("content-type", "text/html").with_body("<html>not found</html>");
    let doubtful = [
        page,
        Answer::status(404),
        Answer::status(404).with_json(&json!({ "message": "no Route matched" })),
        Answer::status(404).with_body("<?xml version=\"1.0\"?><Error><Code>NoSuchUser</Code></Error>"),
        refused(404, "NoSuchBucket"),
    ];
    for answer in doubtful {
        let (read, deleted) = not_found(answer).await;
        for error in [read, deleted] {
            assert_eq!(error.kind(), ErrorKind::WrongContent, "{error}");
            assert_eq!(error.class(), ErrorClass::NotReady);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f047_a_missing_right_is_named() {
    let denied = || refused(403, "AccessDenied");
    let script = ScriptedTransport::new().otherwise(denied());
    let client = client(script.clone());
    let (uid, bucket) = (alice(), BucketName::new("b").unwrap());
    let new = NewUser::new(uid.clone(), "Alice").unwrap();
    let size = PageSize::default();
    let errors = [
        (client.users().get(&uid).await.unwrap_err(), "users=read"),
        (client.users().create(&new).await.unwrap_err(), "users=write"),
        (client.quotas().set(&uid, Quotas::both(Quota::UNLIMITED)).await.unwrap_err(), "users=write"),
        (client.keys().mint(&uid).await.unwrap_err(), "users=write"),
        (client.buckets().get(&bucket).await.unwrap_err(), "buckets=read"),
        (client.buckets().delete(&bucket).await.unwrap_err(), "buckets=write"),
        (client.usage().read(&UsageQuery::default()).await.unwrap_err(), "usage=read"),
        (client.metadata().users(size).collect().await.unwrap_err(), "metadata=read"),
    ];
    for (error, right) in &errors {
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.message().contains(&format!("`{right}`")), "{error}");
        assert_eq!(error.attempts(), 1);
    }
    assert_eq!(script.sent(), errors.len());
}

#[tokio::test(start_paused = true)]
async fn codes_become_kinds() {
    use ErrorKind as K;
    let table = [
        (404, "NoSuchUser", K::NotFound),
        (409, "UserAlreadyExists", K::AlreadyExists),
        (409, "EmailExists", K::AlreadyExists),
        (409, "KeyExists", K::AlreadyExists),
        (409, "BucketAlreadyExists", K::Conflict),
        (403, "SignatureDoesNotMatch", K::Unauthenticated),
        (403, "InvalidAccessKeyId", K::Unauthenticated),
        (403, "UserSuspended", K::Unauthenticated),
        (403, "RequestTimeTooSkewed", K::ClockSkew),
        (403, "AccessDenied", K::PermissionDenied),
        (400, "InvalidArgument", K::InvalidRequest),
        (400, "InvalidCapability", K::InvalidRequest),
        (400, "InvalidTenantName", K::InvalidRequest),
        (405, "MethodNotAllowed", K::Unsupported),
        (501, "NotImplemented", K::Unsupported),
        (500, "UnknownError", K::Server),
        (503, "SlowDown", K::Unavailable),
        (418, "Whatever", K::InvalidRequest),
    ];
    for (status, code, kind) in table {
        let script = ScriptedTransport::new().otherwise(refused(status, code));
        let error = client_with(script, RetryPolicy::none()).users().delete(&alice()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)), "{error}");
    }
    // Without a code it was not the gateway that refused.
    for status in [401, 403, 409, 412] {
        let script = ScriptedTransport::new().then(Answer::status(status));
        let error = client(script).users().delete(&alice()).await.unwrap_err();
        assert_eq!(error.kind(), K::WrongContent, "{error}");
    }
    let script = ScriptedTransport::new().then(Answer::status(405));
    assert_eq!(client(script).users().delete(&alice()).await.unwrap_err().kind(), K::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn f056_a_write_that_loses_races_is_repeated_and_then_left_for_later() {
    let raced = || refused(409, "ConcurrentModification");
    let script = ScriptedTransport::new().then(raced()).then(refused(500, "UnknownError")).then(Answer::status(200));
    let quotas = Quotas::both(Quota::UNLIMITED);
    client(script.clone()).quotas().set(&alice(), quotas).await.unwrap();
    assert_eq!(script.sent(), 3);

    let script = ScriptedTransport::new().otherwise(raced());
    let error = client(script.clone()).quotas().set(&alice(), quotas).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(script.sent() <= 5, "{} sendings", script.sent());
}

#[tokio::test(start_paused = true)]
async fn a_create_is_not_repeated_once_it_may_have_arrived() {
    let new = NewUser::new(alice(), "Alice").unwrap();
    let unknown = [
        refused(500, "UnknownError"),
        Answer::status(502),
        Answer::fail(TransportErrorKind::Timeout),
        Answer::fail(TransportErrorKind::Interrupted),
    ];
    for answer in unknown {
        let script = ScriptedTransport::new().otherwise(answer);
        let error = client(script.clone()).users().create(&new).await.unwrap_err();
        assert_eq!(error.effect(), waldur_sdk::Effect::Unknown, "{error}");
        assert_eq!(script.sent(), 1);
    }
    // Nothing was sent, so nothing can have happened.
    let script = ScriptedTransport::new()
        .then(Answer::fail(TransportErrorKind::Connect))
        .then(Answer::json(&user("alice", json!({}))));
    client(script).users().create(&new).await.unwrap();
}

#[test]
fn f088_each_number_of_a_quota_has_its_own_meaning() {
    let read = |size: &str| {
        let text = format!(r#"{{"enabled":true,"check_on_raw":false,"max_size":{size},"max_objects":7}}"#);
        serde_json::from_str::<Quota>(&text)
    };
    assert_eq!(read("-1").unwrap().max_size, QuotaSize::UNLIMITED);
    assert_eq!(read("-5").unwrap().max_size, QuotaSize::UNLIMITED);
    assert_eq!(read("0").unwrap().max_size.limit(), Some(0));
    assert_eq!(read("9223372036854775806").unwrap().max_size.limit(), Some((1 << 63) - 2));
    for nonsense in ["null", "9223372036854775808", "1.5", "\"10G\"", "\"5\"", "1e400", "[]"] {
        assert!(read(nonsense).is_err(), "{nonsense}");
    }
    let missing = r#"{"enabled":true,"max_objects":7}"#;
    assert!(serde_json::from_str::<Quota>(missing).is_err());

    // 0 is written as 0, no ceiling as -1, and what the gateway would take for unlimited cannot be said.
    assert_eq!(QuotaSize::at_most(0).unwrap().wire(), 0);
    assert_eq!(QuotaSize::UNLIMITED.wire(), -1);
    assert_eq!(QuotaSize::at_most((1 << 63) - 2).unwrap().wire(), i64::MAX - 1);
    for huge in [(1 << 63) - 1, 1 << 63, u64::MAX] {
        assert!(QuotaSize::at_most(huge).is_err() && QuotaObjects::at_most(huge).is_err());
    }
    assert!(quota(0, 0).enabled, "a ceiling of 0 has to be enforced");
    assert!(!Quota::new(QuotaSize::UNLIMITED, QuotaObjects::UNLIMITED).enabled);
    let mut off = quota(5, 5);
    off.enabled = false;
    assert_eq!(off.effective(), (QuotaSize::UNLIMITED, QuotaObjects::UNLIMITED));
}

#[tokio::test(start_paused = true)]
async fn a_user_whose_quota_is_missing_is_not_taken_for_unlimited() {
    let script = ScriptedTransport::new()
        .then(Answer::json(&user("alice", json!({ "user_quota": null }))))
        .then(Answer::json(&user("alice", json!({ "user_quota": { "enabled": true } }))));
    let client = client(script);
    assert_eq!(client.users().get(&alice()).await.unwrap().unwrap().user_quota, None);
    assert_eq!(client.users().get(&alice()).await.unwrap_err().kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_without_bodies_gets_both_quotas_one_by_one() {
    let script = ScriptedTransport::new()
        .then(refused(501, "NotImplemented"))
        .then(Answer::status(200))
        .then(Answer::status(200));
    client(script.clone()).quotas().set(&alice(), Quotas::both(quota(5, 6))).await.unwrap();
    let types: Vec<_> = lines(&script).into_iter().skip(1).collect();
    assert_eq!(
        types,
        [
            "PUT /admin/user?quota=&uid=alice&quota-type=user&max-size=5&max-objects=6&enabled=true",
            "PUT /admin/user?quota=&uid=alice&quota-type=bucket&max-size=5&max-objects=6&enabled=true",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_of_another_user_is_neither_replaced_nor_removed() {
    let gate = Gate::new();
    let client = client(gate.clone());
    let bob = Uid::new("bob").unwrap();
    let id = AccessKeyId::new("BOBKEY").unwrap();
    client.users().create(&NewUser::new(bob, "Bob").unwrap().with_key(InitialKey::WithId(id.clone()))).await.unwrap();
    let secret = || gate.fake.user("bob").unwrap().keys[0].secret_key.clone();
    let before = secret();
    // The gateway would do either for a user that does not exist.
    for error in
        [client.keys().create(&alice(), &id).await.unwrap_err(), client.keys().delete(&alice(), &id).await.unwrap_err()]
    {
        assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some(error::NO_SUCH_USER)));
    }
    client.users().create(&NewUser::new(alice(), "Alice").unwrap()).await.unwrap();
    let error = client.keys().create(&alice(), &id).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::AlreadyExists, Some(error::KEY_EXISTS)));
    assert_eq!(client.keys().delete(&alice(), &id).await.unwrap(), Removed::Before);
    assert!(gate.fake.login("BOBKEY", &before).is_ok());
}

#[tokio::test(start_paused = true)]
async fn keys_come_and_go() {
    let gate = Gate::new();
    let client = client(gate.clone());
    client.users().create(&NewUser::new(alice(), "Alice").unwrap()).await.unwrap();
    let id = AccessKeyId::new("ALICEKEY").unwrap();
    let first = client.keys().create(&alice(), &id).await.unwrap();
    assert_eq!(gate.fake.login("ALICEKEY", &first.secret_key).unwrap(), "alice");
    let second = client.keys().create(&alice(), &id).await.unwrap();
    assert!(gate.fake.login("ALICEKEY", &first.secret_key).is_err(), "the secret was replaced");
    assert!(gate.fake.login("ALICEKEY", &second.secret_key).is_ok());
    assert_eq!(client.keys().mint(&alice()).await.unwrap().len(), 2);
    assert_eq!(client.keys().delete(&alice(), &id).await.unwrap(), Removed::Now);
    assert_eq!(client.keys().delete(&alice(), &id).await.unwrap(), Removed::Before);
    assert_eq!(client.keys().list(&alice()).await.unwrap().unwrap().len(), 1);
    assert!(gate.fake.unmodelled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn writes_on_one_user_never_meet() {
    let gate = Gate::new();
    let client = client(gate.clone());
    client.users().create(&NewUser::new(alice(), "Alice").unwrap()).await.unwrap();
    gate.take_log();
    let ids: Vec<_> = (0..8).map(|n| AccessKeyId::new(format!("KEY{n}")).unwrap()).collect();
    let uid = alice();
    let made = join_all(ids.iter().map(|id| {
        let client = client.clone();
        let uid = &uid;
        async move { client.keys().create(uid, id).await }
    }))
    .await;
    assert!(made.iter().all(Result::is_ok));
    assert_eq!(gate.fake.user("alice").unwrap().keys.len(), 8);
    // One reading and one write for each: nobody lost a race.
    assert_eq!(gate.take_log().len(), 16);
}

#[tokio::test(start_paused = true)]
async fn two_processes_that_write_to_one_user_both_get_through() {
    let gate = Gate::new();
    let (one, other) = (client(gate.clone()), client(gate.clone()));
    one.users().create(&NewUser::new(alice(), "Alice").unwrap()).await.unwrap();
    let uid = alice();
    let put = |client: &waldur_backend_croit::radosgw::RadosGwClient, objects: u64| {
        let (client, uid) = (client.clone(), uid.clone());
        async move { client.quotas().set_user(&uid, quota(1000, objects)).await }
    };
    let outcomes = join_all([put(&one, 1), put(&other, 2)]).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert!(gate.take_log().len() > 3, "they were meant to collide");
}

#[tokio::test(start_paused = true)]
async fn users_are_listed_to_the_end_whatever_their_names() {
    for metadata in [false, true] {
        let truncated = |yes: bool| if metadata { json!(yes.to_string()) } else { json!(yes) };
        let script = ScriptedTransport::new()
            .then(Answer::json(&json!({
                "keys": ["a\nb", "acme$tn2", "alice"], "truncated": truncated(true), "count": 3, "marker": "4:x::alice",
            })))
            .then(Answer::json(&json!({ "keys": [], "truncated": truncated(true), "count": 0, "marker": "4:x::b" })))
            .then(Answer::json(&json!({ "keys": ["odd user@x"], "truncated": truncated(false), "count": 1 })));
        let client = client(script.clone());
        let size = PageSize::new(3).unwrap();
        let pager = if metadata { client.metadata().users(size) } else { client.users().list(size) };
        let users = pager.collect().await.unwrap().complete().unwrap().into_items();
        let names: Vec<_> = users.iter().map(waldur_backend_croit::radosgw::ListedUid::as_str).collect();
        assert_eq!(names, ["a\nb", "acme$tn2", "alice", "odd user@x"]);
        assert_eq!(users[1].to_uid().unwrap().to_string(), "acme$tn2");
        assert!(users[0].to_uid().is_err() && users[3].to_uid().is_err());
        let path = if metadata { "/admin/metadata/user?" } else { "/admin/user?list=&" };
        assert_eq!(lines(&script)[1], format!("GET {path}max-entries=3&marker=4%3Ax%3A%3Aalice"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_not_whole_is_not_complete() {
    let first = || Answer::json(&json!({ "keys": ["alice"], "truncated": true, "count": 1, "marker": "m1" }));
    let broken = [
        // What the gateway answers, with status 200, to a marker that it never issued (radosgw-api.md §4).
        body(r#"{"keys":["#),
        Answer::json(&json!({ "keys": ["bob"], "truncated": true, "count": 1 })),
        Answer::json(&json!({ "keys": ["bob"], "count": 1 })),
        Answer::json(&json!({ "keys": ["bob"], "truncated": false, "count": 2 })),
        Answer::json(&json!({ "keys": [5], "truncated": false, "count": 1 })),
        first(),
        refused(500, "UnknownError"),
    ];
    for second in broken {
        let script = ScriptedTransport::new().then(first()).otherwise(second.clone());
        let listing = client(script).users().list(PageSize::default()).collect().await.unwrap();
        assert_eq!(listing.items()[0].as_str(), "alice");
        assert!(listing.complete().is_err(), "{second:?}");
    }
    let script = ScriptedTransport::new().then(refused(404, "NoSuchBucket"));
    let error = client(script).users().list(PageSize::default()).collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "a wrong admin path is a setting, not an empty list");
}

#[tokio::test(start_paused = true)]
async fn no_buckets_of_nobody() {
    let script = ScriptedTransport::new()
        .then(body("[]"))
        .then(refused(404, error::NO_SUCH_USER))
        .then(body("[]"))
        .then(refused(404, error::NO_SUCH_USER))
        .then(body("[]"))
        .then(Answer::json(&user("alice", json!({}))));
    let client = client(script.clone());
    assert!(client.buckets().names_of_user(&alice()).await.unwrap_err().is_not_found());
    assert!(client.buckets().of_user(&alice()).collect().await.unwrap_err().is_not_found());
    assert!(client.buckets().names_of_user(&alice()).await.unwrap().is_empty());
    assert_eq!(script.unused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_says_what_it_holds_or_that_it_does_not_know() {
    let usage = json!({ "rgw.main": { "size": 5, "size_actual": 4096, "size_utilized": 0, "num_objects": 2 },
        "rgw.multimeta": { "size": 0, "size_actual": 0, "num_objects": 0 } });
    let bucket = |name: &str, usage: serde_json::Value| json!({ "bucket": name, "owner": "alice", "usage": usage });
    let script = ScriptedTransport::new().then(Answer::json(&json!([
        bucket("full", usage),
        bucket("new", json!({})),
        bucket("silent", serde_json::Value::Null),
        bucket("negative", json!({ "rgw.main": { "size": -1, "num_objects": 0 } })),
        bucket("odd", json!("x")),
    ])));
    let listing = client(script).buckets().of_user(&alice()).collect().await.unwrap();
    let held: Vec<_> = listing.items().iter().map(|bucket| (bucket.bucket.as_str(), bucket.stored())).collect();
    assert_eq!(held[0].1.unwrap().size, 5);
    assert_eq!(held[1], ("new", Some(waldur_backend_croit::radosgw::Stored::default())));
    assert_eq!(held[2], ("silent", None));
    let bad: Vec<_> = listing.bad().iter().map(|row| row.id.as_deref().unwrap()).collect();
    assert_eq!(bad, ["negative", "odd"]);
    assert!(listing.complete().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_purge_has_its_own_time_limit_and_is_sent_once() {
    let script = ScriptedTransport::new().otherwise(Answer::hang());
    let client = client(script.clone()).with_purge_timeout(std::time::Duration::from_mins(2));
    let begun = tokio::time::Instant::now();
    let error = client.users().delete_with_data(&alice()).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    assert_eq!(begun.elapsed().as_secs(), 120);
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_after_the_deadline() {
    let script = ScriptedTransport::new();
    let late = client(script.clone()).until(Some(tokio::time::Instant::now().into_std()));
    assert!(late.users().get(&alice()).await.is_err());
    assert!(late.users().delete(&alice()).await.is_err());
    assert_eq!(script.sent(), 0);
}

#[tokio::test(start_paused = true)]
async fn f052_a_wrong_admin_path_is_no_missing_bucket() {
    // S3 itself answers there, with the code of a missing bucket, or of an object in a bucket of that name.
    let gate = Gate::new();
    gate.fake.create_bucket(waldur_backend_croit::testing::FakeRadosGw::ADMIN, "there").unwrap();
    let at = |path: &str| {
        let http = Http::new(gate.clone()).with_environment(environment());
        RadosGwClient::at(http, &endpoint(), path, &admin()).unwrap()
    };
    let (there, missing) = (BucketName::new("there").unwrap(), BucketName::new("missing").unwrap());
    let right = at("admin");
    assert!(right.buckets().get(&there).await.unwrap().is_some());
    assert!(right.buckets().get(&missing).await.unwrap().is_none());
    assert!(right.buckets().delete(&missing).await.unwrap_err().is_not_found());
    let wrong = at("ops");
    for error in [
        wrong.buckets().get(&there).await.unwrap_err(),
        wrong.buckets().delete(&there).await.unwrap_err(),
        wrong.buckets().delete_with_objects(&there).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let script = ScriptedTransport::new().otherwise(refused(404, "NoSuchKey"));
    let client = client(script);
    for error in [
        client.buckets().get(&there).await.unwrap_err(),
        client.buckets().delete(&there).await.unwrap_err(),
        client.users().delete(&alice()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::WrongContent, "{error}");
    }
}
