//! Who gets access, who loses it, who keeps it (core.md §3.4). Pure.

use std::collections::{BTreeSet, HashSet};

use super::listed::AccountNames;
use crate::{
    backend::Grant,
    settings::UnmanagedUsers,
    types::{Personal, UserUuid},
};

/// A member of the team who may have access.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) user: UserUuid,
    pub(super) grant: Grant,
}

/// The two sides of one resource.
pub(super) struct Sides<'a> {
    /// Who may have access, no name twice.
    pub(super) wanted: &'a [Candidate],
    /// The project's accounts that no person has.
    pub(super) accounts: &'a AccountNames,
    /// Who has access.
    pub(super) present: &'a [String],
    /// Names that are never removed.
    pub(super) spared: &'a BTreeSet<Personal>,
    /// Names that another resource of the same back-end id wants.
    pub(super) shared: &'a BTreeSet<String>,
    /// Whether a name is one that Waldur gave out.
    pub(super) is_known: &'a dyn Fn(&str) -> bool,
    /// Whether the members of the resource are locked out.
    pub(super) restricted: bool,
    /// Whether the back end decides by itself who is a member.
    pub(super) own_membership: bool,
    pub(super) unmanaged: UnmanagedUsers,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub(super) struct Diff {
    /// People to be given access.
    pub(super) add: Vec<Candidate>,
    /// People who have it and keep it.
    pub(super) existing: Vec<Candidate>,
    /// Names to lose it.
    pub(super) remove: Vec<String>,
    /// Accounts of no person to be given access.
    pub(super) add_accounts: Vec<String>,
    /// Accounts of no person to lose it: closed, or locked out with the resource.
    pub(super) remove_accounts: Vec<String>,
    /// How many unknown names are left alone.
    pub(super) unmanaged: usize,
}

impl Diff {
    /// Whether anybody is to lose access.
    pub(super) fn removes(&self) -> bool {
        !(self.remove.is_empty() && self.remove_accounts.is_empty())
    }
}

/// Compares the two sides.
pub(super) fn diff(sides: &Sides<'_>) -> Diff {
    let present: HashSet<&str> = sides.present.iter().map(String::as_str).collect();
    let is_present = |candidate: &&Candidate| present.contains(candidate.grant.username.as_str());
    let mut diff = Diff::default();
    if sides.own_membership {
        diff.existing = sides.wanted.iter().filter(is_present).cloned().collect();
        return diff;
    }
    let wanted = if sides.restricted { &[] } else { sides.wanted };
    (diff.existing, diff.add) = wanted.iter().cloned().partition(|candidate| is_present(&candidate));
    let wanted: HashSet<&str> = wanted.iter().map(|candidate| candidate.grant.username.as_str()).collect();
    if !sides.restricted {
        let missing = |name: &&String| !present.contains(name.as_str()) && !wanted.contains(name.as_str());
        diff.add_accounts = sides.accounts.active.iter().filter(missing).cloned().collect();
    }
    let unwanted = |name: &&String| {
        !wanted.contains(name.as_str()) && !sides.spared.contains(name.as_str()) && !sides.shared.contains(*name)
    };
    for name in sides.present.iter().filter(unwanted) {
        match fate(name, sides) {
            Fate::Stays => {}
            Fate::LeftAlone => diff.unmanaged += 1,
            Fate::Goes => diff.remove.push(name.clone()),
            Fate::GoesAsAccount => diff.remove_accounts.push(name.clone()),
        }
    }
    diff.remove.sort();
    diff.remove_accounts.sort();
    diff
}

/// What becomes of a name that has access and that no member of the team has.
enum Fate {
    Stays,
    LeftAlone,
    Goes,
    GoesAsAccount,
}

fn fate(name: &String, sides: &Sides<'_>) -> Fate {
    let accounts = sides.accounts;
    if accounts.closed.contains(name) {
        return Fate::GoesAsAccount;
    }
    if accounts.active.contains(name) || accounts.other.contains(name) {
        return if sides.restricted { Fate::GoesAsAccount } else { Fate::Stays };
    }
    match sides.unmanaged {
        UnmanagedUsers::Keep if !(sides.is_known)(name) => Fate::LeftAlone,
        _ => Fate::Goes,
    }
}

