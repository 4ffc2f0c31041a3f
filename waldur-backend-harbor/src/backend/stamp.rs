//! Whose a project is, and what else is noted on it.
//!
//! Harbor has no field for notes on a project. Its metadata are a fixed set, and every maintainer of the project may
//! change its labels. The stamp needs a place that takes free text, that comes with every reading of a project, and
//! that customers cannot write. There is one: the project's own list of vulnerabilities that do not count. (Only
//! administrators of the project can write it.) An entry that is not the name of a vulnerability has no effect,
//! whichever list the project uses.
//!
//! In a new project that list is empty, whatever the creating request says, and it can only be replaced as a whole. So
//! if two resources put a stamp on one project, the later one would win. Therefore a project is never without a stamp:
//! the request that makes it carries one as well, in `auto_scan`, which counts until the list has its own. A project
//! with neither was made by somebody else, even if its maker died long ago.

use waldur_sdk::{
    backend::{MarketplaceResource, Stamp},
    types::Uuid,
};

use crate::client::{Allowlist, AllowlistItem, Project, ProjectId};

const STAMP: &str = "waldur-resource-";
const DOWNSCALED: &str = "waldur-downscaled";
const GROUP: &str = "waldur-group-";

/// The member of the published metadata that holds the project's number.
pub(super) const PROJECT_ID: &str = "harbor_project_id";

/// What the entries of ours say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) stamp: Mark,
    /// It was to be scaled down by us. Noted before it is, so that it counts only while the quota is small.
    pub(super) downscaled: bool,
    /// The groups that got a role from us and may have it still, by name. One, unless it is moving between Waldur
    /// projects: then the one that is to have it comes last; none on a project that is older than such notes.
    pub(super) groups: Vec<String>,
    /// Where the stamp is [broken](Mark::Broken), whose are there.
    pub(super) claims: Box<[Stamp]>,
}

impl Marks {
    /// The same on a project of this resource.
    pub(super) fn stamped(mut self, stamp: Stamp) -> Self {
        self.stamp = Mark::Stamp(stamp);
        self.claims = Box::default();
        self
    }
}

/// Whose stamp is on a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nobody's.
    #[default]
    None,
    /// This resource's.
    Stamp(Stamp),
    /// More than one resource's, or none that there can be: nothing to build on.
    Broken,
    /// Harbor did not show it.
    Unknown,
}

/// What is noted on a project. What it was born with counts while there is no stamp on its list.
pub(super) fn of(project: &Project) -> Marks {
    let unknown = || Marks { stamp: Mark::Unknown, ..Marks::default() };
    let mut marks = project.cve_allowlist.as_ref().map_or_else(unknown, read);
    if marks.stamp == Mark::None {
        marks.stamp = born_with(project);
    }
    marks
}

/// The stamp that a project was born with, if it has not grown up since.
pub(super) fn born_with(project: &Project) -> Mark {
    let text = project.metadata.auto_scan.as_deref().unwrap_or_default();
    after(text.trim(), STAMP).map_or(Mark::None, |uuid| parsed(uuid).map_or(Mark::Broken, Mark::Stamp))
}

/// A stamp as it is written.
pub(super) fn text(stamp: Stamp) -> String {
    format!("{STAMP}{}", stamp.0.hex())
}

fn parsed(uuid: &str) -> Option<Stamp> {
    Uuid::try_parse(uuid).ok().map(|uuid| Stamp(uuid.into()))
}

/// Reads the entries of ours.
pub(super) fn read(list: &Allowlist) -> Marks {
    let mut marks = Marks::default();
    let mut claims = Vec::new();
    for item in &list.items {
        let text = item.cve_id.trim();
        if text.eq_ignore_ascii_case(DOWNSCALED) {
            marks.downscaled = true;
        } else if let Some(group) = after(text, GROUP) {
            if !group.is_empty() && !marks.groups.iter().any(|known| known == group) {
                marks.groups.push(group.to_owned());
            }
        } else if let Some(uuid) = after(text, STAMP) {
            let stamp = parsed(uuid);
            claims.extend(stamp);
            marks.stamp = match (marks.stamp, stamp.map(Mark::Stamp)) {
                (Mark::None, Some(stamp)) => stamp,
                (before, Some(stamp)) if before == stamp => stamp,
                _ => Mark::Broken,
            };
        }
    }
    if marks.stamp == Mark::Broken {
        marks.claims = claims.into();
    }
    marks
}

