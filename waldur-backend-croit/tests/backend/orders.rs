//! The order processor over the gateway: what one order costs, and what is left when processes die, futures are dropped
//! and agents meet.

use std::sync::Arc;

use crate::common::{GIB, Gate, On, components, environment, published_key_works, shown};
use serde_json::{Value, json};
use waldur_backend_croit::testing::{FakeRadosGw, Quota, SeedUser};
use waldur_sdk::{
    backend::OpContext,
    client::WaldurClient,
    process::{OrderOutcome, OrderProcessor, OrderReport, ServedOffering},
    rest::{Http, HttpTransport},
    settings::AccountingType,
    testing::{
        Bounds, Counting, Cycle, Interleaving, Life, Scenario, drop_points, interleave, kill_points,
        waldur::{Billing, FakeWaldur, Generation, OrderState, ResourceState},
    },
    types::{OfferingUuid, OrderUuid, ResourceUuid},
};

/// A Waldur that sells, a storage that holds, and one order.
pub(crate) struct World {
    pub(crate) waldur: FakeWaldur,
    pub(crate) gate: Gate,
    gateway: FakeRadosGw,
    offering: OfferingUuid,
    order: OrderUuid,
    resource: ResourceUuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
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

/// A quota of GiB and objects.
fn ceiling(gib: i64, objects: i64) -> Quota {
    let mut quota = Quota::default();
    (quota.enabled, quota.max_size, quota.max_objects) = (true, gib * GIB, objects);
    quota
}

const LIMITS: [(&str, u32); 2] = [("s3_storage", 100), ("s3_objects", 10_000)];

impl Work {
    /// The quotas that both the user and its buckets have in the end; `None` when there is to be no user.
    fn expected(self) -> Option<Quota> {
        match self {
            Self::Create | Self::CreateOnAnOldServer | Self::Restore => Some(ceiling(100, 10_000)),
            Self::UpdateLimits => Some(ceiling(5, 7)),
            Self::UpdateOptions => Some(ceiling(200, 10_000)),
            Self::Terminate => None,
            Self::Foreign => Some(Quota::default()),
        }
    }

    fn accounting(self) -> AccountingType {
        if self == Self::UpdateOptions { AccountingType::Usage } else { AccountingType::Limit }
    }

    pub(crate) fn new_world(self, on: On) -> World {
        let old = self == Self::CreateOnAnOldServer;
        let waldur = FakeWaldur::new(if old { Generation::V2024 } else { Generation::V8 });
        let billing = if self == Self::UpdateOptions { Billing::Usage } else { Billing::Limit };
        // The plan grants something; who orders other options does not order that (s3.md §5).
        let offering = waldur.offering().component("s3_storage", billing).component("s3_objects", billing);
        let offering = offering.plan("small", |plan| plan.quota("s3_storage", 50).quota("s3_objects", 5)).create();
        let gate = Gate::on(on);
        let gateway = gate.fake.clone();
        let existing = |backend_id: &str| {
            let limits = if billing == Billing::Limit { LIMITS.to_vec() } else { Vec::new() };
            let seed = waldur.resource(offering).name("Data").slug("data").backend_id(backend_id).limits(limits);
            seed.options(json!({ "storage_limit": 100, "object_limit": 10_000 })).create()
        };
        let stamped = |resource: ResourceUuid, uid: &str| {
            let stamp = format!("waldur-{}-{uid}@invalid", resource.hex());
            gateway.add_user(SeedUser::new(uid).email(&stamp).key("AK", "sk")).unwrap();
            let quota = ceiling(100, 10_000);
            gateway.edit_user(uid, |user| (*user.user_quota, *user.bucket_quota) = (quota, quota)).unwrap();
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
        World { waldur, gate, gateway, offering, order, resource }
    }
}

fn processor(world: &World, waldur: impl HttpTransport, gateway: impl HttpTransport, work: Work) -> OrderProcessor {
    processor_with(world, waldur, gateway, work, &json!({}))
}

/// The same, with `more` settings of the back end.
pub(crate) fn processor_with(
    world: &World,
    waldur: impl HttpTransport,
    gateway: impl HttpTransport,
    work: Work,
    more: &Value,
) -> OrderProcessor {
    let client = WaldurClient::builder(world.waldur.base_url())
        .token(world.waldur.token())
        .http(Http::new(waldur).with_environment(environment()))
        .build()
        .unwrap();
    let components = components(work.accounting(), &json!({}));
    let naming = if work == Work::Foreign { "processor" } else { "seed" };
    let mut settings = json!({ "naming": naming });
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let backend = world.gate.backend_over(gateway, settings, &components);
    ServedOffering::new(client, Arc::new(backend), world.offering).with_components(components).orders()
}

/// What must not depend on faults.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict {
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
        self.new_world(On::RadosGw)
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        processor(world, life.around(world.waldur.clone()), life.around(world.gate.clone()), *self)
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
        Verdict {
            order: (order.state, order.error_message),
            resource: (resource.state, resource.backend_id, format!("{:?} {:?}", resource.limits, resource.options)),
            users: shown(&world.gateway),
            published_key_works: published_key_works(&world.gateway, &resource.backend_metadata),
            duplicates: world.gateway.duplicate_stamps().len(),
        }
    }
}

