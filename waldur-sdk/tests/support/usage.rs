//! A world for the usage reporter: a Waldur, a service that counts, and reporters between both, under tokio's paused
//! clock.

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

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
};

use jiff::{SignedDuration, civil::Date};
use serde_json::Value;
use tokio::time::Instant;
use waldur_sdk::{
    backend::{Capabilities, OpContext, Period, ResourceBackend},
    client::{AgentMode, WaldurClient},
    process::{PeriodUsageReport, ServedOffering, UsageOutcome, UsagePolicy, UsageReporter, UsageRunReport},
    rest::{Environment, Http, HttpTransport, RetryPolicy},
    settings::Components,
    testing::{
        MemoryBackend, MemoryObject, MemoryService,
        waldur::{Billing, FakeWaldur, Generation, OfferingSeed},
    },
    types::{Decimal, OfferingUuid, ResourceUuid, Timestamp, UserUuid},
};

/// Both servers that the SDK serves.
pub const BOTH: [Generation; 2] = [Generation::V2024, Generation::V8];

/// The month in which worlds begin, on its 22nd day.
pub const NOVEMBER: &str = "2026-11";
pub const OCTOBER: &str = "2026-10";

/// A clock that both sides look at: a date that a test sets, and the virtual time since.
#[derive(Clone)]
pub struct Clock(Arc<Mutex<(Timestamp, Instant)>>);

impl Clock {
    pub fn at(instant: &str) -> Self {
        Self(Arc::new(Mutex::new((instant.parse().unwrap(), Instant::now()))))
    }

    pub fn set(&self, instant: &str) {
        *self.0.lock().unwrap() = (instant.parse().unwrap(), Instant::now());
    }

    pub fn now(&self) -> Timestamp {
        let (date, since) = *self.0.lock().unwrap();
        date.checked_add(SignedDuration::try_from(since.elapsed()).unwrap()).unwrap()
    }
}

/// A Waldur that sells `cpu` by usage, `mem` by limit, `node` at a fixed price and `setup` once, and a service.
#[derive(Clone)]
pub struct World {
    pub waldur: FakeWaldur,
    pub service: MemoryService,
    pub offering: OfferingUuid,
    pub clock: Clock,
}

impl World {
    pub fn new(generation: Generation) -> Self {
        Self::selling(generation, |offering| offering)
    }

    /// With details of the offering.
    pub fn selling(generation: Generation, detail: impl FnOnce(OfferingSeed) -> OfferingSeed) -> Self {
        let clock = Clock::at("2026-11-22T10:00:00Z");
        let wall = clock.clone();
        let waldur = exchanges::fake_waldur(generation).with_wall(move || wall.now());
        let offering = waldur.offering().name("Cluster").component("cpu", Billing::Usage);
        let offering = offering.component("mem", Billing::Limit).component("node", Billing::Fixed);
        let offering = offering.component("setup", Billing::One).plan("Small", |plan| plan).plan("Large", |plan| plan);
        let offering = detail(offering).create();
        Self { waldur, service: MemoryService::new(), offering, clock }
    }

    /// What runs around the back end of `self`, as it was at the beginning of the month.
    pub fn environment(&self) -> Environment {
        let wall = self.clock.clone();
        Environment::default()
            .with_timer(tokio::time::sleep)
            .with_monotonic(|| Instant::now().into_std())
            .with_wall(move || wall.now())
            .with_random(|| 0)
    }

    /// A resource in use, and its object, of which nothing was counted yet.
    pub fn resource(&self, id: &str) -> ResourceUuid {
        let resource = self.waldur.resource(self.offering).name(id).slug(id).backend_id(id).create();
        let mut object = MemoryObject::default();
        object.stamp = Some(resource);
        self.service.put(id, object);
        resource
    }

    /// Counts this much of a component in November.
    pub fn used(&self, id: &str, component: &str, amount: &str) {
        self.used_in(id, NOVEMBER, component, amount);
    }

    pub fn used_in(&self, id: &str, month: &str, component: &str, amount: &str) {
        self.service.count_usage(id, month, component, decimal(amount));
    }

