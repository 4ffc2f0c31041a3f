//! Recordings, and a signed caller that shares no code with the fake.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use http::{Request, Response};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use waldur_backend_croit::testing::{FakeRadosGw, FakeRadosGwBuilder};
use waldur_sdk::rest::HttpTransport;

pub(crate) const ADMIN: (&str, &str) = ("ADMINACCESSKEY000001", "adminsecretkey00000000000000000000000001");
/// The sections of the recordings, in the order in which they were recorded.
pub(crate) const SECTIONS: [&str; 10] = [
    "t1_users",
    "t2_lifecycle",
    "t3_quota",
    "t4_buckets",
    "t5_enforce_delete",
    "t6_auth",
    "t7_pages_latency",
    "t8_usage",
    "t9_misc",
    "t10_race",
];

/// One recorded exchange, reduced to what is compared.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) file: String,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: std::collections::BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) status: u16,
    #[serde(rename = "type")]
    pub(crate) content_type: Option<String>,
    pub(crate) date: String,
    pub(crate) answer: String,
}

impl Recorded {
    pub(crate) fn section(name: &str) -> Vec<Self> {
        let path = format!("{}/tests/recorded/radosgw-16.2/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn request(&self) -> Request<Bytes> {
        let mut request = Request::builder().method(self.method.as_str()).uri(&self.target);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(Bytes::from(self.body.clone())).unwrap()
    }

    /// The gateway's clock at that moment.
    pub(crate) fn seconds(&self) -> i64 {
        jiff::fmt::rfc2822::parse(&self.date).unwrap().timestamp().as_second()
    }

    pub(crate) fn answer(&self) -> Answer {
        Answer { status: self.status, content_type: self.content_type.clone(), text: self.answer.clone() }
    }
}

/// A gateway with a clock of its own, and a caller that signs with `aws-sigv4`.
#[derive(Clone)]
pub(crate) struct Bench {
    pub(crate) gateway: FakeRadosGw,
    clock: Arc<AtomicI64>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// `Code` of an error, e.g. `404 NoSuchUser`; else the status.
    pub(crate) fn verdict(&self) -> String {
        let code = serde_json::from_str::<Value>(&self.text).ok();
        let code = code.as_ref().and_then(|value| value.get("Code")).and_then(Value::as_str);
        code.map_or_else(|| self.status.to_string(), |code| format!("{} {code}", self.status))
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        let content_type = response.headers().get("content-type").map(|value| value.to_str().unwrap().to_owned());
        let text = String::from_utf8(response.body().to_vec()).unwrap();
        let length = response.headers()["content-length"].to_str().unwrap();
        assert_eq!(length, text.len().to_string());
        assert!(response.headers()["x-amz-request-id"].to_str().unwrap().starts_with("tx00000"));
        Self { status: response.status().as_u16(), content_type, text }
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: impl FnOnce(FakeRadosGwBuilder) -> FakeRadosGwBuilder) -> Self {
        let clock = Arc::new(AtomicI64::new(1_795_323_841));
        let seen = clock.clone();
        let builder = FakeRadosGw::builder().admin(ADMIN.0, ADMIN.1);
        let builder = builder.clock(move || Timestamp::from_second(seen.load(Ordering::SeqCst)).unwrap());
        Self { gateway: settings(builder).build(), clock }
    }

    pub(crate) fn set_clock(&self, seconds: i64) {
        self.clock.store(seconds, Ordering::SeqCst);
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        self.gateway.send(request).await.unwrap().into()
    }

    /// A call of the admin; `call` is e.g. `PUT user?uid=a&display-name=A`, its values encoded by the caller.
    pub(crate) async fn call(&self, call: &str) -> Answer {
        self.send(self.signed(call, ADMIN, b"")).await
    }

    /// The same with a body, under `UNSIGNED-PAYLOAD`.
    pub(crate) async fn call_with(&self, call: &str, body: &str) -> Answer {
        self.send(self.signed(call, ADMIN, body.as_bytes())).await
    }

    /// The verdict of a call.
    pub(crate) async fn verdict(&self, call: &str) -> String {
        self.call(call).await.verdict()
    }

