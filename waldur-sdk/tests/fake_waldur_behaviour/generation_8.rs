//! The members that generation 8 shows, against its published schema (8.0.5), and the calls that only it has.
//!
//! The lists are the schema's members less those that a real server leaves out here: what only staff sees, what a user
//! does not share with a provider, what a resource without a parent has not.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use waldur_sdk::testing::waldur::{Billing, Generation, ResourceState};

use super::{ask, exchanges::fake_waldur, get, post, storage};

const ORDER: &str = "activation_price attachment attributes backend_id callback_url can_terminate category_icon \
    category_title category_uuid completed_at consumer_message consumer_message_attachment consumer_rejection_comment \
    consumer_reviewed_at consumer_reviewed_by consumer_reviewed_by_full_name consumer_reviewed_by_username cost created \
    created_by_civil_number created_by_email created_by_full_name created_by_organization \
    created_by_organization_registry_code created_by_username customer_name customer_slug customer_uuid error_message \
    fixed_price issue limits marketplace_resource_uuid modified new_cost_estimate new_plan_name new_plan_uuid offering \
    offering_billable offering_description offering_image offering_name offering_plugin_options offering_shared \
    offering_thumbnail offering_type offering_uuid old_cost_estimate old_plan_name old_plan_uuid order_subtype output \
    plan plan_description plan_name plan_unit plan_uuid project_description project_name project_slug project_uuid \
    provider_message provider_message_attachment provider_message_url provider_name provider_rejection_comment \
    provider_reviewed_at provider_reviewed_by provider_reviewed_by_full_name provider_reviewed_by_username \
    provider_slug provider_uuid request_comment resource_name resource_type resource_uuid slug start_date state \
    termination_comment type url uuid";

const RESOURCE: &str = "attributes available_actions backend_id backend_metadata can_terminate category_icon \
    category_title category_uuid created current_usages customer_name customer_slug customer_uuid description \
    downscaled effective_id end_date end_date_requested_by endpoints error_message error_traceback is_limit_based \
    is_usage_based last_sync limit_usage limits modified name offering offering_backend_id offering_billable \
    offering_components offering_description offering_image offering_name offering_plugin_options offering_shared \
    offering_slug offering_state offering_thumbnail offering_type offering_uuid options paused plan plan_description \
    plan_name plan_unit plan_uuid project project_description project_end_date project_end_date_requested_by \
    project_name project_slug project_uuid provider_name provider_slug provider_uuid renewal_date report resource_type \
    resource_uuid restrict_member_access scope slug state url user_requires_reconsent username uuid";

const OFFERING: &str = "access_url attributes backend_id backend_id_rules backend_metadata \
    billing_type_classification billable category category_title category_uuid citation_count compliance_checklist \
    components country created customer customer_name customer_uuid datacite_doi description endpoints files \
    full_description getting_started google_calendar_is_public google_calendar_link has_compliance_requirements image \
    integration_guide integration_status latitude longitude name options order_count organization_groups \
    parent_description parent_name parent_uuid partitions paused_reason plans plugin_options privacy_policy_link project \
    project_name project_uuid quotas resource_options roles scope scope_error_message scope_name scope_state scope_uuid \
    screenshots secret_options service_attributes shared slug software_catalogs state tags thumbnail total_cost \
    total_cost_estimated total_customers type url uuid vendor_details";

const COMPONENT: &str = "article_code billing_type default_limit description factor is_boolean is_builtin is_prepaid \
    limit_amount limit_period max_available_limit max_prepaid_duration max_value measured_unit min_prepaid_duration \
    min_value name overage_component type unit_factor uuid";

const PLAN: &str = "archived article_code backend_id components description future_prices init_price is_active \
    max_amount minimal_price name offering organization_groups plan_type prices quotas resources_count switch_price unit \
    unit_price url uuid";

const OFFERING_USER: &str = "consent_data created customer_name customer_uuid has_compliance_checklist has_consent \
    is_profile_complete is_restricted missing_profile_attributes modified offering offering_name offering_uuid \
    requires_reconsent service_provider_comment service_provider_comment_url state url user user_email user_first_name \
    user_full_name user_last_name user_username user_uuid username uuid";

const MEMBER: &str =
    "email expiration_time full_name offering_user_state offering_user_username role url username uuid";

const PROVIDER: &str = "created customer customer_abbreviation customer_country customer_image customer_name \
    customer_native_name customer_slug customer_uuid description enable_notifications image offering_count \
    organization_groups url uuid";

