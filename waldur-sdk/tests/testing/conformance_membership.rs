//! The checks of what a membership synchronisation relies on find what is wrong.

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
        Aspects, ById, Candidate, CreateRequest, Created, DeleteRequest, EndDate, Grant, LimitChange,
        MarketplaceResource, MemberChange, MemberDirectory, MemberOutcome, MembershipPlan, OpContext, Progress,
        Removed, ResourceBackend, ResourceState, ResourceUpkeep, Status, StatusControl, Surroundings, UserLimits,
        Verified,
    },
    rest::{Complete, Page, Pager},
    testing::{
        MemoryService,
        conformance::{self, MemorySubject, Subject},
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
impl ResourceBackend for Careless {
    fn backend_type(&self) -> &'static str {
        "careless"
    }
    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.inner.candidate_id(resource, candidate)
    }
    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.inner.ping(cx).await
    }
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.inner.create(cx, request).await
    }
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.inner.get(cx, id).await
    }
    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.inner.delete(cx, request).await
    }
    async fn inspect(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        let mut states = self.inner.inspect(cx, ids, aspects).await;
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
    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.inner.set_limits(cx, change).await
    }
    fn members(&self) -> Option<&dyn MemberDirectory> {
        Some(self)
    }
    fn status(&self) -> Option<&dyn StatusControl> {
        self.inner.status()
    }
    fn user_limits(&self) -> Option<&dyn UserLimits> {
        Some(self)
    }
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        Some(self)
    }
}

fn one() -> waldur_sdk::types::Limit {
    waldur_sdk::types::Limit::At(1_u32.into())
}

async fn nobody() -> Result<Complete<String>> {
    Pager::new(String::clone, |_| async { Ok(Page::new(Vec::new(), None)) }).collect().await?.complete()
}

#[async_trait]
impl MemberDirectory for Careless {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<Complete<String>> {
        let mut lists = self.inner.members().unwrap().list(cx, ids).await;
        if self.fault == Fault::FailureIsNobody {
            for list in lists.values_mut().filter(|list| list.is_err()) {
                *list = nobody().await;
            }
        }
        lists
    }
    async fn apply(
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
        let mut outcomes = self.inner.members().unwrap().apply(cx, resource, id, plan).await?;
        if self.fault == Fault::StopsAtTheFirst
            && let Some(first) = outcomes.iter().position(|outcome| outcome.result.is_err())
        {
            outcomes.truncate(first + 1);
        }
        Ok(outcomes)
    }
    async fn reconcile(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        if self.fault != Fault::RestlessRoles {
            return self.inner.members().unwrap().reconcile(cx, resource, id, members).await;
        }
        let changed =
            |member: &Grant| MemberOutcome { username: member.username.clone(), result: Ok(MemberChange::Added) };
        Ok(members.iter().map(changed).collect())
    }
}

#[async_trait]
impl UserLimits for Careless {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<BTreeMap<String, Limits>> {
        self.inner.user_limits().unwrap().list(cx, ids).await
    }
    async fn set(
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
        self.inner.user_limits().unwrap().set(cx, resource, id, username, limits).await
    }
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

struct Subjected(MemorySubject, Fault, Arc<AtomicU32>);

#[async_trait]
impl Subject for Subjected {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        Arc::new(Careless { inner: self.0.backend(), fault: self.1, count: self.2.clone() })
    }
    fn limits(&self) -> Limits {
        self.0.limits()
    }
    fn other_limits(&self) -> Limits {
        self.0.other_limits()
    }
    async fn plant(&self, id: &BackendId, stamped: bool) -> bool {
        self.0.plant(id, stamped).await
    }
    fn set_outage(&self, broken: bool) -> bool {
        self.0.set_outage(broken)
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
        let subject = Subjected(MemorySubject::new(MemoryService::new()).unwrap(), fault, Arc::default());
        let verdicts = conformance::run(&subject).await;
        assert!(verdicts.failures().any(|(failed, _)| failed == check), "{check} did not notice\n{verdicts}");
    }
}
