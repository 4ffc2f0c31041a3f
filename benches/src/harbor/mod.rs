//! A Harbor in memory, as far as the two agents that are compared ask for it.
//!
//! It is built from exchanges with Harbor 2.9.0, those of `tests/recorded/harbor`, which are replayed against it, and
//! from harbor.md where they say nothing. It plays the login of a system administrator: a project that does not exist
//! is a 404 to it, where a robot would see a 403.
//!
//! - **Quotas have ids of their own**: a refused duplicate uses up the id of a project, but not that of a quota, so the
//!   two part company as they do on the real server.
//! - **Filters**: `name` is a substring, `q=name=…` exact, ten rows a page unless asked otherwise. A list of projects
//!   answers callers without a valid login too, with public projects only.
//! - **Statuses**: 201 with `Location`, 200 without a body, never 204.
//!
//! Inventions, which nobody should lean on: the sentences of 422 about a body, the counts by role in a summary, the
//! order of `usergroups/search` (the shortest name first, as later versions have it). It knows nothing of robots, users,
//! artifacts and configuration. Whatever it does not know is answered `501` and listed by [`FakeHarbor::unmodelled`].

mod groups;
mod model;
mod pages;
mod projects;
mod quotas;
mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use serde_json::json;
use waldur_sdk::rest::{HttpTransport, TransportError};

use model::State;
pub use model::{ProjectView, Seed};
use wire::{Asked, Outcome, Refusal};

/// The administrator's name.
pub const USER: &str = "admin";

/// The administrator's password.
pub const PASSWORD: &str = "Harbor12345";

/// A Harbor. Clones are handles to the same one.
#[derive(Clone, Default)]
pub struct FakeHarbor {
    state: Arc<Mutex<State>>,
}

impl FakeHarbor {
    /// A Harbor as it is after its installation: one public project, `library`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a private project there, behind the API's back.
    pub fn seed(&self, seed: &Seed) {
        self.state().seed(seed);
    }

    /// A project by its name.
    pub fn project(&self, name: &str) -> Option<ProjectView> {
        self.state().view(name)
    }

    /// The names of all projects but `library`.
    pub fn projects(&self) -> Vec<String> {
        let state = self.state();
        let names = state.projects.values().map(|project| project.name.clone());
        names.filter(|name| name != model::LIBRARY).collect()
    }

    /// `METHOD path` of requests that the real server would answer and this does not.
    pub fn unmodelled(&self) -> Vec<String> {
        self.state().unmodelled.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeHarbor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeHarbor").field("projects", &self.state().projects.len()).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for FakeHarbor {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (parts, body) = request.into_parts();
        let mut state = self.state();
        state.tick();
        let outcome = match Asked::read(&parts, &body) {
            Some(asked) => answer(&mut state, &asked),
            None => Err(Refusal::unmodelled()),
        };
        if matches!(&outcome, Err(refusal) if refusal.is_unmodelled()) {
            state.unmodelled.push(format!("{} {}", parts.method, parts.uri));
        }
        Ok(wire::print(outcome, parts.method == Method::HEAD))
    }
}

fn answer(state: &mut State, asked: &Asked<'_>) -> Outcome {
    let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
    match (asked.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => Ok(wire::json(&json!({ "components": [], "status": "healthy" }))),
        ("GET", ["projects"]) => projects::list(state, asked),
        _ if !asked.is_admin => Err(Refusal::unauthorized()),
        ("HEAD", ["projects"]) => projects::exists(state, asked),
        ("POST", ["projects"]) => projects::create(state, asked),
        (method, ["projects"]) => Err(Refusal::method(method, "HEAD,GET,POST")),
        ("GET", ["projects", project]) => projects::retrieve(state, asked, project),
        ("DELETE", ["projects", project]) => projects::delete(state, asked, project),
        ("GET", ["projects", project, "summary"]) => projects::summary(state, asked, project),
        ("GET", ["projects", project, "_deletable"]) => projects::deletable(state, asked, project),
        ("GET", ["projects", project, "members"]) => groups::members(state, asked, project),
        ("POST", ["projects", project, "members"]) => groups::add_member(state, asked, project),
        ("GET", ["quotas"]) => quotas::list(state, asked),
        ("GET", ["quotas", quota]) => quotas::retrieve(state, quota),
        ("PUT", ["quotas", quota]) => quotas::change(state, asked, quota),
        ("GET", ["usergroups"]) => groups::list(state, asked),
        ("POST", ["usergroups"]) => groups::create(state, asked),
        ("GET", ["usergroups", "search"]) => groups::search(state, asked),
        _ => Err(Refusal::unmodelled()),
    }
}
