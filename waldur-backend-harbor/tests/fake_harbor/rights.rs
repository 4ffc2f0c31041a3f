//! Who is told what (harbor.md §2.3, §7).

use serde_json::{Value, json};
use waldur_backend_harbor::testing::{Permission, SeedProject, SeedRobot};

use super::support::{Bench, Login, permissions};

const UNAUTHORIZED: &str = "401 UNAUTHORIZED: unauthorized";
const FORBIDDEN: &str = "403 FORBIDDEN: forbidden";

async fn told(bench: &Bench, login: &Login, call: &str) -> String {
    bench.ask(login, call, Value::Null).await.verdict()
}

#[tokio::test]
async fn a_missing_project_is_forbidden_to_robots_and_missing_to_administrators() {
    let bench = Bench::new();
    for call in [
        "GET /projects/nope",
        "DELETE /projects/nope",
        "GET /projects/nope/summary",
        "GET /projects/nope/_deletable",
        "GET /projects/nope/members",
        "GET /projects/nope/repositories",
        "GET /projects/4711",
    ] {
        assert_eq!(told(&bench, &bench.robot(), call).await, FORBIDDEN, "{call}");
        assert!(told(&bench, &bench.admin(), call).await.starts_with("404 NOT_FOUND: project "), "{call}");
    }
    assert_eq!(told(&bench, &bench.robot(), "HEAD /projects?project_name=nope").await, "404");
    assert_eq!(told(&bench, &bench.robot(), "HEAD /projects?project_name=library").await, "200");
}

#[tokio::test]
async fn a_wrong_password_is_refused_everywhere_but_where_anybody_may_ask() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("private")).unwrap();
    let wrong = Login::of(bench.harbor.robot_login(), "wrong");
    for call in [
        "GET /projects/private",
        "DELETE /projects/private",
        "GET /quotas",
        "GET /usergroups",
        "GET /usergroups/search?groupname=a",
        "GET /statistics",
        "GET /robots",
        "GET /users/current",
    ] {
        assert_eq!(told(&bench, &wrong, call).await, UNAUTHORIZED, "{call}");
    }
    assert_eq!(told(&bench, &wrong, "HEAD /projects?project_name=private").await, "401");
    let list = bench.ask(&wrong, "GET /projects", Value::Null).await;
    assert_eq!((list.status, list.column("name")), (200, vec![json!("library")]));
    assert_eq!(bench.ask(&wrong, "GET /projects?name=private", Value::Null).await.body, json!([]));
    assert_eq!(told(&bench, &wrong, "GET /health").await, "200");
    assert_eq!(told(&bench, &wrong, "GET /projects/library").await, "200");
    assert_eq!(bench.harbor.refused_logins(), 13);
}

#[tokio::test]
async fn each_right_is_needed_by_the_call_that_proves_it() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").group("g", 2)).unwrap();
    let in_system = [
        ("quota:list", "GET /quotas?page_size=1"),
        ("quota:read", "GET /quotas/2"),
        ("user-group:list", "GET /usergroups?group_name=g"),
        ("user-group:read", "GET /usergroups/1"),
        ("user-group:delete", "DELETE /usergroups/99"),
    ];
    let in_projects = [
        ("project:read", "GET /projects/p"),
        ("project:delete", "GET /projects/p/_deletable"),
        ("member:list", "GET /projects/p/members"),
        ("repository:list", "GET /projects/p/repositories"),
    ];
    let [system, projects] = permissions().try_into().unwrap();
    for (right, call) in in_system.into_iter().chain(in_projects) {
        let less = vec![system.clone().without(right), projects.clone()];
        let less = if in_system.contains(&(right, call)) {
            less
        } else {
            vec![system.clone(), projects.clone().without(right)]
        };
        let (login, secret) =
            bench.harbor.add_robot(SeedRobot::system(&format!("no-{}", right.replace(':', "-")), less).secret("s"));
        assert_eq!(secrecy_text(&secret), "s");
        let told_less = told(&bench, &Login::of(&login, "s"), call).await;
        assert!(told_less.starts_with("403 FORBIDDEN"), "{right}: {told_less}");
        assert_eq!(told(&bench, &bench.robot(), call).await, "200", "{right}");
    }
}

fn secrecy_text(secret: &secrecy::SecretString) -> String {
    secrecy::ExposeSecret::expose_secret(secret).to_owned()
}

