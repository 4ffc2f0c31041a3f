//! Amounts in two units that cannot be mixed. `unit_factor` is the only bridge: `backend = waldur × unit_factor`.

use std::{collections::BTreeMap, fmt};

use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

use crate::error::{Error, Result};

/// An amount in the unit that Waldur sells (GB, core hours).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaldurAmount(Decimal);

/// An amount in the unit that the back end counts in (bytes, core minutes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendAmount(Decimal);

impl WaldurAmount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Wraps a number that is known to be in Waldur's unit.
    pub const fn new(amount: Decimal) -> Self {
        Self(amount)
    }

    /// The number.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// Rounded to two decimals, half to even: what a usage report carries (core.md §4.3).
    #[must_use]
    pub fn rounded(self) -> Self {
        Self(self.0.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven))
    }

    /// Less than nothing. What rounds to nothing is negative all the same.
    pub fn is_negative(self) -> bool {
        self.0.is_sign_negative() && !self.0.is_zero()
    }

    /// As [`rounded`](Self::rounded), as text with exactly two decimals (`"12.50"`): how reports of usage are written.
    pub fn two_decimals(self) -> String {
        let rounded = self.rounded().0;
        // A decimal keeps the sign of a zero.
        let rounded = if rounded.is_zero() { Decimal::ZERO } else { rounded };
        format!("{rounded:.2}")
    }
}

impl From<u32> for WaldurAmount {
    fn from(amount: u32) -> Self {
        Self(amount.into())
    }
}

impl From<i64> for WaldurAmount {
    fn from(amount: i64) -> Self {
        Self(amount.into())
    }
}

impl fmt::Display for WaldurAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl BackendAmount {
    /// Wraps a number that is known to be in the back end's unit.
    pub const fn new(amount: Decimal) -> Self {
        Self(amount)
    }

    /// The number.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// The whole part, for back ends that count in integers.
    ///
    /// # Errors
    /// `InvalidRequest` for negative amounts and for those beyond `i64::MAX`.
    pub fn whole(self) -> Result<u64> {
        self.0.trunc().to_i64().and_then(|whole| u64::try_from(whole).ok()).ok_or_else(|| {
            Error::new(crate::ErrorKind::InvalidRequest, format!("the amount {} is out of range", self.0))
        })
    }
}

impl From<u64> for BackendAmount {
    fn from(amount: u64) -> Self {
        Self(amount.into())
    }
}

impl fmt::Display for BackendAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

/// How many back-end units one Waldur unit is; greater than zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnitFactor(Decimal);

impl UnitFactor {
    /// One to one.
    pub const ONE: Self = Self(Decimal::ONE);

    /// Checks a factor.
    ///
    /// # Errors
    /// `Config` when it is not greater than zero.
    pub fn new(factor: Decimal) -> Result<Self> {
        if factor > Decimal::ZERO {
            Ok(Self(factor))
        } else {
            Err(Error::config("unit_factor: must be greater than 0"))
        }
    }

    /// The factor.
    pub const fn decimal(self) -> Decimal {
        self.0
    }

    /// Waldur's unit → the back end's.
    ///
    /// # Errors
    /// `InvalidRequest` when the product is beyond what a decimal holds.
    pub fn to_backend(self, amount: WaldurAmount) -> Result<BackendAmount> {
        amount.0.checked_mul(self.0).map(BackendAmount).ok_or_else(out_of_range)
    }

    /// The back end's unit → Waldur's.
    ///
    /// # Errors
    /// `InvalidRequest` when the quotient is beyond what a decimal holds.
    pub fn to_waldur(self, amount: BackendAmount) -> Result<WaldurAmount> {
        amount.0.checked_div(self.0).map(WaldurAmount).ok_or_else(out_of_range)
    }
}

fn out_of_range() -> Error {
    Error::new(crate::ErrorKind::InvalidRequest, "the amount is out of range")
}

/// A ceiling for one component. Zero is a ceiling like any other; "no ceiling" has its own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No ceiling. On Waldur's side `-1`.
    Unlimited,
    /// At most this much.
    At(WaldurAmount),
}

impl Limit {
    /// Reads the number of a limits map: `-1` is no ceiling, other negative numbers are refused.
    ///
    /// # Errors
    /// `InvalidRequest`, naming the component.
    pub fn from_waldur(component: &str, amount: Decimal) -> Result<Self> {
        if amount == Decimal::NEGATIVE_ONE {
            Ok(Self::Unlimited)
        } else if amount.is_sign_negative() && !amount.is_zero() {
            let text = format!("limit of {component}: must be -1 (no limit) or not negative, is {amount}");
            Err(Error::new(crate::ErrorKind::InvalidRequest, text))
        } else {
            Ok(Self::At(WaldurAmount(amount)))
        }
    }

    /// The number of a limits map; `-1` for no ceiling.
    pub fn to_waldur(self) -> Decimal {
        match self {
            Self::Unlimited => Decimal::NEGATIVE_ONE,
            Self::At(amount) => amount.0,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlimited => f.write_str("unlimited"),
            Self::At(amount) => amount.fmt(f),
        }
    }
}

/// Limits by component, in Waldur's units.
pub type Limits = BTreeMap<String, Limit>;

/// Amounts by component, in Waldur's units.
pub type Amounts = BTreeMap<String, WaldurAmount>;
