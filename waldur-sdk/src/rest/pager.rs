//! Lists, page by page, with a proof of their end.
//!
//! A list that was cut short looks exactly like a short list. Code that removes what a list does not name needs more: a
//! [`Complete`]. A pager makes one only if it has seen the end of the list and its count agrees with the server's.
//!
//! Paging by numbers cannot prove more: if, between two pages, one entry is removed and another one added, the count
//! stays the same. So before you do something irreversible, read the list a second time.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    ops::RangeInclusive,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream::FuturesOrdered;

use super::BoxFuture;
use crate::error::{Error, ErrorKind, Result};

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
    /// Why the list that this page belongs to cannot be whole, or cannot be trusted to be.
    pub doubt: Option<Error>,
    /// Whether this page could as well be the first part of a longer list that was cut: it is full, and names no next
    /// one. Only a count proves such an end.
    pub is_open: bool,
}

impl<T> Page<T> {
    /// A page with entries and the place of the next.
    pub fn new(items: Vec<T>, next: Option<PageToken>) -> Self {
        Self { items, bad: Vec::new(), total: None, next, doubt: None, is_open: false }
    }

    /// Keeps every entry as something else; count, doubt and the place of the next page stay.
    #[must_use]
    pub fn map<U>(self, keep: impl FnMut(T) -> U) -> Page<U> {
        let Self { items, bad, total, next, doubt, is_open } = self;
        Page { items: items.into_iter().map(keep).collect(), bad, total, next, doubt, is_open }
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

    /// Adds the reason why the list cannot be proven whole: a server that says it cut the list, a link to elsewhere.
    #[must_use]
    pub fn with_doubt(mut self, doubt: Option<Error>) -> Self {
        self.doubt = doubt;
        self
    }

    /// Says whether only a count can prove that the list ends here.
    #[must_use]
    pub fn with_open_end(mut self, is_open: bool) -> Self {
        self.is_open = is_open;
        self
    }
}

/// A list proven whole: paged to its end, its count equal to the server's (where it tells one) and the same on every
/// page, every row readable, no page in doubt, and no end left open where there is no count.
///
/// A list that was read makes one ([`Pager::collect`], [`Rows::complete`](super::Rows::complete)), or somebody who answers
/// for it ([`Self::vouched_for`]), so a function that removes things asks for it in its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complete<T>(Vec<T>);

impl<T> Complete<T> {
    /// What holds nothing because nothing is to be in it, and not because nothing was seen.
    pub(crate) fn nothing() -> Self {
        Self(Vec::new())
    }

    /// Entries of which the caller says that they are all: for a back end whose lists come from elsewhere than HTTP (a
    /// database, a directory, a command), once it has seen their end.
    ///
    /// Nothing is checked here. Whatever is not named may be removed, so an answer that failed, was cut short or had an
    /// entry that could not be read must end in an error and never here.
    ///
    /// ```
    /// use waldur_sdk::{Error, ErrorKind, Result, rest::Complete};
    ///
    /// /// What a command printed: one member a line, and a last line that says how many there are.
    /// fn members(output: &str) -> Result<Complete<String>> {
    ///     let mut lines: Vec<String> = output.lines().map(str::to_owned).collect();
    ///     match lines.pop().and_then(|last| last.parse::<usize>().ok()) {
    ///         Some(count) if lines.len() == count => Ok(Complete::vouched_for(lines)),
    ///         _ => Err(Error::new(ErrorKind::Decode, "the list of members was cut")),
    ///     }
    /// }
    ///
    /// assert_eq!(members("ada\ngrace\n2")?.items(), ["ada", "grace"]);
    /// assert!(members("ada\ngrace").is_err());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn vouched_for(items: Vec<T>) -> Self {
        Self(items)
    }

    /// The entries.
    pub fn items(&self) -> &[T] {
        &self.0
    }

    /// The entries.
    pub fn into_items(self) -> Vec<T> {
        self.0
    }

    /// Every entry as something else. There are as many as before, so the proof holds.
    #[must_use]
    pub fn map<U>(self, other: impl FnMut(T) -> U) -> Complete<U> {
        Complete(self.0.into_iter().map(other).collect())
    }

