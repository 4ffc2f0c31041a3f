//! What Waldur's list of API keys has to say before keys are published, or taken out of what is published.

use std::borrow::Cow;

use super::{MembershipSync, attend::Job, pass::Scope};
use crate::{
    backend::ResourceState,
    client::{Feature, Resource, ResourceApiKey},
    error::{Error, ErrorKind, Result},
    process::keys::{TARGET, listed},
    rest::Complete,
};

impl MembershipSync {
    /// What a back end told of a resource, minding the API keys of its customers: none of them is published, and nothing
    /// is withdrawn for their sake before there are any. Asks Waldur only where something would change.
    pub(super) async fn with_keys_minded<'a>(
        &self,
        job: &mut Job<'_>,
        row: &Resource,
        told: &'a ResourceState,
    ) -> Cow<'a, ResourceState> {
        let stands = |name: &&String| row.backend_metadata.contains_key(name.as_str());
        let replaced: Vec<&String> = told.replaced_by_keys.iter().filter(stands).collect();
        if job.pass.scope != Scope::Whole || (replaced.is_empty() && told.first_published.is_empty()) {
            return Cow::Borrowed(told);
        }
        let listed = self.keys_of(job, row).await;
        let mut told = told.clone();
        match whole_set(&listed) {
            Ok(()) => told.withdrawn.extend(replaced.into_iter().cloned()),
            Err(error) => {
                for name in replaced {
                    let text = format!("{name} stays published: {}", error.message());
                    job.warn("metadata", Error::new(error.kind(), text).with_source(error.clone()));
                }
            }
        }
        for (name, client_id) in std::mem::take(&mut told.first_published) {
            let text = match &listed {
                Ok(Some(rows)) if may_be(rows, &client_id) => {
                    format!("{name} is not published: the key in it is an API key of the customer's, or may be one")
                }
                Ok(_) => continue,
                Err(error) => format!("{name} is not published: {}", error.message()),
            };
            told.metadata.iter_mut().for_each(|metadata| drop(metadata.remove(&name)));
            let kind = listed.as_ref().map_or_else(Error::kind, |_| ErrorKind::Config);
            job.warn("metadata", Error::new(kind, text));
        }
        Cow::Owned(told)
    }

    /// The API keys that Waldur lists of a resource; `None` where it has no such thing.
    async fn keys_of(&self, job: &Job<'_>, row: &Resource) -> Result<Option<Complete<ResourceApiKey>>> {
        if self.lacks(Feature::ApiKeys) {
            return Ok(None);
        }
        match listed(&self.waldur(job.cx), row.uuid).await {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if self.is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether customers have all the keys that they are to have.
fn whole_set(listed: &Result<Option<Complete<ResourceApiKey>>>) -> Result<()> {
    let number = match listed {
        Ok(Some(rows)) => rows.items().iter().filter(|row| row.client_id.is_some()).count(),
        Ok(None) => return Err(Error::unsupported("keys of customers")),
        Err(error) => return Err(error.clone()),
    };
    if number < TARGET {
        return Err(Error::not_ready(format!("Waldur lists {number} of {TARGET} API keys that are to take its place")));
    }
    Ok(())
}

/// A row without its first half may be any key.
fn may_be(rows: &Complete<ResourceApiKey>, client_id: &str) -> bool {
    rows.items().iter().any(|row| row.client_id.as_deref().is_none_or(|listed| listed == client_id))
}
