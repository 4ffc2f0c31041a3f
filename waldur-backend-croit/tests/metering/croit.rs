//! What is stored now, and what was stored over a month, over the fake croit.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use waldur_backend_croit::{
    S3Backend,
    testing::{FakeCroit, SeedUser},
};
use waldur_sdk::{
    ErrorKind,
    backend::{Cancellation, Outcome, Period, ResourceBackend as _, Usage, UsageReport},
    rest::Http,
    settings::{AccountingType, Component, Components, RawSettings, TimeZone},
    types::{BackendId, Decimal, Timestamp, UnitFactor},
};

use crate::{
    common::{Failure, GIB, Gate, TOKEN, Upon, count, croit_settings, cx, environment, server_error, usage_components},
    radosgw::{ask, november},
};

pub(crate) const GB: u64 = 1_000_000_000;
/// Users of whom the tests ask.
const ALL: [&str; 4] = ["u-0", "u-1", "u-2", "u-3"];

/// Users `u-0` to `u-3`, each with a bucket of its name and an object of as many GiB as its number says.
fn with_users() -> Gate {
    let gate = Gate::croit();
    for (number, uid) in ALL.into_iter().enumerate() {
        gate.fake.add_user(SeedUser::new(uid)).unwrap();
        gate.fake.create_bucket(uid, uid).unwrap();
        gate.fake.put_object(uid, uid, "object", number as u64 * GIB.unsigned_abs()).unwrap();
    }
    gate
}

async fn current(gate: &Gate, names: &[&str]) -> BTreeMap<String, String> {
    ask(&gate.backend(json!({}), &usage_components()), names, november()).await
}

#[tokio::test(start_paused = true)]
async fn s12_s14_s19_on_croit_buckets_add_up_and_users_without_any_store_nothing() {
    let gate = with_users();
    gate.fake.create_bucket("u-1", "fraction").unwrap();
    gate.fake.put_object("u-1", "fraction", "object", 644_245_094).unwrap();
    gate.fake.add_user(SeedUser::new("idle")).unwrap();
    let usage = current(&gate, &["u-1", "u-3", "idle", "nobody"]).await;
    assert_eq!((usage["u-1"].as_str(), usage["u-3"].as_str()), ("1.6 2", "3 1"));
    assert_eq!((usage["idle"].as_str(), usage["nobody"].as_str()), ("0 0", "NotFound"));
    let log = gate.take_log();
    assert_eq!((log.len(), count(&log, "/buckets")), (4, 3), "one list, and nothing for who is not on it: {log:#?}");
}

