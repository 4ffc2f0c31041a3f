//! A Waldur, a gateway, and an agent between them; nothing leaves the process.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use serde_json::Value;
use waldur_backend_croit::testing::{FakeRadosGw, Refused};
use waldur_sdk::{
    backend::{Evaluation, PendingOrder, layers},
    rest::{Environment, HttpOptions, HttpTransport},
    testing::{
        Latency,
        waldur::{Billing, FakeWaldur, Generation},
    },
    types::{OfferingUuid, PlanUuid, ProjectUuid, ResourceUuid, Uuid},
};

use crate::{
    agent::Unit,
    config::{self, ConfigError},
    modes::Mode,
    site::Site,
};

/// What the operator wrote.
const CONFIG: &str = include_str!("config.yaml");

/// Larger orders are refused.
const LARGEST: u64 = 10_000;

/// The two systems, and what is on sale.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) waldur: FakeWaldur,
    pub(super) gateway: FakeRadosGw,
    /// Billed by use; customers set safety limits.
    pub(super) by_use: OfferingUuid,
    /// Billed by what is ordered.
    pub(super) reserved: OfferingUuid,
    /// The larger plan of the reserved offering.
    pub(super) large: PlanUuid,
    pub(super) project: ProjectUuid,
}

impl World {
    pub(super) fn new(environment: &Environment) -> Self {
        let clock = environment.clone();
        let waldur = FakeWaldur::new(Generation::V8);
        let gateway = FakeRadosGw::builder()
            .admin("DEMOADMINKEY00000001", "demo-admin-secret-that-is-no-secret".to_owned())
            .clock(move || clock.now())
            .build();
        let customer = waldur.customer("Aurora Institute").slug("aurora").create();
        let project = waldur.project("Climate").slug("climate").customer(customer).create();
        let offering = |number: u128, name: &str, billing| {
            let uuid = Uuid::from_u128((0x0b9e_c7ab << 96) | number);
            waldur
                .offering()
                .uuid(uuid)
                .name(name)
                .plugin_option("create_orders_on_resource_option_change", true)
                .component_with("s3_storage", billing, |component| component.name("Storage").unit("GB"))
                .component_with("s3_objects", billing, |component| component.name("Objects").unit("objects"))
        };
        let by_use = offering(1, "Object storage by use", Billing::Usage).create();
        let reserved = offering(2, "Object storage, reserved", Billing::Limit)
            .plan("Small", |plan| plan.quota("s3_storage", 10).quota("s3_objects", 1_000))
            .plan("Large", |plan| plan.quota("s3_storage", 500).quota("s3_objects", 50_000))
            .create();
        let large = waldur.plan(reserved, "Large");
        Self { waldur, gateway, by_use, reserved, large, project }
    }

    /// The agent, as the binary would build it from the same file, with every request delayed by `latency`.
    pub(super) fn agents(&self, environment: &Environment, latency: Duration) -> Result<Vec<Unit>, ConfigError> {
        let (settings, _) = config::parse(&CONFIG.replace("WALDUR_TOKEN", self.waldur.token().expose_secret()))?;
        let slow = |fake: Arc<dyn HttpTransport>, environment: &Environment| {
            let environment = environment.clone();
            move |_: &HttpOptions| {
                Ok(Arc::new(Latency::new(fake.clone(), environment.clone(), latency)) as Arc<dyn HttpTransport>)
            }
        };
        let waldur = slow(Arc::new(self.waldur.clone()), environment);
        let gateway = slow(Arc::new(self.gateway.clone()), environment);
        let site = Site::over(waldur, gateway, environment.clone())
            .with_layer(|backend| Arc::new(layers::reviewed(backend, review)));
        site.units(&settings, &[Mode::OrderProcess], false).map(|(units, _)| units)
    }

    /// The requests so far: to Waldur, to the gateway.
    pub(super) fn requests(&self) -> (u64, u64) {
        (self.waldur.requests().len() as u64, self.gateway.requests().values().sum())
    }

    /// The requests so far that were meant to change something.
    pub(super) fn writes(&self) -> u64 {
        let calls = self.gateway.requests();
        let reads = |call: &str| call.rsplit('.').next().is_some_and(|verb| verb == "get" || verb == "list");
        let gateway: u64 = calls.iter().filter(|(call, _)| !reads(call)).map(|(_, count)| count).sum();
        self.waldur.writes().len() as u64 + gateway
    }

    /// The customer uses the keys that Waldur shows, and stores something.
    pub(super) fn store(&self, resource: ResourceUuid) -> Result<(), Refused> {
        let metadata = self.waldur.resource_view(resource).backend_metadata;
        let part = |name: &str| metadata.pointer(&format!("/s3_credentials/{name}")).and_then(Value::as_str);
        let (access_key, secret_key) = (part("access_key").unwrap_or_default(), part("secret_key").unwrap_or_default());
        let uid = self.gateway.login(access_key, &secret_key.to_owned().into())?;
        self.gateway.create_bucket(&uid, "chapters")?;
        self.gateway.put_object(&uid, "chapters", "introduction.tex", 40_000)
    }
}

/// The rules of the site.
fn review(order: &PendingOrder) -> Option<Evaluation> {
    if order.attributes.get("storage_limit").and_then(Value::as_u64).is_some_and(|limit| limit > LARGEST) {
        let comment = "More than 10,000 GB needs a contract. Please write to storage@example.org.".to_owned();
        return Some(Evaluation::Reject { comment: Some(comment) });
    }
    order.attributes.contains_key("under_review").then_some(Evaluation::Pending)
}
