//! `load-usage`: usage of months that are over is reported (core.md §4.9). Asked to stop, it finishes the reports under way
//! and says which months are not done.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use clap::Args;
use jiff::civil::Date;
use secrecy::SecretString;
use waldur_sdk::{
    Result,
    backend::{Cancellation, OpContext, ProgressObserver, Step},
    process::{HistoricalLoader, HistoricalReport, HistoricalSpan},
    settings::{AgentSettings, Credentials, OfferingSettings},
    types::{BackendId, OfferingUuid, Uuid},
};

use super::{
    File, Logging,
    opening::{Opened, Refusal, open},
    printed, signals,
};
use crate::{
    exit::Exit,
    modes::{Summary, exit_of, note_resource},
    progress::Bars,
    site::Site,
};

/// What the loading may be told.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: File,
    /// The offering, by its UUID in the file. Not needed where there is only one.
    #[arg(long, value_name = "UUID")]
    offering_uuid: Option<Uuid>,
    /// A token of a member of staff, instead of the credentials of the file.
    #[arg(long, value_name = "TOKEN", env = "WALDUR_USER_TOKEN", hide_env_values = true)]
    user_token: Option<SecretString>,
    /// The first month is that of this day (YYYY-MM-DD).
    #[arg(long, value_name = "DATE")]
    start_date: Date,
    /// The last month is that of this day; five years are the most.
    #[arg(long, value_name = "DATE")]
    end_date: Date,
    /// Leaves out what each user used.
    #[arg(long)]
    skip_user_usage: bool,
    /// Does not ask whether the account is one of staff.
    #[arg(long)]
    no_staff_check: bool,
    /// Reports zeros too, and users of whom nothing was measured as having used nothing.
    #[arg(long)]
    reconcile_stale: bool,
    /// Says what would be reported, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Only resources with this back-end id; may be given again.
    #[arg(long, value_name = "ID", num_args = 1..)]
    resource_backend_id: Vec<String>,
    #[command(flatten)]
    logging: Logging,
}

pub(super) async fn main(options: &Options) -> Result<Exit, Refusal> {
    let span = HistoricalSpan::new(options.start_date, options.end_date);
    let span = span.map_err(|error| Refusal::argument("--start-date, --end-date", &error))?;
    let ids = options.resource_backend_id.iter().map(|id| BackendId::new(id.as_str()));
    let ids = ids.collect::<Result<Vec<_>>>().map_err(|error| Refusal::argument("--resource-backend-id", &error))?;
    let Opened { mut settings, log: _until_the_end, .. } = open(&options.file.config, options.logging.form())?;
    let at = chosen(&settings, options.offering_uuid.map(OfferingUuid::new))?;
    if let (Some(token), Some(offering)) = (&options.user_token, settings.offerings.get_mut(at)) {
        offering.credentials = Credentials::Token(token.clone());
    }
    let Some(offering) = settings.offerings.get(at) else { return Err(Refusal::usage("there is no offering")) };
    let events = signals::events().map_err(|cause| Refusal::io("signals cannot be handled", &cause))?;
    let (stop, counted) = (Cancellation::default(), Counted::default());
    let cx = OpContext::new("load-usage").with_cancellation(stop.clone());
    let cx = match Bars::on_terminal() {
        Some(bars) => cx.with_progress(bars.counted("months").and(counted.clone())),
        None => cx.with_progress(counted.clone()),
    };
    let site = Site::networked();
    let work = load(&site, &settings, offering, options, &cx, span, ids);
    Ok(match signals::heeding(events, &stop, work).await {
        Some(Ok(report)) => {
            let (exit, text) = told_by_month(&offering.name, span, &report);
            printed(exit, &text)
        }
        Some(Err(error)) => {
            tracing::error!(offering = offering.name, "nothing was loaded: {error:#}");
            exit_of(&error)
        }
        None => printed(Exit::Temporary, &broken_off(&offering.name, span, counted.months())),
    })
}

/// How many months are over and done with.
#[derive(Clone, Debug, Default)]
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn months(&self) -> usize {
        self.0.load(Ordering::Relaxed).try_into().unwrap_or(usize::MAX)
    }
}

impl ProgressObserver for Counted {
    fn on_step(&self, step: &Step<'_>) {
        // Only whole months are counted.
        if let Some(done) = step.done {
            self.0.store(done, Ordering::Relaxed);
        }
    }
}

fn broken_off(offering: &str, span: HistoricalSpan, months: usize) -> String {
    let mut text = format!("{offering}\n");
    for (at, period) in span.periods().enumerate() {
        let what = if at < months { "gone through" } else { "not done, or not wholly" };
        text.extend(["  ", &period.to_string(), "  ", what, "\n"]);
    }
    text
}

