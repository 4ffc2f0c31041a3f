//! Settings that are read and do nothing here: whoever switched one on is told once.

use waldur_sdk::settings::{AgentSettings, OfferingSettings, Warning};

/// A warning for each key that is on and not served.
pub(super) fn keys(settings: &AgentSettings) -> Vec<Warning> {
    let root = [
        (settings.log_shipping.enabled, "log_shipping.enabled", "log lines are not shipped; collect those on stderr"),
        (settings.sentry_dsn.is_some(), "sentry_dsn", "nothing is sent to Sentry; collect the log lines on stderr"),
        (
            settings.elastic_apm_server_url.is_some(),
            "elastic_apm_server_url",
            "nothing is sent to Elastic APM; --listen serves metrics",
        ),
    ];
    let warnings = root.into_iter().filter(|(on, ..)| *on).map(|(_, path, text)| Warning::new(path, text));
    let offerings = settings.offerings.iter().enumerate();
    warnings.chain(offerings.flat_map(|(at, offering)| of_offering(at, offering))).collect()
}

fn of_offering(at: usize, offering: &OfferingSettings) -> impl Iterator<Item = Warning> {
    let all = [
        (offering.events.orders, "stomp_enabled", "this version reads no events; the offering is polled"),
        (offering.resource_import_enabled, "resource_import_enabled", "this version offers no resources for import"),
        (
            offering.username_reconciliation_enabled,
            "username_reconciliation_enabled",
            "this version does not carry names from one Waldur to another",
        ),
    ];
    let on = all.into_iter().filter(|(on, ..)| *on);
    on.map(move |(_, key, text)| Warning::new(format!("offerings[{at}].{key}"), text))
}
