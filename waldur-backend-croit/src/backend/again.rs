//! Repeats writes that the gateway acknowledged and lost.

use waldur_sdk::{
    ErrorKind, Result,
    backend::{CONSISTENCY, OpContext, read_back},
    rest::RetryPolicy,
};

use super::Inner;

/// How often something is written that was acknowledged and does not show.
///
/// Measured on 16.2: where several processes write to the record of one user, about one run of eight writes in twenty
/// has one that was answered 200 and is not there afterwards.
const WRITES: u32 = 3;

impl Inner {
    /// Runs `attempt`, which is given its number from 1, and runs it again when what it wrote does not show. It has to
    /// find out by itself what is missing.
    pub(super) async fn until_it_shows<T, Trying>(
        &self,
        cx: &OpContext,
        mut attempt: impl FnMut(u32) -> Trying,
    ) -> Result<T>
    where
        Trying: Future<Output = Result<T>>,
    {
        let (environment, policy) = (self.storage.environment(), RetryPolicy::default());
        for number in 1..WRITES {
            match attempt(number).await {
                Err(error) if error.kind() == ErrorKind::Inconsistent => {}
                outcome => return outcome,
            }
            cx.step("write again");
            // With jitter: whoever else writes to the user must not come at the same time once more.
            cx.pause(environment, policy.pause(number, None, environment)).await?;
        }
        attempt(WRITES).await
    }

    /// Reads back, for this attempt's share of the time that the gateway has to show what was written.
    pub(super) async fn read_back<T, Looking>(&self, cx: &OpContext, look: impl FnMut() -> Looking) -> Result<T>
    where
        Looking: Future<Output = Result<T>>,
    {
        read_back(cx, self.storage.environment(), CONSISTENCY / WRITES, look).await
    }
}
