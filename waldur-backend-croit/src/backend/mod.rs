//! The back end: one S3 user for each resource.

mod ceilings;
mod diagnose;
mod importer;
mod metadata;
mod stamp;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;
use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind, Result,
    backend::{
        Aspects, BackendFactory, BuildEnv, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest,
        Finding, Importer, LimitChange, MarketplaceResource, OpContext, OptionChange, Origin, Ownership, Progress,
        Removed, ResourceBackend, ResourceState, Status, Verified, state::foreign,
    },
    rest::{Http, HttpOptions},
    settings::{Components, Warning},
    types::{BackendId, JsonObject, Limits},
};

use self::{
    ceilings::{Ceilings, Wishes},
    stamp::Mark,
};
use crate::{
    client::{NewUser, Quota, Quotas, RadosGwClient, Uid, User, UserChange, UserWithKeys, error},
    settings::{DeleteMode, RadosGwSettings},
};

/// How many users are read at a time.
const AT_A_TIME: usize = 8;

/// The longest name for people that is sent, in characters.
const DISPLAY_NAME: usize = 255;

/// The back end of the flavour `radosgw`: one S3 user for each resource, over the Admin Ops API. Cheap to clone.
///
/// A user carries the resource's stamp as its e-mail address. Its key pair is minted by the gateway when it is
/// created, so that no secret stands in a URL. Its ceilings are quotas on the user and on each of its buckets.
#[derive(Clone, Debug)]
pub struct RadosGwBackend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: RadosGwClient,
    settings: RadosGwSettings,
    ceilings: Ceilings,
}

impl RadosGwBackend {
    /// A back end over a pipeline.
    ///
    /// # Errors
    /// `Config` when the components do not fit (see the crate's documentation), or the admin key is blank.
    pub fn new(http: Http, settings: RadosGwSettings, components: &Components) -> Result<Self> {
        let ceilings = Ceilings::of(components)?;
        let client = RadosGwClient::at(http, &settings.endpoint, &settings.admin_path, &settings.admin)?;
        let client = client.with_timeout(settings.timeout);
        Ok(Self(Arc::new(Inner { client, settings, ceilings })))
    }

    /// The client underneath.
    pub fn client(&self) -> &RadosGwClient {
        &self.0.client
    }
}

impl Inner {
    /// The user that a back-end id names, and a client for one operation on it. Ids come from outside, so this is the
    /// check before any request.
    fn target(&self, cx: &OpContext, id: &BackendId) -> Result<(Uid, RadosGwClient)> {
        Ok((Uid::new(id.as_str())?, self.client.until(cx.deadline)))
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
        let id = &request.backend_id;
        let ownership = self.state(id, uid, &found.user)?.ownership(request.resource.stamp());
        if !ownership.permits(request.origin) {
            return Err(foreign(id));
        }
        if found.user.email.is_none() {
            let stamped = UserChange::default().with_email(stamp::address(request.resource.stamp(), uid))?;
            found.user = client.users().modify(uid, &stamped).await?;
        }
        if found.own_keys().next().is_none() {
            found.keys = client.keys().mint(uid).await?;
        }
        Ok(found)
    }

    /// Sets the quotas that are wanted, unless they are so already. `true`: something was written.
    async fn set_quotas(&self, client: &RadosGwClient, uid: &Uid, user: &User, wishes: Wishes) -> Result<bool> {
        let current = quotas(user)?;
        let wanted = wishes.over(current);
        if agree(wanted, current) {
            return Ok(false);
        }
        client.quotas().set(uid, wanted).await?;
        Ok(true)
    }

