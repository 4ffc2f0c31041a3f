//! Everything that can go wrong between the client and the server, on demand.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde_json::Value;

use crate::{
    error::BoxError,
    rest::{Environment, HttpTransport, RequestMeta, TransportError, TransportErrorKind},
    testing::{Occurrences, lock},
};

/// Breaks chosen exchanges; the others go through.
///
/// ```
/// use waldur_sdk::testing::{Action, Due, Faults, hang, op, status, writes};
/// use waldur_sdk::rest::{HttpTransport, TransportErrorKind};
/// # fn example(fake: impl HttpTransport) -> Faults {
/// Faults::new(fake)
///     .on(op("orders.list").first(2), status(503).header("retry-after", 7))
///     .on(op("orders.set_state_done").nth(1), Action::commit_then(status(504)))
///     .on(op("users.create").nth(1), Action::commit_then(hang()))
///     .on(op("users.set_quota").nth(1), Action::fail_then_commit(TransportErrorKind::Timeout, Due::Calls(1)))
///     .on(writes(), Action::truncate())
/// # }
/// ```
///
/// Every rule counts all requests that it matches, whether or not it acts on them; of several rules that are due the
/// one added first acts. [`Faults::idle_rules`] names the rules that never acted: a test of a fault that did not
/// happen proves nothing.
///
/// Clones share rules and counters.
#[derive(Clone)]
pub struct Faults {
    inner: Arc<dyn HttpTransport>,
    environment: Environment,
    rules: Vec<Rule>,
    late: Arc<Mutex<Vec<Late>>>,
}

#[derive(Clone)]
struct Rule {
    on: Occurrences,
    action: Action,
    tally: Arc<Mutex<Tally>>,
}

#[derive(Default)]
struct Tally {
    seen: u64,
    acted: u64,
}

/// A request that the server carries out later than it failed.
struct Late {
    request: Request<Bytes>,
    due: When,
}

enum When {
    Calls(u32),
    At(Instant),
    Settle,
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub struct Action(Step);

#[derive(Clone, Debug)]
enum Step {
    Refuse(Ending),
    CommitThen(Ending),
    FailThenCommit(Ending, Due),
    Rewrite(Rewrite),
}

#[derive(Clone, Debug)]
enum Rewrite {
    Html,
    Truncate,
    Oversize,
    Body(Bytes),
}

/// How a broken exchange looks to the client.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Ending {
    /// An answer comes.
    Answer(Answer),
    /// The exchange fails.
    Error(TransportErrorKind),
    /// Nothing comes, ever. The caller's own time limit has to end it.
    Hang,
}

/// When the server carries out a request that has already failed for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Due {
    /// Just before the `n`th call after it (counted from 1) passes this layer.
    Calls(u32),
    /// Just before the first call that comes this long after it, by the clock of [`Faults::with_environment`].
    After(Duration),
    /// When the test calls [`Faults::settle`].
    Settle,
}

/// Nothing comes, ever. Alone: the request was lost on its way (faults.md row 21). After [`Action::commit_then`]: it
/// was carried out (row 22).
pub fn hang() -> Ending {
    Ending::Hang
}

/// An answer with this status and no body. A number that is no status makes the exchange fail with
/// [`TransportErrorKind::InvalidRequest`].
pub fn status(code: u16) -> Answer {
    let mut answer = Answer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::new(), mistake: None };
    match StatusCode::from_u16(code) {
        Ok(status) => answer.status = status,
        Err(_) => answer.mistake = Some("a status is a number from 100 to 999"),
    }
    answer
}

/// An answer of the test's own.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    mistake: Option<&'static str>,
}

impl Answer {
    /// Adds a header. One that cannot be sent makes the exchange fail with [`TransportErrorKind::InvalidRequest`].
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl TryInto<HeaderValue>) -> Self {
        match (name.parse::<HeaderName>(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            _ => self.mistake = Some("a header of the answer is not valid"),
        }
        self
    }

    /// Adds a JSON body.
    #[must_use]
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Adds a body of any type.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header(header::CONTENT_TYPE.as_str(), content_type)
    }

    fn response(self) -> Result<Response<Bytes>, TransportError> {
        if let Some(mistake) = self.mistake {
            return Err(TransportError::new(TransportErrorKind::InvalidRequest).with_source(BoxError::from(mistake)));
        }
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        Ok(response)
    }
}

impl From<Answer> for Ending {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<TransportErrorKind> for Ending {
    fn from(kind: TransportErrorKind) -> Self {
        Self::Error(kind)
    }
}

impl<E: Into<Ending>> From<E> for Action {
    fn from(ending: E) -> Self {
        Self::refuse(ending)
    }
}

impl Action {
    /// The request is not carried out, and ends like this. The same as naming the ending alone.
    pub fn refuse(ending: impl Into<Ending>) -> Self {
        Self(Step::Refuse(ending.into()))
    }

    /// The request is carried out, and its answer is replaced by this.
    pub fn commit_then(ending: impl Into<Ending>) -> Self {
        Self(Step::CommitThen(ending.into()))
    }

    /// The request ends like this at once, and is carried out later. With [`hang`] it is carried out while, or after,
    /// the client waits.
    pub fn fail_then_commit(ending: impl Into<Ending>, due: Due) -> Self {
        Self(Step::FailThenCommit(ending.into(), due))
    }

    /// The server says 200 with the body `{}` and does nothing (faults.md row 157).
    pub fn swallow() -> Self {
        Self::refuse(status(200).body("application/json", "{}"))
    }

    /// The request is carried out; an HTML page comes with the status of the answer.
    pub fn html() -> Self {
        Self(Step::Rewrite(Rewrite::Html))
    }

