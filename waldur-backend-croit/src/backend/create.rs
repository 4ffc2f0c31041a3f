//! Making a user, or finishing what an earlier attempt began.

use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind, Result,
    backend::{CreateRequest, Created, MarketplaceResource, OpContext, Verified},
    types::BackendId,
};

use super::{
    Inner,
    ceilings::Wishes,
    change::{agree, inconsistent, not_there, quotas, verify},
    metadata, stamp,
};
use crate::client::{NewUser, Quota, Quotas, RadosGwClient, Uid, UserChange, UserWithKeys, error};

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
        let (uid, client) = self.target(cx, id)?;
        cx.step("user");
        let (made, is_new) = self.ensure_user(&client, &uid, request).await?;
        cx.checkpoint()?;
        cx.step("quota");
        self.set_quotas(&client, &uid, &made.user, wishes).await.map_err(not_there(id))?;
        cx.step("verify");
        let found = self.read_back(cx, || whole(&client, id, &uid, wishes)).await?;
        let created = self.created(&client, &uid, request, &found, is_new).await?;
        Verified::created(created, request, Some(&self.state(id, &uid, &found.user)?))
    }

    /// What is told about a user that was read back.
    async fn created(
        &self,
        client: &RadosGwClient,
        uid: &Uid,
        request: &CreateRequest,
        found: &UserWithKeys,
        is_new: bool,
    ) -> Result<Created> {
        let mut warnings = Vec::new();
        if agree(quotas(&found.user)?, Quotas::both(Quota::UNLIMITED)) {
            warnings.extend(self.ceilings.nothing_capped(request));
        }
        let published = &request.resource.metadata;
        let summary = if is_new { metadata::summary(&[]) } else { self.summary(client, uid).await };
        // The order is about the user, not about statistics: without them, what is published of them stays.
        let summary = match summary {
            Ok(summary) => Some(summary),
            Err(cause) => {
                let text = format!("no storage summary is published: {}", cause.message());
                warnings.push(Error::new(cause.kind(), text).with_operation(cause.operation()).with_source(cause));
                metadata::published_summary(published)
            }
        };
        let created = Created::default()
            .with_metadata(self.metadata(uid, found, published, summary)?)
            .with_endpoint("S3 endpoint", metadata::endpoint(&self.settings));
        Ok(warnings.into_iter().fold(created, Created::with_warning))
    }

    /// Makes the user, or finds the one that an earlier attempt made. `true`: it was made just now.
    async fn ensure_user(
        &self,
        client: &RadosGwClient,
        uid: &Uid,
        request: &CreateRequest,
    ) -> Result<(UserWithKeys, bool)> {
        let resource = &request.resource;
        let mut new = NewUser::new(uid.clone(), display_name(resource))?.with_generated_key();
        new = new.with_email(stamp::address(resource.stamp(), uid))?;
        if let Some(placement) = &self.settings.placement {
            new = new.with_placement(placement.as_str())?;
        }
        let refused = match client.users().create(&new).await {
            Ok(user) => return Ok((user, true)),
            Err(refused) => refused,
        };
        let taken = refused.kind() == ErrorKind::AlreadyExists;
        if !taken && refused.effect() == Effect::NotApplied {
            return Err(refused);
        }
        match client.users().get_with_keys(uid).await {
            Ok(Some(found)) => self.adopt(client, uid, request, found).await.map(|user| (user, false)),
            // It was there a moment ago: the next attempt finds the name free.
            Ok(None) if refused.code() == Some(error::USER_EXISTS) => Err(refused.with_retryable(true)),
            // Taken by its e-mail address; or an attempt that came to nothing.
            Ok(None) => Err(refused),
            Err(unread) if matches!(unread.class(), ErrorClass::Transient | ErrorClass::NotReady) => Err(unread),
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
        client: &RadosGwClient,
        uid: &Uid,
        request: &CreateRequest,
        mut found: UserWithKeys,
    ) -> Result<UserWithKeys> {
        let (id, stamp) = (&request.backend_id, request.resource.stamp());
        let state = self.state(id, uid, &found.user)?;
        if !state.ownership(stamp).permits(request.origin) {
            return Err(state.foreign_to(stamp));
        }
        if found.user.email.is_none() {
            let stamped = UserChange::default().with_email(stamp::address(stamp, uid))?;
            found.user = client.users().modify(uid, &stamped).await.map_err(not_there(id))?;
        }
        if found.own_keys().next().is_none() {
            found.keys = client.keys().mint(uid).await.map_err(not_there(id))?;
        }
        Ok(found)
    }
}

/// The user with all that a creation writes.
///
/// # Errors
/// `Inconsistent` when something of it does not show.
async fn whole(client: &RadosGwClient, id: &BackendId, uid: &Uid, wishes: Wishes) -> Result<UserWithKeys> {
    let found = client.users().get_with_keys(uid).await?;
    let found = found.ok_or_else(|| inconsistent(id, "it was created but cannot be read"))?;
    if found.user.email.is_none() {
        return Err(inconsistent(id, "it was stamped, but the stamp does not show"));
    }
    if found.own_keys().next().is_none() {
        return Err(inconsistent(id, "a key was made, but does not show"));
    }
    verify(id, &found.user, wishes)?;
    Ok(found)
}

/// The resource's name on one line, or a name made of its UUID.
fn display_name(resource: &MarketplaceResource) -> String {
    let name: String = resource.name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DISPLAY_NAME).collect();
    let name = name.trim();
    if name.is_empty() { format!("User for {}", resource.uuid) } else { name.to_owned() }
}