/// Which offering is meant.
fn chosen(settings: &AgentSettings, wanted: Option<OfferingUuid>) -> Result<usize, Refusal> {
    let is_wanted = |offering: &OfferingSettings| wanted.is_none_or(|wanted| wanted == offering.offering_uuid);
    let mut found = settings.offerings.iter().enumerate().filter(|(_, offering)| is_wanted(offering));
    match (found.next(), found.next(), wanted) {
        (Some((at, _)), None, _) | (Some((at, _)), Some(_), Some(_)) => Ok(at),
        (Some(_), Some(_), None) => {
            Err(Refusal::usage("--offering-uuid: is needed, since there are several offerings"))
        }
        (None, _, _) => Err(Refusal::usage("--offering-uuid: there is no such offering in the file")),
    }
}

async fn load(
    site: &Site,
    settings: &AgentSettings,
    offering: &OfferingSettings,
    options: &Options,
    cx: &OpContext,
    span: HistoricalSpan,
    ids: Vec<BackendId>,
) -> Result<HistoricalReport> {
    let reporter = site.reporter(settings, offering, options.dry_run).await?;
    let mut loader = HistoricalLoader::new(reporter).only(ids);
    if options.no_staff_check {
        loader = loader.without_staff_check();
    }
    if options.skip_user_usage {
        loader = loader.without_users();
    }
    if options.reconcile_stale {
        loader = loader.reconciling_stale();
    }
    loader.run(cx, span).await
}

