//! Scaling down and up (harbor.md §5.6), and what the Python plugin does in its place.

use waldur_backend_harbor::testing::SeedProject;
use waldur_sdk::{
    ErrorClass,
    backend::{ResourceBackend as _, Status},
    types::Limits,
};

use crate::common::{
    ALWAYS, Failure, GIB, GROUP_NOTE, Gate, NAME, OTHER_STAMP, STAMP, backend, cx, hard, id, seed, set_limits,
    set_status, storage, unlimited,
};

async fn status(gate: &Gate) -> Status {
    backend(gate).get(&cx(), &id(NAME)).await.unwrap().unwrap().status
}

#[tokio::test(start_paused = true)]
async fn h28_a_healthy_resource_is_not_restored() {
    for bytes in [500 * GIB, GIB, 1, -1] {
        let gate = Gate::new();
        gate.fake.add_project(seed(bytes)).unwrap();
        for limits in [storage(10), Limits::new()] {
            set_status(&backend(&gate), limits, Status::Active).await.unwrap();
        }
        assert!(gate.take_writes().is_empty());
        assert_eq!((hard(&gate), status(&gate).await), (Some(bytes), Status::Active));
    }
}

#[tokio::test(start_paused = true)]
async fn h29_scaled_down_to_one_unit_and_up_to_what_waldur_has_on_record() {
    let gate = Gate::new();
    gate.fake.add_project(seed(500 * GIB)).unwrap();
    for _twice in 0..2 {
        set_status(&backend(&gate), storage(20), Status::Downscaled).await.unwrap();
        assert_eq!((hard(&gate), status(&gate).await), (Some(1_073_741_824), Status::Downscaled));
    }
    assert_eq!(gate.take_writes().len(), 2, "a note and a quota, once");
    // Without limits on record nobody knows how much it was.
    let error = set_status(&backend(&gate), Limits::new(), Status::Active).await.unwrap_err();
    assert!(error.message().contains("does not say"), "{error}");
    assert_eq!(hard(&gate), Some(GIB));
    for _twice in 0..2 {
        set_status(&backend(&gate), storage(20), Status::Active).await.unwrap();
        assert_eq!((hard(&gate), status(&gate).await), (Some(21_474_836_480), Status::Active));
    }
    assert_eq!(gate.take_writes().len(), 2);
    assert_eq!(gate.fake.project(NAME).unwrap().allowlist, [STAMP, GROUP_NOTE]);
    set_status(&backend(&gate), unlimited(), Status::Downscaled).await.unwrap();
    set_status(&backend(&gate), unlimited(), Status::Active).await.unwrap();
    assert_eq!(hard(&gate), Some(-1));
}

#[tokio::test(start_paused = true)]
async fn a_resource_of_one_unit_is_told_from_one_that_is_scaled_down() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB)).unwrap();
    assert_eq!(status(&gate).await, Status::Active);
    set_status(&backend(&gate), storage(1), Status::Downscaled).await.unwrap();
    assert_eq!((hard(&gate), status(&gate).await), (Some(GIB), Status::Downscaled));
    set_status(&backend(&gate), storage(1), Status::Active).await.unwrap();
    assert_eq!((hard(&gate), status(&gate).await), (Some(GIB), Status::Active));
    assert!(gate.take_writes().iter().all(|line| !line.contains("/quotas/")));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_raised_while_it_was_scaled_down_stays() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    set_status(&backend(&gate), storage(20), Status::Downscaled).await.unwrap();
    set_limits(&backend(&gate), storage(30)).await.unwrap();
    assert_eq!(status(&gate).await, Status::Active, "and so the next pass scales it down again, if it is to be");
    set_status(&backend(&gate), storage(20), Status::Active).await.unwrap();
    assert_eq!(hard(&gate), Some(30 * GIB));
    // By hand, in Harbor: it is not scaled down any more, and keeps what it was given if it is not to be.
    set_status(&backend(&gate), storage(30), Status::Downscaled).await.unwrap();
    gate.fake.set_quota(NAME, 7 * GIB);
    assert_eq!(status(&gate).await, Status::Active);
    set_status(&backend(&gate), storage(30), Status::Active).await.unwrap();
    assert_eq!((hard(&gate), status(&gate).await), (Some(7 * GIB), Status::Active));
    assert_eq!(gate.fake.project(NAME).unwrap().allowlist, [STAMP, GROUP_NOTE]);
}

#[tokio::test(start_paused = true)]
async fn h29_what_cannot_be_noted_is_not_scaled_down() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    gate.fail("PUT /projects/", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    set_status(&backend(&gate), storage(20), Status::Downscaled).await.unwrap_err();
    assert_eq!((hard(&gate), status(&gate).await), (Some(20 * GIB), Status::Active), "nobody would raise it again");
    // Noted, and not done: that says nothing.
    gate.mend();
    gate.fail("PUT /quotas/", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    set_status(&backend(&gate), storage(20), Status::Downscaled).await.unwrap_err();
    assert_eq!((hard(&gate), status(&gate).await), (Some(20 * GIB), Status::Active));
    gate.mend();
    set_status(&backend(&gate), storage(20), Status::Downscaled).await.unwrap();
    assert_eq!((hard(&gate), status(&gate).await), (Some(GIB), Status::Downscaled));
    // Without a quota nothing is noted at all.
    gate.fake.set_allowlist(NAME, &[STAMP]);
    gate.fake.remove_quota(NAME);
    let error = set_status(&backend(&gate), storage(20), Status::Downscaled).await.unwrap_err();
    assert!(error.message().contains("quotas are disabled"), "{error}");
    assert_eq!((status(&gate).await, gate.fake.project(NAME).unwrap().allowlist), (Status::Active, vec![STAMP.into()]));
}

#[tokio::test(start_paused = true)]
async fn h30_there_is_no_pause() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    let error = set_status(&backend(&gate), storage(20), Status::Paused).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unsupported);
    assert!(gate.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_strangers_project_is_not_scaled() {
    let gate = Gate::new();
    gate.fake.add_project(SeedProject::new(NAME).quota(5 * GIB).tolerates(OTHER_STAMP)).unwrap();
    for status in [Status::Downscaled, Status::Active] {
        let error = set_status(&backend(&gate), storage(20), status).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
    }
    assert!(gate.take_writes().is_empty());
}
