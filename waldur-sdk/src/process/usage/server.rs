//! What this Waldur can do, found out once in the life of a reporter.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use super::UsageReporter;
use crate::{
    backend::OpContext,
    error::{ErrorClass, ErrorKind, Result},
};

/// What is known of the server.
#[derive(Debug, Default)]
pub(super) struct Server {
    no_bulk: AtomicBool,
    /// 0: nobody has looked.
    past_months: AtomicU8,
}

const YES: u8 = 1;
const NO: u8 = 2;

impl UsageReporter {
    pub(super) fn takes_users_in_bulk(&self) -> bool {
        !self.server().no_bulk.load(Ordering::Relaxed)
    }

    pub(super) fn takes_no_users_in_bulk(&self) {
        self.server().no_bulk.store(true, Ordering::Relaxed);
    }

    /// Whether a report may be about a month that is over. A server of 2024 takes no notice of the date and files it
    /// under the current month (recorded: 211_set_usage_date), so it must not be tried out. Servers that know agents
    /// know dates; asking for one tells the two apart.
    ///
    /// # Errors
    /// When the server cannot be asked now.
    pub(super) async fn takes_past_months(&self, cx: &OpContext) -> Result<bool> {
        match self.server().past_months.load(Ordering::Relaxed) {
            YES => return Ok(true),
            NO => return Ok(false),
            _ => {}
        }
        let name = format!("agent-{}", self.offering());
        let known = match self.waldur(cx).agents().find_identity(&name).await {
            Err(error) if error.kind() == ErrorKind::Unsupported => NO,
            Err(error) if matches!(error.class(), ErrorClass::Transient | ErrorClass::NotReady) => return Err(error),
            // Refused, but there.
            Ok(_) | Err(_) => YES,
        };
        self.server().past_months.store(known, Ordering::Relaxed);
        Ok(known == YES)
    }
}
