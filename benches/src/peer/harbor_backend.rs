//! A back end for Harbor that is just good enough to be measured.
//!
//! It makes the calls that the floor of performance.md names, and no more. It adopts nothing: a project that is there
//! already is somebody else's. Harbor has no place for a stamp, so that a project is ours is taken from Waldur's word
//! for it. The real one comes in a crate of its own.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::json;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{
        Aspects, ById, Candidate, Capabilities, CreateRequest, Created, DeleteRequest, LimitChange,
        MarketplaceResource, OpContext, Origin, Period, Progress, Removed, ResourceBackend, ResourceState, Usage,
        UsageReport, UsageSource, Verified, state::foreign,
    },
    naming::SlugNaming,
    rest::{BaseUrl, Http, LinkPaging, PageToken, Pager, PlainHttp, RestClient, StaticHeader},
    settings::{BackendLimit, Components, Read, Section},
    types::{BackendAmount, BackendId, Decimal, Limit, Limits},
};

/// The component that is sold.
pub const STORAGE: &str = "storage";

/// Harbor counts bytes, and calls 1024³ of them GB.
const GIB: u64 = 1 << 30;

/// The kind of group whose members an identity provider names.
const OIDC: u8 = 3;

/// What the operator writes.
#[derive(Debug)]
pub struct HarborSettings {
    url: BaseUrl,
    user: String,
    password: secrecy::SecretString,
    group_prefix: String,
    role: u8,
    project_prefix: String,
}

impl HarborSettings {
    /// Reads `backend_settings`.
    ///
    /// # Errors
    /// When a key is missing or wrong.
    pub fn read(mut section: Section<'_>) -> Read<Self> {
        let url = section.key("harbor_url").base_url(PlainHttp::LoopbackOnly).required();
        let user = section.key("robot_username").text().required();
        let password = section.key("robot_password").secret().required();
        let group_prefix = section.key("oidc_group_prefix").text().or("waldur-".to_owned());
        let role = section.key("project_role_id").integer(1..=5).or(2);
        let project_prefix = section.key("allocation_prefix").text().or(String::new());
        section.finish()?;
        Ok(Self { url: url?, user: user?, password: password?, group_prefix, role, project_prefix })
    }
}

/// The back end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HarborBackend(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    api: RestClient,
    naming: SlugNaming,
    group_prefix: String,
    role: u8,
    components: Components,
}

#[derive(Deserialize)]
struct Group {
    id: i64,
    #[serde(rename = "group_name")]
    name: String,
    #[serde(rename = "group_type")]
    kind: u8,
}

