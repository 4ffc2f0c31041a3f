//! User groups and members (harbor.md §2.1, §3, §5.5).

use serde_json::{Value, json};
use waldur_backend_harbor::testing::SeedProject;

use super::support::Bench;

#[tokio::test]
async fn a_search_takes_wildcards_and_has_one_page_from_2_14_on() {
    let groups = ["waldur_a", "waldur-a", "waldur-a-much-longer", "Waldur-A"];
    let search = async |version: &str, query: &str| {
        let bench = Bench::with(|builder| builder.version(version));
        for name in groups {
            bench.harbor.add_group(name, 3).unwrap();
        }
        let answer = bench.call(&format!("GET /usergroups/search?{query}")).await;
        let names = answer.column("group_name");
        (names.iter().map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>(), answer.total())
    };
    let (names, total) = search("v2.14.0", "groupname=waldur_a").await;
    assert_eq!((names, total), (vec!["waldur-a".into(), "waldur_a".into(), "waldur-a-much-longer".into()], 1));
    let (names, _) = search("v2.13.0", "groupname=waldur_a").await;
    assert_eq!(names, ["waldur_a"]);
    // Announced: three. There are: two pages with the same row.
    let (names, total) = search("v2.14.0", "groupname=waldur-a&page=2&page_size=1").await;
    assert_eq!((names, total), (vec!["waldur-a".to_owned()], 3));
    let (names, total) = search("v2.13.0", "groupname=waldur-a&page=2&page_size=1").await;
    assert_eq!((names, total), (vec!["waldur-a-much-longer".to_owned()], 3));
    let (names, _) = search("v2.13.0", "groupname=waldur-a").await;
    assert_eq!(names, ["waldur-a", "Waldur-A", "waldur-a-much-longer"]);
}

#[tokio::test]
async fn group_names_are_unique_whatever_their_kind() {
    let bench = Bench::new();
    bench.harbor.add_group("g", 2).unwrap();
    let taken = bench.call_with("POST /usergroups", json!({ "group_name": "g", "group_type": 3 })).await;
    assert_eq!(taken.verdict(), "409 CONFLICT: duplicate user group, group name:g, group type: 3, ldap group DN: ");
    let other_case = bench.call_with("POST /usergroups", json!({ "group_name": "G", "group_type": 3 })).await;
    assert_eq!((other_case.status, other_case.headers["location"].as_str()), (201, "/api/v2.0/usergroups/2"));
    assert_eq!(bench.harbor.idle_groups(), ["G"]);
    let forgotten = bench.call_with("POST /usergroups", json!({ "group_name": "kindless" })).await;
    assert_eq!((forgotten.status, bench.harbor.group("kindless").unwrap().kind), (201, 0));
}

#[tokio::test]
async fn the_total_of_members_ignores_the_name_that_was_asked_for() {
    let bench = Bench::new();
    let seed = (0..24).fold(SeedProject::new("p"), |seed, number| seed.group(&format!("g{number:02}"), 2));
    bench.harbor.add_project(seed).unwrap();
    let found = bench.call("GET /projects/p/members?entityname=g23&page_size=100").await;
    assert_eq!((found.column("entity_name"), found.total()), (vec![json!("g23")], 25));
    let found = bench.call("GET /projects/p/members?entityname=g2").await;
    assert_eq!((found.body, found.headers["x-total-count"].as_str()), (json!([]), "25"));
    let last = bench.call("GET /projects/p/members?page=3").await;
    assert_eq!(last.column("entity_name"), ["g19", "g20", "g21", "g22", "g23"]);
}

#[tokio::test]
async fn a_role_binds_a_group_until_one_of_them_goes() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p")).unwrap();
    let group = bench.harbor.add_group("waldur-a", 3).unwrap().id;
    let bind = async |role: i64| {
        let body = json!({ "role_id": role, "member_group": { "id": group } });
        bench.call_with("POST /projects/p/members", body).await
    };
    assert_eq!(bind(9).await.verdict(), "400 BAD_REQUEST: Failed to update project member, role is not in 1,2,3");
    let bound = bind(2).await;
    assert_eq!((bound.status, bound.headers["location"].as_str()), (201, "/api/v2.0/projects/p/members/3"));
    assert_eq!(bind(2).await.verdict(), "409 CONFLICT: The project member specified already exist");
    assert_eq!(bench.harbor.roles_by_claim("p", &["waldur-a"]), [2]);
    assert_eq!(bench.harbor.roles_by_claim("p", &["/waldur-a", "Waldur-a"]), Vec::<i64>::new());
    for (call, body) in [
        ("PUT /projects/p/members/3", json!({ "role_id": 4 })),
        // Nobody has these numbers, and nobody says so.
        ("PUT /projects/p/members/4711", json!({ "role_id": 4 })),
        ("DELETE /projects/p/members/4711", Value::Null),
        ("DELETE /usergroups/4711", Value::Null),
    ] {
        assert_eq!(bench.call_with(call, body).await.verdict(), "200", "{call}");
    }
    assert_eq!(bench.harbor.project("p").unwrap().groups(), [("waldur-a", 4)]);
    assert_eq!(bench.verdict(&format!("DELETE /usergroups/{group}")).await, "200");
    assert!(bench.harbor.project("p").unwrap().groups().is_empty());
}

#[tokio::test]
async fn a_user_may_be_called_like_a_group() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").group("same", 3)).unwrap();
    bench.harbor.add_user("same", "s", false).unwrap();
    assert!(bench.harbor.set_user_role("p", "same", 1));
    let found = bench.call("GET /projects/p/members?entityname=same").await;
    let mut kinds = found.column("entity_type");
    kinds.sort_by_key(ToString::to_string);
    assert_eq!(kinds, ["g", "u"]);
}
