//! The SDK's side: its processors over a real transport, in a process of their own.

use std::{
    io::{BufRead as _, Write as _},
    path::Path,
    process::Command,
    sync::Arc,
    time::Instant,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use waldur_backend_croit::{S3Backend, S3Settings};
use waldur_backend_harbor::{HarborBackend, HarborSettings};
use waldur_sdk::{
    backend::{OpContext, ResourceBackend},
    client::{AgentMode, AgentRegistration, ProcessorRegistration, WaldurClient},
    process::{
        MembershipPolicy, MembershipSync, OrderOutcome, OrderProcessor, ServedOffering, UsagePolicy, UsageReporter,
    },
    rest::{Environment, Http, HttpOptions},
    settings::{AgentSettings, Credentials, OfferingSettings},
    types::OfferingUuid,
};

use super::{
    Mode, System,
    cycle::{Cycle, Worker},
};
use crate::{Result, meter};

/// What an agent needs to know of a scene.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What the resources are made on.
    pub system: System,
    /// The duty.
    pub mode: Mode,
    /// The URL of Waldur, with a slash at the end and without `api/`.
    pub waldur: String,
    /// A token of Waldur. It is of a fake.
    pub token: String,
    /// The offering.
    pub offering: OfferingUuid,
    /// The URL of the back end, with a slash at the end.
    pub backend: String,
}

/// What the parent says first: the settings file of the Python agent, and which duty of it.
#[derive(Deserialize, Serialize)]
struct Orders {
    system: String,
    mode: String,
    settings: Value,
}

/// The first line for a worker.
pub fn orders(setup: &Setup, settings: Value) -> String {
    let orders = Orders { system: setup.system.to_string(), mode: setup.mode.to_string(), settings };
    serde_json::to_string(&orders).unwrap_or_default()
}

/// Starts this very program as the agent.
///
/// # Errors
/// When it cannot be started.
pub fn start(argument: &str, folder: &Path, setup: &Setup) -> Result<Worker> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(argument);
    Worker::start(command, &folder.join(format!("sdk-{}-{}.log", setup.system, setup.mode)))
}

/// The agent itself: a cycle for every line on standard input, the first of which says what to do.
///
/// # Errors
/// When a cycle cannot even begin.
pub fn work() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut duty: Option<Duty> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (began, before) = (Instant::now(), meter::threads_cpu()?);
        let outcome = runtime.block_on(async {
            let current = match duty.take() {
                Some(duty) => duty,
                None => Duty::begin(&line).await?,
            };
            let errors = current.cycle().await?;
            duty = Some(current);
            Ok(errors)
        });
        let errors = outcome.unwrap_or_else(|error: crate::Error| vec![error.to_string()]);
        let cycle = Cycle {
            wall_us: u64::try_from(began.elapsed().as_micros())?,
            cpu_us: u64::try_from(meter::threads_cpu()?.saturating_sub(before).as_micros())?,
            peak_kib: meter::memory()?.peak,
            warnings: 0,
            errors,
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&cycle)?)?;
        out.flush()?;
    }
    Ok(())
}

/// One duty of one offering: a further mode is a variant.
#[derive(Clone, Debug)]
pub enum Duty {
    /// Orders.
    Orders(OrderProcessor),
    /// Usage.
    Report(UsageReporter),
    /// Members, limits, metadata.
    Members(MembershipSync),
}

