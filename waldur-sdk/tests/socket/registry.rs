//! Back ends that a registry builds: each has a way to its server of its own (faults.md row 12; security.md S20).

use std::sync::Arc;

use crate::support::{OK, Server};
use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::json;
use waldur_sdk::{
    Error, Result,
    backend::{
        BackendFactory, BuildEnv, Candidate, CreateRequest, Created, DeleteRequest, MarketplaceResource, OpContext,
        Progress, Registry, Removed, ReqwestConnector, ResourceBackend, ResourceState, Verified,
    },
    rest::{BaseUrl, HttpOptions, PlainHttp, RestClient, StaticHeader},
    settings::{BackendSettings, Components, Warning},
    types::{BackendId, OfferingUuid, Uuid},
};

/// A back end that can be reached, and nothing else.
struct Pinger(RestClient);

#[async_trait]
impl ResourceBackend for Pinger {
    fn backend_type(&self) -> &'static str {
        "pinger"
    }

    fn candidate_id(&self, resource: &MarketplaceResource, _: Candidate) -> Result<BackendId> {
        BackendId::new(resource.slug.as_str())
    }

    async fn ping(&self, cx: &OpContext) -> Result<()> {
        self.0.get("ping", "/ping", &[]).deadline(cx.deadline).send_unit().await
    }

    async fn create(&self, _: &OpContext, _: &CreateRequest) -> Result<Progress<Verified<Created>>> {
        Err(Error::unsupported("create"))
    }

    async fn get(&self, _: &OpContext, _: &BackendId) -> Result<Option<ResourceState>> {
        Err(Error::unsupported("get"))
    }

    async fn delete(&self, _: &OpContext, _: &DeleteRequest) -> Result<Progress<Verified<Removed>>> {
        Err(Error::unsupported("delete"))
    }
}

struct Pingers;

impl BackendFactory for Pingers {
    fn backend_types(&self) -> &'static [&'static str] {
        &["pinger"]
    }

    fn build(&self, environment: &BuildEnv) -> Result<(Arc<dyn ResourceBackend>, Vec<Warning>)> {
        let ((url, token), warnings) = environment.settings.read(|mut section| {
            let url = section.key("url").base_url(PlainHttp::LoopbackOnly).required();
            let token = section.key("token").secret().required();
            section.finish()?;
            Ok::<(BaseUrl, SecretString), _>((url?, token?))
        })?;
        let http = environment.http(&HttpOptions::default())?;
        Ok((Arc::new(Pinger(RestClient::new(http, url, StaticHeader::bearer(&token)?))), warnings))
    }
}

#[tokio::test]
async fn f012_back_ends_of_a_registry_share_no_connection_and_no_credential() {
    let server = Server::answering(OK).await;
    let registry = Registry::default().with(Pingers);
    let build = |token: &str| {
        let settings = json!({ "url": server.url(), "token": token });
        let (settings, _) = BackendSettings::from_value("backend_settings", &settings).unwrap();
        let offering = OfferingUuid::new(Uuid::nil());
        let environment = BuildEnv::new("pinger", offering, settings, Components::default(), ReqwestConnector);
        registry.build(&environment).unwrap().0
    };
    let (one, other) = (build("alpha"), build("beta"));
    for backend in [&one, &other, &one, &other] {
        backend.ping(&OpContext::new("test")).await.unwrap();
    }
    let seen = server.seen();
    assert_eq!((seen.connections, seen.requests.len()), (2, 4), "each keeps a connection, and its own");
    let tokens: Vec<_> = seen.requests.iter().map(|request| request.header("authorization").unwrap()).collect();
    assert_eq!(tokens, ["Bearer alpha", "Bearer beta", "Bearer alpha", "Bearer beta"]);
}
