//! The system that [`MemoryBackend`](super::MemoryBackend) drives.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    rest::{HttpTransport, TransportError},
    types::{PlanUuid, ResourceUuid},
};

/// A JSON API over objects, kept in memory. Clones share the state.
///
/// | call | what it does |
/// |---|---|
/// | `GET /health` | 200 with the right token, 401 without |
/// | `GET /objects` | all objects, 100 a page (`page`), `X-Total-Count` |
/// | `GET`, `PUT`, `DELETE /objects/{id}` | read; create (409 if it exists); delete (204, 404) |
/// | `PUT /objects/{id}/limits` | merge limits; `null` is unlimited |
/// | `PUT /objects/{id}/status` | set the status |
/// | `PUT /objects/{id}/options` | merge options |
/// | `PUT /objects/{id}/plan` | set the plan |
/// | `PUT`, `DELETE /objects/{id}/members/{name}` | add, remove; both may be repeated |
/// | `PUT /objects/{id}/roles/{name}` | set the roles of a member |
/// | `PUT /objects/{id}/users/{name}/limits` | replace the limits of a user; without any, they are taken away |
/// | `PUT /users/{name}/attributes` | replace what is known of a user |
/// | `GET`, `POST /objects/{id}/keys`, `DELETE /objects/{id}/keys/{client_id}` | first halves of keys; make one; remove one |
/// | `PUT`, `DELETE /projects/{slug}` | the account that objects of one project share; 409 while it has objects |
/// | `GET /usage?month=YYYY-MM` | what each object used in a month, as far as it was counted; `null` where counting failed |
/// | `POST /jobs`, `GET /jobs/{handle}` | work that ends later; one job for one order, one running removal for one object |
#[derive(Clone, Default)]
pub struct MemoryService(Arc<Mutex<State>>);

/// An object as the service holds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryObject {
    /// The stamp: the UUID of the Waldur resource.
    #[serde(default)]
    pub stamp: Option<ResourceUuid>,
    /// The project account it belongs to.
    #[serde(default)]
    pub project: Option<String>,
    /// Limits in the service's own units; `None` is unlimited.
    #[serde(default)]
    pub limits: BTreeMap<String, Option<u64>>,
    /// What the customer may change later.
    #[serde(default)]
    pub options: BTreeMap<String, Value>,
    /// The plan that it was moved to, if it was.
    #[serde(default)]
    pub plan: Option<PlanUuid>,
    /// Who has access.
    #[serde(default)]
    pub members: BTreeSet<String>,
    /// The roles of those who have some.
    #[serde(default)]
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Limits of single users, in the service's own units; `None` is unlimited.
    #[serde(default)]
    pub user_limits: BTreeMap<String, BTreeMap<String, Option<u64>>>,
    /// `active`, `downscaled` or `paused`.
    #[serde(default)]
    pub status: String,
}

/// What an object used in a month, in the service's own units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemoryUsage {
    /// The whole object, by component.
    pub total: BTreeMap<String, Decimal>,
    /// Each user, by component.
    pub users: BTreeMap<String, BTreeMap<String, Decimal>>,
}

impl MemoryUsage {
    fn shown(&self) -> Value {
        let amounts = |amounts: &BTreeMap<String, Decimal>| -> Value {
            amounts.iter().map(|(component, amount)| (component.clone(), amount.to_string())).collect()
        };
        let users: Value = self.users.iter().map(|(user, used)| (user.clone(), amounts(used))).collect();
        json!({ "total": amounts(&self.total), "users": users })
    }
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, MemoryObject>,
    /// By month and object.
    usage: BTreeMap<(String, String), MemoryUsage>,
    uncountable: BTreeSet<String>,
    unanswered: BTreeSet<String>,
    projects: BTreeSet<String>,
    /// By object and first half.
    keys: BTreeMap<(String, String), String>,
    keys_made: u64,
    jobs: BTreeMap<String, Job>,
    refused_members: BTreeSet<String>,
    attributes: BTreeMap<String, Value>,
    made: u64,
    writes: u64,
    started: u64,
}

