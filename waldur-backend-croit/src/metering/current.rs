//! What is stored now: the sum over a user's buckets (s3.md §6.1).
//!
//! On RadosGW a bucket's number is `size` of the category `rgw.main`: logical bytes, not rounded up to the blocks of the
//! disks, and what the quotas count. It has every version of an object, and the parts of unfinished multipart uploads, as
//! objects of their own. The category `rgw.multimeta` has only the markers of those uploads and is not counted
//! (radosgw-api.md §5, measured).

use std::collections::BTreeMap;

use waldur_sdk::{Error, ErrorKind, Result};

/// What is stored in a bucket, or in all buckets of a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Logical bytes.
    pub bytes: u64,
    /// Objects.
    pub objects: u64,
}

/// Numbers from here up are what a gateway prints that has counted below zero.
const NEGATIVE: u64 = 1 << 63;

impl Held {
    /// These numbers, unless they cannot be right.
    ///
    /// # Errors
    /// `Inconsistent` for a number that is a negative one without its sign.
    pub fn new(bytes: u64, objects: u64) -> Result<Self> {
        if bytes < NEGATIVE && objects < NEGATIVE {
            Ok(Self { bytes, objects })
        } else {
            Err(unknown("a bucket holds less than nothing"))
        }
    }

    fn and(self, more: Self) -> Result<Self> {
        let sum = |a: u64, b: u64| a.checked_add(b).ok_or_else(|| unknown("more is stored than can be counted"));
        Ok(Self { bytes: sum(self.bytes, more.bytes)?, objects: sum(self.objects, more.objects)? })
    }
}

/// What is known of one user.
#[derive(Clone, Debug, Default)]
enum Known {
    /// No bucket has been seen: that there is none, or no such user.
    #[default]
    Nothing,
    /// What all buckets that were seen hold.
    Held(Held),
    /// One of them does not say.
    Unreadable(Error),
}

/// The sums of some users. Buckets of others are skipped, so memory does not grow with the number of buckets.
#[derive(Clone, Debug)]
pub struct Sums {
    users: BTreeMap<String, Known>,
    stray: Option<Error>,
}

impl Sums {
    /// Sums for these users, by the name that buckets have as their owner.
    pub fn of(owners: impl IntoIterator<Item = String>) -> Self {
        Self { users: owners.into_iter().map(|owner| (owner, Known::default())).collect(), stray: None }
    }

    /// Adds a bucket, of which it is known what it holds, or not. `false`: it is a stranger's.
    pub fn add(&mut self, owner: &str, held: Result<Held>) -> bool {
        let Some(known) = self.users.get_mut(owner) else { return false };
        let before = match std::mem::take(known) {
            Known::Nothing => Held::default(),
            Known::Held(before) => before,
            unreadable @ Known::Unreadable(_) => {
                *known = unreadable;
                return true;
            }
        };
        *known = match held.and_then(|held| before.and(held)) {
            Ok(sum) => Known::Held(sum),
            Err(error) => Known::Unreadable(error),
        };
        true
    }

    /// Adds a bucket of which not even the owner can be read. It may be anybody's.
    pub fn add_stray(&mut self, error: Error) {
        self.stray.get_or_insert(error);
    }

    /// Why none of the sums can be relied on, if so: a bucket came whose owner cannot be read.
    pub fn stray(&self) -> Option<&Error> {
        self.stray.as_ref()
    }

    /// What each user stores; `None` for those without a bucket.
    pub fn into_users(self) -> impl Iterator<Item = (String, Option<Result<Held>>)> {
        self.users.into_iter().map(|(owner, known)| {
            let held = match known {
                Known::Nothing => None,
                Known::Held(held) => Some(Ok(held)),
                Known::Unreadable(error) => Some(Err(error)),
            };
            (owner, held)
        })
    }
}

pub(crate) fn unknown(text: &str) -> Error {
    Error::new(ErrorKind::Inconsistent, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn held(bytes: u64, objects: u64) -> Result<Held> {
        Held::new(bytes, objects)
    }

    /// What is known of `a` and of `b`: bytes and objects, or not.
    fn sums(buckets: impl IntoIterator<Item = (&'static str, Result<Held>)>) -> Vec<String> {
        let mut sums = Sums::of(["a", "b"].map(str::to_owned));
        for (owner, held) in buckets {
            sums.add(owner, held);
        }
        let shown = |(owner, held): (String, Option<Result<Held>>)| match held {
            None => format!("{owner} has no bucket"),
            Some(Ok(held)) => format!("{owner} {} {}", held.bytes, held.objects),
            Some(Err(_)) => format!("{owner} unknown"),
        };
        sums.into_users().map(shown).collect()
    }

    #[test]
    fn s12_buckets_add_up_by_owner_and_tenants_are_other_people() {
        let found = sums([("a", held(1 << 30, 2)), ("x", held(9, 9)), ("t$a", held(7, 7)), ("a", held(1 << 32, 3))]);
        assert_eq!(found, ["a 5368709120 5", "b has no bucket"], "which is not yet nothing, and nobody else is kept");
    }

    #[test]
    fn s13_a_bucket_that_does_not_say_leaves_its_user_unknown_and_no_other() {
        let found = sums([("a", held(1, 1)), ("a", Err(unknown("?"))), ("b", held(2, 2)), ("a", held(3, 3))]);
        assert_eq!(found, ["a unknown", "b 2 2"]);
    }

    #[test]
    fn f135_a_bucket_that_holds_less_than_nothing_is_no_measurement() {
        assert!(held(u64::MAX, 0).is_err(), "-1 as it is printed");
        assert!(held(0, NEGATIVE).is_err());
        let most = NEGATIVE - 1;
        let found = sums([("a", held(most, 0)), ("a", held(most, 0)), ("a", held(most, 0)), ("b", held(most, most))]);
        assert_eq!(found, ["a unknown".to_owned(), format!("b {most} {most}")]);
    }

    proptest! {
        #[test]
        fn the_order_of_buckets_does_not_matter(
            buckets in prop::collection::vec((prop::bool::ANY, prop::option::of(0_u64..1000)), 0..20),
        ) {
            let buckets: Vec<_> = buckets.into_iter().map(|(a, size)| (if a { "a" } else { "b" }, size)).collect();
            let add = |buckets: &mut dyn Iterator<Item = &(&'static str, Option<u64>)>| {
                sums(buckets.map(|(owner, size)| (*owner, size.map_or_else(|| Err(unknown("?")), |size| held(size, 1)))).collect::<Vec<_>>())
            };
            prop_assert_eq!(add(&mut buckets.iter()), add(&mut buckets.iter().rev()));
        }
    }
}
