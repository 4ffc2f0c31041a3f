//! What a service manager or a person asks of the agent.

use std::{io, pin::pin};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::time;
use tracing::{info, warn};
use waldur_sdk::backend::Cancellation;

use crate::agent::{Event, GRACE};

/// SIGTERM, SIGINT, SIGQUIT, SIGTSTP and SIGHUP, as they come.
#[cfg(unix)]
pub(super) fn events() -> io::Result<impl Stream<Item = Event> + Unpin> {
    use rustix::process::Signal;
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind, event| {
        let mut signal = signal(kind)?;
        io::Result::Ok(stream::poll_fn(move |context| signal.poll_recv(context)).map(move |()| event).boxed())
    };
    Ok(stream::select_all([
        listen(SignalKind::terminate(), Event::Stop)?,
        listen(SignalKind::interrupt(), Event::Stop)?,
        listen(SignalKind::quit(), Event::Stop)?,
        // Halted, it would hold what it has begun; the Python agent ends as well (core.md §5.9).
        listen(SignalKind::from_raw(Signal::TSTP.as_raw()), Event::Stop)?,
        listen(SignalKind::hangup(), Event::Reload)?,
    ]))
}

/// Ctrl-C, as it comes.
#[cfg(not(unix))]
pub(super) fn events() -> io::Result<impl Stream<Item = Event> + Unpin> {
    let interrupts = stream::unfold((), |()| async { tokio::signal::ctrl_c().await.ok().map(|()| (Event::Stop, ())) });
    Ok(interrupts.map(|event| event).boxed())
}

/// Carries out work that ends by itself. At the first signal, whichever, `stop` says so to it, and it has [`GRACE`] to
/// finish what it is writing; `None` if it did not, or was not waited for, at the second signal.
pub(super) async fn heeding<T>(
    events: impl Stream<Item = Event> + Unpin,
    stop: &Cancellation,
    work: impl Future<Output = T>,
) -> Option<T> {
    let (mut events, mut work) = (events.fuse(), pin!(work));
    tokio::select! {
        done = &mut work => return Some(done),
        Some(_) = events.next() => {}
    }
    stop.cancel();
    info!("asked to stop: what is being written is finished first");
    tokio::select! {
        done = &mut work => return Some(done),
        Some(_) = events.next() => warn!("stopped at once"),
        () = time::sleep(GRACE) => warn!("stopped after {} s with work under way", GRACE.as_secs()),
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use std::time::Duration;

    use super::*;

    /// Signals so many seconds after each other, and then none.
    fn signals(seconds: &'static [u64]) -> impl Stream<Item = Event> + Unpin {
        let signals = stream::iter(seconds).then(|seconds| time::sleep(Duration::from_secs(*seconds)));
        signals.map(|()| Event::Stop).chain(stream::pending()).boxed()
    }

    #[tokio::test(start_paused = true)]
    async fn f131_work_is_finished_after_the_first_signal_and_left_at_the_second_or_after_the_grace() {
        for (after, takes, finished, ends) in [
            (&[][..], 100, true, 100),
            (&[5], 20, true, 20),
            (&[5], 100, false, 5 + GRACE.as_secs()),
            (&[5, 2], 100, false, 7),
        ] {
            let stop = Cancellation::default();
            let begin = time::Instant::now();
            let done = heeding(signals(after), &stop, time::sleep(Duration::from_secs(takes))).await;
            assert_eq!((done.is_some(), begin.elapsed().as_secs()), (finished, ends), "{after:?}, {takes} s");
            assert_eq!(stop.is_cancelled(), !after.is_empty(), "{after:?}: the work is told");
        }
    }
}
