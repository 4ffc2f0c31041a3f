//! Who names people at an offering, as the offering's options say (usernames.md §1, §2).

use serde_json::Value;

use crate::{
    open_enum,
    types::{JsonObject, lenient},
};

open_enum! {
    /// `username_generation_policy`: where user names come from (core.md §1.5).
    pub enum UsernameGenerationPolicy {
        /// From the provider, or the agent in its place.
        ServiceProvider = "service_provider",
        /// A prefix and a number.
        Anonymized = "anonymized",
        /// First and last name and a number.
        FullName = "full_name",
        /// The user name in Waldur.
        WaldurUsername = "waldur_username",
        /// The user name in FreeIPA.
        Freeipa = "freeipa",
        /// What the identity provider released, since 2025.
        IdentityClaim = "identity_claim",
    }
}

/// What an offering's options say about user names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsernameOptions {
    /// `username_generation_policy`: default `service_provider`.
    pub policy: UsernameGenerationPolicy,
    /// `username_anonymized_prefix`: default none, which makes
    /// [`ANONYMIZED_PREFIX`](super::ANONYMIZED_PREFIX) of it.
    pub anonymized_prefix: Option<String>,
    /// `service_provider_can_create_offering_user`: default false.
    pub provider_may_name: bool,
}

/// Whose part it is to name people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamedBy {
    /// Waldur's. The agent writes no name.
    Waldur,
    /// The provider's: the agent names them.
    Provider,
    /// The provider's, who is not allowed to: the offering's options contradict each other.
    Nobody,
}

impl UsernameOptions {
    /// Reads an offering's `plugin_options` and `secret_options`. Servers of 2024 keep the provider's permission in the
    /// latter, later ones in the former, which wins where it has the key. The permission may be written as a word or a
    /// number; what has another type counts as absent.
    ///
    /// ```
    /// use waldur_sdk::{naming::{NamedBy, UsernameOptions}, types::JsonObject};
    /// let old: JsonObject = serde_json::from_str(r#"{"service_provider_can_create_offering_user": true}"#)?;
    /// let options = UsernameOptions::read(&JsonObject::new(), &old);
    /// assert_eq!(options.named_by(), NamedBy::Provider);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn read(plugin_options: &JsonObject, secret_options: &JsonObject) -> Self {
        const FLAG: &str = "service_provider_can_create_offering_user";
        let flag = |options: &JsonObject| options.get(FLAG).and_then(|value| lenient::boolean(value).ok().flatten());
        let policy = plugin_options.text("username_generation_policy").unwrap_or("service_provider");
        Self {
            policy: policy.into(),
            // An empty prefix is one.
            anonymized_prefix: plugin_options
                .get("username_anonymized_prefix")
                .and_then(Value::as_str)
                .map(str::to_owned),
            provider_may_name: flag(plugin_options).or_else(|| flag(secret_options)).unwrap_or_default(),
        }
    }

    /// Whose part it is to name people.
    pub fn named_by(&self) -> NamedBy {
        match (&self.policy, self.provider_may_name) {
            (UsernameGenerationPolicy::ServiceProvider, true) => NamedBy::Provider,
            (UsernameGenerationPolicy::ServiceProvider, false) => NamedBy::Nobody,
            _ => NamedBy::Waldur,
        }
    }
}
