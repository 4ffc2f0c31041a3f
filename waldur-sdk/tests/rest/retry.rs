//! What is repeated, when and how often (anchors C5, faults 33–41, 49, 59, 60).

use std::time::{Duration, SystemTime};

use crate::virtual_time::{base, client, environment, http, pauses, script};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Method};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use waldur_sdk::{
    Effect, ErrorClass, ErrorKind,
    rest::{Anonymous, Environment, RestClient, RetryPolicy, TransportErrorKind as T, retry_after},
    testing::{Answer, ScriptedTransport},
};

const SECOND: Duration = Duration::from_secs(1);

/// How often a call is sent whose first answer is `answer` and whose second is 200.
async fn sendings(answer: Answer, method: Method, harmless: Option<bool>) -> usize {
    let script = script().then(answer).then(Answer::json(&1));
    let call = client(&script).call(method, "test", "/x/", &[]);
    let call = match harmless {
        None => call,
        Some(true) => call.idempotent(),
        Some(false) => call.not_idempotent(),
    };
    // The outcome follows from the number: the second answer is a success.
    let outcome = call.send_json::<u8>().await;
    assert_eq!(outcome.is_ok(), script.sent() == 2, "{outcome:?}");
    script.sent()
}

#[tokio::test(start_paused = true)]
async fn the_retry_table_row_by_row() {
    let after = |status| Answer::status(status).with_header("retry-after", "1");
    let unreadable = || Answer::status(200).with_body("{");
    // (what happened, repeated if idempotent, repeated otherwise)
    let rows: Vec<(Answer, bool, bool)> = vec![
        (Answer::fail(T::Connect), true, true),
        (Answer::fail(T::Timeout), true, false),
        (Answer::fail(T::Interrupted), true, false),
        (Answer::hang(), true, false),
        (Answer::status(429), true, true),
        (Answer::status(503), true, false),
        (after(503), true, true),
        (Answer::status(408), true, false),
        (Answer::status(425), true, false),
        (Answer::status(500), true, false),
        (Answer::status(502), true, false),
        (Answer::status(504), true, false),
        (after(500), true, false),
        // A certificate is no better a second later (faults 13).
        (Answer::fail(T::Tls), false, false),
        (Answer::fail(T::Proxy), false, false),
        (Answer::fail(T::TooLarge), false, false),
        (Answer::fail(T::InvalidRequest), false, false),
        (Answer::status(302), false, false),
        (Answer::status(400), false, false),
        (Answer::status(401), false, false),
        (Answer::status(403), false, false),
        (Answer::status(404), false, false),
        (Answer::status(409), false, false),
        (Answer::status(412), false, false),
        (Answer::status(422), false, false),
        (Answer::status(423), false, false),
        (Answer::status(501), false, false),
        (Answer::status(505), false, false),
        (unreadable(), false, false),
    ];
    for (answer, idempotent, other) in rows {
        let what = format!("{answer:?}");
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            let repeated = sendings(answer.clone(), method.clone(), None).await == 2;
            assert_eq!(repeated, idempotent, "{method} {what}");
        }
        for method in [Method::POST, Method::PATCH] {
            let repeated = sendings(answer.clone(), method.clone(), None).await == 2;
            assert_eq!(repeated, other, "{method} {what}");
        }
        assert_eq!(sendings(answer.clone(), Method::POST, Some(true)).await == 2, idempotent, "marked POST {what}");
        assert_eq!(sendings(answer.clone(), Method::PUT, Some(false)).await == 2, other, "marked PUT {what}");
    }
}

#[tokio::test(start_paused = true)]
async fn f033_retry_after_in_seconds_is_waited_for_and_paid() {
    let script = script().then(Answer::status(429).with_header("retry-after", "7")).otherwise(Answer::status(429));
    let policy = RetryPolicy::default().with_budget(5);
    let client = RestClient::new(http(&script).with_retry(policy), base(crate::virtual_time::ORIGIN), Anonymous);
    let error = client.get("test", "/x/", &[]).send_unit().await.unwrap_err();
    assert_eq!(pauses(&script), [7 * SECOND], "one repeat was in the budget, after seven seconds");
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 2));
}

