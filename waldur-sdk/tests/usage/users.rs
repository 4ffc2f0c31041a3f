//! What each user used (core.md §4.3; faults.md row 145).

use serde_json::{Value, json};
use waldur_sdk::{
    backend::{Cancellation, OpContext},
    testing::{Faults, op, status, waldur::Generation},
    types::ResourceUuid,
};

use crate::{
    layers::{Before, HalfCommitted, Reversed, Rows},
    usage::{BOTH, NOVEMBER, World, month, november},
};

const USERS: [(&str, &str, &str); 3] = [("ann", "6", "1"), ("bob", "3", "2"), ("local-cron", "1", "3")];

/// Three users of two components; one of them is not known to Waldur.
fn world(generation: Generation) -> (World, ResourceUuid) {
    let world = World::new(generation);
    let resource = world.resource("res");
    world.account("ann");
    world.account("bob");
    world.used("res", "cpu", "10");
    world.used("res", "mem", "6");
    for (user, cpu, mem) in USERS {
        world.user_used("res", user, "cpu", cpu);
        world.user_used("res", user, "mem", mem);
    }
    (world, resource)
}

#[tokio::test(start_paused = true)]
async fn c56_three_users_of_two_components_are_two_requests() {
    let (world, resource) = world(Generation::V8);
    let report = world.run().await;
    assert_eq!(november(&report), "submitted");
    assert_eq!(month(&report, NOVEMBER).users.sent, 6);
    let bulk = "component_usages.set_user_usages";
    assert_eq!(world.writes(), ["component_usages.set_usage", bulk, bulk]);
    let body = world.bodies(bulk).remove(0);
    let shares = body["usages"].as_array().unwrap();
    let told: Vec<_> =
        shares.iter().map(|share| (&share["username"], &share["usage"], share.get("user").is_some())).collect();
    let (ann, bob, local) = (json!("ann"), json!("bob"), json!("local-cron"));
    let (six, three, one) = (json!("6.00"), json!("3.00"), json!("1.00"));
    assert_eq!(told, [(&ann, &six, true), (&bob, &three, true), (&local, &one, false)]);
    let url = shares[0]["user"].as_str().unwrap();
    assert!(url.contains("/api/marketplace-offering-users/") && url.ends_with('/'), "{url}");
    assert!(shares[0]["date"].as_str().unwrap().starts_with("2026-11-22T10:00"));
    assert_eq!(world.shares(resource, "cpu").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn c56_an_old_server_gets_one_request_for_each() {
    let (world, resource) = world(Generation::V2024);
    let reporter = world.agent().build();
    reporter.run_once(&OpContext::new("run")).await.unwrap();
    assert_eq!(world.shares(resource, "cpu").len(), 3);
    assert_eq!(world.bodies("component_usages.set_user_usage").len(), 6);
    assert_eq!(world.bodies("component_usages.set_user_usages").len(), 1, "tried once");
    world.user_used("res", "ann", "cpu", "7");
    world.used("res", "cpu", "11");
    reporter.run_once(&OpContext::new("run")).await.unwrap();
    assert_eq!(world.bodies("component_usages.set_user_usages").len(), 1);
    assert_eq!(world.shares(resource, "cpu")["ann"], "7.00");
}

#[tokio::test(start_paused = true)]
async fn shares_that_did_not_change_are_not_sent_again() {
    for generation in BOTH {
        let (world, resource) = world(generation);
        world.run().await;
        world.waldur.forget_requests();
        let report = world.run().await;
        assert_eq!((month(&report, NOVEMBER).users.sent, month(&report, NOVEMBER).users.unchanged), (0, 6));
        assert_eq!(world.writes(), [""; 0]);
        // One share changes while the total stays: that one is sent, and its account is not forgotten.
        world.user_used("res", "bob", "cpu", "2.5");
        let report = world.run().await;
        assert_eq!((november(&report).as_str(), month(&report, NOVEMBER).users.sent), ("unchanged", 1));
        assert_eq!(world.shares(resource, "cpu")["bob"], "2.50");
        // An unknown user gets an account.
        world.account("local-cron");
        assert_eq!(month(&world.run().await, NOVEMBER).users.sent, 2);
        assert_eq!(month(&world.run().await, NOVEMBER).users.sent, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn somebody_who_is_not_measured_any_more_keeps_what_was_reported() {
    let (world, resource) = world(Generation::V8);
    world.run().await;
    world.service.forget_usage("res", NOVEMBER);
    world.used("res", "cpu", "10");
    world.used("res", "mem", "6");
    world.user_used("res", "ann", "cpu", "6");
    world.run().await;
    assert_eq!(world.shares(resource, "cpu")["bob"], "3.00");
}

#[tokio::test(start_paused = true)]
async fn f145_the_total_counts_and_a_difference_is_told() {
    let (world, resource) = world(Generation::V8);
    world.used("res", "cpu", "12");
    let report = world.run().await;
    assert_eq!(month(&report, NOVEMBER).unequal, ["cpu"]);
    assert_eq!(world.stored(resource, NOVEMBER)["cpu"], ["12.00"]);
    assert_eq!(world.shares(resource, "cpu")["ann"], "6.00");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_cannot_be_stored_does_not_spoil_the_others() {
    let (world, resource) = world(Generation::V8);
    world.user_used("res", &"x".repeat(101), "cpu", "1");
    world.user_used("res", " ", "cpu", "1");
    let report = world.run().await;
    let users = &month(&report, NOVEMBER).users;
    assert_eq!((users.sent, users.unnameable, users.failed.is_none()), (6, 2, true));
    assert_eq!(world.shares(resource, "cpu").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn users_hold_up_nothing() {
    for broken in ["offering_users.list", "component_usages.list_of_users", "component_usages.set_user_usages"] {
        let (world, resource) = world(Generation::V8);
        let faults = Faults::new(world.waldur.clone()).on(op(broken), status(503));
        let report = world.agent().sending_once().waldur(faults).run().await;
        assert_eq!(november(&report), "submitted", "{broken}");
        assert!(month(&report, NOVEMBER).users.failed.is_some() && !report.is_clean(), "{broken}");
        assert_eq!(world.stored(resource, NOVEMBER)["cpu"], ["10.00"]);
        // The next run makes up for it, although the totals are there.
        let report = world.run().await;
        assert_eq!((november(&report).as_str(), month(&report, NOVEMBER).users.sent), ("unchanged", 6), "{broken}");
    }
}

#[tokio::test(start_paused = true)]
async fn users_are_left_alone_if_so_wanted() {
    let (world, resource) = world(Generation::V8);
    world.agent().policy(|policy| policy.per_user = false).run().await;
    assert!(world.shares(resource, "cpu").is_empty());
    assert_eq!(world.writes(), ["component_usages.set_usage"]);
    assert_eq!(world.bodies("offering_users.list"), [Value::Null; 0]);
}

#[tokio::test(start_paused = true)]
async fn c51_shares_after_a_change_of_plan_add_up_as_the_totals_do() {
    for generation in BOTH {
        // Whatever the order in which Waldur lists the rows.
        for reversed in [false, true] {
            let (world, resource) = world(generation);
            let run = async || {
                let agent = world.agent();
                let turned = Reversed(world.waldur.clone(), "component_usages.list");
                if reversed { agent.waldur(turned).run().await } else { agent.run().await }
            };
            run().await;
            world.clock.set("2026-11-23T10:00:00Z");
            world.waldur.switch_plan(resource, world.waldur.plan(world.offering, "Large"));
            world.used("res", "cpu", "14");
            world.user_used("res", "ann", "cpu", "8");
            world.user_used("res", "dan", "cpu", "2");
            for sent in [2, 0] {
                assert_eq!(month(&run().await, NOVEMBER).users.sent, sent, "{generation:?} {reversed}");
            }
            let rows: Vec<_> =
                world.waldur.usage_of(resource).into_iter().filter(|row| row.component == "cpu").collect();
            let amounts: Vec<_> = rows.iter().map(|row| format!("{:.2} {:.2}", row.amount, row.users["ann"])).collect();
            assert_eq!(amounts, ["10.00 6.00", "4.00 2.00"], "{generation:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn many_users_are_several_requests() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.used("res", "cpu", "450");
    for number in 0..450 {
        world.user_used("res", &format!("user-{number}"), "cpu", "1");
    }
    // The second is refused: what went before counts, and what is left is sent by the next run.
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_user_usages").nth(2), status(400));
    let report = world.agent().waldur(faults).run().await;
    let users = &month(&report, NOVEMBER).users;
    assert_eq!((users.sent, users.failed.is_some()), (200, true));
    assert_eq!(month(&world.run().await, NOVEMBER).users.sent, 250);
    let sizes = world.bodies("component_usages.set_user_usages").into_iter();
    let sizes: Vec<_> = sizes.map(|body| body["usages"].as_array().unwrap().len()).collect();
    assert_eq!((sizes, world.shares(resource, "cpu").len()), (vec![200, 200, 50], 450));
}

#[tokio::test(start_paused = true)]
async fn sharing_out_stops_when_it_is_asked_to() {
    for (generation, operation) in
        [(Generation::V2024, "component_usages.set_user_usage"), (Generation::V8, "component_usages.set_user_usages")]
    {
        let (world, _) = world(generation);
        let stop = Cancellation::default();
        let event = {
            let stop = stop.clone();
            move || stop.cancel()
        };
        let before = Before::new(&world.waldur, operation, event);
        let report = world.agent().waldur(before).cx(|cx| cx.with_cancellation(stop)).run().await;
        assert_eq!(world.count_requests(operation), 1, "{generation:?}");
        assert!(month(&report, NOVEMBER).users.failed.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn c51_shares_after_a_change_of_plan_wait_while_the_earlier_ones_are_unknown() {
    let break_usage = |row: &mut Value| row["usage"] = json!("much");
    let forget_usage = |row: &mut Value| row["usage"] = Value::Null;
    for broken in [break_usage as fn(&mut Value), forget_usage] {
        let (world, resource) = world(Generation::V8);
        world.run().await;
        world.clock.set("2026-11-23T10:00:00Z");
        world.waldur.switch_plan(resource, world.waldur.plan(world.offering, "Large"));
        world.used("res", "cpu", "14");
        world.user_used("res", "ann", "cpu", "8");
        let of_ann = move |row: &mut Value| {
            if row["username"] == "ann" && row["component_type"] == "cpu" {
                broken(row);
            }
        };
        let layer = Rows(world.waldur.clone(), "component_usages.list_of_users", of_ann);
        let report = world.agent().waldur(layer).run().await;
        let users = &month(&report, NOVEMBER).users;
        assert!(users.failed.is_some() && !report.is_clean(), "{users:?}");
        let held = |world: &World| {
            let rows = world.waldur.usage_of(resource).into_iter().filter(|row| row.component == "cpu");
            rows.filter_map(|row| row.users.get("ann").map(|amount| format!("{amount:.2}"))).collect::<Vec<_>>()
        };
        assert_eq!(held(&world), ["6.00"], "8 of the new plan beside 6 of the old one would be 14 of 8");
        world.run().await;
        assert_eq!(held(&world), ["6.00", "2.00"]);
    }
}

#[tokio::test(start_paused = true)]
async fn f145_what_users_used_of_a_component_without_a_total_is_told() {
    let (world, resource) = world(Generation::V8);
    world.service.forget_usage("res", NOVEMBER);
    world.used("res", "mem", "6");
    world.user_used("res", "ann", "mem", "6");
    world.user_used("res", "ann", "cpu", "1");
    let report = world.run().await;
    assert_eq!(month(&report, NOVEMBER).untotalled, ["cpu"]);
    assert!(world.shares(resource, "cpu").is_empty());
    let losses = month(&report, NOVEMBER).losses();
    assert!(
        losses.len() == 1 && losses[0].ends_with("cpu: amounts of users were measured, and no total"),
        "{losses:?}"
    );
    // Shares that do not add up lose nothing: the total counts.
    world.used("res", "mem", "7");
    let report = world.run().await;
    let november = month(&report, NOVEMBER);
    assert_eq!((november.unequal.clone(), november.losses().len()), (vec!["mem".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn no_more_of_people_is_asked_for_than_their_name_and_address() {
    let (world, _) = world(Generation::V8);
    world.run().await;
    let asked = world.waldur.requests().into_iter().find(|request| request.operation == Some("offering_users.list"));
    let asked = format!("{:?}", asked.unwrap());
    assert!(asked.contains("username") && !asked.contains("full_name") && !asked.contains("email"), "{asked}");
}

/// The server writes what it comes to, and answers with an error.
#[tokio::test(start_paused = true)]
async fn f151_a_bulk_report_that_was_half_committed_is_finished_by_the_next_run() {
    const BULK: &str = "component_usages.set_user_usages";
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.used("res", "cpu", "21");
    let users = ["ann", "bob", "cid", "dan", "eve", "fay"];
    for (number, user) in users.into_iter().enumerate() {
        world.account(user);
        world.user_used("res", user, "cpu", &(number + 1).to_string());
    }
    let half = HalfCommitted::new(&world.waldur, BULK);
    let report = world.agent().sending_once().waldur(half).run().await;
    let told = &month(&report, NOVEMBER).users;
    assert!(told.failed.is_some() && !report.is_clean(), "{told:?}");
    let written: Vec<_> = world.shares(resource, "cpu").into_keys().collect();
    assert_eq!(written, users[..3]);

    world.waldur.forget_requests();
    let report = world.run().await;
    assert_eq!((november(&report).as_str(), month(&report, NOVEMBER).users.sent), ("unchanged", 3));
    let bodies = world.bodies(BULK);
    let [rest] = bodies.as_slice() else { panic!("one request: {bodies:?}") };
    let rest: Vec<_> = rest["usages"].as_array().unwrap().iter().map(|share| share["username"].clone()).collect();
    assert_eq!(rest, users[3..], "what was written is not written again");
    let shares: Vec<_> = world.shares(resource, "cpu").into_values().collect();
    assert_eq!(shares, ["1.00", "2.00", "3.00", "4.00", "5.00", "6.00"]);
}
