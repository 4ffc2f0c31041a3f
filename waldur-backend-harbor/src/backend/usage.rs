//! What is stored in projects: one listing for all of them (harbor.md §5.3).

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{OpContext, Period, Usage, UsageReport, UsageSource},
    types::BackendId,
};

use super::{AT_A_TIME, BY_THEMSELVES, HarborBackend, Inner};
use crate::client::{HarborClient, ProjectName};

/// Storage as it is now. Harbor keeps no history, so that a month that is over is [`Usage::NotYet`] for ever. Of those
/// that the listing does not name, a few are asked about by themselves; of the others it is not known what they use.
#[async_trait]
impl UsageSource for HarborBackend {
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        if ids.is_empty() {
            return BTreeMap::new();
        }
        if period != self.0.this_month() {
            return ids.iter().map(|id| (id.clone(), Usage::NotYet)).collect();
        }
        self.0.measure(&self.0.client.until(cx.deadline), ids).await
    }
}

impl Inner {
    fn this_month(&self) -> Period {
        Period::containing(self.client.environment().now().to_zoned(self.zone.clone()).date())
    }

    async fn measure(&self, client: &HarborClient, ids: &[BackendId]) -> BTreeMap<BackendId, Usage> {
        let wanted: HashSet<&str> = ids.iter().map(BackendId::as_str).collect();
        let (quotas, gap) = match self.quotas_of(client, &wanted).await {
            Ok(listed) => listed,
            Err(error) => return ids.iter().map(|id| (id.clone(), Usage::Unreadable(error.clone()))).collect(),
        };
        let mut answers = BTreeMap::new();
        let mut others = Vec::new();
        for id in ids {
            match quotas.get(id.as_str()).and_then(|quota| quota.used) {
                Some(used) => {
                    answers.insert(id.clone(), self.measured(used).unwrap_or_else(Usage::Unreadable));
                }
                None if others.len() < BY_THEMSELVES => others.push(id.clone()),
                None => {
                    let unknown = || Error::new(ErrorKind::Inconsistent, format!("{id}: Harbor tells of no quota"));
                    answers.insert(id.clone(), Usage::Unreadable(gap.clone().unwrap_or_else(unknown)));
                }
            }
        }
        let reads: Vec<_> = others.into_iter().map(|id| self.measure_one(client, id)).collect();
        answers.extend(stream::iter(reads).buffer_unordered(AT_A_TIME).collect::<Vec<_>>().await);
        answers
    }

    async fn measure_one(&self, client: &HarborClient, id: BackendId) -> (BackendId, Usage) {
        let used = self.used_by(client, &id).await.and_then(|used| self.measured(used));
        (id, used.unwrap_or_else(Usage::Unreadable))
    }

    async fn used_by(&self, client: &HarborClient, id: &BackendId) -> Result<u64> {
        let gone = || Error::new(ErrorKind::NotFound, format!("{id} does not exist"));
        let seen = self.look(client, &ProjectName::new(id.as_str())?).await?.ok_or_else(gone)?;
        let used = seen.quota.and_then(|quota| quota.get().used);
        used.ok_or_else(|| {
            let text = format!("{id}: Harbor does not tell how much is stored; are its quotas disabled?");
            Error::new(ErrorKind::Inconsistent, text)
        })
    }

    fn measured(&self, used: u64) -> Result<Usage> {
        let total = [self.storage.usage(used)?].into();
        Ok(Usage::Measured(UsageReport::new(total)))
    }
}
