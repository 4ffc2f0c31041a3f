//! Processes that die between any two requests, futures that are dropped, and two agents at once.

use std::sync::{Arc, Mutex};

use crate::common::{
    Gate, On, UID, components, cx, environment, id, limits, order, published_key_works, resource, shown,
};
use futures_util::future::join;
use serde_json::json;
use waldur_backend_croit::{S3Backend, testing::SeedUser};
use waldur_sdk::{
    Error,
    backend::{CreateRequest, DeleteRequest, LimitChange, Origin, Progress, ResourceBackend as _, Verified},
    rest::HttpTransport,
    settings::AccountingType,
    testing::{Bounds, Cycle, Interleaving, Life, Scenario, drop_points, interleave, kill_points},
    types::JsonObject,
};

/// What outlives a process: the storage, and what Waldur was told.
struct World {
    gate: Gate,
    told: Arc<Mutex<Told>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    metadata: Option<JsonObject>,
    /// Orders that ended with an error.
    erred: Vec<String>,
}

/// What must come out the same.
#[derive(Debug, PartialEq)]
struct State {
    /// Name, stamp, quotas, number of keys.
    users: Vec<String>,
    buckets: usize,
    leftovers: usize,
    /// Whether the customer gets in with the key that was published.
    published_key_works: Option<bool>,
    erred: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Create,
    Restore,
    Update,
    Terminate,
    Purge,
}

/// A piece of work on one flavour of storage.
#[derive(Clone, Copy, Debug)]
struct Scene(On, Work);

struct Agent {
    backend: S3Backend,
    told: Arc<Mutex<Told>>,
}

impl Scenario for Scene {
    type World = World;
    type Agent = Agent;
    type Verdict = State;

    fn world(&self) -> World {
        let Self(on, work) = *self;
        let gate = Gate::on(on);
        let fake = &gate.fake;
        match work {
            Work::Create => {}
            // From before there were stamps.
            Work::Restore => drop(fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap()),
            Work::Update | Work::Terminate | Work::Purge => {
                fake.add_user(SeedUser::new(UID).email(crate::common::STAMP)).unwrap();
            }
        }
        if work == Work::Purge {
            fake.create_bucket(UID, "photos").unwrap();
            if on == On::Croit {
                fake.put_object(UID, "photos", "a/b c", 5).unwrap();
                gate.croit.leave_version("photos", "a/b c", "v1", None);
            }
        }
        World { gate, told: Arc::default() }
    }

    fn start(&self, world: &World, life: &Life) -> Agent {
        self.agent(world, life.around(world.gate.clone()))
    }

    async fn cycle(&self, agent: &mut Agent) -> Cycle {
        let Err(error) = self.attempt(agent).await else { return Cycle::Idle };
        if error.is_passing() {
            return Cycle::Busy;
        }
        agent.told.lock().unwrap().erred.push(error.to_string());
        Cycle::Idle
    }

    fn verdict(&self, world: &World) -> State {
        let told = world.told.lock().unwrap().clone();
        State {
            users: shown(&world.gate.fake),
            buckets: world.gate.fake.buckets(UID).len(),
            leftovers: world.gate.croit.leftovers(),
            published_key_works: told
                .metadata
                .and_then(|metadata| published_key_works(&world.gate.fake, &json!(metadata))),
            erred: told.erred,
        }
    }
}

impl Scene {
    fn agent(self, world: &World, way: impl HttpTransport) -> Agent {
        let settings = json!({ "delete_mode": if self.1 == Work::Purge { "purge" } else { "refuse_if_buckets" } });
        let components = components(AccountingType::Limit, &json!({}));
        let backend = world.gate.backend_over(way, settings, &components);
        Agent { backend, told: Arc::clone(&world.told) }
    }

    async fn attempt(self, agent: &Agent) -> Result<(), Error> {
        let (backend, resource) = (&agent.backend, resource(json!({})));
        match self.1 {
            Work::Create | Work::Restore => {
                let origin = if self.1 == Work::Create { Origin::Reserved } else { Origin::Recorded };
                let request = CreateRequest::new(order(), resource, id()).with_limits(limits(100, 10_000));
                let created = backend.create(&cx(), &request.with_origin(origin)).await?;
                let Progress::Done(created) = created else { panic!("nothing takes longer here") };
                agent.told.lock().unwrap().metadata = Some(Verified::into_inner(created).metadata);
            }
            Work::Update => {
                drop(backend.set_limits(&cx(), &LimitChange::new(resource, id(), limits(5, 0))).await?);
            }
            Work::Terminate | Work::Purge => {
                drop(backend.delete(&cx(), &DeleteRequest::new(order(), resource, id())).await?);
            }
        }
        Ok(())
    }
}

