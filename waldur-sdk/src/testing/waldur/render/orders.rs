//! Orders.

use serde_json::{Map, Value, json};

use super::{float, money, object, time};
use crate::testing::waldur::{
    incoming::Incoming,
    lists::Shown,
    model::{Offering, Order, Review, User},
    state::State,
    words::{Billing, Generation, OrderKind},
};
use crate::types::PlanUuid;

/// What generation 2024 leaves out where there is nothing to say (recorded: 068, 108, 317).
const LEFT_OUT: &[&str] = &[
    "plan_unit",
    "plan_name",
    "plan_uuid",
    "plan_description",
    "old_plan_name",
    "old_plan_uuid",
    "new_plan_name",
    "new_plan_uuid",
    "consumer_reviewed_by",
    "consumer_reviewed_by_full_name",
    "consumer_reviewed_by_username",
    "provider_reviewed_by",
    "provider_reviewed_by_full_name",
];

/// Takes out what generation 2024 leaves out.
pub(super) fn without_absent(
    generation: Generation,
    mut members: Map<String, Value>,
    absent: &'static [&str],
) -> Shown {
    match generation {
        Generation::V8 => members.into(),
        Generation::V2024 => {
            members.retain(|name, value| !(value.is_null() && absent.contains(&name.as_str())));
            Shown { left_out: absent, ..members.into() }
        }
    }
}

impl State {
    /// An order in a list or by itself.
    pub(in crate::testing::waldur) fn show_order(&self, call: &Incoming<'_>, order: &Order) -> Option<Shown> {
        let mut members = self.order_members(call, order)?;
        members.extend(self.reviews(call, order));
        members.extend(self.order_context(call, order)?);
        if self.is_staff(call.user) {
            members.insert("error_traceback".to_owned(), order.error_traceback.clone().into());
        }
        if call.generation == Generation::V8 {
            members.extend(self.order_members_8(call, order)?);
        }
        Some(without_absent(call.generation, members, LEFT_OUT))
    }

    /// An order as the answer to its own making: generation 2024 shows another set (recorded: 102, 106, 108, 342).
    pub(in crate::testing::waldur) fn show_new_order(&self, call: &Incoming<'_>, order: &Order) -> Option<Shown> {
        if call.generation == Generation::V8 {
            return self.show_order(call, order);
        }
        let project = self.project(order.project)?;
        let customer = self.customer(project.customer)?;
        let mut members = self.order_members(call, order)?;
        members.extend(object! {
            "url": call.link("marketplace-orders", order.uuid),
            "created_by": call.link("users", order.created_by),
            "created_by_username": self.user(order.created_by)?.username,
            "created_by_full_name": self.user(order.created_by)?.full_name(),
            "consumer_reviewed_at": order.consumer_review.map(|review| time(review.at)),
            "project": call.link("projects", project.uuid),
            "project_uuid": project.uuid,
            "project_name": project.name,
            "project_description": project.description,
            "customer_name": customer.name,
            "customer_uuid": customer.uuid,
        });
        let reviewer = order.consumer_review.and_then(|review| self.user(review.by));
        let mut review = object! {
            "consumer_reviewed_by_username": reviewer.map(|user| &user.username),
            "consumer_reviewed_by_full_name": reviewer.map(User::full_name),
        };
        review.retain(|_, value| !value.is_null());
        members.extend(review);
        let mut shown = without_absent(call.generation, members, LEFT_OUT);
        let link = reviewer.map(|user| call.link("users", user.uuid));
        shown.members.insert("consumer_reviewed_by".to_owned(), json!(link));
        Some(shown)
    }

    fn order_members(&self, call: &Incoming<'_>, order: &Order) -> Option<Map<String, Value>> {
        let offering = self.offering(order.offering)?;
        let resource = self.resource(order.resource)?;
        let mut members = self.sale(call, offering, order.plan)?;
        members.extend(object! { for call;
            "attributes": order.attributes,
            "limits": order.limits,
            "uuid": order.uuid,
            "created": time(order.created),
            "modified": time(order.modified),
            "type": order.kind.as_str(),
            "resource_uuid": resource.allocation.map(|uuid| uuid.simple().to_string()),
            "resource_type": resource.allocation.map(|_| "SLURM.Allocation"),
            "resource_name": resource.name,
            "cost": money(order.cost),
            "state": order.state.as_str(),
            "output": "",
            "marketplace_resource_uuid": resource.uuid,
            "error_message": order.error_message,
            "callback_url": Value::Null,
        });
        Some(members)
    }

