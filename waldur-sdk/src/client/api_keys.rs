//! Keys that the customers of resources use (core.md §1.6 #47, §2.11): `/api/marketplace-resource-api-keys/`. Since
//! 8.x, and not in the published schema of 8.0.5.
//!
//! Waldur hands a key to the customer; what is reported here is what customers have. A secret goes one way: no answer
//! is read for it, and no error shows it.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::{answer::explain_newer, list};
use crate::{
    error::Result,
    open_enum,
    rest::{Call, Pager, RestClient},
    types::{ApiKeyUuid, BackendId, OfferingUuid, ResourceUuid, lenient},
};

open_enum! {
    /// Where a key stands (core.md §1.5).
    pub enum ResourceApiKeyState {
        /// Being made.
        Creating = "Creating",
        /// Usable.
        Ok = "OK",
        /// To be replaced.
        Updating = "Updating",
        /// Could not be made or replaced.
        Erred = "Erred",
    }
}

/// A key as Waldur knows it.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ResourceApiKey {
    /// Identifies the key.
    pub uuid: ApiKeyUuid,
    /// The resource that it opens.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub resource_uuid: Option<ResourceUuid>,
    /// The name of that resource on its back end.
    #[serde(default, deserialize_with = "lenient::backend_id")]
    pub resource_backend_id: Option<BackendId>,
    /// The half that may be shown.
    #[serde(default, deserialize_with = "lenient::text")]
    pub client_id: Option<String>,
    /// Where it stands.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<ResourceApiKeyState>,
    /// When it changed last.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub modified: Option<Timestamp>,
}

/// Which keys to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResourceApiKeyQuery {
    /// Only keys of this resource.
    pub resource: Option<ResourceUuid>,
    /// Only keys of resources of this offering.
    pub offering: Option<OfferingUuid>,
    /// Only keys in one of these states; all when empty.
    pub states: Vec<ResourceApiKeyState>,
    /// Only keys last changed before this instant.
    pub modified_before: Option<Timestamp>,
}

impl ResourceApiKeyQuery {
    /// The keys of `resource`.
    pub fn resource(resource: ResourceUuid) -> Self {
        Self { resource: Some(resource), ..Self::default() }
    }

    /// The keys of the resources of `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering: Some(offering), ..Self::default() }
    }

    /// Only keys in one of `states`.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = ResourceApiKeyState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// Only keys last changed before `instant`.
    #[must_use]
    pub fn modified_before(mut self, instant: Timestamp) -> Self {
        self.modified_before = Some(instant);
        self
    }
}

/// The calls about customers' keys.
#[derive(Clone, Copy, Debug)]
pub struct ResourceApiKeys<'a> {
    rest: &'a RestClient,
}

impl<'a> ResourceApiKeys<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists keys.
    pub fn list(self, query: &ResourceApiKeyQuery) -> Pager<ResourceApiKey> {
        let mut call = self.rest.get("api_keys.list", "/api/marketplace-resource-api-keys/", &[]).secret_answer();
        call = call.query_opt("resource_uuid", query.resource).query_opt("offering_uuid", query.offering);
        for state in &query.states {
            call = call.query("state", state);
        }
        let call = call.query_opt("modified_before", query.modified_before);
        list::pages(call, explain_newer, |key: &ResourceApiKey| key.uuid.hex())
    }

    /// Hands a new key over. Never repeated by itself: whoever lost the answer looks at the list.
    ///
    /// # Errors
    /// As every call.
    pub async fn report_created(self, resource: ResourceUuid, client_id: &str, secret: &SecretString) -> Result<()> {
        #[derive(Serialize)]
        struct Created<'a> {
            resource: ResourceUuid,
            client_id: &'a str,
            api_key: &'a str,
        }
        const PATH: &str = "/api/marketplace-resource-api-keys/report_created/";
        let body = Created { resource, client_id, api_key: secret.expose_secret() };
        self.secret("api_keys.report_created", PATH, &[], secret).json(&body).send_unit().await.map_err(explain_newer)
    }

    /// Hands the replacement of a key over; `client_id` if that half is another one, too.
    ///
    /// # Errors
    /// `NotFound` when the key is gone.
    pub async fn set_key(self, key: ApiKeyUuid, client_id: Option<&str>, secret: &SecretString) -> Result<()> {
        #[derive(Serialize)]
        struct Replacement<'a> {
            api_key: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            client_id: Option<&'a str>,
        }
        const PATH: &str = "/api/marketplace-resource-api-keys/{key}/set_key/";
        let body = Replacement { api_key: secret.expose_secret(), client_id };
        let call = self.secret("api_keys.set_key", PATH, &[&key.hex()], secret).json(&body);
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Says that a key could not be made or replaced.
    ///
    /// # Errors
    /// `NotFound` when the key is gone.
    pub async fn set_erred(self, key: ApiKeyUuid, message: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Failure<'a> {
            error_message: &'a str,
        }
        const PATH: &str = "/api/marketplace-resource-api-keys/{key}/set_erred/";
        let call = self.rest.post("api_keys.set_erred", PATH, &[&key.hex()]).json(&Failure { error_message: message });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    fn secret(self, operation: &'static str, path: &'static str, arguments: &[&str], secret: &SecretString) -> Call {
        self.rest.post(operation, path, arguments).secret(secret).secret_answer()
    }
}
