//! What the agent counts, for Prometheus.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};
use waldur_sdk::rest::AttemptEvent;

use super::Pass;
use crate::{exit::Exit, modes::Mode};

/// The type of [`Metrics::text`].
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(crate) struct UnitLabels {
    pub(crate) offering: String,
    pub(crate) mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PassLabels {
    offering: String,
    mode: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ItemLabels {
    offering: String,
    mode: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    operation: &'static str,
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    operation: &'static str,
}

impl UnitLabels {
    fn with_result(&self, result: &'static str) -> PassLabels {
        PassLabels { offering: self.offering.clone(), mode: self.mode, result }
    }

    fn with_outcome(&self, outcome: &'static str) -> ItemLabels {
        ItemLabels { offering: self.offering.clone(), mode: self.mode, outcome }
    }
}

type Seconds = Gauge<f64, AtomicU64>;

/// The counters of a process. Clones share them. No label holds more than names of offerings and of operations.
#[derive(Clone)]
pub struct Metrics {
    families: Families,
    registry: Arc<Registry>,
    /// The outcomes that were counted of each unit.
    outcomes: Arc<Mutex<BTreeMap<UnitLabels, BTreeSet<&'static str>>>>,
}

#[derive(Clone)]
struct Families {
    passes: Family<PassLabels, Counter>,
    durations: Family<UnitLabels, Histogram, fn() -> Histogram>,
    last_success: Family<UnitLabels, Seconds>,
    items: Family<ItemLabels, Counter>,
    panics: Family<UnitLabels, Counter>,
    unreadable: Family<UnitLabels, Gauge>,
    stale: Family<UnitLabels, Gauge>,
    calls: Family<CallLabels, Counter>,
    call_durations: Family<OperationLabels, Histogram, fn() -> Histogram>,
    retries: Family<OperationLabels, Counter>,
}

impl Metrics {
    /// Counters that stand at nothing.
    pub fn new() -> Self {
        let families = Families {
            passes: Family::default(),
            durations: Family::new_with_constructor(pass_buckets),
            last_success: Family::default(),
            items: Family::default(),
            panics: Family::default(),
            unreadable: Family::default(),
            stale: Family::default(),
            calls: Family::default(),
            call_durations: Family::new_with_constructor(call_buckets),
            retries: Family::default(),
        };
        let mut registry = Registry::with_prefix("waldur_agent");
        families.register(&mut registry);
        Self { families, registry: Arc::new(registry), outcomes: Arc::default() }
    }

    fn outcomes(&self) -> MutexGuard<'_, BTreeMap<UnitLabels, BTreeSet<&'static str>>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Of these units alone is told from now on. What can be told of one that has not had a pass yet stands at nothing:
    /// an alert cannot miss a series that is not there.
    pub(super) fn only(&self, units: BTreeSet<UnitLabels>) {
        let mut outcomes = self.outcomes();
        for (gone, counted) in &*outcomes {
            if !units.contains(gone) {
                self.families.forget(gone, counted);
            }
        }
        outcomes.retain(|unit, _| units.contains(unit));
        for unit in units {
            self.families.begin(&unit);
            outcomes.entry(unit).or_default();
        }
    }

    pub(super) fn pass(&self, unit: &UnitLabels, pass: &Pass, now: Timestamp) {
        let inner = &self.families;
        inner.passes.get_or_create(&unit.with_result(result(pass.exit()))).inc();
        inner.durations.get_or_create(unit).observe(pass.elapsed.as_secs_f64());
        if pass.panicked {
            inner.panics.get_or_create(unit).inc();
        }
        if pass.exit() == Exit::Done {
            inner.last_success.get_or_create(unit).set(now.as_duration().as_secs_f64());
        }
        if pass.mode == Mode::Report {
            inner.set_unreadable(unit, pass);
        }
        let Ok(summary) = &pass.outcome else { return };
        let mut outcomes = self.outcomes();
        let counted = outcomes.entry(unit.clone()).or_default();
        for (outcome, count) in &summary.outcomes {
            inner.items.get_or_create(&unit.with_outcome(outcome)).inc_by(*count);
            counted.insert(outcome);
        }
    }

    pub(super) fn attempt(&self, event: &AttemptEvent<'_>) {
        let operation = OperationLabels { operation: event.operation };
        let status = match (event.status, event.error) {
            (Some(status), _) => status.as_u16().to_string(),
            (None, Some(error)) => format!("{error:?}"),
            (None, None) => "none".to_owned(),
        };
        self.families.calls.get_or_create(&CallLabels { operation: event.operation, status }).inc();
        self.families.call_durations.get_or_create(&operation).observe(event.elapsed.as_secs_f64());
        if event.retry_in.is_some() {
            self.families.retries.get_or_create(&operation).inc();
        }
    }

    /// All of it, as OpenMetrics has it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to memory does not fail.
        if encode(&mut text, &self.registry).is_err() {
            text.clear();
        }
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Families {
    fn begin(&self, unit: &UnitLabels) {
        for result in RESULTS {
            drop(self.passes.get_or_create(&unit.with_result(result)));
        }
        drop(self.last_success.get_or_create(unit));
        drop(self.panics.get_or_create(unit));
    }

    fn forget(&self, unit: &UnitLabels, outcomes: &BTreeSet<&'static str>) {
        for result in RESULTS {
            self.passes.remove(&unit.with_result(result));
        }
        for outcome in outcomes {
            self.items.remove(&unit.with_outcome(outcome));
        }
        self.durations.remove(unit);
        self.last_success.remove(unit);
        self.panics.remove(unit);
        self.unreadable.remove(unit);
        self.stale.remove(unit);
    }

    /// A run that failed as a whole does not know how many there are: the number of an earlier one would be a lie.
    fn set_unreadable(&self, unit: &UnitLabels, pass: &Pass) {
        let Ok(summary) = &pass.outcome else {
            self.unreadable.remove(unit);
            self.stale.remove(unit);
            return;
        };
        self.unreadable.get_or_create(unit).set(i64::try_from(summary.unreadable_usage).unwrap_or(i64::MAX));
        self.stale.get_or_create(unit).set(summary.stale_usage.into());
    }

    fn register(&self, to: &mut Registry) {
        to.register("build", "What runs here", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        to.register("passes", "Passes that ended, by how they ended", self.passes.clone());
        to.register("pass_duration_seconds", "How long passes took", self.durations.clone());
        let help = "When a pass last ended well, in seconds since 1970; 0 as long as none did";
        to.register("last_success_timestamp_seconds", help, self.last_success.clone());
        to.register("items", "Orders, resources and accounts that passes dealt with, by outcome", self.items.clone());
        to.register("panics", "Passes that a defect ended", self.panics.clone());
        let help = "Resources whose usage could not be read in the last report";
        to.register("usage_unreadable_resources", help, self.unreadable.clone());
        let help = "Reports in a row that could not read the usage of some resource, of the worst of them";
        to.register("usage_stale_reports", help, self.stale.clone());
        to.register("http_attempts", "Requests sent, by operation and status", self.calls.clone());
        to.register("http_attempt_duration_seconds", "How long requests took", self.call_durations.clone());
        to.register("http_retries", "Requests that were repeated", self.retries.clone());
    }
}

const RESULTS: [&str; 4] = ["done", "temporary", "failed", "config"];

fn result(exit: Exit) -> &'static str {
    let [done, temporary, failed, config] = RESULTS;
    match exit {
        Exit::Done | Exit::Skipped => done,
        Exit::Temporary => temporary,
        Exit::Failed | Exit::Io => failed,
        Exit::Config | Exit::Usage => config,
    }
}

fn pass_buckets() -> Histogram {
    Histogram::new([0.5, 2.0, 10.0, 30.0, 120.0, 600.0, 1800.0])
}

fn call_buckets() -> Histogram {
    Histogram::new([0.01, 0.05, 0.25, 1.0, 5.0, 30.0])
}
