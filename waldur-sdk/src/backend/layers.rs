//! Wrappers that fit around any back end: a time limit, a ceiling for concurrent operations, an observer, a dry run, a
//! review of orders.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use waldur_sdk::{backend::{ResourceBackend, layers}, rest::Environment};
//! fn guard(backend: Arc<dyn ResourceBackend>) -> Arc<dyn ResourceBackend> {
//!     let limited = layers::timeout(backend, Duration::from_secs(300), Environment::default());
//!     Arc::new(layers::dry_run(limited))
//! }
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Poll, Waker},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::{Either, select};

use super::{
    ApiKeys, Aspects, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, EndDate, Evaluation,
    Finding, Grant, Importable, Importer, IssuedKey, LimitChange, MarketplaceResource, MemberDirectory, MemberOutcome,
    MembershipPlan, OpContext, OptionChange, PendingOrder, PendingOrders, PendingWork, Period, PlanChange, Progress,
    Records, Removed, ResourceBackend, ResourceState, ResourceUpkeep, Settled, Status, StatusControl, Surroundings,
    Usage, UsageSource, UserLimits, UsernameRequest, Verified,
};
use crate::{
    error::{Error, ErrorKind, Result},
    rest::{BoxFuture, Complete, Environment},
    types::{BackendId, Limits, OfferingUserUuid, Personal},
};

/// One operation of a back end, as a layer sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The method (`create`, `members.apply`).
    pub name: &'static str,
    /// Whether it may change something.
    pub writes: bool,
}

/// What a layer does around each operation.
#[async_trait]
pub trait Around: Send + Sync + 'static {
    /// Called before.
    ///
    /// # Errors
    /// The error is the operation's result, and the operation does not run. Its class does what a back end's would.
    fn before(&self, _operation: Operation) -> Result<()> {
        Ok(())
    }

    /// Speaks in the back end's place on an order that waits for the provider; `None`, the default, lets it speak.
    fn review(&self, _order: &PendingOrder) -> Option<Evaluation> {
        None
    }

    /// Runs the operation. The default only awaits it.
    ///
    /// # Errors
    /// The error stands in place of the operation's own result, which is lost: whether the operation was carried out is
    /// unknown then, and found out by the next attempt.
    async fn run(&self, _operation: Operation, _cx: &OpContext, work: BoxFuture<'_, ()>) -> Result<()> {
        work.await;
        Ok(())
    }
}

/// A back end with something around it.
#[derive(Debug)]
pub struct Layered<B, A> {
    inner: B,
    around: A,
}

impl<B: ResourceBackend, A: Around> Layered<B, A> {
    /// Puts `around` around `inner`.
    pub fn new(inner: B, around: A) -> Self {
        Self { inner, around }
    }

    async fn guard<T: Send>(
        &self,
        name: &'static str,
        writes: bool,
        cx: &OpContext,
        work: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let operation = Operation { name, writes };
        self.around.before(operation)?;
        let mut result = None;
        let slot = &mut result;
        self.around.run(operation, cx, Box::pin(async move { *slot = Some(work.await) })).await?;
        result.unwrap_or_else(|| Err(Error::new(ErrorKind::Other, format!("{name}: the layer did not run it"))))
    }
}

/// Ends operations that take longer than `limit` with a [`ErrorKind::Timeout`]; what they did is then unknown and is
/// found out by the next run.
pub fn timeout<B: ResourceBackend>(inner: B, limit: Duration, environment: Environment) -> Layered<B, Timeout> {
    Layered::new(inner, Timeout { limit, environment })
}

/// Lets at most `operations` run at once (at least one); the others wait their turn.
pub fn limit<B: ResourceBackend>(inner: B, operations: usize) -> Layered<B, Limit> {
    Layered::new(inner, Limit { free: Arc::new(Permits::new(operations.max(1))) })
}

