//! Very many buckets and very many users, one after the other and alone in their process, so that the memory can be told
//! (performance.md P6).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use tokio::sync::Mutex;
use waldur_sdk::{
    backend::{Aspects, Inspection, Period, ResourceBackend as _, Usage},
    rest::{Http, HttpTransport, Intake, TransportError},
    types::{BackendId, Date, Decimal},
};

use common::{Gate, backend_with, croit_settings, cx, environment, usage_components};
use waldur_backend_croit::S3Backend;

/// Who measures memory.
static ALONE: Mutex<()> = Mutex::const_new(());

const BUCKETS: usize = 100_000;
/// On croit so many buckets of one user, and so many users.
const ON_CROIT: usize = 40_000;
/// Of so many buckets one is of the users that are asked about.
const EVERY: usize = 10;
/// So many users are asked about.
const OURS: usize = 100;

/// Hands a list of so many rows over in pieces of some KB, as a socket does, and counts what it handed over.
fn pour(intake: &Intake, came: &AtomicUsize, rows: usize, row: impl Fn(usize, &mut String)) {
    let mut piece = String::new();
    for number in 0..rows {
        row(number, &mut piece);
        if piece.len() > 16 * 1024 || number + 1 == rows {
            piece += if number + 1 == rows { "]" } else { "" };
            came.fetch_add(piece.len(), Ordering::Relaxed);
            assert!(intake.take(piece.as_bytes()), "{number}");
            piece.clear();
        }
    }
}

/// A gateway that hands its answer over in pieces of some KB, as a socket does, and counts what it handed over.
#[derive(Clone, Default)]
struct Endless(Arc<AtomicUsize>);

impl Endless {
    fn row(number: usize, text: &mut String) {
        let owner = if number.is_multiple_of(EVERY) { number / EVERY % OURS } else { OURS + number };
        let before = if number == 0 { '[' } else { ',' };
        let marks = "0#,1#,2#,3#,4#,5#,6#,7#,8#,9#,10#";
        write!(
            text,
            r#"{before}{{"bucket":"b-{number}","num_shards":11,"tenant":"","zonegroup":"32a314ae-d1cc-41c2-a6e9-0c5725041c8f","placement_rule":"default-placement","id":"9640a823.4110.{number}","owner":"u-{owner}","max_marker":"{marks}","usage":{{"rgw.main":{{"size":1073741824,"size_actual":1073741824,"num_objects":2}}}},"bucket_quota":{{"enabled":false,"check_on_raw":false,"max_size":-1,"max_size_kb":0,"max_objects":-1}}}}"#
        )
        .unwrap();
    }
}

#[async_trait]
impl HttpTransport for Endless {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.uri().query(), Some("format=json&stats=true"), "one listing of all");
        let intake = request.extensions().get::<Intake>().unwrap();
        pour(intake, &self.0, BUCKETS, Self::row);
        Ok(Response::new(Bytes::new()))
    }
}

/// The most memory that this process ever had, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[cfg(not(target_os = "linux"))]
fn peak_memory() -> usize {
    0
}

/// A croit with one user that has all the buckets.
#[derive(Clone, Default)]
struct EndlessCroit(Arc<AtomicUsize>);

