//! Site agents as Waldur knows them (core.md §1.6 #10 to #14): an identity per offering, a service per mode, a
//! processor per kind of work. Since 8.x; every call is `Unsupported` on a server of 2024 (recorded:
//! 022_unknown_path_post). What they hear of is in `agent_events.rs`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AgentMode, answer::explain_newer, list};
use crate::{
    error::{ErrorKind, Result},
    rest::{Pager, RestClient},
    types::{AgentIdentityUuid, AgentProcessorUuid, AgentServiceUuid, OfferingUuid, lenient},
};

/// The agent of an offering.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AgentIdentity {
    /// Identifies the agent.
    pub uuid: AgentIdentityUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// The offering that it works for.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering: Option<OfferingUuid>,
    /// Its version.
    #[serde(default, deserialize_with = "lenient::text")]
    pub version: Option<String>,
    /// When it was started.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub last_restarted: Option<Timestamp>,
}

/// Which agents to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AgentIdentityQuery {
    /// Only the agents of this name, as the server compares names.
    pub name: Option<String>,
    /// Only the agents of this offering.
    pub offering: Option<OfferingUuid>,
}

impl AgentIdentityQuery {
    /// The agents of `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering: Some(offering), ..Self::default() }
    }

    /// The agents called `name`.
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
}

/// A service of an agent: what it does in one mode.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AgentService {
    /// Identifies the service.
    pub uuid: AgentServiceUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
}

/// A processor of a service: what it does to one back end.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct AgentProcessor {
    /// Identifies the processor.
    pub uuid: AgentProcessorUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
}

/// What an agent says about itself. No configuration is sent: its two members are always empty.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AgentRegistration {
    /// The offering that it works for.
    pub offering: OfferingUuid,
    /// Its name: `agent-` and the offering's UUID as the configuration spells it (core.md §1.6 #10).
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// When it was started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_restarted: Option<Timestamp>,
    /// What it is built of.
    pub dependencies: Vec<Dependency>,
    config_file_path: &'static str,
    config_file_content: &'static str,
}

impl AgentRegistration {
    /// The agent `name` of `offering`.
    pub fn new(offering: OfferingUuid, name: impl Into<String>) -> Self {
        Self {
            offering,
            name: name.into(),
            version: None,
            last_restarted: None,
            dependencies: Vec::new(),
            config_file_path: "",
            config_file_content: "",
        }
    }

    /// Names the version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Says when the agent was started.
    #[must_use]
    pub fn last_restarted(mut self, instant: Timestamp) -> Self {
        self.last_restarted = Some(instant);
        self
    }

    /// Names what the agent is built of.
    #[must_use]
    pub fn dependencies(mut self, dependencies: impl IntoIterator<Item = Dependency>) -> Self {
        self.dependencies = dependencies.into_iter().collect();
        self
    }
}

/// A package that an agent is built of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
}

/// What a processor says about itself.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProcessorRegistration {
    /// Its name: `OfferingOrderProcessor` for orders (core.md §2.1).
    pub name: String,
    /// What the back end is.
    pub backend_type: String,
    /// The version of the back end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_version: Option<String>,
}

impl ProcessorRegistration {
    /// The processor `name` of a back end of `backend_type`.
    pub fn new(name: impl Into<String>, backend_type: impl Into<String>) -> Self {
        Self { name: name.into(), backend_type: backend_type.into(), backend_version: None }
    }

    /// Names the version of the back end.
    #[must_use]
    pub fn backend_version(mut self, version: impl Into<String>) -> Self {
        self.backend_version = Some(version.into());
        self
    }
}

/// The calls about site agents.
#[derive(Clone, Copy, Debug)]
pub struct Agents<'a> {
    pub(super) rest: &'a RestClient,
}

