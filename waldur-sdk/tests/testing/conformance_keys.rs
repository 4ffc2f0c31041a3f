//! The conformance suite finds what is wrong with keys.

use std::sync::Arc;

use async_trait::async_trait;
use waldur_sdk::{
    Error, Result,
    backend::{
        ApiKeys, Candidate, CreateRequest, Created, DeleteRequest, IssuedKey, MarketplaceResource, OpContext, Progress,
        Removed, ResourceBackend, ResourceState, Verified,
    },
    rest::{Complete, Page, Pager},
    testing::{
        MemoryService,
        conformance::{self, MemorySubject, Subject},
    },
    types::{BackendId, Limits},
};

/// What a back end gets wrong about keys.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// Makes a replacement and leaves the old one.
    KeepsTheOld,
    /// Knows every key.
    PrunesNothing,
    /// Takes nothing back.
    RevokesNothing,
    /// Replaces only what is there.
    WantsTheOld,
    /// Replaces all keys by one.
    TakesTheSibling,
}

struct Broken {
    inner: Arc<dyn ResourceBackend>,
    fault: Fault,
}

impl Broken {
    fn keys(&self) -> Result<&dyn ApiKeys> {
        self.inner.keys().ok_or_else(|| Error::unsupported("keys"))
    }
}

#[async_trait]
impl ApiKeys for Broken {
    async fn mint(&self, cx: &OpContext, resource: &MarketplaceResource, id: &BackendId) -> Result<IssuedKey> {
        self.keys()?.mint(cx, resource, id).await
    }

    async fn revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        match self.fault {
            Fault::RevokesNothing => Ok(()),
            _ => self.keys()?.revoke(cx, resource, id, client_id).await,
        }
    }

    async fn rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        match self.fault {
            Fault::KeepsTheOld => self.keys()?.mint(cx, resource, id).await,
            Fault::WantsTheOld => Err(Error::rejected("There is no such key.")),
            Fault::TakesTheSibling => {
                let issued = self.keys()?.mint(cx, resource, id).await?;
                let only = issued.client_id.clone();
                let pager = Pager::new(String::clone, move |_| {
                    let only = only.clone();
                    async move { Ok(Page::new(vec![only], None)) }
                });
                self.keys()?.prune(cx, resource, id, &pager.collect().await?.complete()?).await?;
                Ok(issued)
            }
            _ => self.keys()?.rotate(cx, resource, id, client_id).await,
        }
    }

    async fn prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        match self.fault {
            Fault::PrunesNothing => Ok(0),
            _ => self.keys()?.prune(cx, resource, id, known).await,
        }
    }
}

#[async_trait]
impl ResourceBackend for Broken {
    fn backend_type(&self) -> &'static str {
        "broken keys"
    }
    fn candidate_id(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        self.inner.candidate_id(resource, candidate)
    }
    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.inner.ping(cx).await
    }
    async fn create(&self, cx: &OpContext, request: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        self.inner.create(cx, request).await
    }
    async fn get(&self, cx: &OpContext, id: &BackendId) -> Result<Option<ResourceState>> {
        self.inner.get(cx, id).await
    }
    async fn delete(&self, cx: &OpContext, request: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        self.inner.delete(cx, request).await
    }
    fn keys(&self) -> Option<&dyn ApiKeys> {
        Some(self)
    }
}

struct BrokenSubject(MemorySubject, Fault);

#[async_trait]
impl Subject for BrokenSubject {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        Arc::new(Broken { inner: self.0.backend(), fault: self.1 })
    }
    fn limits(&self) -> Limits {
        self.0.limits()
    }
    fn other_limits(&self) -> Limits {
        self.0.other_limits()
    }
}

#[tokio::test]
async fn wrong_keys_fail_the_check_that_names_the_fault() {
    for (fault, check) in [
        (Fault::KeepsTheOld, "a_replaced_key_leaves_its_sibling"),
        (Fault::TakesTheSibling, "a_replaced_key_leaves_its_sibling"),
        (Fault::PrunesNothing, "what_nobody_knows_is_pruned"),
        (Fault::RevokesNothing, "keys_are_different_and_can_be_taken_back"),
        (Fault::WantsTheOld, "a_key_that_is_gone_is_replaced"),
    ] {
        let subject = BrokenSubject(MemorySubject::new(MemoryService::new()).unwrap(), fault);
        let verdicts = conformance::run(&subject).await;
        assert!(verdicts.failures().any(|(failed, _)| failed == check), "{check} did not notice\n{verdicts}");
    }
}
