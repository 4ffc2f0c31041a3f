//! Filters, order, pages and `field=` where no recording shows them.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use waldur_sdk::{
    testing::waldur::{FakeWaldur, Generation, OrderState},
    types::ResourceUuid,
};

use super::{BOTH, ask, exchanges::fake_waldur, get, post, storage};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[test]
fn a_thousand_rows_come_page_by_page() {
    for (generation, cap) in [(Generation::V2024, 300), (Generation::V8, 100)] {
        let waldur = fake_waldur(generation);
        let made = waldur.resources(storage(&waldur), 1000, |number, row| row.backend_id(format!("r-{number}")));
        let mut seen = Vec::new();
        let mut page = 1;
        loop {
            let path = format!("marketplace-provider-resources/?page_size=500&page={page}&field=uuid");
            let answer = get(&waldur, &path);
            assert_eq!(answer.header("x-result-count"), "1000");
            let rows = answer.json();
            let rows = rows.as_array().unwrap();
            assert!(rows.len() <= cap);
            seen.extend(rows.iter().map(|row| row["uuid"].as_str().unwrap().parse::<ResourceUuid>().unwrap()));
            if !answer.header("link").contains("rel=\"next\"") {
                break;
            }
            page += 1;
        }
        assert_eq!(seen, made);
    }
}

#[test]
fn rows_come_in_the_order_asked_for() {
    let waldur = FakeWaldur::new(Generation::V8);
    let offering = storage(&waldur);
    for name in ["b", "c", "a"] {
        waldur.resource(offering).name(name).create();
    }
    let listed = |order: &str| get(&waldur, &format!("marketplace-provider-resources/?o={order}")).json();
    assert_eq!(names(&listed("created")), ["b", "c", "a"]);
    assert_eq!(names(&listed("-created")), ["a", "c", "b"]);
    assert_eq!(names(&listed("name")), ["a", "b", "c"]);
    assert_eq!(names(&listed("state,-name")), ["c", "b", "a"]);
    let answer = get(&waldur, "marketplace-provider-resources/?o=colour");
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let text = "Select a valid choice. colour is not one of the available choices.";
    assert_eq!(answer.json(), json!({"o": [text]}));
}

#[test]
fn orders_modified_before_an_instant_are_found_by_generation_8() {
    for (generation, found) in [(Generation::V2024, 2), (Generation::V8, 1)] {
        let waldur = fake_waldur(generation);
        let offering = storage(&waldur);
        let old = waldur.order(offering).create_resource("old").executing();
        let new = waldur.order(offering).create_resource("new").executing();
        let between = waldur.order_view(new).modified;
        let path = format!("marketplace-orders/?modified_before={between}&state=executing&field=uuid");
        let rows = get(&waldur, &path).json();
        assert_eq!(rows.as_array().unwrap().len(), found, "{generation:?}");
        assert_eq!(rows[0]["uuid"], old.hex());
    }
}

#[test]
fn what_a_row_leaves_out_is_known_to_field() {
    let waldur = fake_waldur(Generation::V2024);
    let resource = waldur.resource(storage(&waldur)).without_plan().create();
    let path = format!("marketplace-provider-resources/{resource}/");
    assert_eq!(get(&waldur, &format!("{path}?field=plan_uuid")).json(), json!({}));
    assert_eq!(get(&waldur, &format!("{path}?field=plan_uuid&field=name")).json(), json!({"name": "resource"}));
    assert!(get(&waldur, &format!("{path}?field=colour")).json()["uuid"].is_string());
}

#[test]
fn several_values_and_both_spellings_of_a_uuid_are_understood() {
    let waldur = fake_waldur(Generation::V8);
    let (one, other, third) = (storage(&waldur), storage(&waldur), storage(&waldur));
    for offering in [one, other, third] {
        waldur.resource(offering).name(offering.hex()).create();
    }
    let path =
        format!("marketplace-provider-resources/?offering_uuid={one}&offering_uuid={}", other.uuid().hyphenated());
    assert_eq!(names(&get(&waldur, &path).json()), [one.hex(), other.hex()]);
    let answer = get(&waldur, "marketplace-provider-resources/?offering_uuid=x&state=y");
    let errors = json!({
        "offering_uuid": ["Enter a valid UUID."],
        "state": ["Select a valid choice. y is not one of the available choices."],
    });
    assert_eq!((answer.status, answer.json()), (StatusCode::BAD_REQUEST, errors));
}

