//! The conformance suite passes for a sound back end and finds what is wrong with unsound ones.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{
        Candidate, CreateRequest, Created, DeleteRequest, LimitChange, MarketplaceResource, OpContext, OptionChange,
        Override, Ownership, Period, PlanChange, Progress, Removed, ResourceBackend, ResourceState, Stamp, Usage,
        UsageReport, Verified, state::foreign,
    },
    testing::{
        MemoryService,
        conformance::{self, MemorySubject, Verdict, Verdicts},
    },
    types::{BackendId, Date, Limit, Limits},
};

#[tokio::test]
async fn the_memory_back_end_passes() {
    let verdicts = conformance::run(&MemorySubject::new(MemoryService::new()).unwrap()).await;
    assert!(verdicts.passed(), "{verdicts}");
    let skipped = verdicts.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Skipped(_))).count();
    assert_eq!(skipped, 1, "only upkeep is missing from the memory back end\n{verdicts}");
}

/// What a broken back end gets wrong.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Reads a failure as absence.
    FailureIsAbsence,
    /// Takes over whatever has the name.
    AdoptsAnything,
    /// Acknowledges limits without setting them.
    ForgetsLimits,
    /// Says that it deleted, and did not.
    PretendsToDelete,
    /// Makes up a new name each time.
    ForgetsNames,
    /// Reads no limits.
    HidesLimits,
    /// Gives a stranger's object other options, as it was told.
    ChangesOptionsOfAnybody,
    /// Gives a stranger's object what another plan grants.
    ChangesPlansOfAnybody,
    /// Refuses what carries no stamp, on record or not.
    AdoptsNothing,
    /// Measures what it does not know of as zero, and what it cannot read.
    UnknownIsZero,
    /// Measures today whatever month it is asked about.
    ForgetsMonths,
    /// Leaves out whom it knows nothing of.
    LeavesOut,
    /// Counts users twice.
    CountsTwice,
}

struct Broken {
    inner: Arc<dyn ResourceBackend>,
    fault: Fault,
    names: AtomicU32,
}

#[async_trait]
impl Override for Broken {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        if self.fault == Fault::ForgetsNames {
            return BackendId::new(format!("{}-{}", resource.slug.trim(), self.names.fetch_add(1, Ordering::Relaxed)));
        }
        self.inner.candidate_id(resource, candidate)
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let unmarked = |state: ResourceState| state.ownership(request.resource.stamp()) == Ownership::Unmarked;
        if self.fault == Fault::AdoptsNothing && self.inner.get(cx, &request.backend_id).await?.is_some_and(unmarked) {
            return Err(foreign(&request.backend_id));
        }
        if self.fault == Fault::AdoptsAnything
            && let Some(found) = self.inner.get(cx, &request.backend_id).await?
        {
            let mut claimed = ResourceState::new(found.id);
            claimed.stamp = Some(request.resource.stamp());
            return Verified::created(Created::default(), request, Some(&claimed)).map(Progress::Done);
        }
        self.inner.create(cx, request).await
    }

    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        match self.inner.get(cx, id).await {
            Err(_) if self.fault == Fault::FailureIsAbsence => Ok(None),
            Ok(Some(mut state)) if self.fault == Fault::HidesLimits => {
                state.limits.clear();
                Ok(Some(state))
            }
            other => other,
        }
    }

    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        if self.fault == Fault::ChangesOptionsOfAnybody {
            return Ok(Progress::Done(()));
        }
        self.inner.update_options(cx, change).await
    }

    async fn update_plan(&self, cx: &OpContext, change: &PlanChange) -> Result<Progress<()>> {
        if self.fault == Fault::ChangesPlansOfAnybody {
            // As whoever owns the object would.
            let mut resource = change.resource.clone();
            if let Some(Stamp(owner)) = self.inner.get(cx, &change.backend_id).await?.and_then(|state| state.stamp) {
                resource.uuid = owner;
            }
            let limits = [("storage".to_owned(), Limit::At(1_u32.into()))].into();
            let limits = LimitChange::new(resource, change.backend_id.clone(), limits);
            return self.inner.set_limits(cx, &limits).await.map(|_| Progress::Done(()));
        }
        self.inner.update_plan(cx, change).await
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        if self.fault == Fault::PretendsToDelete {
            return Verified::removed(&request.backend_id, Removed::Deleted, None).map(Progress::Done);
        }
        self.inner.delete(cx, request).await
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        if self.fault == Fault::ForgetsLimits {
            let mut claimed = ResourceState::new(change.backend_id.clone());
            claimed.limits = change.limits.clone();
            return Verified::limits(&change.limits, &claimed).map(Progress::Done);
        }
        self.inner.set_limits(cx, change).await
    }

    async fn usage_measure(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        let month = Period::containing(Date::constant(2026, 11, 1));
        let period = if self.fault == Fault::ForgetsMonths { month } else { period };
        let mut answer = self.inner.usage().unwrap().usage(cx, ids, period).await;
        match self.fault {
            Fault::UnknownIsZero => answer.values_mut().for_each(|usage| {
                if matches!(usage, Usage::Unreadable(_)) {
                    *usage = Usage::Measured(UsageReport::default());
                }
            }),
            Fault::LeavesOut => answer.retain(|_, usage| !matches!(usage, Usage::Unreadable(_))),
            Fault::CountsTwice => answer.values_mut().for_each(|usage| {
                if let Usage::Measured(report) = usage {
                    let again: Vec<_> = report.per_user.values().cloned().collect();
                    report.per_user.extend(again.into_iter().map(|amounts| ("again".to_owned(), amounts)));
                }
            }),
            _ => {}
        }
        answer
    }
}

async fn verdicts_of(fault: Fault) -> Verdicts {
    let broken = move |inner| Broken { inner, fault, names: AtomicU32::new(0) };
    conformance::run(&MemorySubject::new(MemoryService::new()).unwrap().overriding(broken)).await
}

#[tokio::test]
async fn a_broken_back_end_fails_the_check_that_names_its_fault() {
    for (fault, check) in [
        (Fault::FailureIsAbsence, "an_outage_is_not_absence"),
        (Fault::AdoptsAnything, "a_foreign_object_is_not_adopted"),
        (Fault::ForgetsLimits, "limits_change_and_the_others_stay"),
        (Fault::PretendsToDelete, "delete_proves_absence"),
        (Fault::ForgetsNames, "candidate_ids_are_pure"),
        (Fault::HidesLimits, "create_is_stamped_and_verified"),
        (Fault::ChangesOptionsOfAnybody, "a_foreign_object_is_not_changed"),
        (Fault::ChangesPlansOfAnybody, "a_foreign_object_is_not_changed"),
        (Fault::AdoptsNothing, "an_unmarked_object_is_adopted_only_if_recorded"),
        (Fault::UnknownIsZero, "usage_answers_for_every_id"),
        (Fault::UnknownIsZero, "unreadable_usage_is_not_zero"),
        (Fault::ForgetsMonths, "usage_belongs_to_its_month"),
        (Fault::LeavesOut, "usage_answers_for_every_id"),
        (Fault::CountsTwice, "measured_usage_is_what_was_used"),
    ] {
        let verdicts = verdicts_of(fault).await;
        assert!(verdicts.failures().any(|(failed, _)| failed == check), "{check} did not notice\n{verdicts}");
    }
}
