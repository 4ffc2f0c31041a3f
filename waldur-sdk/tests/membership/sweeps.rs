//! Processes that die, futures that are dropped, agents that meet, lanes that are shared (faults.md rows 110, 124, 127).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::json;
use waldur_sdk::{
    Result,
    backend::{
        Capabilities, LimitsAuthority, MarketplaceResource, MemberOutcome, MembershipPlan, OpContext, Overridden,
        Override, ResourceBackend,
    },
    process::{MembershipSync, ServedOffering},
    rest::Http,
    testing::{
        Bounds, Counting, Cycle, Interleaving, Life, MemoryBackend, MemoryObject, Scenario, drop_points, interleave,
        kill_points,
        waldur::{Generation, OfferingUserState as S},
    },
    types::BackendId,
};

use crate::{
    orders::limited,
    world::{Answer, Names, Site, cx, run},
};

/// The inner back end, with a bug in the membership of one object.
pub struct Panicking {
    inner: Arc<dyn ResourceBackend>,
    id: &'static str,
}

impl Panicking {
    pub fn over(inner: Arc<dyn ResourceBackend>, id: &'static str) -> impl ResourceBackend {
        Overridden(Self { inner, id })
    }
}

#[async_trait]
impl Override for Panicking {
    fn inner(&self) -> &dyn ResourceBackend {
        &self.inner
    }
    async fn members_apply(
        &self,
        cx: &OpContext,
        resource: &MarketplaceResource,
        id: &BackendId,
        plan: &MembershipPlan,
    ) -> Result<Vec<MemberOutcome>> {
        assert_ne!(id.as_str(), self.id, "a bug");
        self.inner.members().unwrap().apply(cx, resource, id, plan).await
    }
}

/// Everything that one pass can have to do, at once.
struct Everything;

#[derive(Debug, PartialEq)]
struct Verdict {
    objects: BTreeMap<String, MemoryObject>,
    resources: Vec<serde_json::Value>,
    accounts: Vec<(&'static str, Option<String>)>,
    deactivated: Vec<String>,
}

struct Ground {
    site: Site,
    resources: Vec<waldur_sdk::types::ResourceUuid>,
    accounts: Vec<waldur_sdk::types::OfferingUserUuid>,
    names: Names,
}

impl Scenario for Everything {
    type World = Ground;
    type Agent = MembershipSync;
    type Verdict = Verdict;

    fn world(&self) -> Ground {
        let site = Site::selling(Generation::V8, |offering| {
            offering.plugin_option("service_provider_can_create_offering_user", true)
        });
        let a = site.member("a");
        site.waldur().service_account(site.project(), "svc").create();
        let mut accounts = Vec::new();
        for (identity, state) in [("new", S::Requested), ("link", S::Creating), ("ready", S::PendingAccountLinking)] {
            let user = site.waldur().user(identity).project_role(site.project(), "PROJECT.MEMBER").create();
            let account = site.waldur().offering_user(site.offering(), user).without_username().state(state);
            accounts.push(account.create());
        }
        let leaving = site.waldur().user("leaving").create();
        let account = site.waldur().offering_user(site.offering(), leaving).state(S::RequestedDeletion);
        accounts.push(account.create());
        let names = Names::new();
        names.answer("new", Answer::Name("new")).answer("link", Answer::Link("do", None));
        names.answer("ready", Answer::Name("ready"));
        let paused = site.resource("paused", &["stale", "leaving"]);
        site.waldur().change_resource(paused, |row| row.paused(true));
        let drifted = site.resource("drifted", &["a"]);
        site.waldur().change_resource(drifted, |row| {
            row.backend_metadata(json!({ "theirs": 1 })).erred("Membership synchronisation failed: x")
        });
        site.waldur().user_limit(drifted, a, "cpu", "2");
        site.edit("drifted", |object| {
            object.limits.insert("cpu".to_owned(), Some(9));
        });
        Ground { site, resources: vec![paused, drifted], accounts, names }
    }

    fn start(&self, world: &Ground, life: &Life) -> MembershipSync {
        let site = &world.site;
        let (waldur, service) = (life.around(site.waldur().clone()), life.around(site.service().clone()));
        let capabilities = Capabilities::default().with_limits_authority(LimitsAuthority::Waldur);
        let whole = move |memory: MemoryBackend| {
            memory.with_roles().with_status().with_user_limits().with_capabilities(capabilities)
        };
        let agent = site.agent().memory(whole).usernames(&world.names).waldur(waldur).service(service);
        agent.policy(|policy| (policy.drive_deletion, policy.concurrency) = (true, 2)).build()
    }

