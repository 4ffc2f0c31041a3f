//! Checks that the buckets which croit lists for a user are that user's.

use waldur_sdk::{Error, ErrorKind, Result};

use crate::{croit::UserList, s3::Uid};

/// Whose buckets a list has. Whatever words croit has for an owner, a display name among them, or none at all: what tells
/// another one is the name of another user that is listed, and any word beside the user's own.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::backend) struct Owners {
    own: bool,
    other: bool,
    listed: bool,
}

impl Owners {
    /// A bucket of the list of `uid`, and its owner as far as that is told. A name of a tenant's user counts without it.
    pub(in crate::backend) fn note(&mut self, users: &UserList, uid: &Uid, owner: Option<&str>) {
        let Some(owner) = owner.map(|owner| owner.rsplit_once('$').map_or(owner, |(_tenant, name)| name)) else {
            return;
        };
        if owner == uid.name() {
            self.own = true;
        } else {
            self.other = true;
            self.listed |= Uid::new(owner).is_ok_and(|other| users.has(&other));
        }
    }

    /// # Errors
    /// `WrongContent` when another user's buckets are among them: a filter that did not hold.
    pub(in crate::backend) fn check(self) -> Result<()> {
        if self.listed || (self.own && self.other) {
            let text = "asked for the buckets of one user, another one's came";
            return Err(Error::new(ErrorKind::WrongContent, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn is_one_users(owners: &[Option<&str>]) -> bool {
        let (mut seen, uid) = (Owners::default(), Uid::new("u-1").unwrap());
        for owner in owners {
            seen.note(&UserList::default(), &uid, *owner);
        }
        seen.check().is_ok()
    }

    #[test]
    fn a_word_beside_the_users_own_name_is_another_one_and_words_alone_say_nothing() {
        assert!(is_one_users(&[Some("u-1"), Some("t$u-1"), None]));
        assert!(is_one_users(&[Some("Somebody"), Some("Somebody else"), None]));
        assert!(!is_one_users(&[Some("Somebody"), None, Some("u-1")]));
    }
}
