//! Answers of a Waldur of October 2024 through the typed calls: nothing that is read gets lost, and every refusal
//! becomes the error that it is.
//!
//! # Recorded exchanges without a typed call
//! | Exchange | Why |
//! |---|---|
//! | 015, 016, 018, 025, 067, 294, 356 | login by password, list of endpoints, features and events of the web client |
//! | 034, 066, 095, 115, 116, 191 | methods that the server does not have there |
//! | 049, 050, 098 to 108, 121, 122, 130, 142, 157's siblings, 177, 296, 298, 312, 314, 326, 327, 339, 342 to 347 | the customer's side of orders and offerings |
//! | 065, 189, 190 | descriptions and settings that people write |
//! | 175, 195 to 218, 242 to 248, 311, 322 | usage: in its own test |
//! | 183 to 187, 249 to 254, 306 to 309 | the API of the SLURM plug-in |
//! | 192, 193 | last days set by a provider, which that server refused |
//! | 231 to 240, 255 | accounts at offerings: names in `user_access`, transitions in their own test |
//! | 267, 268, 270 | lists that say no more than 262 to 264 |
//! | 269 | a secret of the provider |
//! | 280 to 287, 349 | projects and their members, which their customers write |

use std::{collections::BTreeSet, fs, path::Path};

use crate::client_support::{Script, Sent, answer};
use crate::members::{
    Members, component_usage, component_user_usage, current_user, customer_members, offering_members, offering_user,
    order_members, plan_members, plan_period, project_members, project_permission, resource_members, role_holder,
    role_members, service_provider, ssh_key, team_member, user_members,
};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use waldur_sdk::{
    Error, ErrorKind, Result,
    client::{
        AgentRegistration, ComponentDefinition, CustomerQuery, ErrorDetails, OfferingQuery, OfferingUserQuery,
        OrderQuery, ProjectQuery, ResourceQuery, UsageQuery, UsageSubmission, UserQuery, UserUsage, WaldurClient,
    },
    rest::{BadRow, Page, Pager},
    types::{
        Amounts, BackendId, BillingType, ComponentUsageUuid, ComponentUuid, CustomerUuid, Limits, OfferingUuid,
        OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, ServiceProviderUuid, Timestamp, UserUuid, Uuid, WaldurAmount,
    },
};

/// One recorded exchange.
#[derive(Clone)]
struct Exchange {
    file: String,
    method: String,
    /// Below `/api/`, without the slash at the end.
    path: String,
    fields: Vec<String>,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    json: Option<Value>,
}

#[derive(Deserialize)]
struct Recording {
    request: RecordedRequest,
    response: RecordedResponse,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    url: url::Url,
}

#[derive(Deserialize)]
struct RecordedResponse {
    status: u16,
    headers: Vec<(String, String)>,
    json: Option<Value>,
    text: Option<String>,
}

impl Exchange {
    fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/waldur-2024.10");
        // The folder serves other tests too.
        let ours = include_str!("../client_support/recordings.txt").lines();
        let mut files: Vec<_> = ours.map(|file| folder.join(file)).collect();
        files.sort();
        files.iter().map(|file| Self::read(file)).collect()
    }

    fn read(file: &Path) -> Self {
        let Recording { request, response } = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let fields = request.url.query_pairs().filter(|(name, _)| name == "field").map(|(_, value)| value.into_owned());
        Self {
            file: file.file_name().unwrap().to_str().unwrap().to_owned(),
            method: request.method,
            path: request.url.path().trim_start_matches("/api/").trim_end_matches('/').to_owned(),
            fields: fields.collect(),
            status: response.status,
            body: response.json.as_ref().map_or(response.text.unwrap_or_default(), Value::to_string),
            headers: response.headers,
            json: response.json,
        }
    }

    fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The same answer with the members without which a row is none.
    fn completed(&self) -> Self {
        let mut row = json!({"uuid": self.path.split('/').nth(1), "state": "OK", "type": "Create"});
        row.as_object_mut().unwrap().extend(self.json.clone().unwrap().as_object().unwrap().clone());
        Self { body: row.to_string(), json: Some(row), ..self.clone() }
    }

    /// A transport that answers with this recording.
    fn script(&self) -> Script {
        let names = ["content-type", "x-result-count", "link", "location"];
        let headers: Vec<_> =
            names.iter().filter_map(|name| Some(((*name).to_owned(), self.header(name)?.to_owned()))).collect();
        let (status, body) = (self.status, self.body.clone());
        Script::new(move |_, _| {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut answer = answer(status, &[], body.clone())?;
            answer.headers_mut().clear();
            for (name, value) in headers {
                answer.headers_mut().append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
            }
            Ok(answer)
        })
    }
}

