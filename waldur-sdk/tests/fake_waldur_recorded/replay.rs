//! Sends recorded requests to the fake and compares its answers with the recorded ones.
//!
//! Everything has to agree: status, the headers that mean something, every member, every text, every number. Only three
//! things may differ: ids that a server makes (they are matched with each other: the same recorded id must always meet
//! the same id of the fake), times, and what [`TOLERATED`] names.

use std::collections::HashMap;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, Request, Response, header};
use serde_json::Value;
use waldur_sdk::{rest::HttpTransport, testing::waldur::FakeWaldur};

/// Members whose value may differ, not their type, and why.
const TOLERATED: &[(&str, &str)] = &[
    ("billing_price_estimate", "the fake makes no bills"),
    ("creation_order", "the server showed a cached row, in 123, 154 and 156 one of a session before"),
    ("modified_by", "the server's own number of a user"),
    ("$[5].slug", "how the server numbers slugs of an empty name is not known"),
    ("fingerprint_md5", "the fake computes no fingerprints"),
    ("fingerprint_sha256", "the fake computes no fingerprints"),
    ("fingerprint_sha512", "the fake computes no fingerprints"),
];

/// Headers that a client reads.
const HEADERS: [&str; 6] = ["content-type", "x-result-count", "link", "location", "allow", "www-authenticate"];

/// One recorded exchange.
pub(crate) struct Exchange {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Value,
    status: u16,
    answer_headers: Vec<(String, String)>,
    answer: Answer,
}

enum Answer {
    Json(Value),
    Text(String),
}

