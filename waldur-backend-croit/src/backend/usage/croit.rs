//! What users store now, and what they stored over a month, by croit. croit has no list of that for all users. So there
//! is one call for each, several at a time, and one list that says which users exist and whose they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Error, Result,
    backend::{OpContext, Period, Usage, UsageReport},
    rest::{BadRow, Serial},
    settings::TimeZone,
    types::{Amounts, Timestamp},
};

use super::{ByUser, Stored, no_such_user, whose};
use crate::{
    backend::{AT_A_TIME, storage::Owners},
    croit::{Bucket, CroitClient, Level, Point, Series, User, UserList, Window},
    metering::{
        Meter,
        current::{Held, Sums, unknown},
        gb_days::Sample,
    },
    s3::Uid,
};

/// What users store now.
///
/// # Errors
/// When it is not known who exists.
pub(super) async fn held(cx: &OpContext, client: &CroitClient, uids: BTreeSet<Uid>) -> Result<ByUser> {
    // Whose a bucket is that is another's shows by the names of all.
    let list = &Arc::new(client.users().among_names(&uids).await?);
    let read = |uid: Uid| async move { (held_by(cx, client, list, &uid).await, uid) };
    let reads: Vec<_> = uids.into_iter().map(read).collect();
    Ok(stream::iter(reads).buffer_unordered(AT_A_TIME).map(|(held, uid)| (uid, held)).collect().await)
}

async fn held_by(cx: &OpContext, client: &CroitClient, list: &Arc<UserList>, uid: &Uid) -> Result<Stored> {
    cx.checkpoint()?;
    let stamp = whose(uid, known(list, uid)?.email.as_deref())?;
    let (list, owner, of) = (list.clone(), uid.to_string(), uid.clone());
    let empty = (Sums::of([owner.clone()]), Owners::default());
    let add = move |(sums, owners): &mut (Sums, Owners), row: Result<Bucket, BadRow>| {
        let held = row.map_err(|bad| bad.error).and_then(|bucket| {
            owners.note(&list, &of, bucket.owner.as_deref());
            let stored = bucket.stored.ok_or_else(|| unknown("croit does not say what a bucket holds"))?;
            Held::new(stored.size, stored.num_objects)
        });
        sums.add(&owner, held);
    };
    let (sums, owners) = client.buckets().fold_of_user(uid, move || empty.clone(), add).await?;
    owners.check()?;
    // Nothing, if there is no bucket.
    let held = sums.into_users().find_map(|(_, held)| held).unwrap_or(Ok(Held::default()))?;
    Ok(Stored { held, stamp })
}

/// A month, as far as it has come.
#[derive(Clone)]
pub(super) struct Month {
    period: Period,
    window: Range<Timestamp>,
    is_over: bool,
    /// Whether it was over long ago: whatever croit is late with is there.
    is_settled: bool,
}

/// A month's last readings are late by less than so many seconds.
const SETTLES: i64 = 24 * HOUR;

impl Month {
    /// # Errors
    /// `InvalidRequest` at the end of the calendar.
    pub(super) fn of(period: Period, zone: &TimeZone, now: Timestamp) -> Result<Self> {
        let bounds = period.bounds(zone)?;
        let since = now.as_second().saturating_sub(bounds.end.as_second());
        let window = bounds.start..bounds.end.min(now);
        Ok(Self { period, window, is_over: since >= 0, is_settled: since > SETTLES })
    }
}

/// So many months are remembered: as many as a reporter goes back.
const MONTHS: usize = 12;

/// What was stored in months that are over. Both ends of such a month are fixed, so that who was there all the time is
/// measured once: every report asks for the last month too, which would double its calls for ever. Lost with the process.
#[derive(Debug, Default)]
pub(in crate::backend) struct Past {
    months: Mutex<BTreeMap<Period, BTreeMap<Uid, Known>>>,
    /// One month that is over at a time, beside the current one.
    turn: Serial<()>,
}

#[derive(Clone, Debug)]
struct Known {
    usage: Usage,
    /// For what may be another one later: when it was measured.
    since: Option<Instant>,
}

impl Known {
    fn holds(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.saturating_duration_since(since) < GAPS_HOLD)
    }
}

/// For so long nobody looks whether croit has got readings for hours that it had none of.
const GAPS_HOLD: Duration = Duration::from_hours(6);

impl Past {
    /// What users stored within a month, times how long.
    ///
    /// # Errors
    /// When it is not known who exists.
    pub(super) async fn measure(
        &self,
        cx: &OpContext,
        meter: &Meter,
        client: &CroitClient,
        month: Month,
        uids: BTreeSet<Uid>,
    ) -> Result<BTreeMap<Uid, Usage>> {
        if !month.is_over {
            return over_time(cx, meter, client, &month, uids).await;
        }
        let now = client.environment().instant();
        let known = self.months().get(&month.period).cloned().unwrap_or_default();
        let holds = known.into_iter().filter(|(uid, known)| uids.contains(uid) && known.holds(now));
        let mut found: BTreeMap<Uid, Usage> = holds.map(|(uid, known)| (uid, known.usage)).collect();
        let uids: BTreeSet<Uid> = uids.into_iter().filter(|uid| !found.contains_key(uid)).collect();
        if uids.is_empty() {
            return Ok(found);
        }
        let measured = {
            let (cx, meter, client, month, uids) =
                (cx.clone(), meter.clone(), client.clone(), month.clone(), uids.clone());
            self.turn.run((), async move { over_time(&cx, &meter, &client, &month, uids).await }).await
        };
        match measured {
            Ok(measured) => {
                if month.is_settled {
                    self.learn(month.period, &measured, now);
                }
                found.extend(measured);
            }
            Err(error) => found.extend(uids.into_iter().map(|uid| (uid, Usage::Unreadable(error.clone())))),
        }
        Ok(found)
    }

