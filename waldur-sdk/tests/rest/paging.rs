//! Lists and the proof of their end (faults 96–106, 109; security S16).

use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::virtual_time::{base, client, http, script};
use futures_util::StreamExt;
use http::Request;
use serde_json::json;
use url::Url;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Anonymous, LinkPaging, Listing, NextPage, Page, PageToken, Pager, RestClient},
    testing::{Answer, ScriptedTransport},
};

const PAGING: LinkPaging = LinkPaging { parameter: "page", total: "x-result-count", id: "id" };

/// A list over links, as a client makes it.
fn pager(client: &RestClient) -> Pager<u64> {
    let client = client.clone();
    Pager::new(u64::to_string, move |token: Option<PageToken>| {
        let call = client.get("rows.list", "/api/rows/", &[]).query("page_size", 100).query("state", "OK");
        let call = call.query_opt("page", token.map(|token| token.0));
        async move { call.send_page(&PAGING).await }
    })
}

fn page_of(request: &Request<bytes::Bytes>) -> u64 {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').find_map(|pair| pair.strip_prefix("page=")?.parse().ok()).unwrap_or(1)
}

fn page(items: impl IntoIterator<Item = u64>, total: u64, next: Option<&str>) -> Answer {
    let items: Vec<u64> = items.into_iter().collect();
    let answer = Answer::json(&items).with_header("X-Result-Count", total.to_string());
    match next {
        Some(link) => answer.with_header("Link", format!("<{link}>; rel=\"next\"")),
        None => answer,
    }
}

async fn read(script: &ScriptedTransport) -> Listing<u64> {
    pager(&client(script)).collect().await.unwrap()
}

fn scripted(pages: impl IntoIterator<Item = Answer>) -> ScriptedTransport {
    pages.into_iter().fold(script(), ScriptedTransport::then)
}

/// A pager over pages made by a function of the token.
fn made<F>(mut make: F) -> Pager<u64>
where
    F: FnMut(Option<&str>) -> Result<Page<u64>> + Send + 'static,
{
    Pager::new(u64::to_string, move |token| ready(make(token.as_ref().map(|token| token.0.as_str()))))
}

fn next(token: &str) -> Option<PageToken> {
    Some(PageToken(token.to_owned()))
}

#[tokio::test(start_paused = true)]
async fn f096_a_silent_cap_of_the_page_size_loses_nothing() {
    // A hundred are asked for, ten come: only the link says whether there are more.
    let script = script().otherwise(Answer::by(|request| {
        let number = page_of(request);
        let link = format!("/api/rows/?page={}", number + 1);
        page((number - 1) * 10..number * 10, 250, (number < 25).then_some(link.as_str()))
    }));
    let complete = read(&script).await.complete().unwrap();
    assert_eq!(complete.into_items(), (0..250).collect::<Vec<_>>());
    let queries: Vec<_> = script.requests().iter().map(|request| request.query().to_owned()).collect();
    assert_eq!((queries.len(), queries[0].as_str()), (25, "page_size=100&state=OK"));
    assert_eq!(queries[24], "page_size=100&state=OK&page=25");
}

#[tokio::test(start_paused = true)]
async fn f097_a_circle_of_links_ends() {
    for (second, third, read_pages) in [("2", "2", 2), ("2", "1", 3)] {
        let script = script().otherwise(Answer::by(move |request| {
            let number = page_of(request);
            let next = if number == 1 { second } else { third };
            page([number], 9, Some(&format!("?page={next}")))
        }));
        let listing = read(&script).await;
        assert_eq!(listing.gap().unwrap().kind(), ErrorKind::Inconsistent);
        assert_eq!((script.sent(), listing.items()), (read_pages, &[1, 2][..]), "what came is kept");
        assert!(listing.complete().is_err());
    }
    let endless = made(|token| {
        let number: u64 = token.map_or(0, |token| token.parse().unwrap());
        Ok(Page::new(vec![number], next(&(number + 1).to_string())))
    });
    let listing = endless.max_pages(50).collect().await.unwrap();
    assert_eq!((listing.items().len(), listing.gap().unwrap().kind()), (50, ErrorKind::Inconsistent));
}

const ELSEWHERE: [&str; 6] = [
    "https://evil.example.org/api/rows/?page=2",
    "http://169.254.169.254/latest/meta-data/?page=2",
    "https://api.example.org:8443/api/rows/?page=2",
    "https://api.example.org/other/rows/?page=2",
    "https://user@api.example.org/api/rows/?page=2",
    "ftp://api.example.org/api/rows/?page=2",
];