impl Exchange {
    pub(crate) fn read(file: &str) -> Self {
        let path = format!("{}/tests/recorded/waldur-2024.10/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut record: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let pair = |pair: &Value| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned());
        let answer = match record["response"].get_mut("json") {
            Some(json) => Answer::Json(json.take()),
            None => Answer::Text(record["response"]["text"].as_str().unwrap().to_owned()),
        };
        let request = &record["request"];
        Self {
            method: request["method"].as_str().unwrap().to_owned(),
            url: request["url"].as_str().unwrap().to_owned(),
            headers: request["headers"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
                .collect(),
            body: request["body"].clone(),
            status: u16::try_from(record["response"]["status"].as_u64().unwrap()).unwrap(),
            answer_headers: record["response"]["headers"].as_array().unwrap().iter().map(pair).collect(),
            answer,
        }
    }
}

/// The fake, and which of its ids stands for which recorded one.
pub(crate) struct Replay {
    pub(crate) waldur: FakeWaldur,
    ids: HashMap<String, String>,
}

impl Replay {
    pub(crate) fn new(waldur: FakeWaldur) -> Self {
        Self { waldur, ids: HashMap::new() }
    }

    /// Sends one recorded request; what differs in the answer, one line each.
    pub(crate) fn run(&mut self, exchange: &Exchange) -> Vec<String> {
        let body = match &exchange.body {
            Value::Null => String::new(),
            Value::String(raw) => raw.clone(),
            json => json.to_string(),
        };
        let mut request = Request::builder().method(&*exchange.method).uri(self.translate(&exchange.url));
        for (name, value) in &exchange.headers {
            request = request.header(name, value);
        }
        let answer = self.send(request.body(self.translate(&body).into()).unwrap());
        let mut differences = Vec::new();
        if answer.status().as_u16() != exchange.status {
            differences.push(format!("status {} instead of {}", answer.status(), exchange.status));
        }
        self.compare_bodies(&exchange.answer, answer.body(), &mut differences);
        self.compare_headers(&exchange.answer_headers, &answer, &mut differences);
        differences
    }

    /// Sends a request of the test's own, where the recordings have a gap.
    pub(crate) fn own(&self, method: Method, token: &str, path: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(self.translate(&format!("http://127.0.0.1:8000/api/{path}")))
            .header(header::AUTHORIZATION, format!("Token {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(self.translate(&body.to_string()).into())
            .unwrap();
        let answer = self.send(request);
        assert!(answer.status().is_success(), "{path}: {answer:?}");
        serde_json::from_slice(answer.body()).unwrap_or_default()
    }

    /// Says which id of the fake stands for a recorded one.
    pub(crate) fn learn(&mut self, recorded: &str, own: &Value) {
        self.ids.insert(recorded.to_owned(), own.as_str().unwrap().to_owned());
    }

    fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.waldur.send(request).now_or_never().unwrap().unwrap()
    }

    /// Replaces recorded ids by the fake's.
    fn translate(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (recorded, own)| text.replace(recorded, own))
    }

    fn compare_headers(&self, recorded: &[(String, String)], answer: &Response<Bytes>, differences: &mut Vec<String>) {
        for name in HEADERS {
            let find = |(key, value): &(String, String)| key.eq_ignore_ascii_case(name).then(|| self.translate(value));
            let wanted = recorded.iter().find_map(find);
            let got = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            if wanted != got {
                differences.push(format!("header {name}: {got:?} instead of {wanted:?}"));
            }
        }
    }

    fn compare_bodies(&mut self, recorded: &Answer, answer: &Bytes, differences: &mut Vec<String>) {
        match recorded {
            Answer::Text(text) if text.as_bytes() == answer => {}
            Answer::Text(text) => differences.push(format!("body {answer:?} instead of {text:?}")),
            Answer::Json(json) => match serde_json::from_slice::<Value>(answer) {
                Ok(own) => self.compare("$", json, &own, differences),
                Err(_) => differences.push(format!("body {answer:?} is no JSON")),
            },
        }
    }

    fn compare(&mut self, path: &str, recorded: &Value, own: &Value, differences: &mut Vec<String>) {
        let tolerated = TOLERATED.iter().any(|(name, _)| path == *name || path.split('.').any(|part| part == *name));
        match (recorded, own) {
            (Value::Object(recorded), Value::Object(own)) => {
                for name in own.keys().filter(|name| !recorded.contains_key(*name)) {
                    differences.push(format!("{path}.{name} is too much"));
                }
                for (name, value) in recorded {
                    match own.get(name) {
                        Some(own) => self.compare(&format!("{path}.{name}"), value, own, differences),
                        None => differences.push(format!("{path}.{name} is missing")),
                    }
                }
            }
            (Value::Array(recorded), Value::Array(own)) if recorded.len() == own.len() => {
                for (place, (recorded, own)) in recorded.iter().zip(own).enumerate() {
                    self.compare(&format!("{path}[{place}]"), recorded, own, differences);
                }
            }
            (Value::Number(recorded), Value::Number(own)) if tolerated || recorded.as_f64() == own.as_f64() => {}
            (Value::String(recorded), Value::String(own)) if tolerated || self.same_text(recorded, own) => {}
            (Value::Null, own) | (own, Value::Null) if tolerated && !own.is_object() => {}
            (recorded, own) if recorded == own => {}
            (recorded, own) => differences.push(format!("{path}: {own} instead of {recorded}")),
        }
    }

    /// The same text but for ids and times.
    fn same_text(&mut self, recorded: &str, own: &str) -> bool {
        if is_time(recorded) && is_time(own) {
            return true;
        }
        let (recorded_ids, own_ids) = (ids(recorded), ids(own));
        if recorded_ids.len() != own_ids.len() {
            return false;
        }
        for (recorded, own) in recorded_ids.iter().zip(&own_ids) {
            if recorded != own && !self.ids.contains_key(recorded) && !self.ids.values().any(|known| known == own) {
                self.ids.insert(recorded.clone(), own.clone());
            }
        }
        self.translate(recorded) == own
    }
}

/// The runs of exactly 32 hexadecimal digits.
fn ids(text: &str) -> Vec<String> {
    text.split(|letter: char| !letter.is_ascii_hexdigit()).filter(|run| run.len() == 32).map(str::to_owned).collect()
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}
