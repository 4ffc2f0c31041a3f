//! Keys of customers, as [`KeyProcessor`] says.

mod missing;
mod provision;
mod report;
mod rotate;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use report::{KeyProvision, KeyRotation, MissingKeys, RotationOutcome, StuckKeys};

pub(in crate::process) use provision::Provision;

use super::{ServedOffering, convert::marketplace, failure::shielded, served::processor};
use crate::{
    backend::{ApiKeys, Cancellation, MarketplaceResource, OpContext, Ownership, ResourceState as Found},
    client::{Resource, ResourceApiKey, ResourceApiKeyQuery, ResourceState, WaldurClient},
    error::{Error, ErrorClass, ErrorKind, Result},
    rest::Complete,
    settings::AgentSettings,
    types::{BackendId, ResourceUuid},
};

/// How many keys a resource has.
pub(in crate::process) const TARGET: usize = 2;

/// What a key that is made already has at least to be handed over or taken back, although the time is up.
const GRACE: Duration = Duration::from_secs(30);

/// The states in which a resource has an object of its own, and keys. Before them there may be none yet; after them the
/// id may be somebody else's.
const WITH_KEYS: [ResourceState; 3] = [ResourceState::Ok, ResourceState::Erred, ResourceState::Updating];

/// The knobs of a [`KeyProcessor`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyPolicy {
    /// A replacement that was asked for longer ago than this is stuck. Default 30 minutes.
    pub stuck_after: Duration,
    /// Tell the customer what went wrong in technical words (`expose_backend_error_details`). Default yes.
    pub expose_error_details: bool,
    /// Resources worked on at once. Default 4.
    pub concurrency: usize,
    /// How many resources without keys get some in one pass over them ([`KeyProcessor::provision_missing`]). Default 20.
    pub provisions_per_pass: usize,
    /// How long it takes until such resources are looked for again. Default an hour.
    pub look_for_missing_after: Duration,
    /// Report which keys would be made or replaced, and write nothing. (Which keys would be pruned cannot be known
    /// without pruning.) Default no.
    pub dry_run: bool,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            stuck_after: Duration::from_secs(30 * 60),
            expose_error_details: true,
            concurrency: 4,
            provisions_per_pass: 20,
            look_for_missing_after: Duration::from_secs(60 * 60),
            dry_run: false,
        }
    }
}

impl KeyPolicy {
    /// What the settings file says, and the defaults for everything that it does not know.
    pub fn from_settings(agent: &AgentSettings) -> Self {
        Self { expose_error_details: agent.expose_backend_error_details, ..Self::default() }
    }
}

/// Makes and replaces the keys of one [offering](ServedOffering)'s customers. Cheap to clone; clones share the lanes.
///
/// New resources get their keys from the [`OrderProcessor`](super::OrderProcessor) with their order.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, backend: std::sync::Arc<dyn waldur_sdk::backend::ResourceBackend>, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{backend::OpContext, process::KeyProcessor};
///
/// let keys = KeyProcessor::new(waldur, backend, offering);
/// for rotation in keys.reconcile_stuck(&OpContext::new("keys")).await?.rotations {
///     println!("{}: {}", rotation.key, rotation.outcome);
/// }
/// # Ok(()) }
/// ```
///
/// Keys of customers (core.md §2.11): every resource of a back end that has [`ApiKeys`] gets two, and the customer has
/// them replaced one at a time.
///
/// A key works on the back end, and Waldur hands it over. A key that Waldur does not know is worthless, so a key that
/// cannot be reported is deleted, and the next run removes what an interrupted one left behind. The secret is held only
/// between the back end's answer and the report.
///
/// | what is known | what happens |
/// |---|---|
/// | Waldur lists keys, each with its `client_id` | others are pruned, the missing ones minted |
/// | the list cannot be read, is empty, or a row lacks its `client_id` | nothing is pruned, all are minted |
///
/// While the list cannot be read, one process mints no more than two keys for a resource, however often it comes back.
///
/// An empty list proves nothing, even if it is whole: keys may be older than the time when keys are reported. There is
/// one exception. If this order made the resource and an earlier attempt was cut short, then any key that is not among
/// those reported now is from that attempt, and is pruned. After a Restore that was cut short, nobody can tell the keys
/// apart: all stay, and a follow-up asks for another look, which prunes what Waldur does not list by then.
///
/// A soft end deletes every key. A Restore replaces the keys that Waldur still lists: they may be dead, and what Waldur
/// hands over has to work.
///
/// # Two agents
/// Lanes keep the processors of one process apart, but not two processes. If two of them make the missing keys of one
/// resource at the same time, each may mint its own. Pruned are only keys that were on the back end before Waldur was
/// asked which keys it knows. So a key that the other process makes and reports in between stays. A key that the other
/// process has made earlier and not reported yet may be pruned, and is then reported: Waldur lists a key that does not
/// work, until the customer has it replaced. The opposite, a key that works and that nobody knows, cannot happen. To
/// close that gap would take a lease, so run one agent for an offering.
#[derive(Clone)]
pub struct KeyProcessor(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    served: ServedOffering,
    policy: KeyPolicy,
}