#[derive(Clone)]
struct Job {
    handle: String,
    kind: String,
    object: String,
    body: MemoryObject,
    state: &'static str,
}

type Answer = (StatusCode, Value);

impl MemoryService {
    /// The bearer token that it wants.
    pub const TOKEN: &'static str = "memory-service-token";

    /// An empty service.
    pub fn new() -> Self {
        Self::default()
    }

    /// The object of this id.
    pub fn object(&self, id: &str) -> Option<MemoryObject> {
        self.state().objects.get(id).cloned()
    }

    /// All objects by id.
    pub fn objects(&self) -> BTreeMap<String, MemoryObject> {
        self.state().objects.clone()
    }

    /// The project accounts that exist.
    pub fn projects(&self) -> BTreeSet<String> {
        self.state().projects.clone()
    }

    /// How many objects were ever made.
    pub fn made(&self) -> u64 {
        self.state().made
    }

    /// How many requests wrote something.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Puts an object there, as somebody else might have.
    pub fn seed(&self, id: impl Into<String>, stamp: Option<ResourceUuid>) {
        let object = MemoryObject { stamp, status: "active".to_owned(), ..MemoryObject::default() };
        self.state().objects.insert(id.into(), object);
    }

    /// Puts an object there, and the account of its project.
    pub fn put(&self, id: impl Into<String>, object: MemoryObject) {
        let mut state = self.state();
        state.projects.extend(object.project.clone());
        state.objects.insert(id.into(), object);
    }

    /// Removes an object behind everybody's back.
    pub fn lose(&self, id: &str) {
        self.state().objects.remove(id);
    }

    /// The keys of an object: the secret by the half that may be shown.
    pub fn keys(&self, id: &str) -> BTreeMap<String, String> {
        let state = self.state();
        let keys = state.keys.iter().filter(|((object, _), _)| object == id);
        keys.map(|((_, client_id), secret)| (client_id.clone(), secret.clone())).collect()
    }

    /// How many keys were ever made.
    pub fn keys_made(&self) -> u64 {
        self.state().keys_made
    }

    /// Puts a key there, as somebody else might have.
    pub fn seed_key(&self, id: impl Into<String>, client_id: impl Into<String>) {
        self.state().keys.insert((id.into(), client_id.into()), "seeded".to_owned());
    }

    /// Counts what an object has used in a month (`2026-11`), in the service's units; zero is counted too.
    pub fn count_usage(&self, id: &str, month: &str, component: &str, amount: impl Into<Decimal>) {
        self.edit_usage(id, month, |usage| {
            usage.total.insert(component.to_owned(), amount.into());
        });
    }

    /// Counts what a user has used of an object. The total is counted by itself.
    pub fn count_user_usage(&self, id: &str, month: &str, user: &str, component: &str, amount: impl Into<Decimal>) {
        self.edit_usage(id, month, |usage| {
            usage.users.entry(user.to_owned()).or_default().insert(component.to_owned(), amount.into());
        });
    }

    /// Forgets what was counted of an object in a month.
    pub fn forget_usage(&self, id: &str, month: &str) {
        self.state().usage.remove(&(month.to_owned(), id.to_owned()));
    }

    /// Says that the usage of an object cannot be told, from now on or no more.
    pub fn fail_usage(&self, id: &str, failing: bool) {
        switch(&mut self.state().uncountable, id, failing);
    }

    /// Leaves an object out of answers about usage, from now on or no more: a list that was cut short.
    pub fn omit_usage(&self, id: &str, omitted: bool) {
        switch(&mut self.state().unanswered, id, omitted);
    }

    fn edit_usage(&self, id: &str, month: &str, change: impl FnOnce(&mut MemoryUsage)) {
        change(self.state().usage.entry((month.to_owned(), id.to_owned())).or_default());
    }

