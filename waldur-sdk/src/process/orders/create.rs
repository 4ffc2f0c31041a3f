//! Create and Restore: one path, which converges from wherever an earlier attempt stopped.

use futures_util::future::{join3, join4};

use super::{
    FollowUp, Job, OrderOutcome, OrderProcessor,
    convert::limits,
    course::is_gone,
    finish::Proof,
    reserve::{RELEASE, Reservation},
};
use crate::{
    backend::{
        CreateRequest, Created, Grant, MarketplaceResource, Origin, Ownership, Progress, SshPublicKey, Status, Verified,
    },
    client::{Order, OrderType, Resource},
    error::{Error, ErrorClass, ErrorKind, Result},
    process::keys::Provision,
    types::{Amounts, Limits, PlanUuid, WaldurAmount},
};

/// A create request, and where its id came from.
#[derive(Debug)]
pub(super) struct Creation {
    request: CreateRequest,
    reservation: Reservation,
}

impl OrderProcessor {
    /// Resolves everything that a create request needs, all at once, and reserves the id.
    pub(super) async fn prepare_create(
        &self,
        job: &Job<'_>,
        order: &Order,
        resource: &Resource,
        side: MarketplaceResource,
    ) -> Result<Creation> {
        let limits = ordered_limits(order, resource)?;
        let (reservation, plan_quotas, ssh_keys, team) = join4(
            self.reserve(job, &side, resource, order),
            self.plan_quotas(job, side.plan.or(order.plan_uuid)),
            self.ssh_keys(job),
            self.team(job, resource),
        )
        .await;
        let reservation = reservation?;
        let mut request = CreateRequest::new(order.uuid, side, reservation.id.clone())
            .with_origin(reservation.origin)
            .with_limits(limits);
        request.plan_quotas = plan_quotas;
        request.ssh_keys = ssh_keys;
        request.team = team;
        Ok(Creation { request, reservation })
    }

    /// Takes back what was reserved for an order that had failed or been withdrawn by then, unless another process had
    /// made the object: the id must not lead a later order to a stranger's.
    pub(super) async fn withdraw(&self, job: &Job<'_>, order: &Order, creation: &Creation) {
        let Creation { request, reservation } = creation;
        if !reservation.is_new {
            return;
        }
        let withdrawn = match self.backend().get(job.cx, &reservation.id).await {
            Ok(Some(found)) if found.ownership(request.resource.stamp()) == Ownership::Ours => Ok(()),
            Err(unread) if unread.is_passing() => Err(unread),
            // What may not be read was not made by anybody who goes by the same account.
            Ok(_) | Err(_) => self.release(job, &request.resource, order, &reservation.id).await,
        };
        if let Err(error) = withdrawn {
            job.warn(RELEASE, error);
        }
    }

    pub(super) async fn create(&self, job: &Job<'_>, order: &Order, creation: Creation) -> Result<OrderOutcome> {
        let Creation { mut request, mut reservation } = creation;
        let created = loop {
            job.cx.checkpoint()?;
            job.uses(&request.backend_id);
            job.cx.step("create");
            match self.backend().create(job.cx, &request).await {
                Ok(Progress::Done(created)) => break created,
                Ok(Progress::Pending { handle, .. }) => return self.leave_pending(job, order, &handle).await,
                Err(error)
                    if request.origin == Origin::Reserved
                        && matches!(error.class(), ErrorClass::Duplicate | ErrorClass::Foreign) =>
                {
                    reservation = self.reserve_after(job, &request.resource, order, &reservation, error).await?;
                    request.backend_id = reservation.id.clone();
                    request.origin = reservation.origin;
                }
                Err(error) => {
                    return Err(self.give_back(job, &request.resource, order, &reservation, error).await);
                }
            }
        };
        // A restored resource has from now on what this order says, and not what Waldur has on record from before.
        request.resource.limits.extend(request.limits.clone());
        self.complete_create(job, order, &request.resource, &request.team, created).await
    }

    /// Publishes what was made, gives the team access, and reports done. Access comes before done, so that a process
    /// that dies in between does not leave people outside: a finished order is never looked at again.
    pub(super) async fn complete_create(
        &self,
        job: &Job<'_>,
        order: &Order,
        side: &MarketplaceResource,
        team: &[Grant],
        created: Verified<Created>,
    ) -> Result<OrderOutcome> {
        for warning in &created.get().warnings {
            job.warn("create", warning.clone());
        }
        if order.kind == OrderType::Restore
            && let Some(status) = self.backend().status()
            && let Some(id) = job.backend_id()
        {
            match status.set_status(job.cx, side, &id, Status::Active).await {
                // What was not paused by us is not ours to open: whoever closed it, or a later pass, will.
                Err(error) if error.class() == ErrorClass::Unsupported => job.warn("status", error),
                outcome => outcome?,
            }
        }
        job.cx.step("publish");
        let handed_over = async {
            self.publish_created(job, side, created.get()).await?;
            // A key that stands in the metadata is known to Waldur before others are made, which never stand there.
            let mut side = side.clone();
            side.metadata.extend(created.get().metadata.iter().map(|(name, value)| (name.clone(), value.clone())));
            self.provision_keys(job, order, &side).await
        };
        let (handed_over, (), state) =
            join3(handed_over, self.grant_access(job, side, team), self.state(job, order)).await;
        handed_over?;
        let outcome = self.finish_from(job, order, state?, Proof::from(created)).await?;
        if matches!(outcome, OrderOutcome::AlreadyFinished(_)) {
            self.look_for_leftover(job, order).await;
        }
        Ok(outcome)
    }

