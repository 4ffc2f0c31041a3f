//! Clients and back ends over a script or over the fake gateway, on clocks that stand still.
#![allow(dead_code, clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use waldur_backend_croit::{
    S3Backend, S3Settings,
    radosgw::{RadosGwClient, S3Key},
    testing::{FakeCroit, FakeRadosGw},
};
use waldur_sdk::{
    Result,
    backend::{
        CreateRequest, DeleteRequest, LimitChange, MarketplaceResource, OpContext, OptionChange, Progress, Removed,
        ResourceBackend as _, Verified,
    },
    rest::{BaseUrl, Environment, Http, HttpTransport, PlainHttp, RetryPolicy, TransportError, TransportErrorKind},
    settings::{AccountingType, BackendSettings, Component, Components, RawSettings},
    testing::{Answer, ScriptedTransport},
    types::{
        BackendId, Decimal, JsonObject, Limit, Limits, OfferingUuid, OrderUuid, ResourceUuid, Timestamp, UnitFactor,
        Uuid,
    },
};

pub(crate) const ACCESS_KEY: &str = "ADMINACCESSKEY000001";
pub(crate) const SECRET_KEY: &str = "canary-admin-secret-key-never-to-be-seen";

/// What the clocks show.
pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Sleeps on the test's clock, draws no jitter.
pub(crate) fn environment() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_wall(now)
        .with_random(|| 0)
}

pub(crate) fn admin() -> S3Key {
    S3Key::new(ACCESS_KEY, SECRET_KEY)
}

pub(crate) fn endpoint() -> BaseUrl {
    BaseUrl::parse("s3_endpoint", "http://localhost:7480", PlainHttp::LoopbackOnly).unwrap()
}

pub(crate) fn client(transport: impl HttpTransport) -> RadosGwClient {
    client_with(transport, RetryPolicy::default())
}

pub(crate) fn client_with(transport: impl HttpTransport, policy: RetryPolicy) -> RadosGwClient {
    let http = Http::new(transport).with_environment(environment()).with_retry(policy);
    RadosGwClient::new(http, &endpoint(), &admin()).unwrap()
}

/// An answer with the gateway's error body.
pub(crate) fn refused(status: u16, code: &str) -> Answer {
    Answer::status(status).with_json(&json!({ "Code": code, "Message": "", "RequestId": "tx1", "HostId": "h1" }))
}

/// A body without a content type, as the gateway's successes are.
pub(crate) fn body(text: &str) -> Answer {
    Answer::status(200).with_body(text.to_owned())
}

/// A user object of the gateway.
pub(crate) fn user(uid: &str, more: Value) -> Value {
    let quota = json!({ "enabled": false, "check_on_raw": false, "max_size": -1, "max_size_kb": 0, "max_objects": -1 });
    let mut user = json!({
        "tenant": "", "user_id": uid, "display_name": "Somebody", "email": "", "suspended": 0, "max_buckets": 1000,
        "subusers": [], "keys": [], "swift_keys": [], "caps": [], "op_mask": "read, write, delete",
        "system": "false", "admin": "false", "default_placement": "", "default_storage_class": "",
        "placement_tags": [], "bucket_quota": quota, "user_quota": quota, "temp_url_keys": [], "type": "rgw",
        "mfa_ids": [],
    });
    if let Value::Object(more) = more {
        user.as_object_mut().unwrap().extend(more);
    }
    user
}

/// `METHOD path?query` of every request of a script, without `format=json`, which all have.
pub(crate) fn lines(script: &ScriptedTransport) -> Vec<String> {
    let line = |request: &waldur_sdk::testing::Recorded| line(&request.method, request.path(), request.query());
    script.requests().iter().map(line).collect()
}

fn line(method: &http::Method, path: &str, query: &str) -> String {
    // Every call of the Admin Ops API begins so.
    let query = query.strip_prefix("format=json").unwrap_or(query).trim_start_matches('&');
    format!("{method} {path}{}{query}", if query.is_empty() { "" } else { "?" })
}

