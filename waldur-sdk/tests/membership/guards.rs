//! What nobody loses access by (core.md §3.4 #4, §9 C37; faults.md rows 100 to 108, 152; security.md S46).

use std::time::Duration;

use serde_json::json;
use waldur_sdk::{
    process::{HoldReason, MembershipReport},
    testing::{
        Action, Counting, Faults, op, status,
        waldur::{Generation, OfferingUserState},
    },
};

use crate::{
    layers::Pages,
    orders::BOTH,
    world::{MINUTE, Site, line, only, pass_time, run},
};

#[track_caller]
fn held(report: &MembershipReport) -> (&HoldReason, String) {
    let held = only(report).held.as_ref().expect("removals are held");
    (&held.reason, line(&held.usernames))
}

#[tokio::test(start_paused = true)]
async fn c37_an_empty_team_is_believed_when_it_is_seen_again() {
    for generation in BOTH {
        let site = Site::new(generation);
        site.resource("one", &["a", "b"]);
        let agent = site.agent().build();
        let report = run(&agent).await;
        let (reason, names) = held(&report);
        assert!(matches!(reason, HoldReason::EmptyTeam) && names == "a b", "{reason:?}");
        // At once is not again.
        held(&run(&agent).await);
        assert_eq!(site.access("one"), "a b");
        pass_time(5 * MINUTE).await;
        let report = run(&agent).await;
        assert_eq!((line(&only(&report).removed), site.access("one")), ("a b".to_owned(), String::new()));
    }
}

#[tokio::test(start_paused = true)]
async fn c37_a_team_that_comes_back_removes_nobody() {
    let site = Site::new(Generation::V8);
    for name in ["a", "b"] {
        site.member(name);
    }
    site.resource("one", &["a", "b"]);
    let faults =
        Faults::new(site.waldur().clone()).on(op("provider_resources.team").first(2), Action::replace_body("[]"));
    let agent = site.agent().waldur(faults).build();
    held(&run(&agent).await);
    for _ in 0..2 {
        pass_time(5 * MINUTE).await;
        let report = run(&agent).await;
        assert!(only(&report).held.is_none() && only(&report).removed.is_empty());
    }
    // And what was seen then counts no more.
    for user in ["a", "b"] {
        assert!(site.access("one").contains(user));
    }
}

