//! Back ends to which two spellings are one name (faults.md row 94). The service of these tests tells them apart: a name
//! that is written although somebody has it already is seen.

use waldur_sdk::{
    backend::Capabilities,
    naming::{Comparison, KeycloakUsername},
    process::{MembershipReport, SkipReason},
    testing::waldur::Generation,
};

use crate::{
    orders::BOTH,
    world::{Agent, Site, cx, line, only},
};

fn agent(site: &Site, comparison: Comparison) -> Agent {
    let capabilities = Capabilities::default().with_member_names(comparison);
    site.agent().memory(move |memory| memory.with_members().with_user_limits().with_capabilities(capabilities))
}

async fn caseless(site: &Site) -> MembershipReport {
    agent(site, KeycloakUsername::COMPARISON).run().await
}

#[tokio::test(start_paused = true)]
async fn f094_a_name_in_another_spelling_is_there_already() {
    for generation in BOTH {
        let site = Site::new(generation);
        for name in ["alice", "BOB", "zoe\u{308}"] {
            site.member(name);
        }
        let mut present = vec!["Alice", "bob", "Zo\u{eb}"];
        if generation == Generation::V8 {
            site.waldur().service_account(site.project(), "svc").create();
            present.push("SVC");
        }
        site.resource("one", &present);
        let report = caseless(&site).await;
        assert!(!only(&report).has_changed(), "{report:#?}");
        let mut writes = site.writes();
        // An old server is told of every pass.
        writes.retain(|write| *write != "provider_resources.refresh_last_sync");
        assert_eq!((writes, site.service().writes()), (Vec::new(), 0), "{generation:?}");
        // To a back end that tells them apart, these are other people.
        let report = agent(&site, Comparison::Exact).run().await;
        assert!(only(&report).added.len() >= 3, "{report:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn f094_who_is_nobodys_in_any_spelling_loses_access_and_who_is_protected_does_not() {
    let site = Site::new(Generation::V8);
    site.member("alice");
    site.resource("one", &["Alice", "Stranger", "ROOT"]);
    let agent = agent(&site, Comparison::IgnoreCase);
    let agent = agent.policy(|policy| {
        policy.protected_usernames.insert("root".into());
    });
    let report = agent.run().await;
    assert_eq!((line(&only(&report).removed), site.access("one")), ("Stranger".to_owned(), "Alice ROOT".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn f094_two_people_with_one_name_are_told_of_and_do_not_share_access() {
    let site = Site::new(Generation::V8);
    let users = ["ann", "Ann"].map(|name| site.member(name));
    site.resource("one", &[]);
    let report = caseless(&site).await;
    let [skipped] = only(&report).skipped.as_slice() else { panic!("{report:#?}") };
    assert!(skipped.reason == SkipReason::SameName && users.contains(&skipped.user), "{skipped:?}");
    assert_eq!(site.members("one").len(), 1);
}

/// An event about one person goes by the same comparison as a whole pass.
#[tokio::test(start_paused = true)]
async fn f094_an_event_neither_adds_who_is_there_nor_overlooks_who_is_to_go() {
    let site = Site::new(Generation::V8);
    let user = site.member("alice");
    site.member("bob");
    site.resource("one", &["Alice", "Bob"]);
    let agent = agent(&site, Comparison::IgnoreCase).build();
    let report = agent.user_role_changed(&cx(), user, site.project(), true).await.unwrap();
    assert!(report.resources.iter().all(|one| !one.has_changed()), "{report:#?}");
    assert_eq!((site.service().writes(), site.access("one")), (0, "Alice Bob".to_owned()));
    // The service here has nobody by the name that Waldur spells; a directory without case has.
    site.waldur().remove_from_project(user, site.project());
    let report = agent.user_role_changed(&cx(), user, site.project(), false).await.unwrap();
    assert_eq!(line(&report.resources[0].removed), "alice");
}
