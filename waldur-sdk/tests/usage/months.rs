//! Which month a report is about, and when (core.md §4.2, §4.3; faults.md rows 93, 138 to 141).

use jiff::tz::TimeZone;
use proptest::prelude::*;
use waldur_sdk::{
    backend::{OpContext, Period},
    process::UsageOutcome,
    testing::{
        Action, Counting, Faults, op, status,
        waldur::{Backfilling, Generation},
    },
    types::Timestamp,
};

use crate::usage::{NOVEMBER, OCTOBER, World, assert_outcome, month, november, period, rows};

/// Another zone in place of one that this machine does not know would show nothing.
fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[tokio::test(start_paused = true)]
async fn c52_december_is_reported_before_january() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.clock.set("2027-01-05T08:00:00Z");
    world.used_in("res", "2026-12", "cpu", "31");
    world.used_in("res", "2027-01", "cpu", "5");
    let report = world.run().await;
    assert_eq!(report.periods, [period("2026-12"), period("2027-01")]);
    assert_eq!(world.sent(), ["cpu 31.00", "cpu 5.00"]);
    let dates: Vec<_> =
        world.bodies("component_usages.set_usage").into_iter().map(|body| body["date"].clone()).collect();
    assert_eq!(dates[0], "2026-12-15T12:00:00Z");
    assert!(dates[1].as_str().unwrap().starts_with("2027-01-05T08:"));
    assert_eq!(world.stored(resource, "2026-12"), rows([("cpu", "31.00")]));
    assert_eq!(world.stored(resource, "2027-01"), rows([("cpu", "5.00")]));
}

#[tokio::test(start_paused = true)]
async fn c52_the_months_of_a_run_end_with_the_current_one() {
    let world = World::new(Generation::V8);
    world.resource("res");
    world.clock.set("2026-01-15T00:00:00Z");
    for (periods, first) in [(1, "2026-01"), (3, "2025-11"), (12, "2025-02"), (0, "2026-01"), (200, "2025-02")] {
        let report = world.agent().policy(|policy| policy.reporting_periods = periods).run().await;
        assert_eq!(report.periods[0], period(first));
        assert_eq!(report.periods.last(), Some(&period("2026-01")));
        assert_eq!(world.count_requests("component_usages.list"), report.periods.len());
        world.waldur.forget_requests();
    }
}

impl World {
    fn two_months(&self) {
        self.resource("res");
        self.used_in("res", OCTOBER, "cpu", "10");
        self.used_in("res", OCTOBER, "mem", "2");
        self.used("res", "cpu", "20");
    }
}

#[tokio::test(start_paused = true)]
async fn c52_a_past_month_that_fails_does_not_hold_up_the_current_one() {
    type Wanted = fn(&UsageOutcome) -> bool;
    let refusals: [(Action, Wanted); 3] = [
        (status(400).json(&serde_json::json!({ "date": ["Not now."] })).into(), |end| {
            matches!(end, UsageOutcome::Refused(_))
        }),
        (status(403).into(), |end| matches!(end, UsageOutcome::Refused(_))),
        (status(500).into(), |end| matches!(end, UsageOutcome::Deferred(_))),
    ];
    for (refusal, wanted) in refusals {
        let world = World::new(Generation::V8);
        world.two_months();
        let faults = Faults::new(world.waldur.clone()).on(
            waldur_sdk::testing::when("a report of October", |request: &http::Request<bytes::Bytes>| {
                String::from_utf8_lossy(request.body()).contains("\"date\":\"2026-10")
            }),
            refusal,
        );
        let report = world.agent().sending_once().waldur(faults.clone()).run().await;
        assert!(faults.idle_rules().is_empty());
        assert_outcome(&report, OCTOBER, wanted);
        assert_eq!(november(&report), "submitted");
        assert!(!report.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn c52_a_refusal_to_backfill_is_no_trouble_and_is_not_repeated() {
    let mut world = World::new(Generation::V8);
    world.waldur = world.waldur.clone().with_backfilling(Backfilling::Nothing);
    world.two_months();
    let reporter = world.agent().build();
    let run = async || reporter.run_once(&OpContext::new("run")).await.unwrap();
    let report = run().await;
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::BackfillRefused(_)));
    assert!(!month(&report, OCTOBER).remembered && report.is_clean());
    assert!(report.losses().iter().any(|line| line.contains("2026-10: past month refused: ")), "no trouble, but told");
    assert_eq!(world.sent(), ["cpu 10.00", "mem 2.00", "cpu 20.00"]);
    world.waldur.forget_requests();
    let report = run().await;
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::BackfillRefused(_)));
    assert!(month(&report, OCTOBER).remembered);
    assert_eq!(world.writes(), [""; 0]);
    // Other values are another question.
    world.used_in("res", OCTOBER, "cpu", "11");
    run().await;
    assert_eq!(world.sent(), ["cpu 11.00"]);
}

