//! A transport behind a socket, spoken to byte by byte.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};
use waldur_examples::serve::{MAX_BODY, Server, serve};
use waldur_sdk::rest::{HttpTransport, TransportError, TransportErrorKind};

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SOON: Duration = Duration::from_secs(10);

/// Tells what arrived; `/broken` fails, `/slow` waits for a sign.
#[derive(Clone, Default)]
struct Echo {
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
    arrived: Arc<Notify>,
    sign: Arc<Notify>,
    given_up: Arc<AtomicUsize>,
}

struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl HttpTransport for Echo {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let line = format!("{} {} {}", request.method(), request.uri(), request.body().len());
        let path = request.uri().path().to_owned();
        let head = request.method() == Method::HEAD;
        self.seen.lock().unwrap().push(request);
        self.arrived.notify_one();
        if path == "/broken" {
            return Err(TransportError::new(TransportErrorKind::Interrupted));
        }
        if path == "/slow" {
            let guard = GivenUp(Arc::clone(&self.given_up));
            self.sign.notified().await;
            std::mem::forget(guard);
        }
        let mut answer = Response::builder().header("x-echo", "yes").header(header::CONNECTION, "close, x-echo");
        // Wrong on purpose for a body, and the point of HEAD.
        answer = answer.header(header::CONTENT_LENGTH, "4711");
        Ok(answer.body(if head { Bytes::new() } else { line.into() }).unwrap())
    }
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

/// Reads until `end` has come, or the connection ends.
async fn read(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = tokio::time::timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap_or(0);
        text.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&text);
        if count == 0 || (!end.is_empty() && text.contains(end)) {
            return text.into_owned();
        }
    }
}

#[tokio::test]
async fn requests_go_through_on_one_connection() {
    let echo = Echo::default();
    let server = serve(echo.clone(), ANY_PORT).await.unwrap();
    assert_eq!(server.url(), format!("http://{}/", server.address()));
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /a/b?c=%20 HTTP/1.1\r\nHost: api.example.org:8080\r\nX-One: 1\r\n\r\n").await.unwrap();
    let answer = read(&mut stream, "GET http://api.example.org:8080/a/b?c=%20 0").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\r\nx-echo: yes\r\n"), "{answer}");
    assert!(answer.contains("content-length: 43\r\n") && !answer.contains("4711"), "{answer}");
    assert!(!answer.contains("connection:"), "{answer}");

    stream
        .write_all(b"PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        .await
        .unwrap();
    read(&mut stream, "PUT http://h/x 5").await;
    let seen = echo.seen.lock().unwrap();
    assert_eq!(
        (seen.len(), &seen[0].headers()["x-one"], &seen[0].headers()["host"]),
        (2, &"1".parse().unwrap(), &"api.example.org:8080".parse().unwrap())
    );
    assert_eq!(seen[1].body(), "abcde");
    assert!(!seen[1].headers().contains_key(header::TRANSFER_ENCODING));
}

#[tokio::test]
async fn head_keeps_the_length_of_what_does_not_come() {
    let server = serve(Echo::default(), ANY_PORT).await.unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(b"HEAD /object HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = read(&mut stream, "").await;
    assert!(answer.contains("content-length: 4711\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn what_cannot_be_a_request_never_reaches_the_transport() {
    let echo = Echo::default();
    let server = serve(echo.clone(), ANY_PORT).await.unwrap();
    let too_long = format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    let cases = [
        ("nonsense\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n", "HTTP/1.1 400 "),
        (too_long.as_str(), "HTTP/1.1 413 "),
    ];
    for (sent, expected) in cases {
        let mut stream = connect(&server).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = read(&mut stream, "\r\n\r\n").await;
        assert!(answer.starts_with(expected), "{answer:?}");
    }

    // Nobody says how long this will be. The refusal may get lost, as the server does not read on.
    let mut stream = connect(&server).await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", MAX_BODY + 1, " ".repeat(MAX_BODY + 1));
    let _sent = stream.write_all(chunk.as_bytes()).await;
    let answer = read(&mut stream, "\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
    assert!(echo.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_transport_error_closes_the_connection_without_an_answer() {
    let server = serve(Echo::default(), ANY_PORT).await.unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /broken HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut stream, "").await, "");
    let mut other = connect(&server).await;
    other.write_all(b"GET /fine HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    read(&mut other, "GET http://h/fine 0").await;
}

#[tokio::test]
async fn a_client_that_goes_away_drops_its_request() {
    let echo = Echo::default();
    let server = serve(echo.clone(), ANY_PORT).await.unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    echo.arrived.notified().await;
    drop(stream);
    tokio::time::timeout(SOON, async {
        while echo.given_up.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert!(server.stop(SOON).await);
}

#[tokio::test]
async fn stopping_lets_requests_finish_and_accepts_no_more() {
    let echo = Echo::default();
    let server = serve(echo.clone(), ANY_PORT).await.unwrap();
    let address = server.address();
    let mut stream = connect(&server).await;
    let mut idle = connect(&server).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    echo.arrived.notified().await;
    let stopping = tokio::spawn(server.stop(SOON));
    assert_eq!(read(&mut idle, "").await, "", "an idle connection is closed");
    assert!(TcpStream::connect(address).await.is_err());
    echo.sign.notify_one();
    let answer = read(&mut stream, "").await;
    assert!(answer.contains("GET http://h/slow 0"), "{answer}");
    assert!(stopping.await.unwrap());
}

#[tokio::test]
async fn stopping_breaks_off_what_does_not_finish() {
    let echo = Echo::default();
    let server = serve(echo.clone(), ANY_PORT).await.unwrap();
    let mut stream = connect(&server).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    echo.arrived.notified().await;
    assert!(!server.stop(Duration::ZERO).await);
    assert_eq!(read(&mut stream, "").await, "");
    assert_eq!(echo.given_up.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn dropping_the_server_breaks_everything_off() {
    let server = serve(Echo::default(), ANY_PORT).await.unwrap();
    let mut stream = connect(&server).await;
    drop(server);
    assert_eq!(read(&mut stream, "").await, "");
}