#[test]
fn everybody_sees_what_is_theirs() {
    for generation in BOTH {
        let waldur = fake_waldur(generation);
        let order = waldur.order(storage(&waldur)).create_resource("my-s3").in_state(OrderState::Executing);
        let rival = waldur.customer("Rival").create();
        let stranger = waldur.user("stranger").customer_role(rival, "CUSTOMER.OWNER").create();
        let seen = |user, list: &str| ask(&waldur, user, Method::GET, list, None).json().as_array().unwrap().len();
        for (user, orders, sold, used) in
            [(waldur.agent(), 1, 1, 1), (waldur.owner(), 1, 0, 1), (waldur.staff(), 1, 1, 1), (stranger, 0, 0, 0)]
        {
            assert_eq!(seen(user, "marketplace-orders/"), orders);
            assert_eq!(seen(user, "marketplace-provider-resources/"), sold);
            assert_eq!(seen(user, "marketplace-resources/"), used);
        }
        let path = format!("marketplace-orders/{order}/set_state_done/");
        assert_eq!(ask(&waldur, stranger, Method::POST, &path, None).status, StatusCode::NOT_FOUND);
        assert_eq!(ask(&waldur, waldur.owner(), Method::POST, &path, None).status, StatusCode::FORBIDDEN);
        assert_eq!(post(&waldur, &path, &json!({})).status, StatusCode::OK);
    }
}

#[test]
fn a_team_has_no_pages_and_forgets_roles_that_ended() {
    let waldur = fake_waldur(Generation::V8).with_team_delay(1);
    let project = waldur.default_project();
    let end = "2000-01-01T00:00:00Z".parse().unwrap();
    for number in 0..30 {
        waldur.user(&format!("user-{number}")).project_role(project, "PROJECT.MEMBER").create();
    }
    waldur.user("gone").project_role_until(project, "PROJECT.MEMBER", end).create();
    let left = waldur.user("left").project_role(project, "PROJECT.MEMBER").create();
    waldur.remove_from_project(left, project);
    let resource = waldur.resource(storage(&waldur)).create();
    let path = format!("marketplace-provider-resources/{resource}/team/");
    assert_eq!(get(&waldur, &path).json(), json!([]));
    let answer = get(&waldur, &path);
    assert_eq!(answer.json().as_array().unwrap().len(), 30);
    assert!(!answer.headers.contains_key("link"));
}

#[test]
fn keys_are_those_of_the_people_served_and_come_in_pages() {
    let waldur = fake_waldur(Generation::V8);
    waldur.resource(storage(&waldur)).create();
    for number in 0..12 {
        let user = waldur.user(&format!("user-{number}")).ssh_key("key", format!("ssh-ed25519 AAAA{number}"));
        user.project_role(waldur.default_project(), "PROJECT.MEMBER").create();
    }
    waldur.user("stranger").ssh_key("key", "ssh-ed25519 BBBB").create();
    let provider = get(&waldur, &format!("marketplace-service-providers/?customer_uuid={}", waldur.provider())).json();
    let path = format!("marketplace-service-providers/{}/keys/", provider[0]["uuid"].as_str().unwrap());
    let first = get(&waldur, &path);
    assert_eq!((first.header("x-result-count"), first.json().as_array().unwrap().len()), ("12", 10));
    assert_eq!(get(&waldur, &format!("{path}?page=2")).json().as_array().unwrap().len(), 2);
    assert_eq!(get(&waldur, &format!("{path}?page=3")).status, StatusCode::NOT_FOUND);
}
