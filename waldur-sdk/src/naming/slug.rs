//! Back-end ids made of slugs, as the Python agent makes them (core.md §2.6).

use crate::{
    backend::{Candidate, Collision, MarketplaceResource},
    error::{Error, Result},
    types::BackendId,
};

/// `allocation_prefix` and a slug, in lower case.
///
/// | offering's `account_name_generation_policy` | candidates for slug `res-1` in project `p` |
/// |---|---|
/// | none | `res-1`, then `res-1-0`, `res-1-1`… after "not unique", `p-0`, `p-1`… after a duplicate |
/// | `project_slug` | `p`, `p-0`, `p-1`… |
///
/// That a duplicate moves on to the project's slug is how the Python agent counts, and operators rely on it; that
/// "not unique" moves on at all is ours: it asked about the same name fifty times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlugNaming {
    prefix: String,
}

impl SlugNaming {
    /// Names that begin with `prefix` (`allocation_prefix`).
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// Whether the offering names accounts after the project.
    pub fn by_project(resource: &MarketplaceResource) -> bool {
        resource.plugin_options.get("account_name_generation_policy").and_then(|policy| policy.as_str())
            == Some("project_slug")
    }

    /// The candidate for a resource.
    ///
    /// # Errors
    /// `Config` when the slug it needs is missing, `Rejected` when it holds what could lead a path elsewhere.
    pub fn candidate(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        let by_project = Self::by_project(resource);
        let counts_on_project = by_project || candidate.collision == Some(Collision::Duplicate);
        let base = if by_project || (candidate.attempt > 0 && counts_on_project) {
            required("project slug", &resource.project.slug)?
        } else {
            required("resource slug", &resource.slug)?
        };
        let id = match candidate.attempt {
            0 => format!("{}{base}", self.prefix),
            attempt => format!("{}{base}-{}", self.prefix, attempt - 1),
        };
        BackendId::new(id.to_lowercase())
    }
}

/// Waldur makes slugs of letters, digits, `-` and `_`; its staff may write anything there.
fn required<'a>(what: &str, slug: &'a str) -> Result<&'a str> {
    let slug = slug.trim();
    let leads_away = |c: char| matches!(c, '/' | '\\' | '%' | '?' | '#') || c.is_whitespace() || c.is_control();
    if slug.is_empty() {
        Err(Error::config(format!("{what}: is missing, no back-end id can be made")))
    } else if matches!(slug, "." | "..") || slug.contains(leads_away) {
        Err(Error::rejected("The short name of the resource or its project is none that a system could take."))
    } else {
        Ok(slug)
    }
}
