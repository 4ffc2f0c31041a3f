//! The settings file: YAML as the Python agent takes it, into [`AgentSettings`].
//!
//! No message repeats a value, not even a line of the file: a secret may stand on it.

mod pairs;
mod references;
mod unserved;
mod yaml;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use waldur_sdk::{
    Error,
    settings::{AgentSettings, Warning, problems},
};

use crate::exit::Exit;

/// The largest file that is read, in bytes.
pub const MAX_SIZE: u64 = 1024 * 1024;

/// Everything that is wrong with a configuration, or why it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<String>,
    exit: Exit,
}

impl ConfigError {
    /// One problem.
    pub fn new(problem: impl Into<String>) -> Self {
        Self { problems: vec![problem.into()], exit: Exit::Config }
    }

    /// A file that is there or not, and could not be read.
    pub(crate) fn unreadable(problem: impl Into<String>, cause: &io::Error) -> Self {
        Self { exit: Exit::of_io(cause), ..Self::new(problem) }
    }

    /// Many problems; `None` when there is none.
    pub fn of(problems: Vec<String>) -> Option<Self> {
        (!problems.is_empty()).then_some(Self { problems, exit: Exit::Config })
    }

    /// The problems, each with the path of its key where it has one.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How a program ends with it: wrong settings, or a machine on which they could not be read.
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
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
        Self { problems: lines(&error), exit: Exit::Config }
    }
}

/// The problems in an error about settings, a line each.
pub fn lines(error: &Error) -> Vec<String> {
    let found: Vec<_> = problems(error).iter().map(ToString::to_string).collect();
    if found.is_empty() { vec![error.message().to_owned()] } else { found }
}

/// What a settings file says.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub settings: AgentSettings,
    /// What the operator should know about them.
    pub warnings: Vec<Warning>,
    /// The file as it was written, secrets included, for those who show it without them.
    pub tree: Tree,
}

/// A settings file as a tree. Its `Debug` shows nothing: there are secrets in it.
#[derive(Clone)]
pub struct Tree(pub(crate) Value);

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tree(..)")
    }
}

/// What an offering's file says to its back end. Secrets are in there.
#[derive(Clone, Copy, Default)]
pub(crate) struct Written<'t> {
    /// `backend_settings`.
    pub(crate) settings: Option<&'t Value>,
    /// `backend_components`.
    pub(crate) components: Option<&'t Value>,
}

/// That of each offering, in the order in which the settings have them.
pub(crate) fn written(tree: &Tree) -> Vec<Written<'_>> {
    let of = |offering| Written {
        settings: pairs::either(offering, "backend_settings", "backend"),
        components: pairs::either(offering, "backend_components", "components"),
    };
    pairs::offerings(&tree.0).into_iter().map(of).collect()
}

/// Reads a settings file.
///
/// # Errors
/// When it cannot be read, is larger than [`MAX_SIZE`], or as [`parse`].
pub fn load(path: &Path) -> Result<(AgentSettings, Vec<Warning>), ConfigError> {
    read(path).map(|loaded| (loaded.settings, loaded.warnings))
}

/// As [`load`], with the tree of the file.
///
/// # Errors
/// As [`load`].
pub fn read(path: &Path) -> Result<Loaded, ConfigError> {
    let text = yaml::text_of(path)?;
    let beside = path.parent().map(PathBuf::from).unwrap_or_default();
    let mut loaded = understand(&text, &beside)?;
    if references::is_open_to_all(path) {
        let text = "can be read by everybody on this machine; take the right away, since there are credentials in it";
        loaded.warnings.push(Warning::new(path.display().to_string(), text));
    }
    Ok(loaded)
}

/// Reads the text of a settings file. Files that it refers to are looked for in the working directory.
///
/// # Errors
/// All problems at once. What is no YAML at all is named by its place alone.
pub fn parse(text: &str) -> Result<(AgentSettings, Vec<Warning>), ConfigError> {
    understand(text, Path::new("")).map(|loaded| (loaded.settings, loaded.warnings))
}

fn understand(text: &str, beside: &Path) -> Result<Loaded, ConfigError> {
    let (mut tree, mut warnings) = yaml::tree(text)?;
    let unresolved = references::resolve(&mut tree, beside, &mut warnings);
    match (AgentSettings::from_value(&tree), unresolved) {
        (Ok((settings, more)), None) => {
            warnings.extend(more);
            warnings.extend(pairs::alike(&settings, &tree));
            warnings.extend(unserved::keys(&settings));
            Ok(Loaded { settings, warnings, tree: Tree(tree) })
        }
        (Ok(_), Some(unresolved)) => Err(unresolved),
        (Err(error), None) => Err(error.into()),
        (Err(error), Some(mut all)) => {
            all.problems.extend(lines(&error));
            all.exit = Exit::Config;
            Err(all)
        }
    }
}
