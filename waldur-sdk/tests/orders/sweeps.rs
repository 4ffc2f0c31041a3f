//! Processes that die, futures that are dropped, agents that meet: the outcome is that of a run without faults
//! (core.md §2.7; faults.md rows 110, 124, 127).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::orders::{Agent, World, environment};
use serde_json::json;
use waldur_sdk::{
    Error,
    backend::{CreateRequest, OpContext},
    process::OrderProcessor,
    testing::{
        Bounds, Cycle, Failure, Interleaving, Life, MemoryObject, MemoryService, Scenario,
        conformance::{self, MemorySubject, Verdict as Conformance, Work as Ordered},
        drop_points, interleave, kill_points,
        waldur::{Generation, OrderState, ResourceState as S},
    },
};

/// Orders in a world, and the agents that carry them out.
#[derive(Clone, Copy)]
struct Work {
    name: &'static str,
    generation: Generation,
    offering: fn(waldur_sdk::testing::waldur::OfferingSeed) -> waldur_sdk::testing::waldur::OfferingSeed,
    seed: fn(&World),
    agent: fn(Agent, &World) -> Agent,
}

/// Everything that must not depend on faults: what Waldur shows, what the service holds, how often it made something.
#[derive(Debug, PartialEq)]
struct Verdict {
    orders: Vec<(&'static str, OrderState, String)>,
    resources: BTreeMap<String, serde_json::Value>,
    objects: BTreeMap<String, MemoryObject>,
    projects: BTreeSet<String>,
    made: u64,
    done_without_an_object: Vec<String>,
    /// Only their number: each is called anew.
    keys: BTreeMap<String, usize>,
}

impl Scenario for Work {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = Verdict;

    fn world(&self) -> World {
        let world = World::selling(self.generation, self.offering);
        (self.seed)(&world);
        world
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        let (waldur, service) = (life.around(world.waldur.clone()), life.around(world.service.clone()));
        (self.agent)(world.agent(), world).waldur(waldur).service(service).build()
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report) if report.orders.is_empty() && report.is_clean() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &World) -> Verdict {
        world.assert_sound();
        let orders = world.all_orders();
        let mut resources = BTreeMap::new();
        let mut done_without_an_object = Vec::new();
        for order in &orders {
            let view = world.resource(*order);
            let wanted = matches!(view.state, S::Ok) && world.state(*order) == OrderState::Done;
            if wanted && world.service.object(&view.backend_id).is_none() {
                done_without_an_object.push(view.name.clone());
            }
            let endpoints: Vec<_> = view.endpoints.iter().map(|endpoint| (&endpoint.name, &endpoint.url)).collect();
            let shown = json!({
                "state": view.state.as_str(), "backend_id": view.backend_id, "limits": view.limits, "plan": view.plan,
                "options": view.options, "metadata": view.backend_metadata, "endpoints": endpoints,
            });
            resources.insert(view.name.clone(), shown);
        }
        Verdict {
            orders: orders
                .into_iter()
                .map(|order| world.order(order))
                .map(|order| (order.kind.as_str(), order.state, order.error_message))
                .collect(),
            resources,
            objects: world.service.objects(),
            projects: world.service.projects(),
            made: world.service.made(),
            done_without_an_object,
            keys: world.ids().into_iter().map(|id| (id.clone(), world.service.keys(&id).len())).collect(),
        }
    }
}

fn limits() -> Bounds {
    // Neither the service nor Waldur keeps anything of a read.
    Bounds::default().with_environment(environment()).with_cycle_time(Duration::from_secs(3600)).around_writes()
}

/// Everything that a back end can have.
fn whole(agent: Agent, _world: &World) -> Agent {
    agent.memory(|memory| memory.with_members().with_status().with_endpoint("https://s.example"))
}

const CREATE: Work = Work {
    name: "create",
    generation: Generation::V8,
    offering: |offering| offering,
    seed: |world| {
        world.member("ann");
        world.create("Res").pending();
    },
    // Less is granted than was ordered, so that limits are published too.
    agent: |agent, _| {
        agent.memory(|memory| memory.with_members().with_endpoint("https://s.example").with_ceiling("cpu", 3))
    },
};

