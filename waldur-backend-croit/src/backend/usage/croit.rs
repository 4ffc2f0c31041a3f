//! What users store now, and what they stored over a month, by croit. It has no list that answers for all of them: one
//! call for each, several at a time, and one that says who exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{Error, ErrorKind, Result, backend::Usage, types::Timestamp};

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
    let list = &client.users().all().await?;
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
        sums.add(&owner, of_bucket(uid, &bucket));
    }
    // Nothing, if there is no bucket.
    sums.into_users().find_map(|(_, held)| held).unwrap_or(Ok(Held::default()))
}

fn of_bucket(uid: &Uid, bucket: &Bucket) -> Result<Held> {
    let owner = bucket.owner.as_deref().map(|owner| owner.rsplit_once('$').map_or(owner, |(_tenant, name)| name));
    if owner.is_some_and(|owner| owner != uid.name()) {
        let text = "asked for the buckets of one user, another one's came";
        return Err(Error::new(ErrorKind::WrongContent, text));
    }
    let stored = bucket.stored.ok_or_else(|| unknown("croit does not say what a bucket holds"))?;
    Held::new(stored.size, stored.num_objects)
}

/// What users stored within `window`, times how long; `is_over`: the month is.
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
    let list = &client.users().all().await?;
    let read = |uid: Uid| async move {
        let usage = match must_exist(list, &uid) {
            Ok(()) => stored_by(meter, client, &uid, window, is_over).await,
            Err(error) => Err(error),
        };
        (uid, usage.unwrap_or_else(Usage::Unreadable))
    };
    let reads: Vec<_> = uids.into_iter().map(read).collect();
    Ok(stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await)
}

async fn stored_by(
    meter: &Meter,
    client: &CroitClient,
    uid: &Uid,
    window: &Range<Timestamp>,
    is_over: bool,
) -> Result<Usage> {
    let asked = Window { from: window.start, until: window.end };
    let series = client.stats().user_data(uid, asked).await?;
    let samples = series.points.iter().map(sample).collect::<Result<Vec<_>>>()?;
    match meter.unit_days(&samples, window.clone())? {
        Some(amounts) => Ok(measured(amounts)),
        // The user was not there yet, or not for long enough.
        None if is_over || samples.len() < 2 => Ok(Usage::NotYet),
        None => Err(Error::not_ready("croit has statistics of the month, and not one reading in them")),
    }
}

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
