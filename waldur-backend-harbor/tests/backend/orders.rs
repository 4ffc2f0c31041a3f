//! The order processor over Harbor: what one order costs, and what is left when processes die, futures are dropped and
//! agents meet.

use std::sync::Arc;

use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, Image, SeedProject};
use waldur_sdk::{
    backend::OpContext,
    client::WaldurClient,
    process::{OrderOutcome, OrderProcessor, OrderReport, ServedOffering},
    rest::{Http, HttpTransport},
    testing::{
        Bounds, Counting, Cycle, Interleaving, Life, Scenario, drop_points, interleave, kill_points,
        waldur::{Billing, FakeWaldur, Generation, OrderState, ResourceState},
    },
    types::{OfferingUuid, OrderUuid, ResourceUuid},
};

use crate::{
    common::{GIB, OTHER_STAMP, backend_with, components, environment, now, pass_time},
    membership::sync,
};

const NAME: &str = "waldur-images";
const GROUP: &str = "waldur-team";
const GROUP_NOTE: &str = "waldur-group-waldur-team";

/// A Waldur that sells, a Harbor that holds, and one order.
struct World {
    waldur: FakeWaldur,
    harbor: FakeHarbor,
    offering: OfferingUuid,
    order: OrderUuid,
    resource: ResourceUuid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Create,
    CreateOnAnOldServer,
    UpdateLimits,
    Terminate,
    /// With two repositories, and leave to delete them.
    TerminateFull,
    Restore,
    /// Of what is scaled down.
    RestoreSmall,
    /// The name is a stranger's.
    Foreign,
}

const ALL: [Work; 7] = [
    Work::Create,
    Work::CreateOnAnOldServer,
    Work::UpdateLimits,
    Work::Terminate,
    Work::TerminateFull,
    Work::Restore,
    Work::Foreign,
];

impl Work {
    /// The quota in the end; `None` when there is to be no project.
    fn expected(self) -> Option<i64> {
        match self {
            Self::Create | Self::CreateOnAnOldServer | Self::Restore | Self::RestoreSmall => Some(20 * GIB),
            Self::UpdateLimits => Some(5 * GIB),
            Self::Terminate | Self::TerminateFull => None,
            Self::Foreign => Some(3 * GIB),
        }
    }

    fn new_world(self) -> World {
        let old = self == Self::CreateOnAnOldServer;
        let waldur = FakeWaldur::new(if old { Generation::V2024 } else { Generation::V8 });
        let offering = waldur.offering().component("storage", Billing::Limit).create();
        let project = waldur.project("Team").slug("team").create();
        // No tick between the halves of a change of a quota: whoever is killed there has changed nothing.
        let harbor = FakeHarbor::builder().clock(now).quota_overlap(false);
        // As harbors are about to be, where it matters what is absent.
        let strict = matches!(self, Self::Terminate | Self::TerminateFull | Self::Restore);
        let harbor = harbor.configure(|settings| settings.head_needs_right = strict).build();
        let limits = [("storage", 20_u32)];
        let existing = || {
            let seed = waldur.resource(offering).name("Images").slug("images").backend_id(NAME).project(project);
            seed.limits(limits).create()
        };
        let made = |resource: ResourceUuid| {
            let stamp = format!("waldur-resource-{}", resource.hex());
            SeedProject::new(NAME).quota(20 * GIB).group(GROUP, 2).tolerates(&stamp).tolerates(GROUP_NOTE)
        };
        let order = match self {
            Self::Create | Self::CreateOnAnOldServer | Self::Foreign => {
                let seed = waldur.order(offering).create_resource("Images").project(project).limits(limits);
                seed.resource(|resource| resource.slug("images")).pending()
            }
            Self::UpdateLimits => {
                let resource = existing();
                harbor.add_project(made(resource)).unwrap();
                waldur.order_on(resource).update_limits([("storage", 5_u32)]).pending()
            }
            Self::Terminate | Self::TerminateFull => {
                let resource = existing();
                let mut seed = made(resource);
                if self == Self::TerminateFull {
                    for repository in ["a/b", "c"] {
                        seed = seed.image(repository, Image::new("v1").layer(repository, 5));
                    }
                }
                harbor.add_project(seed).unwrap();
                waldur.order_on(resource).terminate().pending()
            }
            // Gone, and Waldur has its number still: it is made anew under its id.
            Self::Restore => {
                let resource = existing();
                let before = harbor.add_project(made(resource)).unwrap().id;
                harbor.remove_project(NAME);
                let metadata = json!({ "harbor_project_id": before, "oidc_group": GROUP });
                waldur.change_resource(resource, |seed| seed.backend_metadata(metadata));
                waldur.order_on(resource).restore().pending()
            }
            Self::RestoreSmall => {
                let resource = existing();
                harbor.add_project(made(resource).quota(GIB).tolerates("waldur-downscaled")).unwrap();
                waldur.order_on(resource).restore().pending()
            }
        };
        let resource = waldur.order_view(order).resource;
        if self == Self::Foreign {
            let stranger = SeedProject::new(NAME).quota(3 * GIB).group("strangers", 1).tolerates(OTHER_STAMP);
            harbor.add_project(stranger).unwrap();
        }
        World { waldur, harbor, offering, order, resource }
    }
}