/// What a typed call made of an answer.
enum Outcome {
    Nothing,
    One(Members),
    /// Rows, rows that could not be read, the size of the whole list, the next page.
    Rows(Vec<Members>, Vec<BadRow>, Option<u64>, Option<String>),
}

impl Outcome {
    fn rows<T>(page: Page<T>, members: fn(&T) -> Members) -> Self {
        Self::Rows(page.items.iter().map(members).collect(), page.bad, page.total, page.next.map(|token| token.0))
    }
}

async fn first<T: Send + 'static>(mut pager: Pager<T>) -> Result<Page<T>> {
    pager.next_page().await.map(|page| page.expect("a list has a first page"))
}

/// Makes the typed call that the recorded request is.
async fn drive(exchange: &Exchange, script: &Script) -> Result<Outcome> {
    let waldur = script.client();
    let details = ErrorDetails::new("m").with_traceback("t");
    let (order, resource) = (OrderUuid::new(Uuid::nil()), ResourceUuid::new(Uuid::nil()));
    let (orders, resources) = (waldur.orders(), waldur.provider_resources());
    let done = |outcome: Result<()>| outcome.map(|()| Outcome::Nothing);
    let segments: Vec<_> = exchange.path.split('/').collect();
    match (exchange.method.as_str(), segments.as_slice()) {
        ("GET", ["version"]) => {
            waldur.version().await.map(|version| Outcome::One(vec![("/version".into(), json!(version))]))
        }
        ("GET", ["users", "me"]) => waldur.users().me().await.map(|me| Outcome::One(current_user(&me))),
        ("GET", ["marketplace-orders"]) => {
            let query = OrderQuery::offering(OfferingUuid::new(Uuid::nil()));
            first(orders.list(&query)).await.map(|page| Outcome::rows(page, order_members))
        }
        ("GET", ["marketplace-orders", _]) => orders.get(order).await.map(|order| Outcome::One(order_members(&order))),
        ("GET", ["marketplace-provider-resources"]) => {
            first(resources.list(&ResourceQuery::default())).await.map(|page| Outcome::rows(page, resource_members))
        }
        ("GET", ["marketplace-provider-resources", _]) => {
            resources.get(resource).await.map(|resource| Outcome::One(resource_members(&resource)))
        }
        ("GET", ["marketplace-provider-resources", _, "team"]) => {
            first(resources.team(resource)).await.map(|page| Outcome::rows(page, team_member))
        }
        ("GET", ["marketplace-provider-offerings", _]) => {
            let offering = waldur.provider_offerings().get(OfferingUuid::new(Uuid::nil())).await;
            offering.map(|offering| Outcome::One(offering_members(&offering)))
        }
        ("GET", ["marketplace-plans", _]) => {
            waldur.plans().get(PlanUuid::new(Uuid::nil())).await.map(|plan| Outcome::One(plan_members(&plan)))
        }
        ("GET", ["marketplace-service-providers"]) => {
            let customer = CustomerUuid::new("000000c10000400080000000000000c1".parse().unwrap());
            let found = waldur.service_providers().for_customer(customer).await?;
            Ok(Outcome::Rows(found.iter().map(service_provider).collect(), Vec::new(), Some(1), None))
        }
        ("GET", ["marketplace-service-providers", _, "keys"]) => {
            let keys = waldur.service_providers().keys(ServiceProviderUuid::new(Uuid::nil()));
            first(keys).await.map(|page| Outcome::rows(page, ssh_key))
        }
        ("GET", ["marketplace-offering-users"]) => {
            let users = waldur.offering_users().list(&OfferingUserQuery::default());
            first(users).await.map(|page| Outcome::rows(page, offering_user))
        }
        ("GET", ["marketplace-component-usages"]) => {
            let rows = waldur.component_usages().list(&UsageQuery::default());
            first(rows).await.map(|page| Outcome::rows(page, component_usage))
        }
        ("GET", ["marketplace-component-user-usages"]) => {
            let rows = waldur.component_usages().list_of_users(&UsageQuery::default());
            first(rows).await.map(|page| Outcome::rows(page, component_user_usage))
        }
        ("GET", ["marketplace-provider-resources", _, "plan_periods"]) => {
            first(waldur.component_usages().plan_periods(resource)).await.map(|page| Outcome::rows(page, plan_period))
        }
        ("POST", ["marketplace-component-usages", "set_usage"]) => {
            done(waldur.component_usages().set_usage(&UsageSubmission::new(resource, Amounts::new())).await)
        }
        ("POST", ["marketplace-component-usages", _, "set_user_usage"]) => {
            let share = UserUsage::new("bob_hpc", WaldurAmount::ZERO);
            done(waldur.component_usages().set_user_usage(ComponentUsageUuid::new(Uuid::nil()), &share).await)
        }
        ("POST", ["marketplace-orders", _, "approve_by_provider"]) => done(orders.approve_by_provider(order).await),
        ("POST", ["marketplace-orders", _, "reject_by_provider"]) => done(orders.reject_by_provider(order, None).await),
        ("POST", ["marketplace-orders", _, "set_state_done"]) => done(orders.set_state_done(order).await),
        ("POST", ["marketplace-orders", _, "set_state_erred"]) => done(orders.set_state_erred(order, &details).await),
        ("POST", ["marketplace-provider-resources", _, action]) => done(match *action {
            "set_backend_id" => resources.set_backend_id(resource, Some(&BackendId::new("x").unwrap())).await,
            "set_backend_metadata" => resources.set_backend_metadata(resource, &Map::new()).await,
            "set_limits" => resources.set_limits(resource, &Limits::new()).await,
            "set_as_erred" => resources.set_as_erred(resource, &details).await,
            "set_as_ok" => resources.set_as_ok(resource).await,
            other => panic!("no call for {other}"),
        }),
        ("POST", ["marketplace-site-agent-identities"]) => {
            let agent = AgentRegistration::new(OfferingUuid::new(Uuid::nil()), "x");
            waldur.agents().create_identity(&agent).await.map(|_| Outcome::Nothing)
        }
        other => drive_directory(other, &waldur).await,
    }
}