#[tokio::test(start_paused = true)]
async fn s13_s15_on_croit_what_cannot_be_told_of_one_user_is_told_of_the_others() {
    let gate = with_users();
    gate.croit.forget_statistics("u-1");
    gate.fail("/s3/users/u-2/buckets", 9, server_error());
    let usage = current(&gate, &ALL).await;
    assert_eq!(usage.values().collect::<Vec<_>>(), ["0 1", "Inconsistent", "Server", "3 1"]);
    for rows in [
        r#"[{"bucket":"b","owner":"u-1","usageSum":{"size":1,"numObjects":1}}]"#,
        r#"[{"bucket":"b","usageSum":{"size":-1,"numObjects":1}}]"#,
        r#"[{"bucket":"b","usageSum":{"size":1e300,"numObjects":1}}]"#,
        r#"[{"bucket":"b","usageSum":{"size":9223372036854775808,"numObjects":1}}]"#,
        r#"[{"bucket":"b","usageSum":{"numObjects":1}}]"#,
        r#"{"u-0":[]}"#,
        "<html>",
    ] {
        gate.fail("/s3/users/u-0/buckets", 1, Failure::Status(200, rows.to_owned()));
        let usage = current(&gate, &["u-0", "u-3"]).await;
        assert!(!usage["u-0"].contains(' '), "{rows}: {usage:?}");
        assert_eq!(usage["u-3"], "3 1");
    }
    // Whatever words croit has for the owner of a bucket: what is asked for is one user's.
    for owner in [r#""Somebody, a display name""#, r#""nobody""#, r#""t$u-0""#, "null"] {
        let rows = format!(r#"[{{"bucket":"b","owner":{owner},"usageSum":{{"size":1073741824,"numObjects":2}}}}]"#);
        gate.fail("/s3/users/u-0/buckets", 1, Failure::Status(200, rows));
        assert_eq!(current(&gate, &["u-0"]).await["u-0"], "1 2", "{owner}");
    }
}

#[tokio::test(start_paused = true)]
async fn s16_on_croit_an_expired_token_measures_nothing_and_says_so() {
    let gate = with_users();
    gate.croit.expire_token();
    assert!(current(&gate, &ALL).await.values().all(|usage| usage == "Unauthenticated"));
    let gate = with_users();
    gate.fail("GET /api/s3/users", 9, Failure::Status(200, "{}".to_owned()));
    assert!(current(&gate, &ALL).await.values().all(|usage| usage == "Decode"), "no list is not an empty list");
}

/// `s3_storage` in GB.
pub(crate) fn gigabytes() -> Components {
    let mut component = Component::new("s3_storage", AccountingType::Usage);
    component.unit_factor = UnitFactor::new(Decimal::from(GB)).unwrap();
    component.raw = RawSettings::from_value("s3_storage", &json!({ "backend_name": "storage" })).unwrap();
    [component].into_iter().collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The GB-days of `u-0` to `u-3` and `more`, whose clock shows noon of 22 November.
async fn gb_days(gate: &Gate, names: &[&str], period: Period, zone: &str) -> BTreeMap<String, String> {
    let backend = gate.backend(json!({ "usage_model": "gb_days" }), &gigabytes());
    ask(&backend.with_time_zone(TimeZone::get(zone).unwrap()), names, period).await
}

async fn utc(gate: &Gate, names: &[&str]) -> BTreeMap<String, String> {
    gb_days(gate, names, november(), "UTC").await
}

#[tokio::test(start_paused = true)]
async fn s30_ten_days_of_a_hundred_gigabytes_are_measured_as_a_thousand() {
    let gate = with_users();
    gate.croit.stores("u-0", at("2026-10-01T00:00:00Z"), 0);
    gate.croit.stores("u-0", at("2026-11-05T00:00:00Z"), 100 * GB);
    gate.croit.stores("u-0", at("2026-11-15T00:00:00Z"), 0);
    let usage = utc(&gate, &["u-0"]).await;
    // 2000 points of a window of 21 days are averages of several: the integral survives.
    assert_eq!(usage["u-0"], "1000");
    let log = gate.take_log();
    assert_eq!((log.len(), count(&log, "/stats?graph=s3-user-data")), (2, 1));
    assert!(log[1].contains("startTime=1793491200") && log[1].contains("endTime=1795348800"), "{log:#?}");
}

#[tokio::test(start_paused = true)]
async fn s31_s34_gaps_are_carried_and_statistics_that_stopped_bill_one_step() {
    let gate = with_users();
    for uid in ["u-0", "u-1"] {
        gate.croit.stores(uid, at("2026-11-12T12:00:00Z"), 100 * GB);
    }
    gate.croit.hide("u-0", at("2026-11-14T00:00:00Z"), at("2026-11-19T00:00:00Z"));
    gate.croit.stop_measuring("u-1", at("2026-11-17T12:00:00Z"));
    let usage = utc(&gate, &["u-0", "u-1"]).await;
    // From the middle of the 12th to the middle of the 22nd, a gap within.
    let near = |text: &str, wanted: f64| (text.parse::<f64>().unwrap() - wanted).abs() < 5.0;
    assert!(near(&usage["u-0"], 1000.0), "{usage:?}");
    assert!(near(&usage["u-1"], 500.0), "and not 1000: {usage:?}");
    // Somebody is told.
    let told = reports(&gate, &["u-0", "u-1"]).await.into_iter().map(|report| report.unproven.unwrap());
    let hours: Vec<_> = told.map(|text| text.split_whitespace().find_map(|word| word.parse::<i64>().ok())).collect();
    assert!(hours.iter().all(|hours| hours.is_some_and(|hours| (119..=120).contains(&hours))), "five days: {hours:?}");
}

#[tokio::test(start_paused = true)]
async fn s31_a_user_that_was_removed_with_its_data_and_made_anew_is_not_billed_for_the_time_between() {
    let gate = with_users();
    for uid in ["u-0", "u-1"] {
        gate.croit.stores(uid, at("2026-10-01T00:00:00Z"), 100 * GB);
        gate.croit.hide(uid, at("2026-11-05T00:00:00Z"), at("2026-11-15T00:00:00Z"));
    }
    gate.croit.stores("u-0", at("2026-11-15T00:00:00Z"), 0);
    let usage = utc(&gate, &["u-0", "u-1"]).await;
    let days = |uid: &str| usage[uid].parse::<f64>().unwrap();
    assert!((days("u-0") - 400.0).abs() < 2.0, "{usage:?}");
    assert!((days("u-1") - 2150.0).abs() < 2.0, "that one was there all the time: {usage:?}");
}

#[tokio::test(start_paused = true)]
async fn a_series_that_ends_is_billed_to_its_end_and_on_once_it_goes_on() {
    let gate = with_users();
    gate.croit.stores("u-0", at("2026-10-01T00:00:00Z"), 100 * GB);
    gate.croit.hide("u-0", at("2026-11-17T00:00:00Z"), at("2026-11-22T11:00:00Z"));
    let resumed: f64 = utc(&gate, &["u-0"]).await["u-0"].parse().unwrap();
    assert!((resumed - 2150.0).abs() < 2.0, "{resumed}");
    gate.croit.hide("u-0", at("2026-11-17T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    let ended: f64 = utc(&gate, &["u-0"]).await["u-0"].parse().unwrap();
    assert!((ended - 1600.0).abs() < 2.0, "{ended}");
}

/// What is reported of users that are measured.
async fn reports(gate: &Gate, names: &[&str]) -> Vec<UsageReport> {
    let backend = gate.backend(json!({ "usage_model": "gb_days" }), &gigabytes());
    of(&backend, names).await
}

async fn of(backend: &S3Backend, names: &[&str]) -> Vec<UsageReport> {
    let ids: Vec<_> = names.iter().map(|name| BackendId::new(*name).unwrap()).collect();
    let usage = backend.usage().unwrap().usage(&cx(), &ids, november()).await;
    let report = |usage| if let Usage::Measured(report) = usage { Some(report) } else { None };
    usage.into_values().filter_map(report).collect()
}

#[tokio::test(start_paused = true)]
async fn usage_on_croit_carries_the_stamp_of_its_user() {
    let gate = with_users();
    let stamp = "123456789abcdef0123456789abcdef0";
    gate.fake.add_user(SeedUser::new("ours").email(&format!("waldur-{stamp}-ours@invalid"))).unwrap();
    gate.fake.add_user(SeedUser::new("broken").email(&format!("waldur-{stamp}-ours-too@invalid"))).unwrap();
    for uid in ["ours", "broken", "u-0"] {
        gate.croit.stores(uid, at("2026-11-21T12:00:00Z"), GB);
    }
    let current = gate.backend(json!({}), &usage_components());
    let gb_days = gate.backend(json!({ "usage_model": "gb_days" }), &gigabytes());
    for backend in [current, gb_days] {
        let stamps: Vec<_> = of(&backend, &["ours", "u-0"]).await.into_iter().map(|report| report.stamp).collect();
        assert_eq!(stamps.len(), 2);
        assert_eq!(stamps[0].map(|stamp| stamp.0.hex()), Some(stamp.to_owned()));
        assert_eq!(stamps[1], None, "it may be older than stamps");
        gate.take_log();
        assert_eq!(ask(&backend, &["broken"], november()).await["broken"], "Foreign");
        assert_eq!(gate.take_log().len(), 1, "nothing of a stranger is asked for but whose it is");
    }
}

#[tokio::test(start_paused = true)]
async fn objects_alone_are_not_measured_over_time_and_cost_nothing() {
    let gate = with_users();
    let objects: Components = usage_components().iter().filter(|one| one.name == "s3_objects").cloned().collect();
    let backend = gate.backend(json!({ "usage_model": "gb_days" }), &objects);
    let reports = of(&backend, &ALL).await;
    assert!(reports.len() == ALL.len() && reports.iter().all(|report| report.total.is_empty()));
    assert!(gate.take_log().is_empty());
    let findings = backend.diagnose(&cx()).await;
    let outcomes = |check: &str| {
        let of = findings.iter().filter(|finding| finding.check == check);
        of.map(|finding| (finding.outcome, finding.detail.contains("s3_objects"))).collect::<Vec<_>>()
    };
    assert_eq!(outcomes("components"), [(Outcome::Warning, false)]);
    assert_eq!(outcomes("objects"), [(Outcome::Warning, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_between_any_two_calls() {
    for model in ["current", "gb_days"] {
        let gate = Gate::croit();
        let names: Vec<String> = (0..100).map(|number| format!("u-{number}")).collect();
        for uid in &names {
            gate.fake.add_user(SeedUser::new(uid)).unwrap();
            gate.croit.stores(uid, at("2026-11-21T12:00:00Z"), GB);
        }
        let stop = Cancellation::default();
        let way = Upon::new(&gate, "", 10, {
            let stop = stop.clone();
            move || stop.cancel()
        });
        let backend = gate.backend_over(way, json!({ "usage_model": model }), &gigabytes());
        let ids: Vec<_> = names.iter().map(|name| BackendId::new(name.as_str()).unwrap()).collect();
        let usage = backend.usage().unwrap().usage(&cx().with_cancellation(stop), &ids, november()).await;
        let stopped =
            |usage: &&Usage| matches!(usage, Usage::Unreadable(error) if error.kind() == ErrorKind::Cancelled);
        assert!(usage.len() == 100 && usage.values().filter(stopped).count() >= 82, "{model}");
        assert!(gate.take_log().len() <= 18, "{model}");
    }
}

#[tokio::test(start_paused = true)]
async fn s32_s33_without_readings_nothing_is_measured_and_never_zero() {
    let gate = with_users();
    // Gaps alone: croit pads the time before a user was there.
    gate.croit.stores("u-0", at("2026-11-10T00:00:00Z"), GB);
    gate.croit.hide("u-0", at("2026-11-01T00:00:00Z"), at("2026-12-01T00:00:00Z"));
    // One reading in three weeks holds for its step.
    gate.croit.stores("u-1", at("2026-11-01T00:00:00Z"), 100 * GB);
    gate.croit.stop_measuring("u-1", at("2026-11-01T00:01:00Z"));
    // Nothing but a true zero.
    gate.croit.stores("u-2", at("2026-10-01T00:00:00Z"), 0);
    let usage = utc(&gate, &ALL).await;
    assert_eq!(usage.values().collect::<Vec<_>>(), ["not yet", "1.25", "0", "not yet"]);
    gate.croit.spoil("u-2", at("2026-11-02T00:00:00Z"), at("2026-11-03T00:00:00Z"));
    gate.croit.stores("u-3", at("2026-11-21T12:00:00Z"), GB);
    let usage = utc(&gate, &ALL).await;
    assert_eq!((usage["u-2"].as_str(), usage["u-3"].as_str()), ("Inconsistent", "1"));
}

#[tokio::test(start_paused = true)]
async fn s32_an_answer_without_points_is_no_new_user() {
    let gate = with_users();
    for uid in ALL {
        gate.croit.stores(uid, at("2026-11-21T12:00:00Z"), GB);
    }
    for answer in [
        "{}",
        r#"{"axis1":null}"#,
        r#"{"axis1":{"graphs":[]}}"#,
        r#"{"axis1":{"graphs":[{"datapoints":[]}]}}"#,
        r#"{"axis1":{"graphs":[{"datapoints":[{"t":1794000000,"v":5}]}]}}"#,
        r#"{"axis1":{"graphs":[{"datapoints":[{"t":1794000000,"v":null}]}]}}"#,
        r#"{"code":500,"message":"no such parameter"}"#,
    ] {
        gate.fail("template-s3-user-name=u-0", 1, Failure::Status(200, answer.to_owned()));
        let usage = utc(&gate, &ALL).await;
        assert_eq!(usage.values().collect::<Vec<_>>(), ["Inconsistent", "1", "1", "1"], "{answer}");
    }
    // Nor has anybody begun to be when croit has no reading of anybody.
    let gate = with_users();
    assert!(utc(&gate, &ALL).await.values().all(|usage| usage == "NotReady"));
    // Others that nobody asked about say so as well, and who is asked about alone is no other case.
    assert_eq!(utc(&gate, &["u-3"]).await["u-3"], "NotReady");
    gate.croit.stores("u-0", at("2026-11-21T12:00:00Z"), GB);
    assert_eq!(utc(&gate, &["u-3"]).await["u-3"], "not yet");
    // In the first minutes of a month there is none yet, and of a month that is over nobody was there.
    assert!(gb_days(&gate, &ALL, november().previous(), "UTC").await.values().all(|usage| usage == "not yet"));
    let clock = || "2026-11-01T00:02:00Z".parse().unwrap();
    let gate = Gate::over_croit(FakeCroit::builder().token(TOKEN).clock(clock).build());
    gate.fake.add_user(SeedUser::new("u-0")).unwrap();
    let http = Http::new(gate.clone()).with_environment(environment().with_wall(clock));
    let backend = S3Backend::new(http, croit_settings(json!({ "usage_model": "gb_days" })), &gigabytes()).unwrap();
    assert_eq!(ask(&backend, &["u-0"], november()).await["u-0"], "not yet");
}

#[tokio::test(start_paused = true)]
async fn a_graph_that_is_gone_says_nothing_of_the_users_and_a_missing_user_is_one() {
    let gate = with_users();
    gate.croit.stores("u-0", at("2026-11-21T12:00:00Z"), GB);
    let usage = utc(&gate, &["u-0", "nobody"]).await;
    assert_eq!((usage["u-0"].as_str(), usage["nobody"].as_str()), ("1", "NotFound"));
    gate.croit.forget_graph();
    let usage = utc(&gate, &["u-0", "nobody"]).await;
    assert_eq!((usage["u-0"].as_str(), usage["nobody"].as_str()), ("Unsupported", "NotFound"));
    gate.fail("/stats", 9, server_error());
    assert_eq!(utc(&gate, &["u-0"]).await["u-0"], "Server");
}

#[tokio::test(start_paused = true)]
async fn a_month_that_is_over_is_measured_again_and_one_to_come_never() {
    let gate = with_users();
    gate.croit.stores("u-0", at("2026-10-22T00:00:00Z"), 100 * GB);
    gate.croit.stores("u-1", at("2026-11-02T00:00:00Z"), 100 * GB);
    let october = november().previous();
    for _twice in 0..2 {
        let usage = gb_days(&gate, &["u-0", "u-1"], october, "UTC").await;
        assert_eq!((usage["u-0"].as_str(), usage["u-1"].as_str()), ("1000", "not yet"), "to the end of the month");
    }
    assert!(gb_days(&gate, &["u-0"], november().next(), "UTC").await.values().all(|usage| usage == "not yet"));
    let backend = gate.backend(json!({ "usage_model": "gb_days" }), &gigabytes());
    assert!(!backend.capabilities().decreasing_usage, "what was stored stays stored");
}

#[tokio::test(start_paused = true)]
async fn what_croit_has_not_by_now_of_a_month_that_is_over_is_asked_for_again() {
    let gate = with_users();
    let backend = gate.backend(json!({ "usage_model": "gb_days" }), &gigabytes());
    let october = async |names: &[&str]| {
        gate.take_log();
        let usage = ask(&backend, names, november().previous()).await;
        (usage.into_values().collect::<Vec<_>>(), count(&gate.take_log(), "/stats"))
    };
    let both = ["u-0", "u-1"];
    let shown = |texts: [&str; 2]| texts.map(str::to_owned).to_vec();
    // Its statistics are being restored: nulls for everybody, then all but the last week.
    assert_eq!(october(&both).await, (shown(["not yet", "not yet"]), 2));
    gate.croit.stores("u-0", at("2026-10-22T00:00:00Z"), 100 * GB);
    gate.croit.hide("u-0", at("2026-10-25T00:00:00Z"), at("2026-11-02T00:00:00Z"));
    let (usage, calls) = october(&both).await;
    assert!(usage[0].parse::<f64>().unwrap() < 400.0 && calls == 2, "{usage:?}");
    // That the other one was not there is known by now, and the gap is not asked about in every report.
    assert_eq!(october(&both).await, (usage.clone(), 0));
    gate.croit.reveal("u-0");
    environment().sleep(Duration::from_hours(5)).await;
    assert_eq!(october(&both).await, (usage, 0));
    environment().sleep(Duration::from_hours(1)).await;
    assert_eq!(october(&both).await, (shown(["1000", "not yet"]), 1));
    assert_eq!(october(&both).await, (shown(["1000", "not yet"]), 0));
}

#[tokio::test(start_paused = true)]
async fn the_month_begins_where_the_operator_is() {
    let gate = with_users();
    gate.croit.stores("u-0", at("2026-10-31T22:00:00Z"), 12 * GB);
    gate.croit.stores("u-0", at("2026-11-01T00:00:00Z"), 0);
    let tallinn = gb_days(&gate, &["u-0"], november(), "Europe/Tallinn").await;
    let utc = utc(&gate, &["u-0"]).await;
    // Two hours of 12 GB.
    assert_eq!((tallinn["u-0"].as_str(), utc["u-0"].as_str()), ("1", "0"));
    let starts: Vec<String> = gate.take_log().into_iter().filter(|line| line.contains("/stats")).collect();
    assert!(starts[0].contains("startTime=1793484000") && starts[1].contains("startTime=1793491200"), "{starts:#?}");
}

#[tokio::test(start_paused = true)]
async fn f041_f044_croit_is_left_alone_once_it_is_down_or_refuses_the_token() {
    for (status, kind, most) in [(401, "Unauthenticated", 8), (503, "Unavailable", 60)] {
        for model in ["current", "gb_days"] {
            let gate = Gate::croit();
            let names: Vec<String> = (0..200).map(|number| format!("u-{number}")).collect();
            for name in &names {
                gate.fake.add_user(SeedUser::new(name)).unwrap();
            }
            let pattern = if model == "current" { "/buckets" } else { "/stats" };
            gate.fail(pattern, u32::MAX, Failure::Status(status, "{}".to_owned()));
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let backend = gate.backend(json!({ "usage_model": model }), &usage_components());
            let usage = ask(&backend, &names, november()).await;
            assert!(usage.values().all(|shown| shown == kind), "{model}: {usage:?}");
            let asked = count(&gate.take_log(), pattern);
            assert!(asked <= most, "{model} {status}: {asked}");
        }
    }
}
