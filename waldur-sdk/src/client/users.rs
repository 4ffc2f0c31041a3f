//! Users of Waldur (core.md §1.6 #1): `/api/users/`.

use jiff::Timestamp;
use serde::Deserialize;

use super::{answer::explain, fields, list};
use crate::{
    error::Result,
    rest::{Pager, RestClient},
    types::{CustomerUuid, Personal, ProjectUuid, UserUuid, Uuid, lenient},
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
    /// Its roles, as far as they can be read.
    #[serde(default, deserialize_with = "lenient::readable")]
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

/// A user of Waldur, as far as this account may see.
///
/// The full answer of the server contains the API token of users to its operators (recorded: 005_users_me_staff). It is
/// not asked for, and there is no member to hold it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct User {
    /// Identifies the user.
    pub uuid: UserUuid,
    /// The user name: the federated identity.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
    /// The full name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub full_name: Option<Personal>,
    /// The first name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub first_name: Option<Personal>,
    /// The last name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub last_name: Option<Personal>,
    /// The e-mail address.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub email: Option<Personal>,
    /// Where the user works.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub organization: Option<Personal>,
    /// Whether the user may log in.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_active: Option<bool>,
}

/// Which users to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UserQuery {
    /// Only users whose user name the server finds equal to this.
    pub username: Option<Personal>,
    /// Only users whose e-mail address the server finds equal to this.
    pub email: Option<Personal>,
    /// Only users with a role in this project.
    pub project: Option<ProjectUuid>,
    /// Only users with a role in this customer or its projects.
    pub customer: Option<CustomerUuid>,
    /// Only users who may, or may not, log in.
    pub active: Option<bool>,
}

impl UserQuery {
    /// Only users of this user name.
    #[must_use]
    pub fn username(mut self, username: impl Into<Personal>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// Only users with this e-mail address.
    #[must_use]
    pub fn email(mut self, email: impl Into<Personal>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Only users with a role in `project`.
    #[must_use]
    pub fn project(mut self, project: ProjectUuid) -> Self {
        self.project = Some(project);
        self
    }

    /// Only users with a role in `customer` or its projects.
    #[must_use]
    pub fn customer(mut self, customer: CustomerUuid) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Only users who may, or may not, log in.
    #[must_use]
    pub fn active(mut self, active: bool) -> Self {
        self.active = Some(active);
        self
    }
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

    /// Lists the users that this account may see.
    pub fn list(self, query: &UserQuery) -> Pager<User> {
        let call = self.rest.get("users.list", "/api/users/", &[]).must_exist();
        // Refusals may repeat what was asked for.
        let asked = [&query.username, &query.email].into_iter().flatten();
        let call = asked.fold(call, |call, text| call.secret(&text.as_str().into()));
        let call = call
            .query_opt("username", query.username.as_ref().map(Personal::as_str))
            .query_opt("email", query.email.as_ref().map(Personal::as_str))
            .query_opt("project_uuid", query.project)
            .query_opt("customer_uuid", query.customer)
            .query_opt("is_active", query.active);
        list::pages(fields::select::<User>(call), explain, |user: &User| user.uuid.hex())
    }

    /// Reads a user.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, user: UserUuid) -> Result<User> {
        let call = self.rest.get("users.get", "/api/users/{user}/", &[&user.hex()]);
        fields::select::<User>(call).send_json().await.map_err(explain)
    }

    /// Finds the user of exactly this user name.
    ///
    /// # Errors
    /// `Inconsistent` when there are two: whichever were taken might be the wrong one (faults.md row 154).
    pub async fn find_by_username(self, username: &str) -> Result<Option<User>> {
        let users = self.list(&UserQuery::default().username(username)).all().await?;
        // A filter that the server does not know is ignored, or finds similar names, so what came is looked at.
        let is_same = |user: &User| user.username.as_ref().is_some_and(|name| name.as_str() == username);
        list::only(users.into_iter().filter(is_same), || "two users have the same user name".to_owned())
    }
}
