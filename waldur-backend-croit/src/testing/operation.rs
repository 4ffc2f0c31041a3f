//! Which call a request is, and what it takes to be allowed to make it.

use http::Method;

use super::wire::{Exchange, decode};

/// One call of the Admin Ops API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    CreateUser,
    GetUser,
    ModifyUser,
    DeleteUser,
    ListUsers,
    CreateKey,
    DeleteKey,
    AddCaps,
    RemoveCaps,
    CreateSubuser,
    ModifySubuser,
    DeleteSubuser,
    GetQuota,
    SetQuota,
    GetBucket,
    CheckBucket,
    LinkBucket,
    UnlinkBucket,
    SetBucketQuota,
    DeleteBucket,
    DeleteObject,
    GetUsage,
    TrimUsage,
    ListMetadata,
    /// Not an admin path: taken for a bucket.
    S3,
    /// Exists, behind a cap that nobody here holds.
    Guarded,
    /// Exists, and the fake does not have it.
    Unmodelled,
    /// 405, to anybody.
    Unknown,
}

impl Operation {
    pub(super) fn of(exchange: &Exchange) -> Self {
        let path = decode(exchange.path.as_bytes()).unwrap_or_default();
        let path = String::from_utf8_lossy(&path);
        let mut segments = path.strip_prefix('/').unwrap_or(&path).split('/');
        if segments.next() != Some("admin") {
            return Self::S3;
        }
        let has = |name: &str| exchange.arguments.has(name);
        match segments.next().unwrap_or_default() {
            // What follows the resource is not looked at: `/admin/user/x` is `/admin/user` (measured).
            "user" => Self::of_user(&exchange.method, has),
            "bucket" => Self::of_bucket(&exchange.method, has),
            "usage" => match exchange.method {
                Method::GET => Self::GetUsage,
                Method::DELETE => Self::TrimUsage,
                _ => Self::Unknown,
            },
            "metadata" => match exchange.method {
                Method::GET => Self::ListMetadata,
                Method::PUT | Method::DELETE => Self::Unmodelled,
                _ => Self::Unknown,
            },
            "config" | "realm" => Self::Guarded,
            "log" if has("type") => Self::Guarded,
            _ => Self::Unknown,
        }
    }

    fn of_user(method: &Method, has: impl Fn(&str) -> bool) -> Self {
        // A sub-resource that the method does not know is ignored: `DELETE ?quota` deletes the user.
        match *method {
            Method::GET if has("quota") => Self::GetQuota,
            Method::GET if has("list") => Self::ListUsers,
            Method::GET => Self::GetUser,
            Method::PUT if has("key") => Self::CreateKey,
            Method::PUT if has("caps") => Self::AddCaps,
            Method::PUT if has("subuser") => Self::CreateSubuser,
            Method::PUT if has("quota") => Self::SetQuota,
            Method::PUT => Self::CreateUser,
            Method::POST if has("subuser") => Self::ModifySubuser,
            Method::POST => Self::ModifyUser,
            Method::DELETE if has("key") => Self::DeleteKey,
            Method::DELETE if has("caps") => Self::RemoveCaps,
            Method::DELETE if has("subuser") => Self::DeleteSubuser,
            Method::DELETE => Self::DeleteUser,
            _ => Self::Unknown,
        }
    }

    fn of_bucket(method: &Method, has: impl Fn(&str) -> bool) -> Self {
        match *method {
            Method::GET if has("policy") => Self::Unmodelled,
            Method::GET if has("index") => Self::CheckBucket,
            Method::GET => Self::GetBucket,
            Method::PUT if has("sync") || has("new-bucket-name") || has("bucket-id") => Self::Unmodelled,
            Method::PUT if has("quota") => Self::SetBucketQuota,
            Method::PUT => Self::LinkBucket,
            Method::POST => Self::UnlinkBucket,
            Method::DELETE if has("object") => Self::DeleteObject,
            Method::DELETE => Self::DeleteBucket,
            _ => Self::Unknown,
        }
    }

    /// The name under which it is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CreateUser => "user.create",
            Self::GetUser => "user.get",
            Self::ModifyUser => "user.modify",
            Self::DeleteUser => "user.delete",
            Self::ListUsers => "user.list",
            Self::CreateKey => "key.create",
            Self::DeleteKey => "key.delete",
            Self::AddCaps => "caps.add",
            Self::RemoveCaps => "caps.remove",
            Self::CreateSubuser => "subuser.create",
            Self::ModifySubuser => "subuser.modify",
            Self::DeleteSubuser => "subuser.delete",
            Self::GetQuota => "quota.get",
            Self::SetQuota => "quota.set",
            Self::GetBucket => "bucket.get",
            Self::CheckBucket => "bucket.check",
            Self::LinkBucket => "bucket.link",
            Self::UnlinkBucket => "bucket.unlink",
            Self::SetBucketQuota => "bucket.quota",
            Self::DeleteBucket => "bucket.delete",
            Self::DeleteObject => "object.delete",
            Self::GetUsage => "usage.get",
            Self::TrimUsage => "usage.trim",
            Self::ListMetadata => "metadata.get",
            Self::S3 => "s3",
            Self::Guarded => "guarded",
            Self::Unmodelled => "unmodelled",
            Self::Unknown => "unknown",
        }
    }

    /// The cap needed: its type, and whether `write`.
    pub(super) fn cap(self) -> Option<(&'static str, bool)> {
        Some(match self {
            Self::GetUser | Self::ListUsers | Self::GetQuota => ("users", false),
            Self::CreateUser
            | Self::ModifyUser
            | Self::DeleteUser
            | Self::CreateKey
            | Self::DeleteKey
            | Self::AddCaps
            | Self::RemoveCaps
            | Self::CreateSubuser
            | Self::ModifySubuser
            | Self::DeleteSubuser
            | Self::SetQuota => ("users", true),
            Self::GetBucket | Self::CheckBucket => ("buckets", false),
            Self::LinkBucket | Self::UnlinkBucket | Self::SetBucketQuota | Self::DeleteBucket | Self::DeleteObject => {
                ("buckets", true)
            }
            Self::GetUsage => ("usage", false),
            Self::TrimUsage => ("usage", true),
            Self::ListMetadata => ("metadata", false),
            Self::Guarded => ("zone", false),
            Self::S3 | Self::Unmodelled | Self::Unknown => return None,
        })
    }
}