/// No more than a creation needs.
const CREATE_PLAIN: Work = Work {
    name: "plain create",
    seed: |world| {
        world.create("Res").pending();
    },
    agent: |agent, _| agent,
    ..CREATE
};

/// Somebody else has the first name.
const CREATE_TAKEN: Work = Work {
    name: "create under the second name",
    offering: |offering| offering.plugin_option("account_name_generation_policy", "project_slug"),
    seed: |world| {
        world.service.seed(crate::orders::PROJECT, None);
        world.create("Res").pending();
    },
    ..CREATE
};

/// Waldur and somebody else have names.
const CREATE_UNIQUE: Work = Work {
    name: "create with the uniqueness check",
    seed: |world| {
        world.waldur.resource(world.offering).backend_id("res").create();
        world.service.seed("res-0", None);
        world.create("Res").pending();
    },
    agent: |agent, world| {
        whole(agent, world)
            .policy(|policy| (policy.check_backend_id_uniqueness, policy.backend_id_max_retries) = (true, 5))
    },
    ..CREATE
};

/// No name is left.
const CREATE_IN_VAIN: Work = Work {
    name: "create without a name",
    seed: |world| {
        world.service.seed("res", None);
        world.create("Res").pending();
    },
    ..CREATE
};

/// Refused before anything is made, under the name of somebody else's.
const CREATE_REFUSED: Work = Work {
    name: "create that is refused",
    agent: |agent, _| {
        let refusal = |_: &CreateRequest| Err(Error::rejected("that much is not sold"));
        agent.overriding(move |inner| crate::orders::Doctored::new(inner).creating(refusal))
    },
    ..CREATE_IN_VAIN
};

const UPDATE_LIMITS: Work = Work {
    name: "update of limits",
    seed: |world| {
        world.waldur.order_on(world.existing("res")).update_limits([("cpu", 2), ("mem", 9)]).pending();
    },
    agent: whole,
    ..CREATE
};

const UPDATE_PLAN: Work = Work {
    name: "switch of plans",
    offering: |offering| offering.plan("small", |plan| plan).plan("large", |plan| plan.quota("cpu", 2)),
    seed: |world| {
        let large = world.waldur.plan(world.offering, "large");
        let order = world.waldur.order_on(world.existing("res")).switch_plan(large);
        // Without limits of its own the plan's count, so that there are two steps on the back end.
        order.limits([] as [(&str, i64); 0]).pending();
    },
    agent: whole,
    ..CREATE
};

const TERMINATE: Work = Work {
    name: "terminate",
    seed: |world| {
        world.waldur.order_on(world.existing("res")).terminate().pending();
    },
    agent: whole,
    ..CREATE
};

/// With people and keys on it.
const TERMINATE_SOFTLY: Work = Work {
    name: "soft terminate",
    seed: |world| {
        let resource = world.existing("res");
        let mut object = world.object_of(resource, 4, 8);
        object.members = ["ann", "bob"].map(str::to_owned).into();
        world.service.put("res", object);
        for client_id in ["one", "two"] {
            world.service.seed_key("res", client_id);
        }
        world.waldur.order_on(resource).terminate().pending();
    },
    agent: |agent, _| {
        let agent = agent.memory(|memory| memory.with_members().with_status().with_keys());
        agent.policy(|policy| policy.soft_delete = true)
    },
    ..CREATE
};

const RESTORE: Work = Work {
    name: "restore",
    seed: |world| {
        world.member("ann");
        let resource = world.existing("res");
        world.service.lose("res");
        world.waldur.change_resource(resource, |row| row.state(S::Terminated));
        world.waldur.order_on(resource).restore().pending();
    },
    agent: whole,
    ..CREATE
};

/// After a soft end: the object is there, paused and without limits.
const RESTORE_SOFTLY: Work = Work {
    name: "soft restore",
    seed: |world| {
        world.member("ann");
        let resource = world.existing("res");
        let mut object = world.object_of(resource, 0, 0);
        "paused".clone_into(&mut object.status);
        world.service.put("res", object);
        world.waldur.change_resource(resource, |row| row.state(S::Terminated));
        world.waldur.order_on(resource).restore().pending();
    },
    agent: whole,
    ..CREATE
};

