//! Users (croit-api.md §2).

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Serialize;
use waldur_sdk::{
    Error, ErrorKind, Result,
    rest::{BadRow, RestClient, Rows},
};

use super::{CroitClient, expect, model::User, name};
use crate::s3::{Tenant, Uid, checked};

/// Calls on users.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a>(pub(super) &'a CroitClient);

impl Users<'_> {
    /// All users. croit has no call for one of them, and no pages.
    ///
    /// # Errors
    /// `Decode` when the answer is no list: nothing is read into that.
    pub async fn all(&self) -> Result<UserList> {
        let call = self.0.call(Method::GET, "users.all", "/s3/users", &[]);
        let call = call.must_exist().max_body(RestClient::BULK_MAX_BODY).secret_answer();
        let (rows, _headers) = call.send_rows("uid").await?;
        Ok(UserList::of(rows, self.0.tenant.as_ref()))
    }

    /// Creates a user, with a key pair of croit's making. `None` when croit answers without saying what it made.
    ///
    /// Never repeated once it may have arrived: after an error whose [effect](Error::effect) is unknown, look for the
    /// user in [`Self::all`].
    ///
    /// # Errors
    /// `AlreadyExists` with the code [`USER_EXISTS`](super::error::USER_EXISTS) when the name or the e-mail address is
    /// taken.
    pub async fn create(&self, new: &NewUser) -> Result<Option<User>> {
        name(&new.uid)?;
        let call = self.0.call(Method::POST, "users.create", "/s3/users", &[]).json(new);
        let call = call.must_exist().secret_answer().not_idempotent();
        let uid = new.uid.clone();
        let create = async move {
            let answer = expect("users.create", call.send().await?, &[StatusCode::CREATED, StatusCode::NO_CONTENT])?;
            // The status says that it is done. What else is said is worth reading only where it can be read.
            let made = serde_json::from_slice::<User>(answer.body()).ok();
            Ok(made.filter(|made| made.uid == uid.name()))
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

/// All users as they were at one moment.
#[derive(Clone, Debug, Default)]
pub struct UserList {
    users: BTreeMap<String, Vec<User>>,
    bad: Vec<BadRow>,
}

impl UserList {
    /// Names of `tenant` lose it.
    fn of(rows: Rows<User>, tenant: Option<&Tenant>) -> Self {
        let plain = |uid: &str| match tenant {
            Some(tenant) => uid.strip_prefix(tenant.as_str())?.strip_prefix('$').map(str::to_owned),
            None => None,
        };
        let (mut users, mut bad): (BTreeMap<_, Vec<User>>, _) = (BTreeMap::new(), rows.bad);
        for mut user in rows.items {
            user.uid = plain(&user.uid).unwrap_or(user.uid);
            users.entry(user.uid.clone()).or_default().push(user);
        }
        for row in &mut bad {
            row.id = row.id.take().map(|id| plain(&id).unwrap_or(id));
        }
        Self { users, bad }
    }

    /// A user. `Ok(None)` is proven absence.
    ///
    /// # Errors
    /// `Inconsistent` when two users have the name, or when an entry that could not be read may be the user.
    pub fn get(&self, uid: &Uid) -> Result<Option<&User>> {
        let unclear =
            |text: &str| Error::new(ErrorKind::Inconsistent, format!("{uid}: {text}")).with_operation("users.all");
        match self.users.get(name(uid)?).map(Vec::as_slice) {
            Some([user]) => Ok(Some(user)),
            Some(_) => Err(unclear("croit lists more than one user of that name")),
            None => match self.bad.iter().find(|row| row.id.as_deref().is_none_or(|id| id == uid.name())) {
                Some(row) => {
                    Err(unclear("an entry of the list of users cannot be read").with_source(row.error.clone()))
                }
                None => Ok(None),
            },
        }
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
