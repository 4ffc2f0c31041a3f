//! Deleting projects (harbor.md §5.4).

use std::sync::{Arc, Mutex};

use serde_json::json;
use waldur_backend_harbor::testing::{Image, Permission, SeedProject};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{Cancellation, DeleteRequest, ProgressObserver, Removed, ResourceBackend as _, Step},
};

use crate::common::{
    ALWAYS, Failure, GIB, GROUP, Gate, NAME, OTHER_STAMP, STAMP, backend, backend_with, count, cx, delete, id, order,
    resource, seed,
};

const FORCE: &str = "force_delete_repositories";

#[tokio::test(start_paused = true)]
async fn h23_a_project_with_repositories_is_kept_and_the_customer_told_how_many() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).used(7)).unwrap();
    let before = gate.fake.project(NAME);
    let error = delete(&backend(&gate)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    let told = error.customer_message().unwrap();
    assert_eq!(told, "The project waldur-test-registry still contains 1 repository. Delete them first.");
    assert_eq!(gate.fake.project(NAME), before);
    assert!(gate.take_writes().is_empty());
    // Pushed after it was looked at: Harbor refuses, and so do we.
    gate.fail("DELETE /projects/", 1, Failure::error(412, "PRECONDITION", "contains repositories"));
    gate.fail(
        "GET /projects/",
        1,
        Failure::ok(&json!({ "project_id": 2, "name": NAME, "repo_count": 0,
        "cve_allowlist": { "items": [{ "cve_id": STAMP }] } })),
    );
    let error = delete(&backend(&gate)).await.unwrap_err();
    assert!(error.customer_message().unwrap().contains("still contains 1 repository"), "{error}");
    assert_eq!(gate.fake.project(NAME), before);
}

#[tokio::test(start_paused = true)]
async fn h24_repositories_go_first_where_that_is_asked_for_with_slashes_encoded_twice() {
    let gate = Gate::new();
    let seed = SeedProject::new(NAME).quota(GIB).group(GROUP, 2).tolerates(STAMP);
    let seed = seed.image("a/b", Image::new("v1").layer("x", 1)).image("c", Image::new("v1").layer("y", 1));
    gate.fake.add_project(seed).unwrap();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let backend = backend_with(gate.clone(), &gate.fake, json!({ FORCE: true }));
    let cx = cx().with_progress(Steps(steps.clone()));
    let _done = backend.delete(&cx, &DeleteRequest::new(order(), resource(), id(NAME))).await.unwrap();
    let mut writes = gate.take_writes();
    // Those of one project side by side, in no particular order.
    writes[..2].sort();
    assert_eq!(
        writes,
        [
            "DELETE /projects/waldur-test-registry/repositories/a%252Fb",
            "DELETE /projects/waldur-test-registry/repositories/c",
            "DELETE /projects/waldur-test-registry",
        ]
    );
    assert!(gate.fake.projects().is_empty());
    let steps = steps.lock().unwrap().clone();
    assert!(steps.contains(&("repositories".to_owned(), Some(1), Some(2))), "{steps:?}");
    assert!(steps.contains(&("repositories".to_owned(), Some(2), Some(2))), "{steps:?}");
    // The group is the Waldur project's and stays.
    assert!(gate.fake.group(GROUP).is_some());
}

type Seen = Arc<Mutex<Vec<(String, Option<u64>, Option<u64>)>>>;

struct Steps(Seen);

impl ProgressObserver for Steps {
    fn on_step(&self, step: &Step<'_>) {
        self.0.lock().unwrap().push((step.step.to_owned(), step.done, step.total));
    }
}

#[tokio::test(start_paused = true)]
async fn h24_hundreds_of_repositories_go_and_a_stop_is_heard_in_between() {
    let gate = Gate::new();
    let full = (0..230).fold(SeedProject::new(NAME).quota(GIB).tolerates(STAMP), |seed, number| {
        seed.image(&format!("team/app-{number}"), Image::new("v1").layer("x", 1))
    });
    gate.fake.add_project(full).unwrap();
    let backend = backend_with(gate.clone(), &gate.fake, json!({ FORCE: true }));
    let stop = Cancellation::default();
    let heard = StopAt(stop.clone(), 50);
    let cx = cx().with_cancellation(stop).with_progress(heard);
    let request = DeleteRequest::new(order(), resource(), id(NAME));
    let error = backend.delete(&cx, &request).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Cancelled, ErrorClass::NotReady), "{error}");
    let left = gate.fake.repositories_of(NAME).len();
    assert!((176..=180).contains(&left), "{left}");
    // The next attempt goes on.
    let _done = backend.delete(&crate::common::cx(), &request).await.unwrap();
    assert!(gate.fake.projects().is_empty());
}

struct StopAt(Cancellation, u64);

