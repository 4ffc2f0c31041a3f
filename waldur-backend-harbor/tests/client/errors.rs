//! What a refusal means, and what is repeated.

use serde_json::json;
use waldur_backend_harbor::client::{Allowlist, GroupName, GroupType, NewProject, Role, StorageLimit, error};
use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind,
    rest::TransportErrorKind,
    testing::{Answer, ScriptedTransport},
};

use crate::common::{SECRET, client, impatient, project, refused};

async fn told(answer: Answer) -> Error {
    let script = ScriptedTransport::new().then(answer);
    impatient(script).projects().set_allowlist(&project("p"), &Allowlist::default()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn each_refusal_has_a_meaning_of_its_own() {
    use ErrorClass as C;
    use ErrorKind as K;
    let cases = [
        (401, "UNAUTHORIZED", "unauthorized", K::Unauthenticated, C::NotReady),
        (403, "FORBIDDEN", "forbidden", K::PermissionDenied, C::Broken),
        (403, "DENIED", "The system is in read only mode. Any modification is prohibited.", K::NotReady, C::NotReady),
        (403, "FORBIDDEN", "CSRF token not found in request", K::WrongContent, C::NotReady),
        (403, "FORBIDDEN", "CSRF token invalid", K::WrongContent, C::NotReady),
        (404, "NOT_FOUND", "project p not found", K::NotFound, C::Broken),
        (404, "NOT_FOUND", "path /api/v2.0/nope was not found", K::Config, C::Broken),
        (409, "CONFLICT", "The project named p already exists", K::AlreadyExists, C::Duplicate),
        (412, "PRECONDITION", "can not be deleted", K::Conflict, C::Broken),
        (400, "BAD_REQUEST", "bad name", K::InvalidRequest, C::Broken),
        (422, "UNPROCESSABLE_ENTITY", "validation failure list", K::InvalidRequest, C::Broken),
        (429, "TOO_MANY_REQUEST", "slow down", K::RateLimited, C::Transient),
        (500, "UNKNOWN", "internal server error", K::Server, C::Transient),
        (405, "METHOD_NOT_ALLOWED", "method PATCH is not allowed", K::Unsupported, C::Unsupported),
    ];
    for (status, code, message, kind, class) in cases {
        let error = told(refused(status, code, message)).await;
        assert_eq!((error.kind(), error.class()), (kind, class), "{status} {message}: {error}");
        let expected = if message.starts_with("CSRF") { error::CSRF } else { code };
        assert_eq!(error.code(), Some(expected), "{error}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        let unknown = matches!(kind, K::Server);
        assert_eq!(error.effect() == Effect::Unknown, unknown, "{error}");
    }
    let cookie = told(refused(403, "FORBIDDEN", "CSRF token not found in request")).await;
    assert!(cookie.message().contains("cookie"), "{cookie}");
    let right = told(refused(403, "FORBIDDEN", "forbidden")).await;
    assert!(right.message().contains("project:update"), "{right}");
}

#[tokio::test(start_paused = true)]
async fn h40_pages_of_a_proxy_are_no_answers_of_harbor() {
    let page = "<html><head><title>503</title></head></html>";
    for (status, kind) in [(502, ErrorKind::Server), (503, ErrorKind::Unavailable), (504, ErrorKind::Server)] {
        let error = told(Answer::status(status).with_body(page)).await;
        assert_eq!((error.kind(), error.class()), (kind, ErrorClass::Transient));
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
    for status in [401, 403, 404, 409, 412] {
        for body in [page, "", "no such page", "[]", r#"{"detail":"nope"}"#] {
            let error = told(Answer::status(status).with_body(body)).await;
            assert_eq!(error.kind(), ErrorKind::WrongContent, "{status} {body}: {error}");
            assert_eq!(error.class(), ErrorClass::NotReady);
        }
    }
    let error = told(Answer::status(200).with_body(page)).await;
    assert_eq!(error.kind(), ErrorKind::WrongContent);
    let script = ScriptedTransport::new().otherwise(Answer::status(200).with_body(page));
    assert!(client(script.clone()).quotas().list().collect().await.is_err());
    assert!(client(script).projects().get(&project("p")).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_absence_is_told_by_harbor_and_by_nobody_else() {
    let json = "application/json; charset=utf-8";
    let exists = async |answer: Answer| {
        let script = ScriptedTransport::new().then(answer);
        impatient(script).projects().exists(&project("p")).await
    };
    assert!(exists(Answer::status(200)).await.unwrap());
    assert!(!exists(Answer::status(404).with_header("content-type", json)).await.unwrap());
    let cases = [
        (Answer::status(404), ErrorKind::WrongContent),
        (Answer::status(404).with_header("content-type", "text/html"), ErrorKind::WrongContent),
        (Answer::status(200).with_header("content-type", "text/html"), ErrorKind::WrongContent),
        (Answer::status(401).with_header("content-type", json), ErrorKind::Unauthenticated),
        (Answer::status(503), ErrorKind::Unavailable),
    ];
    for (answer, kind) in cases {
        assert_eq!(exists(answer).await.unwrap_err().kind(), kind);
    }
    // Forbidden, and so is the list that would tell.
    let script = ScriptedTransport::new().otherwise(refused(403, "FORBIDDEN", "forbidden"));
    let error = impatient(script.clone()).projects().exists(&project("p")).await.unwrap_err();
    assert_eq!((error.kind(), script.sent()), (ErrorKind::PermissionDenied, 2));
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_carried_out_is_repeated_only_where_it_does_no_harm() {
    let broken = || ScriptedTransport::new().otherwise(Answer::fail(TransportErrorKind::Timeout));
    let group = GroupName::new("g").unwrap();
    // What would be made twice is sent once.
    let script = broken();
    let error = client(script.clone()).projects().create(&NewProject::new(project("p"))).await.unwrap_err();
    assert_eq!((script.sent(), error.effect(), error.class()), (1, Effect::Unknown, ErrorClass::Transient));
    let script = broken();
    assert!(client(script.clone()).groups().create(&group, GroupType::OIDC).await.is_err());
    assert_eq!(script.sent(), 1);
    let script = broken();
    let id = waldur_backend_harbor::client::GroupId::new(3);
    assert!(client(script.clone()).members().add_group(&project("p"), id, Role::GUEST).await.is_err());
    assert_eq!(script.sent(), 1);
    // What sets or takes away is repeated.
    let script = broken();
    assert!(client(script.clone()).projects().delete(&project("p")).await.is_err());
    assert!(script.sent() > 1);
    // Another writer of the quota was faster: the second attempt gets through.
    let row = json!([{ "id": 9, "ref": { "id": 7, "name": "p" }, "hard": { "storage": 1 }, "used": { "storage": 0 } }]);
    let script = ScriptedTransport::new()
        .then(Answer::json(&row))
        .then(refused(500, "UNKNOWN", "internal server error"))
        .then(Answer::status(200));
    let harbor = client(script.clone());
    let id = waldur_backend_harbor::client::ProjectId::new(7);
    let quota = harbor.quotas().of_project(id, &project("p")).await.unwrap().unwrap();
    harbor.quotas().set(&quota, StorageLimit::UNLIMITED).await.unwrap();
    assert_eq!(script.unused(), 0);
    // Read-only mode, a refusal and a conflict are not tried again.
    for answer in
        [refused(403, "DENIED", "read only"), refused(403, "FORBIDDEN", "x"), refused(412, "PRECONDITION", "x")]
    {
        let script = ScriptedTransport::new().otherwise(answer);
        assert!(client(script.clone()).projects().delete(&project("p")).await.is_err());
        assert_eq!(script.sent(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_quota_of_another_project_cannot_be_taken_for_the_projects() {
    let row = |id: i64, name: &str| json!({ "id": id + 90, "ref": { "id": id, "name": name }, "hard": { "storage": 1 }, "used": { "storage": 0 } });
    let ask = async |rows: serde_json::Value| {
        let script = ScriptedTransport::new().then(Answer::json(&rows));
        let id = waldur_backend_harbor::client::ProjectId::new(7);
        client(script).quotas().of_project(id, &project("p")).await
    };
    assert_eq!(ask(json!([row(7, "p")])).await.unwrap().unwrap().get().id.get(), 97);
    assert!(ask(json!([])).await.unwrap().is_none());
    for wrong in [
        json!([row(8, "p")]),
        json!([row(7, "other")]),
        json!([row(7, "p"), row(8, "q")]),
        json!([{ "id": 97, "hard": { "storage": 1 } }]),
    ] {
        assert_eq!(ask(wrong.clone()).await.unwrap_err().kind(), ErrorKind::Inconsistent, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_in_an_error_or_in_debug() {
    let echo = refused(401, "UNAUTHORIZED", &format!("no such secret: {SECRET}"));
    let error = told(echo).await;
    let harbor = client(ScriptedTransport::new());
    for text in [error.to_string(), format!("{error:?}"), error.chain().join(" "), format!("{harbor:?}")] {
        assert!(!text.contains("canary"), "{text}");
    }
    let row = json!({ "entity_id": 1, "entity_name": "ann@example.org", "entity_type": "u", "id": 9, "role_id": 2 });
    let script = ScriptedTransport::new().then(Answer::json(&json!([row])).with_header("x-total-count", "1"));
    let members = client(script).members().list(&project("p")).collect().await.unwrap();
    assert!(!format!("{members:?}").contains("ann@"));
}
