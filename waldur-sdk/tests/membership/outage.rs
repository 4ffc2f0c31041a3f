//! Passes in trouble: either side down, credentials refused, a deadline, an empty back end (faults.md rows 28, 41, 44, 52,
//! 108).

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;
use waldur_sdk::{
    ErrorKind,
    backend::{ById, Capabilities, Inspection, OpContext, ResourceBackend, ResourceState},
    process::{MembershipReport, ResourceSync, SyncOutcome},
    rest::HttpTransport,
    testing::{
        Action, Counting, Faults, Matcher, Overridden, Override, hang, op, path, status,
        waldur::{Generation, OfferingUserState},
        when,
    },
};

use crate::world::{Names, Site, assert_synced, run};

const SECOND: Duration = Duration::from_secs(1);

/// So many resources, each in a project of its own with one member, who has no access yet.
fn of_many_projects(resources: usize) -> Site {
    let site = Site::new(Generation::V8);
    for number in 0..resources {
        let project = site.waldur().project(&format!("p{number:03}")).create();
        site.member_of(project, &format!("m{number:03}"));
        site.resource_in(project, &format!("r{number:03}"), &[]);
    }
    site
}

fn deferred(report: &MembershipReport, kind: ErrorKind) -> usize {
    report.count(|outcome| matches!(outcome, SyncOutcome::Deferred(error) if error.kind() == kind))
}

/// One side with a fault, and what is counted of it.
fn counted(inner: impl HttpTransport, requests: Matcher, fault: impl Into<Action>) -> (Counting, Faults) {
    let faults = Faults::new(inner).on(requests, fault);
    (Counting::new(faults.clone()), faults)
}

#[tokio::test(start_paused = true)]
async fn f041_teams_of_a_waldur_that_is_down_are_asked_for_a_few_times() {
    for (fault, kind) in
        [(Action::refuse(status(503)), ErrorKind::Unavailable), (Action::refuse(hang()), ErrorKind::Timeout)]
    {
        let site = of_many_projects(200);
        let (waldur, _) = counted(site.waldur().clone(), op("provider_resources.team"), fault);
        let agent = site.agent().waldur(waldur.clone()).build();
        let begun = Instant::now();
        let report = run(&agent).await;
        assert_eq!((report.resources.len(), deferred(&report, kind)), (200, 200), "{kind:?}");
        let counts = waldur.counts();
        assert!(counts.of("provider_resources.team") <= 60 && counts.writes == 0, "{kind:?}: {counts}");
        assert!(begun.elapsed() <= 400 * SECOND, "{kind:?}: {:?}", begun.elapsed());
        assert_eq!(site.service().writes(), 0);
        // It is back.
        assert_synced(&run(&site.agent().build()).await);
    }
}

#[tokio::test(start_paused = true)]
async fn f041_a_back_end_that_goes_down_while_members_are_brought_in_is_left_alone() {
    for (answer, kind, most) in [(503, ErrorKind::Unavailable, 16), (401, ErrorKind::Unauthenticated, 8)] {
        let site = of_many_projects(200);
        let (service, faults) = counted(site.service().clone(), op("members.add"), status(answer));
        let agent = site.agent().sending_once().service(service).build();
        let report = run(&agent).await;
        // One person's failure is not the resource's; that everybody's is shows after a few.
        assert!(faults.acted() <= most, "{answer}: {}", faults.acted());
        assert_eq!(deferred(&report, kind) as u64, 200 - faults.acted());
        let is_told = |resource: &&ResourceSync| resource.outcome.to_string().contains("not tried");
        assert_eq!(report.resources.iter().filter(is_told).count() as u64, 200 - faults.acted());
    }
}

/// Reads objects one by one, and knows no breaker.
struct OneByOne(Arc<dyn ResourceBackend>);

#[async_trait]
impl Override for OneByOne {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.0
    }
    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let mut states = ById::new();
        for id in inspection.ids {
            states.insert(id.clone(), self.0.get(cx, id).await);
        }
        states
    }
}

#[tokio::test(start_paused = true)]
async fn f041_f044_a_back_end_that_is_asked_in_portions_is_not_asked_for_the_next_portion() {
    for (answer, kind) in [(503, ErrorKind::Unavailable), (401, ErrorKind::Unauthenticated)] {
        let site = of_many_projects(600);
        let (service, _) = counted(site.service().clone(), op("objects.get"), status(answer));
        let waldur = Counting::new(site.waldur().clone());
        let capabilities = Capabilities::default().with_portions();
        let agent = site.agent().sending_once().service(service.clone()).waldur(waldur.clone());
        let agent = agent.memory(move |memory| memory.with_members().with_capabilities(capabilities));
        let report = run(&agent.around(|backend| Overridden(OneByOne(backend))).build()).await;
        assert_eq!(deferred(&report, kind), 600);
        // The first portion; nothing of the second, nor any of its teams.
        assert_eq!(service.counts().of("objects.get"), 512, "{}", service.counts());
        assert_eq!(waldur.counts().of("provider_resources.team"), 512);
    }
}

