//! Addresses.

use serde::{Deserialize, Serialize};

use super::lenient;

/// An address at which a resource can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// What is there, for people.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub name: String,
    /// The address.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub url: String,
}
