//! Pausing as suspension of the user, where `suspend_on_pause` says so (s3.md §8). RadosGW only: croit has no call for it.
//!
//! A restoration only lifts suspensions by Waldur. If an operator locks a customer out, a pass that finds the resource
//! active must not undo that. So a mark at the end of the display name says that Waldur suspended the user; it is
//! written and removed in the same write as the suspension. The mark has the resource's UUID, and no user is made with
//! a name that ends in a mark: so no name that a customer gives to a resource can lift a suspension. A mark without a
//! suspension means that somebody else has lifted it; the mark is removed when it is seen. On RadosGW, a suspension
//! stops reads as well as writes.
//!
//! Where `suspend_on_pause` is not set, or not any more, the upkeep lifts what Waldur has suspended.

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{MarketplaceResource, OpContext, Origin, ResourceState, Stamp, Status, StatusControl},
    types::{BackendId, Uuid},
};

use super::{Inner, S3Backend, change::inconsistent, storage::Storage};
use crate::{
    radosgw::{RadosGwClient, User, UserChange},
    s3::Uid,
};

/// The end of the display name of a user that Waldur has suspended, around the resource's UUID.
const MARK: (&str, &str) = (" (paused by Waldur, ", ")");

fn mark(of: Stamp) -> String {
    let (begin, end) = MARK;
    format!("{begin}{}{end}", of.0.hex())
}

/// For which resource a user is marked as suspended.
pub(super) fn marked(name: &str) -> Option<Stamp> {
    let (begin, end) = MARK;
    let (_, uuid) = name.strip_suffix(end)?.rsplit_once(begin)?;
    Uuid::try_parse(uuid).ok().map(|uuid| Stamp(uuid.into()))
}

/// A name without any mark of this resource's at its end.
pub(super) fn unmarked(name: &str, of: Stamp) -> &str {
    let (mark, mut name) = (mark(of), name.trim());
    while let Some(rest) = name.strip_suffix(&mark) {
        name = rest.trim_end();
    }
    name
}

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
    /// Takes away a mark that stands without a suspension; also the suspension, where pauses are not to suspend.
    pub(super) async fn unmark(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<()> {
        cx.step("status");
        self.until_it_shows(cx, |_number| self.set_status_once(cx, resource, id, Status::Active)).await
    }

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
        let Some(change) = change(&user, resource.stamp(), status)? else { return done(status) };
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
fn change(user: &User, of: Stamp, wanted: Status) -> Result<Option<UserChange>> {
    let mark = mark(of);
    let is_marked = user.display_name.ends_with(&mark);
    let name = match unmarked(&user.display_name, of) {
        "" => &user.user_id,
        name => name,
    };
    match (wanted, user.suspended) {
        // Whoever did it: it holds.
        (Status::Paused, true) => Ok(None),
        (Status::Paused, false) => {
            UserChange::default().with_suspended(true).with_display_name(format!("{name}{mark}")).map(Some)
        }
        (Status::Active | Status::Downscaled, false) if !is_marked => Ok(None),
        (Status::Active | Status::Downscaled, suspended) if is_marked => {
            let change = UserChange::default().with_display_name(name)?;
            Ok(Some(if suspended { change.with_suspended(false) } else { change }))
        }
        (Status::Active | Status::Downscaled, _) => {
            Err(Error::unsupported("lifting a suspension that is not Waldur's"))
        }
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
