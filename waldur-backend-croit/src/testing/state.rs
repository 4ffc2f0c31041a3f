//! The gateway's memory: records, indices, and the two halves of every write.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{
    buckets::Bucket,
    mint::Mint,
    operation::Operation,
    records::{Caps, User, UserId},
    refused::Refused,
    signature::Claim,
    usage::UsageLog,
    users::STORAGE_CLASS,
    wire::{Exchange, Reply},
};

/// What a test chose.
#[derive(Clone)]
pub(super) struct Config {
    pub(super) clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// How often a write lets others run between reading and writing the record; 0: never.
    pub(super) overlap: u32,
    pub(super) exclusive_creates: bool,
    pub(super) cold_quota_cache: bool,
    pub(super) usage_log: bool,
    pub(super) max_name: usize,
    pub(super) seed: u64,
}

/// What was asked, counted.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) by_operation: BTreeMap<&'static str, u64>,
    pub(super) unsigned: u64,
    pub(super) rejected: u64,
    pub(super) unmodelled: Vec<String>,
}

/// Where a bucket is: tenant and name.
pub(super) type Place = (String, String);

pub(super) struct State {
    pub(super) config: Config,
    pub(super) users: BTreeMap<String, User>,
    /// Access key to uid. As on the gateway an index beside the records, which a race leaves wrong.
    pub(super) key_index: BTreeMap<String, String>,
    /// E-mail to uid.
    pub(super) email_index: BTreeMap<String, String>,
    pub(super) buckets: BTreeMap<Place, Bucket>,
    pub(super) usage: UsageLog,
    pub(super) mint: Mint,
    pub(super) requests: Requests,
    /// How many of the next writes of a call are lost.
    pub(super) losses: BTreeMap<String, u32>,
    pub(super) serial: u64,
}

/// What became of a request so far.
pub(super) enum Begun {
    Done(Reply),
    /// To be committed: now, or after others had their turn.
    Write(Write),
}

impl From<Reply> for Begun {
    fn from(reply: Reply) -> Self {
        Self::Done(reply)
    }
}

/// A write to one user's record, decided on what was read before.
pub(super) struct Write {
    pub(super) reply: Reply,
    pub(super) change: Change,
}

pub(super) enum Change {
    Create(Box<User>),
    /// Compare and swap: fails when the record is not `read` any more. A record that is gone is written again.
    Modify {
        read: Box<User>,
        written: Box<User>,
    },
    Delete {
        read: Box<User>,
        purge: bool,
    },
    /// Acknowledged and not kept.
    Lost,
}

