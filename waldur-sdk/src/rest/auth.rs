//! Who we are: credentials are put on every attempt anew, and renewed once when the server refuses them.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, header};
use secrecy::{ExposeSecret, SecretString};

use super::Http;
use crate::error::{Error, Result};

/// Puts credentials on a request. Several clients of one account share one `Arc`.
#[async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Authenticates one attempt. May fetch a token through `http`, whose retries and budget it then shares.
    ///
    /// Header values that are credentials are to be marked with [`HeaderValue::set_sensitive`]: what is marked is kept
    /// out of `Debug` and removed from error texts when the server echoes it.
    ///
    /// # Errors
    /// When there are no credentials to be had. The request does not leave then, and the call ends with this error: whoever
    /// fetches tokens repeats what is worth it. A login that was refused is
    /// [`Unauthenticated`](crate::ErrorKind::Unauthenticated).
    async fn authenticate(&self, http: &Http, request: &mut Request<Bytes>) -> Result<TokenGeneration>;

    /// Told of a 401 or 403. `true` means that other credentials will be used now, so that one more attempt makes
    /// sense; it is asked at most once per call. `seen` is what [`Self::authenticate`] answered for that attempt.
    async fn refused(&self, _seen: TokenGeneration, _answer: &Response<Bytes>) -> bool {
        false
    }
}

#[async_trait]
impl<T: Authenticator + ?Sized> Authenticator for Arc<T> {
    async fn authenticate(&self, http: &Http, request: &mut Request<Bytes>) -> Result<TokenGeneration> {
        (**self).authenticate(http, request).await
    }

    async fn refused(&self, seen: TokenGeneration, answer: &Response<Bytes>) -> bool {
        (**self).refused(seen, answer).await
    }
}

/// Which edition of the credentials an attempt carried, so that a late 401 does not renew what is new already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenGeneration(pub u64);

/// No credentials at all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl Authenticator for Anonymous {
    async fn authenticate(&self, _http: &Http, _request: &mut Request<Bytes>) -> Result<TokenGeneration> {
        Ok(TokenGeneration::default())
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
    async fn authenticate(&self, _http: &Http, request: &mut Request<Bytes>) -> Result<TokenGeneration> {
        request.headers_mut().insert(self.name.clone(), self.value.clone());
        Ok(TokenGeneration::default())
    }
}

pub(super) fn secret_value(text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Error::config("credential: contains a character that a header cannot carry"))?;
    value.set_sensitive(true);
    Ok(value)
}
