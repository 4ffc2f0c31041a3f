//! A back end of one's own: lockers, which a small REST service rents out. This file is all there is to it, from the
//! operator's settings to the last call; `tests/own_backend.rs` holds it against the contract, and kills it everywhere.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;
use waldur_sdk::{
    ErrorKind, Result,
    backend::{
        BackendFactory, BuildEnv, Candidate, CreateRequest, Created, DeleteRequest, LimitChange, MarketplaceResource,
        OpContext, Origin, Progress, Removed, ResourceBackend, ResourceState, Stamp, Verified,
    },
    naming::SlugNaming,
    rest::{BaseUrl, Call, HttpOptions, PlainHttp, RestClient, StaticHeader},
    settings::{BackendLimit, Components, Read, Section, Warning},
    types::{BackendAmount, BackendId, Limit, Limits, ResourceUuid, SecretString},
};

/// What the operator writes under `backend_settings`, a line for each key.
struct LockerSettings {
    url: BaseUrl,
    token: SecretString,
}

impl LockerSettings {
    fn read(mut section: Section<'_>) -> Read<Self> {
        let url = section.key("locker_url").base_url(PlainHttp::LoopbackOnly).required();
        let token = section.key("locker_token").secret().required();
        section.finish()?; // From here on everything is known that is wrong, and every unknown key has its warning.
        Ok(Self { url: url?, token: token? })
    }
}

/// Makes the back end where a settings file says `backend_type: lockers`.
pub struct LockerFactory;

impl BackendFactory for LockerFactory {
    fn backend_types(&self) -> &'static [&'static str] {
        &["lockers"]
    }

    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let (settings, warnings) = environment.settings.read(LockerSettings::read)?;
        let http = environment.http(&HttpOptions::default())?; // Retries, their budget and the proxy are in here.
        let api = RestClient::new(http, settings.url, StaticHeader::bearer(&settings.token)?);
        let naming = SlugNaming::new(&environment.settings.core.allocation_prefix);
        Ok((Arc::new(Lockers { api, naming, components: environment.components.clone() }), warnings))
    }
}

/// A locker as the service tells of it; `None` is no limit.
#[derive(Deserialize)]
struct Locker {
    stamp: Option<ResourceUuid>,
    limits: BTreeMap<String, Option<u64>>,
}

/// The back end.
struct Lockers {
    api: RestClient,
    naming: SlugNaming,
    components: Components,
}

impl Lockers {
    /// The service, which is asked nothing after the operation's deadline.
    fn api(&self, cx: &OpContext) -> RestClient {
        self.api.until(cx.deadline)
    }

    /// Writes limits in the service's units: the unit factors of the components are the only bridge.
    fn limits_call(&self, cx: &OpContext, id: &BackendId, limits: &Limits) -> Result<Call> {
        let mut body = BTreeMap::new();
        for (name, limit) in self.components.limits_to_backend(limits)? {
            let limit = if let BackendLimit::At(amount) = limit { Some(amount.whole()?) } else { None };
            body.insert(name, limit);
        }
        Ok(self.api(cx).put("lockers.limits", "/objects/{id}/limits", &[id.as_str()]).json(&body))
    }
}

#[async_trait]
impl ResourceBackend for Lockers {
    fn backend_type(&self) -> &'static str {
        "lockers"
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.naming.candidate(resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.api(cx).get("lockers.ping", "/health", &[]).send_unit().await
    }

    /// Makes it with the stamp on it, or finds what an earlier attempt made; sets the limits; reads it back.
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let id = &request.backend_id;
        let limits = self.limits_call(cx, id, &request.limits)?; // What makes no sense is refused before anything is made.
        let call = self.api(cx).put("lockers.create", "/objects/{id}", &[id.as_str()]);
        match call.json(&json!({ "stamp": request.resource.uuid })).send_unit().await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                ResourceState::owned(self.get(cx, id).await?, id, request.resource.stamp(), request.origin)?;
            }
            outcome => outcome?,
        }
        limits.send_unit().await?;
        let created = Created::default().with_endpoint("Locker", format!("{}objects/{id}", self.api.base()));
        Verified::created(created, request, self.get(cx, id).await?.as_ref()).map(Progress::Done)
    }

    /// `None` only when the service itself says so (`send_opt`); everything unclear stays an error.
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        let call = self.api(cx).get("lockers.get", "/objects/{id}", &[id.as_str()]);
        let Some(locker) = call.send_opt::<Locker>().await? else { return Ok(None) };
        let mut state = ResourceState::new(id.clone());
        state.stamp = locker.stamp.map(Stamp);
        for (name, limit) in locker.limits {
            let amount = limit.map(|limit| self.components.to_waldur(&name, BackendAmount::from(limit))).transpose()?;
            state.limits.insert(name, amount.map_or(Limit::Unlimited, Limit::At));
        }
        Ok(Some(state))
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        let (id, stamp) = (&change.backend_id, change.resource.stamp());
        ResourceState::owned(self.get(cx, id).await?, id, stamp, Origin::Recorded)?;
        self.limits_call(cx, id, &change.limits)?.send_unit().await?;
        let found = ResourceState::owned(self.get(cx, id).await?, id, stamp, Origin::Recorded)?;
        Verified::limits(&change.limits, &found).map(Progress::Done)
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        let id = &request.backend_id;
        let found = self.get(cx, id).await?;
        if found.is_none() {
            return Verified::removed(id, Removed::AlreadyAbsent, None).map(Progress::Done);
        }
        ResourceState::owned(found, id, request.resource.stamp(), Origin::Recorded)?;
        let call = self.api(cx).delete("lockers.delete", "/objects/{id}", &[id.as_str()]);
        match call.send_unit().await {
            Err(error) if !error.is_not_found() => Err(error),
            _gone => Verified::removed(id, Removed::Deleted, self.get(cx, id).await?.as_ref()).map(Progress::Done),
        }
    }
}
