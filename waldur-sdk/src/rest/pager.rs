//! Lists, page by page, with a proof of their end.
//!
//! A list that was cut short looks exactly like a short list. Whoever removes what a list does not name needs more: a
//! [`Complete`], which only a pager that saw the end, and whose count agrees with the server's, can make.

use std::{
    collections::HashSet,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use super::BoxFuture;
use crate::error::{Error, ErrorKind, Result};

/// More pages than this is taken for a loop.
const MAX_PAGES: usize = 100_000;

/// Where a page begins. Opaque; a caller may keep the text to resume a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageToken(pub String);

/// An entry that could not be read; the others were.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BadRow {
    /// The entry's id, where that much could be read.
    pub id: Option<String>,
    /// Why it could not be read.
    pub error: Error,
}

impl BadRow {
    /// A row that failed with `error`.
    pub fn new(id: Option<String>, error: Error) -> Self {
        Self { id, error }
    }
}

/// One page.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// The entries that could not be read.
    pub bad: Vec<BadRow>,
    /// How many entries the whole list has, as far as the server says.
    pub total: Option<u64>,
    /// The next page; `None` on the last.
    pub next: Option<PageToken>,
}

impl<T> Page<T> {
    /// A page with entries and the place of the next.
    pub fn new(items: Vec<T>, next: Option<PageToken>) -> Self {
        Self { items, bad: Vec::new(), total: None, next }
    }

    /// Adds the size of the whole list.
    #[must_use]
    pub fn with_total(mut self, total: Option<u64>) -> Self {
        self.total = total;
        self
    }

    /// Adds entries that could not be read.
    #[must_use]
    pub fn with_bad(mut self, bad: Vec<BadRow>) -> Self {
        self.bad = bad;
        self
    }
}

/// A list proven whole: paged to its end, its count equal to the server's, every row readable.
///
/// Only [`Pager::collect`] makes one, so a function that removes things asks for it in its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete<T>(Vec<T>);

impl<T> Complete<T> {
    /// The entries.
    pub fn items(&self) -> &[T] {
        &self.0
    }

    /// The entries.
    pub fn into_items(self) -> Vec<T> {
        self.0
    }
}

/// Everything that a pager brought, and whether that is all there is.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    items: Vec<T>,
    bad: Vec<BadRow>,
    gap: Option<Error>,
}

impl<T> Listing<T> {
    /// The entries that could be read, without duplicates.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The entries that could be read, without duplicates.
    pub fn into_items(self) -> Vec<T> {
        self.items
    }

    /// The entries that could not be read.
    pub fn bad(&self) -> &[BadRow] {
        &self.bad
    }

    /// Why the list is not proven whole; `None` when it is and every row could be read.
    pub fn gap(&self) -> Option<&Error> {
        self.gap.as_ref().or_else(|| self.bad.first().map(|row| &row.error))
    }

    /// The proof, or the reason why there is none.
    ///
    /// # Errors
    /// The error of the page that failed, [`ErrorKind::Inconsistent`] when the count does not agree, or the error of
    /// the first unreadable row.
    pub fn complete(self) -> Result<Complete<T>> {
        match self.gap() {
            None => Ok(Complete(self.items)),
            Some(gap) => Err(gap.clone()),
        }
    }

    /// Splits into entries, unreadable entries and the gap.
    pub fn into_parts(self) -> (Vec<T>, Vec<BadRow>, Option<Error>) {
        let gap = self.gap().cloned();
        (self.items, self.bad, gap)
    }
}

type Fetch<T> = Box<dyn FnMut(Option<PageToken>) -> BoxFuture<'static, Result<Page<T>>> + Send>;

/// A list to be read: a [`Stream`] of pages, or [`collect`](Self::collect)ed with a proof.
///
/// Nothing is fetched before the first poll. Dropping [`next_page`](Self::next_page) keeps the request in flight
/// inside the pager.
#[must_use = "a pager does nothing until polled"]
pub struct Pager<T> {
    fetch: Fetch<T>,
    key: fn(&T) -> String,
    state: PagerState<T>,
    start: Option<PageToken>,
    seen: HashSet<PageToken>,
}

