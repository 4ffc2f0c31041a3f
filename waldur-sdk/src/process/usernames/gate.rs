//! Whether the provider is the one to give names.

use crate::client::{UsernamePolicy, UsernameRules};

/// Who gives people their names at an offering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UsernameGate {
    /// The provider, that is, this agent.
    Provider,
    /// Waldur itself, by the policy of the offering.
    Waldur,
    /// The provider would, but the offering does not allow it to create accounts
    /// (`service_provider_can_create_offering_user`).
    NotAllowed,
}

/// What the rules of an offering come to (core.md §3.3; usernames.md U01, U21).
pub(in crate::process) fn gate(rules: &UsernameRules) -> UsernameGate {
    match rules.policy() {
        UsernamePolicy::ServiceProvider if rules.provider_may_create() => UsernameGate::Provider,
        UsernamePolicy::ServiceProvider => UsernameGate::NotAllowed,
        _ => UsernameGate::Waldur,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn u21_the_flag_is_read_from_either_options() {
        let gate = |plugin: serde_json::Value, secret: serde_json::Value| {
            let options = json!({ "plugin_options": plugin, "secret_options": secret });
            gate(&serde_json::from_value(options).unwrap())
        };
        let (flag, flag_off) = (
            json!({ "service_provider_can_create_offering_user": true }),
            json!({ "service_provider_can_create_offering_user": false }),
        );
        assert_eq!(gate(flag.clone(), json!({})), UsernameGate::Provider);
        assert_eq!(gate(json!({}), flag.clone()), UsernameGate::Provider);
        assert_eq!(gate(json!(null), flag.clone()), UsernameGate::Provider);
        assert_eq!(gate(flag_off.clone(), flag), UsernameGate::Provider);
        assert_eq!(gate(flag_off, json!(null)), UsernameGate::NotAllowed);
        for policy in ["anonymized", "waldur_username", "identity_claim", "something new"] {
            let plugin = json!({ "username_generation_policy": policy });
            assert_eq!(
                gate(plugin, json!({ "service_provider_can_create_offering_user": true })),
                UsernameGate::Waldur
            );
        }
    }
}
