//! What the SDK costs, in CPU time of the thread that runs it. See `benches/README.md`.
//!
//! CPU time and not time on the wall, because the machine is shared; see `meter::thread_cpu`. Without `--bench`
//! (`cargo test --all-targets`) everything is small and runs once.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run has to stop")]

mod cpu;

use std::{hint::black_box, time::Duration};

use cpu::{CpuTime, environment, runtime, size};
use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use serde_json::Value;
use waldur_backend_croit::radosgw::{RadosGwClient, Uid};
use waldur_benches::{
    bare::BareLoop,
    canned::{Canned, PAGE, one_user, pending},
    tape::{Tape, play},
    world::{GATEWAY, World},
};
use waldur_sdk::{
    client::Order,
    rest::{BaseUrl, Http, PlainHttp, decode_rows},
    types::{OrderUuid, Uuid},
};

const IN_FLIGHT: usize = 8;

/// Pending Create orders, from the listing to done, no latency: the SDK, the bare loop, and the fakes by themselves,
/// which both of the others contain.
fn orders(criterion: &mut Criterion<CpuTime>) {
    let (orders, runtime, environment) = (size(1000, 10), runtime(), environment());
    let mut group = criterion.benchmark_group(format!("{orders} create orders"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_secs(5)).throughput(Throughput::Elements(orders as u64));

    group.bench_function("sdk", |bencher| {
        let seed = || {
            let world = World::new(orders);
            let processor = world.processor(world.clone(), &environment, IN_FLIGHT).expect("a processor");
            (world, processor)
        };
        let run = |(world, processor)| {
            runtime.block_on(World::process(&processor, orders)).expect("all orders done");
            (world, processor)
        };
        bencher.iter_batched(seed, run, BatchSize::PerIteration);
    });
    group.bench_function("bare loop", |bencher| {
        let seed = || {
            let world = World::new(orders);
            let bare = runtime.block_on(BareLoop::new(&world, world.clone())).expect("a loop");
            (world, bare)
        };
        let run = |(world, bare): (World, BareLoop)| {
            runtime.block_on(bare.run(IN_FLIGHT)).expect("all orders done");
            (world, bare)
        };
        bencher.iter_batched(seed, run, BatchSize::PerIteration);
    });
    let requests = {
        let world = World::new(orders);
        let tape = Tape::new(world.clone());
        let processor = world.processor(tape.clone(), &environment, IN_FLIGHT).expect("a processor");
        runtime.block_on(World::process(&processor, orders)).expect("all orders done");
        tape.requests()
    };
    group.bench_function("fakes alone", |bencher| {
        let seed = || (World::new(orders), requests.clone());
        let run = |(world, requests)| {
            runtime.block_on(play(requests, &world)).expect("the answers of before");
            world
        };
        bencher.iter_batched(seed, run, BatchSize::PerIteration);
    });
    group.finish();
}

/// One call through the pipeline, over a transport that costs nothing.
fn calls(criterion: &mut Criterion<CpuTime>) {
    let (runtime, environment) = (runtime(), environment());
    let mut group = criterion.benchmark_group("one call");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));

    let order = OrderUuid::new(Uuid::from_u128(1));
    let canned = Canned::answer(format!(r#"{{"uuid":"{}","state":"executing"}}"#, order.hex()));
    let waldur = World::new(0).client(canned, &environment).expect("a client");
    group.bench_function("Waldur: state of an order", |bencher| {
        bencher.iter(|| runtime.block_on(waldur.orders().state(order)).expect("a state"));
    });

    let (uid, body) = runtime.block_on(one_user()).expect("a user");
    let uid = Uid::new(uid).expect("a uid");
    let endpoint = BaseUrl::parse("endpoint", GATEWAY, PlainHttp::default()).expect("a URL");
    let http = Http::new(Canned::answer(body)).with_environment(environment.clone());
    let gateway = RadosGwClient::new(http, &endpoint, &World::new(0).admin()).expect("a client");
    group.bench_function("RadosGW: user, signed", |bencher| {
        bencher.iter(|| runtime.block_on(gateway.users().get_with_keys(&uid)).expect("an answer"));
    });
    group.finish();
}

/// A page of orders: by the SDK row by row, and by `serde_json` as it comes.
fn decode(criterion: &mut Criterion<CpuTime>) {
    let page = runtime().block_on(Canned::orders(PAGE)).expect("orders").first();
    let mut group = criterion.benchmark_group(format!("decode a page of {PAGE} orders, {} KiB", page.len() / 1024));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1)).throughput(Throughput::Elements(PAGE as u64));

    group.bench_function("sdk, typed rows", |bencher| {
        bencher.iter(|| {
            let rows = decode_rows::<Order>(black_box(&page), "uuid").expect("a list");
            assert!(rows.items.len() == PAGE, "rows got lost");
            rows
        });
    });
    group.bench_function("serde_json, Vec<Order>", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Vec<Order>>(black_box(&page)).expect("a list"));
    });
    group.bench_function("serde_json, Value", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Value>(black_box(&page)).expect("a list"));
    });
    group.finish();
}

/// A long list to its proven end.
fn paging(criterion: &mut Criterion<CpuTime>) {
    let (rows, runtime) = (size(10_000, 300), runtime());
    let canned = runtime.block_on(Canned::orders(rows)).expect("orders");
    let world = World::new(0);
    let client = world.client(canned, &environment()).expect("a client");
    let query = pending(&world);
    let mut group = criterion.benchmark_group(format!("page through {rows} orders"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2)).throughput(Throughput::Elements(rows as u64));
    group.bench_function("sdk", |bencher| {
        bencher.iter(|| {
            let listing = runtime.block_on(client.orders().list(&query).collect()).expect("a list");
            assert!(listing.gap().is_none() && listing.items().len() == rows, "rows got lost");
            listing
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).without_plots();
    targets = orders, calls, decode, paging
}
criterion_main!(benches);