fn bounds() -> Bounds {
    Bounds::default().with_environment(environment())
}

/// The same on croit.
struct OnCroit(Work);

impl Scenario for OnCroit {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = Verdict;

    fn world(&self) -> World {
        self.0.new_world(On::Croit)
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        self.0.start(world, life)
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        self.0.cycle(agent).await
    }

    fn verdict(&self, world: &World) -> Verdict {
        self.0.verdict(world)
    }
}

/// A gateway that acknowledges one write of this call and does not keep it.
struct Losing(Work, &'static str);

impl Scenario for Losing {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = Verdict;

    fn world(&self) -> World {
        let world = self.0.world();
        world.gateway.lose_writes(self.1, 1);
        world
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        self.0.start(world, life)
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        self.0.cycle(agent).await
    }

    fn verdict(&self, world: &World) -> Verdict {
        self.0.verdict(world)
    }
}

const LOSSES: [Losing; 3] = [
    Losing(Work::Create, "user.create"),
    Losing(Work::UpdateOptions, "quota.set"),
    Losing(Work::Terminate, "user.delete"),
];

/// One pass of one agent.
async fn pass(work: Work, world: &World) -> OrderReport {
    let agent = processor(world, world.waldur.clone(), world.gate.clone(), work);
    let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
    report.orders.into_iter().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_order_comes_to_the_end_it_should() {
    for (on, work) in [On::RadosGw, On::Croit].into_iter().flat_map(|on| ALL.map(|work| (on, work))) {
        let world = work.new_world(on);
        let outcome = pass(work, &world).await.outcome;
        let seen = work.verdict(&world);
        let quotas = world.gateway.users().into_iter().next().map(|user| [user.user_quota, user.bucket_quota]);
        assert_eq!(quotas, work.expected().map(|quota| [quota; 2]), "{work:?}: {seen:?}");
        assert_eq!(seen.users.len(), usize::from(work != Work::Terminate), "{work:?}: {seen:?}");
        if work == Work::Foreign {
            assert!(matches!(outcome, OrderOutcome::Erred(_)), "{outcome}");
            assert!(seen.users.iter().all(|user| user.contains("stranger@example.org")), "{seen:?}");
            assert_eq!(seen.resource.1, "", "a stranger's name is released");
        } else {
            assert!(matches!(outcome, OrderOutcome::Done), "{work:?}: {outcome}");
            // Every order on a user that stays leaves a key that opens it; the others have nothing to publish it by.
            let published = matches!(work, Work::Create | Work::CreateOnAnOldServer | Work::Restore);
            assert_eq!(seen.published_key_works, published.then_some(true), "{work:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn s38_an_order_that_changes_one_option_changes_both_quotas_and_nothing_else() {
    let world = Work::UpdateOptions.world();
    let report = pass(Work::UpdateOptions, &world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    // The order came with the plan's quotas of 50 and 5.
    assert_eq!(world.waldur.resource_view(world.resource).limits.len(), 0);
    let quota = ceiling(200, 10_000);
    assert_eq!(world.gateway.quota("waldur_data"), Some((quota, quota)));
    assert_eq!(world.gateway.request_count("quota.set"), 1);
}

#[tokio::test(start_paused = true)]
async fn s05_the_operator_is_told_that_nothing_has_a_ceiling() {
    let waldur = FakeWaldur::new(Generation::V8);
    let offering = waldur.offering().component("s3_storage", Billing::Usage).create();
    let seed = waldur.order(offering).create_resource("Data").attributes(json!({ "colour": "blue" }));
    let order = seed.resource(|resource| resource.slug("data")).pending();
    let resource = waldur.order_view(order).resource;
    let gate = Gate::new();
    let world = World { waldur, gateway: gate.fake.clone(), gate, offering, order, resource };
    let report = pass(Work::UpdateOptions, &world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.warnings[0].step, "create");
    let told = report.warnings[0].error.to_string();
    assert!(told.contains("no ceiling") && told.contains("colour") && !told.contains("blue"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_create_order_takes_seven_round_trips_after_the_listing_and_an_idle_run_writes_nothing() {
    for work in [Work::Create, Work::CreateOnAnOldServer] {
        let world = work.world();
        let waldur = Counting::new(world.waldur.clone());
        let agent = processor(&world, waldur.clone(), waldur.around(world.gate.clone()), work);
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
async fn a_create_order_on_croit_takes_one_round_trip_more() {
    let world = Work::Create.new_world(On::Croit);
    let waldur = Counting::new(world.waldur.clone());
    let agent = processor(&world, waldur.clone(), waldur.around(world.gate.clone()), Work::Create);
    let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
    assert!(matches!(report.orders.first().unwrap().outcome, OrderOutcome::Done), "{report:?}");
    // Two quotas in place of one write.
    assert_eq!(waldur.counts().depth, 9, "{}", waldur.counts());
}

#[tokio::test(start_paused = true)]
async fn an_order_on_croit_survives_death_drops_and_company() {
    for work in [Work::Create, Work::UpdateOptions, Work::Terminate, Work::Foreign] {
        let scene = OnCroit(work);
        let sweep = kill_points(&scene, &bounds()).await.unwrap();
        assert!(sweep.points >= 6, "{work:?}: {} points", sweep.points);
        drop_points(&scene, &bounds()).await.unwrap();
        interleave(&scene, &Interleaving::random(7, 20), &bounds()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_survives_the_death_of_its_process_anywhere() {
    for work in ALL {
        let sweep = kill_points(&work, &bounds()).await.unwrap();
        assert!(sweep.points >= 6, "{work:?}: {} points", sweep.points);
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
        let met = interleave(&work, &Interleaving::switches(1).alike(), &bounds()).await.unwrap();
        assert!(met.schedules >= 5, "{work:?}: {} schedules", met.schedules);
        interleave(&work, &Interleaving::random(7, 20), &bounds()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_write_changes_no_outcome() {
    for losing in LOSSES {
        let Losing(work, lost) = losing;
        let (whole, world) = (work.world(), losing.world());
        pass(work, &whole).await;
        let outcome = pass(work, &world).await.outcome;
        assert!(matches!(outcome, OrderOutcome::Done), "{work:?} {lost}: {outcome}");
        assert_eq!(world.gateway.request_count(lost), whole.gateway.request_count(lost) + 1, "{work:?} {lost}");
        // Stamps are of another resource in each world.
        let quotas = |world: &World| world.gateway.users().into_iter().map(|user| user.user_quota).collect::<Vec<_>>();
        assert_eq!(quotas(&world), quotas(&whole), "{work:?} {lost}");
        let sweep = kill_points(&losing, &bounds()).await.unwrap();
        assert!(sweep.points >= 6, "{work:?} {lost}: {} points", sweep.points);
        interleave(&losing, &Interleaving::random(7, 5), &bounds()).await.unwrap();
    }
}
