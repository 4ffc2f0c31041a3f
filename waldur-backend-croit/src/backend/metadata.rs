//! What is published about a user, in the shapes of the Python plugins (s3.md §9).

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_sdk::{Error, ErrorKind, Result, types::JsonObject};

use super::storage::Held;
use crate::{
    s3::{Quota, Quotas, S3Key, Uid},
    settings::S3Settings,
};

const SUMMARY: &str = "storage_summary";

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
        metadata.insert("s3_credentials".to_owned(), credentials);
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

/// What buckets hold, each and together.
///
/// # Errors
/// `Inconsistent` when a bucket does not say what it holds: unknown is not 0.
pub(super) fn summary(buckets: &[Held]) -> Result<Value> {
    let unknown = || Error::new(ErrorKind::Inconsistent, "the gateway does not say what a bucket holds");
    let (mut size, mut objects, mut rows) = (0_u64, 0_u64, Vec::with_capacity(buckets.len()));
    for bucket in buckets {
        let (bytes, number) = bucket.stored.ok_or_else(unknown)?;
        size = size.checked_add(bytes).ok_or_else(unknown)?;
        objects = objects.checked_add(number).ok_or_else(unknown)?;
        rows.push(json!({ "name": bucket.name, "size_bytes": bytes, "objects": number }));
    }
    Ok(json!({
        "bucket_count": rows.len(),
        "total_size_bytes": size,
        "total_objects": objects,
        "buckets": rows,
    }))
}

/// The summary that is published already, if any.
pub(super) fn published_summary(published: &JsonObject) -> Option<Value> {
    published.get(SUMMARY).cloned()
}

fn quota(quota: Quota) -> Value {
    let (size, objects) = quota.effective();
    json!({ "enabled": quota.enabled, "maxSize": size.wire(), "maxObjects": objects.wire() })
}

/// The access key that is published already, if any.
pub(super) fn published_key(published: &JsonObject) -> Option<&str> {
    let credentials = published.get("s3_credentials")?;
    credentials.get("access_key")?.as_str().filter(|key| !key.is_empty())
}

/// The key to publish: the one that is published already if the user still has it, else the first by position.
pub(super) fn choose<'a>(keys: &'a [S3Key], published: &JsonObject) -> Option<&'a S3Key> {
    let known = published_key(published);
    let mut first = None;
    for key in keys {
        if Some(key.access_key.as_str()) == known {
            return Some(key);
        }
        first = first.or(Some(key));
    }
    first
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
}
