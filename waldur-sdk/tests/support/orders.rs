//! A world for the order processor: a Waldur, a back end, and agents that work on both, under tokio's paused clock.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "support of several test crates"
)]

pub mod exchanges;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use waldur_sdk::{
    Result,
    backend::{
        CreateRequest, Created, Evaluation, LimitChange, OpContext, OptionChange, Overridden, Override, PendingOrder,
        PlanChange, Progress, ProgressObserver, ResourceBackend, Step, Verified,
    },
    client::{AgentMode, WaldurClient},
    process::{OrderOutcome, OrderPolicy, OrderProcessor, OrderReport, OrderRunReport, ServedOffering},
    rest::{Environment, Http, HttpTransport, RequestMeta, RetryPolicy, TransportError},
    settings::{AccountingType, Component, Components},
    testing::{
        MemoryBackend, MemoryObject, MemoryService,
        waldur::{Billing, FakeWaldur, Generation, OfferingSeed, OrderSeed, OrderState, OrderView, ResourceView},
    },
    types::{Limits, OfferingUuid, OrderUuid, ResourceUuid, ServiceProviderUuid, UserUuid},
};

/// Both servers that the SDK serves.
pub const BOTH: [Generation; 2] = [Generation::V2024, Generation::V8];

/// The slug of the project that orders come from.
pub const PROJECT: &str = "example--1";

/// Sleep and clock of tokio, no jitter: every pause is as short as it can be.
pub fn environment() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}

/// A Waldur with one offering of two limited components, `cpu` and `mem`, and an empty service behind it.
#[derive(Clone, Debug)]
pub struct World {
    pub waldur: FakeWaldur,
    pub service: MemoryService,
    pub offering: OfferingUuid,
}

impl World {
    pub fn new(generation: Generation) -> Self {
        Self::selling(generation, |offering| offering)
    }

    /// With details of the offering.
    pub fn selling(generation: Generation, detail: impl FnOnce(OfferingSeed) -> OfferingSeed) -> Self {
        Self::on(exchanges::fake_waldur(generation), detail)
    }

    /// On a Waldur of the test's own: one that will say what no server says, and is not held against a contract.
    pub fn on(waldur: FakeWaldur, detail: impl FnOnce(OfferingSeed) -> OfferingSeed) -> Self {
        let offering =
            waldur.offering().name("Storage").component("cpu", Billing::Limit).component("mem", Billing::Limit);
        let offering = detail(offering).create();
        Self { waldur, service: MemoryService::new(), offering }
    }

    /// An order of something new, whose slug is its name in lower case; 4 `cpu` and 8 `mem`.
    pub fn create(&self, name: &str) -> OrderSeed {
        let slug = name.to_lowercase();
        self.waldur
            .order(self.offering)
            .create_resource(name)
            .resource(|resource| resource.slug(slug))
            .limits([("cpu", 4), ("mem", 8)])
    }

    /// A resource in use, and its object: 4 `cpu` and 8 `mem` on both sides.
    pub fn existing(&self, id: &str) -> ResourceUuid {
        let resource = self
            .waldur
            .resource(self.offering)
            .name(id)
            .slug(id)
            .backend_id(id)
            .limits([("cpu", 4), ("mem", 8)])
            .create();
        self.service.put(id, self.object_of(resource, 4, 8));
        resource
    }

    /// What the service holds for a resource of the default project when all is well.
    #[allow(clippy::unused_self, reason = "reads as a sentence")]
    pub fn object_of(&self, resource: ResourceUuid, cpu: u64, mem: u64) -> MemoryObject {
        let mut object = MemoryObject::default();
        object.stamp = Some(resource);
        object.project = Some(PROJECT.to_owned());
        object.limits = [("cpu".to_owned(), Some(cpu)), ("mem".to_owned(), Some(mem))].into();
        "active".clone_into(&mut object.status);
        object
    }

    /// A member of the default project with a name at the offering.
    pub fn member(&self, name: &str) -> UserUuid {
        let user = self.waldur.user(name).project_role(self.waldur.default_project(), "PROJECT.MEMBER").create();
        self.waldur.offering_user(self.offering, user).username(format!("site-{name}")).create();
        user
    }

    pub fn order(&self, order: OrderUuid) -> OrderView {
        self.waldur.order_view(order)
    }

    pub fn state(&self, order: OrderUuid) -> OrderState {
        self.waldur.order_view(order).state
    }

