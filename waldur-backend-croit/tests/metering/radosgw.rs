//! What is stored now, over the fake gateway.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use waldur_backend_croit::{
    S3Backend,
    testing::{FakeRadosGw, SeedUser},
};
use waldur_sdk::{
    Error, ErrorKind,
    backend::{Period, ResourceBackend as _, Usage},
    rest::TransportErrorKind,
    settings::{AccountingType, TimeZone},
    testing::{Counting, Latency},
    types::{BackendId, Date},
};

use crate::common::{
    Failure, GIB, Gate, Upon, backend, backend_with, components, count, cx, environment, server_error, usage_components,
};

pub(crate) fn november() -> Period {
    Period::containing(Date::constant(2026, 11, 22))
}

fn ids(names: &[&str]) -> Vec<BackendId> {
    names.iter().map(|name| BackendId::new(*name).unwrap()).collect()
}

/// How a user's usage reads: `storage objects`, or why there is none.
fn shown(usage: &Usage) -> String {
    match usage {
        Usage::Measured(report) => report.total.values().map(ToString::to_string).rev().collect::<Vec<_>>().join(" "),
        Usage::NotYet => "not yet".to_owned(),
        Usage::Unreadable(error) => format!("{:?}", error.kind()),
    }
}

pub(crate) async fn ask(backend: &S3Backend, names: &[&str], period: Period) -> BTreeMap<String, String> {
    let usage = backend.usage().unwrap().usage(&cx(), &ids(names), period).await;
    usage.iter().map(|(id, usage)| (id.to_string(), shown(usage))).collect()
}

async fn now(backend: &S3Backend, names: &[&str]) -> BTreeMap<String, String> {
    ask(backend, names, november()).await
}

/// Users `u-0`, `u-1`…, each with a bucket of its name and an object of as many GiB as its number says.
fn with_users(number: usize) -> Gate {
    let gate = Gate::new();
    for number in 0..number {
        let (uid, size) = (format!("u-{number}"), number as u64 * GIB.unsigned_abs());
        gate.fake.add_user(SeedUser::new(&uid)).unwrap();
        gate.fake.create_bucket(&uid, &uid).unwrap();
        gate.fake.put_object(&uid, &uid, "object", size).unwrap();
    }
    gate
}

fn names(number: usize) -> Vec<String> {
    (0..number).map(|number| format!("u-{number}")).collect()
}

/// Both ways: for few users and for many.
const BOTH: [usize; 2] = [4, 40];

