//! Token endpoints of OAuth 2.0 (RFC 6749 §4.3, §4.4): Waldur behind OIDC, Keycloak.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use http::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::{Anonymous, BaseUrl, Http, PlainHttp, RestClient, Token, TokenSource};
use crate::error::{Error, ErrorKind, Result};

/// How long an attempt at the token endpoint may take (core.md §1.1).
const TIMEOUT: Duration = Duration::from_secs(30);

/// The lifetime of a token whose answer has no readable `expires_in` (core.md §1.1).
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

/// Tokens by `grant_type=client_credentials`, with client id and secret in the form (core.md §1.1).
pub struct ClientCredentials {
    endpoint: Endpoint,
    client_id: String,
    client_secret: SecretString,
    scope: Option<String>,
}

impl ClientCredentials {
    /// Tokens from `token_url`; `field` names that setting in errors.
    ///
    /// # Errors
    /// `Config` when the URL breaks a rule of [`BaseUrl::parse`], or id or secret is empty.
    pub fn new(
        field: &str,
        token_url: &str,
        plain: PlainHttp,
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
    ) -> Result<Self> {
        let (client_id, client_secret) = (client_id.into(), client_secret.into());
        not_empty("client id", &client_id)?;
        not_empty("client secret", client_secret.expose_secret())?;
        Ok(Self { endpoint: Endpoint::parse(field, token_url, plain)?, client_id, client_secret, scope: None })
    }

    /// Asks for a scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("endpoint", &self.endpoint.base)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for ClientCredentials {
    async fn fetch(&self, http: &Http) -> Result<Token> {
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose_secret()),
        ];
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        self.endpoint.token(http, &form).await
    }
}

/// Tokens by `grant_type=password`: an account of a person or a service, by way of a client such as Keycloak's
/// `admin-cli`.
pub struct PasswordGrant {
    endpoint: Endpoint,
    client_id: String,
    client_secret: Option<SecretString>,
    username: String,
    password: SecretString,
    scope: Option<String>,
}

impl PasswordGrant {
    /// Tokens from `token_url` for a public client; `field` names that setting in errors.
    ///
    /// # Errors
    /// `Config` when the URL breaks a rule of [`BaseUrl::parse`], or one of the other values is empty.
    pub fn new(
        field: &str,
        token_url: &str,
        plain: PlainHttp,
        client_id: impl Into<String>,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Result<Self> {
        let (client_id, username, password) = (client_id.into(), username.into(), password.into());
        not_empty("client id", &client_id)?;
        not_empty("user name", &username)?;
        not_empty("password", password.expose_secret())?;
        let endpoint = Endpoint::parse(field, token_url, plain)?;
        Ok(Self { endpoint, client_id, client_secret: None, username, password, scope: None })
    }

    /// Adds the secret of a confidential client.
    #[must_use]
    pub fn with_client_secret(mut self, secret: impl Into<SecretString>) -> Self {
        self.client_secret = Some(secret.into());
        self
    }

    /// Asks for a scope.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }
}

impl fmt::Debug for PasswordGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordGrant")
            .field("endpoint", &self.endpoint.base)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for PasswordGrant {
    async fn fetch(&self, http: &Http) -> Result<Token> {
        let mut form = vec![
            ("grant_type", "password"),
            ("client_id", &self.client_id),
            ("username", &self.username),
            ("password", self.password.expose_secret()),
        ];
        form.extend(self.client_secret.as_ref().map(|secret| ("client_secret", secret.expose_secret())));
        form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
        self.endpoint.token(http, &form).await
    }
}

/// A token endpoint: an origin of its own, so no credential of an API ever goes there.
struct Endpoint {
    base: BaseUrl,
    /// What the URL that was configured has after the base's path: `/` or nothing.
    ending: &'static str,
}

/// RFC 6749 §5.1.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    expires_in: Value,
}

impl Endpoint {
    fn parse(field: &str, token_url: &str, plain: PlainHttp) -> Result<Self> {
        let ending = if token_url.trim().ends_with('/') { "/" } else { "" };
        Ok(Self { base: BaseUrl::parse(field, token_url, plain)?, ending })
    }

    async fn token(&self, http: &Http, form: &[(&str, &str)]) -> Result<Token> {
        // The clock of a token starts when the server makes it, which is not before now.
        let issued = http.environment().instant();
        let client = RestClient::new(http.clone(), self.base.clone(), Anonymous).with_error_reader(refusal);
        let call = client.post("oauth.token", self.ending, &[]).form(form).timeout(TIMEOUT);
        // A token that nobody uses does no harm.
        let answer: Answer = call.idempotent().secret_answer().send_json().await?;
        let token = answer.access_token.filter(|token| !token.expose_secret().is_empty());
        let token = token.ok_or_else(|| {
            let text = format!("the token endpoint {} answered without an access_token", self.base);
            Error::new(ErrorKind::Decode, text).with_operation("oauth.token")
        })?;
        Ok(Token::new(token, issued, Some(lifetime(&answer.expires_in))))
    }
}

/// A number of seconds, also as a string; [`DEFAULT_LIFETIME`] for everything else.
fn lifetime(expires_in: &Value) -> Duration {
    let seconds = match expires_in {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let lifetime = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    lifetime.filter(|lifetime| !lifetime.is_zero()).unwrap_or(DEFAULT_LIFETIME)
}

/// Refused credentials are 400 `invalid_grant` as often as 401 (RFC 6749 §5.2): either way somebody has to mend them,
/// and no order fails for that.
fn refusal(answer: &Response<bytes::Bytes>, error: Error) -> Error {
    let refused = matches!(answer.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if !refused {
        return error;
    }
    let error = error.with_kind(ErrorKind::Unauthenticated).with_message("the token endpoint refused the credentials");
    let body: Option<Value> = serde_json::from_slice(answer.body()).ok();
    match body.as_ref().and_then(|body| body.get("error")?.as_str()) {
        // The registered codes are lower-case words; anything else is not taken over.
        Some(code) if code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            error.with_code(code)
        }
        _ => error,
    }
}

fn not_empty(name: &str, value: &str) -> Result<()> {
    if value.trim().is_empty() { Err(Error::config(format!("{name}: must not be empty"))) } else { Ok(()) }
}
