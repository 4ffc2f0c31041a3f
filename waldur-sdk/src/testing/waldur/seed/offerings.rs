//! What is on sale.

use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::testing::waldur::{
    FakeWaldur,
    model::{Component, Offering, Plan},
    state::{SITE_AGENT, State},
    unknown,
    words::{Billing, LimitPeriod, OfferingState},
};
use crate::types::{CustomerUuid, OfferingUuid, PlanUuid};

impl FakeWaldur {
    /// An offering of the [`provider`](Self::provider), active, for site agents, without components.
    pub fn offering(&self) -> OfferingSeed {
        let mut state = self.state();
        let (uuid, created, category) = (OfferingUuid::new(state.uuid()), state.tick(), state.uuid());
        let row = Offering {
            uuid,
            created,
            customer: self.provider(),
            category,
            category_title: "Storage".to_owned(),
            name: "Offering".to_owned(),
            slug: String::new(),
            kind: SITE_AGENT.to_owned(),
            state: OfferingState::Active,
            backend_id: String::new(),
            backend_metadata: Value::Object(Map::new()),
            options: json!({ "order": [], "options": {} }),
            plugin_options: Map::new(),
            secret_options: Map::new(),
            components: Vec::new(),
            plans: Vec::new(),
            partitions: Vec::new(),
            exposed: None,
        };
        drop(state);
        OfferingSeed { waldur: self.clone(), row }
    }

    /// Changes an offering that is there.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn change_offering(&self, offering: OfferingUuid, change: impl FnOnce(OfferingSeed) -> OfferingSeed) {
        let row = self.state().offering(offering).cloned();
        let row = row.unwrap_or_else(|| unknown("offering", offering));
        change(OfferingSeed { waldur: self.clone(), row }).create();
    }

    /// The plan of an offering by its name.
    ///
    /// # Panics
    /// When there is no such offering or plan.
    #[track_caller]
    pub fn plan(&self, offering: OfferingUuid, name: &str) -> PlanUuid {
        let state = self.state();
        let plans = state.offering(offering).map_or(&[] as &[Plan], |row| &row.plans);
        let found = plans.iter().find(|plan| plan.name == name).map(|plan| plan.uuid);
        found.unwrap_or_else(|| unknown("plan", name))
    }
}

/// An offering under construction; see [`FakeWaldur::offering`].
#[derive(Clone)]
#[must_use = "a seed is nothing until it is created"]
pub struct OfferingSeed {
    waldur: FakeWaldur,
    row: Offering,
}

impl OfferingSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<OfferingUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// Its name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.row.name = name.into();
        self
    }

    /// Its slug, instead of one made of the name.
    pub fn slug(mut self, slug: impl Into<String>) -> Self {
        self.row.slug = slug.into();
        self
    }

    /// Its type, instead of `Marketplace.Slurm`, which is what site agents serve.
    pub fn kind(mut self, kind: impl Into<String>) -> Self {
        self.row.kind = kind.into();
        self
    }

    /// Who sells it.
    pub fn customer(mut self, customer: CustomerUuid) -> Self {
        self.row.customer = customer;
        self
    }

    /// Its category, by id and title.
    pub fn category(mut self, uuid: Uuid, title: impl Into<String>) -> Self {
        (self.row.category, self.row.category_title) = (uuid, title.into());
        self
    }

    /// Its state.
    pub fn state(mut self, state: OfferingState) -> Self {
        self.row.state = state;
        self
    }

    /// Its name on the back end.
    pub fn backend_id(mut self, backend_id: impl Into<String>) -> Self {
        self.row.backend_id = backend_id.into();
        self
    }

    /// What the provider noted about it.
    pub fn backend_metadata(mut self, metadata: Value) -> Self {
        self.row.backend_metadata = metadata;
        self
    }

    /// A plug-in option, which everybody sees.
    pub fn plugin_option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.row.plugin_options.insert(name.into(), value.into());
        self
    }

    /// A plug-in option that only the provider sees.
    pub fn secret_option(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.row.secret_options.insert(name.into(), value.into());
        self
    }

    /// What the offering is told of its users, instead of user name, full name and address; only generation 8.
    pub fn exposes<T: Into<String>>(mut self, attributes: impl IntoIterator<Item = T>) -> Self {
        self.row.exposed = Some(attributes.into_iter().map(Into::into).collect());
        self
    }

    /// The form that a customer fills in.
    pub fn options(mut self, options: Value) -> Self {
        self.row.options = options;
        self
    }

    /// A partition; only generation 8 has them.
    pub fn partition(mut self, name: impl Into<String>) -> Self {
        self.row.partitions.push(name.into());
        self
    }

    /// A component with nothing special about it, called as its type.
    pub fn component(self, kind: impl Into<String>, billing: Billing) -> Self {
        self.component_with(kind, billing, |component| component)
    }

    /// A component; replaces the one of the same type.
    pub fn component_with(
        mut self,
        kind: impl Into<String>,
        billing: Billing,
        detail: impl FnOnce(ComponentSeed) -> ComponentSeed,
    ) -> Self {
        let kind = kind.into();
        let row = Component {
            uuid: self.waldur.state().uuid(),
            name: kind.clone(),
            billing,
            description: String::new(),
            measured_unit: String::new(),
            unit_factor: 1,
            limit_period: None,
            limit_amount: None,
            article_code: String::new(),
            min_value: None,
            max_value: None,
            max_available_limit: None,
            default_limit: None,
            is_boolean: false,
            is_prepaid: false,
            kind,
        };
        let row = detail(ComponentSeed { row }).row;
        self.row.components.retain(|other| other.kind != row.kind);
        self.row.components.push(row);
        self
    }

    /// A plan; replaces the one of the same name. Without any, the offering gets one that costs nothing.
    pub fn plan(mut self, name: impl Into<String>, detail: impl FnOnce(PlanSeed) -> PlanSeed) -> Self {
        let row = self.waldur.state().blank_plan(name.into());
        let row = detail(PlanSeed { row }).row;
        self.row.plans.retain(|other| other.name != row.name);
        self.row.plans.push(row);
        self
    }

    /// Puts it on sale.
    pub fn create(mut self) -> OfferingUuid {
        let mut state = self.waldur.state();
        if self.row.slug.is_empty() {
            self.row.slug = state.slug("offering", &self.row.name);
        }
        if self.row.plans.is_empty() {
            let plan = state.blank_plan("Default plan".to_owned());
            self.row.plans.push(plan);
        }
        // A plan knows the components there were when it was made, and no later ones (recorded: 177).
        let known: Vec<PlanUuid> =
            state.offering(self.row.uuid).into_iter().flat_map(|row| row.plans.iter().map(|plan| plan.uuid)).collect();
        for plan in self.row.plans.iter_mut().filter(|plan| !known.contains(&plan.uuid)) {
            for component in &self.row.components {
                plan.prices.entry(component.kind.clone()).or_default();
                plan.quotas.entry(component.kind.clone()).or_default();
            }
        }
        let uuid = self.row.uuid;
        state.offerings.put(self.row);
        uuid
    }
}

