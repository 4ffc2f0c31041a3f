//! Answers that are cut, endless or packed (faults.md §4.6; security.md S31, S32).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::{OK, QUERY_CANARY, Server, TOKEN, assert_silent, client, http, options, plain_client};
use serde_json::Value;
use waldur_sdk::{
    Effect, ErrorClass, ErrorKind,
    rest::{RequestMeta, RetryPolicy},
};

/// Answers `broken` on the first connection and closes it, and properly on every other.
async fn broken_once(broken: &'static str) -> Server {
    Server::start(move |mut connection| async move {
        connection.request().await;
        if connection.number == 1 {
            connection.write(broken).await.unwrap();
        } else {
            connection.write(OK).await.unwrap();
            connection.answer_all(OK).await;
        }
    })
    .await
}

const CUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"keys\": []}";

#[tokio::test]
async fn f076_read_whose_body_breaks_off_is_repeated() {
    let server = broken_once(CUT).await;
    let user: Value = plain_client(&server.url()).get("users.get", "/users/", &[]).send_json().await.unwrap();
    assert_eq!(user, serde_json::json!({}), "nothing of the first answer is used");
    assert_eq!((server.seen().connections, server.seen().requests.len()), (2, 2));
}

#[tokio::test]
async fn f077_create_whose_answer_breaks_off_is_unknown() {
    let server = broken_once(CUT).await;
    let error = plain_client(&server.url()).post("users.create", "/users/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Transport, ErrorClass::Transient));
    assert_eq!((error.effect(), error.attempts()), (Effect::Unknown, 1));
    assert_eq!(server.seen().requests.len(), 1);
    assert_silent(&error);
}

#[tokio::test]
async fn f079_chunked_list_without_its_last_chunk_is_no_short_list() {
    for cut in ["2\r\n[]\r\n", "2\r\n[]\r\n5\r\n", "2\r\n[]\r\n0\r\n", "40\r\n[]"] {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let server = Server::start(move |mut connection| async move {
            connection.request().await;
            connection.write([head, cut].concat()).await.unwrap();
        })
        .await;
        let call = plain_client(&server.url()).get("users.list", "/users/", &[]).not_idempotent();
        let error = call.send_json::<Vec<Value>>().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::Transport, 1), "{cut:?}");
    }
}

/// The most memory that this process ever had, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[cfg(not(target_os = "linux"))]
fn peak_memory() -> usize {
    0
}

#[tokio::test]
async fn f080_oversized_body_is_cut_at_the_limit() {
    const LIMIT: usize = 1 << 20;
    // What the buffers of both sockets hold may leave the server without ever being read.
    const BUFFERED: usize = 16 << 20;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let server = Server::start(move |mut connection| {
        let count = count.clone();
        async move {
            connection.request().await;
            connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
            for _ in 0..(1 << 30) / chunk.len() {
                if connection.write(&chunk).await.is_err() {
                    return;
                }
                count.fetch_add(chunk.len(), Ordering::Relaxed);
            }
        }
    })
    .await;
    let before = peak_memory();
    let call = plain_client(&server.url()).get("users.list", "/users/", &[]).max_body(LIMIT);
    let error = call.send().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::TooLarge, ErrorClass::NotReady));
    assert_eq!((error.effect(), error.attempts()), (Effect::Unknown, 1), "a repeat would be as large");
    assert!(sent.load(Ordering::Relaxed) < LIMIT + BUFFERED, "the server got rid of {sent:?} bytes");
    assert!(peak_memory() - before < 64 << 20, "{before} bytes grew to {}", peak_memory());
    assert_silent(&error);

    // A size that is announced need not be read at all: no byte of this body ever comes.
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", LIMIT + 1)).await.unwrap();
        connection.hang().await;
    })
    .await;
    let call = plain_client(&server.url()).get("users.list", "/users/", &[]).max_body(LIMIT);
    assert_eq!(call.send().await.unwrap_err().kind(), ErrorKind::TooLarge);
}

