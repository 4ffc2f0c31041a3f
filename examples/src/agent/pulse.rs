//! Signs of life of one unit: what its passes come to, and whether the one under way moves at all.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use waldur_sdk::{
    backend::{ProgressObserver, Step},
    rest::{AttemptEvent, Environment, Observer, TracingObserver},
};

use super::{
    Pass,
    metrics::{Metrics, UnitLabels},
};
use crate::{exit::Exit, modes::Mode};

/// A pass that neither takes a step nor sends anything for so long is stuck: every request ends in a minute.
pub(crate) const STUCK: Duration = Duration::from_mins(5);

/// The signs of life of one unit.
pub(crate) struct Pulse {
    labels: UnitLabels,
    metrics: Metrics,
    environment: Environment,
    state: Mutex<State>,
}

struct State {
    /// When the pass under way last moved.
    under_way: Option<Instant>,
    last_success: Option<Timestamp>,
    last_exit: Option<Exit>,
    /// Whether the last pass reached Waldur and the back end, be it with failed items.
    reached: bool,
}

/// What is told of a unit.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Vitals {
    pub(crate) offering: String,
    pub(crate) mode: &'static str,
    pub(crate) stuck: bool,
    pub(crate) ready: bool,
    pub(crate) last_success: Option<Timestamp>,
    pub(crate) last_exit_code: Option<u8>,
}

impl Pulse {
    pub(crate) fn new(offering: &str, mode: Mode, metrics: &Metrics, environment: &Environment) -> Self {
        let state = State { under_way: None, last_success: None, last_exit: None, reached: false };
        let labels = UnitLabels { offering: offering.to_owned(), mode: mode.as_str() };
        Self { labels, metrics: metrics.clone(), environment: environment.clone(), state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self) {
        self.state().under_way = Some(self.environment.instant());
    }

    pub(super) fn end(&self, pass: &Pass) {
        self.metrics.pass(&self.labels, pass, self.environment.now());
        let mut state = self.state();
        state.under_way = None;
        state.reached = pass.outcome.as_ref().is_ok_and(|summary| summary.reached);
        state.last_exit = Some(pass.exit());
        if pass.exit() == Exit::Done {
            state.last_success = Some(self.environment.now());
        }
    }

    /// Whom its numbers are about.
    pub(super) fn labels(&self) -> &UnitLabels {
        &self.labels
    }

    /// The process was halted and goes on: nothing could move meanwhile.
    pub(super) fn rouse(&self) {
        self.beat();
    }

    fn beat(&self) {
        let now = self.environment.instant();
        if let Some(moved) = &mut self.state().under_way {
            *moved = now;
        }
    }

    pub(crate) fn vitals(&self) -> Vitals {
        let now = self.environment.instant();
        let state = self.state();
        Vitals {
            offering: self.labels.offering.clone(),
            mode: self.labels.mode,
            stuck: state.under_way.is_some_and(|moved| now.saturating_duration_since(moved) >= STUCK),
            ready: state.reached,
            last_success: state.last_success,
            last_exit_code: state.last_exit.map(Exit::code),
        }
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pulse").field(&self.vitals()).finish()
    }
}

/// Watches the calls and steps of a unit, on its pulse, in the metrics and in the log.
#[derive(Clone, Debug)]
pub(crate) struct Watch(pub(crate) Arc<Pulse>);

impl Observer for Watch {
    fn on_attempt(&self, event: &AttemptEvent<'_>) {
        TracingObserver.on_attempt(event);
        self.0.metrics.attempt(event);
        self.0.beat();
    }
}

impl ProgressObserver for Watch {
    fn on_step(&self, _step: &Step<'_>) {
        self.0.beat();
    }
}
