//! Counting, recording, latency and faults, one meaning at a time.

use std::{sync::Arc, time::Duration};

use crate::toy::{Toy, get, named, post, put, request, virtual_time};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::{FutureExt, join, join3},
    stream,
};
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    Effect, ErrorKind,
    rest::{Anonymous, BaseUrl, Http, HttpTransport, PlainHttp, RequestMeta, RestClient, TransportErrorKind},
    testing::{
        Action, Counting, Due, Faults, Latency, Recording, any, hang,
        layers::{Body, Outcome},
        method, op, path, reads, status, when, writes,
    },
};

fn client(transport: impl HttpTransport) -> RestClient {
    let base = BaseUrl::parse("url", "http://localhost/", PlainHttp::default()).unwrap();
    RestClient::new(Http::new(transport).with_environment(virtual_time()), base, Anonymous)
}

// --- Counting ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn counting_by_operation_method_and_effect() {
    let counting = Counting::new(Toy::default()).reading(op("tokens.create"));
    counting.send(named("users.get", Method::GET, "/a", "")).await.unwrap();
    counting.send(named("users.get", Method::GET, "/b", "")).await.unwrap();
    counting.send(named("users.set", Method::PUT, "/a", "")).await.unwrap();
    counting.send(named("tokens.create", Method::POST, "/t", "")).await.unwrap();
    put(&counting, "/unnamed", "").await;

    let counts = counting.counts();
    assert_eq!((counts.total, counts.reads, counts.writes), (5, 3, 2));
    assert_eq!((counts.of("users.get"), counts.of("users.set"), counts.of("never")), (2, 1, 0));
    assert_eq!(counts.of("PUT /unnamed"), 1);
    assert_eq!((counts.with_method(&Method::PUT), counts.with_method(&Method::DELETE)), (2, 0));
    assert_eq!(counts.to_string().lines().next().unwrap(), "5 requests (3 reads, 2 writes), 5 in a row, 1 at once");
    assert!(counts.to_string().contains("\n     2  users.get\n"));
}

#[tokio::test]
async fn counting_tells_a_chain_from_calls_made_at_once() {
    let counting = Counting::new(Toy::default());
    get(&counting, "/1").await;
    join3(get(&counting, "/2a"), get(&counting, "/2b"), get(&counting, "/2c")).await;
    get(&counting, "/3").await;
    let counts = counting.counts();
    assert_eq!((counts.total, counts.depth, counts.peak_in_flight), (5, 3, 3));

    counting.reset();
    let two_in_a_row = |name: &'static str| {
        let counting = counting.clone();
        async move {
            get(&counting, name).await;
            get(&counting, name).await;
        }
    };
    stream::iter(["/a", "/b", "/c", "/d"].map(two_in_a_row)).buffer_unordered(2).collect::<Vec<_>>().await;
    let counts = counting.counts();
    assert_eq!((counts.total, counts.depth, counts.peak_in_flight), (8, 4, 2));
}

#[tokio::test]
async fn counting_measures_the_depth_of_each_group() {
    let order = |request: &Request<Bytes>| request.uri().path().split('/').nth(1).map(str::to_owned);
    let counting = Counting::new(Toy::default()).grouped_by(move |request| order(request).filter(|key| key != "all"));
    get(&counting, "/all").await;
    let steps = |order: &'static str, steps: usize| {
        let counting = &counting;
        async move {
            for step in 0..steps {
                get(counting, &format!("/{order}/{step}")).await;
            }
        }
    };
    join(steps("o1", 5), steps("o2", 2)).await;
    join(get(&counting, "/o2/x"), get(&counting, "/o2/y")).await;

    let counts = counting.counts();
    assert_eq!((counts.group("o1").total, counts.group("o1").depth), (5, 5));
    assert_eq!((counts.group("o2").total, counts.group("o2").depth), (4, 3));
    assert_eq!(counts.group("o3").depth, 0);
    assert_eq!(counts.groups.len(), 2);
    assert_eq!(counts.depth, 7, "the list, five steps, and one more");
}

