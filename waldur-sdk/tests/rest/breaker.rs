//! A service that is down, or refuses our credentials, is spared the rest of a run (faults.md rows 41, 44).

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::time::{advance, sleep};
use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind,
    rest::{Breaker, RestClient, RetryPolicy, TransportErrorKind as T},
    testing::{Answer, ScriptedTransport},
};

use crate::virtual_time::{client, environment, http, script};

const SECOND: Duration = Duration::from_secs(1);

fn breaker(in_a_row: usize) -> Breaker {
    Breaker::new(in_a_row, environment())
}

/// A client over a script that sends each call once, by a breaker.
fn guarded(script: &ScriptedTransport, breaker: &Breaker) -> RestClient {
    let http = http(script).with_retry(RetryPolicy::none());
    let base = client(script).base().clone();
    RestClient::new(http, base, waldur_sdk::rest::Anonymous).stopped_by(Some(breaker.clone()))
}

async fn get(client: &RestClient) -> Result<(), Error> {
    client.get("rows.get", "/rows/", &[]).send_unit().await
}

#[tokio::test(start_paused = true)]
async fn f041_what_is_down_is_asked_so_many_times_and_then_by_probes_further_and_further_apart() {
    let script = script().otherwise(Answer::status(503));
    let client = guarded(&script, &breaker(4));
    for _ in 0..100 {
        assert_eq!(get(&client).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(script.sent(), 4);
    let untried = get(&client).await.unwrap_err();
    assert_eq!((untried.operation(), untried.effect()), ("rows.get", Effect::NotApplied));
    assert_eq!((untried.class(), untried.attempts()), (ErrorClass::Transient, 0));
    assert!(untried.chain()[0].contains("counts as down") && untried.chain()[1].contains("503"), "{untried}");
    // One call at each of these, and none in between.
    for (pause, sent) in [(1, 5), (2, 6), (4, 7), (8, 8), (16, 9), (32, 10), (64, 11), (64, 12)] {
        sleep((10 * pause - 1) * SECOND / 10).await;
        assert!(get(&client).await.is_err());
        assert_eq!(script.sent(), sent - 1);
        sleep(SECOND / 10).await;
        for _ in 0..3 {
            assert!(get(&client).await.is_err());
        }
        assert_eq!(script.sent(), sent);
    }
}

#[tokio::test(start_paused = true)]
async fn f041_one_answer_ends_it_and_what_fails_in_between_is_no_outage() {
    let answers = [503, 503, 200, 503, 503, 404, 503, 503, 503];
    let script = answers.into_iter().fold(script(), |script, code| script.then(Answer::status(code)));
    let script = script.otherwise(Answer::status(200));
    let client = guarded(&script, &breaker(3));
    for _ in 0..answers.len() {
        drop(get(&client).await);
    }
    assert_eq!(script.sent(), answers.len());
    assert!(get(&client).await.is_err());
    sleep(SECOND).await;
    for _ in 0..5 {
        get(&client).await.unwrap();
    }
    assert_eq!(script.sent(), answers.len() + 5);
}

#[tokio::test(start_paused = true)]
async fn f041_no_probe_comes_before_the_time_that_the_server_asks_for() {
    let script = script().then(Answer::status(503).with_header("retry-after", "30")).otherwise(Answer::status(200));
    let client = guarded(&script, &breaker(1));
    assert!(get(&client).await.is_err());
    sleep(29 * SECOND).await;
    assert!(get(&client).await.is_err());
    sleep(SECOND).await;
    get(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn f044_sec51_refused_credentials_end_a_run_for_good() {
    let script = script().then(Answer::status(401)).otherwise(Answer::status(200));
    let breaker = breaker(8);
    let client = guarded(&script, &breaker);
    // Several are on their way when the first refusal comes: they are heard, and change nothing.
    let calls: Vec<_> = (0..100).map(|_| get(&client)).collect();
    let ends: Vec<_> = stream::iter(calls).buffered(1).collect().await;
    assert!(ends.iter().all(|end| end.as_ref().unwrap_err().kind() == ErrorKind::Unauthenticated));
    advance(3600 * SECOND).await;
    breaker.note(None);
    let untried = get(&client).await.unwrap_err();
    assert_eq!((untried.kind(), untried.class(), script.sent()), (ErrorKind::Unauthenticated, ErrorClass::NotReady, 1));
    assert_eq!(untried.message(), "not tried: the credentials were refused before");
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_of_the_service_opens_nothing() {
    let kinds = [
        ErrorKind::NotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::WrongContent,
        ErrorKind::Decode,
        ErrorKind::NotReady,
        ErrorKind::Cancelled,
        ErrorKind::DeadlineExceeded,
    ];
    for kind in kinds {
        let breaker = breaker(1);
        breaker.note(Some(&Error::new(kind, "")));
        breaker.check().unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    }
    // A stop of ours ends no outage, and a race that was lost is none.
    let breaker = breaker(1);
    breaker.note(Some(&Error::new(ErrorKind::Timeout, "")));
    breaker.note(Some(&Error::new(ErrorKind::Cancelled, "")));
    assert!(breaker.check().is_err() && breaker.cause().is_some());
    let race = Error::new(ErrorKind::Conflict, "").with_retryable(true);
    assert!(!race.is_outage() && Error::new(ErrorKind::Tls, "").is_outage());
    assert!(!Error::new(ErrorKind::Server, "").with_retryable(false).is_outage());
}

#[tokio::test(start_paused = true)]
async fn one_failure_that_is_told_of_many_rows_is_one() {
    let breaker = breaker(2);
    let failure = Error::new(ErrorKind::Timeout, "the list did not come");
    for _ in 0..100 {
        breaker.note(Some(&failure.clone()));
    }
    assert!(breaker.check().is_ok());
    breaker.note(Some(&Error::new(ErrorKind::Timeout, "nor did the next")));
    // What it says itself is no news to it.
    for _ in 0..100 {
        let untried = breaker.check().unwrap_err();
        assert_eq!(untried.chain().len(), 2);
        breaker.note(Some(&untried));
    }
    sleep(SECOND).await;
    assert!(breaker.check().is_ok(), "the first probe is not put off");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_fails_counts() {
    let script = script().otherwise(Answer::fail(T::Connect));
    let breaker = breaker(2);
    let stopped = client(&script).stopped_by(Some(breaker.clone()));
    for _ in 0..10 {
        let call = stopped.get("rows.get", "/rows/", &[]);
        assert_eq!(call.send_unit().await.unwrap_err().kind(), ErrorKind::Connect);
    }
    // Each with its own repeats.
    assert!(script.sent() <= 8, "{}", script.sent());
    assert_eq!(format!("{breaker:?}"), "Breaker { open: Some(Connect), .. }");
}
