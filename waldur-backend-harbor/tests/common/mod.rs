//! Clients and back ends over a script or over the fake Harbor, on clocks that tests move.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

mod exchanges;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use waldur_backend_harbor::{
    HarborBackend, HarborSettings,
    client::{HarborClient, ProjectName},
    testing::{FakeHarbor, FakeHarborBuilder, SeedProject},
};
use waldur_sdk::{
    Error, Result,
    backend::{
        CreateRequest, Created, DeleteRequest, LimitChange, MarketplaceResource, OpContext, Progress, Removed,
        ResourceBackend as _, StatusControl as _, Verified,
    },
    rest::{BaseUrl, Environment, Http, HttpTransport, PlainHttp, RetryPolicy, TransportError, TransportErrorKind},
    settings::{AccountingType, BackendSettings, Component, Components},
    testing::{Answer, ScriptedTransport},
    types::{BackendId, Decimal, Limit, Limits, OfferingUuid, OrderUuid, ResourceUuid, Timestamp, Uuid, WaldurAmount},
};

pub(crate) const GIB: i64 = 1 << 30;
pub(crate) const URL: &str = "http://localhost:8080";
pub(crate) const ROBOT: &str = "robot$waldur";
pub(crate) const SECRET: &str = "canary-robot-secret-never-to-be-seen";

/// The name that [`resource`] gets, and the name of its group.
pub(crate) const NAME: &str = "waldur-test-registry";
pub(crate) const GROUP: &str = "waldur-test-project";

/// What the clocks show: a date, and the virtual time since the test began to look.
pub(crate) fn now() -> Timestamp {
    thread_local! {
        static BEGIN: OnceLock<Instant> = const { OnceLock::new() };
    }
    let begin = BEGIN.with(|begin| *begin.get_or_init(Instant::now));
    let base: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    base.checked_add(SignedDuration::try_from(begin.elapsed()).unwrap()).unwrap()
}

/// Sleeps on the test's clock, draws no jitter.
pub(crate) fn environment() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| Instant::now().into_std())
        .with_wall(now)
        .with_random(|| 0)
}

pub(crate) fn http(transport: impl HttpTransport) -> Http {
    Http::new(transport).with_environment(environment())
}

pub(crate) fn root() -> BaseUrl {
    BaseUrl::parse("harbor_url", URL, PlainHttp::LoopbackOnly).unwrap()
}

pub(crate) fn client(transport: impl HttpTransport) -> HarborClient {
    HarborClient::new(http(transport), &root(), ROBOT, SECRET).unwrap()
}

pub(crate) fn client_of(transport: impl HttpTransport, fake: &FakeHarbor) -> HarborClient {
    HarborClient::new(http(transport), &root(), fake.robot_login(), fake.robot_secret().clone()).unwrap()
}

/// A client that sends everything once.
pub(crate) fn impatient(transport: impl HttpTransport) -> HarborClient {
    let http = http(transport).with_retry(RetryPolicy::none());
    HarborClient::new(http, &root(), ROBOT, SECRET).unwrap()
}

pub(crate) fn project(name: &str) -> ProjectName {
    ProjectName::new(name).unwrap()
}

/// An answer with Harbor's error body.
pub(crate) fn refused(status: u16, code: &str, message: &str) -> Answer {
    Answer::status(status).with_json(&json!({ "errors": [{ "code": code, "message": message }] }))
}

/// `METHOD path?query` of every request of a script, without the API's own path.
pub(crate) fn lines(script: &ScriptedTransport) -> Vec<String> {
    let line = |request: &waldur_sdk::testing::Recorded| line(&request.method, request.path(), request.query());
    script.requests().iter().map(line).collect()
}

fn line(method: &http::Method, path: &str, query: &str) -> String {
    let path = path.strip_prefix("/api/v2.0").unwrap();
    format!("{method} {path}{}{query}", if query.is_empty() { "" } else { "?" })
}

/// A fake Harbor behind a gate that keeps a log and can fail.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) fake: FakeHarbor,
    log: Arc<Mutex<Vec<String>>>,
    faults: Arc<Mutex<Vec<Fault>>>,
    events: Arc<Mutex<Vec<(String, Event)>>>,
}

/// What happens at Harbor after a request.
type Event = Box<dyn FnOnce(&FakeHarbor) + Send>;

#[derive(Clone)]
struct Fault {
    pattern: String,
    left: u32,
    carried_out: bool,
    failure: Failure,
}