#[tokio::test(start_paused = true)]
async fn f141_a_refused_past_month_is_shown_and_what_waldur_takes_is_not_lost_with_it() {
    let mut world = World::new(Generation::V8);
    world.waldur = world.waldur.clone().with_backfilling(Backfilling::Limits);
    world.two_months();
    let resource = world.waldur.resource(world.offering).backend_id("other").create();
    world.service.put("other", waldur_sdk::testing::MemoryObject::default());
    world.used_in("other", OCTOBER, "mem", "7");
    let reporter = world.agent().build();
    let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
    let refused = report.count(|end| matches!(end, UsageOutcome::BackfillRefused(_)));
    assert_eq!(refused, 1, "{report:#?}");
    assert_eq!(world.stored(resource, OCTOBER), rows([("mem", "7.00")]));
    let first = report.resources.iter().find(|row| row.resource_name == "res").unwrap();
    assert_eq!(world.stored(first.resource, OCTOBER), rows([("mem", "2.00")]));
    assert_eq!(first.periods[0].submitted.keys().collect::<Vec<_>>(), ["mem"]);
    // What was taken is not sent again with what is refused.
    world.waldur.forget_requests();
    reporter.run_once(&OpContext::new("again")).await.unwrap();
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_old_server_is_never_told_of_a_month_that_is_over() {
    // It would bill October's usage in November (recorded: 211).
    let world = World::new(Generation::V2024);
    world.two_months();
    let reporter = world.agent().build();
    for _run in 0..2 {
        let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
        assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::ServerTooOld));
    }
    assert_eq!(world.sent(), ["cpu 20.00"]);
    assert_eq!(world.count_requests("agents.identities"), 1, "asked once");
}

#[tokio::test(start_paused = true)]
async fn whether_a_server_knows_dates_is_not_guessed_from_an_answer_that_tells_nothing() {
    let world = World::new(Generation::V8);
    world.two_months();
    let faults = Faults::new(world.waldur.clone()).on(op("agents.identities").first(1), status(400));
    let reporter = world.agent().waldur(faults.clone()).build();
    let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
    assert!(faults.idle_rules().is_empty());
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Refused(_)));
    assert_eq!(world.sent(), ["cpu 20.00"]);
    let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Submitted));
}

#[tokio::test(start_paused = true)]
async fn c52_the_worse_of_two_outcomes_of_a_month_is_told_and_the_better_one_is_shared_out() {
    let mut world = World::new(Generation::V8);
    world.waldur = world.waldur.clone().with_backfilling(Backfilling::Nothing);
    world.two_months();
    // Sent in this order: by usage, by limit.
    let usage = waldur_sdk::testing::when("cpu of October", |request: &http::Request<bytes::Bytes>| {
        let body = String::from_utf8_lossy(request.body()).into_owned();
        body.contains("\"date\":\"2026-10") && body.contains("\"cpu\"")
    });
    let refusal = status(403).json(&serde_json::json!({ "detail": "No." }));
    let faults = Faults::new(world.waldur.clone()).on(usage.clone(), refusal.clone());
    let report = world.agent().waldur(faults).run().await;
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Refused(_)));
    // Where limits are taken, their users are too.
    world.waldur = world.waldur.clone().with_backfilling(Backfilling::Limits);
    for component in ["cpu", "mem"] {
        world.service.count_user_usage("res", OCTOBER, "ann", component, 2);
    }
    let faults = Faults::new(world.waldur.clone()).on(usage, refusal);
    let report = world.agent().waldur(faults).run().await;
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Refused(_)));
    let users = &month(&report, OCTOBER).users;
    assert_eq!((users.sent, users.failed.is_none()), (1, true), "{users:?}");
}

