//! Repositories (harbor.md §3, calls 21 and 22).

use http::Method;
use waldur_sdk::{Result, rest::Pager};

use super::{
    HarborClient,
    ids::{ProjectName, RepositoryName},
    listing,
    model::Repository,
};

/// Calls on repositories. These paths take names of projects only, so that digits are no danger here.
#[derive(Clone, Copy, Debug)]
pub struct Repositories<'a>(pub(super) &'a HarborClient);

impl Repositories<'_> {
    /// The repositories of a project.
    pub fn list(&self, project: &ProjectName) -> Pager<Repository> {
        let template = "/projects/{project}/repositories";
        let call = self.0.named(Method::GET, "repositories.list", template, &[project.as_str()]);
        listing::pages(call, "name", |repository: Repository| repository, |repository| repository.name.clone())
    }

    /// Deletes a repository **with all its artifacts**. Slashes of the name are encoded twice, as Harbor wants them.
    ///
    /// # Errors
    /// `NotFound` when it is gone; `Conflict` when it has artifacts that may not be deleted.
    pub async fn delete(&self, project: &ProjectName, repository: &RepositoryName) -> Result<()> {
        let template = "/projects/{project}/repositories/{repository/}";
        let arguments = [project.as_str(), repository.as_str()];
        self.0.named(Method::DELETE, "repositories.delete", template, &arguments).send_unit().await
    }
}
