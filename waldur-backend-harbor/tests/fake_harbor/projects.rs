//! Projects (harbor.md §2.1, §3, §6).

use serde_json::{Value, json};
use waldur_backend_harbor::testing::{Permission, SeedProject, SeedRobot};

use super::support::{Answer, Bench, Login, permissions};

#[tokio::test]
async fn a_project_of_a_robot_belongs_to_the_administrator() {
    let bench = Bench::new();
    let body = json!({ "project_name": "p", "metadata": { "public": "false" }, "storage_limit": 5_i64 << 30 });
    let answer = bench.call_with("POST /projects", body).await;
    assert_eq!((answer.status, answer.headers["location"].as_str()), (201, "/api/v2.0/projects/2"));
    let project = bench.call("GET /projects/p").await.body;
    assert_eq!((&project["owner_id"], &project["owner_name"]), (&json!(1), &json!("admin")));
    assert_eq!(project["current_user_role_ids"], Value::Null);
    let members = bench.harbor.members_of("p");
    assert_eq!(members.len(), 1);
    assert_eq!((members[0].name.as_str(), members[0].group_kind, members[0].role), ("admin", None, 1));
    assert_eq!(bench.harbor.quota_of("p").unwrap().hard, 5 << 30);
    assert_eq!(bench.harbor.orphans(&[""]), ["p"]);
    assert!(bench.harbor.orphans(&["p"]).is_empty());
}

#[tokio::test]
async fn a_limit_is_kept_only_from_those_who_may_ask_for_one() {
    let hard = async |bench: &Bench, login: &Login, name: &str, limit: Value| {
        let answer = bench.ask(login, "POST /projects", json!({ "project_name": name, "storage_limit": limit })).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        bench.harbor.quota_of(name).map(|quota| quota.hard)
    };
    let bench = Bench::with(|builder| builder.configure(|settings| settings.storage_per_project = 7 << 30));
    let [system, projects] = permissions().try_into().unwrap();
    let less = SeedRobot::system("less", vec![system.without("project:create"), projects]).secret("s");
    let less = Login::of(&bench.harbor.add_robot(less).0, "s");
    assert_eq!(hard(&bench, &bench.robot(), "a", json!(1 << 30)).await, Some(1 << 30));
    assert_eq!(hard(&bench, &bench.robot(), "b", json!(-1)).await, Some(-1));
    assert_eq!(hard(&bench, &bench.robot(), "c", json!(0)).await, Some(7 << 30));
    assert_eq!(hard(&bench, &bench.robot(), "d", Value::Null).await, Some(7 << 30));
    assert_eq!(hard(&bench, &less, "e", json!(1 << 30)).await, Some(7 << 30));
    bench.harbor.configure(|settings| settings.quota_per_project = false);
    assert_eq!(hard(&bench, &bench.robot(), "f", json!(1 << 30)).await, None);
    let listed = bench.call("GET /quotas?reference=project&reference_id=7").await;
    assert_eq!((listed.status, listed.body), (200, json!([])));
    bench.harbor.configure(|settings| "adminonly".clone_into(&mut settings.project_creation_restriction));
    let refused = bench.ask(&less, "POST /projects", json!({ "project_name": "g" })).await;
    assert_eq!(refused.verdict(), "403 FORBIDDEN: Only system admin can create project");
}

#[tokio::test]
async fn bad_projects_are_refused_before_anything_is_made() {
    let bench = Bench::new();
    let illegal = "400 BAD_REQUEST: project name is not in lower case or contains illegal characters";
    let long = "a".repeat(300);
    for (body, verdict) in [
        (json!({ "project_name": "Upper" }), illegal),
        (json!({ "project_name": "a--b" }), illegal),
        (json!({ "project_name": "ä" }), illegal),
        (
            json!({ "project_name": long }),
            "422 UNPROCESSABLE_ENTITY: validation failure list:\nproject_name in body should be at most 255 chars long",
        ),
        (
            json!({ "project_name": "a", "storage_limit": -2 }),
            "400 BAD_REQUEST: bad request: invalid non-positive value for quota limit, value=-2",
        ),
        (
            json!({ "project_name": "a", "metadata": { "public": "maybe" } }),
            "400 BAD_REQUEST: metadata.public should only be 'true' or 'false', but got: 'maybe'",
        ),
        (
            json!({ "project_name": "a", "metadata": { "public": true } }),
            "422 UNPROCESSABLE_ENTITY: validation failure list:\nparsing project body from \"\" failed, because json: \
             cannot unmarshal bool into Go struct field ProjectReq.metadata.public of type string",
        ),
    ] {
        assert_eq!(bench.call_with("POST /projects", body).await.verdict(), verdict);
    }
    let bare = bench.send(&bench.robot(), "POST /projects", &Value::Null, &[]).await;
    assert_eq!(
        Answer::from(bare).verdict(),
        "422 UNPROCESSABLE_ENTITY: validation failure list:\nproject in body is required"
    );
    assert!(bench.harbor.projects().is_empty());
}

