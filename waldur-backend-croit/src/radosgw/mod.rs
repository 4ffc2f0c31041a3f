//! A typed client of RadosGW's Admin Ops API, usable without the rest of the SDK.
//!
//! ```no_run
//! use waldur_backend_croit::radosgw::{NewUser, Quota, QuotaObjects, QuotaSize, Quotas, RadosGwClient, S3Key, Uid};
//! use waldur_sdk::rest::{Http, HttpOptions};
//! # async fn example() -> waldur_sdk::Result<()> {
//! let http = Http::connect(&HttpOptions::default())?;
//! let client = RadosGwClient::new(http, &"https://s3.example.org/".parse()?, &S3Key::new("ADMIN", "s3cr3t"))?;
//!
//! let alice = Uid::new("alice")?;
//! let created = client.users().create(&NewUser::new(alice.clone(), "Alice")?.with_generated_key()).await?;
//! let ceiling = Quota::new(QuotaSize::at_most(100 << 30)?, QuotaObjects::at_most(10_000)?);
//! client.quotas().set(&alice, Quotas::both(ceiling)).await?;
//! # drop(created); Ok(()) }
//! ```
//!
//! Dangerous calls cannot be made:
//!
//! - no `DELETE` of a quota: the gateway deletes the *user*;
//! - no quota that is not a checked number: it would be stored as unlimited;
//! - no change of a key without its user;
//! - no trimming of the usage log;
//! - no secret in a URL, because the gateway's access log keeps every request line: the gateway mints the secrets.
//!
//! All writes on one user go one after the other: of two at once, the gateway answers 500 to one.

mod buckets;
mod caps;
pub mod error;
mod keys;
mod listing;
mod metadata;
mod model;
mod quotas;
mod usage;
mod users;

use std::{
    fmt,
    time::{Duration, Instant},
};

use http::Method;
use waldur_sdk::{
    Result,
    rest::{BaseUrl, Breaker, Call, Environment, Http, RestClient, Serial, redact},
};

pub use self::{
    buckets::Buckets,
    caps::Caps,
    keys::{Keys, Removed},
    listing::PageSize,
    metadata::Metadata,
    model::{
        Bucket, BucketTraffic, BucketUsage, Cap, CapKind, CapPerm, MaxBuckets, Stored, Traffic, TrafficSummary,
        UsageLog, User, UserTraffic, UserWithKeys,
    },
    quotas::QuotaCalls,
    usage::{Usage, UsageQuery},
    users::{Freshness, InitialKey, NewUser, UserChange, Users},
};

pub use crate::s3::{
    AccessKeyId, BucketName, ListedUid, MAX_NAME, Quota, QuotaObjects, QuotaSize, Quotas, S3Key, SigV4, Tenant, Uid,
};

use crate::s3::seconds_ahead;

/// A client of one gateway. Cheap to clone; clones share connections, the retry budget and the order of writes.
#[derive(Clone)]
pub struct RadosGwClient {
    rest: RestClient,
    signer: SigV4,
    purge_timeout: Duration,
    writes: Serial<Uid>,
}

/// What a gateway tells of itself.
pub(crate) struct Greeting {
    /// What it calls itself.
    pub(crate) server: Option<String>,
    /// How far its clock is ahead of ours in seconds.
    pub(crate) ahead: Option<i64>,
}

impl RadosGwClient {
    /// How long a deletion may take that removes objects with it: 1200 buckets took 28 s (radosgw-api.md §8).
    pub const PURGE_TIMEOUT: Duration = Duration::from_mins(10);

    /// A client of the gateway at `endpoint`, whose admin API is at `/admin`, with an administrator's key.
    ///
    /// # Errors
    /// `Config` when either half of the key is blank.
    pub fn new(http: Http, endpoint: &BaseUrl, admin: &S3Key) -> Result<Self> {
        Self::at(http, endpoint, "admin", admin)
    }

    /// A client of a gateway whose admin API is at `admin_path` (`rgw_admin_entry`, one or more path segments).
    ///
    /// # Errors
    /// `Config` when a segment of the path is not made of letters, digits and `.-_`, or as [`Self::new`].
    pub fn at(http: Http, endpoint: &BaseUrl, admin_path: &str, admin: &S3Key) -> Result<Self> {
        let path = admin_path.trim_matches('/');
        path.split('/').try_for_each(|segment| crate::s3::check_name("admin_path", segment))?;
        let base = endpoint.below("admin_path", path)?;
        let signer = SigV4::new(admin, http.environment().clone())?;
        let rest = RestClient::new(http, base, signer.clone()).with_error_reader(error::read);
        Ok(Self { rest, signer, purge_timeout: Self::PURGE_TIMEOUT, writes: Serial::new() })
    }

