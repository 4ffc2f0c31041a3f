//! From settings to something that runs. Where requests go is the caller's choice: to the network, or to fakes.

use std::{fmt, sync::Arc, time::Duration, time::Instant};

use futures_util::future::join;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tracing::{info, warn};
use waldur_backend_croit::S3Factory;
use waldur_sdk::{
    ErrorKind, Result,
    backend::{BuildEnv, Connector, OpContext, Registry, ReqwestConnector, ResourceBackend, layers},
    client::{AgentMode, WaldurClient},
    process::{OfferingContext, OrderPolicy, OrderProcessor, OrderRunReport},
    rest::{CachedToken, ClientCredentials, Environment, Http, HttpOptions, PlainHttp, Proxy, TracingObserver},
    settings::{AgentSettings, Components, Credentials, OfferingSettings, Warning},
};

use crate::{
    config::{self, ConfigError},
    registration::register,
};

/// How long the components and options of an offering are taken to be as they were read.
const CONTEXT_LIFETIME: Duration = Duration::from_hours(1);

/// A layer that the site puts around every back end.
type Wrap = Arc<dyn Fn(Arc<dyn ResourceBackend>) -> Arc<dyn ResourceBackend> + Send + Sync>;

/// The ways out of this process, the back ends it knows, and its clocks.
#[derive(Clone)]
pub struct Site {
    registry: Registry,
    waldur: Arc<dyn Connector>,
    backends: Arc<dyn Connector>,
    environment: Environment,
    wrap: Wrap,
}

impl Site {
    /// Requests go to the network, clocks are the runtime's, and S3 is the one kind of back end.
    pub fn networked() -> Self {
        Self::over(ReqwestConnector, ReqwestConnector, Environment::default().with_timer(tokio::time::sleep))
    }

    /// Requests to Waldur go one way, those of back ends another.
    pub fn over(waldur: impl Connector, backends: impl Connector, environment: Environment) -> Self {
        Self {
            registry: Registry::default().with(S3Factory),
            waldur: Arc::new(waldur),
            backends: Arc::new(backends),
            environment,
            wrap: Arc::new(|backend| backend),
        }
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

    /// Sleep and clocks.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// An agent for each offering whose orders have a back end. Nothing is sent.
    ///
    /// # Errors
    /// All problems of all offerings, those of the back ends' own settings included.
    pub fn agents(&self, settings: &AgentSettings, dry_run: bool) -> Result<Agents, ConfigError> {
        let (mut agents, mut problems, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
        let started = self.environment.now();
        for offering in &settings.offerings {
            let Some(backend_type) = &offering.order_processing_backend else { continue };
            if offering.events.orders {
                warn!(offering = offering.name, "stomp_enabled: this version reads no events; orders are polled");
            }
            // The back end is built again once Waldur's components are known; here it only shows what is wrong.
            match self.build(settings, offering, backend_type, &offering.components) {
                Ok((_, found)) => warnings.extend(found),
                Err(error) => problems.extend(config::lines(&error)),
            }
            match OfferingAgent::new(self, settings, offering, backend_type, started, dry_run) {
                Ok(agent) => agents.push(agent),
                Err(error) => problems.push(format!("offering {}: {}", offering.name, error.message())),
            }
        }
        ConfigError::of(problems).map_or(Ok((agents, warnings)), Err)
    }

    fn build(
        &self,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        backend_type: &str,
        components: &Components,
    ) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let (connector, proxy) = (self.backends.clone(), proxy(settings)?);
        let environment = BuildEnv::new(
            backend_type,
            offering.offering_uuid,
            offering.backend_settings.clone(),
            components.clone(),
            move |options: &HttpOptions| connector.connect(&through(options.clone(), proxy.as_ref())),
        );
        let environment = environment.with_environment(self.environment.clone()).with_observer(TracingObserver);
        let (backend, warnings) = self.registry.build(&environment)?;
        Ok(((self.wrap)(backend), warnings))
    }

    fn waldur(&self, settings: &AgentSettings, offering: &OfferingSettings) -> Result<WaldurClient> {
        let mut options = through(HttpOptions::default(), proxy(settings)?.as_ref());
        if !offering.verify_ssl {
            options = options.danger_accept_invalid_certs();
        }
        let http = Http::new(self.waldur.connect(&options)?)
            .with_environment(self.environment.clone())
            .with_observer(TracingObserver);
        let client = WaldurClient::builder(offering.api_url.to_string())
            .http(http)
            // The settings reader has warned of plain http.
            .plain_http(PlainHttp::Allowed)
            .agent_mode(AgentMode::OrderProcess);
        match &offering.credentials {
            Credentials::Token(token) => client.token(token.clone()),
            Credentials::Oidc { token_url, client_id, client_secret } => {
                let (field, url) = ("oidc_token_url", token_url.as_url().as_str());
                let source =
                    ClientCredentials::new(field, url, PlainHttp::Allowed, client_id.as_str(), client_secret.clone())?;
                client.authenticator(CachedToken::bearer(source))
            }
            // A newer SDK knows credentials that this agent does not.
            other => return Err(waldur_sdk::Error::config(format!("credentials of an unknown kind: {other:?}"))),
        }
        .build()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").field("registry", &self.registry).finish_non_exhaustive()
    }
}

/// The agents of a settings file, and what their back ends warn of.
pub type Agents = (Vec<OfferingAgent>, Vec<Warning>);

fn proxy(settings: &AgentSettings) -> Result<Option<Proxy>> {
    settings.global_proxy.as_ref().map(|url| Proxy::new(url.expose_secret())).transpose()
}

fn through(options: HttpOptions, proxy: Option<&Proxy>) -> HttpOptions {
    match proxy {
        Some(proxy) => options.with_proxy(proxy.clone()),
        None => options,
    }
}

/// Everything that one offering needs, kept from pass to pass.
#[derive(Debug)]
pub struct OfferingAgent {
    site: Site,
    settings: AgentSettings,
    offering: OfferingSettings,
    backend_type: String,
    waldur: WaldurClient,
    started: Timestamp,
    dry_run: bool,
    registered: bool,
    ready: Option<(Instant, OrderProcessor)>,
}

impl OfferingAgent {
    fn new(
        site: &Site,
        settings: &AgentSettings,
        offering: &OfferingSettings,
        backend_type: &str,
        started: Timestamp,
        dry_run: bool,
    ) -> Result<Self> {
        Ok(Self {
            site: site.clone(),
            waldur: site.waldur(settings, offering)?,
            settings: settings.clone(),
            offering: offering.clone(),
            backend_type: backend_type.to_owned(),
            started,
            dry_run,
            registered: dry_run,
            ready: None,
        })
    }

