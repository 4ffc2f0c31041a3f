//! The client over what a real Harbor 2.9.0 answered.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use waldur_backend_harbor::client::{EntityType, GroupName, GroupType, ProjectId, QuotaId, Role, StorageLimit};
use waldur_sdk::{
    ErrorKind,
    testing::{Answer, ScriptedTransport},
};

use crate::common::{client, impatient, project};

#[derive(Deserialize)]
struct Recorded {
    file: String,
    status: u16,
    headers: BTreeMap<String, String>,
    answer: Value,
}

/// A script that answers what was recorded under a name.
fn recorded(folder: &str, file: &str) -> ScriptedTransport {
    let path = format!("{}/tests/recorded/harbor/{folder}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
    let row = rows.into_iter().find(|row| row.file == file).unwrap_or_else(|| panic!("{folder}/{file}"));
    let mut answer = Answer::status(row.status);
    if !row.answer.is_null() {
        answer = answer.with_body(row.answer.to_string());
    }
    for (name, value) in row.headers {
        answer = answer.with_header(&name, &value);
    }
    ScriptedTransport::new().otherwise(answer)
}

const DB: &str = "2.9.0";
const OIDC: &str = "2.9.0-oidc";
const PUSH: &str = "2.9.0-push";

#[tokio::test(start_paused = true)]
async fn recorded_projects_are_read() {
    let read = client(recorded(DB, "018-proj-get-name")).projects().get(&project("p-one")).await.unwrap();
    assert_eq!((read.id.get(), read.is_public(), read.repo_count), (2, Some(false), Some(0)));
    assert!(read.creation_time.is_some() && read.cve_allowlist.unwrap().items.is_empty());
    assert!(client(recorded(DB, "023-proj-head-200")).projects().exists(&project("p-one")).await.unwrap());
    assert!(!client(recorded(DB, "024-proj-head-404")).projects().exists(&project("zzz")).await.unwrap());
    let missing = client(recorded(DB, "021-proj-get-404")).projects().find(&project("nope")).await.unwrap();
    assert!(missing.is_none());
    let taken = client(recorded(DB, "010-proj-create-dup"));
    let new = waldur_backend_harbor::client::NewProject::new(project("p-one"));
    assert_eq!(taken.projects().create(&new).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    let made = client(recorded(DB, "009-proj-create")).projects().create(&new).await.unwrap();
    assert_eq!(made.map(ProjectId::get), Some(2));
    let bad = client(recorded(DB, "011-proj-create-badname")).projects().create(&new).await.unwrap_err();
    assert_eq!((bad.kind(), bad.code()), (ErrorKind::InvalidRequest, Some("BAD_REQUEST")));
    let mut page = client(recorded(DB, "038-proj-page2")).projects().list();
    let page = page.next_page().await.unwrap().unwrap();
    assert_eq!((page.items.len(), page.total, page.bad.len()), (5, Some(15), 0));
    let alice = impatient(recorded(DB, "076-alice-private-proj")).projects().get(&project("many-01")).await;
    assert_eq!(alice.unwrap_err().kind(), ErrorKind::PermissionDenied);
    let path = client(recorded(DB, "137-unknown-path")).system().statistics().await.unwrap_err();
    assert_eq!(path.kind(), ErrorKind::Config);
    client(recorded(DB, "134-proj-delete")).projects().delete(&project("many-00")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn recorded_quotas_are_read() {
    let quota = client(recorded(DB, "058-quota-get")).quotas().get(QuotaId::new(2)).await.unwrap();
    assert_eq!((quota.limit, quota.used), (Some(StorageLimit::at_most(5 << 30).unwrap()), Some(0)));
    let used = client(recorded(PUSH, "003-quota-used"));
    let used = used.quotas().of_project(ProjectId::new(17), &project("pushed")).await.unwrap().unwrap();
    assert_eq!((used.get().id.get(), used.get().used), (16, Some(22_229)));
    let of_another = client(recorded(PUSH, "003-quota-used"));
    assert!(of_another.quotas().of_project(ProjectId::new(16), &project("pushed")).await.is_err());
    client(recorded(DB, "059-quota-put")).quotas().set(&used, StorageLimit::UNLIMITED).await.unwrap();
    for (file, kind) in [
        ("062-quota-put-zero", ErrorKind::InvalidRequest),
        ("063-quota-put-neg2", ErrorKind::InvalidRequest),
        ("067-quota-put-404", ErrorKind::NotFound),
        ("077-alice-create-quota", ErrorKind::PermissionDenied),
    ] {
        let error = client(recorded(DB, file)).quotas().set(&used, StorageLimit::UNLIMITED).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{file}");
    }
    let denied = client(recorded(DB, "078-alice-quotas")).quotas().probe().await.unwrap_err();
    assert!(denied.message().contains("quota:list"), "{denied}");
    let summary = client(recorded(PUSH, "017-summary")).projects().summary(&project("pushed")).await.unwrap();
    assert_eq!((summary.repo_count, summary.used), (Some(2), Some(22_402)));
}

#[tokio::test(start_paused = true)]
async fn recorded_groups_and_members_are_read() {
    let name = GroupName::new("renamed").unwrap();
    let found = client(recorded(OIDC, "016-usergroup-q")).groups().find(&name).await.unwrap().unwrap();
    assert_eq!((found.id.get(), found.kind), (1, GroupType::OIDC));
    let like = GroupName::new("rename").unwrap();
    assert!(client(recorded(OIDC, "016-usergroup-q")).groups().find(&like).await.unwrap().is_none());
    let taken = client(recorded(OIDC, "007-usergroup-dup")).groups().create(&name, GroupType::OIDC).await.unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    let p = project("p-one");
    let brand = GroupName::new("brand-new").unwrap();
    let member = client(recorded(OIDC, "026-members-byfull")).members().group(&p, &brand).await.unwrap().unwrap();
    assert_eq!((member.id.get(), member.role, member.kind), (4, Role::MAINTAINER, EntityType::Group));
    let part = GroupName::new("brand").unwrap();
    assert!(client(recorded(OIDC, "025-members-byname")).members().group(&p, &part).await.unwrap().is_none());
    let members = client(recorded(OIDC, "024-members")).members().list(&p).collect().await.unwrap();
    assert_eq!(members.complete().unwrap().items().len(), 4);
    let gone = client(recorded(OIDC, "019-member-group-id404"));
    let error =
        gone.members().add_group(&p, waldur_backend_harbor::client::GroupId::new(999), Role::GUEST).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
}

#[tokio::test(start_paused = true)]
async fn recorded_repositories_and_deletions_are_read() {
    let p = project("pushed");
    let listed = client(recorded(PUSH, "004-repos")).repositories().list(&p).collect().await.unwrap();
    let names: Vec<_> = listed.complete().unwrap().into_items().into_iter().map(|found| found.name).collect();
    assert_eq!(names, ["pushed/team/nested", "pushed/app"]);
    assert!(!client(recorded(PUSH, "018-deletable")).projects().deletable(&p).await.unwrap().is_deletable());
    let held = client(recorded(PUSH, "019-delete-nonempty")).projects().delete(&p).await.unwrap_err();
    assert_eq!((held.kind(), held.code()), (ErrorKind::Conflict, Some("PRECONDITION")));
    let gone = client(recorded(PUSH, "022-repo-del2"));
    let name = waldur_backend_harbor::client::RepositoryName::new("app").unwrap();
    assert!(gone.repositories().delete(&p, &name).await.unwrap_err().is_not_found());
    client(recorded(PUSH, "024-project-del")).projects().delete(&p).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_recorded_server_says_of_itself_is_read() {
    let health = client(recorded(DB, "002-health")).system().health().await.unwrap();
    assert!(!health.is_healthy() && health.sick().any(|part| part == "jobservice"));
    let info = client(recorded(OIDC, "001-systeminfo")).system().info().await.unwrap();
    assert_eq!((info.auth_mode.as_deref(), info.version(), info.read_only), (Some("oidc_auth"), None, None));
    let info = client(recorded(DB, "004-systeminfo-admin")).system().info().await.unwrap();
    assert_eq!(info.read_only, Some(false));
    let statistics = client(recorded(DB, "130-statistics")).system().statistics().await.unwrap();
    assert_eq!(statistics.total_project_count, Some(15));
    let no_login = client(recorded(DB, "006-badauth")).quotas().probe().await.unwrap_err();
    assert_eq!(no_login.kind(), ErrorKind::Unauthenticated);
    // A robot's record, as one row of the list.
    let path = format!("{}/tests/recorded/harbor/2.9.0.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Recorded>(line).unwrap());
    let robot = rows.into_iter().find(|row| row.file == "112-robot-get").unwrap().answer;
    let script = ScriptedTransport::new().then(Answer::json(&json!([robot])).with_header("x-total-count", "1"));
    let robots = client(script).system().robots().collect().await.unwrap().complete().unwrap();
    let robot = &robots.items()[0];
    assert_eq!((robot.name.as_str(), robot.disable, robot.permissions.len()), ("robot$sys", Some(false), 2));
}
