//! The conformance suite finds what is wrong with keys.

use std::sync::Arc;

use async_trait::async_trait;
use waldur_sdk::{
    Error, Result,
    backend::{IssuedKey, MarketplaceResource, OpContext, Override, ResourceBackend},
    rest::Complete,
    testing::{
        MemoryService, complete,
        conformance::{self, MemorySubject},
    },
    types::BackendId,
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

#[async_trait]
impl Override for Broken {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }

    async fn keys_revoke(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<()> {
        match self.fault {
            Fault::RevokesNothing => Ok(()),
            _ => self.keys().unwrap().revoke(cx, resource, id, client_id).await,
        }
    }

    async fn keys_rotate(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        client_id: &str,
    ) -> Result<IssuedKey> {
        let keys = self.keys().unwrap();
        match self.fault {
            Fault::KeepsTheOld => keys.mint(cx, resource, id).await,
            Fault::WantsTheOld => Err(Error::rejected("There is no such key.")),
            Fault::TakesTheSibling => {
                let issued = keys.mint(cx, resource, id).await?;
                keys.prune(cx, resource, id, &complete(vec![issued.client_id.clone()])).await?;
                Ok(issued)
            }
            _ => keys.rotate(cx, resource, id, client_id).await,
        }
    }

    async fn keys_prune(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        known: &Complete<String>,
    ) -> Result<u32> {
        match self.fault {
            Fault::PrunesNothing => Ok(0),
            _ => self.keys().unwrap().prune(cx, resource, id, known).await,
        }
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
        let subject = MemorySubject::new(MemoryService::new()).unwrap();
        let subject = subject.overriding(move |inner| Broken { inner, fault });
        let verdicts = conformance::run(&subject).await;
        assert!(verdicts.failures().any(|(failed, _)| failed == check), "{check} did not notice\n{verdicts}");
    }
}
