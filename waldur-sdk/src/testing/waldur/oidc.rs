//! A token endpoint on another host, so that clients that authenticate by OpenID Connect run against the fake alone.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{answer::Answer, incoming::pairs};
use crate::types::UserUuid;

/// The settings of a token endpoint; see [`FakeWaldur::with_oidc`](super::FakeWaldur::with_oidc).
///
/// It grants `client_credentials` with the secret in the form, as core.md §1.1 has it. Refusals carry the words of
/// RFC 6749 §5.2.
#[derive(Debug)]
#[must_use]
pub struct OidcIssuer {
    url: Url,
    client_id: String,
    client_secret: SecretString,
    expires_in: Option<i64>,
}

impl OidcIssuer {
    /// An endpoint at `url` that knows one client. Tokens live 300 s.
    pub fn new(url: Url, client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        Self { url, client_id: client_id.into(), client_secret: client_secret.into(), expires_in: Some(300) }
    }

    /// How long tokens live, in seconds, by the fake's wall clock.
    pub fn expires_in(mut self, seconds: i64) -> Self {
        self.expires_in = Some(seconds);
        self
    }

    /// Leaves `expires_in` out of the answer; tokens never end by themselves.
    pub fn without_expiry(mut self) -> Self {
        self.expires_in = None;
        self
    }
}

/// The endpoint at work.
pub(super) struct Issuer {
    settings: OidcIssuer,
    user: UserUuid,
    issued: usize,
    valid: Vec<(String, Option<Timestamp>)>,
}

impl Issuer {
    pub(super) fn new(settings: OidcIssuer, user: UserUuid) -> Self {
        Self { settings, user, issued: 0, valid: Vec::new() }
    }

    pub(super) fn answers(&self, uri: &http::Uri) -> bool {
        let url = &self.settings.url;
        uri.host() == url.host_str()
            && uri.port_u16().or_else(|| default_port(uri.scheme_str())) == url.port_or_known_default()
            && uri.path() == url.path()
    }

    pub(super) fn issued(&self) -> usize {
        self.issued
    }

    pub(super) fn revoke(&mut self) {
        self.valid.clear();
    }

    pub(super) fn user_of(&self, token: &str, now: Timestamp) -> Option<UserUuid> {
        let valid = self.valid.iter().any(|(known, end)| known == token && end.is_none_or(|end| now < end));
        valid.then_some(self.user)
    }

    pub(super) fn token(&mut self, headers: &HeaderMap, body: &Bytes, now: Timestamp) -> Answer {
        let form = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !form.starts_with("application/x-www-form-urlencoded") {
            return refused(StatusCode::BAD_REQUEST, "invalid_request", "Missing form parameter: grant_type");
        }
        let fields = pairs(&String::from_utf8_lossy(body));
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if field("grant_type") != Some("client_credentials") {
            return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", "Unsupported grant_type");
        }
        let secret = self.settings.client_secret.expose_secret();
        if field("client_id") != Some(&self.settings.client_id) || field("client_secret") != Some(secret) {
            return refused(
                StatusCode::UNAUTHORIZED,
                "unauthorized_client",
                "Invalid client or Invalid client credentials",
            );
        }
        self.issued += 1;
        let token = format!("fake-oidc-token-{}", self.issued);
        let end = self.settings.expires_in.and_then(|life| now.checked_add(SignedDuration::from_secs(life)).ok());
        let mut answer = json!({ "access_token": token, "token_type": "Bearer", "scope": "profile email" });
        if let (Some(life), Some(answer)) = (self.settings.expires_in, answer.as_object_mut()) {
            answer.insert("expires_in".to_owned(), Value::from(life));
        }
        self.valid.push((token, end));
        Answer::ok(answer)
    }
}

fn default_port(scheme: Option<&str>) -> Option<u16> {
    match scheme? {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

fn refused(status: StatusCode, error: &str, description: &str) -> Answer {
    Answer::json(status, json!({ "error": error, "error_description": description }))
}
