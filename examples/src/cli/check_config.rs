//! `check-config`: whether a settings file is right, and what it comes to. Nothing is sent.
//!
//! Secrets, accounts and paths of addresses are not shown.

use std::{collections::BTreeSet, env};

use clap::Args;
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use waldur_sdk::{
    settings::{
        AgentSettings, Component, Components, Credentials, HttpUrl, LogShipping, OfferingSettings, UnmanagedUsers,
    },
    types::Limit,
};

use super::{
    File,
    opening::{Opened, Refusal, open},
    printed, refused,
    show::{self, Shown},
    told,
};
use crate::{
    agent,
    config::{self, ConfigError, Written},
    exit::Exit,
    log::Form,
    modes::{Mode, Periods},
    site::Site,
};

/// What the check may be told.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    file: File,
    /// Prints JSON instead of YAML.
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> Result<Exit, Refusal> {
    let Opened { settings, tree, mut warnings, log } = match open(&options.file.config, Form::Beside) {
        Ok(opened) => opened,
        // Who reads JSON reads it there.
        Err(refusal) if options.json => {
            return Ok(printed(refused(&refusal), &as_json(&Value::Null, &[], &refusal.problems)));
        }
        Err(refusal) => return Err(refusal),
    };
    let mut problems = Vec::new();
    // What the back ends think of their settings. The file may name some that are not in this program.
    match Site::networked().units(&settings, &Mode::ALL, true) {
        Ok((_, more)) => {
            agent::announce(&more);
            warnings.extend(more.iter().map(ToString::to_string));
        }
        Err(error) => problems.extend_from_slice(error.problems()),
    }
    let variable = |name: &str| env::var_os(name).map(|value| value.into_string().unwrap_or_default());
    let periods = Periods::from_environment(variable).unwrap_or_else(|found| {
        problems.extend(found);
        Periods::from_environment(|_| None).unwrap_or(Periods::all(std::time::Duration::from_mins(5)))
    });
    let effective = effective(&settings, &config::written(&tree), &periods);
    let text = if options.json { as_json(&effective.json(), &warnings, &problems) } else { effective.yaml() };
    log.settle();
    let exit = printed(Exit::Done, &text);
    Ok(match ConfigError::of(problems) {
        None => told(exit, &format!("waldur-agent: the configuration is right ({} warnings)", warnings.len())),
        Some(problems) => exit.or_worse(refused(&problems.into())),
    })
}

fn as_json(effective: &Value, warnings: &[String], problems: &[String]) -> String {
    let all = json!({ "settings": effective, "warnings": warnings, "problems": problems });
    format!("{all:#}\n")
}

