//! Users (croit-api.md §2).

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use waldur_sdk::{Error, ErrorKind, Result, rest::BadRow};

use super::{CroitClient, expect, model::User, name};
use crate::s3::{AccessKeyId, Tenant, Uid, checked};

/// A list of users is not kept as it comes, so only what never ends is too long: this is several million users.
const LISTING: usize = u32::MAX as usize;

/// So many names of users that were not asked for are kept.
const SOME: usize = 8;

/// Calls on users.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a>(pub(super) &'a CroitClient);

impl Users<'_> {
    /// All users. croit has no call for one of them, and no pages.
    ///
    /// # Errors
    /// `Decode` when the answer is no list.
    pub async fn all(&self) -> Result<UserList> {
        self.read(UserList::default()).await
    }

    /// Those of all users that are named. The others are skipped while the list arrives, and nothing is kept of them.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn among(&self, uids: impl IntoIterator<Item = &Uid>) -> Result<UserList> {
        self.read(UserList { wanted: Some(names(uids)), ..UserList::default() }).await
    }

    /// As [`Self::among`]. Afterwards it is also known whether a name is one of the others'.
    pub(crate) async fn among_names(&self, uids: impl IntoIterator<Item = &Uid>) -> Result<UserList> {
        self.read(UserList { wanted: Some(names(uids)), others: Some(BTreeSet::new()), ..UserList::default() }).await
    }

    /// The users that `list` is about, as they are now.
    pub(crate) async fn again(&self, list: &UserList) -> Result<UserList> {
        let others = list.others.as_ref().map(|_| BTreeSet::new());
        self.read(UserList { wanted: list.wanted.clone(), others, ..UserList::default() }).await
    }

    async fn read(&self, empty: UserList) -> Result<UserList> {
        let call = self.0.call(Method::GET, "users.all", "/s3/users", &[]);
        let call = call.must_exist().max_body(LISTING).secret_answer();
        let tenant = self.0.tenant.clone();
        let add = move |list: &mut UserList, row| list.add(row, tenant.as_ref());
        call.fold_rows("uid", move || empty.clone(), add).await
    }

    /// Creates a user, with a key pair of croit's making.
    ///
    /// Never repeated once it may have arrived: after an error whose [effect](Error::effect) is unknown, look for the
    /// user in [`Self::all`].
    ///
    /// # Errors
    /// `AlreadyExists` with the code [`USER_EXISTS`](super::error::USER_EXISTS) when the name or the e-mail address is
    /// taken.
    pub async fn create(&self, new: &NewUser) -> Result<Made> {
        name(&new.uid)?;
        let call = self.0.call(Method::POST, "users.create", "/s3/users", &[]).json(new);
        let call = call.must_exist().secret_answer().not_idempotent();
        let uid = new.uid.clone();
        let create = async move {
            let answer = expect("users.create", call.send().await?, &[StatusCode::CREATED, StatusCode::NO_CONTENT])?;
            // The status says that it is done. What else is said is worth reading only where it can be read.
            Ok(Made::read(answer.body(), &uid))
        };
        self.0.in_turn(&new.uid, create).await
    }

    /// Deletes a user that owns no buckets.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` with the code [`USER_HAS_BUCKETS`](super::error::USER_HAS_BUCKETS).
    pub async fn delete(&self, uid: &Uid) -> Result<()> {
        let call = self.0.call(Method::DELETE, "users.delete", "/s3/users/{uid}", &[name(uid)?]);
        self.0.write(uid, "users.delete", call).await
    }
}

fn names<'a>(uids: impl IntoIterator<Item = &'a Uid>) -> BTreeSet<String> {
    // One in a tenant is nobody here, and is refused when it is looked for.
    uids.into_iter().filter_map(|uid| name(uid).ok()).map(str::to_owned).collect()
}

/// What croit says of a user that it has just made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Made {
    /// The user; `None` where croit answers nothing.
    pub user: Option<User>,
    /// The public half of its only key; `None` where croit does not tell it, or not clearly.
    pub key: Option<AccessKeyId>,
}

impl Made {
    fn read(body: &[u8], uid: &Uid) -> Self {
        #[derive(Deserialize)]
        struct Keys {
            keys: Vec<Key>,
        }
        #[derive(Deserialize)]
        struct Key {
            #[serde(default)]
            user: Option<String>,
            access_key: String,
        }
        let user = serde_json::from_slice::<User>(body).ok().filter(|user| user.uid == uid.name());
        let key = || {
            let [key] = <[Key; 1]>::try_from(serde_json::from_slice::<Keys>(body).ok()?.keys).ok()?;
            let is_own = !key.user.is_some_and(|user| user.contains(':'));
            AccessKeyId::new(key.access_key).ok().filter(|_| is_own)
        };
        Self { key: user.as_ref().and_then(|_| key()), user }
    }
}

/// Users as they were at one moment: all of them, or those that were asked for.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    users: BTreeMap<String, Vec<User>>,
    /// Who was asked for; `None` for everybody.
    wanted: Option<BTreeSet<String>>,
    /// The names of those that were not, where it matters: 8 bytes of each, which of two names are the same by an accident
    /// that nobody will live to see.
    others: Option<BTreeSet<u64>>,
    /// The first ones of them.
    some_others: Vec<String>,
    /// Whether anybody is listed.
    shows_somebody: bool,
    /// Names among those that were asked for which somebody in another tenant has, and the e-mail addresses of those.
    namesakes: BTreeMap<String, Vec<Option<String>>>,
    bad: Vec<BadRow>,
}