#[tokio::test]
async fn counting_keeps_one_set_of_books_for_two_systems() {
    let waldur = Counting::new(Toy::default());
    let backend = waldur.around(Toy::default());
    get(&waldur, "/order").await;
    put(&backend, "/user", "").await;
    put(&waldur, "/order", "done").await;
    assert_eq!(waldur.counts(), backend.counts());
    assert_eq!((waldur.counts().total, waldur.counts().depth), (3, 3));
}

#[tokio::test]
async fn counting_sees_failed_and_abandoned_calls_end() {
    let counting = Counting::new(
        Faults::new(Toy::default()).on(path("/lost"), hang()).on(path("/broken"), TransportErrorKind::Interrupted),
    );
    counting.send(request(Method::GET, "/broken", "")).await.unwrap_err();
    let mut lost = Box::pin(counting.send(request(Method::GET, "/lost", "")));
    assert!((&mut lost).now_or_never().is_none() && (&mut lost).now_or_never().is_none());
    assert_eq!(counting.counts().abandoned, 0);
    drop(lost);
    get(&counting, "/after").await;
    let counts = counting.counts();
    assert_eq!((counts.failed, counts.abandoned, counts.peak_in_flight, counts.depth), (1, 1, 1, 3));
}

#[tokio::test]
async fn counting_begins_anew() {
    let counting = Counting::new(Toy::default());
    let mut old = Box::pin(counting.send(request(Method::GET, "/old", "")));
    assert!((&mut old).now_or_never().is_none());
    counting.reset();
    old.await.unwrap();
    get(&counting, "/new").await;
    let counts = counting.counts();
    assert_eq!((counts.total, counts.depth, counts.peak_in_flight, counts.abandoned), (1, 1, 1, 0));
}

// --- Recording --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn recording_keeps_exchanges_without_their_secrets() {
    let fake = Faults::new(Toy::default()).on(
        op("keys.create"),
        status(201).header("set-cookie", "session=s3cr3t").json(&json!({"access_key": "s3cr3t", "uid": "alice"})),
    );
    let recording = Recording::new(fake);
    let mut sent = named("keys.create", Method::POST, "http://host:7480/admin/user?secret-key=s3cr3t&uid=a%20b", "");
    *sent.body_mut() = json!({"password": "s3cr3t", "limit": 5}).to_string().into();
    sent.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Token s3cr3t"));
    sent.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    recording.send(sent).await.unwrap();

    let exchange = &recording.of("keys.create")[0];
    assert_eq!((exchange.origin.as_str(), exchange.path.as_str()), ("http://host:7480", "/admin/user"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(exchange.query, [pair("secret-key", "[redacted]"), pair("uid", "a b")]);
    assert_eq!(exchange.headers, [pair("authorization", "[redacted]"), pair("accept", "application/json")]);
    assert_eq!(exchange.body, Body::Json(json!({"password": "[redacted]", "limit": 5})));
    assert_eq!(exchange.status(), Some(StatusCode::CREATED));
    let Outcome::Answered { headers, body, .. } = &exchange.outcome else { panic!("{exchange:?}") };
    assert!(headers.contains(&pair("set-cookie", "[redacted]")));
    assert_eq!(body.as_json().unwrap(), &json!({"access_key": "[redacted]", "uid": "alice"}));
    assert!(!format!("{:?} {}", recording.exchanges(), exchange.to_json()).contains("s3cr3t"));

    let json = exchange.to_json();
    assert_eq!(json["request"]["url"], "http://host:7480/admin/user?secret-key=%5Bredacted%5D&uid=a+b");
    assert_eq!((&json["request"]["method"], &json["response"]["status"]), (&json!("POST"), &json!(201)));
}

#[tokio::test]
async fn recording_knows_forms_texts_failures_and_silence() {
    let recording = Recording::new(
        Faults::new(Toy::default()).on(path("/broken"), TransportErrorKind::Timeout).on(path("/lost"), hang()),
    );
    let beside = recording.around(Toy::default());
    let mut form = request(Method::POST, "/form", "grant_type=password&password=s3cr3t");
    form.headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    beside.send(form).await.unwrap();
    put(&recording, "/text", "just words").await;
    let mut binary = request(Method::PUT, "/binary", "");
    *binary.body_mut() = Bytes::from_static(&[0xff, 0xfe, 0x00]);
    recording.send(binary).await.unwrap();
    recording.send(request(Method::GET, "/broken", "")).await.unwrap_err();
    assert!(recording.send(request(Method::GET, "/lost", "")).now_or_never().is_none());

    let exchanges = recording.exchanges();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(exchanges[0].body, Body::Form(vec![pair("grant_type", "password"), pair("password", "[redacted]")]));
    assert_eq!((&exchanges[1].body, &exchanges[2].body), (&Body::Text("just words".to_owned()), &Body::Binary(3)));
    assert_eq!(exchanges[3].outcome, Outcome::Failed(TransportErrorKind::Timeout));
    assert_eq!((&exchanges[4].outcome, exchanges[4].status()), (&Outcome::Unanswered, None));
    assert!(exchanges[4].to_json()["response"].is_null());
}

// --- Latency ----------------------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn latency_lies_on_both_sides_of_the_effect() {
    let toy = Toy::default();
    let latency = Latency::new(toy.clone(), virtual_time(), Duration::from_millis(50));
    let begin = Instant::now();
    let midway = async {
        tokio::time::sleep(Duration::from_millis(24)).await;
        let before = toy.names().len();
        tokio::time::sleep(Duration::from_millis(2)).await;
        (before, toy.names().len())
    };
    let ((), seen) = join(put(&latency, "/a", ""), midway).await;
    assert_eq!((seen, begin.elapsed()), ((0, 1), Duration::from_millis(50)));
}

