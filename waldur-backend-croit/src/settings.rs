//! `backend_settings` of an S3 offering (s3.md §1).

use std::time::Duration;

use waldur_sdk::{
    rest::{BaseUrl, PlainHttp},
    settings::{Read, Section},
};

use crate::{
    croit::Login,
    names::{Naming, SeedNaming},
    s3::{MAX_NAME, S3Key, Tenant, check_name, has_name_characters},
};

/// Settings of an offering.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Settings {
    /// `flavour`, and what only that flavour has. Default `croit`.
    pub flavour: Flavour,
    /// `s3_endpoint`: where tenants reach the storage; RadosGW's admin API is below it. Required for the flavour
    /// `radosgw`; for `croit` the default is `api_url` without its `/api`, with a warning. Plain `http` is warned of.
    pub endpoint: BaseUrl,
    /// `s3_region`: what is published as the region. Default `default`.
    pub region: String,
    /// `naming`, and what goes with it. Default `seed`, by `user_prefix` (default `waldur_`), `slug_separator` (default `_`)
    /// and `max_username_length` (default 64 bytes); see [`SeedNaming::new`].
    pub naming: Naming,
    /// `user_prefix` and `allocation_prefix`: what a user is called by that was made for Waldur before there were stamps.
    /// The Python plugin named by the second, whatever its settings said of the first. An empty one says nothing.
    pub prefixes: [String; 2],
    /// `default_placement`: where new users' buckets go. Default the storage's own.
    pub placement: Option<String>,
    /// `credentials_mode`: how customers get their keys. Default `metadata`, which is warned of; with a file for the Python
    /// plugin `ceph_s3` it has to be `api_keys`, as that gave customers theirs.
    pub credentials: CredentialsMode,
    /// `delete_mode`: default `refuse_if_buckets`.
    pub delete_mode: DeleteMode,
    /// `suspend_on_pause`: whether a paused resource's user is suspended, which closes reading too. Default false. Only
    /// the flavour `radosgw` can.
    pub suspend_on_pause: bool,
    /// `timeout`: the time limit of a call, 1 to 3600 s. Default 30 s. Deletion with data has its own.
    pub timeout: Duration,
    /// `verify_ssl`: whether the server's certificate is verified. Default true.
    pub verify_ssl: bool,
}

/// How the storage is managed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Flavour {
    /// By RadosGW's Admin Ops API.
    RadosGw(RadosGwSettings),
    /// By croit's management API.
    Croit(CroitSettings),
}

/// Settings of the flavour `radosgw` alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RadosGwSettings {
    /// `admin_access_key` and `admin_secret_key`: a user with the capabilities `users=*;buckets=read`. Required.
    pub admin: S3Key,
    /// `admin_path`: the path of the admin API. Default `admin`.
    pub admin_path: String,
}

impl RadosGwSettings {
    /// An administrator's key, and the default of the rest.
    pub fn new(admin: S3Key) -> Self {
        Self { admin, admin_path: ADMIN_PATH.to_owned() }
    }

    /// Replaces [`Self::admin_path`].
    #[must_use]
    pub fn with_admin_path(mut self, path: impl Into<String>) -> Self {
        self.admin_path = path.into();
        self
    }
}

/// Settings of the flavour `croit` alone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CroitSettings {
    /// `api_url`: the address of croit; its API is at `/api`, written or not. Required.
    pub api_url: BaseUrl,
    /// `token`, or `username` and `password`: one of them.
    pub login: Login,
    /// `default_tenant`: the tenant of RadosGW's that new users are put into. Default none.
    pub tenant: Option<Tenant>,
    /// `default_storage_class`: the storage class of new users' objects. Default the storage's own.
    pub storage_class: Option<String>,
    /// `usage_model`, if it is given.
    pub usage_model: Option<UsageModel>,
}

impl CroitSettings {
    /// Where croit is and a login, and the defaults of the rest.
    pub fn new(api_url: BaseUrl, login: Login) -> Self {
        Self { api_url, login, tenant: None, storage_class: None, usage_model: None }
    }