    /// Replaces the time limit of every call but purging ones (default 60 s).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.rest = self.rest.with_timeout(timeout);
        self
    }

    /// Replaces the time limit of deletions that remove objects too (default [`Self::PURGE_TIMEOUT`]).
    #[must_use]
    pub fn with_purge_timeout(mut self, timeout: Duration) -> Self {
        self.purge_timeout = timeout;
        self
    }

    /// The same client, whose calls begin nothing after `deadline`.
    #[must_use]
    pub fn until(&self, deadline: Option<Instant>) -> Self {
        Self { rest: self.rest.until(deadline), ..self.clone() }
    }

    /// The same client, whose calls are made only as far as `breaker` lets them through.
    #[must_use]
    pub fn stopped_by(&self, breaker: &Breaker) -> Self {
        Self { rest: self.rest.stopped_by(Some(breaker.clone())), ..self.clone() }
    }

    /// The authenticated client below, rooted at the admin API, for calls that have no method here. The methods here ask
    /// for `format=json`, and keep writes to one user apart, which it does not.
    ///
    /// ```no_run
    /// # async fn example(gateway: waldur_backend_croit::radosgw::RadosGwClient) -> waldur_sdk::Result<()> {
    /// // Since release 17.
    /// let call = gateway.rest().get("info.get", "/info", &[]).query("format", "json");
    /// let info: serde_json::Value = call.send_json().await?;
    /// # drop(info); Ok(()) }
    /// ```
    pub fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// Users.
    pub fn users(&self) -> Users<'_> {
        Users(self)
    }

    /// Key pairs of users.
    pub fn keys(&self) -> Keys<'_> {
        Keys(self)
    }

    /// Capabilities of administrators.
    pub fn caps(&self) -> Caps<'_> {
        Caps(self)
    }

    /// Quotas of users.
    pub fn quotas(&self) -> QuotaCalls<'_> {
        QuotaCalls(self)
    }

    /// Buckets.
    pub fn buckets(&self) -> Buckets<'_> {
        Buckets(self)
    }

    /// The usage log.
    pub fn usage(&self) -> Usage<'_> {
        Usage(self)
    }

    /// Metadata.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata(self)
    }

    /// What the gateway calls itself, by its header `Server`: 16.2 has none, later releases name themselves. Costs a page
    /// of one user.
    ///
    /// # Errors
    /// As [`Users::list`].
    pub async fn server(&self) -> Result<Option<String>> {
        self.greet().await.map(|greeting| greeting.server)
    }

    /// What the gateway tells of itself beside an answer.
    pub(crate) async fn greet(&self) -> Result<Greeting> {
        let call = self.call(Method::GET, "users.list", "/user").query("list", "").query("max-entries", 1);
        let (_page, headers): (serde::de::IgnoredAny, _) = call.must_exist().send_with_headers().await?;
        let server = headers.get(http::header::SERVER).and_then(|name| name.to_str().ok());
        let server = server.map(|name| redact::escape(name).chars().take(128).collect());
        Ok(Greeting { server, ahead: seconds_ahead(&headers, self.environment()) })
    }

    /// How far the gateway's clock is ahead of ours in seconds, as learnt when it refused our time; 0 if it never did.
    pub fn learnt_clock_offset(&self) -> i64 {
        self.signer.learnt_offset()
    }

    /// Sleep, clocks and randomness.
    pub(crate) fn environment(&self) -> &Environment {
        self.rest.environment()
    }

    fn call(&self, method: Method, operation: &'static str, template: &'static str) -> Call {
        self.rest.call(method, operation, template, &[]).query("format", "json")
    }

    /// Runs `write` after every earlier write on the same user, here and in all clones.
    async fn in_turn<T>(&self, uid: &Uid, write: impl Future<Output = Result<T>> + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
    {
        self.writes.run(uid.clone(), write).await
    }

    /// Sends a write without an answer, in its turn.
    async fn write(&self, uid: &Uid, call: Call) -> Result<()> {
        self.in_turn(uid, call.send_unit()).await
    }
}

impl fmt::Debug for RadosGwClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RadosGwClient").field("rest", &self.rest).field("signer", &self.signer).finish_non_exhaustive()
    }
}
