//! `/admin/user?quota` (radosgw-api.md §3; what it leaves open measured on 16.2.15).

use serde_json::Value;

use super::{
    records::{Quota, User},
    refused::Refused,
    state::{Begun, State},
    wire::{Arguments, Node, Reply, UNINITIALISED},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    User,
    Bucket,
    Both,
}

impl Kind {
    /// Checked before the user is looked up.
    fn read(arguments: &Arguments) -> Result<Self, Refused> {
        if arguments.text("uid").is_empty() {
            return Err(Refused::INVALID_ARGUMENT);
        }
        match arguments.text("quota-type") {
            "user" => Ok(Self::User),
            "bucket" => Ok(Self::Bucket),
            "" => Ok(Self::Both),
            _ => Err(Refused::INVALID_ARGUMENT),
        }
    }
}

impl State {
    pub(super) fn get_quota(&self, arguments: &Arguments) -> Result<Reply, Refused> {
        let kind = Kind::read(arguments)?;
        let user = self.find(arguments.text("uid"), "")?;
        Ok(match kind {
            Kind::User => Reply::Tree("user_quota", user.user_quota.node()),
            Kind::Bucket => Reply::Tree("bucket_quota", user.bucket_quota.node()),
            Kind::Both => Reply::Tree(
                "quota",
                Node::Map(vec![("bucket_quota", user.bucket_quota.node()), ("user_quota", user.user_quota.node())]),
            ),
        })
    }

    pub(super) fn set_quota(&mut self, arguments: &Arguments, body: &[u8]) -> Result<Begun, Refused> {
        let kind = Kind::read(arguments)?;
        // A body is all that counts; without one, both quotas at once cannot be set.
        let sent = match body {
            [] if kind == Kind::Both => return Err(Refused::INVALID_ARGUMENT),
            [] => None,
            body => Some(json(body)?),
        };
        let read = self.find(arguments.text("uid"), "")?.clone();
        let mut user = read.clone();
        match (kind, sent) {
            (Kind::Both, sent) => {
                user.user_quota = section(sent.as_ref(), "user_quota")?;
                user.bucket_quota = section(sent.as_ref(), "bucket_quota")?;
            }
            (kind, Some(sent)) => *quota(&mut user, kind) = from_json(&sent)?,
            (kind, None) => {
                let quota = quota(&mut user, kind);
                *quota = merged(*quota, arguments);
            }
        }
        Ok(Self::modification(read, user, Reply::Empty))
    }
}

fn quota(user: &mut User, kind: Kind) -> &mut Quota {
    if kind == Kind::Bucket { &mut user.bucket_quota } else { &mut user.user_quota }
}

/// By query: what was not sent stays, what cannot be read is -1, and of two sizes the one in KiB wins.
fn merged(stored: Quota, arguments: &Arguments) -> Quota {
    Quota {
        enabled: arguments.flag("enabled", stored.enabled),
        max_size: match arguments.number("max-size-kb", UNINITIALISED) {
            Some(kb) => kb.wrapping_mul(1024),
            None => arguments.number("max-size", -1).unwrap_or(stored.max_size),
        },
        max_objects: arguments.number("max-objects", -1).unwrap_or(stored.max_objects),
    }
}

/// Any JSON will do: what is no object names nothing.
///
/// # Errors
/// `InvalidArgument` for anything else.
pub(super) fn json(body: &[u8]) -> Result<Value, Refused> {
    serde_json::from_slice(body).map_err(|_| Refused::INVALID_ARGUMENT)
}

/// A quota that the body does not name is reset to its default: off and unlimited.
fn section(sent: Option<&Value>, name: &str) -> Result<Quota, Refused> {
    sent.and_then(|sent| sent.get(name)).map_or_else(|| Ok(Quota::default()), from_json)
}

/// By body nothing is merged: what was not sent is 0 and `false`, so nothing may be stored once it is enabled. Of two
/// sizes the one in bytes wins, unlike in a query.
pub(super) fn from_json(sent: &Value) -> Result<Quota, Refused> {
    let number = |name| sent.get(name).map(json_number).transpose();
    let max_size = match (number("max_size")?, number("max_size_kb")?) {
        (Some(size), _) => size,
        (None, kb) => kb.unwrap_or_default().wrapping_mul(1024),
    };
    Ok(Quota {
        enabled: sent.get("enabled").map(json_flag).transpose()?.unwrap_or_default(),
        max_size,
        max_objects: number("max_objects")?.unwrap_or_default(),
    })
}

/// Digits in a string will do.
fn json_number(sent: &Value) -> Result<i64, Refused> {
    let text = match sent {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.trim().parse().map_err(|_| Refused::INVALID_ARGUMENT)
}

fn json_flag(sent: &Value) -> Result<bool, Refused> {
    match sent {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => json_number(other).map(|number| number != 0),
    }
}
