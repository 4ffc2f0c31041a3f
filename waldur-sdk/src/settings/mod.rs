//! The settings of the site agent: the schema of the Python agent's YAML file (core.md §6), without a YAML parser.
//!
//! Input is a [`serde_json::Value`] tree. [`AgentSettings::from_value`] answers with the settings and warnings, or with
//! *all* problems at once ([`problems`]), each with its path, the rule and the type of what was found. No value is ever
//! repeated: it may be a secret, written on the wrong line.
//!
//! A back end reads its `backend_settings` with the same reader, one line for each key:
//!
//! ```
//! use waldur_sdk::rest::{BaseUrl, PlainHttp};
//! use waldur_sdk::settings::{BackendSettings, Read, Section};
//! use waldur_sdk::types::SecretString;
//!
//! #[derive(Debug)]
//! struct RegistrySettings {
//!     url: BaseUrl,
//!     username: String,
//!     password: SecretString,
//!     quota_gb: u64,
//!     verify_ssl: bool,
//! }
//!
//! impl RegistrySettings {
//!     fn read(mut section: Section<'_>) -> Read<Self> {
//!         let url = section.key("harbor_url").base_url(PlainHttp::Allowed).required();
//!         let username = section.key("robot_username").text().required();
//!         let password = section.key("robot_password").secret().required();
//!         let quota_gb = section.key("default_storage_quota_gb").integer(1..).or(10);
//!         let verify_ssl = section.key("verify_ssl").boolean().or(true);
//!         section.finish()?;
//!         Ok(Self { url: url?, username: username?, password: password?, quota_gb, verify_ssl })
//!     }
//! }
//!
//! let tree = serde_json::json!({
//!     "harbor_url": "https://registry.example.org", "robot_username": "robot$waldur", "robot_password": "s3cr3t",
//!     "allocation_prefix": "hpc-", "verify_sl": "no",
//! });
//! let (settings, _) = BackendSettings::from_value("backend_settings", &tree)?;
//! let (registry, warnings) = settings.read(RegistrySettings::read)?;
//! assert_eq!(settings.core.allocation_prefix, "hpc-");
//! assert!(registry.verify_ssl);
//! let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
//! assert_eq!(warnings, ["backend_settings.verify_sl: unknown key, ignored; did you mean verify_ssl?"]);
//! # Ok::<(), waldur_sdk::Error>(())
//! ```

mod agent;
mod backend;
mod component;
mod components;
mod mapping;
mod offering;
mod reader;

pub use agent::{AgentSettings, LogLevel, LogShipping};
pub use backend::{BackendSettings, CoreBackendSettings, HomedirQuota, HomedirQuotaProvider, PeriodicLimits};
pub use component::{AccountingType, Component, PrepaidTerms};
pub use components::{BackendLimit, BackendLimits, Components, WaldurComponent};
pub use jiff::tz::TimeZone;
pub use mapping::ComponentMapping;
pub use offering::{Credentials, EventSettings, OfferingSettings, UnmanagedUsers};
pub use reader::{
    Checked, Found, HttpUrl, Problem, RawSettings, Read, Report, Reported, Section, Setting, Warning, problems,
};
