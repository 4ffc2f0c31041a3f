//! What an agent can do for an offering: one file for each mode of the Python agent.

mod membership;
mod orders;
mod report;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use waldur_sdk::{
    Error, ErrorClass, ErrorKind, Result,
    backend::{OpContext, UsernameBackend},
    client::AgentMode,
    process::ServedOffering,
    settings::{AgentSettings, OfferingSettings},
};

use crate::exit::Exit;

pub(crate) use report::{note_resource, reporter};

/// A mode of the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Carries out orders.
    OrderProcess,
    /// Reports usage.
    Report,
    /// Keeps members, limits and states true.
    MembershipSync,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::OrderProcess, Self::Report, Self::MembershipSync];

    /// The word for it: on the command line, in the `User-Agent`, in Waldur's register of agents (core.md §6.8).
    pub const fn as_str(self) -> &'static str {
        self.agent_mode().as_str()
    }

    /// The same for the client.
    pub const fn agent_mode(self) -> AgentMode {
        match self {
            Self::OrderProcess => AgentMode::OrderProcess,
            Self::Report => AgentMode::Report,
            Self::MembershipSync => AgentMode::MembershipSync,
        }
    }

    /// The name under which its processor is known to Waldur (core.md §6.8).
    pub const fn processor(self) -> &'static str {
        match self {
            Self::OrderProcess => "OfferingOrderProcessor",
            Self::Report => "OfferingReportProcessor",
            Self::MembershipSync => "OfferingMembershipProcessor",
        }
    }

    /// The variable with the pause between two passes in minutes, and its default (core.md §6.7).
    pub const fn period(self) -> (&'static str, u64) {
        match self {
            Self::OrderProcess => ("WALDUR_SITE_AGENT_ORDER_PROCESS_PERIOD_MINUTES", 5),
            Self::Report => ("WALDUR_SITE_AGENT_REPORT_PERIOD_MINUTES", 30),
            Self::MembershipSync => ("WALDUR_SITE_AGENT_MEMBERSHIP_SYNC_PERIOD_MINUTES", 5),
        }
    }

    /// The key of the settings that names its back end.
    pub const fn key(self) -> &'static str {
        match self {
            Self::OrderProcess => "order_processing_backend",
            Self::Report => "reporting_backend",
            Self::MembershipSync => "membership_sync_backend",
        }
    }

    /// The back end that an offering has for it.
    pub fn backend(self, offering: &OfferingSettings) -> Option<&str> {
        match self {
            Self::OrderProcess => offering.order_processing_backend.as_deref(),
            Self::Report => offering.reporting_backend.as_deref(),
            Self::MembershipSync => offering.membership_sync_backend.as_deref(),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The pause between two passes of each mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods([Duration; 3]);

impl Periods {
    /// The same for all modes.
    pub const fn all(period: Duration) -> Self {
        Self([period; 3])
    }

    /// From the environment (core.md §6.7), given as a way to look a variable up. Fractions of a minute are fine.
    ///
    /// # Errors
    /// Names every variable that is no number greater than 0.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let periods = Mode::ALL.map(|mode| {
            let (name, default) = mode.period();
            let default = Duration::from_secs(default * 60);
            let Some(text) = variable(name) else { return default };
            let minutes = text.trim().parse().unwrap_or(f64::NAN);
            let period = Duration::try_from_secs_f64(minutes * 60.0).ok().filter(|period| !period.is_zero());
            period.unwrap_or_else(|| {
                problems.push(format!("{name}: must be a number greater than 0"));
                default
            })
        });
        if problems.is_empty() { Ok(Self(periods)) } else { Err(problems) }
    }

    /// That of one mode.
    pub fn of(&self, mode: Mode) -> Duration {
        let [orders, report, membership] = self.0;
        match mode {
            Mode::OrderProcess => orders,
            Mode::Report => report,
            Mode::MembershipSync => membership,
        }
    }
}

