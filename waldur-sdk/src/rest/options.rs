//! How connections are made: time limits, trust, proxies, name resolution.

use std::{fmt, io, net::SocketAddr, sync::Arc, time::Duration};

use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use url::Url;

use super::{BoxFuture, redact};
use crate::error::{Error, Result};

/// What a setting has to be that would switch the verification of certificates off.
pub(crate) const MUST_VERIFY: &str =
    "must be true in a build without the feature danger-accept-invalid-certs of waldur-sdk";

/// The settings of [`ReqwestTransport`](super::ReqwestTransport).
///
/// ```
/// use std::time::Duration;
/// use waldur_sdk::rest::{HttpOptions, Proxy};
///
/// let options = HttpOptions::default()
///     .with_connect_timeout(Duration::from_secs(3))
///     .with_proxy(Proxy::new("http://proxy.example.org:3128")?.with_no_proxy([".internal.example.org"]));
/// # let _ = options;
/// # Ok::<(), waldur_sdk::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Time limit of a connection: name, TCP, proxy and TLS together. Default 10 s.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept. Default 60 s: RadosGW closes its side after 65 s (radosgw-api.md §1), and
    /// whoever closes first decides whether a request can meet a connection that is going away.
    pub pool_idle_timeout: Duration,
    /// Unused connections kept per host; what is above is closed. Default 16.
    pub pool_max_idle_per_host: usize,
    /// Certificates of authorities that are trusted besides those of the system, PEM, any number. Default none.
    pub ca_certificates: Vec<u8>,
    /// Whether the authorities of the system are trusted. Default `true`.
    pub system_roots: bool,
    /// The TLS library. Default the first of [`TlsBackend::BUILT_IN`].
    pub tls_backend: Option<TlsBackend>,
    /// The proxy. Default none. It wins over [`Self::environment_proxies`].
    pub proxy: Option<Proxy>,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count. Default `false`: a library must not send
    /// credentials by a way that its caller did not name.
    pub environment_proxies: bool,
    /// Finds addresses in place of the system. Default none. Not asked for literal addresses.
    pub resolver: Option<Arc<dyn Resolver>>,
    #[cfg(feature = "danger-accept-invalid-certs")]
    accept_invalid_certs: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(60),
            pool_max_idle_per_host: 16,
            ca_certificates: Vec::new(),
            system_roots: true,
            tls_backend: None,
            proxy: None,
            environment_proxies: false,
            resolver: None,
            #[cfg(feature = "danger-accept-invalid-certs")]
            accept_invalid_certs: false,
        }
    }
}

impl HttpOptions {
    /// Replaces [`Self::connect_timeout`].
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Replaces [`Self::pool_idle_timeout`].
    #[must_use]
    pub fn with_pool_idle_timeout(mut self, timeout: Duration) -> Self {
        self.pool_idle_timeout = timeout;
        self
    }

    /// Replaces [`Self::pool_max_idle_per_host`]; 0 turns the pool off.
    #[must_use]
    pub fn with_pool_max_idle_per_host(mut self, connections: usize) -> Self {
        self.pool_max_idle_per_host = connections;
        self
    }

    /// Adds to [`Self::ca_certificates`]. They are read when the transport is built.
    #[must_use]
    pub fn with_ca_certificates(mut self, pem: &[u8]) -> Self {
        self.ca_certificates.extend_from_slice(pem);
        // A file without a final line end must not swallow the first line of the next.
        self.ca_certificates.push(b'\n');
        self
    }

    /// Trusts [`Self::ca_certificates`] alone.
    #[must_use]
    pub fn without_system_roots(mut self) -> Self {
        self.system_roots = false;
        self
    }

    /// Replaces [`Self::tls_backend`].
    #[must_use]
    pub fn with_tls_backend(mut self, backend: TlsBackend) -> Self {
        self.tls_backend = Some(backend);
        self
    }

    /// Replaces [`Self::proxy`].
    #[must_use]
    pub fn with_proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Turns [`Self::environment_proxies`] on.
    #[must_use]
    pub fn with_environment_proxies(mut self) -> Self {
        self.environment_proxies = true;
        self
    }

