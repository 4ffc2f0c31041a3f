//! A robot with one right less: what `diagnose` says of it, what each operation comes to, and what is left (harbor.md §7).

use std::time::Duration;

use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, Permission, SeedProject, SeedRobot};
use waldur_sdk::{
    Error, ErrorKind, Result,
    backend::{
        Aspects, Inspection, MarketplaceResource, Outcome, Period, ResourceBackend as _, Status, Surroundings, Usage,
    },
    types::Date,
};

use crate::common::{
    GIB, GROUP, GROUP_NOTE, Gate, NAME, STAMP, backend, create, cx, delete, id, now, pass_time, request, resource,
    seed, set_limits, set_status, storage,
};

/// What the back end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Create,
    Inspect,
    Measure,
    Limits,
    Downscale,
    /// The group has another role than it is to have.
    Role,
    /// The resource is in another Waldur project than it was made in.
    Move,
    Delete,
}

use Work as W;

const ALL: [Work; 8] = [W::Create, W::Inspect, W::Measure, W::Limits, W::Downscale, W::Role, W::Move, W::Delete];

/// Each right, where it is granted, and what cannot be done without it. All robots that have something in all projects
/// see the list of them, and whoever is logged in may search for a group: two rights are for what goes wrong alone.
const RIGHTS: [(&str, &str, &[Work]); 13] = [
    ("project:create", "the system", &[W::Create]),
    ("project:list", "the system", &[]),
    ("quota:list", "the system", &[W::Create, W::Inspect, W::Measure, W::Limits, W::Downscale, W::Role, W::Move]),
    ("quota:update", "the system", &[W::Limits, W::Downscale]),
    ("user-group:create", "the system", &[W::Create, W::Move]),
    ("user-group:list", "the system", &[]),
    ("project:read", "all projects", &[W::Create, W::Inspect, W::Limits, W::Downscale, W::Role, W::Move, W::Delete]),
    ("project:update", "all projects", &[W::Create, W::Downscale, W::Move]),
    ("project:delete", "all projects", &[W::Delete]),
    ("member:create", "all projects", &[W::Create, W::Move]),
    ("member:update", "all projects", &[W::Role]),
    ("member:list", "all projects", &[W::Role, W::Move]),
    ("member:delete", "all projects", &[W::Move]),
];

/// A registry where only who has the right makes projects, before `work` begins.
fn before(work: Work, rights: Vec<Permission>) -> Gate {
    let fake = FakeHarbor::builder().clock(now).robot(SeedRobot::system("waldur", rights));
    let gate = Gate::over(
        fake.configure(|settings| "adminonly".clone_into(&mut settings.project_creation_restriction)).build(),
    );
    let project = match work {
        W::Create => return gate,
        W::Role => SeedProject::new(NAME).quota(20 * GIB).tolerates(STAMP).tolerates(GROUP_NOTE).group(GROUP, 5),
        W::Move => SeedProject::new(NAME).quota(20 * GIB).tolerates(STAMP).group("waldur-before", 2),
        _ => seed(20 * GIB),
    };
    gate.fake.add_project(project).unwrap();
    gate
}

async fn carry_out(work: Work, gate: &Gate) -> Result<()> {
    let backend = backend(gate);
    match work {
        W::Create => create(&backend, &request(storage(20))).await.map(drop),
        W::Inspect => backend
            .inspect(&cx(), &Inspection::of(&[id(NAME)], Aspects::ALL))
            .await
            .remove(&id(NAME))
            .unwrap()
            .map(drop),
        W::Measure => {
            let month = Period::containing(Date::constant(2026, 11, 22));
            match backend.usage().unwrap().usage(&cx(), &[id(NAME)], month).await.remove(&id(NAME)).unwrap() {
                Usage::Measured(_) => Ok(()),
                Usage::Unreadable(error) => Err(error),
                Usage::NotYet => unreachable!("it is this month's"),
            }
        }
        W::Limits => set_limits(&backend, storage(50)).await.map(drop),
        W::Downscale => set_status(&backend, storage(20), Status::Downscaled).await,
        W::Role => turn(&backend, resource()).await,
        W::Move => {
            let mut moved = resource();
            moved.metadata.insert("oidc_group".to_owned(), "waldur-before".into());
            turn(&backend, moved).await
        }
        W::Delete => delete(&backend).await.map(drop),
    }
}

