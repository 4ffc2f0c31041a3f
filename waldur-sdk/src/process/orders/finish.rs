//! The end of an order: done with a proof in hand, or erred with an explanation.

use super::{Job, OrderOutcome, OrderProcessor, failure};
use crate::{
    backend::{Created, Removed, Verified},
    client::{Order, OrderState},
    error::{Error, ErrorClass, ErrorKind, Result},
    types::Limits,
};

/// Why an order may be reported done.
#[derive(Debug)]
#[must_use]
pub(super) struct Proof(());

impl Proof {
    /// There was nothing to do on the back end.
    pub(super) fn nothing_to_do() -> Self {
        Self(())
    }

    /// The back end acknowledged a change that has nothing to read back (options, plan).
    pub(super) fn acknowledged() -> Self {
        Self(())
    }
}

impl From<Verified<Created>> for Proof {
    fn from(_proof: Verified<Created>) -> Self {
        Self(())
    }
}

impl From<Verified<Limits>> for Proof {
    fn from(_proof: Verified<Limits>) -> Self {
        Self(())
    }
}

impl From<Verified<Removed>> for Proof {
    fn from(_proof: Verified<Removed>) -> Self {
        Self(())
    }
}

impl OrderProcessor {
    /// Reports the order done if it is still executing.
    pub(super) async fn finish(&self, job: &Job<'_>, order: &Order, proof: Proof) -> Result<OrderOutcome> {
        let state = self.waldur(job.cx).orders().state(order.uuid).await?;
        self.finish_from(job, order, state, proof).await
    }

    /// As [`Self::finish`], with the order's state just read.
    pub(super) async fn finish_from(
        &self,
        job: &Job<'_>,
        order: &Order,
        state: OrderState,
        _proof: Proof,
    ) -> Result<OrderOutcome> {
        if state != OrderState::Executing {
            return Ok(OrderOutcome::AlreadyFinished(state));
        }
        job.cx.step("done");
        let waldur = self.waldur(job.cx);
        match waldur.orders().set_state_done(order.uuid).await {
            Ok(()) => Ok(OrderOutcome::Done),
            // Another process was faster, or our own first sending arrived although its answer was lost.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidRequest) => {
                match waldur.orders().state(order.uuid).await? {
                    OrderState::Done => Ok(OrderOutcome::Done),
                    OrderState::Executing => Err(error),
                    state => Ok(OrderOutcome::AlreadyFinished(state)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What a failure after provisioning began comes to. Only a permanent one is reported, and only while the order is
    /// still executing: `set_state_erred` has no guard on the server's side and would fell a finished order's resource
    /// (recorded: 144_erred_from_done).
    pub(super) async fn fail(&self, job: &Job<'_>, order: &Order, error: Error) -> OrderOutcome {
        if matches!(error.class(), ErrorClass::NotReady | ErrorClass::Transient) {
            return OrderOutcome::Deferred(error);
        }
        job.cx.step("erred");
        let waldur = self.waldur(job.cx);
        match waldur.orders().state(order.uuid).await {
            Ok(OrderState::Executing) => {}
            Ok(state) => return OrderOutcome::AlreadyFinished(state),
            Err(cause) if cause.class() == ErrorClass::Transient => return OrderOutcome::Deferred(cause),
            Err(cause) => return OrderOutcome::NotReported(error, cause),
        }
        let failure = failure::describe(&error, self.policy());
        match waldur.orders().set_state_erred(order.uuid, &failure).await {
            Ok(()) => OrderOutcome::Erred(error),
            Err(cause) => OrderOutcome::NotReported(error, cause),
        }
    }
}
