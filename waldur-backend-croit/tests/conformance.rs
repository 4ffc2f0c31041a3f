//! The contract of a back end, held against ours over the fake gateway.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use common::{backend_with, components};
use http::{Request, Response};
use serde_json::json;
use waldur_backend_croit::testing::{FakeRadosGw, SeedUser};
use waldur_sdk::{
    backend::ResourceBackend,
    rest::{HttpTransport, TransportError, TransportErrorKind},
    settings::AccountingType,
    testing::conformance::{self, Subject},
    types::{BackendId, Limit, Limits},
};

#[derive(Clone)]
struct Breakable {
    fake: FakeRadosGw,
    broken: Arc<AtomicBool>,
}

#[async_trait]
impl HttpTransport for Breakable {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        if self.broken.load(Ordering::Relaxed) {
            return Err(TransportError::new(TransportErrorKind::Connect));
        }
        self.fake.send(request).await
    }
}

struct Gateway {
    transport: Breakable,
    naming: &'static str,
}

impl Gateway {
    fn new(naming: &'static str) -> Self {
        let fake = FakeRadosGw::builder().admin(common::ACCESS_KEY, common::SECRET_KEY).clock(common::now).build();
        Self { transport: Breakable { fake, broken: Arc::default() }, naming }
    }
}

fn limits(storage: u32, objects: u32) -> Limits {
    [("s3_storage", storage), ("s3_objects", objects)]
        .map(|(name, amount)| (name.to_owned(), Limit::At(amount.into())))
        .into()
}

#[async_trait]
impl Subject for Gateway {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        let components = components(AccountingType::Limit, &json!({}));
        Arc::new(backend_with(self.transport.clone(), json!({ "naming": self.naming }), &components))
    }

    fn limits(&self) -> Limits {
        limits(100, 10_000)
    }

    fn other_limits(&self) -> Limits {
        limits(250, 20_000)
    }

    async fn plant(&self, id: &BackendId, stamped: bool) -> bool {
        let stamp = format!("waldur-000000000000000000000000deadbeef-{id}@invalid");
        let stranger = SeedUser::new(id.as_str());
        let stranger = if stamped { stranger.email(&stamp) } else { stranger };
        self.transport.fake.add_user(stranger).is_ok()
    }

    fn set_outage(&self, broken: bool) -> bool {
        self.transport.broken.store(broken, Ordering::Relaxed);
        true
    }

    async fn objects(&self) -> Option<usize> {
        Some(self.transport.fake.users().len())
    }
}

#[tokio::test(start_paused = true)]
async fn the_back_end_keeps_the_contract() {
    for naming in ["seed", "processor"] {
        let gateway = Gateway::new(naming);
        let verdicts = conformance::run(&gateway).await;
        assert!(verdicts.passed(), "{naming}:\n{verdicts}");
        let fake = &gateway.transport.fake;
        assert!(fake.unmodelled().is_empty());
        // The stranger's own stamp is on several.
        assert!(fake.duplicate_stamps().keys().all(|stamp| stamp.ends_with("deadbeef")));
        assert_eq!((fake.unsigned_requests(), fake.rejected_signatures()), (0, 0));
    }
}
