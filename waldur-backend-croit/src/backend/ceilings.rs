//! From what was ordered to quotas (s3.md §5).

use std::collections::BTreeSet;

use serde_json::Value;
use waldur_sdk::{
    Error, Result,
    backend::{CreateRequest, Finding, MarketplaceResource, Outcome, Surroundings},
    settings::{AccountingType, Component, Components, Warning},
    types::{BackendAmount, Decimal, JsonObject, Limit, Limits, UnitFactor, WaldurAmount, lenient},
};

use crate::s3::{Quota, QuotaObjects, QuotaSize, Quotas};

/// The two things that can have a ceiling, as far as the offering has a component for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Ceilings {
    size: Option<Dimension>,
    objects: Option<Dimension>,
    /// Components that are billed by usage or limit, and neither limited nor measured here, with the reason.
    strangers: Vec<(String, &'static str)>,
    /// What may be ordered and is only Waldur's.
    adopted: BTreeSet<String>,
}

/// A component and where its ceiling comes from.
#[derive(Clone, Debug)]
struct Dimension {
    component: String,
    factor: UnitFactor,
    /// `enforce_limits`: absent means yes.
    enforced: bool,
    /// Where the ceiling comes from.
    accounting: AccountingType,
    /// How Waldur bills it, where that is known.
    billed: Option<AccountingType>,
    /// Counted in months (core.md §6.4): what an order names is a ceiling, but what Waldur has on record later may be
    /// what is left of it, and is not compared.
    prepaid: bool,
    /// The ceiling in the file, for who has no other.
    fixed: Option<Limit>,
    /// The names of the option, the newer first.
    options: [&'static str; 2],
}

/// What is said of the `backend_name` of a component that may be meant so.
const STRANGER: &str = "is neither storage nor objects, so the component is neither limited nor measured";

/// What is said of a component that somebody added in Waldur who does not know the file: that must not stop what was
/// running.
const NOT_IN_THE_FILE: &str = "is missing, as only Waldur has the component; it is neither limited nor measured";

/// Nothing may be stored.
const CLOSED: Limit = Limit::At(WaldurAmount::ZERO);

/// What is to become of a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish<T> {
    /// As it is.
    Keep,
    /// As it is, unless it is 0: a soft deletion closes with 0, and who orders again finds it open.
    Reopen,
    /// This one.
    Set(T),
}

/// What is to become of both ceilings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    size: Wish<QuotaSize>,
    objects: Wish<QuotaObjects>,
}

impl Ceilings {
    /// Finds the components by `backend_name`: `storage` and `objects`. Those that only Waldur has are nobody's here.
    ///
    /// # Errors
    /// `Config` when two components have one name; when one has none, or one that differs by its letters' case only, and
    /// would be unlimited by mistake; or when `storage` has no factors above 1: five gigabytes would be five bytes, and
    /// what is stored would be billed by the byte.
    pub(super) fn of(components: &Components) -> Result<Self> {
        let mut found = Self::default();
        for component in components.iter().filter(|component| !component.is_fixed()) {
            if component.is_adopted {
                found.strangers.extend(is_billed(component).then(|| (component.name.clone(), NOT_IN_THE_FILE)));
                found.adopted.insert(component.name.clone());
                continue;
            }
            let (backend_name, enforced) = own_keys(component)?;
            if backend_name == "storage" {
                must_bill_by_more_than_bytes(component)?;
            }
            let (place, options) = match backend_name.as_str() {
                "storage" => (&mut found.size, ["max_storage_limit", "storage_limit"]),
                "objects" => (&mut found.objects, ["max_object_limit", "object_limit"]),
                _ => {
                    must_be_meant(component)?;
                    found.strangers.extend(is_billed(component).then(|| (component.name.clone(), STRANGER)));
                    continue;
                }
            };
            if place.is_some() {
                let text = format!("{}: another component has the backend_name {backend_name} too", component.name);
                return Err(Error::config(text));
            }
            *place = Some(Dimension {
                component: component.name.clone(),
                factor: component.unit_factor,
                enforced,
                accounting: component.accounting_type,
                billed: component.billing_type.as_ref().map(AccountingType::from),
                prepaid: component.is_prepaid == Some(true),
                // For other components it is not a resource's limit (core.md §6.4).
                fixed: component.limit.filter(|_| component.accounting_type == AccountingType::Usage),
                options,
            });
        }
        match &found.size {
            Some(size) if size.factor.decimal() <= UnitFactor::ONE.decimal() => Err(Error::config(format!(
                "{}.unit_factor: must be given, and greater than 1: how many bytes one unit has",
                size.component
            ))),
            _ => Ok(found),
        }
    }

