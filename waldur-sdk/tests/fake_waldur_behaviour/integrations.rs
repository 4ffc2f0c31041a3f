//! What generation 8 has for agents and providers beyond orders: queues, logs, keys, imports, names in bulk.

use http::{Method, StatusCode};
use serde_json::json;
use waldur_sdk::{
    testing::waldur::{ApiKeyState, FakeWaldur, Generation, ImportState},
    types::{ApiKeyUuid, ResourceUuid, Uuid},
};

use super::{BOTH, ask, exchanges::fake_waldur, get, post, storage};

fn identity(waldur: &FakeWaldur) -> String {
    let offering = storage(waldur);
    let made = post(waldur, "marketplace-site-agent-identities/", &json!({"offering": offering, "name": "agent-x"}));
    made.json()["uuid"].as_str().unwrap().to_owned()
}

#[test]
fn a_queue_is_made_once_and_gets_what_was_asked_for_last() {
    let waldur = fake_waldur(Generation::V8);
    let path = format!("marketplace-site-agent-identities/{}/register_queue/", identity(&waldur));
    let first = post(&waldur, &path, &json!({"object_types": ["order"]}));
    assert_eq!(first.status, StatusCode::CREATED);
    let again = post(&waldur, &path, &json!({"object_types": ["order", "resource"]}));
    assert_eq!((again.status, &again.json()["queue_name"]), (StatusCode::OK, &first.json()["queue_name"]));
    assert_eq!(waldur.agent_queues(), [["order", "resource"]]);
    // Nothing is everything.
    let everything = post(&waldur, &path, &json!({"object_types": []}));
    assert_eq!(everything.json()["observable_object_types"].as_array().unwrap().len(), 14);
    assert_eq!(post(&waldur, &path, &json!({"object_types": ["x"]})).status, StatusCode::BAD_REQUEST);
}

#[test]
fn the_older_queues_are_one_for_each_kind() {
    let waldur = fake_waldur(Generation::V8);
    let identity = identity(&waldur);
    let path = format!("marketplace-site-agent-identities/{identity}/register_event_subscription/");
    let first = post(&waldur, &path, &json!({"observable_object_type": "order"}));
    let again = post(&waldur, &path, &json!({"observable_object_type": "order"}));
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(first.json()["uuid"], again.json()["uuid"]);
    let subscription = first.json()["uuid"].as_str().unwrap().to_owned();
    let offering = storage(&waldur);
    let body = json!({"offering_uuid": offering, "object_type": "order"});
    let queue = post(&waldur, &format!("event-subscriptions/{subscription}/create_queue/"), &body);
    assert_eq!(queue.status, StatusCode::CREATED);
    let name = format!("subscription_{subscription}_offering_{offering}_order");
    assert_eq!(queue.json()["queue_name"], name);
    let others = ask(
        &waldur,
        waldur.owner(),
        Method::POST,
        &format!("event-subscriptions/{subscription}/create_queue/"),
        Some(&body),
    );
    assert_eq!(others.status, StatusCode::NOT_FOUND);
}

#[test]
fn logs_are_taken_whole_or_not_at_all() {
    let waldur = fake_waldur(Generation::V8);
    let line = |identity: &str| json!({"agent_identity_uuid": identity, "timestamp": 1.5, "level": "INFO", "message": "m", "module": "x"});
    let own = line(&identity(&waldur));
    let path = "marketplace-site-agent-logs/";
    assert_eq!(post(&waldur, path, &json!([own, own])).status, StatusCode::CREATED);
    let strange = line(&Uuid::nil().simple().to_string());
    assert_eq!(post(&waldur, path, &json!([own, strange])).status, StatusCode::BAD_REQUEST);
    assert_eq!(post(&waldur, path, &own).status, StatusCode::BAD_REQUEST);
    assert_eq!(waldur.agent_logs().len(), 2);
}

