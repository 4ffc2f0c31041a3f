//! What a status means, and how long an answer may take (faults 27, 28, 52, 53, 61–64, 95).

use std::time::Duration;

use crate::virtual_time::{client, script};
use http::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind as K,
    rest::{Anonymous, Environment, Http, RestClient, TransportErrorKind, redact},
    testing::{Answer, ScriptedTransport},
};

const SECOND: Duration = Duration::from_secs(1);

/// The error of one unrepeated call.
async fn error(answer: Answer) -> Error {
    let script = script().otherwise(answer);
    let call = client(&script).post("test", "/things/{thing}/", &["t"]).not_idempotent();
    call.send_json::<Value>().await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn f027_a_long_report_has_a_timeout_class_of_its_own() {
    let slow = || script().otherwise(Answer::json(&"report").after(300 * SECOND));
    let (plain, bulk) = (slow(), slow());
    let error = client(&plain).get("report", "/report/", &[]).not_idempotent().send_unit().await.unwrap_err();
    assert_eq!((error.kind(), plain.requests()[0].meta.unwrap().timeout), (K::Timeout, RestClient::DEFAULT_TIMEOUT));
    let report: String = client(&bulk).get("report", "/report/", &[]).bulk().send_json().await.unwrap();
    let meta = bulk.requests()[0].meta.unwrap();
    assert_eq!((report.as_str(), meta.timeout), ("report", RestClient::BULK_TIMEOUT));
    assert_eq!(meta.max_body, RestClient::BULK_MAX_BODY);
}

#[tokio::test(start_paused = true)]
async fn f028_after_the_deadline_nothing_more_is_tried() {
    let script = script().otherwise(Answer::json(&1).after(30 * SECOND));
    let client = client(&script);
    let begin = tokio::time::Instant::now();
    let deadline = begin.into_std() + 70 * SECOND;
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(client.get("test", "/x/", &[]).deadline(Some(deadline)).send_unit().await);
    }
    assert!(outcomes[..2].iter().all(Result::is_ok));
    // The third is cut off in flight, the others are never sent.
    let errors: Vec<_> = outcomes[2..].iter().map(|outcome| outcome.as_ref().unwrap_err()).collect();
    let told: Vec<_> = errors.iter().map(|error| (error.kind(), error.attempts(), error.effect())).collect();
    let never = (K::DeadlineExceeded, 0, Effect::NotApplied);
    assert_eq!(told, [(K::Timeout, 1, Effect::Unknown), never, never]);
    assert_eq!((script.sent(), begin.elapsed()), (3, 70 * SECOND));
}

