//! From settings to something that runs. Where requests go is the caller's choice: to the network, or to fakes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use waldur_backend_croit::S3Factory;
use waldur_backend_harbor::HarborFactory;
use waldur_sdk::{
    Error, Result,
    backend::{
        BackendFactory, BuildEnv, Connector, OfferingFacts, Registry, ReqwestConnector, ResourceBackend,
        UsernameBackend, UsernameRegistry, layers,
    },
    client::{AgentMode, ClientBuilder, WaldurClient},
    process::{Lanes, OfferingContext, ServedOffering, UsageReporter},
    rest::{Environment, HttpOptions, Observer, Serial, TracingObserver},
    settings::{AgentSettings, Components, OfferingSettings, Warning},
    types::OfferingUuid,
};

use crate::{
    agent::{Metrics, Unit},
    config::{self, ConfigError},
    modes::{self, Mode, Parts},
};

/// A layer that the site puts around every back end.
type Wrap = Arc<dyn Fn(Arc<dyn ResourceBackend>) -> Arc<dyn ResourceBackend> + Send + Sync>;

/// The ways out of this process, the back ends it knows, and its clocks.
#[derive(Clone)]
pub struct Site {
    registry: Registry,
    usernames: UsernameRegistry,
    waldur: Arc<dyn Connector>,
    backends: Arc<dyn Connector>,
    environment: Environment,
    wrap: Wrap,
    /// Whether the process ends with its first pass.
    single_pass: bool,
    metrics: Metrics,
    /// When the agent began; what Waldur is told at every registration.
    started: Timestamp,
    /// One agent registers in several modes: one after the other, so that one identity comes of it.
    pub(crate) registrations: Serial<OfferingUuid>,
    /// Orders and members of one resource are worked on one after the other, in whatever modes.
    lanes: Arc<Mutex<BTreeMap<OfferingUuid, Lanes>>>,
}

impl Site {
    /// Requests go to the network, clocks are the runtime's, and S3 and Harbor are the kinds of back ends.
    pub fn networked() -> Self {
        Self::over(ReqwestConnector, ReqwestConnector, Environment::default().with_timer(tokio::time::sleep))
    }

    /// Requests to Waldur go one way, those of back ends another.
    pub fn over(waldur: impl Connector, backends: impl Connector, environment: Environment) -> Self {
        Self {
            registry: Registry::default().with(S3Factory).with(HarborFactory),
            usernames: UsernameRegistry::default(),
            waldur: Arc::new(waldur),
            backends: Arc::new(backends),
            metrics: Metrics::new(),
            started: environment.now(),
            environment,
            wrap: Arc::new(|backend| backend),
            single_pass: false,
            registrations: Serial::default(),
            lanes: Arc::default(),
        }
    }

    /// Knows one more kind of back end.
    #[must_use]
    pub fn with_factory(mut self, factory: impl BackendFactory) -> Self {
        self.registry = self.registry.with(factory);
        self
    }

    /// Puts a layer around every back end.
    #[must_use]
    pub fn with_layer(
        mut self,
        wrap: impl Fn(Arc<dyn ResourceBackend>) -> Arc<dyn ResourceBackend> + Send + Sync + 'static,
    ) -> Self {
        self.wrap = Arc::new(wrap);
        self
    }

    /// Says whether the process ends with its first pass, so that nothing can be left to a later one.
    #[must_use]
    pub fn with_single_pass(mut self, single_pass: bool) -> Self {
        self.single_pass = single_pass;
        self
    }

    /// Whether the process ends with its first pass.
    pub(crate) fn is_single_pass(&self) -> bool {
        self.single_pass
    }

