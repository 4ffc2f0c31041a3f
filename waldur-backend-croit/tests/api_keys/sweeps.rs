//! Processes that die and futures that are dropped, anywhere between minting a key and handing it over (security.md S12).

use std::{collections::BTreeSet, time::Duration};

use waldur_sdk::{
    backend::OpContext,
    process::{KeyProcessor, OrderProcessor},
    testing::{
        Bounds, Cycle, Life, Scenario, drop_points, kill_points,
        waldur::{ApiKeyState, OrderState},
    },
    types::ResourceUuid,
};

use crate::{
    common::{On, environment, now},
    world::{UID, World},
};

fn limits() -> Bounds {
    Bounds::default().with_environment(environment()).with_cycle_time(Duration::from_hours(1))
}

/// What must come out, whatever the keys are called.
#[derive(Debug, PartialEq)]
struct Keys {
    live: usize,
    unknown: BTreeSet<String>,
    dead: BTreeSet<String>,
    states: Vec<ApiKeyState>,
}

impl Keys {
    fn of(world: &World, resource: ResourceUuid, uid: &str) -> Self {
        world.assert_sound();
        let (live, mut reported) = (world.live_of(uid), world.reported(resource));
        reported.extend(world.published(resource));
        Self {
            live: live.len(),
            unknown: live.difference(&reported).cloned().collect(),
            dead: reported.difference(&live).cloned().collect(),
            states: world.waldur.api_keys(resource).into_iter().map(|(_, state)| state).collect(),
        }
    }

    /// Two of the customer's, and so many that are published.
    fn two_and(published: usize) -> Self {
        let (unknown, dead) = (BTreeSet::new(), BTreeSet::new());
        Self { live: 2 + published, unknown, dead, states: vec![ApiKeyState::Ok; 2] }
    }
}

/// A new resource, in a mode.
struct Create(On, &'static str);

const NEW: &str = "waldur-res";

impl Scenario for Create {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = (usize, Keys);

    fn world(&self) -> World {
        let world = World::new(self.0).in_mode(self.1);
        let order = world.waldur.order(world.offering).create_resource("Res");
        order.resource(|resource| resource.slug("res")).pending();
        world
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        world.orders(life.around(world.waldur.clone()), life.around(world.gate.clone()))
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report) if report.orders.is_empty() && report.is_clean() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &World) -> Self::Verdict {
        let done = world.waldur.orders_in(OrderState::Done);
        let resource = done.first().map(|order| world.waldur.resource_of(*order));
        let keys = resource.map_or_else(|| Keys::two_and(0), |resource| Keys::of(world, resource, NEW));
        (done.len(), keys)
    }
}

async fn an_order_may_be_cut_short_anywhere(create: Create) {
    let world = create.world();
    let mut agent = world.orders(world.waldur.clone(), world.gate.clone());
    while create.cycle(&mut agent).await == Cycle::Busy {}
    assert_eq!(create.verdict(&world), (1, Keys::two_and(usize::from(create.1 == "both"))));
    kill_points(&create, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    drop_points(&create, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test(start_paused = true)]
async fn sec12_an_order_that_is_cut_short_leaves_two_known_keys() {
    an_order_may_be_cut_short_anywhere(Create(On::RadosGw, "api_keys")).await;
}

#[tokio::test(start_paused = true)]
async fn sec12_an_order_that_is_cut_short_leaves_two_known_keys_and_the_published_one() {
    for on in [On::RadosGw, On::Croit] {
        an_order_may_be_cut_short_anywhere(Create(on, "both")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn sec12_an_order_that_is_cut_short_on_croit_leaves_two_known_keys() {
    an_order_may_be_cut_short_anywhere(Create(On::Croit, "api_keys")).await;
}

/// The replacement of a key, looked for again and again.
struct Rotate(On);

struct Stuck {
    world: World,
    resource: ResourceUuid,
}

impl Scenario for Rotate {
    type World = Stuck;
    type Agent = KeyProcessor;
    type Verdict = Keys;

    fn world(&self) -> Stuck {
        let (world, resource) = World::with_keys(self.0, &["one", "two"], &["two"]);
        let since = now() - jiff::SignedDuration::from_hours(3);
        world.waldur.api_key(resource, "one").state(ApiKeyState::Updating).modified(since).create();
        Stuck { world, resource }
    }

    fn start(&self, stuck: &Stuck, life: &Life) -> KeyProcessor {
        let world = &stuck.world;
        world.keys(life.around(world.waldur.clone()), life.around(world.gate.clone()))
    }

    async fn cycle(&self, agent: &mut KeyProcessor) -> Cycle {
        match agent.reconcile_stuck(&OpContext::new("sweep")).await {
            Ok(report) if report.rotations.is_empty() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, stuck: &Stuck) -> Keys {
        Keys::of(&stuck.world, stuck.resource, UID)
    }
}

async fn a_rotation_may_be_cut_short_anywhere(on: On) {
    let stuck = Rotate(on).world();
    let mut agent = stuck.world.keys(stuck.world.waldur.clone(), stuck.world.gate.clone());
    while Rotate(on).cycle(&mut agent).await == Cycle::Busy {}
    assert_eq!(Rotate(on).verdict(&stuck), Keys::two_and(0));
    assert!(stuck.world.live().contains("two"));
    kill_points(&Rotate(on), &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    drop_points(&Rotate(on), &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test(start_paused = true)]
async fn sec12_a_rotation_that_is_cut_short_leaves_the_sibling_and_a_known_key() {
    a_rotation_may_be_cut_short_anywhere(On::RadosGw).await;
}

#[tokio::test(start_paused = true)]
async fn sec12_a_rotation_that_is_cut_short_on_croit_leaves_the_sibling_and_a_known_key() {
    a_rotation_may_be_cut_short_anywhere(On::Croit).await;
}
