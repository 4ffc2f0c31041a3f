//! The storage underneath, whichever flavour it is of: users, keys, quotas, buckets.
//!
//! The life of a resource (`create`, `change`, `metadata`, `importer`) is written against [`Storage`] and [`View`], and
//! knows no flavour. What only one flavour has (the listing of everybody's buckets, statistics over time, suspension)
//! is not a method here. Code that needs it matches on [`Storage`], and so has to say what the other flavour does
//! instead.
//!
//! What differs, and where that is kept:
//!
//! * Reading. RadosGW reads one user in a call, with its keys. croit only has the list of all users, without usable
//!   keys. A [`View`] is one look at the users: the list, or on RadosGW a reading of each user when it is asked for.
//!   Take one view to look at many users; take a new one each time to read back what was written. A user that is
//!   missing from croit's list is not proven absent; a user of which croit knows no keys is.
//! * Keys. RadosGW mints them; to croit we bring our own ([`Storage::mint`]).
//! * Quotas. RadosGW takes both in one write, to the byte; croit one by one, rounded up to whole KiB
//!   ([`Storage::agree`]).
//! * The stamp can be written later on RadosGW only ([`Storage::stamp`]).
//! * Purging is one call of RadosGW's, and work of ours on croit.

mod croit;
mod croit_purge;
mod owners;
mod radosgw;

pub(super) use self::owners::Owners;

use std::{sync::Arc, time::Instant};

use serde_json::Value;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::OpContext,
    rest::{Breaker, Environment, Http},
};

use crate::{
    croit::{CroitClient, UserList},
    radosgw::RadosGwClient,
    s3::{AccessKeyId, Quota, Quotas, S3Key, Uid},
    settings::{Flavour, S3Settings},
};

/// A storage that resources are made on.
#[derive(Clone, Debug)]
pub(super) enum Storage {
    /// RadosGW, by its Admin Ops API.
    RadosGw(RadosGwClient),
    /// croit, by its management API.
    Croit(CroitClient),
}

/// The users as they are at one moment.
pub(super) enum View {
    /// Each is asked for by itself.
    RadosGw(RadosGwClient),
    /// Those that are looked for; their keys are asked for.
    Croit(CroitClient, Arc<UserList>),
}

/// What is told of a user.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Where the stamp stands.
    pub(super) email: Option<String>,
    /// Its name for people, where a suspension by Waldur is marked; none on croit, which cannot suspend.
    pub(super) name: String,
    /// Whether it is locked out.
    pub(super) suspended: bool,
    /// `None` when the storage does not say: that is neither 0 nor unlimited.
    pub(super) quotas: Option<Quotas>,
}

/// A user and its own keys, the first one first.
#[derive(Clone, Debug)]
pub(super) struct AccountWithKeys {
    pub(super) account: Account,
    pub(super) keys: Vec<S3Key>,
}

/// A user and all that is published of it.
pub(super) struct Sight {
    pub(super) account: Account,
    /// `None` where it is another's.
    pub(super) published: Option<Published>,
}

/// What is published of a user, each part as far as it can be read.
pub(super) struct Published {
    /// None where they were not asked for.
    pub(super) keys: Result<Vec<S3Key>>,
    pub(super) summary: Result<Value>,
}

/// A user that was made just now.
pub(super) struct Made {
    pub(super) account: Account,
    /// The key that the storage gave it without being told to, where it says which.
    pub(super) first_key: Option<AccessKeyId>,
}

/// A user to be made, with its stamp.
#[derive(Clone, Debug)]
pub(super) struct NewAccount {
    pub(super) uid: Uid,
    pub(super) name: String,
    pub(super) email: String,
    /// With a key of the storage's making. croit gives it one anyhow: [`Storage::take_first_key`].
    pub(super) with_key: bool,
}

/// A bucket of a user.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) name: String,
    /// Bytes and objects; `None` when the storage does not say, which is not 0.
    pub(super) stored: Option<(u64, u64)>,
}

/// Of a user that is purged: whatever is not empty after it was emptied, somebody still writes to, and another run takes
/// that too.
fn still_used(error: Error) -> Error {
    if error.kind() == ErrorKind::Conflict { error.with_retryable(true) } else { error }
}

fn without_keys(account: Account) -> AccountWithKeys {
    AccountWithKeys { account, keys: Vec::new() }
}

impl Storage {
    /// The storage of the settings, over a pipeline.
    pub(super) fn of(http: Http, settings: &S3Settings) -> Result<Self> {
        match &settings.flavour {
            Flavour::RadosGw(gateway) => {
                let client = RadosGwClient::at(http, &settings.endpoint, &gateway.admin_path, &gateway.admin)?;
                Ok(Self::RadosGw(client.with_timeout(settings.timeout)))
            }
            Flavour::Croit(croit) => {
                let mut client = CroitClient::new(http, &croit.api_url, &croit.login)?;
                if let Some(tenant) = &croit.tenant {
                    client = client.in_tenant(tenant.clone());
                }
                Ok(Self::Croit(client.with_timeout(settings.timeout)))
            }
        }
    }

