//! The S3 back end with a meter that is just good enough to be measured: one listing of everybody's buckets. The crate
//! of the back end measures nothing yet.

use std::collections::BTreeMap;

use async_trait::async_trait;
use waldur_backend_croit::S3Backend;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{
        Candidate, Capabilities, CreateRequest, Created, DeleteRequest, MarketplaceResource, OpContext, Period,
        Progress, Removed, ResourceBackend, ResourceState, Usage, UsageReport, UsageSource, Verified,
    },
    rest::Environment,
    settings::Components,
    types::{BackendAmount, BackendId},
};

/// The component for what is stored.
pub const STORAGE: &str = "s3_storage";

/// The component for how many objects there are.
pub const OBJECTS: &str = "s3_objects";

/// The back end, and its meter.
#[derive(Clone, Debug)]
pub struct Metered {
    inner: S3Backend,
    components: Components,
    environment: Environment,
}

impl Metered {
    /// Adds a meter to a back end.
    pub fn new(inner: S3Backend, components: Components, environment: Environment) -> Self {
        Self { inner, components, environment }
    }

    /// What each user stores. Of one without a bucket nothing is known, since nobody looked whether there is such a user.
    async fn stored(&self) -> Result<BTreeMap<String, UsageReport>> {
        let gateway = self.inner.radosgw().ok_or_else(|| Error::unsupported("another flavour than radosgw"))?;
        let buckets = gateway.buckets().all().collect().await?.complete()?.into_items();
        let mut sums: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for bucket in buckets {
            let unknown = || Error::new(ErrorKind::Inconsistent, "a bucket does not say what it holds");
            let held = bucket.stored().ok_or_else(unknown)?;
            let (bytes, objects) = sums.entry(bucket.owner).or_default();
            (*bytes, *objects) = (*bytes + held.size, *objects + held.num_objects);
        }
        let report = |(owner, (bytes, objects)): (String, (u64, u64))| {
            let mut report = UsageReport::default();
            for (component, amount) in [(STORAGE, bytes), (OBJECTS, objects)] {
                let amount = self.components.to_waldur(component, BackendAmount::from(amount))?;
                report.total.insert(component.to_owned(), amount);
            }
            Ok((owner, report))
        };
        sums.into_iter().map(report).collect()
    }
}

#[async_trait]
impl ResourceBackend for Metered {
    fn backend_type(&self) -> &'static str {
        self.inner.backend_type()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.inner.candidate_id(resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.inner.ping(cx).await
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.inner.create(cx, request).await
    }

    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.inner.get(cx, id).await
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.inner.delete(cx, request).await
    }

    fn usage(&self) -> Option<&dyn UsageSource> {
        Some(self)
    }
}

#[async_trait]
impl UsageSource for Metered {
    /// What is stored now; of a month that is over the gateway knows nothing.
    async fn usage(&self, _: &OpContext, ids: &[BackendId], period: Period) -> BTreeMap<BackendId, Usage> {
        let today = self.environment.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        if period != Period::containing(today) {
            return ids.iter().map(|id| (id.clone(), Usage::NotYet)).collect();
        }
        match self.stored().await {
            Ok(mut stored) => {
                let known = |id: &BackendId| Some((id.clone(), Usage::Measured(stored.remove(id.as_str())?)));
                ids.iter().filter_map(known).collect()
            }
            Err(error) => {
                let unread = || Usage::Unreadable(Error::new(error.kind(), error.message()));
                ids.iter().map(|id| (id.clone(), unread())).collect()
            }
        }
    }
}
