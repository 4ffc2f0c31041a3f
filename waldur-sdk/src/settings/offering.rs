//! One offering (core.md §6.3).

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use uuid::Uuid;

use super::{BackendSettings, Checked, Component, ComponentMapping, Components, HttpUrl, Read, Section};
use crate::{
    rest::{BaseUrl, PlainHttp},
    types::{OfferingUuid, Personal},
};

/// The settings of one offering.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OfferingSettings {
    /// `name`: required, for people.
    pub name: String,
    /// `waldur_api_url`: required, http(s), as written but always with a trailing `/`. The client takes a trailing
    /// `api/` off (core.md §1.1). Plain `http` is accepted with a warning.
    pub api_url: BaseUrl,
    /// `waldur_api_token`, or the three `oidc_*` keys.
    pub credentials: Credentials,
    /// `waldur_offering_uuid`: required. [Nil](Uuid::nil) where the file still has the placeholder of an example, which
    /// is warned of; see [`Self::has_placeholder`].
    pub offering_uuid: OfferingUuid,
    /// `waldur_offering_uuid` as written: part of the name under which the agent registers (core.md §6.8).
    pub offering_uuid_text: String,
    /// `backend_type`: required, here always in lower case.
    pub backend_type: String,
    /// `backend_settings`: default empty.
    pub backend_settings: BackendSettings,
    /// `backend_components`: default empty.
    pub components: Components,
    /// `order_processing_backend`: the back end that carries out orders; none if empty.
    ///
    /// Where none of the three `…_backend` keys is written, as in examples of older agents, all three are
    /// `backend_type`, with a warning.
    pub order_processing_backend: Option<String>,
    /// `membership_sync_backend`: the back end that is told of members; none if empty.
    pub membership_sync_backend: Option<String>,
    /// `reporting_backend`: the back end that is asked for usage; none if empty.
    pub reporting_backend: Option<String>,
    /// `username_management_backend`: default `base`.
    pub username_management_backend: String,
    /// The `stomp_*` keys and `websocket_use_tls`.
    pub events: EventSettings,
    /// `resource_import_enabled`: default false.
    pub resource_import_enabled: bool,
    /// `username_reconciliation_enabled`: default false.
    pub username_reconciliation_enabled: bool,
    /// `verify_ssl`: whether Waldur's certificate is verified. Default true; false is warned of.
    pub verify_ssl: bool,
    /// `omit_anomalous_usage_components`: default false (core.md §4.5).
    pub omit_anomalous_usage_components: bool,
    /// `unmanaged_users`: what happens to accounts on a resource that Waldur does not know. Default `remove`. The Python
    /// agent has no such key, and removes them (core.md §3.4).
    pub unmanaged_users: UnmanagedUsers,
    /// `protected_users`: accounts that are never removed from a resource, whatever Waldur says of them. Default none.
    /// The Python agent has no such key.
    pub protected_users: BTreeSet<Personal>,
}

/// What happens to accounts on a resource that Waldur does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnmanagedUsers {
    /// `remove`: they lose their access; Waldur alone decides who has it.
    #[default]
    Remove,
    /// `keep`: they keep it; only names that Waldur gave out, now or earlier in the life of the process, are ever
    /// removed. After a restart, somebody whose account at the offering is gone as well is not recognised any more.
    Keep,
}