/// Until the resource has had its turn.
async fn turn(backend: &waldur_backend_harbor::HarborBackend, resource: MarketplaceResource) -> Result<()> {
    for _cycle in 0..24 {
        pass_time(Duration::from_secs(300)).await;
        let about = Surroundings::new(resource.clone());
        backend.upkeep().unwrap().sync_project(&cx(), &id(NAME), &about).await?;
    }
    Ok(())
}

fn without(right: &str) -> Vec<Permission> {
    Permission::needed().into_iter().map(|block| block.without(right)).collect()
}

/// The project as the work is to leave it; `None` where there is to be none.
fn assert_done(work: Work, gate: &Gate) {
    let Some(project) = gate.fake.project(NAME) else { return assert_eq!(work, W::Delete) };
    let hard = match work {
        W::Limits => 50 * GIB,
        W::Downscale => GIB,
        _ => 20 * GIB,
    };
    assert_eq!((project.quota.unwrap().hard, project.groups()), (hard, vec![(GROUP, 2)]), "{work:?}");
    assert!(project.allowlist.contains(&STAMP.to_owned()), "{work:?}");
}

/// What an attempt leaves that was not permitted to finish.
fn assert_untouched(work: Work, right: &str, gate: &Gate, before: &Gate) {
    let (found, was) = (gate.fake.project(NAME), before.fake.project(NAME));
    match (work, right) {
        // It can neither be read nor taken back: it stays, private, limited and stamped, for the next attempt.
        (W::Create, "project:read") => assert_eq!(found.unwrap().allowlist, [STAMP, GROUP_NOTE]),
        // The note comes first, and says nothing while the quota is not small.
        (W::Downscale, "quota:update") => assert_eq!(found.unwrap().quota.unwrap().hard, 20 * GIB),
        // Both are noted, and the new group is let in, before the old one is to lose its role.
        (W::Move, "member:delete") => {
            assert_eq!(found.unwrap().groups(), [("waldur-before", 2), (GROUP, 2)]);
        }
        (W::Move, "member:create" | "user-group:create") => assert_eq!(found.unwrap().groups(), [("waldur-before", 2)]),
        _ => assert_eq!(found, was, "{work:?} without {right}"),
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_one_right_what_needs_it_fails_by_its_name_and_is_finished_when_it_is_granted() {
    for (right, _, needed_by) in RIGHTS {
        for work in ALL {
            let gate = before(work, without(right));
            let outcome = carry_out(work, &gate).await;
            if needed_by.contains(&work) {
                let error: Error = outcome.expect_err(right);
                // What is looked after beside the orders waits for the operator, and fells no resource.
                let kind = if matches!(work, W::Role | W::Move | W::Downscale) {
                    ErrorKind::NotReady
                } else {
                    ErrorKind::PermissionDenied
                };
                assert_eq!(error.kind(), kind, "{work:?} without {right}: {error}");
                assert!(error.message().contains(right), "{work:?} without {right}: {error}");
                assert_untouched(work, right, &gate, &before(work, Vec::new()));
                let login = gate.fake.robot_login().to_owned();
                gate.fake.edit_robot(&login, |robot| *robot.permissions = Permission::needed());
                carry_out(work, &gate).await.unwrap_or_else(|error| panic!("{work:?} with {right}: {error}"));
            } else {
                outcome.unwrap_or_else(|error| panic!("{work:?} without {right}: {error}"));
            }
            assert_done(work, &gate);
            assert!(gate.fake.unmodelled().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_missing_right_is_the_only_one_that_diagnose_names() {
    for (right, place, _) in RIGHTS {
        let mut rights = without(right);
        rights.push(Permission::system(&["robot:list", "robot:read"]));
        let gate = before(Work::Create, rights);
        let findings = crate::common::backend_with(gate.clone(), &gate.fake, json!({})).diagnose(&cx()).await;
        let failed: Vec<_> = findings.iter().filter(|finding| finding.outcome == Outcome::Failed).collect();
        let [finding] = failed.as_slice() else { panic!("{right}: {failed:#?}") };
        assert_eq!(finding.check, format!("{right} on {place}"));
        assert_eq!(finding.remedy.as_deref(), Some(format!("grant the robot {right} on {place}").as_str()));
        assert!(gate.take_writes().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_rights_that_are_taken_away_one_by_one_are_all_that_are_needed() {
    let of_images = ["repository:list", "repository:delete"];
    let left = RIGHTS
        .iter()
        .map(|(right, _, _)| *right)
        .chain(of_images)
        .fold(Permission::needed(), |blocks, right| blocks.into_iter().map(|block| block.without(right)).collect());
    assert_eq!(left, [Permission::system(&[]), Permission::all_projects(&[])]);
}
