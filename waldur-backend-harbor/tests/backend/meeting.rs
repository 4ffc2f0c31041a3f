//! Two resources whose names come to one, made by two processes at once, in every order of their requests (harbor.md §5.1).

use std::sync::{Arc, Mutex};

use serde_json::json;
use waldur_backend_harbor::{HarborBackend, testing::SeedProject};
use waldur_sdk::{
    ErrorClass, Result,
    backend::{CreateRequest, Created},
    testing::{Bounds, Cycle, Interleaving, Life, Scenario, interleave},
};

use crate::{
    common::{GIB, Gate, NAME, STAMP, backend_with, create, environment, request, storage},
    creation::{assert_one_has_it, rival},
};

/// Two creations of one name.
struct Meeting {
    /// The first of the two is a second attempt: its process died when the project was made, and nothing else.
    again: bool,
}

#[derive(Clone)]
struct World {
    gate: Gate,
    outcomes: Arc<Mutex<[Option<Result<Created>>; 2]>>,
}

struct Process {
    backend: HarborBackend,
    request: CreateRequest,
    number: usize,
    world: World,
}

impl Scenario for Meeting {
    type World = World;
    type Agent = Process;
    /// Who has the project, where that does not depend on who came first.
    type Verdict = Option<usize>;

    fn world(&self) -> World {
        let gate = Gate::new();
        if self.again {
            gate.fake.add_project(SeedProject::new(NAME).quota(20 * GIB).auto_scan(STAMP)).unwrap();
        }
        World { gate, outcomes: Arc::default() }
    }

    fn start(&self, world: &World, life: &Life) -> Process {
        let backend = backend_with(life.around(world.gate.clone()), &world.gate.fake, json!({}));
        let number = life.agent();
        let request = if number == 0 { request(storage(20)) } else { rival(storage(5)) };
        Process { backend, request, number, world: world.clone() }
    }

    async fn cycle(&self, process: &mut Process) -> Cycle {
        let outcome = create(&process.backend, &process.request).await;
        let is_over = outcome.as_ref().map_or_else(|error| error.class() == ErrorClass::Foreign, |_| true);
        process.world.outcomes.lock().unwrap()[process.number] = Some(outcome);
        if is_over { Cycle::Idle } else { Cycle::Busy }
    }

    fn verdict(&self, world: &World) -> Option<usize> {
        let outcomes = world.outcomes.lock().unwrap();
        let [Some(first), Some(second)] = &*outcomes else { panic!("{outcomes:?}") };
        let winner = assert_one_has_it(&world.gate, [first, second], "met");
        self.again.then_some(winner)
    }
}

#[tokio::test(start_paused = true)]
async fn h13_whoever_made_a_project_has_it_in_whatever_order_two_creations_meet() {
    let bounds = Bounds::default().with_environment(environment());
    for again in [false, true] {
        let meeting = Meeting { again };
        let met = interleave(&meeting, &Interleaving::switches(1), &bounds).await.unwrap();
        assert!(met.schedules >= 20, "{met:?}");
        interleave(&meeting, &Interleaving::random(11, 20).split(), &bounds).await.unwrap();
    }
}
