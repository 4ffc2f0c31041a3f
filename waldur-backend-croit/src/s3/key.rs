//! Key pairs.

use secrecy::SecretString;
use serde::Deserialize;
use waldur_sdk::Result;

use super::AccessKeyId;

/// A key pair for S3.
#[derive(Clone, Debug, Deserialize)]
#[non_exhaustive]
pub struct S3Key {
    /// Whose it is: `uid`, `tenant$uid`, or `uid:subuser`. Empty for a pair that did not come from the gateway.
    #[serde(default)]
    pub user: String,
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: SecretString,
}

impl S3Key {
    /// A pair from elsewhere: the administrator's own.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<SecretString>) -> Self {
        Self { user: String::new(), access_key: access_key.into(), secret_key: secret_key.into() }
    }

    /// The access key in the form that calls take.
    ///
    /// # Errors
    /// `Config` for a key that this client never sends ([`AccessKeyId::new`]).
    pub fn id(&self) -> Result<AccessKeyId> {
        AccessKeyId::new(self.access_key.as_str())
    }
}
