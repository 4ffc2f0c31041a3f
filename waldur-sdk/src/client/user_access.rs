//! Access of users by name, in one call each: `create_remote_offering_user` and `set_offerings_username` of Waldur's
//! guide on offering users. Both may be repeated.

use std::{fmt, str::FromStr};

use http::Method;
use serde::Serialize;
use url::Url;

use super::{OfferingUser, OfferingUserQuery, OfferingUsers, ServiceProviders, answer::explain, fields, list};
use crate::{
    error::{Error, ErrorKind, Result},
    rest::BaseUrl,
    types::{OfferingUserUuid, OfferingUuid, ServiceProviderUuid, UserUuid},
};

/// An object of Waldur by its UUID, or by its address in the API as Waldur's answers spell it. Of an address only the
/// UUID is used, and only if it is one of the same Waldur and the right kind of object: see
/// [`OfferingUsers::create_remote_offering_user`].
///
/// ```
/// use waldur_sdk::{client::UuidOrUrl, types::{OfferingUuid, Uuid}};
///
/// let by_uuid: UuidOrUrl<OfferingUuid> = "d47ca5bce71144579df29da3c290027e".parse()?;
/// let text = "https://waldur.example.org/api/marketplace-provider-offerings/d47ca5bce71144579df29da3c290027e/";
/// let by_url: UuidOrUrl<OfferingUuid> = text.parse()?;
/// assert_ne!(by_uuid, by_url);
/// assert_eq!(by_uuid, OfferingUuid::new(Uuid::from_u128(0xd47ca5bce71144579df29da3c290027e)).into());
/// assert!("no such thing".parse::<UuidOrUrl<OfferingUuid>>().is_err());
/// # Ok::<(), waldur_sdk::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UuidOrUrl<Id>(Reference<Id>);

#[derive(Clone, PartialEq, Eq)]
enum Reference<Id> {
    Uuid(Id),
    Url(Url),
}

impl<Id> From<Id> for UuidOrUrl<Id> {
    fn from(id: Id) -> Self {
        Self(Reference::Uuid(id))
    }
}

impl<Id: FromStr<Err = Error>> FromStr for UuidOrUrl<Id> {
    type Err = Error;

    /// # Errors
    /// `InvalidRequest` for everything else. The text is not repeated: an address may hold a password.
    fn from_str(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self(Reference::Uuid(id)));
        }
        match Url::parse(text.trim()) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Self(Reference::Url(url))),
            _ => Err(Error::new(ErrorKind::InvalidRequest, "must be a UUID or an address in Waldur's API")),
        }
    }
}

impl<Id: fmt::Debug> fmt::Debug for UuidOrUrl<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reference::Uuid(id) => id.fmt(f),
            Reference::Url(_) => f.write_str("[address]"),
        }
    }
}

/// What says which object is meant: its id, the text of a UUID or of an address, or either of them once read
/// ([`UuidOrUrl`]).
///
/// Sealed: nothing else can say it.
pub trait ObjectReference<Id>: sealed::Sealed<Id> {}

impl<Id, T: sealed::Sealed<Id>> ObjectReference<Id> for T {}

mod sealed {
    use super::{Error, FromStr, OfferingUuid, Result, UserUuid, UuidOrUrl};

    pub trait Sealed<Id>: Send {
        /// # Errors
        /// As [`UuidOrUrl::from_str`].
        fn read(self) -> Result<UuidOrUrl<Id>>;
    }

    macro_rules! ids {
        ($($id:ty),+) => {$(
            impl Sealed<$id> for $id {
                fn read(self) -> Result<UuidOrUrl<$id>> {
                    Ok(self.into())
                }
            }
        )+};
    }

    ids!(OfferingUuid, UserUuid);

    impl<Id: Clone + Send + Sync> Sealed<Id> for &UuidOrUrl<Id> {
        fn read(self) -> Result<UuidOrUrl<Id>> {
            Ok(self.clone())
        }
    }

    impl<Id: FromStr<Err = Error>> Sealed<Id> for &str {
        fn read(self) -> Result<UuidOrUrl<Id>> {
            self.parse()
        }
    }

    impl<Id: FromStr<Err = Error>> Sealed<Id> for &String {
        fn read(self) -> Result<UuidOrUrl<Id>> {
            self.parse()
        }
    }
}

