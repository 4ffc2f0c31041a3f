//! Create orders without the SDK: what is left when everything is taken away that makes it right.
//!
//! The same requests in the same waves, over the same transport. No types, no retries, no time limits, no budget; it
//! adopts nothing, compares nothing, and the first surprise ends it. Only the signature of the gateway's requests is
//! made by the same code, since there is no leaving it out.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join, future::try_join3, stream};
use http::{HeaderValue, Method, Request, Response, header};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use waldur_backend_croit::{names::clean, radosgw::SigV4};
use waldur_sdk::{
    client::{OrderQuery, OrderState},
    rest::{Authenticator as _, Environment, Http, HttpTransport, encode},
};

use crate::{
    Result,
    tape::Tape,
    world::{GATEWAY, GIB, World},
};

/// The loop. Cheap to clone.
#[derive(Clone)]
pub struct BareLoop {
    transport: Arc<dyn HttpTransport>,
    signer: SigV4,
    /// The signer asks for a pipeline, and does nothing with it.
    unused: Http,
    waldur: String,
    token: HeaderValue,
    list: String,
    resource: String,
}

impl BareLoop {
    /// A loop over `transport` for the orders of `world`.
    ///
    /// # Errors
    /// When the SDK cannot be asked for its queries.
    pub async fn new(world: &World, transport: impl HttpTransport) -> Result<Self> {
        let transport: Arc<dyn HttpTransport> = Arc::new(transport);
        let unused = Http::new(Arc::clone(&transport));
        let (list, resource) = queries().await?;
        Ok(Self {
            transport,
            signer: SigV4::new(&world.admin(), unused.environment().clone())?,
            unused,
            waldur: format!("{}api", world.waldur.base_url()),
            token: HeaderValue::from_str(&format!("Token {}", world.waldur.token().expose_secret()))?,
            list,
            resource,
        })
    }

    /// Lists the pending orders and carries them out, `in_flight` at once. Answers how many there were.
    ///
    /// # Errors
    /// For whatever does not go as it should.
    pub async fn run(&self, in_flight: usize) -> Result<usize> {
        let mut orders = Vec::new();
        for page in 1.. {
            let place = if page == 1 { String::new() } else { format!("&page={page}") };
            let answer = self.get(&format!("marketplace-orders/?{}{place}", self.list)).await?;
            orders.extend(serde_json::from_slice::<Vec<Value>>(answer.body())?);
            let total = answer.headers().get("x-result-count").ok_or("no total")?;
            if orders.len() >= total.to_str()?.parse()? {
                break;
            }
        }
        let count = orders.len();
        stream::iter(orders)
            .map(|order| async move { self.create(&order).await })
            .buffer_unordered(in_flight)
            .try_collect::<()>()
            .await?;
        Ok(count)
    }