    /// Replaces [`Self::tenant`].
    #[must_use]
    pub fn with_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// Replaces [`Self::storage_class`].
    #[must_use]
    pub fn with_storage_class(mut self, class: impl Into<String>) -> Self {
        self.storage_class = Some(class.into());
        self
    }

    /// Replaces [`Self::usage_model`].
    #[must_use]
    pub fn with_usage_model(mut self, model: UsageModel) -> Self {
        self.usage_model = Some(model);
        self
    }
}

/// `usage_model`: what is reported as usage (s3.md §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UsageModel {
    /// `current`: what is stored now.
    Current,
    /// `gb_days`: what was stored over the month, times how long.
    GbDays,
}

const REGION: &str = "default";
const SLUGS_PREFIX: &str = "waldur-";
const ADMIN_PATH: &str = "admin";
const TIMEOUT: u64 = 30;

impl S3Settings {
    /// Settings for RadosGW: where tenants reach the gateway, the key of an administrator, and all defaults.
    ///
    /// ```
    /// use waldur_backend_croit::{S3Backend, S3Settings, s3::S3Key, settings::CredentialsMode};
    /// use waldur_sdk::{
    ///     rest::{Http, HttpOptions},
    ///     settings::{AccountingType, Component, Components},
    ///     types::UnitFactor,
    /// };
    ///
    /// let settings = S3Settings::radosgw("https://s3.example.org".parse()?, S3Key::new("ADMIN", "…"))
    ///     .with_credentials(CredentialsMode::ApiKeys);
    /// let mut storage = Component::new("storage", AccountingType::Limit);
    /// storage.unit_factor = UnitFactor::new((1_u64 << 30).into())?;
    /// let components: Components = [storage].into_iter().collect();
    /// let http = Http::connect(&HttpOptions::default())?;
    /// let backend = S3Backend::new(http, settings, &components)?;
    /// # drop(backend); Ok::<(), waldur_sdk::Error>(())
    /// ```
    pub fn radosgw(endpoint: BaseUrl, admin: S3Key) -> Self {
        Self::new(Flavour::RadosGw(RadosGwSettings::new(admin)), endpoint)
    }

    /// Settings for croit: its address, a login, and all defaults. Tenants are told [another
    /// address](Self::with_endpoint), if croit does not serve S3 there itself.
    ///
    /// ```
    /// use waldur_backend_croit::{S3Settings, croit::Login};
    ///
    /// let settings = S3Settings::croit("https://croit.example.org".parse()?, Login::token("…"))
    ///     .with_endpoint("https://s3.example.org".parse()?);
    /// # drop(settings); Ok::<(), waldur_sdk::Error>(())
    /// ```
    pub fn croit(api_url: BaseUrl, login: Login) -> Self {
        let endpoint = api_url.clone().without_trailing_segment("api");
        Self::new(Flavour::Croit(CroitSettings::new(api_url, login)), endpoint)
    }

    /// Settings for a flavour with settings of its own, which is reached by tenants at `endpoint`.
    pub fn new(flavour: Flavour, endpoint: BaseUrl) -> Self {
        let naming = SeedNaming::default();
        Self {
            flavour,
            endpoint,
            region: REGION.to_owned(),
            prefixes: [naming.prefix().to_owned(), SLUGS_PREFIX.to_owned()],
            naming: Naming::Seed(naming),
            placement: None,
            credentials: CredentialsMode::Metadata,
            delete_mode: DeleteMode::RefuseIfBuckets,
            suspend_on_pause: false,
            timeout: Duration::from_secs(TIMEOUT),
            verify_ssl: true,
        }
    }

