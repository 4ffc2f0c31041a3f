//! What the exit code says.

use std::{
    io::{self, ErrorKind as Kind},
    process::{ExitCode, Termination},
};

/// How a program ended. Where there are several ends, a later one here is what an operator must know of first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// 0: all went well, or the program was asked to stop and did.
    Done,
    /// 75: something failed for a passing reason; run again later.
    Temporary,
    /// 74: this machine failed: a file, a stream, a socket.
    Io,
    /// 1: something failed.
    Failed,
    /// 78: the configuration is wrong; nothing was done.
    Config,
    /// 2: the arguments are wrong; nothing was done.
    Usage,
    /// 3: skipped, because what it needs cannot run here.
    Skipped,
}

impl Exit {
    /// The code, by the names of `sysexits.h` where it has one.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Skipped => 3,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Config => 78,
        }
    }

    /// What a failure of the operating system means. Wrong is what somebody has to write or set differently.
    pub fn of_io(cause: &io::Error) -> Self {
        match cause.kind() {
            Kind::NotFound | Kind::PermissionDenied | Kind::IsADirectory | Kind::NotADirectory | Kind::InvalidInput => {
                Self::Config
            }
            Kind::AddrInUse | Kind::AddrNotAvailable | Kind::Interrupted | Kind::WouldBlock | Kind::TimedOut => {
                Self::Temporary
            }
            _ => Self::Io,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_is_wrong_and_from_a_broken_machine() {
        for (kind, code) in [
            (Kind::AddrInUse, 75),
            (Kind::AddrNotAvailable, 75),
            (Kind::NotFound, 78),
            (Kind::PermissionDenied, 78),
            (Kind::StorageFull, 74),
            (Kind::Other, 74),
        ] {
            assert_eq!(Exit::of_io(&io::Error::from(kind)).code(), code, "{kind:?}");
        }
        assert_eq!(Exit::Temporary.or_worse(Exit::Io).or_worse(Exit::Failed), Exit::Failed);
        assert_eq!(Exit::Config.or_worse(Exit::Failed), Exit::Config);
    }
}
