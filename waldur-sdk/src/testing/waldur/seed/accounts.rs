//! Accounts that no person has, limits of single users, consent.

use crate::testing::waldur::{
    FakeWaldur,
    model::{OfferingUser, ProjectAccount, UserLimit},
    unknown,
    words::AccountState,
};
use crate::types::{OfferingUserUuid, OfferingUuid, ProjectUuid, ResourceUuid, UserUuid, Uuid};

impl FakeWaldur {
    /// An account of a service in a project, in use; only generation 8 has such.
    pub fn service_account(&self, project: ProjectUuid, username: &str) -> AccountSeed {
        self.account(project, username, false)
    }

    /// An account of a course in a project, in use; only generation 8 has such.
    pub fn course_account(&self, project: ProjectUuid, username: &str) -> AccountSeed {
        self.account(project, username, true)
    }

    fn account(&self, project: ProjectUuid, username: &str, of_course: bool) -> AccountSeed {
        let mut state = self.state();
        let (uuid, created) = (state.uuid(), state.tick());
        let username = username.to_owned();
        let row = ProjectAccount { uuid, created, project, username, state: AccountState::Ok, of_course };
        drop(state);
        AccountSeed { waldur: self.clone(), row }
    }

    /// Changes the state of an account that no person has.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn set_account_state(&self, account: Uuid, to: AccountState) {
        match self.state().accounts.get_mut(account) {
            Some(row) => row.state = to,
            None => unknown("account", account),
        }
    }

    /// Removes an account that no person has.
    pub fn remove_account(&self, account: Uuid) {
        self.state().accounts.remove(account);
    }

    /// Limits a user of a resource to so much of a component: a decimal as text.
    pub fn user_limit(&self, resource: ResourceUuid, user: UserUuid, component: &str, limit: &str) -> Uuid {
        let mut state = self.state();
        let uuid = state.uuid();
        let (component, limit) = (component.to_owned(), limit.to_owned());
        state.user_limits.put(UserLimit { uuid, resource, user, component, limit });
        uuid
    }

    /// Takes such a limit away.
    pub fn remove_user_limit(&self, limit: Uuid) {
        self.state().user_limits.remove(limit);
    }

    /// Says whether a user consents to the terms of an offering. Everybody does at first. Only a server from 8.1 on
    /// asks for it, when a team is asked for with `has_consent`.
    pub fn set_consent(&self, user: UserUuid, offering: OfferingUuid, consents: bool) {
        let refusals = &mut self.state().refusals;
        if consents {
            refusals.remove(&(user, offering));
        } else {
            refusals.insert((user, offering));
        }
    }

    /// Changes a user's account at an offering, as somebody else would meanwhile.
    ///
    /// # Panics
    /// When there is none of that id.
    #[track_caller]
    pub fn change_offering_user(
        &self,
        account: OfferingUserUuid,
        change: impl FnOnce(super::OfferingUserSeed) -> super::OfferingUserSeed,
    ) {
        let row: Option<OfferingUser> = self.state().offering_users.get(account.uuid()).cloned();
        let row = row.unwrap_or_else(|| unknown("offering user", account));
        change(super::OfferingUserSeed::of(self.clone(), row)).create();
    }

    /// Removes a user's account at an offering.
    pub fn remove_offering_user(&self, account: OfferingUserUuid) {
        self.state().offering_users.remove(account.uuid());
    }
}

/// An account that no person has, under construction; see [`FakeWaldur::service_account`].
#[derive(Clone, Debug)]
#[must_use = "a seed is nothing until it is created"]
pub struct AccountSeed {
    waldur: FakeWaldur,
    row: ProjectAccount,
}

impl AccountSeed {
    /// How it is.
    pub fn state(mut self, state: AccountState) -> Self {
        self.row.state = state;
        self
    }

    /// Puts it there.
    pub fn create(self) -> Uuid {
        let uuid = self.row.uuid;
        self.waldur.state().accounts.put(self.row);
        uuid
    }
}