/// A report that comes late to a server without dates is billed in the wrong month.
#[tokio::test(start_paused = true)]
async fn c53_an_old_server_gets_nothing_about_november_that_may_arrive_in_december() {
    let december = |world: &World| world.stored(world.waldur_resource(), "2026-12");
    let busy = || status(503).header("retry-after", 45);
    // Until midnight: two minutes and a half, half a minute.
    for (at, requests) in [("2026-11-30T23:57:30Z", 1), ("2026-11-30T23:59:30Z", 0)] {
        let world = World::new(Generation::V2024);
        world.two_months();
        world.clock.set(at);
        let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage").first(1), busy());
        let counting = Counting::new(faults);
        let reporter = world.agent().policy(|policy| policy.reporting_periods = 1).waldur(counting.clone()).build();
        let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
        assert_outcome(&report, NOVEMBER, |end| matches!(end, UsageOutcome::ServerTooOld));
        assert_eq!(counting.counts().of("component_usages.set_usage"), requests, "{at}");
        assert_eq!(december(&world), rows([]), "{at}");
        assert_eq!(report.losses().len(), 1);
    }
    // What arrived is found, and not sent again.
    let world = World::new(Generation::V2024);
    world.two_months();
    world.clock.set("2026-11-30T23:50:00Z");
    let faults =
        Faults::new(world.waldur.clone()).on(op("component_usages.set_usage").nth(1), Action::commit_then(status(504)));
    let report = world.agent().policy(|policy| policy.reporting_periods = 1).waldur(faults).run().await;
    assert_eq!((november(&report).as_str(), world.sent().len()), ("unchanged", 1));
    assert_eq!(december(&world), rows([]));
    // A server that knows dates takes them at any time.
    let world = World::new(Generation::V8);
    world.two_months();
    world.clock.set("2026-11-30T23:59:30Z");
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_usage").first(1), busy());
    world.agent().policy(|policy| policy.reporting_periods = 1).waldur(faults).run().await;
    assert_eq!(world.stored(world.waldur_resource(), NOVEMBER), rows([("cpu", "20.00")]));
    assert_eq!(december(&world), rows([]));
}

#[tokio::test(start_paused = true)]
async fn c53_nothing_is_reported_when_the_month_ends_between_measuring_and_reporting() {
    for late in ["usage.list", "component_usages.list"] {
        let world = World::new(Generation::V8);
        world.two_months();
        world.clock.set("2026-11-30T23:59:59.999Z");
        let latency = |transport: std::sync::Arc<dyn waldur_sdk::rest::HttpTransport>| {
            waldur_sdk::testing::Latency::new(transport, world.environment(), std::time::Duration::from_millis(10))
                .only(op(late))
        };
        let agent = world.agent().waldur(latency(std::sync::Arc::new(world.waldur.clone())));
        let report = agent.service(latency(std::sync::Arc::new(world.service.clone()))).run().await;
        assert_eq!(world.writes(), [""; 0], "{late}");
        let outcomes: Vec<_> = report.outcomes().map(|month| month.outcome.to_string()).collect();
        assert_eq!(outcomes, ["the month ended meanwhile"]);
    }
}

