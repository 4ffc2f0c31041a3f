//! What providers are told of a project beside its name (core.md §1.6 #6, §3.1 step 1), where the back end wants to know.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use futures_util::{StreamExt, stream};

use super::{
    MembershipSync,
    pass::{Pass, Scope},
    row::Row,
};
use crate::{
    backend::{OpContext, SourceProject},
    client::Project,
    error::{Error, Result},
    types::{ProjectUuid, ServiceProviderUuid},
};

/// A project, or why it could not be read. `Ok(None)` where the provider sees none.
pub(super) type Told = Result<Option<Arc<SourceProject>>>;

impl MembershipSync {
    /// Reads the projects of these resources, each once in a pass, whatever comes of it.
    pub(super) async fn source_projects(&self, pass: &Pass, rows: &[Arc<Row>]) {
        let wanted = self.backend().upkeep().is_some() && self.backend().capabilities().source_project;
        if !wanted || pass.scope != Scope::Whole || self.policy().dry_run {
            return;
        }
        let unknown: BTreeSet<ProjectUuid> = {
            let known = pass.projects.lock().unwrap_or_else(PoisonError::into_inner);
            rows.iter().filter_map(|row| row.project()).filter(|project| !known.contains_key(project)).collect()
        };
        // Collected first: a stream that still maps references could not be sent to another thread.
        let reads: Vec<_> = unknown
            .into_iter()
            .map(|project| async move { (project, self.source_project(&pass.cx, project).await) })
            .collect();
        let read: Vec<_> = stream::iter(reads).buffer_unordered(self.concurrency()).collect().await;
        pass.projects.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
    }

    async fn source_project(&self, cx: &OpContext, project: ProjectUuid) -> Told {
        cx.checkpoint()?;
        let provider = self.service_provider().ok_or_else(|| Error::config("no service provider is known"))?;
        let found = self.waldur(cx).service_providers().project(provider, project).await?;
        Ok(found.map(|project| Arc::new(told(project))))
    }

    fn service_provider(&self) -> Option<ServiceProviderUuid> {
        self.0.served.service_provider
    }

    /// What was read of a project. Unknown is `None`; the reason is told once for each resource.
    pub(super) fn told_of(pass: &Pass, project: Option<ProjectUuid>) -> Told {
        let Some(project) = project else { return Ok(None) };
        let known = pass.projects.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&project).cloned().unwrap_or(Ok(None))
    }
}

fn told(project: Project) -> SourceProject {
    SourceProject {
        oecd_fos_2007_code: project.oecd_fos_2007_code,
        science_sub_domain_code: project.science_sub_domain_code,
        is_industry: project.is_industry,
        end_date_updated_at: project.end_date_updated_at,
    }
}
