//! Everything about a resource beside its members: status, metadata, limits, surroundings (core.md §3.6 to §3.8).

use std::collections::{BTreeMap, BTreeSet};

use super::{
    MembershipSync,
    attend::Job,
    diff::Candidate,
    limits::LimitsPlan,
    pass::{Pass, Scope},
    plan::{self, Sight},
    report::Change,
};
use crate::{
    backend::{EndDate, LimitChange, LimitsAuthority, Progress, ResourceUpkeep, Status, Surroundings},
    client::{Feature, Resource},
    error::{Error, ErrorClass, Result},
    naming::Comparison,
    process::{
        convert::{self, marketplace},
        failure::shielded,
    },
    types::{JsonObject, Limits, Personal},
};

impl MembershipSync {
    /// Pauses, downscales or restores; only called where the object is not so already.
    pub(super) async fn sync_status(&self, job: &mut Job<'_>, row: &Resource, wanted: Option<Status>) {
        let (Some(wanted), Some(status)) = (wanted, self.backend().status()) else { return };
        if !self.policy().dry_run {
            job.cx.step("status");
            let side = marketplace(row, self.offering());
            match shielded(status.set_status(job.cx, &side, &job.id, wanted)).await {
                Ok(()) => {}
                // The back end has no word for it, and will have none in the next pass: nothing is broken.
                Err(error) if error.class() == ErrorClass::Unsupported => return job.warn("status", error),
                Err(error) => return job.fail("status", error),
            }
        }
        job.report.changes.push(Change::Status(wanted));
    }

    /// Publishes metadata where they changed.
    pub(super) async fn sync_metadata(&self, job: &mut Job<'_>, sight: &Sight<'_>, merged: Option<JsonObject>) {
        let resource = sight.row.uuid;
        let names: BTreeSet<String> =
            sight.state.metadata.iter().flat_map(|metadata| metadata.keys().cloned()).collect();
        if let Some(merged) = merged {
            if !self.policy().dry_run {
                job.cx.step("metadata");
                let told = self.waldur(job.cx).provider_resources().set_backend_metadata(resource, &merged).await;
                if let Err(error) = told {
                    return job.untold("set_backend_metadata", error);
                }
            }
            job.report.changes.push(Change::Metadata);
        }
        if sight.state.metadata.is_some() {
            self.remember(|memory| memory.learn_published(resource, names));
        }
    }

    /// Brings limits in line, on the side that has no authority over them.
    pub(super) async fn sync_limits(&self, job: &mut Job<'_>, sight: &Sight<'_>, plan: Result<LimitsPlan>) {
        let plan = match plan {
            Ok(plan) => plan,
            Err(error) => return job.warn("limits", error),
        };
        job.report.changes.extend(plan.differences);
        if let Some(limits) = plan.to_waldur {
            self.tell_limits(job, sight, &limits).await;
        }
        if let Some(limits) = plan.to_backend {
            self.set_limits(job, sight, limits).await;
        }
    }

    async fn tell_limits(&self, job: &mut Job<'_>, sight: &Sight<'_>, limits: &Limits) {
        let resource = sight.row.uuid;
        if self.remember(|memory| memory.is_untellable(resource)) {
            return;
        }
        if !self.policy().dry_run {
            job.cx.step("limits");
            match self.waldur(job.cx).publish_limits(resource, limits).await {
                Ok(()) => {}
                Err(error) if self.is_missing(&error) => {
                    return self.remember(|memory| memory.learn_untellable(resource));
                }
                Err(error) => return job.untold("set_limits", error),
            }
        }
        job.report.changes.push(Change::Limits(LimitsAuthority::Backend));
    }

    async fn set_limits(&self, job: &mut Job<'_>, sight: &Sight<'_>, limits: Limits) {
        if !self.policy().dry_run {
            job.cx.step("limits");
            let change = LimitChange::new(marketplace(sight.row, self.offering()), job.id.clone(), limits);
            match shielded(self.backend().set_limits(job.cx, &change)).await {
                Ok(Progress::Done(_) | Progress::Pending { .. }) => {}
                Err(error) => return job.fail("limits", error),
            }
        }
        job.report.changes.push(Change::Limits(LimitsAuthority::Waldur));
    }

    /// Limits of single users: set where Waldur has other ones, taken away where it has none any more. Only those who
    /// have access are touched, and nobody of a restricted resource (core.md §3.7).
    pub(super) async fn sync_user_limits(&self, job: &mut Job<'_>, sight: &Sight<'_>, effective: &[Candidate]) {
        let (Some(facet), Some(table)) = (self.backend().user_limits(), &job.pass.user_limits) else { return };
        if sight.row.restrict_member_access == Some(true) {
            return;
        }
        let present = match sight.user_limits {
            Some(Ok(present)) => present,
            Some(Err(error)) => return job.fail("user limits", error.clone()),
            None => return job.fail("user limits", super::pass::unanswered(&job.id)),
        };
        let (none, no_limits) = (BTreeMap::new(), Limits::new());
        let wanted = table.get(&sight.row.uuid).unwrap_or(&none);
        let side = marketplace(sight.row, self.offering());
        let comparison = self.backend().capabilities().member_names;
        for candidate in effective {
            let name = &candidate.grant.username;
            let wanted = of_user(wanted, candidate).unwrap_or(&no_limits);
            if same(wanted, named(present, name, comparison).unwrap_or(&no_limits)) {
                continue;
            }
            if !self.policy().dry_run
                && let Err(error) = shielded(facet.set(job.cx, &side, &job.id, name, wanted)).await
            {
                job.warn("user limits", error);
                continue;
            }
            job.report.changes.push(Change::UserLimits(Personal::from(name.as_str())));
        }
    }

