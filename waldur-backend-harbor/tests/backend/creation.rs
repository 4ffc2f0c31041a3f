//! Making projects, and whose they are (harbor.md §5.1).

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join;
use serde_json::json;
use waldur_backend_harbor::testing::{FakeHarbor, SeedProject};
use waldur_sdk::{
    Effect, ErrorClass, ErrorKind, Result,
    backend::{CreateRequest, Created, Origin, ResourceBackend as _},
    rest::TransportErrorKind,
    testing::Latency,
    types::Limits,
};

use crate::common::{
    ALWAYS, Failure, GIB, GROUP, GROUP_NOTE, Gate, NAME, OTHER_STAMP, STAMP, backend, backend_with, count, create, cx,
    decimal, environment, hard, id, request, seed, storage, unlimited,
};

/// The only project, as a creation is to leave it.
fn assert_whole(gate: &Gate, bytes: i64) {
    let project = gate.fake.project(NAME).unwrap();
    assert_eq!(project.quota.unwrap().hard, bytes);
    assert_eq!(project.groups(), [(GROUP, 2)]);
    assert!(!project.public);
    assert_eq!(project.allowlist, [STAMP, GROUP_NOTE]);
    assert!(project.metadata.get("auto_scan").is_none_or(|scans| scans == "false"), "{project:?}");
    assert_eq!(gate.fake.projects(), [NAME]);
    assert!(gate.fake.unmodelled().is_empty(), "{:?}", gate.fake.unmodelled());
}