/// As [`drive`], for offerings and for who is who.
async fn drive_directory(request: (&str, &[&str]), waldur: &WaldurClient) -> Result<Outcome> {
    let nil = Uuid::nil();
    let (provider, offering) = (ServiceProviderUuid::new(nil), OfferingUuid::new(nil));
    let (providers, offerings) = (waldur.service_providers(), waldur.provider_offerings());
    let component = ComponentDefinition::new("ram", BillingType::Usage, "RAM", "GB-h");
    let done = |outcome: Result<()>| outcome.map(|()| Outcome::Nothing);
    match request {
        ("GET", ["marketplace-provider-offerings"]) => {
            let page = first(offerings.list(&OfferingQuery::default())).await;
            page.map(|page| Outcome::rows(page, offering_members))
        }
        ("POST", ["marketplace-provider-offerings", _, "create_offering_component"]) => {
            done(offerings.create_component(offering, &component).await)
        }
        ("POST", ["marketplace-provider-offerings", _, "update_offering_component"]) => {
            done(offerings.update_component(offering, ComponentUuid::new(nil), &component).await)
        }
        ("POST", ["marketplace-slurm-remote", _, "set_limits"]) => {
            let resources = waldur.provider_resources();
            done(resources.set_limits_of_allocation(ResourceUuid::new(nil), &Limits::new()).await)
        }
        ("GET", ["marketplace-resources", _]) => {
            let resource = waldur.marketplace_resources().get(ResourceUuid::new(nil)).await;
            resource.map(|resource| Outcome::One(resource_members(&resource)))
        }
        ("GET", ["marketplace-service-providers", _]) => {
            providers.get(provider).await.map(|provider| Outcome::One(service_provider(&provider)))
        }
        ("POST", ["marketplace-service-providers", _, "set_offerings_username"]) => {
            let spread = providers.set_offerings_username(provider, UserUuid::new(nil), "x").await;
            spread.map(|_| Outcome::Nothing)
        }
        ("GET", ["marketplace-service-providers", _, "customers"]) => {
            first(providers.customers(provider)).await.map(|page| Outcome::rows(page, customer_members))
        }
        ("GET", ["marketplace-service-providers", _, "projects"]) => {
            let page = first(providers.projects(provider, &ProjectQuery::default())).await;
            page.map(|page| Outcome::rows(page, project_members))
        }
        ("GET", ["marketplace-service-providers", _, "project_permissions"]) => {
            first(providers.project_permissions(provider)).await.map(|page| Outcome::rows(page, project_permission))
        }
        ("GET", ["projects"]) => first(waldur.projects().list(&ProjectQuery::default()))
            .await
            .map(|page| Outcome::rows(page, project_members)),
        ("GET", ["projects", _]) => {
            let project = waldur.projects().get(ProjectUuid::new(nil)).await;
            project.map(|project| Outcome::One(project_members(&project)))
        }
        ("GET", ["projects", _, "list_users"]) => {
            let page = first(waldur.projects().users(ProjectUuid::new(nil))).await;
            page.map(|page| Outcome::rows(page, role_holder))
        }
        ("GET", ["customers"]) => {
            let page = first(waldur.customers().list(&CustomerQuery::default())).await;
            page.map(|page| Outcome::rows(page, customer_members))
        }
        ("GET", ["customers", _]) => {
            let customer = waldur.customers().get(CustomerUuid::new(nil)).await;
            customer.map(|customer| Outcome::One(customer_members(&customer)))
        }
        ("GET", ["customers", _, "list_users"]) => {
            let page = first(waldur.customers().users(CustomerUuid::new(nil))).await;
            page.map(|page| Outcome::rows(page, role_holder))
        }
        ("GET", ["users"]) => {
            first(waldur.users().list(&UserQuery::default())).await.map(|page| Outcome::rows(page, user_members))
        }
        ("GET", ["users", _]) => {
            waldur.users().get(UserUuid::new(nil)).await.map(|user| Outcome::One(user_members(&user)))
        }
        ("GET", ["roles"]) => first(waldur.roles().list(None)).await.map(|page| Outcome::rows(page, role_members)),
        other => panic!("no call for {other:?}"),
    }
}

