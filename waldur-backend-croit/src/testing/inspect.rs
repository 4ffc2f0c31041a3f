//! What a test looks at, and what it does behind the client's back.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use super::{
    FakeRadosGw,
    records::{Caps, Key, Quota, User, UserId},
    refused::Refused,
};

/// A user as the gateway holds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UserView {
    /// `tenant$uid`, or `uid` without a tenant.
    pub uid: String,
    /// Display name.
    pub display_name: String,
    /// E-mail, in lower case; empty when none.
    pub email: String,
    /// Is every S3 call of this user refused?
    pub suspended: bool,
    /// 0: any number; -1: none.
    pub max_buckets: i64,
    /// S3 keys, by access key; those of subusers too.
    pub keys: Vec<KeyView>,
    /// Admin capabilities.
    pub caps: Caps,
    /// Quota of all buckets together.
    pub user_quota: Quota,
    /// Quota of every single bucket that has none of its own.
    pub bucket_quota: Quota,
}

/// An S3 key pair.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyView {
    /// `tenant$uid`, or `uid:subuser` for a key of a subuser.
    pub user: String,
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: SecretString,
}

/// A bucket as the gateway holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BucketView {
    /// Tenant; empty when none.
    pub tenant: String,
    /// Name.
    pub name: String,
    /// The owner's `tenant$uid`.
    pub owner: String,
    /// Objects stored.
    pub objects: u64,
    /// Bytes stored, not rounded.
    pub bytes: u64,
    /// Its own quota, which replaces the owner's bucket quota when enabled.
    pub quota: Quota,
}

/// A user that a test puts into the fake, as if it had always been there.
#[derive(Clone, Debug)]
pub struct SeedUser {
    user: User,
}

impl SeedUser {
    /// A user without keys, e-mail, caps and limits, whose display name is its uid.
    pub fn new(uid: &str) -> Self {
        Self { user: User::new(UserId::parse(uid), uid) }
    }

    /// Sets the display name.
    #[must_use]
    pub fn display_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.user.display_name);
        self
    }

    /// Sets the e-mail; it is stored in lower case.
    #[must_use]
    pub fn email(mut self, email: &str) -> Self {
        self.user.email = email.to_ascii_lowercase();
        self
    }

    /// Adds a key pair.
    #[must_use]
    pub fn key(mut self, access_key: &str, secret_key: impl Into<SecretString>) -> Self {
        self.user.keys.insert(access_key.to_owned(), Key { secret: secret_key.into(), subuser: None });
        self
    }

    /// Adds a key pair of a subuser.
    #[must_use]
    pub fn subuser_key(mut self, subuser: &str, access_key: &str, secret_key: impl Into<SecretString>) -> Self {
        let key = Key { secret: secret_key.into(), subuser: Some(subuser.to_owned()) };
        self.user.keys.insert(access_key.to_owned(), key);
        self
    }

    /// Sets the admin capabilities.
    #[must_use]
    pub fn caps(mut self, caps: Caps) -> Self {
        self.user.caps = caps;
        self
    }

    /// Suspends the user.
    #[must_use]
    pub fn suspended(mut self) -> Self {
        self.user.suspended = true;
        self
    }

    /// Sets how many buckets it may own; 0: any number, negative: none.
    #[must_use]
    pub fn max_buckets(mut self, number: i64) -> Self {
        self.user.max_buckets = number.max(-1);
        self
    }
}

impl From<SeedUser> for User {
    fn from(seed: SeedUser) -> Self {
        seed.user
    }
}

impl FakeRadosGw {
    /// The user `tenant$uid`, or `uid`.
    pub fn user(&self, uid: &str) -> Option<UserView> {
        self.state().users.get(&UserId::parse(uid).to_string()).map(view)
    }

    /// All users but the admin, by uid.
    pub fn users(&self) -> Vec<UserView> {
        self.state().users.values().filter(|user| user.id.to_string() != Self::ADMIN).map(view).collect()
    }

    /// User quota and bucket quota of `uid`.
    pub fn quota(&self, uid: &str) -> Option<(Quota, Quota)> {
        self.user(uid).map(|user| (user.user_quota, user.bucket_quota))
    }

    /// The buckets that are listed as `uid`'s, by name.
    pub fn buckets(&self, uid: &str) -> Vec<BucketView> {
        let uid = UserId::parse(uid).to_string();
        let state = self.state();
        let mine = state.buckets.iter().filter(|(_, bucket)| bucket.belongs_to(&uid));
        mine.map(|((tenant, name), bucket)| BucketView {
            tenant: tenant.clone(),
            name: name.clone(),
            owner: bucket.owner.clone(),
            objects: bucket.totals().objects,
            bytes: bucket.totals().bytes,
            quota: bucket.quota,
        })
        .collect()
    }