#[tokio::test]
async fn digits_are_an_id_unless_they_are_said_to_be_a_name() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("12345")).unwrap();
    bench.harbor.add_project(SeedProject::new("2")).unwrap();
    let named = async |path: &str, header: &[(&str, &str)]| {
        let answer: Answer = bench.send(&bench.robot(), &format!("GET {path}"), &Value::Null, header).await.into();
        answer.body["name"].as_str().map(str::to_owned)
    };
    let is_name = [("x-is-resource-name", "true")];
    assert_eq!(named("/projects/12345", &[]).await, None);
    assert_eq!(named("/projects/12345", &is_name).await.as_deref(), Some("12345"));
    // The id of one is the name of the other.
    assert_eq!(named("/projects/2", &[]).await.as_deref(), Some("12345"));
    assert_eq!(named("/projects/2", &is_name).await.as_deref(), Some("2"));
}

#[tokio::test]
async fn names_are_found_by_a_part_exactly_or_page_by_page() {
    let bench = Bench::new();
    for number in 0..150 {
        bench.harbor.add_project(SeedProject::new(&format!("waldur-{number:03}"))).unwrap();
    }
    let page = bench.call("GET /projects?name=WALDUR-0").await;
    assert_eq!((page.column("name").len(), page.total()), (10, 100));
    let exact = bench.call("GET /projects?q=name%3Dwaldur-07").await;
    assert_eq!((exact.body, exact.headers["x-total-count"].as_str()), (json!([]), "0"));
    assert_eq!(bench.call("GET /projects?q=name%3D~dur-07").await.total(), 10);
    let page = bench.call("GET /projects?page=2&page_size=100&name=waldur").await;
    assert_eq!((page.column("name").len(), page.total()), (50, 150));
    assert_eq!(page.headers["link"], "</api/v2.0/projects?name=waldur&page=1&page_size=100>; rel=\"prev\"");
    let both = bench.call("GET /projects?page=2&page_size=10&name=waldur%2C%3D").await;
    assert_eq!(both.total(), 0);
    let both = bench.call("GET /projects?page=2&page_size=10&name=waldur").await;
    assert_eq!(
        both.headers["link"],
        "</api/v2.0/projects?name=waldur&page=1&page_size=10>; rel=\"prev\" , \
         </api/v2.0/projects?name=waldur&page=3&page_size=10>; rel=\"next\""
    );
    let newest = bench.call("GET /projects?sort=-creation_time&page_size=1").await;
    assert_eq!(newest.column("name"), ["waldur-149"]);
    let bare = bench.call("GET /projects?with_detail=false&page_size=1").await.body;
    assert_eq!((bare[0].get("metadata"), bare[0].get("owner_name")), (None, None));
    assert_eq!(bench.verdict("GET /projects?page_size=101").await[..3], *"422");
    assert_eq!(bench.verdict("GET /projects?q=creation_time%3D%5B1~2%5D").await[..3], *"501");
    assert_eq!(bench.harbor.unmodelled().len(), 1);
}

#[tokio::test]
async fn a_deleted_name_is_free_again_and_its_quota_is_gone() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").used(5)).unwrap();
    assert_eq!(
        bench.verdict("DELETE /projects/p").await,
        "412 PRECONDITION: precondition failed: the project contains repositories, can not be deleted"
    );
    let held = bench.call("GET /projects/p/_deletable").await.body;
    assert_eq!(held, json!({ "message": "the project contains repositories, can not be deleted" }));
    assert!(bench.harbor.remove_repository("p", "data"));
    assert_eq!(bench.call("GET /projects/p/_deletable").await.body, json!({ "deletable": true }));
    assert_eq!(bench.verdict("DELETE /projects/p").await, "200");
    assert_eq!(bench.harbor.deleted_projects(), ["p#2"]);
    assert_eq!(bench.call("GET /quotas").await.total(), 1);
    let again = bench.call_with("POST /projects", json!({ "project_name": "p" })).await;
    assert_eq!(again.headers["location"], "/api/v2.0/projects/3");
}

