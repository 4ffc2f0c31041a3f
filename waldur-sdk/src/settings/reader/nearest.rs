//! Which known key an unknown one was probably meant to be.

/// The known key with the fewest edits to `word`, if these are few for its length.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase();
    known
        .iter()
        .map(|key| (distance(&word, key), *key))
        .filter(|(edits, key)| *edits <= (key.len() / 3).clamp(1, 3))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, key)| key)
}

/// Levenshtein's distance: insertions, deletions and substitutions, by one row of the table.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (1..=to.chars().count()).collect();
    let mut last = row.len();
    for (above, a) in from.chars().enumerate() {
        let mut diagonal = above;
        last = above + 1;
        for (cell, b) in row.iter_mut().zip(to.chars()) {
            last = (diagonal + usize::from(a != b)).min(last + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, last);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("flaw", "lawn", 2),
            ("verify_sl", "verify_ssl", 1),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(from, to), edits, "{from} -> {to}");
        }
    }

    #[test]
    fn only_near_names_are_proposed() {
        let known = ["name", "timeout", "waldur_api_url", "waldur_api_token"];
        assert_eq!(nearest("timeuot", &known), Some("timeout"));
        assert_eq!(nearest("Timeout", &known), Some("timeout"));
        assert_eq!(nearest("waldur_api_ur", &known), Some("waldur_api_url"));
        assert_eq!(nearest("nam", &known), Some("name"));
        assert_eq!(nearest("na", &known), None);
        assert_eq!(nearest("completely_other", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
