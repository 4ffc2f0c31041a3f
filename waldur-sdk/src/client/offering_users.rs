//! Accounts of users at offerings (core.md §1.6 #50): `/api/marketplace-offering-users/`.

use serde::Deserialize;

use super::{answer::explain, fields, list};
use crate::{
    open_enum,
    rest::{Pager, RestClient},
    types::{OfferingUserUuid, OfferingUuid, Personal, UserUuid, lenient},
};

open_enum! {
    /// Where an account stands (core.md §1.5).
    pub enum OfferingUserState {
        /// Wanted.
        Requested = "Requested",
        /// Being made.
        Creating = "Creating",
        /// Waits for the user to link an account.
        PendingAccountLinking = "Pending account linking",
        /// Waits for the user to prove something.
        PendingAdditionalValidation = "Pending additional validation",
        /// Usable.
        Ok = "OK",
        /// Not wanted any more.
        RequestedDeletion = "Requested deletion",
        /// Being removed.
        Deleting = "Deleting",
        /// Gone.
        Deleted = "Deleted",
        /// Could not be made.
        ErrorCreating = "Error creating",
        /// Could not be removed.
        ErrorDeleting = "Error deleting",
    }
}

/// The account of a user at an offering.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct OfferingUser {
    /// Identifies the account.
    pub uuid: OfferingUserUuid,
    /// The address of the account in the API, which reports of usage name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub url: Option<String>,
    /// The offering.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering_uuid: Option<OfferingUuid>,
    /// The user.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub user_uuid: Option<UserUuid>,
    /// The user name at the offering; `None` until there is one.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
    /// The federated identity: the user name in Waldur.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_username: Option<Personal>,
    /// The full name, if the offering is told it.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_full_name: Option<Personal>,
    /// The e-mail address, if the offering is told it.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_email: Option<Personal>,
    /// Where the account stands, since 8.x.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<OfferingUserState>,
    /// Whether the user is locked out.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_restricted: Option<bool>,
}

/// Which accounts to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OfferingUserQuery {
    /// Only accounts at these offerings; all when empty.
    pub offerings: Vec<OfferingUuid>,
    /// Only accounts of this user.
    pub user: Option<UserUuid>,
    /// Only accounts that are, or are not, locked out.
    pub restricted: Option<bool>,
    /// Only accounts in one of these states; all when empty. A server of 2024 ignores it (recorded:
    /// 230_offering_users_user_filter).
    pub states: Vec<OfferingUserState>,
}

impl OfferingUserQuery {
    /// The accounts at `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offerings: vec![offering], ..Self::default() }
    }

    /// Only accounts of `user`.
    #[must_use]
    pub fn user(mut self, user: UserUuid) -> Self {
        self.user = Some(user);
        self
    }

    /// Only accounts that are, or are not, locked out.
    #[must_use]
    pub fn restricted(mut self, restricted: bool) -> Self {
        self.restricted = Some(restricted);
        self
    }

    /// Only accounts in one of `states`.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = OfferingUserState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }
}

/// The calls about accounts at offerings.
#[derive(Clone, Copy, Debug)]
pub struct OfferingUsers<'a> {
    pub(super) rest: &'a RestClient,
}

impl<'a> OfferingUsers<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists accounts, oldest first (#50).
    pub fn list(self, query: &OfferingUserQuery) -> Pager<OfferingUser> {
        let mut call = self.rest.get("offering_users.list", "/api/marketplace-offering-users/", &[]);
        for offering in &query.offerings {
            call = call.query("offering_uuid", offering);
        }
        call = call.query_opt("user_uuid", query.user).query_opt("is_restricted", query.restricted);
        for state in &query.states {
            call = call.query("state", state);
        }
        let call = fields::select::<OfferingUser>(call.query("o", "created"));
        list::bulk(call, explain, |user: &OfferingUser| user.uuid.hex())
    }
}