#[tokio::test(start_paused = true)]
async fn c37_a_program_that_runs_once_may_take_the_second_look_at_once() {
    let site = Site::new(Generation::V8);
    site.resource("one", &["a"]);
    let report = site.agent().policy(|policy| policy.removals.confirm_after = Duration::ZERO).run().await;
    assert_eq!((line(&only(&report).removed), site.world.count("provider_resources.team")), ("a".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn c37_a_restart_forgets_what_was_seen() {
    let site = Site::new(Generation::V8);
    site.resource("one", &["a"]);
    site.pass().await;
    pass_time(5 * MINUTE).await;
    held(&site.pass().await);
    assert_eq!(site.access("one"), "a");
}

#[tokio::test(start_paused = true)]
async fn f152_many_at_once_wait_for_a_second_look() {
    let site = Site::new(Generation::V8);
    let names: Vec<String> = (0..20).map(|number| format!("m{number:02}")).collect();
    let users: Vec<_> = names.iter().map(|name| site.member(name)).collect();
    site.resource("one", &names.iter().map(String::as_str).collect::<Vec<_>>());
    for user in &users[..6] {
        site.waldur().remove_from_project(*user, site.project());
    }
    let agent = site.agent().build();
    let report = run(&agent).await;
    assert!(matches!(held(&report).0, HoldReason::TooMany { removals: 6, present: 20 }), "{report:#?}");
    pass_time(MINUTE).await;
    // One more leaves meanwhile: that was not seen before, so all wait again.
    site.waldur().remove_from_project(users[6], site.project());
    held(&run(&agent).await);
    pass_time(MINUTE).await;
    let report = run(&agent).await;
    assert_eq!((only(&report).removed.len(), site.members("one").len()), (7, 13));
}

#[tokio::test(start_paused = true)]
async fn f152_few_here_and_few_there_are_many() {
    let site = Site::new(Generation::V8);
    for number in 0..10 {
        let project = site.waldur().project(&format!("p{number}")).create();
        site.member_of(project, &format!("stays{number}"));
        site.resource_in(project, &format!("r{number}"), &[&format!("stays{number}"), &format!("gone{number}")]);
    }
    let agent = site.agent().build();
    let report = run(&agent).await;
    for resource in &report.resources {
        assert!(matches!(resource.held.as_ref().unwrap().reason, HoldReason::TooManyOverall), "{resource:#?}");
    }
    pass_time(MINUTE).await;
    let report = run(&agent).await;
    assert!(report.resources.iter().all(|resource| resource.removed.len() == 1), "{report:#?}");
}

const TEAM: &str = "provider_resources.team";
const ACCOUNTS: &str = "offering_users.list";
const SERVICES: &str = "provider_offerings.service_accounts";
const COURSES: &str = "provider_offerings.course_accounts";

/// A list that says so is not proven whole: nobody goes by it, however often it is seen, and the resource is not felled.
async fn removes_nobody(operation: &'static str, action: Action) {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.resource("one", &["a", "stale", "svc"]);
    let faults = Faults::new(site.waldur().clone()).on(op(operation), action);
    let agent = site.agent().waldur(faults).sending_once().build();
    for _ in 0..4 {
        let report = run(&agent).await;
        assert!(matches!(held(&report).0, HoldReason::Incomplete(_)), "{operation}: {report:#?}");
        assert!(!report.is_clean(), "{operation}");
        pass_time(5 * MINUTE).await;
    }
    assert_eq!(site.access("one"), "a stale svc", "{operation}");
    let resource = only(&site.pass().await).resource;
    assert_eq!(site.waldur().resource_view(resource).state.as_str(), "OK", "{operation}");
}

/// An empty page that leads on to `next`.
fn leading_to(next: &str) -> Action {
    let page = status(200).json(&json!([])).header("x-result-count", "0");
    page.header("link", format!("<{next}>; rel=\"next\"")).into()
}

#[tokio::test(start_paused = true)]
async fn f097_a_list_in_a_circle_removes_nobody() {
    let same = "https://waldur.example.org/api/marketplace-offering-users/?page=2";
    removes_nobody(ACCOUNTS, leading_to(same)).await;
}

#[tokio::test(start_paused = true)]
async fn f098_a_list_that_leads_elsewhere_removes_nobody() {
    let elsewhere = "https://evil.example.org/api/marketplace-offering-users/?page=2";
    removes_nobody(ACCOUNTS, leading_to(elsewhere)).await;
}

#[tokio::test(start_paused = true)]
async fn f102_fewer_entries_than_counted_remove_nobody() {
    for operation in [ACCOUNTS, SERVICES, COURSES] {
        removes_nobody(operation, status(200).json(&json!([])).header("x-result-count", "9").into()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn f103_a_list_that_fails_removes_nobody() {
    for operation in [TEAM, ACCOUNTS, SERVICES, COURSES] {
        for answer in [500, 403] {
            removes_nobody(operation, Action::refuse(status(answer))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f103_a_second_page_that_fails_removes_nobody() {
    let site = Site::new(Generation::V8);
    for number in 0..150 {
        site.member(&format!("m{number:03}"));
    }
    site.resource("one", &["m000", "m149", "stale"]);
    // Every second page of accounts; the first is read, and whoever is on it gets access.
    let second = waldur_sdk::testing::when("a second page", |request| {
        request.uri().path().contains("offering-users") && request.uri().query().unwrap_or_default().contains("&page=2")
    });
    let faults = Faults::new(site.waldur().clone()).on(second, Action::refuse(status(500)));
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert!(matches!(held(&report).0, HoldReason::Incomplete(_)), "{report:#?}");
    assert_eq!((only(&report).added.len(), site.members("one").len()), (99, 102));
}

#[tokio::test(start_paused = true)]
async fn f104_an_empty_page_in_the_middle_does_not_end_the_list() {
    let site = Site::new(Generation::V8);
    for number in 0..250 {
        site.member(&format!("m{number:03}"));
    }
    site.resource("one", &["stale"]);
    let page = |number: usize| format!("https://waldur.example.org/api/marketplace-offering-users/?page={number}");
    let empty = status(200).json(&json!([])).header("x-result-count", "250");
    let empty: Action = empty.header("link", format!("<{}>; rel=\"next\"", page(3))).into();
    let faults = Faults::new(site.waldur().clone()).on(op(ACCOUNTS).nth(2), empty);
    // A hundred are missing then: read again, since the count does not agree, the list is whole.
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert_eq!((line(&only(&report).removed), site.members("one").len()), ("stale".to_owned(), 250));
}

#[tokio::test(start_paused = true)]
async fn f105_a_row_that_cannot_be_read_removes_nobody() {
    let row = json!([{ "uuid": "000000a50000400080000000000000a5", "username": 7 }]);
    removes_nobody(TEAM, Action::replace_body(row.to_string())).await;
    for operation in [ACCOUNTS, SERVICES, COURSES] {
        removes_nobody(operation, status(200).json(&row).header("x-result-count", "1").into()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn f106_a_page_that_was_deleted_meanwhile_lets_the_list_begin_anew() {
    for gone in [404, 400] {
        let site = crowded("stale");
        let gone = status(gone).json(&json!({ "detail": "Invalid page." }));
        let faults = Faults::new(site.waldur().clone()).on(op(ACCOUNTS).nth(2), Action::refuse(gone.clone()));
        let counting = Counting::new(faults);
        let report = site.agent().waldur(counting.clone()).sending_once().run().await;
        assert_eq!((line(&only(&report).removed), site.members("one").len()), ("stale".to_owned(), 150), "{gone:?}");
        assert_eq!(counting.counts().of(ACCOUNTS), 4, "{gone:?}: both pages once more, and no more");
    }
    // A page that a proxy says nothing about has not been deleted: that may pass, and nobody goes by half a list.
    let site = crowded("stale");
    let faults = Faults::new(site.waldur().clone()).on(op(ACCOUNTS).nth(2), Action::refuse(status(404)));
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert!(only(&report).removed.is_empty() && only(&report).held.is_some(), "{report:#?}");
}

/// A site with a list of accounts of two pages, and a resource that one stranger has access to.
fn crowded(stranger: &str) -> Site {
    let site = Site::new(Generation::V8);
    for number in 0..150 {
        site.member(&format!("m{number:03}"));
    }
    site.resource("one", &[stranger]);
    site
}

#[tokio::test(start_paused = true)]
async fn f091_a_page_of_a_proxy_removes_nobody() {
    for operation in [TEAM, ACCOUNTS, SERVICES] {
        removes_nobody(operation, Action::html()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn f103_additions_go_on_where_removals_wait() {
    let site = Site::new(Generation::V8);
    for name in ["a", "b"] {
        site.member(name);
    }
    site.resource("one", &["stale"]);
    let faults =
        Faults::new(site.waldur().clone()).on(op("provider_offerings.service_accounts"), Action::refuse(status(500)));
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert_eq!((line(&only(&report).added), site.access("one")), ("a b".to_owned(), "a b stale".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn f100_accounts_that_cannot_be_read_add_nobody_who_may_be_locked_out() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let user = site.waldur().user("locked").project_role(site.project(), "PROJECT.MEMBER").create();
    site.waldur().offering_user(site.offering(), user).restricted().create();
    site.resource("one", &[]);
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.list"), Action::refuse(status(502)));
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert_eq!((only(&report).skipped.len(), site.access("one")), (2, String::new()));
}

#[tokio::test(start_paused = true)]
async fn f101_a_row_on_two_pages_counts_once() {
    // Somebody was inserted between both pages, so that the second begins with what the first ended with. Where the count
    // is of the rows that there are, the list is whole; where it counts one more, it is read again, and whole then.
    for (total, listings) in [(150, 2), (151, 4)] {
        let site = crowded("stale");
        let mut last = None;
        let moved = Pages::new(site.waldur(), ACCOUNTS, move |asked, rows| {
            match asked {
                1 => last = rows.last().cloned(),
                2 => rows.insert(0, last.take().expect("the first page came first")),
                _ => return None,
            }
            Some(total)
        });
        let counting = Counting::new(moved);
        let report = site.agent().waldur(counting.clone()).sending_once().run().await;
        assert_eq!(only(&report).added.len(), 150, "nobody twice: {report:#?}");
        assert_eq!((line(&only(&report).removed), site.members("one").len()), ("stale".to_owned(), 150), "{total}");
        assert_eq!(counting.counts().of(ACCOUNTS), listings, "{total}");
    }
}

#[tokio::test(start_paused = true)]
async fn f107_look_alikes_of_a_filter_are_not_taken_for_ours() {
    let site = Site::new(Generation::V8);
    let other = site.waldur().offering().name("Other").create();
    let user = site.waldur().user("x@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    site.waldur().offering_user(other, user).username("x").create();
    site.waldur().resource(other).backend_id("theirs").create();
    site.member("a");
    site.resource("one", &[]);
    // A server that ignores the filter by offering sends everybody's.
    let site_of_all = site.clone();
    let everything = crate::world::DropsParameter::new(site_of_all.waldur().clone(), "offering_uuid");
    let report = site.agent().waldur(everything).run().await;
    assert_eq!((only(&report).name.as_str(), site.access("one")), ("one", "a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn sec46_a_dry_run_tells_who_would_go_and_touches_nobody() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let resource = site.resource("one", &["stale"]);
    site.waldur().change_resource(resource, |row| row.paused(true));
    site.edit("one", |object| {
        object.limits.insert("cpu".to_owned(), Some(9));
    });
    let leaving = site.waldur().user("l").create();
    let account = site.waldur().offering_user(site.offering(), leaving).state(OfferingUserState::RequestedDeletion);
    let account = account.create();
    let names = crate::world::Names::new();
    let report = site
        .agent()
        .memory(|memory| memory.with_members().with_status().with_user_limits())
        .usernames(&names)
        .policy(|policy| (policy.dry_run, policy.drive_deletion) = (true, true))
        .run()
        .await;
    assert_eq!((line(&only(&report).added), line(&only(&report).removed)), ("a".to_owned(), "stale".to_owned()));
    assert!(only(&report).has_changed());
    assert_eq!((site.writes(), site.service().writes()), (Vec::new(), 0));
    assert_eq!(site.waldur().offering_user_view(account).state, OfferingUserState::RequestedDeletion);
    assert!(names.deactivated().is_empty() && names.profiles().is_empty());
}
