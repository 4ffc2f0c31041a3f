//! What the gateway says when it says no.

use std::fmt;

/// A refusal of the gateway: status and `Code` (radosgw-api.md §7). Also what the tenant's side of the fake returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refused {
    status: u16,
    code: &'static str,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $status:literal $code:literal;)*) => {
        impl Refused {
            $($(#[$doc])* pub const $name: Self = Self { status: $status, code: $code };)*
        }
    };
}

refusals! {
    /// Wrong or missing argument.
    INVALID_ARGUMENT = 400 "InvalidArgument";
    /// Unknown cap type, or no `=` in a cap.
    INVALID_CAPABILITY = 400 "InvalidCapability";
    /// A tenant with anything but ASCII letters, digits and `_`.
    INVALID_TENANT_NAME = 400 "InvalidTenantName";
    /// An access key without its secret, and none may be minted.
    INVALID_SECRET_KEY = 400 "InvalidSecretKey";
    /// The tenant owns `max-buckets` buckets already.
    TOO_MANY_BUCKETS = 400 "TooManyBuckets";
    /// Not a bucket name.
    INVALID_BUCKET_NAME = 400 "InvalidBucketName";
    /// No right; also: no `uid` on a write, unknown `access-key` on a read.
    ACCESS_DENIED = 403 "AccessDenied";
    /// The caller's key is unknown; on `?key` calls: the named key is not held.
    INVALID_ACCESS_KEY_ID = 403 "InvalidAccessKeyId";
    /// The signature is not that of this request.
    SIGNATURE_DOES_NOT_MATCH = 403 "SignatureDoesNotMatch";
    /// More than 15 minutes between the two clocks.
    REQUEST_TIME_TOO_SKEWED = 403 "RequestTimeTooSkewed";
    /// The caller is suspended.
    USER_SUSPENDED = 403 "UserSuspended";
    /// The object does not fit into a quota.
    QUOTA_EXCEEDED = 403 "QuotaExceeded";
    /// No such user.
    NO_SUCH_USER = 404 "NoSuchUser";
    /// No such subuser.
    NO_SUCH_SUBUSER = 404 "NoSuchSubUser";
    /// No such bucket.
    NO_SUCH_BUCKET = 404 "NoSuchBucket";
    /// No such object; on bucket writes also: no such bucket or user.
    NO_SUCH_KEY = 404 "NoSuchKey";
    /// No such upload of several parts.
    NO_SUCH_UPLOAD = 404 "NoSuchUpload";
    /// Unknown path, or a method that the path does not have.
    METHOD_NOT_ALLOWED = 405 "MethodNotAllowed";
    /// The uid is taken.
    USER_ALREADY_EXISTS = 409 "UserAlreadyExists";
    /// The e-mail belongs to another user.
    EMAIL_EXISTS = 409 "EmailExists";
    /// The access key belongs to another user.
    KEY_EXISTS = 409 "KeyExists";
    /// A bucket of another owner has this name; on the delete of a user: it still owns buckets.
    BUCKET_ALREADY_EXISTS = 409 "BucketAlreadyExists";
    /// The bucket still holds objects.
    BUCKET_NOT_EMPTY = 409 "BucketNotEmpty";
    /// Lost a race for the user's record, or a name too long to be stored.
    UNKNOWN_ERROR = 500 "UnknownError";
    /// A body under a payload hash, or a chunked body.
    NOT_IMPLEMENTED = 501 "NotImplemented";
    /// Not an answer of the gateway: the fake does not know what it would say. See [`FakeRadosGw::unmodelled`].
    ///
    /// [`FakeRadosGw::unmodelled`]: super::FakeRadosGw::unmodelled
    NOT_MODELLED = 501 "NotModelledByFakeRadosGw";
}

impl Refused {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.status
    }

    /// The `Code` of the body.
    pub fn code(self) -> &'static str {
        self.code
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status, self.code)
    }
}

impl std::error::Error for Refused {}