impl UnmanagedUsers {
    const WORDS: [(&'static str, Self); 2] = [("remove", Self::Remove), ("keep", Self::Keep)];
}

impl OfferingSettings {
    /// Whether the file still has an example's placeholder in place of the offering's UUID. Such an offering is found
    /// nowhere.
    pub fn has_placeholder(&self) -> bool {
        self.offering_uuid.uuid().is_nil()
    }

    /// Reads an offering that has this name in a map by name.
    pub(super) fn read(mut section: Section<'_>, name: Option<&str>, shared: &Shared) -> Read<Self> {
        let own = section.key("name").blank_is_missing().text();
        let name = inherited(own, &Ok(name.map(str::to_owned)));
        let api_url = section.renamed("waldur_api_url", &["api_url"]).base_url(PlainHttp::Allowed);
        let api_url = inherited(api_url, &shared.api_url);
        let credentials = Credentials::read(&mut section, &shared.token);
        let offering = offering_uuid(&mut section);
        let backend_type = backend_type(&mut section);
        let [orders, members, reports] = backends(&mut section, backend_type.as_deref().unwrap_or_default());
        let backend_settings =
            section.renamed("backend_settings", &["backend"]).section_or_empty(BackendSettings::read_core);
        let components = section.renamed("backend_components", &["components"]).null_is_missing();
        let components = components.map(Component::read).or(BTreeMap::new()).into_values().collect();
        let targets = match ComponentMapping::new(&components) {
            Err(_) if reports.is_some() => Err(section.refuse("backend_components", TARGETS_APART)),
            _ => Ok(()),
        };
        let username_management_backend = section.key("username_management_backend").text().or("base".into());
        let events = EventSettings::read(&mut section, name.as_deref().unwrap_or_default());
        let resource_import_enabled = section.key("resource_import_enabled").boolean().or(false);
        let username_reconciliation_enabled = section.key("username_reconciliation_enabled").boolean().or(false);
        let verify_ssl = section.key("verify_ssl").boolean().or(true);
        let omit_anomalous_usage_components = section.key("omit_anomalous_usage_components").boolean().or(false);
        let unmanaged_users = section.key("unmanaged_users").one_of(&UnmanagedUsers::WORDS).or_default();
        let protected_users = section.key("protected_users").list(|item| item.text().required()).or_default();
        if !verify_ssl {
            section.warn("verify_ssl", "Waldur's certificate is not verified: anybody on the way can take the token");
        }
        section.finish()?;
        let (offering_uuid, offering_uuid_text) = offering?;
        targets?;
        Ok(Self {
            name: name?,
            api_url: api_url?,
            credentials: credentials?,
            offering_uuid,
            offering_uuid_text,
            backend_type: backend_type?,
            backend_settings: backend_settings?,
            components,
            order_processing_backend: orders,
            membership_sync_backend: members,
            reporting_backend: reports,
            username_management_backend,
            events,
            resource_import_enabled,
            username_reconciliation_enabled,
            verify_ssl,
            omit_anomalous_usage_components,
            unmanaged_users,
            protected_users: protected_users.into_iter().map(Personal::from).collect(),
        })
    }
}

const TARGETS_APART: &str =
    "must not map two components to one target (target_components): its usage would be billed twice";

/// What is the same for all offerings in a file of the older form: `waldur`, with `api_url` and `token`.
pub(super) struct Shared {
    api_url: Read<Option<BaseUrl>>,
    token: Read<Option<SecretString>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { api_url: Ok(None), token: Ok(None) }
    }
}

impl Shared {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        Self {
            api_url: section.key("api_url").base_url(PlainHttp::Allowed).given(),
            token: section.key("token").blank_is_missing().secret().given(),
        }
    }
}

/// The offering's own value, or that of all. A value of all that is wrong has been reported.
fn inherited<T: Clone>(own: Checked<'_, T>, shared: &Read<Option<T>>) -> Read<T> {
    match shared {
        Ok(None) => own.required(),
        Ok(Some(shared)) => Ok(own.or(shared.clone())),
        Err(reported) => own.given()?.ok_or(*reported),
    }
}

/// The UUID, and the text as written.
fn offering_uuid(section: &mut Section<'_>) -> Read<(OfferingUuid, String)> {
    let uuid =
        section.renamed("waldur_offering_uuid", &["offering_uuid", "uuid"]).text().try_map(
            |text| match Uuid::try_parse(text.trim()) {
                Ok(uuid) => Ok((uuid, text)),
                Err(_) if is_placeholder(&text) => Ok((Uuid::nil(), text)),
                Err(_) => Err("must be a UUID"),
            },
        );
    let (uuid, text) = uuid.required()?;
    if uuid.is_nil() {
        section.warn("waldur_offering_uuid", "is a placeholder; write the UUID that Waldur shows for the offering");
    }
    Ok((uuid.into(), text))
}

/// What the documented examples write where the operator's own UUID belongs: `your-offering-uuid`.
fn is_placeholder(text: &str) -> bool {
    let text = text.trim();
    text.ends_with("offering-uuid") && text.bytes().all(|c| c == b'-' || c.is_ascii_lowercase())
}

fn backend_type(section: &mut Section<'_>) -> Read<String> {
    let text = section.key("backend_type").blank_is_missing().text();
    text.try_map(|text| Ok(text.trim().to_lowercase())).required()
}

