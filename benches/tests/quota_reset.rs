//! A quota that was sold, in a cycle of `membership_sync` with default settings (pain.md 1): the Python agent sets it to its
//! default and tells Waldur so; the SDK leaves both alone.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use waldur_benches::peer::{
    Mode, System,
    ours::{self, Duty},
    python::{self, Python},
    scene::Scene,
    socket::Sockets,
};

/// What was sold, in GiB. The default of the settings is 10.
const SOLD: i64 = 500;

fn scene() -> (Scene, Sockets) {
    let scene = Scene::holding(System::Harbor, Mode::MembershipSync, 3, SOLD).unwrap();
    let sockets = Sockets::open(scene.transports(), Duration::ZERO).unwrap();
    assert_eq!(scene.granted_and_sold(), [(Some(SOLD), Some(SOLD)); 3]);
    (scene, sockets)
}

#[tokio::test]
async fn the_sdk_leaves_a_quota_as_it_was_sold() {
    let (scene, sockets) = scene();
    let [waldur, backend] = sockets.doors() else { panic!("two doors") };
    let setup = scene.setup(waldur, backend);
    let duty = Duty::begin(&ours::orders(&setup, python::settings(&scene, &setup))).await.unwrap();
    for cycle in ["first", "steady"] {
        assert_eq!(duty.cycle().await.unwrap(), Vec::<String>::new(), "{cycle}");
        assert_eq!(scene.granted_and_sold(), [(Some(SOLD), Some(SOLD)); 3], "{cycle}");
        // It has looked, and seen all three.
        assert!(backend.counts().total > 0, "{cycle}");
        assert_eq!(scene.published("harbor_project_id"), 3, "{cycle}");
        assert_eq!(backend.counts().writes, 0, "{cycle}");
        backend.forget();
    }
}

/// `cargo test -p waldur-benches --test quota_reset -- --ignored`
#[test]
#[ignore = "installs the Python agent below target/peer"]
fn the_python_agent_resets_a_quota_to_its_default() {
    let (scene, sockets) = scene();
    let [waldur, backend] = sockets.doors() else { panic!("two doors") };
    let python = Python::installed("python3", &python::folder().unwrap()).unwrap();
    let mut agent = python.start(&scene, &scene.setup(waldur, backend)).unwrap();
    let cycle = agent.cycle("").unwrap();
    assert_eq!(cycle.errors, Vec::<String>::new(), "nobody hears of it");
    assert_eq!(scene.granted_and_sold(), [(Some(10), Some(10)); 3]);
}
