//! The fake itself: configuration, and the way of a request through it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{Request, Response, header};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use waldur_sdk::rest::{HttpTransport, RequestMeta, TransportError, TransportErrorKind};

use super::{stats::Stored, tenant::Leftovers};
use crate::testing::FakeRadosGw;

/// A stateful croit behind [`HttpTransport`], without a socket: croit's management API for S3 below `/api`, over the users,
/// keys, quotas and buckets of a [`FakeRadosGw`], which is croit's own gateway here as it is in the field. A test plants
/// and looks at what there is through [`FakeCroit::gateway`]; calls are counted there too, under the same names where
/// they are the same thing (`user.create`, `quota.set`…). Everywhere but below `/api` it is S3 over the wire, as far as
/// purging a user needs it, with signatures verified.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use waldur_backend_croit::testing::{FakeCroit, SeedUser};
///
/// let croit = FakeCroit::builder().token("t0k3n").build();
/// croit.gateway().add_user(SeedUser::new("legacy").key("LEGACYACCESSKEY00001", "legacy-secret"))?;
/// croit.gateway().create_bucket("legacy", "results")?;
/// // The client under test sends through `croit.clone()`. Afterwards:
/// assert!(croit.gateway().unmodelled().is_empty());
/// # Ok(()) }
/// ```
///
/// # What it is built from
/// There was no croit server to record. The fake is built from croit-api.md: what the Python plugins send and read, and
/// what their authors say they measured. From there are: the key pair that comes with every user and can be deleted;
/// names and e-mail addresses that are unique; sizes of quotas that are rounded up to whole KiB; the refusals that come
/// as a 500; users in no order; buckets without statistics (`usageSum: null`); series with gaps, averages and a bare
/// `NaN`; an unknown graph that is a 404; tokens that expire; 201 or 204 for a new user.
///
/// Where that leaves something open, these are inventions:
///
/// - the texts of refusals, beyond the words that are documented;
/// - 409 for a taken name and 500 for a taken e-mail address ([`FakeCroitBuilder::conflicts_are_faults`] makes both a
///   500);
/// - 409 for an access key that exists, whoever has it;
/// - `userQuota: null` for a user that never had one, and `null` for a ceiling that does not exist;
/// - a fraction in `numObjects`;
/// - 400 for a body that cannot be read;
/// - which user comes first in the list;
/// - the name of a user in a tenant in the list ([`FakeCroitBuilder::tenants_in_names`]), and that paths name it
///   without the tenant.
///
/// The Python plugin `ceph-s3` 1.0.7 went through the life of a resource against it (creation, adoption, keys,
/// rotation, pruning, quotas, metadata, GB-days, deletion) and found nothing wrong. That shows that both read the
/// contract in the same way.
///
/// # What it is not
/// It has no call that replaces all keys of a user at once, and nothing of croit beside S3. What it does not know is
/// answered 501 and listed in [`FakeRadosGw::unmodelled`]. Writes do not lose races for one user, as they do on the
/// gateway itself: what croit makes of that is not known.
///
/// Clones share one state.
#[derive(Clone)]
pub struct FakeCroit {
    gateway: FakeRadosGw,
    shared: Arc<Shared>,
}

struct Shared {
    config: Config,
    state: Mutex<State>,
}

#[derive(Clone)]
pub(super) struct Config {
    token: SecretString,
    user: String,
    password: SecretString,
    pub(super) conflicts_are_faults: bool,
    pub(super) silent_creates: bool,
    pub(super) tenants_in_names: bool,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// What croit knows beside its gateway.
#[derive(Default)]
pub(super) struct State {
    expired: bool,
    pub(super) graph_is_gone: bool,
    /// Buckets that have no statistics.
    pub(super) unmeasured: BTreeSet<String>,
    pub(super) stored: BTreeMap<String, Stored>,
    /// Old versions and unfinished uploads, by bucket.
    pub(super) leftovers: BTreeMap<String, Leftovers>,
    /// Objects that S3 does not delete.
    pub(super) locked: BTreeSet<String>,
}

impl FakeCroit {
    /// A fake with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// The settings.
    pub fn builder() -> FakeCroitBuilder {
        FakeCroitBuilder {
            gateway: None,
            config: Config {
                token: "croit-session-token-0001".into(),
                user: "waldur".to_owned(),
                password: "croit-password-0001".into(),
                conflicts_are_faults: false,
                silent_creates: false,
                tenants_in_names: false,
                clock: Arc::new(Timestamp::now),
            },
        }
    }

