//! Names, connections, time limits, and what leaves on them (faults.md §4.1, §4.3; security.md S20, S22).
//!
//! Rows 9 and 10 concern HTTP/2, which the transport does not speak: `tls.rs` shows that it never agrees to.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::{
    OK, QUERY_CANARY, Server, TOKEN, assert_silent, client, environment, http, options, plain_client, resolving, shown,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use secrecy::SecretString;
use tokio::net::{TcpSocket, TcpStream};
use waldur_sdk::{
    Effect, ErrorClass, ErrorKind,
    rest::{
        Anonymous, BaseUrl, Environment, Http, HttpOptions, HttpTransport, PlainHttp, RequestMeta, ReqwestTransport,
        RestClient, RetryPolicy, StaticHeader, TransportErrorKind,
    },
};

const SHORT: Duration = Duration::from_millis(50);

fn unused() -> (TcpSocket, SocketAddr) {
    // Bound and not listening: nobody else gets the port, and connecting to it is refused.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[tokio::test]
async fn f001_unknown_host_is_a_retried_connect_error_that_names_the_host() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let options = options().with_resolver(move |host: &str| -> io::Result<Vec<SocketAddr>> {
        assert_eq!(host, "storage.test");
        count.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::new(io::ErrorKind::NotFound, "no such host"))
    });
    let client = client(http(&options), "http://storage.test/");
    let error = client.post("users.create", "/users/", &[]).query("key", QUERY_CANARY).send().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Connect, ErrorClass::Transient));
    assert_eq!(error.effect(), Effect::NotApplied);
    assert_eq!((error.attempts(), asked.load(Ordering::Relaxed)), (4, 4));
    assert!(error.to_string().contains("http://storage.test/users/"), "{error}");
    assert!(shown(&error).contains("no such host"), "{error:?}");
    assert_silent(&error);
}

#[tokio::test]
async fn f002_name_that_resolves_at_the_third_try_is_found_unseen() {
    let server = Server::answering(OK).await;
    let (address, asked) = (server.address, AtomicUsize::new(0));
    let options = options().with_resolver(move |_: &str| match asked.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Err(io::Error::other("temporary failure in name resolution")),
        _ => Ok(vec![address]),
    });
    client(http(&options), "http://storage.test/").post("users.create", "/users/", &[]).send_unit().await.unwrap();
    assert_eq!(server.seen().requests.len(), 1);
}

#[tokio::test]
async fn f003_new_connections_follow_a_name_to_its_new_address() {
    let (first, second) = (Server::answering(OK).await, Server::answering(OK).await);
    let address = Arc::new(Mutex::new(first.address));
    let found = address.clone();
    let options = options().with_resolver(move |_: &str| Ok(vec![*found.lock().unwrap()]));
    let client = client(http(&options), "http://storage.test/");
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    assert_eq!(first.seen().requests.len(), 1);
    *address.lock().unwrap() = second.address;
    drop(first);
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    assert_eq!(second.seen().requests.len(), 1);
}

#[tokio::test]
async fn f004_dead_address_of_a_name_is_passed_over() {
    let server = Server::answering(OK).await;
    let (_held, dead) = unused();
    let addresses = vec![dead, server.address];
    let options = options().with_resolver(move |_: &str| Ok(addresses.clone()));
    let http = http(&options).with_retry(RetryPolicy::none());
    client(http, "http://storage.test/").post("users.create", "/users/", &[]).send_unit().await.unwrap();
    assert_eq!(server.seen().requests.len(), 1);
}

#[tokio::test]
async fn f005_refused_connection_is_retried_even_for_a_create() {
    let (socket, address) = unused();
    let closed = Arc::new(Mutex::new(Some(socket)));
    let opened = Arc::new(Mutex::new(None));
    let limit = RestClient::DEFAULT_TIMEOUT;
    let (port, server) = (closed.clone(), opened.clone());
    // The pause between attempts is where the server comes up; it takes no time.
    let environment = Environment::default().with_random(|| u64::MAX).with_timer(move |pause: Duration| {
        if pause < limit
            && let Some(socket) = port.lock().unwrap().take()
        {
            let listener = socket.listen(8).unwrap();
            *server.lock().unwrap() = Some(Server::on(listener, |mut c| async move { c.answer_all(OK).await }));
        }
        async move {
            if pause >= limit {
                tokio::time::sleep(pause).await;
            }
        }
    });
    let http = Http::connect(&options()).unwrap().with_environment(environment);
    let client = client(http, &format!("http://{address}/"));
    client.post("users.create", "/users/", &[]).send_unit().await.unwrap();
    assert!(closed.lock().unwrap().is_none(), "the first attempt must have been refused");
    assert_eq!(opened.lock().unwrap().as_ref().unwrap().seen().requests.len(), 1);
}

