//! What the customers order, and what has to come of it.

use serde_json::json;
use waldur_backend_croit::testing::{Refused, SeedUser};
use waldur_sdk::{
    testing::waldur::{OrderKind, OrderSeed, OrderState, ResourceState},
    types::{OfferingUuid, OrderUuid, ResourceUuid, Uuid},
};

use super::world::World;

/// A GB in bytes.
const GB: i64 = 1 << 30;

/// An order, and what has to come of it.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) order: OrderUuid,
    pub(super) resource: ResourceUuid,
    pub(super) kind: OrderKind,
    pub(super) name: String,
    /// What was ordered, for people.
    pub(super) wish: String,
    pub(super) expected: Expected,
    /// One of many alike, which share a row of the table.
    pub(super) crowd: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) order: OrderState,
    pub(super) resource: ResourceState,
    /// What the customer has to be told.
    pub(super) told: &'static str,
    pub(super) there: There,
}

/// What has to be on the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    /// The resource's user with these ceilings in bytes and objects, and the one key that Waldur shows.
    User(i64, i64),
    /// The same, of a user that is older than the agent: Waldur shows no key of it.
    OlderUser(i64, i64),
    /// A stranger's user of the wanted name, as it was.
    Stranger,
    /// No user of the resource.
    Nothing,
}

impl Story {
    fn new(world: &World, order: OrderUuid, name: &str, wish: impl Into<String>, expected: Expected) -> Self {
        let view = world.waldur.order_view(order);
        let (resource, kind) = (view.resource, view.kind);
        Self { order, resource, kind, name: name.to_owned(), wish: wish.into(), expected, crowd: false }
    }
}

impl Expected {
    fn done(there: There) -> Self {
        Self { order: OrderState::Done, resource: ResourceState::Ok, told: "", there }
    }

    fn new(order: OrderState, resource: ResourceState, told: &'static str, there: There) -> Self {
        Self { order, resource, told, there }
    }
}

/// The key pair of somebody who was on the gateway before.
const STRANGER: (&str, &str) = ("STRANGERSKEY00000001", "a-stranger-s-secret");

/// The first act: new resources, among them some that must not be made. `crowd` more, all alike, make it busy.
pub(super) fn new_resources(world: &World, crowd: usize) -> Result<Vec<Story>, Refused> {
    let mut stories = vec![
        safe(world, "climate-archive", 100, 10_000),
        reserved(world, "genome-reads", 50, 5_000),
        reserved(world, "sensor-log", 20, 2_000),
        safe(world, "thesis-data", 5, 500),
        too_large(world),
        undecided(world),
        taken(world)?,
    ];
    for number in 1..=crowd {
        let size = 10 * i64::try_from(number % 7 + 1).unwrap_or(1);
        stories.push(Story { crowd: true, ..reserved(world, &format!("notebook-{number}"), size, 1_000) });
    }
    Ok(stories)
}

/// An order by use: the limits are the customer's own safety limits.
fn safe(world: &World, name: &str, size: i64, objects: i64) -> Story {
    let order = create(world, name, size).attributes(json!({ "object_limit": objects })).pending();
    Story::new(world, order, name, wish(size, objects), Expected::done(There::User(size * GB, objects)))
}

fn create(world: &World, name: &str, size: i64) -> OrderSeed {
    place(world, world.by_use, name).attributes(json!({ "storage_limit": size }))
}

fn place(world: &World, offering: OfferingUuid, name: &str) -> OrderSeed {
    let order = world.waldur.order(offering).create_resource(name).project(world.project);
    order.resource(|resource| resource.uuid(uuid(name)))
}

/// An id that looks like one, and is always the same. The back end makes user names of the first eight digits.
fn uuid(name: &str) -> Uuid {
    let digits = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    Uuid::from_u128(u128::from(digits) << 96 | 0x4000_8000_0000_0000_0001)
}

fn reserved(world: &World, name: &str, size: i64, objects: i64) -> Story {
    let order = place(world, world.reserved, name);
    let order = order.limits([("s3_storage", size), ("s3_objects", objects)]).pending();
    Story::new(world, order, name, wish(size, objects), Expected::done(There::User(size * GB, objects)))
}

fn wish(size: i64, objects: i64) -> String {
    format!("{size} GB, {objects} objects")
}

/// The provider says no.
fn too_large(world: &World) -> Story {
    let order = create(world, "model-weights", 50_000).pending();
    let (state, told) = (ResourceState::Terminated, "needs a contract");
    let expected = Expected::new(OrderState::Rejected, state, told, There::Nothing);
    Story::new(world, order, "model-weights", "50000 GB", expected)
}

