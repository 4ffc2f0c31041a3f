//! What a pass over the orders came to.

use std::fmt;

use super::leftover::{Leftover, LeftoverOutcome};
use crate::{
    client::{Order, OrderState, OrderType},
    error::Error,
    process::failure::{waits, write_error, write_not_reported},
    rest::BadRow,
    types::{BackendId, Endpoint, Limits, OrderUuid, ProjectUuid, ResourceUuid},
};

/// The report of one pass.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct OrderRunReport {
    /// One entry for each order that was listed, in no particular order.
    pub orders: Vec<OrderReport>,
    /// Rows of the listing that could not be read.
    pub unreadable: Vec<BadRow>,
    /// Why the listing is not proven whole, if it is not. The orders that came were processed.
    pub listing_gap: Option<Error>,
    /// What became of objects that earlier passes left over ([`FollowUp::RemoveLeftover`]).
    pub leftovers: Vec<Leftover>,
    /// Why no orders were listed: the back end's preflight said that it is not ready.
    pub not_ready: Option<Error>,
}

impl OrderRunReport {
    /// How many orders came to an outcome that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(&OrderOutcome) -> bool) -> usize {
        self.orders.iter().filter(|report| wanted(&report.outcome)).count()
    }

    /// Whether everything that was listed was read and came to a good end or goes on as it should, with nothing left
    /// over. Members without access do not count: a synchronisation finds them by itself. But nobody looks again at
    /// keys, published metadata and objects once their order is done.
    pub fn is_clean(&self) -> bool {
        self.unreadable.is_empty()
            && self.listing_gap.is_none()
            && self.not_ready.is_none()
            && self.orders.iter().all(|order| order.outcome.is_good())
            && self.leftovers.iter().all(|leftover| !matches!(leftover.outcome, LeftoverOutcome::Left(_)))
            && self.follow_ups().all(FollowUp::comes_by_itself)
    }

    /// What the caller must still see to, of all orders.
    pub fn follow_ups(&self) -> impl Iterator<Item = &FollowUp> {
        self.orders.iter().flat_map(|order| &order.follow_ups)
    }
}

/// What became of one order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OrderReport {
    /// The order.
    pub order: OrderUuid,
    /// What it asks for.
    pub order_type: OrderType,
    /// The resource, if the order names one.
    pub resource: Option<ResourceUuid>,
    /// The resource's name.
    pub resource_name: String,
    /// The back-end id, once it is known.
    pub backend_id: Option<BackendId>,
    /// What came of it.
    pub outcome: OrderOutcome,
    /// What went wrong beside the outcome; the order was not held up by it.
    pub warnings: Vec<Warning>,
    /// What the caller must still see to.
    pub follow_ups: Vec<FollowUp>,
    /// How often it was tried in this pass; 0 when the pass ended before its turn came.
    pub attempts: u32,
}

impl OrderReport {
    /// A report of an order that nothing was done about yet.
    pub(super) fn new(order: &Order) -> Self {
        Self {
            order: order.uuid,
            order_type: order.kind.clone(),
            resource: order.resource_uuid,
            resource_name: order.resource_name.clone().unwrap_or_default(),
            backend_id: None,
            outcome: OrderOutcome::NotOurs(order.state.clone()),
            warnings: Vec::new(),
            follow_ups: Vec::new(),
            attempts: 0,
        }
    }
}

/// The end of one order in one pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OrderOutcome {
    /// Provisioned, verified and reported done.
    Done,
    /// Nothing was left to do: somebody else had finished it.
    AlreadyFinished(OrderState),
    /// The work goes on on the back end; asked again in the next pass.
    Executing,
    /// Refused by the provider.
    Rejected,
    /// The provider has not decided yet.
    AwaitingDecision,
    /// Left as it is; the next pass tries again.
    Deferred(Error),
    /// Left as it is. Later passes will leave it, too, until somebody acts.
    NeedsAttention(Error),
    /// Reported erred.
    Erred(Error),
    /// It failed for good, and reporting that failed as well: first the failure, then why it was not reported.
    NotReported(Error, Error),
    /// In a state that is not the provider's to act on.
    NotOurs(OrderState),
    /// Placed at another offering.
    OtherOffering,
    /// A dry run would have processed it.
    DryRun,
}

impl OrderOutcome {
    /// The outcome of an order that was found in `state` and left alone.
    pub(super) fn left(state: OrderState) -> Self {
        match state {
            OrderState::Done | OrderState::Erred | OrderState::Canceled | OrderState::Rejected => {
                Self::AlreadyFinished(state)
            }
            other => Self::NotOurs(other),
        }
    }

