//! Bodies, read as a server reads them that knows the type of every member.

use serde_json::{Map, Value};

use super::{refused::Refused, wire::Asked};

/// A JSON object. Members of the wrong type are refused in the words of the server's library, when they are read.
pub(super) struct Body {
    parameter: &'static str,
    /// The server's name of the type, and of the member inside it.
    place: String,
    members: Map<String, Value>,
}

impl Body {
    /// `parameter` is the contract's name for the body, `kind` the server's name for its type.
    pub(super) fn read(asked: &Asked, parameter: &'static str, kind: &str) -> Result<Self, Refused> {
        if asked.body.is_empty() {
            return Err(Refused::invalid(&[format!("{parameter} in body is required")]));
        }
        let sent = asked.header("content-type").unwrap_or_default();
        if sent.split(';').next().map(str::trim) != Some("application/json") {
            let problem = format!("unsupported media type {sent:?}, only [application/json] are allowed");
            return Err(Refused::invalid(&[problem]));
        }
        let read = |value| Self { parameter, place: kind.to_owned(), members: value };
        match serde_json::from_slice(&asked.body) {
            Ok(Value::Object(members)) => Ok(read(members)),
            Ok(Value::Null) => Ok(read(Map::new())),
            Ok(other) => {
                let problem = format!("cannot unmarshal {} into Go value of type models.{kind}", word(&other));
                Err(unread(parameter, &problem))
            }
            Err(error) => Err(unread(parameter, &syntax(&asked.body, &error))),
        }
    }

    /// What was sent as `name`; a `null` is as good as nothing.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// A text; empty when there is none.
    pub(super) fn text(&self, name: &str) -> Result<&str, Refused> {
        match self.get(name) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(name, other, "string")),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, Refused> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_i64().map(Some).ok_or_else(|| self.wrong(name, value, "int64"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(name, value, "bool"))
    }

    /// An object inside. `None` when there is none.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(members)) => {
                let place = format!("{}.{name}", self.place);
                Ok(Some(Self { parameter: self.parameter, place, members: members.clone() }))
            }
            Some(other) => Err(self.wrong(name, other, "models.Object")),
        }
    }

    /// The objects of a list; none when there is no list.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Self>, Refused> {
        let rows = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(rows)) => rows,
            Some(other) => return Err(self.wrong(name, other, "[]*models.Object")),
        };
        let row = |value: &Value| match value {
            Value::Object(members) => {
                let place = format!("{}.{name}", self.place);
                Ok(Self { parameter: self.parameter, place, members: members.clone() })
            }
            other => Err(self.wrong(name, other, "models.Object")),
        };
        rows.iter().map(row).collect()
    }

    /// An object whose members are all numbers.
    pub(super) fn amounts(&self, name: &str) -> Result<Vec<(String, i64)>, Refused> {
        let Some(inner) = self.object(name)? else { return Ok(Vec::new()) };
        let amount = |(key, value): (&String, &Value)| {
            value.as_i64().map(|amount| (key.clone(), amount)).ok_or_else(|| inner.wrong_inside(value))
        };
        // The parameter that holds a quota is called after what is in it.
        inner.members.iter().map(amount).collect()
    }

    pub(super) fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    fn wrong(&self, name: &str, found: &Value, wanted: &str) -> Refused {
        let problem = format!(
            "json: cannot unmarshal {} into Go struct field {}.{name} of type {wanted}",
            word(found),
            self.place
        );
        unread(self.parameter, &problem)
    }

    fn wrong_inside(&self, found: &Value) -> Refused {
        let problem =
            format!("json: cannot unmarshal {} into Go struct field {} of type int64", word(found), self.place);
        unread(self.parameter, &problem)
    }
}

fn unread(parameter: &str, problem: &str) -> Refused {
    Refused::invalid(&[format!("parsing {parameter} body from \"\" failed, because {problem}")])
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(number) if number.is_f64() => format!("number {number}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

/// Where a text stops to be JSON: known for the first character inside an object, guessed elsewhere.
fn syntax(body: &[u8], error: &serde_json::Error) -> String {
    let offending = body.get(error.column().saturating_sub(1)).filter(|_| error.line() == 1 && !error.is_eof());
    match offending {
        None => "unexpected EOF".to_owned(),
        Some(byte) => {
            let inside =
                body.iter().rev().skip(body.len() - error.column() + 1).find(|byte| !byte.is_ascii_whitespace());
            let wanted = if inside == Some(&b'{') { "object key string" } else { "value" };
            format!("invalid character '{}' looking for beginning of {wanted}", char::from(*byte))
        }
    }
}