impl Duty {
    /// Makes what the line of [`orders`] asks for, and registers the agent with Waldur.
    ///
    /// # Errors
    /// When the settings are refused, or Waldur refuses the agent.
    pub async fn begin(line: &str) -> Result<Self> {
        let orders: Orders = serde_json::from_str(line)?;
        let (system, mode): (System, Mode) = (orders.system.parse()?, orders.mode.parse()?);
        let (agent, _) = AgentSettings::from_value(&orders.settings)?;
        let offering = agent.offerings.first().ok_or("no offering")?;
        let environment = Environment::default().with_timer(tokio::time::sleep);
        let http =
            || -> Result<Http> { Ok(Http::connect(&HttpOptions::default())?.with_environment(environment.clone())) };
        let waldur = client(offering, http()?, mode)?;
        register(&waldur, offering, mode, &environment).await?;
        let backend = backend(system, offering, http()?)?;
        let served = ServedOffering::new(waldur, backend, offering.offering_uuid);
        let served = served.with_components(offering.components.clone());
        Ok(match mode {
            Mode::OrderProcess => Self::Orders(served.orders()),
            Mode::Report => Self::Report(served.usage().with_policy(UsagePolicy::from_settings(&agent, offering))),
            Mode::MembershipSync => {
                Self::Members(served.members().with_policy(MembershipPolicy::from_settings(&agent, offering)))
            }
        })
    }

    /// Carries out one cycle, and says what went wrong.
    ///
    /// # Errors
    /// When there was no cycle at all.
    pub async fn cycle(&self) -> Result<Vec<String>> {
        let cx = OpContext::new("peer");
        match self {
            Self::Orders(processor) => {
                let report = processor.run_once(&cx).await?;
                let bad = report.orders.iter().filter(|order| !matches!(order.outcome, OrderOutcome::Done));
                Ok(bad.map(|order| format!("{order:?}")).collect())
            }
            Self::Report(reporter) => {
                let report = reporter.run_once(&cx).await?;
                let bad = report.outcomes().filter(|period| !period.outcome.is_good() || period.users.failed.is_some());
                let rows = report.unreadable.iter().map(|row| format!("{row:?}"));
                let gap = report.listing_gap.iter().map(|error| format!("{error:?}"));
                Ok(bad.map(|period| format!("{period:?}")).chain(rows).chain(gap).collect())
            }
            Self::Members(members) => {
                let report = members.run_once(&cx).await?;
                let bad = report.resources.iter().filter(|resource| !resource.is_clean());
                let bad: Vec<String> = bad.map(|resource| format!("{resource:?}")).collect();
                let unclean = bad.is_empty() && !report.is_clean();
                Ok(if unclean { vec![format!("{report:?}")] } else { bad })
            }
        }
    }
}

fn client(offering: &OfferingSettings, http: Http, mode: Mode) -> Result<WaldurClient> {
    let Credentials::Token(token) = &offering.credentials else { return Err("no token".into()) };
    let mode = match mode {
        Mode::OrderProcess => AgentMode::OrderProcess,
        Mode::Report => AgentMode::Report,
        Mode::MembershipSync => AgentMode::MembershipSync,
    };
    let client = WaldurClient::builder(offering.api_url.to_string()).http(http).token(token.clone());
    Ok(client.agent_mode(mode).build()?)
}

/// What the Python agent does at the beginning of every cycle, an agent of the SDK when it starts.
async fn register(
    waldur: &WaldurClient,
    offering: &OfferingSettings,
    mode: Mode,
    environment: &Environment,
) -> Result<()> {
    let agents = waldur.agents();
    let name = format!("agent-{}", offering.offering_uuid_text);
    let agent = AgentRegistration::new(offering.offering_uuid, name.as_str()).last_restarted(environment.now());
    let identity = match agents.find_identity(&name).await? {
        Some(known) => agents.update_identity(known.uuid, &agent).await?,
        None => agents.create_identity(&agent).await?,
    };
    let service = agents.register_service(identity.uuid, mode.as_str(), mode.as_str()).await?;
    agents.register_processor(service.uuid, &ProcessorRegistration::new("Peer", &*offering.backend_type)).await?;
    Ok(())
}

fn backend(system: System, offering: &OfferingSettings, http: Http) -> Result<Arc<dyn ResourceBackend>> {
    let (settings, components) = (&offering.backend_settings, &offering.components);
    Ok(match system {
        System::Harbor => {
            let settings = settings.read(HarborSettings::read)?.0;
            Arc::new(HarborBackend::new(http, settings, components)?)
        }
        System::CephS3 | System::CroitS3 => {
            Arc::new(S3Backend::new(http, settings.read(S3Settings::read)?.0, components)?)
        }
    })
}
