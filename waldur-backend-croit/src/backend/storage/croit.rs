//! croit in the words of [`Storage`](super::Storage).

use std::sync::Arc;

use futures_util::future::join;
use waldur_sdk::{Effect, Error, ErrorKind, Result, rest::BadRow};

use super::{
    super::{
        metadata::Summary,
        stamp::{self, Mark},
    },
    Account, AccountWithKeys, Held, Made, NewAccount, Owners, Published, Sight,
};
use crate::{
    croit::{Bucket, CroitClient, NewUser, User, UserList, error},
    s3::{AccessKeyId, Quota, Quotas, S3Key, Uid},
    settings::{Flavour, S3Settings},
};

/// What sizes are rounded up to.
pub(super) const KIB: u64 = 1024;

/// A user without a quota has no ceiling; a quota that was set and is not told would be found out by reading back.
impl From<&User> for Account {
    fn from(user: &User) -> Self {
        let quota = |quota: Option<Quota>| quota.unwrap_or(Quota::UNLIMITED);
        Self {
            email: user.email.clone(),
            name: String::new(),
            suspended: user.suspended,
            quotas: Some(Quotas::new(quota(user.user_quota), quota(user.bucket_quota))),
        }
    }
}

impl From<Bucket> for Held {
    fn from(bucket: Bucket) -> Self {
        Self { name: bucket.name, stored: bucket.stored.map(|stored| (stored.size, stored.num_objects)) }
    }
}

pub(super) async fn with_keys(client: &CroitClient, users: &UserList, uid: &Uid) -> Result<Option<AccountWithKeys>> {
    let Some(account) = users.get(uid)?.map(Account::from) else {
        return prove_absence(client, users, uid).await.map(|()| None);
    };
    Ok(keys_of_listed(client, users, uid).await?.map(|keys| AccountWithKeys { account, keys }))
}

/// The list and the keys at once, of a user that is ours: a stranger's keys are not asked for.
pub(super) async fn whole(client: &CroitClient, uid: &Uid) -> Result<Option<AccountWithKeys>> {
    let (users, keys) = join(client.users().among([uid]), own_keys(client, uid)).await;
    let users = users?;
    let Some(account) = users.get(uid)?.map(Account::from) else { return Ok(None) };
    match keys {
        // It was written to a moment ago: whoever asks looks again.
        Err(gone) if gone.code() == Some(error::NO_SUCH_USER) => Ok(None),
        keys => Ok(Some(AccountWithKeys { account, keys: keys? })),
    }
}

/// Keys and buckets at once.
pub(super) async fn sight(
    client: &CroitClient,
    users: &Arc<UserList>,
    uid: &Uid,
    with_keys: bool,
    is_anothers: impl Fn(&Account) -> bool + Send,
) -> Result<Option<Sight>> {
    let Some(account) = users.get(uid)?.map(Account::from) else {
        return prove_absence(client, users, uid).await.map(|()| None);
    };
    if is_anothers(&account) {
        return Ok(Some(Sight { account, published: None }));
    }
    let keys = async { if with_keys { keys_of_listed(client, users, uid).await } else { Ok(Some(Vec::new())) } };
    let (keys, summary) = join(keys, async { summary(client, users, uid).await?.finish() }).await;
    let Some(keys) = keys.transpose() else { return Ok(None) };
    Ok(Some(Sight { account, published: Some(Published { keys, summary }) }))
}

/// The keys of a user that is on the list; `None` where it went away since. croit's word that there is no such user is not
/// enough for that: in a tenant it may have the keys under another name.
///
/// # Errors
/// `Inconsistent` where another list shows the user, too.
async fn keys_of_listed(client: &CroitClient, users: &UserList, uid: &Uid) -> Result<Option<Vec<S3Key>>> {
    match own_keys(client, uid).await {
        Err(gone) if gone.code() == Some(error::NO_SUCH_USER) => {
            if client.users().again(users).await?.get(uid)?.is_none() {
                return Ok(None);
            }
            let text = format!("{uid}: croit lists the user, and says of its keys that there is no such user");
            Err(Error::new(ErrorKind::Inconsistent, text).with_operation("keys.list").with_source(gone))
        }
        keys => keys.map(Some),
    }
}

/// Whether a user that is not listed is not there: croit has no keys of whom it does not know. Where it lists a user of
/// that name in another tenant the keys are that one's, as its paths name no tenants, and another list is the second proof.
/// One with our stamp on this very name is ours, though: it was made when another tenant was set, or none.
///
/// Where the list shows others, whatever form of a 404 that says something is the second proof; an empty one is no first.
pub(super) async fn prove_absence(client: &CroitClient, users: &UserList, uid: &Uid) -> Result<()> {
    let unclear = |text: &str| {
        let error = Error::new(ErrorKind::Inconsistent, format!("{uid}: {text}")).with_operation("users.all");
        Err(error.with_retryable(true).with_effect(Effect::NotApplied))
    };
    if let Some(namesakes) = users.namesakes(uid) {
        let is_ours = |email: &Option<String>| matches!(stamp::read(email.as_deref(), uid), Mark::Stamp(_));
        if namesakes.iter().any(is_ours) {
            return unclear("croit lists the user in another tenant than that of default_tenant");
        }
        return match client.users().again(users).await?.get(uid)? {
            Some(_) => unclear("croit lists the user now, and did not a moment ago"),
            None => Ok(()),
        };
    }
    match client.keys().list(uid).await {
        Ok(_keys) => unclear("croit does not list the user, and has its keys"),
        Err(gone) if gone.code() == Some(error::NO_SUCH_USER) => Ok(()),
        Err(gone) if gone.code() == Some(error::UNCLEAR_ABSENCE) && users.shows_somebody() => Ok(()),
        Err(error) => Err(error),
    }
}

