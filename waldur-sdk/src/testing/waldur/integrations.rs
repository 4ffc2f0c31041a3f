//! Rows that agents and integrations make: queues, logs, keys of customers, objects that may be imported.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{
    model::{Row, Table},
    words::{ApiKeyState, ImportState},
};
use crate::types::{OfferingUuid, ProjectUuid, ResourceUuid, UserUuid};

/// What an agent hears of.
#[derive(Clone, Debug)]
pub(super) struct AgentQueue {
    pub(super) identity: Uuid,
    /// Wire words; empty for everything.
    pub(super) objects: Vec<String>,
}

/// A subscription to one kind of events: the older way.
#[derive(Clone, Debug)]
pub(super) struct EventSubscription {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) user: UserUuid,
    pub(super) identity: Uuid,
    pub(super) object: String,
    pub(super) description: String,
}

/// The queue of a subscription.
#[derive(Clone, Debug)]
pub(super) struct SubscriptionQueue {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) subscription: Uuid,
    pub(super) offering: OfferingUuid,
    pub(super) object: String,
}

/// A key of a customer. `Debug` does not show the secret.
#[derive(Clone)]
pub(super) struct ApiKey {
    pub(super) uuid: Uuid,
    pub(super) modified: Timestamp,
    pub(super) resource: ResourceUuid,
    /// `None` for a row of before agents named that half.
    pub(super) client_id: Option<String>,
    pub(super) secret: String,
    pub(super) state: ApiKeyState,
    pub(super) error_message: String,
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiKey").field("client_id", &self.client_id).field("state", &self.state).finish_non_exhaustive()
    }
}

/// An object of a back end that may be imported.
#[derive(Clone, Debug)]
pub(super) struct BackendResource {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) name: String,
    pub(super) project: ProjectUuid,
    pub(super) offering: OfferingUuid,
    pub(super) backend_id: String,
    pub(super) backend_metadata: Value,
}

/// The wish for a list of such objects.
#[derive(Clone, Debug)]
pub(super) struct ImportRequest {
    pub(super) uuid: Uuid,
    pub(super) created: Timestamp,
    pub(super) modified: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) offering: OfferingUuid,
    pub(super) state: ImportState,
    pub(super) error_message: String,
    pub(super) error_traceback: String,
}

macro_rules! rows {
    ($($name:ident),+) => {$(
        impl Row for $name {
            fn uuid(&self) -> Uuid {
                self.uuid
            }
        }
    )+};
}

rows!(EventSubscription, SubscriptionQueue, ApiKey, BackendResource, ImportRequest);

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Integrations {
    pub(super) queues: Vec<AgentQueue>,
    pub(super) subscriptions: Table<EventSubscription>,
    pub(super) subscription_queues: Table<SubscriptionQueue>,
    pub(super) logs: Vec<Value>,
    pub(super) api_keys: Table<ApiKey>,
    pub(super) backend_resources: Table<BackendResource>,
    pub(super) import_requests: Table<ImportRequest>,
    /// Verdicts on periodic limits: the policy, and what was said.
    pub(super) command_results: Vec<(Uuid, Value)>,
}
