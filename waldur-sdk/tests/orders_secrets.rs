//! What a whole run says: to its caller, to the log, and to the customer (core.md §9 C70).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/capture.rs"]
mod capture;
#[path = "support/orders.rs"]
mod orders;

use std::fmt::Debug;

use capture::Capture;
use orders::{Agent, BOTH, Steps, World};
use secrecy::ExposeSecret;
use serde_json::json;
use waldur_sdk::{
    Error,
    backend::Capabilities,
    process::{OrderOutcome, OrderRunReport},
    rest::TransportErrorKind,
    testing::{Action, Canaries, Faults, op, path, status, waldur::Generation, when, writes},
};

/// The token with which the memory back end logs in.
const BACKEND_TOKEN: &str = "memory-service-token";

/// What the secret halves of customers' keys begin with (security.md S12).
const KEY_SECRETS: &str = "s3cr3t-";

/// A world in which everything that must stay silent is a canary: the agent's token, who people are, and what they
/// typed when they ordered.
fn world(generation: Generation, canaries: &Canaries) -> World {
    let world = World::new(generation);
    let text = |name: &str| canaries.mint(name).expose_secret().to_owned();
    world.waldur.change_user(world.waldur.agent(), |user| user.token(&canaries.mint("waldur token")));
    for person in ["ann", "bob"] {
        let user = world.waldur.user(&text("federated identity")).name(text("first name"), text("last name"));
        let user = user.email(format!("{}@example.org", text("address"))).ssh_key("laptop", "ssh-ed25519 AAAA x");
        let user = user.project_role(world.waldur.default_project(), "PROJECT.MEMBER").create();
        world.waldur.offering_user(world.offering, user).username(format!("site-{person}")).create();
    }
    world.service.refuse_member("site-bob");
    let typed = json!({ "admin_password": text("attribute"), "birthday": text("birthday") });
    world.create("New").attributes(typed.clone()).pending();
    let changed = world.existing("changed");
    world.waldur.change_resource(changed, |row| row.backend_metadata(json!({ "secret_key": text("metadata") })));
    world.waldur.order_on(changed).update_limits([("cpu", 5), ("mem", 9)]).attributes(typed).pending();
    world.waldur.order_on(world.existing("ended")).terminate().executing();
    world
}

/// Everything that a run says.
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
        assert!(!text.contains(BACKEND_TOKEN), "{} ({place}): the back end's token in {text}", self.during);
        assert!(!text.contains(KEY_SECRETS), "{} ({place}): a customer's key in {text}", self.during);
    }

    #[track_caller]
    fn value(&self, place: &str, value: &impl Debug) {
        self.text(place, &format!("{value:?}\n{value:#?}"));
    }

    #[track_caller]
    fn error(&self, place: &str, error: &Error) {
        self.text(place, &format!("{error}\n{error:?}\n{error:#?}\n{}", error.chain().join("\n")));
        self.text(place, error.customer_message().unwrap_or_default());
    }

    #[track_caller]
    fn report(&self, report: &OrderRunReport) {
        self.value("report", report);
        for order in &report.orders {
            self.text("outcome", &order.outcome.to_string());
            match &order.outcome {
                OrderOutcome::Deferred(error) | OrderOutcome::Erred(error) => self.error("outcome", error),
                OrderOutcome::NotReported(error, cause) => {
                    self.error("outcome", error);
                    self.error("cause", cause);
                }
                _ => {}
            }
            order.warnings.iter().for_each(|warning| self.error(warning.step, &warning.error));
        }
    }
}

fn agent(world: &World) -> Agent {
    let capabilities = Capabilities::default().with_plan_quotas().with_ssh_keys();
    let agent = world.agent().memory(move |memory| {
        memory
            .with_members()
            .with_status()
            .with_keys()
            .with_endpoint("https://s.example")
            .with_capabilities(capabilities)
    });
    agent.policy(|policy| policy.check_backend_id_uniqueness = true)
}

