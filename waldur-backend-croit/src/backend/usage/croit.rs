//! What users store now, and what they stored over a month, by croit. It has no list that answers for all of them: one
//! call for each, several at a time, and one that says who exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::Usage,
    types::{Amounts, Timestamp},
};

use super::{ByUser, measured, no_such_user};
use crate::{
    backend::AT_A_TIME,
    croit::{Bucket, CroitClient, Level, Point, UserList, Window},
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
pub(super) async fn held(client: &CroitClient, uids: BTreeSet<Uid>) -> Result<ByUser> {
    // Whose a bucket is that is another's shows by the names of all.
    let list = &client.users().among_names(&uids).await?;
    let read = |uid: Uid| async move { (held_by(client, list, &uid).await, uid) };
    let reads: Vec<_> = uids.into_iter().map(read).collect();
    Ok(stream::iter(reads).buffer_unordered(AT_A_TIME).map(|(held, uid)| (uid, held)).collect().await)
}

async fn held_by(client: &CroitClient, list: &UserList, uid: &Uid) -> Result<Held> {
    must_exist(list, uid)?;
    let buckets = client.buckets().of_user(uid)?.collect().await?.complete()?.into_items();
    let owner = uid.to_string();
    let mut sums = Sums::of([owner.clone()]);
    for bucket in buckets {
        sums.add(&owner, of_bucket(list, uid, &bucket));
    }
    // Nothing, if there is no bucket.
    sums.into_users().find_map(|(_, held)| held).unwrap_or(Ok(Held::default()))
}

/// Whose a bucket is may be told in whatever words, a display name among them. Another user's name is a filter that did not
/// hold.
fn of_bucket(list: &UserList, uid: &Uid, bucket: &Bucket) -> Result<Held> {
    let owner = bucket.owner.as_deref().map(|owner| owner.rsplit_once('$').map_or(owner, |(_tenant, name)| name));
    let other = owner.filter(|owner| *owner != uid.name()).and_then(|owner| Uid::new(owner).ok());
    if other.is_some_and(|other| list.has(&other)) {
        let text = "asked for the buckets of one user, another one's came";
        return Err(Error::new(ErrorKind::WrongContent, text));
    }
    let stored = bucket.stored.ok_or_else(|| unknown("croit does not say what a bucket holds"))?;
    Held::new(stored.size, stored.num_objects)
}

/// What users stored within `window`, times how long; `is_over`: the month is.
///
/// Of a user that was not there yet croit has no readings. Nor has it any of anybody when it measures no more, and that is
/// not *not yet*: nobody would be billed, and nobody would notice. So who has none is new where another one has some, and
/// in the first minutes of a month.
///
/// # Errors
/// As [`held`].
pub(super) async fn over_time(
    meter: &Meter,
    client: &CroitClient,
    uids: BTreeSet<Uid>,
    window: &Range<Timestamp>,
    is_over: bool,
) -> Result<BTreeMap<Uid, Usage>> {
    let list = &client.users().among(&uids).await?;
    let read = |uid: Uid| async move {
        let days = match must_exist(list, &uid) {
            Ok(()) => stored_by(meter, client, &uid, window).await,
            Err(error) => Err(error),
        };
        (uid, days)
    };
    let reads: Vec<_> = uids.into_iter().map(read).collect();
    let days: Vec<_> = stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await;
    let is_measuring = days.iter().any(|(_, days)| matches!(days, Ok(Some(_))));
    let may_be_new = is_over || is_measuring || !is_long(window);
    let usage = |days| match days {
        Ok(Some(days)) => measured(days),
        Ok(None) if may_be_new => Usage::NotYet,
        Ok(None) => Usage::Unreadable(Error::not_ready("croit has not one reading of anybody in this month")),
        Err(error) => Usage::Unreadable(error),
    };
    Ok(days.into_iter().map(|(uid, days)| (uid, usage(days))).collect())
}

/// `None` where there is no reading.
async fn stored_by(
    meter: &Meter,
    client: &CroitClient,
    uid: &Uid,
    window: &Range<Timestamp>,
) -> Result<Option<Amounts>> {
    let asked = Window { from: window.start, until: window.end };
    let series = client.stats().user_data(uid, asked).await?;
    let samples = series.points.iter().map(sample).collect::<Result<Vec<_>>>()?;
    let days = meter.unit_days(&samples, window.clone())?;
    // The time before a user was there is padded, too: a window that has no points has been measured by nobody.
    let is_series = samples.first().zip(samples.last()).is_some_and(|(first, last)| first.at < last.at);
    if days.is_none() && !is_series && is_long(window) {
        return Err(unknown("croit answers next to nothing where there are to be statistics of a month"));
    }
    Ok(days)
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
fn must_exist(list: &UserList, uid: &Uid) -> Result<()> {
    list.get(uid)?.map(drop).ok_or_else(no_such_user)
}
