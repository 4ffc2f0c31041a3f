//! The tenant's side: what the holder of a key does with the storage, without S3.

use secrecy::{ExposeSecret, SecretString};

use super::{
    FakeRadosGw,
    buckets::Bucket,
    records::{Totals, User, UserId},
    refused::Refused,
    state::{Place, State},
    usage::{Traffic, UsageLog},
};

impl FakeRadosGw {
    /// Who signs in with this key pair? The uid, with its tenant.
    ///
    /// # Errors
    /// `InvalidAccessKeyId`, `SignatureDoesNotMatch` (wrong secret), `UserSuspended`.
    pub fn login(&self, access_key: &str, secret_key: &SecretString) -> Result<String, Refused> {
        let state = self.state();
        let user = state.owner_of_key(access_key).ok_or(Refused::INVALID_ACCESS_KEY_ID)?;
        let key = user.keys.get(access_key).ok_or(Refused::INVALID_ACCESS_KEY_ID)?;
        if key.secret.expose_secret() != secret_key.expose_secret() {
            return Err(Refused::SIGNATURE_DOES_NOT_MATCH);
        }
        if user.suspended { Err(Refused::USER_SUSPENDED) } else { Ok(user.id.to_string()) }
    }

    /// Creates a bucket as `uid`; does nothing when it is its own already.
    ///
    /// # Errors
    /// `UserSuspended`, `AccessDenied` (`max-buckets` below 0, or not allowed by `op-mask`), `TooManyBuckets` (also for
    /// a bucket that is there), `InvalidBucketName`, `BucketAlreadyExists` (somebody else's, or the owner's display
    /// name has changed since: measured), `NoSuchUser`.
    pub fn create_bucket(&self, uid: &str, bucket: &str) -> Result<(), Refused> {
        let mut state = self.state();
        let user = state.active(uid)?;
        let (tenant, owner, limit) = (user.id.tenant.clone(), user.id.to_string(), user.max_buckets);
        let name = user.display_name.clone();
        let may_write = user.op_mask.contains("write");
        let count = state.buckets.values().filter(|bucket| bucket.belongs_to(&owner)).count();
        if limit < 0 || !may_write {
            return Err(Refused::ACCESS_DENIED);
        }
        if limit > 0 && i64::try_from(count).is_ok_and(|count| count >= limit) {
            return Err(Refused::TOO_MANY_BUCKETS);
        }
        if !is_bucket_name(bucket) {
            return Err(Refused::INVALID_BUCKET_NAME);
        }
        let place = (tenant, bucket.to_owned());
        match state.buckets.get(&place) {
            Some(found) if found.owner != owner || found.owner_name != name => {
                return Err(Refused::BUCKET_ALREADY_EXISTS);
            }
            Some(_) => {}
            None => {
                let (number, now) = (state.next_serial(), state.now());
                state.buckets.insert(place, Bucket::new(owner.clone(), name, number, now));
                state.remember_bucket_list(&owner);
            }
        }
        state.log(&owner, bucket, "create_bucket", 0, Ok(0));
        Ok(())
    }

    /// Deletes an empty bucket as `uid`.
    ///
    /// # Errors
    /// `UserSuspended`, `AccessDenied`, `NoSuchBucket`, `BucketNotEmpty`, `NoSuchUser`.
    pub fn delete_bucket(&self, uid: &str, bucket: &str) -> Result<(), Refused> {
        let mut state = self.state();
        let (owner, place) = state.open(uid, bucket, "delete")?;
        if state.buckets.get(&place).is_some_and(|found| !found.objects.is_empty()) {
            return Err(Refused::BUCKET_NOT_EMPTY);
        }
        state.buckets.remove(&place);
        state.log(&owner, bucket, "delete_bucket", 0, Ok(0));
        Ok(())
    }

    /// Stores an object of `size` bytes as `uid`, over whatever has that key.
    ///
    /// Sizes count rounded up to 4096 bytes against a quota, and what is replaced still counts.
    ///
    /// # Errors
    /// `QuotaExceeded`, `UserSuspended`, `AccessDenied` (somebody else's bucket), `NoSuchBucket`, `NoSuchUser`.
    pub fn put_object(&self, uid: &str, bucket: &str, key: &str, size: u64) -> Result<(), Refused> {
        let mut state = self.state();
        let (owner, place) = state.open(uid, bucket, "write")?;
        let user = state.users.get(&owner).ok_or(Refused::NO_SUCH_USER)?;
        let found = state.buckets.get(&place).ok_or(Refused::NO_SUCH_BUCKET)?;
        let bucket_quota = if found.quota.enabled { found.quota } else { user.bucket_quota };
        let stored = if state.config.cold_quota_cache { user.statistics } else { state.totals(&owner) };
        if bucket_quota.refuses(found.totals(), size) || user.user_quota.refuses(stored, size) {
            state.log(&owner, bucket, "put_obj", 0, Err(Refused::QUOTA_EXCEEDED));
            return Err(Refused::QUOTA_EXCEEDED);
        }
        if let Some(found) = state.buckets.get_mut(&place) {
            found.put(key, size);
        }
        state.log(&owner, bucket, "put_obj", size, Ok(0));
        Ok(())
    }

