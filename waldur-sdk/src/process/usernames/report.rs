//! What came of giving names.

use crate::{error::Error, naming::NamedBy, process::Warning, types::OfferingUserUuid};

/// What came of giving names in one pass.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsernameReport {
    /// Who names people at this offering. `None` if that was not asked, because there is no
    /// [`UsernameBackend`](crate::backend::UsernameBackend), or could not be read.
    pub named_by: Option<NamedBy>,
    /// One entry for each account that wanted a name or was to be removed.
    pub accounts: Vec<AccountReport>,
    /// How many people who left were reported to the username back end.
    pub deactivated: usize,
    /// What went wrong beside the accounts.
    pub warnings: Vec<Warning>,
}

impl UsernameReport {
    /// Whether nothing went wrong.
    pub fn is_clean(&self) -> bool {
        self.warnings.is_empty() && self.accounts.iter().all(|account| account.outcome.is_good())
    }
}

/// What became of one account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccountReport {
    /// The account.
    pub account: OfferingUserUuid,
    /// What became of it.
    pub outcome: AccountOutcome,
}

/// What became of one account in one pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AccountOutcome {
    /// It has its name now.
    Named,
    /// Somebody else was faster; the account was left as it is.
    LeftToOthers,
    /// There is no name for it, and that is all right.
    NoName,
    /// The person was asked to do something.
    Asked,
    /// The person has still to do what was asked for.
    StillWaiting,
    /// A dry run: the username back end would be asked, and it has no preview of its answer.
    DryRun,
    /// Asking for a name failed for good: the account is marked as failed.
    Failed(Error),
    /// As [`Failed`](Self::Failed), but Waldur could not be told: first the failure, then why.
    NotReported(Error, Error),
    /// Left as it is; the next pass tries again.
    Deferred(Error),
    /// It is being removed.
    Deleting,
    /// It is gone.
    Deleted,
}

impl AccountOutcome {
    /// Whether the account came to a good end or waits as it should.
    pub fn is_good(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::NotReported(..) | Self::Deferred(_))
    }
}
