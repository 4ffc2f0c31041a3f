//! A gateway: the rights of the admin user one by one, its clock, and what it tells of itself.

use waldur_sdk::{
    ErrorKind, Result,
    backend::{Finding, Outcome},
};

use super::{COUNTED, clock, region, tls, users, usual_remedy, with_remedy};
use crate::{
    radosgw::{PageSize, RadosGwClient, UserChange},
    s3::{BucketName, Uid},
    settings::S3Settings,
};

/// A user and a bucket that nobody has: asking about them needs the right and changes nothing.
const PROBE: &str = "waldur-sdk-probe-of-rights";

pub(super) async fn findings(client: &RadosGwClient, settings: &S3Settings) -> Vec<Finding> {
    let (greeting, first) = match client.greet().await {
        Ok(greeting) => (Some(greeting), Ok(())),
        Err(error) => (None, Err(error)),
    };
    let ahead = match &greeting {
        Some(greeting) => greeting.ahead,
        // Whose time was refused, and then believed.
        None => Some(client.learnt_clock_offset()).filter(|offset| *offset != 0),
    };
    let clock = if first.as_ref().is_err_and(|error| error.kind() == ErrorKind::ClockSkew) {
        right("clock", first.clone())
    } else {
        clock(ahead)
    };
    let down = first.as_ref().err().is_some_and(|error| error.kind() != ErrorKind::PermissionDenied);
    let mut findings = vec![tls(&settings.endpoint.to_string(), settings, &first), right("users=read", first)];
    if !down {
        findings.push(right("users=write", may_write(client).await));
        findings.push(right("buckets=read", may_read_buckets(client).await));
        findings.push(right("quotas", has_quotas(client).await));
    }
    findings.push(clock);
    if let Some(greeting) = greeting {
        findings.push(version(greeting.server));
        findings.push(count(client).await);
    }
    findings.push(region(settings));
    findings
}

/// A right, and how it is given.
fn right(right: &str, result: Result<()>) -> Finding {
    let missing = result.as_ref().err().map(|error| error.message().to_owned()).unwrap_or_default();
    let remedy = |kind| match kind {
        ErrorKind::PermissionDenied => {
            let named = missing.split('`').nth(1).unwrap_or(right);
            Some(format!("radosgw-admin caps add --uid=<admin> --caps='{named}'"))
        }
        ErrorKind::Unauthenticated => Some("check admin_access_key and admin_secret_key".to_owned()),
        ErrorKind::Config | ErrorKind::WrongContent => Some("check s3_endpoint and admin_path".to_owned()),
        ErrorKind::ClockSkew => Some("set the clock of this machine".to_owned()),
        kind => usual_remedy(kind),
    };
    with_remedy(right, result, remedy)
}

/// The gateway checks the right before it looks for the user (radosgw-api.md §2).
async fn may_write(client: &RadosGwClient) -> Result<()> {
    unless_not_found(client.users().modify(&Uid::new(PROBE)?, &UserChange::default()).await)
}

async fn may_read_buckets(client: &RadosGwClient) -> Result<()> {
    client.buckets().get(&BucketName::new(PROBE)?).await.map(drop)
}

async fn has_quotas(client: &RadosGwClient) -> Result<()> {
    unless_not_found(client.quotas().get(&Uid::new(PROBE)?).await)
}

/// That nobody has the name means that the call is there and may be made.
fn unless_not_found<T>(outcome: Result<T>) -> Result<()> {
    match outcome {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

fn version(server: Option<String>) -> Finding {
    match server {
        Some(server) => Finding::passed("version", server),
        None => Finding::new("version", Outcome::Skipped, "this gateway does not tell"),
    }
}

async fn count(client: &RadosGwClient) -> Finding {
    let (mut list, mut counted) = (client.users().list(PageSize::default()), 0);
    while counted < COUNTED {
        match list.next_page().await {
            Ok(Some(page)) => counted += page.items.len() + page.bad.len(),
            Ok(None) => return users(counted, true),
            Err(error) => return right("users", Err(error)),
        }
    }
    users(counted, false)
}
