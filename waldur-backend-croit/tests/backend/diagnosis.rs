//! Reachability, rights, suspension (s3.md §8, §10).

use std::collections::BTreeMap;

use crate::common::{Failure, Gate, On, STAMP, TOKEN, UID, backend, client, create, cx, id, request, usage_components};
use serde_json::{Value, json};
use waldur_backend_croit::testing::{FakeCroit, FakeRadosGw, SeedUser};
use waldur_sdk::{
    ErrorKind,
    backend::{Finding, Outcome, ResourceBackend as _, Status},
    rest::TransportErrorKind,
    testing::{Answer, ScriptedTransport},
};

#[tokio::test(start_paused = true)]
async fn s40_ping_lists_users_and_a_refusal_is_an_error() {
    let gate = Gate::new();
    let backend = backend(gate.clone());
    backend.ping(&cx()).await.unwrap();
    assert_eq!(gate.take_log(), ["GET /admin/user?list=&max-entries=1"]);
    gate.fail("list=", 1, Failure::Status(403, r#"{"Code":"InvalidAccessKeyId"}"#.to_owned()));
    assert_eq!(backend.ping(&cx()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    gate.fail("list=", 1, Failure::Status(401, String::new()));
    assert!(backend.ping(&cx()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_names_the_missing_right_and_changes_nothing() {
    use waldur_backend_croit::testing::Caps;
    let fake = |caps: &str| {
        let caps: Caps = caps.parse().unwrap();
        FakeRadosGw::builder()
            .admin(crate::common::ACCESS_KEY, crate::common::SECRET_KEY)
            .clock(crate::common::now)
            .admin_caps(caps)
            .build()
    };
    let outcome = async |caps: &str, check: &str| {
        let gate = Gate::over(fake(caps));
        let findings = backend(gate.clone()).diagnose(&cx()).await;
        assert!(gate.fake.users().is_empty());
        let finding = findings.iter().find(|finding| finding.check == check).unwrap();
        (finding.outcome, finding.remedy.clone().unwrap_or_default())
    };
    for check in ["users=read", "users=write", "buckets=read"] {
        assert_eq!(outcome("users=*;buckets=read", check).await.0, Outcome::Passed);
        let (missing, remedy) = outcome("zone=read", check).await;
        assert_eq!(missing, Outcome::Failed);
        assert!(remedy.contains(check), "{remedy}");
    }
    assert_eq!(outcome("users=read;buckets=read", "users=write").await.0, Outcome::Failed);
    assert_eq!(outcome("users=*;buckets=read", "clock").await.0, Outcome::Passed);
    assert_eq!(outcome("users=*", "credentials_mode").await.0, Outcome::Warning);
}

#[tokio::test(start_paused = true)]
async fn a_suspended_user_is_paused_and_stays_so() {
    let gate = Gate::new();
    gate.fake.add_user(SeedUser::new(UID).email(STAMP).suspended()).unwrap();
    let backend = backend(gate.clone());
    create(&backend, &request(json!({}))).await.unwrap();
    assert_eq!(backend.get(&cx(), &id()).await.unwrap().unwrap().status, Status::Paused);
    assert!(gate.fake.user(UID).unwrap().suspended);
}

/// What was found, by check: the outcome, the detail, and the remedy.
async fn found(gate: &Gate, more: Value) -> BTreeMap<String, (Outcome, String, String)> {
    let findings = gate.backend(more, &usage_components()).diagnose(&cx()).await;
    let entry =
        |finding: Finding| (finding.check, (finding.outcome, finding.detail, finding.remedy.unwrap_or_default()));
    findings.into_iter().map(entry).collect()
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_of_a_gateway_looks_at_everything_and_changes_nothing() {
    let gate = Gate::new();
    for number in 0..3 {
        gate.fake.add_user(SeedUser::new(&format!("u-{number}"))).unwrap();
    }
    let findings = found(&gate, json!({})).await;
    for check in ["users=read", "users=write", "buckets=read", "quotas", "clock", "users", "components"] {
        assert_eq!(findings[check].0, Outcome::Passed, "{check}: {findings:#?}");
    }
    assert_eq!(findings["users"].1, "4 users", "with the administrator");
    assert_eq!((findings["tls"].0, findings["version"].0), (Outcome::Warning, Outcome::Skipped), "http, and 16.2");
    assert!(findings["region"].1.contains("`default`"));
    // What needs a right to write is tried on nobody.
    let writes: Vec<_> = gate.take_log().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert!(writes.len() == 1 && writes[0].contains("uid=waldur-sdk-probe-of-rights"), "{writes:?}");
    assert_eq!(gate.fake.users().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_says_what_to_do_when_the_gateway_is_not_reached_or_not_trusted() {
    for (kind, check, remedy) in
        [(TransportErrorKind::Connect, "users=read", "firewall"), (TransportErrorKind::Tls, "tls", "authority")]
    {
        let gate = Gate::new();
        gate.fail("", 99, Failure::Transport(kind));
        let findings = found(&gate, json!({})).await;
        assert_eq!(findings[check].0, Outcome::Failed, "{findings:#?}");
        assert!(findings[check].2.contains(remedy), "{findings:#?}");
        assert!(!findings.contains_key("users=write"), "what cannot be known is not claimed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_names_itself_is_named() {
    let page = json!({ "keys": [], "truncated": false, "count": 0 });
    let script = ScriptedTransport::new().then(Answer::json(&page).with_header("server", "Ceph Object Gateway (reef)"));
    assert_eq!(client(script).server().await.unwrap().unwrap(), "Ceph Object Gateway (reef)");
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_of_croit_looks_at_token_users_and_statistics() {
    let gate = Gate::croit();
    let gb_days = || json!({ "usage_model": "gb_days" });
    assert_eq!(found(&gate, gb_days()).await["statistics"].0, Outcome::Skipped, "nobody to ask about");
    gate.fake.add_user(SeedUser::new("u-1")).unwrap();
    let day = || crate::common::now() - jiff::SignedDuration::from_hours(24);
    assert_eq!(found(&gate, gb_days()).await["statistics"].0, Outcome::Warning, "of whom croit has nothing");
    assert_eq!(found(&gate, json!({})).await["statistics"].0, Outcome::Skipped, "only gb_days needs it");
    gate.croit.stores("u-1", day(), 5);
    let findings = found(&gate, gb_days()).await;
    for check in ["token", "users", "statistics", "components"] {
        assert_eq!(findings[check].0, Outcome::Passed, "{check}: {findings:#?}");
    }
    assert_eq!(findings["users"].1, "1 user");
    // Ours are asked about first, up to eight of them: one may have stored nothing yet.
    for number in 0..10 {
        let (uid, named) = (format!("a-{number}"), format!("waldur_{number}"));
        gate.fake.add_user(SeedUser::new(&uid)).unwrap();
        gate.croit.stores(&uid, day(), 5);
        gate.fake.add_user(SeedUser::new(&named)).unwrap();
    }
    gate.take_log();
    let findings = found(&gate, gb_days()).await;
    assert_eq!(findings["statistics"].0, Outcome::Warning, "strangers are measured, ours are not: {findings:#?}");
    assert!(findings["statistics"].1.ends_with("of any of 8"), "{findings:#?}");
    gate.croit.stores("waldur_5", day(), 5);
    assert_eq!(found(&gate, gb_days()).await["statistics"].0, Outcome::Passed);
    gate.croit.forget_graph();
    assert_eq!(found(&gate, gb_days()).await["statistics"].0, Outcome::Failed);
    assert_eq!(found(&gate, json!({})).await["statistics"].0, Outcome::Skipped, "only gb_days needs it");
    let issuing = found(&gate, json!({ "credentials_mode": "api_keys" })).await;
    assert!(issuing["credentials_mode"].1.contains("access log"));
    gate.croit.expire_token();
    let findings = found(&gate, json!({})).await;
    assert_eq!(findings["token"].0, Outcome::Failed);
    assert!(findings["token"].2.contains("new token") && !findings.contains_key("users"));
    assert!(gate.take_log().iter().all(|line| line.starts_with("GET")));
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_tells_how_far_the_clocks_are_apart_and_claims_nothing_that_was_not_told() {
    let ahead = |seconds: i64| move || crate::common::now() + jiff::SignedDuration::from_secs(seconds);
    for on in [On::RadosGw, On::Croit] {
        let at = |seconds: i64| match on {
            On::RadosGw => {
                let fake = FakeRadosGw::builder().admin(crate::common::ACCESS_KEY, crate::common::SECRET_KEY);
                Gate::over(fake.clock(ahead(seconds)).build())
            }
            On::Croit => Gate::over_croit(FakeCroit::builder().token(TOKEN).clock(ahead(seconds)).build()),
        };
        for (seconds, outcome) in [(0, Outcome::Passed), (59, Outcome::Passed), (-300, Outcome::Warning)] {
            let findings = found(&at(seconds), json!({})).await;
            assert_eq!(findings["clock"].0, outcome, "{on:?} {seconds}: {findings:#?}");
            assert!(findings["clock"].1.contains(&seconds.to_string()), "{findings:#?}");
        }
        // Beyond what the gateway takes its time is learnt; beyond a day it is not believed.
        assert_eq!(found(&at(1200), json!({})).await["clock"].0, Outcome::Warning, "{on:?}");
        let absurd = if on == On::RadosGw { Outcome::Failed } else { Outcome::Warning };
        assert_eq!(found(&at(200_000), json!({})).await["clock"].0, absurd, "{on:?}");
        let gate = Gate::on(on);
        gate.fail("", 99, Failure::Transport(TransportErrorKind::Connect));
        assert_eq!(found(&gate, json!({})).await["clock"].0, Outcome::Skipped, "{on:?}");
    }
    let gate = Gate::new();
    gate.fail("", 99, Failure::Status(403, r#"{"Code":"InvalidAccessKeyId"}"#.to_owned()));
    assert_eq!(found(&gate, json!({})).await["clock"].0, Outcome::Skipped);
}

#[tokio::test(start_paused = true)]
async fn a_diagnosis_of_croit_tries_the_address_that_customers_are_given() {
    let gate = Gate::croit();
    let findings = found(&gate, json!({})).await;
    assert_eq!(findings["s3_endpoint"].0, Outcome::Passed, "{findings:#?}");
    assert!(gate.take_log().iter().all(|line| line.starts_with("GET")));
    for (status, answer) in [(200, "<html>"), (404, r#"{"code":404}"#), (502, "")] {
        gate.fail_after(1, "GET /", 99, Failure::Status(status, answer.to_owned()));
        let findings = found(&gate, json!({})).await;
        assert_eq!((findings["s3_endpoint"].0, findings["clock"].0), (Outcome::Failed, Outcome::Skipped), "{answer}");
        gate.mend();
    }
    let empty = r#"{"axis1":{"graphs":[]}}"#.to_owned();
    gate.fake.add_user(SeedUser::new("u-1")).unwrap();
    gate.fail("/stats", 1, Failure::Status(200, empty));
    assert_eq!(found(&gate, json!({ "usage_model": "gb_days" })).await["statistics"].0, Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_unit_of_the_other_usage_model_is_told_of() {
    let told = async |unit: &str, model: &str| {
        let gate = Gate::croit();
        let mut components: Vec<_> = usage_components().iter().cloned().collect();
        for component in &mut components {
            unit.clone_into(&mut component.measured_unit);
        }
        let backend = gate.backend(json!({ "usage_model": model }), &components.into_iter().collect());
        let findings = backend.diagnose(&cx()).await;
        let told = findings.iter().find(|finding| finding.check == "usage_model");
        assert!(told.is_none_or(|told| told.outcome == Outcome::Warning && told.detail.contains("another key")));
        told.is_some()
    };
    let table = [
        ("GB", "current", false),
        ("GB-day", "gb_days", false),
        ("GB", "gb_days", true),
        ("GB-days", "current", true),
        // Where no unit is told, the model that is not the seed's is told of.
        ("", "current", false),
        ("", "gb_days", true),
        ("unit", "gb_days", true),
    ];
    for (unit, model, warned) in table {
        assert_eq!(told(unit, model).await, warned, "{unit} {model}");
    }
}

#[tokio::test(start_paused = true)]
async fn objects_are_not_measured_over_time_and_that_is_told() {
    for (model, alone, told, measured) in [
        ("gb_days", false, true, Outcome::Passed),
        ("gb_days", true, true, Outcome::Warning),
        ("current", true, false, Outcome::Passed),
    ] {
        let gate = Gate::croit();
        let all = usage_components();
        let components = all.iter().filter(|component| !alone || component.name == "s3_objects").cloned().collect();
        let backend = gate.backend(json!({ "usage_model": model }), &components);
        let findings = backend.diagnose(&cx()).await;
        let names = |finding: &&Finding| finding.check == "objects";
        let says = findings.iter().filter(names).any(|finding| format!("{finding:?}").contains("s3_objects"));
        assert_eq!(says, told, "{model}: {findings:#?}");
        let components = findings.iter().find(|finding| finding.check == "components").unwrap();
        assert_eq!(components.outcome, measured, "{model}");
    }
}
