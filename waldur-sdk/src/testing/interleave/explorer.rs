//! Which order comes next.

use std::{fmt, str::FromStr};

use crate::error::{Error, Result};

#[derive(Clone, Debug)]
pub(super) enum Mode {
    Exhaustive { depth: usize, switches: usize },
    Random { seed: u64, runs: usize },
    Replay(Schedule),
}

/// The decisions of one run: at each, the number of the option taken. Its text form, `0.1.1`, is in the message of a
/// failure. Decisions that are missing at the end are 0: whoever runs goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule(Vec<usize>);

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.split('.')
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|cause| Error::config("schedule: must be numbers joined by dots").with_source(cause))
    }
}

/// One decision of a run.
pub(super) struct Decision {
    pub(super) chosen: usize,
    /// For each option, whether it interrupts an agent that could go on.
    pub(super) interrupts: Vec<bool>,
}

impl Decision {
    fn interrupted(&self) -> bool {
        self.interrupts.get(self.chosen) == Some(&true)
    }

    /// The options not taken yet, in order, with whether they interrupt.
    fn rest(&self) -> impl Iterator<Item = (usize, bool)> {
        self.interrupts.iter().copied().enumerate().skip(self.chosen + 1)
    }
}

/// One run as it went.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) decisions: Vec<Decision>,
    pub(super) story: Vec<String>,
}

impl Trace {
    /// `schedule 0.1.1`
    pub(super) fn fault(&self) -> String {
        let mut numbers: Vec<_> = self.decisions.iter().map(|decision| decision.chosen).collect();
        while numbers.last() == Some(&0) {
            numbers.pop();
        }
        format!("schedule {:?}", Schedule(numbers).to_string())
    }
}

/// Goes through the orders depth first: a run follows `prefix` and takes the first option from there on; the next
/// prefix ends with another option at the last decision that has one left.
pub(super) struct Explorer {
    mode: Mode,
    prefix: Vec<usize>,
    random: fastrand::Rng,
    runs: usize,
}

impl Explorer {
    pub(super) fn new(mode: Mode) -> Self {
        let (seed, prefix) = match &mode {
            Mode::Exhaustive { .. } => (0, Vec::new()),
            Mode::Random { seed, .. } => (*seed, Vec::new()),
            Mode::Replay(schedule) => (0, schedule.0.clone()),
        };
        Self { mode, prefix, random: fastrand::Rng::with_seed(seed), runs: 0 }
    }

    /// The option to take at decision `number`, of `options`, of which there is at least one.
    pub(super) fn choose(&mut self, number: usize, options: usize) -> usize {
        match self.mode {
            Mode::Random { .. } => self.random.usize(..options.max(1)),
            _ => self.prefix.get(number).copied().unwrap_or_default().min(options.saturating_sub(1)),
        }
    }

    /// Moves to the order after the one that made these decisions; `false` when there is none.
    pub(super) fn advance(&mut self, decisions: &[Decision]) -> bool {
        self.runs += 1;
        match self.mode {
            Mode::Replay(_) => false,
            Mode::Random { runs, .. } => self.runs < runs,
            Mode::Exhaustive { depth, switches } => match next_prefix(decisions, depth, switches) {
                Some(prefix) => {
                    self.prefix = prefix;
                    true
                }
                None => false,
            },
        }
    }
}

fn next_prefix(decisions: &[Decision], depth: usize, switches: usize) -> Option<Vec<usize>> {
    let mut kept = decisions.get(..depth.min(decisions.len()))?;
    while let Some((last, before)) = kept.split_last() {
        let spent = before.iter().filter(|decision| decision.interrupted()).count();
        let affordable = |interrupts: bool| spent + usize::from(interrupts) <= switches;
        if let Some((option, _)) = last.rest().find(|(_, interrupts)| affordable(*interrupts)) {
            let before = before.iter().map(|decision| decision.chosen);
            return Some(before.chain([option]).collect());
        }
        kept = before;
    }
    None
}
