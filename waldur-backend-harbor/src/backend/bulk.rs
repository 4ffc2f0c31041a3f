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
    rest::{PageToken, Pager},
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
    /// Of which it was not, because the list was cut short.
    doubted: HashSet<String>,
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
        let Beside { is_fresh, doubted, gap: other_gap } = match self.facts_of(&client, &wanted, &quotas).await {
            Ok(beside) => beside,
            Err(error) => return for_all(error),
        };
        let mut states = ById::new();
        let mut others = Vec::new();
        for id in ids.iter().collect::<BTreeSet<_>>() {
            let facts = self.known().facts(id.as_str()).cloned().filter(|_| !doubted.contains(id.as_str()));
            let Some(facts) = facts else {
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
        let breaker = &self.breaker();
        let read = |id: BackendId| async move {
            let state = breaker.run(self.inspect_one(cx, &id, aspects)).await;
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
        sifted(|| client.quotas().list_as(keep.clone(), no_key)).await
    }

    /// What is known of the wanted projects beside their quotas: listed anew when it is an hour old, or when it does not fit
    /// the quotas of so many, or so many have none, that asking about each would cost more.
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
            let unfit = quotas.iter().filter(|quota| !fits(*quota)).count();
            if is_young && without <= BY_THEMSELVES && unfit <= at_most_by_themselves(wanted.0.len()) {
                return Ok(Beside { is_fresh: false, doubted: HashSet::new(), gap: None });
            }
        }
        let sieve = wanted.clone();
        let keep = move |project: Project| {
            let facts = Facts::of(&project);
            Sieved(sieve.has(&project.name).then(|| Box::new((project.name, facts))))
        };
        let (facts, gap) = sifted(|| client.projects().list_as(keep.clone(), no_key)).await?;
        // Whoever is not let in is shown the public ones, as if there were no others.
        let gap = match quotas.keys().find(|name| !facts.contains_key(*name)) {
            Some(hidden) if gap.is_none() => client.quotas().probe().await.err().or_else(|| Some(unlisted(hidden))),
            _ => gap,
        };
        let doubted = wanted.0.iter().filter(|name| gap.is_some() && !facts.contains_key(*name)).cloned().collect();
        self.known().learn(facts, gap.is_none().then_some(now));
        Ok(Beside { is_fresh: true, doubted, gap })
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
    if gap.is_some_and(is_hopeless) { 0 } else { BY_THEMSELVES }
}

/// Whether an error says that Harbor would answer no other question either.
pub(super) fn is_hopeless(error: &Error) -> bool {
    use ErrorKind as K;
    matches!(
        error.kind(),
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
}

/// An entry of a listing, by the name of its project: nothing of those that nobody asked about.
struct Sieved<T>(Option<Box<(String, T)>>);

/// Nothing is read again, so that nothing has to be told apart.
fn no_key<T>(_entry: &Sieved<T>) -> String {
    String::new()
}

/// Of how many projects that are not known yet each is read by itself, which takes two calls: as long as a listing of no
/// more than those that are asked about would not take less.
fn at_most_by_themselves(wanted: usize) -> usize {
    FEW.max(wanted / 200).min(BY_THEMSELVES)
}

/// More pages than this that do not come are no page's fault.
const BROKEN_PAGES: u32 = 3;

/// Reads a listing of the whole registry, whoever's its projects are, and keeps what is wanted page by page. Where a page
/// does not come, it goes on after that.
///
/// # Errors
/// When not even the first page came.
async fn sifted<T: Send + 'static>(open: impl Fn() -> Pager<Sieved<T>>) -> Result<Sifted<T>> {
    let mut pager = open();
    let Some(first) = pager.next_page().await? else { return Ok((HashMap::new(), None)) };
    let (total, rows) = (first.total, (first.items.len() + first.bad.len()) as u64);
    let last = total.filter(|_| rows > 0).map_or(0, |total| total.div_ceil(rows));
    let (mut found, mut read, mut gap, mut broken, mut number) = (HashMap::new(), 0, None, 0, 1);
    let mut page = Some(first);
    loop {
        if let Some(this) = page {
            read += (this.items.len() + this.bad.len()) as u64;
            let bad = this.bad.into_iter().next().map(|row| row.error);
            let moved = (this.total != total).then(moved);
            gap = gap.or(this.doubt).or(bad).or(moved);
            found.extend(this.items.into_iter().filter_map(|entry| entry.0.map(|entry| *entry)));
        }
        page = match pager.next_page().await {
            Ok(None) => break,
            Ok(page) => page,
            Err(error) => {
                broken += 1;
                // Without the login or the server, why nothing more came is what counts.
                if number + 1 >= last || broken > BROKEN_PAGES || is_hopeless(&error) {
                    return Ok((found, Some(error)));
                }
                gap = gap.or(Some(error));
                pager = open().resume_at(PageToken((number + 2).to_string()));
                None
            }
        };
        number += 1;
    }
    let short = total.is_some_and(|total| total != read).then(moved);
    Ok((found, gap.or(short)))
}

fn moved() -> Error {
    let text = "the list of Harbor's projects changed while it was read";
    Error::new(ErrorKind::Inconsistent, text).with_retryable(true)
}

/// No resource is failed for this: it says something of the account, and nothing of the projects that do not show.
fn unlisted(name: &str) -> Error {
    let text = format!(
        "{name} has a quota and is not among the projects that Harbor shows: may the account list all of them \
         (project:list)?"
    );
    Error::new(ErrorKind::Inconsistent, text).with_retryable(true)
}
