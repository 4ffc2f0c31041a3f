//! Units at work: each offering in each mode has a loop of its own, so that a slow one holds nobody up, and one that
//! fails or breaks stops no other.

mod board;
mod crew;
pub mod heartbeat;
mod manager;
mod metrics;
mod pulse;
mod unit;

use std::time::Duration;

use futures_util::future;
use tracing::{error, warn};
use waldur_sdk::{backend::OpContext, settings::Warning};

pub use board::Board;
pub use crew::{Crew, Event, Schedule};
pub use manager::Manager;
pub use metrics::Metrics;
pub(crate) use pulse::Watch;
pub use unit::{Pass, Unit};

/// How long passes may take to come to a safe point once the agent was asked to stop (core.md §5.9).
pub const GRACE: Duration = Duration::from_secs(25);

/// Says what the settings warn of. What switches a protection off is said at every start, whatever the log level.
pub fn announce(warnings: &[Warning]) {
    for warning in warnings {
        if warning.path().ends_with("verify_ssl") {
            error!("TLS VERIFICATION IS OFF: {warning}");
        } else {
            warn!("{warning}");
        }
    }
}

/// One pass over all units at once.
pub async fn pass(units: &mut [Unit], cx: &OpContext) -> Vec<Pass> {
    future::join_all(units.iter_mut().map(|unit| unit.run_once(cx))).await
}
