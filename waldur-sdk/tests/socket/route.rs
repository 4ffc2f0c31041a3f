//! Ways that are not straight: redirects and proxies (faults.md §4.5; security.md S15, S21).

use crate::support::{
    OK, PROXY_PASSWORD, QUERY_CANARY, Server, assert_silent, client, http, options, plain_client, resolving,
    tls::{Authority, NAME},
};
use http::{HeaderName, HeaderValue, Method};
use secrecy::SecretString;
use waldur_sdk::{
    Effect, ErrorClass, ErrorKind,
    rest::{HttpOptions, Proxy, ReqwestTransport, RetryPolicy},
};

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn f065_redirect_to_another_host_is_an_error_and_that_host_hears_nothing() {
    let other = Server::answering(OK).await;
    let server = Server::answering(redirect(302, &other.url())).await;
    let error = plain_client(&server.url()).get("users.get", "/users/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Redirected, ErrorClass::NotReady));
    assert_eq!((error.status().unwrap().as_u16(), error.attempts()), (302, 1));
    assert_eq!((server.seen().requests.len(), other.seen().connections), (1, 0));
    assert_silent(&error);
}

#[tokio::test]
async fn f066_redirected_create_is_no_read() {
    for status in [301, 302, 303] {
        let server = Server::answering(redirect(status, "/users/1/")).await;
        let call = plain_client(&server.url()).post("users.create", "/users/", &[]).json(&[1]);
        let error = call.send_json::<serde_json::Value>().await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Redirected, status));
        assert_eq!(error.effect(), Effect::Unknown, "303 may mean that it was carried out");
        let seen = server.seen();
        assert_eq!(seen.requests.len(), 1);
        assert_eq!(seen.requests[0].line(), "POST /users/ HTTP/1.1");
    }
}

#[tokio::test]
async fn f067_redirect_within_the_origin_is_an_error_too() {
    for status in [307, 308] {
        let server = Server::answering(redirect(status, "/users/")).await;
        let error = plain_client(&server.url()).put("users.set", "/users", &[]).json(&[1]).send().await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Redirected, status));
        assert_eq!(server.seen().requests.len(), 1);
    }
}

#[tokio::test]
async fn f068_redirect_from_https_to_http_is_refused() {
    let authority = Authority::new("root");
    let plain = Server::answering(OK).await;
    let answer = redirect(301, &plain.url_as(NAME));
    let acceptor = authority.server().acceptor();
    let secure = Server::start_tls(
        move |_| acceptor.clone(),
        move |mut connection| {
            let answer = answer.clone();
            async move { connection.answer_all(answer).await }
        },
    )
    .await;
    let options = options().with_ca_certificates(&authority.pem());
    let client = client(http(&options.with_resolver(resolving(secure.address))), &secure.url_as(NAME));
    let error = client.get("info", "/", &[]).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redirected);
    assert_eq!((secure.seen().requests.len(), plain.seen().connections), (1, 0));
}

#[tokio::test]
async fn sec15_no_redirect_of_any_kind_carries_a_credential_away() {
    let other = Server::answering(OK).await;
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let server = Server::answering(redirect(status, &other.url())).await;
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let mut call = plain_client(&server.url()).call(method, "call", "/", &[]);
            for name in ["x-auth-token", "x-subject-token", "private-token", "x-amz-security-token", "cookie"] {
                call = call.header(HeaderName::from_static(name), HeaderValue::from_static("c4n4ry-token"));
            }
            let error = call.send().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Redirected);
            assert_silent(&error);
        }
        assert_eq!(server.seen().requests.len(), 3);
    }
    assert_eq!(other.seen().connections, 0);
}

fn proxied(proxy: &Server) -> HttpOptions {
    let proxy = Proxy::new(&proxy.url()).unwrap();
    options().with_proxy(proxy.with_credentials("agent", SecretString::from(PROXY_PASSWORD)))
}

