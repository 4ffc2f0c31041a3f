//! Key pairs (radosgw-api.md §2).

use http::Method;
use waldur_sdk::{Error, ErrorKind, Result, rest::Call};

use super::{
    RadosGwClient, error,
    ids::{AccessKeyId, Uid},
    model::S3Key,
};

/// Calls on the key pairs of a user. Every call names the user: without one the gateway removes the key *whoever*
/// owns it. The gateway mints the secrets.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a>(pub(super) &'a RadosGwClient);

/// What came of removing a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removed {
    /// It was there.
    Now,
    /// It was gone before.
    Before,
}

impl Keys<'_> {
    /// The keys of a user, ordered by access key; `None` when the user does not exist. Those of subusers are among
    /// them.
    ///
    /// # Errors
    /// As [`Users::get`](super::Users::get).
    pub async fn list(&self, uid: &Uid) -> Result<Option<Vec<S3Key>>> {
        Ok(self.0.users().get_with_keys(uid).await?.map(|found| found.keys))
    }

    /// Gives a user the access key `id`, with a new secret. Repeating it replaces the secret once more, at once.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` with [`error::KEY_EXISTS`] when the access key is another user's.
    pub async fn create(&self, uid: &Uid, id: &AccessKeyId) -> Result<S3Key> {
        let call = self.call(Method::PUT, "keys.create", uid).query("access-key", id.as_str());
        let keys: Vec<S3Key> = self.0.in_turn(uid, call.send_json()).await?;
        keys.into_iter()
            .find(|key| key.access_key == id.as_str())
            .ok_or_else(|| Error::new(ErrorKind::Inconsistent, "the key was made but is not on the user's list"))
    }

    /// Has the gateway mint both halves of one more pair. The answer has **all** keys of the user, since the gateway
    /// does not say which is new; never repeated once it may have arrived.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mint(&self, uid: &Uid) -> Result<Vec<S3Key>> {
        let call = self.call(Method::PUT, "keys.mint", uid).not_idempotent();
        self.0.in_turn(uid, call.send_json()).await
    }

    /// Removes a key of a user.
    ///
    /// # Errors
    /// `NotFound` when the user does not exist; `Inconsistent` when the gateway says that the key is not there, and
    /// lists it.
    pub async fn delete(&self, uid: &Uid, id: &AccessKeyId) -> Result<Removed> {
        let call = self.0.call(Method::DELETE, "keys.delete", TEMPLATE).query("key", "").query("uid", uid);
        match self.0.write(uid, call.query("access-key", id.as_str())).await {
            Ok(()) => Ok(Removed::Now),
            // "That key is not there" and "your own key is unknown" have one code. Reading tells them apart.
            Err(refused) if refused.code() == Some(error::INVALID_KEY) => match self.list(uid).await? {
                None => Err(refused.with_kind(ErrorKind::NotFound).with_code(error::NO_SUCH_USER)),
                Some(keys) if keys.iter().any(|key| key.access_key == id.as_str()) => {
                    let text = "the gateway says that the key is not there, and lists it";
                    Err(refused.with_kind(ErrorKind::Inconsistent).with_message(text))
                }
                Some(_) => Ok(Removed::Before),
            },
            Err(error) => Err(error),
        }
    }

    fn call(self, method: Method, operation: &'static str, uid: &Uid) -> Call {
        let call = self.0.call(method, operation, TEMPLATE).query("key", "").query("uid", uid);
        call.query("generate-key", true).secret_answer()
    }
}

const TEMPLATE: &str = "/user";
