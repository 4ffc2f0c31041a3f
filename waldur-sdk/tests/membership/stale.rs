//! What lists that are old, or not proven whole, must not do (core.md §3.4, §3.10; faults.md rows 103, 118, 152).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use waldur_sdk::{
    backend::{Capabilities, GeneratedUsernames, Grant, MarketplaceResource, ResourceBackend},
    naming::NameForm,
    process::{AccountOutcome, HoldReason, MembershipPolicy, MembershipReport, ResourceSync},
    rest::Http,
    testing::{
        Action, Faults, Latency, MemoryBackend, op, status,
        waldur::{AccountState, Generation, OfferingUserState},
        when,
    },
    types::{BackendId, ResourceUuid},
};

use crate::{
    orders::OnRequest,
    world::{MINUTE, Site, cx, line, only, pass_time, run},
};

#[track_caller]
fn of(report: &MembershipReport, resource: ResourceUuid) -> &ResourceSync {
    report.resources.iter().find(|one| one.resource == resource).expect("the resource is in the report")
}

/// Who is to be removed and is not, by a list that is not proven.
#[track_caller]
fn held(resource: &ResourceSync) -> String {
    let held = resource.held.as_ref().expect("removals are held");
    assert!(matches!(held.reason, HoldReason::Incomplete(_)), "{held:?}");
    line(&held.usernames)
}

#[tokio::test(start_paused = true)]
async fn u10_nobody_is_named_by_a_list_that_is_not_proven() {
    let site = Site::selling(Generation::V8, |offering| {
        offering.plugin_option("service_provider_can_create_offering_user", true)
    });
    let user = site.waldur().user("j@idp").name("John", "Doe").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), user).without_username();
    let account = account.state(OfferingUserState::Requested).create();
    for number in 0..120 {
        site.account(site.waldur().user(&format!("u{number}")).create(), &format!("m{number:03}"));
    }
    site.account(site.waldur().user("j2@idp").create(), "john_doe_00");
    let second = when("a second page", |request| {
        request.uri().path().contains("offering-users") && request.uri().query().unwrap_or_default().contains("&page=2")
    });
    let faults = Faults::new(site.waldur().clone()).on(second, Action::refuse(status(500)));
    let generator = || Arc::new(GeneratedUsernames::full_name(NameForm::Recommended));
    let report = site.agent().named_by(generator()).waldur(faults).sending_once().run().await;
    let [named] = report.usernames.accounts.as_slice() else { panic!("{report:#?}") };
    assert!(named.account == account && matches!(named.outcome, AccountOutcome::Deferred(_)), "{named:?}");
    assert_eq!(site.writes(), Vec::<&str>::new());
    // By the whole list the name is another.
    site.agent().named_by(generator()).run().await;
    assert_eq!(site.waldur().offering_user_view(account).username.as_deref(), Some("john_doe_01"));
}

#[tokio::test(start_paused = true)]
async fn f118_an_old_team_gives_nobody_access_whose_role_went_meanwhile() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    for id in ["one", "two"] {
        // Nothing but the metadata differs.
        let resource = site.resource(id, &["a", "b"]);
        site.waldur().change_resource(resource, |row| row.backend_metadata(json!({})));
    }
    let late = site.clone();
    let slow = Latency::new(site.service().clone(), site.environment(), MINUTE);
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().remove_from_project(user, late.project());
        late.edit("two", |object| {
            object.members.remove("a");
        });
    });
    site.agent().waldur(between).service(slow).policy(|policy| policy.concurrency = 1).run().await;
    assert_eq!(site.access("two"), "b");
}

