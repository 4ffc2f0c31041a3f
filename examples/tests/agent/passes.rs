//! Passes over several offerings, in one process and in virtual time.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_backend_croit::testing::FakeRadosGw;
use waldur_examples::{
    agent::{Crew, Event, GRACE, Pass, Schedule, Unit, pass},
    exit::Exit,
    modes::{Mode, Periods},
    site::Site,
};
use waldur_sdk::{
    ErrorKind, Result,
    backend::{Connector, OpContext},
    rest::{Environment, HttpOptions, HttpTransport, TransportError},
    settings::{AgentSettings, Credentials},
    testing::{
        Action, Faults, Latency, hang, op, status,
        waldur::{Billing, FakeWaldur, Generation, OrderState},
    },
    types::{OfferingUuid, OrderUuid, Uuid},
};

use crate::exchanges::fake_waldur;

pub(crate) fn environment() -> Environment {
    Environment::default()
        .with_timer(tokio::time::sleep)
        .with_monotonic(|| tokio::time::Instant::now().into_std())
        .with_random(|| 0)
}

pub(crate) fn to(transport: impl HttpTransport) -> impl Connector {
    let transport: Arc<dyn HttpTransport> = Arc::new(transport);
    move |_: &HttpOptions| -> Result<Arc<dyn HttpTransport>> { Ok(transport.clone()) }
}

pub(crate) fn sold(waldur: &FakeWaldur) -> OfferingUuid {
    waldur.offering().component("s3_storage", Billing::Usage).create()
}

/// An order whose resource's id begins like no other's: the back end names users by that.
pub(crate) fn ordered(waldur: &FakeWaldur, offering: OfferingUuid) -> OrderUuid {
    ordered_as(waldur, offering, waldur.orders_in(OrderState::PendingProvider).len() + 1)
}

/// As [`ordered`], with a number that no other order has.
pub(crate) fn ordered_as(waldur: &FakeWaldur, offering: OfferingUuid, number: usize) -> OrderUuid {
    let uuid = Uuid::from_u128((number as u128) << 96 | 0x4000_8000);
    let order = waldur.order(offering).create_resource("results").resource(|resource| resource.uuid(uuid));
    order.attributes(json!({ "storage_limit": 10 })).pending()
}

pub(crate) fn settings(waldur: &FakeWaldur, offerings: &[OfferingUuid]) -> AgentSettings {
    let offering = |uuid: &OfferingUuid| {
        json!({
            "name": format!("Offering {}", uuid.hex()),
            "waldur_api_url": waldur.base_url(),
            "waldur_api_token": waldur.token().expose_secret(),
            "waldur_offering_uuid": uuid.hex(),
            "backend_type": "ceph_s3",
            "order_processing_backend": "ceph_s3",
            "backend_settings": {
                "flavour": "radosgw",
                "s3_endpoint": "https://s3.example.org",
                "admin_access_key": "ADMINACCESSKEY000001",
                "admin_secret_key": FakeRadosGw::new().secret_key().expose_secret(),
            },
            "backend_components": {
                "s3_storage": {
                    "label": "Storage", "measured_unit": "GB", "accounting_type": "usage",
                    "backend_name": "storage", "unit_factor": 1_073_741_824,
                },
            },
        })
    };
    let tree: Value = json!({ "offerings": offerings.iter().map(offering).collect::<Vec<_>>() });
    AgentSettings::from_value(&tree).unwrap().0
}

pub(crate) fn agents(waldur: &FakeWaldur, way: impl HttpTransport, offerings: &[OfferingUuid]) -> Vec<Unit> {
    agents_over(waldur, way, FakeRadosGw::new(), offerings)
}

fn agents_over(
    waldur: &FakeWaldur,
    way: impl HttpTransport,
    gateway: impl HttpTransport,
    offerings: &[OfferingUuid],
) -> Vec<Unit> {
    let site = Site::over(to(way), to(gateway), environment());
    site.units(&settings(waldur, offerings), &[Mode::OrderProcess], false).unwrap().0
}

pub(crate) fn count(waldur: &FakeWaldur, path: &str) -> usize {
    waldur.requests().iter().filter(|request| request.path.ends_with(path)).count()
}

