//! What is asked, and how the answers are read.

use serde_json::json;
use waldur_backend_harbor::{
    client::{GroupName, GroupType, HarborClient, NewProject, RepositoryName, Role, StorageLimit},
    testing::{FakeHarbor, Permission, SeedProject},
};
use waldur_sdk::{
    ErrorKind, Result,
    testing::{Answer, ScriptedTransport},
};

use crate::common::{
    ALWAYS, Failure, GIB, Gate, SECRET, client, client_of, count, http, lines, now, project, refused, root,
};

fn json_page(total: u64, rows: &serde_json::Value) -> Answer {
    Answer::json(rows).with_header("x-total-count", total.to_string())
}

fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn h12_the_total_of_a_filtered_list_of_members_says_nothing() {
    let row = json!({ "entity_id": 4, "entity_name": "g", "entity_type": "g", "id": 9, "project_id": 2, "role_id": 2 });
    let script = ScriptedTransport::new().then(json_page(25, &json!([row])));
    let member = client(script.clone()).members().group(&project("p"), &group("g")).await.unwrap().unwrap();
    assert_eq!((member.id.get(), member.role), (9, Role::DEVELOPER));
    assert_eq!(lines(&script), ["GET /projects/p/members?entityname=g&page_size=100"]);
    // A server that does not filter sends everybody: then the whole list is read.
    let others: Vec<_> = (0..100)
        .map(|id| json!({ "entity_id": id, "entity_name": format!("u{id}"), "entity_type": "u", "id": id, "role_id": 3 }))
        .collect();
    // The second page is the 101st entry: the group, of another number than all others.
    let mut last = row;
    last["id"] = json!(1000);
    let full = json_page(101, &json!(others));
    let script = ScriptedTransport::new().then(full.clone()).then(full).then(json_page(101, &json!([last])));
    let found = client(script.clone()).members().group(&project("p"), &group("g")).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_without_a_method_goes_below_the_api_with_the_login() {
    let script = ScriptedTransport::new().then(Answer::json(&json!([])));
    let template = "/projects/{project}/repositories/{repository/}/artifacts";
    let harbor = client(script.clone());
    harbor.rest().get("artifacts.list", template, &["p", "team/app"]).send_unit().await.unwrap();
    assert_eq!(lines(&script), ["GET /projects/p/repositories/team%252Fapp/artifacts"]);
    assert!(script.requests()[0].authorization().unwrap().starts_with("Basic "));
}

#[tokio::test(start_paused = true)]
async fn h26_forbidden_and_missing_are_told_apart() {
    let gate = Gate::new();
    gate.fake.add_project(SeedProject::new("there")).unwrap();
    let harbor = client_of(gate.clone(), &gate.fake);
    assert!(harbor.projects().find(&project("nothing")).await.unwrap().is_none());
    gate.fail("GET /projects/there", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    let error = harbor.projects().find(&project("there")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.message().contains("project:read"), "{error}");
    // To an administrator, what is missing is missing.
    let admin = HarborClient::new(http(gate.clone()), &root(), "admin", gate.fake.admin_password().clone()).unwrap();
    assert!(admin.projects().get(&project("nothing")).await.unwrap_err().is_not_found());
    gate.take_log();
    assert!(admin.projects().find(&project("nothing")).await.unwrap().is_none());
    assert_eq!(gate.take_log().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn h31_f075_a_session_cookie_is_never_sent_back() {
    let gate = Gate::with(|builder| builder.configure(|settings| settings.session_cookie = true));
    let harbor = client_of(gate.clone(), &gate.fake);
    harbor.quotas().probe().await.unwrap();
    harbor.projects().create(&NewProject::new(project("new"))).await.unwrap();
    assert_eq!(gate.fake.projects(), ["new"]);
    assert_eq!(gate.fake.requests_with_cookie(), 0);
    // The same over a script: the cookie is there to be taken, and is not.
    let answer = Answer::json(&json!([])).with_header("set-cookie", "sid=abc; Path=/; HttpOnly");
    let script = ScriptedTransport::new().then(answer).then(Answer::status(201));
    let harbor = client(script.clone());
    harbor.quotas().probe().await.unwrap();
    harbor.projects().create(&NewProject::new(project("new"))).await.unwrap();
    assert!(script.requests().iter().all(|request| !request.headers.contains_key("cookie")));
}

#[tokio::test(start_paused = true)]
async fn h32_a_list_is_read_by_counting_and_proven_whole() {
    let gate = Gate::new();
    for number in 0..149 {
        gate.fake.add_project(SeedProject::new(&format!("p-{number:03}"))).unwrap();
    }
    let listed = client_of(gate.clone(), &gate.fake).projects().list().collect().await.unwrap();
    assert_eq!(listed.complete().unwrap().items().len(), 150);
    assert_eq!(gate.take_log(), ["GET /projects?page=1&page_size=100", "GET /projects?page=2&page_size=100"]);
    // A page that is short of what the count says is no end.
    let rows: Vec<_> = (0..50).map(|id| json!({ "project_id": id, "name": format!("p-{id}") })).collect();
    let script = ScriptedTransport::new().otherwise(json_page(60, &json!(rows)));
    let listed = client(script.clone()).projects().list().collect().await.unwrap();
    assert_eq!(listed.items().len(), 50);
    assert_eq!(listed.complete().unwrap_err().kind(), ErrorKind::Inconsistent);
    // Nor is one that never comes.
    gate.fail("page=2", ALWAYS, Failure::internal());
    let listed = client_of(gate.clone(), &gate.fake).projects().list().collect().await.unwrap();
    assert_eq!((listed.items().len(), listed.complete().unwrap_err().kind()), (100, ErrorKind::Server));
}

#[tokio::test(start_paused = true)]
async fn pages_are_asked_for_side_by_side_and_an_empty_one_ends_the_list() {
    let gate = Gate::new();
    for number in 0..1234 {
        gate.fake.add_project(SeedProject::new(&format!("p-{number:04}"))).unwrap();
    }
    let counting = waldur_sdk::testing::Counting::new(gate.clone());
    let harbor = client_of(counting.clone(), &gate.fake);
    let quotas = harbor.quotas().list().collect().await.unwrap().complete().unwrap();
    assert_eq!(quotas.items().len(), 1235);
    let counts = counting.counts();
    assert_eq!((counts.total, counts.peak_in_flight), (13, 8), "{counts}");
    // Without a count, an empty page is the end; full ones go on.
    let full: Vec<_> = (0..100).map(|id| json!({ "id": id, "ref": {}, "hard": {}, "used": {} })).collect();
    let script = ScriptedTransport::new().then(Answer::json(&full)).then(Answer::json(&json!([])));
    let quotas = client(script.clone()).quotas().list().collect().await.unwrap();
    assert_eq!((quotas.items().len(), script.sent()), (100, 2));
}

#[tokio::test(start_paused = true)]
async fn h32_a_count_that_promises_too_much_is_not_followed() {
    let full: Vec<_> = (0..100).map(|id| json!({ "id": id, "ref": {}, "hard": {}, "used": {} })).collect();
    let script = ScriptedTransport::new().then(json_page(1_000_000, &json!(full)));
    let script = script.otherwise(json_page(1_000_000, &json!([])));
    let listed = client(script.clone()).quotas().list().collect().await.unwrap();
    assert_eq!((listed.items().len(), listed.complete().unwrap_err().kind()), (100, ErrorKind::Inconsistent));
    // Twice, since the list may have moved; each time the first page, and those that were asked for beside the second.
    assert!(script.sent() <= 2 * 9, "{}", script.sent());
}

#[tokio::test(start_paused = true)]
async fn h21_a_robot_that_expires_between_two_pages_is_not_refused_for_every_one_of_them() {
    let gate = Gate::new();
    for number in 0..2500 {
        gate.fake.add_project(SeedProject::new(&format!("p-{number:04}"))).unwrap();
    }
    gate.expire_after("GET /quotas?reference=project&page=1&");
    let listed = client_of(gate.clone(), &gate.fake).quotas().list().collect().await.unwrap();
    assert_eq!((listed.items().len(), listed.complete().unwrap_err().kind()), (100, ErrorKind::Unauthenticated));
    assert!((1..=8).contains(&gate.fake.refused_logins()), "{}", gate.fake.refused_logins());
}

#[tokio::test(start_paused = true)]
async fn h25_h26_where_asking_for_existence_needs_a_right_a_list_proves_the_absence() {
    let gate = Gate::with(|builder| builder.configure(|settings| settings.head_needs_right = true));
    for name in ["there", "nothing-2"] {
        gate.fake.add_project(SeedProject::new(name).quota(GIB)).unwrap();
    }
    let harbor = client_of(gate.clone(), &gate.fake);
    assert!(harbor.projects().find(&project("nothing")).await.unwrap().is_none());
    let log = gate.take_log();
    let expected = [
        "GET /projects/nothing",
        "HEAD /projects?project_name=nothing",
        "GET /projects?q=name%3Dnothing&page_size=1",
        "GET /projects?page_size=1&with_detail=false",
        "GET /quotas?page_size=1",
    ];
    assert_eq!(log, expected);
    assert!(harbor.projects().exists(&project("there")).await.unwrap());
    // One that is there and may not be read.
    for hidden in ["GET /projects/there", "HEAD "] {
        gate.fail(hidden, ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    }
    let error = harbor.projects().find(&project("there")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    gate.mend();
    // The login was good until the list was asked for, which shows what is public to everybody.
    let login = gate.fake.robot_login().to_owned();
    for last in ["HEAD ", "q=name", "with_detail=false"] {
        gate.expire_after(last);
        let error = harbor.projects().find(&project("nothing")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{last}: {error}");
        gate.fake.edit_robot(&login, |robot| *robot.expires_at = -1);
    }
    // Who is not shown everything is shown nothing of the others.
    gate.fake.edit_robot(&login, |robot| {
        let system = Permission::system(&["project:create", "quota:list"]);
        *robot.permissions = vec![system, Permission::project("nothing-2", &["project:read"])];
    });
    for unclear in ["nothing", "there"] {
        let error = harbor.projects().find(&project(unclear)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{unclear}: {error}");
    }
    gate.fake.edit_robot(&login, |robot| *robot.permissions = Permission::needed());
    // Without a single quota there is nothing to count by.
    for name in ["library", "there", "nothing-2"] {
        gate.fake.remove_quota(name);
    }
    let error = harbor.projects().find(&project("nothing")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_vulnerabilities_that_was_not_shown_is_not_an_empty_one() {
    let read = async |list: serde_json::Value| {
        let mut row = json!({ "project_id": 2, "name": "p" });
        if !list.is_null() {
            row["cve_allowlist"] = list;
        }
        let script = ScriptedTransport::new().then(Answer::json(&row));
        let read = client(script).projects().get(&project("p")).await;
        read.map(|project| project.cve_allowlist.map(|list| list.items.len()))
    };
    assert_eq!(read(json!(null)).await.unwrap(), None);
    assert_eq!(read(json!({ "items": null, "update_time": "0001-01-01T00:00:00.000Z" })).await.unwrap(), None);
    assert_eq!(read(json!({ "items": null, "project_id": 2 })).await.unwrap(), Some(0));
    assert_eq!(read(json!({ "items": [] })).await.unwrap(), Some(0));
    assert_eq!(read(json!({ "items": [{ "cve_id": "x" }] })).await.unwrap(), Some(1));
    for odd in [json!({ "items": "x" }), json!({ "items": [{ "cve_id": null }] }), json!("x")] {
        assert!(read(odd.clone()).await.is_err(), "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn h06_among_thousands_that_are_called_alike_a_group_is_found_or_made_at_once() {
    for version in ["v2.13.0", "v2.14.0"] {
        let gate = Gate::with(|builder| builder.version(version));
        for number in 0..300 {
            gate.fake.add_group(&format!("waldur-a{number:03}"), 3).unwrap();
        }
        let harbor = client_of(gate.clone(), &gate.fake);
        assert!(harbor.groups().search(&group("waldur-a")).await.unwrap().is_none());
        assert_eq!(gate.take_log(), ["GET /usergroups/search?groupname=waldur-a&page_size=100"]);
        assert!(harbor.groups().find(&group("waldur-a")).await.unwrap().is_none());
        assert_eq!(gate.take_log().len(), 3);
        assert!(harbor.groups().search(&group("waldur-a007")).await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn one_bad_row_is_one_bad_row() {
    let rows = json!([{ "id": 1, "ref": { "id": 7, "name": "p" }, "hard": { "storage": -1 }, "used": { "storage": 5 } },
        { "id": "x" }, { "id": 3, "ref": null, "hard": { "storage": 0 }, "used": { "storage": -5 } }]);
    let script = ScriptedTransport::new().then(json_page(3, &rows));
    let listed = client(script).quotas().list().collect().await.unwrap();
    assert_eq!((listed.items().len(), listed.bad().len()), (2, 1));
    let (first, odd) = (&listed.items()[0], &listed.items()[1]);
    assert_eq!((first.limit, first.used), (Some(StorageLimit::UNLIMITED), Some(5)));
    // 0 is no limit that Harbor takes, and nobody stores less than nothing: neither is known.
    assert_eq!((odd.project, odd.limit, odd.used), (None, None, None));
    assert!(listed.complete().is_err());
}

#[tokio::test(start_paused = true)]
async fn h36_f161_names_are_sent_as_names() {
    let script = ScriptedTransport::new().otherwise(Answer::json(&json!({ "project_id": 7, "name": "12345" })));
    let harbor = client(script.clone());
    let digits = project("12345");
    harbor.projects().get(&digits).await.unwrap();
    harbor.projects().summary(&digits).await.unwrap();
    harbor.projects().deletable(&digits).await.unwrap();
    harbor.projects().delete(&digits).await.unwrap();
    let _no_list = harbor.members().group(&digits, &group("g")).await;
    harbor.members().remove(&digits, waldur_backend_harbor::client::MemberId::new(3)).await.unwrap();
    for request in script.requests() {
        assert_eq!(request.headers["x-is-resource-name"], "true", "{}", request.path());
    }
    // An answer about another project is none.
    let script = ScriptedTransport::new().then(Answer::json(&json!({ "project_id": 12345, "name": "other" })));
    let error = client(script).projects().get(&digits).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn h37_what_is_not_said_to_be_deletable_is_not() {
    let cases = [
        ("{}", false),
        (r#"{"deletable":false}"#, false),
        (r#"{"deletable":true}"#, true),
        (r#"{"message":"the project contains repositories, can not be deleted"}"#, false),
    ];
    for (body, expected) in cases {
        let script = ScriptedTransport::new().then(Answer::status(200).with_body(body.to_owned()));
        let answer = client(script).projects().deletable(&project("p")).await.unwrap();
        assert_eq!(answer.is_deletable(), expected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn slashes_of_repositories_are_encoded_twice() {
    let script = ScriptedTransport::new().otherwise(Answer::status(200));
    let harbor = client(script.clone());
    for name in ["c", "a/b", "a/b/c.d_e-f"] {
        harbor.repositories().delete(&project("p"), &RepositoryName::new(name).unwrap()).await.unwrap();
    }
    let lines = lines(&script);
    let paths: Vec<_> = lines.iter().map(|line| line.trim_start_matches("DELETE /projects/p/repositories/")).collect();
    assert_eq!(paths, ["c", "a%252Fb", "a%252Fb%252Fc.d_e-f"]);
}

#[tokio::test(start_paused = true)]
async fn f107_look_alikes_are_no_match() {
    let gate = Gate::new();
    for number in 0..120 {
        gate.fake.add_group(&format!("waldur-p-{number}"), 3).unwrap();
    }
    gate.fake.add_group("waldur-p", 3).unwrap();
    for number in 0..120 {
        gate.fake.add_group(&format!("x-waldur-p-{number}"), 3).unwrap();
    }
    let harbor = client_of(gate.clone(), &gate.fake);
    let found = harbor.groups().find(&group("waldur-p")).await.unwrap().unwrap();
    assert_eq!((found.name.as_str(), found.kind), ("waldur-p", GroupType::OIDC));
    assert_eq!(gate.take_log().len(), 2, "read no further than to it");
    assert!(harbor.groups().find(&group("Waldur-P")).await.unwrap().is_none());
}

/// Without the right to list groups, the search that is open to everybody is asked, and never for a second page.
#[tokio::test(start_paused = true)]
async fn a_search_is_one_page() {
    for version in ["v2.13.0", "v2.14.0"] {
        let gate = Gate::with(|builder| builder.version(version));
        let login = gate.fake.robot_login().to_owned();
        gate.fake.edit_robot(&login, |robot| {
            let blocks = std::mem::take(robot.permissions);
            *robot.permissions = blocks.into_iter().map(|block| block.without("user-group:list")).collect();
        });
        gate.fake.add_group("waldur-p", 3).unwrap();
        gate.fake.add_group("waldur-p-2", 3).unwrap();
        let harbor = client_of(gate.clone(), &gate.fake);
        assert!(harbor.groups().find(&group("waldur-p")).await.unwrap().is_some());
        assert!(harbor.groups().find(&group("waldur-q")).await.unwrap().is_none());
        gate.take_log();
        for number in 0..150 {
            gate.fake.add_group(&format!("team-x-{number:03}"), 3).unwrap();
        }
        let error = harbor.groups().find(&group("team-x")).await.unwrap_err();
        assert!(error.message().contains("user-group:list"), "{error}");
        let log = gate.take_log();
        assert_eq!(count(&log, "search"), 1, "{version}: {log:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_call_has_a_name_of_its_own_in_harbors_log() {
    let script = ScriptedTransport::new().otherwise(refused(404, "NOT_FOUND", "quota 7 not found"));
    let random = std::sync::atomic::AtomicU64::new(1);
    let environment = crate::common::environment()
        .with_random(move || random.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed));
    let http = waldur_sdk::rest::Http::new(script.clone()).with_environment(environment);
    let harbor = HarborClient::new(http, &root(), "admin", SECRET).unwrap();
    for _call in 0..3 {
        assert!(harbor.quotas().get(waldur_backend_harbor::client::QuotaId::new(7)).await.is_err());
    }
    let ids: std::collections::BTreeSet<_> =
        script.requests().iter().map(|request| request.headers["x-request-id"].to_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    // What comes back with an error is in its text.
    let fake = FakeHarbor::builder().clock(now).build();
    let error = client_of(fake.clone(), &fake).projects().get(&project("nothing")).await.unwrap_err();
    assert!(error.request_id().unwrap().starts_with("waldur-"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_project_is_made_and_its_number_told() {
    let gate = Gate::new();
    let harbor = client_of(gate.clone(), &gate.fake);
    let new = NewProject::new(project("new")).with_storage_limit(StorageLimit::at_most(5 << 30).unwrap());
    let id = harbor.projects().create(&new).await.unwrap().unwrap();
    let read = harbor.projects().get(&project("new")).await.unwrap();
    assert_eq!((read.id, read.is_public(), read.repo_count), (id, Some(false), Some(0)));
    assert_eq!(gate.fake.quota_of("new").unwrap().hard, 5 * GIB);
    let quota = harbor.quotas().of_project(id, &project("new")).await.unwrap().unwrap();
    harbor.quotas().set(&quota, StorageLimit::UNLIMITED).await.unwrap();
    // The back end needs no right to read a quota by its number.
    let admin = HarborClient::new(http(gate.clone()), &root(), "admin", gate.fake.admin_password().clone()).unwrap();
    assert_eq!(admin.quotas().get(quota.get().id).await.unwrap().limit, Some(StorageLimit::UNLIMITED));
    let error = harbor.projects().create(&new).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let statistics = harbor.system().statistics().await.unwrap();
    assert!(statistics.total_project_count.is_some() || statistics.private_project_count.is_some());
}

#[test]
fn what_cannot_be_a_role_a_limit_or_a_login_is_refused() -> Result<()> {
    assert!(Role::new(0).is_err() && Role::new(6).is_err());
    assert_eq!(Role::new(5)?, Role::LIMITED_GUEST);
    assert!(StorageLimit::at_most(0).is_err() && StorageLimit::at_most((1 << 50) + 1).is_err());
    let fake = FakeHarbor::new();
    for (user, password) in [("", "x"), ("a:b", "x"), ("robot$a", "")] {
        assert!(HarborClient::new(http(fake.clone()), &root(), user, password).is_err(), "{user}");
    }
    Ok(())
}
