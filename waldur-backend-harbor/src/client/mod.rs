//! A typed client of Harbor's v2 API, usable without the rest of the SDK.
//!
//! ```no_run
//! use waldur_backend_harbor::client::{HarborClient, NewProject, ProjectName, StorageLimit};
//! use waldur_sdk::rest::{Http, HttpOptions};
//! # async fn example() -> waldur_sdk::Result<()> {
//! let http = Http::connect(&HttpOptions::default())?;
//! let harbor = HarborClient::new(http, &"https://harbor.example.com/".parse()?, "robot$waldur-agent", "…")?;
//!
//! let name = ProjectName::new("my-images")?;
//! harbor.projects().create(&NewProject::new(name.clone()).with_storage_limit(StorageLimit::at_most(10 << 30)?)).await?;
//! let project = harbor.projects().get(&name).await?;
//! if let Some(quota) = harbor.quotas().of_project(project.id, &name).await? {
//!     harbor.quotas().set(&quota, StorageLimit::at_most(20 << 30)?).await?;
//! }
//! # Ok(()) }
//! ```
//!
//! Dangerous calls cannot be made:
//!
//! - To change a quota takes a value that proves whose it is ([`ProjectQuota`]).
//! - Each kind of number has a type of its own.
//! - A project is always asked for by name, and Harbor is told that it is a name: it would read a name of digits as a
//!   number.
//! - Absence is proven by `HEAD`, never by a filtered list, which also answers callers with a wrong password.
//! - No cookie is ever sent: with one, Harbor refuses every write.

pub mod error;
mod groups;
mod ids;
mod listing;
mod location;
mod members;
mod model;
mod projects;
mod quotas;
mod repositories;
mod system;

use std::{
    fmt,
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use waldur_sdk::{
    Error, Result,
    rest::{BaseUrl, Breaker, Call, Environment, Http, RestClient, StaticHeader},
};

pub use self::{
    groups::Groups,
    ids::{GroupId, GroupName, MemberId, ProjectId, ProjectName, QuotaId, RepositoryName, RobotId},
    members::{Added, Members},
    model::{
        Access, Allowlist, AllowlistItem, ComponentHealth, EntityType, Group, GroupType, Health, Member, Project,
        ProjectMetadata, Quota, Repository, Robot, RobotPermission, Role, Statistics, StorageLimit, Summary,
        SystemInfo,
    },
    projects::{Deletable, NewProject, Projects},
    quotas::{ProjectQuota, Quotas},
    repositories::Repositories,
    system::System,
};

/// `X-Is-Resource-Name`: what stands in the path is a name, even if it is made of digits.
static IS_NAME: HeaderName = HeaderName::from_static("x-is-resource-name");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A client of one Harbor. Cheap to clone; clones share connections and the retry budget.
#[derive(Clone)]
pub struct HarborClient {
    rest: RestClient,
}

impl HarborClient {
    /// A client of the Harbor at `root`, the address without `/api/v2.0`. The user name is taken as it is: a robot
    /// account's begins with `robot$` unless the server is set up otherwise, and a local administrator will do as well.
    ///
    /// # Errors
    /// `Config` when the user name is blank or has a colon, or the password is blank.
    pub fn new(http: Http, root: &BaseUrl, username: &str, password: impl Into<SecretString>) -> Result<Self> {
        let password = password.into();
        if username.trim().is_empty() || password.expose_secret().is_empty() {
            return Err(Error::config("credentials: user name and password must not be blank"));
        }
        let login = StaticHeader::basic(username, &password)?;
        let rest = RestClient::new(http, root.below("harbor_url", "api/v2.0")?, login);
        Ok(Self { rest: rest.with_error_reader(error::read) })
    }

    /// Replaces the time limit of every call (default 60 s).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.rest = self.rest.with_timeout(timeout);
        self
    }

    /// The same client, whose calls begin nothing after `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Option<Instant>) -> Self {
        Self { rest: self.rest.until(deadline) }
    }

    /// The same client, whose calls are made only as far as `breaker` lets them through.
    #[must_use]
    pub fn stopped_by(&self, breaker: &Breaker) -> Self {
        Self { rest: self.rest.stopped_by(Some(breaker.clone())) }
    }

    /// The authenticated client below, rooted at `/api/v2.0`, for calls that have no method here: artifacts, retention,
    /// robots to be made, members who are users.
    ///
    /// The methods here send two headers more than it does: `X-Request-Id`, by which Harbor's log names a call, and
    /// `X-Is-Resource-Name: true` where the path names a project. Without the latter Harbor takes a name of digits for a
    /// number.
    ///
    /// ```no_run
    /// use http::{HeaderName, HeaderValue};
    /// # async fn example(harbor: waldur_backend_harbor::client::HarborClient) -> waldur_sdk::Result<()> {
    /// let artifacts = "/projects/{project}/repositories/{repository/}/artifacts";
    /// let call = harbor.rest().get("artifacts.list", artifacts, &["my-images", "team/app"]).query("page_size", 100);
    /// let call = call.header(HeaderName::from_static("x-is-resource-name"), HeaderValue::from_static("true"));
    /// let artifacts: Vec<serde_json::Value> = call.send_json().await?;
    /// # drop(artifacts); Ok(()) }
    /// ```
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Projects.
    pub fn projects(&self) -> Projects<'_> {
        Projects(self)
    }

    /// Quotas of projects.
    pub fn quotas(&self) -> Quotas<'_> {
        Quotas(self)
    }

    /// User groups.
    pub fn groups(&self) -> Groups<'_> {
        Groups(self)
    }

    /// Who has a role in a project.
    pub fn members(&self) -> Members<'_> {
        Members(self)
    }

    /// Repositories of projects.
    pub fn repositories(&self) -> Repositories<'_> {
        Repositories(self)
    }

    /// Harbor itself, and its robot accounts.
    pub fn system(&self) -> System<'_> {
        System(self)
    }

    /// Sleep, clocks and randomness.
    pub(crate) fn environment(&self) -> &Environment {
        self.rest.environment()
    }

    fn call(&self, method: Method, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        let call = self.rest.call(method, operation, template, arguments);
        call.header(REQUEST_ID.clone(), self.request_id())
    }

    /// A call whose path names a project.
    fn named(&self, method: Method, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        self.call(method, operation, template, arguments).header(IS_NAME.clone(), HeaderValue::from_static("true"))
    }

    /// A name for a call, which Harbor writes into its log and sends back with errors.
    fn request_id(&self) -> HeaderValue {
        let draw = || (self.environment().fraction() * f64::from(u32::MAX)).to_bits();
        let text = format!("waldur-{:016x}{:016x}", draw(), draw());
        HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("waldur"))
    }
}

impl fmt::Debug for HarborClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HarborClient").field("rest", &self.rest).finish_non_exhaustive()
    }
}
