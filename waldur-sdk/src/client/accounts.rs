//! Accounts that no person has (core.md §1.6 #57, §3.5): of services and of courses, for the resources of a project.

use serde::Deserialize;

use super::{answer::explain_newer, list};
use crate::{
    open_enum,
    rest::{Call, Pager},
    types::{Personal, ProjectUuid, Uuid, lenient},
};

open_enum! {
    /// Where such an account stands (core.md §1.5).
    pub enum AccountState {
        /// To be on every resource of its project.
        Ok = "OK",
        /// To be on none.
        Closed = "Closed",
        /// Something failed.
        Erred = "Erred",
        /// Not there yet; of a course.
        Pending = "Pending",
    }
}

/// An account of a service or of a course. The server's row holds a token, which is not read.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ProjectAccount {
    /// Identifies the account.
    pub uuid: Uuid,
    /// Its name on the site.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
    /// Where it stands.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<AccountState>,
    /// Its project.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub project_uuid: Option<ProjectUuid>,
}

pub(super) fn accounts(call: Call) -> Pager<ProjectAccount> {
    // This list takes no choice of members.
    list::bulk(call.secret_answer(), explain_newer, |account: &ProjectAccount| account.uuid.simple().to_string())
}
