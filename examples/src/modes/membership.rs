//! `membership_sync`: members, limits and states of resources are kept true.

use std::time::Duration;

use async_trait::async_trait;
use tracing::{debug, info, warn};
use waldur_sdk::{
    Result,
    backend::OpContext,
    process::{
        AccountOutcome, Change, MembershipPolicy, MembershipReport, MembershipSync, ResourceSync, SyncOutcome,
        UsernameReport,
    },
};

use super::{Mode, Parts, Summary, Work, exit_of, outage, stalled};
use crate::exit::Exit;

/// How long after the first look a single pass takes its second one.
const SECOND_LOOK: Duration = Duration::from_secs(10);

/// The members of an offering's resources.
#[derive(Debug)]
pub(super) struct MembershipWork {
    name: String,
    sync: MembershipSync,
}

impl MembershipWork {
    pub(super) fn new(parts: &Parts<'_>) -> Self {
        let mut policy = MembershipPolicy::from_settings(parts.settings, parts.offering);
        policy.dry_run = parts.dry_run;
        if parts.single_pass {
            // A cron job is not held up for a minute; the two looks share no list all the same.
            (policy.single_pass, policy.removals.confirm_after) = (true, SECOND_LOOK);
        }
        let mut sync = parts.served.members().with_policy(policy);
        if let Some(usernames) = &parts.usernames {
            sync = sync.with_usernames(usernames.clone());
        }
        Self { name: parts.offering.name.clone(), sync }
    }
}

#[async_trait]
impl Work for MembershipWork {
    fn renewed(&self, parts: &Parts<'_>) -> Box<dyn Work> {
        let sync = self.sync.clone().with_offering(&parts.served);
        Box::new(Self { name: self.name.clone(), sync })
    }

    async fn pass(&self, cx: &OpContext) -> Result<Summary> {
        let report = self.sync.run_once(cx).await?;
        Ok(note(&self.name, &report))
    }
}

fn note(offering: &str, report: &MembershipReport) -> Summary {
    let mut summary = Summary::new();
    if let Some(error) = &report.not_ready {
        warn!(offering, "the back end is not ready, nothing was done: {error:#}");
        summary.miss(error);
    }
    if let Some(error) = &report.listing_gap {
        warn!(offering, "the list of resources is not proven whole: {error:#}");
        summary.miss(error);
    }
    for row in &report.unreadable {
        warn!(offering, row = row.id, "a resource cannot be read: {:#}", row.error);
        summary.count("unreadable_row");
        summary.note(Exit::Failed);
    }
    for feature in &report.missing_features {
        info!(offering, "this Waldur does not have {feature}: {}", feature.consequence());
    }
    for warning in &report.warnings {
        warn!(offering, "{}: {:#}", warning.step, warning.error);
        summary.note(exit_of(&warning.error));
    }
    note_usernames(offering, &report.usernames, &mut summary);
    report.resources.iter().for_each(|resource| note_resource(offering, resource, &mut summary));
    let waiting = report.resources.iter().map(|resource| match &resource.outcome {
        SyncOutcome::Deferred(error) => outage(error),
        _ => None,
    });
    if let Some(error) = stalled(waiting) {
        summary.miss(error);
    }
    let changed = report.resources.iter().filter(|resource| resource.has_changed()).count();
    let bad = report.count(SyncOutcome::is_unfinished);
    info!(offering, mode = %Mode::MembershipSync, resources = report.resources.len(), changed, bad, "pass ended");
    summary
}

