//! Names of people (core.md §9 C40 to C42; usernames.md U01 to U03, U08, U09, U20, U21).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use serde_json::json;
use waldur_sdk::{
    ErrorKind,
    backend::GeneratedUsernames,
    naming::{NameForm, NamedBy},
    process::AccountOutcome,
    testing::{
        Action, Faults, op, status,
        waldur::{Generation, OfferingSeed, OfferingUserState as S},
    },
    types::{OfferingUserUuid, UserUuid},
};

use crate::{
    layers::Pages,
    orders::OnRequest,
    world::{Answer, MINUTE, Names, Site, pass_time, run},
};

const FLAG: &str = "service_provider_can_create_offering_user";

fn provider_names(offering: OfferingSeed) -> OfferingSeed {
    offering.plugin_option(FLAG, true)
}

/// A site whose provider gives names.
fn site() -> Site {
    Site::selling(Generation::V8, provider_names)
}

/// A member of the default project whose account has no name yet.
fn wanting(site: &Site, identity: &str, state: S) -> (UserUuid, OfferingUserUuid) {
    let user = site.waldur().user(identity).project_role(site.project(), "PROJECT.MEMBER").create();
    let account = site.waldur().offering_user(site.offering(), user).without_username().state(state).create();
    (user, account)
}

fn state(site: &Site, account: OfferingUserUuid) -> (S, Option<String>) {
    let view = site.waldur().offering_user_view(account);
    (view.state, view.username)
}

/// The operations about accounts that were written.
fn transitions(site: &Site) -> Vec<&'static str> {
    site.writes().into_iter().filter_map(|write| write.strip_prefix("offering_users.")).collect()
}

#[tokio::test(start_paused = true)]
async fn c40_each_account_ends_as_its_own_answer_says() {
    let site = site();
    let (_, ready) = wanting(&site, "named", S::Requested);
    let (_, failing) = wanting(&site, "failing", S::Requested);
    let (_, late) = wanting(&site, "late", S::Requested);
    let (_, bug) = wanting(&site, "bug", S::Creating);
    let (_, after) = wanting(&site, "z-after", S::ErrorCreating);
    site.resource("one", &[]);
    let names = Names::new();
    names.answer("named", Answer::Name("nam")).answer("failing", Answer::Fails(ErrorKind::InvalidRequest));
    names.answer("late", Answer::Fails(ErrorKind::Timeout)).answer("bug", Answer::Panics);
    names.answer("z-after", Answer::Name("aft"));
    let report = site.agent().usernames(&names).run().await;
    assert_eq!(state(&site, ready), (S::Ok, Some("nam".to_owned())));
    assert_eq!(state(&site, failing), (S::ErrorCreating, None));
    assert_eq!(state(&site, late), (S::Requested, None), "a timeout moves nothing");
    assert_eq!(state(&site, bug), (S::ErrorCreating, None));
    assert_eq!(state(&site, after), (S::Ok, Some("aft".to_owned())));
    let mut moves = transitions(&site);
    moves.sort_unstable();
    let wanted = [
        "begin_creating",
        "begin_creating",
        "begin_creating",
        "set_error_creating",
        "set_error_creating",
        "set_username",
        "set_username",
    ];
    assert_eq!(moves, wanted);
    let of = |account| &report.usernames.accounts.iter().find(|one| one.account == account).unwrap().outcome;
    assert!(matches!(of(ready), AccountOutcome::Named));
    assert!(matches!(of(failing), AccountOutcome::Failed(_)));
    assert!(matches!(of(late), AccountOutcome::Deferred(_)));
    // The names are in force in the same pass.
    assert_eq!(site.access("one"), "aft nam");
}

#[tokio::test(start_paused = true)]
async fn c40_a_refused_transition_is_nobody_elses_business() {
    let site = site();
    let (_, first) = wanting(&site, "a", S::Requested);
    let (_, second) = wanting(&site, "b", S::Requested);
    let names = Names::new();
    names.answer("a", Answer::Name("a")).answer("b", Answer::Name("b"));
    let faults =
        Faults::new(site.waldur().clone()).on(op("offering_users.begin_creating").nth(1), Action::refuse(status(500)));
    let report = site.agent().usernames(&names).waldur(faults).sending_once().run().await;
    let done = [first, second].map(|account| state(&site, account).0 == S::Ok);
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
    assert!(!report.is_clean());
    site.agent().usernames(&names).run().await;
    assert_eq!([first, second].map(|account| state(&site, account).0), [S::Ok, S::Ok]);
}

