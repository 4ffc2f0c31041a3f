//! A Waldur and a Ceph RadosGW in memory, with Create orders that wait for the provider.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::json;
use waldur_backend_croit::{S3Backend, S3Settings, radosgw::S3Key, testing::FakeRadosGw};
use waldur_sdk::{
    backend::OpContext,
    client::{AgentMode, WaldurClient},
    process::{OrderOutcome, OrderPolicy, OrderProcessor, ServedOffering},
    rest::{Environment, Http, HttpTransport, TransportError},
    settings::{AccountingType, BackendSettings, Component, Components, RawSettings},
    testing::waldur::{Billing, FakeWaldur, Generation, OrderState},
    types::{Decimal, OfferingUuid, OrderUuid, ResourceUuid, UnitFactor, Uuid},
};

use crate::Result;

/// Where the gateway answers.
pub const GATEWAY: &str = "https://s3.example.org";

const GATEWAY_HOST: &str = "s3.example.org";

/// The component that is ordered, in GiB.
pub const STORAGE: &str = "s3_storage";

/// How many GiB every order asks for.
pub const GIB: u64 = 100;

/// Waldur and the gateway behind one transport, which tells them apart by the host. Clones share their state.
#[derive(Clone, Debug)]
pub struct World {
    /// The marketplace.
    pub waldur: FakeWaldur,
    /// The gateway.
    pub gateway: FakeRadosGw,
    /// What is ordered.
    pub offering: OfferingUuid,
}

impl World {
    /// A world with `orders` pending Create orders. The same ids whenever it is made.
    pub fn new(orders: usize) -> Self {
        let waldur = FakeWaldur::new(Generation::V8);
        let offering = waldur.offering().name("Object storage").component(STORAGE, Billing::Limit).create();
        for number in 0..orders {
            let digits = digits(number);
            waldur
                .order(offering)
                .create_resource(format!("storage-{number}"))
                .uuid(OrderUuid::new(Uuid::from_u128(digits | 0x4000_8000_0000_0000_0001)))
                .limits([(STORAGE, GIB)])
                .resource(|seed| seed.uuid(ResourceUuid::new(Uuid::from_u128(digits | 0x4000_8000_0000_0000_0002))))
                .pending();
        }
        Self { waldur, gateway: FakeRadosGw::new(), offering }
    }

    /// The administrator's key of the gateway.
    pub fn admin(&self) -> S3Key {
        S3Key::new(self.gateway.access_key(), self.gateway.secret_key().clone())
    }

    /// A client of Waldur over `transport`.
    ///
    /// # Errors
    /// When the SDK refuses its settings.
    pub fn client(&self, transport: impl HttpTransport, environment: &Environment) -> Result<WaldurClient> {
        let http = Http::new(transport).with_environment(environment.clone());
        let client = WaldurClient::builder(self.waldur.base_url()).token(self.waldur.token()).http(http);
        Ok(client.agent_mode(AgentMode::OrderProcess).build()?)
    }

    /// The SDK's whole pipeline over `transport`, with default settings but for `in_flight` orders at once.
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn processor(
        &self,
        transport: impl HttpTransport,
        environment: &Environment,
        in_flight: usize,
    ) -> Result<OrderProcessor> {
        let transport: Arc<dyn HttpTransport> = Arc::new(transport);
        let waldur = self.client(Arc::clone(&transport), environment)?;
        let components = components()?;
        let http = Http::new(transport).with_environment(environment.clone());
        let backend = S3Backend::new(http, self.settings()?, &components)?;
        let mut policy = OrderPolicy::default();
        policy.concurrency = in_flight;
        let offering = ServedOffering::new(waldur, Arc::new(backend), self.offering).with_components(components);
        Ok(offering.orders().with_policy(policy))
    }

    fn settings(&self) -> Result<S3Settings> {
        let tree = json!({
            "flavour": "radosgw",
            "s3_endpoint": GATEWAY,
            "admin_access_key": self.gateway.access_key(),
            "admin_secret_key": self.gateway.secret_key().expose_secret(),
        });
        Ok(BackendSettings::from_value("backend_settings", &tree)?.0.read(S3Settings::read)?.0)
    }

    /// Processes what is pending with the SDK.
    ///
    /// # Errors
    /// When an order did not become done.
    pub async fn process(processor: &OrderProcessor, orders: usize) -> Result<()> {
        let report = processor.run_once(&OpContext::new("benchmark")).await?;
        let done = report.count(|outcome| matches!(outcome, OrderOutcome::Done));
        match report.orders.iter().find(|order| !order.warnings.is_empty() || order.attempts > 1) {
            Some(order) => Err(format!("{order:?}").into()),
            None if done == orders && report.is_clean() => Ok(()),
            None => Err(format!("{done} of {orders} orders are done: {:?}", report.orders.first()).into()),
        }
    }

    /// Makes sure that all is as ordered: every order done, one user for each, with the quota that was ordered, and
    /// its name and keys published.
    ///
    /// # Errors
    /// When something is not.
    pub fn verify(&self, orders: usize) -> Result<()> {
        let done = self.waldur.orders_in(OrderState::Done);
        let users = self.gateway.users().len();
        if done.len() != orders || users != orders {
            return Err(format!("{} orders done, {users} users, of {orders}", done.len()).into());
        }
        for order in done {
            let resource = self.waldur.resource_view(self.waldur.order_view(order).resource);
            let quotas = self.gateway.quota(&resource.backend_id);
            let size = i64::try_from(GIB << 30)?;
            let published = resource.backend_metadata.pointer("/s3_credentials/secret_key").is_some();
            if !published || resource.endpoints.is_empty() || quotas.is_none_or(|(user, _)| user.max_size != size) {
                return Err(format!("{}: {quotas:?}, {resource:?}", resource.backend_id).into());
            }
        }
        Ok(())
    }
}

#[async_trait]
impl HttpTransport for World {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if request.uri().host() == Some(GATEWAY_HOST) {
            self.gateway.send(request).await
        } else {
            let answer = self.waldur.send(request).await;
            // The fake keeps what it was asked, which would grow beyond anything that the client holds.
            self.waldur.forget_requests();
            answer
        }
    }
}

/// The order that a request is about, by the eight digits that its ids begin with; `None` for the listing. A user's
/// name ends with them.
pub fn order_of(request: &Request<Bytes>) -> Option<String> {
    let text = if request.uri().host() == Some(GATEWAY_HOST) {
        let uid = request.uri().query()?.split('&').find_map(|pair| pair.strip_prefix("uid="))?;
        uid.get(uid.len().checked_sub(8)?..)?
    } else {
        request.uri().path().split('/').nth(3).filter(|id| !id.is_empty())?.get(..8)?
    };
    Some(text.to_owned())
}

/// Ids that differ in their first eight digits, as random ones do: users are named by them. The factor is odd, so no
/// two numbers have the same digits.
fn digits(number: usize) -> u128 {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    u128::from(number.wrapping_mul(0x9e37_79b1)) << 96
}

fn components() -> Result<Components> {
    let mut storage = Component::new(STORAGE, AccountingType::Limit);
    storage.unit_factor = UnitFactor::new(Decimal::from(1_u64 << 30))?;
    storage.raw = RawSettings::from_value(STORAGE, &json!({ "backend_name": "storage" }))?;
    Ok([storage].into_iter().collect())
}