    /// Replaces [`Self::endpoint`].
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: BaseUrl) -> Self {
        self.endpoint = endpoint;
        self
    }

    /// Replaces [`Self::region`].
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Replaces [`Self::naming`], and of [`Self::prefixes`] the one that goes with it.
    #[must_use]
    pub fn with_naming(mut self, naming: Naming) -> Self {
        let ([users, slugs], own) = (self.prefixes, naming.prefix().to_owned());
        self.prefixes = if matches!(naming, Naming::Seed(_)) { [own, slugs] } else { [users, own] };
        self.naming = naming;
        self
    }

    /// Replaces [`Self::placement`].
    #[must_use]
    pub fn with_placement(mut self, placement: impl Into<String>) -> Self {
        self.placement = Some(placement.into());
        self
    }

    /// Replaces [`Self::credentials`].
    #[must_use]
    pub fn with_credentials(mut self, mode: CredentialsMode) -> Self {
        self.credentials = mode;
        self
    }

    /// Replaces [`Self::delete_mode`].
    #[must_use]
    pub fn with_delete_mode(mut self, mode: DeleteMode) -> Self {
        self.delete_mode = mode;
        self
    }

    /// Turns [`Self::suspend_on_pause`] on.
    #[must_use]
    pub fn with_suspension(mut self) -> Self {
        self.suspend_on_pause = true;
        self
    }

    /// Replaces [`Self::timeout`].
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What is reported as usage. Default `current`.
    pub fn usage_model(&self) -> UsageModel {
        match &self.flavour {
            Flavour::RadosGw(_) => UsageModel::Current,
            Flavour::Croit(croit) => croit.usage_model.unwrap_or(UsageModel::Current),
        }
    }

    /// The tenant that new users are put into.
    pub fn tenant(&self) -> Option<&Tenant> {
        match &self.flavour {
            Flavour::RadosGw(_) => None,
            Flavour::Croit(croit) => croit.tenant.as_ref(),
        }
    }
}

/// `credentials_mode`: how customers get their keys (s3.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialsMode {
    /// `metadata`: a key pair stands in the resource's metadata, where everybody reads it who reads the resource.
    Metadata,
    /// `api_keys`: as Waldur's API keys of the resource, and nowhere else.
    ApiKeys,
    /// `both`.
    Both,
}

impl CredentialsMode {
    /// Whether a key pair is published in the metadata.
    pub fn publishes(self) -> bool {
        matches!(self, Self::Metadata | Self::Both)
    }

    /// Whether API keys are issued.
    pub fn issues(self) -> bool {
        matches!(self, Self::ApiKeys | Self::Both)
    }
}

/// `delete_mode`: what happens to a user that still owns buckets (s3.md §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeleteMode {
    /// `refuse_if_buckets`: the order fails, and says how many there are.
    RefuseIfBuckets,
    /// `purge`: they are deleted with **all their data**, if the user carries the resource's stamp.
    Purge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlavourName {
    Croit,
    RadosGw,
}

/// Keys that mean something to the other flavour only.
const CROIT_ONLY: [&str; 6] = ["api_url", "token", "username", "password", "default_tenant", "default_storage_class"];
const RADOSGW_ONLY: [&str; 3] = ["admin_access_key", "admin_secret_key", "admin_path"];

impl S3Settings {
    /// Reads the settings; for [`BackendSettings::read`](waldur_sdk::settings::BackendSettings::read).
    ///
    /// # Errors
    /// When a key is missing or wrong, and when keys of both flavours are mixed. All problems are recorded.
    pub fn read(mut section: Section<'_>) -> Read<Self> {
        const FLAVOURS: [(&str, FlavourName); 2] = [("croit", FlavourName::Croit), ("radosgw", FlavourName::RadosGw)];
        let flavour = section.key("flavour").one_of(&FLAVOURS).or(FlavourName::Croit);
        let own = match flavour {
            FlavourName::Croit => croit(&mut section),
            FlavourName::RadosGw => radosgw(&mut section),
        };
        let region = section.key("s3_region").blank_is_missing().text().or(REGION.to_owned());
        let naming = naming(&mut section);
        let placement = section.key("default_placement").blank_is_missing().text().optional();
        let credentials = credentials_mode(&mut section);
        let delete_mode = delete_mode(&mut section);
        let suspend_on_pause = suspend_on_pause(&mut section, flavour);
        let timeout = section.key("timeout").integer(1..=3600_u64).or(TIMEOUT);
        let unverified = "the server's certificate is not verified: anybody on the way can take the keys";
        let verify_ssl = section.verify_ssl(unverified);
        section.finish()?;
        let ((flavour, endpoint), (naming, prefixes)) = (own?, naming?);
        Ok(Self {
            region,
            naming,
            prefixes,
            placement,
            credentials,
            delete_mode,
            suspend_on_pause,
            timeout: Duration::from_secs(timeout),
            verify_ssl,
            ..Self::new(flavour, endpoint)
        })
    }
}

