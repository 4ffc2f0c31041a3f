//! The harness of the peer run, without Python: sockets, latency, counting, and the SDK's side of every mode.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use waldur_benches::peer::{
    Agent, Mode, System,
    ours::{self, Duty},
    python,
    run::{Outcome, Row},
    scene::Scene,
    socket::Sockets,
    table,
};
use waldur_sdk::rest::{HttpOptions, HttpTransport, ReqwestTransport, TransportError};

/// Says no to everything below `/no`.
struct Picky;

#[async_trait]
impl HttpTransport for Picky {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut answer = Response::new(Bytes::from_static(b"{}"));
        if request.uri().path().starts_with("/no") {
            *answer.status_mut() = StatusCode::NOT_IMPLEMENTED;
        }
        Ok(answer)
    }
}

fn picky() -> Arc<dyn HttpTransport> {
    Arc::new(Picky)
}

async fn get(url: &str) -> StatusCode {
    let transport = ReqwestTransport::new(&HttpOptions::default()).unwrap();
    transport.send(Request::get(url).body(Bytes::new()).unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn every_door_counts_for_itself_and_lists_what_was_refused() {
    let sockets = Sockets::open([picky(), picky()], Duration::ZERO).unwrap();
    let [one, other] = sockets.doors() else { panic!("two doors") };
    assert_ne!(one.url, other.url);
    assert_eq!(get(&format!("{}yes", one.url)).await, 200);
    assert_eq!(get(&format!("{}no/more", one.url)).await, 501);
    assert_eq!((one.counts().total, one.counts().writes, other.counts().total), (2, 0, 0));
    assert_eq!(one.refused(), ["501 GET /no/more"]);
    one.forget();
    assert_eq!((one.counts().total, one.refused().len()), (0, 0));
}

#[tokio::test]
async fn every_call_takes_the_round_trip() {
    let round_trip = Duration::from_millis(20);
    let sockets = Sockets::open([picky()], round_trip).unwrap();
    let url = sockets.doors()[0].url.clone();
    let began = Instant::now();
    for _ in 0..3 {
        get(&url).await;
    }
    assert!(began.elapsed() >= round_trip * 3, "{:?}", began.elapsed());
}

#[tokio::test]
async fn dropping_the_sockets_closes_them() {
    let sockets = Sockets::open([picky()], Duration::ZERO).unwrap();
    let url = sockets.doors()[0].url.clone();
    drop(sockets);
    let transport = ReqwestTransport::new(&HttpOptions::default()).unwrap();
    assert!(transport.send(Request::get(url).body(Bytes::new()).unwrap()).await.is_err());
}

/// A few resources, both cycles of the SDK: everything is as it must be, and the second cycle writes nothing.
async fn both_cycles(system: System, mode: Mode) {
    let scene = Scene::new(system, mode, 12).unwrap();
    let sockets = Sockets::open(scene.transports(), Duration::ZERO).unwrap();
    let [waldur, backend] = sockets.doors() else { panic!("two doors") };
    let setup = scene.setup(waldur, backend);
    let duty = Duty::begin(&ours::orders(&setup, python::settings(&scene, &setup))).await.unwrap();
    for cycle in ["first", "steady"] {
        for door in [waldur, backend] {
            door.forget();
        }
        assert_eq!(duty.cycle().await.unwrap(), Vec::<String>::new(), "{cycle}");
        assert_eq!(scene.problems(Agent::Sdk), Vec::<String>::new(), "{cycle}");
        assert_eq!([waldur.refused(), backend.refused()].concat(), Vec::<String>::new(), "{cycle}");
    }
    assert_eq!((waldur.counts().writes, backend.counts().writes), (0, 0));
}

#[tokio::test]
async fn orders_on_harbor() {
    both_cycles(System::Harbor, Mode::OrderProcess).await;
}

#[tokio::test]
async fn orders_on_ceph_s3() {
    both_cycles(System::CephS3, Mode::OrderProcess).await;
}

#[tokio::test]
async fn reports_of_harbor() {
    both_cycles(System::Harbor, Mode::Report).await;
}

#[tokio::test]
async fn reports_of_ceph_s3() {
    both_cycles(System::CephS3, Mode::Report).await;
}

#[tokio::test]
async fn members_on_harbor() {
    both_cycles(System::Harbor, Mode::MembershipSync).await;
}

#[tokio::test]
async fn members_on_ceph_s3() {
    both_cycles(System::CephS3, Mode::MembershipSync).await;
}

#[tokio::test]
async fn orders_on_croit_s3() {
    both_cycles(System::CroitS3, Mode::OrderProcess).await;
}

#[tokio::test]
async fn reports_of_croit_s3() {
    both_cycles(System::CroitS3, Mode::Report).await;
}

#[tokio::test]
async fn members_on_croit_s3() {
    both_cycles(System::CroitS3, Mode::MembershipSync).await;
}

#[test]
fn a_scene_finds_fault_with_what_was_not_done() {
    for system in System::ALL {
        for mode in [Mode::OrderProcess, Mode::Report] {
            assert_eq!(Scene::new(system, mode, 3).unwrap().problems(Agent::Sdk).len(), 3, "{system} {mode}");
        }
    }
}

#[test]
fn the_table_divides_what_python_took_by_what_the_sdk_took() {
    let row = |agent, calls, wall_us| {
        let (system, mode, cycle) = (System::Harbor, Mode::Report, "first");
        let took = serde_json::from_str(&format!(
            r#"{{"wall_us":{wall_us},"cpu_us":0,"peak_kib":2048,"warnings":0,"errors":[]}}"#
        ));
        Row { system, mode, cycle, agent, waldur: calls, backend: 0, writes: 0, refused: 0, took: took.unwrap() }
    };
    let rows = vec![row(Agent::Python, 90, 3_000_000), row(Agent::Sdk, 9, 100_000)];
    let text = table::markdown(&Outcome { rows, ..Outcome::default() });
    assert!(text.contains("| harbor | report | first | python | 90 | 0 | 0 | 3.00 s | 0.00 s | 2 MiB |"), "{text}");
    assert!(text.contains("| harbor | report | first | 10.0 × | 30.0 × | 0.0 × | 1.0 × |"), "{text}");
}
