//! Makes the back end that a settings file names.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::ResourceBackend;
use crate::{
    error::{Error, Result},
    rest::{Environment, Http, HttpOptions, HttpTransport, Observer},
    settings::{AgentSettings, BackendSettings, Components, OfferingSettings, TimeZone, Warning},
    types::{OfferingUuid, ServiceProviderUuid},
};

/// Makes back ends of one or more types from settings. Does no I/O: a wrong setting is an error here, a server that
/// cannot be reached is not.
pub trait BackendFactory: Send + Sync + 'static {
    /// The words by which settings choose it (`ceph_s3`), in lower case.
    fn backend_types(&self) -> &'static [&'static str];

    /// Makes a back end.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) with all problems of the settings.
    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)>;
}

/// Opens the way to a back end's server: a transport of its own for each, so that connections and credentials of
/// different back ends never meet. Every `Fn(&HttpOptions) -> Result<Arc<dyn HttpTransport>>` is one.
pub trait Connector: Send + Sync + 'static {
    /// A transport with these options.
    ///
    /// # Errors
    /// When the options cannot be carried out (an unreadable certificate, a bad proxy address).
    fn connect(&self, options: &HttpOptions) -> Result<Arc<dyn HttpTransport>>;
}

impl<F> Connector for F
where
    F: Fn(&HttpOptions) -> Result<Arc<dyn HttpTransport>> + Send + Sync + 'static,
{
    fn connect(&self, options: &HttpOptions) -> Result<Arc<dyn HttpTransport>> {
        self(options)
    }
}

/// Connects with [`ReqwestTransport`](crate::rest::ReqwestTransport), which needs a Tokio runtime.
#[cfg(feature = "reqwest")]
#[derive(Clone, Copy, Debug, Default)]
pub struct ReqwestConnector;

#[cfg(feature = "reqwest")]
impl Connector for ReqwestConnector {
    fn connect(&self, options: &HttpOptions) -> Result<Arc<dyn HttpTransport>> {
        Ok(Arc::new(crate::rest::ReqwestTransport::new(options)?))
    }
}

/// What some back ends want to know of their offering before they begin (core.md §7.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferingFacts {
    /// Who sells it.
    pub service_provider: Option<ServiceProviderUuid>,
    /// The names of the partitions of a cluster.
    pub partitions: Vec<String>,
    /// The plug-in option `enforce_qos`: whether limits are enforced by qualities of service.
    pub enforce_qos: bool,
    /// The plug-in option `username_anonymized_prefix`, which may be empty.
    pub anonymized_prefix: Option<String>,
}

impl OfferingFacts {
    /// Of this provider.
    #[must_use]
    pub fn service_provider(mut self, provider: Option<ServiceProviderUuid>) -> Self {
        self.service_provider = provider;
        self
    }

    /// With these partitions.
    #[must_use]
    pub fn partitions(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.partitions = names.into_iter().collect();
        self
    }

    /// With user names that begin with this.
    #[must_use]
    pub fn anonymized_prefix(mut self, prefix: Option<String>) -> Self {
        self.anonymized_prefix = prefix;
        self
    }

    /// With qualities of service, or without.
    #[must_use]
    pub fn enforce_qos(mut self, yes: bool) -> Self {
        self.enforce_qos = yes;
        self
    }
}

/// What a back end is built from.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildEnv {
    /// The word that chose the back end.
    pub backend_type: String,
    /// The offering it serves.
    pub offering: OfferingUuid,
    /// Its own settings.
    pub settings: BackendSettings,
    /// The offering's components: those of the settings merged with Waldur's.
    pub components: Components,
    /// The zone in which billing periods begin and end. UTC unless set.
    pub time_zone: TimeZone,
    /// What Waldur says about the offering. Nothing unless set.
    pub facts: OfferingFacts,
    /// Sleep, clocks and randomness.
    pub environment: Environment,
    connector: Arc<dyn Connector>,
    observer: Arc<dyn Observer>,
}

impl BuildEnv {
    /// An environment with the default clocks and no observer.
    pub fn new(
        backend_type: impl Into<String>,
        offering: OfferingUuid,
        settings: BackendSettings,
        components: Components,
        connector: impl Connector,
    ) -> Self {
        Self {
            backend_type: backend_type.into(),
            offering,
            settings,
            components,
            time_zone: TimeZone::UTC,
            facts: OfferingFacts::default(),
            environment: Environment::default(),
            connector: Arc::new(connector),
            observer: Arc::new(()),
        }
    }

