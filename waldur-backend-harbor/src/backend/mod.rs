//! The back end: one project for each resource.

mod bulk;
mod change;
mod create;
mod delete;
mod diagnose;
mod group;
mod importer;
mod metadata;
pub(crate) mod rights;
mod sight;
mod stamp;
mod storage;
mod upkeep;
mod usage;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{
        Aspects, BackendFactory, BuildEnv, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest,
        Finding, Importer, Inspection, LimitChange, MarketplaceResource, OpContext, Progress, Removed, ResourceBackend,
        ResourceState, ResourceUpkeep, Status, StatusControl, UsageSource, Verified,
    },
    rest::{Http, HttpOptions, Serial},
    settings::{Components, TimeZone, Warning},
    types::{BackendId, Limits},
};

use self::{bulk::Kept, sight::Known, storage::Storage, upkeep::Looks};
use crate::{client::HarborClient, names, settings::HarborSettings};

/// How many projects are read at a time.
const AT_A_TIME: usize = 8;

/// So many projects that a listing does not name are asked about by themselves.
const BY_THEMSELVES: usize = 64;

/// The back end `harbor`: one private project for each resource, with a quota, in which the group of the Waldur project
/// has a role. Cheap to clone; clones share what is remembered.
///
/// A project carries the resource's stamp as an entry of its own list of vulnerabilities that do not count
/// ([`Allowlist`](crate::client::Allowlist)). Without a stamp, the number that was published when the project was made
/// decides.
///
/// No people appear here. The identity provider decides who is in the group, so there is no
/// [`MemberDirectory`](waldur_sdk::backend::MemberDirectory).
#[derive(Clone, Debug)]
pub struct HarborBackend(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    client: HarborClient,
    settings: HarborSettings,
    storage: Storage,
    zone: TimeZone,
    known: Arc<Mutex<Known>>,
    kept: Arc<Mutex<Option<Kept>>>,
    looks: Arc<Mutex<Looks>>,
    /// Two resources that are given one name at once are made one after the other.
    makers: Serial<BackendId>,
}

impl HarborBackend {
    /// A back end over a pipeline.
    ///
    /// # Errors
    /// `Config` when the components do not fit (see the crate's documentation), or the login is blank.
    pub fn new(http: Http, settings: HarborSettings, components: &Components) -> Result<Self> {
        let storage = Storage::of(components, &settings)?;
        let client = HarborClient::new(http, &settings.url, &settings.username, settings.password.clone())?;
        let client = client.with_timeout(settings.timeout);
        Ok(Self(Arc::new(Inner {
            client,
            settings,
            storage,
            zone: TimeZone::UTC,
            known: Arc::default(),
            kept: Arc::default(),
            looks: Arc::default(),
            makers: Serial::new(),
        })))
    }

    /// Has months begin and end in `zone` (the setting `timezone`) and not in UTC.
    #[must_use]
    pub fn with_time_zone(mut self, zone: TimeZone) -> Self {
        Arc::make_mut(&mut self.0).zone = zone;
        self
    }

    /// The client underneath.
    pub fn client(&self) -> &HarborClient {
        &self.0.client
    }
}

#[async_trait]
impl ResourceBackend for HarborBackend {
    fn backend_type(&self) -> &'static str {
        "harbor"
    }

    fn capabilities(&self) -> Capabilities {
        // Images are deleted, so usage goes down.
        Capabilities::default().with_decreasing_usage().with_portions().with_published_ids().without_history()
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        names::project(&self.0.settings.allocation_prefix, resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        diagnose::ping(&self.0.client.until(cx.deadline)).await
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let (this, cx, id) = (self.clone(), cx.clone(), request.backend_id.clone());
        let request = request.clone();
        let making = async move { this.0.create_project(&cx, &request).await };
        self.0.makers.run(id, making).await.map(Progress::Done)
    }

    /// Two calls: the project and its quota. Metadata come with [`Self::inspect`].
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.0.inspect_one(cx, id, Aspects::EXISTENCE).await
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.0.delete_project(cx, request).await.map(Progress::Done)
    }

    /// One call for every hundred projects on the registry, and once an hour another one; once in a pass, however many
    /// portions it has. For a project without a stamp, its number is compared with the published one.
    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let mut states = self.0.inspect_many(cx, inspection).await;
        self.0.compare_with(&mut states, inspection.records);
        states
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.0.change_limits(cx, change).await.map(Progress::Done)
    }

    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        diagnose::findings(&self.0.client.until(cx.deadline), &self.0.settings).await
    }

    fn usage(&self) -> Option<&dyn UsageSource> {
        Some(self)
    }

    fn status(&self) -> Option<&dyn StatusControl> {
        Some(self)
    }

    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        Some(self)
    }

    fn importer(&self) -> Option<&dyn Importer> {
        Some(self)
    }
}

/// Scales down to one unit. Harbor cannot pause a project.
#[async_trait]
impl StatusControl for HarborBackend {
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        self.0.change_status(cx, resource, id, status).await.map_err(upkeep::nobodys_fault)
    }
}

/// Builds the back end from settings, under the word `harbor`.
///
/// `soft_delete` is refused: it closes a resource by a limit of 0, which Harbor reads as no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct HarborFactory;

impl BackendFactory for HarborFactory {
    fn backend_types(&self) -> &'static [&'static str] {
        &["harbor"]
    }

    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let (settings, warnings) = environment.settings.read(HarborSettings::read)?;
        let http = environment.http(&HttpOptions::default().verifying(settings.verify_ssl)?)?;
        let backend = HarborBackend::new(http, settings, &environment.components)?;
        Ok((Arc::new(backend.with_time_zone(environment.time_zone.clone())), warnings))
    }
}
