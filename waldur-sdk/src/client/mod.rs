//! Waldur's REST API as a provider uses it: one file per resource of the API, its models beside its calls. One more
//! resource is one more file and one more method of [`WaldurClient`].
//!
//! ```
//! use waldur_sdk::client::{AgentMode, OrderQuery, OrderState, WaldurClient};
//! use waldur_sdk::{rest::Http, types::OfferingUuid};
//! # async fn example(http: Http, offering: OfferingUuid) -> waldur_sdk::Result<()> {
//! let waldur = WaldurClient::builder("https://waldur.example.org/api/")
//!     .token("0123456789abcdef")
//!     .agent_mode(AgentMode::OrderProcess)
//!     .http(http)
//!     .build()?;
//! let query = OrderQuery::offering(offering).states([OrderState::PendingProvider, OrderState::Executing]);
//! for order in waldur.orders().list(&query).all().await? {
//!     println!("{} {}", order.uuid, order.kind);
//! }
//! # Ok(()) }
//! ```
//!
//! # Reading
//! Servers from 2024.10 to 8.x are read with the same types (core.md §1.2): unknown words of enumerations are kept,
//! unknown members ignored, members are optional unless nothing can be done without them, UUIDs come in both
//! spellings, numbers as text, and a row that cannot be read is reported beside the others of its page. Where the
//! API lets a caller choose members (`field`), exactly those that the type reads are asked for, so that tokens,
//! nested copies of orders and unneeded personal data do not travel.
//!
//! # Errors
//! Every call names itself and its request ([`Error::operation`](crate::Error::operation),
//! [`Error::http`](crate::Error::http)), and the message ends with the words of the server's own refusal. Calls that
//! the server is too old for fail with [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
//!
//! # Repeating
//! Calls that core.md §1.6 marks as safe to repeat are repeated after transient failures, `POST`s included. So a change
//! of state may be carried out, lose its answer, and end with a [`Conflict`](crate::ErrorKind::Conflict) from the
//! repetition: then read the object again and decide anew. One call is marked and not repeated all the same:
//! [`Orders::set_state_erred`]. A server may carry it out on an order that somebody else has ended meanwhile.

mod accounts;
mod agent_events;
mod agents;
mod answer;
mod api_keys;
mod attributes;
mod backend_resources;
mod builder;
mod component_usages;
mod components;
mod customers;
mod features;
mod federation;
mod fields;
mod list;
mod marketplace_resources;
mod member_status;
mod offering_list;
mod offering_users;
mod offerings;
mod older;
mod orders;
mod plans;
mod policies;
mod projects;
mod provider_lists;
mod resources;
mod roles;
mod service_providers;
mod unmodelled;
mod user_access;
mod user_usage_limits;
mod users;

use std::time::Instant;

use http::header;
use serde::Deserialize;

pub use accounts::{AccountState, ProjectAccount};
pub use agent_events::{AgentLogEntry, AgentQueue, EventSubscription, ObservableObject, SubscriptionQueue};
pub use agents::{
    AgentIdentity, AgentIdentityQuery, AgentProcessor, AgentRegistration, AgentService, Agents, Dependency,
    ProcessorRegistration,
};
pub use api_keys::{ResourceApiKey, ResourceApiKeyQuery, ResourceApiKeyState, ResourceApiKeys};
pub use attributes::AttributeExposure;
pub use backend_resources::{
    BackendResource, BackendResourceQuery, BackendResourceRequest, BackendResourceRequestQuery,
    BackendResourceRequestState, BackendResourceRequests, BackendResources, NewBackendResource,
};
pub use builder::{AgentMode, ClientBuilder};
pub use component_usages::{
    ComponentUsage, ComponentUsages, ComponentUserUsage, PlanPeriod, UsageQuery, UsageSubmission, UsageTarget,
    UserUsage,
};
pub use components::ComponentDefinition;
pub use customers::{Customer, CustomerQuery, Customers};
pub use features::{Feature, ServerFeatures};
pub use marketplace_resources::MarketplaceResources;
pub use member_status::{MemberState, MemberStatus, StoredStatuses};
pub use offering_list::OfferingQuery;
pub use offering_users::{OfferingUser, OfferingUserQuery, OfferingUserState, OfferingUserSummary, OfferingUsers};
pub use offerings::{
    BackendIdCheck, BackendIdVerdict, Offering, OfferingComponent, OfferingPartition, OfferingState, ProviderOfferings,
};
pub use orders::{ErrorDetails, Order, OrderQuery, OrderState, Orders, ProviderInfo};
pub use plans::{Plan, Plans};
pub use policies::{CommandResult, PeriodicUsagePolicies};
pub use projects::{Project, ProjectQuery, Projects};
pub use provider_lists::ProjectPermission;
pub use resources::{ProviderResources, Resource, ResourceQuery, ResourceState, ResourceSummary, TeamMember};
pub use roles::{Role, RoleHolder, Roles};
pub use service_providers::{ServiceProvider, ServiceProviders, SshKey};
pub use user_access::{ObjectReference, UsernameSpread, UuidOrUrl};
pub use user_usage_limits::{UserUsageLimit, UserUsageLimitQuery, UserUsageLimits};
pub use users::{CurrentUser, Permission, User, UserQuery, Users};

pub use crate::types::OrderType;
use crate::{
    error::Result,
    rest::{BaseUrl, Breaker, Environment, RestClient},
};

/// A client of one Waldur, in the name of one account. Cheap to clone; clones share connections and retry budget.
#[derive(Clone, Debug)]
pub struct WaldurClient {
    rest: RestClient,
    agent_version: String,
    mode: Option<AgentMode>,
    features: ServerFeatures,
}

