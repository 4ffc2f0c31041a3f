//! What the fake of Waldur does beyond what was recorded: the lives of orders, lists, knobs, its log, and generation 8.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops where it fails")]

#[path = "../support/exchanges.rs"]
mod exchanges;

mod generation_8;
mod integrations;
mod lifecycle;
mod lists;
mod transport;
mod usage;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, StatusCode, header};
use secrecy::ExposeSecret;
use serde_json::Value;
use waldur_sdk::{
    rest::HttpTransport,
    testing::waldur::{Billing, FakeWaldur, Generation},
    types::{OfferingUuid, UserUuid},
};

const BOTH: [Generation; 2] = [Generation::V2024, Generation::V8];

/// An answer, taken apart.
#[derive(Debug)]
struct Said {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Sends a request as a user.
fn ask(waldur: &FakeWaldur, user: UserUuid, method: Method, path: &str, body: Option<&Value>) -> Said {
    let token = waldur.token_of(user);
    let request = Request::builder()
        .method(method)
        .uri(format!("{}api/{path}", waldur.base_url()))
        .header(header::AUTHORIZATION, format!("Token {}", token.expose_secret()))
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.map(Value::to_string).unwrap_or_default().into())
        .unwrap();
    send(waldur, request)
}

fn send(waldur: &FakeWaldur, request: Request<Bytes>) -> Said {
    let (parts, body) = waldur.send(request).now_or_never().unwrap().unwrap().into_parts();
    Said { status: parts.status, headers: parts.headers, body }
}

/// Asks as the agent.
fn get(waldur: &FakeWaldur, path: &str) -> Said {
    ask(waldur, waldur.agent(), Method::GET, path, None)
}

/// Does as the agent.
fn post(waldur: &FakeWaldur, path: &str, body: &Value) -> Said {
    ask(waldur, waldur.agent(), Method::POST, path, Some(body))
}

/// An offering of storage, with a cheap plan and a dear one.
fn storage(waldur: &FakeWaldur) -> OfferingUuid {
    waldur
        .offering()
        .name("Object storage")
        .component_with("storage", Billing::Limit, |storage| storage.unit("GB").bounds(1, 1000))
        .plan("Small", |plan| plan.price("storage", 1).quota("storage", 10))
        .plan("Large", |plan| plan.price("storage", 2))
        .create()
}