#[tokio::test(start_paused = true)]
async fn f034_retry_after_as_a_date_is_measured_by_the_servers_clock() {
    let local: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let date = |seconds: u32| httpdate::fmt_http_date(SystemTime::from(local) + seconds * SECOND);
    // The server's clock is 100 s ahead of ours.
    let script = script()
        .then(Answer::status(429).with_header("date", date(100)).with_header("retry-after", date(109)))
        .then(Answer::status(429).with_header("date", date(100)).with_header("retry-after", date(40)))
        .then(Answer::status(429).with_header("retry-after", date(5)))
        .then(Answer::json(&1));
    let http = http(&script).with_environment(environment().with_wall(move || local));
    let client = RestClient::new(http, base(crate::virtual_time::ORIGIN), Anonymous);
    client.get("test", "/x/", &[]).send_unit().await.unwrap();
    assert_eq!(pauses(&script), [9 * SECOND, Duration::ZERO, 5 * SECOND]);
}

#[test]
fn an_absurd_date_of_the_server_is_not_believed() {
    let local: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert("retry-after", HeaderValue::from_static("Sun, 22 Nov 2026 12:00:30 GMT"));
    for date in ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2100 00:00:00 GMT", "yesterday"] {
        headers.insert("date", HeaderValue::from_str(date).unwrap());
        assert_eq!(retry_after(&headers, local), Some(30 * SECOND), "{date}");
    }
}

#[tokio::test(start_paused = true)]
async fn f035_a_retry_after_beyond_the_policy_is_not_slept() {
    let script = script().otherwise(Answer::status(429).with_header("retry-after", "86400"));
    let begin = tokio::time::Instant::now();
    let error = client(&script).get("test", "/x/", &[]).send_unit().await.unwrap_err();
    assert_eq!((script.sent(), begin.elapsed()), (1, Duration::ZERO));
    assert_eq!(error.retry_after(), Some(86400 * SECOND), "the caller learns when to come back");
    assert_eq!(error.class(), ErrorClass::Transient);
}

proptest! {
    #[test]
    fn f036_any_retry_after_is_read_or_ignored(bytes in prop::collection::vec(any::<u8>(), 0..40), digits in "[0-9]{1,30}",
        until in 0_u64..200_000_000_000, now in 0_i64..200_000_000_000) {
        let now = Timestamp::from_second(now).unwrap();
        let read = |text: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_bytes(text).ok()?);
            retry_after(&headers, now)
        };
        let _ = read(&bytes);
        prop_assert_eq!(read(digits.as_bytes()), digits.parse().ok().map(Duration::from_secs));
        prop_assert_eq!(read(format!("-{digits}").as_bytes()), None);
        prop_assert_eq!(read(format!("{digits}.5").as_bytes()), None);
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(until);
        let wait = until.duration_since(now.into()).unwrap_or_default();
        prop_assert_eq!(read(httpdate::fmt_http_date(until).as_bytes()), Some(wait));
    }

    #[test]
    fn a_pause_stays_within_its_bounds(first in any::<u64>(), max in any::<u64>(), attempt in any::<u32>(), random in any::<u64>()) {
        let mut policy = RetryPolicy::default();
        (policy.initial_backoff, policy.max_backoff) = (Duration::from_secs(first), Duration::from_secs(max));
        let environment = Environment::default().with_random(move || random);
        prop_assert!(policy.pause(attempt, None, &environment) <= policy.max_backoff);
        let asked = policy.pause(attempt, Some(SECOND), &environment);
        prop_assert!(asked >= SECOND && asked <= policy.max_backoff.saturating_add(SECOND));
    }
}

#[test]
fn callers_who_were_asked_to_wait_alike_do_not_come_back_at_once() {
    let policy = RetryPolicy::default();
    let pause = |random: u64| {
        let environment = Environment::default().with_random(move || random);
        policy.pause(3, Some(7 * SECOND), &environment)
    };
    let pauses = [0, u64::MAX / 4, u64::MAX / 2, u64::MAX].map(pause);
    assert_eq!(pauses[0], 7 * SECOND, "never before");
    assert!(pauses.is_sorted_by(|a, b| a < b), "{pauses:?}");
    assert!(pauses[3] <= 7 * SECOND + 4 * policy.initial_backoff);
}

#[tokio::test(start_paused = true)]
async fn f037_a_500_on_reading_is_repeated_and_then_an_error() {
    let script = script().otherwise(Answer::status(500).with_json(&json!({"usage": 0})));
    let error = client(&script).get("usage.get", "/usage/", &[]).send_json::<serde_json::Value>().await.unwrap_err();
    assert_eq!((script.sent(), error.attempts()), (4, 4));
    assert_eq!((error.kind(), error.class()), (ErrorKind::Server, ErrorClass::Transient));
}

