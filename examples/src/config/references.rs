//! Values that stand elsewhere: `{from_file: PATH}` and `{from_env: NAME}` in place of any value of the settings.
//!
//! A credential then need not stand in the file at all; a service manager or an orchestrator hands it over. They are
//! read whenever the settings are, so that SIGHUP brings renewed ones in. The Python agent has no such thing.

use std::{
    env,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::Value;
use waldur_sdk::settings::Warning;

use super::ConfigError;
use crate::exit::Exit;

/// The largest file that a value is read from, in bytes.
const MAX_VALUE: u64 = 64 * 1024;

/// Puts the values in place. Answers with what could not be read.
pub(super) fn resolve(tree: &mut Value, beside: &Path, warnings: &mut Vec<Warning>) -> Option<ConfigError> {
    let mut resolver = Resolver { beside, warnings, problems: Vec::new(), exit: Exit::Done };
    resolver.visit("", tree);
    let Resolver { problems, exit, .. } = resolver;
    (!problems.is_empty()).then_some(ConfigError { problems, exit })
}

struct Resolver<'a> {
    beside: &'a Path,
    warnings: &'a mut Vec<Warning>,
    problems: Vec<String>,
    /// What all problems together mean.
    exit: Exit,
}

/// What is wrong with a reference, and what that means.
type Unresolved = (Exit, String);

impl Resolver<'_> {
    fn visit(&mut self, path: &str, value: &mut Value) {
        if let Some(found) = self.reference(path, value) {
            match found {
                Ok(text) => *value = Value::String(text),
                Err((exit, problem)) => {
                    self.problems.push(format!("{path}: {problem}"));
                    self.exit = self.exit.or_worse(exit);
                }
            }
            return;
        }
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.visit(&path, value);
                }
            }
            Value::Array(items) => {
                items.iter_mut().enumerate().for_each(|(at, value)| self.visit(&format!("{path}[{at}]"), value));
            }
            _ => {}
        }
    }

    /// The text that `value` refers to, if it is a reference.
    fn reference(&mut self, path: &str, value: &Value) -> Option<Result<String, Unresolved>> {
        let members = value.as_object().filter(|members| members.len() == 1)?;
        let (kind, name) = members.iter().next()?;
        let name = name.as_str()?;
        match kind.as_str() {
            "from_file" => Some(self.file(path, name)),
            "from_env" => {
                Some(env::var(name).map_err(|_| (Exit::Config, format!("from_env: {name} is not set, or no text"))))
            }
            _ => None,
        }
    }

    fn file(&mut self, path: &str, name: &str) -> Result<String, Unresolved> {
        let place = self.place(name);
        let shown = place.display();
        let mut text = String::new();
        let read = File::open(&place).and_then(|file| file.take(MAX_VALUE + 1).read_to_string(&mut text));
        read.map_err(|cause| (exit_of(&cause), format!("from_file: {shown}: cannot be read: {}", cause.kind())))?;
        if text.len() as u64 > MAX_VALUE {
            return Err((Exit::Config, format!("from_file: {shown}: is larger than 64 KiB")));
        }
        if is_open_to_all(&place) {
            self.warnings.push(Warning::new(path, format!("{shown} can be read by everybody on this machine")));
        }
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// A relative path begins where the service manager puts credentials, or else beside the settings file.
    fn place(&self, name: &str) -> PathBuf {
        let given = env::var_os("CREDENTIALS_DIRECTORY").map(|directory| PathBuf::from(directory).join(name));
        given.filter(|place| place.exists()).unwrap_or_else(|| self.beside.join(name))
    }
}

/// A file that holds no text is a wrong one, however well it was read.
fn exit_of(cause: &io::Error) -> Exit {
    if cause.kind() == io::ErrorKind::InvalidData { Exit::Config } else { Exit::of_io(cause) }
}

/// Whether people beside the owner and the group may read a file.
#[cfg(unix)]
pub(super) fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

/// Elsewhere nobody knows.
#[cfg(not(unix))]
pub(super) fn is_open_to_all(path: &Path) -> bool {
    drop(fs::metadata(path));
    false
}
