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
    process::{MembershipReport, SyncOutcome},
    rest::{HttpTransport, TransportError},
    settings::AccountingType,
    testing::waldur::Generation,
};

use crate::{
    common::{Gate, On},
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
