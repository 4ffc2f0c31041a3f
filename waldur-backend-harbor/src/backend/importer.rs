//! Projects that are there already.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::{
    future::join,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use waldur_sdk::{
    Result,
    backend::{Importable, Importer, OpContext},
    rest::Complete,
    types::BackendId,
};

use super::{
    AT_A_TIME, HarborBackend,
    bulk::is_hopeless,
    stamp::{self, Mark},
};
use crate::{
    client::{EntityType, HarborClient, Project, ProjectId, ProjectName, StorageLimit},
    names,
};

/// Projects whose name begins with `allocation_prefix`; with none, all of them but Harbor's own. A project belongs to
/// the Waldur project whose group is bound to it, if there is exactly one. (`project_prefix` is not for groups: leave
/// it out.) A project with a stamp is listed with it, whichever Waldur the UUID is from. A project with several stamps,
/// or whose list Harbor does not show, is left out.
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
        let mut found: HashMap<_, _> = stream::iter(reads).buffered(AT_A_TIME).try_collect().await?;
        Ok(projects.filter_map(|project| found.remove(&project.id).flatten()))
    }
}

impl HarborBackend {
    async fn importable(
        &self,
        client: &HarborClient,
        limits: &HashMap<ProjectId, StorageLimit>,
        project: &Project,
    ) -> Result<(ProjectId, Option<Importable>)> {
        let stamp = match stamp::of(project).stamp {
            Mark::Stamp(stamp) => Some(stamp),
            Mark::None => None,
            Mark::Broken | Mark::Unknown => return Ok((project.id, None)),
        };
        // One whose name nobody can have was not made by us.
        let Ok(id) = BackendId::new(project.name.as_str()) else { return Ok((project.id, None)) };
        let item = Importable::new(id.clone()).with_stamp(stamp);
        match self.read_importable(client, limits, project, item).await {
            Ok(item) => Ok((project.id, Some(item))),
            Err(error) if is_hopeless(&error) => Err(error),
            // It may be gone since it was listed, which looks like a lack of rights to robots.
            Err(_)
                if client.projects().find(&ProjectName::new(id.as_str())?).await.is_ok_and(|found| found.is_none()) =>
            {
                Ok((project.id, None))
            }
            Err(error) => Ok((project.id, Some(Importable::unreadable(id, error)))),
        }
    }

    async fn read_importable(
        &self,
        client: &HarborClient,
        limits: &HashMap<ProjectId, StorageLimit>,
        project: &Project,
        mut item: Importable,
    ) -> Result<Importable> {
        let name = ProjectName::new(project.name.as_str())?;
        if let Some(limit) = limits.get(&project.id) {
            item.limits = self.0.storage.limits(*limit)?;
        }
        // What is somebody's is not offered, so that nobody asks where it belongs.
        if item.stamp.is_none() {
            item.parent = self.parent(client, &name).await?;
        }
        Ok(item)
    }

    /// The slug of the Waldur project whose group is bound to a project.
    async fn parent(&self, client: &HarborClient, name: &ProjectName) -> Result<Option<String>> {
        let members = client.members().list(name).all().await?;
        let groups = members.iter().filter(|member| member.kind == EntityType::Group);
        let mut slugs = groups.filter_map(|group| group.name.as_str().strip_prefix(&self.0.settings.group_prefix));
        Ok(slugs.next().filter(|_| slugs.next().is_none()).map(str::to_owned))
    }

    fn is_importable(&self, project: &Project) -> bool {
        let prefix = names::prefix(&self.0.settings.allocation_prefix);
        ProjectName::new(project.name.as_str()).is_ok() && project.name.starts_with(&prefix)
    }
}
