//! Reading a tree of settings to its end: all problems at once, each with its path, none with a value.

mod nearest;
mod problem;
mod section;
mod setting;

pub use problem::{Found, Problem, Warning, problems};
pub use section::{RawSettings, Read, Report, Reported, Section};
pub use setting::{Checked, HttpUrl, Setting};
