//! Recordings, and a caller that shares no code with the fake.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::Value;
use waldur_backend_harbor::testing::{FakeHarbor, FakeHarborBuilder, Permission, SeedRobot};
use waldur_sdk::rest::HttpTransport;

use super::exchanges::written_down;

/// The headers that mean something.
const KEPT: [&str; 4] = ["content-type", "link", "location", "x-total-count"];

/// One recorded exchange, reduced to what is compared.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    status: u16,
    headers: BTreeMap<String, String>,
    pub(crate) answer: Value,
}

impl Recorded {
    pub(crate) fn folder(name: &str) -> Vec<Self> {
        let path = format!("{}/tests/recorded/harbor/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn answer(&self) -> Answer {
        let headers = self.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        Answer { status: self.status, headers, body: self.answer.clone() }
    }
}

/// What came back: status, the headers that mean something, body.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

impl Answer {
    /// `STATUS CODE: message` of an error, else the status.
    pub(crate) fn verdict(&self) -> String {
        match self.body.pointer("/errors/0") {
            Some(error) => {
                let text = |name: &str| error[name].as_str().unwrap().to_owned();
                format!("{} {}: {}", self.status, text("code"), text("message"))
            }
            None => self.status.to_string(),
        }
    }

    /// The members of that name in all rows.
    pub(crate) fn column(&self, name: &str) -> Vec<Value> {
        self.body.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
    }

    pub(crate) fn total(&self) -> usize {
        self.headers["x-total-count"].parse().unwrap()
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let headers = response.headers();
        assert!(headers.contains_key("x-request-id"));
        let kept = headers.iter().filter(|(name, _)| KEPT.contains(&name.as_str()));
        let kept = kept.map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
        let (status, headers) = (response.status().as_u16(), kept.collect());
        let body = response.body();
        let body = if headers_of_text(&headers) {
            Value::from(String::from_utf8_lossy(body).into_owned())
        } else if body.is_empty() {
            Value::Null
        } else {
            assert!(body.ends_with(b"\n"), "the server ends every body with a line break");
            serde_json::from_slice(body).unwrap()
        };
        Self { status, headers, body }
    }
}

fn headers_of_text(headers: &BTreeMap<String, String>) -> bool {
    headers.get("content-type").is_some_and(|kind| kind == "text/plain")
}

/// Whoever calls.
#[derive(Clone, Debug)]
pub(crate) struct Login(Option<(String, String)>);

impl Login {
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn of(name: &str, password: &str) -> Self {
        Self(Some((name.to_owned(), password.to_owned())))
    }
}

/// What the bench's robot may do: more than the back end needs.
pub(crate) fn permissions() -> Vec<Permission> {
    let system = ["project:create", "project:list", "quota:read", "quota:list", "quota:update"];
    let groups = ["user-group:create", "user-group:list", "user-group:read", "user-group:delete"];
    let projects = ["project:read", "project:update", "project:delete", "quota:read", "metadata:read"];
    let members = ["member:create", "member:read", "member:update", "member:list", "member:delete"];
    let repositories = ["repository:list", "repository:read", "repository:delete"];
    vec![
        Permission::system(&[&system[..], &groups].concat()),
        Permission::all_projects(&[&projects[..], &members, &repositories].concat()),
    ]
}

/// A Harbor with a clock of its own that never stands still.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) harbor: FakeHarbor,
    clock: Arc<AtomicI64>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(FakeHarborBuilder) -> FakeHarborBuilder) -> Self {
        let clock = Arc::new(AtomicI64::new(1_795_323_084_000));
        let seen = clock.clone();
        let builder = written_down(FakeHarbor::builder().robot(SeedRobot::system("waldur", permissions())));
        let builder = builder.clock(move || Timestamp::from_millisecond(seen.fetch_add(1, Ordering::SeqCst)).unwrap());
        Self { harbor: settings(builder).build(), clock }
    }

    /// From this moment on.
    pub(crate) fn set_clock(&self, moment: &str) {
        let moment: Timestamp = moment.parse().unwrap();
        self.clock.store(moment.as_millisecond(), Ordering::SeqCst);
    }

    pub(crate) fn admin(&self) -> Login {
        Login::of(FakeHarbor::ADMIN, self.harbor.admin_password().expose_secret())
    }

    pub(crate) fn robot(&self) -> Login {
        Login::of(self.harbor.robot_login(), self.harbor.robot_secret().expose_secret())
    }

    /// `call` is e.g. `GET /projects?name=a`, below the API's root.
    pub(crate) async fn send(
        &self,
        login: &Login,
        call: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Response<Bytes> {
        let (method, path) = call.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(format!("https://harbor.test/api/v2.0{path}"));
        if let Some((name, password)) = &login.0 {
            let encoded = BASE64_STANDARD.encode(format!("{name}:{password}"));
            request = request.header("authorization", format!("Basic {encoded}"));
        }
        request = request.header("accept", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = match body {
            Value::Null => Bytes::new(),
            // A recorded body that is no JSON.
            Value::String(text) => text.clone().into(),
            body => body.to_string().into(),
        };
        if !bytes.is_empty() {
            request = request.header("content-type", "application/json");
        }
        self.harbor.send(request.body(bytes).unwrap()).await.unwrap()
    }

    pub(crate) async fn ask(&self, login: &Login, call: &str, body: Value) -> Answer {
        self.send(login, call, &body, &[]).await.into()
    }

    /// What the robot is told.
    pub(crate) async fn call(&self, call: &str) -> Answer {
        self.ask(&self.robot(), call, Value::Null).await
    }

    pub(crate) async fn call_with(&self, call: &str, body: Value) -> Answer {
        self.ask(&self.robot(), call, body).await
    }

    /// The robot's verdict.
    pub(crate) async fn verdict(&self, call: &str) -> String {
        self.call(call).await.verdict()
    }
}
