//! The order processor over the gateway: what one order costs, and what is left when processes die, futures are dropped
//! and agents meet.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{backend_with, components, environment};
use serde_json::json;
use waldur_backend_croit::testing::{FakeRadosGw, SeedUser};
use waldur_sdk::{
    backend::OpContext,
    client::WaldurClient,
    process::{OrderOutcome, OrderProcessor},
    rest::{Http, HttpTransport},
    settings::AccountingType,
    testing::{
        Counting, Cycle, Interleaving, Life, Limits, Scenario, drop_points, interleave, kill_points,
        waldur::{Billing, FakeWaldur, Generation, OrderState, ResourceState},
    },
    types::{OfferingUuid, OrderUuid, ResourceUuid},
};

/// A Waldur that sells, a gateway that holds, and one order.
struct World {
    waldur: FakeWaldur,
    gateway: FakeRadosGw,
    offering: OfferingUuid,
    order: OrderUuid,
    resource: ResourceUuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Create,
    CreateOnAnOldServer,
    UpdateLimits,
    UpdateOptions,
    Terminate,
    Restore,
    /// The name is a stranger's.
    Foreign,
}

const ALL: [Work; 7] = [
    Work::Create,
    Work::CreateOnAnOldServer,
    Work::UpdateLimits,
    Work::UpdateOptions,
    Work::Terminate,
    Work::Restore,
    Work::Foreign,
];

const LIMITS: [(&str, u32); 2] = [("s3_storage", 100), ("s3_objects", 10_000)];

impl Work {
    fn accounting(self) -> AccountingType {
        if self == Self::UpdateOptions { AccountingType::Usage } else { AccountingType::Limit }
    }

    fn new_world(self) -> World {
        let old = self == Self::CreateOnAnOldServer;
        let waldur = FakeWaldur::new(if old { Generation::V2024 } else { Generation::V8 });
        let billing = if self == Self::UpdateOptions { Billing::Usage } else { Billing::Limit };
        let offering = waldur.offering().component("s3_storage", billing).component("s3_objects", billing).create();
        let gateway = FakeRadosGw::builder().admin(common::ACCESS_KEY, common::SECRET_KEY).clock(common::now).build();
        let existing = |backend_id: &str| {
            let limits = if billing == Billing::Limit { LIMITS.to_vec() } else { Vec::new() };
            let seed = waldur.resource(offering).name("Data").slug("data").backend_id(backend_id).limits(limits);
            seed.options(json!({ "storage_limit": 100, "object_limit": 10_000 })).create()
        };
        let stamped = |resource: ResourceUuid, uid: &str| {
            let stamp = format!("waldur-{}-{uid}@invalid", resource.hex());
            gateway.add_user(SeedUser::new(uid).email(&stamp).key("AK", "sk")).unwrap();
        };
        let order = match self {
            Self::Create | Self::CreateOnAnOldServer | Self::Foreign => {
                let seed = waldur.order(offering).create_resource("Data").limits(LIMITS);
                seed.resource(|resource| resource.slug("data")).pending()
            }
            Self::UpdateLimits | Self::UpdateOptions | Self::Terminate => {
                let resource = existing("waldur_data");
                stamped(resource, "waldur_data");
                let seed = waldur.order_on(resource);
                match self {
                    Self::UpdateLimits => seed.update_limits([("s3_storage", 5_u32), ("s3_objects", 7)]),
                    Self::UpdateOptions => seed.update_options(&json!({ "storage_limit": 200 })),
                    _ => seed.terminate(),
                }
                .pending()
            }
            Self::Restore => {
                // Proven absent: it is made anew under its id.
                waldur.order_on(existing("waldur_data")).restore().pending()
            }
        };
        let resource = waldur.order_view(order).resource;
        if self == Self::Foreign {
            gateway
                .add_user(SeedUser::new("waldur-data").email("stranger@example.org").key("STRANGER", "own"))
                .unwrap();
        }
        World { waldur, gateway, offering, order, resource }
    }
}

fn processor(world: &World, waldur: impl HttpTransport, gateway: impl HttpTransport, work: Work) -> OrderProcessor {
    let client = WaldurClient::builder(world.waldur.base_url())
        .token(world.waldur.token())
        .http(Http::new(waldur).with_environment(environment()))
        .build()
        .unwrap();
    let components = components(work.accounting(), &json!({}));
    let naming = if work == Work::Foreign { "processor" } else { "seed" };
    let backend = backend_with(gateway, json!({ "naming": naming }), &components);
    OrderProcessor::new(client, Arc::new(backend), world.offering).with_components(components)
}