/// What is remembered of an offering's keys. Clones share it.
#[derive(Clone, Debug, Default)]
pub(in crate::process) struct KeyMemory {
    pub(in crate::process) blind: BlindKeys,
    waiting: Arc<Mutex<missing::Waiting>>,
}

/// How many keys of a resource were handed over while nobody could say which ones it has: without this every further
/// look would make as many again, all of them live. Clones share it. Never locked across an await.
#[derive(Clone, Debug, Default)]
pub(in crate::process) struct BlindKeys(Arc<Mutex<HashMap<ResourceUuid, usize>>>);

impl BlindKeys {
    fn of(&self, resource: ResourceUuid) -> usize {
        self.all().get(&resource).copied().unwrap_or_default()
    }

    fn one_more(&self, resource: ResourceUuid) {
        *self.all().entry(resource).or_default() += 1;
    }

    fn forget(&self, resource: ResourceUuid) {
        self.all().remove(&resource);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ResourceUuid, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

processor!(KeyProcessor, KeyPolicy, OrderProcess, "keys", []);

impl KeyProcessor {
    /// Brings the keys of a resource to their number, and removes those that nobody knows. For a resource whose order
    /// left a [`FollowUp::ReviewKeys`](super::FollowUp::ReviewKeys).
    ///
    /// If it stopped half-way, [`KeyProvision::deferred`] says why, beside what was done until then.
    ///
    /// # Errors
    /// When the resource cannot be read, has no back-end id, or the back end has no [`ApiKeys`]; `InvalidRequest` when the
    /// resource is not one of this offering, or is not in use.
    pub async fn provision(&self, cx: &OpContext, resource: ResourceUuid) -> Result<KeyProvision> {
        self.provision_in_lane(cx, resource, false).await
    }

    /// `keeps`: what Waldur does not list stays, and a resource that has ended meanwhile has nothing missing.
    async fn provision_in_lane(&self, cx: &OpContext, resource: ResourceUuid, keeps: bool) -> Result<KeyProvision> {
        let (this, cx) = (self.clone(), cx.child(resource.hex()));
        self.0.served.lanes.run(resource, async move { this.provision_alone(&cx, resource, keeps).await }).await
    }

    async fn provision_alone(&self, cx: &OpContext, resource: ResourceUuid, keeps: bool) -> Result<KeyProvision> {
        cx.checkpoint()?;
        let keys = self.backend().keys().ok_or_else(|| Error::unsupported("keys of customers"))?;
        let waldur = self.waldur(cx);
        let row = match waldur.provider_resources().get(resource).await {
            Err(error) if keeps && error.is_not_found() => return Ok(KeyProvision::default()),
            row => row?,
        };
        if keeps && !is_in_use(&row) {
            return Ok(KeyProvision::default());
        }
        if let Some(refusal) = self.refusal(&row) {
            return Err(refusal);
        }
        let (side, id) = self.subject(&row)?;
        let (side, id, blind) = (&side, &id, &self.0.served.key_memory.blind);
        let (resumes, is_new, renews) = (false, false, false);
        let provision = Provision { waldur: &waldur, keys, cx, side, id, resumes, is_new, renews, keeps, blind };
        Ok(if self.policy().dry_run { provision.plan().await } else { provision.run().await })
    }

    /// Why the back end is not asked about a resource, if it is not: events come from outside, and a filter that the
    /// server does not know is ignored. The id of another offering's resource may be that of anybody's object here.
    fn refusal(&self, row: &Resource) -> Option<Error> {
        let refuse = |why: &str| Some(Error::new(ErrorKind::InvalidRequest, format!("resource {} {why}", row.uuid)));
        if row.offering_uuid != Some(self.offering()) {
            return refuse("is not one of this offering");
        }
        if is_in_use(row) { None } else { refuse("is not in use") }
    }

    /// The resource as the back end sees it, and its id there.
    fn subject(&self, row: &Resource) -> Result<(MarketplaceResource, BackendId)> {
        match row.backend_id.clone() {
            Some(id) => Ok((marketplace(row, self.offering()), id)),
            None => Err(Error::not_ready(format!("resource {} has no back-end id", row.uuid))),
        }
    }
}

fn is_in_use(row: &Resource) -> bool {
    row.state.as_ref().is_some_and(|state| WITH_KEYS.contains(state))
}

/// The way to both sides for what must come to its end: later than the deadline if need be, and also when the caller
/// asks to stop. Otherwise the key that is in hand would live on unknown.
fn grace(cx: &OpContext, waldur: &WaldurClient) -> (OpContext, WaldurClient) {
    let soonest = waldur.environment().instant().checked_add(GRACE);
    let deadline = cx.deadline.and_then(|deadline| soonest.map(|soonest| soonest.max(deadline)));
    let cx = cx.clone().with_deadline(deadline).with_cancellation(Cancellation::default());
    (cx, waldur.until(deadline))
}

/// The keys of a resource that Waldur lists, proven whole.
pub(in crate::process) async fn listed(
    waldur: &WaldurClient,
    resource: ResourceUuid,
) -> Result<Complete<ResourceApiKey>> {
    let query = ResourceApiKeyQuery::resource(resource);
    let rows = waldur.api_keys().list(&query).collect().await?.complete()?;
    // A filter that the server does not know is ignored: what came is looked at.
    if rows.items().iter().any(|row| row.resource_uuid.is_some_and(|other| other != resource)) {
        return Err(Error::unsupported("listing the keys of one resource"));
    }
    Ok(rows)
}

/// Their first halves, if that is everything that customers may have: there are some, and each is named.
fn known(rows: &Complete<ResourceApiKey>) -> Option<Complete<String>> {
    let named = !rows.items().is_empty() && rows.items().iter().all(|row| row.client_id.is_some());
    named.then(|| rows.clone().map(|row| row.client_id.unwrap_or_default()))
}

/// The keys that the back end had before Waldur was asked for those it knows, where it tells them. Why they could not be
/// read matters when something is to be pruned.
struct Before(Result<Option<BTreeSet<String>>>);

impl Before {
    async fn look(keys: &dyn ApiKeys, cx: &OpContext, side: &MarketplaceResource, id: &BackendId) -> Self {
        Self(shielded(keys.prunable(cx, side, id)).await)
    }
}

/// Removes what nobody knows, and nothing that was made after the look `before`.
async fn prune(
    keys: &dyn ApiKeys,
    cx: &OpContext,
    side: &MarketplaceResource,
    id: &BackendId,
    before: &Before,
    known: &Complete<String>,
) -> Result<u32> {
    let Some(live) = before.0.as_ref().map_err(Clone::clone)? else {
        return shielded(keys.prune(cx, side, id, known)).await;
    };
    let (mut pruned, mut failed) = (0, None);
    for client_id in live.iter().filter(|client_id| !known.items().contains(client_id)) {
        cx.checkpoint()?;
        match shielded(keys.revoke(cx, side, id, client_id)).await {
            Ok(()) => pruned += 1,
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    failed.map_or(Ok(pruned), Err)
}

/// Takes every key of an object that outlives its resource. Whatever is left would work for ever, so nothing that goes
/// wrong is passed over.
///
/// Of an object with the resource's stamp no key may be left, known or not. One without a stamp is the resource's by its
/// recorded name alone: from it goes what Waldur has handed over.
pub(in crate::process) async fn withdraw(
    waldur: &WaldurClient,
    keys: &dyn ApiKeys,
    cx: &OpContext,
    side: &MarketplaceResource,
    found: &Found,
) -> Result<()> {
    if found.ownership(side.stamp()) == Ownership::Ours {
        return shielded(keys.prune(cx, side, &found.id, &Complete::nothing())).await.map(drop);
    }
    let rows = match listed(waldur, side.uuid).await {
        // It never had any to hand over.
        Err(error) if error.class() == ErrorClass::Unsupported => return Ok(()),
        rows => rows?,
    };
    for client_id in rows.items().iter().filter_map(|row| row.client_id.as_deref()) {
        shielded(keys.revoke(cx, side, &found.id, client_id)).await?;
    }
    Ok(())
}
