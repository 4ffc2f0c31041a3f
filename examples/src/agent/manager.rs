//! The service manager, told how the agent does (`sd_notify`). Where there is none, nobody is told.

use std::time::Duration;

#[cfg(unix)]
use sd_notify::NotifyState;

/// What a service manager wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News<'a> {
    /// The settings are right, and the units are at work.
    Ready,
    /// The settings are read anew; [`News::Ready`] follows.
    Reloading,
    /// Passes come to a safe point, and then the process ends.
    Stopping,
    /// Everything moves, and how it does.
    Alive(&'a str),
    /// Something is stuck.
    Stuck(&'a str),
}

/// The service manager, or nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manager {
    listens: bool,
    watchdog: Option<Duration>,
}

impl Manager {
    /// That of the environment (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    #[cfg(unix)]
    pub fn of_environment() -> Self {
        Self { listens: std::env::var_os("NOTIFY_SOCKET").is_some(), watchdog: sd_notify::watchdog_enabled() }
    }

    /// There is none.
    #[cfg(not(unix))]
    pub fn of_environment() -> Self {
        Self::default()
    }

    /// How often it has to hear that the agent lives, so that it hears it twice before it loses patience.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.watchdog.map(|patience| patience / 2)
    }

    /// A manager that is gone hears nothing, which is no concern of the agent's.
    #[cfg(unix)]
    pub(super) fn tell(&self, news: News<'_>) {
        if !self.listens {
            return;
        }
        let told = match news {
            News::Ready => sd_notify::notify(&[NotifyState::Ready]),
            News::Reloading => {
                let now = NotifyState::monotonic_usec_now().unwrap_or(NotifyState::MonotonicUsec(0));
                sd_notify::notify(&[NotifyState::Reloading, now])
            }
            News::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            News::Alive(status) => sd_notify::notify(&[NotifyState::Status(status), NotifyState::Watchdog]),
            News::Stuck(status) => sd_notify::notify(&[NotifyState::Status(status)]),
        };
        drop(told);
    }

    #[cfg(not(unix))]
    pub(super) fn tell(&self, _news: News<'_>) {}
}