/// What a row must have to be read at all.
fn required(exchange: &Exchange) -> &'static [&'static str] {
    if exchange.path.ends_with("/list_users") || exchange.path.ends_with("/project_permissions") {
        return &["user_uuid"];
    }
    match exchange.path.split('/').next().unwrap() {
        "marketplace-orders" => &["uuid", "state", "type"],
        "marketplace-component-usages" => &["uuid", "type"],
        "users" if exchange.path.ends_with("me") => &[],
        _ => &["uuid"],
    }
}

fn readable(exchange: &Exchange, row: &Value) -> bool {
    required(exchange).iter().all(|member| row.get(member).is_some())
}

#[tokio::test(start_paused = true)]
async fn recorded_answers_lose_nothing_that_is_read() {
    let mut compared = BTreeSet::new();
    let mut rows_read = 0;
    for exchange in Exchange::all().into_iter().filter(Exchange::is_ok) {
        let (file, script) = (&exchange.file, exchange.script());
        let outcome = drive(&exchange, &script).await;
        let json = exchange.json.clone().unwrap_or_default();
        match outcome {
            Ok(Outcome::Nothing) => assert_eq!(exchange.method, "POST", "{file}"),
            Ok(Outcome::One(members)) => {
                rows_read += 1;
                compared.extend(compare(file, &json, &members, &script.only()));
            }
            Ok(Outcome::Rows(items, bad, total, next)) => {
                let rows = json.as_array().unwrap();
                let (good, not): (Vec<_>, Vec<_>) = rows.iter().partition(|row| readable(&exchange, row));
                assert_eq!(good.len(), items.len(), "{file}");
                for (row, members) in good.iter().zip(&items) {
                    rows_read += 1;
                    compared.extend(compare(file, row, members, &script.only()));
                }
                let ids = not.iter().map(|row| row["uuid"].as_str().map(str::to_owned));
                assert_eq!(bad.iter().map(|bad| bad.id.clone()).collect::<Vec<_>>(), ids.collect::<Vec<_>>(), "{file}");
                assert_eq!(total, exchange.header("x-result-count").map(|count| count.parse().unwrap()), "{file}");
                assert_eq!(next, next_of(&exchange), "{file}");
            }
            // Only an answer to a request for fewer members than this client asks for; with those it is read.
            Err(error) => {
                assert!(!exchange.fields.is_empty() && !readable(&exchange, &json), "{file}: {error}");
                assert_eq!(error.kind(), ErrorKind::Decode, "{file}: {error}");
                let completed = exchange.completed();
                let script = completed.script();
                let Ok(Outcome::One(members)) = drive(&completed, &script).await else { panic!("{file}") };
                rows_read += 1;
                compared.extend(compare(file, &completed.json.unwrap(), &members, &script.only()));
            }
        }
    }
    assert!(rows_read > 60, "{rows_read}");
    // Members that the processor decides by were there to be compared, and not only missing on both sides.
    let read = [
        "/limits",
        "/plan_uuid",
        "/attributes",
        "/project_slug",
        "/customer_slug",
        "/marketplace_resource_uuid",
        "/error_message",
        "/backend_id",
        "/backend_metadata",
        "/offering_plugin_options",
        "/slug",
        "/quotas",
        "/components/0/type",
        "/components/0/billing_type",
        "/components/0/limit_period",
        "/permissions/0/role_name",
        "/public_key",
        "/user_username",
        "/offering_user_username",
        "/created",
        "/paused",
        "/is_staff",
        "/user_email",
        "/role_name",
        "/is_service_provider",
        "/permissions/0",
        "/components/0/uuid",
        "/usage",
        "/billing_period",
        "/component_usage",
        "/components/0/usage",
    ];
    for member in read {
        assert!(compared.contains(member), "{member} was in no answer");
    }
}