impl WaldurClient {
    /// Begins a client of the Waldur at `url`, with or without its trailing `/api/`: see [`ClientBuilder`].
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(url.into())
    }

    /// The same client as seen by another processor: only the `User-Agent` differs.
    #[must_use]
    pub fn with_agent_mode(&self, mode: AgentMode) -> Self {
        let rest = self.rest.clone().with_header(header::USER_AGENT, mode.user_agent(&self.agent_version));
        Self { rest, mode: Some(mode), ..self.clone() }
    }

    /// In this mode if it is in that of a processor; who reacts to events, loads history or is no agent stays so.
    pub(crate) fn in_mode(&self, mode: AgentMode) -> Self {
        match self.mode {
            Some(AgentMode::OrderProcess | AgentMode::Report | AgentMode::MembershipSync) => self.with_agent_mode(mode),
            _ => self.clone(),
        }
    }

    /// The same client, whose calls have a deadline.
    #[must_use]
    pub fn until(&self, deadline: Option<Instant>) -> Self {
        Self { rest: self.rest.until(deadline), ..self.clone() }
    }

    /// The same client, whose calls are made only as far as `breaker` lets them through.
    pub(crate) fn stopped_by(&self, breaker: Option<Breaker>) -> Self {
        Self { rest: self.rest.stopped_by(breaker), ..self.clone() }
    }

    /// The root of this Waldur, without `api/`.
    pub fn base(&self) -> &BaseUrl {
        self.rest.base()
    }

    /// Sleep, clocks and randomness of this client.
    pub fn environment(&self) -> &Environment {
        self.rest.environment()
    }

    /// The authenticated client below, for calls that have no method here. What only reads is shorter by
    /// [`get_json`](Self::get_json) and [`list`](Self::list).
    ///
    /// ```no_run
    /// # async fn example(waldur: waldur_sdk::client::WaldurClient) -> waldur_sdk::Result<()> {
    /// let path = "/api/marketplace-resources/{resource}/set_slug/";
    /// let call = waldur.rest().post("resources.set_slug", path, &["d47ca5bce71144579df29da3c290027e"]);
    /// call.json(&serde_json::json!({ "slug": "climate" })).send_unit().await?;
    /// # Ok(()) }
    /// ```
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Orders: what customers want done.
    pub fn orders(&self) -> Orders<'_> {
        Orders::new(&self.rest)
    }

    /// Resources as their provider sees them.
    pub fn provider_resources(&self) -> ProviderResources<'_> {
        ProviderResources::new(&self.rest)
    }

    /// Offerings as their provider sees them.
    pub fn provider_offerings(&self) -> ProviderOfferings<'_> {
        ProviderOfferings::new(&self.rest)
    }

    /// Accounts of users at offerings.
    pub fn offering_users(&self) -> OfferingUsers<'_> {
        OfferingUsers::new(&self.rest)
    }

    /// Usage that was reported.
    pub fn component_usages(&self) -> ComponentUsages<'_> {
        ComponentUsages::new(&self.rest)
    }

    /// Plans of offerings.
    pub fn plans(&self) -> Plans<'_> {
        Plans::new(&self.rest)
    }

    /// Service providers.
    pub fn service_providers(&self) -> ServiceProviders<'_> {
        ServiceProviders::new(&self.rest)
    }

    /// Limits of single users of resources.
    pub fn user_usage_limits(&self) -> UserUsageLimits<'_> {
        UserUsageLimits::new(&self.rest)
    }

    /// Users of Waldur.
    pub fn users(&self) -> Users<'_> {
        Users::new(&self.rest)
    }

    /// Site agents as Waldur knows them.
    pub fn agents(&self) -> Agents<'_> {
        Agents::new(&self.rest)
    }

    /// Keys that customers use.
    pub fn api_keys(&self) -> ResourceApiKeys<'_> {
        ResourceApiKeys::new(&self.rest)
    }

    /// Objects of back ends that Waldur may import.
    pub fn backend_resources(&self) -> BackendResources<'_> {
        BackendResources::new(&self.rest)
    }

    /// Wishes for a list of such objects.
    pub fn backend_resource_requests(&self) -> BackendResourceRequests<'_> {
        BackendResourceRequests::new(&self.rest)
    }

    /// Customers: organisations.
    pub fn customers(&self) -> Customers<'_> {
        Customers::new(&self.rest)
    }

    /// Resources as everybody sees them who uses or sells them.
    pub fn marketplace_resources(&self) -> MarketplaceResources<'_> {
        MarketplaceResources::new(&self.rest)
    }

    /// Policies about usage within a period.
    pub fn periodic_usage_policies(&self) -> PeriodicUsagePolicies<'_> {
        PeriodicUsagePolicies::new(&self.rest)
    }

    /// Projects.
    pub fn projects(&self) -> Projects<'_> {
        Projects::new(&self.rest)
    }

    /// Roles that users may have.
    pub fn roles(&self) -> Roles<'_> {
        Roles::new(&self.rest)
    }

    /// The version of this Waldur (core.md §1.6 #2). A server of 2024 answers only authenticated callers (recorded:
    /// 002_version_anon).
    ///
    /// # Errors
    /// As every call.
    pub async fn version(&self) -> Result<String> {
        #[derive(Deserialize)]
        struct Version {
            version: String,
        }
        let version: Version = self
            .rest
            .get("version.get", "/api/version/", &[])
            .must_exist()
            .send_json()
            .await
            .map_err(answer::explain)?;
        Ok(version.version)
    }
}
