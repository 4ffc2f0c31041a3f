//! Secrets stay where they belong (security S1, S2, S3, S5).

use std::fmt::{Debug, Display};

use crate::virtual_time::{ORIGIN, base, environment, http, script};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, header};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};
use waldur_sdk::{
    Error,
    rest::{
        BaseUrl, CachedToken, Call, ClientCredentials, PasswordGrant, PlainHttp, RestClient, StaticHeader, Token,
        TransportErrorKind, redact,
    },
    testing::{Answer, Recorded},
};

const CANARY: &str = "canary/7+7=\"é";

/// Does not compile if the type implements the trait: the call would be ambiguous.
macro_rules! assert_not_impl {
    ($($type:ty: $($bound:path),+;)+) => { $($({
        trait Ambiguous<A> { fn check() {} }
        impl<T: ?Sized> Ambiguous<()> for T {}
        struct Implemented;
        impl<T: ?Sized + $bound> Ambiguous<Implemented> for T {}
        <$type as Ambiguous<_>>::check();
    })+)+ };
}

const fn shared<T: Send + Sync + 'static>() {}

#[test]
fn sec01_secrets_cannot_be_shown_compared_or_serialized() {
    assert_not_impl! {
        SecretString: Display, Serialize, PartialEq, AsRef<str>, Into<String>;
        StaticHeader: Display, Serialize, PartialEq, Clone;
        CachedToken: Display, Serialize, PartialEq, Clone;
        Token: Display, Serialize, PartialEq;
        ClientCredentials: Display, Serialize, PartialEq, Clone;
        PasswordGrant: Display, Serialize, PartialEq, Clone;
        RestClient: Display, Serialize;
        Call: Display, Serialize;
    }
    shared::<Error>();
    shared::<RestClient>();
    shared::<Call>();
    shared::<CachedToken>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}