#[tokio::test(start_paused = true)]
async fn latency_varies_by_the_environment_and_only_where_told() {
    // Three quarters of the range: the random source yields 3/4 of its own.
    let environment = virtual_time().with_random(|| 3 << 62);
    let latency = Latency::new(Toy::default(), environment, Duration::from_millis(10))
        .with_jitter(Duration::from_millis(40))
        .only(method(Method::GET));
    let begin = Instant::now();
    put(&latency, "/a", "").await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    get(&latency, "/a").await;
    assert_eq!(begin.elapsed(), Duration::from_millis(40));
}

// --- Faults -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn faults_refuse_without_carrying_out() {
    let toy = Toy::default();
    let faults = Faults::new(toy.clone())
        .on(path("/busy"), status(503).header("retry-after", 7).json(&json!({"detail": "later"})))
        .on(path("/gone"), TransportErrorKind::Connect)
        .on(path("/lost"), hang())
        .on(path("/lie"), Action::swallow());
    let busy = faults.send(request(Method::PUT, "/busy", "")).await.unwrap();
    assert_eq!((busy.status().as_u16(), &busy.headers()["retry-after"]), (503, &HeaderValue::from(7)));
    assert_eq!(
        (&busy.headers()["content-type"], &busy.body()[..]),
        (&HeaderValue::from_static("application/json"), &br#"{"detail":"later"}"#[..])
    );
    let gone = faults.send(request(Method::PUT, "/gone", "")).await.unwrap_err();
    assert_eq!(gone.kind(), TransportErrorKind::Connect);
    assert!(faults.send(request(Method::PUT, "/lost", "")).now_or_never().is_none());
    let lie = faults.send(request(Method::PUT, "/lie", "")).await.unwrap();
    assert_eq!((lie.status().as_u16(), &lie.body()[..]), (200, &b"{}"[..]));
    assert!(toy.names().is_empty());
    put(&faults, "/fine", "").await;
    assert_eq!(toy.names(), ["/fine"]);
    assert_eq!(faults.acted(), 4);
}

