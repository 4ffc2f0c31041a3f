//! From a request to its answer, in the order in which the real server decides: path, `Accept`, credentials, method,
//! object, rights, state, body.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request::Parts};
use percent_encoding::percent_decode_str;
use url::Host;

use super::{
    answer::{Answer, Body, Outcome},
    api,
    incoming::{Fielded, Incoming, Verb},
    log::RecordedRequest,
    state::{Base, State},
};
use crate::rest::TransportErrorKind;

/// A request before it is known what it is for.
struct Arrived<'a> {
    parts: &'a Parts,
    body: &'a Bytes,
    query: &'a [(String, String)],
    /// Scheme, host and path prefix.
    origin: &'a str,
}

impl State {
    /// Carries one exchange and records it. A host that is neither Waldur's nor the token issuer's cannot be reached.
    pub(super) fn serve(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportErrorKind> {
        self.tick();
        let (parts, body) = request.into_parts();
        let mut record = RecordedRequest::new(&parts, &body);
        if self.issuer.as_ref().is_some_and(|issuer| issuer.answers(&parts.uri)) {
            return Ok(self.issue(&parts.headers, &body));
        }
        let origin = self.origin(&parts).ok_or(TransportErrorKind::Connect)?;
        record.user = self.authenticate(&parts.headers).ok();
        let arrived = Arrived { parts: &parts, body: &body, query: &record.query, origin: &origin };
        let answer = match self.answer(&arrived) {
            Ok(answer) | Err(answer) => answer,
        };
        record.status = answer.status;
        if answer.status == StatusCode::NOT_IMPLEMENTED {
            self.unserved.push(format!("{} {}", parts.method, parts.uri.path()));
        }
        self.log.push(record);
        Ok(answer.into_response(parts.method == Method::HEAD))
    }

    fn issue(&mut self, headers: &HeaderMap, body: &Bytes) -> Response<Bytes> {
        let now = self.now();
        let answer = self.issuer.as_mut().map(|issuer| issuer.token(headers, body, now));
        answer.unwrap_or_else(Answer::server_error).into_response(false)
    }

    /// What hyperlinks begin with: the request's own scheme and host, as with the real server, and the path prefix.
    fn origin(&self, parts: &Parts) -> Option<String> {
        let Base { scheme, host, port, prefix } = &self.base;
        if let Some(authority) = parts.uri.authority() {
            let known = authority.host() == host && authority.port_u16() == *port;
            let scheme = parts.uri.scheme_str().unwrap_or(scheme);
            return (known || is_loopback(authority.host())).then(|| format!("{scheme}://{authority}{prefix}"));
        }
        // A server behind a socket gets the path alone, and the host in its header.
        let header = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        Some(format!("{scheme}://{}{prefix}", header.map_or_else(|| self.base.authority(), str::to_owned)))
    }

    fn answer(&mut self, arrived: &Arrived<'_>) -> Outcome {
        let uri = &arrived.parts.uri;
        let path = uri.path().strip_prefix(&self.base.prefix).ok_or_else(Answer::no_such_path)?;
        let below_api = path.strip_prefix("/api/").ok_or_else(Answer::no_such_path)?;
        let Some((route, ids)) = api::find(&segments(below_api)) else {
            return Err(Answer::unserved(&format!("{} {path}", arrived.parts.method)));
        };
        if !route.is_of(self.generation) {
            return Err(Answer::no_such_path());
        }
        if !path.ends_with('/') {
            return Err(moved(uri.path(), uri.query()));
        }
        let allow = |answer: Answer| match answer.body {
            Body::Page(_) => answer,
            Body::Json(_) | Body::Empty => answer.with(header::ALLOW, route.allow),
        };
        self.dispatch(arrived, route, path, ids).map(allow).map_err(allow)
    }

    fn dispatch(&mut self, arrived: &Arrived<'_>, route: &api::Route, path: &str, ids: Vec<String>) -> Outcome {
        let Arrived { parts, body, query, origin } = *arrived;
        if !accepts_json(&parts.headers) {
            return Err(Answer::detail(StatusCode::NOT_ACCEPTABLE, "Could not satisfy the request Accept header."));
        }
        let user = self.authenticate(&parts.headers)?;
        let refused = || Answer::method_not_allowed(parts.method.as_str());
        let verb = Verb::of(&parts.method).ok_or_else(refused)?;
        let (generation, headers) = (self.generation, &parts.headers);
        let fields = Fielded::of(query);
        let call = Incoming { generation, verb, origin, path, query, headers, body, user, ids, fields };
        match route.on.iter().find(|(on, _)| *on == verb) {
            Some((_, handler)) => handler(self, &call),
            // Named by `Allow`, so the real server has something to say.
            None if route.allow.split(", ").any(|method| method == verb.as_str()) => api::unserved(self, &call),
            None => Err(refused()),
        }
    }
}

fn segments(path: &str) -> Vec<String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy().into_owned()).collect()
}

/// Recorded: 019.
fn moved(path: &str, query: Option<&str>) -> Answer {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Answer::redirect(format!("{path}/{query}"))
}

/// Recorded: 026, 027.
fn accepts_json(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).peekable();
    accepted.peek().is_none()
        || accepted
            .flat_map(|value| value.split(','))
            .map(|range| range.split(';').next().unwrap_or_default().trim())
            .any(|range| matches!(range, "*/*" | "application/*" | "application/json"))
}

fn is_loopback(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}
