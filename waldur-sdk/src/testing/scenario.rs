//! The piece of work that all harnesses run, and its bounds.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use super::{Failure, Life, failure::Story};
use crate::rest::Environment;

/// A piece of work whose outcome must not depend on when processes die, futures are dropped or agents meet.
///
/// Written once, it runs under [`kill_points`](super::kill_points()), [`drop_points`](super::drop_points()) and
/// [`interleave`](super::interleave()):
///
/// - the **world** is what outlives a process: the fakes;
/// - an **agent** is one process: clients, caches, processors, all over transports that went through
///   [`Life::around`];
/// - a **cycle** is one pass of that process over its work;
/// - the **verdict** is what must come out the same: orders and their states, objects of the back end, orphans.
///
/// Nothing of it needs to be `Send`, and no harness spawns anything.
pub trait Scenario {
    /// The fakes, and everything else that survives a killed process.
    type World;
    /// One process.
    type Agent;
    /// The final state of the world, without anything that may honestly differ between two runs: times, random
    /// names, numbers of attempts.
    type Verdict: PartialEq + fmt::Debug;

    /// A fresh world, the same every time.
    fn world(&self) -> Self::World;

    /// Brings a fresh world to where the work begins, where that takes time. Nothing of it is under the harness. Default:
    /// nothing.
    fn prepare(&self, _world: &mut Self::World) -> impl Future<Output = ()> {
        std::future::ready(())
    }

    /// Starts a process. Every transport to a fake must go through [`Life::around`].
    fn start(&self, world: &Self::World, life: &Life) -> Self::Agent;

    /// One pass of the process over its work.
    fn cycle(&self, agent: &mut Self::Agent) -> impl Future<Output = Cycle>;

    /// The state that the world has come to.
    fn verdict(&self, world: &Self::World) -> Self::Verdict;
}

/// How a cycle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cycle {
    /// Nothing is left to do; another cycle would change nothing.
    Idle,
    /// Something failed, waits, or was put off: the process would come back.
    Busy,
}

/// Bounds of one run, so that a scenario that never ends is a failure and not a test that hangs.
#[derive(Clone, Debug)]
pub struct Bounds {
    environment: Environment,
    cycle: Duration,
    cycles: usize,
    faults: usize,
    around_writes: bool,
}

impl Default for Bounds {
    /// 60 s for a cycle on the system's timer, 20 cycles in a run, one fault in a run.
    fn default() -> Self {
        let (environment, cycle) = (Environment::default(), Duration::from_secs(60));
        Self { environment, cycle, cycles: 20, faults: 1, around_writes: false }
    }
}

impl Bounds {
    /// Measures [`Bounds::with_cycle_time`] on this timer. With virtual time a hanging cycle is found at once.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// A cycle that takes longer hangs. Under virtual time this must be more than the longest honest pause.
    #[must_use]
    pub fn with_cycle_time(mut self, most: Duration) -> Self {
        self.cycle = most;
        self
    }

    /// A run that is not idle after so many cycles never comes to rest.
    #[must_use]
    pub fn with_cycles(mut self, most: usize) -> Self {
        self.cycles = most.max(1);
        self
    }

    /// Sweeps also put a second, third… fault into the recovery from the first. The number of runs grows with the
    /// number of points to this power.
    #[must_use]
    pub fn with_faults(mut self, most: usize) -> Self {
        self.faults = most.max(1);
        self
    }

    /// [`kill_points`](super::kill_points()) passes over the points around requests that read (`GET`, `HEAD`). A killed
    /// process leaves what it wrote and nothing else, so that a death around a read leaves the same world as one before
    /// the next write: the sweep comes to every world that the whole one comes to, in a third of the time.
    /// [`drop_points`](super::drop_points()) does not tell a request that waits to read from one whose answer was not seen
    /// yet. For scenarios whose fakes keep nothing of a read, and whose verdict does not count requests.
    #[must_use]
    pub fn around_writes(mut self) -> Self {
        self.around_writes = true;
        self
    }

    /// Whether a request of this label (`GET users.list`) has points before and after it.
    pub(super) fn strikes_around(&self, label: &str) -> bool {
        !self.around_writes || !(label.starts_with("GET ") || label.starts_with("HEAD "))
    }

    pub(super) fn cycles(&self) -> usize {
        self.cycles
    }

    pub(super) fn faults(&self) -> usize {
        self.faults
    }

    /// Polls `work` until it is ready, `cut` says so after a poll, or the time is up.
    pub(super) async fn watch<T>(
        &self,
        work: impl Future<Output = T>,
        mut cut: impl FnMut(&mut Context<'_>, bool) -> bool,
    ) -> Watched<T> {
        let mut work = pin!(work);
        let mut alarm = self.environment.sleep(self.cycle);
        poll_fn(|cx| {
            let polled = work.as_mut().poll(cx);
            // A process that died within this poll did not end well in it, whatever it says.
            if cut(cx, polled.is_pending()) {
                return Poll::Ready(Watched::Cut);
            }
            match polled {
                Poll::Ready(value) => Poll::Ready(Watched::Done(value)),
                Poll::Pending => alarm.as_mut().poll(cx).map(|()| Watched::Hung),
            }
        })
        .await
    }

    pub(super) fn hung<V>(&self, story: &Story, fault: String) -> Failure<V> {
        Failure::Hung { fault, limit: self.cycle, story: story.lines() }
    }

    pub(super) fn restless<V>(&self, story: &Story, fault: String) -> Failure<V> {
        Failure::Restless { fault, cycles: self.cycles, story: story.lines() }
    }
}

/// How [`Bounds::watch`] ended.
pub(super) enum Watched<T> {
    Done(T),
    Cut,
    Hung,
}
