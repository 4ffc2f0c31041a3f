//! Settings for people and programs to read, without their secrets (security.md S13).

use std::{collections::hash_map::RandomState, fmt, hash::BuildHasher as _, sync::OnceLock};

use serde_json::{Map, Value};

/// A value to be shown; members in the order in which they were added.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    Text(String),
    Plain(Value),
    Map(Vec<(String, Shown)>),
    List(Vec<Shown>),
}

impl Shown {
    pub(super) fn text(value: impl fmt::Display) -> Self {
        Self::Text(value.to_string())
    }

    pub(super) fn optional(value: Option<impl fmt::Display>) -> Self {
        value.map_or(Self::Plain(Value::Null), Self::text)
    }

    /// That there is a secret, and a print of it by which equal ones are told from others, in this run only.
    pub(super) fn secret(secret: &str) -> Self {
        Self::Text(format!("(set, fingerprint {})", fingerprint(secret)))
    }

    pub(super) fn json(&self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.clone()),
            Self::Plain(value) => value.clone(),
            Self::Map(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), value.json())).collect::<Map<_, _>>())
            }
            Self::List(items) => Value::Array(items.iter().map(Self::json).collect()),
        }
    }

    /// As YAML.
    pub(super) fn yaml(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text
    }

    fn write(&self, text: &mut String, depth: usize) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Map(members) => {
                for (key, value) in members {
                    text.extend([&*indent, key, ":"]);
                    value.write_value(text, depth);
                }
            }
            Self::List(items) => {
                for item in items {
                    let mut inner = String::new();
                    item.write(&mut inner, depth + 1);
                    // The first line moves up to the dash.
                    let first = inner.trim_start_matches(' ');
                    text.extend([&*indent, "- ", first]);
                }
            }
            scalar => text.extend([&*indent, &scalar.scalar(), "\n"]),
        }
    }

    fn write_value(&self, text: &mut String, depth: usize) {
        match self {
            Self::Map(members) if !members.is_empty() => {
                text.push('\n');
                self.write(text, depth + 1);
            }
            Self::List(items) if !items.is_empty() => {
                text.push('\n');
                self.write(text, depth + 1);
            }
            scalar => text.extend([" ", &scalar.scalar(), "\n"]),
        }
    }

    fn scalar(&self) -> String {
        match self {
            Self::Text(text) => Value::String(text.clone()).to_string(),
            Self::Plain(value) => value.to_string(),
            Self::Map(_) => "{}".to_owned(),
            Self::List(_) => "[]".to_owned(),
        }
    }
}

/// Six digits of a hash whose key dies with the process.
fn fingerprint(secret: &str) -> String {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    let hash = KEY.get_or_init(RandomState::new).hash_one(secret);
    format!("{:06x}", hash >> 40)
}

/// Settings of a back end, of which nobody here knows what is secret: what could be is not shown.
pub(super) fn of_backend(value: &Value) -> Shown {
    guarded("", value)
}

/// What a component says to the back end alone: names and numbers.
pub(super) fn of_component(key: &str, value: &Value) -> Shown {
    if sounds_secret(key) { Shown::secret(&value.to_string()) } else { Shown::Plain(value.clone()) }
}

fn guarded(key: &str, value: &Value) -> Shown {
    match value {
        Value::Object(members) => {
            Shown::Map(members.iter().map(|(key, value)| (key.clone(), guarded(key, value))).collect())
        }
        Value::Array(items) => Shown::List(items.iter().map(|item| guarded(key, item)).collect()),
        Value::String(text) if text.trim().is_empty() => Shown::text(text),
        Value::String(text) if is_address(key) => address(text),
        Value::String(text) if is_harmless(key) => Shown::text(text),
        Value::String(text) => Shown::secret(text),
        Value::Number(_) if sounds_secret(key) => Shown::secret(&value.to_string()),
        Value::Bool(_) | Value::Null | Value::Number(_) => Shown::Plain(value.clone()),
    }
}

const SECRET: [&str; 6] = ["pass", "secret", "token", "key", "credential", "dsn"];
const HARMLESS: [&str; 16] = [
    "component",
    "flavour",
    "method",
    "mode",
    "model",
    "name_of",
    "naming",
    "period",
    "placement",
    "prefix",
    "provider",
    "realm",
    "region",
    "role",
    "separator",
    "umask",
];

fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET.iter().any(|word| key.contains(word))
}

fn is_address(key: &str) -> bool {
    !sounds_secret(key) && ["url", "endpoint"].iter().any(|end| key.ends_with(end))
}

fn is_harmless(key: &str) -> bool {
    !sounds_secret(key) && HARMLESS.iter().any(|word| key.ends_with(word))
}

/// An address without user, query, fragment, and without its path: tokens stand in any of them. `/api/`, which is
/// Waldur's, is none. Whatever is no address is a secret on the wrong line.
pub(super) fn address(text: &str) -> Shown {
    let Ok(uri) = text.trim().parse::<http::Uri>() else { return Shown::secret(text) };
    match (uri.scheme_str(), uri.host()) {
        (Some(scheme @ ("http" | "https")), Some(host)) => {
            let port = uri.port().map_or_else(String::new, |port| format!(":{port}"));
            let path = if ["/", "/api/"].contains(&uri.path()) { uri.path() } else { "/…" };
            Shown::text(format_args!("{scheme}://{host}{port}{path}"))
        }
        _ => Shown::secret(text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

    use serde_json::json;

    use super::*;

    #[test]
    fn sec13_what_could_be_secret_is_not_shown() {
        let shown = of_backend(&json!({
            "harbor_url": "https://robot:hidden@registry.example.com:8443/hidden/a?token=hidden",
            "root_url": "https://registry.example.com", "default_account": "hidden",
            "robot_username": "hidden", "robot_password": "hidden", "pin_token": 4711, "project_role_id": 2,
            "allocation_prefix": "waldur-", "cluster_url": "hidden", "nested": {"private_key": "hidden", "on": true},
            "list": ["hidden"], "default_tenant": "",
        }))
        .json();
        assert_eq!(shown["harbor_url"], "https://registry.example.com:8443/…");
        assert_eq!(shown["root_url"], "https://registry.example.com/");
        assert_eq!((&shown["allocation_prefix"], &shown["project_role_id"]), (&json!("waldur-"), &json!(2)));
        assert_eq!((&shown["nested"]["on"], &shown["default_tenant"]), (&json!(true), &json!("")));
        let text = shown.to_string();
        assert!(!text.contains("hidden") && !text.contains("4711"), "{text}");
        assert_eq!(shown["robot_username"], shown["robot_password"], "equal secrets have equal fingerprints");
    }

    #[test]
    fn yaml_is_read_back_as_the_json_is() {
        let shown = Shown::Map(vec![
            ("b".to_owned(), Shown::List(vec![of_backend(&json!({"x_mode": "yes: no", "y": {}})), Shown::text("z")])),
            ("a".to_owned(), Shown::Map(vec![("none".to_owned(), Shown::optional(None::<&str>))])),
            ("c".to_owned(), Shown::List(Vec::new())),
        ]);
        let read: Value =
            serde_saphyr::from_str(&shown.yaml()).unwrap_or_else(|error| panic!("{error}\n{}", shown.yaml()));
        assert_eq!(read, shown.json());
    }
}
