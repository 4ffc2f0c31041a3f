//! Passes in trouble: pauses, outages, refused credentials, deadlines, and what the next pass begins with (faults 28, 41,
//! 44).

use std::{collections::BTreeSet, time::Duration};

use crate::orders::{World, assert_deferred, assert_done, environment, error};
use futures_util::future::join;
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};
use waldur_sdk::{
    ErrorKind,
    backend::{Cancellation, OpContext, ProgressObserver, Step},
    process::{OrderOutcome, OrderReport, OrderRunReport},
    rest::TransportErrorKind,
    testing::{
        Action, Counting, Faults, Latency, Matcher, any, hang, op, path, status,
        waldur::{Generation, OrderState},
        when,
    },
    types::OrderUuid,
};

const SECOND: Duration = Duration::from_secs(1);

fn seeded(orders: usize) -> (World, Vec<OrderUuid>) {
    let world = World::new(Generation::V8);
    let orders = (0..orders).map(|number| world.create(&format!("res-{number}")).executing()).collect();
    (world, orders)
}

fn done(report: &OrderRunReport) -> usize {
    report.count(|outcome| matches!(outcome, OrderOutcome::Done))
}

/// Those that the pass did not come to.
fn left_over(report: &OrderRunReport) -> BTreeSet<OrderUuid> {
    report.orders.iter().filter(|order| order.attempts == 0).map(|order| order.order).collect()
}

/// The orders that were reported done, in that order.
fn ended(world: &World) -> Vec<String> {
    let requests = world.waldur.requests().into_iter();
    let ends = requests.filter(|request| request.operation == Some("orders.set_state_done"));
    ends.filter_map(|end| end.path.split('/').nth(3).map(str::to_owned)).collect()
}

fn hexes(orders: &[OrderUuid]) -> Vec<String> {
    orders.iter().map(|order| order.hex()).collect()
}

/// Every request before `end`.
fn until(end: Instant) -> Matcher {
    when("down", move |_| Instant::now() < end)
}

#[tokio::test(start_paused = true)]
async fn a_pause_takes_nobodys_place() {
    let (world, orders) = seeded(5);
    let create = op("objects.create").and(path("/objects/res-0"));
    let faults = Faults::new(world.service.clone()).on(create.first(3), status(503));
    let agent = world.agent().sending_once().jitter(u64::MAX).service(faults);
    let pass = agent.policy(|policy| policy.concurrency = 1).run();
    let look = async {
        sleep(SECOND / 2).await;
        assert_eq!(world.waldur.orders_in(OrderState::Done).len(), 4, "while the first one pauses");
    };
    let begin = Instant::now();
    let (report, ()) = join(pass, look).await;
    assert_eq!(done(&report), 5);
    assert_eq!(begin.elapsed().as_millis().div_ceil(100), 70, "1, 2 and 4 s of pauses");
    assert_eq!(ended(&world).last(), hexes(&orders).first());
    let attempts: BTreeSet<_> = report.orders.iter().map(|order| (order.order, order.attempts)).collect();
    assert_eq!(attempts, orders.iter().zip([4, 1, 1, 1, 1]).map(|(order, attempts)| (*order, attempts)).collect());
}

#[tokio::test(start_paused = true)]
async fn f028_what_a_deadline_left_over_comes_first_in_the_next_pass() {
    let (world, orders) = seeded(6);
    let hanging = when("res-0 and res-1", |request| {
        ["/objects/res-0", "/objects/res-1"].iter().any(|path| request.uri().path().starts_with(path))
    });
    let service = Faults::new(world.service.clone()).on(hanging, hang());
    let processor = world.agent().service(service).policy(|policy| policy.concurrency = 2).build();
    let within = |time| OpContext::new("test").with_deadline(Some((Instant::now() + time).into_std()));

    // The first two take all the time there is.
    let report = processor.run_once(&within(5 * SECOND)).await.unwrap();
    assert_eq!((done(&report), left_over(&report)), (0, orders[2..].iter().copied().collect()));
    for order in report.orders.iter().filter(|order| order.attempts == 0) {
        assert_deferred(order);
        assert_eq!(error(order).kind(), ErrorKind::DeadlineExceeded);
        assert!(!order.outcome.is_good());
    }
    // They would again, but it is the others' turn.
    let report = processor.run_once(&within(5 * SECOND)).await.unwrap();
    assert_eq!((done(&report), left_over(&report)), (4, BTreeSet::new()));
    assert_eq!(world.service.made(), 4);
    assert!(world.waldur.erred_orders().is_empty());
}

/// Asks to stop at the first `create`.
struct Stops(Cancellation);