#[test]
fn keys_are_seen_by_whoever_sells_and_their_secrets_by_nobody() {
    let waldur = fake_waldur(Generation::V8);
    let resource: ResourceUuid = waldur.resource(storage(&waldur)).backend_id("res").create();
    let key = json!({"resource": resource, "client_id": "AK1", "api_key": "s3cr3t"});
    let path = "marketplace-resource-api-keys/report_created/";
    let made = post(&waldur, path, &key);
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(post(&waldur, path, &key).status, StatusCode::BAD_REQUEST, "one row for one key");
    let list = get(&waldur, &format!("marketplace-resource-api-keys/?resource_uuid={resource}"));
    assert_eq!((&list.json()[0]["client_id"], &list.json()[0]["resource_backend_id"]), (&json!("AK1"), &json!("res")));
    assert!(!String::from_utf8_lossy(&list.body).contains("s3cr3t"));
    assert_eq!(ask(&waldur, waldur.owner(), Method::GET, "marketplace-resource-api-keys/", None).json(), json!([]));

    let uuid: ApiKeyUuid = list.json()[0]["uuid"].as_str().unwrap().parse().unwrap();
    post(&waldur, &format!("marketplace-resource-api-keys/{uuid}/set_erred/"), &json!({"error_message": "no"}));
    assert_eq!(waldur.api_keys(resource), [("AK1".to_owned(), ApiKeyState::Erred)]);
    let body = json!({"api_key": "new", "client_id": "AK2"});
    post(&waldur, &format!("marketplace-resource-api-keys/{uuid}/set_key/"), &body);
    assert_eq!(waldur.api_keys(resource), [("AK2".to_owned(), ApiKeyState::Ok)]);
    assert_eq!(waldur.api_key_secret(uuid), ("new".to_owned(), String::new()));
}

#[test]
fn a_wish_for_a_list_goes_one_way() {
    let waldur = fake_waldur(Generation::V8);
    let request = waldur.import_request(storage(&waldur));
    let step =
        |action: &str| post(&waldur, &format!("backend-resource-requests/{request}/{action}/"), &json!({})).status;
    assert_eq!(step("set_done"), StatusCode::CONFLICT);
    assert_eq!(step("start_processing"), StatusCode::OK);
    assert_eq!(step("start_processing"), StatusCode::CONFLICT);
    assert_eq!(step("set_erred"), StatusCode::OK);
    assert_eq!(step("set_done"), StatusCode::CONFLICT);
    assert_eq!(waldur.import_request_view(request).0, ImportState::Erred);
    let shown = get(&waldur, &format!("backend-resource-requests/{request}/")).json();
    assert!(shown["started"].is_string() && shown["finished"].is_string());
}

#[test]
fn a_name_in_bulk_reaches_what_is_used_and_makes_what_is_missing() {
    for generation in BOTH {
        let waldur = fake_waldur(generation);
        let (used, unused) = (storage(&waldur), storage(&waldur));
        waldur.resource(used).create();
        let ann = waldur.user("ann").project_role(waldur.default_project(), "PROJECT.MEMBER").create();
        let providers = get(&waldur, "marketplace-service-providers/").json();
        let provider = providers[0]["uuid"].as_str().unwrap();
        let path = format!("marketplace-service-providers/{provider}/set_offerings_username/");
        let set = post(&waldur, &path, &json!({"user_uuid": ann, "username": "abc"}));
        assert_eq!((set.status, set.json()), (StatusCode::CREATED, json!({"detail": "Offering users have been set."})));
        let rows =
            get(&waldur, &format!("marketplace-offering-users/?provider_uuid={provider}&user_uuid={ann}")).json();
        assert_eq!(rows.as_array().unwrap().len(), 1);
        assert_eq!((&rows[0]["offering_uuid"], &rows[0]["username"]), (&json!(used), &json!("abc")));
        assert!(rows[0]["offering_uuid"] != json!(unused));
        // The customer's side may not.
        let refused =
            ask(&waldur, waldur.owner(), Method::POST, &path, Some(&json!({"user_uuid": ann, "username": "x"})));
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
}
