//! Orders (core.md §1.6 #20 to #27): `/api/marketplace-orders/`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    answer::{explain, explain_newer},
    fields, list,
};
use crate::{
    error::Result,
    open_enum,
    rest::{Pager, RestClient, redact},
    types::{
        CustomerUuid, JsonObject, OfferingUuid, OrderType, OrderUuid, Personal, PlanUuid, ProjectUuid, ResourceUuid,
        lenient,
    },
};

open_enum! {
    /// Where an order stands (core.md §1.5).
    pub enum OrderState {
        /// Waits for somebody of the customer.
        PendingConsumer = "pending-consumer",
        /// Waits for the provider.
        PendingProvider = "pending-provider",
        /// Waits for its project.
        PendingProject = "pending-project",
        /// Waits for its day.
        PendingStartDate = "pending-start-date",
        /// Being carried out.
        Executing = "executing",
        /// Carried out.
        Done = "done",
        /// Failed. Not final: a server of 2024 lets it become done (recorded: 143_done_after_erred).
        Erred = "erred",
        /// Withdrawn by the customer.
        Canceled = "canceled",
        /// Refused by either side.
        Rejected = "rejected",
    }
}

/// An order, as far as a provider reads it (core.md §1.7).
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Order {
    /// Identifies the order.
    pub uuid: OrderUuid,
    /// Where it stands.
    pub state: OrderState,
    /// What it asks for.
    #[serde(rename = "type")]
    pub kind: OrderType,
    /// The offering that it is placed at.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub offering_uuid: Option<OfferingUuid>,
    /// The resource that it is about.
    #[serde(rename = "marketplace_resource_uuid", default, deserialize_with = "lenient::uuid")]
    pub resource_uuid: Option<ResourceUuid>,
    /// The name of the resource.
    #[serde(default, deserialize_with = "lenient::text")]
    pub resource_name: Option<String>,
    /// The mark of the order itself on the back end. Others write it too, so it means something only to a back end
    /// that finishes orders later (core.md §2.8).
    #[serde(default, deserialize_with = "lenient::text")]
    pub backend_id: Option<String>,
    /// The limits by component in Waldur's units; on an update the new ones. Empty on a terminate order.
    #[serde(default, deserialize_with = "lenient::decimals")]
    pub limits: BTreeMap<String, Decimal>,
    /// What the customer filled in; on an update of limits `old_limits` (recorded: 299_update_order).
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub attributes: JsonObject,
    /// The plan; on a switch of plans the new one. Missing on a terminate order.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub plan_uuid: Option<PlanUuid>,
    /// On a switch of plans the plan until now.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub old_plan_uuid: Option<PlanUuid>,
    /// The plan from then on.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub new_plan_uuid: Option<PlanUuid>,
    /// What kind of update this is, since 8.x.
    #[serde(default, deserialize_with = "lenient::text")]
    pub order_subtype: Option<String>,
    /// The project of the resource.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub project_uuid: Option<ProjectUuid>,
    /// Its slug. A server of 2024 tells it here only, not on the resource (recorded: 091_orders_retrieve_staff,
    /// 155_resources_retrieve_fields).
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_slug: Option<String>,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_name: Option<String>,
    /// The customer: the organisation of the project.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub customer_uuid: Option<CustomerUuid>,
    /// Its slug. A server of 2024 tells it here only.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_slug: Option<String>,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_name: Option<String>,
    /// The message of the last failure.
    #[serde(default, deserialize_with = "lenient::text")]
    pub error_message: Option<String>,
    /// What the customer was told about the order while it waited, since 8.x.
    #[serde(default, deserialize_with = "lenient::text")]
    pub provider_message: Option<String>,
    /// Where to read on.
    #[serde(default, deserialize_with = "lenient::text")]
    pub provider_message_url: Option<String>,
    /// The user who placed the order, since 8.x.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub created_by_username: Option<Personal>,
    /// The full name of that user.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub created_by_full_name: Option<Personal>,
    /// When the order was placed.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub created: Option<Timestamp>,
}