const KEY: &str =
    "fingerprint_md5 fingerprint_sha256 fingerprint_sha512 is_shared name public_key type url user_uuid uuid";

const IDENTITY: &str = "config_file_content config_file_path created created_by dependencies last_restarted modified name \
    offering services url uuid version";

const SERVICE: &str = "created identity identity_name mode modified name processors state statistics url uuid";

const PROCESSOR: &str = "backend_type backend_version created last_run modified name service service_name url uuid";

#[track_caller]
fn has_members(row: &Value, members: &str, more: &[&str]) {
    let mut wanted: Vec<&str> = members.split_whitespace().chain(more.iter().copied()).collect();
    wanted.sort_unstable();
    let mut own: Vec<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
    own.sort_unstable();
    assert_eq!(own, wanted);
}

#[test]
fn rows_have_the_members_of_the_schema() {
    let waldur = fake_waldur(Generation::V8);
    let offering = storage(&waldur);
    let bob = waldur.user("bob").project_role(waldur.default_project(), "PROJECT.ADMIN").ssh_key("key", "ssh-rsa A");
    let bob = bob.create();
    let row = waldur.offering_user(offering, bob).create();
    let order = waldur.order(offering).create_resource("my-s3").limits([("storage", 5)]).executing();
    let resource = waldur.resource_of(order);

    has_members(&get(&waldur, "marketplace-orders/").json()[0], ORDER, &[]);
    let path = format!("marketplace-orders/{order}/");
    has_members(&get(&waldur, &path).json(), ORDER, &[]);
    let staff = ask(&waldur, waldur.staff(), Method::GET, &path, None).json();
    has_members(&staff, ORDER, &["error_traceback"]);

    has_members(&get(&waldur, "marketplace-provider-resources/").json()[0], RESOURCE, &[]);
    let one = get(&waldur, &format!("marketplace-provider-resources/{resource}/")).json();
    has_members(&one, RESOURCE, &["order_in_progress", "creation_order"]);
    has_members(&one["creation_order"], ORDER, &[]);
    has_members(&one["offering_components"][0], COMPONENT, &[]);
    let team = get(&waldur, &format!("marketplace-provider-resources/{resource}/team/")).json();
    has_members(&team[0], MEMBER, &[]);

    let one = get(&waldur, &format!("marketplace-provider-offerings/{offering}/")).json();
    has_members(&one, OFFERING, &[]);
    let plan = waldur.plan(offering, "Small");
    has_members(&get(&waldur, &format!("marketplace-plans/{plan}/")).json(), PLAN, &[]);
    has_members(&get(&waldur, &format!("marketplace-offering-users/{row}/")).json(), OFFERING_USER, &[]);

    let provider = get(&waldur, "marketplace-service-providers/").json();
    has_members(&provider[0], PROVIDER, &[]);
    let path = format!("marketplace-service-providers/{}/keys/", provider[0]["uuid"].as_str().unwrap());
    has_members(&get(&waldur, &path).json()[0], KEY, &[]);
    assert_eq!(waldur.unserved(), [""; 0]);
}

