//! Our signatures against recorded ones that a real gateway accepted.
#![allow(clippy::unwrap_used)]

mod recorded;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use recorded::{ADMIN, Exchange, exchanges};
use waldur_backend_croit::client::{S3Key, SigV4};
use waldur_sdk::{
    rest::{Authenticator, Environment, Http, HttpTransport, TransportError},
    types::Timestamp,
};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// What the gateway verified: it answered something else than that the signature is wrong.
fn was_accepted(exchange: &Exchange) -> bool {
    !matches!(exchange.code().as_deref(), Some("SignatureDoesNotMatch" | "RequestTimeTooSkewed" | "InvalidAccessKeyId"))
        && exchange.status != 501
}

struct Nowhere;

#[async_trait]
impl HttpTransport for Nowhere {
    async fn send(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        unreachable!("nothing is sent")
    }
}

#[tokio::test]
async fn recorded_signatures_are_reproduced() {
    let mut compared = 0;
    for exchange in exchanges() {
        let ours = if exchange.body.is_some() { "UNSIGNED-PAYLOAD" } else { EMPTY };
        let comparable = exchange.key == ADMIN.0
            && exchange.signed == "host;x-amz-content-sha256;x-amz-date"
            && exchange.payload.as_deref() == Some(ours)
            && was_accepted(&exchange)
            // A path that no URL of ours can have.
            && !exchange.target.contains("..");
        if !comparable {
            continue;
        }
        let now: Timestamp = exchange.date.parse().unwrap();
        let key = S3Key::new(ADMIN.0, ADMIN.1.to_owned().into());
        let signer = SigV4::new(&key, Environment::default().with_wall(move || now)).unwrap();
        let mut request = Request::builder()
            .method(exchange.method.as_str())
            .uri(format!("http://{}{}", exchange.host, exchange.target))
            .body(Bytes::from(exchange.body.clone().unwrap_or_default()))
            .unwrap();
        signer.authenticate(&Http::new(Nowhere), &mut request).await.unwrap();
        let header = |name: &str| request.headers().get(name).unwrap().to_str().unwrap().to_owned();
        let authorization = header("authorization");
        assert!(
            authorization.ends_with(&format!("Signature={}", exchange.signature)),
            "{}: {authorization}",
            exchange.name
        );
        assert!(authorization.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date,"));
        assert_eq!(header("x-amz-date"), exchange.date);
        assert_eq!(header("x-amz-content-sha256"), ours);
        assert_eq!(header("host"), exchange.host);
        compared += 1;
    }
    assert!(compared > 250, "only {compared} recorded signatures were comparable");
}
