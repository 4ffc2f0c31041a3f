//! The back end over [`MemoryService`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::service::{MemoryObject, MemoryService};
use crate::{
    backend::{
        ApiKeys, ById, CONSISTENCY, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, Importer,
        Inspection, LimitChange, MarketplaceResource, MemberDirectory, OpContext, OptionChange, Origin, PendingOrders,
        PlanChange, Progress, Removed, ResourceBackend, ResourceState, Stamp, Status, StatusControl, UsageSource,
        UserLimits, Verified, read_back,
    },
    error::{Error, ErrorKind, Result},
    naming::SlugNaming,
    rest::{BaseUrl, Environment, Http, HttpTransport, PlainHttp, RestClient, StaticHeader},
    types::{BackendId, JsonObject, Limit, Limits, UnitFactor, WaldurAmount},
};

/// A back end over a [`MemoryService`]. Its facets can be switched on one by one, so that a processor can be tested
/// with and without each.
#[derive(Clone, Debug)]
pub struct MemoryBackend {
    pub(super) api: RestClient,
    naming: SlugNaming,
    factors: BTreeMap<String, UnitFactor>,
    ceilings: BTreeMap<String, WaldurAmount>,
    endpoint: Option<String>,
    capabilities: Capabilities,
    members: bool,
    pub(super) roles: bool,
    user_limits: bool,
    status: bool,
    jobs: bool,
    keys: bool,
    usage: bool,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

impl MemoryBackend {
    /// A back end over `service` itself.
    ///
    /// # Errors
    /// Never in practice; the fixed address and token are checked like any other.
    pub fn new(service: &MemoryService) -> Result<Self> {
        Self::over(service.clone(), Environment::default())
    }

    /// A back end over a service behind layers, with its own clocks.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn over(transport: impl HttpTransport, environment: Environment) -> Result<Self> {
        Self::through(Http::new(transport).with_environment(environment))
    }

