//! Building and sending one call.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, header};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    Authenticator, BadRow, BaseUrl, BoxFuture, Breaker, Environment, Http, Idempotency, LinkPaging, NextPage, Page,
    RequestMeta, Rows,
    intake::Folding,
    path,
    prepared::{Answered, Prepared},
    redact,
};
use crate::error::{Error, Result};

/// Reads more from an error's answer than its status says.
type ReadError = dyn Fn(&Response<Bytes>, Error) -> Error + Send + Sync;

/// The hook of [`RestClient::with_error_reader`].
#[derive(Clone)]
pub(super) struct ErrorReader(Arc<ReadError>);

impl ErrorReader {
    pub(super) fn read(&self, answer: &Response<Bytes>, error: Error) -> Error {
        (self.0)(answer, error)
    }
}

/// An authenticated client of one API: a pipeline, a base URL and credentials that never leave that origin.
/// Cheap to clone.
#[derive(Clone)]
pub struct RestClient {
    http: Http,
    base: BaseUrl,
    authenticator: Arc<dyn Authenticator>,
    headers: HeaderMap,
    timeout: Duration,
    deadline: Option<Instant>,
    empty_not_found: bool,
    breaker: Option<Breaker>,
    error_reader: Option<ErrorReader>,
}

impl RestClient {
    /// The default time limit of an attempt: 60 s.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

    /// The time limit of an attempt of [`Call::bulk`]: 10 minutes.
    pub const BULK_TIMEOUT: Duration = Duration::from_secs(600);

    /// The limit of a body of [`Call::bulk`]: 256 MiB.
    pub const BULK_MAX_BODY: usize = 256 * 1024 * 1024;

    /// A client of the API below `base`. Sends `Accept: application/json`, `User-Agent: waldur-sdk/<version>`, and
    /// `Cache-Control: no-cache`: a stored answer of a proxy proves neither absence nor that a change took effect.
    pub fn new(http: Http, base: BaseUrl, authenticator: impl Authenticator) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(concat!("waldur-sdk/", env!("CARGO_PKG_VERSION"))));
        Self {
            http,
            base,
            authenticator: Arc::new(authenticator),
            headers,
            timeout: Self::DEFAULT_TIMEOUT,
            deadline: None,
            empty_not_found: false,
            breaker: None,
            error_reader: None,
        }
    }

    /// Sends `value` as `User-Agent`.
    ///
    /// # Errors
    /// `Config` when it is no valid header value.
    pub fn with_user_agent(mut self, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Error::config("user agent: contains a character that a header cannot carry"))?;
        self.headers.insert(header::USER_AGENT, value);
        Ok(self)
    }

    /// Sends a header with every call.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Replaces the time limit of an attempt.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same client, whose calls have a deadline: no attempt goes on after it, and no pause reaches beyond it.
    #[must_use]
    pub fn until(&self, deadline: Option<Instant>) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The deadline of its calls.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes a 404 without a body for the API's word that there is no such object. Only for an API that is known to answer
    /// so: without this, an empty 404 to `GET` or `DELETE` is [`WrongContent`](crate::ErrorKind::WrongContent), because
    /// that is also what a proxy says that has no route to the API. Waldur, Harbor and RadosGW all say more.
    #[must_use]
    pub fn with_empty_not_found(mut self) -> Self {
        self.empty_not_found = true;
        self
    }

    /// The same client, whose calls are made only as far as `breaker` lets them through, which learns from all of them.
    #[must_use]
    pub fn stopped_by(&self, breaker: Option<Breaker>) -> Self {
        Self { breaker, ..self.clone() }
    }

    /// Reads the errors of this API. `reader` gets every answer that is no success, with the error made from its status,
    /// before it is decided whether to repeat: it may add the service's code, replace kind and message, say whether a
    /// repeat helps ([`Error::with_retryable`]) and what was done ([`Error::with_effect`]). Texts of the server that it
    /// takes over are its to redact.
    #[must_use]
    pub fn with_error_reader(
        mut self,
        reader: impl Fn(&Response<Bytes>, Error) -> Error + Send + Sync + 'static,
    ) -> Self {
        self.error_reader = Some(ErrorReader(Arc::new(reader)));
        self
    }

    /// The root of the API.
    pub fn base(&self) -> &BaseUrl {
        &self.base
    }

    /// Sleep, clocks and randomness of this client.
    pub fn environment(&self) -> &Environment {
        self.http.environment()
    }

    /// Begins a call. `operation` names it in errors and metrics; `template` is the path below the base, where every
    /// `{name}` takes one of `arguments` as exactly one encoded segment, and `{name/}` one that is a path, encoded twice.
    pub fn call(&self, method: Method, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        let (path, error) = match path::fill(template, arguments) {
            Ok(path) => (path, None),
            Err(error) => (String::new(), Some(error.with_operation(operation))),
        };
        let prefix = self.base.as_url().path().trim_end_matches('/');
        Call {
            prepared: Prepared {
                operation,
                template,
                shown_url: format!("{}{prefix}{template}", redact::origin(self.base.as_url())),
                method,
                url: self.base.join(&path),
                headers: self.headers.clone(),
                body: Bytes::new(),
                idempotency: Idempotency::FromMethod,
                timeout: self.timeout,
                deadline: self.deadline,
                max_body: RequestMeta::DEFAULT_MAX_BODY,
                secrets: Vec::new(),
                secret_answer: false,
                must_exist: false,
                empty_not_found: self.empty_not_found,
                error_reader: self.error_reader.clone(),
                intakes: None,
            },
            client: self.clone(),
            query: String::new(),
            error,
        }
    }

    /// `GET`.
    pub fn get(&self, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        self.call(Method::GET, operation, template, arguments)
    }

    /// `POST`.
    pub fn post(&self, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        self.call(Method::POST, operation, template, arguments)
    }

    /// `PUT`.
    pub fn put(&self, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        self.call(Method::PUT, operation, template, arguments)
    }

    /// `DELETE`.
    pub fn delete(&self, operation: &'static str, template: &'static str, arguments: &[&str]) -> Call {
        self.call(Method::DELETE, operation, template, arguments)
    }
}

