//! `/projects`.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{
    model::{Project, State},
    pages,
    wire::{self, Asked, Outcome, Refusal},
};

const HELD: &str = "the project contains repositories, can not be deleted";

pub(super) fn list(state: &State, asked: &Asked<'_>) -> Outcome {
    asked.knows_only(&["page", "page_size", "name", "q", "with_detail", "sort"])?;
    if asked.parameter("sort").is_some_and(|sort| sort != "name") {
        return Err(Refusal::unmodelled());
    }
    let exact = match asked.parameter("q") {
        Some(q) => Some(q.strip_prefix("name=").filter(|name| !name.starts_with('~')).ok_or_else(Refusal::unmodelled)?),
        None => None,
    };
    let part = asked.parameter("name").unwrap_or_default().to_lowercase();
    let wanted = |project: &&Project| {
        project.name.contains(&part)
            && exact.is_none_or(|exact| project.name == exact)
            && (asked.is_admin || project.is_public())
    };
    let mut found: Vec<&Project> = state.projects.values().filter(wanted).collect();
    found.sort_by_key(|project| &project.name);
    pages::page(asked, &found, |project| project.render())
}

pub(super) fn exists(state: &State, asked: &Asked<'_>) -> Outcome {
    let name = asked.parameter("project_name").ok_or_else(|| Refusal::unprocessable("project_name is required"))?;
    match state.project_named(name) {
        Some(_) => Ok(wire::empty()),
        None => Err(missing(name)),
    }
}

pub(super) fn create(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let body = asked.body()?;
    let name = text(&body, "project_name")?;
    if name.is_empty() || name.len() > 255 {
        return Err(Refusal::bad(format!(
            "Project name {name} is illegal in length. (greater than 255 or less than 1)"
        )));
    }
    if !is_valid(name) {
        return Err(Refusal::bad("project name is not in lower case or contains illegal characters"));
    }
    let hard = match body.get("storage_limit").filter(|limit| !limit.is_null()) {
        None => -1,
        Some(limit) => match limit.as_i64() {
            None => return Err(Refusal::unprocessable("parsing storage_limit failed")),
            // harbor.md §3: the global default, which is none.
            Some(0) => -1,
            Some(limit) => limit,
        },
    };
    if hard < -1 {
        return Err(Refusal::bad(format!("invalid non-positive value for quota limit, value={hard}")));
    }
    if state.project_named(name).is_some() {
        // The database has given the number out by then.
        state.next_project += 1;
        return Err(Refusal::conflict(format!("The project named {name} already exists")));
    }
    let mut metadata = body.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.entry("public").or_insert_with(|| "false".into());
    let id = state.add_project(name, metadata, hard);
    wire::created(&if asked.location_by_name { format!("projects/{name}") } else { format!("projects/{id}") })
}

pub(super) fn retrieve(state: &State, asked: &Asked<'_>, project: &str) -> Outcome {
    Ok(wire::json(&find(state, asked, project)?.render()))
}

pub(super) fn delete(state: &mut State, asked: &Asked<'_>, project: &str) -> Outcome {
    let project = find(state, asked, project)?;
    let (id, quota) = (project.id, project.quota);
    if project.repositories > 0 {
        let message = format!("precondition failed: {HELD}");
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION", message));
    }
    state.projects.remove(&id);
    state.quotas.remove(&quota);
    Ok(wire::empty())
}

pub(super) fn summary(state: &State, asked: &Asked<'_>, project: &str) -> Outcome {
    let project = find(state, asked, project)?;
    let quota = state.quotas.get(&project.quota).ok_or_else(Refusal::unmodelled)?;
    let mut summary = Map::new();
    let roles = ["project_admin_count", "developer_count", "guest_count", "maintainer_count", "limited_guest_count"];
    for (count, role) in roles.into_iter().zip(1..) {
        let with_role = project.members.iter().filter(|member| member.role == role).count();
        // Zero is left out.
        if with_role > 0 {
            summary.insert(count.to_owned(), with_role.into());
        }
    }
    let storage = json!({ "hard": { "storage": quota.hard }, "used": { "storage": quota.used } });
    summary.extend([("quota".to_owned(), storage), ("repo_count".to_owned(), project.repositories.into())]);
    Ok(wire::json(&Value::Object(summary)))
}

/// Recorded: what is false is left out.
pub(super) fn deletable(state: &State, asked: &Asked<'_>, project: &str) -> Outcome {
    let held = find(state, asked, project)?.repositories > 0;
    Ok(wire::json(&if held { json!({ "message": HELD }) } else { json!({ "deletable": true }) }))
}

/// A project by its name, or by its id when the segment is a number and nobody said that it is a name.
pub(super) fn find<'a>(state: &'a State, asked: &Asked<'_>, project: &str) -> Result<&'a Project, Refusal> {
    let found = match project.parse() {
        Ok(id) if !asked.by_name => state.projects.get(&id),
        _ => state.project_named(project),
    };
    found.ok_or_else(|| missing(project))
}

fn missing(project: &str) -> Refusal {
    Refusal::not_found(format!("project {project} not found"))
}

/// A text that may be missing.
pub(super) fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Refusal::unprocessable(&format!("parsing {name} failed"))),
    }
}

/// harbor.md §6: lower case, with single separators between letters and digits.
fn is_valid(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.split(['.', '_', '-']).all(part)
}