impl State {
    fn blank_plan(&mut self, name: String) -> Plan {
        Plan {
            uuid: PlanUuid::new(self.uuid()),
            name,
            description: String::new(),
            unit: "month".to_owned(),
            archived: false,
            prices: std::collections::BTreeMap::new(),
            quotas: std::collections::BTreeMap::new(),
        }
    }
}

/// A component under construction; see [`OfferingSeed::component_with`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ComponentSeed {
    row: Component,
}

impl ComponentSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: Uuid) -> Self {
        self.row.uuid = uuid;
        self
    }

    /// What customers call it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.row.name = name.into();
        self
    }

    /// What it is counted in.
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.row.measured_unit = unit.into();
        self
    }

    /// How many of the back end's units are one of Waldur's; only generation 8 tells.
    pub fn unit_factor(mut self, factor: i64) -> Self {
        self.row.unit_factor = factor;
        self
    }

    /// What its limit counts over.
    pub fn limit_period(mut self, period: LimitPeriod) -> Self {
        self.row.limit_period = Some(period);
        self
    }

    /// The limit that a usage component has on the back end.
    pub fn limit_amount(mut self, amount: i64) -> Self {
        self.row.limit_amount = Some(amount);
        self
    }

    /// The least and the most that may be ordered.
    pub fn bounds(mut self, least: i64, most: i64) -> Self {
        (self.row.min_value, self.row.max_value) = (Some(least), Some(most));
        self
    }

    /// What is ordered unless the customer says otherwise.
    pub fn default_limit(mut self, limit: i64) -> Self {
        self.row.default_limit = Some(limit);
        self
    }

    /// Paid ahead, for months; only generation 8 tells.
    pub fn prepaid(mut self) -> Self {
        self.row.is_prepaid = true;
        self
    }
}

/// A plan under construction; see [`OfferingSeed::plan`].
#[derive(Clone, Debug)]
#[must_use]
pub struct PlanSeed {
    row: Plan,
}

impl PlanSeed {
    /// Gives it an id of the test's choice.
    pub fn uuid(mut self, uuid: impl Into<PlanUuid>) -> Self {
        self.row.uuid = uuid.into();
        self
    }

    /// What one unit of a component costs.
    pub fn price(mut self, component: impl Into<String>, price: impl Into<Decimal>) -> Self {
        self.row.prices.insert(component.into(), price.into());
        self
    }

    /// How much of a component is in the plan.
    pub fn quota(mut self, component: impl Into<String>, amount: i64) -> Self {
        self.row.quotas.insert(component.into(), amount);
        self
    }
}

impl std::fmt::Debug for OfferingSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.row.fmt(f)
    }
}
