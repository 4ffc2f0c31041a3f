//! What an offering is told of its users (core.md §1.6 #9, §3.2).

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::{OfferingUser, answer::explain, list};
use crate::{
    rest::{Call, Pager},
    types::JsonObject,
};

/// The attributes of a user that an offering is told, by their names in the offering's configuration (`full_name`,
/// `organization`, `birth_date`…). What is not among them is not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeExposure(BTreeSet<String>);

/// What every row is asked for: the account itself, and the federated identity, without which nobody is found.
const CORE: [&str; 8] =
    ["uuid", "url", "offering_uuid", "user_uuid", "username", "user_username", "state", "is_restricted"];

/// The member that says whether the user consents to the terms of the offering.
const CONSENT: &str = "has_consent";

/// The prefix that the members of a row have and the names of attributes have not.
const PREFIX: &str = "user_";

impl AttributeExposure {
    /// Exactly these attributes. Words that cannot be the name of one are left out.
    pub fn new<T: Into<String>>(names: impl IntoIterator<Item = T>) -> Self {
        let is_name = |name: &String| {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        Self(names.into_iter().map(Into::into).filter(is_name).collect())
    }

    /// No attribute at all: what is asked for while nothing is known of the configuration.
    pub fn none() -> Self {
        Self(BTreeSet::new())
    }

    /// Whether the offering is told this attribute.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The names, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The members of a row to be asked for (core.md §3.2): a full name comes with its parts.
    fn fields(&self) -> Vec<String> {
        let exposed = self.0.iter().filter(|name| *name != "username").flat_map(|name| match name.as_str() {
            "full_name" => vec!["full_name", "first_name", "last_name"],
            name => vec![name],
        });
        let exposed: BTreeSet<String> = exposed.map(|name| format!("{PREFIX}{name}")).collect();
        CORE.into_iter().map(str::to_owned).chain(exposed).collect()
    }
}

impl Default for AttributeExposure {
    /// What a server tells an offering that was not configured: user name, full name, e-mail address.
    fn default() -> Self {
        Self::new(["username", "full_name", "email"])
    }
}

/// A row with whatever attributes it has.
struct Told(OfferingUser);

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let row = Map::deserialize(deserializer)?;
        let (attributes, consent) = (attributes(&row), row.get(CONSENT).and_then(Value::as_bool));
        let mut account = OfferingUser::deserialize(Value::Object(row)).map_err(serde::de::Error::custom)?;
        (account.attributes, account.has_consent) = (attributes, consent);
        Ok(Self(account))
    }
}

/// The attributes of a row: without their prefix, without those that say nothing. The user name is none of them.
fn attributes(row: &Map<String, Value>) -> JsonObject {
    let says_nothing = |value: &Value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
    let told = row.iter().filter(|(_, value)| !says_nothing(value)).filter_map(|(member, value)| {
        let name = member.strip_prefix(PREFIX).filter(|name| !matches!(*name, "uuid" | "username"))?;
        Some((name.to_owned(), value.clone()))
    });
    told.collect::<Map<_, _>>().into()
}

/// The accounts of a list with the attributes that the offering is told.
pub(super) fn pages(
    exposed: &AttributeExposure,
    consent: bool,
    call: Call,
    key: fn(&OfferingUser) -> String,
) -> Pager<OfferingUser> {
    let call = if consent { call.query("field", CONSENT) } else { call };
    let call = exposed.fields().into_iter().fold(call.secret_answer(), |call, member| call.query("field", member));
    list::bulk_as(call, explain, |Told(account)| account, key)
}
