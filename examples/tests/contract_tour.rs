//! A tour of the fake of generation 8: through every call of the client, and every path that the fake serves.
//!
//! By itself it shows that nothing was left out. `dev/contract.sh` holds what was said on it, and in the rest of the suite,
//! against a published contract.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

#[path = "../../waldur-sdk/tests/support/exchanges.rs"]
mod exchanges;

use std::{collections::BTreeSet, fs};

use bytes::Bytes;
use http::{Request, header};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use waldur_sdk::{
    client::{
        AgentIdentityQuery, AgentLogEntry, AgentMode, AgentRegistration, BackendIdCheck, BackendResourceQuery,
        BackendResourceRequestQuery, CommandResult, ComponentDefinition, CustomerQuery, Dependency, ErrorDetails,
        NewBackendResource, ObservableObject, OfferingQuery, OfferingUserQuery, OrderQuery, ProcessorRegistration,
        ProjectQuery, ProviderInfo, ResourceApiKeyQuery, ResourceQuery, UsageQuery, UsageSubmission, UserQuery,
        UserUsage, WaldurClient,
    },
    rest::{Http, HttpTransport, RetryPolicy},
    testing::{
        Recording,
        waldur::{Billing, FakeWaldur, Generation, LimitPeriod, OfferingUserState, OrderState, ResourceState},
    },
    types::{
        Amounts, BackendId, BillingType, ComponentUuid, Endpoint, Limit, Limits, OfferingUserUuid, OfferingUuid,
        PeriodicUsagePolicyUuid, PlanUuid, ResourceUuid, UserUuid, Uuid, WaldurAmount,
    },
};

use OfferingUserState as S;

/// What is there before the tour begins.
struct World {
    waldur: FakeWaldur,
    tape: Recording,
    offering: OfferingUuid,
    plan: PlanUuid,
    resource: ResourceUuid,
    member: UserUuid,
    account: OfferingUserUuid,
}

impl World {
    fn new() -> Self {
        let waldur = exchanges::fake_waldur(Generation::V8);
        let offering = waldur
            .offering()
            .name("Object storage")
            .backend_id("cluster-1")
            .partition("gpu")
            .plugin_option("username_generation_policy", "service_provider")
            .plugin_option("service_provider_can_create_offering_user", true)
            .component_with("storage", Billing::Limit, |storage| {
                storage.unit("GB").bounds(1, 1000).default_limit(10).limit_period(LimitPeriod::Month)
            })
            .component("traffic", Billing::Usage)
            .plan("Small", |plan| plan.price("storage", 1).quota("storage", 10))
            .plan("Large", |plan| plan.price("storage", 2))
            .create();
        let project = waldur.default_project();
        let member = waldur.user("member").name("Mem", "Ber").project_role(project, "PROJECT.MEMBER");
        let member = member.ssh_key("laptop", "ssh-ed25519 AAAA member").create();
        let account = waldur.offering_user(offering, member).username("m1").create();
        let resource = waldur.resource(offering).backend_id("res-1").limits([("storage", 5)]).create();
        let plan = waldur.plan(offering, "Large");
        let tape = Recording::new(waldur.clone());
        Self { waldur, tape, offering, plan, resource, member, account }
    }

    fn client(&self, token: SecretString) -> WaldurClient {
        let http = Http::new(self.tape.clone()).with_retry(RetryPolicy::none());
        let builder = WaldurClient::builder(self.waldur.base_url()).http(http).token(token);
        builder.agent_mode(AgentMode::OrderProcess).build().unwrap()
    }

    /// Sends a request that the client has no call for.
    async fn send(&self, user: UserUuid, method: &str, path: &str, body: Option<Value>) -> u16 {
        let token = self.waldur.token_of(user);
        let request = Request::builder()
            .method(method)
            .uri(format!("{}api/{path}/", self.waldur.base_url()))
            .header(header::AUTHORIZATION, format!("Token {}", token.expose_secret()))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
            .unwrap();
        self.tape.send(request).await.unwrap().status().as_u16()
    }
}

fn details() -> ErrorDetails {
    ErrorDetails::new("no room").with_traceback("disk full")
}

