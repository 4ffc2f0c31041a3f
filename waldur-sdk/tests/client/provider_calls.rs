//! The calls beyond orders and resources as they are sent: agents' events, keys, imports, components, who is who.

use crate::calls::{
    CUSTOMER, Case, IDENTITY, OFFERING, PROVIDER, RESOURCE, Read, SERVICE, backend_id, case, details, hex, read,
    resource_query,
};
use secrecy::SecretString;
use serde_json::{Map, json};
use waldur_sdk::{
    Result,
    client::{
        AgentIdentityQuery, AgentLogEntry, BackendResourceQuery, BackendResourceRequestQuery,
        BackendResourceRequestState, CommandResult, ComponentDefinition, CustomerQuery, NewBackendResource,
        ObservableObject, OfferingQuery, OfferingState, ProjectQuery, ResourceApiKeyQuery, ResourceApiKeyState,
        UserQuery, WaldurClient,
    },
    rest::BoxFuture,
    types::{
        ApiKeyUuid, BackendResourceRequestUuid, BillingType, ComponentUuid, EventSubscriptionUuid, LimitPeriod,
        PeriodicUsagePolicyUuid, ProjectUuid, UserUuid, Uuid,
    },
};

const KEY: ApiKeyUuid = ApiKeyUuid::new(Uuid::from_u128(0xa1));
const REQUEST: BackendResourceRequestUuid = BackendResourceRequestUuid::new(Uuid::from_u128(0xa2));
const SUBSCRIPTION: EventSubscriptionUuid = EventSubscriptionUuid::new(Uuid::from_u128(0xa3));
const POLICY: PeriodicUsagePolicyUuid = PeriodicUsagePolicyUuid::new(Uuid::from_u128(0xa4));
const COMPONENT: ComponentUuid = ComponentUuid::new(Uuid::from_u128(0xa5));
const PROJECT: ProjectUuid = ProjectUuid::new(Uuid::from_u128(0xb1));
const USER: UserUuid = UserUuid::new(Uuid::from_u128(5));

fn secret() -> SecretString {
    "s3cr3t".to_owned().into()
}

fn component() -> ComponentDefinition {
    let mut component = ComponentDefinition::new("cpu", BillingType::Limit, "CPU", "hours");
    component.limit_period = Some(LimitPeriod::Month);
    component.max_value = Some(100);
    component.prepaid_duration_step = Some(3);
    component.min_renewal_duration = Some(1);
    component.max_renewal_duration = Some(12);
    component.renewal_duration_step = Some(6);
    component
}