#[tokio::test(start_paused = true)]
async fn c68_a_component_that_only_waldur_has_and_nobody_counts_kills_nothing() {
    let waldur = fake_waldur(Generation::V8);
    let offering =
        waldur.offering().component("s3_storage", Billing::Usage).component("support", Billing::Fixed).create();
    let order = ordered(&waldur, offering);
    let mut agents = agents(&waldur, waldur.clone(), &[offering]);
    let passes = pass(&mut agents, &OpContext::new("test")).await;
    assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
    assert_eq!(waldur.order_view(order).state, OrderState::Done);
}

#[tokio::test(start_paused = true)]
async fn an_offering_that_fails_stops_no_other() {
    let waldur = fake_waldur(Generation::V8);
    let (one, two) = (sold(&waldur), sold(&waldur));
    let orders = [ordered(&waldur, one), ordered(&waldur, two)];
    let nowhere = OfferingUuid::new(Uuid::from_u128(0x404));
    let mut agents = agents(&waldur, waldur.clone(), &[one, nowhere, two]);
    let passes = pass(&mut agents, &OpContext::new("test")).await;
    let exits: Vec<_> = passes.iter().map(Pass::exit).collect();
    assert_eq!(exits, [Exit::Done, Exit::Failed, Exit::Done]);
    assert_eq!(passes[1].outcome.as_ref().unwrap_err().kind(), ErrorKind::NotFound);
    for order in orders {
        assert_eq!(waldur.order_view(order).state, OrderState::Done);
    }
}

#[tokio::test(start_paused = true)]
async fn the_agent_registers_once_and_reads_its_offering_once() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let mut agents = agents(&waldur, waldur.clone(), &[offering]);
    for _ in 0..3 {
        pass(&mut agents, &OpContext::new("test")).await;
    }
    assert_eq!(count(&waldur, "/marketplace-orders/"), 3);
    for path in ["/marketplace-site-agent-identities/", "/register_service/", "/register_processor/"] {
        let writes = waldur.writes();
        assert_eq!(writes.iter().filter(|request| request.path.ends_with(path)).count(), 1, "{path}");
    }
    assert_eq!(count(&waldur, &format!("/marketplace-provider-offerings/{}/", offering.hex())), 1);

    let names: Vec<_> =
        waldur.writes().iter().filter_map(|request| request.body["name"].as_str().map(str::to_owned)).collect();
    assert_eq!(names, [&*format!("agent-{}", offering.hex()), "order_process", "OfferingOrderProcessor"]);
    tokio::time::sleep(Duration::from_hours(2)).await;
    pass(&mut agents, &OpContext::new("test")).await;
    assert_eq!(
        count(&waldur, &format!("/marketplace-provider-offerings/{}/", offering.hex())),
        2,
        "known anew by the hour"
    );
}

/// A Waldur whose offering gets a component more.
#[derive(Clone)]
struct Grown(FakeWaldur, Arc<AtomicBool>);

