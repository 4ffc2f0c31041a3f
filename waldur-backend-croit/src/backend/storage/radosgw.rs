//! RadosGW in the words of [`Storage`](super::Storage).

use waldur_sdk::{Error, ErrorKind, Result, rest::BadRow};

use super::{super::metadata::Summary, Account, AccountWithKeys, Made, NewAccount, Published, Sight, without_keys};
use crate::{
    radosgw::{Bucket, NewUser, PageSize, RadosGwClient, User, UserChange, UserWithKeys, error},
    s3::{Quotas, S3Key, Uid},
    settings::S3Settings,
};

impl From<User> for Account {
    fn from(user: User) -> Self {
        let quotas = user.user_quota.zip(user.bucket_quota);
        let quotas = quotas.map(|(user_quota, bucket_quota)| Quotas::new(user_quota, bucket_quota));
        Self { email: user.email, name: user.display_name, suspended: user.suspended, quotas }
    }
}

impl From<UserWithKeys> for AccountWithKeys {
    fn from(found: UserWithKeys) -> Self {
        Self { keys: found.own_keys().cloned().collect(), account: found.user.into() }
    }
}

pub(super) async fn ping(client: &RadosGwClient) -> Result<()> {
    client.users().list(PageSize::new(1)?).next_page().await.map(drop)
}

pub(super) async fn with_keys(client: &RadosGwClient, uid: &Uid) -> Result<Option<AccountWithKeys>> {
    Ok(client.users().get_with_keys(uid).await?.map(AccountWithKeys::from))
}

/// The user, and then its buckets: nobody's are asked for of whom it is not known that they exist.
pub(super) async fn sight(
    client: &RadosGwClient,
    uid: &Uid,
    keys: bool,
    is_anothers: impl Fn(&Account) -> bool + Send,
) -> Result<Option<Sight>> {
    let found = if keys { with_keys(client, uid).await? } else { account(client, uid).await?.map(without_keys) };
    let Some(AccountWithKeys { account, keys }) = found else { return Ok(None) };
    if is_anothers(&account) {
        return Ok(Some(Sight { account, published: None }));
    }
    let summary = async { summary(client, uid).await?.finish() }.await;
    Ok(Some(Sight { account, published: Some(Published { keys: Ok(keys), summary }) }))
}

pub(super) async fn account(client: &RadosGwClient, uid: &Uid) -> Result<Option<Account>> {
    Ok(client.users().get(uid).await?.map(Account::from))
}

pub(super) async fn keys(client: &RadosGwClient, uid: &Uid) -> Result<Vec<S3Key>> {
    let gone = || Error::new(ErrorKind::NotFound, "the user does not exist").with_code(error::NO_SUCH_USER);
    Ok(with_keys(client, uid).await?.ok_or_else(gone)?.keys)
}

pub(super) async fn create(client: &RadosGwClient, new: &NewAccount, settings: &S3Settings) -> Result<Made> {
    let mut user = NewUser::new(new.uid.clone(), new.name.as_str())?.with_email(new.email.as_str())?;
    if new.with_key {
        user = user.with_generated_key();
    }
    if let Some(placement) = &settings.placement {
        user = user.with_placement(placement.as_str())?;
    }
    Ok(Made { account: client.users().create(&user).await?.user.into(), first_key: None })
}

pub(super) async fn stamp(client: &RadosGwClient, uid: &Uid, email: String) -> Result<Account> {
    Ok(client.users().modify(uid, &UserChange::default().with_email(email)?).await?.into())
}

/// No buckets where there is no such user.
pub(super) async fn summary(client: &RadosGwClient, uid: &Uid) -> Result<Summary> {
    let add = |summary: &mut Summary, bucket: Result<Bucket, BadRow>| match bucket {
        Ok(bucket) => summary.add(&bucket.bucket, bucket.stored().map(|stored| (stored.size, stored.num_objects))),
        Err(bad) => summary.fail(bad.error),
    };
    client.buckets().fold_of_user(uid, Summary::default, add).await
}
