//! Harbor's errors in the SDK's words (harbor.md §2, §2.2, §2.3, §8): the one place that reads their bodies.

use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde::Deserialize;
use waldur_sdk::{Effect, Error, ErrorKind};

/// Harbor is in read-only mode: nothing can be written until an administrator ends it.
pub const READ_ONLY: &str = "DENIED";
/// The request carried a session cookie, so Harbor asks for a token against forgery. This client sends no cookies:
/// something on the way adds them.
pub const CSRF: &str = "CSRF";
/// Something is in the way of a deletion: repositories in a project, immutable tags in a repository.
pub const PRECONDITION: &str = "PRECONDITION";

/// The operation that asks by `HEAD`, whose answers have no body.
pub(super) const EXISTS: &str = "projects.exists";

const NOT_HARBOR: &str = "something else than Harbor's API answered";

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    errors: Vec<Entry>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    code: String,
    message: String,
}

/// Puts a refusal of Harbor into the SDK's words.
pub(super) fn read(answer: &Response<Bytes>, error: Error) -> Error {
    if error.http().is_some_and(|http| http.method == Method::HEAD) {
        return headless(answer, error);
    }
    let entries = serde_json::from_slice::<Body>(answer.body()).map(|body| body.errors).unwrap_or_default();
    match entries.into_iter().find(|entry| !entry.code.is_empty()) {
        Some(entry) => explain(&entry, error),
        // Harbor gives every one of these a code; something in between made this answer.
        None if matches!(answer.status().as_u16(), 401 | 403 | 404 | 409 | 412) => {
            error.with_kind(ErrorKind::WrongContent).with_message(NOT_HARBOR)
        }
        None => error,
    }
}

/// An answer to `HEAD` has no body. Harbor still says that it would have been JSON; what does not is no answer of
/// Harbor's, and proves no absence.
fn headless(answer: &Response<Bytes>, error: Error) -> Error {
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match answer.status() {
        StatusCode::NOT_FOUND if !kind.to_ascii_lowercase().contains("json") => {
            error.with_kind(ErrorKind::WrongContent).with_message(NOT_HARBOR)
        }
        StatusCode::NOT_FOUND => error.with_message("the project does not exist"),
        StatusCode::UNAUTHORIZED => error.with_message(REFUSED),
        StatusCode::FORBIDDEN => forbidden(error),
        _ => error,
    }
}

const REFUSED: &str = "Harbor refused the credentials: wrong, expired or disabled";

fn explain(entry: &Entry, error: Error) -> Error {
    use ErrorKind as K;
    let error = error.with_code(entry.code.as_str());
    let text = entry.message.to_ascii_lowercase();
    match error.kind() {
        K::Unauthenticated => error.with_message(REFUSED),
        K::PermissionDenied if text.contains("csrf") => {
            let told = "the request reached Harbor with a session cookie, which this client does not send: look for a \
                        proxy that adds cookies";
            error.with_kind(K::WrongContent).with_code(CSRF).with_effect(Effect::NotApplied).with_message(told)
        }
        K::PermissionDenied if entry.code == READ_ONLY => {
            error.with_kind(K::NotReady).with_message("Harbor is in read-only mode")
        }
        K::PermissionDenied => forbidden(error),
        // What every path outside the API gets, in the words of a missing object.
        K::NotFound if text.starts_with("path ") && text.ends_with(" was not found") => {
            error.with_kind(K::Config).with_message("Harbor has no such API at this address: check harbor_url")
        }
        K::Conflict if error.status() == Some(StatusCode::CONFLICT) => {
            error.with_kind(K::AlreadyExists).with_message("Harbor has one of that name already")
        }
        _ => error,
    }
}

/// To a robot, a project that does not exist is one that it has no rights to (harbor.md §2.3).
fn forbidden(error: Error) -> Error {
    let right = right(error.operation());
    let message = if right.is_empty() {
        "Harbor does not permit this".to_owned()
    } else {
        format!("Harbor does not permit this: the account needs {right}")
    };
    error.with_message(message)
}

/// The permission that an operation needs, as Harbor writes them (harbor.md §7).
fn right(operation: &str) -> &'static str {
    match operation {
        "projects.create" => "project:create of the system",
        "projects.list" | "projects.named" | "projects.count" => "project:list of the system",
        "projects.get" | "projects.exists" | "projects.summary" => "project:read on the project, if it exists",
        "projects.set_allowlist" => "project:update on the project, if it exists",
        "projects.delete" | "projects.deletable" => "project:delete on the project, if it exists",
        "quotas.list" | "quotas.of_project" | "quotas.probe" => "quota:list of the system",
        "quotas.get" => "quota:read of the system",
        "quotas.set" | "quotas.probe_update" => "quota:update of the system",
        "groups.list" => "user-group:list of the system",
        "groups.create" | "groups.probe_create" => "user-group:create of the system",
        "groups.delete" => "user-group:delete of the system",
        "members.list" | "members.group" => "member:list on the project, if it exists",
        "members.add_group" => "member:create on the project, if it exists",
        "members.set_role" => "member:update on the project, if it exists",
        "members.remove" => "member:delete on the project, if it exists",
        "repositories.list" => "repository:list on the project, if it exists",
        "repositories.delete" => "repository:delete on the project, if it exists",
        "robots.list" => "robot:list of the system",
        _ => "",
    }
}
