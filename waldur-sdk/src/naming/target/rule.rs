//! What a system takes as a name, as data: one checker and one way to make a name fit for all of them.

use std::{borrow::Cow, fmt};

use super::super::{
    compare::Comparison,
    fit::{HASH_DIGITS, has_hash, is_at_most, prefix, with_hash},
    latin::transliterate,
};
use crate::error::{Error, is_hidden};

/// The rule of one kind of name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// What errors call the name.
    pub target: &'static str,
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
    /// Which characters, and where.
    pub shape: Shape,
    /// Names of the system's own, in any case; `…*` stands for all that begin so.
    pub reserved: &'static [&'static str],
}

/// Which characters a name may have.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Everything that can be seen, without white space at the ends.
    Text {
        /// Whether it has to be in lower case.
        lower: bool,
    },
    /// Some of ASCII.
    Ascii(Ascii),
}

/// Letters and digits, and a few more characters between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ascii {
    /// Whether capital letters are letters.
    pub capitals: bool,
    /// What else there may be.
    pub extra: &'static str,
    /// What there may be at the beginning and the end.
    pub ends: Ends,
    /// What may stand beside each other.
    pub joints: Joints,
    /// Stands for everything that may not be there.
    pub filler: char,
}

/// What a name may begin and end with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Everything that is in the alphabet.
    Any,
    /// Letters and digits.
    LettersAndDigits,
    /// It begins with a letter or `_`.
    Login,
}

/// Which of the extra characters may stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joints {
    /// All.
    Any,
    /// None: `a.-b` is no name.
    None,
    /// All but the dot, which has a letter or digit on either side.
    Labels,
    /// As `Labels`, and the whole must not look like an IPv4 address.
    Host,
}

/// Which part of a rule a text breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Blank,
    Short,
    Long,
    Hidden,
    OuterSpace,
    Capitals,
    Characters,
    DotSegment,
    Ends,
    Joints,
    Address,
    Reserved,
}

impl Rule {
    /// The first part of the rule that a text breaks.
    pub(super) fn broken(&self, text: &str) -> Option<Broken> {
        if text.trim().is_empty() {
            return Some(Broken::Blank);
        }
        if !is_at_most(text, self.max) {
            return Some(Broken::Long);
        }
        let shape = match self.shape {
            Shape::Text { lower } => broken_text(text, lower),
            Shape::Ascii(ascii) => ascii.broken(text),
        };
        shape
            .or_else(|| is_at_most(text, self.min.saturating_sub(1)).then_some(Broken::Short))
            .or_else(|| self.is_reserved(text).then_some(Broken::Reserved))
    }

    /// The error for a text that breaks the rule. It tells the rule and never the text, which may be about a person.
    pub(super) fn error(&self, broken: Broken) -> Error {
        Error::config(Explanation { rule: self, broken }.to_string())
    }

    /// The text itself if it is a name, otherwise the nearest name; with a hash if the text is too long, too short or
    /// reserved, or nothing of it is left. Doing it twice is doing it once.
    pub(super) fn nearest(&self, text: &str) -> String {
        if self.broken(text).is_none() {
            return text.to_owned();
        }
        let near = self.tidy(text);
        if self.broken(&near).is_none() { near } else { self.hashed(&near, text) }
    }

    /// As [`Self::nearest`], but with a hash in every name that is not the text itself, and in every text that looks as
    /// if it had one, or is not spelt as the target compares it: no two texts get the same name, nor names that are the
    /// same to the target.
    pub(super) fn distinct(&self, text: &str, comparison: Comparison) -> String {
        if self.broken(text).is_none() && !has_hash(text) && comparison.key(text) == text {
            text.to_owned()
        } else {
            self.hashed(&self.tidy(text), text)
        }
    }

    fn hashed(&self, near: &str, text: &str) -> String {
        let name = self.with_hash(near, text);
        let is_free = !self.is_reserved(near) && !self.is_reserved(&name);
        if is_free { name } else { self.with_hash(&format!("r-{near}"), text) }
    }

    fn with_hash(&self, near: &str, text: &str) -> String {
        let stem = prefix(near, self.max.saturating_sub(HASH_DIGITS + 1));
        let stem = match self.shape {
            Shape::Text { .. } => stem.trim_end(),
            Shape::Ascii(_) => stem.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()),
        };
        let stem = if stem.is_empty() { "r" } else { stem };
        with_hash(stem, text, HASH_DIGITS)
    }

    /// Without everything that cannot be there. May be empty, too long, too short or reserved.
    fn tidy(&self, text: &str) -> String {
        match self.shape {
            Shape::Text { lower } => {
                let visible = text.chars().filter(|c| !is_hidden(*c));
                let text: String =
                    if lower { visible.flat_map(char::to_lowercase).collect() } else { visible.collect() };
                text.trim().to_owned()
            }
            Shape::Ascii(ascii) => ascii.tidy(text),
        }
    }

    /// Whether the name is one of the system's own.
    pub(super) fn is_reserved(&self, text: &str) -> bool {
        self.reserved.iter().any(|word| match word.strip_suffix('*') {
            Some(beginning) => text.get(..beginning.len()).is_some_and(|start| start.eq_ignore_ascii_case(beginning)),
            None => text.eq_ignore_ascii_case(word),
        })
    }
}