impl<Id: FromStr<Err = Error> + Copy> UuidOrUrl<Id> {
    /// The id, of an object of one of `kinds` in the Waldur at `base`.
    fn resolve(&self, base: &BaseUrl, what: &str, kinds: &[&str]) -> Result<Id> {
        let url = match &self.0 {
            Reference::Uuid(id) => return Ok(*id),
            Reference::Url(url) => url,
        };
        let refuse = |why: &str| Err(Error::new(ErrorKind::InvalidRequest, format!("{what}: {why}")));
        let (root, same_host) = (base.as_url(), url.host() == base.as_url().host());
        // A Waldur behind a proxy may spell its own addresses with another scheme.
        if !same_host || (url.scheme() == root.scheme() && url.port() != root.port()) {
            return refuse("the address is not one of this Waldur");
        }
        let path = url.path().strip_prefix(root.path()).and_then(|path| path.strip_prefix("api/"));
        let mut segments = path.unwrap_or_default().trim_end_matches('/').split('/');
        let id = match (segments.next(), segments.next(), segments.next()) {
            (Some(kind), Some(id), None) if kinds.contains(&kind) => id.parse().ok(),
            _ => None,
        };
        match id {
            Some(id) => Ok(id),
            None => refuse("the address is not one of such an object"),
        }
    }
}

const OFFERINGS: [&str; 3] =
    ["marketplace-provider-offerings", "marketplace-public-offerings", "marketplace-offerings"];

impl OfferingUsers<'_> {
    /// Gives a user access to an offering under a user name, or corrects the name of one who has access (usernames.md
    /// §1): the list is read first. A user who is on it gets the name by `PATCH`, another one is added by `POST`. If
    /// somebody else adds the user meanwhile, that account is used. Nothing is written if the name is right already.
    ///
    /// `offering` and `user` are UUIDs or addresses, as ids or as text.
    ///
    /// ```no_run
    /// # async fn example(client: waldur_sdk::client::WaldurClient) -> waldur_sdk::Result<()> {
    /// let result = client
    ///     .offering_users()
    ///     .create_remote_offering_user(
    ///         "http://localhost:8000/api/marketplace-provider-offerings/d47ca5bce71144579df29da3c290027e/",
    ///         "db157a5cf7f247eba161cd90eba9ac63",
    ///         "abc",
    ///     )
    ///     .await?;
    /// assert_eq!(result.username.as_ref().map(|name| name.as_str()), Some("abc"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `InvalidRequest` for a blank name, and for the address of something else or of another host, before anything is
    /// sent; and when the offering lets nobody add users. `PermissionDenied` when this account may not.
    pub async fn create_remote_offering_user(
        self,
        offering: impl ObjectReference<OfferingUuid>,
        user: impl ObjectReference<UserUuid>,
        username: &str,
    ) -> Result<OfferingUser> {
        const OPERATION: &str = "offering_users.create_remote_offering_user";
        let base = self.rest.base();
        let named = |error: Error| error.with_operation(OPERATION);
        let offering = which(offering, base, "offering", &OFFERINGS).map_err(named)?;
        let user = which(user, base, "user", &["users"]).map_err(named)?;
        let username = not_blank(username).map_err(named)?;
        if let Some(known) = self.of(offering, user).await? {
            return self.named(known, username).await;
        }
        match self.add(offering, user, username).await {
            Err(error) if is_there_already(&error) => match self.of(offering, user).await? {
                Some(known) => self.named(known, username).await,
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    /// The account of a user at an offering.
    async fn of(self, offering: OfferingUuid, user: UserUuid) -> Result<Option<OfferingUser>> {
        let query = OfferingUserQuery::offering(offering).user(user);
        let rows = self.list(&query).all().await?;
        // A filter that the server does not know is ignored, so what came is looked at.
        let is_it = |row: &OfferingUser| {
            row.offering_uuid.is_none_or(|uuid| uuid == offering) && row.user_uuid.is_none_or(|uuid| uuid == user)
        };
        list::only(rows.into_iter().filter(is_it), || format!("two accounts of {user} at {offering}"))
    }

    async fn named(self, row: OfferingUser, username: &str) -> Result<OfferingUser> {
        if row.username.as_ref().is_some_and(|name| name.as_str() == username) {
            return Ok(row);
        }
        self.rename(row.uuid, username).await
    }

    async fn rename(self, row: OfferingUserUuid, username: &str) -> Result<OfferingUser> {
        #[derive(Serialize)]
        struct Name<'a> {
            username: &'a str,
        }
        const PATH: &str = "/api/marketplace-offering-users/{account}/";
        let call = self.rest.call(Method::PATCH, "offering_users.rename", PATH, &[&row.hex()]);
        // Refusals may repeat the name.
        let call = call.secret(&username.into()).secret_answer();
        call.json(&Name { username }).idempotent().send_json().await.map_err(explain)
    }

    /// Repeated after a passing failure: the second of two is refused, and the first one found.
    async fn add(self, offering: OfferingUuid, user: UserUuid, username: &str) -> Result<OfferingUser> {
        #[derive(Serialize)]
        struct New<'a> {
            offering: String,
            user: String,
            username: &'a str,
        }
        let root = self.rest.base().as_url();
        // Older servers take addresses only (recorded: 223_offering_user_create_uuid_keys).
        let new = New {
            offering: format!("{root}api/marketplace-provider-offerings/{offering}/"),
            user: format!("{root}api/users/{user}/"),
            username,
        };
        let call = self.rest.post("offering_users.create", "/api/marketplace-offering-users/", &[]);
        let call = call.secret(&username.into()).secret_answer();
        call.json(&new).idempotent().send_json().await.map_err(explain)
    }
}

