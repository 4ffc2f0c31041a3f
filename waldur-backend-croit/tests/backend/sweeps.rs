//! Processes that die between any two requests, futures that are dropped, and two agents at once.

use std::sync::{Arc, Mutex};

use crate::common::{
    UID, backend_with, components, cx, environment, id, limits, order, published_key_works, resource, shown,
};
use futures_util::future::join;
use serde_json::json;
use waldur_backend_croit::{
    S3Backend,
    testing::{FakeRadosGw, SeedUser},
};
use waldur_sdk::{
    Error, ErrorClass,
    backend::{CreateRequest, DeleteRequest, LimitChange, Origin, Progress, ResourceBackend as _, Verified},
    rest::HttpTransport,
    settings::AccountingType,
    testing::{Cycle, Interleaving, Life, Limits as Bounds, Scenario, drop_points, interleave, kill_points},
    types::JsonObject,
};

/// What outlives a process: the gateway, and what Waldur was told.
struct World {
    fake: FakeRadosGw,
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

struct Agent {
    backend: S3Backend,
    told: Arc<Mutex<Told>>,
}

impl Scenario for Work {
    type World = World;
    type Agent = Agent;
    type Verdict = State;

    fn world(&self) -> World {
        let fake = FakeRadosGw::builder()
            .admin(crate::common::ACCESS_KEY, crate::common::SECRET_KEY)
            .clock(crate::common::now)
            .build();
        match self {
            Self::Create => {}
            // From before there were stamps.
            Self::Restore => drop(fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap()),
            Self::Update | Self::Terminate | Self::Purge => {
                fake.add_user(SeedUser::new(UID).email(crate::common::STAMP)).unwrap();
            }
        }
        if *self == Self::Purge {
            fake.create_bucket(UID, "photos").unwrap();
        }
        World { fake, told: Arc::default() }
    }

    fn start(&self, world: &World, life: &Life) -> Agent {
        self.agent(world, life.around(world.fake.clone()))
    }

    async fn cycle(&self, agent: &mut Agent) -> Cycle {
        let Err(error) = self.attempt(agent).await else { return Cycle::Idle };
        if matches!(error.class(), ErrorClass::Transient | ErrorClass::NotReady) {
            return Cycle::Busy;
        }
        agent.told.lock().unwrap().erred.push(error.to_string());
        Cycle::Idle
    }

    fn verdict(&self, world: &World) -> State {
        let told = world.told.lock().unwrap().clone();
        State {
            users: shown(&world.fake),
            buckets: world.fake.buckets(UID).len(),
            published_key_works: told.metadata.and_then(|metadata| published_key_works(&world.fake, &json!(metadata))),
            erred: told.erred,
        }
    }
}

impl Work {
    fn agent(self, world: &World, transport: impl HttpTransport) -> Agent {
        let settings = json!({ "delete_mode": if self == Self::Purge { "purge" } else { "refuse_if_buckets" } });
        let backend = backend_with(transport, settings, &components(AccountingType::Limit, &json!({})));
        Agent { backend, told: Arc::clone(&world.told) }
    }

    async fn attempt(self, agent: &Agent) -> Result<(), Error> {
        let (backend, resource) = (&agent.backend, resource(json!({})));
        match self {
            Self::Create | Self::Restore => {
                let origin = if self == Self::Create { Origin::Reserved } else { Origin::Recorded };
                let request = CreateRequest::new(order(), resource, id()).with_limits(limits(100, 10_000));
                let created = backend.create(&cx(), &request.with_origin(origin)).await?;
                let Progress::Done(created) = created else { panic!("nothing takes longer here") };
                agent.told.lock().unwrap().metadata = Some(Verified::into_inner(created).metadata);
            }
            Self::Update => {
                drop(backend.set_limits(&cx(), &LimitChange::new(resource, id(), limits(5, 0))).await?);
            }
            Self::Terminate | Self::Purge => {
                drop(backend.delete(&cx(), &DeleteRequest::new(order(), resource, id())).await?);
            }
        }
        Ok(())
    }
}

/// A gateway that acknowledges one write of this call and does not keep it.
struct Losing(Work, &'static str);

impl Scenario for Losing {
    type World = World;
    type Agent = Agent;
    type Verdict = State;

    fn world(&self) -> World {
        let world = self.0.world();
        world.fake.lose_writes(self.1, 1);
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

const LOSSES: [Losing; 7] = [
    Losing(Work::Create, "user.create"),
    Losing(Work::Create, "quota.set"),
    Losing(Work::Restore, "user.modify"),
    Losing(Work::Restore, "quota.set"),
    Losing(Work::Update, "quota.set"),
    Losing(Work::Terminate, "user.delete"),
    Losing(Work::Purge, "user.delete"),
];

const ALL: [Work; 5] = [Work::Create, Work::Restore, Work::Update, Work::Terminate, Work::Purge];

fn bounds() -> Bounds {
    Bounds::default().with_environment(environment())
}

#[tokio::test(start_paused = true)]
async fn a_process_may_die_anywhere() {
    for work in ALL {
        // A creation may die in its recovery too.
        let faults = if work == Work::Create { 2 } else { 1 };
        let sweep = kill_points(&work, &bounds().with_faults(faults)).await.unwrap();
        assert!(sweep.points >= 6, "{} points", sweep.points);
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_may_be_dropped_anywhere() {
    for work in ALL {
        drop_points(&work, &bounds()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_agents_may_meet_in_any_order() {
    for work in ALL {
        let met = interleave(&work, &Interleaving::switches(2), &bounds()).await.unwrap();
        assert!(met.schedules >= 6, "{} schedules", met.schedules);
    }
}

#[tokio::test(start_paused = true)]
async fn creates_that_overlap_on_the_gateway_publish_a_key_that_works() {
    // Both answer 200 there, each with a key of its own, and one record stands (see `testing`).
    let world = Work::Create.world();
    let agent = || Agent {
        backend: backend_with(world.fake.clone(), json!({}), &components(AccountingType::Limit, &json!({}))),
        told: Arc::clone(&world.told),
    };
    let (one, other) = (agent(), agent());
    let (first, second) = join(Work::Create.attempt(&one), Work::Create.attempt(&other)).await;
    first.unwrap();
    second.unwrap();
    assert_eq!(world.fake.request_count("user.create"), 2);
    let state = Work::Create.verdict(&world);
    assert_eq!(state.published_key_works, Some(true));
    assert_eq!(state.users.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_may_be_lost_as_well() {
    for losing in LOSSES {
        let Losing(work, lost) = losing;
        // What comes out is what comes out without the loss.
        let mut verdicts = Vec::new();
        for world in [work.world(), losing.world()] {
            work.attempt(&work.agent(&world, world.fake.clone())).await.unwrap();
            verdicts.push(work.verdict(&world));
        }
        assert_eq!(verdicts[0], verdicts[1], "{work:?} {lost}");
        kill_points(&losing, &bounds()).await.unwrap();
        interleave(&losing, &Interleaving::random(7, 5), &bounds()).await.unwrap();
    }
}