/// What the flavour `radosgw` has for itself, and the tenants' address.
fn radosgw(section: &mut Section<'_>) -> Read<(Flavour, BaseUrl)> {
    refuse(section, &CROIT_ONLY, "belongs to the flavour croit, not to radosgw");
    let endpoint = section.key("s3_endpoint").base_url(PlainHttp::Allowed).required();
    let access_key = section.key("admin_access_key").blank_is_missing().text().required();
    let secret_key = section.key("admin_secret_key").blank_is_missing().secret().required();
    let admin_path = section.key("admin_path").text().check(PATH_RULE, |path| is_path(path)).or(ADMIN_PATH.to_owned());
    // RadosGW keeps no history, so GB-days cannot be told afterwards.
    if section.key("usage_model").one_of(&USAGE_MODELS).or(UsageModel::Current) == UsageModel::GbDays {
        section.refuse("usage_model", "gb_days needs the flavour croit");
    }
    let own = RadosGwSettings::new(S3Key::new(access_key?, secret_key?)).with_admin_path(admin_path);
    Ok((Flavour::RadosGw(own), endpoint?))
}

/// What the flavour `croit` has for itself, and the tenants' address.
fn croit(section: &mut Section<'_>) -> Read<(Flavour, BaseUrl)> {
    refuse(section, &RADOSGW_ONLY, "belongs to the flavour radosgw, not to croit");
    let api_url = section.key("api_url").base_url(PlainHttp::Allowed).required();
    let endpoint = section.key("s3_endpoint").blank_is_missing().base_url(PlainHttp::Allowed).given();
    let login = login(section);
    let tenant = section.key("default_tenant").blank_is_missing().text();
    let tenant = tenant.try_map(|text| Tenant::new(text).map_err(|_| "may only contain letters, digits and _")).given();
    let storage_class = section.key("default_storage_class").blank_is_missing().text().optional();
    let usage_model = section.key("usage_model").one_of(&USAGE_MODELS).given();
    let (api_url, endpoint) = (api_url?, endpoint?);
    let endpoint = endpoint.unwrap_or_else(|| {
        section.warn("s3_endpoint", "is not set: customers are given api_url, where croit may not serve S3 at all");
        api_url.clone().without_trailing_segment("api")
    });
    let own = CroitSettings { api_url, login: login?, tenant: tenant?, storage_class, usage_model: usage_model? };
    Ok((Flavour::Croit(own), endpoint))
}

/// Either a token, or a user and a password.
fn login(section: &mut Section<'_>) -> Read<Login> {
    const RULE: &str = "give either token, or username and password";
    let token = section.key("token").blank_is_missing().secret().given();
    let user = section.key("username").blank_is_missing().text().given();
    let password = section.key("password").blank_is_missing().secret().given();
    match (token?, user?, password?) {
        (Some(token), None, None) => Ok(Login::token(token)),
        (None, Some(user), Some(password)) => Ok(Login::password(user, password)),
        (Some(_), user, password) => {
            let mut outcome = section.refuse("token", RULE);
            for (key, is_given) in [("username", user.is_some()), ("password", password.is_some())] {
                if is_given {
                    outcome = section.refuse(key, RULE);
                }
            }
            Err(outcome)
        }
        (None, None, Some(_)) => Err(section.refuse("username", RULE)),
        (None, Some(_), None) => Err(section.refuse("password", RULE)),
        (None, None, None) => Err(section.refuse("token", RULE)),
    }
}