/// A mebibyte of the digit 0 in 1052 bytes.
fn bomb() -> Vec<u8> {
    let begin = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xed\xc1\x31\x01\0\0\0\xc2\xa0\x4a\xeb\x9f\xce\x10\xbe\x40\x01";
    let end = b"\x7c\x06\xda\x75\xa6\x37\0\0\x10\0";
    [begin.as_slice(), &[0; 1015], end].concat()
}

async fn packed() -> Server {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", bomb().len());
    Server::answering([head.into_bytes(), bomb()].concat()).await
}

#[tokio::test]
async fn f081_packed_body_is_refused_and_never_unpacked() {
    let server = packed().await;
    let call = plain_client(&server.url()).get("users.list", "/users/", &[]).max_body(64 * 1024);
    let error = call.send_json::<Value>().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::WrongContent, 1));
    assert!(error.to_string().contains("gzip"), "{error}");
}

#[tokio::test]
async fn sec32_nothing_packed_is_asked_for_and_the_limit_counts_what_is_in_memory() {
    let server = packed().await;
    let client = plain_client(&server.url());
    let answer = client.get("raw", "/", &[]).max_body(bomb().len()).send().await.unwrap();
    assert_eq!(answer.body(), &bomb(), "as it came over the wire");
    assert_eq!(answer.headers()["content-encoding"], "gzip", "and labelled so");
    let error = client.get("raw", "/", &[]).max_body(bomb().len() - 1).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(server.seen().requests.iter().all(|request| request.header("accept-encoding").is_none()));
}

#[tokio::test]
async fn sec31_body_head_and_number_of_headers_have_limits() {
    // The body: exactly the limit passes, one byte more does not, and 8 MiB is the limit of a call that says nothing.
    assert_eq!(RequestMeta::DEFAULT_MAX_BODY, 8 * 1024 * 1024);
    for (size, accepted) in [(RequestMeta::DEFAULT_MAX_BODY, true), (RequestMeta::DEFAULT_MAX_BODY + 1, false)] {
        for head in [format!("content-length: {size}"), "connection: close".to_owned()] {
            let server = Server::start(move |mut connection| {
                let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
                async move {
                    connection.request().await;
                    // The client may hang up before everything is written.
                    let _written = connection.write([head.into_bytes(), vec![b' '; size]].concat()).await;
                }
            })
            .await;
            let outcome = plain_client(&server.url()).get("raw", "/", &[]).send().await;
            match outcome {
                Ok(answer) => assert!(accepted && answer.body().len() == size),
                Err(error) => assert!(!accepted && error.kind() == ErrorKind::TooLarge, "{error:?}"),
            }
        }
    }
    // The head: too many headers, and one header without an end.
    let many = "x-one-of: many\r\n".repeat(101);
    let heads = [many, format!("x-long: {}", "a".repeat(4 << 20))];
    for head in heads {
        let server = Server::start(move |mut connection| {
            let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
            async move {
                connection.request().await;
                let _written = connection.write(head).await;
                connection.hang().await;
            }
        })
        .await;
        let error = plain_client(&server.url()).get("raw", "/", &[]).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::TooLarge, 1), "{error:?}");
    }
}

#[tokio::test]
async fn absurd_retry_after_is_neither_slept_nor_a_panic() {
    let answer = format!("HTTP/1.1 429 Slow\r\nretry-after: {}\r\ncontent-length: 0\r\n\r\n", u64::MAX);
    let server = Server::answering(answer).await;
    let patient = RetryPolicy::default().with_max_elapsed(Duration::MAX);
    let client = client(http(&options()).with_retry(patient), &server.url());
    let deadline = Some(Instant::now() + Duration::from_secs(60));
    let error = client.get("users.get", "/users/", &[]).deadline(deadline).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::RateLimited, 1));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(u64::MAX)));
}

