//! The fake as a transport: hosts, credentials, its log, what it does not serve.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use futures_util::FutureExt;
use http::{Method, Request, StatusCode, header};
use jiff::Timestamp;
use serde_json::json;
use waldur_sdk::{
    rest::{
        BaseUrl, Environment, Http, HttpTransport, PlainHttp, RequestMeta, RestClient, StaticHeader, TransportErrorKind,
    },
    testing::waldur::{FakeWaldur, Generation, OidcIssuer},
};

use super::{BOTH, ask, get, post, send, storage};

fn client(waldur: &FakeWaldur) -> RestClient {
    let environment = Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0);
    let base = BaseUrl::parse("api_url", &waldur.base_url(), PlainHttp::default()).unwrap();
    let token = StaticHeader::waldur_token(&waldur.token()).unwrap();
    RestClient::new(Http::new(waldur.clone()).with_environment(environment), base, token)
}

#[tokio::test(start_paused = true)]
async fn every_request_is_in_the_log() {
    let waldur = FakeWaldur::new(Generation::V8);
    let resource = waldur.resource(storage(&waldur)).create();
    let client = client(&waldur).with_user_agent("waldur-site-agent-order_process/1").unwrap();
    client
        .get("orders.list", "/api/marketplace-orders/", &[])
        .query("state", "executing")
        .query("state", "pending-provider")
        .send()
        .await
        .unwrap();
    let path = "/api/marketplace-provider-resources/{resource}/set_backend_id/";
    client
        .post("resources.set_backend_id", path, &[&resource.hex()])
        .json(&json!({"backend_id": "a"}))
        .send()
        .await
        .unwrap();

    let log = waldur.requests();
    assert_eq!(log.len(), 2);
    assert_eq!((log[0].operation, log[0].attempt), (Some("orders.list"), Some(1)));
    assert_eq!(log[0].parameters("state"), ["executing", "pending-provider"]);
    assert_eq!(log[0].user_agent, "waldur-site-agent-order_process/1");
    assert_eq!((log[0].user, log[0].status), (Some(waldur.agent()), StatusCode::OK));
    let writes = waldur.writes();
    assert_eq!(writes.len(), 1);
    assert_eq!((writes[0].method.as_str(), &writes[0].body), ("POST", &json!({"backend_id": "a"})));
    assert_eq!(writes[0].path, format!("/api/marketplace-provider-resources/{resource}/set_backend_id/"));
    waldur.forget_requests();
    assert_eq!(waldur.requests().len(), 0);
}

#[test]
fn the_log_keeps_no_credentials() {
    let waldur = FakeWaldur::new(Generation::V8);
    get(&waldur, "users/me/?field=uuid");
    let token = secrecy::ExposeSecret::expose_secret(&waldur.token()).to_owned();
    assert!(!format!("{:?}{waldur:?}", waldur.requests()).contains(&token));
}

#[test]
fn a_request_without_credentials_is_told() {
    let waldur = FakeWaldur::new(Generation::V8);
    let uri = format!("{}api/users/me/", waldur.base_url());
    let answer = send(&waldur, Request::get(&uri).body(bytes::Bytes::new()).unwrap());
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    get(&waldur, "users/me/");
    let told = waldur.unauthenticated_requests();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].path, "/api/users/me/");
}

#[test]
fn what_is_not_served_says_so() {
    let waldur = FakeWaldur::new(Generation::V8);
    let answer = get(&waldur, "events/");
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    assert_eq!(waldur.unserved(), ["GET /api/events/"]);
    // Served by generation 8 only: the older server has nothing there.
    assert_eq!(get(&waldur, "component-user-usage-limits/").status, StatusCode::OK);
    let older = FakeWaldur::new(Generation::V2024);
    assert_eq!(get(&older, "component-user-usage-limits/").status, StatusCode::NOT_FOUND);
    assert_eq!(older.unserved(), [""; 0]);
}

