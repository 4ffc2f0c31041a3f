//! A Waldur whose resources are in use, and a gateway with their users.

use std::sync::Arc;

use serde_json::{Value, json};
use waldur_backend_croit::testing::{Quota, SeedUser};
use waldur_sdk::{
    backend::{Aspects, Inspection, OpContext, ResourceBackend as _},
    client::{AgentMode, WaldurClient},
    process::{MembershipReport, MembershipSync, ServedOffering},
    rest::{Http, HttpTransport},
    settings::{AccountingType, Components},
    testing::waldur::{Billing, FakeWaldur, Generation},
    types::{BackendId, OfferingUuid, ResourceUuid},
};

use crate::common::{GIB, Gate, On, components, cx, environment, now};

pub(crate) struct World {
    pub(crate) waldur: FakeWaldur,
    pub(crate) gate: Gate,
    pub(crate) offering: OfferingUuid,
    accounting: AccountingType,
}

impl World {
    /// Components billed by usage, with safety limits.
    pub(crate) fn new(generation: Generation) -> Self {
        Self::of(generation, AccountingType::Usage)
    }

    pub(crate) fn of(generation: Generation, accounting: AccountingType) -> Self {
        Self::on(On::RadosGw, generation, accounting)
    }

    pub(crate) fn on(on: On, generation: Generation, accounting: AccountingType) -> Self {
        let waldur = FakeWaldur::new(generation).with_wall(now);
        let billing = || if accounting == AccountingType::Limit { Billing::Limit } else { Billing::Usage };
        let offering = waldur.offering().name("S3").component("s3_storage", billing());
        let offering = offering.component("s3_objects", billing()).create();
        Self { waldur, gate: Gate::on(on), offering, accounting }
    }

    pub(crate) fn components(&self) -> Components {
        components(self.accounting, &json!({}))
    }

    /// A resource in use and its user, who may store so many GiB and as many objects, as the customer has chosen.
    pub(crate) fn resource(&self, uid: &str, gigabytes: i64) -> ResourceUuid {
        let resource = self.waldur.resource(self.offering).name(uid).slug(uid).backend_id(uid);
        let resource = match self.accounting {
            AccountingType::Limit => resource.limits([("s3_storage", gigabytes), ("s3_objects", gigabytes)]),
            _ => resource.options(json!({ "storage_limit": gigabytes, "object_limit": gigabytes })),
        };
        let resource = resource.create();
        self.user(uid, &format!("waldur-{}-{uid}@invalid", resource.hex()), gigabytes);
        resource
    }

    /// So many resources `u-0`, `u-1`…, each with a bucket.
    pub(crate) fn resources(&self, number: usize) -> Vec<ResourceUuid> {
        let resource = |number| {
            let uid = format!("u-{number}");
            let resource = self.resource(&uid, 7);
            self.gate.fake.create_bucket(&uid, &uid).unwrap();
            resource
        };
        (0..number).map(resource).collect()
    }

    /// The same, of which Waldur has all metadata: a pass has nothing to write.
    pub(crate) async fn resources_in_step(&self, number: usize) {
        let resources = self.resources(number);
        // They differ by their names alone, so that one is read: were it otherwise, a pass would write.
        let (backend, first) = (self.gate.backend(json!({}), &self.components()), BackendId::new("u-0").unwrap());
        let mut states = backend.inspect(&cx(), &Inspection::of(std::slice::from_ref(&first), Aspects::ALL)).await;
        let metadata = json!(states.remove(&first).unwrap().unwrap().unwrap().metadata.unwrap()).to_string();
        for (number, resource) in resources.iter().enumerate() {
            let (uid, key) = (format!("u-{number}"), format!("KEYUX{number}"));
            let metadata: Value = serde_json::from_str(&metadata.replace("u-0", &uid).replace("KEYUX0", &key)).unwrap();
            self.waldur.change_resource(*resource, |seed| seed.backend_metadata(metadata));
        }
        self.gate.take_log();
    }

    pub(crate) fn user(&self, uid: &str, email: &str, gigabytes: i64) {
        let key = format!("KEY{}", uid.to_uppercase().replace(['-', '_'], "X"));
        self.gate.fake.add_user(SeedUser::new(uid).email(email).key(&key, format!("secret-of-{uid}"))).unwrap();
        self.set_quota(uid, gigabytes);
    }

    /// Changes both quotas by hand.
    pub(crate) fn set_quota(&self, uid: &str, gigabytes: i64) {
        let set = |quota: &mut Quota| {
            (quota.enabled, quota.max_size, quota.max_objects) = (true, gigabytes * GIB, gigabytes);
        };
        let edit = |edit: waldur_backend_croit::testing::UserEdit<'_>| {
            set(edit.user_quota);
            set(edit.bucket_quota);
        };
        self.gate.fake.edit_user(uid, edit).unwrap();
    }

    /// How many GiB both quotas allow.
    pub(crate) fn quota(&self, uid: &str) -> (i64, i64) {
        let (user, bucket) = self.gate.fake.quota(uid).unwrap();
        assert_eq!(user.max_objects, user.max_size / GIB);
        (user.max_size / GIB, bucket.max_size / GIB)
    }

    /// An agent, whose memory lasts from pass to pass.
    pub(crate) fn agent(&self, more: Value) -> MembershipSync {
        self.agent_over(self.waldur.clone(), self.gate.clone(), more)
    }

    pub(crate) fn agent_over(
        &self,
        waldur: impl HttpTransport,
        gateway: impl HttpTransport,
        more: Value,
    ) -> MembershipSync {
        let http = Http::new(waldur).with_environment(environment());
        let client = WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token());
        let client = client.agent_mode(AgentMode::MembershipSync).build().unwrap();
        let backend = self.gate.backend_over(gateway, more, &self.components());
        ServedOffering::new(client, Arc::new(backend), self.offering).with_components(self.components()).members()
    }

    /// The writes to the gateway since this was asked last.
    pub(crate) fn gateway_writes(&self) -> Vec<String> {
        self.gate.take_log().into_iter().filter(|line| !line.starts_with("GET")).collect()
    }
}

pub(crate) async fn pass(agent: &MembershipSync) -> MembershipReport {
    agent.run_once(&OpContext::new("pass")).await.unwrap()
}

/// A pass in which nothing goes wrong.
pub(crate) async fn clean_pass(agent: &MembershipSync) -> MembershipReport {
    let report = pass(agent).await;
    assert!(report.is_clean(), "{report:#?}");
    report
}