/// A storage that acknowledges one write of this call and does not keep it.
struct Losing(Scene, &'static str);

impl Scenario for Losing {
    type World = World;
    type Agent = Agent;
    type Verdict = State;

    fn world(&self) -> World {
        let world = self.0.world();
        world.gate.fake.lose_writes(self.1, 1);
        world
    }

    fn start(&self, world: &World, life: &Life) -> Agent {
        self.0.start(world, life)
    }

    async fn cycle(&self, agent: &mut Agent) -> Cycle {
        self.0.cycle(agent).await
    }

    fn verdict(&self, world: &World) -> State {
        self.0.verdict(world)
    }
}

const LOSSES: [Losing; 12] = [
    Losing(Scene(On::RadosGw, Work::Create), "user.create"),
    Losing(Scene(On::RadosGw, Work::Create), "quota.set"),
    Losing(Scene(On::RadosGw, Work::Restore), "user.modify"),
    Losing(Scene(On::RadosGw, Work::Restore), "quota.set"),
    Losing(Scene(On::RadosGw, Work::Update), "quota.set"),
    Losing(Scene(On::RadosGw, Work::Terminate), "user.delete"),
    Losing(Scene(On::RadosGw, Work::Purge), "user.delete"),
    Losing(Scene(On::Croit, Work::Create), "user.create"),
    Losing(Scene(On::Croit, Work::Create), "quota.set"),
    Losing(Scene(On::Croit, Work::Update), "quota.set"),
    Losing(Scene(On::Croit, Work::Terminate), "user.delete"),
    Losing(Scene(On::Croit, Work::Purge), "user.delete"),
];

/// Everything on one flavour.
fn all(on: On) -> [Scene; 5] {
    [Work::Create, Work::Restore, Work::Update, Work::Terminate, Work::Purge].map(|work| Scene(on, work))
}

fn bounds() -> Bounds {
    Bounds::default().with_environment(environment())
}

async fn dies_anywhere(on: On) {
    for scene in all(on) {
        // A creation may die in its recovery too.
        let faults = if scene.1 == Work::Create { 2 } else { 1 };
        let sweep = kill_points(&scene, &bounds().with_faults(faults)).await.unwrap();
        assert!(sweep.points >= 4, "{scene:?}: {} points", sweep.points);
    }
}

async fn is_dropped_anywhere(on: On) {
    for scene in all(on) {
        drop_points(&scene, &bounds()).await.unwrap();
    }
}

async fn meets_in_any_order(on: On) {
    for scene in all(on) {
        let met = interleave(&scene, &Interleaving::switches(2).alike(), &bounds()).await.unwrap();
        assert!(met.schedules >= 3, "{scene:?}: {} schedules", met.schedules);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_may_die_anywhere() {
    dies_anywhere(On::RadosGw).await;
}

#[tokio::test(start_paused = true)]
async fn a_future_may_be_dropped_anywhere() {
    is_dropped_anywhere(On::RadosGw).await;
}

#[tokio::test(start_paused = true)]
async fn two_agents_may_meet_in_any_order() {
    meets_in_any_order(On::RadosGw).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_may_die_anywhere_on_croit() {
    dies_anywhere(On::Croit).await;
}

#[tokio::test(start_paused = true)]
async fn a_future_may_be_dropped_anywhere_on_croit() {
    is_dropped_anywhere(On::Croit).await;
}

#[tokio::test(start_paused = true)]
async fn two_agents_may_meet_in_any_order_on_croit() {
    meets_in_any_order(On::Croit).await;
}

#[tokio::test(start_paused = true)]
async fn creates_that_overlap_on_the_gateway_publish_a_key_that_works() {
    // Both answer 200 there, each with a key of its own, and one record stands (see `testing`).
    let scene = Scene(On::RadosGw, Work::Create);
    let world = scene.world();
    let (one, other) = (scene.agent(&world, world.gate.clone()), scene.agent(&world, world.gate.clone()));
    let (first, second) = join(scene.attempt(&one), scene.attempt(&other)).await;
    first.unwrap();
    second.unwrap();
    assert_eq!(world.gate.fake.request_count("user.create"), 2);
    let state = scene.verdict(&world);
    assert_eq!(state.published_key_works, Some(true));
    assert_eq!(state.users.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_may_be_lost_as_well() {
    for losing in LOSSES {
        let Losing(scene, lost) = losing;
        // What comes out is what comes out without the loss.
        let mut verdicts = Vec::new();
        for world in [scene.world(), losing.world()] {
            scene.attempt(&scene.agent(&world, world.gate.clone())).await.unwrap();
            verdicts.push(scene.verdict(&world));
        }
        assert_eq!(verdicts[0], verdicts[1], "{scene:?} {lost}");
        kill_points(&losing, &bounds()).await.unwrap();
        interleave(&losing, &Interleaving::random(7, 5), &bounds()).await.unwrap();
    }
}
