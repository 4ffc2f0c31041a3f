//! What the gateway stores about a user.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::{refused::Refused, wire::Node};

/// `tenant$uid`, read as the gateway reads it: `$x` is `x`, `a$b$c` is user `c` of tenant `a` in a name space `b`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserId {
    pub(super) tenant: String,
    pub(super) namespace: String,
    pub(super) id: String,
}

impl UserId {
    pub(super) fn parse(text: &str) -> Self {
        let (tenant, namespace, id) = match text.split_once('$') {
            None => ("", "", text),
            Some((tenant, rest)) => match rest.split_once('$') {
                None => (tenant, "", rest),
                Some((namespace, id)) => (tenant, namespace, id),
            },
        };
        Self { tenant: tenant.to_owned(), namespace: namespace.to_owned(), id: id.to_owned() }
    }

    /// Nobody can be named like this: `x$`, or the gateway's name for a caller without a signature.
    pub(super) fn is_nobody(&self) -> bool {
        self.id.is_empty() || *self == Self::parse("anonymous")
    }

    pub(super) fn has_valid_tenant(&self) -> bool {
        self.tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.tenant.as_str(), self.namespace.as_str()) {
            ("", "") => f.write_str(&self.id),
            (tenant, "") => write!(f, "{tenant}${}", self.id),
            (tenant, namespace) => write!(f, "{tenant}${namespace}${}", self.id),
        }
    }
}

/// Admin capabilities, e.g. `users=*;buckets=read`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caps(BTreeMap<String, u8>);

const READ: u8 = 1;
const WRITE: u8 = 2;
/// What 16.2 knows (measured; `info`, `ratelimit` and `accounts` came later).
const CAP_TYPES: [&str; 12] = [
    "users",
    "buckets",
    "metadata",
    "usage",
    "zone",
    "bilog",
    "mdlog",
    "datalog",
    "roles",
    "user-policy",
    "amz-cache",
    "oidc-provider",
];

impl Caps {
    /// What the recordings' admin has: `users=*;buckets=*;usage=*;metadata=*`.
    pub fn admin() -> Self {
        Self(["users", "buckets", "usage", "metadata"].map(|kind| (kind.to_owned(), READ | WRITE)).into())
    }

    pub(super) fn allows(&self, kind: &str, write: bool) -> bool {
        self.0.get(kind).is_some_and(|held| held & if write { WRITE } else { READ } != 0)
    }

    pub(super) fn add(&mut self, more: &Self) {
        for (kind, permission) in &more.0 {
            *self.0.entry(kind.clone()).or_default() |= permission;
        }
    }

    pub(super) fn remove(&mut self, less: &Self) {
        self.0.retain(|kind, held| {
            *held &= !less.0.get(kind).copied().unwrap_or_default();
            // A cap without a permission goes as soon as it is named.
            *held != 0 || !less.0.contains_key(kind)
        });
    }

    pub(super) fn node(&self) -> Node {
        let one = |(kind, permission): (&String, &u8)| {
            Node::Map(vec![("type", Node::text(kind)), ("perm", Node::text(permission_name(*permission)))])
        };
        Node::List("cap", self.0.iter().map(one).collect())
    }
}

fn permission_name(permission: u8) -> &'static str {
    match permission {
        READ => "read",
        WRITE => "write",
        0 => "<none>",
        _ => "*",
    }
}

impl FromStr for Caps {
    type Err = Refused;

    /// # Errors
    /// `InvalidCapability` for a type that 16.2 does not know or a cap without `=`; an unknown permission is none.
    fn from_str(text: &str) -> Result<Self, Refused> {
        let mut caps = Self::default();
        for cap in text.split(';').map(str::trim).filter(|cap| !cap.is_empty()) {
            let (kind, permissions) = cap.split_once('=').ok_or(Refused::INVALID_CAPABILITY)?;
            let kind = kind.trim();
            if !CAP_TYPES.contains(&kind) {
                return Err(Refused::INVALID_CAPABILITY);
            }
            let held = caps.0.entry(kind.to_owned()).or_default();
            for permission in permissions.split(',') {
                *held |= match permission.trim() {
                    "*" => READ | WRITE,
                    "read" => READ,
                    "write" => WRITE,
                    _ => 0,
                };
            }
        }
        Ok(caps)
    }
}

impl fmt::Display for Caps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let caps: Vec<_> =
            self.0.iter().map(|(kind, permission)| format!("{kind}={}", permission_name(*permission))).collect();
        f.write_str(&caps.join(";"))
    }
}