    /// What the operator should know at the start.
    pub(super) fn warnings(&self) -> impl Iterator<Item = Warning> {
        let warning = |(name, why): &(String, &'static str)| Warning::new(format!("{name}.backend_name"), *why);
        self.strangers.iter().map(warning)
    }

    /// The same for whoever asks later.
    pub(super) fn finding(&self) -> Option<Finding> {
        let told: Vec<_> = self.strangers.iter().map(|(name, why)| format!("{name}: backend_name {why}")).collect();
        (!told.is_empty()).then(|| Finding::new("backend_name", Outcome::Warning, told.join("; ")))
    }

    /// What a new resource wants.
    ///
    /// # Errors
    /// `Rejected` when an option is no whole number, or out of range; `Config` as [`Self::must_take_effect`].
    pub(super) fn of_create(&self, request: &CreateRequest) -> Result<Wishes> {
        self.must_take_effect(&request.limits, &request.resource)?;
        let sources = [&request.resource.options, &request.resource.attributes];
        self.wishes(|dimension| {
            if !dimension.enforced {
                return Ok(Wish::Keep);
            }
            let own = if dimension.is_ordered() {
                request.limits.get(&dimension.component).copied()
            } else {
                dimension.chosen(&sources)?
            };
            Ok(own.map_or(Wish::Reopen, Wish::Set))
        })
    }

    /// What a change of limits wants. Here 0 is a ceiling.
    ///
    /// Where the ceiling is the customer's own safety limit, only 0 counts: it closes (soft deletion). The quotas of a
    /// plan, which come with an order that changes nothing but options, must not undo the options.
    ///
    /// # Errors
    /// `Rejected` for what is out of range; `Config` as [`Self::must_take_effect`].
    pub(super) fn of_limits(&self, limits: &Limits, resource: &MarketplaceResource) -> Result<Wishes> {
        self.must_take_effect(limits, resource)?;
        self.wishes(|dimension| match limits.get(&dimension.component) {
            Some(limit) if dimension.enforced && (dimension.is_ordered() || *limit == CLOSED) => Ok(Wish::Set(*limit)),
            _ => Ok(Wish::Keep),
        })
    }

    /// What a change of options wants: 0 takes the customer's ceiling away, what is not named stays.
    ///
    /// # Errors
    /// As [`Self::of_create`].
    pub(super) fn of_options(&self, options: &JsonObject) -> Result<Wishes> {
        self.wishes(|dimension| {
            if !dimension.enforced || dimension.is_ordered() {
                return Ok(Wish::Keep);
            }
            match dimension.option(&[options])? {
                None => Ok(Wish::Keep),
                Some(_) => Ok(dimension.chosen(&[options])?.map_or(Wish::Keep, Wish::Set)),
            }
        })
    }

    /// What the resource wants without an order: the ceilings that were ordered, as far as they are told, and those that
    /// its options name. What the options leave open, or is no number, stays as it is.
    pub(super) fn of_upkeep(&self, about: &Surroundings) -> Wishes {
        let sources = [&about.resource.options, &about.resource.attributes];
        let wish = |dimension: &Dimension| {
            if !dimension.enforced {
                return Wish::Keep;
            }
            let wanted = if dimension.is_ordered() {
                about
                    .limits
                    .get(&dimension.component)
                    .copied()
                    .filter(|_| dimension.is_reported() && !dimension.prepaid)
            } else {
                dimension.chosen(&sources).ok().flatten().filter(|limit| *limit != Limit::Unlimited)
            };
            match wanted {
                Some(limit) if dimension.whole(limit).is_ok() => Wish::Set(limit),
                _ => Wish::Keep,
            }
        };
        self.wishes(|dimension| Ok(wish(dimension))).unwrap_or(Wishes::IDLE)
    }

    /// Whatever a wrong word in the file makes of it, what is sold is a ceiling. A name that is misspelt there is two
    /// components: one that Waldur does not have, and one that only Waldur has. One that is measured by the file, and sold by
    /// its limit in Waldur, has a ceiling only where the customer or the operator has chosen one.
    ///
    /// # Errors
    /// `Config` when what the limits name would have no effect for such a reason.
    fn must_take_effect(&self, limits: &Limits, resource: &MarketplaceResource) -> Result<()> {
        let sources = [&resource.options, &resource.attributes];
        for dimension in self.dimensions().filter(|dimension| dimension.enforced) {
            let (ours, ordered) = (&dimension.component, limits.get(&dimension.component));
            if dimension.is_ordered() {
                let theirs = limits.keys().find(|name| self.adopted.contains(*name));
                if let Some(theirs) = theirs.filter(|_| dimension.billed.is_none() && ordered.is_none()) {
                    return Err(Error::config(format!(
                        "{ours}: is sold by its limit, and what was ordered names {theirs}, which only Waldur has: if they \
                         are one, call it {theirs} in backend_components, too"
                    )));
                }
                continue;
            }
            let is_sold = matches!(dimension.billed, Some(AccountingType::Limit | AccountingType::One));
            let is_capped = || matches!(dimension.chosen(&sources), Ok(Some(Limit::At(_))));
            let is_ceiling = ordered.is_some_and(|limit| *limit != Limit::Unlimited && *limit != CLOSED);
            if is_sold && is_ceiling && !is_capped() {
                return Err(Error::config(format!(
                    "{ours}: is sold by its limit in Waldur, and measured by its accounting_type in backend_components: \
                     the user would have no ceiling"
                )));
            }
        }
        Ok(())
    }

    fn wishes(&self, wish: impl Fn(&Dimension) -> Result<Wish<Limit>>) -> Result<Wishes> {
        Ok(Wishes {
            size: Wish::of(self.size.as_ref(), &wish, QuotaSize::UNLIMITED, QuotaSize::at_most)?,
            objects: Wish::of(self.objects.as_ref(), &wish, QuotaObjects::UNLIMITED, QuotaObjects::at_most)?,
        })
    }

    /// The limits that a quota stands for, of the components that are billed by what was ordered. Sizes are kept in
    /// multiples of `grain` bytes.
    ///
    /// # Errors
    /// `InvalidRequest` for what is out of range.
    pub(super) fn limits(&self, quota: Quota, grain: u64) -> Result<Limits> {
        let (size, objects) = quota.effective();
        let mut limits = Limits::new();
        for (dimension, limit, grain) in [(&self.size, size.limit(), grain), (&self.objects, objects.limit(), 1)] {
            let Some(dimension) = dimension.as_ref().filter(|dimension| dimension.is_reported()) else { continue };
            let limit = match limit {
                None => Limit::Unlimited,
                Some(limit) => Limit::At(dimension.sold(limit, grain)?),
            };
            limits.insert(dimension.component.clone(), limit);
        }
        Ok(limits)
    }

    /// Whether any component is limited at all.
    pub(super) fn has_limits(&self) -> bool {
        self.dimensions().any(Dimension::is_reported)
    }

    /// Whether a user can be closed by limits of 0. One ceiling of 0 is enough: nothing may be stored then, objects of
    /// no bytes included (radosgw-api.md §3).
    pub(super) fn can_close(&self) -> bool {
        self.dimensions().any(|dimension| dimension.enforced)
    }

    /// What the operator should know when a user has no ceiling at all; nothing where the settings say so.
    pub(super) fn nothing_capped(&self, request: &CreateRequest) -> Option<Error> {
        if self.dimensions().next().is_some() && !self.can_close() {
            return None;
        }
        let resource = &request.resource;
        let seen: BTreeSet<_> =
            resource.options.keys().chain(resource.attributes.keys()).chain(request.limits.keys()).collect();
        let seen = seen.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let seen = if seen.is_empty() { "nothing" } else { seen.as_str() };
        Some(Error::config(format!("the user has no ceiling; the order names {seen}")))
    }

    /// What the operator should know of ceilings that are sold and that the order does not name, where the user is left
    /// without: an order from before the component, or the restoration of such a resource.
    pub(super) fn left_open(&self, request: &CreateRequest, found: Quota) -> Vec<Error> {
        let (size, objects) = found.effective();
        let both = [(&self.size, size.limit()), (&self.objects, objects.limit())];
        let open = both.into_iter().filter_map(|(dimension, limit)| dimension.as_ref().filter(|_| limit.is_none()));
        let open = open.filter(|dimension| dimension.enforced && dimension.is_ordered());
        let unnamed = open.filter(|dimension| !request.limits.contains_key(&dimension.component));
        let told = |dimension: &Dimension| {
            let text = "is sold by its limit, and the order names none: the user has no such ceiling";
            Error::config(format!("{} {text}", dimension.component))
        };
        unnamed.map(told).collect()
    }

    fn dimensions(&self) -> impl Iterator<Item = &Dimension> {
        [&self.size, &self.objects].into_iter().flatten()
    }
}

impl Dimension {
    /// The ordered limit is the ceiling, and no option overrules it. Else the ceiling is the customer's own safety
    /// limit.
    fn is_ordered(&self) -> bool {
        matches!(self.accounting, AccountingType::Limit | AccountingType::One)
    }