    /// What is known of a user.
    pub fn attributes(&self, name: &str) -> Option<Value> {
        self.state().attributes.get(name).cloned()
    }

    /// Refuses to add or remove this user from now on.
    pub fn refuse_member(&self, name: impl Into<String>) {
        self.state().refused_members.insert(name.into());
    }

    /// The handles of all jobs, oldest first.
    pub fn jobs(&self) -> Vec<String> {
        let mut handles: Vec<_> = self.state().jobs.values().map(|job| job.handle.clone()).collect();
        handles.sort();
        handles
    }

    /// Carries a job out, if it is still running.
    pub fn finish_job(&self, handle: &str) {
        let mut state = self.state();
        let running = |job: &&mut Job| job.handle == handle && job.state == "running";
        let Some(job) = state.jobs.values_mut().find(running) else { return };
        job.state = "done";
        let job = job.clone();
        match job.kind.as_str() {
            "delete" => {
                state.objects.remove(&job.object);
            }
            "options" | "plan" | "limits" => {
                if let Some(object) = state.objects.get_mut(&job.object) {
                    object.options.extend(job.body.options);
                    object.plan = job.body.plan.or(object.plan);
                    object.limits.extend(job.body.limits);
                }
            }
            _ => {
                state.made += 1;
                state.objects.insert(job.object, MemoryObject { status: "active".to_owned(), ..job.body });
            }
        }
    }

