//! Create orders over a network that takes time: how long, how many calls, how much CPU and memory. See `README.md`.
#![allow(clippy::print_stdout, reason = "it prints its result")]

use std::{
    env,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use waldur_benches::{
    Result,
    bare::BareLoop,
    canned::{Canned, PAGE},
    meter,
    world::{World, order_of},
};
use waldur_sdk::{
    rest::{Environment, HttpTransport},
    testing::{Counting, Latency},
};

const USAGE: &str = "thousand-orders [--mode sdk|bare|both] [--orders 1000] [--latency-ms 5] [--in-flight 8]";

/// The dependent round trips that a create order may take after the listing.
const MOST_WAVES: usize = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Sdk,
    Bare,
    /// Both, each in a process of its own: a peak of memory is a process's.
    Both,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    mode: Mode,
    orders: usize,
    latency: Duration,
    in_flight: usize,
    /// Only the row, because the parent printed the rest.
    row_only: bool,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let latency = Duration::from_millis(5);
        let mut options = Self { mode: Mode::Both, orders: 1000, latency, in_flight: 8, row_only: false };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(USAGE);
            match name.as_str() {
                "--mode" => {
                    options.mode = match value()?.as_str() {
                        "sdk" => Mode::Sdk,
                        "bare" => Mode::Bare,
                        "both" => Mode::Both,
                        _ => return Err(USAGE.into()),
                    }
                }
                "--orders" => options.orders = value()?.parse()?,
                "--latency-ms" => options.latency = Duration::from_millis(value()?.parse()?),
                "--in-flight" => options.in_flight = value()?.parse::<usize>()?.max(1),
                "--row-only" => options.row_only = true,
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    /// Pages one after the other, then orders in lanes. An order takes its seven waves whatever the others do.
    fn waves(&self) -> usize {
        self.orders.div_ceil(PAGE).max(1) + self.orders.div_ceil(self.in_flight) * MOST_WAVES
    }
}

fn main() -> Result<()> {
    let options = Options::read(env::args().skip(1))?;
    if options.mode == Mode::Both {
        return both(options);
    }
    if !options.row_only {
        print_head(options);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(one(options))
}

fn both(options: Options) -> Result<()> {
    print_head(options);
    for mode in ["sdk", "bare"] {
        let latency = options.latency.as_millis().to_string();
        let (orders, in_flight) = (options.orders.to_string(), options.in_flight.to_string());
        let mut command = Command::new(env::current_exe()?);
        command.args(["--row-only", "--mode", mode, "--orders", &orders, "--latency-ms", &latency]);
        let status = command.args(["--in-flight", &in_flight]).status()?;
        if !status.success() {
            return Err(format!("{mode}: {status}").into());
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (waves, real) = (options.waves(), runtime.block_on(round_trip(options.latency))?);
    for (name, latency) in [("floor", options.latency), ("floor*", real)] {
        let wall = latency * u32::try_from(waves)?;
        println!("{name:<10} {:>7} {MOST_WAVES:>6} {:>8.2}", "", wall.as_secs_f64());
    }
    println!("floor: {waves} waves of {:?}; floor*: of {real:?}, as long as the timer really sleeps.", options.latency);
    Ok(())
}

fn print_head(options: Options) {
    let Options { orders, latency, in_flight, .. } = options;
    println!("{orders} create orders, {latency:?} latency, {in_flight} in flight");
    println!(
        "{:<10} {:>7} {:>6} {:>8} {:>8} {:>10} {:>10} {:>10}",
        "mode", "calls", "waves", "wall s", "CPU s", "CPU/call", "before", "peak"
    );
}

fn environment() -> Environment {
    Environment::default().with_timer(tokio::time::sleep)
}

/// A sleep of nothing takes a millisecond too, so there is none.
fn network(server: impl HttpTransport, latency: Duration) -> Arc<dyn HttpTransport> {
    if latency.is_zero() { Arc::new(server) } else { Arc::new(Latency::new(server, environment(), latency)) }
}

/// One side of the comparison: prints its row.
async fn one(options: Options) -> Result<()> {
    let Options { mode, orders, latency, in_flight, .. } = options;
    let world = World::new(orders);
    let counting = Counting::new(network(world.clone(), latency)).grouped_by(order_of);
    let name = if mode == Mode::Sdk { "sdk" } else { "bare loop" };
    let processor = world.processor(counting.clone(), &environment(), in_flight)?;
    let bare = BareLoop::new(&world, counting.clone()).await?;

    let (before, cpu, begin) = (meter::memory()?, meter::process_cpu()?, Instant::now());
    if mode == Mode::Sdk {
        World::process(&processor, orders).await?;
    } else {
        bare.run(in_flight).await?;
    }
    let (wall, cpu, after) = (begin.elapsed(), meter::process_cpu()?.saturating_sub(cpu), meter::memory()?);

    world.verify(orders)?;
    let counts = counting.counts();
    let waves = counts.groups.values().map(|group| group.depth).max().unwrap_or_default();
    let per_call = cpu / u32::try_from(counts.total)?.max(1);
    println!(
        "{name:<10} {:>7} {waves:>6} {:>8.2} {:>8.2} {:>7} µs {:>6.1} MiB {:>6.1} MiB",
        counts.total,
        wall.as_secs_f64(),
        cpu.as_secs_f64(),
        per_call.as_micros(),
        mib(before.now),
        mib(after.peak),
    );
    if counts.groups.len() != orders || waves > MOST_WAVES {
        return Err(format!("{} orders, {waves} waves, where {MOST_WAVES} are allowed", counts.groups.len()).into());
    }
    if mode == Mode::Sdk { idle(&processor, &counting).await } else { Ok(()) }
}

/// A run that finds nothing to do writes nothing.
async fn idle(processor: &waldur_sdk::process::OrderProcessor, counting: &Counting) -> Result<()> {
    counting.reset();
    World::process(processor, 0).await?;
    let counts = counting.counts();
    println!("{:<10} {:>7} {:>6}   ({} writes)", "sdk, idle", counts.total, counts.depth, counts.writes);
    if counts.writes == 0 { Ok(()) } else { Err("an idle run wrote".into()) }
}

/// What one exchange really takes: timers are rounded up, to a millisecond in tokio, and wake late on a busy machine.
async fn round_trip(latency: Duration) -> Result<Duration> {
    const TIMES: u32 = 100;
    let stub = network(Canned::answer(Bytes::new()), latency);
    let begin = Instant::now();
    for _ in 0..TIMES {
        stub.send(Request::new(Bytes::new())).await?;
    }
    Ok(begin.elapsed() / TIMES)
}

fn mib(kib: u64) -> f64 {
    f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0
}