#[tokio::test(start_paused = true)]
async fn f098_a_link_to_another_place_makes_the_list_unproven() {
    for link in ELSEWHERE {
        let script = scripted([page([1], 2, Some(link)), page([2], 2, None)]);
        let listing = read(&script).await;
        let gap = listing.gap().unwrap();
        assert!(gap.kind() == ErrorKind::Inconsistent && gap.message().contains("another place"), "{gap}");
        assert_eq!(listing.items(), [1, 2], "what can be added is known");
        assert!(listing.complete().is_err(), "nothing may be removed by it");
    }
}

#[tokio::test(start_paused = true)]
async fn sec16_a_link_is_data_and_never_a_destination() {
    for link in ELSEWHERE {
        let hostile = format!("{link}&state=Terminated&token=x");
        let script = scripted([page([1], 2, Some(&hostile)), page([2], 2, None)]);
        read(&script).await;
        let second = script.requests()[1].uri.to_string();
        assert_eq!(second, "https://api.example.org/api/rows/?page_size=100&state=OK&page=2", "{link}");
    }
    // What a link names as the page is a value, encoded like any other.
    let script = scripted([page([1], 2, Some("?page=2%26state%3DAll%2F..%2F")), page([2], 2, None)]);
    read(&script).await;
    assert_eq!(script.requests()[1].query(), "page_size=100&state=OK&page=2%26state%3DAll%2F..%2F");
}

#[tokio::test(start_paused = true)]
async fn f099_an_http_link_of_our_own_host_is_asked_over_https() {
    let script = scripted([page([1], 2, Some("http://api.example.org/api/rows/?page=2")), page([2], 2, None)]);
    assert_eq!(read(&script).await.complete().unwrap().items(), [1, 2]);
    assert!(script.requests().iter().all(|request| request.uri.scheme_str() == Some("https")));
    // And not the other way round: who says http means http.
    let asked = Url::parse("http://127.0.0.1/api/rows/").unwrap();
    assert!(NextPage::from_link("https://127.0.0.1/api/rows/?page=2", &asked, "page").doubt.is_some());
}

#[tokio::test(start_paused = true)]
async fn f100_a_list_that_moves_is_read_once_more() {
    let link = Some("?page=2");
    // An entry of the first page goes away: 3 slides onto it and is not seen; the last count agrees with what came.
    let moving = [page([1, 2], 4, link), page([4], 3, None)];
    let steady = [page([2, 3], 3, link), page([4], 3, None)];
    let script = scripted(moving.clone().into_iter().chain(steady));
    assert_eq!(read(&script).await.complete().unwrap().items(), [2, 3, 4]);
    let script = scripted(moving.clone().into_iter().chain(moving));
    let listing = read(&script).await;
    assert_eq!((script.sent(), listing.items()), (4, &[1, 2, 4][..]), "usable for additions");
    assert_eq!(listing.complete().unwrap_err().kind(), ErrorKind::Inconsistent);
}

#[tokio::test(start_paused = true)]
async fn f101_an_entry_on_two_pages_is_one_entry() {
    let script = scripted([page([1, 2], 3, Some("?page=2")), page([2, 3], 3, None)]);
    let listing = read(&script).await;
    assert_eq!((listing.items(), script.sent()), (&[1, 2, 3][..], 2));
    let bad = json!([{"id": 7}, 3]);
    let second = Answer::json(&bad).with_header("x-result-count", "3");
    let first = Answer::json(&json!([1, {"id": 7}]))
        .with_header("link", "<?page=2>; rel=next")
        .with_header("x-result-count", "3");
    let listing = read(&scripted([first, second])).await;
    assert_eq!((listing.items(), listing.bad().len()), (&[1, 3][..], 1), "and an unreadable one too");
}

#[tokio::test(start_paused = true)]
async fn f102_an_entry_that_was_skipped_is_missed_by_the_count() {
    let skipping = [page([1, 2], 4, Some("?page=2")), page([4], 4, None)];
    let script = scripted(skipping.clone().into_iter().chain(skipping));
    let listing = read(&script).await;
    assert_eq!(listing.gap().unwrap().message(), "the list has 4 entries, 3 came");
    assert!(listing.complete().is_err());
}

#[tokio::test(start_paused = true)]
async fn f103_a_page_that_fails_leaves_the_earlier_ones() {
    let script = script().then(page([1, 2], 4, Some("?page=2"))).otherwise(Answer::status(500));
    let listing = read(&script).await;
    assert_eq!((listing.items(), listing.gap().unwrap().kind()), (&[1, 2][..], ErrorKind::Server));
    assert_eq!(script.sent(), 1 + 4, "an outage is no reason to read the list again");
    let first = crate::virtual_time::script().otherwise(Answer::status(500));
    assert_eq!(pager(&client(&first)).collect().await.unwrap_err().kind(), ErrorKind::Server, "no page, no list");
}

