//! The settings file: YAML as the Python agent takes it, into [`AgentSettings`].
//!
//! No message repeats a value, not even a line of the file: a secret may stand on it.

use std::{fmt, fs::File, io::Read as _, path::Path};

use serde_json::Value;
use serde_saphyr::{Budget, Options, options::DuplicateKeyPolicy};
use waldur_sdk::{
    Error,
    settings::{AgentSettings, Warning, problems},
};

/// The largest file that is read, in bytes.
pub const MAX_SIZE: u64 = 1024 * 1024;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl ConfigError {
    /// One problem.
    pub fn new(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }

    /// Many problems; `None` when there is none.
    pub fn of(problems: Vec<String>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self(problems))
    }

    /// The problems, each with the path of its key where it has one.
    pub fn problems(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "configuration: {one}"),
            many => {
                write!(f, "configuration: {} problems", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<Error> for ConfigError {
    /// The problems of the settings reader, or the error's own message.
    fn from(error: Error) -> Self {
        Self(lines(&error))
    }
}

/// The problems in an error about settings, a line each.
pub fn lines(error: &Error) -> Vec<String> {
    let found: Vec<_> = problems(error).iter().map(ToString::to_string).collect();
    if found.is_empty() { vec![error.message().to_owned()] } else { found }
}

/// Reads a settings file.
///
/// # Errors
/// When it cannot be read, is larger than [`MAX_SIZE`], or as [`parse`].
pub fn load(path: &Path) -> Result<(AgentSettings, Vec<Warning>), ConfigError> {
    let shown = path.display();
    let unreadable = |cause: std::io::Error| ConfigError::new(format!("{shown}: cannot be read: {cause}"));
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(ConfigError::new(format!("{shown}: is larger than 1 MiB")));
    }
    let text = String::from_utf8(text).map_err(|_| ConfigError::new(format!("{shown}: is not UTF-8 text")))?;
    parse(&text)
}

/// Reads the text of a settings file.
///
/// # Errors
/// All problems at once. What is no YAML at all is named by its place alone.
pub fn parse(text: &str) -> Result<(AgentSettings, Vec<Warning>), ConfigError> {
    let tree: Value = serde_saphyr::from_str_with_options(text, options()).map_err(|error| not_yaml(&error))?;
    Ok(AgentSettings::from_value(&tree)?)
}

/// YAML as PyYAML reads it (core.md §6.1): `yes` is a boolean, `0077` is octal, the last of two equal keys wins.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_documents = 1;
    budget.max_depth = 32;
    budget.max_nodes = 50_000;
    budget.max_anchors = 256;
    budget.max_aliases = 1024;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::LastWins;
    options.legacy_octal_numbers = true;
    options.with_snippet = false;
    options.alias_limits.max_total_replayed_events = 50_000;
    options
}

fn not_yaml(error: &serde_saphyr::Error) -> ConfigError {
    use serde_saphyr::Error as Yaml;
    let mut cause = error.without_snippet();
    while let Yaml::AliasError { error: inner, .. } = cause {
        cause = inner.without_snippet();
    }
    let what = match cause {
        Yaml::Budget { .. } | Yaml::AliasReplayLimitExceeded { .. } | Yaml::AliasExpansionLimitExceeded { .. } => {
            "is too large or too deep for a settings file"
        }
        Yaml::MultipleDocuments { .. } => "begins a second document; there must be one",
        Yaml::UnknownAnchor { .. } => "refers to an anchor that is not there; text that begins with * must be quoted",
        Yaml::NonFiniteFloat { .. } => "is no finite number",
        _ => "is not valid YAML",
    };
    let place = error.location().map(|place| format!("line {}, column {}: ", place.line(), place.column()));
    ConfigError::new(format!("{}{what} (what is there is not repeated: it may be a secret)", place.unwrap_or_default()))
}
