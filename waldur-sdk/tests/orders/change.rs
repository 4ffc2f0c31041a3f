//! Update: limits, plan, options (core.md §2.9).

use crate::orders::{Asked, BOTH, Doctored, World, assert_done, assert_erred, error, limited, limits};
use jiff::civil::date;
use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    settings::{AccountingType, Component, Components, WaldurComponent},
    testing::{
        Action, Faults, op,
        waldur::{Billing, Generation, OrderState, ResourceState},
    },
    types::{Limit, UnitFactor},
};

fn factor(factor: i64) -> UnitFactor {
    UnitFactor::new(factor.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn c26_limits_reach_the_back_end_in_its_own_units() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.waldur.order_on(world.existing("res")).update_limits([("cpu", 101), ("mem", 301)]).pending();
        let report = world
            .agent()
            .memory(|memory| memory.with_factor("cpu", factor(60_000)).with_factor("mem", factor(61_440)))
            .run_one()
            .await;
        assert_done(&report);
        let object = world.object("res");
        assert_eq!((object.limits["cpu"], object.limits["mem"]), (Some(6_060_000), Some(18_493_440)));
        // Waldur applies the order to the resource itself.
        assert_eq!(world.resource(order).limits, limits(101, 301));
        assert_eq!(world.writes(), ["orders.approve_by_provider", "orders.set_state_done"]);
    }
}

