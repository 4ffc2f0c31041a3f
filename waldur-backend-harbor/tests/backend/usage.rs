//! Measuring (harbor.md §4, §5.3), by the back end and by the reporter over it.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use waldur_backend_harbor::{client::StorageLimit, testing::SeedProject};
use waldur_sdk::{
    backend::{Aspects, Inspection, Period, ResourceBackend as _, Usage},
    types::{BackendId, Date},
};

use crate::common::{ALWAYS, Failure, GIB, GROUP, Gate, NAME, backend, backend_with, count, cx, id, pass_time, seed};

fn november() -> Period {
    Period::containing(Date::constant(2026, 11, 22))
}

async fn usage(gate: &Gate, names: &[&str]) -> Vec<String> {
    let ids: Vec<BackendId> = names.iter().map(|name| id(name)).collect();
    let backend = backend(gate);
    let answers = backend.usage().unwrap().usage(&cx(), &ids, november()).await;
    ids.iter().map(|id| shown(&answers[id])).collect()
}

fn shown(usage: &Usage) -> String {
    match usage {
        Usage::Measured(report) => report.total["storage"].to_string(),
        Usage::NotYet => "not yet".to_owned(),
        Usage::Unreadable(error) => format!("{:?}", error.kind()),
    }
}

#[tokio::test(start_paused = true)]
async fn h18_whole_units() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB).used(5_368_709_120)).unwrap();
    assert_eq!(usage(&gate, &[NAME]).await, ["5"]);
    assert_eq!(gate.take_log(), ["GET /quotas?reference=project&page=1&page_size=100"]);
}

