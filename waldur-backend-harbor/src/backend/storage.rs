//! Between Waldur's units and bytes (harbor.md §4).

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::CreateRequest,
    settings::{AccountingType, Components},
    types::{BackendAmount, Decimal, Limit, Limits, UnitFactor, WaldurAmount},
};

use crate::{client::StorageLimit, settings::HarborSettings};

/// The component that is limited and measured.
const STORAGE: &str = "storage";

/// A default of so many gigabytes, in units. Waldur has no fractions of them.
fn default_of(unit: UnitFactor, gigabytes: Limit) -> Result<Limit> {
    let Limit::At(amount) = gigabytes else { return Ok(gigabytes) };
    let units = unit.to_waldur(BackendAmount::new(amount.decimal()))?;
    if units.decimal().is_integer() {
        return Ok(Limit::At(units));
    }
    let text = format!(
        "default_storage_quota_gb: {amount} is not a whole number of units of the component storage, whose unit_factor \
         is {}",
        unit.decimal()
    );
    Err(Error::config(text))
}

/// How storage is counted: limits and usage in one unit.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    /// Bytes of one unit: `unit_factor` × `storage_bytes_per_unit`.
    factor: UnitFactor,
    /// What a resource gets that was ordered without a limit. An error where nobody has chosen one and the usual one does
    /// not fit the unit: only an order that needs it fails.
    default: Result<Limit>,
}

impl Storage {
    /// Finds the component.
    ///
    /// # Errors
    /// `Config` when there is none, or it is not billed by limit.
    pub(super) fn of(components: &Components, settings: &HarborSettings) -> Result<Self> {
        let component = components
            .get(STORAGE)
            .ok_or_else(|| Error::config("backend_components: needs storage, with accounting_type='limit'"))?;
        if component.accounting_type != AccountingType::Limit {
            let text = "backend_components.storage: must have accounting_type='limit'";
            return Err(Error::config(text));
        }
        let bytes = component.unit_factor.decimal().checked_mul(Decimal::from(settings.bytes_per_unit));
        let bytes = bytes.ok_or_else(|| Error::config("backend_components.storage.unit_factor: is too large"))?;
        let default = default_of(component.unit_factor, settings.default_limit);
        let storage = Self { factor: UnitFactor::new(bytes)?, default };
        let checked = storage.default.clone().and_then(|limit| match storage.wire(limit) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::config("default_storage_quota_gb: is more than 1024 TiB").with_source(error)),
        });
        match checked {
            Err(error) if settings.chooses_default => Err(error),
            Err(error) => Ok(Self { default: Err(error), ..storage }),
            Ok(()) => Ok(storage),
        }
    }

    /// What a new resource is limited to, on both sides. Without a limit in the order it is the default.
    ///
    /// # Errors
    /// `Rejected` for 0 and for what is out of range; `Config` where the default is needed and does not fit.
    pub(super) fn of_create(&self, request: &CreateRequest) -> Result<(Limit, StorageLimit)> {
        let limit = request.limits.get(STORAGE).copied().map_or_else(|| self.default.clone(), Ok)?;
        Ok((limit, self.wire(limit)?))
    }

    /// What a change asks for; `None` when it is about nothing here.
    ///
    /// # Errors
    /// `Rejected` for 0 and for what is out of range.
    pub(super) fn of_limits(&self, limits: &Limits) -> Result<Option<StorageLimit>> {
        limits.get(STORAGE).map(|limit| self.wire(*limit)).transpose()
    }

    /// In Harbor's words. 0 is no limit of Harbor's: it refuses it in a change, and takes it for its own default in a
    /// creation.
    fn wire(&self, limit: Limit) -> Result<StorageLimit> {
        let refused = |cause: Option<Error>| {
            let error =
                Error::rejected("The limit of storage must be greater than 0, at most 1024 TiB, or -1 for none.");
            cause.map_or(error.clone(), |cause| error.with_source(cause))
        };
        let Limit::At(amount) = limit else { return Ok(StorageLimit::UNLIMITED) };
        let bytes = self.factor.to_backend(amount).map(|bytes| BackendAmount::new(bytes.decimal().round()));
        let bytes = bytes.and_then(BackendAmount::whole).map_err(|cause| refused(Some(cause)))?;
        StorageLimit::at_most(bytes).map_err(|cause| refused(Some(cause)))
    }

    /// One unit: what is left of a resource that was scaled down.
    ///
    /// # Errors
    /// As [`Self::of_limits`].
    pub(super) fn one_unit(&self) -> Result<StorageLimit> {
        self.wire(Limit::At(WaldurAmount::from(1_u32)))
    }

    /// In Waldur's words.
    ///
    /// # Errors
    /// `InvalidRequest` for what is out of range.
    pub(super) fn limits(&self, limit: StorageLimit) -> Result<Limits> {
        Ok([(STORAGE.to_owned(), self.limit(limit)?)].into())
    }

    /// As [`Self::limits`], without the component's name.
    ///
    /// # Errors
    /// As [`Self::limits`].
    pub(super) fn limit(&self, limit: StorageLimit) -> Result<Limit> {
        match limit.bytes() {
            None => Ok(Limit::Unlimited),
            Some(bytes) => self.factor.to_waldur(BackendAmount::from(bytes)).map(Limit::At),
        }
    }

    /// Whether limits say anything about storage.
    pub(super) fn is_named(limits: &Limits) -> bool {
        limits.contains_key(STORAGE)
    }

    /// What is to be told of the limit of a new resource: nothing where it is the one that was ordered.
    pub(super) fn told(limit: Limit, ordered: &Limits) -> Option<Limits> {
        (ordered.get(STORAGE) != Some(&limit)).then(|| [(STORAGE.to_owned(), limit)].into())
    }

    /// What is used, in Waldur's unit, to two decimals, halves up; never nothing where there is something.
    ///
    /// # Errors
    /// `InvalidRequest` for what is out of range.
    pub(super) fn usage(&self, bytes: u64) -> Result<(String, WaldurAmount)> {
        let out_of_range = || Error::new(ErrorKind::InvalidRequest, "the amount is out of range");
        let exact = self.factor.to_waldur(BackendAmount::from(bytes))?.decimal();
        let hundredths = exact.checked_mul(Decimal::ONE_HUNDRED).ok_or_else(out_of_range)?;
        let rounded = hundredths.checked_add(Decimal::new(5, 1)).ok_or_else(out_of_range)?.floor();
        let rounded = if bytes > 0 { rounded.max(Decimal::ONE) } else { rounded };
        Ok((STORAGE.to_owned(), WaldurAmount::new((rounded / Decimal::ONE_HUNDRED).normalize())))
    }
}
