//! Username back ends that ask no other system.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    BuildEnv, OpContext,
    usernames::{UsernameBackend, UsernameOutcome, UsernameRequest},
};
use crate::{
    error::{Error, ErrorKind, Result},
    naming::{self, Comparison, NameForm, OfferingUsername, Person, PosixLogin},
    settings::Warning,
    types::{OfferingUserUuid, Personal, UserUuid},
};

/// Names nobody (`base`): the names are given by other means.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUsernames;

#[async_trait]
impl UsernameBackend for NoUsernames {
    fn name(&self) -> &'static str {
        "base"
    }

    async fn username(&self, _cx: &OpContext, _request: &UsernameRequest) -> Result<UsernameOutcome> {
        Ok(UsernameOutcome::Absent)
    }

    async fn preview(&self, cx: &OpContext, request: &UsernameRequest) -> Result<Option<UsernameOutcome>> {
        self.username(cx, request).await.map(Some)
    }
}

/// Makes a name that nobody at the offering has, and remembers it until Waldur shows it. So two people of the same name
/// who ask at once get different names, and a person who asks again gets the same one.
#[derive(Debug)]
pub struct GeneratedUsernames {
    word: &'static str,
    kind: Kind,
    form: NameForm,
    given: Mutex<BTreeMap<OfferingUserUuid, Personal>>,
}

#[derive(Clone, Debug)]
enum Kind {
    FullName,
    Anonymized { prefix: String },
}

impl GeneratedUsernames {
    /// By first and last name ([`naming::full_name`]): `full_name`, `full_name_compat`.
    pub fn full_name(form: NameForm) -> Self {
        let word = match form {
            NameForm::Recommended => "full_name",
            NameForm::Compat => "full_name_compat",
        };
        Self { word, kind: Kind::FullName, form, given: Mutex::default() }
    }

    /// By prefix and number ([`naming::anonymized`]): `anonymized`, `anonymized_compat`.
    pub fn anonymized(prefix: impl Into<String>, form: NameForm) -> Self {
        let word = match form {
            NameForm::Recommended => "anonymized",
            NameForm::Compat => "anonymized_compat",
        };
        Self { word, kind: Kind::Anonymized { prefix: prefix.into() }, form, given: Mutex::default() }
    }

    fn given(&self) -> MutexGuard<'_, BTreeMap<OfferingUserUuid, Personal>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, request: &UsernameRequest, given: &BTreeMap<OfferingUserUuid, Personal>) -> OfferingUsername {
        let others = given.iter().filter(|(account, _)| **account != request.account).map(|(_, name)| name);
        let taken = request.taken.iter().chain(others).map(Personal::as_str);
        match &self.kind {
            Kind::FullName => naming::full_name(&person(request), self.form, taken),
            Kind::Anonymized { prefix } => naming::anonymized(Some(prefix), self.form, taken),
        }
    }
}

/// The parts of a name, or the whole where the offering is told no parts.
fn person(request: &UsernameRequest) -> Person<'_> {
    let uuid = request.user.map_or(request.account.uuid(), UserUuid::uuid);
    match (&request.first_name, &request.last_name, &request.full_name) {
        (None, None, Some(full)) => {
            let (first, last) = full.as_str().trim().rsplit_once(' ').unwrap_or(("", full.as_str()));
            Person::named(uuid, first, last)
        }
        (first, last, _) => Person::named(uuid, shown(first.as_ref()), shown(last.as_ref())),
    }
}

fn shown(name: Option<&Personal>) -> &str {
    name.map_or("", Personal::as_str)
}

#[async_trait]
impl UsernameBackend for GeneratedUsernames {
    fn name(&self) -> &'static str {
        self.word
    }

    async fn username(&self, _cx: &OpContext, request: &UsernameRequest) -> Result<UsernameOutcome> {
        let mut given = self.given();
        if let Some(name) = &request.username {
            given.remove(&request.account);
            return Ok(UsernameOutcome::Ready(name.clone()));
        }
        if let Some(name) = given.get(&request.account)
            && !is_taken(name.as_str(), request)
        {
            return Ok(UsernameOutcome::Ready(name.clone()));
        }
        let name = Personal::from(self.make(request, &given));
        given.insert(request.account, name.clone());
        Ok(UsernameOutcome::Ready(name))
    }

    /// What is remembered here dies with the process, and nobody else sees it.
    async fn preview(&self, cx: &OpContext, request: &UsernameRequest) -> Result<Option<UsernameOutcome>> {
        self.username(cx, request).await.map(Some)
    }

    async fn sync_profiles(&self, _cx: &OpContext, accounts: &[UsernameRequest]) -> Result<()> {
        let named = accounts.iter().filter(|account| account.username.is_some()).map(|account| account.account);
        let mut given = self.given();
        for account in named {
            given.remove(&account);
        }
        Ok(())
    }

    async fn deactivate(&self, _cx: &OpContext, usernames: &[String]) -> Result<()> {
        let gone: BTreeSet<&str> = usernames.iter().map(String::as_str).collect();
        self.given().retain(|_, name| !gone.contains(name.as_str()));
        Ok(())
    }
}

