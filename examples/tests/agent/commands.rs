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

use crate::stage::{Stage, agent, ended, run, send, text, waits_for};

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
        offering["backend_components"]["s3_objects"]["limit"] = json!(500);
        offering["backend_settings"]["default_account"] = json!("service-account");
        offering["protected_users"] = json!(["somebody"]);
        offering["stomp_ws_path"] = json!("/a-path");
        config["elastic_apm_server_url"] = json!("https://apm.example.com/a-path");
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
    let storage = &offering["backend_components"]["s3_storage"];
    assert_eq!((&storage["unit_factor"], &storage["backend_name"]), (&json!("1073741824"), &json!("storage")));
    assert_eq!(offering["backend_components"]["s3_objects"]["limit"], "500");
    for hidden in ["service-account", "/a-path", "somebody"] {
        assert!(!shown.to_string().contains(hidden), "{hidden} is in {shown}");
    }
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
    let unreadable = stage.config("check-unreadable", |config| config["timezone"] = json!("Nowhere"));
    for (config, command, problem) in [
        (&config, "check-config", "is a placeholder"),
        (&unreadable, "check-config", "timezone: "),
        (&unreadable, "diagnose", "timezone: "),
    ] {
        let output = called(&[command, "--json", "-c", config.to_str().unwrap()]).await;
        assert_eq!(output.status.code(), Some(78), "{}", text(&output));
        let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
        let problems = shown["problems"].as_array().unwrap();
        assert!(problems.iter().any(|found| found.as_str().unwrap().contains(problem)), "{command}: {shown}");
    }
    stage.assert_silent(&output);
}

/// Nobody reads what it says, and it says a lot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f166_a_log_that_nobody_reads_holds_no_order_up() {
    let stage = Stage::new().await;
    let orders: Vec<_> = (1..=25).map(|number| stage.another(number)).collect();
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
        assert!(begin.elapsed() < Duration::from_mins(1), "it waits for its reader");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(status.code(), Some(0));
    assert!(orders.iter().all(|order| stage.waldur.order_view(*order).state == OrderState::Done));
}

/// Whoever read it has gone: what is written then fails, and nobody is there to be told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f166_a_log_whose_reader_is_gone_holds_no_order_up() {
    let stage = Stage::new().await;
    let orders: Vec<_> = (1..=5).map(|number| stage.another(number)).collect();
    let config = stage.config("broken-pipe", |_| {});
    let mut command = agent(&["order-process", "--once", "-c", config.to_str().unwrap()]);
    command.env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(ended(child).await, Some(0));
    assert!(orders.iter().all(|order| stage.waldur.order_view(*order).state == OrderState::Done));
}

/// At its most talkative, in every mode.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c70_traces_of_every_mode_hold_no_secret() {
    let stage = Stage::new().await;
    let config = stage.config("traces", |config| {
        config["offerings"][0]["reporting_backend"] = json!("ceph_s3");
        config["offerings"][0]["membership_sync_backend"] = json!("ceph_s3");
    });
    for mode in ["order-process", "report", "membership-sync"] {
        let mut command = agent(&[mode, "--once", "-c", config.to_str().unwrap()]);
        command.env("RUST_LOG", "trace");
        let output = run(command).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(0), "{mode}: {said}");
        assert!(said.contains("TRACE") && said.contains("http.request.method"), "{mode}: {said}");
        stage.assert_silent(&output);
    }
    assert_eq!((stage.state(), stage.gateway.users().len()), (OrderState::Done, 1));
}

