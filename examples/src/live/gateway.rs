//! A running gateway, the Waldur in front of it, and two agents that differ in what they may destroy.

use std::{env, sync::Arc};

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use waldur_backend_croit::{
    S3Backend, S3Settings,
    radosgw::{RadosGwClient, S3Key, Uid, User},
};
use waldur_sdk::{
    Error, Result,
    backend::{OpContext, ReqwestConnector},
    client::WaldurClient,
    rest::{BaseUrl, Environment, Http, HttpOptions, HttpTransport, PlainHttp},
    settings::AgentSettings,
    testing::waldur::{Billing, FakeWaldur, Generation, OrderSeed, OrderState},
    types::{OfferingUuid, OrderUuid, ResourceUuid, Uuid},
};

use super::{Failure, ensure, s3::S3};
use crate::{
    agent::{Unit, pass},
    modes::Mode,
    site::Site,
};

/// A MB of the offering, in bytes.
pub(super) const MB: u64 = 1 << 20;

/// How a gateway is reached.
#[derive(Clone)]
pub(super) struct Access {
    endpoint: BaseUrl,
    admin: S3Key,
}

impl Access {
    /// From the environment, as `dev/radosgw.sh env` prints it.
    pub(super) fn from_environment() -> Result<Self, String> {
        let setting = |name: &str| env::var(name).map_err(|_| format!("{name} is not set: run dev/live.sh radosgw"));
        let endpoint = setting("RADOSGW_ENDPOINT")?;
        let endpoint = BaseUrl::parse("RADOSGW_ENDPOINT", &endpoint, PlainHttp::LoopbackOnly);
        let admin = S3Key::new(setting("RADOSGW_ACCESS_KEY")?, SecretString::from(setting("RADOSGW_SECRET_KEY")?));
        Ok(Self { endpoint: endpoint.map_err(|error| error.message().to_owned())?, admin })
    }
}

impl Access {
    /// A client of its own, as another process would have: it shares no order of writes with others.
    pub(super) fn client(&self) -> Result<RadosGwClient> {
        RadosGwClient::new(http()?, &self.endpoint, &self.admin)
    }
}

/// The stage of the live run.
pub(super) struct Gateway {
    pub(super) waldur: FakeWaldur,
    pub(super) admin: RadosGwClient,
    /// Refuses to remove users that own buckets.
    pub(super) careful: Vec<Unit>,
    /// Removes them with all their data: its settings say so.
    pub(super) purging: Vec<Unit>,
    /// Hands keys over as API keys, and publishes none.
    pub(super) issuing: Vec<Unit>,
    /// Reports what is stored.
    pub(super) reporting: Vec<Unit>,
    /// Keeps users in step, and suspends those that are paused.
    pub(super) keeping: Vec<Unit>,
    access: Access,
    offering: OfferingUuid,
    /// Begins the ids of resources, and so the names of users, so that two runs do not meet.
    run: u32,
}

impl Gateway {
    pub(super) fn new(access: &Access) -> Result<Self, Failure> {
        let waldur = FakeWaldur::new(Generation::V8).with_wall(Timestamp::now);
        let offering = waldur
            .offering()
            .plugin_option("create_orders_on_resource_option_change", true)
            .component("s3_storage", Billing::Usage)
            .component("s3_objects", Billing::Usage)
            .create();
        let agents = |mode: Mode, more: Value| -> Result<_, Failure> {
            let (settings, _) = AgentSettings::from_value(&settings(&waldur, offering, access, more))?;
            let fake: Arc<dyn HttpTransport> = Arc::new(waldur.clone());
            let to_fake = move |_: &HttpOptions| Ok(fake.clone());
            let environment = Environment::default().with_timer(tokio::time::sleep);
            Ok(Site::over(to_fake, ReqwestConnector, environment).units(&settings, &[mode], false)?.0)
        };
        let careful = agents(Mode::OrderProcess, json!({}))?;
        let purging = agents(Mode::OrderProcess, json!({ "delete_mode": "purge" }))?;
        let issuing = agents(Mode::OrderProcess, json!({ "credentials_mode": "api_keys" }))?;
        let reporting = agents(Mode::Report, json!({}))?;
        let keeping = agents(Mode::MembershipSync, json!({ "suspend_on_pause": true }))?;
        let admin = access.client()?;
        let run = u32::try_from(Timestamp::now().as_microsecond().rem_euclid(1 << 32))? & 0xffff_ff00;
        let access = access.clone();
        Ok(Self { waldur, admin, careful, purging, issuing, reporting, keeping, access, offering, run })
    }

    /// Orders something new, of at most so many MB and objects.
    pub(super) fn order(&self, number: u8, size: u64, objects: u64) -> OrderUuid {
        let uuid = Uuid::from_u128(u128::from(self.run | u32::from(number)) << 96 | 0x4000_8000);
        let order = self.waldur.order(self.offering).create_resource(format!("live-{number}"));
        let order = order.resource(|resource| resource.uuid(uuid));
        order.attributes(json!({ "storage_limit": size, "object_limit": objects })).pending()
    }

    /// Orders something about a resource that is there.
    pub(super) fn order_on(
        &self,
        resource: ResourceUuid,
        what: impl FnOnce(waldur_sdk::testing::waldur::OrderOnResource) -> OrderSeed,
    ) -> OrderUuid {
        what(self.waldur.order_on(resource)).pending()
    }

