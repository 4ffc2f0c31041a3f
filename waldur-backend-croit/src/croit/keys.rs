//! Key pairs (croit-api.md §2).

use http::Method;
use secrecy::ExposeSecret as _;
use waldur_sdk::{Effect, Error, ErrorKind, Result};

use super::{CroitClient, error, name};
use crate::{
    radosgw::Removed,
    s3::{AccessKeyId, S3Key, Uid},
};

/// Calls on the key pairs of a user. croit mints one when it makes the user; all others are brought to it.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a>(pub(super) &'a CroitClient);

const ONE: &str = "/s3/users/{uid}/keys/{access_key}";

impl Keys<'_> {
    /// The keys of a user, as croit orders them.
    ///
    /// # Errors
    /// `NotFound` with the code [`NO_SUCH_USER`](error::NO_SUCH_USER); `Inconsistent` when an entry cannot be read,
    /// since who prunes keys has to know all of them.
    pub async fn list(&self, uid: &Uid) -> Result<Vec<S3Key>> {
        let call = self.0.call(Method::GET, "keys.list", "/s3/users/{uid}/keys", &[name(uid)?]);
        let (rows, _headers) = call.secret_answer().send_rows("access_key").await?;
        match rows.bad.into_iter().next() {
            None => Ok(rows.items),
            Some(row) => {
                let text = "an entry of the list of keys cannot be read";
                Err(Error::new(ErrorKind::Inconsistent, text).with_operation("keys.list").with_source(row.error))
            }
        }
    }

    /// The first key of a user, by the call for just that (the one that the older Python plugin makes).
    ///
    /// # Errors
    /// `NotFound` with the code [`NO_SUCH_USER`](error::NO_SUCH_USER).
    pub async fn first(&self, uid: &Uid) -> Result<S3Key> {
        let call = self.0.call(Method::GET, "keys.first", "/s3/users/{uid}/key", &[name(uid)?]);
        call.secret_answer().send_json().await
    }

    /// Gives a user a key pair. Never repeated once it may have arrived, because nobody knows whether croit accepts an
    /// access key twice. If the outcome is unclear, or croit has the key already, the keys are read; if the pair is
    /// there with both halves, the call has succeeded.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` with [`KEY_EXISTS`](error::KEY_EXISTS) when the access key has another secret, or
    /// another user.
    pub async fn put(&self, uid: &Uid, key: &S3Key) -> Result<()> {
        let id = key.id()?;
        let call = self.0.call(Method::PUT, "keys.put", ONE, &[name(uid)?, id.as_str()]);
        let call = call.query_secret("secretKey", &key.secret_key).not_idempotent();
        match self.0.write(uid, "keys.put", call).await {
            Err(error) if error.effect() == Effect::Unknown || error.kind() == ErrorKind::AlreadyExists => {
                match self.list(uid).await {
                    Ok(keys) if keys.iter().any(|other| is_same(other, key)) => Ok(()),
                    _ => Err(error),
                }
            }
            outcome => outcome,
        }
    }

    /// Removes a key of a user.
    ///
    /// # Errors
    /// `NotFound` with the code [`NO_SUCH_USER`](error::NO_SUCH_USER).
    pub async fn delete(&self, uid: &Uid, id: &AccessKeyId) -> Result<Removed> {
        let call = self.0.call(Method::DELETE, "keys.delete", ONE, &[name(uid)?, id.as_str()]);
        match self.0.write(uid, "keys.delete", call).await {
            Ok(()) => Ok(Removed::Now),
            Err(refused) if refused.code() == Some(error::NO_SUCH_KEY) => Ok(Removed::Before),
            Err(error) => Err(error),
        }
    }
}

fn is_same(a: &S3Key, b: &S3Key) -> bool {
    a.access_key == b.access_key && a.secret_key.expose_secret() == b.secret_key.expose_secret()
}
