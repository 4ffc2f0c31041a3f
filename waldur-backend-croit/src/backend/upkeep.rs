//! Keeps quotas as they should be, outside of orders (s3.md §5).
//!
//! Waldur's limits win ([`LimitsAuthority::Waldur`](waldur_sdk::backend::LimitsAuthority)): the users are made for
//! Waldur, and nobody else should change them. The processor compares ordered limits, but it does not see everything.
//! It sees the quota of the user and not the one on each bucket, and it does not know the customer's own safety limits,
//! which are options. So both are compared here with what the look at the user has just shown. If they agree, or it was
//! not this user's turn, nothing is asked and nothing is written. If they do not, resource and user are read once more
//! first, because an order may have changed both since they were listed.

use async_trait::async_trait;
use waldur_sdk::{
    Result,
    backend::{OpContext, ResourceUpkeep, Surroundings},
    types::BackendId,
};

use super::{Inner, S3Backend, ceilings::Wishes, sweep::News};

#[async_trait]
impl ResourceUpkeep for S3Backend {
    async fn is_behind(&self, _cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<bool> {
        let news = self.0.memory.news(id);
        Ok(news.is_some_and(|news| self.0.has_idle_mark(about, news) || self.0.quotas_due(about, news).is_some()))
    }

    async fn sync_project(&self, cx: &OpContext, id: &BackendId, about: &Surroundings) -> Result<()> {
        let given = self.give_published_key(cx, id, &about.resource).await;
        let Some(news) = self.0.memory.take_news(id) else { return given };
        let kept = self.0.keep(cx, id, about, news).await;
        if kept.is_err() {
            // So that the next pass looks again: what is known to be wrong is not to wait for its turn.
            self.0.memory.forget(id);
        }
        given.and(kept)
    }
}

impl Inner {
    async fn keep(&self, cx: &OpContext, id: &BackendId, about: &Surroundings, news: News) -> Result<()> {
        if self.has_idle_mark(about, news) {
            self.unmark(cx, &about.resource, id).await?;
            self.memory.forget(id);
        }
        let Some(wishes) = self.quotas_due(about, news) else { return Ok(()) };
        cx.step("quota");
        self.change_quotas(cx, id, &about.resource, wishes).await.map(drop)
    }

    /// What is to be written to the quotas, if anything.
    fn quotas_due(&self, about: &Surroundings, news: News) -> Option<Wishes> {
        let (found, wishes) = (news.quotas?, self.ceilings.of_upkeep(about));
        (!wishes.are_idle() && !self.storage.agree(wishes.over(found), found)).then_some(wishes)
    }

    /// Whether a mark of Waldur's suspension is there that is to go.
    fn has_idle_mark(&self, about: &Surroundings, news: News) -> bool {
        let is_held = news.suspended && self.settings.suspend_on_pause;
        news.mark == Some(about.resource.stamp()) && !is_held
    }
}
