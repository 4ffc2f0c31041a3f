//! The SDK beside the Python agent, on the same state behind the same sockets. See `README.md`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints its result")]

use std::{env, process::ExitCode, str::FromStr, time::Duration};

use waldur_benches::{
    Result,
    peer::{
        Agent, Mode, System, ours,
        run::{self, Plan},
        table,
    },
};

const USAGE: &str = "peer [--resources 200] [--latency-ms 5] [--systems harbor,ceph-s3,croit-s3] \
[--modes order-process,report,membership-sync] [--agents python,sdk] [--repeat 1] \
[--most-memory-mib 64] [--python python3] [--json]";

/// Makes this program the SDK's agent.
const WORKER: &str = "--worker";

fn main() -> Result<ExitCode> {
    let mut arguments = env::args().skip(1);
    let mut plan = Plan {
        resources: 200,
        latency: Duration::from_millis(5),
        systems: System::ALL.to_vec(),
        modes: Mode::ALL.to_vec(),
        agents: Agent::ALL.to_vec(),
        repeat: 1,
        most_memory: None,
        python: "python3".to_owned(),
        worker: WORKER.to_owned(),
    };
    let mut as_json = false;
    while let Some(name) = arguments.next() {
        let mut value = || arguments.next().ok_or(USAGE);
        match name.as_str() {
            WORKER => return ours::work().map(|()| ExitCode::SUCCESS),
            "--resources" => plan.resources = value()?.parse()?,
            "--latency-ms" => plan.latency = Duration::from_millis(value()?.parse()?),
            "--systems" => plan.systems = list(&value()?)?,
            "--modes" => plan.modes = list(&value()?)?,
            "--agents" => plan.agents = list(&value()?)?,
            "--repeat" => plan.repeat = value()?.parse()?,
            "--most-memory-mib" => plan.most_memory = Some(value()?.parse()?),
            "--python" => plan.python = value()?,
            "--json" => as_json = true,
            _ => return Err(USAGE.into()),
        }
    }
    let outcome = run::run(&plan, |row| {
        eprintln!("{}: {:.2?}", row.name(), row.took.wall());
    })?;
    if as_json {
        println!("{:#}", table::tree(&outcome));
    } else {
        let Plan { resources, latency, .. } = plan;
        let really = outcome.round_trip;
        println!("{resources} resources, {latency:?} for every call (really {really:.1?})\n");
        println!("{}", table::markdown(&outcome));
    }
    for failure in &outcome.failures {
        eprintln!("FAILED: {failure}");
    }
    Ok(if outcome.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list<T: FromStr<Err = String>>(text: &str) -> Result<Vec<T>> {
    Ok(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
}
