//! The end of an order: done with a proof in hand, or erred with an explanation.

use super::{Job, OrderOutcome, OrderProcessor, failure};
use crate::{
    backend::{Created, Removed, Verified},
    client::{Order, OrderState},
    error::{Error, ErrorKind, Result},
    types::Limits,
};

/// Why an order may be reported done: a reading that agrees, wherever there is something to read.
#[derive(Debug)]
#[must_use]
pub(super) struct Proof(());

impl Proof {
    /// There was nothing to do on the back end: nothing was ever made, or nothing is to be changed.
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
        let state = self.state(job, order).await?;
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
            return Ok(OrderOutcome::left(state));
        }
        job.cx.step("done");
        let waldur = self.waldur(job.cx);
        match waldur.orders().set_state_done(order.uuid).await {
            Ok(()) => Ok(OrderOutcome::Done),
            // Another process was faster, or our own first sending arrived although its answer was lost.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidRequest) => {
                match self.state(job, order).await? {
                    OrderState::Done => Ok(OrderOutcome::Done),
                    // The work is done and proven, so this is no failure of the order. Nor can it be trusted to be
                    // executing: a replica that lags may say so of an order that is done.
                    OrderState::Executing => {
                        let text = "Waldur refuses to end the order, which it says is executing";
                        let refusal = Error::new(error.kind(), text).with_operation(error.operation());
                        Ok(OrderOutcome::Deferred(refusal.with_source(error)))
                    }
                    state => Ok(OrderOutcome::left(state)),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What a failure after provisioning began comes to. Only a permanent one is reported, and only while the order is
    /// still executing: `set_state_erred` has no guard on the server's side and would make the resource of a finished
    /// order erred (recorded: 144_erred_from_done).
    pub(super) async fn fail(&self, job: &Job<'_>, order: &Order, error: Error) -> OrderOutcome {
        if error.is_passing() {
            return OrderOutcome::Deferred(error);
        }
        job.cx.step("erred");
        match self.state(job, order).await {
            Ok(OrderState::Executing) => {}
            Ok(state) => return OrderOutcome::left(state),
            Err(cause) => return not_reported(error, cause),
        }
        job.failed(&error);
        let failure = failure::describe(&error, self.policy().expose_error_details);
        match self.waldur(job.cx).orders().set_state_erred(order.uuid, &failure).await {
            Ok(()) => OrderOutcome::Erred(error),
            Err(cause) => not_reported(error, cause),
        }
    }
}

/// A failure that could not be reported: for a passing reason the whole order is tried again, state and all.
fn not_reported(error: Error, cause: Error) -> OrderOutcome {
    if cause.is_passing() { OrderOutcome::Deferred(cause) } else { OrderOutcome::NotReported(error, cause) }
}
