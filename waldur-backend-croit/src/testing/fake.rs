//! The fake itself: configuration, and the way of a request through it.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use secrecy::SecretString;
use waldur_sdk::rest::{HttpTransport, RequestMeta, TransportError, TransportErrorKind};

use super::{
    inspect::SeedUser,
    records::Caps,
    state::{Begun, Config, State},
    wire::{Exchange, Reply},
};

/// A stateful RadosGW behind [`HttpTransport`]. Clones share one state. See the [module](super) for what it models.
#[derive(Clone)]
pub struct FakeRadosGw {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    overlap: u32,
    access_key: String,
    secret_key: SecretString,
}

impl FakeRadosGw {
    /// The uid of the admin user.
    pub const ADMIN: &'static str = "admin";

    /// A fake with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// The settings.
    pub fn builder() -> FakeRadosGwBuilder {
        FakeRadosGwBuilder {
            access_key: "ADMINACCESSKEY000001".to_owned(),
            secret_key: "adminsecretkey00000000000000000000000001".into(),
            caps: Caps::admin(),
            config: Config {
                clock: Arc::new(Timestamp::now),
                overlap: 1,
                exclusive_creates: false,
                cold_quota_cache: false,
                usage_log: true,
                max_name: 256,
                seed: 0,
            },
        }
    }

    /// The admin's access key.
    pub fn access_key(&self) -> &str {
        &self.shared.access_key
    }

    /// The admin's secret key.
    pub fn secret_key(&self) -> &SecretString {
        &self.shared.secret_key
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of a test while it held the lock left the state whole: nothing in here panics half-way.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, exchange: &Exchange) -> Reply {
        let write = {
            let mut state = self.state();
            match state.begin(exchange) {
                Begun::Done(reply) => return reply,
                Begun::Write(write) if self.shared.overlap == 0 => return state.commit(write),
                Begun::Write(write) => write,
            }
        };
        for _ in 0..self.shared.overlap {
            yield_now().await;
        }
        self.state().commit(write)
    }
}

impl Default for FakeRadosGw {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeRadosGw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRadosGw").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for FakeRadosGw {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let limit = request.extensions().get::<RequestMeta>().map_or(usize::MAX, |meta| meta.max_body);
        let exchange = Exchange::read(request);
        let reply = self.answer(&exchange).await;
        let mut state = self.state();
        let now = state.now();
        let request_id = state.mint.request_id(now.as_second());
        let response = reply.print(&exchange, &request_id, now);
        if response.body().len() > limit {
            return Err(TransportError::new(TransportErrorKind::TooLarge));
        }
        Ok(response)
    }
}

/// Lets every other ready future of this task or executor run once.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Settings of a [`FakeRadosGw`].
#[derive(Clone)]
#[must_use]
pub struct FakeRadosGwBuilder {
    access_key: String,
    secret_key: SecretString,
    caps: Caps,
    config: Config,
}

impl FakeRadosGwBuilder {
    /// The admin's key pair.
    pub fn admin(mut self, access_key: impl Into<String>, secret_key: impl Into<SecretString>) -> Self {
        self.access_key = access_key.into();
        self.secret_key = secret_key.into();
        self
    }

    /// What the admin may do. Default: [`Caps::admin`]. What is missing answers 403 `AccessDenied`.
    pub fn admin_caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// The gateway's wall clock: for the window of 15 minutes around a signature, and for dates in answers. Default:
    /// the system's, like that of [`Environment`](waldur_sdk::rest::Environment); give both the same closure.
    pub fn clock(mut self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.config.clock = Arc::new(clock);
        self
    }

    /// Whether writes of concurrent futures overlap, as they do on the gateway. Default: yes.
    ///
    /// With it, a write reads the record, lets other futures run, and then writes. A sequential caller sees no
    /// difference. Without it, every write is over at once.
    pub fn write_overlap(self, overlap: bool) -> Self {
        self.write_overlap_rounds(u32::from(overlap))
    }

    /// How often a write lets others run before it writes; 0: never. Futures that take several rounds before they
    /// send their write overlap only when this is large enough.
    pub fn write_overlap_rounds(mut self, rounds: u32) -> Self {
        self.config.overlap = rounds;
        self
    }

    /// Of overlapping creates of one uid, only the first succeeds, the others get 409 (radosgw-api.md §6). Default:
    /// no, since that is not promised: a faster client saw eight creates answer 200 eight times (see the
    /// [module](super)).
    pub fn exclusive_creates(mut self, exclusive: bool) -> Self {
        self.config.exclusive_creates = exclusive;
        self
    }

    /// User quotas are checked against the statistics of the last synchronisation, so late. Default: no, against what
    /// is stored. Bucket quotas are always exact.
    pub fn cold_quota_cache(mut self, cold: bool) -> Self {
        self.config.cold_quota_cache = cold;
        self
    }

    /// Is traffic logged (`rgw_enable_usage_log`)? Default: yes.
    pub fn usage_log(mut self, enabled: bool) -> Self {
        self.config.usage_log = enabled;
        self
    }

    /// The longest name of a record in bytes, e.g. of a uid; beyond it the gateway answers 500. Default: 256, as in the
    /// recordings (`osd_max_object_name_len`; Ceph's own default is 2048).
    pub fn max_name_length(mut self, bytes: usize) -> Self {
        self.config.max_name = bytes;
        self
    }

    /// What minted keys and request ids are derived from. The same seed and calls give the same keys.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.seed = seed;
        self
    }

    /// The fake, with its admin.
    pub fn build(self) -> FakeRadosGw {
        let overlap = self.config.overlap;
        let mut state = State::new(self.config);
        let admin = SeedUser::new(FakeRadosGw::ADMIN).display_name("Admin Ops").caps(self.caps);
        state.write(None, admin.key(&self.access_key, self.secret_key.clone()).into());
        let (access_key, secret_key) = (self.access_key, self.secret_key);
        FakeRadosGw { shared: Arc::new(Shared { state: Mutex::new(state), overlap, access_key, secret_key }) }
    }
}

impl fmt::Debug for FakeRadosGwBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeRadosGwBuilder").finish_non_exhaustive()
    }
}
