//! The interleaver finds planted races, names the schedule, and goes through the schedules it promises.

use std::{cell::RefCell, pin::pin, time::Duration};

use crate::toy::{Toy, get, put, request, virtual_time};
use futures_util::future::{join, select};
use http::{Method, StatusCode};
use waldur_sdk::{
    rest::HttpTransport,
    testing::{Bounds, Cycle, Failure, Interleaving, Latency, Life, Scenario, Schedule, Wire, interleave},
};

fn limits() -> Bounds {
    Bounds::default().with_environment(virtual_time()).with_cycle_time(Duration::from_secs(3600))
}

struct Agent {
    wire: Wire,
    number: usize,
    life: Life,
}

/// A scenario with one server; the verdict is what it holds.
macro_rules! scenario {
    ($name:ident, |$agent:ident| $cycle:expr) => {
        struct $name;

        impl Scenario for $name {
            type World = Toy;
            type Agent = Agent;
            type Verdict = Vec<(String, String)>;

            fn world(&self) -> Toy {
                Toy::default()
            }
            fn start(&self, world: &Toy, life: &Life) -> Agent {
                Agent { wire: life.around(world.clone()), number: life.agent(), life: life.clone() }
            }
            async fn cycle(&self, $agent: &mut Agent) -> Cycle {
                $cycle
            }
            fn verdict(&self, world: &Toy) -> Self::Verdict {
                world.entries()
            }
        }
    };
}

/// The list with this agent's member, sorted.
fn with_member(list: &str, number: usize) -> String {
    let mut members: Vec<_> = list.split_whitespace().map(str::to_owned).chain([format!("m{number}")]).collect();
    members.sort();
    members.dedup();
    members.join(" ")
}

scenario!(ReadModifyWrite, |agent| {
    let list = get(&agent.wire, "/members").await.unwrap_or_default();
    put(&agent.wire, "/members", &with_member(&list, agent.number)).await;
    Cycle::Idle
});

scenario!(CompareAndSwap, |agent| {
    let read = agent.wire.send(request(Method::GET, "/members", "")).await.unwrap();
    let list = if read.status() == StatusCode::OK { std::str::from_utf8(read.body()).unwrap() } else { "" };
    let mut write = request(Method::PUT, "/members", &with_member(list, agent.number));
    write.headers_mut().insert("if-match", read.headers()["etag"].clone());
    match agent.wire.send(write).await.unwrap().status() {
        StatusCode::PRECONDITION_FAILED => Cycle::Busy,
        _ => Cycle::Idle,
    }
});

