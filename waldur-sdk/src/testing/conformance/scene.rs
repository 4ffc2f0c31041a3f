//! One order, and the world that it is placed in.

use std::{
    fmt, result,
    sync::{Arc, Mutex, OnceLock},
};

use async_trait::async_trait;
use serde_json::{Number, Value};

use super::{Subject, Verdict};
use crate::{
    backend::{
        CreateRequest, Created, DeleteRequest, OpContext, Overridden, Override, Period, Progress, ResourceBackend,
        Status, Verified,
    },
    client::{AgentMode, WaldurClient},
    error::{ErrorClass, Result},
    process::{OrderProcessor, OrderRunReport, ServedOffering},
    rest::{Http, HttpTransport},
    settings::AccountingType,
    testing::{
        Cycle, Life, Scenario, lock,
        waldur::{Billing, FakeWaldur, Generation, OrderState, PlanSeed, ResourceState},
    },
    types::{BackendId, Date, Limit, Limits, OfferingUuid, OrderUuid, ResourceUuid},
};

/// What is ordered, and what the order meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Work {
    /// Something new.
    Create,
    /// The same on a Waldur of generation 2024.
    CreateOnAnOldServer,
    /// Something new, whose first name is on a stranger's object.
    CreateTaken,
    /// Other limits.
    UpdateLimits,
    /// Other options.
    UpdateOptions,
    /// The end.
    Terminate,
    /// The end of what has something in it.
    TerminateUsed,
    /// Back after its end.
    Restore,
    /// Back, where the object was only paused or scaled down.
    RestorePaused,
    /// Back after its end, where an object without a stamp has its name by now.
    RestoreUnmarked,
}

impl Work {
    /// All of it.
    pub const ALL: &[Self] = &[
        Self::Create,
        Self::CreateOnAnOldServer,
        Self::CreateTaken,
        Self::UpdateLimits,
        Self::UpdateOptions,
        Self::Terminate,
        Self::TerminateUsed,
        Self::Restore,
        Self::RestorePaused,
        Self::RestoreUnmarked,
    ];
}

/// One order as a [`Scenario`]: a Waldur that sells what the subject sells, a system of its own for every run, and the
/// order processor between them.
///
/// [`Scene::check`] is what [`orders`](super::orders()) does with each; a back end's own tests take it to put the order
/// under more than that.
pub struct Scene<'a, S> {
    pub(super) work: Work,
    fresh: Box<dyn Fn() -> S + 'a>,
    /// What the processor asks of a back end for a new resource: ids are the same in every world.
    asked: OnceLock<CreateRequest>,
}

/// A Waldur, a system, and one order that waits.
#[derive(Debug)]
#[non_exhaustive]
pub struct World<S> {
    /// Where it was ordered.
    pub waldur: FakeWaldur,
    /// Where it is carried out.
    pub subject: S,
    /// What is sold.
    pub offering: OfferingUuid,
    /// The order.
    pub order: OrderUuid,
    /// Its resource.
    pub resource: ResourceUuid,
    /// What the system held when all was ready.
    pub(super) before: Vec<String>,
    obstacle: Option<Verdict>,
}

/// One process.
#[derive(Debug)]
pub struct Agent {
    processor: result::Result<OrderProcessor, String>,
    life: Life,
}

/// What a world has come to, without anything that may honestly differ between two runs.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Seen {
    /// How the order is, and why it failed.
    pub order: (OrderState, String),
    /// How the resource is.
    pub state: ResourceState,
    /// Its name on the back end.
    pub backend_id: String,
    /// Its limits and options.
    pub terms: String,
    /// Its endpoints, name and URL.
    pub endpoints: Vec<String>,
    /// [`Subject::published`].
    pub published: String,
    /// [`Subject::shown`].
    pub system: Vec<String>,
    /// What no run may ever do.
    pub complaints: Vec<String>,
}

pub(super) const NO_WAY: &str = "the subject has no back end over a `Life`, or does not show what its system holds";

impl<'a, S: Subject> Scene<'a, S> {
    /// This work, on the systems that `fresh` makes: each empty, and with nothing in common.
    pub fn new(work: Work, fresh: impl Fn() -> S + 'a) -> Self {
        Self { work, fresh: Box::new(fresh), asked: OnceLock::new() }
    }