    /// What the agent's file says of a back end of an offering: its own settings, the components as they stand there, the
    /// zone of billing periods, and the proxy, through which `connector` is led.
    ///
    /// ```
    /// use waldur_sdk::{
    ///     backend::{BuildEnv, OfferingFacts, ReqwestConnector},
    ///     settings::{AgentSettings, Components, OfferingSettings},
    /// };
    ///
    /// /// `components` and `facts` are an `OfferingContext`'s.
    /// fn environment(
    ///     agent: &AgentSettings,
    ///     offering: &OfferingSettings,
    ///     components: Components,
    ///     facts: OfferingFacts,
    /// ) -> waldur_sdk::Result<BuildEnv> {
    ///     let environment = BuildEnv::of_settings(&offering.backend_type, agent, offering, ReqwestConnector)?;
    ///     Ok(environment.with_components(components).with_facts(facts))
    /// }
    /// ```
    ///
    /// # Errors
    /// `Config` when the proxy cannot be read.
    pub fn of_settings(
        backend_type: impl Into<String>,
        agent: &AgentSettings,
        offering: &OfferingSettings,
        connector: impl Connector,
    ) -> Result<Self> {
        let (settings, components) = (offering.backend_settings.clone(), offering.components.clone());
        let proxy = agent.proxy()?;
        let through = move |options: &HttpOptions| match &proxy {
            Some(proxy) => connector.connect(&options.clone().with_proxy(proxy.clone())),
            None => connector.connect(options),
        };
        let environment = Self::new(backend_type, offering.offering_uuid, settings, components, through);
        Ok(environment.with_time_zone(agent.timezone.clone()))
    }

    /// Replaces the components.
    #[must_use]
    pub fn with_components(mut self, components: Components) -> Self {
        self.components = components;
        self
    }

    /// Sets the zone in which billing periods begin and end.
    #[must_use]
    pub fn with_time_zone(mut self, zone: TimeZone) -> Self {
        self.time_zone = zone;
        self
    }

    /// Sets what Waldur says about the offering.
    #[must_use]
    pub fn with_facts(mut self, facts: OfferingFacts) -> Self {
        self.facts = facts;
        self
    }

    /// Replaces sleep, clocks and randomness.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Watches the attempts of every call.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.observer = Arc::new(observer);
        self
    }

    /// A pipeline to a server, with its own connections and its own retry budget. The certificate authorities of the
    /// settings are trusted as well as those of the options.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub fn http(&self, options: &HttpOptions) -> Result<Http> {
        let transport = match &self.settings.core.ca_certificates {
            Some(pem) => self.connector.connect(&options.clone().with_ca_certificates(pem.as_bytes()))?,
            None => self.connector.connect(options)?,
        };
        Ok(Http::new(transport).with_environment(self.environment.clone()).with_observer(self.observer.clone()))
    }
}

impl fmt::Debug for BuildEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildEnv")
            .field("backend_type", &self.backend_type)
            .field("offering", &self.offering)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The back ends that a program knows.
///
/// ```
/// use std::sync::Arc;
/// use waldur_sdk::backend::{BackendFactory, BuildEnv, Registry, ResourceBackend};
/// use waldur_sdk::settings::Warning;
/// # fn my_backend() -> Arc<dyn ResourceBackend> { unimplemented!() }
///
/// struct MyFactory;
/// impl BackendFactory for MyFactory {
///     fn backend_types(&self) -> &'static [&'static str] {
///         &["my_storage"]
///     }
///     fn build(&self, _: &BuildEnv) -> waldur_sdk::Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
///         Ok((my_backend(), Vec::new()))
///     }
/// }
///
/// let registry = Registry::default().with(MyFactory);
/// assert_eq!(registry.backend_types().collect::<Vec<_>>(), ["my_storage"]);
/// ```
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Arc<dyn BackendFactory>>);

impl Registry {
    /// Adds a factory under all its words; a word that is known already is replaced.
    #[must_use]
    pub fn with(mut self, factory: impl BackendFactory) -> Self {
        let factory: Arc<dyn BackendFactory> = Arc::new(factory);
        for backend_type in factory.backend_types() {
            self.0.insert(backend_type, factory.clone());
        }
        self
    }

    /// The words that it knows.
    pub fn backend_types(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }

    /// Makes the back end that the settings name.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for an unknown word, naming those that are known, and as
    /// [`BackendFactory::build`].
    pub fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let factory = self.0.get(environment.backend_type.to_lowercase().as_str()).ok_or_else(|| {
            let known = self.backend_types().collect::<Vec<_>>().join(", ");
            Error::config(format!("backend_type: is not one of {known}"))
        })?;
        factory.build(environment)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
