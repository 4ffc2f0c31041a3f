//! What is to be done about one resource, from what was seen of it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{diff::Diff, limits::LimitsPlan, listed::ProjectAccounts, team::Roster};
use crate::{
    backend::{ResourceState, Status},
    client::Resource,
    error::{Error, Result},
    rest::Complete,
    types::{JsonObject, Limits},
};

/// One resource on both sides, as it was seen.
#[derive(Clone)]
pub(super) struct Sight<'a> {
    pub(super) row: &'a Resource,
    pub(super) state: &'a ResourceState,
    /// Who has access; `None` where the back end has no members, or could not tell.
    pub(super) present: Option<&'a Complete<String>>,
    /// Why it could not tell.
    pub(super) present_error: Option<Error>,
    /// The limits of single users; `None` where the back end has no such thing, or said nothing.
    pub(super) user_limits: Option<&'a Result<BTreeMap<String, Limits>>>,
    pub(super) team: Option<&'a Roster>,
    /// The accounts that no person has.
    pub(super) accounts: &'a ProjectAccounts,
    /// Whether another resource of the same back-end id is not in this pass, so that nobody knows what it wants.
    pub(super) elsewhere: bool,
}

/// What is to be done.
pub(super) struct Plan {
    pub(super) members: Diff,
    pub(super) status: Option<Status>,
    /// All metadata, as Waldur is to have them.
    pub(super) metadata: Option<JsonObject>,
    pub(super) limits: Result<LimitsPlan>,
    /// Whether the back end keeps something else in step, and finds it is not.
    pub(super) upkeep: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            members: Diff::default(),
            status: None,
            metadata: None,
            limits: Ok(LimitsPlan::default()),
            upkeep: false,
        }
    }
}

impl Plan {
    /// Whether anything is to be written, on either side.
    pub(super) fn writes(&self) -> bool {
        let members = &self.members;
        let limits = self.limits.as_ref().is_ok_and(|limits| limits.to_waldur.is_some() || limits.to_backend.is_some());
        !(members.add.is_empty()
            && members.remove.is_empty()
            && members.add_accounts.is_empty()
            && members.remove_accounts.is_empty()
            && self.status.is_none()
            && self.metadata.is_none())
            || limits
            || self.upkeep
    }
}

/// What Waldur wants of the resource: paused before downscaled (core.md §3.6).
fn wanted_status(row: &Resource) -> Status {
    if row.paused == Some(true) {
        Status::Paused
    } else if row.downscaled == Some(true) {
        Status::Downscaled
    } else {
        Status::Active
    }
}

/// The status to be set; `None` where the object has it. A healthy resource is thus never restored.
pub(super) fn status(sight: &Sight<'_>) -> Option<Status> {
    let wanted = wanted_status(sight.row);
    (wanted != sight.state.status).then_some(wanted)
}

/// Whether the resource is to be active and is. Some back ends pause by taking quotas away: while that holds, or is
/// just being undone, limits that differ say nothing.
pub(super) fn is_active(sight: &Sight<'_>) -> bool {
    wanted_status(sight.row) == Status::Active && sight.state.status == Status::Active
}

/// All metadata as Waldur is to have them, if that differs from what it has: what the back end publishes now in place
/// of what it published before or withdraws, members of others as they are (the call replaces the whole object).
pub(super) fn metadata(sight: &Sight<'_>, published: &BTreeSet<String>) -> Option<JsonObject> {
    let (ours, withdrawn) = (sight.state.metadata.as_ref(), &sight.state.withdrawn);
    if ours.is_none() && withdrawn.is_empty() {
        return None;
    }
    let mut merged = sight.row.backend_metadata.clone();
    // Where nothing is told of the rest, it stays.
    let told = ours.is_some();
    for name in withdrawn.iter().chain(published.iter().filter(|_| told)) {
        merged.remove(name);
    }
    merged.extend(ours.iter().flat_map(|metadata| metadata.iter()).map(|(name, value)| (name.clone(), value.clone())));
    (merged != sight.row.backend_metadata).then_some(merged)
}
