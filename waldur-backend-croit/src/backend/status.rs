//! Pausing as suspension of the user, where `suspend_on_pause` says so (s3.md §8). RadosGW only: croit has no call for it.
//!
//! A restoration lifts what Waldur has suspended and nothing else: an operator who locks a customer out must not be
//! overruled by a pass that finds the resource active. Who suspended a user stands in its display name, written and taken
//! away in the same write as the suspension. That it holds reads and not only writes is what RadosGW means by it.

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{MarketplaceResource, OpContext, Origin, ResourceState, Status, StatusControl},
    types::BackendId,
};

use super::{Inner, S3Backend, change::inconsistent, storage::Storage};
use crate::{
    radosgw::{RadosGwClient, User, UserChange},
    s3::Uid,
};

/// The end of the display name of a user that Waldur has suspended.
const MARK: &str = " (paused by Waldur)";

#[async_trait]
impl StatusControl for S3Backend {
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        self.0.memory.forget(id);
        self.0.until_it_shows(cx, |_number| self.0.set_status_once(cx, resource, id, status)).await
    }
}

impl Inner {
    async fn set_status_once(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        let (uid, storage) = self.target(cx, id)?;
        let Storage::RadosGw(client) = &storage else { return Err(Error::unsupported("suspending users of croit's")) };
        let user = self.user_of(client, resource, id, &uid).await?;
        let Some(change) = change(&user, status)? else { return done(status) };
        cx.checkpoint()?;
        client.users().modify(&uid, &change).await?;
        self.read_back(cx, || async {
            let user = self.user_of(client, resource, id, &uid).await?;
            if user.suspended == (status == Status::Paused) {
                Ok(())
            } else {
                Err(inconsistent(id, "its suspension was changed, but that does not show"))
            }
        })
        .await?;
        done(status)
    }

    async fn user_of(
        &self,
        client: &RadosGwClient,
        resource: &MarketplaceResource,
        id: &BackendId,
        uid: &Uid,
    ) -> Result<User> {
        let user = client.users().get(uid).await?;
        let state = user.as_ref().map(|user| self.state(id, uid, &user.clone().into())).transpose()?;
        ResourceState::owned(state, id, resource.stamp(), Origin::Recorded)?;
        user.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("{id} does not exist")))
    }
}

/// What is to be written, if anything.
///
/// # Errors
/// `Unsupported` where somebody else has suspended the user, which is not ours to lift.
fn change(user: &User, wanted: Status) -> Result<Option<UserChange>> {
    let ours = user.display_name.strip_suffix(MARK);
    match (wanted, user.suspended) {
        // Whoever did it: it holds.
        (Status::Paused, true) | (Status::Active | Status::Downscaled, false) => Ok(None),
        (Status::Paused, false) => {
            let name = ours.unwrap_or(&user.display_name);
            UserChange::default().with_suspended(true).with_display_name(format!("{name}{MARK}")).map(Some)
        }
        (Status::Active | Status::Downscaled, true) => match ours {
            Some(name) => {
                let name = if name.is_empty() { &user.user_id } else { name };
                UserChange::default().with_suspended(false).with_display_name(name).map(Some)
            }
            None => Err(Error::unsupported("lifting a suspension that is not Waldur's")),
        },
    }
}

/// # Errors
/// `Unsupported` for what storage has no word for; a suspension of ours is lifted all the same.
fn done(status: Status) -> Result<()> {
    match status {
        Status::Active | Status::Paused => Ok(()),
        Status::Downscaled => Err(Error::unsupported("downscaling of S3 storage")),
    }
}
