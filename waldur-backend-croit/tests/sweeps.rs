//! Processes that die between any two requests, futures that are dropped, and two agents at once.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::{Arc, Mutex};

use common::{UID, backend_with, components, cx, environment, id, order, resource};
use futures_util::future::join;
use serde_json::json;
use waldur_backend_croit::{
    RadosGwBackend,
    testing::{FakeRadosGw, SeedUser},
};
use waldur_sdk::{
    Error, ErrorClass,
    backend::{CreateRequest, DeleteRequest, LimitChange, Origin, Progress, ResourceBackend as _, Verified},
    settings::AccountingType,
    testing::{Cycle, Interleaving, Life, Limits as Bounds, Scenario, drop_points, interleave, kill_points},
    types::{JsonObject, Limit, Limits},
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Create,
    Restore,
    Update,
    Terminate,
    Purge,
}

struct Agent {
    backend: RadosGwBackend,
    told: Arc<Mutex<Told>>,
}

fn limits(storage: u32, objects: u32) -> Limits {
    [("s3_storage", storage), ("s3_objects", objects)]
        .map(|(name, amount)| (name.to_owned(), Limit::At(amount.into())))
        .into()
}

impl Scenario for Work {
    type World = World;
    type Agent = Agent;
    type Verdict = State;

    fn world(&self) -> World {
        let fake = FakeRadosGw::builder().admin(common::ACCESS_KEY, common::SECRET_KEY).clock(common::now).build();
        match self {
            Self::Create => {}
            // From before there were stamps.
            Self::Restore => drop(fake.add_user(SeedUser::new(UID).key("OLDKEY", "old-secret")).unwrap()),
            Self::Update | Self::Terminate | Self::Purge => {
                fake.add_user(SeedUser::new(UID).email(common::STAMP)).unwrap();
            }
        }
        if *self == Self::Purge {
            fake.create_bucket(UID, "photos").unwrap();
        }
        World { fake, told: Arc::default() }
    }

    fn start(&self, world: &World, life: &Life) -> Agent {
        let settings = json!({ "delete_mode": if *self == Self::Purge { "purge" } else { "refuse_if_buckets" } });
        let components = components(AccountingType::Limit, &json!({}));
        let backend = backend_with(life.around(world.fake.clone()), settings, &components);
        Agent { backend, told: Arc::clone(&world.told) }
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
        let works = |metadata: &JsonObject| {
            let credentials = metadata.get("s3_credentials").unwrap();
            let half = |name: &str| credentials.get(name).unwrap().as_str().unwrap().to_owned();
            world.fake.login(&half("access_key"), &half("secret_key").into()).is_ok()
        };
        let users = world.fake.users().into_iter().map(|user| {
            format!("{} {} {:?} {:?} {}", user.uid, user.email, user.user_quota, user.bucket_quota, user.keys.len())
        });
        State {
            users: users.collect(),
            buckets: world.fake.buckets(UID).len(),
            published_key_works: told.metadata.as_ref().map(works),
            erred: told.erred,
        }
    }
}

impl Work {
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