/// What comes after a prefix, in whatever case that is written.
fn after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (begin, rest) = text.split_at_checked(prefix.len())?;
    begin.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The list with our entries as they are to be, everybody else's as they are; `None` when it is so already.
pub(super) fn written(list: &Allowlist, marks: &Marks) -> Option<Allowlist> {
    if read(list) == *marks {
        return None;
    }
    let is_ours = |item: &AllowlistItem| {
        let text = item.cve_id.trim();
        text.eq_ignore_ascii_case(DOWNSCALED) || after(text, GROUP).is_some() || after(text, STAMP).is_some()
    };
    let mut items: Vec<_> = list.items.iter().filter(|item| !is_ours(item)).cloned().collect();
    let mut add = |cve_id: String| items.push(AllowlistItem { cve_id });
    if let Mark::Stamp(stamp) = marks.stamp {
        add(text(stamp));
    }
    if marks.downscaled {
        add(DOWNSCALED.to_owned());
    }
    marks.groups.iter().for_each(|group| add(format!("{GROUP}{group}")));
    Some(Allowlist { expires_at: list.expires_at, items })
}

/// The number of the project that Waldur knows the resource by. A name may be given to another project, a number never.
pub(super) fn recorded_id(resource: &MarketplaceResource) -> Option<ProjectId> {
    let value = resource.metadata.get(PROJECT_ID)?;
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Some(ProjectId::new(number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]

    use super::*;

    fn list(items: &[&str]) -> Allowlist {
        let items = items.iter().map(|text| AllowlistItem { cve_id: (*text).to_owned() }).collect();
        Allowlist { expires_at: Some(7), items }
    }

    fn stamp(number: u128) -> Stamp {
        Stamp(Uuid::from_u128(number).into())
    }

    fn marks(stamp: Mark, downscaled: bool, groups: &[&str]) -> Marks {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Marks { stamp, downscaled, groups, claims: Box::default() }
    }

    #[test]
    fn a_stamp_is_read_back_among_what_others_wrote() {
        let others = list(&["CVE-2021-44228", "GHSA-x"]);
        assert_eq!(read(&others), marks(Mark::None, false, &[]));
        for (downscaled, groups) in [(true, ["waldur-Team", "ö"].as_slice()), (false, &[]), (false, &["a"])] {
            let wanted = marks(Mark::Stamp(stamp(7)), downscaled, groups);
            let written = written(&others, &wanted);
            assert_eq!(written.as_ref().map(read), Some(wanted.clone()));
            assert_eq!(written.as_ref().map(|list| list.expires_at), Some(Some(7)));
            let kept = written.iter().flat_map(|list| &list.items).filter(|item| !item.cve_id.starts_with("waldur"));
            assert_eq!(kept.count(), 2);
            assert!(written.is_some_and(|list| super::written(&list, &wanted).is_none()));
        }
    }

    #[test]
    fn entries_are_ours_in_whatever_case() {
        let odd = list(&[" WALDUR-DOWNSCALED ", "Waldur-Group-A b", "waldur-group-A b", "waldur-group-", "ß"]);
        assert_eq!(read(&odd), marks(Mark::None, true, &["A b"]));
        let left = written(&odd, &marks(Mark::None, false, &[]));
        assert_eq!(left, Some(list(&["ß"])));
    }

    #[test]
    fn two_stamps_are_none_to_build_on() {
        let two = [format!("{STAMP}{}", stamp(1).0.hex()), format!("{STAMP}{}", stamp(2).0.hex())];
        let both: Vec<&str> = two.iter().map(String::as_str).collect();
        let broken = read(&list(&both));
        assert_eq!((broken.stamp, &*broken.claims), (Mark::Broken, [stamp(1), stamp(2)].as_slice()));
        let mended = written(&list(&both), &broken.stamped(stamp(2)));
        assert_eq!(mended, Some(list(&[both[1]])));
        assert_eq!(read(&list(&["waldur-resource-x"])).stamp, Mark::Broken);
        let twice = [both[0], both[0]];
        assert_eq!(read(&list(&twice)), marks(Mark::Stamp(stamp(1)), false, &[]));
    }
}
