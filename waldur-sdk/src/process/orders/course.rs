//! The way of one order through its states.

use futures_util::future::join;

use super::{
    Job, OrderOutcome, OrderProcessor,
    convert::{marketplace, pending_order},
    create::Creation,
    failure::shielded,
    later::Later,
};
use crate::{
    backend::{Evaluation, MarketplaceResource},
    client::{Feature, Order, OrderState, OrderType, ProviderInfo, Resource, ResourceState},
    error::{Error, ErrorKind, Result},
};

/// What an order is about.
struct Subject {
    resource: Resource,
    side: MarketplaceResource,
}

/// An order with everything that its work needs.
enum Work {
    Create(Box<Creation>),
    Update(Box<Resource>, MarketplaceResource),
    Terminate(Box<Resource>, MarketplaceResource),
    Check(Box<Later>),
    /// Nothing that a later pass could do better.
    Hopeless(Error),
}

impl OrderProcessor {
    /// One attempt.
    pub(super) async fn once(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        job.begin();
        // Whatever brought the order here, this back end is not the one that it was placed with.
        if order.offering_uuid.is_some_and(|offering| offering != self.offering()) {
            return OrderOutcome::OtherOffering;
        }
        match &order.state {
            OrderState::Executing if self.policy().dry_run => OrderOutcome::DryRun,
            OrderState::Executing => self.resume(job, order).await,
            OrderState::PendingProvider if job.is_approved() => OrderOutcome::Deferred(not_in_effect()),
            OrderState::PendingProvider => self.decide(job, order).await,
            other => OrderOutcome::left(other.clone()),
        }
    }

    /// Provisions an order that was executing when it was listed. That may be long ago: it is provisioned only if it
    /// still is, lest an order that another process finished undo a later one. The second look costs no time, as it
    /// goes out with the reading of the resource.
    async fn resume(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        let (state, subject) = join(self.state(job, order), self.subject(job, order)).await;
        match state {
            Ok(OrderState::Executing) => self.begin(job, order, subject).await,
            state => unbegun(state),
        }
    }

    /// Evaluates an order, and approves and provisions it if that is the word. Until the order is known to be
    /// executing, no failure changes it.
    async fn decide(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        job.cx.step("evaluate");
        let pending = pending_order(order);
        let evaluation = shielded(self.backend().evaluate(job.cx, &pending)).await;
        let waldur = self.waldur(job.cx);
        match evaluation {
            Err(error) => OrderOutcome::Deferred(error),
            Ok(Evaluation::Pending) => OrderOutcome::AwaitingDecision,
            Ok(Evaluation::Waiting { message, url }) => {
                self.tell_customer(job, order, &message, url.as_deref()).await;
                OrderOutcome::AwaitingDecision
            }
            Ok(_) if self.policy().dry_run => OrderOutcome::DryRun,
            Ok(Evaluation::Reject { comment }) => {
                job.cx.step("reject");
                match waldur.orders().reject_by_provider(order.uuid, comment.as_deref()).await {
                    Ok(()) => OrderOutcome::Rejected,
                    Err(error) => OrderOutcome::Deferred(error),
                }
            }
            Ok(Evaluation::Accept) => self.approve(job, order).await,
        }
    }

    /// Tells the customer what an order waits for, unless that was told. Nothing depends on it.
    async fn tell_customer(&self, job: &Job<'_>, order: &Order, message: &str, url: Option<&str>) {
        let (message, url) = (message.trim(), url.map(str::trim).filter(|url| !url.is_empty()));
        let is_told = order.provider_message.as_deref().unwrap_or_default() == message
            && (url.is_none() || order.provider_message_url.as_deref() == url);
        let waldur = self.waldur(job.cx);
        if is_told || self.policy().dry_run || waldur.features().is_missing(Feature::OrderMarks) {
            return;
        }
        job.cx.step("tell customer");
        let mut info = ProviderInfo::new(message);
        info.url = url.map(str::to_owned);
        if let Err(error) = waldur.orders().set_provider_info(order.uuid, &info).await {
            waldur.features().note(&error);
            job.warn("set_provider_info", error);
        }
    }

    /// Approves, reads the order again, and provisions only if it is executing. The resource is read along with the
    /// approval.
    async fn approve(&self, job: &Job<'_>, order: &Order) -> OrderOutcome {
        job.cx.step("approve");
        let waldur = self.waldur(job.cx);
        let approval = waldur.orders().approve_by_provider(order.uuid);
        let (approval, subject) = join(approval, self.subject(job, order)).await;
        let refusal = match approval {
            Ok(()) => {
                job.approved();
                if subject.as_ref().is_ok_and(|subject| self.may_begin_early(order, subject)) {
                    return self.begin_early(job, order, subject).await;
                }
                None
            }
            // Somebody else approved, or the customer withdrew: the order itself tells.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidRequest) => Some(error),
            Err(error) => return OrderOutcome::Deferred(error),
        };
        match self.state(job, order).await {
            Ok(OrderState::Executing) => self.begin(job, order, subject).await,
            Ok(OrderState::PendingProvider) => OrderOutcome::Deferred(refusal.unwrap_or_else(not_in_effect)),
            state => unbegun(state),
        }
    }

