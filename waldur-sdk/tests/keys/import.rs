//! What exists on the back end and not in Waldur (core.md §2.12).

use crate::{orders::World, parts};
use async_trait::async_trait;
use serde_json::json;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Importable, OpContext, ResourceBackend},
    process::{ImportFate, ImportItem, ImportOutcome, ImportReport, ResourceImport},
    rest::{Complete, HttpTransport},
    testing::{
        Action, Faults, MemoryObject, Overridden, Override, complete, hang, op, status,
        waldur::{Generation, ImportState, ResourceState},
    },
    types::{BackendId, BackendResourceRequestUuid, ResourceUuid, Uuid},
};

/// Two strangers of a known project, one of an unknown one, one of none, and one that Waldur knows.
pub(crate) fn world() -> World {
    let world = World::new(Generation::V8);
    let project = world.waldur.default_project();
    world.waldur.change_user(world.waldur.agent(), |user| user.project_role(project, "PROJECT.MANAGER"));
    world.existing("known");
    let object = |project: Option<&str>| {
        let mut object = MemoryObject::default();
        object.project = project.map(str::to_owned);
        object.limits = [("cpu".to_owned(), Some(5)), ("mem".to_owned(), None)].into();
        "active".clone_into(&mut object.status);
        object
    };
    world.service.put("alpha", object(Some(crate::orders::PROJECT)));
    world.service.put("beta", object(Some(crate::orders::PROJECT)));
    world.service.put("gamma", object(Some("nobody-1")));
    world.service.put("delta", object(None));
    world
}

fn import(world: &World, waldur: impl HttpTransport, service: impl HttpTransport) -> ResourceImport {
    let (http, backend) = parts(waldur, service);
    ResourceImport::new(world.client(http), backend, world.offering)
}

async fn run(world: &World, request: BackendResourceRequestUuid) -> ImportReport {
    let import = import(world, world.waldur.clone(), world.service.clone());
    let report = import.run(&OpContext::new("import"), request).await.unwrap();
    world.assert_sound();
    report
}

fn fates(items: &[ImportItem]) -> Vec<String> {
    let mut fates: Vec<_> = items.iter().map(|item| format!("{}: {}", item.backend_id, item.fate)).collect();
    fates.sort();
    fates
}

fn rows(world: &World) -> Vec<String> {
    let mut rows: Vec<_> = world.waldur.backend_resources().into_iter().map(|(id, _)| id).collect();
    rows.sort();
    rows
}

#[tokio::test(start_paused = true)]
async fn what_waldur_does_not_know_is_offered_with_its_limits() {
    let world = world();
    let request = world.waldur.import_request(world.offering);
    let report = run(&world, request).await;
    assert!(matches!(report.outcome, ImportOutcome::Done), "{report:#?}");
    assert_eq!(
        fates(&report.items),
        [
            "alpha: offered for import",
            "beta: offered for import",
            "delta: belongs to no project",
            "gamma: no project has the slug \"nobody-1\"",
        ]
    );
    assert_eq!(rows(&world), ["alpha", "beta"]);
    let limits = json!({ "limits": { "cpu": 5, "mem": -1 } });
    assert!(world.waldur.backend_resources().iter().all(|(_, metadata)| *metadata == limits));
    assert_eq!(world.waldur.import_request_view(request), (ImportState::Done, String::new()));
    assert_eq!(world.service.writes(), 0);
    // Each slug is asked for once.
    assert_eq!(world.count("projects.list"), 2);

    // A second wish offers nothing twice; the first is not looked at again.
    let again = run(&world, world.waldur.import_request(world.offering)).await;
    assert!(matches!(again.outcome, ImportOutcome::Done));
    assert!(fates(&again.items).contains(&"alpha: offered for import before".to_owned()));
    assert_eq!(rows(&world), ["alpha", "beta"]);
    assert!(matches!(run(&world, request).await.outcome, ImportOutcome::AlreadyFinished));
}

