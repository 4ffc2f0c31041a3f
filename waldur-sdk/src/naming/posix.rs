//! The numbers and home directories of accounts (usernames.md §3).
//!
//! **The agent gives no numbers to accounts that Waldur manages: it reads them** from the account
//! (`backend_metadata`). These functions say what Waldur gives, to explain it, to check it and for directories that
//! Waldur does not know.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    error::{Error, Result},
    types::JsonObject,
};

/// The login shell that Waldur gives.
pub const LOGIN_SHELL: &str = "/bin/bash";

/// What an offering's `plugin_options` say about accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PosixOptions {
    /// `initial_uidnumber`: default 5000.
    pub initial_uidnumber: u32,
    /// `initial_primarygroup_number`: default 5000.
    pub initial_primarygroup_number: u32,
    /// `initial_usergroup_number`: default 6000.
    pub initial_usergroup_number: u32,
    /// `initial_rolegroup_number`: default 60000.
    pub initial_rolegroup_number: u32,
    /// `homedir_prefix`: default `/home/`.
    pub homedir_prefix: String,
    /// `enable_posix_account`: whether there are numbers at all. Default true.
    pub enable_posix_account: bool,
}

impl Default for PosixOptions {
    fn default() -> Self {
        Self {
            initial_uidnumber: 5000,
            initial_primarygroup_number: 5000,
            initial_usergroup_number: 6000,
            initial_rolegroup_number: 60000,
            homedir_prefix: "/home/".to_owned(),
            enable_posix_account: true,
        }
    }
}

impl PosixOptions {
    /// Reads an offering's `plugin_options`. What is missing or of another type has its default.
    pub fn read(plugin_options: &JsonObject) -> Self {
        let default = Self::default();
        let number = |name: &str, default: u32| {
            let number = plugin_options.get(name).and_then(|value| match value {
                Value::String(text) => text.trim().parse().ok(),
                other => other.as_u64().and_then(|number| number.try_into().ok()),
            });
            number.unwrap_or(default)
        };
        Self {
            initial_uidnumber: number("initial_uidnumber", default.initial_uidnumber),
            initial_primarygroup_number: number("initial_primarygroup_number", default.initial_primarygroup_number),
            initial_usergroup_number: number("initial_usergroup_number", default.initial_usergroup_number),
            initial_rolegroup_number: number("initial_rolegroup_number", default.initial_rolegroup_number),
            homedir_prefix: plugin_options.text("homedir_prefix").map_or(default.homedir_prefix, str::to_owned),
            enable_posix_account: plugin_options.get("enable_posix_account").and_then(Value::as_bool).unwrap_or(true),
        }
    }

    /// The home directory that Waldur writes for a user name: prefix and name, with nothing between them. It moves with
    /// the name; the numbers stay.
    pub fn home_directory(&self, username: &str) -> String {
        format!("{}{username}", self.homedir_prefix)
    }

    /// What is wrong with `homedir_prefix`, for a warning to whoever keeps the offering.
    ///
    /// ```
    /// use waldur_sdk::naming::PosixOptions;
    /// let mut options = PosixOptions::default();
    /// assert_eq!(options.homedir_prefix_problem(), None);
    /// options.homedir_prefix = "/home".to_owned();
    /// assert_eq!(options.home_directory("alice"), "/homealice");
    /// assert_eq!(options.homedir_prefix_problem(), Some("does not end with /: names are appended without one"));
    /// ```
    pub fn homedir_prefix_problem(&self) -> Option<&'static str> {
        if !self.homedir_prefix.starts_with('/') {
            Some("does not begin with /: home directories would be relative")
        } else if !self.homedir_prefix.ends_with('/') {
            Some("does not end with /: names are appended without one")
        } else {
            None
        }
    }
}

/// The numbers of an account. Wider than POSIX has them, because the rule of 2024 can leave its range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PosixIds {
    /// The user's.
    pub uid: i64,
    /// The primary group's.
    pub gid: i64,
}

impl PosixIds {
    /// What a server of 2024 gives next. `last` is the largest number of a user of *any* offering, so that another
    /// offering with lower numbers drags these below where they should begin, groups even below zero.
    ///
    /// ```
    /// use waldur_sdk::naming::{PosixIds, PosixOptions};
    /// let mut options = PosixOptions::default();
    /// assert_eq!(PosixIds::next_of_2024(&options, None), PosixIds { uid: 5001, gid: 5001 });
    /// options.initial_uidnumber = 10_000;
    /// let below = PosixIds::next_of_2024(&options, Some(5003));
    /// assert_eq!(below, PosixIds { uid: 5004, gid: 4 });
    /// assert!(below.is_below(&options));
    /// ```
    pub fn next_of_2024(options: &PosixOptions, last: Option<u32>) -> Self {
        let initial = i64::from(options.initial_uidnumber);
        let offset = last.map_or(initial, i64::from) - initial + 1;
        Self { uid: initial + offset, gid: i64::from(options.initial_primarygroup_number) + offset }
    }

    /// Whether they are below where the offering's numbers begin.
    pub fn is_below(self, options: &PosixOptions) -> bool {
        self.uid < i64::from(options.initial_uidnumber) || self.gid < i64::from(options.initial_primarygroup_number)
    }
}

/// A range that servers of 2025 and later give numbers from, for users or for groups: one for a provider, or one for an
/// offering. Users and groups are filled independently of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PosixIdPool {
    min: u32,
    max: u32,
    next: u32,
}

impl PosixIdPool {
    /// The smallest number of a pool: those below belong to the system.
    pub const MIN: u32 = 1000;
    /// The largest number of a pool: the one above means "none".
    pub const MAX: u32 = u32::MAX - 1;

    /// A range and the number that was never given yet, at most one beyond its end.
    ///
    /// # Errors
    /// `Config` when the bounds are not in order or go beyond [`Self::MIN`] and [`Self::MAX`], or `next` is outside.
    pub fn new(min: u32, max: u32, next: u32) -> Result<Self> {
        if min < Self::MIN || max > Self::MAX || min > max {
            Err(Error::config("POSIX id pool: must have 1000 <= min <= max <= 4294967294"))
        } else if !(min..=max + 1).contains(&next) {
            Err(Error::config("POSIX id pool: next must be within min and max, or one beyond"))
        } else {
            Ok(Self { min, max, next })
        }
    }

    /// What the pool gives next: the smallest number that came back and may be given again, otherwise the first one
    /// from `next` on that nobody has. `None` when the pool is used up. The pool itself does not change.
    pub fn next_id(&self, returned: &BTreeSet<u32>, in_use: &BTreeSet<u32>) -> Option<u32> {
        let again = returned.range(self.min..=self.max).find(|id| !in_use.contains(id));
        again.copied().or_else(|| (self.next..=self.max).find(|id| !in_use.contains(id)))
    }

    /// How many numbers are left that were never given.
    pub fn left(&self) -> u32 {
        self.max + 1 - self.next
    }
}