/// Tells `observer` of every operation and its duration.
pub fn observed<B, O>(inner: B, observer: O, environment: Environment) -> Layered<B, Observed<O>>
where
    B: ResourceBackend,
    O: Fn(Operation, Duration) + Send + Sync + 'static,
{
    Layered::new(inner, Observed { observer, environment })
}

/// Lets `review` speak first on every order that waits for the provider: rules of a site, whatever its back end is.
/// `None` leaves the word to the back end.
pub fn reviewed<B, R>(inner: B, review: R) -> Layered<B, Reviewed<R>>
where
    B: ResourceBackend,
    R: Fn(&PendingOrder) -> Option<Evaluation> + Send + Sync + 'static,
{
    Layered::new(inner, Reviewed(review))
}

/// Reads pass; whatever would write ends with [`ErrorKind::DryRun`].
pub fn dry_run<B: ResourceBackend>(inner: B) -> Layered<B, DryRun> {
    Layered::new(inner, DryRun)
}

/// See [`timeout`].
#[derive(Debug)]
pub struct Timeout {
    limit: Duration,
    environment: Environment,
}

#[async_trait]
impl Around for Timeout {
    async fn run(&self, operation: Operation, cx: &OpContext, work: BoxFuture<'_, ()>) -> Result<()> {
        let now: Instant = self.environment.instant();
        let left = cx.deadline.map_or(self.limit, |deadline| self.limit.min(deadline.saturating_duration_since(now)));
        match select(work, self.environment.sleep(left)).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => {
                let text = format!("{}: not finished within {left:?}", operation.name);
                Err(Error::new(ErrorKind::Timeout, text))
            }
        }
    }
}

/// See [`limit`].
#[derive(Debug)]
pub struct Limit {
    free: Arc<Permits>,
}

#[async_trait]
impl Around for Limit {
    async fn run(&self, _operation: Operation, _cx: &OpContext, work: BoxFuture<'_, ()>) -> Result<()> {
        let _permit = self.free.clone().acquire().await;
        work.await;
        Ok(())
    }
}