    pub fn user_used(&self, id: &str, user: &str, component: &str, amount: &str) {
        self.service.count_user_usage(id, NOVEMBER, user, component, decimal(amount));
    }

    /// What Waldur has from before.
    pub fn reported(&self, resource: ResourceUuid, month: &str, component: &str, amount: &str) {
        self.waldur.reported(resource, component, first_day(month), decimal(amount));
    }

    /// What Waldur has of a month, by component: the amounts of its rows.
    pub fn stored(&self, resource: ResourceUuid, month: &str) -> BTreeMap<String, Vec<String>> {
        let mut stored = BTreeMap::<String, Vec<String>>::new();
        for row in self.waldur.usage_of(resource) {
            if row.billing_period == first_day(month) {
                stored.entry(row.component).or_default().push(format!("{:.2}", row.amount));
            }
        }
        stored
    }

    /// The shares that Waldur has of a component in November.
    pub fn shares(&self, resource: ResourceUuid, component: &str) -> BTreeMap<String, String> {
        let rows = self.waldur.usage_of(resource).into_iter();
        let rows = rows.filter(|row| row.component == component && row.billing_period == first_day(NOVEMBER));
        rows.flat_map(|row| row.users).map(|(user, amount)| (user, format!("{amount:.2}"))).collect()
    }

    /// A user with this name at the offering.
    pub fn account(&self, name: &str) -> UserUuid {
        let user = self.waldur.user(name).create();
        self.waldur.offering_user(self.offering, user).username(name).create();
        user
    }

    /// The operations of all writes that Waldur saw, in order.
    pub fn writes(&self) -> Vec<&'static str> {
        self.waldur.writes().iter().map(|write| write.operation.unwrap_or("?")).collect()
    }

    /// The bodies of all requests of an operation.
    ///
    /// # Panics
    /// When no call of the client is named so.
    #[track_caller]
    pub fn bodies(&self, operation: &str) -> Vec<Value> {
        assert!(is_operation(operation), "no call is named {operation}");
        let requests = self.waldur.requests().into_iter();
        requests.filter(|request| request.operation == Some(operation)).map(|request| request.body).collect()
    }

    /// How many requests of an operation Waldur saw.
    #[track_caller]
    pub fn count_requests(&self, operation: &str) -> usize {
        self.bodies(operation).len()
    }

    /// The amounts of all reports, in order.
    pub fn sent(&self) -> Vec<String> {
        let amounts = |body: Value| {
            let items = body["usages"].as_array().unwrap().clone();
            let item =
                |item: &Value| format!("{} {}", item["type"].as_str().unwrap(), item["amount"].as_str().unwrap());
            items.iter().map(item).collect::<Vec<_>>().join(", ")
        };
        self.bodies("component_usages.set_usage").into_iter().map(amounts).collect()
    }

    pub fn client(&self, http: Http) -> WaldurClient {
        let builder = WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token());
        builder.agent_mode(AgentMode::Report).build().unwrap()
    }

    /// What no run may ever do, whatever happened in it.
    #[track_caller]
    pub fn assert_sound(&self) {
        assert_eq!(self.waldur.unauthenticated_requests().len(), 0, "requests without credentials");
        assert_eq!(self.waldur.unserved(), Vec::<String>::new(), "calls that the fake does not know");
    }

    /// A reporter with everything at its default.
    pub fn agent(&self) -> Agent {
        Agent {
            world: self.clone(),
            waldur: Arc::new(self.waldur.clone()),
            service: Arc::new(self.service.clone()),
            memory: Box::new(|memory| memory),
            capabilities: Capabilities::default(),
            policy: UsagePolicy::default(),
            components: Components::default(),
            retry: RetryPolicy::default(),
            random: 0,
            cx: OpContext::new("test"),
        }
    }

    /// One run of a fresh reporter.
    pub async fn run(&self) -> UsageRunReport {
        self.agent().run().await
    }
}

