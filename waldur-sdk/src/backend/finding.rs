//! Diagnoses as data.

use crate::error::{ErrorClass, Result};

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was checked (`users=write`).
    pub check: String,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, in one line.
    pub detail: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// Works, but somebody should look at it.
    Warning,
    /// Does not work.
    Failed,
    /// Could not be checked.
    Skipped,
}

impl Finding {
    /// A check that passed.
    pub fn passed(check: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { check: check.into(), outcome: Outcome::Passed, detail: detail.into(), remedy: None }
    }

    /// A check with another outcome.
    pub fn new(check: impl Into<String>, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { check: check.into(), outcome, detail: detail.into(), remedy: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// A check that passed if the result is `Ok`. What the server does not offer is skipped.
    pub fn of_result(check: impl Into<String>, result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::passed(check, "ok"),
            Err(error) if error.class() == ErrorClass::Unsupported => {
                Self::new(check, Outcome::Skipped, error.to_string())
            }
            Err(error) => Self::new(check, Outcome::Failed, error.to_string()),
        }
    }
}
