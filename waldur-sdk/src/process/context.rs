//! What a processor must know of an offering before it begins (core.md §2.1, §6.5).

use serde_json::Value;

use crate::{
    backend::OfferingFacts,
    client::{Offering, OfferingComponent, WaldurClient},
    error::{Error, Result},
    naming::{PosixOptions, UsernameOptions},
    rest::redact::escape,
    settings::{Components, WaldurComponent, Warning},
    types::{JsonObject, OfferingUuid, ServiceProviderUuid},
};

/// What the provider and Waldur together know of an offering. Load it before the back end is built, which then sees the
/// merged components.
///
/// ```no_run
/// # async fn example(waldur: waldur_sdk::client::WaldurClient, offering: waldur_sdk::types::OfferingUuid) -> waldur_sdk::Result<()> {
/// use waldur_sdk::{process::OfferingContext, settings::Components};
///
/// let context = OfferingContext::load(&waldur, offering, &Components::default()).await?;
/// for component in context.components.iter() {
///     println!("{}: {} x {}", component.name, component.unit_factor.decimal(), component.measured_unit);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OfferingContext {
    /// The offering in Waldur, its plug-in options and partitions among it.
    pub offering: Offering,
    /// The provider's own components, and those that only Waldur has.
    pub components: Components,
    /// The service provider that sells the offering; `None` when the customer is not a service provider any more. Only
    /// back ends that want SSH keys or more of a project than its name need it.
    pub service_provider: Option<ServiceProviderUuid>,
    /// What the operator should know about the merge and the offering's options.
    pub warnings: Vec<Warning>,
}

impl OfferingContext {
    /// Reads the offering and its service provider: two calls. `components` are the provider's own, for example those
    /// of the settings file ([`OfferingSettings::components`](crate::settings::OfferingSettings::components)). Where
    /// they and Waldur differ, they win. They may be empty.
    ///
    /// # Errors
    /// `NotFound` when there is no such offering, or none that this account may see; otherwise as every call.
    pub async fn load(waldur: &WaldurClient, offering: OfferingUuid, components: &Components) -> Result<Self> {
        let offering = waldur.provider_offerings().get(offering).await.map_err(|error| {
            let text = format!("offering {offering}: {}", error.message());
            Error::with_message(error, text)
        })?;
        let service_provider = match offering.customer_uuid {
            Some(customer) => waldur.service_providers().for_customer(customer).await?,
            None => None,
        };
        let readable = offering.components.iter().filter(|component| component.unreadable.is_none());
        let theirs: Vec<_> = readable.map(component).collect();
        let (components, mut warnings) = components.merge_waldur(&theirs);
        for component in &offering.components {
            if let Some(why) = &component.unreadable {
                let text = format!("Waldur's own cannot be read, and its usage is not reported: {}", escape(why));
                warnings.push(Warning::new(format!("component {}", component.kind), text));
            }
        }
        let posix = PosixOptions::read(&offering.plugin_options);
        if let Some(problem) = posix.homedir_prefix_problem().filter(|_| posix.enable_posix_account) {
            warnings.push(Warning::new("plugin_options.homedir_prefix", problem));
        }
        Ok(Self { offering, components, service_provider: service_provider.map(|provider| provider.uuid), warnings })
    }

    /// What a back end may want to know of it; for [`BuildEnv::with_facts`](crate::backend::BuildEnv::with_facts).
    pub fn facts(&self) -> OfferingFacts {
        let partitions = self.offering.partitions.iter().filter_map(|partition| partition.partition_name.clone());
        let names = UsernameOptions::read(&self.offering.plugin_options, &JsonObject::new());
        let enforce_qos = self.offering.plugin_options.get("enforce_qos").and_then(Value::as_bool);
        OfferingFacts::default()
            .service_provider(self.service_provider)
            .partitions(partitions)
            .enforce_qos(enforce_qos.unwrap_or_default())
            .anonymized_prefix(names.anonymized_prefix)
    }

    /// The provider's components that Waldur does not have. They cannot be ordered, and their usage cannot be reported.
    pub fn unknown_to_waldur(&self) -> Vec<&str> {
        let theirs = |name: &str| self.offering.components.iter().any(|component| component.kind == name);
        self.components.iter().map(|component| component.name.as_str()).filter(|name| !theirs(name)).collect()
    }
}

fn component(theirs: &OfferingComponent) -> WaldurComponent {
    let billing_type = theirs.billing_type.as_ref().map_or("", |word| word.as_str());
    let mut component = WaldurComponent::new(&*theirs.kind, billing_type);
    component.name = theirs.name.clone().unwrap_or_else(|| theirs.kind.clone());
    component.measured_unit = theirs.measured_unit.clone().unwrap_or_default();
    component.unit_factor = theirs.unit_factor;
    component.limit_amount = theirs.limit_amount;
    component.is_prepaid = theirs.is_prepaid;
    component
}
