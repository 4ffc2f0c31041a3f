//! All of it, one after the other.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::Request;
use waldur_sdk::rest::{HttpOptions, HttpTransport, ReqwestTransport};

use super::{Agent, Mode, System, cycle::Cycle, ours, python, python::Python, scene::Scene, socket::Sockets};
use crate::{Result, canned::Canned};

/// What is to be compared.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many orders or resources.
    pub resources: usize,
    /// The round trip of every call.
    pub latency: Duration,
    /// On what.
    pub systems: Vec<System>,
    /// Which duties.
    pub modes: Vec<Mode>,
    /// Whose.
    pub agents: Vec<Agent>,
    /// How often each; the table has the run of the median time on the wall.
    pub repeat: usize,
    /// The most memory that the SDK may have had, in MiB.
    pub most_memory: Option<u64>,
    /// The interpreter that makes the virtual environment.
    pub python: String,
    /// The argument that makes this program the SDK's agent.
    pub worker: String,
}

/// The cycles of one process: the first has everything to do, the second finds nothing changed.
pub const CYCLES: [&str; 2] = ["first", "steady"];

/// What one cycle took.
#[derive(Clone, Debug)]
pub struct Row {
    /// On what.
    pub system: System,
    /// Which duty.
    pub mode: Mode,
    /// One of [`CYCLES`].
    pub cycle: &'static str,
    /// Whose.
    pub agent: Agent,
    /// Calls to Waldur.
    pub waldur: u64,
    /// Calls to the back end.
    pub backend: u64,
    /// Those of both that were meant to change something.
    pub writes: u64,
    /// Refusals, in the agent's log or by the fakes; not failures yet.
    pub refused: usize,
    /// What the process says.
    pub took: Cycle,
}

impl Row {
    /// Which one it is.
    pub fn name(&self) -> String {
        format!("{} {} {} {}", self.system, self.mode, self.agent, self.cycle)
    }

    /// All calls.
    pub fn calls(&self) -> u64 {
        self.waldur + self.backend
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// A row for every cycle.
    pub rows: Vec<Row>,
    /// What should not have happened.
    pub failures: Vec<String>,
    /// What a call really takes that a fake answers at once: timers are rounded up, and wake late on a busy machine.
    pub round_trip: Duration,
}

/// Runs the plan. `tell` hears of every cycle as it ends.
///
/// # Errors
/// When something cannot even be tried: no Python, no socket.
pub fn run(plan: &Plan, mut tell: impl FnMut(&Row)) -> Result<Outcome> {
    let folder = python::folder()?;
    let python =
        if plan.agents.contains(&Agent::Python) { Some(Python::installed(&plan.python, &folder)?) } else { None };
    let mut outcome = Outcome { round_trip: round_trip(plan.latency)?, ..Outcome::default() };
    for system in &plan.systems {
        for mode in &plan.modes {
            for agent in &plan.agents {
                let one = One { plan, folder: &folder, python: python.as_ref(), agent: *agent };
                let mut rows = Vec::new();
                for _ in 0..plan.repeat.max(1) {
                    rows.extend(one.run(&Scene::new(*system, *mode, plan.resources)?, &mut outcome, &mut tell)?);
                }
                outcome.rows.extend(CYCLES.iter().filter_map(|cycle| median(&rows, cycle)));
            }
        }
    }
    for row in outcome.rows.iter().filter(|row| row.agent == Agent::Sdk) {
        let most = plan.most_memory.filter(|most| row.took.peak_kib > most * 1024);
        let text = |most| format!("{}: {} KiB, where {most} MiB are allowed", row.name(), row.took.peak_kib);
        outcome.failures.extend(most.map(text));
    }
    Ok(outcome)
}

/// The run of the median time on the wall.
fn median(rows: &[Row], cycle: &str) -> Option<Row> {
    let mut rows: Vec<&Row> = rows.iter().filter(|row| row.cycle == cycle).collect();
    rows.sort_by_key(|row| row.took.wall_us);
    rows.get(rows.len() / 2).map(|row| (*row).clone())
}

fn round_trip(latency: Duration) -> Result<Duration> {
    const TIMES: u32 = 50;
    let sockets = Sockets::open([Arc::new(Canned::answer(Bytes::new())) as Arc<dyn HttpTransport>], latency)?;
    let url = sockets.doors().first().map(|door| door.url.clone()).unwrap_or_default();
    let transport = ReqwestTransport::new(&HttpOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let began = Instant::now();
        for _ in 0..TIMES {
            transport.send(Request::get(&url).body(Bytes::new())?).await?;
        }
        Ok(began.elapsed() / TIMES)
    })
}

struct One<'a> {
    plan: &'a Plan,
    folder: &'a PathBuf,
    python: Option<&'a Python>,
    agent: Agent,
}

impl One<'_> {
    fn run(&self, scene: &Scene, outcome: &mut Outcome, tell: &mut impl FnMut(&Row)) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let sockets = Sockets::open(scene.transports(), self.plan.latency)?;
        let [waldur, backend] = sockets.doors() else { return Err("two doors".into()) };
        let setup = scene.setup(waldur, backend);
        let (mut worker, first) = match (self.agent, self.python) {
            (Agent::Python, Some(python)) => (python.start(scene, &setup)?, String::new()),
            (Agent::Python, None) => return Err("no Python".into()),
            (Agent::Sdk, _) => {
                let orders = ours::orders(&setup, python::settings(scene, &setup));
                (ours::start(&self.plan.worker, self.folder, &setup)?, orders)
            }
        };
        for cycle in CYCLES {
            for door in [waldur, backend] {
                door.forget();
            }
            let took = worker.cycle(if cycle == CYCLES[0] { &first } else { "" })?;
            let (to_waldur, to_backend) = (waldur.counts(), backend.counts());
            let refused: Vec<String> = [waldur.refused(), backend.refused()].concat();
            let row = Row {
                system: setup.system,
                mode: setup.mode,
                cycle,
                agent: self.agent,
                waldur: to_waldur.total,
                backend: to_backend.total,
                writes: to_waldur.writes + to_backend.writes,
                refused: refused.len(),
                took,
            };
            let broken = refused.iter().filter(|line| line.starts_with('5'));
            let wrong = row.took.errors.iter().chain(broken).cloned().chain(scene.problems(self.agent));
            outcome.failures.extend(few(wrong.map(|what| format!("{}: {what}", row.name()))));
            tell(&row);
            rows.push(row);
        }
        Ok(rows)
    }
}

/// The first few, and how many more there are.
fn few(all: impl Iterator<Item = String>) -> Vec<String> {
    const SHOWN: usize = 8;
    let mut all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    if more > 0 {
        all.push(format!("… and {more} more"));
    }
    all
}