#[tokio::test]
async fn f006_hanging_connect_ends_at_its_own_limit_with_nothing_sent() {
    let (socket, address) = unused();
    let _listener = socket.listen(1).unwrap();
    // Nobody accepts: once the queue is full, the kernel answers no further SYN.
    let mut queue = Vec::new();
    while let Ok(queued) = tokio::time::timeout(SHORT / 2, TcpStream::connect(address)).await {
        queue.push(queued.unwrap());
    }
    let options = options().with_connect_timeout(SHORT);
    let http = http(&options).with_retry(RetryPolicy::default().with_max_attempts(2));
    let client = client(http, &format!("http://{address}/"));
    let begin = std::time::Instant::now();
    let error = client.post("users.create", "/users/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.effect(), error.attempts()), (ErrorKind::Connect, Effect::NotApplied, 2));
    assert!(begin.elapsed() >= 2 * SHORT && begin.elapsed() < Duration::from_secs(5));
    assert_eq!(HttpOptions::default().connect_timeout, Duration::from_secs(10));
    assert_silent(&error);
}

#[tokio::test]
async fn f007_stale_kept_connection_is_replaced_for_reads_and_unknown_for_creates() {
    // Every connection serves one request, then takes a second one and closes without a word.
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.write(OK).await.unwrap();
        connection.request().await;
    })
    .await;
    let client = plain_client(&server.url());
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    let seen = server.seen();
    assert_eq!((seen.connections, seen.requests.len()), (2, 3), "one repeat, on a fresh connection");

    let error = client.post("users.create", "/users/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.effect(), error.attempts()), (ErrorKind::Transport, Effect::Unknown, 1));
    assert_eq!(server.seen().requests.len(), 4, "a create is not repeated");
    assert_silent(&error);
}

#[tokio::test]
async fn kept_connection_that_the_server_closed_earlier_is_replaced_before_anything_is_sent() {
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.write(OK).await.unwrap();
    })
    .await;
    let client = client(http(&options()).with_retry(RetryPolicy::none()), &server.url());
    for _ in 0..3 {
        client.post("users.create", "/users/", &[]).send_unit().await.unwrap();
        // The end of the connection travels through the kernel.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!((server.seen().connections, server.seen().requests.len()), (3, 3));
}

#[tokio::test]
async fn f008_reset_within_the_request_body_is_unknown_for_a_create() {
    let server = Server::start(|mut connection| async move {
        connection.read(1024).await;
        connection.reset();
    })
    .await;
    let client = plain_client(&server.url());
    let body = Bytes::from(vec![b'x'; 16 << 20]);
    let create = client.post("users.create", "/users/", &[]).body("application/octet-stream", body.clone());
    let error = create.send().await.unwrap_err();
    assert_eq!((error.kind(), error.effect(), error.attempts()), (ErrorKind::Transport, Effect::Unknown, 1));
    assert_silent(&error);
    let write = client.put("users.set", "/users/", &[]).body("application/octet-stream", body);
    assert_eq!(write.send().await.unwrap_err().attempts(), 4, "an idempotent write is repeated");
    assert_eq!(server.seen().connections, 1 + 4);
}

#[tokio::test]
async fn f012_back_ends_that_share_a_transport_never_share_a_credential() {
    let (one, two) = (Server::answering(OK).await, Server::answering(OK).await);
    let http = http(&options());
    let with = |server: &Server, token: &str| {
        let base = BaseUrl::parse("api_url", &server.url(), PlainHttp::LoopbackOnly).unwrap();
        RestClient::new(http.clone(), base, StaticHeader::bearer(&SecretString::from(token)).unwrap())
    };
    // Two accounts on one server share its connections, which is sound only because each request names its account.
    let clients = [with(&one, "alpha"), with(&two, "beta"), with(&one, "gamma")];
    for client in clients.iter().chain(&clients) {
        client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    }
    let tokens = |server: &Server| -> Vec<String> {
        server.seen().requests.iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect()
    };
    assert_eq!(tokens(&one), ["Bearer alpha", "Bearer gamma", "Bearer alpha", "Bearer gamma"]);
    assert_eq!(tokens(&two), ["Bearer beta", "Bearer beta"]);
    assert_eq!((one.seen().connections, two.seen().connections), (1, 1));
}

