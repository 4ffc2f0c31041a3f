//! The contract of a back end, held against ours over the fake gateway.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use waldur_backend_croit::testing::SeedUser;
use waldur_sdk::{
    backend::{Period, ResourceBackend},
    rest::{Environment, HttpTransport, TransportErrorKind},
    settings::{AccountingType, Components},
    testing::{
        Life,
        conformance::{self, Subject, Work},
    },
    types::{BackendId, JsonObject, Limits},
};

use crate::common::{Failure, Gate, On, components, environment, limits, published_key_works, shown};

/// A gateway that sells by what was ordered, or by usage with safety limits among the options.
pub(crate) struct Gateway {
    pub(crate) gate: Gate,
    naming: &'static str,
    accounting: AccountingType,
    /// Settings beside these.
    more: Value,
    /// What the first process loses.
    losing: Mutex<Option<&'static str>>,
}

impl Gateway {
    /// One that sells by what was ordered.
    pub(crate) fn on(on: On) -> Self {
        let naming = if on == On::RadosGw { "processor" } else { "seed" };
        let (gate, accounting) = (Gate::on(on), AccountingType::Limit);
        Self { gate, naming, accounting, more: json!({}), losing: Mutex::default() }
    }

    /// One that suits the order: of options where ceilings are the customer's own.
    pub(crate) fn for_work(on: On, work: Work) -> Self {
        let by_options = work == Work::UpdateOptions;
        let accounting = if by_options { AccountingType::Usage } else { AccountingType::Limit };
        Self { accounting, ..Self::on(on) }
    }

    /// With these settings as well.
    pub(crate) fn with(self, more: Value) -> Self {
        Self { more, ..self }
    }

    /// It acknowledges the first write of this call that the first process sends, and does not keep it.
    pub(crate) fn losing(self, call: &'static str) -> Self {
        Self { losing: Mutex::new(Some(call)), ..self }
    }

    pub(crate) fn over(&self, way: impl HttpTransport) -> Arc<dyn ResourceBackend> {
        let mut settings = json!({ "naming": self.naming });
        settings.as_object_mut().unwrap().extend(self.more.as_object().unwrap().clone());
        Arc::new(self.gate.backend_over(way, settings, &Subject::components(self)))
    }
}

#[async_trait]
impl Subject for Gateway {
    fn backend(&self) -> Arc<dyn ResourceBackend> {
        self.over(self.gate.clone())
    }

    fn backend_over(&self, life: &Life) -> Option<Arc<dyn ResourceBackend>> {
        if let Some(lost) = self.losing.lock().unwrap().take() {
            self.gate.fake.lose_writes(lost, 1);
        }
        Some(self.over(life.around(self.gate.clone())))
    }

    fn environment(&self) -> Environment {
        environment()
    }

    fn components(&self) -> Components {
        components(self.accounting, &json!({}))
    }

    /// Users, buckets, and what is left of either.
    fn shown(&self) -> Option<Vec<String>> {
        let Gate { fake, croit, .. } = &self.gate;
        assert!(fake.unmodelled().is_empty());
        assert_eq!((fake.unsigned_requests(), fake.rejected_signatures()), (0, 0));
        let buckets = fake.users().into_iter().map(|user| format!("{} buckets", fake.buckets(&user.uid).len()));
        let left = format!("{} of one stamp, {} left", fake.duplicate_stamps().len(), croit.leftovers());
        Some(shown(fake).into_iter().chain(buckets).chain([left]).collect())
    }

    /// Whether the customer gets in: keys are made anew.
    fn published(&self, metadata: &Value) -> String {
        format!("{:?}", published_key_works(&self.gate.fake, metadata))
    }

    fn lose_write(&self, kind: usize) -> bool {
        let lost = ["user.create", "user.modify", "quota.set", "user.delete"].get(kind);
        lost.inspect(|call| self.gate.fake.lose_writes(call, 1)).is_some()
    }

    fn limits(&self) -> Limits {
        limits(100, 10_000)
    }

    fn other_limits(&self) -> Limits {
        limits(250, 20_000)
    }

    fn reported(&self) -> Vec<String> {
        let all = self.limits().into_keys();
        // Safety limits are no limits of Waldur's.
        all.filter(|_| self.accounting == AccountingType::Limit).collect()
    }

    fn options(&self) -> JsonObject {
        let options = json!({ "storage_limit": 7, "object_limit": 7 });
        let ours = options.as_object().filter(|_| self.accounting == AccountingType::Usage);
        ours.cloned().unwrap_or_default().into()
    }

    async fn plant(&self, id: &BackendId, stamped: bool) -> bool {
        let stamp = format!("waldur-000000000000000000000000deadbeef-{id}@invalid");
        let stranger = SeedUser::new(id.as_str());
        let stranger = if stamped { stranger.email(&stamp) } else { stranger.key(&format!("OLD{id}"), "old-secret") };
        self.gate.fake.add_user(stranger).is_ok()
    }

    fn set_outage(&self, broken: bool) -> bool {
        self.gate.mend();
        if broken {
            self.gate.fail("", u32::MAX, Failure::Transport(TransportErrorKind::Connect));
        }
        true
    }

    async fn use_up(&self, id: &BackendId, _period: Period) -> bool {
        let bucket = format!("bucket-of-{}", id.as_str().replace('_', "-"));
        let made = self.gate.fake.create_bucket(id.as_str(), &bucket);
        let stored = made.and_then(|()| self.gate.fake.put_object(id.as_str(), &bucket, "object", 1 << 30));
        if self.gate.on == On::Croit {
            self.gate.croit.leave_version(&bucket, "object", "v1", None);
        }
        // Of statistics as well, for half a day.
        self.gate.croit.stores(id.as_str(), "2026-11-22T00:00:00Z".parse().unwrap(), 1 << 30);
        stored.is_ok()
    }

    async fn objects(&self) -> Option<usize> {
        Some(self.gate.fake.users().len())
    }
}

async fn keeps_the_contract(on: On, naming: &'static str, accounting: AccountingType, more: Value) {
    let gateway = Gateway { naming, accounting, more, ..Gateway::on(on) };
    let verdicts = conformance::run(&gateway).await;
    assert!(verdicts.passed(), "{verdicts}");
    let fake = &gateway.gate.fake;
    assert!(fake.unmodelled().is_empty());
    // The stranger's own stamp is on several.
    assert!(fake.duplicate_stamps().keys().all(|stamp| stamp.ends_with("deadbeef")));
    assert_eq!((fake.unsigned_requests(), fake.rejected_signatures()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_back_end_keeps_the_contract() {
    for on in [On::RadosGw, On::Croit] {
        for naming in ["seed", "processor"] {
            keeps_the_contract(on, naming, AccountingType::Limit, json!({})).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_back_end_keeps_the_contract_when_ceilings_are_the_customers_own() {
    for on in [On::RadosGw, On::Croit] {
        keeps_the_contract(on, "seed", AccountingType::Usage, json!({})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn its_facets_keep_the_contract() {
    let keys = json!({ "credentials_mode": "api_keys", "suspend_on_pause": true });
    keeps_the_contract(On::RadosGw, "seed", AccountingType::Usage, keys).await;
    let keys = json!({ "credentials_mode": "api_keys", "usage_model": "gb_days" });
    keeps_the_contract(On::Croit, "seed", AccountingType::Usage, keys).await;
}
