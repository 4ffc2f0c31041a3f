//! One pass over many orders: what is listed, how many at once, in which order, and when it stops (core.md §2.1).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::orders::{BOTH, Deliver, Edited, Steps, World, assert_deferred, assert_done, environment, error};
use futures_util::future::join;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use waldur_sdk::{
    ErrorKind,
    backend::{Cancellation, OpContext, ProgressObserver, Step},
    client::OrderType,
    process::OrderOutcome,
    rest::Http,
    testing::{
        Counting, Faults, Latency, op, path, status,
        waldur::{FakeWaldur, Generation, OrderState, ResourceState},
        when,
    },
};

const MS: Duration = Duration::from_millis(1);

/// A network to the service that takes 10 ms for each exchange.
fn slow(world: &World) -> Latency {
    Latency::new(world.service.clone(), environment(), 10 * MS)
}

/// The object that a request is about.
fn object(request: &http::Request<bytes::Bytes>) -> Option<String> {
    request.uri().path().strip_prefix("/objects/")?.split('/').next().map(str::to_owned)
}

#[tokio::test(start_paused = true)]
async fn a_create_order_takes_four_dependent_calls_beside_those_of_the_back_end() {
    for generation in BOTH {
        let world = World::new(generation);
        world.member("ann");
        world.create("Res").pending();
        let waldur = Counting::new(world.waldur.clone());
        let both = Counting::new(waldur.clone());
        let service = Counting::new(both.around(world.service.clone()));
        let agent = world.agent().waldur(both.clone()).service(service.clone());
        assert_done(&agent.memory(|memory| memory.with_members().with_endpoint("https://s.example")).run_one().await);
        // One listing; approve, state, state once more, done.
        assert_eq!(waldur.counts().depth, 1 + 4, "{}", waldur.counts());
        // Project, object, limits, one reading; whose it is before access is given, in the shadow of what Waldur is told.
        assert_eq!(both.counts().depth, 1 + 4 + 5, "{}", both.counts());
        assert_eq!(service.counts().total, 6, "{}", service.counts());
        let counts = waldur.counts();
        let published = 1 + u64::from(generation == Generation::V8);
        assert_eq!(counts.writes, 3 + published + u64::from(generation == Generation::V2024), "{counts}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_executing_costs_no_second_look_in_a_row() {
    let world = World::new(Generation::V8);
    world.waldur.order_on(world.existing("res")).update_limits([("cpu", 5), ("mem", 8)]).executing();
    let waldur = Counting::new(world.waldur.clone());
    assert_done(&world.agent().waldur(waldur.clone()).run_one().await);
    // The listing; state and resource together; state before the end; done.
    assert_eq!(waldur.counts().depth, 1 + 3, "{}", waldur.counts());
}

#[tokio::test(start_paused = true)]
async fn f158_an_idle_pass_lists_and_does_nothing_else() {
    for generation in BOTH {
        let world = World::new(generation);
        world.create("Res").pending();
        world.existing("other");
        assert_done(&world.agent().run_one().await);
        let (waldur, service) = (Counting::new(world.waldur.clone()), Counting::new(world.service.clone()));
        let report = world.agent().waldur(waldur.clone()).service(service.clone()).run().await;
        assert!(report.orders.is_empty() && report.is_clean());
        assert_eq!((waldur.counts().total, waldur.counts().of("orders.list"), waldur.counts().writes), (1, 1, 0));
        assert_eq!(service.counts().total, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn f150_one_of_300_orders_fails_and_the_others_do_not() {
    let world = World::new(Generation::V8);
    let orders: Vec<_> = (0..300).map(|number| world.create(&format!("res-{number}")).pending()).collect();
    let faults = Faults::new(world.service.clone()).on(path("/objects/res-217"), status(400));
    let report = world.agent().service(faults).run().await;
    assert_eq!(report.orders.len(), 300);
    assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 299);
    let failed: Vec<_> = report.orders.iter().filter(|order| !order.outcome.is_good()).collect();
    assert_eq!((failed.len(), failed[0].order, failed[0].resource_name.as_str()), (1, orders[217], "res-217"));
    assert!(!report.is_clean());
    assert_eq!(world.waldur.erred_orders(), [orders[217]]);
    assert_eq!(world.waldur.orders_in(OrderState::Done).len(), 299);
}

#[tokio::test(start_paused = true)]
async fn f150_the_one_of_300_orders_whose_failure_passes_is_the_only_one_tried_again() {
    let world = World::new(Generation::V8);
    let orders: Vec<_> = (0..300).map(|number| world.create(&format!("res-{number}")).pending()).collect();
    let (ill, is_ill) = (Arc::new(AtomicBool::new(true)), "about an object that is ill");
    let fault = when(is_ill, {
        let ill = ill.clone();
        move |request| object(request).as_deref() == Some("res-217") && ill.load(Ordering::Relaxed)
    });
    let faults = Faults::new(world.service.clone()).on(fault, status(503));
    let agent = world.agent().service(faults).sending_once().build();
    let report = agent.run_once(&OpContext::new("first")).await.unwrap();
    assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 299);
    let failed: Vec<_> = report.orders.iter().filter(|order| !order.outcome.is_good()).collect();
    assert_eq!((failed.len(), failed[0].order, failed[0].resource_name.as_str()), (1, orders[217], "res-217"));
    assert!(matches!(failed[0].outcome, OrderOutcome::Deferred(_)) && failed[0].attempts > 1, "{failed:?}");
    ill.store(false, Ordering::Relaxed);
    let report = agent.run_once(&OpContext::new("second")).await.unwrap();
    let tried: Vec<_> = report.orders.iter().map(|order| (order.order, order.attempts)).collect();
    assert_eq!((tried, report.is_clean()), (vec![(orders[217], 1)], true));
    assert_eq!((world.waldur.orders_in(OrderState::Done).len(), world.service.made()), (300, 300));
    world.assert_sound();
}

#[tokio::test(start_paused = true)]
async fn f091_an_order_in_a_state_that_is_not_known_is_reported_and_the_other_19_are_carried_out() {
    for generation in BOTH {
        let world = World::new(generation);
        let orders: Vec<_> = (0..20).map(|number| world.create(&format!("res-{number}")).pending()).collect();
        let odd = orders[13].hex();
        let waldur = Edited(world.waldur.clone(), "orders.list", move |rows: &mut Value| {
            let mut rows = rows.as_array_mut().unwrap().iter_mut();
            rows.find(|row| row["uuid"] == *odd).unwrap()["state"] = json!("on-holiday");
        });
        let report = world.agent().waldur(waldur).run().await;
        assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 19);
        let odd = report.orders.iter().find(|order| order.order == orders[13]).unwrap();
        assert_eq!(odd.outcome.to_string(), "left alone in state on-holiday");
        assert!(!odd.outcome.is_good() && !report.is_clean(), "somebody has to hear of it");
        assert_eq!(world.state(orders[13]), OrderState::PendingProvider);
        assert!(!world.ids().contains(&"res-13".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn orders_run_side_by_side_up_to_the_limit() {
    for concurrency in [1, 3, 8] {
        let world = World::new(Generation::V8);
        for number in 0..20 {
            world.create(&format!("res-{number}")).executing();
        }
        let counting = Counting::new(slow(&world));
        let agent = world.agent().service(counting.clone()).policy(|policy| policy.concurrency = concurrency);
        let report = agent.run().await;
        assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 20);
        assert_eq!(counting.counts().peak_in_flight, concurrency);
    }
}

#[tokio::test(start_paused = true)]
async fn orders_of_one_resource_follow_one_another() {
    let world = World::new(Generation::V8);
    let (one, two) = (world.existing("one"), world.existing("two"));
    // As many of the first resource as may be in flight: they need one slot, not all of them.
    for resource in [one, two] {
        for cpu in 5..13 {
            world.waldur.order_on(resource).update_limits([("cpu", cpu), ("mem", 8)]).executing();
        }
    }
    let counting = Counting::new(slow(&world)).grouped_by(object);
    let begin = Instant::now();
    let report = world.agent().service(counting.clone()).run().await;
    assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 16);
    let counts = counting.counts();
    for name in ["one", "two"] {
        let group = counts.group(name);
        assert_eq!(group.total, 8 * 3, "{name}");
        assert_eq!(group.depth, 8 * 3, "{name}: never two at once");
        assert_eq!(world.object(name).limits["cpu"], Some(12), "the last order has the last word");
    }
    assert_eq!(counts.peak_in_flight, 2);
    assert_eq!(begin.elapsed(), 8 * 3 * 10 * MS, "different resources do not wait for each other");
}

#[tokio::test(start_paused = true)]
async fn f116_a_removal_that_comes_while_the_object_is_made_waits_for_it() {
    for generation in BOTH {
        let world = World::new(generation);
        let create = world.create("Res").pending();
        let processor = world.agent().service(slow(&world)).build();
        let making = processor.deliver(create);
        let removing = async {
            sleep(12 * MS).await;
            assert_eq!(world.service.made(), 0, "the creation is under way");
            let terminate = world.waldur.order_on(world.waldur.resource_of(create)).terminate().pending();
            processor.deliver(terminate).await
        };
        let (made, removed) = join(making, removing).await;
        assert_done(&made);
        assert_done(&removed);
        assert_eq!(world.resource(create).state, ResourceState::Terminated);
        assert_eq!((world.service.made(), world.ids().len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn f117_an_order_that_is_delivered_twice_is_carried_out_once() {
    for generation in BOTH {
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let processor = world.agent().service(slow(&world)).build();
        let cx = OpContext::new("test");
        let (by_event, by_pass) = join(processor.deliver(order), processor.run_once(&cx)).await;
        let by_pass = by_pass.unwrap().orders.remove(0);
        assert_done(&by_event);
        assert!(matches!(by_pass.outcome, OrderOutcome::AlreadyFinished(_)), "{}", by_pass.outcome);
        assert_eq!((world.count("orders.set_state_done"), world.service.made()), (1, 1));
        assert_eq!(world.count("provider_resources.set_backend_id"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_picture_of_an_order_undoes_nothing() {
    // Two changes, and the first of them delivered once more, as it looked before either was carried out.
    let world = World::new(Generation::V8);
    let resource = world.existing("res");
    let first = world.waldur.order_on(resource).update_limits([("cpu", 5), ("mem", 8)]).executing();
    let picture = world.client(Http::new(world.waldur.clone())).orders().get(first).await.unwrap();
    world.waldur.order_on(resource).update_limits([("cpu", 6), ("mem", 8)]).executing();
    let processor = world.agent().build();
    let cx = OpContext::new("test");
    assert_eq!(processor.run_once(&cx).await.unwrap().orders.len(), 2);
    let again = processor.process(&cx, picture).await;
    assert!(matches!(again.outcome, OrderOutcome::AlreadyFinished(_)), "{}", again.outcome);
    assert_eq!(world.object("res").limits["cpu"], Some(6));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_cannot_be_read_and_a_list_that_is_not_whole_are_reported() {
    for generation in BOTH {
        let world = World::on(FakeWaldur::new(generation), |offering| offering);
        let bad = world.create("Bad").limits([("cpu", json!({ "not": "a number" }))]).executing();
        let good = world.create("Good").executing();
        let report = world.agent().run().await;
        assert_eq!(report.unreadable.len(), 1);
        assert_eq!(report.unreadable[0].id.as_deref(), Some(bad.hex().as_str()));
        assert!(!report.is_clean());
        assert_eq!((report.orders.len(), world.state(good)), (1, OrderState::Done));
        assert_eq!(world.state(bad), OrderState::Executing);

        let world = World::new(generation);
        let order = world.create("Res").executing();
        let rows = json!([{
            "uuid": order.hex(), "state": "executing", "type": "Create", "limits": { "cpu": 4, "mem": 8 },
            "marketplace_resource_uuid": world.waldur.resource_of(order).hex(),
        }]);
        let short = status(200).json(&rows).header("x-result-count", 3);
        let faults = Faults::new(world.waldur.clone()).on(op("orders.list"), short);
        let report = world.agent().waldur(faults).run().await;
        assert!(report.listing_gap.is_some() && !report.is_clean());
        assert_eq!(world.state(order), OrderState::Done, "what came was carried out");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_list_there_is_no_report() {
    let world = World::new(Generation::V8);
    let faults = Faults::new(world.waldur.clone()).on(op("orders.list"), status(403));
    let processor = world.agent().waldur(faults).build();
    let failure = processor.run_once(&OpContext::new("test")).await.unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::PermissionDenied);
}

#[tokio::test(start_paused = true)]
async fn orders_in_states_of_others_are_left_alone() {
    use OrderState as S;
    for generation in BOTH {
        for state in
            [S::PendingConsumer, S::PendingProject, S::PendingStartDate, S::Done, S::Erred, S::Canceled, S::Rejected]
        {
            let world = World::new(generation);
            let order = world.create("Res").in_state(state);
            assert!(world.agent().run().await.orders.is_empty(), "it is not even asked for");
            let report = world.agent().build().deliver(order).await;
            let ended = matches!(report.outcome, OrderOutcome::AlreadyFinished(_));
            assert_eq!(ended, state.is_terminal(), "{}", report.outcome);
            assert!(ended || matches!(report.outcome, OrderOutcome::NotOurs(_)));
            assert!(report.outcome.is_good());
            assert_eq!((world.state(order), world.writes(), world.service.writes()), (state, vec![], 0));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_at_another_offering_is_left_to_its_agent() {
    for generation in BOTH {
        let world = World::new(generation);
        let other = World { offering: world.waldur.offering().name("Other").create(), ..world.clone() };
        let order = other.create("Res").pending();
        let report = world.agent().build().deliver(order).await;
        assert!(matches!(report.outcome, OrderOutcome::OtherOffering));
        assert_eq!((world.writes(), world.service.writes()), (vec![], 0));
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_of_an_unknown_type_waits_for_an_agent_that_knows_it() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").executing();
    let row = json!({
        "uuid": order.hex(), "state": "executing", "type": "Merge",
        "marketplace_resource_uuid": world.waldur.resource_of(order).hex(),
    });
    let faults = Faults::new(world.waldur.clone()).on(op("orders.list"), status(200).json(&json!([row])));
    let report = world.agent().waldur(faults).run().await;
    assert!(!report.is_clean(), "the operator is to know");
    let report = &report.orders[0];
    assert!(matches!(&report.outcome, OrderOutcome::NeedsAttention(_)), "{}", report.outcome);
    assert!(report.outcome.to_string().contains("needs attention: orders of type Merge"), "{}", report.outcome);
    assert_eq!((&report.order_type, report.attempts), (&OrderType::from("Merge"), 1));
    assert_eq!((world.state(order), world.writes(), world.service.writes()), (OrderState::Executing, vec![], 0));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing_anywhere() {
    for generation in BOTH {
        let world = World::new(generation);
        world.create("New").pending();
        world.create("Begun").executing();
        for (id, order) in [("a", "update"), ("b", "terminate")] {
            let resource = world.existing(id);
            match order {
                "update" => world.waldur.order_on(resource).update_limits([("cpu", 5)]).executing(),
                _ => world.waldur.order_on(resource).terminate().pending(),
            };
        }
        let report = world.agent().policy(|policy| policy.dry_run = true).run().await;
        assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::DryRun)), 4);
        assert_eq!((world.writes(), world.service.writes()), (vec![], 0));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_deadline_and_the_next_pass_goes_on() {
    let world = World::new(Generation::V8);
    for number in 0..10 {
        world.create(&format!("res-{number}")).pending();
    }
    let begin = Instant::now();
    let deadline = Some((begin + 120 * MS).into_std());
    let late = Counting::new(Latency::new(world.waldur.clone(), environment(), 10 * MS));
    let agent = world.agent().waldur(late.clone()).service(slow(&world)).policy(|policy| policy.concurrency = 2);
    let report = agent.cx(|cx| cx.with_deadline(deadline)).run().await;
    assert!(begin.elapsed() <= 120 * MS, "{:?}", begin.elapsed());
    assert_eq!(report.orders.len(), 10);
    let done = report.count(|outcome| matches!(outcome, OrderOutcome::Done));
    assert!(done > 0 && done < 10, "{done}");
    let waiting = report.orders.iter().filter(|order| matches!(order.outcome, OrderOutcome::Deferred(_)));
    assert_eq!(waiting.count(), 10 - done);
    assert!(world.waldur.erred_orders().is_empty());
    let report = world.agent().run().await;
    assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 10 - done);
    assert_eq!((world.service.made(), world.ids().len()), (10, 10));
}

/// Asks to stop at a step.
struct StopsAt(&'static str, Cancellation);

impl ProgressObserver for StopsAt {
    fn on_step(&self, step: &Step<'_>) {
        if step.step == self.0 {
            self.1.cancel();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_to_stop_begins_nothing_more() {
    for step in ["approve", "reserve"] {
        let world = World::new(Generation::V8);
        for number in 0..3 {
            world.create(&format!("res-{number}")).pending();
        }
        let switch = Cancellation::default();
        let cx = OpContext::new("test").with_cancellation(switch.clone()).with_progress(StopsAt(step, switch));
        let report = world.agent().cx(|_| cx).policy(|policy| policy.concurrency = 1).run().await;
        assert_eq!(report.orders.len(), 3);
        for order in &report.orders {
            assert_deferred(order);
            assert_eq!(error(order).kind(), ErrorKind::Cancelled);
        }
        assert_eq!((world.service.writes(), world.count("orders.approve_by_provider")), (0, 1));
        let report = world.agent().run().await;
        assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Done)), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn f128_a_stop_during_a_pause_is_prompt() {
    let world = World::new(Generation::V8);
    world.create("Res").executing();
    let down = || Counting::new(Faults::new(world.service.clone()).on(op("objects.create"), status(503)));
    let agent = |transport| world.agent().sending_once().jitter(u64::MAX).service(transport);

    // Asked to stop, three seconds into pauses of one, two and four seconds.
    let (begin, service, switch) = (Instant::now(), down(), Cancellation::default());
    let cx = OpContext::new("test").with_cancellation(switch.clone());
    let stop = async {
        sleep(3500 * MS).await;
        switch.cancel();
    };
    let (report, ()) = join(agent(service.clone()).cx(|_| cx).run_one(), stop).await;
    assert_eq!(begin.elapsed(), 3500 * MS);
    assert_deferred(&report);
    assert_eq!((report.attempts, error(&report).kind()), (3, ErrorKind::Unavailable), "the reason is not lost");
    assert_eq!(service.counts().of("objects.create"), 3);

    // Dropped: nothing is left running, and the lane is free.
    let service = down();
    let processor = agent(service.clone()).build();
    let cx = OpContext::new("test");
    assert!(timeout(3500 * MS, processor.run_once(&cx)).await.is_err());
    let sent = service.counts().total;
    sleep(Duration::from_secs(600)).await;
    assert_eq!(service.counts().total, sent);
    let report = timeout(Duration::from_secs(300), processor.run_once(&cx)).await.expect("no lock is held").unwrap();
    assert_eq!(report.orders[0].attempts, 7);
}

#[tokio::test(start_paused = true)]
async fn steps_are_told_in_their_order_and_under_the_orders_name() {
    let world = World::new(Generation::V8);
    world.create("Res").pending();
    let steps = Steps::default();
    let telling = steps.clone();
    assert_done(&world.agent().cx(|cx| cx.with_progress(telling)).run_one().await);
    assert_eq!(steps.seen(), ["evaluate", "approve", "reserve", "create", "publish", "done"]);
}
