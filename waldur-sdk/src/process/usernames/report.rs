//! What came of giving names.

use std::fmt;

use crate::{
    error::Error,
    naming::NamedBy,
    process::{
        Warning,
        failure::{write_error, write_not_reported},
    },
    types::OfferingUserUuid,
};

/// What came of giving names in one pass.
///
/// Names of people on the site (core.md §3.3, usernames.md §1): an account that wants a name gets it from the
/// [`UsernameBackend`](crate::backend::UsernameBackend), and Waldur is told how far that is.
///
/// | the account is | and there is a name | the person has to do something | asking failed for good |
/// |---|---|---|---|
/// | Requested, Error creating | begin, name | begin, pending | begin, error |
/// | Creating | name | pending | error |
/// | Pending | name, complete | the other pending, or nothing | nothing |
/// | anything else, or has a name | nothing is asked | | |
///
/// - The back end is asked before Waldur is told anything. While it has no answer, nothing changes.
/// - A name that an account has is never replaced: the account is read once more just before it gets one.
/// - A name that Waldur refused is not offered again for a day, unless the back end gives another one.
/// - A failure of one account does not affect the others.
/// - A server of 2024 knows no states. It is told names and nothing else.
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

/// In `{:#}` errors come with their causes.
impl fmt::Display for AccountOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("named"),
            Self::LeftToOthers => f.write_str("left to others"),
            Self::NoName => f.write_str("no name"),
            Self::Asked => f.write_str("asked to do something"),
            Self::StillWaiting => f.write_str("has still to do what was asked for"),
            Self::DryRun => f.write_str("dry run"),
            Self::Failed(error) => write_error(f, "failed", error),
            Self::NotReported(error, cause) => write_not_reported(f, error, cause),
            Self::Deferred(error) => write_error(f, "deferred", error),
            Self::Deleting => f.write_str("being removed"),
            Self::Deleted => f.write_str("removed"),
        }
    }
}

impl AccountOutcome {
    /// Whether the account came to a good end or waits as it should.
    pub fn is_good(&self) -> bool {
        !matches!(self, Self::Failed(_) | Self::NotReported(..) | Self::Deferred(_))
    }
}
