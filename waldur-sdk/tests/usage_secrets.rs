//! What a run says: to its caller and to the log (core.md §9 C70). A program of its own, in which nobody speaks without a
//! listener: what `tracing` finds to be of no interest to anybody may stay unsaid afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/capture.rs"]
mod capture;
#[path = "support/usage.rs"]
mod usage;

use std::fmt::Debug;

use capture::Capture;
use secrecy::ExposeSecret;
use serde_json::json;
use waldur_sdk::{
    Error,
    backend::OpContext,
    process::{UsageOutcome, UsageRunReport},
    rest::TransportErrorKind,
    testing::{Action, Canaries, Faults, op, status, waldur::Generation, when},
};

use usage::{BOTH, World};

/// A world in which the agent's token, and who people are, are canaries.
fn world(generation: Generation, canaries: &Canaries) -> World {
    let world = World::new(generation);
    world.waldur.change_user(world.waldur.agent(), |user| user.token(&canaries.mint("waldur token")));
    world.resource("res");
    world.used("res", "cpu", "10");
    for number in 0..3 {
        let name = canaries.mint("user name").expose_secret().to_owned();
        world.user_used("res", &name, "cpu", &(number + 1).to_string());
        if number > 0 {
            world.account(&name);
        }
    }
    world
}

struct Said<'a> {
    canaries: &'a Canaries,
    during: String,
}

impl Said<'_> {
    #[track_caller]
    fn text(&self, place: &str, text: &str) {
        if let Some(leak) = self.canaries.find_in(text) {
            panic!("{} ({place}): {leak}", self.during);
        }
        assert!(!text.contains("memory-service-token"), "{} ({place}): {text}", self.during);
    }

    #[track_caller]
    fn value(&self, place: &str, value: &impl Debug) {
        self.text(place, &format!("{value:?}\n{value:#?}"));
    }

    #[track_caller]
    fn error(&self, error: &Error) {
        self.text("error", &format!("{error}\n{error:?}\n{error:#?}\n{}", error.chain().join("\n")));
    }

    #[track_caller]
    fn report(&self, report: &UsageRunReport) {
        self.value("report", report);
        for month in report.outcomes() {
            self.text("outcome", &month.outcome.to_string());
            month.users.failed.iter().for_each(|error| self.error(error));
            match &month.outcome {
                UsageOutcome::Unreadable(error) | UsageOutcome::Refused(error) | UsageOutcome::Deferred(error) => {
                    self.error(error);
                }
                _ => {}
            }
        }
    }
}

async fn listen(generation: Generation, during: String, waldur: Option<Action>, service: Option<Action>) {
    let canaries = Canaries::default();
    let world = world(generation, &canaries);
    let said = Said { canaries: &canaries, during };
    let listed = when("no listing of resources", |request: &http::Request<bytes::Bytes>| {
        !request.uri().path().ends_with("/marketplace-provider-resources/")
            && !request.uri().path().contains("/marketplace-provider-offerings/")
            && !request.uri().path().ends_with("/marketplace-component-usages/")
    });
    let (mut to_waldur, mut to_service) = (Faults::new(world.waldur.clone()), Faults::new(world.service.clone()));
    if let Some(fault) = waldur {
        to_waldur = to_waldur.on(listed, fault);
    }
    if let Some(fault) = service {
        to_service = to_service.on(op("usage.list"), fault);
    }
    let reporter = world.agent().waldur(canaries.watch(to_waldur)).service(canaries.watch(to_service)).build();
    let capture = Capture::default();
    let log = capture.listen();
    let report = reporter.run_once(&OpContext::new("c70")).await.unwrap();
    drop(log);
    said.value("reporter", &reporter);
    said.report(&report);
    assert!(!capture.lines().is_empty());
    said.text("log", &capture.lines().join("\n"));
    assert_eq!(canaries.leaks(), [], "in URLs");
}

type Fault = fn() -> Action;

#[tokio::test(start_paused = true)]
async fn c70_reports_of_usage_say_nothing_secret_whatever_happens() {
    for generation in BOTH {
        listen(generation, "a good run".into(), None, None).await;
        let faults: [(&str, Fault); 5] = [
            ("refusals", || status(403).json(&json!({ "detail": "No." })).into()),
            ("outages", || status(503).into()),
            ("pages of a proxy", Action::html),
            ("broken bodies", Action::truncate),
            ("interruptions", || TransportErrorKind::Interrupted.into()),
        ];
        for (name, fault) in faults {
            listen(generation, format!("{name} from Waldur"), Some(fault()), None).await;
            listen(generation, format!("{name} from the back end"), None, Some(fault())).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn c70_a_refusal_that_names_users_is_not_quoted() {
    let canaries = Canaries::default();
    let _log = Capture::default().listen();
    let world = world(Generation::V8, &canaries);
    let said = Said { canaries: &canaries, during: "an echo".to_owned() };
    // The server repeats what it was sent.
    let name = canaries.mint("user name").expose_secret().to_owned();
    world.user_used("res", &name, "cpu", "1");
    let echo = json!({ "usages": [{ "username": [format!("User {name} may not use this.")] }] });
    let faults = Faults::new(world.waldur.clone()).on(op("component_usages.set_user_usages"), status(400).json(&echo));
    let report = world.agent().waldur(faults.clone()).run().await;
    assert!(faults.idle_rules().is_empty());
    let failed = report.outcomes().find_map(|month| month.users.failed.as_ref()).expect("it failed");
    assert!(failed.message().contains("may not use this"), "{failed}");
    said.report(&report);
}
