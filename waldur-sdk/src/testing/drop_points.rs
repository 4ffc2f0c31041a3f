//! Dropping a future wherever it waits.

use std::sync::Arc;

use super::{
    Bounds, Cycle, Failure, Life, Scenario, Sweep,
    failure::Story,
    life::Undisturbed,
    scenario::Watched,
    sweep::{Countdown, Run, sweep},
};

/// Drops the future of a cycle at every place where it waits, lets **the same process** go on, and compares the final
/// state with that of a run without faults (faults.md row 127).
///
/// This is what a host does with `select!` or a time limit. Unlike a kill, the process keeps its caches, its
/// connections and, if it is written badly, its locks: a cycle that then never ends is a [`Failure::Hung`].
///
/// The places are the polls that return `Pending`. Every request gives way once before it leaves and once before its
/// answer is seen, so that a fake that answers at once has places too; pauses of the process count as well.
///
/// # Errors
/// The first [`Failure`]; it tells the place and the whole story of the run.
pub async fn drop_points<S: Scenario>(scenario: &S, limits: &Bounds) -> Result<Sweep, Failure<S::Verdict>> {
    sweep(limits, async |plan| one_process(scenario, limits, plan).await).await
}

/// One run to rest, all of it in one process.
async fn one_process<S: Scenario>(
    scenario: &S,
    limits: &Bounds,
    plan: &[usize],
) -> Result<Run<S::Verdict>, Failure<S::Verdict>> {
    let world = scenario.world();
    let story = Story::default();
    let mut countdown = Countdown::new(plan);
    let life = Life::new(Arc::new(Undisturbed(story.clone())), 0, 0);
    let mut agent = scenario.start(&world, &life);
    for _ in 0..limits.cycles() {
        let cycle = limits.watch(scenario.cycle(&mut agent), |_, pending| pending && countdown.strikes()).await;
        match cycle {
            Watched::Done(Cycle::Idle) => {
                return Ok(Run {
                    verdict: scenario.verdict(&world),
                    fired: countdown.fired(),
                    fault: countdown.fault(FAULT),
                    story: story.lines(),
                });
            }
            Watched::Done(Cycle::Busy) => {}
            Watched::Cut => story.tell("DROPPED"),
            Watched::Hung => return Err(limits.hung(&story, countdown.fault(FAULT))),
        }
    }
    Err(limits.restless(&story, countdown.fault(FAULT)))
}

const FAULT: &str = "dropped at wait";
