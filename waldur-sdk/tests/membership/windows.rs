//! What changes between a look and a removal: it is looked up again, and without a removal nothing is asked
//! (core.md §3.4, §3.10; faults.md rows 103, 118).

use waldur_sdk::{
    backend::{Capabilities, LimitsAuthority},
    process::{HoldReason, SyncOutcome},
    testing::{
        Action, Counting, Faults, Latency, op, status,
        waldur::{Generation, OfferingUserSeed, OfferingUserState, ResourceState},
        when,
    },
    types::OfferingUserUuid,
};

use crate::{
    orders::OnRequest,
    world::{Agent, MINUTE, Site, cx, line, only, pass_time, run},
};

/// Members `a` and `b`; `a` is locked out and still there.
fn locked_out() -> (Site, OfferingUserUuid) {
    let site = Site::new(Generation::V8);
    site.member("b");
    let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), user).username("a").restricted().create();
    site.resource("one", &["a", "b"]);
    (site, account)
}

#[tokio::test(start_paused = true)]
async fn f118_whoever_was_let_in_again_since_the_accounts_were_listed_stays() {
    let (site, account) = locked_out();
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().change_offering_user(account, OfferingUserSeed::unrestricted);
    });
    let report = site.agent().waldur(between).run().await;
    assert!(only(&report).removed.is_empty(), "{report:#?}");
    assert_eq!(site.access("one"), "a b");
    // Who is still locked out goes.
    site.waldur().change_offering_user(account, OfferingUserSeed::restricted);
    assert_eq!(line(&only(&site.pass().await).removed), "a");
}

#[tokio::test(start_paused = true)]
async fn f118_a_deletion_that_was_taken_back_takes_nobody() {
    let site = Site::new(Generation::V8);
    let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), user).username("a");
    let account = account.state(OfferingUserState::RequestedDeletion).create();
    site.resource("one", &["a"]);
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().change_offering_user(account, |account| account.state(OfferingUserState::Ok));
    });
    let report = site.agent().waldur(between).run().await;
    assert!(only(&report).removed.is_empty(), "{report:#?}");
    assert_eq!(site.access("one"), "a");
}

#[tokio::test(start_paused = true)]
async fn f103_accounts_that_cannot_be_listed_again_take_nobody() {
    let (site, _) = locked_out();
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.list").from(2), Action::refuse(status(500)));
    let report = site.agent().waldur(faults).sending_once().run().await;
    assert!(matches!(only(&report).held.as_ref().unwrap().reason, HoldReason::Incomplete(_)), "{report:#?}");
    assert_eq!(site.access("one"), "a b");
}

#[tokio::test(start_paused = true)]
async fn only_the_accounts_in_question_are_listed_again() {
    for (leaving, lists) in [(0, 1), (3, 1 + 3), (20, 1 + 1)] {
        let site = Site::new(Generation::V8);
        let names: Vec<String> = (0..30).map(|number| format!("m{number:02}")).collect();
        let users: Vec<_> = names.iter().map(|name| site.member(name)).collect();
        for user in &users[..leaving] {
            site.waldur().remove_from_project(*user, site.project());
        }
        site.resource("one", &names.iter().map(String::as_str).collect::<Vec<_>>());
        site.agent().policy(|policy| policy.removals.percent = 100).run().await;
        let asked = (site.members("one").len(), site.world.count("offering_users.list"));
        assert_eq!(asked, (30 - leaving, lists));
    }
}

/// A site whose back end takes a minute for each answer, so that the accounts are old when somebody is to come.
fn slow() -> (Site, OfferingUserUuid, Agent) {
    let site = Site::new(Generation::V8);
    site.member("b");
    let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.account(user, "a");
    site.resource("one", &[]);
    let slow = Latency::new(site.service().clone(), site.environment(), MINUTE);
    let agent = site.agent().service(slow);
    (site, account, agent)
}

#[tokio::test(start_paused = true)]
async fn f118_whoever_was_locked_out_since_the_accounts_were_listed_gets_no_access() {
    let (site, account, agent) = slow();
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().change_offering_user(account, OfferingUserSeed::restricted);
    });
    let report = agent.waldur(between).run().await;
    assert_eq!((site.access("one"), only(&report).skipped.len()), ("b".to_owned(), 1), "{report:#?}");
    assert_eq!(site.world.count("offering_users.list"), 2);
}

