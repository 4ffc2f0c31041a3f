//! What becomes of orders and resources (core.md §1.6).

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use waldur_sdk::{
    testing::waldur::{FakeWaldur, Generation, OfferingUserState, OrderState, ResourceState},
    types::{OrderUuid, ResourceUuid},
};

use super::{BOTH, ask, exchanges::fake_waldur, get, post, storage};

fn limits(storage: i64) -> Map<String, Value> {
    Map::from_iter([("storage".to_owned(), storage.into())])
}

fn in_use(waldur: &FakeWaldur) -> ResourceUuid {
    waldur.resource(storage(waldur)).name("s3").backend_id("s3-1").limits([("storage", 100)]).create()
}

fn done(waldur: &FakeWaldur, order: OrderUuid) {
    let answer = post(waldur, &format!("marketplace-orders/{order}/set_state_done/"), &json!({}));
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
}

fn erred(waldur: &FakeWaldur, order: OrderUuid) {
    let body = json!({"error_message": "no room", "error_traceback": "at the store"});
    let answer = post(waldur, &format!("marketplace-orders/{order}/set_state_erred/"), &body);
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
}

#[test]
fn an_order_becomes_a_resource() {
    for generation in BOTH {
        let waldur = fake_waldur(generation);
        let order = waldur.order(storage(&waldur)).create_resource("my-s3").limits([("storage", 100)]).pending();
        let resource = waldur.resource_of(order);
        assert_eq!(waldur.order_view(order).state, OrderState::PendingProvider);
        assert_eq!(waldur.order_view(order).attributes, json!({"name": "my-s3"}));
        assert_eq!(waldur.resource_view(resource).state, ResourceState::Creating);
        assert_eq!(waldur.resource_view(resource).slug, "my-s3-1");

        let path = format!("marketplace-orders/{order}/approve_by_provider/");
        assert_eq!(post(&waldur, &path, &json!({})).status, StatusCode::OK);
        assert_eq!(waldur.order_view(order).state, OrderState::Executing);
        let path = format!("marketplace-provider-resources/{resource}/set_backend_id/");
        post(&waldur, &path, &json!({"backend_id": "s3-1"}));
        done(&waldur, order);

        assert_eq!(waldur.order_view(order).state, OrderState::Done);
        let view = waldur.resource_view(resource);
        assert_eq!((view.state, view.backend_id.as_str(), view.limits), (ResourceState::Ok, "s3-1", limits(100)));
        assert_eq!(waldur.done_without_backend_id(), []);
        assert_eq!(waldur.erred_orders(), []);
    }
}

#[test]
fn an_order_done_without_a_backend_id_is_told() {
    let waldur = fake_waldur(Generation::V8);
    let order = waldur.order(storage(&waldur)).create_resource("my-s3").executing();
    done(&waldur, order);
    assert_eq!(waldur.done_without_backend_id(), [order]);
    // What ends needs none.
    let end = waldur.order_on(waldur.resource_of(order)).terminate().executing();
    done(&waldur, end);
    assert_eq!(waldur.done_without_backend_id(), [order]);
}

#[test]
fn a_failed_order_leaves_the_resource_as_its_kind_says() {
    for generation in BOTH {
        let waldur = fake_waldur(generation);
        let create = waldur.order(storage(&waldur)).create_resource("my-s3").executing();
        let resource = in_use(&waldur);
        let update = waldur.order_on(resource).update_limits([("storage", 200)]).executing();
        assert_eq!(waldur.resource_view(resource).state, ResourceState::Updating);
        erred(&waldur, create);
        erred(&waldur, update);
        assert_eq!(waldur.resource_view(waldur.resource_of(create)).state, ResourceState::Erred);
        assert_eq!(waldur.resource_view(resource).state, ResourceState::Erred);
        assert_eq!(waldur.resource_view(resource).limits, limits(100));

        let terminate = waldur.order_on(resource).terminate().executing();
        assert_eq!(waldur.resource_view(resource).state, ResourceState::Terminating);
        erred(&waldur, terminate);
        assert_eq!(waldur.resource_view(resource).state, ResourceState::Ok);

        assert_eq!(waldur.erred_orders(), [create, update, terminate]);
        let view = waldur.order_view(update);
        assert_eq!((view.error_message.as_str(), view.error_traceback.as_str()), ("no room", "at the store"));
    }
}

