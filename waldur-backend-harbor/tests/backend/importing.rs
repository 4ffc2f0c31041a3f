//! What could be taken over.

use waldur_backend_harbor::testing::SeedProject;
use waldur_sdk::{
    ErrorKind, Result,
    backend::{Importable, ResourceBackend as _},
};

use crate::common::{ALWAYS, Failure, GIB, Gate, OTHER_STAMP, STAMP, backend, count, cx, storage};

async fn list(gate: &Gate) -> Result<Vec<Importable>> {
    backend(gate).importer().unwrap().list(&cx()).await.map(waldur_sdk::rest::Complete::into_items)
}

fn gate() -> Gate {
    let gate = Gate::new();
    let stamped = |name: &str| SeedProject::new(name).quota(5 * GIB).group("waldur-team", 2);
    for seed in [
        stamped("waldur-a"),
        stamped("waldur-b"),
        stamped("waldur-ours").tolerates(STAMP),
        stamped("waldur-twice").tolerates(STAMP).tolerates(OTHER_STAMP),
        SeedProject::new("elsewhere"),
    ] {
        gate.fake.add_project(seed).unwrap();
    }
    gate
}

#[tokio::test(start_paused = true)]
async fn what_carries_a_stamp_is_told_with_it_and_what_carries_two_is_not_told_of() {
    let gate = gate();
    let found = list(&gate).await.unwrap();
    let shown: Vec<_> = found.iter().map(|one| (one.backend_id.as_str(), one.parent.as_deref(), one.stamp)).collect();
    let ours = crate::common::resource().stamp();
    let expected =
        [("waldur-a", Some("team"), None), ("waldur-b", Some("team"), None), ("waldur-ours", None, Some(ours))];
    assert_eq!(shown, expected);
    assert!(found.iter().all(|one| one.limits == storage(5)));
    assert_eq!(count(&gate.take_log(), "/members"), 2, "nobody asks where it belongs that is somebody's");
}

#[tokio::test(start_paused = true)]
async fn one_whose_members_cannot_be_read_leaves_the_others() {
    let gate = gate();
    gate.fail("GET /projects/waldur-a/members", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    let found = list(&gate).await.unwrap();
    let shown: Vec<_> = found.iter().map(|one| (one.parent.as_deref(), one.failure.is_some())).collect();
    assert_eq!(shown, [(None, true), (Some("team"), false), (None, false)], "unknown is not nowhere");
    // Of one that is gone since it was listed there is nothing to tell.
    gate.after("GET /projects?", |harbor| assert!(harbor.remove_project("waldur-a")));
    assert_eq!(list(&gate).await.unwrap().len(), 2);
    // Whoever is not let in knows of nobody where it belongs.
    gate.mend();
    gate.expire_after("GET /projects?");
    assert_eq!(list(&gate).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
}