#[tokio::test(start_paused = true)]
async fn f118_roles_are_not_brought_in_line_by_lists_that_an_event_has_overtaken() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    let [_, two] = ["one", "two"].map(|id| {
        let resource = site.resource(id, &["a", "b"]);
        site.edit(id, |object| {
            for name in ["a", "b"] {
                object.roles.insert(name.to_owned(), ["PROJECT.MEMBER".to_owned()].into());
            }
        });
        resource
    });
    let slow = Latency::new(site.service().clone(), site.environment(), MINUTE);
    let agent = site.agent().memory(MemoryBackend::with_roles).service(slow).policy(|policy| policy.concurrency = 1);
    let agent = agent.build();
    // The pass has read its team after two minutes and is at the first resource when the role goes; the event has the
    // second one before the pass comes to it.
    let listener = agent.clone().with_policy(MembershipPolicy::default());
    let event = async {
        pass_time(Duration::from_secs(130)).await;
        site.waldur().remove_from_project(user, site.project());
        listener.user_role_changed(&cx(), user, site.project(), false).await.unwrap()
    };
    let context = cx();
    let (report, event) = tokio::join!(agent.run_once(&context), event);
    assert_eq!(line(&of(&event, two).removed), "a", "the event came first: {event:#?}");
    let report = report.unwrap();
    assert!(of(&report, two).warnings.is_empty() && !of(&report, two).has_changed(), "{report:#?}");
    assert_eq!(site.object("two").roles.keys().collect::<Vec<_>>(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn f118_an_old_team_brings_no_role_back() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    for id in ["one", "two"] {
        // Nothing but the metadata differs.
        let resource = site.resource(id, &["a"]);
        site.waldur().change_resource(resource, |row| row.backend_metadata(json!({})));
        site.edit(id, |object| drop(object.roles.insert("a".to_owned(), ["PROJECT.MEMBER".to_owned()].into())));
    }
    let slow = Latency::new(site.service().clone(), site.environment(), MINUTE);
    let late = site.clone();
    // Another process attends to that while this one is at the first resource.
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().remove_from_project(user, late.project());
        late.waldur().change_user(user, |user| user.project_role(late.project(), "PROJECT.ADMIN"));
        late.edit("two", |object| drop(object.roles.insert("a".to_owned(), ["PROJECT.ADMIN".to_owned()].into())));
    });
    let agent = site.agent().memory(MemoryBackend::with_roles).waldur(between).service(slow);
    agent.policy(|policy| policy.concurrency = 1).run().await;
    assert_eq!(site.object("two").roles["a"], ["PROJECT.ADMIN".to_owned()].into());
}

#[tokio::test(start_paused = true)]
async fn f118_a_team_of_seconds_ago_gives_nobody_access_against_an_event_that_came_since() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    for id in ["one", "two"] {
        site.resource(id, &["b"]);
    }
    let slow = Latency::new(site.service().clone(), site.environment(), Duration::from_secs(1));
    let agent = site.agent().service(slow).policy(|policy| policy.concurrency = 1).build();
    let listener = agent.clone().with_policy(MembershipPolicy::default());
    // The pass has read its team after two seconds and is at the first resource; nobody has anything to lose yet.
    let revoked = async {
        pass_time(Duration::from_millis(2250)).await;
        site.waldur().remove_from_project(user, site.project());
        listener.user_role_changed(&cx(), user, site.project(), false).await.unwrap()
    };
    let context = cx();
    let (report, _) = tokio::join!(agent.run_once(&context), revoked);
    assert_eq!((site.access("one"), site.access("two")), ("b".to_owned(), "b".to_owned()), "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn f118_an_event_that_was_overtaken_by_another_gives_nothing_back() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    for id in ["one", "two"] {
        site.resource(id, &["b"]);
    }
    let slow = Latency::new(site.service().clone(), site.environment(), MINUTE);
    let agent = site.agent().service(slow).policy(|policy| policy.concurrency = 1).build();
    let listener = agent.clone().with_policy(MembershipPolicy::default());
    // The role goes while the event that gave it is at the first resource; the one that takes it is at both at once.
    let revoked = async {
        pass_time(Duration::from_secs(10)).await;
        site.waldur().remove_from_project(user, site.project());
        listener.user_role_changed(&cx(), user, site.project(), false).await.unwrap()
    };
    let context = cx();
    let (granted, _) = tokio::join!(agent.user_role_changed(&context, user, site.project(), true), revoked);
    assert_eq!((site.access("one"), site.access("two")), ("b".to_owned(), "b".to_owned()), "{granted:#?}");
}

#[tokio::test(start_paused = true)]
async fn c33_the_service_in_memory_gives_no_role_to_whoever_has_no_access() {
    let site = Site::new(Generation::V8);
    let resource = site.resource("one", &["a"]);
    let resource = MarketplaceResource::new(resource, site.offering(), "one", "one");
    let http = Http::new(site.service().clone()).with_environment(site.environment());
    let backend = MemoryBackend::through(http).unwrap().with_roles();
    let grants = ["a", "x"].map(Grant::new);
    let id = BackendId::new("one").unwrap();
    let outcomes = backend.members().unwrap().reconcile(&cx(), &resource, &id, &grants).await.unwrap();
    let done: Vec<_> = outcomes.iter().map(|outcome| outcome.result.is_ok()).collect();
    assert_eq!((done, site.object("one").roles.len()), (vec![true, false], 1));
}

