//! What the orders of one pass have in common: whether, and when, another attempt may be begun.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{OrderOutcome, line::Case, line::Line};
use crate::{
    error::{Error, ErrorKind},
    rest::{Environment, RetryPolicy},
    types::OrderUuid,
};

/// One pass.
///
/// - Refused credentials end it: every further request with them brings the account nearer to being locked.
/// - An outage slows it down to one probe at a time, with growing pauses, until one succeeds or the time is over that an
///   order has for its attempts.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    /// So many orders that fail in a row, with nothing else in between, are no accident of their own.
    outage: usize,
    retry: &'a RetryPolicy,
    environment: &'a Environment,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    refusal: Option<Error>,
    failing: HashSet<OrderUuid>,
    /// The last failure that passes.
    failure: Option<Error>,
    open: Option<Open>,
}

/// The other side counts as down.
#[derive(Debug)]
struct Open {
    since: Instant,
    probes: u32,
    /// No probe before this; `None` for none at all.
    next: Option<Instant>,
    granted: bool,
}

/// What comes next in a pass.
#[derive(Debug)]
pub(super) enum Round {
    /// These, side by side.
    Run(Vec<Line>),
    /// Nobody before this has passed.
    Wait(Duration),
    /// Nothing more in this pass.
    Over,
}

impl<'a> Pass<'a> {
    pub(super) fn new(concurrency: usize, retry: &'a RetryPolicy, environment: &'a Environment) -> Self {
        Self { outage: concurrency.saturating_mul(2).max(2), retry, environment, state: Mutex::default() }
    }

    /// Takes those whose turn it is out of `lines`.
    pub(super) fn next(&self, lines: &mut Vec<Line>, deadline: Option<Instant>) -> Round {
        let now = self.environment.instant();
        let mut state = self.state();
        if state.refusal.is_some() {
            return Round::Over;
        }
        match &mut state.open {
            Some(open) => open.next_probe(lines, now, self.retry.max_elapsed, deadline),
            None => next_due(lines, now),
        }
    }

    /// Whether an attempt may be begun now.
    pub(super) fn may_begin(&self) -> bool {
        let mut state = self.state();
        state.refusal.is_none() && state.open.as_mut().is_none_or(|open| std::mem::take(&mut open.granted))
    }

    /// Learns from an attempt that has ended.
    pub(super) fn note(&self, case: &Case) {
        let mut state = self.state();
        if let Some(refusal) = refusal(case) {
            state.refusal = Some(refusal.clone());
            return;
        }
        match &case.report.outcome {
            OrderOutcome::Deferred(error) if error.is_outage() => {
                state.failing.insert(case.report.order);
                state.failure = Some(error.clone());
                let is_outage = state.failing.len() >= self.outage;
                let now = self.environment.instant();
                let pause = |attempt| self.retry.pause(attempt, error.retry_after(), self.environment);
                match &mut state.open {
                    Some(open) => open.next = now.checked_add(pause(open.probes.saturating_add(1))),
                    none if is_outage => {
                        let next = now.checked_add(pause(1));
                        *none = Some(Open { since: now, probes: 0, next, granted: false });
                    }
                    _ => {}
                }
            }
            // Our own doing says nothing about the other side.
            OrderOutcome::Deferred(error)
                if matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::DeadlineExceeded) => {}
            _ => (state.failing, state.open) = (HashSet::new(), None),
        }
    }

    /// Why an order was not begun, where that is not the caller's doing.
    pub(super) fn reason(&self) -> Error {
        let state = self.state();
        match (&state.refusal, &state.failure) {
            (Some(refusal), _) => {
                let text = "not begun: the credentials were refused to an order before it";
                Error::new(refusal.kind(), text).with_source(refusal.clone())
            }
            (None, Some(failure)) => {
                let text =
                    "not begun: the orders before it failed one after the other, so the other side counts as down";
                Error::new(failure.kind(), text).with_source(failure.clone())
            }
            (None, None) => Error::new(ErrorKind::Cancelled, "not begun: the pass ended before"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// One order that was tried already: what is begun in an outage is left half done.
    fn next_probe(
        &mut self,
        lines: &mut Vec<Line>,
        now: Instant,
        patience: Duration,
        deadline: Option<Instant>,
    ) -> Round {
        let due = |(place, line): (usize, &Line)| Some((line.due?, place));
        let (Some((due, place)), Some(next)) = (lines.iter().enumerate().filter_map(due).min(), self.next) else {
            return Round::Over;
        };
        let at = due.max(next);
        let over = at.saturating_duration_since(self.since) >= patience;
        if over || deadline.is_some_and(|deadline| at >= deadline) {
            return Round::Over;
        }
        if at > now {
            return Round::Wait(at.saturating_duration_since(now));
        }
        (self.probes, self.granted) = (self.probes.saturating_add(1), true);
        Round::Run(vec![lines.remove(place)])
    }
}

fn next_due(lines: &mut Vec<Line>, now: Instant) -> Round {
    let (due, later): (Vec<_>, Vec<_>) = std::mem::take(lines).into_iter().partition(|line| line.is_due(now));
    *lines = later;
    if !due.is_empty() {
        return Round::Run(due);
    }
    let next = lines.iter().filter_map(|line| line.due).min();
    next.map_or(Round::Over, |next| Round::Wait(next.saturating_duration_since(now)))
}

/// The refusal of our credentials, by whichever side, if the attempt met one.
fn refusal(case: &Case) -> Option<&Error> {
    let outcome = match &case.report.outcome {
        OrderOutcome::Deferred(error) | OrderOutcome::NotReported(_, error) => Some(error),
        _ => None,
    };
    let warnings = case.notes.warnings.iter().map(|warning| &warning.error);
    outcome.into_iter().chain(warnings).find(|error| error.kind() == ErrorKind::Unauthenticated)
}
