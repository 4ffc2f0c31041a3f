//! Waiting until something is so.

use std::{future::ready, time::Duration};

use crate::virtual_time::{client, environment, pauses, script};
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;
use waldur_sdk::{
    Error, ErrorKind, HttpContext, Result,
    rest::{LinkPaging, Observation, Pager, PollPolicy, PollStep, RetryPolicy, poll_until},
    testing::{Answer, ScriptedTransport},
};

const SECOND: Duration = Duration::from_secs(1);

type Steps = Vec<Result<PollStep<u8>>>;

fn waiting(state: &str) -> Result<PollStep<u8>> {
    Ok(PollStep::Waiting(state.to_owned()))
}

fn fails(kind: ErrorKind) -> Result<PollStep<u8>> {
    Err(Error::new(kind, "a look failed"))
}

/// The outcome of a poll over fixed steps, the last of which repeats.
async fn run(policy: &PollPolicy, steps: Steps) -> (Result<u8>, Vec<u64>) {
    let begin = Instant::now();
    let mut looked_at = Vec::new();
    let mut steps = steps.into_iter().rev().collect::<Vec<_>>();
    let outcome = poll_until(
        &environment(),
        policy,
        || {
            looked_at.push(begin.elapsed().as_secs());
            ready(if steps.len() > 1 { steps.pop().unwrap() } else { steps[0].clone() })
        },
        |_| (),
    )
    .await;
    (outcome, looked_at)
}

#[tokio::test(start_paused = true)]
async fn it_looks_at_growing_intervals_without_jitter() {
    let steps = (0..7).map(|_| waiting("BUILD")).chain([Ok(PollStep::Done(9))]).collect();
    let (outcome, looks) = run(&PollPolicy::default(), steps).await;
    assert_eq!((outcome.unwrap(), looks), (9, vec![0, 1, 3, 7, 15, 30, 45, 60]));
}

#[tokio::test(start_paused = true)]
async fn the_last_look_is_at_the_end_of_the_budget() {
    let policy = PollPolicy::within(20 * SECOND).with_pauses(4 * SECOND, 8 * SECOND);
    let (outcome, looks) = run(&policy, vec![waiting("BUILD"), waiting("still BUILD")]).await;
    let error = outcome.unwrap_err();
    assert_eq!(looks, [0, 4, 12, 20]);
    assert_eq!((error.kind(), error.message()), (ErrorKind::NotReady, "not done after 20 s: still BUILD"));
    let (outcome, looks) = run(&PollPolicy::within(Duration::ZERO), vec![waiting("x")]).await;
    assert_eq!((outcome.unwrap_err().kind(), looks.len()), (ErrorKind::NotReady, 1), "no budget: one look");
}

