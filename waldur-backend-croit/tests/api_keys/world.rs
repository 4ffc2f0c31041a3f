//! A Waldur with a resource in use, a gateway with its user, and what is known on both sides.

use std::{collections::BTreeSet, sync::Arc};

use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_croit::{
    S3Backend,
    testing::{FakeRadosGw, KeyView, SeedUser},
};
use waldur_sdk::{
    backend::ResourceBackend,
    client::{AgentMode, WaldurClient},
    process::{KeyPolicy, KeyProcessor, OrderProcessor, ServedOffering},
    rest::{Environment, Http, HttpTransport},
    testing::waldur::{Billing, FakeWaldur, Generation},
    types::{OfferingUuid, ResourceUuid},
};

use crate::common::{Gate, On, environment, now, usage_components};

/// Both flavours.
pub(crate) const BOTH: [On; 2] = [On::RadosGw, On::Croit];

/// The user of the resource in use.
pub(crate) const UID: &str = "res";

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) waldur: FakeWaldur,
    pub(crate) gate: Gate,
    pub(crate) offering: OfferingUuid,
    /// `credentials_mode`.
    pub(crate) mode: &'static str,
}

impl World {
    pub(crate) fn new(on: On) -> Self {
        let waldur = FakeWaldur::new(Generation::V8).with_wall(now);
        let offering = waldur.offering().name("S3").component("s3_storage", Billing::Usage);
        let offering = offering.component("s3_objects", Billing::Usage).create();
        Self { waldur, gate: Gate::on(on), offering, mode: "api_keys" }
    }

    pub(crate) fn in_mode(self, mode: &'static str) -> Self {
        Self { mode, ..self }
    }

    /// With a resource in use whose user has the keys `live`; Waldur knows those named `known`.
    pub(crate) fn with_keys(on: On, live: &[&str], known: &[&str]) -> (Self, ResourceUuid) {
        let world = Self::new(on);
        let resource = world.waldur.resource(world.offering).name(UID).slug(UID).backend_id(UID).create();
        let user = SeedUser::new(UID).email(&format!("waldur-{}-{UID}@invalid", resource.hex()));
        world.fake().add_user(live.iter().fold(user, |user, key| user.key(key, format!("secret-of-{key}")))).unwrap();
        for key in known {
            world.waldur.api_key(resource, *key).create();
        }
        (world, resource)
    }

    pub(crate) fn fake(&self) -> &FakeRadosGw {
        &self.gate.fake
    }

    /// The keys by which `uid` gets in.
    pub(crate) fn live_of(&self, uid: &str) -> BTreeSet<String> {
        let keys = self.fake().user(uid).map(|user| user.keys).unwrap_or_default();
        let works =
            |key: &&KeyView| self.fake().login(&key.access_key, &key.secret_key).is_ok_and(|owner| owner == uid);
        keys.iter().filter(works).map(|key| key.access_key.clone()).collect()
    }

    pub(crate) fn live(&self) -> BTreeSet<String> {
        self.live_of(UID)
    }

    /// The first half of the key that stands in the metadata.
    pub(crate) fn published(&self, resource: ResourceUuid) -> Option<String> {
        let metadata = self.waldur.resource_view(resource).backend_metadata;
        Some(metadata.get("s3_credentials")?.get("access_key")?.as_str()?.to_owned())
    }

    /// The first halves of the keys that Waldur was told of.
    pub(crate) fn reported(&self, resource: ResourceUuid) -> BTreeSet<String> {
        self.waldur.api_keys(resource).into_iter().map(|(client_id, _)| client_id).collect()
    }

    /// What must hold at the end of everything (security.md S12): two keys are live, and they are the reported ones.
    #[track_caller]
    pub(crate) fn assert_two_known(&self, resource: ResourceUuid) {
        assert_eq!(self.live(), self.reported(resource), "live and reported keys differ");
        assert_eq!(self.live().len(), 2);
        self.assert_sound();
    }

    /// What no run may ever do: show a secret in a URL, or ask without credentials.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let log = self.gate.take_log().join("\n");
        for key in self.fake().users().into_iter().flat_map(|user| user.keys) {
            // croit takes it there and nowhere else.
            let shown = log.contains(key.secret_key.expose_secret());
            assert!(!shown || self.gate.on == On::Croit, "a secret in a URL");
        }
        assert_eq!(self.waldur.unserved(), Vec::<String>::new());
        assert_eq!(self.waldur.unauthenticated_requests().len(), 0);
        assert_eq!(self.fake().unmodelled(), Vec::<String>::new());
    }

    pub(crate) fn backend(&self, mode: &str, gateway: impl HttpTransport) -> S3Backend {
        let settings = json!({ "credentials_mode": mode, "naming": "processor" });
        self.gate.backend_over(gateway, settings, &usage_components())
    }

    fn client(&self, waldur: impl HttpTransport) -> WaldurClient {
        self.client_in(environment(), waldur)
    }

    fn client_in(&self, environment: Environment, waldur: impl HttpTransport) -> WaldurClient {
        let http = Http::new(waldur).with_environment(environment);
        let builder = WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token());
        builder.agent_mode(AgentMode::OrderProcess).build().unwrap()
    }

    pub(crate) fn keys(&self, waldur: impl HttpTransport, gateway: impl HttpTransport) -> KeyProcessor {
        let backend: Arc<dyn ResourceBackend> = Arc::new(self.backend(self.mode, gateway));
        KeyProcessor::new(self.client(waldur), backend, self.offering).with_policy(KeyPolicy::default())
    }

    /// A process of its own, whose looks begin at this place.
    pub(crate) fn keys_from(&self, place: u64) -> KeyProcessor {
        let backend: Arc<dyn ResourceBackend> = Arc::new(self.backend(self.mode, self.gate.clone()));
        let client = self.client_in(environment().with_random(move || place << 32), self.waldur.clone());
        KeyProcessor::new(client, backend, self.offering)
    }

    pub(crate) fn orders(&self, waldur: impl HttpTransport, gateway: impl HttpTransport) -> OrderProcessor {
        let backend: Arc<dyn ResourceBackend> = Arc::new(self.backend(self.mode, gateway));
        ServedOffering::new(self.client(waldur), backend, self.offering).with_components(usage_components()).orders()
    }
}
