//! The id is written to Waldur before the object is made. So a process that dies in between leaves a trace in Waldur
//! and not an orphan on the back end.

use super::{Job, OrderProcessor};
use crate::{
    backend::{Candidate, Collision, MarketplaceResource, Origin, Ownership},
    client::{BackendIdCheck, Order, OrderType, Resource},
    error::{Effect, Error, ErrorClass, Result},
    naming::SlugNaming,
    types::BackendId,
};

/// An id that Waldur holds for a resource.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub(super) id: BackendId,
    pub(super) origin: Origin,
    /// Whether this attempt wrote it.
    pub(super) is_new: bool,
    candidate: Candidate,
}

impl OrderProcessor {
    /// The id that Waldur holds already, or a new one, written there.
    pub(super) async fn reserve(
        &self,
        job: &Job<'_>,
        side: &MarketplaceResource,
        resource: &Resource,
        order: &Order,
    ) -> Result<Reservation> {
        match resource.backend_id.clone() {
            Some(id) => Ok(self.recorded(side, id, order)),
            None => self.reserve_next(job, side, order, None).await?.ok_or_else(exhausted),
        }
    }

    /// Why Waldur holds an id: for a Create order, one of our own candidates was reserved by an attempt that was cut
    /// short; anything else was there before, and is respected.
    pub(super) fn recorded(&self, side: &MarketplaceResource, id: BackendId, order: &Order) -> Reservation {
        let ours = (order.kind == OrderType::Create).then(|| self.position(side, &id)).flatten();
        match ours {
            Some(candidate) => Reservation { id, origin: Origin::Reserved, is_new: false, candidate },
            None => Reservation { id, origin: Origin::Recorded, is_new: false, candidate: Candidate::FIRST },
        }
    }

    fn position(&self, side: &MarketplaceResource, id: &BackendId) -> Option<Candidate> {
        let is = |candidate: Candidate| {
            self.backend().candidate_id(side, candidate).is_ok_and(|candidate_id| candidate_id == *id)
        };
        if is(Candidate::FIRST) {
            return Some(Candidate::FIRST);
        }
        (0..self.candidates(side)).find_map(|attempt| {
            [Collision::NotUnique, Collision::Duplicate]
                .into_iter()
                .map(|collision| Candidate { attempt: attempt + 1, collision: Some(collision) })
                .find(|candidate| is(*candidate))
        })
    }

    /// How many candidates there are: more than one only where names may collide by policy (core.md §2.6).
    pub(super) fn candidates(&self, side: &MarketplaceResource) -> u32 {
        let policy = self.policy();
        if policy.check_backend_id_uniqueness || SlugNaming::by_project(side) {
            policy.backend_id_max_retries.max(1)
        } else {
            1
        }
    }

    /// Goes on to the next candidate after the back end said that the object of this one is not ours. When there are
    /// no more, the reservation is taken back, so that no later order touches a stranger's object.
    pub(super) async fn reserve_after(
        &self,
        job: &Job<'_>,
        side: &MarketplaceResource,
        order: &Order,
        taken: &Reservation,
        cause: Error,
    ) -> Result<Reservation> {
        if let Some(next) = self.reserve_next(job, side, order, Some(taken)).await? {
            return Ok(next);
        }
        unless_for_good(job, self.release(job, side, order, &taken.id).await)?;
        Err(exhausted().with_source(cause))
    }

    /// What an order fails for: `failure`, after which its reservation is taken back if it is for good, unless what was
    /// begun is there, or may be. The id counts as on record from then on, and would lead synchronisations and later orders
    /// to a stranger's object. If that cannot be done now, the order is tried again and comes here once more.
    pub(super) async fn give_back(
        &self,
        job: &Job<'_>,
        side: &MarketplaceResource,
        order: &Order,
        reservation: &Reservation,
        failure: Error,
    ) -> Error {
        if reservation.origin != Origin::Reserved || failure.is_passing() {
            return failure;
        }
        let given_back = async {
            let is_kept = match self.backend().get(job.cx, &reservation.id).await {
                Ok(Some(found)) if found.ownership(side.stamp()) == Ownership::Ours => true,
                Ok(Some(found)) if found.ownership(side.stamp()) == Ownership::Foreign => false,
                // It may be of this attempt, and not show yet, or not whose it is.
                Ok(_) => failure.effect() == Effect::Unknown,
                // Whoever may not read it has not made it now, and an earlier attempt has told nobody of it: at most an
                // empty object with our stamp is left, where an id that is kept may lead to a stranger's.
                Err(unread) if !unread.is_passing() && is_untold(side, order, reservation) => {
                    failure.effect() == Effect::Unknown
                }
                Err(unread) => return Err(unread),
            };
            if is_kept { Ok(()) } else { self.release(job, side, order, &reservation.id).await }
        };
        match unless_for_good(job, given_back.await) {
            Ok(()) => failure,
            Err(passing) => {
                job.warn("create", failure);
                passing
            }
        }
    }

