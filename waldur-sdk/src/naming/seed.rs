//! Names of new S3 users (s3.md §2).

use super::RgwUid;
use crate::{
    error::{Error, Result},
    types::ResourceUuid,
};

/// `{prefix}{customer}{separator}{project}{separator}{first 8 digits of the resource's UUID}`, never longer than a
/// maximum. Prefix, separators and digits are never cut.
///
/// ```
/// use waldur_sdk::{naming::SeedNaming, types::ResourceUuid};
/// let naming = SeedNaming::new("waldur_", "_", 64)?;
/// assert_eq!(naming, SeedNaming::default());
/// let resource: ResourceUuid = "12345678-9abc-def0-1234-56789abcdef0".parse()?;
/// assert_eq!(naming.uid("My-Org", "My.Project", resource)?.as_str(), "waldur_my_org_my_project_12345678");
/// # Ok::<(), waldur_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedNaming {
    prefix: String,
    separator: String,
    /// What the two slugs may have together, in bytes; at least 2.
    budget: usize,
}

/// How many digits of the UUID a name ends with.
const DIGITS: usize = 8;

/// `waldur_{customer}_{project}_{digits}`, at most 64 bytes.
impl Default for SeedNaming {
    fn default() -> Self {
        const BUDGET: usize = SeedNaming::MAX - SeedNaming::PREFIX.len() - DIGITS - 2 * SeedNaming::SEPARATOR.len();
        Self { prefix: Self::PREFIX.to_owned(), separator: Self::SEPARATOR.to_owned(), budget: BUDGET }
    }
}

impl SeedNaming {
    /// The usual prefix.
    pub const PREFIX: &'static str = "waldur_";

    /// The usual separator.
    pub const SEPARATOR: &'static str = "_";

    /// The usual maximum, in bytes.
    pub const MAX: usize = 64;

    /// What [`Self::new`] holds against a maximum that is too small.
    pub const LENGTH_RULE: &'static str =
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
        if max > RgwUid::MAX {
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
    pub fn uid(&self, customer_slug: &str, project_slug: &str, resource: ResourceUuid) -> Result<RgwUid> {
        let (mut customer, mut project) = (clean_slug(customer_slug), clean_slug(project_slug));
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
        let digits = super::uuid8(resource.uuid());
        let Self { prefix, separator, .. } = self;
        RgwUid::new(format!("{prefix}{customer}{separator}{project}{separator}{digits}"))
    }
}

fn check_part(field: &str, text: &str) -> Result<()> {
    if text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        Ok(())
    } else {
        Err(Error::config(format!("{field}: may only contain letters, digits and . _ -")))
    }
}

/// Lower-case letters and digits, with one `_` for each run of anything else, none at the ends; `default` for nothing.
/// Letters beyond ASCII are not transliterated.
pub fn clean_slug(slug: &str) -> String {
    let words = slug.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let clean = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    if clean.is_empty() { "default".to_owned() } else { clean }
}

/// Cuts a cleaned slug, which is ASCII and begins with a letter or digit.
fn cut(slug: &mut String, length: usize) {
    slug.truncate(length);
    slug.truncate(slug.trim_end_matches('_').len());
}
