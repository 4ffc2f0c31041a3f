//! From settings to a client.

use std::{fmt, sync::Arc, time::Duration};

use http::HeaderValue;
use secrecy::SecretString;

use super::{ServerFeatures, WaldurClient};
use crate::{
    error::{Error, Result},
    rest::{Authenticator, BaseUrl, Environment, Http, Observer, PlainHttp, RestClient, StaticHeader},
};

const SDK: &str = concat!("waldur-sdk/", env!("CARGO_PKG_VERSION"));

/// What an agent is doing while it calls.
///
/// Waldur shows an integration as alive when a caller whose `User-Agent` contains `waldur-site-agent` lists the orders
/// or the provider resources of an offering (core.md §1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AgentMode {
    /// Carries out orders.
    OrderProcess,
    /// Reports usage.
    Report,
    /// Keeps members and limits true.
    MembershipSync,
    /// Reacts to events.
    EventProcess,
    /// Runs against a test system.
    Testing,
    /// Reports usage of the past.
    HistoricalUsageLoader,
}

impl AgentMode {
    /// The word in the `User-Agent`, and the name and mode of the agent's service (core.md §1.1, §2.1).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OrderProcess => "order_process",
            Self::Report => "report",
            Self::MembershipSync => "membership_sync",
            Self::EventProcess => "event_process",
            Self::Testing => "testing",
            Self::HistoricalUsageLoader => "historical-usage-loader",
        }
    }

    /// `version` is one that [`ClientBuilder::build`] has checked.
    pub(super) fn user_agent(self, version: &str) -> HeaderValue {
        let text = format!("waldur-site-agent-{}/{version} {SDK}", self.as_str());
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(SDK))
    }
}

impl fmt::Display for AgentMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Builds a [`WaldurClient`]. Needed are the URL and credentials; without the feature `reqwest` also an [`Http`].
#[must_use = "a builder does nothing until built"]
pub struct ClientBuilder {
    url: String,
    plain: PlainHttp,
    http: Option<Http>,
    credentials: Credentials,
    mode: Option<AgentMode>,
    agent_version: String,
    timeout: Option<Duration>,
    environment: Option<Environment>,
    observer: Option<Arc<dyn Observer>>,
}

enum Credentials {
    Missing,
    Token(SecretString),
    Other(Arc<dyn Authenticator>),
}

impl ClientBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            plain: PlainHttp::default(),
            http: None,
            credentials: Credentials::Missing,
            mode: None,
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            timeout: None,
            environment: None,
            observer: None,
        }
    }

    /// Authenticates with a static API token: `Authorization: Token …` (core.md §1.1).
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.credentials = Credentials::Token(token.into());
        self
    }

    /// Authenticates with anything else, for example tokens of an OpenID provider.
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.credentials = Credentials::Other(Arc::new(authenticator));
        self
    }

    /// Sends through `http`: its transport, retries, clocks and observer.
    pub fn http(mut self, http: Http) -> Self {
        self.http = Some(http);
        self
    }

    /// Replaces sleep, clocks and randomness of the [`Http`].
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Replaces the observer of attempts of the [`Http`].
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Says what the agent is doing. Without it the client calls itself `waldur-sdk` only, and Waldur takes none of
    /// its calls for a sign of life of an agent.
    pub fn agent_mode(mut self, mode: AgentMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The version that the agent names beside its mode. By default that of the SDK.
    pub fn agent_version(mut self, version: impl Into<String>) -> Self {
        self.agent_version = version.into();
        self
    }

    /// Whether the token may travel over plain `http` to other hosts than this one. By default it may not.
    pub fn plain_http(mut self, plain: PlainHttp) -> Self {
        self.plain = plain;
        self
    }

    /// The time limit of one attempt. By default 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The client. Nothing is sent.
    ///
    /// One trailing `/api` segment of the URL is removed, since every path begins with it; a path before it is kept
    /// (core.md §1.1).
    ///
    /// # Errors
    /// `Config`, naming the setting, when the URL is not the root of an API, credentials are missing, or token or version
    /// do not fit into a header; without the feature `reqwest` also when [`Http`] is missing. Neither URL nor token are repeated.
    pub fn build(self) -> Result<WaldurClient> {
        let base = BaseUrl::parse("waldur_api_url", &self.url, self.plain)?.without_trailing_segment("api");
        if HeaderValue::from_str(&self.agent_version).is_err() {
            return Err(Error::config("agent version: contains a character that a header cannot carry"));
        }
        let mut http = self.http.map_or_else(default_http, Ok)?;
        if let Some(environment) = self.environment {
            http = http.with_environment(environment);
        }
        if let Some(observer) = self.observer {
            http = http.with_observer(observer);
        }
        let mut rest = match self.credentials {
            Credentials::Missing => return Err(Error::config("waldur_api_token: neither a token nor another login")),
            Credentials::Token(token) => RestClient::new(http, base, StaticHeader::waldur_token(&token)?),
            Credentials::Other(authenticator) => RestClient::new(http, base, authenticator),
        };
        if let Some(timeout) = self.timeout {
            rest = rest.with_timeout(timeout);
        }
        let (agent_version, features) = (self.agent_version, ServerFeatures::default());
        let client = WaldurClient { rest, agent_version, mode: None, features };
        Ok(match self.mode {
            Some(mode) => client.with_agent_mode(mode),
            None => client,
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password until it has been checked.
        f.debug_struct("ClientBuilder")
            .field("mode", &self.mode)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The pipeline of those who bring none.
#[cfg(feature = "reqwest")]
fn default_http() -> Result<Http> {
    Http::connect(&crate::rest::HttpOptions::default())
}

#[cfg(not(feature = "reqwest"))]
fn default_http() -> Result<Http> {
    Err(Error::config("http: no transport was given, and this build has none of its own"))
}
