//! What an order of each kind costs on the storage (performance.md §3).

use std::time::Duration;

use serde_json::json;
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    ErrorKind,
    backend::ResourceBackend as _,
    process::OrderOutcome,
    testing::conformance::{Scene, Work},
    types::{ResourceUuid, Uuid},
};

use crate::{
    common::{Gate, On, UID, count, create, cx, delete, id, request, resource, usage_components},
    conformance::Gateway,
};

/// The calls of one order to the storage, without the user's name.
async fn calls(on: On, mode: &str, work: Work) -> Vec<String> {
    let settings = json!({ "credentials_mode": mode });
    let scene = Scene::new(work, || Gateway::for_work(on, work).with(settings.clone()));
    let world = scene.ready().await.unwrap();
    world.subject.gate.take_log();
    let report = world.pass().await.unwrap();
    let outcome = &report.orders.first().unwrap().outcome;
    assert!(matches!(outcome, OrderOutcome::Done), "{on:?} {mode} {work:?}: {outcome}");
    world.subject.gate.take_log()
}

/// A list of everybody, which is croit's only way to show one user.
const LIST: &str = "GET /api/s3/users";

#[tokio::test(start_paused = true)]
async fn an_order_costs_its_writes_and_one_reading_back_and_lists_everybody_as_often_as_it_must() {
    use Work::{Create, Restore, Terminate, UpdateLimits, UpdateOptions};
    // Which mode, which order, how many calls on RadosGW; on croit, how many in all and how many lists of everybody.
    let table = [
        // User, quotas, reading back.
        ("metadata", Create, 3, 5, 1),
        ("metadata", Restore, 3, 5, 1),
        // Whose it is, quotas, reading back.
        ("metadata", UpdateLimits, 3, 4, 2),
        // It says nothing of limits, so that these are not looked at again.
        ("metadata", UpdateOptions, 3, 4, 2),
        // Whose it is, the deletion, the proof.
        ("metadata", Terminate, 3, 3, 2),
        // Two keys more, each with its own reading; croit's own key goes.
        ("api_keys", Create, 9, 9, 1),
        ("both", Create, 9, 9, 1),
        // And which keys there were before: Waldur may know some.
        ("api_keys", Restore, 10, 10, 1),
        ("both", Restore, 10, 10, 1),
        ("api_keys", UpdateLimits, 3, 4, 2),
        ("api_keys", UpdateOptions, 3, 4, 2),
        ("api_keys", Terminate, 3, 3, 2),
    ];
    for (mode, work, radosgw, croit, lists) in table {
        let log = calls(On::RadosGw, mode, work).await;
        assert_eq!(log.len(), radosgw, "{mode} {work:?}: {log:#?}");
        let log = calls(On::Croit, mode, work).await;
        let listed = log.iter().filter(|line| *line == LIST).count();
        assert_eq!((log.len(), listed), (croit, lists), "{mode} {work:?}: {log:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn quotas_are_read_back_after_the_last_of_them_is_written_in_orders_of_each_kind() {
    for on in [On::RadosGw, On::Croit] {
        for work in [Work::Create, Work::Restore, Work::UpdateLimits, Work::UpdateOptions] {
            let log = calls(on, "api_keys", work).await;
            let last = log.iter().rposition(|line| line.starts_with("PUT") && line.contains("quota")).unwrap();
            let user = if on == On::Croit { LIST } else { "GET /admin/user?uid=" };
            assert!(count(&log[last..], user) > 0, "{on:?} {work:?}: {log:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_read_back_stands_for_ten_seconds_and_only_until_the_next_write() {
    let gate = Gate::croit();
    let backend = gate.backend(json!({ "credentials_mode": "api_keys" }), &usage_components());
    let mint = async |resource| {
        gate.take_log();
        let minted = backend.keys().unwrap().mint(&cx(), &resource, &id()).await;
        let lists = gate.take_log().iter().filter(|line| *line == LIST).count();
        (minted.map(drop).map_err(|error| error.kind()), lists)
    };
    let ours = || resource(json!({}));
    create(&backend, &request(json!({}))).await.unwrap();
    assert_eq!(mint(ours()).await, (Ok(()), 0));
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(mint(ours()).await, (Ok(()), 1), "longer ago it says nothing");

    // It says whose the user is, and it is not another resource's.
    create(&backend, &request(json!({}))).await.unwrap();
    let mut other = ours();
    other.uuid = ResourceUuid::new(Uuid::from_u128(7));
    assert_eq!(mint(other).await, (Err(ErrorKind::Foreign), 0));

    // Nor does it say who has the name after a deletion.
    create(&backend, &request(json!({}))).await.unwrap();
    delete(&backend).await.unwrap();
    gate.fake.add_user(SeedUser::new(UID).email("stranger@example.org")).unwrap();
    assert_eq!(mint(ours()).await, (Err(ErrorKind::Foreign), 1));
    assert!(gate.fake.user(UID).unwrap().keys.is_empty());
}
