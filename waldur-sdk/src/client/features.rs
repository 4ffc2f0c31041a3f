//! What a server lacks. It is found out once.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::WaldurClient;
use crate::error::{Error, ErrorKind};

/// Something that came after Waldur of October 2024 (core.md §1.6, column 24).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// Identities, services and processors of agents.
    Identities,
    /// Queues for events.
    EventQueues,
    /// Logs of agents.
    AgentLogs,
    /// Limits of a resource without an order.
    SetLimits,
    /// Addresses of a resource.
    Endpoints,
    /// The time at which a resource was last seen.
    LastSync,
    /// A resource that is well again.
    SetAsOk,
    /// What became of the members of a resource.
    MembershipSyncStatuses,
    /// The id of a resource behind its back end, and its last day.
    Federation,
    /// The mark of an order that is finished later, and words to the customer about a pending one.
    OrderMarks,
    /// Whether a back-end id is free.
    BackendIdCheck,
    /// States of accounts at offerings.
    OfferingUserStates,
    /// What an offering is told about its users.
    UserAttributeConfig,
    /// Service accounts.
    ServiceAccounts,
    /// Course accounts, which came later.
    CourseAccounts,
    /// Limits of one user.
    UserLimits,
    /// Usage of many users at once.
    BulkUserUsage,
    /// Keys of customers.
    ApiKeys,
    /// Import of resources.
    ResourceImport,
    /// Policies about usage within a period.
    PeriodicPolicies,
}

