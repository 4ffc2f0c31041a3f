//! Usage beyond what was recorded: months, plans, refusals, shares.

use http::StatusCode;
use serde_json::{Value, json};
use waldur_sdk::{
    testing::waldur::{Backfilling, Billing, FakeWaldur, Generation, OfferingSeed, ResourceState},
    types::{Date, Decimal, OfferingUuid, ResourceUuid, Timestamp},
};

use crate::{BOTH, Said, ask, exchanges::fake_waldur, get, post};

const USAGES: &str = "marketplace-component-usages/";
const SET: &str = "marketplace-component-usages/set_usage/";

fn world(generation: Generation) -> (FakeWaldur, OfferingUuid, ResourceUuid) {
    let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
    let waldur = fake_waldur(generation).with_wall(move || now);
    let all = |offering: OfferingSeed| {
        offering
            .component("cpu", Billing::Usage)
            .component("mem", Billing::Limit)
            .component("node", Billing::Fixed)
            .component("setup", Billing::One)
    };
    let offering = all(waldur.offering()).plan("Small", |plan| plan).plan("Large", |plan| plan).create();
    let resource = waldur.resource(offering).create();
    (waldur, offering, resource)
}

fn report(resource: ResourceUuid, kinds: &[&str], date: Option<&str>) -> Value {
    let usages: Vec<_> = kinds.iter().map(|kind| json!({ "type": kind, "amount": "1.50" })).collect();
    let mut body = json!({ "resource": resource, "usages": usages });
    if let Some(date) = date {
        body["date"] = json!(date);
    }
    body
}

fn months(waldur: &FakeWaldur, resource: ResourceUuid) -> Vec<String> {
    waldur.usage_of(resource).iter().map(|row| format!("{} {}", row.component, row.billing_period)).collect()
}

#[track_caller]
fn refused(said: &Said, field: &str) -> String {
    assert_eq!(said.status, StatusCode::BAD_REQUEST, "{said:?}");
    said.json()[field][0].as_str().unwrap().to_owned()
}

#[test]
fn a_report_is_about_the_month_of_its_date_but_on_the_old_server() {
    for (generation, month) in [(Generation::V2024, "cpu 2026-11-01"), (Generation::V8, "cpu 2026-10-01")] {
        let (waldur, _, resource) = world(generation);
        let said = post(&waldur, SET, &report(resource, &["cpu"], Some("2026-10-05T00:00:00Z")));
        assert_eq!((said.status, said.body.len()), (StatusCode::CREATED, 0));
        assert_eq!(months(&waldur, resource), [month]);
    }
    // The month counts in UTC.
    let (waldur, _, resource) = world(Generation::V8);
    post(&waldur, SET, &report(resource, &["cpu"], Some("2026-11-01T00:00:00+03:00")));
    assert_eq!(months(&waldur, resource), ["cpu 2026-10-01"]);
    refused(&post(&waldur, SET, &report(resource, &["cpu"], Some("2026-11-01"))), "date");
}

#[test]
fn a_whole_report_is_refused_for_a_component_that_takes_no_usage() {
    for generation in BOTH {
        let (waldur, _, resource) = world(generation);
        for kind in ["node", "setup", "moon"] {
            let text = refused(&post(&waldur, SET, &report(resource, &["cpu", kind], None)), "usages");
            assert!(text.contains("components are invalid") && text.contains(kind), "{text}");
        }
        assert!(waldur.usage_of(resource).is_empty());
        assert_eq!(post(&waldur, SET, &report(resource, &["cpu", "mem"], None)).status, StatusCode::CREATED);
    }
}

#[test]
fn usage_is_taken_in_three_states() {
    for generation in BOTH {
        for (state, taken) in [
            (ResourceState::Ok, true),
            (ResourceState::Updating, true),
            (ResourceState::Terminating, true),
            (ResourceState::Creating, false),
            (ResourceState::Erred, false),
            (ResourceState::Terminated, false),
        ] {
            let (waldur, _, resource) = world(generation);
            waldur.change_resource(resource, |row| row.state(state));
            let said = post(&waldur, SET, &report(resource, &["cpu"], None));
            assert_eq!(said.status == StatusCode::CREATED, taken, "{state}");
        }
    }
}

#[test]
fn past_months_can_be_refused() {
    let past = Some("2026-10-05T00:00:00Z");
    for (allowed, usage, limit) in [
        (Backfilling::Everything, true, true),
        (Backfilling::Limits, false, true),
        (Backfilling::Nothing, false, false),
    ] {
        let (waldur, _, resource) = world(Generation::V8);
        let waldur = waldur.with_backfilling(allowed);
        for (kinds, taken) in [(&["cpu"][..], usage), (&["mem"], limit), (&["cpu", "mem"], usage)] {
            let said = post(&waldur, SET, &report(resource, kinds, past));
            assert_eq!(said.status == StatusCode::CREATED, taken, "{allowed:?} {kinds:?}");
            if !taken {
                assert!(refused(&said, "date").contains("backfilling past billing periods"));
            }
        }
        // This month, and staff, always.
        assert_eq!(post(&waldur, SET, &report(resource, &["cpu"], None)).status, StatusCode::CREATED);
        let staff = ask(&waldur, waldur.staff(), http::Method::POST, SET, Some(&report(resource, &["cpu"], past)));
        assert_eq!(staff.status, StatusCode::CREATED);
    }
}