#[tokio::test(start_paused = true)]
async fn h01_a_project_is_private_and_limited_from_the_first_moment() {
    let gate = Gate::new();
    let created = create(&backend(&gate), &request(storage(20))).await.unwrap();
    let log = gate.take_log();
    let metadata = format!(r#"{{"public":"false","auto_scan":"{STAMP}"}}"#);
    let body = format!(r#"{{"project_name":"{NAME}","metadata":{metadata},"storage_limit":21474836480}}"#);
    assert!(log.contains(&format!("POST /projects {body}")), "{log:#?}");
    assert_whole(&gate, 20 * GIB);
    // Ordered and given are the same, so that Waldur has nothing to learn.
    assert!(created.limits.is_none() && created.warnings.is_empty());
    let state = backend(&gate).get(&cx(), &id(NAME)).await.unwrap().unwrap();
    assert_eq!((state.id.as_str(), state.limits), (NAME, storage(20)));
}

#[tokio::test(start_paused = true)]
async fn h02_without_a_limit_the_default_is_given_and_told() {
    let gate = Gate::new();
    let created = create(&backend(&gate), &request(Limits::new())).await.unwrap();
    assert_whole(&gate, 10 * GIB);
    assert_eq!(created.limits, Some(storage(10)));
    // What the offering does not sell is not in the way.
    gate.fake.remove_project(NAME);
    let other = [("traffic".to_owned(), waldur_sdk::types::Limit::At(10_u32.into()))].into();
    assert_eq!(create(&backend(&gate), &request(other)).await.unwrap().limits, Some(storage(10)));
}

#[tokio::test(start_paused = true)]
async fn h03_unlimited_only_when_it_is_asked_for() {
    let gate = Gate::new();
    create(&backend(&gate), &request(unlimited())).await.unwrap();
    assert_whole(&gate, -1);
    let log = gate.take_log();
    assert_eq!((count(&log, r#""storage_limit":-1"#), count(&log, "PUT /quotas")), (1, 0), "{log:#?}");
}

#[tokio::test(start_paused = true)]
async fn h04_a_limit_of_nothing_or_beyond_all_measure_is_refused_before_anything_is_written() {
    let gate = Gate::new();
    for limits in [storage(0), decimal("0.0000000001"), decimal("1048577"), decimal("1e28"), decimal("9e18")] {
        let error = create(&backend(&gate), &request(limits)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Rejected, "{error}");
        assert!(error.customer_message().unwrap().contains("greater than 0"));
    }
    assert!(gate.take_log().is_empty());
    create(&backend(&gate), &request(decimal("1048576"))).await.unwrap();
    assert_whole(&gate, 1 << 50);
}

#[tokio::test(start_paused = true)]
async fn h05_a_group_that_exists_is_bound_and_not_made_again() {
    let gate = Gate::new();
    let group = gate.fake.add_group(GROUP, 3).unwrap();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
    let log = gate.take_log();
    assert_eq!(count(&log, "POST /usergroups"), 0, "{log:#?}");
    let bound = format!(r#"members {{"member_group":{{"id":{}}},"role_id":2}}"#, group.id);
    assert_eq!(count(&log, &bound), 1, "{log:#?}");
}

#[tokio::test(start_paused = true)]
async fn h06_a_group_that_is_called_alike_is_another_one() {
    let gate = Gate::new();
    gate.fake.add_group("waldur-test-project-2", 3).unwrap();
    gate.fake.add_group("Waldur-test-project", 3).unwrap();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
    assert_eq!(gate.fake.group(GROUP).unwrap().kind, 3);
}

#[tokio::test(start_paused = true)]
async fn h07_a_group_that_another_process_just_made_is_taken() {
    let gate = Gate::new();
    let all = vec![gate.fake.add_group(GROUP, 3).unwrap()];
    // Not there yet when it is looked for the first time.
    gate.fail("GET /usergroups", 1, Failure::ok(&json!([])));
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
    assert_eq!(gate.fake.groups(), all);
}

#[tokio::test(start_paused = true)]
async fn h08_a_group_whose_number_is_not_told_is_looked_up() {
    let gate = Gate::new();
    gate.lose_answer("POST /usergroups", 1, Failure::Status(201, String::new()));
    // That of the project is not told either.
    gate.lose_answer("POST /projects {", 1, Failure::Status(201, String::new()));
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
}

#[tokio::test(start_paused = true)]
async fn h07_answers_that_are_lost_lead_to_no_second_object() {
    for lost in ["POST /usergroups", "POST /projects {", "/members {", "PUT /projects/"] {
        let gate = Gate::new();
        gate.lose_answer(lost, 1, Failure::Transport(TransportErrorKind::Timeout));
        let first = create(&backend(&gate), &request(storage(20))).await;
        if let Err(error) = first {
            assert!(error.is_passing(), "{lost}: {error}");
            create(&backend(&gate), &request(storage(20))).await.unwrap();
        }
        assert_whole(&gate, 20 * GIB);
        assert_eq!((gate.fake.groups().len(), gate.fake.members_of(NAME).len()), (1, 2), "{lost}");
    }
}

#[tokio::test(start_paused = true)]
async fn h11_a_person_who_is_called_like_the_group_is_no_group() {
    let gate = Gate::new();
    gate.fake.add_user(GROUP, "Secret123", false).unwrap();
    gate.fake.add_project(SeedProject::new(NAME).quota(GIB).tolerates(STAMP)).unwrap();
    gate.fake.set_user_role(NAME, GROUP, 1);
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
    // The administrator who made it, the person, the group: nobody was taken away.
    assert_eq!(gate.fake.members_of(NAME).len(), 3);
}

#[tokio::test(start_paused = true)]
async fn h13_somebody_elses_project_is_left_alone() {
    let full = (0..5).fold(SeedProject::new(NAME), |seed, number| {
        seed.image(&format!("repo-{number}"), waldur_backend_harbor::testing::Image::new("v1").layer("l", 1))
    });
    let strangers = [
        full,
        // Empty, private, nobody's: as somebody has just made it by hand.
        SeedProject::new(NAME),
        SeedProject::new(NAME).auto_scan("true"),
        SeedProject::new(NAME).auto_scan(OTHER_STAMP),
        SeedProject::new(NAME).auto_scan("waldur-resource-of-somebody"),
        SeedProject::new(NAME).auto_scan(STAMP).tolerates(OTHER_STAMP),
        SeedProject::new(NAME).public(),
        SeedProject::new(NAME).group("the-others", 1),
        SeedProject::new(NAME).tolerates("CVE-2021-44228"),
        SeedProject::new(NAME).group(GROUP, 2).tolerates(OTHER_STAMP),
        SeedProject::new(NAME).tolerates(STAMP).tolerates(OTHER_STAMP),
    ];
    for stranger in strangers {
        let gate = Gate::new();
        gate.fake.add_project(stranger).unwrap();
        let before = gate.fake.project(NAME);
        let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
        assert_eq!(gate.fake.project(NAME), before);
        // The only write is the one that Harbor refused.
        let writes = gate.take_writes();
        assert!(writes.len() == 1 && writes[0].starts_with("POST /projects {"), "{writes:#?}");
        assert!(gate.fake.group(GROUP).is_none() || before.unwrap().groups() == [(GROUP, 2)]);
    }
}

#[tokio::test(start_paused = true)]
async fn h13_two_resources_whose_slugs_come_to_one_name_do_not_share_a_project() {
    let gate = Gate::new();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    let before = gate.fake.project(NAME);
    let mut second = request(storage(5));
    second.resource.uuid = waldur_sdk::types::Uuid::from_u128(7).into();
    let error = create(&backend(&gate), &second).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
    assert_eq!(gate.fake.project(NAME), before);
}

/// Another resource of the same Waldur project, whose name comes to the same.
pub(crate) fn rival(limits: Limits) -> CreateRequest {
    let mut rival = request(limits);
    rival.resource.uuid = waldur_sdk::types::Uuid::from_u128(7).into();
    rival
}

/// One of the two has the project, with its stamp on it, and the other was told that it is taken. Which one?
pub(crate) fn assert_one_has_it(gate: &Gate, outcomes: [&Result<Created>; 2], case: &str) -> usize {
    let stamps = [STAMP, "waldur-resource-00000000000000000000000000000007"];
    let winners: Vec<_> = (0..2).filter(|which| outcomes[*which].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{case}: {outcomes:?}");
    let loser = outcomes[1 - winners[0]].as_ref().unwrap_err();
    assert_eq!(loser.class(), ErrorClass::Foreign, "{case}: {loser}");
    let project = gate.fake.project(NAME).unwrap();
    assert_eq!((project.allowlist[0].as_str(), winners[0]), (stamps[winners[0]], winners[0]), "{case}");
    assert_eq!(project.quota.unwrap().hard, [20, 5][winners[0]] * GIB, "{case}");
    winners[0]
}

#[tokio::test(start_paused = true)]
async fn h13_two_resources_that_are_given_one_name_at_once_do_not_share_a_project() {
    let slow = |gate: &Gate, millis| Latency::new(gate.clone(), environment(), Duration::from_millis(millis));
    // In one process, one after the other.
    let gate = Gate::new();
    let one = backend_with(slow(&gate, 50), &gate.fake, json!({}));
    let (mine, theirs) = (request(storage(20)), rival(storage(5)));
    let (first, second) = join(create(&one, &mine), create(&one, &theirs)).await;
    assert_one_has_it(&gate, [&first, &second], "one process");
    // In two, whichever is faster, and whenever the other comes.
    // However long a stamp takes.
    for (mine_takes, theirs_takes) in [(50, 50), (50, 10), (300, 20), (20, 300), (9000, 20), (20, 9000)] {
        for delay in [0, 5, 20, 60, 100, 290, 330, 400, 1000, 9_100, 18_200] {
            let gate = Gate::new();
            let mine = backend_with(slow(&gate, mine_takes), &gate.fake, json!({}));
            let theirs = backend_with(slow(&gate, theirs_takes), &gate.fake, json!({}));
            let later = async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                create(&theirs, &rival(storage(5))).await
            };
            let (first, second) = join(create(&mine, &request(storage(20))), later).await;
            assert_one_has_it(&gate, [&first, &second], &format!("{mine_takes} {theirs_takes} {delay}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn h13_what_another_resource_has_taken_meanwhile_is_not_taken_back() {
    let gate = Gate::new();
    // It was made, and while its stamp is on the way somebody else's is put on.
    let theirs = json!({ "project_id": 2, "name": NAME, "repo_count": 0, "metadata": { "public": "false" },
        "cve_allowlist": { "items": [{ "cve_id": OTHER_STAMP }] } });
    gate.fail("GET /projects/waldur-test-registry", ALWAYS, Failure::ok(&theirs));
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Foreign, "{error}");
    assert_eq!((gate.fake.projects().len(), count(&gate.take_log(), "DELETE ")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_pushes_before_the_stamp_is_on() {
    let gate = Gate::new();
    gate.fail("PUT /projects/", ALWAYS, Failure::internal());
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert!(gate.fake.project(NAME).unwrap().groups().is_empty(), "an image would make it a stranger's project");
    gate.mend();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
}

#[tokio::test(start_paused = true)]
async fn h14_a_project_that_waldur_has_on_record_is_brought_in_line() {
    let gate = Gate::new();
    // Older than stamps, with images, another quota, another role, and entries of its own.
    let old = SeedProject::new(NAME).quota(3 * GIB).group(GROUP, 3).used(2 << 30).tolerates("CVE-2021-44228");
    gate.fake.add_project(old).unwrap();
    let recorded = request(storage(20)).with_origin(Origin::Recorded);
    create(&backend(&gate), &recorded).await.unwrap();
    let project = gate.fake.project(NAME).unwrap();
    assert_eq!((project.quota.unwrap().hard, project.groups()), (20 * GIB, vec![(GROUP, 2)]));
    assert_eq!(project.allowlist, ["CVE-2021-44228", STAMP, GROUP_NOTE]);
    gate.take_log();
    // Once more: all is there, and nothing is written but the question whether it is.
    create(&backend(&gate), &recorded).await.unwrap();
    let writes = gate.take_writes();
    assert!(writes.len() == 1 && writes[0].starts_with("POST /projects {"), "{writes:#?}");
}

#[tokio::test(start_paused = true)]
async fn h14_a_name_that_was_given_to_another_project_since_is_not_ours_any_more() {
    let gate = Gate::new();
    let project = gate.fake.add_project(SeedProject::new(NAME).quota(GIB)).unwrap();
    for (number, ours) in [(project.id, true), (project.id + 1, false)] {
        let mut recorded = request(storage(20)).with_origin(Origin::Recorded);
        recorded.resource.metadata.insert("harbor_project_id".to_owned(), number.into());
        gate.fake.set_allowlist(NAME, &[]);
        let outcome = create(&backend(&gate), &recorded).await;
        match outcome {
            Ok(_) => assert!(ours),
            Err(error) => assert!(!ours && error.class() == ErrorClass::Foreign, "{error}"),
        }
    }
    assert_eq!(hard(&gate), Some(20 * GIB));
}

#[tokio::test(start_paused = true)]
async fn h15_a_project_that_was_made_in_between_is_judged_by_whose_it_is() {
    // What an interrupted attempt leaves is finished.
    let gate = Gate::new();
    gate.fake.add_project(SeedProject::new(NAME).quota(10 * GIB).auto_scan(STAMP)).unwrap();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
    // It is there, and cannot be read: neither adopted nor given up.
    let gate = Gate::new();
    gate.fake.add_project(seed(20 * GIB)).unwrap();
    gate.fail("GET /projects/", ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!((error.class(), error.effect()), (ErrorClass::NotReady, Effect::Unknown), "{error}");
    gate.mend();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
}

#[tokio::test(start_paused = true)]
async fn h16_a_limit_that_harbor_replaced_is_set_again() {
    // Where the account may make projects and not choose quotas, Harbor takes its own default without a word.
    let gate = Gate::with(|builder| builder.configure(|settings| settings.storage_per_project = 3 * GIB));
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| {
        let blocks = std::mem::take(robot.permissions);
        *robot.permissions = blocks.into_iter().map(|block| block.without("project:create")).collect();
    });
    // The number of the quota is not that of the project.
    gate.fake.add_project(SeedProject::new("waldur-without").without_quota()).unwrap();
    gate.fake.remove_project("waldur-without");
    let (made, seen) = (Arc::new(Mutex::new(None)), gate.clone());
    let first = made.clone();
    gate.after("POST /projects {", move |_| *first.lock().unwrap() = hard(&seen));
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_eq!(*made.lock().unwrap(), Some(3 * GIB), "as Harbor made it");
    assert_whole(&gate, 20 * GIB);
    let id = gate.fake.quota_of(NAME).unwrap().id;
    assert_ne!(id, gate.fake.project(NAME).unwrap().id);
    let writes = gate.take_writes();
    assert_eq!((count(&writes, "PUT /quotas/"), count(&writes, &format!("PUT /quotas/{id} "))), (1, 1), "{writes:#?}");
}

#[tokio::test(start_paused = true)]
async fn h17_where_quotas_are_disabled_a_finite_limit_fails_the_order_and_leaves_nothing() {
    let gate = Gate::with(|builder| builder.configure(|settings| settings.quota_per_project = false));
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert!(error.class() == ErrorClass::Broken && error.message().contains("quotas are disabled"), "{error}");
    assert!(gate.fake.projects().is_empty());
    create(&backend(&gate), &request(unlimited())).await.unwrap();
    assert_eq!((gate.fake.projects().len(), hard(&gate)), (1, None));
    let state = backend(&gate).get(&cx(), &id(NAME)).await.unwrap().unwrap();
    assert!(state.limits.is_empty(), "unlimited is not what was read");
}

#[tokio::test(start_paused = true)]
async fn f157_a_quota_that_is_acknowledged_and_not_kept_is_no_success() {
    let gate = Gate::new();
    gate.fake.add_project(seed(GIB)).unwrap();
    gate.fake.ignore_quota_writes(ALWAYS);
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent, "{error}");
    assert!(error.message().contains("21474836480 bytes") && error.message().contains("1073741824 bytes"), "{error}");
    // It was not made by this attempt, so it stays.
    assert_eq!(gate.fake.projects(), [NAME]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_finished_for_good_leaves_no_project() {
    for (right, failing) in [("member:create", "/members {"), ("project:update", "PUT /projects/")] {
        let gate = Gate::new();
        gate.fail(failing, ALWAYS, Failure::error(403, "FORBIDDEN", "forbidden"));
        let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        assert!(error.message().contains(right), "{error}");
        assert!(gate.fake.projects().is_empty());
    }
    // What passes leaves it for the next attempt.
    let gate = Gate::new();
    gate.fail("/members {", ALWAYS, Failure::internal());
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient, "{error}");
    assert_eq!(gate.fake.projects(), [NAME]);
    gate.mend();
    create(&backend(&gate), &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_another_type_is_not_bound_and_nothing_is_half_done() {
    let gate = Gate::new();
    gate.fake.add_group(GROUP, 2).unwrap();
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert!(error.class() == ErrorClass::Broken && error.message().contains("type 2"), "{error}");
    assert!(gate.fake.projects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_whose_name_has_wildcards_is_found_by_its_letters() {
    for version in ["v2.13.0", "v2.14.0"] {
        let gate = Gate::with(|builder| builder.version(version));
        for other in ["waldur-aXb%c", "waldur-a_b-and-c", "waldur-aXbYc"] {
            gate.fake.add_group(other, 3).unwrap();
        }
        let mut odd = request(storage(20));
        "a_b%c".clone_into(&mut odd.resource.project.slug);
        create(&backend(&gate), &odd).await.unwrap();
        assert_eq!(gate.fake.project(NAME).unwrap().groups(), [("waldur-a_b%c", 2)], "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_account_may_not_do_is_said_and_nothing_is_half_done() {
    // It may list, and not create.
    let gate = Gate::with(|builder| {
        builder.configure(|settings| {
            settings.project_creation_restriction = "adminonly".to_owned();
        })
    });
    let login = gate.fake.robot_login().to_owned();
    gate.fake.edit_robot(&login, |robot| {
        let blocks = std::mem::take(robot.permissions);
        *robot.permissions = blocks.into_iter().map(|block| block.without("project:create")).collect();
    });
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::PermissionDenied, ErrorClass::Broken), "{error}");
    assert!(error.message().contains("project:create"), "{error}");
    assert!(gate.fake.projects().is_empty() && gate.fake.groups().is_empty());
    // Read-only mode passes.
    gate.fake.configure(|settings| settings.read_only = true);
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::NotReady, Some("DENIED")), "{error}");
    // It expired in the middle of it.
    gate.fake.configure(|settings| settings.read_only = false);
    gate.fake.edit_robot(&login, |robot| *robot.expires_at = 1);
    let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
    assert_eq!((error.kind(), error.class()), (ErrorKind::Unauthenticated, ErrorClass::NotReady), "{error}");
    assert!(gate.fake.projects().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_robot_that_expires_in_the_middle_leaves_what_the_next_attempt_finishes() {
    for last in ["POST /projects {", "POST /usergroups", "PUT /projects/"] {
        let gate = Gate::new();
        gate.expire_after(last);
        let error = create(&backend(&gate), &request(storage(20))).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.class()),
            (ErrorKind::Unauthenticated, ErrorClass::NotReady),
            "{last}: {error}"
        );
        // The project was made in the first round: it stays, as private and limited as it was asked for.
        let project = gate.fake.project(NAME).unwrap();
        assert_eq!((project.quota.unwrap().hard, project.public), (20 * GIB, false), "{last}");
        assert!((1..=3).contains(&gate.fake.refused_logins()), "{last}: {}", gate.fake.refused_logins());
        let login = gate.fake.robot_login().to_owned();
        gate.fake.edit_robot(&login, |robot| *robot.expires_at = -1);
        create(&backend(&gate), &request(storage(20))).await.unwrap();
        assert_whole(&gate, 20 * GIB);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stamp_that_cannot_be_seen_makes_nobody_the_owner() {
    let gate = Gate::new();
    gate.fake.add_project(SeedProject::new(NAME).quota(20 * GIB).tolerates("CVE-2021-44228")).unwrap();
    let before = gate.fake.project(NAME);
    let hidden = json!({ "project_id": before.as_ref().unwrap().id, "name": NAME, "repo_count": 0,
        "metadata": { "public": "false" }, "cve_allowlist": { "items": null } });
    gate.fail("GET /projects/waldur", ALWAYS, Failure::ok(&hidden));
    for origin in [Origin::Reserved, Origin::Recorded] {
        let error = create(&backend(&gate), &request(storage(20)).with_origin(origin)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Inconsistent, "{error}");
    }
    let error = backend(&gate).get(&cx(), &id(NAME)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Inconsistent, "{error}");
    assert!(crate::common::delete(&backend(&gate)).await.is_err());
    assert_eq!(gate.fake.project(NAME), before);
}

#[tokio::test(start_paused = true)]
async fn names_that_are_no_projects_are_refused_before_anything_is_asked() {
    let gate = Gate::new();
    for name in ["Upper", "a--b", "ünïcode", "a/b", "library", "-a"] {
        let mut bad = request(storage(20));
        bad.backend_id = id(name);
        let error = create(&backend(&gate), &bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{name}: {error}");
        assert!(!error.message().contains(name), "{error}");
        assert!(backend(&gate).get(&cx(), &id(name)).await.is_err());
    }
    assert!(gate.take_log().is_empty());
}

#[tokio::test(start_paused = true)]
async fn f161_a_project_of_digits_is_always_asked_for_by_its_name() {
    let gate = Gate::new();
    let first = gate.fake.add_project(SeedProject::new("first").quota(GIB)).unwrap();
    let digits = first.id.to_string();
    let mut odd = request(storage(20));
    odd.backend_id = id(&digits);
    create(&backend(&gate), &odd).await.unwrap();
    assert_eq!(gate.fake.quota_of("first").unwrap().hard, GIB);
    assert_eq!(gate.fake.project(&digits).unwrap().groups(), [(GROUP, 2)]);
    assert!(gate.fake.members_of("first").iter().all(|member| member.group_kind.is_none()));
}

#[tokio::test(start_paused = true)]
async fn metadata_say_where_it_is_and_what_is_in_it() {
    let gate = Gate::new();
    let created = create(&backend(&gate), &request(storage(20))).await.unwrap();
    let project = gate.fake.project(NAME).unwrap();
    let page = format!("http://localhost:8080/harbor/projects/{}", project.id);
    let creation_time = created.metadata.text("creation_time").unwrap().to_owned();
    assert!(creation_time.starts_with("2026-11-22T12:00:00"), "{creation_time}");
    let expected = json!({
        "harbor_project_id": project.id, "harbor_project_name": NAME, "harbor_url": page, "repository_count": 0,
        "storage_used_bytes": 0, "quota_bytes": 20 * GIB, "creation_time": creation_time, "oidc_group": GROUP,
        "docker_login": "localhost:8080",
    });
    assert_eq!(serde_json::to_value(&created.metadata).unwrap(), expected);
    assert_eq!(created.endpoints[0].url, page);
}

#[tokio::test(start_paused = true)]
async fn an_administrator_will_do_before_2_12() {
    let fake = FakeHarbor::builder().version("v2.9.0").no_robot().clock(crate::common::now).build();
    let gate = Gate::over(fake);
    let more = json!({ "robot_username": "admin", "robot_password": "Harbor12345" });
    let backend = backend_with(gate.clone(), &gate.fake, more);
    create(&backend, &request(storage(20))).await.unwrap();
    assert_whole(&gate, 20 * GIB);
    assert!(backend.get(&cx(), &id("waldur-nothing")).await.unwrap().is_none());
}
