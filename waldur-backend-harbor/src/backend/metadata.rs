//! What is published about a project, in the names of the Python plugin (harbor.md §5.7). What is not known is left
//! out; it is never 0.

use serde_json::Value;
use waldur_sdk::types::JsonObject;

use super::{
    Inner,
    sight::{Facts, Seen},
    stamp,
};
use crate::{
    client::{GroupName, ProjectId, ProjectName, ProjectQuota, Quota},
    settings::HarborSettings,
};

/// The member that holds the group of the Waldur project.
pub(super) const GROUP: &str = "oidc_group";

/// The page of a project, for people.
pub(super) fn page(settings: &HarborSettings, id: ProjectId) -> String {
    format!("{}harbor/projects/{id}", settings.url)
}

/// What images are pushed to: host and port.
pub(super) fn registry(settings: &HarborSettings) -> String {
    let url = settings.url.as_url();
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

impl Inner {
    pub(super) fn metadata(&self, name: &ProjectName, facts: &Facts, quota: Option<&Quota>) -> JsonObject {
        let mut metadata = JsonObject::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                metadata.insert(key.to_owned(), value);
            }
        };
        put(stamp::PROJECT_ID, Some(facts.id.get().into()));
        put("harbor_project_name", Some(name.as_str().into()));
        put("harbor_url", Some(page(&self.settings, facts.id).into()));
        put("docker_login", Some(registry(&self.settings).into()));
        put("repository_count", facts.repositories.map(Value::from));
        put("storage_used_bytes", quota.and_then(|quota| quota.used).map(Value::from));
        put("quota_bytes", quota.and_then(|quota| quota.limit).map(|limit| limit.wire().into()));
        // Of a project that is older than such notes it is what the order published. While it moves, it is the one that is
        // to have the role, which is noted last.
        if let Some(group) = facts.marks.groups.last() {
            put(GROUP, Some(group.as_str().into()));
        }
        put("creation_time", facts.created.map(|created| created.to_string().into()));
        metadata
    }

    /// With the group that the order bound: the rest is published anew in every synchronisation.
    pub(super) fn metadata_with_group(&self, name: &ProjectName, seen: &Seen, group: &GroupName) -> JsonObject {
        let mut metadata = self.metadata(name, &seen.facts, seen.quota.as_ref().map(ProjectQuota::get));
        metadata.insert(GROUP.to_owned(), group.as_str().into());
        metadata
    }
}
