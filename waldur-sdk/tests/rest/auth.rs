//! Credentials: fetched once, renewed once, never missing, never in a loop (C02, faults 30–46).

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use crate::virtual_time::{ORIGIN, base, environment, http, script};
use futures_util::future::join_all;
use http::Request;
use jiff::{Span, Timestamp};
use serde_json::{Value, json};
use waldur_sdk::{
    ErrorClass, ErrorKind,
    rest::{
        Authenticator, CachedToken, ClientCredentials, Environment, Http, PasswordGrant, PlainHttp, RestClient,
        StaticHeader, Token, TokenGeneration, TokenSource,
    },
    testing::{Answer, Recorded, ScriptedTransport},
};

const TOKEN_URL: &str = "https://login.example.org/realms/hpc/protocol/openid-connect/token";
const SECOND: Duration = Duration::from_secs(1);

/// A login server and an API behind one transport: the n-th login hands out the token `t<n>`, and the API takes every
/// token that has not been revoked.
#[derive(Clone, Default)]
struct Realm {
    revoked: Arc<Mutex<HashSet<String>>>,
    logins: Arc<Mutex<u32>>,
    latency: Duration,
}

impl Realm {
    fn script(&self, token_answer: impl Fn(u32) -> Answer + Send + Sync + 'static) -> ScriptedTransport {
        let realm = self.clone();
        script().otherwise(Answer::by(move |request| {
            if request.uri().host() == Some("login.example.org") {
                let mut logins = realm.logins.lock().unwrap();
                *logins += 1;
                token_answer(*logins)
            } else {
                realm.api(request)
            }
        }))
    }

    fn api(&self, request: &Request<bytes::Bytes>) -> Answer {
        let sent = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        match sent.and_then(|text| text.strip_prefix("Bearer ")) {
            Some(token) if !self.revoked.lock().unwrap().contains(token) => Answer::json(&1),
            _ => Answer::status(401).with_json(&json!({"detail": "Invalid token."})),
        }
        .after(self.latency)
    }

    fn revoke(&self, token: &str) {
        self.revoked.lock().unwrap().insert(token.to_owned());
    }

    fn logins(&self) -> u32 {
        *self.logins.lock().unwrap()
    }
}

fn token(number: u32, expires_in: &Value) -> Answer {
    let mut answer = json!({"access_token": format!("t{number}"), "token_type": "Bearer"});
    if !expires_in.is_null() {
        answer["expires_in"] = expires_in.clone();
    }
    Answer::json(&answer)
}

fn credentials() -> ClientCredentials {
    ClientCredentials::new("oidc_token_url", TOKEN_URL, PlainHttp::default(), "agent", "s3cr3t&").unwrap()
}

fn client(http: Http, source: impl TokenSource) -> RestClient {
    RestClient::new(http, base(ORIGIN), CachedToken::bearer(source))
}

async fn get(client: &RestClient) -> waldur_sdk::Result<u8> {
    client.get("test", "/x/", &[]).send_json().await
}

fn tokens_sent(script: &ScriptedTransport) -> Vec<String> {
    let api = script.requests().into_iter().filter(|request| request.uri.host() == Some("api.example.org"));
    api.map(|request| request.authorization().unwrap_or("none").replace("Bearer ", "")).collect()
}

