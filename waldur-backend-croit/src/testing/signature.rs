//! Signature version 4, verified the way the gateway verifies it (radosgw-api.md §1; the rest measured on 16.2.15).
//!
//! The gateway rebuilds the canonical request from the wire: every name and value decoded, encoded again strictly
//! (unreserved characters raw, everything else with upper-case hex) and sorted by name. So whoever signs lower-case
//! hex, `+`, a raw reserved character or a name twice signs something else and is refused. Region and service are
//! whatever the scope says. Without `x-amz-content-sha256` it takes `UNSIGNED-PAYLOAD`, which no ordinary signer
//! signs: 403.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use sha2::{Digest, Sha256};

use super::{
    refused::Refused,
    wire::{Exchange, hex, recode, recode_path},
};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// How far the clocks may be apart, in seconds: 890 pass, 905 do not.
const MAX_SKEW: i64 = 900;

/// A signature that came with a request, not yet believed.
#[derive(Debug)]
pub(super) struct Claim {
    /// Whose key it claims to be made with.
    pub(super) access_key: String,
    /// `date/region/service/aws4_request`.
    scope: String,
    signed_headers: String,
    signature: String,
    date: String,
}

impl Claim {
    /// Reads the claim and checks what needs no secret, in the gateway's order: form, clock, scope, body.
    ///
    /// # Errors
    /// `AccessDenied` when nothing is signed, `NOT_MODELLED` for SigV2 and presigned requests.
    pub(super) fn read(exchange: &Exchange, now: Timestamp) -> Result<Self, Refused> {
        let header = exchange.header("authorization").unwrap_or_default();
        if header.is_empty() {
            let presigned = exchange.arguments.has("X-Amz-Algorithm") || exchange.arguments.has("Signature");
            return Err(if presigned { Refused::NOT_MODELLED } else { Refused::ACCESS_DENIED });
        }
        if header.starts_with("AWS ") {
            return Err(Refused::NOT_MODELLED);
        }
        let fields = header.strip_prefix(ALGORITHM).ok_or(Refused::INVALID_ARGUMENT)?;
        let mut parts = BTreeMap::new();
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=').ok_or(Refused::INVALID_ARGUMENT)?;
            parts.insert(name.trim(), value.trim());
        }
        let mut part = |name| parts.remove(name).map(str::to_owned).ok_or(Refused::INVALID_ARGUMENT);
        let (credential, signed_headers, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);

        let date = exchange.header("x-amz-date").unwrap_or_default();
        let stamped = timestamp(&date).ok_or(Refused::ACCESS_DENIED)?;
        if stamped.as_second().abs_diff(now.as_second()) > MAX_SKEW.unsigned_abs() {
            return Err(Refused::REQUEST_TIME_TOO_SKEWED);
        }
        let (access_key, scope) = credential.split_once('/').ok_or(Refused::INVALID_ARGUMENT)?;
        let well_formed = matches!(scope.split('/').collect::<Vec<_>>().as_slice(), [_, _, _, "aws4_request"]);
        if access_key.is_empty() || !well_formed {
            return Err(Refused::INVALID_ARGUMENT);
        }
        let claim =
            Self { access_key: access_key.to_owned(), scope: scope.to_owned(), signed_headers, signature, date };
        // The admin handlers have no code for the hash of a body: any body under one is refused, right or wrong.
        let chunked = exchange.header("transfer-encoding").is_some_and(|value| value.contains("chunked"));
        if chunked || (!exchange.body.is_empty() && payload(exchange) != UNSIGNED) {
            return Err(Refused::NOT_IMPLEMENTED);
        }
        Ok(claim)
    }

    /// Is the signature that of this request under `secret_key`?
    pub(super) fn holds(&self, exchange: &Exchange, secret_key: &str) -> bool {
        let Some(canonical) = self.canonical_request(exchange) else { return false };
        let digest = hex(&Sha256::digest(canonical.as_bytes()));
        let to_sign = [ALGORITHM, &self.date, &self.scope, &digest].join("\n");
        let mut key = format!("AWS4{secret_key}").into_bytes();
        for part in self.scope.split('/') {
            key = keyed(&key, part);
        }
        hex(&keyed(&key, &to_sign)) == self.signature
    }

    /// `None` when a header was signed that did not come.
    fn canonical_request(&self, exchange: &Exchange) -> Option<String> {
        let mut headers = BTreeMap::new();
        for name in self.signed_headers.split(';') {
            headers.insert(name, exchange.header(name)?);
        }
        let headers: String = headers.iter().flat_map(|(name, value)| [*name, ":", value, "\n"]).collect();
        let lines = [
            exchange.method.as_str(),
            &recode_path(&exchange.path),
            &canonical_query(&exchange.query),
            &headers,
            &self.signed_headers,
            &payload(exchange),
        ];
        Some(lines.join("\n"))
    }
}

fn payload(exchange: &Exchange) -> String {
    exchange.header("x-amz-content-sha256").unwrap_or_else(|| UNSIGNED.to_owned())
}

/// Sorted by name: `quota` before `quota-type`, although `quota=` is behind `quota-type=`.
fn canonical_query(query: &str) -> String {
    let query = query.replace('+', " ");
    let mut canonical = BTreeMap::new();
    for token in query.split('&').filter(|token| !token.is_empty()) {
        let (name, value) = token.split_once('=').unwrap_or((token, ""));
        canonical.insert(recode(name.as_bytes()), recode(value.as_bytes()));
    }
    let pairs: Vec<_> = canonical.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn timestamp(date: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", date).ok()?;
    date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn keyed(key: &[u8], message: &str) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
