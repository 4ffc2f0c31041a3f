//! What a provider tells about the members of a resource (core.md §1.6 #40). Not in the published schema of 8.0.5.

use serde::{Deserialize, Serialize};

use super::{ProviderResources, answer::explain_newer};
use crate::{
    error::Result,
    open_enum,
    types::{Personal, ResourceUuid, UserUuid, lenient},
};

open_enum! {
    /// How far a member's access is (core.md §1.5).
    pub enum MemberState {
        /// It is there.
        Synced = "synced",
        /// It waits for something.
        Pending = "pending",
        /// The identity provider does not know the person.
        MissingInIdp = "missing_in_idp",
        /// It could not be given.
        Error = "error",
    }
}

/// How far the access of one member of a resource is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemberStatus {
    /// What the access is to: `resource` or `resource_project`.
    pub scope_type: String,
    /// The role by which the person is a member.
    pub role_name: String,
    /// How far it is.
    pub state: MemberState,
    /// The person, by user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Personal>,
    /// The person, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_uuid: Option<UserUuid>,
    /// Why it is so, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl MemberStatus {
    /// The access of a member to the resource itself.
    pub fn new(user: UserUuid, role: impl Into<String>, state: MemberState) -> Self {
        Self {
            scope_type: "resource".to_owned(),
            role_name: role.into(),
            state,
            username: None,
            user_uuid: Some(user),
            message: None,
        }
    }
}

/// What the server kept of the statuses.
#[derive(Clone, Debug, Default, Deserialize)]
#[non_exhaustive]
pub struct StoredStatuses {
    /// How many were kept.
    #[serde(default)]
    pub stored: u64,
    /// Why others were not.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub skipped: Vec<String>,
}

impl ProviderResources<'_> {
    /// Replaces what is told about the access of the resource's members (#40).
    ///
    /// # Errors
    /// `Conflict` when the offering does not want to be told. `Unsupported` on servers that do not have it.
    pub async fn set_membership_sync_statuses(
        self,
        resource: ResourceUuid,
        statuses: &[MemberStatus],
    ) -> Result<StoredStatuses> {
        #[derive(Serialize)]
        struct Statuses<'a> {
            statuses: &'a [MemberStatus],
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_membership_sync_statuses/";
        let call = self.rest.post("provider_resources.set_membership_sync_statuses", PATH, &[&resource.hex()]);
        // Refusals may repeat names.
        let names = statuses.iter().filter_map(|status| status.username.as_ref());
        let call = names.fold(call, |call, name| call.secret(&name.as_str().into()));
        call.json(&Statuses { statuses }).idempotent().secret_answer().send_json().await.map_err(explain_newer)
    }
}
