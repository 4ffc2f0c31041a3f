//! Names that Waldur did not take.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    types::{OfferingUserUuid, Personal},
};

/// The last name that Waldur refused for each account, and why. Lost with the process, which then asks once more.
#[derive(Default)]
pub(in crate::process) struct RefusedNames(Mutex<HashMap<OfferingUserUuid, Refusal>>);

struct Refusal {
    name: Personal,
    error: Error,
    at: Instant,
}

impl RefusedNames {
    /// How long a refusal is believed: a name that belonged to somebody else may be free some day.
    const LASTS: Duration = Duration::from_secs(24 * 60 * 60);

    /// Why the name is not offered again, if it is not.
    pub(super) fn objection(&self, account: OfferingUserUuid, name: &Personal, now: Instant) -> Option<Error> {
        let refusals = self.lock();
        let refusal = refusals.get(&account).filter(|refusal| refusal.name == *name && !refusal.is_over(now))?;
        Some(refusal.error.clone())
    }

    pub(super) fn learn(&self, account: OfferingUserUuid, name: Personal, error: Error, now: Instant) {
        let mut refusals = self.lock();
        refusals.retain(|_, refusal| !refusal.is_over(now));
        refusals.insert(account, Refusal { name, error, at: now });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OfferingUserUuid, Refusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refusal {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= RefusedNames::LASTS
    }
}
