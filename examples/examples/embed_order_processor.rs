//! The order processor in a service of one's own: `cargo run -p waldur-examples --example embed_order_processor`.
//!
//! It takes what it needs from the environment and ends with Ctrl-C. The SDK brings no loop, no thread and no runtime:
//! when a pass runs, and beside what, is the service's business.
#![allow(clippy::print_stdout, reason = "a program for people")]

use std::{env, error::Error, time::Duration};

use serde_json::json;
use waldur_backend_croit::S3Factory;
use waldur_sdk::{
    backend::{BuildEnv, OpContext, Registry, ReqwestConnector},
    client::{AgentMode, WaldurClient},
    process::ServedOffering,
    settings::{AccountingType, BackendSettings, Component, Components},
    types::{OfferingUuid, UnitFactor},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str| env::var(name).map_err(|_| format!("{name} is not set"));

    // A client of Waldur. It repeats what may be repeated, and gives up within three minutes.
    let waldur = WaldurClient::builder(setting("WALDUR_API_URL")?)
        .token(setting("WALDUR_API_TOKEN")?)
        .agent_mode(AgentMode::OrderProcess)
        .build()?;
    let offering: OfferingUuid = setting("WALDUR_OFFERING_UUID")?.parse()?;

    // What is sold, and how many of the back end's units one unit of Waldur's is.
    let mut storage = Component::new("storage", AccountingType::Limit);
    storage.unit_factor = UnitFactor::new((1_u64 << 30).into())?;
    let components: Components = [storage].into_iter().collect();

    // A back end, by the word that a settings file would use. `own_backend` shows how one is written.
    let settings = json!({
        "flavour": "radosgw",
        "s3_endpoint": setting("S3_ENDPOINT")?,
        "admin_access_key": setting("S3_ADMIN_ACCESS_KEY")?,
        "admin_secret_key": setting("S3_ADMIN_SECRET_KEY")?,
    });
    let (settings, _) = BackendSettings::from_value("backend_settings", &settings)?;
    let environment = BuildEnv::new("ceph_s3", offering, settings, components.clone(), ReqwestConnector);
    let (backend, warnings) = Registry::default().with(S3Factory).build(&environment)?;
    for warning in warnings {
        println!("{warning}");
    }

    // A pass a minute. Ctrl-C drops it wherever it is, which is safe: the next one finishes what it began.
    let processor = ServedOffering::new(waldur, backend, offering).with_components(components).orders();
    let passes = async {
        loop {
            match processor.run_once(&OpContext::new("orders")).await {
                Ok(report) => report.orders.iter().for_each(|order| println!("{}: {:#}", order.order, order.outcome)),
                Err(error) => println!("no orders: {error:#}"),
            }
            tokio::time::sleep(Duration::from_mins(1)).await;
        }
    };
    tokio::select! {
        () = passes => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    Ok(())
}
