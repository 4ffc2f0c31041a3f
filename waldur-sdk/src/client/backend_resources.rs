//! Objects of a back end that Waldur may import (core.md §1.6 #45, #46, §2.12): `/api/backend-resources/`,
//! `/api/backend-resource-requests/`. Since 8.x.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ErrorDetails, answer::explain_newer, list, orders::Nothing};
use crate::{
    error::Result,
    naming::{HASH_DIGITS, fit},
    open_enum,
    rest::{Pager, RestClient},
    types::{
        BackendId, BackendResourceRequestUuid, BackendResourceUuid, JsonObject, OfferingUuid, ProjectUuid, lenient,
    },
};

/// The longest name of an object that Waldur stores (`maxLength: 150` in its schema); back-end ids may be longer.
const LONGEST_NAME: usize = 150;

open_enum! {
    /// How far a wish for a list is (core.md §1.5).
    pub enum BackendResourceRequestState {
        /// Nobody has begun yet.
        Sent = "Sent",
        /// An agent is at work.
        Processing = "Processing",
        /// The list is there.
        Done = "Done",
        /// It could not be made.
        Erred = "Erred",
    }
}

/// An object that Waldur may import.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BackendResource {
    /// Identifies the entry.
    pub uuid: BackendResourceUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Its name on the back end.
    #[serde(default, deserialize_with = "lenient::backend_id")]
    pub backend_id: Option<BackendId>,
    /// The project that it would belong to.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub project: Option<ProjectUuid>,
    /// The offering that it would belong to.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering: Option<OfferingUuid>,
    /// What the back end told about it.
    #[serde(default, deserialize_with = "lenient::object")]
    pub backend_metadata: JsonObject,
}

/// Which objects to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BackendResourceQuery {
    /// Only the object with this name on the back end.
    pub backend_id: Option<BackendId>,
    /// Only objects of this project.
    pub project: Option<ProjectUuid>,
    /// Only objects of this offering.
    pub offering: Option<OfferingUuid>,
}

impl BackendResourceQuery {
    /// The objects of `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering: Some(offering), ..Self::default() }
    }

    /// Only the object with this name on the back end.
    #[must_use]
    pub fn backend_id(mut self, backend_id: BackendId) -> Self {
        self.backend_id = Some(backend_id);
        self
    }

    /// Only objects of `project`.
    #[must_use]
    pub fn project(mut self, project: ProjectUuid) -> Self {
        self.project = Some(project);
        self
    }
}

/// An object to be offered for import.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct NewBackendResource {
    /// Its name, for people.
    pub name: String,
    /// The project that it would belong to.
    pub project: ProjectUuid,
    /// The offering that it would belong to.
    pub offering: OfferingUuid,
    /// Its name on the back end.
    pub backend_id: BackendId,
    /// What the back end tells about it: its `limits` above all.
    pub backend_metadata: Map<String, Value>,
}

impl NewBackendResource {
    /// An object called by its name on the back end, or by its beginning where Waldur has no room for all of it, without
    /// metadata.
    pub fn new(offering: OfferingUuid, project: ProjectUuid, backend_id: BackendId) -> Self {
        let name = fit(backend_id.as_str(), LONGEST_NAME, HASH_DIGITS).into_owned();
        Self { name, project, offering, backend_id, backend_metadata: Map::new() }
    }

    /// Adds what the back end tells about it.
    #[must_use]
    pub fn metadata(mut self, metadata: Map<String, Value>) -> Self {
        self.backend_metadata = metadata;
        self
    }
}

/// The calls about objects that Waldur may import.
#[derive(Clone, Copy, Debug)]
pub struct BackendResources<'a> {
    rest: &'a RestClient,
}

