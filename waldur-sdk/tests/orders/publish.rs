//! What Waldur refuses to take of a new object, and takes later.

use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    backend::OpContext,
    process::FollowUp,
    testing::{Faults, MemoryBackend, op, status, waldur::Generation},
    types::BackendId,
};

use crate::orders::{World, assert_done};

#[tokio::test(start_paused = true)]
async fn what_waldur_refused_once_is_published_when_it_takes_it() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let faults = Faults::new(world.waldur.clone())
        .on(op("provider_resources.set_endpoints").first(2), status(403))
        .on(op("provider_resources.set_limits").first(2), status(400).json(&json!({ "limits": ["No."] })));
    let memory = |memory: MemoryBackend| memory.with_endpoint("https://s.example").with_ceiling("cpu", 3);
    let orders = world.agent().memory(memory).waldur(faults.clone()).build();
    let cx = OpContext::new("pass");
    let report = orders.run_once(&cx).await.unwrap();
    assert_done(&report.orders[0]);
    let [refused] = &report.orders[0].follow_ups[..] else { panic!("{report:#?}") };
    assert_eq!(refused.to_string(), "publish limits, endpoints");

    assert_eq!(orders.publish(&cx, refused).await.unwrap_err().status().map(|status| status.as_u16()), Some(400));
    let resource = world.resource(order);
    assert!(resource.endpoints.is_empty() && resource.limits["cpu"] == json!(4));
    for _twice in 0..2 {
        orders.publish(&cx, refused).await.unwrap();
        let resource = world.resource(order);
        assert_eq!((resource.endpoints.len(), &resource.limits["cpu"]), (1, &json!(3)));
    }
    assert!(faults.idle_rules().is_empty());

    // What is on its way out, or has another object by now, has nothing to publish.
    let sent = world.count("provider_resources.set_endpoints");
    let mut other = refused.clone();
    if let FollowUp::PublishResource { backend_id, .. } = &mut other {
        *backend_id = BackendId::new("res-2").unwrap();
    }
    orders.publish(&cx, &other).await.unwrap();
    assert_eq!(world.count("provider_resources.set_endpoints"), sent);
}

/// Limits that an order has changed since are not undone.
#[tokio::test(start_paused = true)]
async fn limits_are_published_as_they_are_by_then() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let refusal = status(400).json(&json!({ "limits": ["No."] }));
    let faults = Faults::new(world.waldur.clone()).on(op("provider_resources.set_limits").nth(1), refusal);
    let orders = world.agent().memory(|memory| memory.with_ceiling("cpu", 3)).waldur(faults).build();
    let cx = OpContext::new("pass");
    let report = orders.run_once(&cx).await.unwrap();
    let refused = report.follow_ups().next().unwrap().clone();
    let mut object = world.object("res");
    object.limits.insert("cpu".to_owned(), Some(2));
    world.service.put("res", object);
    orders.publish(&cx, &refused).await.unwrap();
    assert_eq!(world.resource(order).limits["cpu"], json!(2));
}

/// The call replaces all limits, so that those of others go along; and what a resource has while it is closed was not sold.
#[tokio::test(start_paused = true)]
async fn refused_limits_are_published_beside_the_others_and_not_while_the_resource_is_closed() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let resource = world.waldur.resource_of(order);
    let refusal = status(400).json(&json!({ "limits": ["No."] }));
    let faults = Faults::new(world.waldur.clone())
        .on(op("provider_resources.set_endpoints").nth(1), status(403))
        .on(op("provider_resources.set_limits").nth(1), refusal);
    let memory = |memory: MemoryBackend| memory.with_endpoint("https://s.example").with_ceiling("cpu", 3).with_status();
    let orders = world.agent().memory(memory).waldur(faults).build();
    let cx = OpContext::new("pass");
    let report = orders.run_once(&cx).await.unwrap();
    let refused = report.follow_ups().next().unwrap().clone();
    // Staff has sold something else beside.
    world.waldur.change_resource(resource, |row| row.limits([("cpu", 4), ("mem", 8), ("gpu", 9)]).downscaled(true));
    let sent = world.count("provider_resources.set_limits");
    assert_eq!(orders.publish(&cx, &refused).await.unwrap_err().kind(), ErrorKind::NotReady);
    assert_eq!(world.count("provider_resources.set_limits"), sent);
    assert_eq!(world.resource(order).endpoints.len(), 1, "which wait for no limits");
    world.waldur.change_resource(resource, |row| row.downscaled(false));
    orders.publish(&cx, &refused).await.unwrap();
    let limits = world.resource(order).limits;
    assert_eq!((&limits["cpu"], &limits["mem"], &limits["gpu"]), (&json!(3), &json!(8), &json!(9)));
    // There is nothing more to say.
    let sent = world.count("provider_resources.set_limits");
    orders.publish(&cx, &refused).await.unwrap();
    assert_eq!(world.count("provider_resources.set_limits"), sent);
}
