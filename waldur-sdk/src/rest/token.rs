//! Tokens that expire: fetched once for all who wait, used until shortly before their end, renewed after a refusal.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{FutureExt, Shared};
use http::{HeaderName, Request, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};

use super::{Authenticator, BoxFuture, Http, TokenGeneration, auth::secret_value};
use crate::error::{Error, ErrorKind, Result};

/// How long before its end a token is renewed (core.md §1.1).
const MARGIN: Duration = Duration::from_secs(30);

/// After a refusal, the time in which neither a refused login is repeated nor a refused token renewed once more: a
/// loop of logins locks accounts.
const CALM: Duration = Duration::from_secs(60);

/// Fetches a token that expires.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Asks for a new token.
    ///
    /// # Errors
    /// An error that is not retryable is taken for a refusal: the source is left alone for a minute, in which the same
    /// error is answered.
    async fn fetch(&self, http: &Http) -> Result<Token>;
}

/// A token and its end.
#[derive(Clone)]
pub struct Token {
    value: SecretString,
    renew_at: Option<Instant>,
}

impl Token {
    /// A token issued at `issued` for `lifetime`, or for ever. It is used until 30 s before its end, or for half of a
    /// lifetime below a minute.
    pub fn new(value: SecretString, issued: Instant, lifetime: Option<Duration>) -> Self {
        let used = lifetime.map(|lifetime| lifetime.saturating_sub(MARGIN.min(lifetime / 2)));
        Self { value, renew_at: used.and_then(|used| issued.checked_add(used)) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("renew_at", &self.renew_at).finish_non_exhaustive()
    }
}

/// Sends a fetched token and keeps it until shortly before its end.
///
/// The fetch is a shared future: whichever caller is polled drives it, no lock is held across an await, and a caller
/// that goes away leaves it resumable for the others. A 401 renews the token once for all callers that carried it; a
/// token refused within a minute of such a renewal is not renewed again.
pub struct CachedToken {
    source: Arc<dyn TokenSource>,
    header: HeaderName,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

type Flight = Shared<BoxFuture<'static, Result<(TokenGeneration, Token)>>>;

#[derive(Default)]
struct State {
    generation: TokenGeneration,
    current: Option<Token>,
    flight: Option<Flight>,
    /// The latest time that an attempt was authenticated: `refused` is not told the time.
    clock: Option<Instant>,
    forced_at: Option<Instant>,
    barred: Option<(Instant, Error)>,
}

impl State {
    fn usable(&self, now: Instant) -> Option<Token> {
        self.current.clone().filter(|token| token.renew_at.is_none_or(|at| now < at))
    }

    fn refusal(&self, now: Instant) -> Option<Error> {
        let (at, error) = self.barred.as_ref()?;
        (now.saturating_duration_since(*at) < CALM).then(|| error.clone())
    }

    fn landed(&mut self, outcome: Result<Token>, now: Instant) -> Result<(TokenGeneration, Token)> {
        self.flight = None;
        self.barred = outcome.as_ref().err().filter(|error| !error.is_retryable()).map(|error| (now, error.clone()));
        let token = outcome?;
        self.generation.0 += 1;
        self.current = Some(token.clone());
        Ok((self.generation, token))
    }
}

impl CachedToken {
    /// `Authorization: Bearer <token>`.
    pub fn bearer(source: impl TokenSource) -> Self {
        Self::new(header::AUTHORIZATION, "Bearer ", source)
    }

    /// Any header, with a prefix before the token (empty for `X-Auth-Token`).
    pub fn new(header: HeaderName, scheme: &'static str, source: impl TokenSource) -> Self {
        Self { source: Arc::new(source), header, scheme, state: Arc::default() }
    }

    async fn token(&self, http: &Http) -> Result<(TokenGeneration, Token)> {
        let flight = {
            let mut state = lock(&self.state);
            let now = http.environment().instant();
            state.clock = Some(now);
            if let Some(token) = state.usable(now) {
                return Ok((state.generation, token));
            }
            if let Some(error) = state.refusal(now) {
                return Err(error);
            }
            state.flight.get_or_insert_with(|| self.take_off(http.clone())).clone()
        };
        flight.await
    }

    fn take_off(&self, http: Http) -> Flight {
        let source = self.source.clone();
        // A weak reference: the flight lives in the state that it will change.
        let state: Weak<Mutex<State>> = Arc::downgrade(&self.state);
        let flight: BoxFuture<'static, _> = Box::pin(async move {
            // A shared future that panicked would panic for ever after.
            let outcome = AssertUnwindSafe(source.fetch(&http)).catch_unwind().await;
            let outcome = outcome.unwrap_or_else(|_| Err(Error::new(ErrorKind::Other, "the token source panicked")));
            let now = http.environment().instant();
            match state.upgrade() {
                Some(state) => lock(&state).landed(outcome, now),
                None => outcome.map(|token| (TokenGeneration::default(), token)),
            }
        });
        flight.shared()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for CachedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedToken")
            .field("header", &self.header)
            .field("generation", &lock(&self.state).generation)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for CachedToken {
    async fn authenticate(&self, http: &Http, request: &mut Request<Bytes>) -> Result<TokenGeneration> {
        let (generation, token) = self.token(http).await?;
        let value = secret_value(&format!("{}{}", self.scheme, token.value.expose_secret()))
            .map_err(|_| Error::new(ErrorKind::Decode, "the token contains a character that a header cannot carry"))?;
        request.headers_mut().insert(self.header.clone(), value);
        Ok(generation)
    }

    async fn refused(&self, seen: TokenGeneration, answer: &Response<Bytes>) -> bool {
        if answer.status() != StatusCode::UNAUTHORIZED {
            return false;
        }
        let mut state = lock(&self.state);
        if state.current.is_none() || state.generation != seen {
            // Another call has had it renewed, or is about to.
            return true;
        }
        let calm = state.forced_at.zip(state.clock).is_some_and(|(at, now)| now.saturating_duration_since(at) < CALM);
        if !calm {
            state.forced_at = state.clock;
            state.current = None;
        }
        !calm
    }
}