#[tokio::test]
async fn sec20_credential_is_bound_to_the_origin_of_its_client() {
    let (ours, other) = (Server::answering(OK).await, Server::answering(OK).await);
    let http = http(&options());
    let client = client(http.clone(), &ours.url());
    // No argument and no query can name another host.
    let foreign = format!("//{}/", other.address);
    for argument in [foreign.as_str(), "..", "", "a/../../b"] {
        let error = client.get("users.get", "/users/{uid}", &[argument]).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }
    client.get("users.get", "/{uid}", &["@127.0.0.1:1"]).query("next", other.url()).send_unit().await.unwrap();
    assert_eq!(other.seen().connections, 0);
    assert_eq!(ours.seen().requests[0].header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));

    // The connections are shared, the credential is not: the transport has no default headers.
    let base = BaseUrl::parse("api_url", &other.url(), PlainHttp::LoopbackOnly).unwrap();
    RestClient::new(http, base, Anonymous).get("info", "/", &[]).send_unit().await.unwrap();
    assert_eq!(other.seen().requests[0].header("authorization"), None);
}

#[tokio::test]
async fn f024_head_that_comes_byte_by_byte_meets_the_attempt_limit() {
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.write("HTTP/1.1 200 OK\r\nx-slow: ").await.unwrap();
        connection.drip(b'a').await;
    })
    .await;
    let client = plain_client(&server.url()).with_timeout(SHORT);
    let error = client.post("users.create", "/users/", &[]).query("key", QUERY_CANARY).send().await.unwrap_err();
    assert_eq!((error.kind(), error.effect(), error.attempts()), (ErrorKind::Timeout, Effect::Unknown, 1));
    assert_silent(&error);
}

#[tokio::test]
async fn f025_body_that_comes_byte_by_byte_meets_the_attempt_limit() {
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        connection.drip(b' ').await;
    })
    .await;
    let client = plain_client(&server.url()).with_timeout(SHORT);
    let error = client.post("users.create", "/users/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    assert_silent(&error);
}

#[tokio::test]
async fn f026_continue_without_an_answer_meets_the_attempt_limit() {
    let server = Server::start(|mut connection| async move {
        connection.request().await;
        connection.write("HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        connection.hang().await;
    })
    .await;
    let client = plain_client(&server.url()).with_timeout(SHORT);
    let error = client.post("users.create", "/users/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 1));
    assert_silent(&error);
}

#[tokio::test]
async fn transport_keeps_the_time_limit_of_a_request_by_itself() {
    let server = Server::start(|mut connection| async move { connection.hang().await }).await;
    let transport = ReqwestTransport::new(&options()).unwrap();
    let mut request = Request::get(server.url()).body(Bytes::new()).unwrap();
    let mut meta = RequestMeta::new("users.get", "/");
    meta.timeout = SHORT;
    request.extensions_mut().insert(meta);
    let outcome = tokio::time::timeout(20 * SHORT, transport.send(request)).await.expect("no limit was kept");
    assert_eq!(outcome.unwrap_err().kind(), TransportErrorKind::Timeout);
}

#[tokio::test]
async fn request_that_cannot_be_sent_leaves_nothing() {
    let transport = ReqwestTransport::new(&options()).unwrap();
    for uri in ["ftp://127.0.0.1/", "/only/a/path"] {
        let request = Request::get(uri).body(Bytes::new()).unwrap();
        assert_eq!(transport.send(request).await.unwrap_err().kind(), TransportErrorKind::InvalidRequest, "{uri}");
    }
}

#[tokio::test]
async fn client_that_was_set_up_elsewhere_is_used_as_it_is() {
    let server = Server::answering(OK).await;
    let ready = reqwest::Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(crate::support::tls::trusting_nobody())
        .resolve("storage.test", server.address)
        .build()
        .unwrap();
    let transport = ReqwestTransport::from(ready);
    assert_eq!(transport.verifies_tls(), None);
    let http = Http::new(transport).with_environment(environment());
    client(http, "http://storage.test/").get("users.get", "/users/", &[]).send_unit().await.unwrap();
    assert_eq!(server.seen().requests.len(), 1);
}

#[tokio::test]
async fn what_leaves_is_what_was_asked_for_and_little_more() {
    let server = Server::answering(OK).await;
    let client = plain_client(&server.url());
    client.get("users.get", "/users/{uid}", &["a b%"]).query("q", "x y").send_unit().await.unwrap();
    client.post("users.create", "/users/", &[]).json(&[1]).send_unit().await.unwrap();
    let seen = server.seen();
    let headers = |index: usize| -> Vec<String> {
        let head = &seen.requests[index].head;
        let mut names: Vec<String> =
            head.lines().skip(1).filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase())).collect();
        names.sort();
        names
    };
    assert_eq!(seen.requests[0].line(), "GET /users/a%20b%25?q=x%20y HTTP/1.1");
    assert_eq!(headers(0), ["accept", "authorization", "cache-control", "host", "user-agent"]);
    assert_eq!(
        headers(1),
        ["accept", "authorization", "cache-control", "content-length", "content-type", "host", "user-agent"]
    );
    assert_eq!(seen.requests[1].body, b"[1]");
}