/// What must not depend on faults.
#[derive(Debug, PartialEq)]
struct Verdict {
    order: (OrderState, String),
    resource: (ResourceState, String, String),
    /// Name, e-mail, quotas, number of keys.
    users: Vec<String>,
    /// Whether the customer gets in with what Waldur shows; `None` when it shows nothing.
    published_key_works: Option<bool>,
    duplicates: usize,
}

impl Scenario for Work {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = Verdict;

    fn world(&self) -> World {
        self.new_world()
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        processor(world, life.around(world.waldur.clone()), life.around(world.gateway.clone()), *self)
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report) if report.orders.is_empty() && report.is_clean() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &World) -> Verdict {
        assert!(world.gateway.unmodelled().is_empty() && world.waldur.unserved().is_empty());
        assert_eq!(world.gateway.unsigned_requests(), 0);
        let (order, resource) = (world.waldur.order_view(world.order), world.waldur.resource_view(world.resource));
        let users = world.gateway.users().into_iter().map(|user| {
            format!("{} {} {:?} {:?} {}", user.uid, user.email, user.user_quota, user.bucket_quota, user.keys.len())
        });
        let credentials = resource.backend_metadata.get("s3_credentials");
        let half = |name: &str| credentials.and_then(|pair| pair.get(name)?.as_str()).map(str::to_owned);
        let works = half("access_key").zip(half("secret_key"));
        Verdict {
            order: (order.state, order.error_message),
            resource: (resource.state, resource.backend_id, format!("{:?} {:?}", resource.limits, resource.options)),
            users: users.collect(),
            published_key_works: works.map(|(access, secret)| world.gateway.login(&access, &secret.into()).is_ok()),
            duplicates: world.gateway.duplicate_stamps().len(),
        }
    }
}

fn bounds() -> Limits {
    Limits::default().with_environment(environment())
}

#[tokio::test(start_paused = true)]
async fn each_order_comes_to_the_end_it_should() {
    for work in ALL {
        let world = work.world();
        let agent = processor(&world, world.waldur.clone(), world.gateway.clone(), work);
        let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
        let outcome = &report.orders.first().unwrap().outcome;
        let seen = work.verdict(&world);
        if work == Work::Foreign {
            assert!(matches!(outcome, OrderOutcome::Erred(_)), "{outcome}");
            assert!(seen.users.iter().all(|user| user.contains("stranger@example.org")), "{seen:?}");
            assert_eq!(seen.resource.1, "", "a stranger's name is released");
        } else {
            assert!(matches!(outcome, OrderOutcome::Done), "{work:?}: {outcome}");
            assert_eq!(seen.users.len(), usize::from(work != Work::Terminate), "{work:?}: {seen:?}");
            assert_ne!(seen.published_key_works, Some(false), "{work:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_order_takes_seven_round_trips_after_the_listing_and_an_idle_run_writes_nothing() {
    for work in [Work::Create, Work::CreateOnAnOldServer] {
        let world = work.world();
        let waldur = Counting::new(world.waldur.clone());
        let agent = processor(&world, waldur.clone(), waldur.around(world.gateway.clone()), work);
        let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
        assert!(matches!(report.orders.first().unwrap().outcome, OrderOutcome::Done), "{report:?}");
        let counts = waldur.counts();
        assert_eq!(counts.depth, 8, "the listing and seven more\n{counts}");
        waldur.reset();
        assert!(agent.run_once(&OpContext::new("idle")).await.unwrap().orders.is_empty());
        let idle = waldur.counts();
        assert_eq!((idle.writes, idle.depth), (0, 1), "{idle}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_survives_the_death_of_its_process_anywhere() {
    for work in ALL {
        let sweep = kill_points(&work, &bounds()).await.unwrap();
        assert!(sweep.points >= 10, "{work:?}: {} points", sweep.points);
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_survives_a_dropped_future_anywhere() {
    for work in ALL {
        drop_points(&work, &bounds()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_agents_leave_what_one_would() {
    for work in ALL {
        let met = interleave(&work, &Interleaving::switches(1), &bounds()).await.unwrap();
        assert!(met.schedules >= 10, "{work:?}: {} schedules", met.schedules);
        interleave(&work, &Interleaving::random(7, 20), &bounds()).await.unwrap();
    }
}