    /// Whether the order came to a good end or waits as it should. A deferred order is good if the back end said that
    /// it is not ready, or if the caller wanted it so (a stop, a dry run). It is not if something is down, refused or
    /// wrong.
    pub fn is_good(&self) -> bool {
        match self {
            Self::Done
            | Self::AlreadyFinished(_)
            | Self::Executing
            | Self::Rejected
            | Self::AwaitingDecision
            | Self::OtherOffering
            | Self::DryRun => true,
            // A word of a newer server: whoever else's it is to act on, nobody here knows.
            Self::NotOurs(state) => !matches!(state, OrderState::Unknown(_)),
            Self::Deferred(error) => waits(error),
            Self::NeedsAttention(_) | Self::Erred(_) | Self::NotReported(..) => false,
        }
    }
}

/// In `{:#}` errors come with their causes.
impl fmt::Display for OrderOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::AlreadyFinished(state) => write!(f, "already {state}"),
            Self::Executing => f.write_str("executing"),
            Self::Rejected => f.write_str("rejected"),
            Self::AwaitingDecision => f.write_str("awaiting decision"),
            Self::Deferred(error) => write_error(f, "deferred", error),
            Self::NeedsAttention(error) => write_error(f, "needs attention", error),
            Self::Erred(error) => write_error(f, "erred", error),
            Self::NotReported(error, cause) => write_not_reported(f, error, cause),
            Self::NotOurs(state) => write!(f, "left alone in state {state}"),
            Self::OtherOffering => f.write_str("left to the agent of its offering"),
            Self::DryRun => f.write_str("dry run"),
        }
    }
}

/// Something that went wrong beside the outcome.
#[derive(Clone, Debug)]
pub struct Warning {
    /// The step (`set_backend_metadata`).
    pub step: &'static str,
    /// What went wrong.
    pub error: Error,
}

/// What the caller must still see to.
///
/// | what | by |
/// |---|---|
/// | [`SyncMembers`](Self::SyncMembers) | [`MembershipSync::sync_resource`](crate::process::MembershipSync::sync_resource) |
/// | [`PublishResource`](Self::PublishResource) | [`OrderProcessor::publish`](crate::process::OrderProcessor::publish) |
/// | [`ReviewKeys`](Self::ReviewKeys) | [`KeyProcessor::provision`](crate::process::KeyProcessor::provision) |
/// | [`RemoveLeftover`](Self::RemoveLeftover) | the next [`run_once`](crate::process::OrderProcessor::run_once) of the same processor, or somebody |
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FollowUp {
    /// Give the members of the resource's project access: it could not be done with the order.
    SyncMembers {
        /// The resource.
        resource: ResourceUuid,
        /// Its project.
        project: Option<ProjectUuid>,
    },
    /// Publish again what Waldur refused. If this follow-up is lost, the customer never gets the endpoints: nobody else
    /// has them.
    PublishResource {
        /// The resource.
        resource: ResourceUuid,
        /// Its object.
        backend_id: BackendId,
        /// The limits, if they were refused.
        limits: Option<Limits>,
        /// The endpoints, if they were.
        endpoints: Vec<Endpoint>,
        /// Whether metadata was. It may hold secrets, so it is not here: a membership synchronisation publishes what
        /// the back end has by then.
        metadata: bool,
    },
    /// Look at the customer's keys again: one is missing, or one may be live that Waldur does not know.
    ReviewKeys {
        /// The resource.
        resource: ResourceUuid,
    },
    /// See whether the object is still wanted, or leave that to the next passes of the same processor
    /// ([`OrderRunReport::leftovers`]): the order ended by somebody else's hand while the object was made, and
    /// its resource is gone or on its way out, so that no order may ever remove it.
    RemoveLeftover {
        /// The resource.
        resource: ResourceUuid,
        /// The object.
        backend_id: BackendId,
    },
}

impl fmt::Display for FollowUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SyncMembers { .. } => f.write_str("give the members access"),
            Self::PublishResource { limits, endpoints, metadata, .. } => {
                let what =
                    [("limits", limits.is_some()), ("endpoints", !endpoints.is_empty()), ("metadata", *metadata)];
                let what: Vec<_> = what.into_iter().filter(|(_, refused)| *refused).map(|(what, _)| what).collect();
                write!(f, "publish {}", what.join(", "))
            }
            Self::ReviewKeys { .. } => f.write_str("look at the keys"),
            Self::RemoveLeftover { backend_id, .. } => write!(f, "see whether {backend_id} is still wanted"),
        }
    }
}

impl FollowUp {
    /// Whether it is done without anybody's doing, by a synchronisation of members that runs anyhow.
    pub fn comes_by_itself(&self) -> bool {
        matches!(self, Self::SyncMembers { .. })
    }
}
