//! One error type for the whole SDK: the HTTP layer, the client, the back ends and the processors.
//!
//! An [`Error`] says *what* happened ([`ErrorKind`]), *where* ([`HttpContext`] and the operation), whether a repeat
//! may help ([`Error::is_retryable`]), whether the request may have changed something before it failed
//! ([`Error::effect`]) and whether a customer may read its text ([`Error::customer_message`]). A processor decides by
//! [`Error::class`] alone.

use std::{fmt, iter, sync::Arc, time::Duration};

use http::{Method, StatusCode};

/// The result of everything fallible in the SDK.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A boxed cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What happened, coarse enough to stay stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting, a URL or a credential is missing or wrong. Nothing was sent.
    Config,
    /// The connection was never made (name resolution, refused, timed out while connecting). Nothing was sent.
    Connect,
    /// This machine or process has no file descriptors or ports left for a connection: the server is not to blame.
    /// Nothing was sent.
    Local,
    /// TLS failed: certificate, name, protocol version. Nothing was sent.
    Tls,
    /// The answer did not come in time.
    Timeout,
    /// The connection broke after the request had begun to leave.
    Transport,
    /// 401, also after one renewal of the credentials.
    Unauthenticated,
    /// 403.
    PermissionDenied,
    /// 404 from the API itself.
    NotFound,
    /// The thing to be created exists already; who owns it is not said.
    AlreadyExists,
    /// An object of that name exists and does not carry our stamp.
    Foreign,
    /// 409, 412: the state of the object does not allow this.
    Conflict,
    /// 400, 413, 422 and every other 4xx without a meaning of its own: the request is wrong and will stay wrong.
    InvalidRequest,
    /// 429.
    RateLimited,
    /// The request goes over a quota of the server, as its client read from the body.
    QuotaExceeded,
    /// 408, 425, 503.
    Unavailable,
    /// 5xx other than 503.
    Server,
    /// The body is not what the API promises (truncated, wrong type, wrong shape).
    Decode,
    /// Something else than the API answered: an HTML page, a login form, a captive portal. A 404 of that sort is no
    /// proof of absence.
    WrongContent,
    /// The body is larger than the limit of this call.
    TooLarge,
    /// The server answered with a redirect. Redirects are not followed.
    Redirected,
    /// A proxy refused (407).
    Proxy,
    /// The local clock is too far from the server's for signed requests.
    ClockSkew,
    /// 405, 501: the server or the back end does not offer this.
    Unsupported,
    /// Not now, and nobody's fault: the thing is still being made, or locked (423). Repeat later.
    NotReady,
    /// Refused for a reason the customer can act on.
    Rejected,
    /// A write was accepted, but reading back shows another state.
    Inconsistent,
    /// A dry run would have changed something here.
    DryRun,
    /// The caller asked to stop.
    Cancelled,
    /// The deadline of the run passed before this was tried.
    DeadlineExceeded,
    /// Anything else, bugs included.
    Other,
}

/// The only distinction a processor makes (core.md §2.4, §3.9, §7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Leave everything as it is and come back in the next pass.
    NotReady,
    /// Leave everything as it is and repeat soon, within limits.
    Transient,
    /// The name is taken: try the next candidate.
    Duplicate,
    /// The object belongs to somebody else: never touch it.
    Foreign,
    /// Refused for good; the text is for the customer.
    Rejected,
    /// Not offered by this back end or server.
    Unsupported,
    /// Permanent: settings, rights, a bug.
    Broken,
}

/// What a failed request may have done to the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Certainly nothing: it never left, or the server refused it.
    NotApplied,
    /// It may have been carried out. Resolve by reading, never by guessing.
    Unknown,
}

/// The request behind an error, with nothing secret in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpContext {
    /// The method.
    pub method: Method,
    /// Scheme, host and the path's template (`https://host/api/orders/{order}/`): no query, no user-info, no ids.
    pub url: String,
    /// The status, if an answer came.
    pub status: Option<StatusCode>,
    /// `X-Request-Id` or the service's own equivalent.
    pub request_id: Option<String>,
    /// What `Retry-After` asked for.
    pub retry_after: Option<Duration>,
    /// The beginning of the body (at most 2 KiB), control characters escaped, secrets removed.
    pub body: Option<String>,
    /// How often the request was sent.
    pub attempts: u32,
}