#[tokio::test(start_paused = true)]
async fn three_failures_in_a_row_are_tolerated() {
    use ErrorKind::{Connect, NotReady, PermissionDenied, RateLimited, Server, Timeout};
    let done = || Ok(PollStep::Done(9));
    let blips: Steps = vec![fails(Server), fails(Timeout), fails(Connect), waiting("x"), fails(RateLimited), done()];
    assert_eq!(run(&PollPolicy::default(), blips).await.0.unwrap(), 9);
    let outage: Steps = vec![fails(Server), fails(Server), fails(Server), fails(Timeout), done()];
    let (outcome, looks) = run(&PollPolicy::default(), outage).await;
    assert_eq!((outcome.unwrap_err().kind(), looks.len()), (Timeout, 4));
    let (outcome, looks) = run(&PollPolicy::default(), vec![waiting("x"), fails(PermissionDenied), done()]).await;
    assert_eq!((outcome.unwrap_err().kind(), looks.len()), (PermissionDenied, 2), "what stays wrong ends it at once");
    let busy: Steps = (0..9).map(|_| fails(NotReady)).chain([done()]).collect();
    assert_eq!(run(&PollPolicy::default(), busy).await.0.unwrap(), 9, "not ready is an answer");
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_is_the_source_when_the_budget_ends() {
    let policy = PollPolicy::within(10 * SECOND).with_tolerated_errors(u32::MAX);
    let error = run(&policy, vec![waiting("BUILD"), fails(ErrorKind::Server)]).await.0.unwrap_err();
    assert_eq!(error.chain(), ["not done after 10 s: BUILD", "a look failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_respected() {
    let mut http = HttpContext::new(http::Method::GET, "https://h/");
    http.retry_after = Some(40 * SECOND);
    let limited = Err(Error::new(ErrorKind::RateLimited, "slow down").with_http(http));
    let (outcome, looks) = run(&PollPolicy::default(), vec![waiting("x"), limited, Ok(PollStep::Done(9))]).await;
    assert_eq!((outcome.unwrap(), looks), (9, vec![0, 1, 41]));
}

#[derive(Deserialize)]
struct Server {
    status: String,
}

#[tokio::test(start_paused = true)]
async fn absence_is_an_answer_and_progress_is_told() {
    let answers = [
        Answer::json(&json!({"status": "DELETING"})),
        Answer::status(503),
        Answer::json(&json!({"status": "DELETING"})),
        Answer::status(404).with_json(&json!({"itemNotFound": {}})),
    ];
    let script = answers.into_iter().fold(script(), ScriptedTransport::then);
    let http = crate::virtual_time::http(&script).with_retry(RetryPolicy::none());
    let client = waldur_sdk::rest::RestClient::new(
        http,
        crate::virtual_time::base(crate::virtual_time::ORIGIN),
        waldur_sdk::rest::Anonymous,
    );
    let mut progress = Vec::new();
    let look = || async {
        let call = client.get("servers.get", "/servers/{server}", &["s"]);
        Ok(match Observation::of(call.send_json::<Server>().await)? {
            Observation::Gone => PollStep::Done(()),
            Observation::Present(server) => PollStep::Waiting(server.status),
        })
    };
    poll_until(&environment(), &PollPolicy::default(), look, |waiting| {
        let error = waiting.error.map(Error::kind);
        progress.push((
            waiting.looks,
            waiting.elapsed.as_secs(),
            waiting.state.to_owned(),
            error,
            waiting.pause.as_secs(),
        ));
    })
    .await
    .unwrap();
    let deleting = || "DELETING".to_owned();
    let told =
        [(1, 0, deleting(), None, 1), (2, 1, deleting(), Some(ErrorKind::Unavailable), 2), (3, 3, deleting(), None, 4)];
    assert_eq!(progress, told);
    assert_eq!(pauses(&script), [SECOND, 2 * SECOND, 4 * SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_page_in_place_of_an_answer_proves_no_absence() {
    let script = script().otherwise(Answer::status(404).with_body("<html>gateway</html>"));
    let call = client(&script).get("servers.get", "/servers/{server}", &["s"]);
    let error = Observation::of(call.send_json::<Server>().await).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn every_future_can_be_spawned() {
    let script = script().otherwise(Answer::json(&[1]));
    let client = client(&script);
    let call = client.get("test", "/x/", &[]).send_rows::<u8>("id");
    let pages = Pager::new(u8::to_string, {
        let client = client.clone();
        let paging = LinkPaging { parameter: "page", total: "x-result-count", id: "id" };
        move |_| {
            let call = client.get("test", "/x/", &[]);
            async move { call.send_page(&paging).await }
        }
    });
    let look = move || {
        let call = client.get("test", "/x/", &[]);
        async move { call.send_unit().await.map(PollStep::Done) }
    };
    let poll = async move { poll_until(&environment(), &PollPolicy::default(), look, |_| ()).await };
    assert_eq!(tokio::spawn(call).await.unwrap().unwrap().0.items, [1]);
    assert_eq!(tokio::spawn(pages.collect()).await.unwrap().unwrap().items(), [1]);
    tokio::spawn(poll).await.unwrap().unwrap();
}
