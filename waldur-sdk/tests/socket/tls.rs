//! Certificates and protocol versions, with every TLS library of this build (faults.md §4.2; security.md S39 to S41).

use std::{any::Any, sync::Arc};

use crate::support::{
    Connection, OK, Server, assert_silent, client, environment, http, resolving, shown,
    tls::{Authority, Identity, NAME},
};
use rcgen::{SanType, date_time_ymd};
use rustls::{
    ProtocolVersion,
    crypto::CryptoProvider,
    server::{ServerSessionMemoryCache, StoresServerSessions},
    version,
};
use waldur_sdk::{
    Effect, Error, ErrorClass, ErrorKind,
    rest::{Http, HttpOptions, ReqwestTransport, TlsBackend},
};

/// One answer per connection, so that every call shakes hands.
const OK_CLOSE: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";

async fn serving(identity: &Identity) -> Server {
    let acceptor = identity.acceptor();
    Server::start_tls(move |_| acceptor.clone(), |mut connection| async move { connection.answer_all(OK_CLOSE).await })
        .await
}

/// Trusts `authority` alone, so that no test depends on what is installed.
fn trusting(authority: &Authority, backend: TlsBackend) -> HttpOptions {
    HttpOptions::default().with_ca_certificates(&authority.pem()).without_system_roots().with_tls_backend(backend)
}

async fn call(options: &HttpOptions, server: &Server) -> Result<(), Error> {
    let options = options.clone().with_resolver(resolving(server.address));
    client(http(&options), &server.url_as(NAME)).get("info", "/", &[]).send_unit().await
}

/// Refused for good at the first attempt, with nothing sent. rustls says `reason`; other libraries have other words.
fn assert_refused(error: &Error, backend: TlsBackend, reason: &str) {
    assert_eq!((error.kind(), error.class()), (ErrorKind::Tls, ErrorClass::NotReady), "{backend:?}: {error:?}");
    assert_eq!((error.effect(), error.attempts()), (Effect::NotApplied, 1), "{backend:?}");
    if format!("{backend:?}") != "Native" {
        assert!(shown(error).contains(reason), "{backend:?}: no {reason} in {error:?}");
    }
    assert_silent(error);
}

#[tokio::test]
async fn f013_certificate_out_of_its_time_is_refused() {
    let authority = Authority::new("root");
    let expired = authority.issue(|params| params.not_after = date_time_ymd(2021, 1, 1));
    let early = authority.issue(|params| params.not_before = date_time_ymd(2119, 1, 1));
    for &backend in TlsBackend::BUILT_IN {
        for (identity, reason) in [(&expired, "expired"), (&early, "not valid yet")] {
            let server = serving(identity).await;
            assert_refused(&call(&trusting(&authority, backend), &server).await.unwrap_err(), backend, reason);
            assert_eq!((server.seen().connections, server.seen().requests.len()), (1, 0));
        }
    }
}

#[tokio::test]
async fn f014_certificate_for_another_name_is_refused() {
    let authority = Authority::new("root");
    let other = authority.issue(|params| {
        params.subject_alt_names = vec![SanType::DnsName("other.test".try_into().unwrap())];
    });
    for &backend in TlsBackend::BUILT_IN {
        let server = serving(&other).await;
        let error = call(&trusting(&authority, backend), &server).await.unwrap_err();
        assert_refused(&error, backend, "not valid for name");
        assert_eq!(server.seen().requests.len(), 0);
    }
}

