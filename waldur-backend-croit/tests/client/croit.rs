//! The typed client of croit: what it sends, what it reads, what it refuses to say (croit-api.md). There was no croit to
//! record; the answers are of the contract.

use crate::common::{TOKEN, environment};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_backend_croit::{
    croit::{
        AccessKeyId, CroitClient, Level, Login, NewUser, Quota, QuotaObjects, QuotaSize, Removed, S3Key, Uid, Window,
        error,
    },
    testing::{FakeCroit, SeedUser},
};
use waldur_sdk::{
    Effect, ErrorClass, ErrorKind,
    rest::{BaseUrl, Http, HttpTransport, PlainHttp, TransportErrorKind},
    testing::{Answer, ScriptedTransport},
    types::{Decimal, Timestamp},
};

const SECRET: &str = "canary-secret-key-of-a-customer-0000001";

fn alice() -> Uid {
    Uid::new("alice").unwrap()
}

fn key() -> S3Key {
    S3Key::new("KEY1", SECRET)
}

fn client_at(transport: impl HttpTransport, url: &str, login: &Login) -> CroitClient {
    let url = BaseUrl::parse("api_url", url, PlainHttp::LoopbackOnly).unwrap();
    CroitClient::new(Http::new(transport).with_environment(environment()), &url, login).unwrap()
}

fn client(transport: impl HttpTransport) -> CroitClient {
    client_at(transport, "http://localhost:8080", &Login::token(TOKEN))
}

fn quota(bytes: u64, objects: u64) -> Quota {
    Quota::new(QuotaSize::at_most(bytes).unwrap(), QuotaObjects::at_most(objects).unwrap())
}

fn refused(status: u16, message: &str) -> Answer {
    Answer::status(status).with_json(&json!({ "code": status, "message": message }))
}

fn done() -> Answer {
    Answer::status(204)
}

fn window(from: &str, until: &str) -> Window {
    Window { from: from.parse::<Timestamp>().unwrap(), until: until.parse::<Timestamp>().unwrap() }
}

