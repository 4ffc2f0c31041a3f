//! Reachability, credentials, versions, rights (harbor.md §5.8, §7).

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, Image, Permission, SeedRobot};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    backend::{Finding, Outcome, Removed, ResourceBackend as _, Status, Surroundings},
};

use crate::common::{
    ALWAYS, Failure, GROUP, Gate, NAME, STAMP, backend, backend_with, create, cx, delete, id, now, pass_time, request,
    resource, set_limits, set_status, storage,
};

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
    for right in ["quota:list", "quota:update", "user-group:list", "user-group:create"] {
        assert_eq!(find(&findings, right).outcome, Outcome::Passed, "{findings:#?}");
    }
    // Where everybody may make projects, that one can proves nothing.
    assert_eq!(find(&findings, "project:create").outcome, Outcome::Skipped);
    gate.fake.configure(|settings| "adminonly".clone_into(&mut settings.project_creation_restriction));
    let findings =
        backend_with(gate.clone(), &gate.fake, json!({ "robot_username": "admin", "robot_password": "Harbor12345" }))
            .diagnose(&cx())
            .await;
    assert_eq!(find(&findings, "project:create").outcome, Outcome::Passed);
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
            *robot.permissions = blocks.into_iter().map(|block| block.without(right)).collect();
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
    // Deleting images needs two more.
    for right in ["repository:list", "repository:delete"] {
        let gate = telling(|robot| robot, right);
        let findings = backend(&gate).diagnose(&cx()).await;
        assert!(findings.iter().all(|finding| finding.outcome != Outcome::Failed), "{findings:#?}");
        let more = json!({ "force_delete_repositories": true });
        let findings = backend_with(gate.clone(), &gate.fake, more).diagnose(&cx()).await;
        assert_eq!(find(&findings, &format!("{right} on all projects")).outcome, Outcome::Failed);
        assert_eq!(find(&findings, "force_delete_repositories").outcome, Outcome::Warning);
    }
}

/// What the README names, of all projects or of the system; `a:b|c` stands for two.
fn readme() -> BTreeSet<(bool, String)> {
    let text = include_str!("../../README.md");
    let text = text.split("### What the robot account needs").nth(1).unwrap().split("## As a client").next().unwrap();
    let (system, projects) = text.split_once("On all projects:").unwrap();
    let (projects, _) = projects.split_once("Harbor gives").unwrap();
    let mut rights = BTreeSet::new();
    for (is_of_projects, text) in [(false, system), (true, projects)] {
        for word in
            text.split('`').filter_map(|word| word.split_once(':')).filter(|(_, actions)| !actions.trim().is_empty())
        {
            rights.extend(word.1.split('|').map(|action| (is_of_projects, format!("{}:{action}", word.0))));
        }
    }
    rights
}

#[tokio::test(start_paused = true)]
async fn the_rights_of_the_readme_are_those_that_are_looked_for_and_suffice() {
    // The robot of the fake has what the back end needs and nothing else.
    let gate = telling(|robot| robot, "");
    let more = json!({ "force_delete_repositories": true });
    let backend = backend_with(gate.clone(), &gate.fake, more);
    let findings = backend.diagnose(&cx()).await;
    let place = |check: &str| {
        let of_projects = check.strip_suffix(" on all projects").map(|right| (true, right.to_owned()));
        of_projects.or_else(|| check.strip_suffix(" on the system").map(|right| (false, right.to_owned())))
    };
    let granted = findings.iter().filter(|finding| finding.outcome == Outcome::Passed);
    let granted: BTreeSet<_> = granted.filter_map(|finding| place(&finding.check)).collect();
    assert_eq!(granted, readme());
    assert!(findings.iter().all(|finding| finding.outcome != Outcome::Failed), "{findings:#?}");
    // Everything that it does, drift and moves included.
    create(&backend, &request(storage(20))).await.unwrap();
    set_limits(&backend, storage(50)).await.unwrap();
    for status in [Status::Downscaled, Status::Active] {
        set_status(&backend, storage(50), status).await.unwrap();
    }
    gate.fake.set_group_role(NAME, GROUP, 5);
    gate.fake.set_group_role(NAME, "waldur-before", 2);
    gate.fake.set_allowlist(NAME, &[STAMP, "waldur-group-waldur-before"]);
    for _turn in 0..24 {
        pass_time(Duration::from_secs(300)).await;
        backend.upkeep().unwrap().sync_project(&cx(), &id(NAME), &Surroundings::new(resource())).await.unwrap();
    }
    assert_eq!(gate.fake.project(NAME).unwrap().groups(), [(GROUP, 2)]);
    assert_eq!(backend.importer().unwrap().list(&cx()).await.unwrap().items().len(), 1);
    gate.fake.push(NAME, "a/b", Image::new("v1").layer("x", 7)).unwrap();
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
    // Without leave to delete images, less will do.
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| {
        let blocks = std::mem::take(robot.permissions).into_iter();
        let less = blocks.map(|block| block.without("repository:list").without("repository:delete"));
        *robot.permissions = less.collect();
    });
    let backend = crate::common::backend(&gate);
    create(&backend, &request(storage(20))).await.unwrap();
    gate.fake.push(NAME, "a/b", Image::new("v1").layer("x", 7)).unwrap();
    assert_eq!(delete(&backend).await.unwrap_err().class(), ErrorClass::Rejected);
    assert!(gate.fake.remove_repository(NAME, "a/b"));
    assert_eq!(delete(&backend).await.unwrap(), Removed::Deleted);
    assert!(gate.fake.unmodelled().is_empty());
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
    let read_only = find(&findings, "read_only");
    assert_eq!(read_only.outcome, Outcome::Failed);
    assert_eq!(read_only.remedy.as_deref(), Some("end the read-only mode"));
    assert_eq!(find(&findings, "version").detail, "v2.13.0");
    let address = find(&findings, "docker_login");
    assert_eq!(address.outcome, Outcome::Warning);
    assert_eq!(address.detail, "customers are told localhost:8080, Harbor calls itself harbor.example.org");
    gate.fake.configure(|settings| "http://LOCALHOST:8080/".clone_into(&mut settings.external_url));
    assert_eq!(find(&backend(&gate).diagnose(&cx()).await, "docker_login").outcome, Outcome::Passed);
    assert_eq!(find(&findings, "projects").detail, "the account sees 1 projects");
    let settings = find(&findings, "settings");
    for told in ["waldur-", "10", "2 (developer)"] {
        assert!(settings.detail.contains(told), "{}", settings.detail);
    }
    let risky = [("project_role_id", json!(1)), ("oidc_group_prefix", json!("")), ("allocation_prefix", json!(""))];
    for (key, value) in risky {
        assert!(findings.iter().all(|finding| finding.check != key), "{key}");
        let backend = backend_with(gate.clone(), &gate.fake, json!({ key: value }));
        assert_eq!(find(&backend.diagnose(&cx()).await, key).outcome, Outcome::Warning);
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
