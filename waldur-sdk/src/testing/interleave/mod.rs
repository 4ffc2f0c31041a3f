//! Two agents at once, in every order.

mod explorer;
mod gate;

use std::sync::Arc;

pub use explorer::Schedule;
use explorer::{Explorer, Mode, Trace};
use gate::{Crew, Gate};

use super::{Bounds, Cycle, Failure, Life, Scenario, failure::Story, life::Undisturbed, scenario::Watched};

/// Lets several agents work on one world, one request at a time in every order asked for, and compares the final state
/// with that of the same agents one after another (faults.md row 110).
///
/// # How it works
/// Each request waits at a gate before it leaves. The harness polls the agents itself, in the caller's task, only when
/// they were woken; when nobody was, every agent is at the gate, asleep (a timer, a pause, a request that the fake has
/// not answered) or has ended. Then the scheduler decides: one of the requests at the gate goes on to its answer and
/// its agent runs until it stops again, or, if some agent sleeps, time passes until it wakes. Under virtual time (see
/// [the module](super#virtual-time)) the outcome depends on the decisions alone.
///
/// Agents that have nothing at the gate leave nothing to decide. Work spawned onto the runtime is out of the harness's
/// sight: it counts as asleep.
///
/// Each agent goes through cycles until it is idle. With [`Interleaving::settling`] one fresh agent then cleans up
/// what the others left to it.
///
/// # Errors
/// The first [`Failure`]. It names the schedule, which [`Interleaving::replay`] takes.
pub async fn interleave<S: Scenario>(
    scenario: &S,
    interleaving: &Interleaving,
    limits: &Bounds,
) -> Result<Interleaved, Failure<S::Verdict>> {
    let expected = one_after_another(scenario, interleaving, limits).await?;
    let mut result = Interleaved { schedules: 0, decisions: 0 };
    let mut explorer = Explorer::new(interleaving.mode.clone());
    loop {
        let (trace, verdict) = together(scenario, interleaving, limits, &mut explorer).await?;
        result.schedules += 1;
        result.decisions = result.decisions.max(trace.decisions.len());
        if verdict != expected {
            let fault = trace.fault();
            return Err(Failure::Differs { fault, expected, found: verdict, story: trace.story });
        }
        if !explorer.advance(&trace.decisions) {
            break;
        }
    }
    // Agents of which there was never more than one to choose from have not met.
    if result.decisions == 0 { Err(Failure::Untouched) } else { Ok(result) }
}

/// Which orders are tried, and with whom.
#[derive(Clone, Debug)]
pub struct Interleaving {
    mode: Mode,
    agents: usize,
    split: bool,
    settle: bool,
    alike: bool,
}

impl Interleaving {
    /// Every order of the first `depth` decisions; after them each agent runs on as long as it can. Up to 2 to the
    /// power of `depth` runs with two agents.
    pub fn exhaustive(depth: usize) -> Self {
        Self::of(Mode::Exhaustive { depth, switches: usize::MAX })
    }

    /// Every order, however long, in which a running agent is interrupted at most `most` times. Few interruptions
    /// find most races: 2 cover "A, then all of B, then the rest of A" for every place in A.
    pub fn switches(most: usize) -> Self {
        Self::of(Mode::Exhaustive { depth: usize::MAX, switches: most })
    }

    /// `runs` orders drawn from `seed`.
    pub fn random(seed: u64, runs: usize) -> Self {
        Self::of(Mode::Random { seed, runs: runs.max(1) })
    }

    /// The one order that a failure named.
    pub fn replay(schedule: Schedule) -> Self {
        Self::of(Mode::Replay(schedule))
    }

    fn of(mode: Mode) -> Self {
        Self { mode, agents: 2, split: false, settle: false, alike: false }
    }

    /// How many agents there are. Default 2.
    #[must_use]
    pub fn with_agents(mut self, agents: usize) -> Self {
        self.agents = agents;
        self
    }