    /// Some entries, as something else. What is left out is left out of a whole list, so the proof holds for those that are
    /// of the kind wanted.
    #[must_use]
    pub fn filter_map<U>(self, other: impl FnMut(T) -> Option<U>) -> Complete<U> {
        Complete(self.0.into_iter().filter_map(other).collect())
    }
}

/// Everything that a pager brought, and whether that is all there is: a page after the first may have failed, a row may
/// have been unreadable.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    items: Vec<T>,
    bad: Vec<BadRow>,
    gap: Option<Error>,
}

impl<T> Listing<T> {
    /// The entries that could be read, without duplicates. They may be a part: [`Self::gap`] tells.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The entries that could be read, without duplicates. They may be a part: [`Pager::all`] is for those who want all.
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
    /// The error of the page that failed, [`ErrorKind::Inconsistent`] when the count does not agree, the doubt of a
    /// page, or the error of the first unreadable row.
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

/// A list to be read: [`all`](Self::all) of it, what of it can be read ([`collect`](Self::collect)), or a [`Stream`] of
/// pages.
///
/// Nothing is fetched before the first poll. Dropping [`next_page`](Self::next_page) keeps the requests in flight
/// inside the pager.
#[must_use = "a pager does nothing until polled"]
pub struct Pager<T> {
    fetch: Fetch<T>,
    key: fn(&T) -> String,
    state: PagerState,
    start: Option<PageToken>,
    seen: HashSet<PageToken>,
    max_pages: usize,
    at_a_time: usize,
    window: Window<T>,
}

enum PagerState {
    Turning(Option<PageToken>),
    Waiting,
    Failed(Error),
    Done,
}

/// The pages that were asked for and not yet handed on, in their order, and those that are to be asked for next.
///
/// A guess and no more: each page still says which one follows it, and where it names another, the guess is dropped.
struct Window<T> {
    asked: VecDeque<Option<PageToken>>,
    pages: FuturesOrdered<BoxFuture<'static, Result<Page<T>>>>,
    /// Page numbers.
    expected: Option<RangeInclusive<u64>>,
}

impl<T> Window<T> {
    fn new() -> Self {
        Self { asked: VecDeque::new(), pages: FuturesOrdered::new(), expected: None }
    }

    fn ask(&mut self, token: Option<PageToken>, fetch: &mut Fetch<T>) {
        self.asked.push_back(token.clone());
        self.pages.push_back(fetch(token));
    }
}

impl<T: Send + 'static> Pager<T> {
    /// The default of [`Self::max_pages`].
    pub const DEFAULT_MAX_PAGES: usize = 100_000;

