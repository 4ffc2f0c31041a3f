//! The binary in the hands of a service manager: signals, settings that are read anew, news, codes.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use waldur_examples::serve::serve;
use waldur_sdk::{
    rest::{HttpTransport, TransportError},
    testing::waldur::FakeWaldur,
};

use crate::stage::{LOOPBACK, Stage, agent, ended, run, send, text, waits_for};

/// A running agent whose log lines go to a file.
fn started(config: &Path, name: &str, more: impl FnOnce(&mut Command)) -> (Child, PathBuf) {
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
    let mut command = agent(&["run", "--heartbeat", "/dev/null/nowhere", "-c", config.to_str().unwrap()]);
    command.stderr(fs::File::create(&log).unwrap());
    more(&mut command);
    (command.spawn().unwrap(), log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_log_level_holds_from_sighup_on() {
    let stage = Stage::new().await;
    let level = |level: &str| stage.config("log-level", |config| config["log_level"] = json!(level));
    let config = level("ERROR");
    let (child, log) = started(&config, "log-level", |_| {});
    waits_for("an order", &|| !stage.gateway.users().is_empty()).await;
    let lines = || fs::read_to_string(&log).unwrap();
    assert!(!lines().contains("INFO"), "{}", lines());
    level("INFO");
    send(&child, "-HUP");
    waits_for("a line of the new level", &|| lines().contains("settings are read anew")).await;
    send(&child, "-TERM");
    assert_eq!(ended(child).await, Some(0), "{}", lines());
    assert!(lines().contains("waldur-agent ends"), "{}", lines());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_manager_hears_of_the_beginning_the_life_a_reload_and_the_end() {
    let stage = Stage::new().await;
    let config = stage.config("notify", |_| {});
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (child, _) = started(&config, "notify", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    });
    let hears = |word: &'static str| {
        let socket = socket.try_clone().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut buffer = [0; 4096];
            loop {
                let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{word}: {error}"));
                let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if told.contains(word) {
                    return told;
                }
            }
        })
    };
    hears("READY=1").await.unwrap();
    // Every tenth of a second, without anything that would have happened.
    for _ in 0..3 {
        hears("WATCHDOG=1").await.unwrap();
    }
    assert!(hears("1 of 1 ready").await.unwrap().contains("STATUS="));
    send(&child, "-HUP");
    assert!(hears("RELOADING=1").await.unwrap().contains("MONOTONIC_USEC="));
    hears("READY=1").await.unwrap();
    send(&child, "-TERM");
    hears("STOPPING=1").await.unwrap();
    assert_eq!(ended(child).await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_by_itself_is_not_called_a_wrong_configuration() {
    let stage = Stage::new().await;
    let config = stage.config("codes", |_| {});
    let config = config.to_str().unwrap();
    let taken = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, code, told) in [
        (&["run", "--listen", &address][..], 75, "Address already in use"),
        (&["load-components", "--offering", "Nothing"], 2, "there is no offering \"Nothing\" in the file"),
        (&["diagnose", "--offering", "Nothing"], 2, "there is no offering \"Nothing\" in the file"),
        (&["load-usage", "--start-date", "2026-02-01", "--end-date", "2026-01-01"], 2, "lies before the start"),
    ] {
        let output = run(agent(&[arguments, &["-c", config]].concat())).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(told), "{arguments:?}: {}", text(&output));
    }
}

/// Every component that is made waits until it is let go.
#[derive(Clone)]
struct Gate {
    waldur: FakeWaldur,
    arrived: Arc<Notify>,
    go: Arc<Notify>,
}

#[async_trait]
impl HttpTransport for Gate {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if request.uri().path().ends_with("/create_offering_component/") {
            self.arrived.notify_one();
            self.go.notified().await;
        }
        self.waldur.send(request).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asked_to_stop_the_component_under_way_is_made_and_the_others_are_said_to_be_left() {
    let stage = Stage::new().await;
    let gate = Gate { waldur: stage.waldur.clone(), arrived: Arc::default(), go: Arc::default() };
    let server = serve(gate.clone(), LOOPBACK).await.unwrap();
    let config = stage.config("gate", |config| {
        let component = json!({ "label": "x", "measured_unit": "x", "accounting_type": "usage" });
        let mut other = config["offerings"][0].clone();
        for name in ["a_first", "b_second"] {
            config["offerings"][0]["backend_components"][name] = component.clone();
        }
        config["offerings"][0]["waldur_api_url"] = json!(format!("{}api/", server.url()));
        other["name"] = json!("Another");
        config["offerings"].as_array_mut().unwrap().push(other);
    });
    let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("gate.log");
    let mut command = agent(&["load-components", "-c", config.to_str().unwrap()]);
    let child = command.stdout(Stdio::piped()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    tokio::time::timeout(Duration::from_secs(20), gate.arrived.notified()).await.unwrap();
    send(&child, "-TERM");
    waits_for("the signal", &|| fs::read_to_string(&log).unwrap().contains("asked to stop")).await;
    gate.go.notify_one();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap()).await.unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(75), "{printed}");
    for line in
        ["  made       a_first\n", "  not done   b_second: asked to stop\n", "Another\n  FAILED     asked to stop"]
    {
        assert!(printed.contains(line), "{line} is not in\n{printed}");
    }
    let made = stage.waldur.writes();
    assert_eq!(made.iter().map(|request| request.body["type"].clone()).collect::<Vec<_>>(), ["a_first"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_and_does_nothing_is_said_once_by_every_command() {
    let stage = Stage::new().await;
    let config = stage.config("unserved", |config| {
        config["log_shipping"] = json!({ "enabled": true });
        config["sentry_dsn"] = json!("https://key@sentry.example.com/1");
        config["elastic_apm_server_url"] = json!("https://apm.example.com/");
        for key in ["stomp_enabled", "resource_import_enabled", "username_reconciliation_enabled"] {
            config["offerings"][0][key] = json!(true);
        }
    });
    let config = config.to_str().unwrap();
    let paths = [
        "log_shipping.enabled: ",
        "sentry_dsn: ",
        "elastic_apm_server_url: ",
        "offerings[0].stomp_enabled: ",
        "offerings[0].resource_import_enabled: ",
        "offerings[0].username_reconciliation_enabled: ",
    ];
    let beat = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("unserved-beat");
    fs::write(&beat, "").unwrap();
    for command in [
        &["run", "--once", "--dry-run"][..],
        &["check-config"],
        &["check-config", "--json"],
        &["diagnose"],
        &["load-components", "--dry-run"],
        &["healthz", "--heartbeat", beat.to_str().unwrap()],
    ] {
        let output = run(agent(&[command, &["-c", config]].concat())).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        for path in paths {
            let told = stderr.lines().filter(|line| line.contains("WARN") && line.contains(path)).count();
            assert_eq!(told, 1, "{command:?}, {path}: {stderr}");
        }
        if command.contains(&"--json") {
            let shown: Value = serde_json::from_slice(&output.stdout).unwrap();
            let warnings = shown["warnings"].as_array().unwrap();
            let told = |path: &&str| warnings.iter().any(|warning| warning.as_str().unwrap().starts_with(*path));
            assert!(paths.iter().all(told), "{shown}");
        }
    }
}