#[async_trait]
impl HttpTransport for Grown {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_offering = request.uri().path().contains("/marketplace-provider-offerings/");
        let mut answer = self.0.send(request).await?;
        if is_offering && self.1.load(Ordering::Relaxed) {
            let mut offering: Value = serde_json::from_slice(answer.body()).unwrap();
            let components = offering["components"].as_array_mut().unwrap();
            let mut another = components[0].clone();
            another["type"] = json!("support");
            another["billing_type"] = json!("fixed");
            components.push(another);
            *answer.body_mut() = serde_json::to_vec(&offering).unwrap().into();
            answer.headers_mut().remove("content-length");
        }
        Ok(answer)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_back_end_remembers_outlives_the_hour_unless_its_offering_changed() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let (grows, builds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let built = builds.clone();
    let site = Site::over(to(Grown(waldur.clone(), grows.clone())), to(FakeRadosGw::new()), environment());
    let site = site.with_layer(move |backend| {
        built.fetch_add(1, Ordering::Relaxed);
        backend
    });
    let mut agents = site.units(&settings(&waldur, &[offering]), &[Mode::OrderProcess], false).unwrap().0;
    let start = builds.load(Ordering::Relaxed);
    let mut told = Vec::new();
    for hour in 0..6 {
        grows.store(hour >= 3, Ordering::Relaxed);
        let passes = pass(&mut agents, &OpContext::new("test")).await;
        assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
        told.push(builds.load(Ordering::Relaxed) - start);
        tokio::time::sleep(Duration::from_mins(61)).await;
    }
    assert_eq!(told, [1, 1, 1, 2, 2, 2]);
    assert_eq!(count(&waldur, &format!("/marketplace-provider-offerings/{}/", offering.hex())), 6);
}

#[tokio::test(start_paused = true)]
async fn a_server_without_a_register_of_agents_is_asked_once_and_served_all_the_same() {
    let waldur = fake_waldur(Generation::V2024);
    let offering = sold(&waldur);
    let order = ordered(&waldur, offering);
    let mut agents = agents(&waldur, waldur.clone(), &[offering]);
    for _ in 0..2 {
        let passes = pass(&mut agents, &OpContext::new("test")).await;
        assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
    }
    assert_eq!(waldur.order_view(order).state, OrderState::Done);
    assert_eq!(count(&waldur, "/marketplace-site-agent-identities/"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_fails_holds_no_order_up_and_is_tried_again() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let order = ordered(&waldur, offering);
    let faults = Faults::new(waldur.clone()).on(op("agents.create_identity").nth(1), status(500));
    let mut agents = agents(&waldur, faults.clone(), &[offering]);
    let passes = pass(&mut agents, &OpContext::new("test")).await;
    assert_eq!(passes[0].exit(), Exit::Done);
    assert_eq!(waldur.order_view(order).state, OrderState::Done);
    assert!(waldur.registered_processors().is_empty());
    pass(&mut agents, &OpContext::new("test")).await;
    assert_eq!(waldur.registered_processors().len(), 1);
    assert!(faults.idle_rules().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_temporary_and_nothing_is_erred() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let order = ordered(&waldur, offering);
    let faults = Faults::new(waldur.clone()).on(op("orders.approve_by_provider"), status(503).header("retry-after", 1));
    let agents = agents(&waldur, faults, &[offering]);
    let exit = Crew::new(agents, Schedule::Once).run(stream::pending()).await;
    assert_eq!(exit, Exit::Temporary);
    assert_eq!(waldur.order_view(order).state, OrderState::PendingProvider);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_waldur_refuses_is_sent_again_in_each_pass_until_it_is_taken() {
    let waldur = fake_waldur(Generation::V8);
    let offering = sold(&waldur);
    let order = ordered(&waldur, offering);
    // With the order, and twice after it.
    let faults = Faults::new(waldur.clone()).on(op("provider_resources.set_endpoints").first(3), status(403));
    let mut agents = agents(&waldur, faults.clone(), &[offering]);
    let mut seen = Vec::new();
    for _pass in 0..4 {
        let passes = pass(&mut agents, &OpContext::new("test")).await;
        let outcomes = passes[0].outcome.as_ref().unwrap().outcomes.clone();
        seen.push((passes[0].exit(), outcomes.contains_key("left_to_do"), outcomes.contains_key("published")));
    }
    let (left, taken, idle) = ((Exit::Failed, true, false), (Exit::Done, false, true), (Exit::Done, false, false));
    assert_eq!(seen, [left, left, taken, idle]);
    let resource = waldur.resource_view(waldur.resource_of(order));
    assert_eq!(resource.endpoints.len(), 1);
    assert!(faults.idle_rules().is_empty());
}

/// How many orders are done, under way and not begun after a stop at this second; a second run finishes all of them.
async fn stopped_at(second: u64) -> [usize; 3] {
    let (waldur, gateway) = (fake_waldur(Generation::V8), FakeRadosGw::new());
    let offering = sold(&waldur);
    let orders: Vec<_> = (0..20).map(|_| ordered(&waldur, offering)).collect();
    let slow = Latency::new(waldur.clone(), environment(), Duration::from_secs(1));
    let agents = agents_over(&waldur, slow, gateway.clone(), &[offering]);
    let stop = stream::once(tokio::time::sleep(Duration::from_secs(second))).boxed();
    let stop = stop.map(|()| Event::Stop);
    let exit = Crew::new(agents, Schedule::Every(Periods::all(Duration::from_mins(5)))).run(stop).await;
    assert_eq!(exit, Exit::Done);
    let states: Vec<_> = orders.iter().map(|order| waldur.order_view(*order).state).collect();
    let found = [OrderState::Done, OrderState::Executing, OrderState::PendingProvider]
        .map(|wanted| states.iter().filter(|state| **state == wanted).count());
    assert_eq!(found.iter().sum::<usize>(), 20, "{second}: {states:?}");
    let sent = || (waldur.requests().len(), gateway.users().len());
    let before = sent();
    assert!(before.1 >= found[0] && before.1 <= found[0] + found[1], "{second}: {} users, {states:?}", before.1);
    tokio::time::sleep(Duration::from_hours(1)).await;
    assert_eq!(sent(), before, "{second}: nothing is sent after the end");

    let again = agents_over(&waldur, waldur.clone(), gateway.clone(), &[offering]);
    assert_eq!(Crew::new(again, Schedule::Once).run(stream::pending()).await, Exit::Done);
    assert!(orders.iter().all(|order| waldur.order_view(*order).state == OrderState::Done), "{second}");
    let id = |order: &OrderUuid| waldur.resource_view(waldur.resource_of(*order)).backend_id;
    let ids: BTreeSet<String> = orders.iter().map(id).collect();
    let users: BTreeSet<String> = gateway.users().into_iter().map(|user| user.uid).collect();
    assert_eq!((ids.len(), &ids), (20, &users), "{second}: one user each");
    found
}

#[tokio::test(start_paused = true)]
async fn f131_asked_to_stop_orders_come_to_a_safe_point_and_go_on_from_there() {
    // Eight are under way at a time; the others wait for their turn.
    let mut found = Vec::new();
    for second in [5, 8, 11, 14, 17] {
        found.push(stopped_at(second).await);
    }
    let all_three = |[done, executing, pending]: &[usize; 3]| *done >= 1 && *executing >= 1 && *pending >= 1;
    assert!(found.iter().any(all_three), "done, under way, not begun: {found:?}");
}

#[tokio::test(start_paused = true)]
async fn f046_of_two_offerings_the_one_with_a_revoked_token_stops_alone() {
    let waldur = fake_waldur(Generation::V8);
    let (revoked, sound) = (sold(&waldur), sold(&waldur));
    let orders = [revoked, sound].map(|offering| ordered(&waldur, offering));
    let mut tree = settings(&waldur, &[revoked, sound]);
    tree.offerings[0].credentials = Credentials::Token("revoked-token".into());
    let site = Site::over(to(waldur.clone()), to(FakeRadosGw::new()), environment());
    let mut units = site.units(&tree, &[Mode::OrderProcess], false).unwrap().0;
    for _ in 0..2 {
        let passes = pass(&mut units, &OpContext::new("test")).await;
        assert_eq!(passes.iter().map(Pass::exit).collect::<Vec<_>>(), [Exit::Failed, Exit::Done]);
        assert_eq!(passes[0].outcome.as_ref().unwrap_err().kind(), ErrorKind::Unauthenticated);
    }
    let states = orders.map(|order| waldur.order_view(order).state);
    assert_eq!(states, [OrderState::PendingProvider, OrderState::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_that_does_not_come_to_a_safe_point_is_left_after_the_grace_or_at_the_second_signal() {
    for (signals, patience) in [(vec![5, 86_400], GRACE), (vec![5, 2], Duration::from_secs(2))] {
        let waldur = fake_waldur(Generation::V8);
        let offering = sold(&waldur);
        let order = ordered(&waldur, offering);
        let faults = Faults::new(waldur.clone()).on(op("orders.approve_by_provider"), Action::refuse(hang()));
        let agents = agents(&waldur, faults, &[offering]);
        let stop = stream::iter(signals).then(|seconds| tokio::time::sleep(Duration::from_secs(seconds))).boxed();
        let begin = tokio::time::Instant::now();
        let exit = Crew::new(agents, Schedule::Once).run(stop.map(|()| Event::Stop)).await;
        assert_eq!(exit, Exit::Temporary);
        assert_eq!(begin.elapsed().as_secs(), 5 + patience.as_secs());
        assert_eq!(waldur.order_view(order).state, OrderState::PendingProvider);
    }
}
