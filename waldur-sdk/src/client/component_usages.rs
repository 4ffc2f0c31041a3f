//! Usage that was reported (core.md §1.6 #60 to #64): `/api/marketplace-component-usages/` and
//! `/api/marketplace-component-user-usages/`.

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    answer::{explain, explain_newer},
    fields, list,
};
use crate::{
    error::Result,
    rest::{Call, Pager, RestClient},
    types::{
        Amounts, ComponentUsageUuid, ComponentUserUsageUuid, OfferingUuid, Personal, PlanPeriodUuid, PlanUuid,
        ResourceUuid, Uuid, WaldurAmount, lenient,
    },
};

/// What was reported of one component of a resource in one month.
///
/// A resource that changed its plan within the month has several of one component: one for each plan.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ComponentUsage {
    /// Identifies it.
    pub uuid: ComponentUsageUuid,
    /// The component's key in limits, quotas and usage.
    #[serde(rename = "type")]
    pub kind: String,
    /// The amount, in Waldur's units: two decimals at most.
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub usage: Option<Decimal>,
    /// The resource. Not said within a [`PlanPeriod`].
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub resource_uuid: Option<ResourceUuid>,
    /// The first day of the month. Not said within a [`PlanPeriod`].
    #[serde(default, deserialize_with = "lenient::date")]
    pub billing_period: Option<Date>,
}

/// The share of one user in a [`ComponentUsage`].
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ComponentUserUsage {
    /// Identifies it.
    pub uuid: ComponentUserUsageUuid,
    /// What it is a share of.
    #[serde(default, deserialize_with = "linked")]
    pub component_usage: Option<ComponentUsageUuid>,
    /// The component's key.
    #[serde(default, deserialize_with = "lenient::text")]
    pub component_type: Option<String>,
    /// The resource.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub resource_uuid: Option<ResourceUuid>,
    /// The first day of the month, since 8.x.
    #[serde(default, deserialize_with = "lenient::date")]
    pub billing_period: Option<Date>,
    /// The user name at the offering.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
    /// The amount, in Waldur's units.
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub usage: Option<Decimal>,
    /// The address of the account at the offering that the share belongs to, if it was reported with one.
    #[serde(default, deserialize_with = "lenient::text")]
    pub user: Option<String>,
}

/// The last segment of a hyperlink.
fn linked<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<Uuid>,
{
    let link = lenient::text(deserializer)?;
    let id = link.as_deref().and_then(|link| link.trim_end_matches('/').rsplit('/').next());
    Ok(id.and_then(|id| Uuid::try_parse(id).ok()).map(T::from))
}

/// The time in which a resource was on one plan, with what was reported for it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct PlanPeriod {
    /// Identifies it.
    pub uuid: PlanPeriodUuid,
    /// The plan.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub plan_uuid: Option<PlanUuid>,
    /// The name of the plan.
    #[serde(default, deserialize_with = "lenient::text")]
    pub plan_name: Option<String>,
    /// When it began.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub start: Option<Timestamp>,
    /// When it ended; `None` while it lasts.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub end: Option<Timestamp>,
    /// What was reported for it, in all months. `None` when Waldur does not say.
    #[serde(default)]
    pub components: Option<Vec<ComponentUsage>>,
}

/// Which usage to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageQuery {
    /// Only of resources of this offering.
    pub offering: Option<OfferingUuid>,
    /// Only of this resource.
    pub resource: Option<ResourceUuid>,
    /// Only of the month that begins on this day.
    pub billing_period: Option<Date>,
    /// Only of this component.
    pub component: Option<String>,
}

impl UsageQuery {
    /// The usage of all resources of `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering: Some(offering), ..Self::default() }
    }

    /// The usage of `resource`.
    pub fn resource(resource: ResourceUuid) -> Self {
        Self { resource: Some(resource), ..Self::default() }
    }

    /// Only of the month that begins on `first_day`.
    #[must_use]
    pub fn billing_period(mut self, first_day: Date) -> Self {
        self.billing_period = Some(first_day);
        self
    }

    /// Only of the component `kind`.
    #[must_use]
    pub fn component(mut self, kind: impl Into<String>) -> Self {
        self.component = Some(kind.into());
        self
    }

    fn of(&self, call: Call, billing_period: &str) -> Call {
        call.query_opt("offering_uuid", self.offering)
            .query_opt("resource_uuid", self.resource)
            .query_opt(billing_period, self.billing_period)
            .query_opt("type", self.component.as_ref())
    }
}

