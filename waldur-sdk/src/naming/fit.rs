//! Long names made short without becoming the name of somebody else.

use std::borrow::Cow;

/// How many hexadecimal digits of a hash end a name that was cut, unless the caller says otherwise.
pub const HASH_DIGITS: usize = 8;

/// A name of at most `max` characters: as it is if it is short enough, otherwise its beginning, `-` and the first
/// `hash_len` hexadecimal digits (at most 64) of its SHA-256. Where `max` has no room for that, as many digits of the
/// hash as fit.
///
/// ```
/// use waldur_sdk::naming::{HASH_DIGITS, fit};
/// assert_eq!(fit("short", 32, HASH_DIGITS), "short");
/// assert_eq!(fit("abcdefghijklmnopqrstuvwxyz", 16, HASH_DIGITS), "abcdefg-71c480df");
/// ```
pub fn fit(name: &str, max: usize, hash_len: usize) -> Cow<'_, str> {
    if is_at_most(name, max) {
        return Cow::Borrowed(name);
    }
    let hash_len = hash_len.clamp(1, 64);
    match max.checked_sub(hash_len + 1) {
        Some(room) if room > 0 => Cow::Owned(with_hash(prefix(name, room), name, hash_len)),
        _ => Cow::Owned(hash(name, max.min(64))),
    }
}

/// `stem-<hash of original>`.
pub(super) fn with_hash(stem: &str, original: &str, hash_len: usize) -> String {
    let mut name = String::with_capacity(stem.len() + 1 + hash_len);
    name.push_str(stem);
    name.push('-');
    push_hash(&mut name, original, hash_len);
    name
}

/// The first `digits` hexadecimal digits of a text's SHA-256.
pub(super) fn hash(text: &str, digits: usize) -> String {
    let mut hash = String::with_capacity(digits);
    push_hash(&mut hash, text, digits);
    hash
}

fn push_hash(out: &mut String, text: &str, digits: usize) {
    let hash = hmac_sha256::Hash::hash(text.as_bytes());
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    out.extend(nibbles.take(digits).filter_map(|nibble| char::from_digit(nibble.into(), 16)));
}

/// Whether a name ends as [`fit`] ends those that it cuts.
pub(super) fn has_hash(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(_, end)| {
        end.len() == HASH_DIGITS && end.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// Whether a text has no more than `max` characters.
pub(super) fn is_at_most(text: &str, max: usize) -> bool {
    text.len() <= max || text.chars().nth(max).is_none()
}

/// The first `count` characters of a text.
pub(super) fn prefix(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
