//! User names at an offering (usernames.md §2).

use std::fmt;

use super::{
    OfferingUsername, PosixLogin,
    fit::prefix,
    latin::{compatible, transliterate},
    numbered::Numbered,
    policy::{UsernameGenerationPolicy, UsernameOptions},
    uuid8,
};
use crate::{
    error::is_hidden,
    types::{JsonObject, Uuid},
};

/// The prefix of [`anonymized`] names where the offering has none.
pub const ANONYMIZED_PREFIX: &str = "walduruser_";

/// Which of two ways a name is made in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NameForm {
    /// A valid login for everybody: other scripts are transliterated, at most 32 characters, never two the same.
    #[default]
    Recommended,
    /// What Waldur itself makes, letter by letter, for a site whose accounts have such names already. Where Waldur's
    /// answer is a mistake (no letters at all, a name that somebody has, an error), the recommended one is given.
    Compat,
}

/// What names are made of.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Person<'a> {
    /// Identifies the person, for a name of last resort.
    pub uuid: Uuid,
    /// First name.
    pub first_name: &'a str,
    /// Last name.
    pub last_name: &'a str,
    /// The user name in Waldur.
    pub waldur_username: &'a str,
    /// The user name of the first FreeIPA profile.
    pub freeipa_username: &'a str,
    /// What the identity provider released.
    pub details: Option<&'a JsonObject>,
}

impl<'a> Person<'a> {
    /// Somebody of whom nothing else is known.
    pub fn new(uuid: Uuid) -> Self {
        Self { uuid, first_name: "", last_name: "", waldur_username: "", freeipa_username: "", details: None }
    }

    /// Somebody by name.
    pub fn named(uuid: Uuid, first_name: &'a str, last_name: &'a str) -> Self {
        Self { first_name, last_name, ..Self::new(uuid) }
    }
}

/// Shows the UUID alone.
impl fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}

impl UsernameGenerationPolicy {
    /// The name that this policy gives to a person, `None` where it gives none: `service_provider` leaves it to the
    /// provider, a profile or claim may be missing, and a policy that this version does not know stays with the server.
    pub fn username<'t, I>(
        &self,
        person: &Person<'_>,
        options: &UsernameOptions,
        form: NameForm,
        taken: I,
    ) -> Option<OfferingUsername>
    where
        I: IntoIterator<Item = &'t str>,
        I::IntoIter: Clone,
    {
        match self {
            Self::FullName => Some(full_name(person, form, taken)),
            Self::Anonymized => Some(anonymized(options.anonymized_prefix.as_deref(), form, taken)),
            Self::WaldurUsername => waldur_username(person.waldur_username),
            Self::Freeipa => waldur_username(person.freeipa_username),
            Self::IdentityClaim => identity_claim(person.details?),
            Self::ServiceProvider | Self::Unknown(_) => None,
        }
    }
}

/// `first_last_NN`, NN from `00` on; `user_` and eight digits of the UUID for somebody without a letter or digit in the
/// name.
///
/// ```
/// use waldur_sdk::naming::{NameForm, Person, full_name};
/// use waldur_sdk::types::Uuid;
/// let person = Person::named(Uuid::nil(), "Łukasz", "Żółć");
/// assert_eq!(full_name(&person, NameForm::Recommended, []).as_str(), "lukasz_zolc_00");
/// assert_eq!(full_name(&person, NameForm::Recommended, ["lukasz_zolc_00"]).as_str(), "lukasz_zolc_01");
/// assert_eq!(full_name(&person, NameForm::Compat, []).as_str(), "ukasz_zoc_00");
/// ```
pub fn full_name<'t, I>(person: &Person<'_>, form: NameForm, taken: I) -> OfferingUsername
where
    I: IntoIterator<Item = &'t str>,
    I::IntoIter: Clone,
{
    let taken = taken.into_iter();
    if form == NameForm::Compat {
        let (first, last) = (upstream_part(person.first_name), upstream_part(person.last_name));
        if [&first, &last].iter().all(|part| part.contains(|c: char| c.is_ascii_alphanumeric())) {
            let stem = format!("{first}_{last}");
            let max = OfferingUsername::MAX;
            return valid(&Numbered { stem: &stem, separator: "_", width: 2, room: 4, max }.next(&taken));
        }
    }
    let base = login_base(&format!("{} {}", person.first_name, person.last_name));
    let max = PosixLogin::MAX;
    if !base.is_empty() {
        return valid(&Numbered { stem: &base, separator: "_", width: 2, room: 4, max }.next(&taken));
    }
    let base = format!("user_{}", uuid8(person.uuid));
    if taken.clone().any(|name| name.eq_ignore_ascii_case(&base)) {
        valid(&Numbered { stem: &base, separator: "_", width: 2, room: 4, max }.next(&taken))
    } else {
        valid(&base)
    }
}

