//! Usage: what the users of an offering store (s3.md §6).
//!
//! | model | flavour | asks |
//! |---|---|---|
//! | `current` | `radosgw` | one listing of all buckets, or the buckets of each where others have very many more |
//! | `current` | `croit` | the list of users, and the buckets of each |
//! | `gb_days` | `croit` | the list of users, and the statistics of each over the month |
//!
//! `current` has no history: a month that is over stays *not yet* measured. `gb_days` has one: each report is measured
//! anew from the beginning of the month, also for a month that is over.
//!
//! Somebody may have typed a stranger's user name into a resource. So the stamp of a user is reported with what it
//! stores, wherever its record is read: on croit always, on RadosGW if few users are asked about. A listing of buckets
//! shows no stamps.

mod croit;
mod radosgw;

pub(in crate::backend) use self::{croit::Past, radosgw::Listing};

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{OpContext, Period, Stamp, Usage, UsageReport, UsageSource},
    types::{Amounts, BackendId},
};

use super::{
    Inner, S3Backend,
    stamp::{self, Mark},
    storage::Storage,
};
use crate::{metering::current::Held, s3::Uid, settings::UsageModel};

/// What each user stores now. One that is not named does not exist.
type ByUser = BTreeMap<Uid, Result<Stored>>;

/// What a user stores, and whose it is as far as that was read.
#[derive(Clone, Copy, Debug)]
struct Stored {
    held: Held,
    stamp: Option<Stamp>,
}

impl Stored {
    /// Of a user whose record was not read.
    fn unstamped(held: Held) -> Self {
        Self { held, stamp: None }
    }
}

/// The stamp in the record of a user, if there is one.
///
/// # Errors
/// `Foreign` for a stamp that is none of this user.
fn whose(uid: &Uid, email: Option<&str>) -> Result<Option<Stamp>> {
    match stamp::read(email, uid) {
        Mark::Stamp(stamp) => Ok(Some(stamp)),
        Mark::None => Ok(None),
        Mark::Broken => {
            let text = format!("{uid} carries a stamp that is not its own: it cannot be told whose usage this is");
            Err(Error::new(ErrorKind::Foreign, text))
        }
    }
}

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
            return Ok(ids.iter().map(|id| (id.clone(), measured(Amounts::new(), None))).collect());
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
            Storage::RadosGw(client) => self.sold(radosgw::held(cx, client, self.memory.listing(), uids).await?),
            Storage::Croit(client) if history => {
                let month = croit::Month::of(period, &self.time_zone, now)?;
                self.memory.past().measure(cx, &self.meter, client, month, uids).await?
            }
            Storage::Croit(client) => self.sold(croit::held(cx, client, uids).await?),
        };
        let of_user = |(uid, id): (Uid, &BackendId)| {
            (id.clone(), found.remove(&uid).unwrap_or_else(|| Usage::Unreadable(no_such_user())))
        };
        usage.extend(users.into_iter().map(of_user));
        Ok(usage)
    }

    fn sold(&self, held: ByUser) -> BTreeMap<Uid, Usage> {
        let sold = |stored: Stored| self.meter.current(stored.held).map(|amounts| measured(amounts, stored.stamp));
        held.into_iter().map(|(uid, held)| (uid, held.and_then(sold).unwrap_or_else(Usage::Unreadable))).collect()
    }
}

fn measured(amounts: Amounts, stamp: Option<Stamp>) -> Usage {
    Usage::Measured(UsageReport::new(amounts).with_stamp(stamp))
}

fn no_such_user() -> Error {
    Error::new(ErrorKind::NotFound, "the S3 user does not exist")
}
