//! Processes that die, futures that are dropped, agents that meet: what Waldur has in the end is what a run without faults
//! leaves (faults.md rows 110, 124, 127).

use std::{collections::BTreeMap, time::Duration};

use waldur_sdk::{
    backend::OpContext,
    process::{UsageOutcome, UsageReporter},
    testing::{
        Bounds, Cycle, Interleaved, Interleaving, Life, Scenario, drop_points, interleave, kill_points,
        waldur::Generation,
    },
};

use crate::usage::{NOVEMBER, OCTOBER, World};

/// Two resources, two months, users, a change of plan. If `few`, the month of one resource.
#[derive(Clone, Copy)]
struct Month {
    generation: Generation,
    few: bool,
}

impl Month {
    const fn of(generation: Generation) -> Self {
        Self { generation, few: false }
    }

    fn ids(self) -> &'static [&'static str] {
        if self.few { &["one"] } else { &["one", "two"] }
    }
}

impl Scenario for Month {
    type World = World;
    type Agent = UsageReporter;
    type Verdict = Vec<(String, Vec<(String, String, String, BTreeMap<String, String>)>)>;

    fn world(&self) -> World {
        let world = World::new(self.generation);
        world.account("ann");
        for id in self.ids().iter().copied() {
            let resource = world.resource(id);
            world.used(id, "cpu", "10");
            world.used(id, "mem", "0");
            if self.few {
                continue;
            }
            world.used_in(id, OCTOBER, "cpu", "31");
            world.user_used(id, "ann", "cpu", "7");
            world.user_used(id, "cron", "cpu", "3");
            if id == "two" {
                world.reported(resource, NOVEMBER, "cpu", "4");
                world.waldur.switch_plan(resource, world.waldur.plan(world.offering, "Large"));
            }
        }
        world
    }

    fn start(&self, world: &World, life: &Life) -> UsageReporter {
        let (waldur, service) = (life.around(world.waldur.clone()), life.around(world.service.clone()));
        let agent = world.agent().waldur(waldur).service(service);
        // What is asked at once has many orders; of few, all are to be tried.
        agent.policy(|policy| policy.reporting_periods = if self.few { 1 } else { policy.reporting_periods }).build()
    }

    async fn cycle(&self, agent: &mut UsageReporter) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report)
                if report.is_clean()
                    && report.count(|end| matches!(end, UsageOutcome::Submitted)) == 0
                    && report.outcomes().all(|month| month.users.sent == 0) =>
            {
                Cycle::Idle
            }
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &World) -> Self::Verdict {
        world.assert_sound();
        let resource = |id: &str| world.service.object(id).unwrap().stamp.unwrap();
        let rows = |id: &str| {
            let rows = world.waldur.usage_of(resource(id)).into_iter();
            let row = |row: waldur_sdk::testing::waldur::UsageView| {
                let users = row.users.into_iter().map(|(user, amount)| (user, format!("{amount:.2}"))).collect();
                (row.component, row.billing_period.to_string(), format!("{:.2}", row.amount), users)
            };
            let mut rows: Vec<_> = rows.map(row).collect();
            rows.sort();
            rows
        };
        self.ids().iter().map(|id| ((*id).to_owned(), rows(id))).collect()
    }
}

fn limits(world: &World) -> Bounds {
    Bounds::default().with_environment(world.environment()).with_cycle_time(Duration::from_secs(3600))
}

const BOTH: [Month; 2] = [Month::of(Generation::V2024), Month::of(Generation::V8)];

#[tokio::test(start_paused = true)]
async fn f124_a_process_may_die_anywhere_in_a_report() {
    for scenario in BOTH {
        let sweep =
            kill_points(&scenario, &limits(&scenario.world())).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert!(sweep.points > 20, "{}", sweep.points);
    }
}

#[tokio::test(start_paused = true)]
async fn f127_a_report_may_be_dropped_anywhere() {
    let scenario = Month::of(Generation::V8);
    let sweep = drop_points(&scenario, &limits(&scenario.world())).await.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(sweep.points > 20, "{}", sweep.points);
}

#[tokio::test(start_paused = true)]
async fn f110_two_agents_may_report_at_once() {
    for scenario in BOTH {
        let limits = limits(&scenario.world());
        // Several requests in flight make too many orders to try all of them.
        let interleaving = Interleaving::random(7, 10);
        let met = interleave(&scenario, &interleaving, &limits).await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(met.schedules, 10, "{met:?}");
    }
    // Of few all, at the beginning: each step has as many ways on as there are requests that wait.
    let met = meet(Interleaving::exhaustive(2)).await;
    assert!((4..100).contains(&met.schedules), "{met:?}");
}

/// Two agents report the month of one resource.
async fn meet(interleaving: Interleaving) -> Interleaved {
    let scenario = Month { generation: Generation::V8, few: true };
    let limits = limits(&scenario.world());
    interleave(&scenario, &interleaving.settling(), &limits).await.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Every place in which one is interrupted for all that the other has to do.
#[tokio::test(start_paused = true)]
#[ignore = "seconds: cargo test -p waldur-sdk --test usage f110 -- --ignored"]
async fn f110_a_report_may_be_interrupted_anywhere_by_another() {
    let met = meet(Interleaving::switches(1)).await;
    assert!(met.schedules > 100, "{met:?}");
}
