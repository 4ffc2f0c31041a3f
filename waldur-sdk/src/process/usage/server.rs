//! What this Waldur can do, as far as it matters for usage.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::UsageReporter;
use crate::{
    backend::{OpContext, Period},
    client::Feature,
    error::{Error, ErrorKind, Result},
};
use jiff::{Timestamp, tz::TimeZone};

/// What is known of the server beside what it is known to lack ([`ServerFeatures`](crate::client::ServerFeatures)).
#[derive(Debug, Default)]
pub(super) struct Server {
    /// It has answered as only a server does that knows dates.
    dated: AtomicBool,
}

/// Nothing is sent to a server without dates in the last moments of a month: clocks differ, and what was sent may be
/// kept waiting in front of it.
const MARGIN: Duration = Duration::from_secs(120);

/// From when on it matters whether the server knows dates: no call takes as long.
const CLOSE: Duration = Duration::from_secs(3600);

impl UsageReporter {
    /// Whether a report may be about a month that is over. A server of 2024 takes no notice of the date and files it
    /// under the current month (recorded: 211_set_usage_date), so it must not be tried out. Servers that know agents
    /// know dates; asking for one tells the two apart.
    ///
    /// # Errors
    /// When the server cannot be asked now, or its answer tells nothing.
    pub(super) async fn takes_past_months(&self, cx: &OpContext) -> Result<bool> {
        if self.server().dated.load(Ordering::Relaxed) {
            return Ok(true);
        }
        let waldur = self.waldur(cx);
        if waldur.features().is_missing(Feature::Identities) {
            return Ok(false);
        }
        let name = format!("agent-{}", self.offering());
        match waldur.agents().find_identity(&name).await {
            Ok(_) => {}
            // Refused, but there: by Waldur itself, and not by something in front of it that lets few addresses pass.
            Err(error) if error.kind() == ErrorKind::PermissionDenied && is_waldurs(&error) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(error.with_kind(ErrorKind::WrongContent));
            }
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                waldur.features().note(&error);
                return Ok(false);
            }
            Err(error) => return Err(error),
        }
        self.server().dated.store(true, Ordering::Relaxed);
        Ok(true)
    }

    /// Until when a report about the current month may be under way, and whether it may not be repeated; `None` when it
    /// is too late. A server without dates files it under the month in which it gets it.
    ///
    /// # Errors
    /// When the server cannot be asked now.
    pub(super) async fn last_call(&self, cx: &OpContext, period: Period) -> Result<Option<(Option<Instant>, bool)>> {
        let end = period.bounds(&TimeZone::UTC).map_or(Timestamp::MIN, |bounds| bounds.end);
        let is_close = self.left(end) <= CLOSE;
        if is_close {
            match self.takes_past_months(cx).await {
                Ok(true) => return Ok(Some((cx.deadline, false))),
                Ok(false) => {}
                // Something in front of it answers that question, and may always do so: as if it knew none.
                Err(error) if error.kind() == ErrorKind::WrongContent => {}
                Err(error) => return Err(error),
            }
        }
        let Some(left) = self.left(end).checked_sub(MARGIN).filter(|left| !left.is_zero()) else { return Ok(None) };
        let last = self.environment().instant().checked_add(left);
        let deadline = match (cx.deadline, last) {
            (Some(own), Some(last)) => Some(own.min(last)),
            (own, last) => own.or(last),
        };
        Ok(Some((deadline, is_close)))
    }

    fn left(&self, end: Timestamp) -> Duration {
        Duration::try_from(end.duration_since(self.environment().now())).unwrap_or_default()
    }
}

/// Whether a refusal is in Waldur's words: an object with a `detail`.
fn is_waldurs(error: &Error) -> bool {
    let body = error.http().and_then(|http| http.body.as_deref());
    let body: Option<serde_json::Value> = body.and_then(|body| serde_json::from_str(body).ok());
    body.is_some_and(|body| body.get("detail").is_some())
}