impl State {
    pub(super) fn new(config: Config) -> Self {
        Self {
            mint: Mint::new(config.seed),
            config,
            users: BTreeMap::new(),
            key_index: BTreeMap::new(),
            email_index: BTreeMap::new(),
            buckets: BTreeMap::new(),
            usage: UsageLog::default(),
            requests: Requests::default(),
            losses: BTreeMap::new(),
            serial: 0,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.config.clock)()
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// The first half of every request: who asks, may they, what is it. Reads and bucket calls are over after it.
    pub(super) fn begin(&mut self, exchange: &Exchange) -> Begun {
        if !exchange.is_signed() {
            self.requests.unsigned += 1;
        }
        if exchange.is_too_long() {
            return Begun::Done(Reply::Bare);
        }
        let operation = Operation::of(exchange);
        *self.requests.by_operation.entry(operation.name()).or_default() += 1;
        let mut begun = self.carry_out(operation, exchange).unwrap_or_else(|refused| Begun::Done(refused.into()));
        if let Begun::Write(write) = &mut begun
            && let Some(left) = self.losses.get_mut(operation.name()).filter(|left| **left > 0)
        {
            *left -= 1;
            write.change = Change::Lost;
        }
        if let Begun::Done(Reply::Error { refused: Refused::NOT_MODELLED, .. }) = begun {
            self.requests.unmodelled.push(format!("{} {}", exchange.method, operation.name()));
        }
        begun
    }

    fn carry_out(&mut self, operation: Operation, exchange: &Exchange) -> Result<Begun, Refused> {
        if operation == Operation::Unknown {
            return Err(Refused::METHOD_NOT_ALLOWED);
        }
        let caps = self.authenticate(exchange)?;
        if let Some((kind, write)) = operation.cap()
            && !caps.allows(kind, write)
        {
            return Err(Refused::ACCESS_DENIED);
        }
        let arguments = &exchange.arguments;
        match operation {
            Operation::CreateUser => self.create_user(arguments),
            Operation::GetUser => self.get_user(arguments).map(Begun::from),
            Operation::ModifyUser => self.modify_user(arguments),
            Operation::DeleteUser => self.delete_user(arguments),
            Operation::ListUsers => Ok(self.list_users(arguments).into()),
            Operation::CreateKey => self.create_key(arguments),
            Operation::DeleteKey => self.delete_key(arguments),
            Operation::AddCaps => self.add_caps(arguments),
            Operation::RemoveCaps => self.remove_caps(arguments),
            Operation::CreateSubuser => self.create_subuser(arguments),
            Operation::ModifySubuser => self.modify_subuser(arguments),
            Operation::DeleteSubuser => self.delete_subuser(arguments),
            Operation::GetQuota => self.get_quota(arguments).map(Begun::from),
            Operation::SetQuota => self.set_quota(arguments, &exchange.body),
            Operation::GetBucket => self.get_bucket(arguments).map(Begun::from),
            Operation::CheckBucket => self.check_bucket(arguments).map(Begun::from),
            Operation::LinkBucket => self.link_bucket(arguments).map(Begun::from),
            Operation::UnlinkBucket => self.unlink_bucket(arguments).map(Begun::from),
            Operation::SetBucketQuota => self.set_bucket_quota(arguments, &exchange.body).map(Begun::from),
            Operation::DeleteBucket => self.delete_bucket(arguments).map(Begun::from),
            Operation::DeleteObject => self.delete_object(arguments).map(Begun::from),
            Operation::GetUsage => Ok(self.usage.report(arguments).into()),
            Operation::TrimUsage => {
                self.usage.trim(arguments);
                Ok(Reply::Empty.into())
            }
            Operation::ListMetadata => self.list_metadata(exchange).map(Begun::from),
            Operation::S3 => Ok(self.s3(exchange).into()),
            Operation::Guarded | Operation::Unmodelled => Err(Refused::NOT_MODELLED),
            Operation::Unknown => Err(Refused::METHOD_NOT_ALLOWED),
        }
    }

    /// The caller's caps.
    fn authenticate(&mut self, exchange: &Exchange) -> Result<Caps, Refused> {
        let caller = Claim::read(exchange, self.now()).and_then(|claim| self.caller(&claim, exchange));
        if caller.is_err() && exchange.is_signed() {
            self.requests.rejected += 1;
        }
        caller
    }

    fn caller(&self, claim: &Claim, exchange: &Exchange) -> Result<Caps, Refused> {
        let user = self.owner_of_key(&claim.access_key).ok_or(Refused::INVALID_ACCESS_KEY_ID)?;
        let key = user.keys.get(&claim.access_key).ok_or(Refused::INVALID_ACCESS_KEY_ID)?;
        if !claim.holds(exchange, key.secret.expose_secret()) {
            return Err(Refused::SIGNATURE_DOES_NOT_MATCH);
        }
        if user.suspended { Err(Refused::USER_SUSPENDED) } else { Ok(user.caps.clone()) }
    }

    /// By the index: the user whose record holds the key need not be asked.
    pub(super) fn owner_of_key(&self, access_key: &str) -> Option<&User> {
        self.key_index.get(access_key).and_then(|uid| self.users.get(uid))
    }

    /// The second half of a write.
    pub(super) fn commit(&mut self, write: Write) -> Reply {
        let Write { reply, change } = write;
        let written = match change {
            Change::Create(user) if self.config.exclusive_creates && self.users.contains_key(&user.id.to_string()) => {
                return Refused::USER_ALREADY_EXISTS.into();
            }
            // Whoever comes last stands; what the others were told is not taken back (measured: 8 overlapping
            // creates, 8 times 200, one of the 8 key pairs can log in).
            Change::Create(user) => self.write(None, *user),
            Change::Modify { read, written } => {
                let version = self.users.get(&read.id.to_string()).map(|user| user.version);
                if version.is_some_and(|version| version != read.version) {
                    return Refused::UNKNOWN_ERROR.into();
                }
                self.write(Some(&read), *written)
            }
            Change::Delete { read, purge } => {
                if purge {
                    self.purge_buckets(&read.id.to_string());
                }
                self.erase(&read);
                true
            }
            Change::Lost => true,
        };
        if written { reply } else { Refused::UNKNOWN_ERROR.into() }
    }

    /// Writes the record, then the indices of what changed. `false` when a name was too long for its index: the
    /// record stands all the same.
    pub(super) fn write(&mut self, read: Option<&User>, mut user: User) -> bool {
        let uid = user.id.to_string();
        user.version = self.next_serial();
        user.writes += 1;
        user.modified = self.now();
        // The default class is not stored: the answer to the write still names it, no later one does (measured).
        if user.default_storage_class == STORAGE_CLASS {
            user.default_storage_class.clear();
        }
        if user.tag.is_empty() {
            user.tag = self.mint.tag();
        }
        if let Some(read) = read {
            self.unindex(read, Some(&user));
        }
        if let Some(present) = self.users.get(&uid) {
            // These two are records of their own, which this write does not touch.
            user.statistics = present.statistics;
            user.has_bucket_list = present.has_bucket_list;
        }
        let known_key = |key: &String| read.is_some_and(|read| read.keys.contains_key(key));
        let known_email = read.is_some_and(|read| read.email == user.email);
        let mut names: Vec<_> = user.keys.keys().filter(|key| !known_key(key)).cloned().collect();
        let all_fit = names.iter().chain([&user.email]).all(|name| name.len() <= self.config.max_name);
        names.retain(|name| name.len() <= self.config.max_name);
        self.key_index.extend(names.into_iter().map(|name| (name, uid.clone())));
        if !known_email && !user.email.is_empty() && user.email.len() <= self.config.max_name {
            self.email_index.insert(user.email.clone(), uid.clone());
        }
        self.users.insert(uid, user);
        all_fit
    }

    /// Removes the record and its indices.
    pub(super) fn erase(&mut self, user: &User) {
        self.users.remove(&user.id.to_string());
        self.unindex(user, None);
    }

    /// Removes what leads to `user` and no longer belongs to it.
    fn unindex(&mut self, user: &User, kept: Option<&User>) {
        let uid = user.id.to_string();
        for key in user.keys.keys().filter(|key| kept.is_none_or(|kept| !kept.keys.contains_key(*key))) {
            if self.key_index.get(key) == Some(&uid) {
                self.key_index.remove(key);
            }
        }
        let same_email = kept.is_some_and(|kept| kept.email == user.email);
        if !same_email && self.email_index.get(&user.email) == Some(&uid) {
            self.email_index.remove(&user.email);
        }
    }

    /// Removes the buckets that are listed as `uid`'s, with all they hold.
    pub(super) fn purge_buckets(&mut self, uid: &str) {
        self.buckets.retain(|_, bucket| !bucket.belongs_to(uid));
    }

    /// The user a request means: by uid, else by access key (of whoever holds it!), measured on 16.2.15.
    ///
    /// # Errors
    /// `AccessDenied` without a uid and a known key, or for a uid that nobody can have; `NoSuchUser`.
    pub(super) fn find(&self, uid: &str, access_key: &str) -> Result<&User, Refused> {
        let id = UserId::parse(uid);
        if !uid.is_empty() && id.is_nobody() {
            return Err(Refused::ACCESS_DENIED);
        }
        let missing = if uid.is_empty() { Refused::ACCESS_DENIED } else { Refused::NO_SUCH_USER };
        self.users.get(&id.to_string()).or_else(|| self.owner_of_key(access_key)).ok_or(missing)
    }

    /// A modification of the record that was just read.
    pub(super) fn modification(read: User, written: User, reply: Reply) -> Begun {
        let change = Change::Modify { read: Box::new(read), written: Box::new(written) };
        Begun::Write(Write { reply, change })
    }
}
