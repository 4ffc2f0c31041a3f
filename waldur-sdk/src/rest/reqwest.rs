//! The transport of this crate: HTTP/1.1 over pooled connections, by `reqwest`.

mod failure;
mod tls;
#[cfg(all(feature = "danger-accept-invalid-certs", any(feature = "rustls", feature = "rustls-ring")))]
mod unverified;

use std::{fmt, sync::Arc};

use ::reqwest::{Client, ClientBuilder, redirect, retry};
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use hyper_util::client::proxy::matcher::Matcher;
use secrecy::ExposeSecret;

use super::{
    HttpOptions, HttpTransport, Intake, Proxy, RequestMeta, Resolver, TlsBackend, TransportError, TransportErrorKind,
};
use crate::error::{Error, Result};

/// Carries exchanges by `reqwest`. Cheap to clone; clones share the connections. Needs a Tokio runtime.
///
/// HTTP/1.1 only, no redirects, no cookies, no retries, no proxy that was not asked for. Bodies are not decompressed
/// and no `Accept-Encoding` is sent, so that the limit of a body counts what is in memory.
///
/// What happens to a kept connection that the server closes meanwhile: if no byte of the request was written yet, the
/// pool replaces the connection unseen; if the request may have left, the exchange is
/// [`Interrupted`](TransportErrorKind::Interrupted) and nothing is repeated here.
#[derive(Clone)]
pub struct ReqwestTransport {
    client: Client,
    /// The rules by which `client` picks a proxy; `None` where they are not known.
    proxies: Option<Arc<Matcher>>,
    schemes: Schemes,
    verifies_tls: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Schemes {
    All,
    PlainOnly,
}

impl ReqwestTransport {
    /// A transport with connections of its own.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config), naming the option: certificates that cannot be read, no trusted authority
    /// at all.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        let backend = options.tls_backend.or_else(|| TlsBackend::BUILT_IN.first().copied());
        let mut builder = tls::apply(plain(), options, backend)?;
        builder = builder
            .connect_timeout(options.connect_timeout)
            .pool_idle_timeout(options.pool_idle_timeout)
            .pool_max_idle_per_host(options.pool_max_idle_per_host);
        if let Some(resolver) = &options.resolver {
            builder = builder.dns_resolver(Hook(resolver.clone()));
        }
        let matcher = match &options.proxy {
            Some(proxy) => {
                let (rule, matcher) = explicit(proxy)?;
                builder = builder.proxy(rule);
                matcher
            }
            // Neither is the default of `builder`: it looks at the environment unless told otherwise.
            None if options.environment_proxies => Matcher::from_system(),
            None => {
                builder = builder.no_proxy();
                Matcher::builder().build()
            }
        };
        let client = builder
            .build()
            .map_err(|cause| Error::config("http: the client cannot be built").with_source(cause.without_url()))?;
        Ok(Self {
            client,
            proxies: Some(Arc::new(matcher)),
            schemes: if backend.is_some() { Schemes::All } else { Schemes::PlainOnly },
            verifies_tls: Some(options.verifies_tls()),
        })
    }

    /// A transport over a client that was set up elsewhere, for what [`HttpOptions`] does not offer.
    ///
    /// The client must not follow redirects, keep cookies, repeat requests or decompress bodies: the contract of
    /// [`HttpTransport`] asks for it, and nothing here can check it. An unreachable proxy counts as
    /// [`Connect`](TransportErrorKind::Connect), since its rules are not known either.
    pub fn with_client(client: Client) -> Self {
        Self { client, proxies: None, schemes: Schemes::All, verifies_tls: None }
    }

    /// Whether every certificate is verified; `None` for a client that was set up elsewhere. For health reports.
    pub fn verifies_tls(&self) -> Option<bool> {
        self.verifies_tls
    }

    fn is_proxied(&self, uri: &http::Uri) -> bool {
        self.proxies.as_ref().is_some_and(|rules| rules.intercept(uri).is_some())
    }
}

impl From<Client> for ReqwestTransport {
    fn from(client: Client) -> Self {
        Self::with_client(client)
    }
}

impl fmt::Debug for ReqwestTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestTransport").field("verifies_tls", &self.verifies_tls).finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpTransport for ReqwestTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if self.schemes == Schemes::PlainOnly && request.uri().scheme_str() == Some("https") {
            return Err(TransportError::new(TransportErrorKind::InvalidRequest).with_source(
                "this build has no TLS: enable the feature `rustls`, `rustls-ring` or `native-tls` of waldur-sdk",
            ));
        }
        let proxied = self.is_proxied(request.uri());
        let meta = request.extensions().get::<RequestMeta>().copied();
        let intake = request.extensions().get::<Intake>().cloned();
        let mut outgoing = ::reqwest::Request::try_from(request).map_err(|cause| failure::sending(cause, false))?;
        *outgoing.timeout_mut() = meta.map(|meta| meta.timeout);
        let mut answer = self.client.execute(outgoing).await.map_err(|cause| failure::sending(cause, proxied))?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        *response.version_mut() = answer.version();
        *response.headers_mut() = std::mem::take(answer.headers_mut());
        let limit = meta.map_or(RequestMeta::DEFAULT_MAX_BODY, |meta| meta.max_body);
        match intake.filter(|_| response.status().is_success()) {
            Some(intake) => hand_over(answer, limit, &intake).await?,
            None => *response.body_mut() = read(answer, limit).await?,
        }
        Ok(response)
    }
}

