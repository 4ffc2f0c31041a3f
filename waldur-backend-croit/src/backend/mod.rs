//! The back end: one S3 user for each resource.

mod again;
mod api_keys;
pub(crate) mod ceilings;
mod change;
mod create;
mod diagnose;
mod importer;
mod metadata;
mod published;
mod recent;
mod stamp;
mod status;
mod storage;
mod sweep;
mod upkeep;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use waldur_sdk::{
    Error, Result,
    backend::{
        ApiKeys, Aspects, BackendFactory, BuildEnv, ById, Candidate, Capabilities, CreateRequest, Created,
        DeleteRequest, Finding, Importer, Inspection, LimitChange, LimitsAuthority, MarketplaceResource, OpContext,
        OptionChange, Ownership, Progress, Records, Removed, ResourceBackend, ResourceState, ResourceUpkeep, Status,
        StatusControl, UsageSource, Verified,
    },
    rest::{Breaker, Http, HttpOptions},
    settings::{Components, TimeZone, Warning},
    types::{BackendId, JsonObject, Limits},
};

use self::{
    ceilings::Ceilings,
    change::quotas,
    published::Keyless,
    recent::Recent,
    stamp::Mark,
    storage::{Account, AccountWithKeys, Published, Sight, Storage, View},
    sweep::Memory,
};
use crate::{
    croit::CroitClient,
    metering::Meter,
    radosgw::RadosGwClient,
    s3::Uid,
    settings::{Flavour, S3Settings, UsageModel},
};

/// How many users are read at a time.
const AT_A_TIME: usize = 8;

/// The back end: one S3 user for each resource, on the flavour of storage that the settings name. Cheap to clone.
///
/// A user carries the resource's stamp as its e-mail address. The storage mints its key pair when the user is created,
/// so no secret is in a URL. Its ceilings are quotas on the user and on each of its buckets.
#[derive(Clone, Debug)]
pub struct S3Backend(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    storage: Storage,
    settings: S3Settings,
    ceilings: Ceilings,
    meter: Meter,
    time_zone: TimeZone,
    memory: Arc<Memory>,
    keyless: Arc<Keyless>,
    recent: Arc<Recent>,
}

impl S3Backend {
    /// A back end over a pipeline.
    ///
    /// # Errors
    /// `Config` when the components do not fit (see the crate's documentation), or the admin key is blank.
    pub fn new(http: Http, settings: S3Settings, components: &Components) -> Result<Self> {
        let ceilings = Ceilings::of(components)?;
        let storage = Storage::of(http, &settings)?;
        let meter = Meter::of(components)?;
        Ok(Self(Arc::new(Inner {
            storage,
            settings,
            ceilings,
            meter,
            time_zone: TimeZone::UTC,
            memory: Arc::default(),
            keyless: Arc::default(),
            recent: Arc::default(),
        })))
    }

    /// Has months begin and end in `zone` (the setting `timezone`) and not in UTC.
    #[must_use]
    pub fn with_time_zone(mut self, zone: TimeZone) -> Self {
        Arc::make_mut(&mut self.0).time_zone = zone;
        self
    }

    /// The client underneath, where the flavour is `radosgw`.
    pub fn radosgw(&self) -> Option<&RadosGwClient> {
        match &self.0.storage {
            Storage::RadosGw(client) => Some(client),
            Storage::Croit(_) => None,
        }
    }

    /// The client underneath, where the flavour is `croit`.
    pub fn croit(&self) -> Option<&CroitClient> {
        match &self.0.storage {
            Storage::Croit(client) => Some(client),
            Storage::RadosGw(_) => None,
        }
    }
}

impl Inner {
    /// The user that a back-end id names, and the storage for one operation on it. Ids come from outside, so this is the
    /// check before any request.
    fn target(&self, cx: &OpContext, id: &BackendId) -> Result<(Uid, Storage)> {
        Ok((Uid::new(id.as_str())?, self.storage.until(cx.deadline)))
    }

    /// What the calls of one sweep over many users stop by.
    fn breaker(&self) -> Breaker {
        Breaker::new(2 * AT_A_TIME, self.storage.environment().clone())
    }

    /// What a user's record says.
    fn state(&self, id: &BackendId, uid: &Uid, account: &Account) -> Result<ResourceState> {
        let mut state = ResourceState::new(id.clone());
        match stamp::read(account.email.as_deref(), uid) {
            Mark::Stamp(stamp) => state.stamp = Some(stamp),
            Mark::None => state.foreign = !self.is_named_by_us(uid.name()),
            Mark::Broken => state.foreign = true,
        }
        if account.suspended {
            state.status = Status::Paused;
        }
        if self.ceilings.has_limits() {
            state.limits = self.ceilings.limits(quotas(account)?.user_quota, self.storage.grain())?;
        }
        Ok(state)
    }

