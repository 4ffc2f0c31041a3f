//! Signing when the clocks disagree (the gateway tolerates 15 minutes; radosgw-api.md §1).

use std::time::Duration;

use crate::common::{ACCESS_KEY, Gate, SECRET_KEY, client, refused, user};
use serde_json::json;
use waldur_backend_croit::{
    radosgw::{PageSize, RadosGwClient, Uid, error},
    testing::FakeRadosGw,
};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    rest::{Http, RetryPolicy},
    testing::{Answer, ScriptedTransport},
};

#[tokio::test(start_paused = true)]
async fn f029_a_wrong_clock_is_corrected_once_by_the_gateways_date() {
    for minutes in [20_i64, -20, 600, -600] {
        let ahead = move || {
            let distance = Duration::from_secs(minutes.unsigned_abs() * 60);
            let now = crate::common::now();
            if minutes > 0 { now + distance } else { now - distance }
        };
        let gate = Gate::over(FakeRadosGw::builder().admin(ACCESS_KEY, SECRET_KEY).clock(ahead).build());
        let client = client(gate.clone());
        assert!(client.users().list(PageSize::default()).collect().await.unwrap().complete().is_ok());
        assert_eq!(client.learnt_clock_offset(), minutes * 60);
        assert_eq!(gate.take_log().len(), 2, "one refusal, one corrected repeat");
        // What was learnt is used from the start.
        client.users().list(PageSize::default()).collect().await.unwrap();
        assert_eq!(gate.take_log().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_correction_that_does_not_help_is_the_end() {
    let skewed = || refused(403, error::CLOCK_SKEW).with_header("date", "Sun, 22 Nov 2026 14:00:00 GMT");
    let script = ScriptedTransport::new().otherwise(skewed());
    let client = client(script.clone());
    for sent in [2, 3] {
        let error = client.users().get(&Uid::new("alice").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClockSkew);
        assert_eq!(error.class(), ErrorClass::NotReady, "no customer's order fails for a clock");
        assert_eq!(script.sent(), sent, "the second call has nothing more to learn");
    }
}

#[tokio::test(start_paused = true)]
async fn f031_an_absurd_date_corrects_nothing() {
    let dates = [None, Some("Thu, 01 Jan 1970 00:00:00 GMT"), Some("Wed, 25 Nov 2026 12:00:00 GMT"), Some("soon")];
    for date in dates {
        let skewed = refused(403, error::CLOCK_SKEW);
        let skewed = match date {
            Some(date) => skewed.with_header("date", date),
            None => skewed,
        };
        let script = ScriptedTransport::new().then(skewed);
        let client = client(script.clone());
        let error = client.users().get(&Uid::new("alice").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ClockSkew);
        assert_eq!((script.sent(), client.learnt_clock_offset()), (1, 0), "{date:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_refusal_teaches_nothing_about_the_clock() {
    let denied = refused(403, "AccessDenied").with_header("date", "Sun, 22 Nov 2026 14:00:00 GMT");
    let script = ScriptedTransport::new().then(denied);
    let client = client(script.clone());
    client.users().get(&Uid::new("alice").unwrap()).await.unwrap_err();
    assert_eq!((script.sent(), client.learnt_clock_offset()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_signed_anew() {
    let script = ScriptedTransport::new().then(Answer::status(503)).then(Answer::json(&user("alice", json!({}))));
    let environment = crate::common::environment();
    let begun = environment.instant();
    let ticking = environment.clone().with_wall(move || {
        // The wall clock goes with the test's clock.
        crate::common::now() + tokio::time::Instant::now().into_std().saturating_duration_since(begun)
    });
    let http = Http::new(script.clone()).with_environment(ticking.with_random(|| u64::MAX));
    let mut slow = RetryPolicy::default();
    slow.initial_backoff = Duration::from_secs(5);
    let http = http.with_retry(slow);
    let client = RadosGwClient::new(http, &crate::common::endpoint(), &crate::common::admin()).unwrap();
    client.users().get(&Uid::new("alice").unwrap()).await.unwrap();
    let sent = script.requests();
    assert_ne!(sent[0].header("x-amz-date"), sent[1].header("x-amz-date"));
    assert_ne!(sent[0].authorization(), sent[1].authorization());
    for name in ["authorization", "x-amz-date", "x-amz-content-sha256"] {
        assert!(sent[0].headers.get(name).unwrap().is_sensitive(), "{name}");
    }
    assert_eq!(sent[0].header("host"), Some("localhost:7480"));
}
