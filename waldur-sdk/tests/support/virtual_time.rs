//! Clients over a scripted transport under tokio's paused clock: hours pass in milliseconds.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "support of several test crates"
)]

use std::time::Duration;

use waldur_sdk::{
    rest::{Anonymous, BaseUrl, Environment, Http, PlainHttp, RestClient},
    testing::ScriptedTransport,
};

/// The origin of every client made here.
pub const ORIGIN: &str = "https://api.example.org/";

/// Sleep and clock of tokio, no jitter: every pause is as short as it can be.
pub fn environment() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}

/// A script under the paused clock.
pub fn script() -> ScriptedTransport {
    ScriptedTransport::new().with_environment(environment())
}

/// A pipeline with the default policy.
pub fn http(script: &ScriptedTransport) -> Http {
    Http::new(script.clone()).with_environment(environment())
}

/// A base URL.
pub fn base(url: &str) -> BaseUrl {
    BaseUrl::parse("url", url, PlainHttp::default()).unwrap()
}

/// A client without credentials.
pub fn client(script: &ScriptedTransport) -> RestClient {
    RestClient::new(http(script), base(ORIGIN), Anonymous)
}

/// The pauses between the requests that came.
pub fn pauses(script: &ScriptedTransport) -> Vec<Duration> {
    script.requests().windows(2).map(|pair| pair[1].at - pair[0].at).collect()
}