    /// Reads an object as `uid`: its size in bytes.
    ///
    /// # Errors
    /// `NoSuchKey`, `UserSuspended`, `AccessDenied`, `NoSuchBucket`, `NoSuchUser`.
    pub fn get_object(&self, uid: &str, bucket: &str, key: &str) -> Result<u64, Refused> {
        let mut state = self.state();
        // Whether it is there is looked at before whether it may be read.
        let (owner, place) = state.open(uid, bucket, "")?;
        let Some(size) = state.buckets.get(&place).and_then(|found| found.objects.get(key).copied()) else {
            state.log(&owner, bucket, "get_obj", 0, Err(Refused::NO_SUCH_KEY));
            return Err(Refused::NO_SUCH_KEY);
        };
        state.open(uid, bucket, "read")?;
        state.log(&owner, bucket, "get_obj", 0, Ok(size));
        Ok(size)
    }

    /// Removes an object as `uid`; it need not be there.
    ///
    /// # Errors
    /// `UserSuspended`, `AccessDenied`, `NoSuchBucket`, `NoSuchUser`.
    pub fn remove_object(&self, uid: &str, bucket: &str, key: &str) -> Result<(), Refused> {
        let mut state = self.state();
        let (owner, place) = state.open(uid, bucket, "delete")?;
        if let Some(found) = state.buckets.get_mut(&place) {
            found.remove(key);
        }
        state.log(&owner, bucket, "delete_obj", 0, Ok(0));
        Ok(())
    }

    /// Lists the tenant's own buckets, by name, as the tenant does.
    ///
    /// # Errors
    /// `UserSuspended`, `NoSuchUser`.
    pub fn list_buckets(&self, uid: &str) -> Result<Vec<String>, Refused> {
        let mut state = self.state();
        let owner = state.active(uid)?.id.to_string();
        let mine = state.buckets.iter().filter(|(_, bucket)| bucket.belongs_to(&owner));
        let mut names: Vec<_> = mine.map(|((_, name), _)| name.clone()).collect();
        names.sort();
        let size = names.iter().map(|name| name.len() as u64).sum();
        state.log(&owner, "", "list_buckets", 0, Ok(size));
        Ok(names)
    }

    /// Writes traffic into the usage log, at the present hour. `bucket` is empty for what concerns no bucket, and `-`
    /// for reads of something that is not there; `category` is e.g. `put_obj`, `get_obj`, `list_buckets`.
    pub fn add_traffic(&self, uid: &str, bucket: &str, category: &str, traffic: Traffic) {
        let mut state = self.state();
        let now = state.now();
        state.usage.record(&UserId::parse(uid).to_string(), bucket, category, traffic, now);
    }

    /// Empties the usage log.
    pub fn forget_traffic(&self) {
        self.state().usage = UsageLog::default();
    }

    /// Brings a user's statistics up to date, as the gateway does by itself within a day. Until then, or until
    /// somebody asks with `sync=true`, `stats=true` shows old numbers.
    pub fn synchronise_statistics(&self, uid: &str) {
        let uid = UserId::parse(uid).to_string();
        self.state().synchronise(&uid);
    }
}

impl State {
    /// The user, who must not be suspended.
    fn active(&self, uid: &str) -> Result<&User, Refused> {
        let user = self.users.get(&UserId::parse(uid).to_string()).ok_or(Refused::NO_SUCH_USER)?;
        if user.suspended { Err(Refused::USER_SUSPENDED) } else { Ok(user) }
    }

    /// The user's full name and the place of a bucket of its own, in which it may do `what`: read, write or delete.
    fn open(&self, uid: &str, bucket: &str, what: &str) -> Result<(String, Place), Refused> {
        let user = self.active(uid)?;
        let (owner, place) = (user.id.to_string(), (user.id.tenant.clone(), bucket.to_owned()));
        let found = self.buckets.get(&place).ok_or(Refused::NO_SUCH_BUCKET)?;
        let may = found.owner == owner && user.op_mask.contains(what);
        if may { Ok((owner, place)) } else { Err(Refused::ACCESS_DENIED) }
    }

    /// `answer` is what the gateway answered: `Ok(bytes)` it sent, or an error about `bucket`.
    fn log(&mut self, owner: &str, bucket: &str, category: &str, received: u64, answer: Result<u64, Refused>) {
        if !self.config.usage_log {
            return;
        }
        let (bytes_sent, success) = match answer {
            Ok(sent) => (sent, 1),
            // The XML of an error: 217 bytes around code and bucket (measured).
            Err(refused) => (217 + (refused.code().len() + bucket.len()) as u64, 0),
        };
        // A read of what is not there counts for no bucket.
        let place = if answer == Err(Refused::NO_SUCH_KEY) { "-" } else { bucket };
        let traffic = Traffic { bytes_sent, bytes_received: received, ops: 1, successful_ops: success };
        let now = self.now();
        self.usage.record(owner, place, category, traffic, now);
    }

    /// What a user stores now.
    pub(super) fn totals(&self, uid: &str) -> Totals {
        let mine = self.buckets.values().filter(|bucket| bucket.belongs_to(uid));
        mine.fold(Totals::default(), |sum, bucket| sum.plus(bucket.totals()))
    }

    pub(super) fn synchronise(&mut self, uid: &str) {
        let totals = self.totals(uid);
        if let Some(user) = self.users.get_mut(uid) {
            user.statistics = totals;
        }
    }

    pub(super) fn remember_bucket_list(&mut self, uid: &str) {
        if let Some(user) = self.users.get_mut(uid) {
            user.has_bucket_list = true;
        }
    }
}

fn is_bucket_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
}