#[tokio::test(start_paused = true)]
async fn c37_what_was_seen_and_refuted_counts_no_more() {
    let site = Site::new(Generation::V8);
    let users = ["a", "b"].map(|name| site.member(name));
    site.resource("one", &["a", "b"]);
    let empty = Arc::new(AtomicBool::new(true));
    let is_empty = empty.clone();
    let team = when("an empty team", move |request| {
        request.uri().path().ends_with("/team/") && is_empty.load(Ordering::SeqCst)
    });
    let faults = Faults::new(site.waldur().clone()).on(team.from(1), Action::replace_body("[]"));
    let agent = site.agent().waldur(faults).build();
    assert!(only(&run(&agent).await).held.is_some());
    pass_time(5 * MINUTE).await;
    // The team is back, but for one who went for good: that is not doubted.
    empty.store(false, Ordering::SeqCst);
    site.waldur().remove_from_project(users[1], site.project());
    assert_eq!(line(&only(&run(&agent).await).removed), "b");
    pass_time(5 * MINUTE).await;
    empty.store(true, Ordering::SeqCst);
    let report = run(&agent).await;
    assert!(only(&report).held.is_some(), "seen for the first time since it was refuted: {report:#?}");
    assert_eq!(site.access("one"), "a");
    pass_time(5 * MINUTE).await;
    assert_eq!(line(&only(&run(&agent).await).removed), "a");
}

#[tokio::test(start_paused = true)]
async fn c37_what_was_seen_days_ago_is_no_first_look() {
    let site = Site::new(Generation::V8);
    site.resource("one", &["a"]);
    let agent = site.agent().build();
    for _ in 0..2 {
        assert!(only(&run(&agent).await).held.is_some());
        pass_time(48 * 60 * MINUTE).await;
    }
    assert_eq!(site.access("one"), "a");
    assert!(only(&run(&agent).await).held.is_some());
    pass_time(5 * MINUTE).await;
    assert_eq!(line(&only(&run(&agent).await).removed), "a");
}

#[tokio::test(start_paused = true)]
async fn f103_a_closed_account_waits_for_lists_that_are_proven() {
    let lists = ["provider_offerings.course_accounts", "provider_resources.team", "offering_users.list"];
    for (operation, restricted) in lists.into_iter().flat_map(|list| [(list, false), (list, true)]) {
        let site = Site::new(Generation::V8);
        site.member("a");
        // The name may be somebody else's on the list that cannot be read.
        site.waldur().service_account(site.project(), "svc").state(AccountState::Closed).create();
        let resource = site.resource("one", &["svc"]);
        site.waldur().change_resource(resource, |row| row.restrict_member_access(restricted));
        let faults = Faults::new(site.waldur().clone()).on(op(operation), Action::refuse(status(500)));
        let report = site.agent().waldur(faults).sending_once().run().await;
        if restricted {
            assert!(!site.access("one").contains("svc"), "{operation}: {report:#?}");
        } else {
            assert_eq!(held(only(&report)), "svc", "{operation}");
            assert!(site.access("one").contains("svc"), "{operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c34_an_account_is_looked_at_again_before_it_comes_or_goes() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let back = site.waldur().service_account(site.project(), "back").state(AccountState::Closed).create();
    let shut = site.waldur().service_account(site.project(), "shut").create();
    site.resource("one", &["a", "back"]);
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().set_account_state(back, AccountState::Ok);
        late.waldur().set_account_state(shut, AccountState::Closed);
    });
    site.agent().waldur(between).run().await;
    assert_eq!(site.access("one"), "a back");
}

#[tokio::test(start_paused = true)]
async fn c33_nobody_goes_by_the_second_look_alone() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let user = site.member("b");
    site.resource("one", &["a", "b", "gone"]);
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().remove_from_project(user, late.project());
    });
    let agent = site.agent().waldur(between).build();
    assert_eq!(line(&only(&run(&agent).await).removed), "gone");
    assert_eq!(line(&only(&run(&agent).await).removed), "b");
}

#[tokio::test(start_paused = true)]
async fn c34_no_account_goes_by_the_second_look_alone() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let service = site.waldur().service_account(site.project(), "svc").create();
    site.resource("one", &["a", "svc", "gone"]);
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().set_account_state(service, AccountState::Closed);
    });
    let agent = site.agent().waldur(between).build();
    assert_eq!(line(&only(&run(&agent).await).removed), "gone");
    assert_eq!(line(&only(&run(&agent).await).removed), "svc");
}

#[tokio::test(start_paused = true)]
async fn f118_whoever_lost_access_meanwhile_comes_back_by_no_list_that_is_not_read_again() {
    let site = Site::new(Generation::V8);
    for name in ["a", "b"] {
        site.member(name);
    }
    for name in ["svc", "job"] {
        site.waldur().service_account(site.project(), name).create();
    }
    let resource = site.resource("one", &["a", "b", "svc", "job"]);
    // Nothing but the metadata differs, so that the object is read again and no list is.
    site.waldur().change_resource(resource, |row| row.backend_metadata(json!({})));
    let late = site.clone();
    let between = OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.edit("one", |object| object.members.retain(|name| name == "b" || name == "job"));
    });
    let agent = site.agent().waldur(between).build();
    assert!(only(&run(&agent).await).added.is_empty());
    assert_eq!((site.access("one"), site.world.count("provider_resources.team")), ("b job".to_owned(), 1));
    // Lists that are newer than that say whether they are to come back.
    run(&agent).await;
    assert_eq!(site.access("one"), "a b job svc");
}

