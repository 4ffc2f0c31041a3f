//! Facets for what a membership synchronisation keeps in step beside members (core.md §3.7, §3.8).

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{context::OpContext, request::MarketplaceResource, state::ById};
use crate::{
    error::Result,
    types::{BackendId, Date, Limits, Timestamp},
};

/// Limits single users of a resource.
#[async_trait]
pub trait UserLimits: Send + Sync {
    /// The limits of single users of each of `ids`, by user name, in Waldur's units. Users without limits of their own
    /// are not named. An id that is missing from the answer counts as unknown.
    async fn list(&self, cx: &OpContext, ids: &[BackendId]) -> ById<BTreeMap<String, Limits>>;

    /// Replaces the limits of one user, in Waldur's units. If `limits` is empty, only the resource's own limits hold
    /// for the user.
    ///
    /// # Errors
    /// When they could not be set, or the object carries another resource's stamp. The limits of other users are set
    /// all the same.
    async fn set(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        username: &str,
        limits: &Limits,
    ) -> Result<()>;
}

/// Keeps in step what surrounds a resource: its project, its last day, its name on a system behind the back end. Called
/// for every resource in every pass, so it has to cost nothing if nothing changed. Each method's default has nothing to
/// do.
#[async_trait]
pub trait ResourceUpkeep: Send + Sync {
    /// Whether [`sync_project`](Self::sync_project) has something to change, as far as the last look at the object
    /// shows. Sends nothing. If it has, resource and object are read again before [`sync_project`](Self::sync_project)
    /// is called: an order may have changed both since they were listed, and must not be undone. `about` is as complete
    /// here as there.
    ///
    /// The default does not know. That is right for a back end that reads before it compares, or that writes nothing
    /// which orders write as well.
    ///
    /// # Errors
    /// When it cannot be told. Then the processor goes on as if there were something.
    async fn is_behind(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<bool> {
        Ok(false)
    }

    /// Sets name, description, last day and field of science of the project on the back end to what Waldur has.
    ///
    /// # Errors
    /// When it could not be done.
    async fn sync_project(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<()> {
        Ok(())
    }

    /// Compares the last day on both sides. If the back end's should change, changes it. If Waldur's should change,
    /// answers with the new one.
    ///
    /// # Errors
    /// When it could not be done.
    async fn sync_end_date(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<EndDate> {
        Ok(EndDate::Keep)
    }

    /// The resource's name on the system behind the back end, if there is such a thing and it is known.
    ///
    /// # Errors
    /// When it could not be read.
    async fn effective_id(&self, _cx: &OpContext, _id: &BackendId, _about: &Surroundings) -> Result<Option<String>> {
        Ok(None)
    }
}

/// What Waldur knows about a resource and what surrounds it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Surroundings {
    /// The resource, with its project and its last day.
    pub resource: MarketplaceResource,
    /// The ordered limits, if Waldur has the authority over limits and the resource is in use; empty otherwise.
    pub limits: Limits,
    /// What the project is about.
    pub project_description: Option<String>,
    /// The last day of the project.
    pub project_end_date: Option<Date>,
    /// When the resource's last day was set.
    pub end_date_updated_at: Option<Timestamp>,
    /// The name on the system behind, as Waldur knows it.
    pub effective_id: Option<String>,
    /// What providers are told of the project; `None` unless
    /// [`Capabilities::source_project`](super::Capabilities::source_project) asks for it, or where it could not be read.
    pub source_project: Option<SourceProject>,
}

/// What providers are told of a project beside its name (core.md §1.6 #6, §3.8).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SourceProject {
    /// Its field of science, by the classification of 2007.
    pub oecd_fos_2007_code: Option<String>,
    /// Its field of science in detail, since 8.x.
    pub science_sub_domain_code: Option<String>,
    /// Whether it is one of industry.
    pub is_industry: Option<bool>,
    /// When its last day was set, since 8.x.
    pub end_date_updated_at: Option<Timestamp>,
}

impl Surroundings {
    /// A resource with nothing known about its surroundings.
    pub fn new(resource: MarketplaceResource) -> Self {
        Self {
            resource,
            limits: Limits::new(),
            project_description: None,
            project_end_date: None,
            end_date_updated_at: None,
            effective_id: None,
            source_project: None,
        }
    }
}

/// What becomes of the last day in Waldur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndDate {
    /// Nothing.
    #[default]
    Keep,
    /// It becomes this, or is taken away.
    Set(Option<Date>),
}
