//! Orders, keys, members and usage of one offering in a service of one's own, against a marketplace in memory:
//! `cargo run -p waldur-examples --example embed_whole_agent`.
//!
//! Each processor does one pass when it is asked to. They are made from one value, so they share a client, a back end
//! and the lanes, in which the work on one resource is done one thing after the other. Your service decides which of
//! them runs when.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{error::Error, sync::Arc};

use waldur_sdk::{
    backend::OpContext,
    client::{AgentMode, WaldurClient},
    process::ServedOffering,
    rest::Http,
    settings::{AccountingType, Component, Components},
    testing::{
        MemoryBackend, MemoryService,
        waldur::{Billing, FakeWaldur, Generation},
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // In production: a real Waldur, and the back end that the settings name (see `embed_order_processor`).
    let server = FakeWaldur::new(Generation::V8);
    let offering = server.offering().component("storage", Billing::Usage).create();
    server.order(offering).create_resource("genome-data").limits([("storage", 100)]).pending();
    let ann = server.user("ann").project_role(server.default_project(), "PROJECT.MEMBER").create();
    server.offering_user(offering, ann).username("ann01").create();
    let storage = MemoryService::new();

    let waldur = WaldurClient::builder(server.base_url())
        .token(server.token())
        .agent_mode(AgentMode::OrderProcess)
        .http(Http::new(server.clone()))
        .build()?;
    let backend = Arc::new(MemoryBackend::new(&storage)?.with_members().with_status().with_usage().with_keys());
    let components: Components = [Component::new("storage", AccountingType::Usage)].into_iter().collect();
    let offering = ServedOffering::new(waldur, backend, offering).with_components(components);
    let (orders, keys, members, usage) = (offering.orders(), offering.keys(), offering.members(), offering.usage());

    let cx = OpContext::new("orders");
    let report = orders.run_once(&cx).await?;
    for order in &report.orders {
        println!("order of {}: {:#}", order.resource_name, order.outcome);
    }
    for follow_up in report.follow_ups() {
        println!("left to do: {follow_up}");
        orders.publish(&cx, follow_up).await?;
    }
    // New resources got their keys with the order. Here are those that customers want replaced, if no event came of it
    // within `KeyPolicy::stuck_after` (to be set to zero where no events are read), and those of resources that are older
    // than the keys.
    for rotation in &keys.reconcile_stuck(&OpContext::new("keys")).await?.rotations {
        println!("key {}: {:#}", rotation.key, rotation.outcome);
    }
    let older = keys.provision_missing(&OpContext::new("keys")).await?;
    println!("keys of older resources: {}", if older.is_clean() { "all made" } else { "not all could be made" });
    for resource in &members.run_once(&OpContext::new("members")).await?.resources {
        println!("members of {}: {:#}, {} added", resource.name, resource.outcome, resource.added.len());
    }
    let report = usage.run_once(&OpContext::new("usage")).await?;
    for month in report.outcomes() {
        println!("usage in {}: {:#}", month.period, month.outcome);
    }
    Ok(())
}