/// What diagnose finds, every pass says as well: its orders go on without that component.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f164_a_pass_names_the_components_that_waldur_does_not_have() {
    let stage = Stage::new().await;
    let config = stage.config("unknown-component", |config| {
        config["offerings"][0]["backend_components"]["s3_traffic"] =
            json!({ "label": "Traffic", "measured_unit": "GB", "accounting_type": "usage", "backend_name": "traffic" });
    });
    let output = called(&["order-process", "--once", "-c", config.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let said = text(&output);
    let warning = said.lines().find(|line| line.contains("Waldur does not have these components"));
    assert!(warning.is_some_and(|line| line.contains("WARN") && line.contains("s3_traffic")), "{said}");
    assert!(!warning.unwrap_or_default().contains("s3_storage"), "only what is missing: {said}");
    assert_eq!(stage.state(), OrderState::Done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn components_are_made_or_brought_to_what_the_file_says() {
    let stage = Stage::new().await;
    let change = |config: &mut Value| {
        let components = &mut config["offerings"][0]["backend_components"];
        components["s3_traffic"] = json!({
            "label": "Traffic", "measured_unit": "GB", "accounting_type": "limit", "limit": 500, "limit_period": "month",
            "unit_factor": 1024, "backend_name": "traffic",
        });
        components["s3_objects"] = json!({ "label": "Objects", "measured_unit": "", "accounting_type": "usage" });
        components["odd"] = json!({ "label": "Odd", "measured_unit": "x", "accounting_type": "usage", "limit": 1.5 });
    };
    let config = stage.config("components-load", change);
    let config = config.to_str().unwrap();
    let dry = called(&["load-components", "--dry-run", "-c", config]).await;
    assert_eq!(dry.status.code(), Some(78), "{}", text(&dry));
    assert!(stage.waldur.writes().is_empty());
    assert!(text(&dry).contains("would make s3_traffic"), "{}", text(&dry));

    let output = called(&["load-components", "-c", config]).await;
    assert_eq!(output.status.code(), Some(78), "a limit that Waldur cannot store: {}", text(&output));
    assert!(text(&output).contains("FAILED     odd: limit: must be a whole number"), "{}", text(&output));
    let writes = stage.waldur.writes();
    let made = writes.iter().find(|request| request.path.ends_with("/create_offering_component/")).unwrap();
    assert_eq!(made.body["type"], "s3_traffic");
    assert_eq!((&made.body["billing_type"], &made.body["limit_amount"]), (&json!("limit"), &json!(500)));
    assert_eq!(made.body["limit_period"], "month");
    assert!(made.body.get("unit_factor").is_none(), "{}", made.body);

    // The period that the file does not name any more is sent again, so that it stays.
    let quiet = stage.config("components-again", |config| {
        change(config);
        let components = config["offerings"][0]["backend_components"].as_object_mut().unwrap();
        components.remove("odd");
        components["s3_traffic"].as_object_mut().unwrap().remove("limit_period");
        components["s3_traffic"]["label"] = json!("Traffic out");
    });
    stage.waldur.forget_requests();
    let output = called(&["load-components", "-c", quiet.to_str().unwrap()]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let writes = stage.waldur.writes();
    let [update] = writes.as_slice() else { panic!("one update: {}", text(&output)) };
    assert!(update.path.ends_with("/update_offering_component/"));
    assert_eq!((&update.body["name"], &update.body["limit_period"]), (&json!("Traffic out"), &json!("month")));
    stage.waldur.forget_requests();
    let idle = called(&["load-components", "-c", quiet.to_str().unwrap()]).await;
    assert_eq!(idle.status.code(), Some(0), "{}", text(&idle));
    assert!(stage.waldur.writes().is_empty(), "{}", text(&idle));
    stage.assert_silent(&idle);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec09_f133_a_renewed_credential_is_taken_at_sighup() {
    let stage = Stage::new().await;
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("renewed-token");
    fs::write(&file, stage.token.expose_secret()).unwrap();
    let config = stage.config("renewed", |config| {
        config["offerings"][0]["waldur_api_token"] = json!({ "from_file": "renewed-token" });
    });
    let child = agent(&["run", "--heartbeat", "/dev/null/nowhere", "-c", config.to_str().unwrap()])
        .env("WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES", "0.002")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    waits_for("an order", &|| stage.state() == OrderState::Done).await;
    let renewed = stage.canaries.mint("renewed token");
    stage.waldur.change_user(stage.waldur.agent(), |agent| agent.token(&renewed));
    waits_for("a refusal", &|| !stage.waldur.unauthenticated_requests().is_empty()).await;
    fs::write(&file, format!("{}\n", renewed.expose_secret())).unwrap();
    send(&child, "-HUP");
    let later = stage.another(1);
    waits_for("an order after the renewal", &|| stage.waldur.order_view(later).state == OrderState::Done).await;
    send(&child, "-TERM");
    assert_eq!(ended(child).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_without_members_is_no_failure_and_one_without_a_past_says_so() {
    let stage = Stage::new().await;
    let config = stage.config("all-modes", |config| {
        config["offerings"][0]["reporting_backend"] = json!("ceph_s3");
        config["offerings"][0]["membership_sync_backend"] = json!("ceph_s3");
    });
    let config = config.to_str().unwrap();
    for mode in ["report", "membership-sync", "run"] {
        let output = called(&[mode, "--once", "-c", config]).await;
        assert_eq!(output.status.code(), Some(0), "{mode}: {}", text(&output));
        stage.assert_silent(&output);
    }
    assert_eq!(stage.waldur.registered_processors().len(), 3);
    let span = ["--start-date", "2026-01-01", "--end-date", "2026-02-01"];
    let output = called(&[&["load-usage", "--no-staff-check", "-c", config], &span[..]].concat()).await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("ceph_s3 keeps no history"), "{}", text(&output));
    for wrong in [
        ["--start-date", "2026-02-01", "--end-date", "2026-01-01"],
        ["--start-date", "2019-01-01", "--end-date", "2026-01-01"],
    ] {
        let output = called(&[&["load-usage", "-c", config], &wrong[..]].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    }
}