    /// Remembers what more readings can add nothing to: a whole series, and that there is none where somebody else asked
    /// about has one. A croit that answers gaps for everybody may be restoring what it has. A series with gaps is remembered
    /// for some hours.
    fn learn(&self, period: Period, measured: &BTreeMap<Uid, Usage>, now: Instant) {
        let is_measuring = measured.values().any(|usage| matches!(usage, Usage::Measured(_)));
        let known = measured.iter().filter_map(|(uid, usage)| {
            let since = match usage {
                Usage::Measured(report) => report.unproven.is_some().then_some(now),
                Usage::NotYet if is_measuring => None,
                Usage::NotYet | Usage::Unreadable(_) => return None,
            };
            Some((uid.clone(), Known { usage: usage.clone(), since }))
        });
        let mut months = self.months();
        months.entry(period).or_default().extend(known);
        while months.len() > MONTHS {
            months.pop_first();
        }
    }

    fn months(&self) -> MutexGuard<'_, BTreeMap<Period, BTreeMap<Uid, Known>>> {
        self.months.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What users stored within a month, times how long.
///
/// Of a user that was not there yet croit has no readings. Nor has it any of anybody when it measures no more, and that is
/// not *not yet*: nobody would be billed, and nobody would notice. So who has none is new where somebody else has some,
/// whether that one is asked about or not, and in the first minutes of a month.
///
/// # Errors
/// As [`held`].
async fn over_time(
    cx: &OpContext,
    meter: &Meter,
    client: &CroitClient,
    month: &Month,
    uids: BTreeSet<Uid>,
) -> Result<BTreeMap<Uid, Usage>> {
    let list = &client.users().among_names(&uids).await?;
    let read = |uid: Uid| async move { (stored_by(cx, meter, client, list, &uid, &month.window).await, uid) };
    let reads: Vec<_> = uids.into_iter().map(read).collect();
    let days: Vec<_> = stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await;
    let is_new = days.iter().any(|(days, _)| matches!(days, Ok(None)));
    let is_measuring = days.iter().any(|(days, _)| matches!(days, Ok(Some(_))));
    let is_doubtful = is_new && !is_measuring && !month.is_over && is_long(&month.window);
    let may_be_new = !is_doubtful || {
        let others = list.some_others().filter_map(|name| Uid::new(name).ok()).collect();
        is_any_measured(client, others, &month.window).await
    };
    let usage = |days| match days {
        Ok(Some(report)) => Usage::Measured(report),
        Ok(None) if may_be_new => Usage::NotYet,
        Ok(None) => Usage::Unreadable(Error::not_ready("croit has not one reading of anybody in this month")),
        Err(error) => Usage::Unreadable(error),
    };
    Ok(days.into_iter().map(|(days, uid)| (uid, usage(days))).collect())
}

/// Whether croit has a reading of one of these users.
async fn is_any_measured(client: &CroitClient, uids: Vec<Uid>, window: &Range<Timestamp>) -> bool {
    let reads: Vec<_> = uids.into_iter().map(|uid| series(client, uid, window)).collect();
    let mut reads = stream::iter(reads).buffer_unordered(AT_A_TIME);
    while let Some(series) = reads.next().await {
        if series.is_ok_and(|series| series.has_readings()) {
            return true;
        }
    }
    false
}

async fn series(client: &CroitClient, uid: Uid, window: &Range<Timestamp>) -> Result<Series> {
    client.stats().user_data(&uid, Window { from: window.start, until: window.end }).await
}

/// `None` where there is no reading.
async fn stored_by(
    cx: &OpContext,
    meter: &Meter,
    client: &CroitClient,
    list: &UserList,
    uid: &Uid,
    window: &Range<Timestamp>,
) -> Result<Option<UsageReport>> {
    cx.checkpoint()?;
    let stamp = whose(uid, known(list, uid)?.email.as_deref())?;
    let series = series(client, uid.clone(), window).await?;
    let samples = series.points.iter().map(sample).collect::<Result<Vec<_>>>()?;
    let days = meter.unit_days(&samples, window.clone())?;
    // The time before a user was there is padded, too: a window that has no points has been measured by nobody.
    let is_series = samples.first().zip(samples.last()).is_some_and(|(first, last)| first.at < last.at);
    if days.is_none() && !is_series && is_long(window) {
        return Err(unknown("croit answers next to nothing where there are to be statistics of a month"));
    }
    let report = |(amounts, seconds): (Amounts, i64)| {
        UsageReport::new(amounts).with_stamp(stamp).with_unproven(unproven(seconds))
    };
    Ok(days.map(report))
}

fn unproven(seconds: i64) -> Option<String> {
    let hours = seconds / HOUR;
    (hours > 0).then(|| {
        format!(
            "croit has no readings of {hours} hours; between two readings the smaller one was counted for them, and after \
             the last one nothing"
        )
    })
}

/// Whether there must be points in it.
fn is_long(window: &Range<Timestamp>) -> bool {
    window.end.as_second().saturating_sub(window.start.as_second()) > HOUR
}

/// Many of croit's steps, which are 180 s.
const HOUR: i64 = 60 * 60;

fn sample(point: &Point) -> Result<Sample> {
    match point.level {
        Level::Bytes(bytes) => Ok(Sample::new(point.at, bytes)),
        Level::Unknown => Ok(Sample::gap(point.at)),
        Level::NotFinite => Err(unknown("a reading is no number")),
    }
}

/// What croit answers about a user that is not there is not known, so the list says who is.
fn known<'l>(list: &'l UserList, uid: &Uid) -> Result<&'l User> {
    list.get(uid)?.ok_or_else(no_such_user)
}
