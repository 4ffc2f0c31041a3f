//! The words that the client, the back ends and the processors share: identifiers, amounts, limits.

mod amount;
mod billing;
mod endpoint;
mod id;
mod json;
pub mod lenient;
mod open_enum;
mod order_type;
mod personal;

pub use amount::{Amounts, BackendAmount, Limit, Limits, UnitFactor, WaldurAmount};
pub use billing::{BillingType, LimitPeriod};
pub use endpoint::Endpoint;
pub use id::{
    AgentIdentityUuid, AgentProcessorUuid, AgentServiceUuid, ApiKeyUuid, BackendId, BackendResourceRequestUuid,
    BackendResourceUuid, ComponentUsageUuid, ComponentUserUsageUuid, ComponentUuid, CustomerUuid,
    EventSubscriptionUuid, OfferingUserUuid, OfferingUuid, OrderUuid, PeriodicUsagePolicyUuid, PlanPeriodUuid,
    PlanUuid, ProjectUuid, ResourceUuid, RoleUuid, ServiceProviderUuid, SshKeyUuid, UserUuid,
};
pub use jiff::{Timestamp, civil::Date};
pub use json::JsonObject;
pub use order_type::OrderType;
pub use personal::Personal;
pub use rust_decimal::Decimal;
pub use secrecy::SecretString;
pub use uuid::Uuid;
