//! YAML as PyYAML reads it (core.md §6.1), within budgets.
//!
//! | in the file | here |
//! |---|---|
//! | `yes`, `no`, `on`, `off` | booleans if a boolean is wanted, the words as written if text is wanted |
//! | `0077` | octal, 63 |
//! | `12:30` | the text as written; PyYAML makes 750 of it, and refuses it where text is wanted |
//! | thirty-two digits under a key that ends in `uuid` | text, with a warning; PyYAML makes a number of them |
//! | a key twice | the last one holds |
//! | `<<`, anchors | as in PyYAML, within a budget |

use std::{fs::File, io::Read as _, path::Path};

use serde_json::Value;
use serde_saphyr::{Budget, Options, options::DuplicateKeyPolicy};
use waldur_sdk::settings::Warning;

use super::{ConfigError, MAX_SIZE};

/// The text of a file, up to [`MAX_SIZE`].
pub(super) fn text_of(path: &Path) -> Result<String, ConfigError> {
    let shown = path.display();
    let unreadable =
        |cause: std::io::Error| ConfigError::unreadable(format!("{shown}: cannot be read: {cause}"), &cause);
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut text)).map_err(unreadable)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(ConfigError::new(format!("{shown}: is larger than 1 MiB")));
    }
    String::from_utf8(text).map_err(|_| ConfigError::new(format!("{shown}: is not UTF-8 text")))
}

/// The tree of a text.
pub(super) fn tree(text: &str) -> Result<(Value, Vec<Warning>), ConfigError> {
    let (text, warnings) = quote_digits(text);
    let tree = serde_saphyr::from_str_with_options(&text, options()).map_err(|error| not_yaml(&error))?;
    Ok((tree, warnings))
}

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
    // The reader of the settings knows the other words, and that a name may be `y` or `no`.
    options.strict_booleans = true;
    options.with_snippet = false;
    options.alias_limits.max_total_replayed_events = 50_000;
    options
}

/// A UUID without a letter would lose digits as a number. Lines alone are looked at: a flow map has to quote.
fn quote_digits(text: &str) -> (String, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut quoted = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let Some((before, digits, after)) = bare_digits(line) else {
            quoted.push_str(line);
            continue;
        };
        let text = "a UUID of digits alone is a number in YAML; it was taken as text, but write it in quotes";
        warnings.push(Warning::new(format!("line {}", number + 1), text));
        quoted.extend([before, "\"", digits, "\"", after]);
    }
    (quoted, warnings)
}

/// `some_uuid: 12345678901234567890123456789012 # …` in its three parts.
fn bare_digits(line: &str) -> Option<(&str, &str, &str)> {
    let (key, value) = line.split_once(':')?;
    let name = key.trim_start_matches([' ', '-']).trim_matches(['"', '\'', ' ']);
    let plain = name.bytes().all(|c| c == b'_' || c.is_ascii_lowercase());
    if !plain || !name.ends_with("uuid") || !value.starts_with(' ') {
        return None;
    }
    let digits = value.trim_start_matches(' ');
    let before = line.len() - digits.len();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let ends = |rest: &str| rest.trim().is_empty() || rest.trim_start_matches(' ').starts_with('#');
    let (before, digits) = line.split_at_checked(before)?;
    let (digits, after) = digits.split_at_checked(end)?;
    (digits.len() == 32 && ends(after)).then_some((before, digits, after))
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
