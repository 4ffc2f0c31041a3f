//! The second look of a program that runs once: within the pass, since there is no later one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::{
    MembershipSync,
    pass::Scope,
    report::{HoldReason, MembershipReport, ResourceSync, SyncOutcome},
    row::Row,
};
use crate::{backend::OpContext, types::ResourceUuid};

impl MembershipSync {
    /// Looks again at the resources whose removals wait for it, after the time that any second look has to wait, and by
    /// lists that are read anew. The guards are the same as ever.
    pub(super) async fn look_once_more(&self, cx: &OpContext, mut rows: Vec<Arc<Row>>, report: &mut MembershipReport) {
        let waiting: HashMap<ResourceUuid, usize> = report
            .resources
            .iter()
            .enumerate()
            .filter(|(_, resource)| waits_for_a_look(resource))
            .map(|(place, resource)| (resource.resource, place))
            .collect();
        if waiting.is_empty() || self.policy().dry_run || !self.wait_for_a_look(cx, waiting.keys().copied()).await {
            return;
        }
        rows.retain(|row| waiting.contains_key(&row.uuid()));
        let mut second = MembershipReport::default();
        self.sync(cx, rows, Scope::Again, &mut second).await;
        report.warnings.append(&mut second.warnings);
        for again in second.resources {
            if let Some(first) = waiting.get(&again.resource).and_then(|place| report.resources.get_mut(*place)) {
                amend(first, again);
            }
        }
    }

    /// Waits until the youngest of the first looks is old enough. Whoever has no time for that leaves it.
    async fn wait_for_a_look(&self, cx: &OpContext, waiting: impl Iterator<Item = ResourceUuid>) -> bool {
        let (now, after) = (self.environment().instant(), self.policy().removals.confirm_after);
        let since = self.remember(|memory| waiting.filter_map(|resource| memory.seen_since(resource)).max());
        let Some(since) = since else { return false };
        let left = after.saturating_sub(now.saturating_duration_since(since));
        if cx.deadline.is_some_and(|deadline| deadline.saturating_duration_since(now) <= left) {
            return false;
        }
        left == Duration::ZERO || cx.pause(self.environment(), left).await.is_ok()
    }
}

/// Whether a second look would tell more. What is held since a list is not proven whole is not doubted but unknown.
fn waits_for_a_look(resource: &ResourceSync) -> bool {
    let doubted = |reason: &HoldReason| !matches!(reason, HoldReason::Incomplete(_));
    resource.held.as_ref().is_some_and(|held| doubted(&held.reason)) && matches!(resource.outcome, SyncOutcome::Synced)
}

/// The second look's word on removals; what the first one did and saw stays.
fn amend(first: &mut ResourceSync, again: ResourceSync) {
    first.added.extend(again.added);
    first.removed.extend(again.removed);
    first.changes.extend(again.changes);
    first.warnings.extend(again.warnings);
    (first.held, first.skipped, first.outcome) = (again.held, again.skipped, again.outcome);
}
