//! Lists that are added up while they arrive (faults 76, 78, 80, 81, 109; security S31).

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{
        Anonymous, BadRow, Http, HttpTransport, Intake, RequestMeta, RestClient, RetryPolicy, TransportError,
        TransportErrorKind,
    },
    testing::Answer,
};

use crate::virtual_time::{ORIGIN, base, client, environment, script};

#[derive(Deserialize)]
struct Row {
    #[serde(rename = "uuid")]
    _uuid: String,
    size: u64,
}

/// How much, of how many, and which could not be read.
type Sum = (u64, usize, Vec<Option<String>>);

fn add(sum: &mut Sum, row: Result<Row, BadRow>) {
    match row {
        Ok(row) => (sum.0, sum.1) = (sum.0 + row.size, sum.1 + 1),
        Err(bad) => sum.2.push(bad.id),
    }
}

async fn fold(transport: impl HttpTransport) -> Result<Sum> {
    let http = Http::new(transport).with_environment(environment()).with_retry(RetryPolicy::default());
    let call = RestClient::new(http, base(ORIGIN), Anonymous).get("rows.list", "/rows/", &[]);
    call.max_body(usize::MAX).fold_rows("uuid", Sum::default, add).await
}

/// A transport that hands answers over in pieces: of each attempt these many rows, and whether the array is closed.
struct Pieces {
    attempts: Vec<(usize, Ending)>,
    sent: AtomicUsize,
    handed: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Whole,
    /// The connection breaks.
    Broken,
    /// The text stops, and the transport does not notice.
    Short,
}

impl Pieces {
    fn new(attempts: &[(usize, Ending)]) -> Self {
        Self { attempts: attempts.to_vec(), sent: AtomicUsize::new(0), handed: Arc::default() }
    }

    fn hand(&self, intake: &Intake, piece: &str) -> bool {
        self.handed.fetch_add(piece.len(), Ordering::Relaxed);
        // Cut where no entry ends.
        let (first, second) = piece.as_bytes().split_at(piece.len() / 3);
        intake.take(first) && intake.take(second)
    }
}

#[async_trait]
impl HttpTransport for Pieces {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let intake = request.extensions().get::<Intake>().unwrap();
        let (rows, ending) = self.attempts[self.sent.fetch_add(1, Ordering::Relaxed)];
        for number in 0..rows {
            let before = if number == 0 { '[' } else { ',' };
            let row = format!(r#"{before}{{"uuid": "{number}", "size": 3, "more": "{}"}}"#, "x".repeat(100));
            if !self.hand(intake, &row) {
                return Ok(Response::new(Bytes::new()));
            }
        }
        match ending {
            Ending::Broken => return Err(TransportError::new(TransportErrorKind::Interrupted)),
            Ending::Whole if rows == 0 => _ = intake.take(b"[]"),
            Ending::Whole => _ = intake.take(b"]"),
            Ending::Short => {}
        }
        Ok(Response::new(Bytes::new()))
    }
}

#[tokio::test(start_paused = true)]
async fn f109_an_answer_without_end_is_added_up_row_by_row() {
    const ROWS: usize = 10_000;
    let pieces = Pieces::new(&[(ROWS, Ending::Whole)]);
    let handed = pieces.handed.clone();
    let (sum, count, bad) = fold(pieces).await.unwrap();
    assert_eq!((sum, count, bad.len()), (3 * ROWS as u64, ROWS, 0));
    assert!(handed.load(Ordering::Relaxed) > 1_000_000, "more than one row may have, and more than is kept");
}

#[tokio::test(start_paused = true)]
async fn f076_what_a_broken_attempt_brought_counts_for_nothing() {
    let attempts = [(5, Ending::Broken), (7, Ending::Broken), (2, Ending::Whole)];
    assert_eq!(fold(Pieces::new(&attempts)).await.unwrap(), (6, 2, vec![]));
    assert_eq!(fold(Pieces::new(&[(0, Ending::Whole)])).await.unwrap(), (0, 0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn f078_a_streamed_list_that_stops_short_is_an_error() {
    for rows in [0, 1, 9] {
        let error = fold(Pieces::new(&[(rows, Ending::Short)])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode, "{rows}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_knows_nothing_of_it_answers_the_same() {
    let fold = async |answer: Answer| {
        let script = script().then(answer);
        let call = client(&script).get("rows.list", "/rows/", &[]);
        call.fold_rows("uuid", Sum::default, add).await
    };
    let rows = r#" [{"uuid":"1","size":3},{"uuid":"2","size":-1},{"uuid":"3"},{"uuid":"4","size":4}] "#;
    let body = Answer::status(200).with_body(rows);
    assert_eq!(fold(body).await.unwrap(), (7, 2, vec![Some("2".to_owned()), Some("3".to_owned())]));
    let kind = async |answer: Answer| fold(answer).await.map_err(|error: Error| error.kind()).unwrap_err();
    let answer = |body: &str| Answer::status(200).with_body(body.to_owned());
    assert_eq!(kind(answer("<!DOCTYPE html><p>Log in</p>")).await, ErrorKind::WrongContent);
    for wrong in ["", "  ", "{}", "null", "[1", "[1]]"] {
        assert_eq!(kind(answer(wrong)).await, ErrorKind::Decode, "{wrong}");
    }
    let packed = answer("[]").with_header("content-encoding", "gzip");
    assert_eq!(kind(packed).await, ErrorKind::WrongContent);
    let latin = answer("[]").with_header("content-type", "application/json; charset=latin1");
    assert_eq!(kind(latin).await, ErrorKind::Decode);
    assert_eq!(kind(Answer::status(404).with_body("[]")).await, ErrorKind::NotFound);
    let long = format!(r#"["{}"]"#, "x".repeat(RequestMeta::DEFAULT_MAX_BODY));
    let script = script().then(answer(&long));
    let call = client(&script).get("rows.list", "/rows/", &[]).max_body(usize::MAX);
    let error = call.fold_rows("uuid", Sum::default, add).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
