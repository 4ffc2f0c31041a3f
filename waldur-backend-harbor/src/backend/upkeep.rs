//! Whether the group of the Waldur project has its role still (harbor.md §5.5).

use std::{collections::HashMap, sync::PoisonError};

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{MarketplaceResource, OpContext, ResourceUpkeep, Surroundings},
    types::{BackendId, ResourceUuid, Timestamp},
};

use super::{HarborBackend, Inner, metadata};
use crate::{client::GroupName, names};

/// The usual pause between two synchronisations, in seconds.
const CYCLE: i64 = 5 * 60;

/// In how many cycles each project is looked at once: an hour.
const ROUND: i64 = 12;

/// When each project was looked at.
pub(super) type Looks = HashMap<ResourceUuid, Timestamp>;

/// Harbor tells of members only project by project, so that asking for all of them in every cycle would cost more than
/// everything else together. Each project therefore has its turn, five minutes of every hour, by the resource's UUID:
/// a cycle looks at every twelfth. Turns go by the clock on the wall, so that a process that runs once looks at those
/// whose turn it is.
#[async_trait]
impl ResourceUpkeep for HarborBackend {
    async fn sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        let (uuid, now) = (about.resource.uuid, self.0.client.environment().now());
        if !self.0.is_due(uuid, now) {
            return Ok(());
        }
        self.0.reassert(cx, id, about).await?;
        self.0.looks().insert(uuid, now);
        Ok(())
    }
}

impl Inner {
    fn is_due(&self, resource: ResourceUuid, now: Timestamp) -> bool {
        let (cycle, turn) = (cycle(now), turn(resource));
        let rounds = |cycle: i64| (cycle - turn).div_euclid(ROUND);
        let mut looks = self.looks();
        // Of one of which nothing is known it is taken that the cycle before looked at it.
        let last = looks.get(&resource).map_or(cycle - 1, |last| self::cycle(*last));
        let is_due = rounds(cycle) > rounds(last);
        if !is_due {
            // Its turn may come between two cycles that are further apart than usual.
            looks.entry(resource).or_insert(now);
        }
        is_due
    }

    async fn reassert(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        let (project, client) = self.target(cx, id)?;
        let Some(group) = self.group_of(&about.resource)? else { return Ok(()) };
        let former = self.former_group(&about.resource, &group)?;
        let member = client.members().group(&project, &group).await?;
        let is_bound = member.is_some_and(|member| member.role == self.settings.role);
        if is_bound && former.is_none() {
            return Ok(());
        }
        self.look_at_own(&client, &project, id, &about.resource).await?;
        self.ensure_binding(cx, &client, &project, &group).await?;
        let Some(former) = former else { return Ok(()) };
        match client.members().group(&project, &former).await? {
            Some(member) => client.members().remove(&project, member.id).await,
            None => Ok(()),
        }
    }

    /// The group of the project that the resource was in when it was made, if it has moved to another one since: those
    /// who are left behind lose access. One with another prefix was named by other settings, and stays.
    fn former_group(&self, resource: &MarketplaceResource, group: &GroupName) -> Result<Option<GroupName>> {
        let published = resource.metadata.text(metadata::GROUP);
        let published = published.filter(|name| *name != group.as_str());
        published.filter(|name| name.starts_with(&self.settings.group_prefix)).map(GroupName::new).transpose()
    }

    /// The group of the resource's project. A Waldur of 2024 lists resources without the slug of their project: there it
    /// is the group that was published when the project was made, and without one nobody knows.
    fn group_of(&self, resource: &MarketplaceResource) -> Result<Option<GroupName>> {
        if resource.project.slug.trim().is_empty() {
            return resource.metadata.text(metadata::GROUP).map(GroupName::new).transpose();
        }
        names::group(&self.settings.group_prefix, resource).map(Some)
    }

    pub(super) fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The cycle that an instant lies in.
fn cycle(instant: Timestamp) -> i64 {
    instant.as_second().div_euclid(CYCLE)
}

/// In which cycle of a round it is a resource's turn. UUIDs of one server may be close to each other; turns are not.
fn turn(resource: ResourceUuid) -> i64 {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (high, low) = resource.uuid().as_u64_pair();
    let spread = (high ^ low.rotate_left(32)).wrapping_mul(SPREAD) >> 33;
    i64::try_from(spread).unwrap_or_default().rem_euclid(ROUND)
}
