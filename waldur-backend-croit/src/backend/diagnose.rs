//! Is the gateway there, may we do what we need, is its clock ours?

use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{Finding, Outcome},
};

use super::storage::Storage;
use crate::{
    radosgw::{RadosGwClient, UserChange},
    s3::{BucketName, Uid},
    settings::{DeleteMode, S3Settings},
};

/// A user and a bucket that nobody has: asking about them needs the right and changes nothing.
const PROBE: &str = "waldur-sdk-probe-of-rights";

/// A clock that is further off than this is worth a warning, in seconds.
const NOTABLE_SKEW: i64 = 60;

pub(super) async fn findings(storage: &Storage, settings: &S3Settings) -> Vec<Finding> {
    let mut findings = match storage {
        Storage::RadosGw(client) => of_radosgw(storage, client).await,
        Storage::Croit(_) => vec![Finding::of_result("users", storage.ping().await)],
    };
    findings.extend(choices(settings));
    findings
}

async fn of_radosgw(storage: &Storage, client: &RadosGwClient) -> Vec<Finding> {
    let reachable = storage.ping().await;
    let down = reachable.as_ref().err().is_some_and(|error| error.kind() != ErrorKind::PermissionDenied);
    let mut findings = vec![finding("users=read", reachable)];
    if !down {
        findings.push(finding("users=write", may_write(client).await));
        findings.push(finding("buckets=read", may_read_buckets(client).await));
    }
    findings.push(clock(client.learnt_clock_offset()));
    findings
}

fn finding(right: &str, result: Result<()>) -> Finding {
    let remedy = match result.as_ref().map_err(Error::kind) {
        Err(ErrorKind::PermissionDenied) => Some(format!("radosgw-admin caps add --uid=<admin> --caps='{right}'")),
        Err(ErrorKind::Unauthenticated) => Some("check admin_access_key and admin_secret_key".to_owned()),
        Err(ErrorKind::Config | ErrorKind::WrongContent) => Some("check s3_endpoint and admin_path".to_owned()),
        Err(ErrorKind::ClockSkew) => Some("set the clock of this machine".to_owned()),
        _ => None,
    };
    let finding = Finding::of_result(right, result);
    match remedy {
        Some(remedy) => finding.with_remedy(remedy),
        None => finding,
    }
}

/// The gateway checks the right before it looks for the user (radosgw-api.md §2).
async fn may_write(client: &RadosGwClient) -> Result<()> {
    match client.users().modify(&Uid::new(PROBE)?, &UserChange::default()).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

async fn may_read_buckets(client: &RadosGwClient) -> Result<()> {
    client.buckets().get(&BucketName::new(PROBE)?).await.map(drop)
}

fn clock(offset: i64) -> Finding {
    if offset.abs() <= NOTABLE_SKEW {
        return Finding::passed("clock", "the gateway accepts this machine's time");
    }
    let detail =
        format!("the gateway's clock is {offset} s ahead of this machine's; requests are signed with its time");
    Finding::new("clock", Outcome::Warning, detail).with_remedy("synchronise both clocks")
}

fn choices(settings: &S3Settings) -> Vec<Finding> {
    let mut choices = Vec::new();
    if settings.credentials.publishes() {
        let detail = "secret keys are published in the metadata of resources";
        choices.push(Finding::new("credentials_mode", Outcome::Warning, detail));
    }
    if settings.delete_mode == DeleteMode::Purge {
        let detail = "terminating a resource deletes its buckets and objects";
        choices.push(Finding::new("delete_mode", Outcome::Warning, detail));
    }
    if !settings.verify_ssl {
        let detail = "the gateway's certificate is not verified";
        choices.push(
            Finding::new("verify_ssl", Outcome::Warning, detail).with_remedy("put its authority into ca_certificates"),
        );
    }
    choices
}
