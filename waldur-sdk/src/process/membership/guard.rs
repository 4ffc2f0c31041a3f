//! Whether removals are believed at once (core.md §3.4 #4; faults.md rows 108, 152). Pure.

use super::{policy::RemovalGuard, report::HoldReason};

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
