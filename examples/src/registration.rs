//! Tells Waldur that the agent runs (core.md §2.1, §6.8): an identity for the offering, a service for what it does, a
//! processor for what it does it with.

use jiff::Timestamp;
use waldur_sdk::{
    Result,
    client::{AgentRegistration, Dependency, ProcessorRegistration, WaldurClient},
    settings::OfferingSettings,
};

use crate::modes::Mode;

/// Makes the agent known, or tells the news of one that is known. May be repeated.
///
/// # Errors
/// `Unsupported` on a server of 2024; otherwise as every call.
pub async fn register(
    waldur: &WaldurClient,
    offering: &OfferingSettings,
    mode: Mode,
    backend_type: &str,
    started: Timestamp,
) -> Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let name = format!("agent-{}", offering.offering_uuid_text.trim());
    let sdk = Dependency { package: "waldur-sdk".to_owned(), version: version.to_owned() };
    let agent = AgentRegistration::new(offering.offering_uuid, name)
        .version(version)
        .last_restarted(started)
        .dependencies([sdk]);
    let processor = ProcessorRegistration::new(mode.processor(), backend_type).backend_version(version);
    waldur.agents().register(&agent, mode.agent_mode(), &processor).await.map(drop)
}
