//! Dropping a future wherever it waits.

use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use super::{
    Bounds, Cycle, Failure, Life, Scenario, Sweep,
    failure::Story,
    life::{Hook, Phase, poll_yield},
    lock,
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
    let mut world = scenario.world();
    scenario.prepare(&mut world).await;
    let story = Story::default();
    let mut countdown = Countdown::new(plan);
    let watched = Arc::new(Watch { story: story.clone(), limits: limits.clone(), seen: Mutex::default() });
    let life = Life::new(Arc::clone(&watched) as Arc<dyn Hook>, 0, 0);
    let mut agent = scenario.start(&world, &life);
    for _ in 0..limits.cycles() {
        let cycle = limits
            .watch(scenario.cycle(&mut agent), |_, pending| watched.is_place() && pending && countdown.strikes())
            .await;
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

/// Whether the places where a process waits differ.
struct Watch {
    story: Story,
    limits: Bounds,
    seen: Mutex<Seen>,
}

/// What happened in one poll.
#[derive(Default)]
struct Seen {
    /// A request that reads was carried out, and its answer not seen: of it nothing is left that was not before.
    read: bool,
    /// Anything else passed the harness.
    more: bool,
}

impl Watch {
    /// Whether the poll that has ended came to another place than the one before it.
    fn is_place(&self) -> bool {
        let seen = std::mem::take(&mut *lock(&self.seen));
        seen.more || !seen.read
    }

    fn notes(&self, label: &str, as_before: bool) {
        let mut seen = lock(&self.seen);
        let read = as_before && !self.limits.strikes_around(label);
        (seen.read, seen.more) = (seen.read || read, seen.more || !read);
    }
}

impl Hook for Watch {
    fn poll_pass(&self, phase: Phase, label: &str, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        if ticket.is_none() {
            self.notes(label, phase == Phase::Answered);
        }
        ready!(poll_yield(ticket, cx.waker()));
        self.notes(label, phase == Phase::Leaves);
        self.story.tell(phase.of(label));
        Poll::Ready(())
    }
}