    /// The request is carried out; the second half of the answer's body is missing, and nothing says so.
    pub fn truncate() -> Self {
        Self(Step::Rewrite(Rewrite::Truncate))
    }

    /// The request is carried out; the answer's body is one byte larger than the call accepts, so that the exchange
    /// ends with [`TransportErrorKind::TooLarge`], as the contract of [`HttpTransport`] says. A request that no
    /// `RestClient` made has no such limit and gets [`RequestMeta::DEFAULT_MAX_BODY`] and one byte.
    pub fn oversize() -> Self {
        Self(Step::Rewrite(Rewrite::Oversize))
    }

    /// The request is carried out; this body comes with the status and the headers of the answer.
    pub fn replace_body(body: impl Into<Bytes>) -> Self {
        Self(Step::Rewrite(Rewrite::Body(body.into())))
    }
}

impl Rewrite {
    fn apply(self, mut answer: Response<Bytes>, limit: Option<usize>) -> Result<Response<Bytes>, TransportError> {
        *answer.body_mut() = match self {
            Self::Html => {
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
                Bytes::from_static(b"<!DOCTYPE html>\n<html><body><h1>Please log in</h1></body></html>\n")
            }
            Self::Truncate => answer.body().slice(..answer.body().len() / 2),
            Self::Oversize => match limit {
                Some(_) => return Err(TransportError::new(TransportErrorKind::TooLarge)),
                None => vec![b' '; RequestMeta::DEFAULT_MAX_BODY + 1].into(),
            },
            Self::Body(body) if limit.is_some_and(|limit| body.len() > limit) => {
                return Err(TransportError::new(TransportErrorKind::TooLarge));
            }
            Self::Body(body) => body,
        };
        answer.headers_mut().remove(header::CONTENT_LENGTH);
        Ok(answer)
    }
}

impl Faults {
    /// No fault yet.
    pub fn new(inner: impl HttpTransport) -> Self {
        Self { inner: Arc::new(inner), environment: Environment::default(), rules: Vec::new(), late: Arc::default() }
    }

    /// Adds a rule. Clones made before do not have it.
    #[must_use]
    pub fn on(mut self, requests: impl Into<Occurrences>, action: impl Into<Action>) -> Self {
        self.rules.push(Rule { on: requests.into(), action: action.into(), tally: Arc::default() });
        self
    }

    /// Replaces the clock for [`Due::After`].
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// How often a rule acted.
    pub fn acted(&self) -> u64 {
        self.rules.iter().map(|rule| lock(&rule.tally).acted).sum()
    }

    /// The rules that never acted, in words.
    pub fn idle_rules(&self) -> Vec<String> {
        self.rules.iter().filter(|rule| lock(&rule.tally).acted == 0).map(|rule| rule.on.to_string()).collect()
    }

    /// Carries out everything that failed and was to be carried out later. Returns how many requests those were; what
    /// the server answered is dropped, as there is nobody left to hear it.
    pub async fn settle(&self) -> usize {
        let late = std::mem::take(&mut *lock(&self.late));
        let count = late.len();
        for late in late {
            // Whether it succeeds is the server's state to show.
            let _answer = self.inner.send(late.request).await;
        }
        count
    }

    async fn carry_out_late(&self) {
        let due: Vec<_> = {
            let now = self.environment.instant();
            let mut late = lock(&self.late);
            for entry in late.iter_mut() {
                if let When::Calls(left) = &mut entry.due {
                    *left = left.saturating_sub(1);
                }
            }
            late.extract_if(.., |entry| match entry.due {
                When::Calls(left) => left == 0,
                When::At(instant) => instant <= now,
                When::Settle => false,
            })
            .collect()
        };
        for late in due {
            let _answer = self.inner.send(late.request).await;
        }
    }

    fn choose(&self, request: &Request<Bytes>) -> Option<Step> {
        let mut chosen = None;
        for rule in &self.rules {
            if !rule.on.matches(request) {
                continue;
            }
            let mut tally = lock(&rule.tally);
            tally.seen += 1;
            if chosen.is_none() && rule.on.includes(tally.seen) {
                tally.acted += 1;
                chosen = Some(rule.action.0.clone());
            }
        }
        chosen
    }

    fn postpone(&self, request: Request<Bytes>, due: Due) {
        let due = match due {
            Due::Calls(n) => When::Calls(n),
            Due::After(pause) => self.environment.instant().checked_add(pause).map_or(When::Settle, When::At),
            Due::Settle => When::Settle,
        };
        lock(&self.late).push(Late { request, due });
    }
}

async fn end(ending: Ending) -> Result<Response<Bytes>, TransportError> {
    match ending {
        Ending::Answer(answer) => answer.response(),
        Ending::Error(kind) => Err(TransportError::new(kind)),
        Ending::Hang => std::future::pending().await,
    }
}

#[async_trait]
impl HttpTransport for Faults {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.carry_out_late().await;
        match self.choose(&request) {
            None => self.inner.send(request).await,
            Some(Step::Refuse(ending)) => end(ending).await,
            Some(Step::CommitThen(ending)) => {
                // Even a failure of the inner transport stays unseen: the rule says what the client sees.
                let _answer = self.inner.send(request).await;
                end(ending).await
            }
            Some(Step::FailThenCommit(ending, due)) => {
                self.postpone(request, due);
                end(ending).await
            }
            Some(Step::Rewrite(rewrite)) => {
                let limit = request.extensions().get::<RequestMeta>().map(|meta| meta.max_body);
                rewrite.apply(self.inner.send(request).await?, limit)
            }
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<_> = self.rules.iter().map(|rule| rule.on.to_string()).collect();
        f.debug_struct("Faults").field("rules", &rules).finish_non_exhaustive()
    }
}