    async fn cycle(&self, agent: &mut MembershipSync) -> Cycle {
        match agent.run_once(&cx()).await {
            Ok(report) => {
                let settled = report
                    .usernames
                    .accounts
                    .iter()
                    .all(|account| matches!(account.outcome, waldur_sdk::process::AccountOutcome::StillWaiting));
                let quiet = report.resources.iter().all(|one| !one.has_changed());
                if report.is_clean() && settled && quiet { Cycle::Idle } else { Cycle::Busy }
            }
            Err(_) => Cycle::Busy,
        }
    }

    fn verdict(&self, world: &Ground) -> Verdict {
        let site = &world.site;
        site.world.assert_sound();
        let resources = world.resources.iter().map(|resource| {
            let view = site.waldur().resource_view(*resource);
            json!({
                "state": view.state.as_str(), "limits": view.limits, "metadata": view.backend_metadata,
                "error": view.error_message,
            })
        });
        let accounts = world.accounts.iter().map(|account| {
            let view = site.waldur().offering_user_view(*account);
            (view.state.as_str(), view.username)
        });
        let mut deactivated = world.names.deactivated();
        deactivated.dedup();
        Verdict {
            objects: site.service().objects(),
            resources: resources.collect(),
            accounts: accounts.collect(),
            deactivated,
        }
    }
}

fn bounds(site: &Site) -> Bounds {
    Bounds::default().with_environment(site.environment()).with_cycle_time(Duration::from_secs(3600))
}

#[tokio::test(start_paused = true)]
async fn f124_a_process_that_dies_at_any_point_leaves_nothing_behind() {
    let sweep = kill_points(&Everything, &bounds(&Site::new(Generation::V8))).await;
    let sweep = sweep.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(sweep.points > 50, "{}", sweep.points);
}

#[tokio::test(start_paused = true)]
async fn f127_a_future_dropped_at_any_await_leaves_nothing_behind() {
    let sweep = drop_points(&Everything, &bounds(&Site::new(Generation::V8))).await;
    sweep.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test(start_paused = true)]
async fn f110_two_agents_come_to_the_state_of_one() {
    for interleaving in [Interleaving::exhaustive(2).alike(), Interleaving::random(7, 5)] {
        let met = interleave(&Everything, &interleaving.settling(), &bounds(&Site::new(Generation::V8))).await;
        met.unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[tokio::test(start_paused = true)]
async fn f116_an_order_and_a_synchronisation_of_one_resource_do_not_meet() {
    let site = Site::new(Generation::V8);
    site.member("a");
    let resource = site.resource("one", &["stale"]);
    site.waldur().order_on(resource).update_limits([("cpu", 9), ("mem", 9)]).pending();
    let slow = waldur_sdk::testing::Latency::new(site.service().clone(), site.environment(), Duration::from_secs(1));
    // What only looks may look whenever it likes.
    let writes = Counting::new(slow).grouped_by(|request| {
        let object = request.uri().path().strip_prefix("/objects/")?.split('/').next()?;
        (request.method() != http::Method::GET).then(|| object.to_owned())
    });
    let capabilities = Capabilities::default().with_limits_authority(LimitsAuthority::Waldur);
    let http = Http::new(writes.clone()).with_environment(site.environment());
    let memory = MemoryBackend::through(http).unwrap().with_members().with_capabilities(capabilities);
    let waldur = site.world.client(Http::new(site.waldur().clone()).with_environment(site.environment()));
    let backend = Arc::new(memory);
    let read = || {
        let offering = ServedOffering::new(waldur.clone(), backend.clone(), site.offering());
        offering.with_components(limited(["cpu", "mem"]))
    };
    // Read anew, an offering is the same to processors that were made from one value.
    let (offering, anew) = (read(), read());
    let (orders, members) = (offering.orders().with_offering(&anew), offering.members());
    let context = cx();
    let (orders, _) = futures_util::future::join(orders.run_once(&context), members.run_once(&context)).await;
    assert!(orders.unwrap().is_clean());
    // Whichever came first, the limits are those that were ordered.
    assert_eq!(site.object("one").limits["cpu"], Some(9));
    run(&members).await;
    assert_eq!((site.object("one").limits["cpu"], site.access("one")), (Some(9), "a".to_owned()));
    let writes = writes.counts().group("one");
    assert!(writes.total >= 3, "limits, one comes, one goes: {writes:?}");
    assert_eq!(writes.depth as u64, writes.total, "each began after the one before it had ended: {writes:?}");
}