#[tokio::test(start_paused = true)]
async fn c02_clients_share_a_token_until_shortly_before_its_end_or_a_401() {
    for expires_in in [Value::Null, json!("soon"), json!(-5), json!(0), json!(300), json!("300"), json!(300.0)] {
        let realm = Realm::default();
        let script = realm.script(move |number| token(number, &expires_in));
        let shared = Arc::new(CachedToken::bearer(credentials()));
        let clients = [0, 1].map(|_| RestClient::new(http(&script), base(ORIGIN), shared.clone()));
        for client in &clients {
            get(client).await.unwrap();
        }
        tokio::time::sleep(269 * SECOND).await;
        get(&clients[0]).await.unwrap();
        assert_eq!((realm.logins(), tokens_sent(&script)), (1, vec!["t1".into(), "t1".into(), "t1".into()]));
        tokio::time::sleep(2 * SECOND).await;
        get(&clients[1]).await.unwrap();
        assert_eq!(realm.logins(), 2, "29 s before its end the token is renewed");
        realm.revoke("t2");
        get(&clients[0]).await.unwrap();
        assert_eq!((realm.logins(), &tokens_sent(&script)[3..]), (3, &["t2".into(), "t2".into(), "t3".into()][..]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_request_is_a_form_with_the_secret_in_its_body() {
    let realm = Realm::default();
    let script = realm.script(|number| token(number, &json!(60)));
    get(&client(http(&script), credentials().with_scope("openid hpc"))).await.unwrap();
    let password = PasswordGrant::new("url", &format!("{TOKEN_URL}/"), PlainHttp::default(), "cli", "ann", "p w");
    get(&client(http(&script), password.unwrap().with_client_secret("x"))).await.unwrap();
    let requests = script.requests();
    let logins: Vec<&Recorded> = requests.iter().filter(|request| request.path().contains("realms")).collect();
    assert_eq!(
        logins.iter().map(|login| login.text()).collect::<Vec<_>>(),
        [
            "grant_type=client_credentials&client_id=agent&client_secret=s3cr3t%26&scope=openid%20hpc",
            "grant_type=password&client_id=cli&username=ann&password=p%20w&client_secret=x"
        ]
    );
    let path = "/realms/hpc/protocol/openid-connect/token";
    assert_eq!([logins[0].path(), logins[1].path()], [path.to_owned(), format!("{path}/")], "as configured");
    for login in logins {
        assert_eq!((login.method.as_str(), login.authorization()), ("POST", None));
        assert_eq!(login.header("content-type"), Some("application/x-www-form-urlencoded"));
        assert_eq!(login.meta.unwrap().timeout, 30 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_token_is_an_error_that_shows_nothing_of_it() {
    let answers = [
        Answer::json(&json!({"refresh": "canary", "expires_in": 300})),
        Answer::json(&json!({"access_token": "", "hint": "canary"})),
        Answer::json(&json!({"access_token": ["canary"]})),
        Answer::json(&json!({"access_token": null, "canary": "canary"})),
        Answer::status(200).with_body(r#"{"opaque": "canary"#),
    ];
    for answer in answers {
        let script = Realm::default().script(move |_| answer.clone());
        let error = get(&client(http(&script), credentials())).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Decode, "oauth.token"));
        assert!(!format!("{error} {error:?} {:?}", error.chain()).contains("canary"), "{error:?}");
        assert_eq!(tokens_sent(&script), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn f030_the_wall_clock_may_jump_while_a_token_lives() {
    let wall = Arc::new(Mutex::new(Timestamp::now()));
    let hand = wall.clone();
    let environment = environment().with_wall(move || *hand.lock().unwrap());
    let realm = Realm::default();
    let script = realm.script(|number| token(number, &json!(300)));
    let client = client(http(&script).with_environment(environment), credentials());
    for (hours, seconds, logins) in [(0, 0, 1), (-48, 200, 1), (96, 60, 1), (-96, 20, 2)] {
        *wall.lock().unwrap() += Span::new().hours(hours);
        tokio::time::sleep(seconds * SECOND).await;
        get(&client).await.unwrap();
        assert_eq!(realm.logins(), logins);
    }
}

#[tokio::test(start_paused = true)]
async fn f032_after_a_suspension_one_401_renews_the_token_once() {
    // Asleep, the machine's monotonic clock stood still: the token looks young.
    let still = Instant::now();
    let realm = Realm::default();
    let script = realm.script(|number| token(number, &json!(300)));
    let client = client(http(&script).with_environment(environment().with_monotonic(move || still)), credentials());
    get(&client).await.unwrap();
    realm.revoke("t1");
    get(&client).await.unwrap();
    get(&client).await.unwrap();
    assert_eq!((realm.logins(), tokens_sent(&script)), (2, ["t1", "t1", "t2", "t2"].map(String::from).to_vec()));
}

#[tokio::test(start_paused = true)]
async fn f043_fifty_calls_with_an_expired_token_renew_it_once() {
    let realm = Realm { latency: SECOND, ..Realm::default() };
    let script = realm.script(|number| token(number, &json!(3600)).after(2 * SECOND));
    let client = client(http(&script), credentials());
    get(&client).await.unwrap();
    realm.revoke("t1");
    let outcomes = join_all((0..50).map(|_| get(&client))).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_eq!(realm.logins(), 2);
    let sent = tokens_sent(&script);
    let count = |token: &str| sent.iter().filter(|sent| *sent == token).count();
    assert_eq!((count("t1"), count("t2")), (51, 50), "each call was repeated once, with the new token");
}

#[tokio::test(start_paused = true)]
async fn a_late_401_does_not_renew_a_token_that_is_new_already() {
    let realm = Realm::default();
    let slow = Arc::new(Mutex::new(true));
    let (api, delay) = (realm.clone(), slow.clone());
    let script = script().otherwise(Answer::by(move |request| {
        if request.uri().host() == Some("login.example.org") {
            *api.logins.lock().unwrap() += 1;
            return token(*api.logins.lock().unwrap(), &json!(3600));
        }
        let answer = api.api(request);
        if std::mem::take(&mut *delay.lock().unwrap()) { answer.after(5 * SECOND) } else { answer }
    }));
    let client = client(http(&script), credentials());
    realm.revoke("t1");
    let late = get(&client);
    let early = async {
        tokio::time::sleep(SECOND).await;
        get(&client).await
    };
    let (late, early) = futures_util::future::join(late, early).await;
    assert_eq!((late.unwrap(), early.unwrap(), realm.logins()), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn f044_a_401_after_the_renewal_ends_it_without_a_login_loop() {
    let realm = Realm::default();
    let script = realm.script(|number| token(number, &json!(3600)));
    let client = client(http(&script), credentials());
    for number in 1..=9 {
        realm.revoke(&format!("t{number}"));
    }
    for call in 0..20 {
        let error = get(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.class()), (ErrorKind::Unauthenticated, ErrorClass::NotReady));
        assert_eq!(error.attempts(), if call == 0 { 2 } else { 1 });
    }
    assert_eq!(realm.logins(), 2, "a token that was just renewed is not renewed again");
    tokio::time::sleep(60 * SECOND).await;
    get(&client).await.unwrap_err();
    assert_eq!(realm.logins(), 3, "the next run may try once more");
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_left_alone_for_a_minute() {
    let realm = Realm::default();
    let refusal = json!({"error": "invalid_grant", "error_description": "Account disabled"});
    let script = realm.script(move |_| Answer::status(400).with_json(&refusal));
    let client = client(http(&script), credentials());
    for _ in 0..20 {
        let error = get(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Unauthenticated, Some("invalid_grant")));
        assert_eq!(error.class(), ErrorClass::NotReady, "no order fails for a wrong password of ours");
    }
    assert_eq!(realm.logins(), 1);
    tokio::time::sleep(60 * SECOND).await;
    get(&client).await.unwrap_err();
    assert_eq!(realm.logins(), 2);
    assert_eq!(tokens_sent(&script), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn f045_a_login_that_fails_once_is_repeated_before_anything_is_asked() {
    let realm = Realm::default();
    let script = realm.script(|number| if number == 1 { Answer::status(500) } else { token(number, &json!(3600)) });
    let client = client(http(&script), credentials());
    assert!(join_all((0..5).map(|_| get(&client))).await.iter().all(Result::is_ok));
    assert_eq!((realm.logins(), tokens_sent(&script)), (2, vec!["t2".to_owned(); 5]), "no request without credentials");
}

#[tokio::test(start_paused = true)]
async fn f046_a_revoked_token_stops_its_own_offering_alone() {
    let script = script().otherwise(Answer::by(|request| {
        let valid = request.headers().get("authorization").is_some_and(|value| value == "Token good");
        if valid { Answer::json(&1) } else { Answer::status(401) }
    }));
    let http = http(&script);
    let client =
        |token: &str| RestClient::new(http.clone(), base(ORIGIN), StaticHeader::waldur_token(&token.into()).unwrap());
    let (revoked, good) = (client("revoked"), client("good"));
    let outcomes = futures_util::future::join(get(&revoked), get(&good)).await;
    assert_eq!(outcomes.0.unwrap_err().kind(), ErrorKind::Unauthenticated);
    assert_eq!(outcomes.1.unwrap(), 1);
    assert_eq!(script.sent(), 2, "a static token is not renewed, so its 401 is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_the_login_to_the_others() {
    let realm = Realm::default();
    let script = realm.script(|number| token(number, &json!(3600)).after(10 * SECOND));
    let client = client(http(&script), credentials());
    let impatient = tokio::time::timeout(5 * SECOND, get(&client)).await;
    assert!(impatient.is_err());
    get(&client).await.unwrap();
    assert_eq!(realm.logins(), 1, "the login in flight was resumed, not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_login_is_cut_off_by_the_deadline_of_the_call() {
    let realm = Realm::default();
    let script = realm.script(|_| Answer::hang());
    let client = client(http(&script), credentials());
    let begin = tokio::time::Instant::now();
    let deadline = begin.into_std() + 7 * SECOND;
    let error = client.get("test", "/x/", &[]).deadline(Some(deadline)).send_unit().await.unwrap_err();
    assert_eq!((error.kind(), begin.elapsed()), (ErrorKind::DeadlineExceeded, 7 * SECOND));
    assert_eq!(error.effect(), waldur_sdk::Effect::NotApplied, "the call itself never left");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_leaves_the_call_unapplied_and_a_renewal_that_hangs_leaves_its_401() {
    let failing = Realm::default().script(|_| Answer::status(500));
    let error = get(&client(http(&failing), credentials())).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Server, "oauth.token"));
    assert_eq!(error.effect(), waldur_sdk::Effect::NotApplied, "the call itself never left");
    let realm = Realm::default();
    let script = realm.script(|number| if number == 1 { token(1, &json!(3600)) } else { Answer::hang() });
    let client = client(http(&script), credentials());
    realm.revoke("t1");
    let deadline = tokio::time::Instant::now().into_std() + 7 * SECOND;
    let error = client.get("test", "/x/", &[]).deadline(Some(deadline)).send_unit().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Unauthenticated, 1), "not the missing time");
}

/// Always promises other credentials.
struct Hopeful;

#[async_trait::async_trait]
impl Authenticator for Hopeful {
    async fn authenticate(&self, _: &Http, _: &mut Request<bytes::Bytes>) -> waldur_sdk::Result<TokenGeneration> {
        Ok(TokenGeneration::default())
    }

    async fn refused(&self, _: TokenGeneration, _: &http::Response<bytes::Bytes>) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_renewed_once_and_that_is_no_repeat() {
    let sendings = |answers: Vec<u16>| async {
        let script = answers.into_iter().fold(script(), |script, status| script.then(Answer::status(status)));
        let client = RestClient::new(http(&script), base(ORIGIN), Hopeful);
        let error = client.get("test", "/x/", &[]).send_unit().await.unwrap_err();
        let attempts: Vec<u32> = script.requests().iter().map(|request| request.meta.unwrap().attempt).collect();
        assert_eq!(attempts, (1..=error.attempts()).collect::<Vec<_>>());
        attempts.len()
    };
    assert_eq!(sendings(vec![401, 401, 200]).await, 2);
    assert_eq!(sendings(vec![403, 401, 200]).await, 2);
    assert_eq!(sendings(vec![401, 503, 503, 503, 503, 200]).await, 5, "four attempts and the one owed to the renewal");
    assert_eq!(sendings(vec![503, 401, 503, 503, 503, 200]).await, 5);
}

struct Panics;

#[async_trait::async_trait]
impl TokenSource for Panics {
    async fn fetch(&self, http: &Http) -> waldur_sdk::Result<Token> {
        let environment: &Environment = http.environment();
        environment.sleep(SECOND).await;
        panic!("a bug in somebody's token source");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_source_that_panics_is_an_error() {
    let script = script();
    let client = client(http(&script), Panics);
    for _ in 0..2 {
        let error = get(&client).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Other, "the token source panicked"));
    }
    assert_eq!(script.sent(), 0);
}
