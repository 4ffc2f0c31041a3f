//! The names of new users (s3.md §2). Existing resources keep the name that Waldur holds.

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Candidate, MarketplaceResource},
    naming::SlugNaming,
    types::{BackendId, ResourceUuid},
};

use crate::client::{MAX_NAME, Uid, has_name_characters};

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
                BackendId::new(uid.to_string())
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

/// `{prefix}{customer}{separator}{project}{separator}{first 8 digits of the resource's UUID}`, never longer than a
/// maximum. Prefix, separators and digits are never cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedNaming {
    prefix: String,
    separator: String,
    /// What the two slugs may have together, in bytes; at least 2.
    budget: usize,
}

/// How many digits of the UUID a name ends with.
const DIGITS: usize = 8;

impl SeedNaming {
    pub(crate) const LENGTH_RULE: &'static str =
        "leaves the slugs fewer than two characters; raise it, or shorten user_prefix";

    /// `user_prefix`, `slug_separator` and `max_username_length`, in bytes.
    ///
    /// # Errors
    /// `Config` when prefix or separator have characters other than letters, digits and `.-_`, when the maximum is
    /// beyond 255, or leaves the slugs fewer than two.
    pub fn new(prefix: impl Into<String>, separator: impl Into<String>, max: usize) -> Result<Self> {
        let (prefix, separator) = (prefix.into(), separator.into());
        check_part("user_prefix", &prefix)?;
        check_part("slug_separator", &separator)?;
        if max > MAX_NAME {
            return Err(Error::config("max_username_length: must be at most 255"));
        }
        match max.checked_sub(prefix.len() + DIGITS + 2 * separator.len()) {
            Some(budget) if budget >= 2 => Ok(Self { prefix, separator, budget }),
            _ => Err(Error::config(format!("max_username_length: {}", Self::LENGTH_RULE))),
        }
    }

    /// What every name begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of a user.
    ///
    /// # Errors
    /// None in practice: whatever the slugs are, the name is valid.
    pub fn uid(&self, customer_slug: &str, project_slug: &str, resource: ResourceUuid) -> Result<Uid> {
        let (mut customer, mut project) = (clean(customer_slug), clean(project_slug));
        if customer.len() + project.len() > self.budget {
            let half = self.budget / 2;
            let other_half = self.budget - half;
            let (for_customer, for_project) = if customer.len() <= half {
                (customer.len(), self.budget - customer.len())
            } else if project.len() <= other_half {
                (self.budget - project.len(), project.len())
            } else {
                (half, other_half)
            };
            cut(&mut customer, for_customer);
            cut(&mut project, for_project);
        }
        let mut digits = resource.hex();
        digits.truncate(DIGITS);
        let Self { prefix, separator, .. } = self;
        Uid::new(format!("{prefix}{customer}{separator}{project}{separator}{digits}"))
    }
}

fn check_part(field: &str, text: &str) -> Result<()> {
    if has_name_characters(text) {
        Ok(())
    } else {
        Err(Error::config(format!("{field}: may only contain letters, digits and . _ -")))
    }
}

/// Lower-case letters and digits, with one `_` for each run of anything else, none at the ends; `default` for nothing.
/// Letters beyond ASCII are not transliterated.
pub fn clean(slug: &str) -> String {
    let words = slug.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let clean = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    if clean.is_empty() { "default".to_owned() } else { clean }
}

/// Cuts a cleaned slug, which is ASCII and begins with a letter or digit.
fn cut(slug: &mut String, length: usize) {
    slug.truncate(length);
    slug.truncate(slug.trim_end_matches('_').len());
}
