//! Keeping quotas what they are to be, outside of orders (s3.md §5).
//!
//! Waldur has the say: users are made for it, and nobody else is to change them. Limits that were ordered are compared by
//! the processor, as [`LimitsAuthority::Waldur`](waldur_sdk::backend::LimitsAuthority) says; but it sees one number, that
//! of the user, and there is one of each bucket too. The customer's own safety limits are options, of which it knows
//! nothing. So both are compared here, with what the look at the user has just shown: where that agrees, or it was not
//! this user's turn, nothing is asked and nothing written.

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{OpContext, ResourceUpkeep, Surroundings},
    types::BackendId,
};

use super::S3Backend;

#[async_trait]
impl ResourceUpkeep for S3Backend {
    async fn sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        self.give_published_key(cx, id, &about.resource).await?;
        let Some(found) = self.0.memory.take_quotas(id) else { return Ok(()) };
        let wishes = self.0.ceilings.of_upkeep(about);
        if wishes.are_idle() || self.0.storage.agree(wishes.over(found), found) {
            return Ok(());
        }
        cx.step("quota");
        self.0.change_quotas(cx, id, &about.resource, wishes).await.map(drop)
    }
}
