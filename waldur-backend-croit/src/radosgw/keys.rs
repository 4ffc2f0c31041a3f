//! Key pairs (radosgw-api.md §2).

use http::Method;
use waldur_sdk::{Error, ErrorKind, Result, rest::Call};

use super::{
    AccessKeyId, RadosGwClient, S3Key, Uid, error,
    model::{User, UserWithKeys},
};

/// Calls on the key pairs of a user. The gateway mints the secrets.
///
/// Every call that names a key reads its user first: without a user, or with one that does not exist, the gateway
/// takes the key *whoever* holds it (measured on 16.2: it replaces that user's secret, or removes the key, and answers
/// 200).
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

const TEMPLATE: &str = "/user";

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
        self.create_if(uid, id, |_| Ok(())).await
    }

    /// As [`Self::create`]. The user is read first, and `permit` may refuse it.
    ///
    /// # Errors
    /// Also that of `permit`, with nothing done.
    pub async fn create_if(
        &self,
        uid: &Uid,
        id: &AccessKeyId,
        permit: impl FnOnce(&User) -> Result<()> + Send + 'static,
    ) -> Result<S3Key> {
        let call = self.call(Method::PUT, "keys.create", uid).query("access-key", id.as_str());
        let call = call.query("generate-key", true).secret_answer();
        let (client, of, id) = (self.0.clone(), uid.clone(), id.clone());
        let create = async move {
            permit(&existing(&client, &of).await?.user)?;
            let keys: Vec<S3Key> = call.send_json().await?;
            let owner = of.to_string();
            let made = keys.into_iter().find(|key| key.access_key == id.as_str() && key.user == owner);
            made.ok_or_else(|| {
                let text = "the key was made, but is not among the user's";
                Error::new(ErrorKind::Inconsistent, text).with_operation("keys.create")
            })
        };
        self.0.in_turn(uid, create).await
    }

    /// Lets the gateway mint both halves of one more pair. The answer has **all** keys of the user, because the gateway
    /// does not say which one is new. Never repeated once it may have arrived.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn mint(&self, uid: &Uid) -> Result<Vec<S3Key>> {
        let call = self.call(Method::PUT, "keys.mint", uid).query("generate-key", true).secret_answer();
        self.0.in_turn(uid, call.not_idempotent().send_json()).await
    }

    /// Removes a key of a user.
    ///
    /// # Errors
    /// `NotFound` when the user does not exist.
    pub async fn delete(&self, uid: &Uid, id: &AccessKeyId) -> Result<Removed> {
        let call = self.call(Method::DELETE, "keys.delete", uid).query("access-key", id.as_str());
        let (client, of, id) = (self.0.clone(), uid.clone(), id.clone());
        let delete = async move {
            let found = existing(&client, &of).await?;
            if !found.keys.iter().any(|key| key.access_key == id.as_str()) {
                return Ok(Removed::Before);
            }
            match call.send_unit().await {
                Ok(()) => Ok(Removed::Now),
                // "That key is not there" and "your own key is unknown" have one code; ours was good a moment ago.
                Err(refused) if refused.code() == Some(error::INVALID_KEY) => Ok(Removed::Before),
                Err(error) => Err(error),
            }
        };
        self.0.in_turn(uid, delete).await
    }

    fn call(self, method: Method, operation: &'static str, uid: &Uid) -> Call {
        self.0.call(method, operation, TEMPLATE).query("key", "").query("uid", uid)
    }
}

/// The user, which must exist.
async fn existing(client: &RadosGwClient, uid: &Uid) -> Result<UserWithKeys> {
    client.users().get_with_keys(uid).await?.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "the user does not exist").with_code(error::NO_SUCH_USER).with_operation("keys")
    })
}
