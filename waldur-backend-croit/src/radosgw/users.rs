//! Users (radosgw-api.md §2).

use http::Method;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{Call, Pager},
};

use super::{
    AccessKeyId, ListedUid, RadosGwClient, Uid, error,
    listing::{self, PageSize},
    model::{Cap, MaxBuckets, User, UserWithKeys, WireUser},
};

use crate::s3::checked;

const TEMPLATE: &str = "/user";

/// Calls on users.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a>(pub(super) &'a RadosGwClient);

/// How fresh a user's statistics are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// What the gateway last counted: up to a day old with Ceph's defaults.
    Cached,
    /// Counted now, at a cost per bucket: 3 s for 1200 of them.
    Now,
}

impl Users<'_> {
    /// Creates a user.
    ///
    /// Never repeated once it may have arrived: after an error whose [effect](Error::effect) is unknown, read the
    /// user. (The gateway answers 409 to an identical second request.)
    ///
    /// # Errors
    /// `AlreadyExists` with one of the codes [`error::USER_EXISTS`], [`error::EMAIL_EXISTS`], [`error::KEY_EXISTS`];
    /// no half-made user is left then.
    pub async fn create(&self, new: &NewUser) -> Result<UserWithKeys> {
        let call = new.add_to(self.call(Method::PUT, "users.create", &new.uid)).not_idempotent();
        let uid = new.uid.clone();
        self.0.in_turn(&new.uid, async move { the_user(&uid, call.send_json().await?) }).await
    }

    /// Reads a user without its keys. `Ok(None)` only when the gateway said `NoSuchUser`.
    ///
    /// # Errors
    /// Everything else, every other 404 included.
    pub async fn get(&self, uid: &Uid) -> Result<Option<User>> {
        Ok(self.get_with_keys(uid).await?.map(|found| found.user))
    }

    /// Reads a user with its keys.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_with_keys(&self, uid: &Uid) -> Result<Option<UserWithKeys>> {
        self.read(uid, self.call(Method::GET, "users.get", uid)).await
    }

    /// Reads a user with what it has stored. For metering add up the buckets instead
    /// ([`Buckets::of_user`](super::Buckets::of_user)), which are right at once.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_with_stats(&self, uid: &Uid, freshness: Freshness) -> Result<Option<User>> {
        let call = self.call(Method::GET, "users.get_with_stats", uid).query("stats", true);
        let call = if freshness == Freshness::Now { call.query("sync", true) } else { call };
        Ok(self.read(uid, call).await?.map(|found| found.user))
    }

    /// Changes what `change` names; the rest stays.
    ///
    /// # Errors
    /// `NotFound`; `AlreadyExists` with [`error::EMAIL_EXISTS`].
    pub async fn modify(&self, uid: &Uid, change: &UserChange) -> Result<User> {
        // Nothing in it adds up, so a repeat does no harm.
        let call = change.add_to(self.call(Method::POST, "users.modify", uid)).idempotent();
        let of = uid.clone();
        let user = self.0.in_turn(uid, async move { the_user(&of, call.send_json().await?) });
        Ok(user.await?.user)
    }

    /// Refuses (`true`) or allows (`false`) every S3 call of a user, reads included, at once.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn set_suspended(&self, uid: &Uid, suspended: bool) -> Result<User> {
        self.modify(uid, &UserChange::default().with_suspended(suspended)).await
    }

    /// Deletes a user that owns no buckets, and its keys.
    ///
    /// # Errors
    /// `NotFound` when it is gone; `Conflict` with [`error::USER_HAS_BUCKETS`].
    pub async fn delete(&self, uid: &Uid) -> Result<()> {
        let call = self.call(Method::DELETE, "users.delete", uid).query("purge-data", false);
        self.0.write(uid, call).await
    }

    /// Deletes a user with its buckets and **all its data**. Works inside the request, for as long as
    /// [`RadosGwClient::with_purge_timeout`] allows; a deletion that was cut short goes on where it stopped when it is
    /// asked for again.
    ///
    /// # Errors
    /// `NotFound` when it is gone.
    pub async fn delete_with_data(&self, uid: &Uid) -> Result<()> {
        let call = self
            .call(Method::DELETE, "users.delete_with_data", uid)
            .query("purge-data", true)
            .timeout(self.0.purge_timeout)
            // The gateway goes on with the first one when the connection breaks.
            .not_idempotent();
        self.0.write(uid, call).await
    }

    /// All users, in no particular order. Complete when the gateway says that the last page was cut nowhere.
    pub fn list(&self, size: PageSize) -> Pager<ListedUid> {
        let client = self.0.clone();
        Pager::new(
            |uid: &ListedUid| uid.as_str().to_owned(),
            move |token| {
                let call = client.call(Method::GET, "users.list", TEMPLATE).query("list", "");
                listing::page_of_uids(call, size, token)
            },
        )
    }

    fn call(self, method: Method, operation: &'static str, uid: &Uid) -> Call {
        self.0.call(method, operation, TEMPLATE).query("uid", uid).secret_answer()
    }

    async fn read(&self, uid: &Uid, call: Call) -> Result<Option<UserWithKeys>> {
        match call.send_json().await {
            Ok(answer) => the_user(uid, answer).map(Some),
            Err(error) if error.code() == Some(error::NO_SUCH_USER) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Makes sure that the answer is about the user that was asked for.
fn the_user(uid: &Uid, answer: WireUser) -> Result<UserWithKeys> {
    let found = UserWithKeys::from(answer);
    if found.user.is(uid) {
        Ok(found)
    } else {
        Err(Error::new(ErrorKind::WrongContent, format!("asked for user {uid}, another one was answered")))
    }
}

/// The key that a new user begins with. The gateway mints the secret: no URL carries one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum InitialKey {
    /// None.
    #[default]
    None,
    /// Both halves minted by the gateway.
    Generated,
    /// This access key, with a secret minted by the gateway.
    WithId(AccessKeyId),
}

/// A user to be created.
#[derive(Clone, Debug)]
pub struct NewUser {
    uid: Uid,
    display_name: String,
    email: Option<String>,
    key: InitialKey,
    max_buckets: Option<MaxBuckets>,
    placement: Option<String>,
    caps: Vec<Cap>,
}

impl NewUser {
    /// A user without key and e-mail address; the gateway's default of buckets (1000 on 16.2).
    ///
    /// # Errors
    /// `Config` when the display name is blank or has control characters.
    pub fn new(uid: Uid, display_name: impl Into<String>) -> Result<Self> {
        Ok(Self {
            uid,
            display_name: checked("display name", display_name)?,
            email: None,
            key: InitialKey::None,
            max_buckets: None,
            placement: None,
            caps: Vec::new(),
        })
    }

    /// Gives it an e-mail address: unique over all users, kept in lower case, not checked for being one.
    ///
    /// # Errors
    /// `Config` when it is blank or has control characters.
    pub fn with_email(mut self, email: impl Into<String>) -> Result<Self> {
        self.email = Some(checked("e-mail address", email)?);
        Ok(self)
    }

    /// Gives it a key pair minted by the gateway.
    #[must_use]
    pub fn with_generated_key(self) -> Self {
        self.with_key(InitialKey::Generated)
    }

    /// Chooses its key.
    #[must_use]
    pub fn with_key(mut self, key: InitialKey) -> Self {
        self.key = key;
        self
    }

    /// Says how many buckets it may own.
    #[must_use]
    pub fn with_max_buckets(mut self, limit: MaxBuckets) -> Self {
        self.max_buckets = Some(limit);
        self
    }

    /// Puts its new buckets on a placement target; `target/CLASS` chooses a storage class too.
    ///
    /// # Errors
    /// `Config` when it is blank or has control characters.
    pub fn with_placement(mut self, target: impl Into<String>) -> Result<Self> {
        self.placement = Some(checked("placement target", target)?);
        Ok(self)
    }

    /// Makes it an administrator.
    ///
    /// # Errors
    /// `Config` for a capability of a kind or permission that this version does not know: the gateway ignores some
    /// of those in silence.
    pub fn with_caps(mut self, caps: Vec<Cap>) -> Result<Self> {
        super::caps::check(&caps)?;
        self.caps = caps;
        Ok(self)
    }

    fn add_to(&self, call: Call) -> Call {
        let call = call
            .query("display-name", &self.display_name)
            .query_opt("email", self.email.as_deref())
            .query_opt("max-buckets", self.max_buckets.map(MaxBuckets::wire))
            .query_opt("default-placement", self.placement.as_deref())
            .query_opt("user-caps", (!self.caps.is_empty()).then(|| super::caps::wire(&self.caps)));
        match &self.key {
            InitialKey::None => call.query("generate-key", false),
            InitialKey::Generated => call.query("generate-key", true),
            InitialKey::WithId(id) => call.query("generate-key", true).query("access-key", id.as_str()),
        }
    }
}

/// What is to change of a user. Nothing by default.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    display_name: Option<String>,
    email: Option<String>,
    suspended: Option<bool>,
    max_buckets: Option<MaxBuckets>,
}

