//! Identifiers that cannot be taken for one another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::error::{Error, Result};

macro_rules! uuids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        ///
        /// Reads both spellings of a UUID, with and without dashes; writes the one without, as Waldur does
        /// (core.md §1.2).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }

            /// 32 lower-case hexadecimal digits.
            pub fn hex(self) -> String {
                self.0.simple().to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.simple().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Uuid::try_parse(text.trim())
                    .map(Self)
                    .map_err(|cause| Error::config(concat!(stringify!($name), ": must be a UUID")).with_source(cause))
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0.simple())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Uuid::try_parse(text.trim()).map(Self).map_err(de::Error::custom)
            }
        }
    )+};
}

uuids! {
    /// Identifies an order.
    OrderUuid,
    /// Identifies a marketplace resource.
    ResourceUuid,
    /// Identifies an offering.
    OfferingUuid,
    /// Identifies a plan of an offering.
    PlanUuid,
    /// Identifies a project.
    ProjectUuid,
    /// Identifies a customer (an organisation).
    CustomerUuid,
    /// Identifies a user.
    UserUuid,
    /// Identifies an offering user: the pair of an offering and a user.
    OfferingUserUuid,
    /// Identifies a service provider: a customer in its part as a seller.
    ServiceProviderUuid,
    /// Identifies an SSH key.
    SshKeyUuid,
    /// Identifies an agent as Waldur knows it: one per offering.
    AgentIdentityUuid,
    /// Identifies a service of an agent: one per mode.
    AgentServiceUuid,
    /// Identifies a processor of an agent's service.
    AgentProcessorUuid,
    /// Identifies a subscription to events.
    EventSubscriptionUuid,
    /// Identifies a component of an offering.
    ComponentUuid,
    /// Identifies a role.
    RoleUuid,
    /// Identifies a key that the customer of a resource uses.
    ApiKeyUuid,
    /// Identifies an object of a back end that Waldur may import.
    BackendResourceUuid,
    /// Identifies the wish for a list of such objects.
    BackendResourceRequestUuid,
    /// Identifies a policy about usage within a period.
    PeriodicUsagePolicyUuid,
    /// Identifies what was reported of one component of a resource in one month.
    ComponentUsageUuid,
    /// Identifies the share of one user in that.
    ComponentUserUsageUuid,
    /// Identifies the time in which a resource was on one plan.
    PlanPeriodUuid,
}

/// The name of a resource on its back end: an S3 uid, a registry project, a tenant. Never blank, no control
/// characters, at most 255 bytes: what Waldur stores (`maxLength: 255` in its schema).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BackendId(String);

impl BackendId {
    /// Checks a back-end id.
    ///
    /// # Errors
    /// `Config` when it is blank, longer than 255 bytes or contains a control character.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        if text.trim().is_empty() {
            Err(Error::config("backend id: must not be blank"))
        } else if text.len() > 255 {
            Err(Error::config("backend id: must not be longer than 255 bytes"))
        } else if text.chars().any(char::is_control) {
            Err(Error::config("backend id: must not contain control characters"))
        } else {
            Ok(Self(text))
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BackendId({:?})", self.0)
    }
}

impl AsRef<str> for BackendId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
