//! The command line: every way to call it, and what it prints.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_sdk::testing::waldur::OrderState;

use crate::stage::{Stage, agent, run, text};

async fn called(arguments: &[&str]) -> Output {
    run(agent(arguments)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_called_as_the_python_agent_is() {
    let stage = Stage::new().await;
    let config = stage.config("python", |_| {});
    let config = config.to_str().unwrap();
    let output = called(&["-m", "order_process", "-c", config, "--once", "--dry-run"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(stage.waldur.writes().is_empty());
    // Orders are the default, and the file has a default too.
    let output = called(&["--config-file", config, "--once"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(stage.state(), OrderState::Done);
    let missing = called(&["--once"]).await;
    assert_eq!(missing.status.code(), Some(78));
    assert!(text(&missing).contains("waldur-site-agent-config.yaml: cannot be read"), "{}", text(&missing));
    let both = called(&["-m", "report", "order-process"]).await;
    assert_eq!(both.status.code(), Some(2), "{}", text(&both));
}

#[cfg(unix)]
#[test]
fn a_link_with_the_name_of_a_python_program_is_that_program() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for (name, arguments, usage) in [
        ("waldur_site_agent", &["-m", "report", "--help"][..], "--mode"),
        ("waldur_site_healthz", &["--help"], "--liveness-only"),
        ("waldur_site_diagnostics", &["--help"], "--json"),
    ] {
        let link = directory.join(name);
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_waldur-agent"), &link).unwrap();
        let output = Command::new(&link).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(text(&output).contains(usage), "{name}: {}", text(&output));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c66_c70_check_config_shows_what_holds_and_no_secret() {
    let stage = Stage::new().await;
    let secrets = ["client secret", "proxy password", "dsn key"].map(|what| stage.canaries.mint(what));
    let [client, proxy, dsn] = secrets.each_ref().map(|secret| secret.expose_secret().to_owned());
    let config = stage.config("check", |config| {
        config["global_proxy"] = json!(format!("http://agent:{proxy}@proxy.example.com:3128"));
        config["sentry_dsn"] = json!(format!("https://{dsn}@sentry.example.com/1"));
        let offering = &mut config["offerings"][0];
        offering["oidc_client_secret"] = json!(client);
        offering["oidc_client_id"] = json!("agent");
        offering["oidc_token_url"] = json!("https://idp.example.com/token");
        offering["stomp_membership_sync_enabled"] = json!(true);
        offering["verify_sl"] = json!(true);
    });
    for format in [&[][..], &["--json"]] {
        let before = stage.waldur.requests().len();
        let output = called(&[&["check-config", "-c", config.to_str().unwrap()], format].concat()).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        stage.assert_silent(&output);
        assert_eq!(stage.waldur.requests().len(), before, "nothing is sent");
        let printed = text(&output);
        for part in
            ["MISCONFIGURATION of offering Object storage", "did you mean verify_ssl?", "s3_storage", "fingerprint"]
        {
            assert!(printed.contains(part), "{part} is not in\n{printed}");
        }
    }
    let output = called(&["check-config", "--json", "-c", config.to_str().unwrap()]).await;
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
    let offering = &shown["settings"]["offerings"][0];
    assert_eq!(offering["reporting_backend"], "", "a key that is not written where another is");
    assert_eq!(offering["backend_settings"]["s3_endpoint"], json!(stage.gateway_server.url()));
    assert_eq!(offering["backend_components"]["s3_storage"]["unit_factor"], "1073741824");
    assert_eq!(shown["settings"]["pauses"]["report"], "1800 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_config_says_what_would_keep_the_agent_from_starting() {
    let stage = Stage::new().await;
    let config = stage.config("check-wrong", |config| {
        config["offerings"][0]["waldur_offering_uuid"] = json!("your-offering-uuid");
        config["offerings"][0]["backend_settings"]["admin_secret_key"] = Value::Null;
    });
    let output = called(&["check-config", "-c", config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(78), "{}", text(&output));
    for part in ["waldur_offering_uuid: is a placeholder", "backend_settings.admin_secret_key"] {
        assert!(text(&output).contains(part), "{}", text(&output));
    }
    let start = called(&["order-process", "--once", "-c", config.to_str().unwrap()]).await;
    assert_eq!(start.status.code(), Some(78));
    stage.assert_silent(&output);
}

/// Nobody reads what it says, and it says a lot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f166_a_log_that_nobody_reads_holds_no_order_up() {
    let stage = Stage::new().await;
    for number in 0..40 {
        let attributes = json!({ "storage_limit": 1 });
        stage.waldur.order(stage.offering).create_resource(format!("more-{number}")).attributes(attributes).pending();
    }
    let config = stage.config("unread", |_| {});
    let mut command = agent(&["order-process", "--once", "-c", config.to_str().unwrap()]);
    command.env("RUST_LOG", "trace").stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    // The pipe stays open and full.
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "it waits for its reader");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(stage.state(), OrderState::Done);
    assert!(status.code().is_some());
    assert!(stage.waldur.orders_in(OrderState::PendingProvider).is_empty());
}
