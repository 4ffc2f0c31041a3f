//! Saying which requests are meant.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{Method, Request};

use crate::rest::RequestMeta;

type Test = Arc<dyn Fn(&Request<Bytes>) -> bool + Send + Sync>;

/// A set of requests: by operation, method, path, or whatever a closure decides. Several conditions are joined by
/// [`Matcher::and`].
#[derive(Clone)]
pub struct Matcher {
    tests: Vec<Test>,
    shown: String,
}

/// The requests of one named operation, e.g. `op("orders.set_state_done")`.
///
/// The name is that of [`RequestMeta::operation`]; a request that came over a socket has none.
pub fn op(name: &'static str) -> Matcher {
    Matcher::new(name, move |request| operation(request) == name)
}

/// The requests with this method.
pub fn method(method: Method) -> Matcher {
    Matcher::new(method.to_string(), move |request| *request.method() == method)
}

/// The requests whose path, as it is sent, contains `part`.
pub fn path(part: &'static str) -> Matcher {
    Matcher::new(format!("path with {part}"), move |request| request.uri().path().contains(part))
}

/// Every request.
pub fn any() -> Matcher {
    Matcher::new("any request", |_| true)
}

/// The requests whose method promises to change nothing: `GET`, `HEAD`, `OPTIONS`, `TRACE`.
pub fn reads() -> Matcher {
    Matcher::new("reads", |request| request.method().is_safe())
}

/// The requests that are no [`reads`].
pub fn writes() -> Matcher {
    Matcher::new("writes", |request| !request.method().is_safe())
}

/// The requests that `test` picks; `shown` names them in reports.
pub fn when(shown: impl Into<String>, test: impl Fn(&Request<Bytes>) -> bool + Send + Sync + 'static) -> Matcher {
    Matcher::new(shown, test)
}

impl Matcher {
    fn new(shown: impl Into<String>, test: impl Fn(&Request<Bytes>) -> bool + Send + Sync + 'static) -> Self {
        Self { tests: vec![Arc::new(test)], shown: shown.into() }
    }

    /// The requests that are in both sets.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.tests.extend(other.tests);
        self.shown = format!("{} and {}", self.shown, other.shown);
        self
    }

    /// Whether `request` is in the set.
    pub fn matches(&self, request: &Request<Bytes>) -> bool {
        self.tests.iter().all(|test| test(request))
    }

    /// Only the `n`th of these requests, counted from 1.
    pub fn nth(self, n: u64) -> Occurrences {
        Occurrences { matcher: self, first: n, last: n }
    }

    /// Only the first `n` of these requests.
    pub fn first(self, n: u64) -> Occurrences {
        Occurrences { matcher: self, first: 1, last: n }
    }

    /// The `n`th of these requests, counted from 1, and all after it.
    pub fn from(self, n: u64) -> Occurrences {
        Occurrences { matcher: self, first: n, last: u64::MAX }
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({})", self.shown)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// A set of requests, narrowed down to some of its occurrences. A bare [`Matcher`] means all of them.
#[derive(Clone, Debug)]
pub struct Occurrences {
    matcher: Matcher,
    first: u64,
    last: u64,
}

impl Occurrences {
    pub(super) fn matches(&self, request: &Request<Bytes>) -> bool {
        self.matcher.matches(request)
    }

    pub(super) fn includes(&self, occurrence: u64) -> bool {
        (self.first..=self.last).contains(&occurrence)
    }
}

impl From<Matcher> for Occurrences {
    fn from(matcher: Matcher) -> Self {
        matcher.from(1)
    }
}

impl fmt::Display for Occurrences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (1, u64::MAX) => write!(f, "{}", self.matcher),
            (first, u64::MAX) => write!(f, "{} from {first} on", self.matcher),
            (first, last) if first == last => write!(f, "{} number {first}", self.matcher),
            (first, last) => write!(f, "{} number {first} to {last}", self.matcher),
        }
    }
}

/// The operation's name; empty for a request that no `RestClient` made.
pub(super) fn operation(request: &Request<Bytes>) -> &'static str {
    request.extensions().get::<RequestMeta>().map_or("", |meta| meta.operation)
}

/// `POST orders.approve`; without an operation, `POST /path`.
pub(super) fn label(request: &Request<Bytes>) -> String {
    match operation(request) {
        "" => format!("{} {}", request.method(), request.uri().path()),
        name => format!("{} {name}", request.method()),
    }
}