#[tokio::test(start_paused = true)]
async fn h19_parts_of_units_are_not_lost() {
    let cases = [
        (1_610_612_736, "1.5"),
        (1_932_735_283, "1.8"),
        (966_367_641, "0.9"),
        (134_217_728, "0.13"),
        (5_368_710, "0.01"),
        (1, "0.01"),
        (0, "0"),
    ];
    for (bytes, expected) in cases {
        let gate = Gate::new();
        gate.fake.add_project(seed(20 * GIB).used(bytes)).unwrap();
        assert_eq!(usage(&gate, &[NAME]).await, [expected], "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn limit_and_usage_are_in_one_unit() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20_000_000_000).used(5_000_000_000)).unwrap();
    let backend = backend_with(gate.clone(), &gate.fake, json!({ "storage_bytes_per_unit": 1_000_000_000 }));
    let answers = backend.usage().unwrap().usage(&cx(), &[id(NAME)], november()).await;
    assert_eq!(shown(&answers[&id(NAME)]), "5");
    let state = backend.get(&cx(), &id(NAME)).await.unwrap().unwrap();
    assert_eq!(state.limits, crate::common::storage(20));
}

#[tokio::test(start_paused = true)]
async fn h20_one_that_cannot_be_read_leaves_the_others() {
    let gate = Gate::new();
    for (number, name) in ["waldur-a", "waldur-b", "waldur-c"].into_iter().enumerate() {
        let used = (number as u64 + 1) << 30;
        gate.fake.add_project(SeedProject::new(name).quota(20 * GIB).used(used)).unwrap();
    }
    let row = |name: &str, used: serde_json::Value| {
        let project = gate.fake.project(name).unwrap();
        json!({ "id": project.quota.unwrap().id, "ref": { "id": project.id, "name": name },
            "hard": { "storage": 20 * GIB }, "used": used })
    };
    // A row that does not tell, of a project whose quota answers 500 when it is asked for by itself.
    let rows = json!([
        row("waldur-a", json!({ "storage": GIB })),
        row("waldur-b", json!({})),
        row("waldur-c", json!({ "storage": 3 * GIB }))
    ]);
    gate.fail("page=1", ALWAYS, Failure::ok(&rows));
    gate.fail("reference_id=", ALWAYS, Failure::internal());
    assert_eq!(usage(&gate, &["waldur-a", "waldur-b", "waldur-c"]).await, ["1", "Server", "3"]);
    // It is asked for by itself, and answers.
    gate.mend();
    gate.fail("page=1", ALWAYS, Failure::ok(&rows));
    assert_eq!(usage(&gate, &["waldur-a", "waldur-b", "waldur-c"]).await, ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn h20_a_page_that_does_not_come_leaves_those_of_the_others() {
    let gate = Gate::new();
    let names: Vec<String> = (0..150).map(|number| format!("waldur-{number:03}")).collect();
    for name in &names {
        gate.fake.add_project(SeedProject::new(name).quota(GIB).used(1 << 30)).unwrap();
    }
    gate.fail("page=2", ALWAYS, Failure::internal());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // The newest come first, and library is the oldest of all: 50 are on the second page, and asked for by themselves.
    assert!(usage(&gate, &names).await.iter().all(|used| used == "1"));
    let log = gate.take_log();
    assert_eq!(count(&log, "reference_id="), 50);
    // So many at most: of the others it is not known what they use.
    gate.fail("page=1", ALWAYS, Failure::ok(&json!([])));
    let seen = usage(&gate, &names).await;
    assert_eq!((count(&seen, "1"), seen.iter().filter(|used| *used == "Inconsistent").count()), (64, 86));
}

#[tokio::test(start_paused = true)]
async fn h21_a_server_that_goes_away_in_the_middle_is_not_asked_about_each() {
    let gate = Gate::new();
    let names: Vec<String> = (0..350).map(|number| format!("waldur-{number:03}")).collect();
    for name in &names {
        gate.fake.add_project(SeedProject::new(name).quota(GIB).used(1 << 30)).unwrap();
    }
    let texts: Vec<&str> = names.iter().map(String::as_str).collect();
    let ids: Vec<BackendId> = names.iter().map(|name| id(name)).collect();
    let login = Failure::error(401, "UNAUTHORIZED", "unauthorized");
    let gone = Failure::Transport(waldur_sdk::rest::TransportErrorKind::Connect);
    for (failure, kind) in [(login, "Unauthenticated"), (gone, "Connect")] {
        for page in [2, 3, 4] {
            gate.fail(&format!("reference=project&page={page}&"), ALWAYS, failure.clone());
        }
        let seen = usage(&gate, &texts).await;
        assert_eq!((count(&seen, "1"), count(&seen, kind)), (100, 250), "{kind}");
        let states = backend(&gate).inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
        assert_eq!(states.len(), 350);
        assert_eq!(states.values().filter(|state| matches!(state, Ok(Some(_)))).count(), 100, "{kind}");
        assert_eq!(count(&gate.take_log(), "reference_id="), 0, "{kind}");
        gate.mend();
    }
    // Anything else may be about one page alone: some are asked about by themselves, and not all.
    for page in [2, 3, 4] {
        gate.fail(&format!("reference=project&page={page}&"), ALWAYS, Failure::internal());
    }
    let states = backend(&gate).inspect(&cx(), &Inspection::of(&ids, Aspects::ALL)).await;
    assert_eq!(states.values().filter(|state| matches!(state, Ok(Some(_)))).count(), 164);
    assert_eq!(count(&gate.take_log(), "reference_id="), 64);
}

#[tokio::test(start_paused = true)]
async fn what_is_measured_carries_the_stamp_that_is_known() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).used(7)).unwrap();
    let backend = backend(&gate);
    let stamp = async || {
        let answers = backend.usage().unwrap().usage(&cx(), &[id(NAME)], november()).await;
        match &answers[&id(NAME)] {
            Usage::Measured(report) => report.stamp.map(|stamp| stamp.0),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(stamp().await, None, "quotas tell of none");
    backend.get(&cx(), &id(NAME)).await.unwrap();
    assert_eq!(stamp().await, Some(crate::common::resource().uuid));
    // Two stamps are nobody's.
    gate.fake.set_allowlist(NAME, &[crate::common::STAMP, crate::common::OTHER_STAMP]);
    backend.get(&cx(), &id(NAME)).await.unwrap();
    let answers = backend.usage().unwrap().usage(&cx(), &[id(NAME)], november()).await;
    assert_eq!(shown(&answers[&id(NAME)]), "Foreign");
}

#[tokio::test(start_paused = true)]
async fn whoever_only_measures_finds_out_when_a_name_is_given_away() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).used(1 << 30)).unwrap();
    let backend = backend(&gate);
    let usage = async || {
        let answers = backend.usage().unwrap().usage(&cx(), &[id(NAME)], november()).await;
        shown(&answers[&id(NAME)])
    };
    assert_eq!(usage().await, "1");
    // Made again for the same resource, as after a restoration.
    gate.fake.remove_project(NAME);
    gate.fake.add_project(seed(GIB).used(2 << 30)).unwrap();
    assert_eq!([usage().await, usage().await], ["2", "2"]);
    gate.fake.remove_project(NAME);
    gate.fake.add_project(SeedProject::new(NAME).quota(GIB).used(3 << 30)).unwrap();
    // Whose it is, its number says: that is held against the one that Waldur has on record then.
    let number = gate.fake.project(NAME).unwrap().id.to_string();
    for _again in 0..2 {
        let answers = backend.usage().unwrap().usage(&cx(), &[id(NAME)], november()).await;
        let Usage::Measured(report) = &answers[&id(NAME)] else { panic!("{answers:?}") };
        assert_eq!((report.stamp, &report.published_id), (None, &Some(("harbor_project_id", number.clone()))));
    }
    // Two stamps are nobody's, for as long as they are there.
    gate.fake.remove_project(NAME);
    gate.fake.add_project(seed(GIB).tolerates(crate::common::OTHER_STAMP).used(4 << 30)).unwrap();
    assert_eq!([usage().await, usage().await], ["Foreign", "Foreign"]);
    gate.fake.set_allowlist(NAME, &[crate::common::STAMP]);
    assert_eq!(usage().await, "4");
}

#[tokio::test(start_paused = true)]
async fn h21_a_refused_login_is_an_error_for_all_and_nobodys_zero() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).used(7)).unwrap();
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| *robot.expires_at = 1);
    assert_eq!(usage(&gate, &[NAME, "waldur-other"]).await, ["Unauthenticated"; 2]);
    assert_eq!(gate.take_log().len(), 1, "asked once, and not again for each");
}

