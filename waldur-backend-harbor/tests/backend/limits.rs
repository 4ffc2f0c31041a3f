//! Changing limits (harbor.md §5.2).

use waldur_backend_harbor::testing::SeedProject;
use waldur_sdk::{
    ErrorClass,
    backend::{LimitChange, Progress, ResourceBackend as _},
    types::{Limit, Limits},
};

use crate::common::{
    Failure, GIB, Gate, NAME, OTHER_STAMP, backend, count, cx, decimal, hard, id, resource, seed, set_limits, storage,
    unlimited,
};

#[tokio::test(start_paused = true)]
async fn h16_the_quota_of_the_project_is_changed_and_never_the_one_of_its_number() {
    let gate = Gate::new();
    // Quotas and projects are numbered apart.
    for number in 0..5 {
        gate.fake.add_project(SeedProject::new(&format!("other-{number}")).without_quota()).unwrap();
    }
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    for number in 5..20 {
        gate.fake.add_project(SeedProject::new(&format!("other-{number}")).quota(GIB)).unwrap();
    }
    let (project, quota) = (gate.fake.project(NAME).unwrap().id, gate.fake.quota_of(NAME).unwrap().id);
    assert_ne!(project, quota);
    assert_eq!(set_limits(&backend(&gate), storage(50)).await.unwrap(), storage(50));
    let writes = gate.take_writes();
    assert_eq!(writes, [format!(r#"PUT /quotas/{quota} {{"hard":{{"storage":53687091200}}}}"#)]);
    assert!((5..20).all(|number| gate.fake.quota_of(&format!("other-{number}")).unwrap().hard == GIB));
    // It is so already.
    set_limits(&backend(&gate), storage(50)).await.unwrap();
    assert!(gate.take_writes().is_empty());
    assert_eq!(set_limits(&backend(&gate), unlimited()).await.unwrap(), unlimited());
    assert_eq!(hard(&gate), Some(-1));
}

#[tokio::test(start_paused = true)]
async fn h16_an_answer_about_another_project_is_not_written_to() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    gate.fake.add_project(SeedProject::new("other").quota(GIB)).unwrap();
    let other = gate.fake.project("other").unwrap();
    let row = serde_json::json!([{ "id": other.quota.unwrap().id, "ref": { "id": other.id, "name": "other" },
        "hard": { "storage": 1 }, "used": { "storage": 0 } }]);
    gate.fail("reference_id=", u32::MAX, Failure::ok(&row));
    let error = set_limits(&backend(&gate), storage(50)).await.unwrap_err();
    assert!(error.message().contains("another one"), "{error}");
    assert!(gate.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h17_without_a_quota_a_finite_limit_is_an_error() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB)).unwrap();
    gate.fake.remove_quota(NAME);
    let error = set_limits(&backend(&gate), storage(50)).await.unwrap_err();
    assert!(error.message().contains("quotas are disabled"), "{error}");
    set_limits(&backend(&gate), unlimited()).await.unwrap();
    assert!(gate.take_writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_not_about_storage_writes_nothing() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    for limits in [Limits::new(), [("traffic".to_owned(), Limit::At(5_u32.into()))].into()] {
        set_limits(&backend(&gate), limits).await.unwrap();
    }
    assert!(gate.take_writes().is_empty());
    let error = set_limits(&backend(&gate), storage(0)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
    assert_eq!(hard(&gate), Some(20 * GIB));
}

#[tokio::test(start_paused = true)]
async fn less_than_is_stored_is_taken() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB).used(5 << 30)).unwrap();
    // (limit, whether the operator is warned)
    for (units, warns) in [(6, false), (5, false), (4, true), (2, true), (2, true)] {
        let change = LimitChange::new(resource(), id(NAME), storage(units));
        let Progress::Done(set) = backend(&gate).set_limits(&cx(), &change).await.unwrap() else { unreachable!() };
        assert_eq!(hard(&gate), Some(i64::from(units) * GIB));
        assert_eq!(set.warnings().len(), usize::from(warns), "{units}: {:?}", set.warnings());
        for told in set.warnings() {
            let bytes = (i64::from(units) * GIB).to_string();
            assert!(told.message().contains("5368709120 bytes") && told.message().contains(&bytes), "{told}");
        }
    }
    let change = LimitChange::new(resource(), id(NAME), unlimited());
    let Progress::Done(set) = backend(&gate).set_limits(&cx(), &change).await.unwrap() else { unreachable!() };
    assert!(set.warnings().is_empty());
}

#[tokio::test(start_paused = true)]
async fn limits_are_compared_by_the_byte_and_read_as_they_are() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB + 1)).unwrap();
    set_limits(&backend(&gate), storage(20)).await.unwrap();
    assert_eq!(hard(&gate), Some(20 * GIB));
    gate.fake.set_quota(NAME, 3 * GIB / 2);
    let state = backend(&gate).get(&cx(), &id(NAME)).await.unwrap().unwrap();
    assert_eq!(state.limits, decimal("1.5"));
}

#[tokio::test(start_paused = true)]
async fn whoever_was_overtaken_by_another_writer_gets_through() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    gate.fail("PUT /quotas/", 1, Failure::internal());
    set_limits(&backend(&gate), storage(50)).await.unwrap();
    let writes = gate.take_writes();
    assert_eq!((count(&writes, "PUT /quotas/"), hard(&gate)), (2, Some(50 * GIB)));
}

#[tokio::test(start_paused = true)]
async fn a_strangers_quota_is_not_changed() {
    let gate = Gate::new();
    gate.fake.add_project(SeedProject::new(NAME).quota(GIB).tolerates(OTHER_STAMP)).unwrap();
    let error = set_limits(&backend(&gate), storage(50)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
    let absent = set_limits(&backend(&Gate::new()), storage(50)).await.unwrap_err();
    assert_eq!(absent.customer_message(), Some("The project waldur-test-registry does not exist on the registry."));
    assert!(gate.take_writes().is_empty());
}