/// What a processor is made of.
#[derive(Clone)]
pub(crate) struct Parts<'a> {
    pub(crate) settings: &'a AgentSettings,
    pub(crate) offering: &'a OfferingSettings,
    pub(crate) served: ServedOffering,
    /// Who names people; only asked for in the mode that does.
    pub(crate) usernames: Option<Arc<dyn UsernameBackend>>,
    pub(crate) dry_run: bool,
    /// Whether the process ends with its first pass.
    pub(crate) single_pass: bool,
}

/// One offering in one mode, ready to work.
#[async_trait]
pub(crate) trait Work: Send + Sync + fmt::Debug {
    /// The same work once the offering is known anew; what it remembers from pass to pass goes along.
    fn renewed(&self, parts: &Parts<'_>) -> Box<dyn Work>;

    /// One pass, and what is said about it.
    async fn pass(&self, cx: &OpContext) -> Result<Summary>;
}

/// Makes the work of a mode.
pub(crate) fn work(mode: Mode, parts: &Parts<'_>) -> Box<dyn Work> {
    match mode {
        Mode::OrderProcess => Box::new(orders::OrderWork::new(parts)),
        Mode::Report => Box::new(report::ReportWork::new(parts)),
        Mode::MembershipSync => Box::new(membership::MembershipWork::new(parts)),
    }
}

/// What a pass came to, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it means for a program that ends with it.
    pub exit: Exit,
    /// How many items ended how: `done`, `erred`, `posted`…
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Of how many resources the usage could not be read. 0 in every mode but `report`.
    pub unreadable_usage: u64,
    /// For how many reports in a row, this one included, some resource's usage could not be read: of the worst of them. 0 in
    /// every mode but `report`.
    pub stale_usage: u32,
    /// Whether Waldur and the back end both answered, and with whole lists.
    pub reached: bool,
}

impl Summary {
    /// Nothing happened, and all went well.
    pub fn new() -> Self {
        Self { exit: Exit::Done, outcomes: BTreeMap::new(), unreadable_usage: 0, stale_usage: 0, reached: true }
    }

    /// One of the two sides did not answer as it should.
    pub fn miss(&mut self, error: &Error) {
        self.reached = false;
        self.note(exit_of(error));
    }

    /// Counts one more item.
    pub fn count(&mut self, outcome: &'static str) {
        self.count_many(outcome, 1);
    }

    /// Counts several more items; none leaves no trace.
    pub fn count_many(&mut self, outcome: &'static str, items: u64) {
        if items > 0 {
            *self.outcomes.entry(outcome).or_default() += items;
        }
    }

    /// Notes how something ended; the worst counts.
    pub fn note(&mut self, exit: Exit) {
        self.exit = self.exit.or_worse(exit);
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::new()
    }
}

/// What an error means for a program that ends with it. Passing is what goes by itself. That somebody has to mend a
/// credential, a certificate or a proxy leaves work alone too, but no later run ends it.
pub fn exit_of(error: &Error) -> Exit {
    match (error.kind(), error.class()) {
        (ErrorKind::Config, _) => Exit::Config,
        (ErrorKind::NotReady | ErrorKind::Cancelled | ErrorKind::DeadlineExceeded, _) | (_, ErrorClass::Transient) => {
            Exit::Temporary
        }
        _ => Exit::Failed,
    }
}

/// Why nothing came to an end, if that is so: of each thing, why it did not. One that waits among many says nothing about
/// the systems.
pub(crate) fn stalled<'e>(mut things: impl Iterator<Item = Option<&'e Error>>) -> Option<&'e Error> {
    let first = things.next().flatten()?;
    things.all(|error| error.is_some()).then_some(first)
}

/// The error of a thing that waits because a system could not be reached, or let nobody in. What waits for its own sake,
/// such as for somebody's approval, may do so for weeks.
pub(crate) fn outage(error: &Error) -> Option<&Error> {
    let is_outage = error.class() == ErrorClass::Transient || error.kind() == ErrorKind::Unauthenticated;
    is_outage.then_some(error)
}