    /// Waldur has a limit to compare with (core.md §3.7).
    fn is_reported(&self) -> bool {
        self.accounting == AccountingType::Limit && self.enforced
    }

    /// The amount that a ceiling stands for. One that was rounded up to its grain stands for the whole amount that was
    /// ordered, however small: it is no other ceiling.
    fn sold(&self, ceiling: u64, grain: u64) -> Result<WaldurAmount> {
        let exact = self.factor.to_waldur(BackendAmount::from(ceiling))?;
        let whole = WaldurAmount::new(exact.decimal().floor());
        let added = Decimal::from(ceiling) - self.factor.to_backend(whole)?.decimal();
        Ok(if added < Decimal::from(grain) { whole } else { exact })
    }

    /// The customer's own ceiling, or the one in the file for who has chosen none or 0: that one is the operator's, and
    /// not the customer's to lift.
    fn chosen(&self, sources: &[&JsonObject]) -> Result<Option<Limit>> {
        let own = self.option(sources)?;
        let no_own = own.is_none_or(|limit| limit == Limit::Unlimited);
        Ok(self.fixed.filter(|_| no_own).or(own))
    }

    /// The option's value: `None` when there is none, `Unlimited` for 0. The first of `sources` that has one under either
    /// name decides: what was chosen later must not be undone by what was ordered once under another name. A blank field
    /// of a form hides what the later ones have under its own name, and nothing that is filled in under the other.
    fn option(&self, sources: &[&JsonObject]) -> Result<Option<Limit>> {
        let mut names = self.options.to_vec();
        for source in sources {
            let mut blank = Vec::new();
            for name in &names {
                let Some(value) = source.get(*name) else { continue };
                match number(name, value)? {
                    None => blank.push(*name),
                    chosen => return Ok(chosen),
                }
            }
            names.retain(|name| !blank.contains(name));
        }
        Ok(None)
    }

