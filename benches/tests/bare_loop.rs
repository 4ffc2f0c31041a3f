//! The comparison is only worth something while both sides say the same.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use http::Request;
use waldur_benches::{
    bare::BareLoop,
    tape::{Tape, play},
    world::{World, order_of},
};
use waldur_sdk::{
    rest::{Environment, HttpTransport},
    testing::{Counting, Counts},
};

/// More than one page of the listing.
const ORDERS: usize = 120;

/// What each request says, in an order of its own: two orders may take turns differently.
fn said(requests: &[Request<Bytes>]) -> Vec<String> {
    let mut lines: Vec<_> = requests
        .iter()
        .map(|request| {
            // Members of an object have no order, and keys are minted by whoever comes first.
            let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap_or_default();
            let members =
                body.pointer("/backend_metadata/s3_credentials").map(|_| "with credentials").unwrap_or_default();
            let body = if members.is_empty() { body.to_string() } else { members.to_owned() };
            format!("{} {} {body}", request.method(), request.uri())
        })
        .collect();
    lines.sort_unstable();
    lines
}

fn counted(world: &World) -> (Tape<Counting>, Counting) {
    let counting = Counting::new(world.clone()).grouped_by(order_of);
    (Tape::new(counting.clone()), counting)
}

async fn by_the_sdk(world: &World, transport: impl HttpTransport) {
    let processor = world.processor(transport, &Environment::default(), 8).unwrap();
    World::process(&processor, ORDERS).await.unwrap();
    world.verify(ORDERS).unwrap();
}

fn depth_per_order(counts: &Counts) -> usize {
    counts.groups.values().map(|group| group.depth).max().unwrap()
}

#[tokio::test]
async fn the_bare_loop_says_what_the_sdk_says_in_as_many_waves() {
    let world = World::new(ORDERS);
    let (tape, counting) = counted(&world);
    by_the_sdk(&world, tape.clone()).await;
    let (sdk, sdk_depth) = (said(&tape.requests()), depth_per_order(&counting.counts()));

    let world = World::new(ORDERS);
    let (tape, counting) = counted(&world);
    let the_loop = BareLoop::new(&world, tape.clone()).await.unwrap();
    assert_eq!(the_loop.run(8).await.unwrap(), ORDERS);
    world.verify(ORDERS).unwrap();

    let bare = said(&tape.requests());
    assert_eq!(bare.iter().zip(&sdk).find(|(bare, sdk)| bare != sdk), None);
    assert_eq!(bare.len(), sdk.len());
    assert_eq!(counting.counts().groups.len(), ORDERS);
    assert_eq!(depth_per_order(&counting.counts()), sdk_depth);
}

#[tokio::test]
async fn a_tape_played_to_a_fresh_world_has_the_same_effect() {
    let world = World::new(ORDERS);
    let tape = Tape::new(world.clone());
    by_the_sdk(&world, tape.clone()).await;

    let fresh = World::new(ORDERS);
    play(tape.requests(), &fresh).await.unwrap();
    fresh.verify(ORDERS).unwrap();
}
