//! What is in Harbor's database.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{access::Permission, state::time};

/// The role of a project's administrator.
pub(super) const ADMIN_ROLE: i64 = 1;

/// The kind of group that an OIDC provider names.
pub(super) const OIDC: i64 = 3;

/// The name of a role; `None` where nothing has it, so that members with it are in no list.
pub(super) fn role_name(role: i64) -> Option<&'static str> {
    Some(match role {
        1 => "projectAdmin",
        2 => "developer",
        3 => "guest",
        4 => "maintainer",
        5 => "limitedGuest",
        _ => return None,
    })
}

#[derive(Clone, Debug)]
pub(super) struct Project {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) owner: i64,
    pub(super) metadata: BTreeMap<String, String>,
    /// The id of its list of tolerated vulnerabilities.
    pub(super) allowlist: i64,
    /// What is on that list, and when it ends.
    pub(super) tolerated: Vec<String>,
    pub(super) tolerated_until: Option<i64>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) members: Vec<Member>,
    /// By their name below the project's.
    pub(super) repositories: BTreeMap<String, Repository>,
    /// Uploaded, and part of no image yet.
    pub(super) loose: BTreeMap<String, u64>,
    /// Made by a request, not by a test.
    pub(super) by_request: bool,
}

impl Project {
    pub(super) fn is_public(&self) -> bool {
        self.metadata.get("public").is_some_and(|public| public == "true")
    }

    /// Everything stored, each piece once.
    pub(super) fn blobs(&self) -> BTreeMap<&str, u64> {
        let artifacts = self.repositories.values().flat_map(|repository| &repository.artifacts);
        let all = artifacts.flat_map(|artifact| &artifact.blobs).chain(&self.loose);
        all.map(|(digest, size)| (digest.as_str(), *size)).collect()
    }

    pub(super) fn stored(&self) -> i64 {
        i64::try_from(self.blobs().values().sum::<u64>()).unwrap_or(i64::MAX)
    }
}

/// Somebody with a role in a project.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) id: i64,
    pub(super) entity: Entity,
    pub(super) role: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entity {
    User(i64),
    Group(i64),
}

#[derive(Clone, Debug)]
pub(super) struct Quota {
    pub(super) id: i64,
    pub(super) project: i64,
    pub(super) project_name: String,
    pub(super) hard: i64,
    /// As the database has it, which may be late.
    pub(super) used: i64,
    pub(super) created: Timestamp,
    /// When `used` was last written.
    pub(super) counted: Timestamp,
    /// Goes up with every change of `hard`.
    pub(super) version: u64,
}

impl Quota {
    /// A single quota does not say when it was changed.
    pub(super) fn render(&self) -> Value {
        self.rendered(None)
    }

    /// One of a list says when its usage was counted.
    pub(super) fn render_in_list(&self) -> Value {
        self.rendered(Some(self.counted))
    }

    fn rendered(&self, updated: Option<Timestamp>) -> Value {
        json!({
            "creation_time": time(Some(self.created)),
            "hard": { "storage": self.hard },
            "id": self.id,
            "ref": { "id": self.project, "name": self.project_name, "owner_name": "" },
            "update_time": time(updated),
            "used": { "storage": self.used },
        })
    }
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) kind: i64,
    pub(super) dn: String,
    /// Its place in the table. A row that is changed moves to the end.
    pub(super) place: u64,
    pub(super) by_request: bool,
}

impl Group {
    pub(super) fn render(&self) -> Value {
        let mut row = json!({ "group_name": self.name, "group_type": self.kind, "id": self.id });
        if let (false, Some(row)) = (self.dn.is_empty(), row.as_object_mut()) {
            row.insert("ldap_group_dn".to_owned(), self.dn.as_str().into());
        }
        row
    }
}