#[test]
fn a_change_of_plan_begins_another_row() {
    for generation in BOTH {
        let (waldur, offering, resource) = world(generation);
        let date = Date::constant(2026, 11, 22);
        waldur.reported(resource, "cpu", date, Decimal::from(4));
        waldur.switch_plan(resource, waldur.plan(offering, "Large"));
        for _twice in 0..2 {
            post(&waldur, SET, &report(resource, &["cpu"], None));
        }
        let rows: Vec<_> = waldur.usage_of(resource).iter().map(|row| row.amount.to_string()).collect();
        assert_eq!(rows, ["4", "1.50"]);
        let periods = get(&waldur, &format!("marketplace-provider-resources/{resource}/plan_periods/")).json();
        let plans: Vec<_> = periods.as_array().unwrap().iter().map(|period| &period["plan_name"]).collect();
        assert_eq!(plans, ["Small", "Large"]);
        assert!(periods[0]["end"].is_string() && periods[1]["end"].is_null());
        assert_eq!(periods[0]["components"][0]["usage"], "4.00");
        // A report can be about the plan that it was.
        let body = json!({ "plan_period": periods[0]["uuid"], "usages": [{ "type": "cpu", "amount": "3.00" }] });
        assert_eq!(post(&waldur, SET, &body).status, StatusCode::CREATED);
        assert_eq!(waldur.usage_of(resource)[0].amount, Decimal::from(3));
    }
}

#[test]
fn shares_of_several_users_are_taken_together_or_not_at_all() {
    let (waldur, _, resource) = world(Generation::V8);
    post(&waldur, SET, &report(resource, &["cpu"], None));
    let row = get(&waldur, USAGES).json()[0]["uuid"].as_str().unwrap().to_owned();
    let path = format!("{USAGES}{row}/set_user_usages/");
    let bad = json!({ "usages": [{ "username": "ann", "usage": "1.00" }, { "usage": "2.00" }] });
    let said = post(&waldur, &path, &bad);
    assert_eq!(said.json(), json!({ "usages": [{}, { "username": ["This field is required."] }] }));
    assert!(waldur.usage_of(resource)[0].users.is_empty());
    let good = json!({ "usages": [{ "username": "ann", "usage": "1.00" }, { "username": "bob", "usage": "0.50" }] });
    assert_eq!(post(&waldur, &path, &good).status, StatusCode::CREATED);
    assert_eq!(waldur.usage_of(resource)[0].users.len(), 2);
    let november = "marketplace-component-user-usages/?component_usage__billing_period=2026-11-01";
    let listed = get(&waldur, november);
    assert_eq!(listed.header("x-result-count"), "2");
    assert_eq!(listed.json()[0]["billing_period"], "2026-11-01");
    assert!(listed.json()[0].get("user").is_none());
    assert_eq!(get(&waldur, &november.replace("-11-", "-10-")).header("x-result-count"), "0");
    // The old server has no such call.
    let (old, _, resource) = world(Generation::V2024);
    post(&old, SET, &report(resource, &["cpu"], None));
    let row = get(&old, USAGES).json()[0]["uuid"].as_str().unwrap().to_owned();
    assert_eq!(post(&old, &format!("{USAGES}{row}/set_user_usages/"), &good).status, StatusCode::NOT_FOUND);
}

#[test]
fn lists_of_usage_are_filtered_and_seen_by_both_sides() {
    for generation in BOTH {
        let (waldur, offering, resource) = world(generation);
        let other = waldur.resource(waldur.offering().component("cpu", Billing::Usage).create()).create();
        waldur.reported(resource, "cpu", Date::constant(2026, 11, 1), Decimal::ONE);
        waldur.reported(resource, "cpu", Date::constant(2026, 10, 1), Decimal::ONE);
        waldur.reported(other, "cpu", Date::constant(2026, 11, 1), Decimal::ONE);
        let count = |query: &str| get(&waldur, &format!("{USAGES}?{query}")).header("x-result-count").to_owned();
        assert_eq!(count(""), "3");
        assert_eq!(count(&format!("offering_uuid={offering}")), "2");
        assert_eq!(count(&format!("offering_uuid={offering}&billing_period=2026-11-01")), "1");
        assert_eq!(count(&format!("resource_uuid={other}")), "1");
        assert_eq!(count("type=mem"), "0");
        let stranger = waldur.user("stranger").create();
        let seen = |user| ask(&waldur, user, http::Method::GET, USAGES, None).header("x-result-count").to_owned();
        assert_eq!((seen(waldur.owner()), seen(stranger)), ("3".to_owned(), "0".to_owned()));
        let theirs = ask(&waldur, waldur.owner(), http::Method::POST, SET, Some(&report(resource, &["cpu"], None)));
        assert_eq!(theirs.status, StatusCode::FORBIDDEN);
    }
}
