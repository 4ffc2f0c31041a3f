//! Names of people on the site (core.md §3.3, usernames.md §1): an account that wants a name gets it from the
//! [`UsernameBackend`](crate::backend::UsernameBackend), and Waldur is told how far that is.
//!
//! | the account is | and there is a name | the person has to do something | asking failed for good |
//! |---|---|---|---|
//! | Requested, Error creating | begin, name | begin, pending | begin, error |
//! | Creating | name | pending | error |
//! | Pending | name, complete | the other pending, or nothing | nothing |
//! | anything else, or has a name | nothing is asked | | |
//!
//! - The back end is asked before Waldur is told anything. While it has no answer, nothing changes.
//! - A name that an account has is never replaced: the account is read once more just before it gets one.
//! - A name that Waldur refused is not offered again for a day, unless the back end gives another one.
//! - A failure of one account does not affect the others.
//! - A server of 2024 knows no states. It is told names and nothing else.

mod assigned;
mod deletion;
mod flow;
mod refused;
mod report;

pub(super) use assigned::NameTeller;
pub(super) use flow::{NameGiver, request};
pub(super) use refused::RefusedNames;
pub use report::{AccountOutcome, AccountReport, UsernameReport};
