//! `diagnose` with things that are in order, and with things that are broken.

use std::process::Output;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_examples::serve::serve;
use waldur_sdk::{
    rest::{HttpTransport, TransportError},
    testing::waldur::{FakeWaldur, Generation},
};

use crate::stage::{LOOPBACK, Stage, agent, run, text};

async fn diagnose(stage: &Stage, name: &str, change: impl FnOnce(&mut Value)) -> (Output, Vec<Value>) {
    let config = stage.config(name, change);
    let output = run(agent(&["diagnose", "--json", "-c", config.to_str().unwrap()])).await;
    let shown: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    stage.assert_silent(&output);
    assert!(stage.waldur.writes().is_empty(), "it looks and changes nothing");
    (output, shown["offerings"][0]["findings"].as_array().unwrap().clone())
}

fn outcome<'f>(findings: &'f [Value], check: &str) -> &'f str {
    let finding = findings.iter().find(|finding| finding["check"] == check);
    finding.unwrap_or_else(|| panic!("{check} is not in {findings:#?}"))["outcome"].as_str().unwrap()
}

fn remedy<'f>(findings: &'f [Value], check: &str) -> &'f str {
    let found = findings.iter().find(|finding| finding["check"] == check && finding["remedy"].is_string());
    found.unwrap_or_else(|| panic!("{check} has no remedy in {findings:#?}"))["remedy"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_all_is_well_every_check_passes() {
    let stage = Stage::new().await;
    let (output, findings) = diagnose(&stage, "well", |_| {}).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for check in ["dns", "connection", "clock", "credentials", "offering", "roles", "state", "orders", "components"] {
        assert_eq!(outcome(&findings, check), "ok", "{check}: {findings:#?}");
    }
    assert_eq!(outcome(&findings, "ceph_s3: users=write"), "ok");
    let config = stage.config("well-table", |_| {});
    let table = run(agent(&["diagnose", "-c", config.to_str().unwrap()])).await;
    assert_eq!(table.status.code(), Some(0));
    assert!(text(&table).contains("0 failed, "), "{}", text(&table));
    assert!(text(&table).starts_with("Object storage\n"), "{}", text(&table));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_token_is_named_and_what_depends_on_it_is_not_asked() {
    let stage = Stage::new().await;
    let wrong = stage.canaries.mint("wrong token");
    let (output, findings) = diagnose(&stage, "bad-token", |config| {
        config["offerings"][0]["waldur_api_token"] = json!(wrong.expose_secret());
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(outcome(&findings, "credentials"), "FAILED");
    assert!(remedy(&findings, "credentials").contains("the token is wrong or has expired"));
    assert!(findings.iter().all(|finding| finding["check"] != "orders"));
    assert_eq!(outcome(&findings, "ceph_s3: users=read"), "ok", "the other side is looked at all the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_named() {
    let stage = Stage::new().await;
    let stranger = stage.canaries.mint("token of a stranger");
    let user = stage.waldur.user("stranger").token(&stranger).create();
    assert_ne!(user, stage.waldur.agent());
    let (output, findings) = diagnose(&stage, "no-right", |config| {
        config["offerings"][0]["waldur_api_token"] = json!(stranger.expose_secret());
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((outcome(&findings, "credentials"), outcome(&findings, "offering")), ("ok", "FAILED"));
    assert!(remedy(&findings, "offering").contains("OFFERING.MANAGER"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_back_end_that_refuses_is_named() {
    let stage = Stage::new().await;
    let wrong = stage.canaries.mint("wrong key");
    let (output, findings) = diagnose(&stage, "bad-key", |config| {
        config["offerings"][0]["backend_settings"]["admin_secret_key"] = json!(wrong.expose_secret());
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(outcome(&findings, "credentials"), "ok");
    assert_eq!(outcome(&findings, "ceph_s3: users=read"), "FAILED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f164_components_that_only_one_side_has_are_named() {
    let stage = Stage::new().await;
    let (output, findings) = diagnose(&stage, "components", |config| {
        let components = &mut config["offerings"][0]["backend_components"];
        components["s3_traffic"] =
            json!({ "label": "Traffic", "measured_unit": "GB", "accounting_type": "usage", "backend_name": "traffic" });
        components["s3_storage"]["accounting_type"] = json!("limit");
    })
    .await;
    assert_eq!(output.status.code(), Some(1), "{findings:#?}");
    let of =
        findings.iter().filter(|finding| finding["check"] == "components").map(|finding| finding["detail"].as_str());
    let details: Vec<_> = of.map(Option::unwrap).collect();
    assert!(details[0].contains("Waldur does not have s3_traffic"), "{details:?}");
    assert!(
        details.iter().any(|line| line.contains("s3_storage: accounted by limit here, by usage in Waldur")),
        "{details:?}"
    );
    assert!(remedy(&findings, "components").contains("load-components"));
}

/// What stands in the way of Waldur.
enum InTheWay {
    /// A login page of somebody's proxy.
    Page,
    /// A clock that is off.
    Clock(FakeWaldur, SignedDuration),
}

#[async_trait]
impl HttpTransport for InTheWay {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        match self {
            Self::Page => {
                let mut answer = Response::new(Bytes::from_static(b"<html><title>Log in</title></html>"));
                answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
                Ok(answer)
            }
            Self::Clock(waldur, skew) => {
                let mut answer = waldur.send(request).await?;
                let time = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(Timestamp::now() + *skew));
                answer.headers_mut().insert(header::DATE, HeaderValue::from_str(&time.unwrap()).unwrap());
                Ok(answer)
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_proxy_is_told_from_waldur() {
    let stage = Stage::new().await;
    let proxy = serve(InTheWay::Page, LOOPBACK).await.unwrap();
    let (output, findings) = diagnose(&stage, "page", |config| {
        config["offerings"][0]["waldur_api_url"] = json!(format!("{}api/", proxy.url()));
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(outcome(&findings, "connection"), "FAILED");
    assert!(remedy(&findings, "connection").contains("something else than Waldur answers"), "{findings:#?}");
    assert!(!text(&output).contains("Log in"), "{}", text(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_told_with_its_direction() {
    let stage = Stage::new().await;
    for (hours, way) in [(2, "ahead of"), (-2, "behind")] {
        let skewed = InTheWay::Clock(stage.waldur.clone(), SignedDuration::from_hours(hours));
        let server = serve(skewed, LOOPBACK).await.unwrap();
        let (output, findings) = diagnose(&stage, &format!("clock-{way}"), |config| {
            config["offerings"][0]["waldur_api_url"] = json!(format!("{}api/", server.url()));
        })
        .await;
        assert_eq!(output.status.code(), Some(1));
        let clock = findings.iter().find(|finding| finding["check"] == "clock").unwrap();
        assert_eq!(clock["outcome"], "FAILED");
        let detail = clock["detail"].as_str().unwrap();
        assert!(detail.contains(way) && (detail.contains("72") || detail.contains("71")), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sec41_verification_that_is_off_is_found() {
    let stage = Stage::new().await;
    let (_, findings) = diagnose(&stage, "verify", |config| config["offerings"][0]["verify_ssl"] = json!(false)).await;
    assert_eq!(outcome(&findings, "verify_ssl"), "warning");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waldur_that_is_not_there_is_named() {
    let stage = Stage::new().await;
    // Bound and not listening: nobody else gets the port, and connecting to it is refused.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(LOOPBACK).unwrap();
    let nobody = socket.local_addr().unwrap();
    let (output, findings) = diagnose(&stage, "nobody", |config| {
        config["offerings"][0]["waldur_api_url"] = json!(format!("http://{nobody}/api/"));
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((outcome(&findings, "dns"), outcome(&findings, "connection")), ("ok", "FAILED"));
    assert!(remedy(&findings, "connection").contains("check waldur_api_url"));
    let (output, findings) = diagnose(&stage, "nowhere", |config| {
        // Longer than a label may be, so that no name server is ever asked.
        config["offerings"][0]["waldur_api_url"] = json!(format!("http://{}.invalid/api/", "x".repeat(64)));
    })
    .await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(outcome(&findings, "dns"), "FAILED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_server_lacks_is_named_with_what_it_comes_to() {
    let stage = Stage::of(Generation::V2024).await;
    let (output, findings) = diagnose(&stage, "old", |_| {}).await;
    assert_eq!(output.status.code(), Some(0), "{findings:#?}");
    let details: Vec<_> = findings.iter().filter(|finding| finding["check"] == "features").collect();
    assert!(details.iter().all(|finding| finding["outcome"] == "warning"), "{findings:#?}");
    let all = format!("{details:?}");
    assert!(all.contains("agent identities: the agent does not show in Waldur"), "{findings:#?}");
}