fn put(fake: &FakeRadosGw, uid: &str, bucket: &str, sizes: &[u64]) {
    fake.create_bucket(uid, bucket).unwrap();
    for (number, size) in sizes.iter().enumerate() {
        fake.put_object(uid, bucket, &format!("object-{number}"), *size).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn s12_s19_buckets_add_up_and_fractions_are_not_cut() {
    for users in BOTH {
        let gate = with_users(users);
        put(&gate.fake, "u-0", "more", &[1_073_741_824, 2]);
        put(&gate.fake, "u-0", "most", &[4_294_967_294]);
        put(&gate.fake, "u-1", "fraction", &[644_245_094]);
        let usage = now(&backend(gate.clone()), &names(users).iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(usage.len(), users);
        assert_eq!((usage["u-0"].as_str(), usage["u-1"].as_str()), ("5 4", "1.6 2"));
        assert_eq!(usage["u-3"], "3 1");
    }
}

#[tokio::test(start_paused = true)]
async fn s14_no_bucket_is_nothing_and_no_user_is_unknown() {
    for users in BOTH {
        let gate = with_users(users);
        for idle in ["idle", "emptied", "unfilled"] {
            gate.fake.add_user(SeedUser::new(idle)).unwrap();
        }
        put(&gate.fake, "emptied", "emptied", &[5]);
        gate.fake.remove_object("emptied", "emptied", "object-0").unwrap();
        put(&gate.fake, "unfilled", "unfilled", &[]);
        // A user of a tenant whose name ends the same, with a bucket.
        gate.fake.add_user(SeedUser::new("other$idle")).unwrap();
        put(&gate.fake, "other$idle", "theirs", &[GIB.unsigned_abs()]);
        let asked = names(users - 3);
        let mut asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        asked.extend(["idle", "emptied", "unfilled", "nobody"]);
        let usage = now(&backend(gate.clone()), &asked).await;
        for idle in ["idle", "emptied", "unfilled"] {
            assert_eq!(usage[idle], "0 0", "{idle}");
        }
        assert_eq!(usage["nobody"], "NotFound");
    }
}

/// The answer of the listing, changed by hand.
fn garble(gate: &Gate, pattern: &str, change: impl Fn(&mut Vec<Value>)) {
    let users = gate.fake.users();
    let mut rows = Vec::new();
    for user in &users {
        for bucket in gate.fake.buckets(&user.uid) {
            let numbers = json!({ "size": bucket.bytes, "size_actual": 0, "num_objects": bucket.objects });
            rows.push(json!({ "bucket": bucket.name, "owner": user.uid, "usage": { "rgw.main": numbers } }));
        }
    }
    change(&mut rows);
    gate.fail(pattern, 1, Failure::Status(200, serde_json::to_string(&rows).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn s13_usage_that_is_missing_or_garbled_is_that_users_alone() {
    let number = |value: Value| json!({ "rgw.main": { "size": value, "num_objects": 1 } });
    let garbled = [
        json!(null),
        json!("soon"),
        json!([]),
        json!({ "rgw.main": {} }),
        json!({ "rgw.main": null }),
        number(json!(-1)),
        number(json!(1.5)),
        number(json!("12")),
        number(json!(u64::MAX)),
        number(json!(1e300)),
    ];
    for usage in garbled {
        let gate = with_users(40);
        garble(&gate, "bucket?stats=true", |rows| rows[7]["usage"] = usage.clone());
        let answer = now(&backend(gate), &names(40).iter().map(String::as_str).collect::<Vec<_>>()).await;
        let unknown: Vec<_> = answer.values().filter(|usage| usage.as_str() == "Inconsistent").collect();
        assert_eq!((unknown.len(), answer.len()), (1, 40), "{usage}: {answer:?}");
    }
    let gate = with_users(1);
    garble(&gate, "bucket?uid=u-0", |rows| drop(rows[0].as_object_mut().unwrap().remove("usage")));
    assert_eq!(now(&backend(gate), &["u-0"]).await["u-0"], "Inconsistent");
    // Categories that are not counted say nothing of the one that is.
    let gate = with_users(1);
    garble(&gate, "bucket?uid=u-0", |rows| {
        rows[0]["usage"] = json!({ "rgw.multimeta": { "size": 9, "num_objects": 9 } });
    });
    assert_eq!(now(&backend(gate), &["u-0"]).await["u-0"], "0 0");
}

#[tokio::test(start_paused = true)]
async fn a_bucket_whose_owner_cannot_be_read_has_each_user_asked_for_its_own() {
    let gate = with_users(40);
    garble(&gate, "bucket?stats=true", |rows| rows[7]["owner"] = json!(7));
    let answer = now(&backend(gate.clone()), &names(40).iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!((answer["u-7"].as_str(), answer["u-39"].as_str()), ("7 1", "39 1"));
    assert_eq!(gate.take_log().len(), 41);
    let gate = with_users(2);
    garble(&gate, "bucket?uid=u-0", |_| {});
    let answer = now(&backend(gate), &["u-0", "u-1"]).await;
    assert_eq!((answer["u-0"].as_str(), answer["u-1"].as_str()), ("WrongContent", "1 1"), "the filter was ignored");
}

#[tokio::test(start_paused = true)]
async fn s15_a_listing_that_fails_leaves_everybody_unknown_and_a_call_only_its_user() {
    let all = names(40);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let gate = with_users(40);
    gate.fail("stats=true", 99, Failure::Status(500, String::new()));
    let answer = now(&backend(gate.clone()), &all).await;
    assert!(answer.len() == 40 && answer.values().all(|usage| usage == "Server"), "{answer:?}");
    assert!(gate.take_log().len() <= 9 * 4, "a gateway that is down is not asked for everybody");
    for cut in ["[", r#"[{"bucket":"b","owner":"u-1""#, "<html>", ""] {
        let gate = with_users(40);
        gate.fail("stats=true", 99, Failure::Status(200, cut.to_owned()));
        let answer = now(&backend(gate.clone()), &all).await;
        assert!(answer.values().all(|usage| usage == "Decode" || usage == "WrongContent"), "{cut}: {answer:?}");
        // A proxy that cuts what is long leaves what is short.
        gate.mend();
        gate.fail("bucket?stats=true", 99, Failure::Status(200, cut.to_owned()));
        assert_eq!(now(&backend(gate), &all).await["u-39"], "39 1", "{cut}");
    }
    let gate = with_users(40);
    gate.fail("bucket?stats=true", 99, Failure::Transport(TransportErrorKind::Interrupted));
    assert_eq!(now(&backend(gate), &all).await["u-39"], "39 1");
    let gate = with_users(4);
    gate.fail("uid=u-2", 9, Failure::Status(500, String::new()));
    let answer = now(&backend(gate), &["u-1", "u-2", "u-3"]).await;
    assert_eq!(answer.values().collect::<Vec<_>>(), ["1 1", "Server", "3 1"]);
    // What cannot be done for all together is done for each.
    let gate = with_users(40);
    gate.fail("bucket?stats=true", 1, Failure::Transport(TransportErrorKind::TooLarge));
    assert_eq!(now(&backend(gate), &all).await["u-39"], "39 1");
    // Nor does a proxy wait for a long listing.
    let gate = with_users(40);
    gate.fail("bucket?stats=true", 9, Failure::Status(504, String::new()));
    let backend = backend(gate.clone());
    for listings in [4, 0, 0, 4] {
        assert_eq!(now(&backend, &all).await["u-39"], "39 1");
        assert_eq!(count(&gate.take_log(), "bucket?stats=true"), listings, "it is not tried in every report");
    }
}

#[tokio::test(start_paused = true)]
async fn many_more_buckets_of_others_are_listed_once_and_then_passed_by() {
    let gate = with_users(20);
    gate.fake.add_user(SeedUser::new("other")).unwrap();
    for number in 0..900 {
        gate.fake.create_bucket("other", &format!("other-{number}")).unwrap();
    }
    let all = names(20);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let backend = backend(gate.clone());
    let mut listings = Vec::new();
    for report in 0..64 {
        assert_eq!(now(&backend, &all).await["u-19"], "19 1");
        let log = gate.take_log();
        if count(&log, "bucket?stats=true") == 1 {
            listings.push(report);
        } else {
            assert_eq!((log.len(), count(&log, "uid=")), (20, 20), "{log:#?}");
        }
    }
    assert_eq!(listings, [0, 31, 62], "tried again, in case the others are gone");
}

#[tokio::test(start_paused = true)]
async fn s16_a_refused_admin_key_measures_nothing_and_says_so() {
    for users in BOTH {
        let gate = with_users(users);
        gate.fail("", 99, Failure::Status(403, r#"{"Code":"InvalidAccessKeyId"}"#.to_owned()));
        let answer = now(&backend(gate), &names(users).iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert!(answer.len() == users && answer.values().all(|usage| usage == "Unauthenticated"), "{answer:?}");
    }
    let gate = with_users(40);
    gate.fail("", 99, Failure::Status(401, String::new()));
    let answer = now(&backend(gate), &names(40).iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert!(answer.values().all(|usage| usage == "WrongContent"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_month_that_is_over_or_to_come_is_not_yet_and_costs_nothing() {
    let gate = with_users(1);
    let gateway = backend(gate.clone());
    for month in [november().previous(), november().next(), november().previous().previous()] {
        assert_eq!(ask(&gateway, &["u-0"], month).await["u-0"], "not yet");
    }
    assert!(gate.take_log().is_empty());
    // The fake's clock shows noon in UTC of the 22nd; what counts at the border is the operator's zone.
    let zone = |name: &str| TimeZone::get(name).unwrap();
    let elsewhere = backend(gate).with_time_zone(zone("Pacific/Kiritimati"));
    assert_eq!(ask(&elsewhere, &["u-0"], november()).await["u-0"], "0 1");
}

#[tokio::test(start_paused = true)]
async fn what_is_measured_goes_by_backend_name_and_accounting_type() {
    let gate = with_users(2);
    let measured = async |accounting: AccountingType, more: Value| {
        let backend = backend_with(gate.clone(), json!({}), &components(accounting, &more));
        let usage = backend.usage().unwrap().usage(&cx(), &ids(&["u-1"]), november()).await;
        let Some(Usage::Measured(report)) = usage.into_values().next() else { panic!("unknown") };
        report.total.into_iter().map(|(name, amount)| format!("{name} {amount}")).collect::<Vec<_>>()
    };
    for accounting in [AccountingType::Usage, AccountingType::Limit] {
        assert_eq!(measured(accounting, json!({})).await, ["s3_objects 1", "s3_storage 1"]);
    }
    assert!(measured(AccountingType::One, json!({})).await.is_empty());
    assert!(measured(AccountingType::Usage, json!({ "enforce_limits": false })).await.len() == 2);
    assert!(backend(gate).capabilities().decreasing_usage, "S17: objects get deleted");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_user_can_have_is_unknown_and_leaves_the_machine_never() {
    let gate = with_users(2);
    let usage = now(&backend(gate.clone()), &["../v2", "u-1"]).await;
    assert_eq!((usage["../v2"].as_str(), usage["u-1"].as_str()), ("Config", "1 1"));
    assert!(gate.take_log().iter().all(|line| !line.contains("v2")));
}

#[tokio::test(start_paused = true)]
async fn many_users_cost_one_listing_and_the_idle_ones_pages_at_the_most() {
    let gate = with_users(100);
    let all = names(100);
    let mut asked: Vec<&str> = all.iter().map(String::as_str).collect();
    let backend = backend(gate.clone());
    now(&backend, &asked).await;
    assert_eq!(gate.take_log(), ["GET /admin/bucket?stats=true"]);
    // A few without buckets are read.
    for idle in ["i-0", "i-1", "i-2"] {
        gate.fake.add_user(SeedUser::new(idle)).unwrap();
    }
    asked.extend(["i-0", "i-1", "i-2"]);
    now(&backend, &asked).await;
    let log = gate.take_log();
    assert_eq!((log.len(), count(&log, "GET /admin/user?uid=i-")), (4, 3), "{log:?}");
    // Many are looked up in the list of users.
    let idle: Vec<String> = (3..200).map(|number| format!("i-{number}")).collect();
    for uid in &idle {
        gate.fake.add_user(SeedUser::new(uid)).unwrap();
    }
    asked.extend(idle.iter().map(String::as_str));
    asked.push("nobody");
    let usage = now(&backend, &asked).await;
    assert_eq!((usage["i-150"].as_str(), usage["nobody"].as_str()), ("0 0", "NotFound"));
    let log = gate.take_log();
    assert_eq!(log.len(), 3, "{log:?}");
    assert_eq!((count(&log, "bucket?stats=true"), count(&log, "list=")), (1, 1), "and the one left over is read");
    // A list that cannot be had costs no more than not having asked for it.
    gate.fail("list=", 9, Failure::Status(500, String::new()));
    assert_eq!(now(&backend, &asked).await["i-150"], "0 0");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_users_are_measured_within_three_round_trips() {
    let gate = with_users(1000);
    for number in 0..500 {
        gate.fake.add_user(SeedUser::new(&format!("i-{number}"))).unwrap();
    }
    let counting = Counting::new(gate.fake.clone());
    let slow = Latency::new(counting.clone(), environment(), Duration::from_millis(50));
    let backend = backend_with(slow, json!({}), &usage_components());
    let all: Vec<String> = names(1000).into_iter().chain((0..500).map(|number| format!("i-{number}"))).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let begin = Instant::now();
    let usage = now(&backend, &all[..1000]).await;
    assert!(usage.values().all(|usage| usage.ends_with(" 1")), "each has its object");
    assert_eq!((counting.counts().total, begin.elapsed()), (1, Duration::from_millis(50)));
    counting.reset();
    let usage = now(&backend, &all).await;
    assert_eq!(usage.values().filter(|usage| *usage == "0 0").count(), 500);
    // Two pages of 1501 users.
    assert!(counting.counts().total <= 3, "{}", counting.counts());
    assert_eq!(counting.counts().writes, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_nobody_and_a_stop_is_heard() {
    let gate = with_users(1);
    let gateway = backend(gate.clone());
    assert!(now(&gateway, &[]).await.is_empty());
    let stop = waldur_sdk::backend::Cancellation::default();
    stop.cancel();
    let usage = gateway.usage().unwrap();
    let usage = usage.usage(&cx().with_cancellation(stop), &ids(&["u-0"]), november()).await;
    let cancelled = |error: &Error| error.kind() == ErrorKind::Cancelled;
    assert!(usage.values().all(|usage| matches!(usage, Usage::Unreadable(error) if cancelled(error))));
    assert!(gate.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn buckets_of_the_users_themselves_make_no_listing_worth_less() {
    let gate = with_users(40);
    for user in 0..40 {
        for bucket in 0..20 {
            gate.fake.create_bucket(&format!("u-{user}"), &format!("b-{user}-{bucket}")).unwrap();
        }
    }
    let (backend, all) = (backend(gate.clone()), names(40));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for _report in 0..3 {
        assert_eq!(now(&backend, &all).await["u-39"], "39 1");
        assert_eq!(gate.take_log(), ["GET /admin/bucket?stats=true"]);
    }
    // One that failed by what passes is tried soon again, one that cannot be read is not.
    gate.fail("bucket?stats=true", 4, Failure::Status(503, String::new()));
    let mut listings = Vec::new();
    for report in 0..4 {
        assert_eq!(now(&backend, &all).await["u-39"], "39 1", "{report}");
        listings.push(count(&gate.take_log(), "bucket?stats=true"));
    }
    assert_eq!(listings, [4, 0, 0, 1]);
    garble(&gate, "bucket?stats=true", |rows| rows[7]["owner"] = json!(7));
    for report in 0..4 {
        assert_eq!(now(&backend, &all).await["u-39"], "39 1", "{report}");
        assert_eq!(count(&gate.take_log(), "bucket?stats=true"), usize::from(report == 0));
    }
}

#[tokio::test(start_paused = true)]
async fn usage_carries_the_stamp_of_a_user_that_was_read() {
    let gate = with_users(2);
    let stamp = "123456789abcdef0123456789abcdef0";
    gate.fake.add_user(SeedUser::new("ours").email(&format!("waldur-{stamp}-ours@invalid"))).unwrap();
    put(&gate.fake, "ours", "ours", &[GIB.unsigned_abs()]);
    gate.fake.add_user(SeedUser::new("broken").email(&format!("waldur-{stamp}-ours-too@invalid"))).unwrap();
    put(&gate.fake, "broken", "broken", &[GIB.unsigned_abs()]);
    let backend = backend(gate.clone());
    let usage = backend.usage().unwrap().usage(&cx(), &ids(&["ours", "u-1", "broken"]), november()).await;
    let stamps = usage.values().map(|usage| match usage {
        Usage::Measured(report) => Ok(report.stamp.map(|stamp| stamp.0.hex())),
        Usage::Unreadable(error) => Err(error.kind()),
        Usage::NotYet => Ok(None),
    });
    // In the order of their names.
    assert_eq!(stamps.collect::<Vec<_>>(), [Err(ErrorKind::Foreign), Ok(Some(stamp.to_owned())), Ok(None)]);
    assert_eq!(count(&gate.take_log(), "uid=broken"), 1, "and nothing more of a stranger");
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_between_any_two_calls() {
    for users in [16, 100] {
        let gate = with_users(users);
        // Each for itself: a listing would be one call.
        gate.fail("bucket?stats=true", 1, Failure::Transport(TransportErrorKind::TooLarge));
        let stop = waldur_sdk::backend::Cancellation::default();
        let way = Upon::new(&gate, "uid=", 5, {
            let stop = stop.clone();
            move || stop.cancel()
        });
        let all = names(users);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let gateway = backend(way);
        let usage = gateway.usage().unwrap().usage(&cx().with_cancellation(stop), &ids(&all), november()).await;
        let stopped =
            |usage: &&Usage| matches!(usage, Usage::Unreadable(error) if error.kind() == ErrorKind::Cancelled);
        assert!(usage.values().filter(stopped).count() >= users - 14, "{users}");
        assert!(gate.take_log().len() <= 1 + 5 + 16, "{users}: those that have begun are read");
    }
}

#[tokio::test(start_paused = true)]
async fn f041_f044_users_one_by_one_are_left_alone_once_the_gateway_is_down_or_refuses_the_key() {
    let refused = Failure::Status(403, json!({ "Code": "InvalidAccessKeyId" }).to_string());
    for (failure, kind, most) in [(refused, "Unauthenticated", 8), (server_error(), "Server", 60)] {
        let gate = with_users(200);
        // Of others there is so much more that each user is read by itself.
        for other in ["other-a", "other-b"] {
            gate.fake.add_user(SeedUser::new(other)).unwrap();
            for number in 0..900 {
                gate.fake.create_bucket(other, &format!("{other}-{number}")).unwrap();
            }
        }
        let (backend, names) = (backend(gate.clone()), names(200));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(now(&backend, &names).await.len(), 200);
        gate.take_log();
        gate.fail("GET /admin/bucket", u32::MAX, failure);
        let usage = now(&backend, &names).await;
        assert!(usage.values().all(|shown| shown == kind), "{usage:?}");
        let asked = gate.take_log().len();
        assert!(asked <= most, "{kind}: {asked}");
    }
}