async fn orders(world: &World, waldur: &WaldurClient) {
    let orders = waldur.orders();
    let new = |name: &str| world.waldur.order(world.offering).create_resource(name).limits([("storage", 3)]).pending();
    let (one, two, three) = (new("one"), new("two"), new("three"));
    orders.set_provider_info(one, &ProviderInfo::new("soon").url("https://example.org/")).await.unwrap();
    orders.list(&OrderQuery::offering(world.offering)).collect().await.unwrap().complete().unwrap();
    orders.get(one).await.unwrap();
    orders.approve_by_provider(one).await.unwrap();
    orders.state(one).await.unwrap();
    orders.set_backend_id(one, "job-1").await.unwrap();
    orders.set_state_done(one).await.unwrap();
    orders.reject_by_provider(two, Some("no")).await.unwrap();
    orders.approve_by_provider(three).await.unwrap();
    orders.set_state_erred(three, &details()).await.unwrap();
    for order in [one, two, three] {
        orders.get(order).await.unwrap();
    }
}

async fn resources(world: &World, waldur: &WaldurClient) {
    let (resources, resource) = (waldur.provider_resources(), world.resource);
    let limits: Limits = [("storage".to_owned(), Limit::At(WaldurAmount::from(7_u32)))].into();
    let endpoints = [Endpoint { name: "S3".to_owned(), url: "https://s3.example.org/".to_owned() }];
    let query = ResourceQuery::offering(world.offering).project(world.waldur.default_project());
    resources.list(&query).collect().await.unwrap().complete().unwrap();
    resources.get(resource).await.unwrap();
    resources.team(resource).collect().await.unwrap();
    resources.consented_team(resource).collect().await.unwrap();
    resources.set_backend_id(resource, Some(&BackendId::new("res-2").unwrap())).await.unwrap();
    resources.set_limits(resource, &limits).await.unwrap();
    let metadata = Map::from_iter([("quota".to_owned(), json!(7))]);
    resources.set_backend_metadata(resource, &metadata).await.unwrap();
    resources.set_endpoints(resource, &endpoints).await.unwrap();
    resources.refresh_last_sync(resource).await.unwrap();
    resources.set_effective_id(resource, "target").await.unwrap();
    resources.set_end_date(resource, Some("2027-01-31".parse().unwrap())).await.unwrap();
    resources.set_as_erred(resource, &details()).await.unwrap();
    resources.set_as_ok(resource).await.unwrap();
    waldur.marketplace_resources().list(&query).collect().await.unwrap().complete().unwrap();
    waldur.marketplace_resources().get(resource).await.unwrap();
}

async fn offerings(world: &World, waldur: &WaldurClient) {
    let (offerings, offering) = (waldur.provider_offerings(), world.offering);
    offerings.list(&OfferingQuery::default()).collect().await.unwrap().complete().unwrap();
    let check = BackendIdCheck::default().all_offerings().offering_rules();
    offerings.check_unique_backend_id(offering, &BackendId::new("res-1").unwrap(), &check).await.unwrap();
    let mut component = ComponentDefinition::new("ram", BillingType::Usage, "RAM", "GB");
    component.description = Some("memory".to_owned());
    offerings.create_component(offering, &component).await.unwrap();
    let row = offerings.get(offering).await.unwrap();
    let made: ComponentUuid = row.components.iter().find(|row| row.kind == "ram").unwrap().uuid.unwrap();
    component.limit_amount = Some(5);
    offerings.update_component(offering, made, &component).await.unwrap();
    waldur.plans().get(world.plan).await.unwrap();
}

async fn people(world: &World, waldur: &WaldurClient) {
    let provider = waldur.service_providers().for_customer(world.waldur.provider()).await.unwrap().unwrap().uuid;
    let providers = waldur.service_providers();
    providers.get(provider).await.unwrap();
    providers.list().collect().await.unwrap().complete().unwrap();
    providers.keys(provider).collect().await.unwrap().complete().unwrap();
    providers.projects(provider, &ProjectQuery::default()).collect().await.unwrap().complete().unwrap();
    providers.project(provider, world.waldur.default_project()).await.unwrap().unwrap();
    providers.project_permissions(provider).collect().await.unwrap().complete().unwrap();
    providers.customers(provider).collect().await.unwrap().complete().unwrap();
    providers.users(provider).collect().await.unwrap().complete().unwrap();
    providers.set_offerings_username(provider, world.member, "m2").await.unwrap();
    let users = waldur.offering_users();
    users.create_remote_offering_user(world.offering, world.member, "m3").await.unwrap();
    let owner = users.create_remote_offering_user(world.offering, world.waldur.owner(), "o1").await.unwrap().uuid;
    let query = OfferingUserQuery::offering(world.offering).restricted(false);
    let account = users.list(&query).collect().await.unwrap().complete().unwrap().items()[0].uuid;
    users.summaries(&query).collect().await.unwrap().complete().unwrap();
    users.update_comments(account, "Link it.", Some("https://desk.example/1")).await.unwrap();
    users.set_restricted(account, true).await.unwrap();
    users.set_restricted(account, false).await.unwrap();
    users.delete(owner).await.unwrap();
    waldur.users().me().await.unwrap();
    waldur.users().list(&UserQuery::default()).collect().await.unwrap().complete().unwrap();
    waldur.roles().list(None).collect().await.unwrap().complete().unwrap();
    waldur.customers().list(&CustomerQuery::default()).collect().await.unwrap().complete().unwrap();

    let owner = world.client(world.waldur.token_of(world.waldur.owner()));
    let project = world.waldur.default_project();
    let slug = owner.projects().get(project).await.unwrap().slug.unwrap();
    owner.projects().find_by_slug(&slug).await.unwrap().unwrap();
    owner.projects().users(project).collect().await.unwrap().complete().unwrap();
    owner.customers().get(world.waldur.consumer()).await.unwrap();
    owner.customers().users(world.waldur.consumer()).collect().await.unwrap().complete().unwrap();
    owner.users().get(world.member).await.unwrap();
    owner.users().find_by_username("member").await.unwrap().unwrap();
    let staff = world.client(world.waldur.token_of(world.waldur.staff()));
    staff.detect().await.unwrap().version().unwrap();
}

