//! What the SDK costs where it reads long lists, and where it has to try again. See `benches/README.md`.
//!
//! CPU time of the thread, as in `orders.rs`.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run has to stop")]

mod cpu;

use std::{
    hint::black_box,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use cpu::{CpuTime, environment, runtime, size};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use http::{Request, Response, StatusCode};
use waldur_benches::{canned::Canned, world::World};
use waldur_sdk::{
    client::{Resource, ResourceQuery},
    rest::{HttpTransport, TransportError, decode_rows},
    types::{OrderUuid, Uuid},
};

/// Pages of resources: the size that the servers give, and the largest that they may be asked for.
fn decode(criterion: &mut Criterion<CpuTime>) {
    let mut group = criterion.benchmark_group("decode a page of resources");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    for rows in [100, 300] {
        let page = runtime().block_on(Canned::resources(rows, rows)).expect("resources").first();
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("{rows} rows, {} KiB", page.len() / 1024), |bencher| {
            bencher.iter(|| {
                let read = decode_rows::<Resource>(black_box(&page), "uuid").expect("a list");
                assert!(read.items.len() == rows, "rows got lost");
                read
            });
        });
    }
    group.finish();
}

/// All resources of an offering, to the proven end of the list.
fn paging(criterion: &mut Criterion<CpuTime>) {
    let (rows, runtime) = (size(10_000, 300), runtime());
    let canned = runtime.block_on(Canned::resources(rows, 100)).expect("resources");
    let world = World::new(0);
    let client = world.client(canned, &environment()).expect("a client");
    let query = ResourceQuery::offering(world.offering);
    let mut group = criterion.benchmark_group(format!("page through {rows} resources, 100 a page"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(2)).throughput(Throughput::Elements(rows as u64));
    group.bench_function("sdk", |bencher| {
        bencher.iter(|| {
            let listing = runtime.block_on(client.provider_resources().list(&query).collect()).expect("a list");
            assert!(listing.gap().is_none() && listing.items().len() == rows, "rows got lost");
            listing
        });
    });
    group.finish();
}

/// Answers 503 to so many requests out of every `period`.
struct Unsteady {
    inner: Canned,
    refused: usize,
    period: usize,
    seen: AtomicUsize,
}

#[async_trait]
impl HttpTransport for Unsteady {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut answer = self.inner.send(request).await?;
        if self.seen.fetch_add(1, Ordering::Relaxed) % self.period < self.refused {
            *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(answer)
    }
}

/// One call with all its attempts. The pauses take no time, so this is the work of the retry loop alone.
fn retry(criterion: &mut Criterion<CpuTime>) {
    let (runtime, environment) = (runtime(), environment().with_timer(|_| std::future::ready(())));
    let order = OrderUuid::new(Uuid::from_u128(1));
    let mut group = criterion.benchmark_group("one call that has to be repeated");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    // Six calls make seven attempts, and earn one token more than the repeat costs: the budget never runs dry.
    for (name, refused, period) in [("never", 0, 1), ("one attempt in seven is refused", 1, 7)] {
        let inner = Canned::answer(format!(r#"{{"uuid":"{}","state":"executing"}}"#, order.hex()));
        let unsteady = Unsteady { inner, refused, period, seen: AtomicUsize::new(0) };
        let waldur = World::new(0).client(unsteady, &environment).expect("a client");
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(waldur.orders().state(order)).expect("a state"));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).without_plots();
    targets = decode, paging, retry
}
criterion_main!(benches);
