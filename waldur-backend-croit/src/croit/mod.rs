//! A typed client of croit's management API for S3, usable without the rest of the SDK.
//!
//! ```no_run
//! use waldur_backend_croit::croit::{CroitClient, Login, NewUser, Quota, QuotaObjects, QuotaSize, Uid};
//! use waldur_sdk::rest::{Http, HttpOptions};
//! # async fn example() -> waldur_sdk::Result<()> {
//! let http = Http::connect(&HttpOptions::default())?;
//! let client = CroitClient::new(http, &"https://croit.example.org/".parse()?, &Login::token("t0k3n"))?;
//!
//! let alice = Uid::new("alice")?;
//! client.users().create(&NewUser::new(alice.clone(), "Alice")?).await?;
//! let ceiling = Quota::new(QuotaSize::at_most(100 << 30)?, QuotaObjects::at_most(10_000)?);
//! client.quotas().set_user(&alice, ceiling).await?;
//! assert!(client.users().all().await?.get(&alice)?.is_some());
//! # Ok(()) }
//! ```
//!
//! No croit server was at hand. What is here follows croit-api.md: the contract as the Python plugins use it, as far as
//! their authors measured it. Where that leaves something open, an answer that could mean two things is an error.
//!
//! Dangerous calls cannot be made:
//!
//! - no name that could change a path;
//! - no quota that is not a checked number;
//! - no replacement of all keys of a user at once (croit carries it out some time later).
//!
//! One unsafe thing cannot be avoided: croit takes the secret of a key in the query, so croit's own access log has it.
//! Here it is in no error, log and `Debug`.
//!
//! All writes on one user go one after the other, because croit is over a RadosGW.

mod buckets;
pub mod error;
mod keys;
mod model;
mod not_a_number;
mod quotas;
mod stats;
mod users;

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use secrecy::SecretString;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{BaseUrl, Breaker, Call, Environment, Http, RestClient, Serial, StaticHeader},
};

pub use self::{
    buckets::Buckets,
    keys::Keys,
    model::{Bucket, Stored, User},
    quotas::QuotaCalls,
    stats::{Level, Point, Series, Stats, Window},
    users::{Made, NewUser, UserList, Users},
};
pub use crate::{
    radosgw::Removed,
    s3::{AccessKeyId, Quota, QuotaObjects, QuotaSize, Quotas, S3Key, Tenant, Uid},
};

use crate::s3::{self, OwnBuckets};

/// How a client proves who it is.
#[derive(Clone, Debug)]
pub enum Login {
    /// A token: croit's are of a session, and expire.
    Token(SecretString),
    /// A user of croit's and its password, sent with every call.
    Password {
        /// `username`.
        user: String,
        /// `password`.
        password: SecretString,
    },
}

impl Login {
    /// Logs in with a token.
    pub fn token(token: impl Into<SecretString>) -> Self {
        Self::Token(token.into())
    }

    /// Logs in with a user's name and password.
    pub fn password(user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        Self::Password { user: user.into(), password: password.into() }
    }
}

/// A client of one croit server. Cheap to clone; clones share connections, the retry budget and the order of writes.
#[derive(Clone)]
pub struct CroitClient {
    rest: RestClient,
    http: Http,
    writes: Serial<Uid>,
    tenant: Option<Tenant>,
}

impl CroitClient {
    /// A client of the server at `url`. Its API is at `/api`, which may stand at the end of the URL or not.
    ///
    /// # Errors
    /// `Config` when the login is blank, or cannot stand in a header.
    pub fn new(http: Http, url: &BaseUrl, login: &Login) -> Result<Self> {
        let root = url.clone().without_trailing_segment("api");
        let base = root.below("api_url", "api")?;
        let login = match login {
            Login::Token(token) => StaticHeader::bearer(token)?,
            Login::Password { user, password } => StaticHeader::basic(user, password)?,
        };
        let rest = RestClient::new(http.clone(), base, login)
            .with_header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .with_error_reader(error::read);
        Ok(Self { rest, http, writes: Serial::new(), tenant: None })
    }

    /// Looks for users in `tenant`, too: a user is `name`, whether the list of users has `name` or `tenant$name`.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Replaces the time limit of a call (default 60 s).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.rest = self.rest.with_timeout(timeout);
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

    /// The authenticated client below, rooted at `/api`, for calls that have no method here. The methods here keep writes
    /// to one user apart, which it does not.
    ///
    /// ```no_run
    /// # async fn example(croit: waldur_backend_croit::croit::CroitClient) -> waldur_sdk::Result<()> {
    /// // Everything that croit tells of its users. There are secrets in it, which no error is to show.
    /// let users = croit.rest().get("users.list", "/s3/users", &[]).secret_answer();
    /// let users: Vec<serde_json::Value> = users.send_json().await?;
    /// # drop(users); Ok(()) }
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

    /// Quotas of users.
    pub fn quotas(&self) -> QuotaCalls<'_> {
        QuotaCalls(self)
    }

    /// Buckets of users.
    pub fn buckets(&self) -> Buckets<'_> {
        Buckets(self)
    }

    /// What was stored over time.
    pub fn stats(&self) -> Stats<'_> {
        Stats(self)
    }

    /// Sleep, clocks and randomness.
    pub(crate) fn environment(&self) -> &Environment {
        self.rest.environment()
    }

    /// The buckets of whoever holds `key`, where the storage behind croit serves S3.
    pub(crate) fn own_buckets(&self, endpoint: &BaseUrl, key: &S3Key, timeout: Duration) -> Result<OwnBuckets> {
        Ok(OwnBuckets::new(self.http.clone(), endpoint, key)?.within(timeout, self.rest.deadline()))
    }

    /// How far the clock of the storage behind croit is ahead of ours in seconds, as far as S3 tells.
    pub(crate) async fn greet_s3(&self, endpoint: &BaseUrl, timeout: Duration) -> Result<Option<i64>> {
        s3::greet(&self.http, endpoint, timeout, self.rest.deadline()).await
    }

    fn call(&self, method: Method, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        self.rest.call(method, operation, template, arguments)
    }

    /// Runs `write` after every earlier write on the same user, here and in all clones.
    async fn in_turn<T>(&self, uid: &Uid, write: impl Future<Output = Result<T>> + Send + 'static) -> Result<T>
    where
        T: Send + 'static,
    {
        self.writes.run(uid.clone(), write).await
    }

    /// Sends a write that croit answers with nothing, in its turn.
    async fn write(&self, uid: &Uid, operation: &'static str, call: Call) -> Result<()> {
        self.in_turn(uid, async move { expect(operation, call.send().await?, &[StatusCode::NO_CONTENT]).map(drop) })
            .await
    }
}

impl fmt::Debug for CroitClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CroitClient").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// The path of a user of no tenant: in croit's paths a tenant has no place.
fn name(uid: &Uid) -> Result<&str> {
    match uid.tenant() {
        None => Ok(uid.name()),
        Some(_) => Err(Error::unsupported("a tenant in the name of a user of croit's")),
    }
}

/// croit says that it did something by one certain status. Another success is an answer of somebody else: a page of a
/// proxy has 200.
fn expect(operation: &'static str, answer: Response<Bytes>, statuses: &[StatusCode]) -> Result<Response<Bytes>> {
    if statuses.contains(&answer.status()) {
        return Ok(answer);
    }
    let text = format!("croit does not answer this call with {}", answer.status());
    Err(Error::new(ErrorKind::WrongContent, text).with_operation(operation))
}
