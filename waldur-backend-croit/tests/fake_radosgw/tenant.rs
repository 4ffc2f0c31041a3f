//! The tenant's side, the views, and what tests may rely on.

use std::fmt::Write;

use http::Request;
use serde_json::json;
use waldur_backend_croit::testing::{FakeRadosGw, Refused, SeedUser};
use waldur_sdk::rest::{HttpTransport, RequestMeta, TransportErrorKind};

use super::support::{ADMIN, Bench};

#[tokio::test]
async fn statistics_of_a_user_are_old_until_synchronised() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    gateway.add_user(SeedUser::new("a")).unwrap();
    gateway.create_bucket("a", "first").unwrap();
    gateway.put_object("a", "first", "x", 5000).unwrap();
    let objects = async |call: &str| bench.call(call).await.json()["stats"]["num_objects"].clone();
    assert_eq!(objects("GET user?uid=a&stats=true").await, 0);
    assert_eq!(objects("GET user?uid=a&stats=true&sync=true").await, 1);
    gateway.put_object("a", "first", "y", 0).unwrap();
    assert_eq!(objects("GET user?uid=a&stats=true").await, 1);
    gateway.synchronise_statistics("a");
    assert_eq!(objects("GET user?uid=a&stats=true").await, 2);
    // Only asked for together.
    assert_eq!(objects("GET user?uid=a&sync=true").await, json!(null));
}

#[test]
fn user_quotas_can_be_checked_late_and_bucket_quotas_never() {
    for (cold, second) in [(false, Err(Refused::QUOTA_EXCEEDED)), (true, Ok(()))] {
        let gateway = FakeRadosGw::builder().cold_quota_cache(cold).build();
        gateway.add_user(SeedUser::new("a")).unwrap();
        gateway.create_bucket("a", "first").unwrap();
        gateway.edit_user("a", |user| (user.user_quota.enabled, user.user_quota.max_objects) = (true, 1)).unwrap();
        gateway.put_object("a", "first", "x", 1).unwrap();
        assert_eq!(gateway.put_object("a", "first", "y", 1), second, "{cold}");
        gateway.synchronise_statistics("a");
        assert_eq!(gateway.put_object("a", "first", "z", 1), Err(Refused::QUOTA_EXCEEDED), "{cold}");

        gateway.edit_user("a", |user| user.user_quota.enabled = false).unwrap();
        gateway.edit_user("a", |user| (user.bucket_quota.enabled, user.bucket_quota.max_objects) = (true, 0)).unwrap();
        assert_eq!(gateway.put_object("a", "first", "z", 1), Err(Refused::QUOTA_EXCEEDED), "{cold}");
    }
}

/// Measured on 16.2.15, to the byte, but for the list of buckets, whose XML the fake does not write.
#[tokio::test]
async fn traffic_is_logged_as_measured() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    gateway.add_user(SeedUser::new("kq-u")).unwrap();
    gateway.create_bucket("kq-u", "kq1").unwrap();
    gateway.put_object("kq-u", "kq1", "a", 100).unwrap();
    gateway.put_object("kq-u", "kq1", "a", 200).unwrap();
    gateway.remove_object("kq-u", "kq1", "a").unwrap();
    gateway.remove_object("kq-u", "kq1", "a").unwrap();
    assert_eq!(gateway.get_object("kq-u", "kq1", "a"), Err(Refused::NO_SUCH_KEY));
    assert_eq!(gateway.put_object("kq-u", "kqnone", "a", 3), Err(Refused::NO_SUCH_BUCKET));
    gateway.edit_user("kq-u", |user| (user.user_quota.enabled, user.user_quota.max_objects) = (true, 0)).unwrap();
    assert_eq!(gateway.put_object("kq-u", "kq1", "b", 50), Err(Refused::QUOTA_EXCEEDED));
    gateway.delete_bucket("kq-u", "kq1").unwrap();

    let row = |category: &str, sent: u64, received: u64, ops: u64, successful: u64| {
        json!({"category": category, "bytes_sent": sent, "bytes_received": received, "ops": ops,
            "successful_ops": successful})
    };
    let hour = |bucket: &str, categories: Vec<serde_json::Value>| {
        json!({"bucket": bucket, "time": "2026-11-22T05:00:00.000000Z", "epoch": 1_795_323_600, "owner": "kq-u",
            "categories": categories})
    };
    let in_bucket = [
        row("create_bucket", 0, 0, 1, 1),
        row("delete_bucket", 0, 0, 1, 1),
        row("delete_obj", 0, 0, 2, 2),
        row("put_obj", 233, 300, 3, 2),
    ];
    let missing = row("get_obj", 229, 0, 1, 0);
    let report = bench.call("GET usage?uid=kq-u").await.json();
    let buckets = [hour("-", vec![missing.clone()]), hour("kq1", in_bucket.to_vec())];
    assert_eq!(report["entries"], json!([{"user": "kq-u", "buckets": buckets}]));
    let [create, delete, remove, put] = in_bucket;
    let total = json!({"bytes_sent": 462, "bytes_received": 300, "ops": 8, "successful_ops": 6});
    let summary = json!([{"user": "kq-u", "categories": [create, delete, remove, missing, put], "total": total}]);
    assert_eq!(report["summary"], summary);

    for (call, entries) in [
        ("GET usage?uid=kq-u&start=2026-11-22%2006:00:00", 0),
        ("GET usage?uid=kq-u&start=2026-11-22T05:00:00Z", 1),
        ("GET usage?uid=kq-u&end=2026-11-22%2005:00:00", 0),
        ("GET usage?uid=kq-u&end=2026-11-22", 0),
        ("GET usage?uid=kq-u&start=yesterday", 1),
        ("GET usage?uid=kq-u&bucket=other", 0),
    ] {
        let call = call.replace(':', "%3A");
        let found = bench.call(&call).await.json()["entries"].as_array().unwrap().len();
        assert_eq!(found, entries, "{call}");
    }
    assert_eq!(bench.verdict("DELETE usage?uid=kq-u&end=2026-11-22").await, "200");
    assert_eq!(bench.call("GET usage?uid=kq-u").await.json(), report, "nothing of that time");
    assert_eq!(bench.verdict("DELETE usage").await, "200");
    assert_eq!(bench.call("GET usage").await.json(), json!({"entries": [], "summary": []}));
}

