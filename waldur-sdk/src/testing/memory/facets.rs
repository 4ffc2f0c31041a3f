//! Keys and import of [`MemoryBackend`].

use async_trait::async_trait;
use http::HeaderMap;
use secrecy::SecretString;
use serde::Deserialize;

use super::{backend::MemoryBackend, service::MemoryObject};
use crate::{
    backend::{ApiKeys, Importable, Importer, IssuedKey, MarketplaceResource, OpContext, Stamp},
    error::Result,
    rest::{Complete, Page, PageToken, Pager},
    types::BackendId,
};

#[derive(Deserialize)]
struct MintedKey {
    client_id: String,
    secret: SecretString,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(flatten)]
    object: MemoryObject,
}

impl MemoryBackend {
    async fn make_key(&self, cx: &OpContext, id: &BackendId) -> Result<IssuedKey> {
        let call = self.api().post("keys.mint", "/objects/{id}/keys", &[id.as_str()]).secret_answer();
        let MintedKey { client_id, secret } = call.deadline(cx.deadline).send_json().await?;
        Ok(IssuedKey { client_id, secret })
    }

    async fn remove_key(&self, cx: &OpContext, id: &BackendId, client_id: &str) -> Result<()> {
        let call = self.api().delete("keys.remove", "/objects/{id}/keys/{client_id}", &[id.as_str(), client_id]);
        match call.deadline(cx.deadline).send_unit().await {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }
}

#[async_trait]
impl ApiKeys for MemoryBackend {
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey> {
        self.owned(cx, id, resource).await?;
        self.make_key(cx, id).await
    }

    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        self.owned(cx, id, resource).await?;
        self.remove_key(cx, id, client_id).await
    }

    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        self.owned(cx, id, resource).await?;
        let issued = self.make_key(cx, id).await?;
        self.remove_key(cx, id, client_id).await?;
        Ok(issued)
    }

    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        self.owned(cx, id, resource).await?;
        let call = self.api().get("keys.list", "/objects/{id}/keys", &[id.as_str()]).deadline(cx.deadline);
        let live: Vec<String> = call.send_json().await?;
        let mut pruned = 0;
        for client_id in live.iter().filter(|client_id| !known.items().contains(client_id)) {
            self.remove_key(cx, id, client_id).await?;
            pruned += 1;
        }
        Ok(pruned)
    }
}

#[async_trait]
impl Importer for MemoryBackend {
    async fn list(&self, cx: &OpContext) -> Result<Complete<Importable>> {
        let (backend, deadline) = (self.clone(), cx.deadline);
        let pager = Pager::new(
            |item: &Importable| item.backend_id.to_string(),
            move |token: Option<PageToken>| {
                let backend = backend.clone();
                async move {
                    let page: u64 = token.and_then(|token| token.0.parse().ok()).unwrap_or(1);
                    let call =
                        backend.api().get("objects.list", "/objects", &[]).query("page", page).deadline(deadline);
                    let (rows, headers): (Vec<Row>, HeaderMap) = call.send_with_headers().await?;
                    let next = (rows.len() == 100).then(|| PageToken((page + 1).to_string()));
                    let total = headers.get("x-total-count").and_then(|total| total.to_str().ok()?.parse().ok());
                    let items = rows.into_iter().map(|row| backend.importable(row)).collect::<Result<Vec<_>>>()?;
                    Ok(Page::new(items, next).with_total(total))
                }
            },
        );
        pager.collect().await?.complete()
    }
}

impl MemoryBackend {
    fn importable(&self, row: Row) -> Result<Importable> {
        let id = BackendId::new(row.id)?;
        let limits = self.to_state(&id, &row.object)?.limits;
        let mut item = Importable::new(id);
        item.parent = row.object.project;
        item.limits = limits;
        Ok(item.with_stamp(row.object.stamp.map(Stamp)))
    }
}