/// The provider has not said anything yet.
fn undecided(world: &World) -> Story {
    let order = create(world, "patient-images", 30).attributes(json!({ "under_review": true })).pending();
    let expected = Expected::new(OrderState::PendingProvider, ResourceState::Creating, "", There::Nothing);
    Story::new(world, order, "patient-images", "30 GB, after a review", expected)
}

/// Somebody else has a user of the name that this resource would get.
fn taken(world: &World) -> Result<Story, Refused> {
    let stranger = SeedUser::new(&stranger()).email("ops@aurora.example");
    world.gateway.add_user(stranger.display_name("Aurora operations").key(STRANGER.0, STRANGER.1.to_owned()))?;
    let order = create(world, "lidar-tiles", 40).pending();
    let (state, told) = (ResourceState::Erred, "already exist");
    let expected = Expected::new(OrderState::Erred, state, told, There::Stranger);
    Ok(Story::new(world, order, "lidar-tiles", "40 GB", expected))
}

/// The second act: changes and ends of what the first one made.
pub(super) fn changes(world: &World, made: &[Story]) -> Result<Vec<Story>, Refused> {
    let of = |name: &str| made.iter().find(|story| story.name == name).map(|story| story.resource);
    let mut stories = Vec::new();
    if let Some(resource) = of("genome-reads") {
        let order = world.waldur.order_on(resource).update_limits([("s3_storage", 200), ("s3_objects", 20_000)]);
        let expected = Expected::done(There::User(200 * GB, 20_000));
        stories.push(Story::new(world, order.pending(), "genome-reads", wish(200, 20_000), expected));
    }
    if let Some(resource) = of("climate-archive") {
        let options = json!({ "storage_limit": 250, "object_limit": 10_000 });
        let order = world.waldur.order_on(resource).update_options(&options).pending();
        let expected = Expected::done(There::User(250 * GB, 10_000));
        stories.push(Story::new(world, order, "climate-archive", "safety limit 250 GB", expected));
    }
    if let Some(resource) = of("sensor-log") {
        let order = world.waldur.order_on(resource).terminate().pending();
        let expected = Expected::new(OrderState::Done, ResourceState::Terminated, "", There::Nothing);
        stories.push(Story::new(world, order, "sensor-log", "its end", expected));
    }
    if let Some(resource) = of("thesis-data") {
        world.store(resource)?;
        let order = world.waldur.order_on(resource).terminate().pending();
        let told = "still owns 1 bucket";
        let expected = Expected::new(OrderState::Erred, ResourceState::Ok, told, There::User(5 * GB, 500));
        stories.push(Story::new(world, order, "thesis-data", "its end, with data in it", expected));
    }
    stories.push(larger_plan(world)?);
    Ok(stories)
}

/// A resource that an earlier agent made, without a stamp, moves to the larger plan.
fn larger_plan(world: &World) -> Result<Story, Refused> {
    let uid = "waldur_telescope";
    world.gateway.add_user(SeedUser::new(uid).key("OLDERKEY000000000001", "an-older-secret".to_owned()))?;
    let resource = world.waldur.resource(world.reserved).name("telescope-raw").project(world.project);
    let resource = resource.backend_id(uid).create();
    let order = world.waldur.order_on(resource).switch_plan(world.large).pending();
    let expected = Expected::done(There::OlderUser(500 * GB, 50_000));
    Ok(Story::new(world, order, "telescope-raw", "plan Large", expected))
}

/// The third act: what was ended comes back.
pub(super) fn returns(world: &World, made: &[Story]) -> Vec<Story> {
    let ended = made.iter().find(|story| story.name == "sensor-log");
    ended
        .map(|ended| {
            let order = world.waldur.order_on(ended.resource).restore().pending();
            Story::new(world, order, "sensor-log", "as it was", ended.expected.clone())
        })
        .into_iter()
        .collect()
}

/// The name that `lidar-tiles` would get.
fn stranger() -> String {
    let digits: String = uuid("lidar-tiles").simple().to_string().chars().take(8).collect();
    format!("waldur_aurora_climate_{digits}")
}

/// Whether the stranger's key still opens the stranger's user.
pub(super) fn stranger_is_untouched(world: &World) -> bool {
    let (access_key, secret_key) = STRANGER;
    let user = world.gateway.user(&stranger());
    user.is_some_and(|user| {
        user.display_name == "Aurora operations" && user.keys.len() == 1 && !user.user_quota.enabled
    }) && world.gateway.login(access_key, &secret_key.to_owned().into()).is_ok()
}