    /// The resource of an order.
    pub fn resource(&self, order: OrderUuid) -> ResourceView {
        self.waldur.resource_view(self.waldur.resource_of(order))
    }

    /// All orders, by their states.
    pub fn all_orders(&self) -> Vec<OrderUuid> {
        use OrderState as S;
        let states = [S::PendingConsumer, S::PendingProvider, S::PendingProject, S::PendingStartDate, S::Executing];
        let ended = [S::Done, S::Erred, S::Canceled, S::Rejected];
        states.into_iter().chain(ended).flat_map(|state| self.waldur.orders_in(state)).collect()
    }

    /// The object of an id, which must be there.
    #[track_caller]
    pub fn object(&self, id: &str) -> MemoryObject {
        self.service.object(id).unwrap_or_else(|| panic!("no object {id} among {:?}", self.ids()))
    }

    /// The ids of all objects.
    pub fn ids(&self) -> Vec<String> {
        self.service.objects().into_keys().collect()
    }

    /// The operations of all writes that Waldur saw, in order.
    pub fn writes(&self) -> Vec<&'static str> {
        self.waldur.writes().iter().map(|write| write.operation.unwrap_or("?")).collect()
    }

    /// How often Waldur saw an operation.
    pub fn count(&self, operation: &str) -> usize {
        self.waldur.requests().iter().filter(|request| request.operation == Some(operation)).count()
    }

    /// The body of the only request of an operation.
    #[track_caller]
    pub fn body(&self, operation: &str) -> Value {
        let mut bodies: Vec<_> = self
            .waldur
            .requests()
            .into_iter()
            .filter(|request| request.operation == Some(operation))
            .map(|request| request.body)
            .collect();
        assert_eq!(bodies.len(), 1, "{operation} among {:?}", self.writes());
        bodies.remove(0)
    }

    /// A client of this Waldur in the agent's name, over layers or none.
    pub fn client(&self, http: Http) -> WaldurClient {
        let builder = WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token());
        builder.agent_mode(AgentMode::OrderProcess).build().unwrap()
    }

    /// The service provider that the offering's customer is.
    pub async fn provider(&self) -> ServiceProviderUuid {
        let client = self.client(Http::new(self.waldur.clone()));
        let provider = client.service_providers().for_customer(self.waldur.provider()).await;
        provider.unwrap().expect("the customer sells").uuid
    }

    /// What no run may ever do, whatever happened in it.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert_eq!(self.waldur.unauthenticated_requests().len(), 0, "requests without credentials");
        assert_eq!(self.waldur.unserved(), Vec::<String>::new(), "calls that the fake does not know");
        assert_eq!(self.waldur.done_without_backend_id(), Vec::<OrderUuid>::new(), "done without an id");
    }

    /// An agent with everything at its default.
    pub fn agent(&self) -> Agent {
        Agent {
            world: self.clone(),
            waldur: Arc::new(self.waldur.clone()),
            service: Arc::new(self.service.clone()),
            memory: Box::new(|memory| memory),
            around: Box::new(|backend| backend),
            policy: OrderPolicy::default(),
            components: limited(["cpu", "mem"]),
            retry: RetryPolicy::default(),
            random: 0,
            provider: None,
            cx: OpContext::new("test"),
        }
    }
}

/// Components that are limited, with a factor of 1.
pub fn limited<const N: usize>(names: [&str; N]) -> Components {
    names.into_iter().map(|name| Component::new(name, AccountingType::Limit)).collect()
}

type Backend = Arc<dyn ResourceBackend>;

/// An agent under construction.
pub struct Agent {
    world: World,
    waldur: Arc<dyn HttpTransport>,
    service: Arc<dyn HttpTransport>,
    memory: Box<dyn FnOnce(MemoryBackend) -> MemoryBackend>,
    around: Box<dyn FnOnce(Backend) -> Backend>,
    policy: OrderPolicy,
    components: Components,
    retry: RetryPolicy,
    random: u64,
    provider: Option<ServiceProviderUuid>,
    cx: OpContext,
}

impl Agent {
    /// Reaches Waldur through layers.
    pub fn waldur(mut self, transport: impl HttpTransport) -> Self {
        self.waldur = Arc::new(transport);
        self
    }

    /// Reaches the service through layers.
    pub fn service(mut self, transport: impl HttpTransport) -> Self {
        self.service = Arc::new(transport);
        self
    }