    /// A world in which the order waits.
    ///
    /// # Errors
    /// [`Verdict::Skipped`] when the subject cannot arrange it, [`Verdict::Failed`] when what comes before it went wrong.
    pub async fn ready(&self) -> result::Result<World<S>, Verdict> {
        let mut world = self.world();
        self.prepare(&mut world).await;
        match world.obstacle.take() {
            None => Ok(world),
            Some(obstacle) => Err(obstacle),
        }
    }

    /// A Waldur with an order of something new and a member of its project, and an empty system.
    fn selling(&self, generation: Generation) -> World<S> {
        let subject = (self.fresh)();
        let waldur = FakeWaldur::new(generation);
        let (components, mut offering) = (subject.components(), waldur.offering());
        let mut granted = Vec::new();
        for component in components.iter() {
            let (billing, name) = (billing(component.accounting_type), component.name.clone());
            offering = offering.component(&name, billing);
            granted.extend((billing != Billing::Limit).then_some(name));
        }
        // A plan grants what is not ordered; who changes options does not order that.
        let granting = |plan| granted.into_iter().fold(plan, |plan: PlanSeed, name| plan.quota(name, 1));
        let offering = offering.plan("small", granting).create();
        let project = waldur.default_project();
        let member = waldur.user("ann").project_role(project, "PROJECT.MEMBER").create();
        waldur.offering_user(offering, member).username("site-ann").create();
        let seed = waldur.order(offering).create_resource("Resource").resource(|resource| resource.slug("res"));
        let order = seed.limits(ordered(&subject, &subject.limits())).pending();
        let resource = waldur.resource_of(order);
        World { waldur, subject, offering, order, resource, before: Vec::new(), obstacle: None }
    }

    /// Brings everything to where the order is placed, and places it.
    async fn arrange(&self, world: &mut World<S>) -> result::Result<(), Verdict> {
        let made = match self.work {
            Work::Create | Work::CreateOnAnOldServer => return Ok(()),
            Work::CreateTaken => return planted(&world.subject, &self.asked().await?.backend_id, true).await,
            _ => self.asked().await?,
        };
        let id = &made.backend_id;
        world.make(&made).await?;
        match self.work {
            Work::UpdateLimits if world.subject.reported().is_empty() => return cannot("no limits are reported"),
            Work::UpdateOptions if world.subject.options().is_empty() => return cannot("no options are carried out"),
            Work::TerminateUsed if !world.subject.use_up(id, Period::containing(TODAY)).await => {
                return cannot("the subject cannot use anything up");
            }
            Work::RestorePaused => paused(&*world.subject.backend(), &made).await?,
            Work::Restore => world.unmake(&made).await?,
            Work::RestoreUnmarked => {
                world.unmake(&made).await?;
                planted(&world.subject, id, false).await?;
            }
            _ => {}
        }
        world.order = match self.work {
            Work::UpdateLimits => {
                let limits = ordered(&world.subject, &world.subject.other_limits());
                world.waldur.order_on(world.resource).update_limits(limits).pending()
            }
            Work::UpdateOptions => {
                let options = serde_json::to_value(world.subject.options()).unwrap_or_default();
                world.waldur.order_on(world.resource).update_options(&options).pending()
            }
            Work::Restore | Work::RestorePaused | Work::RestoreUnmarked => {
                world.waldur.change_resource(world.resource, |row| row.state(ResourceState::Terminated));
                world.waldur.order_on(world.resource).restore().pending()
            }
            _ => world.waldur.order_on(world.resource).terminate().pending(),
        };
        Ok(())
    }

    /// What the processor asks of a back end for the new resource.
    pub(super) async fn asked(&self) -> result::Result<CreateRequest, Verdict> {
        if let Some(asked) = self.asked.get() {
            return Ok(asked.clone());
        }
        let (world, heard) = (self.selling(Generation::V8), Arc::<Mutex<Option<CreateRequest>>>::default());
        let inner = world.subject.backend();
        let listening = Arc::new(Overridden(Listening { inner, heard: Arc::clone(&heard) }));
        let outcome = match world.processor(world.waldur.clone(), listening) {
            Ok(agent) => Box::pin(agent.run_once(&OpContext::new("orders"))).await.map(drop),
            Err(error) => Err(error),
        };
        let heard = lock(&heard).take();
        match (outcome, heard) {
            (Ok(()), Some(asked)) if world.waldur.order_view(world.order).state == OrderState::Done => {
                Ok(self.asked.get_or_init(|| asked).clone())
            }
            (Err(error), _) => Err(Verdict::Failed(format!("the order that makes it: {error}"))),
            _ => {
                let order = world.waldur.order_view(world.order);
                let (state, why) = (order.state.as_str(), order.error_message);
                Err(Verdict::Failed(format!("the order that makes it came to {state}: {why}")))
            }
        }
    }
}

