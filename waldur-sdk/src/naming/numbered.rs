//! The next free number behind a name.

use std::collections::BTreeSet;

use super::fit::{is_at_most, prefix};

/// Numbers count up to here. Larger ones are somebody else's dates or phone numbers, and ours never reach them.
const END: u32 = 1_000_000_000;

/// A name with a number.
pub(super) struct Numbered<'a> {
    /// What it begins with.
    pub stem: &'a str,
    /// What stands before the number.
    pub separator: &'a str,
    /// The fewest digits that the number has.
    pub width: usize,
    /// How many characters there is always room for behind the stem.
    pub room: usize,
    /// The most characters of the whole.
    pub max: usize,
}

impl Numbered<'_> {
    /// The name with the number after the largest that is taken. Names of others count by their number and without
    /// regard to case, so that neither `john_doerr_04` nor `john_doe_admin` is in the way of `john_doe`, and `_100`
    /// follows `_99`.
    pub(super) fn next<'t>(&self, taken: &(impl Iterator<Item = &'t str> + Clone)) -> String {
        let mut length = self.max.saturating_sub(self.room);
        loop {
            let stem = prefix(self.stem, length);
            let stem = if stem.len() < self.stem.len() { stem.trim_end_matches('_') } else { stem };
            let base = format!("{stem}{}", self.separator);
            let name = format!("{base}{:0width$}", free(&base, taken.clone()), width = self.width);
            if is_at_most(&name, self.max) || length == 0 {
                return name;
            }
            length = prefix(self.stem, length).chars().count().saturating_sub(1);
        }
    }
}

fn free<'t>(base: &str, taken: impl Iterator<Item = &'t str> + Clone) -> u32 {
    let numbers = taken.filter_map(|name| number(base, name));
    match numbers.clone().max() {
        None => 0,
        Some(last) if last + 1 < END => last + 1,
        Some(_) => {
            let used: BTreeSet<u32> = numbers.collect();
            (0..END).find(|number| !used.contains(number)).unwrap_or(END)
        }
    }
}

fn number(base: &str, name: &str) -> Option<u32> {
    let (start, digits) = name.split_at_checked(base.len())?;
    if !start.eq_ignore_ascii_case(base) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|number| *number < END)
}
