//! Orders, with the binary as an operator runs it: real sockets, real signals, exit codes, and no secret in what it
//! prints.

use std::{fs, path::PathBuf, process::Stdio};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_backend_croit::testing::FakeRadosGw;
use waldur_examples::serve::serve;
use waldur_sdk::{
    rest::{HttpTransport, TransportError, TransportErrorKind},
    testing::waldur::{FakeWaldur, OidcIssuer, OrderState},
};

use crate::stage::{LOOPBACK, Stage, agent, ended, once, run, send, text, waits_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_becomes_a_user_over_sockets_and_no_secret_is_printed() {
    let stage = Stage::new().await;
    let config = stage.config("order", |_| {});
    let mut command = agent(&["order-process", "--once", "--log-format", "json", "-c", config.to_str().unwrap()]);
    command.env("RUST_LOG", "trace");
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(stage.state(), OrderState::Done);
    let resource = stage.waldur.resource_view(stage.waldur.resource_of(stage.order));
    let (quota, _) = stage.gateway.quota(&resource.backend_id).unwrap();
    assert_eq!((quota.enabled, quota.max_size, quota.max_objects), (true, 100 << 30, 10_000));
    assert!(stage.waldur.unauthenticated_requests().is_empty());
    assert_eq!(stage.waldur.registered_processors().len(), 1);

    stage.assert_silent(&output);
    assert!(output.stdout.is_empty(), "log lines go to stderr");
    let lines: Vec<Value> =
        String::from_utf8(output.stderr).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = lines.iter().find(|line| line["message"] == "done").expect("a line about the order");
    assert_eq!((&done["order"], &done["level"]), (&json!(stage.order.hex()), &json!("INFO")));
    assert_eq!(done["backend_id"], json!(resource.backend_id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_what_it_would_do_and_writes_nothing() {
    let stage = Stage::new().await;
    let config = stage.config("dry", |_| {});
    let output = run(agent(&["order-process", "--once", "--dry-run", "-c", config.to_str().unwrap()])).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("dry run"), "{}", text(&output));
    assert_eq!(stage.state(), OrderState::PendingProvider);
    assert!(stage.waldur.writes().is_empty());
    assert!(stage.gateway.users().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidc_is_used_where_there_is_no_token() {
    let stage = Stage::new().await;
    let secret = stage.canaries.mint("client secret");
    let url = format!("{}oidc/token", stage.waldur_server.url());
    let issuer = OidcIssuer::new(url.parse().unwrap(), "agent", secret.clone());
    let _same = stage.waldur.clone().with_oidc(issuer);
    let config = stage.config("oidc", |config| {
        let offering = &mut config["offerings"][0];
        offering["waldur_api_token"] = json!("");
        offering["oidc_token_url"] = json!(url);
        offering["oidc_client_id"] = json!("agent");
        offering["oidc_client_secret"] = json!(secret.expose_secret());
    });
    let output = once(&config).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(stage.state(), OrderState::Done);
    assert_eq!(stage.waldur.oidc_tokens_issued(), 1);
    stage.assert_silent(&output);
}

/// Whatever is asked of it, it asks the system of that name: what a proxy does.
struct Router {
    waldur: FakeWaldur,
    gateway: FakeRadosGw,
}

#[async_trait]
impl HttpTransport for Router {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        match request.uri().host() {
            Some("waldur.example.org") => self.waldur.send(request).await,
            Some("s3.example.org") => self.gateway.send(request).await,
            _ => Err(TransportError::new(TransportErrorKind::Connect)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_through_the_global_proxy() {
    let stage = Stage::new().await;
    let waldur = stage.waldur.clone().with_base_url(&"http://waldur.example.org/".parse().unwrap());
    let proxy = serve(Router { waldur, gateway: stage.gateway.clone() }, LOOPBACK).await.unwrap();
    let password = stage.canaries.mint("proxy password");
    let config = stage.config("proxy", |config| {
        // These names exist nowhere but in the proxy.
        let offering = &mut config["offerings"][0];
        offering["waldur_api_url"] = json!("http://waldur.example.org/api/");
        offering["backend_settings"]["s3_endpoint"] = json!("http://s3.example.org/");
        let user = format!("agent:{}@", password.expose_secret());
        config["global_proxy"] = json!(format!("http://{user}{}/", proxy.address()));
    });
    let mut command = agent(&["order-process", "--once", "-c", config.to_str().unwrap()]);
    command.env("RUST_LOG", "trace");
    let output = run(command).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(stage.state(), OrderState::Done);
    stage.assert_silent(&output);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verification_that_is_off_is_said_loudly_whatever_the_log_level() {
    let stage = Stage::new().await;
    let config = stage.config("unverified", |config| {
        config["log_level"] = json!("critical");
        config["offerings"][0]["verify_ssl"] = json!(false);
        config["offerings"][0]["backend_settings"]["verify_ssl"] = json!(false);
    });
    let output = once(&config).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let printed = text(&output);
    for path in ["offerings[0].verify_ssl", "offerings[0].backend_settings.verify_ssl"] {
        let loud = printed.lines().find(|line| line.contains(path)).expect(path);
        assert!(loud.contains("ERROR") && loud.contains("TLS VERIFICATION IS OFF"), "{loud}");
    }
    assert_eq!(printed.lines().count(), 2, "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_tells_a_failed_order_a_refusal_and_an_outage_apart() {
    let stage = Stage::new().await;
    let wrong_token = stage.config("refused", |config| {
        config["offerings"][0]["waldur_api_token"] = json!(stage.canaries.mint("wrong token").expose_secret());
    });
    let output = once(&wrong_token).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    stage.assert_silent(&output);
    assert_eq!(stage.state(), OrderState::PendingProvider);

    let attributes = json!({ "storage_limit": -1 });
    stage.waldur.order(stage.offering).create_resource("negative").attributes(attributes).pending();
    let output = once(&stage.config("erred", |_| {})).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(stage.waldur.erred_orders().len(), 1);
    assert_eq!(stage.state(), OrderState::Done, "the failed order stopped no other");

    let nobody = std::net::TcpListener::bind(LOOPBACK).unwrap().local_addr().unwrap();
    let outage = stage.config("outage", |config| {
        config["offerings"][0]["waldur_api_url"] = json!(format!("http://{nobody}/api/"));
    });
    let output = once(&outage).await;
    assert_eq!(output.status.code(), Some(75), "{}", text(&output));
}

#[test]
fn wrong_arguments_and_wrong_settings_have_their_own_codes() {
    let code = |arguments: &[&str]| agent(arguments).output().unwrap();
    assert_eq!(code(&["order-process", "--twice"]).status.code(), Some(2));
    assert_eq!(code(&["-m", "event_process"]).status.code(), Some(2));

    let missing = code(&["order-process", "--once", "-c", "/nowhere/at/all.yaml"]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(text(&missing).contains("/nowhere/at/all.yaml: cannot be read"), "{}", text(&missing));

    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("wrong.yaml");
    fs::write(&path, "timezone: Nowhere\nofferings: [{name: One, waldur_api_token: hidden-value}]\n").unwrap();
    let wrong = code(&["order-process", "--once", "-c", path.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(78));
    let printed = text(&wrong);
    assert!(printed.starts_with("waldur-agent: configuration: "), "{printed}");
    for path in ["timezone:", "offerings[0].waldur_api_url:", "offerings[0].backend_type:"] {
        assert!(printed.contains(path), "{path} is not in {printed}");
    }
    assert!(!printed.contains("hidden"), "{printed}");

    fs::write(&path, "offerings: []\n").unwrap();
    let mut command = agent(&["order-process", "-c", path.to_str().unwrap()]);
    let period = command.env("WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES", "often").output().unwrap();
    assert_eq!(period.status.code(), Some(78));
    assert!(text(&period).contains("PERIOD_MINUTES: must be a number greater than 0"), "{}", text(&period));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_repeat_until_a_signal_and_then_it_ends_with_0() {
    let stage = Stage::new().await;
    let config = stage.config("loop", |_| {});
    for signal in ["-TERM", "-INT", "-TSTP"] {
        stage.waldur.forget_requests();
        let child = agent(&["order-process", "-c", config.to_str().unwrap()])
            .env("WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES", "0.002")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listings = || {
            let requests = stage.waldur.requests();
            requests.iter().filter(|request| request.path == "/api/marketplace-orders/").count()
        };
        waits_for("three passes", &|| listings() >= 3).await;
        send(&child, signal);
        assert_eq!(ended(child).await, Some(0), "{signal}");
        let registrations = stage.waldur.requests();
        let registrations = registrations.iter().filter(|request| request.path.ends_with("/register_service/")).count();
        assert_eq!(registrations, 1, "once in the life of a process");
    }
    assert_eq!(stage.state(), OrderState::Done);
}