    /// A back end over a pipeline to a service.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn through(http: Http) -> Result<Self> {
        let base = BaseUrl::parse("memory service", "http://localhost/", PlainHttp::LoopbackOnly)?;
        let token = StaticHeader::bearer(&SecretString::from(MemoryService::TOKEN))?;
        Ok(Self {
            api: RestClient::new(http, base, token).with_error_reader(coded),
            naming: SlugNaming::default(),
            factors: BTreeMap::new(),
            ceilings: BTreeMap::new(),
            endpoint: None,
            capabilities: Capabilities::default(),
            members: false,
            roles: false,
            user_limits: false,
            status: false,
            jobs: false,
            keys: false,
            usage: false,
        })
    }

    /// Sets `allocation_prefix`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        self.naming = SlugNaming::new(prefix);
        self
    }

    /// Sets the unit factor of a component; others have 1.
    #[must_use]
    pub fn with_factor(mut self, component: &str, factor: UnitFactor) -> Self {
        self.factors.insert(component.to_owned(), factor);
        self
    }

    /// Grants no more than this of a component, whatever was ordered, and tells Waldur so.
    #[must_use]
    pub fn with_ceiling(mut self, component: &str, most: u32) -> Self {
        self.ceilings.insert(component.to_owned(), WaldurAmount::from(most));
        self
    }

    /// Publishes where an object is reached: its id below `url`.
    #[must_use]
    pub fn with_endpoint(mut self, url: &str) -> Self {
        self.endpoint = Some(url.trim_end_matches('/').to_owned());
        self
    }

    /// Sets the capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// Manages members.
    #[must_use]
    pub fn with_members(mut self) -> Self {
        self.members = true;
        self
    }

    /// Knows the roles of members, and keeps them in line.
    #[must_use]
    pub fn with_roles(mut self) -> Self {
        (self.members, self.roles) = (true, true);
        self
    }

    /// Limits single users.
    #[must_use]
    pub fn with_user_limits(mut self) -> Self {
        self.user_limits = true;
        self
    }

    /// Can be paused.
    #[must_use]
    pub fn with_status(mut self) -> Self {
        self.status = true;
        self
    }

    /// Measures usage.
    #[must_use]
    pub fn with_usage(mut self) -> Self {
        self.usage = true;
        self
    }

    /// Finishes orders later, every step of them, when the service's jobs are done.
    #[must_use]
    pub fn with_jobs(mut self) -> Self {
        self.jobs = true;
        self
    }

    /// Makes keys for customers.
    #[must_use]
    pub fn with_keys(mut self) -> Self {
        self.keys = true;
        self
    }

    /// The service's API.
    pub(super) fn api(&self) -> &RestClient {
        &self.api
    }

    pub(super) fn factor(&self, component: &str) -> UnitFactor {
        self.factors.get(component).copied().unwrap_or(UnitFactor::ONE)
    }

    pub(super) fn to_service(&self, limits: &Limits) -> Result<BTreeMap<String, Option<u64>>> {
        limits
            .iter()
            .map(|(component, limit)| {
                let amount = match limit {
                    Limit::Unlimited => None,
                    Limit::At(amount) => Some(self.factor(component).to_backend(*amount)?.whole()?),
                };
                Ok((component.clone(), amount))
            })
            .collect()
    }

    pub(super) fn to_state(&self, id: &BackendId, object: &MemoryObject) -> Result<ResourceState> {
        let mut state = ResourceState::new(id.clone());
        state.stamp = object.stamp.map(Stamp);
        state.status = match object.status.as_str() {
            "paused" => Status::Paused,
            "downscaled" => Status::Downscaled,
            "active" => Status::Active,
            // Every member may be missing but this one, so that the answer of another product is no object.
            _ => return Err(Error::new(ErrorKind::Decode, format!("{id}: what was read is no object of the service"))),
        };
        state.limits = self.of_service(&object.limits)?;
        state.metadata = Some(metadata(id));
        Ok(state)
    }

    pub(super) async fn object(&self, cx: &OpContext, id: &BackendId) -> Result<Option<MemoryObject>> {
        // It names people.
        let call = self.api.get("objects.get", "/objects/{id}", &[id.as_str()]).secret_answer();
        call.deadline(cx.deadline).send_opt().await
    }

    /// The state of an object that may be changed for this resource; absence is an error here.
    pub(super) async fn owned(
        &self,
        cx: &OpContext,
        id: &BackendId,
        resource: &MarketplaceResource,
    ) -> Result<ResourceState> {
        ResourceState::owned(self.get(cx, id).await?, id, resource.stamp(), Origin::Recorded)
    }

    /// Reads until what was written shows. Of `wanted`, what the object has no limit for reads as unlimited, which it is.
    pub(super) async fn read_back<T>(
        &self,
        cx: &OpContext,
        id: &BackendId,
        wanted: &Limits,
        check: impl Fn(Option<&ResourceState>) -> Result<Verified<T>>,
    ) -> Result<Verified<T>> {
        let look = || async {
            let mut found = self.get(cx, id).await?;
            if let Some(found) = &mut found {
                for component in wanted.keys() {
                    found.limits.entry(component.clone()).or_insert(Limit::Unlimited);
                }
            }
            check(found.as_ref())
        };
        read_back(cx, self.api.environment(), CONSISTENCY, look).await
    }

    /// What is given of what was ordered.
    fn granted(&self, ordered: &Limits) -> Limits {
        let grant = |(component, limit): (&String, &Limit)| {
            let most = self.ceilings.get(component).copied();
            let granted = match (*limit, most) {
                (Limit::At(amount), Some(most)) => Limit::At(amount.min(most)),
                (Limit::Unlimited, Some(most)) => Limit::At(most),
                (limit, None) => limit,
            };
            (component.clone(), granted)
        };
        ordered.iter().map(grant).collect()
    }

    pub(super) fn created(&self, id: &BackendId, ordered: &Limits) -> Created {
        let mut created = Created::default().with_metadata(metadata(id));
        if let Some(url) = &self.endpoint {
            created = created.with_endpoint("memory", format!("{url}/{id}"));
        }
        let granted = self.granted(ordered);
        if granted == *ordered { created } else { created.with_limits(granted) }
    }

    fn content(&self, request: &CreateRequest) -> Result<MemoryObject> {
        let project = Some(request.resource.project.slug.clone()).filter(|slug| !slug.is_empty());
        let limits = self.to_service(&self.granted(&request.limits))?;
        Ok(MemoryObject { stamp: Some(request.resource.uuid), project, limits, ..MemoryObject::default() })
    }
}

