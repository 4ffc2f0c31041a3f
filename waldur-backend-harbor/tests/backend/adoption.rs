//! What there is already under the name of an order, and what becomes of it (harbor.md §5.1, §5.6).

use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_harbor::{HarborBackend, testing::SeedProject};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{CreateRequest, Origin, ResourceBackend as _, Status},
    settings::{AccountingType, Component},
    types::{Limits, UnitFactor},
};

use crate::common::{
    ALWAYS, Failure, GIB, GROUP_NOTE, Gate, NAME, STAMP, backend, create, cx, hard, id, request, seed, set_status,
    storage,
};

/// A Restore.
fn recorded(limits: Limits) -> CreateRequest {
    request(limits).with_origin(Origin::Recorded)
}

#[tokio::test(start_paused = true)]
async fn h13_an_empty_project_is_left_to_the_person_who_made_it() {
    for role in [None, Some(1), Some(2), Some(4)] {
        for origin in [Origin::Reserved, Origin::Recorded] {
            let gate = Gate::new();
            gate.fake.add_user("ann", "Secret123", false).unwrap();
            let first = gate.fake.add_project(SeedProject::new("waldur-older").quota(GIB)).unwrap().id;
            gate.fake.add_project(SeedProject::new(NAME).quota(10 * GIB)).unwrap();
            if let Some(role) = role {
                gate.fake.set_user_role(NAME, "ann", role);
            }
            let before = gate.fake.project(NAME);
            let mut order = request(storage(20)).with_origin(origin);
            if origin == Origin::Recorded {
                order.resource.metadata.insert("harbor_project_id".to_owned(), first.into());
            }
            let error = create(&backend(&gate), &order).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Foreign, "{role:?}: {error}");
            assert_eq!(gate.fake.project(NAME), before, "{role:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn h14_a_restoration_that_was_cut_short_is_finished() {
    for lost in ["POST /projects {", "PUT /projects/"] {
        let gate = Gate::new();
        let before = gate.fake.add_project(seed(20 * GIB)).unwrap().id;
        gate.fake.remove_project(NAME);
        let mut restored = recorded(storage(20));
        restored.resource.metadata.insert("harbor_project_id".to_owned(), before.into());
        if lost.starts_with("POST") {
            gate.lose_answer(lost, 1, Failure::internal());
        } else {
            gate.fail(lost, ALWAYS, Failure::error(503, "UNAVAILABLE", "busy"));
        }
        let first = create(&backend(&gate), &restored).await;
        if let Err(error) = first {
            assert_eq!(error.class(), ErrorClass::Transient, "{lost}: {error}");
        }
        gate.mend();
        create(&backend(&gate), &restored).await.unwrap();
        let project = gate.fake.project(NAME).unwrap();
        assert_eq!((project.allowlist, project.id > before), (vec![STAMP.to_owned(), GROUP_NOTE.to_owned()], true));
    }
}

#[tokio::test(start_paused = true)]
async fn h29_what_is_scaled_down_stays_noted_until_it_is_not_any_more() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).tolerates("waldur-downscaled")).unwrap();
    gate.fail("PUT /quotas", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    let error = create(&backend(&gate), &recorded(storage(500))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    let state = backend(&gate).get(&cx(), &id(NAME)).await.unwrap().unwrap();
    assert_eq!(
        (hard(&gate), state.status),
        (Some(GIB), Status::Downscaled),
        "a small quota that is somebody's to raise"
    );
    gate.mend();
    set_status(&backend(&gate), storage(500), Status::Active).await.unwrap();
    assert_eq!(hard(&gate), Some(500 * GIB));
    // And in one go.
    gate.fake.set_quota(NAME, GIB);
    gate.fake.set_allowlist(NAME, &[STAMP, "waldur-downscaled", GROUP_NOTE]);
    create(&backend(&gate), &recorded(storage(500))).await.unwrap();
    let project = gate.fake.project(NAME).unwrap();
    assert_eq!((hard(&gate), project.allowlist), (Some(500 * GIB), vec![STAMP.to_owned(), GROUP_NOTE.to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn h28_a_restoration_that_names_no_limit_leaves_the_quota() {
    for (bytes, told) in [(500 * GIB, storage(500)), (-1, crate::common::unlimited())] {
        let gate = Gate::new();
        gate.fake.add_project(seed(bytes)).unwrap();
        let created = create(&backend(&gate), &recorded(Limits::new())).await.unwrap();
        assert_eq!((hard(&gate), created.limits), (Some(bytes), Some(told)));
    }
    // What it is scaled down to is not what it was sold with: nobody is told so.
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).tolerates("waldur-downscaled")).unwrap();
    let created = create(&backend(&gate), &recorded(Limits::new())).await.unwrap();
    assert_eq!((hard(&gate), created.limits), (Some(GIB), None));
    // What an attempt made that died before it had set the quota has another number, and what Harbor gives.
    let gate = Gate::new();
    gate.fake.add_project(seed(-1)).unwrap();
    let mut restored = recorded(Limits::new());
    restored.resource.metadata.insert("harbor_project_id".to_owned(), 4711.into());
    let created = create(&backend(&gate), &restored).await.unwrap();
    assert_eq!((hard(&gate), created.limits), (Some(10 * GIB), Some(storage(10))));
    // Made anew it has the default.
    let gate = Gate::new();
    let created = create(&backend(&gate), &recorded(Limits::new())).await.unwrap();
    assert_eq!((hard(&gate), created.limits), (Some(10 * GIB), Some(storage(10))));
}

#[tokio::test(start_paused = true)]
async fn h02_a_default_that_nobody_chose_and_does_not_fit_fails_only_the_order_that_needs_it() {
    let gate = Gate::new();
    let settings = crate::common::read(&json!({
        "harbor_url": crate::common::URL, "robot_username": gate.fake.robot_login(),
        "robot_password": gate.fake.robot_secret().expose_secret(),
    }));
    let mut component = Component::new("storage", AccountingType::Limit);
    component.unit_factor = UnitFactor::new(1024.into()).unwrap();
    let http = crate::common::http(gate.clone());
    let tib = HarborBackend::new(http, settings.unwrap().0, &[component].into_iter().collect()).unwrap();
    let error = create(&tib, &request(Limits::new())).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.message().contains("default_storage_quota_gb"), "{error}");
    assert!(gate.take_log().is_empty());
    create(&tib, &request(storage(2))).await.unwrap();
    assert_eq!(hard(&gate), Some(2048 * GIB));
    // What is there keeps its own, and needs none.
    let restored = create(&tib, &recorded(Limits::new())).await.unwrap();
    assert_eq!((hard(&gate), restored.limits), (Some(2048 * GIB), Some(storage(2))));
    gate.fake.remove_project(NAME);
    gate.take_log();
    assert_eq!(create(&tib, &recorded(Limits::new())).await.unwrap_err().kind(), ErrorKind::Config);
    assert!(gate.fake.projects().is_empty() && gate.take_log().iter().all(|line| !line.contains("POST /projects")));
}
