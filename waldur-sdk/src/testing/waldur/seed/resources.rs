//! What was bought before.

use jiff::civil::Date;
use serde_json::Value;

use crate::testing::waldur::{
    FakeWaldur,
    model::{Endpoint, Resource},
    state::State,
    unknown,
    words::ResourceState,
};
use crate::types::{OfferingUuid, PlanUuid, ProjectUuid, ResourceUuid};

impl FakeWaldur {
    /// A resource of the default project, in use, on the offering's first plan. No order made it.
    ///
    /// # Panics
    /// When there is no such offering.
    #[track_caller]
    pub fn resource(&self, offering: OfferingUuid) -> ResourceSeed {
        let row = self.new_resource(offering, "resource".to_owned());
        ResourceSeed { waldur: self.clone(), row: Resource { state: ResourceState::Ok, ..row } }
    }

    /// Many resources at once: `detail` gets the number of each, from 0.
    ///
    /// # Panics
    /// As [`Self::resource`].
    #[track_caller]
    pub fn resources(
        &self,
        offering: OfferingUuid,
        count: usize,
        detail: impl Fn(usize, ResourceSeed) -> ResourceSeed,
    ) -> Vec<ResourceUuid> {
        (0..count).map(|number| detail(number, self.resource(offering)).create()).collect()
    }

    /// Changes a resource that is there, as somebody else would meanwhile.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn change_resource(&self, resource: ResourceUuid, change: impl FnOnce(ResourceSeed) -> ResourceSeed) {
        let row = self.state().resource(resource).cloned();
        let row = row.unwrap_or_else(|| unknown("resource", resource));
        change(ResourceSeed { waldur: self.clone(), row }).create();
    }

    #[track_caller]
    pub(super) fn new_resource(&self, offering: OfferingUuid, name: String) -> Resource {
        let project = self.default_project();
        let mut state = self.state();
        state.tick();
        let Some(plan) = state.offering(offering).map(|row| row.plans.first().map(|plan| plan.uuid)) else {
            unknown("offering", offering)
        };
        Resource { plan, ..state.blank_resource(offering, project, name) }
    }
}

/// A resource under construction; see [`FakeWaldur::resource`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct ResourceSeed {
    pub(super) waldur: FakeWaldur,
    pub(super) row: Resource,
}

impl ResourceSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<ResourceUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// Its name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.row.name = name.into();
        self
    }

    /// Its slug.
    pub fn slug(mut self, slug: impl Into<String>) -> Self {
        self.row.slug = slug.into();
        self
    }

    /// Its description.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.row.description = description.into();
        self
    }

    /// Its project.
    pub fn project(mut self, project: ProjectUuid) -> Self {
        self.row.project = project;
        self
    }

    /// Its plan.
    pub fn plan(mut self, plan: PlanUuid) -> Self {
        self.row.plan = Some(plan);
        self
    }

    /// No plan.
    pub fn without_plan(mut self) -> Self {
        self.row.plan = None;
        self
    }

    /// How it is.
    pub fn state(mut self, state: ResourceState) -> Self {
        self.row.state = state;
        self
    }

    /// Its name on the back end.
    pub fn backend_id(mut self, backend_id: impl Into<String>) -> Self {
        self.row.backend_id = backend_id.into();
        self
    }

    /// Its name on the back end behind the back end.
    pub fn effective_id(mut self, effective_id: impl Into<String>) -> Self {
        self.row.effective_id = effective_id.into();
        self
    }

    /// Its limits, in Waldur's units: whole numbers as the server sends them, or whatever a test wants to be sent.
    pub fn limits<K: Into<String>, V: Into<Value>>(mut self, limits: impl IntoIterator<Item = (K, V)>) -> Self {
        self.row.limits = limits.into_iter().map(|(kind, limit)| (kind.into(), limit.into())).collect();
        self
    }

    /// The attributes it was ordered with.
    pub fn attributes(mut self, attributes: Value) -> Self {
        self.row.attributes = attributes;
        self
    }

    /// Its options.
    pub fn options(mut self, options: Value) -> Self {
        self.row.options = options;
        self
    }

    /// What the provider noted about it.
    pub fn backend_metadata(mut self, metadata: Value) -> Self {
        self.row.backend_metadata = metadata;
        self
    }

    /// A place where it is reached.
    pub fn endpoint(mut self, name: impl Into<String>, url: impl Into<String>) -> Self {
        let uuid = self.waldur.state().uuid();
        self.row.endpoints.push(Endpoint { uuid, name: name.into(), url: url.into() });
        self
    }

    /// What the server says was used this month, by component: decimal text.
    pub fn current_usage(mut self, component: impl Into<String>, amount: impl Into<Value>) -> Self {
        self.row.current_usages.insert(component.into(), amount.into());
        self
    }

    /// The report that the provider submitted.
    pub fn report(mut self, report: Value) -> Self {
        self.row.report = report;
        self
    }

    /// Its last day.
    pub fn end_date(mut self, date: Date) -> Self {
        self.row.end_date = Some(date);
        self
    }

    /// Whether it is to be paused.
    pub fn paused(mut self, yes: bool) -> Self {
        self.row.paused = yes;
        self
    }

    /// Whether it is to be slowed down.
    pub fn downscaled(mut self, yes: bool) -> Self {
        self.row.downscaled = yes;
        self
    }

    /// Whether its members are shut out.
    pub fn restrict_member_access(mut self, yes: bool) -> Self {
        self.row.restrict_member_access = yes;
        self
    }

    /// Makes it `Erred`, and says why.
    pub fn erred(mut self, message: impl Into<String>) -> Self {
        self.row.state = ResourceState::Erred;
        self.row.error_message = message.into();
        self
    }

    /// Puts it there.
    pub fn create(self) -> ResourceUuid {
        let uuid = self.row.uuid;
        let mut state = self.waldur.state();
        let modified = state.tick();
        let row = state.priced(Resource { modified, ..self.row });
        state.resources.put(row);
        uuid
    }
}

impl State {
    pub(super) fn priced(&self, row: Resource) -> Resource {
        let offering = self.offering(row.offering);
        let cost = offering.zip(row.plan).and_then(|(offering, plan)| offering.running_cost(plan, &row.limits));
        // Who changes limits behind the server's back does not change the price (recorded: 299).
        Resource { cost: row.cost.or(cost), ..row }
    }
}