/// The page that `rel="next"` names, read the plain way.
fn next_of(exchange: &Exchange) -> Option<String> {
    let link = exchange.header("link")?.split(", ").find(|link| link.ends_with("rel=\"next\""))?;
    let url = url::Url::parse(link.split(['<', '>']).nth(1)?).unwrap();
    url.query_pairs().find(|(name, _)| name == "page").map(|(_, page)| page.into_owned())
}

/// Compares what was read with the row, and says which members had a value. Every member that was asked for has to be
/// among those compared.
fn compare(file: &str, row: &Value, members: &Members, sent: &Sent) -> Vec<String> {
    let mut found = Vec::new();
    for (pointer, value) in members {
        let wire = normal(row.pointer(pointer).unwrap_or(&Value::Null));
        assert_eq!(wire, normal(value), "{file}: {pointer}");
        if !wire.is_null() {
            found.push(pointer.clone());
        }
    }
    let top: BTreeSet<_> = members.iter().map(|(pointer, _)| pointer.split('/').nth(1).unwrap()).collect();
    for field in sent.all("field") {
        match row.get(field).and_then(Value::as_array) {
            // Each entry of a list is compared member by member.
            Some(list) => {
                let places = members.iter().map(|(pointer, _)| pointer.split('/').skip(1).take(2).collect::<Vec<_>>());
                let indexes = places.filter(|place| place[0] == field).map(|place| place[1]).collect::<BTreeSet<_>>();
                assert_eq!(indexes.len(), list.len(), "{file}: {field}");
            }
            None => assert!(top.contains(field) || row.get(field).is_none(), "{file}: {field} is not compared"),
        }
    }
    found
}