/// Several kinds at once, on as many resources.
const SEVERAL: Work = Work {
    name: "several kinds",
    seed: |world| {
        world.member("ann");
        world.create("New").pending();
        world.waldur.order_on(world.existing("changed")).update_limits([("cpu", 2), ("mem", 9)]).executing();
        world.waldur.order_on(world.existing("ended")).terminate().pending();
    },
    agent: whole,
    ..CREATE
};

/// Jobs of the service end whenever somebody looks.
const LATER: Work = Work {
    name: "work that goes on",
    agent: |agent, _| agent.memory(|memory| memory.with_jobs().with_members()),
    ..SEVERAL
};

/// The same, step by step, for one order that changes all that can be changed.
const LATER_UPDATE: Work = Work {
    name: "update of everything that goes on",
    offering: |offering| offering.plan("small", |plan| plan).plan("large", |plan| plan.quota("cpu", 2)),
    seed: |world| {
        let large = world.waldur.plan(world.offering, "large");
        let order = world.waldur.order_on(world.existing("res")).switch_plan(large);
        let order = order.attributes(json!({ "old_options": {}, "new_options": { "tier": "fast" } }));
        order.limits([("cpu", 6), ("mem", 9)]).executing();
    },
    ..LATER
};

/// Beside what [`conformance::orders`] has.
const EVERYTHING: [Work; 8] = [
    CREATE,
    CREATE_TAKEN,
    CREATE_UNIQUE,
    CREATE_IN_VAIN,
    CREATE_REFUSED,
    UPDATE_PLAN,
    TERMINATE_SOFTLY,
    RESTORE_SOFTLY,
];

/// What the suite has, to be seen on the older server.
const ORDINARY: [Work; 4] = [CREATE, UPDATE_LIMITS, TERMINATE, RESTORE];

/// The same on the older server.
fn on_2024(work: Work) -> Work {
    Work { generation: Generation::V2024, ..work }
}

#[track_caller]
fn kept<T>(work: &Work, result: Result<T, Failure<Verdict>>) -> T {
    result.unwrap_or_else(|failure| panic!("{} ({:?}): {failure}", work.name, work.generation))
}

