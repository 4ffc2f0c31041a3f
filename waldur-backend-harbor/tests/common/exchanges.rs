//! What is said between the tests and the fake, written down: `dev/harbor-contract.sh` names a folder in `CONTRACT_OUT`,
//! runs the tests, and holds what it finds there against Harbor's published contract.
//!
//! An exchange is taken where it comes to the fake, beneath every layer, so that what tests break on the way is not in it.

#![allow(dead_code, clippy::unwrap_used, reason = "support of several test programs")]

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::PathBuf,
    sync::LazyLock,
};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use waldur_backend_harbor::testing::FakeHarborBuilder;

static LINES: LazyLock<Option<File>> = LazyLock::new(|| {
    let folder = PathBuf::from(std::env::var_os("CONTRACT_OUT")?);
    let name = format!("exchanges-{}.jsonl", std::process::id());
    Some(OpenOptions::new().create(true).append(true).open(folder.join(name)).unwrap())
});

/// The same fake, with its exchanges written down if anybody asks for them.
pub(crate) fn written_down(builder: FakeHarborBuilder) -> FakeHarborBuilder {
    match &*LINES {
        Some(lines) => builder.observer(move |request, response| {
            let line = format!("{}\n", line(request, response));
            // One write, so that lines of several threads stay whole.
            (&mut &*lines).write_all(line.as_bytes()).unwrap();
        }),
        None => builder,
    }
}

fn line(request: &Request<Bytes>, response: &Response<Bytes>) -> Value {
    let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let total = response.headers().get("x-total-count").and_then(|value| value.to_str().ok());
    json!({
        "request": { "method": request.method().as_str(), "url": request.uri().to_string(), "body": body(request.body()) },
        "response": { "status": response.status().as_u16(), "type": kind, "total": total, "body": body(response.body()) },
    })
}

fn body(bytes: &Bytes) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| String::from_utf8_lossy(bytes).into_owned().into())
}
