//! Numbers that Harbor knows things by. None can stand in the place of another: a quota's id in that of a project would
//! change somebody else's quota without any error (harbor.md §3.1).

use std::fmt;

use serde::{Deserialize, Serialize};
pub use waldur_sdk::naming::{HarborGroupName as GroupName, HarborProjectName as ProjectName};
use waldur_sdk::{Error, Result, rest::check_segment};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// The id that has this number.
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// The number of a project. Never used again, unlike its name.
    ProjectId;

    /// The number of a quota, which is not that of its project.
    QuotaId;

    /// The number of a user group.
    GroupId;

    /// The number of a membership, which is neither that of the group nor that of the project.
    MemberId;

    /// The number of a robot account.
    RobotId;
}

/// The name of a repository within its project: what follows `project/`, which may have slashes of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// A repository of any project.
    ///
    /// # Errors
    /// `Config` when a part of the name is empty or cannot be a segment of a path.
    pub fn new(name: impl Into<String>) -> Result<Self> {
        let name = name.into();
        name.split('/').try_for_each(|part| check_segment("repository", part))?;
        Ok(Self(name))
    }

    /// The repository that `full` (`project/a/b`) names, if it is one of `project`'s.
    ///
    /// # Errors
    /// `Config` when it is another project's, or as [`Self::new`].
    pub fn within(project: &ProjectName, full: &str) -> Result<Self> {
        let own = full.strip_prefix(project.as_str()).and_then(|rest| rest.strip_prefix('/'));
        Self::new(own.ok_or_else(|| Error::config("repository: is not one of the project's"))?)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_repository_is_one_of_its_own_projects() {
        let project = ProjectName::new("p").unwrap();
        let within = |full: &str| RepositoryName::within(&project, full).map(|name| name.to_string()).ok();
        assert_eq!(within("p/a/b").as_deref(), Some("a/b"));
        assert_eq!(within("p/c").as_deref(), Some("c"));
        for other in ["pp/a", "p", "p/", "q/p/a", "p/../a", "p/a//b"] {
            assert_eq!(within(other), None, "{other}");
        }
    }
}
