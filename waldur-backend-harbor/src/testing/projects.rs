//! `/projects`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    access::{Call, Caller},
    body::Body,
    pages::Page,
    query::{contains, keywords, sort},
    quotas::checked_limit,
    records::{Entity, Project, role_name},
    refused::Refused,
    state::{State, next, time},
    wire::{Outcome, Reply},
};

const HELD: &str = "the project contains repositories, can not be deleted";

/// What projects can be told apart by, beside `public`; anything else that is sent is dropped.
const METADATA: [&str; 7] = [
    "auto_sbom_generation",
    "auto_scan",
    "enable_content_trust",
    "enable_content_trust_cosign",
    "prevent_vul",
    "reuse_sys_cve_allowlist",
    "severity",
];

/// How much of a project is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Whole,
    /// `with_detail=false`.
    Bare,
    /// As `search` finds it.
    Found,
}

impl State {
    pub(super) fn list_projects(&self, call: &Call<'_>) -> Outcome {
        let (asked, page) = (call.asked, Page::read(call.asked)?);
        let words = keywords(asked)?;
        if words.iter().any(|(key, _)| key != "name") {
            return Err(Refused::unmodelled());
        }
        let part = asked.parameter("name").filter(|part| !part.is_empty());
        let (public, owner) = (asked.flag("public"), asked.parameter("owner").filter(|owner| !owner.is_empty()));
        let sees_all = self.may(call.caller, "project", "list");
        let wanted = |project: &&Project| {
            words.iter().all(|(_, wanted)| wanted.fits(&project.name))
                && part.is_none_or(|part| contains(&project.name, part))
                && public.is_none_or(|public| public == project.is_public())
                && owner.is_none_or(|owner| self.entity_name(Entity::User(project.owner)) == Some(owner))
                && (sees_all || self.shows(call.caller, project))
        };
        let mut found: Vec<&Project> = self.projects_by_name().filter(wanted).collect();
        sort(
            asked,
            &mut found,
            |one, other| one.name.cmp(&other.name),
            |key, one, other| match key {
                "name" => Some(one.name.cmp(&other.name)),
                "project_id" => Some(one.id.cmp(&other.id)),
                "creation_time" => Some(one.created.cmp(&other.created)),
                "update_time" => Some(one.updated.cmp(&other.updated)),
                _ => None,
            },
        )?;
        let detail = if asked.flag("with_detail") == Some(false) { Detail::Bare } else { Detail::Whole };
        Ok(page.reply(asked, &found, |project| self.render_project(call.caller, project, detail)))
    }

    /// A wrong password is nobody's, and nobody sees public projects: an empty list is no proof of anything.
    pub(super) fn shows(&self, caller: Caller, project: &Project) -> bool {
        let sees_all = self.may(caller, "project", "list");
        sees_all
            || project.is_public()
            || match caller {
                Caller::Nobody => false,
                Caller::User(id) => project.members.iter().any(|member| member.entity == Entity::User(id)),
                Caller::Robot(id) => self.robots.get(&id).is_some_and(|robot| {
                    let mut own = robot.permissions.iter().filter(|permission| !permission.is_system());
                    own.any(|permission| permission.namespace == "*" || permission.namespace == project.name)
                }),
            }
    }

    pub(super) fn render_project(&self, caller: Caller, project: &Project, detail: Detail) -> Value {
        let mut allowlist = json!({ "creation_time": time(None), "items": null, "update_time": time(None) });
        let mut row = json!({
            "creation_time": time(Some(project.created)),
            "current_user_role_ids": null,
            "name": project.name,
            "owner_id": project.owner,
            "project_id": project.id,
            "repo_count": project.repositories.len(),
            "update_time": time(Some(project.updated)),
        });
        let Some(members) = row.as_object_mut() else { return row };
        if let Caller::User(id) = caller {
            let role = project.members.iter().find(|member| member.entity == Entity::User(id));
            let role = if self.is_admin(caller) { Some(1) } else { role.map(|member| member.role) };
            if let Some(role) = role {
                members.insert("current_user_role_id".to_owned(), role.into());
                members.insert("current_user_role_ids".to_owned(), json!([role]));
            }
        }
        if detail != Detail::Bare {
            members.insert("metadata".to_owned(), json!(project.metadata));
        }
        if detail == Detail::Whole {
            members.insert("owner_name".to_owned(), json!(self.entity_name(Entity::User(project.owner))));
            if let Some(list) = allowlist.as_object_mut() {
                let items: Vec<_> = project.tolerated.iter().map(|item| json!({ "cve_id": item })).collect();
                let whole =
                    [("id", json!(project.allowlist)), ("items", json!(items)), ("project_id", json!(project.id))];
                list.extend(project.tolerated_until.map(|end| ("expires_at".to_owned(), json!(end))));
                list.extend(whole.map(|(name, value)| (name.to_owned(), value)));
            }
        }
        members.insert("cve_allowlist".to_owned(), allowlist);
        row
    }

