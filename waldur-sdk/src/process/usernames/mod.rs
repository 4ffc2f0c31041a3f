//! Names of people on the site, as [`UsernameReport`] says.

mod assigned;
mod deletion;
mod flow;
mod refused;
mod report;

pub(super) use assigned::NameTeller;
pub(super) use flow::{NameGiver, request};
pub(super) use refused::RefusedNames;
pub use report::{AccountOutcome, AccountReport, UsernameReport};