pub(crate) fn writes() -> Vec<Case> {
    let uuid = json!({"uuid": hex(1)});
    let cpu = json!({
        "type": "cpu", "billing_type": "limit", "name": "CPU", "measured_unit": "hours", "limit_amount": null,
        "limit_period": "month", "max_value": 100, "prepaid_duration_step": 3, "min_renewal_duration": 1,
        "max_renewal_duration": 12, "renewal_duration_step": 6,
    });
    let mut update = cpu.clone();
    update["uuid"] = json!(hex(0xa5));
    let line = json!([{
        "agent_identity_uuid": hex(0x0e), "timestamp": 1_795_305_600.5, "level": "INFO", "message": "up",
        "module": "agent",
    }]);
    let row = json!({
        "name": "hpc_alloc", "project": hex(0xb1), "offering": hex(0xe1), "backend_id": "hpc_alloc",
        "backend_metadata": {"limits": {"cpu": 1}},
    });
    let verdict = json!({
        "resource_uuid": hex(0x0b), "success": false, "error_message": "no such qos", "commands_executed": ["a", "b"],
    });
    vec![
        case!("POST" "/api/marketplace-site-agent-identities/0000000000000000000000000000000e/register_queue/",
            Some(json!({"object_types": ["order", "resource"]})),
            json!({"queue_name": "consumer_x"}), repeated: true,
            w => w.agents().register_queue(IDENTITY, &[ObservableObject::Order, ObservableObject::Resource])),
        case!("POST"
            "/api/marketplace-site-agent-identities/0000000000000000000000000000000e/register_event_subscription/",
            Some(json!({"observable_object_type": "order", "description": "mine"})), uuid.clone(), repeated: true,
            w => w.agents().register_event_subscription(IDENTITY, &ObservableObject::Order, "mine")),
        case!("POST" "/api/event-subscriptions/000000000000000000000000000000a3/create_queue/",
            Some(json!({"offering_uuid": hex(0xe1), "object_type": "order"})), uuid.clone(), repeated: true,
            w => w.agents().create_queue(SUBSCRIPTION, OFFERING, &ObservableObject::Order)),
        case!("POST" "/api/marketplace-site-agent-logs/", Some(line), json!({}), repeated: false,
            w => w.agents().ship_logs(&[AgentLogEntry::new(
                IDENTITY, "2026-11-22T00:00:00.5Z".parse().unwrap(), "INFO", "agent", "up")])),
        case!("POST" "/api/marketplace-site-agent-services/0000000000000000000000000000000f/set_statistics/",
            Some(json!({"statistics": {"orders": 7}})), json!({}), repeated: true,
            w => w.agents().set_statistics(SERVICE, &Map::from_iter([("orders".to_owned(), json!(7))]))),
        case!("POST" "/api/marketplace-resource-api-keys/report_created/",
            Some(json!({"resource": hex(0x0b), "client_id": "AK1", "api_key": "s3cr3t"})), json!({}), repeated: false,
            w => w.api_keys().report_created(RESOURCE, "AK1", &secret())),
        case!("POST" "/api/marketplace-resource-api-keys/000000000000000000000000000000a1/set_key/",
            Some(json!({"api_key": "s3cr3t"})), json!({}), repeated: true,
            w => w.api_keys().set_key(KEY, None, &secret())),
        case!("POST" "/api/marketplace-resource-api-keys/000000000000000000000000000000a1/set_key/",
            Some(json!({"api_key": "s3cr3t", "client_id": "AK2"})), json!({}), repeated: true,
            w => w.api_keys().set_key(KEY, Some("AK2"), &secret())),
        case!("POST" "/api/marketplace-resource-api-keys/000000000000000000000000000000a1/set_erred/",
            Some(json!({"error_message": "no room"})), json!({}), repeated: true,
            w => w.api_keys().set_erred(KEY, "no room")),
        case!("POST" "/api/backend-resources/", Some(row), uuid, repeated: false,
            w => w.backend_resources().create(&NewBackendResource::new(OFFERING, PROJECT, backend_id())
                .metadata(Map::from_iter([("limits".to_owned(), json!({"cpu": 1}))])))),
        case!("POST" "/api/backend-resource-requests/000000000000000000000000000000a2/start_processing/",
            Some(json!({})), json!({}), repeated: false,
            w => w.backend_resource_requests().start_processing(REQUEST)),
        case!("POST" "/api/backend-resource-requests/000000000000000000000000000000a2/set_done/",
            Some(json!({})), json!({}), repeated: false, w => w.backend_resource_requests().set_done(REQUEST)),
        case!("POST" "/api/backend-resource-requests/000000000000000000000000000000a2/set_erred/",
            Some(json!({"error_message": "no room", "error_traceback": "disk full"})), json!({}), repeated: false,
            w => w.backend_resource_requests().set_erred(REQUEST, &details())),
        case!("POST" "/api/marketplace-provider-offerings/000000000000000000000000000000e1/create_offering_component/",
            Some(cpu), json!({}), repeated: false,
            w => w.provider_offerings().create_component(OFFERING, &component())),
        case!("POST" "/api/marketplace-provider-offerings/000000000000000000000000000000e1/update_offering_component/",
            Some(update), json!({}), repeated: true,
            w => w.provider_offerings().update_component(OFFERING, COMPONENT, &component())),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_effective_id/",
            Some(json!({"effective_id": "target"})), json!({}), repeated: true,
            w => w.provider_resources().set_effective_id(RESOURCE, "target")),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_end_date/",
            Some(json!({"end_date": "2027-01-31"})), json!({}), repeated: true,
            w => w.provider_resources().set_end_date(RESOURCE, Some("2027-01-31".parse().unwrap()))),
        case!("POST" "/api/marketplace-provider-resources/0000000000000000000000000000000b/set_end_date/",
            Some(json!({"end_date": null})), json!({}), repeated: true,
            w => w.provider_resources().set_end_date(RESOURCE, None)),
        case!("POST" "/api/marketplace-slurm-periodic-usage-policies/000000000000000000000000000000a4/report-command-result/",
            Some(verdict), json!({}), repeated: false,
            w => w.periodic_usage_policies().report_command_result(POLICY,
                &CommandResult::failure(RESOURCE, "no such qos").commands(["a".to_owned(), "b".to_owned()]))),
    ]
}

