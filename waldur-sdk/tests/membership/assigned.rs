//! Names that the back end itself gave to people (core.md §3.1, §5.7; `username_reconciliation_enabled`).

use waldur_sdk::{
    process::AccountOutcome,
    settings::AgentSettings,
    testing::{
        Action, Faults, op, status,
        waldur::{Generation, OfferingUserState},
    },
    types::OfferingUserUuid,
};

use crate::{
    watching::{Seen, watched},
    world::{Agent, Site, line, only, run},
};

fn reconciling(site: &Site, seen: &Seen) -> Agent {
    watched(site, seen).policy(|policy| policy.reconcile_usernames = true)
}

fn name(site: &Site, account: OfferingUserUuid) -> Option<String> {
    site.waldur().offering_user_view(account).username
}

/// Somebody with a role and an account of a name that Waldur made up.
fn person(site: &Site, identity: &str, made_up: &str) -> OfferingUserUuid {
    let user = site.waldur().user(identity).project_role(site.project(), "PROJECT.MEMBER").create();
    site.account(user, made_up)
}

#[tokio::test(start_paused = true)]
async fn names_that_the_back_end_gave_reach_waldur_and_keep_their_people_in() {
    let site = Site::new(Generation::V8);
    let (a, b) = (person(&site, "a@idp", "made_up_a"), person(&site, "b@idp", "b1"));
    site.resource("one", &["a1", "b1"]);
    let seen = Seen::default();
    seen.edit(|told| told.assigned = Some([("a@idp", "a1"), ("b@idp", "b1"), ("c@idp", "c1")].into()));
    let agent = reconciling(&site, &seen).build();
    let report = run(&agent).await;
    assert_eq!((name(&site, a).as_deref(), name(&site, b).as_deref()), (Some("a1"), Some("b1")));
    assert_eq!(site.access("one"), "a1 b1", "{report:#?}");
    let [named] = report.usernames.accounts.as_slice() else { panic!("{report:#?}") };
    assert!(named.account == a && matches!(named.outcome, AccountOutcome::Named));
    // Once Waldur has them, nothing is written.
    site.writes();
    run(&agent).await;
    assert_eq!(site.writes(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn no_name_is_taken_over_unless_the_settings_say_so() {
    let site = Site::new(Generation::V8);
    let a = person(&site, "a@idp", "a");
    site.resource("one", &["a"]);
    let seen = Seen::default();
    seen.edit(|told| told.assigned = Some([("a@idp", "a1")].into()));
    watched(&site, &seen).run().await;
    assert_eq!((name(&site, a).as_deref(), seen.edit(|told| told.named.len())), (Some("a"), 0));
    let mut policy = None;
    for enabled in [false, true] {
        let tree = serde_json::json!({ "offerings": [{
            "name": "Storage", "waldur_api_url": "https://waldur.example.org/api/", "waldur_api_token": "t",
            "waldur_offering_uuid": site.offering().hex(), "backend_type": "memory",
            "username_reconciliation_enabled": enabled, "backend_settings": { "default_homedir_umask": "0027" },
        }] });
        let (settings, _) = AgentSettings::from_value(&tree).unwrap();
        let read = waldur_sdk::process::MembershipPolicy::from_settings(&settings, &settings.offerings[0]);
        assert_eq!((read.reconcile_usernames, read.homedir_umask), (enabled, Some(0o027)));
        policy = Some(read);
    }
    assert!(policy.is_some_and(|policy| !policy.single_pass));
}

#[tokio::test(start_paused = true)]
async fn u10_one_name_for_two_people_is_nobodys_and_whoever_leaves_keeps_theirs() {
    let site = Site::new(Generation::V8);
    let [a, b] = [("a@idp", "a"), ("b@idp", "b")].map(|(identity, made_up)| person(&site, identity, made_up));
    let leaving = site.waldur().user("l@idp").create();
    let leaving = site.waldur().offering_user(site.offering(), leaving).username("l");
    let leaving = leaving.state(OfferingUserState::RequestedDeletion).create();
    site.resource("one", &["a", "b"]);
    let seen = Seen::default();
    seen.edit(|told| told.assigned = Some([("a@idp", "same"), ("b@idp", "same"), ("l@idp", "l1")].into()));
    let report = reconciling(&site, &seen).run().await;
    let names = [a, b, leaving].map(|account| name(&site, account).unwrap());
    assert_eq!((names.join(" "), site.access("one")), ("a b l".to_owned(), "a b".to_owned()));
    let failed = report.usernames.accounts.iter().filter(|one| matches!(one.outcome, AccountOutcome::Failed(_)));
    assert_eq!(failed.count(), 2, "{report:#?}");
    assert_eq!(seen.edit(|told| std::mem::take(&mut told.named)), ["a@idp", "b@idp"]);
}

#[tokio::test(start_paused = true)]
async fn f103_names_stay_while_the_back_end_or_the_list_of_accounts_does_not_tell() {
    let site = Site::new(Generation::V8);
    let a = person(&site, "a@idp", "a");
    site.resource("one", &["a"]);
    let seen = Seen::default();
    let report = reconciling(&site, &seen).run().await;
    let steps: Vec<_> = report.usernames.warnings.iter().map(|warning| warning.step).collect();
    assert_eq!((steps, name(&site, a).as_deref()), (vec!["assigned names"], Some("a")));
    seen.edit(|told| told.assigned = Some([("a@idp", "a1")].into()));
    let row = serde_json::json!([{ "uuid": a.hex(), "username": 7 }]);
    let gap: Action = status(200).json(&row).header("x-result-count", "4").into();
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.list"), gap);
    reconciling(&site, &seen).waldur(faults).run().await;
    assert_eq!((name(&site, a).as_deref(), site.access("one")), (Some("a"), "a".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn u09_an_assigned_name_that_waldur_refuses_is_not_offered_for_ever() {
    let site = Site::new(Generation::V8);
    let a = person(&site, "a@idp", "a");
    site.resource("one", &["a"]);
    let seen = Seen::default();
    seen.edit(|told| told.assigned = Some([("a@idp", "a1")].into()));
    let refusal = status(400).json(&serde_json::json!({ "username": ["No."] }));
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.set_username"), refusal);
    let agent = reconciling(&site, &seen).waldur(faults).build();
    for _ in 0..3 {
        let report = run(&agent).await;
        assert!(matches!(report.usernames.accounts[0].outcome, AccountOutcome::Failed(_)), "{report:#?}");
        assert_eq!(line(&only(&report).removed), "");
    }
    assert_eq!((site.world.count("offering_users.set_username"), name(&site, a).as_deref()), (0, Some("a")));
}

#[tokio::test(start_paused = true)]
async fn sec46_a_dry_run_takes_over_no_name() {
    let site = Site::new(Generation::V8);
    let a = person(&site, "a@idp", "a");
    site.resource("one", &["a1"]);
    let seen = Seen::default();
    seen.edit(|told| told.assigned = Some([("a@idp", "a1")].into()));
    let report = reconciling(&site, &seen).policy(|policy| policy.dry_run = true).run().await;
    assert!(matches!(report.usernames.accounts[0].outcome, AccountOutcome::Named), "{report:#?}");
    assert_eq!((name(&site, a).as_deref(), site.writes()), (Some("a"), Vec::new()));
}
