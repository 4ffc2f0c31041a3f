//! Customers, the organisations: `/api/customers/`. A provider sees itself and those that it has a role in; for the
//! others there is [`ServiceProviders::customers`](super::ServiceProviders::customers).

use serde::Deserialize;

use super::{RoleHolder, answer::explain, fields, list, roles};
use crate::{
    error::Result,
    rest::{Pager, RestClient},
    types::{CustomerUuid, UserUuid, lenient},
};

/// A customer: an organisation that has projects, or sells offerings.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Customer {
    /// Identifies the customer.
    pub uuid: CustomerUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Its slug. Staff may change it: no id.
    #[serde(default, deserialize_with = "lenient::text")]
    pub slug: Option<String>,
    /// Its name in its own language.
    #[serde(default, deserialize_with = "lenient::text")]
    pub native_name: Option<String>,
    /// Its name in short.
    #[serde(default, deserialize_with = "lenient::text")]
    pub abbreviation: Option<String>,
    /// Its name elsewhere.
    #[serde(default, deserialize_with = "lenient::text")]
    pub backend_id: Option<String>,
    /// Its country, by its code.
    #[serde(default, deserialize_with = "lenient::text")]
    pub country: Option<String>,
    /// Its number in the register of its country.
    #[serde(default, deserialize_with = "lenient::text")]
    pub registration_code: Option<String>,
    /// Whether it sells offerings.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_service_provider: Option<bool>,
    /// Whether it may order nothing for now.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub blocked: Option<bool>,
    /// Whether it is put away.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub archived: Option<bool>,
}

/// Which customers to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CustomerQuery {
    /// Only customers with exactly this name.
    pub name: Option<String>,
    /// Only customers in which the server finds this text.
    pub text: Option<String>,
    /// Only customers in which this user has a role.
    pub user: Option<UserUuid>,
    /// Only customers that are, or are not, put away.
    pub archived: Option<bool>,
}

impl CustomerQuery {
    /// Only customers with exactly this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only customers in which the server finds `text`.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Only customers in which `user` has a role.
    #[must_use]
    pub fn user(mut self, user: UserUuid) -> Self {
        self.user = Some(user);
        self
    }

    /// Only customers that are, or are not, put away.
    #[must_use]
    pub fn archived(mut self, archived: bool) -> Self {
        self.archived = Some(archived);
        self
    }
}

/// The calls about customers.
#[derive(Clone, Copy, Debug)]
pub struct Customers<'a> {
    rest: &'a RestClient,
}

impl<'a> Customers<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists customers.
    pub fn list(self, query: &CustomerQuery) -> Pager<Customer> {
        let call = self.rest.get("customers.list", "/api/customers/", &[]).must_exist();
        let call = call
            .query_opt("name_exact", query.name.as_ref())
            .query_opt("query", query.text.as_ref())
            .query_opt("user_uuid", query.user)
            .query_opt("archived", query.archived);
        list::pages(fields::select::<Customer>(call), explain, |customer: &Customer| customer.uuid.hex())
    }

    /// Reads a customer.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, customer: CustomerUuid) -> Result<Customer> {
        let call = self.rest.get("customers.get", "/api/customers/{customer}/", &[&customer.hex()]);
        fields::select::<Customer>(call).send_json().await.map_err(explain)
    }

    /// Lists who has a role in a customer.
    pub fn users(self, customer: CustomerUuid) -> Pager<RoleHolder> {
        let path = "/api/customers/{customer}/list_users/";
        roles::holders(self.rest.get("customers.users", path, &[&customer.hex()]))
    }
}
