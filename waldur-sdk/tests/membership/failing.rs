//! What fells a resource and what does not (core.md §3.9, §9 C44; faults.md rows 124, 129, 150).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use waldur_sdk::{
    backend::{Capabilities, layers},
    process::SyncOutcome,
    rest::{HttpTransport, TransportError},
    testing::{
        Action, Faults, MemoryService, op, path, status,
        waldur::{Generation, ResourceState},
        writes,
    },
    types::ResourceUuid,
};

use crate::{
    orders::OnRequest,
    world::{MINUTE, Site, assert_synced, cx, only, pass_time, run},
};

/// A service that can be told to refuse everything.
#[derive(Clone)]
struct Moody {
    inner: MemoryService,
    refuses: Arc<std::sync::atomic::AtomicU16>,
}

impl Moody {
    fn new(site: &Site) -> Self {
        Self { inner: site.service().clone(), refuses: Arc::default() }
    }

    fn refuse(&self, status: u16) {
        self.refuses.store(status, std::sync::atomic::Ordering::Relaxed);
    }
}

#[async_trait]
impl HttpTransport for Moody {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        match self.refuses.load(std::sync::atomic::Ordering::Relaxed) {
            0 => self.inner.send(request).await,
            status => Ok(Response::builder().status(status).body(Bytes::new()).unwrap()),
        }
    }
}

fn state(site: &Site, resource: ResourceUuid) -> ResourceState {
    site.waldur().resource_view(resource).state
}

#[tokio::test(start_paused = true)]
async fn c44_three_failures_for_good_in_a_row_and_the_recovery() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    let agent = site.agent().service(moody.clone()).build();
    moody.refuse(400);
    for times in 1..=2 {
        let report = run(&agent).await;
        assert!(matches!(only(&report).outcome, SyncOutcome::Failing(_, seen) if seen == times), "{report:#?}");
        assert_eq!(state(&site, resource), ResourceState::Ok);
    }
    let report = run(&agent).await;
    assert!(matches!(only(&report).outcome, SyncOutcome::Erred(_)));
    assert_eq!(state(&site, resource), ResourceState::Erred);
    let view = site.waldur().resource_view(resource);
    assert!(view.error_message.starts_with("Membership synchronisation failed: "), "{}", view.error_message);
    assert!(!view.error_traceback.is_empty());
    // Said once.
    site.writes();
    run(&agent).await;
    assert_eq!(site.writes(), Vec::<&str>::new());
    moody.refuse(0);
    assert_synced(&run(&agent).await);
    assert_eq!(site.writes(), ["provider_resources.refresh_last_sync", "provider_resources.set_as_ok"]);
    assert_eq!(state(&site, resource), ResourceState::Ok);
}

#[tokio::test(start_paused = true)]
async fn c44_what_passes_by_itself_never_counts() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    let agent = site.agent().service(moody.clone()).sending_once().build();
    for answer in [503, 500, 429, 401, 400, 503, 400, 503, 503, 503] {
        moody.refuse(answer);
        let report = run(&agent).await;
        let outcome = &only(&report).outcome;
        assert_eq!(matches!(outcome, SyncOutcome::Failing(..)), answer == 400, "{answer}: {outcome}");
        assert_eq!(state(&site, resource), ResourceState::Ok);
    }
    moody.refuse(0);
    run(&agent).await;
    // In a row means in a row.
    moody.refuse(400);
    for _ in 0..2 {
        run(&agent).await;
    }
    assert_eq!(state(&site, resource), ResourceState::Ok);
}