#[tokio::test(start_paused = true)]
async fn f040_a_502_on_an_idempotent_post_is_repeated() {
    let script = script().then(Answer::status(502)).then(Answer::status(200));
    let post = client(&script).post("orders.set_backend_id", "/orders/{order}/set_backend_id/", &["o"]);
    post.json(&json!({"backend_id": "b"})).idempotent().send_unit().await.unwrap();
    let bodies: Vec<_> = script.requests().iter().map(waldur_sdk::testing::Recorded::text).collect();
    assert_eq!(bodies, [r#"{"backend_id":"b"}"#; 2]);
}

#[tokio::test(start_paused = true)]
async fn f041_an_outage_of_twenty_minutes_costs_one_probe_a_call() {
    let up_at = tokio::time::Instant::now() + 1200 * SECOND;
    let script = script().otherwise(Answer::by(move |request| {
        if tokio::time::Instant::now() >= up_at {
            Answer::json(&1)
        } else if request.uri().path() == "/a/" {
            Answer::status(503)
        } else {
            Answer::status(503).with_header("retry-after", "1")
        }
    }));
    let client = client(&script);
    let mut calls = 0;
    while tokio::time::Instant::now() < up_at {
        for path in ["/a/", "/b/"] {
            let error = client.get("test", path, &[]).send_unit().await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Transient, "nothing is erred for an outage");
            calls += 1;
        }
        tokio::time::sleep(10 * SECOND).await;
    }
    assert!(calls > 200, "{calls}");
    let repeats = script.sent() - calls;
    assert_eq!(repeats, 20, "the budget of 100 pays for 20 repeats, no call after that is repeated");
    client.get("test", "/a/", &[]).send_unit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_timeout_costs_twice_and_a_success_gives_one_back() {
    let policy = || RetryPolicy::default().with_budget(14).with_max_attempts(2);
    let run = |answers: Vec<Answer>| async move {
        let script = answers.into_iter().fold(script(), ScriptedTransport::then);
        let client = RestClient::new(http(&script).with_retry(policy()), base(crate::virtual_time::ORIGIN), Anonymous);
        let mut outcomes = Vec::new();
        while script.unused() > 0 {
            outcomes.push(client.get("test", "/x/", &[]).send_unit().await.is_ok());
        }
        outcomes
    };
    let (ok, slow, full) = (|| Answer::status(200), || Answer::fail(T::Timeout), || Answer::status(500));
    assert_eq!(run(vec![slow(), ok(), full(), ok()]).await, [true, true], "14 - 10 + 1 - 5");
    assert_eq!(run(vec![slow(), slow(), full(), ok()]).await, [false, false, true], "14 - 10 is less than 5");
}

#[tokio::test(start_paused = true)]
async fn any_proper_answer_gives_one_back() {
    let answers = [500, 404, 409, 404, 404, 404, 500, 200].map(Answer::status);
    let script = answers.into_iter().fold(script(), ScriptedTransport::then);
    let policy = RetryPolicy::default().with_budget(5);
    let client = RestClient::new(http(&script).with_retry(policy), base(crate::virtual_time::ORIGIN), Anonymous);
    for _ in 0..5 {
        assert!(!client.get("test", "/x/", &[]).send_unit().await.unwrap_err().is_retryable());
    }
    client.get("test", "/x/", &[]).send_unit().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn clones_share_the_budget() {
    let script = script().otherwise(Answer::status(500));
    let client = client(&script);
    join_all((0..100).map(|_| client.clone().get("test", "/x/", &[]).send_unit())).await;
    assert_eq!(script.sent(), 100 + 20);
}

#[tokio::test(start_paused = true)]
async fn backoff_doubles_to_its_ceiling() {
    let script = script().otherwise(Answer::status(500));
    let policy = RetryPolicy::default().with_max_attempts(9).with_max_elapsed(600 * SECOND);
    let http = http(&script).with_environment(environment().with_random(|| u64::MAX)).with_retry(policy);
    RestClient::new(http, base(crate::virtual_time::ORIGIN), Anonymous)
        .get("test", "/x/", &[])
        .send_unit()
        .await
        .unwrap_err();
    let millis: Vec<_> = pauses(&script).iter().map(|pause| pause.as_millis().div_ceil(100) * 100).collect();
    assert_eq!(millis, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_effect_survives_a_later_refusal() {
    let effect = |answers: Vec<Answer>| async {
        let script = answers.into_iter().fold(script(), ScriptedTransport::then);
        client(&script).put("test", "/x/", &[]).send_unit().await.unwrap_err().effect()
    };
    assert_eq!(effect(vec![Answer::fail(T::Timeout), Answer::status(409)]).await, Effect::Unknown);
    assert_eq!(effect(vec![Answer::status(502), Answer::fail(T::Tls)]).await, Effect::Unknown);
    assert_eq!(effect(vec![Answer::fail(T::Connect), Answer::status(409)]).await, Effect::NotApplied);
    assert_eq!(effect(vec![Answer::status(429), Answer::fail(T::Tls)]).await, Effect::NotApplied);
}

#[tokio::test(start_paused = true)]
async fn an_error_reader_overrules_the_table() {
    let sendings = |status: u16, code: &'static str, method: Method| async move {
        let script = script().then(Answer::status(status).with_json(&json!({"Code": code}))).then(Answer::status(200));
        let client = client(&script).with_error_reader(|answer, error| {
            let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            match body["Code"].as_str() {
                // Raced and not applied (radosgw-api.md §6).
                Some("UnknownError") => {
                    error.with_effect(Effect::NotApplied).with_retryable(true).with_code("UnknownError")
                }
                Some("ConcurrentModification") => error.with_retryable(true),
                _ => error,
            }
        });
        drop(client.call(method, "test", "/x/", &[]).send_unit().await);
        script.sent()
    };
    assert_eq!(sendings(500, "UnknownError", Method::POST).await, 2, "not applied, so even a POST");
    assert_eq!(sendings(409, "ConcurrentModification", Method::PUT).await, 2);
    assert_eq!(sendings(409, "ConcurrentModification", Method::POST).await, 2, "a 409 was not applied");
    assert_eq!(sendings(500, "Other", Method::PUT).await, 2);
}

/// A call to a server whose client knows more from the body than the status says.
async fn read_by(answer: Answer, method: Method) -> (waldur_sdk::Error, usize) {
    let script = script().otherwise(answer);
    let client = client(&script).with_error_reader(|answer, error| {
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match body["code"].as_str() {
            Some("AlreadyExists") => error.with_kind(ErrorKind::AlreadyExists),
            Some("OverQuota") => error.with_kind(ErrorKind::QuotaExceeded),
            Some("StaleVersion") => error.with_retryable(true),
            _ => error,
        }
    });
    (client.call(method, "test", "/x/", &[]).send_unit().await.unwrap_err(), script.sent())
}

fn coded(status: u16, code: &str) -> Answer {
    Answer::status(status).with_json(&json!({ "code": code }))
}

#[tokio::test(start_paused = true)]
async fn f039_a_conflict_in_the_clothes_of_a_500_is_a_taken_name() {
    let (error, sent) = read_by(coded(500, "AlreadyExists"), Method::PUT).await;
    assert_eq!((error.kind(), error.class(), sent), (ErrorKind::AlreadyExists, ErrorClass::Duplicate, 1));
    let (error, sent) = read_by(coded(500, "Other"), Method::PUT).await;
    assert_eq!((error.kind(), error.class(), sent), (ErrorKind::Server, ErrorClass::Transient, 4));
}

/// Whatever the status, going over a quota is for the customer to know and no reason to repeat.
async fn over_quota(status: u16, otherwise: ErrorKind) {
    let (error, sent) = read_by(coded(status, "OverQuota"), Method::PUT).await;
    assert_eq!((error.kind(), error.class(), sent), (ErrorKind::QuotaExceeded, ErrorClass::Rejected, 1), "{status}");
    for plain in [coded(status, "Other"), Answer::status(status)] {
        let (error, sent) = read_by(plain, Method::PUT).await;
        assert_eq!((error.kind(), error.class(), sent), (otherwise, ErrorClass::Broken, 1), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn f049_a_403_for_a_quota_is_no_missing_right() {
    over_quota(403, ErrorKind::PermissionDenied).await;
}

#[tokio::test(start_paused = true)]
async fn f060_a_413_for_a_quota_is_no_body_that_is_too_large() {
    over_quota(413, ErrorKind::InvalidRequest).await;
}

#[tokio::test(start_paused = true)]
async fn f059_a_write_on_a_stale_version_is_repeated_and_then_left_for_later() {
    // As f056 of a client whose server answers races with 412.
    let (error, sent) = read_by(coded(412, "StaleVersion"), Method::PUT).await;
    assert_eq!((error.kind(), error.class()), (ErrorKind::Conflict, ErrorClass::Transient), "deferred, not erred");
    assert!((2..=5).contains(&sent), "{sent}");
    let (error, sent) = read_by(Answer::status(412), Method::PUT).await;
    assert_eq!((error.class(), sent), (ErrorClass::Broken, 1), "any other 412 stays one");
}
