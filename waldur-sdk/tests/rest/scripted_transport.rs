//! The scripted transport tells its user what went wrong instead of panicking.

use std::time::Duration;

use crate::virtual_time::{client, script};
use waldur_sdk::{
    ErrorKind,
    rest::TransportErrorKind,
    testing::{Answer, ScriptedTransport},
};

const SECOND: Duration = Duration::from_secs(1);

async fn ask(script: &ScriptedTransport) -> waldur_sdk::Result<u8> {
    client(script).get("test", "/x/", &[]).query("n", 1).send_json().await
}

#[tokio::test(start_paused = true)]
async fn answers_come_in_order_and_requests_are_kept() {
    let script = script().then(Answer::json(&1)).then(Answer::json(&2));
    assert_eq!((ask(&script).await.unwrap(), script.unused()), (1, 1));
    let clone = script.clone().otherwise(Answer::by(|request| Answer::json(&request.uri().path().len())));
    let answers = [ask(&clone).await.unwrap(), ask(&script).await.unwrap(), ask(&clone).await.unwrap()];
    assert_eq!((answers, script.sent(), script.unused()), ([2, 3, 3], 4, 0));
    let first = &script.requests()[0];
    assert_eq!((first.method.as_str(), first.path(), first.query(), first.text().as_str()), ("GET", "/x/", "n=1", ""));
    assert_eq!((first.header("accept"), first.header("nope")), (Some("application/json"), None));
    assert_eq!(first.meta.unwrap().operation, "test");
}

#[tokio::test(start_paused = true)]
async fn what_the_script_cannot_answer_is_an_error_that_says_so() {
    let wrong = [
        (script(), "the script has no answer to request 1: GET /x/"),
        (script().then(Answer::status(42)), "the script has a status that does not exist: 42"),
        (script().then(Answer::json(&1).with_header("a b", "c")), "the script has a header that cannot be sent: a b"),
        (script().then(Answer::json(&1).with_header("a", "\n")), "the script has a header that cannot be sent: a"),
    ];
    for (script, text) in wrong {
        let error = ask(&script).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Config, 1), "not repeated");
        assert_eq!(error.chain().last().unwrap(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn it_keeps_the_contract_of_a_transport() {
    let script = script().then(Answer::status(200).with_body("12345")).then(Answer::status(200).with_body("12345"));
    let call = |limit| client(&script).get("test", "/x/", &[]).max_body(limit);
    assert_eq!(call(4).send_json::<u32>().await.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(call(5).send_json::<u32>().await.unwrap(), 12345);
}

#[tokio::test(start_paused = true)]
async fn delays_and_hangs_pass_in_virtual_time() {
    let begin = tokio::time::Instant::now();
    let script = script()
        .then(Answer::hang())
        .then(Answer::fail(TransportErrorKind::Connect).after(2 * SECOND))
        .then(Answer::by(|_| Answer::json(&7).after(SECOND)).after(3 * SECOND));
    assert_eq!(ask(&script).await.unwrap(), 7);
    assert_eq!(begin.elapsed(), (60 + 2 + 3 + 1) * SECOND);
}
