//! What a run of usage reports came to.

use std::fmt;

use crate::{
    backend::Period,
    error::{Error, ErrorKind},
    process::failure::write_error,
    rest::BadRow,
    types::{Amounts, BackendId, ResourceUuid, WaldurAmount},
};

/// The report of one run.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsageRunReport {
    /// The back end measures nothing: there was nothing to do, and nothing was asked.
    pub no_source: bool,
    /// The months that were covered, oldest first.
    pub periods: Vec<Period>,
    /// One entry for each resource that was listed, in no particular order.
    pub resources: Vec<ResourceUsageReport>,
    /// Rows of the listing of resources that could not be read.
    pub unreadable: Vec<BadRow>,
    /// Why that listing is not proven whole, if it is not. The resources that came were reported.
    pub listing_gap: Option<Error>,
}

impl UsageRunReport {
    /// How many months of resources came to an outcome that `wanted` accepts.
    pub fn count(&self, wanted: impl Fn(&UsageOutcome) -> bool) -> usize {
        self.outcomes().filter(|period| wanted(&period.outcome)).count()
    }

    /// The months of all resources.
    pub fn outcomes(&self) -> impl Iterator<Item = &PeriodUsageReport> {
        self.resources.iter().flat_map(|resource| &resource.periods)
    }

    /// Whether nothing failed: whatever was listed was read, and each month of it came to a
    /// [good](UsageOutcome::is_good) outcome. That does not mean that everything that was used is in Waldur: see
    /// [`losses`](Self::losses). A back end that measures nothing cannot fail, so with [`no_source`](Self::no_source)
    /// it is clean: whoever expects usage of it asks for that.
    pub fn is_clean(&self) -> bool {
        self.unreadable.is_empty()
            && self.listing_gap.is_none()
            && self.outcomes().all(|period| period.outcome.is_good() && period.users.failed.is_none())
    }

    /// What was used, or may have been used, and is not in Waldur. One line for each, to be shown to somebody.
    pub fn losses(&self) -> Vec<String> {
        let of = |resource: &ResourceUsageReport| {
            let uuid = resource.resource;
            let lines = resource.periods.iter().flat_map(PeriodUsageReport::losses);
            lines.map(|line| format!("resource {uuid}: {line}")).collect::<Vec<_>>()
        };
        self.resources.iter().flat_map(of).collect()
    }

    /// For how many runs in a row, this one included, the worst resource could not be measured. Raise an alarm by it.
    pub fn stalest(&self) -> u32 {
        self.resources.iter().map(|resource| resource.stale_runs).max().unwrap_or_default()
    }
}

/// What became of the usage of one resource.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResourceUsageReport {
    /// The resource.
    pub resource: ResourceUuid,
    /// Its name.
    pub resource_name: String,
    /// Its back-end id. Without one it is not provisioned, and nothing is measured.
    pub backend_id: Option<BackendId>,
    /// Each month, oldest first. A run that stops early leaves out the others.
    pub periods: Vec<PeriodUsageReport>,
    /// How many runs of this process in a row, this one included, the usage of the current month could not be read.
    pub stale_runs: u32,
}

/// What became of one month of a resource.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PeriodUsageReport {
    /// The month.
    pub period: Period,
    /// What came of it.
    pub outcome: UsageOutcome,
    /// What Waldur took, or in a dry run would have been sent: rounded to two decimals.
    pub submitted: Amounts,
    /// Components that were left out, or that held up the others, since their amounts went down.
    pub decreases: Vec<Decrease>,
    /// Components that Waldur does not have. They were not sent.
    pub unknown: Vec<String>,
    /// Components that are not billed by usage or limit. They were not sent: Waldur refuses a whole report for one.
    pub unbilled: Vec<String>,
    /// Components of which Waldur has several rows in the month, as after a change of plan. Their sum was compared.
    pub split: Vec<String>,
    /// Components of which the users' amounts do not add up to the total. The total counts.
    pub unequal: Vec<String>,
    /// Components with amounts of users and no total. They were not sent.
    pub untotalled: Vec<String>,
    /// Components whose usage cannot be told apart: somebody has added a component in Waldur whose name is the back-end
    /// name of another ([`ComponentMapping`](crate::settings::ComponentMapping)). They were not sent.
    pub ambiguous: Vec<String>,
    /// For which part of the month the back end has no proof. So much may be missing from the amounts.
    pub unproven: Option<String>,
    /// What became of the users' amounts.
    pub users: UsersReport,
    /// The refusal is from an earlier run. The values are the same, so nothing was sent again.
    pub remembered: bool,
    /// How often it was tried in this run.
    pub attempts: u32,
}

impl PeriodUsageReport {
    /// A report of a month that nothing was done about yet.
    pub(crate) fn new(period: Period) -> Self {
        Self {
            period,
            outcome: UsageOutcome::Unmeasured,
            submitted: Amounts::new(),
            decreases: Vec::new(),
            unknown: Vec::new(),
            unbilled: Vec::new(),
            split: Vec::new(),
            unequal: Vec::new(),
            untotalled: Vec::new(),
            ambiguous: Vec::new(),
            unproven: None,
            users: UsersReport::default(),
            remembered: false,
            attempts: 0,
        }
    }