/// A quota as stored. Any negative number is no limit, 0 is: nothing may be stored (radosgw-api.md §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Is it enforced?
    pub enabled: bool,
    /// Bytes.
    pub max_size: i64,
    /// Objects.
    pub max_objects: i64,
}

impl Default for Quota {
    fn default() -> Self {
        Self { enabled: false, max_size: -1, max_objects: -1 }
    }
}

impl Quota {
    /// `max_size_kb` as the gateway prints it: rounded up, and wrapped around for huge sizes.
    pub(super) fn size_kb(&self) -> i64 {
        self.max_size.wrapping_add(1023) / 1024
    }

    pub(super) fn node(&self) -> Node {
        Node::Map(vec![
            ("enabled", Node::Flag(self.enabled)),
            ("check_on_raw", Node::Flag(false)),
            ("max_size", Node::Number(self.max_size)),
            ("max_size_kb", Node::Number(self.size_kb())),
            ("max_objects", Node::Number(self.max_objects)),
        ])
    }

    /// Would an object of `size` bytes be too much on top of `stored`? Sizes count rounded up to 4096 bytes, and the
    /// object that is replaced still counts (measured on 16.2.15).
    pub(super) fn refuses(&self, stored: Totals, size: u64) -> bool {
        let over = |limit: i64, wanted: u64| u64::try_from(limit).is_ok_and(|limit| wanted > limit);
        self.enabled
            && (over(self.max_size, stored.rounded.saturating_add(rounded(size)))
                || over(self.max_objects, stored.objects.saturating_add(1)))
    }
}

fn rounded(size: u64) -> u64 {
    size.div_ceil(4096).saturating_mul(4096)
}

/// What is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) bytes: u64,
    /// The same with every object rounded up to 4096 bytes.
    pub(super) rounded: u64,
    pub(super) objects: u64,
}

impl Totals {
    pub(super) fn of(sizes: impl IntoIterator<Item = u64>) -> Self {
        sizes
            .into_iter()
            .fold(Self::default(), |sum, size| sum.plus(Self { bytes: size, rounded: rounded(size), objects: 1 }))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            rounded: self.rounded.saturating_add(other.rounded),
            objects: self.objects.saturating_add(other.objects),
        }
    }

    /// The seven numbers. Of a user the two utilised ones are always 0.
    pub(super) fn node(self, utilised: bool) -> Node {
        let number = |value: u64| Node::Number(i64::try_from(value).unwrap_or(i64::MAX));
        let used = if utilised { self.bytes } else { 0 };
        Node::Map(vec![
            ("size", number(self.bytes)),
            ("size_actual", number(self.rounded)),
            ("size_utilized", number(used)),
            ("size_kb", number(self.bytes.div_ceil(1024))),
            ("size_kb_actual", number(self.rounded.div_ceil(1024))),
            ("size_kb_utilized", number(used.div_ceil(1024))),
            ("num_objects", number(self.objects)),
        ])
    }
}

/// An S3 key pair of a user or of one of its subusers.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) secret: SecretString,
    pub(super) subuser: Option<String>,
}

/// One user's record.
// `user_quota` is the field's name on the wire.
#[allow(clippy::struct_field_names)]
#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: UserId,
    pub(super) display_name: String,
    pub(super) email: String,
    pub(super) suspended: bool,
    pub(super) max_buckets: i64,
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) subusers: BTreeMap<String, &'static str>,
    pub(super) swift_keys: BTreeMap<String, SecretString>,
    pub(super) caps: Caps,
    pub(super) op_mask: String,
    pub(super) default_placement: String,
    pub(super) default_storage_class: String,
    pub(super) user_quota: Quota,
    pub(super) bucket_quota: Quota,
    /// What `stats=true` shows: of the last synchronisation.
    pub(super) statistics: Totals,
    /// Owned a bucket at least once: there is a second record, which a marker may name.
    pub(super) has_bucket_list: bool,
    /// Made over the wire, not by the test.
    pub(super) by_request: bool,
    pub(super) tag: String,
    /// Unique to this state of this record.
    pub(super) version: u64,
    pub(super) writes: i64,
    pub(super) modified: Timestamp,
}