#[test]
fn only_its_own_host_and_loopback_are_answered() {
    let waldur = FakeWaldur::new(Generation::V8);
    let reach = |uri: &str| waldur.send(Request::get(uri).body(bytes::Bytes::new()).unwrap()).now_or_never().unwrap();
    for uri in ["https://waldur.example.org/api/version/", "http://127.0.0.1:8000/api/version/", "/api/version/"] {
        assert_eq!(reach(uri).unwrap().status(), StatusCode::UNAUTHORIZED, "{uri}");
    }
    for uri in ["https://waldur.example.com/api/version/", "https://waldur.example.org:8443/api/version/"] {
        assert_eq!(reach(uri).unwrap_err().kind(), TransportErrorKind::Connect, "{uri}");
    }
    assert_eq!(waldur.requests().len(), 3);
}

#[test]
fn a_path_before_the_api_is_kept() {
    let base = "https://portal.example.org/waldur/".parse().unwrap();
    let waldur = FakeWaldur::new(Generation::V2024).with_base_url(&base);
    assert_eq!(waldur.base_url(), "https://portal.example.org/waldur/");
    storage(&waldur);
    let answer = get(&waldur, "marketplace-provider-offerings/");
    assert!(
        answer.header("link").starts_with("<https://portal.example.org/waldur/api/marketplace-provider-offerings/>")
    );
    let link = answer.json()[0]["url"].as_str().unwrap().to_owned();
    assert!(link.starts_with("https://portal.example.org/waldur/api/marketplace-provider-offerings/"));
    let outside = Request::get("https://portal.example.org/api/users/me/").body(bytes::Bytes::new()).unwrap();
    assert_eq!(send(&waldur, outside).status, StatusCode::NOT_FOUND);
    let moved = get(&waldur, "users/me?field=uuid");
    assert_eq!(
        (moved.status, moved.header("location")),
        (StatusCode::MOVED_PERMANENTLY, "/waldur/api/users/me/?field=uuid")
    );
}

#[test]
fn a_server_behind_a_socket_links_to_the_host_asked() {
    let waldur = FakeWaldur::new(Generation::V8);
    let token = secrecy::ExposeSecret::expose_secret(&waldur.token()).to_owned();
    let request = Request::get("/api/users/me/").header(header::HOST, "127.0.0.1:9000");
    let request = request.header(header::AUTHORIZATION, format!("Token {token}"));
    let answer = send(&waldur, request.body(bytes::Bytes::new()).unwrap());
    assert!(answer.json()["url"].as_str().unwrap().starts_with("https://127.0.0.1:9000/api/users/"));
}

#[test]
fn an_answer_larger_than_the_limit_is_cut_off() {
    let waldur = FakeWaldur::new(Generation::V8);
    let mut meta = RequestMeta::new("version", "/api/version/");
    meta.max_body = 10;
    let mut request = Request::get("https://waldur.example.org/api/version/").body(bytes::Bytes::new()).unwrap();
    request.extensions_mut().insert(meta);
    let error = waldur.send(request).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::TooLarge);
}

#[test]
fn the_same_calls_give_the_same_answers() {
    for generation in BOTH {
        let [one, other] = [0, 0].map(|seed| {
            let waldur = FakeWaldur::seeded(generation, seed);
            waldur.order(storage(&waldur)).create_resource("my-s3").pending();
            get(&waldur, "marketplace-orders/").body
        });
        assert_eq!(one, other);
        let waldur = FakeWaldur::seeded(generation, 7);
        assert_ne!(waldur.agent(), FakeWaldur::seeded(generation, 8).agent());
    }
}

#[test]
fn an_inactive_user_is_locked_out() {
    let waldur = FakeWaldur::new(Generation::V8);
    let bob = waldur.user("bob").create();
    assert_eq!(ask(&waldur, bob, Method::GET, "users/me/", None).status, StatusCode::OK);
    waldur.change_user(bob, waldur_sdk::testing::waldur::UserSeed::inactive);
    assert_eq!(ask(&waldur, bob, Method::GET, "users/me/", None).status, StatusCode::UNAUTHORIZED);
}