#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub(super) id: i64,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl Repository {
    pub(super) fn render(&self, project: &Project, name: &str) -> Value {
        json!({
            "artifact_count": self.artifacts.len(),
            "creation_time": time(Some(self.created)),
            "id": self.id,
            "name": format!("{}/{name}", project.name),
            "project_id": project.id,
            "pull_count": 0,
            "update_time": time(Some(self.updated)),
        })
    }

    /// An artifact by its digest or one of its tags.
    pub(super) fn artifact(&self, reference: &str) -> Option<&Artifact> {
        self.artifacts.iter().find(|artifact| artifact.answers_to(reference))
    }

    pub(super) fn artifact_mut(&mut self, reference: &str) -> Option<&mut Artifact> {
        self.artifacts.iter_mut().find(|artifact| artifact.answers_to(reference))
    }

    pub(super) fn tag_mut(&mut self, name: &str) -> Option<&mut Tag> {
        self.artifacts.iter_mut().flat_map(|artifact| &mut artifact.tags).find(|tag| tag.name == name)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) id: i64,
    pub(super) repository: i64,
    pub(super) digest: String,
    /// Layers, configuration and manifest.
    pub(super) blobs: BTreeMap<String, u64>,
    pub(super) tags: Vec<Tag>,
    pub(super) pushed: Timestamp,
}

impl Artifact {
    fn answers_to(&self, reference: &str) -> bool {
        self.digest == reference || self.tags.iter().any(|tag| tag.name == reference)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Tag {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) immutable: bool,
    pub(super) pushed: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Robot {
    pub(super) id: i64,
    /// Without the server's prefix; that of a project begins with `project+`.
    pub(super) name: String,
    pub(super) secret: SecretString,
    pub(super) description: String,
    /// Days, or -1.
    pub(super) duration: i64,
    /// Seconds since 1970, or -1.
    pub(super) expires_at: i64,
    pub(super) disabled: bool,
    /// The project it belongs to; 0 for a robot of the system.
    pub(super) project: i64,
    pub(super) permissions: Vec<Permission>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl Robot {
    pub(super) fn is_of_the_system(&self) -> bool {
        self.project == 0
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at != -1 && self.expires_at <= now.as_second()
    }

    pub(super) fn level(&self) -> &'static str {
        if self.is_of_the_system() { "system" } else { "project" }
    }

    pub(super) fn render(&self, prefix: &str) -> Value {
        let mut row = json!({
            "creation_time": time(Some(self.created)),
            "disable": self.disabled,
            "duration": self.duration,
            "editable": true,
            "expires_at": self.expires_at,
            "id": self.id,
            "level": self.level(),
            "name": format!("{prefix}{}", self.name),
            "permissions": self.permissions.iter().map(Permission::render).collect::<Vec<_>>(),
            "update_time": time(Some(self.updated)),
        });
        if let (false, Some(row)) = (self.description.is_empty(), row.as_object_mut()) {
            row.insert("description".to_owned(), self.description.as_str().into());
        }
        row
    }
}

#[derive(Clone, Debug)]
pub(super) struct User {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) password: SecretString,
    pub(super) email: String,
    pub(super) realname: String,
    pub(super) comment: String,
    pub(super) is_admin: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
}

impl User {
    /// What is empty is left out.
    pub(super) fn render(&self) -> Value {
        let mut row = json!({
            "admin_role_in_auth": false,
            "creation_time": time(Some(self.created)),
            "sysadmin_flag": self.is_admin,
            "update_time": time(Some(self.updated)),
            "user_id": self.id,
            "username": self.name,
        });
        if let Some(row) = row.as_object_mut() {
            for (name, text) in [("email", &self.email), ("realname", &self.realname), ("comment", &self.comment)] {
                if !text.is_empty() {
                    row.insert(name.to_owned(), text.as_str().into());
                }
            }
        }
        row
    }
}

/// What nobody has to look up twice: which of a project's blobs are new.
pub(super) fn new_bytes(project: &Project, blobs: &BTreeMap<String, u64>) -> u64 {
    let known: BTreeSet<&str> = project.blobs().into_keys().collect();
    blobs.iter().filter(|(digest, _)| !known.contains(digest.as_str())).map(|(_, size)| size).sum()
}