#[tokio::test(start_paused = true)]
async fn c44_failures_of_waldur_fell_nothing() {
    for operation in [
        "provider_offerings.service_accounts",
        "provider_offerings.course_accounts",
        "provider_resources.get",
        "provider_resources.team",
        "provider_resources.refresh_last_sync",
        "provider_resources.set_backend_metadata",
        "offering_users.list",
    ] {
        for answer in [503, 403, 400] {
            let site = Site::new(Generation::V8);
            site.member("a");
            let resource = site.resource("one", &[]);
            site.waldur().change_resource(resource, |row| row.backend_metadata(serde_json::json!({})));
            pass_time(2 * 60 * MINUTE).await;
            let faults = Faults::new(site.waldur().clone()).on(op(operation), Action::refuse(status(answer)));
            let agent = site.agent().waldur(faults).sending_once().build();
            for _ in 0..4 {
                let report = run(&agent).await;
                let outcome = &only(&report).outcome;
                let well = matches!(outcome, SyncOutcome::Synced | SyncOutcome::Deferred(_));
                assert!(well, "{operation} {answer}: {outcome}");
                assert!(!report.is_clean(), "{operation} {answer}");
            }
            assert_eq!(state(&site, resource), ResourceState::Ok, "{operation} {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c44_a_failure_of_somebody_else_is_not_taken_back() {
    for clears in [false, true] {
        let site = Site::new(Generation::V8);
        let resource = site.resource("one", &[]);
        site.waldur().change_resource(resource, |row| row.erred("the order failed"));
        let agent = site.agent().policy(|policy| policy.clear_any_error = clears).build();
        assert_synced(&run(&agent).await);
        let wanted = if clears { ResourceState::Ok } else { ResourceState::Erred };
        assert_eq!(state(&site, resource), wanted);
    }
    // Nor is it written over.
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    site.waldur().change_resource(resource, |row| row.erred("the order failed"));
    let moody = Moody::new(&site);
    moody.refuse(400);
    let agent = site.agent().service(moody).build();
    for _ in 0..5 {
        run(&agent).await;
    }
    assert_eq!(site.waldur().resource_view(resource).error_message, "the order failed");
}

#[tokio::test(start_paused = true)]
async fn c44_an_order_that_fails_during_the_pass_keeps_its_words() {
    // While the resource fails here: the last thing that the pass reads before it tells.
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    moody.refuse(400);
    let meanwhile = site.clone();
    let fails = move || meanwhile.waldur().change_resource(resource, |row| row.erred("the order failed"));
    let racing = OnRequest::new(site.waldur().clone(), "provider_resources.team", fails);
    let agent = site.agent().waldur(racing).service(moody).policy(|policy| policy.failures_before_erred = 1).build();
    run(&agent).await;
    assert_eq!(site.waldur().resource_view(resource).error_message, "the order failed");
    assert_eq!(site.writes(), Vec::<&str>::new());

    // While it recovers: its own failure is to be taken back, not that of an order.
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    site.waldur().change_resource(resource, |row| row.erred("Membership synchronisation failed: once"));
    let meanwhile = site.clone();
    let fails = move || meanwhile.waldur().change_resource(resource, |row| row.erred("the order failed"));
    let racing = OnRequest::new(site.waldur().clone(), "provider_resources.refresh_last_sync", fails);
    run(&site.agent().waldur(racing).policy(|policy| policy.clear_any_error = true).build()).await;
    assert_eq!(state(&site, resource), ResourceState::Erred);
    assert_eq!(site.writes(), ["provider_resources.refresh_last_sync"]);
    // Nothing happens meanwhile.
    site.waldur().change_resource(resource, |row| row.erred("Membership synchronisation failed: once"));
    site.pass().await;
    assert_eq!(state(&site, resource), ResourceState::Ok);
}

#[tokio::test(start_paused = true)]
async fn c44_a_resource_that_an_order_took_over_is_not_felled() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    moody.refuse(400);
    let meanwhile = site.clone();
    let ordered = move || meanwhile.waldur().change_resource(resource, |row| row.state(ResourceState::Updating));
    let racing = OnRequest::new(site.waldur().clone(), "provider_resources.team", ordered);
    let agent = site.agent().waldur(racing).service(moody).policy(|policy| policy.failures_before_erred = 1).build();
    let report = run(&agent).await;
    assert!(matches!(only(&report).outcome, SyncOutcome::NotHandled), "{report:#?}");
    assert_eq!(state(&site, resource), ResourceState::Updating);
}

#[tokio::test(start_paused = true)]
async fn c44_looks_at_members_alone_count_for_nothing() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    moody.refuse(400);
    let agent = site.agent().service(moody).policy(|policy| policy.failures_before_erred = 2).build();
    for _ in 0..5 {
        let report = agent.sync_project(&cx(), site.project()).await.unwrap();
        assert!(matches!(only(&report).outcome, SyncOutcome::Failing(_, 0)), "{report:#?}");
        assert_eq!(report.follow_ups().count(), 1);
    }
    let report = run(&agent).await;
    assert!(matches!(only(&report).outcome, SyncOutcome::Failing(_, 1)), "{report:#?}");
    assert_eq!(state(&site, resource), ResourceState::Ok);
}

#[tokio::test(start_paused = true)]
async fn c44_a_status_that_the_back_end_has_no_word_for_fells_nothing() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    site.waldur().change_resource(resource, |row| row.paused(true));
    let wordless = Faults::new(site.service().clone()).on(op("objects.status"), Action::refuse(status(501)));
    let agent = site.agent().memory(|memory| memory.with_members().with_status()).service(wordless).build();
    for _ in 0..4 {
        let report = run(&agent).await;
        assert_synced(&report);
        assert_eq!(crate::world::warned(&report), ["status"]);
    }
    assert_eq!(state(&site, resource), ResourceState::Ok);
}