/// One spelling for what means the same (core.md §1.2): blank, empty and missing; both UUID spellings; numbers;
/// instants.
fn normal(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let number: Decimal = number.to_string().parse().unwrap();
            json!({"number": number.normalize().to_string()})
        }
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => {
            let text = text.trim();
            let uuid = Uuid::try_parse(text).map(|uuid| uuid.simple().to_string());
            uuid.or_else(|_| text.parse::<Timestamp>().map(|instant| instant.to_string()))
                .map_or_else(|_| json!(text), Value::from)
        }
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => items.iter().map(normal).collect(),
        Value::Object(members) if members.is_empty() => Value::Null,
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), normal(member))).collect(),
        plain => plain.clone(),
    }
}

// ----------------------------------------------------------------------------------------------------------- refusals

#[tokio::test(start_paused = true)]
async fn recorded_refusals_become_the_errors_that_they_are() {
    let mut kinds = BTreeSet::new();
    for exchange in Exchange::all().into_iter().filter(|exchange| !exchange.is_ok()) {
        let file = &exchange.file;
        let Err(error) = drive(&exchange, &exchange.script()).await else { panic!("{file}: not an error") };
        let page = exchange.body.contains("<html");
        let kind = match exchange.status {
            301 => ErrorKind::Redirected,
            // The server's word for a user whom it does not know.
            400 if file.starts_with("261_") => ErrorKind::NotFound,
            400 | 406 | 415 => ErrorKind::InvalidRequest,
            401 => ErrorKind::Unauthenticated,
            403 => ErrorKind::PermissionDenied,
            404 if page => ErrorKind::Unsupported,
            // Of a list that every server has, at its first page.
            404 if file.contains("_orders_page_") => ErrorKind::Config,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            500 => ErrorKind::Server,
            other => panic!("{file}: {other}"),
        };
        assert_eq!(error.kind(), kind, "{file}: {error}");
        kinds.insert(exchange.status);
        check_context(&exchange, &error);
        if let Some(detail) = exchange.json.as_ref().and_then(|json| json["detail"].as_str()) {
            assert!(error.message().ends_with(detail), "{file}: {error}");
        }
    }
    assert_eq!(kinds, BTreeSet::from([301, 400, 401, 403, 404, 406, 409, 415, 500]));
}

fn check_context(exchange: &Exchange, error: &Error) {
    let file = &exchange.file;
    let http = error.http().unwrap_or_else(|| panic!("{file}: no request"));
    assert!(!error.operation().is_empty(), "{file}");
    assert_eq!((http.method.as_str(), http.status.unwrap().as_u16()), (exchange.method.as_str(), exchange.status));
    // The template of the path: no id of an object.
    let shown =
        http.url.strip_prefix("https://waldur.example.org/api/").unwrap_or_else(|| panic!("{file}: {}", http.url));
    for (shown, real) in shown.trim_end_matches('/').split('/').zip(exchange.path.split('/')) {
        assert!(shown == real || shown.starts_with('{'), "{file}: {shown}, {real}");
    }
    assert!(http.body.is_some() || exchange.body.is_empty(), "{file}");
}

#[tokio::test(start_paused = true)]
async fn recorded_states_are_read_from_answers_with_nothing_else() {
    let files = ["092_orders_retrieve_fields", "145_order_after_erred_from_done", "302_update_order_executing"];
    let mut read = Vec::new();
    for exchange in
        Exchange::all().into_iter().filter(|exchange| files.iter().any(|file| exchange.file.starts_with(file)))
    {
        let state = exchange.script().client().orders().state(OrderUuid::new(Uuid::nil())).await.unwrap();
        assert_eq!(Some(state.as_str()), exchange.json.unwrap()["state"].as_str());
        read.push(state.to_string());
    }
    assert_eq!(read, ["pending-provider", "done", "executing"]);
}
