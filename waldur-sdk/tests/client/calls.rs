//! Every call as it is sent, how often, and what becomes of refusals.

use crate::{
    client_support::{Script, answer},
    provider_calls,
};
use serde_json::{Map, Value, json};
use waldur_sdk::{
    ErrorKind, Result,
    client::{
        AgentMode, AgentRegistration, BackendIdCheck, Dependency, ErrorDetails, OfferingUserQuery, OfferingUserState,
        OrderQuery, OrderType, ProcessorRegistration, ProviderInfo, ResourceQuery, ResourceState, WaldurClient,
    },
    rest::{BoxFuture, RetryPolicy, TransportError, TransportErrorKind},
    types::{
        AgentIdentityUuid, AgentServiceUuid, BackendId, CustomerUuid, Endpoint, Limit, Limits, OfferingUuid, OrderUuid,
        PlanUuid, ProjectUuid, ResourceUuid, ServiceProviderUuid, UserUuid, Uuid, WaldurAmount,
    },
};

pub(crate) const OFFERING: OfferingUuid = OfferingUuid::new(Uuid::from_u128(0xe1));
const ORDER: OrderUuid = OrderUuid::new(Uuid::from_u128(0x0a));
pub(crate) const RESOURCE: ResourceUuid = ResourceUuid::new(Uuid::from_u128(0x0b));
pub(crate) const CUSTOMER: CustomerUuid = CustomerUuid::new(Uuid::from_u128(0x0c));
pub(crate) const PROVIDER: ServiceProviderUuid = ServiceProviderUuid::new(Uuid::from_u128(0x0d));
pub(crate) const IDENTITY: AgentIdentityUuid = AgentIdentityUuid::new(Uuid::from_u128(0x0e));
pub(crate) const SERVICE: AgentServiceUuid = AgentServiceUuid::new(Uuid::from_u128(0x0f));
const PLAN: PlanUuid = PlanUuid::new(Uuid::from_u128(0xf1));

pub(crate) fn hex(number: usize) -> String {
    Uuid::from_u128(number as u128).simple().to_string()
}

// ------------------------------------------------------------------------------------------------- every call as sent

pub(crate) struct Case {
    pub(crate) run: fn(WaldurClient) -> BoxFuture<'static, Result<()>>,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: Option<Value>,
    pub(crate) answer: Value,
    /// Whether the call is repeated when its answer got lost.
    pub(crate) repeated: bool,
}

pub(crate) fn details() -> ErrorDetails {
    ErrorDetails::new("no room").with_traceback("disk full")
}

pub(crate) fn backend_id() -> BackendId {
    BackendId::new("hpc_alloc").unwrap()
}

fn registration() -> AgentRegistration {
    let dependency = Dependency { package: "waldur-sdk".to_owned(), version: "1".to_owned() };
    AgentRegistration::new(OFFERING, "agent-x")
        .version("1")
        .last_restarted("2026-11-22T05:00:00+00:00".parse().unwrap())
        .dependencies([dependency])
}

fn limits(entries: &[(&str, &str)]) -> Limits {
    let limit = |text: &str| Limit::At(WaldurAmount::new(text.parse().unwrap()));
    entries.iter().map(|(component, amount)| ((*component).to_owned(), limit(amount))).collect()
}

macro_rules! case {
    ($method:literal $path:literal, $body:expr, $answer:expr, repeated: $repeated:literal, $waldur:ident => $call:expr) => {
        $crate::calls::Case {
            run: |$waldur| Box::pin(async move { $call.await.map(drop) }),
            method: $method,
            path: $path,
            body: $body,
            answer: $answer,
            repeated: $repeated,
        }
    };
}

pub(crate) use case;