impl UserChange {
    /// Another name for people.
    ///
    /// # Errors
    /// `Config` when it is blank (the gateway would ignore it) or has control characters.
    pub fn with_display_name(mut self, name: impl Into<String>) -> Result<Self> {
        self.display_name = Some(checked("display name", name)?);
        Ok(self)
    }

    /// Another e-mail address.
    ///
    /// # Errors
    /// As [`NewUser::with_email`].
    pub fn with_email(mut self, email: impl Into<String>) -> Result<Self> {
        self.email = Some(checked("e-mail address", email)?);
        Ok(self)
    }

    /// Suspended or not.
    #[must_use]
    pub fn with_suspended(mut self, suspended: bool) -> Self {
        self.suspended = Some(suspended);
        self
    }

    /// Another number of buckets.
    #[must_use]
    pub fn with_max_buckets(mut self, limit: MaxBuckets) -> Self {
        self.max_buckets = Some(limit);
        self
    }

    fn add_to(&self, call: Call) -> Call {
        call.query_opt("display-name", self.display_name.as_deref())
            .query_opt("email", self.email.as_deref())
            .query_opt("suspended", self.suspended)
            .query_opt("max-buckets", self.max_buckets.map(MaxBuckets::wire))
            // A change mints no key, whatever the release takes for the default.
            .query("generate-key", false)
    }
}
