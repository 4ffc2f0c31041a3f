//! Making a user, or finishing what an earlier attempt began.

use std::time::Duration;

use waldur_sdk::{
    Effect, Error, ErrorKind, Result,
    backend::{CreateRequest, Created, MarketplaceResource, OpContext, Ownership, Verified},
};

use super::{
    Inner,
    ceilings::Wishes,
    change::{inconsistent, not_there, quotas, verify},
    metadata, stamp, status,
    storage::{Account, AccountWithKeys, Made, NewAccount, Storage},
};
use crate::{
    radosgw::error,
    s3::{AccessKeyId, Quota, Quotas, S3Key, Uid},
};

/// For so long a user that is on no list keeps others from being made.
const HIDDEN: Duration = Duration::from_hours(1);

/// The longest name for people that is sent, in characters.
const DISPLAY_NAME: usize = 255;

impl Inner {
    /// One attempt: ends with a user that was read back, or says what does not show.
    pub(super) async fn create_once(
        &self,
        cx: &OpContext,
        request: &CreateRequest,
        wishes: Wishes,
    ) -> Result<Verified<Created>> {
        let id = &request.backend_id;
        let (uid, storage) = self.target(cx, id)?;
        self.must_see(&storage, &uid).await?;
        let _written = self.recent.writing(&uid, storage.environment());
        cx.step("user");
        let Ensured { account, is_new, is_stamped, first_key } = self.ensure_user(&storage, &uid, request).await?;
        cx.checkpoint()?;
        let publishes = self.settings.credentials.publishes();
        if is_new && !publishes {
            cx.step("key");
            storage.take_first_key(&uid, first_key).await.map_err(not_there(id))?;
        }
        cx.step("quota");
        self.set_quotas(&storage, &uid, &account, wishes).await.map_err(not_there(id))?;
        cx.step("verify");
        let needs = Needs { stamp: is_new || storage.can_stamp(), keys: publishes, key: publishes && is_stamped };
        let found = self.read_back(cx, || whole(&storage, request, &uid, needs, wishes)).await?;
        self.memory.shows(&uid);
        self.recent.shows(&uid, &found.account, storage.environment().instant());
        let created = self.created(&storage, &uid, request, &found, is_new).await?;
        Verified::created(created, request, Some(&self.state(id, &uid, &found.account)?))
    }

    /// No user is made while another one is hidden: neither listed by now, nor for so long that somebody may have mended
    /// or removed it, which shows nowhere. Its own order may go on trying: that makes it no younger.
    async fn must_see(&self, storage: &Storage, uid: &Uid) -> Result<()> {
        while let Some((hidden, since)) = self.memory.hidden_beside(uid) {
            if storage.environment().instant().saturating_duration_since(since) >= HIDDEN {
                break;
            }
            if storage.listed(&hidden).await?.is_none() {
                return Err(unseen(&hidden));
            }
            self.memory.shows(&hidden);
        }
        Ok(())
    }

    /// What is told about a user that was read back.
    async fn created(
        &self,
        storage: &Storage,
        uid: &Uid,
        request: &CreateRequest,
        found: &AccountWithKeys,
        is_new: bool,
    ) -> Result<Created> {
        let mut warnings = Vec::new();
        if storage.agree(Quotas::both(Quota::UNLIMITED), quotas(&found.account)?) {
            warnings.extend(self.ceilings.nothing_capped(request));
        } else {
            warnings.extend(self.ceilings.left_open(request, quotas(&found.account)?.user_quota));
        }
        let published = &[&request.resource.metadata];
        let summary = if is_new { metadata::Summary::default().finish() } else { storage.summary(uid).await };
        // The order is about the user, not about statistics: without them, what is published of them stays.
        let summary = match summary {
            Ok(summary) => Some(summary),
            Err(cause) => {
                warnings.push(metadata::no_summary(cause));
                metadata::published_summary(published)
            }
        };
        let is_wanted = self.settings.credentials.publishes();
        let key = metadata::choose(&found.keys, published).filter(|_| is_wanted);
        if is_wanted && key.is_none() {
            warnings.push(metadata::no_key(&found.keys, false));
        }
        let metadata = metadata::all(&self.settings, uid, quotas(&found.account)?, key, summary);
        let created =
            Created::default().with_metadata(metadata).with_endpoint("S3 endpoint", metadata::endpoint(&self.settings));
        Ok(warnings.into_iter().fold(created, Created::with_warning))
    }