/// A prefix and a number of five digits, from `00000` on.
///
/// ```
/// use waldur_sdk::naming::{NameForm, anonymized};
/// assert_eq!(anonymized(None, NameForm::Recommended, []).as_str(), "walduruser_00000");
/// assert_eq!(anonymized(Some("hpc_"), NameForm::Recommended, ["hpc_00041"]).as_str(), "hpc_00042");
/// ```
pub fn anonymized<'t, I>(prefix: Option<&str>, form: NameForm, taken: I) -> OfferingUsername
where
    I: IntoIterator<Item = &'t str>,
    I::IntoIter: Clone,
{
    let prefix = prefix.unwrap_or(ANONYMIZED_PREFIX);
    let (stem, max) = match form {
        NameForm::Recommended => (login_prefix(prefix), PosixLogin::MAX),
        NameForm::Compat => (prefix.trim_start().chars().filter(|c| !is_hidden(*c)).collect(), OfferingUsername::MAX),
    };
    valid(&Numbered { stem: &stem, separator: "", width: 5, room: 5, max }.next(&taken.into_iter()))
}

/// The user name in Waldur, or in FreeIPA: as it is, cut with a hash if it is longer than Waldur stores it for an
/// offering. `None` for a blank one.
pub fn waldur_username(username: &str) -> Option<OfferingUsername> {
    let username = username.trim();
    (!username.is_empty()).then(|| OfferingUsername::from_lossy(username))
}

/// The user name that the identity provider released for the site (`site_username`); `None` where it did not.
pub fn identity_claim(details: &JsonObject) -> Option<OfferingUsername> {
    details.text("site_username").and_then(waldur_username)
}

/// What is made of visible characters, is not blank and not too long is a name already.
fn valid(name: &str) -> OfferingUsername {
    OfferingUsername::from_lossy(name)
}

/// Lower-case words with one `_` between them, beginning with a letter; empty without a letter or digit.
fn login_base(text: &str) -> String {
    let text = transliterate(text);
    let mut base = String::with_capacity(text.len());
    for word in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()) {
        if !base.is_empty() {
            base.push('_');
        } else if word.starts_with(|c: char| c.is_ascii_digit()) {
            base.push('u');
        }
        base.push_str(word);
    }
    base
}

/// As a login may begin, separators kept.
fn login_prefix(text: &str) -> String {
    let mut stem = transliterate(text.trim()).replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
    match stem.chars().next() {
        None => ANONYMIZED_PREFIX.clone_into(&mut stem),
        Some(c) if !c.is_ascii_lowercase() => stem.insert(0, 'u'),
        Some(_) => {}
    }
    prefix(&stem, PosixLogin::MAX - 9).to_owned()
}

/// A first or last name as Waldur cleans it: letters that do not decompose are lost.
fn upstream_part(name: &str) -> String {
    let mut words = String::with_capacity(name.len());
    for (at, word) in name.split(is_python_space).filter(|word| !word.is_empty()).enumerate() {
        if at > 0 {
            words.push('_');
        }
        words.extend(word.to_lowercase().chars().filter(|c| is_python_word(*c)));
    }
    // A fraction or a number in brackets decomposes into more than digits; Waldur keeps that, no system takes it.
    compatible(words.chars()).filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// `\s` of Python's regular expressions.
fn is_python_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

/// `\w` of Python's regular expressions: without the letters in circles and squares, which Rust counts as letters.
fn is_python_word(c: char) -> bool {
    let is_enclosed = matches!(c, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}');
    c == '_' || (c.is_alphanumeric() && !is_enclosed)
}
