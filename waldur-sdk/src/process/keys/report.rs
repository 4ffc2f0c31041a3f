//! What came of making and replacing keys.

use std::fmt;

use crate::{
    error::{Error, ErrorKind, Result},
    process::{
        Warning,
        failure::{waits, write_error, write_not_reported},
    },
    rest::BadRow,
    types::{ApiKeyUuid, ResourceUuid},
};

/// What came of bringing a resource's keys to their number.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct KeyProvision {
    /// The first halves of the keys that were made and handed over.
    pub reported: Vec<String>,
    /// How many keys that nobody knew were removed.
    pub pruned: u32,
    /// What went wrong beside that.
    pub warnings: Vec<Warning>,
    /// Whether somebody should look again: a key may be live that Waldur does not know, or one is missing.
    pub needs_review: bool,
    /// Why it stopped half-way, if it did: come back.
    pub deferred: Option<Error>,
    /// How many keys a dry run would have made.
    pub planned: usize,
    /// Whether Waldur does not list what it was handed.
    pub(super) is_unlisted: bool,
    /// Whether it takes somebody to mend what was the matter.
    pub(super) is_hopeless: bool,
}

impl KeyProvision {
    /// Whether all keys were made and nobody has to look again. An object that may not get keys, because it is not the
    /// resource's, counts as clean: it is in [`warnings`](Self::warnings), and no further pass would change it.
    pub fn is_clean(&self) -> bool {
        let is_told = |warning: &Warning| warning.error.kind() == ErrorKind::Foreign;
        !self.needs_review && self.deferred.is_none() && self.warnings.iter().all(is_told)
    }
}

/// What became of the wish to replace a key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyRotation {
    /// The key.
    pub key: ApiKeyUuid,
    /// Its resource.
    pub resource: ResourceUuid,
    /// What came of it.
    pub outcome: RotationOutcome,
    /// What went wrong beside that.
    pub warnings: Vec<Warning>,
}

/// The end of the replacement of one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum RotationOutcome {
    /// Replaced and handed over.
    Rotated,
    /// Nobody asks for it any more: the key is gone, or was replaced already.
    NotWanted,
    /// Not ours to replace, and nothing was done on either side: the resource is not one of the offering, or not in use.
    Refused(Error),
    /// Failed, and said so in Waldur.
    Erred(Error),
    /// Failed, and saying so failed as well: first the failure, then why it was not reported.
    NotReported(Error, Error),
    /// Left as it is; the next look for stuck keys tries again.
    Deferred(Error),
    /// The back end has no keys.
    Unsupported,
    /// A dry run would have replaced it.
    DryRun,
}

impl RotationOutcome {
    /// Whether the key came to a good end or waits as it should. A refused one counts as good: nothing can be done
    /// about it here.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Rotated | Self::NotWanted | Self::Refused(_) | Self::Unsupported | Self::DryRun => true,
            Self::Deferred(error) => waits(error),
            Self::Erred(_) | Self::NotReported(..) => false,
        }
    }
}

/// In `{:#}` errors come with their causes.
impl fmt::Display for RotationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rotated => f.write_str("rotated"),
            Self::NotWanted => f.write_str("not wanted any more"),
            Self::Refused(error) => write_error(f, "refused", error),
            Self::Erred(error) => write_error(f, "erred", error),
            Self::NotReported(error, cause) => write_not_reported(f, error, cause),
            Self::Deferred(error) => write_error(f, "deferred", error),
            Self::Unsupported => f.write_str("the back end has no keys"),
            Self::DryRun => f.write_str("dry run"),
        }
    }
}

/// What came of a look for resources whose customers have no keys yet, or not all of them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MissingKeys {
    /// Those that had their turn in this pass.
    pub provisions: Vec<(ResourceUuid, Result<KeyProvision>)>,
    /// How many are left for the next passes.
    pub left: usize,
}

impl MissingKeys {
    /// Whether all resources that had their turn have their keys now. Those that are [left](Self::left) have their turn
    /// in the next passes.
    pub fn is_clean(&self) -> bool {
        self.provisions.iter().all(|(_, outcome)| outcome.as_ref().is_ok_and(KeyProvision::is_clean))
    }
}

/// What came of a look for replacements that got stuck.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct StuckKeys {
    /// Those that were tried again.
    pub rotations: Vec<KeyRotation>,
    /// Those that were skipped, and why.
    pub skipped: Vec<(ApiKeyUuid, &'static str)>,
    /// Rows of the listing that could not be read.
    pub unreadable: Vec<BadRow>,
    /// Why the listing is not proven whole, if it is not. The keys that came were looked at.
    pub listing_gap: Option<Error>,
}

impl StuckKeys {
    /// Whether everything was read, and what was tried came to a good end or waits as it should. What was
    /// [skipped](Self::skipped) counts as clean.
    pub fn is_clean(&self) -> bool {
        let is_clean = |rotation: &KeyRotation| rotation.outcome.is_good() && rotation.warnings.is_empty();
        self.listing_gap.is_none() && self.unreadable.is_empty() && self.rotations.iter().all(is_clean)
    }
}
