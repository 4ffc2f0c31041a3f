//! Objects that nobody wants: while one was made, somebody else ended its order, and its resource is gone, too. No
//! order will ever remove such an object (faults.md row 115).
//!
//! The pass that finds one leaves it and says so ([`FollowUp::RemoveLeftover`]). The next pass looks again. If Waldur
//! still says that nobody wants the object, and its stamp is still ours, it is removed by the same call as for a
//! terminated resource. Two looks, because one answer of Waldur's may be wrong. What cannot be removed is reported in
//! each pass. All of this is lost with the process, so a process that lives for a single pass only reports.

use std::{
    fmt,
    sync::{MutexGuard, PoisonError},
};

use super::{Job, OrderProcessor, report::FollowUp};
use crate::{
    backend::{DeleteRequest, OpContext, Ownership, Progress},
    client::{Order, OrderType, Resource, ResourceState},
    error::{Error, ErrorKind, Result},
    process::{
        convert,
        failure::{shielded, write_error},
    },
    types::{BackendId, OrderUuid, ResourceUuid},
};

/// An object that was made, and that nobody wants.
#[derive(Clone, Debug)]
pub(super) struct Unwanted {
    order: OrderUuid,
    resource: ResourceUuid,
    backend_id: BackendId,
    /// Made by this order, and not kept from before: a restoration finds what the customer had.
    is_new: bool,
}

impl Unwanted {
    /// A resource may have left several, under one id after the other.
    fn is(&self, resource: ResourceUuid, id: &BackendId) -> bool {
        self.resource == resource && self.backend_id == *id
    }
}

/// What became of an object that an earlier pass left over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leftover {
    /// The resource that it was made for.
    pub resource: ResourceUuid,
    /// The object.
    pub backend_id: BackendId,
    /// What became of it.
    pub outcome: LeftoverOutcome,
}

/// What became of an object that was left over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LeftoverOutcome {
    /// It is gone.
    Removed,
    /// Its resource is in use again.
    Wanted,
    /// It is still there, and nobody will remove it unless somebody acts or this passes.
    Left(Error),
}

/// In `{:#}` the error comes with its causes.
impl fmt::Display for LeftoverOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("removed"),
            Self::Wanted => f.write_str("wanted again"),
            Self::Left(error) => write_error(f, "left over", error),
        }
    }
}

impl OrderProcessor {
    /// Notes an object that was made for an order which was not ours any more.
    pub(super) fn leaves(&self, job: &Job<'_>, order: &Order, resource: ResourceUuid, backend_id: BackendId) {
        job.follow_up(FollowUp::RemoveLeftover { resource, backend_id: backend_id.clone() });
        let is_new = order.kind == OrderType::Create;
        let unwanted = Unwanted { order: order.uuid, resource, backend_id, is_new };
        let mut all = self.unwanted();
        all.retain(|other| !other.is(resource, &unwanted.backend_id));
        all.push(unwanted);
    }

    /// What passes have left over until now.
    pub(super) fn leftovers(&self) -> Vec<Unwanted> {
        self.unwanted().clone()
    }

    /// Looks again at what earlier passes left over. One after the other, and after the orders, for which somebody waits;
    /// where the other side is down, or refuses the credentials, the rest is not tried.
    pub(super) async fn see_to(&self, cx: &OpContext, before: Vec<Unwanted>) -> Vec<Leftover> {
        let mut seen = Vec::with_capacity(before.len());
        let mut outage = None;
        for unwanted in before {
            if cx.is_cancelled() {
                break;
            }
            let (resource, backend_id) = (unwanted.resource, unwanted.backend_id.clone());
            let outcome = match &outage {
                Some(error) => LeftoverOutcome::Left(Error::clone(error)),
                None => self.see_to_one(cx, unwanted).await,
            };
            match &outcome {
                LeftoverOutcome::Left(error) if error.is_outage() || error.kind() == ErrorKind::Unauthenticated => {
                    outage = Some(error.clone());
                }
                LeftoverOutcome::Left(_) => {}
                _ => self.unwanted().retain(|other| !other.is(resource, &backend_id)),
            }
            seen.push(Leftover { resource, backend_id, outcome });
        }
        seen
    }

    async fn see_to_one(&self, cx: &OpContext, unwanted: Unwanted) -> LeftoverOutcome {
        let (this, cx, resource) = (self.clone(), cx.child(unwanted.order.hex()), unwanted.resource);
        let look = async move { shielded(this.look_again(&cx, &unwanted)).await };
        self.0.served.lanes.run(resource, look).await.unwrap_or_else(LeftoverOutcome::Left)
    }

    async fn look_again(&self, cx: &OpContext, unwanted: &Unwanted) -> Result<LeftoverOutcome> {
        let Unwanted { order, resource, backend_id: id, is_new } = unwanted;
        let row = self.waldur(cx).provider_resources().get(*resource).await?;
        if !is_terminated(&row)? {
            return Ok(LeftoverOutcome::Wanted);
        }
        let side = convert::marketplace(&row, self.offering());
        let Some(found) = self.backend().get(cx, id).await? else { return Ok(LeftoverOutcome::Removed) };
        if found.ownership(side.stamp()) != Ownership::Ours {
            return Err(found.foreign_to(side.stamp()));
        }
        if !is_new || self.policy().soft_delete {
            let text =
                format!("{id} is of a resource that is terminated, and terminated resources may keep theirs here");
            return Err(Error::new(ErrorKind::Inconsistent, text));
        }
        if self.policy().dry_run {
            return Err(Error::new(ErrorKind::DryRun, format!("{id} would be removed")));
        }
        cx.checkpoint()?;
        cx.step("delete");
        match self.backend().delete(cx, &DeleteRequest::new(*order, side, id.clone())).await? {
            Progress::Done(_removed) => Ok(LeftoverOutcome::Removed),
            Progress::Pending { .. } => Err(Error::not_ready(format!("the removal of {id} goes on"))),
        }
    }

    fn unwanted(&self) -> MutexGuard<'_, Vec<Unwanted>> {
        self.0.unwanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a resource is at its end.
///
/// # Errors
/// When it is on its way there, and an order sees to its object; or when Waldur does not tell, or in a word that is not
/// known here.
fn is_terminated(row: &Resource) -> Result<bool> {
    match row.state {
        Some(ResourceState::Terminated) => Ok(true),
        Some(ResourceState::Terminating) => Err(Error::not_ready("its resource is being terminated")),
        None | Some(ResourceState::Unknown(_)) => {
            Err(Error::not_ready("Waldur does not tell the state of its resource"))
        }
        Some(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn f115_a_resource_of_which_waldur_does_not_tell_the_state_is_neither_in_use_nor_at_its_end() {
        let row = |state| {
            let row = json!({ "uuid": "000000a50000400080000000000000a5", "state": state });
            serde_json::from_value::<Resource>(row).unwrap()
        };
        assert_eq!(is_terminated(&row(json!("Terminated"))).ok(), Some(true));
        for state in ["OK", "Erred", "Creating", "Updating"] {
            assert_eq!(is_terminated(&row(json!(state))).ok(), Some(false), "{state}");
        }
        for state in [json!(null), json!("Terminating"), json!("Hibernated")] {
            assert_eq!(is_terminated(&row(state)).unwrap_err().kind(), ErrorKind::NotReady);
        }
    }
}
