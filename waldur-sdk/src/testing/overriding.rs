//! A back end of which a test replaces single methods: [`Override`], [`Overridden`].

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;

use crate::{
    backend::{
        ApiKeys, Aspects, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, EndDate, Evaluation,
        Finding, Grant, Importable, Importer, IssuedKey, LimitChange, MarketplaceResource, MemberDirectory,
        MemberOutcome, MembershipPlan, OpContext, OptionChange, PendingOrder, PendingOrders, PendingWork, Period,
        PlanChange, Progress, Records, Removed, ResourceBackend, ResourceState, ResourceUpkeep, Settled, Status,
        StatusControl, Surroundings, Usage, UsageSource, UserLimits, UsernameRequest, Verified,
        layers::{by_id, facet},
    },
    error::Result,
    rest::Complete,
    types::{BackendId, Limits, OfferingUserUuid, Personal},
};

/// Changes single methods of a back end; whatever is not written goes to [`Override::inner`]. [`Overridden`] makes a back
/// end of it.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use waldur_sdk::{
///     Error, Result,
///     backend::{CreateRequest, Created, OpContext, Progress, ResourceBackend, Verified},
///     testing::{Overridden, Override},
/// };
///
/// /// Makes nothing on Mondays.
/// struct OutOfOrder(Arc<dyn ResourceBackend>);
///
/// #[async_trait]
/// impl Override for OutOfOrder {
///     fn inner(&self) -> &dyn ResourceBackend {
///         &self.0
///     }
///     async fn create(&self, _: &OpContext, _: &CreateRequest) -> Result<Progress<Verified<Created>>> {
///         Err(Error::not_ready("it is Monday"))
///     }
/// }
///
/// fn back_end(sound: Arc<dyn ResourceBackend>) -> impl ResourceBackend {
///     Overridden(OutOfOrder(sound))
/// }
/// ```
///
/// A method of a facet is called as `Operation`s are in [`layers`](crate::backend::layers): `members_apply` for
/// `members.apply`. A facet that the inner back end lacks is added by its accessor, with an implementation of its trait.
#[async_trait]
pub trait Override: Send + Sync + 'static {
    /// The back end that does everything else.
    fn inner(&self) -> &dyn ResourceBackend;

    /// See [`ResourceBackend::backend_type`].
    fn backend_type(&self) -> &'static str {
        self.inner().backend_type()
    }

    /// See [`ResourceBackend::capabilities`].
    fn capabilities(&self) -> Capabilities {
        self.inner().capabilities()
    }

    /// See [`ResourceBackend::candidate_id`].
    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.inner().candidate_id(resource, candidate)
    }

    /// See [`ResourceBackend::ping`].
    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.inner().ping(cx).await
    }

    /// See [`ResourceBackend::create`].
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.inner().create(cx, request).await
    }

    /// See [`ResourceBackend::get`].
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.inner().get(cx, id).await
    }

    /// See [`ResourceBackend::delete`].
    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.inner().delete(cx, request).await
    }

    /// See [`ResourceBackend::inspect`].
    async fn inspect(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        self.inner().inspect(cx, ids, aspects).await
    }

    /// See [`ResourceBackend::inspect_recorded`], which a synchronisation calls; by default what [`Self::inspect`] is
    /// written to do does not show in it.
    async fn inspect_recorded(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        aspects: Aspects,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        self.inner().inspect_recorded(cx, ids, aspects, records).await
    }

    /// See [`ResourceBackend::set_limits`].
    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.inner().set_limits(cx, change).await
    }

    /// See [`ResourceBackend::update_options`].
    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        self.inner().update_options(cx, change).await
    }

    /// See [`ResourceBackend::update_plan`].
    async fn update_plan(&self, cx: &OpContext, change: &PlanChange) -> Result<Progress<()>> {
        self.inner().update_plan(cx, change).await
    }

    /// See [`ResourceBackend::evaluate`].
    async fn evaluate(&self, cx: &OpContext, order: &PendingOrder) -> Result<Evaluation> {
        self.inner().evaluate(cx, order).await
    }

    /// See [`ResourceBackend::diagnose`].
    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        self.inner().diagnose(cx).await
    }

    /// See [`ResourceBackend::members`].
    fn members(&self) -> Option<&dyn MemberDirectory> {
        self.inner().members()
    }

    /// See [`MemberDirectory::list`].
    async fn members_list(&self, cx: &OpContext, ids: &[BackendId]) -> BTreeMap<BackendId, Result<Complete<String>>> {
        match facet(self.members()) {
            Ok(facet) => facet.list(cx, ids).await,
            Err(error) => by_id(ids, Err(error)),
        }
    }

    /// See [`MemberDirectory::apply`].
    async fn members_apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        facet(self.members())?.apply(cx, resource, id, plan).await
    }

    /// See [`MemberDirectory::reconcile`].
    async fn members_reconcile(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        facet(self.members())?.reconcile(cx, resource, id, members).await
    }

    /// See [`MemberDirectory::update_attributes`].
    async fn members_update_attributes(&self, cx: &OpContext, member: &Grant) -> Result<()> {
        facet(self.members())?.update_attributes(cx, member).await
    }

    /// See [`MemberDirectory::assigned_names`].
    async fn members_assigned_names(
        &self,
        cx: &OpContext,
        people: &[UsernameRequest],
    ) -> Result<BTreeMap<OfferingUserUuid, Personal>> {
        facet(self.members())?.assigned_names(cx, people).await
    }

    /// See [`ResourceBackend::usage`].
    fn usage(&self) -> Option<&dyn UsageSource> {
        self.inner().usage()
    }

    /// See [`UsageSource::usage`].
    async fn usage_measure(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        match self.usage() {
            Some(facet) => facet.usage(cx, ids, period).await,
            None => BTreeMap::new(),
        }
    }

    /// See [`ResourceBackend::status`].
    fn status(&self) -> Option<&dyn StatusControl> {
        self.inner().status()
    }

    /// See [`StatusControl::set_status`].
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        facet(self.status())?.set_status(cx, resource, id, status).await
    }

    /// See [`ResourceBackend::user_limits`].
    fn user_limits(&self) -> Option<&dyn UserLimits> {
        self.inner().user_limits()
    }

    /// See [`UserLimits::list`].
    async fn user_limits_list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<BTreeMap<String, Limits>> {
        match facet(self.user_limits()) {
            Ok(facet) => facet.list(cx, ids).await,
            Err(error) => by_id(ids, Err(error)),
        }
    }

    /// See [`UserLimits::set`].
    async fn user_limits_set(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        username: &str,
        limits: &Limits,
    ) -> Result<()> {
        facet(self.user_limits())?.set(cx, resource, id, username, limits).await
    }

    /// See [`ResourceBackend::upkeep`].
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        self.inner().upkeep()
    }

    /// See [`ResourceUpkeep::is_behind`].
    fn upkeep_is_behind(&self, id: &BackendId, about: &Surroundings) -> bool {
        self.upkeep().is_some_and(|upkeep| upkeep.is_behind(id, about))
    }

    /// See [`ResourceUpkeep::sync_project`].
    async fn upkeep_sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        facet(self.upkeep())?.sync_project(cx, id, about).await
    }

    /// See [`ResourceUpkeep::sync_end_date`].
    async fn upkeep_sync_end_date(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<EndDate> {
        facet(self.upkeep())?.sync_end_date(cx, id, about).await
    }

    /// See [`ResourceUpkeep::effective_id`].
    async fn upkeep_effective_id(
        &self,
        cx: &OpContext,
        id: &BackendId,
        about: &Surroundings,
    ) -> Result<Option<String>> {
        facet(self.upkeep())?.effective_id(cx, id, about).await
    }

    /// See [`ResourceBackend::keys`].
    fn keys(&self) -> Option<&dyn ApiKeys> {
        self.inner().keys()
    }

    /// See [`ApiKeys::mint`].
    async fn keys_mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey> {
        facet(self.keys())?.mint(cx, resource, id).await
    }

    /// See [`ApiKeys::revoke`].
    async fn keys_revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        facet(self.keys())?.revoke(cx, resource, id, client_id).await
    }

    /// See [`ApiKeys::rotate`].
    async fn keys_rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        facet(self.keys())?.rotate(cx, resource, id, client_id).await
    }

    /// See [`ApiKeys::prune`].
    async fn keys_prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        facet(self.keys())?.prune(cx, resource, id, known).await
    }
    /// See [`ApiKeys::prunable`].
    async fn keys_prunable(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
    ) -> Result<Option<BTreeSet<String>>> {
        facet(self.keys())?.prunable(cx, resource, id).await
    }

    /// See [`ResourceBackend::importer`].
    fn importer(&self) -> Option<&dyn Importer> {
        self.inner().importer()
    }

    /// See [`Importer::list`].
    async fn importer_list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        facet(self.importer())?.list(cx).await
    }

    /// See [`ResourceBackend::pending`].
    fn pending(&self) -> Option<&dyn PendingOrders> {
        self.inner().pending()
    }

    /// See [`PendingOrders::check`].
    async fn pending_check(&self, cx: &OpContext, work: &PendingWork) -> Result<Progress<Settled>> {
        facet(self.pending())?.check(cx, work).await
    }
}