/// A flavour of storage to run a test on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    RadosGw,
    Croit,
}

pub(crate) const TOKEN: &str = "canary-croit-token-never-to-be-seen";

/// A fake gateway behind a gate that keeps a log and can fail; before it, or beside it, a fake croit.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) on: On,
    pub(crate) fake: FakeRadosGw,
    /// Where no test asks for it, nobody calls it.
    pub(crate) croit: FakeCroit,
    log: Arc<Mutex<Vec<String>>>,
    faults: Arc<Mutex<Vec<Fault>>>,
}

#[derive(Clone)]
struct Fault {
    pattern: String,
    /// How many requests are let through before.
    skip: u32,
    left: u32,
    carried_out: bool,
    failure: Failure,
}

#[derive(Clone)]
pub(crate) enum Failure {
    Status(u16, String),
    Transport(TransportErrorKind),
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self::on(On::RadosGw)
    }

    pub(crate) fn croit() -> Self {
        Self::on(On::Croit)
    }

    pub(crate) fn on(on: On) -> Self {
        let fake = FakeRadosGw::builder().admin(ACCESS_KEY, SECRET_KEY).clock(now).build();
        let croit = FakeCroit::builder().token(TOKEN).clock(now).gateway(fake.clone()).build();
        Self { on, fake, croit, log: Arc::default(), faults: Arc::default() }
    }

    pub(crate) fn over(fake: FakeRadosGw) -> Self {
        Self { fake, ..Self::new() }
    }

    /// A gate to this croit, and to its gateway.
    pub(crate) fn over_croit(croit: FakeCroit) -> Self {
        Self { fake: croit.gateway().clone(), croit, ..Self::croit() }
    }

    /// The back end for what is behind the gate.
    pub(crate) fn backend(&self, more: Value, components: &Components) -> S3Backend {
        self.backend_over(self.clone(), more, components)
    }

    /// The same, over another way to it.
    pub(crate) fn backend_over(&self, way: impl HttpTransport, more: Value, components: &Components) -> S3Backend {
        let settings = match self.on {
            On::RadosGw => settings(more),
            On::Croit => croit_settings(more),
        };
        S3Backend::new(Http::new(way).with_environment(environment()), settings, components).unwrap()
    }

    /// The next `times` requests whose line contains `pattern` fail and are not carried out.
    pub(crate) fn fail(&self, pattern: &str, times: u32, failure: Failure) {
        self.add(pattern, 0, times, false, failure);
    }

    /// The same, after `skip` such requests went through.
    pub(crate) fn fail_after(&self, skip: u32, pattern: &str, times: u32, failure: Failure) {
        self.add(pattern, skip, times, false, failure);
    }

    /// Nothing fails any more.
    pub(crate) fn mend(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// The same, but they are carried out: only the answer is lost.
    pub(crate) fn lose_answer(&self, pattern: &str, times: u32, failure: Failure) {
        self.add(pattern, 0, times, true, failure);
    }

    fn add(&self, pattern: &str, skip: u32, left: u32, carried_out: bool, failure: Failure) {
        let fault = Fault { pattern: pattern.to_owned(), skip, left, carried_out, failure };
        self.faults.lock().unwrap().push(fault);
    }

    /// Takes the log: `METHOD path?query`.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    fn fault(&self, line: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.iter_mut().find(|fault| fault.left > 0 && line.contains(&fault.pattern))?;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        fault.left -= 1;
        Some(fault.clone())
    }
}

#[async_trait]
impl HttpTransport for Gate {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let line = line(request.method(), request.uri().path(), request.uri().query().unwrap_or_default());
        self.log.lock().unwrap().push(line.clone());
        let fault = self.fault(&line);
        if fault.as_ref().is_none_or(|fault| fault.carried_out) {
            let answer = match self.on {
                On::RadosGw => self.fake.send(request).await,
                On::Croit => self.croit.send(request).await,
            };
            if fault.is_none() {
                return answer;
            }
        }
        match fault.unwrap().failure {
            Failure::Transport(kind) => Err(TransportError::new(kind)),
            Failure::Status(status, body) => {
                let mut response = Response::new(Bytes::from(body));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok(response)
            }
        }
    }
}

