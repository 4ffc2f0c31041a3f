//! Names that a system takes, as types that cannot hold any other (usernames.md §5).
//!
//! A [`waldur_sdk::Error`](crate::Error) of [`Config`](crate::ErrorKind::Config) tells the target and the rule, and
//! never the text: it may be about a person.

mod rule;

use std::{borrow::Cow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, de};

use self::rule::{Ascii, Ends, Joints, Rule, Shape};
use super::compare::Comparison;
use crate::{
    error::{Error, Result},
    types::{BackendId, Personal, ProjectUuid, ResourceUuid, Uuid},
};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $comparison:ident, $rule:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            const RULE: Rule = $rule;

            /// The most characters that it has.
            pub const MAX: usize = Self::RULE.max;

            /// When the target takes two of them for the same.
            pub const COMPARISON: Comparison = Comparison::$comparison;

            /// Checks a name.
            ///
            /// # Errors
            /// `Config` with the target and the rule that the text breaks, never with the text.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                match Self::RULE.broken(&text) {
                    None => Ok(Self(text)),
                    Some(broken) => Err(Self::RULE.error(broken)),
                }
            }

            /// The text itself if it is a name, otherwise the nearest name there is; one that had to be cut, was
            /// reserved or has nothing left of it ends with a hash of the text. Different texts may have the same
            /// nearest name.
            pub fn from_lossy(text: &str) -> Self {
                Self(Self::RULE.nearest(text))
            }

            /// A name of its own for every text, also as [`Self::COMPARISON`] compares: the text itself if it is a name
            /// that does not look hashed and is spelt as the target compares it, otherwise the nearest name and the
            /// first 32 bits of the text's SHA-256. Two texts get the same name only if somebody looks for such a pair
            /// on purpose; so only its stamp proves whose an object is.
            pub fn derive(text: &str) -> Self {
                Self(Self::RULE.distinct(text, Self::COMPARISON))
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name.
            pub fn into_string(self) -> String {
                self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// As [`Self::new`].
            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                Self::new(text).map_err(|error| de::Error::custom(error.message()))
            }
        }
    )+};
}

/// Names of things.
macro_rules! shown {
    ($($name:ident),+ $(,)?) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }

        impl TryFrom<$name> for BackendId {
            type Error = Error;

            /// # Errors
            /// As [`BackendId::new`]: a name of 255 characters beyond ASCII is too long.
            fn try_from(name: $name) -> Result<Self> {
                Self::new(name.0)
            }
        }
    )+};
}

/// Names of people: as [`Personal`], they do not show themselves.
macro_rules! personal {
    ($($name:ident),+ $(,)?) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([personal])"))
            }
        }

        impl From<$name> for Personal {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    )+};
}

const fn text(target: &'static str, max: usize) -> Rule {
    Rule { target, min: 1, max, shape: Shape::Text { lower: false }, reserved: &[] }
}

const fn ascii(target: &'static str, max: usize, shape: Ascii) -> Rule {
    Rule { target, min: 1, max, shape: Shape::Ascii(shape), reserved: &[] }
}

/// Lower-case letters, digits and `-`.
const LABEL: Ascii =
    Ascii { capitals: false, extra: "-", ends: Ends::LettersAndDigits, joints: Joints::Any, filler: '-' };

/// Accounts that a system has of its own. Nobody gets in under one of them because a name in Waldur says so.
const SYSTEM_LOGINS: &[&str] = &[
    "root",
    "daemon",
    "bin",
    "sys",
    "sync",
    "games",
    "man",
    "lp",
    "mail",
    "news",
    "uucp",
    "proxy",
    "www-data",
    "backup",
    "list",
    "irc",
    "gnats",
    "nobody",
    "adm",
    "shutdown",
    "halt",
    "operator",
    "ftp",
    "systemd-*",
    "messagebus",
    "sshd",
    "sssd",
    "polkitd",
    "dbus",
    "chrony",
    "ntp",
    "munge",
    "slurm",
    "postfix",
    "apache",
    "nginx",
    "postgres",
    "mysql",
    "admin",
    "administrator",
    "system",
    "sudo",
    "wheel",
];

