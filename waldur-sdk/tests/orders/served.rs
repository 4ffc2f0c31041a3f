//! What the processors of one offering share.

use std::sync::Arc;

use waldur_sdk::{
    backend::OpContext,
    client::{AgentMode, WaldurClient},
    process::ServedOffering,
    rest::Http,
    testing::{
        MemoryBackend, MemoryService,
        waldur::{Billing, Generation, OrderState},
    },
};

use crate::orders::{World, assert_done, environment, exchanges::fake_waldur};

fn backend(service: &MemoryService) -> Arc<MemoryBackend> {
    Arc::new(MemoryBackend::through(Http::new(service.clone()).with_environment(environment())).unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_processor_calls_in_its_own_mode_if_the_client_is_in_that_of_one() {
    for given in [Some(AgentMode::Report), Some(AgentMode::EventProcess), None] {
        let waldur = fake_waldur(Generation::V8);
        let offering = waldur.offering().component("storage", Billing::Usage).create();
        let http = Http::new(waldur.clone()).with_environment(environment());
        let mut client = WaldurClient::builder(waldur.base_url()).token(waldur.token()).http(http);
        if let Some(mode) = given {
            client = client.agent_mode(mode);
        }
        let memory = MemoryBackend::new(&MemoryService::new()).unwrap().with_members().with_usage().with_keys();
        let served = ServedOffering::new(client.build().unwrap(), Arc::new(memory), offering);
        let mode = || {
            let name = waldur.requests().pop().unwrap().user_agent;
            name.strip_prefix("waldur-site-agent-").and_then(|rest| rest.split('/').next()).map(str::to_owned)
        };
        let cx = OpContext::new("pass");
        let mut modes = Vec::new();
        served.orders().run_once(&cx).await.unwrap();
        modes.push(mode());
        served.keys().reconcile_stuck(&cx).await.unwrap();
        modes.push(mode());
        served.members().run_once(&cx).await.unwrap();
        modes.push(mode());
        served.usage().run_once(&cx).await.unwrap();
        modes.push(mode());
        let all = ["order_process", "order_process", "membership_sync", "report"];
        assert_eq!(
            modes,
            match given {
                Some(AgentMode::Report) => all.map(|mode| Some(mode.to_owned())),
                Some(AgentMode::EventProcess) => all.map(|_| Some("event_process".to_owned())),
                _ => all.map(|_| None),
            }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_offering_that_is_read_anew_is_served_by_its_new_back_end_and_components() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let lost = MemoryService::new();
    let served = ServedOffering::new(world.client(Http::new(world.waldur.clone())), backend(&lost), world.offering);
    let orders = served.orders().with_offering(&served.clone().with_backend(backend(&world.service)));
    let report = orders.run_once(&OpContext::new("pass")).await.unwrap();
    assert_done(&report.orders[0]);
    assert_eq!((lost.objects().len(), world.ids().len()), (0, 1));
    assert_eq!(orders.offering(), served.uuid());
    assert_eq!(world.state(order), OrderState::Done);
}

#[tokio::test(start_paused = true)]
async fn another_offerings_back_end_is_not_taken_for_that_of_this_one() {
    let world = World::new(Generation::V8);
    let order = world.create("Res").pending();
    let strange = MemoryService::new();
    let client = || world.client(Http::new(world.waldur.clone()));
    let served = ServedOffering::new(client(), backend(&world.service), world.offering);
    let other = ServedOffering::new(client(), backend(&strange), world.waldur.offering().create());
    let orders = served.orders().with_offering(&other);
    assert_done(&orders.run_once(&OpContext::new("pass")).await.unwrap().orders[0]);
    assert_eq!((strange.objects().len(), world.ids()), (0, vec!["res".to_owned()]));
    assert_eq!(world.state(order), OrderState::Done);
}