#[tokio::test(start_paused = true)]
async fn c41_a_wait_ends_changes_or_goes_on() {
    let site = site();
    let (_, same) = wanting(&site, "same", S::PendingAccountLinking);
    let (_, other) = wanting(&site, "other", S::PendingAccountLinking);
    let (_, ready) = wanting(&site, "ready", S::PendingAdditionalValidation);
    let (_, failing) = wanting(&site, "failing", S::PendingAccountLinking);
    let names = Names::new();
    names.answer("same", Answer::Link("link it", None)).answer("other", Answer::Validate("prove it"));
    names.answer("ready", Answer::Name("red")).answer("failing", Answer::Fails(ErrorKind::InvalidRequest));
    let report = site.agent().usernames(&names).run().await;
    assert_eq!(state(&site, same).0, S::PendingAccountLinking);
    assert_eq!(state(&site, other).0, S::PendingAdditionalValidation);
    assert_eq!(state(&site, ready), (S::Ok, Some("red".to_owned())));
    assert_eq!(state(&site, failing).0, S::PendingAccountLinking);
    let mut moves = transitions(&site);
    moves.sort_unstable();
    assert_eq!(moves, ["set_pending_additional_validation", "set_username"]);
    let waiting = report.usernames.accounts.iter().find(|one| one.account == same).unwrap();
    assert!(matches!(waiting.outcome, AccountOutcome::StillWaiting));
}

#[tokio::test(start_paused = true)]
async fn c41_a_server_that_waits_on_after_the_name_is_told_that_the_wait_is_over() {
    let site = site();
    let (_, account) = wanting(&site, "ready", S::PendingAccountLinking);
    let names = Names::new();
    names.answer("ready", Answer::Name("red"));
    // The name is taken and the state stays, as some servers may have it.
    let body = json!({ "uuid": account.hex(), "username": "red", "state": "Pending account linking" });
    let stays = Action::replace_body(serde_json::to_vec(&body).unwrap());
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.set_username"), stays);
    site.agent().usernames(&names).waldur(faults).run().await;
    assert_eq!(transitions(&site), ["set_username", "set_validation_complete"], "never usable without a name");
}