#[tokio::test(start_paused = true)]
async fn f103_nobody_comes_by_an_old_list_while_it_is_unknown_who_was_locked_out() {
    let (site, _, agent) = slow();
    let restricted =
        when("who is locked out", |request| request.uri().query().unwrap_or_default().contains("is_restricted=true"));
    let faults = Faults::new(site.waldur().clone()).on(restricted, Action::refuse(status(500)));
    let report = agent.waldur(faults).sending_once().run().await;
    assert!(matches!(only(&report).outcome, SyncOutcome::Deferred(_)), "{report:#?}");
    assert_eq!(site.access("one"), "");
    let (site, _, agent) = slow();
    agent.run().await;
    assert_eq!(site.access("one"), "a b");
}

/// `a` is a member here. The resource of another project, which wants `b`, gets the same back-end id.
fn becomes_shared(site: &Site, state: ResourceState) {
    let other = site.waldur().project("other").create();
    site.member_of(other, "b");
    let there = site.waldur().resource(site.offering()).backend_id("one").project(other).state(state).create();
    assert!(!there.uuid().is_nil());
    site.edit("one", |object| {
        object.stamp = None;
        object.members.insert("b".to_owned());
    });
}

#[tokio::test(start_paused = true)]
async fn c33_an_id_that_became_anothers_since_the_last_pass_takes_nobody() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    let resource = site.resource("one", &["a"]);
    let agent = site.agent().build();
    run(&agent).await;
    becomes_shared(&site, ResourceState::Ok);
    let report = agent.sync_project(&cx(), site.project()).await.unwrap();
    let held = only(&report).held.as_ref().expect("the removal of b is held");
    assert!(matches!(held.reason, HoldReason::Incomplete(_)) && line(&held.usernames) == "b", "{held:?}");
    let report = agent.sync_resource(&cx(), resource).await.unwrap();
    assert!(only(&report).held.is_some(), "{report:#?}");
    // The event of somebody who is wanted by neither as far as this project knows.
    site.waldur().remove_from_project(user, site.project());
    let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
    assert_eq!(line(&only(&report).held.as_ref().expect("held").usernames), "a");
    assert_eq!(site.access("one"), "a b");
}

#[tokio::test(start_paused = true)]
async fn c33_a_resource_with_an_order_in_hand_shares_its_id_all_the_same() {
    for state in [ResourceState::Updating, ResourceState::Creating, ResourceState::Terminating] {
        let site = Site::new(Generation::V8);
        site.member("a");
        site.resource("one", &["a"]);
        becomes_shared(&site, state);
        let report = site.pass().await;
        assert!(only(&report).held.is_some(), "{state:?}: {report:#?}");
        assert_eq!(site.access("one"), "a b", "{state:?}");
    }
    let site = Site::new(Generation::V8);
    site.member("a");
    site.resource("one", &["a"]);
    becomes_shared(&site, ResourceState::Terminated);
    assert_eq!(line(&only(&site.pass().await).removed), "b", "what is gone wants nobody");
}

#[tokio::test(start_paused = true)]
async fn c43_an_object_that_became_anothers_too_is_not_paused_or_resized_for_one_of_them() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &[]);
    let ours = Capabilities::default().with_limits_authority(LimitsAuthority::Waldur);
    let agent = site.agent().memory(move |memory| memory.with_members().with_status().with_capabilities(ours)).build();
    run(&agent).await;
    let other = site.waldur().project("other").create();
    let there = site.waldur().resource(site.offering()).backend_id("one").project(other).create();
    let before = site.object("one");
    for change in [true, false] {
        site.waldur().change_resource(resource, |row| row.paused(change).limits([("cpu", 1), ("mem", 8)]));
        agent.sync_resource(&cx(), resource).await.unwrap();
        let now = site.object("one");
        assert_eq!((now.status, now.limits), (before.status.clone(), before.limits.clone()));
    }
    // Alone again, it is.
    site.waldur().change_resource(there, |row| row.state(ResourceState::Terminated));
    agent.sync_resource(&cx(), resource).await.unwrap();
    assert_eq!(site.object("one").limits["cpu"], Some(1));
}

#[tokio::test(start_paused = true)]
async fn f158_without_a_removal_nothing_is_asked_again() {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.resource("one", &["a"]);
    let waldur = Counting::new(site.waldur().clone());
    let agent = site.agent().waldur(waldur.clone()).build();
    run(&agent).await;
    pass_time(MINUTE).await;
    waldur.reset();
    run(&agent).await;
    // Resources, accounts, service and course accounts, the team.
    assert_eq!((waldur.counts().total, waldur.counts().writes), (5, 0), "{}", waldur.counts());
}
