//! Who gets access to a new resource (core.md §2.5).

use std::time::Duration;

use crate::orders::{Agent, Asked, BOTH, Doctored, World, assert_done, warned};
use async_trait::async_trait;
use serde_json::json;
use waldur_sdk::{
    Result,
    backend::{Capabilities, MarketplaceResource, MemberOutcome, MembershipPlan, OpContext, Override, ResourceBackend},
    process::FollowUp,
    rest::{HttpTransport, TransportError},
    testing::{
        Counting, Faults, op, status,
        waldur::{Generation, OfferingUserState},
    },
    types::BackendId,
};

/// An agent over a back end with members, and what that is asked.
fn sociable(world: &World, attempts: u32) -> (Agent, Asked) {
    let asked = Asked::default();
    let telling = asked.clone();
    let capabilities = Capabilities::default().with_team_fetch_attempts(attempts);
    let agent = world
        .agent()
        .memory(move |memory| memory.with_members().with_capabilities(capabilities))
        .overriding(move |inner| Doctored::new(inner).telling(&telling));
    (agent, asked)
}

fn members(world: &World) -> Vec<String> {
    world.object("res").members.into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn c31_an_empty_team_is_read_again_as_often_as_the_back_end_asks() {
    for generation in BOTH {
        let world = World::new(generation);
        world.member("ann");
        world.create("Res").pending();
        let faults =
            Faults::new(world.waldur.clone()).on(op("provider_resources.team").first(2), status(200).json(&json!([])));
        let counting = Counting::new(faults);
        let begin = tokio::time::Instant::now();
        let (agent, _) = sociable(&world, 3);
        let report = agent.waldur(counting.clone()).run_one().await;
        assert_done(&report);
        assert_eq!(counting.counts().of("provider_resources.team"), 3);
        assert_eq!(begin.elapsed(), Duration::from_secs(6), "two pauses");
        assert_eq!(members(&world), ["site-ann"]);
        assert!(report.follow_ups.is_empty());

        // It never comes.
        let world = World::new(generation);
        let order = world.create("Res").pending();
        let begin = tokio::time::Instant::now();
        let (agent, asked) = sociable(&world, 3);
        let report = agent.run_one().await;
        assert_done(&report);
        assert_eq!((world.count("provider_resources.team"), begin.elapsed()), (3, Duration::from_secs(6)));
        assert!(asked.creations.lock().unwrap()[0].team.is_empty());
        let (resource, project) = (world.waldur.resource_of(order), Some(world.waldur.default_project()));
        assert_eq!(report.follow_ups, [FollowUp::SyncMembers { resource, project }]);

        // By default it is read once.
        let world = World::new(generation);
        world.create("Res").pending();
        let (agent, _) = sociable(&world, 0);
        assert_done(&agent.run_one().await);
        assert_eq!(world.count("provider_resources.team"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn members_are_there_before_the_order_is_done() {
    for generation in BOTH {
        let world = World::new(generation);
        world.member("ann");
        world.member("bob");
        world.create("Res").pending();
        let (agent, asked) = sociable(&world, 1);
        let (service, waldur) = (world.service.clone(), world.waldur.clone());
        let members_then = std::sync::Arc::new(std::sync::Mutex::new(0));
        let seen = members_then.clone();
        let look = move || *seen.lock().unwrap() = service.object("res").map_or(0, |object| object.members.len());
        let report = agent.waldur(crate::orders::OnRequest::new(waldur, "orders.set_state_done", look)).run_one().await;
        assert_done(&report);
        assert_eq!(*members_then.lock().unwrap(), 2);
        let team = asked.creations.lock().unwrap()[0].team.clone();
        let names: Vec<_> = team.iter().map(|grant| grant.username.as_str()).collect();
        assert_eq!(names, ["site-ann", "site-bob"]);
        assert_eq!(team[0].cuid.as_ref().map(waldur_sdk::types::Personal::as_str), Some("ann"));
        assert!(!team[0].roles.is_empty() && report.follow_ups.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_no_name_yet_is_left_to_a_membership_sync() {
    for generation in BOTH {
        let world = World::new(generation);
        world.member("ann");
        let late = world.waldur.user("late").project_role(world.waldur.default_project(), "PROJECT.ADMIN").create();
        world.waldur.offering_user(world.offering, late).without_username().create();
        let order = world.create("Res").pending();
        let (agent, _) = sociable(&world, 1);
        let report = agent.run_one().await;
        assert_done(&report);
        assert_eq!(members(&world), ["site-ann"]);
        let (resource, project) = (world.waldur.resource_of(order), Some(world.waldur.default_project()));
        assert_eq!(report.follow_ups, [FollowUp::SyncMembers { resource, project }]);
        assert!(report.warnings.is_empty(), "this is the ordinary course of things");
    }
    // Where the server knows states, only one is good enough.
    for state in [OfferingUserState::Creating, OfferingUserState::Deleting, OfferingUserState::PendingAccountLinking] {
        let world = World::new(Generation::V8);
        let late = world.waldur.user("late").project_role(world.waldur.default_project(), "PROJECT.ADMIN").create();
        world.waldur.offering_user(world.offering, late).state(state).create();
        world.create("Res").pending();
        let (agent, _) = sociable(&world, 1);
        assert_done(&agent.run_one().await);
        assert!(members(&world).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_locked_out_stays_out() {
    for generation in BOTH {
        // One user of the offering.
        let world = World::new(generation);
        world.member("ann");
        let out = world.waldur.user("out").project_role(world.waldur.default_project(), "PROJECT.ADMIN").create();
        world.waldur.offering_user(world.offering, out).restricted().create();
        world.create("Res").pending();
        let (agent, asked) = sociable(&world, 1);
        assert_done(&agent.run_one().await);
        assert_eq!(members(&world), ["site-ann"]);
        assert_eq!(asked.creations.lock().unwrap()[0].team.len(), 1);

        // Everybody, from this resource.
        let world = World::new(generation);
        world.member("ann");
        world.create("Res").resource(|resource| resource.slug("res").restrict_member_access(true)).pending();
        let (agent, _) = sociable(&world, 1);
        let report = agent.run_one().await;
        assert_done(&report);
        assert!(members(&world).is_empty() && report.follow_ups.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_team_that_cannot_be_read_does_not_hold_up_the_creation() {
    for broken in ["provider_resources.team", "offering_users.list"] {
        let world = World::new(Generation::V8);
        world.member("ann");
        let order = world.create("Res").pending();
        let faults = Faults::new(world.waldur.clone()).on(op(broken), status(500));
        let (agent, _) = sociable(&world, 1);
        let report = agent.waldur(faults.clone()).run_one().await;
        assert_done(&report);
        assert!(faults.acted() > 0);
        assert_eq!(warned(&report), ["team"]);
        // Who is locked out is not known, so nobody is let in for now.
        assert!(members(&world).is_empty());
        let (resource, project) = (world.waldur.resource_of(order), Some(world.waldur.default_project()));
        assert_eq!(report.follow_ups, [FollowUp::SyncMembers { resource, project }]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_back_end_without_members_costs_no_calls_for_them() {
    let world = World::new(Generation::V8);
    world.member("ann");
    world.create("Res").pending();
    assert_done(&world.agent().run_one().await);
    assert_eq!(world.count("provider_resources.team") + world.count("offering_users.list"), 0);
}

#[tokio::test(start_paused = true)]
async fn plan_quotas_and_ssh_keys_come_to_back_ends_that_ask_for_them() {
    for generation in BOTH {
        let world =
            World::selling(generation, |offering| offering.plan("small", |plan| plan.quota("cpu", 2).quota("mem", 0)));
        let user = world.waldur.user("ann").project_role(world.waldur.default_project(), "PROJECT.MEMBER");
        user.ssh_key("laptop", "ssh-ed25519 AAAA ann").create();
        world.create("Res").pending();
        let asked = Asked::default();
        let telling = asked.clone();
        let curious = Capabilities::default().with_plan_quotas().with_ssh_keys();
        let agent = world
            .agent()
            .memory(move |memory| memory.with_capabilities(curious))
            .overriding(move |inner| Doctored::new(inner).telling(&telling));
        assert_done(&agent.service_provider(world.provider().await).run_one().await);
        let creation = asked.creations.lock().unwrap()[0].clone();
        assert_eq!(creation.plan_quotas, [("cpu".to_owned(), 2_u32.into())].into());
        let keys: Vec<_> = creation.ssh_keys.iter().map(|key| key.public_key.as_str()).collect();
        assert_eq!(keys, ["ssh-ed25519 AAAA ann"]);
        assert!(!format!("{creation:?}").contains("AAAA ann"), "a key's comment says whose it is");

        // Without them it goes on.
        let world = World::new(generation);
        world.create("Res").pending();
        let faults = Faults::new(world.waldur.clone())
            .on(op("plans.get"), status(404).json(&json!({ "detail": "Not found." })))
            .on(op("service_providers.keys"), status(403).json(&json!({ "detail": "No." })));
        let agent = world.agent().memory(move |memory| memory.with_capabilities(curious)).waldur(faults.clone());
        let report = agent.service_provider(world.provider().await).run_one().await;
        assert_done(&report);
        assert_eq!(faults.idle_rules(), Vec::<String>::new());
        assert_eq!(warned(&report), ["plan quotas", "ssh keys"]);
    }
}

#[tokio::test(start_paused = true)]
async fn c39_the_settings_word_on_consent_counts_for_orders_too() {
    for (setting, capability) in [(true, false), (false, true), (false, false)] {
        let world = World::new(Generation::V8);
        world.member("ann");
        let bob = world.member("bob");
        world.waldur.set_consent(bob, world.offering, false);
        world.create("Res").pending();
        let mut capabilities = Capabilities::default();
        if capability {
            capabilities = capabilities.with_consented_users_only();
        }
        let agent = world.agent().memory(move |memory| memory.with_members().with_capabilities(capabilities));
        assert_done(&agent.policy(move |policy| policy.consented_users_only = setting).run_one().await);
        let wanted: &[&str] = if setting || capability { &["site-ann"] } else { &["site-ann", "site-bob"] };
        assert_eq!(members(&world), wanted, "{setting} {capability}");
    }
}

/// Says nothing about some of those that it was asked to add, or panics.
struct Mute {
    inner: std::sync::Arc<dyn ResourceBackend>,
    panics: bool,
}

#[async_trait]
impl Override for Mute {
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
        assert!(!self.panics, "a bug");
        let mut outcomes = self.inner.members().unwrap().apply(cx, resource, id, plan).await?;
        outcomes.retain(|outcome| outcome.username != "site-bob");
        Ok(outcomes)
    }
}

#[tokio::test(start_paused = true)]
async fn f129_whoever_the_back_end_says_nothing_of_is_left_to_a_membership_sync() {
    for panics in [false, true] {
        let world = World::new(Generation::V8);
        world.member("ann");
        world.member("bob");
        let order = world.create("Res").pending();
        let agent = world.agent().memory(waldur_sdk::testing::MemoryBackend::with_members);
        let report = agent.overriding(move |inner| Mute { inner, panics }).run_one().await;
        assert_done(&report);
        assert_eq!(warned(&report), ["grant access"], "{panics}");
        let (resource, project) = (world.waldur.resource_of(order), Some(world.waldur.default_project()));
        assert_eq!(report.follow_ups, [FollowUp::SyncMembers { resource, project }]);
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_team_that_is_not_read_whole_nobody_is_taken_for_all() {
    let world = World::new(Generation::V8);
    world.member("ann");
    world.member("bob");
    let order = world.create("Res").pending();
    // One entry of two cannot be read.
    let client = world.client(waldur_sdk::rest::Http::new(world.waldur.clone()));
    let resource = world.waldur.resource_of(order);
    let team = client.provider_resources().team(resource).collect().await.unwrap().into_items();
    let rows = json!([
        { "uuid": team[0].uuid, "offering_user_username": "site-ann", "offering_user_state": "OK" },
        { "uuid": "no uuid", "offering_user_username": "site-bob" },
    ]);
    let faults = Faults::new(world.waldur.clone()).on(op("provider_resources.team"), status(200).json(&rows));
    let (agent, _) = sociable(&world, 1);
    let report = agent.waldur(faults).run_one().await;
    assert_done(&report);
    assert_eq!((warned(&report), members(&world)), (vec!["team"], vec!["site-ann".to_owned()]));
    let project = Some(world.waldur.default_project());
    assert_eq!(report.follow_ups, [FollowUp::SyncMembers { resource, project }]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_the_filter_for_locked_out_users_locks_nobody_out() {
    let world = World::new(Generation::V8);
    world.member("ann");
    let out = world.waldur.user("out").project_role(world.waldur.default_project(), "PROJECT.ADMIN").create();
    world.waldur.offering_user(world.offering, out).restricted().create();
    world.create("Res").pending();
    let (agent, _) = sociable(&world, 1);
    let deaf = Deaf(world.waldur.clone(), "is_restricted=true");
    assert_done(&agent.waldur(deaf).run_one().await);
    assert_eq!(members(&world), ["site-ann"]);
    // No more of people is asked for than what is used.
    let asked = world.waldur.requests().into_iter().find(|request| request.operation == Some("offering_users.list"));
    let query = format!("{:?}", asked.unwrap());
    assert!(!query.contains("user_full_name") && !query.contains("user_email"), "{query}");
}

/// Takes no notice of a part of a query.
struct Deaf(waldur_sdk::testing::waldur::FakeWaldur, &'static str);

#[async_trait]
impl HttpTransport for Deaf {
    async fn send(
        &self,
        mut request: http::Request<bytes::Bytes>,
    ) -> std::result::Result<http::Response<bytes::Bytes>, TransportError> {
        let uri = request.uri().to_string();
        *request.uri_mut() = uri.replace(&format!("&{}", self.1), "").parse().unwrap();
        self.0.send(request).await
    }
}

#[tokio::test(start_paused = true)]
async fn ssh_keys_that_could_not_be_read_are_told() {
    let world = World::new(Generation::V8);
    let user = world.waldur.user("ann").project_role(world.waldur.default_project(), "PROJECT.MEMBER");
    user.ssh_key("laptop", "ssh-ed25519 AAAA ann").create();
    world.create("Res").pending();
    let curious = Capabilities::default().with_ssh_keys();
    let rows = json!([{ "uuid": "no uuid", "public_key": "ssh-ed25519 BBBB bob" }]);
    let faults = Faults::new(world.waldur.clone()).on(op("service_providers.keys"), status(200).json(&rows));
    let agent = world.agent().memory(move |memory| memory.with_capabilities(curious)).waldur(faults);
    let report = agent.service_provider(world.provider().await).run_one().await;
    assert_done(&report);
    assert_eq!(warned(&report), ["ssh keys"]);
}
