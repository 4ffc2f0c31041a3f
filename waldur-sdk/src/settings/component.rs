//! One component of an offering (core.md §6.4).

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{Checked, RawSettings, Read, Section, Setting};
use crate::types::{BillingType, Limit, LimitPeriod, UnitFactor};

/// A component: one quantity that is sold, limited or measured.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Component {
    /// The key in `backend_components`, which is the component's type in Waldur.
    pub name: String,
    /// `label`: for people. Default the name, with a warning: the Python agent demands it.
    pub label: String,
    /// `measured_unit`: for people. Default `unit`, with a warning: the Python agent demands it.
    pub measured_unit: String,
    /// `accounting_type`: required.
    pub accounting_type: AccountingType,
    /// `unit_factor`: how many back-end units one Waldur unit is. Greater than 0, default 1.
    pub unit_factor: UnitFactor,
    /// `unit_factor_reporting`: the factor of usage reports, where it differs. Greater than 0, default none.
    pub unit_factor_reporting: Option<UnitFactor>,
    /// `limit`: `limit_amount` in Waldur, not negative, or -1 for no ceiling. For a component that is billed by usage it
    /// is also a limit that every resource gets on the back end. Default none.
    pub limit: Option<Limit>,
    /// `description`: default none.
    pub description: Option<String>,
    /// `article_code`: default none.
    pub article_code: Option<String>,
    /// `min_value`: default none.
    pub min_value: Option<i64>,
    /// `max_value`: default none.
    pub max_value: Option<i64>,
    /// `max_available_limit`: default none.
    pub max_available_limit: Option<i64>,
    /// `default_limit`: default none.
    pub default_limit: Option<i64>,
    /// `limit_period`: default none; an unknown word is kept and warned of.
    pub limit_period: Option<LimitPeriod>,
    /// `is_boolean`: default none.
    pub is_boolean: Option<bool>,
    /// `is_prepaid`: default none; always true where `accounting_type` is `one`.
    pub is_prepaid: Option<bool>,
    /// The terms of a prepaid component.
    pub prepaid: PrepaidTerms,
    /// `target_components`: the back end's components that this one is mapped to, with factors greater than 0 (core.md
    /// §4.8). Default none: the component stands for itself.
    pub target_components: BTreeMap<String, Decimal>,
    /// The whole map as written, for keys of the back end's own (`backend_name`, `enforce_limits`…).
    pub raw: RawSettings,
    /// Whether it is not in the file, and only Waldur has it
    /// ([`Components::merge_waldur`](super::Components::merge_waldur)).
    pub is_adopted: bool,
    /// How Waldur bills it; `None` where it does not have it, or was not asked.
    pub billing_type: Option<BillingType>,
}

impl Component {
    /// A component with the default of every key.
    pub fn new(name: impl Into<String>, accounting_type: AccountingType) -> Self {
        let name = name.into();
        Self {
            label: name.clone(),
            name,
            measured_unit: DEFAULT_UNIT.to_owned(),
            accounting_type,
            unit_factor: UnitFactor::ONE,
            unit_factor_reporting: None,
            limit: None,
            description: None,
            article_code: None,
            min_value: None,
            max_value: None,
            max_available_limit: None,
            default_limit: None,
            limit_period: None,
            is_boolean: None,
            is_prepaid: prepaid(accounting_type, None),
            prepaid: PrepaidTerms::default(),
            target_components: BTreeMap::new(),
            raw: RawSettings::default(),
            is_adopted: false,
            billing_type: None,
        }
    }

    /// Whether the plan alone decides: no limit and no usage of this component means anything (core.md §6.5).
    pub fn is_fixed(&self) -> bool {
        self.accounting_type == AccountingType::Fixed
    }

    /// The factor of usage reports.
    pub fn reporting_factor(&self) -> UnitFactor {
        self.unit_factor_reporting.unwrap_or(self.unit_factor)
    }

    /// Bounds that no value is within.
    fn refuse_contradictions(&self, section: &mut Section<'_>) {
        let terms = &self.prepaid;
        let months = |least: Option<u32>, most: Option<u32>| least.zip(most).is_some_and(|(least, most)| least > most);
        if self.min_value.zip(self.max_value).is_some_and(|(least, most)| least > most) {
            section.refuse("min_value", "must not be greater than max_value");
        }
        if months(terms.min_duration, terms.max_duration) {
            section.refuse("min_prepaid_duration", "must not be greater than max_prepaid_duration");
        }
        if months(terms.min_renewal, terms.max_renewal) {
            section.refuse("min_renewal_duration", "must not be greater than max_renewal_duration");
        }
    }

    pub(super) fn read(name: &str, setting: Setting<'_>) -> Read<Self> {
        setting.section(|section| Self::read_section(name, section)).required()
    }