    /// A call of `(access key, secret key)` at the gateway's time. A body goes under `UNSIGNED-PAYLOAD`.
    pub(crate) fn signed(&self, call: &str, keys: (&str, &str), body: &[u8]) -> Request<Bytes> {
        let (method, path) = call.split_once(' ').unwrap();
        let now = Duration::from_secs(u64::try_from(self.clock.load(Ordering::SeqCst)).unwrap());
        let uri = format!("http://rgw.test:7480/admin/{path}");
        signed(method, &uri, keys, body, SystemTime::UNIX_EPOCH + now)
    }
}

/// A request signed by `aws-sigv4`.
pub(crate) fn signed(
    method: &str,
    uri: &str,
    (access_key, secret_key): (&str, &str),
    body: &[u8],
    now: SystemTime,
) -> Request<Bytes> {
    let identity = Credentials::new(access_key, secret_key, None, None, "test").into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("default")
        .name("s3")
        .time(now)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let signable = if body.is_empty() { SignableBody::Bytes(b"") } else { SignableBody::UnsignedPayload };
    let signable = SignableRequest::new(method, uri, std::iter::empty(), signable).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut request = Request::builder().method(method).uri(uri).body(Bytes::copy_from_slice(body)).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request
}

/// A real gateway on loopback, for the tests that are ignored without one.
pub(crate) mod live {
    use std::{
        io::{Read, Write},
        net::TcpStream,
        time::SystemTime,
    };

    use http::Uri;

    use super::{Answer, signed};
    use crate::scripts::key_of;

    pub(crate) struct Live {
        endpoint: String,
        access_key: String,
        secret_key: String,
    }

    impl Live {
        pub(crate) fn from_environment() -> Self {
            let read = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
            Self {
                endpoint: read("RGW_ENDPOINT"),
                access_key: read("RGW_ADMIN_ACCESS_KEY"),
                secret_key: read("RGW_ADMIN_SECRET_KEY"),
            }
        }

        pub(crate) fn call(&self, call: &str, body: &str) -> Answer {
            let (method, path) = call.split_once(' ').unwrap();
            self.send(method, &format!("admin/{path}"), (&self.access_key, &self.secret_key), body.as_bytes())
        }

        pub(crate) fn tenant(&self, step: &[&str]) -> String {
            let (method, uid, path, size) = match step {
                ["create", uid, bucket] => ("PUT", uid, (*bucket).to_owned(), 0),
                ["put", uid, bucket, key, size] => ("PUT", uid, format!("{bucket}/{key}"), size.parse().unwrap()),
                ["get", uid, bucket, key] => ("GET", uid, format!("{bucket}/{key}"), 0),
                ["remove", uid, bucket, key] => ("DELETE", uid, format!("{bucket}/{key}"), 0),
                step => panic!("{step:?}"),
            };
            let (access_key, secret_key) = key_of(uid);
            let answer = self.send(method, &path, (&access_key, &secret_key), &vec![b'x'; size]);
            match answer.text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")) {
                Some((code, _)) => format!("{} {code}", answer.status),
                None => answer.status.to_string(),
            }
        }

        fn send(&self, method: &str, path: &str, keys: (&str, &str), body: &[u8]) -> Answer {
            let uri = format!("{}/{path}", self.endpoint);
            let request = signed(method, &uri, keys, body, SystemTime::now());
            let uri: Uri = uri.parse().unwrap();
            let authority = uri.authority().unwrap().as_str();
            let target = uri.path_and_query().unwrap();
            let mut head = vec![format!("{method} {target} HTTP/1.1"), format!("host: {authority}")];
            let headers = request.headers().iter();
            head.extend(headers.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())));
            head.extend([format!("content-length: {}", body.len()), "connection: close\r\n\r\n".to_owned()]);
            let mut stream = TcpStream::connect(authority).unwrap();
            stream.write_all(head.join("\r\n").as_bytes()).unwrap();
            stream.write_all(body).unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            let (head, text) = answer.split_once("\r\n\r\n").unwrap();
            let mut lines = head.lines();
            let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
            let content_type = lines.filter_map(|line| line.split_once(": "));
            let content_type = content_type.filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
            Answer {
                status,
                content_type: content_type.map(|(_, value)| value.to_owned()).next(),
                text: text.to_owned(),
            }
        }
    }
}
