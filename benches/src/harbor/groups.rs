//! `/usergroups`, and who of them is a member of a project.

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    model::{Group, Project, State},
    pages,
    projects::{find, text},
    wire::{self, Asked, Outcome, Refusal},
};

const ROLES: [&str; 5] = ["projectAdmin", "developer", "guest", "maintainer", "limitedGuest"];

pub(super) fn list(state: &State, asked: &Asked<'_>) -> Outcome {
    asked.knows_only(&["page", "page_size", "group_name"])?;
    let part = asked.parameter("group_name").unwrap_or_default();
    let found: Vec<&Group> = state.groups.values().filter(|group| group.name.contains(part)).collect();
    pages::page(asked, &found, |group| render(group))
}

pub(super) fn search(state: &State, asked: &Asked<'_>) -> Outcome {
    asked.knows_only(&["page", "page_size", "groupname"])?;
    let part = asked.parameter("groupname").ok_or_else(|| Refusal::unprocessable("groupname in query is required"))?;
    let mut found: Vec<&Group> = state.groups.values().filter(|group| group.name.contains(part)).collect();
    found.sort_by_key(|group| (group.name.len(), &group.name));
    pages::page(asked, &found, |group| render(group))
}

pub(super) fn create(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let body = asked.body()?;
    let (name, dn) = (text(&body, "group_name")?, text(&body, "ldap_group_dn")?);
    let kind = body.get("group_type").and_then(Value::as_i64).unwrap_or_default();
    if name.is_empty() {
        return Err(Refusal::wordless(StatusCode::BAD_REQUEST));
    }
    if kind == 1 && dn.is_empty() {
        return Err(Refusal::unmodelled());
    }
    if state.group_named(name).is_some() {
        return Err(Refusal::conflict(format!(
            "duplicate user group, group name:{name}, group type: {kind}, ldap group DN: {dn}"
        )));
    }
    let id = state.add_group(name, kind, (!dn.is_empty()).then(|| dn.to_owned()));
    wire::created(&format!("usergroups/{id}"))
}

/// Recorded: the total is that of all members, whatever name was asked for, and the name is exact.
pub(super) fn members(state: &State, asked: &Asked<'_>, project: &str) -> Outcome {
    asked.knows_only(&["page", "page_size", "entityname"])?;
    let project = find(state, asked, project)?;
    let mut rows = rendered(state, project);
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let total = rows.len();
    if let Some(name) = asked.parameter("entityname") {
        rows.retain(|(entity, _)| entity == name);
    }
    pages::counted(asked, &rows, total, |(_, row)| row.clone())
}

/// A group by its id, or by its name: one that is not known is made.
pub(super) fn add_member(state: &mut State, asked: &Asked<'_>, project: &str) -> Outcome {
    let body = asked.body()?;
    let project = find(state, asked, project)?.id;
    let role = body.get("role_id").and_then(Value::as_i64).unwrap_or_default();
    let group = body.get("member_group").and_then(Value::as_object).ok_or_else(Refusal::unmodelled)?;
    if !(1..=5).contains(&role) {
        return Err(Refusal::unmodelled());
    }
    let name = text(group, "group_name")?;
    let group = match group.get("id").and_then(Value::as_i64).filter(|id| *id != 0) {
        Some(id) if state.groups.contains_key(&id) => id,
        Some(id) => return Err(Refusal::bad(format!("Group {id} not found"))),
        None if name.is_empty() => return Err(Refusal::unmodelled()),
        None => {
            let kind = group.get("group_type").and_then(Value::as_i64).unwrap_or_default();
            let known = state.group_named(name).map(|group| group.id);
            known.unwrap_or_else(|| state.add_group(name, kind, None))
        }
    };
    let there = || Refusal::conflict("The project member specified already exist");
    let id = state.add_member(project, group, role).ok_or_else(there)?;
    wire::created(&format!("{}/{id}", asked.path.join("/")))
}

fn rendered(state: &State, project: &Project) -> Vec<(String, Value)> {
    let row = |member: &super::model::Member| {
        let (name, id, kind) = match member.group.and_then(|id| state.groups.get(&id)) {
            Some(group) => (group.name.clone(), group.id, "g"),
            None => (super::USER.to_owned(), 1, "u"),
        };
        let index = usize::try_from(member.role - 1).unwrap_or(usize::MAX);
        let row = json!({
            "entity_id": id, "entity_name": name, "entity_type": kind, "id": member.id,
            "project_id": project.id, "role_id": member.role, "role_name": ROLES.get(index),
        });
        (name, row)
    };
    project.members.iter().map(row).collect()
}

fn render(group: &Group) -> Value {
    let mut row = json!({ "group_name": group.name, "group_type": group.kind, "id": group.id });
    if let (Some(dn), Some(row)) = (&group.dn, row.as_object_mut()) {
        row.insert("ldap_group_dn".to_owned(), dn.as_str().into());
    }
    row
}
