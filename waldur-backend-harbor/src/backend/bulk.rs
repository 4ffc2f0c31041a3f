//! Many projects at once, from two listings.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use futures_util::stream::{self, StreamExt as _};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Aspects, ById, Inspection, OpContext, PassIds, ResourceState},
    rest::{PageToken, Pager},
    types::BackendId,
};

use super::{AT_A_TIME, BY_THEMSELVES, Inner, sight::Facts};
use crate::client::{HarborClient, Project, ProjectId, ProjectName, Quota};

/// So few are always looked at one by one.
const FEW: usize = 4;

/// Calls for a project that is read by itself.
const CALLS: usize = 2;

/// How long what only the listing of projects tells is believed: stamps, and how many repositories there are.
const FACTS_LAST: Duration = Duration::from_secs(3600);

/// What a listing told of the wanted projects, by name.
struct Sifted<T> {
    found: HashMap<String, T>,
    /// Why something may be missing.
    gap: Option<Error>,
    /// How many pages it has.
    pages: usize,
}

/// What the listings told of the projects of a pass.
#[derive(Debug)]
struct Listed {
    quotas: HashMap<String, Quota>,
    /// Why one may be missing among the quotas.
    gap: Option<Error>,
    beside: Beside,
    /// How many projects that are not among them may still be asked about by themselves, where any may be missing.
    left: AtomicUsize,
}

impl Listed {
    fn new(quotas: HashMap<String, Quota>, gap: Option<Error>, beside: Beside) -> Self {
        let left = AtomicUsize::new(by_themselves(gap.as_ref().or(beside.gap.as_ref())));
        Self { quotas, gap, beside, left }
    }

    fn any_gap(&self) -> Option<&Error> {
        self.gap.as_ref().or(self.beside.gap.as_ref())
    }

    /// The quota of a project. One of another number is that of another project, by the same name.
    fn quota(&self, name: &str, project: ProjectId) -> Option<&Quota> {
        self.quotas.get(name).filter(|quota| quota.project == Some(project))
    }

    /// Whether a project that is known has no quota when none is listed: else it may be gone, or its quota may be on a page
    /// that did not come.
    fn proves_absence(&self) -> bool {
        self.beside.is_fresh && self.gap.is_none()
    }

    /// Takes so many of those that may still be asked about by themselves, or as many as there are.
    fn take(&self, wanted: usize) -> usize {
        let left = self.left.fetch_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(wanted)));
        left.unwrap_or_default().min(wanted)
    }
}

/// What was listed for a pass, for the portions of it that are still to come.
#[derive(Debug)]
pub(super) struct Kept {
    pass: PassIds,
    listed: Arc<Listed>,
    /// How many projects are still to be asked about.
    left: usize,
}

impl Kept {
    /// What is kept for a pass, if it is, for a portion of so many. After the last one nothing is kept.
    fn take(kept: &mut Option<Self>, pass: &PassIds, portion: usize) -> Option<Arc<Listed>> {
        let mut its = kept.take().filter(|kept| kept.pass == *pass)?;
        let listed = its.listed.clone();
        its.left = its.left.saturating_sub(portion);
        *kept = Some(its).filter(|its| its.left > 0);
        Some(listed)
    }
}

