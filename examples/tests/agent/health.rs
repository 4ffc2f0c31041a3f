//! Health and numbers: the endpoints, the metrics, the heartbeat and who looks at them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use waldur_backend_croit::testing::FakeRadosGw;
use waldur_examples::{
    agent::{Board, Crew, Schedule},
    modes::Mode,
    site::Site,
};
use waldur_sdk::{
    rest::HttpTransport as _,
    testing::{
        Faults, op, status,
        waldur::{FakeWaldur, Generation},
    },
};

use crate::{
    passes::{environment, ordered, settings, sold, to},
    stage::{Stage, agent, run, text},
};

async fn get(board: &Board, path: &str) -> (u16, String) {
    let request = Request::get(format!("http://h{path}")).body(Bytes::new()).unwrap();
    let answer = board.send(request).await.unwrap();
    (answer.status().as_u16(), String::from_utf8(answer.into_body().to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_metrics_count_passes_items_calls_and_retries() {
    let waldur = FakeWaldur::new(Generation::V8);
    let offering = sold(&waldur);
    ordered(&waldur, offering);
    let once_down = Faults::new(waldur.clone()).on(op("orders.list").nth(1), status(503));
    let site = Site::over(to(once_down), to(FakeRadosGw::new()), environment());
    let units = site.units(&settings(&waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0;
    let board = Board::new(site.metrics().clone());
    assert!(get(&board, "/metrics").await.1.contains("waldur_agent_build_info"));
    Crew::new(units, Schedule::Once).with_board(board.clone()).run(stream::pending()).await;
    let (code, text) = get(&board, "/metrics").await;
    assert_eq!(code, 200);
    let unit = format!("offering=\"Offering {}\",mode=\"order_process\"", offering.hex());
    for line in [
        format!("waldur_agent_passes_total{{{unit},result=\"done\"}} 1"),
        format!("waldur_agent_items_total{{{unit},outcome=\"done\"}} 1"),
        format!("waldur_agent_usage_unreadable_resources{{{unit}}} 0"),
        format!("waldur_agent_pass_duration_seconds_count{{{unit}}} 1"),
        "waldur_agent_http_attempts_total{operation=\"orders.list\",status=\"503\"} 1".to_owned(),
        "waldur_agent_http_attempts_total{operation=\"orders.list\",status=\"200\"} 1".to_owned(),
        "waldur_agent_http_retries_total{operation=\"orders.list\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains(&format!("waldur_agent_last_success_timestamp_seconds{{{unit}}} ")), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn ready_is_whoever_reached_its_systems() {
    let waldur = FakeWaldur::new(Generation::V8);
    let offering = sold(&waldur);
    let board = Board::default();
    assert_eq!(get(&board, "/readyz").await.0, 200, "nothing to do is done");
    for (down, code) in [(true, 503), (false, 200)] {
        let faults = Faults::new(waldur.clone());
        let way = if down { faults.on(op("provider_offerings.get"), status(503)) } else { faults };
        let site = Site::over(to(way), to(FakeRadosGw::new()), environment());
        let units = site.units(&settings(&waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0;
        Crew::new(units, Schedule::Once).with_board(board.clone()).run(stream::pending()).await;
        let (found, body) = get(&board, "/readyz").await;
        assert_eq!(found, code, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["ready"], json!(!down));
        assert_eq!(body["units"][0]["last_exit_code"], json!(if down { 75 } else { 0 }));
        assert_eq!(get(&board, "/livez").await.0, 200, "an outage is nobody's death");
    }
    assert_eq!(get(&board, "/elsewhere").await.0, 404);
    let post = Request::post("http://h/livez").body(Bytes::new()).unwrap();
    assert_eq!(board.send(post).await.unwrap().status(), 405);
}

async fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_binary_serves_its_health_and_keeps_a_heartbeat_until_sigterm() {
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let stage = Stage::new().await;
    let config = stage.config("listen", |_| {});
    let beat = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("listen-heartbeat");
    drop(fs::remove_file(&beat));
    let mut command = tokio::process::Command::from(agent(&["run", "--listen", "127.0.0.1:0", "--log-format", "json"]));
    command.arg("-c").arg(&config).arg("--heartbeat").arg(&beat);
    let mut child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut address = String::new();
    let wanted = |line: &Value| line["message"] == "done" && line["order"].is_string();
    let mut done = false;
    while address.is_empty() || !done {
        let line: Value = serde_json::from_str(&lines.next_line().await.unwrap().expect("it goes on")).unwrap();
        done |= wanted(&line);
        if let Some(found) = line["address"].as_str() {
            found.clone_into(&mut address);
        }
    }
    assert!(ask(&address, "/livez").await.starts_with("HTTP/1.1 200"), "alive");
    let metrics = ask(&address, "/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(
        metrics.contains("waldur_agent_http_attempts_total{operation=\"orders.list\",status=\"200\"}"),
        "{metrics}"
    );
    assert_eq!(stage.canaries.find_in(&metrics), None);
    assert!(beat.exists());
    let healthz = run({
        let mut command = agent(&["healthz", "-c", config.to_str().unwrap()]);
        command.arg("--heartbeat").arg(&beat);
        command
    });
    let healthz = healthz.await;
    assert_eq!(healthz.status.code(), Some(0), "{}", text(&healthz));
    assert!(text(&healthz).contains("Waldur answers for Object storage"), "{}", text(&healthz));

    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    // Whoever asks for a log reads it to its end.
    while lines.next_line().await.unwrap().is_some() {}
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

fn beat(name: &str, age: Option<Duration>) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_file(&path));
    if let Some(age) = age {
        let file = fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }
    path
}

fn healthz(heartbeat: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = agent(&["healthz", "--heartbeat", heartbeat.to_str().unwrap()]).args(more).output().unwrap();
    (output.status.code(), text(&output))
}

#[test]
fn c69_a_heartbeat_that_is_missing_or_older_than_300_s_is_no_life() {
    for (name, age, max, code) in [
        ("beat-none", None, &[][..], 1),
        ("beat-young", Some(Duration::from_secs(200)), &[], 0),
        ("beat-old", Some(Duration::from_secs(301)), &[], 1),
        ("beat-strict", Some(Duration::from_secs(20)), &["--max-age", "10"], 1),
        ("beat-lenient", Some(Duration::from_mins(10)), &["--max-age", "3600"], 0),
    ] {
        let path = beat(name, age);
        let (found, printed) = healthz(&path, &[&["--liveness-only"], max].concat());
        assert_eq!(found, Some(code), "{name}: {printed}");
        assert!(printed.contains(name), "{printed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_is_that_any_one_offering_answers() {
    let stage = Stage::new().await;
    let path = beat("beat-ready", Some(Duration::ZERO));
    let wrong = stage.canaries.mint("wrong token");
    let check = |name: &str, change: &dyn Fn(&mut Value)| {
        let config = stage.config(name, change);
        let mut command = agent(&["healthz", "--heartbeat", path.to_str().unwrap(), "-c"]);
        command.arg(config);
        run(command)
    };
    let refuse = |offering: &mut Value| offering["waldur_api_token"] = json!(wrong.expose_secret());
    let one = check("ready-one", &|config| {
        let mut other = config["offerings"][0].clone();
        refuse(&mut other);
        other["name"] = json!("Refused");
        config["offerings"].as_array_mut().unwrap().push(other);
    });
    assert_eq!(one.await.status.code(), Some(0));
    let none = check("ready-none", &|config| refuse(&mut config["offerings"][0])).await;
    assert_eq!(none.status.code(), Some(1), "{}", text(&none));
    assert!(text(&none).contains("FAIL  Object storage: "), "{}", text(&none));
    stage.assert_silent(&none);
}
