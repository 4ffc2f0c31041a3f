//! Accounts that are to be removed: Requested deletion, Deleting, Deleted (core.md §8 #27). Driven only where the
//! policy says so.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};

use super::{AccountOutcome, AccountReport, NameGiver};
use crate::{
    client::{OfferingUser, OfferingUserState as S},
    error::Result,
    process::failure::shielded,
};

impl NameGiver<'_> {
    /// Takes up the removals that were requested.
    pub(in crate::process) async fn begin_deletions(&self, accounts: &mut [OfferingUser]) -> Vec<AccountReport> {
        let wanted = accounts.iter_mut().filter(|account| account.state == Some(S::RequestedDeletion));
        // Collected first: a stream that still maps references could not be sent to another thread.
        let deletions: Vec<_> = wanted
            .map(|account| async move {
                let begun =
                    if self.dry_run { Ok(()) } else { self.waldur.offering_users().set_deleting(account.uuid).await };
                let outcome = match begun {
                    Ok(()) => {
                        account.state = Some(S::Deleting);
                        AccountOutcome::Deleting
                    }
                    Err(error) => AccountOutcome::Deferred(error),
                };
                AccountReport { account: account.uuid, outcome }
            })
            .collect();
        stream::iter(deletions).buffer_unordered(self.concurrency.max(1)).collect().await
    }

    /// Ends the removals of those whose names have access to nothing any more.
    pub(in crate::process) async fn end_deletions(
        &self,
        accounts: &[OfferingUser],
        still_present: &BTreeSet<String>,
    ) -> Vec<AccountReport> {
        let is_present = |account: &OfferingUser| {
            account.username.as_ref().is_some_and(|name| still_present.contains(name.as_str()))
        };
        let gone = accounts.iter().filter(|account| account.state == Some(S::Deleting) && !is_present(account));
        let deletions: Vec<_> = gone
            .map(|account| async move {
                let outcome = if self.dry_run { AccountOutcome::Deleted } else { self.end_deletion(account).await };
                AccountReport { account: account.uuid, outcome }
            })
            .collect();
        stream::iter(deletions).buffer_unordered(self.concurrency.max(1)).collect().await
    }

    async fn end_deletion(&self, account: &OfferingUser) -> AccountOutcome {
        let accounts = self.waldur.offering_users();
        let deactivated: Result<()> = match &account.username {
            None => Ok(()),
            Some(name) => shielded(self.backend.deactivate(self.cx, &[name.as_str().to_owned()])).await,
        };
        match deactivated {
            Ok(()) => match accounts.set_deleted(account.uuid).await {
                Ok(()) => AccountOutcome::Deleted,
                Err(error) => AccountOutcome::Deferred(error),
            },
            Err(error) if error.is_passing() => AccountOutcome::Deferred(error),
            Err(error) => match accounts.set_error_deleting(account.uuid).await {
                Ok(()) => AccountOutcome::Failed(error),
                Err(cause) => AccountOutcome::NotReported(error, cause),
            },
        }
    }
}
