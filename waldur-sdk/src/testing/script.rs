//! A transport that answers by a script.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use serde::Serialize;

use crate::rest::{Environment, HttpTransport, RequestMeta, TransportError, TransportErrorKind};

/// Answers requests in the order of a script and records them. Clones share script and record.
///
/// A request beyond the end of the script, and an answer that cannot be given, are a
/// [`TransportErrorKind::InvalidRequest`] that says so: it is not repeated, and nothing panics inside the code under
/// test.
///
/// ```
/// use waldur_sdk::{rest::*, testing::{Answer, ScriptedTransport}};
/// # async fn example() -> waldur_sdk::Result<()> {
/// let script = ScriptedTransport::new().then(Answer::status(503)).then(Answer::json(&["a", "b"]));
/// let base = BaseUrl::parse("url", "https://api.example.org/", PlainHttp::default())?;
/// let client = RestClient::new(Http::new(script.clone()), base, Anonymous);
/// let names: Vec<String> = client.get("names.list", "/names/", &[]).send_json().await?;
/// assert_eq!(names, ["a", "b"]);
/// assert_eq!(script.requests().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct ScriptedTransport {
    environment: Environment,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Answer>,
    otherwise: Option<Answer>,
    requests: Vec<Recorded>,
}

impl ScriptedTransport {
    /// An empty script.
    pub fn new() -> Self {
        Self::default()
    }

    /// Delays answers, and dates the record, by `environment` instead of the system's clocks. Clones made before keep
    /// theirs.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Adds an answer to the end of the script, for one request.
    #[must_use]
    pub fn then(self, answer: Answer) -> Self {
        self.state().script.push_back(answer);
        self
    }

    /// Answers every request beyond the end of the script.
    #[must_use]
    pub fn otherwise(self, answer: Answer) -> Self {
        self.state().otherwise = Some(answer);
        self
    }

    /// The requests so far, in the order in which they came.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    /// How many requests came.
    pub fn sent(&self) -> usize {
        self.state().requests.len()
    }

    /// How many answers of the script were not asked for.
    pub fn unused(&self) -> usize {
        self.state().script.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, request: &Request<Bytes>) -> Answer {
        let mut state = self.state();
        state.requests.push(Recorded::new(request, self.environment.instant()));
        let answer = state.script.pop_front().or_else(|| state.otherwise.clone());
        answer.unwrap_or_else(|| {
            let (number, method, path) = (state.requests.len(), request.method(), request.uri().path());
            Answer::broken(format!("the script has no answer to request {number}: {method} {path}"))
        })
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("ScriptedTransport")
            .field("requests", &state.requests)
            .field("unused", &state.script.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for ScriptedTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut answer = self.next(&request);
        loop {
            if !answer.delay.is_zero() {
                self.environment.sleep(answer.delay).await;
            }
            answer = match answer.what {
                What::Respond(response) => return response.limited(&request),
                What::Fail(kind, cause) => return Err(TransportError::new(kind).with_source(cause)),
                What::Hang => std::future::pending().await,
                What::Ask(decide) => decide(&request),
            };
        }
    }
}

/// What becomes of one request.
#[derive(Clone)]
#[must_use]
pub struct Answer {
    delay: Duration,
    what: What,
}

type Decide = dyn Fn(&Request<Bytes>) -> Answer + Send + Sync;

#[derive(Clone)]
enum What {
    Respond(Scripted),
    Fail(TransportErrorKind, String),
    Hang,
    Ask(Arc<Decide>),
}

#[derive(Clone)]
struct Scripted {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Scripted {
    /// The response, unless its body is larger than the request allows.
    fn limited(self, request: &Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let limit =
            request.extensions().get().map_or(RequestMeta::DEFAULT_MAX_BODY, |meta: &RequestMeta| meta.max_body);
        if self.body.len() > limit {
            return Err(TransportError::new(TransportErrorKind::TooLarge));
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        Ok(response)
    }
}

impl Answer {
    fn new(what: What) -> Self {
        Self { delay: Duration::ZERO, what }
    }

    fn broken(text: String) -> Self {
        Self::new(What::Fail(TransportErrorKind::InvalidRequest, text))
    }

    /// A response without a body.
    pub fn status(status: u16) -> Self {
        match StatusCode::from_u16(status) {
            Ok(status) => Self::new(What::Respond(Scripted { status, headers: HeaderMap::new(), body: Bytes::new() })),
            Err(_) => Self::broken(format!("the script has a status that does not exist: {status}")),
        }
    }

    /// 200 with a JSON body.
    pub fn json(body: &(impl Serialize + ?Sized)) -> Self {
        Self::status(200).with_json(body)
    }

    /// No response: the transport fails.
    pub fn fail(kind: TransportErrorKind) -> Self {
        Self::new(What::Fail(kind, "the script says so".to_owned()))
    }

    /// No response, ever.
    pub fn hang() -> Self {
        Self::new(What::Hang)
    }

    /// What `decide` makes of the request.
    pub fn by(decide: impl Fn(&Request<Bytes>) -> Self + Send + Sync + 'static) -> Self {
        Self::new(What::Ask(Arc::new(decide)))
    }

    /// Replaces the response's body by JSON.
    pub fn with_json(self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.with_header("content-type", "application/json").with_body(bytes),
            Err(cause) => Self::broken(format!("the script has a body that does not serialize: {cause}")),
        }
    }

    /// Replaces the response's body.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        if let What::Respond(response) = &mut self.what {
            response.body = body.into();
        }
        self
    }

    /// Adds a header to the response.
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let header = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_ref()));
        match (&mut self.what, header) {
            (What::Respond(response), (Ok(name), Ok(value))) => {
                response.headers.append(name, value);
                self
            }
            (What::Respond(_), _) => Self::broken(format!("the script has a header that cannot be sent: {name}")),
            _ => self,
        }
    }

    /// Comes later. The transport's environment does the waiting.
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.what {
            What::Respond(response) => response.status.to_string(),
            What::Fail(kind, _) => kind.to_string(),
            What::Hang => "no answer".to_owned(),
            What::Ask(_) => "an answer by the request".to_owned(),
        };
        f.debug_struct("Answer").field("what", &what).field("delay", &self.delay).finish()
    }
}

/// One request as it came.
#[derive(Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The URL.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// What travelled beside it, if it came from a [`RestClient`](crate::rest::RestClient).
    pub meta: Option<RequestMeta>,
    /// When it came, by the transport's monotonic clock.
    pub at: Instant,
}

impl Recorded {
    fn new(request: &Request<Bytes>, at: Instant) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: request.body().clone(),
            meta: request.extensions().get().copied(),
            at,
        }
    }

    /// The path, still encoded.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// The query, still encoded; empty if there is none.
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }

    /// A header's text; `None` if it is missing or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `Authorization`.
    pub fn authorization(&self) -> Option<&str> {
        self.header(header::AUTHORIZATION.as_str())
    }

    /// The body as text; broken UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded")
            .field("method", &self.method)
            .field("path", &self.path())
            .field("headers", &crate::rest::redact::headers(&self.headers))
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}
