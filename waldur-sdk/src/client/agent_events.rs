//! What an agent wants to hear of, and what it tells about itself (core.md §1.6 #15 to #19, §5.3). Since 8.x; every
//! call is `Unsupported` on a server of 2024.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Agents, answer::explain_newer};
use crate::{
    error::{Error, ErrorKind, Result},
    open_enum,
    types::{AgentIdentityUuid, AgentServiceUuid, EventSubscriptionUuid, OfferingUuid, UserUuid, lenient},
};

open_enum! {
    /// What messages are about (core.md §1.5).
    pub enum ObservableObject {
        /// Orders.
        Order = "order",
        /// Roles that users get and lose.
        UserRole = "user_role",
        /// Resources.
        Resource = "resource",
        /// Accounts of users at the offering.
        OfferingUser = "offering_user",
        /// Wishes for a list of what could be imported.
        ImportableResources = "importable_resources",
        /// Service accounts.
        ServiceAccount = "service_account",
        /// Accounts of a course.
        CourseAccount = "course_account",
        /// Limits of usage within a period.
        ResourcePeriodicLimits = "resource_periodic_limits",
        /// The operator's wish to bring everything in line.
        OfferingResourcesSync = "offering_resources_sync",
        /// Keys that are to be replaced.
        ResourceApiKeyRotation = "resource_api_key_rotation",
        /// Wishes for another last day of a resource.
        ResourceEndDateChangeRequest = "resource_end_date_change_request",
        /// Users who come and go.
        UserLifecycle = "user_lifecycle",
        /// What users say about themselves.
        UserProfile = "user_profile",
        /// SSH keys of users.
        UserSshKey = "user_ssh_key",
    }
}

/// The queue of an agent: one for all that it hears of.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AgentQueue {
    /// The name of the queue.
    pub queue_name: String,
    /// The account at the broker. Its password is the API token of the account that registered the queue.
    #[serde(default, deserialize_with = "lenient::text")]
    pub rmq_username: Option<String>,
    /// The virtual host at the broker.
    #[serde(default, deserialize_with = "lenient::text")]
    pub vhost: Option<String>,
    /// What the queue gets.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub observable_object_types: Vec<ObservableObject>,
}

/// A subscription to one kind of events, on servers without [`AgentQueue`].
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct EventSubscription {
    /// Identifies the subscription; the login at the broker.
    pub uuid: EventSubscriptionUuid,
    /// The user in whose name it was made; the virtual host at the broker.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub user_uuid: Option<UserUuid>,
}

/// The queue of a subscription.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct SubscriptionQueue {
    /// The name of the queue.
    #[serde(default, deserialize_with = "lenient::text")]
    pub queue_name: Option<String>,
    /// The virtual host at the broker.
    #[serde(default, deserialize_with = "lenient::text")]
    pub vhost: Option<String>,
}

/// A line of an agent's log, for Waldur's operators to read. Nothing secret and nothing about persons belongs in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AgentLogEntry {
    #[serde(rename = "agent_identity_uuid")]
    identity: AgentIdentityUuid,
    /// Seconds since 1970, with a fraction.
    timestamp: f64,
    level: String,
    message: String,
    module: String,
}

impl AgentLogEntry {
    /// A line of `identity`. `level` is `DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.
    pub fn new(
        identity: AgentIdentityUuid,
        at: Timestamp,
        level: impl Into<String>,
        module: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let timestamp = at.as_duration().as_secs_f64();
        Self { identity, timestamp, level: level.into(), message: message.into(), module: module.into() }
    }
}

impl Agents<'_> {
    /// Makes the queue of an agent, or finds it and renews its password (#15). It gets messages about `objects`.
    ///
    /// # Errors
    /// `InvalidRequest` when `objects` is empty, which to the server would mean everything. `Unsupported` on a server
    /// that has one queue for each kind of objects: see [`Self::register_event_subscription`].
    pub async fn register_queue(self, identity: AgentIdentityUuid, objects: &[ObservableObject]) -> Result<AgentQueue> {
        #[derive(Serialize)]
        struct Wanted<'a> {
            object_types: &'a [ObservableObject],
        }
        const OPERATION: &str = "agents.register_queue";
        const PATH: &str = "/api/marketplace-site-agent-identities/{identity}/register_queue/";
        if objects.is_empty() {
            let text = "a queue for nothing would get everything";
            return Err(Error::new(ErrorKind::InvalidRequest, text).with_operation(OPERATION));
        }
        let call = self.rest.post(OPERATION, PATH, &[&identity.hex()]).json(&Wanted { object_types: objects });
        call.idempotent().send_json().await.map_err(explain_newer)
    }

    /// Subscribes an agent to one kind of events, or finds the subscription (#16): the older way.
    ///
    /// # Errors
    /// `NotFound` when the agent is not known any more.
    pub async fn register_event_subscription(
        self,
        identity: AgentIdentityUuid,
        object: &ObservableObject,
        description: &str,
    ) -> Result<EventSubscription> {
        #[derive(Serialize)]
        struct Wanted<'a> {
            observable_object_type: &'a ObservableObject,
            description: &'a str,
        }
        const PATH: &str = "/api/marketplace-site-agent-identities/{identity}/register_event_subscription/";
        let call = self.rest.post("agents.register_event_subscription", PATH, &[&identity.hex()]);
        let call = call.json(&Wanted { observable_object_type: object, description });
        call.idempotent().send_json().await.map_err(explain_newer)
    }

    /// Makes the queue of a subscription for one offering, or finds it (#17): the older way.
    ///
    /// # Errors
    /// `NotFound` when the subscription is gone.
    pub async fn create_queue(
        self,
        subscription: EventSubscriptionUuid,
        offering: OfferingUuid,
        object: &ObservableObject,
    ) -> Result<SubscriptionQueue> {
        #[derive(Serialize)]
        struct Wanted<'a> {
            offering_uuid: OfferingUuid,
            object_type: &'a ObservableObject,
        }
        const PATH: &str = "/api/event-subscriptions/{subscription}/create_queue/";
        let call = self.rest.post("agents.create_queue", PATH, &[&subscription.hex()]);
        let call = call.json(&Wanted { offering_uuid: offering, object_type: object });
        call.idempotent().send_json().await.map_err(explain_newer)
    }

    /// Ships lines of a log (#18). Never repeated by itself: rather a line lost than one twice.
    ///
    /// # Errors
    /// `Unsupported` on servers without logs of agents; whoever ships them stops then.
    pub async fn ship_logs(self, lines: &[AgentLogEntry]) -> Result<()> {
        let call = self.rest.post("agents.ship_logs", "/api/marketplace-site-agent-logs/", &[]);
        call.json(lines).send_unit().await.map_err(explain_newer)
    }

    /// Replaces the statistics of a service (#19): whatever numbers its operators want to see.
    ///
    /// # Errors
    /// `NotFound` when the service is not known any more.
    pub async fn set_statistics(self, service: AgentServiceUuid, statistics: &Map<String, Value>) -> Result<()> {
        #[derive(Serialize)]
        struct Statistics<'a> {
            statistics: &'a Map<String, Value>,
        }
        const PATH: &str = "/api/marketplace-site-agent-services/{service}/set_statistics/";
        let call = self.rest.post("agents.set_statistics", PATH, &[&service.hex()]).json(&Statistics { statistics });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }
}
