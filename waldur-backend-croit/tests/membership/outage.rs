//! A storage that refuses our credentials, or is down, under many resources (faults.md rows 41, 44).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    ErrorKind,
    backend::OpContext,
    client::WaldurClient,
    process::{KeyProcessor, MembershipReport, SyncOutcome},
    rest::{Http, HttpTransport, TransportError},
    settings::AccountingType,
    testing::waldur::Generation,
};

use crate::{
    common::{Gate, On, environment},
    world::{World, pass},
};

/// What a gate answers instead of letting anything through; 0 for nothing, 1 for never.
const HANGS: u16 = 1;

#[derive(Clone)]
struct Down {
    gate: Gate,
    answers: Arc<AtomicU16>,
    asked: Arc<AtomicUsize>,
}

impl Down {
    fn new(world: &World) -> Self {
        Self { gate: world.gate.clone(), answers: Arc::default(), asked: Arc::default() }
    }

    fn answer(&self, status: u16) {
        self.answers.store(status, Ordering::Relaxed);
        self.asked.store(0, Ordering::Relaxed);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl HttpTransport for Down {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.answers.load(Ordering::Relaxed) {
            0 => self.gate.send(request).await,
            HANGS => std::future::pending().await,
            status => {
                let code = json!({ "Code": if status == 403 { "InvalidAccessKeyId" } else { "" } });
                Ok(Response::builder().status(status).body(code.to_string().into()).unwrap())
            }
        }
    }
}

fn all_deferred(report: &MembershipReport, kind: ErrorKind) {
    let is_so = |outcome: &SyncOutcome| matches!(outcome, SyncOutcome::Deferred(error) if error.kind() == kind);
    assert_eq!(report.count(is_so), report.resources.len(), "{kind:?}");
    assert_eq!(report.resources.len(), 400);
}

#[tokio::test(start_paused = true)]
async fn f044_sec51_refused_credentials_stop_a_pass_over_hundreds_of_users() {
    for on in [On::RadosGw, On::Croit] {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        world.resources(400);
        let storage = Down::new(&world);
        let agent = world.agent_over(world.waldur.clone(), storage.clone(), json!({}));
        // With nothing remembered, and with each user seen before.
        for seen in [false, true] {
            if seen {
                storage.answer(0);
                pass(&agent).await;
            }
            storage.answer(if on == On::RadosGw { 403 } else { 401 });
            all_deferred(&pass(&agent).await, ErrorKind::Unauthenticated);
            // As many as are asked at a time, and the list.
            assert!(storage.asked() <= 9, "{on:?}: {}", storage.asked());
        }
    }
}

/// Keys for older resources, over a storage that is down. One resource has its keys.
fn keys_over(world: &World, storage: Down) -> KeyProcessor {
    let resources = world.resources(60);
    for client_id in ["one", "two"] {
        world.waldur.api_key(resources[0], client_id).create();
    }
    let http = Http::new(world.waldur.clone()).with_environment(environment());
    let client = WaldurClient::builder(world.waldur.base_url()).http(http).token(world.waldur.token());
    let backend = world.gate.backend_over(storage, json!({ "credentials_mode": "api_keys" }), &world.components());
    KeyProcessor::new(client.build().unwrap(), Arc::new(backend), world.offering)
}

#[tokio::test(start_paused = true)]
async fn f044_refused_credentials_stop_the_making_of_keys() {
    for on in [On::RadosGw, On::Croit] {
        let world = World::on(on, Generation::V8, AccountingType::Usage);
        let storage = Down::new(&world);
        let keys = keys_over(&world, storage.clone());
        for _pass in 0..2 {
            storage.answer(if on == On::RadosGw { 403 } else { 401 });
            let report = keys.provision_missing(&OpContext::new("keys")).await.unwrap();
            assert_eq!((report.provisions.len(), report.left, storage.asked()), (4, 59, 4), "{on:?}");
        }
        storage.answer(0);
        let report = keys.provision_missing(&OpContext::new("keys")).await.unwrap();
        let made = report.provisions.iter().flat_map(|(_, outcome)| &outcome.as_ref().unwrap().reported).count();
        assert_eq!((report.provisions.len(), report.left, made), (20, 39, 40), "{on:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f041_a_gateway_that_is_down_stops_the_making_of_keys() {
    for status in [503, HANGS] {
        let world = World::new(Generation::V8);
        let storage = Down::new(&world);
        let keys = keys_over(&world, storage.clone());
        storage.answer(status);
        let begun = Instant::now();
        let report = keys.provision_missing(&OpContext::new("keys")).await.unwrap();
        assert_eq!((report.provisions.len(), report.left), (4, 59), "{status}");
        let (elapsed, asked) = (begun.elapsed(), storage.asked());
        assert!(asked <= 16 && elapsed <= Duration::from_mins(3), "{status}: {asked} {elapsed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f041_a_gateway_that_is_down_is_left_alone_and_the_pass_ends() {
    for status in [503, HANGS] {
        let world = World::new(Generation::V8);
        world.resources(400);
        let storage = Down::new(&world);
        let agent = world.agent_over(world.waldur.clone(), storage.clone(), json!({}));
        storage.answer(status);
        let begun = Instant::now();
        let report = pass(&agent).await;
        let (elapsed, asked) = (begun.elapsed(), storage.asked());
        all_deferred(&report, if status == HANGS { ErrorKind::Timeout } else { ErrorKind::Unavailable });
        assert!(asked <= 60, "{status}: {asked}");
        assert!(elapsed <= Duration::from_mins(6), "{status}: {elapsed:?}");
        // Nothing is remembered of that when it is back.
        if status == 503 {
            storage.answer(0);
            assert_eq!(pass(&agent).await.count(SyncOutcome::is_unfinished), 0);
        }
    }
}