/// How what is remembered of the wanted projects, beside their quotas, came to be.
#[derive(Debug)]
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
    pub(super) async fn inspect_many(
        &self,
        cx: &OpContext,
        inspection: &Inspection<'_>,
    ) -> ById<Option<ResourceState>> {
        let Inspection { ids, aspects, pass, .. } = *inspection;
        let all = pass.map_or(ids.len(), |pass| pass.ids().len());
        if all <= FEW || self.are_few(all) {
            return self.inspect_each(cx, ids, aspects).await;
        }
        let listed = match self.listed(&self.client.until(cx.deadline), inspection).await {
            Ok(listed) => listed,
            Err(error) => return ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect(),
        };
        let mut states = ById::new();
        let mut others = Vec::new();
        for id in ids.iter().collect::<BTreeSet<_>>() {
            match self.state_from(id, &listed, aspects) {
                Some(state) => drop(states.insert(id.clone(), state.map(Some))),
                None if listed.gap.is_none() && self.is_gone(id, &listed) => drop(states.insert(id.clone(), Ok(None))),
                None => others.push(id.clone()),
            }
        }
        if let Some(gap) = listed.any_gap() {
            let unread = others.split_off(listed.take(others.len()));
            states.extend(unread.into_iter().map(|id| (id, Err(gap.clone()))));
        }
        states.extend(self.inspect_each(cx, &others, aspects).await);
        states
    }

    /// Whether a project was proven not to be there since the projects were listed, and has no quota since.
    fn is_gone(&self, id: &BackendId, listed: &Listed) -> bool {
        self.known().is_gone(id.as_str()) && !listed.quotas.contains_key(id.as_str())
    }

    /// What the listings tell of a project; `None` where they do not tell enough.
    fn state_from(&self, id: &BackendId, listed: &Listed, aspects: Aspects) -> Option<Result<ResourceState>> {
        let is_sure = !listed.beside.doubted.contains(id.as_str());
        let facts = self.known().facts(id.as_str()).filter(|_| is_sure).cloned()?;
        let quota = listed.quota(id.as_str(), facts.id);
        if quota.is_none() && !listed.proves_absence() {
            return None;
        }
        let state = || {
            let mut state = self.state(id, &facts, quota.and_then(|quota| quota.limit))?;
            if aspects.metadata {
                state.metadata = Some(self.metadata(&ProjectName::new(id.as_str())?, &facts, quota));
            }
            Ok(state)
        };
        Some(state())
    }

    /// What the listings tell of the projects in question, and where those are a portion, of all that the pass asks about:
    /// that is kept for the portions to come. It is as old as the pass then; what a pass changes is looked at once more.
    async fn listed(&self, client: &HarborClient, inspection: &Inspection<'_>) -> Result<Arc<Listed>> {
        let Some(pass) = inspection.pass.filter(|pass| pass.ids().len() > inspection.ids.len()) else {
            return self.list(client, &PassIds::new(inspection.ids.iter().cloned())).await;
        };
        // What is another pass's is dropped before the list of this one is read: each may be megabytes.
        if let Some(listed) = Kept::take(&mut self.kept(), pass, inspection.ids.len()) {
            return Ok(listed);
        }
        let listed = self.list(client, pass).await?;
        let left = pass.ids().len() - inspection.ids.len();
        *self.kept() = Some(Kept { pass: pass.clone(), listed: listed.clone(), left });
        Ok(listed)
    }

    async fn list(&self, client: &HarborClient, wanted: &PassIds) -> Result<Arc<Listed>> {
        let (quotas, gap) = self.quotas_of(client, wanted).await?;
        let beside = self.facts_of(client, wanted, &quotas).await?;
        Ok(Arc::new(Listed::new(quotas, gap, beside)))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether to read so many by themselves takes fewer calls than the listing did last, which costs one for every hundred
    /// projects, whoever's they are.
    pub(super) fn are_few(&self, projects: usize) -> bool {
        self.known().pages().is_some_and(|pages| CALLS * projects < pages)
    }

    /// The quotas of the wanted projects.
    ///
    /// # Errors
    /// When not even the first page came.
    pub(super) async fn quotas_of(
        &self,
        client: &HarborClient,
        wanted: &PassIds,
    ) -> Result<(HashMap<String, Quota>, Option<Error>)> {
        let wanted = wanted.clone();
        let keep = move |mut quota: Quota| {
            let name = quota.project_name.take().filter(|name| wanted.contains(name));
            Sieved(name.map(|name| Box::new((name, quota))))
        };
        let Sifted { found, gap, pages } = sifted(|| client.quotas().list_as(keep.clone(), no_key)).await?;
        self.known().learn_pages(pages);
        Ok((found, gap))
    }

    /// What is known of the wanted projects beside their quotas: listed anew when it is an hour old, or when it does not fit
    /// the quotas of so many, or so many have none, that asking about each would cost more.
    async fn facts_of(
        &self,
        client: &HarborClient,
        wanted: &PassIds,
        quotas: &HashMap<String, Quota>,
    ) -> Result<Beside> {
        let now = client.environment().instant();
        {
            let known = self.known();
            let is_young = known.listed().is_some_and(|then| now.saturating_duration_since(then) < FACTS_LAST);
            let fits = |(name, quota): (&String, &Quota)| {
                known.facts(name).is_some_and(|facts| quota.project == Some(facts.id))
            };
            let is_new = |id: &&BackendId| !quotas.contains_key(id.as_str()) && !known.is_gone(id.as_str());
            let without = wanted.ids().iter().filter(is_new).count();
            let unfit = quotas.iter().filter(|quota| !fits(*quota)).count();
            if is_young && without <= BY_THEMSELVES && unfit <= at_most_by_themselves(wanted.ids().len()) {
                return Ok(Beside { is_fresh: false, doubted: HashSet::new(), gap: None });
            }
        }
        let sieve = wanted.clone();
        let keep = move |project: Project| {
            let facts = Facts::of(&project);
            Sieved(sieve.contains(&project.name).then(|| Box::new((project.name, facts))))
        };
        let Sifted { found: facts, gap, .. } = sifted(|| client.projects().list_as(keep.clone(), no_key)).await?;
        // Whoever is not let in is shown the public ones, as if there were no others.
        let gap = match quotas.keys().find(|name| !facts.contains_key(*name)) {
            Some(hidden) if gap.is_none() => client.quotas().probe().await.err().or_else(|| Some(unlisted(hidden))),
            _ => gap,
        };
        let doubted: HashSet<_> = wanted
            .ids()
            .iter()
            .map(BackendId::as_str)
            .filter(|name| gap.is_some() && !facts.contains_key(*name) && !self.known().is_gone(name))
            .map(str::to_owned)
            .collect();
        // A row that cannot be read is nobody's who was asked for, where all of those were.
        let is_whole = gap.is_none() || doubted.is_empty();
        self.known().learn(facts, is_whole.then_some(now));
        Ok(Beside { is_fresh: true, doubted, gap: gap.filter(|_| !is_whole) })
    }
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
    let none = || Sifted { found: HashMap::new(), gap: None, pages: 0 };
    let Some(first) = pager.next_page().await? else { return Ok(none()) };
    let (total, rows) = (first.total, (first.items.len() + first.bad.len()) as u64);
    let last = total.filter(|_| rows > 0).map_or(0, |total| total.div_ceil(rows));
    let last = usize::try_from(last).unwrap_or(usize::MAX);
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
                    return Ok(Sifted { found, gap: Some(error), pages: last });
                }
                gap = gap.or(Some(error));
                pager = open().resume_at(PageToken((number + 2).to_string()));
                None
            }
        };
        number += 1;
    }
    let short = total.is_some_and(|total| total != read).then(moved);
    Ok(Sifted { found, gap: gap.or(short), pages: number })
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