#[tokio::test]
async fn no_timeout_is_too_long_for_a_timer_that_adds_it_to_a_clock() {
    let script = ScriptedTransport::new().then(Answer::json(&1));
    let timer = |pause| {
        let _end = std::time::Instant::now() + pause;
        std::future::pending()
    };
    let http = Http::new(script).with_environment(Environment::default().with_timer(timer));
    let base = crate::virtual_time::base(crate::virtual_time::ORIGIN);
    let client = RestClient::new(http, base, Anonymous).with_timeout(Duration::MAX);
    assert_eq!(client.get("test", "/x/", &[]).send_json::<u8>().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_pause_reaches_beyond_the_deadline() {
    let script = script().otherwise(Answer::status(503).with_header("retry-after", "10"));
    let begin = tokio::time::Instant::now();
    let call = client(&script).get("test", "/x/", &[]).deadline(Some(begin.into_std() + 15 * SECOND));
    let error = call.send_unit().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (K::Unavailable, Some(10 * SECOND)),
        "the failure, not the deadline"
    );
    assert_eq!((script.sent(), begin.elapsed()), (2, 10 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn f052_a_missing_api_is_a_wrong_base_url_and_no_absence() {
    let page = "<!doctype html><html><body>Not Found</body></html>";
    let bodies = [page, r#"{"detail": "Not found."}"#, "404 page not found", ""];
    for body in bodies {
        let script = script().otherwise(Answer::status(404).with_body(body));
        let first = client(&script).get("users.me", "/api/users/me/", &[]).must_exist();
        let error = first.send_opt::<Value>().await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (K::Config, 404), "{body}");
        assert!(error.message().contains("base URL"), "{error}");
    }
}

/// What proves an absence: an answer of the API, and of those without a body the ones that cannot have any.
#[tokio::test(start_paused = true)]
async fn f051_only_the_apis_own_word_is_an_absence() {
    const ROUTER: &str = "404 page not found";
    const PAGE: &str = "<!doctype html><html><body>Not Found</body></html>";
    const WORD: &str = r#"{"detail": "Not found."}"#;
    let cases = [
        (Method::GET, WORD, K::NotFound),
        (Method::GET, "<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code></Error>", K::NotFound),
        (Method::GET, PAGE, K::WrongContent),
        (Method::GET, ROUTER, K::WrongContent),
        (Method::GET, "", K::WrongContent),
        (Method::GET, "\u{feff} \r\n", K::WrongContent),
        (Method::DELETE, WORD, K::NotFound),
        (Method::DELETE, PAGE, K::WrongContent),
        (Method::DELETE, "", K::WrongContent),
        (Method::HEAD, "", K::NotFound),
        (Method::POST, "", K::NotFound),
        (Method::POST, PAGE, K::WrongContent),
    ];
    for (method, body, kind) in cases {
        for status in [404, 410] {
            let script = script().otherwise(Answer::status(status).with_body(body));
            let client = client(&script);
            let call = |client: &RestClient| client.call(method.clone(), "test", "/things/{thing}/", &["t"]);
            let error = call(&client).send_unit().await.unwrap_err();
            assert_eq!(error.kind(), kind, "{method} {status} {body}");
            let absent = call(&client).send_opt::<Value>().await.map(|found| found.is_none());
            assert_eq!(absent.is_ok(), kind == K::NotFound, "{method} {status} {body}");
            // An API that is known to say nothing is believed when it does, and a proxy's words are none of its all the same.
            let error = call(&client.with_empty_not_found()).send_unit().await.unwrap_err();
            let said_nothing = body.trim_matches(['\u{feff}', ' ', '\r', '\n']).is_empty();
            assert_eq!(error.kind(), if said_nothing { K::NotFound } else { kind }, "{method} {status} {body}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f053_what_an_old_server_lacks_is_unsupported() {
    for status in [405, 501] {
        let error = error(Answer::status(status).with_json(&json!({"detail": "Method not allowed."}))).await;
        assert_eq!((error.kind(), error.class()), (K::Unsupported, ErrorClass::Unsupported));
        assert!(error.message().contains(&status.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn f061_locked_defers_too_early_repeats_precondition_required_is_a_bug() {
    let locked = error(Answer::status(423)).await;
    assert_eq!((locked.class(), locked.effect()), (ErrorClass::NotReady, Effect::NotApplied));
    let script = script().then(Answer::status(425)).then(Answer::json(&1));
    client(&script).get("test", "/x/", &[]).send_unit().await.unwrap();
    assert_eq!(script.sent(), 2);
    assert_eq!(error(Answer::status(428)).await.class(), ErrorClass::Broken);
}

#[tokio::test(start_paused = true)]
async fn f062_every_success_is_a_success() {
    for status in [200, 201, 202, 203, 204, 206] {
        let script = script().otherwise(Answer::status(status));
        client(&script).post("test", "/x/", &[]).send_unit().await.unwrap();
        let answer = client(&script).post("test", "/x/", &[]).send().await.unwrap();
        assert_eq!(answer.status(), status, "202 is told apart by who must poll");
    }
}

#[tokio::test(start_paused = true)]
async fn f063_an_empty_answer_is_fine_for_a_write_and_no_value_for_a_read() {
    let script = script().then(Answer::status(204).with_body("unexpected")).otherwise(Answer::status(200));
    client(&script).delete("test", "/x/", &[]).send_unit().await.unwrap();
    client(&script).delete("test", "/x/", &[]).send_unit().await.unwrap();
    let error = client(&script).get("test", "/x/", &[]).send_json::<Option<Value>>().await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (K::Decode, "the answer is empty"));
    let error = client(&script).get("test", "/x/", &[]).send_opt::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), K::Decode, "nothing is no proof of absence");
}

#[tokio::test(start_paused = true)]
async fn f064_an_unknown_status_goes_by_its_class() {
    let kinds = [
        (100, K::Other, ErrorClass::Broken),
        (199, K::Other, ErrorClass::Broken),
        (304, K::Redirected, ErrorClass::NotReady),
        (399, K::Redirected, ErrorClass::NotReady),
        (418, K::InvalidRequest, ErrorClass::Broken),
        (499, K::InvalidRequest, ErrorClass::Broken),
        (520, K::Server, ErrorClass::Transient),
        (599, K::Server, ErrorClass::Transient),
        (999, K::Other, ErrorClass::Broken),
    ];
    for (status, kind, class) in kinds {
        let error = error(Answer::status(status)).await;
        assert_eq!((error.kind(), error.class()), (kind, class), "{status}");
    }
    for status in [226, 299] {
        let script = script().otherwise(Answer::status(status).with_json(&1));
        assert_eq!(client(&script).get("test", "/x/", &[]).send_json::<u8>().await.unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_failure_keeps_its_kind_and_its_cause() {
    use TransportErrorKind as T;
    let kinds = [
        (T::Connect, K::Connect, Effect::NotApplied),
        (T::Tls, K::Tls, Effect::NotApplied),
        (T::Proxy, K::Proxy, Effect::NotApplied),
        (T::Timeout, K::Timeout, Effect::Unknown),
        (T::Interrupted, K::Transport, Effect::Unknown),
        (T::TooLarge, K::TooLarge, Effect::Unknown),
        (T::InvalidRequest, K::Config, Effect::NotApplied),
    ];
    for (failure, kind, effect) in kinds {
        let script = script().then(Answer::fail(failure));
        let call = client(&script).put("things.put", "/things/{thing}/", &["t"]).not_idempotent();
        let error = call.send_unit().await.unwrap_err();
        if failure != T::Connect {
            assert_eq!((error.kind(), error.effect(), error.attempts()), (kind, effect, 1));
            assert_eq!(error.chain().last().unwrap(), "the script says so");
            assert_eq!(format!("{error:#}"), format!("{error}: the script says so"));
        }
        let shown = "PUT https://api.example.org/things/{thing}/";
        assert!(error.to_string().starts_with("things.put: ") && error.to_string().contains(shown), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn f095_any_error_body_is_bounded_and_scrubbed() {
    let secret = "canary-4711";
    let echo = format!("{}{}", " ".repeat(100), secret);
    let bodies: Vec<Vec<u8>> = vec![
        format!(r#"{{"detail": "x", "secret_key": "{secret}", "deep": [{{"Access-Key": ["{secret}"]}}]}}"#).into(),
        format!(r#"{{"detail": "bad secret_key={secret}&x=1", "inner": "{{\"token\": \"{secret}\"}}"}}"#).into(),
        format!(r#"{{"secret_key": "{secret}", "cut": "#).into(),
        format!("<?xml version=\"1.0\"?><Error><Code>X</Code><SecretKey>{secret}</SecretKey></Error>").into(),
        format!("<html><form><input name=password value=\"x\">password: {secret}</form></html>").into(),
        format!("grant_type=password&password={secret}&x=1").into(),
        format!("Authorization: Bearer {secret}\r\nHost: x").into(),
        format!("no name for it: {echo}").into(),
        Vec::new(),
        b"\xff\xfe\x00broken".to_vec(),
        vec![b'x'; 7 << 20],
        format!(r#"{{"pad": "{}", "token": "{secret}"}}"#, "x".repeat(100_000)).into(),
    ];
    for body in bodies {
        let begin = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let script = script().otherwise(Answer::status(400).with_body(body.clone()));
        let call = client(&script).post("test", "/x/", &[]).secret(&SecretString::from(secret));
        let error = call.send_unit().await.unwrap_err();
        let excerpt = error.http().unwrap().body.clone();
        assert_eq!(excerpt.is_none(), body.is_empty());
        let excerpt = excerpt.unwrap_or_default();
        assert!(excerpt.len() <= redact::EXCERPT_LIMIT, "{begin}");
        assert!(!excerpt.chars().any(char::is_control), "{begin}: {excerpt}");
        assert!(!format!("{error:?}{error}").contains("canary"), "{begin}: {error:?}");
    }
    // By name alone, where the value is not known beforehand.
    let named = [
        r#"{"k": 1, "secretKey": "canary"#,
        r#"{"k": 1, "secretKey": "a\"canary", "cut": "#,
        r#"{"detail": "login with {\"password\": \"canary\"} failed"}"#,
        r#"{"credentials": {"name": "canary"}, "cut": "#,
        "x: <a:Token id='1'>canary</a:Token>",
        "apikey => 'canary'",
    ];
    for text in named {
        let excerpt = redact::excerpt(text.as_bytes(), &[]);
        assert!(!excerpt.contains("canary") && excerpt.contains(redact::REDACTED), "{excerpt}");
    }
    let kept = r#"{"detail":"Token expired","plan":"a=b"}"#;
    assert_eq!(redact::excerpt(kept.as_bytes(), &[]), kept, "what is no secret stays");
}