#[derive(Clone)]
pub(crate) enum Failure {
    Status(u16, String),
    Transport(TransportErrorKind),
}

impl Failure {
    /// 500 in Harbor's own words.
    pub(crate) fn internal() -> Self {
        Self::error(500, "UNKNOWN", "internal server error")
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::Status(status, json!({ "errors": [{ "code": code, "message": message }] }).to_string())
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::Status(200, body.to_string())
    }
}

pub(crate) const ALWAYS: u32 = u32::MAX;

impl Gate {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(detail: impl FnOnce(FakeHarborBuilder) -> FakeHarborBuilder) -> Self {
        Self::over(detail(exchanges::written_down(FakeHarbor::builder().clock(now))).build())
    }

    pub(crate) fn over(fake: FakeHarbor) -> Self {
        Self { fake, log: Arc::default(), faults: Arc::default(), events: Arc::default() }
    }

    /// The next `times` requests whose line contains `pattern` fail and are not carried out.
    pub(crate) fn fail(&self, pattern: &str, times: u32, failure: Failure) {
        self.add(pattern, times, false, failure);
    }

    /// The same, but they are carried out: only the answer is lost.
    pub(crate) fn lose_answer(&self, pattern: &str, times: u32, failure: Failure) {
        self.add(pattern, times, true, failure);
    }

    /// Something happens at Harbor when it has answered the first request whose line contains `pattern`.
    pub(crate) fn after(&self, pattern: &str, event: impl FnOnce(&FakeHarbor) + Send + 'static) {
        self.events.lock().unwrap().push((pattern.to_owned(), Box::new(event)));
    }

    /// The robot expires when Harbor has answered the first request whose line contains `pattern`.
    pub(crate) fn expire_after(&self, pattern: &str) {
        self.after(pattern, |fake| {
            assert!(fake.edit_robot(fake.robot_login(), |robot| *robot.expires_at = 1));
        });
    }

    fn happen(&self, line: &str) {
        let mut events = self.events.lock().unwrap();
        let due = events.iter().position(|(pattern, _)| line.contains(pattern.as_str()));
        if let Some((_, event)) = due.map(|due| events.remove(due)) {
            event(&self.fake);
        }
    }

    /// Nothing fails any more.
    pub(crate) fn mend(&self) {
        self.faults.lock().unwrap().clear();
    }

    fn add(&self, pattern: &str, left: u32, carried_out: bool, failure: Failure) {
        self.faults.lock().unwrap().push(Fault { pattern: pattern.to_owned(), left, carried_out, failure });
    }

    /// Takes the log: `METHOD path?query body`.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// Takes what was written.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        let log = self.take_log().into_iter();
        log.filter(|line| !line.starts_with("GET ") && !line.starts_with("HEAD ")).collect()
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.iter_mut().find(|fault| fault.left > 0 && line.contains(&fault.pattern))?;
        fault.left -= 1;
        Some(fault.clone())
    }
}

