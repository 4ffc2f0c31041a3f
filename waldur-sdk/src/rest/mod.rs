//! The HTTP layer that the client and all back ends share. Public, and kept stable, because back ends of other
//! people need it.
//!
//! - [`Http`] is the pipeline over a [`HttpTransport`]: credentials, attempts, the retry table, the budget, deadlines.
//! - [`RestClient`] adds a [`BaseUrl`] and an [`Authenticator`]; credentials are only ever sent to that base. A
//!   [`Call`] is one request being built. The [`error reader`](RestClient::with_error_reader) of a client reads what
//!   its API says in error bodies, once and before anything is repeated.
//! - Lists are read entry by entry ([`Call::send_rows`], [`Call::send_page`]) and page by page ([`Pager`]), with a
//!   proof of their end ([`Complete`]) for code that removes what a list does not name. A list that is too long to keep
//!   is added up while it arrives ([`Call::fold_rows`]).
//! - A [`Breaker`] leaves a service alone for the rest of a run once it is down or refuses our credentials.
//! - [`poll_until`] waits until a condition holds; [`Serial`] runs writes to one object one after the other.
//! - Sleep, clocks and randomness come from an [`Environment`]. Every future is driven by its caller and may be dropped.
//!
//! ```
//! use waldur_sdk::rest::{Http, RestClient, StaticHeader};
//! # async fn example(transport: impl waldur_sdk::rest::HttpTransport) -> waldur_sdk::Result<()> {
//! let base = "https://storage.example.org/".parse()?;
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
mod body;
mod breaker;
mod call;
mod environment;
mod http;
mod intake;
mod link;
mod oauth;
mod observe;
mod options;
mod pager;
mod path;
mod poll;
mod prepared;
pub mod redact;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod rows;
mod scan;
mod serial;
mod split;
mod token;
mod trace;
mod transport;

pub use auth::{Anonymous, Authenticator, StaticHeader, TokenGeneration};
pub use breaker::Breaker;
use call::ErrorReader;
pub use call::{Call, RestClient};
pub use environment::{BoxFuture, Environment, Timer};
pub use http::Http;
pub use intake::Intake;
use intake::Intakes;
pub use link::{LinkPaging, NextPage};
pub use oauth::{ClientCredentials, PasswordGrant};
pub use observe::{AttemptEvent, Observer};
pub(crate) use options::MUST_VERIFY;
pub use options::{HttpOptions, Proxy, Resolver, TlsBackend};
pub use pager::{BadRow, Complete, Listing, Page, PageToken, Pager};
pub(crate) use path::http_url;
pub use path::{BaseUrl, MAX_SEGMENT, PlainHttp, check_segment, encode};
pub use poll::{Observation, PollPolicy, PollStep, Waiting, poll_until};
#[cfg(feature = "reqwest")]
pub use reqwest::ReqwestTransport;
pub use retry::{Idempotency, RetryPolicy, retry_after};
pub use rows::{Rows, decode_rows, decode_rows_in};
pub use serial::Serial;
pub use token::{CachedToken, Token, TokenSource};
#[cfg(feature = "tracing")]
pub use trace::TracingObserver;
pub use transport::{HttpTransport, RequestMeta, TransportError, TransportErrorKind};
