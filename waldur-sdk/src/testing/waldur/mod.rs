//! A stateful Waldur in memory: [`FakeWaldur`].
//!
//! It *is* an [`HttpTransport`]: hand it to [`Http::new`](crate::rest::Http::new) in place of a real stack and the
//! client talks to it, without a socket. It keeps orders, resources and people, moves them from state to state by the
//! server's own rules, and remembers every request.
//!
//! ```
//! use serde_json::json;
//! use waldur_sdk::rest::{BaseUrl, Http, PlainHttp, RestClient, StaticHeader};
//! use waldur_sdk::testing::waldur::{Billing, FakeWaldur, Generation, OrderState};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> waldur_sdk::Result<()> {
//! let waldur = FakeWaldur::new(Generation::V8);
//! let offering = waldur.offering().name("Object storage").component("storage", Billing::Limit).create();
//! let order = waldur.order(offering).create_resource("my-s3").limits([("storage", 100)]).pending();
//!
//! let base = BaseUrl::parse("api_url", &waldur.base_url(), PlainHttp::default())?;
//! let client = RestClient::new(Http::new(waldur.clone()), base, StaticHeader::waldur_token(&waldur.token())?);
//! let path = "/api/marketplace-orders/{order}/approve_by_provider/";
//! client.post("orders.approve", path, &[&order.hex()]).json(&json!({})).send_unit().await?;
//!
//! assert_eq!(waldur.order_view(order).state, OrderState::Executing);
//! assert_eq!(waldur.writes().len(), 1);
//! # Ok(()) }
//! ```
//!
//! # Two generations
//! [`Generation::V2024`] answers like the recordings of a real server of October 2024, with its quirks: pages of HTML
//! for 404 and 500, success without a body, a `set_state_erred` that breaks without a traceback, an order that stays
//! `done` while its resource becomes `Erred`. A comment `recorded: NNN` in this module names the exchange. Paths that
//! came later are answered with its 404 page.
//!
//! [`Generation::V8`] follows the published schema of 8.0.5 and core.md §1. Where neither says anything, it answers
//! like generation 2024. Accounts of courses and the statuses of members are in core.md §1.6 only. Keys of customers,
//! queues and logs of agents, effective ids and end dates are not in that schema: their answers follow core.md, and
//! where that says nothing, they are 200 or 201 with a sentence.
//!
//! It has inventions on which no test should depend:
//!
//! - the sentences in `detail` and `status`;
//! - 409 for a wrong state of an offering user;
//! - `PROJECT.…` as the role in `team/`;
//! - `old_options` and `new_options` in the attributes of an order that changes options;
//! - `Invalid token.` for a bearer token that is not valid;
//! - of usage: which component a refusal names, that `date` is an instant whose month counts in UTC, and that future
//!   months are accepted.
//!
//! # Usage
//! Reports are kept by component, plan and month, as the recordings 196 to 218 show: repeating one changes its row, a
//! change of plan within the month begins another ([`FakeWaldur::switch_plan`]). Generation 2024 ignores `date` and
//! files everything under the month that it is; generation 8 follows it, and can refuse months that are over
//! ([`FakeWaldur::with_backfilling`]). A plan counts from the moment when usage or plan periods were first asked for;
//! the first plan counts from the creation of the resource. There is no billing, and amounts of an earlier month are
//! not reused.
//!
//! # What it does not serve
//! Not served are the plug-in API of SLURM (`marketplace-slurm-remote`) except limits, events, and writing customers,
//! users, projects and offerings (seed them). Such a call is answered with 501 and listed by [`FakeWaldur::unserved`].
//!
//! It has no fingerprints of SSH keys and no bills (`billing_price_estimate` is zero). It shows names and e-mail of a
//! user, and other attributes to offerings that may see them, if a test has set them. Of a partition it shows the name.
//! Consent to terms only shows in teams that are asked for with `has_consent`, which servers before 8.1 ignore.
//!
//! # Determinism
//! Ids count up; the clock begins at 2026-01-01T00:00:00Z and goes on by a millisecond per request and per seeded row,
//! unless [`FakeWaldur::with_wall`] brings another. The same calls give the same answers.

mod access;
mod answer;
mod api;
mod auth;
mod incoming;
mod integrations;
mod lifecycle;
mod lists;
mod log;
mod model;
mod oidc;
mod render;
mod seed;
mod serve;
mod state;
mod usage;
mod views;
mod words;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