    /// How often each call was made, e.g. `user.create`, `key.delete`, `quota.set`, `metadata.get`, `unknown`.
    /// Refused ones count too.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.state().requests.by_operation.clone()
    }

    /// How often one call was made; see [`requests`](Self::requests).
    pub fn request_count(&self, operation: &str) -> u64 {
        self.state().requests.by_operation.get(operation).copied().unwrap_or_default()
    }

    /// How many requests came without a signature.
    pub fn unsigned_requests(&self) -> u64 {
        self.state().requests.unsigned
    }

    /// How many signed requests were refused for their signature, key, clock or body hash, or because the caller is
    /// suspended.
    pub fn rejected_signatures(&self) -> u64 {
        self.state().requests.rejected
    }

    /// Calls that the gateway answers and the fake does not know how; each was answered
    /// `501 NotModelledByFakeRadosGw`. A test that finds one here proves nothing.
    pub fn unmodelled(&self) -> Vec<String> {
        self.state().requests.unmodelled.clone()
    }

    /// Users that carry the stamp of the same resource in their e-mail (`waldur-{resource uuid}-…`, s3.md): for each
    /// such stamp, their uids. Empty when all is well.
    pub fn duplicate_stamps(&self) -> BTreeMap<String, Vec<String>> {
        let mut stamps: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for user in self.state().users.values() {
            if let Some(stamp) = stamp(&user.email) {
                stamps.entry(stamp).or_default().push(user.id.to_string());
            }
        }
        stamps.retain(|_, uids| uids.len() > 1);
        stamps
    }

    /// Users that were created by request, still exist and are not in `known`, a list of uids.
    pub fn orphans(&self, known: &[impl AsRef<str>]) -> Vec<String> {
        let known: BTreeSet<_> = known.iter().map(|uid| UserId::parse(uid.as_ref()).to_string()).collect();
        let state = self.state();
        let made = state.users.iter().filter(|(uid, user)| user.by_request && !known.contains(*uid));
        made.map(|(uid, _)| uid.clone()).collect()
    }

    /// Puts a user in.
    ///
    /// # Errors
    /// `UserAlreadyExists`, `EmailExists`, `KeyExists`; `AccessDenied` for a uid that nobody can have.
    pub fn add_user(&self, seed: SeedUser) -> Result<UserView, Refused> {
        let mut state = self.state();
        let user = seed.user;
        if user.id.is_nobody() {
            return Err(Refused::ACCESS_DENIED);
        }
        state.refuse_taken(&user.id, &user.email, "")?;
        if user.keys.keys().any(|key| state.owner_of_key(key).is_some()) {
            return Err(Refused::KEY_EXISTS);
        }
        let view = view(&user);
        state.write(None, user);
        Ok(view)
    }

    /// Removes a user and its buckets, as an operator would behind the client's back. Was it there?
    pub fn remove_user(&self, uid: &str) -> bool {
        let mut state = self.state();
        let uid = UserId::parse(uid).to_string();
        let Some(user) = state.users.get(&uid).cloned() else { return false };
        state.purge_buckets(&uid);
        state.erase(&user);
        true
    }

    /// Changes a user as an operator would behind the client's back; returns what `change` made of it.
    ///
    /// A write that is in flight then loses, as on the gateway.
    ///
    /// # Errors
    /// `NoSuchUser`.
    pub fn edit_user(&self, uid: &str, change: impl FnOnce(UserEdit<'_>)) -> Result<UserView, Refused> {
        let mut state = self.state();
        let read = state.users.get(&UserId::parse(uid).to_string()).cloned().ok_or(Refused::NO_SUCH_USER)?;
        let mut user = read.clone();
        change(UserEdit {
            display_name: &mut user.display_name,
            email: &mut user.email,
            suspended: &mut user.suspended,
            user_quota: &mut user.user_quota,
            bucket_quota: &mut user.bucket_quota,
            caps: &mut user.caps,
        });
        user.email.make_ascii_lowercase();
        let view = view(&user);
        state.write(Some(&read), user);
        Ok(view)
    }

    /// Acknowledges the next `times` writes of one call to users (see [`requests`](Self::requests) for its name) and does
    /// not keep them, as the gateway sometimes does where several processes write to one record.
    ///
    /// Measured for `key.create` only, about once in twenty runs of eight writers; for the other calls it is taken over,
    /// since they write to the same record.
    pub fn lose_writes(&self, operation: &str, times: u32) {
        *self.state().losses.entry(operation.to_owned()).or_default() += times;
    }

    /// Hands out this pair the next time a key is minted. Several are handed out in the order given; of a pair of
    /// which the client sends one half, the other half is used.
    pub fn mint_next(&self, access_key: &str, secret_key: impl Into<SecretString>) {
        self.state().mint.queue(access_key.to_owned(), secret_key.into());
    }
}

/// What [`FakeRadosGw::edit_user`] may change.
#[derive(Debug)]
#[non_exhaustive]
pub struct UserEdit<'a> {
    /// Display name.
    pub display_name: &'a mut String,
    /// E-mail; it is stored in lower case.
    pub email: &'a mut String,
    /// Suspended?
    pub suspended: &'a mut bool,
    /// Quota of all buckets together.
    pub user_quota: &'a mut Quota,
    /// Quota of every single bucket.
    pub bucket_quota: &'a mut Quota,
    /// Admin capabilities.
    pub caps: &'a mut Caps,
}

/// `waldur-{uuid}` in front of an e-mail, hyphens left out.
fn stamp(email: &str) -> Option<String> {
    let mut digits = String::new();
    for letter in email.strip_prefix("waldur-")?.chars() {
        match letter {
            '-' => {}
            letter if letter.is_ascii_hexdigit() => digits.push(letter),
            _ => break,
        }
        if digits.len() == 32 {
            return Some(digits);
        }
    }
    None
}

fn view(user: &User) -> UserView {
    let key = |(access_key, key): (&String, &Key)| KeyView {
        user: user.holder(key.subuser.as_deref()),
        access_key: access_key.clone(),
        secret_key: key.secret.clone(),
    };
    UserView {
        uid: user.id.to_string(),
        display_name: user.display_name.clone(),
        email: user.email.clone(),
        suspended: user.suspended,
        max_buckets: user.max_buckets,
        keys: user.keys.iter().map(key).collect(),
        caps: user.caps.clone(),
        user_quota: user.user_quota,
        bucket_quota: user.bucket_quota,
    }
}
