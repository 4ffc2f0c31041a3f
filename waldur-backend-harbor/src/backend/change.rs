//! Changing the limit of a project, and scaling it down and up again.

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{CONSISTENCY, LimitChange, MarketplaceResource, OpContext, Ownership, Status, Verified, read_back},
    types::{BackendId, Limits},
};

use super::{
    Inner,
    sight::{Facts, Seen, allowlist, inconsistent, unless_gone},
    stamp::{self, Marks},
};
use crate::client::{HarborClient, ProjectName, Quota, StorageLimit};

impl Inner {
    /// Brings the quota to what is wanted, unless it is so already, and reads it back. Compared in bytes.
    ///
    /// # Errors
    /// `Config` when there is no quota to be changed; `Inconsistent` when Harbor acknowledges the change and does not
    /// carry it out.
    pub(super) async fn ensure_quota(
        &self,
        cx: &OpContext,
        client: &HarborClient,
        name: &ProjectName,
        mut seen: Seen,
        wanted: StorageLimit,
    ) -> Result<Seen> {
        let Some(quota) = seen.quota.clone() else {
            return if wanted == StorageLimit::UNLIMITED { Ok(seen) } else { Err(no_quota(name)) };
        };
        if quota.get().limit == Some(wanted) {
            return Ok(seen);
        }
        cx.checkpoint()?;
        cx.step("quota");
        client.quotas().set(&quota, wanted).await?;
        let id = seen.facts.id;
        let read = read_back(cx, client.environment(), CONSISTENCY, || async {
            let quota = client.quotas().of_project(id, name).await?.ok_or_else(|| no_quota(name))?;
            match quota.get().limit {
                Some(limit) if limit == wanted => Ok(quota),
                Some(other) => Err(inconsistent(name, &format!("its quota was set to {wanted}, but reads {other}"))),
                None => Err(inconsistent(name, &format!("its quota was set to {wanted}, but cannot be read"))),
            }
        });
        seen.quota = Some(read.await?);
        Ok(seen)
    }

    pub(super) async fn change_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Verified<Limits>> {
        let wanted = self.storage.of_limits(&change.limits)?;
        let (name, client) = self.target(cx, &change.backend_id)?;
        let (mut seen, _) = self.look_at_own(&client, &name, &change.backend_id, &change.resource).await?;
        if let Some(wanted) = wanted {
            let changed = async {
                let seen = self.ensure_quota(cx, &client, &name, seen, wanted).await?;
                // Whatever it was scaled down to, it is not any more. If it still is to be, the next pass sees to it.
                if seen.facts.marks.downscaled && !self.is_small(wanted)? {
                    return self.note(&client, &name, &change.resource, seen, |marks| marks.downscaled = false).await;
                }
                Ok(seen)
            };
            seen = unless_gone(&client, &name, changed.await).await?;
        }
        let mut state = self.state(&change.backend_id, &seen.facts, seen.limit())?;
        state.warnings.extend(seen.quota.as_ref().and_then(|quota| overfull(&name, quota.get())));
        Verified::limits(&change.limits, &state)
    }

    /// Scales down to one unit, or up to the limit that Waldur has on record. A project that is not scaled down is left
    /// alone when it is to be active, whatever its quota is (harbor.md §5.6).
    pub(super) async fn change_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        let (name, client) = self.target(cx, id)?;
        match status {
            Status::Paused => Err(Error::unsupported("pausing a project of Harbor")),
            Status::Downscaled => {
                let (seen, _) = self.look_at_own(&client, &name, id, resource).await?;
                if seen.quota.is_none() {
                    return Err(no_quota(&name));
                }
                // First: a small quota without it would be nobody's to raise again. Whoever dies in between leaves a
                // note on a quota that is not small, and that says nothing.
                let seen = self.note(&client, &name, resource, seen, |marks| marks.downscaled = true).await?;
                if seen.limit().map(|limit| self.is_small(limit)).transpose()? == Some(true) {
                    return Ok(());
                }
                self.ensure_quota(cx, &client, &name, seen, self.storage.one_unit()?).await.map(drop)
            }
            Status::Active => {
                let (mut seen, _) = self.look_at_own(&client, &name, id, resource).await?;
                if !seen.facts.marks.downscaled {
                    return Ok(());
                }
                let is_small = seen.limit().map(|limit| self.is_small(limit)).transpose()?;
                // Somebody else has raised it meanwhile: that stays, and only the mark goes.
                if is_small != Some(false) {
                    let wanted = self.storage.of_limits(&resource.limits)?.ok_or_else(|| {
                        let text = format!("{id}: Waldur does not say how much it had before it was scaled down");
                        Error::new(ErrorKind::InvalidRequest, text)
                    })?;
                    seen = self.ensure_quota(cx, &client, &name, seen, wanted).await?;
                }
                self.note(&client, &name, resource, seen, |marks| marks.downscaled = false).await.map(drop)
            }
        }
    }

    /// Takes the note away from a project that is not scaled down: somebody died before it was, or after it was not any
    /// more. If it is to be, it is noted again when it is done.
    pub(super) async fn drop_void_note(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
    ) -> Result<()> {
        let (name, client) = self.target(cx, id)?;
        let (seen, _) = self.look_at_own(&client, &name, id, resource).await?;
        if seen.limit().map(|limit| self.is_small(limit)).transpose()? != Some(false) {
            return Ok(());
        }
        self.note(&client, &name, resource, seen, |marks| marks.downscaled = false).await.map(drop)
    }

    /// Changes what is noted on a project of this resource, as it stands there now: the list is replaced as a whole, and
    /// another process may have noted something since the project was `seen`. Then reads it back.
    pub(super) async fn note(
        &self,
        client: &HarborClient,
        name: &ProjectName,
        resource: &MarketplaceResource,
        seen: Seen,
        change: impl FnOnce(&mut Marks) + Send,
    ) -> Result<Seen> {
        let project = client.projects().get(name).await?;
        if project.id != seen.project.id {
            let text = format!("{name}: it is another project since it was looked at");
            return Err(Error::new(ErrorKind::Inconsistent, text).with_retryable(true));
        }
        let list = allowlist(&project)?;
        let mut marks = stamp::read(list);
        let id = BackendId::new(name.as_str())?;
        // A name alone is no proof, and a stamp would be one.
        if self.owned(&id, resource, &Facts::of(&project))? == Ownership::Ours {
            marks = marks.stamped(resource.stamp());
        }
        change(&mut marks);
        let Some(list) = stamp::written(list, &marks) else {
            return Ok(self.seen(project, seen.quota));
        };
        client.projects().set_allowlist(name, &list).await?;
        let project = client.projects().get(name).await?;
        if stamp::read(allowlist(&project)?) != marks {
            return Err(inconsistent(name, "a note was written to it, but does not show"));
        }
        Ok(self.seen(project, seen.quota))
    }
}

/// Harbor takes a limit below what is stored, and refuses to store anything more then (harbor.md §5.2).
fn overfull(name: &ProjectName, quota: &Quota) -> Option<Error> {
    let (used, limit) = (quota.used?, quota.limit?);
    limit.bytes().filter(|limit| used > *limit)?;
    let text = format!("{name}: {used} bytes are stored and the limit is {limit} now, so that nothing can be pushed");
    Some(Error::rejected(text))
}

fn no_quota(name: &ProjectName) -> Error {
    Error::config(format!(
        "the project {name} has no quota, so that it cannot be limited: quotas are disabled on this Harbor \
         (quota_per_project_enable)"
    ))
}
