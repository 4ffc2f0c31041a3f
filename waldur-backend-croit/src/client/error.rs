//! The gateway's error codes in the SDK's words: the code decides, then the status (radosgw-api.md §7).

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;
use waldur_sdk::{Error, ErrorKind, Result, rest::Environment};

/// The user does not exist. The only proof of absence: any other 404 is something else.
pub const NO_SUCH_USER: &str = "NoSuchUser";
/// The uid is taken.
pub const USER_EXISTS: &str = "UserAlreadyExists";
/// The e-mail address is another user's.
pub const EMAIL_EXISTS: &str = "EmailExists";
/// The access key is another user's.
pub const KEY_EXISTS: &str = "KeyExists";
/// On the deletion of a user: it still owns buckets.
pub const USER_HAS_BUCKETS: &str = "BucketAlreadyExists";
/// The bucket still holds objects.
pub const BUCKET_NOT_EMPTY: &str = "BucketNotEmpty";
/// The local clock is more than 15 minutes off.
pub const CLOCK_SKEW: &str = "RequestTimeTooSkewed";
/// Our access key is unknown; on `?key` calls also: the key to be removed is not there.
pub(super) const INVALID_KEY: &str = "InvalidAccessKeyId";

const NOT_OFFERED: &str = "this gateway does not offer the call";

/// How often a write that lost a race is sent in all (measured: 8 writers need 3; radosgw-api.md §6).
const RACE_ATTEMPTS: u32 = 5;
/// The longest pause before the next sending of such a write.
const RACE_PAUSE: Duration = Duration::from_millis(300);

/// The capability that a call needs, for the hint in the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    UsersRead,
    UsersWrite,
    BucketsRead,
    BucketsWrite,
    UsageRead,
    MetadataRead,
}

impl Right {
    fn cap(self) -> &'static str {
        match self {
            Self::UsersRead => "users=read",
            Self::UsersWrite => "users=write",
            Self::BucketsRead => "buckets=read",
            Self::BucketsWrite => "buckets=write",
            Self::UsageRead => "usage=read",
            Self::MetadataRead => "metadata=read",
        }
    }

    fn on_buckets(self) -> bool {
        matches!(self, Self::BucketsRead | Self::BucketsWrite)
    }
}

/// The code of an error body, or of the excerpt that an error carries.
pub(super) fn code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(rename = "Code", borrow)]
        code: Cow<'a, str>,
    }
    serde_json::from_slice::<Body<'_>>(body).ok().map(|body| body.code.into_owned()).filter(|code| !code.is_empty())
}

/// Puts the gateway's answer into the SDK's words. Errors without an answer, and answers that were successes but do
/// not decode, stay as they are.
pub(super) fn classify(error: Error, right: Right) -> Error {
    use ErrorKind as K;
    let Some(status) = error.status().filter(|status| status.is_client_error() || status.is_server_error()) else {
        return error;
    };
    let body = error.http().and_then(|http| http.body.as_deref()).unwrap_or_default();
    let Some(code) = code(body.as_bytes()) else {
        return match status.as_u16() {
            401 | 403 | 404 | 409 | 410 | 412 => {
                error.with_kind(K::WrongContent).with_message("something else than the gateway's admin API answered")
            }
            405 => error.with_kind(K::Unsupported).with_message(NOT_OFFERED),
            _ => error,
        };
    };
    let (kind, message): (K, Cow<'static, str>) = match code.as_str() {
        NO_SUCH_USER => (K::NotFound, "the user does not exist".into()),
        "NoSuchBucket" if right.on_buckets() => (K::NotFound, "the bucket does not exist".into()),
        // What S3 says of a path outside the admin API.
        "NoSuchBucket" => (K::WrongContent, "the admin API is not there: check the address and the admin path".into()),
        "NoSuchKey" => (K::NotFound, "the object does not exist".into()),
        USER_EXISTS => (K::AlreadyExists, "a user of that name exists".into()),
        EMAIL_EXISTS => (K::AlreadyExists, "another user has that e-mail address".into()),
        KEY_EXISTS => (K::AlreadyExists, "another user has that access key".into()),
        USER_HAS_BUCKETS => (K::Conflict, "the user still owns buckets".into()),
        BUCKET_NOT_EMPTY => (K::Conflict, "the bucket is not empty".into()),
        CLOCK_SKEW => (K::ClockSkew, "the local clock is too far from the gateway's".into()),
        "SignatureDoesNotMatch" | INVALID_KEY => (K::Unauthenticated, "the gateway refused the admin key".into()),
        "UserSuspended" => (K::Unauthenticated, "the admin user is suspended".into()),
        "AccessDenied" => {
            let text = format!("refused: the admin user needs the capability `{}`", right.cap());
            (K::PermissionDenied, text.into())
        }
        "ConcurrentModification" => (K::Conflict, "another writer was faster".into()),
        "MethodNotAllowed" | "NotImplemented" => (K::Unsupported, NOT_OFFERED.into()),
        "InvalidArgument" | "InvalidCapability" | "InvalidTenantName" => {
            (K::InvalidRequest, "the gateway refused an argument".into())
        }
        _ => (error.kind(), error.message().to_owned().into()),
    };
    let error = error.with_kind(kind).with_message(message);
    let error = if code == "ConcurrentModification" { error.with_retryable(true) } else { error };
    error.with_code(code)
}

/// Whether a write lost against another writer of the same user and changed nothing (radosgw-api.md §6).
fn lost_race(error: &Error) -> bool {
    matches!(error.code(), Some("UnknownError" | "ConcurrentModification"))
}

/// Repeats a write that lost a race, with jitter. Only for writes that do no harm when repeated.
pub(super) async fn through_races<T, F>(environment: Environment, mut send: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut sent = 0;
    loop {
        match send().await {
            Err(error) if lost_race(&error) => {
                sent += error.attempts().max(1);
                if sent >= RACE_ATTEMPTS {
                    return Err(error);
                }
                environment.sleep(RACE_PAUSE.mul_f64(environment.fraction())).await;
            }
            outcome => return outcome,
        }
    }
}