    /// A pager over `fetch`, which brings the page at a token (the first without one). `key` tells entries apart.
    pub fn new<F, Fut>(key: fn(&T) -> String, mut fetch: F) -> Self
    where
        F: FnMut(Option<PageToken>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Page<T>>> + Send + 'static,
    {
        Self {
            fetch: Box::new(move |token| Box::pin(fetch(token))),
            key,
            state: PagerState::Turning(None),
            start: None,
            seen: HashSet::new(),
            max_pages: Self::DEFAULT_MAX_PAGES,
            at_a_time: 1,
            window: Window::new(),
        }
    }

    /// Asks for up to so many pages at a time, of a list whose tokens are page numbers: the first page tells how many
    /// there are, as long as the server tells a total. The pages are handed on in their order, and the proof is the same.
    ///
    /// The first page is always read alone, so whoever stops after it has asked for no other.
    pub fn pages_at_a_time(mut self, pages: usize) -> Self {
        self.at_a_time = pages.max(1);
        self
    }

    /// Begins at a token kept from an earlier run. Such a list is never proven whole.
    pub fn resume_at(mut self, token: PageToken) -> Self {
        self.seen.insert(token.clone());
        self.state = PagerState::Turning(Some(token.clone()));
        self.start = Some(token);
        self
    }

    /// More pages than this are taken for a list without end.
    pub fn max_pages(mut self, pages: usize) -> Self {
        self.max_pages = pages;
        self
    }

    /// The next page, `None` after the last.
    ///
    /// # Errors
    /// The error of the fetch, after which the pager has ended; [`ErrorKind::Inconsistent`] when the server sends the
    /// pager in a circle or names more than [`Self::max_pages`], after the page that did so.
    pub async fn next_page(&mut self) -> Result<Option<Page<T>>> {
        std::future::poll_fn(|cx| self.poll_page(cx)).await.transpose()
    }

    /// Reads the whole list. Entries that appear twice (the list moved between two pages) are kept once.
    ///
    /// The list is read once more when it moved while it was read: its count differs from the server's, the server's
    /// count changed between two pages, or the place of the next page was gone (400, or 404 unless the count says that
    /// nothing was there). If it moves again, or a page fails, [`Listing::gap`] says so.
    ///
    /// # Errors
    /// The error of the first page. A later page that fails leaves what was read before it, with a gap.
    pub async fn collect(mut self) -> Result<Listing<T>> {
        let first = self.round().await?;
        if self.start.is_some() {
            let doubt = Error::new(ErrorKind::Inconsistent, "the list was read from the middle");
            return Ok(Listing { gap: Some(doubt), ..first.listing() });
        }
        if !first.moved() {
            return Ok(first.listing());
        }
        self.seen.clear();
        self.window = Window::new();
        self.state = PagerState::Turning(None);
        match self.round().await {
            Ok(second) if second.gap().is_none() || second.items.len() >= first.items.len() => Ok(second.listing()),
            _ => Ok(first.listing()),
        }
    }

    /// The whole list, or an error: every entry, once. What [`collect`](Self::collect) makes of a list that fails in the
    /// middle is a part; this is for those who want all or nothing.
    ///
    /// ```
    /// use std::future::ready;
    /// use waldur_sdk::rest::{Page, PageToken, Pager};
    /// # use waldur_sdk::{Error, ErrorKind};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # runtime.block_on(async {
    /// let numbers = |last: Option<Error>| {
    ///     Pager::new(u8::to_string, move |token: Option<PageToken>| {
    ///         ready(match (token, last.clone()) {
    ///             (None, _) => Ok(Page::new(vec![1, 2], Some(PageToken("2".to_owned())))),
    ///             (Some(_), None) => Ok(Page::new(vec![3], None)),
    ///             (Some(_), Some(error)) => Err(error),
    ///         })
    ///     })
    /// };
    /// assert_eq!(numbers(None).all().await?, [1, 2, 3]);
    ///
    /// let broken = || numbers(Some(Error::new(ErrorKind::Server, "the server failed")));
    /// assert!(broken().all().await.is_err());
    /// assert_eq!(broken().collect().await?.items(), [1, 2]);
    /// # Ok::<(), Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`collect`](Self::collect) and [`Listing::complete`].
    pub async fn all(self) -> Result<Vec<T>> {
        Ok(self.collect().await?.complete()?.into_items())
    }

    async fn round(&mut self) -> Result<Round<T>> {
        let mut round = Round {
            items: Vec::new(),
            bad: Vec::new(),
            failed: None,
            total: None,
            steady: true,
            doubt: None,
            open: false,
        };
        let (mut keys, mut bad_ids) = (HashSet::new(), HashSet::new());
        for pages in 0_usize.. {
            match self.next_page().await {
                Ok(Some(page)) => {
                    round.steady &= round.total.is_none() || page.total.is_none() || round.total == page.total;
                    round.total = page.total.or(round.total);
                    round.doubt = round.doubt.or(page.doubt);
                    round.open = page.is_open;
                    round.items.extend(page.items.into_iter().filter(|item| keys.insert((self.key)(item))));
                    let is_new = |row: &BadRow| row.id.as_ref().is_none_or(|id| bad_ids.insert(id.clone()));
                    round.bad.extend(page.bad.into_iter().filter(is_new));
                }
                Ok(None) => break,
                Err(error) if pages == 0 => return Err(error),
                Err(error) => {
                    round.failed = Some(error);
                    break;
                }
            }
        }
        Ok(round)
    }

    fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Page<T>>>> {
        loop {
            match std::mem::replace(&mut self.state, PagerState::Done) {
                PagerState::Done => return Poll::Ready(None),
                PagerState::Failed(error) => return Poll::Ready(Some(Err(error))),
                PagerState::Turning(token) => {
                    self.ask(token);
                    self.state = PagerState::Waiting;
                }
                PagerState::Waiting => {
                    let Poll::Ready(page) = Pin::new(&mut self.window.pages).poll_next(cx) else {
                        self.state = PagerState::Waiting;
                        return Poll::Pending;
                    };
                    let asked = self.window.asked.pop_front();
                    match &page {
                        Some(Ok(page)) => self.turn(asked.flatten().as_ref(), page),
                        _ => self.window = Window::new(),
                    }
                    return Poll::Ready(page);
                }
            }
        }
    }

    /// Asks for the page at `token`, unless that was done, and for those that are expected after it.
    fn ask(&mut self, token: Option<PageToken>) {
        if self.window.asked.front() != Some(&token) {
            let expected = self.window.expected.take().filter(|_| self.window.asked.is_empty());
            self.window = Window { expected, ..Window::new() };
            self.window.ask(token, &mut self.fetch);
        }
        while self.window.asked.len() < self.at_a_time
            && let Some(number) = self.window.expected.as_mut().and_then(Iterator::next)
        {
            self.window.ask(Some(PageToken(number.to_string())), &mut self.fetch);
        }
    }

    /// Goes on to the page that this one, which was at `token`, says is next.
    fn turn(&mut self, token: Option<&PageToken>, page: &Page<T>) {
        let Some(next) = page.next.clone() else {
            self.window = Window::new();
            return;
        };
        if token == self.start.as_ref() && self.at_a_time > 1 {
            self.window.expected = after(&next, page);
        }
        self.state = self.turn_to(next);
    }

    fn turn_to(&mut self, next: PageToken) -> PagerState {
        let problem = |text: &str| PagerState::Failed(Error::new(ErrorKind::Inconsistent, text));
        if !self.seen.insert(next.clone()) {
            return problem("the list runs in a circle: a page was announced twice");
        }
        if self.seen.len() >= self.max_pages {
            return problem("the list has more pages than allowed");
        }
        PagerState::Turning(Some(next))
    }
}

/// The numbers of the pages after `next`, by the total and the length of the page that names it.
fn after<T>(next: &PageToken, page: &Page<T>) -> Option<RangeInclusive<u64>> {
    let rows = (page.items.len() + page.bad.len()) as u64;
    let last = page.total.filter(|_| rows > 0)?.div_ceil(rows);
    let next: u64 = next.0.parse().ok()?;
    Some(next.checked_add(1)?..=last)
}

/// One reading of the list.
struct Round<T> {
    items: Vec<T>,
    bad: Vec<BadRow>,
    /// The error of a page after the first.
    failed: Option<Error>,
    total: Option<u64>,
    /// Whether every page told the same total.
    steady: bool,
    doubt: Option<Error>,
    /// Whether the last page left the end open.
    open: bool,
}

impl<T> Round<T> {
    fn read(&self) -> u64 {
        (self.items.len() + self.bad.len()) as u64
    }

    /// Whether the list ended at a page that was announced and is gone, and the count says that nothing was on it.
    fn ended_early(&self) -> bool {
        self.steady && self.total == Some(self.read()) && self.failed.as_ref().is_some_and(Error::is_not_found)
    }

    /// Whether reading the list once more may do better.
    fn moved(&self) -> bool {
        match &self.failed {
            Some(_) if self.ended_early() => false,
            Some(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidRequest),
            None => !self.steady || self.total.is_some_and(|total| total != self.read()),
        }
    }

    fn gap(&self) -> Option<Error> {
        if self.failed.is_some() && !self.ended_early() {
            return self.failed.clone();
        }
        let inconsistent = |text: String| Some(Error::new(ErrorKind::Inconsistent, text));
        match self.total {
            _ if !self.steady => inconsistent("the list changed its length while it was read".to_owned()),
            Some(total) if total != self.read() => {
                inconsistent(format!("the list has {total} entries, {} came", self.read()))
            }
            None if self.open => {
                inconsistent("the last page is full and nothing tells how long the list is, so it may go on".to_owned())
            }
            _ => self.doubt.clone(),
        }
    }

    fn listing(self) -> Listing<T> {
        let gap = self.gap();
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