#[test]
fn updates_apply_when_they_are_done() {
    let waldur = fake_waldur(Generation::V8);
    let offering = storage(&waldur);
    let resource = waldur.resource(offering).limits([("storage", 100)]).options(json!({"public": false})).create();
    let (small, large) = (waldur.plan(offering, "Small"), waldur.plan(offering, "Large"));
    assert_eq!(waldur.resource_view(resource).plan, Some(small));

    let order = waldur.order_on(resource).update_limits([("storage", 200)]).executing();
    assert_eq!(waldur.order_view(order).attributes, json!({"old_limits": {"storage": 100}}));
    assert_eq!(waldur.resource_view(resource).limits, limits(100));
    done(&waldur, order);
    assert_eq!(waldur.resource_view(resource).limits, limits(200));
    assert_eq!(waldur.resource_view(resource).state, ResourceState::Ok);

    // A switch of plan carries the limits as they are (core.md §2.9).
    let order = waldur.order_on(resource).switch_plan(large).executing();
    let row = get(&waldur, &format!("marketplace-orders/{order}/")).json();
    assert_eq!((&row["old_plan_name"], &row["new_plan_name"]), (&json!("Small"), &json!("Large")));
    assert_eq!(waldur.order_view(order).limits, limits(200));
    done(&waldur, order);
    assert_eq!(waldur.resource_view(resource).plan, Some(large));

    let order = waldur.order_on(resource).update_options(&json!({"public": true})).executing();
    let attributes = json!({"old_options": {"public": false}, "new_options": {"public": true}});
    assert_eq!(waldur.order_view(order).attributes, attributes);
    done(&waldur, order);
    assert_eq!(waldur.resource_view(resource).options, json!({"public": true}));
    assert_eq!(waldur.resource_view(resource).limits, limits(200));
}

#[test]
fn what_ended_can_come_back() {
    let waldur = fake_waldur(Generation::V8);
    let resource = in_use(&waldur);
    done(&waldur, waldur.order_on(resource).terminate().executing());
    assert_eq!(waldur.resource_view(resource).state, ResourceState::Terminated);
    let restore = waldur.order_on(resource).restore().executing();
    assert_eq!(waldur.resource_view(resource).state, ResourceState::Creating);
    assert_eq!(waldur.order_view(restore).limits, limits(100));
    done(&waldur, restore);
    assert_eq!(waldur.resource_view(resource).state, ResourceState::Ok);
    assert_eq!(waldur.resource_view(resource).backend_id, "s3-1");
}

#[test]
fn approval_takes_effect_after_the_reads_asked_for() {
    let waldur = fake_waldur(Generation::V2024).with_approval_delay(2);
    let order = waldur.order(storage(&waldur)).create_resource("my-s3").pending();
    let path = format!("marketplace-orders/{order}/");
    post(&waldur, &format!("{path}approve_by_provider/"), &json!({}));
    let state = || get(&waldur, &path).json()["state"].clone();
    assert_eq!(state(), "pending-provider");
    // Done is refused as long as the approval has not come through.
    assert_eq!(post(&waldur, &format!("{path}set_state_done/"), &json!({})).status, StatusCode::CONFLICT);
    assert_eq!(get(&waldur, "marketplace-orders/").json()[0]["state"], "pending-provider");
    assert_eq!(get(&waldur, "marketplace-orders/?state=executing").json().as_array().unwrap().len(), 1);
    assert_eq!(state(), "executing");
}

#[test]
fn a_rejected_order_keeps_the_reason() {
    let waldur = fake_waldur(Generation::V8);
    let order = waldur.order(storage(&waldur)).create_resource("my-s3").pending();
    let path = format!("marketplace-orders/{order}/reject_by_provider/");
    post(&waldur, &path, &json!({"provider_rejection_comment": "no more disks"}));
    let view = waldur.order_view(order);
    assert_eq!((view.state, view.provider_rejection_comment.as_str()), (OrderState::Rejected, "no more disks"));
    assert_eq!(waldur.resource_view(view.resource).state, ResourceState::Terminated);
    assert_eq!(post(&waldur, &path, &json!({})).status, StatusCode::CONFLICT);

    // What is in use stays in use.
    let resource = in_use(&waldur);
    let order = waldur.order_on(resource).terminate().pending();
    post(&waldur, &format!("marketplace-orders/{order}/reject_by_provider/"), &json!({}));
    assert_eq!(waldur.resource_view(resource).state, ResourceState::Ok);
}

#[test]
fn a_customer_orders_through_the_api() {
    let waldur = fake_waldur(Generation::V8);
    let (offering, owner) = (storage(&waldur), waldur.owner());
    let member = waldur.user("bob").project_role(waldur.default_project(), "PROJECT.MEMBER").create();
    let body = json!({
        "offering": format!("{}api/marketplace-public-offerings/{offering}/", waldur.base_url()),
        "project": format!("{}api/projects/{}/", waldur.base_url(), waldur.default_project()),
        "attributes": {"name": "my-s3"},
        "limits": {"storage": 5},
    });
    let answer = ask(&waldur, member, Method::POST, "marketplace-orders/", Some(&body));
    assert_eq!(answer.status, StatusCode::CREATED);
    let order: OrderUuid = answer.json()["uuid"].as_str().unwrap().parse().unwrap();
    assert_eq!(waldur.order_view(order).state, OrderState::PendingConsumer);

    let path = format!("marketplace-orders/{order}/approve_by_consumer/");
    assert_eq!(ask(&waldur, member, Method::POST, &path, Some(&json!({}))).status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&waldur, owner, Method::POST, &path, Some(&json!({}))).status, StatusCode::OK);
    assert_eq!(waldur.order_view(order).state, OrderState::PendingProvider);
    let too_little = json!({"storage": 0});
    let mut body = body;
    body["limits"] = too_little;
    assert_eq!(ask(&waldur, member, Method::POST, "marketplace-orders/", Some(&body)).status, StatusCode::BAD_REQUEST);
}