/// Hears what is asked for.
struct Listening {
    inner: Arc<dyn ResourceBackend>,
    heard: Arc<Mutex<Option<CreateRequest>>>,
}

#[async_trait]
impl Override for Listening {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        *lock(&self.heard) = Some(request.clone());
        self.inner.create(cx, request).await
    }
}

/// A month in which things are used up.
const TODAY: Date = Date::constant(2026, 11, 22);

impl<S: Subject> World<S> {
    /// The order processor over a way to this Waldur and a back end.
    ///
    /// # Errors
    /// Never in practice.
    pub fn processor(&self, waldur: impl HttpTransport, backend: Arc<dyn ResourceBackend>) -> Result<OrderProcessor> {
        let http = Http::new(waldur).with_environment(self.subject.environment());
        let client = WaldurClient::builder(self.waldur.base_url()).token(self.waldur.token()).http(http);
        let client = client.agent_mode(AgentMode::OrderProcess).build()?;
        let served = ServedOffering::new(client, backend, self.offering);
        Ok(served.with_components(self.subject.components()).orders())
    }

    /// One pass of one agent that nothing happens to.
    ///
    /// # Errors
    /// When the orders could not be listed.
    pub async fn pass(&self) -> Result<OrderRunReport> {
        let agent = self.processor(self.waldur.clone(), self.subject.backend())?;
        Box::pin(agent.run_once(&OpContext::new("orders"))).await
    }

    /// What it has come to.
    pub fn seen(&self) -> Seen {
        let (order, resource) = (self.waldur.order_view(self.order), self.waldur.resource_view(self.resource));
        let unserved = self.waldur.unserved().into_iter().map(|call| format!("not served: {call}"));
        let strangers = self.waldur.unauthenticated_requests().into_iter().map(|call| format!("no login: {call:?}"));
        let nameless = self.waldur.done_without_backend_id().into_iter().map(|order| format!("no id: {order}"));
        Seen {
            order: (order.state, order.error_message),
            state: resource.state,
            backend_id: resource.backend_id,
            terms: format!("{} {}", Value::Object(resource.limits), resource.options),
            endpoints: resource.endpoints.iter().map(|shown| format!("{} {}", shown.name, shown.url)).collect(),
            published: self.subject.published(&resource.backend_metadata),
            system: self.subject.shown().unwrap_or_default(),
            complaints: unserved.chain(strangers).chain(nameless).collect(),
        }
    }

