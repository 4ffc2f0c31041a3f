//! Reading back what was written, from a system that takes a moment to show it.

use std::time::Duration;

use super::OpContext;
use crate::{
    error::{ErrorKind, Result},
    rest::Environment,
};

/// How long after a write a reading may still show what was before. The usual budget of [`read_back`].
pub const CONSISTENCY: Duration = Duration::from_secs(10);

/// Calls `look` until it sees what was written, for as long as `budget`. A service of several replicas lags, and rights
/// on a new object take a moment.
///
/// `look` reads once and judges what it read. [`ErrorKind::Inconsistent`] (not there yet, still there, another value:
/// what [`Verified`](super::Verified) says) and [`ErrorKind::PermissionDenied`] mean "not yet". The first look is at
/// once. The pauses between looks double from a fiftieth of `budget` to a fifth, and are safe points. Nothing is
/// written again; if a server loses writes, its back end repeats them around this call.
///
/// ```
/// use waldur_sdk::backend::{CONSISTENCY, OpContext, Removed, ResourceBackend, Verified, read_back};
/// use waldur_sdk::{Result, rest::Environment, types::BackendId};
/// # async fn example(backend: &dyn ResourceBackend, cx: &OpContext, id: &BackendId) -> Result<Verified<Removed>> {
/// let clocks = Environment::default();
/// read_back(cx, &clocks, CONSISTENCY, || async {
///     Verified::removed(id, Removed::Deleted, backend.get(cx, id).await?.as_ref())
/// })
/// .await
/// # }
/// ```
///
/// # Errors
/// The last look's error when `budget` ends; any other error of `look` at once; [`ErrorKind::Cancelled`] as
/// [`OpContext::pause`].
pub async fn read_back<T, Looking>(
    cx: &OpContext,
    environment: &Environment,
    budget: Duration,
    mut look: impl FnMut() -> Looking,
) -> Result<T>
where
    Looking: Future<Output = Result<T>>,
{
    let begin = environment.instant();
    let mut pause = budget / 50;
    loop {
        let error = match look().await {
            Err(error) if matches!(error.kind(), ErrorKind::Inconsistent | ErrorKind::PermissionDenied) => error,
            outcome => return outcome,
        };
        let left = budget.saturating_sub(environment.instant().saturating_duration_since(begin));
        if left.is_zero() {
            return Err(error);
        }
        cx.pause(environment, pause.min(left)).await?;
        pause = pause.saturating_mul(2).min(budget / 5);
    }
}
