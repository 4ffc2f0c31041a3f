//! Transports around a transport: they count, record, delay and break what passes through.

mod counting;
mod faults;
mod latency;
mod outage;
mod recording;

pub use counting::{Counting, Counts, GroupCounts};
pub use faults::{Action, Answer, Due, Ending, Faults, hang, status};
pub use latency::Latency;
pub use outage::Outage;
pub use recording::{Body, Exchange, Outcome, Recording};
