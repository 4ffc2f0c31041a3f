//! The usage log: traffic, no stored bytes (radosgw-api.md §5). It can be read, not trimmed: without arguments the
//! gateway would wipe everybody's.

use http::Method;
use waldur_sdk::{Result, types::Timestamp};

use super::{BucketName, RadosGwClient, Uid, model::UsageLog};

/// Calls on the usage log.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a>(pub(super) &'a RadosGwClient);

/// Which part of the log is wanted; all of it by default.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    uid: Option<Uid>,
    bucket: Option<BucketName>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl UsageQuery {
    /// Only this user's. The gateway answers an empty log for a user that does not exist.
    #[must_use]
    pub fn of(mut self, uid: Uid) -> Self {
        self.uid = Some(uid);
        self
    }

    /// Only of this bucket.
    #[must_use]
    pub fn in_bucket(mut self, bucket: BucketName) -> Self {
        self.bucket = Some(bucket);
        self
    }

    /// From `start` on, up to and without `end`; the log counts in full hours.
    #[must_use]
    pub fn between(mut self, start: Timestamp, end: Timestamp) -> Self {
        self.start = Some(start);
        self.end = Some(end);
        self
    }
}

impl Usage<'_> {
    /// Reads the log.
    ///
    /// # Errors
    /// See [`ErrorKind`](waldur_sdk::ErrorKind). A gateway that keeps no log answers an empty one.
    pub async fn read(&self, query: &UsageQuery) -> Result<UsageLog> {
        let call = self
            .0
            .call(Method::GET, "usage.read", "/usage")
            .query_opt("uid", query.uid.as_ref())
            .query_opt("bucket", query.bucket.as_ref())
            .query_opt("start", query.start.map(wire))
            .query_opt("end", query.end.map(wire));
        call.send_json().await
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`. Dates that the gateway cannot read it ignores (recorded: t8_usage/012).
fn wire(time: Timestamp) -> String {
    format!("{time:.0}")
}
