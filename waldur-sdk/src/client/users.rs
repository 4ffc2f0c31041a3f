//! Users of Waldur (core.md §1.6 #1): `/api/users/`.

use jiff::Timestamp;
use serde::Deserialize;

use super::{answer::explain, fields};
use crate::{
    error::Result,
    rest::RestClient,
    types::{Personal, UserUuid, Uuid, lenient},
};

/// The account in whose name the client calls.
///
/// The full answer of the server contains the account's API token (recorded: 003_users_me). It is not asked for, and
/// there is no member to hold it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct CurrentUser {
    /// Identifies the user.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub uuid: Option<UserUuid>,
    /// The user name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
    /// The full name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub full_name: Option<Personal>,
    /// Whether the account belongs to the operators of Waldur. Told to them only by a server of 2024.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_staff: Option<bool>,
    /// Its roles.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub permissions: Vec<Permission>,
}

/// A role of a user in something.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Permission {
    /// The role: `OFFERING.MANAGER`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub role_name: Option<String>,
    /// What the role is held in: `customer`, `offering`, `project`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub scope_type: Option<String>,
    /// Identifies that.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub scope_uuid: Option<Uuid>,
    /// The name of that.
    #[serde(default, deserialize_with = "lenient::text")]
    pub scope_name: Option<String>,
    /// When the role ends.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub expiration_time: Option<Timestamp>,
}

/// The calls about users.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a> {
    rest: &'a RestClient,
}

impl<'a> Users<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Reads the account in whose name the client calls (#1): the cheapest proof that URL and credentials are right.
    ///
    /// # Errors
    /// `Unauthenticated` when the credentials are wrong.
    pub async fn me(self) -> Result<CurrentUser> {
        let call = self.rest.get("users.me", "/api/users/me/", &[]).must_exist();
        fields::select::<CurrentUser>(call).send_json().await.map_err(explain)
    }
}
