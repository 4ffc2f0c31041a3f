//! The Python plugin's own example, unchanged, from the file to the user that was ordered, and to what is logged of it; and
//! what a site does that changes it.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use waldur_backend_croit::testing::{FakeCroit, SeedUser};
use waldur_examples::{agent::pass, config, exit::Exit, modes::Mode, site::Site};
use waldur_sdk::{
    backend::{Capabilities, OpContext, Overridden, Override, ResourceBackend},
    settings::AgentSettings,
    testing::waldur::{Billing, FakeWaldur, Generation, OrderState},
    types::{OfferingUuid, ResourceUuid},
};

use crate::passes::{environment, to};

#[tokio::test(start_paused = true)]
async fn s02_the_seeds_example_makes_the_user_that_the_seed_describes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/croit-s3.yaml");
    let (settings, _) = config::load(&file).unwrap();
    let waldur = FakeWaldur::new(Generation::V8).with_base_url(&"https://waldur.example.com/".parse().unwrap());
    waldur.change_user(waldur.agent(), |agent| agent.token(&"your_waldur_api_token".into()));
    let offering: OfferingUuid = "713c299671a14f5db9723a793291bc78".parse().unwrap();
    let seed = waldur.offering().uuid(offering);
    let seed = seed.component("s3_storage", Billing::Usage).component("s3_objects", Billing::Usage);
    assert_eq!(seed.create(), offering);
    // The order of the seed's documentation.
    let attributes = json!({ "storage_limit": 100, "object_limit": 10_000 });
    let resource: ResourceUuid = "12345678-9abc-def0-1234-56789abcdef0".parse().unwrap();
    let order = waldur.order(offering).create_resource("my-s3-storage").attributes(attributes);
    let order = order.resource(|seed| seed.uuid(resource)).pending();

    let croit = FakeCroit::builder().token("your-bearer-token").build();
    let site = Site::over(to(waldur.clone()), to(croit.clone()), environment());
    let (mut units, warnings) = site.units(&settings, &[Mode::OrderProcess], false).unwrap();
    let passes = pass(&mut units, &OpContext::new("test")).await;
    assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
    assert_eq!(waldur.order_view(order).state, OrderState::Done);

    let users = croit.gateway().users();
    let [user] = users.as_slice() else { panic!("{users:?}") };
    assert!(user.uid.starts_with("waldur_") && user.uid.ends_with("_12345678"), "{}", user.uid);
    assert_eq!((user.bucket_quota.enabled, user.bucket_quota.max_size), (true, 107_374_182_400));
    assert_eq!((user.bucket_quota.max_objects, user.user_quota), (10_000, user.bucket_quota));
    let view = waldur.resource_view(resource);
    assert_eq!(view.backend_id, user.uid);
    let credentials = &view.backend_metadata["s3_credentials"];
    assert_eq!(credentials["endpoint"], "https://192.168.240.34");
    assert_eq!(credentials["access_key"], user.keys[0].access_key.as_str());
    assert_eq!(credentials["region"], "default");
    let quota = json!({ "enabled": true, "maxSize": 107_374_182_400_i64, "maxObjects": 10_000 });
    assert_eq!(view.backend_metadata["quotas"], json!({ "bucket_quota": quota, "user_quota": quota }));
    for warned in ["s3_endpoint", "verify_ssl", "credentials_mode"] {
        let path = format!("offerings[0].backend_settings.{warned}");
        assert!(warnings.iter().any(|warning| warning.path() == path), "{warned}: {warnings:?}");
    }
}

/// A site whose customers are to have API keys.
fn with_api_keys() -> (AgentSettings, FakeWaldur, OfferingUuid, FakeCroit) {
    let tree = json!({ "offerings": [{
        "name": "S3", "waldur_api_url": "https://waldur.example.com/api/", "waldur_api_token": "your_waldur_api_token",
        "waldur_offering_uuid": "713c299671a14f5db9723a793291bc78", "backend_type": "croit_s3",
        "order_processing_backend": "croit_s3", "membership_sync_backend": "croit_s3",
        "backend_settings": {
            "api_url": "https://192.168.240.34", "token": "your-bearer-token", "credentials_mode": "api_keys",
        },
        "backend_components": { "s3_objects": {
            "accounting_type": "usage", "backend_name": "objects", "label": "Objects", "measured_unit": "objects" } },
    }] });
    let (settings, _) = AgentSettings::from_value(&tree).unwrap();
    let waldur = FakeWaldur::new(Generation::V8).with_base_url(&"https://waldur.example.com/".parse().unwrap());
    waldur.change_user(waldur.agent(), |agent| agent.token(&"your_waldur_api_token".into()));
    let offering: OfferingUuid = "713c299671a14f5db9723a793291bc78".parse().unwrap();
    waldur.offering().uuid(offering).component("s3_objects", Billing::Usage).create();
    let croit = FakeCroit::builder().token("your-bearer-token").build();
    (settings, waldur, offering, croit)
}