#[derive(Deserialize)]
struct Quota {
    id: i64,
    #[serde(rename = "ref")]
    project: ProjectRef,
    hard: BTreeMap<String, i64>,
    #[serde(default)]
    used: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
struct ProjectRef {
    name: String,
}

impl HarborBackend {
    /// A back end over a pipeline.
    ///
    /// # Errors
    /// When the credentials cannot be sent.
    pub fn new(http: Http, settings: &HarborSettings, components: Components) -> Result<Self> {
        let login = StaticHeader::basic(&settings.user, &settings.password)?;
        Ok(Self(Arc::new(Inner {
            api: RestClient::new(http, settings.url.clone(), login),
            naming: SlugNaming::new(&settings.project_prefix),
            group_prefix: settings.group_prefix.clone(),
            role: settings.role,
            components,
        })))
    }
}

impl Inner {
    /// The id of the group of a Waldur project, which is made if it is not there.
    async fn group(&self, cx: &OpContext, project_slug: &str) -> Result<i64> {
        let name = format!("{}{project_slug}", self.group_prefix);
        if let Some(id) = self.find_group(cx, &name).await? {
            return Ok(id);
        }
        let call = self.api.post("harbor.create_group", "/api/v2.0/usergroups", &[]).deadline(cx.deadline);
        match call.json(&json!({ "group_name": name, "group_type": OIDC })).send().await {
            Ok(answer) => last_segment(answer.headers().get(header::LOCATION)),
            // Another resource of the same project was faster.
            Err(error) if error.kind() == ErrorKind::Conflict || error.kind() == ErrorKind::AlreadyExists => {
                self.find_group(cx, &name).await?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn find_group(&self, cx: &OpContext, name: &str) -> Result<Option<i64>> {
        let call = self.api.get("harbor.find_group", "/api/v2.0/usergroups/search", &[]).deadline(cx.deadline);
        let (rows, _) = call.query("groupname", name).query("page_size", 100).send_rows::<Group>("id").await?;
        Ok(rows.items.iter().find(|group| group.name == name && group.kind == OIDC).map(|group| group.id))
    }

    /// Makes a private project with its quota. Answers its numeric id.
    async fn project(&self, cx: &OpContext, id: &BackendId, bytes: i64) -> Result<i64> {
        let call = self.api.post("harbor.create_project", "/api/v2.0/projects", &[]).deadline(cx.deadline);
        let body = json!({ "project_name": id.as_str(), "metadata": { "public": "false" }, "storage_limit": bytes });
        match call.json(&body).send().await {
            Ok(answer) => last_segment(answer.headers().get(header::LOCATION)),
            Err(error) if error.kind() == ErrorKind::Conflict => Err(foreign(id)),
            Err(error) => Err(error),
        }
    }

    async fn bind(&self, cx: &OpContext, project: i64, group: i64) -> Result<()> {
        let path = "/api/v2.0/projects/{project}/members";
        let call = self.api.post("harbor.add_member", path, &[&project.to_string()]).deadline(cx.deadline);
        call.json(&json!({ "role_id": self.role, "member_group": { "id": group } })).send_unit().await
    }

    async fn quota(&self, cx: &OpContext, project: i64) -> Result<Option<Quota>> {
        let call = self.api.get("harbor.quota", "/api/v2.0/quotas", &[]).deadline(cx.deadline);
        let call = call.query("reference", "project").query("reference_id", project);
        let (rows, _) = call.send_rows::<Quota>("id").await?;
        Ok(rows.items.into_iter().next())
    }

    /// The quotas of all projects: a call for every hundred of them.
    async fn quotas(&self, cx: &OpContext) -> Result<BTreeMap<String, Quota>> {
        const PAGING: LinkPaging = LinkPaging { parameter: "page", total: "x-total-count", id: "id" };
        let call = self.api.get("harbor.quotas", "/api/v2.0/quotas", &[]).deadline(cx.deadline);
        let call = call.query("reference", "project").query("page_size", 100);
        let pager = Pager::new(
            |quota: &Quota| quota.id.to_string(),
            move |token: Option<PageToken>| {
                let call = call.clone().query_opt("page", token.map(|token| token.0));
                async move { call.send_page(&PAGING).await }
            },
        );
        let all = pager.collect().await?.complete()?.into_items();
        Ok(all.into_iter().map(|quota| (quota.project.name.clone(), quota)).collect())
    }

    fn state(&self, id: &BackendId, quota: &Quota) -> Result<ResourceState> {
        let mut state = ResourceState::new(id.clone());
        let limit = match quota.hard.get(STORAGE) {
            None => return Ok(state),
            Some(-1) => Limit::Unlimited,
            Some(bytes) => Limit::At(self.components.to_waldur(STORAGE, units(*bytes))?),
        };
        state.limits.insert(STORAGE.to_owned(), limit);
        Ok(state)
    }

    fn bytes(&self, limits: &Limits) -> Result<i64> {
        let limit = limits.get(STORAGE).copied().ok_or_else(|| Error::rejected("No storage was ordered."))?;
        match self.components.limit_to_backend(STORAGE, limit)? {
            BackendLimit::Unlimited => Ok(-1),
            BackendLimit::At(amount) => {
                let bytes = amount.whole()?.checked_mul(GIB).and_then(|bytes| i64::try_from(bytes).ok());
                bytes.ok_or_else(|| Error::rejected("That is more than there is."))
            }
        }
    }

    fn measured(&self, quota: &Quota) -> Usage {
        let Some(bytes) = quota.used.get(STORAGE) else { return Usage::NotYet };
        match self.components.to_waldur(STORAGE, units(*bytes)) {
            Ok(amount) => Usage::Measured(UsageReport::new([(STORAGE.to_owned(), amount)].into_iter().collect())),
            Err(error) => Usage::Unreadable(error),
        }
    }
}

fn units(bytes: i64) -> BackendAmount {
    BackendAmount::new(Decimal::from(bytes) / Decimal::from(GIB))
}

fn last_segment(location: Option<&HeaderValue>) -> Result<i64> {
    let segment =
        location.and_then(|value| value.to_str().ok()?.trim_end_matches('/').rsplit('/').next()?.parse().ok());
    segment.ok_or_else(|| Error::new(ErrorKind::Inconsistent, "Harbor does not say what it made"))
}

#[async_trait]
impl ResourceBackend for HarborBackend {
    fn backend_type(&self) -> &'static str {
        "harbor"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_decreasing_usage()
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.0.naming.candidate(resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        let call = self.0.api.get("harbor.ping", "/api/v2.0/quotas", &[]).query("page_size", 1);
        call.deadline(cx.deadline).send_unit().await
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let (this, id) = (&*self.0, &request.backend_id);
        let bytes = this.bytes(&request.limits)?;
        let group = this.group(cx, &request.resource.project.slug).await?;
        let project = this.project(cx, id, bytes).await?;
        this.bind(cx, project, group).await?;
        let quota = this.quota(cx, project).await?;
        let state = quota.map(|quota| this.state(id, &quota)).transpose()?.map(|mut state| {
            // It was made a moment ago, by the request that said so.
            state.stamp = Some(request.resource.stamp());
            state
        });
        Verified::created(Created::default(), request, state.as_ref()).map(Progress::Done)
    }

    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        #[derive(Deserialize)]
        struct Project {
            project_id: i64,
        }
        let by_name = (HeaderName::from_static("x-is-resource-name"), HeaderValue::from_static("true"));
        let call = self.0.api.get("harbor.project", "/api/v2.0/projects/{project}", &[id.as_str()]);
        let call = call.header(by_name.0, by_name.1).deadline(cx.deadline);
        let Some(project) = call.send_opt::<Project>().await? else { return Ok(None) };
        let quota = self.0.quota(cx, project.project_id).await?;
        quota.map(|quota| self.0.state(id, &quota)).transpose()
    }

    async fn inspect(&self, cx: &OpContext, ids: &[BackendId], _: Aspects) -> ById<Option<ResourceState>> {
        let quotas = self.0.quotas(cx).await;
        let state = |id: &BackendId| match &quotas {
            Ok(quotas) => quotas.get(id.as_str()).map(|quota| self.0.state(id, quota)).transpose(),
            Err(error) => Err(Error::new(error.kind(), error.message())),
        };
        ids.iter().map(|id| (id.clone(), state(id))).collect()
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        let (this, id) = (&*self.0, &change.backend_id);
        let bytes = this.bytes(&change.limits)?;
        let quotas = this.quotas(cx).await?;
        let Some(quota) = quotas.get(id.as_str()) else {
            return Err(Error::new(ErrorKind::NotFound, format!("{id} does not exist")));
        };
        let call = this.api.put("harbor.set_quota", "/api/v2.0/quotas/{quota}", &[&quota.id.to_string()]);
        call.deadline(cx.deadline).json(&json!({ "hard": { STORAGE: bytes } })).send_unit().await?;
        let wanted = change.resource.stamp();
        let found = ResourceState::owned(self.get(cx, id).await?, id, wanted, Origin::Recorded)?;
        Verified::limits(&change.limits, &found).map(Progress::Done)
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        let id = &request.backend_id;
        if self.get(cx, id).await?.is_none() {
            return Verified::removed(id, Removed::AlreadyAbsent, None).map(Progress::Done);
        }
        let by_name = (HeaderName::from_static("x-is-resource-name"), HeaderValue::from_static("true"));
        let call = self.0.api.delete("harbor.delete", "/api/v2.0/projects/{project}", &[id.as_str()]);
        call.header(by_name.0, by_name.1).deadline(cx.deadline).send_unit().await?;
        Verified::removed(id, Removed::Deleted, self.get(cx, id).await?.as_ref()).map(Progress::Done)
    }

    fn usage(&self) -> Option<&dyn UsageSource> {
        Some(self)
    }
}

#[async_trait]
impl UsageSource for HarborBackend {
    /// What is stored now; of a month that is over Harbor knows nothing.
    async fn usage(&self, cx: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        let today = self.0.api.environment().now().to_zoned(jiff::tz::TimeZone::UTC).date();
        if period != Period::containing(today) {
            return ids.iter().map(|id| (id.clone(), Usage::NotYet)).collect();
        }
        let quotas = self.0.quotas(cx).await;
        let usage = |id: &BackendId| match &quotas {
            Ok(quotas) => quotas.get(id.as_str()).map(|quota| self.0.measured(quota)),
            Err(error) => Some(Usage::Unreadable(Error::new(error.kind(), error.message()))),
        };
        ids.iter().filter_map(|id| Some((id.clone(), usage(id)?))).collect()
    }
}
