//! Resources as their provider sees them (core.md §1.6 #30 to #39): `/api/marketplace-provider-resources/`.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::{Decimal, prelude::ToPrimitive};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{
    ErrorDetails, OfferingUserState,
    answer::{explain, explain_newer},
    fields, list,
    orders::Nothing,
};
use crate::{
    error::{Error, ErrorKind, Result},
    open_enum,
    rest::{Call, Pager, RestClient},
    types::{
        BackendId, CustomerUuid, Endpoint, JsonObject, Limits, OfferingUuid, Personal, PlanUuid, ProjectUuid,
        ResourceUuid, UserUuid, lenient,
    },
};

open_enum! {
    /// Where a resource stands (core.md §1.5).
    pub enum ResourceState {
        /// Its create order is being carried out.
        Creating = "Creating",
        /// Usable.
        Ok = "OK",
        /// Something failed.
        Erred = "Erred",
        /// An update order is being carried out.
        Updating = "Updating",
        /// A terminate order is being carried out.
        Terminating = "Terminating",
        /// Gone.
        Terminated = "Terminated",
    }
}

/// A resource: one allocation of an offering (core.md §1.7).
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Resource {
    /// Identifies the resource.
    pub uuid: ResourceUuid,
    /// Its name on the back end; `None` until it is provisioned.
    #[serde(default, deserialize_with = "lenient::backend_id")]
    pub backend_id: Option<BackendId>,
    /// Its name on the system behind the back end, for federated offerings.
    #[serde(default, deserialize_with = "lenient::text")]
    pub effective_id: Option<String>,
    /// The name that the customer gave it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Its slug.
    #[serde(default, deserialize_with = "lenient::text")]
    pub slug: Option<String>,
    /// Where it stands.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<ResourceState>,
    /// The message of the last failure.
    #[serde(default, deserialize_with = "lenient::text")]
    pub error_message: Option<String>,
    /// Its offering.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering_uuid: Option<OfferingUuid>,
    /// The back-end id of the offering, since 8.x.
    #[serde(default, deserialize_with = "lenient::text")]
    pub offering_backend_id: Option<String>,
    /// The options of the offering's plug-in, policies among them.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub offering_plugin_options: JsonObject,
    /// Its plan.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub plan_uuid: Option<PlanUuid>,
    /// Its limits by component, in Waldur's units.
    #[serde(default, deserialize_with = "lenient::decimals")]
    pub limits: BTreeMap<String, Decimal>,
    /// What the customer filled in when ordering.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub attributes: JsonObject,
    /// What the customer can change afterwards.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub options: JsonObject,
    /// What the back end told about it.
    #[serde(default, deserialize_with = "lenient::object")]
    pub backend_metadata: JsonObject,
    /// Where it can be reached.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub endpoints: Vec<Endpoint>,
    /// Its project.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub project_uuid: Option<ProjectUuid>,
    /// The slug of the project. Missing on a server of 2024: see [`Order::project_slug`](super::Order::project_slug).
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_slug: Option<String>,
    /// The name of the project.
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_name: Option<String>,
    /// The description of the project.
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_description: Option<String>,
    /// The last day of the project.
    #[serde(default, deserialize_with = "lenient::date")]
    pub project_end_date: Option<Date>,
    /// The customer: the organisation of the project.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub customer_uuid: Option<CustomerUuid>,
    /// The slug of the customer. Missing on a server of 2024.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_slug: Option<String>,
    /// The name of the customer.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_name: Option<String>,
    /// When it was ordered.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub created: Option<Timestamp>,
    /// Its last day.
    #[serde(default, deserialize_with = "lenient::date")]
    pub end_date: Option<Date>,
    /// When its last day was set, since 8.x.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub end_date_updated_at: Option<Timestamp>,
    /// Who asked for its last day: the address of a user.
    #[serde(default, deserialize_with = "lenient::text")]
    pub end_date_requested_by: Option<String>,
    /// When an agent last confirmed it, since 8.x.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub last_sync: Option<Timestamp>,
    /// Whether its members are to be locked out.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub restrict_member_access: Option<bool>,
    /// Whether it is to be stopped.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub paused: Option<bool>,
    /// Whether it is to be slowed down.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub downscaled: Option<bool>,
}

