//! People on the objects of a [`MemoryService`](super::MemoryService), and many objects at once.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use serde::Deserialize;
use serde_json::json;

use super::{super::complete, MemoryBackend, MemoryObject};
use crate::{
    backend::{
        ById, Grant, MarketplaceResource, MemberChange, MemberDirectory, MemberOutcome, MembershipPlan, OpContext,
        Origin, ResourceState, UserLimits,
    },
    error::{Error, ErrorKind, Result},
    rest::Complete,
    types::{BackendAmount, BackendId, Limit, Limits},
};

/// Fewer objects than these are read one by one.
const MANY: usize = 10;

/// The size of the service's pages.
const PAGE: u64 = 100;

const MEMBER: &str = "/objects/{id}/members/{name}";

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(flatten)]
    object: MemoryObject,
}

impl MemoryBackend {
    /// Reads objects: a few one by one, many from one listing.
    pub(super) async fn objects(&self, cx: &OpContext, ids: &[BackendId]) -> ById<Option<MemoryObject>> {
        if ids.len() <= MANY {
            let mut objects = ById::new();
            for id in ids {
                objects.insert(id.clone(), self.object(cx, id).await);
            }
            return objects;
        }
        match self.listed(cx).await {
            Ok(mut all) => ids.iter().map(|id| (id.clone(), Ok(all.remove(id.as_str())))).collect(),
            Err(error) => ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
        }
    }

    /// All objects: the first page tells how many there are, the others come at once.
    async fn listed(&self, cx: &OpContext) -> Result<BTreeMap<String, MemoryObject>> {
        let (first, total) = self.page(cx, 1).await?;
        let others: Vec<Result<(Vec<Row>, u64)>> = stream::iter(2..=total.div_ceil(PAGE).max(1))
            .map(|page| self.page(cx, page))
            .buffer_unordered(8)
            .collect()
            .await;
        let mut rows = first;
        for page in others {
            rows.extend(page?.0);
        }
        let objects: BTreeMap<String, MemoryObject> = rows.into_iter().map(|row| (row.id, row.object)).collect();
        if objects.len() as u64 == total {
            Ok(objects)
        } else {
            Err(Error::not_ready("the list of objects changed while it was read"))
        }
    }

    async fn page(&self, cx: &OpContext, page: u64) -> Result<(Vec<Row>, u64)> {
        let call = self.api.get("objects.list", "/objects", &[]).query("page", page).deadline(cx.deadline);
        let call = call.secret_answer();
        let (rows, headers): (Vec<Row>, HeaderMap) = call.send_with_headers().await?;
        let total = headers.get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
        let total = total.ok_or_else(|| Error::new(ErrorKind::Decode, "the list of objects lacks its count"))?;
        Ok((rows, total))
    }

    /// Brings the roles of a member in line: what is to be given is given before anything is taken.
    async fn set_roles(&self, cx: &OpContext, id: &BackendId, member: &Grant) -> Result<()> {
        let call = self.api.put("members.roles", "/objects/{id}/roles/{name}", &[id.as_str(), &member.username]);
        call.json(&json!({ "roles": member.roles })).deadline(cx.deadline).send_unit().await
    }
}

#[async_trait]
impl MemberDirectory for MemoryBackend {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<Complete<String>> {
        let mut lists = ById::new();
        for (id, object) in self.objects(cx, ids).await {
            let list = match object {
                Ok(Some(object)) => Ok(complete(object.members.into_iter().collect())),
                Ok(None) => Err(Error::new(ErrorKind::NotFound, format!("{id} does not exist"))),
                Err(error) => Err(error),
            };
            lists.insert(id, list);
        }
        lists
    }

    async fn apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        self.owned(cx, id, resource).await?;
        let mut outcomes = Vec::new();
        for grant in &plan.add {
            let call = self.api.put("members.add", MEMBER, &[id.as_str(), &grant.username]).deadline(cx.deadline);
            let mut result = call.send_unit().await;
            if self.roles && !grant.roles.is_empty() && result.is_ok() {
                result = self.set_roles(cx, id, grant).await;
            }
            outcomes
                .push(MemberOutcome { username: grant.username.clone(), result: result.map(|()| MemberChange::Added) });
        }
        for name in plan.removals() {
            let call = self.api.delete("members.remove", MEMBER, &[id.as_str(), name]).deadline(cx.deadline);
            let result = call.send_unit().await.map(|()| MemberChange::Removed);
            outcomes.push(MemberOutcome { username: name.clone(), result });
        }
        Ok(outcomes)
    }

    async fn reconcile(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        members: &[Grant],
    ) -> Result<Vec<MemberOutcome>> {
        if !self.roles {
            return Ok(Vec::new());
        }
        let object = self.object(cx, id).await?.ok_or_else(|| Error::not_ready(format!("{id} is gone")))?;
        ResourceState::owned(Some(self.to_state(id, &object)?), id, resource.stamp(), Origin::Recorded)?;
        let mut outcomes = Vec::new();
        for member in members.iter().filter(|member| object.roles.get(&member.username) != Some(&member.roles)) {
            let result = self.set_roles(cx, id, member).await.map(|()| MemberChange::Added);
            outcomes.push(MemberOutcome { username: member.username.clone(), result });
        }
        Ok(outcomes)
    }

    async fn update_attributes(&self, cx: &OpContext, member: &Grant) -> Result<()> {
        let call = self.api.put("users.attributes", "/users/{name}/attributes", &[&member.username]);
        call.json(&member.attributes).deadline(cx.deadline).send_unit().await
    }
}

#[async_trait]
impl UserLimits for MemoryBackend {
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<BTreeMap<String, Limits>> {
        let mut found = ById::new();
        for (id, object) in self.objects(cx, ids).await {
            let limits = object.and_then(|object| {
                let users = object.map(|object| object.user_limits).unwrap_or_default();
                users.into_iter().map(|(user, limits)| Ok((user, self.of_service(&limits)?))).collect()
            });
            found.insert(id, limits);
        }
        found
    }

    async fn set(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        username: &str,
        limits: &Limits,
    ) -> Result<()> {
        self.owned(cx, id, resource).await?;
        let path = "/objects/{id}/users/{name}/limits";
        let call = self.api.put("users.limits", path, &[id.as_str(), username]).deadline(cx.deadline);
        call.json(&self.to_service(limits)?).send_unit().await
    }
}

impl MemoryBackend {
    /// Limits in Waldur's units.
    pub(super) fn of_service(&self, limits: &BTreeMap<String, Option<u64>>) -> Result<Limits> {
        limits
            .iter()
            .map(|(component, amount)| {
                let limit = match amount {
                    None => Limit::Unlimited,
                    Some(amount) => Limit::At(self.factor(component).to_waldur(BackendAmount::from(*amount))?),
                };
                Ok((component.clone(), limit))
            })
            .collect()
    }
}
