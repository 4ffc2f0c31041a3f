//! Reachability, rights, suspension (s3.md §8, §10).

use crate::common::{Failure, Gate, STAMP, UID, backend, create, cx, id, request};
use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    ErrorKind,
    backend::{Outcome, ResourceBackend as _, Status},
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
    use waldur_backend_croit::testing::{Caps, FakeRadosGw};
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