    /// The ceiling in bytes or objects, cut to a whole number.
    fn whole(&self, limit: Limit) -> Result<Option<u64>> {
        match limit {
            Limit::Unlimited => Ok(None),
            Limit::At(amount) => {
                let whole = self.factor.to_backend(amount).and_then(BackendAmount::whole);
                whole.map(Some).map_err(|cause| self.out_of_range(cause))
            }
        }
    }

    fn out_of_range(&self, cause: Error) -> Error {
        Error::rejected(format!("The limit of {} is out of range.", self.component)).with_source(cause)
    }
}

impl<T> Wish<T> {
    /// What is wished for a dimension, in the gateway's words.
    fn of(
        dimension: Option<&Dimension>,
        wish: impl FnOnce(&Dimension) -> Result<Wish<Limit>>,
        unlimited: T,
        at_most: impl FnOnce(u64) -> Result<T>,
    ) -> Result<Self> {
        let Some(dimension) = dimension else { return Ok(Self::Keep) };
        Ok(match wish(dimension)? {
            Wish::Keep => Self::Keep,
            Wish::Reopen => Self::Reopen,
            Wish::Set(limit) => Self::Set(match dimension.whole(limit)? {
                None => unlimited,
                Some(amount) => at_most(amount).map_err(|cause| dimension.out_of_range(cause))?,
            }),
        })
    }
}

impl Wishes {
    /// Nothing.
    const IDLE: Self = Self { size: Wish::Keep, objects: Wish::Keep };