    /// Takes a reservation back, unless another process has brought the order to its end under another id since.
    pub(super) async fn release(
        &self,
        job: &Job<'_>,
        side: &MarketplaceResource,
        order: &Order,
        id: &BackendId,
    ) -> Result<()> {
        if self.resource(job, order).await?.backend_id.as_ref() != Some(id) {
            return Ok(());
        }
        job.cx.step("release");
        self.waldur(job.cx).provider_resources().set_backend_id(side.uuid, None).await
    }

    /// Reserves the first free candidate, or the first one after `taken`; `None` when there are no more.
    async fn reserve_next(
        &self,
        job: &Job<'_>,
        side: &MarketplaceResource,
        order: &Order,
        taken: Option<&Reservation>,
    ) -> Result<Option<Reservation>> {
        let mut candidate = taken.map_or(Candidate::FIRST, |taken| taken.candidate.next(Collision::Duplicate));
        while candidate.attempt < self.candidates(side) {
            let id = match self.backend().candidate_id(side, candidate) {
                Ok(id) => id,
                Err(error) if error.class() == ErrorClass::Duplicate => return Ok(None),
                Err(error) => return Err(error),
            };
            if self.is_free(job, &id).await {
                job.cx.step("reserve");
                self.waldur(job.cx).provider_resources().set_backend_id(side.uuid, Some(&id)).await?;
                return Ok(Some(Reservation { id, origin: Origin::Reserved, is_new: true, candidate }));
            }
            // Waldur counts this resource like any other: another process may just have reserved the id for it.
            let held = self.resource(job, order).await?.backend_id;
            if let Some(held) = held.filter(|held| taken.is_none_or(|taken| taken.id != *held)) {
                return Ok(Some(self.recorded(side, held, order)));
            }
            candidate = candidate.next(Collision::NotUnique);
        }
        Ok(None)
    }

    /// Asks Waldur, if the settings say so. An answer that does not come counts as free (core.md §2.6): the back end
    /// refuses a name that is taken.
    async fn is_free(&self, job: &Job<'_>, id: &BackendId) -> bool {
        let policy = self.policy();
        if !policy.check_backend_id_uniqueness {
            return true;
        }
        job.cx.step("check id");
        let check = BackendIdCheck::default();
        let check = if policy.check_all_offerings { check.all_offerings() } else { check };
        let waldur = self.waldur(job.cx);
        match waldur.provider_offerings().check_unique_backend_id(self.offering(), id, &check).await {
            Ok(verdict) => verdict.is_unique,
            Err(error) => {
                job.warn("check_unique_backend_id", error);
                true
            }
        }
    }
}

/// Whether nobody has heard of an object by this name: it was not tried before, or nothing of it was published, and no work
/// on it goes on.
fn is_untold(side: &MarketplaceResource, order: &Order, reservation: &Reservation) -> bool {
    reservation.is_new || (side.metadata.is_empty() && order.backend_id.is_none())
}

/// A reservation that cannot be taken back for good is a warning.
fn unless_for_good(job: &Job<'_>, release: Result<()>) -> Result<()> {
    match release {
        Err(error) if !error.is_passing() => {
            job.warn(RELEASE, error);
            Ok(())
        }
        release => release,
    }
}

/// The step of a warning.
pub(super) const RELEASE: &str = "release of the reserved backend id";

/// Other tools look for these words: "all generated names already exist".
fn exhausted() -> Error {
    Error::rejected("The resource cannot be created: all generated names already exist on the backend.")
}