fn is_taken(name: &str, request: &UsernameRequest) -> bool {
    request.taken.iter().any(|taken| Comparison::IgnoreCase.is_same(taken.as_str(), name))
}

/// Gives everybody the user name that they have in Waldur (`waldur_username`).
#[derive(Clone, Copy, Debug, Default)]
pub struct WaldurUsernames;

#[async_trait]
impl UsernameBackend for WaldurUsernames {
    fn name(&self) -> &'static str {
        "waldur_username"
    }

    /// # Errors
    /// `AlreadyExists` when another account has the name, or one that differs only by case or by Unicode's normal form:
    /// systems behind it may take the two for one person. `Rejected` for the name of a system's own account: nobody
    /// should get in as one because of a name in Waldur.
    async fn username(&self, _cx: &OpContext, request: &UsernameRequest) -> Result<UsernameOutcome> {
        if let Some(name) = &request.username {
            return Ok(UsernameOutcome::Ready(name.clone()));
        }
        match naming::waldur_username(shown(request.identity.as_ref())) {
            None => Ok(UsernameOutcome::Absent),
            Some(name) if PosixLogin::is_of_the_system(name.as_str()) => {
                Err(Error::rejected("The user name is that of a system account and cannot be given to a person."))
            }
            Some(name) if is_taken(name.as_str(), request) => {
                let text = "the user name in Waldur is that of another account, or differs from it by case alone";
                Err(Error::new(ErrorKind::AlreadyExists, text))
            }
            Some(name) => Ok(UsernameOutcome::Ready(name.into())),
        }
    }

    async fn preview(&self, cx: &OpContext, request: &UsernameRequest) -> Result<Option<UsernameOutcome>> {
        self.username(cx, request).await.map(Some)
    }
}

/// With the prefix that the offering has in Waldur.
fn anonymized(environment: &BuildEnv, form: NameForm) -> GeneratedUsernames {
    let prefix = environment.facts.anonymized_prefix.as_deref().unwrap_or(naming::ANONYMIZED_PREFIX);
    GeneratedUsernames::anonymized(prefix, form)
}

type Factory = Arc<dyn Fn(&BuildEnv) -> Result<Arc<dyn UsernameBackend>> + Send + Sync>;

/// Makes the username back end that `username_management_backend` names.
///
/// ```
/// use waldur_sdk::backend::UsernameRegistry;
/// let registry = UsernameRegistry::default();
/// let words = ["anonymized", "anonymized_compat", "base", "full_name", "full_name_compat", "waldur_username"];
/// assert_eq!(registry.words().collect::<Vec<_>>(), words);
/// ```
#[derive(Clone)]
pub struct UsernameRegistry(BTreeMap<&'static str, Factory>);

/// Those that the SDK brings.
impl Default for UsernameRegistry {
    fn default() -> Self {
        use NameForm::{Compat, Recommended};
        Self(BTreeMap::new())
            .with("base", |_| Ok(Arc::new(NoUsernames)))
            .with("full_name", |_| Ok(Arc::new(GeneratedUsernames::full_name(Recommended))))
            .with("full_name_compat", |_| Ok(Arc::new(GeneratedUsernames::full_name(Compat))))
            .with("anonymized", |environment| Ok(Arc::new(anonymized(environment, Recommended))))
            .with("anonymized_compat", |environment| Ok(Arc::new(anonymized(environment, Compat))))
            .with("waldur_username", |_| Ok(Arc::new(WaldurUsernames)))
    }
}

impl UsernameRegistry {
    /// Adds one under a word in lower case; a word that is known already is replaced.
    #[must_use]
    pub fn with(
        mut self,
        word: &'static str,
        factory: impl Fn(&BuildEnv) -> Result<Arc<dyn UsernameBackend>> + Send + Sync + 'static,
    ) -> Self {
        self.0.insert(word, Arc::new(factory));
        self
    }

    /// The words that it knows.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }

    /// Makes the one that the settings name. For an unknown word it warns, and makes one that names nobody (core.md
    /// §6.3).
    ///
    /// # Errors
    /// What the factory finds wrong in the settings.
    pub fn build(&self, word: &str, environment: &BuildEnv) -> Result<(Arc<dyn UsernameBackend>, Vec<Warning>)> {
        if let Some(factory) = self.0.get(word.trim().to_lowercase().as_str()) {
            return Ok((factory(environment)?, Vec::new()));
        }
        let known = self.words().collect::<Vec<_>>().join(", ");
        let warning = Warning::new("username_management_backend", format!("is not one of {known}: nobody gets a name"));
        Ok((Arc::new(NoUsernames), vec![warning]))
    }
}

impl fmt::Debug for UsernameRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
