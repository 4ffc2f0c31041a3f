//! When two names are the same to a system.

use std::{borrow::Cow, collections::BTreeMap};

use super::latin::composed;

/// How a system compares names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Comparison {
    /// Byte by byte.
    #[default]
    Exact,
    /// Without regard to case and to Unicode's normal forms.
    IgnoreCase,
}

impl Comparison {
    /// What is equal for equal names.
    pub fn key(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::IgnoreCase if name.is_ascii() && !name.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Borrowed(name)
            }
            Self::IgnoreCase if name.is_ascii() => Cow::Owned(name.to_ascii_lowercase()),
            Self::IgnoreCase => {
                let lower: String = composed(name).flat_map(char::to_lowercase).collect();
                Cow::Owned(composed(&lower).collect())
            }
            Self::Exact => Cow::Borrowed(name),
        }
    }

    /// Whether two names are the same.
    pub fn is_same(self, left: &str, right: &str) -> bool {
        left == right || self.key(left) == self.key(right)
    }

    /// Names that differ, but are the same to the system, in groups of two and more: the system takes their owners for
    /// one person. Each group is sorted.
    ///
    /// ```
    /// use waldur_sdk::naming::Comparison;
    /// let names = ["alice", "bob", "Alice"];
    /// assert_eq!(Comparison::IgnoreCase.collisions(names), [["Alice", "alice"]]);
    /// assert!(Comparison::Exact.collisions(names).is_empty());
    /// ```
    pub fn collisions<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
        let mut groups = BTreeMap::<_, Vec<&str>>::new();
        for name in names {
            groups.entry(self.key(name)).or_default().push(name);
        }
        for group in groups.values_mut() {
            group.sort_unstable();
            group.dedup();
        }
        groups.into_values().filter(|group| group.len() > 1).collect()
    }
}
