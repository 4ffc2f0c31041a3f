//! A canary is found in every disguise that a log or an error may give it, and nowhere else.

use crate::toy::{Toy, named, request};
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use http::{Method, header};
use secrecy::ExposeSecret;
use waldur_sdk::{
    Error, ErrorKind,
    rest::HttpTransport,
    testing::{Canaries, LeakForm, Recording},
};

#[test]
fn canaries_differ_and_are_told_apart() {
    let canaries = Canaries::default();
    let minted: Vec<_> = (1..=12).map(|n| canaries.mint(&format!("secret {n}"))).collect();
    for (index, secret) in minted.iter().enumerate() {
        let secret = secret.expose_secret();
        assert!(secret.len() >= 40 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
        assert_eq!(canaries.find_in(secret).unwrap().name, format!("secret {}", index + 1));
    }
    assert_eq!(canaries.find_in("canary-13-0f1e canary canary-1"), None);
    assert_eq!(Canaries::default().find_in(minted[0].expose_secret()), None);
}

#[test]
fn a_leak_says_what_and_where() {
    let canaries = Canaries::default();
    let token = canaries.mint("api token");
    let text = format!("{} token={}", "é".repeat(100), token.expose_secret());
    let leak = canaries.find_in(&text).unwrap();
    assert_eq!((leak.name.as_str(), leak.form), ("api token", LeakForm::Plain));
    assert_eq!(leak.context, format!("{} token=", "é".repeat(73)));
    assert!(leak.to_string().starts_with("api token leaks in text (Plain) after"));
    assert!(!format!("{leak:?} {leak} {canaries:?}").contains("canary-1"), "a leak does not leak");
}

#[test]
fn a_cut_off_canary_is_found() {
    let canaries = Canaries::default();
    let secret = canaries.mint("password");
    let cut: String = secret.expose_secret().chars().take(12).collect();
    assert!(canaries.find_in(&cut).is_some());
}

#[test]
fn base64_is_no_disguise_at_any_offset() {
    let canaries = Canaries::default();
    let secret = canaries.mint("password");
    for user in ["", "a", "ab", "abc", "admin", "äöü"] {
        let pair = format!("{user}:{}", secret.expose_secret());
        for encoded in [BASE64_STANDARD.encode(&pair), BASE64_URL_SAFE_NO_PAD.encode(&pair)] {
            let leak = canaries.find_in(&format!("authorization: Basic {encoded}")).unwrap();
            assert_eq!((leak.name.as_str(), leak.form), ("password", LeakForm::Base64));
        }
        assert!(canaries.find_in(&BASE64_STANDARD.encode(format!("{user}:harmless-1-0f1e2d3c"))).is_none());
    }
}

#[derive(Debug)]
#[allow(dead_code)] // shown by Debug alone
struct Settings {
    url: &'static str,
    token: String,
}

#[test]
fn debug_output_is_searched() {
    let canaries = Canaries::default();
    let token = canaries.mint("token");
    assert!(canaries.find_in_debug(&token).is_none());
    let settings = Settings { url: "https://host/", token: token.expose_secret().to_owned() };
    assert_eq!(canaries.find_in_debug(&settings).unwrap().place, "Debug");
}

/// Shows its text only when asked in a certain way.
#[derive(Clone)]
struct Sly {
    display: String,
    debug: String,
    alternate: String,
}

impl std::fmt::Display for Sly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.display)
    }
}

impl std::fmt::Debug for Sly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if f.alternate() { &self.alternate } else { &self.debug })
    }
}

impl std::error::Error for Sly {}

#[test]
fn every_cause_of_an_error_is_searched_in_every_form() {
    let canaries = Canaries::default();
    let token = canaries.mint("token").expose_secret().to_owned();
    let clean = Sly { display: "d".into(), debug: "g".into(), alternate: "a".into() };
    let nested = |cause: &Sly| {
        let inner = Error::new(ErrorKind::Decode, "inner").with_source(cause.clone());
        Error::new(ErrorKind::Server, "outer").with_operation("users.get").with_source(inner)
    };
    assert!(canaries.find_in_error(&nested(&clean)).is_none());
    let display = Sly { display: token.clone(), ..clean.clone() };
    assert_eq!(canaries.find_in_error(&nested(&display)).unwrap().place, "Display of cause 2");
    for sly in [Sly { debug: token.clone(), ..clean.clone() }, Sly { alternate: token, ..clean }] {
        assert!(canaries.find_in_error(&nested(&sly)).is_some());
        assert!(canaries.find_in_error(&sly).is_some());
    }
}

#[tokio::test]
async fn urls_are_watched_as_they_leave() {
    let canaries = Canaries::default();
    let secret = canaries.mint("secret key");
    let watch = canaries.watch(Toy::default());
    let mut sent = named("users.get", Method::GET, "/users/a", "");
    sent.headers_mut().insert(header::AUTHORIZATION, secret.expose_secret().parse().unwrap());
    watch.send(sent).await.unwrap();
    assert!(canaries.leaks().is_empty(), "a header is where it belongs");

    let path = format!("/keys?secretKey={}", secret.expose_secret());
    watch.clone().send(named("keys.create", Method::PUT, &path, "")).await.unwrap();
    let leaks = canaries.leaks();
    assert_eq!((leaks.len(), leaks[0].place.as_str()), (1, "URL of PUT keys.create"));
}

#[tokio::test]
async fn a_record_holds_no_canary() {
    let canaries = Canaries::default();
    let secret = canaries.mint("secret key");
    let secret = secret.expose_secret();
    let recording = Recording::new(Toy::default());
    let body = format!(r#"{{"keys": [{{"secret_key": "{secret}"}}], "password": "{secret}"}}"#);
    let mut sent = request(Method::PUT, &format!("/a?token={secret}"), &body);
    sent.headers_mut().insert("x-auth-token", secret.parse().unwrap());
    recording.send(sent).await.unwrap();
    recording.send(request(Method::GET, "/a", "")).await.unwrap();
    assert_eq!(canaries.find_in_debug(&recording.exchanges()), None);
    assert_eq!(recording.exchanges().len(), 2);
}
