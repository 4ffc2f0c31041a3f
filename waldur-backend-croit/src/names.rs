//! The names of new users (s3.md §2). Existing resources keep the name that Waldur holds.

pub use waldur_sdk::naming::{SeedNaming, clean_slug as clean};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Candidate, MarketplaceResource},
    naming::SlugNaming,
    types::BackendId,
};

use crate::s3::Uid;

/// How a new user is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `naming: seed`: from the slugs of customer and project and the resource's UUID.
    Seed(SeedNaming),
    /// `naming: processor`: `allocation_prefix` and the resource's slug, as the Python agent names everything else.
    Processor {
        /// `allocation_prefix`.
        prefix: String,
    },
}

impl Naming {
    /// What the name of every user begins with that was named this way.
    pub fn prefix(&self) -> &str {
        match self {
            Self::Seed(seed) => seed.prefix(),
            Self::Processor { prefix, .. } => prefix,
        }
    }

    /// The name for a resource.
    ///
    /// # Errors
    /// `AlreadyExists` for a second seed name, of which there is none; `Rejected` when the slug cannot be a user's
    /// name.
    pub fn candidate(&self, resource: &MarketplaceResource, candidate: Candidate) -> Result<BackendId> {
        match self {
            Self::Seed(_) if candidate.attempt > 0 => {
                let text = "the user's name is taken, and its UUID leaves no room for another one";
                Err(Error::new(ErrorKind::AlreadyExists, text))
            }
            Self::Seed(seed) => {
                let uid = seed.uid(&resource.customer.slug, &resource.project.slug, resource.uuid)?;
                uid.try_into()
            }
            Self::Processor { prefix } => {
                let id = SlugNaming::new(prefix.as_str()).candidate(resource, candidate)?;
                match Uid::new(id.as_str()) {
                    Ok(_) => Ok(id),
                    Err(cause) => {
                        let text = "The name of the resource leads to a user name that S3 storage does not take.";
                        Err(Error::rejected(text).with_source(cause))
                    }
                }
            }
        }
    }
}