impl HttpContext {
    /// A context without an answer.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self { method, url: url.into(), status: None, request_id: None, retry_after: None, body: None, attempts: 1 }
    }
}

/// The error of the SDK. One pointer wide and cheap to clone.
///
/// `Display` is one line, whatever a server put into it, and never repeats the source. `{:#}` adds the causes to that line,
/// joined by `: `; [`Error::chain`] has them one by one.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    code: Option<String>,
    operation: &'static str,
    retryable: Option<bool>,
    effect: Option<Effect>,
    for_customer: bool,
    http: Option<HttpContext>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a one-line message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            code: None,
            operation: "",
            retryable: None,
            effect: None,
            for_customer: false,
            http: None,
            source: None,
        }))
    }

    /// A wrong or missing setting or argument.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// Something the back end or the server does not offer.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{what} is not supported here"))
    }

    /// A refusal whose text the customer may read.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rejected, message).for_customer()
    }

    /// Not ready yet; the order stays as it is.
    pub fn not_ready(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotReady, message)
    }

    fn edit(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.edit().source = Some(Arc::from(source.into()));
        self
    }

    /// Adds the request behind the error.
    #[must_use]
    pub fn with_http(mut self, http: HttpContext) -> Self {
        self.edit().http = Some(http);
        self
    }

    /// Names the operation (`orders.set_state_done`).
    #[must_use]
    pub fn with_operation(mut self, operation: &'static str) -> Self {
        self.edit().operation = operation;
        self
    }

    /// Keeps the error code of the service (`NoSuchUser`).
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.edit().code = Some(code.into());
        self
    }

    /// Replaces the kind, for a client that reads the service's error code.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.edit().kind = kind;
        self
    }

    /// Replaces the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.edit().message = message.into();
        self
    }

    /// Says whether a repeat may help, against the default of the kind.
    #[must_use]
    pub fn with_retryable(mut self, yes: bool) -> Self {
        self.edit().retryable = Some(yes);
        self
    }

    /// Says what the request has done, against the default of the kind.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.edit().effect = Some(effect);
        self
    }

    /// Marks the message as fit for the customer's eyes: no host, no secret, no stack.
    #[must_use]
    pub fn for_customer(mut self) -> Self {
        self.edit().for_customer = true;
        self
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone, without operation and request.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The service's own error code, if its client read one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The operation that failed; empty when none was named.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// The request behind the error.
    pub fn http(&self) -> Option<&HttpContext> {
        self.0.http.as_ref()
    }

    /// The HTTP status, if an answer came.
    pub fn status(&self) -> Option<StatusCode> {
        self.http()?.status
    }

    /// The server's id of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.http()?.request_id.as_deref()
    }

    /// How long the server asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.http()?.retry_after
    }

    /// How often the request was sent; 0 if none was.
    pub fn attempts(&self) -> u32 {
        self.http().map_or(0, |http| http.attempts)
    }

    /// The text that may be shown to a customer, if this error has one.
    pub fn customer_message(&self) -> Option<&str> {
        self.0.for_customer.then_some(self.0.message.as_str())
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_retryable(&self) -> bool {
        self.0.retryable.unwrap_or(self.class() == ErrorClass::Transient || self.kind() == ErrorKind::NotReady)
    }

    /// 404 of the API: the object is proven absent.
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }

    /// Whether it says that the other side, or the way there, may be down, and nothing of what was asked for. A race that was
    /// lost, or an approval that is not in effect yet, passes as well and is no outage.
    pub fn is_outage(&self) -> bool {
        use ErrorKind as K;
        match self.kind() {
            K::Connect | K::Local | K::Timeout | K::Transport | K::RateLimited | K::Unavailable | K::Server => {
                self.class() == ErrorClass::Transient
            }
            K::Tls | K::Proxy => true,
            _ => false,
        }
    }

    /// Whether it may pass without anybody changing what was asked for: the classes [`Transient`](ErrorClass::Transient)
    /// and [`NotReady`](ErrorClass::NotReady). Nothing is decided by such an error and nothing reported to a customer; the
    /// same is tried again in the next pass. Wider than [`Self::is_retryable`]: a certificate that has run out passes once
    /// it is mended, and no repeat mends it.
    ///
    /// ```
    /// use waldur_sdk::{Error, ErrorKind};
    ///
    /// assert!(Error::new(ErrorKind::Timeout, "no answer").is_passing());
    /// assert!(Error::not_ready("the project is still being made").is_passing());
    /// assert!(!Error::rejected("the name is too long").is_passing());
    /// ```
    pub fn is_passing(&self) -> bool {
        matches!(self.class(), ErrorClass::Transient | ErrorClass::NotReady)
    }

    /// What a processor does about it.
    pub fn class(&self) -> ErrorClass {
        use ErrorKind as K;
        match self.0.kind {
            _ if self.0.retryable == Some(true) => ErrorClass::Transient,
            K::Connect | K::Local | K::Timeout | K::Transport | K::RateLimited | K::Unavailable | K::Server
                if self.0.retryable != Some(false) =>
            {
                ErrorClass::Transient
            }
            // Somebody has to mend a credential, a proxy or a certificate; no customer's order fails for that.
            K::NotReady
            | K::Cancelled
            | K::DeadlineExceeded
            | K::DryRun
            | K::Unauthenticated
            | K::Tls
            | K::ClockSkew
            | K::Proxy
            | K::Redirected
            | K::WrongContent
            | K::TooLarge
            | K::Decode => ErrorClass::NotReady,
            K::AlreadyExists => ErrorClass::Duplicate,
            K::Foreign => ErrorClass::Foreign,
            K::Rejected | K::QuotaExceeded => ErrorClass::Rejected,
            K::Unsupported => ErrorClass::Unsupported,
            _ => ErrorClass::Broken,
        }
    }

    /// What the failed call may have done, all its sendings together: an attempt that timed out stays
    /// [`Effect::Unknown`] although the next one was refused.
    pub fn effect(&self) -> Effect {
        use ErrorKind as K;
        if let Some(effect) = self.0.effect {
            return effect;
        }
        match self.0.kind {
            K::Timeout
            | K::Transport
            | K::Server
            | K::Unavailable
            | K::Decode
            | K::WrongContent
            | K::TooLarge
            // 303 is how some servers answer a write that they carried out.
            | K::Redirected
            | K::Inconsistent
            | K::Other => Effect::Unknown,
            _ => Effect::NotApplied,
        }
    }

    /// Whether this is a clone of the other: what failed once, told of several.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What [`Self::with_retryable`] said, if anything.
    pub(crate) fn retryable_override(&self) -> Option<bool> {
        self.0.retryable
    }

    /// The error and its causes, outermost first, one line each.
    pub fn chain(&self) -> Vec<String> {
        [self.to_string()].into_iter().chain(self.causes().map(ToString::to_string)).collect()
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        iter::successors(std::error::Error::source(self), |cause| cause.source())
    }
}