#[derive(Debug)]
struct Permits {
    free: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Permits {
    fn new(free: usize) -> Self {
        Self { free: AtomicUsize::new(free), waiting: Mutex::default() }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn acquire(self: Arc<Self>) -> Permit {
        std::future::poll_fn(|cx| {
            let mut waiting = self.waiting();
            let taken = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
            if taken.is_ok() {
                return Poll::Ready(());
            }
            if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                waiting.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await;
        Permit(self.clone())
    }
}

struct Permit(Arc<Permits>);

impl Drop for Permit {
    fn drop(&mut self) {
        let waiting = {
            let mut waiting = self.0.waiting();
            self.0.free.fetch_add(1, Ordering::AcqRel);
            std::mem::take(&mut *waiting)
        };
        // All are woken: which of them is still polled cannot be known here.
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// See [`observed`].
#[derive(Debug)]
pub struct Observed<O> {
    observer: O,
    environment: Environment,
}

#[async_trait]
impl<O: Fn(Operation, Duration) + Send + Sync + 'static> Around for Observed<O> {
    async fn run(&self, operation: Operation, _cx: &OpContext, work: BoxFuture<'_, ()>) -> Result<()> {
        let begin = self.environment.instant();
        work.await;
        (self.observer)(operation, self.environment.instant().saturating_duration_since(begin));
        Ok(())
    }
}

/// See [`reviewed`].
#[derive(Clone, Copy, Debug)]
pub struct Reviewed<R>(R);

impl<R: Fn(&PendingOrder) -> Option<Evaluation> + Send + Sync + 'static> Around for Reviewed<R> {
    fn review(&self, order: &PendingOrder) -> Option<Evaluation> {
        (self.0)(order)
    }
}

/// See [`dry_run`].
#[derive(Clone, Copy, Debug)]
pub struct DryRun;

impl Around for DryRun {
    fn before(&self, operation: Operation) -> Result<()> {
        if operation.writes {
            Err(Error::new(ErrorKind::DryRun, format!("dry run: {} was not carried out", operation.name)))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> ResourceBackend for Layered<B, A> {
    fn backend_type(&self) -> &'static str {
        self.inner.backend_type()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.inner.candidate_id(resource, candidate)
    }
    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.guard("ping", false, cx, self.inner.ping(cx)).await
    }
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.guard("create", true, cx, self.inner.create(cx, request)).await
    }
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.guard("get", false, cx, self.inner.get(cx, id)).await
    }
    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.guard("delete", true, cx, self.inner.delete(cx, request)).await
    }
    async fn inspect(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        let work = async { Ok(self.inner.inspect(cx, ids, aspects).await) };
        by_id(ids, self.guard("inspect", false, cx, work).await)
    }
    async fn inspect_recorded(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        aspects: Aspects,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        let work = async { Ok(self.inner.inspect_recorded(cx, ids, aspects, records).await) };
        by_id(ids, self.guard("inspect", false, cx, work).await)
    }
    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.guard("set_limits", true, cx, self.inner.set_limits(cx, change)).await
    }
    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        self.guard("update_options", true, cx, self.inner.update_options(cx, change)).await
    }
    async fn update_plan(&self, cx: &OpContext, change: &PlanChange) -> Result<Progress<()>> {
        self.guard("update_plan", true, cx, self.inner.update_plan(cx, change)).await
    }
    async fn evaluate(&self, cx: &OpContext, order: &PendingOrder) -> Result<Evaluation> {
        match self.around.review(order) {
            Some(word) => Ok(word),
            None => self.guard("evaluate", false, cx, self.inner.evaluate(cx, order)).await,
        }
    }
    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        let work = async { Ok(self.inner.diagnose(cx).await) };
        match self.guard("diagnose", false, cx, work).await {
            Ok(findings) => findings,
            Err(error) => vec![Finding::of_result("diagnose", Err(error))],
        }
    }
    fn members(&self) -> Option<&dyn MemberDirectory> {
        self.inner.members().map(|_| self as _)
    }
    fn usage(&self) -> Option<&dyn UsageSource> {
        self.inner.usage().map(|_| self as _)
    }
    fn status(&self) -> Option<&dyn StatusControl> {
        self.inner.status().map(|_| self as _)
    }
    fn user_limits(&self) -> Option<&dyn UserLimits> {
        self.inner.user_limits().map(|_| self as _)
    }
    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        self.inner.upkeep().map(|_| self as _)
    }
    fn keys(&self) -> Option<&dyn ApiKeys> {
        self.inner.keys().map(|_| self as _)
    }
    fn importer(&self) -> Option<&dyn Importer> {
        self.inner.importer().map(|_| self as _)
    }
    fn pending(&self) -> Option<&dyn PendingOrders> {
        self.inner.pending().map(|_| self as _)
    }
}

pub(crate) fn by_id<T>(ids: &[BackendId], result: Result<ById<T>>) -> ById<T> {
    result.unwrap_or_else(|error| ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect())
}

