//! What a service manager asks of the agent.

use std::io;

use futures_util::{Stream, StreamExt as _, stream};

use crate::agent::Event;

/// SIGTERM, SIGINT, SIGQUIT and SIGHUP, as they come.
#[cfg(unix)]
pub(super) fn events() -> io::Result<impl Stream<Item = Event>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind, event| {
        let mut signal = signal(kind)?;
        io::Result::Ok(stream::poll_fn(move |context| signal.poll_recv(context)).map(move |()| event).boxed())
    };
    Ok(stream::select_all([
        listen(SignalKind::terminate(), Event::Stop)?,
        listen(SignalKind::interrupt(), Event::Stop)?,
        listen(SignalKind::quit(), Event::Stop)?,
        listen(SignalKind::hangup(), Event::Reload)?,
    ]))
}

/// Ctrl-C, as it comes.
#[cfg(not(unix))]
pub(super) fn events() -> io::Result<impl Stream<Item = Event>> {
    let interrupts = stream::unfold((), |()| async { tokio::signal::ctrl_c().await.ok().map(|()| (Event::Stop, ())) });
    Ok(interrupts.map(|event| event).boxed())
}
