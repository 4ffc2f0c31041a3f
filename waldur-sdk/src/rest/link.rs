//! `Link` headers (RFC 8288): the next page of a list.
//!
//! A link is data, never a destination. Only the parameter that names the page is taken from it. The next request goes
//! to the origin and path that the list was asked from (security.md S16). If a link leads elsewhere, it is read in the
//! same way, but then the list is never proven whole.

use http::{HeaderMap, header};
use url::Url;

use super::{PageToken, redact};
use crate::error::{Error, ErrorKind};

/// How a list that links its pages is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPaging {
    /// The query parameter that names a page: the only thing taken from a link.
    pub parameter: &'static str,
    /// The header with the number of entries of the whole list, in lower case.
    pub total: &'static str,
    /// The member that holds an entry's id.
    pub id: &'static str,
}

/// What an answer says about the page after it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct NextPage {
    /// Where it begins; `None` on the last page.
    pub token: Option<PageToken>,
    /// Why the link cannot be trusted, if it cannot.
    pub doubt: Option<Error>,
}

impl NextPage {
    /// Reads the `rel="next"` link of an answer to a request for `asked`.
    pub fn from_headers(headers: &HeaderMap, asked: &Url, parameter: &str) -> Self {
        let links = headers.get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        match links.flat_map(parse).find(|link| link.is_next) {
            Some(link) => Self::from_link(&link.target, asked, parameter),
            None => Self::default(),
        }
    }

    /// Reads a link that an answer to a request for `asked` named as the next page, relative or absolute.
    pub fn from_link(link: &str, asked: &Url, parameter: &str) -> Self {
        let doubt = |text: String| Some(Error::new(ErrorKind::Inconsistent, text));
        let Ok(target) = asked.join(link) else {
            return Self { token: None, doubt: doubt("the link to the next page is no URL".to_owned()) };
        };
        let value = target.query_pairs().find(|(name, _)| name == parameter).map(|(_, value)| value.into_owned());
        let Some(value) = value else {
            return Self { token: None, doubt: doubt(format!("the link to the next page has no `{parameter}`")) };
        };
        let strange = !same_place(&target, asked);
        let text = || format!("the link to the next page leads to another place: {}", redact::origin(&target));
        Self { token: Some(PageToken(value)), doubt: strange.then(text).and_then(doubt) }
    }
}

/// Whether two URLs differ in nothing but their query, or in the scheme and port that a TLS proxy hides from the server.
fn same_place(link: &Url, asked: &Url) -> bool {
    let scheme_hidden = link.scheme() == "http" && asked.scheme() == "https";
    link.host_str() == asked.host_str()
        && link.path() == asked.path()
        && link.username().is_empty()
        && (scheme_hidden || (link.scheme() == asked.scheme() && link.port() == asked.port()))
}

struct Link {
    target: String,
    is_next: bool,
}

/// The links of one header value. What cannot be read is left out; a page missed that way shows in the list's count.
fn parse(value: &str) -> Vec<Link> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, parameters)) = after.split_once('>') else { break };
        let (own, tail) = split_outside_quotes(parameters, ',');
        links.push(Link { target: target.trim().to_owned(), is_next: is_next(own) });
        rest = tail;
    }
    links
}

/// What stands before and after the first `separator` that is in no quotes.
fn split_outside_quotes(text: &str, separator: char) -> (&str, &str) {
    let mut quoted = false;
    let parts = text.split_once(|c| {
        quoted ^= c == '"';
        c == separator && !quoted
    });
    parts.unwrap_or((text, ""))
}

fn is_next(mut parameters: &str) -> bool {
    let each = std::iter::from_fn(|| {
        let (parameter, rest) = split_outside_quotes(parameters, ';');
        let more = !parameters.is_empty();
        parameters = rest;
        more.then_some(parameter)
    });
    each.into_iter().any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else { return false };
        let relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.into_iter().any(|rel| rel.eq_ignore_ascii_case("next"))
    })
}
