//! Usage: what the users of an offering store (s3.md §6).
//!
//! | model | flavour | asks |
//! |---|---|---|
//! | `current` | `radosgw` | one listing of all buckets, or the buckets of each where these are fewer by far |
//! | `current` | `croit` | the list of users, and the buckets of each |
//! | `gb_days` | `croit` | the list of users, and the statistics of each over the month |
//!
//! What is stored now has no history: of a month that is over it is *not yet* known, for ever. Statistics have one: each
//! report is measured anew from the beginning of the month, and a month that is over can be.

mod croit;
mod radosgw;

pub(in crate::backend) use radosgw::Listing;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{OpContext, Period, Usage, UsageReport, UsageSource},
    types::{Amounts, BackendId},
};

use super::{Inner, S3Backend, storage::Storage};
use crate::{metering::current::Held, s3::Uid, settings::UsageModel};

/// What each user stores now. One that is not named does not exist.
type ByUser = BTreeMap<Uid, Result<Held>>;

#[async_trait]
impl UsageSource for S3Backend {
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        match self.0.measure(cx, ids, period).await {
            Ok(usage) => usage,
            Err(error) => ids.iter().map(|id| (id.clone(), Usage::Unreadable(error.clone()))).collect(),
        }
    }
}

impl Inner {
    /// # Errors
    /// When nothing is known of anybody.
    async fn measure(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> Result<BTreeMap<BackendId, Usage>> {
        cx.checkpoint()?;
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        cx.step("usage");
        let now = self.storage.environment().now();
        let current = Period::containing(now.to_zoned(self.time_zone.clone()).date());
        let history = self.settings.usage_model() == UsageModel::GbDays;
        if period > current || (period < current && !history) {
            return Ok(ids.iter().map(|id| (id.clone(), Usage::NotYet)).collect());
        }
        if self.meter.is_idle() || (history && !self.meter.measures_storage()) {
            return Ok(ids.iter().map(|id| (id.clone(), measured(Amounts::new()))).collect());
        }
        let (mut usage, mut users) = (BTreeMap::new(), BTreeMap::new());
        for id in ids {
            match Uid::new(id.as_str()) {
                Ok(uid) => drop(users.insert(uid, id)),
                Err(error) => drop(usage.insert(id.clone(), Usage::Unreadable(error))),
            }
        }
        let uids: BTreeSet<Uid> = users.keys().cloned().collect();
        let mut found = match &self.storage.until(cx.deadline).stopped_by(&self.breaker()) {
            Storage::RadosGw(client) => self.sold(radosgw::held(client, self.memory.listing(), uids).await?),
            Storage::Croit(client) if history => {
                let bounds = period.bounds(&self.time_zone)?;
                let window = bounds.start..bounds.end.min(now);
                croit::over_time(&self.meter, client, uids, &window, period < current).await?
            }
            Storage::Croit(client) => self.sold(croit::held(client, uids).await?),
        };
        let of_user = |(uid, id): (Uid, &BackendId)| {
            (id.clone(), found.remove(&uid).unwrap_or_else(|| Usage::Unreadable(no_such_user())))
        };
        usage.extend(users.into_iter().map(of_user));
        Ok(usage)
    }

    fn sold(&self, held: ByUser) -> BTreeMap<Uid, Usage> {
        let sold = |held: Result<Held>| held.and_then(|held| self.meter.current(held));
        held.into_iter().map(|(uid, held)| (uid, sold(held).map_or_else(Usage::Unreadable, measured))).collect()
    }
}

fn measured(amounts: Amounts) -> Usage {
    Usage::Measured(UsageReport::new(amounts))
}

fn no_such_user() -> Error {
    Error::new(ErrorKind::NotFound, "the S3 user does not exist")
}