    /// Sleep and clocks.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// What its units count.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// When the agent began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The lanes of an offering's resources, the same for all modes.
    pub(crate) fn lanes(&self, offering: OfferingUuid) -> Lanes {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).entry(offering).or_default().clone()
    }

    /// The kinds of back ends that it knows.
    pub fn backend_types(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.registry.backend_types()
    }

    /// What there is to do: a unit for each offering and mode that has a back end. Nothing is sent.
    ///
    /// # Errors
    /// All problems of all offerings, those of the back ends' own settings included.
    pub fn units(&self, settings: &AgentSettings, modes: &[Mode], dry_run: bool) -> Result<Units, ConfigError> {
        let mut units = Vec::new();
        let mut warnings = Vec::new();
        let mut problems = self.problems(settings, modes, &mut warnings);
        for (offering, mode, backend_type) in wanted(settings, modes) {
            match Unit::new(self, settings, offering, mode, backend_type, dry_run) {
                Ok(unit) => units.push(unit),
                Err(error) => problems.push(format!("offering {}: {}", offering.name, error.message())),
            }
        }
        let mut seen = BTreeSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        ConfigError::of(problems).map_or(Ok((units, warnings)), Err)
    }

    /// A reporter of an offering's usage, for months that are over.
    ///
    /// # Errors
    /// When the offering cannot be read, has no `reporting_backend`, or the back end cannot be built.
    pub(crate) async fn reporter(
        &self,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        dry_run: bool,
    ) -> Result<UsageReporter> {
        let Some(backend_type) = &offering.reporting_backend else {
            return Err(Error::config("reporting_backend: is needed for usage"));
        };
        let waldur = self.waldur(settings, offering, AgentMode::HistoricalUsageLoader, TracingObserver)?;
        let context = OfferingContext::load(&waldur, offering.offering_uuid, &offering.components).await?;
        let draft = Draft { components: &context.components, facts: context.facts() };
        let (mut backend, _) = self.backend(settings, offering, backend_type, draft, TracingObserver)?;
        if dry_run {
            backend = Arc::new(layers::dry_run(backend));
        }
        let served = ServedOffering::new(waldur, backend, offering.offering_uuid).with_context(&context);
        let (usernames, single_pass) = (None, true);
        let parts = Parts { settings, offering, served, usernames, dry_run, single_pass };
        Ok(modes::reporter(&parts))
    }

    /// What is wrong with placeholders and with the settings of back ends.
    fn problems(&self, settings: &AgentSettings, modes: &[Mode], warnings: &mut Vec<Warning>) -> Vec<String> {
        let mut problems = Vec::new();
        let mut built = BTreeSet::new();
        for (offering, _, backend_type) in wanted(settings, modes) {
            // Once for each back end of an offering, whatever the modes.
            if !built.insert((std::ptr::from_ref(offering), backend_type)) {
                continue;
            }
            if offering.has_placeholder() {
                let text = "waldur_offering_uuid: is a placeholder of an example";
                problems.push(format!("offering {}: {text}", offering.name));
            }
            // The back end is built again once Waldur's components are known; here it only shows what is wrong.
            let draft = || Draft { components: &offering.components, facts: OfferingFacts::default() };
            match self.backend(settings, offering, backend_type, draft(), TracingObserver) {
                Ok((_, found)) => warnings.extend(found),
                Err(error) => problems.extend(config::lines(&error)),
            }
            if modes.contains(&Mode::MembershipSync) && offering.membership_sync_backend.is_some() {
                match self.usernames(settings, offering, draft(), TracingObserver) {
                    Ok((_, found)) => warnings.extend(found),
                    Err(error) => problems.extend(config::lines(&error)),
                }
            }
        }
        let mut seen = BTreeSet::new();
        warnings.retain(|warning| seen.insert(warning.to_string()));
        problems
    }

    /// A back end. Nothing is sent.
    pub(crate) fn backend(
        &self,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        backend_type: &str,
        draft: Draft<'_>,
        observer: impl Observer,
    ) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let environment = self.build_env(settings, offering, backend_type, draft, observer)?;
        let (backend, warnings) = self.registry.build(&environment)?;
        Ok(((self.wrap)(backend), warnings))
    }

    /// Who names people. Nothing is sent.
    pub(crate) fn usernames(
        &self,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        draft: Draft<'_>,
        observer: impl Observer,
    ) -> Result<(Arc<dyn UsernameBackend>, Vec<Warning>)> {
        let word = offering.username_management_backend.as_str();
        let environment = self.build_env(settings, offering, word, draft, observer)?;
        let (usernames, warnings) = self.usernames.build(word, &environment)?;
        let named =
            |warning: &Warning| Warning::new(format!("offering {}: {}", offering.name, warning.path()), warning.text());
        Ok((usernames, warnings.iter().map(named).collect()))
    }

    fn build_env(
        &self,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        word: &str,
        draft: Draft<'_>,
        observer: impl Observer,
    ) -> Result<BuildEnv> {
        let connector = self.backends.clone();
        let connector = move |options: &HttpOptions| connector.connect(options);
        Ok(BuildEnv::of_settings(word, settings, offering, connector)?
            .with_components(draft.components.clone())
            .with_facts(draft.facts)
            .with_environment(self.environment.clone())
            .with_observer(observer))
    }

    /// A client of an offering's Waldur. Nothing is sent.
    pub(crate) fn waldur(
        &self,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        mode: AgentMode,
        observer: impl Observer,
    ) -> Result<WaldurClient> {
        let client = ClientBuilder::of_settings(settings, offering, &*self.waldur)?;
        client.agent_mode(mode).environment(self.environment.clone()).observer(observer).build()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// What there is to do, and what the back ends warn of.
pub type Units = (Vec<Unit>, Vec<Warning>);

/// What is known of an offering beside its settings when its back end is built.
pub(crate) struct Draft<'a> {
    pub(crate) components: &'a Components,
    pub(crate) facts: OfferingFacts,
}

/// The offerings and modes for which the settings name a back end.
fn wanted<'s>(
    settings: &'s AgentSettings,
    modes: &'s [Mode],
) -> impl Iterator<Item = (&'s OfferingSettings, Mode, &'s str)> {
    settings.offerings.iter().flat_map(|offering| {
        let backend = |mode: &Mode| mode.backend(offering).map(|backend| (offering, *mode, backend));
        modes.iter().filter_map(backend).collect::<Vec<_>>()
    })
}
