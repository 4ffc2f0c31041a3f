//! Makes a locker: `cargo run -p waldur-examples --example own_backend`.
//!
//! The back end is `lockers.rs` beside this file. Here it is put into the registry and meets the processor, over a
//! Waldur and a locker service in memory.

mod lockers;

use std::{error::Error, sync::Arc};

use serde_json::json;
use waldur_sdk::{
    backend::{BuildEnv, OpContext, Registry},
    client::WaldurClient,
    process::ServedOffering,
    rest::{Http, HttpOptions, HttpTransport},
    settings::{AccountingType, BackendSettings, Component, Components},
    testing::{
        MemoryService,
        waldur::{Billing, FakeWaldur, Generation},
    },
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // A customer orders 12 drawers.
    let fake = FakeWaldur::new(Generation::V8);
    let offering = fake.offering().component("drawers", Billing::Limit).create();
    let order = fake.order(offering).create_resource("tools").limits([("drawers", 12)]).pending();

    // The operator's settings; a site has them in a YAML file.
    let settings = json!({ "locker_url": "http://localhost/", "locker_token": MemoryService::TOKEN });
    let (settings, _) = BackendSettings::from_value("backend_settings", &settings)?;
    let components: Components = [Component::new("drawers", AccountingType::Limit)].into_iter().collect();

    // A site connects with `ReqwestConnector`.
    let service = MemoryService::new();
    let connector = {
        let service = service.clone();
        move |_: &HttpOptions| Ok(Arc::new(service.clone()) as Arc<dyn HttpTransport>)
    };
    let environment = BuildEnv::new("lockers", offering, settings, components.clone(), connector);
    let (backend, _) = Registry::default().with(lockers::LockerFactory).build(&environment)?;

    let waldur = WaldurClient::builder(fake.base_url()).token(fake.token()).http(Http::new(fake.clone())).build()?;
    let processor = ServedOffering::new(waldur, backend, offering).with_components(components).orders();
    let report = processor.run_once(&OpContext::new("orders")).await?;

    for order in &report.orders {
        print(&format!("{} {}: {:#}", order.order_type, order.resource_name, order.outcome));
    }
    let resource = fake.resource_view(fake.resource_of(order));
    print(&format!("Waldur knows {} as {}, at {:?}", resource.name, resource.backend_id, resource.endpoint("Locker")));
    print(&format!("the service has {:?}", service.object(&resource.backend_id)));
    Ok(())
}

#[allow(clippy::print_stdout, reason = "a program for people")]
fn print(line: &str) {
    println!("{line}");
}