fn memory() -> MemorySubject {
    MemorySubject::new(MemoryService::new()).unwrap().with_environment(environment()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn f124_f127_f110_orders_of_every_kind_survive_deaths_drops_losses_and_company() {
    let verdicts = conformance::orders(memory).await;
    assert_eq!(verdicts.iter().count(), Ordered::ALL.len() + 1);
    assert!(verdicts.iter().all(|(_, verdict)| *verdict == Conformance::Passed), "{verdicts}");
}

#[tokio::test(start_paused = true)]
async fn without_faults_the_scenarios_come_to_what_they_are_named_for() {
    for work in EVERYTHING {
        let world = work.world();
        (work.agent)(world.agent(), &world).run().await;
        let verdict = work.verdict(&world);
        let in_vain = [CREATE_IN_VAIN.name, CREATE_REFUSED.name].contains(&work.name);
        let state = if in_vain { OrderState::Erred } else { OrderState::Done };
        assert_eq!(verdict.orders.len(), 1, "{}", work.name);
        assert_eq!(verdict.orders[0].1, state, "{}: {verdict:#?}", work.name);
        assert!(verdict.done_without_an_object.is_empty(), "{}", work.name);
        if in_vain {
            assert_eq!(verdict.resources["Res"]["backend_id"], "", "{}", work.name);
        }
        if work.name == TERMINATE_SOFTLY.name {
            assert!(verdict.objects["res"].members.is_empty() && verdict.keys["res"] == 0, "{verdict:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f124_killed_at_any_point_the_orders_end_as_without_a_kill() {
    for work in EVERYTHING.into_iter().chain(ORDINARY.map(on_2024)) {
        let sweep = kept(&work, kill_points(&work, &limits()).await);
        assert!(sweep.points >= 3, "{}: {} points", work.name, sweep.points);
    }
}

#[tokio::test(start_paused = true)]
async fn killed_amid_several_orders_they_all_end_as_without_a_kill() {
    kept(&SEVERAL, kill_points(&SEVERAL, &limits()).await);
    kept(&LATER, kill_points(&Finishing(LATER), &limits()).await);
    let sweep = kept(&LATER_UPDATE, kill_points(&Finishing(LATER_UPDATE), &limits()).await);
    assert!(sweep.points >= 6, "{} points", sweep.points);
}

#[tokio::test(start_paused = true)]
async fn f127_dropped_at_any_wait_the_same_processor_ends_the_orders_as_without_a_drop() {
    for work in EVERYTHING.into_iter().chain([SEVERAL]) {
        let sweep = kept(&work, drop_points(&work, &limits()).await);
        assert!(sweep.points >= 6, "{}: {} points", work.name, sweep.points);
    }
}

#[tokio::test(start_paused = true)]
async fn f110_an_agent_that_is_overtaken_by_another_anywhere_changes_nothing() {
    // One interruption: "A, then all of B, then the rest of A", for every place in A.
    for work in EVERYTHING {
        let met = kept(&work, interleave(&work, &Interleaving::switches(1).alike().settling(), &limits()).await);
        assert!(met.schedules > 10, "{}: {met:?}", work.name);
    }
}

#[tokio::test(start_paused = true)]
async fn two_agents_that_begin_in_any_order_or_go_on_in_many_end_as_one_after_the_other() {
    for work in [CREATE_PLAIN, CREATE_TAKEN, CREATE_IN_VAIN, TERMINATE] {
        kept(&work, interleave(&work, &Interleaving::exhaustive(4).alike().settling(), &limits()).await);
        kept(&work, interleave(&work, &Interleaving::random(7, 12).split().settling(), &limits()).await);
    }
    let three = Interleaving::random(1, 5).with_agents(3).settling();
    kept(&SEVERAL, interleave(&SEVERAL, &three, &limits()).await);
    kept(&LATER, interleave(&Finishing(LATER), &Interleaving::random(2, 5).settling(), &limits()).await);
    let many = Interleaving::random(3, 8).settling();
    kept(&LATER_UPDATE, interleave(&Finishing(LATER_UPDATE), &many, &limits()).await);
}

#[tokio::test(start_paused = true)]
#[ignore = "minutes: cargo test -p waldur-sdk --test orders everything_at_length -- --ignored"]
async fn everything_at_length() {
    let new = EVERYTHING.into_iter().chain(ORDINARY);
    for work in new.clone().chain(new.map(on_2024)) {
        kept(&work, kill_points(&work, &limits()).await);
        kept(&work, drop_points(&work, &limits()).await);
        for interleaving in [
            Interleaving::switches(1).split().alike(),
            Interleaving::exhaustive(8).alike(),
            Interleaving::random(42, 100),
            Interleaving::random(43, 100).split().with_agents(3),
        ] {
            kept(&work, interleave(&work, &interleaving.settling(), &limits()).await);
        }
    }
    for work in [CREATE_PLAIN, CREATE_IN_VAIN, TERMINATE, UPDATE_PLAN, RESTORE_SOFTLY] {
        kept(&work, kill_points(&work, &limits().with_faults(2)).await);
        kept(&work, interleave(&work, &Interleaving::switches(2).alike().settling(), &limits()).await);
    }
}

/// The same work, where the service finishes its jobs between two passes.
struct Finishing(Work);

impl Scenario for Finishing {
    type World = World;
    type Agent = (OrderProcessor, World);
    type Verdict = Verdict;

    fn world(&self) -> World {
        self.0.world()
    }
    fn start(&self, world: &World, life: &Life) -> Self::Agent {
        (self.0.start(world, life), world.clone())
    }
    async fn cycle(&self, (processor, world): &mut Self::Agent) -> Cycle {
        let cycle = self.0.cycle(processor).await;
        world.service.jobs().iter().for_each(|handle| world.service.finish_job(handle));
        cycle
    }
    fn verdict(&self, world: &World) -> Verdict {
        self.0.verdict(world)
    }
}