    /// Any login will do, and the answer is exact; unless [it is set otherwise](super::Settings::head_needs_right).
    pub(super) fn head_project(&self, call: &Call<'_>) -> Outcome {
        let name = call.asked.required("project_name")?;
        call.require_login()?;
        let project = self.project_named(name);
        if self.settings.head_needs_right && !self.may_in(call.caller, project, "project", "read") {
            return Err(Refused::forbidden("forbidden"));
        }
        match project {
            Some(_) => Ok(Reply::Empty),
            None => Err(Refused::missing(format!("project {name} not found"))),
        }
    }

    pub(super) fn create_project(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "project", "ProjectReq")?;
        let name = body.text("project_name")?.to_owned();
        if name.chars().count() > 255 {
            return Err(Refused::invalid(&["project_name in body should be at most 255 chars long".to_owned()]));
        }
        let limit = body.integer("storage_limit")?;
        let mut metadata = metadata_of(&body)?;
        if let (Some(public), None) = (body.flag("public")?, metadata.get("public")) {
            metadata.insert("public".to_owned(), public.to_string());
        }
        call.require_login()?;
        self.require_maker(call)?;
        let limit = self.limit_of(call, limit);
        let public = metadata.entry("public".to_owned()).or_insert_with(|| "false".to_owned());
        if public != "true" && public != "false" {
            let message = format!("metadata.public should only be 'true' or 'false', but got: '{public}'");
            return Err(Refused::bad(message));
        }
        if let Some(limit) = limit {
            checked_limit(limit).map_err(|problem| Refused::bad(format!("bad request: {problem}")))?;
        }
        if name.is_empty() {
            return Err(Refused::bad("Project name  is illegal in length. (greater than 255 or less than 1)"));
        }
        if !is_valid(&name) {
            return Err(Refused::bad("project name is not in lower case or contains illegal characters"));
        }
        let owner = match call.caller {
            Caller::User(id) => Some(id),
            Caller::Robot(_) | Caller::Nobody => self.first_admin(),
        };
        let owner = owner.ok_or_else(Refused::internal)?;
        if self.project_named(&name).is_some() {
            next(&mut self.counters.project);
            return Err(Refused::conflict(format!("The project named {name} already exists")));
        }
        let id = self.insert_project(&name, owner, metadata);
        if let Some(project) = self.projects.get_mut(&id) {
            project.by_request = true;
        }
        if let Some(limit) = limit {
            self.insert_quota(id, limit);
        }
        Ok(Reply::created(&if call.asked.wants_name() { format!("projects/{name}") } else { format!("projects/{id}") }))
    }

    /// A robot of a project can make none; where only administrators may, neither can a robot without that right.
    fn require_maker(&self, call: &Call<'_>) -> Result<(), Refused> {
        if let Caller::Robot(id) = call.caller
            && self.robots.get(&id).is_some_and(|robot| !robot.is_of_the_system())
        {
            return Err(Refused::forbidden("Only system level robot can create project"));
        }
        let restricted = self.settings.project_creation_restriction == "adminonly";
        if restricted && !self.may(call.caller, "project", "create") {
            return Err(Refused::forbidden("Only system admin can create project"));
        }
        Ok(())
    }

    /// What was asked for is set aside without a word where the caller may not ask, or asks for 0. Without quotas, there
    /// is none.
    fn limit_of(&self, call: &Call<'_>, asked: Option<i64>) -> Option<i64> {
        let may_ask = self.may(call.caller, "project", "create");
        let limit = asked.filter(|limit| *limit != 0 && may_ask).unwrap_or(self.settings.storage_per_project);
        self.settings.quota_per_project.then_some(limit)
    }

    pub(super) fn get_project(&self, call: &Call<'_>) -> Outcome {
        let project = self.project_for(call, "project", "read")?;
        Ok(Reply::Json(self.render_project(call.caller, project, Detail::Whole)))
    }

    /// Merges the metadata, and replaces the list of tolerated vulnerabilities. What metadata say is looked at only when a
    /// project is made.
    pub(super) fn update_project(&mut self, call: &Call<'_>) -> Outcome {
        let body = Body::read(call.asked, "project", "ProjectReq")?;
        let metadata = metadata_of(&body)?;
        let list = body.object("cve_allowlist")?;
        let id = self.project_for(call, "project", "update")?.id;
        let list = list.map(|list| tolerated(&list, id, self.settings.is_since(2, 14))).transpose()?;
        if let Some(project) = self.projects.get_mut(&id) {
            project.metadata.extend(metadata);
            if let Some(list) = list {
                (project.tolerated, project.tolerated_until) = list;
            }
        }
        Ok(Reply::Empty)
    }

    pub(super) fn delete_project(&mut self, call: &Call<'_>) -> Outcome {
        let project = self.project_for(call, "project", "delete")?;
        if !project.repositories.is_empty() {
            return Err(Refused::precondition(format!("precondition failed: {HELD}")));
        }
        let id = project.id;
        self.remove_project(id);
        Ok(Reply::Empty)
    }

    /// What is false is left out.
    pub(super) fn get_deletable(&self, call: &Call<'_>) -> Outcome {
        let held = !self.project_for(call, "project", "delete")?.repositories.is_empty();
        Ok(Reply::Json(if held { json!({ "message": HELD }) } else { json!({ "deletable": true }) }))
    }

    pub(super) fn get_summary(&self, call: &Call<'_>) -> Outcome {
        let project = self.project_for(call, "project", "read")?;
        let mut summary = Map::new();
        if self.may_in(call.caller, Some(project), "member", "list") {
            let counts =
                ["project_admin_count", "developer_count", "guest_count", "maintainer_count", "limited_guest_count"];
            for (count, role) in counts.into_iter().zip(1..) {
                let with_role = project.members.iter().filter(|member| member.role == role).count();
                if with_role > 0 {
                    summary.insert(count.to_owned(), with_role.into());
                }
            }
        }
        // Neither a missing right, nor quotas switched off, nor a missing row is an error: the member is left out.
        let reads_quota = self.settings.quota_per_project && self.may_in(call.caller, Some(project), "quota", "read");
        if let Some(quota) = self.quota_of(project.id).filter(|_| reads_quota) {
            let storage = json!({ "hard": { "storage": quota.hard }, "used": { "storage": quota.used } });
            summary.insert("quota".to_owned(), storage);
        }
        summary.insert("repo_count".to_owned(), project.repositories.len().into());
        Ok(Reply::Json(Value::Object(summary)))
    }

    /// Members by name. Those whose role does not exist are in no list, and yet they count.
    pub(super) fn listed_members<'a>(&'a self, project: &'a Project) -> Vec<(&'a str, Value)> {
        let row = |member: &super::records::Member| {
            let name = self.entity_name(member.entity)?;
            let (entity, kind) = match member.entity {
                Entity::User(id) => (id, "u"),
                Entity::Group(id) => (id, "g"),
            };
            let row = json!({
                "entity_id": entity, "entity_name": name, "entity_type": kind, "id": member.id,
                "project_id": project.id, "role_id": member.role, "role_name": role_name(member.role)?,
            });
            Some((name, row))
        };
        let mut rows: Vec<_> = project.members.iter().filter_map(row).collect();
        rows.sort_by_key(|(name, _)| *name);
        rows
    }
}