    /// Whether nothing is wanted, whatever the quotas are.
    pub(super) fn are_idle(self) -> bool {
        self.size == Wish::Keep && self.objects == Wish::Keep
    }

    /// The quotas that fulfil the wishes: the same ceilings on the user and on each bucket, since a quota on buckets
    /// alone bounds nothing.
    pub(super) fn over(self, current: Quotas) -> Quotas {
        Quotas::new(self.over_one(current.user_quota), self.over_one(current.bucket_quota))
    }

    fn over_one(self, current: Quota) -> Quota {
        let (size, objects) = current.effective();
        let size = match self.size {
            Wish::Set(size) => size,
            Wish::Reopen if size.limit() == Some(0) => QuotaSize::UNLIMITED,
            Wish::Keep | Wish::Reopen => size,
        };
        let objects = match self.objects {
            Wish::Set(objects) => objects,
            Wish::Reopen if objects.limit() == Some(0) => QuotaObjects::UNLIMITED,
            Wish::Keep | Wish::Reopen => objects,
        };
        Quota { check_on_raw: current.check_on_raw, ..Quota::new(size, objects) }
    }
}

/// What an option of that name says; `None` for a blank one.
///
/// # Errors
/// `Rejected` when it is no whole number.
fn number(name: &str, value: &Value) -> Result<Option<Limit>> {
    let refused = || Error::rejected(format!("{name} must be a whole number, 0 or more."));
    match lenient::decimal(value).map_err(|cause| refused().with_source(cause))? {
        None => Ok(None),
        Some(number) if number.is_zero() => Ok(Some(Limit::Unlimited)),
        Some(number) if number.is_sign_positive() && number.is_integer() => {
            Ok(Some(Limit::At(WaldurAmount::new(number))))
        }
        Some(_) => Err(refused()),
    }
}

/// The names by which components are found.
const NAMES: [&str; 2] = ["storage", "objects"];

fn is_billed(component: &Component) -> bool {
    matches!(component.accounting_type, AccountingType::Usage | AccountingType::Limit)
}

/// # Errors
/// `Config` when a component has no `backend_name`, or has one of ours in other letters: it would neither be limited nor
/// billed, and nobody would have meant that.
fn must_be_meant(component: &Component) -> Result<()> {
    let refused = |rule: &str| Err(Error::config(format!("{}.backend_name: {rule}", component.name)));
    match given_keys(component)?.0 {
        None if is_billed(component) => refused("must be given: storage, objects, or what else the component is"),
        Some(name) => match NAMES.iter().find(|known| name.trim().eq_ignore_ascii_case(known)) {
            Some(known) => refused(&format!("must be written {known}")),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// # Errors
/// `Config` when usage would be divided by one byte or less, however large the unit of the limit is.
fn must_bill_by_more_than_bytes(component: &Component) -> Result<()> {
    match component.unit_factor_reporting {
        Some(factor) if is_billed(component) && factor.decimal() <= UnitFactor::ONE.decimal() => {
            let rule = "must be greater than 1: how many bytes one unit has";
            Err(Error::config(format!("{}.unit_factor_reporting: {rule}", component.name)))
        }
        _ => Ok(()),
    }
}

/// `backend_name` (default the component's own name) and `enforce_limits`.
pub(crate) fn own_keys(component: &Component) -> Result<(String, bool)> {
    let (backend_name, enforced) = given_keys(component)?;
    Ok((backend_name.unwrap_or_else(|| component.name.clone()), enforced))
}

fn given_keys(component: &Component) -> Result<(Option<String>, bool)> {
    let (keys, _all_known_by_now) = component.raw.read(|mut section| {
        let backend_name = section.key("backend_name").blank_is_missing().text().optional();
        let enforced = section.key("enforce_limits").boolean().or(true);
        section.share().map(|_| (backend_name, enforced))
    })?;
    Ok(keys)
}