/// The back ends for orders, membership and reports.
fn backends(section: &mut Section<'_>, backend_type: &str) -> [Option<String>; 3] {
    let keys = ["order_processing_backend", "membership_sync_backend", "reporting_backend"];
    let written = keys.iter().any(|key| section.contains(key));
    let backends = keys.map(|key| section.key(key).blank_is_missing().text().optional());
    if written {
        return backends;
    }
    section.warn(
        "order_processing_backend",
        "neither this key nor membership_sync_backend nor reporting_backend is written: \
         all three are taken to be backend_type; write them, or write \"\" to switch one off",
    );
    keys.map(|_| Some(backend_type.to_owned()))
}

/// How the agent shows Waldur who it is (core.md §1.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Credentials {
    /// `waldur_api_token`. Taken where both are given.
    Token(SecretString),
    /// The client credentials grant of OpenID Connect, where there is no token. All three keys are needed.
    Oidc {
        /// `oidc_token_url`: http(s), taken as it is.
        token_url: HttpUrl,
        /// `oidc_client_id`.
        client_id: String,
        /// `oidc_client_secret`.
        client_secret: SecretString,
    },
}

impl Credentials {
    fn read(section: &mut Section<'_>, shared: &Read<Option<SecretString>>) -> Read<Self> {
        const ONE_OF_BOTH: &str =
            "is required, or else all of oidc_token_url, oidc_client_id and oidc_client_secret instead";
        const ALL_THREE: &str = "is required with the other oidc keys, unless waldur_api_token is set";
        let token = section.renamed("waldur_api_token", &["api_token"]).not_null().blank_is_missing().secret().given();
        let token_url = section.key("oidc_token_url").blank_is_missing().url(PlainHttp::Allowed).given();
        let client_id = section.key("oidc_client_id").blank_is_missing().text().given();
        let client_secret = section.key("oidc_client_secret").blank_is_missing().secret().given();
        let (token, token_url, client_id, client_secret) = (token?, token_url?, client_id?, client_secret?);
        let any_oidc = token_url.is_some() || client_id.is_some() || client_secret.is_some();
        if let Some(token) = token {
            if any_oidc {
                section.warn("waldur_api_token", "is used; the oidc keys beside it are not");
            }
            return Ok(Self::Token(token));
        }
        if !any_oidc {
            if let Some(token) = shared.as_ref().map_err(|reported| *reported)? {
                return Ok(Self::Token(token.clone()));
            }
            return Err(section.refuse("waldur_api_token", ONE_OF_BOTH));
        }
        let token_url = token_url.ok_or_else(|| section.refuse("oidc_token_url", ALL_THREE));
        let client_id = client_id.ok_or_else(|| section.refuse("oidc_client_id", ALL_THREE));
        let client_secret = client_secret.ok_or_else(|| section.refuse("oidc_client_secret", ALL_THREE));
        Ok(Self::Oidc { token_url: token_url?, client_id: client_id?, client_secret: client_secret? })
    }
}

/// Whether the agent listens for events, and where (core.md §5.4).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventSettings {
    /// `stomp_enabled`: orders come by event and are not polled. Default false.
    pub orders: bool,
    /// `stomp_membership_sync_enabled`: so do changes of members. Default as `stomp_enabled`; true without
    /// `stomp_enabled` is warned of and counts as false, so that members are polled.
    pub membership: bool,
    /// `websocket_use_tls`: default true.
    pub websocket_use_tls: bool,
    /// `stomp_ws_host`: default derived from the API's URL.
    pub ws_host: Option<String>,
    /// `stomp_ws_port`: 1 to 65535; default derived.
    pub ws_port: Option<u16>,
    /// `stomp_ws_path`: default derived.
    pub ws_path: Option<String>,
}

impl EventSettings {
    fn read(section: &mut Section<'_>, offering: &str) -> Self {
        let orders = section.key("stomp_enabled").boolean().or(false);
        let membership = section.key("stomp_membership_sync_enabled").boolean().optional().unwrap_or(orders);
        if membership && !orders {
            let text = format!(
                "MISCONFIGURATION of offering {offering}: has no effect without stomp_enabled; members are polled"
            );
            section.warn("stomp_membership_sync_enabled", text);
        }
        Self {
            orders,
            membership: membership && orders,
            websocket_use_tls: section.key("websocket_use_tls").boolean().or(true),
            ws_host: section.key("stomp_ws_host").blank_is_missing().text().optional(),
            ws_port: section.key("stomp_ws_port").integer(1..=u16::MAX).optional(),
            ws_path: section.key("stomp_ws_path").blank_is_missing().text().optional(),
        }
    }
}