#[async_trait]
impl HttpTransport for EndlessCroit {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let intake = request.extensions().get::<Intake>().unwrap();
        if request.uri().path() == "/api/s3/users" {
            assert!(intake.take(br#"[{"uid":"u-0","name":"One"}]"#));
            return Ok(Response::new(Bytes::new()));
        }
        assert_eq!(request.uri().path(), "/api/s3/users/u-0/buckets");
        pour(intake, &self.0, ON_CROIT, |number, text| {
            let before = if number == 0 { '[' } else { ',' };
            let name = format!("{number:0>200}");
            let held = r#""usageSum":{"size":1073741824,"numObjects":2}"#;
            write!(text, r#"{before}{{"bucket":"{name}","owner":"u-0",{held}}}"#).unwrap();
        });
        Ok(Response::new(Bytes::new()))
    }
}

#[tokio::test(start_paused = true)]
async fn f109_forty_thousand_buckets_of_one_user_on_croit_are_measured_in_flat_memory() {
    let _alone = ALONE.lock().await;
    let croit = EndlessCroit::default();
    let backend = Gate::croit().backend_over(croit.clone(), json!({}), &usage_components());
    let id = BackendId::new("u-0").unwrap();
    let before = peak_memory();
    let month = Period::containing(Date::constant(2026, 11, 22));
    let usage = backend.usage().unwrap().usage(&cx(), std::slice::from_ref(&id), month).await;
    let grown = peak_memory() - before;
    let Usage::Measured(report) = &usage[&id] else { panic!("{usage:?}") };
    assert_eq!(report.total["s3_storage"].decimal(), Decimal::from(ON_CROIT));
    let came = croit.0.load(Ordering::Relaxed);
    assert!(came > 9_000_000 && grown < 4 << 20, "of {came} bytes {grown} were kept");
}

#[tokio::test(start_paused = true)]
async fn f109_a_hundred_thousand_buckets_are_measured_in_flat_memory() {
    let _alone = ALONE.lock().await;
    let gateway = Endless::default();
    let backend = backend_with(gateway.clone(), json!({}), &usage_components());
    let ids: Vec<BackendId> = (0..OURS).map(|number| BackendId::new(format!("u-{number}")).unwrap()).collect();
    let before = peak_memory();
    let month = Period::containing(Date::constant(2026, 11, 22));
    let usage = backend.usage().unwrap().usage(&cx(), &ids, month).await;
    let grown = peak_memory() - before;
    // Each of ours has 100 buckets of a GiB and two objects each.
    let each = Decimal::from(BUCKETS / EVERY / OURS);
    for (id, usage) in &usage {
        let Usage::Measured(report) = usage else { panic!("{id}: {usage:?}") };
        let amount = |name: &str| report.total[name].decimal();
        assert_eq!((amount("s3_storage"), amount("s3_objects")), (each, each + each), "{id}");
    }
    let came = gateway.0.load(Ordering::Relaxed);
    assert_eq!(usage.len(), OURS);
    assert!(came > 40_000_000, "{came} bytes came");
    assert!(grown < 4 << 20, "of {came} bytes {grown} were kept");
}

/// A croit with as many users, none of whom has a bucket.
#[derive(Clone, Default)]
struct Crowded(Arc<AtomicUsize>);

impl Crowded {
    fn row(number: usize, text: &mut String) {
        let before = if number == 0 { '[' } else { ',' };
        let quota = r#"{"enabled":true,"maxSize":107374182400,"maxObjects":10000}"#;
        write!(
            text,
            r#"{before}{{"uid":"u-{number}","name":"User for 00000000-0000-0000-0000-0000000{number:05}","email":"waldur-000000000000000000000000000{number:05}-u-{number}@invalid","suspended":false,"defaultPlacement":"default-placement","defaultStorageClass":"STANDARD","keys":[{{"user":"u-{number}","access_key":"AK{number}","secret_key":"0123456789012345678901234567890123456789"}}],"userQuota":{quota},"bucketQuota":{quota}}}"#
        )
        .unwrap();
    }
}

#[async_trait]
impl HttpTransport for Crowded {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if request.uri().path() != "/api/s3/users" {
            return Ok(Response::new(Bytes::from_static(b"[]")));
        }
        let intake = request.extensions().get::<Intake>().unwrap();
        pour(intake, &self.0, ON_CROIT, Self::row);
        Ok(Response::new(Bytes::new()))
    }
}

#[tokio::test(start_paused = true)]
async fn f109_forty_thousand_users_of_croits_pass_by_in_flat_memory() {
    let _alone = ALONE.lock().await;
    let croit = Crowded::default();
    let http = Http::new(croit.clone()).with_environment(environment());
    let backend = S3Backend::new(http, croit_settings(json!({})), &usage_components()).unwrap();
    let ids: Vec<BackendId> = (0..OURS).map(|number| BackendId::new(format!("u-{number}")).unwrap()).collect();
    let before = peak_memory();
    let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::EXISTENCE)).await;
    assert!(states.len() == OURS && states.values().all(|state| matches!(state, Ok(Some(_)))));
    let month = Period::containing(Date::constant(2026, 11, 22));
    let usage = backend.usage().unwrap().usage(&cx(), &ids, month).await;
    assert!(usage.len() == OURS && usage.values().all(|usage| matches!(usage, Usage::Measured(_))));
    let (grown, came) = (peak_memory() - before, croit.0.load(Ordering::Relaxed));
    assert!(came > 2 * 16_000_000, "{came} bytes came");
    assert!(grown < 4 << 20, "of {came} bytes {grown} were kept");
}
