//! Killing a process at every point.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker, ready},
};

use super::{
    Bounds, Cycle, Failure, Life, Scenario, Sweep,
    failure::Story,
    life::{Hook, Phase, poll_yield},
    lock,
    scenario::Watched,
    sweep::{Countdown, Run, sweep},
};

/// Kills the process at every point of the scenario, lets fresh processes finish the work, and compares the final
/// state with that of a run without faults (faults.md row 124).
///
/// A point lies before each request leaves, after each request was carried out but before its answer is seen, and at
/// each [`Life::step`]; all transports of a life share one count, and the count goes on over the cycles of a run. Places
/// between which nothing can have happened are one point, as when a request follows an answer at once while nothing else
/// is under way: the world is the same at both, and of the process nothing is left. A killed process does nothing more:
/// its requests never leave, its future is dropped, a fresh [`Scenario::start`] takes over. The sweep ends when a run is
/// over before its point is reached.
///
/// # Errors
/// The first [`Failure`]; it tells the point and the whole story of the run.
///
/// ```
/// # use std::sync::{Arc, Mutex};
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// use waldur_sdk::{
///     rest::{HttpTransport, TransportError},
///     testing::{Cycle, Life, Bounds, Scenario, Wire, kill_points},
/// };
///
/// # #[derive(Clone, Default)]
/// # struct Fake(Arc<Mutex<std::collections::BTreeSet<String>>>);
/// # #[async_trait::async_trait]
/// # impl HttpTransport for Fake {
/// #     async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
/// #         self.0.lock().unwrap().insert(request.uri().path().to_owned());
/// #         Ok(Response::new(Bytes::new()))
/// #     }
/// # }
/// struct TwoSteps;
///
/// impl Scenario for TwoSteps {
///     type World = Fake;
///     type Agent = Wire;
///     type Verdict = Vec<String>;
///
///     fn world(&self) -> Fake {
///         Fake::default()
///     }
///     fn start(&self, world: &Fake, life: &Life) -> Wire {
///         life.around(world.clone())
///     }
///     async fn cycle(&self, agent: &mut Wire) -> Cycle {
///         for path in ["/account", "/quota"] {
///             let request = Request::put(path).body(Bytes::new()).unwrap();
///             if agent.send(request).await.is_err() {
///                 return Cycle::Busy;
///             }
///         }
///         Cycle::Idle
///     }
///     fn verdict(&self, world: &Fake) -> Vec<String> {
///         world.0.lock().unwrap().iter().cloned().collect()
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let sweep = kill_points(&TwoSteps, &Bounds::default()).await.unwrap();
/// assert_eq!(sweep.points, 3);
/// # });
/// ```
pub async fn kill_points<S: Scenario>(scenario: &S, limits: &Bounds) -> Result<Sweep, Failure<S::Verdict>> {
    sweep(limits, async |plan| life_after_life(scenario, limits, plan).await).await
}

/// One run to rest: as many lives as it takes.
async fn life_after_life<S: Scenario>(
    scenario: &S,
    limits: &Bounds,
    plan: &[usize],
) -> Result<Run<S::Verdict>, Failure<S::Verdict>> {
    let mut world = scenario.world();
    scenario.prepare(&mut world).await;
    let countdown = Mutex::new(Countdown::new(plan));
    let fate = Arc::new(Fate { story: Story::default(), countdown, stir: Mutex::default(), limits: limits.clone() });
    let mut cycles = 0;
    let mut lives = 0;
    'lives: loop {
        let switch =
            Arc::new(Switch { fate: Arc::clone(&fate), dead: AtomicBool::new(false), waker: Mutex::default() });
        let life = Life::new(Arc::clone(&switch) as Arc<dyn Hook>, 0, lives);
        lives += 1;
        *lock(&fate.stir) = Stir::default();
        let mut agent = scenario.start(&world, &life);
        loop {
            if cycles == limits.cycles() {
                return Err(limits.restless(&fate.story, fate.fault()));
            }
            cycles += 1;
            lock(&fate.stir).moved = true;
            match limits.watch(scenario.cycle(&mut agent), |cx, _| switch.turn_ends(cx)).await {
                Watched::Done(Cycle::Idle) => break 'lives,
                Watched::Done(Cycle::Busy) => {}
                Watched::Cut => continue 'lives,
                Watched::Hung => return Err(limits.hung(&fate.story, fate.fault())),
            }
        }
    }
    let fired = lock(&fate.countdown).fired();
    Ok(Run { verdict: scenario.verdict(&world), fired, fault: fate.fault(), story: fate.story.lines() })
}

/// What is to happen to the lives of one run.
struct Fate {
    story: Story,
    countdown: Mutex<Countdown>,
    limits: Bounds,
    stir: Mutex<Stir>,
}

impl Fate {
    fn fault(&self) -> String {
        lock(&self.countdown).fault("killed at point")
    }

    /// Whether what has come here dies here; else it passes.
    fn strikes(&self, phase: Phase, label: &str) -> bool {
        let mut stir = lock(&self.stir);
        let is_point = stir.is_point(phase) && (phase == Phase::Step || self.limits.strikes_around(label));
        let strikes = is_point && lock(&self.countdown).strikes();
        if !strikes {
            stir.passes(phase);
        }
        strikes
    }
}

/// Whether the world may be another than at the point before.
#[derive(Default)]
struct Stir {
    /// A cycle began, something passed, or there was time for whatever does not pass here.
    moved: bool,
    /// The process was polled since something passed.
    turns: bool,
    /// Requests that have left and were not answered.
    under_way: usize,
}

impl Stir {
    /// Something came here and waits for its turn.
    fn arrives(&mut self, phase: Phase) {
        self.moved |= self.turns || phase == Phase::Answered;
        if phase == Phase::Answered {
            self.under_way = self.under_way.saturating_sub(1);
        }
    }

    /// Whether this is a point of its own. What stands behind a step is not known here.
    fn is_point(&mut self, phase: Phase) -> bool {
        std::mem::take(&mut self.moved) || self.under_way > 0 || phase == Phase::Step
    }

    fn passes(&mut self, phase: Phase) {
        self.turns = false;
        self.moved |= phase != Phase::Answered;
        self.under_way += usize::from(phase == Phase::Leaves);
    }
}

/// The switch of one life.
struct Switch {
    fate: Arc<Fate>,
    dead: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Switch {
    /// Whether the process is dead, after it was polled; if not yet, the harness is woken when it is.
    fn turn_ends(&self, cx: &Context<'_>) -> bool {
        lock(&self.fate.stir).turns = true;
        *lock(&self.waker) = Some(cx.waker().clone());
        !self.alive()
    }
}

impl Hook for Switch {
    fn poll_pass(&self, phase: Phase, label: &str, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.alive() {
            return Poll::Pending;
        }
        if ticket.is_none() {
            lock(&self.fate.stir).arrives(phase);
        }
        ready!(poll_yield(ticket, cx.waker()));
        self.fate.story.tell(phase.of(label));
        if !self.fate.strikes(phase, label) {
            return Poll::Ready(());
        }
        self.fate.story.tell("KILLED");
        self.dead.store(true, Ordering::Release);
        if let Some(waker) = lock(&self.waker).take() {
            waker.wake();
        }
        Poll::Pending
    }

    fn alive(&self) -> bool {
        !self.dead.load(Ordering::Acquire)
    }
}
