//! Whether removals are believed at once (core.md §3.4 #4; faults.md rows 108, 152). Pure.

use super::{diff::Diff, plan::Sight, policy::RemovalGuard, report::HoldReason};

/// How many would lose access to anything, of how many who have it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    removals: usize,
    present: usize,
}

impl Tally {
    /// Notes what is to become of one resource's members. Whoever is locked out by the resource itself is meant to be.
    pub(super) fn note(&mut self, sight: &Sight<'_>, members: &Diff) {
        self.present += sight.present.map_or(0, |present| present.items().len());
        if sight.row.restrict_member_access != Some(true) {
            self.removals += members.remove.len();
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.removals += other.removals;
        self.present += other.present;
    }

    /// Whether so many would lose access to anything at all that something must be wrong.
    pub(super) fn is_doubtful(self, guard: &RemovalGuard) -> bool {
        exceeds(self.removals, self.present, guard)
    }
}

/// Why these removals need a second look, if they do. `team` is how many members the team has, whoever they are.
pub(super) fn suspicion(removals: usize, present: usize, team: usize, guard: &RemovalGuard) -> Option<HoldReason> {
    if removals == 0 {
        None
    } else if team == 0 {
        Some(HoldReason::EmptyTeam)
    } else if exceeds(removals, present, guard) {
        Some(HoldReason::TooMany { removals, present })
    } else {
        None
    }
}

/// Whether so many removals are too many at once.
pub(super) fn exceeds(removals: usize, present: usize, guard: &RemovalGuard) -> bool {
    removals > guard.free && (removals as u128) * 100 > (present as u128) * u128::from(guard.percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f152_an_empty_or_shrunken_team_is_doubted() {
        let guard = RemovalGuard::default();
        let doubted = |removals, present, team| suspicion(removals, present, team, &guard).is_some();
        assert!(!doubted(0, 0, 0), "nothing to remove");
        assert!(doubted(1, 1, 0), "an empty team");
        assert!(!doubted(5, 5, 1), "few are believed");
        assert!(doubted(6, 29, 23), "6 of 29 are more than a fifth");
        assert!(!doubted(6, 30, 24), "6 of 30 are a fifth");
        assert!(doubted(usize::MAX, usize::MAX, 1), "no overflow");
    }
}
