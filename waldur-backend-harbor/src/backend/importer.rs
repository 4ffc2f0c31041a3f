//! Projects that are there already.

use std::{collections::HashMap, future::ready};

use async_trait::async_trait;
use futures_util::future::join;
use waldur_sdk::{
    Result,
    backend::{Importable, Importer, OpContext},
    rest::{Complete, Page, Pager},
    types::BackendId,
};

use super::HarborBackend;
use crate::client::{Project, ProjectName, StorageLimit};

/// Projects whose name begins with `allocation_prefix`; with none, all of them but Harbor's own.
#[async_trait]
impl Importer for HarborBackend {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        let client = self.0.client.until(cx.deadline);
        // The login is proven by the quotas: a wrong one would be shown public projects alone.
        let (quotas, projects) = join(client.quotas().list().collect(), client.projects().list().collect()).await;
        let (quotas, projects) = (quotas?.complete()?, projects?.complete()?);
        let limits = quotas.into_items().into_iter().filter_map(|quota| Some((quota.project?, quota.limit?)));
        let limits: HashMap<_, StorageLimit> = limits.collect();
        let mut found = Vec::new();
        for project in projects.items().iter().filter(|project| self.is_importable(project)) {
            let mut item = Importable::new(BackendId::new(project.name.as_str())?);
            if let Some(limit) = limits.get(&project.id) {
                item.limits = self.0.storage.limits(*limit)?;
            }
            found.push(item);
        }
        // What was left out was left out of a whole list.
        let page = Page::new(found, None);
        let pager = Pager::new(|item: &Importable| item.backend_id.to_string(), move |_only| ready(Ok(page.clone())));
        pager.collect().await?.complete()
    }
}

impl HarborBackend {
    fn is_importable(&self, project: &Project) -> bool {
        ProjectName::new(project.name.as_str()).is_ok() && project.name.starts_with(&self.0.settings.allocation_prefix)
    }
}
