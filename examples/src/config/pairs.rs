//! Offerings that are suspiciously alike.

use serde_json::Value;
use waldur_sdk::settings::{AgentSettings, OfferingSettings, Warning};

/// What is said of pairs: one offering twice, and two offerings on one back end with one login and one way to name
/// things.
pub(super) fn alike(settings: &AgentSettings, tree: &Value) -> Vec<Warning> {
    let settings_of = written(tree);
    let mut warnings = Vec::new();
    for (at, one) in settings.offerings.iter().enumerate() {
        for (other_at, other) in settings.offerings.iter().enumerate().skip(at + 1) {
            let path = format!("offerings[{other_at}]");
            if is_same_offering(one, other) {
                let text = format!("is the offering of offerings[{at}] once more; both would be worked on");
                warnings.push(Warning::new(path, text));
            } else if one.backend_type == other.backend_type
                && settings_of.get(at).copied().flatten().is_some_and(|settings| {
                    is_filled(settings) && settings_of.get(other_at).copied().flatten() == Some(settings)
                })
            {
                let text = format!(
                    "is on the same back end as offerings[{at}], with the same login and the same names; each sees what \
                     the other made there"
                );
                warnings.push(Warning::new(format!("{path}.backend_settings"), text));
            }
        }
    }
    warnings
}

fn is_same_offering(one: &OfferingSettings, other: &OfferingSettings) -> bool {
    !one.has_placeholder()
        && one.offering_uuid == other.offering_uuid
        && one.api_url.to_string() == other.api_url.to_string()
}

fn is_filled(settings: &Value) -> bool {
    settings.as_object().is_some_and(|settings| !settings.is_empty())
}

/// `backend_settings` of each offering as written, in the order in which the settings have them.
pub(super) fn written(tree: &Value) -> Vec<Option<&Value>> {
    offerings(tree).into_iter().map(|offering| either(offering, "backend_settings", "backend")).collect()
}

/// The offerings as written, in the order in which the settings have them.
pub(super) fn offerings(tree: &Value) -> Vec<&Value> {
    let root = tree.get("offerings").or_else(|| tree.pointer("/waldur/offerings"));
    match root {
        Some(Value::Array(offerings)) => offerings.iter().collect(),
        Some(Value::Object(offerings)) => offerings.values().collect(),
        _ => Vec::new(),
    }
}

/// What stands under a key, or under the older name of it.
pub(super) fn either<'v>(offering: &'v Value, key: &str, older: &str) -> Option<&'v Value> {
    offering.get(key).or_else(|| offering.get(older))
}