/// Answers every request and sets a cookie, in the ways that browsers would honour.
async fn cookie_setter() -> Server {
    Server::answering(
        "HTTP/1.1 200 OK\r\nset-cookie: sid=1; Path=/\r\nset-cookie: _csrf=2; HttpOnly; SameSite=Lax\r\n\
         content-length: 2\r\n\r\n{}",
    )
    .await
}

#[tokio::test]
async fn f075_cookie_of_a_first_answer_is_not_sent_with_a_write() {
    let server = cookie_setter().await;
    let client = plain_client(&server.url());
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    client.post("users.create", "/users/", &[]).send_unit().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.connections, 1, "the kept connection is what a session would hang on");
    assert_eq!(seen.requests[1].header("cookie"), None);
}

#[tokio::test]
async fn sec22_no_cookie_is_kept_by_any_client_of_a_transport() {
    let server = cookie_setter().await;
    let http = http(&options());
    for _ in 0..2 {
        let client = client(http.clone(), &server.url());
        let (_, headers) = client.get("info", "/", &[]).send_with_headers::<serde_json::Value>().await.unwrap();
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2, "the answer itself is complete");
        client.put("users.set", "/users/", &[]).send_unit().await.unwrap();
    }
    let seen = server.seen();
    assert_eq!(seen.requests.len(), 4);
    assert!(seen.requests.iter().all(|request| request.header("cookie").is_none()));

    // A caller who sets the header by hand gets what he asked for.
    let call = client(http, &server.url()).get("info", "/", &[]);
    let cookie = (HeaderName::from_static("cookie"), HeaderValue::from_static("sid=9"));
    call.header(cookie.0, cookie.1).send_unit().await.unwrap();
    assert_eq!(server.seen().requests[4].header("cookie"), Some("sid=9"));
}

#[tokio::test]
async fn resolver_is_asked_for_names_only() {
    let server = Server::answering(OK).await;
    let options = options().with_resolver(resolving("127.0.0.1:1".parse().unwrap()));
    client(http(&options), &server.url()).get("info", "/", &[]).send_unit().await.unwrap();
    client(http(&options), &server.url_as("storage.test")).get("info", "/", &[]).send_unit().await.unwrap();
    assert_eq!(server.seen().requests.len(), 2, "the port of the URL wins over that of the resolver");
}

#[cfg(unix)]
#[tokio::test]
async fn f011_no_descriptors_left_is_this_sides_trouble_and_passes() {
    const TEST: &str = "connection::f011_no_descriptors_left_is_this_sides_trouble_and_passes";
    let Ok(url) = std::env::var("WALDUR_SDK_TEST_EXHAUSTED_URL") else {
        let server = Server::answering(OK).await;
        let variables = vec![("WALDUR_SDK_TEST_EXHAUSTED_URL", server.url())];
        crate::support::run_in_child_with_descriptors(64, TEST, variables).await;
        assert_eq!(server.seen().requests.len(), 1, "only the call with descriptors to spare arrived");
        return;
    };
    let client = plain_client(&url);
    let taken: Vec<std::fs::File> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(taken.len() < 64, "the limit holds");
    let error = client.post("users.create", "/users/", &[]).send_unit().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Local, ErrorClass::Transient));
    assert_eq!((error.effect(), error.attempts()), (Effect::NotApplied, 4));
    assert!(error.to_string().contains("this side"), "{error}");
    drop(taken);
    client.post("users.create", "/users/", &[]).send_unit().await.unwrap();
}

/// A proxy between us and the server may hold an answer from before a change: it is told to ask the server anew. That is
/// half of the row: no answer of a server here carries a number that only grows, by which an older one could be told.
#[tokio::test]
async fn f073_no_read_is_content_with_a_stored_answer() {
    let server = Server::answering(OK).await;
    let client = plain_client(&server.url());
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    client.put("users.set", "/users/", &[]).send_unit().await.unwrap();
    client.get("users.get", "/users/", &[]).send_unit().await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.requests.len(), 3, "and nothing is stored on this side either");
    assert!(seen.requests.iter().all(|request| request.header("cache-control") == Some("no-cache")));
}
