//! What the exit code says.

use std::process::{ExitCode, Termination};

/// How a program ended. Wrong arguments are 2, as everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// 0: all went well, or the program was asked to stop and did.
    Done,
    /// 75: something failed for a passing reason; run again later.
    Temporary,
    /// 1: something failed.
    Failed,
    /// 78: the configuration is wrong; nothing was done.
    Config,
    /// 3: skipped, because what it needs cannot run here.
    Skipped,
}

impl Exit {
    /// The code, by the names of `sysexits.h` where it has one.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Skipped => 3,
            Self::Temporary => 75,
            Self::Config => 78,
        }
    }

    /// Of two ends, the one that an operator must know of first.
    #[must_use]
    pub fn or_worse(self, other: Self) -> Self {
        self.max(other)
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.code().into()
    }
}
