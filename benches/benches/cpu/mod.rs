//! What the benchmarks measure by, and over what.
#![allow(dead_code, reason = "not every benchmark needs all of it")]

use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use tokio::runtime::Runtime;
use waldur_benches::meter;
use waldur_sdk::rest::Environment;

/// The CPU time of the thread that runs the benchmark.
pub(crate) struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        meter::thread_cpu().expect("the kernel tells the CPU time of a thread")
    }

    fn end(&self, start: Duration) -> Duration {
        self.start().saturating_sub(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

/// `many` under `cargo bench`, `few` in a test.
pub(crate) fn size(many: usize, few: usize) -> usize {
    let measured = std::env::args().any(|argument| argument == "--bench") && !std::env::args().any(|a| a == "--test");
    if measured { many } else { few }
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

pub(crate) fn environment() -> Environment {
    Environment::default().with_timer(tokio::time::sleep)
}