pub use log::RecordedRequest;
pub use model::Endpoint;
pub use oidc::OidcIssuer;
pub use seed::{
    AccountSeed, ApiKeySeed, ComponentSeed, CustomerSeed, OfferingSeed, OfferingUserSeed, OrderOnOffering,
    OrderOnResource, OrderSeed, PlanSeed, ProjectSeed, ResourceSeed, UsageView, UserSeed,
};
pub use views::{OfferingUserView, OrderView, ResourceView};
pub use words::{
    AccountState, ApiKeyState, Backfilling, Billing, Generation, ImportState, LimitPeriod, OfferingState,
    OfferingUserState, OrderKind, OrderState, ResourceState,
};

use seed::Cast;
use state::{Base, State};

use crate::{
    rest::{HttpTransport, RequestMeta, TransportError, TransportErrorKind},
    testing::Exchange,
    types::{CustomerUuid, OrderUuid, ProjectUuid, UserUuid},
};

/// A Waldur in memory. Clones are handles to the same one.
///
/// Methods that seed or look panic when they are given an id that this fake never gave out: such a test is wrong.
#[derive(Clone)]
pub struct FakeWaldur {
    state: Arc<Mutex<State>>,
    cast: Cast,
    observer: Option<Arc<Observer>>,
}

type Observer = dyn Fn(&Exchange) + Send + Sync;

impl FakeWaldur {
    /// A Waldur with a provider and its [`agent`](Self::agent), a consumer with its [`owner`](Self::owner) and one
    /// [`project`](Self::default_project), a member of [`staff`](Self::staff), and nothing on sale.
    pub fn new(generation: Generation) -> Self {
        Self::seeded(generation, 0)
    }

    /// As [`Self::new`], with other ids: two fakes of different seeds have no id in common.
    pub fn seeded(generation: Generation, seed: u32) -> Self {
        let mut state = State::new(generation, seed);
        let cast = Cast::enter(&mut state);
        Self { state: Arc::new(Mutex::new(state)), cast, observer: None }
    }

    /// Tells the time with `clock` instead of the fake's own.
    #[must_use]
    pub fn with_wall(self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.state().wall = Arc::new(clock);
        self
    }

    /// Shows every exchange to `observer` as it was here, beneath whatever a test puts around the fake: for checks against
    /// a contract, which faults that are made elsewhere would spoil. Clones that are made from now on show theirs, too.
    #[must_use]
    pub fn with_observer(mut self, observer: impl Fn(&Exchange) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Answers at `url` instead of `https://waldur.example.org/`. A path before `/api/` is kept. Loopback hosts are
    /// always answered; any other host cannot be reached.
    #[must_use]
    pub fn with_base_url(self, url: &Url) -> Self {
        self.state().base = Base::from(url);
        self
    }

    /// Lets an approval take effect only after `reads` more reads of the order, by itself or in a list. In production
    /// a task does it a moment later; the recorded server did it at once.
    #[must_use]
    pub fn with_approval_delay(self, reads: u32) -> Self {
        self.state().approval_delay = reads;
        self
    }

    /// Answers the first `reads` questions for a team with an empty list: what an agent sees that is faster than the
    /// granting of roles.
    #[must_use]
    pub fn with_team_delay(self, reads: u32) -> Self {
        self.state().team_delay = reads;
        self
    }

    /// What may be reported for months that are over; everything unless a test says otherwise. Generation 2024 knows no
    /// month but the current.
    #[must_use]
    pub fn with_backfilling(self, allowed: Backfilling) -> Self {
        self.state().backfilling = allowed;
        self
    }

    /// Runs a token endpoint, and accepts its tokens as those of the [`agent`](Self::agent). Generation 2024 accepts
    /// none.
    #[must_use]
    pub fn with_oidc(self, issuer: OidcIssuer) -> Self {
        let agent = self.cast.agent;
        self.state().issuer = Some(oidc::Issuer::new(issuer, agent));
        self
    }

    /// Which server is played.
    pub fn generation(&self) -> Generation {
        self.state().generation
    }

    /// The URL to give to a client, with a slash at the end and without `api/`.
    pub fn base_url(&self) -> String {
        let state = self.state();
        format!("{}://{}{}/", state.base.scheme, state.base.authority(), state.base.prefix)
    }

    /// The customer that sells.
    pub fn provider(&self) -> CustomerUuid {
        self.cast.provider
    }

    /// The customer that buys.
    pub fn consumer(&self) -> CustomerUuid {
        self.cast.consumer
    }

    /// The consumer's project, where orders go unless they name another.
    pub fn default_project(&self) -> ProjectUuid {
        self.cast.project
    }

    /// Owner of the provider: whose token an agent uses.
    pub fn agent(&self) -> UserUuid {
        self.cast.agent
    }

    /// Owner of the consumer: who ordered what is seeded.
    pub fn owner(&self) -> UserUuid {
        self.cast.owner
    }

    /// A member of staff.
    pub fn staff(&self) -> UserUuid {
        self.cast.staff
    }

    /// The API token of the [`agent`](Self::agent).
    pub fn token(&self) -> SecretString {
        self.token_of(self.cast.agent)
    }

    /// The API token of a user.
    #[track_caller]
    pub fn token_of(&self, user: UserUuid) -> SecretString {
        self.state().user(user).map_or_else(|| unknown("user", user), |user| user.token.clone().into())
    }

    /// How many tokens the token endpoint has given out.
    pub fn oidc_tokens_issued(&self) -> usize {
        self.state().issuer.as_ref().map_or(0, oidc::Issuer::issued)
    }

    /// Makes every token that the token endpoint has given out invalid.
    pub fn revoke_oidc_tokens(&self) {
        if let Some(issuer) = &mut self.state().issuer {
            issuer.revoke();
        }
    }

    /// Everything that arrived at Waldur, in order. Calls of the token endpoint are not among it.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state().log.clone()
    }

