//! Who has access (core.md §9 C33 to C39; faults.md rows 118 to 121, 150, 153 to 156).

use std::{sync::Arc, time::Duration};

use serde_json::json;
use waldur_sdk::{
    backend::Capabilities,
    process::{HoldReason, SkipReason, SyncOutcome},
    rest::HttpTransport,
    settings::UnmanagedUsers,
    testing::{
        Action, Counting, Faults, Latency, MemoryBackend, op, status,
        waldur::{AccountState, Generation, OfferingUserState, RecordedRequest, ResourceState},
        when,
    },
};

use crate::{
    orders::BOTH,
    world::{MINUTE, Site, assert_synced, line, only, pass_time, run, warned},
};

#[tokio::test(start_paused = true)]
async fn c33_who_is_missing_is_added_who_left_is_removed_and_one_team_serves_the_project() {
    for generation in BOTH {
        let site = Site::new(generation);
        for name in ["a", "b"] {
            site.member(name);
        }
        site.resource("one", &["b", "c"]);
        site.resource("two", &[]);
        site.resource("three", &["a", "b"]);
        let report = site.pass().await;
        assert_synced(&report);
        let changes: Vec<_> =
            report.resources.iter().map(|one| (one.name.as_str(), line(&one.added), line(&one.removed))).collect();
        let wanted = [("one", "a", "c"), ("two", "a b", ""), ("three", "", "")];
        assert_eq!(changes, wanted.map(|(name, added, removed)| (name, added.to_owned(), removed.to_owned())));
        for id in ["one", "two", "three"] {
            assert_eq!(site.access(id), "a b", "{id}");
        }
        // One for the project, and one more before anybody is removed.
        assert_eq!(site.world.count("provider_resources.team"), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn c34_accounts_of_services_and_courses_come_and_go_by_their_state_alone() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let service = site.waldur().service_account(site.project(), "svc").create();
    site.waldur().course_account(site.project(), "course").create();
    site.waldur().service_account(site.project(), "broken").state(AccountState::Erred).create();
    let elsewhere = site.waldur().project("elsewhere").create();
    site.waldur().service_account(elsewhere, "other").create();
    site.resource("one", &["a", "svc", "broken"]);
    let agent = site.agent().build();
    let report = run(&agent).await;
    assert_synced(&report);
    assert_eq!((line(&only(&report).added), line(&only(&report).removed)), ("course".to_owned(), String::new()));
    assert_eq!(site.access("one"), "a broken course svc");
    // Nothing to do, and nothing done: not removed, not added again.
    let writes = site.service().writes();
    run(&agent).await;
    assert_eq!(site.service().writes(), writes);
    site.waldur().set_account_state(service, AccountState::Closed);
    let report = run(&agent).await;
    assert_eq!(line(&only(&report).removed), "svc");
    assert_eq!(site.access("one"), "a broken course");
}

#[tokio::test(start_paused = true)]
async fn c35_a_restricted_resource_loses_everybody_and_gets_nobody() {
    for generation in BOTH {
        let site = Site::new(generation);
        for name in ["a", "b"] {
            site.member(name);
        }
        site.waldur().service_account(site.project(), "svc").create();
        let resource = site.resource("one", &["a", "gone", "svc", "root"]);
        site.waldur().change_resource(resource, |row| row.restrict_member_access(true));
        let protect = |policy: &mut waldur_sdk::process::MembershipPolicy| {
            policy.protected_usernames.insert("root".into());
        };
        let report = site.agent().policy(protect).run().await;
        assert_synced(&report);
        assert_eq!(site.access("one"), "root");
        assert_eq!(line(&only(&report).added), "");
        let writes = site.service().writes();
        site.agent().policy(protect).run().await;
        assert_eq!(site.service().writes(), writes, "nobody comes back while it is restricted");
    }
}

#[tokio::test(start_paused = true)]
async fn c36_who_left_is_removed_although_the_account_is_gone_as_well() {
    for generation in BOTH {
        let site = Site::new(generation);
        site.member("a");
        site.resource("one", &["a", "departed"]);
        let report = site.pass().await;
        assert_eq!(line(&only(&report).removed), "departed");
        assert_eq!(site.access("one"), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn c38_a_back_end_that_knows_identities_is_compared_by_them() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let nameless = site.waldur().user("new@idp").project_role(site.project(), "PROJECT.ADMIN").create();
    site.waldur().offering_user(site.offering(), nameless).without_username().create();
    site.resource("one", &["a", "old@idp"]);
    let bridged =
        |memory: MemoryBackend| memory.with_members().with_capabilities(Capabilities::default().with_identity_bridge());
    let report = site.agent().memory(bridged).run().await;
    assert_synced(&report);
    assert_eq!(site.access("one"), "a@idp new@idp");
}

#[tokio::test(start_paused = true)]
async fn c39_a_consent_to_any_resource_of_a_shared_project_counts() {
    let site = Site::new(Generation::V8);
    let here = site.member("here");
    let there = site.member("there");
    let nowhere = site.member("nowhere");
    let sibling = site.waldur().offering().name("Sibling").create();
    site.waldur().resource(sibling).backend_id("sibling").create();
    for user in [there, nowhere] {
        site.waldur().set_consent(user, site.offering(), false);
    }
    for user in [here, nowhere] {
        site.waldur().set_consent(user, sibling, false);
    }
    let shared = || {
        let capabilities = Capabilities::default().with_consented_users_only().with_shared_project_membership();
        move |memory: MemoryBackend| memory.with_members().with_capabilities(capabilities)
    };
    site.resource("one", &["here", "there", "nowhere"]);
    let report = site.agent().memory(shared()).run().await;
    assert_eq!(line(&only(&report).removed), "nowhere");
    assert_eq!(site.access("one"), "here there");

    // One sibling's team fails: whoever consented there must not be taken for gone.
    site.edit("one", |object| object.members.extend(["stale".to_owned()]));
    let sibling_team = when("the sibling's team", move |request| {
        request.uri().path().ends_with("/team/") && !request.uri().path().contains(&uuid_of(&report))
    });
    let faults = Faults::new(site.waldur().clone()).on(sibling_team, Action::refuse(status(500)));
    let report = site.agent().memory(shared()).waldur(faults).sending_once().run().await;
    assert!(matches!(only(&report).held.as_ref().unwrap().reason, HoldReason::Incomplete(_)), "{report:#?}");
    assert_eq!(site.access("one"), "here stale there");

    // The siblings cannot be listed: the resource's own team alone, and no removals.
    let listing = when("a list of all offerings", |request| {
        let query = request.uri().query().unwrap_or_default();
        request.uri().path().ends_with("provider-resources/") && !query.contains("offering_uuid=")
    });
    let late = site.member("late");
    site.waldur().set_consent(late, sibling, false);
    let faults = Faults::new(site.waldur().clone()).on(listing, Action::refuse(status(500)));
    let report = site.agent().memory(shared()).waldur(faults).sending_once().run().await;
    assert_eq!((line(&only(&report).added), line(&only(&report).removed)), ("late".to_owned(), String::new()));
    assert_eq!(site.access("one"), "here late stale there");
}

fn uuid_of(report: &waldur_sdk::process::MembershipReport) -> String {
    only(report).resource.hex()
}

#[tokio::test(start_paused = true)]
async fn f118_events_or_none_the_level_decides() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.resource("one", &[]);
    let agent = site.agent().build();
    // Granted and revoked and granted, all lost: the pass sees what is.
    site.waldur().remove_from_project(user, site.project());
    site.waldur().change_user(user, |user| user.project_role(site.project(), "PROJECT.ADMIN"));
    run(&agent).await;
    assert_eq!(site.access("one"), "a");
}

#[tokio::test(start_paused = true)]
async fn f119_a_back_end_id_written_by_others_is_respected() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let resource = site.resource("one", &[]);
    site.service().put("moved", site.world.object_of(resource, 4, 8));
    site.waldur().change_resource(resource, |row| row.backend_id("moved"));
    site.pass().await;
    assert_eq!((site.access("one"), site.access("moved")), (String::new(), "a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn f120_two_roles_are_one_member_and_a_changed_role_is_one_write() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.resource("one", &[]);
    let row = |role: &str| json!({ "uuid": user.hex(), "username": "a@idp", "role": role, "offering_user_username": "a", "offering_user_state": "OK" });
    let team = |roles: &[&str]| {
        let rows: Vec<_> = roles.iter().map(|role| row(role)).collect();
        Action::replace_body(serde_json::to_vec(&rows).unwrap())
    };
    let with_roles = |roles: &[&str]| {
        let faults = Faults::new(site.waldur().clone()).on(op("provider_resources.team"), team(roles));
        site.agent().memory(MemoryBackend::with_roles).waldur(faults).build()
    };
    let report = run(&with_roles(&["PROJECT.MANAGER", "PROJECT.MEMBER"])).await;
    assert_eq!(line(&only(&report).added), "a");
    let roles = |site: &Site| site.object("one").roles["a"].iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(roles(&site), "PROJECT.MANAGER PROJECT.MEMBER");
    let writes = site.service().writes();
    let report = run(&with_roles(&["PROJECT.MEMBER"])).await;
    assert_eq!((roles(&site), site.service().writes() - writes), ("PROJECT.MEMBER".to_owned(), 1));
    assert_eq!(only(&report).changes.len(), 1, "{report:#?}");
    // Another order of the same roles is no change, and neither is a row that comes twice.
    let writes = site.service().writes();
    for same in [&["PROJECT.MEMBER"][..], &["PROJECT.MEMBER", "PROJECT.MEMBER"]] {
        let report = run(&with_roles(same)).await;
        assert_eq!((only(&report).has_changed(), site.service().writes() - writes), (false, 0), "{same:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f120_a_renamed_user_keeps_access_under_the_new_name_alone() {
    let site = Site::new(Generation::V8);
    let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.account(user, "old");
    site.resource("one", &["old"]);
    let agent = site.agent().build();
    run(&agent).await;
    site.waldur().change_offering_user(account, |account| account.username("new"));
    let report = run(&agent).await;
    assert_eq!((line(&only(&report).added), line(&only(&report).removed)), ("new".to_owned(), "old".to_owned()));
    assert_eq!(site.access("one"), "new");
}

#[tokio::test(start_paused = true)]
async fn f121_unknown_people_stay_where_the_policy_says_so() {
    let site = Site::new(Generation::V8);
    let leaver = site.member("leaver");
    site.member("a");
    site.resource("one", &["a", "hand", "leaver"]);
    let agent = site.agent().policy(|policy| policy.unmanaged_users = UnmanagedUsers::Keep).build();
    let report = run(&agent).await;
    assert_eq!((only(&report).unmanaged, site.access("one")), (1, "a hand leaver".to_owned()));
    // Whoever had an account once is known for as long as this processor lives.
    site.waldur().remove_from_project(leaver, site.project());
    let report = run(&agent).await;
    assert_eq!((line(&only(&report).removed), site.access("one")), ("leaver".to_owned(), "a hand".to_owned()));
    // The default is the Python agent's.
    site.pass().await;
    assert_eq!(site.access("one"), "a");
}

#[tokio::test(start_paused = true)]
async fn f150_one_refused_member_changes_nothing_for_the_others() {
    for generation in BOTH {
        let site = Site::new(generation);
        for number in 0..30 {
            site.member(&format!("m{number:02}"));
        }
        site.resource("one", &[]);
        site.resource("two", &[]);
        site.service().refuse_member("m07");
        let report = site.pass().await;
        assert_synced(&report);
        for resource in &report.resources {
            assert_eq!((resource.added.len(), resource.warnings.len()), (29, 1));
        }
        assert_eq!(site.members("one").len(), 29);
    }
}

#[tokio::test(start_paused = true)]
async fn f151_what_was_half_done_is_finished_by_the_next_pass() {
    let site = Site::new(Generation::V8);
    for name in ["a", "b", "c", "d"] {
        site.member(name);
    }
    site.resource("one", &["x"]);
    let third = op("members.add").from(3);
    let faults = Faults::new(site.service().clone()).on(third, Action::refuse(status(503)));
    let report = site.agent().service(faults).sending_once().run().await;
    assert_eq!((line(&only(&report).added), warned(&report).len()), ("a b".to_owned(), 2));
    let report = site.pass().await;
    assert_eq!(line(&only(&report).added), "c d");
    assert_eq!(site.access("one"), "a b c d");
}

#[tokio::test(start_paused = true)]
async fn f153_who_cannot_have_access_is_skipped_for_a_reason_and_loses_it() {
    let site = Site::new(Generation::V8);
    site.member("fine");
    let person = |name: &str| site.waldur().user(name).project_role(site.project(), "PROJECT.MEMBER").create();
    let account = |user| site.waldur().offering_user(site.offering(), user);
    let no_account = person("no-account");
    let nameless = person("nameless");
    account(nameless).without_username().state(OfferingUserState::Requested).create();
    let restricted = person("restricted");
    account(restricted).restricted().create();
    let mut expected =
        vec![(no_account, SkipReason::NoName), (nameless, SkipReason::NoName), (restricted, SkipReason::Restricted)];
    for state in [OfferingUserState::RequestedDeletion, OfferingUserState::Deleting, OfferingUserState::Deleted] {
        let name = format!("leaving-{state}").replace(' ', "-");
        let user = person(&name);
        account(user).state(state).create();
        expected.push((user, SkipReason::Leaving));
    }
    let pending = person("pending");
    account(pending).state(OfferingUserState::PendingAccountLinking).create();
    let present = ["fine", "restricted", "leaving-Requested-deletion", "leaving-Deleting", "leaving-Deleted"];
    site.resource("one", &present);
    let report = site.pass().await;
    assert_synced(&report);
    // Whoever has a name is let in, whatever else is still to be done (as the Python agent does).
    assert_eq!(site.access("one"), "fine pending");
    let mut skipped: Vec<_> = only(&report).skipped.iter().map(|one| (one.user, one.reason)).collect();
    skipped.sort_by_key(|(user, _)| *user);
    expected.sort_by_key(|(user, _)| *user);
    assert_eq!(skipped, expected);
}

#[tokio::test(start_paused = true)]
async fn f153_c39_whoever_withdraws_consent_loses_access_for_that_reason() {
    let site = Site::new(Generation::V8);
    let [_, withdrew, left] = ["fine", "withdrew", "left"].map(|name| site.member(name));
    let resource = site.resource("one", &["fine", "withdrew", "left"]);
    site.waldur().set_consent(withdrew, site.offering(), false);
    site.waldur().remove_from_project(left, site.project());
    let agent = || site.agent().policy(|policy| policy.consented_users_only = true);
    let report = agent().run().await;
    assert_eq!((only(&report).resource, line(&only(&report).removed)), (resource, "left withdrew".to_owned()));
    let skipped: Vec<_> = only(&report).skipped.iter().map(|one| (one.user, one.reason)).collect();
    assert_eq!(skipped, [(withdrew, SkipReason::NoConsent)], "who left the project is told from whom");
    // Nobody is asked for consent in a pass that removes nobody.
    site.waldur().forget_requests();
    agent().run().await;
    let asks = |request: &RecordedRequest| request.query.contains(&("field".to_owned(), "has_consent".to_owned()));
    assert_eq!(site.waldur().requests().iter().filter(|request| asks(request)).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn f154_two_people_of_one_name_are_one_account_and_a_reason() {
    let site = Site::new(Generation::V8);
    site.member("twin");
    let other = site.waldur().user("other").project_role(site.project(), "PROJECT.MEMBER").create();
    site.account(other, "twin");
    site.member("a");
    site.resource("one", &[]);
    let report = site.pass().await;
    assert_eq!(site.access("one"), "a twin");
    assert_eq!(only(&report).skipped.len(), 1);
    assert_eq!(only(&report).skipped[0].reason, SkipReason::SameName);
}

#[tokio::test(start_paused = true)]
async fn f155_a_thousand_people_in_one_project() {
    let site = Site::new(Generation::V8);
    for number in 0..1000 {
        site.member(&format!("m{number:04}"));
    }
    site.resource("one", &[]);
    // A network that takes its time: what may be in flight at once, is.
    let network = |transport| Latency::new(transport, site.environment(), Duration::from_millis(10));
    let waldur = Counting::new(network(Arc::new(site.waldur().clone()) as Arc<dyn HttpTransport>));
    let service = Counting::new(network(Arc::new(site.service().clone())));
    let report = site.agent().waldur(waldur.clone()).service(service.clone()).run().await;
    assert_eq!(only(&report).added.len(), 1000);
    let (waldur, service) = (waldur.counts(), service.counts());
    assert_eq!(waldur.of("offering_users.list"), 10, "pages of a hundred");
    assert!(waldur.peak_in_flight <= 12 && service.peak_in_flight <= 8, "{waldur:?} {service:?}");
    let writes = site.service().writes();
    assert_synced(&site.pass().await);
    assert_eq!((site.members("one").len(), site.service().writes()), (1000, writes));
}

#[tokio::test(start_paused = true)]
async fn f156_members_that_cannot_be_read_are_not_written() {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.resource("one", &["b"]);
    for answer in [503, 403] {
        let faults = Faults::new(site.service().clone()).on(op("objects.get"), Action::refuse(status(answer)));
        let report = site.agent().service(faults).sending_once().run().await;
        let outcome = &only(&report).outcome;
        assert!(matches!(outcome, SyncOutcome::Deferred(_) | SyncOutcome::Failing(..)), "{outcome}");
        assert_eq!((site.access("one"), site.service().writes()), ("b".to_owned(), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn sec48_an_object_of_somebody_else_is_not_touched() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let ours = site.resource("one", &["x"]);
    let theirs = site.resource("two", &[]);
    site.waldur().change_resource(theirs, |row| row.backend_id("one").paused(true));
    let report = site.agent().memory(|memory| memory.with_members().with_status()).run().await;
    let of = |resource| report.resources.iter().find(|one| one.resource == resource).unwrap();
    assert!(matches!(of(theirs).outcome, SyncOutcome::Foreign), "{}", of(theirs).outcome);
    assert!(matches!(of(ours).outcome, SyncOutcome::Synced));
    assert_eq!((site.access("one"), site.object("one").status), ("a".to_owned(), "active".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn two_resources_of_one_id_are_both_served_and_neither_takes_what_the_other_gives() {
    let site = Site::new(Generation::V8);
    let other = site.waldur().project("other").create();
    site.member("a");
    site.member_of(other, "b");
    site.resource("one", &[]);
    let second = site.resource_in(other, "two", &[]);
    site.waldur().change_resource(second, |row| row.backend_id("one"));
    // No stamp: older than stamps, and thus both resources'.
    site.edit("one", |object| {
        object.stamp = None;
        object.members.insert("stale".to_owned());
    });
    let agent = site.agent().build();
    for _ in 0..2 {
        let report = run(&agent).await;
        assert_synced(&report);
        assert_eq!(site.access("one"), "a b");
        for resource in &report.resources {
            assert_eq!(resource.warnings.iter().map(|warning| warning.step).collect::<Vec<_>>(), ["backend id"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn resources_without_an_object_or_in_other_states_are_left_alone() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let missing = site.resource("lost", &[]);
    site.service().lose("lost");
    for (id, state) in [("creating", ResourceState::Creating), ("updating", ResourceState::Updating)] {
        let resource = site.resource(id, &[]);
        site.waldur().change_resource(resource, |row| row.state(state));
    }
    let unborn = site.resource("unborn", &[]);
    site.waldur().change_resource(unborn, |row| row.backend_id(" "));
    let report = site.pass().await;
    assert_eq!(only(&report).resource, missing);
    assert!(matches!(only(&report).outcome, SyncOutcome::Missing));
    assert_eq!(site.writes(), Vec::<&str>::new());
    // A federated back end asks for those that are being created as well.
    let creating = Capabilities::default().with_creating_resources();
    site.agent().memory(move |memory| memory.with_members().with_capabilities(creating)).run().await;
    assert_eq!((site.access("creating"), site.access("updating")), ("a".to_owned(), String::new()));
}

#[tokio::test(start_paused = true)]
async fn a_back_end_with_members_of_its_own_is_only_reconciled() {
    let site = Site::new(Generation::V8);
    site.member("a");
    site.member("b");
    site.resource("one", &["b", "own"]);
    let own = Capabilities::default().with_skip_team_diff();
    let report = site.agent().memory(move |memory| memory.with_roles().with_capabilities(own)).run().await;
    assert_eq!(site.access("one"), "b own");
    assert_eq!(site.object("one").roles.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(only(&report).changes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_exposed_attributes_are_asked_for_and_reach_the_back_end_without_prefix() {
    let site = Site::selling(Generation::V8, |offering| offering.exposes(["full_name", "organization", "birth_date"]));
    let user = site.waldur().user("a@idp").name("Ann", "Example").attribute("organization", "Example Org");
    let user = user.attribute("birth_date", "1990-01-02").attribute("phone_number", "555");
    let user = user.project_role(site.project(), "PROJECT.MEMBER").create();
    site.account(user, "a");
    site.resource("one", &[]);
    let grants = crate::watching::Seen::default();
    let seen = grants.clone();
    let agent = site.agent().around(move |backend| crate::watching::Watching::over(backend, seen)).build();
    run(&agent).await;
    let grant = grants.grants().remove(0);
    let told = serde_json::to_value(&grant.attributes).unwrap();
    let wanted = json!({
        "full_name": "Ann Example", "first_name": "Ann", "last_name": "Example", "organization": "Example Org",
        "birth_date": "1990-01-02",
    });
    assert_eq!(told, wanted);
    let asked = site.waldur().requests().into_iter().find(|one| one.operation == Some("offering_users.list")).unwrap();
    let mut fields = asked.parameters("field");
    fields.sort_unstable();
    let wanted = [
        "is_restricted",
        "offering_uuid",
        "state",
        "url",
        "user_birth_date",
        "user_first_name",
        "user_full_name",
        "user_last_name",
        "user_organization",
        "user_username",
        "user_uuid",
        "username",
        "uuid",
    ];
    assert_eq!(fields, wanted);
    // The configuration is believed for five minutes.
    let configs = |site: &Site| site.world.count("provider_offerings.exposed_attributes");
    run(&agent).await;
    assert_eq!(configs(&site), 1);
    pass_time(6 * MINUTE).await;
    run(&agent).await;
    assert_eq!(configs(&site), 2);
}

#[tokio::test(start_paused = true)]
async fn f118_who_came_while_the_pass_was_on_its_way_is_not_taken_for_a_stranger() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let resource = site.resource("one", &["a"]);
    // Something else is to be written, so the resource is looked at again; an order lets somebody in just before.
    site.waldur().change_resource(resource, |row| row.backend_metadata(json!({})));
    let late = site.clone();
    let between = crate::orders::OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.member("late");
        late.edit("one", |object| {
            object.members.insert("late".to_owned());
        });
    });
    site.agent().waldur(between).run().await;
    assert_eq!(site.access("one"), "a late");
}

#[tokio::test(start_paused = true)]
async fn f118_who_left_while_a_long_pass_was_on_its_way_does_not_come_back() {
    let site = Site::new(Generation::V8);
    let user = site.member("a");
    site.member("b");
    for id in ["one", "two"] {
        site.resource(id, &["b"]);
    }
    // One after the other, each taking minutes: the role goes while the first is looked at again.
    let late = site.clone();
    let slow = waldur_sdk::testing::Latency::new(site.service().clone(), site.environment(), MINUTE);
    let between = crate::orders::OnRequest::new(site.waldur().clone(), "provider_resources.get", move || {
        late.waldur().remove_from_project(user, late.project());
    });
    let agent = site.agent().waldur(between).service(slow).policy(|policy| policy.concurrency = 1);
    agent.run().await;
    assert_eq!(site.access("two"), "b", "the team was read again");
    site.pass().await;
    assert_eq!(site.access("one"), "b");
}
