//! Answers made ahead, given out for nothing: what a call costs the client alone.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use serde_json::Value;
use waldur_sdk::{
    client::{OrderQuery, OrderState, ResourceQuery},
    rest::{Environment, HttpTransport, TransportError},
    types::Uuid,
};

use crate::{
    Result,
    tape::Tape,
    world::{GATEWAY, World},
};

/// How many orders are on a page: what the SDK asks for.
pub const PAGE: usize = 100;

/// Gives every request the answer that its page has; a request for no page gets the first. Clones share the bytes.
#[derive(Clone, Debug)]
pub struct Canned {
    headers: HeaderMap,
    pages: Vec<(HeaderMap, Bytes)>,
}

impl Canned {
    /// One answer for everything.
    pub fn answer(body: impl Into<Bytes>) -> Self {
        Self { headers: json_headers(), pages: vec![(HeaderMap::new(), body.into())] }
    }

    /// A list of `count` orders as Waldur prints them, with the members that the SDK asks for.
    ///
    /// # Errors
    /// When the fake Waldur does not answer.
    pub async fn orders(count: usize) -> Result<Self> {
        Self::pages("marketplace-orders", &one_order().await?, count, PAGE)
    }

    /// A list of `count` resources, `page` at a time, with the members that the SDK asks for.
    ///
    /// # Errors
    /// When the fake Waldur does not answer.
    pub async fn resources(count: usize, page: usize) -> Result<Self> {
        Self::pages("marketplace-provider-resources", &one_resource().await?, count, page)
    }

    fn pages(path: &str, row: &Value, count: usize, size: usize) -> Result<Self> {
        let mut headers = json_headers();
        headers.insert("x-result-count", HeaderValue::from(count));
        let rows: Vec<_> = (0..count)
            .map(|number| {
                let mut row = row.clone();
                let uuid = Uuid::from_u128(number as u128);
                row.as_object_mut().map(|row| row.insert("uuid".to_owned(), uuid.simple().to_string().into()));
                row
            })
            .collect();
        let last = count.div_ceil(size);
        let pages = rows.chunks(size).zip(1..).map(|(rows, page)| {
            let mut headers = HeaderMap::new();
            if page < last {
                let next = format!("<https://waldur.example.org/api/{path}/?page={}>; rel=\"next\"", page + 1);
                headers.insert(header::LINK, HeaderValue::from_str(&next)?);
            }
            Ok((headers, serde_json::to_vec(rows)?.into()))
        });
        Ok(Self { headers, pages: pages.collect::<Result<_>>()? })
    }

    /// The body of the first page.
    pub fn first(&self) -> Bytes {
        self.pages.first().map(|(_, body)| body.clone()).unwrap_or_default()
    }
}

#[async_trait]
impl HttpTransport for Canned {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let query = request.uri().query().unwrap_or_default();
        let page = query.rsplit_once("&page=").and_then(|(_, page)| page.parse().ok()).unwrap_or(1_usize);
        let (headers, body) = self.pages.get(page.saturating_sub(1)).cloned().unwrap_or_default();
        let mut response = Response::new(body);
        *response.headers_mut() = self.headers.clone();
        response.headers_mut().extend(headers);
        Ok(response)
    }
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// The query of the processor's listing.
pub fn pending(world: &World) -> OrderQuery {
    OrderQuery::offering(world.offering).states([OrderState::PendingProvider, OrderState::Executing])
}

async fn one_order() -> Result<Value> {
    let world = World::new(1);
    let tape = Tape::new(world.clone());
    let client = world.client(tape.clone(), &Environment::default())?;
    client.orders().list(&pending(&world)).collect().await?;
    one_row(&world, &tape).await
}

async fn one_resource() -> Result<Value> {
    let world = World::new(1);
    let tape = Tape::new(world.clone());
    let client = world.client(tape.clone(), &Environment::default())?;
    client.provider_resources().list(&ResourceQuery::offering(world.offering)).collect().await?;
    one_row(&world, &tape).await
}

/// The row that the last listing on the tape brings.
async fn one_row(world: &World, tape: &Tape<World>) -> Result<Value> {
    let listing = tape.requests().pop().ok_or("nothing was listed")?;
    let answer = world.send(listing).await?;
    let mut rows: Vec<Value> = serde_json::from_slice(answer.body())?;
    Ok(rows.pop().ok_or("an empty list")?)
}

/// A user as the gateway prints it.
///
/// # Errors
/// When the fake gateway does not answer.
pub async fn one_user() -> Result<(String, Bytes)> {
    let world = World::new(1);
    let tape = Tape::new(world.clone());
    World::process(&world.processor(tape.clone(), &Environment::default(), 1)?, 1).await?;
    let reads = |request: &Request<Bytes>| request.method() == "GET" && request.uri().to_string().starts_with(GATEWAY);
    let read = tape.requests().into_iter().rfind(reads).ok_or("no user was read")?;
    let uid = read.uri().query().and_then(|query| query.rsplit_once("uid=")).ok_or("no uid")?.1.to_owned();
    Ok((uid, world.send(read).await?.into_body()))
}