    /// The same storage, where nothing begins after `deadline`.
    pub(super) fn until(&self, deadline: Option<Instant>) -> Self {
        match self {
            Self::RadosGw(client) => Self::RadosGw(client.until(deadline)),
            Self::Croit(client) => Self::Croit(client.until(deadline)),
        }
    }

    /// The same storage, whose calls are made only as far as `breaker` lets them through.
    pub(super) fn stopped_by(&self, breaker: &Breaker) -> Self {
        match self {
            Self::RadosGw(client) => Self::RadosGw(client.stopped_by(breaker)),
            Self::Croit(client) => Self::Croit(client.stopped_by(breaker)),
        }
    }

    /// Sleep, clocks and randomness.
    pub(super) fn environment(&self) -> &Environment {
        match self {
            Self::RadosGw(client) => client.environment(),
            Self::Croit(client) => client.environment(),
        }
    }

    /// The cheapest call that needs the credentials.
    pub(super) async fn ping(&self) -> Result<()> {
        match self {
            Self::RadosGw(client) => radosgw::ping(client).await,
            Self::Croit(client) => client.users().among([]).await.map(drop),
        }
    }

    /// A look at these users.
    pub(super) async fn view(&self, uids: impl IntoIterator<Item = &Uid>) -> Result<View> {
        match self {
            Self::RadosGw(client) => Ok(View::RadosGw(client.clone())),
            Self::Croit(client) => Ok(View::Croit(client.clone(), Arc::new(client.users().among(uids).await?))),
        }
    }

    /// Reads a user now; `None` is proven absence.
    pub(super) async fn account(&self, uid: &Uid) -> Result<Option<Account>> {
        self.view([uid]).await?.account(uid).await
    }

    /// Reads a user of which is known by other ways whether it is there: that it is on no list has to be no proof.
    pub(super) async fn listed(&self, uid: &Uid) -> Result<Option<Account>> {
        self.view([uid]).await?.listed(uid).await
    }

    /// Reads a user now that may be anybody's, with its own keys only where they come along: a stranger's are not asked
    /// for.
    pub(super) async fn found(&self, uid: &Uid) -> Result<Option<(Account, Option<Vec<S3Key>>)>> {
        match self {
            Self::RadosGw(client) => {
                let found = radosgw::with_keys(client, uid).await?;
                Ok(found.map(|AccountWithKeys { account, keys }| (account, Some(keys))))
            }
            Self::Croit(_) => Ok(self.listed(uid).await?.map(|account| (account, None))),
        }
    }

    /// The own keys of a user, the first one first.
    ///
    /// # Errors
    /// `NotFound` when there is no such user.
    pub(super) async fn keys(&self, uid: &Uid) -> Result<Vec<S3Key>> {
        match self {
            Self::RadosGw(client) => radosgw::keys(client, uid).await,
            Self::Croit(client) => croit::own_keys(client, uid).await,
        }
    }

    /// Reads a user and its keys now; `None` is proven absence.
    pub(super) async fn with_keys(&self, uid: &Uid) -> Result<Option<AccountWithKeys>> {
        self.view([uid]).await?.with_keys(uid).await
    }

    /// Reads a user that is ours, and its keys if `keys`: all at once.
    pub(super) async fn whole(&self, uid: &Uid, keys: bool) -> Result<Option<AccountWithKeys>> {
        match self {
            Self::RadosGw(client) if keys => radosgw::with_keys(client, uid).await,
            Self::Croit(client) if keys => croit::whole(client, uid).await,
            _ => Ok(self.account(uid).await?.map(without_keys)),
        }
    }

    /// Makes a user.
    ///
    /// # Errors
    /// `AlreadyExists` when the name or the stamp is taken; with an effect that is unknown, the user has to be read.
    pub(super) async fn create(&self, new: &NewAccount, settings: &S3Settings) -> Result<Made> {
        match self {
            Self::RadosGw(client) => radosgw::create(client, new, settings).await,
            Self::Croit(client) => croit::create(client, new, settings).await,
        }
    }

    /// Stamps a user that has no e-mail address, and tells what it is then. `None`: this storage cannot, and a user
    /// without a stamp stays one.
    pub(super) async fn stamp(&self, uid: &Uid, email: String) -> Result<Option<Account>> {
        match self {
            Self::RadosGw(client) => radosgw::stamp(client, uid, email).await.map(Some),
            Self::Croit(_) => Ok(None),
        }
    }

    /// Whether a user can be stamped that is there already.
    pub(super) fn can_stamp(&self) -> bool {
        match self {
            Self::RadosGw(_) => true,
            Self::Croit(_) => false,
        }
    }

    /// Takes away the key that the storage gave a user which was made a moment ago, where customers get their keys in
    /// another way. `told`: which one that is, if the storage said so.
    pub(super) async fn take_first_key(&self, uid: &Uid, told: Option<AccessKeyId>) -> Result<()> {
        match self {
            // It was told to make none.
            Self::RadosGw(_) => Ok(()),
            Self::Croit(client) => croit::take_first_key(client, uid, told).await,
        }
    }

