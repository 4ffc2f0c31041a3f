//! Offerings as their provider sees them (core.md §1.6 #3, #43): `/api/marketplace-provider-offerings/`.

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    accounts::{ProjectAccount, accounts},
    answer::{explain, explain_newer},
    attributes::AttributeExposure,
    fields,
};
use crate::{
    error::Result,
    naming::UsernameOptions,
    open_enum,
    rest::{Pager, RestClient},
    types::{BackendId, BillingType, ComponentUuid, CustomerUuid, JsonObject, LimitPeriod, OfferingUuid, lenient},
};

open_enum! {
    /// Whether an offering is on sale (core.md §1.5).
    pub enum OfferingState {
        /// Being prepared.
        Draft = "Draft",
        /// On sale.
        Active = "Active",
        /// Not on sale for now.
        Paused = "Paused",
        /// Not on sale any more.
        Archived = "Archived",
        /// Not to be used at all for now.
        Unavailable = "Unavailable",
    }
}

/// An offering: a service on sale.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Offering {
    /// Identifies the offering.
    pub uuid: OfferingUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Whether it is on sale.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<OfferingState>,
    /// The customer that provides it.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub customer_uuid: Option<CustomerUuid>,
    /// The name of that customer.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_name: Option<String>,
    /// Its name on the back end, since 8.x.
    #[serde(default, deserialize_with = "lenient::text")]
    pub backend_id: Option<String>,
    /// What is counted. An entry that cannot be read is there with its key alone and says
    /// [why](OfferingComponent::unreadable); one without a key is left out.
    #[serde(default, deserialize_with = "components")]
    pub components: Vec<OfferingComponent>,
    /// The partitions of a cluster, since 8.x.
    #[serde(default, deserialize_with = "lenient::readable")]
    pub partitions: Vec<OfferingPartition>,
    /// The options of its plug-in: `username_generation_policy`, `service_provider_can_create_offering_user`,
    /// `enforce_qos`…
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub plugin_options: JsonObject,
}

/// One thing that an offering counts.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct OfferingComponent {
    /// Identifies the component.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub uuid: Option<ComponentUuid>,
    /// Its key in limits, quotas and usage.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name, for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Its unit, for people.
    #[serde(default, deserialize_with = "lenient::text")]
    pub measured_unit: Option<String>,
    /// How it is paid for.
    #[serde(default, deserialize_with = "lenient::word")]
    pub billing_type: Option<BillingType>,
    /// How many back-end units one Waldur unit is, since 8.x.
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub unit_factor: Option<Decimal>,
    /// The most that a resource may use in a period.
    #[serde(default, deserialize_with = "lenient::decimal")]
    pub limit_amount: Option<Decimal>,
    /// That period.
    #[serde(default, deserialize_with = "lenient::word")]
    pub limit_period: Option<LimitPeriod>,
    /// Whether its limit is paid in advance, since 8.x.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_prepaid: Option<bool>,
    /// Why nothing is known of it but its key, if so.
    #[serde(skip)]
    pub unreadable: Option<String>,
}

/// One that cannot be read is no reason to know nothing of the others.
fn components<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<OfferingComponent>, D::Error> {
    #[derive(Deserialize)]
    struct Key {
        #[serde(rename = "type")]
        kind: String,
    }
    let entries = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    let read = |entry: Value| match OfferingComponent::deserialize(&entry) {
        Ok(component) => Some(component),
        Err(error) => {
            let Key { kind } = Key::deserialize(&entry).ok()?;
            let bare = serde_json::json!({ "type": kind });
            let bare: Option<OfferingComponent> = serde_json::from_value(bare).ok();
            bare.map(|bare| OfferingComponent { unreadable: Some(error.to_string()), ..bare })
        }
    };
    Ok(entries.into_iter().filter_map(read).collect())
}

/// A partition of a cluster.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct OfferingPartition {
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub partition_name: Option<String>,
}

/// How a back-end id is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackendIdCheck {
    /// Whether the resources of all offerings of the same customer count, not only those of this one.
    #[serde(rename = "check_all_offerings")]
    pub all_offerings: bool,
    /// Whether the offering's own rules for back-end ids apply.
    #[serde(rename = "use_offering_rules")]
    pub offering_rules: bool,
}

