//! Reachability, credentials, versions, rights (harbor.md §5.8, §7).

use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, Permission, SeedRobot};
use waldur_sdk::{
    ErrorKind,
    backend::{Finding, Outcome, ResourceBackend as _},
};

use crate::common::{ALWAYS, Failure, Gate, backend, backend_with, cx, now};

fn find<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("{check} in {findings:#?}"))
}

#[tokio::test(start_paused = true)]
async fn h33_an_ill_part_of_harbor_is_a_warning_and_no_outage() {
    let gate = Gate::new();
    gate.fake.break_component("jobservice", "connection refused");
    let backend = backend(&gate);
    backend.ping(&cx()).await.unwrap();
    let findings = backend.diagnose(&cx()).await;
    let health = find(&findings, "health");
    assert_eq!(health.outcome, Outcome::Warning);
    assert!(health.detail.contains("jobservice"), "{}", health.detail);
    assert_eq!(find(&findings, "credentials").outcome, Outcome::Passed);
}

#[tokio::test(start_paused = true)]
async fn h34_a_wrong_password_is_told_by_a_call_that_needs_it() {
    let gate = Gate::new();
    let backend = backend_with(gate.clone(), &gate.fake, json!({ "robot_password": "wrong-canary" }));
    // Health answers 200, and so does a list of projects.
    assert!(backend.client().system().health().await.unwrap().is_healthy());
    assert!(backend.client().projects().count().await.is_ok());
    assert_eq!(backend.ping(&cx()).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    let findings = backend.diagnose(&cx()).await;
    let credentials = find(&findings, "credentials");
    assert_eq!(credentials.outcome, Outcome::Failed);
    assert!(credentials.remedy.as_ref().unwrap().contains("robot_password"));
    assert!(!format!("{findings:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn h39_before_2_12_a_robot_cannot_do_it() {
    for (version, warns) in [("v2.11.1-8b8e2a7a", true), ("v2.9.0", true), ("v2.12.0", false), ("v2.15.0", false)] {
        let gate = Gate::with(|builder| builder.version(version));
        let findings = backend(&gate).diagnose(&cx()).await;
        let found = find(&findings, "version");
        assert_eq!(found.outcome == Outcome::Warning, warns, "{version}: {found:?}");
        assert_eq!(found.detail.contains("user-group"), warns, "{version}");
    }
    // An administrator can.
    let gate = Gate::over(FakeHarbor::builder().version("v2.9.0").clock(now).build());
    let more = json!({ "robot_username": "admin", "robot_password": "Harbor12345" });
    let findings = backend_with(gate.clone(), &gate.fake, more).diagnose(&cx()).await;
    assert_eq!(find(&findings, "version").outcome, Outcome::Passed);
    for right in ["project:create", "quota:list", "quota:update", "user-group:list", "user-group:create"] {
        assert_eq!(find(&findings, right).outcome, Outcome::Passed, "{findings:#?}");
    }
    assert!(gate.fake.projects().is_empty() && gate.fake.groups().is_empty(), "trying changes nothing");
}

#[tokio::test(start_paused = true)]
async fn each_missing_right_is_named_where_it_can_be_tried() {
    for right in ["project:create", "quota:list", "quota:update", "user-group:list", "user-group:create"] {
        let gate = Gate::with(|builder| {
            builder.configure(|settings| settings.project_creation_restriction = "adminonly".to_owned())
        });
        let login = gate.fake.robot_login().to_owned();
        gate.fake.edit_robot(&login, |robot| {
            let blocks = std::mem::take(robot.permissions);
            let less = |block: Permission| if right == "quota:read" { block } else { block.without(right) };
            *robot.permissions = blocks.into_iter().map(less).collect();
        });
        let findings = backend(&gate).diagnose(&cx()).await;
        assert_eq!(find(&findings, "credentials").outcome, Outcome::Passed, "{findings:#?}");
        let found = find(&findings, right);
        assert_eq!(found.outcome, Outcome::Failed, "{findings:#?}");
        assert!(found.remedy.as_ref().unwrap().contains(right));
        assert_eq!(find(&findings, "rights on projects").outcome, Outcome::Skipped);
        assert!(gate.fake.projects().is_empty() && gate.fake.groups().is_empty());
    }
}

/// A robot that may read robots, so that its own record tells all.
fn telling(change: impl FnOnce(SeedRobot) -> SeedRobot, without: &str) -> Gate {
    let mut permissions: Vec<_> = Permission::needed().into_iter().map(|block| block.without(without)).collect();
    permissions.push(Permission::system(&["robot:list", "robot:read"]));
    let robot = change(SeedRobot::system("waldur", permissions));
    Gate::over(FakeHarbor::builder().clock(now).robot(robot).build())
}

#[tokio::test(start_paused = true)]
async fn a_robots_own_record_tells_every_right_and_when_it_expires() {
    let gate = telling(|robot| robot, "member:update");
    let findings = backend(&gate).diagnose(&cx()).await;
    assert_eq!(find(&findings, "member:update on all projects").outcome, Outcome::Failed);
    for granted in ["project:create on the system", "project:update on all projects", "member:list on all projects"] {
        assert_eq!(find(&findings, granted).outcome, Outcome::Passed, "{granted}");
    }
    let failed = findings.iter().filter(|finding| finding.outcome == Outcome::Failed).count();
    assert_eq!(failed, 1, "{findings:#?}");
    assert_eq!(find(&findings, "robot account").detail, "never expires");
    assert!(gate.take_writes().is_empty(), "nothing has to be tried");
    let cases = [(30, Outcome::Passed), (10, Outcome::Warning)];
    for (days, outcome) in cases {
        let gate = telling(|robot| robot.days(days), "");
        let findings = backend(&gate).diagnose(&cx()).await;
        let found = find(&findings, "robot account");
        assert_eq!(found.outcome, outcome, "{found:?}");
    }
    // Deleting images needs one more.
    let gate = telling(|robot| robot, "repository:delete");
    let more = json!({ "force_delete_repositories": true });
    let findings = backend_with(gate.clone(), &gate.fake, more).diagnose(&cx()).await;
    assert_eq!(find(&findings, "repository:delete on all projects").outcome, Outcome::Failed);
    assert_eq!(find(&findings, "force_delete_repositories").outcome, Outcome::Warning);
}

#[tokio::test(start_paused = true)]
async fn how_harbor_is_set_up_is_told() {
    let gate = Gate::with(|builder| {
        builder.configure(|settings| {
            settings.read_only = true;
            settings.auth_mode = "db_auth".to_owned();
        })
    });
    let findings = backend(&gate).diagnose(&cx()).await;
    assert_eq!(find(&findings, "auth_mode").outcome, Outcome::Warning);
    assert_eq!(find(&findings, "version").detail, "v2.13.0");
    assert_eq!(find(&findings, "projects").detail, "the account sees 1 projects");
    let settings = find(&findings, "settings");
    for told in ["waldur-", "10", "2 (developer)"] {
        assert!(settings.detail.contains(told), "{}", settings.detail);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_in_the_place_of_harbor_is_a_wrong_address() {
    let gate = Gate::new();
    gate.fail("", ALWAYS, Failure::Status(200, "<html><body>Welcome</body></html>".to_owned()));
    let findings = backend(&gate).diagnose(&cx()).await;
    let credentials = find(&findings, "credentials");
    assert_eq!(credentials.outcome, Outcome::Failed);
    assert!(credentials.remedy.as_ref().unwrap().contains("harbor_url"), "{credentials:?}");
}
