//! Personal data: values that say who somebody is.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

/// Text about a person: a name, an e-mail address, a user name.
///
/// `Debug` does not show it and there is no `Display`, so that it reaches no log, error or report by accident
/// (core.md §9 C70). Whoever shows it writes [`as_str`](Self::as_str).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// So that a set of them is asked by text.
impl Borrow<str> for Personal {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl From<String> for Personal {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Personal {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}