#[tokio::test(start_paused = true)]
async fn c42_where_waldur_gives_the_names_the_agent_writes_none() {
    let policy = |offering: OfferingSeed| {
        offering.plugin_option("username_generation_policy", "waldur_username").plugin_option(FLAG, true)
    };
    let site = Site::selling(Generation::V8, policy);
    let (_, account) = wanting(&site, "new", S::Requested);
    site.member("a");
    site.resource("one", &[]);
    let names = Names::new();
    names.answer("new", Answer::Name("new"));
    let report = site.agent().usernames(&names).run().await;
    assert_eq!(report.usernames.named_by, Some(NamedBy::Waldur));
    assert_eq!((state(&site, account).0, names.asked().len()), (S::Requested, 0));
    assert_eq!(site.access("one"), "a", "the members are kept true all the same");
    assert_eq!(transitions(&site), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn u01_without_the_flag_nothing_is_generated_and_members_are_kept_true() {
    for generation in [Generation::V2024, Generation::V8] {
        let site = Site::new(generation);
        let (_, account) = wanting(&site, "new", S::Requested);
        site.member("a");
        site.resource("one", &[]);
        let names = Names::new();
        names.answer("new", Answer::Name("new"));
        let report = site.agent().usernames(&names).run().await;
        assert_eq!(report.usernames.named_by, Some(NamedBy::Nobody));
        assert_eq!((names.asked().len(), state(&site, account).1), (0, None));
        assert_eq!(site.access("one"), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn u02_a_requested_account_is_begun_and_named() {
    let site = site();
    let (_, account) = wanting(&site, "new", S::Requested);
    let names = Names::new();
    names.answer("new", Answer::Name("new"));
    site.agent().usernames(&names).run().await;
    assert_eq!(transitions(&site), ["begin_creating", "set_username"]);
    assert_eq!(state(&site, account), (S::Ok, Some("new".to_owned())));
    // Once for the offering, whatever there is to do.
    assert_eq!(site.world.count("provider_offerings.username_options"), 0, "forgotten with the writes");
    site.agent().usernames(&names).run().await;
    assert_eq!(site.world.count("provider_offerings.username_options"), 1);
}

#[tokio::test(start_paused = true)]
async fn u03_a_name_that_is_there_is_never_replaced() {
    let site = site();
    let names = Names::new();
    let mut accounts = Vec::new();
    for (number, state) in [S::Ok, S::Requested, S::Creating, S::ErrorCreating].into_iter().enumerate() {
        let user = site.waldur().user(&format!("u{number}")).create();
        let account = site.waldur().offering_user(site.offering(), user).username(format!("n{number}")).state(state);
        accounts.push((account.create(), state, format!("n{number}")));
        names.answer(&format!("u{number}"), Answer::Name("other"));
    }
    // Usable with a blank name: left as it is (core.md §3.3).
    let (_, blank) = wanting(&site, "blank", S::Ok);
    names.answer("blank", Answer::Name("blank"));
    site.agent().usernames(&names).run().await;
    for (account, before, name) in accounts {
        assert_eq!(state(&site, account), (before, Some(name)));
    }
    assert_eq!(state(&site, blank), (S::Ok, None));
    assert!(names.asked().is_empty() && transitions(&site).is_empty());
}

#[tokio::test(start_paused = true)]
async fn u03_whoever_loses_a_race_keeps_the_winners_name() {
    let site = site();
    let (_, account) = wanting(&site, "new", S::Requested);
    let names = Names::new();
    names.answer("new", Answer::Name("ours"));
    let winner = site.clone();
    let racing = OnRequest::new(site.waldur().clone(), "offering_users.begin_creating", move || {
        winner.waldur().change_offering_user(account, |account| account.username("theirs").state(S::Ok));
    });
    let report = site.agent().usernames(&names).waldur(racing).run().await;
    assert_eq!(state(&site, account), (S::Ok, Some("theirs".to_owned())));
    assert!(matches!(report.usernames.accounts[0].outcome, AccountOutcome::LeftToOthers), "{report:#?}");

    // Begun by another who is not done: the name is the same, whoever writes it.
    let (_, account) = wanting(&site, "next", S::Requested);
    names.answer("next", Answer::Name("next"));
    let winner = site.clone();
    let racing = OnRequest::new(site.waldur().clone(), "offering_users.begin_creating", move || {
        winner.waldur().change_offering_user(account, |account| account.state(S::Creating));
    });
    site.agent().usernames(&names).waldur(racing).run().await;
    assert_eq!(state(&site, account), (S::Ok, Some("next".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn u08_a_wish_reaches_the_person_with_its_place_or_without() {
    let site = site();
    let (_, linked) = wanting(&site, "a", S::Requested);
    let (_, placeless) = wanting(&site, "b", S::ErrorCreating);
    let names = Names::new();
    names.answer("a", Answer::Link("Link your account", Some("https://link.example.org/")));
    names.answer("b", Answer::Link("Call us", None));
    site.agent().usernames(&names).run().await;
    let view = site.waldur().offering_user_view(linked);
    assert_eq!(view.state, S::PendingAccountLinking);
    assert_eq!((view.comment.as_str(), view.comment_url.as_str()), ("Link your account", "https://link.example.org/"));
    assert_eq!(site.waldur().offering_user_view(placeless).comment, "Call us");
    let bodies: Vec<_> = site
        .waldur()
        .writes()
        .into_iter()
        .filter(|write| write.operation == Some("offering_users.set_pending_account_linking"))
        .map(|write| write.body)
        .collect();
    assert!(bodies.contains(&json!({ "comment": "Call us" })), "no null where there is no place: {bodies:?}");
}

#[tokio::test(start_paused = true)]
async fn u09_a_failed_account_is_tried_again_in_the_next_pass() {
    let site = site();
    let (_, account) = wanting(&site, "new", S::Requested);
    let names = Names::new();
    names.answer("new", Answer::Fails(ErrorKind::PermissionDenied));
    let agent = site.agent().usernames(&names).build();
    run(&agent).await;
    assert_eq!((state(&site, account).0, transitions(&site).len()), (S::ErrorCreating, 2));
    run(&agent).await;
    assert_eq!(transitions(&site), Vec::<&str>::new(), "marked already");
    names.answer("new", Answer::Name("new"));
    run(&agent).await;
    assert_eq!(state(&site, account), (S::Ok, Some("new".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn u09_a_name_that_waldur_refuses_is_not_offered_for_ever() {
    let site = site();
    let long: &'static str = Box::leak("x".repeat(120).into_boxed_str());
    let (_, account) = wanting(&site, "new", S::Requested);
    let names = Names::new();
    names.answer("new", Answer::Name(long));
    let agent = site.agent().usernames(&names).build();
    let once = ["begin_creating", "set_username", "set_error_creating"];
    let is_failed = |outcome: &AccountOutcome| matches!(outcome, AccountOutcome::Failed(_));
    run(&agent).await;
    assert_eq!((state(&site, account), transitions(&site)), ((S::ErrorCreating, None), once.to_vec()));
    for _ in 0..3 {
        pass_time(5 * MINUTE).await;
        let report = run(&agent).await;
        assert_eq!(transitions(&site), Vec::<&str>::new(), "the answer is the same");
        assert!(is_failed(&report.usernames.accounts[0].outcome), "{report:#?}");
    }
    // Somebody asks for it anew: it fails as it did, without the name being offered.
    site.waldur().change_offering_user(account, |account| account.state(S::Requested));
    run(&agent).await;
    assert_eq!(transitions(&site), ["begin_creating", "set_error_creating"]);
    // Whatever was wrong with it may be right tomorrow.
    pass_time(24 * 60 * MINUTE).await;
    run(&agent).await;
    assert_eq!(transitions(&site), once);
    names.answer("new", Answer::Name("short"));
    run(&agent).await;
    assert_eq!(state(&site, account), (S::Ok, Some("short".to_owned())), "another name is another matter");
}

#[tokio::test(start_paused = true)]
async fn u03_a_name_that_came_meanwhile_stays() {
    let secret = |offering: OfferingSeed| offering.plugin_option(FLAG, true).secret_option(FLAG, true);
    for (generation, before) in [
        (Generation::V8, S::Creating),
        (Generation::V8, S::PendingAccountLinking),
        (Generation::V8, S::PendingAdditionalValidation),
        // Without states.
        (Generation::V2024, S::Requested),
    ] {
        let site = Site::selling(generation, secret);
        let (_, account) = wanting(&site, "new", before);
        site.resource("one", &[]);
        let names = Names::new();
        names.answer("new", Answer::Name("ours"));
        let winner = site.clone();
        let racing = OnRequest::new(site.waldur().clone(), "offering_users.get", move || {
            winner.waldur().change_offering_user(account, |account| account.username("theirs").state(S::Ok));
        });
        let report = site.agent().usernames(&names).waldur(racing).run().await;
        assert_eq!(state(&site, account).1.as_deref(), Some("theirs"), "{before:?}");
        assert!(matches!(report.usernames.accounts[0].outcome, AccountOutcome::LeftToOthers), "{report:#?}");
        assert_eq!((transitions(&site), site.access("one")), (Vec::new(), "theirs".to_owned()), "{before:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn while_nobody_knows_what_may_be_told_the_last_word_holds_and_without_one_nothing_is_asked() {
    for known in [true, false] {
        let site = Site::selling(Generation::V8, |offering| provider_names(offering).exposes(["organization"]));
        site.member("a");
        let names = Names::new();
        let failing = op("provider_offerings.exposed_attributes").from(if known { 2 } else { 1 });
        let faults = Faults::new(site.waldur().clone()).on(failing, Action::refuse(status(500)));
        let agent = site.agent().usernames(&names).waldur(faults).sending_once().build();
        for _ in 0..2 {
            site.waldur().forget_requests();
            run(&agent).await;
            let requests = site.waldur().requests();
            let asked = requests.iter().find(|one| one.operation == Some("offering_users.list")).unwrap();
            let mut told = asked.parameters("field");
            told.retain(|field| field.starts_with("user_"));
            told.sort_unstable();
            let wanted = ["user_organization", "user_username", "user_uuid"];
            assert_eq!(told, if known { &wanted[..] } else { &wanted[1..] });
            pass_time(6 * MINUTE).await;
        }
        assert_eq!(names.profiles().len(), usize::from(known), "an empty profile would wipe out a full one");
    }
}

#[tokio::test(start_paused = true)]
async fn u10_two_of_one_name_in_one_pass_get_different_ones() {
    let site = site();
    site.account(site.waldur().user("old").create(), "doe_00");
    let accounts = ["a", "b", "c"].map(|identity| wanting(&site, identity, S::Requested).1);
    let names = Names::new();
    for identity in ["a", "b"] {
        names.answer(identity, Answer::FirstFree(&["doe_00", "doe_01", "doe_02"]));
    }
    // A back end that does not care: nobody gets somebody else's name.
    names.answer("c", Answer::Name("doe_00"));
    site.agent().usernames(&names).run().await;
    let mut given: Vec<_> = accounts.iter().filter_map(|account| state(&site, *account).1).collect();
    given.sort();
    assert_eq!(given, ["doe_01", "doe_02"]);
    assert_eq!(state(&site, accounts[2]), (S::ErrorCreating, None));
}

#[tokio::test(start_paused = true)]
async fn u10_the_built_in_generator_gives_two_of_one_name_different_ones() {
    let site = site();
    let accounts = ["j1@idp", "j2@idp"].map(|identity| {
        let user = site.waldur().user(identity).name("John", "Doe").project_role(site.project(), "PROJECT.MEMBER");
        let account = site.waldur().offering_user(site.offering(), user.create()).without_username();
        account.state(S::Requested).create()
    });
    site.resource("one", &[]);
    let generator = GeneratedUsernames::full_name(NameForm::Recommended);
    let agent = site.agent().named_by(Arc::new(generator)).build();
    run(&agent).await;
    let mut given: Vec<_> = accounts.iter().filter_map(|account| state(&site, *account).1).collect();
    given.sort();
    assert_eq!(given, ["john_doe_00", "john_doe_01"]);
    assert_eq!(site.access("one"), "john_doe_00 john_doe_01");
}

#[tokio::test(start_paused = true)]
async fn u20_who_has_no_name_to_get_stays_requested() {
    let site = site();
    let (_, account) = wanting(&site, "claimless", S::Requested);
    let names = Names::new();
    names.answer("claimless", Answer::Nothing);
    let report = site.agent().usernames(&names).run().await;
    assert_eq!((state(&site, account).0, transitions(&site).len()), (S::Requested, 0));
    assert!(matches!(report.usernames.accounts[0].outcome, AccountOutcome::NoName));
}

#[tokio::test(start_paused = true)]
async fn u21_a_server_of_2024_hides_the_flag_and_knows_no_states() {
    let secret = |offering: OfferingSeed| offering.secret_option(FLAG, true);
    let site = Site::selling(Generation::V2024, secret);
    let (_, account) = wanting(&site, "new", S::Requested);
    site.resource("one", &[]);
    let names = Names::new();
    names.answer("new", Answer::Name("new"));
    let report = site.agent().usernames(&names).run().await;
    assert_eq!(report.usernames.named_by, Some(NamedBy::Provider));
    assert_eq!(state(&site, account).1.as_deref(), Some("new"));
    assert_eq!(transitions(&site), ["set_username"]);
    assert_eq!(site.access("one"), "new");
}

#[tokio::test(start_paused = true)]
async fn the_directory_is_told_of_everybody_and_of_those_who_left() {
    let site = site();
    site.member("stays");
    let leaves = site.waldur().user("leaver").create();
    let account = site.account(leaves, "leaves");
    site.resource("one", &["stays"]);
    let names = Names::new();
    let agent = site.agent().usernames(&names).build();
    run(&agent).await;
    assert_eq!(names.profiles(), ["leaves", "stays"], "in any order");
    assert!(names.deactivated().is_empty());
    site.waldur().change_offering_user(account, |account| account.state(S::Deleted));
    names.refuse_deactivation(true);
    let report = run(&agent).await;
    assert_eq!((report.usernames.deactivated, report.usernames.warnings.len()), (0, 1));
    names.refuse_deactivation(false);
    let report = run(&agent).await;
    assert_eq!((report.usernames.deactivated, names.deactivated()), (1, vec!["leaves".to_owned()]));
    run(&agent).await;
    assert_eq!(names.deactivated().len(), 1, "told once");
}

#[tokio::test(start_paused = true)]
async fn the_directory_knows_of_a_person_what_the_offering_is_told() {
    let site = Site::selling(Generation::V8, |offering| {
        provider_names(offering).exposes(["full_name", "nationality", "affiliations"])
    });
    let user = site.waldur().user("a@idp").name("Ann", "Example").attribute("nationality", "EE");
    let user = user.attribute("affiliations", json!(["staff"])).attribute("civil_number", "secret").create();
    site.waldur().offering_user(site.offering(), user).without_username().state(S::Requested).create();
    let names = Names::new();
    site.agent().usernames(&names).run().await;
    let told = json!({
        "full_name": "Ann Example", "first_name": "Ann", "last_name": "Example", "nationality": "EE",
        "affiliations": ["staff"],
    });
    assert_eq!(names.attributes("a@idp"), told);
}

#[tokio::test(start_paused = true)]
async fn f108_an_empty_list_of_accounts_deactivates_nobody_at_first_sight() {
    let site = site();
    site.member("a");
    site.resource("one", &["a"]);
    let names = Names::new();
    // Whole and empty for one pass.
    let empty = Action::from(status(200).json(&json!([])).header("x-result-count", "0"));
    let faults = Faults::new(site.waldur().clone()).on(op("offering_users.list").nth(2), empty);
    let agent = site.agent().usernames(&names).waldur(faults.clone()).build();
    for _ in 0..3 {
        run(&agent).await;
        assert_eq!(site.access("one"), "a");
        pass_time(5 * MINUTE).await;
    }
    assert_eq!((faults.acted(), names.deactivated()), (1, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn f108_a_list_of_accounts_that_shrank_suddenly_deactivates_nobody_at_first_sight() {
    let (site, names) = (site(), Names::new());
    let everybody: Vec<String> = (0..30).map(|number| format!("m{number:02}")).collect();
    for name in &everybody {
        site.member(name);
    }
    site.resource("one", &everybody.iter().map(String::as_str).collect::<Vec<_>>());
    // A third of them is on no list for as long as the index is being made: whole, by its own count.
    let rebuilding = Arc::new(AtomicBool::new(false));
    let index = rebuilding.clone();
    let shrunk = Pages::new(site.waldur(), "offering_users.list", move |_, rows| {
        index.load(Ordering::Relaxed).then(|| {
            rows.truncate(20);
            20
        })
    });
    let agent = site.agent().usernames(&names).waldur(shrunk).build();
    for is_rebuilding in [false, true, false, false] {
        rebuilding.store(is_rebuilding, Ordering::Relaxed);
        let report = run(&agent).await;
        assert_eq!(report.usernames.deactivated, 0);
        assert_eq!(site.members("one").len(), 30, "rebuilding: {is_rebuilding}");
        pass_time(5 * MINUTE).await;
    }
    assert!(names.deactivated().is_empty());
    // What stays away is believed when it is seen again.
    rebuilding.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        run(&agent).await;
        pass_time(5 * MINUTE).await;
    }
    assert_eq!(names.deactivated().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn requested_deletions_are_driven_to_their_end_if_the_policy_says_so() {
    for driven in [false, true] {
        let site = site();
        let user = site.waldur().user("a@idp").project_role(site.project(), "PROJECT.MEMBER").create();
        let account = site.waldur().offering_user(site.offering(), user).username("a").state(S::RequestedDeletion);
        let account = account.create();
        site.member("b");
        site.resource("one", &["a", "b"]);
        let names = Names::new();
        let agent = site.agent().usernames(&names).policy(|policy| policy.drive_deletion = driven).build();
        run(&agent).await;
        let (moves, found) = (transitions(&site), state(&site, account).0);
        if driven {
            assert_eq!((moves, found), (vec!["set_deleting", "set_deleted"], S::Deleted));
            assert_eq!(names.deactivated(), ["a"]);
        } else {
            assert_eq!((moves.len(), found), (0, S::RequestedDeletion));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_for_the_last_access_and_for_the_directory() {
    let site = site();
    let user = site.waldur().user("a@idp").create();
    let account = site.waldur().offering_user(site.offering(), user).username("a").state(S::RequestedDeletion).create();
    site.member("b");
    site.resource("one", &["a", "b"]);
    site.service().refuse_member("a");
    let names = Names::new();
    names.refuse_deactivation(true);
    let agent = site.agent().usernames(&names).policy(|policy| policy.drive_deletion = true).build();
    run(&agent).await;
    assert_eq!(state(&site, account).0, S::Deleting, "still has access");
    site.edit("one", |object| assert!(object.members.remove("a")));
    run(&agent).await;
    assert_eq!(state(&site, account).0, S::ErrorDeleting);
}

/// Being asked is being given a name, for all that anybody knows of a back end that cannot say beforehand.
#[tokio::test(start_paused = true)]
async fn sec46_a_dry_run_asks_nobody_for_a_name() {
    let site = site();
    let (_, account) = wanting(&site, "ada", S::Requested);
    site.resource("one", &[]);
    let names = Names::new();
    names.answer("ada", Answer::Name("ada"));
    let report = site.agent().usernames(&names).policy(|policy| policy.dry_run = true).run().await;
    let [told] = report.usernames.accounts.as_slice() else { panic!("one account: {report:#?}") };
    assert!(told.account == account && matches!(told.outcome, AccountOutcome::DryRun), "{told:?}");
    assert_eq!((names.asked(), transitions(&site).len()), (Vec::<String>::new(), 0));
}
