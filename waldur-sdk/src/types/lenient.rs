//! Reading what servers really send: numbers as text, blank instead of null, either UUID spelling.
//!
//! Each function is for `#[serde(default, deserialize_with = "…")]` on an optional member. A member of a wrong type
//! is an error of its row, so that it is reported and not guessed at.

use std::{collections::BTreeMap, fmt};

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};
use serde_json::Value;
use uuid::Uuid;

use super::{BackendId, JsonObject, Personal};

/// A word of an open enumeration that this version does not know.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UnknownWord(String);

impl UnknownWord {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UnknownWord {
    fn from(word: &str) -> Self {
        Self(word.to_owned())
    }
}

impl fmt::Debug for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Missing, `null`, `""` and white space are all `None` (core.md §1.2); other text is trimmed.
///
/// # Errors
/// When the member is not text.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// As [`text`], for text about a person.
///
/// # Errors
/// When the member is not text.
pub fn personal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Personal>, D::Error> {
    Ok(text(deserializer)?.map(Personal::from))
}

/// As [`text`], for the words of an [`open_enum`](crate::open_enum).
///
/// # Errors
/// When the member is not text.
pub fn word<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: for<'a> From<&'a str>,
{
    Ok(text(deserializer)?.map(|word| T::from(word.as_str())))
}

/// As [`text`], for a back-end id.
///
/// # Errors
/// When the member is not text, or text that [`BackendId`] refuses.
pub fn backend_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BackendId>, D::Error> {
    text(deserializer)?.map(|text| BackendId::new(text).map_err(de::Error::custom)).transpose()
}

/// An object of free form where the server stores any JSON at all (recorded: 169_set_backend_metadata_str): what is
/// no object reads as an empty one.
///
/// # Errors
/// When the input is not JSON.
pub fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JsonObject, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Object(members) => JsonObject::from(members),
        _ => JsonObject::default(),
    })
}

/// A list, a map or another value with a default, where `null` is as good as absent.
///
/// # Errors
/// When the member is of another type.
pub fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// A list of which entries that cannot be read are left out, where `null` is as good as absent: for what is shown, and
/// where nothing is decided by the lack of an entry.
///
/// # Errors
/// When the member is no list.
pub fn readable<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let entries = Option::<Vec<Value>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(entries.into_iter().filter_map(|entry| T::deserialize(entry).ok()).collect())
}

/// A number given as text, integer or float.
///
/// # Errors
/// When it is no finite decimal number.
pub fn decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
    Ok(Option::<Number>::deserialize(deserializer)?.and_then(|number| number.0))
}

/// A map of numbers, each given as text, integer or float; members that are `null` are left out.
///
/// # Errors
/// When one of them is no finite decimal number.
pub fn decimals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Decimal>, D::Error> {
    let map = Option::<BTreeMap<String, Option<Number>>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(map.into_iter().filter_map(|(name, number)| Some((name, number?.0?))).collect())
}

/// A UUID in either spelling.
///
/// # Errors
/// When it is text, not blank and no UUID.
pub fn uuid<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: From<Uuid>,
{
    match text(deserializer)? {
        None => Ok(None),
        Some(text) => Uuid::try_parse(&text).map(|uuid| Some(T::from(uuid))).map_err(de::Error::custom),
    }
}

/// An instant: RFC 3339 with `Z` or an offset. Text without an offset is an error: it names no instant.
///
/// # Errors
/// When it is text, not blank and no instant.
pub fn timestamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    text(deserializer)?.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

/// A calendar date `YYYY-MM-DD`.
///
/// # Errors
/// When it is text, not blank and no date.
pub fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
    text(deserializer)?.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}

/// `true`/`false`, `1`/`0`, or their texts.
///
/// # Errors
/// When it is anything else.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    struct Bool;
    impl Visitor<'_> for Bool {
        type Value = bool;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a boolean")
        }
        fn visit_bool<E: de::Error>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<bool, E> {
            match value {
                0 => Ok(false),
                1 => Ok(true),
                other => Err(E::invalid_value(de::Unexpected::Unsigned(other), &self)),
            }
        }
        fn visit_i64<E: de::Error>(self, value: i64) -> Result<bool, E> {
            u64::try_from(value)
                .map_err(|_| E::invalid_value(de::Unexpected::Signed(value), &self))
                .and_then(|value| self.visit_u64(value))
        }
        fn visit_str<E: de::Error>(self, value: &str) -> Result<bool, E> {
            match value.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Ok(true),
                "false" | "0" => Ok(false),
                _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
            }
        }
    }
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Wrapped(#[serde(deserialize_with = "inner")] bool);
    fn inner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(Bool)
    }
    Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|wrapped| wrapped.0))
}

/// A number of any spelling; blank text is none.
struct Number(Option<Decimal>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a number as text")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number(Some(value.into())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number(Some(value.into())))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
        // Beyond 2^53 a float may have been rounded already: rather an error than another number.
        if value.abs() > 9_007_199_254_740_992.0 {
            return Err(E::invalid_value(de::Unexpected::Float(value), &self));
        }
        // The shortest text that reads back as the same float is what the server wrote, without binary noise.
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Number, E> {
        let text = value.trim();
        if text.is_empty() {
            return Ok(Number(None));
        }
        Decimal::from_str_exact(text)
            .or_else(|_| Decimal::from_scientific(text))
            .map(|decimal| Number(Some(decimal)))
            .map_err(|_| E::invalid_value(de::Unexpected::Str(value), &self))
    }
}