async fn agents(world: &World, waldur: &WaldurClient) {
    let agents = waldur.agents();
    let dependency = Dependency { package: "waldur-sdk".to_owned(), version: "1".to_owned() };
    let agent = AgentRegistration::new(world.offering, "agent-x").version("1").dependencies([dependency]);
    let agent = agent.last_restarted("2026-01-01T00:00:00Z".parse().unwrap());
    let identity = agents.put_identity(&agent).await.unwrap().uuid;
    agents.put_identity(&agent).await.unwrap();
    let path = format!("marketplace-site-agent-identities/{identity}");
    assert_eq!(world.send(world.waldur.agent(), "GET", &path, None).await, 200);
    agents.identities(&AgentIdentityQuery::offering(world.offering)).collect().await.unwrap().complete().unwrap();
    let service = agents.register_service(identity, "order_process", "order_process").await.unwrap().uuid;
    let processor = ProcessorRegistration::new("OfferingOrderProcessor", "memory").backend_version("1");
    agents.register_processor(service, &processor).await.unwrap();
    agents.set_statistics(service, &Map::from_iter([("orders".to_owned(), json!(7))])).await.unwrap();
    agents.register_queue(identity, &[ObservableObject::Order]).await.unwrap();
    let object = ObservableObject::Order;
    let subscription = agents.register_event_subscription(identity, &object, "tour").await.unwrap().uuid;
    agents.create_queue(subscription, world.offering, &object).await.unwrap();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    agents.ship_logs(&[AgentLogEntry::new(identity, now, "INFO", "tour", "hello")]).await.unwrap();
    let verdict = CommandResult::success(world.resource).commands(["true".to_owned()]);
    let policy = PeriodicUsagePolicyUuid::new(Uuid::from_u128(7));
    waldur.periodic_usage_policies().report_command_result(policy, &verdict).await.unwrap();
}

async fn usage(world: &World, waldur: &WaldurClient) {
    let (usages, resource) = (waldur.component_usages(), world.resource);
    let traffic: Amounts = [("traffic".to_owned(), WaldurAmount::from(5_u32))].into();
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    usages.set_usage(&UsageSubmission::new(resource, traffic).date(now)).await.unwrap();
    let query = UsageQuery::resource(resource);
    let row = usages.list(&query).collect().await.unwrap().complete().unwrap().items()[0].uuid;
    let path = format!("marketplace-component-usages/{row}");
    assert_eq!(world.send(world.waldur.agent(), "GET", &path, None).await, 200);
    let share = UserUsage::new("m1", WaldurAmount::from(2_u32)).date(now);
    usages.set_user_usages(row, std::slice::from_ref(&share)).await.unwrap();
    usages.set_user_usage(row, &share).await.unwrap();
    usages.list_of_users(&query).collect().await.unwrap().complete().unwrap();
    usages.plan_periods(resource).collect().await.unwrap();
    let summary = ResourceQuery::offering(world.offering);
    waldur.provider_resources().summaries(&summary).collect().await.unwrap().complete().unwrap();
    waldur.provider_resources().summary(resource).await.unwrap();
}

