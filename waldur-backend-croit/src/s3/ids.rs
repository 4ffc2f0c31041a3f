//! Names that the gateway knows things by. Checked where they are made, so that nothing else can reach a request:
//! the gateway itself takes `..`, newlines and NUL, and reads `$` as the end of a tenant (radosgw-api.md §2).

use std::{fmt, str::FromStr};

use waldur_sdk::{Error, Result, naming::RgwUid};

/// Longest name that is ever sent, in bytes. The gateway answers 500 to 300 (recorded; radosgw-api.md §2).
pub const MAX_NAME: usize = RgwUid::MAX;

/// Letters, digits and `.-_`, 1 to [`MAX_NAME`] of them, and neither `.` nor `..` (s3.md §2).
///
/// # Errors
/// `Config`, saying the rule and not the value.
pub(crate) fn check(what: &'static str, text: &str) -> Result<()> {
    let rule = if text.is_empty() {
        "must not be empty"
    } else if text.len() > MAX_NAME {
        "must not be longer than 255 bytes"
    } else if text == "." || text == ".." {
        "must not be a dot segment"
    } else if !has_name_characters(text) {
        "may only contain letters, digits and . _ -"
    } else {
        return Ok(());
    };
    Err(Error::config(format!("{what}: {rule}")))
}

/// Whether a text has no other characters than a name may have.
pub(crate) fn has_name_characters(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Checks what becomes free text at the gateway.
///
/// # Errors
/// `Config` when it is blank or contains a control character.
pub(crate) fn checked(what: &'static str, text: impl Into<String>) -> Result<String> {
    let text = text.into();
    if text.trim().is_empty() {
        Err(Error::config(format!("{what}: must not be blank")))
    } else if text.chars().any(char::is_control) {
        Err(Error::config(format!("{what}: must not contain control characters")))
    } else {
        Ok(text)
    }
}

/// A tenant: letters, digits and `_`; anything else is `InvalidTenantName` (recorded: t1_users/073).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(String);

impl Tenant {
    /// Checks a tenant's name.
    ///
    /// # Errors
    /// `Config` when it is empty, too long or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        check("tenant", &text)?;
        if text.contains(['.', '-']) {
            return Err(Error::config("tenant: may only contain letters, digits and _"));
        }
        Ok(Self(text))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a user, in a tenant or in none. Case matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    tenant: Option<Tenant>,
    name: RgwUid,
}

impl Uid {
    /// A user outside every tenant.
    ///
    /// # Errors
    /// `Config` for anything but 1 to 255 letters, digits and `.-_`, and for `.` and `..`. In particular `$`, which
    /// would choose a tenant, has no way in.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        Ok(Self { tenant: None, name: RgwUid::new(name)? })
    }

    /// The user of that name in `tenant`.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// The tenant.
    pub fn tenant(&self) -> Option<&Tenant> {
        self.tenant.as_ref()
    }

    /// The name without the tenant.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }
}

/// `name` or `tenant$name`: what the gateway takes as `uid` in every call. (Its own `tenant` parameter works on create
/// only; recorded: t1_users/088.)
impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}${}", tenant.0, self.name),
            None => f.write_str(self.name()),
        }
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

impl FromStr for Uid {
    type Err = Error;

    /// As [`Uid::new`].
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

/// A user as a listing names it, be it ours or not: spaces, `@` and newlines are all there in the field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListedUid(String);

impl ListedUid {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, `tenant$name` for users in a tenant.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name to address this user by.
    ///
    /// # Errors
    /// `Config` for a name that this client never sends ([`Uid::new`]).
    pub fn to_uid(&self) -> Result<Uid> {
        match self.0.split_once('$') {
            Some((tenant, name)) => Ok(Uid::new(name)?.in_tenant(Tenant::new(tenant)?)),
            None => Uid::new(self.0.as_str()),
        }
    }
}

/// The name of a bucket, in a tenant or in none.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketName {
    tenant: Option<Tenant>,
    name: String,
}

impl BucketName {
    /// A bucket outside every tenant.
    ///
    /// # Errors
    /// As [`Uid::new`].
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        check("bucket", &name)?;
        Ok(Self { tenant: None, name })
    }

    /// The bucket of that name in `tenant`.
    #[must_use]
    pub fn in_tenant(mut self, tenant: Tenant) -> Self {
        self.tenant = Some(tenant);
        self
    }

    /// The name without the tenant.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// `name` or `tenant/name`: what the gateway takes as `bucket` (radosgw-api.md §5).
impl fmt::Display for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tenant {
            Some(tenant) => write!(f, "{}/{}", tenant.0, self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Debug for BucketName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BucketName({self})")
    }
}

/// The public half of a key pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(String);

impl AccessKeyId {
    /// Checks an access key.
    ///
    /// # Errors
    /// As [`Uid::new`].
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        check("access key", &text)?;
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
