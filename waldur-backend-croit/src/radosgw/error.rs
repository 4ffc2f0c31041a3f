//! The gateway's error codes in the SDK's words: the code decides, then the status (radosgw-api.md §7).

use std::borrow::Cow;

use bytes::Bytes;
use http::{Method, Response};
use serde::Deserialize;
use waldur_sdk::{Error, ErrorKind};

/// The user does not exist. The only proof of absence: any other 404 is something else.
pub const NO_SUCH_USER: &str = "NoSuchUser";
/// The bucket does not exist.
pub const NO_SUCH_BUCKET: &str = "NoSuchBucket";
/// The uid is taken.
pub const USER_EXISTS: &str = "UserAlreadyExists";
/// The e-mail address is another user's.
pub const EMAIL_EXISTS: &str = "EmailExists";
/// The access key is another user's.
pub const KEY_EXISTS: &str = "KeyExists";
/// A user cannot be deleted, because it still owns buckets.
pub const USER_HAS_BUCKETS: &str = "BucketAlreadyExists";
/// The bucket still holds objects.
pub const BUCKET_NOT_EMPTY: &str = "BucketNotEmpty";
/// The local clock is more than 15 minutes off.
pub const CLOCK_SKEW: &str = "RequestTimeTooSkewed";
/// Our access key is unknown; on `?key` calls also: the key to be removed is not there.
pub(super) const INVALID_KEY: &str = "InvalidAccessKeyId";

/// The code of an error body.
pub(crate) fn code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(rename = "Code", borrow)]
        code: Cow<'a, str>,
    }
    serde_json::from_slice::<Body<'_>>(body).ok().map(|body| body.code.into_owned()).filter(|code| !code.is_empty())
}

/// Puts a refusal of the gateway into the SDK's words.
pub(super) fn read(answer: &Response<Bytes>, error: Error) -> Error {
    let (kind, message) = match code(answer.body()) {
        Some(code) => {
            let error = error.with_code(&*code);
            return explain(&code, error);
        }
        // The gateway gives every one of these a code; something in between made this answer.
        None if matches!(answer.status().as_u16(), 401 | 403 | 409 | 412) => {
            (ErrorKind::WrongContent, "something else than the gateway's admin API answered")
        }
        None if error.kind() == ErrorKind::NotFound => {
            (ErrorKind::WrongContent, "something else than the gateway's admin API answered")
        }
        None => return error,
    };
    error.with_kind(kind).with_message(message)
}

fn explain(code: &str, error: Error) -> Error {
    use ErrorKind as K;
    let (kind, message) = match code {
        NO_SUCH_USER => (K::NotFound, "the user does not exist"),
        // What S3 says of a path outside the admin API. `Config` where the call said that its path must exist.
        NO_SUCH_BUCKET if error.kind() == K::Config => return error,
        // Here it may mean the bucket: these calls prove that the API is there before they pass it on.
        NO_SUCH_BUCKET if on_buckets(&error) => (K::NotFound, "the bucket does not exist"),
        "NoSuchKey" if error.operation().starts_with("metadata.") => (K::NotFound, "the object does not exist"),
        NO_SUCH_BUCKET | "NoSuchKey" => {
            (K::WrongContent, "the admin API is not at this address: check endpoint and admin path")
        }
        USER_EXISTS => (K::AlreadyExists, "a user of that name exists"),
        EMAIL_EXISTS => (K::AlreadyExists, "another user has that e-mail address"),
        KEY_EXISTS => (K::AlreadyExists, "another user has that access key"),
        USER_HAS_BUCKETS => (K::Conflict, "the user still owns buckets"),
        BUCKET_NOT_EMPTY => (K::Conflict, "the bucket is not empty"),
        CLOCK_SKEW => (K::ClockSkew, "the local clock is too far from the gateway's"),
        "SignatureDoesNotMatch" | INVALID_KEY => (K::Unauthenticated, "the gateway refused the admin key"),
        "UserSuspended" => (K::Unauthenticated, "the admin user is suspended"),
        "AccessDenied" => {
            let message = format!("the admin user needs the capability `{}`", capability(&error));
            return error.with_kind(K::PermissionDenied).with_message(message);
        }
        // Another writer of the same user was faster: nothing was changed, and a repeat gets through (measured: 8
        // writers need 3; radosgw-api.md §6). Where 16.2 says `UnknownError` instead, its status 500 is repeated.
        "ConcurrentModification" => return error.with_message("another writer was faster").with_retryable(true),
        "MethodNotAllowed" | "NotImplemented" => (K::Unsupported, "this gateway does not offer the call"),
        "InvalidArgument" | "InvalidCapability" | "InvalidTenantName" => {
            (K::InvalidRequest, "the gateway refused an argument")
        }
        _ => return error,
    };
    error.with_kind(kind).with_message(message)
}

fn on_buckets(error: &Error) -> bool {
    error.operation().starts_with("buckets.")
}

/// What the admin user has to be allowed for a call, by the call's name: `users=read`.
fn capability(error: &Error) -> String {
    let (area, _) = error.operation().split_once('.').unwrap_or_default();
    let kind = match area {
        "buckets" | "usage" | "metadata" => area,
        _ => "users",
    };
    let reads = error.http().is_some_and(|http| http.method == Method::GET);
    format!("{kind}={}", if reads { "read" } else { "write" })
}