    /// Whether all that is written before the order was read once more is the one name that the resource can have.
    /// Where there are several, another process may have finished the order under another one meanwhile, which this
    /// reservation would replace.
    fn may_begin_early(&self, order: &Order, subject: &Subject) -> bool {
        let reserves = matches!(order.kind, OrderType::Create | OrderType::Restore);
        !reserves || subject.resource.backend_id.is_some() || self.candidates(&subject.side) == 1
    }

    /// Prepares while the order is read once more. That saves a round trip, and may be in vain: then the reservation is
    /// looked after.
    async fn begin_early(&self, job: &Job<'_>, order: &Order, subject: Result<Subject>) -> OrderOutcome {
        let (state, work) = join(self.state(job, order), self.prepare(job, order, subject)).await;
        match state {
            Ok(OrderState::Executing) => self.carry_out(job, order, work).await,
            Ok(OrderState::PendingProvider) => OrderOutcome::Deferred(not_in_effect()),
            Ok(state @ (OrderState::Erred | OrderState::Canceled | OrderState::Rejected)) => {
                if let Ok(Work::Create(creation)) = work {
                    self.withdraw(job, order, &creation).await;
                }
                OrderOutcome::left(state)
            }
            state => unbegun(state),
        }
    }

    async fn begin(&self, job: &Job<'_>, order: &Order, subject: Result<Subject>) -> OrderOutcome {
        let work = self.prepare(job, order, subject).await;
        self.carry_out(job, order, work).await
    }

    /// The resource of an order, and what a back end is told of it.
    async fn subject(&self, job: &Job<'_>, order: &Order) -> Result<Subject> {
        let resource = self.resource(job, order).await?;
        let side = marketplace(&resource, order, self.offering());
        Ok(Subject { resource, side })
    }

    pub(super) async fn resource(&self, job: &Job<'_>, order: &Order) -> Result<Resource> {
        match order.resource_uuid {
            Some(resource) => self.waldur(job.cx).provider_resources().get(resource).await,
            None => Err(Error::new(ErrorKind::Decode, "the order names no resource")),
        }
    }

    pub(super) async fn state(&self, job: &Job<'_>, order: &Order) -> Result<OrderState> {
        self.waldur(job.cx).orders().state(order.uuid).await
    }

    /// Gathers what the work needs. The first failure that is the order's own comes from here.
    async fn prepare(&self, job: &Job<'_>, order: &Order, subject: Result<Subject>) -> Result<Work> {
        let Subject { resource, side } = subject?;
        if let OrderType::Unknown(word) = &order.kind {
            // Nothing may be guessed about an order type of a newer server; an upgrade of this agent will know it.
            let text = format!("orders of type {} are not known to this version", word.as_str());
            return Ok(Work::Hopeless(Error::not_ready(text)));
        }
        // Other systems write this field too; it means something only to a back end that asked for it (C29).
        if self.backend().pending().is_some()
            && let Some(handle) = &order.backend_id
        {
            let later = self.prepare_check(job, order, handle, resource, side).await?;
            return Ok(Work::Check(Box::new(later)));
        }
        Ok(match order.kind {
            // Nobody waits for it any more, and no order would ever remove what is made now.
            OrderType::Create if is_gone(&resource) => {
                let text = "the resource is terminated, or about to be; nothing is created for it";
                Work::Hopeless(Error::not_ready(text))
            }
            OrderType::Update => Work::Update(Box::new(resource), side),
            OrderType::Terminate => Work::Terminate(Box::new(resource), side),
            _ => {
                let creation = shielded(self.prepare_create(job, order, &resource, side)).await?;
                Work::Create(Box::new(creation))
            }
        })
    }

    async fn carry_out(&self, job: &Job<'_>, order: &Order, work: Result<Work>) -> OrderOutcome {
        let outcome = shielded(async {
            match work? {
                Work::Create(creation) => self.create(job, order, *creation).await,
                Work::Update(resource, side) => self.update(job, order, &resource, side).await,
                Work::Terminate(resource, side) => self.terminate(job, order, &resource, side).await,
                Work::Check(later) => self.check(job, order, *later).await,
                Work::Hopeless(error) => Ok(OrderOutcome::NeedsAttention(error)),
            }
        });
        match outcome.await {
            Ok(outcome) => outcome,
            Err(error) => self.fail(job, order, error).await,
        }
    }
}

/// The outcome of an order that was found in another state than executing, or not found out about.
fn unbegun(state: Result<OrderState>) -> OrderOutcome {
    match state {
        Ok(state) => OrderOutcome::left(state),
        Err(error) => OrderOutcome::Deferred(error),
    }
}

/// Whether a resource is terminated or on its way there.
pub(super) fn is_gone(resource: &Resource) -> bool {
    matches!(resource.state, Some(ResourceState::Terminating | ResourceState::Terminated))
}

/// Approved just now, yet still pending: in production a task of the server puts the approval into effect a moment
/// later. Worth a look soon, but not another approval.
fn not_in_effect() -> Error {
    Error::not_ready("approved, but Waldur has not put the approval into effect yet").with_retryable(true)
}
