//! Many projects from two listings: what does not come, what is not shown, and what is new.

use std::collections::BTreeMap;

use waldur_backend_harbor::testing::SeedProject;
use waldur_sdk::{
    Error, ErrorClass, ErrorKind,
    backend::{Aspects, Inspection, PassIds, Period, ResourceBackend as _, ResourceState, Usage},
    types::{BackendId, Date},
};

use crate::common::{ALWAYS, Failure, GIB, Gate, backend, count, cx, id, storage};

fn full(projects: usize) -> (Gate, Vec<BackendId>) {
    let gate = Gate::new();
    let names: Vec<String> = (0..projects).map(|number| format!("waldur-{number:03}")).collect();
    for name in &names {
        gate.fake.add_project(SeedProject::new(name).quota(GIB).used(1 << 30)).unwrap();
    }
    (gate, names.iter().map(|name| id(name)).collect())
}

type States = BTreeMap<BackendId, Result<Option<ResourceState>, Error>>;

fn seen(states: &States) -> usize {
    states.values().filter(|state| matches!(state, Ok(Some(_)))).count()
}

fn failed(states: &States, kind: ErrorKind) -> usize {
    states.values().filter(|state| state.as_ref().is_err_and(|error| error.kind() == kind)).count()
}

#[tokio::test(start_paused = true)]
async fn h20_a_page_that_never_comes_does_not_hide_those_after_it() {
    let (gate, ids) = full(450);
    gate.fail("reference=project&page=2&", ALWAYS, Failure::internal());
    // A hundred are on the page, of which some are asked about by themselves.
    let states: States = backend(&gate).inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter().collect();
    assert_eq!((seen(&states), failed(&states, ErrorKind::Server)), (350 + 64, 36));
    // So many in a pass, however many portions it has.
    let (pass, portions) = (PassIds::new(ids.iter().cloned()), backend(&gate));
    let mut states = States::new();
    for portion in ids.chunks(40) {
        let inspection = Inspection::of(portion, Aspects::ALL).in_pass(&pass);
        states.extend(portions.inspect(&cx(), &inspection).await);
    }
    assert_eq!((seen(&states), failed(&states, ErrorKind::Server)), (350 + 64, 36));
    let november = Period::containing(Date::constant(2026, 11, 22));
    let backend = backend(&gate);
    let usage = backend.usage().unwrap().usage(&cx(), &ids, november).await;
    assert_eq!(usage.values().filter(|usage| matches!(usage, Usage::Measured(_))).count(), 350 + 64);
    // One of projects that never comes: nothing is known of those, and everything of the others.
    gate.mend();
    gate.fail("GET /projects?page=3&", ALWAYS, Failure::internal());
    let states: States = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter().collect();
    assert!(seen(&states) >= 350 + 64, "{}", seen(&states));
    // Where hardly any comes, the server is out of order, and is left alone.
    gate.mend();
    gate.take_log();
    let (gate, ids) = full(850);
    for page in 3..=9 {
        gate.fail(&format!("reference=project&page={page}&"), ALWAYS, Failure::internal());
    }
    let states: States =
        crate::common::backend(&gate).inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter().collect();
    assert_eq!(seen(&states), 200 + 64);
    assert_eq!(count(&gate.take_log(), "reference=project&page=9&"), 0);
}

#[tokio::test(start_paused = true)]
async fn h21_t6_a_list_that_shows_public_projects_alone_is_not_believed() {
    // The robot expires between the two listings.
    let (gate, ids) = full(350);
    let backend = backend(&gate);
    gate.expire_after("reference=project&page=4&");
    let states: States = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter().collect();
    assert_eq!(failed(&states, ErrorKind::Unauthenticated), 350, "{:?}", states.values().next());
    assert_eq!(gate.fake.refused_logins(), 2, "by the list, and when that was doubted; and not for each");
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| *robot.expires_at = -1);
    let states: States = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter().collect();
    assert_eq!(seen(&states), 350);
    // It may see quotas, and no projects.
    let (gate, ids) = full(350);
    gate.fail("GET /projects?", ALWAYS, Failure::ok(&serde_json::json!([])));
    for _pass in 0..2 {
        let backend = crate::common::backend(&gate);
        let states: States = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await.into_iter().collect();
        assert_eq!((seen(&states), failed(&states, ErrorKind::Inconsistent)), (64, 286));
        let log = gate.take_log();
        assert_eq!(count(&log, "GET /projects/"), 64);
        let error = states.values().find_map(|state| state.as_ref().err()).unwrap();
        assert!(error.message().contains("project:list"), "{error}");
        assert_eq!(error.class(), ErrorClass::Transient, "no resource is failed for what was not shown");
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_another_process_made_costs_no_listing() {
    let (gate, mut ids) = full(250);
    let backend = backend(&gate);
    backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    gate.take_log();
    // And one of them is another one by now.
    gate.fake.add_project(SeedProject::new("waldur-new").quota(20 * GIB)).unwrap();
    ids.push(id("waldur-new"));
    gate.fake.remove_project("waldur-007");
    gate.fake.add_project(SeedProject::new("waldur-007").quota(20 * GIB)).unwrap();
    let states = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    for new in ["waldur-new", "waldur-007"] {
        assert_eq!(states[&id(new)].as_ref().unwrap().as_ref().unwrap().limits, storage(20));
    }
    assert_eq!(gate.take_log().len(), 3 + 2 * 2, "the quotas, and the new ones by themselves");
    backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    assert_eq!(gate.take_log().len(), 3, "they are known");
    // Of many, a listing takes less.
    for number in 0..5 {
        let name = format!("waldur-more-{number}");
        gate.fake.add_project(SeedProject::new(&name).quota(GIB)).unwrap();
        ids.push(id(&name));
    }
    backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    assert_eq!(gate.take_log().len(), 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changed_and_names_all_who_were_asked_for_is_not_read_again() {
    let (gate, ids) = full(150);
    gate.after("GET /projects?page=1&", |harbor| drop(harbor.add_project(SeedProject::new("zz").quota(GIB))));
    let backend = backend(&gate);
    for listings in [2, 0, 0] {
        gate.take_log();
        let states: States = backend.inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
        assert_eq!(seen(&states), 150);
        assert_eq!(count(&gate.take_log(), "GET /projects?"), listings);
    }
}