impl fmt::Debug for RestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestClient").field("base", &self.base).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// One call being built. Mistakes (a bad segment, a body that does not serialize) surface when it is sent, before
/// anything leaves.
#[must_use = "a call does nothing until it is sent"]
#[derive(Clone)]
pub struct Call {
    client: RestClient,
    prepared: Prepared,
    query: String,
    error: Option<Error>,
}

impl Call {
    /// Adds `name=value`, both encoded. The order of calls is the order on the wire; names may repeat.
    pub fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(&path::encode(name));
        self.query.push('=');
        self.query.push_str(&path::encode(&value.to_string()));
        self
    }

    /// Adds `name=value` if there is a value.
    pub fn query_opt(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a secret parameter; its value is also removed from whatever the server echoes.
    pub fn query_secret(self, name: &str, value: &SecretString) -> Self {
        self.secret(value).query(name, value.expose_secret())
    }

    /// Sends `body` as JSON.
    pub fn json(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body("application/json", bytes.into()),
            Err(cause) => {
                let error = Error::config("the body of this call does not serialize");
                self.error.get_or_insert(error.with_operation(self.prepared.operation).with_source(cause));
                self
            }
        }
    }

    /// Sends `fields` as `application/x-www-form-urlencoded`; the values of secret-sounding fields are removed from
    /// whatever the server echoes.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (name, value) in fields {
            if redact::is_secret_name(name) {
                self.prepared.secrets.push(SecretString::from(*value));
            }
            if !text.is_empty() {
                text.push('&');
            }
            text.push_str(&path::encode(name));
            text.push('=');
            text.push_str(&path::encode(value));
        }
        self.body("application/x-www-form-urlencoded", text.into())
    }

    /// Sends a body of any type.
    pub fn body(mut self, content_type: &'static str, body: Bytes) -> Self {
        self.prepared.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.prepared.body = body;
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.prepared.headers.insert(name, value);
        self
    }

    /// Says that repeating this call does no harm, whatever its method.
    pub fn idempotent(mut self) -> Self {
        self.prepared.idempotency = Idempotency::Idempotent;
        self
    }

    /// Says that this call must not be repeated once it may have arrived, whatever its method.
    pub fn not_idempotent(mut self) -> Self {
        self.prepared.idempotency = Idempotency::NotIdempotent;
        self
    }

    /// Replaces the time limit of each attempt.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.prepared.timeout = timeout;
        self
    }

    /// No attempt goes on after `deadline`, and no pause reaches beyond it.
    pub fn deadline(mut self, deadline: Option<Instant>) -> Self {
        self.prepared.deadline = deadline;
        self
    }

    /// Replaces the limit of the answer's body, in bytes.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.prepared.max_body = bytes;
        self
    }

    /// A long report: [`RestClient::BULK_TIMEOUT`] and [`RestClient::BULK_MAX_BODY`].
    pub fn bulk(self) -> Self {
        self.timeout(RestClient::BULK_TIMEOUT).max_body(RestClient::BULK_MAX_BODY)
    }

    /// Names a secret that the body or a header carries, so that an echo of it is removed from error texts.
    pub fn secret(mut self, secret: &SecretString) -> Self {
        self.prepared.secrets.push(secret.clone());
        self
    }

    /// The successful answer holds secrets: no error shows any of its body.
    pub fn secret_answer(mut self) -> Self {
        self.prepared.secret_answer = true;
        self
    }

    /// The path is no object's but a part of the API: its absence (404, 410, of whatever body) means a wrong base URL and
    /// is [`Config`](crate::ErrorKind::Config), never an empty list or an absent object. For the first call to a server.
    pub fn must_exist(mut self) -> Self {
        self.prepared.must_exist = true;
        self
    }

    /// Takes [`Self::must_exist`] back.
    pub(crate) fn need_not_exist(mut self) -> Self {
        self.prepared.must_exist = false;
        self
    }

    /// Sends the call and returns the successful answer.
    ///
    /// # Errors
    /// See [`ErrorKind`](crate::ErrorKind); every error names the operation and the request.
    pub async fn send(self) -> Result<Response<Bytes>> {
        self.run().await.map(|(_, answered)| answered.response)
    }

    /// Sends the call and drops the answer's body, which may be empty.
    ///
    /// # Errors
    /// As [`Self::send`]; [`WrongContent`](crate::ErrorKind::WrongContent) for a page.
    pub async fn send_unit(self) -> Result<()> {
        let (prepared, answered) = self.run().await?;
        prepared.refuse_page(&answered)
    }

    /// Sends the call and reads the answer as JSON. A byte order mark is tolerated.
    ///
    /// # Errors
    /// As [`Self::send`]; [`WrongContent`](crate::ErrorKind::WrongContent) for a page,
    /// [`Decode`](crate::ErrorKind::Decode) for everything that is not a `T`, naming the path to the offending member.
    pub async fn send_json<T: DeserializeOwned>(self) -> Result<T> {
        let (prepared, answered) = self.run().await?;
        prepared.decode(&answered)
    }

    /// As [`Self::send_json`], with a 404 of the API as `None`.
    ///
    /// # Errors
    /// As [`Self::send_json`]; a 404 that a proxy made is `WrongContent`, and so is one without a body unless the client is
    /// told better ([`RestClient::with_empty_not_found`]).
    pub async fn send_opt<T: DeserializeOwned>(self) -> Result<Option<T>> {
        match self.send_json().await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// As [`Self::send_json`], with the answer's headers.
    ///
    /// # Errors
    /// As [`Self::send_json`].
    pub async fn send_with_headers<T: DeserializeOwned>(self) -> Result<(T, HeaderMap)> {
        let (prepared, answered) = self.run().await?;
        let value = prepared.decode(&answered)?;
        Ok((value, answered.response.into_parts().0.headers))
    }

    /// Sends the call and reads the answer, a JSON array, entry by entry; `id` is the member that names an entry.
    ///
    /// # Errors
    /// As [`Self::send_json`] for the array itself; what is wrong with one entry is in [`Rows::bad`].
    pub async fn send_rows<T: DeserializeOwned>(self, id: &str) -> Result<(Rows<T>, HeaderMap)> {
        let (prepared, answered) = self.run().await?;
        let rows = prepared.rows(&answered, None, id)?;
        Ok((rows, answered.response.into_parts().0.headers))
    }

    /// As [`Self::send_rows`], for an array that is the member `member` of the answer. The rest of the answer is read by
    /// `E`, which leaves that member out.
    ///
    /// # Errors
    /// As [`Self::send_rows`].
    pub async fn send_rows_in<T, E>(self, member: &str, id: &str) -> Result<(Rows<T>, E)>
    where
        T: DeserializeOwned,
        E: DeserializeOwned,
    {
        let (prepared, answered) = self.run().await?;
        Ok((prepared.rows(&answered, Some(member), id)?, prepared.decode(&answered)?))
    }

    /// Sends the call and reads the answer, a JSON array, entry by entry **while it arrives**: what is kept is one entry and
    /// what `each` makes of it, however long the list, if the transport hands it over in pieces ([`Intake`]). An entry may
    /// have [`RequestMeta::DEFAULT_MAX_BODY`] bytes, the whole answer what [`Self::max_body`] says.
    ///
    /// Every attempt begins with what `begin` makes, so that a broken-off one leaves nothing behind. `id` as in
    /// [`Self::send_rows`].
    ///
    /// # Errors
    /// As [`Self::send_rows`]: a list that was cut short is never a short list.
    ///
    /// [`Intake`]: super::Intake
    pub async fn fold_rows<T, A>(
        mut self,
        id: &'static str,
        begin: impl Fn() -> A + Send + Sync + 'static,
        each: impl Fn(&mut A, Result<T, BadRow>) + Send + Sync + 'static,
    ) -> Result<A>
    where
        T: DeserializeOwned + 'static,
        A: Send + 'static,
    {
        let folding = Arc::new(Folding::new(id, RequestMeta::DEFAULT_MAX_BODY, begin, each));
        self.prepared.intakes = Some(folding.clone());
        let (prepared, answered) = self.run().await?;
        folding.finish(&prepared, &answered)
    }

    /// Sends the call and reads the answer as one page of a list whose pages are linked by `Link` headers. How many
    /// entries would fill a page is not known here: whoever asked for a size says so with [`Page::with_open_end`].
    ///
    /// # Errors
    /// As [`Self::send_rows`].
    pub async fn send_page<T: DeserializeOwned>(self, paging: &LinkPaging) -> Result<Page<T>> {
        let (prepared, answered) = self.run().await?;
        let headers = answered.response.headers();
        let total = headers.get(paging.total).and_then(|total| total.to_str().ok()?.trim().parse().ok());
        let next = NextPage::from_headers(headers, &prepared.url, paging.parameter);
        let page = prepared.rows(&answered, None, paging.id)?.into_page(next.token).with_total(total);
        Ok(page.with_doubt(next.doubt.map(|doubt| doubt.with_operation(prepared.operation))))
    }

    // Boxed here, once for a whole call: the state of the pipeline would else be a part of every caller's future.
    fn run(self) -> BoxFuture<'static, Result<(Prepared, Answered)>> {
        Box::pin(async move {
            let Self { client, mut prepared, query, error } = self;
            if let Some(error) = error {
                return Err(error);
            }
            if !query.is_empty() {
                prepared.url.set_query(Some(&query));
            }
            let sent = client.http.run(&*client.authenticator, &prepared);
            let answered = match &client.breaker {
                None => sent.await?,
                Some(breaker) => breaker.run(sent).await?,
            };
            Ok((prepared, answered))
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.prepared.operation)
            .field("method", &self.prepared.method)
            .field("template", &self.prepared.template)
            .finish_non_exhaustive()
    }
}