#[tokio::test]
async fn f071_proxy_that_refuses_is_a_typed_error_without_its_password() {
    let page = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 15\r\n\r\n<html>no</html>";
    let login = "HTTP/1.1 407 Login\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
    for refusal in [page, login] {
        let proxy = Server::answering(refusal).await;
        let client = client(http(&proxied(&proxy)), &format!("https://{NAME}/"));
        let error = client.post("call", "/", &[]).query("key", QUERY_CANARY).send().await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Proxy, ErrorClass::NotReady), "{error:?}");
        assert_eq!((error.effect(), error.attempts()), (Effect::NotApplied, 1));
        assert_silent(&error);
        let seen = proxy.seen();
        assert_eq!(seen.requests[0].line(), format!("CONNECT {NAME}:443 HTTP/1.1"));
        assert_eq!(seen.requests[0].header("proxy-authorization"), Some("Basic YWdlbnQ6YzRuNHJ5LXByb3h5"));
        assert_eq!(seen.requests[0].header("authorization"), None, "the server's credential is not for the proxy");
    }
    // Plain http has no tunnel; the proxy answers in the server's place.
    let proxy = Server::answering(login).await;
    let client = client(http(&proxied(&proxy)), &format!("http://{NAME}/"));
    let error = client.get("call", "/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Proxy, 1));
    assert_eq!(proxy.seen().requests[0].line(), format!("GET http://{NAME}/ HTTP/1.1"));
    assert_silent(&error);
}

#[tokio::test]
async fn unreachable_proxy_is_a_proxy_error_and_a_silent_one_a_connect_error() {
    let gone = Server::answering(OK).await;
    let options = proxied(&gone);
    drop(gone);
    // The port closes when the runtime gets to it.
    tokio::task::yield_now().await;
    for url in ["https://storage.test/", "http://storage.test/"] {
        let error = client(http(&options), url).get("call", "/", &[]).send().await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Proxy, Effect::NotApplied), "{error:?}");
        assert_silent(&error);
    }
    let silent = Server::start(|mut connection| async move { connection.hang().await }).await;
    let options = proxied(&silent).with_connect_timeout(std::time::Duration::from_millis(30));
    let client = client(http(&options).with_retry(RetryPolicy::none()), "https://storage.test/");
    let error = client.get("call", "/", &[]).send().await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Connect, Effect::NotApplied));
}

#[tokio::test]
async fn tunnel_ends_at_the_server_whose_certificate_is_verified() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    for (authority, accepted) in [(&ours, true), (&theirs, false)] {
        let acceptor = authority.server().acceptor();
        let server = Server::start_tls(
            move |_| acceptor.clone(),
            |mut connection| async move { connection.answer_all(OK).await },
        )
        .await;
        let target = server.address;
        let proxy = Server::start(move |mut connection| async move {
            connection.request().await;
            connection.write("HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
            connection.tunnel(target).await;
        })
        .await;
        let options = proxied(&proxy).with_ca_certificates(&ours.pem());
        let outcome = client(http(&options), &format!("https://{NAME}/")).get("info", "/", &[]).send_unit().await;
        assert_eq!(outcome.err().map(|error| error.kind()), (!accepted).then_some(ErrorKind::Tls));
        let seen = server.seen();
        assert_eq!(seen.requests.len(), usize::from(accepted));
        assert!(seen.requests.iter().all(|request| request.header("proxy-authorization").is_none()));
    }
}