    async fn create(&self, order: &Value) -> Result<()> {
        let (number, resource) = (text(order, "/uuid")?, text(order, "/marketplace_resource_uuid")?);
        let of_order = format!("marketplace-orders/{number}/");
        let of_resource = format!("marketplace-provider-resources/{resource}/");
        let state = format!("{of_order}?field=uuid&field=state");

        let approve = self.post(format!("{of_order}approve_by_provider/"), &json!({}));
        let read = format!("{of_resource}?{}", self.resource);
        let (_, found) = try_join(approve, self.get(&read)).await?;
        let found: Value = serde_json::from_slice(found.body())?;

        let (customer, project) = (clean(text(&found, "/customer_slug")?), clean(text(&found, "/project_slug")?));
        let uid = format!("waldur_{customer}_{project}_{}", resource.get(..8).ok_or("a short UUID")?);
        let reserve = self.post(format!("{of_resource}set_backend_id/"), &json!({ "backend_id": uid }));
        try_join(self.get(&state), reserve).await?;

        let user = format!("{GATEWAY}/admin/user?format=json");
        let name = encode(text(&found, "/name")?);
        let email = encode(&format!("waldur-{resource}-{uid}@invalid"));
        let new = format!("{user}&uid={uid}&display-name={name}&email={email}&generate-key=true");
        self.admin(Method::PUT, new, Bytes::new()).await?;

        let gib = order.pointer("/limits/s3_storage").and_then(Value::as_u64).ok_or("no limit")?;
        let quota = json!({ "enabled": true, "check_on_raw": false, "max_size": gib << 30, "max_objects": -1 });
        let quotas = json!({ "user_quota": quota, "bucket_quota": quota });
        let set = format!("{user}&quota=&uid={uid}");
        self.admin(Method::PUT, set, serde_json::to_vec(&quotas)?.into()).await?;

        let made = self.admin(Method::GET, format!("{user}&uid={uid}"), Bytes::new()).await?;
        let made: Value = serde_json::from_slice(made.body())?;
        let metadata = metadata(&made, &uid)?;
        let publish = self.post(format!("{of_resource}set_backend_metadata/"), &metadata);
        let endpoints = json!({ "endpoints": [{ "name": "S3 endpoint", "url": GATEWAY }] });
        let endpoints = self.post(format!("{of_resource}set_endpoints/"), &endpoints);
        try_join3(publish, endpoints, self.get(&state)).await?;

        self.post(format!("{of_order}set_state_done/"), &json!({})).await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Response<Bytes>> {
        let request = Request::get(format!("{}/{path}", self.waldur)).header(header::AUTHORIZATION, &self.token);
        self.send(request.header(header::ACCEPT, "application/json").body(Bytes::new())?).await
    }

    /// Not an `async fn`, so that the body need not outlive the call.
    fn post(&self, path: String, body: &Value) -> impl Future<Output = Result<Response<Bytes>>> + use<'_> {
        let body = body.to_string();
        async move {
            let request = Request::post(format!("{}/{path}", self.waldur)).header(header::AUTHORIZATION, &self.token);
            let request = request.header(header::ACCEPT, "application/json");
            self.send(request.header(header::CONTENT_TYPE, "application/json").body(body.into())?).await
        }
    }

    async fn admin(&self, method: Method, url: String, body: Bytes) -> Result<Response<Bytes>> {
        let mut request = Request::builder().method(method).uri(url).header(header::ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(body)?;
        self.signer.authenticate(&self.unused, &mut request).await?;
        self.send(request).await
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let answer = self.transport.send(request).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(answer.status().to_string().into()) }
    }
}

impl std::fmt::Debug for BareLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BareLoop").field("waldur", &self.waldur).finish_non_exhaustive()
    }
}

fn text<'a>(value: &'a Value, path: &str) -> Result<&'a str> {
    Ok(value.pointer(path).and_then(Value::as_str).ok_or_else(|| format!("no {path}"))?)
}

fn metadata(user: &Value, uid: &str) -> Result<Value> {
    let quota = json!({ "enabled": true, "maxSize": GIB << 30, "maxObjects": -1 });
    Ok(json!({ "backend_metadata": {
        "s3_credentials": {
            "access_key": text(user, "/keys/0/access_key")?,
            "secret_key": text(user, "/keys/0/secret_key")?,
            "endpoint": GATEWAY,
            "region": "default",
        },
        "storage_summary": { "bucket_count": 0, "total_size_bytes": 0, "total_objects": 0, "buckets": [] },
        "quotas": { "bucket_quota": quota, "user_quota": quota },
        "s3_endpoint": GATEWAY,
        "s3_region": "default",
        "s3_user": uid,
    }}))
}

/// What the SDK asks for when it lists orders and reads a resource: taken from it, so that the loop asks for the same.
async fn queries() -> Result<(String, String)> {
    let world = World::new(1);
    let tape = Tape::new(world.clone());
    let client = world.client(tape.clone(), &Environment::default())?;
    let query = OrderQuery::offering(world.offering).states([OrderState::PendingProvider, OrderState::Executing]);
    let orders = client.orders().list(&query).all().await?;
    let resource = orders.first().and_then(|order| order.resource_uuid).ok_or("no order")?;
    client.provider_resources().get(resource).await?;
    let queries: Vec<_> =
        tape.requests().iter().map(|request| request.uri().query().unwrap_or_default().to_owned()).collect();
    match <[String; 2]>::try_from(queries) {
        Ok([list, resource]) => Ok((list, resource)),
        Err(other) => Err(format!("{} requests", other.len()).into()),
    }
}