/// A fake with a token endpoint, and its clock in seconds.
fn with_oidc(generation: Generation, issuer: impl FnOnce(OidcIssuer) -> OidcIssuer) -> (FakeWaldur, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(1_800_000_000));
    let wall = {
        let clock = clock.clone();
        move || Timestamp::from_second(clock.load(Ordering::Relaxed)).unwrap()
    };
    let url = "https://sso.example.org/realms/hpc/token".parse().unwrap();
    let issuer = issuer(OidcIssuer::new(url, "agent", "s3cr3t"));
    (FakeWaldur::new(generation).with_wall(wall).with_oidc(issuer), clock)
}

fn token(waldur: &FakeWaldur, form: &'static str) -> super::Said {
    let request = Request::post("https://sso.example.org/realms/hpc/token");
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    send(waldur, request.body(form.into()).unwrap())
}

const GRANT: &str = "grant_type=client_credentials&client_id=agent&client_secret=s3cr3t";

fn me(waldur: &FakeWaldur, token: &str) -> StatusCode {
    let request = Request::get(format!("{}api/users/me/", waldur.base_url()));
    let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    send(waldur, request.body(bytes::Bytes::new()).unwrap()).status
}

#[test]
fn tokens_of_the_issuer_are_accepted_until_they_end() {
    let (waldur, clock) = with_oidc(Generation::V8, |issuer| issuer.expires_in(60));
    let answer = token(&waldur, GRANT).json();
    assert_eq!((&answer["expires_in"], &answer["token_type"]), (&json!(60), &json!("Bearer")));
    let access = answer["access_token"].as_str().unwrap();
    assert_eq!(me(&waldur, access), StatusCode::OK);
    assert_eq!(waldur.requests()[0].user, Some(waldur.agent()));
    assert_eq!(me(&waldur, "another"), StatusCode::UNAUTHORIZED);
    clock.fetch_add(61, Ordering::Relaxed);
    assert_eq!(me(&waldur, access), StatusCode::UNAUTHORIZED);

    let access = token(&waldur, GRANT).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(me(&waldur, &access), StatusCode::OK);
    waldur.revoke_oidc_tokens();
    assert_eq!(me(&waldur, &access), StatusCode::UNAUTHORIZED);
    assert_eq!(waldur.oidc_tokens_issued(), 2);
}

#[test]
fn the_issuer_refuses_with_the_words_of_its_protocol() {
    let (waldur, _) = with_oidc(Generation::V8, OidcIssuer::without_expiry);
    assert!(token(&waldur, GRANT).json().get("expires_in").is_none());
    let wrong = token(&waldur, "grant_type=client_credentials&client_id=agent&client_secret=guess");
    assert_eq!((wrong.status, &wrong.json()["error"]), (StatusCode::UNAUTHORIZED, &json!("unauthorized_client")));
    let other = token(&waldur, "grant_type=password&username=a&password=b");
    assert_eq!((other.status, &other.json()["error"]), (StatusCode::BAD_REQUEST, &json!("unsupported_grant_type")));
    assert_eq!(waldur.oidc_tokens_issued(), 1);
    assert_eq!(waldur.requests().len(), 0);
}

#[test]
fn the_older_server_knows_no_bearer_tokens() {
    let (waldur, _) = with_oidc(Generation::V2024, |issuer| issuer);
    let access = token(&waldur, GRANT).json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(me(&waldur, &access), StatusCode::UNAUTHORIZED);
}

#[test]
fn head_is_get_without_a_body() {
    let waldur = FakeWaldur::new(Generation::V8);
    let answer = ask(&waldur, waldur.agent(), Method::HEAD, "marketplace-orders/", None);
    assert_eq!((answer.status, answer.header("x-result-count"), answer.body.len()), (StatusCode::OK, "0", 0));
    assert_eq!(waldur.writes().len(), 0);
    assert_eq!(post(&waldur, "users/me/", &json!({})).status, StatusCode::METHOD_NOT_ALLOWED);
}
