//! Who sees what and may do what, by roles.
//!
//! A customer's roles reach down to its projects and offerings. What somebody may not see is absent to them (404,
//! recorded: 093, 165); what they see and may not do is forbidden (403, recorded: 112, 236).

use super::{
    model::{Offering, OfferingUser, Order, Project, Resource, Scope},
    state::State,
};
use crate::types::{CustomerUuid, UserUuid};

impl State {
    pub(super) fn is_staff(&self, user: UserUuid) -> bool {
        self.user(user).is_some_and(|user| user.is_staff)
    }

    fn holds(&self, user: UserUuid, scope: Scope, allowed: impl Fn(&str) -> bool) -> bool {
        let now = self.now();
        self.roles.iter().any(|role| {
            role.user == user && role.scope == scope && role.expires.is_none_or(|end| now < end) && allowed(&role.name)
        })
    }

    /// Owner of a customer, or staff.
    pub(super) fn owns(&self, user: UserUuid, customer: CustomerUuid) -> bool {
        self.is_staff(user) || self.holds(user, Scope::Customer(customer), |role| role == "CUSTOMER.OWNER")
    }

    /// Stands on the provider's side of an offering: any role on it or on the customer that sells it.
    pub(super) fn provides(&self, user: UserUuid, offering: &Offering) -> bool {
        // The customer first: most callers are its owner, and who has no role is found out by a look at all of them.
        self.is_staff(user)
            || self.holds(user, Scope::Customer(offering.customer), |_| true)
            || self.holds(user, Scope::Offering(offering.uuid), |_| true)
    }

    /// Stands on the provider's side of any offering of a customer.
    pub(super) fn provides_for(&self, user: UserUuid, customer: CustomerUuid) -> bool {
        self.owns(user, customer)
            || self.offerings.iter().any(|offering| offering.customer == customer && self.provides(user, offering))
    }

    /// Stands on the consumer's side: any role on the project or on its customer.
    pub(super) fn consumes(&self, user: UserUuid, project: &Project) -> bool {
        self.is_staff(user)
            || self.holds(user, Scope::Project(project.uuid), |_| true)
            || self.holds(user, Scope::Customer(project.customer), |_| true)
    }

    pub(super) fn provides_order(&self, user: UserUuid, order: &Order) -> bool {
        self.offering(order.offering).is_some_and(|offering| self.provides(user, offering))
    }

    pub(super) fn sees_order(&self, user: UserUuid, order: &Order) -> bool {
        self.provides_order(user, order)
            || self.project(order.project).is_some_and(|project| self.consumes(user, project))
    }

    pub(super) fn provides_resource(&self, user: UserUuid, resource: &Resource) -> bool {
        self.offering(resource.offering).is_some_and(|offering| self.provides(user, offering))
    }

    pub(super) fn consumes_resource(&self, user: UserUuid, resource: &Resource) -> bool {
        self.project(resource.project).is_some_and(|project| self.consumes(user, project))
    }

    pub(super) fn provides_offering_user(&self, user: UserUuid, row: &OfferingUser) -> bool {
        self.offering(row.offering).is_some_and(|offering| self.provides(user, offering))
    }

    pub(super) fn sees_offering_user(&self, user: UserUuid, row: &OfferingUser) -> bool {
        row.user == user || self.provides_offering_user(user, row)
    }
}