    /// The storage that croit manages: what a test plants and looks at.
    pub fn gateway(&self) -> &FakeRadosGw {
        &self.gateway
    }

    /// The token that is good.
    pub fn token(&self) -> &SecretString {
        &self.shared.config.token
    }

    /// The user and the password that are good.
    pub fn login(&self) -> (&str, &SecretString) {
        (&self.shared.config.user, &self.shared.config.password)
    }

    /// Lets the token expire; the password stays good.
    pub fn expire_token(&self) {
        self.state().expired = true;
    }

    /// Takes the graph away that GB-days are counted from.
    pub fn forget_graph(&self) {
        self.state().graph_is_gone = true;
    }

    /// Leaves a bucket without statistics: `usageSum` is `null`.
    pub fn forget_statistics(&self, bucket: &str) {
        self.state().unmeasured.insert(bucket.to_owned());
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test while it held the lock left the state whole: nothing in here panics half-way.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.shared.config.clock)()
    }

    /// Whether the caller may come in.
    pub(super) fn admits(&self, request: &Request<Bytes>) -> bool {
        let sent = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let config = &self.shared.config;
        let pair = format!("{}:{}", config.user, config.password.expose_secret());
        let bearer = format!("Bearer {}", config.token.expose_secret());
        match sent {
            Some(sent) if sent == bearer => !self.state().expired,
            Some(sent) => sent == format!("Basic {}", BASE64_STANDARD.encode(pair)),
            None => false,
        }
    }
}

impl Default for FakeCroit {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeCroit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCroit").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for FakeCroit {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let limit = request.extensions().get::<RequestMeta>().map_or(usize::MAX, |meta| meta.max_body);
        let path = request.uri().path();
        let response = match path.strip_prefix("/api").filter(|rest| rest.is_empty() || rest.starts_with('/')) {
            Some(rest) => {
                let rest = rest.to_owned();
                self.manage(&rest, &request)
            }
            None => self.serve(request),
        };
        if response.body().len() > limit {
            return Err(TransportError::new(TransportErrorKind::TooLarge));
        }
        Ok(response)
    }
}

/// Settings of a [`FakeCroit`].
#[derive(Clone)]
#[must_use]
pub struct FakeCroitBuilder {
    gateway: Option<FakeRadosGw>,
    config: Config,
}

impl FakeCroitBuilder {
    /// Chooses the token.
    pub fn token(mut self, token: impl Into<SecretString>) -> Self {
        self.config.token = token.into();
        self
    }

    /// Chooses user and password.
    pub fn login(mut self, user: impl Into<String>, password: impl Into<SecretString>) -> Self {
        (self.config.user, self.config.password) = (user.into(), password.into());
        self
    }

    /// The clock that series and signatures are told by.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// The gateway underneath. Default: one of its own, on the same clock.
    pub fn gateway(mut self, gateway: FakeRadosGw) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// A name that is taken is answered 500, too, and told by its text only.
    pub fn conflicts_are_faults(mut self) -> Self {
        self.config.conflicts_are_faults = true;
        self
    }

    /// A user that was made is answered 204, without a word about it.
    pub fn silent_creates(mut self) -> Self {
        self.config.silent_creates = true;
        self
    }

    /// The list of users has `tenant$name` for a user in a tenant, as the gateway's own has, and not the name alone.
    pub fn tenants_in_names(mut self) -> Self {
        self.config.tenants_in_names = true;
        self
    }

    /// The fake.
    pub fn build(self) -> FakeCroit {
        let clock = Arc::clone(&self.config.clock);
        let own = || FakeRadosGw::builder().clock(move || clock()).build();
        let gateway = self.gateway.unwrap_or_else(own);
        FakeCroit { gateway, shared: Arc::new(Shared { config: self.config, state: Mutex::default() }) }
    }
}

impl fmt::Debug for FakeCroitBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeCroitBuilder").finish_non_exhaustive()
    }
}