    /// What was used in the month, or may have been used, and is not in Waldur. One line for each. Names no user.
    pub fn losses(&self) -> Vec<String> {
        let month = self.period;
        let mut lines = Vec::new();
        let mut line = |text: String| lines.push(format!("{month}: {text}"));
        match &self.outcome {
            // Before a month has begun there is nothing to lose.
            UsageOutcome::Submitted
            | UsageOutcome::Unchanged
            | UsageOutcome::DryRun
            | UsageOutcome::Idle
            | UsageOutcome::NotBegun => {}
            other => line(other.to_string()),
        }
        for Decrease { component, stored, measured } in &self.decreases {
            line(format!("{component}: {measured} was measured, but Waldur has {stored}"));
        }
        for component in &self.unknown {
            line(format!("{component}: Waldur has no such component"));
        }
        for component in &self.unbilled {
            line(format!("{component}: it is not billed by usage or limit"));
        }
        for component in &self.untotalled {
            line(format!("{component}: amounts of users were measured, and no total"));
        }
        for component in &self.ambiguous {
            line(format!("{component}: the name stands for two things, so it cannot be told whose usage this is"));
        }
        if let Some(unproven) = &self.unproven {
            line(unproven.clone());
        }
        if self.users.unnameable > 0 {
            line(format!("amounts of users whose names cannot be stored: {}", self.users.unnameable));
        }
        if let Some(error) = &self.users.failed {
            line(format!("amounts of users: {error}"));
        }
        lines
    }

    pub(super) fn ending(mut self, outcome: UsageOutcome) -> Self {
        self.outcome = outcome;
        self
    }
}

/// An amount that is less than before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decrease {
    /// The component.
    pub component: String,
    /// What Waldur has.
    pub stored: WaldurAmount,
    /// What was measured.
    pub measured: WaldurAmount,
}

/// What became of the users' amounts of one month of a resource.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsersReport {
    /// Amounts that were sent, or in a dry run would have been: one for each user and component.
    pub sent: usize,
    /// Amounts that Waldur has already.
    pub unchanged: usize,
    /// Users whose names Waldur cannot store. They were left out.
    pub unnameable: usize,
    /// Why amounts were not sent. The resource as a whole is not held up by it.
    pub failed: Option<Error>,
}

/// The end of one month of a resource in one run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum UsageOutcome {
    /// Reported.
    Submitted,
    /// Waldur has the same already.
    Unchanged,
    /// A dry run would have reported it.
    DryRun,
    /// Nothing was measured that could be reported.
    Unmeasured,
    /// Nothing was used, and that is not reported. Only when history is loaded.
    Idle,
    /// The back end has not counted yet.
    NotYet,
    /// It could not be read what was used. Nothing was reported.
    Unreadable(Error),
    /// Amounts went down that must not. Nothing was reported.
    Anomaly,
    /// The month was over before the report went out. The next run reports its last values.
    MonthEnded,
    /// The month has not begun for Waldur, which counts in UTC.
    NotBegun,
    /// The month is over, or about to end, and this Waldur would file the report under the month that follows.
    ServerTooOld,
    /// The resource is in a state in which Waldur takes no usage, or gone.
    WrongState(Error),
    /// Waldur takes nothing for months that are over.
    BackfillRefused(Error),
    /// Refused for good.
    Refused(Error),
    /// Left as it is; the next run tries again.
    Deferred(Error),
}

impl UsageOutcome {
    /// Whether nobody has to do anything about it. Something may still be lost: see [`PeriodUsageReport::losses`].
    pub fn is_good(&self) -> bool {
        match self {
            Self::Submitted
            | Self::Unchanged
            | Self::DryRun
            | Self::Idle
            | Self::NotYet
            | Self::MonthEnded
            | Self::NotBegun
            | Self::ServerTooOld
            | Self::BackfillRefused(_) => true,
            // A resource that is erred, or on its way out. One that is gone, or in conflict, should not have been listed.
            Self::WrongState(error) => error.kind() == ErrorKind::InvalidRequest,
            Self::Unmeasured | Self::Unreadable(_) | Self::Anomaly | Self::Refused(_) | Self::Deferred(_) => false,
        }
    }

    /// Of several outcomes of one month the one with the most tells.
    pub(super) fn severity(&self) -> u8 {
        match self {
            Self::Refused(_) => 4,
            Self::Deferred(_) => 3,
            Self::WrongState(_) => 2,
            Self::BackfillRefused(_) => 1,
            _ => 0,
        }
    }

    /// The outcome of an error that nothing more is done about in this run.
    pub(super) fn failed(error: Error) -> Self {
        if error.is_passing() { Self::Deferred(error) } else { Self::Refused(error) }
    }
}

/// In `{:#}` errors come with their causes.
impl fmt::Display for UsageOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submitted => f.write_str("submitted"),
            Self::Unchanged => f.write_str("unchanged"),
            Self::DryRun => f.write_str("dry run"),
            Self::Unmeasured => f.write_str("nothing measured"),
            Self::Idle => f.write_str("nothing used"),
            Self::NotYet => f.write_str("not counted yet"),
            Self::Unreadable(error) => write_error(f, "unreadable", error),
            Self::Anomaly => f.write_str("amounts went down"),
            Self::MonthEnded => f.write_str("the month ended meanwhile"),
            Self::NotBegun => f.write_str("the month has not begun in UTC"),
            Self::ServerTooOld => f.write_str("this Waldur takes no reports of past months"),
            Self::WrongState(error) => write_error(f, "not taken in this state", error),
            Self::BackfillRefused(error) => write_error(f, "past month refused", error),
            Self::Refused(error) => write_error(f, "refused", error),
            Self::Deferred(error) => write_error(f, "deferred", error),
        }
    }
}