/// Which orders to list. The offering is not optional: it is what Waldur takes for a sign of life of the offering's
/// agent (core.md §1.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OrderQuery {
    /// Orders at this offering.
    pub offering: OfferingUuid,
    /// Only orders in one of these states; all when empty.
    pub states: Vec<OrderState>,
    /// Only orders for this resource.
    pub resource: Option<ResourceUuid>,
    /// Only orders for resources of this project.
    pub project: Option<ProjectUuid>,
    /// Only orders last changed before this instant. Servers before 8.1 ignore it.
    pub modified_before: Option<Timestamp>,
}

impl OrderQuery {
    /// All orders at `offering`.
    pub fn offering(offering: OfferingUuid) -> Self {
        Self { offering, states: Vec::new(), resource: None, project: None, modified_before: None }
    }

    /// Only orders in one of `states`.
    #[must_use]
    pub fn states(mut self, states: impl IntoIterator<Item = OrderState>) -> Self {
        self.states = states.into_iter().collect();
        self
    }

    /// Only orders for `resource`.
    #[must_use]
    pub fn resource(mut self, resource: ResourceUuid) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Only orders for resources of `project`.
    #[must_use]
    pub fn project(mut self, project: ProjectUuid) -> Self {
        self.project = Some(project);
        self
    }

    /// Only orders last changed before `instant`.
    #[must_use]
    pub fn modified_before(mut self, instant: Timestamp) -> Self {
        self.modified_before = Some(instant);
        self
    }
}

/// Why something failed, as Waldur keeps it.
///
/// Both texts are always sent: without `error_traceback` a server of 2024 answers 500 (recorded:
/// 137_set_erred_no_trace). Each is cut at 64 KiB (core.md §2.4); NUL, which the server's database cannot hold, is
/// replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorDetails {
    #[serde(rename = "error_message")]
    message: String,
    #[serde(rename = "error_traceback")]
    traceback: String,
}

impl ErrorDetails {
    /// The longest text, in bytes.
    pub const LONGEST: usize = 64 * 1024;

    /// A failure with a message and no trace. Customers read the message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: storable(message.into()), traceback: String::new() }
    }

    /// Adds the trace: the chain of causes, one per line.
    #[must_use]
    pub fn with_traceback(mut self, traceback: impl Into<String>) -> Self {
        self.traceback = storable(traceback.into());
        self
    }

    /// The message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The trace.
    pub fn traceback(&self) -> &str {
        &self.traceback
    }
}

fn storable(text: String) -> String {
    let mut text = if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text };
    redact::truncate(&mut text, ErrorDetails::LONGEST);
    text
}

/// What a provider tells the customer about a pending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProviderInfo {
    /// The message.
    #[serde(rename = "provider_message")]
    pub message: String,
    /// Where to read on.
    #[serde(rename = "provider_message_url", skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl ProviderInfo {
    /// A message.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), url: None }
    }

    /// Adds the address of a page to read on.
    #[must_use]
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }
}

/// The calls about orders.
#[derive(Clone, Copy, Debug)]
pub struct Orders<'a> {
    rest: &'a RestClient,
}

