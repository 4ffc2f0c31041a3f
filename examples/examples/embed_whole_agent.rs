//! Orders, members and usage of one offering in a service of one's own, against a marketplace in memory:
//! `cargo run -p waldur-examples --example embed_whole_agent`.
//!
//! Each processor does one pass when it is asked to. They share a client, a back end and the lanes in which the work on
//! one resource is done one thing after the other; when which of them runs is the service's business.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{error::Error, sync::Arc};

use waldur_sdk::{
    backend::OpContext,
    client::{AgentMode, WaldurClient},
    process::{Lanes, MembershipSync, OrderProcessor, UsageReporter},
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
    let backend = Arc::new(MemoryBackend::new(&storage)?.with_members().with_status().with_usage());
    let components: Components = [Component::new("storage", AccountingType::Usage)].into_iter().collect();
    let lanes = Lanes::new();
    let orders = OrderProcessor::new(waldur.clone(), backend.clone(), offering)
        .with_components(components.clone())
        .with_lanes(&lanes);
    let members = MembershipSync::new(waldur.with_agent_mode(AgentMode::MembershipSync), backend.clone(), offering)
        .with_components(components.clone())
        .with_lanes(&lanes);
    let usage =
        UsageReporter::new(waldur.with_agent_mode(AgentMode::Report), backend, offering).with_components(components);

    for order in &orders.run_once(&OpContext::new("orders")).await?.orders {
        println!("order of {}: {}", order.resource_name, order.outcome);
    }
    for resource in &members.run_once(&OpContext::new("members")).await?.resources {
        println!("members of {}: {}, {} added", resource.name, resource.outcome, resource.added.len());
    }
    let report = usage.run_once(&OpContext::new("usage")).await?;
    for month in report.outcomes() {
        println!("usage in {}: {}", month.period, month.outcome);
    }
    Ok(())
}