    fn read_section(name: &str, mut section: Section<'_>) -> Read<Self> {
        const FOR_PEOPLE: &str = "is missing; the Python agent demands it";
        let accounting_type = accounting_type(&mut section);
        let is_prepaid = section.key("is_prepaid").boolean().optional();
        let component = Self {
            name: name.to_owned(),
            label: section.renamed("label", &["name"]).text().or_warn(name.to_owned(), FOR_PEOPLE),
            measured_unit: section.key("measured_unit").text().or_warn(DEFAULT_UNIT.to_owned(), FOR_PEOPLE),
            unit_factor: factor(section.key("unit_factor")).or(UnitFactor::ONE),
            unit_factor_reporting: factor(section.key("unit_factor_reporting")).optional(),
            limit: section.key("limit").decimal().try_map(limit).optional(),
            description: section.key("description").text().optional(),
            article_code: section.key("article_code").text().optional(),
            min_value: section.key("min_value").integer(..).optional(),
            max_value: section.key("max_value").integer(..).optional(),
            max_available_limit: section.key("max_available_limit").integer(..).optional(),
            default_limit: section.key("default_limit").integer(..).optional(),
            limit_period: limit_period(&mut section),
            is_boolean: section.key("is_boolean").boolean().optional(),
            prepaid: PrepaidTerms::read(&mut section),
            target_components: target_components(&mut section),
            raw: RawSettings::default(),
            is_adopted: false,
            billing_type: None,
            // Last, so that every key is read when it is missing.
            is_prepaid: prepaid(accounting_type?, is_prepaid),
            accounting_type: accounting_type?,
        };
        component.refuse_contradictions(&mut section);
        Ok(Self { raw: section.share()?, ..component })
    }
}

/// Waldur calls it `billing_type`, and so do older files; only there it may be `fixed`.
fn accounting_type(section: &mut Section<'_>) -> Read<AccountingType> {
    use AccountingType as Type;
    const OLDER: [(&str, Type); 4] =
        [("usage", Type::Usage), ("limit", Type::Limit), ("one", Type::One), ("fixed", Type::Fixed)];
    let is_older = section.contains("billing_type") && !section.contains("accounting_type");
    let words = if is_older { &OLDER[..] } else { &Type::WORDS[..] };
    let kind = section.renamed("accounting_type", &["billing_type"]).one_of(words).required()?;
    if kind == Type::Fixed {
        let text = "fixed takes neither limits nor usage; write accounting_type: limit if the back end shall limit it";
        section.warn("billing_type", text);
    }
    Ok(kind)
}

const DEFAULT_UNIT: &str = "unit";

fn factor(setting: Setting<'_>) -> Checked<'_, UnitFactor> {
    setting.decimal().try_map(|factor| UnitFactor::new(factor).map_err(|_| "must be greater than 0"))
}

fn limit(amount: Decimal) -> Result<Limit, &'static str> {
    Limit::from_waldur("", amount).map_err(|_| "must not be negative, or -1 for no limit")
}

fn limit_period(section: &mut Section<'_>) -> Option<LimitPeriod> {
    let period = section.key("limit_period").blank_is_missing().text().optional()?;
    let period = LimitPeriod::from(period.trim());
    if matches!(period, LimitPeriod::Unknown(_)) {
        section.warn("limit_period", "is none of month, quarterly, annual, total");
    }
    Some(period)
}

fn target_components(section: &mut Section<'_>) -> BTreeMap<String, Decimal> {
    let targets = section.key("target_components").map(|_, target| {
        let read = |mut section: Section<'_>| {
            let factor =
                section.key("factor").decimal().check("must be greater than 0", |factor| *factor > Decimal::ZERO);
            let factor = factor.required();
            section.finish()?;
            factor
        };
        target.section(read).required()
    });
    targets.optional().unwrap_or_default()
}

/// `one` is always prepaid (core.md §6.4).
fn prepaid(accounting_type: AccountingType, written: Option<bool>) -> Option<bool> {
    if accounting_type == AccountingType::One { Some(true) } else { written }
}

/// How a component is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AccountingType {
    /// `usage`: billed by what is reported.
    Usage,
    /// `limit`: billed by what was ordered.
    Limit,
    /// `one`: billed once, for a prepaid time.
    One,
    /// Billed by the plan alone, whatever is used. Only Waldur says so, never the file; takes neither limits nor usage
    /// (core.md §6.5).
    Fixed,
}

impl AccountingType {
    const WORDS: [(&'static str, Self); 3] = [("usage", Self::Usage), ("limit", Self::Limit), ("one", Self::One)];

    /// The word of the settings, or `fixed`.
    pub(super) fn word(self) -> &'static str {
        Self::WORDS.into_iter().find_map(|(word, one)| (one == self).then_some(word)).unwrap_or("fixed")
    }
}

impl From<&BillingType> for AccountingType {
    /// `fixed`, `few` and every word to come are [`Self::Fixed`]: nothing to limit, nothing to report.
    fn from(billing: &BillingType) -> Self {
        match billing {
            BillingType::Usage => Self::Usage,
            BillingType::Limit => Self::Limit,
            BillingType::One => Self::One,
            BillingType::Fixed | BillingType::Few | BillingType::Unknown(_) => Self::Fixed,
        }
    }
}

/// The terms of a prepaid component, in months. Each is none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrepaidTerms {
    /// `min_prepaid_duration`
    pub min_duration: Option<u32>,
    /// `max_prepaid_duration`
    pub max_duration: Option<u32>,
    /// `prepaid_duration_step`
    pub duration_step: Option<u32>,
    /// `min_renewal_duration`
    pub min_renewal: Option<u32>,
    /// `max_renewal_duration`
    pub max_renewal: Option<u32>,
    /// `renewal_duration_step`
    pub renewal_step: Option<u32>,
}

impl PrepaidTerms {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            min_duration: section.key("min_prepaid_duration").integer(0..).optional(),
            max_duration: section.key("max_prepaid_duration").integer(0..).optional(),
            duration_step: section.key("prepaid_duration_step").integer(0..).optional(),
            min_renewal: section.key("min_renewal_duration").integer(0..).optional(),
            max_renewal: section.key("max_renewal_duration").integer(0..).optional(),
            renewal_step: section.key("renewal_duration_step").integer(0..).optional(),
        }
    }
}
