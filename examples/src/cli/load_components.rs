//! `load-components`: the components of the settings file are made in Waldur, or brought to what the file says
//! (core.md §6.4). Each is said as soon as it is done; asked to stop, the one under way is finished, and the others are
//! said to be left.

use clap::Args;
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::Cancellation,
    client::{AgentMode, ComponentDefinition, OfferingComponent, WaldurClient},
    rest::TracingObserver,
    settings::{AccountingType, AgentSettings, Component, OfferingSettings},
    types::{BillingType, Limit, LimitPeriod, OfferingUuid},
};

use super::{
    File, offerings,
    opening::{Opened, Refusal, open},
    printed, signals,
};
use crate::{config::ConfigError, exit::Exit, log::Form, modes::exit_of, site::Site};

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

pub(super) async fn main(options: &Options) -> Result<Exit, Refusal> {
    let Opened { settings, log: _until_the_end, .. } = open(&options.file.config, Form::Beside)?;
    let wanted = offerings(&settings, &options.offering)?;
    let placeholders = wanted.iter().filter(|offering| offering.has_placeholder());
    let text = "waldur_offering_uuid: is a placeholder of an example";
    let problems = placeholders.map(|offering| format!("offering {}: {text}", offering.name)).collect();
    if let Some(problems) = ConfigError::of(problems) {
        return Err(problems.into());
    }
    let events = signals::events().map_err(|cause| Refusal::io("signals cannot be handled", &cause))?;
    let mut loading = Loading { stop: Cancellation::default(), dry_run: options.dry_run, exit: Exit::Done, to: stdout };
    let stop = loading.stop.clone();
    let site = Site::networked();
    let work = async {
        for offering in wanted {
            loading.offering(&site, &settings, offering).await;
        }
    };
    if signals::heeding(events, &stop, work).await.is_none() {
        loading.note(Exit::Temporary);
        loading.say("What was under way may be done or not, and what is not listed here was not done.\n");
    }
    Ok(loading.exit)
}

fn stdout(text: &str) -> Exit {
    printed(Exit::Done, text)
}

/// A loading under way, and what came of it so far.
struct Loading<W> {
    stop: Cancellation,
    dry_run: bool,
    exit: Exit,
    /// Where each line goes.
    to: W,
}

impl<W: FnMut(&str) -> Exit> Loading<W> {
    fn say(&mut self, text: &str) {
        let exit = (self.to)(text);
        self.note(exit);
    }

    fn note(&mut self, exit: Exit) {
        self.exit = self.exit.or_worse(exit);
    }

    /// One offering's components, one after the other; one that fails stops no other.
    async fn offering(&mut self, site: &Site, settings: &AgentSettings, offering: &OfferingSettings) {
        self.say(&format!("{}\n", offering.name));
        match known(site, settings, offering, &self.stop).await {
            Ok((waldur, theirs)) => self.components(&waldur, offering, &theirs).await,
            Err(error) => {
                self.note(exit_of(&error));
                self.say(&format!("  FAILED     {error:#}\n"));
            }
        }
    }

    async fn components(&mut self, waldur: &WaldurClient, offering: &OfferingSettings, theirs: &[OfferingComponent]) {
        for component in offering.components.iter() {
            let name = &component.name;
            if self.stop.is_cancelled() {
                self.note(Exit::Temporary);
                self.say(&format!("  not done   {name}: asked to stop\n"));
                continue;
            }
            let known = theirs.iter().find(|known| known.kind == *name);
            match one(waldur, offering.offering_uuid, component, known, self.dry_run).await {
                Ok((word, what)) => self.say(&format!("  {word:<10} {name}{what}\n")),
                Err(error) => {
                    self.note(exit_of(&error));
                    self.say(&format!("  FAILED     {name}: {error:#}\n"));
                }
            }
        }
        for known in theirs.iter().filter(|known| offering.components.get(&known.kind).is_none()) {
            self.say(&format!("  left       {}: not in the file\n", known.kind));
        }
    }
}

/// The way to an offering, and the components that it has.
async fn known(
    site: &Site,
    settings: &AgentSettings,
    offering: &OfferingSettings,
    stop: &Cancellation,
) -> Result<(WaldurClient, Vec<OfferingComponent>)> {
    if stop.is_cancelled() {
        return Err(Error::new(ErrorKind::Cancelled, "asked to stop, nothing of it was done"));
    }
    let waldur = site.waldur(settings, offering, AgentMode::Testing, TracingObserver)?;
    let theirs = waldur.provider_offerings().get(offering.offering_uuid).await?.components;
    Ok((waldur, theirs))
}

async fn one(
    waldur: &WaldurClient,
    offering: OfferingUuid,
    component: &Component,
    known: Option<&OfferingComponent>,
    dry_run: bool,
) -> Result<(&'static str, String)> {
    let definition = definition(component, known)?;
    let offerings = waldur.provider_offerings();
    let Some(known) = known else {
        if dry_run {
            return Ok(("would make", String::new()));
        }
        return offerings.create_component(offering, &definition).await.map(|()| ("made", String::new()));
    };
    let differences = differences(&definition, known);
    let what = format!(": {}", differences.join(", "));
    if differences.is_empty() {
        Ok(("unchanged", String::new()))
    } else if dry_run {
        Ok(("would set", what))
    } else {
        let uuid = known.uuid.ok_or_else(|| Error::config("Waldur does not say which component it is"))?;
        offerings.update_component(offering, uuid, &definition).await.map(|()| ("set", what))
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

/// What Waldur has otherwise. What it does not show is sent every time.
fn differences(wanted: &ComponentDefinition, known: &OfferingComponent) -> Vec<&'static str> {
    let amount = wanted.limit_amount.map(Into::into);
    let told = [
        ("accounting_type", known.billing_type.as_ref() == Some(&wanted.billing_type)),
        ("label", known.name.as_deref() == Some(&*wanted.name)),
        ("measured_unit", known.measured_unit.as_deref().unwrap_or_default() == wanted.measured_unit),
        ("limit", known.limit_amount == amount),
        ("limit_period", known.limit_period == wanted.limit_period),
        ("is_prepaid", wanted.is_prepaid.is_none_or(|prepaid| known.is_prepaid == Some(prepaid))),
    ];
    let mut differences: Vec<_> = told.into_iter().filter(|(_, same)| !same).map(|(key, _)| key).collect();
    let mut bare =
        ComponentDefinition::new(&*wanted.kind, wanted.billing_type.clone(), &*wanted.name, &*wanted.measured_unit);
    bare.limit_amount = wanted.limit_amount;
    bare.limit_period.clone_from(&wanted.limit_period);
    bare.is_prepaid = wanted.is_prepaid;
    if bare != *wanted {
        differences.push("what Waldur does not show");
    }
    differences
}