/// The back end that an [`Override`] makes of another.
#[derive(Clone, Debug)]
pub struct Overridden<O>(pub O);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> ResourceBackend for Overridden<O> {
    fn backend_type(&self) -> &'static str {
        self.0.backend_type()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.0.candidate_id(resource, candidate)
    }
    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.0.ping(cx).await
    }
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.0.create(cx, request).await
    }
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.0.get(cx, id).await
    }
    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.0.delete(cx, request).await
    }
    async fn inspect(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        self.0.inspect(cx, ids, aspects).await
    }
    async fn inspect_recorded(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        aspects: Aspects,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        self.0.inspect_recorded(cx, ids, aspects, records).await
    }
    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.0.set_limits(cx, change).await
    }
    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        self.0.update_options(cx, change).await
    }
    async fn update_plan(&self, cx: &OpContext, change: &PlanChange) -> Result<Progress<()>> {
        self.0.update_plan(cx, change).await
    }
    async fn evaluate(&self, cx: &OpContext, order: &PendingOrder) -> Result<Evaluation> {
        self.0.evaluate(cx, order).await
    }
    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        self.0.diagnose(cx).await
    }
    fn members(&self) -> Option<&dyn MemberDirectory> {
        self.0.members().map(|_| self as _)
    }
    fn usage(&self) -> Option<&dyn UsageSource> {
        self.0.usage().map(|_| self as _)
    }
    fn status(&self) -> Option<&dyn StatusControl> {
        self.0.status().map(|_| self as _)
    }
    fn user_limits(&self) -> Option<&dyn UserLimits> {
        self.0.user_limits().map(|_| self as _)
    }
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        self.0.upkeep().map(|_| self as _)
    }
    fn keys(&self) -> Option<&dyn ApiKeys> {
        self.0.keys().map(|_| self as _)
    }
    fn importer(&self) -> Option<&dyn Importer> {
        self.0.importer().map(|_| self as _)
    }
    fn pending(&self) -> Option<&dyn PendingOrders> {
        self.0.pending().map(|_| self as _)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> MemberDirectory for Overridden<O> {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> BTreeMap<BackendId, Result<Complete<String>>> {
        self.0.members_list(cx, ids).await
    }
    async fn apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        self.0.members_apply(cx, resource, id, plan).await
    }
    async fn reconcile(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        self.0.members_reconcile(cx, resource, id, members).await
    }
    async fn update_attributes(&self, cx: &OpContext, member: &Grant) -> Result<()> {
        self.0.members_update_attributes(cx, member).await
    }
    async fn assigned_names(
        &self,
        cx: &OpContext,
        people: &[UsernameRequest],
    ) -> Result<BTreeMap<OfferingUserUuid, Personal>> {
        self.0.members_assigned_names(cx, people).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> UsageSource for Overridden<O> {
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        self.0.usage_measure(cx, ids, period).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> StatusControl for Overridden<O> {
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        self.0.set_status(cx, resource, id, status).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> UserLimits for Overridden<O> {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<BTreeMap<String, Limits>> {
        self.0.user_limits_list(cx, ids).await
    }
    async fn set(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        username: &str,
        limits: &Limits,
    ) -> Result<()> {
        self.0.user_limits_set(cx, resource, id, username, limits).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> ResourceUpkeep for Overridden<O> {
    fn is_behind(&self, id: &BackendId, about: &Surroundings) -> bool {
        self.0.upkeep_is_behind(id, about)
    }
    async fn sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        self.0.upkeep_sync_project(cx, id, about).await
    }
    async fn sync_end_date(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<EndDate> {
        self.0.upkeep_sync_end_date(cx, id, about).await
    }
    async fn effective_id(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<Option<String>> {
        self.0.upkeep_effective_id(cx, id, about).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> ApiKeys for Overridden<O> {
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey> {
        self.0.keys_mint(cx, resource, id).await
    }
    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        self.0.keys_revoke(cx, resource, id, client_id).await
    }
    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        self.0.keys_rotate(cx, resource, id, client_id).await
    }
    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        self.0.keys_prune(cx, resource, id, known).await
    }
    async fn prunable(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
    ) -> Result<Option<BTreeSet<String>>> {
        self.0.keys_prunable(cx, resource, id).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> Importer for Overridden<O> {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        self.0.importer_list(cx).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<O: Override> PendingOrders for Overridden<O> {
    async fn check(&self, cx: &OpContext, work: &PendingWork) -> Result<Progress<Settled>> {
        self.0.pending_check(cx, work).await
    }
}
