//! How many requests, of what sort, how many at once, how many in a row.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};

use crate::{
    rest::{HttpTransport, TransportError},
    testing::{Matcher, lock, matcher, reads, yield_once},
};

type Key = Arc<dyn Fn(&Request<Bytes>) -> Option<String> + Send + Sync>;

/// Counts what passes, for call budgets: "at most 7 dependent round trips per order", "an idle run writes nothing".
///
/// Clones, and layers made by [`Counting::around`], write into the same books, so that Waldur and a back end can be
/// counted together.
///
/// A call that starts after another one ended counts as depending on it. Each call gives way once before it is
/// forwarded: calls that were started together are then seen in flight together, even above a fake that answers at
/// once.
#[derive(Clone)]
pub struct Counting {
    inner: Arc<dyn HttpTransport>,
    key: Option<Key>,
    reads: Vec<Matcher>,
    books: Arc<Mutex<Books>>,
}

/// What was counted since the beginning or the last [`Counting::reset`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// All requests.
    pub total: u64,
    /// Requests with a safe method, and those declared by [`Counting::reading`].
    pub reads: u64,
    /// All others.
    pub writes: u64,
    /// Requests that ended with a transport error.
    pub failed: u64,
    /// Requests whose future was dropped before an answer.
    pub abandoned: u64,
    /// The most requests in flight at one time.
    pub peak_in_flight: usize,
    /// The longest chain of requests each of which started after the one before it had ended.
    pub depth: usize,
    /// Requests by operation; by method and path for those that no `RestClient` made.
    pub operations: BTreeMap<String, u64>,
    /// Requests by method.
    pub methods: BTreeMap<String, u64>,
    /// The same for each key of [`Counting::grouped_by`].
    pub groups: BTreeMap<String, GroupCounts>,
}

/// The counts of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupCounts {
    /// All requests of the group.
    pub total: u64,
    /// The longest chain of dependent requests within the group.
    pub depth: usize,
}

impl Counts {
    /// The requests of one operation.
    pub fn of(&self, operation: &str) -> u64 {
        self.operations.get(operation).copied().unwrap_or_default()
    }

    /// The requests with one method.
    pub fn with_method(&self, method: &Method) -> u64 {
        self.methods.get(method.as_str()).copied().unwrap_or_default()
    }

    /// The counts of one group; zero for a group that was never seen.
    pub fn group(&self, key: &str) -> GroupCounts {
        self.groups.get(key).copied().unwrap_or_default()
    }
}

/// A table: one line of totals, then one line per operation.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests ({} reads, {} writes), {} in a row, {} at once",
            self.total, self.reads, self.writes, self.depth, self.peak_in_flight
        )?;
        for (operation, count) in &self.operations {
            write!(f, "\n{count:>6}  {operation}")?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Books {
    counts: Counts,
    in_flight: usize,
    /// The depth that ended calls reached, overall and per group.
    ended: usize,
    ended_in: BTreeMap<String, usize>,
    epoch: u64,
}

impl Counting {
    /// Counts what goes through to `inner`.
    pub fn new(inner: impl HttpTransport) -> Self {
        Self { inner: Arc::new(inner), key: None, reads: vec![reads()], books: Arc::default() }
    }

    /// Counts groups of requests as well; `key` names the group of a request, e.g. the order in its path.
    #[must_use]
    pub fn grouped_by(mut self, key: impl Fn(&Request<Bytes>) -> Option<String> + Send + Sync + 'static) -> Self {
        self.key = Some(Arc::new(key));
        self
    }

    /// Declares requests as reads whatever their method: a login, a search by `POST`.
    #[must_use]
    pub fn reading(mut self, matcher: Matcher) -> Self {
        self.reads.push(matcher);
        self
    }

    /// A layer around another transport that counts into the same books by the same rules.
    #[must_use]
    pub fn around(&self, other: impl HttpTransport) -> Self {
        Self { inner: Arc::new(other), ..self.clone() }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        lock(&self.books).counts.clone()
    }

    /// Begins anew. Calls in flight end without being counted.
    pub fn reset(&self) {
        let mut books = lock(&self.books);
        let epoch = books.epoch + 1;
        *books = Books { epoch, ..Books::default() };
    }

    fn begin(&self, request: &Request<Bytes>) -> InFlight {
        let name = match matcher::operation(request) {
            "" => matcher::label(request),
            name => name.to_owned(),
        };
        let group = self.key.as_ref().and_then(|key| key(request));
        let read = self.reads.iter().any(|reads| reads.matches(request));

        let mut books = lock(&self.books);
        let Books { counts, in_flight, ended, ended_in, epoch } = &mut *books;
        *in_flight += 1;
        counts.total += 1;
        *(if read { &mut counts.reads } else { &mut counts.writes }) += 1;
        *counts.operations.entry(name).or_default() += 1;
        *counts.methods.entry(request.method().to_string()).or_default() += 1;
        counts.peak_in_flight = counts.peak_in_flight.max(*in_flight);
        let depth = *ended + 1;
        counts.depth = counts.depth.max(depth);
        let group = group.map(|key| {
            let depth = ended_in.get(&key).copied().unwrap_or_default() + 1;
            let group = counts.groups.entry(key.clone()).or_default();
            group.total += 1;
            group.depth = group.depth.max(depth);
            (key, depth)
        });
        InFlight { books: Arc::clone(&self.books), epoch: *epoch, depth, group, end: End::Abandoned }
    }
}

#[async_trait]
impl HttpTransport for Counting {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let mut call = self.begin(&request);
        yield_once().await;
        let outcome = self.inner.send(request).await;
        call.end = if outcome.is_ok() { End::Answered } else { End::Failed };
        outcome
    }
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

enum End {
    Answered,
    Failed,
    Abandoned,
}

/// One call; it ends when this is dropped, however that comes about.
struct InFlight {
    books: Arc<Mutex<Books>>,
    epoch: u64,
    depth: usize,
    group: Option<(String, usize)>,
    end: End,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut books = lock(&self.books);
        if books.epoch != self.epoch {
            return;
        }
        books.in_flight -= 1;
        match self.end {
            End::Answered => {}
            End::Failed => books.counts.failed += 1,
            End::Abandoned => books.counts.abandoned += 1,
        }
        books.ended = books.ended.max(self.depth);
        if let Some((key, depth)) = self.group.take() {
            let ended = books.ended_in.entry(key).or_default();
            *ended = (*ended).max(depth);
        }
    }
}
