//! What each path does.

mod accounts;
mod agent_events;
mod agents;
mod api_keys;
mod directory;
mod imports;
mod new_orders;
mod offering_users;
mod offerings;
mod orders;
mod people;
mod provider;
mod resources;
mod routes;
mod usages;
mod user_usages;

use super::{
    answer::{Answer, Outcome},
    incoming::{Incoming, Verb},
    state::State,
    words::Generation,
};

pub(super) use routes::{find, served};

/// What serves a method of a path.
pub(super) type Handler = fn(&mut State, &Incoming<'_>) -> Outcome;

/// A path below `/api/`, with `{}` for an id.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) since: Generation,
    pub(super) until: Generation,
    /// The `Allow` header, which the server sends even for methods that it then refuses.
    pub(super) allow: &'static str,
    pub(super) on: &'static [(Verb, Handler)],
}

impl Route {
    const fn list(path: &'static str, on: &'static [(Verb, Handler)]) -> Self {
        Self { path, since: Generation::V2024, until: Generation::V8, allow: "GET, POST, HEAD, OPTIONS", on }
    }

    const fn detail(path: &'static str, on: &'static [(Verb, Handler)]) -> Self {
        Self {
            path,
            since: Generation::V2024,
            until: Generation::V8,
            allow: "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
            on,
        }
    }

    const fn read(path: &'static str, on: &'static [(Verb, Handler)]) -> Self {
        Self { path, since: Generation::V2024, until: Generation::V8, allow: "GET, HEAD, OPTIONS", on }
    }

    const fn act(path: &'static str, on: &'static [(Verb, Handler)]) -> Self {
        Self { path, since: Generation::V2024, until: Generation::V8, allow: "POST, OPTIONS", on }
    }

    const fn since_8(mut self) -> Self {
        self.since = Generation::V8;
        self
    }

    const fn until_2024(mut self) -> Self {
        self.until = Generation::V2024;
        self
    }

    /// Whether a generation has the path.
    pub(super) fn is_of(&self, generation: Generation) -> bool {
        self.since <= generation && generation <= self.until
    }

    /// The segments in place of `{}` if the path is this route's.
    fn matches(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut ids = Vec::new();
        let mut parts = self.path.split('/');
        for segment in segments {
            match parts.next()? {
                "{}" if !segment.is_empty() => ids.push(segment.clone()),
                part if part == segment => {}
                _ => return None,
            }
        }
        parts.next().is_none().then_some(ids)
    }
}

/// Refuses a method that `Allow` names all the same (recorded: 066, 095, 191).
fn disabled(_: &mut State, call: &Incoming<'_>) -> Outcome {
    Err(Answer::method_not_allowed(call.verb.as_str()))
}

/// The real server serves this and the fake does not: better said than played badly.
pub(super) fn unserved(_: &mut State, call: &Incoming<'_>) -> Outcome {
    Err(Answer::unserved(&format!("{} {}", call.verb.as_str(), call.path)))
}