impl ProgressObserver for StopAt {
    fn on_step(&self, step: &Step<'_>) {
        if step.done == Some(self.1) {
            self.0.cancel();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn images_that_may_not_be_deleted_keep_their_project() {
    let gate = Gate::new();
    let seed = SeedProject::new(NAME).quota(GIB).tolerates(STAMP);
    gate.fake.add_project(seed.image("a/b", Image::new("v1").layer("x", 1))).unwrap();
    assert!(gate.fake.make_immutable(NAME, "a/b", "v1"));
    let backend = backend_with(gate.clone(), &gate.fake, json!({ FORCE: true }));
    let error = delete(&backend).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    assert!(error.customer_message().unwrap().contains("waldur-test-registry/a/b"), "{error}");
    assert_eq!(gate.fake.projects(), [NAME]);
}

#[tokio::test(start_paused = true)]
async fn images_are_deleted_only_where_the_project_is_proven_to_be_the_resources() {
    let gate = Gate::new();
    let project = gate.fake.add_project(SeedProject::new(NAME).quota(GIB).used(7)).unwrap();
    let backend = backend_with(gate.clone(), &gate.fake, json!({ FORCE: true }));
    let error = delete(&backend).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected);
    assert!(error.message().contains("nothing on the project shows"), "{error}");
    assert_eq!(gate.fake.repositories_of(NAME).len(), 1);
    // The number that was published when it was made is a proof.
    let mut known = resource();
    known.metadata.insert("harbor_project_id".to_owned(), project.id.to_string().into());
    let _done = backend.delete(&cx(), &DeleteRequest::new(order(), known, id(NAME))).await.unwrap();
    assert!(gate.fake.projects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h25_what_is_gone_is_gone() {
    let gate = Gate::new();
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::AlreadyAbsent);
    let log = gate.take_log();
    assert_eq!(
        log,
        [format!("GET /projects/{NAME}"), format!("HEAD /projects?project_name={NAME}")],
        "to a robot it is forbidden, and then proven absent"
    );
}

#[tokio::test(start_paused = true)]
async fn h25_an_empty_project_goes_and_its_absence_is_proven() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB)).unwrap();
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.projects().is_empty());
    let log = gate.take_log();
    assert_eq!((count(&log, "DELETE "), log.len()), (1, 3), "{log:#?}");
    assert!(log[2].starts_with("HEAD "), "{log:#?}");
    // The answer to a deletion that was carried out is lost: the repeat is forbidden, and proves what it has to.
    gate.fake.add_project(seed(GIB)).unwrap();
    gate.lose_answer("DELETE ", 1, Failure::internal());
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::AlreadyAbsent);
    assert!(gate.fake.projects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h25_a_harbor_that_forbids_to_ask_about_what_is_gone_does_not_fail_the_order() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB)).unwrap();
    gate.fail("HEAD ", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.projects().is_empty());
    // That it was gone before, a list says to who is shown everything,
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::AlreadyAbsent);
    assert!(backend(&gate).get(&cx(), &id(NAME)).await.unwrap().is_none());
    // and to nobody else.
    gate.fake.add_project(SeedProject::new("waldur-hidden").quota(GIB)).unwrap();
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| {
        let system = Permission::system(&["project:create", "quota:list"]);
        *robot.permissions = vec![system, Permission::project("waldur-other", &["project:read"])];
    });
    let error = delete(&backend(&gate)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test(start_paused = true)]
async fn h25_a_harbor_that_treats_existence_as_reading_is_no_obstacle() {
    let gate = Gate::with(|builder| builder.configure(|settings| settings.head_needs_right = true));
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::AlreadyAbsent);
    gate.fake.add_project(seed(GIB)).unwrap();
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::Deleted);
    gate.fake.add_project(seed(GIB)).unwrap();
    gate.lose_answer("DELETE ", 1, Failure::internal());
    assert_eq!(delete(&backend(&gate)).await.unwrap(), Removed::AlreadyAbsent);
    assert!(gate.fake.projects().is_empty() && gate.fake.unmodelled().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h25_nothing_but_harbor_proves_an_absence() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB)).unwrap();
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| *robot.disabled = true);
    let error = delete(&backend(&gate)).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Unauthenticated, ErrorClass::NotReady), "{error}");
    gate.fake.edit_robot(&login, |robot| *robot.disabled = false);
    for body in ["<html>404</html>", "", "no such page"] {
        gate.fail("/projects", ALWAYS, Failure::Status(404, body.to_owned()));
        let error = delete(&backend(&gate)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongContent, "{body}: {error}");
        gate.mend();
    }
    assert_eq!(gate.fake.projects(), [NAME]);
}

#[tokio::test(start_paused = true)]
async fn a_strangers_project_is_not_deleted() {
    for force in [false, true] {
        let gate = Gate::new();
        gate.fake.add_project(SeedProject::new(NAME).tolerates(OTHER_STAMP).used(5)).unwrap();
        let backend = backend_with(gate.clone(), &gate.fake, json!({ FORCE: force }));
        let error = delete(&backend).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
        assert!(gate.take_writes().is_empty());
        // Nor one that has been given the name since.
        gate.fake.set_allowlist(NAME, &[]);
        let mut known = resource();
        known.metadata.insert("harbor_project_id".to_owned(), 4711.into());
        let error = backend.delete(&cx(), &DeleteRequest::new(order(), known, id(NAME))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
        assert!(gate.take_writes().is_empty());
    }
}