impl UserList {
    /// Takes an entry in. A name of `tenant` loses it.
    fn add(&mut self, row: Result<User, BadRow>, tenant: Option<&Tenant>) {
        let plain = |uid: String| {
            match tenant {
                Some(tenant) => {
                    uid.strip_prefix(tenant.as_str()).and_then(|uid| uid.strip_prefix('$')).map(str::to_owned)
                }
                None => None,
            }
            .unwrap_or(uid)
        };
        match row {
            Ok(mut user) => {
                self.shows_somebody = true;
                user.uid = plain(user.uid);
                let name = user.uid.rsplit_once('$').map(|(_tenant, name)| name);
                if let Some(name) = name.filter(|name| self.is_wanted(name)) {
                    self.namesakes.entry(name.to_owned()).or_default().push(user.email.clone());
                }
                if self.is_wanted(&user.uid) {
                    self.users.entry(user.uid.clone()).or_default().push(user);
                } else if let Some(others) = &mut self.others {
                    others.insert(short(&user.uid));
                    if self.some_others.len() < SOME {
                        self.some_others.push(user.uid);
                    }
                }
            }
            Err(mut row) => {
                row.id = row.id.map(plain);
                // One without a name may be anybody.
                if row.id.as_deref().is_none_or(|id| self.is_wanted(id)) {
                    self.bad.push(row);
                }
            }
        }
    }

    fn is_wanted(&self, name: &str) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| wanted.contains(name))
    }

    /// A user. `Ok(None)` is proven absence.
    ///
    /// # Errors
    /// `Inconsistent` when two users have the name, or when an entry that could not be read may be the user;
    /// `InvalidRequest` for one that was not asked for.
    pub fn get(&self, uid: &Uid) -> Result<Option<&User>> {
        let unclear = |kind, text: &str| Error::new(kind, format!("{uid}: {text}")).with_operation("users.all");
        let name = name(uid)?;
        if !self.is_wanted(name) {
            return Err(unclear(ErrorKind::InvalidRequest, "not one of the users that were asked for"));
        }
        let unclear = |text: &str| unclear(ErrorKind::Inconsistent, text);
        match self.users.get(name).map(Vec::as_slice) {
            Some([user]) => Ok(Some(user)),
            Some(_) => Err(unclear("croit lists more than one user of that name")),
            None => match self.bad.iter().find(|row| row.id.as_deref().is_none_or(|id| id == name)) {
                Some(row) => {
                    Err(unclear("an entry of the list of users cannot be read").with_source(row.error.clone()))
                }
                None => Ok(None),
            },
        }
    }

    /// Whether the list is to show a user.
    pub(crate) fn is_about(&self, uid: &Uid) -> bool {
        name(uid).is_ok_and(|name| self.is_wanted(name))
    }

    /// Those in other tenants who have this name, by their e-mail addresses: in croit's paths they are the same.
    pub(crate) fn namesakes(&self, uid: &Uid) -> Option<&[Option<String>]> {
        self.namesakes.get(uid.name()).map(Vec::as_slice)
    }

    /// Whether anybody is listed: one who is looked for and not found is not missing for want of a list.
    pub(crate) fn shows_somebody(&self) -> bool {
        self.shows_somebody
    }

    /// Whether somebody has this name, as far as that can be told.
    pub(crate) fn has(&self, uid: &Uid) -> bool {
        let others = self.others.as_ref();
        let is_other = |name: &str| others.is_some_and(|others| others.contains(&short(name)));
        name(uid).is_ok_and(|name| self.users.contains_key(name) || is_other(name))
    }

    /// A few users that were not asked for, where the names of others matter.
    pub(crate) fn some_others(&self) -> impl Iterator<Item = &str> {
        self.some_others.iter().map(String::as_str)
    }

    /// The users that could be read, by name.
    pub fn iter(&self) -> impl Iterator<Item = &User> {
        self.users.values().flatten()
    }

    /// The entries that could not be read.
    pub fn bad(&self) -> &[BadRow] {
        &self.bad
    }
}

fn short(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// A user to be created.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewUser {
    #[serde(serialize_with = "as_text")]
    uid: Uid,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_placement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_storage_class: Option<String>,
}

fn as_text<S: serde::Serializer>(uid: &Uid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(uid.name())
}

impl NewUser {
    /// A user with croit's defaults.
    ///
    /// # Errors
    /// `Config` when the name for people is blank or has control characters.
    pub fn new(uid: Uid, display_name: impl Into<String>) -> Result<Self> {
        Ok(Self {
            uid,
            name: checked("display name", display_name)?,
            email: None,
            tenant: None,
            default_placement: None,
            default_storage_class: None,
        })
    }

    /// Gives it an e-mail address: unique over all users.
    ///
    /// # Errors
    /// `Config` when it is blank or has control characters.
    pub fn with_email(mut self, email: impl Into<String>) -> Result<Self> {
        self.email = Some(checked("e-mail address", email)?);
        Ok(self)
    }

    /// Puts it into a tenant of RadosGW's. croit's other calls name the user without it.
    ///
    /// # Errors
    /// `Config` when it is blank or has control characters.
    pub fn in_tenant(mut self, tenant: impl Into<String>) -> Result<Self> {
        self.tenant = Some(checked("tenant", tenant)?);
        Ok(self)
    }

    /// Puts its new buckets on a placement target.
    ///
    /// # Errors
    /// `Config` when it is blank or has control characters.
    pub fn with_placement(mut self, target: impl Into<String>) -> Result<Self> {
        self.default_placement = Some(checked("placement target", target)?);
        Ok(self)
    }

    /// Gives its new objects a storage class.
    ///
    /// # Errors
    /// `Config` when it is blank or has control characters.
    pub fn with_storage_class(mut self, class: impl Into<String>) -> Result<Self> {
        self.default_storage_class = Some(checked("storage class", class)?);
        Ok(self)
    }
}