enum PagerState<T> {
    Idle(Option<PageToken>),
    InFlight(BoxFuture<'static, Result<Page<T>>>),
    Done,
}

impl<T: Send + 'static> Pager<T> {
    /// A pager over `fetch`, which brings the page at a token (the first without one). `key` tells entries apart.
    pub fn new<F, Fut>(key: fn(&T) -> String, mut fetch: F) -> Self
    where
        F: FnMut(Option<PageToken>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Page<T>>> + Send + 'static,
    {
        Self {
            fetch: Box::new(move |token| Box::pin(fetch(token))),
            key,
            state: PagerState::Idle(None),
            start: None,
            seen: HashSet::new(),
        }
    }

    /// Begins at a token kept from an earlier run. Such a list is never proven whole.
    pub fn resume_at(mut self, token: PageToken) -> Self {
        self.state = PagerState::Idle(Some(token.clone()));
        self.start = Some(token);
        self
    }

    /// The next page, `None` after the last.
    ///
    /// # Errors
    /// The error of the fetch, after which the pager has ended; [`ErrorKind::Inconsistent`] when the server sends the
    /// pager in a circle.
    pub async fn next_page(&mut self) -> Result<Option<Page<T>>> {
        std::future::poll_fn(|cx| self.poll_page(cx)).await.transpose()
    }

    /// Reads the whole list. Entries that appear twice (the list moved between two pages) are kept once. When the
    /// count differs from what the server announces, the list is read once more; if it still differs, or a page
    /// fails, [`Listing::gap`] says so.
    ///
    /// # Errors
    /// The error of the first page. A later page that fails leaves what was read before it, with a gap.
    pub async fn collect(mut self) -> Result<Listing<T>> {
        let first = self.round().await?;
        if first.settled || self.start.is_some() {
            return Ok(first.listing(self.start.is_some()));
        }
        self.seen.clear();
        self.state = PagerState::Idle(None);
        match self.round().await {
            Ok(second) => Ok(second.listing(false)),
            Err(_) => Ok(first.listing(false)),
        }
    }

    async fn round(&mut self) -> Result<Round<T>> {
        let mut round = Round { items: Vec::new(), bad: Vec::new(), error: None, total: None, settled: true };
        let mut keys = HashSet::new();
        let mut pages = 0_usize;
        loop {
            match self.next_page().await {
                Ok(Some(page)) => {
                    pages += 1;
                    round.total = page.total.or(round.total);
                    round.items.extend(page.items.into_iter().filter(|item| keys.insert((self.key)(item))));
                    round.bad.extend(page.bad);
                }
                Ok(None) => break,
                Err(error) if pages == 0 => return Err(error),
                Err(error) => {
                    round.error = Some(error);
                    break;
                }
            }
        }
        let read = (round.items.len() + round.bad.len()) as u64;
        round.settled = round.error.is_some() || round.total.is_none_or(|total| total == read);
        Ok(round)
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page<T>>>> {
        loop {
            match &mut self.state {
                PagerState::Done => return Poll::Ready(None),
                PagerState::Idle(token) => {
                    let token = token.take();
                    self.state = PagerState::InFlight((self.fetch)(token));
                }
                PagerState::InFlight(page) => {
                    let page = ready!(page.as_mut().poll(cx));
                    self.state = match &page {
                        Ok(Page { next: Some(next), .. }) => {
                            if !self.seen.insert(next.clone()) || self.seen.len() > MAX_PAGES {
                                self.state = PagerState::Done;
                                let text = "the list runs in a circle: a page was announced twice";
                                return Poll::Ready(Some(Err(Error::new(ErrorKind::Inconsistent, text))));
                            }
                            PagerState::Idle(Some(next.clone()))
                        }
                        _ => PagerState::Done,
                    };
                    return Poll::Ready(Some(page));
                }
            }
        }
    }
}

struct Round<T> {
    items: Vec<T>,
    bad: Vec<BadRow>,
    error: Option<Error>,
    total: Option<u64>,
    settled: bool,
}

impl<T> Round<T> {
    fn listing(self, resumed: bool) -> Listing<T> {
        let gap = if resumed {
            Some(Error::new(ErrorKind::Inconsistent, "the list was read from the middle"))
        } else if self.settled {
            self.error
        } else {
            let read = self.items.len() + self.bad.len();
            let total = self.total.unwrap_or_default();
            Some(Error::new(ErrorKind::Inconsistent, format!("the list has {total} entries, {read} came")))
        };
        Listing { items: self.items, bad: self.bad, gap }
    }
}

impl<T: Send + 'static> Stream for Pager<T> {
    type Item = Result<Page<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_page(cx)
    }
}

impl<T> fmt::Debug for Pager<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pager").field("pages", &self.seen.len()).finish_non_exhaustive()
    }
}