fn processor(world: &World, waldur: impl HttpTransport, harbor: impl HttpTransport, work: Work) -> OrderProcessor {
    let client = WaldurClient::builder(world.waldur.base_url())
        .token(world.waldur.token())
        .http(Http::new(waldur).with_environment(environment()))
        .build()
        .unwrap();
    let more = json!({ "force_delete_repositories": work == Work::TerminateFull });
    let backend = backend_with(harbor, &world.harbor, more);
    ServedOffering::new(client, Arc::new(backend), world.offering).with_components(components()).orders()
}

/// What must not depend on faults.
#[derive(Debug, PartialEq)]
struct Verdict {
    order: (OrderState, String),
    resource: (ResourceState, String, String),
    projects: Vec<String>,
    groups: Vec<String>,
}

/// Name, quota, groups, stamps, repositories of all projects.
fn shown(harbor: &FakeHarbor) -> Vec<String> {
    let show = |name: String| {
        let project = harbor.project(&name).unwrap();
        format!(
            "{name} {:?} {:?} {:?} {:?}",
            project.quota.map(|quota| quota.hard),
            project.groups(),
            project.allowlist,
            project.repositories
        )
    };
    harbor.projects().into_iter().map(show).collect()
}

impl Scenario for Work {
    type World = World;
    type Agent = OrderProcessor;
    type Verdict = Verdict;

    fn world(&self) -> World {
        self.new_world()
    }

    fn start(&self, world: &World, life: &Life) -> OrderProcessor {
        processor(world, life.around(world.waldur.clone()), life.around(world.harbor.clone()), *self)
    }

