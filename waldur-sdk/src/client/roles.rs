//! Roles, and who has them: `/api/roles/`, `…/list_users/`.

use jiff::Timestamp;
use serde::Deserialize;

use super::{answer::explain, fields, list};
use crate::{
    rest::{Call, Pager, RestClient},
    types::{Personal, RoleUuid, UserUuid, Uuid, lenient},
};

/// A role that users may have.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Role {
    /// Identifies the role.
    pub uuid: RoleUuid,
    /// Its name: `PROJECT.ADMIN`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// What it is, for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: Option<String>,
    /// What it allows: `ORDER.APPROVE`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub permissions: Vec<String>,
    /// What it is held in: `customer`, `offering`, `project`…
    #[serde(default, deserialize_with = "lenient::text")]
    pub content_type: Option<String>,
    /// Whether Waldur brought it along.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_system_role: Option<bool>,
    /// Whether it may be given.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_active: Option<bool>,
}

/// Somebody who has a role in something.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct RoleHolder {
    /// Identifies that this user has this role here.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub uuid: Option<Uuid>,
    /// The user.
    pub user_uuid: UserUuid,
    /// The user name in Waldur.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_username: Option<Personal>,
    /// The full name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_full_name: Option<Personal>,
    /// The e-mail address.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_email: Option<Personal>,
    /// The role: `PROJECT.ADMIN`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub role_name: Option<String>,
    /// Identifies the role.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub role_uuid: Option<RoleUuid>,
    /// Since when.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub created: Option<Timestamp>,
    /// When the role ends.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub expiration_time: Option<Timestamp>,
}

/// The pages of a list of those who have a role. A user may have two: one entry for each.
pub(super) fn holders(call: Call) -> Pager<RoleHolder> {
    let key = |holder: &RoleHolder| format!("{} {:?} {:?}", holder.user_uuid, holder.uuid, holder.role_name);
    list::pages(fields::select::<RoleHolder>(call), explain, key)
}

/// The calls about roles.
#[derive(Clone, Copy, Debug)]
pub struct Roles<'a> {
    rest: &'a RestClient,
}

impl<'a> Roles<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists roles; those whose name contains `name`, as the server compares names, if there is one.
    pub fn list(self, name: Option<&str>) -> Pager<Role> {
        let call = self.rest.get("roles.list", "/api/roles/", &[]).must_exist().query_opt("name", name);
        list::pages(fields::select::<Role>(call), explain, |role: &Role| role.uuid.hex())
    }
}