impl<'a> Orders<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists orders, oldest first (#20).
    pub fn list(self, query: &OrderQuery) -> Pager<Order> {
        let mut call = self
            .rest
            .get("orders.list", "/api/marketplace-orders/", &[])
            .must_exist()
            .query("offering_uuid", query.offering);
        for state in &query.states {
            call = call.query("state", state);
        }
        call = call.query_opt("resource_uuid", query.resource).query_opt("project_uuid", query.project);
        call = call.query_opt("modified_before", query.modified_before).query("o", "created");
        list::pages(fields::select::<Order>(call), explain, |order: &Order| order.uuid.hex())
    }

    /// Reads an order (#21).
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, order: OrderUuid) -> Result<Order> {
        let call = self.rest.get("orders.get", "/api/marketplace-orders/{order}/", &[&order.hex()]);
        fields::select::<Order>(call).send_json().await.map_err(explain)
    }

    /// Reads where an order stands (#21 with `field=uuid,state`).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn state(self, order: OrderUuid) -> Result<OrderState> {
        #[derive(Deserialize)]
        struct Standing {
            state: OrderState,
        }
        let standing: Standing = self
            .rest
            .get("orders.state", "/api/marketplace-orders/{order}/", &[&order.hex()])
            .query("field", "uuid")
            .query("field", "state")
            .send_json()
            .await
            .map_err(explain)?;
        Ok(standing.state)
    }

    /// Accepts a pending order for the provider (#22). Never repeated by itself.
    ///
    /// # Errors
    /// `Conflict` when the order is not `pending-provider`, for example accepted already (recorded:
    /// 119_approve_provider_twice).
    pub async fn approve_by_provider(self, order: OrderUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-orders/{order}/approve_by_provider/";
        let call = self.rest.post("orders.approve_by_provider", PATH, &[&order.hex()]).json(&Nothing {});
        call.send_unit().await.map_err(explain)
    }

    /// Refuses a pending order for the provider (#23), with a reason for the customer since 8.x. Never repeated by
    /// itself.
    ///
    /// # Errors
    /// `Conflict` when the order is not `pending-provider`.
    pub async fn reject_by_provider(self, order: OrderUuid, comment: Option<&str>) -> Result<()> {
        #[derive(Serialize)]
        struct Rejection<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            provider_rejection_comment: Option<&'a str>,
        }
        const PATH: &str = "/api/marketplace-orders/{order}/reject_by_provider/";
        let body = Rejection { provider_rejection_comment: comment };
        let call = self.rest.post("orders.reject_by_provider", PATH, &[&order.hex()]).json(&body);
        call.send_unit().await.map_err(explain)
    }

    /// Ends an order as carried out (#24), which makes the resource what the order said. The answer's body is empty
    /// (recorded: 127_set_state_done).
    ///
    /// # Errors
    /// `Conflict` when the order is not `executing` (recorded: 129_set_state_done_twice): it may be done already.
    pub async fn set_state_done(self, order: OrderUuid) -> Result<()> {
        const PATH: &str = "/api/marketplace-orders/{order}/set_state_done/";
        let call = self.rest.post("orders.set_state_done", PATH, &[&order.hex()]).json(&Nothing {});
        call.idempotent().send_unit().await.map_err(explain)
    }

    /// Ends an order as failed (#25).
    ///
    /// A server of 2024 does not look at the order's state: this flips the healthy resource of an order that is done
    /// to `Erred` (recorded: 144_erred_from_done; core.md §2.7). The caller has to know that the order is not done.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_state_erred(self, order: OrderUuid, details: &ErrorDetails) -> Result<()> {
        const PATH: &str = "/api/marketplace-orders/{order}/set_state_erred/";
        let call = self.rest.post("orders.set_state_erred", PATH, &[&order.hex()]).json(details);
        // Column I calls it repeatable, but the server lets it make an order erred that somebody else has ended
        // meanwhile (recorded: 144_erred_from_done), so whoever repeats it looks at the order first.
        call.send_unit().await.map_err(explain)
    }

    /// Writes the mark of an order that a back end finishes later (#26). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024.
    pub async fn set_backend_id(self, order: OrderUuid, backend_id: &str) -> Result<()> {
        #[derive(Serialize)]
        struct Mark<'a> {
            backend_id: &'a str,
        }
        const PATH: &str = "/api/marketplace-orders/{order}/set_backend_id/";
        let call = self.rest.post("orders.set_backend_id", PATH, &[&order.hex()]).json(&Mark { backend_id });
        call.idempotent().send_unit().await.map_err(explain_newer)
    }

    /// Tells the customer something about a pending order (#27). Since 8.x.
    ///
    /// # Errors
    /// `Unsupported` on a server of 2024.
    pub async fn set_provider_info(self, order: OrderUuid, info: &ProviderInfo) -> Result<()> {
        const PATH: &str = "/api/marketplace-orders/{order}/set_provider_info/";
        let call = self.rest.post("orders.set_provider_info", PATH, &[&order.hex()]).json(info);
        call.idempotent().send_unit().await.map_err(explain_newer)
    }
}

/// The body of calls that say everything by their path. Without any body a server of 2024 may answer 500 (recorded:
/// 031_post_no_body).
#[derive(Serialize)]
pub(super) struct Nothing {}
