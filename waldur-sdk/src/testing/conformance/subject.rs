//! The back end under test, and the strings behind the stage.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    backend::{MarketplaceResource, Overridden, Override, Party, Period, ResourceBackend},
    error::Result,
    rest::{Environment, HttpTransport},
    settings::{AccountingType, Component, Components},
    testing::{Faults, Life, Matcher, MemoryBackend, MemoryService, Outage, lock, matcher::operation, status, when},
    types::{BackendId, JsonObject, Limits, OfferingUuid, ResourceUuid},
};

/// A back end under test, with what the suite needs to arrange around it.
#[async_trait]
pub trait Subject: Send + Sync {
    /// A back end over the system, freshly built: what a restarted process would have.
    fn backend(&self) -> Arc<dyn ResourceBackend>;

    /// Limits that may be ordered.
    fn limits(&self) -> Limits;

    /// Other limits for the same components.
    fn other_limits(&self) -> Limits;

    /// The components among [`Self::limits`] whose limits are read back with an object. Default: all; a back end that
    /// reports no limit where it should fails, so only what it cannot know is to be left out.
    fn reported(&self) -> Vec<String> {
        self.limits().into_keys().collect()
    }

    /// Options whose change the back end carries out. Default: none.
    fn options(&self) -> JsonObject {
        JsonObject::new()
    }

    /// Puts an object of this id there, as somebody else would have made it. `stamped`: with another resource's
    /// stamp; else with none. `false`: cannot be arranged.
    async fn plant(&self, _id: &BackendId, _stamped: bool) -> bool {
        false
    }

    /// Makes the system unreachable, or reachable again. `false`: cannot be arranged.
    fn set_outage(&self, _broken: bool) -> bool {
        false
    }

    /// The components that are sold, as the operator's settings have them. Default: those of [`Self::limits`], each by its
    /// limit.
    fn components(&self) -> Components {
        self.limits().into_keys().map(|name| Component::new(name, AccountingType::Limit)).collect()
    }

    /// The clocks of everything that [`orders`](super::orders()) runs. Under virtual time
    /// (see [`testing`](crate::testing#virtual-time)) what hangs is found at once. Default: the system's.
    fn environment(&self) -> Environment {
        Environment::default()
    }

    /// As [`Self::backend`], over a transport that went through [`Life::around`]. `None`: cannot be arranged.
    fn backend_over(&self, _life: &Life) -> Option<Arc<dyn ResourceBackend>> {
        None
    }

    /// Everything that the system holds, seen from behind the stage: a line for each object, with its id, stamp, limits
    /// and whatever else must not depend on when a process died. `None`: cannot be arranged.
    fn shown(&self) -> Option<Vec<String>> {
        None
    }

    /// What a resource's metadata in Waldur tell the customer, without what may honestly differ between two runs.
    /// Default: all of it.
    fn published(&self, metadata: &Value) -> String {
        metadata.to_string()
    }

    /// The system acknowledges its next write of a kind and does not keep it. Kinds are numbered from 0; `false`: there is
    /// no such, or it cannot be arranged.
    fn lose_write(&self, _kind: usize) -> bool {
        false
    }

    /// Lets an object use something in a month, so that the back end measures more than zero then. `false`: cannot be
    /// arranged.
    async fn use_up(&self, _id: &BackendId, _period: Period) -> bool {
        false
    }

    /// How many objects the system holds, seen from behind the stage.
    async fn objects(&self) -> Option<usize> {
        None
    }

    /// The `n`th resource. Slugs and names of different `n` differ.
    fn resource(&self, n: u32) -> MarketplaceResource {
        let uuid = |kind: u128| Uuid::from_u128((kind << 96) | (u128::from(n) << 32) | 0x4000_8000);
        let slug = format!("res-{n}");
        let offering = OfferingUuid::new(Uuid::from_u128(0x0ffe));
        let mut resource =
            MarketplaceResource::new(ResourceUuid::new(uuid(0x7e50)), offering, format!("Resource {n}"), slug);
        resource.project = Party { uuid: None, name: format!("Project {n}"), slug: format!("project-{n}") };
        resource.customer = Party { uuid: None, name: format!("Customer {n}"), slug: format!("customer-{n}") };
        resource
    }
}

/// [`MemoryBackend`] as a subject: shows how one is written.
#[derive(Clone)]
pub struct MemorySubject {
    service: MemoryService,
    outage: Outage,
    way: Faults,
    backend: MemoryBackend,
    around: Around,
    clocks: Option<Environment>,
    losing: Arc<Mutex<Option<&'static str>>>,
}

type Around = Arc<dyn Fn(Arc<dyn ResourceBackend>) -> Arc<dyn ResourceBackend> + Send + Sync>;

