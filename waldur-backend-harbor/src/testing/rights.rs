//! What robots can be given, by release (harbor.md §7).

use super::settings::Settings;

/// A resource and an action.
type Right = (&'static str, &'static str);

/// Since 2.10.
const SYSTEM: &[(&str, &[&str])] = &[
    ("audit-log", &["list"]),
    ("catalog", &["read"]),
    ("garbage-collection", &["read", "create", "list", "update", "stop"]),
    ("jobservice-monitor", &["list", "stop"]),
    ("label", &["read", "create", "delete", "update"]),
    ("preheat-instance", &["read", "create", "delete", "list", "update"]),
    ("project", &["list", "create"]),
    ("purge-audit", &["read", "create", "list", "update", "stop"]),
    ("quota", &["read", "list"]),
    ("registry", &["read", "create", "delete", "list", "update"]),
    ("replication", &["read", "create", "list"]),
    ("replication-adapter", &["list"]),
    ("replication-policy", &["read", "create", "delete", "list", "update"]),
    ("scan-all", &["read", "update", "stop", "create"]),
    ("scanner", &["read", "create", "delete", "list", "update"]),
    ("security-hub", &["read", "list"]),
    ("system-volumes", &["read"]),
];

/// Since 2.12.
const SYSTEM_LATER: &[(&str, &[&str])] = &[
    ("ldap-user", &["create", "list"]),
    ("quota", &["update"]),
    ("robot", &["create", "read", "list", "delete"]),
    ("user", &["create", "read", "update", "list", "delete"]),
    ("user-group", &["create", "read", "update", "list", "delete"]),
];

/// Since 2.10.
const PROJECT: &[(&str, &[&str])] = &[
    ("accessory", &["list"]),
    ("artifact", &["read", "create", "list", "delete"]),
    ("artifact-addition", &["read"]),
    ("artifact-label", &["create", "delete"]),
    ("immutable-tag", &["create", "delete", "list", "update"]),
    ("label", &["read", "create", "delete", "list", "update"]),
    ("log", &["list"]),
    ("metadata", &["read", "create", "delete", "list", "update"]),
    ("notification-policy", &["read", "create", "delete", "list", "update"]),
    ("preheat-policy", &["read", "create", "delete", "list", "update"]),
    ("project", &["read", "delete", "update"]),
    ("quota", &["read"]),
    ("repository", &["read", "update", "delete", "list", "pull", "push"]),
    ("sbom", &["create", "stop", "read"]),
    ("scan", &["create", "read", "stop"]),
    ("scanner", &["create", "read"]),
    ("tag", &["create", "list", "delete"]),
    ("tag-retention", &["read", "create", "delete", "list", "update"]),
];

/// Since 2.12.
const PROJECT_LATER: &[(&str, &[&str])] = &[
    ("export-cve", &["create", "read"]),
    ("member", &["create", "read", "update", "list", "delete"]),
    ("robot", &["create", "read", "list", "delete"]),
];

/// In the system.
pub(super) fn system(settings: &Settings) -> Vec<Right> {
    all(settings, SYSTEM, SYSTEM_LATER)
}

/// In projects.
pub(super) fn project(settings: &Settings) -> Vec<Right> {
    all(settings, PROJECT, PROJECT_LATER)
}

fn all(
    settings: &Settings,
    first: &[(&'static str, &[&'static str])],
    later: &[(&'static str, &[&'static str])],
) -> Vec<Right> {
    let later = if settings.is_since(2, 12) { later } else { &[] };
    let pairs = first.iter().chain(later);
    pairs.flat_map(|(resource, actions)| actions.iter().map(|action| (*resource, *action))).collect()
}