#[tokio::test]
async fn f069_a_login_page_is_no_success_even_where_no_answer_is_read() {
    let page = "<!DOCTYPE html><title>Sign in</title>";
    let server = Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{page}", page.len())).await;
    let error = plain_client(&server.url()).delete("users.delete", "/users/", &[]).send_unit().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::WrongContent, Effect::Unknown));
}

#[tokio::test]
async fn empty_answers_and_answers_without_a_body_are_complete() {
    let heads = ["204 No Content\r\n", "200 OK\r\ncontent-length: 0\r\n", "200 OK\r\ntransfer-encoding: chunked\r\n"];
    for head in heads {
        let end = if head.contains("chunked") { "0\r\n\r\n" } else { "" };
        let server = Server::answering(format!("HTTP/1.1 {head}\r\n{end}")).await;
        let answer = plain_client(&server.url()).delete("users.delete", "/", &[]).send().await.unwrap();
        assert!(answer.body().is_empty());
    }
    // The length that HEAD announces is that of a body which does not come.
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").await;
    plain_client(&server.url()).call(http::Method::HEAD, "users.head", "/", &[]).send_unit().await.unwrap();
}

#[tokio::test]
async fn f079_a_list_that_is_taken_in_while_it_arrives_is_whole_or_an_error() {
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    let fold = async |answer: String| {
        let server = Server::start(move |mut connection| {
            let answer = answer.clone();
            async move {
                connection.request().await;
                connection.write(answer).await.unwrap();
            }
        })
        .await;
        let call = plain_client(&server.url()).get("users.list", "/users/", &[]).not_idempotent().max_body(20);
        call.fold_rows("id", || 0, |sum, row| *sum += row.unwrap_or(100)).await
    };
    let whole = [head.clone(), chunk("[1"), chunk("2, 3"), chunk("]"), chunk("")].concat();
    assert_eq!(fold(whole).await.unwrap(), 15);
    let cut = [head.clone(), chunk("[1"), chunk(",2]")].concat();
    assert_eq!(fold(cut).await.unwrap_err().kind(), ErrorKind::Transport);
    let open = [head.clone(), chunk("[1"), chunk("")].concat();
    assert_eq!(fold(open).await.unwrap_err().kind(), ErrorKind::Decode);
    let long = [head.clone(), chunk("[1,         "), chunk("           ]"), chunk("")].concat();
    assert_eq!(fold(long).await.unwrap_err().kind(), ErrorKind::TooLarge, "the limit is that of the whole");
    let page = [head, chunk("<html>"), chunk("whatever"), chunk("")].concat();
    assert_eq!(fold(page).await.unwrap_err().kind(), ErrorKind::WrongContent);
    let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\n[]".to_owned();
    assert_eq!(fold(refused).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
}

/// More than is ever read of an answer: no error grows with what a server says, and none repeats it.
#[tokio::test]
async fn f095_an_error_of_ten_megabytes_is_as_short_as_any_other() {
    let cases = [
        (400, 10 << 20, ErrorKind::TooLarge),
        (500, 10 << 20, ErrorKind::TooLarge),
        (400, 1 << 20, ErrorKind::InvalidRequest),
    ];
    for (status, length, kind) in cases {
        let server = Server::start(move |mut connection| async move {
            let pad = "x".repeat(length);
            let body = format!(r#"{{"detail": "{TOKEN} {QUERY_CANARY}", "pad": "{pad}", "token": "{TOKEN}"}}"#);
            let head =
                format!("HTTP/1.1 {status} No\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            connection.request().await;
            // Whoever has read enough may hang up.
            drop(connection.write(format!("{head}connection: close\r\n\r\n{body}")).await);
        })
        .await;
        let call = plain_client(&server.url()).post("users.create", "/users/", &[]).query("q", QUERY_CANARY);
        let error = call.secret(&QUERY_CANARY.into()).send_unit().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let shown = format!("{error:?} {error} {}", error.chain().join(" "));
        assert!(shown.len() < 8 << 10, "{status} {length}: {} bytes", shown.len());
        assert_silent(&error);
    }
}
