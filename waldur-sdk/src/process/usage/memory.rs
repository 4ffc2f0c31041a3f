//! What a reporter remembers between its runs. It saves calls and repeated refusals; what is billed depends on what
//! Waldur has. One thing is known nowhere else, if Waldur does not tell the plans of a resource: the plan under which
//! this process reported last. Without it, a change of plan would not be noticed.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use super::{plans::Timeline, sold::Kind};
use crate::{
    backend::Period,
    client::ResourceSummary,
    error::Error,
    types::{Amounts, PlanUuid, ResourceUuid},
};

/// What is remembered of all resources. Never locked across an await.
#[derive(Debug, Default)]
pub(super) struct Memory {
    resources: Mutex<HashMap<ResourceUuid, Remembered>>,
    runs: AtomicU32,
}

#[derive(Debug, Default)]
struct Remembered {
    /// Boxed: a map of few entries holds room for many.
    plans: BTreeMap<Period, Box<Plans>>,
    stale_runs: u32,
    /// In which run it had its turn last; 0 for none.
    turn: u32,
    taken: BTreeMap<Period, Amounts>,
    refused: BTreeMap<(Period, Option<Kind>), (Amounts, Refusal)>,
}

/// What is known of the plans of a resource in a month.
#[derive(Clone, Debug, Default)]
pub(super) struct Plans {
    /// The plan that the resource was on when its plans were read, or when its usage was reported.
    pub(super) plan: Option<PlanUuid>,
    /// Its plans, if they were read.
    pub(super) timeline: Option<Timeline>,
}

/// A refusal of a past month.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) error: Error,
    /// Waldur takes nothing for months that are over.
    pub(super) backfill: bool,
}

impl Memory {
    /// A run begins: puts those first that wait longest for their turn.
    pub(super) fn begin(&self, resources: &mut [ResourceSummary]) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let all = self.all();
        // The sort keeps the order otherwise.
        resources.sort_by_key(|resource| all.get(&resource.uuid).map_or(0, |known| known.turn));
    }

    /// A resource has its turn in this run.
    pub(super) fn has_turn(&self, resource: ResourceUuid) {
        let run = self.runs.load(Ordering::Relaxed);
        self.edit(resource, |known| known.turn = run);
    }

    pub(super) fn plans(&self, resource: ResourceUuid, period: Period) -> Option<Plans> {
        self.all().get(&resource)?.plans.get(&period).map(|plans| (**plans).clone())
    }

    /// The plans of a month were read.
    pub(super) fn learn(&self, resource: ResourceUuid, period: Period, plans: Plans) {
        self.edit(resource, |known| drop(known.plans.insert(period, Box::new(plans))));
    }

    /// A report was taken while the resource was on `plan`. What was read on another is no longer all there is.
    pub(super) fn reported_on(&self, resource: ResourceUuid, period: Period, plan: Option<PlanUuid>) {
        self.edit(resource, |known| {
            let plans = known.plans.entry(period).or_default();
            if plans.plan != plan {
                **plans = Plans { plan, timeline: None };
            }
        });
    }

    /// What was read of the plans was of no use. The plan that was reported on stays known.
    pub(super) fn forget_timeline(&self, resource: ResourceUuid, period: Period) {
        self.edit(resource, |known| {
            if let Some(plans) = known.plans.get_mut(&period) {
                plans.timeline = None;
            }
        });
    }

    /// Counts a run, and says how many in a row the usage could not be read.
    pub(super) fn stale(&self, resource: ResourceUuid, unreadable: bool) -> u32 {
        self.edit(resource, |known| {
            known.stale_runs = if unreadable { known.stale_runs.saturating_add(1) } else { 0 };
            known.stale_runs
        })
    }

    pub(super) fn last_taken(&self, resource: ResourceUuid, period: Period) -> Option<Amounts> {
        self.all().get(&resource)?.taken.get(&period).cloned()
    }

    pub(super) fn took(&self, resource: ResourceUuid, period: Period, amounts: Amounts) {
        self.edit(resource, |known| drop(known.taken.insert(period, amounts)));
    }

    /// The refusal of exactly these amounts.
    pub(super) fn refusal(
        &self,
        resource: ResourceUuid,
        period: Period,
        kind: Option<Kind>,
        amounts: &Amounts,
    ) -> Option<Refusal> {
        let all = self.all();
        let (refused, refusal) = all.get(&resource)?.refused.get(&(period, kind))?;
        (refused == amounts).then(|| refusal.clone())
    }

    pub(super) fn refused(
        &self,
        resource: ResourceUuid,
        period: Period,
        kind: Option<Kind>,
        amounts: Amounts,
        refusal: Refusal,
    ) {
        self.edit(resource, |known| drop(known.refused.insert((period, kind), (amounts, refusal))));
    }

    /// Forgets resources that are not there any more, if `seen` is all there are, and months before `oldest`.
    pub(super) fn forget(&self, seen: Option<&HashSet<ResourceUuid>>, oldest: Period) {
        let mut all = self.all();
        all.retain(|resource, _| seen.is_none_or(|seen| seen.contains(resource)));
        for known in all.values_mut() {
            known.plans.retain(|period, _| *period >= oldest);
            known.taken.retain(|period, _| *period >= oldest);
            known.refused.retain(|(period, _), _| *period >= oldest);
        }
    }

    fn edit<T>(&self, resource: ResourceUuid, change: impl FnOnce(&mut Remembered) -> T) -> T {
        change(self.all().entry(resource).or_default())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ResourceUuid, Remembered>> {
        self.resources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
