//! What agents and integrations left there, and what a test asks about it.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::testing::waldur::{
    FakeWaldur,
    integrations::{ApiKey, ImportRequest},
    unknown,
    words::{ApiKeyState, ImportState},
};
use crate::types::{ApiKeyUuid, BackendResourceRequestUuid, OfferingUuid, ResourceUuid};

impl FakeWaldur {
    /// A key of a resource, in use, that Waldur has been told of.
    ///
    /// # Panics
    /// When there is no such resource.
    #[track_caller]
    pub fn api_key(&self, resource: ResourceUuid, client_id: impl Into<String>) -> ApiKeySeed {
        let mut state = self.state();
        if state.resource(resource).is_none() {
            unknown("resource", resource);
        }
        let (uuid, modified) = (state.uuid(), state.tick());
        drop(state);
        let row = ApiKey {
            uuid,
            modified,
            resource,
            client_id: Some(client_id.into()),
            secret: "seeded".to_owned(),
            state: ApiKeyState::Ok,
            error_message: String::new(),
        };
        ApiKeySeed { waldur: self.clone(), row }
    }

    /// Says that a key is to be replaced, as its customer would.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn request_rotation(&self, key: ApiKeyUuid) {
        let mut state = self.state();
        let now = state.tick();
        match state.integrations.api_keys.get_mut(key.uuid()) {
            Some(row) => (row.state, row.modified) = (ApiKeyState::Updating, now),
            None => unknown("API key", key),
        }
    }

    /// The wish for a list of what could be imported into an offering.
    ///
    /// # Panics
    /// When there is no such offering.
    #[track_caller]
    pub fn import_request(&self, offering: OfferingUuid) -> BackendResourceRequestUuid {
        let mut state = self.state();
        if state.offering(offering).is_none() {
            unknown("offering", offering);
        }
        let (uuid, created) = (state.uuid(), state.tick());
        state.integrations.import_requests.put(ImportRequest {
            uuid,
            created,
            modified: created,
            started: None,
            finished: None,
            offering,
            state: ImportState::Sent,
            error_message: String::new(),
            error_traceback: String::new(),
        });
        BackendResourceRequestUuid::new(uuid)
    }

    /// How far a wish for a list is, and why it failed; empty if it did not.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn import_request_view(&self, request: BackendResourceRequestUuid) -> (ImportState, String) {
        let state = self.state();
        let found = state.integrations.import_requests.get(request.uuid());
        let found = found.map(|row| (row.state, row.error_message.clone()));
        found.unwrap_or_else(|| unknown("import request", request))
    }

    /// The keys of a resource that Waldur has been told of: their first halves and states, oldest first.
    pub fn api_keys(&self, resource: ResourceUuid) -> Vec<(String, ApiKeyState)> {
        let state = self.state();
        let rows = state.integrations.api_keys.iter().filter(|row| row.resource == resource);
        rows.map(|row| (row.client_id.clone().unwrap_or_default(), row.state)).collect()
    }

    /// The secret half of a key as it was reported, and why the key is erred.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn api_key_secret(&self, key: ApiKeyUuid) -> (String, String) {
        let state = self.state();
        let found = state.integrations.api_keys.get(key.uuid());
        let found = found.map(|row| (row.secret.clone(), row.error_message.clone()));
        found.unwrap_or_else(|| unknown("API key", key))
    }

    /// The objects that were offered for import: the id on the back end and the metadata, oldest first.
    pub fn backend_resources(&self) -> Vec<(String, Value)> {
        let state = self.state();
        let rows = state.integrations.backend_resources.iter();
        rows.map(|row| (row.backend_id.clone(), row.backend_metadata.clone())).collect()
    }

    /// The lines of agents' logs.
    pub fn agent_logs(&self) -> Vec<Value> {
        self.state().integrations.logs.clone()
    }

    /// What the queue of each agent gets, as wire words; empty for everything.
    pub fn agent_queues(&self) -> Vec<Vec<String>> {
        self.state().integrations.queues.iter().map(|queue| queue.objects.clone()).collect()
    }

    /// Verdicts on periodic limits: the policy, and what was said.
    pub fn command_results(&self) -> Vec<(Uuid, Value)> {
        self.state().integrations.command_results.clone()
    }
}

/// A key under construction; see [`FakeWaldur::api_key`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct ApiKeySeed {
    waldur: FakeWaldur,
    row: ApiKey,
}

impl ApiKeySeed {
    /// How it is.
    pub fn state(mut self, state: ApiKeyState) -> Self {
        self.row.state = state;
        self
    }

    /// When it changed last.
    pub fn modified(mut self, at: Timestamp) -> Self {
        self.row.modified = at;
        self
    }

    /// Without the half that may be shown: a row of before agents named it.
    pub fn without_client_id(mut self) -> Self {
        self.row.client_id = None;
        self
    }

    /// Puts it there.
    pub fn create(self) -> ApiKeyUuid {
        let uuid = self.row.uuid;
        self.waldur.state().integrations.api_keys.put(self.row);
        ApiKeyUuid::new(uuid)
    }
}
