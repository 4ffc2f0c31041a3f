//! Processes that die and futures that are dropped, anywhere between minting a key and handing it over.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    live, noon,
    orders::{World, environment},
    parts, reported,
};
use waldur_sdk::{
    backend::OpContext,
    process::{ImportOutcome, KeyProcessor, OrderProcessor, ResourceImport},
    testing::{
        Bounds, Cycle, Interleaving, Life, MemoryBackend, Scenario, drop_points, interleave, kill_points,
        waldur::{ApiKeyState, Generation, ImportState, OrderState, ResourceState},
    },
    types::{BackendResourceRequestUuid, ResourceUuid},
};

fn limits() -> Bounds {
    Bounds::default().with_environment(environment()).with_cycle_time(Duration::from_secs(3600))
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
    fn of(world: &World, resource: ResourceUuid) -> Self {
        world.assert_sound();
        let (live, reported) = (live(world, "res"), reported(world, resource));
        Self {
            live: live.len(),
            unknown: live.difference(&reported).cloned().collect(),
            dead: reported.difference(&live).cloned().collect(),
            states: world.waldur.api_keys(resource).into_iter().map(|(_, state)| state).collect(),
        }
    }
}

/// A new resource.
struct Create;

impl Scenario for Create {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = (Vec<OrderState>, Keys);

    fn world(&self) -> World {
        let world = World::new(Generation::V8);
        world.create("Res").pending();
        world
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        let (waldur, service) = (life.around(world.waldur.clone()), life.around(world.service.clone()));
        world.agent().memory(MemoryBackend::with_keys).waldur(waldur).service(service).build()
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report) if report.orders.is_empty() && report.is_clean() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &World) -> Self::Verdict {
        let orders = world.all_orders();
        let resource = world.waldur.resource_of(orders[0]);
        (orders.into_iter().map(|order| world.state(order)).collect(), Keys::of(world, resource))
    }
}