/// What a report of usage is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsageTarget {
    /// The resource; Waldur finds the plan that it is on.
    Resource(ResourceUuid),
    /// The resource while it was on one plan.
    PlanPeriod(PlanPeriodUuid),
}

/// A report of usage: amounts of one resource in one month, which replace what was reported before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageSubmission {
    /// What it is about.
    pub target: UsageTarget,
    /// An instant of the month; the current month if none is given. **A server of 2024 ignores it** and takes every
    /// report for one of the current month (recorded: 211_set_usage_date).
    pub date: Option<Timestamp>,
    /// The amounts by component, in Waldur's units. They are rounded to two decimals, half to even: more are refused
    /// (recorded: 199_set_usage_3_decimals).
    pub usages: Amounts,
}

impl UsageSubmission {
    /// A report about `resource` in the current month.
    pub fn new(resource: ResourceUuid, usages: Amounts) -> Self {
        Self { target: UsageTarget::Resource(resource), date: None, usages }
    }

    /// A report about a resource while it was on one plan.
    pub fn of_plan_period(period: PlanPeriodUuid, usages: Amounts) -> Self {
        Self { target: UsageTarget::PlanPeriod(period), date: None, usages }
    }

    /// About the month in which `date` lies.
    #[must_use]
    pub fn date(mut self, date: Timestamp) -> Self {
        self.date = Some(date);
        self
    }
}

impl Serialize for UsageSubmission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Report<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            resource: Option<ResourceUuid>,
            #[serde(skip_serializing_if = "Option::is_none")]
            plan_period: Option<PlanPeriodUuid>,
            #[serde(skip_serializing_if = "Option::is_none")]
            date: Option<Timestamp>,
            usages: Vec<Item<'a>>,
        }
        #[derive(Serialize)]
        struct Item<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            amount: String,
        }
        let (resource, plan_period) = match self.target {
            UsageTarget::Resource(resource) => (Some(resource), None),
            UsageTarget::PlanPeriod(period) => (None, Some(period)),
        };
        let usages = self.usages.iter().map(|(kind, amount)| Item { kind, amount: amount.two_decimals() }).collect();
        Report { resource, plan_period, date: self.date, usages }.serialize(serializer)
    }
}

/// The share of one user, as it is reported. It replaces what was reported for the same user name before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserUsage {
    /// The user name at the offering: 1 to 100 characters. It need not be known to Waldur.
    pub username: Personal,
    /// The amount, in Waldur's units. It is rounded to two decimals, half to even.
    pub usage: WaldurAmount,
    /// The address of the account at the offering ([`OfferingUser::url`](super::OfferingUser::url)), if there is one.
    /// Without it Waldur forgets the one of an earlier report (recorded: 243_user_usage_again, 247_user_usages_list).
    pub user: Option<String>,
    /// An instant of the month. A server of 2024 ignores it.
    pub date: Option<Timestamp>,
}

impl UserUsage {
    /// A share.
    pub fn new(username: impl Into<Personal>, usage: WaldurAmount) -> Self {
        Self { username: username.into(), usage, user: None, date: None }
    }

    /// Names the account at the offering.
    #[must_use]
    pub fn user(mut self, url: impl Into<String>) -> Self {
        self.user = Some(url.into());
        self
    }

    /// Of the month in which `date` lies.
    #[must_use]
    pub fn date(mut self, date: Timestamp) -> Self {
        self.date = Some(date);
        self
    }

    /// An answer may repeat who it was about; no error shows that.
    fn hide(&self, call: Call) -> Call {
        call.secret(&SecretString::from(self.username.as_str()))
    }
}

