//! From the agent's file to clients, environments of back ends and a registration.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};
use waldur_sdk::{
    ErrorKind, Result,
    backend::{BuildEnv, Connector},
    client::{AgentMode, AgentRegistration, ClientBuilder, ProcessorRegistration, WaldurClient},
    rest::{AttemptEvent, Environment, HttpOptions, HttpTransport, Observer},
    settings::{AccountingType, AgentSettings, Component, OfferingSettings},
    testing::{
        Answer, ScriptedTransport,
        waldur::{Billing, FakeWaldur, Generation},
    },
};

use crate::exchanges::fake_waldur;

/// A way to one transport that keeps the options it was asked with.
fn connector(transport: impl HttpTransport + Clone) -> (impl Connector, Arc<Mutex<Vec<HttpOptions>>>) {
    let asked: Arc<Mutex<Vec<HttpOptions>>> = Arc::default();
    let keep = asked.clone();
    let connect = move |options: &HttpOptions| -> Result<Arc<dyn HttpTransport>> {
        keep.lock().unwrap().push(options.clone());
        Ok(Arc::new(transport.clone()))
    };
    (connect, asked)
}

fn settings(root: &Value, offering: &Value) -> (AgentSettings, OfferingSettings) {
    let mut one = json!({
        "name": "Storage", "waldur_api_url": "http://waldur.example.org/api/",
        "waldur_offering_uuid": "d47ca5bce71144579df29da3c290027e", "backend_type": "ceph_s3",
    });
    one.as_object_mut().unwrap().extend(offering.as_object().cloned().unwrap());
    let mut tree = json!({ "offerings": [one] });
    tree.as_object_mut().unwrap().extend(root.as_object().cloned().unwrap());
    let (agent, _) = AgentSettings::from_value(&tree).unwrap();
    let offering = agent.offerings[0].clone();
    (agent, offering)
}

fn token() -> Value {
    json!({ "waldur_api_token": "canary-token" })
}

fn user() -> Answer {
    Answer::json(&json!({ "uuid": "d47ca5bce71144579df29da3c290027e" }))
}

struct Counting(Arc<AtomicUsize>);

impl Observer for Counting {
    fn on_attempt(&self, _: &AttemptEvent<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_what_the_file_says() {
    let script = ScriptedTransport::new().then(user());
    let (connect, asked) = connector(script.clone());
    let (agent, offering) = settings(&json!({ "global_proxy": "http://me:canary@proxy.example.org:3128" }), &token());
    let attempts = Arc::new(AtomicUsize::new(0));
    let waldur = ClientBuilder::of_settings(&agent, &offering, &connect)
        .unwrap()
        .agent_mode(AgentMode::Report)
        .environment(Environment::default().with_timer(tokio::time::sleep))
        .observer(Counting(attempts.clone()))
        .build()
        .unwrap();
    waldur.users().me().await.unwrap();
    let request = &script.requests()[0];
    assert_eq!(request.path(), "/api/users/me/");
    assert_eq!(request.authorization(), Some("Token canary-token"));
    assert!(request.header("user-agent").unwrap().starts_with("waldur-site-agent-report/"));
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
    let asked = asked.lock().unwrap();
    let [options] = asked.as_slice() else { panic!("one transport, not {}", asked.len()) };
    assert!(options.verifies_tls() && options.proxy.is_some());
    assert!(!format!("{options:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn credentials_of_a_client_are_fetched_as_the_file_says() {
    let answer = Answer::json(&json!({ "access_token": "fetched", "expires_in": 300 }));
    let script = ScriptedTransport::new().then(answer).then(user());
    let (connect, _) = connector(script.clone());
    let login = json!({
        "oidc_token_url": "https://id.example.org/token", "oidc_client_id": "agent", "oidc_client_secret": "canary",
    });
    let (agent, offering) = settings(&json!({}), &login);
    let waldur = ClientBuilder::of_settings(&agent, &offering, &connect).unwrap().build().unwrap();
    waldur.users().me().await.unwrap();
    assert_eq!(script.requests()[1].authorization(), Some("Bearer fetched"));
}

#[test]
fn a_certificate_is_not_verified_only_where_file_and_build_say_so() {
    let (connect, asked) = connector(ScriptedTransport::new());
    let mut own = token();
    own["verify_ssl"] = json!(false);
    let (agent, offering) = settings(&json!({}), &own);
    match ClientBuilder::of_settings(&agent, &offering, &connect) {
        Ok(_) => assert!(!asked.lock().unwrap()[0].verifies_tls()),
        Err(error) => {
            assert!(HttpOptions::default().verifying(false).is_err());
            assert!(error.kind() == ErrorKind::Config && error.message().starts_with("verify_ssl: must be true"));
        }
    }
}

#[test]
fn the_environment_of_a_back_end_is_what_the_file_says() {
    let (connect, asked) = connector(ScriptedTransport::new());
    let mut own = token();
    own["backend_settings"] = json!({ "bucket": "b" });
    own["backend_components"] = json!({ "storage": {
        "measured_unit": "GB", "unit_factor": 1, "accounting_type": "limit", "label": "Storage",
    } });
    let root = json!({ "timezone": "Pacific/Kiritimati", "global_proxy": "socks5://proxy.example.org:1080" });
    let (agent, offering) = settings(&root, &own);
    let environment = BuildEnv::of_settings("croit_s3", &agent, &offering, connect).unwrap();
    assert_eq!((environment.backend_type.as_str(), environment.offering), ("croit_s3", offering.offering_uuid));
    assert_eq!(environment.time_zone.iana_name(), Some("Pacific/Kiritimati"));
    assert!(environment.components.get("storage").is_some());
    environment.http(&HttpOptions::default()).unwrap();
    assert!(asked.lock().unwrap()[0].proxy.is_some());
    let merged = [Component::new("objects", AccountingType::Usage)].into_iter().collect();
    assert!(environment.with_components(merged).components.get("storage").is_none());
}

fn client(waldur: &FakeWaldur) -> WaldurClient {
    let http = waldur_sdk::rest::Http::new(waldur.clone())
        .with_environment(Environment::default().with_timer(tokio::time::sleep));
    WaldurClient::builder(waldur.base_url()).http(http).token(waldur.token()).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_made_known_in_one_call_that_may_be_repeated() {
    let fake = fake_waldur(Generation::V8);
    let offering = fake.offering().name("HPC").component("cpu", Billing::Limit).create();
    let waldur = client(&fake);
    let agent = AgentRegistration::new(offering, format!("agent-{offering}"));
    let orders = ProcessorRegistration::new("OfferingOrderProcessor", "ceph_s3");
    let usage = ProcessorRegistration::new("OfferingReportProcessor", "ceph_s3");
    let first = waldur.agents().register(&agent, AgentMode::OrderProcess, &orders).await.unwrap();
    let again = waldur.agents().register(&agent, AgentMode::OrderProcess, &orders).await.unwrap();
    let other = waldur.agents().register(&agent, AgentMode::Report, &usage).await.unwrap();
    assert_eq!((again.uuid, other.uuid), (first.uuid, first.uuid));
    let names: Vec<_> = fake.registered_processors().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["OfferingOrderProcessor", "OfferingReportProcessor"]);

    let old = fake_waldur(Generation::V2024);
    let offering = old.offering().name("HPC").component("cpu", Billing::Limit).create();
    let agent = AgentRegistration::new(offering, "agent-x");
    let error = client(&old).agents().register(&agent, AgentMode::OrderProcess, &orders).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
