//! What names cost. See `benches/README.md`.
//!
//! CPU time of the thread, as in `orders.rs`. Every name is made a thousand times, since the clock is coarse.
#![allow(missing_docs, clippy::expect_used, reason = "a benchmark that cannot run has to stop")]

mod cpu;

use std::{hint::black_box, time::Duration};

use cpu::{CpuTime, size};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use waldur_sdk::{
    naming::{HarborProjectName, NameForm, Person, RgwUid, SeedNaming, full_name, slug_2025},
    types::{ResourceUuid, Uuid},
};

const TIMES: usize = 1000;

fn names(criterion: &mut Criterion<CpuTime>) {
    let taken: Vec<String> = (0..size(1000, 10)).map(|number| format!("lukasz_zolc_{number:02}")).collect();
    let person = Person::named(Uuid::nil(), "Łukasz", "Żółć");
    let seed = SeedNaming::new("waldur_", "_", 64).expect("a naming");
    let resource = ResourceUuid::new(Uuid::from_u128(0x1234_5678));
    let mut group = criterion.benchmark_group(format!("{TIMES} names"));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1)).throughput(Throughput::Elements(TIMES as u64));

    let mut measure = |name: &str, make: &dyn Fn() -> usize| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| (0..TIMES).map(|_| black_box(make())).sum::<usize>());
        });
    };
    measure("a Harbor project, made to fit", &|| {
        HarborProjectName::from_lossy(black_box("waldur-My__Proj--1")).as_str().len()
    });
    measure("a Harbor project, never two alike", &|| {
        HarborProjectName::derive(black_box("waldur-My__Proj--1")).as_str().len()
    });
    measure("an S3 user, checked", &|| {
        RgwUid::new(black_box("waldur_myorg_myproject_12345678")).map_or(0, |uid| uid.as_str().len())
    });
    measure("an S3 user, of slugs and UUID", &|| {
        seed.uid(black_box("My-Org"), black_box("My.Project"), resource).map_or(0, |uid| uid.as_str().len())
    });
    measure("a slug", &|| slug_2025(black_box("My Project"), []).len());
    group.finish();

    let mut group = criterion.benchmark_group(format!("a full name that {} have already", taken.len()));
    group.sampling_mode(SamplingMode::Flat).sample_size(10).warm_up_time(Duration::from_millis(300));
    group.measurement_time(Duration::from_secs(1));
    group.bench_function("recommended", |bencher| {
        bencher.iter(|| full_name(black_box(&person), NameForm::Recommended, taken.iter().map(String::as_str)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).without_plots();
    targets = names
}
criterion_main!(benches);