    /// Makes the customer's keys, if the back end has any (core.md §2.11), once in a pass. What fails for good is a
    /// warning and a follow-up; a passing failure is tried again with the order.
    async fn provision_keys(&self, job: &Job<'_>, order: &Order, side: &MarketplaceResource) -> Result<()> {
        let (Some(keys), Some(id)) = (self.backend().keys(), job.backend_id()) else { return Ok(()) };
        let report = if let Some(report) = job.keys() {
            report
        } else {
            let (resumes, is_new) = (job.resumes(), order.kind == OrderType::Create);
            let waldur = self.waldur(job.cx);
            let (renews, blind) = (order.kind == OrderType::Restore, self.blind_keys());
            let (cx, id, keeps) = (job.cx, &id, false);
            let provision = Provision { waldur: &waldur, keys, cx, side, id, resumes, is_new, renews, keeps, blind };
            // Boxed: most orders have no keys, and all would carry the space for them.
            let report = Box::pin(provision.run()).await;
            if report.deferred.is_none() {
                job.got_keys(&report);
            }
            report
        };
        for warning in report.warnings {
            job.warn(warning.step, warning.error);
        }
        if report.needs_review {
            job.follow_up(FollowUp::ReviewKeys { resource: side.uuid });
        }
        report.deferred.map_or(Ok(()), Err)
    }

    /// The order ended by another hand while its object was made. If its resource is gone too, nobody will ever order
    /// the object's removal (faults.md row 115).
    async fn look_for_leftover(&self, job: &Job<'_>, order: &Order) {
        let (Some(resource), Some(backend_id)) = (order.resource_uuid, job.backend_id()) else { return };
        match self.resource(job, order).await {
            Ok(row) if !is_gone(&row) => return,
            Ok(_) => {
                let text = format!("{backend_id} was made for a resource that is terminated meanwhile");
                job.warn("leftover", Error::new(ErrorKind::Inconsistent, text));
            }
            Err(error) => job.warn("leftover", error),
        }
        self.leaves(job, order, resource, backend_id);
    }

    /// What the plan grants, if the back end wants to know. A failure is a warning: the order goes on without.
    pub(super) async fn plan_quotas(&self, job: &Job<'_>, plan: Option<PlanUuid>) -> Amounts {
        match plan.filter(|_| self.backend().capabilities().plan_quotas) {
            None => Amounts::new(),
            Some(plan) => self.quotas_of(job, plan).await.unwrap_or_else(|error| {
                job.warn("plan quotas", error);
                Amounts::new()
            }),
        }
    }

    /// What a plan grants: whole numbers, zeros dropped (core.md §2.5).
    pub(super) async fn quotas_of(&self, job: &Job<'_>, plan: PlanUuid) -> Result<Amounts> {
        let plan = self.waldur(job.cx).plans().get(plan).await?;
        let whole = plan.quotas.into_iter().map(|(component, amount)| (component, amount.trunc()));
        Ok(whole
            .filter(|(_, amount)| !amount.is_zero())
            .map(|(component, amount)| (component, WaldurAmount::new(amount)))
            .collect())
    }

    async fn ssh_keys(&self, job: &Job<'_>) -> Vec<SshPublicKey> {
        let Some(provider) = self.service_provider().filter(|_| self.backend().capabilities().ssh_keys) else {
            return Vec::new();
        };
        let waldur = self.waldur(job.cx);
        match waldur.service_providers().keys(provider).collect().await {
            Ok(keys) => {
                let (keys, _, gap) = keys.into_parts();
                if let Some(gap) = gap {
                    job.warn("ssh keys", gap);
                }
                keys.into_iter()
                    .filter_map(|key| {
                        Some(SshPublicKey { uuid: key.uuid.hex(), public_key: key.public_key?.into_string() })
                    })
                    .collect()
            }
            Err(error) => {
                job.warn("ssh keys", error);
                Vec::new()
            }
        }
    }

    /// Stores the handle of work that outlasts this call with the order, and leaves the order executing.
    pub(super) async fn leave_pending(&self, job: &Job<'_>, order: &Order, handle: &str) -> Result<OrderOutcome> {
        if self.backend().pending().is_none() {
            let text = "the back end left work pending but cannot tell how far it is";
            return Err(Error::new(ErrorKind::Other, text));
        }
        self.waldur(job.cx).orders().set_backend_id(order.uuid, handle).await?;
        Ok(OrderOutcome::Executing)
    }
}

/// The order's limits; a Restore order that names none brings back the resource's own.
pub(super) fn ordered_limits(order: &Order, resource: &Resource) -> Result<Limits> {
    limits(if order.limits.is_empty() { &resource.limits } else { &order.limits })
}