fn effective(settings: &AgentSettings, written: &[Written<'_>], periods: &Periods) -> Shown {
    let secret = |secret: &secrecy::SecretString| Shown::secret(secret.expose_secret());
    let nothing = || Shown::Plain(Value::Null);
    let offerings = settings.offerings.iter().enumerate();
    let offerings = offerings.map(|(at, item)| offering(item, written.get(at).copied().unwrap_or_default()));
    let pause = |mode: Mode| Shown::text(format_args!("{} s", periods.of(mode).as_secs_f64()));
    map([
        ("timezone", Shown::text(settings.timezone.iana_name().unwrap_or("UTC"))),
        ("global_proxy", settings.global_proxy.as_ref().map_or_else(nothing, secret)),
        ("log_level", Shown::text(format_args!("{:?}", settings.log_level).to_string().to_uppercase())),
        ("reporting_periods", plain(settings.reporting_periods)),
        ("expose_backend_error_details", plain(settings.expose_backend_error_details)),
        ("log_shipping", log_shipping(&settings.log_shipping)),
        ("sentry_dsn", settings.sentry_dsn.as_ref().map_or_else(nothing, secret)),
        ("elastic_apm_server_url", settings.elastic_apm_server_url.as_ref().map_or_else(nothing, url)),
        ("pauses", map(Mode::ALL.map(|mode| (mode.as_str(), pause(mode))))),
        ("offerings", Shown::List(offerings.collect())),
    ])
}

fn url(url: &HttpUrl) -> Shown {
    show::address(url.as_url().as_str())
}

fn log_shipping(settings: &LogShipping) -> Shown {
    map([
        ("enabled", plain(settings.enabled)),
        ("ship_interval_seconds", plain(settings.ship_interval.as_secs())),
        ("buffer_size_mb", plain(settings.buffer_size_mb)),
        ("log_level", Shown::text(format!("{:?}", settings.log_level).to_uppercase())),
    ])
}

fn offering(offering: &OfferingSettings, written: Written<'_>) -> Shown {
    let backend = |mode: Mode| (mode.key(), Shown::text(mode.backend(offering).unwrap_or_default()));
    let unmanaged = if offering.unmanaged_users == UnmanagedUsers::Keep { "keep" } else { "remove" };
    let mut members =
        vec![("name", Shown::text(&offering.name)), ("waldur_api_url", show::address(&offering.api_url.to_string()))];
    members.extend(credentials(&offering.credentials));
    members.extend([
        ("waldur_offering_uuid", Shown::text(&offering.offering_uuid_text)),
        ("backend_type", Shown::text(&offering.backend_type)),
    ]);
    members.extend(Mode::ALL.map(backend));
    members.extend([
        ("username_management_backend", Shown::text(&offering.username_management_backend)),
        ("stomp_enabled", plain(offering.events.orders)),
        ("stomp_membership_sync_enabled", plain(offering.events.membership)),
        ("websocket_use_tls", plain(offering.events.websocket_use_tls)),
        ("stomp_ws_host", Shown::optional(offering.events.ws_host.as_ref())),
        ("stomp_ws_port", Shown::Plain(json!(offering.events.ws_port))),
        ("stomp_ws_path", Shown::optional(offering.events.ws_path.as_ref().map(|_| "(set)"))),
        ("resource_import_enabled", plain(offering.resource_import_enabled)),
        ("username_reconciliation_enabled", plain(offering.username_reconciliation_enabled)),
        ("verify_ssl", plain(offering.verify_ssl)),
        ("omit_anomalous_usage_components", plain(offering.omit_anomalous_usage_components)),
        ("unmanaged_users", Shown::text(unmanaged)),
        ("protected_users", Shown::text(format_args!("({} names)", offering.protected_users.len()))),
        ("backend_settings", written.settings.map_or_else(|| Shown::Map(Vec::new()), show::of_backend)),
        ("backend_components", components(&offering.components, written.components)),
    ]);
    map(members)
}

fn credentials(credentials: &Credentials) -> Vec<(&'static str, Shown)> {
    match credentials {
        Credentials::Token(token) => vec![("waldur_api_token", Shown::secret(token.expose_secret()))],
        Credentials::Oidc { token_url, client_id, client_secret } => vec![
            ("oidc_token_url", url(token_url)),
            ("oidc_client_id", Shown::text(client_id)),
            ("oidc_client_secret", Shown::secret(client_secret.expose_secret())),
        ],
        other => vec![("credentials", Shown::text(format_args!("{other:?}")))],
    }
}

fn components(components: &Components, written: Option<&Value>) -> Shown {
    let written = |name: &str| written.and_then(|all| all.get(name)).and_then(Value::as_object);
    Shown::Map(components.iter().map(|item| (item.name.clone(), component(item, written(&item.name)))).collect())
}

/// What it comes to, and what the back end alone understands, as written.
fn component(component: &Component, written: Option<&Map<String, Value>>) -> Shown {
    let mut members = vec![
        ("label", Shown::text(&component.label)),
        ("measured_unit", Shown::text(&component.measured_unit)),
        ("accounting_type", Shown::text(format!("{:?}", component.accounting_type).to_lowercase())),
        ("unit_factor", Shown::text(component.unit_factor.decimal())),
    ];
    let limit = |limit| match limit {
        Limit::Unlimited => Shown::text("unlimited"),
        Limit::At(amount) => Shown::text(amount.decimal()),
    };
    let (factor, prepaid) = (component.unit_factor_reporting, &component.prepaid);
    let months = |months: Option<u32>| months.map(plain);
    let optional = [
        ("unit_factor_reporting", factor.map(|factor| Shown::text(factor.decimal()))),
        ("limit", component.limit.map(limit)),
        ("limit_period", component.limit_period.as_ref().map(Shown::text)),
        ("description", component.description.as_ref().map(Shown::text)),
        ("article_code", component.article_code.as_ref().map(Shown::text)),
        ("min_value", component.min_value.map(plain)),
        ("max_value", component.max_value.map(plain)),
        ("max_available_limit", component.max_available_limit.map(plain)),
        ("default_limit", component.default_limit.map(plain)),
        ("is_boolean", component.is_boolean.map(plain)),
        ("is_prepaid", component.is_prepaid.map(plain)),
        ("min_prepaid_duration", months(prepaid.min_duration)),
        ("max_prepaid_duration", months(prepaid.max_duration)),
        ("prepaid_duration_step", months(prepaid.duration_step)),
        ("min_renewal_duration", months(prepaid.min_renewal)),
        ("max_renewal_duration", months(prepaid.max_renewal)),
        ("renewal_duration_step", months(prepaid.renewal_step)),
    ];
    let known: BTreeSet<_> = members.iter().map(|(key, _)| *key).chain(optional.iter().map(|(key, _)| *key)).collect();
    members.extend(optional.into_iter().filter_map(|(key, value)| Some((key, value?))));
    if !component.target_components.is_empty() {
        let targets = component.target_components.iter();
        let targets = targets.map(|(name, factor)| (name.clone(), map([("factor", Shown::text(factor))])));
        members.push(("target_components", Shown::Map(targets.collect())));
    }
    let own = |key: &str| !known.contains(key) && !OTHERWISE.contains(&key);
    let own = written.into_iter().flatten().filter(|(key, _)| own(key));
    let own = own.map(|(key, value)| (key.clone(), show::of_component(key, value)));
    Shown::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).chain(own).collect())
}

/// Keys that are shown in another form, or under today's name.
const OTHERWISE: [&str; 3] = ["target_components", "name", "billing_type"];

fn map(members: impl IntoIterator<Item = (&'static str, Shown)>) -> Shown {
    Shown::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn plain(value: impl Into<Value>) -> Shown {
    Shown::Plain(value.into())
}