/// Every call that writes (core.md §1.6, column I), but for those of `provider_calls`.
fn writes() -> Vec<Case> {
    let uuid = json!({"uuid": hex(1), "name": "x"});
    let texts = json!({"error_message": "no room", "error_traceback": "disk full"});
    let agent = json!({
        "offering": hex(0xe1), "name": "agent-x", "version": "1", "last_restarted": "2026-11-22T05:00:00Z",
        "dependencies": [{"package": "waldur-sdk", "version": "1"}], "config_file_path": "", "config_file_content": "",
    });
    let nothing = || Some(json!({}));
    vec![
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/approve_by_provider/", nothing(),
            json!({}), repeated: false, w => w.orders().approve_by_provider(ORDER)),
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/reject_by_provider/", nothing(),
            json!({}), repeated: false, w => w.orders().reject_by_provider(ORDER, None)),
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/reject_by_provider/",
            Some(json!({"provider_rejection_comment": "why"})),
            json!({}), repeated: false, w => w.orders().reject_by_provider(ORDER, Some("why"))),
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/set_state_done/", nothing(),
            json!({}), repeated: true, w => w.orders().set_state_done(ORDER)),
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/set_state_erred/", Some(texts.clone()),
            json!({}), repeated: false, w => w.orders().set_state_erred(ORDER, &details())),
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/set_backend_id/",
            Some(json!({"backend_id": "target-7"})),
            json!({}), repeated: true, w => w.orders().set_backend_id(ORDER, "target-7")),
        case!("POST" "/api/marketplace-orders/0000000000000000000000000000000a/set_provider_info/",
            Some(json!({"provider_message": "soon", "provider_message_url": "https://h/"})),
            json!({}), repeated: true,
            w => w.orders().set_provider_info(ORDER, &ProviderInfo::new("soon").url("https://h/"))),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_backend_id/",
            Some(json!({"backend_id": "hpc_alloc"})),
            json!({}), repeated: true, w => w.provider_resources().set_backend_id(RESOURCE, Some(&backend_id()))),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_backend_id/",
            Some(json!({"backend_id": ""})),
            json!({}), repeated: true, w => w.provider_resources().set_backend_id(RESOURCE, None)),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_limits/",
            Some(json!({"limits": {"cpu": 10, "ram": 0}})),
            json!({}), repeated: true,
            w => w.provider_resources().set_limits(RESOURCE, &limits(&[("cpu", "10.00"), ("ram", "0")]))),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_backend_metadata/",
            Some(json!({"backend_metadata": {"quota": 7}})),
            json!({}), repeated: true,
            w => w.provider_resources().set_backend_metadata(RESOURCE, &Map::from_iter([("quota".to_owned(), json!(7))]))),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_endpoints/",
            Some(json!({"endpoints": [{"name": "S3", "url": "https://s3/"}]})),
            json!({}), repeated: true,
            w => w.provider_resources()
                .set_endpoints(RESOURCE, &[Endpoint { name: "S3".to_owned(), url: "https://s3/".to_owned() }])),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/refresh_last_sync/", nothing(),
            json!({}), repeated: true, w => w.provider_resources().refresh_last_sync(RESOURCE)),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_as_erred/", Some(texts),
            json!({}), repeated: true, w => w.provider_resources().set_as_erred(RESOURCE, &details())),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_as_ok/", nothing(),
            json!({}), repeated: true, w => w.provider_resources().set_as_ok(RESOURCE)),
        case!("POST" "/api/marketplace-provider-offerings/000000000000000000000000000000e1/check_unique_backend_id/",
            Some(json!({"backend_id": "hpc_alloc", "check_all_offerings": true, "use_offering_rules": false})),
            json!({"is_unique": false}), repeated: true,
            w => w.provider_offerings()
                .check_unique_backend_id(OFFERING, &backend_id(), &BackendIdCheck::default().all_offerings())),
        case!("POST" "/api/marketplace-site-agent-identities/", Some(agent.clone()),
            uuid.clone(), repeated: false, w => w.agents().create_identity(&registration())),
        case!("PUT" "/api/marketplace-site-agent-identities/0000000000000000000000000000000e/", Some(agent),
            uuid.clone(), repeated: true, w => w.agents().update_identity(IDENTITY, &registration())),
        case!("POST" "/api/marketplace-site-agent-identities/0000000000000000000000000000000e/register_service/",
            Some(json!({"name": "order_process", "mode": "order_process"})),
            uuid.clone(), repeated: true,
            w => w.agents().register_service(IDENTITY, AgentMode::OrderProcess.as_str(), "order_process")),
        case!("POST" "/api/marketplace-site-agent-services/0000000000000000000000000000000f/register_processor/",
            Some(json!({"name": "OfferingOrderProcessor", "backend_type": "ceph_s3", "backend_version": "2"})),
            uuid, repeated: true,
            w => w.agents().register_processor(SERVICE,
                &ProcessorRegistration::new("OfferingOrderProcessor", "ceph_s3").backend_version("2"))),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_write_is_sent_as_documented() {
    for case in writes().into_iter().chain(provider_calls::writes()) {
        let body = case.answer.to_string();
        let script = Script::always(201, body);
        (case.run)(script.client()).await.unwrap();
        let sent = script.only();
        assert_eq!((sent.method.as_str(), sent.path.as_str()), (case.method, case.path));
        assert_eq!(sent.body, case.body, "{}", case.path);
        assert_eq!(sent.headers["content-type"], "application/json");
        assert!(sent.query.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_repeated_only_where_that_does_no_harm() {
    for case in writes().into_iter().chain(provider_calls::writes()) {
        let body = case.answer.to_string();
        let script = Script::new(move |_, number| match number {
            0 => Err(TransportError::new(TransportErrorKind::Interrupted)),
            _ => answer(200, &[], body.clone()),
        });
        let outcome = (case.run)(script.client_with(RetryPolicy::default())).await;
        assert_eq!(script.sent().len(), if case.repeated { 2 } else { 1 }, "{}", case.path);
        assert_eq!(outcome.is_ok(), case.repeated, "{}", case.path);
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_to_a_write_is_a_success() {
    for case in writes().into_iter().chain(provider_calls::writes()).filter(|case| case.answer == json!({})) {
        for status in [200, 201, 202, 204] {
            (case.run)(Script::always(status, "").client()).await.unwrap();
        }
    }
    // Where something is to be read, it is not.
    let error = Script::always(200, "").client().orders().get(ORDER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
}

pub(crate) struct Read {
    pub(crate) run: fn(WaldurClient) -> BoxFuture<'static, Result<()>>,
    pub(crate) path: &'static str,
    /// Without `field`, which has a test of its own.
    pub(crate) query: &'static str,
}

macro_rules! read {
    ($path:literal, $query:literal, $waldur:ident => $call:expr) => {
        $crate::calls::Read {
            run: |$waldur| Box::pin(async move { $call.await.map(drop) }),
            path: $path,
            query: $query,
        }
    };
}

pub(crate) use read;

pub(crate) fn resource_query() -> ResourceQuery {
    ResourceQuery::offering(OFFERING)
        .states([ResourceState::Ok, ResourceState::Erred])
        .project(ProjectUuid::new(Uuid::from_u128(0xb1)))
        .customer(CUSTOMER)
        .name("Storage of Ann")
        .backend_id(backend_id())
}

fn offering_user_query() -> OfferingUserQuery {
    OfferingUserQuery::offering(OFFERING)
        .user(UserUuid::new(Uuid::from_u128(5)))
        .restricted(false)
        .states([OfferingUserState::PendingAccountLinking])
}

fn order_query() -> OrderQuery {
    let query = OrderQuery::offering(OFFERING).resource(RESOURCE).project(ProjectUuid::new(Uuid::from_u128(0xb1)));
    query.modified_before("2026-11-22T05:00:00Z".parse().unwrap())
}

fn reads() -> Vec<Read> {
    vec![
        read!("/api/version/", "", w => w.version()),
        read!("/api/users/me/", "", w => w.users().me()),
        read!("/api/marketplace-orders/", "offering_uuid=000000000000000000000000000000e1&\
            resource_uuid=0000000000000000000000000000000b&project_uuid=000000000000000000000000000000b1&\
            modified_before=2026-11-22T05:00:00Z&o=created&page_size=100",
            w => w.orders().list(&order_query()).collect()),
        read!("/api/marketplace-orders/0000000000000000000000000000000a/", "", w => w.orders().get(ORDER)),
        read!("/api/marketplace-orders/0000000000000000000000000000000a/", "", w => w.orders().state(ORDER)),
        read!("/api/marketplace-plans/000000000000000000000000000000f1/", "", w => w.plans().get(PLAN)),
        read!("/api/marketplace-provider-offerings/000000000000000000000000000000e1/", "",
            w => w.provider_offerings().get(OFFERING)),
        read!("/api/marketplace-provider-resources/", "offering_uuid=000000000000000000000000000000e1&state=OK&\
            state=Erred&project_uuid=000000000000000000000000000000b1&\
            customer_uuid=0000000000000000000000000000000c&name_exact=Storage of Ann&backend_id=hpc_alloc&o=created&\
            page_size=300",
            w => w.provider_resources().list(&resource_query()).collect()),
        read!("/api/marketplace-provider-resources/0000000000000000000000000000000b/", "",
            w => w.provider_resources().get(RESOURCE)),
        read!("/api/marketplace-provider-resources/0000000000000000000000000000000b/team/", "",
            w => w.provider_resources().team(RESOURCE).collect()),
        read!("/api/marketplace-provider-resources/0000000000000000000000000000000b/team/", "has_consent=true",
            w => w.provider_resources().consented_team(RESOURCE).collect()),
        read!("/api/marketplace-offering-users/", "offering_uuid=000000000000000000000000000000e1&\
            user_uuid=00000000000000000000000000000005&is_restricted=false&state=Pending account linking&o=created&\
            page_size=300",
            w => w.offering_users().list(&offering_user_query()).collect()),
        read!("/api/marketplace-service-providers/", "customer_uuid=0000000000000000000000000000000c&page_size=100",
            w => w.service_providers().for_customer(CUSTOMER)),
        read!("/api/marketplace-service-providers/0000000000000000000000000000000d/keys/", "page_size=100",
            w => w.service_providers().keys(PROVIDER).collect()),
        read!("/api/marketplace-site-agent-identities/", "name=agent-x&page_size=100",
            w => w.agents().find_identity("agent-x")),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_read_is_sent_as_documented() {
    for read in reads().into_iter().chain(provider_calls::reads()) {
        let script = Script::new(|request, _| {
            let object =
                r#"{"uuid": "0000000000000000000000000000000a", "state": "done", "type": "Create", "version": "8"}"#;
            let list = request.one("page_size").is_some() || request.path.ends_with("/team/");
            answer(200, &[], if list { "[]" } else { object })
        });
        (read.run)(script.client()).await.unwrap();
        let sent = script.only();
        assert_eq!((sent.method.as_str(), sent.path.as_str()), ("GET", read.path));
        assert_eq!(sent.body, None);
        let shown = sent.query.iter().filter(|(name, _)| name != "field");
        let shown: Vec<_> = shown.map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown.join("&"), read.query, "{}", read.path);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_are_whole_numbers_or_nothing_is_sent() {
    let script = Script::always(200, "{}");
    let resources = script.client();
    let error = resources.provider_resources().set_limits(RESOURCE, &limits(&[("cpu", "1.5")])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(error.message().contains("limit of cpu: must be a whole number, is 1.5"), "{error}");
    assert!(script.sent().is_empty());

    let unlimited = Limits::from_iter([("cpu".to_owned(), Limit::Unlimited)]);
    resources.provider_resources().set_limits(RESOURCE, &unlimited).await.unwrap();
    assert_eq!(script.only().body, Some(json!({"limits": {"cpu": -1}})));
}

#[test]
fn error_details_fit_the_server() {
    let long = "ä".repeat(ErrorDetails::LONGEST);
    let details = ErrorDetails::new(format!("a\0b{long}")).with_traceback(long);
    assert!(details.message().starts_with("a\u{fffd}b"));
    assert!(details.message().len() <= ErrorDetails::LONGEST && details.message().len() > ErrorDetails::LONGEST - 4);
    assert_eq!(details.traceback().len(), ErrorDetails::LONGEST);
    let sent = serde_json::to_value(ErrorDetails::new("only a message")).unwrap();
    assert_eq!(sent, json!({"error_message": "only a message", "error_traceback": ""}));
}

// ----------------------------------------------------------------------------------------------------------- refusals

#[tokio::test(start_paused = true)]
async fn a_server_that_is_too_old_is_not_an_absent_object() {
    let django = "\n<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Not Found</title>\n</head>\n<body>\n  <h1>Not \
                  Found</h1><p>The requested resource was not found on this server.</p>\n</body>\n</html>\n";
    let proxy = "<html><head><title>404 Not Found</title></head><body><center>nginx</center></body></html>";
    let absent = r#"{"detail": "No Resource matches the given query."}"#;
    let refused = async |status: u16, body: &str| {
        let script = Script::always(status, body);
        let waldur = script.client();
        let outcomes = [
            waldur.provider_resources().set_limits(RESOURCE, &limits(&[("cpu", "1")])).await,
            waldur.provider_resources().set_as_ok(RESOURCE).await,
            waldur.provider_resources().set_endpoints(RESOURCE, &[]).await,
            waldur.provider_resources().refresh_last_sync(RESOURCE).await,
            waldur.orders().set_backend_id(ORDER, "x").await,
            waldur.orders().set_provider_info(ORDER, &ProviderInfo::new("x")).await,
            waldur.agents().find_identity("x").await.map(drop),
            waldur.agents().create_identity(&registration()).await.map(drop),
            waldur.agents().update_identity(IDENTITY, &registration()).await.map(drop),
            waldur.agents().register_service(IDENTITY, "x", "y").await.map(drop),
            waldur.agents().register_processor(SERVICE, &ProcessorRegistration::new("x", "y")).await.map(drop),
            waldur
                .provider_offerings()
                .check_unique_backend_id(OFFERING, &backend_id(), &BackendIdCheck::default())
                .await
                .map(drop),
        ];
        let mut errors = outcomes.map(Result::unwrap_err).to_vec();
        for call in provider_calls::newer() {
            errors.push(call(script.client()).await.unwrap_err());
        }
        errors
    };
    for error in refused(404, django).await {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("does not offer"), "{error}");
        assert_eq!(error.status().unwrap(), 404);
    }
    for error in refused(405, r#"{"detail": "Method \"POST\" not allowed."}"#).await {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    for error in refused(404, absent).await {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    for error in refused(404, proxy).await {
        assert_eq!(error.kind(), ErrorKind::WrongContent, "{error}");
    }
    // What every server has is not missing: something else is wrong, and nobody's order fails for it.
    let error = Script::always(404, django).client().orders().set_state_done(ORDER).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongContent);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_with_the_words_of_the_server() {
    let long = json!({"detail": "x".repeat(5000)}).to_string();
    let table = [
        (r#"{"detail": "Valid states for operation: executing."}"#, ": Valid states for operation: executing."),
        (r#"{"limits": {"cpu": ["A valid integer is required."]}}"#, ": limits.cpu: A valid integer is required."),
        (r#"{"non_field_errors": ["Too much."], "plan": ["Gone."]}"#, ": Too much.; plan: Gone."),
        (r#"["The payload must be a dictionary."]"#, ": The payload must be a dictionary."),
        ("{\"detail\": \"a\\nb\"}", ": a\\u{a}b"),
        ("{}", "400 Bad Request"),
        ("", "400 Bad Request"),
        ("{\"detail\": \"cut", "400 Bad Request"),
        (&long, "400 Bad Request"),
    ];
    for (body, end) in table {
        let error = Script::always(400, body).client().orders().set_state_done(ORDER).await.unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::InvalidRequest, "orders.set_state_done"));
        assert!(error.message().ends_with(end), "{}", error.message());
        let http = error.http().unwrap();
        assert_eq!(http.url, "https://waldur.example.org/api/marketplace-orders/{order}/set_state_done/");
    }
}

// ------------------------------------------------------------------------------------------------------------ choices

#[tokio::test(start_paused = true)]
async fn the_service_provider_is_that_of_the_customer() {
    let rows = json!([{"uuid": hex(1), "customer_uuid": hex(7)}, {"uuid": hex(2), "customer_uuid": CUSTOMER}]);
    let found =
        Script::always(200, rows.to_string()).client().service_providers().for_customer(CUSTOMER).await.unwrap();
    assert_eq!(found.unwrap().uuid.hex(), hex(2));
    let none = Script::always(200, "[]").client().service_providers().for_customer(CUSTOMER).await.unwrap();
    assert!(none.is_none());
    let bad = Script::always(200, "[{\"uuid\": 7}]").client().service_providers().for_customer(CUSTOMER).await;
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::Decode);
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_that_of_exactly_this_name() {
    let rows = json!([{"uuid": hex(1), "name": "agent-x-old"}, {"uuid": hex(2), "name": "agent-x"}]);
    let script = Script::always(200, rows.to_string());
    let waldur = script.client();
    assert_eq!(waldur.agents().find_identity("agent-x").await.unwrap().unwrap().uuid.hex(), hex(2));
    assert!(waldur.agents().find_identity("agent").await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn persons_and_contents_do_not_show_in_debug() {
    let canary = "canary-5d1e";
    let body = json!({
        "uuid": hex(1), "state": "OK", "type": "Create", "username": canary, "full_name": canary, "email": canary,
        "offering_user_username": canary, "user_username": canary, "user_full_name": canary, "user_email": canary,
        "created_by_username": canary, "created_by_full_name": canary, "attributes": {"password": canary},
        "backend_metadata": {"s3_credentials": {"secret_key": canary}}, "options": {"a": canary},
        "offering_plugin_options": {"a": canary}, "plugin_options": {"a": canary},
    });
    let script = Script::new(move |request, _| {
        let listed = request.path.ends_with("/team/") || request.path.ends_with("-users/");
        answer(200, &[], if listed { json!([body]).to_string() } else { body.to_string() })
    });
    let waldur = script.client();
    let order = waldur.orders().get(ORDER).await.unwrap();
    assert_eq!((&order.kind, order.created_by_full_name.as_ref().unwrap().as_str()), (&OrderType::Create, canary));
    let resource = waldur.provider_resources().get(RESOURCE).await.unwrap();
    assert_eq!(resource.options.text("a"), Some(canary));
    let shown = [
        format!("{order:#?}"),
        format!("{resource:?}"),
        format!("{:?}", waldur.provider_offerings().get(OFFERING).await.unwrap()),
        format!("{:?}", waldur.users().me().await.unwrap()),
        format!("{:?}", waldur.provider_resources().team(RESOURCE).collect().await.unwrap()),
        format!("{:?}", waldur.offering_users().list(&OfferingUserQuery::default()).collect().await.unwrap()),
    ];
    for text in &shown {
        assert!(!text.contains("canary"), "{text}");
    }
    assert!(shown[1].contains("s3_credentials"), "names of members are shown: {}", shown[1]);
}