#[async_trait]
impl HttpTransport for Gate {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut line = line(request.method(), request.uri().path(), request.uri().query().unwrap_or_default());
        if !request.body().is_empty() {
            line = format!("{line} {}", String::from_utf8_lossy(request.body()));
        }
        self.log.lock().unwrap().push(line.clone());
        let fault = self.fault(&line);
        if fault.as_ref().is_none_or(|fault| fault.carried_out) {
            let answer = self.fake.send(request).await;
            self.happen(&line);
            if fault.is_none() {
                return answer;
            }
        }
        match fault.unwrap().failure {
            Failure::Transport(kind) => Err(TransportError::new(kind)),
            Failure::Status(status, body) => {
                let mut response = Response::new(Bytes::from(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                let json = http::HeaderValue::from_static("application/json; charset=utf-8");
                response.headers_mut().insert(http::header::CONTENT_TYPE, json);
                Ok(response)
            }
        }
    }
}

/// The seed's settings for a robot, with `more` in them.
pub(crate) fn tree(fake: &FakeHarbor, more: Value) -> Value {
    let mut tree = json!({
        "harbor_url": URL, "robot_username": fake.robot_login(), "robot_password": fake.robot_secret().expose_secret(),
        "default_storage_quota_gb": 10, "oidc_group_prefix": "waldur-", "allocation_prefix": "waldur-",
        "project_role_id": 2,
    });
    if let Value::Object(more) = more {
        tree.as_object_mut().unwrap().extend(more);
    }
    tree
}

pub(crate) fn read(tree: &Value) -> Result<(HarborSettings, Vec<waldur_sdk::settings::Warning>), Error> {
    let (settings, _) = BackendSettings::from_value("backend_settings", tree)?;
    settings.read(HarborSettings::read)
}

/// The seed's component.
pub(crate) fn components() -> Components {
    [Component::new("storage", AccountingType::Limit)].into_iter().collect()
}

pub(crate) fn backend(gate: &Gate) -> HarborBackend {
    backend_with(gate.clone(), &gate.fake, json!({}))
}

pub(crate) fn backend_with(transport: impl HttpTransport, fake: &FakeHarbor, more: Value) -> HarborBackend {
    HarborBackend::new(http(transport), read(&tree(fake, more)).unwrap().0, &components()).unwrap()
}

pub(crate) fn cx() -> OpContext {
    OpContext::new("test")
}

pub(crate) fn id(name: &str) -> BackendId {
    BackendId::new(name).unwrap()
}

pub(crate) fn resource() -> MarketplaceResource {
    let uuid = ResourceUuid::new(Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0));
    let mut resource = MarketplaceResource::new(uuid, OfferingUuid::new(Uuid::nil()), "Test registry", "test-registry");
    "test-project".clone_into(&mut resource.project.slug);
    resource
}

/// The entry by which a project of [`resource`] is known.
pub(crate) const STAMP: &str = "waldur-resource-123456789abcdef0123456789abcdef0";
/// The entry by which its group is known.
pub(crate) const GROUP_NOTE: &str = "waldur-group-waldur-test-project";
/// The stamp of somebody else.
pub(crate) const OTHER_STAMP: &str = "waldur-resource-deadbeefdeadbeefdeadbeefdeadbeef";

pub(crate) fn order() -> OrderUuid {
    OrderUuid::new(Uuid::from_u128(0x0de7))
}

pub(crate) fn request(limits: Limits) -> CreateRequest {
    CreateRequest::new(order(), resource(), id(NAME)).with_limits(limits)
}

pub(crate) fn storage(amount: u32) -> Limits {
    [("storage".to_owned(), Limit::At(amount.into()))].into()
}

pub(crate) fn decimal(text: &str) -> Limits {
    let amount: Decimal = text.parse().unwrap();
    [("storage".to_owned(), Limit::At(WaldurAmount::new(amount)))].into()
}

pub(crate) fn unlimited() -> Limits {
    [("storage".to_owned(), Limit::Unlimited)].into()
}

/// A project of [`resource`] as a creation leaves it.
pub(crate) fn seed(bytes: i64) -> SeedProject {
    SeedProject::new(NAME).quota(bytes).group(GROUP, 2).tolerates(STAMP).tolerates(GROUP_NOTE)
}

fn done<T>(progress: Progress<Verified<T>>) -> T {
    match progress {
        Progress::Done(done) => Verified::into_inner(done),
        Progress::Pending { .. } => unreachable!("nothing takes longer here"),
    }
}

pub(crate) async fn create(backend: &HarborBackend, request: &CreateRequest) -> Result<Created> {
    backend.create(&cx(), request).await.map(done)
}

pub(crate) async fn delete(backend: &HarborBackend) -> Result<Removed> {
    backend.delete(&cx(), &DeleteRequest::new(order(), resource(), id(NAME))).await.map(done)
}

pub(crate) async fn set_limits(backend: &HarborBackend, limits: Limits) -> Result<Limits> {
    backend.set_limits(&cx(), &LimitChange::new(resource(), id(NAME), limits)).await.map(done)
}

pub(crate) async fn set_status(
    backend: &HarborBackend,
    limits: Limits,
    status: waldur_sdk::backend::Status,
) -> Result<()> {
    let mut resource = resource();
    resource.limits = limits;
    backend.set_status(&cx(), &resource, &id(NAME), status).await
}

pub(crate) fn hard(gate: &Gate) -> Option<i64> {
    gate.fake.quota_of(NAME).map(|quota| quota.hard)
}

pub(crate) fn count(log: &[String], pattern: &str) -> usize {
    log.iter().filter(|line| line.contains(pattern)).count()
}

pub(crate) async fn pass_time(time: Duration) {
    tokio::time::advance(time).await;
}
