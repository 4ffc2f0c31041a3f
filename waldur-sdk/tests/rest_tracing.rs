//! Spans and events: names and numbers, never a secret (anchors C9, security S6).

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "support/capture.rs"]
mod capture;
#[path = "support/virtual_time.rs"]
mod virtual_time;

use capture::Capture;
use secrecy::SecretString;
use serde_json::json;
use virtual_time::{ORIGIN, base, http, script};
use waldur_sdk::{
    rest::{CachedToken, ClientCredentials, PlainHttp, RestClient, TracingObserver, TransportErrorKind},
    testing::{Answer, ScriptedTransport},
};

fn client(script: &ScriptedTransport) -> RestClient {
    let http = http(script).with_observer(TracingObserver);
    RestClient::new(http, base(ORIGIN), waldur_sdk::rest::Anonymous)
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_a_span_with_the_usual_names() {
    let capture = Capture::default();
    let _guard = capture.listen();
    let script =
        script().then(Answer::status(503)).then(Answer::fail(TransportErrorKind::Timeout)).then(Answer::json(&1));
    client(&script).get("orders.get", "/orders/{order}/", &["id-1"]).query("q", "x").send_unit().await.unwrap();
    let common = |count| {
        format!(
            "HTTP GET http.request.method=\"GET\" url.template=\"/orders/{{order}}/\" server.address=\"api.example.org\" \
             http.request.resend_count={count} operation=\"orders.get\""
        )
    };
    let spans = [
        format!("{} http.response.status_code=503 error.type=Unavailable", common(0)),
        format!("{} error.type=Timeout", common(1)),
        format!("{} http.response.status_code=200", common(2)),
    ];
    assert_eq!(capture.spans(), spans);
    let events = capture.events();
    let levels: Vec<&str> = events.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(levels, ["INFO", "INFO", "DEBUG"]);
    assert!(events[1].contains("retry_in_ms=0") && events[1].contains("error.type=Timeout"), "{}", events[1]);
    for (method, name) in [
        ("HEAD", "HTTP HEAD"),
        ("POST", "HTTP POST"),
        ("PUT", "HTTP PUT"),
        ("PATCH", "HTTP PATCH"),
        ("DELETE", "HTTP DELETE"),
        ("OPTIONS", "HTTP"),
    ] {
        let script = virtual_time::script().then(Answer::status(200));
        client(&script).call(method.parse().unwrap(), "test", "/x/", &[]).send_unit().await.unwrap();
        assert!(capture.spans().last().unwrap().starts_with(&format!("{name} http.request.method=\"{method}\"")));
    }
}

#[tokio::test(start_paused = true)]
async fn sec06_no_span_and_no_event_holds_a_secret_an_id_or_a_body() {
    let capture = Capture::default();
    let _guard = capture.listen();
    let secret = SecretString::from("canary-secret");
    let answers = [
        Answer::json(&json!({"access_token": "canary-token", "id_token": "canary-token"})),
        Answer::status(401).with_json(&json!({"detail": "canary-body"})),
        Answer::json(&json!({"access_token": "canary-token"})),
        Answer::status(500).with_header("x-canary", "canary-header").with_body("canary-body"),
        Answer::fail(TransportErrorKind::Interrupted),
        Answer::json(&json!({"canary": "canary-body"})),
    ];
    let script = answers.into_iter().fold(script(), ScriptedTransport::then);
    let source =
        ClientCredentials::new("url", "https://login.example.org/t", PlainHttp::default(), "id", secret.clone());
    let http = http(&script).with_observer(TracingObserver);
    let client = RestClient::new(http, base(ORIGIN), CachedToken::bearer(source.unwrap()));
    let call = client.put("keys.put", "/users/{uid}/keys/{key}/", &["canary-uid", "canary-key"]);
    let call = call.query("q", "canary-query").query_secret("secretKey", &secret).json(&json!({"a": "canary-body"}));
    call.send_json::<u8>().await.unwrap_err();
    assert_eq!((script.sent(), capture.spans().len(), capture.events().len()), (6, 6, 6));
    let told = format!("{:?}{:?}", capture.spans(), capture.events());
    assert!(!told.contains("canary"), "{told}");
    assert!(told.contains("/users/{uid}/keys/{key}/"));
}
