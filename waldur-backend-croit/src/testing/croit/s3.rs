//! S3 over the wire, as far as purging a user needs it: listing versions, deleting them, deleting buckets. Measured on
//! RadosGW 16.2.15, where nothing else is said.

use std::fmt::Write as _;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use secrecy::ExposeSecret as _;

use super::{
    FakeCroit,
    answer::{done, text},
    api::argument,
};
use crate::s3::xml;
use crate::testing::{
    refused::Refused,
    signature::Claim,
    state::Place,
    wire::{Exchange, decode, recode},
};

const DECLARATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The version of an object in a bucket without versions.
const NO_VERSION: &str = "null";
/// How many versions a list has.
const PAGE: usize = 1000;

impl FakeCroit {
    /// Answers a request that is not croit's own.
    pub(super) fn serve(&self, request: Request<Bytes>) -> Response<Bytes> {
        let exchange = Exchange::read(request);
        let mut answer = self.s3(&exchange).unwrap_or_else(|refused| {
            let code = refused.code();
            let body = format!("{DECLARATION}<Error><Code>{code}</Code><RequestId>tx1</RequestId></Error>");
            text(refused.status(), "application/xml", body)
        });
        let date = self.now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.headers_mut().extend(HeaderValue::try_from(date).ok().map(|date| (header::DATE, date)));
        answer
    }

    fn s3(&self, exchange: &Exchange) -> Result<Response<Bytes>, Refused> {
        let path = decode(exchange.path.as_bytes()).unwrap_or_default();
        let path = String::from_utf8_lossy(&path).into_owned();
        let path = path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let place = self.open(exchange, bucket)?;
        let has = |name: &str| argument(&exchange.query, name).is_some();
        match exchange.method.as_str() {
            "GET" if has("versions") && key.is_empty() => Ok(self.list_versions(&place)),
            "POST" if has("delete") && key.is_empty() => self.delete_versions(&exchange.body, &place),
            "DELETE" if exchange.query.is_empty() && key.is_empty() => self.delete_bucket(&place),
            _ => {
                self.gateway().state().requests.unmodelled.push(format!("{} /{path}", exchange.method));
                Err(Refused::NOT_MODELLED)
            }
        }
    }

    /// The caller's own bucket.
    fn open(&self, exchange: &Exchange, bucket: &str) -> Result<Place, Refused> {
        let mut state = self.gateway().state();
        if !exchange.is_signed() {
            state.requests.unsigned += 1;
        }
        let claim = Claim::read(exchange, state.now())?;
        let user = state.owner_of_key(&claim.access_key).ok_or(Refused::INVALID_ACCESS_KEY_ID)?;
        let key = user.keys.get(&claim.access_key).ok_or(Refused::INVALID_ACCESS_KEY_ID)?;
        if !claim.holds(exchange, key.secret.expose_secret()) {
            state.requests.rejected += 1;
            return Err(Refused::SIGNATURE_DOES_NOT_MATCH);
        }
        if user.suspended {
            return Err(Refused::USER_SUSPENDED);
        }
        let (owner, place) = (user.id.to_string(), (user.id.tenant.clone(), bucket.to_owned()));
        match state.buckets.get(&place) {
            None => Err(Refused::NO_SUCH_BUCKET),
            Some(found) if found.owner == owner => Ok(place),
            Some(_) => Err(Refused::ACCESS_DENIED),
        }
    }

    /// The first ones, named as they are sent in a URL. The fake does not go on after a marker.
    fn list_versions(&self, place: &Place) -> Response<Bytes> {
        self.count("s3.versions");
        let (croit, gateway) = (self.state(), self.gateway().state());
        let left = croit.leftovers.get(&place.1).map(|left| left.versions.clone()).unwrap_or_default();
        let mut all: Vec<_> = left.into_iter().collect();
        if let Some(bucket) = gateway.buckets.get(place) {
            all.extend(bucket.objects.iter().map(|(key, size)| ((key.clone(), NO_VERSION.to_owned()), Some(*size))));
        }
        all.sort();
        let (is_cut, mut body) = (all.len() > PAGE, String::new());
        for ((key, version), size) in all.into_iter().take(PAGE) {
            let (element, size) = match size {
                Some(size) => ("Version", format!("<Size>{size}</Size>")),
                None => ("DeleteMarker", String::new()),
            };
            let key = recode(key.as_bytes());
            _ = write!(body, "<{element}><Key>{key}</Key><VersionId>{version}</VersionId>{size}</{element}>");
        }
        let body = format!("<IsTruncated>{is_cut}</IsTruncated>{body}");
        document("ListVersionsResult", &body)
    }

    /// What is not there is deleted as well. What is locked is named.
    fn delete_versions(&self, order: &[u8], place: &Place) -> Result<Response<Bytes>, Refused> {
        self.count("s3.delete");
        let order = xml::read(order, &["Delete"]).map_err(|_| Refused::INVALID_ARGUMENT)?;
        let (mut croit, mut gateway) = (self.state(), self.gateway().state());
        let mut failed = String::new();
        for object in order.records.iter().filter(|record| record.name == "Object") {
            let (key, version) = (object.text("Key").unwrap_or_default(), object.text("VersionId").unwrap_or_default());
            if croit.locked.contains(key) {
                failed.push_str("<Error><Code>AccessDenied</Code></Error>");
            } else if version == NO_VERSION {
                if let Some(bucket) = gateway.buckets.get_mut(place) {
                    bucket.remove(key);
                }
            } else if let Some(left) = croit.leftovers.get_mut(&place.1) {
                left.versions.remove(&(key.to_owned(), version.to_owned()));
            }
        }
        Ok(document("DeleteResult", &failed))
    }

    /// Unfinished uploads do not keep a bucket.
    fn delete_bucket(&self, place: &Place) -> Result<Response<Bytes>, Refused> {
        self.count("s3.delete_bucket");
        let (mut croit, mut gateway) = (self.state(), self.gateway().state());
        let holds = gateway.buckets.get(place).is_some_and(|bucket| !bucket.objects.is_empty());
        if holds || croit.leftovers.get(&place.1).is_some_and(|left| !left.versions.is_empty()) {
            return Err(Refused::BUCKET_NOT_EMPTY);
        }
        gateway.buckets.remove(place);
        croit.leftovers.remove(&place.1);
        Ok(done())
    }
}

fn document(root: &str, body: &str) -> Response<Bytes> {
    text(200, "application/xml", format!("{DECLARATION}<{root} xmlns=\"{NAMESPACE}\">{body}</{root}>"))
}
