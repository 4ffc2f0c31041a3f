//! As much of S3 as a customer needs to see that the keys work: the SDK's HTTP layer, signed by the S3 crate.

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use waldur_backend_croit::radosgw::{S3Key, SigV4};
use waldur_sdk::{
    Error, Result,
    rest::{BaseUrl, Http, RestClient},
};

/// A customer with a key pair.
#[derive(Clone, Debug)]
pub(super) struct S3(RestClient);

impl S3 {
    pub(super) fn new(http: Http, endpoint: BaseUrl, key: &S3Key) -> Result<Self> {
        let signer = SigV4::new(key, http.environment().clone())?;
        // Asked for JSON, the gateway gives some for S3 calls too, in a form of its own.
        let xml = HeaderValue::from_static("application/xml");
        let rest = RestClient::new(http, endpoint, signer).with_header(header::ACCEPT, xml);
        Ok(Self(rest.with_error_reader(with_code)))
    }

    pub(super) async fn make_bucket(&self, bucket: &str) -> Result<()> {
        self.0.put("s3.make_bucket", "/{bucket}", &[bucket]).send_unit().await
    }

    pub(super) async fn put(&self, bucket: &str, key: &str, body: Bytes) -> Result<()> {
        let call = self.0.put("s3.put", "/{bucket}/{key}", &[bucket, key]);
        call.body("application/octet-stream", body).send_unit().await
    }

    pub(super) async fn get(&self, bucket: &str, key: &str) -> Result<Bytes> {
        let call = self.0.get("s3.get", "/{bucket}/{key}", &[bucket, key]);
        Ok(call.send().await?.into_body())
    }

    pub(super) async fn delete(&self, bucket: &str, key: &str) -> Result<()> {
        self.0.delete("s3.delete", "/{bucket}/{key}", &[bucket, key]).send_unit().await
    }

    /// Has the bucket keep every version of an object.
    pub(super) async fn keep_versions(&self, bucket: &str) -> Result<()> {
        let body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        let call = self.0.put("s3.keep_versions", "/{bucket}", &[bucket]).query("versioning", "");
        call.body("application/xml", Bytes::from_static(body.as_bytes())).send_unit().await
    }

    /// Uploads an object in parts; without its end the parts stay what they are.
    pub(super) async fn put_in_parts(&self, bucket: &str, key: &str, parts: &[Bytes], end: bool) -> Result<()> {
        let path = &[bucket, key];
        let begun = self.0.post("s3.begin_upload", "/{bucket}/{key}", path).query("uploads", "").send().await?;
        let begun = String::from_utf8_lossy(begun.body());
        let upload = texts(&begun, "UploadId").next().unwrap_or_default();
        let mut listed = Vec::new();
        for (number, part) in (1..).zip(parts) {
            let call = self.0.put("s3.put_part", "/{bucket}/{key}", path).query("partNumber", number);
            let call = call.query("uploadId", upload).body("application/octet-stream", part.clone());
            let answer = call.send().await?;
            let tag = answer.headers().get(header::ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
            listed.push(format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"));
        }
        if !end {
            return Ok(());
        }
        let body = format!("<CompleteMultipartUpload>{}</CompleteMultipartUpload>", listed.concat());
        let call = self.0.post("s3.end_upload", "/{bucket}/{key}", path).query("uploadId", upload);
        call.body("application/xml", Bytes::from(body)).send_unit().await
    }

    /// The keys in a bucket of few objects.
    pub(super) async fn list(&self, bucket: &str) -> Result<Vec<String>> {
        let answer = self.0.get("s3.list", "/{bucket}", &[bucket]).query("list-type", 2).send().await?;
        let xml = String::from_utf8_lossy(answer.body());
        Ok(texts(&xml, "Key").map(str::to_owned).collect())
    }
}

/// The texts of all elements of one name. The names here need no unescaping.
fn texts<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (text, tail) = after.split_once(&end)?;
        rest = tail;
        Some(text)
    })
}

/// S3 says why in XML.
fn with_code(answer: &Response<Bytes>, error: Error) -> Error {
    let body = String::from_utf8_lossy(answer.body());
    let code = texts(&body, "Code").next().map(str::to_owned);
    match code {
        Some(code) => error.with_code(code),
        None => error,
    }
}