fn schedule_of(text: &str) -> Schedule {
    text.strip_prefix("schedule \"").unwrap().strip_suffix('"').unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lost_update_is_found_and_replayed() {
    let failure = interleave(&ReadModifyWrite, &Interleaving::exhaustive(10), &limits()).await.unwrap_err();
    let text = failure.to_string();
    let Failure::Differs { fault, expected, found, story } = failure else { panic!("{failure}") };
    assert_eq!(expected, [("/members".to_owned(), "m0 m1".to_owned())]);
    assert_ne!(found, expected);
    assert_eq!(story.len(), 8, "leaving and answer of four requests: {text}");
    assert!(text.starts_with(&format!("{fault}: the final state differs")));

    let replay = Interleaving::replay(schedule_of(&fault));
    let again = interleave(&ReadModifyWrite, &replay, &limits()).await.unwrap_err();
    assert_eq!(again.to_string(), text, "the same schedule is the same run");
}

#[tokio::test(start_paused = true)]
async fn a_lost_update_is_found_by_few_switches_and_by_chance() {
    for interleaving in [
        Interleaving::switches(1),
        Interleaving::switches(1).alike(),
        Interleaving::random(1, 50),
        Interleaving::exhaustive(10).split(),
    ] {
        let failure = interleave(&ReadModifyWrite, &interleaving, &limits()).await.unwrap_err();
        assert!(matches!(failure, Failure::Differs { .. }), "{failure}");
    }
    // Uninterrupted, each agent finishes: nothing is lost, and only the order of the two differs.
    let whole = interleave(&ReadModifyWrite, &Interleaving::switches(0), &limits()).await.unwrap();
    assert_eq!(whole.schedules, 2);
}

#[tokio::test(start_paused = true)]
async fn a_correct_update_passes_in_every_order() {
    let all = interleave(&CompareAndSwap, &Interleaving::exhaustive(20), &limits()).await.unwrap();
    let split = interleave(&CompareAndSwap, &Interleaving::exhaustive(20).split(), &limits()).await.unwrap();
    let some = interleave(&CompareAndSwap, &Interleaving::random(7, 100), &limits()).await.unwrap();
    let three = interleave(&CompareAndSwap, &Interleaving::switches(2).with_agents(3), &limits()).await.unwrap();
    assert!(all.schedules >= 6 && split.schedules > all.schedules && three.schedules > 6);
    assert_eq!(some.schedules, 100);
}

scenario!(TwoWrites, |agent| {
    put(&agent.wire, &format!("/{}/1", agent.number), "").await;
    put(&agent.wire, &format!("/{}/2", agent.number), "").await;
    Cycle::Idle
});

#[tokio::test(start_paused = true)]
async fn the_number_of_schedules_is_the_number_of_orders() {
    for (interleaving, orders) in [
        (Interleaving::exhaustive(10), 6), // 4 over 2
        (Interleaving::exhaustive(0), 1),
        (Interleaving::exhaustive(1), 2),           // who begins
        (Interleaving::switches(0), 2),             // AABB BBAA
        (Interleaving::switches(1), 4),             // and ABBA BAAB
        (Interleaving::switches(2), 6),             // and ABAB BABA
        (Interleaving::exhaustive(20).split(), 70), // 8 over 4
        (Interleaving::exhaustive(10).alike(), 3),  // those that A begins
        (Interleaving::exhaustive(1).alike(), 1),
        (Interleaving::switches(1).alike(), 2), // AABB ABBA
        (Interleaving::exhaustive(20).split().alike(), 35),
    ] {
        let done = interleave(&TwoWrites, &interleaving, &limits()).await.unwrap();
        assert_eq!(done.schedules, orders, "{interleaving:?}");
    }
    let three = interleave(&TwoWrites, &Interleaving::exhaustive(20).with_agents(3), &limits()).await.unwrap();
    assert_eq!(three.schedules, 90, "6! / (2! 2! 2!)");
    let alike = Interleaving::exhaustive(20).with_agents(3).alike();
    assert_eq!(interleave(&TwoWrites, &alike, &limits()).await.unwrap().schedules, 90 / 6, "of 3! names for each");
}

/// Keeps the log of every run.
#[derive(Default)]
struct Logged(RefCell<Vec<Vec<String>>>);

impl Scenario for Logged {
    type World = Toy;
    type Agent = Agent;
    type Verdict = ();

    fn world(&self) -> Toy {
        Toy::default()
    }
    fn start(&self, world: &Toy, life: &Life) -> Agent {
        TwoWrites.start(world, life)
    }
    async fn cycle(&self, agent: &mut Agent) -> Cycle {
        TwoWrites.cycle(agent).await
    }
    fn verdict(&self, world: &Toy) {
        self.0.borrow_mut().push(world.log());
    }
}

#[tokio::test(start_paused = true)]
async fn every_schedule_is_another_order_and_chance_is_repeatable() {
    let logged = Logged::default();
    interleave(&logged, &Interleaving::exhaustive(10), &limits()).await.unwrap();
    let mut orders = logged.0.take().split_off(1);
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 6);

    let mut drawn = Vec::new();
    for _ in 0..2 {
        interleave(&logged, &Interleaving::random(42, 20), &limits()).await.unwrap();
        drawn.push(logged.0.take());
    }
    assert_eq!(drawn[0], drawn[1]);
    assert!(drawn[0][1..].iter().any(|order| *order != drawn[0][1]), "chance varies");
}

// The flag is up only between two requests of agent 1; agent 0 looks after a pause.
scenario!(LooksAfterAPause, |agent| {
    if agent.number == 0 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        if get(&agent.wire, "/flag").await.as_deref() == Some("up") {
            put(&agent.wire, "/seen", "").await;
        }
    } else {
        put(&agent.wire, "/flag", "up").await;
        put(&agent.wire, "/flag", "down").await;
    }
    Cycle::Idle
});

#[tokio::test(start_paused = true)]
async fn a_sleeping_agent_may_wake_between_two_requests_of_the_other() {
    let failure = interleave(&LooksAfterAPause, &Interleaving::switches(2), &limits()).await.unwrap_err();
    let Failure::Differs { story, .. } = &failure else { panic!("{failure}") };
    let slept = story.iter().position(|line| line == "time passes").unwrap();
    assert_eq!(story[slept - 1], "agent 1: after PUT /flag");
    assert_eq!(story[slept + 1], "agent 0: before GET /flag");
}