/// The facet, which the accessor above has found to be there.
pub(crate) fn facet<T: ?Sized>(facet: Option<&T>) -> Result<&T> {
    facet.ok_or_else(|| Error::unsupported("this facet"))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> MemberDirectory for Layered<B, A> {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> BTreeMap<BackendId, Result<Complete<String>>> {
        let work = async { Ok(facet(self.inner.members())?.list(cx, ids).await) };
        by_id(ids, self.guard("members.list", false, cx, work).await)
    }
    async fn apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        let work = async { facet(self.inner.members())?.apply(cx, resource, id, plan).await };
        self.guard("members.apply", true, cx, work).await
    }
    async fn reconcile(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        let work = async { facet(self.inner.members())?.reconcile(cx, resource, id, members).await };
        self.guard("members.reconcile", true, cx, work).await
    }
    async fn update_attributes(&self, cx: &OpContext, member: &Grant) -> Result<()> {
        let work = async { facet(self.inner.members())?.update_attributes(cx, member).await };
        self.guard("members.update_attributes", true, cx, work).await
    }
    async fn assigned_names(
        &self,
        cx: &OpContext,
        people: &[UsernameRequest],
    ) -> Result<BTreeMap<OfferingUserUuid, Personal>> {
        let work = async { facet(self.inner.members())?.assigned_names(cx, people).await };
        self.guard("members.assigned_names", false, cx, work).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> UserLimits for Layered<B, A> {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<BTreeMap<String, Limits>> {
        let work = async { Ok(facet(self.inner.user_limits())?.list(cx, ids).await) };
        by_id(ids, self.guard("user_limits.list", false, cx, work).await)
    }
    async fn set(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        username: &str,
        limits: &Limits,
    ) -> Result<()> {
        let work = async { facet(self.inner.user_limits())?.set(cx, resource, id, username, limits).await };
        self.guard("user_limits.set", true, cx, work).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> ResourceUpkeep for Layered<B, A> {
    fn is_behind(&self, id: &BackendId, about: &Surroundings) -> bool {
        self.inner.upkeep().is_some_and(|upkeep| upkeep.is_behind(id, about))
    }
    async fn sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        let work = async { facet(self.inner.upkeep())?.sync_project(cx, id, about).await };
        self.guard("upkeep.sync_project", true, cx, work).await
    }
    async fn sync_end_date(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<EndDate> {
        let work = async { facet(self.inner.upkeep())?.sync_end_date(cx, id, about).await };
        self.guard("upkeep.sync_end_date", true, cx, work).await
    }
    async fn effective_id(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<Option<String>> {
        let work = async { facet(self.inner.upkeep())?.effective_id(cx, id, about).await };
        self.guard("upkeep.effective_id", false, cx, work).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> UsageSource for Layered<B, A> {
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        let work = async { Ok(facet(self.inner.usage())?.usage(cx, ids, period).await) };
        match self.guard("usage", false, cx, work).await {
            Ok(usage) => usage,
            Err(error) => ids.iter().map(|id| (id.clone(), Usage::Unreadable(error.clone()))).collect(),
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> StatusControl for Layered<B, A> {
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        let work = async { facet(self.inner.status())?.set_status(cx, resource, id, status).await };
        self.guard("set_status", true, cx, work).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> ApiKeys for Layered<B, A> {
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey> {
        let work = async { facet(self.inner.keys())?.mint(cx, resource, id).await };
        self.guard("keys.mint", true, cx, work).await
    }
    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        let work = async { facet(self.inner.keys())?.revoke(cx, resource, id, client_id).await };
        self.guard("keys.revoke", true, cx, work).await
    }
    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        let work = async { facet(self.inner.keys())?.rotate(cx, resource, id, client_id).await };
        self.guard("keys.rotate", true, cx, work).await
    }
    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        let work = async { facet(self.inner.keys())?.prune(cx, resource, id, known).await };
        self.guard("keys.prune", true, cx, work).await
    }
    async fn prunable(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
    ) -> Result<Option<BTreeSet<String>>> {
        let work = async { facet(self.inner.keys())?.prunable(cx, resource, id).await };
        self.guard("keys.prunable", false, cx, work).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> Importer for Layered<B, A> {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        let work = async { facet(self.inner.importer())?.list(cx).await };
        self.guard("importer.list", false, cx, work).await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<B: ResourceBackend, A: Around> PendingOrders for Layered<B, A> {
    async fn check(&self, cx: &OpContext, work: &PendingWork) -> Result<Progress<Settled>> {
        let check = async { facet(self.inner.pending())?.check(cx, work).await };
        self.guard("pending.check", false, cx, check).await
    }
}
