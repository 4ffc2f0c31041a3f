//! Who gives users their names at an offering (usernames.md §1, §2).

use serde::{Deserialize, Deserializer};

use crate::{open_enum, types::lenient};

open_enum! {
    /// Where the names of an offering's users come from (core.md §1.5).
    pub enum UsernamePolicy {
        /// The service provider gives them.
        ServiceProvider = "service_provider",
        /// A prefix and a number.
        Anonymized = "anonymized",
        /// First and last name and a number.
        FullName = "full_name",
        /// The user name in Waldur.
        WaldurUsername = "waldur_username",
        /// The user name in FreeIPA.
        FreeIpa = "freeipa",
        /// A claim of the identity provider.
        IdentityClaim = "identity_claim",
    }
}

/// The rules of one offering.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct UsernameRules {
    #[serde(default, deserialize_with = "rules")]
    plugin_options: Rules,
    #[serde(default, deserialize_with = "rules")]
    secret_options: Rules,
}

/// The only members of an offering's options that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
struct Rules {
    #[serde(default, deserialize_with = "lenient::word")]
    username_generation_policy: Option<UsernamePolicy>,
    #[serde(default, deserialize_with = "lenient::boolean")]
    service_provider_can_create_offering_user: Option<bool>,
}

impl UsernameRules {
    /// Where names come from; the service provider where the offering does not say.
    pub fn policy(&self) -> UsernamePolicy {
        self.plugin_options.username_generation_policy.clone().unwrap_or(UsernamePolicy::ServiceProvider)
    }

    /// Whether the service provider may create accounts of users.
    pub fn provider_may_create(&self) -> bool {
        [&self.plugin_options, &self.secret_options]
            .iter()
            .any(|options| options.service_provider_can_create_offering_user == Some(true))
    }
}

/// Options of a form that nobody expects say nothing.
fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Rules, D::Error> {
    let options = lenient::object(deserializer)?;
    Ok(Rules::deserialize(serde_json::Value::Object(options.into())).unwrap_or_default())
}
