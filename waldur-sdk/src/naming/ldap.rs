//! Names as the LDAP plug-in of the Python agent cleans them, for directories that it has filled (usernames.md §6).
//!
//! Both take off marks and drop every letter that is not ASCII, so that `Łukasz` becomes `ukasz` and `Иван` nothing.
//! For new names there is [`PosixLogin::from_lossy`](super::PosixLogin::from_lossy).

use super::latin::canonical;

/// The part of a login that comes from a first or a last name: its ASCII letters and digits.
///
/// ```
/// use waldur_sdk::naming::ldap_normalize;
/// assert_eq!(ldap_normalize("O'Neil-Smith"), "ONeilSmith");
/// ```
pub fn ldap_normalize(name: &str) -> String {
    canonical(name).filter(char::is_ascii_alphanumeric).collect()
}

/// A login of whatever text: lower-case letters, digits and `._-` of it, from the first letter or `_` on, at most 32.
/// Empty when there is no letter, and with a dot not what every system takes.
///
/// ```
/// use waldur_sdk::naming::posix_sanitize;
/// assert_eq!(posix_sanitize("Jane.Doe@example.org"), "jane.doeexample.org");
/// ```
pub fn posix_sanitize(text: &str) -> String {
    canonical(text)
        .map(|c| c.to_ascii_lowercase())
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
        .skip_while(|c| !c.is_ascii_lowercase() && *c != '_')
        .take(super::PosixLogin::MAX)
        .collect()
}
