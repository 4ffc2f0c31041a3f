//! Is the storage there, may we do what we need, and what should the operator know before a customer does?
//!
//! Changes nothing: rights to write are tried on a user that does not exist.

mod croit;
mod radosgw;

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Finding, Outcome},
};

use super::{
    Inner,
    stamp::{self, Mark},
    storage::Storage,
};
use crate::{
    croit::User,
    s3::Uid,
    settings::{DeleteMode, Flavour, S3Settings, UsageModel},
};

/// So many users are counted; beyond, they are many.
const COUNTED: usize = 10_000;

impl Inner {
    /// What was found out.
    pub(super) async fn findings(&self, storage: &Storage) -> Vec<Finding> {
        let mut findings = match storage {
            Storage::RadosGw(client) => radosgw::findings(client, &self.settings).await,
            Storage::Croit(client) => {
                let is_ours = |user: &User| match Uid::new(user.uid.as_str()) {
                    Ok(uid) if self.is_named_by_us(uid.name()) => true,
                    Ok(uid) => matches!(stamp::read(user.email.as_deref(), &uid), Mark::Stamp(_)),
                    Err(_) => false,
                };
                croit::findings(client, &self.settings, is_ours).await
            }
        };
        let over_time = self.settings.usage_model() == UsageModel::GbDays;
        findings.push(measured(&self.meter, over_time));
        let other = self.meter.unit_of_other_model(over_time);
        findings.extend(other.map(|text| Finding::new("usage_model", Outcome::Warning, text)));
        let unmeasured = self.meter.objects_without_history().filter(|_| over_time);
        findings.extend(unmeasured.map(|text| Finding::new("objects", Outcome::Warning, text)));
        findings.extend(choices(&self.settings));
        findings
    }
}

fn measured(meter: &crate::metering::Meter, over_time: bool) -> Finding {
    if meter.is_idle() || (over_time && !meter.measures_storage()) {
        let detail = "no component is measured";
        let remedy = "give a component that is billed by usage or limit the backend_name storage or objects";
        Finding::new("components", Outcome::Warning, detail).with_remedy(remedy)
    } else {
        Finding::passed("components", "what is stored is measured")
    }
}

/// A check whose remedy is known for some errors.
fn with_remedy(check: &str, result: Result<()>, remedy: impl FnOnce(ErrorKind) -> Option<String>) -> Finding {
    let remedy = result.as_ref().err().map(Error::kind).and_then(remedy);
    let finding = Finding::of_result(check, result);
    match remedy {
        Some(remedy) => finding.with_remedy(remedy),
        None => finding,
    }
}

/// What goes for every check of either flavour.
fn usual_remedy(kind: ErrorKind) -> Option<String> {
    match kind {
        ErrorKind::Tls => Some("install the server's authority, or check the name in its certificate".to_owned()),
        ErrorKind::Connect | ErrorKind::Timeout => Some("check address, firewall and proxy".to_owned()),
        _ => None,
    }
}

/// Whether the way to the server is closed to others, judged by what came of the first call.
fn tls(address: &str, settings: &S3Settings, first: &Result<()>) -> Finding {
    let failed = first.as_ref().err().filter(|error| error.kind() == ErrorKind::Tls);
    if let Some(error) = failed {
        return with_remedy("tls", Err(error.clone()), usual_remedy);
    }
    let warning = |detail: &str, remedy: &str| Finding::new("tls", Outcome::Warning, detail).with_remedy(remedy);
    if !address.starts_with("https:") {
        return warning("keys and secrets pass in the clear", "use https");
    }
    if !settings.verify_ssl {
        return warning(
            "the server's certificate is not verified",
            "put its authority into ca_certificates, and set verify_ssl: true",
        );
    }
    match first {
        Err(error) if matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Proxy) => {
            Finding::new("tls", Outcome::Skipped, "the server was not reached")
        }
        _ => Finding::passed("tls", "the certificate is verified"),
    }
}

/// A clock that is further off than this is worth a warning, in seconds.
const NOTABLE_SKEW: u64 = 60;

/// How far the clock of whoever answered is ahead of ours, as far as that was told.
fn clock(ahead: Option<i64>) -> Finding {
    let Some(ahead) = ahead else {
        return Finding::new("clock", Outcome::Skipped, "nobody told the time");
    };
    if ahead.unsigned_abs() <= NOTABLE_SKEW {
        return Finding::passed("clock", format!("{ahead} s between the storage's and this machine's"));
    }
    let detail =
        format!("the storage's clock is {ahead} s ahead of this machine's; from 15 minutes on it refuses requests");
    Finding::new("clock", Outcome::Warning, detail).with_remedy("synchronise both clocks")
}

/// How many users there are, of which all were counted or not.
fn users(count: usize, all: bool) -> Finding {
    let more = if all { "" } else { "more than " };
    let plural = if count == 1 { "" } else { "s" };
    Finding::passed("users", format!("{more}{count} user{plural}"))
}

/// What is told to customers and can be read nowhere.
fn region(settings: &S3Settings) -> Finding {
    let detail = format!("customers are told `{}`; the server does not tell its own", settings.region);
    Finding::new("region", Outcome::Skipped, detail)
}

fn choices(settings: &S3Settings) -> Vec<Finding> {
    let mut choices = Vec::new();
    let mut warn = |check: &str, detail: &str| choices.push(Finding::new(check, Outcome::Warning, detail));
    if settings.credentials.publishes() {
        warn("credentials_mode", "secret keys are published in the metadata of resources");
    }
    if settings.credentials.issues() && matches!(settings.flavour, Flavour::Croit(_)) {
        warn("credentials_mode", "croit takes secret keys in the query, so its access log has them");
    }
    if settings.delete_mode == DeleteMode::Purge {
        warn("delete_mode", "terminating a resource deletes its buckets and objects");
    }
    choices
}
