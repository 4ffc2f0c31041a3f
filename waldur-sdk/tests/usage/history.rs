//! Usage of the past, loaded by hand (core.md §4.9).

use std::sync::{Arc, Mutex};

use jiff::civil::date;
use waldur_sdk::{
    ErrorKind, Result,
    backend::{Cancellation, Capabilities, OpContext, ProgressObserver, Step},
    process::{HistoricalLoader, HistoricalReport, HistoricalSpan, UsageOutcome},
    settings::{AccountingType, Component, Components},
    testing::{Counting, MemoryBackend, waldur::Generation},
    types::{BackendId, ResourceUuid},
};

use crate::usage::{Agent, NOVEMBER, World, rows};

const SEPTEMBER: &str = "2026-09";
const OCTOBER: &str = "2026-10";

/// A world whose agent is of staff.
fn world(generation: Generation) -> (World, ResourceUuid) {
    let world = World::new(generation);
    world.waldur.change_user(world.waldur.agent(), waldur_sdk::testing::waldur::UserSeed::staff);
    let resource = world.resource("res");
    for (month, amount) in [(SEPTEMBER, "9"), (OCTOBER, "10"), (NOVEMBER, "11")] {
        world.used_in("res", month, "cpu", amount);
    }
    (world, resource)
}

fn autumn() -> HistoricalSpan {
    HistoricalSpan::new(date(2026, 9, 10), date(2027, 3, 1)).unwrap()
}

async fn load(agent: Agent, detail: impl FnOnce(HistoricalLoader) -> HistoricalLoader) -> Result<HistoricalReport> {
    detail(HistoricalLoader::new(agent.build())).run(&OpContext::new("load"), autumn()).await
}