    /// The offering's name.
    pub fn name(&self) -> &str {
        &self.offering.name
    }

    /// One pass over the offering's orders. The first one makes the agent known to Waldur; a failure of that is
    /// logged, and tried again with the next.
    ///
    /// # Errors
    /// When the offering or its orders cannot be read, or the back end cannot be built.
    pub async fn run_once(&mut self, cx: &OpContext) -> Result<OrderRunReport> {
        let (registered, processor) = join(self.register(), self.processor()).await;
        self.registered = registered;
        let (loaded, processor) = processor?;
        self.ready = Some((loaded, processor.clone()));
        processor.run_once(cx).await
    }

    async fn register(&self) -> bool {
        if self.registered {
            return true;
        }
        match register(&self.waldur, &self.offering, self.started).await {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                info!(offering = self.name(), "this Waldur keeps no register of agents");
                true
            }
            Err(error) => {
                warn!(offering = self.name(), "the agent could not be registered: {}", error.chain().join(": "));
                false
            }
        }
    }

    /// The processor at hand, or one that knows the offering as it is now.
    async fn processor(&self) -> Result<(Instant, OrderProcessor)> {
        let now = self.site.environment.instant();
        if let Some((loaded, processor)) = &self.ready
            && now.saturating_duration_since(*loaded) < CONTEXT_LIFETIME
        {
            return Ok((*loaded, processor.clone()));
        }
        let context = OfferingContext::load(&self.waldur, &self.offering).await?;
        for warning in &context.warnings {
            warn!(offering = self.name(), "{warning}");
        }
        let (mut backend, _told_at_start) =
            self.site.build(&self.settings, &self.offering, &self.backend_type, &context.components)?;
        let mut policy = OrderPolicy::from_settings(&self.settings, &self.offering);
        if self.dry_run {
            backend = Arc::new(layers::dry_run(backend));
            policy.dry_run = true;
        }
        let mut processor = OrderProcessor::new(self.waldur.clone(), backend, self.offering.offering_uuid)
            .with_policy(policy)
            .with_components(context.components);
        if let Some(provider) = context.service_provider {
            processor = processor.with_service_provider(provider);
        }
        Ok((now, processor))
    }
}
