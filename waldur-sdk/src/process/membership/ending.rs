//! What a pass over one resource comes to, and what Waldur is told of it (core.md §3.1 step 10, §3.9).

use jiff::SignedDuration;

use super::{
    MembershipSync,
    attend::Job,
    pass::Scope,
    report::{Change, SyncOutcome},
};
use crate::{
    client::{ErrorDetails, Feature, Resource, ResourceState},
    error::{Error, Result},
    process::failure::describe,
};

/// How the errors of a resource begin that this processor reported. Only those does it take back.
const MARK: &str = "Membership synchronisation failed: ";

impl MembershipSync {
    /// Decides what the pass came to, and tells Waldur.
    pub(super) async fn conclude(&self, job: &mut Job<'_>, row: &Resource) {
        let permanent = job.failures.iter().find(|error| !error.is_passing()).cloned();
        let passing = job.failures.first().cloned().or_else(|| job.untold.clone());
        job.report.outcome = match (permanent, passing) {
            (Some(error), _) => self.failed(job, row, error).await,
            (None, Some(error)) => SyncOutcome::Deferred(error),
            (None, None) => self.succeeded(job, row).await,
        };
    }

    /// Counts failures for good in a row; Waldur is told of the last straw.
    async fn failed(&self, job: &mut Job<'_>, row: &Resource, error: Error) -> SyncOutcome {
        let policy = self.policy();
        if policy.dry_run {
            return SyncOutcome::Failing(error, 0);
        }
        // What an event or a look at members alone comes to counts for nothing: the next whole pass decides.
        if job.pass.scope != Scope::Whole {
            return SyncOutcome::Failing(error, self.remember(|memory| memory.failures(row.uuid)));
        }
        let times = self.remember(|memory| memory.failed(row.uuid));
        if times < policy.failures_before_erred {
            return SyncOutcome::Failing(error, times);
        }
        let details = describe(&error, policy.expose_error_details);
        let message = format!("{MARK}{}", details.message());
        if is_said(row, &message) {
            return SyncOutcome::Erred(error);
        }
        if !self.remember(|memory| memory.may_err()) {
            return SyncOutcome::Failing(error, times);
        }
        match self.as_it_is_now(job, row).await {
            Ok(Some(now)) if is_said(&now, &message) => return SyncOutcome::Erred(error),
            Ok(Some(_)) => {}
            Ok(None) => return SyncOutcome::NotHandled,
            Err(cause) => {
                job.warn("resource", cause);
                return SyncOutcome::Failing(error, times);
            }
        }
        let details = ErrorDetails::new(message).with_traceback(details.traceback());
        match self.waldur(job.cx).provider_resources().set_as_erred(row.uuid, &details).await {
            Ok(()) => SyncOutcome::Erred(error),
            Err(cause) => {
                // A server of 2024 lets only its staff say so (recorded: 178_set_as_erred_provider).
                if cause.kind() == crate::ErrorKind::PermissionDenied {
                    self.remember(super::memory::Memory::learn_may_not_err);
                } else {
                    job.warn("set_as_erred", cause);
                }
                SyncOutcome::Failing(error, times)
            }
        }
    }

    /// The resource, read once more before Waldur is told anything of its state: the list may be minutes old, and an
    /// order may have failed or ended meanwhile. `None` when it is not to be kept in step any more.
    async fn as_it_is_now(&self, job: &Job<'_>, row: &Resource) -> Result<Option<Resource>> {
        match self.waldur(job.cx).provider_resources().get(row.uuid).await {
            Ok(now) => Ok(Some(now).filter(|now| self.is_handled(now) && now.backend_id == row.backend_id)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The resource is in step: Waldur is told that it was seen, from time to time, and that it is well, if this
    /// processor had said that it was not.
    async fn succeeded(&self, job: &mut Job<'_>, row: &Resource) -> SyncOutcome {
        if job.pass.scope != Scope::Whole || self.policy().dry_run {
            return SyncOutcome::Synced;
        }
        self.remember(|memory| memory.succeeded(row.uuid));
        let recovers = row.state == Some(ResourceState::Erred) && (self.policy().clear_any_error || is_ours(row));
        let outcome = self.refresh(job, row, recovers).await;
        if recovers && matches!(outcome, SyncOutcome::Synced) { self.recover(job, row).await } else { outcome }
    }

    async fn refresh(&self, job: &mut Job<'_>, row: &Resource, recovers: bool) -> SyncOutcome {
        if self.lacks(Feature::LastSync) || !(recovers || self.is_refresh_due(row)) {
            return SyncOutcome::Synced;
        }
        let now = self.environment().instant();
        match self.waldur(job.cx).provider_resources().refresh_last_sync(row.uuid).await {
            Ok(()) => {
                self.remember(|memory| memory.refreshed(row.uuid, now));
                job.report.changes.push(Change::LastSync);
                SyncOutcome::Synced
            }
            Err(error) if self.is_missing(&error) => SyncOutcome::Synced,
            Err(error) => {
                job.warn("refresh_last_sync", error.clone());
                SyncOutcome::Deferred(error)
            }
        }
    }

    /// Neither this processor nor, as far as Waldur's date tells, any other has said lately that it saw the resource. A
    /// date in the future is a clock that is wrong, and says nothing.
    fn is_refresh_due(&self, row: &Resource) -> bool {
        let interval = self.policy().last_sync_interval;
        let now = self.environment().instant();
        if self.remember(|memory| memory.since_refresh(row.uuid, now)).is_some_and(|since| since < interval) {
            return false;
        }
        let since = row.last_sync.map(|seen| self.environment().now().duration_since(seen));
        let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
        !since.is_some_and(|since| !since.is_negative() && since < interval)
    }

    async fn recover(&self, job: &mut Job<'_>, row: &Resource) -> SyncOutcome {
        if self.lacks(Feature::SetAsOk) {
            return SyncOutcome::Synced;
        }
        match self.as_it_is_now(job, row).await {
            Ok(Some(now)) if now.state == row.state && now.error_message == row.error_message => {}
            // Well already, or made erred by something else meanwhile: the next pass goes on from there.
            Ok(Some(_)) => return SyncOutcome::Synced,
            Ok(None) => return SyncOutcome::NotHandled,
            Err(error) => {
                job.warn("resource", error.clone());
                return SyncOutcome::Deferred(error);
            }
        }
        match self.waldur(job.cx).provider_resources().set_as_ok(row.uuid).await {
            Ok(()) => {
                job.report.changes.push(Change::Recovered);
                SyncOutcome::Synced
            }
            Err(error) if self.is_missing(&error) => SyncOutcome::Synced,
            Err(error) => {
                job.warn("set_as_ok", error.clone());
                SyncOutcome::Deferred(error)
            }
        }
    }
}

/// Whether there is nothing to be told: said already, or the failure of something else, which must not be written over.
fn is_said(row: &Resource, message: &str) -> bool {
    let same = row.error_message.as_deref() == Some(message.trim());
    row.state == Some(ResourceState::Erred) && (!is_ours(row) || same)
}

/// Whether the error of a resource is one that this processor reported.
fn is_ours(row: &Resource) -> bool {
    row.error_message.as_deref().is_some_and(|message| message.starts_with(MARK.trim()))
}