/// The same server, 20 ms away.
struct FarAway;

impl Scenario for FarAway {
    type World = Toy;
    type Agent = Agent;
    type Verdict = Vec<(String, String)>;

    fn world(&self) -> Toy {
        Toy::default()
    }
    fn start(&self, world: &Toy, life: &Life) -> Agent {
        let far = Latency::new(world.clone(), virtual_time(), Duration::from_millis(20));
        Agent { wire: life.around(far), number: life.agent(), life: life.clone() }
    }
    async fn cycle(&self, agent: &mut Agent) -> Cycle {
        ReadModifyWrite.cycle(agent).await
    }
    fn verdict(&self, world: &Toy) -> Self::Verdict {
        world.entries()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_overlap() {
    let failure = interleave(&FarAway, &Interleaving::exhaustive(8), &limits()).await.unwrap_err();
    assert!(matches!(failure, Failure::Differs { .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_agent_are_ordered_too() {
    scenario!(AtOnce, |agent| {
        if agent.number == 0 {
            join(put(&agent.wire, "/x", "1"), put(&agent.wire, "/x", "2")).await;
        }
        Cycle::Idle
    });
    let failure = interleave(&AtOnce, &Interleaving::exhaustive(4), &limits()).await.unwrap_err();
    assert!(matches!(failure, Failure::Differs { .. }), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_request_given_up_at_the_gate_is_out_of_the_game() {
    scenario!(GivesUp, |agent| {
        if agent.number == 0 {
            let late = pin!(tokio::time::sleep(Duration::from_secs(1)));
            select(pin!(put(&agent.wire, "/x", "")), late).await;
        } else {
            tokio::time::sleep(Duration::from_secs(5)).await;
            put(&agent.wire, "/x", "").await;
        }
        Cycle::Idle
    });
    let done = interleave(&GivesUp, &Interleaving::exhaustive(8), &limits()).await.unwrap();
    assert_eq!((done.schedules, done.decisions), (2, 1), "it goes through at once, or is given up");
}

#[tokio::test(start_paused = true)]
async fn settling_lets_a_last_agent_mend_what_the_others_left() {
    scenario!(Mends, |agent| {
        ReadModifyWrite.cycle(agent).await;
        if agent.life.number() == 1 {
            put(&agent.wire, "/members", "m0 m1").await;
        }
        Cycle::Idle
    });
    let rough = interleave(&Mends, &Interleaving::exhaustive(10), &limits()).await;
    let settled = interleave(&Mends, &Interleaving::exhaustive(10).settling(), &limits()).await;
    assert!(matches!(rough, Err(Failure::Differs { .. })));
    assert_eq!(settled.unwrap().schedules, 6);
}

#[tokio::test(start_paused = true)]
async fn agents_that_never_meet_never_rest_or_never_end_fail() {
    scenario!(Restless, |agent| {
        let me = agent.number.to_string();
        put(&agent.wire, "/owner", &me).await;
        if get(&agent.wire, "/owner").await == Some(me) { Cycle::Idle } else { Cycle::Busy }
    });
    scenario!(Deadlock, |agent| {
        // Agent 1 waits for a sign that agent 0 gives only if it comes first.
        if agent.number == 0 {
            if get(&agent.wire, "/begun").await.is_none() {
                put(&agent.wire, "/sign", "").await;
            }
        } else {
            put(&agent.wire, "/begun", "").await;
            if get(&agent.wire, "/sign").await.is_none() {
                std::future::pending::<()>().await;
            }
        }
        Cycle::Idle
    });
    let alone = Interleaving::exhaustive(4).with_agents(1);
    assert!(matches!(interleave(&TwoWrites, &alone, &limits()).await, Err(Failure::Untouched)));
    let deadlock = interleave(&Deadlock, &Interleaving::exhaustive(4), &limits()).await;
    assert!(matches!(deadlock, Err(Failure::Hung { .. })), "{deadlock:?}");
    let restless = interleave(&Restless, &Interleaving::exhaustive(12), &limits().with_cycles(1)).await;
    assert!(matches!(restless, Err(Failure::Restless { .. })), "{restless:?}");
}

#[test]
fn a_schedule_is_read_back() {
    let schedule: Schedule = "0.1.12".parse().unwrap();
    assert_eq!(schedule.to_string(), "0.1.12");
    assert_eq!("".parse::<Schedule>().unwrap(), Schedule::default());
    assert!("0.x".parse::<Schedule>().is_err());
}