impl ProgressObserver for Stops {
    fn on_step(&self, step: &Step<'_>) {
        if step.step == "create" {
            self.0.cancel();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stop_left_over_comes_first_in_the_next_pass() {
    let (world, orders) = seeded(4);
    let slow = Faults::new(world.service.clone()).on(path("/objects/res-0").first(1), status(503));
    let processor = world.agent().sending_once().service(slow).policy(|policy| policy.concurrency = 1).build();
    let switch = Cancellation::default();
    let cx = OpContext::new("test").with_cancellation(switch.clone()).with_progress(Stops(switch));
    let report = processor.run_once(&cx).await.unwrap();
    assert_eq!((done(&report), left_over(&report)), (0, orders[1..].iter().copied().collect()));
    let stopped = |order: &&OrderReport| order.attempts == 0;
    assert!(report.orders.iter().filter(stopped).all(|order| order.outcome.is_good()), "as it was asked for");
    let report = processor.run_once(&OpContext::new("test")).await.unwrap();
    assert_eq!(done(&report), 4);
    assert_eq!(ended(&world), hexes(&[&orders[1..], &orders[..1]].concat()));
    // What was taken up is forgotten: the listing's order counts again.
    let again: Vec<_> = (4..7).map(|number| world.create(&format!("res-{number}")).executing()).collect();
    assert_eq!(done(&processor.run_once(&OpContext::new("test")).await.unwrap()), 3);
    assert_eq!(ended(&world)[4..], hexes(&again));
}

#[tokio::test(start_paused = true)]
async fn f044_sec51_after_refused_credentials_no_further_order_is_begun() {
    let refused = |report: &OrderRunReport| {
        assert_eq!((report.orders.len(), left_over(report).len(), report.is_clean()), (20, 16, false));
        for order in &report.orders {
            assert_deferred(order);
            assert_eq!(error(order).kind(), ErrorKind::Unauthenticated);
            assert!(!order.outcome.is_good());
        }
    };
    let late = |transport| Latency::new(transport, environment(), SECOND / 100);

    // By the back end: four orders are on their way when the first refusal comes.
    let (world, _) = seeded(20);
    let faults = Faults::new(world.service.clone()).on(any(), status(401).json(&json!({ "code": "Unauthorized" })));
    let service = Counting::new(late(faults.clone()));
    let processor = world.agent().service(service.clone()).policy(|policy| policy.concurrency = 4).build();
    let cx = OpContext::new("test");
    let first = processor.run_once(&cx).await.unwrap();
    refused(&first);
    assert_eq!(service.counts().total, 4);
    let second = processor.run_once(&cx).await.unwrap();
    refused(&second);
    assert_eq!(service.counts().total, 8);
    let begun = |report: &OrderRunReport| -> BTreeSet<_> {
        report.orders.iter().filter(|order| order.attempts > 0).map(|order| order.order).collect()
    };
    assert!(begun(&first).is_disjoint(&begun(&second)), "others are the first to be refused");
    assert!(world.waldur.erred_orders().is_empty());

    // By Waldur, after the listing.
    let (world, _) = seeded(20);
    let faults = Faults::new(world.waldur.clone()).on(op("orders.state"), status(401));
    let waldur = Counting::new(late(faults.clone()));
    let agent = world.agent().waldur(waldur.clone()).policy(|policy| policy.concurrency = 4);
    let report = agent.build().run_once(&cx).await.unwrap();
    refused(&report);
    let counts = waldur.counts();
    assert_eq!((faults.acted(), counts.of("orders.state"), counts.writes), (4, 4, 0), "{counts}");
    assert_eq!(world.service.writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn f041_an_outage_of_twenty_minutes_costs_few_requests_and_no_order() {
    let (world, _) = seeded(100);
    let up_at = Instant::now() + 1200 * SECOND;
    let service = Counting::new(Faults::new(world.service.clone()).on(until(up_at), status(503)));
    let agent = world.agent().sending_once().jitter(u64::MAX).service(service.clone());
    let processor = agent.policy(|policy| policy.concurrency = 4).build();
    let cx = OpContext::new("test");
    let mut passes = 0;
    while Instant::now() + 60 * SECOND < up_at {
        let begin = Instant::now();
        let report = processor.run_once(&cx).await.unwrap();
        assert!(begin.elapsed() < 60 * SECOND, "{:?}", begin.elapsed());
        assert_eq!((report.orders.len(), done(&report), left_over(&report).len()), (100, 0, 92));
        for order in &report.orders {
            assert_deferred(order);
            assert!(!order.outcome.is_good());
        }
        let held = report.orders.iter().find(|order| order.attempts == 0).unwrap();
        assert!(error(held).message().contains("counts as down"), "{}", held.outcome);
        assert_eq!(error(held).kind(), ErrorKind::Unavailable);
        passes += 1;
        sleep(60 * SECOND).await;
    }
    // Eight orders, and then probes: after 1, 2, 4, 8, 15 and 15 s.
    assert!(passes >= 10, "{passes}");
    assert_eq!(service.counts().total, passes * (8 + 6));
    sleep_until(up_at).await;
    assert_eq!(done(&processor.run_once(&cx).await.unwrap()), 100);
    assert_eq!(world.service.made(), 100);
    assert!(world.waldur.erred_orders().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_seconds_is_over_within_the_pass() {
    let (world, _) = seeded(100);
    let begin = Instant::now();
    let service = Counting::new(Faults::new(world.service.clone()).on(until(begin + 5 * SECOND), status(503)));
    let agent = world.agent().sending_once().jitter(u64::MAX).service(service.clone());
    let report = agent.policy(|policy| policy.concurrency = 4).run().await;
    assert_eq!((done(&report), left_over(&report).len()), (100, 0));
    assert!(begin.elapsed() < 10 * SECOND, "{:?}", begin.elapsed());
    // Four requests for each order; in vain were those of the first eight and two probes.
    assert_eq!(service.counts().total, 400 + 8 + 2);
}

#[tokio::test(start_paused = true)]
async fn failures_between_successes_are_no_outage() {
    let (world, _) = seeded(60);
    let third = when("every third", |request| {
        let number = request.uri().path().strip_prefix("/objects/res-").and_then(|number| number.parse::<u32>().ok());
        number.is_some_and(|number| number % 3 == 0)
    });
    let faults = Faults::new(world.service.clone()).on(third, status(503));
    let agent = world.agent().sending_once().jitter(u64::MAX).service(faults);
    let report = agent.policy(|policy| policy.concurrency = 4).run().await;
    assert_eq!((done(&report), left_over(&report).len()), (40, 0));
    assert!(report.orders.iter().any(|order| order.attempts > 1), "those that are left are tried again");
}

#[tokio::test(start_paused = true)]
async fn two_orders_alone_are_tried_to_the_end_whatever_happens() {
    // Too few to tell an outage from bad luck.
    let (world, _) = seeded(2);
    let faults = Faults::new(world.service.clone()).on(any(), status(503));
    let report = world.agent().sending_once().service(faults).run().await;
    for order in &report.orders {
        assert_deferred(order);
        assert_eq!(order.attempts, 10);
    }
    let mut report = world.agent().run().await;
    report.orders.drain(..).for_each(|order| assert_done(&order));
}

#[tokio::test(start_paused = true)]
async fn f041_retry_after_is_waited_for_before_any_probe() {
    let (world, _) = seeded(100);
    let up_at = Instant::now() + 40 * SECOND;
    let faults = Faults::new(world.service.clone()).on(until(up_at), status(503).header("retry-after", 40));
    let service = Counting::new(faults.clone());
    let agent = world.agent().sending_once().service(service.clone());
    let report = agent.policy(|policy| policy.concurrency = 4).run().await;
    assert_eq!((done(&report), left_over(&report).len()), (100, 0));
    // Eight orders were in vain, and nothing before the time that the service asked for.
    assert_eq!((faults.acted(), service.counts().total), (8, 400 + 8));
}

#[tokio::test(start_paused = true)]
async fn f041_a_certificate_that_ran_out_is_an_outage_too() {
    let (world, _) = seeded(100);
    let faults = Faults::new(world.service.clone()).on(any(), Action::refuse(TransportErrorKind::Tls));
    let report =
        world.agent().sending_once().service(faults.clone()).policy(|policy| policy.concurrency = 4).run().await;
    assert_eq!((done(&report), report.orders.len()), (0, 100));
    assert!(faults.acted() <= 12, "{}", faults.acted());
    report.orders.iter().for_each(assert_deferred);
}

#[tokio::test(start_paused = true)]
async fn f052_a_wrong_base_url_is_a_mistake_in_the_settings_and_no_order_is_touched() {
    for page in ["<html>404 Not Found</html>", "The requested resource was not found on this server."] {
        let (world, _) = seeded(1);
        let lost = Faults::new(world.waldur.clone()).on(path("/api/"), status(404).body("text/html", page));
        let error = world.agent().waldur(lost).build().run_once(&OpContext::new("test")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("base URL"), "{error}");
        assert_eq!((world.writes().len(), world.service.writes()), (0, 0));
    }
}
