//! Names that the back end itself gave to people (core.md §5.7, §7.2): where Waldur has another name, it is told this
//! one.

use std::collections::{BTreeMap, BTreeSet};

use super::{AccountOutcome, AccountReport, RefusedNames};
use crate::{
    client::{OfferingUser, OfferingUserState, WaldurClient},
    error::{Error, ErrorKind},
    types::{OfferingUserUuid, Personal},
};

/// Tells Waldur names that are given elsewhere.
pub(in crate::process) struct NameTeller<'a> {
    pub(in crate::process) waldur: &'a WaldurClient,
    pub(in crate::process) dry_run: bool,
    pub(in crate::process) refused: &'a RefusedNames,
}

impl NameTeller<'_> {
    /// Brings the names of the accounts in line with the assigned ones. An account on its way out keeps its name, and no
    /// two accounts get the same one; one account's failure is its own.
    pub(in crate::process) async fn tell(
        &self,
        accounts: &mut [OfferingUser],
        assigned: &BTreeMap<OfferingUserUuid, Personal>,
    ) -> Vec<AccountReport> {
        let mut owners: BTreeMap<&Personal, usize> = BTreeMap::new();
        for name in assigned.values() {
            *owners.entry(name).or_default() += 1;
        }
        let twice: BTreeSet<&Personal> =
            owners.into_iter().filter(|(_, owners)| *owners > 1).map(|(name, _)| name).collect();
        let mut reports = Vec::new();
        for account in accounts {
            let leaving = account.state.as_ref().is_some_and(OfferingUserState::is_leaving);
            let Some(name) = assigned.get(&account.uuid).filter(|name| differs(name, account) && !leaving) else {
                continue;
            };
            let outcome = if twice.contains(name) {
                let text = "the back end gives the same name to more than one person";
                AccountOutcome::Failed(Error::new(ErrorKind::Inconsistent, text))
            } else {
                self.rename(account, name).await
            };
            reports.push(AccountReport { account: account.uuid, outcome });
        }
        reports
    }

    async fn rename(&self, account: &mut OfferingUser, name: &Personal) -> AccountOutcome {
        let now = self.waldur.environment().instant();
        if let Some(error) = self.refused.objection(account.uuid, name, now) {
            return AccountOutcome::Failed(error);
        }
        if !self.dry_run {
            match self.waldur.offering_users().set_username(account.uuid, name).await {
                Ok(named) => account.state = named.state,
                Err(error) if error.kind() == ErrorKind::InvalidRequest => {
                    self.refused.learn(account.uuid, name.clone(), error.clone(), now);
                    return AccountOutcome::Failed(error);
                }
                Err(error) => return AccountOutcome::Deferred(error),
            }
        }
        account.username = Some(name.clone());
        AccountOutcome::Named
    }
}

fn differs(name: &Personal, account: &OfferingUser) -> bool {
    !name.as_str().trim().is_empty() && account.username.as_ref() != Some(name)
}
