//! The root of the file (core.md §6.2).

use std::time::Duration;

use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use super::{Checked, HttpUrl, OfferingSettings, Read, Report, Section, Warning, offering::Shared};
use crate::{
    error::Result,
    rest::{PlainHttp, Proxy},
};

/// The settings of an agent: what is true for all offerings, and the offerings.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AgentSettings {
    /// `offerings`: required; may be empty.
    pub offerings: Vec<OfferingSettings>,
    /// `timezone`: the zone in which billing periods begin and end, by its IANA name. Default `UTC`, which needs no
    /// time zone database; every other name is looked up in the machine's, or in the one bundled by jiff's feature
    /// `tzdb-bundle-always`.
    pub timezone: TimeZone,
    /// `global_proxy`: the proxy of every request, `http`, `https`, `socks5` or `socks5h`; it may carry a password.
    /// Default none (`""`).
    pub global_proxy: Option<SecretString>,
    /// `log_level`: default `INFO`, any case.
    pub log_level: LogLevel,
    /// `reporting_periods`: how many months, the current one included, each usage report covers. 1 to 12, default 2.
    pub reporting_periods: u8,
    /// `expose_backend_error_details`: whether the customer sees the details of errors of any kind (core.md §2.4).
    /// Default true.
    pub expose_backend_error_details: bool,
    /// `log_shipping`.
    pub log_shipping: LogShipping,
    /// `sentry_dsn`: an http(s) URL that contains a key. Default none; `""` is none.
    pub sentry_dsn: Option<SecretString>,
    /// `elastic_apm_server_url`: an http(s) URL. Default none; `""` is none.
    pub elastic_apm_server_url: Option<HttpUrl>,
}

impl AgentSettings {
    /// Reads the whole tree.
    ///
    /// # Errors
    /// `Config` with every problem of the tree; [`problems`](super::problems) lists them.
    pub fn from_value(tree: &Value) -> Result<(Self, Vec<Warning>)> {
        let mut report = Report::default();
        let outcome = report.root("", tree, Self::read);
        report.finish(outcome)
    }

    /// The proxy of every request, if there is one.
    ///
    /// # Errors
    /// As [`Proxy::new`].
    pub fn proxy(&self) -> Result<Option<Proxy>> {
        self.global_proxy.as_ref().map(|url| Proxy::new(url.expose_secret())).transpose()
    }

    fn read(mut section: Section<'_>) -> Read<Self> {
        let offerings = offerings(&mut section);
        let timezone = section.key("timezone").text().try_map(|name| time_zone(name.trim())).or(TimeZone::UTC);
        let global_proxy =
            section.key("global_proxy").not_null().blank_is_missing().secret().check(PROXY, is_proxy).optional();
        let log_level = section.key("log_level").one_of(&LogLevel::WORDS).or(LogLevel::Info);
        let reporting_periods = section.key("reporting_periods").integer(1..=12).or(2);
        let expose_backend_error_details = section.key("expose_backend_error_details").boolean().or(true);
        let log_shipping = section.key("log_shipping").section_or_empty(LogShipping::read);
        let sentry_dsn = section.key("sentry_dsn").blank_is_missing().secret().check(DSN, is_dsn).optional();
        let elastic_apm_server_url =
            section.key("elastic_apm_server_url").blank_is_missing().url(PlainHttp::Allowed).optional();
        section.finish()?;
        Ok(Self {
            offerings: offerings?,
            timezone,
            global_proxy,
            log_level,
            reporting_periods,
            expose_backend_error_details,
            log_shipping: log_shipping?,
            sentry_dsn,
            elastic_apm_server_url,
        })
    }
}

/// The offerings: a list, or as older files have them, a map by name; beside or below a map `waldur` with what is the
/// same for all of them.
fn offerings(section: &mut Section<'_>) -> Read<Vec<OfferingSettings>> {
    if !section.contains("waldur") {
        return listed(section, &Shared::default()).required();
    }
    section.warn("waldur", "is the form of older files; write waldur_api_url and waldur_api_token with each offering");
    let mut shared = Shared::default();
    let inner = section.key("waldur").section(|mut section| {
        shared = Shared::read(&mut section);
        let offerings = section.contains("offerings").then(|| listed(&mut section, &shared).required());
        section.finish()?;
        offerings.transpose()
    });
    match inner.optional().flatten() {
        Some(offerings) if !section.contains("offerings") => Ok(offerings),
        _ => listed(section, &shared).required(),
    }
}

fn listed<'s>(section: &'s mut Section<'_>, shared: &Shared) -> Checked<'s, Vec<OfferingSettings>> {
    section
        .key("offerings")
        .named_list(|name, item| item.section(|section| OfferingSettings::read(section, name, shared)).required())
}

/// `log_shipping`: sending the agent's log to Waldur.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogShipping {
    /// `enabled`: default false.
    pub enabled: bool,
    /// `ship_interval_seconds`: at least 10, default 60.
    pub ship_interval: Duration,
    /// `buffer_size_mb`: mebibytes kept while Waldur cannot be reached, the oldest dropped first. At least 1,
    /// default 1.
    pub buffer_size_mb: u32,
    /// `log_level`: what is sent, from this level on. Default `WARNING`, any case.
    pub log_level: LogLevel,
}

impl LogShipping {
    fn read(mut section: Section<'_>) -> Read<Self> {
        let settings = Self {
            enabled: section.key("enabled").boolean().or(false),
            ship_interval: Duration::from_secs(section.key("ship_interval_seconds").integer(10..).or(60)),
            buffer_size_mb: section.key("buffer_size_mb").integer(1..).or(1),
            log_level: section.key("log_level").one_of(&LogLevel::WORDS).or(LogLevel::Warning),
        };
        section.finish()?;
        Ok(settings)
    }
}

/// The levels of the Python agent's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogLevel {
    /// `DEBUG`
    Debug,
    /// `INFO`
    Info,
    /// `WARNING`
    Warning,
    /// `ERROR`
    Error,
    /// `CRITICAL`
    Critical,
}

impl LogLevel {
    const WORDS: [(&'static str, Self); 5] = [
        ("DEBUG", Self::Debug),
        ("INFO", Self::Info),
        ("WARNING", Self::Warning),
        ("ERROR", Self::Error),
        ("CRITICAL", Self::Critical),
    ];
}

fn time_zone(name: &str) -> Result<TimeZone, &'static str> {
    if name.eq_ignore_ascii_case("UTC") {
        return Ok(TimeZone::UTC);
    }
    let database = jiff::tz::db();
    if database.is_definitively_empty() {
        return Err("must be UTC, since this machine has no time zone database (package tzdata)");
    }
    database.get(name).ok().filter(|zone| !zone.is_unknown()).ok_or("must be the IANA name of a time zone")
}

const PROXY: &str = "must be the URL of a proxy: http, https, socks5 or socks5h";

fn is_proxy(text: &SecretString) -> bool {
    has_scheme(text, &["http", "https", "socks5", "socks5h"])
}

const DSN: &str = "must be an http(s) URL";

fn is_dsn(text: &SecretString) -> bool {
    has_scheme(text, &["http", "https"])
}

fn has_scheme(text: &SecretString, schemes: &[&str]) -> bool {
    Url::parse(text.expose_secret().trim()).is_ok_and(|url| schemes.contains(&url.scheme()) && url.has_host())
}