/// The keys of the user itself. Those of subusers open less, and are not ours to publish or to take away.
pub(super) async fn own_keys(client: &CroitClient, uid: &Uid) -> Result<Vec<S3Key>> {
    let keys = client.keys().list(uid).await?;
    Ok(keys.into_iter().filter(|key| !key.user.contains(':')).collect())
}

pub(super) async fn create(client: &CroitClient, new: &NewAccount, settings: &S3Settings) -> Result<Made> {
    let mut user = NewUser::new(new.uid.clone(), new.name.as_str())?.with_email(new.email.as_str())?;
    if let Some(placement) = &settings.placement {
        user = user.with_placement(placement.as_str())?;
    }
    if let Flavour::Croit(croit) = &settings.flavour {
        if let Some(tenant) = &croit.tenant {
            user = user.in_tenant(tenant.as_str())?;
        }
        if let Some(class) = &croit.storage_class {
            user = user.with_storage_class(class.as_str())?;
        }
    }
    let made = client.users().create(&user).await?;
    // croit may answer nothing at all. What a user has that was made a moment ago is known.
    let as_asked = || Account {
        email: Some(new.email.clone()),
        name: String::new(),
        suspended: false,
        quotas: Some(Quotas::both(Quota::UNLIMITED)),
    };
    Ok(Made { account: made.user.as_ref().map_or_else(as_asked, Account::from), first_key: made.key })
}

/// With more than one key, somebody gave the user a key meanwhile, and nobody knows which is croit's: unless croit told
/// with the user.
pub(super) async fn take_first_key(client: &CroitClient, uid: &Uid, told: Option<AccessKeyId>) -> Result<()> {
    if let Some(first) = told {
        return client.keys().delete(uid, &first).await.map(drop);
    }
    match client.keys().list(uid).await?.as_slice() {
        [only] => client.keys().delete(uid, &only.id()?).await.map(drop),
        _ => Ok(()),
    }
}

/// One after the other: croit has a call for each.
pub(super) async fn set_quotas(client: &CroitClient, uid: &Uid, quotas: Quotas) -> Result<()> {
    client.quotas().set_user(uid, quotas.user_quota).await?;
    client.quotas().set_bucket(uid, quotas.bucket_quota).await
}

/// croit keeps sizes in whole KiB.
pub(super) fn agree(wanted: Quota, found: Quota) -> bool {
    let ((wanted, wanted_objects), (found, found_objects)) = (wanted.effective(), found.effective());
    let sizes_agree = match (wanted.limit(), found.limit()) {
        (Some(wanted), Some(found)) => wanted.abs_diff(found) < KIB,
        (wanted, found) => wanted == found,
    };
    sizes_agree && wanted_objects == found_objects
}

/// How many buckets croit lists for a user, whoever's they are.
pub(super) async fn count(client: &CroitClient, uid: &Uid) -> Result<usize> {
    Ok(client.buckets().of_user(uid)?.all().await?.len())
}

/// The buckets of a user.
///
/// # Errors
/// When another user's are among them, or the list may not be whole.
pub(super) async fn buckets(client: &CroitClient, users: &UserList, uid: &Uid) -> Result<Vec<Held>> {
    let buckets = client.buckets().of_user(uid)?.all().await?;
    let mut owners = Owners::default();
    for bucket in &buckets {
        owners.note(users, uid, bucket.owner.as_deref());
    }
    owners.check()?;
    Ok(buckets.into_iter().map(Held::from).collect())
}

/// What is published of a user's buckets; another one's name is known as far as `users` has it.
pub(super) async fn summary(client: &CroitClient, users: &Arc<UserList>, uid: &Uid) -> Result<Summary> {
    let (users, of) = (users.clone(), uid.clone());
    let add = move |(summary, owners): &mut (Summary, Owners), bucket: Result<Bucket, BadRow>| match bucket {
        Ok(bucket) => {
            owners.note(&users, &of, bucket.owner.as_deref());
            summary.add(&bucket.name, bucket.stored.map(|stored| (stored.size, stored.num_objects)));
        }
        Err(bad) => summary.fail(bad.error),
    };
    let (summary, owners) = client.buckets().fold_of_user(uid, Default::default, add).await?;
    owners.check().map(|()| summary)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::s3::{QuotaObjects, QuotaSize};

    #[test]
    fn sizes_agree_to_the_kibibyte_and_no_further() {
        let at = |size: u64| Quota::new(QuotaSize::at_most(size).unwrap(), QuotaObjects::UNLIMITED);
        // 5 GB, as it is read back.
        assert!(agree(at(5_000_000_000), at(5_000_000_512)));
        assert!(!agree(at(5_000_000_000), at(5_000_001_024)));
        assert!(!agree(at(0), at(1024)), "closed is closed");
        assert!(!agree(at(1), Quota::UNLIMITED));
        assert!(!agree(Quota::UNLIMITED, at(1)));
        let objects = |number: u64| Quota::new(QuotaSize::UNLIMITED, QuotaObjects::at_most(number).unwrap());
        assert!(!agree(objects(10), objects(11)));
    }
}