#[tokio::test]
async fn robots_of_one_project_see_no_other_and_make_none() {
    let bench = Bench::new();
    for name in ["one", "other"] {
        bench.harbor.add_project(SeedProject::new(name)).unwrap();
    }
    let seed = SeedRobot::of_project("one", "ci", &["project:read", "repository:list"]).secret("s");
    let (login, _) = bench.harbor.add_robot(seed);
    assert_eq!(login, "robot$one+ci");
    let robot = Login::of(&login, "s");
    assert_eq!(told(&bench, &robot, "GET /projects/one").await, "200");
    assert_eq!(told(&bench, &robot, "GET /projects/other").await, FORBIDDEN);
    assert_eq!(told(&bench, &robot, "GET /quotas").await, "403 FORBIDDEN: robot$one+ci");
    let listed = bench.ask(&robot, "GET /projects", Value::Null).await;
    assert_eq!(listed.column("name"), ["library", "one"]);
    let made = bench.ask(&robot, "POST /projects", json!({ "project_name": "mine" })).await;
    assert_eq!(made.verdict(), "403 FORBIDDEN: Only system level robot can create project");
    // Its project's end is its own.
    assert!(bench.harbor.remove_project("one"));
    assert_eq!(told(&bench, &robot, "GET /statistics").await, UNAUTHORIZED);
}

#[tokio::test]
async fn robots_stop_working_when_they_expire_or_are_switched_off() {
    let bench = Bench::new();
    bench.set_clock("2026-11-22T00:00:00Z");
    let (login, _) = bench.harbor.add_robot(SeedRobot::system("short", permissions()).secret("s").days(1));
    let robot = Login::of(&login, "s");
    assert_eq!(told(&bench, &robot, "GET /quotas").await, "200");
    bench.set_clock("2026-11-23T00:00:00Z");
    assert_eq!(told(&bench, &robot, "GET /quotas").await, UNAUTHORIZED);
    assert!(bench.harbor.edit_robot(&login, |robot| *robot.expires_at = -1));
    assert_eq!(told(&bench, &robot, "GET /quotas").await, "200");
    assert!(bench.harbor.edit_robot(&login, |robot| *robot.disabled = true));
    assert_eq!(told(&bench, &robot, "GET /quotas").await, UNAUTHORIZED);
    assert!(!bench.harbor.edit_robot("robot$nobody", |_| {}));
}

#[tokio::test]
async fn what_a_robot_can_be_given_depends_on_the_release() {
    let robot = |access: &[(&str, &str)]| {
        let access: Vec<Value> =
            access.iter().map(|(resource, action)| json!({ "resource": resource, "action": action })).collect();
        let permission = json!({ "kind": "system", "namespace": "/", "access": access });
        json!({ "name": "r", "level": "system", "duration": -1, "permissions": [permission] })
    };
    for (version, right, verdict) in [
        ("v2.11.2", ("user-group", "create"), "400 BAD_REQUEST: bad request permission: user-group:create"),
        ("v2.11.2", ("quota", "list"), "201"),
        ("v2.12.0", ("user-group", "create"), "201"),
        ("v2.12.0", ("quota", "update"), "201"),
        ("v2.12.0", ("moon", "fly"), "400 BAD_REQUEST: bad request permission: moon:fly"),
        ("-", ("moon", "fly"), "201"),
    ] {
        let bench = Bench::with(|builder| builder.version(version).no_robot());
        let answer = bench.ask(&bench.admin(), "POST /robots", robot(&[right])).await;
        assert_eq!(answer.verdict(), verdict, "{version}");
    }
}

#[tokio::test]
async fn a_robot_reads_robots_only_where_it_may() {
    let bench = Bench::new();
    assert_eq!(bench.verdict("GET /robots").await, "403 FORBIDDEN: robot$waldur");
    let (login, _) =
        bench.harbor.add_robot(SeedRobot::system("reader", vec![Permission::system(&["robot:list"])]).secret("s"));
    let listed = bench.ask(&Login::of(&login, "s"), "GET /robots?q=name%3Dwaldur", Value::Null).await;
    assert_eq!(listed.column("name"), ["robot$waldur"]);
    assert_eq!(listed.body[0]["expires_at"], -1);
    assert_eq!(listed.body[0]["permissions"].as_array().unwrap().len(), 2);
    assert_eq!(
        bench.verdict("GET /users/current").await,
        "412 PRECONDITION: get current user not available for security context: robot"
    );
    let known = bench.ask(&bench.admin(), "GET /permissions", Value::Null).await;
    let right = json!({ "action": "update", "resource": "quota" });
    assert!(known.body["system"].as_array().unwrap().contains(&right));
}

#[tokio::test]
async fn members_of_a_project_may_what_their_role_says() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p")).unwrap();
    bench.harbor.add_user("alice", "a", false).unwrap();
    let alice = Login::of("alice", "a");
    assert_eq!(told(&bench, &alice, "GET /projects/p").await, FORBIDDEN);
    assert!(bench.harbor.set_user_role("p", "alice", 5));
    assert_eq!(told(&bench, &alice, "GET /projects/p").await, "200");
    assert_eq!(told(&bench, &alice, "GET /projects/p/members").await, FORBIDDEN);
    assert!(bench.harbor.set_user_role("p", "alice", 3));
    assert_eq!(told(&bench, &alice, "GET /projects/p/members").await, "200");
    assert_eq!(told(&bench, &alice, "DELETE /projects/p").await, FORBIDDEN);
    assert!(bench.harbor.set_user_role("p", "alice", 1));
    assert_eq!(told(&bench, &alice, "DELETE /projects/p").await, "200");
}