/// Whether the refusal may mean that somebody else was faster, in all the ways in which servers say so.
fn is_there_already(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidRequest | ErrorKind::Conflict | ErrorKind::AlreadyExists)
}

/// What [`ServiceProviders::set_offerings_username`] came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UsernameSpread {
    /// The accounts that have the name now. Empty when the user has no project with a resource of the provider, which
    /// the server calls a success, too.
    pub set: Vec<OfferingUser>,
    /// The accounts of the user at the provider that have another name or none.
    pub others: Vec<OfferingUser>,
}

impl ServiceProviders<'_> {
    /// Gives a user one name at all offerings of the provider that have a resource in a project of the user, and
    /// accounts where there are none (usernames.md §1). The server says the same whether that was one account or none,
    /// so the accounts are read afterwards.
    ///
    /// ```no_run
    /// # async fn example(client: waldur_sdk::client::WaldurClient) -> waldur_sdk::Result<()> {
    /// # let service_provider_uuid = "0123456789abcdef0123456789abcdef".parse()?;
    /// # let user_uuid = "db157a5cf7f247eba161cd90eba9ac63".parse()?;
    /// let result = client.service_providers().set_offerings_username(service_provider_uuid, user_uuid, "abc").await?;
    /// println!("{} accounts are called so", result.set.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `NotFound` when there is no such user, for which the server's word is 400 (recorded: 261_sp_set_username_unknown).
    /// `InvalidRequest` for a blank name, before anything is sent: new servers ignore it. `PermissionDenied` when this
    /// account may not.
    pub async fn set_offerings_username(
        self,
        provider: ServiceProviderUuid,
        user: UserUuid,
        username: &str,
    ) -> Result<UsernameSpread> {
        #[derive(Serialize)]
        struct Name<'a> {
            user_uuid: UserUuid,
            username: &'a str,
        }
        const OPERATION: &str = "service_providers.set_offerings_username";
        const PATH: &str = "/api/marketplace-service-providers/{service_provider}/set_offerings_username/";
        let username = not_blank(username).map_err(|error| error.with_operation(OPERATION))?;
        let call = self.rest.post(OPERATION, PATH, &[&provider.hex()]).secret(&username.into());
        let call = call.json(&Name { user_uuid: user, username });
        call.idempotent().send_unit().await.map_err(explain).map_err(unknown_user)?;
        let mut spread = UsernameSpread::default();
        for row in self.accounts(provider, user).await? {
            let is_set = row.username.as_ref().is_some_and(|name| name.as_str() == username);
            if is_set { spread.set.push(row) } else { spread.others.push(row) }
        }
        Ok(spread)
    }

    async fn accounts(self, provider: ServiceProviderUuid, user: UserUuid) -> Result<Vec<OfferingUser>> {
        let call = self.rest.get("offering_users.list", "/api/marketplace-offering-users/", &[]);
        let call = call.query("provider_uuid", provider).query("user_uuid", user).query("o", "created");
        let pager = list::bulk(fields::select::<OfferingUser>(call), explain, |row: &OfferingUser| row.uuid.hex());
        let rows = pager.all().await?;
        Ok(rows.into_iter().filter(|row| row.user_uuid.is_none_or(|uuid| uuid == user)).collect())
    }
}

/// The id, of an object of one of `kinds` in the Waldur at `base`.
fn which<Id>(object: impl ObjectReference<Id>, base: &BaseUrl, what: &str, kinds: &[&str]) -> Result<Id>
where
    Id: FromStr<Err = Error> + Copy,
{
    let object = object.read().map_err(|error| {
        let message = format!("{what}: {}", error.message());
        error.with_message(message)
    })?;
    object.resolve(base, what, kinds)
}

fn not_blank(username: &str) -> Result<&str> {
    match username.trim() {
        "" => Err(Error::new(ErrorKind::InvalidRequest, "username: must not be blank")),
        username => Ok(username),
    }
}

fn unknown_user(error: Error) -> Error {
    let says_so = error.http().and_then(|http| http.body.as_deref()).is_some_and(|body| body.contains("is not found"));
    if error.kind() == ErrorKind::InvalidRequest && says_so { error.with_kind(ErrorKind::NotFound) } else { error }
}
