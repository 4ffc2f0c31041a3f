//! The gate at which requests wait, and the agents behind it.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::explorer::{Decision, Explorer, Trace};
use crate::testing::{
    Cycle,
    failure::Story,
    life::{Hook, Phase},
    lock,
};

/// Where the requests of all agents wait for their turn.
pub(super) struct Gate {
    story: Story,
    split: bool,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    last_ticket: u64,
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    agent: usize,
    waker: Waker,
    may_pass: bool,
}

/// One agent's side of the gate.
struct Keeper {
    gate: Arc<Gate>,
    agent: usize,
}

impl Gate {
    pub(super) fn new(story: Story, split: bool) -> Arc<Self> {
        Arc::new(Self { story, split, queue: Mutex::default() })
    }

    pub(super) fn keeper(self: &Arc<Self>, agent: usize) -> Arc<dyn Hook> {
        Arc::new(Keeper { gate: Arc::clone(self), agent })
    }

    /// Ticket and agent of everything that waits, in order of arrival.
    fn waiting(&self) -> Vec<(u64, usize)> {
        let queue = lock(&self.queue);
        queue.waiting.iter().filter(|(_, held)| !held.may_pass).map(|(ticket, held)| (*ticket, held.agent)).collect()
    }

    fn open(&self, ticket: u64) {
        let waker = lock(&self.queue).waiting.get_mut(&ticket).map(|held| {
            held.may_pass = true;
            held.waker.clone()
        });
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Hook for Keeper {
    fn poll_pass(&self, phase: Phase, label: &str, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        let tell = || self.gate.story.tell(format!("agent {}: {}", self.agent, phase.of(label)));
        if phase == Phase::Answered && !self.gate.split {
            tell();
            return Poll::Ready(());
        }
        let mut queue = lock(&self.gate.queue);
        let number = *ticket.get_or_insert_with(|| {
            queue.last_ticket += 1;
            queue.last_ticket
        });
        let held = queue.waiting.entry(number).or_insert_with(|| Waiting {
            agent: self.agent,
            waker: cx.waker().clone(),
            may_pass: false,
        });
        if held.may_pass {
            queue.waiting.remove(&number);
            tell();
            return Poll::Ready(());
        }
        held.waker.clone_from(cx.waker());
        Poll::Pending
    }

    fn abandon(&self, ticket: u64) {
        lock(&self.gate.queue).waiting.remove(&ticket);
    }
}

/// The agents of one run, polled by hand: only so does the harness know when none of them can go on by itself.
pub(super) struct Crew<'a> {
    gate: Arc<Gate>,
    bell: Arc<Bell>,
    agents: Vec<Agent<'a>>,
    /// Whether it is all the same which of the agents is which.
    alike: bool,
}

struct Agent<'a> {
    work: Pin<Box<dyn Future<Output = Cycle> + 'a>>,
    /// Whether something of it has passed the gate.
    begun: bool,
    ended: Option<Cycle>,
    flag: Arc<Flag>,
}

/// Wakes whoever polls the crew.
#[derive(Default)]
struct Bell(Mutex<Option<Waker>>);

/// Whether one agent was woken since it was last polled.
struct Flag {
    woken: AtomicBool,
    bell: Arc<Bell>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let waker = lock(&self.bell.0).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Agent<'_> {
    /// Polls it if it was woken; whether it was.
    fn turn(&mut self) -> bool {
        if self.ended.is_some() || !self.flag.woken.swap(false, Ordering::AcqRel) {
            return false;
        }
        let waker = Waker::from(Arc::clone(&self.flag));
        if let Poll::Ready(cycle) = self.work.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.ended = Some(cycle);
        }
        true
    }

    fn is_woken(&self) -> bool {
        self.ended.is_none() && self.flag.woken.load(Ordering::Acquire)
    }
}

/// What the scheduler may do.
#[derive(Clone, Copy)]
enum Choice {
    Pass { ticket: u64, agent: usize },
    LetTimePass,
}

impl<'a> Crew<'a> {
    pub(super) fn new(gate: Arc<Gate>, alike: bool) -> Self {
        Self { gate, bell: Arc::default(), agents: Vec::new(), alike }
    }

    pub(super) fn join(&mut self, work: impl Future<Output = Cycle> + 'a) {
        let flag = Arc::new(Flag { woken: AtomicBool::new(true), bell: Arc::clone(&self.bell) });
        self.agents.push(Agent { work: Box::pin(work), begun: false, ended: None, flag });
    }

    /// Runs all agents to their end; idle if all of them are.
    pub(super) async fn work(&mut self, explorer: &mut Explorer, trace: &mut Trace) -> Cycle {
        let mut running = None;
        let mut time_passes = false;
        poll_fn(|cx| {
            *lock(&self.bell.0) = Some(cx.waker().clone());
            let mut turns = 0;
            for agent in &mut self.agents {
                turns += usize::from(agent.turn());
            }
            if self.agents.iter().any(Agent::is_woken) {
                // One round per poll: a runtime that is never given back control does not move its timers.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(cycle) = self.ended() {
                return Poll::Ready(cycle);
            }
            time_passes &= turns == 0;
            if !time_passes {
                match self.decide(running, explorer, trace) {
                    Some(Choice::Pass { ticket, agent }) => {
                        running = Some(agent);
                        if let Some(agent) = self.agents.get_mut(agent) {
                            agent.begun = true;
                        }
                        self.gate.open(ticket);
                    }
                    Some(Choice::LetTimePass) => {
                        self.gate.story.tell("time passes");
                        time_passes = true;
                    }
                    None => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    fn ended(&self) -> Option<Cycle> {
        let mut all = Cycle::Idle;
        for agent in &self.agents {
            if agent.ended? == Cycle::Busy {
                all = Cycle::Busy;
            }
        }
        Some(all)
    }

    /// What happens next; `None` when nobody is at the gate and only time can help.
    fn decide(&self, running: Option<usize>, explorer: &mut Explorer, trace: &mut Trace) -> Option<Choice> {
        let mut waiting = self.gate.waiting();
        // The first option must be that whoever runs goes on: it is what happens after the explored part of a run.
        waiting.sort_by_key(|(ticket, agent)| (Some(*agent) != running, *agent, *ticket));
        let goes_on = waiting.first().is_some_and(|(_, agent)| Some(*agent) == running);
        let asleep = self
            .agents
            .iter()
            .enumerate()
            .any(|(number, agent)| agent.ended.is_none() && waiting.iter().all(|(_, waits)| *waits != number));
        let all = waiting.len();
        if self.alike {
            let fresh = |agent: usize| self.agents.get(agent).is_some_and(|agent| !agent.begun);
            let next = waiting.iter().map(|(_, agent)| *agent).filter(|agent| fresh(*agent)).min();
            waiting.retain(|(_, agent)| !fresh(*agent) || Some(*agent) == next);
        }

        let mut options: Vec<_> = waiting
            .iter()
            .enumerate()
            .map(|(place, (ticket, agent))| (Choice::Pass { ticket: *ticket, agent: *agent }, goes_on && place > 0))
            .collect();
        if asleep && !options.is_empty() {
            options.push((Choice::LetTimePass, true));
        }
        // What is left out because it comes to the same was to be decided all the same: depths mean what they meant.
        let chosen = if options.len() > 1 || waiting.len() < all {
            let chosen = explorer.choose(trace.decisions.len(), options.len());
            let interrupts = options.iter().map(|(_, interrupts)| *interrupts).collect();
            trace.decisions.push(Decision { chosen, interrupts });
            chosen
        } else {
            0
        };
        options.get(chosen).map(|(choice, _)| *choice)
    }
}