fn keys_query() -> ResourceApiKeyQuery {
    ResourceApiKeyQuery::offering(OFFERING)
        .states([ResourceApiKeyState::Updating])
        .modified_before("2026-11-22T05:00:00Z".parse().unwrap())
}

fn project_query() -> ProjectQuery {
    ProjectQuery::slug("proj-1").name("Project").customer(CUSTOMER).user(USER)
}

fn user_query() -> UserQuery {
    UserQuery::default().username("ann").email("ann@example.org").project(PROJECT).customer(CUSTOMER).active(true)
}

fn customer_query() -> CustomerQuery {
    CustomerQuery::default().name("Org").text("Or").user(USER).archived(false)
}

fn offering_query() -> OfferingQuery {
    OfferingQuery::default().states([OfferingState::Active, OfferingState::Paused]).customer(CUSTOMER).name("HPC")
}

fn objects_query() -> BackendResourceQuery {
    BackendResourceQuery::offering(OFFERING).backend_id(backend_id()).project(PROJECT)
}

fn wishes_query() -> BackendResourceRequestQuery {
    BackendResourceRequestQuery::offering(OFFERING).states([BackendResourceRequestState::Sent])
}

pub(crate) fn reads() -> Vec<Read> {
    vec![
        read!("/api/marketplace-site-agent-identities/",
            "offering_uuid=000000000000000000000000000000e1&page_size=100",
            w => w.agents().identities(&AgentIdentityQuery::offering(OFFERING)).collect()),
        read!("/api/marketplace-resource-api-keys/", "offering_uuid=000000000000000000000000000000e1&state=Updating&\
            modified_before=2026-11-22T05:00:00Z&page_size=100",
            w => w.api_keys().list(&keys_query()).collect()),
        read!("/api/marketplace-resource-api-keys/", "resource_uuid=0000000000000000000000000000000b&page_size=100",
            w => w.api_keys().list(&ResourceApiKeyQuery::resource(RESOURCE)).collect()),
        read!("/api/backend-resources/", "backend_id=hpc_alloc&project_uuid=000000000000000000000000000000b1&\
            offering_uuid=000000000000000000000000000000e1&page_size=100",
            w => w.backend_resources().list(&objects_query()).collect()),
        read!("/api/backend-resource-requests/",
            "offering_uuid=000000000000000000000000000000e1&state=Sent&page_size=100",
            w => w.backend_resource_requests().list(&wishes_query()).collect()),
        read!("/api/backend-resource-requests/000000000000000000000000000000a2/", "",
            w => w.backend_resource_requests().get(REQUEST)),
        read!("/api/marketplace-resources/", "offering_uuid=000000000000000000000000000000e1&state=OK&state=Erred&\
            project_uuid=000000000000000000000000000000b1&\
            customer_uuid=0000000000000000000000000000000c&name_exact=Storage of Ann&backend_id=hpc_alloc&o=created&\
            page_size=300",
            w => w.marketplace_resources().list(&resource_query()).collect()),
        read!("/api/marketplace-resources/0000000000000000000000000000000b/", "",
            w => w.marketplace_resources().get(RESOURCE)),
        read!("/api/marketplace-provider-offerings/", "state=Active&state=Paused&\
            customer_uuid=0000000000000000000000000000000c&name_exact=HPC&page_size=100",
            w => w.provider_offerings().list(&offering_query()).collect()),
        read!("/api/projects/", "slug=proj-1&name_exact=Project&customer=0000000000000000000000000000000c&\
            user_uuid=00000000000000000000000000000005&page_size=100",
            w => w.projects().list(&project_query()).collect()),
        read!("/api/projects/", "slug=proj-1&page_size=100", w => w.projects().find_by_slug("proj-1")),
        read!("/api/projects/000000000000000000000000000000b1/", "", w => w.projects().get(PROJECT)),
        read!("/api/projects/000000000000000000000000000000b1/list_users/", "page_size=100",
            w => w.projects().users(PROJECT).collect()),
        read!("/api/customers/", "name_exact=Org&query=Or&user_uuid=00000000000000000000000000000005&archived=false&\
            page_size=100",
            w => w.customers().list(&customer_query()).collect()),
        read!("/api/customers/0000000000000000000000000000000c/", "", w => w.customers().get(CUSTOMER)),
        read!("/api/customers/0000000000000000000000000000000c/list_users/", "page_size=100",
            w => w.customers().users(CUSTOMER).collect()),
        read!("/api/users/", "username=ann&email=ann@example.org&project_uuid=000000000000000000000000000000b1&\
            customer_uuid=0000000000000000000000000000000c&is_active=true&page_size=100",
            w => w.users().list(&user_query()).collect()),
        read!("/api/users/00000000000000000000000000000005/", "", w => w.users().get(USER)),
        read!("/api/users/", "username=ann&page_size=100", w => w.users().find_by_username("ann")),
        read!("/api/roles/", "name=PROJECT&page_size=100", w => w.roles().list(Some("PROJECT")).collect()),
        read!("/api/marketplace-service-providers/", "page_size=100", w => w.service_providers().list().collect()),
        read!("/api/marketplace-service-providers/0000000000000000000000000000000d/", "",
            w => w.service_providers().get(PROVIDER)),
        read!("/api/marketplace-service-providers/0000000000000000000000000000000d/projects/",
            "query=000000000000000000000000000000b1&page_size=100",
            w => w.service_providers().project(PROVIDER, PROJECT)),
        read!("/api/marketplace-service-providers/0000000000000000000000000000000d/project_permissions/",
            "page_size=100",
            w => w.service_providers().project_permissions(PROVIDER).collect()),
        read!("/api/marketplace-service-providers/0000000000000000000000000000000d/customers/", "page_size=100",
            w => w.service_providers().customers(PROVIDER).collect()),
        read!("/api/marketplace-service-providers/0000000000000000000000000000000d/users/", "page_size=100",
            w => w.service_providers().users(PROVIDER).collect()),
    ]
}

type Call = fn(WaldurClient) -> BoxFuture<'static, Result<()>>;

/// Every call of this file that a server of 2024 does not have.
pub(crate) fn newer() -> Vec<Call> {
    let everywhere = ["_offering_component/"];
    let is_newer = |path: &str| !everywhere.iter().any(|end| path.ends_with(end));
    let reads = reads()
        .into_iter()
        .filter(|read| ["-identities/", "-api-keys/", "backend-resource"].iter().any(|part| read.path.contains(part)));
    let writes = writes().into_iter().filter(|case| is_newer(case.path));
    writes.map(|case| case.run).chain(reads.map(|read| read.run)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_queue_for_nothing_is_not_asked_for() {
    let script = crate::client_support::Script::always(200, "{}");
    let error = script.client().agents().register_queue(IDENTITY, &[]).await.unwrap_err();
    assert_eq!(error.kind(), waldur_sdk::ErrorKind::InvalidRequest);
    assert!(script.sent().is_empty());
}
