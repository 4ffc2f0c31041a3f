//! Whether the group of the Waldur project has its role still (harbor.md §5.5).

use std::{collections::HashMap, sync::PoisonError, time::Duration};

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{OpContext, ResourceUpkeep, Surroundings},
    types::{BackendId, ResourceUuid, Timestamp},
};

use super::{HarborBackend, Inner};
use crate::names;

/// How often each project is looked at.
const ROUND: Duration = Duration::from_hours(1);

/// How long ago it is taken to be that a project was looked at of which nothing is known: the usual pause between two
/// synchronisations.
const ONE_CYCLE: Duration = Duration::from_mins(5);

/// When each project was looked at.
pub(super) type Looks = HashMap<ResourceUuid, Timestamp>;

/// Harbor tells of members only project by project, so that asking for all of them in every cycle would cost more than
/// everything else together. Each project therefore has its minute of the hour, by the resource's UUID: a cycle of five
/// minutes looks at every twelfth, a process that runs once at those whose minute was within the last five.
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
        let last = self.looks().get(&resource).copied();
        let last = last.map_or_else(|| now.as_second() - seconds(ONE_CYCLE), Timestamp::as_second);
        let round = seconds(ROUND);
        let minute = i64::try_from(resource.uuid().as_u128() % u128::from(ROUND.as_secs())).unwrap_or_default();
        let rounds = |second: i64| (second - minute).div_euclid(round);
        let is_due = rounds(now.as_second()) > rounds(last);
        if !is_due {
            // A resource whose minute comes between two cycles that are further apart than usual is not passed over.
            self.looks().entry(resource).or_insert(now);
        }
        is_due
    }

    async fn reassert(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        let (project, client) = self.target(cx, id)?;
        let group = names::group(&self.settings.group_prefix, &about.resource)?;
        let member = client.members().group(&project, &group).await?;
        if member.is_some_and(|member| member.role == self.settings.role) {
            return Ok(());
        }
        self.look_at_own(&client, &project, id, &about.resource).await?;
        self.ensure_binding(cx, &client, &project, &group).await.map(drop)
    }

    pub(super) fn looks(&self) -> std::sync::MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
