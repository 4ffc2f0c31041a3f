//! The server itself: sessions, modes, health, what it does not know.

use http::header::SET_COOKIE;
use serde_json::{Value, json};
use waldur_backend_harbor::testing::{Image, SeedProject};

use super::support::{Answer, Bench, Login};

#[tokio::test]
async fn whoever_sends_the_session_back_cannot_write() {
    let bench = Bench::with(|builder| builder.configure(|settings| settings.session_cookie = true));
    let first = bench.send(&bench.robot(), "GET /quotas", &Value::Null, &[]).await;
    let cookie = first.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let body = json!({ "project_name": "p" });
    let write = async |headers: &[(&str, &str)]| {
        let answer: Answer = bench.send(&bench.robot(), "POST /projects", &body, headers).await.into();
        answer.verdict()
    };
    let cookies = format!("lang=en; {cookie}");
    assert_eq!(write(&[("cookie", &cookies)]).await, "403 FORBIDDEN: CSRF token not found in request");
    let forged = [("cookie", cookies.as_str()), ("x-harbor-csrf-token", "guessed")];
    assert_eq!(write(&forged).await, "403 FORBIDDEN: CSRF token invalid");
    let read = bench.send(&bench.robot(), "GET /quotas", &Value::Null, &[("cookie", &cookies)]).await;
    assert_eq!((read.status().as_u16(), read.headers().contains_key(SET_COOKIE)), (200, false));
    assert!(read.headers().contains_key("x-harbor-csrf-token"));
    assert_eq!(write(&[("cookie", "lang=en")]).await, "201");
    assert_eq!(bench.harbor.requests_with_cookie(), 4);
}

#[tokio::test]
async fn read_only_mode_denies_what_writes() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p")).unwrap();
    bench.harbor.configure(|settings| settings.read_only = true);
    let denied = "403 DENIED: The system is in read only mode. Any modification is prohibited.";
    for call in ["DELETE /projects/p", "DELETE /usergroups/1"] {
        assert_eq!(bench.verdict(call).await, denied, "{call}");
    }
    assert_eq!(bench.harbor.push("p", "app", Image::new("v1")).unwrap_err().to_string(), denied);
    assert_eq!(bench.verdict("GET /projects/p").await, "200");
    assert_eq!(bench.call("GET /systeminfo").await.body["read_only"], true);
    // The way back.
    let back = bench.ask(&bench.admin(), "PUT /configurations", json!({ "read_only": false })).await;
    assert_eq!((back.status, bench.verdict("DELETE /projects/p").await.as_str()), (200, "200"));
}

#[tokio::test]
async fn an_ill_server_is_ill_with_200() {
    let bench = Bench::new();
    assert_eq!(bench.call("GET /health").await.body["status"], "healthy");
    assert!(bench.harbor.break_component("redis", "connection refused"));
    assert!(!bench.harbor.break_component("moon", "eclipse"));
    let health: Answer = bench.send(&Login::nobody(), "GET /health", &Value::Null, &[]).await.into();
    assert_eq!((health.status, &health.body["status"]), (200, &json!("unhealthy")));
    bench.harbor.heal();
    assert_eq!(bench.call("GET /health").await.body["status"], "healthy");
}

#[tokio::test]
async fn what_the_server_is_depends_on_who_asks() {
    let bench = Bench::with(|builder| builder.version("v2.11.1-abcdef"));
    let known = bench.call("GET /systeminfo").await.body;
    assert_eq!((&known["harbor_version"], &known["auth_mode"]), (&json!("v2.11.1-abcdef"), &json!("oidc_auth")));
    assert_eq!(known["registry_url"], "harbor.example.org");
    let anonymous = bench.ask(&Login::nobody(), "GET /systeminfo", Value::Null).await.body;
    assert_eq!((anonymous.get("harbor_version"), &anonymous["auth_mode"]), (None, &json!("oidc_auth")));
    let statistics = bench.call("GET /statistics").await.body;
    assert_eq!((&statistics["public_project_count"], &statistics["total_project_count"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn requests_keep_their_id_and_are_counted() {
    let bench = Bench::new();
    let answer = bench.send(&bench.robot(), "GET /quotas", &Value::Null, &[("x-request-id", "mine")]).await;
    assert_eq!(answer.headers()["x-request-id"], "mine");
    let other = bench.send(&bench.robot(), "GET /quotas", &Value::Null, &[]).await;
    assert_ne!(other.headers()["x-request-id"], "mine");
    bench.call("HEAD /projects?project_name=p").await;
    assert_eq!(bench.harbor.requests(), [("headProject", 1), ("listQuotas", 2)].into());
    assert_eq!(bench.harbor.request_count("listQuotas"), 2);
}

#[tokio::test]
async fn what_it_does_not_know_it_says() {
    let bench = Bench::new();
    for (call, status) in [
        ("GET /registries", 501),
        ("GET /projects/library/scanner", 501),
        ("GET /quotas?sort=hard.count", 501),
        ("GET /moon", 404),
        ("GET /projects/library/moon", 404),
        ("DELETE /quotas/1", 405),
    ] {
        assert_eq!(bench.call(call).await.status, status, "{call}");
    }
    assert_eq!(
        bench.harbor.unmodelled(),
        [
            "GET https://harbor.test/api/v2.0/registries",
            "GET https://harbor.test/api/v2.0/projects/library/scanner",
            "GET https://harbor.test/api/v2.0/quotas?sort=hard.count",
        ]
    );
}