/// Settings of the flavour `radosgw` with `more` in them.
pub(crate) fn settings(more: Value) -> S3Settings {
    let tree = json!({
        "flavour": "radosgw", "s3_endpoint": "http://localhost:7480",
        "admin_access_key": ACCESS_KEY, "admin_secret_key": SECRET_KEY,
    });
    read(tree, more)
}

/// Settings of the flavour `croit` with `more` in them.
pub(crate) fn croit_settings(more: Value) -> S3Settings {
    read(json!({ "api_url": "http://localhost:7480/api", "token": TOKEN }), more)
}

fn read(mut tree: Value, more: Value) -> S3Settings {
    if let Value::Object(more) = more {
        tree.as_object_mut().unwrap().extend(more);
    }
    let (settings, _) = BackendSettings::from_value("backend_settings", &tree).unwrap();
    settings.read(S3Settings::read).unwrap().0
}

/// The seed's components: `s3_storage` in GiB and `s3_objects`. `more` goes into both.
pub(crate) fn components(accounting: AccountingType, more: &Value) -> Components {
    let component = |name: &str, backend_name: &str, factor: u64| {
        let mut keys = json!({ "backend_name": backend_name });
        keys.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        let mut component = Component::new(name, accounting);
        component.unit_factor = UnitFactor::new(Decimal::from(factor)).unwrap();
        component.raw = RawSettings::from_value(name, &keys).unwrap();
        component
    };
    [component("s3_storage", "storage", 1 << 30), component("s3_objects", "objects", 1)].into_iter().collect()
}

/// The seed's components: billed by usage, with safety limits.
pub(crate) fn usage_components() -> Components {
    components(AccountingType::Usage, &json!({}))
}

pub(crate) fn backend(transport: impl HttpTransport) -> S3Backend {
    backend_with(transport, json!({}), &usage_components())
}

pub(crate) fn backend_with(transport: impl HttpTransport, more: Value, components: &Components) -> S3Backend {
    S3Backend::new(Http::new(transport).with_environment(environment()), settings(more), components).unwrap()
}

pub(crate) fn cx() -> OpContext {
    OpContext::new("test")
}

/// The name that [`resource`] gets.
pub(crate) const UID: &str = "waldur_org_proj_12345678";
/// The stamp of [`resource`].
pub(crate) const STAMP: &str = "waldur-123456789abcdef0123456789abcdef0-waldur_org_proj_12345678@invalid";

pub(crate) fn id() -> BackendId {
    BackendId::new(UID).unwrap()
}

/// A resource whose customer chose `attributes`.
pub(crate) fn resource(attributes: Value) -> MarketplaceResource {
    let uuid = ResourceUuid::new(Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0));
    let mut resource = MarketplaceResource::new(uuid, OfferingUuid::new(Uuid::nil()), "My bucket", "my-bucket");
    "org".clone_into(&mut resource.customer.slug);
    "proj".clone_into(&mut resource.project.slug);
    if let Value::Object(attributes) = attributes {
        resource.attributes = attributes.into();
    }
    resource
}

pub(crate) fn order() -> OrderUuid {
    OrderUuid::new(Uuid::from_u128(0x0de7))
}

pub(crate) fn request(attributes: Value) -> CreateRequest {
    CreateRequest::new(order(), resource(attributes), id())
}

/// Creates a resource, which has to succeed at once.
pub(crate) async fn create(backend: &S3Backend, request: &CreateRequest) -> Result<waldur_sdk::backend::Created> {
    match backend.create(&cx(), request).await? {
        Progress::Done(created) => Ok(Verified::into_inner(created)),
        Progress::Pending { .. } => unreachable!("nothing takes longer here"),
    }
}

pub(crate) const GIB: i64 = 1 << 30;