/// Adds the service's own error code.
fn coded(answer: &Response<Bytes>, error: Error) -> Error {
    match serde_json::from_slice::<Refusal>(answer.body()) {
        Ok(refusal) => error.with_code(refusal.code),
        Err(_) => error,
    }
}

fn metadata(id: &BackendId) -> JsonObject {
    let mut metadata = JsonObject::new();
    metadata.insert("object_id".to_owned(), json!(id.as_str()));
    metadata
}

#[async_trait]
impl ResourceBackend for MemoryBackend {
    fn backend_type(&self) -> &'static str {
        "memory"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.naming.candidate(resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.api.get("health", "/health", &[]).deadline(cx.deadline).send_unit().await
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let id = &request.backend_id;
        let content = self.content(request)?;
        if self.jobs && self.object(cx, id).await?.is_none() {
            return self.start_job(cx, "create", Some(request.order), id, &content).await;
        }
        if let Some(project) = &content.project {
            self.api.put("projects.ensure", "/projects/{slug}", &[project]).deadline(cx.deadline).send_unit().await?;
        }
        let put = self.api.put("objects.create", "/objects/{id}", &[id.as_str()]);
        let bare = MemoryObject { limits: BTreeMap::new(), ..content.clone() };
        match put.json(&bare).deadline(cx.deadline).send_unit().await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => match self.get(cx, id).await? {
                Some(found) if found.ownership(request.resource.stamp()).permits(request.origin) => {}
                Some(found) => return Err(found.foreign_to(request.resource.stamp())),
                None => return Err(Error::not_ready(format!("{id} was there a moment ago")).with_retryable(true)),
            },
            Err(error) => return Err(error),
        }
        let limits = self.api.put("objects.limits", "/objects/{id}/limits", &[id.as_str()]);
        limits.json(&content.limits).deadline(cx.deadline).send_unit().await?;
        let verify =
            |found: Option<&ResourceState>| Verified::created(self.created(id, &request.limits), request, found);
        self.read_back(cx, id, &request.limits, verify).await.map(Progress::Done)
    }

    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.object(cx, id).await?.map(|object| self.to_state(id, &object)).transpose()
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        let id = &request.backend_id;
        let found = match self.get(cx, id).await? {
            None => None,
            found => Some(ResourceState::owned(found, id, request.resource.stamp(), Origin::Recorded)?),
        };
        if self.jobs && found.is_some() {
            return self.start_job(cx, "delete", None, id, &MemoryObject::default()).await;
        }
        let removed = if found.is_some() { self.remove(cx, id).await? } else { Removed::AlreadyAbsent };
        // Not only after a removal of ours: the process that made it may have died before this.
        self.remove_project(cx, &request.resource.project.slug).await?;
        self.read_back(cx, id, &Limits::new(), |found| Verified::removed(id, removed, found)).await.map(Progress::Done)
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        let id = &change.backend_id;
        self.owned(cx, id, &change.resource).await?;
        let limits = self.to_service(&change.limits)?;
        if self.jobs && change.order.is_some() {
            let content = MemoryObject { limits, ..MemoryObject::default() };
            return self.start_job(cx, "limits", change.order, id, &content).await;
        }
        let call = self.api.put("objects.limits", "/objects/{id}/limits", &[id.as_str()]);
        call.json(&limits).deadline(cx.deadline).send_unit().await?;
        let verify = |found: Option<&ResourceState>| match found {
            Some(found) => Verified::limits(&change.limits, found),
            None => Err(Error::new(ErrorKind::Inconsistent, format!("{id} is gone"))),
        };
        self.read_back(cx, id, &change.limits, verify).await.map(Progress::Done)
    }

    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        let id = &change.backend_id;
        self.owned(cx, id, &change.resource).await?;
        if self.jobs {
            let options = change.new.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            let content = MemoryObject { options, ..MemoryObject::default() };
            return self.start_job(cx, "options", Some(change.order), id, &content).await;
        }
        let call = self.api.put("objects.options", "/objects/{id}/options", &[id.as_str()]).deadline(cx.deadline);
        call.json(&change.new).send_unit().await.map(Progress::Done)
    }

    async fn update_plan(&self, cx: &OpContext, change: &PlanChange) -> Result<Progress<()>> {
        let id = &change.backend_id;
        self.owned(cx, id, &change.resource).await?;
        if self.jobs {
            let content = MemoryObject { plan: Some(change.new), ..MemoryObject::default() };
            return self.start_job(cx, "plan", Some(change.order), id, &content).await;
        }
        let call = self.api.put("objects.plan", "/objects/{id}/plan", &[id.as_str()]).deadline(cx.deadline);
        call.json(&json!({ "plan": change.new })).send_unit().await.map(Progress::Done)
    }

    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let objects = self.objects(cx, inspection.ids).await;
        let states = objects.into_iter().map(|(id, object)| {
            let state = object.and_then(|object| object.map(|object| self.to_state(&id, &object)).transpose());
            (id, state)
        });
        states.collect()
    }

    fn members(&self) -> Option<&dyn MemberDirectory> {
        self.members.then_some(self as _)
    }

    fn user_limits(&self) -> Option<&dyn UserLimits> {
        self.user_limits.then_some(self as _)
    }

    fn status(&self) -> Option<&dyn StatusControl> {
        self.status.then_some(self as _)
    }

    fn keys(&self) -> Option<&dyn ApiKeys> {
        self.keys.then_some(self as _)
    }

    fn usage(&self) -> Option<&dyn UsageSource> {
        self.usage.then_some(self as _)
    }

    fn importer(&self) -> Option<&dyn Importer> {
        Some(self)
    }

    fn pending(&self) -> Option<&dyn PendingOrders> {
        self.jobs.then_some(self as _)
    }
}