    /// Answers wait at the gate too, so that one may be seen long after the request was carried out. This matters for
    /// agents that have several requests in flight.
    #[must_use]
    pub fn split(mut self) -> Self {
        self.split = true;
        self
    }

    /// After all agents have ended, a fresh one runs to rest before the verdict.
    #[must_use]
    pub fn settling(mut self) -> Self {
        self.settle = true;
        self
    }

    /// The agents are all the same, whatever [`Life::agent`] says: of the orders that differ only in which of them is
    /// which, one is tried. Who has sent nothing yet begins in the order of the numbers. With two agents that halves the
    /// work.
    #[must_use]
    pub fn alike(mut self) -> Self {
        self.alike = true;
        self
    }
}

/// What an interleaving went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interleaved {
    /// Orders tried.
    pub schedules: usize,
    /// The most decisions in one of them.
    pub decisions: usize,
}

/// The state that the agents come to when they never meet.
async fn one_after_another<S: Scenario>(
    scenario: &S,
    interleaving: &Interleaving,
    limits: &Bounds,
) -> Result<S::Verdict, Failure<S::Verdict>> {
    let mut world = scenario.world();
    scenario.prepare(&mut world).await;
    let story = Story::default();
    for agent in 0..interleaving.agents {
        alone(scenario, &world, agent, 0, &story, limits).await?;
    }
    if interleaving.settle {
        alone(scenario, &world, 0, 1, &story, limits).await?;
    }
    Ok(scenario.verdict(&world))
}

/// One agent, from start to rest.
async fn alone<S: Scenario>(
    scenario: &S,
    world: &S::World,
    agent: usize,
    number: usize,
    story: &Story,
    limits: &Bounds,
) -> Result<(), Failure<S::Verdict>> {
    let life = Life::new(Arc::new(Undisturbed(story.clone())), agent, number);
    let process = scenario.start(world, &life);
    let fault = || format!("agent {agent} alone");
    match limits.watch(to_rest(scenario, process, limits.cycles()), |_, _| false).await {
        Watched::Done(Cycle::Idle) => Ok(()),
        Watched::Done(Cycle::Busy) => Err(limits.restless(story, fault())),
        Watched::Cut | Watched::Hung => Err(limits.hung(story, fault())),
    }
}

async fn to_rest<S: Scenario>(scenario: &S, mut process: S::Agent, cycles: usize) -> Cycle {
    for _ in 0..cycles {
        if scenario.cycle(&mut process).await == Cycle::Idle {
            return Cycle::Idle;
        }
    }
    Cycle::Busy
}

/// All agents at once, in the order that the explorer is at.
async fn together<S: Scenario>(
    scenario: &S,
    interleaving: &Interleaving,
    limits: &Bounds,
    explorer: &mut Explorer,
) -> Result<(Trace, S::Verdict), Failure<S::Verdict>> {
    let mut world = scenario.world();
    scenario.prepare(&mut world).await;
    let story = Story::default();
    let gate = Gate::new(story.clone(), interleaving.split);
    let mut crew = Crew::new(Arc::clone(&gate), interleaving.alike);
    for agent in 0..interleaving.agents {
        let life = Life::new(gate.keeper(agent), agent, 0);
        crew.join(to_rest(scenario, scenario.start(&world, &life), limits.cycles()));
    }
    let mut trace = Trace::default();
    let ended = limits.watch(crew.work(explorer, &mut trace), |_, _| false).await;
    drop(crew);
    match ended {
        Watched::Done(Cycle::Idle) => {}
        Watched::Done(Cycle::Busy) => return Err(limits.restless(&story, trace.fault())),
        Watched::Cut | Watched::Hung => return Err(limits.hung(&story, trace.fault())),
    }
    if interleaving.settle {
        story.tell("all agents have ended; one more settles");
        alone(scenario, &world, 0, 1, &story, limits).await?;
    }
    trace.story = story.lines();
    Ok((trace, scenario.verdict(&world)))
}
