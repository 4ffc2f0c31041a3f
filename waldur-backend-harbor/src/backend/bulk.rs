//! Many projects at once, from two listings.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Aspects, ById, MarketplaceResource, OpContext, Records, ResourceState},
    rest::Pager,
    types::{BackendId, JsonObject},
};

use super::{AT_A_TIME, BY_THEMSELVES, Inner, sight::Facts};
use crate::client::{HarborClient, Project, ProjectName, Quota};

/// So few are read one by one: a listing costs a call for every hundred projects, whoever's they are.
const FEW: usize = 4;

/// How long what only the listing of projects tells is believed: stamps, and how many repositories there are.
const FACTS_LAST: Duration = Duration::from_secs(3600);

/// What the listings are sifted by: the names of the projects that are asked about.
#[derive(Clone, Debug)]
pub(super) struct Wanted(Arc<HashSet<String>>);

impl Wanted {
    pub(super) fn new(ids: &[BackendId]) -> Self {
        Self(Arc::new(ids.iter().map(|id| id.as_str().to_owned()).collect()))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// What a listing told of the wanted projects, by name, and why something may be missing.
pub(super) type Sifted<T> = (HashMap<String, T>, Option<Error>);

/// How what is remembered of the wanted projects, beside their quotas, came to be.
struct Beside {
    /// Whether it was listed just now.
    is_fresh: bool,
    gap: Option<Error>,
}

impl Inner {
    /// Many at once: all quotas from one listing, the rest from what another one told within the last hour. Whatever
    /// the listings do not name is asked about by itself, since they prove no absence.
    ///
    /// All states wait for their turn at once, so that metadata which stand in `records` as they are to be are left out:
    /// ten thousand of them are 12 MB.
    pub(super) async fn inspect_many(
        &self,
        cx: &OpContext,
        ids: &[BackendId],
        aspects: Aspects,
        records: &dyn Records,
    ) -> ById<Option<ResourceState>> {
        if ids.len() <= FEW {
            return self.inspect_each(cx, ids, aspects).await;
        }
        let client = self.client.until(cx.deadline);
        let for_all = |error: Error| ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect();
        let wanted = Wanted::new(ids);
        let (mut quotas, gap) = match self.quotas_of(&client, &wanted).await {
            Ok(listed) => listed,
            Err(error) => return for_all(error),
        };
        let Beside { is_fresh, gap: other_gap } = match self.facts_of(&client, &wanted, &quotas).await {
            Ok(beside) => beside,
            Err(error) => return for_all(error),
        };
        let mut states = ById::new();
        let mut others = Vec::new();
        for id in ids.iter().collect::<BTreeSet<_>>() {
            let Some(facts) = self.known().facts(id.as_str()).cloned() else {
                others.push(id.clone());
                continue;
            };
            // A quota of another number is that of another project, by the same name.
            let quota = quotas.remove(id.as_str()).filter(|quota| quota.project == Some(facts.id));
            // One that is missing may be that of a project which is gone, or be on a page that did not come.
            if quota.is_none() && !(is_fresh && gap.is_none()) {
                others.push(id.clone());
                continue;
            }
            states.insert(id.clone(), self.state_from(id, &facts, quota.as_ref(), aspects, records).map(Some));
        }
        if let Some(gap) = gap.or(other_gap) {
            let unread = others.split_off(others.len().min(by_themselves(Some(&gap))));
            states.extend(unread.into_iter().map(|id| (id, Err(gap.clone()))));
        }
        states.extend(self.inspect_each(cx, &others, aspects).await);
        states
    }

    fn state_from(
        &self,
        id: &BackendId,
        facts: &Facts,
        quota: Option<&Quota>,
        aspects: Aspects,
        records: &dyn Records,
    ) -> Result<ResourceState> {
        let mut state = self.state(id, facts, quota.and_then(|quota| quota.limit))?;
        if aspects.metadata {
            let metadata = self.metadata(&ProjectName::new(id.as_str())?, facts, quota);
            state.metadata = Some(metadata).filter(|metadata| !stand(metadata, &records.of(id)));
        }
        Ok(state)
    }

    async fn inspect_each(&self, cx: &OpContext, ids: &[BackendId], aspects: Aspects) -> ById<Option<ResourceState>> {
        let read = |id: BackendId| async move {
            let state = self.inspect_one(cx, &id, aspects).await;
            (id, state)
        };
        let reads: Vec<_> = ids.iter().cloned().map(read).collect();
        stream::iter(reads).buffer_unordered(AT_A_TIME).collect().await
    }

    /// The quotas of the wanted projects.
    ///
    /// # Errors
    /// When not even the first page came.
    pub(super) async fn quotas_of(&self, client: &HarborClient, wanted: &Wanted) -> Result<Sifted<Quota>> {
        let wanted = wanted.clone();
        let keep = move |mut quota: Quota| {
            let name = quota.project_name.take().filter(|name| wanted.has(name));
            Sieved(name.map(|name| Box::new((name, quota))))
        };
        sifted(client.quotas().list_as(keep, no_key)).await
    }

    /// What is known of the wanted projects beside their quotas: listed anew when it is an hour old, when it does not fit
    /// the quotas, or when so many have none that asking about each would cost more.
    async fn facts_of(
        &self,
        client: &HarborClient,
        wanted: &Wanted,
        quotas: &HashMap<String, Quota>,
    ) -> Result<Beside> {
        let now = client.environment().instant();
        {
            let known = self.known();
            let is_young = known.listed().is_some_and(|then| now.saturating_duration_since(then) < FACTS_LAST);
            let fits = |(name, quota): (&String, &Quota)| {
                known.facts(name).is_some_and(|facts| quota.project == Some(facts.id))
            };
            let without = wanted.0.len().saturating_sub(quotas.len());
            if is_young && without <= BY_THEMSELVES && quotas.iter().all(fits) {
                return Ok(Beside { is_fresh: false, gap: None });
            }
        }
        let sieve = wanted.clone();
        let keep = move |project: Project| {
            let facts = Facts::of(&project);
            Sieved(sieve.has(&project.name).then(|| Box::new((project.name, facts))))
        };
        let (facts, gap) = sifted(client.projects().list_as(keep, no_key)).await?;
        self.known().learn(facts, &wanted.0, gap.is_none().then_some(now));
        Ok(Beside { is_fresh: true, gap })
    }
}

/// Whether all of these metadata are published with all of the resources.
fn stand(metadata: &JsonObject, resources: &[MarketplaceResource]) -> bool {
    let stands = |(name, value): (&String, &Value)| resources.iter().all(|one| one.metadata.get(name) == Some(value));
    !resources.is_empty() && metadata.iter().all(stands)
}

/// How many projects are asked about by themselves that a listing does not name. Of a server that is out of order, or
/// does not take the login any more, none is.
pub(super) fn by_themselves(gap: Option<&Error>) -> usize {
    use ErrorKind as K;
    let is_hopeless = |gap: &Error| {
        matches!(
            gap.kind(),
            K::Unauthenticated
                | K::Connect
                | K::Local
                | K::Tls
                | K::Timeout
                | K::Transport
                | K::Unavailable
                | K::RateLimited
                | K::Cancelled
                | K::DeadlineExceeded
        )
    };
    if gap.is_some_and(is_hopeless) { 0 } else { BY_THEMSELVES }
}

/// An entry of a listing, by the name of its project: nothing of those that nobody asked about.
struct Sieved<T>(Option<Box<(String, T)>>);

/// Nothing is read again, so that nothing has to be told apart.
fn no_key<T>(_entry: &Sieved<T>) -> String {
    String::new()
}

/// Reads a listing of the whole registry, whoever's its projects are, and keeps what is wanted page by page.
///
/// # Errors
/// When not even the first page came.
async fn sifted<T: Send + 'static>(mut pager: Pager<Sieved<T>>) -> Result<Sifted<T>> {
    let Some(first) = pager.next_page().await? else { return Ok((HashMap::new(), None)) };
    let (total, mut read, mut gap) = (first.total, 0, None);
    let (mut found, mut page) = (HashMap::new(), Some(first));
    while let Some(this) = page {
        read += (this.items.len() + this.bad.len()) as u64;
        let bad = this.bad.into_iter().next().map(|row| row.error);
        let moved = (this.total != total).then(moved);
        gap = gap.or(this.doubt).or(bad).or(moved);
        found.extend(this.items.into_iter().filter_map(|entry| entry.0.map(|entry| *entry)));
        page = match pager.next_page().await {
            Ok(page) => page,
            // Without the login or the server, why nothing more came is what counts.
            Err(error) => return Ok((found, Some(error))),
        };
    }
    let short = total.is_some_and(|total| total != read).then(moved);
    Ok((found, gap.or(short)))
}

fn moved() -> Error {
    Error::new(ErrorKind::Inconsistent, "the list of Harbor's projects changed while it was read")
}