    /// Lets a job fail.
    pub fn fail_job(&self, handle: &str) {
        if let Some(job) = self.state().jobs.values_mut().find(|job| job.handle == handle) {
            job.state = "failed";
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryService").field("objects", &self.state().objects).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for MemoryService {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let authorized = request
            .headers()
            .get(http::header::AUTHORIZATION)
            .is_some_and(|value| value.as_bytes() == format!("Bearer {}", Self::TOKEN).as_bytes());
        let (status, body) =
            if authorized { self.state().answer(&request) } else { error(StatusCode::UNAUTHORIZED, "Unauthorized") };
        let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        response.headers_mut().insert("x-total-count", self.state().objects.len().into());
        Ok(response)
    }
}

fn switch(set: &mut BTreeSet<String>, id: &str, on: bool) {
    if on {
        set.insert(id.to_owned());
    } else {
        set.remove(id);
    }
}

fn error(status: StatusCode, code: &str) -> Answer {
    (status, json!({ "code": code }))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Option<T> {
    serde_json::from_value(value).ok()
}

fn member(body: &Value, name: &str) -> Option<Value> {
    body.get(name).cloned()
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

impl State {
    fn answer(&mut self, request: &Request<Bytes>) -> Answer {
        let path: Vec<String> = request.uri().path().split('/').skip(1).map(decoded).collect();
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let body = || serde_json::from_slice::<Value>(request.body()).unwrap_or_default();
        if request.method() != Method::GET {
            self.writes += 1;
        }
        match (request.method().as_str(), path.as_slice()) {
            ("GET", ["health"]) => (StatusCode::OK, json!({ "status": "ok" })),
            ("GET", ["objects"]) => self.list(request.uri().query().unwrap_or_default()),
            ("GET", ["usage"]) => self.usage(request.uri().query().unwrap_or_default()),
            ("GET", ["objects", id]) => self.read(id),
            ("PUT", ["objects", id]) => self.create(id, body()),
            ("DELETE", ["objects", id]) => match self.objects.remove(*id) {
                Some(_) => {
                    self.keys.retain(|(object, _), _| object != id);
                    (StatusCode::NO_CONTENT, Value::Null)
                }
                None => error(StatusCode::NOT_FOUND, "NoSuchObject"),
            },
            ("PUT", ["objects", id, "limits"]) => {
                self.edit(id, |object| read(body()).map(|limits: BTreeMap<_, _>| object.limits.extend(limits)))
            }
            ("PUT", ["objects", id, "options"]) => {
                self.edit(id, |object| read(body()).map(|options: BTreeMap<_, _>| object.options.extend(options)))
            }
            ("PUT", ["objects", id, "plan"]) => {
                self.edit(id, |object| read(member(&body(), "plan")?).map(|plan| object.plan = plan))
            }
            (_, ["objects", id, "keys", ..]) if !self.objects.contains_key(*id) => {
                error(StatusCode::NOT_FOUND, "NoSuchObject")
            }
            ("GET", ["objects", id, "keys"]) => {
                let own = self.keys.keys().filter(|(object, _)| object == id);
                (StatusCode::OK, own.map(|(_, client_id)| json!(client_id)).collect())
            }
            ("POST", ["objects", id, "keys"]) => {
                self.keys_made += 1;
                let (client_id, secret) =
                    (format!("key-{:04}", self.keys_made), format!("s3cr3t-{:04}", self.keys_made));
                self.keys.insert(((*id).to_owned(), client_id.clone()), secret.clone());
                (StatusCode::CREATED, json!({ "client_id": client_id, "secret": secret }))
            }
            ("DELETE", ["objects", id, "keys", client_id]) => {
                match self.keys.remove(&((*id).to_owned(), (*client_id).to_owned())) {
                    Some(_) => (StatusCode::NO_CONTENT, Value::Null),
                    None => error(StatusCode::NOT_FOUND, "NoSuchKey"),
                }
            }
            ("PUT", ["objects", id, "status"]) => {
                self.edit(id, |object| read(member(&body(), "status")?).map(|status| object.status = status))
            }
            ("PUT", ["objects", _, "members", name]) if self.refused_members.contains(*name) => {
                error(StatusCode::FORBIDDEN, "Refused")
            }
            ("PUT", ["objects", id, "members", name]) => {
                self.edit(id, |object| Some(object.members.insert((*name).to_owned())))
            }
            ("DELETE", ["objects", _, "members", name]) if self.refused_members.contains(*name) => {
                error(StatusCode::FORBIDDEN, "Refused")
            }
            ("DELETE", ["objects", id, "members", name]) => self.edit(id, |object| {
                object.roles.remove(*name);
                Some(object.members.remove(*name))
            }),
            ("PUT", ["objects", id, "roles", name])
                if self.objects.get(*id).is_some_and(|object| !object.members.contains(*name)) =>
            {
                error(StatusCode::NOT_FOUND, "NoSuchMember")
            }
            ("PUT", ["objects", id, "roles", name]) => self.edit(id, |object| {
                read(member(&body(), "roles")?).map(|roles| object.roles.insert((*name).to_owned(), roles))
            }),
            ("PUT", ["objects", id, "users", name, "limits"]) => self.edit(id, |object| {
                let limits: BTreeMap<_, _> = read(body())?;
                object.user_limits.insert((*name).to_owned(), limits);
                object.user_limits.retain(|_, limits| !limits.is_empty());
                Some(())
            }),
            ("PUT", ["users", name, "attributes"]) => {
                self.attributes.insert((*name).to_owned(), body());
                (StatusCode::NO_CONTENT, Value::Null)
            }
            ("PUT", ["projects", slug]) => {
                self.projects.insert((*slug).to_owned());
                (StatusCode::NO_CONTENT, Value::Null)
            }
            ("DELETE", ["projects", slug]) => self.remove_project(slug),
            ("POST", ["jobs"]) => self.start(&body()),
            ("GET", ["jobs", handle]) => match self.jobs.values().find(|job| job.handle == *handle) {
                Some(job) => (StatusCode::OK, json!({ "state": job.state, "kind": job.kind })),
                None => error(StatusCode::NOT_FOUND, "NoSuchJob"),
            },
            _ => error(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn read(&self, id: &str) -> Answer {
        match self.objects.get(id).map(serde_json::to_value) {
            Some(Ok(object)) => (StatusCode::OK, object),
            _ => error(StatusCode::NOT_FOUND, "NoSuchObject"),
        }
    }

    /// Every object has a row: what was counted, `{}` where nobody has counted yet, `null` where it cannot be told.
    fn usage(&self, query: &str) -> Answer {
        let month = query.split('&').find_map(|pair| pair.strip_prefix("month=")).unwrap_or_default();
        let row = |(id, object): (&String, &MemoryObject)| {
            let usage = match self.usage.get(&(month.to_owned(), id.clone())) {
                _ if self.uncountable.contains(id) => Value::Null,
                Some(usage) => usage.shown(),
                None => json!({}),
            };
            json!({ "id": id, "stamp": object.stamp, "usage": usage })
        };
        let answered = self.objects.iter().filter(|(id, _)| !self.unanswered.contains(*id));
        (StatusCode::OK, answered.map(row).collect())
    }

    fn create(&mut self, id: &str, body: Value) -> Answer {
        if self.objects.contains_key(id) {
            return error(StatusCode::CONFLICT, "ObjectExists");
        }
        match serde_json::from_value::<MemoryObject>(body) {
            Ok(object) => {
                self.made += 1;
                self.objects.insert(id.to_owned(), MemoryObject { status: "active".to_owned(), ..object });
                (StatusCode::CREATED, Value::Null)
            }
            Err(_) => error(StatusCode::BAD_REQUEST, "InvalidObject"),
        }
    }

    /// Changes an object; `change` is `None` for a body that makes no sense.
    fn edit<T>(&mut self, id: &str, change: impl FnOnce(&mut MemoryObject) -> Option<T>) -> Answer {
        match self.objects.get_mut(id).map(change) {
            None => error(StatusCode::NOT_FOUND, "NoSuchObject"),
            Some(Some(_)) => (StatusCode::NO_CONTENT, Value::Null),
            Some(None) => error(StatusCode::BAD_REQUEST, "InvalidObject"),
        }
    }

    fn remove_project(&mut self, slug: &str) -> Answer {
        if self.objects.values().any(|object| object.project.as_deref() == Some(slug)) {
            return error(StatusCode::CONFLICT, "ProjectInUse");
        }
        if self.projects.remove(slug) {
            (StatusCode::NO_CONTENT, Value::Null)
        } else {
            error(StatusCode::NOT_FOUND, "NoSuchProject")
        }
    }

    fn list(&self, query: &str) -> Answer {
        let page: usize = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("page="))
            .and_then(|page| page.parse().ok())
            .unwrap_or(1);
        let rows = self.objects.iter().skip(page.saturating_sub(1) * 100).take(100).map(|(id, object)| {
            let mut row = serde_json::to_value(object).unwrap_or_default();
            if let Value::Object(row) = &mut row {
                row.insert("id".to_owned(), json!(id));
            }
            row
        });
        (StatusCode::OK, rows.collect())
    }

    /// A second request for the same work gets the first one's handle: creations and changes go by their order, a
    /// removal by its object while it runs.
    fn start(&mut self, body: &Value) -> Answer {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, object) = (text("kind"), text("object"));
        let removal = kind == "delete";
        let key = format!("{kind} {object} {}", if removal { String::new() } else { text("order") });
        if let Some(job) = self.jobs.get(&key).filter(|job| !removal || job.state == "running") {
            return (StatusCode::ACCEPTED, json!({ "handle": job.handle }));
        }
        self.started += 1;
        let handle = format!("job-{:04}", self.started);
        let body = member(body, "content").and_then(read).unwrap_or_default();
        self.jobs.insert(key, Job { handle: handle.clone(), kind, object, body, state: "running" });
        (StatusCode::ACCEPTED, json!({ "handle": handle }))
    }
}
