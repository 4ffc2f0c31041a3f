//! The HTTP layer that the client and all back ends share. Public, and kept stable, because back ends of other
//! people need it.
//!
//! ```
//! use waldur_sdk::rest::{BaseUrl, Http, PlainHttp, RestClient, StaticHeader};
//! # async fn example(transport: impl waldur_sdk::rest::HttpTransport) -> waldur_sdk::Result<()> {
//! let base = BaseUrl::parse("api_url", "https://storage.example.org/", PlainHttp::default())?;
//! let token = StaticHeader::bearer(&"s3cr3t".to_string().into())?;
//! let client = RestClient::new(Http::new(transport), base, token);
//! let user: serde_json::Value = client
//!     .get("users.get", "/api/users/{uid}", &["alice"])
//!     .query("stats", true)
//!     .send_json()
//!     .await?;
//! # drop(user); Ok(()) }
//! ```

mod auth;
mod call;
mod environment;
mod http;
mod observe;
#[cfg(feature = "reqwest")]
mod options;
mod pager;
mod path;
pub mod redact;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod transport;

pub use auth::{Anonymous, Authenticator, CachedToken, Generation, StaticHeader, Token, TokenSource};
pub use call::{Call, RestClient};
pub use environment::{BoxFuture, Environment, Timer};
pub use http::Http;
pub use observe::{AttemptEvent, Observer};
#[cfg(feature = "reqwest")]
pub use options::{HttpOptions, Proxy, Resolver, TlsBackend};
pub use pager::{BadRow, Complete, Listing, Page, PageToken, Pager};
pub(crate) use path::http_url;
pub use path::{BaseUrl, MAX_SEGMENT, PlainHttp, check_segment, encode};
#[cfg(feature = "reqwest")]
pub use reqwest::ReqwestTransport;
pub use retry::{Idempotency, RetryPolicy};
pub use transport::{HttpTransport, RequestMeta, TransportError, TransportErrorKind};
