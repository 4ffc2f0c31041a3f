//! The small language of `q`, and of `sort`.

use std::cmp::Ordering;

use super::{refused::Refused, wire::Asked};

/// What one key of `q` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// `key=value`.
    Exactly(String),
    /// `key=~value`: contained, whatever the case.
    Part(String),
}

impl Wanted {
    pub(super) fn fits(&self, value: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == value,
            Self::Part(part) => contains(value, part),
        }
    }
}

/// A substring, whatever the case.
pub(super) fn contains(value: &str, part: &str) -> bool {
    value.to_lowercase().contains(&part.to_lowercase())
}

/// The keys of `q`. Ranges and lists are not modelled.
pub(super) fn keywords(asked: &Asked) -> Result<Vec<(String, Wanted)>, Refused> {
    let Some(text) = asked.parameter("q").filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    // It is decoded once more than other parameters.
    let text = super::wire::decode(text);
    let keyword = |part: &str| match part.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => match value.chars().next() {
            Some('[' | '{' | '(') => Err(Refused::unmodelled()),
            Some('~') if value.len() > 1 => {
                Ok((key.to_owned(), Wanted::Part(value.trim_start_matches('~').to_owned())))
            }
            Some('~') => Err(Refused::bad(format!("invalid query string value: {value}"))),
            _ => Ok((key.to_owned(), Wanted::Exactly(value.strip_prefix('\\').unwrap_or(value).to_owned()))),
        },
        _ => Err(Refused::bad("the query string must contain \"=\" and the key/value cannot be empty")),
    };
    text.split(',').map(keyword).collect()
}

/// Sorts by the keys of `sort`, each with a `-` in front to turn it round; before that by `default`, which decides ties.
pub(super) fn sort<T>(
    asked: &Asked,
    rows: &mut [T],
    default: impl Fn(&T, &T) -> Ordering,
    by: impl Fn(&str, &T, &T) -> Option<Ordering>,
) -> Result<(), Refused> {
    rows.sort_by(&default);
    let Some(text) = asked.parameter("sort").filter(|text| !text.is_empty()) else { return Ok(()) };
    for key in text.split(',').rev() {
        let (name, turned) = key.strip_prefix('-').map_or((key, false), |name| (name, true));
        if rows.first().is_some_and(|row| by(name, row, row).is_none()) {
            return Err(Refused::unmodelled());
        }
        rows.sort_by(|one, other| {
            let order = by(name, one, other).unwrap_or(Ordering::Equal);
            if turned { order.reverse() } else { order }
        });
    }
    Ok(())
}

/// SQL's `LIKE`: `%` is anything, `_` one character, a backslash takes their meaning from both.
pub(super) fn like(value: &str, pattern: &str) -> bool {
    fn fits(value: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => value.is_empty(),
            Some(('%', rest)) => (0..=value.len()).any(|skip| value.get(skip..).is_some_and(|value| fits(value, rest))),
            Some(('_', rest)) => value.split_first().is_some_and(|(_, value)| fits(value, rest)),
            Some(('\\', rest)) if !rest.is_empty() => match (value.split_first(), rest.split_first()) {
                (Some((found, value)), Some((wanted, rest))) => found == wanted && fits(value, rest),
                _ => false,
            },
            Some((wanted, rest)) => {
                value.split_first().is_some_and(|(found, value)| found == wanted && fits(value, rest))
            }
        }
    }
    let letters = |text: &str| text.chars().collect::<Vec<_>>();
    fits(&letters(value), &letters(pattern))
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn wildcards_of_sql() {
        for (value, pattern, fits) in [
            ("waldur-a", "%waldur_a%", true),
            ("waldur-a", "%waldur\\_a%", false),
            ("waldur_a", "%waldur\\_a%", true),
            ("waldur-a", "%Waldur%", false),
            ("waldur-a", "w%a", true),
            ("waldur-a", "w%b", false),
            ("", "%", true),
        ] {
            assert_eq!(like(value, pattern), fits, "{value} {pattern}");
        }
    }
}