    /// Whether a user without a stamp may be ours from before there were stamps, under whichever naming. No prefix says
    /// nothing.
    fn is_named_by_us(&self, name: &str) -> bool {
        self.settings.prefixes.iter().any(|prefix| !prefix.is_empty() && name.starts_with(prefix))
    }

    /// What `view` shows of the user of a back-end id.
    async fn inspect_one(
        &self,
        view: &View,
        id: &BackendId,
        aspects: Aspects,
        records: &dyn Records,
    ) -> Result<Option<ResourceState>> {
        let uid = Uid::new(id.as_str())?;
        if !aspects.metadata {
            let Some(account) = view.account(&uid).await? else { return Ok(None) };
            return self.seen(id, &uid, &account).map(Some);
        }
        let resources = records.of(id);
        let state = |account: &Account| self.state(id, &uid, account);
        let is_anothers = |account: &Account| state(account).is_ok_and(|state| is_anothers(&state, &resources));
        let found = view.sight(&uid, self.settings.credentials.publishes(), is_anothers).await?;
        let Some(Sight { account, published }) = found else { return Ok(None) };
        let mut state = self.seen(id, &uid, &account)?;
        if let Some(Published { keys, summary }) = published {
            let found = keys.map(|keys| AccountWithKeys { account, keys });
            let published: Vec<_> = resources.iter().map(|resource| &resource.metadata).collect();
            self.publish(&uid, found, &published, summary, &mut state);
        }
        Ok(Some(state))
    }

    /// What a user's record says, and is remembered.
    fn seen(&self, id: &BackendId, uid: &Uid, account: &Account) -> Result<ResourceState> {
        let state = self.state(id, uid, account)?;
        self.memory.learn(&state, account);
        Ok(state)
    }

    /// Adds what is published about a user. What cannot be read of that is warned of, and stays as it is published: the
    /// rest of the state is as good without.
    fn publish(
        &self,
        uid: &Uid,
        found: Result<AccountWithKeys>,
        published: &[&JsonObject],
        summary: Result<Value>,
        state: &mut ResourceState,
    ) {
        let summary = match summary {
            Ok(summary) => Some(summary),
            Err(cause) => {
                state.warnings.push(metadata::no_summary(cause));
                metadata::published_summary(published)
            }
        };
        let told = found.and_then(|AccountWithKeys { account, keys }| {
            let quotas = quotas(&account)?;
            let key = self.choose(&keys, published, state.stamp.is_some());
            let mut metadata = metadata::all(&self.settings, uid, quotas, key, summary);
            self.mind_the_key(&keys, key, published, &mut metadata, state);
            Ok(metadata)
        });
        match told {
            Ok(metadata) => state.metadata = Some(metadata),
            Err(error) => state.warnings.push(error),
        }
    }

    /// What the user of a back-end id is like now.
    async fn look(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        let (uid, storage) = self.target(cx, id)?;
        storage.account(&uid).await?.map(|account| self.state(id, &uid, &account)).transpose()
    }
}

/// Whether it is somebody else's than the resources that have its id; where those are not known, by its name.
fn is_anothers(state: &ResourceState, resources: &[MarketplaceResource]) -> bool {
    let is_foreign = |resource: &MarketplaceResource| state.ownership(resource.stamp()) == Ownership::Foreign;
    state.foreign || (!resources.is_empty() && resources.iter().all(is_foreign))
}