impl User {
    pub(super) fn new(id: UserId, display_name: &str) -> Self {
        Self {
            id,
            display_name: display_name.to_owned(),
            email: String::new(),
            suspended: false,
            max_buckets: 1000,
            keys: BTreeMap::new(),
            subusers: BTreeMap::new(),
            swift_keys: BTreeMap::new(),
            caps: Caps::default(),
            op_mask: "read, write, delete".to_owned(),
            default_placement: String::new(),
            default_storage_class: String::new(),
            user_quota: Quota::default(),
            bucket_quota: Quota::default(),
            statistics: Totals::default(),
            has_bucket_list: false,
            by_request: false,
            tag: String::new(),
            version: 0,
            writes: 0,
            modified: Timestamp::UNIX_EPOCH,
        }
    }

    /// The name of a key's holder: `tenant$uid`, or `tenant$uid:subuser`. Cut at NUL: a C string there.
    pub(super) fn holder(&self, subuser: Option<&str>) -> String {
        let uid = self.id.to_string();
        let uid = uid.split('\0').next().unwrap_or_default();
        subuser.map_or_else(|| uid.to_owned(), |subuser| format!("{uid}:{subuser}"))
    }

    pub(super) fn keys_node(&self) -> Node {
        let one = |(access_key, key): (&String, &Key)| {
            Node::Map(vec![
                ("user", Node::Text(self.holder(key.subuser.as_deref()))),
                ("access_key", Node::text(access_key)),
                ("secret_key", Node::text(key.secret.expose_secret())),
            ])
        };
        Node::List("key", self.keys.iter().map(one).collect())
    }

    pub(super) fn swift_keys_node(&self) -> Node {
        let one = |(subuser, secret): (&String, &SecretString)| {
            Node::Map(vec![
                ("user", Node::Text(self.holder(Some(subuser)))),
                ("secret_key", Node::text(secret.expose_secret())),
            ])
        };
        Node::List("key", self.swift_keys.iter().map(one).collect())
    }

    pub(super) fn subusers_node(&self) -> Node {
        let one = |(subuser, permission): (&String, &&'static str)| {
            Node::Map(vec![("id", Node::Text(self.holder(Some(subuser)))), ("permissions", Node::text(*permission))])
        };
        Node::List("subuser", self.subusers.iter().map(one).collect())
    }

    /// The user object of `/admin/user`, with statistics when given.
    pub(super) fn node(&self, statistics: Option<Totals>) -> Node {
        let mut members = vec![("tenant", Node::text(&self.id.tenant)), ("user_id", Node::text(&self.id.id))];
        members.extend(self.profile());
        members.extend([
            ("op_mask", Node::text(&self.op_mask)),
            ("system", Node::text("false")),
            ("admin", Node::text("false")),
        ]);
        members.extend(self.settings());
        members.extend(statistics.map(|totals| ("stats", totals.node(false))));
        Node::Map(members)
    }

    /// The record as `/admin/metadata/user?key=` shows it.
    pub(super) fn metadata(&self) -> Node {
        let mut data = vec![("user_id", Node::Text(self.id.to_string()))];
        data.extend(self.profile());
        data.push(("op_mask", Node::text(&self.op_mask)));
        data.extend(self.settings());
        data.push(("attrs", Node::List("entry", Vec::new())));
        Node::Map(vec![
            ("key", Node::Text(format!("user:{}", self.id))),
            ("ver", Node::Map(vec![("tag", Node::text(&self.tag)), ("ver", Node::Number(self.writes))])),
            ("mtime", Node::Text(format!("{:.6}", self.modified))),
            ("data", Node::Map(data)),
        ])
    }

    fn profile(&self) -> [(&'static str, Node); 8] {
        [
            ("display_name", Node::text(&self.display_name)),
            ("email", Node::text(&self.email)),
            ("suspended", Node::Number(i64::from(self.suspended))),
            ("max_buckets", Node::Number(self.max_buckets)),
            ("subusers", self.subusers_node()),
            ("keys", self.keys_node()),
            ("swift_keys", self.swift_keys_node()),
            ("caps", self.caps.node()),
        ]
    }

    fn settings(&self) -> [(&'static str, Node); 8] {
        [
            ("default_placement", Node::text(&self.default_placement)),
            ("default_storage_class", Node::text(&self.default_storage_class)),
            ("placement_tags", Node::List("entry", Vec::new())),
            ("bucket_quota", self.bucket_quota.node()),
            ("user_quota", self.user_quota.node()),
            ("temp_url_keys", Node::List("entry", Vec::new())),
            ("type", Node::text("rgw")),
            ("mfa_ids", Node::List("entry", Vec::new())),
        ]
    }
}