    /// Details of the memory back end.
    pub fn memory(mut self, detail: impl FnOnce(MemoryBackend) -> MemoryBackend + 'static) -> Self {
        self.memory = Box::new(detail);
        self
    }

    /// Single methods of the back end replaced.
    pub fn overriding<O: Override>(self, wrap: impl FnOnce(Backend) -> O + 'static) -> Self {
        self.around(move |backend| Overridden(wrap(backend)))
    }

    /// Something around the back end, or in its place.
    pub fn around<B: ResourceBackend>(mut self, wrap: impl FnOnce(Backend) -> B + 'static) -> Self {
        let inner = self.around;
        self.around = Box::new(move |backend| Arc::new(wrap(inner(backend))));
        self
    }

    pub fn policy(mut self, change: impl FnOnce(&mut OrderPolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn components(mut self, components: Components) -> Self {
        self.components = components;
        self
    }

    /// Sends every request once, so that the processor's own repeats are seen alone.
    pub fn sending_once(mut self) -> Self {
        self.retry = RetryPolicy::none();
        self
    }

    pub fn service_provider(mut self, provider: ServiceProviderUuid) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Draws this for every jitter; `u64::MAX` makes every pause as long as it can be.
    pub fn jitter(mut self, random: u64) -> Self {
        self.random = random;
        self
    }

    pub fn cx(mut self, change: impl FnOnce(OpContext) -> OpContext) -> Self {
        self.cx = change(self.cx);
        self
    }

    pub fn context(&self) -> OpContext {
        self.cx.clone()
    }

    pub fn build(self) -> OrderProcessor {
        let random = self.random;
        let environment = environment().with_random(move || random);
        let http = Http::new(self.waldur).with_environment(environment.clone()).with_retry(self.retry.clone());
        let waldur = self.world.client(http);
        let http = Http::new(self.service).with_environment(environment).with_retry(self.retry);
        let memory = MemoryBackend::through(http).unwrap();
        let backend = (self.around)(Arc::new((self.memory)(memory)));
        let mut offering = ServedOffering::new(waldur, backend, self.world.offering).with_components(self.components);
        if let Some(provider) = self.provider {
            offering = offering.with_service_provider(provider);
        }
        offering.orders().with_policy(self.policy)
    }

    /// One pass.
    pub async fn run(self) -> OrderRunReport {
        let (world, cx) = (self.world.clone(), self.cx.clone());
        let report = self.build().run_once(&cx).await.expect("the orders can be listed");
        world.assert_sound();
        report
    }

    /// One pass over one order.
    pub async fn run_one(self) -> OrderReport {
        let mut report = self.run().await;
        assert_eq!(report.orders.len(), 1, "{report:#?}");
        report.orders.remove(0)
    }
}

/// The inner back end, but for what a test replaces. Remembers what it was asked.
#[derive(Clone)]
pub struct Doctored {
    inner: Backend,
    evaluate: fn(&PendingOrder) -> Result<Evaluation>,
    before_create: fn(&CreateRequest) -> Result<()>,
    asked: Asked,
}

/// What a [`Doctored`] back end was asked. Clones share it.
#[derive(Clone, Default)]
pub struct Asked {
    pub creations: Arc<Mutex<Vec<CreateRequest>>>,
    pub limits: Arc<Mutex<Vec<LimitChange>>>,
    pub plans: Arc<Mutex<Vec<PlanChange>>>,
    pub options: Arc<Mutex<Vec<OptionChange>>>,
}

impl Doctored {
    pub fn new(inner: Backend) -> Self {
        Self { inner, evaluate: |_| Ok(Evaluation::Accept), before_create: |_| Ok(()), asked: Asked::default() }
    }

    /// Decides like this.
    pub fn deciding(mut self, evaluate: fn(&PendingOrder) -> Result<Evaluation>) -> Self {
        self.evaluate = evaluate;
        self
    }

    /// Does this before each creation, and gives up if it fails.
    pub fn creating(mut self, before: fn(&CreateRequest) -> Result<()>) -> Self {
        self.before_create = before;
        self
    }

    /// Tells `asked`.
    pub fn telling(mut self, asked: &Asked) -> Self {
        self.asked = asked.clone();
        self
    }
}

#[async_trait]
impl Override for Doctored {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.asked.creations.lock().unwrap().push(request.clone());
        (self.before_create)(request)?;
        self.inner.create(cx, request).await
    }
    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        self.asked.limits.lock().unwrap().push(change.clone());
        self.inner.set_limits(cx, change).await
    }
    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        self.asked.options.lock().unwrap().push(change.clone());
        self.inner.update_options(cx, change).await
    }
    async fn update_plan(&self, cx: &OpContext, change: &PlanChange) -> Result<Progress<()>> {
        self.asked.plans.lock().unwrap().push(change.clone());
        self.inner.update_plan(cx, change).await
    }
    async fn evaluate(&self, _cx: &OpContext, order: &PendingOrder) -> Result<Evaluation> {
        (self.evaluate)(order)
    }
}

