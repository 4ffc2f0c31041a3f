//! Accounts of users at offerings (core.md §1.6 #50 to #56): `/api/marketplace-offering-users/`.

use http::Method;
use serde::{Deserialize, Serialize};

use super::{
    answer::{explain, explain_newer},
    attributes::{self, AttributeExposure},
    fields, list,
    orders::Nothing,
};
use crate::{
    error::{ErrorKind, Result},
    open_enum,
    rest::{Call, Pager, RestClient},
    types::{JsonObject, OfferingUserUuid, OfferingUuid, Personal, UserUuid, lenient},
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

impl OfferingUserState {
    /// Whether the account is on its way out, or gone.
    pub fn is_leaving(&self) -> bool {
        matches!(self, Self::RequestedDeletion | Self::Deleting | Self::Deleted | Self::ErrorDeleting)
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
    /// Whether the user consents to the terms of the offering, since 8.x; `None` unless [`OfferingUserQuery::consent`] asked
    /// for it.
    #[serde(skip)]
    pub has_consent: Option<bool>,
    /// What else the offering is told of the user, by the name of the attribute (`organization`, not
    /// `user_organization`). Empty unless [`OfferingUserQuery::attributes`] asked for it.
    #[serde(skip)]
    pub attributes: JsonObject,
}

/// No more of an account than what tells which one it is and whether it may be used.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct OfferingUserSummary {
    /// Identifies the account.
    pub uuid: OfferingUserUuid,
    /// The address of the account in the API, which reports of usage name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub url: Option<String>,
    /// The user.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub user_uuid: Option<UserUuid>,
    /// The user name at the offering; `None` until there is one.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
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
    /// What is asked for of each user beside the account itself; `None` for names and address only. See
    /// [`ProviderOfferings::exposed_attributes`](super::ProviderOfferings::exposed_attributes).
    pub attributes: Option<AttributeExposure>,
    /// Whether to ask who consents to the terms of the offering, which the server looks up one by one. Only along with
    /// [`Self::attributes`].
    pub consent: bool,
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

    /// Asks for these attributes of the users, and no others.
    #[must_use]
    pub fn attributes(mut self, exposed: AttributeExposure) -> Self {
        self.attributes = Some(exposed);
        self
    }

    /// Asks who consents to the terms of the offering, or does not.
    #[must_use]
    pub fn consent(mut self, asks: bool) -> Self {
        self.consent = asks;
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
        let call = self.list_call(query);
        match &query.attributes {
            None => list::bulk(fields::select::<OfferingUser>(call), explain, key),
            Some(exposed) => attributes::pages(exposed, query.consent, call, key),
        }
    }

    /// As [`list`](Self::list), without what the offering is told of the users: [`OfferingUserQuery::attributes`] has no
    /// effect.
    pub fn summaries(self, query: &OfferingUserQuery) -> Pager<OfferingUserSummary> {
        let call = fields::select::<OfferingUserSummary>(self.list_call(query));
        list::bulk(call, explain, |account: &OfferingUserSummary| account.uuid.hex())
    }

    fn list_call(self, query: &OfferingUserQuery) -> Call {
        let mut call = self.rest.get("offering_users.list", "/api/marketplace-offering-users/", &[]).must_exist();
        for offering in &query.offerings {
            call = call.query("offering_uuid", offering);
        }
        call = call.query_opt("user_uuid", query.user).query_opt("is_restricted", query.restricted);
        for state in &query.states {
            call = call.query("state", state);
        }
        call.query("o", "created")
    }

    /// Reads an account (#50).
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this client may see.
    pub async fn get(self, account: OfferingUserUuid) -> Result<OfferingUser> {
        let call = self.rest.get("offering_users.get", DETAIL, &[&account.hex()]);
        fields::select::<OfferingUser>(call).send_json().await.map_err(explain)
    }

    /// Gives the account its user name (#51), which makes it usable. The answer is the account as it is then.
    ///
    /// # Errors
    /// `InvalidRequest` when the server does not take the name: too long, or somebody else's.
    pub async fn set_username(self, account: OfferingUserUuid, username: &Personal) -> Result<OfferingUser> {
        #[derive(Serialize)]
        struct Name<'a> {
            username: &'a Personal,
        }
        let call = self.rest.call(Method::PATCH, "offering_users.set_username", DETAIL, &[&account.hex()]);
        // Refusals may repeat the name.
        let call = call.secret(&username.as_str().into()).secret_answer();
        call.json(&Name { username }).idempotent().send_json().await.map_err(explain)
    }

    /// Locks the user out of the offering, or lets them in again.
    ///
    /// # Errors
    /// `NotFound` when there is no such account, or none that this client may see.
    pub async fn set_restricted(self, account: OfferingUserUuid, is_restricted: bool) -> Result<()> {
        #[derive(Serialize)]
        struct Restriction {
            is_restricted: bool,
        }
        const PATH: &str = "/api/marketplace-offering-users/{account}/update_restricted/";
        let call = self.rest.post("offering_users.set_restricted", PATH, &[&account.hex()]);
        call.json(&Restriction { is_restricted }).idempotent().send_unit().await.map_err(explain)
    }

    /// Replaces what the user is told about the account, whatever its state: words, and where to read on. Since 8.x.
    ///
    /// # Errors
    /// `NotFound` when there is no such account. `Unsupported` on a server of 2024.
    pub async fn update_comments(self, account: OfferingUserUuid, comment: &str, url: Option<&str>) -> Result<()> {
        // No null here, as in the wishes below.
        #[derive(Serialize)]
        struct Comments<'a> {
            service_provider_comment: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            service_provider_comment_url: Option<&'a str>,
        }
        const PATH: &str = "/api/marketplace-offering-users/{account}/update_comments/";
        let call = self.rest.call(Method::PATCH, "offering_users.update_comments", PATH, &[&account.hex()]);
        let comments = Comments { service_provider_comment: comment, service_provider_comment_url: url };
        call.json(&comments).idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Removes the account: the link between the user and the offering, whatever its state. An account that is gone is
    /// a success.
    ///
    /// # Errors
    /// `PermissionDenied` when this account may not.
    pub async fn delete(self, account: OfferingUserUuid) -> Result<()> {
        let call = self.rest.delete("offering_users.delete", DETAIL, &[&account.hex()]);
        match call.idempotent().send_unit().await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(explain),
        }
    }

    /// Says that the account is being made (#52). Since 8.x, as all transitions.
    ///
    /// # Errors
    /// `Conflict` or `InvalidRequest` when the account is neither requested nor failed: read it again and decide anew.
    /// `Unsupported` on a server of 2024.
    pub async fn begin_creating(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/begin_creating/";
        self.go("offering_users.begin_creating", PATH, account).await
    }

    /// Says that the account could not be made (#53).
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_error_creating(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_error_creating/";
        self.go("offering_users.set_error_creating", PATH, account).await
    }

    /// Asks the user to link an account (#54): what to do, in words, and where.
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_pending_account_linking(
        self,
        account: OfferingUserUuid,
        comment: &str,
        url: Option<&str>,
    ) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_pending_account_linking/";
        self.ask("offering_users.set_pending_account_linking", PATH, account, comment, url).await
    }

    /// Asks the user to prove something (#54): what to do, in words, and where.
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_pending_additional_validation(
        self,
        account: OfferingUserUuid,
        comment: &str,
        url: Option<&str>,
    ) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_pending_additional_validation/";
        self.ask("offering_users.set_pending_additional_validation", PATH, account, comment, url).await
    }

    /// Says that the user has done what was asked for (#55); the comments go.
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_validation_complete(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_validation_complete/";
        self.go("offering_users.set_validation_complete", PATH, account).await
    }

    /// Says that the account is usable (#56).
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_ok(self, account: OfferingUserUuid) -> Result<()> {
        self.go("offering_users.set_ok", "/api/marketplace-offering-users/{account}/set_ok/", account).await
    }

    /// Asks for the removal of the account (#56).
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn request_deletion(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/request_deletion/";
        self.go("offering_users.request_deletion", PATH, account).await
    }

    /// Says that the account is being removed (#56).
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_deleting(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_deleting/";
        self.go("offering_users.set_deleting", PATH, account).await
    }

    /// Says that the account is gone (#56).
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_deleted(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_deleted/";
        self.go("offering_users.set_deleted", PATH, account).await
    }

    /// Says that the account could not be removed (#56).
    ///
    /// # Errors
    /// As [`Self::begin_creating`].
    pub async fn set_error_deleting(self, account: OfferingUserUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-offering-users/{account}/set_error_deleting/";
        self.go("offering_users.set_error_deleting", PATH, account).await
    }

    /// A transition without arguments. Repeating one that was carried out is refused and does no harm.
    async fn go(self, operation: &'static str, path: &'static str, account: OfferingUserUuid) -> Result<()> {
        let call = self.rest.post(operation, path, &[&account.hex()]).json(&Nothing {});
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    async fn ask(
        self,
        operation: &'static str,
        path: &'static str,
        account: OfferingUserUuid,
        comment: &str,
        url: Option<&str>,
    ) -> Result<()> {
        // The schema knows no null here: without a place there is no member (core.md §1.6 #54).
        #[derive(Serialize)]
        struct Wish<'a> {
            comment: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            comment_url: Option<&'a str>,
        }
        let call = self.rest.post(operation, path, &[&account.hex()]).json(&Wish { comment, comment_url: url });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }
}

const DETAIL: &str = "/api/marketplace-offering-users/{account}/";

fn key(account: &OfferingUser) -> String {
    account.uuid.hex()
}
