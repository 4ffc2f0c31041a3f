//! Projects that are there already.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::{
    future::join,
    stream::{self, StreamExt as _},
};
use waldur_sdk::{
    Result,
    backend::{Importable, Importer, OpContext},
    rest::Complete,
    types::BackendId,
};

use super::{AT_A_TIME, HarborBackend};
use crate::client::{EntityType, HarborClient, Project, ProjectId, ProjectName, StorageLimit};

/// Projects whose name begins with `allocation_prefix`; with none, all of them but Harbor's own. A project belongs to the
/// Waldur project whose group is bound to it, if that is one alone. (`project_prefix` is not for groups: leave it out.)
/// Those of resources that another Waldur has are among them: a stamp does not say whose server its UUID is from.
#[async_trait]
impl Importer for HarborBackend {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        let client = self.0.client.until(cx.deadline);
        // The login is proven by the quotas: a wrong one would be shown public projects alone.
        let (quotas, projects) = join(client.quotas().list().collect(), client.projects().list().collect()).await;
        let (quotas, projects) = (quotas?.complete()?, projects?.complete()?);
        let limits = quotas.into_items().into_iter().filter_map(|quota| Some((quota.project?, quota.limit?)));
        let limits: HashMap<_, StorageLimit> = limits.collect();
        let ours = projects.items().iter().filter(|project| self.is_importable(project));
        let reads: Vec<_> = ours.map(|project| self.importable(&client, &limits, project)).collect();
        let mut found: HashMap<_, _> = stream::iter(reads).buffered(AT_A_TIME).collect().await;
        Ok(projects.filter_map(|project| found.remove(&project.id).flatten()))
    }
}

impl HarborBackend {
    async fn importable(
        &self,
        client: &HarborClient,
        limits: &HashMap<ProjectId, StorageLimit>,
        project: &Project,
    ) -> (ProjectId, Option<Importable>) {
        let item = match BackendId::new(project.name.as_str()) {
            Ok(id) => match self.read_importable(client, limits, project, id.clone()).await {
                Ok(item) => Some(item),
                Err(error) => Some(Importable::unreadable(id, error)),
            },
            Err(_not_made_by_us) => None,
        };
        (project.id, item)
    }

    async fn read_importable(
        &self,
        client: &HarborClient,
        limits: &HashMap<ProjectId, StorageLimit>,
        project: &Project,
        id: BackendId,
    ) -> Result<Importable> {
        let name = ProjectName::new(project.name.as_str())?;
        let mut item = Importable::new(id);
        if let Some(limit) = limits.get(&project.id) {
            item.limits = self.0.storage.limits(*limit)?;
        }
        let members = client.members().list(&name).collect().await?.complete()?.into_items();
        let groups = members.iter().filter(|member| member.kind == EntityType::Group);
        let mut slugs = groups.filter_map(|group| group.name.as_str().strip_prefix(&self.0.settings.group_prefix));
        item.parent = slugs.next().filter(|_| slugs.next().is_none()).map(str::to_owned);
        Ok(item)
    }

    fn is_importable(&self, project: &Project) -> bool {
        ProjectName::new(project.name.as_str()).is_ok() && project.name.starts_with(&self.0.settings.allocation_prefix)
    }
}