    /// Gives a user one more key, to be published.
    pub(super) async fn mint(&self, uid: &Uid) -> Result<()> {
        let pair = S3Key::mint_for_metadata(uid)?;
        match self {
            Self::RadosGw(client) => client.keys().create(uid, &pair.id()?).await.map(drop),
            Self::Croit(client) => client.keys().put(uid, &pair).await,
        }
    }

    /// Replaces both quotas of a user.
    pub(super) async fn set_quotas(&self, uid: &Uid, quotas: Quotas) -> Result<()> {
        match self {
            Self::RadosGw(client) => client.quotas().set(uid, quotas).await,
            Self::Croit(client) => croit::set_quotas(client, uid, quotas).await,
        }
    }

    /// Whether the quotas that were read have the effect of those that are wanted, as exactly as the storage keeps them.
    pub(super) fn agree(&self, wanted: Quotas, found: Quotas) -> bool {
        let agree = |wanted: Quota, found: Quota| match self {
            Self::RadosGw(_) => wanted.effective() == found.effective(),
            Self::Croit(_) => croit::agree(wanted, found),
        };
        agree(wanted.user_quota, found.user_quota) && agree(wanted.bucket_quota, found.bucket_quota)
    }

    /// Deletes a user that owns no buckets.
    ///
    /// # Errors
    /// `Conflict` with the code [`USER_HAS_BUCKETS`](crate::radosgw::error::USER_HAS_BUCKETS) when it owns some.
    pub(super) async fn delete(&self, uid: &Uid) -> Result<()> {
        match self {
            Self::RadosGw(client) => client.users().delete(uid).await,
            Self::Croit(client) => client.users().delete(uid).await,
        }
    }

    /// Deletes a user with **all its data**.
    ///
    /// # Errors
    /// `Cancelled` in between, with part of the data deleted: the next attempt goes on.
    pub(super) async fn purge(&self, cx: &OpContext, uid: &Uid, settings: &S3Settings) -> Result<()> {
        match self {
            Self::RadosGw(client) => client.users().delete_with_data(uid).await.map_err(still_used),
            Self::Croit(client) => croit_purge::purge(client, cx, uid, settings).await,
        }
    }

    /// How many buckets a user owns.
    pub(super) async fn count_buckets(&self, uid: &Uid) -> Result<usize> {
        match self {
            Self::RadosGw(client) => Ok(client.buckets().names_of_user(uid).await?.len()),
            Self::Croit(client) => croit::count(client, uid).await,
        }
    }

    /// What the buckets of a user hold, added up while the list arrives.
    ///
    /// # Errors
    /// When a bucket does not say, or the list may not be whole. That there is no such user may look like no buckets.
    pub(super) async fn summary(&self, uid: &Uid) -> Result<Value> {
        match self {
            Self::RadosGw(client) => radosgw::summary(client, uid).await?.finish(),
            Self::Croit(client) => {
                let users = Arc::new(client.users().among_names([uid]).await?);
                croit::summary(client, &users, uid).await?.finish()
            }
        }
    }

    /// Sizes of quotas are kept in multiples of so many bytes, and rounded up to them.
    pub(super) fn grain(&self) -> u64 {
        match self {
            Self::RadosGw(_) => 1,
            Self::Croit(_) => croit::KIB,
        }
    }
}

impl View {
    /// What the view shows of a user; `None` is proven absence.
    ///
    /// # Errors
    /// `Inconsistent`, and worth a repeat, where croit does not list the user and has its keys.
    pub(super) async fn account(&self, uid: &Uid) -> Result<Option<Account>> {
        match (self.listed(uid).await?, self) {
            (None, Self::Croit(client, users)) => croit::prove_absence(client, users, uid).await.map(|()| None),
            (found, _) => Ok(found),
        }
    }

    /// What the view shows of a user. On croit a list that does not show it is no proof: it may lag, or be empty while
    /// croit starts.
    async fn listed(&self, uid: &Uid) -> Result<Option<Account>> {
        match self {
            Self::RadosGw(client) => radosgw::account(client, uid).await,
            Self::Croit(_, users) => Ok(users.get(uid)?.map(Account::from)),
        }
    }

    /// What the view shows of a user, with its keys if `keys`, and what it stores; no more than the user where it
    /// `is_anothers`, whose keys and buckets are nobody's business here.
    pub(super) async fn sight(
        &self,
        uid: &Uid,
        keys: bool,
        is_anothers: impl Fn(&Account) -> bool + Send,
    ) -> Result<Option<Sight>> {
        match self {
            Self::RadosGw(client) => radosgw::sight(client, uid, keys, is_anothers).await,
            Self::Croit(client, users) => croit::sight(client, users, uid, keys, is_anothers).await,
        }
    }

    /// What the view shows of a user, and its keys; `None` is proven absence.
    pub(super) async fn with_keys(&self, uid: &Uid) -> Result<Option<AccountWithKeys>> {
        match self {
            Self::RadosGw(client) => radosgw::with_keys(client, uid).await,
            Self::Croit(client, users) => croit::with_keys(client, users, uid).await,
        }
    }
}