impl<'a> BackendResources<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists objects (#45).
    pub fn list(self, query: &BackendResourceQuery) -> Pager<BackendResource> {
        let call = self.rest.get("backend_resources.list", "/api/backend-resources/", &[]);
        let call = call
            .query_opt("backend_id", query.backend_id.as_ref())
            .query_opt("project_uuid", query.project)
            .query_opt("offering_uuid", query.offering);
        list::pages(call, explain_newer, |resource: &BackendResource| resource.uuid.hex())
    }

    /// Offers an object for import (#45). Never repeated by itself: whoever lost the answer looks at the list.
    ///
    /// # Errors
    /// As every call.
    pub async fn create(self, resource: &NewBackendResource) -> Result<BackendResource> {
        let call = self.rest.post("backend_resources.create", "/api/backend-resources/", &[]).json(resource);
        call.send_json().await.map_err(explain_newer)
    }
}

/// The wish for a list of what could be imported.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BackendResourceRequest {
    /// Identifies the wish.
    pub uuid: BackendResourceRequestUuid,
    /// How far it is.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<BackendResourceRequestState>,
    /// The offering whose objects are wanted.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering: Option<OfferingUuid>,
    /// Why the list could not be made.
    #[serde(default, deserialize_with = "lenient::text")]
    pub error_message: Option<String>,
}

/// Which wishes to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct BackendResourceRequestQuery {
    /// Only wishes about this offering.
    pub offering: Option<OfferingUuid>,
    /// Only wishes in one of these states; all when empty.
    pub states: Vec<BackendResourceRequestState>,
}

impl BackendResourceRequestQuery {
    /// The wishes about `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering: Some(offering), ..Self::default() }
    }

    /// Only wishes in one of `states`.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = BackendResourceRequestState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }
}

/// The calls about wishes for a list of what could be imported.
#[derive(Clone, Copy, Debug)]
pub struct BackendResourceRequests<'a> {
    rest: &'a RestClient,
}

impl<'a> BackendResourceRequests<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists wishes, which an agent without events looks for (#46).
    pub fn list(self, query: &BackendResourceRequestQuery) -> Pager<BackendResourceRequest> {
        let mut call = self.rest.get("backend_resource_requests.list", "/api/backend-resource-requests/", &[]);
        call = call.query_opt("offering_uuid", query.offering);
        for state in &query.states {
            call = call.query("state", state);
        }
        list::pages(call, explain_newer, |request: &BackendResourceRequest| request.uuid.hex())
    }

    /// Reads a wish (#46).
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, request: BackendResourceRequestUuid) -> Result<BackendResourceRequest> {
        const PATH: &str = "/api/backend-resource-requests/{request}/";
        let call = self.rest.get("backend_resource_requests.get", PATH, &[&request.hex()]);
        call.send_json().await.map_err(explain_newer)
    }

    /// Says that an agent is at work (#46). Never repeated by itself.
    ///
    /// # Errors
    /// `Conflict` when the wish is not `Sent`.
    pub async fn start_processing(self, request: BackendResourceRequestUuid) -> Result<()> {
        const PATH: &str = "/api/backend-resource-requests/{request}/start_processing/";
        let call = self.rest.post("backend_resource_requests.start_processing", PATH, &[&request.hex()]);
        call.json(&Nothing {}).send_unit().await.map_err(explain_newer)
    }

    /// Says that the list is there (#46). Never repeated by itself.
    ///
    /// # Errors
    /// `Conflict` when nobody said that work had begun.
    pub async fn set_done(self, request: BackendResourceRequestUuid) -> Result<()> {
        const PATH: &str = "/api/backend-resource-requests/{request}/set_done/";
        let call = self.rest.post("backend_resource_requests.set_done", PATH, &[&request.hex()]);
        call.json(&Nothing {}).send_unit().await.map_err(explain_newer)
    }

    /// Says why the list could not be made (#46). Never repeated by itself.
    ///
    /// # Errors
    /// `Conflict` when nobody said that work had begun.
    pub async fn set_erred(self, request: BackendResourceRequestUuid, details: &ErrorDetails) -> Result<()> {
        const PATH: &str = "/api/backend-resource-requests/{request}/set_erred/";
        let call = self.rest.post("backend_resource_requests.set_erred", PATH, &[&request.hex()]);
        call.json(details).send_unit().await.map_err(explain_newer)
    }
}