    fn reviews(&self, call: &Incoming<'_>, order: &Order) -> Map<String, Value> {
        let by = |review: Option<Review>| review.and_then(|review| self.user(review.by));
        let (consumer, provider) = (by(order.consumer_review), by(order.provider_review));
        object! { for call;
            "consumer_reviewed_by": consumer.map(|user| &user.username),
            "consumer_reviewed_by_full_name": consumer.map(User::full_name),
            "consumer_reviewed_at": order.consumer_review.map(|review| time(review.at)),
            "provider_reviewed_by": provider.map(|user| &user.username),
            "provider_reviewed_by_full_name": provider.map(User::full_name),
            "provider_reviewed_at": order.provider_review.map(|review| time(review.at)),
        }
    }

    fn order_context(&self, call: &Incoming<'_>, order: &Order) -> Option<Map<String, Value>> {
        let offering = self.offering(order.offering)?;
        let project = self.project(order.project)?;
        let customer = self.customer(project.customer)?;
        let plan_name = |plan: Option<PlanUuid>| plan.and_then(|plan| offering.plan(plan)).map(|plan| &plan.name);
        let creates = order.kind == OrderKind::Create;
        let price =
            |billing| order.plan.filter(|_| creates).map_or(json!(0), |plan| float(offering.price(plan, billing)));
        Some(object! { for call;
            "created_by_full_name": self.user(order.created_by)?.full_name(),
            "created_by_civil_number": Value::Null,
            "customer_name": customer.name,
            "customer_uuid": customer.uuid,
            "customer_slug": customer.slug,
            "project_name": project.name,
            "project_uuid": project.uuid,
            "project_description": project.description,
            "project_slug": project.slug,
            "old_plan_name": plan_name(order.old_plan),
            "old_plan_uuid": order.old_plan,
            "new_plan_name": plan_name(order.plan),
            "new_plan_uuid": order.plan,
            "old_cost_estimate": self.resource(order.resource)?.cost.map_or(json!(0), float),
            "new_cost_estimate": order.cost.map(float),
            "can_terminate": false,
            "fixed_price": price(Billing::Fixed),
            "activation_price": price(Billing::One),
            "termination_comment": order.termination_comment,
            "backend_id": order.backend_id,
            "issue": Value::Null,
        })
    }

    fn order_members_8(&self, call: &Incoming<'_>, order: &Order) -> Option<Map<String, Value>> {
        let author = self.user(order.created_by)?;
        let by = |review: Option<Review>| review.and_then(|review| self.user(review.by)).map(|user| &user.username);
        let sold_by = self.customer(self.offering(order.offering)?.customer)?;
        Some(object! { for call;
            "provider_slug": sold_by.slug,
            "completed_at": order.completed.map(time),
            "request_comment": order.request_comment,
            "attachment": Value::Null,
            "start_date": Value::Null,
            "slug": order.uuid.hex().get(..8),
            "url": call.link("marketplace-orders", order.uuid),
            "consumer_reviewed_by_username": by(order.consumer_review),
            "provider_reviewed_by_username": by(order.provider_review),
            "created_by_username": author.username,
            "created_by_email": author.email,
            "created_by_organization": "",
            "created_by_organization_registry_code": "",
            "new_cost_estimate": money(order.cost),
            "order_subtype": order.subtype,
            "provider_message": order.provider_message,
            "provider_message_url": order.provider_message_url,
            "provider_message_attachment": Value::Null,
            "consumer_message": "",
            "consumer_message_attachment": Value::Null,
            "consumer_rejection_comment": "",
            "provider_rejection_comment": order.provider_rejection_comment,
        })
    }

    /// What orders and resources tell alike about what is sold, by whom and by which plan.
    pub(super) fn sale(
        &self,
        call: &Incoming<'_>,
        offering: &Offering,
        plan: Option<PlanUuid>,
    ) -> Option<Map<String, Value>> {
        let provider = self.customer(offering.customer)?;
        let plan = plan.and_then(|plan| offering.plan(plan));
        let public = call.link("marketplace-public-offerings", offering.uuid);
        let mut members = object! { for call;
            "offering": public,
            "offering_name": offering.name,
            "offering_uuid": offering.uuid,
            "offering_description": "",
            "offering_image": Value::Null,
            "offering_thumbnail": Value::Null,
            "offering_type": offering.kind,
            "offering_shared": true,
            "offering_billable": true,
            "offering_plugin_options": offering.plugin_options,
            "provider_name": provider.name,
            "provider_uuid": provider.uuid,
            "category_title": offering.category_title,
            "category_uuid": offering.category.simple().to_string(),
            "category_icon": Value::Null,
            "plan": plan.map(|plan| format!("{public}plans/{}/", plan.uuid)),
            "plan_unit": plan.map(|plan| &plan.unit),
            "plan_name": plan.map(|plan| &plan.name),
            "plan_uuid": plan.map(|plan| plan.uuid),
            "plan_description": plan.map(|plan| &plan.description),
        };
        if call.generation == Generation::V2024 {
            members.insert("offering_terms_of_service".to_owned(), "".into());
        }
        Some(members)
    }
}