impl BackendIdCheck {
    /// Counts the resources of all offerings.
    #[must_use]
    pub fn all_offerings(mut self) -> Self {
        self.all_offerings = true;
        self
    }

    /// Applies the offering's own rules.
    #[must_use]
    pub fn offering_rules(mut self) -> Self {
        self.offering_rules = true;
        self
    }
}

/// What Waldur knows about a back-end id.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct BackendIdVerdict {
    /// Whether no resource has it.
    pub is_unique: bool,
    /// Whether it follows the offering's rules; `None` when they were not applied.
    #[serde(default)]
    pub is_valid_format: Option<bool>,
    /// What the rules hold against it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub errors: Vec<String>,
}

/// The calls about offerings for their provider.
#[derive(Clone, Copy, Debug)]
pub struct ProviderOfferings<'a> {
    pub(super) rest: &'a RestClient,
}

impl<'a> ProviderOfferings<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Reads an offering (#3). Its secret options are not asked for.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, offering: OfferingUuid) -> Result<Offering> {
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/";
        let call = self.rest.get("provider_offerings.get", PATH, &[&offering.hex()]);
        fields::select::<Offering>(call).send_json().await.map_err(explain)
    }

    /// Reads who names users at the offering (#3; usernames.md §1). One of the options is secret on a server of 2024;
    /// nothing else of the secret ones is kept.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn username_options(self, offering: OfferingUuid) -> Result<UsernameOptions> {
        #[derive(Deserialize)]
        struct Options {
            #[serde(default, deserialize_with = "lenient::object")]
            plugin_options: JsonObject,
            #[serde(default, deserialize_with = "lenient::object")]
            secret_options: JsonObject,
        }
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/";
        let call = self.rest.get("provider_offerings.username_options", PATH, &[&offering.hex()]);
        let options: Options = fields::select::<Options>(call).send_json().await.map_err(explain)?;
        Ok(UsernameOptions::read(&options.plugin_options, &options.secret_options))
    }

    /// Reads what the offering is told of its users (#9). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024.
    pub async fn exposed_attributes(self, offering: OfferingUuid) -> Result<AttributeExposure> {
        #[derive(Deserialize)]
        struct Config {
            #[serde(default, deserialize_with = "lenient::or_default")]
            exposed_fields: Vec<String>,
        }
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/user-attribute-config/";
        let call = self.rest.get("provider_offerings.exposed_attributes", PATH, &[&offering.hex()]);
        let config: Config = call.send_json().await.map_err(explain_newer)?;
        Ok(AttributeExposure::new(config.exposed_fields))
    }

    /// Lists the service accounts of projects that have resources of the offering (#57). Since 8.x; a server of 2024
    /// answers `Unsupported`.
    pub fn service_accounts(self, offering: OfferingUuid) -> Pager<ProjectAccount> {
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/list_project_service_accounts/";
        accounts(self.rest.get("provider_offerings.service_accounts", PATH, &[&offering.hex()]))
    }

    /// Lists the accounts of courses that have resources of the offering (#57). As [`Self::service_accounts`].
    pub fn course_accounts(self, offering: OfferingUuid) -> Pager<ProjectAccount> {
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/list_course_accounts/";
        accounts(self.rest.get("provider_offerings.course_accounts", PATH, &[&offering.hex()]))
    }

    /// Asks whether a back-end id is free (#43). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024.
    pub async fn check_unique_backend_id(
        self,
        offering: OfferingUuid,
        backend_id: &BackendId,
        check: &BackendIdCheck,
    ) -> Result<BackendIdVerdict> {
        #[derive(Serialize)]
        struct Question<'a> {
            backend_id: &'a BackendId,
            #[serde(flatten)]
            check: &'a BackendIdCheck,
        }
        const PATH: &str = "/api/marketplace-provider-offerings/{offering}/check_unique_backend_id/";
        let call = self.rest.post("provider_offerings.check_unique_backend_id", PATH, &[&offering.hex()]);
        call.json(&Question { backend_id, check }).idempotent().send_json().await.map_err(explain_newer)
    }
}
