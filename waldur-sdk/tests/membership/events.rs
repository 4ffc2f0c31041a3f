//! Hints from outside (core.md §3.10, §9 C46; faults.md rows 117, 118; security.md S52).

use waldur_sdk::{
    backend::Capabilities,
    process::{FollowUp, SyncOutcome},
    testing::{
        Action, Faults, op, status,
        waldur::{AccountState, Generation, OfferingUserState},
    },
    types::UserUuid,
};

use crate::{
    orders::BOTH,
    world::{Answer, Names, Site, cx, line, only, run},
};

#[tokio::test(start_paused = true)]
async fn c46_who_has_another_role_stays_and_who_has_none_goes() {
    for generation in BOTH {
        let site = Site::new(generation);
        let user = site.member("a");
        site.waldur().change_user(user, |user| user.project_role(site.project(), "PROJECT.ADMIN"));
        site.resource("one", &["a"]);
        site.resource("two", &["a"]);
        let agent = site.agent().build();
        // One of two roles is revoked; the event does not say that there is another.
        agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
        assert_eq!(site.access("one"), "a");
        site.waldur().remove_from_project(user, site.project());
        let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
        // The last member of a team: the event and the list say the same, so nobody has to wait.
        assert_eq!((site.access("one"), site.access("two")), (String::new(), String::new()));
        assert!(report.resources.iter().all(|one| line(&one.removed) == "a" && one.is_clean()), "{report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c46_who_is_gone_altogether_is_removed_by_the_name_that_is_remembered_or_left_over() {
    for remembered in [true, false] {
        let site = Site::new(Generation::V8);
        let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
        let account = site.account(user, "a");
        site.member("b");
        site.resource("one", &["a", "b"]);
        let agent = site.agent().build();
        if remembered {
            run(&agent).await;
        }
        site.waldur().remove_from_project(user, site.project());
        site.waldur().remove_offering_user(account);
        agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
        assert_eq!(site.access("one"), "b", "remembered: {remembered}");
    }
}

#[tokio::test(start_paused = true)]
async fn c46_a_granted_role_gives_access_but_to_restricted_resources() {
    let site = Site::selling(Generation::V8, |offering| {
        offering.plugin_option("service_provider_can_create_offering_user", true)
    });
    let user = site.waldur().user("new@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), user).without_username();
    account.state(OfferingUserState::Requested).create();
    site.member("other");
    site.resource("one", &[]);
    let restricted = site.resource("two", &[]);
    site.waldur().change_resource(restricted, |row| row.restrict_member_access(true));
    let names = Names::new();
    let agent = site.agent().usernames(&names).build();
    // No name yet: nothing to be done.
    let report = agent.user_role_changed(&cx(), user, site.project(), true).await.unwrap();
    assert!(report.resources.iter().all(|one| one.added.is_empty()), "{report:#?}");
    names.answer("new@idp", Answer::Name("new"));
    agent.user_role_changed(&cx(), user, site.project(), true).await.unwrap();
    // Only this person: the others are the next pass's.
    assert_eq!((site.access("one"), site.access("two")), ("new".to_owned(), String::new()));
}

#[tokio::test(start_paused = true)]
async fn f118_a_stale_event_takes_nothing_and_gives_nothing() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    site.resource("one", &["a", "b"]);
    let agent = site.agent().build();
    // Revoked, says the event; granted again meanwhile.
    agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
    assert_eq!(site.access("one"), "a b");
    // Granted, says the event; revoked meanwhile. The next pass removes.
    site.waldur().remove_from_project(user, site.project());
    agent.user_role_changed(&cx(), user, site.project(), true).await.unwrap();
    assert_eq!(site.access("one"), "a b");
    run(&agent).await;
    assert_eq!(site.access("one"), "b");
    // About a project of which nothing is sold here.
    let elsewhere = site.waldur().project("elsewhere").create();
    let report = agent.user_role_changed(&cx(), user, elsewhere, false).await.unwrap();
    assert!(report.resources.is_empty());
}

#[tokio::test(start_paused = true)]
async fn f118_events_in_any_order_come_to_the_same_end() {
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1], [0, 0, 3, 3]];
    for order in orders {
        let site = Site::new(Generation::V8);
        let (a, b) = (site.member("a"), site.member("b"));
        site.member("c");
        site.waldur().service_account(site.project(), "svc").create();
        site.resource("one", &["b", "c"]);
        site.waldur().remove_from_project(b, site.project());
        let agent = site.agent().build();
        let project = site.project();
        for event in order {
            match event {
                0 => agent.user_role_changed(&cx(), a, project, true).await.unwrap(),
                1 => agent.user_role_changed(&cx(), b, project, false).await.unwrap(),
                2 => agent.account_changed(&cx(), project, "svc", false).await.unwrap(),
                _ => agent.sync_project(&cx(), project).await.unwrap(),
            };
        }
        assert_eq!(site.access("one"), "a c svc", "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f103_an_event_removes_nobody_by_a_list_that_is_not_proven() {
    for operation in ["provider_resources.team", "offering_users.list", "provider_offerings.service_accounts"] {
        let site = Site::new(Generation::V8);
        let user = site.member("a");
        site.member("b");
        site.resource("one", &["a", "b"]);
        site.waldur().remove_from_project(user, site.project());
        // The name is known from before, so nothing but the failed list holds the removal up.
        let failing = if operation == "offering_users.list" { op(operation).from(2) } else { op(operation).from(1) };
        let faults = Faults::new(site.waldur().clone()).on(failing, Action::refuse(status(500)));
        let agent = site.agent().waldur(faults).sending_once().build();
        agent.sync_user_attributes(&cx(), user).await.unwrap();
        let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
        assert_eq!(site.access("one"), "a b", "{operation}");
        assert!(only(&report).held.is_some(), "{operation}: {report:#?}");
        let wanted = FollowUp::SyncMembers { resource: only(&report).resource, project: Some(site.project()) };
        assert_eq!(report.follow_ups().collect::<Vec<_>>(), [wanted], "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn f118_an_event_that_cannot_be_attended_to_is_not_lost() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.waldur().service_account(site.project(), "svc").create();
    site.resource("one", &[]);
    let project = site.project();
    // The back end is not ready.
    let down = Faults::new(site.service().clone()).on(op("health"), Action::refuse(status(503)));
    let wary = Capabilities::default().with_preflight();
    let agent = site.agent().memory(move |memory| memory.with_members().with_capabilities(wary)).service(down);
    let agent = agent.sending_once().build();
    assert!(agent.user_role_changed(&cx(), user, project, true).await.is_err());
    assert!(agent.account_changed(&cx(), project, "svc", false).await.is_err());
    // The list of resources is not whole.
    let short = Action::from(status(200).json(&serde_json::json!([])).header("x-result-count", "1"));
    let faults = Faults::new(site.waldur().clone()).on(op("provider_resources.list"), short);
    let agent = site.agent().waldur(faults).sending_once().build();
    assert!(agent.user_role_changed(&cx(), user, project, true).await.is_err());
    assert!(agent.account_changed(&cx(), project, "svc", false).await.is_err());
    // Whether the person, or the account, is one to have access cannot be found out.
    for operation in ["offering_users.list", "provider_resources.team", "provider_offerings.service_accounts"] {
        let faults = Faults::new(site.waldur().clone()).on(op(operation), Action::refuse(status(500)));
        let agent = site.agent().waldur(faults).sending_once().build();
        let report = match operation {
            "provider_offerings.service_accounts" => agent.account_changed(&cx(), project, "svc", false).await,
            _ => agent.user_role_changed(&cx(), user, project, true).await,
        };
        assert_eq!((report.unwrap().follow_ups().count(), site.access("one")), (1, String::new()), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn f118_an_account_comes_and_goes_on_all_resources_of_its_project() {
    let site = Site::new(Generation::V8);
    let service = site.waldur().service_account(site.project(), "svc").create();
    let other = site.waldur().project("other").create();
    site.resource("one", &[]);
    site.resource("two", &["x"]);
    site.resource_in(other, "three", &[]);
    let restricted = site.resource("four", &["svc"]);
    site.waldur().change_resource(restricted, |row| row.restrict_member_access(true));
    let agent = site.agent().build();
    let project = site.project();
    agent.account_changed(&cx(), project, "svc", false).await.unwrap();
    let access = |site: &Site| ["one", "two", "three", "four"].map(|id| site.access(id));
    assert_eq!(access(&site), ["svc", "svc x", "", ""]);
    // "Removed", says the event, but the account is there.
    agent.account_changed(&cx(), project, "svc", true).await.unwrap();
    assert_eq!(site.access("one"), "svc");
    site.waldur().set_account_state(service, AccountState::Closed);
    agent.account_changed(&cx(), project, "svc", false).await.unwrap();
    assert_eq!(access(&site), ["", "x", "", ""]);
    // A name that no list has: gone only if the event says so.
    agent.account_changed(&cx(), project, "x", false).await.unwrap();
    assert_eq!(site.access("two"), "x");
    agent.account_changed(&cx(), project, "x", true).await.unwrap();
    assert_eq!(site.access("two"), "");
}

#[tokio::test(start_paused = true)]
async fn one_resource_is_read_and_kept_in_step_whole() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let one = site.resource("one", &[]);
    site.resource("two", &[]);
    let agent = site.agent().memory(|memory| memory.with_members().with_status()).build();
    site.waldur().change_resource(one, |row| row.paused(true));
    agent.sync_resource(&cx(), one).await.unwrap();
    assert_eq!((site.access("one"), site.object("one").status), ("a".to_owned(), "paused".to_owned()));
    assert_eq!(site.access("two"), "", "no other");
    // Only who else has its back-end id: no pass has seen all resources yet; and once more before it is paused.
    assert_eq!(site.world.count("provider_resources.list"), 2);
    // Not ours, or not to be kept in step.
    let other = site.waldur().offering().name("Other").create();
    let foreign = site.waldur().resource(other).backend_id("one").create();
    let unborn = site.waldur().resource(site.offering()).create();
    for resource in [foreign, unborn] {
        let report = agent.sync_resource(&cx(), resource).await.unwrap();
        assert!(matches!(only(&report).outcome, SyncOutcome::NotHandled));
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_is_kept_true_in_its_members_and_in_nothing_else() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let other = site.waldur().project("other").create();
    site.member_of(other, "b");
    let one = site.resource("one", &["x"]);
    site.resource_in(other, "two", &[]);
    site.waldur().change_resource(one, |row| row.paused(true).backend_metadata(serde_json::json!({})));
    let agent = site.agent().memory(|memory| memory.with_members().with_status()).build();
    agent.sync_project(&cx(), site.project()).await.unwrap();
    assert_eq!((site.access("one"), site.access("two")), ("a".to_owned(), String::new()));
    assert_eq!((site.object("one").status, site.writes()), ("active".to_owned(), Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_a_person_reaches_the_back_end() {
    let site = Site::selling(Generation::V8, |offering| offering.exposes(["organization"]));
    let user = site.waldur().user("a@idp").attribute("organization", "Example Org").create();
    site.account(user, "a");
    let agent = site.agent().build();
    assert!(agent.sync_user_attributes(&cx(), user).await.unwrap());
    assert_eq!(site.service().attributes("a"), Some(serde_json::json!({ "organization": "Example Org" })));
    let nobody = UserUuid::new(waldur_sdk::types::Uuid::from_u128(7));
    assert!(!agent.sync_user_attributes(&cx(), nobody).await.unwrap());
}

/// Passes may be driven from any thread.
#[tokio::test(start_paused = true)]
async fn every_entry_can_be_sent_to_another_thread() {
    fn send<T: Send>(_: &T) {}
    let (agent, context) = (Site::new(Generation::V8).agent().build(), cx());
    let (user, nil) = (UserUuid::new(waldur_sdk::types::Uuid::nil()), waldur_sdk::types::Uuid::nil());
    send(&agent.run_once(&context));
    send(&agent.sync_resource(&context, nil.into()));
    send(&agent.sync_project(&context, nil.into()));
    send(&agent.user_role_changed(&context, user, nil.into(), true));
    send(&agent.account_changed(&context, nil.into(), "x", true));
    send(&agent.sync_user_attributes(&context, user));
}