fn too_large() -> TransportError {
    TransportError::new(TransportErrorKind::TooLarge)
}

/// Whether more is announced than may come.
fn exceeds(answer: &::reqwest::Response, limit: usize) -> bool {
    answer.content_length().is_some_and(|announced| usize::try_from(announced).is_ok_and(|size| size > limit))
}

/// Hands a body of at most `limit` bytes over, chunk by chunk.
async fn hand_over(mut answer: ::reqwest::Response, limit: usize, intake: &Intake) -> Result<(), TransportError> {
    if exceeds(&answer, limit) {
        return Err(too_large());
    }
    let mut room = limit;
    while let Some(chunk) = answer.chunk().await.map_err(failure::reading)? {
        room = room.checked_sub(chunk.len()).ok_or_else(too_large)?;
        if !intake.take(&chunk) {
            break;
        }
    }
    Ok(())
}

/// Reads a body of at most `limit` bytes. What goes over it is noticed one chunk late at most.
async fn read(mut answer: ::reqwest::Response, limit: usize) -> Result<Bytes, TransportError> {
    if exceeds(&answer, limit) {
        return Err(too_large());
    }
    let Some(first) = answer.chunk().await.map_err(failure::reading)? else {
        return Ok(Bytes::new());
    };
    let mut room = limit.checked_sub(first.len()).ok_or_else(too_large)?;
    let mut whole = Body::One(first);
    while let Some(chunk) = answer.chunk().await.map_err(failure::reading)? {
        room = room.checked_sub(chunk.len()).ok_or_else(too_large)?;
        whole = whole.and(&chunk);
    }
    Ok(whole.into_bytes())
}

/// Most answers come in one chunk, and that one needs no copy.
enum Body {
    One(Bytes),
    Many(BytesMut),
}

impl Body {
    fn and(self, chunk: &[u8]) -> Self {
        let mut bytes = match self {
            Self::One(first) => BytesMut::from(first),
            Self::Many(bytes) => bytes,
        };
        bytes.extend_from_slice(chunk);
        Self::Many(bytes)
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

/// Features of `reqwest` add up over the whole program, so whatever another crate may have turned on is named and
/// turned off here.
fn plain() -> ClientBuilder {
    Client::builder()
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .no_hickory_dns()
}

/// The proxy as the client wants it, and the same rules to ask whether a request goes that way.
fn explicit(proxy: &Proxy) -> Result<(::reqwest::Proxy, Matcher)> {
    let mut rule = ::reqwest::Proxy::all(proxy.url.clone())
        .map_err(|cause| Error::config("proxy: not usable").with_source(cause.without_url()))?
        .no_proxy(::reqwest::NoProxy::from_string(&proxy.direct));
    if let Some((user, password)) = &proxy.credentials {
        rule = rule.basic_auth(user, password.expose_secret());
    }
    Ok((rule, Matcher::builder().all(proxy.url.as_str()).no(proxy.direct.as_str()).build()))
}

struct Hook(Arc<dyn Resolver>);

impl ::reqwest::dns::Resolve for Hook {
    fn resolve(&self, name: ::reqwest::dns::Name) -> ::reqwest::dns::Resolving {
        let found = self.0.resolve(name.as_str());
        Box::pin(async move {
            let addresses: ::reqwest::dns::Addrs = Box::new(found.await?.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{
        convert::Infallible,
        pin::Pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Poll},
    };

    use http_body::Frame;

    use super::*;

    const CHUNK: usize = 1000;

    /// Gives so many chunks, and counts those that were taken.
    struct Chunks {
        left: usize,
        taken: Arc<AtomicUsize>,
    }

    impl http_body::Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(left) = self.left.checked_sub(1) else { return Poll::Ready(None) };
            self.left = left;
            self.taken.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![b'x'; CHUNK])))))
        }
    }

    async fn read_chunks(chunks: usize, limit: usize) -> (Option<usize>, usize) {
        let taken = Arc::new(AtomicUsize::new(0));
        let body = ::reqwest::Body::wrap(Chunks { left: chunks, taken: taken.clone() });
        let outcome = read(http::Response::new(body).into(), limit).await;
        let size = match outcome {
            Ok(body) => Some(body.len()),
            Err(error) => {
                assert_eq!(error.kind(), TransportErrorKind::TooLarge);
                None
            }
        };
        (size, taken.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn reading_stops_at_the_first_chunk_that_goes_over_the_limit() {
        assert_eq!(read_chunks(0, 0).await, (Some(0), 0));
        assert_eq!(read_chunks(1, CHUNK).await, (Some(CHUNK), 1));
        assert_eq!(read_chunks(5, 5 * CHUNK).await, (Some(5 * CHUNK), 5));
        assert_eq!(read_chunks(100, CHUNK - 1).await, (None, 1));
        assert_eq!(read_chunks(100, 5 * CHUNK).await, (None, 6));
        assert_eq!(read_chunks(100, 5 * CHUNK + 1).await, (None, 6));
    }
}