    /// The user of a resource, which must be there and not somebody else's.
    async fn owned(
        &self,
        client: &RadosGwClient,
        id: &BackendId,
        uid: &Uid,
        resource: &MarketplaceResource,
    ) -> Result<(User, ResourceState)> {
        let user = client.users().get(uid).await?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("The S3 user {id} does not exist.")).for_customer()
        })?;
        let state = self.state(id, uid, &user)?;
        if !state.ownership(resource.stamp()).permits(Origin::Recorded) {
            return Err(foreign(id));
        }
        Ok((user, state))
    }

    /// Brings the quotas of a user to what is wished, and reads them back.
    async fn change_quotas(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
        wishes: Wishes,
    ) -> Result<ResourceState> {
        let (uid, client) = self.target(cx, id)?;
        let (user, state) = self.owned(&client, id, &uid, resource).await?;
        cx.checkpoint()?;
        cx.step("quota");
        if !self.set_quotas(&client, &uid, &user, wishes).await? {
            return Ok(state);
        }
        let (user, state) = self.owned(&client, id, &uid, resource).await?;
        verify(id, &user, wishes)?;
        Ok(state)
    }

    /// What a user's record says.
    fn state(&self, id: &BackendId, uid: &Uid, user: &User) -> Result<ResourceState> {
        let mut state = ResourceState::new(id.clone());
        match stamp::read(user.email.as_deref(), uid) {
            Mark::Stamp(stamp) => state.stamp = Some(stamp),
            Mark::None => state.foreign = !self.is_named_by_us(uid.name()),
            Mark::Broken => state.foreign = true,
        }
        if user.suspended {
            state.status = Status::Paused;
        }
        if self.ceilings.has_limits() {
            state.limits = self.ceilings.limits(quotas(user)?.user_quota)?;
        }
        Ok(state)
    }

    /// Whether a user without a stamp may be ours from before there were stamps. No prefix says nothing.
    fn is_named_by_us(&self, name: &str) -> bool {
        let prefix = self.settings.naming.prefix();
        !prefix.is_empty() && name.starts_with(prefix)
    }

    /// What the user's buckets hold.
    async fn summary(&self, client: &RadosGwClient, uid: &Uid) -> Result<Value> {
        metadata::summary(&client.buckets().of_user(uid).collect().await?.complete()?.into_items())
    }

    /// What is published about a user.
    fn metadata(
        &self,
        uid: &Uid,
        found: &UserWithKeys,
        published: &JsonObject,
        summary: Option<Value>,
    ) -> Result<JsonObject> {
        let key = metadata::choose(found.own_keys(), published);
        Ok(metadata::all(&self.settings, uid, quotas(&found.user)?, key, summary))
    }

    async fn inspect_one(&self, cx: &OpContext, id: &BackendId, aspects: Aspects) -> Result<Option<ResourceState>> {
        let (uid, client) = self.target(cx, id)?;
        let Some(found) = client.users().get_with_keys(&uid).await? else { return Ok(None) };
        let mut state = self.state(id, &uid, &found.user)?;
        if aspects.metadata {
            let summary = self.summary(&client, &uid).await?;
            state.metadata = Some(self.metadata(&uid, &found, &JsonObject::new(), Some(summary))?);
        }
        Ok(Some(state))
    }

    /// Deletes a user that owns no buckets; the customer learns how many there are.
    async fn delete_empty(&self, client: &RadosGwClient, uid: &Uid) -> Result<()> {
        match client.users().delete(uid).await {
            Err(refused) if refused.code() == Some(error::USER_HAS_BUCKETS) => {
                let left = match client.buckets().names_of_user(uid).await {
                    Ok(names) => format!("{} bucket{}", names.len(), if names.len() == 1 { "" } else { "s" }),
                    Err(_) => "buckets".to_owned(),
                };
                let text = format!("The S3 user {uid} still owns {left}. Delete them with their data first.");
                Err(Error::rejected(text).with_code(error::USER_HAS_BUCKETS).with_source(refused))
            }
            outcome => outcome,
        }
    }
}

/// Both quotas of a user. The gateway always tells; if it did not, that would be neither 0 nor unlimited.
fn quotas(user: &User) -> Result<Quotas> {
    match (user.user_quota, user.bucket_quota) {
        (Some(user), Some(bucket)) => Ok(Quotas::new(user, bucket)),
        _ => Err(Error::new(ErrorKind::Inconsistent, "the gateway does not say which quotas the user has")),
    }
}

/// Whether two pairs of quotas have the same effect.
fn agree(a: Quotas, b: Quotas) -> bool {
    a.user_quota.effective() == b.user_quota.effective() && a.bucket_quota.effective() == b.bucket_quota.effective()
}

/// Holds the quotas that were read back against the wishes. The gateway keeps them to the byte.
fn verify(id: &BackendId, user: &User, wishes: Wishes) -> Result<()> {
    let found = quotas(user)?;
    if agree(wishes.over(found), found) {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Inconsistent, format!("{id}: the quotas were set, but read otherwise: {found:?}")))
    }
}

/// The resource's name on one line, or a name made of its UUID.
fn display_name(resource: &MarketplaceResource) -> String {
    let name: String = resource.name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DISPLAY_NAME).collect();
    let name = name.trim();
    if name.is_empty() { format!("User for {}", resource.uuid) } else { name.to_owned() }
}