#[async_trait]
impl StatusControl for MemoryBackend {
    async fn set_status(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        status: Status,
    ) -> Result<()> {
        let word = match status {
            Status::Active => "active",
            Status::Downscaled => "downscaled",
            Status::Paused => "paused",
        };
        if self.owned(cx, id, resource).await?.status == status {
            return Ok(());
        }
        let call = self.api.put("objects.status", "/objects/{id}/status", &[id.as_str()]).deadline(cx.deadline);
        call.json(&json!({ "status": word })).send_unit().await
    }
}

impl MemoryBackend {
    async fn remove(&self, cx: &OpContext, id: &BackendId) -> Result<Removed> {
        let call = self.api.delete("objects.delete", "/objects/{id}", &[id.as_str()]).deadline(cx.deadline);
        match call.send_unit().await {
            Ok(()) => Ok(Removed::Deleted),
            Err(error) if error.is_not_found() => Ok(Removed::AlreadyAbsent),
            Err(error) if error.kind() == ErrorKind::Conflict => {
                Err(Error::rejected(format!("{id} still holds data. Please empty it and order again."))
                    .with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Removes the account of a project, unless it is gone already or a sibling still needs it.
    async fn remove_project(&self, cx: &OpContext, slug: &str) -> Result<()> {
        if slug.is_empty() {
            return Ok(());
        }
        let call = self.api.delete("projects.delete", "/projects/{slug}", &[slug]).deadline(cx.deadline);
        match call.send_unit().await {
            Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Conflict) => Err(error),
            _ => Ok(()),
        }
    }
}
