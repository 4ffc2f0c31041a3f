//! Who we are: credentials are put on every attempt anew, and renewed once when the server refuses them.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use futures_util::future::{FutureExt, Shared};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};

use super::{BoxFuture, Http};
use crate::error::{Error, Result};

/// Puts credentials on a request.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates one attempt. May fetch a token through `http`, whose retries and budget it then shares.
    async fn authenticate(&self, http: &Http, request: &mut Request<Bytes>) -> Result<Generation>;

    /// Told of a 401 or 403. `true` means that other credentials will be used now, so that one more attempt makes
    /// sense; it is asked at most once per call. `seen` is what [`Self::authenticate`] answered for that attempt.
    async fn refused(&self, _seen: Generation, _answer: &Response<Bytes>) -> bool {
        false
    }
}

/// Which edition of the credentials an attempt carried, so that a late 401 does not renew what is new already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Generation(pub u64);

/// No credentials at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl Authenticator for Anonymous {
    async fn authenticate(&self, _http: &Http, _request: &mut Request<Bytes>) -> Result<Generation> {
        Ok(Generation::default())
    }
}

/// A header that never changes: Waldur's `Token`, a bearer token, basic credentials.
pub struct StaticHeader {
    name: HeaderName,
    value: HeaderValue,
}

impl StaticHeader {
    /// `Authorization: Token …`, as Waldur's static API tokens are sent (core.md §1.1).
    ///
    /// # Errors
    /// `Config` when the token is empty or no valid header value. The token is not repeated.
    pub fn waldur_token(token: &SecretString) -> Result<Self> {
        Self::scheme("Token", token)
    }

    /// `Authorization: Bearer …`.
    ///
    /// # Errors
    /// As [`Self::waldur_token`].
    pub fn bearer(token: &SecretString) -> Result<Self> {
        Self::scheme("Bearer", token)
    }

    /// `Authorization: Basic …` (RFC 7617, UTF-8).
    ///
    /// # Errors
    /// `Config` when the user name contains a colon.
    pub fn basic(user: &str, password: &SecretString) -> Result<Self> {
        if user.contains(':') {
            return Err(Error::config("user name: must not contain ':' for basic authentication"));
        }
        let pair = SecretString::from(BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret())));
        Self::scheme("Basic", &pair)
    }

    /// Any header.
    ///
    /// # Errors
    /// `Config` when the value is no valid header value.
    pub fn new(name: HeaderName, value: &SecretString) -> Result<Self> {
        Ok(Self { name, value: secret_value(value.expose_secret())? })
    }

    fn scheme(scheme: &str, token: &SecretString) -> Result<Self> {
        let token = token.expose_secret().trim();
        if token.is_empty() {
            return Err(Error::config("token: must not be empty"));
        }
        Ok(Self { name: header::AUTHORIZATION, value: secret_value(&format!("{scheme} {token}"))? })
    }
}

impl fmt::Debug for StaticHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaticHeader").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for StaticHeader {
    async fn authenticate(&self, _http: &Http, request: &mut Request<Bytes>) -> Result<Generation> {
        request.headers_mut().insert(self.name.clone(), self.value.clone());
        Ok(Generation::default())
    }
}

/// Fetches a token that expires.
#[async_trait]
pub trait TokenSource: Send + Sync + 'static {
    /// Asks for a new token.
    async fn fetch(&self, http: &Http) -> Result<Token>;
}

/// A token and its end.
#[derive(Clone)]
pub struct Token {
    value: SecretString,
    expires_at: Option<Instant>,
}

impl Token {
    /// A token that ends `lifetime` after `now`, or never. A lifetime beyond what the clock can tell is never.
    pub fn new(value: SecretString, now: Instant, lifetime: Option<Duration>) -> Self {
        Self { value, expires_at: lifetime.and_then(|lifetime| now.checked_add(lifetime)) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Sends a fetched token, keeps it until 30 s before its end (10 % of a short life), and fetches it once for all who
/// wait.
///
/// The fetch is a shared future: whichever caller is polled drives it, no lock is held across an await, and a caller
/// that goes away leaves it resumable for the others.
pub struct CachedToken {
    source: Arc<dyn TokenSource>,
    header: HeaderName,
    scheme: &'static str,
    state: Mutex<State>,
}

type Flight = Shared<BoxFuture<'static, Result<Token>>>;

#[derive(Default)]
struct State {
    generation: u64,
    current: Option<Token>,
    renew_at: Option<Instant>,
    flight: Option<Flight>,
}

impl CachedToken {
    /// `Authorization: Bearer <token>`.
    pub fn bearer(source: impl TokenSource) -> Self {
        Self::new(header::AUTHORIZATION, "Bearer ", source)
    }

    /// Any header, with a prefix before the token (empty for `X-Auth-Token`).
    pub fn new(header: HeaderName, scheme: &'static str, source: impl TokenSource) -> Self {
        Self { source: Arc::new(source), header, scheme, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn token(&self, http: &Http) -> Result<(Generation, Token)> {
        let flight = {
            let mut state = self.state();
            let now = http.environment().instant();
            if let Some(token) = &state.current
                && state.renew_at.is_none_or(|at| now < at)
            {
                return Ok((Generation(state.generation), token.clone()));
            }
            state
                .flight
                .get_or_insert_with(|| {
                    let (source, http) = (self.source.clone(), http.clone());
                    let fetch: BoxFuture<'static, Result<Token>> = Box::pin(async move { source.fetch(&http).await });
                    fetch.shared()
                })
                .clone()
        };
        let outcome = flight.clone().await;
        let mut state = self.state();
        if state.flight.as_ref().is_some_and(|current| current.ptr_eq(&flight)) {
            state.flight = None;
            if let Ok(token) = &outcome {
                state.generation += 1;
                let now = http.environment().instant();
                state.renew_at = token.expires_at.map(|end| now + keep(end.saturating_duration_since(now)));
                state.current = Some(token.clone());
            }
        }
        outcome.map(|token| (Generation(state.generation), token))
    }
}

/// How long a token is used: until 30 s before its end, or 10 % of its life if that is less.
fn keep(lifetime: Duration) -> Duration {
    lifetime.saturating_sub(Duration::from_secs(30).min(lifetime / 10))
}

impl fmt::Debug for CachedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedToken")
            .field("header", &self.header)
            .field("generation", &self.state().generation)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for CachedToken {
    async fn authenticate(&self, http: &Http, request: &mut Request<Bytes>) -> Result<Generation> {
        let (generation, token) = self.token(http).await?;
        let value = secret_value(&format!("{}{}", self.scheme, token.value.expose_secret()))?;
        request.headers_mut().insert(self.header.clone(), value);
        Ok(generation)
    }

    async fn refused(&self, seen: Generation, answer: &Response<Bytes>) -> bool {
        if answer.status() != StatusCode::UNAUTHORIZED {
            return false;
        }
        let mut state = self.state();
        if state.generation == seen.0 {
            state.current = None;
        }
        true
    }
}

fn secret_value(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::config("credential: contains a character that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_lifetime_of_a_token_is_no_panic() {
        let token = Token::new("secret".into(), Instant::now(), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(token.expires_at, None);
    }
}