#[tokio::test]
async fn socks_proxy_gets_the_name_and_its_own_credentials() {
    let server = Server::answering(OK).await;
    let target = server.address;
    let proxy = Server::start(move |mut connection| async move {
        // RFC 1928: version 5, the ways of logging in; then RFC 1929; then CONNECT to a name.
        let greeting = connection.read(2).await;
        assert!(connection.read(greeting[1].into()).await.contains(&2));
        connection.write([5, 2]).await.unwrap();
        let login = format!("\x01\x05agent\x0c{PROXY_PASSWORD}");
        assert_eq!(connection.read(login.len()).await, login.as_bytes());
        connection.write([1, 0]).await.unwrap();
        let request = [b"\x05\x01\x00\x03\x0c", NAME.as_bytes(), &[0, 80]].concat();
        assert_eq!(connection.read(request.len()).await, request);
        connection.write([5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        connection.tunnel(target).await;
    })
    .await;
    let url = format!("socks5h://agent:{PROXY_PASSWORD}@{}", proxy.address);
    let options = options().with_proxy(Proxy::new(&url).unwrap());
    let client = client(http(&options), &format!("http://{NAME}/"));
    client.get("info", "/", &[]).send_unit().await.unwrap();
    assert_eq!(server.seen().requests.len(), 1);
}

#[tokio::test]
async fn f072_excepted_hosts_are_reached_directly() {
    let (proxy, server) = (Server::answering(OK).await, Server::answering(OK).await);
    let rule = Proxy::new(&proxy.url()).unwrap().with_no_proxy([".internal.test", "127.0.0.0/8"]);
    let options = options().with_proxy(rule).with_resolver(resolving(server.address));
    let http = http(&options);
    for (url, direct) in [
        (server.url_as("s3.internal.test"), true),
        (server.url(), true),
        (server.url_as("notinternal.test"), false),
        (server.url_as(NAME), false),
    ] {
        let before = (proxy.seen().requests.len(), server.seen().requests.len());
        // The names resolve to the server's port, so the proxy is found by its address.
        client(http.clone(), &url).get("info", "/", &[]).send_unit().await.unwrap();
        let after = (proxy.seen().requests.len(), server.seen().requests.len());
        let expected = if direct { (before.0, before.1 + 1) } else { (before.0 + 1, before.1) };
        assert_eq!(after, expected, "{url}");
    }
}

#[tokio::test]
async fn sec21_proxies_come_from_the_caller_and_from_the_environment_only_if_asked_for() {
    const TEST: &str = "route::sec21_proxies_come_from_the_caller_and_from_the_environment_only_if_asked_for";
    if let Ok(server) = std::env::var("WALDUR_SDK_TEST_SERVER") {
        let explicit = Proxy::new(&std::env::var("WALDUR_SDK_TEST_PROXY").unwrap()).unwrap();
        let direct = options();
        let environment = options().with_environment_proxies();
        let explicit = environment.clone().with_proxy(explicit);
        for (options, expected) in [(direct, "server"), (environment, "environment"), (explicit, "explicit")] {
            let answer: String = client(http(&options), &server).get("info", "/", &[]).send_json().await.unwrap();
            assert_eq!(answer, expected);
        }
        return;
    }
    let named = |name: &str| {
        Server::answering(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n\"{name}\"", name.len() + 2))
    };
    let (server, environment, explicit) = (named("server").await, named("environment").await, named("explicit").await);
    let url = |server: &Server| format!("http://agent:{PROXY_PASSWORD}@{}", server.address);
    let mut variables = vec![
        ("WALDUR_SDK_TEST_SERVER", server.url()),
        ("WALDUR_SDK_TEST_PROXY", url(&explicit)),
        ("NO_PROXY", String::new()),
        ("no_proxy", String::new()),
    ];
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        variables.push((name, url(&environment)));
    }
    crate::support::run_in_child(TEST, variables).await;
    for proxy in [&environment, &explicit] {
        let seen = proxy.seen();
        assert_eq!(seen.requests.len(), 1);
        assert_eq!(seen.requests[0].header("proxy-authorization"), Some("Basic YWdlbnQ6YzRuNHJ5LXByb3h5"));
    }
    assert_eq!(server.seen().requests.len(), 1);
    assert_eq!(server.seen().requests[0].header("proxy-authorization"), None);

    // The password is shown by nothing that holds it.
    let options = options().with_proxy(Proxy::new(&url(&explicit)).unwrap());
    let transport = ReqwestTransport::new(&options).unwrap();
    let shown = format!("{options:?} {options:#?} {transport:?} {:?}", options.proxy);
    assert!(!shown.contains(PROXY_PASSWORD) && shown.contains("[redacted]"), "{shown}");
    for wrong in [format!("ftp://agent:{PROXY_PASSWORD}@h"), format!("//agent:{PROXY_PASSWORD}@h")] {
        let error = Proxy::new(&wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert_silent(&error);
    }
}