#[tokio::test(start_paused = true)]
async fn s21_an_agent_gives_older_resources_api_keys_before_it_takes_what_is_published() {
    let (settings, waldur, offering, croit) = with_api_keys();
    let older = |number: usize| {
        let uid = format!("waldur_{number}");
        let resource = waldur.resource(offering).name(&uid).slug(&uid).backend_id(&uid).create();
        let user = SeedUser::new(&uid).email(&format!("waldur-{}-{uid}@invalid", resource.hex()));
        croit.gateway().add_user(user.key(&format!("OLD{number}"), "old-secret")).unwrap();
        let shown = json!({ "s3_credentials": { "access_key": format!("OLD{number}"), "secret_key": "old-secret" } });
        waldur.change_resource(resource, |row| row.backend_metadata(shown));
        (uid, resource)
    };
    let older: Vec<_> = (0..25).map(older).collect();
    let site = Site::over(to(waldur.clone()), to(croit.clone()), environment());
    let (mut units, _) = site.units(&settings, &[Mode::MembershipSync, Mode::OrderProcess], false).unwrap();
    for _ in 0..3 {
        pass(&mut units, &OpContext::new("test")).await;
        for (uid, resource) in &older {
            let shown = waldur.resource_view(*resource).backend_metadata.get("s3_credentials").is_some();
            assert!(shown || waldur.api_keys(*resource).len() == 2, "{uid} has no key at all");
        }
    }
    for (uid, resource) in &older {
        let keys = croit.gateway().user(uid).unwrap().keys;
        let listed = waldur.api_keys(*resource);
        assert!(listed.iter().all(|(listed, _)| keys.iter().any(|key| key.access_key == *listed)), "{uid}");
        assert_eq!((keys.len(), listed.len()), (3, 2), "{uid}: what customers use goes on working");
        assert!(waldur.resource_view(*resource).backend_metadata.get("s3_credentials").is_none(), "{uid}");
    }
}

#[tokio::test(start_paused = true)]
async fn s21_a_user_that_can_have_no_api_keys_fails_no_pass_and_is_told_once() {
    let (settings, waldur, offering, croit) = with_api_keys();
    waldur.resource(offering).name("u").slug("u").backend_id("waldur_u").create();
    croit.gateway().add_user(SeedUser::new("waldur_u").key("OLD", "old-secret")).unwrap();
    let site = Site::over(to(waldur.clone()), to(croit.clone()), environment());
    let (mut units, _) = site.units(&settings, &[Mode::OrderProcess], false).unwrap();
    for told in [1, 0, 0] {
        let passes = pass(&mut units, &OpContext::new("test")).await;
        assert_eq!(passes[0].exit(), Exit::Done, "{:?}", passes[0]);
        let outcomes = &passes[0].outcome.as_ref().unwrap().outcomes;
        assert_eq!(outcomes.get("without_keys").copied().unwrap_or_default(), told, "{outcomes:?}");
        // The offering is read anew, and the back end built.
        environment().sleep(Duration::from_hours(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn f044_an_agent_whose_token_is_refused_asks_once_in_each_pass_for_all_who_wait_for_keys() {
    let (settings, waldur, offering, _) = with_api_keys();
    for number in 0..25 {
        let uid = format!("waldur_{number}");
        waldur.resource(offering).name(&uid).slug(&uid).backend_id(&uid).create();
    }
    // With a back end that says before that it is not ready, that is all that is asked.
    for is_asked_before in [false, true] {
        let croit = FakeCroit::builder().token("another-token").build();
        let mut site = Site::over(to(waldur.clone()), to(croit.clone()), environment());
        if is_asked_before {
            site = site.with_layer(|backend| Arc::new(Overridden(Preflight(backend))));
        }
        let (mut units, _) = site.units(&settings, &[Mode::OrderProcess], false).unwrap();
        for asked in 1..=3 {
            pass(&mut units, &OpContext::new("test")).await;
            assert_eq!(croit.gateway().rejected_signatures(), asked, "{is_asked_before}");
            environment().sleep(Duration::from_hours(2)).await;
        }
    }
}

struct Preflight(Arc<dyn ResourceBackend>);

impl Override for Preflight {
    fn inner(&self) -> &dyn ResourceBackend {
        &*self.0
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities().with_preflight()
    }
}

/// What is logged, as it is printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn s16_an_expired_token_reports_nothing_and_the_log_says_why() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/croit-s3.yaml");
    let (settings, _) = config::load(&file).unwrap();
    let waldur = FakeWaldur::new(Generation::V8).with_base_url(&"https://waldur.example.com/".parse().unwrap());
    waldur.change_user(waldur.agent(), |agent| agent.token(&"your_waldur_api_token".into()));
    let offering: OfferingUuid = "713c299671a14f5db9723a793291bc78".parse().unwrap();
    let seed = waldur.offering().uuid(offering);
    seed.component("s3_storage", Billing::Usage).component("s3_objects", Billing::Usage).create();
    let resource = waldur.resource(offering).name("my-s3-storage").backend_id("waldur_a").create();
    let croit = FakeCroit::builder().token("another-token").build();

    let printed = Printed::default();
    let to_print = printed.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || to_print.clone()).finish();
    // With one listener alone, what another thread says first counts as of no interest to anybody ever after.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let log = tracing::subscriber::set_default(log);
    let site = Site::over(to(waldur.clone()), to(croit), environment());
    let (mut units, _) = site.units(&settings, &[Mode::Report], false).unwrap();
    let passes = pass(&mut units, &OpContext::new("test")).await;
    drop(log);

    assert_eq!(passes[0].exit(), Exit::Failed, "{:?}", passes[0]);
    assert!(waldur.usage_of(resource).is_empty(), "unknown is not 0");
    let printed = String::from_utf8(printed.0.lock().unwrap().clone()).unwrap();
    let line = printed.lines().find(|line| line.contains("unreadable")).unwrap();
    for said in ["WARN", "waldur_a", "croit refused the token", "expires"] {
        assert!(line.contains(said), "{said}: {line}");
    }
    assert!(!printed.contains("your-bearer-token"), "{printed}");
}