fn note_resource(offering: &str, report: &ResourceSync, summary: &mut Summary) {
    let (word, exit) = match &report.outcome {
        SyncOutcome::Synced => ("synced", Exit::Done),
        SyncOutcome::Missing => ("missing", Exit::Done),
        SyncOutcome::Foreign => ("foreign", Exit::Failed),
        SyncOutcome::NotHandled => ("left_alone", Exit::Done),
        SyncOutcome::Deferred(error) => ("deferred", exit_of(error)),
        SyncOutcome::Failing(..) => ("failing", Exit::Failed),
        SyncOutcome::Erred(_) => ("erred", Exit::Failed),
        _ => ("other", Exit::Done),
    };
    summary.count(word);
    summary.note(exit);
    // Names of people stay out of the log; their number is what an operator needs.
    let (added, removed) = (report.added.len() as u64, report.removed.len() as u64);
    let held = report.held.as_ref().map_or(0, |held| held.usernames.len() as u64);
    summary.count_many("members_added", added);
    summary.count_many("members_removed", removed);
    summary.count_many("removals_held", held);
    log(offering, report);
    for warning in &report.warnings {
        summary.note(exit_of(&warning.error));
    }
}

fn log(offering: &str, report: &ResourceSync) {
    let (name, resource) = (report.name.as_str(), report.resource.hex());
    let backend_id = report.backend_id.as_ref().map_or("", |id| id.as_str());
    let (added, removed, skipped) = (report.added.len(), report.removed.len(), report.skipped.len());
    let changes = report.changes.iter().map(change).collect::<Vec<_>>().join(", ");
    macro_rules! say {
        ($level:ident) => {
            $level!(offering, name, resource, backend_id, added, removed, skipped, changes, "{:#}", report.outcome)
        };
    }
    match &report.outcome {
        SyncOutcome::Synced if report.has_changed() => say!(info),
        SyncOutcome::Synced | SyncOutcome::NotHandled => say!(debug),
        _ => say!(warn),
    }
    if let Some(held) = &report.held {
        let count = held.usernames.len();
        warn!(offering, name, resource, count, "removals are held back: {:#}", held.reason);
    }
    for warning in &report.warnings {
        warn!(offering, name, resource, "{}: {:#}", warning.step, warning.error);
    }
}

/// A change without whom it is about.
fn change(change: &Change) -> String {
    match change {
        Change::Status(status) => format!("status {status:?}"),
        Change::Metadata => "metadata".to_owned(),
        Change::Limits(_) => "limits".to_owned(),
        Change::LimitsDiffer { component, .. } => format!("limits of {component} differ"),
        Change::UserLimits(_) => "limits of a user".to_owned(),
        Change::Reconciled(_) => "roles of a user".to_owned(),
        Change::EndDate => "end date".to_owned(),
        Change::EffectiveId => "effective id".to_owned(),
        Change::Statuses => "statuses of members".to_owned(),
        Change::LastSync => "last sync".to_owned(),
        Change::Recovered => "OK again".to_owned(),
        _ => "something else".to_owned(),
    }
}

fn note_usernames(offering: &str, report: &UsernameReport, summary: &mut Summary) {
    for warning in &report.warnings {
        warn!(offering, "names of people: {}: {:#}", warning.step, warning.error);
        summary.note(exit_of(&warning.error));
    }
    for account in &report.accounts {
        let (word, error) = match &account.outcome {
            AccountOutcome::Named => ("account_named", None),
            AccountOutcome::LeftToOthers => ("account_left_to_others", None),
            AccountOutcome::NoName => ("account_without_name", None),
            AccountOutcome::DryRun => ("account_dry_run", None),
            AccountOutcome::Asked | AccountOutcome::StillWaiting => ("account_waiting", None),
            AccountOutcome::Failed(error) | AccountOutcome::NotReported(error, _) => ("account_failed", Some(error)),
            AccountOutcome::Deferred(error) => ("account_deferred", Some(error)),
            AccountOutcome::Deleting | AccountOutcome::Deleted => ("account_deleted", None),
            _ => ("account_other", None),
        };
        summary.count(word);
        if let Some(error) = error {
            warn!(offering, account = account.account.hex(), "the account has no name yet: {error:#}");
            summary.note(exit_of(error));
        }
    }
}