#[tokio::test(start_paused = true)]
async fn c44_an_order_in_between_does_not_make_a_resource_a_stranger() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    moody.refuse(400);
    let agent = site.agent().service(moody).build();
    for _ in 0..2 {
        run(&agent).await;
    }
    site.waldur().change_resource(resource, |row| row.state(ResourceState::Updating));
    assert!(run(&agent).await.resources.is_empty());
    site.waldur().change_resource(resource, |row| row.state(ResourceState::Ok));
    let report = run(&agent).await;
    assert!(matches!(only(&report).outcome, SyncOutcome::Erred(_)), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_back_end_says_nothing_about_is_warned_of() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    site.waldur().service_account(site.project(), "svc").create();
    let closed = site.waldur().service_account(site.project(), "old").create();
    site.waldur().set_account_state(closed, waldur_sdk::testing::waldur::AccountState::Closed);
    site.waldur().remove_from_project(user, site.project());
    site.resource("one", &["a", "old"]);
    let seen = crate::watching::Seen::default();
    seen.mute();
    let agent = site.agent().around(move |backend| crate::watching::Watching::over(backend, seen)).build();
    let report = run(&agent).await;
    assert_eq!(crate::world::warned(&report), ["add member", "remove member", "account", "account"]);
    assert!(only(&report).added.is_empty() && only(&report).removed.is_empty(), "{report:#?}");
    let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
    assert_eq!(report.follow_ups().count(), 0, "in step by now");
    site.edit("one", |object| assert!(object.members.insert("a".to_owned())));
    let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
    assert_eq!(report.follow_ups().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn f129_a_panic_of_the_back_end_is_one_resources_failure() {
    let site = Site::new(Generation::V8);
    site.member("a");
    for id in ["one", "two"] {
        site.resource(id, &[]);
    }
    let bugged = |backend| crate::sweeps::Panicking::over(backend, "one");
    let agent = site.agent().around(bugged).build();
    let report = run(&agent).await;
    let of = |name: &str| report.resources.iter().find(|one| one.name == name).unwrap();
    assert!(matches!(of("one").outcome, SyncOutcome::Failing(..)), "{report:#?}");
    assert!(matches!(of("two").outcome, SyncOutcome::Synced));
    assert_eq!(site.access("two"), "a");
}

#[tokio::test(start_paused = true)]
async fn f150_a_failing_resource_holds_up_no_other() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let ids: Vec<String> = (0..9).map(|number| format!("r{number}")).collect();
    for id in &ids {
        site.resource(id, &[]);
    }
    for (answer, failing) in [(500, "r3"), (403, "r5")] {
        let faults = Faults::new(site.service().clone()).on(
            path(if failing == "r3" { "/objects/r3/" } else { "/objects/r5/" }).and(writes()),
            Action::refuse(status(answer)),
        );
        let report = site.agent().service(faults).sending_once().run().await;
        assert_eq!(report.resources.len(), 9);
        let warned = report.resources.iter().filter(|one| !one.warnings.is_empty()).map(|one| one.name.as_str());
        assert_eq!(warned.collect::<Vec<_>>(), [failing]);
        site.edit(failing, |object| object.members.clear());
        for id in ids.iter().filter(|id| *id != failing) {
            assert_eq!(site.access(id), "a");
        }
        for id in &ids {
            site.edit(id, |object| object.members.clear());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c44_details_are_for_the_customer_only_if_the_policy_says_so() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let moody = Moody::new(&site);
    moody.refuse(400);
    let silent = site.agent().service(moody).policy(|policy| {
        (policy.expose_error_details, policy.failures_before_erred) = (false, 1);
    });
    silent.run().await;
    let view = site.waldur().resource_view(resource);
    assert!(view.error_message.contains("Internal backend error"), "{}", view.error_message);
    assert_eq!(view.error_traceback, "");
}

#[tokio::test(start_paused = true)]
async fn f131_whoever_is_asked_to_stop_begins_no_further_resource() {
    let site = Site::new(Generation::V8);
    site.member("a");
    for number in 0..5 {
        site.resource(&format!("r{number}"), &[]);
    }
    let stop = waldur_sdk::backend::Cancellation::default();
    let pulled = stop.clone();
    let stopping = crate::orders::OnRequest::new(site.service().clone(), "members.add", move || pulled.cancel());
    let agent = site.agent().service(stopping).policy(|policy| policy.concurrency = 1).build();
    let report = agent.run_once(&crate::world::cx().with_cancellation(stop)).await.unwrap();
    let done = report.resources.iter().filter(|one| matches!(one.outcome, SyncOutcome::Synced)).count();
    let stopped = report.resources.iter().filter(|one| matches!(one.outcome, SyncOutcome::Deferred(_))).count();
    assert_eq!((done, stopped, report.follow_ups().count()), (1, 4, 4));
    assert_synced(&run(&site.agent().build()).await);
}

#[tokio::test(start_paused = true)]
async fn f129_a_back_end_that_panics_at_its_preflight_is_not_ready() {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.resource("one", &[]);
    let environment = site.environment();
    let preflight = Capabilities::default().with_preflight();
    let agent = site.agent().memory(move |memory| memory.with_members().with_capabilities(preflight));
    let agent = agent.around(move |backend| {
        layers::observed(backend, |operation, _| assert_ne!(operation.name, "ping"), environment)
    });
    let report = agent.build().run_once(&cx()).await.unwrap();
    assert!(report.not_ready.is_some() && report.resources.is_empty(), "{report:#?}");
}
