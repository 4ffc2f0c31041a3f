//! Users without a key that may be published (s3.md §4, §9).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, sleep};
use waldur_backend_croit::{
    S3Backend,
    radosgw::{AccessKeyId, Uid},
    testing::SeedUser,
};
use waldur_sdk::{
    backend::{Aspects, Inspection, MarketplaceResource, OpContext, ResourceBackend as _, ResourceState, Surroundings},
    client::{AgentMode, WaldurClient},
    process::KeyProcessor,
    rest::Http,
    testing::waldur::{Billing, FakeWaldur, Generation},
};

use crate::common::{
    Failure, Gate, On, STAMP, UID, client, count, cx, environment, id, now, published_key_works, resource,
    usage_components,
};

/// What a pass sees of the user.
async fn look(backend: &S3Backend, resource: &MarketplaceResource) -> ResourceState {
    let records: BTreeMap<_, _> = [(id(), resource.clone())].into();
    let ids = [id()];
    let inspection = Inspection::of(&ids, Aspects::ALL).with_records(&records);
    backend.inspect(&cx(), &inspection).await.remove(&id()).unwrap().unwrap().unwrap()
}

async fn keep(backend: &S3Backend, resource: &MarketplaceResource) {
    let about = Surroundings::new(resource.clone());
    backend.upkeep().unwrap().sync_project(&cx(), &id(), &about).await.unwrap();
}

/// A pass over the user.
async fn pass(backend: &S3Backend, resource: &MarketplaceResource) -> ResourceState {
    let state = look(backend, resource).await;
    keep(backend, resource).await;
    state
}

fn keys(gate: &Gate) -> usize {
    gate.fake.user(UID).unwrap().keys.len()
}

async fn take_keys(gate: &Gate) {
    let (operator, uid) = (client(gate.fake.clone()), Uid::new(UID).unwrap());
    for key in gate.fake.user(UID).unwrap().keys {
        operator.keys().delete(&uid, &AccessKeyId::new(key.access_key).unwrap()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn s21_keys_that_croit_hides_for_less_than_a_minute_are_no_reason_to_make_one() {
    for mode in ["metadata", "both"] {
        let gate = Gate::croit();
        gate.fake.add_user(SeedUser::new(UID).email(STAMP).key("OURKEY", "our-secret")).unwrap();
        let backend = gate.backend(json!({ "credentials_mode": mode }), &usage_components());
        let mut resource = resource(json!({}));
        let pair = json!({ "access_key": "OURKEY", "secret_key": "our-secret" });
        resource.metadata.insert("s3_credentials".to_owned(), pair.clone());
        gate.fail(&format!("GET /api/s3/users/{UID}/keys"), u32::MAX, Failure::Status(200, "[]".to_owned()));
        for _pass in 0..3 {
            let begin = Instant::now();
            let state = pass(&backend, &resource).await;
            assert_eq!(begin.elapsed(), Duration::ZERO, "{mode}: nobody waits for that");
            assert_eq!((state.metadata.unwrap()["s3_credentials"].clone(), state.withdrawn.len()), (pair.clone(), 0));
            sleep(Duration::from_secs(25)).await;
        }
        let log = gate.take_log();
        assert_eq!((count(&log, "PUT"), count(&log, "/keys"), keys(&gate)), (0, 3, 1), "{mode}: one look in each");
        gate.mend();
        let state = pass(&backend, &resource).await;
        assert!(state.warnings.is_empty(), "{state:?}");
        assert_eq!(state.metadata.unwrap()["s3_credentials"]["access_key"], "OURKEY", "{mode}");
        // What was seen before that proves nothing any more.
        take_keys(&gate).await;
        pass(&backend, &resource).await;
        assert_eq!(keys(&gate), 0, "{mode}");
    }
}

#[tokio::test(start_paused = true)]
async fn s21_a_user_without_any_key_is_given_one_when_two_looks_have_found_none() {
    for on in [On::RadosGw, On::Croit] {
        let gate = Gate::on(on);
        // Keys of a customer, which go before one is made.
        let user = SeedUser::new(UID).email(STAMP).key("ONE", "secret-of-one").key("TWO", "secret-of-two");
        gate.fake.add_user(user).unwrap();
        let backend = gate.backend(json!({ "credentials_mode": "both" }), &usage_components());
        let resource = resource(json!({}));
        look(&backend, &resource).await;
        take_keys(&gate).await;
        for _look in 0..2 {
            keep(&backend, &resource).await;
            assert_eq!(keys(&gate), 0, "{on:?}: the first ones that find none");
            look(&backend, &resource).await;
        }
        sleep(Duration::from_mins(5)).await;
        let state = pass(&backend, &resource).await;
        assert!(state.withdrawn.contains("s3_credentials"), "{on:?}: {state:?}");
        assert_eq!(keys(&gate), 1, "{on:?}");
        let state = pass(&backend, &resource).await;
        assert_eq!(published_key_works(&gate.fake, &json!(state.metadata.unwrap())), Some(true), "{on:?}");
        assert_eq!(keys(&gate), 1, "{on:?}: one, and no more");
    }
}

#[tokio::test(start_paused = true)]
async fn c32_customers_get_api_keys_although_it_is_not_known_which_key_is_published() {
    for on in [On::RadosGw, On::Croit] {
        let waldur = FakeWaldur::new(Generation::V8).with_wall(now);
        let offering = waldur.offering().name("S3").component("s3_storage", Billing::Usage);
        let offering = offering.component("s3_objects", Billing::Usage).create();
        let resource = waldur.resource(offering).name("Res").slug("res").backend_id(UID).create();
        let gate = Gate::on(on);
        let user = SeedUser::new(UID).email(&format!("waldur-{}-{UID}@invalid", resource.hex()));
        gate.fake.add_user(user.key("ONE", "secret-of-one").key("TWO", "secret-of-two")).unwrap();
        let http = Http::new(waldur.clone()).with_environment(environment());
        let client = WaldurClient::builder(waldur.base_url()).http(http).token(waldur.token());
        let client = client.agent_mode(AgentMode::OrderProcess).build().unwrap();
        let backend = gate.backend(json!({ "credentials_mode": "both" }), &usage_components());
        // No look at the user has made one to be published.
        let keys = KeyProcessor::new(client, Arc::new(backend), offering);
        let report = keys.provision_missing(&OpContext::new("keys")).await.unwrap();
        assert!(report.is_clean() && report.left == 0, "{on:?}: {report:#?}");
        let live: Vec<_> = gate.fake.user(UID).unwrap().keys.into_iter().map(|key| key.access_key).collect();
        let reported = waldur.api_keys(resource);
        assert_eq!((live.len(), reported.len()), (4, 2), "{on:?}");
        assert!(reported.iter().all(|(key, _)| live.contains(key)) && live.contains(&"ONE".to_owned()), "{on:?}");
    }
}