/// Texts, all of them: a JSON `true` is refused.
fn metadata_of(body: &Body) -> Result<BTreeMap<String, String>, Refused> {
    let Some(sent) = body.object("metadata")? else { return Ok(BTreeMap::new()) };
    let mut metadata = BTreeMap::new();
    for name in METADATA.into_iter().chain(["public"]) {
        let text = sent.text(name)?;
        if !text.is_empty() {
            metadata.insert(name.to_owned(), if name == "severity" { text.to_lowercase() } else { text.to_owned() });
        }
    }
    Ok(metadata)
}

/// The entries of a list, which may be any text, and when it ends. It may say whose it is; an entry that is there twice
/// or, from 2.14 on, blank is an error that nobody foresaw, and nothing of the request is kept.
fn tolerated(list: &Body, project: i64, no_blanks: bool) -> Result<(Vec<String>, Option<i64>), Refused> {
    let said = list.integer("project_id")?.filter(|said| *said != 0 && *said != project);
    if let Some(said) = said {
        return Err(Refused::bad(format!("project_id in cve_allowlist must be {project} but it's {said}")));
    }
    let mut items = Vec::new();
    for row in list.objects("items")? {
        let item = row.text("cve_id")?.to_owned();
        if (no_blanks && item.trim().is_empty()) || items.contains(&item) {
            return Err(Refused::internal());
        }
        items.push(item);
    }
    Ok((items, list.integer("expires_at")?))
}

/// Lower case, with single separators between letters and digits.
pub(super) fn is_valid(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.split(['.', '_', '-']).all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_harbor_takes() {
        for (name, valid) in [
            ("waldur-a", true),
            ("a.b_c-1", true),
            ("12345", true),
            ("a--b", false),
            ("a-", false),
            ("-a", false),
            ("A", false),
            ("ä", false),
            ("a._b", false),
        ] {
            assert_eq!(is_valid(name), valid, "{name}");
        }
    }
}
