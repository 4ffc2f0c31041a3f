//! Tests for back ends: on fakes, without a socket, in virtual time, in seconds.
//!
//! A fake is an [`HttpTransport`](crate::rest::HttpTransport), and so is every layer around one. A test builds its
//! client on a stack of them:
//!
//! ```
//! use waldur_sdk::{
//!     rest::{Http, HttpTransport},
//!     testing::{Action, Counting, Faults, hang, op, status},
//! };
//!
//! # fn example(fake: impl HttpTransport) {
//! let faults = Faults::new(fake)
//!     .on(op("users.create").nth(1), Action::commit_then(hang()))
//!     .on(op("orders.list").first(2), status(503).header("retry-after", 7));
//! let counting = Counting::new(faults.clone());
//! let http = Http::new(counting.clone());
//! // … process an order over `http` …
//! assert!(counting.counts().depth <= 7);
//! assert!(faults.idle_rules().is_empty());
//! # drop(http); }
//! ```
//!
//! # What there is
//!
//! | question | tool |
//! |---|---|
//! | how many requests, how many in a row, did an idle run write? | [`Counting`] |
//! | what exactly was said? | [`Recording`] |
//! | does it still work over a slow network? | [`Latency`] |
//! | what if nothing gets through for a while? | [`Outage`] |
//! | what if the server refuses, lies, hangs, or commits and then fails? | [`Faults`] |
//! | what if the process dies between any two requests? | [`kill_points()`] |
//! | what if the host drops the future? | [`drop_points()`] |
//! | what if two agents work on one offering? | [`interleave()`] |
//! | all three, for orders of every kind on my back end? | [`conformance::orders()`] |
//! | does a secret get out? | [`Canaries`] |
//! | what if the back end itself is wrong in one method? | [`Override`] |
//! | does my service alarm about the right things? | [`reports`] |
//!
//! Killed processes, dropped futures and two agents make thousands of cases that nobody writes by hand. You write a
//! [`Scenario`] once, and it runs under all three harnesses. Each compares the final state with that of a run without
//! faults. A failure names the fault and shows the run request by request.
//!
//! Nothing here panics or asserts: harnesses return a [`Failure`], checkers return data. `unwrap` on either prints what
//! you need.
//!
//! # Virtual time
//!
//! This crate has no runtime, so a test brings its own clock. With tokio's paused clock (`start_paused = true`, feature
//! `test-util`) an [`Environment`](crate::rest::Environment) of three closures makes hours of backing off free and every
//! run the same:
//!
//! ```
//! use waldur_sdk::rest::Environment;
//!
//! let environment = Environment::default()
//!     .with_timer(tokio::time::sleep)
//!     .with_monotonic(|| tokio::time::Instant::now().into_std())
//!     .with_random(|| 0);
//! # drop(environment);
//! ```
//!
//! Give it to the client, to [`Latency`] and [`Faults`], and to the harnesses through [`Bounds::with_environment`], so
//! that a cycle that hangs is found at once. If the date matters, add `with_wall` with a closure that adds the elapsed
//! virtual time to a fixed date. The harnesses themselves run under any runtime, and under none.

use std::{
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use crate::rest::Complete;

mod canary;
pub mod conformance;
mod drop_points;
mod failure;
mod interleave;
mod kill_points;
pub mod layers;
mod life;
mod matcher;
mod memory;
pub mod reports;
mod scenario;
mod script;
mod sweep;
pub mod waldur;

pub use canary::{Canaries, Leak, LeakForm, Watch};
pub use drop_points::drop_points;
pub use failure::{Failure, Sweep};
pub use interleave::{Interleaved, Interleaving, Schedule, interleave};
pub use kill_points::kill_points;
pub use layers::{Action, Counting, Counts, Due, Exchange, Faults, Latency, Outage, Recording, hang, status};
pub use life::{Life, Wire};
pub use matcher::{Matcher, Occurrences, any, method, op, path, reads, when, writes};
pub use memory::{MemoryBackend, MemoryObject, MemoryService, MemoryUsage};
pub use scenario::{Bounds, Cycle, Scenario};
pub use script::{Answer, Recorded, ScriptedTransport};

pub use crate::backend::{Overridden, Override};

/// A list that is whole because a test says so. Entries are told apart by nothing: two that are equal are two.
pub fn complete<T>(items: Vec<T>) -> Complete<T> {
    Complete::vouched_for(items)
}

/// A poisoned lock only says that another test thread panicked; what it guards are counters and lists.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets everything else that is ready go first, once.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
