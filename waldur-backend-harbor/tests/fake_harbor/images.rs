//! Repositories, artifacts and tags (harbor.md §3, §5.3, §5.4).

use serde_json::json;
use waldur_backend_harbor::testing::{Image, SeedProject};

use super::support::Bench;

#[tokio::test]
async fn layers_count_once_in_a_project_and_again_in_the_next() {
    let bench = Bench::new();
    for name in ["one", "other"] {
        bench.harbor.add_project(SeedProject::new(name)).unwrap();
    }
    let image = |tag: &str, own: u64| Image::new(tag).layer("base", 100).layer(tag, own);
    bench.harbor.push("one", "app", image("v1", 7)).unwrap();
    bench.harbor.push("one", "app", image("v2", 8)).unwrap();
    bench.harbor.push("one", "tools/app", image("v1", 7)).unwrap();
    bench.harbor.push("other", "app", image("v1", 7)).unwrap();
    let used = |name: &str| bench.harbor.quota_of(name).unwrap().used;
    assert_eq!((used("one"), used("other")), (115, 107));
    let all = bench.ask(&bench.admin(), "GET /statistics", json!(null)).await.body;
    assert_eq!((&all["total_storage_consumption"], &all["private_repo_count"]), (&json!(115), &json!(3)));
    // What only one image had goes with it, at once.
    assert_eq!(bench.verdict("DELETE /projects/one/repositories/app").await, "200");
    assert_eq!(used("one"), 107);
    assert!(bench.harbor.upload("one", "unfinished", 3));
    assert_eq!(used("one"), 110);
}

#[tokio::test]
async fn a_push_that_does_not_fit_is_denied() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").quota(100)).unwrap();
    bench.harbor.push("p", "app", Image::new("v1").layer("a", 100)).unwrap();
    bench.harbor.push("p", "app", Image::new("v2").layer("a", 100)).unwrap();
    let refused = bench.harbor.push("p", "app", Image::new("v3").layer("b", 1)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "403 DENIED: adding 1 B of storage resource, which when updated to current usage of 100 B will exceed the \
         configured upper limit of 100 B."
    );
    assert_eq!(bench.harbor.push("nope", "app", Image::new("v1")).unwrap_err().status(), 404);
}

#[tokio::test]
async fn a_name_with_a_slash_is_encoded_twice() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").image("a/b/c", Image::new("v1").layer("x", 1))).unwrap();
    for (name, status) in [("a%2Fb%2Fc", 404), ("a/b/c", 404), ("a%252Fb", 404), ("a%252Fb%252Fc", 200)] {
        let answer = bench.call(&format!("DELETE /projects/p/repositories/{name}")).await;
        assert_eq!(answer.status, status, "{name}");
    }
    assert!(bench.harbor.repositories_of("p").is_empty());
    assert!(bench.harbor.unmodelled().is_empty());
}

#[tokio::test]
async fn what_cannot_be_deleted_holds_its_repository() {
    let bench = Bench::new();
    let image = |tag: &str| Image::new(tag).layer(tag, 10);
    let seed = SeedProject::new("p").image("app", image("kept")).image("app", image("v2"));
    bench.harbor.add_project(seed).unwrap();
    assert!(bench.harbor.make_immutable("p", "app", "kept"));
    let refused = "412 PRECONDITION: the tag kept configured as immutable, cannot be deleted";
    assert_eq!(bench.verdict("DELETE /projects/p/repositories/app").await, refused);
    // The newer one was deleted before.
    assert_eq!(bench.harbor.quota_of("p").unwrap().used, 10);
    assert_eq!(bench.harbor.repositories_of("p"), ["app"]);
    let moved = bench.harbor.push("p", "app", Image::new("kept").layer("new", 1)).unwrap_err();
    assert_eq!(moved.message(), "Failed to process request due to 'p/app:kept' configured as immutable.");
    assert!(bench.harbor.remove_repository("p", "app"));
}

#[tokio::test]
async fn artifacts_and_tags_come_and_go_over_the_api() {
    let bench = Bench::new();
    bench.harbor.add_project(SeedProject::new("p").image("app", Image::new("v1").layer("x", 5))).unwrap();
    let admin = bench.admin();
    let base = "/projects/p/repositories/app/artifacts";
    let made = bench.ask(&admin, &format!("POST {base}/v1/tags"), json!({ "name": "latest" })).await;
    assert_eq!(
        (made.status, made.headers["location"].as_str()),
        (201, format!("/api/v2.0{base}/v1/tags/latest").as_str())
    );
    let tags = bench.ask(&admin, &format!("GET {base}/latest/tags"), json!(null)).await;
    assert_eq!(tags.column("name"), ["v1", "latest"]);
    for (call, verdict) in [
        (format!("DELETE {base}/v1/tags/latest"), "200"),
        (format!("GET {base}/latest"), "404 NOT_FOUND: artifact p/app:latest not found"),
        (format!("DELETE {base}/v1"), "200"),
        (format!("GET {base}"), "200"),
    ] {
        assert_eq!(bench.ask(&admin, &call, json!(null)).await.verdict(), verdict, "{call}");
    }
    // An empty repository is still one, and holds its project.
    assert_eq!(bench.harbor.quota_of("p").unwrap().used, 0);
    assert_eq!(bench.verdict("DELETE /projects/p").await[..3], *"412");
}
