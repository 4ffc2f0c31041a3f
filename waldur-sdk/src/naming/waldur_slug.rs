//! Slugs, as Waldur itself makes them of names (usernames.md §4).
//!
//! A slug is no id: it is made of a name, may be empty or have `--` in it, and staff may change it.

use super::{fit::prefix, latin::compatible};

/// How long the name's part of a slug is.
const LENGTH_2024: usize = 8;
const LENGTH_2025: usize = 10;

/// The slug that a server of 2024 gives to a new object: always with a number. `existing` are the slugs of all objects
/// of that kind.
///
/// ```
/// use waldur_sdk::naming::slug_2024;
/// assert_eq!(slug_2024("My Organization", []), "my-organ-1");
/// assert_eq!(slug_2024("My Organization", ["my-organ-1"]), "my-organ-2");
/// // A cut that ends with a hyphen makes two of them.
/// assert_eq!(slug_2024("Tallinn University", []), "tallinn--1");
/// ```
pub fn slug_2024<'a>(name: &str, existing: impl IntoIterator<Item = &'a str>) -> String {
    let slug = slugify(name);
    let base = prefix(&slug, LENGTH_2024);
    let last = highest_tail(base, existing);
    format!("{base}-{}", last.unwrap_or_default().saturating_add(1))
}

/// The slug that a server of 2025 or later gives: with a number only if it needs one. Empty for a name without a Latin
/// letter or digit.
///
/// ```
/// use waldur_sdk::naming::slug_2025;
/// assert_eq!(slug_2025("My Organization", []), "my-organiz");
/// assert_eq!(slug_2025("My Organization", ["my-organiz"]), "my-organiz-2");
/// assert_eq!(slug_2025("日本", []), "");
/// ```
pub fn slug_2025<'a, I>(name: &str, existing: I) -> String
where
    I: IntoIterator<Item = &'a str>,
    I::IntoIter: Clone,
{
    let slug = slugify(name);
    let base = prefix(&slug, LENGTH_2025).trim_matches('-');
    let existing = existing.into_iter();
    if !existing.clone().any(|slug| slug == base) {
        return base.to_owned();
    }
    // The number of the base itself is none: `42` is taken, and the next one is `42-2`.
    let others = existing.filter(|slug| *slug != base);
    let last = highest_tail(base, others).map_or(1, |last| last.max(1));
    format!("{base}-{}", last.saturating_add(1))
}

/// The largest number behind the last hyphen of any slug that begins with `base`, whatever it belongs to: `project-9`
/// counts for `proj`.
fn highest_tail<'a>(base: &str, existing: impl IntoIterator<Item = &'a str>) -> Option<u64> {
    let related = existing.into_iter().filter(|slug| slug.starts_with(base));
    related.filter_map(|slug| slug.rsplit('-').next()?.parse().ok()).max()
}

/// Lower-case ASCII letters, digits and `_`, with one hyphen for each run of white space and hyphens.
fn slugify(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in compatible(name.chars()) {
        match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() || c == '_' => slug.push(c),
            '-' | ' ' | '\t'..='\r' | '\u{1c}'..='\u{1f}' if !slug.ends_with('-') => slug.push('-'),
            _ => {}
        }
    }
    slug.trim_matches(['-', '_']).to_owned()
}
