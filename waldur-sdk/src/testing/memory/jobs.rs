//! Work of [`MemoryBackend`] that ends later, as jobs of the service.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::{backend::MemoryBackend, service::MemoryObject};
use crate::{
    backend::{
        CreateRequest, OpContext, Origin, PendingOrders, PendingWork, Progress, Removed, ResourceState, Settled,
        Verified,
    },
    error::{Error, ErrorKind, Result},
    types::{BackendId, Limits, OrderType, OrderUuid},
};

#[derive(Deserialize)]
struct Handle {
    handle: String,
}

#[derive(Deserialize)]
struct JobState {
    state: String,
    kind: String,
}

impl MemoryBackend {
    pub(super) async fn start_job<T>(
        &self,
        cx: &OpContext,
        kind: &str,
        order: Option<OrderUuid>,
        id: &BackendId,
        content: &MemoryObject,
    ) -> Result<Progress<T>> {
        let order = order.map(OrderUuid::hex).unwrap_or_default();
        let body = json!({ "kind": kind, "order": order, "object": id.as_str(), "content": content });
        // One key makes one job, so the call may be repeated.
        let call = self.api.post("jobs.start", "/jobs", &[]).json(&body).idempotent().deadline(cx.deadline);
        let Handle { handle } = call.send_json().await?;
        Ok(Progress::Pending { handle, poll_after: None })
    }

    /// What a job of this kind came to, read back.
    async fn settle(&self, cx: &OpContext, work: &PendingWork, kind: &str) -> Result<Settled> {
        let Some(id) = &work.backend_id else {
            return Err(Error::new(ErrorKind::Inconsistent, "finished work on a resource without an id"));
        };
        let limits = &work.limits;
        match kind {
            "options" => Ok(Settled::Options),
            "plan" => Ok(Settled::Plan),
            "limits" => {
                let verify = |found: Option<&ResourceState>| match found {
                    Some(found) => Verified::limits(limits, found),
                    None => Err(Error::new(ErrorKind::Inconsistent, format!("{id} is gone"))),
                };
                self.read_back(cx, id, limits, verify).await.map(Settled::Limits)
            }
            "delete" => {
                let verify = |found: Option<&ResourceState>| Verified::removed(id, Removed::Deleted, found);
                self.read_back(cx, id, &Limits::new(), verify).await.map(Settled::Removed)
            }
            _ => {
                let restores = work.order_type == OrderType::Restore;
                let request = CreateRequest::new(work.order, work.resource.clone(), id.clone())
                    .with_origin(if restores { Origin::Recorded } else { Origin::Reserved })
                    .with_limits(limits.clone());
                let verify =
                    |found: Option<&ResourceState>| Verified::created(self.created(id, limits), &request, found);
                self.read_back(cx, id, limits, verify).await.map(Settled::Created)
            }
        }
    }
}

#[async_trait]
impl PendingOrders for MemoryBackend {
    async fn check(&self, cx: &OpContext, work: &PendingWork) -> Result<Progress<Settled>> {
        let call = self.api.get("jobs.get", "/jobs/{handle}", &[&work.handle]).deadline(cx.deadline);
        let job: JobState = call.send_json().await?;
        match job.state.as_str() {
            "running" => Ok(Progress::Pending { handle: work.handle.clone(), poll_after: None }),
            "done" => self.settle(cx, work, &job.kind).await.map(Progress::Done),
            _ => Err(Error::rejected("The service could not carry out the work.")),
        }
    }
}
