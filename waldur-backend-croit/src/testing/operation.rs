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
        let sub_resource = exchange.sub_resource.unwrap_or_default();
        match segments.next().unwrap_or_default() {
            // What follows the resource is not looked at: `/admin/user/x` is `/admin/user` (measured).
            "user" => Self::of_user(&exchange.method, sub_resource),
            "bucket" => Self::of_bucket(exchange, sub_resource),
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
            "log" if exchange.arguments.has("type") => Self::Guarded,
            _ => Self::Unknown,
        }
    }

    /// A sub-resource that the method does not have is ignored: `DELETE ?quota` deletes the user.
    fn of_user(method: &Method, sub_resource: &str) -> Self {
        match (method.as_str(), sub_resource) {
            ("GET", "quota") => Self::GetQuota,
            ("GET", "list") => Self::ListUsers,
            ("GET", _) => Self::GetUser,
            ("PUT", "key") => Self::CreateKey,
            ("PUT", "caps") => Self::AddCaps,
            ("PUT", "subuser") => Self::CreateSubuser,
            ("PUT", "quota") => Self::SetQuota,
            ("PUT", _) => Self::CreateUser,
            ("POST", "subuser") => Self::ModifySubuser,
            ("POST", _) => Self::ModifyUser,
            ("DELETE", "key") => Self::DeleteKey,
            ("DELETE", "caps") => Self::RemoveCaps,
            ("DELETE", "subuser") => Self::DeleteSubuser,
            ("DELETE", _) => Self::DeleteUser,
            _ => Self::Unknown,
        }
    }

    fn of_bucket(exchange: &Exchange, sub_resource: &str) -> Self {
        let renames = exchange.arguments.has("new-bucket-name") || exchange.arguments.has("bucket-id");
        match (exchange.method.as_str(), sub_resource) {
            ("GET", "policy") | ("PUT", "sync") => Self::Unmodelled,
            ("GET", "index") => Self::CheckBucket,
            ("GET", _) => Self::GetBucket,
            ("PUT", "quota") => Self::SetBucketQuota,
            ("PUT", _) if renames => Self::Unmodelled,
            ("PUT", _) => Self::LinkBucket,
            ("POST", _) => Self::UnlinkBucket,
            ("DELETE", "object") => Self::DeleteObject,
            ("DELETE", _) => Self::DeleteBucket,
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
