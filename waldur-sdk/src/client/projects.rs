//! Projects (core.md §1.6 #7): `/api/projects/`. A provider sees those that its account has a role in; for the others
//! there is [`ServiceProviders::projects`](super::ServiceProviders::projects).

use jiff::{Timestamp, civil::Date};
use serde::Deserialize;

use super::{RoleHolder, answer::explain, fields, list, roles};
use crate::{
    error::Result,
    rest::{Call, Pager, RestClient},
    types::{CustomerUuid, ProjectUuid, UserUuid, lenient},
};

/// A project: what resources belong to.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct Project {
    /// Identifies the project.
    pub uuid: ProjectUuid,
    /// Its name.
    #[serde(default, deserialize_with = "lenient::text")]
    pub name: Option<String>,
    /// Its slug. Staff may change it: no id.
    #[serde(default, deserialize_with = "lenient::text")]
    pub slug: Option<String>,
    /// What it is about.
    #[serde(default, deserialize_with = "lenient::text")]
    pub description: Option<String>,
    /// The customer: the organisation that it belongs to.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub customer_uuid: Option<CustomerUuid>,
    /// The name of the customer.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_name: Option<String>,
    /// The slug of the customer.
    #[serde(default, deserialize_with = "lenient::text")]
    pub customer_slug: Option<String>,
    /// Its name elsewhere.
    #[serde(default, deserialize_with = "lenient::text")]
    pub backend_id: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub created: Option<Timestamp>,
    /// Its first day.
    #[serde(default, deserialize_with = "lenient::date")]
    pub start_date: Option<Date>,
    /// Its last day.
    #[serde(default, deserialize_with = "lenient::date")]
    pub end_date: Option<Date>,
    /// When its last day was set, since 8.x.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub end_date_updated_at: Option<Timestamp>,
    /// Its field of science, by the classification of 2007.
    #[serde(default, deserialize_with = "lenient::text")]
    pub oecd_fos_2007_code: Option<String>,
    /// Its field of science in detail, since 8.x.
    #[serde(default, deserialize_with = "lenient::text")]
    pub science_sub_domain_code: Option<String>,
    /// Whether it is one of industry.
    #[serde(default, deserialize_with = "lenient::boolean")]
    pub is_industry: Option<bool>,
}

/// Which projects to list.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProjectQuery {
    /// Only projects with exactly this slug.
    pub slug: Option<String>,
    /// Only projects with exactly this name.
    pub name: Option<String>,
    /// Only projects in which the server finds this text or UUID.
    pub text: Option<String>,
    /// Only projects of this customer.
    pub customer: Option<CustomerUuid>,
    /// Only projects in which this user has a role.
    pub user: Option<UserUuid>,
}

impl ProjectQuery {
    /// Projects with exactly this slug.
    pub fn slug(slug: impl Into<String>) -> Self {
        Self { slug: Some(slug.into()), ..Self::default() }
    }

    /// Projects in which the server finds this text or UUID.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: Some(text.into()), ..Self::default() }
    }

    /// Only projects with exactly this name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Only projects of `customer`.
    #[must_use]
    pub fn customer(mut self, customer: CustomerUuid) -> Self {
        self.customer = Some(customer);
        self
    }

    /// Only projects in which `user` has a role.
    #[must_use]
    pub fn user(mut self, user: UserUuid) -> Self {
        self.user = Some(user);
        self
    }

    pub(super) fn pages(&self, call: Call) -> Pager<Project> {
        let call = call
            .query_opt("slug", self.slug.as_ref())
            .query_opt("name_exact", self.name.as_ref())
            .query_opt("query", self.text.as_ref())
            .query_opt("customer", self.customer)
            .query_opt("user_uuid", self.user);
        list::pages(fields::select::<Project>(call), explain, |project: &Project| project.uuid.hex())
    }
}

/// The calls about projects.
#[derive(Clone, Copy, Debug)]
pub struct Projects<'a> {
    rest: &'a RestClient,
}

impl<'a> Projects<'a> {
    pub(super) fn new(rest: &'a RestClient) -> Self {
        Self { rest }
    }

    /// Lists projects (#7).
    pub fn list(self, query: &ProjectQuery) -> Pager<Project> {
        query.pages(self.rest.get("projects.list", "/api/projects/", &[]).must_exist())
    }

    /// Reads a project.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, project: ProjectUuid) -> Result<Project> {
        let call = self.rest.get("projects.get", "/api/projects/{project}/", &[&project.hex()]);
        fields::select::<Project>(call).send_json().await.map_err(explain)
    }

    /// Finds the project of exactly this slug (#7).
    ///
    /// # Errors
    /// `Inconsistent` when there are two; the error of a row that cannot be read, which may be the one.
    pub async fn find_by_slug(self, slug: &str) -> Result<Option<Project>> {
        let projects = self.list(&ProjectQuery::slug(slug)).all().await?;
        // A filter that the server does not know is ignored, so what came is looked at.
        let same = projects.into_iter().filter(|project| project.slug.as_deref() == Some(slug));
        list::only(same, || format!("two projects have the slug {slug}"))
    }

    /// Lists who has a role in a project.
    pub fn users(self, project: ProjectUuid) -> Pager<RoleHolder> {
        roles::holders(self.rest.get("projects.users", "/api/projects/{project}/list_users/", &[&project.hex()]))
    }
}
