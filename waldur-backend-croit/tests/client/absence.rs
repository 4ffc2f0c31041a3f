//! Which 404 is croit's own word about a user (faults.md row 51; croit-api.md §4).

use crate::common::{TOKEN, environment};
use serde_json::json;
use waldur_backend_croit::croit::{AccessKeyId, CroitClient, Login, Quota, Uid, error};
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{BaseUrl, Http, PlainHttp},
    testing::{Answer, ScriptedTransport},
};

fn client(answer: &Answer) -> CroitClient {
    let url = BaseUrl::parse("api_url", "http://localhost:8080", PlainHttp::LoopbackOnly).unwrap();
    let http = Http::new(ScriptedTransport::new().otherwise(answer.clone())).with_environment(environment());
    CroitClient::new(http, &url, &Login::token(TOKEN)).unwrap()
}

/// What every call on one user makes of an answer.
async fn outcomes(answer: &Answer) -> Vec<Result<()>> {
    let (alice, key) = (Uid::new("alice").unwrap(), AccessKeyId::new("KEY1").unwrap());
    vec![
        client(answer).users().delete(&alice).await,
        client(answer).keys().list(&alice).await.map(drop),
        client(answer).keys().delete(&alice, &key).await.map(drop),
        client(answer).quotas().set_user(&alice, Quota::UNLIMITED).await,
        client(answer).buckets().of_user(&alice).unwrap().collect().await.map(drop),
    ]
}

#[tokio::test(start_paused = true)]
async fn f051_only_a_refusal_in_croits_own_form_says_that_a_user_is_gone() {
    let said = Answer::status(404).with_json(&json!({ "code": 404, "message": "User alice not found." }));
    for outcome in outcomes(&said).await {
        let error = outcome.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some(error::NO_SUCH_USER)));
    }
    let doubtful = [
        "",
        " ",
        "{}",
        "[]",
        r#""Not Found""#,
        r#"{"detail": "Not Found"}"#,
        r#"{"error": "not found"}"#,
        r#"{"message": "no Route matched with those values"}"#,
        r#"{"code": 404, "message": ""}"#,
        r#"{"code": 404, "message": null}"#,
        r#"{"code": "404", "message": "not found"}"#,
        r#"[{"code": 404, "message": "not found"}]"#,
        r#"{"code": 404, "message": "User al"#,
        r#"<?xml version="1.0"?><Error><Code>NoSuchUser</Code></Error>"#,
        "<!doctype html><html><body>Not Found</body></html>",
        "404 page not found",
        "default backend - 404",
    ];
    for body in doubtful {
        for outcome in outcomes(&Answer::status(404).with_body(body)).await {
            let told = outcome.as_ref().map_err(Error::kind);
            assert_eq!(told, Err(ErrorKind::WrongContent), "{body}: {outcome:?}");
        }
    }
}