#[tokio::test]
async fn a_page_can_be_empty_although_more_was_promised() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    // Measured: these lie in the order oq4, [oq4], oq0, [oq0], oq1, oq5, admin, oq3, [oq1], [oq2], [oq5], [oq3], oq2,
    // where [] is the list of a user's buckets.
    for number in [0, 1, 3, 4, 5] {
        let uid = format!("oq{number}");
        gateway.add_user(SeedUser::new(&uid)).unwrap();
        gateway.create_bucket(&uid, &format!("bucket-{number}")).unwrap();
    }
    let first = bench.call("GET user?list&max-entries=2").await.json();
    assert_eq!(first["keys"], json!(["oq4", "oq0"]));
    assert_eq!(first["marker"], "4:24d2c4d5:users.uid::oq0.buckets:head");
    let all = bench.call("GET user?list&max-entries=6").await.json();
    assert_eq!(all["keys"].as_array().unwrap().len(), 6);
    assert_eq!(all["truncated"], true);
    let marker = all["marker"].as_str().unwrap().replace(':', "%3A");
    let last = bench.call(&format!("GET user?list&max-entries=6&marker={marker}")).await.json();
    assert_eq!(last, json!({"keys": [], "truncated": false, "count": 0}));
}

#[tokio::test]
async fn orphans_duplicates_and_requests_are_told() {
    let bench = Bench::new();
    let gateway = &bench.gateway;
    gateway.add_user(SeedUser::new("legacy")).unwrap();
    let stamp = "waldur-0F0C94A66F3B4F9F9D248F5F3F1F0001";
    let stamp_with_hyphens = "waldur-0f0c94a6-6f3b-4f9f-9d24-8f5f3f1f0001";
    for (uid, email) in [("a", stamp), ("b", stamp_with_hyphens), ("c", "waldur-else"), ("t%24d", "d")] {
        let call = format!("PUT user?uid={uid}&display-name=x&email={email}-{uid}");
        assert_eq!(bench.verdict(&call).await, "200");
    }
    let duplicates = gateway.duplicate_stamps();
    assert_eq!(
        duplicates.into_iter().collect::<Vec<_>>(),
        [("0f0c94a66f3b4f9f9d248f5f3f1f0001".to_owned(), vec!["a".to_owned(), "b".to_owned()])]
    );
    assert_eq!(gateway.orphans(&["b", "t$d"]), ["a", "c"]);
    assert_eq!(gateway.orphans(&[] as &[&str]), ["a", "b", "c", "t$d"]);
    assert_eq!(gateway.users().len(), 5);

    assert_eq!(bench.verdict("DELETE user?uid=a").await, "200");
    assert!(gateway.duplicate_stamps().is_empty());
    assert!(gateway.remove_user("b"));
    assert!(!gateway.remove_user("b"));
    assert_eq!(bench.verdict("PUT user?uid=b&display-name=x").await, "200");
    assert_eq!(bench.verdict("GET nonsense").await, "405 MethodNotAllowed");
    let counted: Vec<_> = gateway.requests().into_iter().collect();
    assert_eq!(counted, [("unknown", 1), ("user.create", 5), ("user.delete", 1)]);
    assert_eq!(gateway.unsigned_requests() + gateway.rejected_signatures(), 0);
}

