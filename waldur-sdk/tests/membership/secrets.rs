//! What a pass says: nothing that is secret, and nobody's name (core.md §9 C70; security.md S50).

use std::fmt::Debug;

use secrecy::ExposeSecret;
use serde_json::json;
use waldur_sdk::{
    Error, ErrorKind,
    process::{AccountOutcome, MembershipReport, SyncOutcome},
    testing::{
        Action, Canaries, Faults, MemoryBackend, path, status,
        waldur::{Generation, OfferingUserState},
        when, writes,
    },
};

use crate::{
    capture::Capture,
    watching::{Seen, Watching},
    world::{Answer, Names, Site, cx},
};

/// A site in which everything that must stay silent is a canary, and who gives names there.
fn site(canaries: &Canaries) -> (Site, Names) {
    let names = Names::new();
    let site = Site::selling(Generation::V8, |offering| {
        let offering = offering.plugin_option("service_provider_can_create_offering_user", true);
        offering
            .secret_option("password", canaries.mint("secret option").expose_secret())
            .exposes(["full_name", "email"])
    });
    let text = |name: &str| canaries.mint(name).expose_secret().to_owned();
    site.waldur().change_user(site.waldur().agent(), |user| user.token(&canaries.mint("waldur token")));
    for person in ["here", "new", "failing", "refused"] {
        let (identity, name) = (text("identity"), text("name on the site"));
        let user = site.waldur().user(&identity).name(text("first name"), text("last name"));
        let user =
            user.email(format!("{}@example.org", text("address"))).project_role(site.project(), "PROJECT.MEMBER");
        let user = user.create();
        let account = site.waldur().offering_user(site.offering(), user).username(&name);
        match person {
            "new" => names.answer(&identity, Answer::Name(name.clone().leak())),
            "failing" => names.answer(&identity, Answer::Fails(ErrorKind::PermissionDenied)),
            _ => &names,
        };
        match person {
            "new" | "failing" => account.without_username().state(OfferingUserState::Requested).create(),
            _ => account.create(),
        };
        if person == "refused" {
            site.service().refuse_member(name);
        }
    }
    let stale = text("stale name");
    let resource = site.resource("one", &[&stale]);
    let metadata = json!({ "secret_key": text("metadata") });
    site.waldur().change_resource(resource, |row| row.backend_metadata(metadata));
    (site, names)
}

struct Said<'a>(&'a Canaries, String);

impl Said<'_> {
    #[track_caller]
    fn text(&self, text: &str) {
        if let Some(leak) = self.0.find_in(text) {
            panic!("{}: {leak}", self.1);
        }
    }

    #[track_caller]
    fn value(&self, value: &impl Debug) {
        self.text(&format!("{value:?}\n{value:#?}"));
    }

    #[track_caller]
    fn error(&self, error: &Error) {
        self.text(&format!("{error}\n{error:?}\n{}", error.chain().join("\n")));
        self.text(error.customer_message().unwrap_or_default());
    }

    #[track_caller]
    fn report(&self, report: &MembershipReport) {
        self.value(report);
        let of_resources = report.resources.iter().flat_map(|one| &one.warnings);
        for warning in of_resources.chain(&report.warnings).chain(&report.usernames.warnings) {
            self.error(&warning.error);
        }
        for resource in &report.resources {
            self.text(&resource.outcome.to_string());
            match &resource.outcome {
                SyncOutcome::Deferred(error) | SyncOutcome::Erred(error) | SyncOutcome::Failing(error, _) => {
                    self.error(error);
                }
                _ => {}
            }
        }
        for account in &report.usernames.accounts {
            match &account.outcome {
                AccountOutcome::Failed(error) | AccountOutcome::Deferred(error) => self.error(error),
                AccountOutcome::NotReported(error, cause) => (self.error(error), self.error(cause)).0,
                _ => {}
            }
        }
    }
}

/// A pass has come to a name that failed and to a member who was refused, and the back end has been told whom to add.
#[track_caller]
fn assert_reached(report: &MembershipReport, seen: &Seen) {
    let failed = |outcome: &AccountOutcome| matches!(outcome, AccountOutcome::Failed(_));
    assert!(report.usernames.accounts.iter().any(|account| failed(&account.outcome)), "{report:#?}");
    assert!(report.resources[0].warnings.iter().any(|warning| warning.step == "add member"), "{report:#?}");
    assert!(seen.logged().contains("Grant"));
}

#[tokio::test(start_paused = true)]
async fn c70_a_whole_pass_and_its_failures_name_nobody() {
    let everything = || when("everything", |_| true);
    let cases: Vec<(&str, Option<(bool, Action)>)> = vec![
        ("a quiet pass", None),
        ("Waldur refuses writes", Some((true, Action::refuse(status(400).json(&json!({ "detail": "no" })))))),
        ("Waldur answers rubbish", Some((true, Action::replace_body(r#"[{"uuid": 5}]"#)))),
        ("Waldur cuts answers off", Some((true, Action::truncate()))),
        ("the service refuses", Some((false, Action::refuse(status(403))))),
        ("the service cuts answers off", Some((false, Action::truncate()))),
    ];
    for (case, fault) in cases {
        let canaries = Canaries::default();
        let (site, names) = site(&canaries);
        let seen = Seen::default();
        let watching = seen.clone();
        let mut agent = site.agent().memory(MemoryBackend::with_roles).usernames(&names).sending_once();
        agent = agent.around(move |backend| Watching::over(backend, watching));
        match fault {
            Some((true, action)) => {
                let reads = case != "Waldur refuses writes";
                let what = if reads { path("marketplace-") } else { path("marketplace-").and(writes()) };
                agent = agent.waldur(Faults::new(site.waldur().clone()).on(what, action));
            }
            Some((false, action)) => {
                agent = agent.service(Faults::new(site.service().clone()).on(everything(), action));
            }
            None => {}
        }
        let protected = canaries.mint("protected name").expose_secret().to_owned();
        let agent = agent.policy(|policy| {
            policy.failures_before_erred = 1;
            policy.protected_usernames.insert(protected.into());
        });
        let agent = agent.build();
        let capture = Capture::default();
        // With one listener alone, what another thread says first counts as of no interest to anybody ever after.
        let _second = tracing::Dispatch::new(Capture::default());
        let _log = tracing::subscriber::set_default(capture.clone());
        let said = Said(&canaries, case.to_owned());
        said.value(&agent);
        for _ in 0..2 {
            match agent.run_once(&cx()).await {
                Ok(report) => {
                    said.report(&report);
                    if case == "a quiet pass" {
                        assert_reached(&report, &seen);
                    }
                }
                Err(error) => said.error(&error),
            }
        }
        said.text(&seen.logged());
        assert!(!capture.lines().is_empty(), "{case}: the log is heard");
        said.text(&capture.lines().join("\n"));
        // What customers read of a resource.
        for resource in site.waldur().requests().into_iter().filter(|one| one.path.ends_with("set_as_erred/")) {
            said.text(&resource.body.to_string());
        }
    }
}