async fn keys_and_imports(world: &World, waldur: &WaldurClient) {
    let keys = waldur.api_keys();
    let secret = SecretString::from("s3cr3t");
    keys.report_created(world.resource, "AK1", &secret).await.unwrap();
    let query = ResourceApiKeyQuery::resource(world.resource);
    let key = keys.list(&query).collect().await.unwrap().complete().unwrap().items()[0].uuid;
    keys.set_key(key, Some("AK2"), &secret).await.unwrap();
    keys.set_erred(key, "no").await.unwrap();
    let (done, erred) = (world.waldur.import_request(world.offering), world.waldur.import_request(world.offering));
    let requests = waldur.backend_resource_requests();
    let query = BackendResourceRequestQuery::offering(world.offering);
    requests.list(&query).collect().await.unwrap().complete().unwrap();
    requests.get(done).await.unwrap();
    for request in [done, erred] {
        requests.start_processing(request).await.unwrap();
    }
    let project = world.waldur.default_project();
    let row = NewBackendResource::new(world.offering, project, BackendId::new("found").unwrap());
    waldur.backend_resources().create(&row).await.unwrap();
    let query = BackendResourceQuery::offering(world.offering);
    waldur.backend_resources().list(&query).collect().await.unwrap().complete().unwrap();
    requests.set_done(done).await.unwrap();
    requests.set_erred(erred, &details()).await.unwrap();
    requests.get(erred).await.unwrap();
}

/// What customers do, and what providers do by hand: the client has no calls for it.
async fn by_hand(world: &World) {
    let (agent, owner, staff) = (world.waldur.agent(), world.waldur.owner(), world.waldur.staff());
    let root = world.waldur.base_url();
    let public = format!("{root}api/marketplace-public-offerings/{}/", world.offering);
    let order = json!({
        "offering": public, "plan": format!("{public}plans/{}/", world.plan),
        "project": format!("{root}api/projects/{}/", world.waldur.default_project()),
        "attributes": {"name": "by hand"}, "limits": {"storage": 4},
    });
    let (offering, resource, account) = (world.offering, world.resource, world.account);
    let changed = world.waldur.resource(offering).backend_id("changed").limits([("storage", 5)]).create();
    let ended = world.waldur.resource(offering).backend_id("ended").create();
    let pending = world.waldur.order(offering).create_resource("consumer").in_state(OrderState::PendingConsumer);
    let unwanted = world.waldur.order(offering).create_resource("unwanted").in_state(OrderState::PendingConsumer);
    let executing = world.waldur.order(offering).create_resource("unlinked").executing();
    let steps = [
        (owner, "POST", "marketplace-orders".to_owned(), Some(order)),
        (owner, "POST", format!("marketplace-orders/{pending}/approve_by_consumer"), Some(json!({}))),
        (staff, "POST", format!("marketplace-orders/{executing}/unlink"), None),
        (owner, "DELETE", format!("marketplace-orders/{unwanted}"), None),
        (owner, "GET", format!("marketplace-public-offerings/{offering}"), None),
        (owner, "GET", format!("marketplace-public-offerings/{offering}/plans"), None),
        (
            owner,
            "POST",
            format!("marketplace-resources/{changed}/update_limits"),
            Some(json!({"limits": {"storage": 6}})),
        ),
        (owner, "POST", format!("marketplace-resources/{ended}/terminate"), Some(json!({}))),
        (agent, "PATCH", format!("marketplace-provider-resources/{resource}"), Some(json!({"description": "mine"}))),
        (agent, "PUT", format!("marketplace-offering-users/{account}"), Some(json!({"username": "m4"}))),
        (
            agent,
            "POST",
            format!("marketplace-offering-users/{account}/update_restricted"),
            Some(json!({"is_restricted": true})),
        ),
        (agent, "GET", format!("marketplace-offering-users/{account}"), None),
    ];
    for (user, method, path, body) in steps {
        let status = world.send(user, method, &path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status}");
    }
    let transitions = [
        (S::Requested, "begin_creating"),
        (S::Creating, "set_error_creating"),
        (S::Creating, "set_pending_account_linking"),
        (S::Creating, "set_pending_additional_validation"),
        (S::PendingAccountLinking, "set_validation_complete"),
        (S::Ok, "request_deletion"),
        (S::RequestedDeletion, "set_deleting"),
        (S::Deleting, "set_error_deleting"),
        (S::Deleting, "set_deleted"),
        (S::Requested, "set_ok"),
    ];
    for (number, (state, action)) in transitions.into_iter().enumerate() {
        let user = world.waldur.user(&format!("user{number}")).create();
        let row = world.waldur.offering_user(offering, user).state(state).create();
        let body = action
            .starts_with("set_pending")
            .then(|| json!({"comment": "link", "comment_url": "https://example.org/"}));
        let path = format!("marketplace-offering-users/{row}/{action}");
        let status = world.send(agent, "POST", &path, body).await;
        assert!((200..300).contains(&status), "{action}: {status}");
    }
    assert_eq!(world.send(agent, "DELETE", &format!("marketplace-offering-users/{account}"), None).await, 204);
}