    /// Replaces [`Self::resolver`].
    #[must_use]
    pub fn with_resolver(mut self, resolver: impl Resolver) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Switches the verification of TLS certificates off: whoever sits on the way can read and change everything,
    /// credentials included. For a test bench; a private authority is what [`Self::with_ca_certificates`] is for.
    #[cfg(feature = "danger-accept-invalid-certs")]
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self) -> Self {
        self.accept_invalid_certs = true;
        self
    }

    /// Says whether TLS certificates are verified, as an operator's setting says (`verify_ssl`). `false` is what
    /// `danger_accept_invalid_certs` says.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for `false` in a build without the feature `danger-accept-invalid-certs`.
    pub fn verifying(self, yes: bool) -> Result<Self> {
        if yes == self.verifies_tls() {
            return Ok(self);
        }
        #[cfg(feature = "danger-accept-invalid-certs")]
        let options = Ok(Self { accept_invalid_certs: !yes, ..self });
        #[cfg(not(feature = "danger-accept-invalid-certs"))]
        let options = Err(Error::config(format!("verify_ssl: {MUST_VERIFY}")));
        options
    }

    /// Whether certificates are verified: always, without the feature `danger-accept-invalid-certs`.
    pub fn verifies_tls(&self) -> bool {
        #[cfg(feature = "danger-accept-invalid-certs")]
        let verifies = !self.accept_invalid_certs;
        #[cfg(not(feature = "danger-accept-invalid-certs"))]
        let verifies = true;
        verifies
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("connect_timeout", &self.connect_timeout)
            .field("pool_idle_timeout", &self.pool_idle_timeout)
            .field("pool_max_idle_per_host", &self.pool_max_idle_per_host)
            .field("ca_certificates", &format_args!("{} bytes", self.ca_certificates.len()))
            .field("system_roots", &self.system_roots)
            .field("tls_backend", &self.tls_backend)
            .field("verifies_tls", &self.verifies_tls())
            .field("proxy", &self.proxy)
            .field("environment_proxies", &self.environment_proxies)
            .field("resolver", &self.resolver.is_some())
            .finish_non_exhaustive()
    }
}

/// A TLS library that this build contains. Features decide; they add up and do not conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsBackend {
    /// rustls with ring. Looks at no process-wide provider and installs none.
    #[cfg(feature = "rustls-ring")]
    RustlsRing,
    /// rustls with the provider that the process installed, else with aws-lc-rs. Installs none.
    #[cfg(feature = "rustls")]
    Rustls,
    /// The library of the platform: OpenSSL, Schannel, Secure Transport.
    #[cfg(feature = "native-tls")]
    Native,
}

impl TlsBackend {
    /// The libraries of this build, the preferred one first.
    pub const BUILT_IN: &'static [Self] = &[
        #[cfg(feature = "rustls-ring")]
        Self::RustlsRing,
        #[cfg(feature = "rustls")]
        Self::Rustls,
        #[cfg(feature = "native-tls")]
        Self::Native,
    ];
}

/// A proxy for every request but those to the excepted hosts.
#[derive(Clone)]
pub struct Proxy {
    pub(super) url: Url,
    pub(super) credentials: Option<(String, SecretString)>,
    pub(super) direct: String,
}

impl Proxy {
    /// A proxy at `http://`, `https://`, `socks5://` (names are resolved here) or `socks5h://` (names are resolved by
    /// the proxy). A user name and password in the URL are taken out of it and kept as a secret.
    ///
    /// # Errors
    /// [`Config`](crate::ErrorKind::Config) for anything else. The value is not repeated: it may hold a password.
    pub fn new(url: &str) -> Result<Self> {
        let problem = |rule: &str| Error::config(format!("proxy: {rule}"));
        let mut url = Url::parse(url.trim())
            .map_err(|cause| problem("must be an absolute URL such as http://proxy:3128").with_source(cause))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(problem("must begin with http://, https://, socks5:// or socks5h://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(problem("must name a host"));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decoded(url.username()), SecretString::from(decoded(url.password().unwrap_or_default()))));
        if credentials.is_some() && (url.set_username("").is_err() || url.set_password(None).is_err()) {
            return Err(problem("cannot carry a user name"));
        }
        Ok(Self { url, credentials, direct: String::new() })
    }

    /// Logs in at the proxy, by basic authentication or by that of SOCKS.
    #[must_use]
    pub fn with_credentials(mut self, user: impl Into<String>, password: SecretString) -> Self {
        self.credentials = Some((user.into(), password));
        self
    }

    /// Goes to these hosts directly: names with all below them, addresses, networks (`10.0.0.0/8`), or `*`.
    #[must_use]
    pub fn with_no_proxy(mut self, hosts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        for host in hosts {
            if !self.direct.is_empty() {
                self.direct.push(',');
            }
            self.direct.push_str(host.as_ref());
        }
        self
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("url", &redact::origin(&self.url))
            .field("credentials", &self.credentials.as_ref().map(|_| redact::REDACTED))
            .field("no_proxy", &self.direct)
            .finish()
    }
}

/// Finds the addresses of a host. Every `Fn(&str) -> io::Result<Vec<SocketAddr>>` is one.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `host`, in the order in which they are tried. The port counts only where the URL names none,
    /// and 0 stands for the usual port of its scheme.
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

impl<F> Resolver for F
where
    F: Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
{
    fn resolve(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(std::future::ready(self(host)))
    }
}
