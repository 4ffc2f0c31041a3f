//! Usage on the wire.

use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    client::{UsageQuery, UsageSubmission, UserUsage},
    types::{
        Amounts, ComponentUsageUuid, Date, OfferingUuid, PlanPeriodUuid, ResourceUuid, Timestamp, Uuid, WaldurAmount,
    },
};

use crate::client_support::{Script, answer, page};

const HOME: &str = "https://waldur.example.org";
const OFFERING: OfferingUuid = OfferingUuid::new(Uuid::from_u128(0xe1));
const RESOURCE: ResourceUuid = ResourceUuid::new(Uuid::from_u128(0x0b));
const USAGE: ComponentUsageUuid = ComponentUsageUuid::new(Uuid::from_u128(0x0c));

fn amount(text: &str) -> WaldurAmount {
    WaldurAmount::new(text.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn one_listing_for_all_resources_asks_for_few_members() {
    let script = Script::new(|request, _| page(HOME, request, 0, &[]));
    let query = UsageQuery::offering(OFFERING).billing_period(Date::constant(2026, 11, 1));
    script.client().component_usages().list(&query).collect().await.unwrap();
    let sent = script.only();
    assert_eq!(sent.path, "/api/marketplace-component-usages/");
    assert_eq!(sent.one("offering_uuid"), Some(OFFERING.hex().as_str()));
    assert_eq!(sent.one("billing_period"), Some("2026-11-01"));
    assert_eq!(sent.one("page_size"), Some("300"));
    assert_eq!((sent.one("resource_uuid"), sent.one("type")), (None, None));
    assert_eq!(sent.all("field"), ["uuid", "type", "usage", "resource_uuid", "billing_period"]);
}

#[tokio::test(start_paused = true)]
async fn shares_of_users_are_filtered_by_the_month_of_their_usage() {
    let script = Script::new(|request, _| page(HOME, request, 0, &[]));
    let query = UsageQuery::resource(RESOURCE).billing_period(Date::constant(2026, 11, 1)).component("cpu");
    script.client().component_usages().list_of_users(&query).collect().await.unwrap();
    let sent = script.only();
    assert_eq!(sent.path, "/api/marketplace-component-user-usages/");
    assert_eq!(sent.one("resource_uuid"), Some(RESOURCE.hex().as_str()));
    assert_eq!(sent.one("component_usage__billing_period"), Some("2026-11-01"));
    assert_eq!(sent.one("type"), Some("cpu"));
}

#[tokio::test(start_paused = true)]
async fn a_report_carries_text_with_two_decimals_and_an_instant_with_an_offset() {
    let script = Script::always(201, "");
    let usages: Amounts =
        [("cpu", "12.345"), ("mem", "-0.001"), ("gpu", "7")].map(|(name, text)| (name.to_owned(), amount(text))).into();
    let date: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    let usage = UsageSubmission::new(RESOURCE, usages.clone()).date(date);
    script.client().component_usages().set_usage(&usage).await.unwrap();
    let sent = script.only();
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/api/marketplace-component-usages/set_usage/"));
    let items = json!([
        { "type": "cpu", "amount": "12.34" }, { "type": "gpu", "amount": "7.00" }, { "type": "mem", "amount": "0.00" },
    ]);
    let body = json!({ "resource": RESOURCE.hex(), "date": "2026-11-22T10:00:00Z", "usages": items });
    assert_eq!(sent.body, Some(body));
    let script = Script::always(201, "");
    let period = PlanPeriodUuid::new(Uuid::from_u128(0x0f));
    script.client().component_usages().set_usage(&UsageSubmission::of_plan_period(period, usages)).await.unwrap();
    assert_eq!(script.only().body, Some(json!({ "plan_period": period.hex(), "usages": items })));
}

#[tokio::test(start_paused = true)]
async fn shares_go_together_or_one_by_one() {
    let script = Script::always(201, "");
    let shares = [
        UserUsage::new("ann", amount("1")).user("https://waldur.example.org/api/marketplace-offering-users/1/"),
        UserUsage::new("bob", amount("0.005")),
    ];
    let usages = script.client();
    usages.component_usages().set_user_usages(USAGE, &shares).await.unwrap();
    usages.component_usages().set_user_usage(USAGE, &shares[1]).await.unwrap();
    let sent = script.sent();
    let path = format!("/api/marketplace-component-usages/{}/set_user_usage", USAGE.hex());
    assert_eq!((sent[0].path.clone(), sent[1].path.clone()), (format!("{path}s/"), format!("{path}/")));
    let bob = json!({ "username": "bob", "usage": "0.00" });
    let ann = json!({
        "username": "ann", "usage": "1.00", "user": "https://waldur.example.org/api/marketplace-offering-users/1/",
    });
    assert_eq!(sent[0].body, Some(json!({ "usages": [ann, bob] })));
    assert_eq!(sent[1].body, Some(bob));
}

#[tokio::test(start_paused = true)]
async fn a_server_of_2024_does_not_offer_shares_together() {
    let page =
        "<!doctype html><html><h1>Not Found</h1><p>The requested resource was not found on this server.</p></html>";
    let script = Script::new(move |_, _| {
        let mut answer = answer(404, &[], page)?;
        answer.headers_mut().insert("content-type", "text/html".parse().unwrap());
        Ok(answer)
    });
    let share = UserUsage::new("ann", amount("1"));
    let outcome = script.client().component_usages().set_user_usages(USAGE, &[share]).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_names_a_user_is_not_quoted() {
    let script = Script::always(400, json!({ "username": ["canary-person may not."] }).to_string());
    let share = UserUsage::new("canary-person", amount("1"));
    let client = script.client();
    for outcome in [
        client.component_usages().set_user_usage(USAGE, &share).await,
        client.component_usages().set_user_usages(USAGE, std::slice::from_ref(&share)).await,
    ] {
        let error = outcome.unwrap_err();
        let shown = format!("{error} {error:?} {share:?}");
        assert!(!shown.contains("canary-person") && shown.contains("may not."), "{shown}");
    }
}