/// Whatever is served and was not visited yet, with ids that are there. A refusal shows the path, if not the answer.
async fn the_rest(world: &World) -> Vec<String> {
    let staff = world.waldur.staff();
    let spare = world.waldur.resource(world.offering).state(ResourceState::Ok).create();
    let order = world.waldur.order(world.offering).create_resource("spare").executing();
    let mut refused = Vec::new();
    for (method, template) in world.waldur.served() {
        if visited(world).contains(&(method.to_owned(), template.to_owned())) {
            continue;
        }
        let id = match template.split('/').next().unwrap() {
            "marketplace-orders" => order.hex(),
            "marketplace-provider-resources" | "marketplace-resources" => spare.hex(),
            "users" => world.member.hex(),
            "projects" => world.waldur.default_project().hex(),
            "customers" => world.waldur.consumer().hex(),
            "marketplace-plans" => world.plan.hex(),
            "marketplace-offering-users" => world.account.hex(),
            _ => world.offering.hex(),
        };
        let path = template.replace("{}", &id);
        let status = world.send(staff, method, &path, (method != "GET").then(|| json!({}))).await;
        if !(200..300).contains(&status) {
            refused.push(format!("{method} {template}: {status}"));
        }
    }
    refused
}

/// Methods and templates that the tape has.
fn visited(world: &World) -> BTreeSet<(String, String)> {
    let served = world.waldur.served();
    let is = |path: &str, template: &str| {
        let (path, template) = (path.split('/').collect::<Vec<_>>(), template.split('/').collect::<Vec<_>>());
        path.len() == template.len()
            && path.iter().zip(&template).all(|(part, wanted)| part == wanted || *wanted == "{}")
    };
    let of = |method: &str, path: &str| {
        let path = path.trim_start_matches("/api/").trim_end_matches('/').to_owned();
        // The first that fits, as the server itself decides.
        served
            .iter()
            .find(|(_, template)| is(&path, template))
            .map(|(_, template)| (method.to_owned(), (*template).to_owned()))
    };
    world.tape.exchanges().iter().filter_map(|exchange| of(exchange.method.as_str(), &exchange.path)).collect()
}

#[tokio::test(start_paused = true)]
async fn every_call_and_every_path_is_visited() {
    let world = World::new();
    let waldur = world.client(world.waldur.token());
    orders(&world, &waldur).await;
    resources(&world, &waldur).await;
    offerings(&world, &waldur).await;
    people(&world, &waldur).await;
    agents(&world, &waldur).await;
    usage(&world, &waldur).await;
    keys_and_imports(&world, &waldur).await;
    by_hand(&world).await;
    let refused = the_rest(&world).await;
    // Changing an order by hand is the one thing that generation 8 has and the fake says it does not play.
    let unserved = world.waldur.unserved();
    assert!(unserved.iter().all(|call| call.contains(" /api/marketplace-orders/")), "{unserved:#?}");

    // Methods that the server refuses are refused here too; whatever else is refused has to be visited by hand.
    let unexpected: Vec<_> = refused
        .iter()
        .filter(|line| !line.ends_with(": 405") && !line.ends_with(": 501") && !may_refuse(line))
        .collect();
    assert!(unexpected.is_empty(), "visited in vain:\n{unexpected:#?}");
    let served: BTreeSet<_> = world.waldur.served().into_iter().map(|(m, p)| (m.to_owned(), p.to_owned())).collect();
    let left_out: Vec<_> = served.difference(&visited(&world)).cloned().collect();
    assert!(left_out.is_empty(), "not visited: {left_out:#?}");
    write_down_the_contract();
}

/// Calls of others' making that are refused without a body or in another state: their paths are checked alone.
fn may_refuse(line: &str) -> bool {
    [": 400", ": 409"].iter().any(|end| line.ends_with(end)) && line.starts_with("POST ")
}

/// Leaves the contract as JSON where `dev/contract.sh` looks for it.
fn write_down_the_contract() {
    let (Some(folder), Ok(contract)) = (exchanges::folder(), std::env::var("CONTRACT")) else { return };
    let text = fs::read_to_string(contract).unwrap();
    let mut options = serde_saphyr::Options::default();
    // A file that its user chose, and larger than any budget for settings.
    options.budget = None;
    let tree: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
    fs::write(folder.join("contract.json"), tree.to_string()).unwrap();
}