/// A reporter under construction.
pub struct Agent {
    world: World,
    waldur: Arc<dyn HttpTransport>,
    service: Arc<dyn HttpTransport>,
    memory: Box<dyn FnOnce(MemoryBackend) -> MemoryBackend>,
    capabilities: Capabilities,
    policy: UsagePolicy,
    components: Components,
    retry: RetryPolicy,
    random: u64,
    cx: OpContext,
}

impl Agent {
    /// What every random number is: pauses are as short as they can be with 0, the default.
    pub fn random(mut self, random: u64) -> Self {
        self.random = random;
        self
    }

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

    /// Usage may go down.
    pub fn decreasing(mut self) -> Self {
        self.capabilities = self.capabilities.with_decreasing_usage();
        self
    }

    pub fn policy(mut self, change: impl FnOnce(&mut UsagePolicy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub fn components(mut self, components: Components) -> Self {
        self.components = components;
        self
    }

    /// Sends every request once, so that the reporter's own repeats are seen alone.
    pub fn sending_once(mut self) -> Self {
        self.retry = RetryPolicy::none();
        self
    }

    pub fn cx(mut self, change: impl FnOnce(OpContext) -> OpContext) -> Self {
        self.cx = change(self.cx);
        self
    }

    pub fn build(self) -> UsageReporter {
        let random = self.random;
        let environment = self.world.environment().with_random(move || random);
        let http = Http::new(self.waldur).with_environment(environment.clone()).with_retry(self.retry.clone());
        let waldur = self.world.client(http);
        let http = Http::new(self.service).with_environment(environment).with_retry(self.retry);
        let memory = MemoryBackend::through(http).unwrap().with_usage().with_capabilities(self.capabilities);
        let backend: Arc<dyn ResourceBackend> = Arc::new((self.memory)(memory));
        let offering = ServedOffering::new(waldur, backend, self.world.offering).with_components(self.components);
        offering.usage().with_policy(self.policy)
    }

    /// One run.
    pub async fn run(self) -> UsageRunReport {
        let (world, cx) = (self.world.clone(), self.cx.clone());
        let report = self.build().run_once(&cx).await.expect("the resources can be listed");
        world.assert_sound();
        report
    }
}

/// Whether a call of the client is named so: a name that is none would count nothing for ever.
fn is_operation(name: &str) -> bool {
    static SOURCE: OnceLock<String> = OnceLock::new();
    let source = SOURCE.get_or_init(|| {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client")).unwrap();
        files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok()).collect()
    });
    source.contains(&format!("(\"{name}\""))
}

pub fn decimal(amount: &str) -> Decimal {
    amount.parse().unwrap()
}

pub fn first_day(month: &str) -> Date {
    format!("{month}-01").parse().unwrap()
}

pub fn period(month: &str) -> Period {
    Period::containing(first_day(month))
}

/// The report of a month of the only resource.
#[track_caller]
pub fn month<'a>(report: &'a UsageRunReport, month: &str) -> &'a PeriodUsageReport {
    let mut found = report.outcomes().filter(|report| report.period == period(month));
    let first = found.next().unwrap_or_else(|| panic!("no {month} in {report:#?}"));
    assert!(found.next().is_none(), "more than one resource in {report:#?}");
    first
}

/// How November came out, in words.
#[track_caller]
pub fn november(report: &UsageRunReport) -> String {
    month(report, NOVEMBER).outcome.to_string()
}

#[track_caller]
pub fn assert_outcome(report: &UsageRunReport, month_: &str, wanted: impl Fn(&UsageOutcome) -> bool) {
    let outcome = &month(report, month_).outcome;
    assert!(wanted(outcome), "{month_}: {outcome}\n{report:#?}");
}

/// `{"cpu": ["1.00"]}` and the like.
pub fn rows<const N: usize>(rows: [(&str, &str); N]) -> BTreeMap<String, Vec<String>> {
    let mut map = BTreeMap::<String, Vec<String>>::new();
    for (component, amount) in rows {
        map.entry(component.to_owned()).or_default().push(amount.to_owned());
    }
    map
}