    /// Those of the [`requests`](Self::requests) that were meant to change something.
    pub fn writes(&self) -> Vec<RecordedRequest> {
        self.state().log.iter().filter(|request| request.is_write()).cloned().collect()
    }

    /// Forgets the requests so far, so that a test counts only what comes now.
    pub fn forget_requests(&self) {
        self.state().log.clear();
    }

    /// Requests without valid credentials. A harness asserts that there are none.
    pub fn unauthenticated_requests(&self) -> Vec<RecordedRequest> {
        self.state().log.iter().filter(|request| request.user.is_none()).cloned().collect()
    }

    /// Every method and path below `/api/` that this fake serves, with `{}` for an id: what a check against a contract
    /// has to visit.
    pub fn served(&self) -> Vec<(&'static str, &'static str)> {
        api::served(self.generation())
    }

    /// `METHOD path` of requests that the real server answers and this fake does not.
    pub fn unserved(&self) -> Vec<String> {
        self.state().unserved.clone()
    }

    /// Create and Restore orders that became `done` while their resource had no back-end id. A harness asserts that
    /// there are none.
    pub fn done_without_backend_id(&self) -> Vec<OrderUuid> {
        self.state().done_without_backend_id.clone()
    }

    /// Orders that are `erred` now.
    pub fn erred_orders(&self) -> Vec<OrderUuid> {
        self.orders_in(OrderState::Erred)
    }

    /// Orders in a state, oldest first.
    pub fn orders_in(&self, wanted: OrderState) -> Vec<OrderUuid> {
        self.state().orders.iter().filter(|order| order.state == wanted).map(|order| order.uuid).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A test asked for what it never made.
#[track_caller]
#[allow(clippy::panic, reason = "a test that names a row which does not exist is wrong and has to stop there")]
fn unknown(what: &str, id: impl fmt::Display) -> ! {
    panic!("FakeWaldur has no {what} {id}")
}

impl fmt::Debug for FakeWaldur {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FakeWaldur")
            .field("generation", &state.generation)
            .field("requests", &state.log.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for FakeWaldur {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let most =
            request.extensions().get::<RequestMeta>().map_or(RequestMeta::DEFAULT_MAX_BODY, |meta| meta.max_body);
        let observed = self.observer.as_deref().map(|observer| (observer, Exchange::of(&request)));
        let response = self.state().serve(request).map_err(TransportError::new)?;
        if let Some((observer, exchange)) = observed {
            observer(&exchange.answered(&response));
        }
        if response.body().len() > most {
            return Err(TransportError::new(TransportErrorKind::TooLarge));
        }
        Ok(response)
    }
}