#[tokio::test(start_paused = true)]
async fn sec12_a_kill_between_mint_and_report_leaves_no_live_unknown_key() {
    kill_points(&Create, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    drop_points(&Create, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test(start_paused = true)]
async fn sec12_the_verdict_of_a_run_without_faults_is_two_keys() {
    let world = Create.world();
    let mut agent = world.agent().memory(MemoryBackend::with_keys).build();
    while Create.cycle(&mut agent).await == Cycle::Busy {}
    let (orders, keys) = Create.verdict(&world);
    assert_eq!(orders, [OrderState::Done]);
    let wanted = Keys { live: 2, unknown: BTreeSet::new(), dead: BTreeSet::new(), states: vec![ApiKeyState::Ok; 2] };
    assert_eq!(keys, wanted);
}

/// A new resource that two agents make: what must come out however they meet.
struct Twice;

impl Scenario for Twice {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = (Vec<OrderState>, BTreeSet<String>);

    fn world(&self) -> World {
        Create.world()
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        Create.start(world, life)
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        Create.cycle(agent).await
    }

    fn verdict(&self, world: &World) -> Self::Verdict {
        // Each may mint its own, and one may prune what the other has in hand: no key is a count.
        let (orders, keys) = Create.verdict(world);
        (orders, keys.unknown)
    }
}

#[tokio::test(start_paused = true)]
async fn f110_two_agents_leave_no_key_that_holds_and_that_nobody_knows() {
    let met = interleave(&Twice, &Interleaving::switches(1).alike().settling(), &limits()).await;
    met.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A resource that had ended softly, whose keys are dead and still listed.
struct Restore;

impl Scenario for Restore {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = (Vec<OrderState>, Keys);

    fn world(&self) -> World {
        let world = World::new(Generation::V8);
        let resource = world.existing("res");
        for client_id in ["one", "two"] {
            world.waldur.api_key(resource, client_id).create();
        }
        world.waldur.change_resource(resource, |row| row.state(ResourceState::Terminated));
        world.waldur.order_on(resource).restore().pending();
        world
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        Create.start(world, life)
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        Create.cycle(agent).await
    }

    fn verdict(&self, world: &World) -> Self::Verdict {
        Create.verdict(world)
    }
}

#[tokio::test(start_paused = true)]
async fn sec12_a_kill_within_a_restore_leaves_two_keys_that_work() {
    let sweep = kill_points(&Restore, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(sweep.points >= 12, "{}", sweep.points);
    drop_points(&Restore, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    let world = Restore.world();
    let mut agent = world.agent().memory(MemoryBackend::with_keys).build();
    while Restore.cycle(&mut agent).await == Cycle::Busy {}
    let (orders, keys) = Restore.verdict(&world);
    let wanted = Keys { live: 2, unknown: BTreeSet::new(), dead: BTreeSet::new(), states: vec![ApiKeyState::Ok; 2] };
    assert_eq!((orders, keys), (vec![OrderState::Done], wanted));
}

/// The replacement of a key, looked for again and again.
struct Rotate;

struct Stuck {
    world: World,
    resource: ResourceUuid,
}

impl Scenario for Rotate {
    type World = Stuck;
    type Agent = KeyProcessor;
    type Verdict = Keys;

    fn world(&self) -> Stuck {
        let world = World::new(Generation::V8);
        let resource = world.existing("res");
        for client_id in ["one", "two"] {
            world.service.seed_key("res", client_id);
        }
        // Three hours before the tests' clock.
        let since = noon() - jiff::SignedDuration::from_hours(3);
        world.waldur.api_key(resource, "one").state(ApiKeyState::Updating).modified(since).create();
        world.waldur.api_key(resource, "two").create();
        Stuck { world, resource }
    }

    fn start(&self, stuck: &Stuck, life: &Life) -> KeyProcessor {
        let world = &stuck.world;
        let (waldur, service) = (life.around(world.waldur.clone()), life.around(world.service.clone()));
        crate::processor(world, waldur, service)
    }

    async fn cycle(&self, agent: &mut KeyProcessor) -> Cycle {
        match agent.reconcile_stuck(&OpContext::new("sweep")).await {
            Ok(report) if report.rotations.is_empty() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, stuck: &Stuck) -> Keys {
        Keys::of(&stuck.world, stuck.resource)
    }
}

#[tokio::test(start_paused = true)]
async fn sec12_a_kill_within_a_rotation_leaves_two_known_keys() {
    kill_points(&Rotate, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    drop_points(&Rotate, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A list of what can be imported.
struct Import;

struct Wish {
    world: World,
    request: BackendResourceRequestUuid,
}

impl Scenario for Import {
    type World = Wish;
    type Agent = (ResourceImport, BackendResourceRequestUuid);
    type Verdict = (ImportState, Vec<String>);

    fn world(&self) -> Wish {
        let world = crate::import::world();
        let request = world.waldur.import_request(world.offering);
        Wish { world, request }
    }

    fn start(&self, wish: &Wish, life: &Life) -> Self::Agent {
        let world = &wish.world;
        let (waldur, service) = (life.around(world.waldur.clone()), life.around(world.service.clone()));
        let (http, backend) = parts(waldur, service);
        (ResourceImport::new(world.client(http), backend, world.offering), wish.request)
    }

    async fn cycle(&self, (import, request): &mut Self::Agent) -> Cycle {
        match import.run(&OpContext::new("sweep"), *request).await {
            Ok(report) if matches!(report.outcome, ImportOutcome::AlreadyFinished) => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, wish: &Wish) -> Self::Verdict {
        let mut rows: Vec<_> = wish.world.waldur.backend_resources().into_iter().map(|(id, _)| id).collect();
        rows.sort();
        (wish.world.waldur.import_request_view(wish.request).0, rows)
    }
}

#[tokio::test(start_paused = true)]
async fn f124_a_list_that_was_cut_short_is_gone_on_with_and_names_nothing_twice() {
    kill_points(&Import, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
    drop_points(&Import, &limits()).await.unwrap_or_else(|failure| panic!("{failure}"));
}
