//! How components are billed.

use crate::open_enum;

open_enum! {
    /// How a component is paid for (core.md §1.5).
    pub enum BillingType {
        /// By the month, whatever is used.
        Fixed = "fixed",
        /// By what was used.
        Usage = "usage",
        /// By the limit that was ordered.
        Limit = "limit",
        /// Once, when the resource begins.
        One = "one",
        /// Whenever the plan changes.
        Few = "few",
    }
}

open_enum! {
    /// Over what time a limit counts (core.md §1.5).
    pub enum LimitPeriod {
        /// A month.
        Month = "month",
        /// Three months.
        Quarterly = "quarterly",
        /// A year.
        Annual = "annual",
        /// The life of the resource.
        Total = "total",
    }
}