/// Each month with its numbers; each resource that matters is in the log.
fn told_by_month(offering: &str, span: HistoricalSpan, report: &HistoricalReport) -> (Exit, String) {
    let mut all = Summary::new();
    let mut text = format!("{offering}\n");
    for month in &report.months {
        let mut summary = Summary::new();
        month.resources.iter().for_each(|resource| note_resource(offering, resource, &mut summary));
        let outcomes: Vec<_> = summary.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let outcomes = if outcomes.is_empty() { "nothing".to_owned() } else { outcomes.join(", ") };
        text.extend(["  ", &month.period.to_string(), "  ", &outcomes, "\n"]);
        all.note(summary.exit);
    }
    if report.stopped.is_some() {
        for period in span.periods().skip(report.months.len()) {
            text.extend(["  ", &period.to_string(), "  not done\n"]);
        }
    }
    for id in &report.not_found {
        text.extend(["  no resource has the back-end id ", id.as_str(), "\n"]);
        all.note(Exit::Failed);
    }
    for error in [&report.stopped, &report.listing_gap].into_iter().flatten() {
        text.extend(["  incomplete: ", &format!("{error:#}"), "\n"]);
        all.note(exit_of(error));
    }
    (all.exit, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use std::sync::Arc;

    use async_trait::async_trait;
    use bytes::Bytes;
    use clap::Parser;
    use http::{Request, Response};
    use jiff::Timestamp;
    use secrecy::ExposeSecret as _;
    use serde_json::json;
    use waldur_sdk::{
        backend::{BackendFactory, BuildEnv, ResourceBackend},
        rest::{Environment, HttpOptions, HttpTransport, TransportError},
        settings::Warning,
        testing::{
            MemoryBackend, MemoryService,
            waldur::{Billing, FakeWaldur, Generation, ResourceState},
        },
        types::ResourceUuid,
    };

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    struct MemoryFactory;

    impl BackendFactory for MemoryFactory {
        fn backend_types(&self) -> &'static [&'static str] {
            &["memory"]
        }

        fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
            let backend = MemoryBackend::through(environment.http(&HttpOptions::default())?)?;
            Ok((Arc::new(backend.with_usage()), Vec::new()))
        }
    }

    fn to<T: HttpTransport + Clone>(transport: &T) -> impl waldur_sdk::backend::Connector + use<T> {
        let transport: Arc<dyn HttpTransport> = Arc::new(transport.clone());
        move |_: &HttpOptions| -> Result<Arc<dyn HttpTransport>> { Ok(transport.clone()) }
    }

    /// A resource with usage in two months, at a middle of the third.
    struct World {
        waldur: FakeWaldur,
        resource: ResourceUuid,
        settings: AgentSettings,
        memory: MemoryService,
    }

    impl World {
        fn new() -> Self {
            let waldur = FakeWaldur::new(Generation::V8).with_wall(now);
            let memory = MemoryService::new();
            let offering = waldur.offering().component("cpu", Billing::Usage).create();
            let resource = waldur.resource(offering).backend_id("c-1").state(ResourceState::Ok).create();
            memory.seed("c-1", Some(resource));
            memory.count_usage("c-1", "2026-01", "cpu", 5);
            memory.count_usage("c-1", "2026-02", "cpu", 7);
            let tree = json!({ "offerings": [{
                "name": "Cluster", "waldur_api_url": waldur.base_url(),
                "waldur_api_token": waldur.token().expose_secret(), "waldur_offering_uuid": offering.hex(),
                "backend_type": "memory", "reporting_backend": "memory",
            }]});
            Self { resource, settings: AgentSettings::from_value(&tree).unwrap().0, memory, waldur }
        }

        async fn load(&self, way: impl HttpTransport + Clone, more: &[&str], cx: &OpContext) -> (Exit, String) {
            let line = ["x", "--start-date", "2026-01-01", "--end-date", "2026-02-28", "--no-staff-check"];
            let options = Line::parse_from([&line[..], more].concat()).options;
            let site = Site::over(to(&way), to(&self.memory), Environment::default().with_wall(now));
            let site = site.with_factory(MemoryFactory);
            let span = HistoricalSpan::new(options.start_date, options.end_date).unwrap();
            let ids = options.resource_backend_id.iter().map(|id| BackendId::new(id.as_str()).unwrap()).collect();
            let offering = &self.settings.offerings[chosen(&self.settings, None).unwrap()];
            let report = load(&site, &self.settings, offering, &options, cx, span, ids).await.unwrap();
            told_by_month("Cluster", span, &report)
        }
    }

    fn now() -> Timestamp {
        "2026-03-15T12:00:00Z".parse().unwrap()
    }

    #[tokio::test]
    async fn months_that_are_over_are_loaded_or_only_told_in_a_dry_run() {
        let world = World::new();
        for (more, exit, rows) in [
            (&["--dry-run"][..], Exit::Done, 0),
            (&["--resource-backend-id", "nobody"], Exit::Failed, 0),
            (&[], Exit::Done, 2),
        ] {
            let (found, text) = world.load(world.waldur.clone(), more, &OpContext::new("test")).await;
            assert_eq!(found, exit, "{text}");
            assert_eq!(world.waldur.usage_of(world.resource).len(), rows, "{text}");
            assert!(text.contains("2026-01") && text.contains("2026-02"), "{text}");
        }
    }

    /// Asks to stop while the first report is on its way.
    #[derive(Clone)]
    struct Stopping(FakeWaldur, Cancellation);

    #[async_trait]
    impl HttpTransport for Stopping {
        async fn send(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, TransportError> {
            if request.uri().path().ends_with("/set_usage/") {
                self.1.cancel();
            }
            self.0.send(request).await
        }
    }

    #[tokio::test]
    async fn f131_asked_to_stop_the_report_under_way_is_finished_and_the_other_months_are_named() {
        let (world, counted, stop) = (World::new(), Counted::default(), Cancellation::default());
        let cx = OpContext::new("test").with_cancellation(stop.clone()).with_progress(counted.clone());
        let (exit, text) = world.load(Stopping(world.waldur.clone(), stop), &[], &cx).await;
        assert_eq!(exit, Exit::Temporary, "{text}");
        assert_eq!(world.waldur.usage_of(world.resource).len(), 1, "{text}");
        assert!(text.contains("  2026-01  1 submitted\n  2026-02  not done\n"), "{text}");
        assert_eq!(counted.months(), 1);
        let span = HistoricalSpan::new("2026-01-01".parse().unwrap(), "2026-02-28".parse().unwrap()).unwrap();
        let left = broken_off("Cluster", span, counted.months());
        assert_eq!(left, "Cluster\n  2026-01  gone through\n  2026-02  not done, or not wholly\n");
    }

    #[test]
    fn the_offering_must_be_named_where_there_are_several() {
        let offering = |uuid: &str| {
            json!({ "name": uuid, "waldur_api_url": "https://w.example.com/", "waldur_api_token": "t",
                "waldur_offering_uuid": uuid, "backend_type": "s3" })
        };
        let (one, two) = ("00000000000040008000000000000001", "00000000000040008000000000000002");
        let settings = AgentSettings::from_value(&json!({ "offerings": [offering(one), offering(two)] })).unwrap().0;
        let wanted = |text: &str| Some(OfferingUuid::new(text.parse().unwrap()));
        assert_eq!(chosen(&settings, wanted(two)).unwrap(), 1);
        assert!(chosen(&settings, None).unwrap_err().to_string().contains("is needed"));
        let missing = chosen(&settings, wanted("00000000000040008000000000000003")).unwrap_err();
        assert!(missing.to_string().contains("no such offering"));
    }
}