impl Serialize for UserUsage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Share<'a> {
            username: &'a Personal,
            usage: String,
            #[serde(skip_serializing_if = "Option::is_none")]
            date: Option<Timestamp>,
            #[serde(skip_serializing_if = "Option::is_none")]
            user: Option<&'a str>,
        }
        let usage = self.usage.two_decimals();
        Share { username: &self.username, usage, date: self.date, user: self.user.as_deref() }.serialize(serializer)
    }
}

/// The calls about usage.
#[derive(Clone, Copy, Debug)]
pub struct ComponentUsages<'a> {
    rest: &'a RestClient,
}

impl<'a> ComponentUsages<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists what was reported (#60).
    pub fn list(self, query: &UsageQuery) -> Pager<ComponentUsage> {
        let call = self.rest.get("component_usages.list", "/api/marketplace-component-usages/", &[]).must_exist();
        let call = fields::select::<ComponentUsage>(query.of(call, "billing_period"));
        list::bulk(call, explain, |row: &ComponentUsage| row.uuid.hex())
    }

    /// Lists the shares of users (#61). Not every server filters them by month: compare
    /// [`ComponentUserUsage::component_usage`] with what [`list`](Self::list) says of the month.
    pub fn list_of_users(self, query: &UsageQuery) -> Pager<ComponentUserUsage> {
        let call = self.rest.get("component_usages.list_of_users", "/api/marketplace-component-user-usages/", &[]);
        let call = fields::select::<ComponentUserUsage>(query.of(call, "component_usage__billing_period"));
        list::bulk(call, explain, |row: &ComponentUserUsage| row.uuid.hex())
    }

    /// Lists the plans that a resource was on, with what was reported for each. The server does not page this list.
    pub fn plan_periods(self, resource: ResourceUuid) -> Pager<PlanPeriod> {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/plan_periods/";
        let call = self.rest.get("component_usages.plan_periods", PATH, &[&resource.hex()]);
        list::bare(call, explain, |period: &PlanPeriod| period.uuid.hex())
    }

    /// Reports usage (#62). Repeating it changes nothing.
    ///
    /// # Errors
    /// `InvalidRequest` when the resource is neither `OK` nor `Updating` nor `Terminating` (recorded:
    /// 311_usage_while_erred), when a component takes no usage (the whole report is refused then), or when the month is
    /// over and may not be reported any more.
    pub async fn set_usage(self, usage: &UsageSubmission) -> Result<()> {
        self.report(usage).idempotent().send_unit().await.map_err(explain)
    }

    /// Reports usage, but does not repeat what may have arrived: for a server that takes every report for one of the
    /// month in which it gets it, when that month is about to end.
    ///
    /// # Errors
    /// As [`set_usage`](Self::set_usage).
    pub async fn set_usage_once(self, usage: &UsageSubmission) -> Result<()> {
        self.report(usage).send_unit().await.map_err(explain)
    }

    fn report(self, usage: &UsageSubmission) -> Call {
        const PATH: &str = "/api/marketplace-component-usages/set_usage/";
        self.rest.post("component_usages.set_usage", PATH, &[]).json(usage)
    }

    /// Reports the shares of several users at once (#63): all or none. Repeating it changes nothing. Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024: see [`set_user_usage`](Self::set_user_usage).
    pub async fn set_user_usages(self, usage: ComponentUsageUuid, shares: &[UserUsage]) -> Result<()> {
        #[derive(Serialize)]
        struct Shares<'a> {
            usages: &'a [UserUsage],
        }
        const PATH: &str = "/api/marketplace-component-usages/{usage}/set_user_usages/";
        let call = self.rest.post("component_usages.set_user_usages", PATH, &[&usage.hex()]);
        let call = shares.iter().fold(call.json(&Shares { usages: shares }), |call, share| share.hide(call));
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Reports the share of one user (#64). Repeating it changes nothing.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_user_usage(self, usage: ComponentUsageUuid, share: &UserUsage) -> Result<()> {
        const PATH: &str = "/api/marketplace-component-usages/{usage}/set_user_usage/";
        let call = self.rest.post("component_usages.set_user_usage", PATH, &[&usage.hex()]).json(share);
        share.hide(call).idempotent().send_unit().await.map_err(explain)
    }
}
