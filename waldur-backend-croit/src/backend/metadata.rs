//! What is published about a user, in the shapes of the Python plugins (s3.md §9).

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_sdk::{Error, ErrorKind, Result, types::JsonObject};

use crate::{
    s3::{Quota, Quotas, S3Key, Uid},
    settings::S3Settings,
};

const SUMMARY: &str = "storage_summary";

/// What a key pair is published as.
pub(super) const CREDENTIALS: &str = "s3_credentials";

/// The address that tenants are given: without a trailing slash.
pub(super) fn endpoint(settings: &S3Settings) -> String {
    settings.endpoint.to_string().trim_end_matches('/').to_owned()
}

/// Everything that is published. Without a `key`, no credentials; without a `summary`, none.
pub(super) fn all(
    settings: &S3Settings,
    uid: &Uid,
    quotas: Quotas,
    key: Option<&S3Key>,
    summary: Option<Value>,
) -> JsonObject {
    let endpoint = endpoint(settings);
    let mut metadata = JsonObject::new();
    if let Some(key) = key {
        let credentials = json!({
            "access_key": key.access_key,
            "secret_key": key.secret_key.expose_secret(),
            "endpoint": endpoint,
            "region": settings.region,
        });
        metadata.insert(CREDENTIALS.to_owned(), credentials);
    }
    if let Some(summary) = summary {
        metadata.insert(SUMMARY.to_owned(), summary);
    }
    let quotas = json!({ "bucket_quota": quota(quotas.bucket_quota), "user_quota": quota(quotas.user_quota) });
    metadata.insert("quotas".to_owned(), quotas);
    // Flat, because offering templates reach one level down only.
    metadata.insert("s3_endpoint".to_owned(), endpoint.into());
    metadata.insert("s3_region".to_owned(), settings.region.as_str().into());
    metadata.insert("s3_user".to_owned(), uid.to_string().into());
    metadata
}

/// Of so many buckets each is published, as many as a user may have unless somebody allows more. The sums are of all.
const ROWS: usize = 1000;

/// What the buckets of a user hold, each and together, as they are told one by one.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    count: u64,
    size: u64,
    objects: u64,
    rows: Vec<Value>,
    unknown: Option<Error>,
}

impl Summary {
    /// Counts a bucket in; `stored` are bytes and objects.
    pub(super) fn add(&mut self, name: &str, stored: Option<(u64, u64)>) {
        let sums = stored.and_then(|(bytes, objects)| {
            Some((bytes, objects, self.size.checked_add(bytes)?, self.objects.checked_add(objects)?))
        });
        let Some((bytes, objects, size, all)) = sums else { return self.fail(unknown()) };
        (self.size, self.objects) = (size, all);
        self.count = self.count.saturating_add(1);
        if self.rows.len() < ROWS {
            self.rows.push(json!({ "name": name, "size_bytes": bytes, "objects": objects }));
        }
    }

    /// A bucket could not be read.
    pub(super) fn fail(&mut self, error: Error) {
        self.unknown.get_or_insert(error);
    }

    /// What is published.
    ///
    /// # Errors
    /// `Inconsistent` when a bucket does not say what it holds: unknown is not 0.
    pub(super) fn finish(self) -> Result<Value> {
        match self.unknown {
            Some(error) => Err(error),
            None => Ok(json!({
                "bucket_count": self.count,
                "total_size_bytes": self.size,
                "total_objects": self.objects,
                "buckets": self.rows,
            })),
        }
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::Inconsistent, "the gateway does not say what a bucket holds")
}

/// What the operator is told where no key can be published.
pub(super) fn no_key(keys: &[S3Key], is_stamped: bool) -> Error {
    let why = if keys.is_empty() { "the user has none" } else { "each that the user has may be a customer's own" };
    let then = if is_stamped { "one is made" } else { "none is made for a user without the resource's stamp" };
    Error::not_ready(format!("no key is published: {why}; {then}"))
}

/// What the operator is told where a key stays published although customers are to have API keys.
pub(super) fn stays_published() -> Error {
    Error::config(
        "the key pair stays published: API keys are made for users with the resource's stamp alone, and this one has none",
    )
}