#[tokio::test(start_paused = true)]
async fn f138_a_sample_belongs_to_the_month_in_which_it_was_taken_in_three_zones() {
    // The last moment of November in each zone; Waldur counts in UTC.
    let ends = [
        ("UTC", "2026-11-30T23:59:59.999Z"),
        ("Pacific/Kiritimati", "2026-11-30T09:59:59.999Z"),
        ("Pacific/Pago_Pago", "2026-12-01T10:59:59.999Z"),
    ];
    for (name, last_moment) in ends {
        let world = World::new(Generation::V8);
        let resource = world.resource("res");
        world.used("res", "cpu", "30");
        let agent = || world.agent().policy(|policy| policy.timezone = zone(name));
        let reporter = agent().build();
        world.clock.set(last_moment);
        let report = reporter.run_once(&OpContext::new("before")).await.unwrap();
        assert_eq!(november(&report), "submitted", "{name}");
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "30.00")]), "{name}");
        // A moment later the same month is reported once more, with its final value, and once only.
        world.used("res", "cpu", "30.5");
        world.used_in("res", "2026-12", "cpu", "0");
        tokio::time::advance(std::time::Duration::from_millis(2)).await;
        for _run in 0..2 {
            let report = reporter.run_once(&OpContext::new("after")).await.unwrap();
            assert_eq!(report.periods.last(), Some(&period("2026-12")), "{name}");
        }
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "30.50")]), "{name}");
        let novembers = world.bodies("component_usages.set_usage").into_iter();
        let novembers = novembers.filter(|body| body["usages"][0]["amount"] == "30.50").count();
        assert_eq!(novembers, 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_month_that_has_not_begun_for_waldur_waits() {
    let world = World::new(Generation::V8);
    let resource = world.resource("res");
    world.clock.set("2026-11-30T12:00:00Z");
    world.used("res", "cpu", "30");
    world.used_in("res", "2026-12", "cpu", "1");
    let agent = || world.agent().policy(|policy| policy.timezone = zone("Pacific/Kiritimati"));
    let report = agent().run().await;
    assert_outcome(&report, "2026-12", |end| matches!(end, UsageOutcome::NotBegun));
    assert_eq!(november(&report), "submitted");
    assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", "30.00")]));
    assert_eq!(world.stored(resource, "2026-12"), rows([]));
    // East of Greenwich an old server still takes November, which is its current month.
    let old = World::new(Generation::V2024);
    let resource = old.resource("res");
    old.clock.set("2026-11-30T12:00:00Z");
    old.used("res", "cpu", "30");
    old.used_in("res", "2026-12", "cpu", "1");
    old.agent().policy(|policy| policy.timezone = zone("Pacific/Kiritimati")).run().await;
    assert_eq!(old.stored(resource, NOVEMBER), rows([("cpu", "30.00")]));
    world.clock.set("2026-12-01T00:00:01Z");
    agent().run().await;
    assert_eq!(world.stored(world.waldur_resource(), "2026-12"), rows([("cpu", "1.00")]));
}

impl World {
    fn waldur_resource(&self) -> waldur_sdk::types::ResourceUuid {
        self.service.object("res").unwrap().stamp.unwrap()
    }
}

/// What was used between the last report and the end of the month is lost if the back end has no history. The run says
/// so in its losses, each time, and does not count it as a failure: nobody can mend it.
#[tokio::test(start_paused = true)]
async fn f140_an_agent_that_was_down_closes_the_old_month_if_the_back_end_knows_it() {
    for knows in [true, false] {
        let world = World::new(Generation::V8);
        let resource = world.resource("res");
        world.reported(resource, NOVEMBER, "cpu", "28");
        world.clock.set("2026-12-03T09:00:00Z");
        world.used_in("res", "2026-12", "cpu", "3");
        if knows {
            world.used("res", "cpu", "30");
        }
        let report = world.run().await;
        let (outcome, amount) = if knows { ("submitted", "30.00") } else { ("not counted yet", "28.00") };
        assert_eq!(november(&report), outcome);
        assert_eq!(world.stored(resource, NOVEMBER), rows([("cpu", amount)]), "the last known value stays");
        let told = report.losses().iter().any(|line| line.ends_with("2026-11: not counted yet"));
        assert_eq!((report.is_clean(), told), (true, !knows), "{:?}", report.losses());
    }
}

#[test]
fn f093_the_first_midnight_of_a_month_is_named_by_an_instant_that_is_in_it_for_all() {
    // Local midnight of 1 August, three hours east, is July in UTC.
    let midnight: Timestamp = "2026-08-01T00:00:00+03:00".parse().unwrap();
    assert_eq!(midnight.to_string(), "2026-07-31T21:00:00Z");
    assert_eq!(period("2026-08").bounds(&TimeZone::UTC).unwrap().start.to_string(), "2026-08-01T00:00:00Z");
    let bounds = period("2026-08").bounds(&TimeZone::fixed(jiff::tz::offset(3))).unwrap();
    assert_eq!(bounds, midnight.."2026-08-31T21:00:00Z".parse().unwrap());
}

#[test]
fn f139_clocks_that_jump_leave_no_gap_between_months() {
    // Offsets of whole and broken hours, zones that skip a midnight, leap years.
    let names =
        ["UTC", "Europe/Tallinn", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati", "Pacific/Pago_Pago"];
    for name in names {
        let zone = zone(name);
        let mut month = period("2024-01");
        for _ in 0..48 {
            let (this, next) = (month.bounds(&zone).unwrap(), month.next().bounds(&zone).unwrap());
            assert_eq!(this.end, next.start, "{name} {month}");
            assert_eq!(month.next().previous(), month);
            let days = (this.end.as_second() - this.start.as_second() + 3600) / 86_400;
            assert_eq!(days, i64::from(month.last_day().day()), "{name} {month}");
            month = month.next();
        }
    }
    assert_eq!(period("2024-02").last_day().day(), 29);
    assert_eq!(period("2026-07").to_string(), "2026-07");
}

proptest! {
    /// Whatever was used when: each piece lies in exactly one month, so the months' sums are the whole.
    #[test]
    fn f139_the_sum_over_months_is_the_whole(
        pieces in prop::collection::vec((1_700_000_000_i64..1_800_000_000, 0_i64..1_000_000), 1..60),
        offset in -11_i8..=14,
    ) {
        let zone = TimeZone::fixed(jiff::tz::offset(offset));
        let first = Period::containing(Timestamp::from_second(1_700_000_000).unwrap().to_zoned(zone.clone()).date());
        let mut sum = 0;
        let mut month = first;
        for _ in 0..40 {
            let bounds = month.bounds(&zone).unwrap();
            let inside = |second: i64| bounds.contains(&Timestamp::from_second(second).unwrap());
            sum += pieces.iter().filter(|(second, _)| inside(*second)).map(|(_, amount)| amount).sum::<i64>();
            month = month.next();
        }
        prop_assert_eq!(sum, pieces.iter().map(|(_, amount)| amount).sum::<i64>());
    }
}

/// A proxy that lets few addresses pass says nothing about the server behind it.
#[tokio::test(start_paused = true)]
async fn c53_a_refusal_that_is_not_waldurs_own_is_no_proof_that_the_server_knows_dates() {
    let refusals = [
        status(403).body("text/html", "<html><h1>403 Forbidden</h1></html>"),
        status(403),
        status(403).json(&serde_json::json!(["Forbidden"])),
    ];
    for refusal in refusals {
        let world = World::new(Generation::V2024);
        world.two_months();
        let faults = Faults::new(world.waldur.clone()).on(op("agents.identities").first(1), refusal);
        let reporter = world.agent().waldur(faults).build();
        let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
        assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Deferred(_)));
        // The server's own word, when it comes.
        let report = reporter.run_once(&OpContext::new("run")).await.unwrap();
        assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::ServerTooOld));
        assert_eq!(world.sent(), ["cpu 20.00"], "October is not billed as November");
    }
    // Shortly before the end of the month, what is still in time is reported all the same.
    let world = World::new(Generation::V8);
    world.two_months();
    world.clock.set("2026-11-30T23:30:00Z");
    let refusal = status(403).body("text/html", "<html><h1>403 Forbidden</h1></html>");
    let faults = Faults::new(world.waldur.clone()).on(op("agents.identities"), refusal);
    let report = world.agent().policy(|policy| policy.reporting_periods = 1).waldur(faults).run().await;
    assert_eq!(november(&report), "submitted");
    // Waldur's own refusal is proof enough.
    let world = World::new(Generation::V8);
    world.two_months();
    let refusal = status(403).json(&serde_json::json!({ "detail": "You do not have permission." }));
    let faults = Faults::new(world.waldur.clone()).on(op("agents.identities"), refusal);
    let report = world.agent().waldur(faults).run().await;
    assert_outcome(&report, OCTOBER, |end| matches!(end, UsageOutcome::Submitted));
}
