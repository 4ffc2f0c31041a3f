//! Recorded exchanges of a real gateway: our signatures against those that it accepted, its answers through the typed
//! client.

use crate::common::client_with;
use crate::recorded::{ADMIN, Exchange, exchanges};
use bytes::Bytes;
use http::Request;
use serde_json::Value;
use waldur_backend_croit::radosgw::{Bucket, ListedUid, PageSize, Quotas, S3Key, SigV4, Tenant, Uid, UsageQuery};
use waldur_sdk::{
    ErrorKind,
    rest::{Authenticator as _, Environment, Http, RetryPolicy},
    testing::{Answer, ScriptedTransport},
    types::Timestamp,
};

fn answer(exchange: &Exchange) -> Answer {
    Answer::status(exchange.status).with_body(exchange.answer.clone())
}

/// Successful answers to requests for `target`, as JSON.
fn answers(method: &str, path: &str, pick: impl Fn(&Exchange) -> bool) -> Vec<(Exchange, Value)> {
    let wanted = |exchange: &Exchange| {
        let own = exchange.target.split_once('?').map_or(exchange.target.as_str(), |(path, _)| path);
        exchange.method == method && own == path && exchange.status == 200 && pick(exchange)
    };
    let json = |exchange: Exchange| {
        let value = serde_json::from_str(&exchange.answer).ok()?;
        Some((exchange, value))
    };
    exchanges().into_iter().filter(wanted).filter_map(json).collect()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The user that an answer is about, if it is one that this client would ask for.
fn asked(user: &Value) -> Option<Uid> {
    let uid = Uid::new(text(user, "user_id")).ok()?;
    match text(user, "tenant") {
        "" => Some(uid),
        tenant => Some(uid.in_tenant(Tenant::new(tenant).unwrap())),
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_users_are_read_without_loss() {
    let mut read = 0;
    for (exchange, json) in answers("GET", "/admin/user", |exchange| !exchange.target.contains("list=")) {
        let Some(uid) = asked(&json) else { continue };
        let script = ScriptedTransport::new().then(answer(&exchange));
        let found = client_with(script, RetryPolicy::none()).users().get_with_keys(&uid).await.unwrap().unwrap();
        let user = &found.user;
        assert_eq!(user.display_name, text(&json, "display_name"), "{}", exchange.name);
        assert_eq!(user.email.as_deref().unwrap_or_default(), text(&json, "email"));
        assert_eq!(i64::from(user.suspended), json.get("suspended").unwrap().as_i64().unwrap());
        assert_eq!(user.max_buckets.wire(), json.get("max_buckets").unwrap().as_i64().unwrap());
        assert_eq!(found.keys.len(), json.get("keys").unwrap().as_array().unwrap().len());
        assert_eq!(user.caps.len(), json.get("caps").unwrap().as_array().unwrap().len());
        assert_eq!(user.stats.is_some(), json.get("stats").is_some());
        for (quota, name) in [(user.user_quota, "user_quota"), (user.bucket_quota, "bucket_quota")] {
            let (quota, json) = (quota.unwrap(), json.get(name).unwrap());
            assert_eq!(quota.enabled, json.get("enabled").unwrap().as_bool().unwrap());
            assert_eq!(quota.max_size.wire(), json.get("max_size").unwrap().as_i64().unwrap().max(-1));
            assert_eq!(quota.max_objects.wire(), json.get("max_objects").unwrap().as_i64().unwrap().max(-1));
        }
        read += 1;
    }
    assert!(read > 25, "only {read} users");
}

#[tokio::test(start_paused = true)]
async fn recorded_quotas_keys_and_usage_are_read() {
    let both = answers("GET", "/admin/user", |exchange| {
        exchange.target.contains("quota=") && !exchange.target.contains("quota-type")
    });
    assert!(!both.is_empty());
    for (exchange, _) in both {
        let script = ScriptedTransport::new().then(answer(&exchange));
        let quotas: Quotas =
            client_with(script, RetryPolicy::none()).quotas().get(&Uid::new("qu").unwrap()).await.unwrap();
        assert!(quotas.user_quota.max_size.wire() >= -1);
    }
    let keys = answers("PUT", "/admin/user", |exchange| exchange.target.contains("key="));
    let keys = keys.into_iter().filter(|(_, json)| json.is_array());
    let mut seen = 0;
    for (exchange, json) in keys {
        let parsed: Vec<S3Key> = serde_json::from_str(&exchange.answer).unwrap();
        assert_eq!(parsed.len(), json.as_array().unwrap().len());
        seen += 1;
    }
    assert!(seen > 5, "only {seen} key lists");
    for (exchange, json) in answers("GET", "/admin/usage", |_| true) {
        let script = ScriptedTransport::new().then(answer(&exchange));
        let log = client_with(script, RetryPolicy::none()).usage().read(&UsageQuery::default()).await.unwrap();
        let count = |name: &str| json.get(name).and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!((log.entries.len(), log.summary.len()), (count("entries"), count("summary")), "{}", exchange.name);
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_buckets_are_read() {
    let mut read = 0;
    for (exchange, json) in answers("GET", "/admin/bucket", |exchange| exchange.target.contains("stats=true")) {
        let Some(rows) = json.as_array() else {
            let bucket: Bucket = serde_json::from_str(&exchange.answer).unwrap();
            assert!(bucket.stored().is_some());
            continue;
        };
        let script = ScriptedTransport::new().then(answer(&exchange));
        let buckets = client_with(script, RetryPolicy::none()).buckets().all().collect().await.unwrap();
        let buckets = buckets.complete().unwrap().into_items();
        assert_eq!(buckets.len(), rows.len(), "{}", exchange.name);
        for (bucket, row) in buckets.iter().zip(rows) {
            assert_eq!(bucket.owner, text(row, "owner"));
            let main = row.pointer("/usage/rgw.main/size").and_then(Value::as_u64).unwrap_or_default();
            assert_eq!(bucket.stored().unwrap().size, main);
            read += 1;
        }
    }
    assert!(read > 5, "only {read} buckets");
}

#[tokio::test(start_paused = true)]
async fn recorded_pages_are_read() {
    let lists = answers("GET", "/admin/user", |exchange| exchange.target.contains("list="));
    let metadata = answers("GET", "/admin/metadata/user", |exchange| exchange.target.contains("max-entries=1"));
    let mut read = 0;
    for (exchange, json) in lists.into_iter().chain(metadata) {
        let Some(keys) = json.get("keys").and_then(Value::as_array) else { continue };
        let script = ScriptedTransport::new().then(answer(&exchange));
        let client = client_with(script, RetryPolicy::none());
        let mut pager = if exchange.target.contains("metadata") {
            client.metadata().users(PageSize::default())
        } else {
            client.users().list(PageSize::default())
        };
        let page = pager.next_page().await.unwrap().unwrap();
        let names: Vec<_> = page.items.iter().map(ListedUid::as_str).collect();
        assert_eq!(names, keys.iter().map(|key| key.as_str().unwrap()).collect::<Vec<_>>());
        let marker = json.get("marker").and_then(Value::as_str);
        let truncated = json.get("truncated").is_some_and(|yes| *yes == Value::Bool(true) || *yes == "true");
        assert_eq!(page.next.map(|token| token.0).as_deref(), marker.filter(|_| truncated), "{}", exchange.name);
        read += 1;
    }
    assert!(read > 5, "only {read} pages");
}

#[tokio::test(start_paused = true)]
async fn recorded_refusals_are_understood() {
    let mut seen = 0;
    for exchange in exchanges().into_iter().filter(|exchange| exchange.status >= 400) {
        let Some(code) = exchange.code() else { continue };
        let script = ScriptedTransport::new().then(answer(&exchange));
        let client = client_with(script, RetryPolicy::none());
        let error = client.users().delete(&Uid::new("alice").unwrap()).await.unwrap_err();
        assert_eq!(error.code(), Some(code.as_str()), "{}", exchange.name);
        assert_ne!(error.kind(), ErrorKind::Other, "{}", exchange.name);
        // Every other "not there" is no word on a user.
        assert_eq!(error.is_not_found(), code == "NoSuchUser", "{}", exchange.name);
        seen += 1;
    }
    assert!(seen > 60, "only {seen} refusals");
}

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What the gateway verified: it answered something else than that the signature is wrong.
fn was_accepted(exchange: &Exchange) -> bool {
    !matches!(exchange.code().as_deref(), Some("SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "InvalidAccessKeyId"))
        && exchange.status != 501
}

#[tokio::test]
async fn sec44_recorded_signatures_are_reproduced() {
    let mut compared = 0;
    for exchange in exchanges() {
        let ours = if exchange.body.is_empty() { EMPTY } else { "UNSIGNED-PAYLOAD" };
        let scope = exchange.authorization("Credential");
        let comparable = scope.starts_with(ADMIN.0)
            && scope.ends_with("/us-east-1/s3/aws4_request")
            && exchange.authorization("SignedHeaders") == "host;x-amz-content-sha256;x-amz-date"
            && exchange.header("x-amz-content-sha256") == ours
            && was_accepted(&exchange)
            // A path that no URL of ours can have.
            && !exchange.target.contains("..");
        if !comparable {
            continue;
        }
        let now: Timestamp = exchange.header("x-amz-date").parse().unwrap();
        let key = S3Key::new(ADMIN.0, ADMIN.1);
        let signer = SigV4::new(&key, Environment::default().with_wall(move || now)).unwrap();
        let mut request = Request::builder()
            .method(exchange.method.as_str())
            .uri(format!("http://{}{}", exchange.header("Host"), exchange.target))
            .body(Bytes::from(exchange.body.clone()))
            .unwrap();
        signer.authenticate(&Http::new(ScriptedTransport::new()), &mut request).await.unwrap();
        let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap();
        let authorization = header("authorization");
        let signature = format!("Signature={}", exchange.authorization("Signature"));
        assert!(authorization.ends_with(&signature), "{}: {authorization}", exchange.name);
        assert!(authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date,"));
        assert_eq!(header("x-amz-date"), exchange.header("x-amz-date"));
        assert_eq!(header("x-amz-content-sha256"), ours);
        assert_eq!(header("host"), exchange.header("Host"));
        compared += 1;
    }
    assert!(compared > 250, "only {compared} recorded signatures were comparable");
}