#[tokio::test(start_paused = true)]
async fn every_call_has_the_form_that_croit_takes() {
    let script = ScriptedTransport::new()
        .then(Answer::json(&json!([])))
        .then(Answer::status(201).with_json(&json!({ "uid": "alice", "keys": [{ "secret_key": "s" }] })))
        .then(done()) // delete
        .then(Answer::json(&json!([])))
        .then(Answer::json(&json!({ "access_key": "KEY1", "secret_key": "s" })))
        .then(done()) // put
        .then(done()) // delete
        .then(done()) // quota
        .then(done())
        .then(Answer::json(&json!([])))
        .then(Answer::json(&json!({})));
    let client = client(script.clone());
    let new = NewUser::new(alice(), "Alice & Co").unwrap().with_email("a@invalid").unwrap();
    let new = new.in_tenant("acme").unwrap().with_placement("fast").unwrap().with_storage_class("COLD").unwrap();
    client.users().all().await.unwrap();
    client.users().create(&new).await.unwrap();
    client.users().delete(&alice()).await.unwrap();
    client.keys().list(&alice()).await.unwrap();
    client.keys().first(&alice()).await.unwrap();
    client.keys().put(&alice(), &S3Key::new("KEY1", "a/b+c=&d")).await.unwrap();
    let id = AccessKeyId::new("KEY1").unwrap();
    assert_eq!(client.keys().delete(&alice(), &id).await.unwrap(), Removed::Now);
    client.quotas().set_user(&alice(), quota(1 << 40, 5)).await.unwrap();
    client.quotas().set_bucket(&alice(), Quota::UNLIMITED).await.unwrap();
    client.buckets().of_user(&alice()).unwrap().collect().await.unwrap();
    let month = window("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    client.stats().user_data(&alice(), month).await.unwrap();
    let requests = script.requests();
    let lines: Vec<_> = requests
        .iter()
        .map(|request| format!("{} {}?{}", request.method, request.path(), request.query()))
        .map(|line| line.trim_end_matches('?').to_owned())
        .collect();
    let expected = [
        "GET /api/s3/users",
        "POST /api/s3/users",
        "DELETE /api/s3/users/alice",
        "GET /api/s3/users/alice/keys",
        "GET /api/s3/users/alice/key",
        "PUT /api/s3/users/alice/keys/KEY1?secretKey=a%2Fb%2Bc%3D%26d",
        "DELETE /api/s3/users/alice/keys/KEY1",
        "PUT /api/s3/users/alice/quota",
        "PUT /api/s3/users/alice/bucket-quota",
        "GET /api/s3/users/alice/buckets",
        "GET /api/stats?graph=s3-user-data&template-s3-user-name=alice&startTime=1793491200&endTime=1793577600\
         &maxDataPoints=2000",
    ];
    assert_eq!(lines, expected);
    let body = |number: usize| serde_json::from_str::<Value>(&requests[number].text()).unwrap();
    let user = json!({ "uid": "alice", "name": "Alice & Co", "email": "a@invalid", "tenant": "acme",
        "defaultPlacement": "fast", "defaultStorageClass": "COLD" });
    assert_eq!(body(1), user);
    assert_eq!(body(7), json!({ "enabled": true, "maxSize": 1_u64 << 40, "maxObjects": 5 }));
    // A ceiling that there is not is left out: 0 would mean that nothing is allowed.
    assert_eq!(body(8), json!({ "enabled": false }));
    for request in &requests {
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.authorization(), Some(format!("Bearer {TOKEN}").as_str()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_method_carries_what_every_call_does() {
    let script = ScriptedTransport::new().then(Answer::json(&json!([])));
    client(script.clone()).rest().get("users.list", "/s3/users", &[]).send_unit().await.unwrap();
    let request = &script.requests()[0];
    assert_eq!((request.path(), request.header("content-type")), ("/api/s3/users", Some("application/json")));
    assert_eq!(request.authorization(), Some(format!("Bearer {TOKEN}").as_str()));
}

#[tokio::test(start_paused = true)]
async fn the_api_is_at_api_once_and_a_password_is_as_good_as_a_token() {
    for (url, path) in [
        ("http://localhost:8080", "/api/s3/users"),
        ("http://localhost:8080/", "/api/s3/users"),
        ("http://localhost:8080/api", "/api/s3/users"),
        ("http://localhost:8080/api/", "/api/s3/users"),
        ("http://localhost:8080/croit", "/croit/api/s3/users"),
    ] {
        let script = ScriptedTransport::new().then(Answer::json(&json!([])));
        let login = Login::password("u", "canary");
        let client = client_at(script.clone(), url, &login);
        client.users().all().await.unwrap();
        let request = &script.requests()[0];
        assert_eq!((request.path(), request.authorization()), (path, Some("Basic dTpjYW5hcnk=")));
        assert!(!format!("{client:?} {login:?}").contains("canary"));
    }
    let url = BaseUrl::parse("api_url", "http://localhost", PlainHttp::LoopbackOnly).unwrap();
    for blank in [Login::token(" "), Login::password("a:b", "x")] {
        let error = CroitClient::new(Http::new(ScriptedTransport::new()), &url, &blank).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_that_come_as_faults_are_refusals_and_are_not_repeated() {
    let client_of = |status: u16, text: &str| {
        let script = ScriptedTransport::new().then(refused(status, text));
        (client(script.clone()), script)
    };
    let new = NewUser::new(alice(), "Alice").unwrap();
    for (status, text) in [(409, "conflict"), (500, "User Already EXISTS."), (500, "email exists")] {
        let (client, script) = client_of(status, text);
        let error = client.users().create(&new).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::AlreadyExists, Some(error::USER_EXISTS)));
        assert_eq!((error.effect(), script.sent()), (Effect::NotApplied, 1), "{text}");
    }
    let (client, script) = client_of(500, "Unable to remove user with buckets.");
    let error = client.users().delete(&alice()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Conflict, Some(error::USER_HAS_BUCKETS)));
    assert_eq!(script.sent(), 1);
    let (client, script) = client_of(500, "unable to find access key KEY1");
    assert_eq!(client.keys().delete(&alice(), &AccessKeyId::new("KEY1").unwrap()).await.unwrap(), Removed::Before);
    assert_eq!(script.sent(), 1);
    let (client, _) = client_of(404, "no such user");
    let error = client.keys().list(&alice()).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some(error::NO_SUCH_USER)));
    let (client, _) = client_of(401, "token expired");
    let error = client.users().all().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Unauthenticated, ErrorClass::NotReady));

    // The same words elsewhere are a fault like any other, and repeated.
    let script = ScriptedTransport::new().then(refused(500, "buckets exists")).then(Answer::json(&json!([])));
    client_at(script.clone(), "http://localhost", &Login::token("t")).keys().list(&alice()).await.unwrap();
    assert_eq!(script.sent(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_is_gone_says_nothing_about_the_user() {
    let script = ScriptedTransport::new().then(refused(404, "graph not found"));
    let month = window("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    let error = client(script).stats().user_data(&alice(), month).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, Some(error::NO_SUCH_GRAPH)));
    assert!(!error.is_not_found());
    // A wrong base URL is a mistake in the settings, whatever answers there.
    for body in ["{}", "<html>nothing here</html>"] {
        let script = ScriptedTransport::new().then(Answer::status(404).with_body(body));
        assert_eq!(client(script).users().all().await.unwrap_err().kind(), ErrorKind::Config);
    }
    // A proxy's page is no word of croit's about a user.
    let script = ScriptedTransport::new().then(Answer::status(404).with_body("<html>nothing here</html>"));
    assert_eq!(client(script).keys().list(&alice()).await.unwrap_err().kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn only_the_right_success_is_one() {
    for answer in [Answer::json(&json!({})), Answer::status(200).with_body("<html>log in</html>"), Answer::status(202)]
    {
        let client_of = || client(ScriptedTransport::new().otherwise(answer.clone()));
        let outcomes = [
            client_of().users().delete(&alice()).await,
            client_of().quotas().set_user(&alice(), quota(1, 1)).await,
            client_of().quotas().set_bucket(&alice(), quota(1, 1)).await,
            client_of().users().create(&NewUser::new(alice(), "Alice").unwrap()).await.map(drop),
        ];
        for outcome in outcomes {
            let error = outcome.unwrap_err();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::WrongContent, Effect::Unknown), "{error}");
            assert!(!error.operation().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_list_is_no_empty_list() {
    for body in ["{}", "null", "<html>log in</html>", "", "[{\"uid\":\"a\"}", "{\"users\":[]}"] {
        let client_of = || client(ScriptedTransport::new().otherwise(Answer::status(200).with_body(body)));
        assert!(client_of().users().all().await.is_err(), "{body}");
        assert!(client_of().keys().list(&alice()).await.is_err(), "{body}");
        assert!(client_of().buckets().of_user(&alice()).unwrap().collect().await.is_err(), "{body}");
    }
    // An entry that cannot be read leaves the keys unknown: who prunes has to know all.
    let rows = json!([{ "access_key": "A", "secret_key": "s", "user": "alice" }, { "user": "alice" }]);
    let script = ScriptedTransport::new().then(Answer::json(&rows));
    assert_eq!(client(script).keys().list(&alice()).await.unwrap_err().kind(), ErrorKind::Inconsistent);
}

#[tokio::test(start_paused = true)]
async fn users_and_buckets_are_read_as_croit_writes_them() {
    let rows = json!([
        { "uid": "alice", "name": "Alice", "email": null, "suspended": true, "more": 1,
          "userQuota": { "enabled": true, "maxSize": 1024.0, "maxObjects": null }, "bucketQuota": null },
        { "uid": "bob", "userQuota": { "enabled": true, "maxSize": -1, "maxObjects": 0 } },
        { "uid": "eve", "userQuota": { "enabled": true, "maxSize": "all" } },
    ]);
    let script = ScriptedTransport::new().then(Answer::json(&rows));
    let users = client(script).users().all().await.unwrap();
    let user = users.get(&alice()).unwrap().unwrap();
    assert_eq!((user.suspended, user.email.as_deref(), user.bucket_quota), (true, None, None));
    assert_eq!(user.user_quota.unwrap().effective(), (QuotaSize::at_most(1024).unwrap(), QuotaObjects::UNLIMITED));
    let bob = users.get(&Uid::new("bob").unwrap()).unwrap().unwrap();
    assert_eq!(bob.user_quota.unwrap().effective(), (QuotaSize::UNLIMITED, QuotaObjects::at_most(0).unwrap()));
    assert_eq!(users.get(&Uid::new("eve").unwrap()).unwrap_err().kind(), ErrorKind::Inconsistent);
    assert!(users.get(&Uid::new("mallory").unwrap()).unwrap().is_none());
    assert_eq!((users.iter().count(), users.bad().len()), (2, 1));

    let rows = json!([
        { "bucket": "a", "owner": "alice", "usageSum": { "size": 5.0, "numObjects": 2.0 } },
        { "bucket": "b", "usageSum": null },
        { "bucket": "c" },
        { "bucket": "d", "usageSum": { "size": -1, "numObjects": 0 } },
    ]);
    let script = ScriptedTransport::new().then(Answer::json(&rows));
    let listing = client(script).buckets().of_user(&alice()).unwrap().collect().await.unwrap();
    let stored: Vec<_> = listing.items().iter().map(|bucket| bucket.stored.map(|stored| stored.size)).collect();
    assert_eq!((stored, listing.bad().len()), (vec![Some(5), None, None], 1));
    assert!(listing.complete().is_err(), "what is negative is unknown");
}

#[tokio::test(start_paused = true)]
async fn a_series_may_have_gaps_and_numbers_that_are_none() {
    let body = r#"{"name":"NaN","axis1":{"unit":"BYTES","graphs":[{"datapoints":[
        {"t":1,"v":null},{"t":2.0,"v":5},{"t":3,"v":NaN},{"t":4,"v":1.5e3},{"t":5,"v":-Infinity},{"t":6}]}]}}"#;
    let script = ScriptedTransport::new()
        .then(Answer::status(200).with_body(body))
        .then(Answer::json(&json!({ "axis1": null })))
        .then(Answer::json(&json!({ "axis1": { "graphs": [] } })))
        .then(Answer::status(200).with_body("<html>"))
        .then(Answer::json(&json!({ "axis1": { "graphs": [{ "datapoints": [{ "v": 1 }] }] } })));
    let client = client(script);
    let month = window("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z");
    let read = async || client.stats().user_data(&alice(), month).await;
    let points: Vec<_> = read().await.unwrap().points.iter().map(|point| (point.at, point.level)).collect();
    let bytes = |number: i64| Level::Bytes(Decimal::from(number));
    let expected = [
        (1, Level::Unknown),
        (2, bytes(5)),
        (3, Level::NotFinite),
        (4, bytes(1500)),
        (5, Level::NotFinite),
        (6, Level::Unknown),
    ];
    assert_eq!(points, expected);
    assert!(read().await.unwrap().points.is_empty());
    assert!(read().await.unwrap().points.is_empty());
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::Decode);
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_arrival_is_unclear_is_looked_for_and_not_sent_twice() {
    let listed = |secret: &str| Answer::json(&json!([{ "user": "alice", "access_key": "KEY1", "secret_key": secret }]));
    for lost in [Answer::fail(TransportErrorKind::Interrupted), refused(500, "backend"), refused(409, "KeyExists")] {
        let script = ScriptedTransport::new().then(lost.clone()).then(listed(SECRET));
        client(script.clone()).keys().put(&alice(), &key()).await.unwrap();
        assert_eq!(script.sent(), 2);
        // Another secret under the same name is somebody else's work.
        let script = ScriptedTransport::new().then(lost).then(listed("another"));
        let error = client(script.clone()).keys().put(&alice(), &key()).await.unwrap_err();
        assert_eq!(script.sent(), 2);
        assert!(!format!("{error:?} {:?}", error.chain()).contains("another"));
    }
    // What never left may be sent again, as anything.
    let script = ScriptedTransport::new().then(Answer::fail(TransportErrorKind::Connect)).then(done());
    client(script.clone()).keys().put(&alice(), &key()).await.unwrap();
    assert_eq!(script.sent(), 2);
}

#[tokio::test(start_paused = true)]
async fn s39_sec04_the_secret_in_the_query_is_in_no_error_and_no_debug_text() {
    let echo = format!("cannot PUT /api/s3/users/alice/keys/KEY1?secretKey={SECRET}");
    for answer in [
        refused(500, &echo),
        refused(400, &echo),
        refused(401, &echo),
        Answer::status(502).with_body(format!("<html>{echo}</html>")),
        Answer::status(200).with_body(echo.clone()),
        Answer::fail(TransportErrorKind::Interrupted),
    ] {
        let script = ScriptedTransport::new().otherwise(answer);
        let client = client(script);
        let error = client.keys().put(&alice(), &key()).await.unwrap_err();
        let text = format!("{error} {error:?} {:?} {client:?} {:?}", error.chain(), key());
        assert!(!text.contains("canary"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn s26_nothing_but_a_checked_name_reaches_a_path_of_croits() {
    for hostile in ["..", ".", "", "a/b", "a?b", "a$b", "a%2e", "a b", "ä"] {
        assert_eq!(Uid::new(hostile).unwrap_err().kind(), ErrorKind::Config);
        assert_eq!(S3Key::new(hostile, "s").id().unwrap_err().kind(), ErrorKind::Config);
        let script = ScriptedTransport::new();
        let outcome = client(script.clone()).keys().put(&alice(), &S3Key::new(hostile, "s")).await;
        assert_eq!((outcome.unwrap_err().kind(), script.sent()), (ErrorKind::Config, 0));
    }
    // croit's paths have no place for a tenant.
    let script = ScriptedTransport::new();
    let uid = alice().in_tenant(waldur_backend_croit::s3::Tenant::new("acme").unwrap());
    let error = client(script.clone()).users().delete(&uid).await.unwrap_err();
    assert_eq!((error.kind(), script.sent()), (ErrorKind::Unsupported, 0));
}

#[tokio::test(start_paused = true)]
async fn the_fake_behaves_as_the_contract_says() {
    let fake = FakeCroit::builder().token(TOKEN).clock(crate::common::now).build();
    let client = client(fake.clone());
    let new =
        |uid: &str, email: &str| NewUser::new(Uid::new(uid).unwrap(), "Somebody").unwrap().with_email(email).unwrap();
    client.users().create(&new("alice", "a@invalid")).await.unwrap();
    // A key comes with the user, and can go.
    let keys = client.keys().list(&alice()).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(client.keys().first(&alice()).await.unwrap().access_key, keys[0].access_key);
    client.keys().put(&alice(), &key()).await.unwrap();
    assert_eq!(client.keys().delete(&alice(), &keys[0].id().unwrap()).await.unwrap(), Removed::Now);
    assert_eq!(client.keys().delete(&alice(), &keys[0].id().unwrap()).await.unwrap(), Removed::Before);
    let left = client.keys().list(&alice()).await.unwrap();
    assert_eq!((left.len(), left[0].secret_key.expose_secret()), (1, SECRET));
    // Names and addresses are unique.
    for taken in [new("alice", "b@invalid"), new("bob", "A@INVALID")] {
        assert_eq!(client.users().create(&taken).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    }
    // Sizes are rounded up to whole KiB.
    client.quotas().set_user(&alice(), quota(1025, 3)).await.unwrap();
    let users = client.users().all().await.unwrap();
    let read = users.get(&alice()).unwrap().unwrap();
    assert_eq!(read.user_quota, Some(quota(2048, 3)));
    assert_eq!(read.bucket_quota, None);
    // Users come in no order.
    for number in 0..20 {
        fake.gateway().add_user(SeedUser::new(&format!("u{number:02}"))).unwrap();
    }
    assert_eq!(client.users().all().await.unwrap().iter().count(), 21);
    // No statistics are no zero.
    fake.gateway().create_bucket("alice", "photos").unwrap();
    fake.forget_statistics("photos");
    let buckets = client.buckets().of_user(&alice()).unwrap().collect().await.unwrap().into_items();
    assert_eq!(buckets[0].stored, None);
    assert!(fake.gateway().unmodelled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_fake_draws_what_was_stored() {
    let now = crate::common::now;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let fake = FakeCroit::builder().token(TOKEN).clock(now).build();
    let client = client(fake.clone());
    fake.gateway().add_user(SeedUser::new("alice")).unwrap();
    fake.stores("alice", at("2026-11-22T06:00:00Z"), 1000);
    fake.stores("alice", at("2026-11-22T09:00:00Z"), 3000);
    fake.hide("alice", at("2026-11-22T07:00:00Z"), at("2026-11-22T08:00:00Z"));
    fake.spoil("alice", at("2026-11-22T11:00:00Z"), at("2026-11-22T11:10:00Z"));
    let day = Window { from: at("2026-11-22T00:00:00Z"), until: now() };
    let points = client.stats().user_data(&alice(), day).await.unwrap().points;
    assert_eq!(points.len(), 12 * 20 + 1);
    let level = |text: &str| points.iter().find(|point| point.at == at(text).as_second()).unwrap().level;
    assert_eq!(level("2026-11-22T05:57:00Z"), Level::Unknown);
    assert_eq!(level("2026-11-22T06:00:00Z"), Level::Bytes(1000.into()));
    assert_eq!(level("2026-11-22T07:30:00Z"), Level::Unknown);
    assert_eq!(level("2026-11-22T09:00:00Z"), Level::Bytes(3000.into()));
    assert_eq!(level("2026-11-22T11:00:00Z"), Level::NotFinite);
    // A long window has averages, and no more points than were asked for.
    let month = Window { from: at("2026-11-01T00:00:00Z"), until: now() };
    let points = client.stats().user_data(&alice(), month).await.unwrap().points;
    assert!(points.len() <= 2000 && points.len() > 1000, "{}", points.len());
    let nobody = Uid::new("nobody").unwrap();
    assert!(client.stats().user_data(&nobody, day).await.unwrap().points.is_empty());
    fake.forget_graph();
    assert_eq!(client.stats().user_data(&alice(), day).await.unwrap_err().code(), Some(error::NO_SUCH_GRAPH));
}
