//! Lists whose pages are asked for several at a time: the same entries, the same proof, in less time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use proptest::prelude::*;
use tokio::time::{Instant, sleep};
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{BadRow, Listing, Page, PageToken, Pager},
};

const ROWS: u64 = 10;
const LATENCY: Duration = Duration::from_millis(50);

/// What a server answers on one page.
#[derive(Clone, Debug)]
enum Answer {
    /// So many rows, of them so many unreadable, a total, and the number of the next page.
    Page(Vec<u64>, usize, Option<u64>, Option<u64>),
    Error(ErrorKind),
}

impl Answer {
    fn page(self) -> Result<Page<u64>> {
        let (rows, bad, total, next) = match self {
            Self::Page(rows, bad, total, next) => (rows, bad, total, next),
            Self::Error(kind) => return Err(Error::new(kind, "no such page")),
        };
        let unreadable = Error::new(ErrorKind::Decode, "not a number");
        let bad =
            rows.iter().take(bad).map(|row| BadRow::new(Some(row.to_string()), unreadable.clone())).collect::<Vec<_>>();
        let next = next.map(|number| PageToken(number.to_string()));
        Ok(Page::new(rows.into_iter().skip(bad.len()).collect(), next).with_bad(bad).with_total(total))
    }
}

/// A list of `rows` rows, told truly.
fn honest(rows: u64, number: u64) -> Answer {
    let (from, to) = ((number - 1) * ROWS, (number * ROWS).min(rows));
    Answer::Page((from..to).collect(), 0, Some(rows), (to < rows).then_some(number + 1))
}

/// A pager over a server that needs [`LATENCY`] for each answer, and how often it was asked.
fn pager(at_a_time: usize, answer: impl Fn(u64) -> Answer + Send + 'static) -> (Pager<u64>, Arc<AtomicU64>) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = asked.clone();
    let pager = Pager::new(u64::to_string, move |token: Option<PageToken>| {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = answer(token.map_or(1, |token| token.0.parse().unwrap()));
        async move {
            sleep(LATENCY).await;
            answer.page()
        }
    });
    (pager.pages_at_a_time(at_a_time), asked)
}

#[tokio::test(start_paused = true)]
async fn f096_pages_come_in_waves_and_in_their_order() {
    for (rows, pages, waves) in [(0, 1, 1), (10, 1, 1), (11, 2, 2), (90, 9, 2), (91, 10, 3), (340, 34, 6)] {
        let (pager, asked) = pager(8, move |number| honest(rows, number));
        let begin = Instant::now();
        let items = pager.collect().await.unwrap().complete().unwrap().into_items();
        assert_eq!(items, (0..rows).collect::<Vec<_>>());
        let taken = begin.elapsed().as_millis() / LATENCY.as_millis();
        assert_eq!((asked.load(Ordering::Relaxed), taken), (pages, waves), "{rows} rows");
    }
}

#[tokio::test(start_paused = true)]
async fn who_stops_after_the_first_page_has_asked_for_no_other() {
    let (mut pager, asked) = pager(8, |number| honest(1000, number));
    assert_eq!(pager.next_page().await.unwrap().unwrap().items.len(), 10);
    sleep(LATENCY).await;
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn f096_a_page_that_names_another_place_than_expected_is_followed() {
    // Page 3 is followed by 30, page 30 by 31; pages 4 to 8 are never read.
    let answer = |number: u64| {
        let next = [(1, 2), (2, 3), (3, 30), (30, 31)].into_iter().find(|(from, _)| *from == number);
        Answer::Page(vec![number], 0, Some(5), next.map(|(_, to)| to))
    };
    let listing = pager(4, answer).0.collect().await.unwrap();
    assert_eq!(listing.complete().unwrap().into_items(), [1, 2, 3, 30, 31]);
}

#[tokio::test(start_paused = true)]
async fn f097_a_total_beyond_all_measure_asks_no_further_than_the_window() {
    let answer = |number: u64| match number {
        1 | 2 => Answer::Page(vec![number], 0, Some(u64::MAX), Some(number + 1)),
        _ => Answer::Error(ErrorKind::NotFound),
    };
    let (pager, asked) = pager(8, answer);
    let listing = pager.collect().await.unwrap();
    assert_eq!((listing.items(), listing.gap().unwrap().kind()), (&[1, 2][..], ErrorKind::NotFound));
    assert!(asked.load(Ordering::Relaxed) <= 2 * 10, "twice, as a list that moved is read once more");
}

#[tokio::test(start_paused = true)]
async fn f103_pages_behind_one_that_fails_are_not_handed_on() {
    let answer = |number: u64| if number == 3 { Answer::Error(ErrorKind::Server) } else { honest(60, number) };
    let listing = pager(8, answer).0.collect().await.unwrap();
    assert_eq!((listing.items().len(), listing.gap().unwrap().kind()), (20, ErrorKind::Server));
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let total = prop_oneof![3 => Just(None), 8 => (0_u64..60).prop_map(Some)];
    let odd = (proptest::collection::vec(0_u64..60, 0..12), 0_usize..2, total, proptest::option::of(1_u64..8))
        .prop_map(|(rows, bad, total, next)| Answer::Page(rows, bad, total, next));
    let kinds = prop_oneof![Just(ErrorKind::NotFound), Just(ErrorKind::Server), Just(ErrorKind::InvalidRequest)];
    let usual = (20_u64..60, 1_u64..8).prop_map(|(rows, number)| honest(rows, number));
    proptest::collection::vec(prop_oneof![6 => usual, 2 => odd, 1 => kinds.prop_map(Answer::Error)], 8)
}

type Read = Result<(Vec<u64>, usize, Option<(ErrorKind, String)>), ErrorKind>;

fn told(listing: Result<Listing<u64>>) -> Read {
    let (items, bad, gap) = listing.map_err(|error| error.kind())?.into_parts();
    Ok((items, bad.len(), gap.map(|gap| (gap.kind(), gap.message().to_owned()))))
}

proptest! {
    #[test]
    fn f096_whatever_a_server_answers_it_reads_as_page_after_page(pages in answers(), at_a_time in 2_usize..9) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let read = |at_a_time| {
            let pages = pages.clone();
            let end = Answer::Error(ErrorKind::NotFound);
            let answer = move |number: u64| usize::try_from(number - 1).ok().and_then(|at| pages.get(at).cloned()).unwrap_or_else(|| end.clone());
            told(runtime.block_on(pager(at_a_time, answer).0.collect()))
        };
        prop_assert_eq!(read(1), read(at_a_time));
    }
}
