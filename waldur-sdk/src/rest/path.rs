//! Base URLs, path templates and queries: no value can leave its place.

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Host, ParseError, Url};

use crate::error::{Error, Result, is_hidden};

/// Everything but RFC 3986 *unreserved* is encoded, with upper-case hex. This is also the canonical form of SigV4.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The longest path segment that is ever sent, in bytes before encoding.
pub const MAX_SEGMENT: usize = 255;

/// Percent-encodes everything but letters, digits and `-_.~`.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, STRICT).to_string()
}

/// The root of an API: `http` or `https`, no user-info, no query, no fragment; a path prefix is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// Whether credentials may travel over plain `http`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to loopback addresses.
    #[default]
    LoopbackOnly,
    /// To every host: the operator said so.
    Allowed,
}

impl BaseUrl {
    /// Reads a base URL. `field` names the setting in the error.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for anything that is not an absolute http(s) URL without user-info, query
    /// and fragment, and for plain `http` to a host that is not loopback, unless `plain` allows it. The error never
    /// repeats the value, since it may hold a password.
    pub fn parse(field: &str, text: &str, plain: PlainHttp) -> Result<Self> {
        Self::check(text, plain).map_err(|rule| Error::config(format!("{field}: {rule}")))
    }

    /// As [`Self::parse`], with the broken rule as the error, for a reader that collects problems.
    pub(crate) fn check(text: &str, plain: PlainHttp) -> Result<Self, &'static str> {
        let mut url = http_url(text, plain)?;
        if url.query().is_some() {
            return Err("must not contain a query");
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self(url))
    }

    /// Removes one trailing path segment if it is exactly `name`: `https://host/prefix/api/` → `https://host/prefix/`.
    #[must_use]
    pub fn without_trailing_segment(mut self, name: &str) -> Self {
        let path = self.0.path().trim_end_matches('/').to_owned();
        if let Some(rest) = path.strip_suffix(name)
            && rest.ends_with('/')
        {
            self.0.set_path(rest);
        }
        self
    }

    /// The base at `path`, one or more segments below this one.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) when a segment breaks a rule of [`check_segment`]; `field` names the setting.
    pub fn below(&self, field: &str, path: &str) -> Result<Self> {
        path.split('/').try_for_each(|segment| check_segment(field, segment))?;
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}/", url.path()));
        Ok(Self(url))
    }

    /// The URL, always with a trailing `/`.
    pub fn as_url(&self) -> &Url {
        &self.0
    }

    /// The URL of `path`, which [`fill`] made and which begins with `/`, below this base. An empty path is the base
    /// itself without its trailing `/`.
    pub(super) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let joined = format!("{}{}", url.path().trim_end_matches('/'), path);
        url.set_path(&joined);
        url
    }
}

/// Reads an absolute http(s) URL without user-info and fragment, path and query as they are. The error is the broken
/// rule: it cannot repeat the text, which may hold a password.
pub(crate) fn http_url(text: &str, plain: PlainHttp) -> Result<Url, &'static str> {
    let url = Url::parse(text.trim()).map_err(|cause| match cause {
        ParseError::InvalidPort => "must have a port from 1 to 65535, or none",
        ParseError::EmptyHost | ParseError::IdnaError | ParseError::InvalidDomainCharacter => "must name a valid host",
        _ => "must be an absolute URL such as https://host/",
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password");
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment");
    }
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err("must name a host"),
    };
    if url.scheme() == "http" && plain == PlainHttp::LoopbackOnly && !loopback {
        return Err("must be https, or plain http must be allowed explicitly");
    }
    Ok(url)
}

/// A base URL that no setting names: plain `http` to loopback addresses only.
///
/// ```
/// use waldur_sdk::rest::BaseUrl;
///
/// let harbor: BaseUrl = "https://harbor.example.com".parse()?;
/// assert_eq!(harbor.to_string(), "https://harbor.example.com/");
/// assert!("http://harbor.example.com".parse::<BaseUrl>().is_err());
/// # Ok::<(), waldur_sdk::Error>(())
/// ```
impl FromStr for BaseUrl {
    type Err = Error;

    /// # Errors
    /// As [`BaseUrl::parse`], with `url` as the name of the setting.
    fn from_str(text: &str) -> Result<Self> {
        Self::parse("url", text, PlainHttp::LoopbackOnly)
    }
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BaseUrl({})", self.0)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Fills a path template. Every `{name}` takes one argument as exactly one percent-encoded segment.
///
/// `{name/}` takes a path, whose slashes and parts are encoded twice: they arrive as one segment at a server whose router
/// decodes once and whose handler decodes again (repositories of Harbor).
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config) when an argument breaks a rule of [`check_segment`], or when the number of
/// arguments is wrong.
pub(super) fn fill(template: &'static str, arguments: &[&str]) -> Result<String> {
    let mut path = String::with_capacity(template.len() + 32);
    let mut arguments = arguments.iter();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        let argument =
            arguments.next().ok_or_else(|| Error::config(format!("path {template}: no value for {{{name}}}")))?;
        path.push_str(literal);
        if let Some(name) = name.strip_suffix('/') {
            argument.split('/').try_for_each(|part| check_segment(name, part))?;
            path.push_str(&encode(&encode(argument)));
        } else {
            check_segment(name, argument)?;
            path.push_str(&encode(argument));
        }
        rest = tail;
    }
    path.push_str(rest);
    match arguments.next() {
        None => Ok(path),
        Some(_) => Err(Error::config(format!("path {template}: too many values"))),
    }
}

/// Checks that `value` can be one path segment; `name` names it in the error. For code that checks a name before the
/// first request.
///
/// A segment travels percent-encoded, but servers and proxies between decode, some of them twice. So a value is refused
/// by what it can become, not only by what it is.
///
/// # Errors
/// [`Config`](crate::ErrorKind::Config) when the value is empty, longer than [`MAX_SEGMENT`] bytes, a dot segment, or
/// contains `/`, `\` or a hidden character (control, zero-width, bidirectional), plainly or percent-encoded.
pub fn check_segment(name: &str, value: &str) -> Result<()> {
    let problem = |rule: &str| Err(Error::config(format!("{name}: {rule}")));
    if value.is_empty() {
        return problem("must not be empty");
    }
    if value.len() > MAX_SEGMENT {
        return problem("must not be longer than 255 bytes");
    }
    let mut form = value.to_owned();
    loop {
        if form == "." || form == ".." {
            return problem("must not be a dot segment");
        }
        if form.chars().any(|c| is_hidden(c) || matches!(c, '/' | '\\')) {
            return problem("must not contain '/', '\\' or a control or formatting character");
        }
        let decoded = percent_decode_str(&form).decode_utf8_lossy().into_owned();
        if decoded == form {
            return Ok(());
        }
        form = decoded;
    }
}