pub(crate) fn quotas(gate: &Gate) -> [(bool, i64, i64); 2] {
    let (user, bucket) = gate.fake.quota(UID).unwrap();
    [user, bucket].map(|quota| (quota.enabled, quota.max_size, quota.max_objects))
}

pub(crate) fn server_error() -> Failure {
    Failure::Status(500, String::new())
}

pub(crate) fn count(log: &[String], pattern: &str) -> usize {
    log.iter().filter(|line| line.contains(pattern)).count()
}

pub(crate) async fn delete(backend: &S3Backend) -> Result<Removed> {
    match backend.delete(&cx(), &DeleteRequest::new(order(), resource(json!({})), id())).await? {
        Progress::Done(removed) => Ok(Verified::into_inner(removed)),
        Progress::Pending { .. } => unreachable!("nothing takes longer here"),
    }
}

pub(crate) async fn set_limits(backend: &S3Backend, limits: Limits) -> Result<Limits> {
    match backend.set_limits(&cx(), &LimitChange::new(resource(json!({})), id(), limits)).await? {
        Progress::Done(limits) => Ok(Verified::into_inner(limits)),
        Progress::Pending { .. } => unreachable!("nothing takes longer here"),
    }
}

pub(crate) async fn update_options(backend: &S3Backend, new: Value) -> Result<()> {
    let object = |value: Value| JsonObject::from(value.as_object().unwrap().clone());
    let old = object(json!({ "storage_limit": 100 }));
    match backend
        .update_options(&cx(), &OptionChange::new(order(), resource(json!({})), id(), old, object(new)))
        .await?
    {
        Progress::Done(()) => Ok(()),
        Progress::Pending { .. } => unreachable!("nothing takes longer here"),
    }
}

pub(crate) fn limits(storage: u32, objects: u32) -> Limits {
    [("s3_storage", storage), ("s3_objects", objects)]
        .map(|(name, amount)| (name.to_owned(), Limit::At(amount.into())))
        .into()
}

/// What the gateway holds of all users: name, stamp, quotas, number of keys.
pub(crate) fn shown(fake: &FakeRadosGw) -> Vec<String> {
    let show = |user: waldur_backend_croit::testing::UserView| {
        format!("{} {} {:?} {:?} {}", user.uid, user.email, user.user_quota, user.bucket_quota, user.keys.len())
    };
    fake.users().into_iter().map(show).collect()
}

/// Whether the customer gets in with the key that is published; `None` when none is.
pub(crate) fn published_key_works(fake: &FakeRadosGw, metadata: &Value) -> Option<bool> {
    let half = |name: &str| metadata.get("s3_credentials")?.get(name)?.as_str().map(str::to_owned);
    let (access, secret) = half("access_key").zip(half("secret_key"))?;
    Some(fake.login(&access, &secret.into()).is_ok())
}

/// A way on which something happens when the first request comes whose line contains a pattern, after so many of them.
#[derive(Clone)]
pub(crate) struct Upon {
    way: Gate,
    pattern: &'static str,
    skip: Arc<Mutex<Option<usize>>>,
    happens: Arc<dyn Fn() + Send + Sync>,
}

impl Upon {
    pub(crate) fn new(
        way: &Gate,
        pattern: &'static str,
        skip: usize,
        happens: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Self { way: way.clone(), pattern, skip: Arc::new(Mutex::new(Some(skip))), happens: Arc::new(happens) }
    }
}

#[async_trait]
impl HttpTransport for Upon {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let line = line(request.method(), request.uri().path(), request.uri().query().unwrap_or_default());
        let is_now = {
            let mut skip = self.skip.lock().unwrap();
            match *skip {
                Some(0) if line.contains(self.pattern) => skip.take().is_some(),
                Some(left) if line.contains(self.pattern) => {
                    *skip = Some(left - 1);
                    false
                }
                _ => false,
            }
        };
        if is_now {
            (self.happens)();
        }
        self.way.send(request).await
    }
}
