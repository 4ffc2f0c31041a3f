//! How a command begins: its settings, its log, and what the settings warn of; and how it ends if it cannot.

use std::{fmt, io, path::Path};

use waldur_sdk::{Error, settings::AgentSettings};

use crate::{
    agent,
    config::{self, ConfigError, Loaded, Tree},
    exit::Exit,
    log::{self, Form, Log},
};

/// The settings of a command. Its log goes on for as long as this is kept.
pub(super) struct Opened {
    pub(super) settings: AgentSettings,
    pub(super) tree: Tree,
    /// What was said already, for those who say it once more.
    pub(super) warnings: Vec<String>,
    pub(super) log: Log,
}

/// Reads the settings, begins to log, and says what they warn of: on stderr, as every command does.
pub(super) fn open(path: &Path, form: Form) -> Result<Opened, Refusal> {
    let Loaded { settings, warnings, tree } = config::read(path)?;
    let log = log::init(form, settings.log_level).map_err(ConfigError::new)?;
    agent::announce(&warnings);
    // On a terminal they stand before what the command says itself.
    log.settle();
    Ok(Opened { settings, tree, warnings: warnings.iter().map(ToString::to_string).collect(), log })
}

/// Why a command did nothing.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) exit: Exit,
    /// What is wrong, each for itself.
    pub(super) problems: Vec<String>,
    text: String,
}

impl Refusal {
    /// The arguments do not fit the settings, or each other.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::one(Exit::Usage, text.into())
    }

    /// An argument that the SDK does not take.
    pub(super) fn argument(name: &str, error: &Error) -> Self {
        Self::usage(format!("{name}: {}", error.message()))
    }

    /// The operating system does not go along.
    pub(super) fn io(what: impl fmt::Display, cause: &io::Error) -> Self {
        Self::one(Exit::of_io(cause), format!("{what}: {cause}"))
    }

    fn one(exit: Exit, text: String) -> Self {
        Self { exit, problems: vec![text.clone()], text }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<ConfigError> for Refusal {
    fn from(problems: ConfigError) -> Self {
        Self { exit: problems.exit(), text: problems.to_string(), problems: problems.problems().to_vec() }
    }
}
