//! What a server lacks is found out once (core.md §1.6, column 24).

use crate::{
    calls::{IDENTITY, RESOURCE},
    client_support::{Script, answer},
    exchanges::fake_waldur,
};
use waldur_sdk::{
    Error, ErrorKind,
    client::{AgentMode, Feature, ObservableObject, WaldurClient},
    rest::{Http, RetryPolicy},
    testing::waldur::{Billing, Generation},
    types::{Limit, Limits, WaldurAmount},
};

const NO_SUCH_PAGE: &str = "<html><p>The requested resource was not found on this server.</p></html>";

#[tokio::test(start_paused = true)]
async fn what_a_server_lacks_is_said_once_for_all_clones() {
    let script = Script::new(|_, _| {
        let mut answer = answer(404, &[], NO_SUCH_PAGE)?;
        answer.headers_mut().insert("content-type", "text/html".parse().unwrap());
        Ok(answer)
    });
    let waldur = script.client();
    let other = waldur.with_agent_mode(AgentMode::Report);
    assert!(!waldur.features().is_missing(Feature::LastSync));
    let error = waldur.provider_resources().refresh_last_sync(RESOURCE).await.unwrap_err();
    assert_eq!(waldur.features().note(&error), Some(Feature::LastSync));
    assert_eq!(waldur.features().note(&error), None);
    assert!(other.features().is_missing(Feature::LastSync));
    let objects = [ObservableObject::Order];
    let error = other.agents().register_queue(IDENTITY, &objects).await.unwrap_err();
    assert_eq!(other.features().note(&error), Some(Feature::EventQueues));
    let error = other.agents().find_identity("x").await.unwrap_err();
    assert_eq!(other.features().note(&error), Some(Feature::Identities));
    let missing = waldur.features().missing();
    assert_eq!(missing, [Feature::Identities, Feature::EventQueues, Feature::LastSync]);
    assert!(missing.iter().all(|feature| !feature.consequence().is_empty()));
    let text = waldur.features().to_string();
    assert_eq!(text, "Waldur of unknown version, without agent identities, event queues, refresh_last_sync");
}

#[tokio::test(start_paused = true)]
async fn what_is_absent_or_refused_is_not_missing() {
    let waldur = Script::always(404, r#"{"detail": "No Resource matches the given query."}"#).client();
    let error = waldur.provider_resources().refresh_last_sync(RESOURCE).await.unwrap_err();
    assert_eq!(waldur.features().note(&error), None);
    // An ability that a back end lacks says nothing about Waldur.
    assert_eq!(waldur.features().note(&Error::unsupported("keys").with_operation("api_keys.list")), None);
    assert!(waldur.features().missing().is_empty());
}

#[tokio::test(start_paused = true)]
async fn limits_go_the_way_that_the_server_knows() {
    let limits: Limits = [("cpu".to_owned(), Limit::At(WaldurAmount::from(3_u32)))].into();
    for generation in [Generation::V2024, Generation::V8] {
        let fake = fake_waldur(generation);
        let offering = fake.offering().component("cpu", Billing::Limit).create();
        let order = fake.order(offering).create_resource("Res").limits([("cpu", 5)]).executing();
        let resource = fake.resource_of(order);
        let http = Http::new(fake.clone()).with_retry(RetryPolicy::none());
        let waldur = WaldurClient::builder(fake.base_url()).http(http).token(fake.token()).build().unwrap();
        for _twice in 0..2 {
            waldur.publish_limits(resource, &limits).await.unwrap();
        }
        assert_eq!(fake.resource_view(resource).limits["cpu"], 3);
        let asked: Vec<_> = fake.writes().into_iter().filter_map(|write| write.operation).collect();
        let (newer, plugin) = ("provider_resources.set_limits", "provider_resources.set_limits_of_allocation");
        match generation {
            // Asked for the newer way once in the life of the client.
            Generation::V2024 => assert_eq!(asked, [newer, plugin, plugin]),
            Generation::V8 => assert_eq!(asked, [newer, newer]),
        }
        // A resource that the plug-in has no row of.
        let other = fake.resource(offering).create();
        let outcome = waldur.publish_limits(other, &limits).await;
        match generation {
            Generation::V2024 => assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unsupported),
            Generation::V8 => outcome.unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_version_is_read_once() {
    for (version, old) in [("2024.10", true), ("8.0.5", false), ("v8.1", false), ("7.9.3", true)] {
        let script = Script::always(200, format!(r#"{{"version": "{version}"}}"#));
        let waldur = script.client();
        assert_eq!(waldur.features().is_old(), None);
        assert_eq!(waldur.detect().await.unwrap().is_old(), Some(old), "{version}");
        waldur.clone().detect().await.unwrap();
        assert_eq!(script.sent().len(), 1);
        assert!(waldur.features().to_string().starts_with(&format!("Waldur {version}")));
    }
    let unreachable = Script::always(503, "{}").client();
    assert_eq!(unreachable.detect().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_its_version_to_itself_is_no_error() {
    let fake = fake_waldur(Generation::V8);
    let http = Http::new(fake.clone()).with_retry(RetryPolicy::none());
    let waldur = WaldurClient::builder(fake.base_url()).http(http).token(fake.token()).build().unwrap();
    assert_eq!(waldur.detect().await.unwrap().version(), None);
}