/// A resource in few words: some 200 bytes where a whole one is several kilobytes.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ResourceSummary {
    /// Identifies the resource.
    pub uuid: ResourceUuid,
    /// Its name on the back end; `None` until it is provisioned.
    #[serde(default, deserialize_with = "lenient::backend_id")]
    pub backend_id: Option<BackendId>,
    /// The name that the customer gave it.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Where it stands.
    #[serde(default, deserialize_with = "lenient::word")]
    pub state: Option<ResourceState>,
    /// Its offering.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering_uuid: Option<OfferingUuid>,
    /// Its plan.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub plan_uuid: Option<PlanUuid>,
    #[serde(skip)]
    pub(crate) published_ids: PublishedIds,
}

/// What is published about a resource under names that end in `_id`, as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct PublishedIds(Box<[(Box<str>, Box<str>)]>);

impl PublishedIds {
    fn of(metadata: &JsonObject) -> Self {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.trim().into()),
            Value::Number(number) => Some(number.to_string().into()),
            _ => None,
        };
        let ids = metadata.iter().filter(|(name, _)| name.ends_with("_id"));
        Self(ids.filter_map(|(name, value)| Some((name.as_str().into(), text(value)?))).collect())
    }

    /// What is published under a name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| &**known == name).map(|(_, id)| &**id)
    }
}

/// A [`ResourceSummary`] with what is published about the resource, of which the ids are kept.
#[derive(Deserialize)]
struct IdentifiedSummary {
    uuid: ResourceUuid,
    #[serde(default, deserialize_with = "lenient::backend_id")]
    backend_id: Option<BackendId>,
    #[serde(default, deserialize_with = "lenient::text")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient::word")]
    state: Option<ResourceState>,
    #[serde(default, deserialize_with = "lenient::uuid")]
    offering_uuid: Option<OfferingUuid>,
    #[serde(default, deserialize_with = "lenient::uuid")]
    plan_uuid: Option<PlanUuid>,
    #[serde(default, deserialize_with = "lenient::object")]
    backend_metadata: JsonObject,
}

impl From<IdentifiedSummary> for ResourceSummary {
    fn from(row: IdentifiedSummary) -> Self {
        let IdentifiedSummary { uuid, backend_id, name, state, offering_uuid, plan_uuid, backend_metadata } = row;
        let published_ids = PublishedIds::of(&backend_metadata);
        Self { uuid, backend_id, name, state, offering_uuid, plan_uuid, published_ids }
    }
}

/// A user with a role in the project of a resource (core.md §1.6 #32).
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct TeamMember {
    /// Identifies the user.
    pub uuid: UserUuid,
    /// The federated identity: the user name in Waldur.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub username: Option<Personal>,
    /// The full name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub full_name: Option<Personal>,
    /// The e-mail address.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub email: Option<Personal>,
    /// The role: `PROJECT.ADMIN`, on a server of 2024 `admin` (recorded: 173_team).
    #[serde(default, deserialize_with = "lenient::text")]
    pub role: Option<String>,
    /// When the role ends.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub expiration_time: Option<Timestamp>,
    /// The user name at the offering; `None` until there is one.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub offering_user_username: Option<Personal>,
    /// Where the account at the offering stands, since 8.x; `None` when there is no account.
    #[serde(default, deserialize_with = "lenient::word")]
    pub offering_user_state: Option<OfferingUserState>,
}

/// Which resources to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ResourceQuery {
    /// Only resources of these offerings; all when empty.
    pub offerings: Vec<OfferingUuid>,
    /// Only resources in one of these states; all, terminated ones included, when empty (recorded:
    /// 323_resources_list_default_has_terminated).
    pub states: Vec<ResourceState>,
    /// Only resources of this project.
    pub project: Option<ProjectUuid>,
    /// Only resources of this customer's projects.
    pub customer: Option<CustomerUuid>,
    /// Only resources with exactly this name.
    pub name: Option<String>,
    /// Only resources with this back-end id.
    pub backend_id: Option<BackendId>,
}

