//! Names: pure functions and types, no I/O.
//!
//! # User names at an offering
//!
//! [`UsernameOptions`] reads from an offering's options who names people there. [`UsernameGenerationPolicy::username`]
//! makes the names, in one of two [forms](NameForm). The username back ends that use them are in
//! [`backend`](crate::backend::UsernameRegistry).
//!
//! | policy | recommended | compat, as Waldur makes them |
//! |---|---|---|
//! | `service_provider` | none: the provider names people | none |
//! | `full_name` | `lukasz_zolc_00` | `ukasz_zoc_00` |
//! | `anonymized` | `walduruser_00000` | `walduruser_00000` |
//! | `waldur_username` | `lz@uni.example` | `lz@uni.example` |
//! | `freeipa` | `lzolc` | `lzolc` |
//! | `identity_claim` | `zolc1` | `zolc1` |
//!
//! ```
//! use waldur_sdk::naming::{NameForm, Person, UsernameGenerationPolicy, UsernameOptions};
//! use waldur_sdk::types::{JsonObject, Uuid};
//!
//! let details: JsonObject = serde_json::from_str(r#"{"site_username": "zolc1"}"#)?;
//! let mut person = Person::named(Uuid::nil(), "Łukasz", "Żółć");
//! person.waldur_username = "lz@uni.example";
//! person.freeipa_username = "lzolc";
//! person.details = Some(&details);
//!
//! let options = UsernameOptions::read(&JsonObject::new(), &JsonObject::new());
//! let names = |policy: &str, form| {
//!     let name = UsernameGenerationPolicy::from(policy).username(&person, &options, form, []);
//!     name.map(|name| name.into_string())
//! };
//! let table = [
//!     ("service_provider", None, None),
//!     ("full_name", Some("lukasz_zolc_00"), Some("ukasz_zoc_00")),
//!     ("anonymized", Some("walduruser_00000"), Some("walduruser_00000")),
//!     ("waldur_username", Some("lz@uni.example"), Some("lz@uni.example")),
//!     ("freeipa", Some("lzolc"), Some("lzolc")),
//!     ("identity_claim", Some("zolc1"), Some("zolc1")),
//! ];
//! for (policy, recommended, compat) in table {
//!     assert_eq!(names(policy, NameForm::Recommended).as_deref(), recommended);
//!     assert_eq!(names(policy, NameForm::Compat).as_deref(), compat);
//! }
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Names of things
//!
//! For each system there is a type that only holds names which the system accepts. There are three ways to make one:
//!
//! | way | a text that is not a valid name | can two texts give the same name? |
//! |---|---|---|
//! | `new` | is an error | never |
//! | `from_lossy` | becomes the nearest name; applying it twice changes nothing more | possible |
//! | `derive` | becomes the nearest name and a hash | only on purpose |
//!
//! ```
//! use waldur_sdk::naming::HarborProjectName;
//! assert!(HarborProjectName::new("waldur-My__Proj--1").is_err());
//! assert!(HarborProjectName::new("library").is_err());
//! assert_eq!(HarborProjectName::from_lossy("waldur-My__Proj--1").as_str(), "waldur-my-proj-1");
//! assert_eq!(HarborProjectName::derive("waldur-My__Proj--1").as_str(), "waldur-my-proj-1-52922288");
//! ```
//!
//! [`SlugNaming`] and [`SeedNaming`] make the ids of resources, [`slug_2024`] and [`slug_2025`] the slugs that Waldur
//! makes of names, [`PosixOptions`] and its neighbours the numbers of accounts.

mod compare;
mod fit;
mod latin;
mod ldap;
mod numbered;
mod policy;
mod posix;
mod seed;
mod slug;
mod target;
mod username;
mod waldur_slug;

pub use compare::Comparison;
pub use fit::{HASH_DIGITS, fit};
pub use latin::transliterate;
pub use ldap::{ldap_normalize, posix_sanitize};
pub use policy::{NamedBy, UsernameGenerationPolicy, UsernameOptions};
pub use posix::{LOGIN_SHELL, PosixIdPool, PosixIds, PosixOptions};
pub use seed::{SeedNaming, clean_slug};
pub use slug::SlugNaming;
pub use target::{
    HarborGroupName, HarborProjectName, K8sLabelValue, K8sNamespace, K8sObjectName, KeycloakGroupName,
    KeycloakUsername, KeystoneProjectName, KeystoneUserName, OfferingUsername, PosixLogin, RancherProjectName, RgwUid,
    RobotAccountName, S3BucketName, ServerName,
};
pub use username::{ANONYMIZED_PREFIX, NameForm, Person, anonymized, full_name, identity_claim, waldur_username};
pub use waldur_slug::{slug_2024, slug_2025};

use crate::types::Uuid;

/// The first eight digits of a UUID, which tell resources apart where a whole one has no room.
pub fn uuid8(uuid: Uuid) -> String {
    let mut digits = uuid.simple().to_string();
    digits.truncate(8);
    digits
}