#[tokio::test(start_paused = true)]
async fn f104_an_empty_page_in_the_middle_is_no_end() {
    let script = scripted([page([1], 2, Some("?page=2")), page([], 2, Some("?page=3")), page([2], 2, None)]);
    assert_eq!(read(&script).await.complete().unwrap().items(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn f105_a_list_that_says_it_is_cut_is_never_proven() {
    let cut = || Some(Error::new(ErrorKind::Inconsistent, "the server cut the list"));
    let listing = made(move |_| Ok(Page::new(vec![1, 2], None).with_doubt(cut()))).collect().await.unwrap();
    assert_eq!((listing.items(), listing.gap().unwrap().message()), (&[1, 2][..], "the server cut the list"));
    assert!(listing.complete().is_err());
}

#[tokio::test(start_paused = true)]
async fn f106_a_marker_that_was_deleted_restarts_the_list_once() {
    let run = |vanishings: usize, kind: ErrorKind| async move {
        let mut rounds = 0;
        let pager = made(move |token| match token {
            None => {
                rounds += 1;
                Ok(Page::new(vec![1, 2], next("b")))
            }
            Some(_) if rounds <= vanishings => Err(Error::new(kind, "no such marker")),
            Some(_) => Ok(Page::new(vec![3], None)),
        });
        pager.collect().await.unwrap()
    };
    for kind in [ErrorKind::NotFound, ErrorKind::InvalidRequest] {
        assert_eq!(run(1, kind).await.complete().unwrap().items(), [1, 2, 3]);
        let twice = run(2, kind).await;
        assert_eq!((twice.items(), twice.gap().unwrap().kind()), (&[1, 2][..], kind));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_gone_ends_the_list_if_the_count_agrees() {
    let read = |total: Option<u64>| {
        made(move |token| match token {
            None => Ok(Page::new(vec![1, 2], next("b")).with_total(total)),
            Some(_) => Err(Error::new(ErrorKind::NotFound, "no such page")),
        })
        .collect()
    };
    assert_eq!(read(Some(2)).await.unwrap().complete().unwrap().items(), [1, 2]);
    for total in [None, Some(3)] {
        assert_eq!(read(total).await.unwrap().complete().unwrap_err().kind(), ErrorKind::NotFound, "{total:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_open_end_is_closed_by_a_count_alone() {
    let read = |total: Option<u64>| {
        made(move |token| match token {
            None => Ok(Page::new(vec![1, 2], next("b")).with_open_end(true)),
            Some(_) => Ok(Page::new(vec![3, 4], None).with_total(total).with_open_end(true)),
        })
        .collect()
    };
    assert_eq!(read(Some(4)).await.unwrap().complete().unwrap().items(), [1, 2, 3, 4]);
    let open = read(None).await.unwrap();
    assert_eq!((open.items().len(), open.gap().unwrap().kind()), (4, ErrorKind::Inconsistent));
    // Only the last page can leave it open.
    let closed = made(|token| match token {
        None => Ok(Page::new(vec![1, 2], next("b")).with_open_end(true)),
        Some(_) => Ok(Page::new(vec![3], None)),
    });
    assert_eq!(closed.collect().await.unwrap().complete().unwrap().items(), [1, 2, 3]);
}

#[derive(Debug)]
struct Counted(u64, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn f109_a_million_entries_stream_through_one_page_of_memory() {
    const PAGES: u64 = 1000;
    let (live, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counter, highest) = (live.clone(), peak.clone());
    let mut pager = Pager::new(
        |item: &Counted| item.0.to_string(),
        move |token: Option<PageToken>| {
            let number: u64 = token.map_or(0, |token| token.0.parse().unwrap());
            let item = |id| Counted(id, counter.clone());
            let items: Vec<_> = (number * 1000..(number + 1) * 1000).map(item).collect();
            highest.fetch_max(counter.fetch_add(items.len(), Ordering::Relaxed) + items.len(), Ordering::Relaxed);
            let next = (number + 1 < PAGES).then(|| PageToken((number + 1).to_string()));
            ready(Ok(Page::new(items, next).with_total(Some(1_000_000))))
        },
    );
    let begin = Instant::now();
    let (mut entries, mut sum) = (0_u64, 0_u64);
    while let Some(page) = pager.next_page().await.unwrap() {
        entries += page.items.len() as u64;
        sum += page.items.iter().map(|item| item.0).sum::<u64>();
    }
    assert_eq!((entries, sum), (1_000_000, 1_000_000 * 999_999 / 2));
    assert_eq!((peak.load(Ordering::Relaxed), live.load(Ordering::Relaxed)), (1000, 0), "one page at a time");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_entry_is_told_and_spoils_the_proof() {
    let script = script().then(Answer::json(&json!([1, {"id": "x"}, 3])).with_header("x-result-count", "3"));
    let listing = read(&script).await;
    assert_eq!((listing.items(), listing.bad()[0].id.as_deref()), (&[1, 3][..], Some("x")));
    assert_eq!(script.sent(), 1, "the count agrees, so it is not read again");
    assert_eq!(listing.complete().unwrap_err().kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn a_list_can_be_resumed_and_is_never_proven_then() {
    let script = scripted([page([3], 3, Some("?page=4")), page([4], 3, None)]);
    let listing = pager(&client(&script)).resume_at(PageToken("3".into())).collect().await.unwrap();
    assert_eq!((listing.items(), script.requests()[0].query()), (&[3, 4][..], "page_size=100&state=OK&page=3"));
    assert!(listing.complete().is_err());
    let circle = made(|token| Ok(Page::new(vec![1], next(if token == Some("a") { "b" } else { "a" }))));
    let mut pages = circle.resume_at(PageToken("a".into()));
    assert!(pages.next_page().await.is_ok() && pages.next_page().await.is_ok());
    assert!(pages.next_page().await.is_err(), "the page it began at counts as seen");
}

#[tokio::test(start_paused = true)]
async fn of_two_incomplete_readings_the_larger_is_kept() {
    let reading = |items: &[u64]| page(items.iter().copied(), 9, None);
    for (first, second, kept) in [(&[1, 2][..], &[2, 3, 4][..], &[2, 3, 4][..]), (&[1, 2, 3], &[4], &[1, 2, 3])] {
        assert_eq!(read(&scripted([reading(first), reading(second)])).await.items(), kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_keeps_the_page_in_flight() {
    let script = scripted([page([1], 2, Some("?page=2")).after(Duration::from_secs(5)), page([2], 2, None)]);
    let mut pager = pager(&client(&script));
    assert!(tokio::time::timeout(Duration::from_secs(3), pager.next_page()).await.is_err());
    assert_eq!(pager.next_page().await.unwrap().unwrap().items, [1]);
    let rest: Vec<_> = pager.map(|page| page.unwrap().items).collect().await;
    assert_eq!((rest, script.sent()), (vec![vec![2]], 2));
}

#[tokio::test(start_paused = true)]
async fn links_are_found_in_every_lawful_spelling() {
    let asked = Url::parse("https://h/x/?page=1").unwrap();
    let spellings = [
        r#"<https://h/x/?page=1>; rel="first", <https://h/x/?page=2&a=,;>; rel="next", <?page=9>; rel="last""#,
        "<?page=2>;rel=next",
        r#"</x/?page=9>; rel="prev" , </x/?page=2>; rel="next""#,
        r#"<?page=9>; title="a; rel=next, <x>"; rel=last, <?page=2>; REL="last Next""#,
        r#"<?page=2>; title="a, b; c"; rel=next"#,
    ];
    for spelling in spellings {
        let mut headers = http::HeaderMap::new();
        headers.append("link", "<?page=0>; rel=prev".parse().unwrap());
        headers.append("link", spelling.parse().unwrap());
        let next = NextPage::from_headers(&headers, &asked, "page");
        assert_eq!((next.token, next.doubt.is_none()), (Some(PageToken("2".into())), true), "{spelling}");
    }
    for nonsense in ["", "<", "next", "<?page=2>", "<?page=2; rel=next", "<?page=2>; rel=nextish"] {
        let mut headers = http::HeaderMap::new();
        headers.append("link", nonsense.parse().unwrap());
        assert_eq!(NextPage::from_headers(&headers, &asked, "page").token, None, "{nonsense}");
    }
    let unnamed = NextPage::from_link("/x/?cursor=abc", &asked, "page");
    assert!(unnamed.token.is_none() && unnamed.doubt.is_some(), "an end that is none is no proof");
}

#[tokio::test(start_paused = true)]
async fn a_list_below_a_path_prefix_stays_below_it() {
    let answers = Arc::new(Mutex::new(vec![page([2], 2, None), page([1], 2, Some("/waldur/api/rows/?page=2"))]));
    let script = script().otherwise(Answer::by(move |_| answers.lock().unwrap().pop().unwrap()));
    let client = RestClient::new(http(&script), base("https://h.example.org/waldur/"), Anonymous);
    assert_eq!(pager(&client).collect().await.unwrap().complete().unwrap().items(), [1, 2]);
    assert!(script.requests().iter().all(|request| request.path() == "/waldur/api/rows/"));
    assert_eq!(script.sent(), 2);
}
