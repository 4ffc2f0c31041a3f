//! One process as a harness sees it: every request passes, or does not.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};

use super::{failure::Story, matcher};
use crate::rest::{HttpTransport, TransportError};

/// One process life, as far as a harness controls it.
#[derive(Clone)]
pub struct Life {
    hook: Arc<dyn Hook>,
    agent: usize,
    number: usize,
}

impl Life {
    pub(super) fn new(hook: Arc<dyn Hook>, agent: usize, number: usize) -> Self {
        Self { hook, agent, number }
    }

    /// The way from this process to a server: every request and every answer passes the harness.
    pub fn around(&self, inner: impl HttpTransport) -> Wire {
        Wire { inner: Arc::new(inner), hook: Arc::clone(&self.hook) }
    }

    /// A point that is no request and matters all the same: a journal written, a message published. Call it before
    /// and after.
    pub async fn step(&self, name: &str) {
        pass(&*self.hook, Phase::Step, name).await;
    }

    /// Which agent this is, from 0. More than one only under [`interleave`](super::interleave()).
    pub fn agent(&self) -> usize {
        self.agent
    }

    /// Which life of this agent this is, from 0. More than one only after a kill.
    pub fn number(&self) -> usize {
        self.number
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life").field("agent", &self.agent).field("number", &self.number).finish_non_exhaustive()
    }
}

/// The transport of [`Life::around`].
#[derive(Clone)]
pub struct Wire {
    inner: Arc<dyn HttpTransport>,
    hook: Arc<dyn Hook>,
}

#[async_trait]
impl HttpTransport for Wire {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let label = matcher::label(&request);
        pass(&*self.hook, Phase::Leaves, &label).await;
        let mut exchange = self.inner.send(request);
        // Other futures of a process that has just died are polled once more in the same turn.
        let outcome = poll_fn(|cx| if self.hook.alive() { exchange.as_mut().poll(cx) } else { Poll::Pending }).await;
        pass(&*self.hook, Phase::Answered, &label).await;
        outcome
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// Where a process is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before a request leaves.
    Leaves,
    /// After it was carried out, before its answer is seen.
    Answered,
    /// At a step of the scenario's own.
    Step,
}

impl Phase {
    /// `before PUT users.create`
    pub(super) fn of(self, label: &str) -> String {
        match self {
            Self::Leaves => format!("before {label}"),
            Self::Answered => format!("after {label}"),
            Self::Step => format!("at {label}"),
        }
    }
}

/// What a harness does at a point.
pub(super) trait Hook: Send + Sync + 'static {
    /// Lets the caller pass, holds it, or never lets it go. `ticket` is the caller's own, `None` at first.
    fn poll_pass(&self, phase: Phase, label: &str, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()>;

    /// The caller went away while it was held.
    fn abandon(&self, _ticket: u64) {}

    /// Whether the process still lives.
    fn alive(&self) -> bool {
        true
    }
}

async fn pass(hook: &dyn Hook, phase: Phase, label: &str) {
    struct Held<'a> {
        hook: &'a dyn Hook,
        ticket: Option<u64>,
    }
    impl Drop for Held<'_> {
        fn drop(&mut self) {
            if let Some(ticket) = self.ticket {
                self.hook.abandon(ticket);
            }
        }
    }
    let mut held = Held { hook, ticket: None };
    poll_fn(|cx| hook.poll_pass(phase, label, &mut held.ticket, cx)).await;
    held.ticket = None;
}

/// Holds every point for one turn, so that whatever was started at the same time gets its turn too, then lets go.
pub(super) fn poll_yield(ticket: &mut Option<u64>, waker: &Waker) -> Poll<()> {
    if ticket.is_some() {
        return Poll::Ready(());
    }
    *ticket = Some(0);
    waker.wake_by_ref();
    Poll::Pending
}

/// A process that nothing happens to.
pub(super) struct Undisturbed(pub(super) Story);

impl Hook for Undisturbed {
    fn poll_pass(&self, phase: Phase, label: &str, ticket: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<()> {
        ready!(poll_yield(ticket, cx.waker()));
        self.0.tell(phase.of(label));
        Poll::Ready(())
    }
}