#[tokio::test(start_paused = true)]
async fn a_look_writes_nothing() {
    let world = world();
    let import = import(&world, world.waldur.clone(), world.service.clone());
    let items = import.discover(&OpContext::new("look")).await.unwrap();
    let ready = items.iter().filter(|item| matches!(item.fate, ImportFate::Ready(_))).count();
    assert_eq!((items.len(), ready), (4, 2));
    assert!(world.waldur.writes().is_empty());
    assert_eq!(world.service.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn accounts_of_projects_may_begin_with_a_prefix() {
    let world = world();
    let mut object = MemoryObject::default();
    object.project = Some(format!("hpc_{}", crate::orders::PROJECT));
    "active".clone_into(&mut object.status);
    world.service.put("prefixed", object);
    let import = import(&world, world.waldur.clone(), world.service.clone()).with_project_prefix("hpc_");
    let items = import.discover(&OpContext::new("look")).await.unwrap();
    let ready: Vec<_> = items.iter().filter(|item| matches!(item.fate, ImportFate::Ready(_))).collect();
    assert_eq!(ready.iter().map(|item| item.backend_id.as_str()).collect::<Vec<_>>(), ["prefixed"]);
}

#[tokio::test(start_paused = true)]
async fn what_an_order_is_changing_is_not_offered_and_what_is_gone_is() {
    for (state, offered) in [
        (ResourceState::Updating, false),
        (ResourceState::Terminating, false),
        (ResourceState::Creating, false),
        (ResourceState::Erred, false),
        (ResourceState::Terminated, true),
    ] {
        let world = world();
        world.waldur.resource(world.offering).backend_id("alpha").state(state).create();
        let request = world.waldur.import_request(world.offering);
        run(&world, request).await;
        assert_eq!(rows(&world).contains(&"alpha".to_owned()), offered, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_object_that_fails_stops_no_other() {
    let world = world();
    let request = world.waldur.import_request(world.offering);
    let faults = Faults::new(world.waldur.clone()).on(op("backend_resources.create").nth(1), status(400));
    let import = import(&world, faults, world.service.clone());
    let report = import.run(&OpContext::new("import"), request).await.unwrap();
    assert!(matches!(report.outcome, ImportOutcome::Done), "{report:#?}");
    let failed = report.items.iter().filter(|item| matches!(item.fate, ImportFate::Failed(_))).count();
    assert_eq!((failed, rows(&world).len()), (1, 1));
    // The next wish has the other.
    run(&world, world.waldur.import_request(world.offering)).await;
    assert_eq!(rows(&world), ["alpha", "beta"]);
}

#[tokio::test(start_paused = true)]
async fn f100_a_list_that_is_not_whole_offers_nothing() {
    let places = [
        ("provider_resources.list", status(500)),
        ("backend_resources.list", status(500)),
        ("objects.list", status(500)),
        ("provider_resources.list", status(200).json(&json!([{ "uuid": 7 }]))),
    ];
    for (operation, answer) in places {
        let world = world();
        let request = world.waldur.import_request(world.offering);
        let waldur = Faults::new(world.waldur.clone()).on(op(operation), answer.clone());
        let service = Faults::new(world.service.clone()).on(op(operation), answer);
        let import = import(&world, waldur, service);
        let report = import.run(&OpContext::new("import"), request).await.unwrap();
        assert!(matches!(report.outcome, ImportOutcome::Erred(_)), "{operation}: {report:#?}");
        let (state, message) = world.waldur.import_request_view(request);
        assert_eq!((state, rows(&world).len()), (ImportState::Erred, 0), "{operation}");
        assert!(!message.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_waldur_does_not_let_us_begin_or_end_is_told() {
    for operation in ["backend_resource_requests.start_processing", "backend_resource_requests.set_done"] {
        for (code, refused) in [(403, true), (503, false), (409, false)] {
            let world = world();
            let request = world.waldur.import_request(world.offering);
            let faults = Faults::new(world.waldur.clone()).on(op(operation), status(code));
            let report = import(&world, faults, world.service.clone()).run(&OpContext::new("import"), request).await;
            let outcome = report.unwrap().outcome;
            assert_eq!(matches!(outcome, ImportOutcome::Refused(_)), refused, "{operation} {code}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f129_a_panic_while_limits_are_read_fails_its_objects_alone() {
    let world = world();
    let mut object = MemoryObject::default();
    object.project = Some(crate::orders::PROJECT.to_owned());
    "active".clone_into(&mut object.status);
    world.service.put("bare", object);
    let request = world.waldur.import_request(world.offering);
    let service = crate::orders::OnRequest::new(world.service.clone(), "objects.get", || panic!("a bug"));
    let report = import(&world, world.waldur.clone(), service).run(&OpContext::new("import"), request).await.unwrap();
    assert!(matches!(report.outcome, ImportOutcome::Done), "{report:#?}");
    let bare = report.items.iter().find(|item| item.backend_id.as_str() == "bare").unwrap();
    assert!(matches!(bare.fate, ImportFate::Failed(_)), "{report:#?}");
    assert_eq!(rows(&world), ["alpha", "beta"]);
}

#[tokio::test(start_paused = true)]
async fn f022_a_wish_whose_answers_got_lost_is_gone_on_with() {
    for operation in
        ["backend_resource_requests.start_processing", "backend_resources.create", "backend_resource_requests.set_done"]
    {
        let world = world();
        let request = world.waldur.import_request(world.offering);
        let faults = Faults::new(world.waldur.clone()).on(op(operation).nth(1), Action::commit_then(hang()));
        let first = import(&world, faults, world.service.clone());
        first.run(&OpContext::new("import"), request).await.unwrap();
        run(&world, request).await;
        run(&world, world.waldur.import_request(world.offering)).await;
        assert_eq!(world.waldur.import_request_view(request).0, ImportState::Done, "{operation}");
        assert_eq!(rows(&world), ["alpha", "beta"], "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn wishes_about_others_and_back_ends_without_lists() {
    let world = world();
    let other = world.waldur.offering().name("Other").create();
    let request = world.waldur.import_request(other);
    assert!(matches!(run(&world, request).await.outcome, ImportOutcome::OtherOffering));
    assert_eq!(world.waldur.import_request_view(request).0, ImportState::Sent);
    let missing = import(&world, world.waldur.clone(), world.service.clone())
        .run(&OpContext::new("import"), BackendResourceRequestUuid::new(waldur_sdk::types::Uuid::nil()))
        .await;
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    // Stopped between two objects: left as it is.
    let stop = waldur_sdk::backend::Cancellation::default();
    stop.cancel();
    let request = world.waldur.import_request(world.offering);
    let stopped = import(&world, world.waldur.clone(), world.service.clone());
    let report = stopped.run(&OpContext::new("import").with_cancellation(stop), request).await.unwrap();
    assert!(matches!(report.outcome, ImportOutcome::Deferred(_)), "{report:#?}");
    assert_eq!(world.waldur.import_request_view(request).0, ImportState::Processing);
    assert!(matches!(run(&world, request).await.outcome, ImportOutcome::Done));
}

#[tokio::test(start_paused = true)]
async fn what_carries_a_stamp_is_not_offered_whoever_it_belongs_to() {
    let world = world();
    let stamp = |id: &str, resource: ResourceUuid| {
        let mut object = world.object(id);
        object.stamp = Some(resource);
        world.service.put(id, object);
    };
    // Another offering's on the same system, and one of this offering that has ended softly.
    let foreign = ResourceUuid::new(Uuid::from_u128(0x0bad));
    let ended = world.waldur.resource(world.offering).backend_id("beta").state(ResourceState::Terminated).create();
    stamp("alpha", foreign);
    stamp("beta", ended);
    let report = run(&world, world.waldur.import_request(world.offering)).await;
    assert!(matches!(report.outcome, ImportOutcome::Done), "{report:#?}");
    let fates = fates(&report.items);
    assert_eq!(
        fates[..2],
        [format!("alpha: belongs to resource {foreign}"), format!("beta: belongs to resource {ended}")]
    );
    assert_eq!(rows(&world), [""; 0]);
    assert_eq!(world.count("projects.list"), 1, "nobody asks for the project of what is not offered");
}

#[tokio::test(start_paused = true)]
async fn an_object_with_a_long_id_is_offered_under_a_name_that_waldur_can_store() {
    let world = world();
    let id = "x".repeat(200);
    let object = world.object("alpha");
    world.service.put(id.as_str(), object);
    let report = run(&world, world.waldur.import_request(world.offering)).await;
    assert!(fates(&report.items).contains(&format!("{id}: offered for import")), "{report:#?}");
    let body = world.waldur.requests().into_iter().map(|request| request.body).find(|body| body["backend_id"] == id);
    let name = body.unwrap()["name"].as_str().unwrap().to_owned();
    assert_eq!((name.len(), name.starts_with("xxx")), (150, true));
}

/// Lists what a test says.
struct Lists(std::sync::Arc<dyn ResourceBackend>, Complete<Importable>);

#[async_trait]
impl Override for Lists {
    fn inner(&self) -> &dyn ResourceBackend {
        &*self.0
    }
    async fn importer_list(&self, _cx: &OpContext) -> Result<Complete<Importable>> {
        Ok(self.1.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_keeps_no_other_back_and_is_not_offered() {
    let world = world();
    let ids = ["alpha", "beta", "known"].map(|id| BackendId::new(id).unwrap());
    let [alpha, beta, known] = ids;
    let mut readable = Importable::new(alpha);
    readable.parent = Some(crate::orders::PROJECT.to_owned());
    let unread = |id| {
        let mut item = Importable::unreadable(id, Error::not_ready("not now"));
        item.parent = Some(crate::orders::PROJECT.to_owned());
        item
    };
    let list = complete(vec![unread(beta), readable, unread(known)]);
    let (http, backend) = parts(world.waldur.clone(), world.service.clone());
    let backend = std::sync::Arc::new(Overridden(Lists(backend, list)));
    let import = ResourceImport::new(world.client(http), backend, world.offering);
    let report = import.run(&OpContext::new("import"), world.waldur.import_request(world.offering)).await.unwrap();
    assert_eq!(fates(&report.items), ["alpha: offered for import", "beta: failed: not now"]);
    assert_eq!(rows(&world), ["alpha"]);
}