    async fn cycle(&self, agent: &mut OrderProcessor) -> Cycle {
        match agent.run_once(&OpContext::new("sweep")).await {
            Ok(report) if report.orders.is_empty() && report.is_clean() => Cycle::Idle,
            _ => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &World) -> Verdict {
        assert!(world.harbor.unmodelled().is_empty() && world.waldur.unserved().is_empty());
        assert_eq!((world.harbor.refused_logins(), world.harbor.requests_with_cookie()), (0, 0));
        let (order, resource) = (world.waldur.order_view(world.order), world.waldur.resource_view(world.resource));
        let known: &[&str] = if resource.state == ResourceState::Terminated { &[] } else { &[NAME] };
        assert!(world.harbor.orphans(known).is_empty());
        Verdict {
            order: (order.state, order.error_message),
            resource: (resource.state, resource.backend_id, format!("{:?}", resource.limits)),
            projects: shown(&world.harbor),
            groups: world.harbor.groups().into_iter().map(|group| group.name).collect(),
        }
    }
}

/// No fake keeps anything of a read.
fn bounds() -> Bounds {
    Bounds::default().with_environment(environment()).around_writes()
}

/// One pass of one agent.
async fn pass(work: Work, world: &World) -> OrderReport {
    let agent = processor(world, world.waldur.clone(), world.harbor.clone(), work);
    let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
    report.orders.into_iter().next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_order_on_a_registry_comes_to_the_end_it_should() {
    for work in ALL {
        let world = work.world();
        let outcome = pass(work, &world).await.outcome;
        let seen = work.verdict(&world);
        let hard = world.harbor.quota_of(NAME).map(|quota| quota.hard);
        assert_eq!(hard, work.expected(), "{work:?}: {seen:?}");
        if work == Work::Foreign {
            assert!(matches!(outcome, OrderOutcome::Erred(_)), "{outcome}");
            assert_eq!(world.harbor.project(NAME).unwrap().groups(), [("strangers", 1)]);
            assert_eq!(seen.resource.1, "", "a stranger's name is released");
        } else {
            assert!(matches!(outcome, OrderOutcome::Done), "{work:?}: {outcome}");
        }
        if work.expected() == Some(20 * GIB) {
            assert_eq!(world.harbor.roles_by_claim(NAME, &[GROUP]), [2], "{work:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn h01_what_waldur_is_told_of_a_new_project() {
    let world = Work::Create.world();
    pass(Work::Create, &world).await;
    let resource = world.waldur.resource_view(world.resource);
    assert_eq!(resource.backend_id, NAME);
    let metadata = &resource.backend_metadata;
    let id = world.harbor.project(NAME).unwrap().id;
    assert_eq!((&metadata["harbor_project_id"], &metadata["oidc_group"]), (&json!(id), &json!(GROUP)));
    assert_eq!(resource.endpoints[0].url, format!("http://localhost:8080/harbor/projects/{id}"));
    assert_eq!(json!(resource.limits), json!({ "storage": 20 }));
}

#[tokio::test(start_paused = true)]
async fn h13_an_order_whose_name_is_a_strangers_fails_with_a_word_to_the_customer() {
    let world = Work::Foreign.world();
    let report = pass(Work::Foreign, &world).await;
    let OrderOutcome::Erred(error) = &report.outcome else { panic!("{}", report.outcome) };
    assert!(error.customer_message().is_some(), "{error}");
    let told = world.waldur.order_view(world.order).error_message;
    assert!(told.contains("already exist") && !told.contains("strangers"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn h13_an_order_that_is_refused_opens_no_strangers_project() {
    let waldur = FakeWaldur::new(Generation::V8);
    let offering = waldur.offering().component("storage", Billing::Limit).create();
    let project = waldur.project("Team").slug("team").create();
    let order = waldur.order(offering).create_resource("Images").project(project).limits([("storage", 2_000_000_u32)]);
    let order = order.resource(|resource| resource.slug("images")).pending();
    let resource = waldur.order_view(order).resource;
    let world = World { waldur, harbor: FakeHarbor::builder().clock(now).build(), offering, order, resource };
    world.harbor.add_project(SeedProject::new(NAME).quota(3 * GIB).group("strangers", 1).used(5)).unwrap();
    let before = world.harbor.project(NAME);
    let report = pass(Work::Create, &world).await;
    assert!(matches!(report.outcome, OrderOutcome::Erred(_)), "{}", report.outcome);
    assert_eq!(world.waldur.resource_view(resource).backend_id, "");
    for _pass in 0..2 {
        pass_time(std::time::Duration::from_secs(70 * 60)).await;
        let backend = backend_with(world.harbor.clone(), &world.harbor, json!({}));
        sync(&world.waldur, world.waldur.clone(), backend, offering).run_once(&OpContext::new("pass")).await.unwrap();
    }
    assert_eq!(world.harbor.project(NAME), before);
}

#[tokio::test(start_paused = true)]
async fn h23_an_order_to_delete_what_is_full_fails() {
    let world = Work::TerminateFull.world();
    let report = pass(Work::Terminate, &world).await;
    assert!(matches!(report.outcome, OrderOutcome::Erred(_)), "{}", report.outcome);
    let told = world.waldur.order_view(world.order).error_message;
    assert!(told.contains("still contains 2 repositories"), "{told}");
    assert_eq!(world.harbor.repositories_of(NAME).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_order_for_less_than_is_stored_is_done_with_a_warning() {
    for (gib, warnings) in [(3, 0), (9, 1)] {
        let world = Work::UpdateLimits.world();
        world.harbor.push(NAME, "data", Image::new("v1").layer("data", gib << 30)).unwrap();
        let report = pass(Work::UpdateLimits, &world).await;
        assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
        assert_eq!(world.harbor.quota_of(NAME).unwrap().hard, 5 * GIB);
        let told: Vec<_> = report.warnings.iter().map(|warning| (warning.step, warning.error.to_string())).collect();
        assert_eq!(told.len(), warnings, "{told:?}");
        assert!(told.iter().all(|(step, text)| *step == "limits" && text.contains("9663676416 bytes")), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn h27_without_a_back_end_id_there_is_nothing_to_delete() {
    let waldur = FakeWaldur::new(Generation::V8);
    let offering = waldur.offering().component("storage", Billing::Limit).create();
    let resource = waldur.resource(offering).name("Images").slug("images").create();
    let order = waldur.order_on(resource).terminate().pending();
    let world = World { waldur, harbor: FakeHarbor::builder().clock(now).build(), offering, order, resource };
    let report = pass(Work::Terminate, &world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    assert!(world.harbor.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn h29_a_restore_order_scales_up_what_was_scaled_down() {
    let world = Work::UpdateLimits.world();
    world.waldur.set_order_state(world.order, OrderState::Done);
    world.harbor.set_quota(NAME, GIB);
    let stamp = format!("waldur-resource-{}", world.resource.hex());
    world.harbor.set_allowlist(NAME, &[&stamp, "waldur-downscaled", GROUP_NOTE]);
    let order = world.waldur.order_on(world.resource).restore().pending();
    let world = World { order, ..world };
    let report = pass(Work::Restore, &world).await;
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}", report.outcome);
    assert_eq!(world.harbor.quota_of(NAME).unwrap().hard, 20 * GIB);
    assert_eq!(world.harbor.project(NAME).unwrap().allowlist, [stamp.as_str(), GROUP_NOTE]);
}

#[tokio::test(start_paused = true)]
async fn a_new_project_takes_seven_round_trips_after_the_listing_and_an_idle_run_writes_nothing() {
    for group_exists in [true, false] {
        for work in [Work::Create, Work::CreateOnAnOldServer] {
            let world = work.world();
            if group_exists {
                world.harbor.add_group(GROUP, 3).unwrap();
            }
            let waldur = Counting::new(world.waldur.clone());
            let agent = processor(&world, waldur.clone(), waldur.around(world.harbor.clone()), work);
            let report = agent.run_once(&OpContext::new("orders")).await.unwrap();
            assert!(matches!(report.orders.first().unwrap().outcome, OrderOutcome::Done), "{report:?}");
            let counts = waldur.counts();
            assert_eq!(counts.depth, 8, "the listing and seven more\n{counts}");
            let harbor: u64 = world.harbor.requests().values().sum();
            assert_eq!(harbor, if group_exists { 6 } else { 7 }, "{counts}");
            waldur.reset();
            assert!(agent.run_once(&OpContext::new("idle")).await.unwrap().orders.is_empty());
            let idle = waldur.counts();
            assert_eq!((idle.writes, idle.depth), (0, 1), "{idle}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_survives_the_death_of_its_process_anywhere() {
    for work in ALL.into_iter().chain([Work::RestoreSmall]) {
        let sweep = kill_points(&work, &bounds()).await.unwrap();
        assert!(sweep.points >= 3, "{work:?}: {} points", sweep.points);
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_survives_a_dropped_future_anywhere() {
    for work in ALL {
        drop_points(&work, &bounds()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_agents_leave_of_a_registry_what_one_would() {
    for work in ALL {
        interleave(&work, &Interleaving::random(7, 10), &bounds()).await.unwrap();
        // Waldur's age makes no difference to the registry.
        if work != Work::CreateOnAnOldServer {
            let met = interleave(&work, &Interleaving::switches(1).alike(), &bounds()).await.unwrap();
            assert!(met.schedules >= 5, "{work:?}: {} schedules", met.schedules);
        }
    }
}