    /// Tells this run from others.
    pub(super) fn run_number(&self) -> u32 {
        self.run
    }

    /// Whether a user was made by this run: its number begins the last part of the names of resources, and stands in all
    /// others.
    pub(super) fn is_of_this_run(&self, name: &str) -> bool {
        let run = format!("{:06x}", self.run >> 8);
        let is_number = |part: &str| part.len() == 8 && part.starts_with(&run);
        name.strip_prefix("live_").is_some_and(|rest| rest.split('_').any(is_number))
    }

    /// Whether anybody listens where the gateway is.
    pub(super) async fn listens(&self) -> bool {
        let address = self.access.endpoint.to_string();
        let Ok(uri) = address.parse::<http::Uri>() else { return false };
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        tokio::net::TcpStream::connect((uri.host().unwrap_or_default(), port)).await.is_ok()
    }

    /// Another client, which shares nothing with [`Self::admin`].
    pub(super) fn another_client(&self) -> Result<RadosGwClient> {
        self.access.client()
    }

    /// The resource's user, read from the gateway itself.
    pub(super) async fn user(&self, resource: ResourceUuid) -> Result<Option<User>> {
        self.admin.users().get(&self.uid(resource)?).await
    }

    pub(super) fn uid(&self, resource: ResourceUuid) -> Result<Uid> {
        Uid::new(self.waldur.resource_view(resource).backend_id)
    }

    /// The back end by itself, for what no agent does without events: keys of the mode `api_keys`.
    pub(super) fn backend(&self) -> Result<S3Backend, Failure> {
        self.backend_over(http()?)
    }

    pub(super) fn backend_over(&self, http: Http) -> Result<S3Backend, Failure> {
        let tree = settings(&self.waldur, self.offering, &self.access, json!({ "credentials_mode": "api_keys" }));
        let offering = AgentSettings::from_value(&tree)?.0.offerings.pop().ok_or("there is no offering")?;
        let own = offering.backend_settings.read(S3Settings::read)?.0;
        Ok(S3Backend::new(http, own, &offering.components)?)
    }

    /// A client of the Waldur in memory.
    pub(super) fn waldur_client(&self) -> Result<WaldurClient> {
        let http = Http::new(self.waldur.clone());
        WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token()).build()
    }

    pub(super) fn offering(&self) -> OfferingUuid {
        self.offering
    }

    /// The customer with this key, which it has from its API keys.
    pub(super) fn customer_with(&self, key: &S3Key) -> Result<S3> {
        S3::new(http()?, self.access.endpoint.clone(), key)
    }

    /// The customer, with the keys that Waldur shows.
    pub(super) fn customer(&self, resource: ResourceUuid) -> Result<S3> {
        let metadata = self.waldur.resource_view(resource).backend_metadata;
        let part = |name: &str| {
            let path = format!("/s3_credentials/{name}");
            metadata.pointer(&path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let key = S3Key::new(part("access_key"), SecretString::from(part("secret_key")));
        S3::new(http()?, self.access.endpoint.clone(), &key)
    }
}

/// A pipeline to the gateway, of its own.
pub(super) fn http() -> Result<Http> {
    Http::connect(&HttpOptions::default())
}

/// One pass of these agents, which must go through.
pub(super) async fn run(agents: &mut [Unit]) -> Result<(), Failure> {
    for pass in pass(agents, &OpContext::new("live")).await {
        pass.outcome.map_err(|error| told(&error))?;
    }
    Ok(())
}

/// One pass; the orders must end in this state. Returns what the customer is told of the last one.
pub(super) async fn process(
    waldur: &FakeWaldur,
    agents: &mut [Unit],
    orders: &[OrderUuid],
    wanted: OrderState,
) -> Result<String, Failure> {
    run(agents).await?;
    let mut message = String::new();
    for order in orders {
        let view = waldur.order_view(*order);
        ensure(view.state == wanted, || format!("the order is {}: {}", view.state, view.error_message))?;
        message = view.error_message;
    }
    Ok(message)
}

/// An error with its causes.
pub(super) fn told(error: &Error) -> Failure {
    format!("{error:#}").into()
}

fn settings(waldur: &FakeWaldur, offering: OfferingUuid, access: &Access, more: Value) -> Value {
    let mut own = json!({
        "flavour": "radosgw",
        "s3_endpoint": access.endpoint.to_string(),
        "admin_access_key": access.admin.access_key,
        "admin_secret_key": access.admin.secret_key.expose_secret(),
        "user_prefix": "live_",
    });
    if let (Value::Object(own), Value::Object(more)) = (&mut own, more) {
        own.extend(more);
    }
    json!({ "offerings": [{
        "name": "Live storage",
        "waldur_api_url": waldur.base_url(),
        "waldur_api_token": waldur.token().expose_secret(),
        "waldur_offering_uuid": offering.hex(),
        "backend_type": "ceph_s3",
        "order_processing_backend": "ceph_s3",
        "reporting_backend": "ceph_s3",
        "membership_sync_backend": "ceph_s3",
        "backend_settings": own,
        "backend_components": {
            "s3_storage": {
                "label": "Storage", "measured_unit": "MB", "accounting_type": "usage",
                "backend_name": "storage", "unit_factor": MB,
            },
            "s3_objects": {
                "label": "Objects", "measured_unit": "objects", "accounting_type": "usage",
                "backend_name": "objects",
            },
        },
    }]})
}
