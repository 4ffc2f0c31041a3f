//! Resources and objects that get another name (faults.md row 114).

use waldur_sdk::{
    process::SyncOutcome,
    testing::waldur::Generation,
    types::{ResourceUuid, Uuid},
};

use crate::{
    orders::BOTH,
    world::{Site, assert_synced, only},
};

#[tokio::test(start_paused = true)]
async fn a_resource_that_was_renamed_in_waldur_is_found_by_its_id() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let resource = site.resource("one", &["a"]);
    site.waldur().change_resource(resource, |row| row.name("Another name").slug("another-slug"));
    let report = site.pass().await;
    assert_synced(&report);
    assert_eq!(
        (only(&report).name.as_str(), site.world.ids(), site.service().writes()),
        ("Another name", vec!["one".to_owned()], 0)
    );
}

/// On the back ends that there are an object's id is its only name: under another one it is another object. That it is
/// gone is reported; nobody makes it anew, gives access to what has its name now, or takes the stamp for an id.
#[tokio::test(start_paused = true)]
async fn f114_an_object_that_was_renamed_in_the_back_end_is_reported_and_not_made_anew() {
    for generation in BOTH {
        let site = Site::new(generation);
        site.member("a");
        let resource = site.resource("one", &["b"]);
        site.service().put("renamed", site.object("one"));
        site.service().lose("one");
        // Another resource's object got the name that became free.
        for taken in [false, true] {
            if taken {
                let mut stranger = site.object("renamed");
                stranger.stamp = Some(ResourceUuid::new(Uuid::from_u128(0x0bad)));
                site.service().put("one", stranger);
            }
            let report = site.pass().await;
            let outcome = &only(&report).outcome;
            assert!(
                matches!((taken, outcome), (false, SyncOutcome::Missing) | (true, SyncOutcome::Foreign)),
                "{outcome}"
            );
            assert!(!report.is_clean(), "somebody has to look");
            assert_eq!((site.writes(), site.service().writes()), (Vec::new(), 0));
            assert_eq!(site.access("renamed"), "b");
        }
        // Whoever renamed it says so, and it is found again.
        site.waldur().change_resource(resource, |row| row.backend_id("renamed"));
        site.pass().await;
        assert!(site.members("renamed").contains(&"a".to_owned()));
    }
}