/// Whether a character can break or disguise a log line: control characters, line and paragraph separators, zero-width
/// and bidirectional formatting.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Writes a text on one line, every hidden character escaped.
pub(crate) fn write_visible(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| if is_hidden(c) { write!(out, "{}", c.escape_unicode()) } else { out.write_char(c) })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if !inner.operation.is_empty() {
            write!(f, "{}: ", inner.operation)?;
        }
        write_visible(f, &inner.message)?;
        if let Some(code) = &inner.code {
            f.write_str(" (")?;
            write_visible(f, code)?;
            f.write_str(")")?;
        }
        if let Some(http) = &inner.http {
            write!(f, " [{} {}", http.method, http.url)?;
            if let Some(status) = http.status {
                write!(f, " -> {}", status.as_u16())?;
            }
            if let Some(id) = &http.request_id {
                write!(f, ", request id {id}")?;
            }
            if http.attempts > 1 {
                write!(f, ", {} attempts", http.attempts)?;
            }
            f.write_str("]")?;
        }
        if f.alternate() {
            for cause in self.causes() {
                f.write_str(": ")?;
                write_visible(f, &cause.to_string())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("operation", &inner.operation)
            .field("message", &inner.message)
            .field("code", &inner.code)
            .field("http", &inner.http)
            .field("source", &inner.source)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
