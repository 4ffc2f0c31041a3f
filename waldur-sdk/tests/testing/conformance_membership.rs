//! The checks of what a membership synchronisation relies on find what is wrong.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{
        ById, EndDate, Grant, Inspection, MarketplaceResource, MemberChange, MemberOutcome, MembershipPlan, OpContext,
        Override, ResourceBackend, ResourceState, ResourceUpkeep, Status, Surroundings,
    },
    rest::Complete,
    testing::{
        MemoryService, complete,
        conformance::{self, MemorySubject},
    },
    types::{BackendId, Date, Limits, ResourceUuid, Uuid},
};

/// What a careless back end gets wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Reads a failure as nobody.
    FailureIsNobody,
    /// Changes members of anybody's object.
    AnybodysObject,
    /// Stops at the first member that is refused.
    StopsAtTheFirst,
    /// Brings roles in line that are in line.
    RestlessRoles,
    /// Pauses, and does not say so.
    SilentPause,
    /// Reads limits in other units than it takes.
    OtherUnits,
    /// Publishes the time.
    RestlessMetadata,
    /// Cannot take limits of users away.
    KeepsUserLimits,
    /// Wants another last day each time.
    RestlessDate,
}

struct Careless {
    inner: Arc<dyn ResourceBackend>,
    fault: Fault,
    count: Arc<AtomicU32>,
}

impl Careless {
    fn next(&self) -> u32 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}

#[async_trait]
impl Override for Careless {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }
    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let mut states = self.inner.inspect(cx, inspection).await;
        for state in states.values_mut().flatten().flatten() {
            match self.fault {
                Fault::SilentPause => state.status = Status::Active,
                Fault::OtherUnits => state.limits = state.limits.keys().map(|name| (name.clone(), one())).collect(),
                Fault::RestlessMetadata => {
                    state.metadata.get_or_insert_default().insert("seen".to_owned(), self.next().into());
                }
                _ => {}
            }
        }
        states
    }
    async fn members_list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<Complete<String>> {
        let mut lists = self.members().unwrap().list(cx, ids).await;
        if self.fault == Fault::FailureIsNobody {
            for list in lists.values_mut().filter(|list| list.is_err()) {
                *list = Ok(complete(Vec::new()));
            }
        }
        lists
    }
    async fn members_apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        let mut stranger = resource.clone();
        stranger.uuid = ResourceUuid::new(Uuid::from_u128(0xdead_beef));
        let theirs = match self.inner.get(cx, id).await? {
            Some(state) => self.fault == Fault::AnybodysObject && state.stamp == Some(stranger.stamp()),
            None => false,
        };
        let resource = if theirs { &stranger } else { resource };
        let mut outcomes = self.members().unwrap().apply(cx, resource, id, plan).await?;
        if self.fault == Fault::StopsAtTheFirst
            && let Some(first) = outcomes.iter().position(|outcome| outcome.result.is_err())
        {
            outcomes.truncate(first + 1);
        }
        Ok(outcomes)
    }
    async fn members_reconcile(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        if self.fault != Fault::RestlessRoles {
            return self.members().unwrap().reconcile(cx, resource, id, members).await;
        }
        let changed =
            |member: &Grant| MemberOutcome { username: member.username.clone(), result: Ok(MemberChange::Added) };
        Ok(members.iter().map(changed).collect())
    }
    async fn user_limits_set(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        username: &str,
        limits: &Limits,
    ) -> Result<()> {
        if self.fault == Fault::KeepsUserLimits && limits.is_empty() {
            return Ok(());
        }
        self.user_limits().unwrap().set(cx, resource, id, username, limits).await
    }
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        Some(self)
    }
}

fn one() -> waldur_sdk::types::Limit {
    waldur_sdk::types::Limit::At(1_u32.into())
}

#[async_trait]
impl ResourceUpkeep for Careless {
    async fn sync_end_date(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<EndDate> {
        if self.fault != Fault::RestlessDate {
            return Ok(EndDate::Keep);
        }
        let day = i8::try_from(self.next() % 28).unwrap() + 1;
        Ok(EndDate::Set(Date::new(2027, 1, day).ok()))
    }
}

#[tokio::test]
async fn a_careless_back_end_fails_the_check_that_names_its_fault() {
    for (fault, check) in [
        (Fault::FailureIsNobody, "an_outage_is_not_an_empty_list_of_members"),
        (Fault::FailureIsNobody, "members_of_an_absent_object_are_an_error"),
        (Fault::AnybodysObject, "members_and_status_of_a_foreign_object_are_refused"),
        (Fault::StopsAtTheFirst, "one_bad_member_stops_no_other"),
        (Fault::RestlessRoles, "roles_are_brought_in_line_and_then_left_alone"),
        (Fault::SilentPause, "a_pause_is_read_back_and_leaves_members_alone"),
        (Fault::OtherUnits, "limits_read_as_they_were_set"),
        (Fault::RestlessMetadata, "metadata_stay_as_they_are"),
        (Fault::KeepsUserLimits, "user_limits_are_replaced_and_taken_away"),
        (Fault::RestlessDate, "upkeep_of_what_is_in_step_changes_nothing"),
    ] {
        let count = Arc::<AtomicU32>::default();
        let subject = MemorySubject::new(MemoryService::new()).unwrap();
        let subject = subject.overriding(move |inner| Careless { inner, fault, count: count.clone() });
        let verdicts = conformance::run(&subject).await;
        assert!(verdicts.failures().any(|(failed, _)| failed == check), "{check} did not notice\n{verdicts}");
    }
}
