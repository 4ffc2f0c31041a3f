//! The back end under test, and the strings behind the stage.

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{
    backend::{MarketplaceResource, Party, Period, ResourceBackend},
    error::Result,
    rest::Environment,
    testing::{MemoryBackend, MemoryService, Outage},
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
#[derive(Clone, Debug)]
pub struct MemorySubject {
    service: MemoryService,
    backend: MemoryBackend,
    outage: Outage,
}

impl MemorySubject {
    /// The back end with all facets but jobs, over `service`.
    ///
    /// # Errors
    /// Never in practice.
    pub fn new(service: MemoryService) -> Result<Self> {
        let outage = Outage::new(service.clone());
        // The suite knows no runtime: pauses pass at once. The service answers within the first poll, so that no
        // time limit wins against it.
        let environment = Environment::default().with_timer(|_| std::future::ready(()));
        let backend = MemoryBackend::over(outage.clone(), environment)?.with_roles().with_user_limits().with_status();
        let backend = backend.with_keys().with_usage();
        Ok(Self { service, backend, outage })
    }

    /// The system behind the back end.
    pub fn service(&self) -> &MemoryService {
        &self.service
    }
}

#[async_trait]
impl Subject for MemorySubject {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        Arc::new(self.backend.clone())
    }

    fn limits(&self) -> Limits {
        [("storage", 100_u32), ("objects", 10_000)].map(|(name, amount)| (name.to_owned(), limit(amount))).into()
    }

    fn other_limits(&self) -> Limits {
        [("storage", 250_u32), ("objects", 20_000)].map(|(name, amount)| (name.to_owned(), limit(amount))).into()
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

fn limit(amount: u32) -> crate::types::Limit {
    crate::types::Limit::At(amount.into())
}