/// Names for a report.
pub(super) fn personal(names: &[String]) -> Vec<Personal> {
    names.iter().map(|name| Personal::from(name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn set(text: &str) -> BTreeSet<String> {
        names(text).into_iter().collect()
    }

    fn candidates(text: &str) -> Vec<Candidate> {
        let user = UserUuid::new(uuid::Uuid::nil());
        names(text).into_iter().map(|name| Candidate { user, grant: Grant::new(name) }).collect()
    }

    /// Everything that decides, as words.
    #[derive(Clone, Copy, Default)]
    struct Case {
        wanted: &'static str,
        present: &'static str,
        active: &'static str,
        closed: &'static str,
        other: &'static str,
        spared: &'static str,
        shared: &'static str,
        known: &'static str,
        restricted: bool,
        own_membership: bool,
        keep: bool,
    }

    /// Added, kept, removed; accounts added, accounts removed; left alone.
    fn outcome(case: Case) -> (String, String, String, String, String, usize) {
        let (wanted, present, known) = (candidates(case.wanted), names(case.present), set(case.known));
        let (active, closed, other) = (set(case.active), set(case.closed), set(case.other));
        let diff = diff(&Sides {
            wanted: &wanted,
            accounts: &AccountNames { active, closed, other },
            present: &present,
            spared: &set(case.spared).into_iter().map(Personal::from).collect(),
            shared: &set(case.shared),
            is_known: &|name| known.contains(name),
            restricted: case.restricted,
            own_membership: case.own_membership,
            unmanaged: if case.keep { UnmanagedUsers::Keep } else { UnmanagedUsers::Remove },
        });
        let joined = |found: &[Candidate]| {
            found.iter().map(|candidate| candidate.grant.username.as_str()).collect::<Vec<_>>().join(" ")
        };
        let (add, existing) = (joined(&diff.add), joined(&diff.existing));
        (
            add,
            existing,
            diff.remove.join(" "),
            diff.add_accounts.join(" "),
            diff.remove_accounts.join(" "),
            diff.unmanaged,
        )
    }

    fn is(
        add: &str,
        keep: &str,
        remove: &str,
        accounts: [&str; 2],
        alone: usize,
    ) -> (String, String, String, String, String, usize) {
        let [added, removed] = accounts.map(str::to_owned);
        (add.to_owned(), keep.to_owned(), remove.to_owned(), added, removed, alone)
    }

    #[test]
    fn c33_the_two_sides_are_compared_by_name() {
        let case = Case { wanted: "a b", present: "b c", ..Case::default() };
        assert_eq!(outcome(case), is("a", "b", "c", ["", ""], 0));
        assert_eq!(outcome(Case { wanted: "a b", present: "b a", ..Case::default() }), is("", "a b", "", ["", ""], 0));
        assert_eq!(outcome(Case::default()), is("", "", "", ["", ""], 0));
    }

    #[test]
    fn c34_accounts_of_no_person_are_not_stale() {
        let case = Case { wanted: "a", present: "a svc course", active: "svc course", ..Case::default() };
        assert_eq!(outcome(case), is("", "a", "", ["", ""], 0));
        let case = Case { present: "svc", active: "new", closed: "svc", other: "", ..Case::default() };
        assert_eq!(outcome(case), is("", "", "", ["new", "svc"], 0));
        // In a state that says neither: not added, not removed.
        assert_eq!(outcome(Case { present: "x", other: "x y", ..Case::default() }), is("", "", "", ["", ""], 0));
        // A person may have the name of a closed account.
        assert_eq!(
            outcome(Case { wanted: "a", present: "a", closed: "a", ..Case::default() }),
            is("", "a", "", ["", ""], 0)
        );
    }

    #[test]
    fn c35_a_restricted_resource_keeps_nobody_whom_waldur_manages() {
        let case = Case {
            wanted: "a b",
            present: "b gone svc root",
            active: "svc other-svc",
            spared: "root",
            restricted: true,
            ..Case::default()
        };
        assert_eq!(outcome(case), is("", "", "b gone", ["", "svc"], 0));
        let keep = Case { known: "b gone", keep: true, present: "b gone svc root hand", ..case };
        assert_eq!(outcome(keep), is("", "", "b gone", ["", "svc"], 1));
    }

    #[test]
    fn f121_people_whom_nobody_here_added_are_left_alone_if_told_so() {
        let case = Case { wanted: "a", present: "a hand gone", known: "a gone", keep: true, ..Case::default() };
        assert_eq!(outcome(case), is("", "a", "gone", ["", ""], 1));
        assert_eq!(outcome(Case { keep: false, ..case }), is("", "a", "gone hand", ["", ""], 0));
        let spared = Case { keep: false, spared: "hand", shared: "gone", ..case };
        assert_eq!(outcome(spared), is("", "a", "", ["", ""], 0));
    }

    #[test]
    fn c33_a_back_end_with_members_of_its_own_is_only_reconciled() {
        let case = Case { wanted: "a b", present: "b c", active: "svc", own_membership: true, ..Case::default() };
        assert_eq!(outcome(case), is("", "b", "", ["", ""], 0));
    }
}
