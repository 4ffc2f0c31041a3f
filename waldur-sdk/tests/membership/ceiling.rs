//! As many resources as anybody has, times ten (faults.md row 132). Both sides make their rows when they are asked for
//! them, so that what this process holds is what the pass holds.

#![cfg(target_os = "linux")]

use std::sync::OnceLock;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use waldur_sdk::{
    process::SyncOutcome,
    rest::{HttpTransport, RequestMeta, TransportError},
    testing::{MemoryBackend, waldur::Generation},
};

use crate::world::{Site, run};

const TOTAL: usize = 100_000;

/// More than the pass may have, in MiB: a few kilobytes for each resource on both sides together.
const CEILING: usize = 512;

/// `inner`, but for one list: a hundred thousand rows like its only one.
struct Endless<T> {
    inner: T,
    operation: &'static str,
    number: fn(&mut Value, usize),
    row: OnceLock<Value>,
}

impl<T> Endless<T> {
    fn new(inner: T, operation: &'static str, number: fn(&mut Value, usize)) -> Self {
        Self { inner, operation, number, row: OnceLock::new() }
    }
}

fn operation(request: &Request<Bytes>) -> Option<&'static str> {
    request.extensions().get::<RequestMeta>().map(|meta| meta.operation)
}

fn of_query(query: &str, name: &str) -> Option<usize> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

#[async_trait]
impl<T: HttpTransport> HttpTransport for Endless<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if operation(&request) != Some(self.operation) {
            return self.inner.send(request).await;
        }
        let uri = request.uri().to_string();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let (page, size) = (of_query(&query, "page").unwrap_or(1), of_query(&query, "page_size").unwrap_or(100));
        if page == 1 {
            let answer = self.inner.send(request).await?;
            let rows: Vec<Value> = serde_json::from_slice(answer.body()).unwrap();
            self.row.get_or_init(|| rows.into_iter().next().expect("a row"));
        }
        let rows = ((page - 1) * size..(page * size).min(TOTAL)).map(|number| {
            let mut row = self.row.get().expect("the first page came first").clone();
            (self.number)(&mut row, number);
            row
        });
        let mut answer = Response::builder().status(StatusCode::OK).header("content-type", "application/json");
        answer = answer.header("x-result-count", TOTAL).header("x-total-count", TOTAL);
        if page * size < TOTAL {
            let next = format!("{}?page={}&page_size={size}", uri.split('?').next().unwrap(), page + 1);
            answer = answer.header("link", format!("<{next}>; rel=\"next\""));
        }
        Ok(answer.body(Value::Array(rows.collect()).to_string().into()).unwrap())
    }
}

/// The most memory that this process ever had, in MiB.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
}

fn uuid(number: usize) -> String {
    format!("{:032x}", 0x4000_8000_0000_0000_0000_u128 | number as u128)
}

#[tokio::test(start_paused = true)]
#[ignore = "half a minute: cargo test -p waldur-sdk --test membership f132 -- --ignored"]
async fn f132_a_hundred_thousand_resources_take_no_more_memory_than_is_fixed() {
    let site = Site::new(Generation::V8);
    site.resource("r", &[]);
    let waldur = Endless::new(site.waldur().clone(), "provider_resources.list", |row, number| {
        row["uuid"] = json!(uuid(number));
        row["backend_id"] = json!(format!("r{number}"));
    });
    let service = Endless::new(site.service().clone(), "objects.list", |row, number| {
        row["id"] = json!(format!("r{number}"));
        row["stamp"] = json!(uuid(number));
    });
    let agent = site.agent().memory(MemoryBackend::with_status).waldur(waldur).service(service).build();
    let before = peak();
    let report = run(&agent).await;
    let synced = report.resources.iter().filter(|one| matches!(one.outcome, SyncOutcome::Synced)).count();
    assert_eq!(synced, TOTAL);
    assert!(peak() - before < CEILING, "{before} MiB grew to {}", peak());
}
