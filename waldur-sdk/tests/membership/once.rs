//! A program that runs once takes the second look within its pass (core.md §3.4 #4, §9 C37; faults.md row 152).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use waldur_sdk::{
    backend::{Cancellation, OpContext},
    process::{HoldReason, MembershipReport},
    testing::{
        Action, Faults, op, status,
        waldur::{Generation, OfferingUserState},
        when,
    },
};

use crate::world::{Agent, MINUTE, Site, line, only, run};

/// An agent for a single pass.
fn once(site: &Site) -> Agent {
    site.agent().policy(|policy| policy.single_pass = true)
}

#[track_caller]
fn reason(report: &MembershipReport) -> &HoldReason {
    &only(report).held.as_ref().expect("removals are held").reason
}

#[tokio::test(start_paused = true)]
async fn c37_a_single_pass_believes_an_empty_team_that_it_sees_again_a_minute_later() {
    let site = Site::new(Generation::V8);
    site.resource("one", &["a", "b"]);
    let begin = Instant::now();
    let report = once(&site).run().await;
    assert_eq!((line(&only(&report).removed), site.access("one")), ("a b".to_owned(), String::new()));
    assert!(only(&report).is_clean(), "{report:#?}");
    assert!(begin.elapsed() >= MINUTE && begin.elapsed() < 2 * MINUTE, "{:?}", begin.elapsed());
    // All lists anew: each once for the first look, for the look before a removal, and twice for the second.
    assert_eq!((site.world.count("offering_users.list"), site.world.count("provider_resources.team")), (2, 4));
}

#[tokio::test(start_paused = true)]
async fn c37_a_single_pass_removes_nobody_whom_the_second_look_wants() {
    let site = Site::new(Generation::V8);
    for name in ["a", "b"] {
        site.member(name);
    }
    site.resource("one", &["a", "b"]);
    let faults =
        Faults::new(site.waldur().clone()).on(op("provider_resources.team").first(2), Action::replace_body("[]"));
    let report = once(&site).waldur(faults).run().await;
    assert!(only(&report).is_clean() && only(&report).removed.is_empty(), "{report:#?}");
    assert_eq!(site.access("one"), "a b");
}

#[tokio::test(start_paused = true)]
async fn f152_a_single_pass_holds_whatever_the_second_look_is_the_first_to_see() {
    let site = Site::new(Generation::V8);
    let names: Vec<String> = (0..20).map(|number| format!("m{number:02}")).collect();
    let users: Vec<_> = names.iter().map(|name| site.member(name)).collect();
    site.resource("one", &names.iter().map(String::as_str).collect::<Vec<_>>());
    for user in &users[..6] {
        site.waldur().remove_from_project(*user, site.project());
    }
    // One more is gone at the second look, which is the third reading of the team.
    let (looks, late) = (AtomicU32::new(0), site.clone());
    let seventh = users[6];
    let third = when("the third team", move |request| {
        if request.uri().path().ends_with("/team/") && looks.fetch_add(1, Ordering::SeqCst) == 2 {
            late.waldur().remove_from_project(seventh, late.project());
        }
        false
    });
    let faults = Faults::new(site.waldur().clone()).on(third, Action::refuse(status(500)));
    let report = once(&site).waldur(faults).run().await;
    assert!(matches!(reason(&report), HoldReason::TooMany { removals: 7, present: 20 }), "{report:#?}");
    assert_eq!(site.members("one").len(), 20);
}

#[tokio::test(start_paused = true)]
async fn f152_a_single_pass_looks_again_at_few_here_and_few_there() {
    let site = Site::new(Generation::V8);
    for number in 0..10 {
        let project = site.waldur().project(&format!("p{number}")).create();
        site.member_of(project, &format!("stays{number}"));
        site.resource_in(project, &format!("r{number}"), &[&format!("stays{number}"), &format!("gone{number}")]);
    }
    let begin = Instant::now();
    let report = once(&site).run().await;
    assert!(report.resources.iter().all(|resource| resource.removed.len() == 1 && resource.is_clean()), "{report:#?}");
    assert!(begin.elapsed() >= MINUTE);
}

#[tokio::test(start_paused = true)]
async fn c37_a_single_pass_waits_for_nothing_that_waiting_does_not_mend() {
    let site = Site::new(Generation::V8);
    site.resource("one", &["a"]);
    // A list that is not proven whole; a dry run; a deadline that comes first; nothing doubted.
    let begin = Instant::now();
    let faults = || Faults::new(site.waldur().clone()).on(op("provider_resources.team"), Action::refuse(status(403)));
    let report = once(&site).waldur(faults()).run().await;
    assert!(matches!(reason(&report), HoldReason::Incomplete(_)), "{report:#?}");
    let report = once(&site).policy(|policy| policy.dry_run = true).run().await;
    assert!(matches!(reason(&report), HoldReason::EmptyTeam), "{report:#?}");
    let mut cx = OpContext::new("once");
    cx.deadline = Some(site.environment().instant() + Duration::from_secs(50));
    let report = once(&site).build().run_once(&cx).await.unwrap();
    assert!(matches!(reason(&report), HoldReason::EmptyTeam), "{report:#?}");
    site.member("a");
    assert!(only(&once(&site).run().await).is_clean());
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_eq!(site.access("one"), "a");
}

#[tokio::test(start_paused = true)]
async fn c37_a_single_pass_that_is_stopped_while_it_waits_removes_nobody() {
    let site = Site::new(Generation::V8);
    site.resource("one", &["a"]);
    let stop = Cancellation::default();
    let cx = OpContext::new("once").with_cancellation(stop.clone());
    let agent = once(&site).build();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        stop.cancel();
    };
    let begin = Instant::now();
    let (report, ()) = tokio::join!(agent.run_once(&cx), stopping);
    assert!(matches!(reason(&report.unwrap()), HoldReason::EmptyTeam));
    assert!(begin.elapsed() < Duration::from_secs(30) && site.access("one") == "a");
}

#[tokio::test(start_paused = true)]
async fn c37_names_are_given_once_in_a_single_pass() {
    let site = Site::selling(Generation::V8, |offering| {
        offering.plugin_option("service_provider_can_create_offering_user", true)
    });
    site.resource("one", &["a"]);
    let user = site.waldur().user("n@idp").create();
    let account = site.waldur().offering_user(site.offering(), user).without_username();
    account.state(OfferingUserState::Requested).create();
    let names = crate::world::Names::new();
    let report = once(&site).usernames(&names).run().await;
    assert_eq!((names.asked(), line(&only(&report).removed)), (vec!["n@idp".to_owned()], "a".to_owned()));
    assert!(report.usernames.named_by.is_some());
    // A process that goes on does as it always did.
    let lasting = Arc::new(site.agent().build());
    site.edit("one", |object| {
        object.members.insert("b".to_owned());
    });
    assert!(matches!(reason(&run(&lasting).await), HoldReason::EmptyTeam));
}