#[tokio::test]
async fn a_name_that_is_taken_uses_up_a_number() {
    let bench = Bench::new();
    for verdict in ["201", "409 CONFLICT: The project named a already exists"] {
        assert_eq!(bench.call_with("POST /projects", json!({ "project_name": "a" })).await.verdict(), verdict);
    }
    let next = bench
        .send(
            &bench.robot(),
            "POST /projects",
            &json!({ "project_name": "b" }),
            &[("x-resource-name-in-location", "true")],
        )
        .await;
    assert_eq!(Answer::from(next).headers["location"], "/api/v2.0/projects/b");
    let (project, quota) = (bench.harbor.project("b").unwrap().id, bench.harbor.quota_of("b").unwrap().id);
    assert_eq!((project, quota), (4, 3));
}

#[tokio::test]
async fn a_summary_leaves_out_what_cannot_be_read() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").quota(10).used(3).group("g", 2)).unwrap();
    let whole = json!({
        "developer_count": 1, "project_admin_count": 1, "repo_count": 1,
        "quota": { "hard": { "storage": 10 }, "used": { "storage": 3 } },
    });
    assert_eq!(bench.call("GET /projects/p/summary").await.body, whole);
    let without = json!({ "developer_count": 1, "project_admin_count": 1, "repo_count": 1 });
    let login = bench.harbor.robot_login().to_owned();
    let keep = |bench: &Bench, permissions: Vec<Permission>| {
        assert!(bench.harbor.edit_robot(&login, |robot| *robot.permissions = permissions.clone()));
    };
    let [system, projects] = permissions().try_into().unwrap();
    keep(&bench, vec![system, projects.without("quota:read")]);
    assert_eq!(bench.call("GET /projects/p/summary").await.body, without);
    keep(&bench, permissions());
    assert!(bench.harbor.remove_quota("p"));
    assert_eq!(bench.call("GET /projects/p/summary").await.body, without);
    keep(&bench, vec![Permission::all_projects(&["project:read"])]);
    assert_eq!(bench.call("GET /projects/p/summary").await.body, json!({ "repo_count": 1 }));
}

#[tokio::test]
async fn the_list_of_tolerated_vulnerabilities_holds_any_text_once() {
    let bench = Bench::with(|builder| builder.version("v2.14.0"));
    // Nobody says that it is not looked at here.
    let body = json!({ "project_name": "p", "cve_allowlist": { "items": [{ "cve_id": "CVE-1" }] } });
    assert_eq!(bench.call_with("POST /projects", body).await.status, 201);
    let items = |bench: &Bench| bench.harbor.project("p").unwrap().allowlist;
    assert!(items(&bench).is_empty());
    let put = async |list: Value| {
        let body = json!({ "metadata": { "auto_scan": "true" }, "cve_allowlist": list });
        bench.call_with("PUT /projects/p", body).await.verdict()
    };
    let internal = "500 UNKNOWN: internal server error";
    assert_eq!(put(json!({ "items": [{ "cve_id": "a" }, { "cve_id": "a" }] })).await, internal);
    assert_eq!(put(json!({ "items": [{ "cve_id": " " }] })).await, internal);
    assert_eq!(
        put(json!({ "project_id": 1, "items": [] })).await,
        "400 BAD_REQUEST: project_id in cve_allowlist must be 2 but it's 1"
    );
    assert_eq!(bench.harbor.project("p").unwrap().metadata.get("auto_scan"), None);
    assert_eq!(put(json!({ "project_id": 2, "expires_at": 9, "items": [{ "cve_id": "any text" }] })).await, "200");
    assert_eq!(items(&bench), ["any text"]);
    let list = bench.call("GET /projects/p").await.body["cve_allowlist"].clone();
    assert_eq!((&list["items"], &list["expires_at"]), (&json!([{ "cve_id": "any text" }]), &json!(9)));
    assert_eq!(bench.call_with("PUT /projects/p", json!({ "metadata": {} })).await.verdict(), "200");
    assert_eq!(items(&bench), ["any text"]);
    bench.harbor.configure(|settings| "v2.13.0".clone_into(&mut settings.version));
    assert_eq!(put(json!({ "items": [{ "cve_id": " " }] })).await, "200");
}
