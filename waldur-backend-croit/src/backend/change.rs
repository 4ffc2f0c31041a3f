//! Changing the quotas of a user, and deleting it.

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{DeleteRequest, MarketplaceResource, OpContext, Origin, Ownership, Removed, ResourceState, Verified},
    types::BackendId,
};

use super::{
    Inner,
    ceilings::Wishes,
    storage::{Account, Storage},
};
use crate::{
    radosgw::error,
    s3::{Quotas, Uid},
    settings::DeleteMode,
};

impl Inner {
    /// Sets the quotas that are wanted, unless they are so already. `true`: something was written.
    pub(super) async fn set_quotas(
        &self,
        storage: &Storage,
        uid: &Uid,
        account: &Account,
        wishes: Wishes,
    ) -> Result<bool> {
        let current = quotas(account)?;
        let wanted = wishes.over(current);
        if storage.agree(wanted, current) {
            return Ok(false);
        }
        storage.set_quotas(uid, wanted).await?;
        Ok(true)
    }

    /// What was read of the user of a resource, if it is not somebody else's.
    fn ours(
        &self,
        id: &BackendId,
        uid: &Uid,
        resource: &MarketplaceResource,
        account: &Account,
    ) -> Result<ResourceState> {
        ResourceState::owned(Some(self.state(id, uid, account)?), id, resource.stamp(), Origin::Recorded)
    }

    /// Brings the quotas of a user to what is wished, and reads them back.
    pub(super) async fn change_quotas(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
        wishes: Wishes,
    ) -> Result<ResourceState> {
        self.until_it_shows(cx, |_number| self.change_once(cx, id, resource, wishes)).await
    }

    async fn change_once(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
        wishes: Wishes,
    ) -> Result<ResourceState> {
        let (uid, storage) = self.target(cx, id)?;
        // Nothing will be written: what was read back after the last write of the order says as much.
        let seen = self.recent.account(&uid, storage.environment().instant()).filter(|_| wishes.are_idle());
        let account = match seen {
            Some(account) => account,
            None => storage.account(&uid).await?.ok_or_else(|| {
                Error::new(ErrorKind::NotFound, format!("The S3 user {id} does not exist.")).for_customer()
            })?,
        };
        let state = self.ours(id, &uid, resource, &account)?;
        let _written = self.recent.writing(&uid, storage.environment());
        cx.checkpoint()?;
        cx.step("quota");
        if !self.set_quotas(&storage, &uid, &account, wishes).await.map_err(not_there(id))? {
            return Ok(state);
        }
        self.read_back(cx, || async {
            let account = storage.account(&uid).await?;
            let account = account.ok_or_else(|| inconsistent(id, "it was there, and does not show any more"))?;
            let state = self.ours(id, &uid, resource, &account)?;
            verify(&storage, id, &account, wishes)?;
            self.recent.shows(&uid, &account, storage.environment().instant());
            Ok(state)
        })
        .await
    }

    /// One attempt at a deletion, counted from 1: ends with the proof of absence.
    pub(super) async fn delete_once(
        &self,
        cx: &OpContext,
        request: &DeleteRequest,
        number: u32,
    ) -> Result<Verified<Removed>> {
        let (id, stamp) = (&request.backend_id, request.resource.stamp());
        let (uid, storage) = self.target(cx, id)?;
        let Some(account) = storage.account(&uid).await? else {
            // What an earlier attempt deleted was late to go.
            let removed = if number > 1 { Removed::Deleted } else { Removed::AlreadyAbsent };
            return Verified::removed(id, removed, None);
        };
        let ownership = self.ours(id, &uid, &request.resource, &account)?.ownership(stamp);
        let _written = self.recent.writing(&uid, storage.environment());
        cx.checkpoint()?;
        cx.step("delete");
        let outcome = match (self.settings.delete_mode, ownership) {
            (DeleteMode::Purge, Ownership::Ours) => storage.purge(cx, &uid, &self.settings).await,
            // A name alone is not proof enough to destroy data.
            _ => delete_empty(&storage, &uid).await,
        };
        let removed = match outcome {
            Ok(()) => Removed::Deleted,
            Err(error) if error.is_not_found() => Removed::AlreadyAbsent,
            Err(error) => return Err(error),
        };
        cx.step("verify");
        self.read_back(cx, || async {
            // Its own answer has proven that it is gone.
            let found = storage.listed(&uid).await?.map(|account| self.state(id, &uid, &account)).transpose()?;
            Verified::removed(id, removed, found.as_ref())
        })
        .await
    }
}

/// Deletes a user that owns no buckets; the customer learns how many there are.
async fn delete_empty(storage: &Storage, uid: &Uid) -> Result<()> {
    match storage.delete(uid).await {
        Err(refused) if refused.code() == Some(error::USER_HAS_BUCKETS) => {
            let left = match storage.count_buckets(uid).await {
                // The last one has just gone, or the refusal meant something else.
                Ok(0) => return Err(refused.with_retryable(true)),
                Ok(number) => format!("{number} bucket{}", if number == 1 { "" } else { "s" }),
                Err(_) => "buckets".to_owned(),
            };
            let text = format!("The S3 user {uid} still owns {left}. Delete them with their data first.");
            Err(Error::rejected(text).with_code(error::USER_HAS_BUCKETS).with_source(refused))
        }
        outcome => outcome,
    }
}

/// Both quotas of a user. If they are not told, that is neither 0 nor unlimited.
pub(super) fn quotas(account: &Account) -> Result<Quotas> {
    let unknown = || Error::new(ErrorKind::Inconsistent, "the gateway does not say which quotas the user has");
    account.quotas.ok_or_else(unknown)
}

/// Holds the quotas that were read back against the wishes.
pub(super) fn verify(storage: &Storage, id: &BackendId, account: &Account, wishes: Wishes) -> Result<()> {
    let found = quotas(account)?;
    if storage.agree(wishes.over(found), found) {
        Ok(())
    } else {
        Err(inconsistent(id, &format!("the quotas were set, but read otherwise: {found:?}")))
    }
}

pub(super) fn inconsistent(id: &BackendId, what: &str) -> Error {
    Error::new(ErrorKind::Inconsistent, format!("{id}: {what}"))
}

/// Of a user that was seen a moment ago, the gateway's "does not exist" is no answer to rely on.
pub(super) fn not_there(id: &BackendId) -> impl FnOnce(Error) -> Error {
    move |error| {
        if error.is_not_found() {
            inconsistent(id, "it was there, and does not show any more").with_source(error)
        } else {
            error
        }
    }
}
