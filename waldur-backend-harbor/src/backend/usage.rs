//! What is stored in projects: one listing for all of them (harbor.md §5.3).

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{OpContext, PassIds, Period, Stamp, Usage, UsageReport, UsageSource, state::foreign},
    types::BackendId,
};

use super::{
    AT_A_TIME, HarborBackend, Inner,
    bulk::by_themselves,
    sight::{Facts, unstamped},
    stamp::{Mark, PROJECT_ID},
};
use crate::client::{HarborClient, ProjectId, ProjectName, Quota};

/// Storage as it is now. Harbor keeps no history, so a month that is over is [`Usage::NotYet`] for ever. If the listing
/// does not name some projects, a few of them are read one by one; the usage of the others is unknown.
///
/// Nobody is billed for a project that is known to be another resource's, or that got the name of ours later. This back
/// end knows that from what it has read before, for example in a synchronisation. A back end that only measures sees
/// names and numbers and no stamps. So the number goes with the measurement, and is compared with the published one.
#[async_trait]
impl UsageSource for HarborBackend {
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        if ids.is_empty() {
            return BTreeMap::new();
        }
        if period != self.0.this_month() {
            return ids.iter().map(|id| (id.clone(), Usage::NotYet)).collect();
        }
        self.0.measure(&self.0.client.until(cx.deadline).stopped_by(&self.0.breaker()), ids).await
    }
}

impl Inner {
    fn this_month(&self) -> Period {
        Period::containing(self.client.environment().now().to_zoned(self.zone.clone()).date())
    }

    async fn measure(&self, client: &HarborClient, ids: &[BackendId]) -> BTreeMap<BackendId, Usage> {
        if self.are_few(ids.len()) {
            return self.measure_each(client, ids.to_vec()).await;
        }
        let wanted = PassIds::new(ids.iter().cloned());
        self.known().measure_only(|name| wanted.contains(name));
        let (quotas, gap) = match self.quotas_of(client, &wanted).await {
            Ok(listed) => listed,
            Err(error) => return ids.iter().map(|id| (id.clone(), Usage::Unreadable(error.clone()))).collect(),
        };
        let at_most = by_themselves(gap.as_ref());
        let mut answers = BTreeMap::new();
        let mut others = Vec::new();
        for id in ids {
            let listed = quotas.get(id.as_str()).and_then(|quota| Some((quota, quota.used?, self.whose(id, quota))));
            match listed {
                Some((quota, used, Whose::Told(stamp))) => {
                    let usage = self.measured(used, stamp, quota.project);
                    answers.insert(id.clone(), usage.unwrap_or_else(Usage::Unreadable));
                }
                Some((_, _, Whose::Stranger)) => {
                    answers.insert(id.clone(), Usage::Unreadable(foreign(id)));
                }
                _ if others.len() < at_most => others.push(id.clone()),
                _ => {
                    let unknown = || Error::new(ErrorKind::Inconsistent, format!("{id}: Harbor tells of no quota"));
                    answers.insert(id.clone(), Usage::Unreadable(gap.clone().unwrap_or_else(unknown)));
                }
            }
        }
        answers.extend(self.measure_each(client, others).await);
        answers
    }

    async fn measure_each(&self, client: &HarborClient, ids: Vec<BackendId>) -> BTreeMap<BackendId, Usage> {
        let reads: Vec<_> = ids.into_iter().map(|id| self.measure_one(client, id)).collect();
        stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await
    }

    /// Whose a listed quota is, as far as is remembered of its project. Quotas tell names and numbers, and no stamps; to
    /// list the projects beside them in every report would double its calls.
    fn whose(&self, id: &BackendId, quota: &Quota) -> Whose {
        let mut known = self.known();
        match (known.number(id.as_str()), quota.project) {
            (Some(before), Some(now)) if before == now => {}
            (None, Some(now)) => known.learn_number(id.as_str(), now),
            _ => return Whose::Unknown,
        }
        let Some(facts) = known.facts(id.as_str()) else { return Whose::Told(None) };
        match facts.marks.stamp {
            Mark::None if known.is_stranger(id.as_str(), facts.id) => Whose::Stranger,
            Mark::None => Whose::Told(None),
            // Somebody may have mended it since.
            Mark::Broken | Mark::Unknown => Whose::Unknown,
            Mark::Stamp(stamp) => Whose::Told(Some(stamp)),
        }
    }

    async fn measure_one(&self, client: &HarborClient, id: BackendId) -> (BackendId, Usage) {
        let used = self.used_by(client, &id).await;
        let usage = used.and_then(|(used, stamp, project)| self.measured(used, stamp, Some(project)));
        (id, usage.unwrap_or_else(Usage::Unreadable))
    }

    async fn used_by(&self, client: &HarborClient, id: &BackendId) -> Result<(u64, Option<Stamp>, ProjectId)> {
        let gone = || Error::new(ErrorKind::NotFound, format!("{id} does not exist"));
        let seen = self.look(client, &ProjectName::new(id.as_str())?).await?.ok_or_else(gone)?;
        let stamp = stamp_of(id, &seen.facts)?;
        let used = seen.quota.and_then(|quota| quota.get().used).ok_or_else(|| {
            let text = format!("{id}: Harbor does not tell how much is stored; are its quotas disabled?");
            Error::new(ErrorKind::Inconsistent, text)
        })?;
        Ok((used, stamp, seen.facts.id))
    }

    fn measured(&self, used: u64, stamp: Option<Stamp>, project: Option<ProjectId>) -> Result<Usage> {
        let total = [self.storage.usage(used)?].into();
        let report = UsageReport::new(total).with_stamp(stamp);
        Ok(Usage::Measured(report.with_published_id(PROJECT_ID, project.map(|project| project.to_string()))))
    }
}

/// The stamp on a project that has just been read. One without is told by its number.
fn stamp_of(id: &BackendId, facts: &Facts) -> Result<Option<Stamp>> {
    match facts.marks.stamp {
        Mark::Stamp(stamp) => Ok(Some(stamp)),
        Mark::None => Ok(None),
        Mark::Broken => Err(foreign(id)),
        Mark::Unknown => Err(unstamped(id)),
    }
}

/// Whose a quota is.
enum Whose {
    /// The one that is asked for, as far as is known; with the stamp, if its project carries one.
    Told(Option<Stamp>),
    /// Certainly somebody else's.
    Stranger,
    /// The name was given to another project since it was looked at, or whose it is does not show.
    Unknown,
}
