//! The back end: one S3 user for each resource.

mod again;
pub(crate) mod ceilings;
mod change;
mod create;
mod diagnose;
mod importer;
mod metadata;
mod stamp;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;
use waldur_sdk::{
    Error, Result,
    backend::{
        Aspects, BackendFactory, BuildEnv, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest,
        Finding, Importer, LimitChange, MarketplaceResource, OpContext, OptionChange, Progress, Removed,
        ResourceBackend, ResourceState, Status, Verified,
    },
    rest::{Http, HttpOptions},
    settings::{Components, Warning},
    types::{BackendId, JsonObject, Limits},
};

use self::{ceilings::Ceilings, change::quotas, stamp::Mark};
use crate::{
    client::{RadosGwClient, Uid, User, UserWithKeys},
    settings::RadosGwSettings,
};

/// How many users are read at a time.
const AT_A_TIME: usize = 8;

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

    /// Whether a user without a stamp may be ours from before there were stamps, under whichever naming. No prefix says
    /// nothing.
    fn is_named_by_us(&self, name: &str) -> bool {
        self.settings.prefixes.iter().any(|prefix| !prefix.is_empty() && name.starts_with(prefix))
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
        let wishes = self.0.ceilings.of_create(request)?;
        let created = self.0.until_it_shows(cx, |_number| self.0.create_once(cx, request, wishes)).await?;
        Ok(Progress::Done(created))
    }

    /// One call. Metadata costs another one: [`Self::inspect`] brings it.
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.0.inspect_one(cx, id, Aspects::EXISTENCE).await
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        let removed = self.0.until_it_shows(cx, |number| self.0.delete_once(cx, request, number)).await?;
        Ok(Progress::Done(removed))
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
///
/// `soft_delete` is refused where no component sets a quota, as nothing would be closed. Suspending the user is no way
/// out: that wants to be asked for (s3.md §8), and a restoration could not tell it from a suspension by the operator.
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
        if environment.settings.core.soft_delete && !backend.0.ceilings.can_close() {
            return Err(Error::config(
                "soft_delete: closes a user by its quotas, and no component sets one; take enforce_limits: false away \
                 from storage or objects, or leave soft_delete out",
            ));
        }
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