/// Runs once with these faults on both sides and looks at everything that was said.
async fn listen(generation: Generation, during: impl Into<String>, waldur: Option<Action>, service: Option<Action>) {
    let canaries = Canaries::default();
    let world = world(generation, &canaries);
    let token = world.waldur.token().expose_secret().to_owned();
    let said = Said { canaries: &canaries, during: during.into() };
    assert!(canaries.find_in(&token).is_some(), "the canaries sing");

    let not_listing = when("no listing", |request| request.uri().path() != "/api/marketplace-orders/");
    let (mut to_waldur, mut to_service) = (Faults::new(world.waldur.clone()), Faults::new(world.service.clone()));
    if let Some(fault) = waldur {
        to_waldur = to_waldur.on(not_listing.and(writes()), fault.clone()).on(path("team"), fault);
    }
    if let Some(fault) = service {
        to_service = to_service.on(path("/objects"), fault);
    }
    let steps = Steps::default();
    let (watching, capture) = (steps.clone(), Capture::default());
    let agent = agent(&world)
        .waldur(canaries.watch(to_waldur))
        .service(canaries.watch(to_service))
        .cx(|cx| cx.with_progress(watching));
    said.value("agent's context", &agent.context());
    let log = capture.listen();
    let processor = agent.build();
    let report = processor.run_once(&waldur_sdk::backend::OpContext::new("c70")).await.unwrap();
    drop(log);
    assert_eq!(report.orders.len(), 3);
    said.value("processor", &processor);
    said.report(&report);
    said.value("steps", &steps.seen());
    assert!(!capture.lines().is_empty());
    said.text("log", &capture.lines().join("\n"));
    assert_eq!(canaries.leaks(), [], "in URLs");
    for order in world.all_orders() {
        let view = world.order(order);
        said.text("message to the customer", &view.error_message);
        said.text("traceback", &view.error_traceback);
    }
}

type Fault = fn() -> Action;

#[tokio::test(start_paused = true)]
async fn c70_orders_say_nothing_secret_whatever_happens() {
    for generation in BOTH {
        listen(generation, "a good run", None, None).await;
        let faults: [(&str, Fault); 6] = [
            ("refusals", || status(403).json(&json!({ "detail": "No." })).into()),
            ("outages", || status(503).into()),
            ("pages of a proxy", Action::html),
            ("broken bodies", Action::truncate),
            ("bodies of another sort", || Action::replace_body("[1, 2")),
            ("interruptions", || TransportErrorKind::Interrupted.into()),
        ];
        for (name, fault) in faults {
            listen(generation, format!("{name} from Waldur"), Some(fault()), None).await;
            listen(generation, format!("{name} from the back end"), None, Some(fault())).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_echoes_credentials_is_not_quoted() {
    let canaries = Canaries::default();
    let world = world(Generation::V8, &canaries);
    let token = world.waldur.token().expose_secret().to_owned();
    let said = Said { canaries: &canaries, during: "an echo".to_owned() };
    let echo = json!({ "detail": format!("Authorization: Token {token} may not do this.") });
    let to_waldur = Faults::new(world.waldur.clone())
        .on(op("provider_resources.set_backend_id"), status(400).json(&echo))
        .on(op("provider_resources.team"), status(400).json(&echo));
    let echo = json!({ "code": "Refused", "header": format!("Bearer {BACKEND_TOKEN}") });
    let to_service = Faults::new(world.service.clone()).on(writes(), status(400).json(&echo));
    let report = agent(&world).waldur(to_waldur).service(to_service.clone()).run().await;
    assert!(to_service.idle_rules().is_empty());
    assert_eq!(report.count(|outcome| matches!(outcome, OrderOutcome::Erred(_))), 3);
    said.report(&report);
    for order in world.all_orders() {
        let view = world.order(order);
        assert!(!view.error_message.is_empty());
        said.text("message to the customer", &view.error_message);
        said.text("traceback", &view.error_traceback);
    }
}

#[tokio::test(start_paused = true)]
async fn the_listener_hears_a_secret_that_is_said() {
    let canaries = Canaries::default();
    let secret = canaries.mint("secret");
    let said = Said { canaries: &canaries, during: "a slip".to_owned() };
    let slip = Error::config(format!("password {} is wrong", secret.expose_secret()));
    let heard = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| said.error("outcome", &slip)));
    assert!(heard.is_err());
}