#[test]
fn members_get_an_offering_user_when_the_provider_names_them() {
    let waldur = fake_waldur(Generation::V8);
    let bob = waldur.user("bob").project_role(waldur.default_project(), "PROJECT.ADMIN").create();
    let offering = waldur
        .offering()
        .plugin_option("username_generation_policy", "service_provider")
        .plugin_option("service_provider_can_create_offering_user", true)
        .create();
    let order = waldur.order(offering).create_resource("hpc").executing();
    let resource = waldur.resource_of(order);
    done(&waldur, order);
    let team = get(&waldur, &format!("marketplace-provider-resources/{resource}/team/")).json();
    assert_eq!(team[0]["uuid"], bob.hex());
    assert_eq!(team[0]["offering_user_state"], "Requested");
    let rows = get(&waldur, &format!("marketplace-offering-users/?user_uuid={bob}&state=Requested")).json();
    let row = rows[0]["uuid"].as_str().unwrap().parse().unwrap();

    let act = |action: &str, body| post(&waldur, &format!("marketplace-offering-users/{row}/{action}/"), &body).status;
    assert_eq!(act("begin_creating", json!({})), StatusCode::OK);
    assert_eq!(act("begin_creating", json!({})), StatusCode::CONFLICT);
    let no_url = json!({"comment": "link it", "comment_url": null});
    assert_eq!(act("set_pending_account_linking", no_url), StatusCode::BAD_REQUEST);
    assert_eq!(act("set_pending_account_linking", json!({"comment": "link it"})), StatusCode::OK);
    let view = waldur.offering_user_view(row);
    assert_eq!((view.state, view.comment.as_str()), (OfferingUserState::PendingAccountLinking, "link it"));
    assert_eq!(act("set_validation_complete", json!({})), StatusCode::OK);
    assert_eq!(waldur.offering_user_view(row).comment, "");
    assert_eq!(act("request_deletion", json!({})), StatusCode::OK);
    assert_eq!(act("set_deleted", json!({})), StatusCode::CONFLICT);
    assert_eq!(act("set_deleting", json!({})), StatusCode::OK);
    assert_eq!(act("set_deleted", json!({})), StatusCode::OK);
    assert_eq!(waldur.offering_user_view(row).state, OfferingUserState::Deleted);
}

#[test]
fn a_username_makes_an_offering_user_ready() {
    let waldur = fake_waldur(Generation::V8);
    let bob = waldur.user("bob").create();
    let row =
        waldur.offering_user(storage(&waldur), bob).without_username().state(OfferingUserState::Creating).create();
    let path = format!("marketplace-offering-users/{row}/");
    let body = json!({"username": "hpc_bob"});
    assert_eq!(ask(&waldur, waldur.agent(), Method::PATCH, &path, Some(&body)).status, StatusCode::OK);
    let view = waldur.offering_user_view(row);
    assert_eq!((view.state, view.username.as_deref()), (OfferingUserState::Ok, Some("hpc_bob")));
}

#[test]
fn a_backend_id_is_taken_as_text() {
    for generation in BOTH {
        let waldur = FakeWaldur::new(generation);
        let resource = in_use(&waldur);
        let path = format!("marketplace-provider-resources/{resource}/set_backend_id/");
        for (sent, kept) in [(json!(42), "42"), (json!("  s3-2 "), "s3-2"), (json!(" "), ""), (json!(""), "")] {
            assert_eq!(post(&waldur, &path, &json!({"backend_id": sent})).status, StatusCode::OK);
            assert_eq!(waldur.resource_view(resource).backend_id, kept);
        }
        for wrong in [json!(null), json!(true), json!([]), json!("x".repeat(256))] {
            assert_eq!(post(&waldur, &path, &json!({"backend_id": wrong})).status, StatusCode::BAD_REQUEST);
        }
    }
}

#[test]
fn somebody_else_may_change_things_meanwhile() {
    let waldur = fake_waldur(Generation::V8);
    let order = waldur.order(storage(&waldur)).create_resource("my-s3").pending();
    waldur.set_order_state(order, OrderState::Canceled);
    let path = format!("marketplace-orders/{order}/approve_by_provider/");
    assert_eq!(post(&waldur, &path, &json!({})).status, StatusCode::CONFLICT);
    let resource = waldur.resource_of(order);
    waldur.change_resource(resource, |resource| resource.erred("by hand").paused(true));
    let row = get(&waldur, &format!("marketplace-provider-resources/{resource}/")).json();
    assert_eq!(
        (&row["state"], &row["paused"], &row["error_message"]),
        (&json!("Erred"), &json!(true), &json!("by hand"))
    );
}