#[async_trait]
impl ResourceBackend for RadosGwBackend {
    fn backend_type(&self) -> &'static str {
        "ceph_s3"
    }

    fn capabilities(&self) -> Capabilities {
        // Objects are deleted, so usage goes down.
        Capabilities::default().with_decreasing_usage()
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.0.settings.naming.candidate(resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        diagnose::ping(&self.0.client.until(cx.deadline)).await
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let (this, id) = (&*self.0, &request.backend_id);
        let (uid, client) = this.target(cx, id)?;
        let wishes = this.ceilings.of_create(request)?;
        cx.step("user");
        let (made, is_new) = this.ensure_user(&client, &uid, request).await?;
        cx.checkpoint()?;
        cx.step("quota");
        this.set_quotas(&client, &uid, &made.user, wishes).await?;
        cx.step("verify");
        let Some(found) = client.users().get_with_keys(&uid).await? else {
            return Verified::created(Created::default(), request, None).map(Progress::Done);
        };
        verify(id, &found.user, wishes)?;
        if agree(quotas(&found.user)?, Quotas::both(Quota::UNLIMITED)) {
            cx.step("no ceiling");
        }
        let published = &request.resource.metadata;
        let summary = if is_new { metadata::summary(&[]) } else { this.summary(&client, &uid).await };
        // The order is about the user, not about statistics: without them, what is published of them stays.
        let summary = summary.ok().or_else(|| {
            cx.step("no storage summary");
            metadata::published_summary(published)
        });
        let created = Created::default()
            .with_metadata(this.metadata(&uid, &found, published, summary)?)
            .with_endpoint("S3 endpoint", metadata::endpoint(&this.settings));
        let state = this.state(id, &uid, &found.user)?;
        Verified::created(created, request, Some(&state)).map(Progress::Done)
    }

    /// One call. Metadata costs another one: [`Self::inspect`] brings it.
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.0.inspect_one(cx, id, Aspects::EXISTENCE).await
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        let (this, id) = (&*self.0, &request.backend_id);
        let (uid, client) = this.target(cx, id)?;
        let Some(user) = client.users().get(&uid).await? else {
            return Verified::removed(id, Removed::AlreadyAbsent, None).map(Progress::Done);
        };
        let ownership = this.state(id, &uid, &user)?.ownership(request.resource.stamp());
        if !ownership.permits(Origin::Recorded) {
            return Err(foreign(id));
        }
        cx.checkpoint()?;
        cx.step("delete");
        let outcome = match (this.settings.delete_mode, ownership) {
            (DeleteMode::Purge, Ownership::Ours) => client.users().delete_with_data(&uid).await,
            // A name alone is not proof enough to destroy data.
            _ => this.delete_empty(&client, &uid).await,
        };
        let removed = match outcome {
            Ok(()) => Removed::Deleted,
            Err(error) if error.is_not_found() => Removed::AlreadyAbsent,
            Err(error) => return Err(error),
        };
        cx.step("verify");
        let found = self.get(cx, id).await?;
        Verified::removed(id, removed, found.as_ref()).map(Progress::Done)
    }

    /// One call for each id, several at a time; two where metadata is wanted. The gateway has no listing that tells
    /// whose a user is.
    async fn inspect(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        let read = |id: BackendId| async move {
            let state = self.0.inspect_one(cx, &id, aspects).await;
            (id, state)
        };
        let reads: Vec<_> = ids.iter().cloned().map(read).collect();
        stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        let wishes = self.0.ceilings.of_limits(&change.limits)?;
        let state = self.0.change_quotas(cx, &change.backend_id, &change.resource, wishes).await?;
        Verified::limits(&change.limits, &state).map(Progress::Done)
    }

    /// Safety limits among the options become quotas; what is not named keeps its value.
    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        let wishes = self.0.ceilings.of_options(&change.new)?;
        if wishes.are_idle() {
            return Ok(Progress::Done(()));
        }
        self.0.change_quotas(cx, &change.backend_id, &change.resource, wishes).await?;
        Ok(Progress::Done(()))
    }

    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        diagnose::findings(&self.0.client.until(cx.deadline), &self.0.settings).await
    }

    fn importer(&self) -> Option<&dyn Importer> {
        Some(self)
    }
}

/// Builds the back end from settings, under the words `ceph_s3` and `croit_s3`.
#[derive(Clone, Copy, Debug, Default)]
pub struct S3Factory;

impl BackendFactory for S3Factory {
    fn backend_types(&self) -> &'static [&'static str] {
        &["ceph_s3", "croit_s3", "croit_usage"]
    }

    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let (settings, warnings) = environment.settings.read(RadosGwSettings::read)?;
        if environment.backend_type.eq_ignore_ascii_case("croit_usage") {
            return Err(Error::config("backend_type: croit_usage needs the flavour croit; radosgw keeps no history"));
        }
        let http = environment.http(&options(&settings))?;
        let backend = RadosGwBackend::new(http, settings, &environment.components)?;
        Ok((Arc::new(backend), warnings))
    }
}

#[cfg(feature = "danger-accept-invalid-certs")]
fn options(settings: &RadosGwSettings) -> HttpOptions {
    let options = HttpOptions::default();
    if settings.verify_ssl { options } else { options.danger_accept_invalid_certs() }
}

/// Certificates are always verified: the settings were refused otherwise.
#[cfg(not(feature = "danger-accept-invalid-certs"))]
fn options(_settings: &RadosGwSettings) -> HttpOptions {
    HttpOptions::default()
}
