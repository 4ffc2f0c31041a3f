//! What a service provider may see of its customers (core.md §1.6 #6): lists below
//! `/api/marketplace-service-providers/{uuid}/`. A server of 2024 shows them to owners of the provider only
//! (security.md §7).

use jiff::Timestamp;
use serde::Deserialize;

use super::{Customer, Project, ProjectQuery, ServiceProvider, ServiceProviders, User, answer::explain, fields, list};
use crate::{
    error::Result,
    rest::Pager,
    types::{CustomerUuid, Personal, ProjectUuid, ServiceProviderUuid, UserUuid, lenient},
};

/// A role of a user in a project that has a resource of the provider.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct ProjectPermission {
    /// The user.
    pub user_uuid: UserUuid,
    /// The user name in Waldur.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_username: Option<Personal>,
    /// The full name.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_full_name: Option<Personal>,
    /// The e-mail address.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_email: Option<Personal>,
    /// The role in short: `admin` (recorded: 264_sp_project_permissions).
    #[serde(default, deserialize_with = "lenient::text")]
    pub role: Option<String>,
    /// The role in full, since 8.x: `PROJECT.ADMIN`.
    #[serde(default, deserialize_with = "lenient::text")]
    pub role_name: Option<String>,
    /// The project.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub project_uuid: Option<ProjectUuid>,
    /// The name of the project.
    #[serde(default, deserialize_with = "lenient::text")]
    pub project_name: Option<String>,
    /// The customer of the project.
    #[serde(default, deserialize_with = "lenient::uuid")]
    pub customer_uuid: Option<CustomerUuid>,
    /// Since when.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub created: Option<Timestamp>,
    /// When the role ends.
    #[serde(default, deserialize_with = "lenient::timestamp")]
    pub expiration_time: Option<Timestamp>,
}

impl ServiceProviders<'_> {
    /// Reads a service provider.
    ///
    /// # Errors
    /// `NotFound` when there is none, or none that this account may see.
    pub async fn get(self, provider: ServiceProviderUuid) -> Result<ServiceProvider> {
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/";
        let call = self.rest.get("service_providers.get", PATH, &[&provider.hex()]);
        fields::select::<ServiceProvider>(call).send_json().await.map_err(explain)
    }

    /// Lists the service providers that this account may see.
    pub fn list(self) -> Pager<ServiceProvider> {
        let call = self.rest.get("service_providers.list", "/api/marketplace-service-providers/", &[]);
        list::pages(fields::select::<ServiceProvider>(call), explain, |provider: &ServiceProvider| provider.uuid.hex())
    }

    /// Lists the projects that have a resource of the provider (#6).
    pub fn projects(self, provider: ServiceProviderUuid, query: &ProjectQuery) -> Pager<Project> {
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/projects/";
        query.pages(self.rest.get("service_providers.projects", PATH, &[&provider.hex()]))
    }

    /// Finds one project among them, to tell its field of science and its end to somebody else (#6).
    ///
    /// # Errors
    /// As every call.
    pub async fn project(self, provider: ServiceProviderUuid, project: ProjectUuid) -> Result<Option<Project>> {
        let found = self.projects(provider, &ProjectQuery::text(project.hex())).collect().await?;
        Ok(found.into_items().into_iter().find(|row| row.uuid == project))
    }

    /// Lists who has which role in these projects, all projects in one list.
    pub fn project_permissions(self, provider: ServiceProviderUuid) -> Pager<ProjectPermission> {
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/project_permissions/";
        let call = self.rest.get("service_providers.project_permissions", PATH, &[&provider.hex()]);
        let key = |row: &ProjectPermission| {
            format!("{} {:?} {:?} {:?}", row.user_uuid, row.project_uuid, row.role, row.role_name)
        };
        list::pages(fields::select::<ProjectPermission>(call), explain, key)
    }

    /// Lists the customers of these projects.
    pub fn customers(self, provider: ServiceProviderUuid) -> Pager<Customer> {
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/customers/";
        let call = self.rest.get("service_providers.customers", PATH, &[&provider.hex()]);
        list::pages(fields::select::<Customer>(call), explain, |customer: &Customer| customer.uuid.hex())
    }

    /// Lists the users with a role in these projects.
    pub fn users(self, provider: ServiceProviderUuid) -> Pager<User> {
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/users/";
        let call = self.rest.get("service_providers.users", PATH, &[&provider.hex()]);
        list::pages(fields::select::<User>(call), explain, |user: &User| user.uuid.hex())
    }
}