impl Feature {
    /// The name, for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identities => "agent identities",
            Self::EventQueues => "event queues",
            Self::AgentLogs => "agent logs",
            Self::SetLimits => "set_limits",
            Self::Endpoints => "endpoints",
            Self::LastSync => "refresh_last_sync",
            Self::SetAsOk => "set_as_ok",
            Self::MembershipSyncStatuses => "membership sync statuses",
            Self::Federation => "effective ids and end dates",
            Self::OrderMarks => "order backend ids and provider messages",
            Self::BackendIdCheck => "check_unique_backend_id",
            Self::OfferingUserStates => "offering-user states",
            Self::UserAttributeConfig => "user attribute configuration",
            Self::ServiceAccounts => "service accounts",
            Self::CourseAccounts => "course accounts",
            Self::UserLimits => "user limits",
            Self::BulkUserUsage => "bulk user usage",
            Self::ApiKeys => "resource API keys",
            Self::ResourceImport => "resource import",
            Self::PeriodicPolicies => "periodic usage policies",
        }
    }

    /// What its absence comes to, in a sentence for the operator.
    pub fn consequence(self) -> &'static str {
        match self {
            Self::Identities => "the agent does not show in Waldur",
            Self::EventQueues => "changes are found by polling only",
            Self::AgentLogs => "logs stay on this machine",
            Self::SetLimits => "limits that the back end changed are told by the older call of the SLURM plug-in",
            Self::Endpoints => "customers do not see where a resource is reached",
            Self::LastSync => "customers do not see when a resource was last looked at",
            Self::SetAsOk => "a resource that was marked as erred stays so until the operators of Waldur mend it",
            Self::MembershipSyncStatuses => "customers do not see which members have access",
            Self::Federation => "ids and last days of the target are not passed on",
            Self::OrderMarks => "orders cannot be finished in a later pass, and pending ones carry no message",
            Self::BackendIdCheck => "names are not checked against other resources before they are used",
            Self::OfferingUserStates => "an account counts as usable as soon as it has a user name",
            Self::UserAttributeConfig => "users have no attributes but name and e-mail address",
            Self::ServiceAccounts => "there are no service accounts",
            Self::CourseAccounts => "there are no course accounts",
            Self::UserLimits => "single users have no limits",
            Self::BulkUserUsage => "the usage of users is reported one by one",
            Self::ApiKeys => "keys are neither made nor replaced",
            Self::ResourceImport => "what exists already cannot be imported",
            Self::PeriodicPolicies => "verdicts on periodic limits are not reported",
        }
    }

    /// The feature that a call belongs to, by its [operation](Error::operation).
    fn of_operation(operation: &str) -> Option<Self> {
        Some(match operation {
            "agents.register_queue" | "agents.register_event_subscription" | "agents.create_queue" => Self::EventQueues,
            "agents.ship_logs" => Self::AgentLogs,
            "provider_resources.set_limits" => Self::SetLimits,
            "provider_resources.set_endpoints" => Self::Endpoints,
            "provider_resources.refresh_last_sync" => Self::LastSync,
            "provider_resources.set_as_ok" => Self::SetAsOk,
            "provider_resources.set_membership_sync_statuses" => Self::MembershipSyncStatuses,
            "provider_resources.set_effective_id" | "provider_resources.set_end_date" => Self::Federation,
            "orders.set_backend_id" | "orders.set_provider_info" => Self::OrderMarks,
            "provider_offerings.check_unique_backend_id" => Self::BackendIdCheck,
            "provider_offerings.exposed_attributes" => Self::UserAttributeConfig,
            "policies.report_command_result" => Self::PeriodicPolicies,
            "component_usages.set_user_usages" => Self::BulkUserUsage,
            other => match other.split_once('.') {
                Some(("agents", _)) => Self::Identities,
                // Accounts themselves are older than their states.
                Some((
                    "offering_users",
                    "list" | "get" | "create" | "set_username" | "rename" | "set_restricted" | "delete",
                )) => return None,
                Some(("offering_users", _)) => Self::OfferingUserStates,
                Some(("api_keys", _)) => Self::ApiKeys,
                Some(("backend_resources" | "backend_resource_requests", _)) => Self::ResourceImport,
                Some(("user_usage_limits", _)) => Self::UserLimits,
                Some((_, "service_accounts")) => Self::ServiceAccounts,
                Some((_, "course_accounts")) => Self::CourseAccounts,
                _ => return None,
            },
        })
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known to be missing on the server of a [`WaldurClient`]; shared by its clones. No call is made to find it
/// out: the first answer "no such page" tells.
///
/// ```
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, resource: waldur_sdk::types::ResourceUuid) {
/// use waldur_sdk::client::Feature;
///
/// if !waldur.features().is_missing(Feature::LastSync)
///     && let Err(error) = waldur.provider_resources().refresh_last_sync(resource).await
///     && let Some(feature) = waldur.features().note(&error)
/// {
///     println!("this Waldur has no {feature}: {}", feature.consequence()); // once, whatever is tried afterwards
/// }
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ServerFeatures(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    version: Option<String>,
    missing: BTreeSet<Feature>,
}

impl ServerFeatures {
    /// Takes note of an error that says that the server is too old for a call. The feature is answered the first time
    /// only, for the one line of the log.
    pub fn note(&self, error: &Error) -> Option<Feature> {
        // 404 and 405, not an ability that a back end lacks.
        let refused = error.kind() == ErrorKind::Unsupported && error.status().is_some();
        let feature = refused.then(|| Feature::of_operation(error.operation())).flatten()?;
        self.known().missing.insert(feature).then_some(feature)
    }

    /// Whether the server has said that it does not have it.
    pub fn is_missing(&self, feature: Feature) -> bool {
        self.known().missing.contains(&feature)
    }

    /// Everything that the server has said not to have, so far.
    pub fn missing(&self) -> Vec<Feature> {
        self.known().missing.iter().copied().collect()
    }

    /// The version, once [`WaldurClient::detect`] has read it.
    pub fn version(&self) -> Option<String> {
        self.known().version.clone()
    }

    /// Whether the version is one that came before 8, whose numbers were years. `None` while it is not known.
    pub fn is_old(&self) -> Option<bool> {
        let version = self.version()?;
        let major: u32 = version.trim_start_matches('v').split('.').next()?.parse().ok()?;
        Some(!(8..2000).contains(&major))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ServerFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerFeatures").field("version", &self.version()).field("missing", &self.missing()).finish()
    }
}

impl fmt::Display for ServerFeatures {
    /// `Waldur 2024.10, without set_limits, endpoints`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.version() {
            Some(version) => write!(f, "Waldur {version}")?,
            None => f.write_str("Waldur of unknown version")?,
        }
        for (place, feature) in self.missing().into_iter().enumerate() {
            write!(f, "{}{feature}", if place == 0 { ", without " } else { ", " })?;
        }
        Ok(())
    }
}

impl WaldurClient {
    /// What is known to be missing on this server.
    pub fn features(&self) -> &ServerFeatures {
        &self.features
    }

    /// Reads the version of the server, unless it was read before. One call in the life of a client and its clones; a
    /// server that tells its version to its operators only leaves it unknown, which is no error.
    ///
    /// # Errors
    /// As every call, but for a refusal of the version alone.
    pub async fn detect(&self) -> crate::Result<&ServerFeatures> {
        if self.features.version().is_none() {
            match self.version().await {
                Ok(version) => self.features.known().version = Some(version),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
        Ok(&self.features)
    }
}