fn broken_text(text: &str, lower: bool) -> Option<Broken> {
    if text.chars().any(is_hidden) {
        Some(Broken::Hidden)
    } else if text.trim().len() != text.len() {
        Some(Broken::OuterSpace)
    } else if lower && !text.chars().flat_map(char::to_lowercase).eq(text.chars()) {
        Some(Broken::Capitals)
    } else {
        None
    }
}

fn looks_like_address(text: &str) -> bool {
    text.split('.').count() == 4 && text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
}

impl Ascii {
    fn broken(&self, text: &str) -> Option<Broken> {
        if !text.chars().all(|c| self.has(c)) {
            Some(Broken::Characters)
        } else if matches!(text, "." | "..") {
            Some(Broken::DotSegment)
        } else if !self.has_good_ends(text) {
            Some(Broken::Ends)
        } else if !self.has_good_joints(text) {
            Some(Broken::Joints)
        } else if self.joints == Joints::Host && looks_like_address(text) {
            Some(Broken::Address)
        } else {
            None
        }
    }

    fn has(&self, c: char) -> bool {
        c.is_ascii_lowercase()
            || c.is_ascii_digit()
            || (self.capitals && c.is_ascii_uppercase())
            || self.extra.contains(c)
    }

    fn has_good_ends(&self, text: &str) -> bool {
        match self.ends {
            Ends::Any => true,
            Ends::LettersAndDigits => [text.chars().next(), text.chars().next_back()]
                .iter()
                .all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric())),
            Ends::Login => text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'),
        }
    }

    fn has_good_joints(&self, text: &str) -> bool {
        let pairs = text.bytes().zip(text.bytes().skip(1));
        let mut joints = pairs.filter(|(left, right)| !left.is_ascii_alphanumeric() && !right.is_ascii_alphanumeric());
        match self.joints {
            Joints::Any => true,
            Joints::None => joints.next().is_none(),
            Joints::Labels | Joints::Host => joints.all(|pair| pair.0 != b'.' && pair.1 != b'.'),
        }
    }

    fn tidy(&self, text: &str) -> String {
        let mut name = String::with_capacity(text.len());
        // A login is typed by people, so that its letters matter; elsewhere a name is a slug, which is ASCII already.
        let text = if self.ends == Ends::Login { Cow::Owned(transliterate(text)) } else { Cow::Borrowed(text) };
        for c in text.chars() {
            let c = if self.capitals { c } else { c.to_ascii_lowercase() };
            if self.has(c) {
                name.push(c);
            } else if !name.ends_with(self.filler) {
                name.push(self.filler);
            }
        }
        let name = name.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let name = if self.joints == Joints::Any { name.to_owned() } else { self.rejoin(name) };
        if self.ends == Ends::Login && name.starts_with(|c: char| c.is_ascii_digit()) {
            format!("u{name}")
        } else {
            name
        }
    }

    /// One filler for each run of extra characters that may not stand beside each other.
    fn rejoin(&self, text: &str) -> String {
        let mut name = String::with_capacity(text.len());
        let mut run = String::new();
        for c in text.chars() {
            if !c.is_ascii_alphanumeric() {
                run.push(c);
                continue;
            }
            if self.has_good_joints(&run) {
                name.push_str(&run);
            } else {
                name.push(self.filler);
            }
            run.clear();
            name.push(c);
        }
        name
    }
}

struct Explanation<'a> {
    rule: &'a Rule,
    broken: Broken,
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rule { target, min, max, shape, .. } = self.rule;
        write!(f, "{target}: ")?;
        match (self.broken, shape) {
            (Broken::Blank, _) => f.write_str("must not be empty"),
            (Broken::Short, _) => write!(f, "must not be shorter than {min} characters"),
            (Broken::Long, _) => write!(f, "must not be longer than {max} characters"),
            (Broken::Hidden, _) => f.write_str("must not contain control or other invisible characters"),
            (Broken::OuterSpace, _) => f.write_str("must not begin or end with white space"),
            (Broken::Capitals, _) => f.write_str("must be in lower case"),
            (Broken::DotSegment, _) => f.write_str("must not be a dot segment"),
            (Broken::Ends, Shape::Ascii(Ascii { ends: Ends::Login, .. })) => {
                f.write_str("must begin with a lower-case letter or _")
            }
            (Broken::Ends, _) => f.write_str("must begin and end with a letter or digit"),
            (Broken::Joints, Shape::Ascii(Ascii { joints: Joints::None, extra, .. })) => {
                write!(f, "must have a letter or digit on either side of each of {}", Spaced(extra))
            }
            (Broken::Joints, _) => f.write_str("must have a letter or digit on either side of each dot"),
            (Broken::Address, _) => f.write_str("must not look like an IP address"),
            (Broken::Reserved, _) => f.write_str("is reserved"),
            (Broken::Characters, Shape::Ascii(Ascii { capitals, extra, .. })) => {
                let letters = if *capitals { "letters" } else { "lower-case letters" };
                write!(f, "may only contain {letters}, digits and {}", Spaced(extra))
            }
            (Broken::Characters, Shape::Text { .. }) => f.write_str("contains what it must not"),
        }
    }
}

/// Characters with a space between them.
struct Spaced<'a>(&'a str);

impl fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().enumerate().try_for_each(|(at, c)| if at == 0 { write!(f, "{c}") } else { write!(f, " {c}") })
    }
}