#[tokio::test]
async fn f015_unknown_authority_is_refused_until_it_is_configured() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = serving(&ours.server()).await;
    for &backend in TlsBackend::BUILT_IN {
        let sent = server.seen().requests.len();
        let error = call(&trusting(&theirs, backend), &server).await.unwrap_err();
        assert_refused(&error, backend, "UnknownIssuer");
        assert_eq!(server.seen().requests.len(), sent);
        // A bundle of both, the first without a line end; by name and by address.
        let theirs = theirs.pem();
        let options = HttpOptions::default().with_ca_certificates(theirs.trim_ascii_end());
        let options = options.with_ca_certificates(&ours.pem()).with_tls_backend(backend);
        let transport = ReqwestTransport::new(&options.with_resolver(resolving(server.address))).unwrap();
        assert_eq!(transport.verifies_tls(), Some(true));
        let http = Http::new(transport).with_environment(environment());
        for url in [server.url_as(NAME), server.url()] {
            client(http.clone(), &url).get("info", "/", &[]).send_unit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn f016_server_that_stops_at_tls_1_1_is_refused() {
    let authority = Authority::new("root");
    // A ServerHello that picks TLS 1.1 and RSA_WITH_AES_128_CBC_SHA.
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    for &backend in TlsBackend::BUILT_IN {
        let hello = hello.clone();
        let server = Server::start(move |mut connection| {
            let hello = hello.clone();
            async move {
                connection.read(64).await;
                connection.write(hello).await.unwrap();
                connection.hang().await;
            }
        })
        .await;
        let options = trusting(&authority, backend).with_resolver(resolving(server.address));
        let client = client(http(&options), &format!("https://{NAME}:{}/", server.address.port()));
        let error = client.get("info", "/", &[]).send().await.unwrap_err();
        assert_refused(&error, backend, "ServerDoesNotSupportTls12Or13");
    }
}

#[tokio::test]
async fn f017_plain_http_where_https_was_configured_is_no_reason_to_step_down() {
    let authority = Authority::new("root");
    for &backend in TlsBackend::BUILT_IN {
        let server = Server::start(|mut connection| async move {
            connection.read(8).await;
            connection.write("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            connection.hang().await;
        })
        .await;
        let client = client(http(&trusting(&authority, backend)), &format!("https://{}/", server.address));
        let error = client.get("info", "/", &[]).send().await.unwrap_err();
        assert_refused(&error, backend, "InvalidContentType");
        assert_eq!(server.seen().connections, 1, "no second try without TLS");
    }
}

#[tokio::test]
async fn f018_missing_intermediate_is_refused_and_the_chain_named() {
    let root = Authority::new("root");
    let intermediate = root.intermediate("intermediate");
    let (cut, whole) = (intermediate.server(), intermediate.server().with(intermediate.der()));
    for &backend in TlsBackend::BUILT_IN {
        let server = serving(&cut).await;
        let error = call(&trusting(&root, backend), &server).await.unwrap_err();
        assert_refused(&error, backend, "UnknownIssuer");
        call(&trusting(&root, backend), &serving(&whole).await).await.unwrap();
    }
}

#[tokio::test]
async fn f019_certificate_that_changes_is_verified_anew() {
    for &backend in TlsBackend::BUILT_IN {
        let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
        // Renewed under the same authority, then taken over by somebody else.
        // Whoever took over has the sessions as well, and would go on with one: a client that resumes asks for no certificate.
        let sessions: Arc<dyn StoresServerSessions> = ServerSessionMemoryCache::new(32);
        let acceptors =
            [ours.server(), ours.server(), theirs.server()].map(|identity| identity.acceptor_resuming(&sessions));
        let server = Server::start_tls(
            move |number| acceptors[number.saturating_sub(1)].clone(),
            |mut connection| async move { connection.answer_all(OK_CLOSE).await },
        )
        .await;
        let options = trusting(&ours, backend).with_resolver(resolving(server.address));
        let client = client(http(&options), &server.url_as(NAME));
        client.get("info", "/", &[]).send_unit().await.unwrap();
        client.get("info", "/", &[]).send_unit().await.unwrap();
        let error = client.get("info", "/", &[]).send_unit().await.unwrap_err();
        assert_refused(&error, backend, "UnknownIssuer");
        assert_eq!((server.seen().connections, server.seen().requests.len()), (3, 2));
    }
}

#[tokio::test]
async fn sec39_tls_1_3_is_preferred_1_2_accepted_and_no_provider_installed() {
    let authority = Authority::new("root");
    let identity = authority.server();
    for &backend in TlsBackend::BUILT_IN {
        for (versions, expected) in [
            (&[&version::TLS12, &version::TLS13][..], ProtocolVersion::TLSv1_3),
            (&[&version::TLS12][..], ProtocolVersion::TLSv1_2),
        ] {
            let acceptor = identity.acceptor_for(versions);
            let server = Server::start_tls(
                move |_| acceptor.clone(),
                move |mut connection| async move {
                    assert_eq!(connection.tls_version(), Some(expected));
                    connection.answer_all(OK).await;
                },
            )
            .await;
            call(&trusting(&authority, backend), &server).await.unwrap();
        }
    }
    assert!(CryptoProvider::get_default().is_none(), "the choice of a provider is the program's");
}

/// HTTP/2 has ways of failing of its own (GOAWAY, REFUSED_STREAM, CANCEL: rows 9 and 10); they cannot come where it is
/// never agreed on.
#[tokio::test]
async fn f009_f010_a_server_that_prefers_http_2_is_spoken_to_in_http_1() {
    let authority = Authority::new("root");
    let acceptor = authority.server().acceptor_offering(&[b"h2", b"http/1.1"]);
    for &backend in TlsBackend::BUILT_IN {
        let acceptor = acceptor.clone();
        let answering = |mut connection: Connection| async move { connection.answer_all(OK_CLOSE).await };
        let server = Server::start_tls(move |_| acceptor.clone(), answering).await;
        call(&trusting(&authority, backend), &server).await.unwrap();
        assert_eq!(server.seen().requests[0].line(), "GET / HTTP/1.1", "{backend:?}");
    }
}

// Elsewhere the system's authorities are no file.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn sec40_authorities_are_added_to_the_systems_or_replace_them() {
    const TEST: &str = "tls::sec40_authorities_are_added_to_the_systems_or_replace_them";
    if let Ok(system) = std::env::var("WALDUR_SDK_TEST_SYSTEM_URL") {
        let private = std::env::var("WALDUR_SDK_TEST_PRIVATE_URL").unwrap();
        let pem = std::env::var("WALDUR_SDK_TEST_PRIVATE_CA").unwrap();
        for &backend in TlsBackend::BUILT_IN {
            let alone = HttpOptions::default().with_tls_backend(backend);
            let added = alone.clone().with_ca_certificates(pem.as_bytes());
            let replaced = added.clone().without_system_roots();
            let table = [
                (&alone, &system, true),
                (&alone, &private, false),
                (&added, &system, true),
                (&added, &private, true),
                (&replaced, &system, false),
                (&replaced, &private, true),
            ];
            for (row, (options, url, accepted)) in table.into_iter().enumerate() {
                let outcome = client(http(options), url).get("info", "/", &[]).send_unit().await;
                let failure = outcome.err().map(|error| error.kind());
                assert_eq!(failure, (!accepted).then_some(ErrorKind::Tls), "{backend:?}, row {row}");
            }
        }
        return;
    }
    let (system, private) = (Authority::new("system"), Authority::new("private"));
    let (system_server, private_server) = (serving(&system.server()).await, serving(&private.server()).await);
    let store = format!("{}/sec40-system-roots.pem", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&store, system.pem()).unwrap();
    // Whatever lies in it is read and tried as a certificate, so nothing of other tests may.
    let empty = format!("{}/sec40-no-roots", env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&empty).unwrap();
    let variables = vec![
        ("SSL_CERT_FILE", store),
        // OpenSSL looks into both.
        ("SSL_CERT_DIR", empty),
        ("WALDUR_SDK_TEST_SYSTEM_URL", system_server.url()),
        ("WALDUR_SDK_TEST_PRIVATE_URL", private_server.url()),
        ("WALDUR_SDK_TEST_PRIVATE_CA", String::from_utf8(private.pem()).unwrap()),
    ];
    crate::support::run_in_child(TEST, variables).await;
    let calls = TlsBackend::BUILT_IN.len();
    assert_eq!((system_server.seen().requests.len(), private_server.seen().requests.len()), (2 * calls, 2 * calls));
}

#[tokio::test]
async fn unusable_certificates_are_a_config_error_that_names_the_option() {
    for &backend in TlsBackend::BUILT_IN {
        let options = HttpOptions::default().with_tls_backend(backend);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
        for options in [
            options.clone().with_ca_certificates(b"no certificate at all"),
            options.clone().with_ca_certificates(broken.as_bytes()).without_system_roots(),
            options.clone().without_system_roots(),
        ] {
            let error = ReqwestTransport::new(&options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{backend:?}");
            assert!(error.to_string().contains("ca_certificates"), "{error}");
        }
    }
}

/// Stands in where the library has no such method: inherent methods come first.
#[allow(dead_code)]
trait Absent: Sized {
    fn danger_accept_invalid_certs(self) -> NotThere {
        NotThere
    }
}

struct NotThere;

impl Absent for HttpOptions {}

#[tokio::test]
async fn sec41_verification_can_be_switched_off_only_with_the_feature_and_says_so() {
    let asked = HttpOptions::default().danger_accept_invalid_certs();
    let asked: &dyn Any = &asked;
    let sayable = cfg!(feature = "danger-accept-invalid-certs");
    assert_eq!((asked.is::<HttpOptions>(), asked.is::<NotThere>()), (sayable, !sayable));
    assert!(HttpOptions::default().verifies_tls());
    assert!(HttpOptions::default().verifying(true).unwrap().verifies_tls());
    match HttpOptions::default().verifying(false) {
        Ok(options) => assert!(sayable && !options.verifies_tls() && options.verifying(true).unwrap().verifies_tls()),
        Err(error) => assert!(!sayable && error.kind() == ErrorKind::Config, "{error}"),
    }
    assert_eq!(ReqwestTransport::new(&HttpOptions::default()).unwrap().verifies_tls(), Some(true));
    let Some(unverified) = asked.downcast_ref::<HttpOptions>() else { return };
    let server =
        serving(&Authority::new("nobody's").issue(|params| params.not_after = date_time_ymd(2021, 1, 1))).await;
    for &backend in TlsBackend::BUILT_IN {
        let unverified = unverified.clone().with_tls_backend(backend);
        call(&unverified, &server).await.unwrap();
        let transport = ReqwestTransport::new(&unverified).unwrap();
        assert_eq!((unverified.verifies_tls(), transport.verifies_tls()), (false, Some(false)));
        assert!(format!("{transport:?}").contains("verifies_tls: Some(false)"));
        assert!(format!("{unverified:?}").contains("verifies_tls: false"));
        // The feature alone changes nothing.
        let error = call(&HttpOptions::default().with_tls_backend(backend), &server).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Tls);
    }
}