/// What the operator is told where the summary that is published stays as it is.
pub(super) fn no_summary(cause: Error) -> Error {
    let text = format!("no new storage summary is published: {}", cause.message());
    Error::new(cause.kind(), text).with_operation(cause.operation()).with_source(cause)
}

/// The summary that is published already, if any.
pub(super) fn published_summary(published: &[&JsonObject]) -> Option<Value> {
    published.iter().find_map(|metadata| metadata.get(SUMMARY).cloned())
}

fn quota(quota: Quota) -> Value {
    let (size, objects) = quota.effective();
    json!({ "enabled": quota.enabled, "maxSize": size.wire(), "maxObjects": objects.wire() })
}

/// The access key that is published already, if any.
pub(super) fn published_key(published: &JsonObject) -> Option<&str> {
    let credentials = published.get(CREDENTIALS)?;
    credentials.get("access_key")?.as_str().filter(|key| !key.is_empty())
}

/// Whether this key is published already.
pub(super) fn is_published(key: &S3Key, published: &[&JsonObject]) -> bool {
    published.iter().filter_map(|metadata| published_key(metadata)).any(|known| known == key.access_key)
}

/// The key to publish: the one that is published already if the user still has it, else one that was made for that, else
/// the only one. Of several each may be a customer's own, which Waldur lists, so that none is chosen; whoever has such keys
/// has two.
pub(super) fn choose<'a>(keys: &'a [S3Key], published: &[&JsonObject]) -> Option<&'a S3Key> {
    let mut known = published.iter().filter_map(|metadata| published_key(metadata));
    let recorded = known.find_map(|known| keys.iter().find(|key| key.access_key == known));
    let made_for_it = || keys.iter().find(|key| key.is_for_metadata());
    let only = || keys.first().filter(|_| keys.len() == 1);
    recorded.or_else(made_for_it).or_else(only)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]

    use waldur_sdk::settings::BackendSettings;

    use super::*;

    fn read(mode: &str) -> Result<S3Settings> {
        let tree = json!({
            "flavour": "radosgw", "s3_endpoint": "https://s3.example.org", "credentials_mode": mode,
            "admin_access_key": "ADMIN", "admin_secret_key": "canary-admin-secret",
        });
        let (settings, _) = BackendSettings::from_value("backend_settings", &tree)?;
        settings.read(S3Settings::read).map(|(settings, _)| settings)
    }

    #[test]
    fn s21_without_a_key_no_secret_is_in_the_metadata() {
        let (settings, uid) = (read("api_keys").unwrap(), Uid::new("alice").unwrap());
        let quotas = Quotas::both(Quota::UNLIMITED);
        let published = |key| serde_json::to_string(&all(&settings, &uid, quotas, key, None)).unwrap();
        let key = S3Key::new("CUSTOMERKEY", "customer-secret");
        assert!(published(Some(&key)).contains("customer-secret"));
        let text = published(None);
        assert!(text.contains("s3_endpoint"), "{text}");
        assert!(!text.contains("s3_credentials") && !text.contains("secret"), "{text}");
    }

    #[test]
    fn the_sums_are_of_all_buckets_and_the_rows_of_some() {
        let mut summary = Summary::default();
        for number in 0..1500_u64 {
            summary.add(&format!("b{number}"), Some((number, 2)));
        }
        let told = summary.clone().finish().unwrap();
        assert_eq!((&told["bucket_count"], &told["total_objects"]), (&json!(1500), &json!(3000)));
        assert_eq!(told["total_size_bytes"], json!(1499 * 1500 / 2));
        assert_eq!(told["buckets"].as_array().map(Vec::len), Some(ROWS));
        // Unknown is not 0, and more than can be counted is unknown.
        for unknown in [None, Some((u64::MAX, 0))] {
            let mut summary = summary.clone();
            summary.add("odd", unknown);
            summary.add("fine", Some((1, 1)));
            assert_eq!(summary.finish().unwrap_err().kind(), ErrorKind::Inconsistent);
        }
    }
}