#[tokio::test(start_paused = true)]
async fn c27_equal_limits_leave_the_back_end_alone_unless_something_is_prepaid() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.waldur.order_on(world.existing("res")).update_limits([("cpu", 4), ("mem", 8)]).pending();
        assert_done(&world.agent().run_one().await);
        assert_eq!((world.service.writes(), world.state(order)), (0, OrderState::Done));

        // A renewal: the limits are the same, the end is another.
        let world = World::new(generation);
        let resource = world.existing("res");
        let end = date(2027, 6, 30);
        world.waldur.change_resource(resource, |row| row.end_date(end));
        world.waldur.order_on(resource).update_limits([("cpu", 4), ("mem", 8)]).pending();
        let asked = Asked::default();
        let telling = asked.clone();
        let prepaid: Components =
            [Component::new("cpu", AccountingType::One), Component::new("mem", AccountingType::Limit)]
                .into_iter()
                .collect();
        let agent = world.agent().components(prepaid).overriding(move |inner| Doctored::new(inner).telling(&telling));
        assert_done(&agent.run_one().await);
        let changes = asked.limits.lock().unwrap();
        assert_eq!(changes.len(), 1);
        assert!(changes[0].prepaid);
        assert_eq!(changes[0].resource.end_date, Some(end));
        assert_eq!(changes[0].limits["cpu"], Limit::At(4_u32.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn c28_without_limits_the_plans_quotas_are_the_limits() {
    for generation in BOTH {
        let world = World::selling(generation, |offering| {
            offering
                .plan("small", |plan| plan.quota("cpu", 2).quota("mem", 3))
                .plan("large", |plan| plan.quota("cpu", 20).quota("mem", 0))
        });
        let (small, large) = (world.waldur.plan(world.offering, "small"), world.waldur.plan(world.offering, "large"));
        let resource = world.existing("res");
        world.waldur.change_resource(resource, |row| row.plan(small).limits([] as [(&str, i64); 0]));
        let order = world.waldur.order_on(resource).switch_plan(large).pending();
        assert_done(&world.agent().run_one().await);
        // Zero is no limit; what is not named stays.
        assert_eq!(world.object("res").limits, world.object_of(resource, 20, 8).limits);
        assert_eq!(world.resource(order).plan, Some(large));
        assert_eq!(world.count("plans.get"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_of_plans_reaches_the_back_end_although_its_limits_are_the_same() {
    for generation in BOTH {
        let world = World::selling(generation, |offering| {
            offering.plan("small", |plan| plan.quota("cpu", 2)).plan("large", |plan| plan.quota("cpu", 20))
        });
        let large = world.waldur.plan(world.offering, "large");
        let resource = world.existing("res");
        let order = world.waldur.order_on(resource).switch_plan(large).pending();
        let asked = Asked::default();
        let telling = asked.clone();
        assert_done(&world.agent().overriding(move |inner| Doctored::new(inner).telling(&telling)).run_one().await);
        let plans = asked.plans.lock().unwrap();
        assert_eq!((plans.len(), plans[0].new), (1, large));
        assert_eq!(plans[0].old, Some(world.waldur.plan(world.offering, "small")));
        assert_eq!(plans[0].quotas["cpu"], 20_u32.into());
        assert_eq!(world.object("res").plan, Some(large));
        assert!(asked.limits.lock().unwrap().is_empty(), "limits are as they were");
        assert_eq!((world.resource(order).plan, world.resource(order).state), (Some(large), ResourceState::Ok));
    }
}

#[tokio::test(start_paused = true)]
async fn changed_options_reach_the_back_end_and_equal_ones_do_not() {
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    world.waldur.change_resource(resource, |row| row.options(json!({ "tier": "slow" })));
    let order = world.waldur.order_on(resource).update_options(&json!({ "tier": "fast" })).pending();
    let asked = Asked::default();
    let telling = asked.clone();
    assert_done(&world.agent().overriding(move |inner| Doctored::new(inner).telling(&telling)).run_one().await);
    {
        let changes = asked.options.lock().unwrap();
        assert_eq!(changes.len(), 1);
        assert_eq!(
            (changes[0].old.get("tier"), changes[0].new.get("tier")),
            (Some(&json!("slow")), Some(&json!("fast")))
        );
    }
    assert_eq!(world.object("res").options["tier"], "fast");
    assert_eq!(world.resource(order).options, json!({ "tier": "fast" }));
    world.waldur.order_on(resource).update_options(&json!({ "tier": "fast" })).pending();
    let writes = world.service.writes();
    assert_done(&world.agent().run_one().await);
    assert_eq!(world.service.writes(), writes);
}

#[tokio::test(start_paused = true)]
async fn f157_sec49_limits_that_are_acknowledged_and_not_set_do_not_make_a_done_order() {
    for generation in BOTH {
        // In a change.
        let world = World::new(generation);
        let order = world.waldur.order_on(world.existing("res")).update_limits([("cpu", 5), ("mem", 8)]).pending();
        let lies = Faults::new(world.service.clone()).on(op("objects.limits"), Action::swallow());
        let report = world.agent().service(lies).run_one().await;
        assert_erred(&report);
        assert_eq!(error(&report).kind(), ErrorKind::Inconsistent);
        let message = world.order(order).error_message;
        assert!(message.contains("cpu was set to 5 but reads 4"), "{message}");
        assert_eq!(world.resource(order).limits, limits(4, 8));
        // In a creation.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let lies = Faults::new(world.service.clone()).on(op("objects.limits"), Action::swallow());
        let report = world.agent().service(lies).run_one().await;
        assert_erred(&report);
        assert_eq!(error(&report).kind(), ErrorKind::Inconsistent);
        assert!(world.order(order).error_message.contains("reads unlimited"), "{}", world.order(order).error_message);
    }
}

#[tokio::test(start_paused = true)]
async fn zero_unlimited_and_nonsense_are_three_things() {
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    world.waldur.order_on(resource).update_limits([("cpu", 0), ("mem", -1)]).pending();
    assert_done(&world.agent().run_one().await);
    assert_eq!(world.object("res").limits, [("cpu".to_owned(), Some(0)), ("mem".to_owned(), None)].into());
    let order = world.waldur.order_on(resource).update_limits([("cpu", -7), ("mem", 8)]).pending();
    let before = world.service.objects();
    let report = world.agent().run_one().await;
    assert_erred(&report);
    assert!(error(&report).customer_message().is_some_and(|text| text.contains("cpu")));
    assert_eq!((world.state(order), world.service.objects()), (OrderState::Erred, before));
}

#[tokio::test(start_paused = true)]
async fn what_was_never_made_cannot_be_changed() {
    let world = World::new(Generation::V8);
    let resource = world.waldur.resource(world.offering).limits([("cpu", 1)]).create();
    let order = world.waldur.order_on(resource).update_limits([("cpu", 2)]).pending();
    assert_erred(&world.agent().run_one().await);
    assert!(world.order(order).error_message.contains("never created"));
    assert_eq!(world.service.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn c68_offering_with_a_fixed_component_that_the_file_lacks_processes_orders() {
    for generation in BOTH {
        let world = World::selling(generation, |offering| offering.component("seats", Billing::Fixed));
        let seats = WaldurComponent::new("seats", waldur_sdk::types::BillingType::Fixed);
        let (components, warnings) = limited(["cpu", "mem"]).merge_waldur(&[seats]);
        assert!(warnings.is_empty());
        let agent = || world.agent().components(components.clone());
        let order = world.create("Res").limits([("cpu", 4), ("mem", 8)]).pending();
        assert_done(&agent().run_one().await);
        let resource = world.waldur.resource_of(order);
        world.waldur.order_on(resource).update_limits([("cpu", 5), ("mem", 8)]).pending();
        assert_done(&agent().run_one().await);
        assert_eq!(world.object("res").limits["cpu"], Some(5));
        world.waldur.order_on(resource).terminate().pending();
        assert_done(&agent().policy(|policy| policy.soft_delete = true).run_one().await);
        let zeros = [("cpu".to_owned(), Some(0)), ("mem".to_owned(), Some(0))];
        assert_eq!(world.object("res").limits, zeros.into(), "no limit of what the plan alone decides");
    }
}