impl ResourceQuery {
    /// The resources of `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offerings: vec![offering], ..Self::default() }
    }

    /// Only resources in one of `states`.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = ResourceState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// Only resources of `project`.
    #[must_use]
    pub fn project(mut self, project: ProjectUuid) -> Self {
        self.project = Some(project);
        self
    }

    /// Only resources of the projects of `customer`.
    #[must_use]
    pub fn customer(mut self, customer: CustomerUuid) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Only resources with exactly this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only resources with `backend_id`.
    #[must_use]
    pub fn backend_id(mut self, backend_id: BackendId) -> Self {
        self.backend_id = Some(backend_id);
        self
    }

    pub(super) fn filters(&self, mut call: Call) -> Call {
        for offering in &self.offerings {
            call = call.query("offering_uuid", offering);
        }
        for state in &self.states {
            call = call.query("state", state);
        }
        call = call.query_opt("project_uuid", self.project).query_opt("customer_uuid", self.customer);
        call = call.query_opt("name_exact", self.name.as_ref()).query_opt("backend_id", self.backend_id.as_ref());
        call.query("o", "created")
    }
}

/// The calls about resources for their provider.
#[derive(Clone, Copy, Debug)]
pub struct ProviderResources<'a> {
    pub(super) rest: &'a RestClient,
}

