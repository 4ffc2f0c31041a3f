//! The names of new projects and groups (harbor.md §6). Existing resources keep the name that Waldur holds.

use waldur_sdk::{
    Error, Result,
    backend::{Candidate, MarketplaceResource},
    naming::SlugNaming,
    types::BackendId,
};

use crate::client::{GroupName, ProjectName};

/// The name of a new project: `allocation_prefix` and the resource's slug, as Harbor takes it. Two slugs may come to
/// the same name; then the second one finds the project taken.
///
/// # Errors
/// As [`SlugNaming::candidate`].
pub fn project(prefix: &str, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
    let mut fitted = resource.clone();
    if !resource.slug.contains(|c: char| c.is_ascii_alphanumeric()) {
        ProjectName::for_resource("", &resource.slug, resource.uuid).as_str().clone_into(&mut fitted.slug);
    }
    for slug in [&mut fitted.slug, &mut fitted.project.slug] {
        *slug = tail(slug, ProjectName::MAX.saturating_sub(prefix.len() + COUNTER)).replace(char::is_control, "-");
    }
    let id = SlugNaming::new(prefix).candidate(&fitted, candidate)?;
    ProjectName::from_lossy(id.as_str()).try_into()
}

/// What the names of projects begin with that `allocation_prefix` stands before, as [`project`] writes it.
pub(crate) fn prefix(prefix: &str) -> String {
    const REST: &str = "0";
    let whole = format!("{prefix}{REST}");
    let fitted = ProjectName::from_lossy(&whole);
    fitted.as_str().strip_suffix(REST).unwrap_or_default().to_owned()
}

/// What a further candidate needs at its end: `-` and a number.
const COUNTER: usize = 11;

/// The end of a slug, where what tells it from others is; at most so many bytes.
fn tail(slug: &str, bytes: usize) -> String {
    let begin = slug.len().saturating_sub(bytes);
    let begin = (begin..=slug.len()).find(|at| slug.is_char_boundary(*at)).unwrap_or_default();
    slug.get(begin..).unwrap_or_default().to_owned()
}

/// The name of the group of a Waldur project, `oidc_group_prefix` and the project's slug: it has to equal what the
/// identity provider writes into its claim, so that nothing is made fit.
///
/// # Errors
/// `Config` when the project has no slug, or the name is none that Harbor takes.
pub fn group(prefix: &str, resource: &MarketplaceResource) -> Result<GroupName> {
    let slug = resource.project.slug.trim();
    if slug.is_empty() {
        return Err(Error::config("project slug: is missing, the group of the project cannot be named"));
    }
    GroupName::new(format!("{prefix}{slug}"))
}