fn no_canary(what: &str, value: &(impl Debug + ?Sized)) {
    for shown in [format!("{value:?}"), format!("{value:#?}")] {
        assert!(!shown.contains("canary"), "{what}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn sec02_no_debug_of_a_client_shows_a_secret() {
    let secret = || SecretString::from("canary");
    let url = "https://login.example.org/token";
    let script = script().then(Answer::json(&json!({"access_token": "canary"}))).otherwise(Answer::status(200));
    let http = http(&script);
    let credentials = || ClientCredentials::new("url", url, PlainHttp::default(), "id", secret()).unwrap();
    let password = PasswordGrant::new("url", url, PlainHttp::default(), "id", "ann", secret()).unwrap();
    let cached = std::sync::Arc::new(CachedToken::bearer(credentials()));
    let client = RestClient::new(http.clone(), base(ORIGIN), cached.clone())
        .with_header(header::COOKIE, HeaderValue::from_static("canary"));
    let call = || {
        let call = client.post("test", "/x/{x}/", &["x"]).query("q", "canary").query_secret("s", &secret());
        call.secret(&secret()).json(&json!({"secret": "canary"}))
    };
    call().send_unit().await.unwrap();
    let transport_error = waldur_sdk::rest::TransportError::new(TransportErrorKind::Connect);
    no_canary("call", &call());
    no_canary("call with a form", &client.post("test", "/x/", &[]).form(&[("password", "canary")]));
    no_canary("client", &client);
    no_canary("pipeline", &http);
    no_canary("environment", &environment());
    no_canary("cached token", &*cached);
    no_canary("token", &Token::new(secret(), std::time::Instant::now(), None));
    no_canary("client credentials", &credentials());
    no_canary("password grant", &password.with_client_secret(secret()));
    no_canary("static header", &StaticHeader::basic("ann", &secret()).unwrap());
    no_canary("static token", &StaticHeader::waldur_token(&secret()).unwrap());
    no_canary("record", &script);
    no_canary("answer", &Answer::json(&"canary"));
    no_canary("transport error", &transport_error);
    let recorded: &Recorded = &script.requests()[1];
    assert_eq!(recorded.authorization(), Some("Bearer canary"), "the record itself is complete");
}

#[tokio::test(start_paused = true)]
async fn sec03_no_error_shows_a_query_a_credential_or_an_echo_of_one() {
    use TransportErrorKind as T;
    let secret = SecretString::from(CANARY);
    let token = SecretString::from("canary-token");
    let basic = BASE64_STANDARD.encode("ann:canary-password");
    let quoted = Value::from(CANARY).to_string();
    let of_the_query = [
        CANARY.to_owned(),
        format!("you asked for /users/?q={}", waldur_sdk::rest::encode(CANARY)),
        format!(r#"{{"you sent": [{quoted}]}}"#),
    ];
    let of_the_token = [
        r#"["canary-token", "Token canary-token"]"#.to_owned(),
        "<html>HTTP_AUTHORIZATION Token canary-token</html>".to_owned(),
    ];
    let of_the_password = [format!("you are Basic {basic}"), r#"["ann", "canary-password"]"#.to_owned()];
    let accounts = [
        (StaticHeader::waldur_token(&token), of_the_token),
        (StaticHeader::basic("ann", &"canary-password".into()), of_the_password),
    ];
    for (authenticator, echoes) in accounts {
        let authenticator = std::sync::Arc::new(authenticator.unwrap());
        let mut answers: Vec<Answer> =
            [T::Connect, T::Tls, T::Proxy, T::Timeout, T::Interrupted, T::TooLarge, T::InvalidRequest]
                .map(Answer::fail)
                .into();
        for status in [200, 301, 400, 401, 403, 404, 407, 409, 413, 418, 429, 500, 502, 503, 999] {
            answers.extend(of_the_query.iter().chain(&echoes).map(|echo| {
                let moved = format!("https://evil.example.org/?{}", waldur_sdk::rest::encode(CANARY));
                Answer::status(status).with_header("location", moved).with_body(echo.clone())
            }));
        }
        for answer in answers {
            let script = script().otherwise(answer.clone());
            let client = RestClient::new(http(&script), base(ORIGIN), authenticator.clone());
            let call = client.put("keys.create", "/users/{uid}/keys/", &["canary-uid"]);
            let call = call.query_secret("secretKey", &secret).query("uid", "canary-query");
            let error = call.send_json::<u8>().await.unwrap_err();
            let shown = format!("{error} {error:?} {error:#?} {:?} {:?}", error.chain(), error.http());
            assert!(!shown.contains("canary"), "{answer:?}: {shown}");
            assert!(!shown.contains(&basic), "{answer:?}: {shown}");
            assert!(shown.contains("https://api.example.org/users/{uid}/keys/"), "the place is told by its template");
        }
    }
    // Mistakes found before anything is sent.
    let client = RestClient::new(http(&script()), base(ORIGIN), StaticHeader::bearer(&token).unwrap());
    let error = client.get("test", "/x/{x}/", &["canary/"]).send_unit().await.unwrap_err();
    no_canary("segment", &error);
    let unserializable = std::collections::BTreeMap::from([((1, 2), "canary")]);
    no_canary("body", &client.post("test", "/x/", &[]).json(&unserializable).send_unit().await.unwrap_err());
    no_canary("base", &BaseUrl::parse("url", "https://canary:canary@h/", PlainHttp::default()).unwrap_err());
}

#[tokio::test(start_paused = true)]
async fn sec04_a_secret_that_has_to_travel_in_the_query_stays_there() {
    struct Watch(std::sync::Mutex<Vec<String>>);
    impl waldur_sdk::rest::Observer for Watch {
        fn on_attempt(&self, event: &waldur_sdk::rest::AttemptEvent<'_>) {
            self.0.lock().unwrap().push(format!("{event:?}"));
        }
    }
    let script = script().otherwise(Answer::status(500).with_body("secretKey=canary-secret-key is taken"));
    let watch = std::sync::Arc::new(Watch(std::sync::Mutex::default()));
    let client = RestClient::new(http(&script).with_observer(watch.clone()), base(ORIGIN), waldur_sdk::rest::Anonymous);
    let call = client.put("keys.create", "/keys/", &[]).query_secret("secretKey", &"canary-secret-key".into());
    assert!(!format!("{call:?}").contains("canary"));
    no_canary("answer", &call.send_unit().await.unwrap_err());
    let events = watch.0.lock().unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| !event.contains("canary")), "{events:?}");
    let sent = script.requests();
    assert!(sent.iter().all(|request| request.uri.to_string().contains("secretKey=canary-secret-key")));
}

#[tokio::test(start_paused = true)]
async fn a_secret_answer_is_in_no_error() {
    let answers = [r#"{"made up": "canary"}"#, r#"{"cut": "canary"#, "<html>canary</html>", "canary"];
    for answer in answers {
        let script = script().otherwise(Answer::status(200).with_body(answer));
        let client = RestClient::new(http(&script), base(ORIGIN), waldur_sdk::rest::Anonymous);
        let call = client.post("keys.create", "/keys/", &[]).secret_answer();
        no_canary(answer, &call.send_json::<u8>().await.unwrap_err());
    }
}

#[tokio::test(start_paused = true)]
async fn sec05_credentials_are_marked_sensitive() {
    let secret = SecretString::from("canary");
    let name = |name: &'static str| header::HeaderName::from_static(name);
    let script = script().then(Answer::json(&json!({"access_token": "canary"}))).otherwise(Answer::by(|request| {
        // As the http crate's own Debug shows a request to whoever logs it.
        assert!(!format!("{request:?}").contains("canary"), "{request:?}");
        Answer::status(200)
    }));
    let url = "https://login.example.org/token";
    let source = ClientCredentials::new("url", url, PlainHttp::default(), "id", secret.clone()).unwrap();
    let cached = RestClient::new(http(&script), base(ORIGIN), CachedToken::new(name("x-subject-token"), "", source));
    cached.get("test", "/x/", &[]).send_unit().await.unwrap();
    let headers = [
        (header::AUTHORIZATION, StaticHeader::waldur_token(&secret)),
        (header::AUTHORIZATION, StaticHeader::bearer(&secret)),
        (header::AUTHORIZATION, StaticHeader::basic("ann", &secret)),
        (name("x-auth-token"), StaticHeader::new(name("x-auth-token"), &secret)),
        (name("private-token"), StaticHeader::new(name("private-token"), &secret)),
    ];
    for (name, authenticator) in headers {
        let client = RestClient::new(http(&script), base(ORIGIN), authenticator.unwrap());
        client.get("test", "/x/", &[]).send_unit().await.unwrap();
        let sent = script.requests().pop().unwrap();
        assert!(sent.headers[&name].is_sensitive(), "{name}");
        let shown = redact::headers(&sent.headers);
        assert!(shown.contains(&(name.to_string(), redact::REDACTED.to_owned())), "{shown:?}");
    }
    let sent = script.requests();
    assert!(sent[1].headers["x-subject-token"].is_sensitive());
    let by_name = ["cookie", "set-cookie", "x-amz-security-token", "x-api-key", "proxy-authorization"];
    let plain = by_name.map(|text| (name(text), HeaderValue::from_static("canary"))).into_iter().collect();
    no_canary("headers known by their name", &redact::headers(&plain));
}

#[test]
fn c70_who_logs_in_is_not_shown_and_short_values_go_where_they_stand_alone() {
    let secret = || SecretString::from("s");
    let grant =
        PasswordGrant::new("url", "https://idp.example/token", PlainHttp::default(), "id", "canary-ann", secret());
    assert!(!format!("{:?}", grant.unwrap()).contains("canary"));
    let hidden = |body: &str, value: &str| redact::excerpt(body.as_bytes(), &[value.to_owned().into()]);
    assert_eq!(
        hidden("ann, cannot, annual, ann-2, (ann)", "ann"),
        "[redacted], cannot, annual, [redacted]-2, ([redacted])"
    );
    assert_eq!(hidden(r#"{"username":["ann"]}"#, "ann"), r#"{"username":["[redacted]"]}"#);
    assert_eq!(hidden("aa a\u{e9} a", "a"), "aa a\u{e9} [redacted]");
    assert_eq!(hidden("annann ann", "ann"), "annann [redacted]");
    assert_eq!(hidden("nothing", ""), "nothing");
}