impl<'a> ProviderResources<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists resources, oldest first (#30).
    pub fn list(self, query: &ResourceQuery) -> Pager<Resource> {
        list::bulk(self.list_call::<Resource>(query), explain, |resource: &Resource| resource.uuid.hex())
    }

    /// As [`list`](Self::list), with every resource kept as something smaller as soon as its page has come.
    pub(crate) fn list_as<T: Send + 'static>(
        self,
        query: &ResourceQuery,
        keep: fn(Resource) -> T,
        key: fn(&T) -> String,
    ) -> Pager<T> {
        list::bulk_as(self.list_call::<Resource>(query), explain, keep, key)
    }

    /// As [`list`](Self::list), with no more of each resource than what tells which one it is.
    pub fn summaries(self, query: &ResourceQuery) -> Pager<ResourceSummary> {
        list::bulk(self.list_call::<ResourceSummary>(query), explain, |row: &ResourceSummary| row.uuid.hex())
    }

    /// As [`summaries`](Self::summaries), with the ids that are published about each.
    pub(crate) fn identified(self, query: &ResourceQuery) -> Pager<ResourceSummary> {
        let call = self.list_call::<IdentifiedSummary>(query);
        list::bulk_as::<IdentifiedSummary, _>(call, explain, ResourceSummary::from, |row: &ResourceSummary| {
            row.uuid.hex()
        })
    }

    /// As [`get`](Self::get), with no more of the resource than what tells which one it is.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn summary(self, resource: ResourceUuid) -> Result<ResourceSummary> {
        self.selected(resource).await
    }

    /// As [`summary`](Self::summary), with the ids that are published about it.
    pub(crate) async fn identified_one(self, resource: ResourceUuid) -> Result<ResourceSummary> {
        self.selected::<IdentifiedSummary>(resource).await.map(ResourceSummary::from)
    }

    async fn selected<T: DeserializeOwned>(self, resource: ResourceUuid) -> Result<T> {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/";
        let call = self.rest.get("provider_resources.summary", PATH, &[&resource.hex()]);
        fields::select::<T>(call).send_json().await.map_err(explain)
    }

    fn list_call<T: DeserializeOwned>(self, query: &ResourceQuery) -> Call {
        let call = self.rest.get("provider_resources.list", "/api/marketplace-provider-resources/", &[]).must_exist();
        fields::select::<T>(query.filters(call))
    }

    /// Reads a resource (#31).
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, resource: ResourceUuid) -> Result<Resource> {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/";
        let call = self.rest.get("provider_resources.get", PATH, &[&resource.hex()]);
        fields::select::<Resource>(call).send_json().await.map_err(explain)
    }

    /// Lists the users with a role in the resource's project (#32). The server does not page this list.
    pub fn team(self, resource: ResourceUuid) -> Pager<TeamMember> {
        team(self.team_call(resource))
    }

    /// As [`team`](Self::team), only those who consented to the offering's terms. Servers before 8.1 ignore the
    /// difference.
    pub fn consented_team(self, resource: ResourceUuid) -> Pager<TeamMember> {
        team(self.team_call(resource).query("has_consent", true))
    }

    fn team_call(self, resource: ResourceUuid) -> Call {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/team/";
        self.rest.get("provider_resources.team", PATH, &[&resource.hex()]).secret_answer()
    }

    /// Writes the back-end id (#33); `None` takes it away, as empty text, since the server refuses `null` (recorded:
    /// 159_set_backend_id_null).
    ///
    /// # Errors
    /// As every call.
    pub async fn set_backend_id(self, resource: ResourceUuid, backend_id: Option<&BackendId>) -> Result<()> {
        #[derive(Serialize)]
        struct Name<'a> {
            backend_id: &'a str,
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_backend_id/";
        let body = Name { backend_id: backend_id.map_or("", BackendId::as_str) };
        let call = self.rest.post("provider_resources.set_backend_id", PATH, &[&resource.hex()]).json(&body);
        call.idempotent().send_unit().await.map_err(explain)
    }

    /// Replaces the limits without an order (#34). Components that are not named lose their limit. Since 8.x.
    ///
    /// # Errors
    /// `InvalidRequest` when a limit is no whole number: Waldur keeps integers (recorded: 099_order_create_bad_limit).
    /// `Unsupported` on a server of 2024 (recorded: 180_set_limits_provider).
    pub async fn set_limits(self, resource: ResourceUuid, limits: &Limits) -> Result<()> {
        #[derive(Serialize)]
        struct NewLimits<'a> {
            limits: BTreeMap<&'a str, i64>,
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_limits/";
        const OPERATION: &str = "provider_resources.set_limits";
        let limits = whole_numbers(limits).map_err(|error| error.with_operation(OPERATION))?;
        let call = self.rest.post(OPERATION, PATH, &[&resource.hex()]).json(&NewLimits { limits });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Replaces the back-end metadata (#35), members of others included: read and merge first.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_backend_metadata(self, resource: ResourceUuid, metadata: &Map<String, Value>) -> Result<()> {
        #[derive(Serialize)]
        struct Metadata<'a> {
            backend_metadata: &'a Map<String, Value>,
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_backend_metadata/";
        let body = Metadata { backend_metadata: metadata };
        let call = self.rest.post("provider_resources.set_backend_metadata", PATH, &[&resource.hex()]).json(&body);
        call.idempotent().send_unit().await.map_err(explain)
    }

    /// Replaces the addresses at which the resource can be reached (#36). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on servers that do not have it.
    pub async fn set_endpoints(self, resource: ResourceUuid, endpoints: &[Endpoint]) -> Result<()> {
        #[derive(Serialize)]
        struct Endpoints<'a> {
            endpoints: &'a [Endpoint],
        }
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_endpoints/";
        let call =
            self.rest.post("provider_resources.set_endpoints", PATH, &[&resource.hex()]).json(&Endpoints { endpoints });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Says that the resource was just seen on the back end (#37). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024.
    pub async fn refresh_last_sync(self, resource: ResourceUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/refresh_last_sync/";
        let call = self.rest.post("provider_resources.refresh_last_sync", PATH, &[&resource.hex()]).json(&Nothing {});
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Marks the resource as failed (#38).
    ///
    /// # Errors
    /// `PermissionDenied` on a server of 2024 for everybody but its staff (recorded: 178_set_as_erred_provider).
    pub async fn set_as_erred(self, resource: ResourceUuid, details: &ErrorDetails) -> Result<()> {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_as_erred/";
        let call = self.rest.post("provider_resources.set_as_erred", PATH, &[&resource.hex()]).json(details);
        call.idempotent().send_unit().await.map_err(explain)
    }

    /// Marks the resource as healthy (#39). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024 (recorded: 179_set_as_ok).
    pub async fn set_as_ok(self, resource: ResourceUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-provider-resources/{resource}/set_as_ok/";
        let call = self.rest.post("provider_resources.set_as_ok", PATH, &[&resource.hex()]).json(&Nothing {});
        call.idempotent().send_unit().await.map_err(explain_newer)
    }
}

/// Limits as Waldur keeps them.
///
/// # Errors
/// `InvalidRequest` when one is no whole number.
pub(super) fn whole_numbers(limits: &Limits) -> Result<BTreeMap<&str, i64>> {
    limits
        .iter()
        .map(|(component, limit)| {
            let amount = limit.to_waldur();
            let number = amount.is_integer().then(|| amount.to_i64()).flatten().ok_or_else(|| {
                let text = format!("limit of {component}: must be a whole number, is {}", amount.normalize());
                Error::new(ErrorKind::InvalidRequest, text)
            })?;
            Ok((component.as_str(), number))
        })
        .collect()
}

fn team(call: Call) -> Pager<TeamMember> {
    // A user may have two roles: one entry for each.
    let key = |member: &TeamMember| format!("{} {}", member.uuid, member.role.as_deref().unwrap_or_default());
    list::bare(call, explain, key)
}
