//! The permissions that a robot account needs (harbor.md §7).

use waldur_sdk::{
    backend::{Finding, Outcome},
    types::Timestamp,
};

use crate::{client::Robot, settings::HarborSettings};

/// A robot that expires sooner than this is worth a warning, in seconds: two weeks.
const SOON: i64 = 14 * 24 * 3600;

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Right {
    kind: &'static str,
    resource: &'static str,
    action: &'static str,
}

const fn system(resource: &'static str, action: &'static str) -> Right {
    Right { kind: "system", resource, action }
}

const fn project(resource: &'static str, action: &'static str) -> Right {
    Right { kind: "project", resource, action }
}

/// What the calls of this back end need, but for [`FORCE`].
pub(crate) const NEEDED: [Right; 13] = [
    system("project", "create"),
    system("project", "list"),
    system("quota", "list"),
    system("quota", "update"),
    system("user-group", "create"),
    system("user-group", "list"),
    project("project", "read"),
    project("project", "update"),
    project("project", "delete"),
    project("member", "create"),
    project("member", "update"),
    project("member", "list"),
    project("member", "delete"),
];

/// What `force_delete_repositories` needs beside.
pub(crate) const FORCE: [Right; 2] = [project("repository", "list"), project("repository", "delete")];

/// What the specification grants beside, and no call of this version needs.
const SPARE: [Right; 6] = [
    system("quota", "read"),
    system("user-group", "read"),
    project("quota", "read"),
    project("member", "read"),
    project("repository", "read"),
    project("metadata", "read"),
];

impl Right {
    pub(crate) const fn is_of_projects(self) -> bool {
        matches!(self.kind.as_bytes(), b"project")
    }

    pub(crate) fn name(self) -> String {
        format!("{}:{}", self.resource, self.action)
    }

    fn is_granted(self, robot: &Robot) -> bool {
        let is_here = |namespace: &str| namespace == if self.is_of_projects() { "*" } else { "/" };
        let is_it = |name: &str, wanted: &str| name == wanted || name == "*";
        robot.permissions.iter().any(|block| {
            block.kind == self.kind
                && is_here(&block.namespace)
                && block
                    .access
                    .iter()
                    .any(|access| is_it(&access.resource, self.resource) && is_it(&access.action, self.action))
        })
    }
}

/// One finding for each right, from what the robot's own record says.
pub(super) fn of_robot(robot: &Robot, settings: &HarborSettings) -> Vec<Finding> {
    let force: &[Right] = if settings.force_delete_repositories { &FORCE } else { &[] };
    let needed = NEEDED.iter().chain(force).map(|right| (*right, true));
    let spare = SPARE.iter().map(|right| (*right, false));
    needed.chain(spare).map(|(right, is_needed)| of_right(robot, right, is_needed)).collect()
}

fn of_right(robot: &Robot, right: Right, is_needed: bool) -> Finding {
    let place = if right.is_of_projects() { "all projects" } else { "the system" };
    let check = format!("{} on {place}", right.name());
    if right.is_granted(robot) {
        Finding::passed(check, "granted")
    } else if is_needed {
        let remedy = format!("grant the robot {} on {place}", right.name());
        Finding::new(check, Outcome::Failed, "is not granted to the robot account").with_remedy(remedy)
    } else {
        Finding::new(check, Outcome::Skipped, "is not granted, and nothing needs it in this version")
    }
}

/// Whether the robot is about to be refused.
pub(super) fn expiry(robot: &Robot, now: Timestamp) -> Finding {
    const CHECK: &str = "robot account";
    const REMEDY: &str = "give the robot account more time: expired ones are refused";
    if robot.disable == Some(true) {
        return Finding::new(CHECK, Outcome::Failed, "is disabled").with_remedy("enable it");
    }
    match robot.expires_at {
        Some(-1) => Finding::passed(CHECK, "never expires"),
        Some(end) => {
            let left = end.saturating_sub(now.as_second());
            let detail = match Timestamp::from_second(end) {
                Ok(end) => format!("expires at {end}"),
                Err(_) => format!("expires in {left} s"),
            };
            let outcome = if left <= 0 {
                Outcome::Failed
            } else if left < SOON {
                Outcome::Warning
            } else {
                return Finding::passed(CHECK, detail);
            };
            Finding::new(CHECK, outcome, detail).with_remedy(REMEDY)
        }
        None => Finding::new(CHECK, Outcome::Skipped, "Harbor does not tell when it expires"),
    }
}