#[tokio::test]
async fn faults_commit_then_fail() {
    let toy = Toy::default();
    let faults = Faults::new(toy.clone())
        .on(path("/a"), Action::commit_then(status(504)))
        .on(path("/b"), Action::commit_then(TransportErrorKind::Timeout))
        .on(path("/c"), Action::commit_then(hang()));
    assert_eq!(faults.send(request(Method::PUT, "/a", "")).await.unwrap().status().as_u16(), 504);
    let timeout = faults.send(request(Method::PUT, "/b", "")).await.unwrap_err();
    assert_eq!(timeout.kind(), TransportErrorKind::Timeout);
    assert!(faults.send(request(Method::PUT, "/c", "")).now_or_never().is_none());
    assert_eq!(toy.names(), ["/a", "/b", "/c"]);
}

#[tokio::test]
async fn faults_fail_then_commit_on_a_later_call() {
    let toy = Toy::default();
    let faults = Faults::new(toy.clone())
        .on(writes().and(path("/late")), Action::fail_then_commit(TransportErrorKind::Timeout, Due::Calls(2)))
        .on(writes().and(path("/last")), Action::fail_then_commit(status(502), Due::Settle));
    faults.send(request(Method::PUT, "/late", "")).await.unwrap_err();
    assert_eq!(get(&faults, "/late").await, None, "the first look finds nothing");
    assert_eq!(get(&faults, "/late").await.as_deref(), Some(""), "the second does");
    assert_eq!(toy.log(), ["GET /late", "PUT /late", "GET /late"]);

    assert_eq!(faults.send(request(Method::PUT, "/last", "")).await.unwrap().status().as_u16(), 502);
    get(&faults, "/x").await;
    assert_eq!(toy.value("/last"), None);
    assert_eq!((faults.settle().await, faults.settle().await), (1, 0));
    assert_eq!(toy.value("/last").as_deref(), Some(""));
}

#[tokio::test(start_paused = true)]
async fn faults_fail_then_commit_after_a_time() {
    let toy = Toy::default();
    let faults = Faults::new(toy.clone())
        .with_environment(virtual_time())
        .on(writes().and(path("/late")), Action::fail_then_commit(hang(), Due::After(Duration::from_secs(5))));
    assert!(faults.send(request(Method::PUT, "/late", "")).now_or_never().is_none());
    tokio::time::advance(Duration::from_millis(4_999)).await;
    assert_eq!(get(&faults, "/late").await, None);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(get(&faults, "/late").await.as_deref(), Some(""));
}

