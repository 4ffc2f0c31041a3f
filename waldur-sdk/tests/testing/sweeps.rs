//! The kill sweep and the drop sweep find planted bugs, and nothing where there is none.

use std::{
    cell::{Cell, RefCell},
    fmt::Debug,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use crate::toy::{Toy, get, post, put, virtual_time};
use futures_util::future::{join, select};
use waldur_sdk::{
    rest::{Anonymous, BaseUrl, Http, PlainHttp, RestClient},
    testing::{
        Action, Bounds, Counting, Cycle, Failure, Faults, Interleaving, Life, Scenario, Wire, drop_points, hang,
        interleave, kill_points, op, status,
    },
};

/// Waldur and a back end.
#[derive(Clone, Default)]
struct World {
    waldur: Toy,
    backend: Toy,
}

/// The same two, as one process reaches them.
struct Agent {
    waldur: Wire,
    backend: Wire,
    life: Life,
    in_progress: Cell<bool>,
}

impl Agent {
    fn start(world: &World, life: &Life) -> Self {
        let (waldur, backend) = (life.around(world.waldur.clone()), life.around(world.backend.clone()));
        Self { waldur, backend, life: life.clone(), in_progress: Cell::new(false) }
    }
}

fn limits() -> Bounds {
    Bounds::default().with_environment(virtual_time()).with_cycle_time(Duration::from_secs(3600))
}

fn differs<V: Debug>(failure: Failure<V>) -> (String, V, Vec<String>) {
    match failure {
        Failure::Differs { fault, found, story, .. } => (fault, found, story),
        other => panic!("{other}"),
    }
}

/// A scenario over [`World`] and [`Agent`] whose verdict is everything in both systems.
macro_rules! scenario {
    ($name:ident, |$agent:ident| $cycle:expr) => {
        struct $name;

        impl Scenario for $name {
            type World = World;
            type Agent = Agent;
            type Verdict = (Vec<(String, String)>, Vec<String>);

            fn world(&self) -> World {
                World::default()
            }
            fn start(&self, world: &World, life: &Life) -> Agent {
                Agent::start(world, life)
            }
            async fn cycle(&self, $agent: &mut Agent) -> Cycle {
                $cycle
            }
            fn verdict(&self, world: &World) -> Self::Verdict {
                (world.waldur.entries(), world.backend.names())
            }
        }
    };
}

scenario!(RecordsAfterwards, |agent| {
    if get(&agent.waldur, "/backend_id").await.is_none() {
        let name = post(&agent.backend, "/account", "").await;
        put(&agent.waldur, "/backend_id", &name).await;
    }
    put(&agent.waldur, "/state", "done").await;
    Cycle::Idle
});

scenario!(RecordsAhead, |agent| {
    if get(&agent.waldur, "/backend_id").await.is_none() {
        put(&agent.waldur, "/backend_id", "/account-x").await;
    }
    put(&agent.backend, "/account-x", "").await;
    put(&agent.waldur, "/state", "done").await;
    Cycle::Idle
});

#[tokio::test(start_paused = true)]
async fn kill_points_find_the_orphan_of_a_record_written_afterwards() {
    let failure = kill_points(&RecordsAfterwards, &limits()).await.unwrap_err();
    let text = failure.to_string();
    let (fault, (_, accounts), story) = differs(failure);
    assert_eq!(fault, "killed at point 3");
    assert_eq!(accounts, ["/account-1", "/account-2"]);
    assert_eq!(story[3..6], ["after POST /account", "KILLED", "before GET /backend_id"]);
    assert!(text.contains("killed at point 3: the final state differs") && text.contains("\n  KILLED\n"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn kill_points_pass_a_record_written_ahead() {
    let sweep = kill_points(&RecordsAhead, &limits()).await.unwrap();
    assert_eq!(sweep.points, 5, "before the first of four requests, after each, whichever system they go to");
    assert_eq!(sweep.runs, 7, "one without a fault, one per point, one that ends before its point");
    assert_eq!(sweep.story[4..6], ["before PUT /account-x", "after PUT /account-x"]);
}

#[tokio::test(start_paused = true)]
async fn kill_points_around_writes_pass_over_reads_and_miss_nothing() {
    let sweep = kill_points(&RecordsAhead, &limits().around_writes()).await.unwrap();
    assert_eq!((sweep.points, sweep.runs), (3, 5), "after each of three writes; before the first nothing has changed");
    assert_eq!(sweep.story.len(), 8, "reads are in the story all the same");
    let failure = kill_points(&RecordsAfterwards, &limits().around_writes()).await.unwrap_err();
    let (fault, (_, accounts), story) = differs(failure);
    assert_eq!((fault.as_str(), accounts.len()), ("killed at point 1", 2));
    assert_eq!(story[3..5], ["after POST /account", "KILLED"]);
}

#[tokio::test(start_paused = true)]
async fn kill_points_count_on_over_the_cycles_of_a_run() {
    // The bug is in the second cycle only.
    scenario!(SecondCycle, |agent| {
        if get(&agent.waldur, "/approved").await.is_none() {
            put(&agent.waldur, "/approved", "").await;
            return Cycle::Busy;
        }
        post(&agent.backend, "/account", "").await;
        Cycle::Idle
    });
    let (fault, (_, accounts), _) = differs(kill_points(&SecondCycle, &limits()).await.unwrap_err());
    assert_eq!((fault.as_str(), accounts.len()), ("killed at point 6", 2));
}

#[tokio::test(start_paused = true)]
async fn kill_points_can_kill_the_recovery_too() {
    // Gives up for good at the third start, which a single kill never brings about.
    scenario!(GivesUp, |agent| {
        let starts = get(&agent.waldur, "/starts").await.map_or(1, |starts| starts.len() + 1);
        put(&agent.waldur, "/starts", &"i".repeat(starts)).await;
        put(&agent.waldur, "/state", if starts > 2 { "erred" } else { "done" }).await;
        put(&agent.waldur, "/starts", "").await;
        Cycle::Idle
    });
    let once = kill_points(&GivesUp, &limits()).await.unwrap();
    let (fault, (waldur, _), _) = differs(kill_points(&GivesUp, &limits().with_faults(2)).await.unwrap_err());
    assert_eq!(once.points, 5);
    assert_eq!(fault, "killed at point 3, then 3");
    assert!(waldur.contains(&("/state".to_owned(), "erred".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn two_kills_in_a_run_go_through_every_pair() {
    let sweep = kill_points(&RecordsAhead, &limits().with_faults(2)).await.unwrap();
    assert_eq!(sweep.points, 5);
    // The second life needs four requests if the id was not written yet (points 1 and 2), three afterwards.
    let pairs = 2 * 5 + 3 * 4;
    assert_eq!(sweep.runs, 1 + 5 + pairs + 5 + 1);
}

/// Sends two requests at once, the second of which takes a turn to arrive; what the server held after each run is kept.
#[derive(Default)]
struct AtOnce {
    carried_out: RefCell<Vec<Vec<String>>>,
}

impl Scenario for AtOnce {
    type World = Toy;
    type Agent = (Wire, Wire, usize);
    type Verdict = ();

    fn world(&self) -> Toy {
        Toy::default()
    }
    fn start(&self, world: &Toy, life: &Life) -> Self::Agent {
        // Counting lets everything else go first, once.
        (life.around(world.clone()), life.around(Counting::new(world.clone())), life.number())
    }
    async fn cycle(&self, (quick, slow, number): &mut Self::Agent) -> Cycle {
        if *number == 0 {
            join(put(quick, "/a", ""), put(slow, "/b", "")).await;
        }
        Cycle::Idle
    }
    fn verdict(&self, world: &Toy) {
        self.carried_out.borrow_mut().push(world.names());
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_sends_nothing_more_not_even_what_it_had_begun() {
    let scenario = AtOnce::default();
    let sweep = kill_points(&scenario, &limits()).await.unwrap();
    assert_eq!(sweep.story, ["before PUT /a", "before PUT /b", "after PUT /a", "after PUT /b"]);
    let seen = scenario.carried_out.take();
    assert_eq!(seen[1..5], [vec![], vec!["/a"], vec!["/a"], vec!["/a", "/b"]]);
}

/// The second request follows a pause, in which something else may happen; the third goes out beside the fourth.
struct PausesAndCompany;

impl Scenario for PausesAndCompany {
    type World = Toy;
    type Agent = Wire;
    type Verdict = ();

    fn world(&self) -> Toy {
        Toy::default()
    }
    fn start(&self, world: &Toy, life: &Life) -> Wire {
        life.around(world.clone())
    }
    async fn cycle(&self, wire: &mut Wire) -> Cycle {
        put(wire, "/a", "").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        put(wire, "/b", "").await;
        join(put(wire, "/c", ""), put(wire, "/d", "")).await;
        Cycle::Idle
    }
    fn verdict(&self, _: &Toy) {}
}

#[tokio::test(start_paused = true)]
async fn a_request_after_a_pause_or_beside_another_has_a_point_of_its_own_before_it() {
    let sweep = kill_points(&PausesAndCompany, &limits()).await.unwrap();
    // All eight places but two: the third request follows the second one's answer at once, and both of the last two are
    // carried out before the answer to either is seen.
    assert_eq!((sweep.story.len(), sweep.points), (8, 6), "{:?}", sweep.story);
}

/// Writes a journal of its own in two pieces, with a point between.
struct Journal;

impl Scenario for Journal {
    type World = Rc<RefCell<String>>;
    type Agent = (Life, Rc<RefCell<String>>);
    type Verdict = String;

    fn world(&self) -> Self::World {
        Rc::default()
    }
    fn start(&self, world: &Self::World, life: &Life) -> Self::Agent {
        (life.clone(), Rc::clone(world))
    }
    async fn cycle(&self, (life, journal): &mut Self::Agent) -> Cycle {
        journal.borrow_mut().push_str("begin ");
        life.step("journal").await;
        journal.borrow_mut().push_str("end");
        Cycle::Idle
    }
    fn verdict(&self, world: &Self::World) -> String {
        world.borrow().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_no_request_is_a_point_too() {
    let (fault, journal, story) = differs(kill_points(&Journal, &limits()).await.unwrap_err());
    assert_eq!((fault.as_str(), journal.as_str()), ("killed at point 1", "begin begin end"));
    assert_eq!(story, ["at journal", "KILLED", "at journal"]);
}

/// Takes two steps at once; what was done after each of them is kept.
#[derive(Default)]
struct Steps {
    done: RefCell<Vec<String>>,
}

impl Scenario for Steps {
    type World = ();
    type Agent = Life;
    type Verdict = ();

    fn world(&self) {
        self.done.borrow_mut().push(String::new());
    }
    fn start(&self, (): &(), life: &Life) -> Life {
        life.clone()
    }
    async fn cycle(&self, life: &mut Life) -> Cycle {
        if life.number() == 0 {
            let step = async |name: &str| {
                life.step(name).await;
                self.done.borrow_mut().last_mut().unwrap().push_str(name);
            };
            join(step("a"), step("b")).await;
        }
        Cycle::Idle
    }
    fn verdict(&self, (): &()) {}
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_takes_no_other_step() {
    let scenario = Steps::default();
    let sweep = kill_points(&scenario, &limits()).await.unwrap();
    assert_eq!(sweep.story, ["at a", "at b"]);
    assert_eq!(scenario.done.take(), ["ab", "", "a", "ab"]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_has_not_ended_well_in_the_same_moment() {
    // Does not wait for the answer, and so is finished in the very turn in which the request leaves, or does not.
    scenario!(Hasty, |agent| {
        select(pin!(put(&agent.waldur, "/state", "done")), pin!(tokio::task::yield_now())).await;
        Cycle::Idle
    });
    assert_eq!(kill_points(&Hasty, &limits()).await.unwrap().points, 1);
}

#[tokio::test(start_paused = true)]
async fn a_scenario_that_never_rests_or_never_ends_or_touches_nothing_fails() {
    scenario!(Restless, |agent| {
        put(&agent.waldur, "/again", "").await;
        Cycle::Busy
    });
    scenario!(Hangs, |agent| {
        put(&agent.waldur, "/once", "").await;
        std::future::pending().await
    });
    scenario!(Untouched, |_agent| Cycle::Idle);
    assert!(matches!(kill_points(&Restless, &limits()).await, Err(Failure::Restless { cycles: 20, .. })));
    assert!(matches!(drop_points(&Restless, &limits()).await, Err(Failure::Restless { .. })));
    assert!(matches!(kill_points(&Hangs, &limits()).await, Err(Failure::Hung { .. })));
    assert!(matches!(drop_points(&Hangs, &limits()).await, Err(Failure::Hung { .. })));
    assert!(matches!(kill_points(&Untouched, &limits()).await, Err(Failure::Untouched)));
    assert!(matches!(drop_points(&Untouched, &limits()).await, Err(Failure::Untouched)));
}

/// The verdict of every world is another one.
struct Random(Cell<usize>);

impl Scenario for Random {
    type World = Toy;
    type Agent = Wire;
    type Verdict = usize;

    fn world(&self) -> Toy {
        Toy::default()
    }
    fn start(&self, world: &Toy, life: &Life) -> Wire {
        life.around(world.clone())
    }
    async fn cycle(&self, wire: &mut Wire) -> Cycle {
        put(wire, "/a", "").await;
        Cycle::Idle
    }
    fn verdict(&self, _: &Toy) -> usize {
        // The same for all runs with a kill.
        self.0.set(self.0.get() + 1);
        usize::from(self.0.get() > 3)
    }
}

#[tokio::test(start_paused = true)]
async fn a_verdict_that_is_not_the_same_without_a_fault_is_not_blamed_on_a_kill() {
    let (fault, ..) = differs(kill_points(&Random(Cell::new(0)), &limits()).await.unwrap_err());
    assert_eq!(fault, "without a fault");
}

#[tokio::test(start_paused = true)]
async fn drop_points_find_a_half_state_left_in_the_process() {
    // The flag stays up when the future is dropped: the next cycle believes that the work is under way.
    scenario!(Flag, |agent| {
        if !agent.in_progress.get() {
            agent.in_progress.set(true);
            put(&agent.backend, "/account", "").await;
            put(&agent.waldur, "/state", "done").await;
            agent.in_progress.set(false);
        }
        Cycle::Idle
    });
    let (fault, (waldur, backend), story) = differs(drop_points(&Flag, &limits()).await.unwrap_err());
    assert_eq!(fault, "dropped at wait 1");
    assert!(waldur.is_empty() && backend.is_empty(), "{story:?}");
    // A killed process forgets its flag: the kill sweep cannot see this.
    assert_eq!(kill_points(&Flag, &limits()).await.unwrap().points, 3);
}

#[tokio::test(start_paused = true)]
async fn drop_points_pass_work_that_can_be_repeated() {
    let sweep = drop_points(&RecordsAhead, &limits()).await.unwrap();
    assert_eq!(sweep.points, 8);
    assert_eq!(sweep.runs, 10);
}

#[tokio::test(start_paused = true)]
async fn drop_points_find_the_orphan_of_a_record_written_afterwards() {
    let (fault, (_, accounts), story) = differs(drop_points(&RecordsAfterwards, &limits()).await.unwrap_err());
    assert_eq!((fault.as_str(), accounts.len()), ("dropped at wait 4", 2));
    assert!(story.contains(&"DROPPED".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn drop_points_find_a_lock_that_is_kept() {
    scenario!(Locks, |agent| {
        while agent.in_progress.get() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        agent.in_progress.set(true);
        put(&agent.backend, "/account", "").await;
        agent.in_progress.set(false);
        Cycle::Idle
    });
    let failure = drop_points(&Locks, &limits()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Hung { fault, .. } if fault == "dropped at wait 1"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn drop_points_include_the_pauses_of_the_process() {
    scenario!(Pauses, |agent| {
        put(&agent.backend, "/account", "").await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        agent.life.step("end").await;
        Cycle::Idle
    });
    let sweep = drop_points(&Pauses, &limits()).await.unwrap();
    assert_eq!(sweep.points, 4, "leaving, answer, pause, step");
}

#[test]
fn the_sweeps_need_no_runtime() {
    let limits = Bounds::default();
    let mut both =
        pin!(async { (kill_points(&RecordsAhead, &limits).await, drop_points(&RecordsAhead, &limits).await) });
    let mut cx = Context::from_waker(Waker::noop());
    let (kills, drops) = loop {
        if let Poll::Ready(both) = both.as_mut().poll(&mut cx) {
            break both;
        }
    };
    assert_eq!((kills.unwrap().points, drops.unwrap().points), (5, 8));
}

/// The real pipeline with retries, over a server that stumbles.
struct RealClient;

impl Scenario for RealClient {
    type World = (Toy, Faults);
    type Agent = RestClient;
    type Verdict = Vec<String>;

    fn world(&self) -> Self::World {
        let toy = Toy::default();
        let faults = Faults::new(toy.clone())
            .on(op("accounts.put").nth(1), status(503).header("retry-after", 5))
            .on(op("accounts.put").nth(2), Action::commit_then(hang()))
            .on(op("state.put").nth(1), Action::commit_then(status(504)));
        (toy, faults)
    }
    fn start(&self, (_, faults): &Self::World, life: &Life) -> RestClient {
        let base = BaseUrl::parse("url", "http://localhost/", PlainHttp::default()).unwrap();
        let http = Http::new(life.around(faults.clone())).with_environment(virtual_time());
        RestClient::new(http, base, Anonymous)
    }
    async fn cycle(&self, client: &mut RestClient) -> Cycle {
        let both = async {
            client.put("accounts.put", "/account", &[]).send_unit().await?;
            client.put("state.put", "/state", &[]).send_unit().await
        };
        if both.await.is_ok() { Cycle::Idle } else { Cycle::Busy }
    }
    fn verdict(&self, (toy, _): &Self::World) -> Vec<String> {
        toy.names()
    }
}

#[tokio::test(start_paused = true)]
async fn a_real_client_with_retries_goes_through_all_three_harnesses() {
    let kills = kill_points(&RealClient, &limits()).await.unwrap();
    assert_eq!(kills.points, 9, "five sendings, one of which is never answered");
    let drops = drop_points(&RealClient, &limits()).await.unwrap();
    assert!(drops.points > kills.points, "pauses and time limits are waits too");
    let meetings = interleave(&RealClient, &Interleaving::switches(2), &limits()).await.unwrap();
    assert!(meetings.schedules > 10, "{meetings:?}");
}
