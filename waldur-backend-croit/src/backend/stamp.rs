//! Whose a user is: the stamp in its e-mail address (s3.md §3), which tenants cannot write.

use waldur_sdk::{backend::Stamp, types::Uuid};

use crate::s3::Uid;

const PREFIX: &str = "waldur-";
const SUFFIX: &str = "@invalid";

/// `waldur-{resource's UUID}-{uid}@invalid`. The gateway demands that addresses are unique, so the uid is in it; the
/// domain can never receive mail (RFC 2606).
pub(super) fn address(stamp: Stamp, uid: &Uid) -> String {
    format!("{PREFIX}{}-{uid}{SUFFIX}", stamp.0.hex())
}

/// What an e-mail address says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It is our stamp.
    Stamp(Stamp),
    /// It is not ours, or there is none.
    None,
    /// It looks like a stamp, and is not one of this user: nothing to build on.
    Broken,
}

/// Reads the address of the user `uid`. Both spellings of a UUID count: the Python plugins write dashes.
pub(super) fn read(email: Option<&str>, uid: &Uid) -> Mark {
    let email = email.unwrap_or_default().to_ascii_lowercase();
    let Some(inner) = email.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) else {
        return Mark::None;
    };
    // The gateway turns addresses to lower case, uids not.
    let end = format!("-{uid}").to_ascii_lowercase();
    match inner.strip_suffix(&end).and_then(|uuid| Uuid::try_parse(uuid).ok()) {
        Some(resource) => Mark::Stamp(Stamp(resource.into())),
        None => Mark::Broken,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_stamp_is_read_back_in_every_spelling() {
        let uid = Uid::new("Waldur_org_proj_12345678").unwrap();
        let stamp = Stamp("12345678-9abc-def0-1234-56789abcdef0".parse().unwrap());
        let written = address(stamp, &uid);
        assert_eq!(written, "waldur-123456789abcdef0123456789abcdef0-Waldur_org_proj_12345678@invalid");
        assert_eq!(read(Some(&written), &uid), Mark::Stamp(stamp));
        assert_eq!(read(Some(&written.to_lowercase()), &uid), Mark::Stamp(stamp));
        let dashed = "waldur-12345678-9abc-def0-1234-56789abcdef0-waldur_org_proj_12345678@invalid";
        assert_eq!(read(Some(dashed), &uid), Mark::Stamp(stamp));
    }

    #[test]
    fn what_is_no_stamp_of_this_user_is_not_read_as_one() {
        let uid = Uid::new("u-1").unwrap();
        let stamp = Stamp("12345678-9abc-def0-1234-56789abcdef0".parse().unwrap());
        assert_eq!(read(None, &uid), Mark::None);
        assert_eq!(read(Some("alice@example.org"), &uid), Mark::None);
        assert_eq!(read(Some(&address(stamp, &Uid::new("u-2").unwrap())), &uid), Mark::Broken);
        assert_eq!(read(Some("waldur--u-1@invalid"), &uid), Mark::Broken);
        assert_eq!(read(Some("waldur-x@invalid"), &uid), Mark::Broken);
        let trailing = format!("{}.example.org", address(stamp, &uid));
        assert_eq!(read(Some(&trailing), &uid), Mark::None);
    }
}