#[tokio::test(start_paused = true)]
async fn f028_resources_that_a_deadline_left_over_come_first_in_the_next_pass() {
    let site = Site::new(Generation::V8);
    site.member("m");
    for number in 0..6 {
        site.resource(&format!("r{number}"), &[]);
    }
    let hanging = op("members.add").and(when("of two", |request| {
        ["/objects/r0/", "/objects/r1/"].iter().any(|path| request.uri().path().starts_with(path))
    }));
    let service = Faults::new(site.service().clone()).on(hanging, hang());
    let agent = site.agent().service(service).policy(|policy| policy.concurrency = 2).build();
    let pass = async || {
        let cx = OpContext::new("pass").with_deadline(Some((Instant::now() + 5 * SECOND).into_std()));
        agent.run_once(&cx).await.unwrap()
    };
    let served = || (0..6).filter(|number| site.access(&format!("r{number}")) == "m").collect::<Vec<_>>();
    // The first two take all the time there is.
    let report = pass().await;
    assert_eq!((served(), deferred(&report, ErrorKind::DeadlineExceeded)), (vec![], 4));
    assert!(report.resources.iter().all(|resource| !resource.is_clean()));
    // They would again, but it is the others' turn.
    pass().await;
    assert_eq!(served(), [2, 3, 4, 5]);
    pass().await;
    assert_eq!(site.waldur().unserved(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn f028_whoever_runs_once_does_not_begin_with_the_same_ones_each_time() {
    let site = of_many_projects(10);
    let mut first = BTreeSet::new();
    for random in 0..10_u64 {
        let seen = Arc::new(Mutex::new(None));
        let note = seen.clone();
        let noted = op("members.add").and(when("noted", move |request| {
            note.lock().unwrap().get_or_insert_with(|| request.uri().path().to_owned());
            true
        }));
        let stuck = Faults::new(site.service().clone()).on(noted, hang());
        let agent = site.agent().random(random << 32).service(stuck);
        let agent = agent.policy(|policy| (policy.single_pass, policy.concurrency) = (true, 1)).build();
        let cx = OpContext::new("once").with_deadline(Some((Instant::now() + 5 * SECOND).into_std()));
        agent.run_once(&cx).await.unwrap();
        first.insert(seen.lock().unwrap().clone());
    }
    assert_eq!(first.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn f108_a_back_end_that_has_nothing_of_many_is_doubted() {
    for (resources, doubted) in [(6, true), (5, false)] {
        let site = Site::new(Generation::V8);
        let user = site.waldur().user("a@idp").create();
        let account = site.waldur().offering_user(site.offering(), user).username("a");
        let account = account.state(OfferingUserState::RequestedDeletion).create();
        for number in 0..resources {
            let id = format!("r{number}");
            site.waldur().resource(site.offering()).name(&id).slug(&id).backend_id(&id).create();
        }
        let names = Names::new();
        let agent = site.agent().usernames(&names).policy(|policy| policy.drive_deletion = true).build();
        let report = run(&agent).await;
        assert_eq!(report.count(|outcome| matches!(outcome, SyncOutcome::Missing)), resources);
        let told: Vec<_> = report.warnings.iter().map(|warning| warning.step).collect();
        assert_eq!(told, if doubted { vec!["back end"] } else { vec![] });
        // Nobody's last access is believed to be gone.
        let state = site.waldur().offering_user_view(account).state;
        assert_eq!(state == OfferingUserState::Deleted, !doubted, "{state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f052_a_wrong_base_url_is_a_mistake_in_the_settings_and_changes_nothing() {
    let pages = [
        "<html>404 Not Found</html>",
        "The requested resource was not found on this server.",
        "{\"detail\": \"Not found.\"}",
    ];
    for page in pages {
        let site = Site::new(Generation::V8);
        site.resource("one", &["stranger"]);
        let lost = Faults::new(site.waldur().clone()).on(path("/api/"), status(404).body("text/html", page));
        let error = site.agent().waldur(lost).build().run_once(&OpContext::new("pass")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("base URL"), "{error}");
        assert_eq!((site.writes(), site.service().writes(), site.access("one").as_str()), (vec![], 0, "stranger"));
    }
}
