//! The whole report, from the gateway to Waldur: the shape, the calls, the time (s3.md §6.1, performance.md §3, §5).

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;
use waldur_backend_croit::testing::{FakeRadosGw, SeedUser};
use waldur_sdk::{
    backend::OpContext,
    client::{AgentMode, WaldurClient},
    process::{ServedOffering, UsageOutcome, UsagePolicy, UsageRunReport},
    rest::{Http, HttpTransport},
    settings::Components,
    testing::{
        Counting, Latency,
        waldur::{Billing, FakeWaldur, Generation},
    },
    types::{OfferingUuid, ResourceUuid},
};

use crate::{
    common::{ACCESS_KEY, GIB, SECRET_KEY, backend_with, environment, now, usage_components},
    radosgw::november,
};

struct World {
    waldur: FakeWaldur,
    gateway: FakeRadosGw,
    offering: OfferingUuid,
}

impl World {
    fn new(generation: Generation) -> Self {
        let waldur = FakeWaldur::new(generation).with_wall(now);
        let offering = waldur.offering().name("S3").component("s3_storage", Billing::Usage);
        let offering = offering.component("s3_objects", Billing::Usage).create();
        let gateway = FakeRadosGw::builder().admin(ACCESS_KEY, SECRET_KEY).clock(now).build();
        Self { waldur, gateway, offering }
    }

    fn resource(&self, uid: &str, gigabytes: u64) -> ResourceUuid {
        self.gateway.add_user(SeedUser::new(uid)).unwrap();
        self.gateway.create_bucket(uid, uid).unwrap();
        self.gateway.put_object(uid, uid, "object", gigabytes * GIB.unsigned_abs()).unwrap();
        self.waldur.resource(self.offering).name(uid).slug(uid).backend_id(uid).create()
    }

    async fn run(&self, waldur: impl HttpTransport, gateway: impl HttpTransport) -> UsageRunReport {
        self.run_with(waldur, gateway, &usage_components()).await
    }

    async fn run_with(
        &self,
        waldur: impl HttpTransport,
        gateway: impl HttpTransport,
        components: &Components,
    ) -> UsageRunReport {
        let http = Http::new(waldur).with_environment(environment());
        let client = WaldurClient::builder(self.waldur.base_url()).http(http).token(self.waldur.token());
        let client = client.agent_mode(AgentMode::Report).build().unwrap();
        let backend = backend_with(gateway, json!({}), components);
        let mut policy = UsagePolicy::default();
        policy.reporting_periods = 1;
        let offering =
            ServedOffering::new(client, Arc::new(backend), self.offering).with_components(components.clone());
        let report = offering.usage().with_policy(policy).run_once(&OpContext::new("report")).await.unwrap();
        assert_eq!(self.waldur.unserved(), Vec::<String>::new());
        report
    }

    fn sent(&self) -> Vec<Value> {
        let requests = self.waldur.requests().into_iter();
        let sent = requests.filter(|request| request.operation == Some("component_usages.set_usage"));
        sent.map(|request| request.body["usages"].clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn s17_s18_totals_reach_waldur_as_numbers_and_may_go_down() {
    let world = World::new(Generation::V8);
    let resource = world.resource("u-1", 150);
    world.run(world.waldur.clone(), world.gateway.clone()).await;
    let amount = |kind: &str, amount: &str| json!({ "type": kind, "amount": amount });
    let wanted = json!([amount("s3_objects", "1.00"), amount("s3_storage", "150.00")]);
    let plain = |sent: &Value| {
        let row = |row: &Value| json!({ "type": row["type"], "amount": row["amount"] });
        sent.as_array().unwrap().iter().map(row).collect::<Value>()
    };
    assert_eq!(world.sent().iter().map(plain).collect::<Vec<_>>(), [wanted]);
    world.gateway.put_object("u-1", "u-1", "object", 90 * GIB.unsigned_abs()).unwrap();
    let report = world.run(world.waldur.clone(), world.gateway.clone()).await;
    assert_eq!(report.count(|end| matches!(end, UsageOutcome::Unchanged)), 0);
    let stored = world.waldur.usage_of(resource).into_iter();
    let stored = stored.filter(|row| row.billing_period == november().first_day() && row.component == "s3_storage");
    assert_eq!(stored.map(|row| row.amount.to_string()).collect::<Vec<_>>(), ["90.00"]);
}

/// What a report costs in which nothing changed, of the seed's two components or of the first one alone.
async fn of_a_thousand(generation: Generation, components: &[(&str, u32)]) -> (u64, Duration) {
    let world = World::new(generation);
    for number in 0..1000 {
        let resource = world.resource(&format!("u-{number}"), 3);
        for (component, amount) in components {
            world.waldur.reported(resource, component, november().first_day(), (*amount).into());
        }
    }
    let round_trip = Duration::from_millis(50);
    let (waldur, gateway) = (Counting::new(world.waldur.clone()), Counting::new(world.gateway.clone()));
    let slow = [waldur.clone(), gateway.clone()].map(|side| Latency::new(side, environment(), round_trip));
    let [slow_waldur, slow_gateway] = slow;
    let only: Components =
        usage_components().iter().filter(|one| components.iter().any(|(name, _)| one.name == *name)).cloned().collect();
    let begin = Instant::now();
    let report = world.run_with(slow_waldur, slow_gateway, &only).await;
    let elapsed = begin.elapsed();
    assert_eq!(report.count(|end| matches!(end, UsageOutcome::Unchanged)), 1000);
    assert_eq!((gateway.counts().total, waldur.counts().writes, gateway.counts().writes), (1, 0, 0));
    (waldur.counts().total, elapsed)
}

#[tokio::test(start_paused = true)]
async fn a_report_for_a_thousand_resources_costs_pages_and_one_listing_and_takes_a_second_at_most() {
    let second = Duration::from_secs(1);
    // Pages of 300: resources, two components of one month; and the offering.
    let (calls, elapsed) = of_a_thousand(Generation::V2024, &[("s3_storage", 3), ("s3_objects", 1)]).await;
    assert_eq!(calls, 4 + 7 + 1);
    assert!(elapsed <= second, "{elapsed:?}");
    // Pages of 100, asked for eight at a time.
    let (calls, elapsed) = of_a_thousand(Generation::V8, &[("s3_storage", 3), ("s3_objects", 1)]).await;
    assert_eq!(calls, 10 + 20 + 1);
    assert!(elapsed <= second / 2, "{elapsed:?}");
}
