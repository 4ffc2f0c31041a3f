//! What a harness reports.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::lock;

/// What happened in a run, line by line.
#[derive(Clone, Default)]
pub(super) struct Story(Arc<Mutex<Vec<String>>>);

impl Story {
    pub(super) fn tell(&self, line: impl Into<String>) {
        lock(&self.0).push(line.into());
    }

    pub(super) fn lines(&self) -> Vec<String> {
        lock(&self.0).clone()
    }
}

/// What a sweep went through.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sweep {
    /// The places at which one fault was put in.
    pub points: usize,
    /// Runs in all.
    pub runs: usize,
    /// The points of the run without faults, in words and in order.
    pub story: Vec<String>,
}

/// Why a scenario did not hold. `Debug` is the same text as `Display`, so that `unwrap` shows it legibly.
#[non_exhaustive]
pub enum Failure<V> {
    /// The final state is another one than without faults.
    Differs {
        /// What was done to the run.
        fault: String,
        /// The verdict without faults.
        expected: V,
        /// The verdict of this run.
        found: V,
        /// What happened in this run.
        story: Vec<String>,
    },
    /// The run did not come to rest.
    Restless {
        /// What was done to the run.
        fault: String,
        /// The cycles that it was given.
        cycles: usize,
        /// What happened in this run.
        story: Vec<String>,
    },
    /// A cycle did not end: something waits for what can no longer come.
    Hung {
        /// What was done to the run.
        fault: String,
        /// The time that it was given.
        limit: Duration,
        /// What happened in this run.
        story: Vec<String>,
    },
    /// There was no place to put a fault in: no transport went through [`Life::around`](super::Life::around), or the
    /// agents never met.
    Untouched,
}

impl<V: fmt::Debug> fmt::Display for Failure<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let story = match self {
            Self::Differs { fault, expected, found, story } => {
                write!(f, "{fault}: the final state differs\nexpected: {expected:#?}\nfound: {found:#?}")?;
                story
            }
            Self::Restless { fault, cycles, story } => {
                write!(f, "{fault}: not idle after {cycles} cycles")?;
                story
            }
            Self::Hung { fault, limit, story } => {
                write!(f, "{fault}: a cycle did not end within {limit:?}")?;
                story
            }
            Self::Untouched => return f.write_str("nothing was put to the test: no request passed the harness"),
        };
        story.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl<V: fmt::Debug> fmt::Debug for Failure<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<V: fmt::Debug> std::error::Error for Failure<V> {}
