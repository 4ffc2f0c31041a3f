//! The back end of the tutorial is short, and keeps the contract.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../examples/own_backend/lockers.rs"]
mod lockers;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use waldur_sdk::{
    backend::{BuildEnv, Registry, ResourceBackend},
    rest::{Environment, HttpOptions, HttpTransport},
    settings::{AccountingType, BackendSettings, Component, Components, problems},
    testing::{
        Life, MemoryService, Outage,
        conformance::{self, Subject, Verdict},
    },
    types::{BackendId, Limit, Limits, OfferingUuid, ResourceUuid, UnitFactor, Uuid},
};

#[derive(Clone)]
struct Rental {
    service: MemoryService,
    outage: Outage,
}

impl Default for Rental {
    fn default() -> Self {
        let service = MemoryService::default();
        Self { outage: Outage::new(service.clone()), service }
    }
}

/// Under virtual time.
fn clocks() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}

fn environment(way: impl HttpTransport + Clone, settings: &serde_json::Value) -> BuildEnv {
    let (settings, _) = BackendSettings::from_value("backend_settings", settings).unwrap();
    let mut drawers = Component::new("drawers", AccountingType::Limit);
    drawers.unit_factor = UnitFactor::new(6.into()).unwrap();
    let components: Components = [drawers, Component::new("hooks", AccountingType::Limit)].into_iter().collect();
    let connector = move |_: &HttpOptions| Ok(Arc::new(way.clone()) as Arc<dyn HttpTransport>);
    BuildEnv::new("lockers", OfferingUuid::new(Uuid::nil()), settings, components, connector).with_environment(clocks())
}

fn lockers_over(way: impl HttpTransport + Clone) -> Arc<dyn ResourceBackend> {
    let settings = json!({ "locker_url": "http://localhost/", "locker_token": MemoryService::TOKEN });
    Registry::default().with(lockers::LockerFactory).build(&environment(way, &settings)).unwrap().0
}

fn limits(drawers: u32, hooks: u32) -> Limits {
    [("drawers", drawers), ("hooks", hooks)].map(|(name, amount)| (name.to_owned(), Limit::At(amount.into()))).into()
}

#[async_trait]
impl Subject for Rental {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        lockers_over(self.outage.clone())
    }

    // The three that deaths, drops and company need.
    fn backend_over(&self, life: &Life) -> Option<Arc<dyn ResourceBackend>> {
        Some(lockers_over(life.around(self.outage.clone())))
    }

    fn shown(&self) -> Option<Vec<String>> {
        Some(self.service.objects().into_iter().map(|(id, locker)| format!("{id} {locker:?}")).collect())
    }

    fn environment(&self) -> Environment {
        clocks()
    }

    fn limits(&self) -> Limits {
        limits(12, 3)
    }

    fn other_limits(&self) -> Limits {
        limits(20, 7)
    }

    async fn plant(&self, id: &BackendId, stamped: bool) -> bool {
        self.service.seed(id.as_str(), stamped.then(|| ResourceUuid::new(Uuid::from_u128(0xdead_beef))));
        true
    }

    fn set_outage(&self, broken: bool) -> bool {
        self.outage.set(broken);
        true
    }

    async fn objects(&self) -> Option<usize> {
        Some(self.service.objects().len())
    }
}

#[tokio::test(start_paused = true)]
async fn the_back_end_of_the_tutorial_conforms() {
    let verdicts = conformance::run(&Rental::default()).await;
    assert!(verdicts.passed(), "{verdicts}");
    let of_facets = [
        "status",
        "active",
        "import",
        "usage",
        "key",
        "pruned",
        "member",
        "roles",
        "person",
        "pause",
        "downscaling",
        "user_limits",
        "upkeep",
    ];
    for (check, verdict) in verdicts.iter() {
        let facet = of_facets.iter().any(|word| check.contains(word));
        assert!(facet || *verdict == Verdict::Passed, "only checks of facets may be skipped\n{verdicts}");
    }
}

#[tokio::test(start_paused = true)]
async fn orders_on_the_back_end_of_the_tutorial_survive_deaths_drops_and_company() {
    let verdicts = conformance::orders(Rental::default).await;
    assert!(verdicts.passed(), "{verdicts}");
    let skipped = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Passed).map(|(check, _)| *check);
    // No options, no usage, no pause; and nobody has made its service lose anything.
    assert_eq!(
        skipped.collect::<Vec<_>>(),
        [
            "order_to_update_options",
            "order_to_terminate_what_is_in_use",
            "order_to_restore_what_is_paused",
            "order_is_not_done_where_a_write_was_lost",
        ],
        "{verdicts}"
    );
}

#[test]
fn the_back_end_of_the_tutorial_tells_all_that_is_wrong_with_its_settings() {
    let settings = json!({ "locker_url": "http://elsewhere.example.org/", "locker_tokn": "hidden" });
    let error = Registry::default()
        .with(lockers::LockerFactory)
        .build(&environment(MemoryService::default(), &settings))
        .err()
        .expect("two problems");
    let found: Vec<_> = problems(&error).iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("backend_settings.locker_url: must be https"), "{found:?}");
    assert!(found[1].contains("is the unknown key \"locker_tokn\" meant to be it?"), "{found:?}");
}

#[test]
fn the_back_end_of_the_tutorial_is_short() {
    let lines = include_str!("../examples/own_backend/lockers.rs").lines().count();
    assert!(lines < 150, "{lines} lines: if the SDK makes a back end this long, mend the SDK");
}
