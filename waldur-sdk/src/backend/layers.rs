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
    ApiKeys, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, EndDate, Evaluation, Finding, Grant,
    Importable, Importer, Inspection, IssuedKey, LimitChange, MarketplaceResource, MemberDirectory, MemberOutcome,
    MembershipPlan, OpContext, OptionChange, Overridden, Override, PendingOrder, PendingOrders, PendingWork, Period,
    PlanChange, Progress, Removed, ResourceBackend, ResourceState, ResourceUpkeep, Settled, Status, StatusControl,
    Surroundings, Usage, UsageSource, UserLimits, UsernameRequest, Verified,
    operations::{Answer, ids, operations},
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

impl Operation {
    const fn reads(name: &'static str) -> Self {
        Self { name, writes: false }
    }

    const fn writes(name: &'static str) -> Self {
        Self { name, writes: true }
    }
}

/// What a layer does around each operation.
#[async_trait]
pub trait Around: Send + Sync + 'static {
    /// Called before the operation.
    ///
    /// # Errors
    /// The error is the operation's result, and the operation does not run. It is treated as an error of the back end.
    fn before(&self, _operation: Operation) -> Result<()> {
        Ok(())
    }

    /// Runs the operation. The default only awaits it.
    ///
    /// # Errors
    /// The error replaces the operation's own result. Whether the operation was carried out is then unknown; the next
    /// attempt finds out.
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

    async fn guard<T: Answer>(
        &self,
        operation: Operation,
        cx: &OpContext,
        ids: &[BackendId],
        work: impl Future<Output = T> + Send,
    ) -> T {
        self.run(operation, cx, work).await.unwrap_or_else(|error| T::failed(error, ids))
    }

    async fn run<T: Send>(
        &self,
        operation: Operation,
        cx: &OpContext,
        work: impl Future<Output = T> + Send,
    ) -> Result<T> {
        self.around.before(operation)?;
        let mut answer = None;
        let slot = &mut answer;
        self.around.run(operation, cx, Box::pin(async move { *slot = Some(work.await) })).await?;
        answer.ok_or_else(|| Error::new(ErrorKind::Other, format!("{}: the layer did not run it", operation.name)))
    }
}

/// Ends operations that take longer than `limit` with a [`ErrorKind::Timeout`]; what they did is then unknown, and the
/// next pass finds out.
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

/// Asks `review` first about every order that waits for the provider: for rules of a site that do not depend on the
/// back end. `None` leaves the decision to the back end.
pub fn reviewed<B, R>(inner: B, review: R) -> Overridden<Reviewed<B, R>>
where
    B: ResourceBackend,
    R: Fn(&PendingOrder) -> Option<Evaluation> + Send + Sync + 'static,
{
    Overridden(Reviewed { inner, review })
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
pub struct Reviewed<B, R> {
    inner: B,
    review: R,
}

#[async_trait]
impl<B, R> Override for Reviewed<B, R>
where
    B: ResourceBackend,
    R: Fn(&PendingOrder) -> Option<Evaluation> + Send + Sync + 'static,
{
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }
    async fn evaluate(&self, cx: &OpContext, order: &PendingOrder) -> Result<Evaluation> {
        match (self.review)(order) {
            Some(word) => Ok(word),
            None => self.inner.evaluate(cx, order).await,
        }
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

macro_rules! layered {
    (
        to {}
        about { $($about:ident($($key:ident: $value:ty),*) -> $is:ty;)* }
        own { $(
            $access:ident $name:literal: $own:ident($($arg:ident: $type:ty),*) -> $answer:ty $(, each $ids:expr)?;
        )* }
        $($accessor:ident: $facet:ident { $(
            $facet_access:ident $facet_name:literal: $_hook:ident =>
                $method:ident($($with:ident: $with_type:ty),*) -> $result:ty $(, each $facet_ids:expr)?;
        )* })*
    ) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<B: ResourceBackend, A: Around> ResourceBackend for Layered<B, A> {
            $(fn $about(&self $(, $key: $value)*) -> $is {
                self.inner.$about($($key),*)
            })*
            $(async fn $own(&self, cx: &OpContext $(, $arg: $type)*) -> $answer {
                let work = self.inner.$own(cx $(, $arg)*);
                self.guard(Operation::$access($name), cx, ids!($($ids)?), work).await
            })*
            $(fn $accessor(&self) -> Option<&dyn $facet> {
                self.inner.$accessor().map(|_| self as _)
            })*
        }

        $(
            #[async_trait]
            #[deny(clippy::missing_trait_methods)]
            impl<B: ResourceBackend, A: Around> $facet for Layered<B, A> {
                $(async fn $method(&self, cx: &OpContext $(, $with: $with_type)*) -> $result {
                    let ids = ids!($($facet_ids)?);
                    let work = async {
                        match self.inner.$accessor() {
                            Some(facet) => facet.$method(cx $(, $with)*).await,
                            None => Answer::no_facet(ids),
                        }
                    };
                    self.guard(Operation::$facet_access($facet_name), cx, ids, work).await
                })*
            }
        )*
    };
}

operations!(layered);