const USAGE_MODELS: [(&str, UsageModel); 2] = [("current", UsageModel::Current), ("gb_days", UsageModel::GbDays)];

/// Records a problem for each of `keys` that is written and not blank.
fn refuse(section: &mut Section<'_>, keys: &[&'static str], rule: &'static str) {
    for key in keys {
        // A blank one is what the seed's examples write for "none".
        let blank = matches!(section.key(key).blank_is_missing().text().given(), Ok(None));
        if !blank {
            section.refuse(key, rule);
        }
    }
}

const PATH_RULE: &str = "must be path segments of letters, digits and . _ -";

fn is_path(path: &str) -> bool {
    path.trim_matches('/').split('/').all(|segment| check_name("admin_path", segment).is_ok())
}

const PART_RULE: &str = "may only contain letters, digits and . _ -";

/// How new users are named, and how users may have been named before.
fn naming(section: &mut Section<'_>) -> Read<(Naming, [String; 2])> {
    const NAMINGS: [(&str, bool); 2] = [("seed", true), ("processor", false)];
    let part = |text: &String| has_name_characters(text);
    let seed = section.key("naming").one_of(&NAMINGS).or(true);
    let prefix = section.key("user_prefix").text().check(PART_RULE, part).or(SeedNaming::PREFIX.to_owned());
    let separator = section.key("slug_separator").text().check(PART_RULE, part).or(SeedNaming::SEPARATOR.to_owned());
    let max = section.key("max_username_length").integer(1..=MAX_NAME).or(SeedNaming::MAX);
    let slugs = section.key("allocation_prefix").blank_is_missing().text().check(PART_RULE, part);
    let slugs = slugs.or(SLUGS_PREFIX.to_owned());
    let prefixes = [prefix.clone(), slugs.clone()];
    if !seed {
        return Ok((Naming::Processor { prefix: slugs }, prefixes));
    }
    match SeedNaming::new(prefix, separator, max) {
        Ok(naming) => Ok((Naming::Seed(naming), prefixes)),
        Err(_) => Err(section.refuse("max_username_length", SeedNaming::LENGTH_RULE)),
    }
}

/// Both Python plugins have one way each, and none has the setting.
const UNSAID: &str = "is not set: secret keys are published in the metadata of the resource, as the Python plugin croit_s3 \
                      did; with a file for ceph_s3, which gave customers API keys, say api_keys, or nobody replaces those \
                      any more";

fn credentials_mode(section: &mut Section<'_>) -> CredentialsMode {
    use CredentialsMode as Mode;
    const MODES: [(&str, Mode); 3] = [("metadata", Mode::Metadata), ("api_keys", Mode::ApiKeys), ("both", Mode::Both)];
    let given = section.key("credentials_mode").one_of(&MODES).given().unwrap_or_default();
    let mode = given.unwrap_or(Mode::Metadata);
    if given.is_none() {
        section.warn("credentials_mode", UNSAID);
    } else if mode.publishes() {
        section.warn("credentials_mode", "secret keys are published in the metadata of the resource");
    }
    mode
}

fn delete_mode(section: &mut Section<'_>) -> DeleteMode {
    use DeleteMode as Mode;
    const MODES: [(&str, Mode); 2] = [("refuse_if_buckets", Mode::RefuseIfBuckets), ("purge", Mode::Purge)];
    let mode = section.key("delete_mode").one_of(&MODES).or(Mode::RefuseIfBuckets);
    if mode == Mode::Purge {
        section.warn("delete_mode", "terminating a resource deletes all its buckets and objects");
    }
    mode
}

fn suspend_on_pause(section: &mut Section<'_>, flavour: FlavourName) -> bool {
    let suspend = section.key("suspend_on_pause").boolean().or(false);
    if suspend && flavour == FlavourName::Croit {
        section.refuse("suspend_on_pause", "needs the flavour radosgw: croit has no call to suspend a user");
    }
    suspend
}
