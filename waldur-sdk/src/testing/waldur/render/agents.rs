//! Site agents as they registered themselves; only in generation 8.

use serde_json::{Map, Value};

use super::{object, time};
use crate::testing::waldur::{
    incoming::Incoming,
    model::{AgentIdentity, AgentProcessor, AgentService},
    state::State,
};

impl State {
    pub(in crate::testing::waldur) fn show_identity(
        &self,
        call: &Incoming<'_>,
        row: &AgentIdentity,
    ) -> Map<String, Value> {
        let services = self.services.iter().filter(|service| service.identity == row.uuid).map(|service| {
            let mut nested = service_members(call, service);
            nested.insert("statistics".to_owned(), service.statistics.clone());
            Value::Object(nested)
        });
        let about = |name: &str| row.about.get(name).cloned().unwrap_or_default();
        object! {
            "uuid": row.uuid.simple().to_string(),
            "url": call.link("marketplace-site-agent-identities", row.uuid.simple()),
            "offering": row.offering,
            // Not in the schema of 8.0.5; clients of 8.1 do not read an identity without it.
            "created_by": Value::Null,
            "name": row.name,
            "version": about("version"),
            "dependencies": about("dependencies"),
            "config_file_path": about("config_file_path"),
            "config_file_content": about("config_file_content"),
            "last_restarted": row.about.get("last_restarted").cloned().unwrap_or_else(|| time(row.created).into()),
            "created": time(row.created),
            "modified": time(row.modified),
            "services": services.collect::<Vec<_>>(),
        }
    }

    pub(in crate::testing::waldur) fn show_service(
        &self,
        call: &Incoming<'_>,
        row: &AgentService,
    ) -> Option<Map<String, Value>> {
        let processors = self.processors.iter().filter(|processor| processor.service == row.uuid);
        let mut members = service_members(call, row);
        members.extend(object! {
            "identity": row.identity.simple().to_string(),
            "identity_name": self.identities.get(row.identity)?.name,
            "statistics": row.statistics,
            "processors": processors.map(|row| Value::Object(processor_members(call, row))).collect::<Vec<_>>(),
        });
        Some(members)
    }

    pub(in crate::testing::waldur) fn show_processor(
        &self,
        call: &Incoming<'_>,
        row: &AgentProcessor,
    ) -> Option<Map<String, Value>> {
        let mut members = processor_members(call, row);
        members.extend(object! {
            "service": row.service.simple().to_string(),
            "service_name": self.services.get(row.service)?.name,
        });
        Some(members)
    }
}

fn service_members(call: &Incoming<'_>, row: &AgentService) -> Map<String, Value> {
    object! {
        "uuid": row.uuid.simple().to_string(),
        "url": call.link("marketplace-site-agent-services", row.uuid.simple()),
        "name": row.name,
        "mode": row.mode,
        "state": "Active",
        "created": time(row.created),
        "modified": time(row.modified),
    }
}

fn processor_members(call: &Incoming<'_>, row: &AgentProcessor) -> Map<String, Value> {
    object! {
        "uuid": row.uuid.simple().to_string(),
        "url": call.link("marketplace-site-agent-processors", row.uuid.simple()),
        "name": row.name,
        "last_run": Value::Null,
        "backend_type": row.backend_type,
        "backend_version": row.backend_version,
        "created": time(row.created),
        "modified": time(row.modified),
    }
}