#[tokio::test]
async fn faults_change_the_answer_of_what_was_carried_out() {
    let toy = Toy::default();
    put(&toy, "/v", r#"{"name":"value"}"#).await;
    let body = |action: Action| {
        let faults = Faults::new(toy.clone()).on(any(), action);
        async move { faults.send(request(Method::GET, "/v", "")).await.unwrap().into_body() }
    };
    assert_eq!(body(Action::truncate()).await, r#"{"name":"#);
    assert!(body(Action::html()).await.starts_with(b"<!DOCTYPE html>"));
    assert_eq!(body(Action::replace_body("[]")).await, "[]");
    assert_eq!(body(Action::oversize()).await.len(), RequestMeta::DEFAULT_MAX_BODY + 1);

    let long = Faults::new(toy.clone()).on(any(), status(200).body("text/plain", "12345").header("content-length", 5));
    let short = Faults::new(long).on(any(), Action::truncate());
    let short = short.send(request(Method::GET, "/v", "")).await.unwrap();
    assert_eq!((&short.body()[..], short.headers().get("content-length")), (&b"12"[..], None));

    let faults =
        Faults::new(toy.clone()).on(op("big"), Action::oversize()).on(op("long"), Action::replace_body("12345"));
    let large = faults.send(named("big", Method::PUT, "/w", "")).await.unwrap_err();
    assert_eq!(large.kind(), TransportErrorKind::TooLarge);
    assert_eq!(toy.value("/w").as_deref(), Some(""), "it was carried out");
    let mut limited = named("long", Method::GET, "/v", "");
    limited.extensions_mut().get_mut::<RequestMeta>().unwrap().max_body = 4;
    assert_eq!(faults.send(limited).await.unwrap_err().kind(), TransportErrorKind::TooLarge);
}

#[tokio::test]
async fn faults_choose_by_occurrence_and_order() {
    let faults = Faults::new(Toy::default())
        .on(op("a").nth(2), status(500))
        .on(op("a").and(reads()).first(3), status(501))
        .on(op("a").from(5), status(502))
        .on(method(Method::DELETE).and(path("/x")), status(503))
        .on(when("long bodies", |request| request.body().len() > 3), status(504))
        .on(writes().and(op("never")), status(505));
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(faults.send(named("a", Method::GET, "/a", "")).await.unwrap().status().as_u16());
    }
    // The second rule counts the second request too, although the first rule took it.
    assert_eq!(seen, [501, 500, 501, 404, 502, 502]);
    for (sent, expected) in [
        (request(Method::DELETE, "/x/y", ""), 503),
        (request(Method::DELETE, "/y?from=/x", ""), 204),
        (request(Method::PUT, "/y", "1234"), 504),
        (request(Method::PUT, "/y", "123"), 204),
    ] {
        assert_eq!(faults.send(sent).await.unwrap().status().as_u16(), expected);
    }
    assert_eq!(faults.idle_rules(), ["writes and never"]);
}

#[tokio::test]
async fn faults_share_their_counters_among_clones() {
    let faults = Arc::new(Faults::new(Toy::default()).on(any().nth(2), status(500)));
    let clone = Faults::clone(&faults);
    assert_eq!(faults.send(request(Method::GET, "/", "")).await.unwrap().status().as_u16(), 404);
    assert_eq!(clone.send(request(Method::GET, "/", "")).await.unwrap().status().as_u16(), 500);
    assert!(faults.idle_rules().is_empty());
}

#[tokio::test]
async fn a_mistake_in_a_rule_is_no_answer() {
    for wrong in [status(1000), status(200).header("bad name", 1), status(200).header("x", "a\nb")] {
        let faults = Faults::new(Toy::default()).on(any(), wrong);
        let error = faults.send(request(Method::GET, "/", "")).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::InvalidRequest);
    }
}

// --- Below the real pipeline ------------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn layers_stack_below_a_client() {
    let toy = Toy::default();
    let faults = Faults::new(toy.clone())
        .on(op("names.set").nth(1), status(503).header("retry-after", 7))
        .on(op("names.create").nth(1), Action::commit_then(status(504)))
        .on(op("names.get").nth(1), hang());
    let counting = Counting::new(faults.clone());
    let client = client(counting.clone());
    let begin = Instant::now();

    client.put("names.set", "/{name}", &["a"]).send_unit().await.unwrap();
    assert_eq!(begin.elapsed(), Duration::from_secs(7));
    let error = client.post("names.create", "/{name}", &["b"]).send_unit().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Server, Effect::Unknown));
    assert_eq!(toy.names(), ["/a", "/b-1"]);
    client.get("names.get", "/{name}", &["a"]).timeout(Duration::from_secs(30)).send_unit().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(37));

    let counts = counting.counts();
    assert_eq!((counts.of("names.set"), counts.of("names.create"), counts.of("names.get")), (2, 1, 2));
    assert_eq!((counts.depth, counts.abandoned, counts.peak_in_flight), (5, 1, 1));
    assert!(faults.idle_rules().is_empty());
}

#[tokio::test]
async fn the_toy_makes_names() {
    assert_eq!(post(&Toy::default(), "/x", "").await, "/x-1");
}