    /// Whether the back end finds that something beside members, status, metadata and limits is not in step.
    pub(super) async fn is_behind(&self, job: &Job<'_>, sight: &Sight<'_>) -> bool {
        let whole = job.pass.scope == Scope::Whole;
        let Some(upkeep) = self.backend().upkeep().filter(|_| whole && !self.policy().dry_run) else { return false };
        let (about, _told_later) = self.surroundings(job.pass, sight);
        shielded(upkeep.is_behind(job.cx, &job.id, &about)).await.unwrap_or(true)
    }

    /// What surrounds a resource, and why something of it is missing.
    fn surroundings(&self, pass: &Pass, sight: &Sight<'_>) -> (Surroundings, Option<Error>) {
        let mut about = surroundings(sight.row, self);
        if self.authority() == LimitsAuthority::Waldur && !sight.elsewhere && plan::is_active(sight) {
            // What is no limit is told where limits are compared.
            about.limits = convert::limits(&sight.row.limits).unwrap_or_default();
        }
        let (project, untold) = match Self::told_of(pass, sight.row.project_uuid) {
            Ok(project) => (project, None),
            Err(error) => (None, Some(error)),
        };
        about.source_project = project.map(|project| (*project).clone());
        (about, untold)
    }

    /// Project, last day and effective id, where the back end keeps them in step.
    pub(super) async fn sync_surroundings(&self, job: &mut Job<'_>, sight: &Sight<'_>) {
        let row = sight.row;
        let Some(upkeep) = self.backend().upkeep() else { return };
        if self.policy().dry_run {
            return;
        }
        let (about, untold) = self.surroundings(job.pass, sight);
        if let Some(error) = untold {
            job.warn("source project", error);
        }
        if let Err(error) = shielded(upkeep.sync_project(job.cx, &job.id, &about)).await {
            job.fail("project", error);
        }
        self.sync_end_date(job, upkeep, row, &about).await;
        self.sync_effective_id(job, upkeep, row, &about).await;
    }

    async fn sync_end_date(
        &self,
        job: &mut Job<'_>,
        upkeep: &dyn ResourceUpkeep,
        row: &Resource,
        about: &Surroundings,
    ) {
        let date = match shielded(upkeep.sync_end_date(job.cx, &job.id, about)).await {
            Ok(EndDate::Set(date)) if date != row.end_date => date,
            Ok(_) => return,
            Err(error) => return job.fail("end date", error),
        };
        if self.lacks(Feature::Federation) {
            return;
        }
        match self.waldur(job.cx).provider_resources().set_end_date(row.uuid, date).await {
            Ok(()) => job.report.changes.push(Change::EndDate),
            Err(error) if self.is_missing(&error) => {}
            Err(error) => job.untold("set_end_date", error),
        }
    }

    async fn sync_effective_id(
        &self,
        job: &mut Job<'_>,
        upkeep: &dyn ResourceUpkeep,
        row: &Resource,
        about: &Surroundings,
    ) {
        let id = match shielded(upkeep.effective_id(job.cx, &job.id, about)).await {
            Ok(Some(id)) if !id.trim().is_empty() && Some(&id) != row.effective_id.as_ref() => id,
            Ok(_) => return,
            Err(error) => return job.fail("effective id", error),
        };
        if self.lacks(Feature::Federation) {
            return;
        }
        match self.waldur(job.cx).provider_resources().set_effective_id(row.uuid, &id).await {
            Ok(()) => job.report.changes.push(Change::EffectiveId),
            Err(error) if self.is_missing(&error) => {}
            Err(error) => job.untold("set_effective_id", error),
        }
    }
}

fn surroundings(row: &Resource, of: &MembershipSync) -> Surroundings {
    let mut about = Surroundings::new(marketplace(row, of.offering()));
    about.project_description.clone_from(&row.project_description);
    about.project_end_date = row.project_end_date;
    about.end_date_updated_at = row.end_date_updated_at;
    about.effective_id.clone_from(&row.effective_id);
    about
}

/// The limits of a user, by whatever the server calls users: by id, by the name on the site, by the name in Waldur.
fn of_user<'a>(table: &'a BTreeMap<String, Limits>, candidate: &Candidate) -> Option<&'a Limits> {
    let grant = &candidate.grant;
    table
        .get(&candidate.user.hex())
        .or_else(|| table.get(&grant.username))
        .or_else(|| table.get(grant.cuid.as_ref()?.as_str()))
}

fn same(wanted: &Limits, present: &Limits) -> bool {
    let equal =
        |(name, limit): (&String, _)| present.get(name).is_some_and(|found| crate::backend::state::same(*found, limit));
    wanted.len() == present.len() && wanted.iter().map(|(name, limit)| (name, *limit)).all(equal)
}

/// What a list has under a name, as the back end compares names.
fn named<'a, T>(list: &'a BTreeMap<String, T>, name: &str, comparison: Comparison) -> Option<&'a T> {
    let alike = || list.iter().find(|(other, _)| comparison != Comparison::Exact && comparison.is_same(other, name));
    list.get(name).or_else(|| alike().map(|(_, found)| found))
}
