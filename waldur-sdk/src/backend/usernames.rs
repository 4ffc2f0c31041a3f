//! Names of people on the site (core.md §3.3, §7.3).

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;

use super::context::OpContext;
use crate::{
    error::Result,
    types::{JsonObject, OfferingUserUuid, Personal, UserUuid},
};

/// Gives people their names on the site, where the provider does that. One instance serves an offering as long as the
/// process lives.
#[async_trait]
pub trait UsernameBackend: Send + Sync + 'static {
    /// The name under which settings choose it (`username_management_backend`).
    fn name(&self) -> &'static str;

    /// The name that the person has, or gets now. Asked again after every failure, so it answers the same for the
    /// same person.
    ///
    /// # Errors
    /// Of class [`Transient`](crate::ErrorClass::Transient) or [`NotReady`](crate::ErrorClass::NotReady): asked again
    /// in the next pass. Any other: the account is marked as failed, and tried again in the next pass, too.
    async fn username(&self, cx: &OpContext, request: &UsernameRequest) -> Result<UsernameOutcome>;

    /// What [`username`](Self::username) would answer. Gives, reserves and writes nothing. A dry run calls this and
    /// nothing else. The default does not know.
    ///
    /// # Errors
    /// As of [`username`](Self::username).
    async fn preview(&self, _cx: &OpContext, _request: &UsernameRequest) -> Result<Option<UsernameOutcome>> {
        Ok(None)
    }

    /// Called with everybody who has an account at the offering now, before members are compared. The default has
    /// nothing to do.
    ///
    /// # Errors
    /// A failure is reported; the pass goes on.
    async fn sync_profiles(&self, _cx: &OpContext, _accounts: &[UsernameRequest]) -> Result<()> {
        Ok(())
    }

    /// Called with the names of people who have no account at the offering any more. The default has nothing to do.
    ///
    /// # Errors
    /// A failure is reported, and the next pass calls again with the same names.
    async fn deactivate(&self, _cx: &OpContext, _usernames: &[String]) -> Result<()> {
        Ok(())
    }
}

/// Whose name is wanted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UsernameRequest {
    /// The account at the offering.
    pub account: OfferingUserUuid,
    /// The person, if the server tells.
    pub user: Option<UserUuid>,
    /// The name that the account has now, if any.
    pub username: Option<Personal>,
    /// The federated identity: the user name in Waldur.
    pub identity: Option<Personal>,
    /// First name.
    pub first_name: Option<Personal>,
    /// Last name.
    pub last_name: Option<Personal>,
    /// Full name.
    pub full_name: Option<Personal>,
    /// E-mail address.
    pub email: Option<Personal>,
    /// Everything else that the offering is told of the person, by the name of the attribute without `user_`. Personal,
    /// so `Debug` does not show it.
    pub attributes: JsonObject,
    /// All names that the offering's accounts have, whoever has them, so that a new one can differ from each.
    pub taken: Arc<BTreeSet<Personal>>,
}

impl UsernameRequest {
    /// A person about whom nothing is known.
    pub fn new(account: OfferingUserUuid) -> Self {
        Self {
            account,
            user: None,
            username: None,
            identity: None,
            first_name: None,
            last_name: None,
            full_name: None,
            email: None,
            attributes: JsonObject::new(),
            taken: Arc::default(),
        }
    }
}

/// What came of asking for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsernameOutcome {
    /// This is the name.
    Ready(Personal),
    /// There is none, and that is all right: the provider gives names by other means.
    Absent,
    /// The person has to link an account first.
    LinkingRequired(Requirement),
    /// The person has to prove something first.
    ValidationRequired(Requirement),
}

/// What a person has to do before there can be a name; shown to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirement {
    /// What, in words.
    pub comment: String,
    /// Where.
    pub url: Option<String>,
}