#[async_trait]
impl ResourceBackend for S3Backend {
    fn backend_type(&self) -> &'static str {
        match &self.0.storage {
            Storage::RadosGw(_) => "ceph_s3",
            Storage::Croit(_) => "croit_s3",
        }
    }

    fn capabilities(&self) -> Capabilities {
        // Users are made for Waldur; nobody else is to change them.
        let capabilities = Capabilities::default().with_limits_authority(LimitsAuthority::Waldur);
        match self.0.settings.usage_model() {
            // Objects are deleted, so usage goes down.
            UsageModel::Current => capabilities.with_decreasing_usage().without_history(),
            UsageModel::GbDays => capabilities,
        }
    }

    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.0.settings.naming.candidate(resource, candidate)
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.0.storage.until(cx.deadline).ping().await
    }

    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        let wishes = self.0.ceilings.of_create(request)?;
        let created = self.0.until_it_shows(cx, |_number| self.0.create_once(cx, request, wishes)).await?;
        Ok(Progress::Done(created))
    }

    /// One call. Metadata costs another one: [`Self::inspect`] brings it.
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.0.look(cx, id).await
    }

    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        let removed = self.0.until_it_shows(cx, |number| self.0.delete_once(cx, request, number)).await?;
        Ok(Progress::Done(removed))
    }

    /// Of a few ids each is read: on RadosGW by one call, on croit all by one; and by two more where metadata is wanted. On
    /// croit the list by which several were looked at will do for a single one of them, for ten seconds (`recent.rs`).
    /// Of many, metadata and all that only a single reading shows are told of those whose turn it is: each within
    /// 30 passes.
    ///
    /// The key that is published stays so as long as the user has it, and what is published of buckets that cannot be read
    /// stays as it is. Where it is not told what is published, the first one of several keys is in the metadata.
    async fn inspect(&self, cx: &OpContext, inspection: &Inspection<'_>) -> ById<Option<ResourceState>> {
        let records = inspection.records;
        let mut states = self.0.inspect_all(cx, inspection).await;
        // Which takes no reading: it holds of each, whose turn it is or not.
        if !self.0.settings.credentials.publishes() {
            for state in states.values_mut().flatten().flatten().filter(|state| !state.foreign) {
                if state.stamp.is_some() {
                    state.replaced_by_keys.insert(metadata::CREDENTIALS.to_owned());
                } else if records.of(&state.id).iter().any(|row| metadata::published_key(&row.metadata).is_some()) {
                    state.warnings.push(metadata::stays_published());
                }
            }
        }
        states
    }

    async fn set_limits(&self, cx: &OpContext, change: &LimitChange) -> Result<Progress<Verified<Limits>>> {
        let wishes = self.0.ceilings.of_limits(&change.limits, &change.resource)?;
        let state = self.0.change_quotas(cx, &change.backend_id, &change.resource, wishes).await?;
        Verified::limits(&change.limits, &state).map(Progress::Done)
    }

    /// Safety limits among the options become quotas; what is not named keeps its value.
    async fn update_options(&self, cx: &OpContext, change: &OptionChange) -> Result<Progress<()>> {
        let wishes = self.0.ceilings.of_options(&change.new)?;
        if wishes.are_idle() {
            return Ok(Progress::Done(()));
        }
        self.0.change_quotas(cx, &change.backend_id, &change.resource, wishes).await?;
        Ok(Progress::Done(()))
    }

    async fn diagnose(&self, cx: &OpContext) -> Vec<Finding> {
        let mut findings = self.0.findings(&self.0.storage.until(cx.deadline)).await;
        findings.extend(self.0.ceilings.finding());
        findings
    }

    fn usage(&self) -> Option<&dyn UsageSource> {
        Some(self)
    }

    fn keys(&self) -> Option<&dyn ApiKeys> {
        self.0.settings.credentials.issues().then_some(self)
    }

    fn status(&self) -> Option<&dyn StatusControl> {
        self.0.settings.suspend_on_pause.then_some(self)
    }

    fn upkeep(&self) -> Option<&dyn ResourceUpkeep> {
        Some(self)
    }

    fn importer(&self) -> Option<&dyn Importer> {
        Some(self)
    }
}

/// Builds the back end from settings, under the words `ceph_s3`, `croit_s3` and `croit_usage`. The settings choose the
/// flavour. `croit_usage` needs croit, and means `usage_model: gb_days`.
///
/// `soft_delete` is refused where no component sets a quota, because then nothing would close the user. To suspend it
/// instead is no solution: suspension has to be switched on (s3.md §8), and a restoration could not tell it from a
/// suspension by the operator.
#[derive(Clone, Copy, Debug, Default)]
pub struct S3Factory;

impl BackendFactory for S3Factory {
    fn backend_types(&self) -> &'static [&'static str] {
        &["ceph_s3", "croit_s3", "croit_usage"]
    }

    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let (mut settings, mut warnings) = environment.settings.read(S3Settings::read)?;
        if environment.backend_type.eq_ignore_ascii_case("croit_usage") {
            measure_over_time(&mut settings)?;
        }
        let http = environment.http(&HttpOptions::default().verifying(settings.verify_ssl)?)?;
        let backend = S3Backend::new(http, settings, &environment.components)?;
        let backend = backend.with_time_zone(environment.time_zone.clone());
        warnings.extend(backend.0.ceilings.warnings());
        if environment.settings.core.soft_delete && !backend.0.ceilings.can_close() {
            return Err(Error::config(
                "soft_delete: closes a user by its quotas, and no component sets one; take enforce_limits: false away \
                 from storage or objects, or leave soft_delete out",
            ));
        }
        let over_time = backend.0.settings.usage_model() == UsageModel::GbDays;
        let other = backend.0.meter.unit_of_other_model(over_time);
        let unmeasured = backend.0.meter.objects_without_history().filter(|_| over_time);
        warnings.extend(other.into_iter().chain(unmeasured).map(|text| Warning::new("usage_model", text)));
        Ok((Arc::new(backend), warnings))
    }
}

/// `croit_usage` is the name of the back end that reports GB-days.
fn measure_over_time(settings: &mut S3Settings) -> Result<()> {
    let Flavour::Croit(croit) = &mut settings.flavour else {
        return Err(Error::config("backend_type: croit_usage needs the flavour croit; radosgw keeps no history"));
    };
    if croit.usage_model == Some(UsageModel::Current) {
        return Err(Error::config("usage_model: croit_usage reports gb_days, not what is stored now"));
    }
    croit.usage_model = Some(UsageModel::GbDays);
    Ok(())
}