    /// Makes the user, or finds the one that an earlier attempt made.
    async fn ensure_user(&self, storage: &Storage, uid: &Uid, request: &CreateRequest) -> Result<Ensured> {
        let resource = &request.resource;
        let email = stamp::address(resource.stamp(), uid);
        let with_key = self.settings.credentials.publishes();
        let new = NewAccount { uid: uid.clone(), name: display_name(resource), email, with_key };
        let refused = match storage.create(&new, &self.settings).await {
            Ok(Made { account, first_key }) => {
                return Ok(Ensured { account, is_new: true, is_stamped: true, first_key });
            }
            Err(refused) => refused,
        };
        let taken = refused.kind() == ErrorKind::AlreadyExists;
        if !taken && refused.effect() == Effect::NotApplied {
            return Err(refused);
        }
        match storage.found(uid).await {
            Ok(Some(found)) => self.adopt(storage, uid, request, found).await,
            // In a tenant it may have a name by which it is never found; then no more such users are to be made.
            Ok(None) if refused.code() == Some(error::USER_EXISTS) && self.settings.tenant().is_some() => {
                self.memory.hides(uid, storage.environment().instant());
                Err(unseen(uid).with_source(refused))
            }
            // It was there a moment ago: the next attempt finds the name free.
            Ok(None) if refused.code() == Some(error::USER_EXISTS) => {
                let text = format!("the storage says that the user {uid} exists, and does not show it");
                Err(refused.with_message(text).with_retryable(true))
            }
            // Taken by its e-mail address; or an attempt that came to nothing.
            Ok(None) => Err(refused),
            Err(unread) if unread.is_passing() => Err(unread),
            // Never adopted on doubt, nor given up: `AlreadyExists` would make the processor take another name and
            // forget this one, and an object of our own would be orphaned.
            Err(unread) => {
                let text = format!("{uid} {}, and cannot be read", if taken { "exists" } else { "may exist" });
                let error = Error::not_ready(text).with_effect(Effect::Unknown);
                Err(error.with_operation(unread.operation()).with_source(unread))
            }
        }
    }

    /// Takes over a user that is there already, if it is ours.
    async fn adopt(
        &self,
        storage: &Storage,
        uid: &Uid,
        request: &CreateRequest,
        found: (Account, Option<Vec<S3Key>>),
    ) -> Result<Ensured> {
        let (id, stamp) = (&request.backend_id, request.resource.stamp());
        let (mut account, keys) = found;
        let state = self.state(id, uid, &account)?;
        if !state.ownership(stamp).permits(request.origin) {
            return Err(state.foreign_to(stamp));
        }
        if account.email.is_none() {
            let stamped = storage.stamp(uid, stamp::address(stamp, uid)).await.map_err(not_there(id))?;
            account = stamped.unwrap_or(account);
        }
        let is_stamped = self.state(id, uid, &account)?.ownership(stamp) == Ownership::Ours;
        if is_stamped && self.settings.credentials.publishes() {
            let keys = match keys {
                Some(keys) => keys,
                None => storage.keys(uid).await.map_err(not_there(id))?,
            };
            // The only one is that which the storage has made with the user, for an attempt that was cut short.
            if metadata::choose(&keys, &[&request.resource.metadata]).is_none() {
                storage.mint(uid).await.map_err(not_there(id))?;
            }
        }
        Ok(Ensured { account, is_new: false, is_stamped, first_key: None })
    }
}

/// Somebody has to find out how the storage names it.
fn unseen(uid: &Uid) -> Error {
    let text = format!(
        "croit says that the user {uid} exists, and does not list it, with the name of its default_tenant or without: no \
         other user is made until it does, for an hour"
    );
    Error::not_ready(text)
}

/// A user that is there, and ours.
struct Ensured {
    account: Account,
    /// Whether it was made just now.
    is_new: bool,
    /// Whether it carries the resource's stamp.
    is_stamped: bool,
    first_key: Option<AccessKeyId>,
}

/// What a user has to have in the end, beside its quotas.
#[derive(Clone, Copy)]
struct Needs {
    stamp: bool,
    /// Whether its keys are to be read.
    keys: bool,
    /// Whether one of them has to be one that may be published.
    key: bool,
}

/// The user with all that a creation writes.
///
/// # Errors
/// `Inconsistent` when something of it does not show.
async fn whole(
    storage: &Storage,
    request: &CreateRequest,
    uid: &Uid,
    needs: Needs,
    wishes: Wishes,
) -> Result<AccountWithKeys> {
    let id = &request.backend_id;
    let found = storage.whole(uid, needs.keys).await?;
    let found = found.ok_or_else(|| inconsistent(id, "it was created but cannot be read"))?;
    if needs.stamp && found.account.email.is_none() {
        return Err(inconsistent(id, "it was stamped, but the stamp does not show"));
    }
    if needs.key && metadata::choose(&found.keys, &[&request.resource.metadata]).is_none() {
        return Err(inconsistent(id, "a key was made, but does not show"));
    }
    verify(storage, id, &found.account, wishes)?;
    Ok(found)
}

/// The resource's name on one line, or a name made of its UUID. Customers choose it: it must not say that Waldur has
/// suspended the user.
fn display_name(resource: &MarketplaceResource) -> String {
    let name: String = resource.name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DISPLAY_NAME).collect();
    let name = status::unmarked(&name, resource.stamp());
    if name.is_empty() { format!("User for {}", resource.uuid) } else { name.to_owned() }
}