impl<'a> Agents<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists agents (#10).
    pub fn identities(self, query: &AgentIdentityQuery) -> Pager<AgentIdentity> {
        let call = self.rest.get("agents.identities", "/api/marketplace-site-agent-identities/", &[]);
        let call = call.query_opt("name", query.name.as_ref()).query_opt("offering_uuid", query.offering);
        list::pages(call, explain_newer, |identity: &AgentIdentity| identity.uuid.hex())
    }

    /// Finds the agent of exactly this name (#10).
    ///
    /// # Errors
    /// As every call.
    pub async fn find_identity(self, name: &str) -> Result<Option<AgentIdentity>> {
        let mut pager = self.identities(&AgentIdentityQuery::name(name));
        while let Some(page) = pager.next_page().await? {
            // The filter may find similar names too.
            if let Some(found) = page.items.into_iter().find(|identity| identity.name.as_deref() == Some(name)) {
                return Ok(Some(found));
            }
            if let Some(bad) = page.bad.into_iter().next() {
                return Err(bad.error);
            }
        }
        Ok(None)
    }

    /// Makes an agent known (#11). Never repeated by itself.
    ///
    /// # Errors
    /// As every call.
    pub async fn create_identity(self, agent: &AgentRegistration) -> Result<AgentIdentity> {
        let call = self.rest.post("agents.create_identity", "/api/marketplace-site-agent-identities/", &[]);
        call.json(agent).send_json().await.map_err(explain_newer)
    }

    /// Tells the news of a known agent (#12).
    ///
    /// # Errors
    /// `NotFound` when it is not known any more.
    pub async fn update_identity(
        self,
        identity: AgentIdentityUuid,
        agent: &AgentRegistration,
    ) -> Result<AgentIdentity> {
        const PATH: &str = "/api/marketplace-site-agent-identities/{identity}/";
        let call = self.rest.put("agents.update_identity", PATH, &[&identity.hex()]);
        call.json(agent).send_json().await.map_err(explain_newer)
    }

    /// Makes the agent of exactly this name known, or tells the news of it (#10 to #12). May be repeated.
    ///
    /// # Errors
    /// As every call.
    pub async fn put_identity(self, agent: &AgentRegistration) -> Result<AgentIdentity> {
        if let Some(known) = self.find_identity(&agent.name).await? {
            return self.update_identity(known.uuid, agent).await;
        }
        match self.create_identity(agent).await {
            // Another process was faster.
            Err(error) if matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Conflict) => {
                match self.find_identity(&agent.name).await? {
                    Some(known) => self.update_identity(known.uuid, agent).await,
                    None => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// Makes an agent known with what it does and what it does it with, or tells the news of it: an identity, its service
    /// for `mode`, and a processor of that (#10 to #14). May be repeated; each mode of an agent does so for itself, one
    /// after the other.
    ///
    /// ```no_run
    /// use waldur_sdk::client::{AgentMode, AgentRegistration, ProcessorRegistration};
    /// # async fn example(
    /// #     waldur: waldur_sdk::client::WaldurClient,
    /// #     offering: waldur_sdk::types::OfferingUuid,
    /// # ) -> waldur_sdk::Result<()> {
    /// let agent = AgentRegistration::new(offering, format!("agent-{offering}")).version("1.0");
    /// let processor = ProcessorRegistration::new("OfferingOrderProcessor", "ceph_s3");
    /// waldur.agents().register(&agent, AgentMode::OrderProcess, &processor).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024, which keeps no such register; otherwise as every call.
    pub async fn register(
        self,
        agent: &AgentRegistration,
        mode: AgentMode,
        processor: &ProcessorRegistration,
    ) -> Result<AgentIdentity> {
        let identity = self.put_identity(agent).await?;
        let service = self.register_service(identity.uuid, mode.as_str(), mode.as_str()).await?;
        self.register_processor(service.uuid, processor).await?;
        Ok(identity)
    }

    /// Makes a service of an agent known, or finds it (#13). `mode` is a word of
    /// [`AgentMode`](super::AgentMode); for orders it is the name too.
    ///
    /// # Errors
    /// `NotFound` when the agent is not known any more.
    pub async fn register_service(self, identity: AgentIdentityUuid, name: &str, mode: &str) -> Result<AgentService> {
        #[derive(Serialize)]
        struct Service<'a> {
            name: &'a str,
            mode: &'a str,
        }
        const PATH: &str = "/api/marketplace-site-agent-identities/{identity}/register_service/";
        let call = self.rest.post("agents.register_service", PATH, &[&identity.hex()]);
        call.json(&Service { name, mode }).idempotent().send_json().await.map_err(explain_newer)
    }

    /// Makes a processor of a service known, or finds it (#14).
    ///
    /// # Errors
    /// `NotFound` when the service is not known any more.
    pub async fn register_processor(
        self,
        service: AgentServiceUuid,
        processor: &ProcessorRegistration,
    ) -> Result<AgentProcessor> {
        const PATH: &str = "/api/marketplace-site-agent-services/{service}/register_processor/";
        let call = self.rest.post("agents.register_processor", PATH, &[&service.hex()]);
        call.json(processor).idempotent().send_json().await.map_err(explain_newer)
    }
}