#[tokio::test]
async fn what_is_not_modelled_is_told() {
    let bench = Bench::new();
    assert_eq!(bench.verdict("DELETE metadata/user?key=a").await, "501 NotModelledByFakeRadosGw");
    assert_eq!(bench.verdict("GET bucket?policy&bucket=b").await, "501 NotModelledByFakeRadosGw");
    assert_eq!(bench.gateway.unmodelled(), ["DELETE unmodelled", "GET unmodelled"]);
}

#[tokio::test]
async fn names_that_are_too_long_leave_what_the_gateway_leaves() {
    let bench = Bench::with(|builder| builder.max_name_length(20));
    let long = "l".repeat(21);
    assert_eq!(bench.verdict(&format!("PUT user?uid={long}&display-name=x")).await, "500 UnknownError");
    assert!(bench.gateway.user(&long).is_none());
    // A user is left behind, and cannot be deleted.
    let call = format!("PUT user?uid=a&display-name=x&email={long}&access-key=AK&secret-key=s");
    assert_eq!(bench.verdict(&call).await, "500 UnknownError");
    assert_eq!(bench.gateway.user("a").unwrap().email, long);
    assert_eq!(bench.verdict("DELETE user?uid=a").await, "500 UnknownError");
    // A uid that fits, the list of its buckets not.
    assert_eq!(bench.verdict("PUT user?uid=thirteen-long&display-name=x").await, "200");
    assert_eq!(bench.verdict("DELETE user?uid=thirteen-long").await, "500 UnknownError");
}

#[tokio::test]
async fn a_target_that_is_too_long_gets_a_bare_400() {
    let bench = Bench::new();
    let answer = bench.call(&format!("GET user?uid=a&pad={}", "p".repeat(17_000))).await;
    assert_eq!((answer.status, answer.content_type, answer.text.as_str()), (400, None, ""));
    assert_eq!(bench.verdict(&format!("GET user?uid=a&pad={}", "p".repeat(16_000))).await, "404 NoSuchUser");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error_of_the_transport() {
    let bench = Bench::new();
    for (limit, fits) in [(100_000, true), (10, false)] {
        let mut request = bench.signed("GET user?uid=admin", ADMIN, b"");
        let mut meta = RequestMeta::new("users.get", "/admin/user");
        meta.max_body = limit;
        request.extensions_mut().insert(meta);
        let sent = bench.gateway.send(request).await;
        assert_eq!(
            sent.map(|_| ()).map_err(|error| error.kind()),
            if fits { Ok(()) } else { Err(TransportErrorKind::TooLarge) }
        );
    }
}

#[tokio::test]
async fn runs_are_repeatable_and_seeds_differ() {
    let mint = async |seed| {
        let bench = Bench::with(|builder| builder.seed(seed));
        bench.call("PUT user?uid=a&display-name=x").await.text
    };
    let first = mint(1).await;
    assert_eq!(first, mint(1).await);
    assert_ne!(first, mint(2).await);
    let keys = serde_json::from_str::<serde_json::Value>(&first).unwrap()["keys"][0].clone();
    assert_eq!(keys["access_key"].as_str().unwrap().len(), 20);
    assert_eq!(keys["secret_key"].as_str().unwrap().len(), 40);
}

#[tokio::test]
async fn an_unknown_bucket_is_refused_in_the_language_of_s3() {
    let bench = Bench::new();
    let mut request = bench.signed("GET user", ADMIN, b"");
    *request.uri_mut() = "http://rgw.test:7480/nowhere".parse().unwrap();
    assert_eq!(bench.send(request).await.status, 403);
    let request = Request::get("http://rgw.test:7480/").body(bytes::Bytes::new()).unwrap();
    let answer = bench.send(request).await;
    assert_eq!((answer.status, answer.content_type.as_deref()), (403, Some("application/xml")));
    assert!(answer.text.contains("<Code>AccessDenied</Code>"));
}

#[test]
fn no_secret_is_printed() {
    let secret = "c4n4ry-secret";
    let builder = FakeRadosGw::builder().admin("AK", secret);
    let mut printed = format!("{builder:?}");
    let gateway = builder.build();
    let seed = SeedUser::new("a").key("BK", secret);
    write!(printed, "{seed:?}").unwrap();
    let view = gateway.add_user(seed).unwrap();
    write!(printed, "{gateway:?} {view:?} {:?} {:?}", gateway.user(FakeRadosGw::ADMIN), gateway.requests()).unwrap();
    assert!(!printed.contains(secret), "{printed}");
    assert!(printed.contains("BK"));
}