/// Lets something happen just before the first request of an operation is carried out.
pub struct OnRequest<T, F> {
    inner: T,
    operation: &'static str,
    event: Mutex<Option<F>>,
}

impl<T: HttpTransport, F: FnOnce() + Send + 'static> OnRequest<T, F> {
    pub fn new(inner: T, operation: &'static str, event: F) -> Self {
        Self { inner, operation, event: Mutex::new(Some(event)) }
    }
}

#[async_trait]
impl<T: HttpTransport, F: FnOnce() + Send + 'static> HttpTransport for OnRequest<T, F> {
    async fn send(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, TransportError> {
        if request.extensions().get::<RequestMeta>().is_some_and(|meta| meta.operation == self.operation) {
            let event = self.event.lock().unwrap().take();
            if let Some(event) = event {
                event();
            }
        }
        self.inner.send(request).await
    }
}

/// Changes the answers of an operation.
pub struct Edited<F>(pub FakeWaldur, pub &'static str, pub F);

#[async_trait]
impl<F: Fn(&mut Value) + Send + Sync + 'static> HttpTransport for Edited<F> {
    async fn send(&self, request: Request<Bytes>) -> std::result::Result<Response<Bytes>, TransportError> {
        let meant = request.extensions().get::<RequestMeta>().is_some_and(|meta| meta.operation == self.1);
        let answer = self.0.send(request).await?;
        if !meant {
            return Ok(answer);
        }
        Ok(answer.map(|body| {
            let mut value: Value = serde_json::from_slice(&body).unwrap();
            (self.2)(&mut value);
            value.to_string().into()
        }))
    }
}

/// Short words for tests.
pub trait Deliver {
    /// Brings the order as an event does.
    fn deliver(&self, order: OrderUuid) -> impl Future<Output = OrderReport>;
}

impl Deliver for OrderProcessor {
    async fn deliver(&self, order: OrderUuid) -> OrderReport {
        self.process_by_uuid(&OpContext::new("event"), order).await.expect("the order can be read")
    }
}

/// The error of an order that failed or waits.
#[track_caller]
pub fn error(report: &OrderReport) -> &waldur_sdk::Error {
    match &report.outcome {
        OrderOutcome::Deferred(error)
        | OrderOutcome::NeedsAttention(error)
        | OrderOutcome::Erred(error)
        | OrderOutcome::NotReported(error, _) => error,
        other => panic!("no error in {other}"),
    }
}

/// The steps of warnings.
pub fn warned(report: &OrderReport) -> Vec<&'static str> {
    report.warnings.iter().map(|warning| warning.step).collect()
}

#[track_caller]
pub fn assert_done(report: &OrderReport) {
    assert!(matches!(report.outcome, OrderOutcome::Done), "{}\n{report:#?}", report.outcome);
}

#[track_caller]
pub fn assert_deferred(report: &OrderReport) {
    assert!(matches!(report.outcome, OrderOutcome::Deferred(_)), "{}\n{report:#?}", report.outcome);
}

#[track_caller]
pub fn assert_erred(report: &OrderReport) {
    assert!(matches!(report.outcome, OrderOutcome::Erred(_)), "{}\n{report:#?}", report.outcome);
}

/// A map of limits as Waldur shows it.
pub fn limits(cpu: i64, mem: i64) -> serde_json::Map<String, Value> {
    [("cpu".to_owned(), json!(cpu)), ("mem".to_owned(), json!(mem))].into_iter().collect()
}

/// Remembers the steps that it was told of, with whose they are.
#[derive(Clone, Debug, Default)]
pub struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    pub fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl ProgressObserver for Steps {
    fn on_step(&self, step: &Step<'_>) {
        self.0.lock().unwrap().push(step.step.to_owned());
    }
}
