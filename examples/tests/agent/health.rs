//! Health and numbers: the endpoints, the metrics, the heartbeat and who looks at them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use waldur_backend_croit::testing::FakeRadosGw;
use waldur_examples::{
    agent::{Board, Crew, Event, Schedule},
    modes::{Mode, Periods},
    site::Site,
};
use waldur_sdk::{
    rest::{HttpTransport, TransportError, TransportErrorKind},
    settings::AgentSettings,
    testing::{Faults, hang, op, status, waldur::Generation},
    types::{OfferingUuid, Uuid},
};

use crate::{
    exchanges::fake_waldur,
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
    let waldur = fake_waldur(Generation::V8);
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
        format!("waldur_agent_passes_total{{{unit},result=\"failed\"}} 0"),
        format!("waldur_agent_panics_total{{{unit}}} 0"),
        format!("waldur_agent_pass_duration_seconds_count{{{unit}}} 1"),
        "waldur_agent_http_attempts_total{operation=\"orders.list\",status=\"503\"} 1".to_owned(),
        "waldur_agent_http_attempts_total{operation=\"orders.list\",status=\"200\"} 1".to_owned(),
        "waldur_agent_http_retries_total{operation=\"orders.list\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    let success = format!("waldur_agent_last_success_timestamp_seconds{{{unit}}} ");
    let success = text.lines().find_map(|line| line.strip_prefix(&success)).unwrap();
    assert!(success.parse::<f64>().unwrap() > 0.0, "{success}");
    assert!(!text.contains("unreadable_resources{"), "this mode reads no usage: {text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

/// One pass over offerings whose Waldur and back end are these; what `/readyz` says then.
async fn readiness(waldur: impl HttpTransport, gateway: impl HttpTransport, tree: &AgentSettings) -> (u16, Value) {
    let site = Site::over(to(waldur), to(gateway), environment());
    let units = site.units(tree, &[Mode::OrderProcess], false).unwrap().0;
    let board = Board::new(site.metrics().clone());
    Crew::new(units, Schedule::Once).with_board(board.clone()).run(stream::pending()).await;
    assert_eq!(get(&board, "/livez").await.0, 200, "an outage is nobody's death");
    let (code, body) = get(&board, "/readyz").await;
    (code, serde_json::from_str(&body).unwrap())
}

#[tokio::test(start_paused = true)]
async fn ready_is_whose_last_pass_reached_both_sides() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let tree = settings(&waldur, &[offering]);
    let gateway = FakeRadosGw::new;
    let waldur_without = |operation| Faults::new(waldur.clone()).on(op(operation), status(503));
    let all = Faults::new(waldur.clone());
    let readiness_with_an_order = async || {
        ordered(&waldur, offering);
        readiness(waldur.clone(), Down, &tree).await
    };
    for (name, (code, body), expected, exit) in [
        ("well", readiness(all, gateway(), &tree).await, 200, 0),
        ("no offering", readiness(waldur_without("provider_offerings.get"), gateway(), &tree).await, 503, 75),
        ("no orders", readiness(waldur_without("orders.list"), gateway(), &tree).await, 503, 75),
        ("nothing to ask the back end for", readiness(waldur.clone(), Down, &tree).await, 200, 0),
        ("no back end", readiness_with_an_order().await, 503, 75),
    ] {
        assert_eq!(code, expected, "{name}: {body}");
        assert_eq!(body["ready"], json!(expected == 200));
        assert_eq!(body["units"][0]["last_exit_code"], json!(exit), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_ready_is_not_hidden_by_others_and_nothing_is_not_ready() {
    let waldur = fake_waldur(Generation::V8);
    let (here, nowhere) = (sold(&waldur), OfferingUuid::new(Uuid::from_u128(0x404)));
    let (code, body) = readiness(waldur.clone(), FakeRadosGw::new(), &settings(&waldur, &[here, nowhere])).await;
    assert_eq!((code, &body["ready"]), (503, &json!(false)));
    assert_eq!((&body["units"][0]["ready"], &body["units"][1]["ready"]), (&json!(true), &json!(false)));
    let board = Board::default();
    assert_eq!(get(&board, "/readyz").await.0, 503, "there is nothing that could be ready");
    assert_eq!(get(&board, "/livez").await.0, 200);
    assert_eq!(get(&board, "/elsewhere").await.0, 404);
    let post = Request::post("http://h/livez").body(Bytes::new()).unwrap();
    assert_eq!(board.send(post).await.unwrap().status(), 405);
}

/// Nobody answers.
struct Down;

#[async_trait]
impl HttpTransport for Down {
    async fn send(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        Err(TransportError::new(TransportErrorKind::Connect))
    }
}

#[tokio::test(start_paused = true)]
async fn before_its_first_pass_an_offering_has_numbers_and_after_its_removal_none() {
    let waldur = fake_waldur(Generation::V8);
    let (stays, goes) = (sold(&waldur), sold(&waldur));
    ordered(&waldur, goes);
    let hangs = Faults::new(waldur.clone()).on(op("provider_offerings.get"), hang());
    let hanging = Site::over(to(hangs), to(FakeRadosGw::new()), environment());
    let board = Board::new(hanging.metrics().clone());
    let units = hanging.units(&settings(&waldur, &[stays]), &[Mode::OrderProcess], false).unwrap().0;
    let crew = Crew::new(units, Schedule::Once).with_board(board.clone());
    assert!(tokio::time::timeout(Duration::from_secs(1), crew.run(stream::pending())).await.is_err());
    let (_, text) = get(&board, "/metrics").await;
    let of = |offering: OfferingUuid| format!("offering=\"Offering {}\",mode=\"order_process\"", offering.hex());
    for series in ["passes_total", "panics_total", "last_success_timestamp_seconds"] {
        let line = format!("waldur_agent_{series}{{{}", of(stays));
        let found = text.lines().find(|found| found.starts_with(&line)).unwrap_or_else(|| panic!("{line} in\n{text}"));
        assert!(found.ends_with(" 0") || found.ends_with(" 0.0"), "{found}");
    }

    let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment());
    let board = Board::new(site.metrics().clone());
    let (renewing, tree) = (site.clone(), settings(&waldur, &[stays]));
    let units = site.units(&settings(&waldur, &[stays, goes]), &[Mode::OrderProcess], false).unwrap().0;
    let crew = Crew::new(units, Schedule::Every(Periods::all(Duration::from_mins(5))))
        .with_board(board.clone())
        .with_reload(move || renewing.units(&tree, &[Mode::OrderProcess], false).map(|(units, _)| units));
    let events = stream::iter([Event::Reload, Event::Stop]).then(|event| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        event
    });
    let seen = board.clone();
    let look = async {
        tokio::time::sleep(Duration::from_secs(50)).await;
        get(&seen, "/metrics").await.1
    };
    let (_, before) = futures_util::future::join(crew.run(events.boxed()), look).await;
    let (_, after) = get(&board, "/metrics").await;
    let count = |text: &str, offering| text.lines().filter(|line| line.contains(&of(offering))).count();
    assert!(count(&before, goes) > 10, "{before}");
    assert_eq!(count(&after, goes), 0, "{after}");
    // What goes on counts on.
    assert!(after.contains(&format!("waldur_agent_passes_total{{{},result=\"done\"}} 2", of(stays))), "{after}");
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

/// What supervisors of the Python agent know: 0 and 1.
#[test]
fn c69_whatever_is_wrong_the_answer_is_1() {
    let path = beat("beat-no-settings", Some(Duration::ZERO));
    let (code, printed) = healthz(&path, &["-c", "/nowhere/at/all.yaml"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("/nowhere/at/all.yaml: cannot be read"), "{printed}");
    let future = beat("beat-future", Some(Duration::ZERO));
    let file = fs::File::options().write(true).open(&future).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_hours(1)).unwrap();
    let (code, printed) = healthz(&future, &["--liveness-only"]);
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("in the future"), "{printed}");
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