names! {
    /// A user of Ceph's object storage: letters, digits and `.-_`. `$` would end a tenant and has no way in.
    RgwUid: Exact, ascii("uid", 255, Ascii {
        capitals: true, extra: "._-", ends: Ends::Any, joints: Joints::Any, filler: '_',
    });

    /// A bucket: 3 to 63 lower-case letters, digits, dots and hyphens, not like an IP address.
    S3BucketName: Exact, Rule {
        min: 3,
        ..ascii("bucket", 63, Ascii { extra: ".-", joints: Joints::Host, ..LABEL })
    };

    /// A project of Harbor: lower-case letters and digits, with single `.`, `_` or `-` between them. `library` is
    /// Harbor's own.
    HarborProjectName: Exact, Rule {
        reserved: &["library"],
        ..ascii("Harbor project", 255, Ascii { extra: "._-", joints: Joints::None, ..LABEL })
    };

    /// A user group of Harbor. It has to equal the claim in a token, so that case and every character count.
    HarborGroupName: Exact, text("Harbor group", 255);

    /// A group of Keycloak, unique among its siblings. A `/` in it is legal: see [`Self::path_segment`].
    KeycloakGroupName: Exact, text("Keycloak group", 255);

    /// A user of Keycloak, which keeps them in lower case.
    KeycloakUsername: IgnoreCase, Rule { shape: Shape::Text { lower: true }, ..text("Keycloak username", 255) };

    /// The name of a project in Rancher: free text, and not unique. `System` and `Default` are Rancher's own.
    RancherProjectName: IgnoreCase, Rule {
        reserved: &["system", "default"],
        ..text("Rancher project", 63)
    };

    /// A namespace of Kubernetes: a DNS label, unique in the cluster. Those of Kubernetes, Rancher and Fleet are
    /// refused.
    K8sNamespace: Exact, Rule {
        reserved: &["default", "local", "kube-*", "cattle-*", "fleet-*", "cluster-fleet-*"],
        ..ascii("namespace", 63, LABEL)
    };

    /// The value of a label in Kubernetes; the empty one, which Kubernetes takes, names nothing.
    K8sLabelValue: Exact, ascii("label value", 63, Ascii { capitals: true, extra: "._-", ..LABEL });

    /// An object of Kubernetes: a DNS subdomain.
    K8sObjectName: Exact, ascii("object name", 253, Ascii { extra: ".-", joints: Joints::Labels, ..LABEL });

    /// A project of Keystone, unique in its domain. `admin` and `service` are the installation's own.
    KeystoneProjectName: IgnoreCase, Rule { reserved: &["admin", "service"], ..text("Keystone project", 64) };

    /// A user of Keystone. Those of the services themselves are refused.
    KeystoneUserName: IgnoreCase, Rule {
        reserved: &[
            "admin", "keystone", "nova", "neutron", "cinder", "glance", "placement", "swift", "heat", "barbican",
        ],
        ..text("Keystone user", 255)
    };

    /// The name of a server, a volume, a network, a port.
    ServerName: Exact, text("server name", 255);

    /// A login on Linux and in LDAP: at most 32 lower-case letters, digits, `_` and `-`. Accounts of the system are
    /// refused, because LDAP and NSS would let its owner in as one of them.
    PosixLogin: IgnoreCase, Rule {
        reserved: SYSTEM_LOGINS,
        ..ascii("login", 32, Ascii {
            capitals: false, extra: "_-", ends: Ends::Login, joints: Joints::Any, filler: '_',
        })
    };

    /// The user name of an account at an offering, as Waldur stores it.
    OfferingUsername: Exact, text("offering user name", 100);

    /// The name of a robot account, as Waldur stores it.
    RobotAccountName: Exact, text("robot account", 32);
}

shown! {
    RgwUid, S3BucketName, HarborProjectName, HarborGroupName, KeycloakGroupName, RancherProjectName, K8sNamespace,
    K8sLabelValue, K8sObjectName, KeystoneProjectName, KeystoneUserName, ServerName, RobotAccountName,
}

personal! { KeycloakUsername, PosixLogin, OfferingUsername }

impl HarborProjectName {
    /// `{prefix}{slug}`, with `r-` and eight digits of the resource's UUID where the slug has no letter or digit
    /// (harbor.md §6).
    pub fn for_resource(prefix: &str, slug: &str, resource: ResourceUuid) -> Self {
        Self::from_lossy(&slug_or(prefix, slug, "r", resource))
    }

    /// Whether Harbor takes the name in a path for a project's number. Such a request needs
    /// `X-Is-Resource-Name: true`, or else it meets the project of another customer (harbor.md §2).
    pub fn is_like_an_id(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit())
    }
}

impl RancherProjectName {
    /// `{prefix}{slug}`, with `resource-` and eight digits of the resource's UUID where the slug has no letter or digit
    /// (rancher.md §7).
    pub fn for_resource(prefix: &str, slug: &str, resource: ResourceUuid) -> Self {
        Self::from_lossy(&slug_or(prefix, slug, "resource", resource))
    }
}

impl KeycloakGroupName {
    /// `c_{uuid}`: the group above those of a cluster's projects (keycloak.md §5).
    pub fn of_cluster(cluster: Uuid) -> Self {
        Self(format!("c_{}", cluster.simple()))
    }

    /// `project_{uuid}_{role}`: who has a role in a project. Made of the UUID and not of a slug, so that no other
    /// project can come to have the name.
    ///
    /// # Errors
    /// As [`Self::new`], for what the role brings in.
    pub fn of_project(project: ProjectUuid, role: &str) -> Result<Self> {
        Self::new(format!("project_{project}_{role}"))
    }

    /// As a part of a group's path, in which Keycloak writes `~/` for a `/` of the name.
    pub fn path_segment(&self) -> Cow<'_, str> {
        if self.0.contains('/') { Cow::Owned(self.0.replace('/', "~/")) } else { Cow::Borrowed(&self.0) }
    }
}

impl PosixLogin {
    /// Whether a name is that of an account which systems have of their own (`root`), in any case.
    pub fn is_of_the_system(name: &str) -> bool {
        Self::RULE.is_reserved(name)
    }
}

fn slug_or(prefix: &str, slug: &str, word: &str, resource: ResourceUuid) -> String {
    if slug.contains(|c: char| c.is_ascii_alphanumeric()) {
        format!("{prefix}{slug}")
    } else {
        format!("{prefix}{word}-{}", super::uuid8(resource.uuid()))
    }
}
