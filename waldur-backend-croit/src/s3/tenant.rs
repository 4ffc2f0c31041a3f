//! A customer's own buckets, through S3 and with a key of the customer's: only what it takes to empty and delete them.
//!
//! Measured on RadosGW 16.2.15:
//!
//! - a list of versions also has the plain objects of a bucket without versions, as version `null`;
//! - the request that deletes many objects is accepted without a checksum;
//! - a bucket with unfinished uploads can be deleted, and they go with it;
//! - a name with control characters can be listed in its encoded form, but not be sent in XML.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use percent_encoding::percent_decode_str;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Anonymous, BaseUrl, Http, RestClient},
};

use super::{S3Key, SigV4, check_name, seconds_ahead, xml};

/// A version of an object, or the mark that says it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    key: String,
    id: String,
}

/// The buckets of whoever holds a key.
#[derive(Clone, Debug)]
pub(crate) struct OwnBuckets(RestClient);

impl OwnBuckets {
    /// # Errors
    /// `Config` when either half of the key is blank.
    pub(crate) fn new(http: Http, endpoint: &BaseUrl, key: &S3Key) -> Result<Self> {
        let signer = SigV4::new(key, http.environment().clone())?;
        let rest = RestClient::new(http, endpoint.clone(), signer)
            // Asked for JSON, RadosGW gives some here too, in a form of its own.
            .with_header(header::ACCEPT, HeaderValue::from_static("application/xml"))
            .with_error_reader(explain);
        Ok(Self(rest))
    }

    pub(crate) fn within(self, timeout: Duration, deadline: Option<Instant>) -> Self {
        Self(self.0.with_timeout(timeout).until(deadline))
    }

    /// Up to 1000 versions of objects in a bucket; none when it holds none.
    pub(crate) async fn some_versions(&self, bucket: &str) -> Result<Vec<Version>> {
        check_name("bucket", bucket)?;
        let call = self.0.get("s3.versions", "/{bucket}", &[bucket]);
        let answer = call.query("encoding-type", "url").query("versions", "").send().await?;
        let document = xml::read(answer.body(), &["ListVersionsResult"])?;
        let versions = document.records.iter().filter(|record| matches!(&*record.name, "Version" | "DeleteMarker"));
        let version = |record: &xml::Record| {
            Some(Version { key: plain(record.text("Key")?)?, id: record.text("VersionId")?.to_owned() })
        };
        let versions: Option<Vec<_>> = versions.map(version).collect();
        versions.ok_or_else(|| {
            Error::new(ErrorKind::Decode, "an object in the list has no name").with_operation("s3.versions")
        })
    }

    /// Deletes versions of objects, whatever of them is there.
    ///
    /// # Errors
    /// `Rejected` when the storage refuses to delete one: it may be locked.
    pub(crate) async fn delete(&self, bucket: &str, versions: &[Version]) -> Result<()> {
        check_name("bucket", bucket)?;
        let mut rest = versions;
        while !rest.is_empty() {
            let (part, more) = rest.split_at(in_one_order(rest));
            self.delete_part(bucket, part).await?;
            rest = more;
        }
        Ok(())
    }

    async fn delete_part(&self, bucket: &str, versions: &[Version]) -> Result<()> {
        let order = xml::deletion(bucket, versions.iter().map(|version| (version.key.as_str(), version.id.as_str())))?;
        let call = self.0.post("s3.delete", "/{bucket}", &[bucket]).query("delete", "");
        let answer = call.body("application/xml", order.into()).idempotent().send().await?;
        let document = xml::read(answer.body(), &["DeleteResult"])?;
        match document.records.iter().find(|record| record.name == "Error") {
            None => Ok(()),
            Some(failed) => {
                let code = failed.text("Code").unwrap_or_default();
                let text = format!("The storage does not delete all objects in the bucket {bucket}.");
                Err(Error::rejected(text).with_code(code).with_operation("s3.delete"))
            }
        }
    }

    /// Deletes a bucket that holds nothing, with its unfinished uploads.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when it holds something.
    pub(crate) async fn delete_bucket(&self, bucket: &str) -> Result<()> {
        check_name("bucket", bucket)?;
        self.0.delete("s3.delete_bucket", "/{bucket}", &[bucket]).send_unit().await
    }
}

/// Asks S3 for its time, as nobody: whether it lists the buckets that nobody has or refuses does not matter.
///
/// # Errors
/// `WrongContent` when it is not S3 that answers.
pub(crate) async fn greet(
    http: &Http,
    endpoint: &BaseUrl,
    timeout: Duration,
    deadline: Option<Instant>,
) -> Result<Option<i64>> {
    let (environment, told) = (http.environment().clone(), Arc::new(Mutex::new(None)));
    let refused = {
        let (environment, told) = (environment.clone(), told.clone());
        move |answer: &Response<Bytes>, error| {
            if xml::code(answer.body()).is_some() {
                *told.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(seconds_ahead(answer.headers(), &environment));
            }
            error
        }
    };
    let rest = RestClient::new(http.clone(), endpoint.clone(), Anonymous)
        .with_header(header::ACCEPT, HeaderValue::from_static("application/xml"))
        .with_timeout(timeout)
        .until(deadline)
        .with_error_reader(refused);
    match rest.get("s3.greet", "", &[]).send().await {
        Ok(answer) => {
            let is_s3 = xml::read(answer.body(), &["ListAllMyBucketsResult"]);
            is_s3.map(|_| seconds_ahead(answer.headers(), &environment)).map_err(|error| elsewhere(&error))
        }
        Err(error) => match *told.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(ahead) => Ok(ahead),
            None if error.status().is_some() => Err(elsewhere(&error)),
            None => Err(error),
        },
    }
}

fn elsewhere(error: &Error) -> Error {
    error.clone().with_kind(ErrorKind::WrongContent).with_message("something else than S3 answered: check s3_endpoint")
}

/// The longest order to delete, in bytes. RadosGW takes 1 MiB, and so do many proxies.
const ORDER: usize = 900_000;

/// How many of these versions, from the first one on, one order can surely name; one at least.
fn in_one_order(versions: &[Version]) -> usize {
    // Elements, and every character in its longest spelling.
    let longest = |version: &Version| 100 + 6 * (version.key.len() + version.id.len());
    let sizes = versions.iter().scan(0, |size: &mut usize, version| {
        *size = size.saturating_add(longest(version));
        Some(*size)
    });
    sizes.take_while(|size| *size <= ORDER).count().max(1)
}

/// A name as it was before S3 encoded it for the list.
fn plain(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// S3 says why in XML: the code decides.
fn explain(answer: &Response<Bytes>, error: Error) -> Error {
    use ErrorKind as K;
    let Some(code) = xml::code(answer.body()) else {
        // A 404 without a code is no word of S3's about a bucket.
        let is_elsewhere = error.is_not_found();
        let text = "something else than S3 answered: check s3_endpoint";
        return if is_elsewhere { error.with_kind(K::WrongContent).with_message(text) } else { error };
    };
    let (kind, message) = match code.as_str() {
        "NoSuchBucket" => (K::NotFound, "the bucket does not exist"),
        "BucketNotEmpty" => (K::Conflict, "the bucket is not empty"),
        "AccessDenied" => (K::PermissionDenied, "the user may not do this to its own bucket"),
        "RequestTimeTooSkewed" => (K::ClockSkew, "the local clock is too far from the storage's"),
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => (K::Unauthenticated, "the storage refused the user's key"),
        "UserSuspended" => (K::Unauthenticated, "the user is suspended"),
        _ => return error.with_code(code),
    };
    error.with_code(code).with_kind(kind).with_message(message)
}