impl MemorySubject {
    /// The back end with all facets but jobs, over `service`.
    ///
    /// # Errors
    /// Never in practice.
    pub fn new(service: MemoryService) -> Result<Self> {
        let losing = Arc::<Mutex<Option<&'static str>>>::default();
        let outage = Outage::new(service.clone());
        let way = Faults::new(outage.clone()).on(a_loss(Arc::clone(&losing)), status(204));
        // The suite knows no runtime: pauses pass at once. The service answers within the first poll, so that no
        // time limit wins against it.
        let backend = whole(way.clone(), Environment::default().with_timer(|_| std::future::ready(())))?;
        Ok(Self { service, outage, way, backend, around: Arc::new(|backend| backend), clocks: None, losing })
    }

    /// On clocks of the test's own. Without, pauses of the back end pass at once.
    ///
    /// # Errors
    /// Never in practice.
    pub fn with_environment(mut self, environment: Environment) -> Result<Self> {
        self.backend = whole(self.way.clone(), environment.clone())?;
        self.clocks = Some(environment);
        Ok(self)
    }

    /// With single methods of every back end replaced: what is wrong with one, to see that it is found.
    #[must_use]
    pub fn overriding<O: Override>(
        mut self,
        wrap: impl Fn(Arc<dyn ResourceBackend>) -> O + Send + Sync + 'static,
    ) -> Self {
        self.around = Arc::new(move |backend| Arc::new(Overridden(wrap(backend))));
        self
    }

    /// The system behind the back end.
    pub fn service(&self) -> &MemoryService {
        &self.service
    }
}

impl fmt::Debug for MemorySubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemorySubject").field("service", &self.service).finish_non_exhaustive()
    }
}

#[async_trait]
impl Subject for MemorySubject {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        (self.around)(Arc::new(self.backend.clone()))
    }

    fn limits(&self) -> Limits {
        [("storage", 100_u32), ("objects", 10_000)].map(|(name, amount)| (name.to_owned(), limit(amount))).into()
    }

    fn other_limits(&self) -> Limits {
        [("storage", 250_u32), ("objects", 20_000)].map(|(name, amount)| (name.to_owned(), limit(amount))).into()
    }

    fn environment(&self) -> Environment {
        self.clocks.clone().unwrap_or_default()
    }

    fn backend_over(&self, life: &Life) -> Option<Arc<dyn ResourceBackend>> {
        let backend = whole(life.around(self.way.clone()), self.environment()).ok()?;
        Some((self.around)(Arc::new(backend)))
    }

    fn shown(&self) -> Option<Vec<String>> {
        let objects = self.service.objects().into_iter().map(|(id, object)| {
            // Not how many keys: each of two agents may mint its own, until what nobody knows is pruned.
            let open = if self.service.keys(&id).is_empty() { "without keys" } else { "with keys" };
            format!("{id} {open} {object:?}")
        });
        let made = format!("{} made, projects {:?}", self.service.made(), self.service.projects());
        Some(objects.chain([made]).collect())
    }

    /// Where pauses pass at once, who waits for a lost write asks without end.
    fn lose_write(&self, kind: usize) -> bool {
        let kept = ["objects.create", "objects.limits", "objects.delete"];
        let lost = kept.get(kind).copied().filter(|_| self.clocks.is_some());
        *lock(&self.losing) = lost;
        lost.is_some()
    }

    fn options(&self) -> JsonObject {
        let mut options = JsonObject::new();
        options.insert("tier".to_owned(), "fast".into());
        options
    }

    async fn plant(&self, id: &BackendId, stamped: bool) -> bool {
        let stranger = ResourceUuid::new(Uuid::from_u128(0xdead_beef));
        self.service.seed(id.as_str(), stamped.then_some(stranger));
        true
    }

    fn set_outage(&self, broken: bool) -> bool {
        self.outage.set(broken);
        true
    }

    async fn use_up(&self, id: &BackendId, period: Period) -> bool {
        let month = period.to_string();
        self.service.count_usage(id.as_str(), &month, "storage", 70);
        self.service.count_user_usage(id.as_str(), &month, "ann", "storage", 40);
        true
    }

    async fn objects(&self) -> Option<usize> {
        Some(self.service.objects().len())
    }
}

fn whole(way: impl HttpTransport, environment: Environment) -> Result<MemoryBackend> {
    let backend = MemoryBackend::over(way, environment)?.with_roles().with_user_limits().with_status();
    Ok(backend.with_keys().with_usage())
}

/// The next request that is to be lost.
fn a_loss(losing: Arc<Mutex<Option<&'static str>>>) -> Matcher {
    when("a write that is lost", move |request| {
        let mut losing = lock(&losing);
        let meant = losing.is_some_and(|lost| operation(request) == lost);
        if meant {
            *losing = None;
        }
        meant
    })
}

fn limit(amount: u32) -> crate::types::Limit {
    crate::types::Limit::At(amount.into())
}
