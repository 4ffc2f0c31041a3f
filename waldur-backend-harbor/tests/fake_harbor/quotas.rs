//! Quotas (harbor.md §3.1, §5.3).

use futures_util::future::join;
use serde_json::json;
use waldur_backend_harbor::testing::{Image, SeedProject};

use super::support::Bench;

#[tokio::test]
async fn a_quota_has_an_id_of_its_own() {
    let bench = Bench::new();
    for _ in 0..2 {
        bench.call_with("POST /projects", json!({ "project_name": "taken" })).await;
    }
    let project = bench.harbor.add_project(SeedProject::new("p").quota(5)).unwrap();
    let quota = project.quota.unwrap();
    assert_ne!(project.id, quota.id);
    // The id of the project is nobody's, or somebody else's.
    let wrong = bench.call_with(&format!("PUT /quotas/{}", project.id), json!({ "hard": { "storage": 9 } })).await;
    assert_eq!(wrong.verdict(), format!("404 NOT_FOUND: quota {} not found", project.id));
    let row = bench.call(&format!("GET /quotas?reference=project&reference_id={}", project.id)).await.body;
    assert_eq!((&row[0]["id"], &row[0]["ref"]["name"]), (&json!(quota.id), &json!("p")));
    let right = bench.call_with(&format!("PUT /quotas/{}", quota.id), json!({ "hard": { "storage": 9 } })).await;
    assert_eq!((right.status, bench.harbor.quota_of("p").unwrap().hard), (200, 9));
}

#[tokio::test]
async fn of_concurrent_changes_one_is_kept_and_the_others_fail() {
    let internal = "500 UNKNOWN: internal server error";
    for (overlap, verdicts) in [(true, ["200", internal]), (false, ["200", "200"])] {
        let bench = Bench::with(|builder| builder.quota_overlap(overlap));
        let id = bench.harbor.add_project(SeedProject::new("p").quota(5)).unwrap().quota.unwrap().id;
        let call = format!("PUT /quotas/{id}");
        let change = |bytes: u32| bench.call_with(&call, json!({ "hard": { "storage": bytes } }));
        let (one, other) = join(change(7), change(8)).await;
        assert_eq!([one.verdict().as_str(), other.verdict().as_str()], verdicts);
        assert_eq!(bench.harbor.quota_of("p").unwrap().hard, if overlap { 7 } else { 8 });
    }
}

#[tokio::test]
async fn a_change_can_be_acknowledged_and_not_kept() {
    let bench = Bench::new();
    let id = bench.harbor.add_project(SeedProject::new("p").quota(5)).unwrap().quota.unwrap().id;
    bench.harbor.ignore_quota_writes(1);
    for kept in [5, 9] {
        let answer = bench.call_with(&format!("PUT /quotas/{id}"), json!({ "hard": { "storage": 9 } })).await;
        assert_eq!((answer.status, bench.harbor.quota_of("p").unwrap().hard), (200, kept));
    }
}

#[tokio::test]
async fn limits_are_positive_or_none_at_all() {
    let bench = Bench::new();
    let id = bench.harbor.add_project(SeedProject::new("p").quota(5)).unwrap().quota.unwrap().id;
    for (limit, verdict) in [
        (json!(0), "400 BAD_REQUEST: invalid non-positive value for quota limit, value=0"),
        (
            json!((1_i64 << 50) + 1),
            "400 BAD_REQUEST: exceeded 1024TB, which is 1125899906842624 Bytes, value=1125899906842625",
        ),
        (json!(1_i64 << 50), "200"),
        (json!(-1), "200"),
    ] {
        let answer = bench.call_with(&format!("PUT /quotas/{id}"), json!({ "hard": { "storage": limit } })).await;
        assert_eq!(answer.verdict(), verdict);
    }
    let none = bench.call_with(&format!("PUT /quotas/{id}"), json!({ "hard": {} })).await;
    assert_eq!(none.verdict(), "400 BAD_REQUEST: hard required in body");
}

#[tokio::test]
async fn late_usage_shows_when_it_is_written_down() {
    let bench = Bench::with(|builder| builder.configure(|settings| settings.late_usage = true));
    bench.harbor.add_project(SeedProject::new("p")).unwrap();
    bench.harbor.push("p", "app", Image::new("v1").layer("a", 70)).unwrap();
    assert_eq!(bench.harbor.quota_of("p").unwrap().used, 0);
    assert_eq!(bench.harbor.project("p").unwrap().stored, 70);
    bench.harbor.flush_usage();
    assert_eq!(bench.harbor.quota_of("p").unwrap().used, 70);
}
