//! `load-components`: the components of the settings file are made in Waldur, or brought to what the file says
//! (core.md §6.4).

use clap::Args;
use waldur_sdk::{
    Error, Result,
    client::{AgentMode, ComponentDefinition, OfferingComponent, WaldurClient},
    rest::TracingObserver,
    settings::{AccountingType, AgentSettings, Component, OfferingSettings},
    types::{BillingType, Limit, LimitPeriod, OfferingUuid},
};

use super::{File, printed};
use crate::{
    config::{self, ConfigError},
    exit::Exit,
    modes::{exit_of, told},
    site::Site,
};

/// What the loading may be told.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: File,
    /// Says what would be done, and writes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Only the offerings of this name; may be given again.
    #[arg(long, value_name = "NAME")]
    offering: Vec<String>,
}

pub(super) async fn main(options: &Options) -> Result<Exit, ConfigError> {
    let (settings, _) = config::load(&options.file.config)?;
    let wanted: Vec<_> = offerings(&settings, &options.offering).collect();
    if wanted.is_empty() && !options.offering.is_empty() {
        return Err(ConfigError::new("--offering: there is none of that name"));
    }
    let placeholders = wanted.iter().filter(|offering| offering.has_placeholder());
    let text = "waldur_offering_uuid: is a placeholder of an example";
    let problems = placeholders.map(|offering| format!("offering {}: {text}", offering.name)).collect();
    if let Some(problems) = ConfigError::of(problems) {
        return Err(problems);
    }
    let site = Site::networked();
    let mut exit = Exit::Done;
    for offering in wanted {
        let (of_offering, text) = match load(&site, &settings, offering, options.dry_run).await {
            Ok(outcome) => outcome,
            Err(error) => (exit_of(&error), format!("  FAILED    {}\n", told(&error))),
        };
        exit = exit.or_worse(of_offering);
        exit = printed(exit, &format!("{}\n{text}", offering.name));
    }
    Ok(exit)
}

fn offerings<'s>(settings: &'s AgentSettings, names: &'s [String]) -> impl Iterator<Item = &'s OfferingSettings> {
    settings.offerings.iter().filter(|offering| names.is_empty() || names.contains(&offering.name))
}

/// One offering's components, one after the other; one that fails stops no other.
async fn load(
    site: &Site,
    settings: &AgentSettings,
    offering: &OfferingSettings,
    dry_run: bool,
) -> Result<(Exit, String)> {
    let waldur = site.waldur(settings, offering, AgentMode::Testing, TracingObserver)?;
    let theirs = waldur.provider_offerings().get(offering.offering_uuid).await?.components;
    let (mut exit, mut text) = (Exit::Done, String::new());
    for component in offering.components.iter() {
        let known = theirs.iter().find(|known| known.kind == component.name);
        let line = match one(&waldur, offering.offering_uuid, component, known, dry_run).await {
            Ok(word) => format!("  {word:<9} {}\n", component.name),
            Err(error) => {
                exit = exit.or_worse(exit_of(&error));
                format!("  FAILED    {}: {}\n", component.name, told(&error))
            }
        };
        text.push_str(&line);
    }
    for known in theirs.iter().filter(|known| offering.components.get(&known.kind).is_none()) {
        text.extend(["  left      ", &known.kind, ": not in the file\n"]);
    }
    Ok((exit, text))
}

async fn one(
    waldur: &WaldurClient,
    offering: OfferingUuid,
    component: &Component,
    known: Option<&OfferingComponent>,
    dry_run: bool,
) -> Result<&'static str> {
    let definition = definition(component, known)?;
    let offerings = waldur.provider_offerings();
    match known {
        None if dry_run => Ok("would make"),
        None => offerings.create_component(offering, &definition).await.map(|()| "made"),
        Some(known) if is_same(&definition, known) => Ok("unchanged"),
        Some(_) if dry_run => Ok("would set"),
        Some(known) => {
            let uuid = known.uuid.ok_or_else(|| Error::config("Waldur does not say which component it is"))?;
            offerings.update_component(offering, uuid, &definition).await.map(|()| "set")
        }
    }
}

/// What Waldur is told. A period that the file does not name stays what it is: without it, Waldur would forget it.
/// Unit factors are the agent's own business.
fn definition(component: &Component, known: Option<&OfferingComponent>) -> Result<ComponentDefinition> {
    let billing = match component.accounting_type {
        AccountingType::Usage => BillingType::Usage,
        AccountingType::Limit => BillingType::Limit,
        AccountingType::One => BillingType::One,
        _ => BillingType::Fixed,
    };
    let mut definition =
        ComponentDefinition::new(&*component.name, billing, &*component.label, &*component.measured_unit);
    definition.limit_amount = limit_amount(component.limit)?;
    definition.limit_period = match &component.limit_period {
        Some(LimitPeriod::Unknown(_)) => {
            return Err(Error::config("limit_period: must be one of month, quarterly, annual, total"));
        }
        Some(period) => Some(period.clone()),
        None => known.and_then(|known| known.limit_period.clone()),
    };
    definition.description.clone_from(&component.description);
    definition.article_code.clone_from(&component.article_code);
    definition.min_value = component.min_value;
    definition.max_value = component.max_value;
    definition.max_available_limit = component.max_available_limit;
    definition.default_limit = component.default_limit;
    definition.is_boolean = component.is_boolean;
    definition.is_prepaid = component.is_prepaid;
    definition.min_prepaid_duration = component.prepaid.min_duration;
    definition.max_prepaid_duration = component.prepaid.max_duration;
    definition.prepaid_duration_step = component.prepaid.duration_step;
    definition.min_renewal_duration = component.prepaid.min_renewal;
    definition.max_renewal_duration = component.prepaid.max_renewal;
    definition.renewal_duration_step = component.prepaid.renewal_step;
    Ok(definition)
}

fn limit_amount(limit: Option<Limit>) -> Result<Option<i64>> {
    let Some(Limit::At(amount)) = limit else { return Ok(None) };
    let whole = amount.decimal().normalize().to_string().parse();
    whole.map(Some).map_err(|_| Error::config("limit: must be a whole number for Waldur"))
}

/// Whether Waldur has it so already, as far as it tells: what it does not show is sent every time.
fn is_same(wanted: &ComponentDefinition, known: &OfferingComponent) -> bool {
    let amount = wanted.limit_amount.map(Into::into);
    let told = known.billing_type.as_ref() == Some(&wanted.billing_type)
        && known.name.as_deref() == Some(&*wanted.name)
        && known.measured_unit.as_deref().unwrap_or_default() == wanted.measured_unit
        && known.limit_amount == amount
        && known.limit_period == wanted.limit_period
        && wanted.is_prepaid.is_none_or(|prepaid| known.is_prepaid == Some(prepaid));
    let mut bare =
        ComponentDefinition::new(&*wanted.kind, wanted.billing_type.clone(), &*wanted.name, &*wanted.measured_unit);
    bare.limit_amount = wanted.limit_amount;
    bare.limit_period.clone_from(&wanted.limit_period);
    bare.is_prepaid = wanted.is_prepaid;
    told && bare == *wanted
}
