//! What Waldur's lists say, ready to be asked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use crate::{
    client::{AccountState, OfferingUser, OfferingUserState, ProjectAccount, TeamMember, UserUsageLimit},
    error::Error,
    types::{Limit, Limits, ProjectUuid, ResourceUuid, UserUuid},
};

use super::report::SkipReason;

/// The accounts of people at the offering.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) rows: Vec<OfferingUser>,
    by_user: HashMap<UserUuid, usize>,
    /// Why the list is not proven whole, if it is not.
    pub(super) gap: Option<Error>,
    /// Whether nothing at all is known.
    unread: bool,
}

impl Accounts {
    pub(super) fn new(rows: Vec<OfferingUser>, gap: Option<Error>) -> Self {
        let by_user = rows.iter().enumerate().filter_map(|(place, row)| Some((row.user_uuid?, place))).collect();
        Self { rows, by_user, gap, unread: false }
    }

    /// The list could not be read at all.
    pub(super) fn unread(error: Error) -> Self {
        Self { gap: Some(error), unread: true, ..Self::default() }
    }

    pub(super) fn of(&self, user: UserUuid) -> Option<&OfferingUser> {
        self.rows.get(*self.by_user.get(&user)?)
    }

    /// Whether this list says nothing about those who are not on it.
    fn is_open(&self) -> bool {
        self.unread || self.gap.is_some()
    }
}

/// Accounts that were read again, and whose.
#[derive(Debug, Default)]
pub(super) struct Again {
    pub(super) asked: HashSet<UserUuid>,
    pub(super) accounts: Accounts,
    /// Who was found to be locked out by then, as far as that was asked.
    pub(super) locked_out: Arc<HashSet<UserUuid>>,
}

/// The accounts as they were listed, and those of them in question as they were read again since.
#[derive(Clone, Copy)]
pub(super) struct People<'a> {
    listed: &'a Accounts,
    again: Option<&'a Again>,
}

impl<'a> People<'a> {
    pub(super) fn listed(listed: &'a Accounts) -> Self {
        Self { listed, again: None }
    }

    pub(super) fn again(listed: &'a Accounts, again: &'a Again) -> Self {
        Self { listed, again: Some(again) }
    }

    /// The list that speaks about somebody.
    fn list_of(self, user: UserUuid) -> &'a Accounts {
        self.again.filter(|again| again.asked.contains(&user)).map_or(self.listed, |again| &again.accounts)
    }

    pub(super) fn of(self, user: UserUuid) -> Option<&'a OfferingUser> {
        self.list_of(user).of(user)
    }

    /// Why those in question could not be read again, if so.
    pub(super) fn gap_again(self) -> Option<&'a Error> {
        self.again?.accounts.gap.as_ref()
    }

    /// Who of those in question has not consented to the terms of the offering.
    pub(super) fn without_consent(self) -> impl Iterator<Item = UserUuid> + 'a {
        let rows = self.again.into_iter().flat_map(|again| &again.accounts.rows);
        rows.filter(|account| account.has_consent == Some(false)).filter_map(|account| account.user_uuid)
    }

    /// Why a member of a team may not have access, if so. Somebody without an account is not locked out: what decides
    /// is the name.
    pub(super) fn objection(self, member: &TeamMember) -> Option<SkipReason> {
        let account = self.of(member.uuid);
        // Either may be the older one.
        let states = [account.and_then(|account| account.state.as_ref()), member.offering_user_state.as_ref()];
        if states.into_iter().flatten().any(OfferingUserState::is_leaving) {
            return Some(SkipReason::Leaving);
        }
        let locked_out = self.again.is_some_and(|again| again.locked_out.contains(&member.uuid));
        match account {
            _ if locked_out => Some(SkipReason::Restricted),
            Some(account) if account.is_restricted == Some(true) => Some(SkipReason::Restricted),
            None if self.list_of(member.uuid).is_open() => Some(SkipReason::Unknown),
            _ => None,
        }
    }
}

/// The accounts of one project that no person has.
#[derive(Clone, Debug, Default)]
pub(super) struct AccountNames {
    /// To have access.
    pub(super) active: BTreeSet<String>,
    /// To have none.
    pub(super) closed: BTreeSet<String>,
    /// In a state that says neither.
    pub(super) other: BTreeSet<String>,
}

/// The accounts of all projects that no person has.
#[derive(Debug, Default)]
pub(super) struct ProjectAccounts {
    by_project: HashMap<ProjectUuid, AccountNames>,
    /// Why the lists are not proven whole, if they are not.
    pub(super) gap: Option<Error>,
}

impl ProjectAccounts {
    pub(super) fn add(&mut self, rows: Vec<ProjectAccount>, gap: Option<Error>) {
        self.gap = self.gap.take().or(gap);
        for row in rows {
            let (Some(project), Some(name)) = (row.project_uuid, row.username) else { continue };
            let names = self.by_project.entry(project).or_default();
            let names = match row.state {
                Some(AccountState::Ok) => &mut names.active,
                Some(AccountState::Closed) => &mut names.closed,
                _ => &mut names.other,
            };
            names.insert(name.into_string());
        }
        // A name that is open anywhere is not closed.
        for names in self.by_project.values_mut() {
            names.closed.retain(|name| !names.active.contains(name) && !names.other.contains(name));
        }
    }

    pub(super) fn of(&self, project: Option<ProjectUuid>) -> AccountNames {
        project.and_then(|project| self.by_project.get(&project)).cloned().unwrap_or_default()
    }
}

/// The limits of single users, by resource and by whatever the server calls the user.
pub(super) type UserLimitTable = HashMap<ResourceUuid, BTreeMap<String, Limits>>;

/// Reads the rows of user limits. Rows that make no sense are an error: a limit left out would be taken away.
pub(super) fn user_limits(rows: Vec<UserUsageLimit>, only: Option<ResourceUuid>) -> Result<UserLimitTable, Error> {
    let mut table = UserLimitTable::new();
    for row in rows {
        let resource = row.resource.or(only);
        let user =
            row.user_uuid().map(UserUuid::hex).or_else(|| row.user.clone().map(crate::types::Personal::into_string));
        let (Some(resource), Some(user), Some(component), Some(amount)) =
            (resource, user, row.component_type, row.limit)
        else {
            return Err(Error::new(crate::ErrorKind::Decode, "an entry lacks its resource, user, component or limit"));
        };
        let limit = Limit::from_waldur(&component, amount)?;
        table.entry(resource).or_default().entry(user).or_default().insert(component, limit);
    }
    Ok(table)
}
