//! AWS Signature Version 4 as RadosGW wants it (radosgw-api.md §1), by the maintained crate `aws-sigv4`.
//!
//! Signed are exactly `host;x-amz-content-sha256;x-amz-date`. The payload hash is always sent; a request with a body
//! goes out as `UNSIGNED-PAYLOAD`, because the gateway answers 501 to an admin body under a real hash. The gateway
//! ignores region and service, but they are part of the scope.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
        UriPathNormalizationMode, sign,
    },
    sign::v4,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use secrecy::ExposeSecret;
use waldur_sdk::{
    Error, Result,
    rest::{Authenticator, Environment, Http, TokenGeneration},
};

use super::{S3Key, xml};
use crate::radosgw::error;

/// What stands in the scope; the gateway compares neither (recorded: t6_auth/023 to 034).
const REGION: &str = "us-east-1";
const SERVICE: &str = "s3";

/// A server whose clock differs by more than this is not believed.
const SANE_SKEW: Duration = Duration::from_hours(24);

/// A correction smaller than this mends nothing: the gateway tolerates 15 minutes.
const USEFUL_CORRECTION: i64 = 60;

/// Signs requests with an access key; learns the gateway's time when it refuses ours. Clones share what was learnt.
#[derive(Clone)]
pub struct SigV4 {
    credentials: Credentials,
    environment: Environment,
    /// Seconds to add to the local clock.
    offset: Arc<AtomicI64>,
}

impl SigV4 {
    /// A signer with `key`, telling the time by `environment`.
    ///
    /// # Errors
    /// `Config` when either half of the key is blank.
    pub fn new(key: &S3Key, environment: Environment) -> Result<Self> {
        let secret = key.secret_key.expose_secret();
        if key.access_key.trim().is_empty() || secret.trim().is_empty() {
            return Err(Error::config("admin access key: neither half may be blank"));
        }
        let credentials = Credentials::new(&key.access_key, secret, None, None, "settings");
        Ok(Self { credentials, environment, offset: Arc::default() })
    }

    /// How far the gateway's clock is ahead of ours in seconds, as learnt from a refusal; 0 while none came.
    pub fn learnt_offset(&self) -> i64 {
        self.offset.load(Ordering::Relaxed)
    }

    fn put_signature(&self, request: &mut Request<Bytes>, offset: i64) -> Result<()> {
        let failed = || Error::config("the request cannot be signed");
        let time = shift(self.environment.now().into(), offset).ok_or_else(failed)?;
        // The transport would send the same; setting it makes what is signed what is sent.
        let host = request.uri().authority().ok_or_else(failed)?.as_str().to_owned();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(SERVICE)
            .time(time)
            .settings(settings)
            .build()
            .map_err(|cause| failed().with_source(cause))?
            .into();
        let body = if request.body().is_empty() { SignableBody::empty() } else { SignableBody::UnsignedPayload };
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            std::iter::once((header::HOST.as_str(), host.as_str())),
            body,
        )
        .map_err(|cause| failed().with_source(cause))?;
        let signed = sign(signable, &parameters).map_err(|cause| failed().with_source(cause))?;
        let (headers, _) = signed.into_parts().0.into_parts();
        for signed in headers {
            let mut value = HeaderValue::from_str(signed.value()).map_err(|cause| failed().with_source(cause))?;
            value.set_sensitive(true);
            request.headers_mut().insert(signed.name(), value);
        }
        let host = HeaderValue::from_str(&host).map_err(|cause| failed().with_source(cause))?;
        request.headers_mut().insert(header::HOST, host);
        Ok(())
    }

    /// What to add to the local clock, by the answer's `Date`; `None` when that is missing or absurd.
    fn offset_by(&self, headers: &HeaderMap) -> Option<i64> {
        let ahead = seconds_ahead(headers, &self.environment)?;
        Some(ahead).filter(|ahead| ahead.unsigned_abs() <= SANE_SKEW.as_secs())
    }
}

/// How far the clock of whoever answered is ahead of ours, by the answer's `Date`; `None` when that is missing.
pub(crate) fn seconds_ahead(headers: &HeaderMap, environment: &Environment) -> Option<i64> {
    let date = httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()?;
    let (distance, sign) = match date.duration_since(SystemTime::from(environment.now())) {
        Ok(ahead) => (ahead, 1),
        Err(behind) => (behind.duration(), -1),
    };
    i64::try_from(distance.as_secs()).ok().map(|seconds| sign * seconds)
}

#[async_trait]
impl Authenticator for SigV4 {
    async fn authenticate(&self, _http: &Http, request: &mut Request<Bytes>) -> Result<TokenGeneration> {
        let offset = self.learnt_offset();
        self.put_signature(request, offset)?;
        Ok(TokenGeneration(offset.cast_unsigned()))
    }

    /// Learns the gateway's time from `RequestTimeTooSkewed`; every other refusal is final.
    async fn refused(&self, seen: TokenGeneration, answer: &Response<Bytes>) -> bool {
        // The admin API says so in JSON, S3 itself in XML.
        let code = error::code(answer.body()).or_else(|| xml::code(answer.body()));
        if code.as_deref() != Some(error::CLOCK_SKEW) {
            return false;
        }
        let Some(offset) = self.offset_by(answer.headers()) else { return false };
        if (offset - seen.0.cast_signed()).abs() < USEFUL_CORRECTION {
            return false;
        }
        self.offset.store(offset, Ordering::Relaxed);
        true
    }
}

impl fmt::Debug for SigV4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigV4").field("offset", &self.learnt_offset()).finish_non_exhaustive()
    }
}

fn shift(time: SystemTime, seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { time.checked_sub(distance) } else { time.checked_add(distance) }
}