#[test]
fn values_have_the_types_of_the_wire() {
    let waldur = fake_waldur(Generation::V8);
    let order = waldur.order(storage(&waldur)).create_resource("my-s3").limits([("storage", 5)]).pending();
    let row = get(&waldur, &format!("marketplace-orders/{order}/")).json();
    assert_eq!(row["uuid"], order.hex());
    assert_eq!((&row["cost"], &row["new_cost_estimate"]), (&json!("5.0000000000"), &json!("5.0000000000")));
    assert_eq!((&row["old_cost_estimate"], &row["limits"]), (&json!(5.0), &json!({"storage": 5})));
    assert_eq!((&row["provider_reviewed_by"], &row["old_plan_name"]), (&Value::Null, &Value::Null));
    assert!(row["created"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
}

#[test]
fn an_agent_registers_itself_once() {
    let waldur = fake_waldur(Generation::V8);
    let offering = storage(&waldur);
    let name = format!("agent-{}", offering.uuid().hyphenated());
    let path = format!("marketplace-site-agent-identities/?name={name}");
    assert_eq!(get(&waldur, &path).json(), json!([]));
    let about = json!({
        "offering": offering.hex(), "name": name, "version": "1.0", "last_restarted": "2026-01-01T00:00:00Z",
        "dependencies": [{"package": "waldur-sdk", "version": "0.1.0"}], "config_file_path": "",
        "config_file_content": "",
    });
    let made = post(&waldur, "marketplace-site-agent-identities/", &about);
    assert_eq!(made.status, StatusCode::CREATED);
    has_members(&made.json(), IDENTITY, &[]);
    assert_eq!(post(&waldur, "marketplace-site-agent-identities/", &about).status, StatusCode::BAD_REQUEST);
    let identity = get(&waldur, &path).json()[0]["uuid"].as_str().unwrap().to_owned();
    let path = format!("marketplace-site-agent-identities/{identity}/");
    let changed = ask(&waldur, waldur.agent(), Method::PUT, &path, Some(&about));
    assert_eq!((changed.status, &changed.json()["version"]), (StatusCode::OK, &json!("1.0")));

    let service = json!({"name": "order_process", "mode": "order_process"});
    let path = format!("{path}register_service/");
    let made = post(&waldur, &path, &service);
    assert_eq!(made.status, StatusCode::CREATED);
    has_members(&made.json(), SERVICE, &[]);
    assert_eq!(post(&waldur, &path, &service).status, StatusCode::OK);

    let path = format!("marketplace-site-agent-services/{}/register_processor/", made.json()["uuid"].as_str().unwrap());
    let processor = json!({"name": "OfferingOrderProcessor", "backend_type": "s3", "backend_version": "1"});
    let made = post(&waldur, &path, &processor);
    assert_eq!(made.status, StatusCode::CREATED);
    has_members(&made.json(), PROCESSOR, &[]);
    assert_eq!(post(&waldur, &path, &processor).status, StatusCode::OK);
    assert_eq!(waldur.registered_processors().len(), 1);
    assert_eq!(waldur.registered_processors()[0].1, "OfferingOrderProcessor");
}

#[test]
fn a_provider_writes_back_what_it_made() {
    let waldur = fake_waldur(Generation::V8);
    let resource = waldur.resource(storage(&waldur)).limits([("storage", 5), ("traffic", 1)]).create();
    let act = |action: &str, body: Value| {
        post(&waldur, &format!("marketplace-provider-resources/{resource}/{action}/"), &body).status
    };
    assert_eq!(act("set_limits", json!({"limits": {"storage": 7}})), StatusCode::OK);
    assert_eq!(act("set_limits", json!({"limits": {"storage": "much"}})), StatusCode::BAD_REQUEST);
    assert_eq!(act("set_limits", json!({})), StatusCode::BAD_REQUEST);
    assert_eq!(Value::Object(waldur.resource_view(resource).limits), json!({"storage": 7}));

    let endpoints = json!({"endpoints": [{"name": "S3", "url": "https://s3.example.org"}]});
    assert_eq!(act("set_endpoints", endpoints), StatusCode::OK);
    assert_eq!(act("set_endpoints", json!({"endpoints": [{"name": "S3"}]})), StatusCode::BAD_REQUEST);
    assert_eq!(waldur.resource_view(resource).endpoint("S3"), Some("https://s3.example.org"));

    let before = waldur.resource_view(resource).last_sync;
    assert_eq!(act("refresh_last_sync", json!({})), StatusCode::OK);
    assert!(waldur.resource_view(resource).last_sync > before);

    assert_eq!(act("set_as_erred", json!({"error_message": "lost", "error_traceback": "t"})), StatusCode::OK);
    let view = waldur.resource_view(resource);
    assert_eq!((view.state, view.error_message.as_str()), (ResourceState::Erred, "lost"));
    assert_eq!(act("set_as_ok", json!({})), StatusCode::OK);
    let view = waldur.resource_view(resource);
    assert_eq!((view.state, view.error_message.as_str()), (ResourceState::Ok, ""));
}

#[test]
fn a_provider_answers_the_customer_and_notes_its_own_order() {
    let waldur = fake_waldur(Generation::V8);
    let order = waldur.order(storage(&waldur)).create_resource("my-s3").pending();
    let path = format!("marketplace-orders/{order}");
    let told = json!({"provider_message": "wait", "provider_message_url": "https://provider.example.org"});
    assert_eq!(post(&waldur, &format!("{path}/set_provider_info/"), &told).status, StatusCode::OK);
    assert_eq!(waldur.order_view(order).provider_message, "wait");
    assert_eq!(waldur.order_view(order).provider_message_url, "https://provider.example.org");
    let id = json!({"backend_id": "target-7"});
    assert_eq!(post(&waldur, &format!("{path}/set_backend_id/"), &id).status, StatusCode::OK);
    assert_eq!(waldur.order_view(order).backend_id, "target-7");
    // A traceback may be missing, unlike in generation 2024.
    assert_eq!(
        post(&waldur, &format!("{path}/set_state_erred/"), &json!({"error_message": "m"})).status,
        StatusCode::OK
    );
    assert_eq!(post(&waldur, &format!("{path}/set_provider_info/"), &told).status, StatusCode::CONFLICT);
}

#[test]
fn a_backend_id_is_unique_in_its_offering_or_at_its_provider() {
    let waldur = fake_waldur(Generation::V8);
    let (one, other) = (storage(&waldur), storage(&waldur));
    waldur.resource(one).backend_id("taken").create();
    let unique = |offering, id: &str, everywhere: bool| {
        let path = format!("marketplace-provider-offerings/{offering}/check_unique_backend_id/");
        post(&waldur, &path, &json!({"backend_id": id, "check_all_offerings": everywhere})).json()["is_unique"].clone()
    };
    assert_eq!(unique(one, "taken", false), false);
    assert_eq!(unique(one, "free", true), true);
    assert_eq!(unique(other, "taken", false), true);
    assert_eq!(unique(other, "taken", true), false);
}

#[test]
fn staff_alone_learns_the_version() {
    let waldur = fake_waldur(Generation::V8);
    assert_eq!(get(&waldur, "version/").status, StatusCode::FORBIDDEN);
    let answer = ask(&waldur, waldur.staff(), Method::GET, "version/", None);
    assert_eq!(answer.json()["version"], "8.0.5");
}

#[test]
fn people_share_names_and_address_and_there_are_no_accounts() {
    let waldur = fake_waldur(Generation::V8);
    let path = format!("marketplace-provider-offerings/{}", storage(&waldur));
    let config = get(&waldur, &format!("{path}/user-attribute-config/")).json();
    assert_eq!(config["exposed_fields"], json!(["username", "full_name", "email"]));
    assert_eq!((&config["expose_email"], &config["expose_gender"]), (&json!(true), &json!(false)));
    for accounts in ["list_project_service_accounts", "list_course_accounts"] {
        let answer = get(&waldur, &format!("{path}/{accounts}/"));
        assert_eq!((answer.json(), answer.header("x-result-count")), (json!([]), "0"));
    }
}

#[test]
fn the_older_server_has_none_of_it() {
    let waldur = fake_waldur(Generation::V2024);
    let offering = storage(&waldur);
    let order = waldur.order(offering).create_resource("my-s3").pending();
    let resource = waldur.resource_of(order);
    for path in [
        format!("marketplace-orders/{order}/set_backend_id/"),
        format!("marketplace-orders/{order}/set_provider_info/"),
        format!("marketplace-provider-resources/{resource}/set_endpoints/"),
        format!("marketplace-provider-resources/{resource}/refresh_last_sync/"),
        format!("marketplace-provider-offerings/{offering}/check_unique_backend_id/"),
        "marketplace-site-agent-identities/".to_owned(),
    ] {
        let answer = post(&waldur, &path, &json!({}));
        assert_eq!((answer.status, answer.header("content-type")), (StatusCode::NOT_FOUND, "text/html; charset=utf-8"));
    }
    assert_eq!(waldur.unserved(), [""; 0]);
}

#[test]
fn an_offering_shows_what_it_was_seeded_with() {
    let waldur = fake_waldur(Generation::V8);
    let offering = waldur
        .offering()
        .component_with("storage", Billing::Limit, |storage| storage.unit("GB").unit_factor(1_000_000_000))
        .plugin_option("account_name_generation_policy", "project_slug")
        .partition("gpu")
        .create();
    let path =
        format!("marketplace-provider-offerings/{offering}/?field=components&field=plugin_options&field=partitions");
    let row = get(&waldur, &path).json();
    assert_eq!(row["components"][0]["unit_factor"], 1_000_000_000);
    assert_eq!(row["plugin_options"], json!({"account_name_generation_policy": "project_slug"}));
    assert_eq!(row["partitions"], json!([{"partition_name": "gpu"}]));
    assert_eq!(row.as_object().unwrap().len(), 3);
}