#[tokio::test(start_paused = true)]
async fn f100_whoever_is_leaving_by_either_list_gets_no_access() {
    let site = Site::new(Generation::V8);
    let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), user).username("a");
    let account = account.state(OfferingUserState::RequestedDeletion).create();
    site.resource("one", &[]);
    // The list of accounts as it was before.
    let row = json!([{ "uuid": account.hex(), "user_uuid": user.hex(), "username": "a", "state": "OK" }]);
    let before: Action = status(200).json(&row).header("x-result-count", "1").into();
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.list"), before);
    let report = site.agent().waldur(faults).run().await;
    assert_eq!((only(&report).skipped.len(), site.access("one")), (1, String::new()));
}

/// A resource of the default project and one of another with the same back-end id; `a` is here, `b` there, `c` in both.
fn shared() -> (Site, ResourceUuid, ResourceUuid) {
    let site = Site::new(Generation::V8);
    let other = site.waldur().project("other").create();
    site.member("a");
    site.member_of(other, "b");
    let there = site.resource_in(other, "one", &[]);
    let here = site.resource("one", &["a", "b", "gone"]);
    (site, here, there)
}

#[tokio::test(start_paused = true)]
async fn c33_a_narrow_look_takes_nobody_from_an_id_that_another_resource_has() {
    for after_a_pass in [true, false] {
        let (site, here, there) = shared();
        let agent = site.agent().memory(|memory| memory.with_members().with_status()).build();
        if after_a_pass {
            // Who is wanted by neither goes: this look sees both.
            run(&agent).await;
            assert_eq!(site.access("one"), "a b");
        } else {
            site.edit("one", |object| {
                object.members.remove("gone");
            });
        }
        let report = agent.sync_project(&cx(), site.project()).await.unwrap();
        assert_eq!((held(only(&report)), site.access("one")), ("b".to_owned(), "a b".to_owned()));
        // What one resource says of the whole object is not what the other says.
        site.waldur().change_resource(here, |row| row.paused(true).limits([("cpu", 1)]).restrict_member_access(true));
        let (status, limits) = (site.object("one").status, site.object("one").limits);
        let report = agent.sync_resource(&cx(), here).await.unwrap();
        assert_eq!(held(only(&report)), "a b");
        assert_eq!((site.object("one").status, site.object("one").limits), (status, limits));
        let steps: Vec<_> = only(&report).warnings.iter().map(|warning| warning.step).collect();
        assert!(steps.contains(&"backend id"), "{steps:?}");
        agent.sync_resource(&cx(), there).await.unwrap();
        assert_eq!(site.access("one"), "a b");
    }
}

#[tokio::test(start_paused = true)]
async fn c46_an_event_takes_nobody_from_an_id_that_another_resource_has() {
    for (after_a_pass, unreadable) in [(true, false), (false, false), (false, true)] {
        let (site, ..) = shared();
        let other = site.waldur().project("third").create();
        let user = site.member("c");
        site.waldur().change_user(user, |user| user.project_role(other, "PROJECT.MEMBER"));
        site.edit("one", |object| {
            object.members.insert("c".to_owned());
        });
        let list = when("the resources of an id", move |request| {
            unreadable && request.uri().query().unwrap_or_default().contains("backend_id=one")
        });
        let faults = Faults::new(site.waldur().clone()).on(list, Action::refuse(status(500)));
        let agent = site.agent().waldur(faults).sending_once().build();
        if after_a_pass {
            run(&agent).await;
        }
        site.waldur().remove_from_project(user, site.project());
        let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
        assert_eq!(held(only(&report)), "c", "{after_a_pass} {unreadable}");
        let report = agent.account_changed(&cx(), site.project(), "b", true).await.unwrap();
        assert_eq!(held(only(&report)), "b", "{after_a_pass} {unreadable}");
        assert!(site.access("one").starts_with("a b c"));
    }
}

#[tokio::test(start_paused = true)]
async fn f118_an_event_changes_no_accounts_of_a_back_end_with_members_of_its_own() {
    let site = Site::new(Generation::V8);
    site.waldur().service_account(site.project(), "svc").create();
    site.waldur().service_account(site.project(), "shut").state(AccountState::Closed).create();
    site.resource("one", &["shut"]);
    let own = Capabilities::default().with_skip_team_diff();
    let agent = site.agent().memory(move |memory| memory.with_members().with_capabilities(own)).build();
    for name in ["svc", "shut"] {
        let report = agent.account_changed(&cx(), site.project(), name, false).await.unwrap();
        assert!(report.is_clean(), "{report:#?}");
    }
    assert_eq!((site.access("one"), site.service().writes()), ("shut".to_owned(), 0));
}