    /// Passes until nothing is left to do; `false` when that does not come.
    pub(super) async fn to_rest(&self) -> Result<bool> {
        let agent = self.processor(self.waldur.clone(), self.subject.backend())?;
        for _pass in 0..20 {
            if pass(&agent).await == Cycle::Idle {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the resource on both sides, as a creation leaves it.
    async fn make(&self, asked: &CreateRequest) -> result::Result<(), Verdict> {
        let created = match self.subject.backend().create(&OpContext::new("arrange"), asked).await {
            Ok(Progress::Done(created)) => created.into_inner(),
            Ok(Progress::Pending { .. }) => return cannot("a creation goes on after its call"),
            Err(error) => return Err(Verdict::Failed(format!("the creation before it: {error}"))),
        };
        self.waldur.set_order_state(self.order, OrderState::Done);
        self.waldur.change_resource(self.resource, |row| {
            let metadata = serde_json::to_value(&created.metadata).unwrap_or_default();
            let row = row.state(ResourceState::Ok).backend_id(asked.backend_id.as_str()).backend_metadata(metadata);
            created.endpoints.into_iter().fold(row, |row, endpoint| row.endpoint(endpoint.name, endpoint.url))
        });
        Ok(())
    }

    /// Ends it on the back end.
    async fn unmake(&self, asked: &CreateRequest) -> result::Result<(), Verdict> {
        let request = DeleteRequest::new(asked.order, asked.resource.clone(), asked.backend_id.clone());
        match self.subject.backend().delete(&OpContext::new("arrange"), &request).await {
            Ok(Progress::Done(_)) => Ok(()),
            Ok(Progress::Pending { .. }) => cannot("a removal goes on after its call"),
            Err(error) => Err(Verdict::Failed(format!("the removal before it: {error}"))),
        }
    }
}

fn billing(accounting: AccountingType) -> Billing {
    match accounting {
        AccountingType::Usage => Billing::Usage,
        AccountingType::Limit => Billing::Limit,
        AccountingType::One => Billing::One,
        AccountingType::Fixed => Billing::Fixed,
    }
}

/// Limits as Waldur sends them, without those that nobody orders.
fn ordered(subject: &dyn Subject, limits: &Limits) -> Vec<(String, Value)> {
    let components = subject.components();
    let by_limit =
        |name: &str| components.get(name).is_some_and(|found| found.accounting_type == AccountingType::Limit);
    let number = |limit: &Limit| limit.to_waldur().to_string().parse::<Number>().map(Value::Number);
    let ordered = limits.iter().filter(|(name, _)| by_limit(name));
    ordered.map(|(name, limit)| (name.clone(), number(limit).unwrap_or_default())).collect()
}

fn cannot<T>(why: &'static str) -> result::Result<T, Verdict> {
    Err(Verdict::Skipped(why))
}

async fn planted(subject: &dyn Subject, id: &BackendId, stamped: bool) -> result::Result<(), Verdict> {
    if subject.plant(id, stamped).await { Ok(()) } else { cannot(super::checks::NO_PLANT) }
}

/// Pauses it, or scales it down where that is what there is.
async fn paused(backend: &dyn ResourceBackend, made: &CreateRequest) -> result::Result<(), Verdict> {
    let Some(control) = backend.status() else { return cannot("no status") };
    for status in [Status::Paused, Status::Downscaled] {
        match control.set_status(&OpContext::new("arrange"), &made.resource, &made.backend_id, status).await {
            Ok(()) => return Ok(()),
            Err(error) if error.class() == ErrorClass::Unsupported => {}
            Err(error) => return Err(Verdict::Failed(format!("the pause before it: {error}"))),
        }
    }
    cannot("nothing here can be paused or scaled down")
}

async fn pass(agent: &OrderProcessor) -> Cycle {
    match Box::pin(agent.run_once(&OpContext::new("sweep"))).await {
        Ok(report) if report.orders.is_empty() && report.is_clean() => Cycle::Idle,
        _ => Cycle::Busy,
    }
}

impl<S: Subject> Scenario for Scene<'_, S> {
    type World = World<S>;
    type Agent = Agent;
    type Verdict = Seen;

    fn world(&self) -> World<S> {
        let old = self.work == Work::CreateOnAnOldServer;
        self.selling(if old { Generation::V2024 } else { Generation::V8 })
    }

    async fn prepare(&self, world: &mut World<S>) {
        world.obstacle = Box::pin(self.arrange(world)).await.err();
        world.before = world.subject.shown().unwrap_or_default();
    }

    fn start(&self, world: &World<S>, life: &Life) -> Agent {
        let processor = match (&world.obstacle, world.subject.backend_over(life)) {
            (Some(Verdict::Failed(why)), _) => Err(why.clone()),
            (Some(Verdict::Skipped(why)), _) => Err((*why).to_owned()),
            (_, Some(backend)) if world.subject.shown().is_some() => {
                let agent = world.processor(life.around(world.waldur.clone()), backend);
                agent.map_err(|error| error.to_string())
            }
            _ => Err(NO_WAY.to_owned()),
        };
        Agent { processor, life: life.clone() }
    }

    async fn cycle(&self, agent: &mut Agent) -> Cycle {
        match &agent.processor {
            Ok(processor) => pass(processor).await,
            // Never idle, so that a sweep over what cannot be arranged ends with this in its story.
            Err(why) => {
                agent.life.step(why).await;
                Cycle::Busy
            }
        }
    }

    fn verdict(&self, world: &World<S>) -> Seen {
        world.seen()
    }
}

impl<S> fmt::Debug for Scene<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene").field("work", &self.work).finish_non_exhaustive()
    }
}