#[tokio::test(start_paused = true)]
async fn months_are_loaded_one_after_the_other_with_one_question_each() {
    let (world, resource) = world(Generation::V8);
    world.user_used("res", "ann", "cpu", "11");
    let service = Counting::new(world.service.clone());
    let report = load(world.agent().service(service.clone()), |loader| loader).await.unwrap();
    // Months to come are left out.
    let months: Vec<_> = report.months.iter().map(|month| month.period.to_string()).collect();
    assert_eq!(months, [SEPTEMBER, OCTOBER, NOVEMBER]);
    assert_eq!(world.sent(), ["cpu 9.00", "cpu 10.00", "cpu 11.00"]);
    assert_eq!(world.stored(resource, SEPTEMBER), rows([("cpu", "9.00")]));
    assert_eq!(world.shares(resource, "cpu")["ann"], "11.00");
    assert_eq!(service.counts().total, 3);
    assert!(report.stopped.is_none() && report.listing_gap.is_none());
    // Again: nothing is left to do.
    world.waldur.forget_requests();
    load(world.agent(), |loader| loader).await.unwrap();
    assert_eq!(world.writes(), [""; 0]);
    world.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn without_a_history_nobody_is_asked_and_one_sentence_says_what_could_be_loaded() {
    let (world, _) = world(Generation::V8);
    let service = Counting::new(world.service.clone());
    let agent = || {
        let forgetful = |memory: MemoryBackend| memory.with_capabilities(Capabilities::default().without_history());
        world.agent().service(service.clone()).memory(forgetful).components(components())
    };
    world.waldur.forget_requests();
    let error = load(agent(), |loader| loader).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let told = "the back end memory keeps no history: of months that are over nothing can be loaded; of 2026-11 alone, cpu can";
    assert_eq!(error.message(), told);
    assert_eq!((service.counts().total, world.waldur.requests().len()), (0, 0));
    // What is not over is no history.
    let november = HistoricalSpan::new(date(2026, 11, 1), date(2026, 11, 30)).unwrap();
    let report = HistoricalLoader::new(agent().build()).run(&OpContext::new("load"), november).await.unwrap();
    assert_eq!((report.months.len(), world.sent()), (1, vec!["cpu 11.00".to_owned()]));
}

fn components() -> Components {
    [Component::new("cpu", AccountingType::Usage)].into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn only_staff_may_unless_nobody_asks() {
    let (world, resource) = world(Generation::V8);
    let provider = world.waldur.user("provider").customer_role(world.waldur.provider(), "CUSTOMER.OWNER").create();
    let token = world.waldur.token_of(provider);
    let reporter = || {
        let http = waldur_sdk::rest::Http::new(world.waldur.clone()).with_environment(world.environment());
        let builder = waldur_sdk::client::WaldurClient::builder(world.waldur.base_url()).http(http);
        let memory = waldur_sdk::testing::MemoryBackend::new(&world.service).unwrap().with_usage();
        let client = builder.token(token.clone()).build().unwrap();
        waldur_sdk::process::UsageReporter::new(client, Arc::new(memory), world.offering)
    };
    let cx = OpContext::new("load");
    let error = HistoricalLoader::new(reporter()).run(&cx, autumn()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(world.writes(), [""; 0]);
    HistoricalLoader::new(reporter()).without_staff_check().run(&cx, autumn()).await.unwrap();
    assert_eq!(world.stored(resource, OCTOBER), rows([("cpu", "10.00")]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_loaded_of_nothing_unless_stale_amounts_are_put_right() {
    for reconciling in [false, true] {
        let (world, resource) = world(Generation::V8);
        world.user_used("res", "ann", "cpu", "11");
        world.user_used("res", "bob", "cpu", "0");
        load(world.agent(), |loader| loader).await.unwrap();
        assert_eq!(world.shares(resource, "cpu").keys().collect::<Vec<_>>(), ["ann"]);
        // Of October nothing is left; in November another user was measured; of September nothing is known.
        world.used_in("res", OCTOBER, "cpu", "0");
        world.service.forget_usage("res", SEPTEMBER);
        world.service.forget_usage("res", NOVEMBER);
        world.used("res", "cpu", "8");
        world.user_used("res", "cid", "cpu", "8");
        load(world.agent(), |loader| if reconciling { loader.reconciling_stale() } else { loader }).await.unwrap();
        let october = if reconciling { "0.00" } else { "10.00" };
        assert_eq!(world.stored(resource, OCTOBER), rows([("cpu", october)]));
        assert_eq!(world.stored(resource, SEPTEMBER), rows([("cpu", "9.00")]), "unknown is no zero");
        // Loading puts right what is too much.
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "8.00")]));
        let ann = if reconciling { "0.00" } else { "11.00" };
        assert_eq!(world.shares(resource, "cpu")["ann"], ann);
        assert_eq!(world.shares(resource, "cpu")["cid"], "8.00");
    }
}

#[tokio::test(start_paused = true)]
async fn users_can_be_skipped_and_resources_chosen() {
    let (world, resource) = world(Generation::V8);
    world.user_used("res", "ann", "cpu", "11");
    let other = world.resource("other");
    world.used_in("other", OCTOBER, "cpu", "3");
    let ids = ["other", "nobody"].map(|id| BackendId::new(id).unwrap());
    let report = load(world.agent(), |loader| loader.without_users().only(ids)).await.unwrap();
    assert_eq!(report.not_found, [BackendId::new("nobody").unwrap()]);
    assert!(!report.is_clean(), "not all that was asked for was found");
    assert_eq!(world.stored(other, OCTOBER), rows([("cpu", "3.00")]));
    assert_eq!(world.stored(resource, OCTOBER), rows([]));
    assert!(load(world.agent(), HistoricalLoader::without_users).await.unwrap().is_clean());
    assert!(world.shares(resource, "cpu").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dry_load_writes_nothing() {
    let (world, _) = world(Generation::V8);
    let agent = world.agent().policy(|policy| policy.dry_run = true);
    let report = load(agent, |loader| loader).await.unwrap();
    let outcomes = report.months.iter().flat_map(|month| &month.resources).flat_map(|resource| &resource.periods);
    assert!(outcomes.into_iter().all(|month| matches!(month.outcome, UsageOutcome::DryRun)));
    assert_eq!(world.writes(), [""; 0]);
}

type Progress = Arc<Mutex<Vec<(u64, Option<u64>)>>>;

/// Asks to stop after the first month.
struct StopAfterOne(Cancellation, Progress);

impl ProgressObserver for StopAfterOne {
    fn on_step(&self, step: &Step<'_>) {
        if step.step == "load usage" {
            self.1.lock().unwrap().push((step.done.unwrap(), step.total));
            self.0.cancel();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_tells_how_far_it_is_and_stops_between_two_months() {
    let (world, resource) = world(Generation::V8);
    let (stop, seen) = (Cancellation::default(), Progress::default());
    let watching = StopAfterOne(stop.clone(), Arc::clone(&seen));
    let cx = OpContext::new("load").with_cancellation(stop).with_progress(watching);
    let report = HistoricalLoader::new(world.agent().build()).run(&cx, autumn()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [(1, Some(3))]);
    assert_eq!(report.stopped.unwrap().kind(), ErrorKind::Cancelled);
    assert_eq!((report.months.len(), world.sent().len()), (1, 1));
    // What was left is loaded by the next.
    load(world.agent(), |loader| loader).await.unwrap();
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "11.00")]));
    assert_eq!(world.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_old_server_takes_no_past_and_is_not_tried() {
    let (world, _) = world(Generation::V2024);
    let error = load(world.agent(), |loader| loader).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(world.writes(), [""; 0]);
    let now = HistoricalSpan::new(date(2026, 11, 1), date(2026, 11, 30)).unwrap();
    HistoricalLoader::new(world.agent().build()).run(&OpContext::new("load"), now).await.unwrap();
    assert_eq!(world.sent(), ["cpu 11.00"]);
}

#[test]
fn a_span_is_five_years_at_the_most_and_goes_forward() {
    let span = |start, end| HistoricalSpan::new(start, end);
    assert!(span(date(2021, 11, 22), date(2026, 11, 22)).is_ok());
    assert_eq!(span(date(2021, 11, 22), date(2026, 11, 23)).unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(span(date(2026, 11, 22), date(2026, 11, 21)).unwrap_err().kind(), ErrorKind::Config);
    let periods: Vec<_> =
        span(date(2025, 12, 31), date(2026, 2, 1)).unwrap().periods().map(|period| period.to_string()).collect();
    assert_eq!(periods, ["2025-12", "2026-01", "2026-02"]);
}
