//! The words that the client, the back ends and the processors share: identifiers, amounts, limits.

mod amount;
mod id;
pub mod lenient;
mod open_enum;

pub use amount::{Amounts, BackendAmount, Limit, Limits, UnitFactor, WaldurAmount};
pub use id::{
    BackendId, CustomerUuid, OfferingUserUuid, OfferingUuid, OrderUuid, PlanUuid, ProjectUuid, ResourceUuid, UserUuid,
};
pub use jiff::{Timestamp, civil::Date};
pub use rust_decimal::Decimal;
pub use uuid::Uuid;