#[tokio::test(start_paused = true)]
async fn h21_a_robot_that_expires_between_two_pages_leaves_what_was_read_and_no_zero() {
    let gate = Gate::new();
    let names: Vec<String> = (0..150).map(|number| format!("waldur-{number:03}")).collect();
    for name in &names {
        gate.fake.add_project(SeedProject::new(name).quota(GIB).used(1 << 30)).unwrap();
    }
    gate.expire_after("page=1&");
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let seen = usage(&gate, &names).await;
    assert_eq!((count(&seen, "1"), count(&seen, "Unauthenticated")), (100, 50), "{seen:?}");
    assert_eq!(gate.fake.refused_logins(), 1, "nobody is asked about by itself with a login that is refused");
}

#[tokio::test(start_paused = true)]
async fn h22_f149_what_harbor_does_not_tell_is_left_out() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).used(7)).unwrap();
    gate.fake.remove_quota(NAME);
    assert_eq!(usage(&gate, &[NAME]).await, ["Inconsistent"]);
    let backend = backend(&gate);
    let states = backend.inspect(&cx(), &Inspection::of(&[id(NAME)], waldur_sdk::backend::Aspects::ALL)).await;
    let state = states[&id(NAME)].as_ref().unwrap().as_ref().unwrap();
    let metadata = state.metadata.as_ref().unwrap();
    assert_eq!(metadata["repository_count"], 1);
    assert!(!metadata.contains_key("storage_used_bytes") && !metadata.contains_key("quota_bytes"), "{metadata:?}");
    // A summary without quota is one that does not tell either.
    let summary = backend.client().projects().summary(&crate::common::project(NAME)).await.unwrap();
    assert_eq!((summary.repo_count, summary.used, summary.limit), (Some(1), None, None));
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_unknown_and_not_zero() {
    let gate = Gate::new();
    assert_eq!(usage(&gate, &[NAME]).await, ["NotFound"]);
}

#[tokio::test(start_paused = true)]
async fn a_month_that_is_over_is_never_measured() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB).used(7)).unwrap();
    let backend = backend(&gate);
    let ids = [id(NAME)];
    for period in [november().previous(), november().next()] {
        let answers = backend.usage().unwrap().usage(&cx(), &ids, period).await;
        assert_eq!(shown(&answers[&id(NAME)]), "not yet");
    }
    assert!(gate.take_log().is_empty());
    assert_eq!(shown(&backend.usage().unwrap().usage(&cx(), &ids, november()).await[&id(NAME)]), "0.01");
    pass_time(Duration::from_secs(9 * 24 * 3600)).await;
    let december = backend.usage().unwrap().usage(&cx(), &ids, november().next()).await;
    assert_eq!(shown(&december[&id(NAME)]), "0.01");
    assert!(backend.capabilities().decreasing_usage);
}

#[tokio::test(start_paused = true)]
async fn usage_falls_when_images_go() {
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB).used(5 << 30)).unwrap();
    assert_eq!(usage(&gate, &[NAME]).await, ["5"]);
    assert!(gate.fake.remove_repository(NAME, "data"));
    assert_eq!(usage(&gate, &[NAME]).await, ["0"]);
    assert!(gate.fake.group(GROUP).is_some());
}

proptest! {
    #[test]
    fn a_limit_is_a_number_of_bytes_or_none(bytes in any::<u64>()) {
        let limit = StorageLimit::at_most(bytes);
        prop_assert_eq!(limit.is_ok(), (1..=StorageLimit::MAX).contains(&bytes));
        if let Ok(limit) = limit {
            prop_assert_eq!(limit.bytes(), Some(bytes));
            prop_assert_eq!(limit.wire().to_string(), bytes.to_string());
        }
        prop_assert_eq!((StorageLimit::UNLIMITED.bytes(), StorageLimit::UNLIMITED.wire()), (None, -1));
    }
}

#[tokio::test(start_paused = true)]
async fn f041_f044_projects_by_themselves_are_left_alone_once_harbor_is_down_or_refuses_the_login() {
    for (status, kind, most) in [(401, "Unauthenticated", 8), (503, "Unavailable", 60)] {
        let gate = Gate::new();
        // Which no listing names.
        let names: Vec<String> = (0..60).map(|number| format!("waldur-gone-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        gate.fail("GET /projects/waldur-gone", ALWAYS, Failure::error(status, "UNAUTHORIZED", "no"));
        assert!(usage(&gate, &names).await.iter().all(|shown| shown == kind));
        let asked = count(&gate.take_log(), "waldur-gone");
        assert!(asked <= most, "{status}: {asked}");
        // A synchronisation looks at them as well.
        let ids: Vec<BackendId> = names.iter().map(|name| id(name)).collect();
        let states = backend(&gate).inspect(&cx(), &Inspection::of(&ids, Aspects::EXISTENCE)).await;
        assert!(states.values().all(|state| format!("{:?}", state.as_ref().unwrap_err().kind()) == kind));
        let asked = count(&gate.take_log(), "waldur-gone");
        assert!(asked <= most, "{status}: {asked}");
    }
}
